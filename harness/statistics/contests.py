"""Compare many classifiers over many datasets: in pairs, by mean ranks and by Elo ratings.

Each dataset has the same weight, however many splits it has. A comparison of two classifiers uses
only their own scores, so that it does not depend on which other classifiers take part, as post-hoc
tests on mean ranks do (Benavoli, Corani & Mangili, JMLR 17(5), 2016). A pair gets no p-value and no
probabilities in two cases: over fewer than `FEWEST` datasets, where no test can reach 5%; and if
either classifier failed on a dataset, because the datasets that it completed are a biased sample.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import combinations
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from harness.statistics.posteriors import NOTHING_KNOWN, Odds, exact, signed_rank_odds
from harness.statistics.scores import LEVEL, holm
from harness.statistics.verdicts import signed_rank

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    Floats: TypeAlias = NDArray[np.float64]

FEWEST = 6
"""Datasets that a test needs: the least two-sided p-value of n signs, 2^(1-n), is below 5% then."""

RESAMPLES = 1000
"""Bootstrap resamples of the datasets, for intervals of ranks and ratings."""

ROUNDS = 2000
"""Iterations of Hunter's algorithm, at most."""

STEADY = 1e-9
"""The iteration has converged once no log strength changes by more than this."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A comparison of two classifiers over the datasets on which both completed every repeat.

    Args:
        first: index of the first classifier.
        second: index of the second classifier.
        n: number of datasets that both completed.
        missing: indices of the datasets that either did not complete.
        difference: mean difference over datasets, positive if the first is better; NaN without any.
        wins: number of datasets on which the first is better by more than the ROPE.
        ties: number of datasets on which neither is.
        losses: number of datasets on which the second is better by more than the ROPE.
        p_value: of Wilcoxon's exact two-sided test, corrected by Holm's method for all pairs; NaN
            if the pair is not `judged`.
        odds: of the Bayesian signed-rank test.
    """

    first: int
    second: int
    n: int
    missing: tuple[int, ...]
    difference: float
    wins: int
    ties: int
    losses: int
    p_value: float
    odds: Odds

    @property
    def judged(self) -> bool:
        """Whether the pair is tested: both completed all datasets, and at least `FEWEST`."""
        return not self.missing and self.n >= FEWEST


def contests(
    gains: Floats,
    rope: float,
    pairs: Iterable[tuple[int, int]] | None = None,
    *,
    with_odds: bool = True,
) -> list[Pair]:
    """Compare all pairs of classifiers, or the given ones.

    Args:
        gains: (n_classifiers, n_datasets) mean scores, larger is better; NaN if a classifier did
            not complete a dataset.
        rope: differences up to this count as equal.
        pairs: pairs of indices of classifiers; None for all pairs.
        with_odds: whether to compute the odds, which take most of the time.
    """
    results = []
    for i, j in combinations(range(len(gains)), 2) if pairs is None else pairs:
        shared = ~(np.isnan(gains[i]) | np.isnan(gains[j]))
        z = exact(gains[i, shared] - gains[j, shared])
        wins, losses = int((z > rope).sum()), int((z < -rope).sum())
        pair = Pair(
            i,
            j,
            n=len(z),
            missing=tuple(np.flatnonzero(~shared).tolist()),
            difference=float(z.mean()) if len(z) else math.nan,
            wins=wins,
            ties=len(z) - wins - losses,
            losses=losses,
            p_value=math.nan,
            odds=NOTHING_KNOWN,
        )
        if pair.judged:
            p = min(1.0, 2 * min(signed_rank(z)))
            odds = signed_rank_odds(z, rope) if with_odds else NOTHING_KNOWN
            pair = replace(pair, p_value=p, odds=odds)
        results.append(pair)
    adjusted = holm([pair.p_value for pair in results])
    return [replace(pair, p_value=p) for pair, p in zip(results, adjusted, strict=True)]


@dataclass(frozen=True, slots=True, eq=False)
class Standings:
    """A figure for each classifier (n_classifiers,), with the ends of its 95% interval."""

    figure: Floats
    low: Floats
    high: Floats


def mean_ranks(gains: Floats, *, seed: int = 0) -> Standings:
    """Mean ranks over datasets; 1 is the best, and equal scores share their mean rank.

    The interval is a percentile bootstrap over datasets (Efron 1979): the datasets are the sample,
    and another sample gives other ranks. Ranks depend on which other classifiers take part.

    Args:
        gains: (n_classifiers, n_datasets), larger is better; without NaN.
        seed: seed of the bootstrap.
    """
    ahead = exact(gains[:, None, :] - gains[None, :, :])  # (n, n, n_datasets): first - second
    better, equal = ahead > 0, ahead == 0
    ranks = better.sum(axis=0) + (equal.sum(axis=0) + 1) / 2  # (n, n_datasets)
    weights = _weights(gains.shape[1], seed)
    return _standings(ranks.mean(axis=1), weights @ ranks.T)


def elo(gains: Floats, *, seed: int = 0) -> Standings:
    """Elo ratings with mean 1000; 400 points are odds of 10 to 1 to be better on a dataset.

    All datasets are fitted together, by Bradley and Terry's model (Biometrika 39, 1952) with
    Hunter's iteration (Ann. Stat. 32, 2004). A tie is half a win. One tie is added to each pair;
    otherwise a classifier that always wins would have an infinite rating. The interval is as in
    `mean_ranks`.

    Args:
        gains: (n_classifiers, n_datasets), larger is better; without NaN.
        seed: seed of the bootstrap.
    """
    n, n_datasets = gains.shape
    won = np.heaviside(exact(gains[:, None, :] - gains[None, :, :]), 0.5)  # (n, n, n_datasets)
    weights = _weights(n_datasets, seed) * n_datasets
    ratings = _ratings(won.sum(axis=2)[None], n_datasets + 1)[0]
    resampled = np.concatenate(
        [
            _ratings(np.einsum("rd,ijd->rij", part, won), n_datasets + 1)
            for part in np.array_split(weights, max(1, n * n // 1000))
        ]
    )
    return _standings(ratings, resampled)


def _weights(n_datasets: int, seed: int) -> Floats:
    """Shares of the datasets in each resample (RESAMPLES, n_datasets)."""
    rng = np.random.default_rng(seed)
    return rng.multinomial(n_datasets, np.full(n_datasets, 1 / n_datasets), RESAMPLES) / n_datasets


def _ratings(won: Floats, games: float) -> Floats:
    """Ratings (r, n) from wins (r, n, n) in `games` games of each pair, including the added tie."""
    n = won.shape[1]
    off_diagonal = 1 - np.eye(n)
    wins = ((won + 0.5) * off_diagonal).sum(axis=2)  # (r, n)
    strength = np.ones_like(wins)
    for _ in range(ROUNDS):
        sums = strength[:, :, None] + strength[:, None, :]
        new = wins / (games * off_diagonal / sums).sum(axis=2)
        new /= np.exp(np.log(new).mean(axis=1, keepdims=True))
        moved = float(np.abs(np.log(new / strength)).max())
        strength = new
        if moved < STEADY:
            break
    ratings: Floats = 1000 + 400 * np.log10(strength)
    return ratings


def _standings(figure: Floats, drawn: Floats) -> Standings:
    low, high = np.quantile(drawn, [LEVEL / 2, 1 - LEVEL / 2], axis=0)
    return Standings(figure, low, high)
