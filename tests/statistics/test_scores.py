"""Intervals and comparisons, held against scipy.stats, baycomp and simulation."""

from __future__ import annotations

import math
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_cells import cell, no_rows, rows_of
from scipy import optimize, stats
from statsmodels.formula.api import ols
from statsmodels.stats.anova import anova_lm

from harness.contract.values import Planned
from harness.statistics import multiplicity
from harness.statistics.scores import (
    Basis,
    Cell,
    Comparison,
    RowScores,
    against_best,
    best,
    cells,
    compare,
    holm,
    interval,
    likelihood_interval,
)

if TYPE_CHECKING:
    from harness.contract.values import SplitKind

KINDS: tuple[SplitKind, ...] = ("fresh", "resampled", "fixed")


UNREAD = RowScores(no_rows)


def test_fresh_draws_have_a_plain_t_interval() -> None:
    scores = [0.71, 0.78, 0.74, 0.69, 0.80]
    found = interval(cell("fresh", scores), "accuracy")
    expected = stats.t.interval(0.95, 4, loc=np.mean(scores), scale=stats.sem(scores))
    assert (found.low, found.high) == pytest.approx(expected)
    assert found.basis == Basis.DRAWS


def test_resampled_splits_have_nadeau_and_bengios_variance() -> None:
    scores = [0.31, 0.38, 0.34, 0.29, 0.40]
    found = interval(cell("resampled", nll=scores, n_train=80, n_test=20), "nll")
    scale = np.std(scores, ddof=1) * math.sqrt(1 / 5 + 20 / 80)
    expected = stats.t.interval(0.95, 4, loc=np.mean(scores), scale=scale)
    assert (found.low, found.high) == pytest.approx(expected)
    assert found.basis == Basis.SPLITS


