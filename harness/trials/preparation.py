"""Encode a dataset's split (labels and categories as codes), and prepare it for a model's needs."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from harness.contract.columns import (
    codes,
    distinct,
    floats,
    n_missing,
    names_of,
    printable,
    read_labels,
    read_table,
)
from harness.contract.values import Split
from harness.errors import DatasetError
from harness.words import listed

PartName: TypeAlias = Literal["X_train", "X_test"]

PARTS: tuple[PartName, PartName] = ("X_train", "X_test")

DIGEST = 32
"""Characters of a split's digest."""

LARGEST = float(np.finfo(np.float32).max)
"""The largest value allowed: float32 can hold it, and its square does not overflow float64."""

BLOCK = 2**17
"""Numbers that are processed at a time: 1 MiB, which stays in a processor's cache."""

MOSTLY_DISTINCT = 0.75
"""Distinct categories per row with a category: a column with more identifies its rows."""

MOST_CATEGORIES = 50
"""Categories of a column that keep their own; the rarer ones become `OTHERS`."""

OTHERS = "(other)"
"""The category of all rare categories of a column."""

FEW_ROWS = 20
"""With fewer rows, no column counts as an identifier: categories often differ by chance."""

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from harness.contract.columns import Table
    from harness.contract.values import Array, Needs

    Allocate = Callable[[str, tuple[int, ...], str], Array]
    Floats = NDArray[np.float64]
    Codes = NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)
class Encoded:
    """A checked split, with its labels and categories as codes.

    Its arrays hold only numbers, in C order, so that they can be stored in files and mapped into
    memory.

    Args:
        X_train: (n_train, n_features), float64, or float32 if the dataset's arrays are float32;
            NaN is a missing value. A categorical column holds codes that index its ``categories``.
        y_train: (n_train,), codes that index ``class_names``.
        X_test: (n_test, n_features).
        y_test: (n_test,).
        class_names: (n_classes,), names of all classes of the dataset.
        feature_names: (n_features,), all different.
        categorical: indices of the categorical columns, ascending.
        categories: names of each categorical column's categories, over both parts.
        n_repeated: number of test rows that also occur in the training part, with equal features.
        weights_train: (n_train,), weights of the rows; None if every row counts the same.
        weights_test: (n_test,), likewise.
    """

    X_train: Array
    y_train: NDArray[np.intp]
    X_test: Array
    y_test: NDArray[np.intp]
    class_names: tuple[str, ...]
    feature_names: tuple[str, ...]
    categorical: tuple[int, ...] = ()
    categories: tuple[tuple[str, ...], ...] = ()
    n_repeated: int = 0
    weights_train: Floats | None = None
    weights_test: Floats | None = None

    @property
    def trained(self) -> NDArray[np.intp]:
        """Codes of the classes that occur in the training part, ascending."""
        return np.unique(self.y_train)

    @property
    def identifiers(self) -> tuple[str, ...]:
        """Names of the columns in which nearly every training row has its own category."""
        names = []
        for column in self.categorical:
            values = self.X_train[:, column]
            present = values[~np.isnan(values)]
            n_distinct = len(np.unique(present))
            if len(present) >= FEW_ROWS and n_distinct > MOSTLY_DISTINCT * len(present):
                names.append(self.feature_names[column])
        return tuple(names)

    @property
    def digest(self) -> str:
        """Digest of both parts, their labels, weights and names: what the dataset is."""
        names = (self.class_names, self.feature_names, self.categorical, self.categories)
        digest = hashlib.sha256(json.dumps(names).encode())
        for array in (
            *(self.X_train, self.y_train, self.X_test, self.y_test),
            *(self.weights_train, self.weights_test),
        ):
            if array is None:
                digest.update(b"none")
            else:
                digest.update(f"{array.dtype} {array.shape}".encode())
                digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()[:DIGEST]

    def learning_from(self, rows: NDArray[np.intp]) -> Encoded:
        """The same split, with only these rows in its training part.

        Raises:
            DatasetError: all their weights are 0.
        """
        X_train, weights = self.X_train[rows], self.weights_train
        if weights is not None:
            weights = checked_weights(weights[rows], len(rows), "training")
        n_repeated = repeated(X_train, self.X_test) if self.n_repeated else 0
        return replace(
            self,
            X_train=X_train,
            y_train=self.y_train[rows],
            n_repeated=n_repeated,
            weights_train=weights,
        )

    def first_rows(self, n: int) -> list[list[float | str | None]]:
        """The first rows of the training part, with names of categories; None is missing."""
        names = dict(zip(self.categorical, self.categories, strict=True))
        return [
            [
                None if value != value else names[i][int(value)] if i in names else value
                for i, value in enumerate(row)
            ]
            for row in self.X_train[:n].tolist()
        ]


