"""Change points: where a series of measurements in commit order steps up or down.

Each split of a series into before and after has a statistic, the sum of its ranks (Pettitt, Applied
Statistics 28, 1979). The best split's statistic is compared with the best splits' in permutations
of the same series. So choosing the split is part of the test: a t-test of the best-looking split
would find a step in every tenth flat series.

Ranks detect a step well, but locate it badly: one ordinary point beside the step can move the split
by one. So the step is located where two levels fit best, by the sum of distances from each side's
median.

A rank test does not depend on the distribution of the noise, nor on outliers. But all orders are
equally likely only if points are independent, and a machine's good and bad days make neighbours
similar. So a step must also stand out among flat series with the same autocorrelation: simulated
normal first-order autoregressions, by the share of the variance that their best split explains (a
parametric bootstrap, Efron 1979). The autocorrelation is estimated from the residuals about the
levels that the permutation test alone finds, and corrected for the bias of fitting those levels.

A slow trend is not a step, but may look like one. A step is marked if a line fits as well as two
levels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from scipy import special  # scipy.stats takes 0.6 s to import

from harness.errors import UsageError
from harness.statistics.verdicts import COVERAGE, benjamini_hochberg, doubled_ranks, finite

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from numpy.typing import ArrayLike, NDArray

    Floats: TypeAlias = NDArray[np.float64]

FIRM = 5
"""Points after a step that make it firm: it is then no passing disturbance."""

ALPHA = 0.009
"""Default significance level of a history. Flat series should give at most 1% false alarms. The
test is exact, so that at a level of 1% half of all simulations would count more than 1%. A lower
level would miss steps: with four points after a step, and 20 to 30 before it, the p-value is at
best .008."""

PERMUTATIONS = 9999
"""Permutations, at most; a clearly flat series needs only a few hundred."""

CORRELATED = 0.5
"""Steps are marked from this autocorrelation on: 1 to 4% of flat series with .6 have a step."""

MOST_CORRELATED = 0.9
"""Upper bound of the estimated autocorrelation."""

EXCEEDANCES = 100
"""Permutations stop once this many have a larger statistic: the p-value is precise enough."""


@dataclass(frozen=True, slots=True)
class Step:
    """A lasting change of level in a series.

    Args:
        index: index of the first point after the step.
        size: median of the points after the step - median of the points before it, each up to the
            neighbouring step, in the series' unit: log units for log-ratios.
        low: lower end of the 95% interval of the shift between both sides (by inverting the
            Mann-Whitney test), given that the step is at this index. Infinite with too few points.
        high: its upper end.
        p_value: of the null that nothing changed in the segment in which the step was found.
        firm: whether at least `FIRM` points lie between this step and the next one or the end.
        autocorrelation: of neighbouring points on both sides, up to the neighbouring steps; 0 if
            the estimate is negative.
        trend: whether a line fits both sides as well as two levels do.
    """

    index: int
    size: float
    low: float
    high: float
    p_value: float
    firm: bool
    autocorrelation: float = 0.0
    trend: bool = False


def change_points(
    values: ArrayLike,
    *,
    min_segment: int = 3,
    alpha: float = ALPHA,
    n_permutations: int = PERMUTATIONS,
    seed: int = 0,
    independent: bool = False,
) -> tuple[Step, ...]:
    """Find the steps in a series (n,), first to last; deterministic for equal arguments.

    The series has a step if the best split's p-value is at most alpha; then each side is searched
    in the same way. A short change that is soon reverted may be missed, because no single split
    stands out.

    Args:
        values: measurements in commit order; fewer than twice min_segment have no step.
        min_segment: number of points on each side of a split, at least.
        alpha: the probability that a flat series has any step.
        n_permutations: number of permutations, at most; the least p-value is
            1 / (n_permutations + 1).
        seed: seed of the permutations.
        independent: whether points are known to be independent; if not, a step must also stand out
            among series with the same autocorrelation.

    Raises:
        UsageError: a value is NaN or infinite, or another argument is out of range.

    >>> [(step.index, step.firm) for step in change_points([0.0, 0.1] * 6 + [1.0, 1.1] * 2)]
    [(12, False)]
    """
    series = finite(values, "series")
    search = _Search(series, min_segment, alpha, n_permutations, seed, independent)
    return search.steps(search.p_value(0, len(search.values)))


def change_points_of(
    series: Mapping[str, ArrayLike], alpha: float = ALPHA
) -> dict[str, tuple[Step, ...]]:
    """Find the steps in each of many series, with a false discovery rate of alpha over the series.

    The p-values of the series' best splits are adjusted by Benjamini and Hochberg's method; a
    series whose adjusted p-value is above alpha has no step. Series that are too short to be
    searched do not count.

    Raises:
        UsageError: as for `change_points`; the error names the series.
    """
    # A single step among many flat series must be able to become significant: the least p-value,
    # times the number of series, must stay below alpha.
    enough = max(PERMUTATIONS, math.ceil(2 * len(series) / alpha)) if alpha > 0 else PERMUTATIONS
    searches = {
        name: _Search(finite(values, f"series {name!r}"), 3, alpha, enough, 0)
        for name, values in series.items()
    }
    p_values = [search.p_value(0, len(search.values)) for search in searches.values()]
    adjusted = benjamini_hochberg(p_values)
    return {
        name: search.steps(p) if q <= alpha else ()
        for (name, search), p, q in zip(searches.items(), p_values, adjusted, strict=True)
    }


@dataclass(frozen=True, slots=True, eq=False)
class _Search:
    """The search for steps in one series, with the p-values computed so far."""

    values: Floats
    min_segment: int
    alpha: float
    n_permutations: int
    seed: int
    independent: bool = False
    kept: dict[tuple[int, int], float] = field(default_factory=dict)  # p-values of permutations

    def __post_init__(self) -> None:
        if not 0 < self.alpha < 1:
            raise UsageError(f"alpha is {self.alpha:g}; it must lie between 0 and 1")
        for name in ("min_segment", "n_permutations"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} is {getattr(self, name)}; it must be at least 1")

    def p_value(self, start: int, stop: int) -> float:
        """The p-value of the null that nothing changes in a segment; NaN if it is too short."""
        p = self._permuted(start, stop)
        if self.independent or not p <= self.alpha:  # not significant: a larger p changes nothing
            return p
        return max(p, self._among_alike(start, stop))

    def _permuted(self, start: int, stop: int) -> float:
        """The p-value by permutations: under the null, all orders are equally likely."""
        if stop - start < 2 * self.min_segment:
            return math.nan
        if (start, stop) not in self.kept:
            ranks = doubled_ranks(self.values[start:stop]) - (stop - start + 1)  # of mean 0
            # A segment's permutations depend on nothing but where it is.
            rng = np.random.default_rng((self.seed, start, stop))
            self.kept[start, stop] = self._sequential(
                float(self._best(ranks)),
                lambda k: self._best(rng.permuted(np.tile(ranks, (k, 1)), axis=1)),
            )
        return self.kept[start, stop]

    def _among_alike(self, start: int, stop: int) -> float:
        """The p-value among simulated flat series with the estimated autocorrelation."""
        n = stop - start
        (observed,) = self._explained(self.values[start:stop, None])
        if not math.isfinite(observed):
            return 0.0  # two levels without any noise
        rho = self._autocorrelation()
        rng = np.random.default_rng((self.seed, start, stop, 1))

        def draw(k: int) -> Floats:
            noise = rng.standard_normal((n, k), dtype=np.float32)
            noise[1:] *= np.float32(math.sqrt(1 - rho**2))
            for t in range(1, n):
                noise[t] += np.float32(rho) * noise[t - 1]
            return self._explained(noise)

        return self._sequential(float(observed), draw)

    def _autocorrelation(self) -> float:
        """The autocorrelation of the whole series about the levels that permutations alone find."""
        steps = self._significant(0, len(self.values), self._permuted)
        ends = [0, *(index for index, _ in steps), len(self.values)]
        return _autocorrelation([self.values[i:j] for i, j in pairwise(ends)])

    def _explained(self, values: NDArray[np.floating]) -> Floats:
        """For each of k series (n, k), the best split's ratio of explained to residual variance."""
        n, min_segment = len(values), self.min_segment
        centred = values - values.mean(axis=0)
        before = np.arange(min_segment, n - min_segment + 1)
        sums = np.cumsum(centred, axis=0)[min_segment - 1 : n - min_segment]
        sums *= sums
        sums *= (n / (before * (n - before))).astype(sums.dtype)[:, None]
        between = sums.max(axis=0)
        within = np.maximum(np.einsum("ij,ij->j", centred, centred) - between, 0.0)
        with np.errstate(divide="ignore", invalid="ignore"):
            ratios: Floats = np.where(within > 1e-20 * between, between / within, np.inf)
        return ratios

    def _best(self, ranks: NDArray[np.int64]) -> Floats:
        """The best split's statistic, for each of several orders of the ranks (..., n)."""
        n, min_segment = ranks.shape[-1], self.min_segment
        before = np.arange(min_segment, n - min_segment + 1)
        sums = np.cumsum(ranks, axis=-1)[..., min_segment - 1 : n - min_segment]
        # The sum of k of n ranks has a variance proportional to k (n - k).
        best: Floats = (np.abs(sums) / np.sqrt(before * (n - before))).max(axis=-1)
        return best

    def _sequential(self, observed: float, draw: Callable[[int], Floats]) -> float:
        """The p-value of a sequential permutation test (Besag & Clifford, Biometrika 78, 1991).

        It draws until `EXCEEDANCES` draws are at least as large as the observed statistic, or until
        all are drawn. The p-value is the share of these draws, which is as valid as drawing all.
        """
        above = drawn = 0
        while drawn < self.n_permutations:
            as_large = draw(min(1000, self.n_permutations - drawn)) >= observed
            reached = np.flatnonzero(np.cumsum(as_large) + above == EXCEEDANCES)
            if len(reached):
                return EXCEEDANCES / (drawn + int(reached[0]) + 1)
            above += int(as_large.sum())
            drawn += len(as_large)
        return (above + 1) / (drawn + 1)

    def steps(self, whole_p_value: float) -> tuple[Step, ...]:
        """All steps of the series, given the p-value of the whole series."""
        significant = list(self._significant(0, len(self.values), self.p_value, whole_p_value))
        ends = [0, *(index for index, _ in significant), len(self.values)]
        for i in range(1, len(ends) - 1):
            # When a step was located, its sides may have had other steps, which move it.
            ends[i] = self._place(ends[i - 1], ends[i + 1])
        sides = zip(ends[:-2], ends[1:-1], ends[2:], significant, strict=True)
        return tuple(
            _step(self.values[start:index], self.values[index:stop], index, p_value)
            for start, index, stop, (_, p_value) in sides
        )

    def _significant(
        self,
        start: int,
        stop: int,
        p_value: Callable[[int, int], float],
        known_p: float | None = None,
    ) -> Iterator[tuple[int, float]]:
        """Indices and p-values of the steps in a segment; its own p-value may be given."""
        p = p_value(start, stop) if known_p is None else known_p
        if not p <= self.alpha:
            return
        index = self._place(start, stop)
        yield from self._significant(start, index, p_value)
        yield index, p
        yield from self._significant(index, stop, p_value)

    def _place(self, start: int, stop: int) -> int:
        """The index at which two levels fit a segment best."""
        values = self.values

        def misfit(index: int) -> float:
            sides = values[start:index], values[index:stop]
            return sum(float(np.abs(side - np.median(side)).sum()) for side in sides)

        return min(range(start + self.min_segment, stop - self.min_segment + 1), key=misfit)


