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
from harness.trial import run_trial
from harness.values import Failure, Result

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from harness.registry import Registry
    from harness.values import Status, Trial

POLL = 0.05  # seconds between looks at time and memory limits
MEMORY_SHARE = 0.8  # of the machine's memory, shared out to the jobs where no limit was given


def run_isolated(
    trials: Sequence[Trial],
    plugins: Sequence[str],
    *,
    jobs: int | None = None,
    seconds: float | None = None,
    memory: int | None = None,
    packages: Sequence[str] = (),
) -> Iterator[Result]:
    """Results as they come, one for every trial, whatever the trials do.

    A worker is used again until something goes wrong in it. A trial that fails or crashes in a
    worker that others used before may do so because of them: it is run once more in a fresh one,
    and what happens there counts.

    Args:
        trials: what to run.
        plugins: files or modules to discover in each worker, besides what is installed.
        jobs: workers at a time; the cores by default.
        seconds: limit of each trial.
        memory: limit of each trial, in bytes; by default a share of the machine's.
        packages: what the models require, imported once for all workers.
    """
    jobs = max(1, min(jobs or cores(), len(trials)))
    limits = Limits(seconds, memory or share_of_memory(jobs))
    isolation.warm_up(packages)
    waiting = deque((trial, False) for trial in trials)  # and whether it needs a fresh worker
    idle: list[Worker] = []
    busy: dict[Worker, Trial] = {}
    try:
        while waiting or busy:
            while waiting and len(busy) < jobs:
                trial, wants_fresh = waiting.popleft()
                if wants_fresh and idle:
                    idle.pop().end()
                worker = idle.pop() if idle else Worker(load, (tuple(plugins),))
                worker.call(_run_there, trial, limits=limits)
                busy[worker] = trial
            isolation.wait(busy, POLL)
            for worker, trial in list(busy.items()):
                answer = worker.poll()
                if answer is None:
                    continue
                del busy[worker]
                result = _result(trial, *answer, worker)
                if result.status in ("failed", "crashed") and not worker.fresh:
                    waiting.appendleft((trial, True))
                else:
                    yield result
                if worker.usable and result.status == "ok":
                    idle.append(worker)
                else:
                    worker.end()
    finally:
        for worker in (*busy, *idle):
            worker.end()


def share_of_memory(jobs: int) -> int:
    """Bytes that each of several jobs may use, so that all of them together leave some."""
    return int(psutil.virtual_memory().total * MEMORY_SHARE / jobs)


def cores() -> int:
    """Cores that this process may use, which in a container are fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _run_there(registry: Registry, trial: Trial) -> Result:
    return run_trial(trial, registry)


def _result(trial: Trial, value: Any, failure: Failure | None, worker: Worker) -> Result:
    if failure is None:
        result: Result = value
        if result.failure is None:
            return result
        return replace(result, failure=replace(result.failure, output=worker.output()))
    statuses: dict[str, Status] = {"timeout": "timeout", "exception": "failed"}
    return Result(trial, statuses.get(failure.kind, "crashed"), failure=failure)
