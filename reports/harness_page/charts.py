"""Charts as values, in the pixels of an SVG picture; `charts.html` draws them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from harness.sheets.figures import compact
from harness.sheets.thinning import needed_points

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from numpy.typing import NDArray

    from harness.sheets.grids import Grid

    Ends: TypeAlias = tuple[float, float]

WIDTH, HEIGHT = 560, 320
LEFT, RIGHT, TOP, BOTTOM = 58, 26, 12, 46
"""Margins around the plotted area, in pixels; the axes' labels stand in them."""

NEAR = 0.3
"""Tolerance of a line in pixels: points that are no farther from it are left out."""

OUTLYING = 3.0
"""An axis leaves out models that are this many times as far behind as the best three quarters."""

COLOURS = 8
"""Number of colours of lines."""


@dataclass(frozen=True, slots=True)
class Tick:
    """A labelled position of an axis: pixels, or percent of a strip."""

    at: str
    text: str


@dataclass(frozen=True, slots=True)
class Line:
    """A line.

    Args:
        path: its points, as the ``d`` of an SVG path.
        look: CSS classes.
        key: number of the model, or empty.
        told: what the line is, for readers who point at it.
    """

    path: str
    look: str = ""
    key: str = ""
    told: str = ""


@dataclass(frozen=True, slots=True)
class Dot:
    """A point that tells what it is when readers point at it or focus it."""

    x: str
    y: str
    told: str
    look: str = ""
    key: str = ""
    reached: bool = False


@dataclass(frozen=True, slots=True)
class Word:
    """A text in a chart."""

    x: str
    y: str
    text: str
    anchor: str = "start"
    key: str = ""


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart with two axes.

    Args:
        title: what it shows; readers see it as the caption.
        description: what can be seen, in a sentence or two.
        x_label: label of the horizontal axis.
        y_label: label of the vertical axis.
        x_ticks: ticks of the horizontal axis.
        y_ticks: ticks of the vertical axis.
        lines: lines, the first one lowest.
        dots: points above the lines.
        words: texts above the points.
        legend: names of the lines, each with its CSS class and the number of its model.
        data: the data that are drawn.
    """

    title: str
    description: str
    x_label: str
    y_label: str
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    lines: tuple[Line, ...] = ()
    dots: tuple[Dot, ...] = ()
    words: tuple[Word, ...] = ()
    legend: tuple[tuple[str, str, str], ...] = ()
    data: Grid | None = None


@dataclass(frozen=True, slots=True)
class Scale:
    """Maps numbers onto pixels.

    Args:
        low: the number at ``start``.
        high: the number at ``end``.
        start: pixels.
        end: pixels.
        logarithmic: whether equal ratios have equal lengths.
    """

    low: float
    high: float
    start: float
    end: float
    logarithmic: bool = False

    def at(self, value: float) -> float:
        """The position of a value; values off the scale are at its end."""
        low, high = self.low, self.high
        if self.logarithmic:
            low, high, value = math.log(low), math.log(high), math.log(max(value, 1e-300))
        part = min(max((value - low) / (high - low), 0.0), 1.0)
        return self.start + part * (self.end - self.start)

    def ticks(self, written: Callable[[float], str] | None = None) -> tuple[Tick, ...]:
        """Round numbers on the scale, with their labels."""
        numbers = powers(self.low, self.high) if self.logarithmic else steps(self.low, self.high)
        texts = [written(number) for number in numbers] if written else plainly(numbers)
        return tuple(
            Tick(f"{self.at(number):.1f}", text)
            for number, text in zip(numbers, texts, strict=True)
        )


def across(low: float, high: float, *, logarithmic: bool = False) -> Scale:
    """The scale of a chart's horizontal axis."""
    return Scale(low, high, LEFT, WIDTH - RIGHT, logarithmic)


def upwards(low: float, high: float, *, logarithmic: bool = False) -> Scale:
    """The scale of a chart's vertical axis."""
    return Scale(low, high, HEIGHT - BOTTOM, TOP, logarithmic)


def steps(low: float, high: float, most: int = 6) -> list[float]:
    """Round numbers from low to high, at most ``most``.

    >>> steps(0.71, 0.93), steps(0, 12)
    ([0.75, 0.8, 0.85, 0.9], [0.0, 2.0, 4.0, 6.0, 8.0, 10.0, 12.0])
    """
    size = 10.0 ** math.floor(math.log10(high - low))
    for step in (0.1 * size, 0.2 * size, 0.5 * size, size, 2 * size):
        first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
        if last - first <= most:
            return [float(f"{number * step:.12g}") for number in range(first, last + 1)]
    return [low, high]


