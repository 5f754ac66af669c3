"""The CPU, which every machine has: a device of the core."""

from __future__ import annotations

import platform
import re
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from harness.contract.values import Device

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.contract.values import Array

EVICTING = 1 << 25
"""Bytes that are overwritten: sixteen times what a core's second-level cache holds. A third level
that many cores share may hold more, and is not emptied."""


def copier(array: Array) -> Callable[[], object]:
    """A function that copies the array to memory that is there already."""
    import numpy as np  # `harness --help` is quicker without

    source = np.ascontiguousarray(array)
    target = np.empty_like(source)
    target.fill(0)  # which takes the memory's pages before the clock runs
    return partial(np.copyto, target, source)


def evictor() -> Callable[[], object]:
    """A function that overwrites the core's caches."""
    import numpy as np

    return partial(np.ndarray.fill, np.zeros(EVICTING // 8), 1.0)


def processor() -> str:
    """The processor's name as its maker gives it, or the architecture."""
    if sys.platform == "linux":
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
        match = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
        if match:
            return match[1].strip()
    return platform.processor() or platform.machine()


def cpu() -> Device:
    """This machine's processor."""
    return Device("cpu", processor(), copier=copier, evictor=evictor)
