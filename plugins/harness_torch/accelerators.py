"""What timing needs to know of an accelerator: its clock, its copies, its caches."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.values import Array

LEAST_CACHE = 1 << 26
"""Bytes that are taken for a second-level cache where PyTorch does not tell."""


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


def elapsed(device: str, call: Callable[[], object], n: int) -> list[float]:
    """Seconds of each of n calls, between CUDA events; one wait at the end of all."""
    with torch.cuda.device(device):
        events = [torch.cuda.Event(enable_timing=True) for _ in range(2 * n)]  # type: ignore[no-untyped-call]  # PyTorch's
        for before, after in zip(events[::2], events[1::2], strict=True):
            before.record()
            call()
            after.record()
        torch.cuda.synchronize()
        pairs = zip(events[::2], events[1::2], strict=True)
        return [1e-3 * before.elapsed_time(after) for before, after in pairs]
