"""``harness track``, as users see it."""

from __future__ import annotations

import csv
import io
import json
import math
import re
import shutil
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from command_line import commit, complaint_of, harness_in, run_git
from histories import point

from harness.analysis.history import CAUTION
from harness.statistics.verdicts import judge
from harness.store.database import Store
from harness.versions.pairs import Design, PairedRun, TaskResult
from harness.versions.sides import Side, side_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from harness.contract.values import Point

DATA = Path(__file__).parents[1] / "data" / "benchmarks"
MEASUREMENTS = Path(__file__).parents[2] / "docs" / "measurements"
FILES = ("pytest_benchmark.json", "pyperf.json", "asv")
SMALL = ("--kernel", "numpy-fast", "--shape", "100x3")
RECORD = ("track", "record", "--anchor", "kernel:numpy-stable", *SMALL)


PLUGIN = """
import harness

@harness.hookimpl
def harness_kernels():
    yield harness.Kernel("mine", lambda a, _: a, lambda a: a, lambda a: a, by_default=False)
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("harness.versions.record.FEWEST", 1)  # a test has no time for more pairs
    return tmp_path


def points_in(folder: Path) -> list[Point]:
    with closing(Store(str(folder / "harness.db"))) as store:
        return store.points()


def keep(folder: Path, points: Iterable[Point]) -> None:
    with closing(Store(str(folder / "harness.db"), create=True)) as store:
        store.add_points(points)


# Showing


def stepped() -> list[Point]:
    noise = 0.005 * np.random.default_rng(3).standard_normal(30)
    return [point(day, float(noise[day]) + 0.1 * (day >= 18)) for day in range(30)]


def test_a_step_is_shown_with_its_date_size_and_certainty(folder: Path) -> None:
    keep(folder, stepped())
    done = harness_in(folder, "track")
    assert (done.status, done.remarks) == (0, "")
    (line,) = [line for line in done.printed.splitlines() if "fit mlp, iris" in line]
    assert "+10." in line
    assert "firm" in line
    assert "2026-01-19" in line
    assert "ratios to the anchor a." in done.printed
    assert "A step may be a false alarm." in done.printed


def test_json_has_all_points_and_steps(folder: Path) -> None:
    keep(folder, [*stepped(), point(0, 0.9, measure="accuracy", low=math.nan, seconds=math.nan)])
    done = harness_in(folder, "track", "--format", "json")
    segments = json.loads(done.printed, parse_constant=lambda name: pytest.fail(name))
    assert [len(segment["points"]) for segment in segments] == [30, 1]
    assert [(step["firm"], step["state"]) for step in segments[0]["steps"]] == [(True, "firm")]


def test_csv_and_markdown_have_one_line_per_step(folder: Path) -> None:
    keep(folder, [*stepped(), point(0, 0.9, measure="accuracy", subject="a|b <c>")])
    rows = list(csv.reader(io.StringIO(harness_in(folder, "track", "--format", "csv").printed)))
    assert len(rows) == 3
    assert {len(row) for row in rows} == {15}
    step = dict(zip(*rows[:2], strict=True))
    assert float(step["low"]) < float(step["step"]) < float(step["high"])
    assert (step["measure"], step["subject"], step["firm"]) == ("fit", "mlp", "True")
    assert step["state"] == "firm"
    lines = harness_in(folder, "track", "--format", "markdown").printed.splitlines()
    assert [bool(line) for line in lines] == [True] * 4 + [False, True]
    assert r"a\|b \<c\>" in lines[3]


def cautions(folder: Path) -> dict[str, list[str]]:
    """The sentence about false steps in each format."""
    printed = {
        style: harness_in(folder, "track", "--format", style).printed
        for style in ("rich", "markdown", "csv", "json")
    }
    rows = csv.DictReader(io.StringIO(printed["csv"]))
    whole = {style: " ".join(printed[style].split()) for style in ("rich", "markdown")}
    return {
        **{
            style: re.findall(r"A step may be a false alarm\..*noise\.", whole[style])
            for style in whole
        },
        "csv": [row["caution"] for row in rows if row["caution"]],
        "json": [
            segment["caution"] for segment in json.loads(printed["json"]) if segment["caution"]
        ],
    }


def test_every_format_has_the_caution_about_false_steps(folder: Path) -> None:
    keep(folder, stepped())
    said = cautions(folder)
    assert {style: len(words) for style, words in said.items()} == dict.fromkeys(said, 1)
    assert len({words[0] for words in said.values()}) == 1


def test_without_a_step_no_format_has_the_caution_about_false_steps(folder: Path) -> None:
    keep(folder, [point(day, 0.001 * (day % 2)) for day in range(12)])
    assert cautions(folder) == {"rich": [], "markdown": [], "csv": [], "json": []}


def test_the_caution_has_the_rates_that_the_study_measured() -> None:
    rates: dict[str, list[float]] = {}
    for line in (MEASUREMENTS / "statistics.jsonl").read_text(encoding="utf-8").splitlines():
        runs = json.loads(line)
        claim, _, setting = runs.get("case", "").partition(" | ")
        if claim == "`track`: a series without a step has one":
            rates.setdefault(setting, []).append(runs["rate"] / runs["n"])

    def percent(words: str) -> list[str]:
        shares = sorted(
            sum(outcomes) / len(outcomes) for key, outcomes in rates.items() if words in key
        )
        return [f"{100 * shares[0]:.0f}", f"{100 * shares[-1]:.0f}"]

    least, most = percent("trend")
    assert f"up to {percent('autocorrelation .6')[1]}% show one" in CAUTION
    assert f"and {least} to {most}% if a slow trend" in CAUTION


@pytest.mark.parametrize("n", [1, 2, 5])
def test_a_series_of_few_points_has_a_note_that_says_so(folder: Path, n: int) -> None:
    keep(folder, [point(day, 0.01 * day) for day in range(n)])
    done = harness_in(folder, "track")
    assert done.status == 0
    assert "too few points" in done.printed


@pytest.mark.parametrize("words", [("track",), ("track", "export")])
def test_an_empty_history_is_a_one_line_message_with_status_4(
    folder: Path, words: tuple[str, ...]
) -> None:
    keep(folder, [])
    done = harness_in(folder, *words)
    assert (done.status, done.printed) == (4, "")
    assert done.remarks.count("\n") == 1
    assert "no history yet" in done.remarks
    assert harness_in(folder, "track", "--format", "json").printed == "[]\n"


def test_showing_a_history_creates_no_store(folder: Path) -> None:
    for words in (("track",), ("track", "export"), ("track", "record", *SMALL)):
        complaint_of(harness_in(folder, *words))
    assert not list(folder.iterdir())


# Other tools


@pytest.mark.parametrize("file", FILES)
def test_a_file_is_imported_once(folder: Path, file: str) -> None:
    first = harness_in(folder, "track", "import", str(DATA / file))
    assert first.status == 0
    assert first.printed.startswith("read ")
    n = len(points_in(folder))
    assert n > 0
    again = harness_in(folder, "track", "import", str(DATA / file))
    assert again.status == 0
    assert f"read 0 points from {DATA / file} into harness.db; {n} were there already" in (
        again.printed
    )
    assert len(points_in(folder)) == n
    assert harness_in(folder, "track").status == 0


def test_imported_times_keep_their_seconds(folder: Path) -> None:
    harness_in(folder, "track", "import", str(DATA / "pyperf.json"))
    for imported_point in points_in(folder):
        assert imported_point.value == pytest.approx(math.log(imported_point.seconds))
        assert (imported_point.measure, imported_point.source, imported_point.anchor) == (
            "time",
            "pyperf",
            "",
        )


def test_a_history_is_exported_for_other_tools(folder: Path) -> None:
    keep(folder, [*stepped(), point(29, 0.9, measure="accuracy", seconds=math.nan, anchor="")])
    rows = list(csv.DictReader(io.StringIO(harness_in(folder, "track", "export").printed)))
    assert len(rows) == 31
    assert rows[0]["series"] == "fit mlp iris cpu"
    assert (rows[0]["anchor"], rows[0]["score"]) == ("a", "")
    (score,) = [row for row in rows if row["series"].startswith("accuracy")]
    assert (score["score"], score["seconds"], score["log_ratio"]) == ("0.9", "", "")
    done = harness_in(folder, "track", "export", "--format", "bencher")
    assert json.loads(done.printed)["fit mlp iris cpu"]["latency"]["value"] == 1e8
    words = ("--format", "pytest-benchmark", "--output", "out.json")
    done = harness_in(folder, "track", "export", *words)
    assert (done.status, done.printed, done.remarks) == (0, "", "wrote out.json\n")
    again = harness_in(folder, "track", "import", "out.json", "--store", "other.db")
    assert again.printed.startswith("read 1 point from")


def test_a_bridge_is_not_exported(folder: Path) -> None:
    keep(folder, [point(0, 0.1), point(1, 0.3, source="bridge")])
    rows = list(csv.DictReader(io.StringIO(harness_in(folder, "track", "export").printed)))
    assert len(rows) == 1


BAD = [
    (
        ("record", *SMALL),
        "the history has no anchor yet, the fixed version that others are compared with",
    ),
    (("record", "--anchor", "kernel:numpy-fats", *SMALL), "did you mean 'numpy-fast'"),
    (("record", "--anchor", "kernel:", *SMALL), "no kernel ''"),
    (("record", "--anchor", "nonsense", *SMALL), "'nonsense' is neither a Python interpreter"),
    (
        ("record", "--anchor", "kernel:numpy-fast", "-m", "prior"),
        "only kernels can be compared with it",
    ),
    ((*RECORD[1:], "--only", "fit"), "nothing to measure"),
    ((*RECORD[1:], "--store", "no/where.db"), "no/where.db"),
    (("import", "none.json"), "there is no such file"),
    (("import", "empty.json"), "is empty"),
    (("import", "nan.json"), "is not what pytest-benchmark, pyperf or asv write"),
    (("export", "--output", "no/where.csv"), "cannot write"),
    (("export", "--format", "xml"), "'xml' is not one of"),
    (("--alpha", "2"), "2"),
    (("--alpha", "nan"), "nan is no number"),
    ((*RECORD[1:], "--device", "tpu"), "no device 'tpu' on this machine"),
    (("nonsense",), "No such command 'nonsense'"),
]


@pytest.mark.parametrize(("words", "complaint"), BAD)
def test_bad_input_is_a_one_line_error_with_status_2_and_does_not_change_the_store(
    folder: Path, fake_compare: dict[str, Any], words: tuple[str, ...], complaint: str
) -> None:
    keep(folder, [point(0, 0.1, source="asv", anchor="")])
    (folder / "empty.json").write_text("")
    (folder / "nan.json").write_text('{"time": NaN}')
    before = sorted(folder.iterdir())
    assert complaint in complaint_of(harness_in(folder, "track", *words))
    assert sorted(folder.iterdir()) == before
    assert len(points_in(folder)) == 1


# Recording


@pytest.fixture
def fake_compare(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Replaces the measurement by ratios that a test sets; keeps the sides and the plans."""
    told: dict[str, Any] = {"ratio": 0.1, "faults": ("", ""), "plans": [], "sides": []}

    def compare(sides: Any, plan: Design, registry: Any, **_: Any) -> PairedRun:
        told["plans"].append(plan)
        told["sides"].append(sides)
        outcomes = []
        for task in plan.tasks:
            ratio = told["ratio_of"](sides) if "ratio_of" in told else told["ratio"]
            ratios = tuple(ratio + 0.001 * i for i in range(-5, 6))
            change = judge(ratios, budget=0.03, alpha=0.01, looks=False)
            seconds = (0.01,) * len(ratios), (0.02,) * len(ratios)
            if any(told["faults"]):
                outcomes.append(TaskResult(task, (), ((), ()), None, told["faults"]))
            else:
                outcomes.append(TaskResult(task, ratios, seconds, change))
        return PairedRun(tuple(outcomes), 10, 1.0, "decided")

    monkeypatch.setattr("harness.versions.record.compare_sides", compare)
    return told


