"""Which of many classifiers is better over many data sets: pairs of them, and ranks on request.

Each data set weighs one, however many splits it has. Two classifiers are compared by themselves:
what is said of them must not depend on who else is there, as the post-hoc tests on mean ranks do
(Benavoli, Corani & Mangili, JMLR 17(5), 2016). Over fewer than `FEWEST` data sets no test of a
classifier against another can reach 5%, and where one of them failed, what it did not score is
unlike what it did: there, no p-value and no probability is given.
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
"""Data sets: 2^(1-n) is the least two-sided p-value of n signs, and 2^-5 the first below 5%."""

RESAMPLES = 1000
"""Of the data sets, for intervals of ranks and ratings."""

ROUNDS = 2000
STEADY = 1e-9


@dataclass(frozen=True, slots=True)
class Pair:
    """One classifier beside another, over the data sets on which both have every repeat.

    Args:
        first: its index.
        second: its index.
        n: data sets that both finished.
        missing: indices of those that one of them did not.
        difference: mean over data sets, positive where the first is better; NaN for none.
        wins: data sets on which the first is better by more than the ROPE.
        ties: on which neither is.
        losses: on which the second is.
        p_value: Wilcoxon's, two-sided and exact, times Holm's factor for all pairs; NaN where
            nothing can be said.
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
        """Whether there is enough to say which is better."""
        return not self.missing and self.n >= FEWEST


def contests(
    gains: Floats, rope: float, pairs: Iterable[tuple[int, int]] | None = None
) -> list[Pair]:
    """Every pair, or those that are asked for.

    Args:
        gains: (n_classifiers, n_datasets) mean scores, larger is better; NaN where a classifier
            has not finished.
        rope: differences of no more than this do not matter.
        pairs: indices of the classifiers; all of them without.
    """
    found = []
    for i, j in combinations(range(len(gains)), 2) if pairs is None else pairs:
        both = ~(np.isnan(gains[i]) | np.isnan(gains[j]))
        z = exact(gains[i, both] - gains[j, both])
        wins, losses = int((z > rope).sum()), int((z < -rope).sum())
        pair = Pair(
            i,
            j,
            n=len(z),
            missing=tuple(np.flatnonzero(~both).tolist()),
            difference=float(z.mean()) if len(z) else math.nan,
            wins=wins,
            ties=len(z) - wins - losses,
            losses=losses,
            p_value=math.nan,
            odds=NOTHING_KNOWN,
        )
        if pair.judged:
            p = min(1.0, 2 * min(signed_rank(z)))
            pair = replace(pair, p_value=p, odds=signed_rank_odds(z, rope))
        found.append(pair)
    adjusted = holm([pair.p_value for pair in found])
    return [replace(pair, p_value=p) for pair, p in zip(found, adjusted, strict=True)]


@dataclass(frozen=True, slots=True, eq=False)
class Standings:
    """A figure for each classifier, with the ends (n_classifiers,) of its 95% interval."""

    figure: Floats
    low: Floats
    high: Floats


def mean_ranks(gains: Floats, *, seed: int = 0) -> Standings:
    """Mean rank over data sets, 1 the best; equal scores share their rank.

    The interval is a bootstrap over data sets (percentiles, Efron 1979): they are what chance
    chose, and another choice gives other ranks. Ranks depend on who else takes part.

    Args:
        gains: (n_classifiers, n_datasets), larger is better; without NaN.
        seed: of the bootstrap.
    """
    ahead = exact(gains[:, None, :] - gains[None, :, :])  # (n, n, n_datasets): first less second
    more, same = ahead > 0, ahead == 0
    ranks = more.sum(axis=0) + (same.sum(axis=0) + 1) / 2  # (n, n_datasets)
    weights = _weights(gains.shape[1], seed)
    return _standings(ranks.mean(axis=1), weights @ ranks.T)


def elo(gains: Floats, *, seed: int = 0) -> Standings:
    """Elo ratings with mean 1000: 400 points are odds of ten to one to be better on a data set.

    Fitted at once, as Bradley and Terry's model (Biometrika 39, 1952), by Hunter's iteration (Ann.
    Stat. 32, 2004); a tie is half a win, and one tie is added to each pair, without which whoever
    always wins would be infinitely good. The interval is as in `mean_ranks`.

    Args:
        gains: (n_classifiers, n_datasets), larger is better; without NaN.
        seed: of the bootstrap.
    """
    n, n_datasets = gains.shape
    won = np.heaviside(exact(gains[:, None, :] - gains[None, :, :]), 0.5)  # (n, n, n_datasets)
    weights = _weights(n_datasets, seed) * n_datasets
    seen = _ratings(won.sum(axis=2)[None], n_datasets + 1)[0]
    drawn = np.concatenate(
        [
            _ratings(np.einsum("rd,ijd->rij", part, won), n_datasets + 1)
            for part in np.array_split(weights, max(1, n * n // 1000))
        ]
    )
    return _standings(seen, drawn)


def _weights(n_datasets: int, seed: int) -> Floats:
    """Shares of the data sets in each resample (RESAMPLES, n_datasets)."""
    rng = np.random.default_rng(seed)
    return rng.multinomial(n_datasets, np.full(n_datasets, 1 / n_datasets), RESAMPLES) / n_datasets


def _ratings(won: Floats, games: float) -> Floats:
    """Ratings (r, n) of wins (r, n, n), each pair having met so often, the added tie included."""
    n = won.shape[1]
    others = 1 - np.eye(n)
    wins = ((won + 0.5) * others).sum(axis=2)  # (r, n)
    strength = np.ones_like(wins)
    for _ in range(ROUNDS):
        sums = strength[:, :, None] + strength[:, None, :]
        new = wins / (games * others / sums).sum(axis=2)
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
