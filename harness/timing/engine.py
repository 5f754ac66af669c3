"""Workloads become samples, and samples figures: how everything here is timed.

Inside a process the workloads that are to be compared take turns in random order, each sample a
loop of calls long enough for the clock. Whatever differs between two processes differs for all of
them. Two processes of the same code can differ by a third in their medians, so that the process is
the unit: intervals are over the medians of processes, never over samples.
"""

from __future__ import annotations

import contextlib
import gc
import math
import time
from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from harness.contract.registry import describe
from harness.contract.values import TO_PREDICT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    Clock = Callable[[], float]

SAMPLE = 0.002
"""Seconds that a sample takes at least, by which the number of calls in it is found."""

WARM_UP = 0.05
"""Seconds that a workload is run at least before it is timed."""

LONGEST_WARM_UP = 10
"""How many times as long it is run at most, if its samples still fall."""

STABLE = 0.05
"""Warm is what is no more than this part faster than it was."""

ROUNDS = 25
"""Samples that a process takes of each workload at most."""

BURST = 20
"""Single calls that a workload of single calls is given in each round."""


class WrongOutputError(Exception):
    """What a workload computed is not what it should have."""


def _nothing() -> None:
    pass


@dataclass(frozen=True, slots=True, eq=False)
class Workload:
    """A thing that can be set up, run once and checked.

    Args:
        kind: see `harness.contract.values.Timing`, as for the next three.
        subject: the kernel or model.
        case: on what.
        device: its name.
        setup: does all that is not to be timed and returns the call that is.
        check: given what the call returned; figures to keep beside the samples.
            Raises `WrongOutputError` with the reason why it is wrong.
        before: done before each call, outside the clock; a sample is then a single call.
        single: each call is a sample, for the sake of its distribution.
        synchronize: returns when the device has done all it was given.
        elapsed: the device's own clock, if it has one: `harness.contract.values.Device.elapsed`.
        poison: overwrites what a call returned, before the call whose output is checked, and tells
            whether it could.
    """

    kind: str
    subject: str
    case: str
    device: str
    setup: Callable[[], Callable[[], Any]]
    check: Callable[[Any], Mapping[str, float]] = lambda _: {}
    before: Callable[[], object] | None = None
    single: bool = False
    synchronize: Callable[[], None] = _nothing
    elapsed: Callable[[Callable[[], object], int], Sequence[float]] | None = None
    poison: Callable[[Any], bool] | None = None

    @property
    def key(self) -> tuple[str, str, str, str]:
        """What no two workloads have in common."""
        return self.kind, self.subject, self.case, self.device


@dataclass(slots=True)
class Measured:
    """What one process found out about one workload."""

    workload: Workload
    status: Literal["ok", "wrong", "failed"] = "ok"
    reason: str = ""
    samples: list[float] = field(default_factory=list)
    calls: int = 1
    figures: dict[str, float] = field(default_factory=dict)
    last: Any = None
    """What the last call gave, of what is set up anew for each call."""


def measure(
    workloads: Sequence[Workload],
    *,
    seconds: float,
    seed: int,
    clock: Clock = time.perf_counter,
    rounds: int = ROUNDS,
    fewest: int = 1,
    warm_up: float = WARM_UP,
    tell: Callable[[Workload], object] = lambda _: None,
    settle: Callable[[], Sequence[str]] = tuple,
) -> list[Measured]:
    """Samples of each workload, taken here and now, in turns.

    Each is set up, checked and warmed up; one that is wrong or raises is reported so and not timed.
    Then come rounds, in each of which every workload is sampled once, in random order; and another
    check, for what stopped computing meanwhile.

    Args:
        workloads: to compare with one another.
        seconds: in which to begin rounds, set-up included.
        seed: of the order.
        clock: seconds, ever growing.
        rounds: at most.
        fewest: rounds at least, although the time may be up.
        warm_up: seconds that each is run at least before it is timed.
        tell: called with each workload before it is run, outside the clock.
        settle: called after each was set up: puts back what it changed of the process's state, and
            names what of it would have changed the others' times.
    """
    deadline = clock() + seconds
    rng = np.random.default_rng(seed)
    found = [Measured(workload) for workload in workloads]
    ready: list[tuple[Measured, Callable[[], Any]]] = []
    for one in found:
        tell(one.workload)
        with _blame(one):
            run, again = checked(one, clock)
            # Of what takes so long, a call is a sample, which need not be found out by calls.
            slow = not one.workload.elapsed and again >= max(SAMPLE, warm_up)
            if not (one.workload.before or one.workload.single or slow):
                one.calls = _calibrated(one, run, clock)
            _warm_up(one, run, clock, warm_up, again or one.figures["first_seconds"])
            ready.append((one, run))
        if (changes := settle()) and one.status == "ok":
            one.status, one.reason = "failed", f"changes {'; '.join(changes)}"
    with without_garbage_collection():
        for i in range(rounds):
            if i >= fewest and clock() >= deadline:
                break
            for j in rng.permutation(len(ready)):
                one, run = ready[j]
                if one.status != "ok":
                    continue
                tell(one.workload)
                gc.disable()  # lest one of them enabled it
                with _blame(one):
                    for _ in range(BURST if one.workload.single else 1):
                        one.samples.append(_sample(one, run, clock))
    for one, run in ready:
        if one.status == "ok":
            tell(one.workload)
            with _blame(one, "after it was timed, "):
                check_again(one, run)
    return found


