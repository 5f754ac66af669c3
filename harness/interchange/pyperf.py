"""Reads files of pyperf: benchmarks of several processes each."""

from __future__ import annotations

import statistics

from harness.interchange.fields import (
    JsonObject,
    MalformedError,
    as_kind,
    machine_of,
    member,
    named,
    seconds,
    utc,
)
from harness.interchange.points import Imported, ToolPoint, why_not
from harness.words import plain

VERSIONS = ("1.0", 6)
"""The versions of the format since pyperf 0.9.6 of 2017."""


def is_pyperf(document: JsonObject) -> bool:
    """Whether pyperf could have written this document."""
    benchmarks = document.get("benchmarks")
    return (
        isinstance(benchmarks, list)
        and "datetime" not in document
        and any(isinstance(benchmark, dict) and "runs" in benchmark for benchmark in benchmarks)
    )


def points(document: JsonObject) -> Imported:
    """The times in a pyperf file; its local times count as UTC, because it writes no offset.

    Raises:
        MalformedError: the document breaks pyperf's format.
    """
    if document.get("version") not in VERSIONS:
        raise MalformedError("its 'version' is neither '1.0' nor 6, which are pyperf's formats")
    common = member(document, "metadata", dict, "it", {})
    read_points: list[ToolPoint] = []
    skipped: list[tuple[str, str]] = []
    for number, value in enumerate(member(document, "benchmarks", list, "it"), 1):
        where = f"benchmark {number}"
        benchmark = as_kind(value, dict, where)
        metadata = common | member(benchmark, "metadata", dict, where, {})
        runs = [
            as_kind(run, dict, f"a run of {where}")
            for run in member(benchmark, "runs", list, where)
        ]
        point = _point(metadata, runs, where)
        if isinstance(point, ToolPoint):
            read_points.append(point)
        else:
            skipped.append(point)
    return Imported(tuple(read_points), tuple(skipped))


def _machine(metadata: JsonObject, where: str) -> str:
    """The processor and its cores; if unknown, the host's name, which CI makes up."""
    host = plain(member(metadata, "hostname", str, where, ""))
    return machine_of(metadata.get("cpu_model_name"), metadata.get("cpu_count"), host)


def _point(metadata: JsonObject, runs: list[JsonObject], where: str) -> ToolPoint | tuple[str, str]:
    """A benchmark's point; or its series, and the reason why it has no point."""
    metadata_by_run = [metadata | member(run, "metadata", dict, where, {}) for run in runs]
    first = metadata_by_run[0] if metadata_by_run else metadata
    series = named(member(first, "name", str, where), where)
    # A run without values only calibrated the number of loops.
    processes = [
        [seconds(value, f"a value of '{series}'") for value in values]
        for run in runs
        if (values := member(run, "values", list, where, []))
    ]
    unit = member(first, "unit", str, where, "second")
    if unit != "second":
        return series, f"its unit is {plain(unit)}, not second"
    reason = why_not(value for values in processes for value in values)
    if reason:
        return series, reason
    typical = statistics.median(statistics.median(values) for values in processes)
    if reason := why_not([typical]):  # the median of two huge values is Infinity
        return series, reason
    dates = [
        utc(member(run_metadata, "date", str, where), where)
        for run_metadata in metadata_by_run
        if run_metadata.get("date")
    ]
    if not dates:
        return series, "no date says when it was measured"
    return ToolPoint(
        series,
        min(dates),
        # pyperf knows no revisions; pyperformance adds them.
        plain(member(first, "commit_id", str, where, "")),
        typical,
        len(processes),
        _machine(first, where),
        plain(member(first, "python_version", str, where, "")),
        source="pyperf",
    )
