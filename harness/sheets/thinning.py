"""Lines with fewer points that look the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

LINE = 400
"""The most points of a line: more cannot be seen."""


def thin(n: int, most: int = LINE) -> NDArray[np.intp]:
    """Indices of at most ``most`` of n points, evenly spaced, with the first and the last."""
    return np.unique(np.linspace(0, n - 1, min(n, most)).round().astype(np.intp))


def bends(x: NDArray[np.floating], y: NDArray[np.floating], within: float) -> NDArray[np.intp]:
    """Indices of the points that are needed to draw several lines over the same x.

    Leaving out the other points moves no line by more than ``within``.

    Args:
        x: coordinates of the points (n,), ascending, on the axis's scale.
        y: values of the lines (n, n_lines); NaN where a line has a gap.
        within: tolerance in units of y.
    """
    # A huge step at both ends of a gap keeps the points there.
    heights = np.where(np.isfinite(y), y, -1e9)

    def away(start: int, stop: int) -> NDArray[np.floating]:
        part = (x[start + 1 : stop] - x[start]) / (x[stop] - x[start])
        straight = heights[start] + part[:, None] * (heights[stop] - heights[start])
        farthest: NDArray[np.floating] = np.abs(heights[start + 1 : stop] - straight).max(axis=1)
        return farthest

    return needed_points(len(x), away, within)


def needed_points(
    n: int, away: Callable[[int, int], NDArray[np.floating]], within: float
) -> NDArray[np.intp]:
    """Indices of the points that a line of n points needs (Ramer 1972; Douglas & Peucker 1973).

    Args:
        n: number of points.
        away: takes two indices; gives the distances of the points between them from the segment
            that joins the two.
        within: tolerance; points that are no farther away are left out.
    """
    kept = np.zeros(n, dtype=bool)
    kept[[0, -1]] = True
    parts = [(0, n - 1)]
    while parts:
        start, stop = parts.pop()
        if stop - start < 2:
            continue
        distances = away(start, stop)
        if distances.max() > within:
            middle = start + 1 + int(distances.argmax())
            kept[middle] = True
            parts += [(start, middle), (middle, stop)]
    return np.flatnonzero(kept)