def encode(split: Split) -> Encoded:
    """Check a dataset's split, and encode its labels and categories.

    Raises:
        DatasetError: the split breaks the contract of `Split`, or no model can learn from it: it
            has no rows, labels are missing, the training part has one class only, or the training
            part lacks a class of the test part.
    """
    try:
        return _encode(split)
    except DatasetError:
        raise
    except (Exception, SystemExit) as error:
        raise DatasetError(f"the split cannot be read: {_described(error)}") from error


def _encode(split: Split) -> Encoded:
    if not isinstance(split, Split):
        raise DatasetError(f"split gave a {type(split).__name__}, not a harness.Split")
    tables = read_table(split.X_train, "X_train"), read_table(split.X_test, "X_test")
    n_features = len(tables[0].columns)
    for table, name in zip(tables, ("X_train", "X_test"), strict=True):
        if not table.columns:
            raise DatasetError(f"{name} has no columns")
    if n_features != len(tables[1].columns):
        raise DatasetError(
            f"the training part has {n_features} columns, the test part {len(tables[1].columns)}"
        )
    labels = read_labels(split.y_train, "y_train"), read_labels(split.y_test, "y_test")
    for part, table, y in zip(("training", "test"), tables, labels, strict=True):
        if table.n_rows == 0:
            raise DatasetError(f"the {part} part has no rows")
        if y.shape != (table.n_rows,):
            raise DatasetError(
                f"the {part} part has {table.n_rows} rows but labels of shape {y.shape}; "
                "there is one label a row"
            )
    feature_names = column_names(split, tables)
    categorical = categorical_columns(split, tables, feature_names)
    X_train, X_test, categories = numbers(tables, feature_names, categorical)
    class_names, y_train, y_test = _codes(split, labels)
    trained = np.unique(y_train)
    if len(trained) < 2:
        raise DatasetError(
            f"the training part has one class only, '{class_names[trained[0]]}'; "
            "a classifier needs two"
        )
    unseen = np.setdiff1d(y_test, trained)
    if len(unseen):
        names = listed([f"'{class_names[code]}'" for code in unseen])
        raise DatasetError(f"class {names} is in the test part only; no model can learn it")
    return Encoded(
        X_train,
        y_train,
        X_test,
        y_test,
        class_names,
        feature_names,
        categorical,
        categories,
        repeated(X_train, X_test),
        checked_weights(split.weights_train, len(y_train), "training"),
        checked_weights(split.weights_test, len(y_test), "test"),
    )


LARGEST_WEIGHT = 1e100
"""Sums of squares of larger weights overflow."""


def checked_weights(weights: Any, n_rows: int, part: str) -> Floats | None:
    """Weights of a part's rows as numbers; None if the part has none.

    Raises:
        DatasetError: they are not one finite number from 0 a row, or all are 0.
    """
    if weights is None:
        return None
    column = read_labels(weights, f"weights of the {part} part")
    if column.shape != (n_rows,):
        raise DatasetError(
            f"the {part} part has {n_rows} rows but weights of shape {column.shape}; give one a row"
        )
    try:
        numbers = floats(column, "weights")
    except DatasetError:
        raise DatasetError(f"the weights of the {part} part are not all numbers") from None
    faulty = np.flatnonzero(~(np.isfinite(numbers) & (numbers >= 0)))
    if len(faulty):
        row = int(faulty[0])
        fault = "missing" if np.isnan(numbers[row]) else f"{numbers[row]:g}"
        raise DatasetError(
            f"the weight of row {row} of the {part} part is {fault}; weights are finite numbers "
            "from 0"
        )
    if numbers.max(initial=0.0) > LARGEST_WEIGHT:
        raise DatasetError(
            f"the largest weight of the {part} part is {numbers.max():g}; divide all weights, so "
            f"that none is above {LARGEST_WEIGHT:g}"
        )
    if not numbers.any():
        raise DatasetError(f"all weights of the {part} part are 0; at least one must be larger")
    return numbers


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """Both parts as a model gets them; arrays are read-only.

    Args:
        X_train: (n_train, n_columns), an array, or a DataFrame if the model needs one.
        X_test: (n_test, n_columns).
        y_train: (n_train,), codes of the classes in the training part, 0..K-1 without gaps.
        categorical: columns of X that hold categories; empty where they were one-hot encoded.
        weights_train: (n_train,), weights of the training rows; None if they have none.
    """

    X_train: Any
    X_test: Any
    y_train: NDArray[np.intp]
    categorical: tuple[int, ...]
    weights_train: Floats | None = None


