"""What it costs to run only what is new, and whether known results have the bits of new ones.

    python tests/benchmarks/reuse.py [bits] [added] [lookups] [benchopt --command BENCHOPT]

- ``bits``: ``harness run --all``, twice and fresh, with two repeats: every shipped pairing must
  give the same bits both times, so that a known result is the one that a new run would give.
- ``added``: 200 known trials, then one model more: the seconds of the command beside those of its
  own trials.
- ``lookups``: 10,000 known trials, and the seconds until a run knows them all.
- ``benchopt``: 100 trivial pairings, the same again, and one model more, beside benchopt: 10
  datasets of 20 rows, 10 models that answer with the shares of the classes, one repeat, no timing.
  Ours isolates every trial, and 2 of its 10 models are the baselines; benchopt runs them in its own
  process, as it does by default. BENCHOPT is the path of its command:

    python -m venv /tmp/benchopt && /tmp/benchopt/bin/pip install benchopt==1.10

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
from contextlib import closing
from pathlib import Path
from statistics import median

import numpy as np

from harness.contract.cpu import processor
from harness.runs.campaign import Request, begin
from harness.store.database import Store
from harness.store.frames import load_frames
from harness.trials.discovery import discover
from harness.trials.plan import Selection, plan

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


COSTS = ("import", "make", "fit", "first_predict")


def main() -> None:
    """Print the figures that are asked for."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("parts", nargs="*", default=["bits", "added", "lookups"])
    arguments.add_argument("--command", help="benchopt's")
    arguments.add_argument("--rounds", type=int, default=5, help="of the part benchopt")
    given = arguments.parse_args()
    os.environ.pop(
        "PYTHONDONTWRITEBYTECODE", None
    )  # installed packages, ours and theirs, are compiled
    print(f"{processor()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    for part in given.parts:
        with tempfile.TemporaryDirectory() as folder:
            os.chdir(folder)
            if part == "benchopt":
                benchopt(given.command, given.rounds)
            else:
                {"bits": bits, "added": added, "lookups": lookups}[part]()


def run(*words: str) -> float:
    """Seconds of a ``harness run``; a trial may fail."""
    start = time.perf_counter()
    command = [sys.executable, "-m", "harness", "run", "--no-timing", "--no-progress", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode > 1:
        sys.exit(done.stderr)
    return time.perf_counter() - start


def bits() -> None:
    """Compare two fresh runs of every shipped pairing."""
    for _ in range(2):
        run("--all", "-r", "2", "--fresh")
    with closing(Store("harness.db")) as store:
        one, other = (load_frames(store, store.find(name)) for name in ("1", "2"))
        ok = one.results["status"] == "ok"
        pairs = list(zip(one.results["result_id"][ok], other.results["result_id"][ok], strict=True))
        names = ["accuracy", "nll", "nll_sd", "brier", "auc", "ece", "train_likelihood"]
        same_scores = np.array_equal(
            one.results[names].to_numpy(), other.results[names].to_numpy(), equal_nan=True
        )
        predicted = dict(
            [*one.predicted([a for a, _ in pairs]), *other.predicted([b for _, b in pairs])]
        )
        differ = sum(
            not np.array_equal(predicted[a].probabilities, predicted[b].probabilities)
            for a, b in pairs
        )
        traces = [frames.traces().set_index("result_id") for frames in (one, other)]
        of_trace = sum(
            not np.array_equal(
                traces[0].loc[[a]].to_numpy(), traces[1].loc[[b]].to_numpy(), equal_nan=True
            )
            for a, b in pairs
            if a in traces[0].index
        )
    n_pairings = one.results[ok].groupby(["dataset", "model"]).ngroups
    print(
        f"bits: {n_pairings} shipped pairings, {len(pairs)} trials; other probabilities in "
        f"{differ}, other traces in {of_trace}, scores {'the same' if same_scores else 'DIFFERENT'}"
    )


def added() -> None:
    """One model more beside 200 known trials."""
    where = ["-d", "iris", "-d", "wine", "-d", "threshold", "-d", "three-integers", "-r", "5"]
    models = ["numpy-softmax", "sklearn-lda", "sklearn-gaussian-nb", "sklearn-knn"]
    models += ["sklearn-decision-tree", "sklearn-qda", "sklearn-lda-plain", "sklearn-knn-unscaled"]
    words = [*where, *(word for name in models for word in ("-m", name))]
    first = run(*words)
    Path("mine.py").write_text(MODEL.format(numbers="(0,)"))
    seconds = run(*words, "--plugin", "mine.py", "-m", "model-0")
    with closing(Store("harness.db")) as store:
        frames = load_frames(store, store.find("last"))
    own = frames.results[frames.results["run_id"] == frames.run.id]
    of_trials = float(own[[f"{name}_seconds" for name in COSTS]].sum().sum())
    print(
        f"added: {len(frames.results) - len(own)} known trials (first run {first:.2f} s), "
        f"{len(own)} new: {seconds:.2f} s, of which the new trials {of_trials:.2f} s; all else "
        f"{seconds - of_trials:.2f} s (to reach: 2 s)"
    )


def lookups() -> None:
    """10,000 known trials: 10 datasets, 10 models, 100 repeats."""
    Path("data.py").write_text(OURS.format(datasets=DATASETS))
    Path("models.py").write_text(MODEL.format(numbers="range(8)"))
    plugins = ("data.py", "models.py")
    words = [word for name in plugins for word in ("--plugin", name)]
    run("-d", "data-*", "-m", "model-*", "-r", "100", *words)
    request = Request(Selection(("data-*",), ("model-*",), repeats=100), plugins, timing_budget=0)
    registry = discover(plugins)
    with closing(registry.processes), closing(Store("harness.db")) as store:
        planned = plan(registry, request.selection)
        start = time.perf_counter()
        campaign = begin(store, registry, request, planned)
        seconds = time.perf_counter() - start
    print(
        f"lookups: {len(campaign.known):,} of {len(planned.trials):,} trials known after "
        f"{seconds:.2f} s (to reach: 3 s)"
    )


def benchopt(command: str, rounds: int) -> None:
    """Print the seconds of three runs, beside benchopt's."""
    print(f"median of {rounds} rounds, taken in turns, in seconds\n")
    theirs, ours = [], []
    for _ in range(rounds):
        theirs.append(of_benchopt(command))
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
