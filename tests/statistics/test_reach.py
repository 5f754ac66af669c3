"""What differences so many repeats tell: by definition, by simulation, and how fast."""

from __future__ import annotations

import math
from time import perf_counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from harness.statistics.power import standard_errors_told
from harness.statistics.reach import MOST_REPEATS, Reach

LEVELS = (0.05, 0.01, 1e-3, 1e-4)


@given(
    per_repeat=st.floats(1e-6, 1e-2),
    shared=st.one_of(st.just(0.0), st.floats(1e-8, 1e-4)),
    difference=st.floats(1e-3, 0.5),
    level=st.sampled_from(LEVELS),
    equal=st.sampled_from((0.0, 0.01, 0.1)),
)
def test_as_many_repeats_are_needed_as_first_tell_the_difference_or_that_it_is_small(
    per_repeat: float, shared: float, difference: float, level: float, equal: float
) -> None:
    reach = Reach(per_repeat, shared, "resampled")

    def half_width(n: int) -> float:
        spread = math.sqrt(per_repeat / n + shared)
        return float(stats.t.ppf(0.975, n - 1)) * spread

    needed = reach.needed(difference, level, equal=equal)
    numbers = range(2, 200)
    first = next(
        (
            n
            for n in numbers
            if reach.visible(n, level) <= difference or half_width(n) <= equal - difference
        ),
        None,
    )
    if first is None:
        assert not needed < numbers[-1]
    else:
        assert needed == first


def test_more_repeats_than_anybody_waits_for_are_no_number_and_shared_rows_never_tell() -> None:
    assert math.isnan(Reach(1.0, 0.0, "fresh").needed(0.01))
    assert Reach(1.0, 1.0, "resampled").needed(0.01) == math.inf
    assert Reach(1e-4, 0.0, "fresh").needed(0.01) < MOST_REPEATS


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("n", [2, 3, 5, 20])
def test_a_visible_difference_is_told_in_four_of_five_runs(n: int, level: float) -> None:
    reach = Reach(0.01**2, 0.0, "fresh")
    rng = np.random.default_rng(n)
    draws = rng.normal(reach.visible(n, level), 0.01, (20_000, n))
    told = stats.ttest_1samp(draws, 0.0, axis=1).pvalue < level
    assert told.mean() == pytest.approx(0.8, abs=0.01)


@pytest.mark.parametrize("level", [1e-5, 1e-6, 1e-9])
def test_two_repeats_among_very_many_comparisons_have_an_answer(level: float) -> None:
    """SciPy's own search does not end here."""
    critical = stats.t.ppf(1 - level / 2, 1)
    assert standard_errors_told(1, level) == pytest.approx(critical * stats.chi(1).ppf(0.8))
    assert standard_errors_told(0, level) == math.inf


def test_what_repeats_tell_of_64_pairings_costs_next_to_nothing() -> None:
    """`run` works it out while its reader waits for the prompt."""
    reaches = [Reach(1e-4 * (1 + i), 1e-7 * (i % 3), "resampled") for i in range(64)]

    def seconds() -> float:
        start = perf_counter()
        for reach in reaches:
            reach.visible(5)
            reach.needed(0.01)
        return perf_counter() - start

    assert min(seconds() for _ in range(5)) < 0.03
