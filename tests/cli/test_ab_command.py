"""``harness ab`` as users see it: its output, its files, and its exit status."""

from __future__ import annotations

import csv
import io
import json
import math
import re
import subprocess
import sys
from contextlib import redirect_stdout
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import pytest
from command_line import complaint_of, environment, harness_in

from harness.analysis.changes import ChangeRow, change_rows, status
from harness.cli import changes
from harness.statistics.verdicts import judge
from harness.untrusted import cleaned
from harness.versions import pairs
from harness.versions.pairs import Design, PairedRun, TaskResult

if TYPE_CHECKING:
    from pathlib import Path

KERNELS = ("ab", "--kernel", "numpy-fast", "numpy-stable")
TINY = ("--shape", "100x3")


# Real processes

PLUGIN = """
import os
import harness

def softmax(logits):
    import numpy as np
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)

def wrong(logits):
    return softmax(logits) * 0.9

def raises(logits):
    raise ValueError("no <softmax> | today")

def crashes(logits):
    os.abort()

def exits(logits):
    raise SystemExit(0)

def reads(logits):
    input()

def hangs(logits):
    import time
    time.sleep(600)

def prints(logits):
    print("I am no JSON")
    return softmax(logits)


@harness.hookimpl
def harness_kernels():
    for run in (softmax, wrong, raises, crashes, exits, reads, hangs, prints):
        name = "my-" + run.__name__
        yield harness.Kernel(name, lambda array, device: array, run, lambda out: out)
"""


@pytest.mark.slow
def test_two_kernels_are_measured_alternately(folder: Path) -> None:
    done = harness_in(folder, *KERNELS, *TINY, "--time", "3s", "--format", "json")
    report = json.loads(done.printed)
    (row,) = report["rows"]
    assert (row["measure"], row["subject"]) == ("softmax", "numpy-fast | numpy-stable")
    assert (row["case"], row["device"]) == ("100x3 float32", "cpu")
    assert row["base"] > 0
    assert row["new"] > 0
    assert row["n"] == len(report["pairs"][0]["log_ratios"]) >= 1
    assert done.status == {"undecided": 3, "slower": 1}.get(row["verdict"], 0)
    assert "the second of two in this environment" in report["title"]


@pytest.mark.slow
def test_two_models_are_measured_alternately(folder: Path) -> None:
    words = ("ab", "--model", "numpy-softmax", "prior", "-d", "threshold", "--time", "3s")
    done = harness_in(folder, *words, "--format", "json", "--epochs", "20")
    rows = {row["measure"]: row for row in json.loads(done.printed)["rows"]}
    assert set(rows) == {"fit", "predict"}
    for row in rows.values():
        assert row["subject"] == "numpy-softmax | prior"
        assert row["case"] == "threshold"
        assert row["new"] < row["base"]
        assert row["change"] is None or row["change"] < 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kernel", "reason"),
    [
        ("my-wrong", "wrong: a probability differs from the reference by"),
        ("my-raises", "ValueError: no <softmax> | today"),
        ("my-crashes", "died of signal 6"),
        ("my-exits", "SystemExit: 0"),
        ("my-reads", "EOFError"),
    ],
)
def test_a_kernel_that_fails_on_the_new_side_is_status_1_with_the_reason(
    folder: Path, kernel: str, reason: str
) -> None:
    (folder / "mine.py").write_text(PLUGIN)
    words = ("ab", "--kernel", "my-softmax", kernel, *TINY, "--plugin", "mine.py", "--time", "2s")
    done = harness_in(folder, *words, "--format", "json")
    (row,) = json.loads(done.printed)["rows"]
    assert (row["verdict"], done.status) == ("failed", 1)
    assert reason in row["note"]
    assert row["base"] is None