def checked(one: Measured, clock: Clock = time.perf_counter) -> tuple[Callable[[], Any], float]:
    """The call to time, after its output was found right, and seconds of a second call, or 0.

    Raises:
        WrongOutputError: it was not. Whatever else the workload raises goes through.
    """
    workload = one.workload
    started = clock()
    run = workload.setup()
    one.figures["setup_seconds"] = clock() - started
    output, one.figures["first_seconds"] = _call(one, run, clock)
    again = 0.0
    if workload.poison:
        first, overwritten = output, workload.poison(output)
        output, again = _call(one, run, clock)
    try:
        one.figures |= workload.check(output)
    except WrongOutputError:
        if workload.poison and output is first and overwritten:
            raise WrongOutputError(
                "gives the same array again, overwritten as it was, and does not compute it anew"
            ) from None
        raise
    if workload.poison and output is first and not overwritten:
        raise WrongOutputError(
            "gives the same output again, which cannot be overwritten: nothing tells whether it "
            "was computed"
        )
    return run, again


def check_again(one: Measured, run: Callable[[], Any]) -> None:
    """Whether it still computes, after having been called so many times.

    What is set up anew for each call and not overwritten, such as a fit, is judged by the last
    that was timed.

    Raises:
        WrongOutputError: it does not. Whatever else the workload raises goes through.
    """
    output = one.last
    if one.workload.poison:
        one.workload.poison(_call(one, run, time.perf_counter)[0])
        output, _ = _call(one, run, time.perf_counter)
    one.last = None
    if output is not None:
        for name, value in one.workload.check(output).items():
            one.figures[name] = worse(name, (one.figures.get(name, value), value))


def _call(one: Measured, run: Callable[[], Any], clock: Clock) -> tuple[Any, float]:
    """The output of a single call, and the seconds that it took."""
    if one.workload.before:
        one.workload.before()
    started = clock()
    output = run()
    one.workload.synchronize()
    return output, clock() - started


def _calibrated(one: Measured, run: Callable[[], Any], clock: Clock) -> int:
    """How many calls make a sample."""
    calls = 1
    while True:
        one.calls = calls
        taken = calls * _sample(one, run, clock)
        if taken >= SAMPLE:
            return calls
        # Towards the target at once, but never by more than a first, slow call may mislead.
        calls = min(10 * calls, max(2 * calls, math.ceil(1.2 * calls * SAMPLE / max(taken, 1e-9))))


def _warm_up(
    one: Measured, run: Callable[[], Any], clock: Clock, seconds: float, usual: float
) -> None:
    """Run until samples no longer fall, for a time and not for a number of calls.

    What counts is the best of three samples, or each one where a call takes all of that time.
    ``usual`` tells what a call takes, in seconds.
    """
    # What takes longer than all of this was warmed up by its check.
    if usual > LONGEST_WARM_UP * seconds:
        return
    burst = 1 if usual >= 2 * seconds else 3
    started = clock()
    best = math.inf
    while True:
        last = min(_sample(one, run, clock) for _ in range(burst))
        spent = clock() - started
        if spent >= LONGEST_WARM_UP * seconds:
            return
        if spent >= seconds and last >= (1 - STABLE) * best:
            return
        best = min(best, last)


def _sample(one: Measured, run: Callable[[], Any], clock: Clock) -> float:
    """Seconds per call."""
    workload = one.workload
    if workload.before:
        workload.before()
    workload.synchronize()
    if workload.elapsed:
        return median(workload.elapsed(run, one.calls))
    if workload.before and not workload.poison:
        one.last = None
        started = clock()
        one.last = run()
        workload.synchronize()
        return clock() - started
    calls = range(one.calls)
    started = clock()
    for _ in calls:
        run()
    workload.synchronize()
    return (clock() - started) / one.calls


def worse(name: str, values: Sequence[float]) -> float:
    """The figure that speaks against a workload, of several that were found of the same name.

    What a fit leaves to its first prediction it leaves every time; what comes up once is the
    process's.

    >>> worse("error", (1e-7, 2e-7)), worse("survives", (1.0, 0.0))
    (2e-07, 0.0)
    """
    return min(values) if name in ("survives", TO_PREDICT) else max(values)


@contextlib.contextmanager
def _blame(one: Measured, when: str = "") -> Iterator[None]:
    """Whatever a workload raises is its own affair."""
    try:
        yield
    except WrongOutputError as error:
        one.status, one.reason = "wrong", f"{when}{error}"
    except (Exception, SystemExit) as error:  # noqa: BLE001  # strangers raise anything
        one.status, one.reason = "failed", f"{when}{describe(error)}"


@contextlib.contextmanager
def without_garbage_collection() -> Iterator[None]:
    """What is garbage is collected before, and none meanwhile."""
    gc.collect()
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
