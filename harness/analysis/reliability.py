"""How often a classifier is right, by the probability of the class that it predicts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy import special

from harness.statistics.calibration import ECE_BINS

if TYPE_CHECKING:
    from numpy.typing import NDArray


def bins(confidence: NDArray[np.float64], right: NDArray[np.bool_]) -> pd.DataFrame:
    """A row for each bin of the confidence, also for empty bins, with the exact 95% interval."""
    which = np.minimum((confidence * ECE_BINS).astype(int), ECE_BINS - 1)
    rows = np.bincount(which, minlength=ECE_BINS)
    hits = np.bincount(which, weights=right, minlength=ECE_BINS).astype(np.float64)
    sums = np.bincount(which, weights=confidence, minlength=ECE_BINS)
    known = np.where(rows > 0, rows, np.nan)
    low, high = exact(hits, rows)
    edges = np.arange(ECE_BINS + 1) / ECE_BINS
    return pd.DataFrame(
        {
            "from": edges[:-1],
            "to": edges[1:],
            "rows": rows,
            "mean confidence": sums / known,
            "share right": hits / known,
            "low": low,
            "high": high,
        }
    )


def exact(
    hits: NDArray[np.floating], rows: NDArray[np.integer]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Bounds of the 95% intervals of shares (Clopper & Pearson 1934); NaN for shares of 0 rows."""
    misses = rows - hits
    low = np.where(hits > 0, special.betaincinv(np.maximum(hits, 1), misses + 1, 0.025), 0.0)
    high = np.where(misses > 0, special.betaincinv(hits + 1, np.maximum(misses, 1), 0.975), 1.0)
    return np.where(rows > 0, low, np.nan), np.where(rows > 0, high, np.nan)
