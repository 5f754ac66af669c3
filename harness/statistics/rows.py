"""Scores of single test rows, from their predicted probabilities."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from harness.contract.values import Predictions

if TYPE_CHECKING:
    from numpy.typing import NDArray

CLIP = float(np.finfo(np.float64).eps)
"""The lowest probability of the right class; lower ones are clipped to it and counted."""


def effective(weights: NDArray[np.float64]) -> float:
    """How many rows of equal weight tell as much as these (Kish, Survey Sampling, 1965)."""
    return float(weights.sum() ** 2 / np.square(weights).sum())


def linearised(values: NDArray[np.float64], weights: NDArray[Any] | None) -> NDArray[np.float64]:
    """Values of rows (n,) whose plain mean is the weighted mean of the given ones.

    Their variance, divided by n, is that of the weighted mean, to first order (Taylor): so means,
    intervals and tests of plain rows hold for weighted ones.

    >>> float(linearised(np.array([0.0, 1.0]), np.array([1.0, 3.0])).mean())
    0.75
    """
    if weights is None:
        return values
    shares = weights * (len(values) / weights.sum())
    mean = float(np.average(values, weights=weights))
    rows: NDArray[np.float64] = mean + shares * (values - mean)
    return rows


def derived(true: NDArray[np.uint16], P: NDArray[Any]) -> Predictions:
    """What follows from probabilities P (n, K) and the true classes (n,)."""
    rows = np.arange(len(true))
    right = P[rows, true].astype(np.float64)
    squares = np.square(P, dtype=np.float64).sum(axis=1)
    return Predictions(
        true=true,
        predicted=P.argmax(axis=1).astype(np.uint16),
        confidence=P.max(axis=1).astype(np.float32),
        brier=np.maximum(squares - 2 * right + 1, 0.0).astype(np.float32),
        log_probability=np.log(np.maximum(right, CLIP)).astype(np.float32),
    )
