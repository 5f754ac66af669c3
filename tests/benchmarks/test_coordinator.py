"""The overhead of a trial, and the overhead of the timing engine."""

from __future__ import annotations

import timeit
from typing import TYPE_CHECKING, Any

import pytest

from harness.contract.values import Choice, TimedCall, Trial
from harness.timing.engine import Workload, measure
from harness.trials.executors.local import run_isolated

if TYPE_CHECKING:
    from collections.abc import Callable

TRIALS = 20


def busy() -> int:
    """About ten microseconds of plain Python."""
    total = 0
    for i in range(600):
        total += i
    return total


def by_timeit() -> float:
    calls, _ = timeit.Timer(busy).autorange()
    return min(timeit.repeat(busy, number=calls, repeat=3)) / calls


def by_engine() -> float:
    workload = Workload(TimedCall.SOFTMAX, "busy", "", "cpu", setup=lambda: busy)
    return min(measure([workload], seconds=0.2, seed=0)[0].samples)


@pytest.mark.benchmark(group="engine")
@pytest.mark.parametrize("engine", [by_timeit, by_engine])
def test_a_call_of_ten_microseconds(benchmark: Any, engine: Callable[[], float]) -> None:
    """The time of the whole measurement; extra_info has the measured microseconds per call."""
    benchmark.extra_info["microseconds"] = 1e6 * benchmark.pedantic(engine, rounds=3)


@pytest.mark.benchmark(group="coordinator")
def test_trials_that_do_nothing(benchmark: Any) -> None:
    """Twenty of the fastest trials, including their processes."""
    trials = [Trial(Choice("threshold"), Choice("uniform"), "cpu", i, 0) for i in range(TRIALS)]
    results = benchmark.pedantic(lambda: list(run_isolated(trials, (), jobs=2)), rounds=3)
    assert [result.status for result in results] == ["ok"] * TRIALS
