"""Decides what becomes of each column of a table, and says why."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

import harness
from harness_files.sources import shown, without_nan
from harness_files.texts import (
    as_dates,
    has_leading_zeros,
    number_style,
    plain_numbers,
    truth_values,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Use: TypeAlias = Literal["number", "category", "date", "dropped"]

FEW_ROWS = 20
"""With fewer rows no column counts as an identifier: values often differ by chance."""

MOSTLY_DISTINCT = 0.75
"""Distinct values per value: a text column with more identifies its rows, or is free text."""

WORDS = 3.0
"""Mean number of words from which texts count as free text."""

MOSTLY_NUMBERS = 0.9
"""Fraction of texts that are numbers from which the other texts count as mistakes."""

TELLS = 0.995
"""A column is suspected of a leak if, of the errors that guessing the most frequent class makes,
its values alone avoid this fraction."""

BINS = 50
"""Bins of a number, and the most categories, that are examined for a leak."""

IDENTIFIERS = ("id", "key", "uuid", "guid", "index", "row", "number", "nr", "no")
"""Words in names of columns of whole numbers that identify rows."""

EXACT = 2**53
"""Floats hold all whole numbers up to this one."""


@dataclass(slots=True)
class Understood:
    """A table for models: numbers and categories.

    Args:
        frame: (n_rows, n_features), floats and categories.
        columns: what became of each column of the file.
    """

    frame: pd.DataFrame
    columns: list[harness.Column] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the user decides about columns.

    Args:
        drop: names of columns to leave out.
        numbers: columns that are numbers.
        categories: columns that are categories.
        dates: columns that are dates.
        month_first: columns that are dates written as month/day/year.
    """

    drop: tuple[str, ...] = ()
    numbers: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    dates: tuple[str, ...] = ()
    month_first: tuple[str, ...] = ()

    def use_of(self, name: str) -> Use | None:
        """What the user wants of a column; None if the user leaves it to us."""
        if name in self.drop:
            return "dropped"
        if name in self.numbers:
            return "number"
        if name in self.categories:
            return "category"
        return "date" if name in (*self.dates, *self.month_first) else None


@dataclass(frozen=True, slots=True)
class _Decision:
    use: Use
    reason: str = ""
    values: Any = None  # the column, converted if need be


def understand(
    table: pa.Table,
    codes: np.ndarray[Any, np.dtype[np.intp]],
    wishes: Wishes,
    apart: Mapping[str, str],
    where: str,
    place_of: Callable[[int], str] = lambda _row: "",
) -> Understood:
    """Decide about each column, and convert the table.

    Types, identifiers and constants are judged on the whole table. Nothing else is: medians,
    scales and frequent categories come from the training part later.

    Args:
        table: the file's rows.
        codes: (n_rows,), each row's class, to suspect leaks.
        wishes: what the user decides.
        apart: columns that are no features, with the reason.
        where: name of the file, for messages.
        place_of: tells where a row is, as in ``in line 7``; empty if the file has no lines.

    Raises:
        harness.UsageError: a column mixes numbers and texts, or does not convert as wished, or no
            column is left.
    """
    columns: dict[str, Any] = {}
    told: list[harness.Column] = []
    taken = set(table.column_names)
    for name in table.column_names:
        values = _whole(table[name])
        place = f"{where}, column '{shown(name)}'"
        kind = type_name(values.type)
        missing = values.null_count
        if name in apart:
            n_distinct = _n_distinct(values)
            told.append(harness.Column(name, kind, n_distinct, missing, "apart", apart[name]))
            continue
        values, notes = _finite(values)
        n_distinct = _n_distinct(values)
        wish = wishes.use_of(name)
        decision = (
            _wished(wish, values, place, month_first=name in wishes.month_first)
            if wish
            else _decided(name, values, n_distinct, place, place_of)
        )
        made = _features(name, decision, taken)
        if not made and decision.use == "date":
            decision = _Decision("dropped", "constant")
        columns |= made
        taken |= made.keys()
        if decision.use != "dropped":
            notes += [leak] if (leak := _leaks(made, codes)) else []
        else:
            notes = []
        reason = "; ".join(filter(None, [decision.reason, *notes]))
        told.append(harness.Column(name, kind, n_distinct, missing, decision.use, reason))
    if not columns:
        reasons = "; ".join(
            f"{shown(column.name)}: {column.reason}" for column in told if column.use == "dropped"
        )
        reasons = reasons or "none is a feature"
        raise harness.UsageError(
            f"{where}: no column is left to learn from: {reasons}; keep one by numeric=, "
            "categorical= or dates="
        )
    return Understood(pd.DataFrame(columns, copy=False), told)


