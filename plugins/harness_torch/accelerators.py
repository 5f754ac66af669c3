"""What timing needs to know of an accelerator: its clock, its copies, its caches."""

from __future__ import annotations

from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness import Array

LEAST_CACHE = 1 << 26
"""Bytes that are taken for a second-level cache where PyTorch does not tell."""

QUEUED, FIRST = 64, 8
"""Calls that are launched in one go, and so many at first, when nobody knows how long that takes. A
device's queue has room for about a thousand kernels and events."""

HOLD, LONGEST_HOLD = 1e-3, 2e-2
"""Seconds that the device is held up at least and at most while calls are launched."""

CYCLES = 2e9
"""Of a device's clock in a second, about."""


def copier(device: str, array: Array) -> Callable[[], object]:
    """A function that copies the array within the device, to memory that is there already."""
    source = torch.tensor(array, device=device)
    return partial(torch.zeros_like(source).copy_, source)


def evictor(device: str) -> Callable[[], object]:
    """A function that overwrites the device's second-level cache, twice its size."""
    size = LEAST_CACHE
    if device.startswith("cuda"):
        properties = torch.cuda.get_device_properties(device)
        size = max(size, 2 * int(getattr(properties, "L2_cache_size", 0)))
    return torch.empty(size, dtype=torch.uint8, device=device).zero_


def elapsed(
    device: str, call: Callable[[], object], n: int, clock: Callable[[], float] = perf_counter
) -> list[float]:
    """Seconds of each of n calls, between CUDA events.

    The processor launches calls while the device is held up by a kernel that only waits: so the
    device finds each call in its queue, and its time holds nothing of the processor's.
    """
    seconds: list[float] = []
    hold = HOLD
    with torch.cuda.device(device):
        while len(seconds) < n:
            size = min(QUEUED if seconds else FIRST, n - len(seconds))
            events = [torch.cuda.Event(enable_timing=True) for _ in range(2 * size)]  # type: ignore[no-untyped-call]  # PyTorch's
            pairs = list(zip(events[::2], events[1::2], strict=True))
            started = clock()
            torch.cuda._sleep(int(hold * CYCLES))  # type: ignore[no-untyped-call]  # noqa: SLF001  # there is no public one
            for before, after in pairs:
                before.record()
                call()
                after.record()
            launching = (clock() - started) / size
            torch.cuda.synchronize()
            seconds += [1e-3 * before.elapsed_time(after) for before, after in pairs]
            hold = min(max(HOLD, 2 * QUEUED * launching), LONGEST_HOLD)
    return seconds
