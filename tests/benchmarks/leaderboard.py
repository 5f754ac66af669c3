"""Seconds and memory of a ranking of many runs.

    python tests/benchmarks/leaderboard.py

Makes a store of 50 runs with 2,000 results each (20 datasets, 10 models a run, 10 repeats), and
times ``harness report --all-runs --format json`` on it. Wanted: at most 5 s.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

import numpy as np

from harness.contract.values import Planned
from harness.store import database as tables
from harness.store.database import Store

RUNS, DATASETS, MODELS, REPEATS = 50, 20, 10, 10
WANTED = 5.0  # seconds


def main() -> int:
    """Print the figures, and give the exit status."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed package is compiled
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "harness.db"
        make(file)
        command = [sys.executable, "-m", "harness", "report", "--all-runs", "--format", "json"]
        seconds = []
        for _ in range(3):
            started = time.perf_counter()
            subprocess.run([*command, "--store", str(file)], check=True, stdout=subprocess.DEVNULL)
            seconds.append(time.perf_counter() - started)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    n_results = RUNS * DATASETS * MODELS * REPEATS
    print(f"{n_results:,} results of {RUNS} runs: {min(seconds):.1f} s, peak {peak:.0f} MiB")
    print("reached" if min(seconds) <= WANTED else f"MISSED: at most {WANTED:g} s wanted")
    return 0 if min(seconds) <= WANTED else 1


def make(file: Path) -> None:
    """A store of runs with random scores."""
    rng = np.random.default_rng(0)
    names = [
        (f"d{d}", m, k) for d in range(DATASETS) for m in range(MODELS) for k in range(REPEATS)
    ]
    with closing(Store(str(file), create=True)) as store:
        for number in range(RUNS):
            planned = [
                Planned(f"d{d}", f"m{number}-{m}", "cpu", REPEATS, False)
                for d in range(DATASETS)
                for m in range(MODELS)
            ]
            machine = {"machine": {"node": "here", "processor": "one"}}
            run = store.begin("", {}, machine, len(names), planned)
            results, scores = [], []
            for position, (dataset, model, repeat) in enumerate(names):
                result_id = (run.id - 1) * len(names) + position + 1
                results.append(
                    {
                        "id": result_id,
                        "run_id": run.id,
                        "key": f"{position}",
                        "position": position,
                        "dataset": dataset,
                        "dataset_parameters": {},
                        "model": f"m{number}-{model}",
                        "model_parameters": {},
                        "baseline": False,
                        "device": "cpu",
                        "repeat": repeat,
                        "split_seed": repeat,
                        "model_seed": 0,
                        "status": "ok",
                        "split_kind": "resampled",
                        "n_train": 100,
                        "n_test": 50,
                        "fit_seconds": 0.1,
                        "predict_seconds": 1e-6,
                        "fitted_together": 1,
                        "identity": f"c-{position}",
                        "drawn": f"{dataset}-{repeat}",
                    }
                )
                accuracy = rng.uniform(0.6, 0.9)
                told = {"accuracy": accuracy, "nll": 1 - accuracy, "nll_sd": 0.5, "auc": accuracy}
                told |= {"likelihood": np.exp(accuracy - 1), "brier": 0.3, "ece": 0.1}
                told |= {"balanced_accuracy": accuracy, "clipped": 0.0, "train_likelihood": 0.9}
                scores += [
                    {"result_id": result_id, "metric": name, "value": float(value)}
                    for name, value in told.items()
                ]
            with store.writing() as connection:
                connection.execute(tables.results.insert(), results)
                connection.execute(tables.scores.insert(), scores)
            store.finish(run)


if __name__ == "__main__":
    sys.exit(main())
