"""What a history consists of, and what is made of a file of another tool."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from harness.contract.values import Point as HistoryPoint

if TYPE_CHECKING:
    from collections.abc import Iterable

Source = Literal["pytest-benchmark", "pyperf", "asv"]


@dataclass(frozen=True, slots=True)
class Point:
    """How long one benchmark took at one time.

    Attributes:
        series: the benchmark, as its tool names it.
        time: ISO 8601, UTC: when it was measured; for asv, when its commit was made, which is the
            order that asv has its results in, however late an old commit is measured.
        revision: of the code; empty where the file does not say it.
        seconds: the benchmark's typical time, above 0. pytest-benchmark: the median of its data,
            which come from one process. pyperf: the median over its processes of each one's
            median; the process is the unit, and a median is not moved by one that was disturbed,
            as pyperf's own mean is. It is what we write ourselves for pytest-benchmark, too.
            asv: its result, a median.
        processes: that the time is of; as far as is known, 1 where it is not.
        machine: as the file names it; empty where it does not.
        python: its version, and for asv the packages it was asked to install.
        source: the tool that wrote the file.
    """

    series: str
    time: str
    revision: str
    seconds: float
    processes: int
    machine: str
    python: str
    source: Source


@dataclass(frozen=True, slots=True)
class Imported:
    """What was read from a file or folder.

    Attributes:
        points: the oldest first.
        skipped: what is no point, as its series and the reason in one line.
    """

    points: tuple[Point, ...]
    skipped: tuple[tuple[str, str], ...]


def why_not(seconds: Iterable[float]) -> str | None:
    """The reason why these are no times; None where they are some.

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


def for_history(point: Point) -> HistoryPoint:
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
