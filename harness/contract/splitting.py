"""Splits one table at random, or into folds for cross-validation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from harness.contract.columns import distinct, n_missing, read_labels, rows_of, with_rows
from harness.contract.values import Split
from harness.errors import DatasetError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from harness.contract.values import Array


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
    weights: Any = None,
) -> Split:
    """A stratified random split: the test part gets the same share of each class.

    Args:
        X: (n_samples, n_features), an array, a DataFrame or a list of rows.
        y: (n_samples,), labels; matched with the rows by position, not by index.
        rng: the generator that ``Dataset.split`` was given.
        test_size: share of each class's rows in the test part; rounded to at least one row, and to
            fewer than all.
        class_names: as in `Split`.
        feature_names: as in `Split`.
        categorical: as in `Split`.
        groups: (n_samples,), the group of each row, such as a patient. All rows of a group go to
            the same part; the shares are then as close to ``test_size`` as the groups allow.
        weights: (n_samples,), the rows' weights, as in `Split`.

    Raises:
        DatasetError: rows, labels, groups and weights differ in number, labels, groups or weights
            are missing, or no group can be in the test part.

    >>> split = resample(np.arange(8.0)[:, None], np.arange(8) % 2, np.random.default_rng(0))
    >>> len(split.y_train), len(split.y_test)
    (6, 2)
    """
    X = with_rows(X, "X")
    n_rows = len(X)
    labels = _labels_of_rows(y, "labels", n_rows)
    (codes,) = distinct([labels])[1]
    if groups is None:
        test = _rows_of_each_class(codes, test_size, rng)
    else:
        (of_group,) = distinct([_labels_of_rows(groups, "groups", n_rows)])[1]
        test = _whole_groups(codes, of_group, test_size, rng)
    return _split_rows(
        X, labels, test, rng, class_names, feature_names, categorical, weights=weights
    )


def folds(
    X: Any,
    y: Any,
    rng: np.random.Generator,
    fold: int,
    *,
    n_folds: int,
    class_names: Sequence[Any] = (),
    feature_names: Sequence[Any] = (),
    categorical: Sequence[Any] = (),
    groups: Any = None,
    weights: Any = None,
) -> Split:
    """One split of stratified cross-validation: the given fold is the test part.

    With the same state of ``rng``, the splits of all folds test each row once. The sizes of two
    folds differ by at most one row, and so do their numbers of rows of each class. With as many
    folds as rows it is leave-one-out.

    Args:
        X: (n_samples, n_features), an array, a DataFrame or a list of rows.
        y: (n_samples,), labels; matched with the rows by position, not by index.
        rng: the generator that ``Dataset.split`` was given.
        fold: the number of the fold that ``Dataset.split`` was given, from 0.
        n_folds: the number in the dataset's kind, such as 10 for ``10-fold``.
        class_names: as in `Split`.
        feature_names: as in `Split`.
        categorical: as in `Split`.
        groups: (n_samples,), the group of each row, such as a patient. All rows of a group go to
            the same fold; the folds are then as similar as the groups allow.
        weights: (n_samples,), the rows' weights, as in `Split`.

    Raises:
        DatasetError: rows, labels, groups and weights differ in number, labels, groups or weights
            are missing, or there are fewer rows, or groups, than folds.

    >>> X, y = np.arange(8.0)[:, None], np.arange(8) % 2
    >>> parts = [folds(X, y, np.random.default_rng(0), i, n_folds=4) for i in range(4)]
    >>> sorted(float(x) for part in parts for x in part.X_test.ravel())
    [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]
    """
    X = with_rows(X, "X")
    labels = _labels_of_rows(y, "labels", len(X))
    (codes,) = distinct([labels])[1]
    if not 0 <= fold < n_folds or n_folds < 2:
        raise DatasetError(f"fold {fold} of {n_folds} folds; they count from 0, and are 2 or more")
    if groups is None:
        if len(X) < n_folds:
            raise DatasetError(f"{n_folds} folds of {len(X)} rows; at most one fold per row")
        # Rows are dealt to the folds in turn, sorted by class and without a restart at the next
        # class, so that the folds also have equal sizes.
        order = rng.permutation(len(X))
        order = order[np.argsort(codes[order], kind="stable")]
        of_row = np.empty(len(X), dtype=np.intp)
        of_row[order] = np.arange(len(X)) % n_folds
    else:
        (of_group,) = distinct([_labels_of_rows(groups, "groups", len(X))])[1]
        of_row = _deal_groups(codes, of_group, n_folds, rng)
    test = of_row == fold
    return _split_rows(
        X, labels, test, rng, class_names, feature_names, categorical, weights=weights
    )


def _split_rows(
    X: Any,
    labels: Array,
    test: NDArray[np.bool_],
    rng: np.random.Generator,
    class_names: Sequence[Any],
    feature_names: Sequence[Any],
    categorical: Sequence[Any],
    *,
    weights: Any,
) -> Split:
    """The split with the given test rows; the rows of each part are in random order."""
    train_rows = rng.permutation(np.flatnonzero(~test))
    test_rows = rng.permutation(np.flatnonzero(test))
    of_rows = None if weights is None else _labels_of_rows(weights, "weights", len(labels))
    return Split(
        rows_of(X, train_rows),
        labels[train_rows],
        rows_of(X, test_rows),
        labels[test_rows],
        class_names=class_names,
        feature_names=feature_names,
        categorical=categorical,
        weights_train=None if of_rows is None else of_rows[train_rows],
        weights_test=None if of_rows is None else of_rows[test_rows],
    )


def _deal_groups(
    codes: NDArray[np.intp],
    of_group: NDArray[np.intp],
    n_folds: int,
    rng: np.random.Generator,
) -> NDArray[np.intp]:
    """The fold of each row: large groups first, each to the fold that most lacks its classes."""
    by_group = _classes_by_group(codes, of_group)
    n_groups, n_classes = by_group.shape
    if n_groups < n_folds:
        raise DatasetError(f"{n_folds} folds of {n_groups} groups; at most one fold per group")
    sizes = by_group.sum(axis=0)
    order = rng.permutation(n_groups)
    order = order[np.argsort(-by_group[order].sum(axis=1), kind="stable")]
    fold_counts = np.zeros((n_folds, n_classes))
    fold_of = np.empty(n_groups, dtype=np.intp)
    for n_dealt, group in enumerate(order):
        # The sum of squares over folds grows least in the fold that holds least of these classes.
        growth = ((2 * fold_counts + by_group[group]) * by_group[group] / sizes).sum(axis=1)
        is_empty = fold_counts.sum(axis=1) == 0
        if n_groups - n_dealt <= is_empty.sum():  # each empty fold still gets a group
            growth[~is_empty] = np.inf
        fold_of[group] = int(growth.argmin())
        fold_counts[fold_of[group]] += by_group[group]
    return fold_of[of_group]


def _classes_by_group(codes: NDArray[np.intp], of_group: NDArray[np.intp]) -> NDArray[np.intp]:
    """The number of rows of each class in each group (n_groups, n_classes)."""
    n_groups, n_classes = int(of_group.max(initial=-1)) + 1, int(codes.max(initial=-1)) + 1
    counts = np.bincount(of_group * n_classes + codes, minlength=n_groups * n_classes)
    return counts.reshape(n_groups, n_classes)


def _labels_of_rows(values: Any, noun: str, n_rows: int) -> Array:
    labels = read_labels(values, noun)
    if labels.shape != (n_rows,):
        actual = f"{len(labels)} {noun}" if labels.ndim == 1 else f"{noun} of shape {labels.shape}"
        raise DatasetError(f"{n_rows} rows but {actual}; give one per row")
    missing = n_missing(labels)
    if missing:
        raise DatasetError(f"{missing} of the {n_rows} {noun} are missing (NaN)")
    return labels


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
    """The test rows: groups in random order, each taken if it brings the class shares closer."""
    by_group = _classes_by_group(codes, of_group)
    n_groups = len(by_group)
    sizes = by_group.sum(axis=0)
    totals, lacking = sizes, test_size * sizes
    tested = np.zeros(n_groups, dtype=bool)
    best, least = -1, np.inf
    for group in rng.permutation(n_groups):
        rows = by_group[group]
        # The training part needs the group if the group has all remaining rows of a class.
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