def in_memory(_name: str, shape: tuple[int, ...], dtype: str) -> Array:
    """Zeros in memory, for `prepare` to write a table into."""
    return np.zeros(shape, dtype)


def prepare(data: Encoded, needs: Needs, room: Allocate = in_memory) -> Prepared:
    """Prepare both parts as a model needs them; every statistic comes from the training part.

    - If the model needs ``finite`` input, missing numbers become the median, and missing categories
      the most frequent one. A column that is missing in the whole training part becomes zeros, or
      empty strings if it is categorical and stays so.
    - One-hot encoding makes a row of zeros of a category that the training part lacks, and of a
      missing category that was not filled in.
    - Of a column with more than `MOST_CATEGORIES` categories, the most frequent of the training
      part keep their own, and all others share `OTHERS`.
    - Scaling only centres a column that does not vary.
    - If the model needs ``positive`` input, the training part's smallest value of a number becomes
      0 and its largest 1; values of the test part beyond them are clipped.

    Args:
        data: the split.
        needs: the model's needs.
        room: returns zeros for the table of this name, shape and type; not called for a table that
            needs no change.

    Raises:
        DatasetError: the prepared split does not fit into memory.
    """
    try:
        return _prepare(data, needs, room)
    except Exception as error:
        raise DatasetError(f"the split cannot be prepared: {_described(error)}") from error


def leaves(data: Encoded, needs: Needs) -> bool:
    """Whether preparing leaves the columns as they are: they already suit the model's needs."""
    parts = data.X_train, data.X_test
    if (
        needs.frame
        or data.categorical
        or needs.scaled
        or needs.positive
        or any(X.dtype != needs.dtype for X in parts)
    ):
        return False
    # A sum is NaN if one of its numbers is.
    return not needs.finite or not any(np.isnan(X.sum(axis=0)).any() for X in parts)


def _prepare(data: Encoded, needs: Needs, room: Allocate) -> Prepared:
    parts = data.X_train, data.X_test
    one_hot = needs.numeric and not needs.frame
    encodings = [
        _Encoding.of(data.X_train[:, column], names, needs)
        for column, names in zip(data.categorical, data.categories, strict=True)
    ]
    widths = np.ones(len(data.feature_names), dtype=np.intp)
    if one_hot:
        # A column whose training part is all missing becomes one column of zeros.
        for column, encoding in zip(data.categorical, encodings, strict=True):
            widths[column] = max(1, int((encoding.counts > 0).sum()))
    starts = np.cumsum(widths) - widths
    quantities = np.setdiff1d(np.arange(len(widths)), data.categorical)
    scaler = _Scaler.of(parts, quantities, needs)
    outputs: list[Array]
    as_it_is = leaves(data, needs)
    if needs.frame:
        return _frames(data, needs, scaler, encodings)
    if as_it_is:
        outputs = [X.view() for X in parts]
    elif one_hot or not data.categorical:
        shapes = [(len(X), int(widths.sum())) for X in parts]
        try:
            outputs = [
                room(name, shape, needs.dtype) for name, shape in zip(PARTS, shapes, strict=True)
            ]
        except MemoryError:
            raise MemoryError(
                f"one-hot encoded, it is a table of {shapes[0][0]:,} x {shapes[0][1]:,} numbers, "
                "which does not fit into memory; leave out columns of many categories"
            ) from None
    else:
        outputs = [np.empty(X.shape, dtype=object) for X in parts]
    if not as_it_is:
        for X, output in zip(parts, outputs, strict=True):
            scaler.write(X, output, starts[quantities])
    for column, encoding in zip(data.categorical, encodings, strict=True):
        for X, output in zip(parts, outputs, strict=True):
            codes = encoding.codes(X[:, column])
            if one_hot:
                _one_hot(
                    codes, encoding.counts, len(data.X_train), needs, output[:, starts[column] :]
                )
            else:
                # A missing category has the code -1, which indexes the last entry.
                missing = "" if needs.finite else None
                output[:, column] = np.array([*encoding.names, missing], dtype=object)[codes]
    y_train = np.searchsorted(data.trained, data.y_train)
    for array in (*outputs, y_train):
        array.setflags(write=False)
    categorical = () if one_hot else data.categorical
    return Prepared(outputs[0], outputs[1], y_train, categorical, data.weights_train)


