"""One comparison as `harness ab` makes it, and its line in the trace."""

from __future__ import annotations

import math
import os
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.power.planting import START_UP, START_UP_AMOUNT, version

from harness.trials.discovery import discover
from harness.versions.pairs import Design, Process, compare_sides
from harness.versions.sides import Side
from harness.versions.tasks import tasks_of, tasks_of_two_models

if TYPE_CHECKING:
    import random
    from collections.abc import Mapping

    from benchmarks.power.planting import Cell
    from benchmarks.power.tracefile import Line, Trace

    from harness.contract.registry import Registry
    from harness.versions.pairs import SideProcess
    from harness.versions.tasks import Task

A = Side("a", sys.executable, "the version before", "here")
B = Side("b", sys.executable, "the version after", "here")


def work_of(registry: Registry, subject: str) -> Task:
    """The task of both sides: the command's default softmax, or a fit on ``threshold``."""
    if subject == "softmax":
        return tasks_of(registry, kernels=["power-softmax"])[0]
    model = f"power-{subject}"
    return tasks_of_two_models(registry, (model, model), ["threshold"], kinds=("fit",))[0]


@dataclass(slots=True)
class Recorder:
    """Starts processes that each load a version, and keeps their times.

    Args:
        versions: files that a and b load.
        other_hashes: whether the hash seeds of a and b differ in each pair.
        blocks: seconds per call, for each side and each process in order.
    """

    versions: tuple[Path, Path]
    other_hashes: bool = False
    blocks: dict[str, list[list[float]]] = field(default_factory=lambda: {"a": [], "b": []})

    def start(
        self, side: Side, asked: Mapping[str, Any], plan: Design, chance: random.Random
    ) -> SideProcess:
        """Start a process with the interface that `compare` needs."""
        if self.other_hashes and side is B:
            chance.random()
        plugins = (str(self.versions[side is B]),)
        blocks: list[float] = []
        self.blocks[side.name].append(blocks)
        return _Recorded(Process(side, {**asked, "plugins": plugins}, plan, chance), blocks)


@dataclass(slots=True)
class _Recorded:
    stand: SideProcess
    blocks: list[float]

    @property
    def broken(self) -> dict[str, str]:
        return self.stand.broken

    def ready(self) -> list[dict[str, Any]]:
        return self.stand.ready()

    def run(self, work: int, calls: int) -> float:
        self.blocks.append(self.stand.run(work, calls))
        return self.blocks[-1]

    def end(self) -> None:
        self.stand.end()


def make_comparison(
    trace: Trace, cell: Cell, calibration: Line | None, *, seconds: float, session: int
) -> Line:
    """Compare two versions on data with a seed that is new in the trace."""
    amount = calibration["amount"] if calibration else 0
    if cell.way == START_UP:
        amount = START_UP_AMOUNT
    seed = 1 + max((line["seed"] for line in trace.of("ab")), default=0)
    with tempfile.TemporaryDirectory(prefix="power-") as place:
        versions = (
            version(Path(place) / "a"),
            version(Path(place) / "b", cell.way, amount),
        )
        if cell.way == "same":
            versions = versions[0], versions[0]
        registry = discover((str(versions[0]),))
        works = (work_of(registry, cell.subject),)
        plan = Design(works, (str(versions[0]),), seconds=seconds, seed=seed)
        recorder = Recorder(versions, other_hashes=cell.way == "hash")
        load_before = os.getloadavg()[0]
        done = compare_sides((A, B), plan, registry, start=recorder.start)
    (outcome,) = done.outcomes
    assert outcome.change is not None, outcome.faults
    change = outcome.change
    return trace.add(
        "ab",
        subject=cell.subject,
        way=cell.way,
        size=cell.size,
        true=calibration["true"] if calibration else 0.0,
        seed=seed,
        session=session,
        verdict=change.verdict,
        effect=_short(change.effect),
        low=_short(change.low),
        high=_short(change.high),
        n=change.n,
        took=round(done.seconds, 2),
        load=[round(load_before, 2), round(os.getloadavg()[0], 2)],
        log_ratios=[_short(value) for value in outcome.log_ratios],
        seconds=[[_short(value) for value in side] for side in outcome.seconds],
        blocks=[
            [
                [_short(value) for value in times_of_process]
                for times_of_process in recorder.blocks[s]
            ]
            for s in "ab"
        ],
    )


def _short(value: float) -> float | None:
    """A number with five significant digits; None for infinity, which JSON does not have."""
    return float(f"{value:.5g}") if math.isfinite(value) else None
