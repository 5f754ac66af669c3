"""Fixed workloads that every process times beside the others, so that times can be compared later.

Milliseconds of another day or machine are not comparable. A time divided by the time of a fixed
workload, measured in turns in the same process, is more nearly so: what slows the machine down
slows both. `tests/benchmarks/anchors` measures how much of the difference this takes away.

An anchor is frozen. Whoever changes what it computes must give it a new name, because ratios to
anchors of different names are never compared. Accelerators have no anchor yet.
"""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

import numpy as np

from harness.contract.values import TimedCall
from harness.statistics.timings import undisturbed
from harness.timing.blocks import timed
from harness.timing.cases import SoftmaxCase

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from harness.contract.values import WorkloadKey
    from harness.timing.blocks import Clock

    Anchors = Mapping[str, Callable[[], object]]
    """The call of each anchor, by the anchor's name."""

COMPUTE, MEMORY = "compute-1", "memory-1"
"""Names of the anchors, each with its version."""

NUMBERS, STEPS = 2048, 100
"""`COMPUTE`: 16 KiB of float64, which fit a core's first cache, and how often they are changed."""

ARRAY, STRIP = 64 << 20, 4 << 20
"""`MEMORY`: bytes of each of two arrays, and of the part that a call copies. A part is copied again
only after all others, when it has left caches of less than 128 MiB."""

SHARE = 0.01
"""Share of the time that an anchor takes beside the workloads, beyond the first `LEAST` samples."""

LEAST = 5
"""The least number of samples of an anchor in a process and group. A sample is a single call of a
fifth of a millisecond, so that a program that takes the processor away for milliseconds meets few
of them. Samples of eight calls met it so often that on a busy machine their median was three times
as long as usual."""

MEMORY_BOUND = 1 << 25
"""Bytes from which a softmax depends on memory: the array exceeds a core's caches."""


def compute() -> Callable[[], object]:
    """The call of `COMPUTE`: multiply, add and divide in cache, by NumPy, in one thread.

    The numbers tend to a fixed point near 0.73, so that no operation meets a number that the
    processor treats specially. About half of the time goes to arithmetic and half to the
    interpreter's calls, as in small fits. BLAS has no part in it, nor has any function that NumPy's
    versions compute differently.
    """
    numbers = np.linspace(1.0, 2.0, NUMBERS)

    def run() -> None:
        for _ in range(STEPS):
            np.multiply(numbers, 0.5, out=numbers)
            np.add(numbers, 1.0, out=numbers)
            np.divide(1.0, numbers, out=numbers)

    return run


def memory() -> Callable[[], object]:
    """The call of `MEMORY`: copy a part of a large array to memory that is there, in one thread."""
    source = np.ones(ARRAY, np.uint8)
    target = np.ones(ARRAY, np.uint8)  # written, so that its pages are there
    place = 0

    def run() -> None:
        nonlocal place
        part = slice(place, place + STRIP)
        np.copyto(target[part], source[part])
        place = (place + STRIP) % ARRAY

    return run


def set_up() -> Anchors:
    """The anchors of the CPU; without `MEMORY` if there is no memory for its arrays."""
    anchors = {COMPUTE: compute()}
    with contextlib.suppress(MemoryError):
        anchors[MEMORY] = memory()
    return anchors


def fitting(key: WorkloadKey) -> str:
    """The name of the anchor that a workload's time is compared with; empty if there is none.

    `MEMORY` for a softmax or copy of an array beyond the caches, or with cold caches. `COMPUTE` for
    everything else: a fit or prediction reuses its data, most of which are small. A softmax and the
    copy of its array always have the same anchor.
    """
    if key.device != "cpu":
        return ""
    case = SoftmaxCase.of(key.case) if key.kind in (TimedCall.SOFTMAX, TimedCall.COPY) else None
    if case and (case.caches == "cold" or case.bytes >= MEMORY_BOUND):
        return MEMORY
    return COMPUTE


class Turns:
    """Times anchors in turns with the workloads of a group.

    Args:
        anchors: the calls by name.
        clock: monotonic clock, in seconds.
    """

    def __init__(self, anchors: Anchors, clock: Clock = time.perf_counter) -> None:
        self.anchors, self.clock = anchors, clock
        self.samples: dict[str, list[float]] = {name: [] for name in anchors}
        self.started: float | None = None

    def take(self) -> None:
        """Take a sample of each anchor that has had less than its share of the time so far."""
        if self.started is None:
            for run in self.anchors.values():
                run()  # warms up
            self.started = self.clock()
        for name, samples in self.samples.items():
            if sum(samples) <= SHARE * (self.clock() - self.started):
                self._sample(name)

    def seconds(self) -> dict[str, float]:
        """The undisturbed seconds of each anchor, of at least `LEAST` samples."""
        for name, samples in self.samples.items():
            while len(samples) < LEAST:
                self._sample(name)
        return {name: undisturbed(samples) for name, samples in self.samples.items()}

    def _sample(self, name: str) -> None:
        self.samples[name].append(timed(self.anchors[name], 1, clock=self.clock))
