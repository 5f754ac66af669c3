"""Numbers as texts: no leading zero, and no more digits than readers can use."""

from __future__ import annotations

import math

from harness.words import fixed


def share(value: float) -> str:
    """A score between 0 and 1 with three decimals; empty if it is NaN.

    >>> share(0.9532), share(1.0), share(float("nan"))
    ('.953', '1.000', '')
    """
    return fixed(value, 3)


def score(value: float) -> str:
    """A score of any size: three decimals, or four digits if it is large.

    >>> score(0.9532), score(-0.25), score(12.345), score(1234.56)
    ('.953', '-.250', '12.35', '1235')
    """
    if math.isnan(value):
        return ""
    if abs(value) < 10:
        return f"-{fixed(-value, 3)}" if value < 0 else fixed(value, 3)
    return f"{value:.2f}" if abs(value) < 100 else f"{value:.0f}"


def bound(value: float) -> str:
    """A bound of an interval between 0 and 1, always four characters wide.

    >>> bound(0.9119), bound(0.9999)
    ('.912', '1.00')
    """
    return fixed(value, 3)[:4]


def loss_decimals(values: list[float]) -> int:
    """Decimals, 3 to 5, that show two significant digits of the lowest NLL.

    >>> loss_decimals([0.0604, 1.0986]), loss_decimals([0.0021, 1.0986])
    (3, 4)
    """
    known = [value for value in values if value > 0]
    return min(max(3, 1 - math.floor(math.log10(min(known)))), 5) if known else 3


def compact(value: float, decimals: int) -> str:
    """A number with three significant digits, but at most this many decimals.

    >>> [compact(value, 3) for value in (0.0123456, 1.23456, 123.456, 12345.6, 0.0001, 0.0)]
    ['.012', '1.23', '123', '12346', '<.001', '0']
    """
    if math.isnan(value):
        return ""
    if value == 0:
        return "0"
    if value < 0.5 * 10**-decimals:
        return "<" + fixed(10**-decimals, decimals)
    digits = min(max(2 - math.floor(math.log10(value)), 0), decimals)
    return fixed(value, digits)
