"""Curves drawn as dots in lines of characters."""

from __future__ import annotations

from itertools import groupby, pairwise
from typing import TYPE_CHECKING, TypeAlias

from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    Dot: TypeAlias = tuple[int, int]

BRAILLE = 0x2800
DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
"""Bits of a braille character's dots, by row and column."""


class Canvas:
    """A grid of dots: 2 x 4 per braille character, or 1 per character on a console without braille.

    Args:
        columns: characters per line.
        rows: lines.
        braille: whether the console can show braille.
    """

    def __init__(self, columns: int, rows: int, *, braille: bool = True) -> None:
        self._columns, self._rows, self._braille = columns, rows, braille
        self._across, self._down = (2, 4) if braille else (1, 1)
        self.width, self.height = columns * self._across, rows * self._down
        self._bits: dict[Dot, int] = {}
        self._marks: dict[Dot, tuple[str, str]] = {}

    def draw(self, dots: Iterable[Dot], style: str = "", mark: str = "*") -> None:
        """Add dots (x from the left, y from the top); a character has the last style it was given.

        >>> canvas = Canvas(2, 1)
        >>> canvas.draw([(0, 3), (1, 2), (2, 1), (3, 0)])
        >>> [line.plain for line in canvas.lines()]
        ['⡠⠊']
        """
        for x, y in dots:
            cell = x // self._across, y // self._down
            self._bits[cell] = self._bits.get(cell, 0) | DOTS[y % self._down][x % self._across]
            self._marks[cell] = mark, style

    def lines(self) -> Iterator[Text]:
        """The drawing, line by line."""
        for row in range(self._rows):
            line = Text()
            for column in range(self._columns):
                mark, style = self._marks.get((column, row), (" ", ""))
                bits = self._bits.get((column, row), 0)
                line.append(chr(BRAILLE + bits) if self._braille and bits else mark, style)
            yield line


def scaled(value: float, low: float, high: float, dots: int) -> int:
    """The dot, out of ``dots`` from low to high, on which a value lies.

    >>> [scaled(value, 10, 20, 11) for value in (10, 14.9, 20)], scaled(5, 5, 5, 11)
    ([0, 5, 10], 0)
    """
    part = (value - low) / (high - low) if high > low else 0.0
    return round(min(max(part, 0.0), 1.0) * (dots - 1))


def path(points: Sequence[Dot | None], *, dotted: bool = False) -> Iterator[Dot]:
    """The dots on straight lines from point to point; None is a gap.

    >>> list(path([(0, 0), (2, 1), None, (9, 9)]))
    [(0, 0), (1, 0), (2, 1), (9, 9)]
    >>> list(path([(0, 0), (6, 0)], dotted=True))
    [(0, 0), (1, 0), (4, 0), (5, 0)]
    """
    for number, (dot, _) in enumerate(groupby(_dots(points))):
        if not dotted or number % 4 < 2:
            yield dot


def _dots(points: Sequence[Dot | None]) -> Iterator[Dot]:
    for before, point in pairwise((None, *points)):
        if point is None:
            continue
        if before is None:
            yield point
            continue
        (x0, y0), (x1, y1) = before, point
        steps = max(abs(x1 - x0), abs(y1 - y0))
        for step in range(1, steps + 1):
            part = step / steps
            yield x0 + round((x1 - x0) * part), y0 + round((y1 - y0) * part)
