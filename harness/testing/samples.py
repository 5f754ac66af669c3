"""Small made-up data: for a model what it says that it can take, for a report a whole run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.frames import Frames
from harness.values import Run, Setting

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from harness.values import Array, Needs

N_TRAIN, N_TEST = 60, 30

# Corners of a hypercube, a class each: far apart, and even two of them differ in every column.
CORNERS = np.array(
    [
        [+1, +1, +1, +1],
        [-1, -1, -1, -1],
        [+1, -1, +1, -1],
        [-1, +1, -1, +1],
        [+1, +1, -1, -1],
        [-1, -1, +1, +1],
        [+1, -1, -1, +1],
        [-1, +1, +1, -1],
        [+1, +1, +1, -1],
        [-1, -1, -1, +1],
    ]
)


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """Read-only arrays, as the harness hands them out, and the setting that goes with them."""

    setting: Setting
    X_train: Array  # (60, 4)
    y_train: Array  # (60,)
    X_test: Array  # (30, 4)
    y_test: Array  # (30,)


def sample_for(
    needs: Needs, n_classes: int = 3, *, device: str = "cpu", categories: bool = True
) -> Sample:
    """Classes far apart, prepared as the harness prepares data for a model of these needs.

    Args:
        needs: what the model declares.
        n_classes: 2 to 10, each with as many rows as the others.
        device: for the setting.
        categories: the last column holds strings, where the model takes them.
    """
    rng = np.random.default_rng(0)
    n = N_TRAIN + N_TEST
    y = np.concatenate([rng.permutation(np.arange(m) % n_classes) for m in (N_TRAIN, N_TEST)])
    X: Array = CORNERS[y] + rng.normal(scale=0.25, size=(n, 4))
    if needs.scaled:
        X = (X - X[:N_TRAIN].mean(axis=0)) / X[:N_TRAIN].std(axis=0)
    sides = np.where(X[:, 3] > 0, "high", "low")
    if not needs.finite:
        X[rng.random(X.shape) < 0.05] = np.nan
    if mixed := categories and not needs.numeric:
        X = X.astype(object)
        X[:, 3] = sides
    else:
        X = X.astype(needs.dtype)
    parts = X[:N_TRAIN], y[:N_TRAIN], X[N_TRAIN:], y[N_TRAIN:]
    for part in parts:
        part.setflags(write=False)
    setting = Setting(
        seed=1,
        device=device,
        n_features=4,
        n_classes=n_classes,
        categorical=(3,) if mixed else (),
    )
    return Sample(setting, *parts)


DATASETS = {"tides": "fresh", "pebbles": "resampled", "shells": "fixed"}
MODELS = {"prior": 0.34, "ridge[l2=0.1]": 0.75, "forest": 0.85}  # and how often they are right
REPEATS = 3
UNFINISHED: dict[tuple[str, str, int], tuple[str, str, str]] = {
    ("tides", "forest", 2): ("failed", "exception", "ValueError: a tree without leaves"),
    ("pebbles", "ridge[l2=0.1]", 1): ("timeout", "timeout", "no answer within 60 s"),
}


def sample_frames(*, all_failed: bool = False) -> Frames:
    """A run of three models, one of them a baseline, on a dataset of each kind, three times.

    One trial failed and one ran out of time, or all of them did. The scores follow from the
    predictions, as in a true run.
    """
    import pandas as pd

    rng = np.random.default_rng(0)
    rows: list[dict[str, Any]] = []
    predictions: list[pd.DataFrame] = [pd.DataFrame(_predictions(rng, 0, 0.5, rng.integers(3, size=0)))]
    for dataset, kind in DATASETS.items():
        for repeat in range(REPEATS):
            true = rng.integers(3, size=40)
            for model, skill in MODELS.items():
                row = {
                    "result_id": len(rows) + 1,
                    "dataset": dataset,
                    "model": model,
                    "device": "cpu",
                    "repeat": repeat,
                    "baseline": model == "prior",
                }
                failed = ("failed", "exception", "ValueError: no luck") if all_failed else None
                failed = UNFINISHED.get((dataset, model, repeat), failed)
                if failed:
                    row |= dict(zip(("status", "failure_kind", "reason"), failed, strict=True))
                    row |= {"traceback": "Traceback (most recent call last): ...", "output": ""}
                else:
                    predicted = _predictions(rng, len(rows) + 1, skill, true)
                    predictions.append(pd.DataFrame(predicted))
                    row |= {"status": "ok", "split_kind": kind, "n_train": 120, "n_test": len(true)}
                    row |= _scores(predicted) | _seconds(rng)
                rows.append(row)
    results = pd.DataFrame(rows).reindex(columns=COLUMNS)
    traces = pd.DataFrame(
        [
            {
                "result_id": row["result_id"],
                "epoch": epoch,
                "train_likelihood": 1 - 0.7 * 0.9**epoch,
                "test_likelihood": 1 - 0.75 * 0.9**epoch,
            }
            for row in rows
            if row["status"] == "ok" and row["model"] == "ridge[l2=0.1]"
            for epoch in range(5)
        ],
        columns=["result_id", "epoch", "train_likelihood", "test_likelihood"],
    )
    every = pd.concat(predictions, ignore_index=True)

    def predictions_of(result_ids: Sequence[int]) -> pd.DataFrame:
        return every[every["result_id"].isin(result_ids)].reset_index(drop=True)

    run = Run(
        id=1,
        name="sample",
        started="2026-01-01T00:00:00+00:00",
        finished="2026-01-01T00:01:00+00:00",
        asked={},
        environment={},
        n_trials=len(rows),
    )
    return Frames(run, results, traces.copy, predictions_of)


COLUMNS = (
    *("result_id", "dataset", "model", "device", "repeat", "status", "split_kind", "baseline"),
    *("n_train", "n_test", "accuracy", "nll", "nll_sd", "likelihood", "brier"),
    *("balanced_accuracy", "auc", "ece", "clipped", "import_seconds", "make_seconds"),
    *("fit_seconds", "first_predict_seconds", "predict_seconds"),
    *("failure_kind", "reason", "traceback", "output"),
)


def _predictions(
    rng: np.random.Generator, result_id: int, skill: float, true: Array
) -> dict[str, Any]:
    """Three classes, right with probability ``skill`` and about as sure of it."""
    right = rng.random(len(true)) < skill
    sure = np.clip(skill + rng.normal(scale=0.05, size=len(true)), 0.05, 0.99)
    return {
        "result_id": np.full(len(true), result_id),
        "row": np.arange(len(true)),
        "true": true.astype(np.uint16),
        "predicted": np.where(right, true, (true + 1) % 3).astype(np.uint16),
        "log_probability": np.log(np.where(right, sure, 1 - sure)).astype(np.float32),
    }


def _scores(predicted: dict[str, Any]) -> dict[str, float]:
    losses = -predicted["log_probability"].astype(np.float64)
    accuracy = float(np.mean(predicted["true"] == predicted["predicted"]))
    return {
        "accuracy": accuracy,
        "nll": float(losses.mean()),
        "nll_sd": float(losses.std(ddof=1)),
        "likelihood": float(np.exp(-losses.mean())),
        "brier": float(np.mean(2 * (1 - np.exp(-losses)) ** 2)),
        "balanced_accuracy": accuracy,
        "auc": (1 + accuracy) / 2,
        "ece": 0.05,
        "clipped": 0.0,
    }


def _seconds(rng: np.random.Generator) -> dict[str, float]:
    names = ("import", "make", "fit", "first_predict", "predict")
    scales = (0.5, 1e-5, 0.1, 1e-4, 1e-6)
    return {
        f"{name}_seconds": float(scale * rng.uniform(0.8, 1.2))
        for name, scale in zip(names, scales, strict=True)
    }
