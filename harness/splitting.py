"""Splits of one table, for datasets of the ``resampled`` kind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from harness.columns import distinct, n_missing, read_labels, rows_of, with_rows
from harness.errors import DatasetError
from harness.values import Split

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from harness.values import Array


def resample(
    X: Any,
    y: Any,
    rng: np.random.Generator,
    *,
    test_size: float = 0.25,
    class_names: Sequence[Any] = (),
    feature_names: Sequence[Any] = (),
    categorical: Sequence[Any] = (),
    groups: Any = None,
) -> Split:
    """A random split of one table, stratified: each class gives its share of the test part.

    Args:
        X: (n_samples, n_features), an array, a DataFrame or a list of rows.
        y: (n_samples,), labels; they belong to the rows by position, whatever their index is.
        rng: the generator that ``Dataset.split`` was given.
        test_size: share of the rows of each class that is tested on, rounded, but at least one
            row and not all of them.
        class_names: as in `Split`.
        feature_names: as in `Split`.
        categorical: as in `Split`.
        groups: (n_samples,), what each row belongs to, such as a patient. All rows of a group come
            into the same part; the shares are then as near to ``test_size`` as groups allow.

    Raises:
        DatasetError: rows, labels and groups are not equally many, labels or groups are missing,
            or no group can be tested.

    >>> split = resample(np.arange(8.0)[:, None], np.arange(8) % 2, np.random.default_rng(0))
    >>> len(split.y_train), len(split.y_test)
    (6, 2)
    """
    X = with_rows(X, "X")
    n_rows = len(X)
    labels = _one_a_row(y, "labels", n_rows)
    (codes,) = distinct([labels])[1]
    if groups is None:
        test = _rows_of_each_class(codes, test_size, rng)
    else:
        (of_group,) = distinct([_one_a_row(groups, "groups", n_rows)])[1]
        test = _whole_groups(codes, of_group, test_size, rng)
    train_rows = rng.permutation(np.flatnonzero(~test))
    test_rows = rng.permutation(np.flatnonzero(test))
    return Split(
        rows_of(X, train_rows),
        labels[train_rows],
        rows_of(X, test_rows),
        labels[test_rows],
        class_names=class_names,
        feature_names=feature_names,
        categorical=categorical,
    )


def _one_a_row(values: Any, noun: str, n_rows: int) -> Array:
    read = read_labels(values, noun)
    if read.shape != (n_rows,):
        shown = f"{len(read)} {noun}" if read.ndim == 1 else f"{noun} of shape {read.shape}"
        raise DatasetError(f"{n_rows} rows but {shown}; there is one a row")
    missing = n_missing(read)
    if missing:
        raise DatasetError(f"{missing} of the {n_rows} {noun} are missing (NaN)")
    return read


def _rows_of_each_class(
    codes: NDArray[np.intp], test_size: float, rng: np.random.Generator
) -> NDArray[np.bool_]:
    test = np.zeros(len(codes), dtype=bool)
    for code in range(int(codes.max(initial=-1)) + 1):
        rows = np.flatnonzero(codes == code)
        n_test = min(max(1, round(test_size * len(rows))), max(len(rows) - 1, 0))
        test[rng.permutation(rows)[:n_test]] = True
    return test


def _whole_groups(
    codes: NDArray[np.intp],
    of_group: NDArray[np.intp],
    test_size: float,
    rng: np.random.Generator,
) -> NDArray[np.bool_]:
    """Groups in random order, each tested on if that brings the classes nearer to their shares."""
    n_groups, n_classes = int(of_group.max(initial=-1)) + 1, int(codes.max(initial=-1)) + 1
    counts = np.bincount(of_group * n_classes + codes, minlength=n_groups * n_classes)
    by_group = counts.reshape(n_groups, n_classes)
    sizes = by_group.sum(axis=0)
    totals, lacking = sizes, test_size * sizes
    tested = np.zeros(n_groups, dtype=bool)
    best, least = -1, np.inf
    for group in rng.permutation(n_groups):
        rows = by_group[group]
        # What is in no other group has to be learned from.
        if ((totals == rows) & (rows > 0)).any():
            continue
        change = float((((lacking - rows) ** 2 - lacking**2) / sizes).sum())
        if change < 0:
            tested[group] = True
            lacking, totals = lacking - rows, totals - rows
        elif change < least:
            best, least = int(group), change
    if not tested.any():
        if best < 0:
            raise DatasetError(
                f"none of the {n_groups} groups can be tested: each has all rows of some class"
            )
        tested[best] = True
    return tested[of_group]
