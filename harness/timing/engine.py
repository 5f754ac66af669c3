"""Times workloads within one process.

Workloads that are to be compared take turns in random order, so that whatever is peculiar to the
process affects all of them. Each sample is a loop of calls that is long enough for the clock. Two
processes of the same code can differ by a third in their medians. Therefore the process is the unit
of statistics: confidence intervals use the medians of processes, never single samples.
"""

from __future__ import annotations

import contextlib
import gc
import time
from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from harness.contract.values import TO_PREDICT, WorkloadKey
from harness.errors import describe
from harness.timing import blocks
from harness.timing.blocks import nothing, without_garbage_collection

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from harness.contract.values import TimedCall
    from harness.timing.blocks import Clock

SAMPLE = 0.002
"""The least number of seconds of a sample; determines the number of calls in it."""

WARM_UP = 0.05
"""The least number of seconds that a workload runs before it is timed."""

ROUNDS = 25
"""The most samples that a process takes of each workload."""

BURST = 20
"""Calls per round of a workload whose samples are single calls."""


class WrongOutputError(Exception):
    """A workload computed a wrong output."""


@dataclass(frozen=True, slots=True, eq=False)
class Workload:
    """A computation that can be set up, timed and checked.

    Args:
        kind: see `harness.contract.values.Timing`, as for the next three.
        subject: the kernel or model.
        case: the dataset, or the shape and type of an array.
        device: name of the device.
        setup: does all the work that is not timed, and returns the call to time.
        check: takes the output of a call, and returns figures to keep beside the samples.
            Raises `WrongOutputError` with the reason if the output is wrong.
        before: runs before each call, outside the clock; a sample is then a single call.
        single: each call is a sample, because the distribution over calls is of interest.
        synchronize: returns when the device has finished all its work.
        elapsed: the device's own clock, if it has one: `harness.contract.values.Device.elapsed`.
        poison: overwrites an output, before the call whose output is checked, and returns whether
            it could.
    """

    kind: TimedCall
    subject: str
    case: str
    device: str
    setup: Callable[[], Callable[[], Any]]
    check: Callable[[Any], Mapping[str, float]] = lambda _: {}
    before: Callable[[], object] | None = None
    single: bool = False
    synchronize: Callable[[], None] = nothing
    elapsed: Callable[[Callable[[], object], int], Sequence[float]] | None = None
    poison: Callable[[Any], bool] | None = None

    @property
    def key(self) -> WorkloadKey:
        """What identifies the workload."""
        return WorkloadKey(self.kind, self.subject, self.case, self.device)


@dataclass(slots=True)
class Measured:
    """One process's measurements of one workload."""

    workload: Workload
    status: Literal["ok", "wrong", "failed"] = "ok"
    reason: str = ""
    samples: list[float] = field(default_factory=list)
    calls: int = 1
    figures: dict[str, float] = field(default_factory=dict)
    last: Any = None
    """Output of the last call, if the workload has a `Workload.before` and no `Workload.poison`."""


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
    between: Callable[[], object] = nothing,
) -> list[Measured]:
    """Time workloads in this process, in turns.

    First each workload is set up, checked and warmed up. A workload that is wrong or raises is
    reported as such and not timed. Then, in every round, each workload is sampled once, in random
    order. A final check finds workloads that have stopped computing in the meantime.

    Args:
        workloads: the workloads to compare with one another.
        seconds: time for set-up and rounds; no round begins later.
        seed: seed of the order.
        clock: monotonic clock, in seconds.
        rounds: the most rounds.
        fewest: the least number of rounds, even if the time is up.
        warm_up: the least number of seconds that each workload runs before it is timed.
        tell: called with each workload before it runs, outside the clock.
        settle: called after each set-up: undoes the workload's changes to the process's state, and
            returns the changes that would have affected the other workloads' times.
        between: called after each workload's turn, outside the clock.
    """
    deadline = clock() + seconds
    rng = np.random.default_rng(seed)
    results = [Measured(workload) for workload in workloads]
    ready: list[tuple[Measured, Callable[[], Any]]] = []
    for measured in results:
        tell(measured.workload)
        with _blame(measured):
            ready.append((measured, _made_ready(measured, clock, warm_up)))
        if (changes := settle()) and measured.status == "ok":
            measured.status, measured.reason = "failed", f"changes {'; '.join(changes)}"
    with without_garbage_collection():
        for i in range(rounds):
            if i >= fewest and clock() >= deadline:
                break
            for j in rng.permutation(len(ready)):
                measured, run = ready[j]
                if measured.status != "ok":
                    continue
                tell(measured.workload)
                gc.disable()  # a workload may have enabled it
                with _blame(measured):
                    for _ in range(BURST if measured.workload.single else 1):
                        measured.samples.append(_sample(measured, run, clock))
                between()
    for measured, run in ready:
        if measured.status == "ok":
            tell(measured.workload)
            with _blame(measured, "after it was timed, "):
                check_again(measured, run)
    return results


