"""How sure it is that one classifier is better for practical purposes: Bayesian, on scipy alone.

A p-value says how rare the data are if two classifiers are equal, which they never are. Asked is
how probable it is that one is better by more than one cares about. Differences that one does not
care about are the region of practical equivalence, the ROPE (Benavoli, Corani, Demsar & Zaffalon,
"Time for a change", JMLR 18(77), 2017).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from scipy import special  # scipy.stats takes 0.6 s to import

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike, NDArray

    Floats: TypeAlias = NDArray[np.float64]
    Posterior: TypeAlias = Callable[[float], float]

STEPS = 2000
"""Points at which a distribution is integrated over: to about four digits."""

SAMPLES = 20_000
"""Of a posterior that has no formula: probabilities are good to about half a percent."""

SHARE_DECIMALS = 5
"""Of a share of single precision."""

PRIOR = 0.5
"""Weight of the one data set without a difference that is added to those that were seen."""


@dataclass(frozen=True, slots=True)
class Odds:
    """Probabilities that the first is better, that it does not matter, and that it is worse.

    They add up to 1; all are NaN where nothing can be said.
    """

    better: float
    equivalent: float
    worse: float


DECIMALS = 12
"""Of differences that count: what is less comes from the order in which means were added up."""

NOTHING_KNOWN = Odds(math.nan, math.nan, math.nan)


def exact(differences: ArrayLike) -> Floats:
    """Differences without what rounding adds, so that equal means differ by 0."""
    found: Floats = np.asarray(differences, dtype=np.float64)
    return found.round(DECIMALS)


def odds(below: Posterior, rope: float, *, more_is_better: bool) -> Odds:
    """What a posterior of the difference (first less second) says.

    Args:
        below: probability that the difference is below a value.
        rope: differences of no more than this do not matter, in units of the score.
        more_is_better: of the score: true of accuracy, false of the NLL.
    """
    less, more = below(-rope), 1 - below(rope)
    better, worse = (more, less) if more_is_better else (less, more)
    return Odds(better, 1 - better - worse, worse)


def students(mean: float, spread: float, freedom: float) -> Posterior:
    """Student's t about the mean: the posterior of a mean under the prior that says least.

    With the variance of Nadeau and Bengio it is the Bayesian correlated t-test (Corani & Benavoli,
    Machine Learning 100, 2015).
    """
    return lambda value: float(special.stdtr(freedom, (value - mean) / spread))


def point(value: float) -> Posterior:
    """Of what is known for sure; where it is asked about itself, it is undecided."""
    return lambda other: 0.5 if other == value else float(other > value)


def unknown(value: float) -> float:
    """Of what nothing is known about."""
    return math.nan * value


def paired_shares(better: float, worse: float, n: float) -> Posterior:
    """Of the difference of two shares of the same n rows.

    Rows that only the first has right, that only the second has, and others have Jeffreys's prior,
    a Dirichlet distribution with parameters 1/2. So the share of the first is a Beta variable, and
    that of the second another of what the first leaves.

    Args:
        better: rows that only the first has right; need not be whole.
        worse: rows that only the second has right.
        n: all rows.
    """
    a, b, rest = better + 0.5, worse + 0.5, max(n - better - worse, 0.0) + 0.5
    at = (np.arange(STEPS) + 0.5) / STEPS
    first = special.betaincinv(a, b + rest, at)  # (STEPS,) equally probable values

    def below(value: float) -> float:
        second = np.clip((first - value) / np.maximum(1 - first, 1e-300), 0.0, 1.0)
        return float(np.mean(1 - special.betainc(b, rest, second)))

    return below


def signed_rank_odds(differences: ArrayLike, rope: float, *, seed: int = 0) -> Odds:
    """The Bayesian signed-rank test: how probable it is that the first is better in general.

    The data sets are a sample of those there are, and their weights are Dirichlet's, with one
    without a difference added (weight 1/2). For each draw of weights, the probability is found that
    the mean of two data sets' differences lies above, within or below the ROPE; the result is how
    often each is the largest (Benavoli, Mangili, Corani, Zaffalon & Ruggeri, ICML 2014).

    Args:
        differences: (n,) mean difference on each data set, positive where the first is better.
        rope: differences of no more than this do not matter.
        seed: of the draws.
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
    largest = shares == shares.max(axis=0)  # several may share a draw
    return Odds(*(float(share) for share in (largest / largest.sum(axis=0)).mean(axis=1)))


@lru_cache(maxsize=8)
def _weights(n: int, seed: int) -> NDArray[np.float32]:
    """Draws (SAMPLES, n) of Dirichlet's weights, the first that of the data set of the prior."""
    shape = np.where(np.arange(n) == 0, PRIOR, 1.0)
    drawn = np.random.default_rng(seed).gamma(shape, size=(SAMPLES, n))
    # Single precision is enough to say which of three is the largest, and twice as fast.
    weights: NDArray[np.float32] = (drawn / drawn.sum(axis=1, keepdims=True)).astype(np.float32)
    weights.flags.writeable = False
    return weights
