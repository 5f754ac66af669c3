"""What a fit leaves undone when it returns: to its first prediction, or to threads that go on.

Such a fit looks quicker than it is. The clock of the fit cannot know, so that it is measured after.
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
"""Seconds below which a first prediction is not looked at: cold caches make up for so much."""

LOOK, LONGEST = 0.002, 0.25
"""Seconds of a look at what goes on, and of all looks."""

QUIET = 3
"""Looks in a row that find nothing, after which nothing goes on: beside other programs a thread may
have to wait for its turn."""

BUSY = 0.2
"""Part of a look that a process has used when something goes on in it; asleep it uses a twentieth,
and beside other programs a busy thread may get less than half."""


def first_answer(
    predict_proba: Callable[[], Any], clock: Clock = time.perf_counter
) -> tuple[Any, float]:
    """What the first prediction gives, and the seconds by which it takes longer than the next."""
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
    """Seconds of processors that this process and its children use while nothing is asked of it.

    Looked at until it is quiet, but no longer than `LONGEST`.

    Args:
        used: seconds of processors that were used so far.
        clock: seconds, ever growing.
        sleep: waits for so many seconds.
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
    """Whether nothing goes on in this process, if need be after waiting for what does.

    Otherwise what one fit leaves running would be taken for the next one's.
    """
    return going_on() == 0 or going_on() == 0


def processor_seconds() -> float:
    """Seconds of processors that this process, its threads and its children have used."""
    ended = os.times()
    children = ended.children_user + ended.children_system
    if _has_children():
        for child in psutil.Process().children(recursive=True):
            with contextlib.suppress(psutil.Error):
                times = child.cpu_times()
                children += times.user + times.system
    return time.process_time() + children


def _has_children() -> bool:
    """Whether there are any; to list them takes a hundred times as long."""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True
