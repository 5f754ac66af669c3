"""Picture of a history's series with their change points."""

from __future__ import annotations

import math
from datetime import datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter, num2date
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter

from harness import UsageError
from harness.sheets.choosing import chosen, nearest
from harness.sheets.drawing import (
    PANELS,
    Drawing,
    above,
    beside,
    panels,
    seconds,
    text,
)
from harness.sheets.palette import INK, colour, marker
from harness.sheets.style import settings
from harness.sheets.thinning import LINE, thin
from harness.words import plural

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from harness import Wanted
    from harness.analysis.history import Segment, SeriesKey

FIELDS = {"measure": 0, "model": 1, "dataset": 2, "device": 3}
STEPS: tuple[tuple[str, Any, bool], ...] = (
    ("step", "-", True),
    ("step, provisional", (0, (3, 2)), False),
)
"""The name and dashes of a step, and whether it is firm."""


class Dates(ConciseDateFormatter):
    """Short labels of dates; the axis's corner shows the year, month or day they belong to.

    If the dates span several of these, the corner shows the first and the last, not only the last.

    Args:
        locator: places the ticks.
        ends: the first and the last time that is drawn.
    """

    def __init__(self, locator: AutoDateLocator, ends: tuple[datetime, datetime]) -> None:
        super().__init__(locator)  # type: ignore[no-untyped-call]  # so it is
        self.ends = ends
        self.last = ends[1]

    def format_ticks(self, values: Any) -> list[str]:
        """The labels of the ticks."""
        self.last = num2date(values[-1]) if len(values) else self.ends[1]  # type: ignore[no-untyped-call]
        labels: list[str] = super().format_ticks(values)  # type: ignore[no-untyped-call]
        return labels

    def get_offset(self) -> str:
        """The text in the axis's corner."""
        corner: str = super().get_offset()  # type: ignore[no-untyped-call]
        forms = (form for form in self.offset_formats if self.last.strftime(form) == corner)
        form = next(forms, "")
        return " to ".join(dict.fromkeys(end.strftime(form) for end in self.ends))


def history(all_segments: Sequence[Segment], wanted: Wanted) -> Drawing:
    """Series over time with their change points, one panel per series; colours show segments.

    Raises:
        UsageError: the history has no wanted series.
    """
    series: dict[SeriesKey, list[Segment]] = {}
    for segment in _wanted(all_segments, wanted):
        series.setdefault(segment.series, []).append(segment)
    shown = dict(list(series.items())[:PANELS])
    note = f" ({len(shown)} of {plural(len(series), 'series').removesuffix('s')})"
    title = "History" + (note if len(shown) < len(series) else "")
    if len(shown) == 1:
        title += f": {_name(next(iter(shown)))}"
    with settings():
        figure, axes = panels(len(shown), title=title, legend=True, sharex=len(shown) > 1)
        # All panels share the time axis.
        ends = _ends([segment for segments in shown.values() for segment in segments])
        for ax, (key, segments) in zip(axes, shown.items(), strict=True):
            _panel(ax, segments, ends)
            if len(shown) > 1:
                above(ax, _name(key))
        beside(figure, _legend(list(shown.values())))
    table = pd.DataFrame([row for segments in shown.values() for row in _rows(segments)])
    steps = [(s, step) for segments in shown.values() for s in segments for step in s.steps]
    changes = "; ".join(
        f"{_name(s.series)} by {s.change(step.size)} on {s.points[step.index].time[:10]}"
        for s, step in steps[:5]
    )
    description = (
        f"{plural(len(shown), 'series').removesuffix('s') if len(shown) > 1 else 'One series'} "
        f"by time with {plural(len(steps), 'change point')}{': ' + changes if changes else ''}."
    )
    return Drawing(figure, title, description, table)


def _legend(series: Sequence[Sequence[Segment]]) -> list[Line2D]:
    """Legend entries for the segments, and for the kinds of steps that the series have."""
    most = max(len(segments) for segments in series)
    names = ["values"] if most == 1 else [f"segment {n}" for n in range(1, min(most, 8) + 1)]
    handles = [
        Line2D([], [], color=colour(i), marker=marker(i), ms=4, lw=0.8, label=name)
        for i, name in enumerate(names)
    ]
    firm = {step.firm for segments in series for segment in segments for step in segment.steps}
    handles += [
        Line2D([], [], color=INK, lw=1.2, ls=ls, label=name)
        for name, ls, is_firm in STEPS
        if is_firm in firm
    ]
    return handles