def _step(before: Floats, after: Floats, index: int, p_value: float) -> Step:
    low, high = _shift_interval(before, after)
    return Step(
        index=index,
        size=float(np.median(after) - np.median(before)),
        low=low,
        high=high,
        p_value=p_value,
        firm=len(after) >= FIRM,
        autocorrelation=_autocorrelation([before, after]),
        trend=_is_trend(before, after),
    )


def _autocorrelation(levels: Sequence[Floats]) -> float:
    """The autocorrelation of neighbours about each level's mean, corrected for bias.

    Fitting one mean reduces it by (1 + 4 rho) / n (Marriott & Pope, Biometrika 41, 1954). Each
    further level, at a split that was chosen, reduces it by about (3 + 5 rho) / n more, as
    simulated with 12 to 120 points.
    """
    n, n_extra = sum(map(len, levels)), len(levels) - 1
    residuals = np.concatenate([level - level.mean() for level in levels])
    total = float(np.square(residuals).sum())
    if not total > 0:
        return 0.0
    biased = float((residuals[1:] * residuals[:-1]).sum()) / total
    corrected = (biased + (1 + 3 * n_extra) / n) / (1 - min((4 + 5 * n_extra) / n, 0.5))
    return min(max(corrected, 0.0), MOST_CORRELATED)


