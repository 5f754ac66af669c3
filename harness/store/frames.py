"""Reads a run's results from the store as pandas DataFrames."""

from __future__ import annotations

from dataclasses import asdict, replace
from statistics import median
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import sqlalchemy as sa

from harness.contract.values import LEFT, Frames
from harness.statistics.timings import anchored, summarise
from harness.store import database as tables
from harness.store.sessions import Part, side_by_side
from harness.store.sources import told

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from harness.contract.values import Picture, Predictions, Run, Sketch, Timing
    from harness.store.database import Store

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
    "n_effective",
)
TIMING_FIELDS = (
    *("kind", "subject", "case", "device", "threads", "status", "reason", "calls", "measured"),
    *("anchor", "anchors"),
)
TIMING_COLUMNS = (
    *TIMING_FIELDS,
    *("median", "minimum", "third_quartile", "low", "high", "p99", "n_processes", "n_samples"),
    *("ratio", "ratio_low", "ratio_high", "bridge"),
    *("samples", "setup_seconds", "first_seconds", "error", "survives", *LEFT),
    *("n_train", "n_test", "epochs", "cut_from", "together"),
)
BYTES = ("peak_bytes", "device_peak_bytes", "model_bytes")
KNOWN = "{} of {} results are reused (harness run --fresh runs every trial)."
FLOATS = ("log_probability", "confidence", "brier")
POSITION = ("key", "position")
UNSEEN = (*POSITION, "identity", "drawn", "read_files")
"""Columns of results that the store keeps for itself."""


def load_frames(
    store: Store,
    run: Run,
    pictures: Mapping[str, Picture] = MappingProxyType({}),
    *,
    without: Sequence[str] = UNSEEN,
) -> Frames:
    """One run as DataFrames; results and timings are read now, the others when they are used.

    Args:
        store: the database.
        run: the run.
        pictures: the kinds of pictures that plugins offer.
        without: columns of the results that are not read.
    """
    left_out = {"id", "run_id", *without}  # the first two come with names of their own
    columns = [column for column in tables.results.c if column.name not in left_out]
    table, of_run = tables.results, tables.members(run.id)
    query = (
        sa.select(table.c.id.label("result_id"), of_run.c.owner.label("run_id"), *columns)
        .join(of_run, of_run.c.result_id == table.c.id)
        .order_by(of_run.c.position, table.c.id)
    )
    metric, value = tables.scores.c.metric, tables.scores.c.value
    # A column a metric, made by the database: there are ten times as many scores as results.
    by_metric = [sa.func.max(sa.case((metric == name, value))).label(name) for name in METRICS]
    scores = (
        sa.select(tables.scores.c.result_id, *by_metric)
        .join(of_run, of_run.c.result_id == tables.scores.c.result_id)
        .group_by(tables.scores.c.result_id)
    )
    with store.reading() as connection:
        results = _frame(connection, query).astype(dict.fromkeys(BYTES, float))
        columns_of_scores = _frame(connection, scores).set_index("result_id").astype(float)
    results = results.join(columns_of_scores, on="result_id")
    ran = results[results["status"] != "skipped"]
    n_known = int((ran["run_id"] != run.id).sum())
    runs: list[Run] = []
    if n_known:
        ids = {run.id, *results["run_id"].tolist()}
        runs = [each for each in store.runs() if each.id in ids]
    sources = (KNOWN.format(n_known, len(ran)), *told(runs, ran)) if n_known else ()
    timings, untimed = timings_frame(store.timings(run)), list[str]()
    if (timings["measured"] != "").any():  # kept from earlier runs
        timings, untimed = side_by_side([Part(run, timings)], store.runs())
    return Frames(
        run,
        results,
        traces=lambda: _traces(store, run),
        predictions=lambda ids: _predictions(store, ids),
        predicted=lambda ids: _predicted(store, ids),
        timings=timings,
        sketches=lambda ids: _sketches(store, ids),
        history=store.points,
        pictures=pictures,
        sources=(*sources, *untimed),
        runs=tuple(runs),
    )


