"""Timings as other tools read them: pytest-benchmark's JSON."""

from __future__ import annotations

import platform
import statistics
from typing import TYPE_CHECKING, Any

from harness.environment import git, machine

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from harness.values import Run, Timing

VERSION = "5.0.0"
"""Of pytest-benchmark's format."""


def benchmark_json(run: Run, timings: Iterable[Timing], folder: Path) -> dict[str, Any]:
    """What ``pytest --benchmark-json`` writes, seconds throughout.

    A benchmark's data are the medians of its processes, which are what may be compared between
    runs; the samples within a process are not independent.

    Args:
        run: that the timings are of.
        timings: those that are ok are written.
        folder: whose git checkout is told.
    """
    here = machine()
    revision = git(folder)
    return {
        "machine_info": {
            "node": here["node"],
            "processor": here["processor"],
            "machine": platform.machine(),
            "python_version": platform.python_version(),
            "python_implementation": platform.python_implementation(),
            "system": platform.system(),
            "release": platform.release(),
            "cpu": {"count": here["cores"], "brand_raw": here["processor"]},
        },
        "commit_info": {
            "id": revision["revision"] if revision else "unversioned",
            "dirty": bool(revision and revision["dirty"]),
        },
        "benchmarks": [_benchmark(timing) for timing in timings if timing.status == "ok"],
        "datetime": run.started,
        "version": VERSION,
    }


def _benchmark(timing: Timing) -> dict[str, Any]:
    name = f"{timing.kind}[{timing.subject}-{timing.case}-{timing.device}-{timing.threads}]"
    params = {
        "subject": timing.subject,
        "case": timing.case,
        "device": timing.device,
        "threads": timing.threads,
    }
    return {
        "group": f"{timing.kind} {timing.case} {timing.device}",
        "name": name,
        "fullname": f"harness::{name}",
        "params": params,
        "param": "-".join(map(str, params.values())),
        "extra_info": dict(timing.figures),
        "options": {"timer": "perf_counter", "disable_gc": True, "warmup": True},
        "stats": _stats([statistics.median(process) for process in timing.samples], timing.calls),
    }


def _stats(data: list[float], calls: int) -> dict[str, Any]:
    low, middle, high = statistics.quantiles(data, n=4, method="inclusive")
    mean = statistics.fmean(data)
    deviation = statistics.stdev(data)
    return {
        "min": min(data),
        "max": max(data),
        "mean": mean,
        "stddev": deviation,
        "rounds": len(data),
        "median": middle,
        "iqr": high - low,
        "q1": low,
        "q3": high,
        "iqr_outliers": sum(
            not low - 1.5 * (high - low) <= x <= high + 1.5 * (high - low) for x in data
        ),
        "stddev_outliers": sum(abs(x - mean) > deviation for x in data),
        "outliers": "",
        "ld15iqr": min(data),
        "hd15iqr": max(data),
        "ops": 1 / mean,
        "total": sum(data),
        "data": data,
        "iterations": calls,
    }
