"""The command line with unusual terminals, streams, folders and arguments."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import click
import pytest
from command_line import Done, complaint_of, harness_in

from harness.cli import harness_command

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("known_plugins")

SLOW = """\
import time
import harness

print("hello \\x1b[31m")
__import__("os").write(1, b"raw hello\\n")

class Slow:
    def fit(self, X, y):
        (__import__("pathlib").Path(__file__).parent / "begun").touch()
        time.sleep(60)
    def predict_proba(self, X):
        return X

@harness.hookimpl
def harness_models():
    yield harness.Model("slow", lambda setting: Slow())
"""


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose store has two runs and a bench."""
    folder = tmp_path_factory.mktemp("measured")
    words = ("run", "-d", "threshold", "-d", "iris", "-m", "numpy-softmax", "-r", "2")
    for name in ("first", "second"):
        done = harness_in(folder, *words, "--name", name, "--no-progress", "--in-process")
        assert done.status == 0
    return folder


@pytest.fixture
def folder(measured: Path, tmp_path: Path) -> Path:
    """A copy of the measured folder."""
    shutil.copytree(measured, tmp_path / "copy")
    return tmp_path / "copy"


# The width of the terminal.

TABLES = (
    "list",
    "list plugins",
    "show iris",
    "show numpy-softmax",
    "show last",
    "runs",
    "report",
    "report --versus -m numpy-softmax -m prior",
    "report --best-of accuracy",
    "compare previous last",
    "run --dry-run --all",
    "env",
)


@pytest.mark.parametrize(
    ("columns", "tables"),
    [("1", TABLES), ("7", TABLES)]
    + [(columns, TABLES[:2]) for columns in ("2", "3", "0", "-1", "", "x", "٣", "9" * 5000)],
)
def test_tables_are_printed_for_any_reported_width_of_the_terminal(
    measured: Path, columns: str, tables: tuple[str, ...]
) -> None:
    for words in tables:
        done = harness_in(measured, *words.split(), columns=columns)
        assert done.status == 0, (words, done.remarks)
        letters = len("".join(done.printed.split()))
        assert letters > 50, words


# Names of runs.


READ = (
    "show {}",
    "show {} --failures",
    "report {}",
    "report {} --versus -m numpy-softmax -m prior",
    "report {} --best-of accuracy",
    "compare {} 2 --format csv",
    "compare 2 {} --format csv",
    "run --resume {} --dry-run",
)
NAMES = {"last": "2", "previous": "1", "first": "1", "second": "2"}


@pytest.mark.parametrize("words", READ)
def test_every_command_accepts_every_kind_of_run_name(measured: Path, words: str) -> None:
    """A number, a name relative to the newest run, and a name that was given."""
    for name in ("previous", "second"):
        numbered = harness_in(measured, *words.format(NAMES[name]).split())
        assert numbered.status in (0, 4), numbered
        assert harness_in(measured, *words.format(name).split()) == numbered


@pytest.mark.parametrize("name", NAMES)
def test_a_run_is_resumed_drawn_and_deleted_by_every_kind_of_name(folder: Path, name: str) -> None:
    number = NAMES[name]
    resumed = harness_in(folder, "run", "--resume", name, "--no-progress")
    assert f"run {number} is complete" in resumed.remarks
    assert harness_in(folder, "plot", "likelihood", name, "-d", "threshold").status == 0
    assert harness_in(folder, "runs", "delete", name).printed.startswith(f"deleted run {number} (")


# Options given twice.


def _commands(command: click.Command, *words: str) -> Iterator[tuple[str, ...]]:
    """Pairs of a command and each of its options that takes one value."""
    for option in command.params:
        if isinstance(option, click.Option) and not (option.is_flag or option.multiple):
            yield (*words, option.opts[-1])
    if isinstance(command, click.Group):
        for name, below in command.commands.items():
            yield from _commands(below, *words, name)


SINGLE = list(_commands(harness_command))


@pytest.mark.parametrize("words", SINGLE, ids=" ".join)
def test_an_option_with_one_value_cannot_be_given_twice(
    tmp_path: Path, words: tuple[str, ...]
) -> None:
    *command, option = words
    said = complaint_of(harness_in(tmp_path, *command, option, "1", option, "1"))
    assert said == f"harness: {option} is given twice; leave one out\n"


def test_the_list_of_options_with_one_value_is_not_empty() -> None:
    assert len(SINGLE) > 60
    assert ("report", "--format") in SINGLE
    assert ("track", "import", "--store") in SINGLE


@pytest.mark.parametrize(
    "words", ["runs --store a delete --store b 1", "track --store a export --store b"]
)
def test_a_store_cannot_be_given_to_both_a_group_and_its_command(
    tmp_path: Path, words: str
) -> None:
    said = complaint_of(harness_in(tmp_path, *words.split()))
    assert said == "harness: --store is given twice; leave one out\n"


def test_a_store_on_the_command_line_overrides_the_environment_at_any_level(
    folder: Path,
) -> None:
    (folder / "harness.db").rename(folder / "mine.db")
    for words in ("runs --store mine.db delete 1", "runs delete 2 --store mine.db"):
        assert started(folder, *words.split(), HARNESS_STORE="other.db").status == 0


