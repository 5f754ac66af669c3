"""Scores of simulated models in the form of the store, computed by the harness's own functions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from harness.statistics.scores import Cell, RowScores, cells

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from harness.statistics.scores import Predict

    Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Drawn:
    """The scores of models on a dataset: a cell for each model by number, and row scores."""

    cells: dict[int, Cell]
    rows: RowScores


def stored(losses: Floats, right: NDArray[np.bool_] | None = None, **how: Any) -> Drawn:
    """Cells and row scores from losses (n_models, n_repeats, n_test); see `simulated`."""
    results, predictions = simulated(losses, right, **how)
    return Drawn(
        {int(k): cell for (_, k, _), cell in cells(results).items()}, RowScores(predictions)
    )


def simulated(
    losses: Floats,
    right: NDArray[np.bool_] | None = None,
    *,
    kind: str,
    n_train: int = 1000,
    missing: Sequence[tuple[int, int]] = (),
) -> tuple[pd.DataFrame, Predict]:
    """Results and predictions from losses (n_models, n_repeats, n_test).

    Args:
        losses: negative log likelihoods.
        right: whether a row's class was predicted; by default, if its probability is above 0.5.
        kind: kind of the splits.
        n_train: number of training rows.
        missing: pairs of a model and a repeat that failed.
    """
    m, J, n = losses.shape
    right = losses < np.log(2) if right is None else right
    flat, hits = losses.reshape(m * J, n), right.reshape(m * J, n)
    failed = {model * J + repeat for model, repeat in missing}
    results = pd.DataFrame(
        {
            "result_id": np.arange(m * J),
            "dataset": "simulated",
            "model": np.repeat([str(k) for k in range(m)], J),
            "device": "cpu",
            "baseline": False,
            "repeat": np.tile(np.arange(J), m),
            "status": ["failed" if i in failed else "ok" for i in range(m * J)],
            "split_kind": kind,
            "n_train": n_train,
            "n_test": n,
            "accuracy": hits.mean(axis=1),
            "nll": flat.mean(axis=1),
            "nll_sd": flat.std(axis=1, ddof=1) if n > 1 else np.nan,
            "brier": 0.5,
        }
    )

    def predictions(ids: Sequence[int]) -> pd.DataFrame:
        at = np.asarray(ids)
        columns: dict[str, Any] = {
            "result_id": np.repeat(at, n),
            "row": np.tile(np.arange(n), len(at)),
            "true": 1,
            "predicted": hits[at].ravel().astype(int),
            "log_probability": -flat[at].ravel(),
            "brier": 0.5,
        }
        return pd.DataFrame(columns)

    return results, predictions
