"""The study of how often `harness ab` finds regressions: its trace, its page and a short run."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from benchmarks.power.comparing import Recorder, make_comparison
from benchmarks.power.history import simulate_history
from benchmarks.power.planting import AA, SIZES, UNPLANTED, WAYS, Cell, cells, version
from benchmarks.power.report import covers, report, wilson
from benchmarks.power.rules import RULES
from benchmarks.power.study import estimate, left, measure
from benchmarks.power.tracefile import Trace
from scipy import stats

from harness.contract.registry import load

if TYPE_CHECKING:
    from benchmarks.power.tracefile import Line

MEASUREMENTS = Path(__file__).parents[2] / "docs" / "measurements"


def compared(verdict: str, *, way: str = "same", size: int = 0, slower: float = 0.0) -> Line:
    """The trace line of a comparison whose interval is ±1% around ``slower``."""
    blocks = [[0.01 + 1e-5 * i for i in range(10)] for _ in range(10)]
    return {
        "kind": "ab",
        "subject": "loop",
        "way": way,
        "size": size,
        "true": math.log1p(size / 100),
        "seed": 1,
        "session": 1,
        "verdict": verdict,
        "effect": slower,
        "low": slower - 0.01,
        "high": slower + 0.01,
        "n": 10,
        "took": 20.0,
        "load": [0.5, 0.5],
        "log_ratios": [slower + 0.001 * i for i in range(-5, 5)],
        "seconds": [[0.01] * 10, [0.01] * 10],
        "blocks": [blocks, [[value * math.exp(slower) for value in calls] for calls in blocks]],
    }


def trace_of(path: Path, *lines: Line) -> Trace:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return Trace(path)


def cells_of_row(text: str, words: str) -> list[str]:
    """The other cells of the table row whose first cell has these words."""
    (row,) = (line for line in text.splitlines() if line.startswith(f"| {words} |"))
    return [cell.strip() for cell in row.strip("|").split("|")][1:]


# The trace


def test_a_trace_resumes_after_its_last_complete_line(tmp_path: Path) -> None:
    path = tmp_path / "new" / "trace.jsonl"
    Trace(path).add("session", number=1)
    path.write_text(path.read_text() + '{"kind":"ab","cut o')
    trace = Trace(path)
    assert trace.lines == [{"kind": "session", "number": 1}]
    trace.add("ab", seed=1)
    assert Trace(path).lines == trace.lines
    assert Trace(path).of("ab") == [{"kind": "ab", "seed": 1}]


def test_a_trace_that_was_cut_off_in_its_first_line_is_empty(tmp_path: Path) -> None:
    path = tmp_path / "trace.jsonl"
    path.write_text('{"kind"')
    assert Trace(path).lines == []
    assert path.read_text() == ""


# Planted slowdowns


def test_the_study_has_the_requested_number_of_comparisons() -> None:
    assert sum(cell.wanted for cell in cells() if cell.way in AA) >= 300
    for size in SIZES:
        assert sum(cell.wanted for cell in cells() if cell.size == size) >= 40
    assert all(cell.wanted == 1 for cell in cells(0.01))


@pytest.mark.parametrize("way", [*AA, "start-up", *WAYS])
def test_every_version_computes_the_same_softmax(way: str, tmp_path: Path) -> None:
    registry = load([str(version(tmp_path, way, 5))])
    logits = np.random.default_rng(0).normal(size=(1000, 4))
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert registry.kernels["power-softmax"](logits) == pytest.approx(expected)
    assert {"power-loop", "power-torch"} <= set(registry.models)


def test_versions_differ_only_in_the_planted_slowdown(tmp_path: Path) -> None:
    before, after = (
        version(tmp_path / name, *planted).read_text().splitlines()
        for name, planted in (("a", ()), ("b", ("copy", 7)))
    )
    differing = [pair for pair in zip(before, after, strict=True) if pair[0] != pair[1]]
    assert differing == [(UNPLANTED, 'PLANTED: tuple[str, int] = ("copy", 7)')]
    renamed = version(tmp_path / "c", "renamed").read_text()
    assert "training_step" not in renamed
    assert version(tmp_path, "path").parent != tmp_path


# A very short study


def test_a_study_is_resumed_where_it_ended(tmp_path: Path) -> None:
    """Real processes; the short time allows only one pair per comparison."""
    path = tmp_path / "trace.jsonl"
    wanted = (Cell("softmax", "hash", 0, 1), Cell("loop", "steps", 10, 1))
    said: list[str] = []

    def calibrate(trace: Trace, cell: Cell, processor: str) -> Line:
        return {"amount": cell.size, "true": 0.1}

    def sit(minutes: float) -> bool:
        return measure(
            Trace(path),
            wanted,
            minutes=minutes,
            seconds=0.1,
            calibrate=calibrate,
            tell=lambda line: None if "busy" in line else said.append(line),
        )

    assert not sit(0.005)
    assert len(said) == 1
    assert sit(1.0)
    assert len(said) == 2
    assert sit(1.0)
    assert len(said) == 2
    trace = Trace(path)
    assert [line["kind"] for line in trace.lines] == ["session", "ab", "session", "ab"]
    first, second = trace.of("ab")
    assert (first["way"], second["way"]) == ("hash", "steps")
    assert (first["seed"], second["seed"]) == (1, 2)
    assert (first["true"], second["true"]) == (0.0, 0.1)
    assert [[len(calls) for calls in side] for side in second["blocks"]] == [[10], [10]]
    assert second["low"] is None
    assert covers(second)
    assert not any(left(trace, wanted).values())
    assert estimate(trace, wanted) == {"softmax": 0.0, "loop": 0.0}
    assert "| loop | steps | 10% | 1 |" in report(trace)


def test_a_side_that_cannot_be_measured_ends_the_study(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> None:
        raise RuntimeError("no process")

    monkeypatch.setattr(Recorder, "start", broken)
    trace = Trace(tmp_path / "trace.jsonl")
    with pytest.raises(RuntimeError, match="no process"):
        make_comparison(trace, Cell("softmax", "same", 0, 1), None, seconds=0.1, session=1)
    assert trace.lines == []


# The page


def test_the_page_has_the_counts_of_the_trace(tmp_path: Path) -> None:
    lines = [
        *[compared("same")] * 297,
        *[compared("slower", way="hash")] * 3,
        *[compared("slower", way="start-up")],
        *[compared("slower", way="steps", size=20, slower=0.18)] * 9,
        *[compared("undecided", way="steps", size=20, slower=0.3)],
        *[compared("slower", way="copy", size=10, slower=0.1)] * 20,
        *[compared("undecided", way="fixed", size=2, slower=0.02)] * 8,
        *[compared("same", way="fixed", size=2, slower=0.02)] * 2,
    ]
    text = report(trace_of(tmp_path / "trace.jsonl", *lines))
    assert cells_of_row(text, "false alarms (slower), A/A")[1:] == ["3/300 = 1.0% (0.3-2.9)", "yes"]
    assert cells_of_row(text, "start-up only, called slower")[1:] == [
        "1/1 = 100.0% (20.7-100.0)",
        "**no**",
    ]
    assert cells_of_row(text, "20% found")[1:] == ["9/10 = 90.0% (59.6-98.2)", "**no**"]
    assert cells_of_row(text, "10% found")[1:] == ["20/20 = 100.0% (83.9-100.0)", "yes"]
    assert cells_of_row(text, "5% found")[1:] == ["none measured", "**no**"]
    assert cells_of_row(text, "2% called slower or undecided")[1].startswith("8/10 = 80.0%")
    assert cells_of_row(text, "the interval contains the planted size")[1].startswith(
        "39/40 = 97.5%"
    )
    by_group = ["3/300 = 1.0%", "0/10 = 0.0%", "0/0 = 0.0%", "20/20 = 100.0%", "9/10 = 90.0%"]
    assert cells_of_row(text, "harness ab") == by_group
    assert "| loop | steps | 20% | 10 | 9 | 0 | 1 | 0 | 9/10 | 20 | 2.0% |" in text
    assert "- 20% found: 9/10 = 90.0% (59.6-98.2); wanted: at least 99%." in text


def test_too_few_comparisons_meet_no_goal(tmp_path: Path) -> None:
    text = report(trace_of(tmp_path / "trace.jsonl", *[compared("same")] * 299))
    assert cells_of_row(text, "false alarms (slower), A/A")[2] == "**no**"


def test_the_page_of_an_empty_trace_says_that_it_is_empty(tmp_path: Path) -> None:
    assert "none measured" in report(Trace(tmp_path / "nothing.jsonl"))


def test_lower_scores_are_counted_by_row(tmp_path: Path) -> None:
    row = ["wine", "power-swapped", "worse", -0.1, -0.2, -0.05, 0.1]
    other = ["digits", "power-swapped", "undecided", -0.1, -0.2, 0.05, 0.1]
    line = {"kind": "scores", "loss": 100, "seed": 1, "rows": [row, other]}
    text = report(trace_of(tmp_path / "trace.jsonl", line))
    assert "| 10% | accuracy | -0.100 | 1/2 = 50.0% (9.5-90.5) |" in text


@pytest.mark.parametrize(("k", "n"), [(0, 300), (3, 300), (10, 10), (1, 2)])
def test_the_intervals_equal_scipys(k: int, n: int) -> None:
    interval = stats.binomtest(k, n).proportion_ci(0.95, method="wilson")
    assert wilson(k, n) == pytest.approx((interval.low, interval.high), abs=1e-6)


def test_an_interval_with_an_infinite_end_contains_every_value_on_that_side() -> None:
    line = compared("undecided", size=20)
    assert not covers(line)
    assert covers(line | {"high": None})


# Other rules of decision


def test_other_rules_report_a_clear_slowdown_and_no_change_otherwise() -> None:
    slower, same = compared("slower", size=20, slower=0.2), compared("same")
    assert {name for name, rule in RULES.items() if not rule(slower)} == set()
    assert {name for name, rule in RULES.items() if rule(same)} == set()


def test_a_rule_for_one_process_uses_the_first_pair() -> None:
    line = compared("same")
    line["blocks"][1][0] = [2 * value for value in line["blocks"][1][0]]
    called = {name for name, rule in RULES.items() if rule(line)}
    assert {name for name in RULES if "one process" in name} <= called
    assert "harness ab" not in called
    line["blocks"] = [side[1:] for side in line["blocks"]]
    assert not any(rule(line) for rule in RULES.values())


# History


def test_a_history_is_simulated_with_the_noise_of_the_comparisons(tmp_path: Path) -> None:
    trace = trace_of(tmp_path / "trace.jsonl", *[compared("same")] * 10)
    simulate_history(trace, flat=8, stepped=4)
    resampled, *lognormal = trace.of("history")
    assert resampled["noise"] == "pairs of the A/A comparisons, loop"
    assert resampled["found"] == resampled["n"] == 4
    assert resampled["n_flat"] == 8
    assert [line["noise"][:9] for line in lognormal] == ["lognormal", "lognormal"]
    assert "pairs of the A/A comparisons, loop" in report(trace)


@pytest.mark.skipif(not (MEASUREMENTS / "regressions.jsonl").exists(), reason="not measured yet")
def test_the_published_page_is_made_from_the_published_trace() -> None:
    published = (MEASUREMENTS / "regressions.md").read_text(encoding="utf-8")
    assert published == report(Trace(MEASUREMENTS / "regressions.jsonl"))
