"""The order of the study: whichever cell is furthest behind comes next, until time or work ends."""

from __future__ import annotations

import os
import platform
import time
from collections import Counter
from datetime import UTC, datetime
from importlib.metadata import version as version_of
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from benchmarks.power.calibration import calibrated
from benchmarks.power.comparing import make_comparison

from harness.store.environment import git, processor

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from benchmarks.power.planting import Cell
    from benchmarks.power.tracefile import Line, Trace

USUAL = {"softmax": 15.0, "loop": 15.0, "torch": 40.0}
"""Seconds of a comparison, before the trace tells."""

BUSY = 1.0
"""Load above which other programs disturb what is measured."""

CALIBRATION = 25.0
"""Seconds that a planted size takes to be measured."""


def left(trace: Trace, cells: Sequence[Cell]) -> dict[Cell, int]:
    """How many comparisons each cell still wants."""
    done = Counter((line["subject"], line["way"], line["size"]) for line in trace.of("ab"))
    return {cell: max(0, cell.wanted - done[cell.key]) for cell in cells}


def estimate(trace: Trace, cells: Sequence[Cell]) -> dict[str, float]:
    """Seconds that what is left takes, by subject."""
    known = {(line["subject"], line["way"], line["size"]) for line in trace.of("calibration")}
    found: dict[str, float] = {}
    for cell, n in left(trace, cells).items():
        took = [line["took"] for line in trace.of("ab") if line["subject"] == cell.subject]
        each = median(took) if took else USUAL[cell.subject]
        missing = CALIBRATION if cell.size and n and cell.key not in known else 0.0
        found[cell.subject] = found.get(cell.subject, 0.0) + n * each + missing
    return found


def measure(
    trace: Trace,
    cells: Sequence[Cell],
    *,
    minutes: float,
    seconds: float = 60.0,
    calibrate: Callable[[Trace, Cell, str], Line] = calibrated,
    tell: Callable[[str], object] = print,
) -> bool:
    """Compare until every cell has what it wants, or no comparison is begun after so many minutes.

    Returns:
        Whether nothing is left.
    """
    ends = time.monotonic() + 60 * minutes
    machine = processor()
    session = 1 + len(trace.of("session"))
    started = False
    while time.monotonic() < ends:
        open_cells = {cell: n for cell, n in left(trace, cells).items() if n}
        if not open_cells:
            return True
        if not started:
            _begin(trace, session, machine)
            started = True
            if os.getloadavg()[0] > BUSY:
                tell(f"the machine is busy: load {os.getloadavg()[0]:.1f}; figures will suffer")
        # The largest part still to do first; of equal ones the first in the list.
        cell = max(open_cells, key=lambda one: open_cells[one] / one.wanted)
        calibration = calibrate(trace, cell, machine) if cell.size else None
        line = make_comparison(trace, cell, calibration, seconds=seconds, session=session)
        n_left = sum(open_cells.values()) - 1
        tell(
            f"{cell.subject}, {cell.way}, {cell.size}%: {line['verdict']} "
            f"({100 * line['effect']:+.1f}%, {line['n']} pairs, {line['took']:.0f} s), "
            f"{n_left} left"
        )
    return not any(left(trace, cells).values())


def _begin(trace: Trace, number: int, machine: str) -> None:
    project = git(Path(__file__).parent) or {}
    packages = ", ".join(f"{name} {version_of(name)}" for name in ("numpy", "scipy", "torch"))
    trace.add(
        "session",
        number=number,
        date=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        processor=machine,
        cores=os.cpu_count(),
        versions=f"Python {platform.python_version()}, {packages}",
        revision=project.get("revision", ""),
        dirty=project.get("dirty"),
    )
