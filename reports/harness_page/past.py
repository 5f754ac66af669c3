"""The history as a page shows it: which series, and a table of their steps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.sheets.grids import Grid, of_rows
from harness.words import p_value

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from harness.analysis.history import Segment, SeriesKey

SHOWN = 10
"""Characters shown of a revision."""

HEADS = ("series", "points", "last", "step", "low", "high", "at", "since", "p", "state")


def by_measure(segments: Sequence[Segment]) -> Iterator[tuple[str, list[Segment]]]:
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
    return (of_rows("steps", "Steps of the history", HEADS, rows),) if rows else ()


def _moves(members: Sequence[Segment]) -> bool:
    values = [value for segment in members for value in segment.values]
    return len(values) > 1 and (members[0].timed or max(values) > min(values))


def _rows(segment: Segment) -> Iterator[tuple[str, ...]]:
    measure, subject, case, device = segment.series
    name = f"{measure}: {', '.join(word for word in (subject, case) if word)}"
    if device not in ("", "cpu"):
        name += f" @ {device}"
    for step in segment.steps:
        point = segment.points[step.index]
        yield (
            *(name, str(len(segment.points)), segment.last),
            *(segment.change(size) for size in (step.size, step.low, step.high)),
            *(point.revision[:SHOWN], point.time[:16].replace("T", " ")),
            *(p_value(step.p_value), segment.state(step)),
        )
