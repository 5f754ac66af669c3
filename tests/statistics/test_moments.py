"""Mean and variance of few numbers: NumPy's, to the last bit."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from harness.statistics.moments import mean_of, variance_of

NUMBERS = st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=300)


@given(NUMBERS)
def test_they_are_those_of_numpy_to_the_last_bit(numbers: list[float]) -> None:
    values = np.array(numbers)
    assert mean_of(values) == float(values.mean())
    assert variance_of(values) == float(values.var(ddof=1))


def test_too_few_numbers_have_none() -> None:
    assert math.isnan(mean_of(np.array([])))
    assert math.isnan(variance_of(np.array([1.0])))
    assert mean_of(np.array([3.0])) == 3.0
