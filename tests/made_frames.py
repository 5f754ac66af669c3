"""Made-up frames of a run, for tests of reports."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from harness.contract.values import Frames, Run
from harness.store.frames import timings_frame

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


Fault = tuple[str, str, str]  # status, kind, reason


DATASETS = {
    "threshold": ("fresh", 100, 100, 3.5),
    "three-integers": ("fresh", 100, 100, 1.5),
    "twonorm": ("fresh", 300, 1000, 2.5),
    "iris": ("resampled", 112, 38, 3.0),
    "wine": ("resampled", 133, 45, 3.5),
    "breast-cancer": ("resampled", 426, 143, 3.0),
    "digits": ("resampled", 1347, 450, 2.5),
    "penguins": ("fixed", 258, 86, 4.0),
}


MODELS = {
    "prior": -1.9,
    "uniform": -1.8,
    "numpy-softmax": 0.3,
    "torch-mlp": 0.35,
    "notebook-mlp": -0.4,
    "notebook-mlp[zero_grad=false]": -1.3,
    "sklearn-logistic": 0.3,
    "sklearn-knn": 0.0,
    "sklearn-naive-bayes": -0.3,
    "sklearn-lda": 0.2,
    "sklearn-random-forest": 0.1,
    "sklearn-hist-gradient-boosting": 0.05,
}


TRACEBACK = "Traceback (most recent call last):\n"


def make_frames(
    datasets: Mapping[str, tuple[str, int, int, float]] = DATASETS,
    models: Mapping[str, float] = MODELS,
    *,
    repeats: int = 5,
    devices: Sequence[str] = ("cpu",),
    faults: Mapping[tuple[str, str, int], Fault] | None = None,
    clipped: Mapping[tuple[str, str, int], int] | None = None,
    planned: int | None = None,
) -> Frames:
    """Frames of a run on made-up data, in which each row is equally hard for all models.


    The log odds of the right class are normal around the dataset's ease plus the model's skill.
    All scores follow from these log odds, as in a real run.
    """
    rows: list[dict[str, Any]] = []
    losses: dict[int, Any] = {}
    for d, (dataset, (kind, n_train, n_test, ease)) in enumerate(datasets.items()):
        for m, (model, skill) in enumerate(models.items()):
            for device in devices:
                for repeat in range(repeats):
                    key = (dataset, model, repeat)
                    i = len(rows) + 1
                    row: dict[str, Any] = {
                        "result_id": i,
                        "dataset": dataset,
                        "model": model,
                        "device": device,
                        "repeat": repeat,
                        "baseline": model in ("prior", "uniform"),
                        "split_kind": kind,
                    }
                    if fault := (faults or {}).get(key):
                        row |= dict(
                            zip(("status", "failure_kind", "reason"), fault, strict=True),
                            traceback=TRACEBACK,
                            output="",
                        )
                    else:
                        rng = np.random.default_rng([d, 0 if kind == "fixed" else repeat])
                        hard = rng.normal(size=n_test)
                        own = np.random.default_rng([d, m, repeat, len(device)])
                        odds = ease * (1 + skill) + 1.5 * hard + own.normal(0, 0.5, n_test)
                        loss = np.logaddexp(0, -odds)
                        if model == "uniform":
                            loss = np.full(n_test, math.log(3))
                        losses[i] = loss
                        zero = (clipped or {}).get(key, 0)
                        loss[:zero] = 36.0437
                        seconds = 10 ** own.uniform(-4, 1)
                        row |= {
                            "status": "ok",
                            "n_train": n_train,
                            "n_test": n_test,
                            "accuracy": np.mean(loss < math.log(2)),
                            "nll": loss.mean(),
                            "nll_sd": loss.std(ddof=1),
                            "likelihood": np.exp(-loss.mean()),
                            "brier": np.mean((1 - np.exp(-loss)) ** 2) * 1.5,
                            "balanced_accuracy": np.mean(loss < math.log(2)),
                            "auc": 0.9 if repeat else math.nan,
                            "ece": 0.02,
                            "clipped": zero,
                            "import_seconds": own.uniform(0, 1.5) * (repeat == 0),
                            "make_seconds": own.uniform(0, 1e-4),
                            "fit_seconds": seconds,
                            "first_predict_seconds": seconds / 50,
                            "predict_seconds": seconds / 5e4,
                            "fitted_together": 1,
                        }
                    rows.append(row)
    names = [*rows[0], *ROW_NAMES]

    def predictions(result_ids: Sequence[int]) -> pd.DataFrame:
        parts = [
            pd.DataFrame(
                {
                    "result_id": i,
                    "row": np.arange(len(losses[i])),
                    "true": 0,
                    "predicted": (losses[i] >= math.log(2)).astype(int),
                    "log_probability": -losses[i],
                    "confidence": np.exp(-losses[i]),
                    "brier": losses[i],
                }
            )
            for i in result_ids
        ]
        return pd.concat(parts)

    run = Run(
        id=7,
        name="a sample",
        started="2026-01-01T00:00:00+00:00",
        finished=None,
        asked={},
        environment={},
        n_trials=planned or len(rows),
    )
    results = pd.DataFrame(rows).reindex(columns=list(dict.fromkeys(names)))
    traces = pd.DataFrame(columns=["result_id", "epoch", "train_likelihood", "test_likelihood"])
    return Frames(run, results, lambda: traces, predictions, timings_frame([]))


ROW_NAMES = (
    *("status", "n_train", "n_test", "n_repeated", "identifiers"),
    *("accuracy", "nll", "nll_sd", "likelihood", "brier"),
    *("balanced_accuracy", "auc", "ece", "clipped", "import_seconds", "make_seconds"),
    *("fit_seconds", "first_predict_seconds", "predict_seconds", "fitted_together"),
    *("peak_bytes", "device_peak_bytes", "model_bytes", "fit_weighted", "n_effective"),
    *("failure_kind", "reason", "traceback", "output"),
)


REASON = (
    "ValueError: [bold]NaN[/bold] in column_3; pip install harness[torch] "
    "gives a version that copes with missing values & categories <all of them>"
)


FAULTS: dict[tuple[str, str, int], Fault] = {
    ("digits", "notebook-mlp", 2): ("timeout", "timeout", "no answer within 60 s"),
    ("digits", "notebook-mlp", 3): ("timeout", "timeout", "no answer within 60 s"),
} | {("penguins", "sklearn-lda", repeat): ("failed", "exception", REASON) for repeat in range(5)}
