"""Workloads are set up, checked, warmed up and sampled in turns, and only one call is timed.

Time passes here only where a workload lets it: nothing depends on how fast the machine is.
"""

from __future__ import annotations

import gc
import math
from itertools import pairwise
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import scipy.stats
from hypothesis import example, given, settings
from hypothesis import strategies as st

from harness.contract.values import TimedCall
from harness.statistics.timings import FEWEST, TIGHT_FROM, is_tight, ratio, summarise
from harness.timing import engine, workloads
from harness.timing.blocks import LONGEST_WARM_UP
from harness.timing.engine import (
    BURST,
    ROUNDS,
    SAMPLE,
    WARM_UP,
    Measured,
    Workload,
    WrongOutputError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence


class Clock:
    """Seconds that pass only where a workload lets them; a look at it is an event, too."""

    def __init__(self) -> None:
        self.now = 0.0
        self.events: list[str] = []

    def __call__(self) -> float:
        self.events.append("clock")
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def count(self, event: str) -> int:
        return self.events.count(event)


@pytest.fixture
def clock() -> Clock:
    return Clock()


def workload(
    clock: Clock,
    name: str = "run",
    seconds: float | Callable[[], float] = 0.01,
    does: Callable[[], Any] = lambda: None,
    **options: Any,
) -> Workload:
    """A workload whose call takes so many seconds, or as many as a function says each time."""

    def run() -> Any:
        clock.events.append(name)
        clock.sleep(seconds() if callable(seconds) else seconds)
        return does()

    return Workload(TimedCall.SOFTMAX, name, "case", "cpu", **{"setup": lambda: run} | options)


def measure(clock: Clock, *them: Workload, **options: Any) -> list[Measured]:
    usual = {"seconds": math.inf, "seed": 0, "rounds": 3, "warm_up": 0.0}
    return engine.measure(them, clock=clock, **usual | options)


def runs(clock: Clock) -> list[str]:
    return [event for event in clock.events if event != "clock"]


# Samples that the clock can tell


@settings(max_examples=10)  # of thousands of calls each
@example(1e-5)
@given(st.floats(1e-4, 0.01))
def test_a_sample_is_of_so_many_calls_that_it_takes_long_enough_and_hardly_longer(
    seconds: float,
) -> None:
    clock = Clock()
    (one,) = measure(clock, workload(clock, seconds=seconds), rounds=1)
    assert SAMPLE * (1 - 1e-9) <= one.calls * seconds <= max(2 * SAMPLE, seconds) * (1 + 1e-9)
    assert one.samples == [pytest.approx(seconds)]
    assert runs(clock)[-one.calls :] == ["run"] * one.calls


@pytest.mark.parametrize("seconds", [SAMPLE, 0.5, 100.0])
def test_a_slow_call_is_a_sample_of_its_own(clock: Clock, seconds: float) -> None:
    (one,) = measure(clock, workload(clock, seconds=seconds))
    assert one.calls == 1
    assert one.samples == [pytest.approx(seconds)] * 3


def test_a_slow_first_call_does_not_mislead_about_how_many_calls_make_a_sample(
    clock: Clock,
) -> None:
    durations = iter([1.0, 0.0015])  # of the check, and of the first call after it
    (one,) = measure(clock, workload(clock, seconds=lambda: next(durations, 1e-5)))
    assert SAMPLE <= one.calls * 1e-5 <= 2 * SAMPLE
    assert one.samples == [pytest.approx(1e-5)] * 3


def test_a_call_that_the_clock_cannot_tell_from_none_is_still_calibrated(clock: Clock) -> None:
    ticks = iter(range(10**6))
    (one,) = measure(clock, workload(clock, seconds=lambda: 1.0 if next(ticks) == 1000 else 0.0))
    assert 1 < one.calls <= 10_000
    assert one.status == "ok"


# Warm-up


def calls_of_warm_up(clock: Clock, seconds: Callable[[], float] | float) -> int:
    """How often a slow call is run to warm up: all but for the check, the calibration, a round."""
    measure(clock, workload(clock, seconds=seconds), rounds=1, warm_up=WARM_UP)
    return len(runs(clock)) - 3


def test_what_is_stable_is_warm_after_the_least_time(clock: Clock) -> None:
    n = calls_of_warm_up(clock, seconds=0.01)
    assert WARM_UP <= n * 0.01 <= WARM_UP + 3 * 0.01


def test_warm_up_goes_on_while_samples_fall_and_no_longer(clock: Clock) -> None:
    durations = [0.02 * 0.9**i for i in range(12)]
    steady = durations[-1]
    durations += [steady] * 100
    passing = iter(durations)
    n = calls_of_warm_up(clock, seconds=lambda: next(passing))
    assert sum(durations[2:9]) > WARM_UP  # the least time was over long before they were stable
    assert 10 <= n <= 10 + 6


def test_what_never_stops_falling_is_warmed_up_for_the_longest_time(clock: Clock) -> None:
    durations = (0.05 * 0.98**i for i in range(10_000))
    n = calls_of_warm_up(clock, seconds=lambda: next(durations))
    spent = sum(0.05 * 0.98**i for i in range(2, 2 + n))
    assert LONGEST_WARM_UP * WARM_UP <= spent <= LONGEST_WARM_UP * WARM_UP + 3 * 0.05


def test_what_takes_longer_than_all_of_the_warm_up_was_warmed_up_by_its_check(
    clock: Clock,
) -> None:
    assert calls_of_warm_up(clock, seconds=1.01 * LONGEST_WARM_UP * WARM_UP) == 0
    assert calls_of_warm_up(Clock(), seconds=0.99 * LONGEST_WARM_UP * WARM_UP) == 2


# What one does to the others


def test_what_changes_the_process_for_others_fails_and_the_others_do_not(clock: Clock) -> None:
    changes = iter([(), ("torch's thread count was 1 and is 2",), ()])
    them = [workload(clock, name) for name in ("first", "changes", "last")]
    found = measure(clock, *them, settle=lambda: next(changes))
    assert [one.status for one in found] == ["ok", "failed", "ok"]
    assert found[1].reason == "changes torch's thread count was 1 and is 2"
    assert found[1].samples == []


# Turns


def rounds_of(seed: int, *, n: int = 12) -> list[tuple[str, ...]]:
    clock = Clock()
    measure(clock, *(workload(clock, name) for name in "abcd"), rounds=n, seed=seed)
    order = runs(clock)[-4 * n :]
    return [tuple(order[i : i + 4]) for i in range(0, len(order), 4)]


def test_workloads_take_turns_each_once_a_round() -> None:
    assert all(sorted(turn) == ["a", "b", "c", "d"] for turn in rounds_of(0))


def test_the_order_differs_between_rounds_and_follows_from_the_seed() -> None:
    assert len(set(rounds_of(0))) > 6
    assert rounds_of(0) == rounds_of(0)
    assert rounds_of(0) != rounds_of(1)


def test_what_is_found_comes_in_the_order_in_which_it_was_asked(clock: Clock) -> None:
    them = [workload(clock, name) for name in "dacb"]
    assert [one.workload for one in measure(clock, *them)] == them


def test_no_round_begins_after_the_deadline(clock: Clock) -> None:
    both = workload(clock, "a", 0.25), workload(clock, "b", 0.5)
    found = measure(clock, *both, seconds=10.0, rounds=1000)
    assert 10.0 <= clock.now < 10.0 + 0.75
    assert len(found[0].samples) == len(found[1].samples) > 5


def test_the_time_includes_the_set_up(clock: Clock) -> None:
    slow = workload(clock)
    (one,) = measure(
        clock,
        workload(clock, setup=lambda: clock.sleep(9.9) or slow.setup()),
        seconds=10.0,
        rounds=1000,
    )
    assert len(one.samples) < 10


@pytest.mark.parametrize(("fewest", "n"), [(1, 1), (4, 4), (8, 7)])
def test_there_are_some_rounds_although_the_time_is_up(clock: Clock, fewest: int, n: int) -> None:
    (one,) = measure(clock, workload(clock), seconds=0.0, fewest=fewest, rounds=7)
    assert len(one.samples) == n


def test_there_are_so_many_rounds_and_no_more_although_there_is_time(clock: Clock) -> None:
    found = engine.measure([workload(clock)], clock=clock, seconds=1e9, seed=0)
    assert len(found[0].samples) == ROUNDS


def test_nothing_to_measure_is_nothing_found(clock: Clock) -> None:
    assert measure(clock) == []


# The garbage collector


@pytest.fixture
def collector() -> Iterator[None]:
    """Leaves it as it was, whatever a test or what it tests does."""
    was_enabled = gc.isenabled()
    gc.enable()
    yield
    (gc.enable if was_enabled else gc.disable)()


@pytest.mark.usefixtures("collector")
def test_nothing_is_collected_while_samples_are_taken(clock: Clock) -> None:
    enabled: list[bool] = []
    measure(clock, workload(clock, does=lambda: enabled.append(gc.isenabled())), rounds=5)
    assert enabled[-5:] == [False] * 5
    assert gc.isenabled()


@pytest.mark.usefixtures("collector")
@pytest.mark.parametrize("error", [ValueError, SystemExit, KeyboardInterrupt])
def test_the_collector_is_on_again_after_a_workload_has_raised(
    clock: Clock, error: type[BaseException]
) -> None:
    def raises() -> None:
        if not gc.isenabled():
            raise error

    if error is KeyboardInterrupt:
        with pytest.raises(KeyboardInterrupt):
            measure(clock, workload(clock, does=raises))
    else:
        measure(clock, workload(clock, does=raises))
    assert gc.isenabled()


@pytest.mark.usefixtures("collector")
def test_a_collector_that_was_off_is_left_off(clock: Clock) -> None:
    gc.disable()
    measure(clock, workload(clock))
    assert not gc.isenabled()


# What stands inside the clock


def test_the_device_is_done_before_the_clock_starts_and_before_it_stops(clock: Clock) -> None:
    measure(
        clock,
        workload(
            clock,
            before=lambda: clock.events.append("before"),
            synchronize=lambda: clock.events.append("synchronize"),
        ),
        rounds=1,
    )
    sample = ["before", "synchronize", "clock", "run", "synchronize", "clock"]
    assert clock.events[-6:] == sample


def test_what_the_device_does_later_is_timed_although_the_call_comes_back_at_once(
    clock: Clock,
) -> None:
    given: list[float] = []

    def synchronize() -> None:
        clock.sleep(sum(given))
        given.clear()

    (one,) = measure(
        clock, workload(clock, seconds=0, does=lambda: given.append(1e-4), synchronize=synchronize)
    )
    assert one.samples == [pytest.approx(1e-4)] * 3
    assert one.calls * 1e-4 >= SAMPLE
    assert one.figures["first_seconds"] == pytest.approx(1e-4)


def test_the_devices_own_clock_is_used_where_it_has_one(clock: Clock) -> None:
    asked: list[int] = []

    def elapsed(call: Callable[[], object], n: int) -> Sequence[float]:
        asked.append(n)
        for _ in range(n):
            call()
        return [3e-4, *[4e-4] * (n - 1)]

    (one,) = measure(clock, workload(clock, seconds=7.0, elapsed=elapsed))
    assert one.samples == [4e-4] * 3
    assert SAMPLE <= one.calls * 4e-4 <= 2 * SAMPLE
    assert asked[-3:] == [one.calls] * 3
    assert len(runs(clock)) == 1 + sum(asked)  # once more for the check


def test_a_devices_clock_and_a_call_before_make_samples_of_single_calls(clock: Clock) -> None:
    asked: list[int] = []

    def elapsed(call: Callable[[], object], n: int) -> Sequence[float]:
        asked.append(n)
        call()
        return [1e-6]

    (one,) = measure(clock, workload(clock, elapsed=elapsed, before=lambda: clock.sleep(1)))
    assert one.samples == [1e-6] * 3
    assert set(asked) == {1}


def test_what_is_done_before_each_call_is_not_timed(clock: Clock) -> None:
    def before() -> None:
        clock.events.append("before")
        clock.sleep(1.0)

    (one,) = measure(clock, workload(clock, seconds=1e-5, before=before))
    assert one.calls == 1
    assert one.samples == [pytest.approx(1e-5)] * 3
    assert runs(clock) == ["before", "run"] * (len(runs(clock)) // 2)


def test_single_calls_are_sampled_many_at_a_time(clock: Clock) -> None:
    durations = iter(range(1, 10**6))
    (one,) = measure(
        clock, workload(clock, seconds=lambda: next(durations) * 2.0**-20, single=True)
    )
    assert one.calls == 1
    assert len(one.samples) == 3 * BURST
    assert {round((b - a) * 2**20) for a, b in pairwise(one.samples)} == {1}


def test_set_up_and_check_are_not_in_the_samples_but_in_the_figures(clock: Clock) -> None:
    plain = workload(clock)

    def setup() -> Any:
        clock.sleep(5.0)
        return plain.setup()

    def check(_: object) -> dict[str, float]:
        clock.sleep(7.0)
        return {"error": 0.125}

    (one,) = measure(clock, workload(clock, setup=setup, check=check))
    assert one.samples == [pytest.approx(0.01)] * 3
    assert one.figures == {
        "setup_seconds": pytest.approx(5.0),
        "first_seconds": pytest.approx(0.01),
        "error": 0.125,
    }


def test_a_workload_is_set_up_and_checked_once(clock: Clock) -> None:
    plain = workload(clock, does=lambda: "output")
    seen: list[object] = []
    measure(
        clock,
        workload(
            clock,
            setup=lambda: seen.append("set up") or plain.setup(),
            check=lambda output: seen.append(output) or {},
        ),
    )
    assert seen == ["set up", "output"]


# What goes wrong


def require_ones(output: Any) -> dict[str, float]:
    if not np.array_equal(output, np.ones(3)):
        raise WrongOutputError(f"gives {output}")
    return {}


def test_a_stale_array_does_not_pass_for_a_new_result(clock: Clock) -> None:
    stale = np.ones(3)
    reused = np.ones(3)

    def computes() -> Any:
        reused[:] = 1
        return reused

    checked = {"check": require_ones, "poison": workloads.poison}
    wrong, new, written = measure(
        clock,
        workload(clock, "stale", does=lambda: stale, **checked),
        workload(clock, "new", does=lambda: np.ones(3), **checked),
        workload(clock, "reused", does=computes, **checked),
    )
    assert (wrong.status, wrong.samples) == ("wrong", [])
    assert wrong.reason == (
        "returns its last array, which the harness had overwritten, without computing it again"
    )
    assert new.status == written.status == "ok"


def test_an_output_that_comes_again_and_cannot_be_overwritten_is_not_trusted(clock: Clock) -> None:
    kept = np.ones(3)
    kept.flags.writeable = False

    def sealed() -> Any:
        output = np.ones(3)
        output.flags.writeable = False
        return output

    checked = {"check": require_ones, "poison": workloads.poison}
    again, new = measure(
        clock,
        workload(clock, "again", does=lambda: kept, **checked),
        workload(clock, "new", does=sealed, **checked),
    )
    assert (again.status, again.samples) == ("wrong", [])
    assert again.reason.startswith("returns the same read-only output again")
    assert new.status == "ok"


def test_a_wrong_output_is_not_timed_and_the_others_go_on(clock: Clock) -> None:
    before, wrong, after = measure(
        clock,
        workload(clock, "before"),
        workload(clock, "wrong", check=require_ones),
        workload(clock, "after"),
    )
    assert (wrong.status, wrong.reason, wrong.samples) == ("wrong", "gives None", [])
    assert clock.count("wrong") == 1
    assert [before.status, after.status] == ["ok", "ok"]
    assert len(before.samples) == len(after.samples) == 3


def raising(error: BaseException) -> Callable[..., Any]:
    def raises(*_: object) -> Any:
        raise error

    return raises


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ValueError("no such thing"), "ValueError: no such thing"),
        (SystemExit(3), "SystemExit: 3"),
        (MemoryError(), "MemoryError"),
    ],
)
@pytest.mark.parametrize("where", ["setup", "does", "check", "before", "synchronize", "poison"])
def test_what_raises_has_failed_and_the_others_go_on(
    clock: Clock, where: str, error: BaseException, reason: str
) -> None:
    before, failed, after = measure(
        clock,
        workload(clock, "before"),
        workload(clock, "failed", **{where: raising(error)}),
        workload(clock, "after"),
    )
    assert (failed.status, failed.reason, failed.samples) == ("failed", reason, [])
    assert [before.status, after.status] == ["ok", "ok"]
    assert len(before.samples) == len(after.samples) == 3


