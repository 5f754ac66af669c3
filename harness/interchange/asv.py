"""Reads asv's results of one revision in one environment, in versions 1 and 2 of its format."""

from __future__ import annotations

import itertools
import math
import re
from typing import TYPE_CHECKING

from harness.interchange.fields import (
    JsonObject,
    MalformedError,
    as_kind,
    member,
    named,
    seconds,
    utc_of,
)
from harness.interchange.points import Imported, ToolPoint, why_not
from harness.words import plain

if TYPE_CHECKING:
    from collections.abc import Iterator

KIND = re.compile(r"(timeraw|time|peakmem|mem|track)[A-Z_]", re.IGNORECASE)
"""The beginning of a function's name, from which asv tells what the function measures."""

NO_TIMES = {
    "track": "track",
    "mem": "memory",
    "memory": "memory",
    "peakmem": "peak memory",
    "peakmemory": "peak memory",
}

FAILED = "null: it failed or timed out"

MANY = 1_000_000
"""More processes than anyone runs: such a count is not believed."""


def is_asv(document: JsonObject) -> bool:
    """Whether asv could have written this document."""
    return "commit_hash" in document and isinstance(document.get("results"), dict)


def points(document: JsonObject, known: JsonObject, machine: str) -> Imported:
    """The times in a result file of asv.

    A benchmark with parameters is a series for each combination: ``name(10, 'list')``. Of missing
    values, null means that the benchmark failed or timed out, and NaN that it was skipped.

    Args:
        document: the content of the result file.
        known: the content of benchmarks.json, if it exists: the benchmarks' units and versions.
            Results of another version belong to another benchmark.
        machine: the name of the machine, for a document that does not say it.

    Raises:
        MalformedError: the document breaks asv's format.
    """
    revision = plain(member(document, "commit_hash", str, "it"))
    time = utc_of(member(document, "date", float, "it"), "'date'")
    params = member(document, "params", dict, "it", {})
    machine = plain(member(params, "machine", str, "'params'", machine))
    python = _environment(document)
    read_points: list[ToolPoint] = []
    skipped: list[tuple[str, str]] = []
    for name, row in _rows(document):
        benchmark = as_kind(known.get(name, {}), dict, f"benchmarks.json: '{plain(name)}'")
        reason = _why_no_times(name, row, benchmark)
        if reason:
            skipped.append((named(name, "a benchmark's"), f"{reason} ({revision[:8]})"))
            continue
        for series, value, repeat in _values(name, row):
            reason = _why_none(value)
            if value is None or reason:
                skipped.append((series, f"{reason} ({revision[:8]})"))
                continue
            # asv says how many processes it meant to start, not how many it started; each gave at
            # least one sample.
            processes = min(_count(benchmark.get("rounds", benchmark.get("processes"))), repeat)
            read_points.append(
                ToolPoint(series, time, revision, value, processes, machine, python, source="asv")
            )
    return Imported(tuple(read_points), tuple(skipped))


def _environment(document: JsonObject) -> str:
    """Python, packages and variables, which keep results of two environments apart."""
    requirements = member(document, "requirements", dict, "it", {})
    variables = member(document, "env_vars", dict, "it", {})
    parts = [member(document, "python", str, "it", "")]
    for holder, between in ((requirements, " "), (variables, "=")):
        for name in sorted(holder):
            value = member(holder, name, str, "the environment", "")
            parts.append(f"{name}{between}{value}" if value else name)
    return plain(", ".join(word for word in parts if word))


def _rows(document: JsonObject) -> Iterator[tuple[str, JsonObject]]:
    """The name of each benchmark, and its columns by name, as in version 2."""
    version = document.get("version")
    results = member(document, "results", dict, "it")
    if version == 2:
        columns = [
            as_kind(column, str, "a result column")
            for column in member(document, "result_columns", list, "it")
        ]
        for name, values in results.items():
            row = as_kind(values, list, f"'{plain(name)}'")
            yield name, dict(zip(columns, row, strict=False))
    elif version == 1:
        versions = member(document, "benchmark_version", dict, "it", {})
        for name, value in results.items():
            columns_of = value if isinstance(value, dict) else {"result": value}
            yield name, columns_of | {"version": versions.get(name)}
    else:
        raise MalformedError("its 'version' is neither 1 nor 2, which are asv's formats")


def _why_no_times(name: str, row: JsonObject, benchmark: JsonObject) -> str | None:
    """The reason why a benchmark has no usable times; None if it has."""
    by_name = KIND.match(name.rpartition(".")[2])
    kind = member(benchmark, "type", str, f"'{plain(name)}'", by_name[1].lower() if by_name else "")
    unit = plain(member(benchmark, "unit", str, f"'{plain(name)}'", ""))
    if kind in NO_TIMES:
        return f"a {NO_TIMES[kind]} benchmark has no times{f' (its unit: {unit})' if unit else ''}"
    if unit and unit != "seconds":
        return f"its unit is {unit}, not seconds"
    if not unit and not by_name:
        return "neither its name nor benchmarks.json says that it has times"
    if (
        None not in (row.get("version"), benchmark.get("version"))
        and row["version"] != benchmark["version"]
    ):
        return "it is of another version of the benchmark than benchmarks.json has"
    if row.get("result") is None:
        return FAILED
    return None


def _values(name: str, row: JsonObject) -> Iterator[tuple[str, float | None, int]]:
    """Series, seconds and number of samples for each combination of parameters."""
    where = f"'{plain(name)}'"
    result = row["result"] if isinstance(row["result"], list) else [row["result"]]
    repeat = row.get("stats_repeat")
    repeats = repeat if isinstance(repeat, list) else [repeat] * len(result)
    params = [
        [
            as_kind(value, str, f"a parameter of {where}")
            for value in as_kind(parameter, list, where)
        ]
        for parameter in member(row, "params", list, where, [])
    ]
    count = math.prod(map(len, params))
    if not len(result) == len(repeats) == count:
        raise MalformedError(f"{where} has {len(result)} results for {count} sets of parameters")
    for values, value, samples in zip(itertools.product(*params), result, repeats, strict=True):
        series = named(name, "a benchmark's") + (f"({plain(', '.join(values))})" if values else "")
        yield series, None if value is None else seconds(value, where), _count(samples)


def _why_none(value: float | None) -> str | None:
    if value is None:
        return FAILED
    return "NaN: it was skipped" if math.isnan(value) else why_not([value])


def _count(value: object) -> int:
    return value if type(value) is int and 0 < value < MANY else 1
