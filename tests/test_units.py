"""Times and sizes are read as people write them; any other text is a usage error."""

from __future__ import annotations

import contextlib
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import UsageError
from harness.units import seconds, size


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (90, 90.0),
        (0.5, 0.5),
        ("90", 90.0),
        ("90s", 90.0),
        (" 1.5 m ", 90.0),
        ("2min", 120.0),
        ("2H", 7200.0),
        ("1e3", 1000.0),
    ],
)
def test_a_time_is_read_as_written(written: str | float, expected: float) -> None:
    assert seconds(written) == expected


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (1000, 1000),
        ("1000", 1000),
        ("1000B", 1000),
        ("1k", 1024),
        ("1.5 KiB", 1536),
        ("500M", 500 * 2**20),
        ("500MB", 500 * 2**20),
        ("2GiB", 2**31),
        ("1t", 2**40),
    ],
)
def test_a_size_is_read_as_written(written: str | float, expected: int) -> None:
    assert size(written) == expected
    assert type(size(written)) is int


@pytest.mark.parametrize(
    "written",
    ["", "s", "soon", "0", "-1", "-1m", "nan", "inf", "1d", "1 2", "1e308h", "5k", math.inf, True],
)
def test_text_that_is_not_a_time_is_refused(written: str | float) -> None:
    with pytest.raises(
        UsageError, match="is not a time; write seconds, or a number with s, m or h"
    ):
        seconds(written)


@pytest.mark.parametrize(
    "written",
    ["", "G", "lots", "0", "0.5", "-1M", "nan", "inf", "5i", "5ib", "1e308T", "1h", math.nan],
)
def test_text_that_is_not_a_size_is_refused(written: str | float) -> None:
    with pytest.raises(
        UsageError, match="is not a size; write bytes, or a number with K, M, G or T"
    ):
        size(written)


@given(st.text())
def test_any_text_is_a_time_and_a_size_or_a_usage_error(text: str) -> None:
    for read in (seconds, size):
        with contextlib.suppress(UsageError):
            assert 0 < read(text) < math.inf