def test_what_raises_while_it_is_sampled_has_failed_and_is_not_run_again(clock: Clock) -> None:
    def late() -> None:
        if clock.count("late") == 7:
            raise SystemExit("seven is enough")

    failed, other = measure(clock, workload(clock, "late", does=late), workload(clock), rounds=9)
    assert (failed.status, failed.reason) == ("failed", "SystemExit: seven is enough")
    assert clock.count("late") == 7
    assert (other.status, len(other.samples)) == ("ok", 9)


def test_an_interrupt_is_the_users_and_no_workloads_fault(clock: Clock) -> None:
    with pytest.raises(KeyboardInterrupt):
        measure(clock, workload(clock, does=raising(KeyboardInterrupt())))


# From samples to figures

seconds_taken = st.floats(1e-7, 1e3)
processes = st.lists(st.lists(seconds_taken, min_size=1, max_size=9), min_size=2, max_size=8)


@given(processes)
def test_figures_are_those_of_the_processes_and_not_of_their_samples(
    samples: list[list[float]],
) -> None:
    summary = summarise(samples)
    medians = [np.median(process) for process in samples]
    quartiles = [np.quantile(process, 0.75) for process in samples]
    assert summary.median == pytest.approx(np.median(medians))
    assert summary.minimum == np.concatenate(samples).min()
    assert summary.third_quartile == pytest.approx(np.median(quartiles))
    assert summary.n_processes == len(samples)
    assert summary.n_samples == sum(map(len, samples))


