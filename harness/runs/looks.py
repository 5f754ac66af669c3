"""``--repeats auto``: repeats are added where a dataset's leaders are undecided, at fixed looks.

Whoever looks several times, and stops when something is significant, finds too much. Here each look
is held against its share of the level (Bonferroni), and so are the marks in the tables of such a
run. Scores alone decide, never a clock: the same command adds the same repeats.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from harness.contract.values import AUTO_REPEATS
from harness.statistics.scores import RowScores, against_best, cells

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from harness.statistics.scores import Cell, Predict

SAME = 1e-12
"""Scores that differ by no more are those of models that predict alike, which nothing tells."""


def undecided(results: pd.DataFrame, predictions: Predict, repeats: int) -> set[str]:
    """Names of the datasets whose best model is not told from all others.

    Baselines do not count, nor do models that failed in a repeat, that predict as the best does, or
    that no test compares with it.

    Args:
        results: as in `harness.store.frames.Frames`.
        predictions: likewise.
        repeats: the first so many are looked at.
    """
    shown = results[(results["repeat"] < repeats) & ~results["baseline"].astype(bool)]
    rows = RowScores(predictions)
    by_dataset: dict[str, dict[tuple[str, str], Cell]] = {}
    found = set()
    for (dataset, model, device), cell in cells(shown).items():
        if cell.complete:
            by_dataset.setdefault(dataset, {})[model, device] = cell
    for dataset, contenders in by_dataset.items():
        others = against_best(contenders, "nll", rows, looks=len(AUTO_REPEATS))
        tested = [one for one in others.values() if not math.isnan(one.p_value)]
        if any(not one.told_apart and abs(one.difference) > SAME for one in tested):
            found.add(dataset)
    return found


def next_look(targets: Mapping[str, int], names: set[str]) -> dict[str, int]:
    """Repeats by dataset, with the next look's for those of these names; empty if none is left."""
    now = max(targets.values(), default=AUTO_REPEATS[-1])
    later = [look for look in AUTO_REPEATS if look > now]
    wanted = {name for name in names if targets.get(name) == now}
    if not later or not wanted:
        return {}
    return {name: later[0] if name in wanted else n for name, n in targets.items()}
