"""How far confidence and accuracy lie apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

ECE_BINS = 15
"""Bins of equal width, as Guo et al. (2017) have them."""


def ece(confidence: NDArray[np.float64], right: NDArray[np.bool_]) -> float:
    """Expected calibration error: the mean gap of confidence and accuracy, bins by their rows.

    Args:
        confidence: (n,), probabilities of the predicted classes.
        right: (n,), whether they are the true ones.
    """
    bins = np.minimum((confidence * ECE_BINS).astype(int), ECE_BINS - 1)
    gaps = np.bincount(bins, weights=confidence - right, minlength=ECE_BINS)
    return float(np.abs(gaps).sum() / len(right))
