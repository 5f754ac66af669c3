"""Detects whether other programs kept the machine busy during a timing."""

from __future__ import annotations

import contextlib
import os
import time
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, TypeAlias

import psutil

from harness.timing.leftovers import processor_seconds

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    UsageFacts: TypeAlias = Mapping[str, Any]
    """Use of the machine during a timing; stored as JSON with the environment."""

OTHERS = 0.1
"""The machine counts as busy if other programs use this fraction of all processors."""

STOLEN = 0.02
"""The machine counts as busy if the host withholds this fraction of the time from it."""

OWN = 0.8
"""Share of the time with a processor; below it, a note says that the timed code had to wait."""

IDLE = ("idle", "iowait", "steal", "guest", "guest_nice")
"""Kinds of processor time that are not this machine's work; user time already includes guests."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Counters of processor time at one moment, all in seconds.

    Args:
        clock: reading of the clock.
        busy: processor time that the machine has worked.
        stolen: processor time that the host of a virtual machine gave to other machines.
        own: processor time of this process and its children.
    """

    clock: float
    busy: float
    stolen: float
    own: float

    @classmethod
    def now(cls) -> Snapshot:
        """Read the counters."""
        times: dict[str, float] = {}
        # A sandbox may hide the machine's counters; then no other program counts as busy.
        with contextlib.suppress(psutil.Error, OSError, RuntimeError):
            times = psutil.cpu_times()._asdict()
        return cls(time.perf_counter(), *machine_seconds(times), processor_seconds())


def machine_seconds(times: Mapping[str, float]) -> tuple[float, float]:
    """Processor seconds of the whole machine: worked, and stolen by its host.

    Args:
        times: seconds by kind, named as in `psutil.cpu_times` (on Linux those of ``/proc/stat``).

    >>> machine_seconds({"user": 2.0, "system": 1.0, "idle": 9.0, "steal": 0.5, "guest": 1.0})
    (3.0, 0.5)
    """
    busy = sum(seconds for name, seconds in times.items() if name not in IDLE)
    return busy, times.get("steal", 0.0)


@dataclass(frozen=True, slots=True)
class Usage:
    """Processor time used during a timing.

    Args:
        seconds: duration of the timing.
        own: processor seconds of the timed code.
        others: processor seconds of other programs.
        stolen: processor seconds of other virtual machines.
    """

    seconds: float = 0.0
    own: float = 0.0
    others: float = 0.0
    stolen: float = 0.0

    def facts(self, load: float | None = None) -> UsageFacts:
        """The usage as fractions of the duration, to store; 1 is one processor all the time.

        Args:
            load: the load average when the timing began.
        """
        parts = {
            name: round(getattr(self, name) / self.seconds, 3) if self.seconds > 0 else 0.0
            for name in ("own", "others", "stolen")
        }
        return {"processors": os.cpu_count() or 1, "load": load, **parts}


def used(before: Snapshot, after: Snapshot) -> Usage:
    """The processor time used between two looks."""
    own = after.own - before.own
    # The machine counts in hundredths of a second, so rounding can make the difference negative.
    return Usage(
        seconds=after.clock - before.clock,
        own=own,
        others=max(0.0, after.busy - before.busy - own),
        stolen=max(0.0, after.stolen - before.stolen),
    )


def total(usages: Iterable[Usage]) -> Usage:
    """The total usage of several timings, one after another."""
    listed = list(usages)
    sums = (sum(getattr(usage, field.name) for usage in listed) for field in fields(Usage))
    return Usage(*sums)


def load_average() -> float | None:
    """The load average of the last minute; None where the system has none."""
    try:
        return round(os.getloadavg()[0], 2)
    except (AttributeError, OSError):
        return None


def complaint(facts: UsageFacts) -> str:
    """The reasons why a busy machine makes timings less reliable; empty if there are none.

    >>> complaint({"processors": 2, "load": 2.1, "others": 1.2, "stolen": 0.0, "own": 0.63})
    'other programs used 1.2 of 2 processors, the timed code had one for only 63% of the time'
    >>> complaint({"processors": 2, "load": 1.0, "others": 0.1, "stolen": 0.0, "own": 0.99})
    ''

    Args:
        facts: the result of `Usage.facts`.
    """
    n = facts.get("processors", 1)
    complaints = []
    if facts.get("others", 0.0) >= OTHERS * n:
        complaints.append(f"other programs used {facts['others']:.1f} of {n} processors")
    if facts.get("stolen", 0.0) >= STOLEN:
        complaints.append(
            f"the host kept {100 * facts['stolen']:.0f}% of a processor from this machine"
        )
    if facts.get("own", 1.0) < OWN:
        complaints.append(f"the timed code had one for only {100 * facts['own']:.0f}% of the time")
    return ", ".join(complaints)
