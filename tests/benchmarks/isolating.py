"""The cost of isolating trials, and its guarantees: each figure beside its goal.

    python tests/benchmarks/isolating.py            # all, in about five minutes
    python tests/benchmarks/isolating.py trials     # or a part: trials, table, kills
    python tests/benchmarks/isolating.py release ../before    # beside a checkout of another version

No figure is an error, because figures depend on the machine. Nothing else should run meanwhile.
"""

from __future__ import annotations

import os
import platform
import random
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import psutil

from harness.processes import trees
from harness.store.environment import processor

COMMAND = [sys.executable, "-m", "harness"]
QUIET = ["--no-progress", "--no-timing"]
TRIALS = 300
KILLS = 50
MARK = "HARNESS_KILLED"

PLUGIN = """\
import numpy as np
import harness

class Nothing:
    def __init__(self, n_classes):
        self.n_classes = n_classes
    def fit(self, X, y):
        pass
    def predict_proba(self, X):
        return np.full((len(X), self.n_classes), 1 / self.n_classes)

def make(setting):
    return Nothing(setting.n_classes)

def split(rng):
    X = rng.normal(size=(1_000_000, 28))
    y = (X[:, 0] + X[:, 1] * X[:, 2] + rng.normal(size=len(X)) > 0).astype(int)
    return harness.Split(X[:750_000], y[:750_000], X[750_000:], y[750_000:], class_names=("a", "b"))

@harness.hookimpl
def harness_models():
    yield harness.Model("nothing-numpy", make)
    yield harness.Model("nothing-sklearn", make, requires=("sklearn.linear_model",))
    yield harness.Model("nothing-torch", make, requires=("torch",))

@harness.hookimpl
def harness_datasets():
    yield harness.Dataset("large", "fresh", split)
"""


def main() -> None:
    """Print the requested figures."""
    print(f"{processor()}, {os.cpu_count()} cores, Python {platform.python_version()}\n")
    before = Path(sys.argv[-1]).resolve()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        Path("costs.py").write_text(PLUGIN)
        parts = {"trials": trials, "table": table, "kills": kills, "loop": loop}
        if sys.argv[1:2] == ["release"]:
            release(before)
        else:
            for name in sys.argv[1:] or ["trials", "table", "kills"]:
                parts[name]()


def tell(name: str, figure: str, goal: str) -> None:
    """Print one line of the table immediately."""
    print(f"{name:58} {figure:>22}   {goal}", flush=True)


