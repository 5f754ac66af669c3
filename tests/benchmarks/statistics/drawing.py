"""Scores of simulated models as the store gives them; the referee's own arithmetic throughout."""

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
    """What models scored on a dataset: a cell for each model by number, and their rows."""

    cells: dict[int, Cell]
    rows: RowScores


def stored(losses: Floats, right: NDArray[np.bool_] | None = None, **how: Any) -> Drawn:
    """Rows' losses (n_models, n_repeats, n_test) as cells and rows; see `simulated`."""
    results, predictions = simulated(losses, right, **how)
    return Drawn({int(k): one for (_, k, _), one in cells(results).items()}, RowScores(predictions))


def simulated(
    losses: Floats,
    right: NDArray[np.bool_] | None = None,
    *,
    kind: str,
    n_train: int = 1000,
    missing: Sequence[tuple[int, int]] = (),
) -> tuple[pd.DataFrame, Predict]:
    """Rows' losses (n_models, n_repeats, n_test) as results and predictions.

    Args:
        losses: negative log likelihoods.
        right: whether a row's class was predicted; where its probability is above a half without.
        kind: of the splits.
        n_train: rows learned from.
        missing: models and repeats that failed.
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
