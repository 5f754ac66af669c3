"""Points in time become series, series segments, and segments have steps: pure.

A segment is what may be compared: points of one machine and one anchor. Where a new anchor was held
against the one before, the segment goes on, its values moved by what lies between the two.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from harness.changes import SCORES
from harness.statistics import change_points_of
from harness.statistics.changepoints import ALPHA

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from harness.statistics import Step
    from harness.values import Point

Key: TypeAlias = tuple[str, str, str, str]

MIN_SEGMENT = 3
"""Points on each side of a step, at least."""


@dataclass(frozen=True, slots=True)
class Segment:
    """Points that may be compared.

    Args:
        series: measure, subject, case and device.
        points: oldest first, without bridges.
        values: of the points, bridged: all in units of the segment's first anchor.
        steps: where the series changed, index of the first point after.
    """

    series: Key
    points: tuple[Point, ...]
    values: tuple[float, ...]
    steps: tuple[Step, ...] = ()

    @property
    def timed(self) -> bool:
        """Whether it is of times, whose values are logarithms."""
        return self.series[0] not in SCORES


def segments(points: Iterable[Point], *, alpha: float = ALPHA) -> list[Segment]:
    """All segments of a history with their steps, by series, oldest first.

    Args:
        points: oldest first.
        alpha: false discovery rate over all segments; see `harness.statistics.change_points_of`.
    """
    found: dict[Key, list[Point]] = {}
    for point in points:
        found.setdefault(point.series, []).append(point)
    parts = [part for key, members in found.items() for part in _split(key, members)]
    steps = change_points_of(
        {str(i): list(part.values) for i, part in enumerate(parts)}, alpha=alpha
    )
    return [
        Segment(part.series, part.points, part.values, tuple(steps[str(i)]))
        for i, part in enumerate(parts)
    ]


def _split(key: Key, members: Sequence[Point]) -> list[Segment]:
    """Segments of one series."""
    done: list[Segment] = []
    open_: dict[str, tuple[str, float, list[Point], list[float]]] = {}  # by machine
    for point in members:
        anchor, shift, points, values = open_.get(point.machine, (point.anchor, 0.0, [], []))
        if point.source == "bridge":
            # Its value is log(new anchor / old anchor): what a ratio to the new one lacks. Another
            # machine may have gone over to an anchor that this segment never had.
            if points and point.revision == anchor:
                open_[point.machine] = (point.anchor, shift + point.value, points, values)
            continue
        if point.anchor != anchor:
            if points:
                done.append(Segment(key, tuple(points), tuple(values)))
            anchor, shift, points, values = point.anchor, 0.0, [], []
        points.append(point)
        values.append(point.value + shift)
        open_[point.machine] = (anchor, shift, points, values)
    done += [Segment(key, tuple(p), tuple(v)) for _, _, p, v in open_.values() if p]
    return sorted(done, key=lambda segment: segment.points[0].time)
