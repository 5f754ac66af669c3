"""The site's data to download: a row a trial as CSV, the history, and the ranking as JSON."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

from harness.sheets.texts import frame_csv
from harness_site.board import records

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

    from harness_site.board import Board

FORMAT = 1

RESULTS = {
    "run": "id of the run",
    "dataset": "dataset, with its parameters in brackets",
    "model": "model, with its parameters in brackets",
    "device": "device that it was fitted on",
    "repeat": "number of the repeat, from 0; the same split for every model",
    "split_seed": "seed of the split",
    "model_seed": "seed of the model",
    "status": "ok, failed, timeout, crashed or skipped",
    "split_kind": "kind of split: fresh (new rows), resampled, fixed, or k-fold",
    "n_train": "training rows",
    "n_test": "test rows",
    "accuracy": "share of test rows that are predicted correctly",
    "likelihood": "exp(−NLL), the geometric mean probability of the correct class",
    "nll": "mean negative log likelihood; less is better",
    "brier": "Brier score: mean squared error of the probabilities, summed over classes; less is "
    "better",
    "balanced_accuracy": "balanced accuracy: mean recall of the classes",
    "auc": "area under the ROC curve",
    "ece": "expected calibration error; less is better",
    "fit_seconds": "seconds of the fit; rough, because trials ran in parallel",
    "predict_seconds": "seconds of the prediction, per row; likewise",
    "peak_bytes": "most memory at once",
    "reason": "why there are no scores",
}
"""The columns of a row a trial, and what each holds."""


def results(board: Board) -> pd.DataFrame:
    """A row for each trial; scores of the chosen metrics are further columns."""
    frame = board.frames.results
    run = frame.get("run_id", board.frames.run.id)
    further = [each.name for each in board.metrics if each.name not in RESULTS]
    return frame.assign(run=run).reindex(columns=[*RESULTS, *further])


def files(board: Board) -> Iterator[tuple[str, bytes]]:
    """The files of data by path."""
    trials = results(board)
    yield "data/results.csv", _csv(trials)
    for dataset, rows in trials.groupby("dataset", sort=False):
        yield f"data/{board.dataset_files[str(dataset)]}.csv", _csv(rows)
    yield "data/history.csv", _csv(board.history)
    yield "data/ranking.csv", _csv(board.ranking)
    yield "data/ranking.json", (json.dumps(_ranking(board), indent=1) + "\n").encode()


def _csv(frame: pd.DataFrame) -> bytes:
    return frame_csv(frame).encode()


def _ranking(board: Board) -> dict[str, Any]:
    """The ranking for programs."""
    rank = board.rank.name
    by_contender: dict[tuple[str, str], dict[str, Any]] = {}
    for row in board.rows:
        found = by_contender.setdefault((row["model"], row["device"]), {})
        found[row["dataset"]] = {
            "rank": _count(row["rank"]),
            "status": row["status"],
            "ok": row["ok"],
            "total": row["total"],
            **{
                each.name: {
                    "mean": _plain(row[each.name]),
                    "low": _plain(row[f"{each.name}_low"]),
                    "high": _plain(row[f"{each.name}_high"]),
                    "best": bool(row[f"{each.name}_best"]),
                    "tied_with_best": bool(row[f"{each.name}_tied_with_best"]),
                }
                for each in board.metrics
            },
            "runs": list(board.run_ids.get((row["dataset"], row["model"], row["device"]), ())),
        }
    return {
        "format": FORMAT,
        "title": board.title,
        "ranked_by": rank,
        "more_is_better": board.rank.more_is_better,
        "runs": [
            {"id": run.id, "name": run.name, "started": run.started, "finished": run.finished}
            for run in board.runs
        ],
        "sources": list(board.frames.sources),
        "standings": [
            {
                "rank": _count(row["rank"]),
                "model": row["model"],
                "device": row["device"],
                "baseline": row["baseline"],
                "mean": _plain(row["mean"]),
                "page": f"models/{board.model_files[row['model']]}.html",
                "datasets": by_contender[row["model"], row["device"]],
            }
            for row in records(board.standings)
        ],
    }


def _plain(value: float) -> float | None:
    """A number that JSON can hold; None for NaN and infinity."""
    return float(value) if math.isfinite(value) else None


def _count(value: float) -> int | None:
    """A rank; None for NaN."""
    return None if math.isnan(value) else int(value)