def _whole(values: pa.ChunkedArray) -> pa.Array:
    """A column in one piece."""
    if pa.types.is_dictionary(values.type):
        # Pieces may number their categories differently, and a number may stand for no category.
        return _whole(values.cast(values.type.value_type)).dictionary_encode()
    if pa.types.is_string_view(values.type):
        values = values.cast(pa.string())
    whole = without_nan(values).combine_chunks()
    return whole.chunk(0) if isinstance(whole, pa.ChunkedArray) else whole


def _finite(values: pa.Array) -> tuple[pa.Array, list[str]]:
    """Replaces infinite values by missing ones; also remarks on infinite or inexact numbers."""
    if pa.types.is_floating(values.type):
        infinite = int(pc.sum(pc.is_inf(values)).as_py() or 0)
        if infinite:
            noun = "value counts" if infinite == 1 else "values count"
            values = pc.if_else(pc.is_inf(values), None, values)
            return values, [f"{infinite:,} infinite {noun} as missing"]
    if pa.types.is_integer(values.type) and values.null_count < len(values):
        ends = pc.min_max(values).as_py()
        if max(abs(ends["min"]), abs(ends["max"])) > EXACT:
            return values, ["numbers beyond 2^53 lose their last digits"]
    return values, []


def type_name(kind: pa.DataType) -> str:
    """The type of a column's values, in a word or two."""
    if pa.types.is_dictionary(kind):
        return "category"
    if _is_text(kind):
        return "text"
    if pa.types.is_boolean(kind):
        return "bool"
    if pa.types.is_integer(kind):
        return "whole number"
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return "number"
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return "date"
    if pa.types.is_null(kind):
        return "empty"
    return str(kind)


def _is_text(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    )


def _n_distinct(values: pa.Array) -> int:
    if pa.types.is_null(values.type):
        return 0
    if pa.types.is_dictionary(values.type):
        return len(values.dictionary)
    try:
        return int(pc.count_distinct(values).as_py())
    except pa.ArrowNotImplementedError:  # such as lists
        return -1


def _decided(
    name: str, values: pa.Array, n_distinct: int, place: str, place_of: Callable[[int], str]
) -> _Decision:
    """What becomes of a column that the user says nothing about."""
    n_present = len(values) - values.null_count
    kind = values.type
    if n_present == 0:
        return _Decision("dropped", "all values are missing")
    if n_distinct == 1:
        return _Decision("dropped", "constant")
    many = len(values) >= FEW_ROWS
    if pa.types.is_dictionary(kind):
        if many and n_distinct > MOSTLY_DISTINCT * n_present:
            return _Decision("dropped", "identifier: nearly every row has a category of its own")
        return _Decision("category", "", values)
    if pa.types.is_boolean(kind):
        return _Decision("number", "0 and 1", values)
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return _Decision("date", PARTS_OF_A_DATE, values)
    if pa.types.is_integer(kind):
        if many and n_distinct == len(values) and _identifies(name, values):
            return _Decision("dropped", "identifier: a whole number of its own for every row")
        return _Decision("number", "", values)
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return _Decision("number", "", values)
    if _is_text(kind):
        return _of_text(name, values, n_distinct, n_present, place, place_of)
    return _Decision("dropped", f"no model takes the type {kind}")


