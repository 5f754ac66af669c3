"""How much memory a process takes above what it began with, and how large a fitted model is.

A trial is a fork, so that plain resident bytes would count its parent's imports. Linux counts a
fork's resident pages anew from the fork on: their highest number, less the number at the beginning,
is exact to about a MiB, however short the peak. Pages of files (libraries, the mapped split) are
shared with other processes and are left out.
"""

from __future__ import annotations

import contextlib
import math
import os
import pickle
import resource
import signal
import sys
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.processes import trees

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LARGEST_MODEL = 2**32
"""Bytes of a pickle that are counted; of a larger model the size is unknown."""

LONGEST = 2.0  # seconds that pickling a model may take
ROOM = 2**28
"""Bytes that pickling may allocate, so that it does not take a trial beyond its memory limit."""


@dataclass(frozen=True, slots=True)
class Level:
    """A process's memory at one moment, in bytes.

    Args:
        own: resident pages that belong to no file on disk.
        files: resident pages of files.
        highest: the most resident pages of both kinds since the process was forked.
    """

    own: int
    files: int
    highest: int

    @classmethod
    def now(cls) -> Level | None:
        """The level of this process; None where the system does not tell."""
        try:
            status = trees.status_of(os.getpid())
            return cls(status["RssAnon"] + status["RssShmem"], status["RssFile"], status["VmHWM"])
        except (OSError, KeyError):
            return None


def peak_since(begun: Level | None) -> float:
    """The most bytes that this process has taken at once above an earlier level; NaN if unknown.

    The processes below it count with what they take now.
    """
    now = Level.now()
    if begun is None or now is None:
        return math.nan
    alone = now.highest - now.files - begun.own
    return float(max(alone, trees.private_memory(os.getpid()) - begun.own, 0))


def device_peak() -> float:
    """The most bytes that torch has allocated on all CUDA devices; NaN if it has used none."""
    torch = sys.modules.get("torch")
    with contextlib.suppress(Exception):  # a model may have replaced any part of torch
        if torch is not None and torch.cuda.is_initialized():
            devices = range(torch.cuda.device_count())
            return float(sum(torch.cuda.max_memory_allocated(device) for device in devices))
    return math.nan


def pickled_size(
    thing: object,
    *,
    most: int = LARGEST_MODEL,
    seconds: float = LONGEST,
    clock: Callable[[], float] = time.monotonic,
) -> float:
    """The length of an object's pickle, which is not kept.

    Args:
        thing: the object.
        most: bytes to count at most.
        seconds: time that pickling may take.
        clock: a monotonic clock, in seconds.

    Returns:
        ``len(pickle.dumps(thing))``; NaN if that fails, or exceeds a limit.
    """
    count = _Count(most, clock() + seconds, clock)
    try:
        with _bounded(seconds):
            pickle.Pickler(count).dump(thing)
    except BaseException:  # noqa: BLE001  # a stranger's __getstate__ may raise anything
        return math.nan
    return float(count.n_bytes)


class _Count:
    """A file that counts what is written to it."""

    def __init__(self, most: int, until: float, clock: Callable[[], float]) -> None:
        self.n_bytes = 0
        self._most, self._until, self._clock = most, until, clock

    def write(self, data: Any) -> int:
        """Count bytes."""
        size = memoryview(data).nbytes
        self.n_bytes += size
        if self.n_bytes > self._most or self._clock() > self._until:
            raise OverflowError
        return size


@contextlib.contextmanager
def _bounded(seconds: float) -> Iterator[None]:
    """Interrupt Python code that takes longer, and refuse it more memory than `ROOM`."""
    with contextlib.ExitStack() as stack:
        if threading.current_thread() is threading.main_thread():
            stack.callback(signal.signal, signal.SIGALRM, signal.getsignal(signal.SIGALRM))
            signal.signal(signal.SIGALRM, _give_up)
            stack.callback(signal.setitimer, signal.ITIMER_REAL, 0.0)
            signal.setitimer(signal.ITIMER_REAL, seconds)
        if size := _address_space():
            before = resource.getrlimit(resource.RLIMIT_AS)
            least = min((limit for limit in before if limit >= 0), default=size + ROOM)
            with contextlib.suppress(OSError, ValueError):
                resource.setrlimit(resource.RLIMIT_AS, (min(least, size + ROOM), before[1]))
                stack.callback(resource.setrlimit, resource.RLIMIT_AS, before)
        yield


def _give_up(*_: object) -> None:
    raise TimeoutError


def _address_space() -> int:
    """Bytes of this process's address space; 0 if unknown."""
    with contextlib.suppress(OSError, KeyError):
        return trees.status_of(os.getpid())["VmSize"]
    return 0