@pytest.mark.slow
def test_a_kernel_that_hangs_is_stopped_after_the_time_limit(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pairs, "PATIENCE", 5.0)
    (folder / "mine.py").write_text(PLUGIN)
    words = ("ab", "--kernel", "my-softmax", "my-hangs", *TINY, "--plugin", "mine.py")
    done = harness_in(folder, *words, "--time", "8s", "--format", "json")
    (row,) = json.loads(done.printed)["rows"]
    assert (row["verdict"], done.status) == ("failed", 1)
    assert row["note"] == "did not answer within 8 s; a longer --time waits longer"


@pytest.mark.slow
def test_a_kernel_that_fails_on_the_base_side_is_not_measured(folder: Path) -> None:
    (folder / "mine.py").write_text(PLUGIN)
    words = ("ab", "--kernel", "my-crashes", "my-softmax", *TINY, "--plugin", "mine.py")
    done = harness_in(folder, *words, "--time", "2s")
    assert done.status == 4
    assert "not judged" in done.printed
    assert "it fails in the base: died of signal 6" in done.printed


@pytest.mark.slow
def test_output_of_a_plugin_does_not_disturb_the_measurement(folder: Path) -> None:
    (folder / "mine.py").write_text(PLUGIN)
    words = ("ab", "--kernel", "my-prints", "my-prints", *TINY, "--plugin", "mine.py")
    done = harness_in(folder, *words, "--time", "2s", "--undecided", "pass", "--format", "json")
    assert json.loads(done.printed)["rows"][0]["n"] >= 1


@pytest.mark.slow
def test_an_environment_without_the_harness_is_status_2(folder: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "empty"], check=True)
    done = harness_in(folder, "ab", "empty", "empty", "--kernel", "numpy-fast", *TINY)
    assert "side 'empty': its harness cannot be used: ModuleNotFoundError" in complaint_of(done)


def with_plugin(place: Path, plugin: str) -> None:
    """Make a virtual environment with the harness and an installed plugin."""
    about = environment(place, mine=plugin) / "mine-1.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: mine\nVersion: 1\n")
    (about / "entry_points.txt").write_text("[classification_harness]\nmine = mine\n")


@pytest.mark.slow
def test_a_side_whose_plugin_is_broken_is_status_2(folder: Path) -> None:
    """A broken plugin is an error, not a slowdown and not a removed kernel."""
    with_plugin(folder / "old", PLUGIN)
    with_plugin(folder / "new", "raise ImportError('broken')")
    with pytest.MonkeyPatch.context() as patch:
        # The command looks the kernel up in its own environment, too.
        patch.syspath_prepend(next((folder / "old").glob("lib/python*/site-packages")))
        words = ("--kernel", "my-softmax", "--kernel", "numpy-fast", *TINY, "--time", "3s")
        done = harness_in(folder, "ab", "old", "new", *words)
    complaint = complaint_of(done)
    assert "side 'new': no kernel 'my-softmax'; plugin 'mine'" in complaint
    assert "broken" in complaint


@pytest.mark.slow
def test_a_plugin_file_that_one_side_cannot_import_is_status_2(folder: Path) -> None:
    with_plugin(folder / "old", PLUGIN)
    with_plugin(folder / "new", PLUGIN)
    (site,) = (folder / "new").glob("lib/python*/site-packages")
    (site / "sidewise.py").write_text("raise ImportError('broken')")
    imports = "try:\n    import sidewise\nexcept ModuleNotFoundError:\n    pass\n"
    (folder / "file.py").write_text(imports + PLUGIN.replace('"my-"', '"your-"'))
    words = ("--kernel", "numpy-fast", *TINY, "--plugin", "file.py", "--time", "3s")
    done = harness_in(folder, "ab", "old", "new", *words)
    assert "side 'new': its harness cannot be used: PluginError" in complaint_of(done)


# The following tests start no process

NOISE = [0.001 * (-1) ** i * (1 + i / 10) for i in range(10)]
LOG_RATIOS = {
    "slower": [0.2 + noise for noise in NOISE],
    "faster": [noise - 0.2 for noise in NOISE],
    "same": NOISE,
    "undecided": [50 * noise for noise in NOISE],
}


