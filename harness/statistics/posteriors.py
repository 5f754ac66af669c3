"""Bayesian probabilities that one classifier is better, for practical purposes; only with SciPy.

A p-value says how rare the data are if two classifiers are equal, which they never are. The
posterior probability answers the question of interest: is one better by more than a negligible
difference? Negligible differences are the region of practical equivalence, the ROPE (Benavoli,
Corani, Demsar & Zaffalon, "Time for a change", JMLR 18(77), 2017).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from scipy import special  # scipy.stats takes 0.6 s to import

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike, NDArray

    Floats: TypeAlias = NDArray[np.float64]
    Posterior: TypeAlias = Callable[[float], float]

STEPS = 2000
"""Points at which a distribution is integrated, which gives about four digits."""

SAMPLES = 20_000
"""Samples of a posterior without a formula: probabilities are accurate to about half a percent."""

SHARE_DECIMALS = 5
"""Decimals to which shares are compared; they have single precision."""

PRIOR = 0.5
"""Weight of the prior: one dataset without a difference, added to the observed ones."""


@dataclass(frozen=True, slots=True)
class Odds:
    """Probabilities that the first is better, practically equal, and worse.

    They add up to 1; all are NaN if the two cannot be compared.
    """

    better: float
    equivalent: float
    worse: float


DECIMALS = 12
"""Decimals of a difference that are kept: smaller differences come from the order of summation."""

NOTHING_KNOWN = Odds(math.nan, math.nan, math.nan)


def exact(differences: ArrayLike) -> Floats:
    """Differences without rounding errors, so that equal means differ by exactly 0."""
    values: Floats = np.asarray(differences, dtype=np.float64)
    return values.round(DECIMALS)


def odds(below: Posterior, rope: float, *, more_is_better: bool) -> Odds:
    """The odds that follow from the posterior of a difference (first - second).

    Args:
        below: probability that the difference is below a value.
        rope: differences up to this count as equal, in units of the score.
        more_is_better: whether a larger score is better: true for accuracy, false for the NLL.
    """
    p_lower, p_higher = below(-rope), 1 - below(rope)
    better, worse = (p_higher, p_lower) if more_is_better else (p_lower, p_higher)
    return Odds(better, 1 - better - worse, worse)


def students(mean: float, spread: float, freedom: float) -> Posterior:
    """The posterior of a mean under the uninformative prior: Student's t.

    With the variance of Nadeau and Bengio, this is the Bayesian correlated t-test (Corani &
    Benavoli, Machine Learning 100, 2015).
    """
    return lambda value: float(special.stdtr(freedom, (value - mean) / spread))


def point(value: float) -> Posterior:
    """The posterior of a difference that is known exactly; 0.5 below the value itself."""
    return lambda other: 0.5 if other == value else float(other > value)


def unknown(value: float) -> float:
    """The posterior of an unknown difference: NaN below any value."""
    return math.nan * value


def paired_shares(better: float, worse: float, n: float) -> Posterior:
    """The posterior of the difference of two accuracies on the same n rows.

    Rows that only the first predicts correctly, rows that only the second does, and all other rows
    have Jeffreys's prior, a Dirichlet distribution with parameters 1/2. So the share of the first
    kind is a Beta variable, and the second kind's share of the remaining rows is another.

    Args:
        better: number of rows that only the first predicts correctly; may be fractional.
        worse: number of rows that only the second predicts correctly; may be fractional.
        n: number of all rows; may be fractional.
    """
    a, b, rest = better + 0.5, worse + 0.5, max(n - better - worse, 0.0) + 0.5

    @cache  # most comparisons are never asked for their posterior
    def first_shares() -> Floats:
        quantiles = (np.arange(STEPS) + 0.5) / STEPS
        shares: Floats = special.betaincinv(a, b + rest, quantiles)
        return shares  # (STEPS,) equally probable values

    def below(value: float) -> float:
        first = first_shares()
        second_shares = np.clip((first - value) / np.maximum(1 - first, 1e-300), 0.0, 1.0)
        return float(np.mean(1 - special.betainc(b, rest, second_shares)))

    return below


def signed_rank_odds(differences: ArrayLike, rope: float, *, seed: int = 0) -> Odds:
    """The Bayesian signed-rank test: probabilities that the first is better, equal or worse.

    The datasets are a sample of all datasets. Their weights have a Dirichlet distribution; the
    prior is one more dataset without a difference (weight 1/2). For each draw of weights, the mean
    of two datasets' differences has a probability to lie above, within or below the ROPE. The
    result is how often each of these three probabilities is the largest (Benavoli, Mangili, Corani,
    Zaffalon & Ruggeri, ICML 2014).

    Args:
        differences: (n,) mean difference on each dataset, positive if the first is better.
        rope: differences up to this count as equal.
        seed: seed of the draws.
    """
    z = np.concatenate([[0.0], np.asarray(differences, dtype=np.float64)])
    sums = z[:, None] + z
    weights = _weights(len(z), seed)  # (SAMPLES, n + 1)
    better, worse = (
        np.einsum("sn,sn->s", weights @ np.heaviside(beyond, 0.5).astype(weights.dtype), weights)
        for beyond in (exact(side - 2 * rope) for side in (sums, -sums))
    )
    within = 1 - better - worse if rope > 0 else np.full_like(better, -1.0)
    shares = np.round([better, within, worse], SHARE_DECIMALS)  # (3, SAMPLES)
    largest = shares == shares.max(axis=0)  # in a tie, each counts in part
    return Odds(*(float(share) for share in (largest / largest.sum(axis=0)).mean(axis=1)))


@lru_cache(maxsize=8)
def _weights(n: int, seed: int) -> NDArray[np.float32]:
    """Draws (SAMPLES, n) of the Dirichlet weights; the first column is the prior's dataset."""
    shape = np.where(np.arange(n) == 0, PRIOR, 1.0)
    drawn = np.random.default_rng(seed).gamma(shape, size=(SAMPLES, n))
    # Single precision suffices to find the largest of three, and is twice as fast.
    weights: NDArray[np.float32] = (drawn / drawn.sum(axis=1, keepdims=True)).astype(np.float32)
    weights.flags.writeable = False
    return weights