def _of_text(
    name: str,
    values: pa.Array,
    n_distinct: int,
    n_present: int,
    place: str,
    place_of: Callable[[int], str],
) -> _Decision:
    """What becomes of a column of texts: a date, categories, an identifier, or free text."""
    distinct = pc.unique(values).drop_null()
    style = number_style(distinct)
    n_texts = style.read(distinct).null_count
    are_codes = n_texts == 0 and has_leading_zeros(distinct)
    if n_texts == 0 and not are_codes:
        reason = ", ".join(filter(None, ["texts that are numbers", style.text]))
        return _Decision("number", reason, style.read(values))
    if n_distinct > 2 and 0 < n_texts <= (1 - MOSTLY_NUMBERS) * n_distinct:
        _refuse_mixed(name, values, place, place_of)
    if (truth := truth_values(values, distinct)) is not None:
        return _Decision("number", "0 and 1", truth)
    # Most texts are no dates, which a few of them tell.
    if as_dates(distinct[:100]) is not None and (dates := as_dates(values)) is not None:
        return _Decision(
            "date", "; ".join(filter(None, [PARTS_OF_A_DATE, dates.remark])), dates.values
        )
    if n_present >= FEW_ROWS and n_distinct > MOSTLY_DISTINCT * n_present:
        if _mean_words(distinct) >= WORDS:
            return _Decision("dropped", "free text, which no model here reads")
        return _Decision("dropped", "identifier: nearly every row has a text of its own")
    if _mean_words(distinct) >= 2 * WORDS:
        return _Decision("dropped", "free text, which no model here reads")
    return _Decision("category", "codes with leading zeros" if are_codes else "", values)


PARTS_OF_A_DATE = "year, month, day of the week, days since the first"


def _identifies(name: str, values: pa.Array) -> bool:
    """Whether whole numbers that are all different identify rows: by their name, or as 1, 2, 3."""
    ends = pc.min_max(values).as_py()
    if ends["max"] - ends["min"] + 1 == len(values):
        return True
    words = "".join(c.lower() if c.isalnum() else " " for c in name).split()
    return any(word in IDENTIFIERS for word in words) or name.endswith(("Id", "ID"))


def _refuse_mixed(name: str, values: pa.Array, place: str, place_of: Callable[[int], str]) -> None:
    numbers = plain_numbers(values)
    is_text = pc.and_(pc.is_null(numbers), pc.is_valid(values))
    texts = values.filter(is_text)
    where = place_of(pc.index(is_text, True).as_py())
    example = shown(texts[0].as_py())
    raise harness.UsageError(
        f"{place}: {len(numbers) - numbers.null_count:,} numbers, but {len(texts):,} "
        f"text{'s' if len(texts) > 1 else ''}, such as '{example}'{where and ' '}{where}; "
        f"write missing={example} if it is a missing value, or categorical={shown(name)}"
    )


def _mean_words(texts: pa.Array) -> float:
    counts = pc.list_value_length(pc.utf8_split_whitespace(texts))
    return float(pc.mean(counts).as_py() or 0.0)


def _wished(use: Use, values: pa.Array, place: str, *, month_first: bool) -> _Decision:
    """A column as the user wishes it.

    Raises:
        harness.UsageError: the values cannot be used so.
    """
    if use == "dropped":
        return _Decision("dropped", "as you wish")
    if values.null_count == len(values):
        raise harness.UsageError(f"{place}: all values are missing, so that it cannot be a {use}")
    kind = values.type
    if pa.types.is_dictionary(kind) and use != "category":
        values = values.cast(kind.value_type)
    try:
        if use == "category":
            _categories(values)
        elif use == "number":
            return _wished_number(values, place)
        else:
            return _wished_date(values, place, month_first=month_first)
    except pa.ArrowException as error:
        raise harness.UsageError(
            f"{place}: its values, of type {kind}, cannot be a {use}; leave it to harness, or drop "
            "it"
        ) from error
    return _Decision("category", "as you wish", values)


def _wished_number(values: pa.Array, place: str) -> _Decision:
    if not _is_text(values.type):
        _floats(values)
        return _Decision("number", "as you wish", values)
    distinct = pc.unique(values).drop_null()
    style = number_style(distinct)
    numbers = style.read(values)
    if numbers.null_count == len(values):
        if (truth := truth_values(values, distinct)) is not None:
            return _Decision("number", "as you wish", truth)
        raise harness.UsageError(
            f"{place}: none of its texts is a number, such as "
            f"'{shown(values.drop_null()[0].as_py())}'; write categorical= instead"
        )
    n_texts = numbers.null_count - values.null_count
    more = f"; {n_texts:,} text{'s count' if n_texts > 1 else ' counts'} as missing"
    how = f", {style.text}" if style.text else ""
    return _Decision("number", f"as you wish{how}" + (more if n_texts else ""), numbers)