def _made_ready(measured: Measured, clock: Clock, warm_up: float) -> Callable[[], Any]:
    """Set a workload up, check it, calibrate it and warm it up; returns the call to time."""
    run, second_seconds = checked(measured, clock)
    workload = measured.workload
    usual = second_seconds or measured.figures["first_seconds"]

    def block(calls: int) -> float:
        measured.calls = calls
        return _sample(measured, run, clock)

    # A call that takes this long is a sample by itself, without calibration.
    slow = not workload.elapsed and second_seconds >= max(SAMPLE, warm_up)
    if not (workload.before or workload.single or slow):
        measured.calls = blocks.calibrated(block, SAMPLE)
    blocks.warm_up(block, measured.calls, warm_up, usual, clock)
    return run


def checked(
    measured: Measured, clock: Clock = time.perf_counter
) -> tuple[Callable[[], Any], float]:
    """Set a workload up and check its output.

    Returns:
        The call to time, and the seconds of its second call, or 0 if there was none.

    Raises:
        WrongOutputError: the output is wrong. Other exceptions of the workload pass through.
    """
    workload = measured.workload
    started = clock()
    run = workload.setup()
    measured.figures["setup_seconds"] = clock() - started
    output, measured.figures["first_seconds"] = _call(measured, run, clock)
    second_seconds = 0.0
    if workload.poison:
        first, overwritten = output, workload.poison(output)
        output, second_seconds = _call(measured, run, clock)
    try:
        measured.figures |= workload.check(output)
    except WrongOutputError:
        if workload.poison and output is first and overwritten:
            raise WrongOutputError(
                "returns its last array, which the harness had overwritten, without computing it "
                "again"
            ) from None
        raise
    if workload.poison and output is first and not overwritten:
        raise WrongOutputError(
            "returns the same read-only output again, so that nothing shows whether it was computed"
        )
    return run, second_seconds


def check_again(measured: Measured, run: Callable[[], Any]) -> None:
    """Check that a workload still computes after all its timed calls.

    A workload whose output cannot be overwritten, such as a fit, is judged by its last timed call.

    Raises:
        WrongOutputError: the output is wrong. Other exceptions of the workload pass through.
    """
    output = measured.last
    if measured.workload.poison:
        measured.workload.poison(_call(measured, run, time.perf_counter)[0])
        output, _ = _call(measured, run, time.perf_counter)
    measured.last = None
    if output is not None:
        for name, value in measured.workload.check(output).items():
            measured.figures[name] = worse(name, (measured.figures.get(name, value), value))


def _call(measured: Measured, run: Callable[[], Any], clock: Clock) -> tuple[Any, float]:
    """The output of a single call, and its seconds."""
    if measured.workload.before:
        measured.workload.before()
    started = clock()
    output = run()
    measured.workload.synchronize()
    return output, clock() - started


def _sample(measured: Measured, run: Callable[[], Any], clock: Clock) -> float:
    """Seconds per call."""
    workload = measured.workload
    if workload.before:
        workload.before()
    workload.synchronize()
    if workload.elapsed:
        return median(workload.elapsed(run, measured.calls))
    if workload.before and not workload.poison:
        measured.last = None
        started = clock()
        measured.last = run()
        workload.synchronize()
        return clock() - started
    return blocks.timed(run, measured.calls, workload.synchronize, clock)


def worse(name: str, values: Sequence[float]) -> float:
    """The least favourable of several values of a figure.

    The time that a fit leaves to its first prediction is an exception and takes the smallest value:
    a fit that defers work does so every time, so a single large value is the process's doing.

    >>> worse("error", (1e-7, 2e-7)), worse("survives", (1.0, 0.0))
    (2e-07, 0.0)
    """
    return min(values) if name in ("survives", TO_PREDICT) else max(values)


@contextlib.contextmanager
def _blame(measured: Measured, when: str = "") -> Iterator[None]:
    """Record an exception of a workload as its status and reason."""
    try:
        yield
    except WrongOutputError as error:
        measured.status, measured.reason = "wrong", f"{when}{error}"
    except (Exception, SystemExit) as error:  # noqa: BLE001  # plugins raise anything
        measured.status, measured.reason = "failed", f"{when}{describe(error)}"
