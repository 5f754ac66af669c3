"""``--repeats auto``: add repeats of the datasets whose leaders are undecided, at fixed looks.

Testing at several looks, and stopping at the first significant difference, raises the rate of false
positives. So the p-values are corrected for the number of looks (Bonferroni), and so are the marks
in the tables of such a run. Only scores decide, never a clock: the same command adds the same
repeats.
"""

from __future__ import annotations

import math
from types import MappingProxyType
from typing import TYPE_CHECKING

from harness.contract.own_scores import NLL
from harness.contract.values import AUTO_REPEATS
from harness.statistics.scores import RowScores, against_best, best, cells

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from harness.contract.values import Metric
    from harness.statistics.scores import Cell, MetricRows, Predict, Score

SAME = 1e-12
"""Up to this difference in NLL, two models count as predicting the same: repeats would not help."""


def undecided(
    results: pd.DataFrame,
    predictions: Predict,
    repeats: int,
    *,
    score: Score = NLL,
    scales: Mapping[str, Metric] = MappingProxyType({}),
    metric_rows: MetricRows = lambda _name, _ids: {},
) -> set[str]:
    """Names of the datasets on which some model does not differ significantly from the best.

    Ignores baselines, models that failed in a repeat, models that predict the same as the best, and
    models that no test can compare with the best.

    Args:
        results: as in `harness.contract.values.Frames`.
        predictions: likewise.
        repeats: number of repeats to use, from the first.
        score: the score to compare.
        scales: as in `Frames`.
        metric_rows: likewise.
    """
    shown = results[(results["repeat"] < repeats) & ~results["baseline"].astype(bool)]
    rows = RowScores(predictions, metric_rows)
    by_dataset: dict[str, dict[tuple[str, str], Cell]] = {}
    names = set()
    for (dataset, model, device), cell in cells(shown, metrics=scales).items():
        if cell.complete:
            by_dataset.setdefault(dataset, {})[model, device] = cell
    for dataset, contenders in by_dataset.items():
        leader = best(contenders, score)
        if leader is None:
            continue
        comparisons = against_best(contenders, score, rows, looks=len(AUTO_REPEATS))
        unclear = [
            contenders[key]
            for key, comparison in comparisons.items()
            if not math.isnan(comparison.p_value) and not comparison.told_apart
        ]
        # Equal means of another score do not show that two models predict the same; equal NLLs do.
        if any(abs(float((contenders[leader].nll - cell.nll).mean())) > SAME for cell in unclear):
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
