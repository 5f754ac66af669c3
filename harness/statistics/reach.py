"""The difference that a number of repeats can detect, and the repeats that a difference needs.

The variance of a mean over J repeats is v/J + c: one part shrinks with J, the other does not. Fresh
draws have c = 0. Resampled splits share the rows of one table: c = v n_test/n_train (Nadeau &
Bengio, Machine Learning 52, 2003). A fixed split has one test part: c is the variance of the mean
over its rows. If c is too large, no number of repeats detects the difference; more rows would. All
functions are pure.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from scipy import special  # scipy.stats takes 0.6 s to import

from harness.contract.values import folds_in
from harness.statistics.power import POWER, standard_errors_told
from harness.statistics.scores import LEVEL, mean_squares

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from harness.statistics.scores import Cell, RowScores, Score

    Floats: TypeAlias = NDArray[np.float64]

MOST_REPEATS = 1000
"""Larger numbers of repeats are not computed, because nobody would wait for them."""


@dataclass(frozen=True, slots=True)
class Reach:
    """The variance of a mean difference, split into the part that repeats reduce and the rest.

    Args:
        per_repeat: v, the part that J repeats divide by J.
        shared: c, the part that repeats do not reduce.
        kind: kind of the dataset's splits.
    """

    per_repeat: float
    shared: float
    kind: str

    def visible(self, n: int, level: float = LEVEL) -> float:
        """The smallest difference that n repeats detect at this level with power 80%."""
        return math.inf if n < 2 else self._spread(n) * standard_errors_told(n - 1, level)

    def needed(self, difference: float, level: float = LEVEL, *, equal: float = 0.0) -> float:
        """Number of repeats that detect a difference, or show that it is at most `equal`.

        Infinite if no number of repeats does; NaN if only more than `MOST_REPEATS` do.

        >>> Reach(0.01**2, 0.0, "fresh").needed(0.01)
        10.0
        >>> Reach(0.01**2, 0.01**2 / 4, "resampled").needed(0.01)
        inf
        """

        def suffices(n: int) -> bool:
            """Whether n repeats suffice. If they do, more repeats do, too."""
            visible = self.visible(n, level) <= abs(difference)
            return visible or self._half(n) <= equal - abs(difference)

        numbers = range(2, MOST_REPEATS + 1)
        fewest = bisect_left(numbers, True, key=suffices)
        if fewest < len(numbers):
            return float(numbers[fewest])
        z = special.ndtri(1 - level / 2) + special.ndtri(POWER)
        limit = math.sqrt(self.shared)
        reachable = z * limit < abs(difference) or (
            float(special.ndtri(1 - LEVEL / 2)) * limit < equal - abs(difference)
        )
        return math.nan if reachable else math.inf

    def _half(self, n: int) -> float:
        """Half the width of the 95% interval of n repeats."""
        return float(special.stdtrit(n - 1, 1 - LEVEL / 2)) * self._spread(n)

    def _spread(self, n: int) -> float:
        return math.sqrt(self.per_repeat / n + self.shared)


def reach(a: Cell, b: Cell, score: Score, rows: RowScores) -> Reach | None:
    """The `Reach` of comparing two contenders on one dataset.

    None if they have fewer than two repeats in common, which do not show the variance between
    repeats, if their test rows differ, or over folds.
    """
    _, i, j = np.intersect1d(a.repeats, b.repeats, return_indices=True)
    if len(i) < 2 or folds_in(a.kind):
        return None  # more repetitions of cross-validation do not reduce the variance
    if a.kind == "fixed":
        scores_a = rows.of(a.result_ids[i].tolist(), score)
        scores_b = rows.of(b.result_ids[j].tolist(), score)
        if any(len(x) != len(y) or len(x) < 2 for x, y in zip(scores_a, scores_b, strict=True)):
            return None
        return _crossed_reach(np.array(scores_a) - np.array(scores_b))
    variance = float((a.of(score)[i] - b.of(score)[j]).var(ddof=1))
    shared = variance * a.n_test / a.n_train if a.kind == "resampled" else 0.0
    return Reach(variance, shared, a.kind or "")


def _crossed_reach(differences: Floats) -> Reach:
    """The reach on a fixed split, from differences (J, n): repeats add seeds, but no test rows."""
    J, n = differences.shape
    of_rows, of_seeds, of_rest = mean_squares(differences)
    shared = max(of_rows - of_rest, 0.0) / (J * n)
    return Reach(max(of_seeds, of_rest) / n, shared, "fixed")
