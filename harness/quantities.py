"""Times and sizes as people write them."""

from __future__ import annotations

import math

from harness.errors import UsageError

_SECONDS = {"": 1.0, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}
_BYTES = {"": 1, "b": 1, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40}


def seconds(written: str | float) -> float:
    """Seconds in ``90``, ``"1.5m"`` or ``"2h"``.

    Raises:
        UsageError: it is no positive time.

    >>> seconds("1.5m")
    90.0
    """
    number, unit = _parts(written)
    if unit not in _SECONDS or not number > 0 or math.isinf(number):
        raise UsageError(f"'{written}' is no time; write seconds, or a number with s, m or h")
    return number * _SECONDS[unit]


def size(written: str | float) -> int:
    """Bytes in ``1000000``, ``"500M"`` or ``"2GiB"`` (units of 1,024).

    Raises:
        UsageError: it is no positive size.

    >>> size("2G") == size("2048 MiB") == 2**31
    True
    """
    number, unit = _parts(written)
    unit = unit if unit == "b" else unit.removesuffix("b").removesuffix("i")
    if unit not in _BYTES or not number > 0 or math.isinf(number):
        raise UsageError(f"'{written}' is no size; write bytes, or a number with K, M, G or T")
    return int(number * _BYTES[unit])


def _parts(written: str | float) -> tuple[float, str]:
    text = str(written).strip().lower()
    digits = text.rstrip("abcdefghijklmnopqrstuvwxyz ")
    try:
        return float(digits), text[len(digits) :].strip()
    except ValueError:
        return math.nan, ""
