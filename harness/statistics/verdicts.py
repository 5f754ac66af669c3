"""Slower, faster, the same or undecided: what paired measurements of two versions say.

A pair's value is log(b/a): one number for one process of each version, however often those were
timed, for the process is the unit. All rests on the signed ranks of these values (Wilcoxon 1945):
exact at every number of pairs, whatever the shape of the noise so long as it is symmetric, and a
wild value counts for no more than its rank.

More pairs may be added while the verdict is open. Then one looks more than once, and each look is
a chance of a false alarm: so there is a plan of looks, and each spends an equal part of the error
rate. Equal parts are Pocock's idea (Biometrika 64, 1977) and the spending Lan and DeMets's
(Biometrika 70, 1983); that the parts just add up (Bonferroni) costs a little power, but holds
exactly and for every kind of noise.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np
from scipy import special  # scipy.stats takes 0.6 s to import

from harness.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    Floats: TypeAlias = NDArray[np.float64]

Verdict: TypeAlias = Literal["slower", "faster", "same", "undecided"]

LOOKS = (10, 16, 24, 36, 54)
"""The numbers of pairs at which one may look, each half as many again as the last."""

POWER = 0.8
"""The chance with which the smallest visible change is seen."""

COVERAGE = 0.95
"""Of the effect's interval, over all looks together."""

HINT = 0.05
"""Below this p-value of being no slower, nothing is called the same: what lies within the budget
and yet looks slower may be a slowdown within the budget, which more pairs will tell."""

RESAMPLES = 200
"""Of what was seen, to tell what could have been."""

MOST_PAIRS = 1000
"""More than these nobody waits for."""


@dataclass(frozen=True, slots=True)
class Change:
    """How much slower the second version is than the first, in log units, and how sure that is.

    Args:
        effect: median of the pairs' Walsh averages (Hodges & Lehmann 1963); NaN without pairs.
        low: lower end of the effect's interval. Over looks it is a repeated interval (Jennison &
            Turnbull, JRSS B 51, 1989): it covers with 95% although one stopped at a look because
            one liked what one saw.
        high: its upper end.
        p_slower: one-sided p-value of the null that the second is no slower.
        p_faster: one-sided p-value of the null that it is no faster.
        p_over: one-sided p-value of the null that it is slower by the budget or more.
        n: number of pairs.
        spread: robust standard deviation of a pair's value; NaN for fewer than two pairs.
        level: what the p-values of being slower or faster are held against: this look's and this
            work's part of alpha.
        level_same: what that of the budget is held against: this look's part. To call a work the
            same is a claim about it alone, whatever is said of others.
    """

    effect: float
    low: float
    high: float
    p_slower: float
    p_faster: float
    p_over: float
    n: int
    spread: float
    level: float
    level_same: float

    @property
    def verdict(self) -> Verdict:
        """``same`` is "slower by less than the budget": what is surely slower is called so first.

        A change that is sure and yet within the budget is ``slower``: a budget is what one need
        not see, not what one may not be told of. So what hints at such a change is not called the
        same before more is known. Simulated with 2% planted and 1-4.5% noise, the same is then
        said of 0-9%, without this of 2-17%; where nothing is planted, at most 2% more stay
        undecided.
        """
        if self.p_slower < self.level:
            return "slower"
        if self.p_faster < self.level:
            return "faster"
        within = self.p_over < self.level_same
        return "same" if within and self.p_slower >= HINT else "undecided"


def look_level(alpha: float) -> float:
    """The part of the error rate alpha that each of the `LOOKS` spends.

    >>> look_level(0.01)
    0.002
    """
    return alpha / len(LOOKS)


