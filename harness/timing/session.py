"""Times groups of workloads in fresh processes, one after another, until intervals are tight."""

from __future__ import annotations

import gc
import math
import random
import time
from collections import Counter
from dataclasses import astuple, dataclass, field, replace
from functools import partial
from statistics import median
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from harness.contract.registry import load
from harness.contract.values import TimedCall, Timing, WorkloadKey
from harness.processes import state as process_state
from harness.processes import worker as processes
from harness.processes.client import Limits
from harness.processes.worker import Worker
from harness.statistics.timings import FEWEST, is_tight, process_interval
from harness.timing import anchors, busyness
from harness.timing.busyness import Snapshot, Usage
from harness.timing.engine import BURST, ROUNDS, WARM_UP, measure, worse
from harness.timing.workloads import SoftmaxGroup
from harness.trials.executors.local import share_of_memory

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from harness.contract.registry import Registry
    from harness.contract.values import Failure
    from harness.timing.anchors import Anchors
    from harness.timing.engine import Measured
    from harness.timing.workloads import Group

    Clock = Callable[[], float]
    WorkloadAnswer = tuple[
        "WorkloadKey", Literal["ok", "wrong", "failed"], str, list[float], int, dict[str, float]
    ]

MOST = 10
"""The default maximum number of processes."""

LEAST, PATIENCE, LONGEST = 10.0, 60.0, 600.0
"""A workload counts as hung after `LEAST` seconds + `PATIENCE` times the expected seconds of its
round, but no later than after `LONGEST` seconds."""

STOPS = {
    "tight": "until every interval was tight",
    "budget": "until the time limit",
    "most": "the largest number",
    "nothing": "until every timing had ended or failed",
    "interrupted": "until it was interrupted",
}
MODULES = ("harness.timing.session",)
POLL = 0.05
"""Seconds between two looks at a busy process."""

LATE = 1.1
"""Factor by which processes may exceed their time before a group is put aside for the others."""

CAP = 500
"""The most samples that are kept of each process."""


@dataclass(frozen=True, slots=True)
class GroupAnswer:
    """A process's measurements of one group.

    Args:
        found: the measurement of each workload.
        spare: seconds that the process would have saved with the fewest rounds.
        usage: use of the machine's processors during the measurement.
        anchors: seconds of each anchor during the measurement, by its name.
    """

    found: Sequence[WorkloadAnswer]
    spare: float = 0.0
    usage: Usage = field(default_factory=Usage)
    anchors: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, message: Sequence[Any]) -> GroupAnswer:
        """Reads an answer from the JSON that the process sends."""
        found, spare, usage, seconds = message
        return cls([(_key(key), *rest) for key, *rest in found], spare, Usage(*usage), seconds)


@dataclass(frozen=True, slots=True)
class Session:
    """The timings of some groups, and how they were taken.

    Args:
        timings: in the order of the groups.
        n_processes: number of processes started.
        stopped: why timing stopped: ``tight`` (every interval is tight), ``budget`` (the time was
            up), ``most`` (the maximum number of processes was reached), ``nothing`` (everything
            left has failed), ``interrupted``.
        seconds: duration of the session.
        usage: use of the machine's processors during the measurements.
        load: the load average at the start.
    """

    timings: tuple[Timing, ...]
    n_processes: int
    stopped: str
    seconds: float
    usage: Usage = field(default_factory=Usage)
    load: float | None = None

    def __str__(self) -> str:
        """A summary such as ``timed for 31 s in 3 processes, until the time limit``."""
        processes = f"{self.n_processes} process{'es' if self.n_processes != 1 else ''}"
        busy = busyness.complaint(self.usage.facts()) if self.usage.seconds else ""
        return (
            f"timed for {self.seconds:.0f} s in {processes}, {STOPS[self.stopped]}"
            f"{f'; this machine was busy: {busy}' if busy else ''}"
        )

    def facts(self, budget: float) -> dict[str, object]:
        """The session's settings and use of the machine, to store with the environment."""
        return {
            "budget": budget,
            "processes": self.n_processes,
            "stopped": self.stopped,
            "seconds": round(self.seconds, 1),
            "samples_kept_per_process": CAP,
            "machine": self.usage.facts(self.load),
        }


