"""How long a metric takes over a stored run, and how large the store is: ``python metrics.py``.

The run is made up: 1,000 results of 1,000 rows and 10 classes each.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

import numpy as np

from harness.contract.values import Choice, Result, Seconds, Trial
from harness.store.database import Store
from harness.trials import scoring

MODELS, REPEATS, ROWS, CLASSES = 100, 10, 1_000, 10
METRICS = ("mcc", "auc", "f1-macro", "sklearn-roc-auc-ovr")


def main() -> None:
    """Make the store in a temporary folder, and print times and sizes."""
    rng = np.random.default_rng(0)
    names = tuple(f"class {k}" for k in range(CLASSES))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "harness.db")
        with closing(Store(str(file), create=True)) as store:
            run = store.begin("made", {}, {}, MODELS * REPEATS)
            for i in range(MODELS * REPEATS):
                model, repeat = divmod(i, REPEATS)
                y = np.random.default_rng(repeat).integers(0, CLASSES, ROWS)
                P = rng.dirichlet(np.ones(CLASSES), ROWS) * 0.6 + 0.4 * np.eye(CLASSES)[y]
                trial = Trial(
                    Choice("made"), Choice(f"model-{model:03}"), "cpu", repeat, repeat, repeat
                )
                result = Result(
                    trial,
                    "ok",
                    split_kind="resampled",
                    n_train=3_000,
                    n_test=ROWS,
                    scores=scoring.score(P, y) | {"train_likelihood": 0.5},
                    seconds=Seconds(0.0, 0.0, 0.1, 0.01, 1e-6),
                    predictions=scoring.predictions(P, y, names),
                )
                store.add(run, i, result, baseline=False)
            store.finish(run)
        rows = MODELS * REPEATS * ROWS
        with closing(Store(str(file))) as store, store.engine.connect() as connection:
            (packed,) = connection.exec_driver_sql(
                "SELECT SUM(LENGTH(probabilities) + LENGTH(true_class)) FROM probabilities"
            ).one()
        print(f"{packed / rows:.1f} bytes a row of {CLASSES} classes (to reach: {4 * CLASSES + 4})")
        print(f"{file.stat().st_size / rows:.1f} bytes a row of the whole file")
        report = [sys.executable, "-m", "harness", "report", "--format", "csv", "--store"]
        base = _seconds([*report, str(file)])
        print(f"report without a metric: {base:.2f} s")
        for metric in METRICS:
            took = _seconds([*report, str(file), "--metric", metric])
            print(f"report --metric {metric}: {took:.2f} s, {took - base:.2f} s of it the metric's")


def _seconds(words: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run(words, check=True, capture_output=True)  # ourselves
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