def _frames(
    data: Encoded, needs: Needs, scaler: _Scaler, encodings: Sequence[_Encoding]
) -> Prepared:
    """Both parts as DataFrames."""
    frames = []
    for X in (data.X_train, data.X_test):
        numbers = np.empty((len(X), len(scaler.columns)), dtype=needs.dtype)
        scaler.write(X, numbers, np.arange(len(scaler.columns)))
        coded = [
            (encoding.codes(X[:, column]), encoding.names)
            for column, encoding in zip(data.categorical, encodings, strict=True)
        ]
        frames.append(frame_of(numbers, coded, data.categorical, data.feature_names))
    y_train = np.searchsorted(data.trained, data.y_train)
    y_train.setflags(write=False)
    return Prepared(frames[0], frames[1], y_train, data.categorical, data.weights_train)


def frame_of(
    numbers: Array,
    coded: Sequence[tuple[Array, Sequence[str]]],
    categorical: Sequence[int],
    names: Sequence[str],
) -> Any:
    """A DataFrame of columns of numbers and of categories.

    Args:
        numbers: (n_rows, n_numbers), in the order of the columns.
        coded: codes and names of each categorical column; the code -1 is a missing value.
        categorical: places of the categorical columns among all columns.
        names: names of all columns.
    """
    import pandas as pd

    columns: dict[str, Any] = {}
    of_numbers, of_categories = iter(numbers.T), iter(coded)
    for i, name in enumerate(names):
        if i in categorical:
            codes, categories = next(of_categories)
            columns[name] = pd.Categorical.from_codes(codes, categories=pd.Index(categories))
        else:
            columns[name] = next(of_numbers)
    return pd.DataFrame(columns, index=pd.RangeIndex(len(numbers)), copy=False)


def column_names(split: Split, tables: Sequence[Table]) -> tuple[str, ...]:
    """Names of the columns: the split's ``feature_names``, else the columns of its DataFrames.

    Raises:
        DatasetError: the number of names is not the number of columns, or the names of the two
            parts differ.
    """
    n_features = len(tables[0].columns)
    train, test = (tuple(map(str, table.names)) for table in tables)
    if train and test and train != test:
        differing = next(i for i in range(n_features) if train[i] != test[i])
        raise DatasetError(
            f"column {differing} is '{printable(train[differing])}' in the training part, "
            f"'{printable(test[differing])}' in the test part; order them alike"
        )
    declared = () if split.feature_names is None else tuple(split.feature_names)
    if declared and len(declared) != n_features:
        raise DatasetError(f"{len(declared)} feature names for {n_features} columns")
    frame_names = next((table.names for table in tables if table.names), (None,) * n_features)
    return names_of(declared or frame_names, "x{}")


def categorical_columns(
    split: Split, tables: Sequence[Table], names: Sequence[str]
) -> tuple[int, ...]:
    """Indices of the categorical columns: those that the split declares, and by DataFrame dtypes.

    A split declares columns by index, by name, or by a mask of bools.

    Raises:
        DatasetError: the declaration has another form, or refers to a column that does not exist.
    """
    n_features = len(names)
    declared = split.categorical
    try:
        items = [declared] if isinstance(declared, str) else list(declared)
    except TypeError:
        items = [declared]
    of_types = {column for table in tables for column in table.categorical}
    if items and all(isinstance(item, bool | np.bool_) for item in items):
        if len(items) != n_features:
            raise DatasetError(f"categorical is a mask of {len(items)} for {n_features} columns")
        return tuple(sorted(of_types | set(np.flatnonzero(items).tolist())))
    frame_names = next((table.names for table in tables if table.names), ())
    given_names = () if split.feature_names is None else tuple(split.feature_names)
    indices: dict[str, int] = {}
    for labels in (names, given_names, frame_names):
        for i, label in enumerate(labels):
            indices.setdefault(str(label), i)
    columns = set()
    for item in items:
        if isinstance(item, int | np.integer) and not isinstance(item, bool):
            if not 0 <= item < n_features:
                raise DatasetError(
                    f"categorical has the indices {_shown(items)}; columns go from 0 to "
                    f"{n_features - 1}"
                )
            columns.add(int(item))
        elif isinstance(item, str) and item in indices:
            columns.add(indices[item])
        elif isinstance(item, str):
            raise DatasetError(
                f"categorical contains '{printable(item)}', which is no column; the columns are "
                f"{listed(names)}"
            )
        else:
            raise DatasetError(
                f"categorical is {printable(repr(declared))}; give indices of columns, their "
                "names, or a bool for each column"
            )
    return tuple(sorted(of_types | columns))


