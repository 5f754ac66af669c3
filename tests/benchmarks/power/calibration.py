"""The true size of a planted slowdown, measured independently of the study.

The size of extra steps is known by construction: k more of a hundred equal steps. Other slowdowns
are measured: several processes each run both versions, in hundreds of turns in random order, and
measure the thread's CPU time, which does not count waiting for other programs. (`harness ab` runs
its versions in two processes, and measures wall-clock time.)
"""

from __future__ import annotations

import json
import math
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import fmean, quantiles, stdev
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.power.planting import Cell
    from benchmarks.power.tracefile import Line, Trace

PROCESSES, SECONDS = 6, 2.0
"""The fewest processes that measure a size, and the seconds of each."""

PRECISE, BATCHES = 0.1, 3
"""More processes measure a size, the same number each time, until its standard error is at most
this fraction of the size, or until this many times as many processes have measured."""

KNOWN = 2
"""Processes that confirm a size known by construction."""

PILOTS = 2
ATTEMPTS, TOLERANCE = 4, 0.15
"""Another amount is tried if the last one differs from the nominal size by more than this fraction.
The amount only has to be near: the size that counts is measured again afterwards, so that it is not
biased by this selection."""

TURN = 0.01
"""Seconds of one turn of a version."""

START = {"softmax": {"fixed": 160_000, "copy": 2_000}, "loop": {"fixed": 1_000, "copy": 6_000}}
START["torch"] = START["loop"]
"""First amounts to try for one percent."""


def calibrated(
    trace: Trace,
    cell: Cell,
    processor: str,
    *,
    processes: int = PROCESSES,
    seconds: float = SECONDS,
) -> Line:
    """The amount to plant for a cell on this processor, and its true size; measured once."""
    for line in trace.of("calibration"):
        if (line["subject"], line["way"], line["size"]) == cell.key and (
            line["processor"] == processor
        ):
            return line
    nominal = math.log1p(cell.size / 100)
    amount = cell.size
    if cell.way != "steps":
        amount = START[cell.subject][cell.way] * cell.size
        for _ in range(PILOTS):
            amount = _nearer(amount, nominal, fmean(measured(cell, amount, 4, seconds / 3)))
        tried: list[tuple[float, int]] = []  # distance from the nominal size, and the amount
        while not tried or (min(tried)[0] > TOLERANCE * nominal and len(tried) < ATTEMPTS):
            size = fmean(measured(cell, amount, max(2, processes // 2), seconds))
            tried.append((abs(size - nominal), amount))
            amount = _nearer(amount, nominal, size)
        _, amount = min(tried)
    ratios = measured(cell, amount, KNOWN if cell.way == "steps" else processes, seconds)
    while cell.way != "steps" and _error(ratios) > PRECISE * nominal:
        if len(ratios) >= BATCHES * processes:
            break
        ratios += measured(cell, amount, processes, seconds)
    mean = fmean(ratios)
    return trace.add(
        "calibration",
        subject=cell.subject,
        way=cell.way,
        size=cell.size,
        processor=processor,
        amount=amount,
        true=nominal if cell.way == "steps" else mean,
        measured=mean,
        load=round(os.getloadavg()[0], 2),
        error=_error(ratios),
        processes=ratios,
    )


def _error(ratios: list[float]) -> float:
    return stdev(ratios) / math.sqrt(len(ratios))


def _nearer(amount: int, nominal: float, size: float) -> int:
    """The next amount to try, if this amount gave the measured size."""
    return max(1, round(amount * min(3.0, max(1 / 3, nominal / max(size, 1e-4)))))


def measured(cell: Cell, amount: int, processes: int, seconds: float) -> list[float]:
    """Log(b/a) of each of several processes; every second process loads b first."""
    from benchmarks.power.planting import version

    from harness.processes.client import THREADS

    environment = os.environ | dict.fromkeys(THREADS, "1")
    with tempfile.TemporaryDirectory() as folder:
        versions = [version(Path(folder) / "a"), version(Path(folder) / "b", cell.way, amount)]
        log_ratios = []
        for number in range(processes):
            # The version loaded second is elsewhere in memory, where a softmax takes 2% less time.
            order = str(number % 2 == 1)
            words = (cell.subject, str(seconds), order, *map(str, versions))
            done = subprocess.run(
                [sys.executable, __file__, *words],
                capture_output=True,
                text=True,
                check=True,
                env=environment,
            )
            log_ratios.append(float(json.loads(done.stdout)))
        return log_ratios


def main(subject: str, seconds: float, last_first: bool, paths: list[str]) -> float:
    """Log(b/a) in this process, from the tenth percentiles of turns, which are little disturbed."""
    calls: dict[int, Callable[[], Any]] = {}
    for side in (1, 0) if last_first else (0, 1):
        calls[side] = _call(subject, paths[side])
    started = time.perf_counter()
    calls[0]()
    n = 1
    while time.perf_counter() - started < 0.1:
        calls[0]()
        n += 1
    each = max(1, round(n * TURN / 0.1))
    chance = random.Random()
    took: tuple[list[float], list[float]] = ([], [])
    started = time.perf_counter()
    while time.perf_counter() - started < seconds:
        for side in chance.sample((0, 1), 2):
            began = time.thread_time()
            for _ in range(each):
                calls[side]()
            took[side].append(time.thread_time() - began)
    a, b = (quantiles(side, n=10)[0] for side in took)
    return math.log(b / a)


def _call(subject: str, path: str) -> Callable[[], Any]:
    """The timed call of one version: the same call as in `harness ab`, on similar data."""
    import numpy as np

    import harness
    from harness.contract.registry import load

    registry = load([path])
    rng = np.random.default_rng(0)
    if subject == "softmax":
        kernel = registry.kernels["power-softmax"]
        prepared = kernel.prepare(rng.normal(scale=3, size=(100_000, 10)).astype("float32"), "cpu")
        return lambda: kernel.run(prepared)
    X = rng.normal(size=(100, 1))
    y = np.arange(100) % 3
    setting = harness.Setting(seed=0, device="cpu", n_features=1, n_classes=3)
    model = registry.models[f"power-{subject}"]
    classifier = model.make(setting)
    return lambda: classifier.fit(X, y)


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], float(sys.argv[2]), sys.argv[3] == "True", sys.argv[4:])))
