"""Made-up scores of results and of their rows, for tests of the statistics."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from harness.statistics.scores import (
    Cell,
    RowScores,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.contract.values import SplitKind


def cell(
    kind: SplitKind = "fresh",
    accuracy: Sequence[float] = (),
    nll: Sequence[float] = (),
    *,
    first_id: int = 1,
    total: int | None = None,
    repeats: Sequence[int] | None = None,
    brier: Sequence[float] = (),
    nll_sd: float = 0.5,
    n_train: int = 80,
    n_test: int = 20,
) -> Cell:
    J = max(len(accuracy), len(nll), len(brier))
    return Cell(
        kind=kind,
        total=J if total is None else total,
        n_train=n_train,
        n_test=n_test,
        repeats=np.arange(J) if repeats is None else np.array(repeats),
        result_ids=np.arange(J) + first_id,
        accuracy=np.array(accuracy if len(accuracy) else [0.5] * J, dtype=float),
        nll=np.array(nll if len(nll) else [0.5] * J, dtype=float),
        nll_sd=np.full(J, nll_sd),
        brier=np.array(brier if len(brier) else [0.5] * J, dtype=float),
    )


def rows_of(scores: dict[int, Any]) -> RowScores:
    """Row scores made from each result's losses; a row with a loss below 0.5 is right."""

    def predictions(ids: Sequence[int]) -> pd.DataFrame:
        parts = [
            pd.DataFrame(
                {
                    "result_id": i,
                    "row": np.arange(len(scores[i])),
                    "true": 0,
                    "predicted": (np.asarray(scores[i]) >= 0.5).astype(int),
                    "log_probability": -np.asarray(scores[i], dtype=float),
                    "brier": np.asarray(scores[i], dtype=float),
                }
            )
            for i in ids
        ]
        return pd.concat(parts).sample(frac=1, random_state=0)  # the order of rows must not matter

    return RowScores(predictions)


def no_rows(ids: Sequence[int]) -> pd.DataFrame:
    raise AssertionError("the store was asked for rows that no comparison needs")
