"""A small study of `compare` and `track`: the rates of false alarms and of found changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from benchmarks.statistics.comparing import cases
from scipy import stats

if TYPE_CHECKING:
    from benchmarks.statistics.cases import Case

CASES = {case.key: case for case in cases()}

SMALL = [
    ("fixed, 2 repeats, 1 pairings, seeds move all rows", 40),
    ("fixed, 3 repeats, 1 pairings, seeds move each row", 40),
    ("another random stream fail the build | fixed", 20),
    ("called slower | slower by 10%", 60),
    ("only the machine drifts | 4 timings, drift of 30%", 40),
    ("only the machine drifts | 5 timings, drift of 30%", 60),
    ("has one | 30 points, autocorrelation .3", 300),
    ("has one | 30 points, independent", 300),
]


def case_of(words: str) -> Case:
    (case_with_words,) = [case for key, case in CASES.items() if words in key]
    return case_with_words


def counted(case: Case, runs: int) -> tuple[int, int]:
    outcomes = [value for value in map(case.run, range(runs)) if value is not None]
    return int(sum(outcomes)), len(outcomes)


@pytest.mark.parametrize(("words", "runs"), SMALL)
def test_false_verdicts_are_as_rare_as_claimed(words: str, runs: int) -> None:
    case = case_of(words)
    k, n = counted(case, runs)
    assert case.goal
    assert stats.binomtest(k, n).proportion_ci(0.95, method="wilson").low <= case.bound


@pytest.mark.parametrize(
    ("words", "runs", "least"),
    [
        ("found by accuracy | fresh, 10 repeats, 1 pairings, accuracy .74 to .67", 20, 0.7),
        ("found by likelihood | fresh, 10 repeats, 1 pairings, accuracy .74 to .67", 20, 0.7),
        ("more than the budget is found | slower by 100%", 30, 0.6),
        ("30 points, 10 of them after it, autocorrelation 0.3", 40, 0.6),
    ],
)
def test_real_changes_are_found(words: str, runs: int, least: float) -> None:
    k, n = counted(case_of(words), runs)
    assert k / n >= least


def test_each_case_has_a_unique_identity() -> None:
    assert len(CASES) == len(cases())
