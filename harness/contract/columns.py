"""Reads a dataset's tables, labels and names, from any library, into plain columns."""

from __future__ import annotations

import datetime
import re
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.errors import DatasetError
from harness.words import listed

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from harness.contract.values import Array

NUMBERS = "fiub"
"""The values of ``dtype.kind`` that count as numbers: floats, integers and bools."""

DATES = (datetime.date, datetime.time, datetime.timedelta, np.datetime64, np.timedelta64)

LONGEST = 200
"""Most characters of a name; longer names are cut off."""

UNPRINTABLE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)
"""Control characters of terminals, marks of writing direction, and lone surrogates."""


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """One part of a split as columns.

    Args:
        n_rows: number of rows.
        columns: (n_rows,) each: arrays of numbers or objects, or pandas' Categorical.
        names: the column names as the dataset gives them; empty if the table has none.
        categorical: indices of the columns whose own type is categorical.
        block: all columns as one array (n_rows, n_columns) if they are all numbers; else None.
    """

    n_rows: int
    columns: Sequence[Any]
    names: tuple[object, ...] = ()
    categorical: frozenset[int] = frozenset()
    block: Array | None = None

    @property
    def array(self) -> Array:
        """All columns as one array: of numbers if all columns are numbers, else of objects."""
        if self.block is not None:
            return self.block
        array = np.empty((self.n_rows, len(self.columns)), dtype=object)
        for i, column in enumerate(self.columns):
            array[:, i] = column
        return array


def read_table(X: Any, part: str) -> Table:
    """Read an array, a DataFrame, or a value that converts to one, as a `Table`.

    Args:
        X: the value.
        part: its name in error messages, such as ``X_train``.

    Raises:
        DatasetError: X is not a table, or is a sparse matrix.
    """
    _refuse_sparse(X, part)
    if _is_frame(X):
        return _frame(X)
    if hasattr(X, "to_pandas") and _is_frame(frame := _converted(X, "to_pandas", part)):
        return _frame(frame)
    array = _array(X, part)
    if array.dtype.names:
        return _fields(array, part)
    if array.ndim == 0:
        raise _no_table(X, part)
    if array.ndim != 2:
        remedy = (
            "X.reshape(-1, 1) makes one column of it"
            if array.ndim == 1
            else "X.reshape(len(X), -1) makes one row of each sample"
        )
        raise DatasetError(
            f"{part} has shape {array.shape}, but a table has two dimensions; {remedy}"
        )
    columns = tuple(_plain(array, part).T)
    is_block = array.dtype.kind in NUMBERS
    return Table(len(array), columns, block=_plain(array, part) if is_block else None)


def read_labels(y: Any, part: str) -> Array:
    """Labels as numbers, or as objects with None for a missing label; (n, 1) becomes (n,).

    Raises:
        DatasetError: the labels cannot be read.
    """
    array = _label_array(y, part)
    if len(array.dtype.names or ()) == 1:
        array = array[array.dtype.names[0]]  # type: ignore[index]  # len() is 1
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.dtype.kind in "mM":
        values = [None if np.isnat(value) else str(value) for value in array.ravel()]
        array = _objects(values).reshape(array.shape)
    elif array.dtype.kind in NUMBERS:
        return _plain(array, part)
    if array.ndim != 1:
        return array
    return _objects([None if absent(label) else _decoded(label) for label in array.tolist()])


def _label_array(y: Any, part: str) -> Array:
    """Labels of any type as an array."""
    _refuse_sparse(y, part)
    if hasattr(y, "to_pandas"):
        y = _converted(y, "to_pandas", part)
    if _is_frame(y):
        table = _frame(y)
        if len(table.columns) != 1:
            raise DatasetError(f"{part} has {len(table.columns)} columns; labels are one column")
        column = table.columns[0]
        return np.asarray(column, dtype=object) if _is_categorical(column) else column
    return np.asarray(y, dtype=object) if _is_extended(y) else _array(y, part)


def with_rows(X: Any, part: str) -> Any:
    """X as a table whose rows can be selected by position: a DataFrame or an array.

    Raises:
        DatasetError: X does not convert to an array or a DataFrame.
    """
    _refuse_sparse(X, part)
    if not _is_frame(X) and hasattr(X, "to_pandas"):
        X = _converted(X, "to_pandas", part)
    if _is_frame(X) or isinstance(X, np.ndarray):
        return X
    array = _array(X, part)
    if array.ndim == 0:
        raise _no_table(X, part)
    return array


