"""Calibrates, warms up and times blocks of calls: the engine of `bench`, `run` and `ab`.

`harness ab` loads this file by its path into processes that may have another version of the
harness, so it imports the standard library only.
"""

from __future__ import annotations

import contextlib
import gc
import math
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Clock = Callable[[], float]

    Block = Callable[[int], float]
    """Performs a number of calls, and returns the seconds per call."""

LONGEST_WARM_UP = 10
"""The warm-up lasts at most this many times as long, if blocks still become faster."""

STABLE = 0.05
"""Warmed up: the best block improves by less than this fraction."""


def nothing() -> None:
    """Nothing to wait for: the CPU computes at once."""


def timed(
    run: Callable[[], object],
    calls: int,
    synchronize: Callable[[], object] = nothing,
    clock: Clock = time.perf_counter,
) -> float:
    """Seconds per call of a block: the device finishes its work inside the clock."""
    counted = range(calls)
    synchronize()
    started = clock()
    for _ in counted:
        run()
    synchronize()
    return (clock() - started) / calls


def calibrated(block: Block, least: float) -> int:
    """The number of calls for a block of at least ``least`` seconds."""
    calls = 1
    while (seconds := calls * block(calls)) < least:
        # Aims at the target directly, but by a factor of at most 10: a first, slow call misleads.
        target = math.ceil(1.2 * calls * least / max(seconds, 1e-9))
        calls = min(10 * calls, max(2 * calls, target))
    return calls


def warm_up(block: Block, calls: int, seconds: float, usual: float, clock: Clock) -> float:
    """Run blocks for some time, until they no longer become faster.

    Compares the best of three blocks with the best before; or single blocks, where a block takes
    most of the time.

    Args:
        block: performs a number of calls.
        calls: number of calls in a block.
        seconds: the least duration of the warm-up.
        usual: seconds that a call took before.
        clock: monotonic clock, in seconds.

    Returns:
        Seconds per call of the best block; ``usual`` if no block ran.
    """
    # A call that takes longer than the whole warm-up is warmed up already.
    if usual > LONGEST_WARM_UP * seconds:
        return usual
    burst = 1 if calls * usual >= 2 * seconds else 3
    started = clock()
    best = math.inf
    while True:
        latest = min(block(calls) for _ in range(burst))
        spent = clock() - started
        stable = spent >= seconds and latest >= (1 - STABLE) * best
        best = min(best, latest)
        if stable or spent >= LONGEST_WARM_UP * seconds:
            return best


@contextlib.contextmanager
def without_garbage_collection() -> Iterator[None]:
    """Collect garbage first, then keep the collector off within the block."""
    gc.collect()
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
