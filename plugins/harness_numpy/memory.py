"""The CPU's memory: what a copy takes, and caches with nothing useful in them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.contract.values import Array

EVICTING = 1 << 25
"""Bytes that are overwritten: sixteen times what a core's second-level cache holds. A third level
that many cores share may hold more, and is not emptied."""


def copier(array: Array) -> Callable[[], object]:
    """A function that copies the array to memory that is there already."""
    source = np.ascontiguousarray(array)
    target = np.empty_like(source)
    target.fill(0)  # which takes the memory's pages before the clock runs
    return partial(np.copyto, target, source)


def evictor() -> Callable[[], object]:
    """A function that overwrites the core's caches."""
    return partial(np.ndarray.fill, np.zeros(EVICTING // 8), 1.0)