def repeated(X_train: Array, X_test: Array) -> int:
    """How many test rows also occur in the training part, with equal features."""
    train_hashes, test_hashes = np.sort(_hashes(X_train)), np.sort(_hashes(X_test))
    # Both are sorted, so that this is ten times as fast as np.isin.
    positions = np.minimum(np.searchsorted(train_hashes, test_hashes), len(train_hashes) - 1)
    return int((train_hashes[positions] == test_hashes).sum())


def _hashes(X: Array) -> NDArray[np.uint64]:
    """A 64-bit hash of each row: among a million rows, a collision has a chance of one in 10^7."""
    n_features = X.shape[1]
    salts = np.random.default_rng(0).integers(2**63, size=n_features, dtype=np.uint64)
    salts = 2 * salts + 1  # odd, because a product with an even number loses a bit
    hashes = np.empty(len(X), dtype=np.uint64)
    for rows in _blocks(len(X), n_features):
        values = X[rows].astype(np.float64)
        values += 0.0  # -0.0 becomes 0.0
        values[np.isnan(values)] = np.nan  # all NaNs get the same bits
        bits = values.view(np.uint64)
        # Whole numbers differ only in their upper bits, and a product only moves bits upwards.
        bits ^= bits >> np.uint64(32)
        bits *= salts
        bits ^= bits >> np.uint64(29)
        bits *= salts
        bits ^= bits >> np.uint64(32)
        hashes[rows] = bits.sum(axis=1)
    return hashes


