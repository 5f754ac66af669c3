"""Several measures of one thing are one family, tested once; then which of them: pure, on p-values.

A model's accuracy, NLL and Brier score on one dataset go up and down together. As tests of their
own each would raise the bar for all others. So the families are tested first, each by Simes's
p-value (Biometrika 73, 1986), with the false discovery rate held over the families (Benjamini &
Hochberg 1995). Within the R of m families that are found, the measures are tested at R/m of the
level (Benjamini & Bogomolov, JRSS B 76, 2014): the false discoveries' average over the families
found is then held at the level, too, and where nothing changed in any family, so is the chance of
any discovery.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from harness.statistics.verdicts import benjamini_hochberg

if TYPE_CHECKING:
    from collections.abc import Sequence


def discoveries(families: Sequence[Sequence[float]], alpha: float) -> list[list[bool]]:
    """Which p-values of which families are discoveries.

    Simes's test holds its level where the p-values of a family go up and down together, as those of
    one model's measures do.

    Args:
        families: p-values of the different measures of each family. NaN was not tested and does
            not count, nor does a family without any other.
        alpha: the false discovery rate over families, and within those that are found.

    Returns:
        As `families`, True for a discovery.

    >>> discoveries([[0.004, 0.2], [0.3, 0.04], [0.5, float("nan")]], 0.05)
    [[True, False], [False, False], [False, False]]
    """
    within = [benjamini_hochberg(family) for family in families]
    # Benjamini and Hochberg's least adjusted p-value is Simes's of them all.
    smallest = [
        min((p for p in family if not math.isnan(p)), default=math.nan) for family in within
    ]
    found = sum(p <= alpha for p in benjamini_hochberg(smallest))
    tested = sum(not math.isnan(p) for p in smallest)
    level = alpha * found / max(1, tested)
    return [[p <= level for p in family] for family in within]
