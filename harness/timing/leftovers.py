"""Measures work that a fit defers: to the first prediction, or to threads that run on.

Such a fit looks faster than it is. Its own clock cannot see the deferred work, so the work is
measured after the fit.
"""

from __future__ import annotations

import contextlib
import os
import time
from typing import TYPE_CHECKING, Any

import psutil

from harness.trials.answers import concrete

if TYPE_CHECKING:
    from collections.abc import Callable

    Clock = Callable[[], float]

LEAST = 1e-3
"""A first prediction of fewer seconds is not examined: cold caches alone can explain it."""

LOOK, LONGEST = 0.002, 0.25
"""Seconds of one look at the process's activity, and of all looks together."""

QUIET = 3
"""Idle looks in a row after which the process counts as idle. One is not enough: beside other
programs a thread may have to wait for its turn."""

BUSY = 0.2
"""A process counts as active if it uses the processor for this fraction of a look. A sleeping
process uses a twentieth; a busy thread beside other programs may get less than half."""


def first_answer(
    predict_proba: Callable[[], Any], clock: Clock = time.perf_counter
) -> tuple[Any, float]:
    """The first prediction, and the seconds by which it takes longer than the next one."""
    started = clock()
    answer = predict_proba()
    concrete(answer)
    first = clock() - started
    if first < LEAST:
        return answer, 0.0
    started = clock()
    concrete(predict_proba())
    return answer, max(0.0, first - (clock() - started))


def goes_on(
    used: Callable[[], float] | None = None,
    clock: Clock = time.perf_counter,
    sleep: Callable[[float], object] = time.sleep,
) -> float:
    """Processor seconds that this process and its children use although it was given no work.

    Observes the process until it is idle, but no longer than `LONGEST`.

    Args:
        used: returns the processor seconds used so far.
        clock: monotonic clock, in seconds.
        sleep: waits for a number of seconds.
    """
    used = used or processor_seconds
    total, quiet = 0.0, 0
    began = clock()
    while quiet < QUIET and clock() - began < LONGEST:
        before, started = used(), clock()
        sleep(LOOK)
        spent = used() - before
        if spent < BUSY * (clock() - started):
            quiet += 1
        else:
            total, quiet = total + spent, 0
    return total


def at_rest(going_on: Callable[[], float] = goes_on) -> bool:
    """Whether this process is idle, at the latest after a second period of observation.

    Otherwise threads left over from one fit would be blamed on the next fit.
    """
    return going_on() == 0 or going_on() == 0


def processor_seconds() -> float:
    """Processor seconds that this process, its threads and its children have used."""
    ended = os.times()
    children = ended.children_user + ended.children_system
    if _has_children():
        for child in psutil.Process().children(recursive=True):
            with contextlib.suppress(psutil.Error):
                times = child.cpu_times()
                children += times.user + times.system
    return time.process_time() + children


def _has_children() -> bool:
    """Whether this process has children; listing them takes a hundred times as long."""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True
