"""Steps in series: known ones, held against scipy and against brute force, and simulated ones."""

from __future__ import annotations

import itertools
import math
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from harness.errors import UsageError
from harness.statistics.changepoints import ALPHA, Step, change_points, change_points_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Draw = Callable[[np.random.Generator, int], NDArray[np.float64]]

SD = 0.009
NOISES: dict[str, Draw] = {
    "normal": lambda rng, n: rng.normal(0, SD, n),
    "t3": lambda rng, n: SD * rng.standard_t(3, n),
}


def wilson(k: int, n: int) -> tuple[float, float]:
    found = stats.binomtest(k, n).proportion_ci(0.95, method="wilson")
    return found.low, found.high


def noise(n: int, seed: int = 0) -> NDArray[np.float64]:
    return np.random.default_rng(seed).normal(0, SD, n)


def indices(steps: tuple[Step, ...]) -> list[int]:
    return [step.index for step in steps]


def test_a_step_is_found_where_it_is_and_as_big_as_it_is() -> None:
    values = noise(30) + np.repeat([0, 0.1], [20, 10])
    (step,) = change_points(values)
    assert step.index == 20
    assert step.size == pytest.approx(np.median(values[20:]) - np.median(values[:20]))
    assert step.low < 0.1 < step.high
    assert step.low < step.size < step.high
    assert step.p_value == 1 / 10000
    assert step.firm


def test_steps_up_and_down_are_found_and_each_sized_beside_its_neighbours() -> None:
    levels = np.repeat([0, 0.1, 0.2, 0.1, 0.05], 40)
    steps = change_points(levels + noise(200))
    assert indices(steps) == [40, 80, 120, 160]
    assert [step.size for step in steps] == pytest.approx([0.1, 0.1, -0.1, -0.05], abs=0.01)


def test_a_step_is_firm_once_five_points_stand_after_it() -> None:
    values = noise(30) + np.repeat([0, 0.1], [20, 10])
    for after, firm in ((4, False), (5, True), (10, True)):
        (step,) = change_points(values[: 20 + after])
        assert (step.index, step.firm) == (20, firm)


def test_a_second_step_ends_the_segment_of_the_first() -> None:
    values = noise(44) + np.repeat([0, 0.1, 0.3], [20, 4, 20])
    assert [(step.index, step.firm) for step in change_points(values)] == [(20, False), (24, True)]


def test_one_wild_point_is_no_step() -> None:
    values = noise(30)
    values[17] = 5.0
    assert change_points(values) == ()


@pytest.mark.parametrize("n", range(6))
def test_fewer_points_than_two_segments_have_no_step(n: int) -> None:
    assert change_points(np.arange(n)) == ()
    assert change_points_of({"short": np.arange(n)}) == {"short": ()}


def test_a_constant_series_has_no_step() -> None:
    assert change_points(np.ones(50)) == ()


@given(st.lists(st.integers(0, 3), max_size=40), st.integers(1, 6))
def test_segments_are_never_shorter_than_asked_for(values: list[int], least: int) -> None:
    steps = change_points(values, min_segment=least, alpha=0.2, n_permutations=199)
    ends = [0, *indices(steps), len(values)]
    assert not steps or np.diff(ends).min() >= least
    assert all(step.p_value <= 0.2 for step in steps)
    assert steps == change_points(values, min_segment=least, alpha=0.2, n_permutations=199)


@pytest.mark.parametrize("values", [[1, 2, 3, 5, 6, 9, 8], [1, 2, 1, 5, 6, 5], [3, 1, 4, 9, 7, 8]])
def test_the_p_value_is_the_share_of_all_orders_with_as_good_a_split(values: list[int]) -> None:
    def best(order: tuple[float, ...]) -> float:
        n, mean = len(order), float(np.mean(order))
        return max(abs(sum(order[:k]) - k * mean) / math.sqrt(k * (n - k)) for k in range(2, n - 1))

    ranks = tuple(stats.rankdata(values))
    share = np.mean([best(x) >= best(ranks) - 1e-9 for x in itertools.permutations(ranks)])
    how: dict[str, Any] = {"min_segment": 2, "alpha": 0.3, "n_permutations": 20000}
    (step,) = change_points(values, **how, independent=True)
    assert step.p_value == pytest.approx(share, rel=0.3)
    assert all(other.p_value >= step.p_value for other in change_points(values, **how))


@pytest.mark.parametrize(("before", "after"), [(4, 4), (20, 10), (7, 25), (60, 70)])
def test_the_interval_holds_the_shifts_that_mann_and_whitney_allow(before: int, after: int) -> None:
    x, y = noise(before, seed=1), noise(after, seed=2) + 0.5
    (step,) = change_points([*x, *y], alpha=0.05)
    method = "exact" if before < 60 else "asymptotic"

    def p_value(shift: float) -> float:
        return float(stats.mannwhitneyu(y - shift, x, method=method).pvalue)

    for end, inward in ((step.low, 1e-9), (step.high, -1e-9)):
        assert p_value(end + inward) > 0.05
        assert p_value(end - inward) <= 0.05