def _is_trend(before: Floats, after: Floats) -> bool:
    """Whether a line fits as well as two levels: by residual variance, with one parameter less."""
    values = np.concatenate([before, after])
    n = len(values)
    levels_misfit = sum(float(np.square(side - side.mean()).sum()) for side in (before, after))
    positions = np.arange(n) - (n - 1) / 2
    centred = values - values.mean()
    line_misfit = float(np.square(centred).sum()) - float(positions @ centred) ** 2 / float(
        positions @ positions
    )
    return line_misfit / (n - 2) <= levels_misfit / (n - 3) if n > 3 else False


def _shift_interval(before: Floats, after: Floats) -> tuple[float, float]:
    """The shifts that the two-sided Mann-Whitney test at 5% does not reject (Moses 1953)."""
    m, n = len(before), len(after)
    tail = (1 - COVERAGE) / 2
    if math.comb(m + n, n) < 2**62:
        outside = int(np.searchsorted(_mann_whitney(m, n), tail * (1 + 1e-12), side="right"))
    else:
        deviation = math.sqrt(m * n * (m + n + 1) / 12)
        outside = math.floor(m * n / 2 + float(special.ndtri(tail)) * deviation + 0.5)
    if outside < 1:
        return -math.inf, math.inf
    shifts = np.sort(np.subtract.outer(after, before), axis=None)
    return float(shifts[outside - 1]), float(shifts[-outside])


def _mann_whitney(m: int, n: int) -> Floats:
    """The probability that U is at most 0, 1, 2, ..., for m and n untied values under the null.

    The numbers of orders with each U are the coefficients of the Gaussian binomial: the product
    over i = 1..m of (1 - q^(n+i)) / (1 - q^i), whose coefficients stay integers after each i.
    """
    m, n = min(m, n), max(m, n)
    counts = np.zeros(m * n + 1, dtype=np.int64)
    counts[0] = 1
    for i in range(1, m + 1):
        counts[n + i :] -= counts[: -(n + i)].copy()
        for residue in range(i):
            counts[residue::i] = np.cumsum(counts[residue::i])
    return np.cumsum(counts) / math.comb(m + n, n)