def _wished_date(values: pa.Array, place: str, *, month_first: bool) -> _Decision:
    kind = values.type
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return _Decision("date", "as you wish", values)
    if pa.types.is_integer(kind):  # such as 20261127
        values = pc.cast(values, pa.string())
    dates = as_dates(values, month_first=month_first) if _is_text(values.type) else None
    if dates is None:
        raise harness.UsageError(
            f"{place}: not all values are dates written in one way, such as 2026-11-27"
        )
    return _Decision("date", "; ".join(filter(None, ["as you wish", dates.remark])), dates.values)


def _features(name: str, decision: _Decision, taken: set[str]) -> dict[str, Any]:
    """A column as features, by name: floats or categories.

    Args:
        name: the column's name.
        decision: what becomes of it.
        taken: names that a date's features may not have.
    """
    values = decision.values
    if decision.use == "dropped":
        return {}
    if decision.use == "number":
        return {name: _floats(values)}
    if decision.use == "category":
        return {name: _categories(values)}
    if not pa.types.is_timestamp(values.type):
        values = pc.cast(values, pa.timestamp("s"))
    elif values.type.tz:
        values = pc.local_timestamp(values)
    seconds = _floats(pc.cast(pc.cast(values, pa.timestamp("s"), safe=False), pa.int64()))
    features = {
        "year": _floats(pc.year(values)),
        "month": _floats(pc.month(values)),
        "weekday": _floats(pc.day_of_week(values)),
        "days": np.floor((seconds - np.nanmin(seconds)) / 86_400),
        "hour": _floats(pc.hour(values)),
    }
    named = {}
    for part, column in features.items():
        if _varies(column):
            free = f"{name} {part}"
            while free in taken:
                free += "'"
            named[free] = column
    return named


def _floats(values: pa.Array) -> np.ndarray[Any, np.dtype[np.float64]]:
    floats: np.ndarray[Any, np.dtype[np.float64]] = np.array(
        pc.cast(values, pa.float64(), safe=False).to_numpy(zero_copy_only=False), dtype=np.float64
    )
    return floats


def _categories(values: pa.Array) -> pd.Categorical:
    """Values as categories whose names are texts, sorted."""
    if pa.types.is_dictionary(values.type):
        values = values.cast(values.type.value_type)
    texts = values if _is_text(values.type) else pc.cast(values, pa.string())
    encoded = pc.dictionary_encode(texts)
    names = np.asarray(encoded.dictionary.to_pylist(), dtype=object)
    order = np.argsort(names, kind="stable")
    place = np.empty(len(order) + 1, dtype=np.int64)
    place[order] = np.arange(len(order))
    place[-1] = -1  # a missing value
    codes = place[encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False)]
    return pd.Categorical.from_codes(codes, categories=pd.Index(names[order], dtype=object))


def _varies(column: np.ndarray[Any, Any]) -> bool:
    present = column[~np.isnan(column)]
    return len(present) > 0 and bool((present != present[0]).any())


def _leaks(features: Mapping[str, Any], codes: np.ndarray[Any, np.dtype[np.intp]]) -> str:
    return next(filter(None, (_leak(feature, codes) for feature in features.values())), "")


def _leak(feature: Any, codes: np.ndarray[Any, np.dtype[np.intp]]) -> str:
    """Why a feature may give the class away; empty if it does not by itself tell the class."""
    bins = _bins(feature)
    if bins is None or len(codes) < FEW_ROWS:
        return ""
    n_classes = int(codes.max()) + 1
    counts = np.bincount(bins * n_classes + codes, minlength=(bins.max() + 1) * n_classes)
    right = counts.reshape(-1, n_classes).max(axis=1).sum()
    usual = np.bincount(codes).max()
    wrong = len(codes) - usual
    if wrong and (right - usual) / wrong >= TELLS:
        return "may be a leak: it alone tells the class"
    return ""


def _bins(feature: Any) -> np.ndarray[Any, np.dtype[np.intp]] | None:
    """Each row's bin of a feature; None if it has too many categories to tell."""
    bins: np.ndarray[Any, np.dtype[np.intp]]
    if isinstance(feature, pd.Categorical):
        if len(feature.categories) > BINS:
            return None
        bins = feature.codes.astype(np.intp) + 1
        return bins
    present = feature[~np.isnan(feature)]
    distinct = np.unique(present)
    edges = distinct if len(distinct) <= BINS else np.quantile(present, np.linspace(0, 1, BINS))
    bins = np.searchsorted(np.unique(edges), feature, side="right")
    bins[np.isnan(feature)] = bins.max(initial=0) + 1
    return bins
