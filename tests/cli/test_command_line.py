"""The command line, as users see it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest
from command_line import complaint_of, harness_in

from harness.cli import main

if TYPE_CHECKING:
    Harness = Any

PLUGIN = """\
import os
import time
from pathlib import Path
import harness

class Half:
    def fit(self, X, y):
        self.K = int(y.max()) + 1
    def predict_proba(self, X):
        return [[1 / self.K] * self.K for _ in X]

class Slow(Half):
    def fit(self, X, y):
        here = Path(__file__).parent
        (here / f"fit-{os.getpid()}-{time.monotonic_ns()}").touch()
        while (here / "hold").exists() and len(list(here.glob("fit-*"))) > 4:
            time.sleep(0.01)
        super().fit(X, y)

@harness.hookimpl
def harness_models():
    yield harness.Model("half", lambda setting: Half())
    yield harness.Model("slow", lambda setting: Slow())
"""


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> Harness:
    """A function that runs a command and returns its exit status, stdout and stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HARNESS_STORE", raising=False)
    monkeypatch.setenv("COLUMNS", "80")
    (tmp_path / "mine.py").write_text(PLUGIN)

    def call(*words: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as stop:
            main(list(words))
        printed = capsys.readouterr()
        return int(stop.value.code or 0), printed.out, printed.err

    return call


QUICK = ("run", "-d", "threshold", "-m", "numpy-softmax", "-r", "2")


def quick(*more: str) -> tuple[str, ...]:
    """A run that starts no process, for tests of what is printed or stored."""
    return (*QUICK, "--in-process", *more)


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose store has one run, which no test changes."""
    folder = tmp_path_factory.mktemp("measured")
    assert harness_in(folder, *quick()).status == 0
    return folder


def test_a_run_prints_ranked_tables_and_a_report_prints_the_same_tables(cli: Harness) -> None:
    status, printed, remarks = cli(*QUICK)
    assert status == 0
    assert "threshold" in printed
    assert "numpy-softmax" in printed
    assert "prior" in printed
    assert "uniform" in printed
    assert "run 1 is in harness.db" in remarks
    again = cli("report")
    assert again[:2] == (0, printed)


def test_the_error_of_an_empty_selection_says_what_to_add(cli: Harness) -> None:
    status, _, complaint = cli("run")
    assert status == 2
    assert "add --all, or -d and -m" in complaint


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("run", "-d", "irsi"), "no dataset matches 'irsi': did you mean 'iris'"),
        (("run", "-m", "numpy-sofmax"), "did you mean 'numpy-softmax'"),
        (("run", "-m", "numpy-softmax[l3=1]"), "no parameter 'l3': did you mean 'l2'"),
        (("run", "-m", "numpy-softmax[l2=much]"), "l2=much is not float"),
        (("run", "-m", "numpy-softmax[l2]"), "'l2' is no parameter=value"),
        (("run", "-m", "numpy-softmax[l2=1"), "a bracket or a quote is not closed"),
        (("run", "-d", "nothing:*"), "no dataset matches 'nothing:*'"),
        (("run", "--all", "-d", "iris"), "--all selects every dataset"),
        (("run", "--all", "--timeout", "soon"), "'soon' is not a time"),
        (("run", "--all", "--memory", "lots"), "'lots' is not a size"),
        (("run", "--all", "-r", "0"), "'0' is neither a whole number from 1 nor auto"),
        (("run", "--all", "--device", "cdua"), "no model computes on a device 'cdua'"),
        (("run", "--all", "--plugin", "none.py"), "'none.py' does not exist"),
        (("run", "--all", "--pdb"), "--pdb needs --in-process"),
        (("run", "--all", "--store", "no/where.db"), "folder does not exist"),
        (("run", "--resume", "--all"), "leave out --all"),
        (("run", "--resume", "-r", "3"), "leave out --repeats"),
        (("run", "--resume", "7"), "store 'harness.db' does not exist"),
        (("rnu",), "No such command 'rnu'"),
        (("show", "irsi"), "did you mean 'iris'"),
        (("check", "irsi"), "did you mean 'iris'"),
        (("report", "--store", "none.db"), "does not exist"),
        (("report", "--format", "word"), "has no format word"),
        (("runs", "delete", "5"), "does not exist"),
    ],
)
def test_bad_input_is_a_one_line_error_with_status_2(
    cli: Harness, words: tuple[str, ...], complaint: str
) -> None:
    status, printed, said = cli(*words)
    assert status == 2
    assert not printed
    assert said.startswith("harness: ")
    assert said.count("\n") == 1
    assert complaint in said


def test_markup_from_plugins_in_an_error_is_printed_as_text(cli: Harness, tmp_path: Path) -> None:
    (tmp_path / "odd.py").write_text("raise RuntimeError('needs [torch] [/] extras')")
    _, _, said = cli("list", "--plugin", "odd.py")
    assert "needs [torch] [/] extras" in said


def test_an_internal_error_is_status_2_and_not_a_regression(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Status 1 would mean to a script that a kernel is slower or a trial failed."""

    def broken(*_: object) -> None:
        raise ZeroDivisionError("of ours")

    monkeypatch.setattr("harness.cli.options.open_store", broken)
    done = harness_in(tmp_path, "compare", "previous", "last")
    assert "a fault of the harness itself: ZeroDivisionError: of ours" in complaint_of(done)


def test_debug_shows_the_traceback_before_the_line(cli: Harness) -> None:
    status, printed, said = cli("--debug", "run", "-d", "irsi")
    assert (status, printed) == (2, "")
    assert said.startswith("Traceback (most recent call last)")
    assert said.splitlines()[-1].startswith("harness: no dataset matches 'irsi'")


def test_a_failed_trial_gives_status_1_a_footer_and_a_traceback_on_request(cli: Harness) -> None:
    words = ("--plugin", "harness.testing.faulty", "-m", "faulty-raises", "-r", "1")
    status, printed, _ = cli("run", "-d", "threshold", *words)
    assert status == 1
    assert "ValueError: faulty-raises raises" in " ".join(printed.split())
    status, printed, _ = cli("show", "1", "--failures")
    assert status == 0
    assert "Traceback (most recent call last)" in printed


def test_a_broken_dataset_gives_status_2_and_the_other_datasets_run(cli: Harness) -> None:
    words = ("--plugin", "harness.testing.faulty", "-d", "faulty-one-class", "-d", "threshold")
    status, printed, _ = cli("run", *words, "-m", "prior", "-r", "2")
    assert status == 2
    assert "one class only" in printed
    status, printed, _ = cli("runs")
    assert "4 failed, 4 ok" in re.sub(r"\s+", " ", printed)


@pytest.mark.parametrize(
    "dataset", ["one-class", "nan-labels", "no-rows", "test-only-class", "raises", "ragged"]
)
def test_the_error_of_a_dataset_says_how_it_breaks_the_contract(cli: Harness, dataset: str) -> None:
    status, _, complaint = cli("show", f"faulty-{dataset}", "--plugin", "harness.testing.faulty")
    assert status == 2
    assert complaint.startswith(f"harness: dataset 'faulty-{dataset}': ")
    assert complaint.count("\n") == 1


def test_a_test_part_that_lacks_a_class_is_scored_with_all_columns(cli: Harness) -> None:
    words = ("--plugin", "harness.testing.faulty", "-d", "faulty-no-class-in-test")
    status, printed, _ = cli("run", *words, "-m", "numpy-softmax", "-r", "1", "--json")
    assert status == 0
    ranking = json.loads(printed)["tables"]["ranking"]
    assert {row["ok"] for row in ranking} == {1}


def test_a_missing_device_is_skipped_with_the_reason(cli: Harness) -> None:
    pytest.importorskip("torch")
    words = ("-d", "threshold", "-m", "torch-mlp", "--device", "xpu", "-r", "1")
    status, printed, _ = cli("run", *words)
    assert status == 0
    assert "no XPU device here" in re.sub(r"\s+", " ", printed)


def test_a_selection_that_cannot_run_gives_status_4(cli: Harness, tmp_path: Path) -> None:
    (tmp_path / "needy.py").write_text(
        "import harness\n"
        "@harness.hookimpl\n"
        "def harness_datasets():\n"
        "    yield harness.Dataset('far', 'fixed', lambda rng: None, requires=('nowhere',))\n"
    )
    status, printed, _ = cli("run", "-d", "far", "--plugin", "needy.py")
    assert status == 4
    assert "needs 'nowhere', which is not installed" in re.sub(r"\s+", " ", printed)


def test_a_dry_run_prints_the_trials_and_stores_nothing(cli: Harness, tmp_path: Path) -> None:
    status, printed, _ = cli(*quick("--dry-run"))
    assert status == 0
    assert "6 trials to run, 0 model-dataset pairs skipped" in printed
    assert not (tmp_path / "harness.db").exists()


def test_a_dry_run_with_auto_repeats_says_that_it_counts_the_most(cli: Harness) -> None:
    words = ("run", "-d", "threshold", "-m", "numpy-softmax", "-r", "auto", "--dry-run")
    status, printed, remarks = cli(*words)
    assert status == 0
    assert "at most 120 trials to run" in printed
    assert "each dataset gets 5 repeats, and 10, 20, 40 where the best may be tied" in remarks


def test_a_dry_run_refuses_json(cli: Harness) -> None:
    status, printed, remarks = cli(*quick("--dry-run", "--json"))
    assert (status, printed) == (2, "")
    assert "--dry-run has no tables to print as JSON; leave --json out" in remarks


def test_with_json_nothing_else_is_printed(cli: Harness) -> None:
    status, printed, _ = cli(*quick("--json"))
    assert status == 0
    assert {"ranking", "accuracy", "likelihood"} <= set(json.loads(printed)["tables"])


def test_several_values_of_a_parameter_are_several_models(cli: Harness) -> None:
    _, printed, _ = cli("run", "-d", "threshold", "-m", "numpy-softmax[l2=0.1|1]", "--dry-run")
    assert "numpy-softmax[l2=0.1]" in printed
    assert "numpy-softmax[l2=1.0]" in printed


def test_the_command_line_overrides_the_environment_which_overrides_the_file(
    cli: Harness, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pyproject.toml").write_text(
        '[tool.harness]\nplugins = ["mine.py"]\nstore = "file.db"\n'
        '[tool.harness.run]\ndatasets = ["threshold"]\nmodels = ["half"]\nrepeats = 3\n'
    )
    _, printed, _ = cli("run", "--dry-run")
    assert "9 trials" in printed
    monkeypatch.setenv("HARNESS_RUN_REPEATS", "4")
    _, printed, _ = cli("run", "--dry-run")
    assert "12 trials" in printed
    _, printed, _ = cli("run", "--dry-run", "-r", "1")
    assert "3 trials" in printed
    cli("run", "-r", "1")
    assert (tmp_path / "file.db").exists()
    monkeypatch.setenv("HARNESS_STORE", "environment.db")
    cli("run", "-r", "1")
    assert (tmp_path / "environment.db").exists()
    cli("run", "-r", "1", "--store", "line.db")
    assert (tmp_path / "line.db").exists()


def test_tables_are_written_as_csv_and_parquet(measured: Path, tmp_path: Path) -> None:
    import pandas as pd

    assert harness_in(measured, "report", "--output", str(tmp_path / "out")).status == 0
    csv = pd.read_csv(tmp_path / "out" / "ranking.csv")
    parquet = pd.read_parquet(tmp_path / "out" / "ranking.parquet")
    assert list(csv.columns) == list(parquet.columns)
    assert set(csv["model"]) == {"numpy-softmax", "prior", "uniform"}


@pytest.mark.parametrize("style", ["rich", "markdown", "csv", "json", "latex"])
def test_every_format_names_the_models_and_has_no_colours(measured: Path, style: str) -> None:
    done = harness_in(measured, "report", "--format", style)
    assert done.status == 0
    assert "numpy-softmax" in done.printed
    assert "\x1b" not in done.printed


def test_runs_are_listed_and_deleted(cli: Harness) -> None:
    cli(*quick("--name", "first"))
    cli(*quick("--name", "second"))
    _, printed, _ = cli("runs")
    assert "first" in printed
    assert "complete" in printed
    status, printed, _ = cli("runs", "delete", "first")
    assert (status, printed) == (0, "deleted run 1 (first)\n")
    _, printed, _ = cli("runs")
    assert "first" not in printed


@pytest.mark.parametrize("kind", ["datasets", "models", "kernels", "devices", "reports", "plugins"])
def test_every_kind_of_plugin_value_can_be_listed(cli: Harness, kind: str) -> None:
    status, printed, _ = cli("list", kind)
    assert status == 0
    assert kind in printed


def test_a_dataset_is_shown_with_its_facts_and_source(cli: Harness) -> None:
    status, printed, _ = cli("show", "penguins")
    assert status == 0
    for word in ("Adelie", "island", "CC0", "Gorman", "resampled", "classification-harness"):
        assert word in printed


def test_a_model_is_shown_with_its_parameters_and_needs(cli: Harness) -> None:
    status, printed, _ = cli("show", "torch-mlp")
    assert status == 0
    for word in ("hidden", "learning_rate", "scaled", "cpu, cuda", "classification-harness"):
        assert word in printed


def test_long_parameters_are_wrapped_never_cut(cli: Harness, tmp_path: Path) -> None:
    """Names and defaults that were wider than 80 columns ended in an ellipsis."""
    name = "a_parameter_whose_name_is_longer_than_a_column_of_the_table"
    plugin = f"""
import harness


def make(task, {name}="x", sizes=({", ".join(str(n) for n in range(100, 120))})):
    pass


@harness.hookimpl
def harness_models():
    yield harness.Model("wide", make)
"""
    (tmp_path / "wide.py").write_text(plugin)
    status, printed, _ = cli("show", "wide", "--plugin", str(tmp_path / "wide.py"))
    assert status == 0
    assert "…" not in printed
    assert max(map(len, printed.splitlines())) <= 80
    for word in ("a_parameter_whose", "sizes", "100x101x102", "119"):
        assert word in printed


@pytest.mark.parametrize(("name", "n_more"), [("penguins", 3), ("breast-cancer", 27)])
def test_first_rows_have_whole_names_and_the_number_of_the_other_columns(
    cli: Harness, name: str, n_more: int
) -> None:
    _, printed, _ = cli("show", name)
    assert f"+{n_more} more" in printed
    (head,) = (line for line in printed.splitlines() if "more   class" in line)
    n_shown = len(re.split(r" {3,}", head.strip())) - 2
    rows = printed.splitlines()[printed.splitlines().index(head) + 2 :][:5]
    assert all(len(row.split()) == n_shown + 2 for row in rows)


def test_a_model_from_a_file_is_shown_with_the_file(cli: Harness, tmp_path: Path) -> None:
    _, printed, _ = cli("show", "half", "--plugin", "mine.py")
    assert "mine.py" in printed


def test_each_check_is_one_line_even_if_the_model_crashes(cli: Harness) -> None:
    status, printed, _ = cli("check", "half", "--plugin", "mine.py")
    assert status == 0
    assert "0 failed" in printed
    words = ("--plugin", "harness.testing.faulty", "--plugin", "mine.py")
    status, printed, _ = cli("check", "faulty-abort", "half", *words)
    assert status == 1
    assert "died of SIGABRT" in printed
    assert "pass half" in printed


def test_the_environment_is_printed(cli: Harness) -> None:
    status, printed, _ = cli("env", "--json")
    assert status == 0
    assert {"machine", "python", "packages", "project", "plugins"} <= set(json.loads(printed))
    assert cli("env")[0] == 0


def start(folder: Path, *words: str) -> subprocess.Popen[str]:
    """Start a command in its own process, so that a test can interrupt it."""
    return subprocess.Popen(
        [sys.executable, "-m", "harness", *words],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


SLOW = ("run", "--plugin", "mine.py", "-d", "threshold", "-m", "slow", "-r", "12", "-j", "2")


def held(folder: Path) -> subprocess.Popen[str]:
    """A running command that stops after a few trials and waits for the test."""
    (folder / "hold").touch()
    return start(folder, *SLOW)


def wait_for_results(cli: Harness, at_least: int) -> None:
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        _, printed, _ = cli("runs")
        counted = re.search(r"(\d+) ok", printed)
        if counted and int(counted[1]) >= at_least:
            return
        time.sleep(0.05)
    raise AssertionError("no results came")


def scores(cli: Harness, run: str) -> list[dict[str, Any]]:
    status, printed, _ = cli("report", run, "--format", "json")
    assert status == 0
    measured = ("seconds", "milliseconds", "microseconds", "bytes", "runs")
    return [
        {key: value for key, value in row.items() if not any(word in key for word in measured)}
        for row in json.loads(printed)["tables"]["ranking"]
    ]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_keeps_finished_trials_and_says_how_to_resume(
    cli: Harness, tmp_path: Path, number: signal.Signals
) -> None:
    process = held(tmp_path)
    wait_for_results(cli, 1)
    process.send_signal(number)
    _, said = process.communicate(timeout=120)
    (tmp_path / "hold").unlink()
    assert process.returncode == 128 + number
    assert "harness run --resume 1" in said
    status, _, remarks = cli("run", "--resume")
    assert status == 0
    assert "left" in remarks
    _, printed, _ = cli("runs")
    assert "complete" in printed
    assert "36 ok" in printed


def test_a_killed_and_resumed_run_has_the_tables_of_an_uninterrupted_run(
    cli: Harness, tmp_path: Path
) -> None:
    process = held(tmp_path)
    wait_for_results(cli, 3)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    (tmp_path / "hold").unlink()
    assert cli("run", "--resume")[0] == 0
    assert cli(*SLOW)[0] == 0
    assert scores(cli, "1") == scores(cli, "2")


def test_a_run_whose_plugin_has_changed_resumes_only_with_accept_changes(
    cli: Harness, tmp_path: Path
) -> None:
    words = ("run", "--plugin", "mine.py", "-d", "threshold", "-m", "half", "-r", "1")
    cli(*words)
    (tmp_path / "mine.py").write_text(PLUGIN + "\n# changed\n")
    status, _, said = cli("run", "--resume")
    assert status == 2
    assert "the code of plugin 'mine" in said
    assert "--accept-changes" in said
    assert cli("run", "--resume", "--accept-changes")[0] == 0


def test_two_runs_can_write_to_a_store_at_the_same_time(cli: Harness, tmp_path: Path) -> None:
    words = ("run", "-d", "threshold", "-m", "prior", "-r", "20", "-j", "1", "--fresh")
    both = [start(tmp_path, *words) for _ in range(2)]
    for process in both:
        _, said = process.communicate(timeout=300)
        assert process.returncode == 0, said
    _, printed, _ = cli("runs")
    assert printed.count("40 ok") == 2


ODD = """\
import os, time
import harness

class Half:
    def fit(self, X, y):
        self.K = int(y.max()) + 1
    def predict_proba(self, X):
        return [[1 / self.K] * self.K for _ in X]

class Forks(Half):
    def fit(self, X, y):
        super().fit(X, y)
        if os.fork() != 0:
            time.sleep(0.5)

class Repeats(Half):
    def fit(self, X, y, monitor=None):
        super().fit(X, y)
        for epoch in (1, 1, 2):
            monitor(epoch, lambda X: [[-1.0] * self.K for _ in X])

class Patches(Half):
    def fit(self, X, y):
        import numpy as np
        super().fit(X, y)
        np.log = None

@harness.hookimpl
def harness_models():
    yield harness.Model("forks", lambda setting: Forks())
    yield harness.Model("repeats", lambda setting: Repeats())
    yield harness.Model("patches", lambda setting: Patches())
    yield harness.Model("slow", lambda setting: Half())
"""


@pytest.mark.parametrize(("model", "status"), [("forks", 0), ("repeats", 1), ("patches", 0)])
def test_a_misbehaving_model_does_not_affect_other_trials(
    cli: Harness, tmp_path: Path, model: str, status: int
) -> None:
    (tmp_path / "odd.py").write_text(ODD)
    words = ("run", "--plugin", "odd.py", "-d", "threshold", "-m", model, "-m", "slow", "-r", "2")
    exit_status, printed, _ = cli(*words, "-j", "1", "--json")
    assert exit_status == status
    ranking = {row["model"]: row for row in json.loads(printed)["tables"]["ranking"]}
    assert {name: ranking[name]["ok"] for name in ("slow", "prior", "uniform")} == {
        "slow": 2,
        "prior": 2,
        "uniform": 2,
    }
    assert ranking[model]["total"] == 2
    _, printed, _ = cli("runs")
    assert "complete" in printed


def test_a_hung_trial_does_not_outlive_a_killed_coordinator(cli: Harness, tmp_path: Path) -> None:
    faulty = ("--plugin", "harness.testing.faulty", "-m", "faulty-endless-c-loop")
    process = start(tmp_path, "run", "-d", "threshold", *faulty, "-r", "1", "-j", "1")
    deadline = time.monotonic() + 300
    while max(workers_of(tmp_path), default=0.0) < 0.5:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    while workers_of(tmp_path):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def workers_of(folder: Path) -> list[float]:
    """Processor seconds of the supervisors and their children whose current folder is this one."""
    workers = []
    for process in psutil.process_iter():
        try:
            if process.cwd() == str(folder) and "harness.processes" in " ".join(process.cmdline()):
                workers.append(float(process.cpu_times().user))
        except psutil.Error:  # it has ended meanwhile
            continue
    return workers


def test_a_plugin_given_twice_is_loaded_once(cli: Harness) -> None:
    words = ("--plugin", "mine.py", "--plugin", "./mine.py", "--plugin", "harness_toys")
    status, printed, _ = cli("list", "models", *words)
    assert status == 0
    assert printed.count("half") == 1


def test_resuming_a_complete_run_changes_nothing(cli: Harness, tmp_path: Path) -> None:
    words = ("run", "--plugin", "mine.py", "-d", "threshold", "-m", "half", "-r", "1")
    cli(*words)
    before = cli("show", "1", "--plugin", "mine.py")
    (tmp_path / "mine.py").write_text(PLUGIN + "\n# changed\n")
    assert cli("run", "--resume", "--accept-changes")[0] == 0
    assert cli("show", "1", "--plugin", "mine.py") == before


def test_a_wrong_name_creates_no_store(cli: Harness, tmp_path: Path) -> None:
    cli("run", "-d", "irsi")
    assert not (tmp_path / "harness.db").exists()


def test_a_closed_pipe_is_not_a_failure(tmp_path: Path) -> None:
    line = f"{sys.executable} -m harness list | head -n 1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", line], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_full_disk_is_a_one_line_error(tmp_path: Path) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "harness", "list"],
            cwd=tmp_path,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 2
    assert done.stderr == "harness: the output cannot be written: No space left on device\n"


