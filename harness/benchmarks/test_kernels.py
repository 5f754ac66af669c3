"""Benchmarks of softmax kernels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.timing.engine import Workload


@pytest.mark.benchmark(group="softmax")
def test_softmax(harness_softmax: Workload, harness_timed: Callable[[Workload], None]) -> None:
    """Times one call."""
    harness_timed(harness_softmax)
