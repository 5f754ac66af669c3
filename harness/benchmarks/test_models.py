"""Benchmarks of models: training and prediction."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from harness.timing.engine import Measured, checked

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.timing.engine import Workload


@pytest.mark.benchmark(group="fit")
def test_fit(
    harness_doings: dict[str, Workload], harness_timed: Callable[[Workload], None]
) -> None:
    """Times one fit."""
    harness_timed(harness_doings["fit"])


@pytest.mark.benchmark(group="predict")
def test_predict(
    harness_doings: dict[str, Workload], harness_timed: Callable[[Workload], None]
) -> None:
    """Times the prediction of the whole test part."""
    checked(Measured(harness_doings["fit"]))
    harness_timed(harness_doings["predict"])


@pytest.mark.benchmark(group="predict one row")
def test_predict_row(
    harness_doings: dict[str, Workload], harness_timed: Callable[[Workload], None]
) -> None:
    """Times the prediction of one row: latency."""
    checked(Measured(harness_doings["fit"]))
    harness_timed(harness_doings["predict-row"])