def rows_of(X: Any, rows: NDArray[np.intp] | slice) -> Any:
    """Rows of a table, selected by position."""
    return X.iloc[rows] if _is_frame(X) else X[rows]


def absent(value: object) -> bool:
    """Whether a value means "missing": None, NaN, NaT or pandas' NA.

    >>> [absent(value) for value in (None, float("nan"), np.datetime64("NaT"), "", 0)]
    [True, True, True, False, False]
    """
    if value is None or value is np.ma.masked:
        return True
    try:
        return bool(value != value)  # only NaN and NaT differ from themselves
    except Exception:  # noqa: BLE001  # comparing pandas' NA or a signalling NaN raises
        pandas = sys.modules.get("pandas")
        return (pandas is not None and value is pandas.NA) or _is_nan(value)


def floats(column: Array, name: str) -> NDArray[np.float64]:
    """A column as float64, with NaN for missing values.

    Raises:
        DatasetError: a value is not a number.
    """
    if column.dtype.kind == "M" or column.dtype.kind == "m":
        raise _dates(name, column.dtype)
    with np.errstate(over="ignore"):  # infinite values are refused later
        if column.dtype.kind in NUMBERS:
            return column.astype(np.float64)
    values = column.tolist()
    kinds = set(map(type, values))
    # float() would silently turn NumPy's dates into nanoseconds since 1970.
    if any(issubclass(kind, DATES) for kind in kinds):
        for value in values:
            if isinstance(value, DATES) and not absent(value):
                raise _dates(name, type(value).__name__)
    try:
        return np.array([np.nan if absent(v) else float(v) for v in values], dtype=np.float64)
    except (TypeError, ValueError, ArithmeticError) as error:
        raise DatasetError(
            f"column '{name}' is not declared categorical but holds a value that is not a number: "
            f"{error}; name it in `categorical`, or turn it into numbers"
        ) from error


def codes(parts: Sequence[Any]) -> tuple[tuple[str, ...], list[NDArray[np.float64]]]:
    """A column's categories, sorted as texts, and each part's codes, with NaN for missing values.

    The integer 9 and the float 9.0 are the same category, because missing values alone turn a
    column of integers into floats.

    >>> names, (train, test) = codes([np.array([10, 9, 10]), np.array([9.0, np.nan])])
    >>> names, train.tolist(), test.tolist()
    (('10', '9'), [0.0, 1.0, 0.0], [1.0, nan])
    """
    values, inverse = _distinct_values(parts)
    texts = [None if absent(value) else label_text(value) for value in values]
    categories = sorted({text for text in texts if text is not None})
    code_of: dict[str | None, float] = {text: float(i) for i, text in enumerate(categories)}
    part_codes = np.array([code_of.get(text, np.nan) for text in texts])[inverse.ravel()]
    return names_of(categories), np.split(part_codes, np.cumsum([len(part) for part in parts])[:-1])


def _distinct_values(parts: Sequence[Any]) -> tuple[list[Any], NDArray[np.intp]]:
    """The distinct values of a column, and each row's value as an index of them."""
    if all(map(_is_categorical, parts)):
        values: list[Any] = []
        indices = []
        for part in parts:
            used, inverse = np.unique(part.codes, return_inverse=True)
            names = part.categories.tolist()
            indices.append(inverse + len(values))
            values += [None if code < 0 else names[code] for code in used.tolist()]
        return values, np.concatenate(indices)
    arrays = [np.asarray(part, dtype=object) if _is_categorical(part) else part for part in parts]
    flat = np.concatenate(arrays)
    if flat.dtype.kind in NUMBERS:
        distinct_numbers, inverse = np.unique(flat, return_inverse=True)
        return distinct_numbers.tolist(), inverse.ravel()
    import pandas as pd  # faster than a loop over the values, even if it has to be loaded

    if pd.api.types.infer_dtype(flat, skipna=True) == "string":
        inverse, distinct_texts = pd.factorize(flat)
        # A missing value has the index -1, which is the last value's.
        return [*distinct_texts.tolist(), None], inverse
    # Of different types; pandas would take True and 1 for the same value.
    all_texts = [None if absent(value) else label_text(value) for value in flat.tolist()]
    index: dict[str | None, int] = {}
    inverse = np.array([index.setdefault(text, len(index)) for text in all_texts], dtype=np.intp)
    return list(index), inverse


def _is_categorical(column: Any) -> bool:
    return hasattr(column, "categories") and hasattr(column, "codes")


def n_missing(labels: Array) -> int:
    """The number of missing labels."""
    if labels.dtype.kind in NUMBERS:
        return int(np.isnan(labels).sum()) if labels.dtype.kind == "f" else 0
    return sum(label is None for label in labels.tolist())


