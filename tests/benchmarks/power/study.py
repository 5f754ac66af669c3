"""The order of the study: the next cell is the one furthest behind, until the time is up."""

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

from harness.store.environment import checkout_at, processor

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from benchmarks.power.planting import Cell
    from benchmarks.power.tracefile import Line, Trace

USUAL = {"softmax": 15.0, "loop": 15.0, "torch": 40.0}
"""Estimated seconds of a comparison, until the trace has measured ones."""

BUSY = 1.0
"""Load average above which other programs disturb the measurement."""

CALIBRATION = 25.0
"""Seconds for measuring a planted size."""


def left(trace: Trace, cells: Sequence[Cell]) -> dict[Cell, int]:
    """The number of comparisons that each cell still needs."""
    done = Counter((line["subject"], line["way"], line["size"]) for line in trace.of("ab"))
    return {cell: max(0, cell.wanted - done[cell.key]) for cell in cells}


def estimate(trace: Trace, cells: Sequence[Cell]) -> dict[str, float]:
    """Seconds for the remaining comparisons, by subject."""
    known = {(line["subject"], line["way"], line["size"]) for line in trace.of("calibration")}
    seconds_by_subject: dict[str, float] = {}
    for cell, n in left(trace, cells).items():
        took = [line["took"] for line in trace.of("ab") if line["subject"] == cell.subject]
        each = median(took) if took else USUAL[cell.subject]
        missing = CALIBRATION if cell.size and n and cell.key not in known else 0.0
        seconds_by_subject[cell.subject] = (
            seconds_by_subject.get(cell.subject, 0.0) + n * each + missing
        )
    return seconds_by_subject


def measure(
    trace: Trace,
    cells: Sequence[Cell],
    *,
    minutes: float,
    seconds: float = 60.0,
    calibrate: Callable[[Trace, Cell, str], Line] = calibrated,
    tell: Callable[[str], object] = print,
) -> bool:
    """Compare until every cell has its comparisons; begin none after this many minutes.

    Returns:
        Whether all comparisons are done.
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
        # First the cell with the largest remaining fraction; of equal cells the first in the list.
        cell = max(open_cells, key=lambda open_cell: open_cells[open_cell] / open_cell.wanted)
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
    project = checkout_at(Path(__file__).parent) or {}
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