@pytest.mark.parametrize(
    ("kind", "repeats", "n"),
    [("fixed", 5, 20), ("fresh", 1, 20), ("resampled", 1, 20), ("fresh", 5, 100)],
)
@pytest.mark.parametrize("right", [0, 7, 19, 20])
def test_where_repeats_say_nothing_accuracy_has_wilsons_interval(
    kind: SplitKind, repeats: int, n: int, right: int
) -> None:
    found = interval(cell(kind, [right / 20] * repeats), "accuracy")
    exact = stats.binomtest(right * n // 20, n).proportion_ci(0.95, method="wilson")
    assert (found.low, found.high) == pytest.approx((exact.low, exact.high))
    assert found.basis == Basis.WILSON


def test_resampled_splits_that_agree_are_worth_fewer_rows_than_they_have() -> None:
    agreeing = cell("resampled", [0.9] * 10, n_train=80, n_test=20)
    assert agreeing.rows == pytest.approx(1 / (1 / (10 * 20) + 1 / 80))
    assert 20 < agreeing.rows < 80  # more than one test part, less than the table


def test_one_repeat_and_fixed_splits_have_a_t_interval_over_rows_for_the_nll() -> None:
    losses = np.random.default_rng(0).exponential(size=80)
    sd = float(losses.std(ddof=1))
    expected = stats.t.interval(0.95, 79, loc=losses.mean(), scale=stats.sem(losses))
    for kind in KINDS:
        found = interval(cell(kind, nll=[losses.mean()], nll_sd=sd, n_test=80), "nll")
        assert (found.low, found.high) == pytest.approx(expected)
    seeds = interval(cell("fixed", nll=[losses.mean()] * 3, nll_sd=sd, n_test=80), "nll")
    assert (seeds.low, seeds.high) == pytest.approx(expected)


def test_a_single_test_row_gives_the_nll_no_interval() -> None:
    found = interval(cell("fresh", nll=[0.7], n_test=1, nll_sd=0.0), "nll")
    assert math.isnan(found.low)
    assert math.isnan(found.high)
    assert likelihood_interval(found).basis == Basis.FEW_CARRYING


@pytest.mark.parametrize(("wrong", "shown"), [(0, False), (2, False), (40, True)])
def test_an_nll_that_a_handful_of_wrong_rows_make_up_has_no_interval(
    wrong: int, shown: bool
) -> None:
    losses = np.array([3.0] * wrong + [0.01] * (400 - wrong))
    one = cell("fresh", nll=[losses.mean()], nll_sd=float(losses.std(ddof=1)), n_test=400)
    found = interval(one, "nll")
    assert (found.basis == Basis.ROWS) == shown
    assert (found.basis == Basis.FEW_CARRYING) != shown
    missed = np.append(losses, 1 + math.log(400))  # one more row, which was missed by chance
    assert one.carrying == pytest.approx(missed.sum() ** 2 / np.square(missed).sum(), rel=0.01)
    assert interval(one, "accuracy").basis == Basis.WILSON


@given(
    st.sampled_from(KINDS),
    st.lists(st.integers(0, 20), min_size=1, max_size=12),
    st.integers(1, 1000),
)
def test_an_accuracys_interval_holds_the_mean_and_keeps_within_0_and_1(
    kind: SplitKind, right: list[int], n_train: int
) -> None:
    scores = [k / 20 for k in right]
    found = interval(cell(kind, scores, n_train=n_train), "accuracy")
    assert 0 <= found.low <= np.mean(scores) + 1e-12
    assert np.mean(scores) - 1e-12 <= found.high <= 1


@given(
    st.sampled_from(KINDS),
    st.lists(st.floats(0, 36.05), min_size=1, max_size=12),
    st.floats(0, 10),
)
def test_the_likelihoods_interval_is_the_nlls_turned_around(
    kind: SplitKind, nll: list[float], sd: float
) -> None:
    found = interval(cell(kind, nll=nll, nll_sd=sd, n_test=200), "nll")
    if found.basis == Basis.FEW_CARRYING:
        assert math.isnan(found.low)
        return
    assert 0 <= found.low <= np.mean(nll) + 1e-9
    assert np.mean(nll) - 1e-9 <= found.high
    turned = likelihood_interval(found)
    assert (turned.low, turned.high) == (math.exp(-found.high), math.exp(-found.low))
    assert 0 <= turned.low <= turned.high <= 1


@pytest.mark.parametrize("runs", [1, 3])
def test_the_corrected_t_test_agrees_with_baycomp(runs: int) -> None:
    import baycomp

    rng = np.random.default_rng(runs)
    folds = 5
    a, b = rng.normal(0.8, 0.05, folds * runs), rng.normal(0.78, 0.05, folds * runs)
    left, right = baycomp.two_on_single(a, b, rope=0, runs=runs)
    ours, theirs = (cell("resampled", x.tolist(), n_train=folds - 1, n_test=1) for x in (a, b))
    found = compare(ours, theirs, "accuracy", UNREAD)
    assert found.p_value == pytest.approx(2 * min(left, right))
    assert found.difference == pytest.approx(np.mean(a - b))
    posterior = baycomp.CorrelatedTTest(b, a, runs=runs)  # of the second less the first
    within = stats.t.interval(0.95, posterior.df, posterior.mean, np.sqrt(posterior.var))
    assert (found.low, found.high) == pytest.approx(within)


def test_fresh_draws_are_compared_by_a_paired_t_test() -> None:
    a, b = [0.3, 0.5, 0.2, 0.6], [0.4, 0.7, 0.2, 0.9]
    found = compare(cell("fresh", nll=a), cell("fresh", nll=b), "nll", UNREAD)
    expected = stats.ttest_rel(a, b)
    assert found.p_value == pytest.approx(expected.pvalue)
    assert (found.low, found.high) == pytest.approx(tuple(expected.confidence_interval(0.95)))


def test_one_repeat_is_compared_row_by_row() -> None:
    rng = np.random.default_rng(1)
    a, b = rng.exponential(0.5, 60), rng.exponential(0.9, 60)
    rows = rows_of({1: a, 2: b})
    ours, theirs = (
        cell("fresh", [float(np.mean(x < 0.5))], [float(x.mean())], first_id=i, n_test=60)
        for i, x in ((1, a), (2, b))
    )
    nll = compare(ours, theirs, "nll", rows)
    expected = stats.ttest_rel(a, b)
    assert nll.p_value == pytest.approx(expected.pvalue)
    assert (nll.low, nll.high) == pytest.approx(tuple(expected.confidence_interval(0.95)))
    accuracy = compare(ours, theirs, "accuracy", rows)
    better, worse = sum((a < 0.5) & (b >= 0.5)), sum((a >= 0.5) & (b < 0.5))
    exact = stats.binomtest(int(better), int(better + worse)).pvalue
    assert accuracy.p_value == pytest.approx(exact)
    assert accuracy.basis == "McNemar's exact test"


def test_a_fixed_split_is_compared_over_rows_and_seeds() -> None:
    rng = np.random.default_rng(2)
    a, b = rng.exponential(0.5, (3, 60)), rng.exponential(0.6, (3, 60))
    rows = rows_of({i + 1: x for i, x in enumerate([*a, *b])})
    ours = cell("fixed", (a < 0.5).mean(1).tolist(), a.mean(1).tolist(), n_test=60)
    theirs = cell("fixed", (b < 0.5).mean(1).tolist(), b.mean(1).tolist(), first_id=4, n_test=60)
    for score, right in (("nll", a - b), ("accuracy", (a < 0.5) * 1.0 - (b < 0.5))):
        found = compare(ours, theirs, score, rows)  # type: ignore[arg-type]
        # The mean squares of an analysis of variance with two factors, as statsmodels has them.
        table = pd.DataFrame(right).stack().rename_axis(["seed", "row"]).rename("d").reset_index()
        squares = anova_lm(ols("d ~ C(seed) + C(row)", table).fit())["mean_sq"]
        S, R, E = (squares[name] for name in ("C(seed)", "C(row)", "Residual"))

        def half(p: float, rows: float = max(R - E, 0.0), S: float = S) -> float:
            parts = rows * stats.t.isf(p / 2, 59) ** 2 + S * stats.t.isf(p / 2, 2) ** 2
            return math.sqrt(parts / 180)

        assert half(found.p_value) == pytest.approx(abs(right.mean()))
        ends = right.mean() - half(0.05), right.mean() + half(0.05)
        assert (found.low, found.high) == pytest.approx(ends)
        assert found.below(found.low) == pytest.approx(0.025)
        assert found.below(found.high) == pytest.approx(0.975)
        assert found.basis == "paired t over test rows and seeds"
        assert not found.of_fits


@pytest.mark.parametrize("seeds", [2, 3, 5])
def test_few_seeds_whose_variance_is_small_by_chance_make_nobody_sure(seeds: int) -> None:
    """Equal models whose fits differ by more than the test rows explain: p < .001 in .1%.

    docs/measurements/statistics.md has the rates of 3000 comparisons each.
    """
    rng, simulations, n = np.random.default_rng(seeds), 400, 40
    least = 0
    for _ in range(simulations):
        x = rng.normal(size=(2, seeds, n)) + rng.normal(0, 0.5, (2, seeds, 1)) + 9
        scored = rows_of({i + 1: one for i, one in enumerate(x.reshape(-1, n))})
        means = x.mean(axis=2)
        ours = cell("fixed", nll=means[0].tolist(), n_test=n)
        theirs = cell("fixed", nll=means[1].tolist(), first_id=seeds + 1, n_test=n)
        least += compare(ours, theirs, "nll", scored).p_value < 0.001
    assert stats.binomtest(least, simulations).proportion_ci(0.95, method="wilson").low <= 0.001


def test_one_seed_on_a_fixed_split_speaks_of_the_two_fits_only() -> None:
    rng = np.random.default_rng(2)
    a, b = rng.exponential(0.5, 60), rng.exponential(0.6, 60)
    for kind, speaks_of_fits in (("fixed", True), ("fresh", False)):
        one, other = (
            cell(kind, nll=[x.mean()], first_id=i, n_test=60)  # type: ignore[arg-type]
            for i, x in ((1, a), (2, b))
        )
        assert compare(one, other, "nll", rows_of({1: a, 2: b})).of_fits == speaks_of_fits


def test_seeds_that_make_no_difference_leave_the_rows() -> None:
    rng = np.random.default_rng(2)
    a, b = rng.exponential(0.5, 60), rng.exponential(0.6, 60)
    rows = rows_of({1: a, 2: a, 3: b, 4: b})
    ours = cell("fixed", nll=[a.mean()] * 2, n_test=60)
    theirs = cell("fixed", nll=[b.mean()] * 2, first_id=3, n_test=60)
    found = compare(ours, theirs, "nll", rows)
    assert found.p_value == pytest.approx(stats.ttest_rel(a, b).pvalue)
    assert found.basis == "paired t over test rows"


def test_repeats_that_differ_by_the_same_amount_are_compared_row_by_row() -> None:
    ours = [0.1] * 18 + [0.9] * 2
    theirs = [0.1] * 12 + [0.9] * 8
    rows = rows_of({1: ours, 2: ours, 3: theirs, 4: theirs})
    a, b = cell("resampled", [0.9, 0.9]), cell("resampled", [0.6, 0.6], first_id=3)
    found = compare(a, b, "accuracy", rows)
    assert found.basis == "paired t over test rows"
    assert 0.001 < found.p_value < 0.05
    fresh = compare(
        cell("fresh", [0.9, 0.9]), cell("fresh", [0.6, 0.6], first_id=3), "accuracy", rows
    )
    assert fresh.p_value == pytest.approx(stats.binomtest(0, 12).pvalue)  # McNemar, rows pooled


def test_rows_that_all_differ_by_the_same_amount_are_compared_by_their_sign() -> None:
    rows = rows_of({1: [0.25] * 8, 2: [0.75] * 8})
    a, b = (cell("fresh", nll=[x], first_id=i, n_test=8) for i, x in ((1, 0.25), (2, 0.75)))
    assert compare(a, b, "nll", rows).p_value == pytest.approx(2 * 0.5**8)


def test_contenders_with_the_same_scores_are_not_told_apart() -> None:
    for kind in KINDS:
        rows = rows_of({i: [0.2] * 19 + [0.9] for i in range(1, 9)})
        a, b = cell(kind, [0.95, 0.95]), cell(kind, [0.95, 0.95], first_id=3)
        assert compare(a, b, "accuracy", rows).p_value == 1.0


def test_only_repeats_that_both_have_are_compared() -> None:
    a = cell("fresh", [0.9, 0.8, 0.85, 0.1], repeats=[0, 1, 2, 3])
    b = cell("fresh", [0.7, 0.65, 0.6], repeats=[0, 1, 2], total=4)
    found = compare(a, b, "accuracy", UNREAD)
    assert found.p_value == pytest.approx(stats.ttest_rel([0.9, 0.8, 0.85], b.accuracy).pvalue)
    apart = compare(a, cell("fresh", [0.1], repeats=[7], total=4), "accuracy", UNREAD)
    assert math.isnan(apart.p_value)
    assert not apart.told_apart


def test_what_is_incomplete_is_never_the_best_and_never_worse_while_it_leads() -> None:
    whole = cell("fresh", [0.7, 0.72, 0.69, 0.71])
    partial = cell("fresh", [0.99, 0.98, 0.99], repeats=[0, 1, 2], total=4)
    contenders = {"whole": whole, "partial": partial}
    assert best(contenders, "accuracy") == "whole"
    assert not against_best(contenders, "accuracy", UNREAD)["partial"].told_apart
    assert against_best({"partial": partial}, "accuracy", UNREAD) == {}


def equal_fields(m: int, J: int, simulations: int, copies: bool) -> list[dict[int, Cell]]:
    """Fields of m equal models; where there are copies, groups of five are nearly the same."""
    rng = np.random.default_rng([m, J])
    own = rng.normal(size=(simulations, m, J))
    if copies:
        own = 0.3 * own + rng.normal(size=(simulations, -(-m // 5), J)).repeat(5, axis=1)[:, :m]
    return [{k: cell("fresh", nll=(9 + x).tolist()) for k, x in enumerate(one)} for one in own]


@pytest.mark.parametrize("copies", [False, True])
@pytest.mark.parametrize(("m", "J"), [(2, 5), (4, 5), (10, 5), (40, 5), (10, 20)])
def test_of_equal_models_any_is_told_apart_from_the_leader_in_one_of_twenty_cases(
    m: int, J: int, copies: bool
) -> None:
    n = 300
    alarms = sum(
        any(one.told_apart for one in against_best(field, "nll", UNREAD).values())
        for field in equal_fields(m, J, n, copies)
    )
    assert stats.binomtest(alarms, n).proportion_ci(0.95, method="wilson").low <= 0.06


def test_a_model_that_is_clearly_worse_does_not_hide_one_that_is_worse_by_less() -> None:
    rng = np.random.default_rng(0)
    behind = {"best": 0.0, "second": 0.5, "third": 0.5, "last": 30.0, "lost": 40.0}
    field = {
        name: cell("fresh", nll=(9 + loss + rng.normal(scale=0.1, size=8)).tolist())
        for name, loss in behind.items()
    }
    found = against_best(field, "nll", UNREAD)
    assert all(one.told_apart for one in found.values())


@pytest.mark.parametrize("m", [2, 3, 10, 40])
def test_p_values_over_rows_allow_for_the_range_of_all_models(m: int) -> None:
    for p in (0.2, 0.01, 1e-4):
        width = math.sqrt(2) * stats.norm.isf(p / 2)
        expected = stats.studentized_range.sf(width, m, np.inf)
        assert multiplicity.range_p_value(p, m) == pytest.approx(expected, rel=1e-3)


@cache
def mcnemar(better: int, worse: int, n: int) -> Comparison:
    """One contender against another on n rows, of which so many only one has right."""
    ours = [0.1] * better + [0.9] * worse + [0.1] * (n - better - worse)
    theirs = [0.9] * better + [0.1] * worse + [0.1] * (n - better - worse)
    a, b = (
        cell("fresh", [float(np.mean(np.array(x) < 0.5))], first_id=i, n_test=n)
        for i, x in ((1, ours), (2, theirs))
    )
    return compare(a, b, "accuracy", rows_of({1: ours, 2: theirs}))


@pytest.mark.parametrize(("better", "worse", "n"), [(15, 3, 60), (0, 9, 40), (30, 2, 33)])
def test_mcnemars_interval_ends_where_the_score_test_ceases_to_reject(
    better: int, worse: int, n: int
) -> None:
    """Tango's statistic, with the likeliest shares found by search."""
    found = mcnemar(better, worse, n)
    assert found.told_apart
    for delta in (found.low, found.high):

        def unlikely(q: float, delta: float = delta) -> float:
            shares = q + delta, q, 1 - 2 * q - delta
            counts = better, worse, n - better - worse
            return -sum(k * math.log(max(p, 1e-12)) for k, p in zip(counts, shares, strict=True))

        ends = max(0.0, -delta), (1 - delta) / 2
        q = optimize.minimize_scalar(
            unlikely, bounds=ends, method="bounded", options={"xatol": 1e-10}
        ).x
        deviation = math.sqrt(n * (2 * q + delta - delta**2))
        assert abs(better - worse - n * delta) / deviation == pytest.approx(1.96, abs=2e-3)


def test_rows_that_are_all_alike_leave_an_interval_for_accuracy() -> None:
    z2 = stats.norm.ppf(0.975) ** 2
    found = mcnemar(0, 0, 40)
    assert (found.p_value, found.high) == pytest.approx((1.0, z2 / (40 + z2)))
    assert found.low == pytest.approx(-found.high)
    assert found.visible == pytest.approx(stats.beta.ppf(0.8, 6, 35))


@given(st.integers(0, 60), st.integers(0, 60), st.integers(1, 300))
def test_mcnemars_interval_leaves_0_out_where_the_contenders_are_told_apart(
    better: int, worse: int, others: int
) -> None:
    found = mcnemar(better, worse, better + worse + others)
    assert -1 <= found.low <= found.difference + 1e-9
    assert found.difference - 1e-9 <= found.high <= 1
    assert found.told_apart != (found.low <= 0 <= found.high)


@pytest.mark.parametrize(("one", "both"), [(0.15, 0.8), (0.02, 0.95), (0.05, 0.9)])
def test_mcnemars_interval_covers(one: float, both: float) -> None:
    """The coverage is exact: the sum of the chances of all counts whose interval covers."""
    n, other = 60, 1 - one - both
    chances = {
        (k, m): stats.multinomial.pmf((k, m, n - k - m), n, (one, other, both))
        for k in range(n + 1)
        for m in range(n + 1 - k)
    }
    likely = {counts: chance for counts, chance in chances.items() if chance > 1e-4}
    assert sum(likely.values()) > 0.99
    covering = 0.0
    for (k, m), chance in likely.items():
        found = mcnemar(k, m, n)
        covering += chance * (found.low - 1e-9 <= one - other <= found.high + 1e-9)
    assert covering >= 0.94


@pytest.mark.parametrize("kind", ["fresh", "resampled"])
def test_the_visible_difference_is_told_apart_in_four_of_five_cases(kind: SplitKind) -> None:
    a, b = [0.3, 0.5, 0.2, 0.6, 0.4], [0.4, 0.7, 0.2, 0.9, 0.4]
    found = compare(cell(kind, nll=a), cell(kind, nll=b), "nll", UNREAD)
    spread = (found.high - found.low) / 2 / stats.t.ppf(0.975, 4)
    power = stats.nct.sf(stats.t.ppf(0.975, 4), 4, found.visible / spread)
    assert power == pytest.approx(0.8, abs=1e-6)


def test_the_visible_difference_in_accuracy_is_told_apart_about_as_often() -> None:
    rng, n, one, other = np.random.default_rng(5), 400, 0.09, 0.04
    visible = mcnemar(round(n * one), round(n * other), n).visible
    assert visible == pytest.approx(one - other, abs=0.005)
    shares = ((one + other + visible) / 2, (one + other - visible) / 2)
    counts = rng.multinomial(n, (*shares, 1 - sum(shares)), 600)
    seen = np.mean([mcnemar(int(k), int(m), n).told_apart for k, m, _ in counts])
    assert 0.7 < seen < 0.87


def test_too_few_rows_see_no_difference() -> None:
    assert mcnemar(3, 0, 5).visible == math.inf
    rows = rows_of({1: [0.25] * 5, 2: [0.75] * 5})
    a, b = (cell("fresh", nll=[x], first_id=i, n_test=5) for i, x in ((1, 0.25), (2, 0.75)))
    found = compare(a, b, "nll", rows)
    assert (found.low, found.high, found.visible) == (-math.inf, math.inf, math.inf)
    alone = rows_of({1: [0.3], 2: [0.4]})
    a, b = (cell("fixed", nll=[x], first_id=i, n_test=1) for i, x in ((1, 0.3), (2, 0.4)))
    assert compare(a, b, "nll", alone).visible == math.inf


def test_the_same_accuracy_in_each_repeat_is_no_certainty_of_no_difference() -> None:
    """As many are right, but not the same ones: two of twenty by the one and two by the other."""
    ours, theirs = [0.9] * 2 + [0.1] * 18, [0.1] * 18 + [0.9] * 2
    rows = rows_of({**dict.fromkeys(range(1, 5), ours), **dict.fromkeys(range(5, 9), theirs)})
    alike = [
        compare(cell(kind, [0.9] * 4), cell(kind, [0.9] * 4, first_id=5), "accuracy", rows)
        for kind in KINDS[:2]
    ]
    for found in alike:
        assert found.p_value == 1.0
        assert found.low == pytest.approx(-found.high)
    fresh, resampled = alike
    assert (fresh.low, fresh.high) == pytest.approx((mcnemar(8, 8, 80).low, -fresh.low))
    assert resampled.high > fresh.high
    assert resampled.visible > fresh.visible > fresh.high
    # Where they are the same ones, it is the more certain the more there were.
    same = [
        compare(cell("fresh", [0.9] * n), cell("fresh", [0.9] * n), "accuracy", rows)
        for n in (2, 4)
    ]
    assert fresh.high > same[0].high > same[1].high > 0


def test_what_cannot_be_compared_has_no_interval() -> None:
    apart = compare(cell("fresh", [0.1]), cell("fresh", [0.2], repeats=[7]), "accuracy", UNREAD)
    assert all(math.isnan(x) for x in (apart.low, apart.high, apart.visible))


def test_the_brier_score_is_compared_as_the_nll_is() -> None:
    a, b = [0.3, 0.5, 0.2, 0.6], [0.4, 0.7, 0.2, 0.9]
    ours, theirs = cell("fresh", brier=a), cell("fresh", brier=b)
    expected = stats.ttest_rel(a, b)
    found = compare(ours, theirs, "brier", UNREAD)
    assert found.p_value == pytest.approx(expected.pvalue)
    assert (found.low, found.high) == pytest.approx(tuple(expected.confidence_interval(0.95)))
    assert interval(ours, "brier").high == pytest.approx(interval(cell(nll=a), "nll").high)
    assert best({"a": ours, "b": theirs}, "brier") == "a"
    rng = np.random.default_rng(0)
    losses = {i: rng.random(20) for i in range(1, 9)}
    rows = rows_of(losses)
    for kind, n in (("fixed", 1), ("fresh", 1), ("resampled", 1)):
        means = [[float(losses[i].mean()) for i in range(k, k + n)] for k in (1, 5)]
        for score in ("brier", "nll"):
            ours = cell(kind, **{score: means[0]})  # type: ignore[arg-type]
            theirs = cell(kind, first_id=5, **{score: means[1]})  # type: ignore[arg-type]
            found = compare(ours, theirs, score, rows)  # type: ignore[arg-type]
            assert found.basis == "paired t over test rows"
            each = np.mean([losses[i + 1] - losses[i + 5] for i in range(n)], axis=0)
            assert found.p_value == pytest.approx(stats.ttest_1samp(each, 0).pvalue)
        assert interval(ours, "brier").basis == "no row scores"
        assert interval(ours, "brier", rows).basis == "t over test rows"


@given(st.lists(st.floats(0, 1), max_size=12))
def test_holm_raises_p_values_and_keeps_their_order(p_values: list[float]) -> None:
    adjusted = holm(p_values)
    assert all(p <= q <= 1 for p, q in zip(p_values, adjusted, strict=True))
    assert np.all(np.diff(np.array(adjusted)[np.argsort(p_values)]) >= 0)
    if p_values:
        assert min(adjusted) == min(1.0, min(p_values) * len(p_values))


def test_holm_leaves_out_what_could_not_be_compared() -> None:
    assert holm([0.02, math.nan, 0.03]) == pytest.approx([0.04, math.nan, 0.04], nan_ok=True)


def results(**changes: Any) -> pd.DataFrame:
    n = 8
    columns: dict[str, Any] = {
        "result_id": range(1, n + 1),
        "dataset": "iris",
        "model": ["a", "b"] * 4,
        "device": "cpu",
        "repeat": [0, 0, 1, 1, 2, 2, 3, 3],
        "status": "ok",
        "split_kind": "resampled",
        "n_train": 80,
        "n_test": 20,
        "accuracy": np.linspace(0.6, 0.95, n),
        "nll": np.linspace(0.9, 0.4, n),
        "nll_sd": 0.5,
        "brier": np.linspace(0.6, 0.3, n),
    }
    return pd.DataFrame(columns | changes)


def test_cells_do_not_depend_on_the_order_of_rows() -> None:
    frame = results()
    expected = cells(frame)
    for seed in range(5):
        found = cells(frame.sample(frac=1, random_state=seed))
        assert found.keys() == expected.keys()
        for key, one in expected.items():
            assert np.array_equal(found[key].result_ids, one.result_ids)
            assert np.array_equal(found[key].accuracy, one.accuracy)


def test_a_repeat_that_is_missing_counts_as_much_as_one_that_failed() -> None:
    failed = results(status=["ok"] * 7 + ["failed"], n_test=[20.0] * 7 + [math.nan])
    for frame in (failed, results().iloc[:-1]):
        found = cells(frame)["iris", "b", "cpu"]
        assert (len(found.repeats), found.total, found.complete) == (3, 4, False)
        assert found.n_test == 20


def test_repeats_that_no_contender_ran_are_missing_if_they_were_planned() -> None:
    planned = [Planned("iris", model, "cpu", 6, False) for model in "ab"]
    found = cells(results(), planned)
    assert list(found) == [("iris", "a", "cpu"), ("iris", "b", "cpu")]
    for one in found.values():
        assert (len(one.repeats), one.total, one.complete) == (4, 6, False)


def test_a_planned_contender_without_a_row_has_a_cell_without_repeats() -> None:
    planned = [
        Planned("iris", "b", "cpu", 4, False),
        Planned("iris", "c", "cpu", 4, False),
        Planned("wine", "a", "cpu", 2, False),
    ]
    found = cells(results(), planned)
    assert list(found) == [
        ("iris", "b", "cpu"),
        ("iris", "c", "cpu"),
        ("wine", "a", "cpu"),
        ("iris", "a", "cpu"),
    ]
    assert found["iris", "a", "cpu"].complete  # run, although it was not planned
    for key, total in ((("iris", "c", "cpu"), 4), (("wine", "a", "cpu"), 2)):
        assert (len(found[key].repeats), found[key].total) == (0, total)
        assert math.isnan(found[key].n_train)
        assert math.isnan(interval(found[key], "nll").low)


def test_what_ran_beyond_the_plan_counts() -> None:
    """As when a run goes on with changed code, and other repeats are added."""
    found = cells(results(), [Planned("iris", "a", "cpu", 2, False)])
    assert {one.total for one in found.values()} == {4}


def test_what_was_skipped_has_no_part_in_the_repeats() -> None:
    skipped = results().assign(status=["skipped", "ok"] * 4, repeat=[9, 0, 9, 1, 9, 2, 9, 3])
    found = cells(skipped)
    assert found["iris", "b", "cpu"].complete
    assert not len(found["iris", "a", "cpu"].repeats)
    assert math.isnan(interval(found["iris", "a", "cpu"], "nll").low)


def test_nadeau_and_bengios_error_rate_is_nominal_where_the_naive_one_is_not() -> None:
    """Two equally good classifiers on 10 random splits of 200 rows, 160 to learn from.

    Each has a feature of its own, as informative as the other's, and cuts it between the means of
    the classes in its training part.
    """
    rng = np.random.default_rng(3)
    simulations, J, n, n_test = 1500, 10, 200, 40
    y = rng.random((simulations, n)) < 0.5
    X = rng.normal(size=(2, simulations, n)) + np.where(y, 0.7, -0.7)
    accuracy = np.empty((2, simulations, J))
    for j in range(J):
        test = rng.random((simulations, n)).argsort(axis=1) < n_test
        means = [
            (X * (wanted := ~test & (y == k))).sum(axis=2) / wanted.sum(axis=1) for k in (0, 1)
        ]
        cut = (means[0] + means[1]) / 2
        right = (cut[:, :, None] < X) == y
        accuracy[:, :, j] = (right & test).sum(axis=2) / n_test

    def rejected(kind: SplitKind) -> float:
        ours, theirs = ([cell(kind, x, n_train=160, n_test=40) for x in xs] for xs in accuracy)
        pairs = zip(ours, theirs, strict=True)
        return float(np.mean([compare(a, b, "accuracy", rows).told_apart for a, b in pairs]))

    def missed(kind: SplitKind) -> float:
        truth = accuracy[0].mean()
        found = [
            interval(cell(kind, scores, n_train=160, n_test=40), "accuracy")
            for scores in accuracy[0]
        ]
        return float(np.mean([not one.low <= truth <= one.high for one in found]))

    rows = rows_of({i: [0.1, 0.9] for i in range(1, J + 1)})
    assert rejected("resampled") == pytest.approx(0.05, abs=0.025)
    assert rejected("fresh") > 0.2
    assert missed("resampled") == pytest.approx(0.05, abs=0.035)
    assert missed("fresh") > 0.2