@dataclass(slots=True)
class _Tally:
    """The measurements of one workload, collected over processes."""

    place: tuple[int, int]
    status: Literal["ok", "wrong", "failed", "unfinished"] = "ok"
    reason: str = ""
    samples: list[tuple[float, ...]] = field(default_factory=list)
    calls: int = 1
    figures: dict[str, list[float]] = field(default_factory=dict)
    anchors: list[Mapping[str, float]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Bench:
    """The workloads to time, and the settings.

    Args:
        groups: groups of workloads; those of one group are compared with one another.
        plugins: files or modules to discover in each process, besides installed plugins.
        budget: seconds for all groups together; a measurement that has begun is finished.
        threads: number of threads that libraries may use.
        memory: bytes that a process may use; by default a share of the machine's memory.
        rounds: the most samples of each workload per process.
        warm_up: the least number of seconds that a workload runs before it is timed.
        most: the most processes to start; None for as many as fit into the budget.
    """

    groups: tuple[Group, ...]
    plugins: tuple[str, ...] = ()
    budget: float = 60.0
    threads: int = 1
    memory: int | None = None
    rounds: int = ROUNDS
    warm_up: float = WARM_UP
    most: int | None = MOST


def time_groups(
    bench: Bench,
    *,
    clock: Clock = time.monotonic,
    start: Callable[[Bench], Worker] | None = None,
    tell: Callable[[int, str], None] = lambda _process, _case: None,
    interrupts: tuple[type[BaseException], ...] = (),
    note: Callable[[BaseException], None] = lambda _: None,
) -> Session:
    """Time groups in separate processes, one process at a time.

    At least `FEWEST` processes run unless the budget is spent. Further processes measure first the
    groups that fewer processes have measured, then the groups with intervals that are not tight,
    until every interval is tight or nothing more fits into the budget.

    A workload that crashes or hangs ends its process. The rest of its group starts again in a new
    process, without that workload, and the time lost is added to the deadline. A kernel that hangs
    is also left out of all later groups.

    Args:
        bench: the workloads, and the settings.
        clock: monotonic clock, in seconds.
        start: starts a process.
        tell: called with the number of the process, from 1, and the case that it measures next.
        interrupts: exceptions that end the session early, keeping the timings so far.
        note: called with the exception that ended the session early.
    """
    timed = _Bench(bench, clock, start or _start, tell)
    try:
        timed.run()
    except interrupts as stop:
        note(stop)
        timed.stopped = "interrupted"
    return timed.session()


class _Bench:
    """A bench in progress."""

    def __init__(
        self,
        bench: Bench,
        clock: Clock,
        start: Callable[[Bench], Worker],
        tell: Callable[[int, str], None],
    ) -> None:
        self.bench, self.clock, self.start, self.tell = bench, clock, start, tell
        self.n_processes, self.stopped = 0, ""
        self.started = clock()
        self.groups: dict[int, Group] = dict(enumerate(bench.groups))
        self.tallies: dict[WorkloadKey, _Tally] = {}
        self.took: dict[int, float] = {}  # seconds of each group in the latest process
        self.least: dict[int, float] = {}  # seconds of each group with the fewest rounds
        self.measured: Counter[int] = Counter()  # number of processes that measured each group
        self.aside: set[int] = set()  # groups that wait until the others have been measured
        self.start_seconds = 0.0  # of the latest process, before it measured anything
        self.usages: list[Usage] = []
        self.load = busyness.load_average()
        self.lost = 0.0  # seconds lost to workloads that hung or crashed
        self.order = random.Random(0)  # noqa: S311  # no secret
        self.memory = bench.memory or share_of_memory(1)

    def run(self) -> None:
        while not (stopped := self._why_stop(self.n_processes)):
            deadline, lost = self._deadline, self.lost
            began = self.clock()
            n = self.n_processes
            if 0 < n < FEWEST:
                self._put_aside((deadline - began) / (FEWEST - n))
            turn = self._turn()
            self.took.clear()
            self.n_processes += 1
            to_come = max(1, FEWEST - min(self.measured[i] for i, _ in turn))
            self._process(n + 1, began + max(0.0, deadline - began) / to_come, turn)
            spent = self.clock() - began - (self.lost - lost)
            self.start_seconds = max(0.0, spent - sum(self.took.values()))
        self.stopped = stopped

    @property
    def _deadline(self) -> float:
        return self.started + self.bench.budget + self.lost

    def session(self) -> Session:
        """The timings so far."""
        ordered = sorted(self.tallies.items(), key=lambda item: item[1].place)
        timings = tuple(self._timing(key, tally) for key, tally in ordered)
        seconds = self.clock() - self.started
        usage = busyness.total(self.usages)
        return Session(timings, self.n_processes, self.stopped, seconds, usage, self.load)

    def _why_stop(self, n: int) -> str:
        if not self.groups:
            return "nothing"
        if n == self.bench.most:
            return "most"
        if n and self._deadline <= self.clock():
            return "budget"
        live = [tally for tally in self.tallies.values() if tally.status == "ok"]
        if n and not live:
            return "nothing"
        if n and all(is_tight(tally.samples) for tally in live):
            return "tight"
        return "" if self._turn() else "budget"

    def _turn(self) -> list[tuple[int, Group]]:
        """The groups that the next process measures, by index.

        The first `FEWEST` processes measure all groups that are not put aside. Later ones measure
        the groups that fewer than `FEWEST` processes have measured, if the time suffices to catch
        up; otherwise the groups with wide intervals that fit into the time left.
        """
        if self.n_processes < FEWEST:
            active = [item for item in self.groups.items() if item[0] not in self.aside]
            return active or list(self.groups.items())
        left = self._deadline - self.clock() - self.start_seconds
        behind, rest = [], left
        for i in sorted(self.groups, key=lambda i: (self.least.get(i, 0.0), i)):
            needed = (FEWEST - self.measured[i]) * (self.least.get(i, 0.0) + self.start_seconds)
            if self.measured[i] < FEWEST and needed <= rest:
                behind.append(i)
                rest -= needed
        wide = {
            tally.place[0]
            for tally in self.tallies.values()
            if tally.status == "ok" and not is_tight(tally.samples)
        }
        open_ = [
            i
            for i in self.groups
            if self.measured[i] >= FEWEST and i in wide and self.least.get(i, 0.0) <= left
        ]
        return [(i, self.groups[i]) for i in behind or open_]

    def _give_up(self, turn: Sequence[tuple[int, Group]], spent: float) -> None:
        """Report groups for which the time did not suffice, with a budget that probably would."""
        left = sum(group.weight for _, group in turn)
        done = sum(group.weight for group in self.groups.values()) - left
        reason = f"not timed within {self.bench.budget:g} s"
        if done > 0:
            needed = math.ceil(FEWEST * spent * (done + left) / done / 10) * 10
            reason += f"; about {needed} s would suffice"
        for i, group in turn:
            for place, key in enumerate(group.keys):
                self.tallies[key] = _Tally((i, place), "unfinished", reason)
            del self.groups[i]

    def _put_aside(self, seconds: float) -> None:
        """Put the longest groups aside if all groups together exceed the time of one process.

        Otherwise the first `FEWEST` processes would not reach the last groups, whose timings would
        then be incomplete. Groups put aside are measured later if time is left.
        """
        least = {i: self.least.get(i, 0.0) for i in self.groups if i not in self.aside}
        while len(least) > 1 and self.start_seconds + sum(least.values()) > LATE * seconds:
            longest = max(least, key=lambda i: (least[i], i))
            del least[longest]
            self.aside.add(longest)

    def _process(self, number: int, deadline: float, turn: list[tuple[int, Group]]) -> None:
        """Run one process: each group of the turn once, with its share of the time.

        The first process measures the groups in the given order, and gives up those that it does
        not reach in its time, so that the first `FEWEST` processes measure the same groups. Later
        processes shuffle the groups. Processes beyond `FEWEST` skip groups that would end late.

        Args:
            number: number of the process, from 1.
            deadline: when the process should end, by the clock.
            turn: the groups to measure, by index; it is changed in place.
        """
        if number > 1:
            self.order.shuffle(turn)
        entered = self.clock()
        worker: Worker | None = None
        try:
            while turn:
                if self.clock() >= deadline and number == 1 and self.took:
                    self._give_up(turn, self.clock() - entered)
                    return
                i, group = turn.pop(0)
                # The first group of a turn is known to fit, so it is always measured.
                late = self.clock() + self.least.get(i, 0.0) > deadline
                if number > FEWEST and self.took and late:
                    continue
                weight = group.weight + sum(other.weight for _, other in turn)
                starting = self.start_seconds if worker is None else 0.0
                seconds_left = max(0.0, deadline - self.clock() - starting)
                share = seconds_left * group.weight / weight
                if worker is None or not worker.usable:
                    if worker is not None:
                        worker.end()
                    worker = self.start(self.bench)
                began = self.clock()
                self.tell(number, group.case)
                value, failure = self._answer_of(worker, group, share)
                self.took[i] = self.clock() - began - (worker.start_seconds if worker.fresh else 0)
                if failure is None:
                    group_answer = GroupAnswer.of(value)
                    self.least[i] = max(0.0, self.took[i] - group_answer.spare)
                    self.measured[i] += 1
                    self.usages.append(group_answer.usage)
                    self._note(i, group_answer)
                    continue
                # A workload that hung or crashed must not take time from the others.
                lost = self.took.pop(i)
                self.lost += lost
                deadline += lost
                entered += lost
                noted = _noted(worker.noted)
                if (others := self._blame(i, noted, failure.reason)) is not None:
                    turn.insert(0, (i, others))
                if noted and isinstance(group, SoftmaxGroup) and failure.kind == "timeout":
                    turn = self._shun(noted[1], failure.reason, turn)
        finally:
            if worker is not None:
                worker.end()

    def _answer_of(
        self, worker: Worker, group: Group, seconds: float
    ) -> tuple[Any, Failure | None]:
        """Have a worker measure a group; returns the JSON of an `Answer`, or the failure."""
        seed = self.order.randrange(2**32)
        settings = _Settings(self.bench.rounds, self.bench.warm_up, self.bench.threads)
        each = group.weight / len(group.keys)
        limits = Limits(round(min(LONGEST, LEAST + PATIENCE * each), 1), self.memory)
        worker.call(_measure_there, group, seed, seconds, settings, limits=limits, notes=True)
        while (answer := worker.poll()) is None:
            processes.wait([worker], POLL)
        return answer

    def _shun(
        self, culprit: WorkloadKey, reason: str, turn: Sequence[tuple[int, Group]]
    ) -> list[tuple[int, Group]]:
        """The rest of a turn without a kernel that hung: it would hang on other logits, too."""
        remaining = []
        for i, group in turn:
            rest: Group | None = group
            for place, key in enumerate(group.keys):
                if key._replace(case="") == culprit._replace(case="") and rest is not None:
                    tally = _Tally((i, place), "failed", f"{reason} ({culprit.case})")
                    self.tallies.setdefault(key, tally)
                    rest = rest.without(key)
            if rest is None:
                del self.groups[i]
            else:
                self.groups[i] = rest
                remaining.append((i, rest))
        return remaining

    def _blame(
        self, index: int, noted: tuple[int, WorkloadKey] | None, reason: str
    ) -> Group | None:
        """The rest of a group after one of its workloads ended the process.

        None, and all workloads fail, where the culprit is unknown or the group cannot do without
        it.
        """
        group = self.groups.pop(index)
        rest = group.without(noted[1]) if noted else None
        culprits = [noted] if noted else []
        if noted is None or rest == group:
            culprits += enumerate(group.keys)
            rest = None
        for place, key in culprits:
            tally = self.tallies.setdefault(key, _Tally((index, place)))
            tally.status, tally.reason = "failed", reason
        if rest is not None:
            self.groups[index] = rest
        return rest

    def _note(self, index: int, answer: GroupAnswer) -> None:
        for j, (key, status, reason, samples, calls, figures) in enumerate(answer.found):
            tally = self.tallies.setdefault(key, _Tally((index, j)))
            if status != "ok" and key.kind.whole is not key.kind:
                del self.tallies[key]  # a model may refuse a fit of one epoch
                continue
            if status != "ok":
                tally.status, tally.reason = status, reason
                continue
            tally.samples.append(tuple(samples[:CAP]))
            tally.anchors.append(answer.anchors)
            tally.calls = max(tally.calls, calls)
            for name, value in figures.items():
                tally.figures.setdefault(name, []).append(value)

    def _timing(self, key: WorkloadKey, tally: _Tally) -> Timing:
        status, reason = tally.status, tally.reason
        if status == "ok" and len(tally.samples) < FEWEST:
            status = "unfinished"
            n = len(tally.samples)
            why = "it was interrupted" if self.stopped == "interrupted" else "the time was up"
            reason = f"{why} after {n} process{'es' if n != 1 else ''} of {FEWEST}"
        return Timing(
            *key,
            threads=self.bench.threads,
            status=status,
            reason=reason,
            samples=tuple(tally.samples) if status == "ok" else (),
            calls=tally.calls,
            figures=_figures(tally.figures),
            anchor=anchors.fitting(key) if status == "ok" else "",
            anchors=_by_anchor(tally.anchors) if status == "ok" else {},
        )


def _noted(value: Any) -> tuple[int, WorkloadKey] | None:
    """Place and key of the workload that a process noted last; ``value`` is JSON."""
    return (int(value[0]), _key(value[1])) if value else None


def _key(parts: Sequence[str]) -> WorkloadKey:
    kind, *rest = parts
    return WorkloadKey(TimedCall(kind), *rest)


def _figures(by_process: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """Each figure over all processes: seconds as median and interval, others at their worst."""
    summary: dict[str, float] = {}
    for name, values in by_process.items():
        summary[name] = median(values) if name.endswith("seconds") else worse(name, values)
        if name.endswith("seconds") and min(values) > 0:
            low, high = process_interval(np.array(values))
            summary |= {
                f"{name}_low": min(low, summary[name]),
                f"{name}_high": max(high, summary[name]),
            }
    return summary


def _by_anchor(by_process: Sequence[Mapping[str, float]]) -> dict[str, tuple[float, ...]]:
    """Seconds of those anchors that every process timed: a value for each process."""
    first = by_process[0] if by_process else {}
    return {
        name: tuple(seconds[name] for seconds in by_process)
        for name in first
        if all(name in seconds for seconds in by_process)
    }


@dataclass(frozen=True, slots=True)
class _Held:
    """What a process keeps from one group to the next."""

    registry: Registry
    anchors: Anchors


@dataclass(frozen=True, slots=True)
class _Settings:
    """Settings of a bench for its processes; see `Bench`."""

    rounds: int
    warm_up: float
    threads: int


def _start(bench: Bench) -> Worker:
    return Worker(_load, (bench.plugins,), modules=MODULES, threads=bench.threads)


def _load(plugins: tuple[str, ...]) -> _Held:
    """The registry, its devices, whose libraries must load before any workload, and the anchors."""
    registry = load(plugins)
    _ = registry.devices
    return _Held(registry, anchors.set_up())


def _settle(state: dict[str, object], threads: int) -> tuple[str, ...]:
    """Undo a workload's changes to the process's state, and return those that slow others down."""
    # Other changes are not the workload's fault: PyTorch itself changes the environment, for
    # example, when it first compiles.
    changes = process_state.restore(state, slowing=True)
    new = {name for name, value in state.items() if value is None}
    if any(process_state.read()[name] is not None for name in new):  # PyTorch has been imported
        process_state.set_threads(threads)
        state |= {name: process_state.read()[name] for name in new}
    return changes


def _measure_there(
    held: _Held,
    note: Callable[[tuple[int, WorkloadKey]], None],
    group: Group,
    seed: int,
    seconds: float,
    settings: _Settings,
) -> tuple[Any, ...]:
    """Measure a group in a worker; returns an `Answer` as plain values.

    Notes the place and key of each workload before running it.
    """
    started = time.perf_counter()
    before = Snapshot.now()
    # Libraries hold so many objects that each collection takes 0.2 s. Freezing makes later
    # collections skip them.
    gc.collect()
    gc.freeze()
    workloads = group.workloads(held.registry, seed, settings.threads)
    on_cpu = all(workload.device == "cpu" for workload in workloads)
    turns = anchors.Turns(held.anchors if on_cpu else {})
    places = {workload.key: place for place, workload in enumerate(workloads)}
    seconds -= time.perf_counter() - started
    fewest = min(settings.rounds, group.fewest_rounds)
    measured = measure(
        workloads,
        seconds=seconds,
        seed=seed,
        fewest=fewest,
        rounds=settings.rounds,
        warm_up=settings.warm_up,
        tell=lambda workload: note((places[workload.key], workload.key)),
        settle=partial(_settle, process_state.read(), settings.threads),
        between=turns.take,
    )
    seconds_by_anchor = turns.seconds()
    outcomes = [
        (
            result.workload.key,
            result.status,
            result.reason,
            result.samples,
            result.calls,
            result.figures,
        )
        for result in measured
    ]
    usage = busyness.used(before, Snapshot.now())
    if not on_cpu:
        # A process that waits for a device needs no processor meanwhile.
        usage = replace(usage, own=max(usage.own, usage.seconds))
    return astuple(GroupAnswer(outcomes, _spare(measured, fewest), usage, seconds_by_anchor))


def _spare(measured: Sequence[Measured], fewest: int) -> float:
    """Seconds spent on rounds beyond the fewest."""
    spare = 0.0
    for result in measured:
        kept = fewest * (BURST if result.workload.single else 1)
        spare += math.fsum(result.samples[kept:]) * result.calls
    return spare
