"""Planted losses of accuracy and likelihood in two runs, compared by `harness compare`."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.power.planting import version

from harness import api
from harness.analysis.two_runs import compare_runs

if TYPE_CHECKING:
    from benchmarks.power.tracefile import Trace

    from harness.analysis.changes import ChangeRow

DATASETS = ("wine", "breast-cancer", "digits")
MEASURED = {"power-swapped": "accuracy", "power-jittered": "likelihood"}
"""The model and the score in which each loss is planted."""

LOSSES = {0: 40, 10: 10, 20: 10, 50: 10, 100: 10, 200: 10}
"""Loss in thousandths, and number of comparisons; a loss of 0 only changes the random numbers."""


def score_losses(trace: Trace, *, scale: float = 1.0) -> None:
    """Add comparisons to the trace until each loss has its number of comparisons."""
    for loss, wanted in LOSSES.items():
        done = sum(line["loss"] == loss for line in trace.of("scores"))
        for _ in range(done, max(1, round(scale * wanted))):
            _compare(trace, loss)


def _compare(trace: Trace, loss: int) -> None:
    seed = 1 + max((line["seed"] for line in trace.of("scores")), default=0)
    with tempfile.TemporaryDirectory(prefix="power-") as place:
        runs = []
        for side in ("a", "b"):
            folder = Path(place) / side
            file = version(folder, *(("loss", loss) if side == "b" else ()))
            runs.append(
                api.run(
                    DATASETS,
                    list(MEASURED),
                    seed=seed,
                    plugins=file,
                    store=Path(place) / "harness.db",
                    timing=False,
                    in_process=True,
                ).frames
            )
        rows, _ = compare_runs(*runs)
    kept = [row for row in rows if MEASURED.get(row.subject) == row.measure]
    assert len(kept) == len(DATASETS) * len(MEASURED), [row.note for row in rows]
    trace.add(
        "scores",
        loss=loss,
        seed=seed,
        rows=[
            [row.case, row.subject, row.verdict, *(float(f"{x:.4g}") for x in _sizes(row))]
            for row in kept
        ],
    )


def _sizes(row: ChangeRow) -> tuple[float, ...]:
    return row.change, row.low, row.high, row.visible