def powers(low: float, high: float) -> list[float]:
    """Powers of ten from low to high; also 2 and 5 times them, if that gives few.

    >>> powers(0.002, 30), powers(0.8, 6)
    ([0.01, 0.1, 1.0, 10.0], [1.0, 2.0, 5.0])
    """
    exponents = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for factors in ((1,), (1, 2, 5)):
        numbers = [float(f"{factor}e{exponent}") for exponent in exponents for factor in factors]
        kept = [number for number in numbers if low <= number <= high]
        if len(kept) > 2:
            return kept[:: math.ceil(len(kept) / 7)]
    return kept or [low, high]


def plainly(numbers: Sequence[float]) -> list[str]:
    """Numbers with equally many decimals, without leading zeros.

    >>> plainly([0.75, 0.8]), plainly([0, 50]), plainly([-0.5, 0])
    (['.75', '.80'], ['0', '50'], ['-.5', '0'])
    """
    decimals = max((len(f"{n:.6g}".partition(".")[2]) for n in numbers), default=0)
    texts = [f"{number:.{decimals}f}" if number else "0" for number in numbers]
    return [text.replace("0.", ".", 1) if abs(float(text)) < 1 and "." in text else text
            for text in texts]  # fmt: skip


def duration(seconds: float) -> str:
    """A time in the largest unit in which it is at least 1.

    >>> duration(90), duration(0.05), duration(0.0123456), duration(2e-6), duration(3 * 3600)
    ('90 s', '50 ms', '12.3 ms', '2 µs', '3 h')
    """
    for size, unit in ((3600.0, "h"), (1.0, "s"), (1e-3, "ms")):
        if seconds >= 0.9999 * size:
            number = compact(seconds / size, 2)
            return f"{number.rstrip('0').rstrip('.') if '.' in number else number} {unit}"
    return f"{seconds / 1e-6:.3g} µs"


def span(values: Sequence[float], lows: Iterable[float], highs: Iterable[float], sign: int) -> Ends:
    """The ends of an axis that shows models' scores with their intervals, without outliers.

    Args:
        values: the scores.
        lows: the lower ends of their intervals; NaN if there is none.
        highs: the upper ends.
        sign: 1 if more is better, else -1.
    """
    gains = sorted((sign * value for value in values), reverse=True)
    usual = gains[0] - gains[math.ceil(0.75 * len(gains)) - 1]
    farthest = min(gain for gain in gains if gains[0] - gain <= OUTLYING * usual)
    low, high = sorted((sign * gains[0], sign * farthest))
    room = max(high - low, 1e-3)
    ends = [
        (a, b)
        for value, a, b in zip(values, lows, highs, strict=True)
        if low <= value <= high and not math.isnan(a)
    ]
    low = min([low, *(max(a, low - room) for a, _ in ends)])
    high = max([high, *(min(b, high + room) for _, b in ends)])
    margin = 0.04 * max(high - low, 1e-3)
    return low - margin, high + margin


def path(
    x: Sequence[float] | NDArray[np.floating],
    y: Sequence[float] | NDArray[np.floating],
    across: Scale,
    up: Scale,
) -> str:
    """A line as the ``d`` of an SVG path, without points that make no visible difference.

    It has gaps where y is NaN.
    """
    parts: list[list[tuple[float, float]]] = [[]]
    for a, b in zip(x, y, strict=True):
        if math.isnan(b):
            parts.append([])
        else:
            parts[-1].append((across.at(float(a)), up.at(float(b))))
    return "".join(_part(np.array(points)) for points in parts if points)


def _part(points: NDArray[np.float64]) -> str:
    """The d of a line without gaps, from its points (n, 2)."""

    def away(start: int, stop: int) -> NDArray[np.float64]:
        a, b, between = points[start], points[stop], points[start + 1 : stop]
        along = b - a
        squared = float(along @ along)
        share = (
            np.clip((between - a) @ along / squared, 0, 1) if squared else np.zeros(len(between))
        )
        distances: NDArray[np.float64] = np.hypot(*(between - a - share[:, None] * along).T)
        return distances

    kept = points[needed_points(len(points), away, NEAR)] if len(points) > 2 else points
    pairs = [f"{x:.1f} {y:.1f}" for x, y in kept.tolist()]
    return "M" + "L".join(pairs) + ("" if len(pairs) > 1 else "h.1")
