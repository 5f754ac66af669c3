"""Calibration: how far a classifier's confidence is from its accuracy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

ECE_BINS = 15
"""Number of bins of equal width, as in Guo et al. (2017)."""


def ece(
    confidence: NDArray[np.float64],
    right: NDArray[np.bool_],
    weights: NDArray[np.float64] | None = None,
) -> float:
    """Expected calibration error: mean gap between confidence and accuracy, bins weighted by rows.

    Args:
        confidence: (n,), probabilities of the predicted classes.
        right: (n,), whether the predicted classes are the true ones.
        weights: (n,), the rows' weights; None if every row counts the same.
    """
    w = np.ones(len(right)) if weights is None else weights
    bins = np.minimum((confidence * ECE_BINS).astype(int), ECE_BINS - 1)
    gaps = np.bincount(bins, weights=w * (confidence - right), minlength=ECE_BINS)
    return float(np.abs(gaps).sum() / w.sum())
