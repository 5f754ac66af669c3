"""The study of how often regressions are found: its trace, its page, and a very short one."""

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
    """A comparison's line whose interval holds what is 1% about ``slower``."""
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
        "blocks": [blocks, [[value * math.exp(slower) for value in one] for one in blocks]],
    }


def trace_of(path: Path, *lines: Line) -> Trace:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return Trace(path)


def found(text: str, what: str) -> list[str]:
    """The cells of the table's row that begins with these words."""
    (row,) = (line for line in text.splitlines() if line.startswith(f"| {what} |"))
    return [cell.strip() for cell in row.strip("|").split("|")][1:]


# The trace


def test_a_trace_goes_on_from_whole_lines(tmp_path: Path) -> None:
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


# What is planted


def test_the_study_has_as_many_comparisons_as_were_asked_for() -> None:
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


def test_nothing_but_what_is_planted_differs(tmp_path: Path) -> None:
    before, after = (
        version(tmp_path / name, *planted).read_text().splitlines()
        for name, planted in (("a", ()), ("b", ("copy", 7)))
    )
    differing = [pair for pair in zip(before, after, strict=True) if pair[0] != pair[1]]
    assert differing == [(UNPLANTED, 'PLANTED: tuple[str, int] = ("copy", 7)')]
    renamed = version(tmp_path / "c", "renamed").read_text()
    assert "training_step" not in renamed
    assert version(tmp_path, "path").parent != tmp_path


# A very short one


def test_a_study_is_resumed_where_it_ended(tmp_path: Path) -> None:
    """With real processes: one pair each, for that is all that so little time allows."""
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
    assert [[len(one) for one in side] for side in second["blocks"]] == [[10], [10]]
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


def test_the_page_counts_what_the_trace_holds(tmp_path: Path) -> None:
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
    assert found(text, "false alarms (slower), A/A")[1:] == ["3/300 = 1.0% (0.3-2.9)", "yes"]
    assert found(text, "start-up only, called slower")[1:] == [
        "1/1 = 100.0% (20.7-100.0)",
        "**no**",
    ]
    assert found(text, "20% found")[1:] == ["9/10 = 90.0% (59.6-98.2)", "**no**"]
    assert found(text, "10% found")[1:] == ["20/20 = 100.0% (83.9-100.0)", "yes"]
    assert found(text, "5% found")[1:] == ["none measured", "**no**"]
    assert found(text, "2% called slower or undecided")[1].startswith("8/10 = 80.0%")
    assert found(text, "the interval contains the planted size")[1].startswith("39/40 = 97.5%")
    by_group = ["3/300 = 1.0%", "0/10 = 0.0%", "0/0 = 0.0%", "20/20 = 100.0%", "9/10 = 90.0%"]
    assert found(text, "harness ab") == by_group
    assert "| loop | steps | 20% | 10 | 9 | 0 | 1 | 0 | 9/10 | 20 | 2.0% |" in text
    assert "- 20% found: 9/10 = 90.0% (59.6-98.2); wanted: at least 99%." in text


def test_too_few_comparisons_meet_nothing(tmp_path: Path) -> None:
    text = report(trace_of(tmp_path / "trace.jsonl", *[compared("same")] * 299))
    assert found(text, "false alarms (slower), A/A")[2] == "**no**"


def test_an_empty_trace_is_a_page_that_says_so(tmp_path: Path) -> None:
    assert "none measured" in report(Trace(tmp_path / "nothing.jsonl"))


def test_losses_of_scores_are_counted_by_row(tmp_path: Path) -> None:
    row = ["wine", "power-swapped", "worse", -0.1, -0.2, -0.05, 0.1]
    other = ["digits", "power-swapped", "undecided", -0.1, -0.2, 0.05, 0.1]
    line = {"kind": "scores", "loss": 100, "seed": 1, "rows": [row, other]}
    text = report(trace_of(tmp_path / "trace.jsonl", line))
    assert "| 10% | accuracy | -0.100 | 1/2 = 50.0% (9.5-90.5) |" in text


@pytest.mark.parametrize(("k", "n"), [(0, 300), (3, 300), (10, 10), (1, 2)])
def test_the_intervals_are_those_of_scipy(k: int, n: int) -> None:
    interval = stats.binomtest(k, n).proportion_ci(0.95, method="wilson")
    assert wilson(k, n) == pytest.approx((interval.low, interval.high), abs=1e-6)


def test_an_interval_with_an_infinite_end_contains_what_lies_there() -> None:
    line = compared("undecided", size=20)
    assert not covers(line)
    assert covers(line | {"high": None})


# Other rules


def test_other_rules_call_a_clear_slowdown_slower_and_nothing_not() -> None:
    slower, same = compared("slower", size=20, slower=0.2), compared("same")
    assert {name for name, rule in RULES.items() if not rule(slower)} == set()
    assert {name for name, rule in RULES.items() if rule(same)} == set()


def test_a_rule_that_sees_one_process_sees_the_first_pair() -> None:
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
def test_the_page_that_is_published_is_that_of_the_published_trace() -> None:
    published = (MEASUREMENTS / "regressions.md").read_text(encoding="utf-8")
    assert published == report(Trace(MEASUREMENTS / "regressions.jsonl"))