def test_the_interval_is_infinite_where_there_are_too_few_points() -> None:
    (step,) = change_points([1, 2, 3, 11, 12, 13], alpha=0.2)
    assert (step.index, step.low, step.high) == (3, -math.inf, math.inf)


@pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf])
def test_values_that_are_no_numbers_are_refused_by_name(wrong: float) -> None:
    with pytest.raises(UsageError, match=f"series: value 2 of 3 is {wrong}"):
        change_points([0.1, wrong, 0.2])
    with pytest.raises(UsageError, match=f"series 'fit': value 2 of 3 is {wrong}"):
        change_points_of({"fit": [0.1, wrong, 0.2]})


@pytest.mark.parametrize(
    "wrong", [{"alpha": 0}, {"alpha": math.nan}, {"min_segment": 0}, {"n_permutations": 0}]
)
def test_arguments_out_of_range_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(UsageError, match=next(iter(wrong))):
        change_points([0.1] * 10, **wrong)  # type: ignore[arg-type]
    if "alpha" in wrong:
        with pytest.raises(UsageError, match="alpha"):
            change_points_of({"a": [0.1] * 10}, wrong["alpha"])


def test_over_many_series_one_clear_step_stands_out_and_a_weak_one_does_not() -> None:
    weak = noise(30, seed=13) + np.repeat([0, 0.0127], [20, 10])
    (alone,) = change_points(weak)
    assert 0.0005 < alone.p_value < 0.01
    series = {f"flat {k}": noise(30, seed=100 + k) for k in range(200)}
    clear = noise(30) + np.repeat([0, 0.1], [20, 10])
    found = change_points_of({"weak": weak, "clear": clear, **series})
    assert [name for name, steps in found.items() if steps] == ["clear"]
    assert indices(found["clear"]) == [20]
    assert list(found) == ["weak", "clear", *series]
    assert indices(change_points_of({"weak": weak})["weak"]) == [alone.index]


def test_no_series_have_no_steps() -> None:
    assert change_points_of({}) == {}


def test_two_hundred_points_take_no_time_worth_waiting_for() -> None:
    values = np.repeat([0, 0.1, 0.2, 0.1, 0.05], 40) + noise(200)
    took = []
    for _ in range(3):
        start = time.process_time()
        change_points(values)
        took.append(time.process_time() - start)
    assert min(took) < 0.3


@pytest.mark.parametrize("kind", NOISES)
def test_flat_series_alarm_as_seldom_as_alpha_says(kind: str) -> None:
    rng, n = np.random.default_rng(7), 3000
    alarms = sum(bool(change_points(NOISES[kind](rng, 30))) for _ in range(n))
    assert wilson(alarms, n)[0] <= ALPHA < 0.01
    assert wilson(alarms, n)[1] <= 0.02


@pytest.mark.parametrize(("kind", "share"), [("normal", 0.9), ("t3", 0.8)])
def test_a_step_of_five_percent_is_found_within_two_points(kind: str, share: float) -> None:
    rng, n, size = np.random.default_rng(8), 120, math.log(1.05)
    found = covered = 0
    for _ in range(n):
        steps = change_points(NOISES[kind](rng, 30) + np.repeat([0, size], [20, 10]))
        near = [step for step in steps if abs(step.index - 20) <= 2]
        found += bool(near)
        covered += any(step.low <= size <= step.high for step in near)
    assert wilson(found, n)[0] >= share
    assert wilson(covered, found)[1] >= 0.95


def alike(rng: np.random.Generator, rho: float, n: int) -> NDArray[np.float64]:
    """A flat series whose neighbours have this autocorrelation."""
    noise = rng.standard_normal(n)
    for t in range(1, n):
        noise[t] = rho * noise[t - 1] + math.sqrt(1 - rho**2) * noise[t]
    return noise


def test_flat_series_whose_neighbours_are_alike_seldom_have_a_step() -> None:
    rng, n = np.random.default_rng(9), 600
    series = [alike(rng, 0.3, 30) for _ in range(n)]
    assert wilson(sum(bool(change_points(x)) for x in series), n)[0] <= 0.02
    taken_as_independent = sum(bool(change_points(x, independent=True)) for x in series)
    assert wilson(taken_as_independent, n)[0] > 0.02


def test_a_step_among_alike_points_is_found_and_says_how_alike_they_are() -> None:
    rng = np.random.default_rng(10)
    values = alike(rng, 0.6, 120) + np.repeat([0.0, 8.0], [60, 60])
    (step,) = change_points(values)
    assert step.index == 60
    assert 0.3 < step.autocorrelation < 0.9
    assert not step.trend


def test_a_step_that_may_as_well_be_a_trend_says_so() -> None:
    slope = np.linspace(0, 10 * SD, 40) + noise(40)
    assert all(step.trend for step in change_points(slope)[:1])
    (step,) = change_points(np.repeat([0, 0.1], [20, 20]) + noise(40))
    assert not step.trend
    assert step.autocorrelation < 0.5