def _wanted(all_segments: Sequence[Segment], wanted: Wanted) -> list[Segment]:
    kept = list(all_segments)
    if not kept:
        raise UsageError("the history is empty; `harness track record --anchor ANCHOR` begins one")
    for name, place in FIELDS.items():
        wanted_name = getattr(wanted, name)
        names = chosen((segment.series[place] for segment in kept), wanted_name)
        if not names:
            nearest_names = nearest(wanted_name, {segment.series[place] for segment in kept})
            raise UsageError(f"the history has no {name} '{wanted_name}': {nearest_names}")
        kept = [segment for segment in kept if segment.series[place] in names]
    return kept


def _ends(segments: Sequence[Segment]) -> tuple[datetime, datetime]:
    times = [_time(point.time) for segment in segments for point in segment.points]
    return min(times), max(times)


def _panel(ax: Axes, segments: Sequence[Segment], ends: tuple[datetime, datetime]) -> None:
    _value_axis(ax, segments)
    for i, segment in enumerate(segments):
        times = np.array([_time(point.time) for point in segment.points])
        values = np.array(_shown(segment))
        drawn = thin(len(values), LINE)
        ax.plot(times[drawn], values[drawn], color=colour(i), marker=marker(i), ms=3, lw=0.8)
        bounds = [0, *(step.index for step in segment.steps), len(values)]
        for start, stop in pairwise(bounds):
            level = float(np.median(values[start:stop])) if stop > start else math.nan
            ax.plot(
                [times[start], times[stop - 1]], [level] * 2, color=colour(i), lw=2.6, alpha=0.4
            )
        ls = {is_firm: ls for _, ls, is_firm in STEPS}
        for step in segment.steps:
            at = times[step.index]
            ax.axvline(at, color=INK, lw=1.2, ls=ls[step.firm], zorder=1.5)
            ax.annotate(
                segment.change(step.size), (at, 1.0), (-3, -2), xycoords=("data", "axes fraction"),
                textcoords="offset points", ha="right", va="top", fontsize=7,
            )  # fmt: skip
    locator = AutoDateLocator(minticks=2, maxticks=5)  # type: ignore[no-untyped-call]  # so it is
    ax.xaxis.set_major_locator(locator)
    ax.xaxis.set_major_formatter(Dates(locator, ends))
    ax.margins(y=0.18)


def _value_axis(ax: Axes, segments: Sequence[Segment]) -> None:
    """Set up the y axis: scores as they are, ratios to the anchor in percent, times with units."""
    first = segments[0]
    if not first.timed:
        ax.set_ylabel(first.series[0])
    elif _relative(segments):
        ax.set_ylabel("against the anchor")
        ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: percent(value)))
    else:
        ax.set_ylabel("time")
        ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: seconds(float(f"{value:.4g}"))))


def _relative(segments: Sequence[Segment]) -> bool:
    return any(point.anchor for segment in segments for point in segment.points)


def _shown(segment: Segment) -> list[float]:
    """A segment's values in the units of the y axis."""
    if not segment.timed:
        return list(segment.values)
    if _relative([segment]):
        return [100 * math.expm1(value) for value in segment.values]
    return [math.exp(value) for value in segment.values]


def _rows(segments: Sequence[Segment]) -> list[dict[str, object]]:
    rows = []
    for number, segment in enumerate(segments, 1):
        steps = {step.index: step for step in segment.steps}
        unit = "score" if not segment.timed else "%" if _relative([segment]) else "s"
        for i, (point, value) in enumerate(zip(segment.points, _shown(segment), strict=True)):
            step = steps.get(i)
            state = ("firm" if step.firm else "provisional") if step else ""
            rows.append(
                {"series": _name(segment.series), "segment": number, "time": point.time}
                | {"revision": point.revision[:10], "value": value, "unit": unit}
                | {"step": segment.change(step.size) if step else "", "step is": state}
            )
    return rows


def _name(key: SeriesKey) -> str:
    measure, subject, case, device = key
    about = ", ".join(text(word) for word in (subject, case) if word)
    return f"{measure}: {about}" + (f" @ {device}" if device not in ("", "cpu") else "")


def _time(written: str) -> datetime:
    return datetime.fromisoformat(written)


def percent(value: float) -> str:
    """A change in percent, as an axis shows it.

    >>> percent(0.0), percent(2.5), percent(1040.0)
    ('0%', '+2.5%', '+1,040%')
    """
    if not value:
        return "0%"
    return f"{value:+,.0f}%" if abs(value) >= 100 else f"{value:+.3g}%"