def judge(
    d: ArrayLike, *, budget: float, alpha: float, looks: bool = True, among: int = 1
) -> Change:
    """What the log-ratios d (n,) of n pairs say.

    Args:
        d: log(b/a) of each pair.
        budget: by what share the second may be slower and still be the same: 0.03 for 3%.
        alpha: the chance to call the same version slower, and that to call it faster, over all
            looks together.
        looks: whether this is one of several looks, at the numbers of pairs in `LOOKS`. If not,
            the number of pairs was fixed before any was measured, and all of alpha is spent.
        among: works that are judged together, so that alpha is the chance to call any of them
            slower although none is.

    Raises:
        UsageError: a value is NaN or infinite, or alpha or the budget are out of range.

    >>> judge([0.05, 0.06, 0.04, 0.07, 0.05, 0.06, 0.03, 0.055, 0.045, 0.065],
    ...       budget=0.03, alpha=0.01).verdict
    'slower'
    """
    if not 0 < alpha < 1:
        raise UsageError(f"alpha is {alpha:g}; it must lie between 0 and 1")
    if not 0 <= budget < math.inf:
        raise UsageError(f"the budget is {budget:g}; it must be a share of at least 0")
    values = finite(d)
    level = look_level(alpha) if looks else alpha
    missed = (1 - COVERAGE) / (len(LOOKS) if looks else 1)
    low, high = signed_rank_interval(values, 1 - missed)
    p_slower, p_faster = signed_rank(values)
    return Change(
        effect=hodges_lehmann(values),
        low=low,
        high=high,
        p_slower=p_slower,
        p_faster=p_faster,
        p_over=signed_rank(values, math.log1p(budget))[1],
        n=len(values),
        spread=spread(values),
        level=level / among,
        level_same=level,
    )


def needed(change: Change | ArrayLike, budget: float, alpha: float, among: int = 1) -> int | None:
    """Roughly how many pairs, all told, would decide an undecided change.

    Slower is decided by the effect's distance from nothing and same by its distance from the
    budget, so the larger of the two says how many pairs it takes (with power 80%, if the effect and
    the spread are as they look now). None where that is hopeless: more than `MOST_PAIRS`, or too
    few pairs to know the spread by.

    Args:
        change: a change, or the log-ratios that are judged first.
        budget: as for `judge`.
        alpha: as for `judge` with looks.
        among: likewise.

    >>> needed([0.01, -0.05, 0.04, 0.0, 0.02, -0.03, 0.01, 0.05, -0.03, 0.01], 0.03, 0.01)
    29
    """
    if not isinstance(change, Change):
        change = judge(change, budget=budget, alpha=alpha, among=among)
    if change.verdict != "undecided":
        return change.n
    if math.isnan(change.spread):
        return None
    within = change.p_over < look_level(alpha)  # and undecided, because it looks slower
    distance = abs(change.effect)
    if not within:
        distance = max(distance, math.log1p(budget) - change.effect)
    n = np.arange(change.n + 1, MOST_PAIRS + 1)
    # What the t-test of that many values would see, by the efficiency of signed ranks beside it on
    # normal noise, 3/pi (Lehmann, Nonparametrics, 1975).
    level = look_level(alpha) / among
    quantiles = special.stdtrit(n - 1, 1 - level) + special.stdtrit(n - 1, POWER)
    sees = quantiles * change.spread / np.sqrt(n * 3 / math.pi)
    enough = np.flatnonzero((0.5**n < level) & (sees <= distance))
    return int(n[enough[0]]) if len(enough) else None


def signed_rank(d: ArrayLike, shift: float = 0.0) -> tuple[float, float]:
    """Exact one-sided p-values that d is larger and that it is smaller than the shift.

    The null is that d lies symmetrically about the shift. Zeros go the way of Pratt (JASA 54,
    1959): they are ranked with the rest and then left out, their sign being unknown. (Wilcoxon
    drops them before ranking; then an excess may lose its significance when every value is moved
    up.) Equal sizes share their mean rank. Given the ranks, each of the 2^n signs is as likely as
    another under the null, and their sums are counted, so that ties and zeros, too, leave the
    p-values exact.

    >>> signed_rank([1.0, 2.0, 3.0])
    (0.125, 1.0)
    """
    x = finite(d) - shift
    ranks = doubled_ranks(np.abs(x))[x != 0]
    if not len(ranks):
        return 1.0, 1.0
    above = int(ranks[x[x != 0] > 0].sum())
    up_to = _up_to(tuple(sorted(ranks.tolist())))
    return float(up_to[len(up_to) - 1 - above]), float(up_to[above])


