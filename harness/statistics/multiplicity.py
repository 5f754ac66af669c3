"""Compare the best model with all others: p-values that allow for choosing it by the same scores.

Holm's correction of m - 1 comparisons with the leader is valid only if the leader was named before
looking at the scores. A model that leads by chance is ahead of all others: with 40 equal models,
some difference is significant in a fifth of all cases instead of 5%. Any difference between the
leader and another model is at most the range of all models. So here a difference is significant if
it is larger than the range that equal models reach in 5% of all cases (multiple comparisons with
the best: Hsu, Ann. Stat. 9, 1981; the range of m means: Tukey 1953). If models are correlated
unequally, the range is smaller, and the test conservative. Clearly worse models are tested first,
and the others then among fewer (step-down, like Holm's).
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from scipy import special

from harness.statistics.moments import mean_of, variance_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    Floats: TypeAlias = NDArray[np.float64]

LENT = 0.25
"""Share of the comparisons' median variance that is added to each comparison's variance.

A few repeats estimate a variance badly, and the largest of many t statistics usually has a variance
that is small by chance. Adding a constant (Tusher, Tibshirani & Chu, PNAS 98, 2001) doubles the
power with ten models and five repeats. With a larger share, models that vary far more than the
others would differ significantly too often.
"""

SIMULATIONS = 4000
"""Simulated fields of equal models: a p-value of 5% is accurate to a third of a percent."""

NUMBERS = 2_000_000
"""Simulated models, at most; large fields get fewer simulations."""

FIELDS = (3, 4, 5, 6, 8, 10, 13, 17, 22, 30, 40, 50, 70, 100, 150, 200, 300, 500, 1000)
"""Simulated numbers of models; other numbers use the next larger one."""


def range_p_value(p_value: float, n_models: int) -> float:
    """The probability that the range of n equal models is at least one pair's difference.

    Args:
        p_value: two-sided p-value of that pair alone, from which its normal deviate is computed.
        n_models: number of models, including the leader; for two, the result is `p_value`.

    >>> round(range_p_value(0.05, 2), 4), round(range_p_value(0.05, 10), 3)
    (0.05, 0.627)
    """
    if n_models <= 2 or not 0 < p_value < 1:
        return p_value
    width = math.sqrt(2) * float(-special.ndtri(p_value / 2))
    deviates = np.linspace(-9.0, 9.0, 2001)
    # Integrates over the smallest of n: all others lie within the width above it.
    density = np.exp(-deviates * deviates / 2) / math.sqrt(2 * math.pi)
    p_other = special.ndtr(deviates + width) - special.ndtr(deviates)
    within = n_models * float(np.trapezoid(density * p_other ** (n_models - 1), deviates))
    return min(max(1 - within, p_value), 1.0)


def lead(difference: float, variance: float, factor: float, lent: float) -> float:
    """The leader's lead in standard errors, which include a share of the other models' variance.

    Args:
        difference: mean difference over repeats.
        variance: variance of the difference between repeats.
        factor: turns that variance into the variance of the mean.
        lent: median variance of all comparisons with the leader.
    """
    return abs(difference) / math.sqrt(factor * (variance + LENT * lent))


def lead_p_value(lead: float, n_models: int, n_repeats: int) -> float:
    """The share of simulated fields of equal models in which the largest lead is at least `lead`.

    Args:
        lead: a lead, as from the function `lead`.
        n_models: number of models including the leader, at least three.
        n_repeats: number of repeats, at least two.
    """
    field = next((size for size in FIELDS if size >= n_models), n_models)
    reached = _largest_leads(field, n_repeats)
    return float(len(reached) - np.searchsorted(reached, lead) + 1) / (len(reached) + 1)


@lru_cache(maxsize=64)
def _largest_leads(n_models: int, n_repeats: int) -> Floats:
    """The largest lead in each simulated field of equal models with normal scores, ascending."""
    rng = np.random.default_rng([n_models, n_repeats])
    simulations = max(500, min(SIMULATIONS, NUMBERS // n_models))
    # Means and deviations of normal scores are independent, and given the leader's deviations, the
    # sums of squares of the differences from them are independent and noncentral chi-squared.
    means = rng.standard_normal((simulations, n_models)) / math.sqrt(n_repeats)
    of_leader = rng.chisquare(n_repeats - 1, (simulations, 1))
    squares = rng.noncentral_chisquare(n_repeats - 1, of_leader, (simulations, n_models - 1))
    variance = squares / (n_repeats - 1)
    means.sort(axis=1)
    difference = means[:, -1:] - means[:, :-1]
    lent = np.median(variance, axis=1, keepdims=True)
    spread = np.sqrt((variance + LENT * lent) / n_repeats)
    largest: Floats = np.sort((difference / spread).max(axis=1))
    return largest


def step_down(p_values: Sequence[float], p_value_among: Callable[[int, int], float]) -> list[float]:
    """Step-down p-values of comparisons with one leader: smallest first, each among fewer models.

    Args:
        p_values: p-value of each comparison alone, for their order; NaN stays NaN.
        p_value_among: returns the p-value of a comparison, given its index and the number of models
            left, including the leader.
    """
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p, kind="stable")[: int(np.isfinite(p).sum())]
    adjusted = [math.nan] * len(p)
    largest = 0.0
    for done, index in enumerate(order.tolist()):
        largest = max(largest, p_value_among(index, len(order) + 1 - done))
        adjusted[index] = largest
    return adjusted


def leads(
    differences: Mapping[int, tuple[Floats, float]],
) -> dict[int, tuple[float, int]]:
    """The lead over each model and the number of repeats behind it.

    Args:
        differences: by index, the repeats' differences (J,) from the leader, and the factor that
            turns their variance into the variance of their mean.
    """
    variances = {index: variance_of(values) for index, (values, _) in differences.items()}
    lent = float(np.median(list(variances.values()))) if variances else 0.0
    return {
        index: (lead(mean_of(values), variances[index], factor, lent), len(values))
        for index, (values, factor) in differences.items()
    }
