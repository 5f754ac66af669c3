"""Points of a history, and what reading another tool's file gives."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from harness.contract.values import Point as HistoryPoint

if TYPE_CHECKING:
    from collections.abc import Iterable

Tool = Literal["pytest-benchmark", "pyperf", "asv"]


@dataclass(frozen=True, slots=True)
class ToolPoint:
    """The time that one benchmark took, measured at one moment.

    Attributes:
        series: the benchmark, as its tool names it.
        time: when the benchmark was measured, in ISO 8601, UTC; for asv, when its commit was made,
            because asv orders results by commit, however late an old commit is measured.
        revision: revision of the code; empty if the file does not say it.
        seconds: the benchmark's typical time, above 0. pytest-benchmark: the median of its data,
            which come from one process. pyperf: the median over processes of each process's
            median, because the process is the unit, and one disturbed process does not move a
            median, as it moves pyperf's own mean. We write the same for pytest-benchmark.
            asv: its result, a median.
        processes: number of processes behind the time; 1 if unknown.
        machine: name of the machine in the file; empty if the file has none.
        python: version of Python, and for asv the packages it was asked to install.
        source: the tool that wrote the file.
    """

    series: str
    time: str
    revision: str
    seconds: float
    processes: int
    machine: str
    python: str
    source: Tool


@dataclass(frozen=True, slots=True)
class Imported:
    """What was read from a file or folder.

    Attributes:
        points: the points, oldest first.
        skipped: series without a point, each with the reason in one line.
    """

    points: tuple[ToolPoint, ...]
    skipped: tuple[tuple[str, str], ...]


def why_not(seconds: Iterable[float]) -> str | None:
    """The reason why these values are not valid times; None if they are.

    >>> why_not([0.5, 1.0])
    >>> why_not([0.5, float("inf")])
    'Infinity is no time'
    """
    nothing = True
    for value in seconds:
        nothing = False
        if math.isnan(value):
            return "NaN is no time"
        if math.isinf(value):
            return "Infinity is no time"
        if value <= 0:
            return f"{value:g} seconds are no time"
    return "nothing was measured" if nothing else None


def for_history(point: ToolPoint) -> HistoryPoint:
    """A point as the history keeps it."""
    return HistoryPoint(
        "time",
        point.series,
        "",
        "",
        point.time,
        point.revision,
        f"{point.machine}, {point.python}",
        "",
        point.source,
        math.log(point.seconds),
        math.nan,
        math.nan,
        point.seconds,
        point.processes,
    )
