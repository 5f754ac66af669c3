"""Scores of single test rows, from their predicted probabilities."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from harness.contract.values import Predictions

if TYPE_CHECKING:
    from numpy.typing import NDArray

CLIP = float(np.finfo(np.float64).eps)
"""The lowest probability of the right class; lower ones are clipped to it and counted."""


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