@pytest.fixture
def fake_compare(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Replaces the measurement by verdicts that a test sets; keeps the sides and the plan."""
    told: dict[str, Any] = {"verdicts": ["same"]}

    def compare(sides: Any, plan: Design, registry: Any, **_: Any) -> PairedRun:
        told.update(sides=sides, plan=plan)
        outcomes = []
        for i, task in enumerate(plan.tasks):
            verdict = told["verdicts"][i % len(told["verdicts"])]
            ratios = LOG_RATIOS.get(verdict, ())
            change = judge(ratios, budget=plan.budget, alpha=plan.alpha) if ratios else None
            seconds = tuple([0.01] * len(ratios)), tuple(0.01 * math.exp(r) for r in ratios)
            why = {"failed": "ValueError: a|b", "only base": "no kernel"}.get(verdict, "")
            missing = (False, verdict == "only base")
            outcomes.append(TaskResult(task, tuple(ratios), seconds, change, ("", why), missing))
        return PairedRun(tuple(outcomes), 10, 12.3, "decided")

    monkeypatch.setattr(pairs, "compare_sides", compare)
    return told


TWO = (*KERNELS, "--shape", "5x3", "--shape", "100x3")


@pytest.mark.parametrize(
    ("verdicts", "more", "expected"),
    [
        (["same", "faster"], (), 0),
        (["same", "slower"], (), 1),
        (["undecided", "slower"], ("--undecided", "pass"), 1),
        (["undecided", "failed"], (), 1),
        (["undecided", "same"], (), 3),
        (["undecided", "same"], ("--undecided", "fail"), 3),
        (["undecided", "same"], ("--undecided", "pass"), 0),
        (["only base"], (), 4),
        (["only base", "same"], (), 0),
        (["nothing"], (), 3),
    ],
)
def test_the_exit_status_follows_from_the_verdicts(
    folder: Path,
    fake_compare: dict[str, Any],
    verdicts: list[str],
    more: tuple[str, ...],
    expected: int,
) -> None:
    fake_compare["verdicts"] = verdicts
    assert harness_in(folder, *TWO, *more).status == expected


def test_the_table_has_the_worst_row_first_and_the_detectable_difference(
    folder: Path, fake_compare: dict[str, Any]
) -> None:
    fake_compare["verdicts"] = ["same", "slower"]
    done = harness_in(folder, *TWO)
    lines = done.printed.splitlines()
    slower = next(i for i, line in enumerate(lines) if line.lstrip().startswith("slower"))
    same = next(i for i, line in enumerate(lines) if line.lstrip().startswith("same"))
    assert slower < same
    assert re.search(r"\+22\.\d% +\+2\d\.\d to \+2\d\.\d% +\d\.\d%", lines[slower])
    assert "1 slower, 1 same" in lines
    assert "visible: the smallest slowdown that would be found with 80% probability" in done.printed


def test_the_note_of_an_undecided_row_says_how_to_decide(
    folder: Path, fake_compare: dict[str, Any]
) -> None:
    fake_compare["verdicts"] = ["undecided"]
    assert re.search(r"about \d+ pairs of timings are needed", harness_in(folder, *KERNELS).printed)


def test_csv_has_one_line_per_row(folder: Path, fake_compare: dict[str, Any]) -> None:
    fake_compare["verdicts"] = ["same", "failed"]
    done = harness_in(folder, *TWO, "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(done.printed)))
    assert [row["verdict"] for row in rows] == ["failed", "same"]
    assert float(rows[1]["base"]) == 0.01
    assert rows[0]["note"] == "ValueError: a|b"


def test_json_has_the_ratio_of_each_pair_and_no_nan(
    folder: Path, fake_compare: dict[str, Any]
) -> None:
    fake_compare["verdicts"] = ["same", "failed"]
    text = harness_in(folder, *TWO, "--format", "json").printed
    document = json.loads(text, parse_constant=lambda name: pytest.fail(name))
    assert len(document["pairs"][0]["log_ratios"]) == 10
    assert document["rows"][0]["change"] is None


def test_a_file_is_markdown_and_the_table_is_printed(
    folder: Path, fake_compare: dict[str, Any]
) -> None:
    done = harness_in(folder, *TWO, "--output", "comment.md", "--junit", "tests.xml")
    comment = (folder / "comment.md").read_text()
    assert comment.startswith("### 2 same\n\nharness ab: ")
    assert "| verdict |" in comment
    assert "| verdict |" not in done.printed
    assert "2 same" in done.printed
    suite = ET.parse(folder / "tests.xml").getroot()
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("2", "0", "0")


@pytest.mark.parametrize("option", ["--output", "--junit"])
def test_results_are_printed_even_if_a_file_cannot_be_written(
    folder: Path, fake_compare: dict[str, Any], option: str
) -> None:
    done = harness_in(folder, *KERNELS, option, "/dev/full")
    assert done.status == 2
    assert "1 same" in done.printed
    assert done.remarks == "harness: cannot write to '/dev/full': No space left on device\n"


def test_every_line_of_a_markdown_table_has_the_same_number_of_cells(
    folder: Path, fake_compare: dict[str, Any]
) -> None:
    fake_compare["verdicts"] = ["failed", "undecided", "slower", "same"]
    words = ("ab", "--kernel", "numpy-fast", "numpy-stable", "--shape", "5x3", "--shape", "9x3")
    done = harness_in(
        folder, *words, "--dtype", "float32", "--dtype", "float64", "--format", "markdown"
    )
    table = [line for line in done.printed.splitlines() if line.startswith("|")]
    assert len(table) == 2 + 4
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in table} == {9}
    assert "**slower**" in table[2]
    assert "**failed**" in table[3]
    assert r"numpy-fast \| numpy-stable" in table[3]


def test_a_comment_starts_with_the_verdict_and_folds_the_details(
    folder: Path, fake_compare: dict[str, Any]
) -> None:
    fake_compare["verdicts"] = ["same", "slower"]
    lines = harness_in(folder, *TWO, "--format", "markdown").printed.splitlines()
    assert lines[0] == "### 1 slower, 1 same"
    assert lines[2].startswith("harness ab: the second of two")
    assert lines[4].startswith("| verdict |")
    fold = lines.index("<details><summary>How this was measured</summary>")
    assert lines[fold + 1] == ""  # without the empty line, GitHub would not read Markdown
    assert lines[fold + 2].startswith("10 pairs of processes in 12 s")
    assert lines[-1] == "</details>"
    assert not any("<details>" in line for line in lines[:fold])


def test_a_long_comment_folds_unchanged_rows() -> None:
    rows = [strange(f"m{i}", "same") for i in range(12)]
    text = changes.rendered(rows, "t", "markdown", [], {})
    assert "<details>" not in text
    rows += [strange("bad"), strange("perhaps", "undecided")]
    shown, folded = changes.rendered(rows, "t", "markdown", [], {}).split("<details>")
    assert shown.startswith("### 1 slower, 1 undecided, 12 same\n")
    assert shown.count("\n| ") == 2 + 2
    assert folded.startswith("<summary>12 same</summary>\n\n| verdict |")
    assert folded.count("| same |") == 12


def test_sides_and_options_reach_the_plan(folder: Path, fake_compare: dict[str, Any]) -> None:
    words = ("--time", "90s", "--budget", "5%", "--alpha", "0.02", "--seed", "7", "--threads", "2")
    harness_in(folder, "ab", sys.executable, sys.executable, *words, "--kernel", "numpy-fast")
    plan = fake_compare["plan"]
    assert (plan.seconds, plan.budget, plan.alpha) == (90.0, 0.05, 0.02)
    assert (plan.seed, plan.threads) == (7, 2)
    assert [task.key[:2] for task in plan.tasks] == [("softmax", "numpy-fast")]
    assert [side.python for side in fake_compare["sides"]] == [sys.executable] * 2


def test_a_kernel_named_twice_is_measured_once(folder: Path, fake_compare: dict[str, Any]) -> None:
    harness_in(folder, *KERNELS, "--shape", "5x3", "--shape", "5x3")
    assert len(fake_compare["plan"].tasks) == 1
    words = ("-m", "numpy-softmax", "-m", "numpy-*", "--only", "fit")
    harness_in(folder, "ab", sys.executable, sys.executable, *words)
    keys = [task.key for task in fake_compare["plan"].tasks]
    assert len(keys) == len(set(keys))


def test_by_default_a_softmax_and_two_models_are_measured(
    folder: Path, fake_compare: dict[str, Any]
) -> None:
    harness_in(folder, "ab", sys.executable, sys.executable)
    assert [task.key[0] for task in fake_compare["plan"].tasks] == [
        "softmax",
        *("fit", "predict"),
        *("fit", "predict"),
    ]


BAD = [
    ((), "ab compares exactly two"),
    (("HEAD",), "ab compares exactly two"),
    (("a", "b", "c"), "ab compares exactly two"),
    (("--kernel", "numpy-fast"), "ab compares exactly two"),
    (("--kernel", "a", "--model", "b"), "ab compares exactly two"),
    (("--kernel", "numpy-fast", "numpy-fats"), "did you mean 'numpy-fast'"),
    (("--model", "numpy-softmax", "numpy-sotfmax"), "did you mean 'numpy-softmax'"),
    (("--model", "numpy-softmax", "*"), "a side needs exactly one"),
    (("--model", "numpy-softmax", "prior", "-d", "irsi"), "did you mean 'iris'"),
    ((*KERNELS[1:], "-d", "iris"), "leave out --dataset"),
    ((*KERNELS[1:], "--only", "fit"), "--only fit leaves nothing to measure"),
    ((*KERNELS[1:], "--only", "fti"), "'fti' is none of softmax, fit, predict"),
    ((*KERNELS[1:], "--shape", "5"), "'5' is no shape"),
    ((*KERNELS[1:], "--dtype", "float16"), "'float16' is not one of"),
    ((*KERNELS[1:], "--time", "soon"), "'soon' is not a time"),
    ((*KERNELS[1:], "--time", "-1s"), "is not a time"),
    ((*KERNELS[1:], "--budget", "300%"), "is not a percentage above 0%"),
    ((*KERNELS[1:], "--alpha", "0"), "0"),
    ((*KERNELS[1:], "--alpha", "nan"), "nan is no number"),
    ((*KERNELS[1:], "--device", "tpu"), "no device 'tpu' on this machine"),
    (("a", "b", "--device", "tpu"), "no device 'tpu' on this machine"),
    ((*KERNELS[1:], "--threads", "0"), "0 is not in the range"),
    ((*KERNELS[1:], "--output", "no/where.md"), "its folder does not exist"),
    ((*KERNELS[1:], "--junit", "no/where.xml"), "its folder does not exist"),
    ((*KERNELS[1:], "--junit", "."), "is a directory"),
    ((*KERNELS[1:], "--plugin", "none.py"), "'none.py' does not exist"),
    (("--model", "numpy-softmax", "prior", "--shape", "5x3"), "are for kernels"),
    (("nonsense", "HEAD"), "'nonsense' is neither a Python interpreter"),
]


@pytest.mark.parametrize(("words", "complaint"), BAD)
def test_bad_input_is_a_one_line_error_with_status_2(
    folder: Path, fake_compare: dict[str, Any], words: tuple[str, ...], complaint: str
) -> None:
    assert complaint in complaint_of(harness_in(folder, "ab", *words))
    assert "plan" not in fake_compare
    assert not list(folder.iterdir())


# Strange names

STRANGE = [
    "a|b",
    "<img src=x onerror=alert(1)>",
    "😀 & &lt; `code`",
    "[link](https://example.org) **bold**",
    "line\nbreak\tand\0nul \udcff",
    "x\\|y",
]


def strange(name: str, verdict: Any = "slower") -> ChangeRow:
    return ChangeRow("fit", name, name, "cpu", 1.0, 2.0, verdict, 1.0, 0.5, 1.5, 0.1, 10, note=name)


@pytest.mark.parametrize("name", STRANGE)
def test_markdown_shows_strange_names_unchanged(name: str) -> None:
    text = changes.rendered([strange(name)], f"title {name}", "markdown", [f"remark {name}"], {})
    (line,) = [line for line in text.splitlines() if line.startswith("| **slower**")]
    assert len(re.findall(r"(?<!\\)(?:\\\\)*\|", line)) == 9
    assert not re.search(r"(?<!\\)(?:\\\\)*[<`\[&]", text)
    shown = cleaned(" ".join(name.split()))
    assert re.sub(r"\\([^\w\s])", r"\1", line).count(shown) == 3
    text.encode()


@pytest.mark.parametrize("name", STRANGE)
@pytest.mark.parametrize("verdict", ["slower", "failed", "undecided", "only base", "same"])
def test_junit_holds_strange_names_and_is_xml(tmp_path: Path, name: str, verdict: str) -> None:
    changes.write_junit([strange(name, verdict)], name, tmp_path / "tests.xml")
    suite = ET.parse(tmp_path / "tests.xml").getroot()
    (case,) = suite
    printable = name.replace("\0", "?").replace("\udcff", "?")
    assert printable in (case.get("name") or "")
    kinds = {"slower": ["failure"], "failed": ["failure"], "same": []}
    assert [child.tag for child in case] == kinds.get(verdict, ["skipped"])
    for child in case:
        assert (child.get("message") or "").startswith(verdict)
    counts = [int(suite.get(name) or 0) for name in ("tests", "failures", "errors", "skipped")]
    assert counts == [1, int(verdict in ("slower", "failed")), 0, int(kinds.get(verdict) is None)]


@pytest.mark.parametrize("style", ["markdown", "csv", "json"])
def test_strange_names_are_written_to_a_file(tmp_path: Path, style: str) -> None:
    from harness.cli.options import Verdicts

    file = tmp_path / "out"
    verdicts = Verdicts(0.03, 0.01, style, file, tmp_path / "tests.xml", False)
    printed = io.StringIO()
    with redirect_stdout(printed):
        verdicts.show([strange(name) for name in STRANGE], "title", [], {})
    assert "😀" in file.read_text() or "\\ud83d" in file.read_text()


def test_a_failure_without_numbers_has_a_readable_message_in_junit(tmp_path: Path) -> None:
    row = ChangeRow("fit", "m", "d", "cpu", math.nan, math.nan, "failed", note="ValueError: no")
    changes.write_junit([row], "t", tmp_path / "tests.xml")
    (case,) = ET.parse(tmp_path / "tests.xml").getroot()
    assert case[0].get("message") == "failed: ValueError: no"


def test_without_measurements_every_format_has_a_title() -> None:
    assert changes.rendered([], "title", "markdown", [], {}) == (
        "### the two sides have no measurement in common\n\ntitle\n"
    )
    assert json.loads(changes.rendered([], "title", "json", [], {}))["rows"] == []
    assert status([]) == 4
    assert change_rows([], budget=0.03, alpha=0.01) == []


@pytest.mark.parametrize(
    ("base", "new", "shown"),
    [
        (1.5, 0.9, ("1500 ms", "900 ms")),
        (2e-6, 3e-3, ("2 µs", "3000 µs")),
        (5e-9, 5e-9, ("0.005 µs", "0.005 µs")),
        (12345.6, 1.0, ("12346 s", "1 s")),
        (math.nan, 0.01, ("", "10 ms")),
    ],
)
def test_times_are_read_without_exponents(base: float, new: float, shown: tuple[str, str]) -> None:
    row = ChangeRow("fit", "m", "d", "cpu", base, new, "same")
    assert changes.cells_of(row)[3:5] == shown
