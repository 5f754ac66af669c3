"""Anchors are fixed, take turns with the workloads, and take little of the time.

Time passes here only where a call lets it: nothing depends on how fast the machine is.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest

from harness.contract.values import TimedCall, WorkloadKey
from harness.timing import anchors, engine
from harness.timing.anchors import COMPUTE, LEAST, MEMORY, SHARE, Turns, fitting
from harness.timing.engine import Workload

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class Clock:
    """Seconds that pass only where a call lets them."""

    def __init__(self) -> None:
        self.now = 0.0
        self.calls: list[str] = []

    def __call__(self) -> float:
        return self.now

    def call(self, name: str, seconds: float) -> Callable[[], None]:
        def run() -> None:
            self.calls.append(name)
            self.now += seconds

        return run


@pytest.fixture
def clock() -> Clock:
    return Clock()


def turns(clock: Clock, seconds: Mapping[str, float]) -> Turns:
    return Turns({name: clock.call(name, each) for name, each in seconds.items()}, clock)


def workload(clock: Clock, name: str, seconds: float) -> Workload:
    run = clock.call(name, seconds)
    return Workload(TimedCall.SOFTMAX, name, "case", "cpu", setup=lambda: run)


def test_an_anchor_keeps_its_definition_as_long_as_it_keeps_its_name() -> None:
    """Whoever changes a number here changes the anchor, and must give it a new name."""
    assert (COMPUTE, anchors.NUMBERS, anchors.STEPS) == ("compute-1", 2048, 100)
    assert (MEMORY, anchors.ARRAY, anchors.STRIP) == ("memory-1", 64 << 20, 4 << 20)


def test_the_numbers_of_the_computing_anchor_stay_ordinary(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[np.ndarray] = []
    linspace = np.linspace

    def noted(*how: float) -> np.ndarray:
        made.append(linspace(*how))  # type: ignore[call-overload]  # as the anchor calls it
        return made[-1]

    monkeypatch.setattr(np, "linspace", noted)
    run = anchors.compute()
    for _ in range(3):
        run()
    assert made[0] == pytest.approx((math.sqrt(3) - 1), rel=1e-12)


def test_the_copying_anchor_copies_every_part_before_it_copies_one_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(anchors, "ARRAY", 12)
    monkeypatch.setattr(anchors, "STRIP", 4)
    starts = []

    def copyto(target: np.ndarray, source: np.ndarray) -> None:
        first = source.base.__array_interface__["data"][0]  # type: ignore[union-attr]  # a part
        starts.append(source.__array_interface__["data"][0] - first)
        assert len(source) == len(target) == 4

    monkeypatch.setattr(np, "copyto", copyto)
    run = anchors.memory()
    for _ in range(4):
        run()
    assert starts == [0, 4, 8, 0]


def test_anchors_take_turns_with_the_workloads_in_every_round(clock: Clock) -> None:
    beside = turns(clock, {"anchor": 1e-3})
    pair = [workload(clock, "a", 0.5), workload(clock, "b", 0.5)]
    clock.calls.clear()
    measured = engine.measure(
        pair, seconds=math.inf, seed=0, clock=clock, rounds=4, warm_up=0.0, between=beside.take
    )
    timed = clock.calls[clock.calls.index("anchor") - 1 :]
    assert [name == "anchor" for name in timed[:7]] == [False, True, True, *[False, True] * 2]
    assert [each.samples for each in measured] == [[pytest.approx(0.5)] * 4] * 2


def test_anchors_take_no_more_than_their_share_of_a_long_measurement(clock: Clock) -> None:
    beside = turns(clock, {COMPUTE: 2e-4, MEMORY: 3e-4})
    for _ in range(5000):
        beside.take()
        clock.now += 0.002
    spent = {name: sum(samples) for name, samples in beside.samples.items()}
    assert spent[COMPUTE] == pytest.approx(SHARE * clock.now, rel=0.2)
    assert spent[MEMORY] == pytest.approx(SHARE * clock.now, rel=0.2)


def test_a_short_measurement_has_the_fewest_samples_that_make_a_median(clock: Clock) -> None:
    beside = turns(clock, {"anchor": 2e-4})
    beside.take()
    assert beside.seconds() == {"anchor": pytest.approx(2e-4)}
    assert len(beside.samples["anchor"]) == LEAST


def test_without_anchors_there_are_no_seconds(clock: Clock) -> None:
    beside = turns(clock, {})
    beside.take()
    assert beside.seconds() == {}


@pytest.mark.parametrize(
    ("kind", "case", "device", "name"),
    [
        ("fit", "iris", "cpu", COMPUTE),
        ("predict", "a long table", "cpu", COMPUTE),
        ("softmax", "100x3 float32 warm", "cpu", COMPUTE),
        ("softmax", "100x3 float32 cold", "cpu", MEMORY),
        ("softmax", "4000000x3 float32 warm", "cpu", MEMORY),
        ("copy", "4000000x3 float32 warm", "cpu", MEMORY),
        ("copy", "100x3 float32 warm", "cpu", COMPUTE),
        ("softmax", "100x3 float32 warm", "cuda:0", ""),
        ("fit", "iris", "cuda:0", ""),
    ],
)
def test_a_workload_has_the_anchor_of_what_limits_it(
    kind: str, case: str, device: str, name: str
) -> None:
    assert fitting(WorkloadKey(TimedCall(kind), "any", case, device)) == name