@contextmanager
def unbuilt_side_of(
    text: str, folder: Path, *, tell: Callable[[str], object] = lambda _: None
) -> Iterator[Side]:
    """`side_of`, without the minutes that building a revision takes."""
    if text == ".":
        with side_of(text, folder, tell=tell) as side:
            yield side
    else:
        revision = run_git(folder, "rev-parse", "--verify", f"{text}^{{commit}}")
        yield Side(text, "python", f"revision {revision}", "revision", revision)


def test_a_read_only_store_is_an_error_before_anything_is_measured(
    folder: Path, fake_compare: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    # File permissions are not enough for this test, because root may write anyway.
    monkeypatch.setattr("os.access", lambda *_: False)
    complaint = complaint_of(harness_in(folder, *RECORD))
    assert "store 'harness.db' cannot be written to" in complaint
    assert not fake_compare["plans"]


@pytest.mark.slow
def test_a_kernel_is_recorded_against_another_kernel(folder: Path) -> None:
    done = harness_in(folder, *RECORD, "--time", "3s")
    assert done.status == 0
    assert "stored 1 point in harness.db, compared with kernel:numpy-stable" in done.printed
    (recorded,) = points_in(folder)
    assert recorded.series == ("softmax", "numpy-fast", "100x3 float32", "cpu")
    assert (recorded.anchor, recorded.source) == ("kernel:numpy-stable", "ab")
    assert (
        math.isnan(recorded.low) or recorded.low <= recorded.value <= recorded.high
    )  # NaN if there are too few pairs
    assert recorded.seconds > 0
    assert recorded.n >= 1


def test_the_anchor_stays_until_another_anchor_is_given(
    folder: Path, fake_compare: dict[str, Any]
) -> None:
    harness_in(folder, *RECORD)
    done = harness_in(folder, "track", "record", *SMALL)
    assert done.status == 0
    assert [recorded.anchor for recorded in points_in(folder)] == ["kernel:numpy-stable"] * 2
    assert [plan.pairs for plan in fake_compare["plans"]] == [10, 10]
    assert len({plan.seed for plan in fake_compare["plans"]}) == 2


def test_another_kernel_as_anchor_is_bridged(folder: Path, fake_compare: dict[str, Any]) -> None:
    harness_in(folder, *RECORD)
    done = harness_in(folder, "track", "record", "--anchor", "kernel:numpy-naive", *SMALL)
    assert (done.status, done.remarks) == (0, "")
    held = [plan.tasks[0].kernels for plan in fake_compare["plans"]]
    assert held == [
        ("numpy-stable", "numpy-fast"),
        ("numpy-naive", "numpy-fast"),
        ("numpy-stable", "numpy-naive"),
    ]
    _, across, last = points_in(folder)
    assert (across.source, across.revision) == ("bridge", "kernel:numpy-stable")
    assert across.series == last.series
    shown = json.loads(harness_in(folder, "track", "--format", "json").printed)
    (segment,) = shown
    assert [shown_point["bridged"] for shown_point in segment["points"]] == pytest.approx(
        [0.1, 0.2]
    )


def test_a_series_not_measured_at_a_change_of_anchor_is_bridged_at_its_next_measurement(
    folder: Path, fake_compare: dict[str, Any]
) -> None:
    other = ("--kernel", "numpy-fast", "--shape", "50x3")
    harness_in(folder, *RECORD, "--shape", "50x3")
    naive = ("track", "record", "--anchor", "kernel:numpy-naive")
    harness_in(folder, *naive, *SMALL)
    harness_in(folder, *naive, *other)
    harness_in(folder, *naive, *other)
    shown = json.loads(harness_in(folder, "track", "--format", "json").printed)
    bridged = [[shown_point["bridged"] for shown_point in segment["points"]] for segment in shown]
    assert bridged == [pytest.approx([0.1, 0.2]), pytest.approx([0.1, 0.2, 0.2])]
    assert [shown_point.source for shown_point in points_in(folder)].count("bridge") == 2


def test_a_bridge_is_the_new_version_against_the_old_one(
    folder: Path, fake_compare: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The code is 1.5 times slower than the old anchor and equal to the new anchor."""
    run_git(folder, "init", "-q")
    old, new = (commit(folder, {"file": text}) for text in "ab")
    monkeypatch.setattr("harness.versions.record.side_of", unbuilt_side_of)
    task = ("-m", "numpy-softmax", "-d", "threshold", "--only", "fit")
    fake_compare["ratio"] = math.log(1.5)
    harness_in(folder, "track", "record", "--anchor", old, *task)
    ratios = {old: {new: math.log(1.5)}, new: {"": 0.0}}
    fake_compare["ratio_of"] = lambda pair: ratios[pair[0].revision][pair[1].revision]
    done = harness_in(folder, "track", "record", "--anchor", new, *task)
    assert done.status == 0, done.remarks
    (segment,) = json.loads(harness_in(folder, "track", "--format", "json").printed)
    assert [shown_point["bridged"] for shown_point in segment["points"]] == pytest.approx(
        [math.log(1.5)] * 2
    )


@pytest.mark.parametrize("pinned", ["0" * 40, "/nowhere/python"])
def test_a_new_segment_begins_if_the_old_anchor_is_no_longer_available(
    folder: Path, fake_compare: dict[str, Any], pinned: str
) -> None:
    harness_in(folder, *RECORD)
    (first,) = points_in(folder)
    shutil.rmtree(folder)
    folder.mkdir()
    keep(folder, [replace(first, anchor=pinned)])
    done = harness_in(folder, *RECORD)
    assert done.status == 0
    assert "cannot be compared with the old one" in done.remarks
    assert "the history begins anew here" in done.remarks
    assert len(json.loads(harness_in(folder, "track", "--format", "json").printed)) == 2


def test_an_anchor_of_another_machine_needs_no_bridge(
    folder: Path, fake_compare: dict[str, Any]
) -> None:
    keep(folder, [point(0, 0.1, machine="elsewhere", anchor="kernel:numpy-naive")])
    assert harness_in(folder, *RECORD).status == 0
    assert len(fake_compare["plans"]) == 1
    assert [recorded.source for recorded in points_in(folder)] == ["ab", "ab"]


def test_a_revision_is_recorded_by_its_hash(
    folder: Path, fake_compare: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    run_git(folder, "init", "-q")
    commit(folder, {"mine.py": PLUGIN, ".gitignore": "harness.db*"})
    monkeypatch.setattr("harness.versions.record.side_of", unbuilt_side_of)
    words = ("--plugin", "mine.py", *SMALL)
    done = harness_in(folder, "track", "record", "--anchor", "HEAD", *words)
    assert done.status == 0
    (recorded,) = points_in(folder)
    assert recorded.anchor == recorded.revision.removesuffix("+")
    assert len(recorded.anchor) == 40
    refused = harness_in(folder, "track", "record", "--anchor", ".", *SMALL)
    assert refused.status == 2


def test_a_failed_measurement_gives_a_reason_and_no_point(
    folder: Path, fake_compare: dict[str, Any]
) -> None:
    fake_compare["faults"] = ("", "ValueError: no")
    done = harness_in(folder, *RECORD)
    assert done.status == 4
    assert (
        "softmax, numpy-stable | numpy-fast, 100x3 float32: ValueError: no; nothing is stored"
        in (done.remarks)
    )


def test_the_scores_of_the_last_run_are_recorded_once(
    folder: Path, fake_compare: dict[str, Any]
) -> None:
    run = ("run", "-d", "threshold", "-m", "prior", "-r", "2", "--no-timing", "--in-process")
    assert harness_in(folder, *run).status == 0
    for _ in range(2):
        assert harness_in(folder, *RECORD).status == 0
    scores = [recorded for recorded in points_in(folder) if recorded.source == "run"]
    series = [recorded.series for recorded in scores]
    assert len(set(series)) == len(series) >= 4
    assert ("accuracy", "prior", "threshold", "cpu") in series


# The store and the revision of a point


def test_a_history_can_begin_in_a_database_url(folder: Path) -> None:
    url = f"sqlite:///{folder / 'new.db'}"
    done = harness_in(folder, *RECORD, "--store", url, "--time", "2s")
    assert done.status == 0, done.remarks
    with closing(Store(str(folder / "new.db"))) as store:
        assert store.points()


def test_the_revision_of_a_checkout_is_not_kept_if_its_code_was_not_measured(folder: Path) -> None:
    """The measured code is installed elsewhere and does not come from the current folder."""
    run_git(folder, "init", "-q")
    commit(folder, {"other.py": ""})
    done = harness_in(folder, *RECORD, "--time", "2s")
    assert "the points have no revision" in done.remarks
    assert {recorded.revision for recorded in points_in(folder)} == {""}


def test_the_revision_of_a_checkout_is_kept_if_its_plugin_was_measured(folder: Path) -> None:
    run_git(folder, "init", "-q")
    revision = commit(folder, {"mine.py": PLUGIN, ".gitignore": "harness.db*"})
    done = harness_in(folder, *RECORD, "--time", "2s", "--plugin", "mine.py")
    assert done.status == 0, done.remarks
    assert {recorded.revision for recorded in points_in(folder)} == {revision}


def test_a_point_of_too_few_pairs_is_not_kept(tmp_path: Path) -> None:
    done = harness_in(tmp_path, *RECORD, "--time", "1s")
    assert done.status == 4
    assert (
        "of 10 pairs of timings fit into the time, so nothing is stored; give more --time"
        in done.remarks
    )
    assert points_in(tmp_path) == []


def test_an_empty_anchor_is_refused(folder: Path) -> None:
    """For example, from an unset shell variable."""
    said = complaint_of(harness_in(folder, "track", "record", "--anchor", "", *SMALL))
    assert "not nothing" in said


def test_a_step_is_readable_at_eighty_columns(folder: Path) -> None:
    keep(folder, stepped())
    lines = harness_in(folder, "track", columns=80).printed.splitlines()
    assert max(map(len, lines)) <= 80
    assert any("2026-01-19" in line for line in lines)
    assert any("fit mlp, iris" in line for line in lines)