def signed_rank_interval(d: ArrayLike, level: float) -> tuple[float, float]:
    """The shifts that the exact two-sided test at 1 - level does not reject, with their ends.

    The ends are order statistics of the Walsh averages (Tukey 1949). Infinite where so few values
    cannot have that level: n values say nothing with more than 1 - 2^(1-n).
    """
    values = finite(d)
    n = len(values)
    if not n:
        return -math.inf, math.inf
    up_to = _up_to(tuple(range(2, 2 * n + 1, 2)))[::2]
    outside = int(np.searchsorted(up_to, (1 - level) / 2 * (1 + 1e-12), side="right"))
    if not outside:
        return -math.inf, math.inf
    averages = np.sort(_walsh(values))
    low, high = float(averages[outside - 1]), float(averages[-outside])
    distinct = np.unique(averages)
    if len(distinct) == len(averages):
        return low, high
    # That was for untied ranks. With ties the test may allow what lies beyond, too.
    tail = (1 - level) / 2 * (1 + 1e-9)
    shifts = np.sort(np.concatenate([distinct, (distinct[1:] + distinct[:-1]) / 2]))
    allowed = [
        shift
        for shift in shifts[(shifts < low) | (shifts > high)].tolist()
        if min(signed_rank(values, shift)) > tail
    ]
    # A shift between two averages stands for all of them there.
    below = [shift for shift in allowed if shift < low]
    above = [shift for shift in allowed if shift > high]
    if below:
        low = float(distinct[max(np.searchsorted(distinct, min(below), side="right") - 1, 0)])
    if above:
        high = float(distinct[min(np.searchsorted(distinct, max(above)), len(distinct) - 1)])
    return low, high


def hodges_lehmann(d: ArrayLike) -> float:
    """The median of the means of all pairs of values, each with itself, too; NaN for none.

    >>> hodges_lehmann([0.0, 1.0, 5.0])
    1.75
    """
    values = finite(d)
    return float(np.median(_walsh(values))) if len(values) else math.nan


def spread(d: ArrayLike) -> float:
    """A standard deviation that wild values hardly move; NaN for fewer than two values.

    The median distance from the median, over 0.6745 as befits the normal, by n / (n - 0.8) against
    its bias in small samples (Croux & Rousseeuw, Compstat 1992). Where more than half of the values
    agree, their plain standard deviation.
    """
    values = finite(d)
    n = len(values)
    if n < 2:
        return math.nan
    distance = float(np.median(np.abs(values - np.median(values))))
    if distance == 0:
        return float(values.std(ddof=1))
    return distance / float(special.ndtri(0.75)) * n / (n - 0.8)


