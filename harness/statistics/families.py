"""Test families of related metrics: first which families changed, then which metrics in them.

A model's accuracy, NLL and Brier score on one dataset are correlated. Testing each as a separate
hypothesis would cost power for all others. So the families are tested first, each by Simes's
p-value (Biometrika 73, 1986), with the false discovery rate controlled over families (Benjamini &
Hochberg 1995). If R of m families are significant, the metrics in them are tested at R/m of the
level (Benjamini & Bogomolov, JRSS B 76, 2014). This controls the average share of false discoveries
in the significant families at the level. If nothing changed in any family, the probability of any
discovery is at most the level, too. Everything here is pure, on p-values.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from harness.statistics.verdicts import benjamini_hochberg

if TYPE_CHECKING:
    from collections.abc import Sequence


def discoveries(families: Sequence[Sequence[float]], alpha: float) -> list[list[bool]]:
    """Which p-values of which families are discoveries.

    Simes's test is valid for positively correlated p-values, such as those of one model's metrics.

    Args:
        families: p-values of each family's metrics. NaN (not tested) does not count, nor does a
            family with only NaN.
        alpha: the false discovery rate over families, and within significant families.

    Returns:
        The shape of `families`, True for a discovery.

    >>> discoveries([[0.004, 0.2], [0.3, 0.04], [0.5, float("nan")]], 0.05)
    [[True, False], [False, False], [False, False]]
    """
    within = [benjamini_hochberg(family) for family in families]
    # The smallest p-value after Benjamini and Hochberg's adjustment is Simes's p-value.
    smallest = [
        min((p for p in family if not math.isnan(p)), default=math.nan) for family in within
    ]
    n_significant = sum(p <= alpha for p in benjamini_hochberg(smallest))
    n_tested = sum(not math.isnan(p) for p in smallest)
    level = alpha * n_significant / max(1, n_tested)
    return [[p <= level for p in family] for family in within]
