"""Decides what becomes of each column of a table, and says why."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

import harness

if TYPE_CHECKING:
    from collections.abc import Mapping

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

DATE_FORMATS = ("%Y-%m-%d", "%Y/%m/%d", "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%Y%m%d")
"""Ways to write a date; Arrow reads ISO 8601 by itself."""


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
    """

    drop: tuple[str, ...] = ()
    numbers: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    dates: tuple[str, ...] = ()

    def use_of(self, name: str) -> Use | None:
        """What the user wants of a column; None if the user leaves it to us."""
        if name in self.drop:
            return "dropped"
        if name in self.numbers:
            return "number"
        if name in self.categories:
            return "category"
        return "date" if name in self.dates else None


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
    first_line: int,
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
        first_line: the line of the file that holds the first row; -1 if it has no lines.

    Raises:
        harness.UsageError: a column mixes numbers and texts, or does not convert as wished, or no
            column is left.
    """
    columns: dict[str, Any] = {}
    told: list[harness.Column] = []
    for name in table.column_names:
        values = table[name].combine_chunks()
        if isinstance(values, pa.ChunkedArray):
            values = values.chunk(0)
        place = f"{where}, column '{name}'"
        kind = _type_name(values.type)
        n_distinct = _n_distinct(values)
        missing = values.null_count
        if name in apart:
            told.append(harness.Column(name, kind, n_distinct, missing, "apart", apart[name]))
            continue
        wish = wishes.use_of(name)
        decision = (
            _wished(wish, values, place)
            if wish
            else _decided(name, values, n_distinct, place, first_line)
        )
        made = _features(name, decision)
        columns |= made
        reason = decision.reason
        if decision.use != "dropped" and (leak := _leak(next(iter(made.values())), codes)):
            reason = f"{reason}; {leak}" if reason else leak
        told.append(harness.Column(name, kind, n_distinct, missing, decision.use, reason))
    if not columns:
        raise harness.UsageError(f"{where}: no column is left to learn from; see harness show")
    return Understood(pd.DataFrame(columns, copy=False), told)


def _type_name(kind: pa.DataType) -> str:
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
    if pa.types.is_nested(values.type):
        return -1
    if pa.types.is_dictionary(values.type):
        return int(pc.count_distinct(values.indices).as_py())
    return int(pc.count_distinct(values).as_py())


def _decided(
    name: str, values: pa.Array, n_distinct: int, place: str, first_line: int
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
        return _of_text(values, n_distinct, n_present, place, first_line)
    return _Decision("dropped", f"no model takes the type {kind}")


def _of_text(
    values: pa.Array, n_distinct: int, n_present: int, place: str, first_line: int
) -> _Decision:
    """What becomes of a column of texts: a date, categories, an identifier, or free text."""
    distinct = pc.unique(values).drop_null()
    numbers = _as_numbers(distinct)
    if numbers.null_count == 0:
        return _Decision("number", "texts that are numbers", _as_numbers(values))
    if n_distinct > 2 and numbers.null_count <= (1 - MOSTLY_NUMBERS) * n_distinct:
        _refuse_mixed(values, place, first_line)
    if (dates := as_dates(values)) is not None:
        return _Decision("date", PARTS_OF_A_DATE, dates)
    if n_present >= FEW_ROWS and n_distinct > MOSTLY_DISTINCT * n_present:
        if _mean_words(distinct) >= WORDS:
            return _Decision("dropped", "free text, which no model here reads")
        return _Decision("dropped", "identifier: nearly every row has a text of its own")
    if _mean_words(distinct) >= 2 * WORDS:
        return _Decision("dropped", "free text, which no model here reads")
    return _Decision("category", "", values)


PARTS_OF_A_DATE = "year, month, day of the week, days since the first"


def _identifies(name: str, values: pa.Array) -> bool:
    """Whether whole numbers that are all different identify rows: by their name, or as 1, 2, 3."""
    ends = pc.min_max(values).as_py()
    if ends["max"] - ends["min"] + 1 == len(values):
        return True
    words = "".join(c.lower() if c.isalnum() else " " for c in name).split()
    return any(word in IDENTIFIERS for word in words) or name.endswith(("Id", "ID"))


def _as_numbers(values: pa.Array) -> pa.Array:
    """Texts as numbers; what is no number is missing."""
    texts = pc.utf8_trim_whitespace(values)
    is_number = pc.match_substring_regex(texts, r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$")
    return pc.cast(pc.if_else(is_number, texts, None), pa.float64())


def _refuse_mixed(values: pa.Array, place: str, first_line: int) -> None:
    numbers = _as_numbers(values)
    is_text = pc.and_(pc.is_null(numbers), pc.is_valid(values))
    texts = values.filter(is_text)
    row = pc.index(is_text, True).as_py()
    line = f" in line {row + first_line}" if first_line >= 0 else ""
    n_texts, example = len(texts), texts[0].as_py()
    name = place.rpartition("'")[0].rpartition("'")[2]
    raise harness.UsageError(
        f"{place}: {len(numbers) - numbers.null_count:,} numbers, but {n_texts:,} "
        f"text{'s' if n_texts > 1 else ''}, such as '{example[:40]}'{line}; "
        f"write missing={example[:40]} if it is a missing value, or categorical={name}"
    )


def as_dates(values: pa.Array) -> pa.Array | None:
    """Texts as dates, if all of them are, written in one way."""
    for style in DATE_FORMATS:
        dates = pc.strptime(values, format=style, unit="s", error_is_null=True)
        if dates.null_count == values.null_count:
            return dates
    return None


def _mean_words(texts: pa.Array) -> float:
    counts = pc.list_value_length(pc.utf8_split_whitespace(texts))
    return float(pc.mean(counts).as_py() or 0.0)


def _wished(use: Use, values: pa.Array, place: str) -> _Decision:
    """A column as the user wishes it."""
    if use == "dropped":
        return _Decision("dropped", "as you wish")
    if use == "category":
        return _Decision("category", "as you wish", values)
    if use == "date":
        if _is_text(values.type):
            dates = as_dates(values)
            if dates is None:
                raise harness.UsageError(
                    f"{place}: not all values are dates written in one way, such as 2026-11-27"
                )
            return _Decision("date", "as you wish", dates)
        return _Decision("date", "as you wish", values)
    if _is_text(values.type):
        return _Decision("number", "as you wish; texts count as missing", _as_numbers(values))
    return _Decision("number", "as you wish", values)


def _features(name: str, decision: _Decision) -> dict[str, Any]:
    """A column as features, by name: floats or categories."""
    values = decision.values
    if decision.use == "dropped":
        return {}
    if decision.use == "number":
        return {name: _floats(values)}
    if decision.use == "category":
        return {name: _categories(values)}
    moments = pc.cast(values, pa.timestamp("s"), safe=False)
    first = pc.min(moments)
    seconds = _floats(pc.cast(pc.subtract(moments, first), pa.int64()))
    features = {
        f"{name} year": _floats(pc.year(moments)),
        f"{name} month": _floats(pc.month(moments)),
        f"{name} weekday": _floats(pc.day_of_week(moments)),
        f"{name} days": np.floor(seconds / 86_400),
    }
    hours = _floats(pc.hour(moments))
    if np.nanmax(hours, initial=0.0) > 0:
        features[f"{name} hour"] = hours
    return {key: column for key, column in features.items() if _varies(column)}


def _floats(values: pa.Array) -> np.ndarray[Any, np.dtype[np.float64]]:
    floats: np.ndarray[Any, np.dtype[np.float64]] = np.array(
        pc.cast(values, pa.float64(), safe=False).to_numpy(zero_copy_only=False), dtype=np.float64
    )
    return floats


def _categories(values: pa.Array) -> pd.Categorical:
    """Values as categories whose names are texts, sorted."""
    if pa.types.is_dictionary(values.type):
        values = pc.cast(values, values.type.value_type)
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