def trials() -> None:
    """Milliseconds of an empty trial, from the difference between few and many repeats."""
    for library, goal in (("numpy", 8), ("sklearn", 16), ("torch", 16)):
        words = ["run", "--plugin", "costs.py", "-d", "threshold", "-m", f"nothing-{library}"]
        times = []
        for _ in range(3):
            few, many = (
                seconds([*words, *QUIET, "-j", "2", "-r", str(n), "--store", f"{time.time()}.db"])
                for n in (10, 10 + TRIALS // 3)
            )
            # Two baselines, which need only NumPy, run as well.
            times.append(1000 * (many - few) / TRIALS)
        cost = median(times)
        if library == "numpy":
            plain = cost
        else:
            cost = 3 * cost - 2 * plain
        tell(f"a trial that does nothing, {library}", f"{cost:.1f} ms", f"at most {goal} ms")


def table() -> None:
    """A run on a large table, compared with a bare loop that does the same."""
    names = ("numpy-softmax", "sklearn-logistic", "sklearn-gaussian-nb")
    models = [word for name in names for word in ("-m", name)]
    run = ["run", "--plugin", "costs.py", *models, *QUIET, "-r", "2", "-j", "1"]
    pairs, bare = [], []
    for i in range(3):
        ours, peak = watched([*COMMAND, *run, "-d", "large", "--store", f"large{i}.db"])
        theirs, loop_peak = watched([sys.executable, __file__, "loop"])
        pairs.append((ours, theirs))
        os.environ["HARNESS_BARE"] = "1"
        bare.append(ours / watched([sys.executable, __file__, "loop"])[0])
        del os.environ["HARNESS_BARE"]
    _, small_peak = watched([*COMMAND, *run, "-d", "iris", "--store", "small.db"])
    ratio = median(ours / theirs for ours, theirs in pairs)
    shown = ", ".join(f"{ours:.1f}/{theirs:.1f} s" for ours, theirs in pairs)
    tell(f"1,000,000 x 28 beside a bare loop ({shown})", f"{ratio:.2f}", "at most 1.25")
    tell("the same beside one that scores no epochs", f"{median(bare):.2f}", "")
    table_mib = 1_000_000 * 28 * 8 / 2**20
    tell(
        "the same: peak of the tree's memory less that on iris",
        f"{(peak - small_peak) / 2**20:.0f} MiB",
        f"at most {loop_peak / 2**20 + table_mib:.0f} MiB: the loop's and a table",
    )


def release(before: Path) -> None:
    """All shipped plugins, alternating with another version of the harness."""
    here = Path(__file__).resolve().parents[2]
    times: dict[Path, list[float]] = {before: [], here: []}
    for i in range(3):
        for tree, spent in times.items():
            parts = (tree, tree / "plugins", tree / "datasets", tree / "reports")
            os.environ["PYTHONPATH"] = os.pathsep.join(map(str, parts))
            words = ["run", "--all", *QUIET, "--store", f"{tree.name}{i}.db"]
            spent.append(seconds(words))
    pairs = list(zip(times[here], times[before], strict=True))
    shown = ", ".join(f"{ours:.1f}/{theirs:.1f} s" for ours, theirs in pairs)
    ratio = median(ours / theirs for ours, theirs in pairs)
    tell(f"run --all --no-timing ({shown})", f"{ratio:.2f}", "at most 1.1")


def loop() -> None:
    """A bare loop: draw, scale, fit, predict as often as a trial, and score the same way.

    numpy-softmax reports its epochs; at each epoch a trial predicts and scores both parts. The loop
    does the same unless ``HARNESS_BARE`` is set.
    """
    sys.path.insert(0, str(Path.cwd()))
    namespace: dict[str, Any] = {}
    exec(PLUGIN, namespace)
    from harness_numpy.baselines import Prior, Uniform
    from harness_numpy.regression import SoftmaxRegression
    from sklearn.linear_model import LogisticRegression
    from sklearn.naive_bayes import GaussianNB
    from sklearn.preprocessing import StandardScaler

    from harness.trials import scoring

    for repeat in range(2):
        split = namespace["split"](np.random.default_rng(repeat))
        scaler = StandardScaler().fit(split.X_train)
        scaled = scaler.transform(split.X_train), scaler.transform(split.X_test)
        plain = split.X_train, split.X_test
        for make, (train, test) in (
            (lambda: SoftmaxRegression(2, l2=1e-3, max_iter=10_000, tol=1e-6), scaled),
            (lambda: LogisticRegression(max_iter=1000), scaled),
            (GaussianNB, plain),
            (lambda: Prior(2), plain),
            (lambda: Uniform(2), plain),
        ):
            model = make()
            if isinstance(model, SoftmaxRegression) and not os.environ.get("HARNESS_BARE"):
                parts = (train, split.y_train), (test, split.y_test)
                model.fit(
                    train,
                    split.y_train,
                    monitor=lambda _, predict, parts=parts: [
                        scoring.likelihood(predict(X), y) for X, y in parts
                    ],
                )
            else:
                model.fit(train, split.y_train)
            P = model.predict_proba(test)
            spent: list[float] = []
            while len(spent) < 5 and sum(spent) < 0.05:
                started = time.perf_counter()
                model.predict_proba(test)
                spent.append(time.perf_counter() - started)
            scoring.score(np.array(P, dtype=float), split.y_test)
            scoring.score(np.array(model.predict_proba(train), dtype=float), split.y_train)


def kills() -> None:
    """Kill the coordinator at random: no process survives, and the resumed run ends the same."""
    models = ["-m", "numpy-softmax", "-m", "sklearn-gaussian-nb"]
    words = ["run", "-d", "threshold", "-d", "iris", *models, "-r", "3", *QUIET]
    whole = seconds([*words, "--store", "whole.db"])
    expected = scores("whole.db")
    chance = random.Random(0)
    alike = alone = 0
    for i in range(KILLS):
        store = f"killed{i}.db"
        process = subprocess.Popen(
            [*COMMAND, *words, "--store", store],
            env=os.environ | {MARK: str(i)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        time.sleep(chance.uniform(0, whole))
        process.kill()
        process.wait()
        time.sleep(2)
        alone += not marked(str(i))
        resumed = subprocess.run(
            [*COMMAND, "run", "--resume", "--no-progress", "--store", store], capture_output=True
        )
        if resumed.returncode == 2:  # the run had not begun
            seconds([*words, "--store", store])
        alike += scores(store) == expected
    tell(f"killed {KILLS} times: no process after 2 s", f"{alone} of {KILLS}", "all")
    tell(f"killed {KILLS} times, resumed: equal scores", f"{alike} of {KILLS}", "all")


def marked(value: str) -> list[int]:
    """Processes that our coordinators started, directly or indirectly."""
    pids = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) == value and process.status() != psutil.STATUS_ZOMBIE:
                pids.append(process.pid)
        except psutil.Error:
            continue
    return pids


def scores(store: str) -> list[tuple[Any, ...]]:
    """Every trial in a store with its scores."""
    with sqlite3.connect(store) as connection:
        rows = connection.execute("select id, dataset, model, repeat, status from results")
        return sorted(
            (
                *row,
                *connection.execute(
                    "select metric, value from scores where result_id = ? order by metric", (id_,)
                ),
            )
            for id_, *row in rows.fetchall()
        )


def seconds(words: list[str]) -> float:
    """Wall-clock seconds of a command that runs as a process."""
    started = time.perf_counter()
    subprocess.run([*COMMAND, *words], check=True, capture_output=True)
    return time.perf_counter() - started


def watched(words: list[str]) -> tuple[float, int]:
    """Wall-clock seconds of a command, and the peak of its tree's proportional memory."""
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    started = time.perf_counter()
    process = subprocess.Popen(
        words, env=os.environ | threads, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    peak = 0
    while process.poll() is None:
        peak = max(peak, trees.exact_memory(process.pid))
        time.sleep(0.1)
    assert process.returncode == 0, words
    return time.perf_counter() - started, peak


if __name__ == "__main__":
    main()
