"""Parses and formats times, sizes and percentages as people write them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from harness.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

_SECONDS = {"": 1.0, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}
_BYTES = {"": 1, "b": 1} | {
    prefix + suffix: 2 ** (10 * power)
    for power, prefix in enumerate("kmgt", start=1)
    for suffix in ("", "b", "ib")
}


def seconds(written: str | float) -> float:
    """The number of seconds in a time such as ``90``, ``"1.5m"`` or ``"2h"``.

    Raises:
        UsageError: the text is not a positive time.

    >>> seconds("1.5m")
    90.0
    """
    number = _product(written, _SECONDS)
    if not 0 < number < math.inf:
        raise UsageError(f"'{written}' is not a time; write seconds, or a number with s, m or h")
    return number


def size(written: str | float) -> int:
    """The number of bytes in a size such as ``1000000``, ``"500M"`` or ``"2GiB"`` (1 K = 1,024).

    Raises:
        UsageError: the text is not a positive size.

    >>> size("2G") == size("2048 MiB") == 2**31
    True
    """
    number = _product(written, _BYTES)
    if not 1 <= number < math.inf:
        raise UsageError(f"'{written}' is not a size; write bytes, or a number with K, M, G or T")
    return int(number)


def rounded(seconds: float) -> str:
    """A time as text, rounded to the precision of an estimate.

    >>> [rounded(seconds) for seconds in (0.2, 41.3, 754, 9_000, 400_000)]
    ['1 s', '41 s', '13 min', '2 h 30 min', '4 d 15 h']
    """
    whole = max(1, round(seconds))
    if whole < 120:
        return f"{whole} s"
    minutes = round(seconds / 60)
    if minutes < 120:
        return f"{minutes} min"
    hours = minutes // 60
    return f"{hours} h {minutes % 60} min" if hours < 48 else f"{hours // 24} d {hours % 24} h"


def part(written: str | float) -> float:
    """The fraction in ``"3%"`` or ``0.03``.

    Raises:
        UsageError: the text is not a fraction above 0 and below 1.

    >>> part("3%") == part(0.03) == 0.03
    True
    """
    text = str(written).strip()
    digits, percent = text.removesuffix("%"), text.endswith("%")
    try:
        fraction = float(digits) / (100 if percent else 1)
    except ValueError:
        fraction = math.nan
    if not 0 < fraction < 1:
        raise UsageError(
            f"'{written}' is not a percentage above 0% and below 100%; write it like 3% or 0.03"
        )
    return fraction


def _product(written: str | float, units: Mapping[str, float]) -> float:
    """The number times its unit; NaN if the number or the unit is invalid."""
    text = str(written).strip().lower()
    digits = text.rstrip("abcdefghijklmnopqrstuvwxyz ")
    try:
        return float(digits) * units.get(text[len(digits) :].strip(), math.nan)
    except ValueError:
        return math.nan
