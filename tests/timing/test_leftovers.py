"""What a fit leaves to its first prediction, or to threads, is found out and told."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import harness
from harness.contract.registry import Origin, Registry
from harness.contract.values import RUNNING, TO_PREDICT, Choice, Trial
from harness.timing import engine
from harness.timing.leftovers import LONGEST, LOOK, QUIET, at_rest, first_answer, goes_on
from harness.timing.workloads import TimedPairing, TrainingGroup


class Clock:
    """Seconds that pass only where a test lets them."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class Plugin(SimpleNamespace):
    """Hooks, as a module has them."""

    __hash__ = object.__hash__  # type: ignore[assignment]  # pluggy keeps plugins in sets


def predictions(clock: Clock, *seconds: float) -> Any:
    """Calls that take so long, one after the other."""
    left = list(seconds)

    def predict_proba() -> Any:
        clock.sleep(left.pop(0))
        return np.eye(2)

    return predict_proba


@pytest.mark.parametrize(
    ("seconds", "late"),
    [((5.0, 1.0), 4.0), ((1.0, 1.0), 0.0), ((1.0, 2.0), 0.0), ((0.0009,), 0.0)],
)
def test_what_the_first_prediction_takes_longer_was_left_to_it(
    seconds: tuple[float, ...], late: float
) -> None:
    clock = Clock()
    answer, found = first_answer(predictions(clock, *seconds), clock)
    assert found == pytest.approx(late)
    np.testing.assert_array_equal(answer, np.eye(2))
    assert clock.now == pytest.approx(sum(seconds)), "not asked more often than that"


class Processor:
    """Threads that use so many processors for so long."""

    def __init__(self, clock: Clock, share: float, until: float) -> None:
        self.clock, self.share, self.until = clock, share, until

    def __call__(self) -> float:
        return self.share * min(self.clock.now, self.until)


@pytest.mark.parametrize(
    ("share", "until", "expected"),
    [
        (0.05, 100.0, 0.0),  # what a process needs to sleep
        (0.0, 100.0, 0.0),
        (1.0, 0.1, 0.1),
        (3.0, 0.1, 0.3),
        (0.3, 0.1, 0.03),  # beside other programs
        (1.0, 100.0, LONGEST),  # no longer than that
    ],
)
def test_what_threads_use_after_a_fit_is_counted_until_they_rest(
    share: float, until: float, expected: float
) -> None:
    clock = Clock()
    found = goes_on(Processor(clock, share, until), clock, clock.sleep)
    assert found == pytest.approx(expected, abs=2 * LOOK * max(share, 1))


def test_a_process_at_rest_is_not_looked_at_for_long() -> None:
    clock = Clock()
    goes_on(Processor(clock, 0.0, 0.0), clock, clock.sleep)
    assert clock.now == pytest.approx(QUIET * LOOK)


def test_a_thread_that_has_to_wait_for_its_turn_is_seen() -> None:
    clock = Clock()

    def used() -> float:
        """Every third look finds it at work."""
        return LOOK * int(clock.now / LOOK / QUIET + 1e-6)

    assert goes_on(used, clock, clock.sleep) == pytest.approx(LONGEST / QUIET, rel=0.1)


@pytest.mark.parametrize(
    ("looks", "rests"), [([0.0], True), ([0.2, 0.0], True), ([0.25, 0.25], False)]
)
def test_what_one_fit_leaves_running_is_waited_for_before_the_next(
    looks: list[float], rests: bool
) -> None:
    left = list(looks)
    assert at_rest(lambda: left.pop(0)) is rests
    assert not left


def test_of_what_goes_on_the_most_is_told_and_of_what_is_left_the_least() -> None:
    """What goes on is looked at after the first fit only; what a library does once is no fit's."""
    assert engine.worse(RUNNING, (0.05, 0.0)) == 0.05
    assert engine.worse(TO_PREDICT, (0.05, 0.0)) == 0.0


def test_a_thread_that_goes_on_is_seen() -> None:
    """The real processors' time, however little of it a busy machine gives."""
    stop = threading.Event()

    def spin() -> None:
        while not stop.is_set():
            pass

    thread = threading.Thread(target=spin)
    thread.start()
    try:
        clock = Clock()  # as if each look took no time but its own
        assert goes_on(clock=clock, sleep=lambda seconds: _until_used(seconds, clock)) > 0
    finally:
        stop.set()
        thread.join()


def _until_used(seconds: float, clock: Clock) -> None:
    import time

    before = time.process_time()
    while time.process_time() - before < seconds:
        time.sleep(0.001)
    clock.sleep(seconds)


def timed(clock: Clock, fit: float, first: float, again: float) -> engine.Measured:
    class Puts:
        """Leaves to its first prediction what that takes longer."""

        def fit(self, X: Any, y: Any) -> None:
            clock.sleep(fit)
            self.seconds = first

        def predict_proba(self, X: Any) -> Any:
            clock.sleep(self.seconds)
            self.seconds = again
            return np.full((len(X), 2), 0.5)

    def split(_rng: Any) -> harness.Split:
        X = np.array([[0.0], [1.0]])
        return harness.Split(X, np.array([0, 1]), X, np.array([0, 1]), ("low", "high"))

    plugin: Any = Plugin(
        harness_datasets=harness.hookimpl(lambda: [harness.Dataset("two", "fixed", split)]),
        harness_models=harness.hookimpl(lambda: [harness.Model("puts", lambda _: Puts())]),
    )
    them = Registry([(Origin("mine", "mine", path="mine.py"), plugin)], [])
    trial = Trial(Choice("two"), Choice("puts"), "cpu", repeat=0, seed=0)
    workloads = TrainingGroup((TimedPairing((trial,), epochs=0),)).workloads(them, 0, clock=clock)
    (one,) = engine.measure(workloads, seconds=0, seed=0, clock=clock, rounds=2, warm_up=0.0)
    assert (one.status, one.reason) == ("ok", "")
    return one


def test_a_timed_fit_is_told_with_what_it_leaves_to_its_first_prediction() -> None:
    one = timed(Clock(), fit=0.1, first=5.0, again=1.0)
    assert one.samples == pytest.approx([0.1])
    assert one.figures[TO_PREDICT] == pytest.approx(4.0)
    assert one.figures[RUNNING] >= 0


def test_a_fit_that_does_its_work_leaves_nothing() -> None:
    assert timed(Clock(), fit=4.0, first=1.0, again=1.0).figures[TO_PREDICT] == 0