def distinct(parts: Sequence[Array]) -> tuple[list[Any], list[NDArray[np.intp]]]:
    """The distinct labels, sorted, and each part's labels as indices of them.

    Raises:
        DatasetError: the labels cannot be sorted, because they have different types.
    """
    kinds = {part.dtype.kind for part in parts}
    if len(kinds) == 1 and kinds < set(NUMBERS):
        values, inverse = np.unique(np.concatenate(parts), return_inverse=True)
        labels = values.tolist()
    else:
        flat = [label for part in parts for label in part.tolist()]
        try:
            labels = sorted(set(flat))
        except TypeError as error:
            raise DatasetError(f"the labels cannot be put in order: {error}") from error
        index = {label: code for code, label in enumerate(labels)}
        inverse = np.array([index[label] for label in flat], dtype=np.intp)
    return labels, np.split(inverse, np.cumsum([len(part) for part in parts])[:-1])


def label_text(value: object) -> str:
    """A category or a label as text.

    >>> [label_text(value) for value in (3.0, 3, 2.5, True, b"red")]
    ['3', '3', '2.5', 'True', 'red']
    """
    if isinstance(value, float | np.floating) and value.is_integer():
        return str(int(value))
    return str(_decoded(value))


def names_of(given: Iterable[object], unnamed: str = "(empty)") -> tuple[str, ...]:
    r"""Names as printable, distinct texts.

    Args:
        given: names, of any type.
        unnamed: replaces a missing or blank name; ``{}`` in it becomes the name's position.

    >>> names_of(["a", "a", ("top", "left"), 0, None, "", "b\n", "\udc80"], "x{}")
    ('a', 'a (2)', "('top', 'left')", '0', 'x4', 'x5', 'b\\n', '\\udc80')
    """
    taken: set[str] = set()
    names: list[str] = []
    for i, name in enumerate(given):
        text = "" if absent(name) else printable(str(_decoded(name)))
        text = text if text.strip() else unnamed.format(i)
        unique, n = text, 1
        while unique in taken:
            n += 1
            unique = f"{text} ({n})"
        taken.add(unique)
        names.append(unique)
    return tuple(names)


def printable(text: str) -> str:
    r"""Text of bounded length, with control characters and lone surrogates escaped.

    >>> printable("red\x1b[31m"), printable("été"), len(printable("x" * 10_000))
    ('red\\x1b[31m', 'été', 200)
    """
    escaped = UNPRINTABLE.sub(lambda match: ascii(match[0])[1:-1], text[: LONGEST + 1])
    return escaped if len(escaped) <= LONGEST else escaped[: LONGEST - 1] + "…"


def names_in_words(columns: Sequence[str]) -> str:
    """Column names as a phrase.

    >>> names_in_words(["user"]), names_in_words(["user", "card"])
    ("column 'user'", "columns 'user', 'card'")
    """
    noun = "column" if len(columns) == 1 else "columns"
    return f"{noun} {listed([repr(name) for name in columns])}"


def _array(X: Any, part: str) -> Array:
    """X as an array; masked values become NaN or None."""
    try:
        if isinstance(X, list | tuple):
            return np.array(X, dtype=object)  # without it, [1, "a"] becomes two texts
        if not isinstance(X, np.ndarray) and hasattr(X, "to_numpy"):
            X = X.to_numpy()
        if isinstance(X, np.ma.MaskedArray):
            if X.dtype.names:
                return X  # `_fields` handles the masks, one per field
            values = X.data.astype(np.float64 if X.dtype.kind in NUMBERS else object)
            values[np.ma.getmaskarray(X)] = None if values.dtype == object else np.nan
            return np.asarray(values)
        return X if type(X) is np.ndarray else np.asarray(X)
    except Exception as error:
        raise DatasetError(
            f"{part}, a {type(X).__name__}, cannot be read as an array: "
            f"{type(error).__name__}: {' '.join(str(error).split())}"
        ) from error


def _plain(array: Array, part: str) -> Array:
    """An array of native numbers (float32 or float64 if floats), or of objects for texts."""
    kind, size = array.dtype.kind, array.dtype.itemsize
    if kind in NUMBERS:
        usual = array.dtype.isnative and (kind != "f" or size in (4, 8))
        with np.errstate(over="ignore"):
            return array if usual else array.astype(np.float64 if size != 4 else np.float32)
    if kind in "OUST":
        return array.astype(object)
    if kind in "mM":
        raise DatasetError(
            f"{part} holds {array.dtype}, neither numbers nor objects; turn dates into numbers, "
            "such as days since a date"
        )
    raise DatasetError(f"{part} holds {array.dtype}, neither numbers nor objects")


