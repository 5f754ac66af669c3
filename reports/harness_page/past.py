"""The history as a page shows it: a chart for each measure, and a table of steps."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from harness.sheets.dates import day, day_and_time
from harness.sheets.grids import Grid, of_frame, of_rows
from harness.words import p_value, plural
from harness_page.charts import COLOURS, Chart, Dot, Line, Tick, across, path, upwards
from harness_page.names import file_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from harness.analysis.history import Segment, SeriesKey

SHOWN = 10
"""Characters shown of a revision."""

SERIES = 24
"""The most series of a chart: those with steps come first."""

ROWS = 10
"""Rows shown of the data under a chart."""

DATES = 3
"""Labelled dates of a chart."""

HEADS = ("series", "points", "last", "step", "low", "high", "at", "since", "p", "state")


def charts(segments: Sequence[Segment]) -> Iterator[Chart]:
    """A chart for each measure that changes."""
    for measure, members in _by_measure(segments):
        names = list(dict.fromkeys(segment.series for segment in members))[:SERIES]
        shown = [segment for segment in members if segment.series in names]
        times = [_second(point.time) for segment in shown for point in segment.points]
        values = [value for segment in shown for value in _heights(segment)]
        x = across(min(times), max(max(times), min(times) + 1))
        margin = 0.05 * (max(values) - min(values)) or 0.01
        y = upwards(min(values) - margin, max(values) + margin)
        dates = np.linspace(x.low, x.high, DATES + 2)[1:-1].tolist()
        lines, dots, legend = [], [], dict[str, tuple[str, str, str]]()
        for segment in shown:
            look, name = f"s{names.index(segment.series) % COLOURS}", _name(segment)
            heights = _heights(segment)
            at = [_second(point.time) for point in segment.points]
            lines.append(Line(path(at, heights, x, y), look, told=name))
            legend[name] = (name, look, "")
            dots += [
                Dot(
                    f"{x.at(at[step.index]):.1f}",
                    f"{y.at(heights[step.index]):.1f}",
                    f"{name}: {segment.change(step.size)}, {day(segment.points[step.index].time)}",
                    look,
                    reached=True,
                )
                for step in segment.steps
            ]
        timed = shown[0].timed
        yield Chart(
            f"{measure[:1].upper()}{measure[1:]} over time",
            f"{plural(len(names), 'series')}. Dots mark steps, which are lasting changes.".replace(
                "seriess", "series"
            ),
            "",
            "change since the first point, %" if timed else measure,
            tuple(Tick(f"{x.at(second):.1f}", day(_moment(second))) for second in dates),
            y.ticks(),
            tuple(lines),
            tuple(dots),
            legend=tuple(legend.values()),
            data=_data(measure, shown),
        )


def _data(measure: str, segments: Sequence[Segment]) -> Grid:
    """The points of a chart: dates, and values as drawn."""
    rows = [
        (_name(segment), day_and_time(point.time), height)
        for segment in segments
        for point, height in zip(segment.points, _heights(segment), strict=True)
    ]
    frame = pd.DataFrame(rows, columns=["series", "time", "value"])
    return of_frame(f"history-{file_name(measure)}", f"Data: {measure} over time", frame, ROWS)


def _second(time: str) -> float:
    moment = datetime.fromisoformat(time)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _moment(second: float) -> datetime:
    return datetime.fromtimestamp(second, UTC)


def _heights(segment: Segment) -> list[float]:
    """Values as drawn: times as change since the first point in percent, scores as they are."""
    if not segment.timed:
        return list(segment.values)
    return [100 * math.expm1(value - segment.values[0]) for value in segment.values]


def _by_measure(segments: Sequence[Segment]) -> Iterator[tuple[str, list[Segment]]]:
    """Each measure with its series to show, series with steps first.

    Series of one point and scores that never changed are left out.
    """
    series: dict[SeriesKey, list[Segment]] = {}
    for segment in segments:
        series.setdefault(segment.series, []).append(segment)
    shown = sorted(
        (members for members in series.values() if _moves(members)),
        key=lambda members: not any(segment.steps for segment in members),
    )
    for measure in dict.fromkeys(segment.series[0] for segment in segments):
        if own := [
            member for members in shown for member in members if member.series[0] == measure
        ]:
            yield measure, own


def steps(segments: Sequence[Segment]) -> tuple[Grid, ...]:
    """A table with a row for each step; no table if there are no steps."""
    rows = [row for segment in segments for row in _rows(segment)]
    return (of_rows("steps", "Steps: lasting changes", HEADS, rows),) if rows else ()


def _moves(members: Sequence[Segment]) -> bool:
    values = [value for segment in members for value in segment.values]
    return len(values) > 1 and (members[0].timed or max(values) > min(values))


def _rows(segment: Segment) -> Iterator[tuple[str, ...]]:
    name = _name(segment)
    for step in segment.steps:
        point = segment.points[step.index]
        yield (
            *(name, str(len(segment.points)), segment.last),
            *(segment.change(size) for size in (step.size, step.low, step.high)),
            *(point.revision[:SHOWN], day_and_time(point.time)),
            *(p_value(step.p_value), segment.state(step)),
        )


def _name(segment: Segment) -> str:
    measure, subject, case, device = segment.series
    name = f"{measure}: {', '.join(word for word in (subject, case) if word)}"
    return name if device in ("", "cpu") else f"{name} @ {device}"
