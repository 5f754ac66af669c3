"""Verdicts from paired timings of two versions: slower, faster, the same or undecided.

A pair's value is log(b/a): one number for one process of each version, however often each process
was timed, because the process is the sampling unit. All tests use the signed ranks of these values
(Wilcoxon 1945). They are exact for any number of pairs and any symmetric noise, and an outlier
counts only by its rank.

While the verdict is undecided, more pairs may be added. Each further test is another chance of a
false alarm. So the numbers of pairs at which to test (the looks) are planned, and each look spends
an equal part of the error rate. Equal parts are by Pocock (Biometrika 64, 1977), and spending the
error rate by Lan and DeMets (Biometrika 70, 1983). Adding up the parts (Bonferroni) costs a little
power, but holds exactly and for any noise.
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
"""The numbers of pairs at which to test; each is about 1.5 times the last."""

POWER = 0.8
"""The probability that a test detects the smallest visible change."""

COVERAGE = 0.95
"""Coverage of the effect's interval, over all looks together."""

HINT = 0.05
"""While `p_slower` is below this, the verdict is "undecided", not "same": a small slowdown within
the budget may become significant with more pairs."""

RESAMPLES = 200
"""Bootstrap resamples for the smallest visible change."""

MOST_PAIRS = 1000
"""Larger numbers of pairs are not computed, because nobody would wait for them."""


