"""What stands between a dataset and a model: labels become codes, columns become what it needs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.errors import DatasetError
from harness.values import Split

LARGEST = float(np.finfo(np.float32).max)
"""What a model that needs float32 can be given; its square does not overflow float64 either."""

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from harness.values import Array, Needs


@dataclass(frozen=True, slots=True, eq=False)
class Encoded:
    """A split that keeps the contract, its labels as codes.

    Args:
        X_train: (n_train, n_features), floats or objects.
        y_train: (n_train,), codes that index ``class_names``.
        X_test: (n_test, n_features).
        y_test: (n_test,).
        class_names: K of them.
        feature_names: one a column.
        categorical: columns that hold categories.
    """

    X_train: Array
    y_train: NDArray[np.intp]
    X_test: Array
    y_test: NDArray[np.intp]
    class_names: tuple[str, ...]
    feature_names: tuple[str, ...]
    categorical: tuple[int, ...]

    @property
    def trained(self) -> NDArray[np.intp]:
        """Codes of the classes that occur in the training part, ascending."""
        return np.unique(self.y_train)


def encode(split: Split) -> Encoded:
    """Check what a dataset gave, and encode its labels.

    Raises:
        DatasetError: it breaks the contract of `Split`, or nothing can be learned from it: there
            are no rows, labels are missing, the training part has one class only or lacks a class
            of the test part.
    """
    if not isinstance(split, Split):
        raise DatasetError(f"split gave a {type(split).__name__}, not a harness.Split")
    X_train, X_test = _table(split.X_train, "X_train"), _table(split.X_test, "X_test")
    if X_train.shape[1] != X_test.shape[1]:
        raise DatasetError(
            f"the training part has {X_train.shape[1]} columns, the test part {X_test.shape[1]}"
        )
    for part, X, y in (("training", X_train, split.y_train), ("test", X_test, split.y_test)):
        if len(X) == 0:
            raise DatasetError(f"the {part} part has no rows")
        if np.ndim(y) != 1 or len(y) != len(X):
            raise DatasetError(
                f"the {part} part has {len(X)} rows but labels of shape {np.shape(y)}"
            )
    n_features = X_train.shape[1]
    feature_names = tuple(split.feature_names) or tuple(f"x{i}" for i in range(n_features))
    if len(feature_names) != n_features:
        raise DatasetError(f"{len(feature_names)} feature names for {n_features} columns")
    if not set(split.categorical) <= set(range(n_features)):
        raise DatasetError(f"categorical columns {split.categorical} of {n_features} columns")
    for column in sorted(set(range(n_features)) - set(split.categorical)):
        for X in (X_train, X_test):
            if (np.abs(_floats(X[:, column], feature_names[column])) > LARGEST).any():
                raise DatasetError(
                    f"column '{feature_names[column]}' holds infinite values, "
                    f"or some beyond {LARGEST:.1e}, which float32 cannot hold"
                )
    class_names, y_train, y_test = _codes(split)
    trained = np.unique(y_train)
    if len(trained) < 2:
        raise DatasetError(
            f"the training part has one class only, '{class_names[trained[0]]}'; "
            "a classifier needs two"
        )
    unseen = np.setdiff1d(y_test, trained)
    if len(unseen):
        names = ", ".join(f"'{class_names[code]}'" for code in unseen)
        raise DatasetError(f"class {names} is in the test part only; no model can learn it")
    return Encoded(
        X_train, y_train, X_test, y_test, class_names, feature_names, tuple(split.categorical)
    )


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """Both parts as a model gets them, read-only.

    Args:
        X_train: (n_train, n_columns).
        X_test: (n_test, n_columns).
        y_train: (n_train,), codes of the classes in the training part, 0..K-1 without gaps.
        categorical: columns of X that hold categories; empty where they were one-hot encoded.
    """

    X_train: Array
    X_test: Array
    y_train: NDArray[np.intp]
    categorical: tuple[int, ...]


def prepare(data: Encoded, needs: Needs) -> Prepared:
    """Both parts as a model needs them; every statistic comes from the training part.

    Missing quantities are filled in with the median and missing categories with the most frequent
    one if the model needs ``finite`` input; a missing category is otherwise a row of zeros when
    one-hot encoded. A category that the training part lacks is a row of zeros too. A column that
    does not vary is only centred. A column that is missing throughout the training part becomes
    zeros, or empty strings where categories stay, if the model needs ``finite`` input.
    """
    train: list[Array] = []
    test: list[Array] = []
    categorical: list[int] = []
    for column, name in enumerate(data.feature_names):
        a, b = data.X_train[:, column], data.X_test[:, column]
        if column not in data.categorical:
            parts = _quantity(_floats(a, name), _floats(b, name), needs)
        elif needs.numeric:
            parts = _one_hot(_strings(a), _strings(b), needs)
        else:
            categorical.append(len(train))
            parts = _category(_strings(a), _strings(b), needs)
        train += list(parts[0].T)
        test += list(parts[1].T)
    dtype = np.dtype(object) if categorical else np.dtype(needs.dtype)
    X_train, X_test = (
        np.ascontiguousarray(np.array(columns, dtype=dtype).reshape(len(columns), -1).T)
        for columns in (train, test)
    )
    y_train = np.searchsorted(data.trained, data.y_train)
    for array in (X_train, X_test, y_train):
        array.setflags(write=False)
    return Prepared(X_train, X_test, y_train, tuple(categorical))


def _table(X: Any, name: str) -> Array:
    if not isinstance(X, np.ndarray) or X.ndim != 2:
        raise DatasetError(f"{name} is no array of two dimensions")
    if X.shape[1] == 0:
        raise DatasetError(f"{name} has no columns")
    if X.dtype == object or X.dtype.kind in "fiub":
        return X if X.dtype.kind in "Of" else X.astype(np.float64)
    if X.dtype.kind in "UST":
        return X.astype(object)
    raise DatasetError(f"{name} holds {X.dtype}, neither numbers nor objects")


def _codes(split: Split) -> tuple[tuple[str, ...], NDArray[np.intp], NDArray[np.intp]]:
    """Class names and both parts' labels as codes that index them."""
    parts = [np.asarray(split.y_train), np.asarray(split.y_test)]
    for part, y in zip(("training", "test"), parts, strict=True):
        missing = sum(_absent(label) for label in y.tolist())
        if missing:
            raise DatasetError(
                f"{missing} of the {len(y)} labels of the {part} part are missing (NaN)"
            )
    names = tuple(str(name) for name in split.class_names)
    if len(set(names)) != len(names):
        raise DatasetError(f"class names occur twice: {', '.join(names)}")
    if names and all(y.dtype.kind in "iub" for y in parts):
        for y in parts:
            if y.min() < 0 or y.max() >= len(names):
                raise DatasetError(
                    f"labels from {y.min()} to {y.max()} do not index {len(names)} class names"
                )
        return names, parts[0].astype(np.intp), parts[1].astype(np.intp)
    if not names:
        try:
            labels = sorted({label for y in parts for label in y.tolist()})
        except TypeError as error:
            raise DatasetError(f"the labels cannot be put in order: {error}") from error
        names = tuple(str(label) for label in labels)
        index = {label: code for code, label in enumerate(labels)}
    else:
        index = {name: code for code, name in enumerate(names)}
    strange = sorted({str(label) for y in parts for label in y.tolist() if label not in index})
    if strange:
        raise DatasetError(f"label '{strange[0]}' is none of the classes {', '.join(names)}")
    train, test = (np.array([index[label] for label in y.tolist()], dtype=np.intp) for y in parts)
    return names, train, test


