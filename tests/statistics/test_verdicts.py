"""Signed ranks and verdicts, held against scipy, against counting by hand and against chance."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from harness.errors import UsageError
from harness.statistics.verdicts import (
    HINT,
    LOOKS,
    Change,
    benjamini_hochberg,
    hodges_lehmann,
    judge,
    look_level,
    pairs_needed,
    signed_rank,
    signed_rank_interval,
    smallest_visible,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    Draw = Callable[[np.random.Generator, int], NDArray[np.float64]]

ALPHA, BUDGET = 0.01, 0.03

untied = st.lists(st.integers(1, 10**6), min_size=1, max_size=40, unique=True).flatmap(
    lambda sizes: st.tuples(*(st.sampled_from((-1e-6 * size, 1e-6 * size)) for size in sizes))
)
tied = st.lists(st.integers(-4, 4), max_size=10)


def wilson(k: int, n: int) -> tuple[float, float]:
    found = stats.binomtest(k, n).proportion_ci(0.99, method="wilson")
    return found.low, found.high


@given(untied)
def test_without_ties_the_p_values_are_scipys(d: tuple[float, ...]) -> None:
    greater, less = signed_rank(d)
    assert greater == pytest.approx(stats.wilcoxon(d, alternative="greater", method="exact").pvalue)
    assert less == pytest.approx(stats.wilcoxon(d, alternative="less", method="exact").pvalue)


@given(tied, st.integers(-2, 2))
def test_with_ties_and_zeros_the_p_values_are_those_of_all_signs(d: list[int], shift: int) -> None:
    x = np.array(d, dtype=float) - shift
    ranks = stats.rankdata(np.abs(x))[x != 0]  # Pratt: ranked with the zeros, then without them
    seen = ranks[x[x != 0] > 0].sum()
    sums = np.array([np.dot(s, ranks) for s in itertools.product((0, 1), repeat=len(ranks))])
    greater, less = signed_rank(d, shift)
    assert greater == pytest.approx(np.mean(sums >= seen - 1e-9))
    assert less == pytest.approx(np.mean(sums <= seen + 1e-9))


@pytest.mark.parametrize("d", [[], [0.0], [0.0] * 30])
def test_nothing_is_said_by_no_values_and_by_zeros(d: list[float]) -> None:
    assert signed_rank(d) == (1.0, 1.0)


def test_a_hundred_values_have_exact_p_values() -> None:
    d = np.random.default_rng(0).normal(0.2, size=100)
    expected = stats.wilcoxon(d, alternative="greater", method="exact").pvalue
    assert signed_rank(d)[0] == pytest.approx(expected, rel=1e-9)
    assert signed_rank(np.ones(100))[0] == pytest.approx(2.0**-100)


@given(tied.filter(bool))
def test_hodges_and_lehmanns_estimate_is_the_median_of_walsh_averages(d: list[int]) -> None:
    averages = [(a + b) / 2 for i, a in enumerate(d) for b in d[i:]]
    assert hodges_lehmann(d) == pytest.approx(np.median(averages))


@given(untied, st.sampled_from([0.5, 0.9, 0.95, 0.99, 0.998]))
def test_the_interval_holds_what_the_exact_test_does_not_reject(
    d: tuple[float, ...], level: float
) -> None:
    low, high = signed_rank_interval(d, level)
    if 2 * 0.5 ** len(d) > 1 - level:
        assert (low, high) == (-math.inf, math.inf)
        return
    tail = (1 - level) / 2
    assert low <= hodges_lehmann(d) <= high
    step = 1e-9  # less than half of the values' grid
    for end, sign in ((low, 1), (high, -1)):
        assert min(signed_rank(d, end + sign * step)) > tail or high - low < 2 * step
        assert min(signed_rank(d, end - sign * step)) <= tail * (1 + 1e-9)


@given(tied.filter(bool), st.integers(-24, 24))
def test_with_ties_the_interval_misses_nothing_that_the_test_allows(
    d: list[int], eighths: int
) -> None:
    low, high = signed_rank_interval(d, 0.9)
    shift = eighths / 8  # whole in binary, so that no rounding makes or breaks a tie
    if not low <= shift <= high:
        assert 2 * min(signed_rank(d, shift)) <= 0.1 + 1e-12


def test_the_interval_is_infinite_where_there_are_too_few_values() -> None:
    assert signed_rank_interval([], 0.5) == (-math.inf, math.inf)
    assert signed_rank_interval([1.0] * 5, 0.95) == (-math.inf, math.inf)
    assert signed_rank_interval([1.0] * 6, 0.95) == (1.0, 1.0)


@pytest.mark.parametrize("n", [10, 24, 54])
@pytest.mark.parametrize("shape", ["normal", "laplace", "t"])
def test_the_smallest_visible_change_is_seen_about_as_often_as_it_says(shape: str, n: int) -> None:
    rng = np.random.default_rng(n)
    seen, new = (
        rng.standard_t(3, (400, n)) if shape == "t" else getattr(rng, shape)(size=(400, n))
        for _ in range(2)
    )
    found = [
        signed_rank(noise + smallest_visible(known, look_level(ALPHA)))[0] < look_level(ALPHA)
        for known, noise in zip(seen, new, strict=True)
    ]
    assert 0.65 < np.mean(found) < 0.87


def test_no_change_is_visible_where_no_p_value_is_small_enough() -> None:
    assert smallest_visible([], 0.05) == math.inf
    assert smallest_visible([0.1, 0.2, 0.3, 0.2], 0.05) == math.inf
    assert smallest_visible([0.1, 0.2, 0.3, 0.2, 0.15], 0.05) < math.inf


@pytest.mark.parametrize(
    ("centre", "verdict"),
    [(0.05, "slower"), (0.02, "slower"), (-0.05, "faster"), (0.0, "same"), (0.026, "slower")],
)
def test_verdicts_on_little_noise(centre: float, verdict: str) -> None:
    noise = np.tile([-0.003, -0.001, 0.001, 0.003], 6) * np.linspace(0.8, 1.2, 24)
    found = judge(centre + noise, budget=BUDGET, alpha=ALPHA)
    assert found.verdict == verdict
    assert found.low <= found.effect <= found.high
    assert found.effect == pytest.approx(centre, abs=1e-3)


def test_noise_that_hides_the_budget_is_undecided_and_says_what_it_would_take() -> None:
    noise = stats.norm.ppf((np.arange(10) + 0.5) / 10) * 0.04
    found = judge(noise, budget=BUDGET, alpha=ALPHA)
    assert found.verdict == "undecided"
    assert smallest_visible(noise, found.level) > math.log1p(BUDGET)
    pairs = pairs_needed(found, BUDGET, ALPHA)
    assert pairs is not None
    assert 10 < pairs < 100
    more = stats.norm.ppf((np.arange(pairs) + 0.5) / pairs) * 0.04
    assert judge(more, budget=BUDGET, alpha=ALPHA).verdict == "same"
    assert pairs_needed(noise, BUDGET, ALPHA) == pairs
    assert pairs_needed(noise * 100, BUDGET, ALPHA) is None
    assert pairs_needed([0.1], BUDGET, ALPHA) is None
    assert pairs_needed([0.1] * 5, BUDGET, ALPHA) == 9  # 2^-9 is the first power below .002
    assert pairs_needed(more, BUDGET, ALPHA) == pairs  # decided


def test_what_looks_slower_within_the_budget_is_not_called_the_same() -> None:
    """Surely less than 3% slower, and almost surely slower: more pairs will tell."""
    noise = np.tile([-0.01, -0.004, 0.004, 0.01], 4) * np.linspace(0.8, 1.2, 16)
    found = judge(0.005 + noise, budget=BUDGET, alpha=ALPHA)
    assert found.p_over < found.level < found.p_slower < HINT
    assert found.verdict == "undecided"
    pairs = pairs_needed(found, BUDGET, ALPHA)
    assert pairs is not None
    assert 16 < pairs < 100
    assert judge(noise, budget=BUDGET, alpha=ALPHA).verdict == "same"


@pytest.mark.parametrize("noise", ["normal", "t3"])
def test_two_percent_are_seldom_called_the_same_and_nothing_mostly_is(noise: str) -> None:
    rng, simulations = np.random.default_rng(3), 600
    ends = {
        size: [end(size + NOISES[noise](rng, LOOKS[-1])) for _ in range(simulations)]
        for size in (0.0, math.log1p(0.02))
    }
    assert wilson(ends[math.log1p(0.02)].count("same"), simulations)[1] <= 0.1
    assert wilson(ends[0.0].count("same"), simulations)[0] >= 0.9
    assert wilson(ends[0.0].count("slower"), simulations)[0] <= ALPHA


def end(d: NDArray[np.float64]) -> str:
    """The verdict of whoever stops at the first look that decides."""
    looks = (judge(d[:n], budget=BUDGET, alpha=ALPHA).verdict for n in LOOKS)
    return next((verdict for verdict in looks if verdict != "undecided"), "undecided")


def test_no_pairs_are_undecided() -> None:
    found = judge([], budget=BUDGET, alpha=ALPHA)
    assert (found.verdict, found.n, found.low, found.high) == ("undecided", 0, -math.inf, math.inf)


def test_a_single_look_spends_all_of_alpha() -> None:
    d = [0.01 * k for k in range(1, 8)]
    assert judge(d, budget=BUDGET, alpha=ALPHA).verdict == "undecided"
    once = judge(d, budget=BUDGET, alpha=ALPHA, looks=False)
    assert (once.verdict, once.level) == ("slower", ALPHA)
    assert (once.low, once.high) == signed_rank_interval(d, 0.95)


@pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf])
def test_values_that_are_no_numbers_are_refused_by_name(wrong: float) -> None:
    with pytest.raises(UsageError, match=f"value 2 of 3 is {wrong}"):
        judge([0.1, wrong, 0.2], budget=BUDGET, alpha=ALPHA)


@pytest.mark.parametrize(("budget", "alpha"), [(-0.1, 0.01), (math.nan, 0.01), (0.1, 0), (0.1, 1)])
def test_a_budget_or_alpha_out_of_range_is_refused(budget: float, alpha: float) -> None:
    with pytest.raises(UsageError, match=r"alpha is|budget is"):
        judge([0.1], budget=budget, alpha=alpha)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_benjamini_and_hochbergs_p_values_are_scipys(p_values: list[float]) -> None:
    assert benjamini_hochberg(p_values) == pytest.approx(stats.false_discovery_control(p_values))


def test_what_could_not_be_tested_does_not_count() -> None:
    adjusted = benjamini_hochberg([0.02, math.nan, 0.03])
    assert adjusted == pytest.approx([0.03, math.nan, 0.03], nan_ok=True)
    assert benjamini_hochberg([]) == []


def skewed(rng: np.random.Generator, n: int) -> NDArray[np.float64]:
    """Log-ratios of times with a long tail: equal versions make them symmetric all the same."""
    times = 1 + 0.02 * rng.lognormal(sigma=1.5, size=(2, n))
    log_ratios: NDArray[np.float64] = np.log(times[1] / times[0])
    return log_ratios


NOISES: dict[str, Draw] = {
    "normal": lambda rng, n: rng.normal(0, 0.03, n),
    "t3": lambda rng, n: 0.02 * rng.standard_t(3, n),
    "skewed": skewed,
}


@pytest.mark.parametrize("noise", NOISES)
def test_looking_again_and_again_keeps_the_error_rate_and_the_coverage(noise: str) -> None:
    """Pairs are added until something is called slower or faster, which none is."""
    rng, alpha, simulations = np.random.default_rng(2), 0.05, 800
    slower, faster, over, missed = follow(NOISES[noise], rng, alpha, simulations)
    for alarms in (slower, faster, over):
        assert wilson(alarms, simulations)[0] <= alpha
    assert wilson(missed, simulations)[0] <= 0.05


def follow(draw: Draw, rng: np.random.Generator, alpha: float, simulations: int) -> Sequence[int]:
    """How often a null was called slower, faster, or within a budget at its edge; and missed.

    The intervals that count are those of whoever stops at the first one that leaves the truth out.
    """
    slower = faster = over = missed = 0
    for _ in range(simulations):
        d = draw(rng, LOOKS[-1])
        looks = [judge(d[:n], budget=0.0, alpha=alpha) for n in LOOKS]
        slower += any(one.p_slower < one.level for one in looks)
        faster += any(one.p_faster < one.level for one in looks)
        over += any(one.p_over < one.level for one in looks)
        missed += any(not one.low <= 0 <= one.high for one in looks)
    return slower, faster, over, missed


@pytest.mark.parametrize("noise", NOISES)
def test_who_stops_at_the_first_decided_look_keeps_alpha_and_the_coverage(noise: str) -> None:
    """As the command does it: the verdict and the interval that count are those of the last look.

    A false alarm is "slower" or "faster" of equal versions, and "same" of one slower by the budget.
    """
    rng, alpha, simulations = np.random.default_rng(3), 0.05, 600
    for truth, false in ((0.0, ("slower", "faster")), (math.log1p(BUDGET), ("same",))):
        alarms = dict.fromkeys(false, 0)
        missed = 0
        for _ in range(simulations):
            found = stopped(NOISES[noise](rng, LOOKS[-1]) + truth, alpha)
            missed += not found.low <= truth <= found.high
            if found.verdict in false:
                alarms[found.verdict] += 1
        assert all(k <= alpha * simulations for k in alarms.values())
        assert wilson(missed, simulations)[0] <= 0.05


def stopped(d: NDArray[np.float64], alpha: float) -> Change:
    """What the first look that decides says; the last one where none does."""
    looks = (judge(d[:n], budget=BUDGET, alpha=alpha) for n in LOOKS)
    found = next(looks)
    while found.verdict == "undecided" and found.n < LOOKS[-1]:
        found = next(looks)
    return found