@given(processes)
def test_the_interval_is_students_t_of_the_logarithms_of_the_medians(
    samples: list[list[float]],
) -> None:
    logs = np.log([np.median(process) for process in samples])
    summary = summarise(samples)
    if np.ptp(logs) < 1e-9:
        assert summary.low == pytest.approx(summary.high)
        return
    low, high = scipy.stats.t.interval(
        0.95, len(logs) - 1, loc=logs.mean(), scale=scipy.stats.sem(logs)
    )
    middle = np.log(summary.median)  # is inside, even where processes are of two kinds
    expected = [min(low, middle), max(high, middle)]
    assert np.log([summary.low, summary.high]) == pytest.approx(expected)


def test_one_process_has_no_interval() -> None:
    summary = summarise([[3.0, 1.0, 2.0]])
    assert (summary.median, summary.minimum, summary.third_quartile) == (2, 1, 2.5)
    assert math.isnan(summary.low)
    assert math.isnan(summary.high)


def test_a_process_with_many_samples_counts_no_more_than_one_with_few() -> None:
    assert summarise([[1.0] * 100, [2.0], [3.0]]).median == 2


@given(st.integers(1, FEWEST - 1), seconds_taken)
def test_fewer_processes_than_are_needed_are_never_tight(n: int, seconds: float) -> None:
    assert not is_tight([[seconds] * 5] * n)


