"""Places for the labels of points: beside their points, apart from each other and from all points.

Coordinates are typographic points, from the lower left corner of a panel.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    Box: TypeAlias = tuple[float, float, float, float]
    """Left, lower, right and upper end."""

DISTANCES = (4.0, 8.0, 14.0, 22.0, 32.0, 44.0, 58.0, 76.0, 96.0, 120.0)
"""The distances of a label from its point that are tried."""

ANGLES = tuple(math.radians(degrees) for degrees in range(135, 495, 15))
"""The directions that are tried: the upper left first, which a Pareto front leaves free."""

MARKER = 4.0
"""Half the width of a marker."""

GAP = 1.5
"""The least distance between two labels."""

STEP = 4.0
"""The distance between the places that are checked on a line."""


@dataclass(frozen=True, slots=True)
class Label:
    """A label that needs a place.

    Args:
        x: place of the labelled point.
        y: place of the labelled point.
        width: width of the label.
        height: height of the label.
    """

    x: float
    y: float
    width: float
    height: float


def places(
    labels: Sequence[Label],
    markers: NDArray[np.float64],
    line: NDArray[np.float64],
    width: float,
    height: float,
) -> list[tuple[float, float] | None]:
    """The centre of each label; None for a label that has no free place.

    No label leaves the panel or overlaps another label or its leader. Among the free places, the
    best covers few markers and little of the line, and is nearer to its own point than to others.

    Args:
        labels: the labels, the most important first.
        markers: the places of all markers (n, 2).
        line: the corners of a line that labels avoid (m, 2).
        width: width of the panel.
        height: height of the panel.
    """
    line_dots = _dots(line)
    boxes: list[Box] = []
    leaders = np.empty((0, 2))
    centres: list[tuple[float, float] | None] = []
    for label in labels:
        best: tuple[float, tuple[float, float]] | None = None
        for rank, (x, y) in enumerate(_candidates(label)):
            box = _box(x, y, label)
            if box[0] < 0 or box[1] < 0 or box[2] > width or box[3] > height:
                continue
            leader = leader_of(label, x, y)
            wide = (box[0] - GAP, box[1] - GAP, box[2] + GAP, box[3] + GAP)
            if any(_overlap(wide, other) or _n_inside(leader, other) for other in boxes):
                continue
            if _n_inside(leaders, wide):
                continue
            around = (box[0] - MARKER, box[1] - MARKER, box[2] + MARKER, box[3] + MARKER)
            cost = (
                40.0 * _n_inside(markers, around)
                + 15.0 * ambiguous(label, (x, y), markers)
                + 8.0 * _n_near(leader, markers, label)
                + 2.0 * _n_inside(line_dots, wide)
                + 0.5 * len(leader) * STEP
                + 0.02 * rank
            )
            if best is None or cost < best[0]:
                best = cost, (x, y)
        centres.append(best[1] if best else None)
        if best:
            boxes.append(_box(*best[1], label))
            leaders = np.concatenate([leaders, leader_of(label, *best[1])])
    return centres


def ambiguous(label: Label, centre: tuple[float, float], markers: NDArray[np.float64]) -> bool:
    """Whether another marker is about as near to a label as the label's own point."""
    left, lower, right, upper = _box(*centre, label)

    def distances(points: NDArray[np.float64]) -> NDArray[np.float64]:
        x = np.maximum(0, np.maximum(left - points[:, 0], points[:, 0] - right))
        y = np.maximum(0, np.maximum(lower - points[:, 1], points[:, 1] - upper))
        return np.hypot(x, y)

    own = float(distances(np.array([[label.x, label.y]]))[0])
    others = markers[np.abs(markers - [label.x, label.y]).max(axis=1) > 0.01]
    return bool((distances(others) < own + MARKER / 2).any())


def leader_of(label: Label, x: float, y: float) -> NDArray[np.float64]:
    """Places on the line from a label centred at x and y to its point (n, 2)."""
    left, lower, right, upper = _box(x, y, label)
    end = min(max(label.x, left), right), min(max(label.y, lower), upper)
    return _dots(np.array([end, (label.x, label.y)]))[1:]


def _candidates(label: Label) -> Iterator[tuple[float, float]]:
    for distance in DISTANCES:
        for angle in ANGLES:
            x = label.x + math.cos(angle) * (label.width / 2 + distance)
            y = label.y + math.sin(angle) * (label.height / 2 + distance)
            yield x, y


def _box(x: float, y: float, label: Label) -> Box:
    across, up = label.width / 2, label.height / 2
    return x - across, y - up, x + across, y + up


def _overlap(box: Box, other: Box) -> bool:
    return box[0] < other[2] and other[0] < box[2] and box[1] < other[3] and other[1] < box[3]


def _n_inside(dots: NDArray[np.float64], box: Box) -> int:
    x, y = dots[:, 0], dots[:, 1]
    return int(((x > box[0]) & (x < box[2]) & (y > box[1]) & (y < box[3])).sum())


def _n_near(leader: NDArray[np.float64], markers: NDArray[np.float64], label: Label) -> int:
    """How many other markers a leader crosses."""
    others = markers[np.hypot(*(markers - [label.x, label.y]).T) > 2 * MARKER]
    apart = np.hypot(*(others[:, None] - leader[None]).transpose(2, 0, 1))
    return int((apart.min(axis=1) < MARKER).sum()) if apart.size else 0


def _dots(corners: Iterable[Sequence[float]] | NDArray[np.float64]) -> NDArray[np.float64]:
    """Places along a line with these corners, `STEP` or less apart (n, 2)."""
    points = np.asarray(corners, dtype=np.float64).reshape(-1, 2)
    if len(points) < 2:
        return points
    parts = [
        np.linspace(a, b, max(2, math.ceil(float(np.hypot(*(b - a))) / STEP) + 1))
        for a, b in pairwise(points)
    ]
    return np.concatenate(parts)