def _fields(array: Array, part: str) -> Table:
    """A structured array as a table with one column per field."""
    names = array.dtype.names or ()
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    columns = [_array(array[name], part) for name in names]
    if any(column.ndim != 1 for column in columns):
        raise DatasetError(
            f"{part} is a structured array whose fields are arrays; use one field per column"
        )
    return Table(
        len(array),
        [c if c.dtype.kind in "mM" else _plain(c, part) for c in columns],
        names,
    )


def _is_frame(X: object) -> bool:
    return all(hasattr(X, name) for name in ("iloc", "columns", "dtypes"))


def _is_extended(y: object) -> bool:
    """Whether y is a Series, an Index or an array with an extension dtype of pandas."""
    dtype = getattr(y, "dtype", None)
    return type(dtype).__module__.partition(".")[0] == "pandas"


def _frame(X: Any) -> Table:
    """A DataFrame as a table."""
    names, dtypes = tuple(X.columns), list(X.dtypes)
    if dtypes and all(isinstance(d, np.dtype) and d.kind in NUMBERS for d in dtypes):
        same = len(set(dtypes)) == 1
        block = _plain(X.to_numpy() if same else X.to_numpy(dtype=np.float64), "")
        return Table(len(X), tuple(block.T), names, block=block)
    columns, categorical = [], set()
    for i, dtype in enumerate(dtypes):
        column = _series(X.iloc[:, i], dtype)
        columns.append(column)
        if dtype.name == "category" or _is_text(column):
            categorical.add(i)
    return Table(len(X), columns, names, frozenset(categorical))


def _series(series: Any, dtype: Any) -> Any:
    """A column of a DataFrame: an array, of numbers if its dtype is numeric, or a Categorical."""
    if isinstance(dtype, np.dtype):
        array: Array = series.to_numpy()
        return array if dtype.kind in "mM" else _plain(array, "")
    import pandas as pd  # already loaded, because the DataFrame exists

    if isinstance(dtype, pd.SparseDtype):
        return _series(series.sparse.to_dense(), dtype.subtype)
    # Integers with missing values stay objects: as floats, large integers would become equal.
    gaps = dtype.kind in "iu" and series.hasnans
    if pd.api.types.is_numeric_dtype(dtype) and dtype.kind in NUMBERS and not gaps:
        if dtype.kind in "iu":
            return np.asarray(series.to_numpy(dtype=dtype.kind + "8"))
        return np.asarray(series.to_numpy(dtype=np.float64, na_value=np.nan))
    if isinstance(dtype, pd.CategoricalDtype):
        return series.array
    return np.asarray(series, dtype=object)


def _is_text(column: Any) -> bool:
    """Whether all values of a column are texts, apart from missing ones."""
    if column.dtype != object:
        return False
    import pandas as pd  # already loaded, because the DataFrame exists

    return bool(pd.api.types.infer_dtype(column, skipna=True) == "string")


def _converted(X: Any, method: str, part: str) -> Any:
    try:
        return getattr(X, method)()
    except Exception as error:
        raise DatasetError(
            f"{part}, a {type(X).__name__}, cannot be read: {method} raised "
            f"{type(error).__name__}: {' '.join(str(error).split())}"
        ) from error


def _refuse_sparse(X: object, part: str) -> None:
    if hasattr(X, "tocsr") or (hasattr(X, "nnz") and hasattr(X, "todense")):
        raise DatasetError(
            f"{part} is sparse (a {type(X).__name__}); .toarray() makes a plain array of it"
        )


def _objects(values: list[Any]) -> Array:
    """A one-dimensional array of objects; NumPy must not unpack sequences among them."""
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


def _decoded(value: object) -> object:
    return value.decode(errors="backslashreplace") if isinstance(value, bytes) else value


def _is_nan(value: Any) -> bool:
    try:
        return bool(value.is_nan())
    except Exception:  # noqa: BLE001  # a value without `is_nan` is not missing
        return False


def _no_table(X: object, part: str) -> DatasetError:
    return DatasetError(
        f"{part} is a {type(X).__name__}, not a table; give an array or a DataFrame"
    )


def _dates(name: str, kind: object) -> DatasetError:
    return DatasetError(
        f"column '{name}' holds dates or times ({kind}); turn them into numbers, such as days "
        "since a date, or name it in `categorical`"
    )
