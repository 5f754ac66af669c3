"""Small made-up data: for a model, data that it declares to take; for a report, a whole run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.contract.values import Run, Setting, Sketch, Split, Timing
from harness.trials import scoring
from harness.trials.preparation import encode, prepare

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from harness.contract.values import Array, Frames, Needs, Predictions

N_TRAIN, N_TEST = 60, 30

# Corners of a hypercube, one per class: far apart, and the first two differ in every column.
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
    """Read-only arrays or DataFrames, as models get them, and their setting."""

    setting: Setting
    X_train: Any  # (60, 4)
    y_train: Array  # (60,)
    X_test: Any  # (30, 4)
    y_test: Array  # (30,)


def sample_for(
    needs: Needs, n_classes: int = 3, *, device: str = "cpu", categories: bool = True
) -> Sample:
    """Data of classes far apart, prepared as the harness prepares data for a model of these needs.

    Args:
        needs: what the model declares. If it copes with missing values, some are missing.
        n_classes: 2 to 10 classes of equal size.
        device: name of the device in the setting.
        categories: whether the last column holds strings, if the model takes them.
    """
    rng = np.random.default_rng(0)
    y = np.concatenate([rng.permutation(np.arange(m) % n_classes) for m in (N_TRAIN, N_TEST)])
    X: Array = CORNERS[y] + rng.normal(scale=0.25, size=(N_TRAIN + N_TEST, 4))
    categorical: tuple[int, ...] = ()
    if categories and (needs.frame or not needs.numeric):
        sides = np.where(X[:, 3] > 0, "high", "low")
        X, categorical = X.astype(object), (3,)
        X[:, 3] = sides
    if not needs.finite:
        X[rng.random(X.shape) < 0.05] = np.nan
    encoded = encode(
        Split(
            X[:N_TRAIN],
            y[:N_TRAIN],
            X[N_TRAIN:],
            y[N_TRAIN:],
            class_names=tuple(f"class-{k}" for k in range(n_classes)),
            categorical=categorical,
        )
    )
    prepared = prepare(encoded, needs)
    setting = Setting(
        seed=1,
        device=device,
        n_features=prepared.X_train.shape[1],
        n_classes=n_classes,
        categorical=prepared.categorical,
    )
    return Sample(setting, prepared.X_train, prepared.y_train, prepared.X_test, encoded.y_test)


DATASETS = {"tides": "fresh", "pebbles": "resampled", "shells": "fixed"}
MODELS = {"prior": 0.34, "ridge[l2=0.1]": 0.75, "forest": 0.85}  # with their accuracy
REPEATS = 3
UNFINISHED = {
    ("tides", "forest", 2): ("failed", "exception", "ValueError: a tree without leaves"),
    ("pebbles", "ridge[l2=0.1]", 1): ("timeout", "timeout", "no answer within 60 s"),
}
CLASSES = ("low", "middle", "high")
COLUMNS = (
    *("result_id", "dataset", "model", "device", "repeat", "status", "split_kind", "baseline"),
    *("n_train", "n_test", "n_repeated", "identifiers"),
    *("accuracy", "nll", "nll_sd", "likelihood", "brier"),
    *("balanced_accuracy", "auc", "ece", "clipped", "import_seconds", "make_seconds"),
    *("fit_seconds", "first_predict_seconds", "predict_seconds", "fitted_together"),
    *("peak_bytes", "device_peak_bytes", "model_bytes", "fit_weighted", "n_effective"),
    *("failure_kind", "reason", "traceback", "output"),
)
TRACE_COLUMNS = ("result_id", "epoch", "train_likelihood", "test_likelihood")
PREDICTED = ("true", "predicted", "log_probability", "confidence", "brier")
PREDICTION_COLUMNS = ("result_id", "row", *PREDICTED)


def sample_frames(*, all_failed: bool = False) -> Frames:
    """A made-up run of three models, one a baseline, on a dataset of each kind, in three repeats.

    One trial failed and one timed out; with ``all_failed``, no trial has scores. The scores follow
    from the predictions, as in a real run.
    """
    import pandas as pd

    from harness.contract.values import Frames
    from harness.store.frames import timings_frame

    rng = np.random.default_rng(0)
    rows: list[dict[str, object]] = []
    kept: dict[int, Predictions] = {}
    for dataset, kind in DATASETS.items():
        for repeat in range(REPEATS):
            y = rng.permutation(np.arange(40) % 3)
            for model, skill in MODELS.items():
                row: dict[str, object] = {
                    "result_id": len(rows) + 1,
                    "dataset": dataset,
                    "model": model,
                    "device": "cpu",
                    "repeat": repeat,
                    "baseline": model == "prior",
                }
                fault = ("failed", "exception", "ValueError: no luck") if all_failed else None
                if fault := UNFINISHED.get((dataset, model, repeat), fault):
                    row |= dict(zip(("status", "failure_kind", "reason"), fault, strict=True))
                    row |= {"traceback": f"Traceback (most recent call last):\n{fault[2]}"}
                    row |= {"output": "", "split_kind": kind if fault[0] == "failed" else None}
                else:
                    P = _probabilities(rng, y, skill)
                    kept[len(rows) + 1] = scoring.predictions(P, y, CLASSES)
                    row |= {"status": "ok", "split_kind": kind, "n_train": 120, "n_test": len(y)}
                    row |= {"n_repeated": 0}
                    row |= scoring.score(P, y) | _seconds(rng)
                    row |= {"peak_bytes": 3e6, "model_bytes": 1e4 * len(model)}
                rows.append(row)

    traces = [
        (row["result_id"], epoch, 1 - 0.7 * 0.9**epoch, 1 - 0.75 * 0.9**epoch)
        for row in rows
        if row["status"] == "ok" and row["model"] == "ridge[l2=0.1]"
        for epoch in range(1, 6)
    ]

    def predictions(result_ids: Sequence[int]) -> pd.DataFrame:
        return pd.DataFrame(
            [
                (i, row, *values)
                for i in result_ids
                if (p := kept.get(i))
                for row, values in enumerate(
                    zip(*(getattr(p, name) for name in PREDICTED), strict=True)
                )
            ],
            columns=PREDICTION_COLUMNS,
        )

    run = Run(
        id=1,
        name="sample",
        started="2026-01-01T00:00:00+00:00",
        finished="2026-01-01T00:01:00+00:00",
        asked={},
        environment={},
        n_trials=len(rows),
    )
    results = pd.DataFrame(rows).reindex(columns=COLUMNS)
    return Frames(
        run,
        results,
        lambda: pd.DataFrame(traces, columns=TRACE_COLUMNS),
        predictions,
        timings_frame([] if all_failed else _timings(rng)),
        lambda ids: {i: _sketch() for i in ids if i in kept and rows[i - 1]["repeat"] == 0},
        predicted=lambda ids: ((i, kept[i]) for i in ids if i in kept),
    )


def _sketch() -> Sketch:
    """A sketch of a classifier: three classes over one input, with a hidden layer of two units."""
    x = np.linspace(-3, 3, 50, dtype=np.float32)
    logits = np.stack([-2 * x, 1 - x**2, 2 * x], axis=1)
    P = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    points = np.linspace(-2.5, 2.5, 40, dtype=np.float32)[:, None]
    layer = np.tanh(np.stack([x, 1 - x], axis=1))
    return Sketch(CLASSES, ("x0",), points, np.arange(40), (x,), P, (layer,))


def _timings(rng: np.random.Generator) -> list[Timing]:
    """Timings of one pairing and of two kernels, one of them wrong, in three processes."""
    timings = []
    for kind, subject, case, seconds, figures in (
        ("fit", "forest", "tides", 0.1, {"n_train": 120.0, "epochs": 50.0}),
        ("predict", "forest", "tides", 1e-4, {"n_test": 40.0}),
        ("predict-row", "forest", "tides", 1e-5, {"n_test": 1.0}),
        ("softmax", "quick", "100x3 float32 warm", 3e-6, {"error": 6e-8, "survives": 1.0}),
        ("copy", "copy", "100x3 float32 warm", 3e-7, {"first_seconds": 1e-6}),
    ):
        samples = seconds * rng.uniform(0.9, 1.1, size=(3, 4))
        taken = tuple(map(tuple, samples.tolist()))
        timings.append(Timing(kind, subject, case, "cpu", 1, "ok", samples=taken, figures=figures))
    wrong = ("softmax", "hasty", "100x3 float32 warm", "cpu", 1, "wrong")
    return [*timings, Timing(*wrong, reason="a probability is off by 0.5")]  # type: ignore[arg-type]  # in order


def _probabilities(rng: np.random.Generator, y: Array, skill: float) -> Array:
    """Probabilities of three classes (n, 3); ``skill`` is the expected accuracy."""
    likeliest = np.where(rng.random(len(y)) < skill, y, (y + 1) % 3)
    sure = np.clip(rng.normal(skill, 0.05, size=len(y)), 0.34, 0.99)
    P = np.repeat((1 - sure)[:, None] / 2, 3, axis=1)
    P[np.arange(len(y)), likeliest] = sure
    return P


def _seconds(rng: np.random.Generator) -> dict[str, float]:
    usual = {"import": 0.5, "make": 1e-5, "fit": 0.1, "first_predict": 1e-4, "predict": 1e-6}
    return {f"{name}_seconds": scale * rng.uniform(0.8, 1.2) for name, scale in usual.items()}