def _blocks(n_rows: int, n_columns: int) -> Iterator[slice]:
    size = max(1, BLOCK // max(1, n_columns))
    for start in range(0, n_rows, size):
        yield slice(start, min(start + size, n_rows))


def numbers(
    tables: Sequence[Table], names: Sequence[str], categorical: Sequence[int]
) -> tuple[Array, Array, tuple[tuple[str, ...], ...]]:
    """Both parts as arrays of numbers, and the names of the categories that codes index.

    Raises:
        DatasetError: a column that is not declared categorical holds something else than numbers.
    """
    parts = []
    for table in tables:
        if table.block is not None:
            block_dtype = table.block.dtype if table.block.dtype.kind == "f" else np.float64
            dtype = np.float64 if categorical else block_dtype
            copied = bool(categorical)
            X = np.array(table.block, dtype=dtype, order="C", copy=copied or None)
        else:
            X = np.empty((table.n_rows, len(table.columns)))
            for i in set(range(len(names))) - set(categorical):
                X[:, i] = floats(table.columns[i], names[i])
        parts.append(X)
    categories = []
    for i in categorical:
        category_names, coded = codes([table.columns[i] for table in tables])
        categories.append(category_names)
        for X, column in zip(parts, coded, strict=True):
            X[:, i] = column
    for X in parts:
        # fmin and fmax ignore NaN, which is allowed.
        largest, smallest = np.fmax.reduce(X, initial=0.0), np.fmin.reduce(X, initial=0.0)
        beyond = (largest > LARGEST) | (smallest < -LARGEST)
        if beyond.any():
            raise DatasetError(
                f"column '{names[int(beyond.argmax())]}' holds infinite values, "
                f"or values beyond {LARGEST:.1e}, which float32 cannot hold"
            )
    return parts[0], parts[1], tuple(categories)


def _codes(
    split: Split, parts: Sequence[Array]
) -> tuple[tuple[str, ...], NDArray[np.intp], NDArray[np.intp]]:
    """Class names and both parts' labels as codes that index them."""
    for part, y in zip(("training", "test"), parts, strict=True):
        missing = n_missing(y)
        if missing:
            raise DatasetError(
                f"{missing} of the {len(y)} labels of the {part} part are missing (NaN)"
            )
    declared = () if split.class_names is None else tuple(split.class_names)
    given_names = [str(name) for name in declared]
    if len(set(given_names)) != len(given_names):
        raise DatasetError(f"class names occur twice: {printable(', '.join(given_names))}")
    if not given_names:
        labels, coded = distinct(parts)
        return names_of(map(str, labels)), coded[0], coded[1]
    names = names_of(given_names)
    whole_parts = [indices for part in parts if (indices := _whole(part)) is not None]
    if len(whole_parts) == len(parts):
        for indices in whole_parts:
            low, high = indices.min(), indices.max()
            if low < 0 or high >= len(names):
                raise DatasetError(
                    f"labels from {low} to {high} do not index {len(names)} class names; "
                    f"indices go from 0 to {len(names) - 1}; without class_names, labels are "
                    "their own names"
                )
        return names, whole_parts[0], whole_parts[1]
    index = {name: code for code, name in enumerate(given_names)}
    unknown = sorted({str(label) for y in parts for label in y.tolist() if label not in index})
    if unknown:
        raise DatasetError(
            f"label '{printable(unknown[0])}' is none of the classes {listed(names)}"
        )
    train, test = (np.array([index[label] for label in y.tolist()], dtype=np.intp) for y in parts)
    return names, train, test


def _whole(y: Array) -> NDArray[np.intp] | None:
    """Labels as integers; None if any of them is not a whole number."""
    kinds = bool | int | float | np.integer | np.floating | np.bool_
    if y.dtype == object:
        if not all(isinstance(label, kinds) for label in y.tolist()):
            return None
        y = y.astype(np.float64)
    if y.dtype.kind == "f":
        is_whole = (np.abs(y) < 2**53) & (y == np.floor(y))
        if not is_whole.all():
            return None
    indices: NDArray[np.intp] = y.astype(np.intp)
    return indices


@dataclass(frozen=True, slots=True, eq=False)
class _Scaler:
    """Imputes and scales numeric columns with statistics of the training part.

    Args:
        columns: (m,), indices of the numeric columns.
        fill: (m,), replaces missing values; NaN leaves them missing.
        mean: (m,), is subtracted: the mean, or the smallest value.
        scale: (m,), divides after that; None neither subtracts nor divides.
        low: the smallest value of the output.
        high: the largest value of the output.
    """

    columns: NDArray[np.intp]
    fill: Floats
    mean: Floats
    scale: Floats | None
    low: float = -LARGEST
    high: float = LARGEST

    @classmethod
    def of(cls, parts: Sequence[Array], columns: NDArray[np.intp], needs: Needs) -> _Scaler:
        n_rows, size = len(parts[0]), len(columns)
        fill, mean, scale = np.full(size, np.nan), np.zeros(size), np.ones(size)
        if not size or not (needs.finite or needs.scaled or needs.positive):
            return cls(columns, fill, mean, None)
        sums = [_sums(X, columns) for X in parts]
        mean = sums[0] / n_rows
        if needs.scaled:
            scale = np.sqrt(_sums(parts[0], columns, mean) / n_rows)
        for i in np.flatnonzero(np.isnan(sums[0] + sums[1])):
            values = parts[0][:, columns[i]].astype(np.float64)
            present = values[~np.isnan(values)]
            if needs.finite:
                fill[i] = np.median(present) if len(present) else 0.0
                present = np.where(np.isnan(values), fill[i], values)
            mean[i], scale[i] = (present.mean(), present.std()) if len(present) else (0.0, 1.0)
        # Rounding gives a column of equal values a deviation of about 1e-16 of its size.
        scale[~(scale > 1e-12 * np.abs(mean))] = 1.0
        if needs.positive:
            train = parts[0][:, columns].astype(np.float64)
            # A column without any value is filled with zeros.
            low, high = np.fmin.reduce(train), np.fmax.reduce(train)
            low, high = np.nan_to_num(low), np.nan_to_num(high)
            return cls(columns, fill, low, np.where(high > low, high - low, 1.0), 0.0, 1.0)
        return cls(columns, fill, mean, scale if needs.scaled else None)

    def write(self, X: Array, output: Array, targets: NDArray[np.intp]) -> None:
        """Write the columns of one part, transformed, to these columns of its output."""
        if not len(targets):
            return
        # Indexing with an array of all columns would copy number by number; a slice is faster.
        together = len(targets) == X.shape[1] == output.shape[1]
        source, target = (slice(None), slice(None)) if together else (self.columns, targets)
        fills = bool((~np.isnan(self.fill)).any())
        for rows in _blocks(len(X), X.shape[1]):
            values = X[rows, source].astype(np.float64)
            if fills:
                np.copyto(values, self.fill, where=np.isnan(values))
            if self.scale is not None:
                # If the training part hardly varies, a test row can exceed the range of float32.
                with np.errstate(over="ignore"):
                    values -= self.mean
                    values /= self.scale
                np.clip(values, self.low, self.high, out=values)
            output[rows, target] = values


def _sums(X: Array, columns: NDArray[np.intp], mean: Floats | None = None) -> Floats:
    """Sums of columns, or of their squared deviations from a mean.

    Each block is transposed, because NumPy sums contiguous rows pairwise: then the sums of a table
    of one block equal the sums of its single columns bit for bit.
    """
    sums = np.zeros(len(columns))
    source = slice(None) if len(columns) == X.shape[1] else columns
    for rows in _blocks(len(X), X.shape[1]):
        values = np.array(X[rows, source].T, dtype=np.float64, order="C")
        if mean is not None:
            values -= mean[:, None]
            np.multiply(values, values, out=values)
        sums += values.sum(axis=1)
    return sums


@dataclass(frozen=True, slots=True, eq=False)
class _Encoding:
    """The categories of a column as a model gets them, fitted on the training part.

    Args:
        names: names of the categories.
        counts: (len(names),), how many training rows have each.
        places: index of each original category among ``names``; the last entry is the code of a
            missing value, -1 if it stays missing.
    """

    names: tuple[str, ...]
    counts: NDArray[np.intp]
    places: NDArray[np.intp]

    @classmethod
    def of(cls, column: Array, names: tuple[str, ...], needs: Needs) -> _Encoding:
        present = column[~np.isnan(column)].astype(np.intp)
        counts = np.bincount(present, minlength=len(names))
        places = np.arange(len(names) + 1)
        if int((counts > 0).sum()) > MOST_CATEGORIES:
            # Among equally frequent categories the first by name keep their own.
            kept = np.sort(np.argsort(-counts, kind="stable")[:MOST_CATEGORIES])
            places[:] = len(kept)
            places[kept] = np.arange(len(kept))
            n_others = counts.sum() - counts[kept].sum()
            names = (*(names[code] for code in kept), OTHERS)
            counts = np.append(counts[kept], n_others)
        fills = needs.finite and counts.any()
        places[-1] = counts.argmax() if fills else -1
        return cls(names, counts, places)

    def codes(self, column: Array) -> NDArray[np.intp]:
        """The column as indices of ``names``; -1 for a missing value that stays missing."""
        return self.places[np.where(np.isnan(column), -1, column).astype(np.intp)]


def _one_hot(
    filled: NDArray[np.intp], counts: NDArray[np.intp], n_train: int, needs: Needs, output: Array
) -> None:
    """Write one indicator column, scaled if needed, for each category in the training part."""
    trained = np.flatnonzero(counts)
    positions = np.full(len(counts) + 1, -1)  # the last entry is for missing categories, code -1
    positions[trained] = np.arange(len(trained))
    n = counts[trained].astype(np.float64)
    if needs.finite and len(n):
        n[positions[counts.argmax()]] += n_train - counts.sum()
    low, high = np.zeros(len(n)), np.ones(len(n))
    if needs.scaled:
        mean = n / n_train
        deviation = np.sqrt(mean * ((n_train - n) / n_train))
        scale = np.where(deviation > 0, deviation, 1.0)
        low, high = -mean / scale, (1 - mean) / scale
        output[:, : len(n)] = low
    columns = positions[filled]
    rows = np.flatnonzero(columns >= 0)
    output[rows, columns[rows]] = high[columns[rows]]


def _described(error: BaseException) -> str:
    text = printable(" ".join(str(error).split()))
    return text if isinstance(error, MemoryError) and text else f"{type(error).__name__}: {text}"


def _shown(items: Sequence[Any]) -> str:
    return printable(repr(tuple(items)))
