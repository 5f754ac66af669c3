"""Times as multiples of an anchor's: pairs within processes, and intervals across bridges."""

from __future__ import annotations

import math
from statistics import median

import pytest

from harness.statistics.bridges import DAY, MACHINE, deviation, widened
from harness.statistics.timings import anchored, summarise

SAMPLES = ((1.0, 1.0, 1.4), (2.0, 2.0, 2.4), (4.1, 4.1, 4.4))
ANCHOR = (0.1, 0.1, 0.5)


def test_a_ratio_is_the_median_of_the_ratios_of_the_processes() -> None:
    ratio, low, high = anchored(SAMPLES, ANCHOR)
    assert ratio == pytest.approx(10.0)  # of 1/.1, 2/.1 and 4.1/.5; not 2/.1 = 20, of medians
    within = summarise([(1.0 / 0.1,), (2.0 / 0.1,), (4.1 / 0.5,)])
    assert (low, high) == pytest.approx((within.low, within.high))


def test_a_machine_twice_as_slow_gives_the_same_ratio() -> None:
    slower = tuple(tuple(2 * seconds for seconds in process) for process in SAMPLES)
    assert anchored(slower, tuple(2 * seconds for seconds in ANCHOR)) == pytest.approx(
        anchored(SAMPLES, ANCHOR)
    )


def test_processes_that_are_slow_throughout_do_not_widen_the_ratio_s_interval() -> None:
    slow = (1.0, 3.0, 2.0)
    samples = tuple((by, by, 1.1 * by) for by in slow)
    ratio, low, high = anchored(samples, tuple(0.1 * by for by in slow))
    assert (ratio, low, high) == pytest.approx((10.0, 10.0, 10.0))
    assert summarise(samples).high > 2 * median(median(process) for process in samples)


def test_samples_that_another_program_disturbed_do_not_change_the_ratio() -> None:
    quiet = [(1.0,) * 10] * 3
    disturbed = [(1.0,) * 4 + (3.0,) * 6] * 3
    assert anchored(disturbed, ANCHOR) == pytest.approx(anchored(quiet, ANCHOR))


@pytest.mark.parametrize("anchor", [(), (0.1, 0.1)])
def test_there_is_no_ratio_to_an_anchor_of_other_processes(anchor: tuple[float, ...]) -> None:
    assert all(map(math.isnan, anchored(SAMPLES, anchor)))


def test_without_a_bridge_an_interval_stays_as_it_is() -> None:
    assert widened(10.0, 9.0, 12.0, "compute-1", "") == (9.0, 12.0)


def test_a_bridge_adds_its_error_to_the_interval_on_the_log_scale() -> None:
    low, high = widened(10.0, 9.0, 12.0, "compute-1", "day")
    added = 1.96 * DAY
    assert math.log(10 / low) == pytest.approx(math.hypot(math.log(10 / 9), added))
    assert math.log(high / 10) == pytest.approx(math.hypot(math.log(1.2), added))


def test_a_bridge_between_machines_is_wider_than_one_between_days() -> None:
    assert deviation("compute-1", "") == 0
    assert 0 < DAY < deviation("compute-1", "machine")
    for anchor, kind in (("compute-1", "compute"), ("memory-2", "memory")):
        assert deviation(anchor, "machine") == math.hypot(DAY, MACHINE[kind])
    widest = max(MACHINE.values())
    assert deviation("unheard-of-1", "machine") == math.hypot(DAY, widest)