def test_nothing_is_not_tight() -> None:
    assert not is_tight([])


@given(st.integers(TIGHT_FROM, 10), seconds_taken)
def test_processes_that_agree_are_tight(n: int, seconds: float) -> None:
    assert is_tight([[seconds]] * n)


@given(st.lists(st.floats(0.9, 1.1), min_size=TIGHT_FROM, max_size=10))
def test_tight_is_an_interval_within_two_percent_of_the_median(medians: list[float]) -> None:
    summary = summarise([[m] for m in medians])
    assert is_tight([[m] for m in medians]) == (
        summary.high - summary.low <= 2 * 0.02 * summary.median
    )


@given(
    st.lists(st.tuples(*[st.floats(0.01, 100)] * 3), min_size=1, max_size=9),
)
def test_what_slows_a_process_cancels_out_of_a_ratio(
    these: list[tuple[float, float, float]],
) -> None:
    a = [[x, 2 * x] for x, _, _ in these]
    b = [[x, x] for _, x, _ in these]
    slowed = ([[factor * x for x in one] for one, (*_, factor) in zip(c, these)] for c in (a, b))  # noqa: B905
    assert ratio(*slowed) == pytest.approx(ratio(a, b))


def test_a_ratio_is_the_median_of_the_processes_ratios() -> None:
    these = [[2.0], [40.0, 40.0, 1.0], [3.0]]
    those = [[1.0], [10.0], [1.0, 1.0, 9.0]]
    assert ratio(these, those) == 3
    assert ratio(these, these) == 1
    assert ratio(those, these) == pytest.approx(median([1 / 2, 1 / 4, 1 / 3]))