def smallest_visible(d: ArrayLike, alpha: float, power: float = POWER) -> float:
    """The smallest effect that the one-sided test of so many and so spread values mostly sees.

    The test rejects once all Walsh averages but the k smallest are above nothing (Tukey 1949), so
    an effect is seen if it is larger than the (k+1)-st smallest average of the noise is below. The
    noise is drawn anew from what was seen: its distances from the effect, with signs by chance, as
    the test's null has them (a bootstrap, Efron 1979, of `RESAMPLES` with a fixed seed), widened by
    sqrt((n + 1) / (n - 1)) for being drawn from so few. So heavy tails tell. Simulated at level
    .002, 10 to 54 pairs, and noise that is normal, Laplace's, t with 3 degrees of freedom, or
    normal with one value in ten six times as wide, such an effect is seen in 70-80%.

    Infinite where n values cannot go below the level: the least p-value is 2^-n.
    """
    values = finite(d)
    n = len(values)
    if n < 2 or 0.5**n >= alpha:
        return math.inf
    chance = _up_to(tuple(range(2, 2 * n + 1, 2)))[::2]
    k = int(np.searchsorted(chance, alpha, side="left")) - 1
    noise = (values - hodges_lehmann(values)) * math.sqrt((n + 1) / (n - 1))
    chosen, signs = _resampled(n)
    drawn = noise[chosen] * signs  # (RESAMPLES, n)
    i, j = np.triu_indices(n)
    averages = np.partition(drawn[:, i] + drawn[:, j], k, axis=1)[:, k] / 2
    return float(np.quantile(-averages, power))


def benjamini_hochberg(p_values: Sequence[float]) -> list[float]:
    """P-values that hold the false discovery rate (Benjamini & Hochberg, JRSS B 57, 1995).

    Of those adjusted to q or less, a share of q is false at most, on average. What could not be
    tested (NaN) stays NaN and does not count.

    >>> benjamini_hochberg([0.01, float("nan"), 0.04, 0.03])
    [0.03, nan, 0.04, 0.04]
    """
    p = np.asarray(p_values, dtype=np.float64)
    adjusted = np.full(len(p), np.nan)
    order = np.argsort(p)[: int((~np.isnan(p)).sum())]  # NaN sorts to the end
    n = len(order)
    stepped = p[order] * n / np.arange(1, n + 1)
    adjusted[order] = np.minimum(np.minimum.accumulate(stepped[::-1])[::-1], 1.0)
    return [float(value) for value in adjusted]


def finite(values: ArrayLike, what: str = "log-ratios") -> Floats:
    """Values (n,) as floats.

    Raises:
        UsageError: naming the first that is NaN or infinite.
    """
    found = np.asarray(values, dtype=np.float64)
    if found.ndim != 1:
        raise UsageError(f"{what}: expected one row of numbers, got shape {found.shape}")
    wrong = np.flatnonzero(~np.isfinite(found))
    if len(wrong):
        first = int(wrong[0])
        raise UsageError(
            f"{what}: value {first + 1} of {len(found)} is {found[first]}; leave out what failed "
            "before judging"
        )
    return found


def doubled_ranks(values: Floats) -> NDArray[np.int64]:
    """Twice the ranks from 1, equal values sharing their mean rank: doubled, they are whole.

    >>> doubled_ranks(np.array([0.3, 0.1, 0.3]))
    array([5, 2, 5])
    """
    ordered = np.sort(values)
    left = np.searchsorted(ordered, values, side="left")
    right = np.searchsorted(ordered, values, side="right")
    return left + right + 1


@lru_cache(maxsize=256)
def _up_to(ranks: tuple[int, ...]) -> Floats:
    """The chance that the ranks with a positive sign add up to 0, 1, 2, ... or less."""
    chance = np.zeros(sum(ranks) + 1)
    chance[0] = 1.0
    reached = 0
    for rank in ranks:
        # Halving at each rank keeps the counts, up to 2^n, within reach of floats.
        chance[: reached + 1] /= 2
        chance[rank : reached + rank + 1] += chance[: reached + 1].copy()
        reached += rank
    return np.minimum(np.cumsum(chance), 1.0)


@lru_cache(maxsize=16)
def _resampled(n: int) -> tuple[NDArray[np.int64], Floats]:
    """Which of n values are drawn, and with which sign: the same at every call."""
    rng = np.random.default_rng(n)
    return rng.integers(n, size=(RESAMPLES, n)), rng.choice([-1.0, 1.0], size=(RESAMPLES, n))


def _walsh(values: Floats) -> Floats:
    i, j = np.triu_indices(len(values))
    return values[i] / 2 + values[j] / 2
