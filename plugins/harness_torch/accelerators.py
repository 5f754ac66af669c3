"""Functions that timing needs on an accelerator: its clock, copies in its memory, cold caches."""

from __future__ import annotations

from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness import Array

LEAST_CACHE = 1 << 26
"""Assumed size of the second-level cache in bytes where PyTorch does not report it."""

QUEUED, FIRST = 64, 8
"""Calls launched per batch, and calls in the first batch, when launch times are still unknown. A
device's queue has room for about a thousand kernels and events."""

HOLD, LONGEST_HOLD = 1e-3, 2e-2
"""Shortest and longest time in seconds that the device is kept waiting while calls are launched."""

CYCLES = 2e9
"""Approximate cycles per second of a device's clock."""


def copier(device: str, array: Array) -> Callable[[], object]:
    """A function that copies the array within the device's memory, into a preallocated tensor."""
    source = torch.tensor(array, device=device)
    return partial(torch.zeros_like(source).copy_, source)


def evictor(device: str) -> Callable[[], object]:
    """A function that writes to twice the size of the second-level cache, to evict its contents."""
    size = LEAST_CACHE
    if device.startswith("cuda"):
        properties = torch.cuda.get_device_properties(device)
        size = max(size, 2 * int(getattr(properties, "L2_cache_size", 0)))
    return torch.empty(size, dtype=torch.uint8, device=device).zero_


def elapsed(
    device: str, call: Callable[[], object], n: int, clock: Callable[[], float] = perf_counter
) -> list[float]:
    """Seconds that each of n calls takes on the device, measured between CUDA events.

    While a kernel that only waits keeps the device busy, the processor launches the calls. So each
    call is in the device's queue before its turn, and its time contains no launch time.
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
