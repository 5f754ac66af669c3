"""The harness's own cost: start-up, a trial, a report, the coordinator's memory.

Prints each figure beside its goal. No figure is an error, because figures depend on the machine.

    python tests/benchmarks/own_cost.py [--trials 10000]
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import closing
from pathlib import Path
from statistics import median

import psutil

from harness.contract.values import Choice, Result, Seconds, Trial
from harness.store.database import Store, results, scores
from harness.store.environment import processor

COMMAND = [sys.executable, "-m", "harness"]
NOTHING = ["--plugin", "harness.testing.faulty", "-m", "faulty-none"]
QUIET = ["--no-progress", "--no-timing", "--fresh"]


def main() -> None:
    """Print the table."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--trials", type=int, default=10_000, help="of the memory figure")
    n_trials = arguments.parse_args().trials
    print(f"{processor()}, {os.cpu_count()} cores, Python {platform.python_version()}\n")
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        os.environ["HARNESS_STORE"] = str(Path(folder) / "harness.db")
        tell("harness --help", f"{seconds(['--help']):.2f} s", "at most 0.3 s")
        tell("harness list", f"{seconds(['list']):.2f} s", "at most 1 s")
        tell("a trial that does nothing", f"{cost_of_a_trial(1000):.1f} ms", "at most 20 ms")
        os.environ["HARNESS_STORE"] = str(Path(folder) / "large.db")
        run_id = fill(Store(os.environ["HARNESS_STORE"], create=True))
        tell("harness report of a large store", f"{report(run_id):.2f} s", "at most 2 s")
        os.environ["HARNESS_STORE"] = str(Path(folder) / "long.db")
        first, last = memory(n_trials)
        tell(
            f"coordinator's memory in {n_trials:,} trials",
            f"{first:.0f} to {last:.0f} MiB",
            "flat",
        )


def tell(name: str, figure: str, goal: str) -> None:
    """Print one line of the table immediately."""
    print(f"{name:42} {figure:>18}   {goal}", flush=True)


def seconds(words: list[str], times: int = 7) -> float:
    """Median wall-clock seconds of a command that runs as a process."""
    samples = []
    for _ in range(times):
        started = time.perf_counter()
        subprocess.run([*COMMAND, *words], check=True, capture_output=True)
        samples.append(time.perf_counter() - started)
    return median(samples)


def cost_of_a_trial(n: int) -> float:
    """Milliseconds per trial of a run with 2 jobs, including start-up and tables."""
    baselines = 2
    repeats = str(n // (1 + baselines))
    words = ["run", "-d", "threshold", *NOTHING, *QUIET, "-j", "2", "-r", repeats]
    return 1000 * seconds(words, times=3) / (n // (1 + baselines) * (1 + baselines))


def fill(store: Store) -> int:
    """Fill a store with 100 runs of 1,000 results (1,000,000 rows of scores); the id of one run."""
    environment = {"python": "", "packages": {}, "plugins": {}}
    with closing(store):
        runs = [store.begin("", {}, environment, 1000) for _ in range(100)]
        wanted = runs[50]
        names = [f"model-{i}" for i in range(20)], [f"dataset-{i}" for i in range(10)]
        trials = [
            Trial(Choice(dataset), Choice(model), "cpu", repeat, 0)
            for dataset in names[1]
            for model in names[0]
            for repeat in range(5)
        ]
        metrics = ["accuracy", "nll", "nll_sd", "likelihood", "brier", "balanced_accuracy"]
        metrics += ["auc", "ece", "clipped", "train_likelihood"]
        for position, trial in enumerate(trials):
            values = dict.fromkeys(metrics, 0.5) | {
                "accuracy": 0.5 + trial.model_seed % 97 / 200,
                "nll": 0.5 + trial.model_seed % 89 / 200,
            }
            result = Result(
                trial,
                "ok",
                split_kind="resampled",
                n_train=100,
                n_test=50,
                scores=values,
                seconds=Seconds(0.1, 0.1, 0.1, 0.1, 1e-6),
            )
            store.add(wanted, position, result, baseline=False)
        with store.engine.begin() as connection:
            for run in runs:
                if run is wanted:
                    continue
                source = results.select().where(results.c.run_id == wanted.id)
                rows = connection.execute(source).mappings().all()
                last = (
                    connection.execute(results.select().order_by(results.c.id.desc()).limit(1))
                    .mappings()
                    .one()["id"]
                )
                copies = [
                    dict(row) | {"id": last + i, "run_id": run.id}
                    for i, row in enumerate(rows, start=1)
                ]
                connection.execute(results.insert(), copies)
                connection.execute(
                    scores.insert(),
                    [
                        {"result_id": copy["id"], "metric": metric, "value": 0.5}
                        for copy in copies
                        for metric in metrics
                    ],
                )
        return wanted.id


def report(run_id: int) -> float:
    """Seconds of ``harness report`` that runs as a process."""
    return seconds(["report", str(run_id)], times=5)


def memory(n: int) -> tuple[float, float]:
    """Resident MiB of the coordinator after a tenth of a long run, and at its end."""
    words = ["run", "-d", "threshold", *NOTHING, *QUIET, "-j", "2", "-r", str(n // 3)]
    quiet = subprocess.DEVNULL
    process = subprocess.Popen([*COMMAND, *words], stdout=quiet, stderr=quiet)
    samples: list[float] = []

    def watch() -> None:
        while process.poll() is None:
            try:
                samples.append(psutil.Process(process.pid).memory_info().rss / 2**20)
            except psutil.NoSuchProcess:
                return
            time.sleep(0.1)

    watcher = threading.Thread(target=watch)
    watcher.start()
    process.wait()
    watcher.join()
    # The tables at the end load pandas, whose memory does not grow with the trials.
    running = samples[: int(0.97 * len(samples))]
    tenth = len(running) // 10
    return median(running[tenth : 2 * tenth]), median(running[-tenth:])


if __name__ == "__main__":
    main()
