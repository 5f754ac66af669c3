"""The CPU as a device, which the core offers because every machine has one."""

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
"""Bytes that the evictor overwrites: sixteen times the size of a core's second-level cache. A
third-level cache that many cores share may be larger, and is not emptied."""


def copier(array: Array) -> Callable[[], object]:
    """A function that copies the array to memory that is already allocated."""
    import numpy as np  # not at module level, so that `harness --help` starts faster

    source = np.ascontiguousarray(array)
    target = np.empty_like(source)
    target.fill(0)  # so that the system allocates the memory's pages before the clock runs
    return partial(np.copyto, target, source)


def evictor() -> Callable[[], object]:
    """A function that overwrites the core's caches."""
    import numpy as np

    return partial(np.ndarray.fill, np.zeros(EVICTING // 8), 1.0)


def processor() -> str:
    """The processor's product name; the architecture if the name is unknown."""
    if sys.platform == "linux":
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
        match = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
        if match:
            return match[1].strip()
    return platform.processor() or platform.machine()


def cpu() -> Device:
    """The CPU of this machine as a `Device`."""
    return Device("cpu", processor(), copier=copier, evictor=evictor)
