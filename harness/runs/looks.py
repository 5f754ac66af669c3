"""``--repeats auto``: add repeats of the datasets whose leaders are undecided, at fixed looks.

Testing at several looks, and stopping at the first significant difference, raises the rate of false
positives. So the p-values are corrected for the number of looks (Bonferroni), and so are the marks
in the tables of such a run. Only scores decide, never a clock: the same command adds the same
repeats.
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
"""Up to this difference, two models are taken to predict the same: repeats would not help."""


def undecided(results: pd.DataFrame, predictions: Predict, repeats: int) -> set[str]:
    """Names of the datasets on which some model does not differ significantly from the best.

    Ignores baselines, models that failed in a repeat, models that predict the same as the best, and
    models that no test can compare with the best.

    Args:
        results: as in `harness.store.frames.Frames`.
        predictions: likewise.
        repeats: number of repeats to use, from the first.
    """
    shown = results[(results["repeat"] < repeats) & ~results["baseline"].astype(bool)]
    rows = RowScores(predictions)
    by_dataset: dict[str, dict[tuple[str, str], Cell]] = {}
    names = set()
    for (dataset, model, device), cell in cells(shown).items():
        if cell.complete:
            by_dataset.setdefault(dataset, {})[model, device] = cell
    for dataset, contenders in by_dataset.items():
        comparisons = against_best(contenders, "nll", rows, looks=len(AUTO_REPEATS))
        tested = [
            comparison for comparison in comparisons.values() if not math.isnan(comparison.p_value)
        ]
        if any(
            not comparison.told_apart and abs(comparison.difference) > SAME for comparison in tested
        ):
            names.add(dataset)
    return names


def next_look(targets: Mapping[str, int], names: set[str]) -> dict[str, int]:
    """Repeats by dataset after the next look, at which these datasets get more; else empty.

    Only datasets that have reached the latest look get more. The result is empty if no dataset does
    or if there is no later look.
    """
    latest = max(targets.values(), default=AUTO_REPEATS[-1])
    later = [look for look in AUTO_REPEATS if look > latest]
    wanted = {name for name in names if targets.get(name) == latest}
    if not later or not wanted:
        return {}
    return {name: later[0] if name in wanted else n for name, n in targets.items()}