def _absent(value: object) -> bool:
    """Whether a value is None or NaN, the one that differs from itself."""
    return value is None or value != value


def _floats(column: Array, name: str) -> NDArray[np.float64]:
    try:
        return column.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise DatasetError(
            f"column '{name}' is not declared categorical but is not numbers: {error}"
        ) from error


def _strings(column: Array) -> Array:
    """Categories as strings, None where missing."""
    return np.array([None if _absent(v) else str(v) for v in column.tolist()], dtype=object)


def _quantity(a: NDArray[np.float64], b: NDArray[np.float64], needs: Needs) -> tuple[Array, Array]:
    """One column (n, 1) of numbers."""
    known = a[~np.isnan(a)]
    if needs.finite:
        median = np.median(known) if len(known) else 0.0
        a, b = (np.where(np.isnan(x), median, x) for x in (a, b))
        known = a
    if needs.scaled and len(known):
        mean, deviation = known.mean(), known.std()
        # Rounding leaves a column of equal values a deviation of about 1e-16 of its size.
        scale = deviation if deviation > 1e-12 * abs(mean) else 1.0
        # Where the training part hardly varies, a test row can lie beyond what float32 holds.
        with np.errstate(over="ignore"):
            a, b = (np.clip((x - mean) / scale, -LARGEST, LARGEST) for x in (a, b))
    return a[:, None], b[:, None]


def _one_hot(a: Array, b: Array, needs: Needs) -> tuple[Array, Array]:
    """One column (n, n_categories) for each category that the training part has."""
    categories = sorted({v for v in a.tolist() if v is not None})
    if not categories:
        return np.zeros((len(a), 1)), np.zeros((len(b), 1))
    a, b = _category(a, b, needs)
    table = np.array(categories, dtype=object)[None, :]
    encoded = [(part == table).astype(np.float64) for part in (a, b)]
    if needs.scaled:
        pairs = [_quantity(x, z, needs) for x, z in zip(encoded[0].T, encoded[1].T, strict=True)]
        encoded = [np.hstack([pair[i] for pair in pairs]) for i in (0, 1)]
    return encoded[0], encoded[1]


def _category(a: Array, b: Array, needs: Needs) -> tuple[Array, Array]:
    """One column (n, 1) of strings, None where missing unless the model needs finite input."""
    if needs.finite:
        known, counts = np.unique([v for v in a.tolist() if v is not None], return_counts=True)
        fill = str(known[counts.argmax()]) if len(known) else ""
        a, b = (np.array([fill if v is None else v for v in x], dtype=object) for x in (a, b))
    return a[:, None], b[:, None]