@dataclass(frozen=True, slots=True)
class Change:
    """How much slower the second version is than the first, in log units, with tests.

    Args:
        effect: median of the pairs' Walsh averages (Hodges & Lehmann 1963); NaN without pairs.
        low: lower end of the effect's interval. Over looks it is a repeated confidence interval
            (Jennison & Turnbull, JRSS B 51, 1989): its coverage holds at whichever look one stops.
        high: its upper end.
        p_slower: one-sided p-value of the null that the second version is not slower.
        p_faster: one-sided p-value of the null that the second version is not faster.
        p_over: one-sided p-value of the null that the second version is slower by the budget or
            more.
        n: number of pairs.
        spread: robust standard deviation of a pair's value; NaN for fewer than two pairs.
        level: significance level for `p_slower` and `p_faster`: the part of alpha that this look
            and this workload spend.
        level_same: significance level for `p_over`: the part of alpha that this look spends. It is
            not divided by the number of workloads, because "same" is a claim about one of them.
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
        """The verdict; ``same`` means "slower by less than the budget".

        A significant slowdown is ``slower`` even within the budget: the budget allows missing such
        a slowdown, not hiding it. So a change that may be one (`HINT`) is not called ``same`` yet.
        In simulations with a 2% slowdown and 1-4.5% noise, the verdict is then ``same`` in 0-9% of
        cases instead of 2-17%; without a slowdown, at most 2% more stay undecided.
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
    """Estimate and test the change that the log-ratios d (n,) of n pairs show.

    Args:
        d: log(b/a) of each pair.
        budget: the largest slowdown that counts as the same, as a share: 0.03 for 3%.
        alpha: the probability of the verdict "slower" for equal versions, over all looks together;
            likewise of "faster".
        looks: whether this is one of several looks, at the numbers of pairs in `LOOKS`. If not,
            the number of pairs was fixed before measuring, and this test spends all of alpha.
        among: number of workloads that are judged together: then alpha is the probability to call
            any of them slower if none is.

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
    noncoverage = (1 - COVERAGE) / (len(LOOKS) if looks else 1)
    low, high = signed_rank_interval(values, 1 - noncoverage)
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


def pairs_needed(
    change: Change | ArrayLike, budget: float, alpha: float, among: int = 1
) -> int | None:
    """Estimate the total number of pairs that would decide an undecided change.

    The verdict "slower" depends on the effect's distance from 0, and "same" on its distance from
    the budget. The larger distance determines the number of pairs (with power 80%, if effect and
    spread stay as estimated). None if more than `MOST_PAIRS` are needed, or if there are too few
    pairs to estimate the spread.

    Args:
        change: a change, or log-ratios to judge first.
        budget: as for `judge`.
        alpha: as for `judge` with looks.
        among: as for `judge`.

    >>> log_ratios = [0.01, -0.05, 0.04, 0.0, 0.02, -0.03, 0.01, 0.05, -0.03, 0.01]
    >>> pairs_needed(log_ratios, budget=0.03, alpha=0.01)
    29
    """
    if not isinstance(change, Change):
        change = judge(change, budget=budget, alpha=alpha, among=among)
    if change.verdict != "undecided":
        return change.n
    if math.isnan(change.spread):
        return None
    within = change.p_over < look_level(alpha)  # undecided only because of `HINT`
    distance = abs(change.effect)
    if not within:
        distance = max(distance, math.log1p(budget) - change.effect)
    n = np.arange(change.n + 1, MOST_PAIRS + 1)
    # From the power of the t-test, relative to which signed ranks have an efficiency of 3/pi on
    # normal noise (Lehmann, Nonparametrics, 1975).
    level = look_level(alpha) / among
    quantiles = special.stdtrit(n - 1, 1 - level) + special.stdtrit(n - 1, POWER)
    sees = quantiles * change.spread / np.sqrt(n * 3 / math.pi)
    enough = np.flatnonzero((0.5**n < level) & (sees <= distance))
    return int(n[enough[0]]) if len(enough) else None


def signed_rank(d: ArrayLike, shift: float = 0.0) -> tuple[float, float]:
    """Exact one-sided p-values that d is larger, and that d is smaller, than the shift.

    The null is that d is symmetric about the shift. Zeros are treated by Pratt's method (JASA 54,
    1959): they are ranked with the rest and then dropped, because they have no sign. (Wilcoxon
    drops them before ranking; then adding a constant to all values can make a positive shift lose
    its significance.) Equal absolute values share their mean rank. Given the ranks, all 2^n
    combinations of signs are equally likely under the null. Their sums are counted, so that the
    p-values are exact also with ties and zeros.

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
    """The closed interval of shifts that the exact two-sided test at 1 - level does not reject.

    The ends are order statistics of the Walsh averages (Tukey 1949). They are infinite with too few
    values: n values allow a coverage of at most 1 - 2^(1-n).
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
    # The order statistics assume untied ranks. With ties, the test may accept shifts beyond them.
    tail = (1 - level) / 2 * (1 + 1e-9)
    shifts = np.sort(np.concatenate([distinct, (distinct[1:] + distinct[:-1]) / 2]))
    allowed = [
        shift
        for shift in shifts[(shifts < low) | (shifts > high)].tolist()
        if min(signed_rank(values, shift)) > tail
    ]
    # A shift between two neighbouring averages stands for all shifts between them.
    below = [shift for shift in allowed if shift < low]
    above = [shift for shift in allowed if shift > high]
    if below:
        low = float(distinct[max(np.searchsorted(distinct, min(below), side="right") - 1, 0)])
    if above:
        high = float(distinct[min(np.searchsorted(distinct, max(above)), len(distinct) - 1)])
    return low, high


def hodges_lehmann(d: ArrayLike) -> float:
    """The median of the means of all pairs of values, including pairs of a value with itself.

    NaN without values.

    >>> hodges_lehmann([0.0, 1.0, 5.0])
    1.75
    """
    values = finite(d)
    return float(np.median(_walsh(values))) if len(values) else math.nan


def spread(d: ArrayLike) -> float:
    """A standard deviation that is robust to outliers; NaN for fewer than two values.

    It is the median absolute deviation / 0.6745, which makes it consistent for the normal, times
    n / (n - 0.8) to correct its bias in small samples (Croux & Rousseeuw, Compstat 1992). If more
    than half of the values are equal, it is their plain standard deviation.
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
    """The smallest effect that the one-sided test detects, with this number and spread of values.

    The test rejects if all Walsh averages except the k smallest are positive (Tukey 1949). So it
    detects an effect that is larger than minus the (k+1)-st smallest average of the noise. The
    noise is resampled from the values' distances from their effect, with random signs, as under the
    null (a bootstrap, Efron 1979, of `RESAMPLES` with a fixed seed), and widened by
    sqrt((n + 1) / (n - 1)) because so few values underestimate it. So heavy tails count. Simulated
    at level .002, with 10 to 54 pairs, and noise that is normal, Laplace, t with 3 degrees of
    freedom, or normal with one value in ten six times as wide, the test detects such an effect in
    70-80% of cases.

    The effect is infinite if n values cannot get below the level: the least p-value is 2^-n.
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
    """P-values adjusted for the false discovery rate (Benjamini & Hochberg, JRSS B 57, 1995).

    Among the tests with an adjusted p-value of at most q, the mean share of false discoveries is at
    most q. NaN (not tested) stays NaN and does not count.

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
    """Values (n,) as floats, checked to be finite.

    Raises:
        UsageError: a value is NaN or infinite (the error names the first), or there is more than
            one dimension.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1:
        raise UsageError(f"{what}: expected one row of numbers, got shape {array.shape}")
    not_finite = np.flatnonzero(~np.isfinite(array))
    if len(not_finite):
        first = int(not_finite[0])
        raise UsageError(
            f"{what}: value {first + 1} of {len(array)} is {array[first]}; leave out failed "
            "measurements"
        )
    return array


def doubled_ranks(values: Floats) -> NDArray[np.int64]:
    """Twice the ranks from 1; equal values share their mean rank, and doubling keeps it whole.

    >>> doubled_ranks(np.array([0.3, 0.1, 0.3]))
    array([5, 2, 5])
    """
    ordered = np.sort(values)
    left = np.searchsorted(ordered, values, side="left")
    right = np.searchsorted(ordered, values, side="right")
    return left + right + 1


@lru_cache(maxsize=256)
def _up_to(ranks: tuple[int, ...]) -> Floats:
    """The probability that the ranks with a positive sign add up to at most 0, 1, 2, ..."""
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
    """Indices and signs (RESAMPLES, n) of resamples of n values; equal at every call."""
    rng = np.random.default_rng(n)
    return rng.integers(n, size=(RESAMPLES, n)), rng.choice([-1.0, 1.0], size=(RESAMPLES, n))


def _walsh(values: Floats) -> Floats:
    i, j = np.triu_indices(len(values))
    return values[i] / 2 + values[j] / 2
