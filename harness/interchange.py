"""Timings as other tools read them: pytest-benchmark's JSON."""

from __future__ import annotations

import importlib
import importlib.util
import platform
import statistics
from typing import TYPE_CHECKING, Any

from harness.environment import git, machine
from harness.errors import UsageError

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

    Raises:
        UsageError: pytest-benchmark is not installed.
    """
    require_pytest_benchmark()
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


def require_pytest_benchmark() -> None:
    """See that its figures can be had.

    Raises:
        UsageError: it is not installed.
    """
    if importlib.util.find_spec("pytest_benchmark") is None:
        raise UsageError(
            "pytest-benchmark's JSON needs pytest-benchmark; "
            "pip install 'classification-harness[bench]'"
        )


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
    """pytest-benchmark's own figures, so that they are to the last one what it would write."""
    stats = importlib.import_module("pytest_benchmark.stats").Stats()
    for value in data:
        stats.update(value)
    return {**stats.as_dict(), "data": data, "iterations": calls}
