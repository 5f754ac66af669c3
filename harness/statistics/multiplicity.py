"""One leader against many: p-values that allow for the leader being chosen from the same scores.

Holm's correction of m - 1 comparisons with the leader takes the leader for one that was named
before. Whoever leads by chance is ahead of all others, so that of 40 equal models one is told apart
in a fifth of all cases instead of 5%. Any difference between the leader and another model is at
most the range of all models. A difference is significant here where it is larger than the range
that equal models reach in 5% of all cases (multiple comparisons with the best: Hsu, Ann. Stat. 9,
1981; the range of m means: Tukey 1953). Where models differ in how they are correlated the range
is smaller, and the test careful. Models that are clearly worse are put aside first, and the others
compared among fewer (step-down, as Holm's).
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from scipy import special

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    Floats: TypeAlias = NDArray[np.float64]

LENT = 0.25
"""Share of the median variance that is added to each comparison's own.

A few repeats estimate a variance badly, and the largest of many t statistics is one whose variance
is small by chance. Adding a constant (Tusher, Tibshirani & Chu, PNAS 98, 2001) doubles the power
with ten models and five repeats. With a larger share, models that vary far more than the others
would be told apart too often.
"""

SIMULATIONS = 4000
"""Of equal models: a p-value of 5% is good to a third of a percent."""

NUMBERS = 20_000_000
"""The most random numbers that one simulation draws; there are fewer simulations beyond."""

FIELDS = (3, 4, 5, 6, 8, 10, 13, 17, 22, 30, 40, 50, 70, 100, 150, 200, 300, 500, 1000)
"""Numbers of models that are simulated; others take the next larger one."""


def range_p_value(p_value: float, n_models: int) -> float:
    """The probability that the range of n equal models is as large as one pair's difference.

    Args:
        p_value: two-sided, of that pair alone; it is turned into normal deviates.
        n_models: the leader included; two leave the p-value as it is.

    >>> round(range_p_value(0.05, 2), 4), round(range_p_value(0.05, 10), 3)
    (0.05, 0.627)
    """
    if n_models <= 2 or not 0 < p_value < 1:
        return p_value
    width = math.sqrt(2) * float(-special.ndtri(p_value / 2))
    at = np.linspace(-9.0, 9.0, 2001)
    # Given the smallest of n, all others lie within the width above it.
    density = np.exp(-at * at / 2) / math.sqrt(2 * math.pi)
    others = special.ndtr(at + width) - special.ndtr(at)
    within = n_models * float(np.trapezoid(density * others ** (n_models - 1), at))
    return min(max(1 - within, p_value), 1.0)


def lead(difference: float, variance: float, factor: float, lent: float) -> float:
    """How far the leader is ahead, in standard errors that borrow from the other models.

    Args:
        difference: the mean over repeats.
        variance: of the difference between repeats.
        factor: what makes it the variance of the mean.
        lent: the median variance of all comparisons with the leader.
    """
    return abs(difference) / math.sqrt(factor * (variance + LENT * lent))


def lead_p_value(lead: float, n_models: int, n_repeats: int) -> float:
    """The share of simulated fields of equal models in which any is so far behind the leader.

    Args:
        lead: of `lead`.
        n_models: three or more, the leader included.
        n_repeats: two or more.
    """
    field = next((size for size in FIELDS if size >= n_models), n_models)
    reached = _largest_leads(field, n_repeats)
    return float(len(reached) - np.searchsorted(reached, lead) + 1) / (len(reached) + 1)


@lru_cache(maxsize=64)
def _largest_leads(n_models: int, n_repeats: int) -> Floats:
    """The largest lead in each simulated field of equal, normal models, in rising order."""
    rng = np.random.default_rng([n_models, n_repeats])
    each = n_models * n_repeats
    simulations = max(500, min(SIMULATIONS, NUMBERS // each))
    found = []
    for part in np.array_split(np.arange(simulations), max(1, simulations * each // 2_000_000)):
        scores = rng.standard_normal((len(part), n_repeats, n_models))
        leader = scores.mean(axis=1).argmax(axis=1)
        ahead = np.take_along_axis(scores, leader[:, None, None], axis=2) - scores
        difference, variance = ahead.mean(axis=1), ahead.var(axis=1, ddof=1)
        theirs = np.arange(n_models) != leader[:, None]
        lent = np.median(variance[theirs].reshape(len(part), -1), axis=1)
        spread = np.sqrt((variance + LENT * lent[:, None]) / n_repeats)
        found.append((difference / spread).max(axis=1))
    largest: Floats = np.sort(np.concatenate(found))
    return largest


def step_down(first: Sequence[float], again: Callable[[int, int], float]) -> list[float]:
    """P-values of several comparisons with one leader, the clearest first and then among fewer.

    Args:
        first: the p-value of each comparison alone, which orders them; NaN stays NaN.
        again: called with a comparison's index and how many models are left, the leader included.
    """
    p = np.asarray(first, dtype=np.float64)
    order = np.argsort(p, kind="stable")[: int(np.isfinite(p).sum())]
    adjusted = [math.nan] * len(p)
    most = 0.0
    for done, index in enumerate(order.tolist()):
        most = max(most, again(index, len(order) + 1 - done))
        adjusted[index] = most
    return adjusted


def leads(
    differences: Mapping[int, tuple[Floats, float]],
) -> dict[int, tuple[float, int]]:
    """The lead over each model and the number of repeats behind it.

    Args:
        differences: by index, the repeats' differences (J,) from the leader, and the factor that
            turns their variance into that of their mean.
    """
    variances = {index: float(each.var(ddof=1)) for index, (each, _) in differences.items()}
    lent = float(np.median(list(variances.values()))) if variances else 0.0
    return {
        index: (lead(float(each.mean()), variances[index], factor, lent), len(each))
        for index, (each, factor) in differences.items()
    }
