"""A classifier that gives stored predictions, for scikit-learn's scorers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Stored(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Predicts what it was given; rows are told by their numbers.

    Args:
        probabilities: (n, K).
    """

    def __init__(self, probabilities: NDArray[np.float64]) -> None:
        self.probabilities = probabilities
        self.classes_ = np.arange(probabilities.shape[1])

    def fit(self, X: Any, y: Any) -> Stored:  # noqa: ARG002  # scikit-learn's signature
        """Nothing is left to learn."""
        return self

    def predict_proba(self, X: NDArray[np.intp]) -> NDArray[np.float64]:
        """The probabilities (n, K) of the rows with these numbers."""
        return self.probabilities[X]

    def predict(self, X: NDArray[np.intp]) -> NDArray[np.intp]:
        """The most probable class of the rows with these numbers."""
        predicted: NDArray[np.intp] = self.probabilities[X].argmax(axis=1)
        return predicted
