"""What it costs to run only what is new, and whether known results have the bits of new ones.

    python tests/benchmarks/reuse.py [bits] [added] [lookups]

- ``bits``: ``harness run --all``, twice and fresh, with two repeats: every shipped pairing must
  give the same bits both times, so that a known result is the one that a new run would give.
- ``added``: 200 known trials, then one model more: the seconds of the command beside those of its
  own trials.
- ``lookups``: 10,000 known trials, and the seconds until a run knows them all.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

import numpy as np
from beside_benchopt import MODEL, OURS

from harness.contract.cpu import processor
from harness.runs.campaign import Request, begin
from harness.store.database import Store
from harness.store.frames import load_frames
from harness.trials.discovery import discover
from harness.trials.plan import Selection, plan

COSTS = ("import", "make", "fit", "first_predict")


def main() -> None:
    """Print the figures that are asked for."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("parts", nargs="*", default=["bits", "added", "lookups"])
    parts = arguments.parse_args().parts
    print(f"{processor()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    for part in parts:
        with tempfile.TemporaryDirectory() as folder:
            os.chdir(folder)
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
    Path("data.py").write_text(OURS.format(datasets=10))
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


if __name__ == "__main__":
    main()
