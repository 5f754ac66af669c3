"""The statistics study: a small version, its trace and its page."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from benchmarks.power.tracefile import Trace
from benchmarks.statistics import classifiers, folds, intervals, leaders
from benchmarks.statistics.cases import Case
from benchmarks.statistics.study import all_cases, page, simulate, verdict

MEASUREMENTS = Path(__file__).parents[2] / "docs" / "measurements"

COIN = Case("a coin shows heads", "fair", "at least 45%", 0.45, False, 400, lambda seed: seed % 2)
LOADED = replace(COIN, setting="loaded", run=lambda seed: float(seed % 10 == 0))
SILENT = replace(COIN, setting="silent", run=lambda seed: None)

SMALL = (
    "fresh, 5 repeats, 40 test rows, accuracy 0.725",
    "resampled, 5 repeats, 400 rows, 40 positives",
    "10 models, 5 repeats; fresh, independent",
    "10 models, 1 repeats; fixed, rows only",
    "2 seeds, whose effect has sd 0.5",
    "naive Bayes, 10 folds, 1 repetition, 100 rows",
    "stump, 10 folds, 1 repetition, 100 rows",
    "10-fold, 10 repeats, 1 pairings, seeds move all rows",
    "2 logistic regressions, each on features of its own, three classes; resampled",
)


def test_a_small_study_contradicts_no_claim(tmp_path: Path) -> None:
    cases = [replace(case, runs=40) for case in all_cases() if case.setting.startswith(SMALL)]
    assert len(cases) >= len(SMALL)
    trace = Trace(tmp_path / "trace.jsonl")
    assert simulate(trace, cases, minutes=5)
    for case in cases:
        (line,) = [line for line in trace.of("runs") if line["case"] == case.key]
        known = line["n"] - line["withheld"]
        assert verdict(case, line["rate"], known, line["withheld"]) == "holds", case.key


def test_a_rate_that_misses_its_goal_fails_and_a_case_without_verdicts_is_not_judged(
    tmp_path: Path,
) -> None:
    trace = Trace(tmp_path / "trace.jsonl")
    cases = [COIN, LOADED, SILENT, replace(SILENT, setting="too silent", withheld=0.1)]
    assert simulate(trace, cases, minutes=1)
    text = page(trace, cases)
    assert "| fair | 50.0% (45.1-54.9) | 400 | 0% | at least 45% | holds |" in text
    assert "| loaded | 10.0% (7.4-13.3) | 400 | 0% | at least 45% | **fails** |" in text
    assert "| silent | - | 0 | 100% | at least 45% | hardly shown |" in text
    assert "| too silent | - | 0 | 100% | at least 45% | **withholds too much** |" in text
    assert "a coin shows heads: loaded" in text.partition("## A coin")[0]


def test_a_study_resumes_where_it_ended(tmp_path: Path) -> None:
    seeds: list[int] = []
    case = replace(COIN, run=lambda seed: float(bool(seeds.append(seed)) or seed % 2))
    path = tmp_path / "trace.jsonl"
    assert simulate(Trace(path), [case], minutes=1, scale=0.25)
    assert not simulate(Trace(path), [case], minutes=0)
    assert simulate(Trace(path), [case], minutes=1)
    assert seeds == list(range(400))


def test_the_page_agrees_with_the_trace_and_has_every_case() -> None:
    trace = Trace(MEASUREMENTS / "statistics.jsonl")
    known = {line["case"] for line in trace.of("runs")}
    assert (MEASUREMENTS / "statistics.md").read_text(encoding="utf-8") == page(trace, all_cases())
    modules = (classifiers, folds, intervals, leaders)
    assert known >= {case.key for module in modules for case in module.cases()}


def test_two_cases_with_the_same_name_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leaders, "cases", lambda: [COIN, COIN])
    with pytest.raises(ValueError, match="a coin shows heads"):
        all_cases()


def test_each_line_of_the_trace_is_json() -> None:
    text = (MEASUREMENTS / "statistics.jsonl").read_text(encoding="utf-8")
    assert {json.loads(line)["kind"] for line in text.splitlines()} == {"session", "runs"}
