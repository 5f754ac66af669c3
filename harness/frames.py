"""What a run measured, as pandas DataFrames read from the store."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import sqlalchemy as sa

from harness import store as tables

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from harness.store import Store
    from harness.values import Run

METRICS = (
    "accuracy",
    "nll",
    "nll_sd",
    "likelihood",
    "brier",
    "balanced_accuracy",
    "auc",
    "ece",
    "clipped",
    "train_likelihood",
)
CHUNK = 500  # ids in one query; databases limit how many values a statement may have


@dataclass(frozen=True, slots=True, eq=False)
class Frames:
    """One run as DataFrames, the only thing that a report sees.

    Args:
        run: the run itself.
        results: one row a trial, in the order in which trials were planned. Columns:
            ``result_id``, ``dataset`` and ``model`` (with parameters, as people write them),
            ``device``, ``repeat``, ``status`` (``ok``, ``failed``, ``timeout``, ``crashed``,
            ``skipped``), ``split_kind`` (``fresh``, ``resampled``, ``fixed``; None where the trial
            never got that far), ``baseline`` (bool), ``n_train``, ``n_test``; scores (NaN unless
            ``ok``): ``accuracy``, ``nll``, ``nll_sd`` (over the test rows), ``likelihood``,
            ``brier``, ``balanced_accuracy``, ``auc``, ``ece``, ``clipped`` (test rows whose class
            was given probability 0), ``train_likelihood``; seconds: ``import_seconds``,
            ``make_seconds``, ``fit_seconds``, ``first_predict_seconds`` (the whole test part),
            ``predict_seconds`` (per row); ``failure_kind``, ``reason``, ``traceback``, ``output``
            (None where it did not fail).
        traces: called without arguments: ``result_id``, ``epoch``, ``train_likelihood``,
            ``test_likelihood``.
        predictions: called with result ids: ``result_id``, ``row`` (0..n_test-1, the same order
            for every model of a dataset and repeat), ``true``, ``predicted``,
            ``log_probability``.
    """

    run: Run
    results: pd.DataFrame
    traces: Callable[[], pd.DataFrame]
    predictions: Callable[[Sequence[int]], pd.DataFrame]


def load_frames(store: Store, run: Run) -> Frames:
    """One run as DataFrames; only ``results`` is read at once."""
    columns = [
        column
        for column in tables.results.c
        if column.name not in ("id", "run_id", "key", "position")
    ]
    found = tables.results
    query = (
        sa.select(found.c.id.label("result_id"), *columns)
        .where(found.c.run_id == run.id)
        .order_by(found.c.position, found.c.id)
    )
    scores = sa.select(tables.scores).join(found).where(found.c.run_id == run.id)
    with store.reading() as connection:
        results = _frame(connection, query)
        long = _frame(connection, scores)
    wide = long.pivot_table(index="result_id", columns="metric", values="value", aggfunc="first")
    results = results.join(wide.reindex(columns=list(METRICS)).astype(float), on="result_id")
    return Frames(
        run,
        results,
        traces=lambda: _traces(store, run),
        predictions=lambda ids: _predictions(store, ids),
    )


def _frame(connection: sa.Connection, query: sa.Select[tuple[object, ...]]) -> pd.DataFrame:
    found = connection.execute(query)
    columns = list(found.keys())
    return pd.DataFrame.from_records(found.all(), columns=columns)


def _traces(store: Store, run: Run) -> pd.DataFrame:
    query = (
        sa.select(tables.traces)
        .join(tables.results)
        .where(tables.results.c.run_id == run.id)
        .order_by(tables.traces.c.result_id, tables.traces.c.epoch)
    )
    with store.reading() as connection:
        return _frame(connection, query)


def _predictions(store: Store, ids: Sequence[int]) -> pd.DataFrame:
    kept = tables.predictions
    found: dict[str, list[np.ndarray[tuple[int], np.dtype[np.generic]]]] = {
        name: [] for name in ("result_id", "row", "true", "predicted", "log_probability")
    }
    wanted = [int(result_id) for result_id in ids]
    with store.reading() as connection:
        for start in range(0, len(wanted), CHUNK):
            chunk = kept.c.result_id.in_(wanted[start : start + CHUNK])
            query = sa.select(kept).where(chunk).order_by(kept.c.result_id)
            for result_id, *packed in connection.execute(query):
                rows = tables.unpack(*packed)
                n = len(rows.true)
                found["result_id"].append(np.full(n, result_id))
                found["row"].append(np.arange(n))
                found["true"].append(rows.true.astype(np.int64))
                found["predicted"].append(rows.predicted.astype(np.int64))
                found["log_probability"].append(rows.log_probability.astype(np.float64))
    return pd.DataFrame(
        {name: np.concatenate(parts) if parts else [] for name, parts in found.items()}
    )
