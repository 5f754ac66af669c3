"""The cost of a run beside benchopt's: 100 trivial pairings, the same again, one model more.

10 datasets of 20 rows, 10 models that answer with the shares of the classes, one repeat; neither
times anything. Ours isolates every trial; 2 of its 10 models are the baselines. benchopt runs them
in its own process, as it does by default.

    python -m venv /tmp/benchopt && /tmp/benchopt/bin/pip install benchopt==1.10
    python tests/benchmarks/beside_benchopt.py /tmp/benchopt/bin/benchopt [--rounds 5]

No figure is an error, because figures depend on the machine.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from harness.contract.cpu import processor

DATASETS, MODELS = 10, 10

OBJECTIVE = """
import numpy as np
from benchopt import BaseObjective


class Objective(BaseObjective):
    name = "Shares"

    def set_data(self, X_train, y_train, X_test, y_test):
        self.train, self.test = (X_train, y_train), (X_test, y_test)

    def get_objective(self):
        return {"X": self.train[0], "y": self.train[1], "X_test": self.test[0]}

    def evaluate_result(self, probabilities):
        y = self.test[1]
        return {"value": float(-np.log(probabilities[np.arange(len(y)), y]).mean())}

    def get_one_result(self):
        return {"probabilities": np.full((len(self.test[1]), 2), 0.5)}
"""
DATASET = """
import numpy as np
from benchopt import BaseDataset


class Dataset(BaseDataset):
    name = "data-{number}"

    def get_data(self):
        rng = np.random.default_rng({number})
        X, y = rng.normal(size=(20, 2)), np.arange(20) % 2
        return {{"X_train": X[:10], "y_train": y[:10], "X_test": X[10:], "y_test": y[10:]}}
"""
SOLVER = """
import numpy as np
from benchopt import BaseSolver


class Solver(BaseSolver):
    name = "model-{number}"
    sampling_strategy = "run_once"

    def set_objective(self, X, y, X_test):
        self.y, self.n_test = y, len(X_test)

    def run(self, _):
        shares = np.bincount(self.y, minlength=2) / len(self.y)
        self.probabilities = np.tile(shares, (self.n_test, 1))

    def get_result(self):
        return {{"probabilities": self.probabilities}}
"""
OURS = """
from functools import partial

import harness
import numpy as np


@harness.hookimpl
def harness_datasets():
    for number in range({datasets}):
        yield harness.Dataset(f"data-{{number}}", "fresh", partial(split, number=number))


def split(rng, *, number):
    rng = np.random.default_rng(number)
    X, y = rng.normal(size=(20, 2)), np.arange(20) % 2
    return harness.Split(X[:10], y[:10], X[10:], y[10:])
"""
MODEL = """
import harness
import numpy as np


@harness.hookimpl
def harness_models():
    for number in {numbers}:
        yield harness.Model(f"model-{{number}}", lambda setting: Shares())


class Shares:
    def fit(self, X, y):
        self.shares = np.bincount(y, minlength=2) / len(y)
        return self

    def predict_proba(self, X):
        return np.tile(self.shares, (len(X), 1))
"""


def main() -> None:
    """Print the table."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("benchopt", help="path of the command")
    arguments.add_argument("--rounds", type=int, default=5)
    given = arguments.parse_args()
    print(f"{processor()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    print(f"median of {given.rounds} rounds, taken in turns, in seconds\n")
    theirs, ours = [], []
    for _ in range(given.rounds):
        theirs.append(of_benchopt(given.benchopt))
        ours.append(of_harness())
    print(f"{'':22}{'benchopt':>10}{'harness':>10}")
    for i, what in enumerate(("first run", "again", "one model added")):
        columns = (median(each[i] for each in several) for several in (theirs, ours))
        print(f"{what:22}" + "".join(f"{seconds:10.2f}" for seconds in columns))


def of_benchopt(command: str) -> list[float]:
    """Seconds of the three runs."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "benchmark"
        for kind, text, n in (("datasets", DATASET, DATASETS), ("solvers", SOLVER, MODELS)):
            (folder / kind).mkdir(parents=True)
            for number in range(n):
                (folder / kind / f"made_{number}.py").write_text(text.format(number=number))
        (folder / "objective.py").write_text(OBJECTIVE)
        words = [command, "run", str(folder), "-r", "1", "--no-plot", "--no-html"]
        seconds = [timed(words, folder), timed(words, folder)]
        (folder / "solvers" / "more.py").write_text(SOLVER.format(number=MODELS))
        return [*seconds, timed(words, folder)]


def of_harness() -> list[float]:
    """Seconds of the three runs."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "data.py").write_text(OURS.format(datasets=DATASETS))
        (folder / "models.py").write_text(MODEL.format(numbers=f"range({MODELS - 2})"))
        command = shutil.which("harness") or str(Path(sys.executable).with_name("harness"))
        words = [command, "run", "-d", "data-*", "-m", "model-*", "-r", "1", "--no-timing"]
        words += ["--no-progress", "--plugin", "data.py", "--plugin", "models.py"]
        seconds = [timed(words, folder), timed(words, folder)]
        (folder / "more.py").write_text(MODEL.format(numbers=f"({MODELS},)"))
        return [*seconds, timed([*words, "--plugin", "more.py"], folder)]


def timed(words: list[str], folder: Path) -> float:
    """Seconds of a command."""
    start = time.perf_counter()
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(words)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
