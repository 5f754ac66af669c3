"""Formats numbers and lists in the same way for all texts of the harness."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

UNITS = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"))
"""Units of a time, in seconds, the largest first."""


def plural(n: int, word: str) -> str:
    """A count with its noun, in the plural if needed.

    >>> plural(1, "thread"), plural(2_000, "row")
    ('1 thread', '2,000 rows')
    """
    return f"{n:,} {word}{'s' if n != 1 else ''}"


def listed(names: Iterable[object], most: int = 10, between: str = ", ") -> str:
    """Names joined to a list; of more than ``most`` names, the first ones and the number left out.

    >>> listed(range(1000), 3), listed("abcd", 3, "; "), listed("abc", 3)
    ('0, 1, 2 and 997 more', 'a; b; c; and 1 more', 'a, b, c')
    """
    texts = list(map(str, names))
    last = " " if between == ", " else between
    more = f"{last}and {len(texts) - most:,} more" if len(texts) > most else ""
    return between.join(texts[:most]) + more


def fixed(value: float, decimals: int) -> str:
    """A number with this many decimals, without the zero before them; empty for NaN.

    >>> fixed(0.0604, 3), fixed(36.0437, 3), fixed(0.4, 0), fixed(math.nan, 3), fixed(-0.0001, 3)
    ('.060', '36.044', '0', '', '.000')
    """
    if math.isnan(value):
        return ""
    text = f"{value:z.{decimals}f}"
    return text.removeprefix("0") if decimals else text


def p_value(p: float) -> str:
    """A p-value to three decimals, without the zero before them; empty for NaN.

    >>> p_value(0.0123), p_value(0.0001), p_value(1.0), p_value(math.nan)
    ('.012', '<.001', '1.000', '')
    """
    return "<.001" if p < 0.0005 else fixed(p, 3)


def plain(text: object) -> str:
    r"""A stranger's text on one line, without characters that could control a terminal.

    >>> plain("no module\n\x1b[31m 'x'")
    "no module ?[31m 'x'"
    """
    line = " ".join(str(text).split())
    return "".join(letter if letter.isprintable() else "?" for letter in line)