# Streams and folders.


def started(folder: Path, *words: str, redirect: str = "", **variables: str) -> Done:
    """Run a command in its own process, with streams redirected as by a shell."""
    line = f'exec "$0" -m harness "$@" {redirect}'
    environment = {k: v for k, v in os.environ.items() if k != "HARNESS_STORE"} | variables
    done = subprocess.run(
        ["bash", "-c", line, sys.executable, *words],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    return Done(done.returncode, done.stdout, done.stderr)


LIST = ("list", "kernels")
WRONG = ("list", "--plugin", "nowhere.py")


@pytest.mark.parametrize(
    ("words", "redirect", "status", "said"),
    [
        (LIST, ">&-", 0, ""),
        (LIST, ">&- 2>&- <&-", 0, ""),
        (LIST, ">/dev/full", 2, "harness: the output cannot be written: No space left on device\n"),
        (LIST, "2>/dev/full", 0, ""),
        (WRONG, "2>&-", 2, ""),
        (WRONG, "2>/dev/full", 2, ""),
        (("--help",), ">&-", 0, ""),
        (("show", "no-such-thing"), ">&-", 2, "harness: 'no-such-thing' is no dataset"),
        (("report", "--format", "json"), ">&-", 0, ""),
    ],
)
def test_closed_and_full_streams_raise_no_traceback(
    measured: Path, words: tuple[str, ...], redirect: str, status: int, said: str
) -> None:
    done = started(measured, *words, redirect=redirect)
    assert done.status == status, done
    assert done.remarks.startswith(said)
    assert done.remarks.count("\n") <= 1
    assert "fault of the harness" not in done.remarks


@pytest.mark.parametrize(
    ("words", "status"),
    [
        ("--help", 0),
        ("report --format json", 0),
        ("report", 0),
        ("compare first second --format json", 0),
        ("compare first second --format csv --budget 1%", 0),
    ],
)
def test_a_reader_that_stops_reading_does_not_change_the_exit_status(
    measured: Path, words: str, status: int
) -> None:
    """The reader closes its end before the command writes."""
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "harness", *words.split()],
            cwd=measured,
            stdout=writing,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            timeout=120,
        )
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (status, "")


def test_a_failed_trial_is_status_1_even_if_nobody_reads_the_output(tmp_path: Path) -> None:
    faulty = ("--plugin", "harness.testing.faulty", "-m", "faulty-raises", "-d", "threshold")
    words = ("run", *faulty, "-r", "1", "--no-progress")
    assert started(tmp_path, *words, redirect=">&-").status == 1
    assert started(tmp_path, *words, redirect=">/dev/full").status == 2


def test_characters_that_the_terminal_cannot_encode_are_escaped(measured: Path) -> None:
    done = started(measured, "report", "--format", "markdown", PYTHONIOENCODING="ascii")
    assert done.status == 0
    assert done.printed.isascii()


@pytest.mark.parametrize(
    "words", ["list kernels", "env --json", "runs", "report", "run --all", "ab . HEAD"]
)
def test_a_deleted_current_folder_is_a_one_line_error(tmp_path: Path, words: str) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    line = f'rmdir "{gone}"; exec "$0" -m harness "$@"'
    done = subprocess.run(
        ["bash", "-c", line, sys.executable, *words.split()],
        cwd=gone,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "harness: the current folder does not exist any more; change to another and try again\n"
    )


@pytest.mark.parametrize(
    "numbers", [(signal.SIGINT,) * 2, (signal.SIGINT, signal.SIGTERM), (signal.SIGTERM,) * 3]
)
def test_a_second_interrupt_has_the_same_effect_as_the_first(
    tmp_path: Path, numbers: tuple[signal.Signals, ...]
) -> None:
    (tmp_path / "mine.py").write_text(SLOW)
    words = ("run", "--plugin", "mine.py", "-d", "threshold", "-m", "slow", "--no-progress")
    process = subprocess.Popen(
        [sys.executable, "-m", "harness", *words],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    while not (tmp_path / "begun").exists():
        assert process.poll() is None
        time.sleep(0.01)
    for number in numbers:
        process.send_signal(number)
        time.sleep(0.02)
    printed, said = process.communicate(timeout=120)
    assert process.returncode == 128 + numbers[0]
    assert printed == ""
    assert "harness run --resume 1" in said
    assert "Traceback" not in said
    assert "fault" not in said


@pytest.mark.parametrize(
    "words", ["list kernels", "show slow", "env --json", "run --dry-run -d iris -m slow"]
)
def test_output_of_plugins_during_import_goes_to_stderr(tmp_path: Path, words: str) -> None:
    (tmp_path / "mine.py").write_text(SLOW)
    done = started(tmp_path, *words.split(), "--plugin", "mine.py")
    assert done.status == 0
    assert "hello" not in done.printed
    assert sorted(done.remarks.splitlines()) == ["hello ?[31m", "raw hello"]
