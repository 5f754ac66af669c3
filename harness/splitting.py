"""Splits of one table, for datasets of the ``resampled`` kind."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from harness.values import Split

if TYPE_CHECKING:
    from harness.values import Array


def resample(
    X: Array,
    y: Array,
    rng: np.random.Generator,
    *,
    test_size: float = 0.25,
    class_names: tuple[str, ...] = (),
    feature_names: tuple[str, ...] = (),
    categorical: tuple[int, ...] = (),
) -> Split:
    """A random split of one table, stratified: each class gives its share of the test part.

    Args:
        X: (n_samples, n_features).
        y: (n_samples,), labels.
        rng: the generator that ``Dataset.split`` was given.
        test_size: share of the rows of each class that is tested on, rounded, but at least one
            row and not all of them.
        class_names: as in `Split`.
        feature_names: as in `Split`.
        categorical: as in `Split`.

    >>> split = resample(np.arange(8.0)[:, None], np.arange(8) % 2, np.random.default_rng(0))
    >>> len(split.y_train), len(split.y_test)
    (6, 2)
    """
    _, codes = np.unique(y, return_inverse=True)
    test = np.zeros(len(y), dtype=bool)
    for code in range(int(codes.max(initial=-1)) + 1):
        rows = np.flatnonzero(codes == code)
        n_test = min(max(1, round(test_size * len(rows))), max(len(rows) - 1, 0))
        test[rng.permutation(rows)[:n_test]] = True
    train_rows = rng.permutation(np.flatnonzero(~test))
    test_rows = rng.permutation(np.flatnonzero(test))
    return Split(
        X[train_rows],
        y[train_rows],
        X[test_rows],
        y[test_rows],
        class_names=class_names,
        feature_names=feature_names,
        categorical=categorical,
    )
