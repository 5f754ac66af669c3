"""How large a planted slowdown truly is, found out otherwise than the study does.

Extra steps are known by construction: k more of a hundred equal ones. What else is planted is
measured: both versions in one process, thousands of turns in random order, in several processes.
(`harness ab` has its versions in two processes, ten turns a pair.)
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
from statistics import fmean, median, stdev
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.power.planting import Cell
    from benchmarks.power.tracefile import Line, Trace

PROCESSES, SECONDS = 8, 3.0
"""That a size is measured in, and that each takes."""

PILOTS = 2
TURN = 0.01
"""Seconds of one version before it is the other's turn."""

START = {"softmax": {"fixed": 160_000, "copy": 2_000}, "loop": {"fixed": 1_000, "copy": 6_000}}
START["torch"] = START["loop"]
"""Amounts that are tried first, for one percent."""


def calibrated(
    trace: Trace,
    cell: Cell,
    processor: str,
    *,
    processes: int = PROCESSES,
    seconds: float = SECONDS,
) -> Line:
    """How much to plant for a cell on this processor, and how large that is; measured once."""
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
            found = median(measured(cell, amount, 3, seconds / 3))
            amount = max(1, round(amount * min(5.0, max(0.2, nominal / max(found, 1e-4)))))
    ratios = measured(cell, amount, processes, seconds)
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
        error=stdev(ratios) / math.sqrt(len(ratios)) if len(ratios) > 1 else math.nan,
        processes=ratios,
    )


def measured(cell: Cell, amount: int, processes: int, seconds: float) -> list[float]:
    """Log(b/a) of each of several processes."""
    from benchmarks.power.planting import version

    from harness.isolation import THREADS

    environment = os.environ | dict.fromkeys(THREADS, "1")
    with tempfile.TemporaryDirectory() as folder:
        versions = [version(Path(folder) / "a"), version(Path(folder) / "b", cell.way, amount)]
        command = [sys.executable, __file__, cell.subject, str(seconds), *map(str, versions)]
        return [
            json.loads(
                subprocess.run(
                    command, capture_output=True, text=True, check=True, env=environment
                ).stdout
            )
            for _ in range(processes)
        ]


def main(subject: str, seconds: float, paths: list[str]) -> float:
    """Log(b/a) in this process: the median over turns of log of the quotient."""
    calls = [_call(subject, path) for path in paths]
    started = time.perf_counter()
    calls[0]()
    n = 1
    while time.perf_counter() - started < 0.1:
        calls[0]()
        n += 1
    each = max(1, round(n * TURN / 0.1))
    chance = random.Random()
    ratios = []
    started = time.perf_counter()
    while time.perf_counter() - started < seconds:
        took = [0.0, 0.0]
        for side in chance.sample((0, 1), 2):
            began = time.perf_counter()
            for _ in range(each):
                calls[side]()
            took[side] = time.perf_counter() - began
        ratios.append(math.log(took[1] / took[0]))
    return median(ratios)


def _call(subject: str, path: str) -> Callable[[], Any]:
    """What is timed, of one version: the same call as `harness ab` times, on the like data."""
    import numpy as np

    import harness
    from harness.registry import load

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
    print(json.dumps(main(sys.argv[1], float(sys.argv[2]), sys.argv[3:])))
