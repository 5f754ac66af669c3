"""Reads texts as numbers, truth values and dates."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from collections.abc import Callable

PLAIN = r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?"
"""A number as most programs write it."""

UNITS = r"[$€£¥%]"
"""Currencies and per cent, before or after a number."""

STYLES = (
    (",", r"[1-9]\d{0,2}(,\d{3})+(\.\d+)?|\d+(\.\d+)?", ".", "12,345.6"),
    (".", r"[1-9]\d{0,2}(\.\d{3})+(,\d+)?|\d+(,\d+)?", ",", "12.345,6"),
    (" ", r"[1-9]\d{0,2}([ \x{a0}\x{202f}]\d{3})+([.,]\d+)?|\d+([.,]\d+)?", "", "12 345.6"),
    ("'", r"[1-9]\d{0,2}(['’]\d{3})+([.,]\d+)?|\d+([.,]\d+)?", "", "12'345.6"),
)
"""Ways to write thousands: their separator, the pattern, the decimal point (empty: point or comma),
and an example. The first that fits all values is used."""

LEADING_ZERO = r"^\s*0\d+\s*$"
"""A code such as a postcode: as a number it would lose its zeros."""

DATES = (
    ("%Y/%m/%d", r"^\d+/\d+/(?P<day>\d+)", "year/month/day"),
    ("%d.%m.%Y", r"^(?P<day>\d+)\.", "day.month.year"),
    ("%d/%m/%Y", r"^(?P<day>\d+)/", "day/month/year"),
    ("%m/%d/%Y", r"^\d+/(?P<day>\d+)/", "month/day/year"),
    ("%d-%m-%Y", r"^(?P<day>\d+)-", "day-month-year"),
    ("%d %b %Y", r"^(?P<day>\d+) ", "day month year"),
    ("%d-%b-%Y", r"^(?P<day>\d+)-", "day-month-year"),
    ("%b %d, %Y", r" (?P<day>\d+),", "month day, year"),
    ("%Y%m%d", r"^\d{6}(?P<day>\d{2})", "yearmonthday"),
)
"""Ways to write a date, where its day is, and the way in words; Arrow reads ISO 8601 by itself."""

DAY_FIRST, MONTH_FIRST = DATES[2], DATES[3]

TIMES = ("", " %H:%M", " %H:%M:%S")
"""Ways to write the time of day after a date."""

TRUTH = (("yes", "no"), ("true", "false"), ("y", "n"), ("t", "f"))
"""Texts for 1 and 0."""


@dataclass(frozen=True, slots=True)
class NumberStyle:
    """How a column writes its numbers.

    Args:
        read: texts to numbers; what is not written in this style becomes missing.
        text: the style in a few words; empty if numbers are plain.
    """

    read: Callable[[pa.Array], pa.Array]
    text: str = ""


def number_style(distinct: pa.Array) -> NumberStyle:
    """The style that reads most of a column's distinct texts as numbers.

    Thousands, currencies and per cent count only if they fit all texts; otherwise numbers must be
    plain.
    """
    plain = NumberStyle(plain_numbers)
    if pc.all(pc.is_valid(plain_numbers(distinct))).as_py() is not False or not len(distinct):
        return plain
    bare, unit = _without_unit(distinct)
    if bare is None:
        return plain
    if unit and pc.all(pc.is_valid(plain_numbers(bare))).as_py():
        return NumberStyle(lambda texts: plain_numbers(_bare(texts)), f"in {unit}")
    for separator, pattern, point, example in STYLES:
        if pc.all(pc.match_substring_regex(bare, f"^[+-]?({pattern})$")).as_py():

            def read(texts: pa.Array, separator: str = separator, point: str = point) -> pa.Array:
                return plain_numbers(_as_plain(_bare(texts), separator, point))

            text = f"written as {example}" + (f", in {unit}" if unit else "")
            return NumberStyle(read, text)
    return plain


def plain_numbers(texts: pa.Array) -> pa.Array:
    """Texts as numbers; what is no number is missing."""
    texts = pc.utf8_trim_whitespace(texts)
    is_number = pc.match_substring_regex(texts, f"^{PLAIN}$")
    return pc.cast(pc.if_else(is_number, texts, None), pa.float64())


def _without_unit(distinct: pa.Array) -> tuple[pa.Array | None, str]:
    """The texts without their unit, and the unit; None if units differ, or only some have one."""
    found = pc.struct_field(pc.extract_regex(distinct, f"(?P<unit>{UNITS})"), "unit")
    units = set(pc.unique(found).to_pylist())
    if len(units) > 1:
        return None, ""
    return _bare(distinct), units.pop() or ""


def _bare(texts: pa.Array) -> pa.Array:
    """Texts without their unit: ``-$5`` and ``$-5`` become ``-5``."""
    texts = pc.replace_substring_regex(texts, rf"^\s*([+-]?)\s*{UNITS}\s*", r"\1")
    texts = pc.replace_substring_regex(texts, rf"\s*{UNITS}\s*$", "")
    return pc.utf8_trim_whitespace(texts)


def _as_plain(texts: pa.Array, separator: str, point: str) -> pa.Array:
    separators = {" ": r"[ \x{a0}\x{202f}]", "'": "['’]", ".": r"\."}.get(separator, separator)
    texts = pc.replace_substring_regex(texts, rf"{separators}(\d{{3}})", r"\1")
    return texts if point == "." else pc.replace_substring(texts, ",", ".")


def has_leading_zeros(texts: pa.Array) -> bool:
    """Whether one of the texts is a whole number that begins with a needless zero."""
    return bool(pc.any(pc.match_substring_regex(texts, LEADING_ZERO)).as_py())


def truth_values(values: pa.Array, distinct: pa.Array) -> pa.Array | None:
    """Texts such as yes and no as truth values; None if they are others."""
    texts = {text.strip().lower() for text in distinct.to_pylist()} if len(distinct) < 9 else set()
    for yes, no in TRUTH:
        if texts == {yes, no}:
            return pc.equal(pc.utf8_lower(pc.utf8_trim_whitespace(values)), yes)
    return None


@dataclass(frozen=True, slots=True)
class Dates:
    """A column's dates, and a remark if their order of day and month had to be guessed."""

    values: pa.Array
    remark: str = ""