def test_with_in_process_a_trial_runs_in_this_process(cli: Harness) -> None:
    status, printed, _ = cli(*quick())
    assert status == 0
    assert "numpy-softmax" in printed


def test_the_debugger_starts_where_a_trial_failed(
    cli: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    import pdb

    stood = []
    monkeypatch.setattr(pdb, "post_mortem", lambda traceback: stood.append(traceback))
    words = ("--plugin", "harness.testing.faulty", "-m", "faulty-raises", "-r", "1")
    status, _, _ = cli("run", "-d", "threshold", *words, "--in-process", "--pdb")
    assert status == 1
    assert len(stood) == 1


def test_a_run_has_every_given_train_size(cli: Harness) -> None:
    words = ("-d", "threshold", "-m", "numpy-softmax", "-r", "2", "--in-process")
    status, printed, _ = cli("run", *words, "--train-sizes", "10,20", "--json")
    assert status == 0
    rows = json.loads(printed)["tables"]["ranking"]
    sizes = {(row["dataset"], row["n_train"]) for row in rows}
    assert sizes == {("threshold[train_size=10]", 10), ("threshold[train_size=20]", 20)}


@pytest.mark.parametrize("given", ["0", "ten", "5,,6", "-3", "1e3"])
def test_train_sizes_that_are_not_numbers_are_a_one_line_error(cli: Harness, given: str) -> None:
    status, _, said = cli("run", "-d", "iris", "--train-sizes", given)
    assert status == 2
    assert "no whole number from 1" in said


def test_nothing_that_the_command_line_imports_has_to_be_called_at_exit() -> None:
    """`main` ends the process before what was registered before it."""
    code = "import atexit, harness.cli; print(atexit._ncallbacks())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "0\n"
