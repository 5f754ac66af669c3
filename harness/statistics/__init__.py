"""What figures say and how sure that is: pure, on frames and arrays, by NumPy and SciPy."""

from __future__ import annotations

from harness.statistics.scores import (
    LEVEL,
    OVER_DRAWS,
    OVER_ROWS,
    OVER_SPLITS,
    WILSON,
    Cell,
    Comparison,
    Interval,
    RowScores,
    Score,
    against_best,
    best,
    cells,
    compare,
    holm,
    interval,
    likelihood,
)

__all__ = [
    "LEVEL",
    "OVER_DRAWS",
    "OVER_ROWS",
    "OVER_SPLITS",
    "WILSON",
    "Cell",
    "Comparison",
    "Interval",
    "RowScores",
    "Score",
    "against_best",
    "best",
    "cells",
    "compare",
    "holm",
    "interval",
    "likelihood",
]
