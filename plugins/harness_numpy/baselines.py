"""Baselines: classifiers that ignore the input, and that any other model must beat."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from typing import Self

    from numpy.typing import NDArray

    from harness import Array


class Uniform:
    """Every class with the same probability."""

    def __init__(self, n_classes: int) -> None:
        self.shares = np.full(n_classes, 1.0 / n_classes)

    def fit(self, X: Array, y: Array, sample_weight: Array | None = None) -> Self:  # noqa: ARG002  # the protocol's
        """Learn nothing."""
        return self

    def predict_proba(self, X: Array) -> NDArray[np.float64]:
        """The same probabilities for each row: (n_samples, n_classes)."""
        return np.tile(self.shares, (len(X), 1))


class Prior(Uniform):
    """Each class with its share of the training part: the best prediction without the input."""

    def fit(self, X: Array, y: Array, sample_weight: Array | None = None) -> Self:  # noqa: ARG002  # the protocol's
        """Count the labels y (n_samples,) of 0..K-1, each by its weight."""
        counts = np.bincount(y, sample_weight, minlength=len(self.shares))
        self.shares = counts / counts.sum()
        return self
