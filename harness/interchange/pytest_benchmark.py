"""pytest-benchmark's JSON, which other tools read too: written from timings, and read."""

from __future__ import annotations

import importlib
import importlib.util
import platform
import statistics
from typing import TYPE_CHECKING

from harness.errors import UsageError
from harness.interchange.fields import (
    JsonObject,
    as_kind,
    machine_of,
    member,
    named,
    seconds,
    utc,
)
from harness.interchange.points import Imported, ToolPoint, why_not
from harness.store.environment import checkout_at, machine
from harness.words import plain

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from harness.contract.values import Run, Timing

VERSION = "5.0.0"
"""The version of pytest-benchmark's format."""

OURS = "harness::"
"""The beginning of the full names that we write; no path of a test file begins so."""


UNKNOWN = ("unversioned", "unknown")
"""Texts that tools write in place of an unknown revision."""

DIRTY = "+"
"""Follows a revision with uncommitted changes, as in git."""


def benchmark_json(run: Run, timings: Iterable[Timing], folder: Path) -> JsonObject:
    """Timings in the format of ``pytest --benchmark-json``, all in seconds.

    A benchmark's data are the medians of its processes, which can be compared between runs; the
    samples within a process are not independent.

    Args:
        run: the run that took the timings.
        timings: only those with status ``ok`` are written.
        folder: the git checkout in this folder gives the revision.

    Raises:
        UsageError: pytest-benchmark is not installed.
    """
    require_pytest_benchmark()
    here = machine()
    revision = checkout_at(folder)
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
    """Check that pytest-benchmark is installed.

    Raises:
        UsageError: it is not.
    """
    if importlib.util.find_spec("pytest_benchmark") is None:
        raise UsageError(
            "pytest-benchmark's JSON needs pytest-benchmark; "
            "pip install 'classification-harness[bench]'"
        )


def _benchmark(timing: Timing) -> JsonObject:
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
        "fullname": f"{OURS}{name}",
        "params": params,
        "param": "-".join(map(str, params.values())),
        "extra_info": dict(timing.figures),
        "options": {"timer": "perf_counter", "disable_gc": True, "warmup": True},
        "stats": stats([statistics.median(process) for process in timing.samples], timing.calls),
    }


def stats(data: list[float], calls: int) -> JsonObject:
    """Statistics of the data, computed by pytest-benchmark itself, so that they equal its own."""
    stats = importlib.import_module("pytest_benchmark.stats").Stats()
    for value in data:
        stats.update(value)
    return {**stats.as_dict(), "data": data, "iterations": calls}


def is_pytest_benchmark(document: JsonObject) -> bool:
    """Whether pytest-benchmark could have written this document."""
    return isinstance(document.get("benchmarks"), list) and "datetime" in document


def points(document: JsonObject) -> Imported:
    """The times in a file of any version of pytest-benchmark.

    Raises:
        MalformedError: the document breaks pytest-benchmark's format.
    """
    time = utc(member(document, "datetime", str, "it"), "'datetime'")
    machine_info = member(document, "machine_info", dict, "it", {})
    commit = member(document, "commit_info", dict, "it", {})
    revision = plain(member(commit, "id", str, "'commit_info'", ""))
    if revision in UNKNOWN:
        revision = ""
    elif revision and member(commit, "dirty", bool, "'commit_info'", default=False):
        revision += DIRTY
    read_points: list[ToolPoint] = []
    skipped: list[tuple[str, str]] = []
    for number, value in enumerate(member(document, "benchmarks", list, "it"), 1):
        where = f"benchmark {number}"
        benchmark = as_kind(value, dict, where)
        name = member(benchmark, "name", str, where, "")
        series = named(member(benchmark, "fullname", str, where, name), where)
        data = _data(member(benchmark, "stats", dict, where), where)
        typical = statistics.median(data)
        reason = why_not([*data, typical])  # the median of two huge values is Infinity
        if reason:
            skipped.append((series, reason))
            continue
        read_points.append(
            ToolPoint(
                series,
                time,
                revision,
                typical,
                len(data) if series.startswith(OURS) else 1,
                _machine(machine_info),
                plain(member(machine_info, "python_version", str, "'machine_info'", "")),
                source="pytest-benchmark",
            )
        )
    return Imported(tuple(read_points), tuple(skipped))


def _machine(info: JsonObject) -> str:
    """The processor and its cores; if unknown, the host's name, which CI makes up."""
    cpu = member(info, "cpu", dict, "'machine_info'", {})
    node = plain(member(info, "node", str, "'machine_info'", ""))
    return machine_of(cpu.get("brand_raw"), cpu.get("count"), node)


def _data(stats: JsonObject, where: str) -> list[float]:
    """All measured values, or just their median if only statistics were saved."""
    values = member(stats, "data", list, where, [])
    if not values:
        return [seconds(stats.get("median"), f"the median of {where}")]
    return [seconds(value, f"a value of {where}") for value in values]