def timings_frame(timings: Sequence[Timing]) -> pd.DataFrame:
    """One row per timing; `harness.contract.values.Frames` lists the columns."""
    rows = []
    for timing in timings:
        row: dict[str, object] = {name: getattr(timing, name) for name in TIMING_FIELDS}
        if timing.samples:
            row |= asdict(summarise(timing.samples))
            row["p99"] = median(float(np.quantile(process, 0.99)) for process in timing.samples)
            ratios = anchored(timing.samples, timing.anchors.get(timing.anchor, ()))
            row |= dict(zip(("ratio", "ratio_low", "ratio_high"), ratios, strict=True))
        row["bridge"] = ""
        rows.append(row | {"samples": timing.samples} | dict(timing.figures))
    frame = pd.DataFrame(rows)
    missing = [name for name in TIMING_COLUMNS if name not in frame.columns]
    return frame.reindex(columns=[*frame.columns, *missing])


def _frame(connection: sa.Connection, query: sa.Select[tuple[object, ...]]) -> pd.DataFrame:
    rows = connection.execute(query)
    columns = list(rows.keys())
    # Of plain tuples, because pandas asks every row for attributes, which SQLAlchemy's look up.
    return pd.DataFrame.from_records(list(map(tuple, rows.all())), columns=columns)


def _traces(store: Store, run: Run) -> pd.DataFrame:
    of_run = tables.members(run.id)
    query = (
        sa.select(tables.traces)
        .join(of_run, of_run.c.result_id == tables.traces.c.result_id)
        .order_by(tables.traces.c.result_id, tables.traces.c.epoch)
    )
    with store.reading() as connection:
        return _frame(connection, query)


def _predictions(store: Store, ids: Sequence[int]) -> pd.DataFrame:
    columns: dict[str, list[np.ndarray[tuple[int], np.dtype[np.generic]]]] = {
        name: [] for name in ("result_id", "row", "true", "predicted", *FLOATS, "weight")
    }
    for result_id, rows in sorted(_predicted(store, ids)):
        n = len(rows.true)
        columns["result_id"].append(np.full(n, result_id))
        columns["row"].append(np.arange(n))
        columns["true"].append(rows.true.astype(np.int64))
        columns["predicted"].append(rows.predicted.astype(np.int64))
        for name in FLOATS:
            columns[name].append(getattr(rows, name).astype(np.float64))
        weights = np.ones(n) if rows.weights is None else rows.weights.astype(np.float64)
        columns["weight"].append(weights)
    return pd.DataFrame(
        {name: np.concatenate(parts) if parts else [] for name, parts in columns.items()}
    )


def _predicted(store: Store, ids: Sequence[int]) -> Iterator[tuple[int, Predictions]]:
    """The predictions of some results, each with the result's id."""
    result_ids = [int(result_id) for result_id in ids]
    with store.reading() as connection:
        for start in range(0, len(result_ids), tables.CHUNK):
            chunk = result_ids[start : start + tables.CHUNK]
            query = sa.select(tables.weights).where(tables.weights.c.result_id.in_(chunk))
            packed_weights = {row.result_id: row.weights for row in connection.execute(query)}
            for table, unpack in (
                (tables.probabilities, tables.unpack_probabilities),
                (tables.predictions, tables.unpack),
            ):
                query = sa.select(table).where(table.c.result_id.in_(chunk))
                for result_id, *packed in connection.execute(query):
                    rows = unpack(*packed)
                    if result_id in packed_weights:
                        weights = tables.unpack_weights(packed_weights[result_id])
                        rows = replace(rows, weights=weights)
                    yield result_id, rows


def _sketches(store: Store, ids: Sequence[int]) -> dict[int, Sketch]:
    table, result_ids = tables.sketches, [int(result_id) for result_id in ids]
    sketches: dict[int, Sketch] = {}
    with store.reading() as connection:
        for start in range(0, len(result_ids), tables.CHUNK):
            chunk = table.c.result_id.in_(result_ids[start : start + tables.CHUNK])
            for result_id, arrays in connection.execute(sa.select(table).where(chunk)):
                sketches[result_id] = tables.unpack_sketch(arrays)
    return sketches
