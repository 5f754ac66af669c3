"""Trials on this machine, several at a time, each isolated from the others."""

from __future__ import annotations

import os
from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import psutil

from harness import isolation
from harness.isolation import Limits, Worker
from harness.registry import load
from harness.trial import run_together, run_trial
from harness.values import Failure, Result, TracePoint
from harness.watching import Ended, Passed, Reached, Started

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from harness.registry import Registry
    from harness.values import Status, Trial
    from harness.watching import Tell

POLL = 0.05  # seconds between looks at time and memory limits
MEMORY_SHARE = 0.8  # of the machine's memory, shared out to the jobs where no limit was given


def run_isolated(
    trials: Sequence[Trial],
    plugins: Sequence[str],
    *,
    batches: Sequence[Sequence[Trial]] = (),
    jobs: int | None = None,
    seconds: float | None = None,
    memory: int | None = None,
    packages: Sequence[str] = (),
    tell: Tell = lambda _: None,
    epochs: bool = False,
) -> Iterator[Result]:
    """Results as they come, one for every trial, whatever the trials do.

    A worker is used again until something goes wrong in it. A trial that fails or crashes in a
    worker that others used before may do so because of them: it is run once more in a fresh one,
    and what happens there counts. If anything goes wrong in a batch, its trials are run one by one.

    Args:
        trials: what to run.
        plugins: files or modules to discover in each worker, besides what is installed.
        batches: of ``trials``, those to run in one go; they come first, being the longest.
        jobs: workers at a time; the cores by default.
        seconds: limit of each trial; a batch has that of all its trials.
        memory: limit of each trial or batch, in bytes; by default a share of the machine's.
        packages: what the models require, imported once for all workers.
        tell: given what happens; a result before it comes out here.
        epochs: whether to tell of the epochs of trials that are under way, too.
    """
    batched = {trial.key for batch in batches for trial in batch}
    units = [tuple(batch) for batch in batches]
    units += [(trial,) for trial in trials if trial.key not in batched]
    jobs = at_a_time(jobs, len(trials))
    memory = memory or share_of_memory(jobs)
    isolation.warm_up(packages)
    waiting = deque((unit, False) for unit in units)  # and whether it needs a fresh worker
    idle: list[Worker] = []
    busy: dict[Worker, tuple[Trial, ...]] = {}
    try:
        while waiting or busy:
            while waiting and len(busy) < jobs:
                unit, wants_fresh = waiting.popleft()
                if wants_fresh and idle:
                    idle.pop().end()
                worker = idle.pop() if idle else Worker(load, (tuple(plugins),))
                limits = Limits(seconds and seconds * len(unit), memory)
                if epochs:
                    worker.call(_tell_there, unit, limits=limits, listen=_listener(unit, tell))
                else:
                    worker.call(_run_there, unit, limits=limits)
                busy[worker] = unit
                tell(Started(unit))
            isolation.wait(busy, POLL)
            tell(Passed())
            for worker, unit in list(busy.items()):
                answer = worker.poll()
                if answer is None:
                    continue
                del busy[worker]
                results = _results(unit, *answer, worker)
                wrong = any(result.status != "ok" for result in results)
                was_fresh = worker.fresh
                # Before anything is yielded: the run may end there, and all workers with it.
                if worker.usable and not wrong:
                    idle.append(worker)
                else:
                    worker.end()
                if wrong and len(unit) > 1:
                    tell(Ended(unit))
                    waiting.extendleft(((trial,), False) for trial in reversed(unit))
                elif results[0].status in ("failed", "crashed") and not was_fresh:
                    tell(Ended(unit))
                    waiting.appendleft((unit, True))
                else:
                    start = worker.start_seconds if was_fresh else 0.0
                    tell(Ended(unit, tuple(results), start))
                    yield from results
    finally:
        for worker in (*busy, *idle):
            worker.end()


def at_a_time(jobs: int | None, n_trials: int) -> int:
    """Workers for so many trials: as many as were asked for, or as there are cores."""
    return max(1, min(jobs or cores(), n_trials))


def share_of_memory(jobs: int) -> int:
    """Bytes that each of several jobs may use, so that all of them together leave some."""
    return int(psutil.virtual_memory().total * MEMORY_SHARE / jobs)


def cores() -> int:
    """Cores that this process may use, which in a container are fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _run_there(
    registry: Registry, unit: tuple[Trial, ...], tell: Callable[[TracePoint], None] | None = None
) -> list[Result]:
    if len(unit) > 1:
        return run_together(unit, registry, tell=tell)
    return [run_trial(unit[0], registry, tell=tell)]


def _tell_there(
    registry: Registry, tell: Callable[[TracePoint], None], unit: tuple[Trial, ...]
) -> list[Result]:
    return _run_there(registry, unit, tell)


def _listener(unit: tuple[Trial, ...], tell: Tell) -> Callable[[object], None]:
    def listen(said: object) -> None:
        if isinstance(said, TracePoint):  # a model that finds the way can say anything
            tell(Reached(unit, said))

    return listen


def _results(
    unit: tuple[Trial, ...], value: Any, failure: Failure | None, worker: Worker
) -> list[Result]:
    if failure is None:
        results: list[Result] = value
        return [
            replace(result, failure=replace(result.failure, output=worker.output()))
            if result.failure
            else result
            for result in results
        ]
    statuses: dict[str, Status] = {"timeout": "timeout", "exception": "failed"}
    status = statuses.get(failure.kind, "crashed")
    return [Result(trial, status, failure=failure) for trial in unit]