def as_dates(values: pa.Array, *, month_first: bool = False) -> Dates | None:
    """Texts as dates; None unless one way to write dates fits all of them.

    Args:
        values: the texts.
        month_first: whether 03/04/2026 is the fourth of March.
    """
    texts = pc.utf8_trim_whitespace(values)
    for zone in (None, "UTC"):
        try:
            return Dates(pc.cast(texts, pa.timestamp("us", zone)))
        except pa.ArrowInvalid:
            continue
    ways = (MONTH_FIRST,) if month_first else DATES
    for (way, day_of, words), time in itertools.product(ways, TIMES):
        read = _dates(texts, way + time, day_of)
        if read is None:
            continue
        if words != DAY_FIRST[2] or _dates(texts, MONTH_FIRST[0] + time, MONTH_FIRST[1]) is None:
            return Dates(read)
        return Dates(read, f"read as {words}, but {MONTH_FIRST[2]} would fit too (monthfirst=)")
    return None


def _dates(texts: Any, way: str, day_of: str) -> pa.Array | None:
    """Texts as dates written in one way; None if it does not fit all of them."""
    read = pc.strptime(texts, format=way, unit="s", error_is_null=True)
    if read.null_count > texts.null_count:
        return None
    # 31 February is read as 3 March.
    days = pc.cast(pc.struct_field(pc.extract_regex(texts, day_of), "day"), pa.int64())
    return read if pc.all(pc.equal(days, pc.day(read))).as_py() is not False else None
