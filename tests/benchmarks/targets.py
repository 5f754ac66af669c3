"""Our times compared with those of other libraries: prints every figure of docs/performance.md.

    python tests/benchmarks/targets.py [softmax|floor|error|memory|...]

Each part is measured in three new processes with one thread; the compared calls alternate. The
output has the median over processes of the ratio within a process, its minimum and its maximum.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
import timeit
import tracemalloc
import warnings
from itertools import pairwise
from pathlib import Path
from statistics import geometric_mean, median
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

PROCESSES = 3
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


def softmax() -> dict[str, float]:
    """numpy-fast compared with scipy, torch and the notebook's stable version."""
    from harness.contract.registry import load
    from harness.timing.engine import measure
    from harness.timing.schedule import SHAPES
    from harness.timing.workloads import SoftmaxGroup

    registry = load()
    figures = {}
    for shape in SHAPES:
        for dtype in ("float32", "float64"):
            group = SoftmaxGroup(
                ("numpy-stable", "numpy-fast", "scipy", "torch"), shape, dtype, "cpu"
            )
            workloads = group.workloads(registry, seed=0)
            took = {
                measured.workload.subject: median(measured.samples)
                for measured in measure(workloads, seconds=1.0, seed=0, fewest=5)
            }
            name = f"{shape[0]}x{shape[1]} {dtype}"
            better = min(took["scipy"], took["torch"])
            figures[f"{name}: better of scipy and torch / numpy-fast"] = better / took["numpy-fast"]
            figures[f"{name}: scipy / numpy-fast"] = took["scipy"] / took["numpy-fast"]
            figures[f"{name}: numpy-fast / numpy-stable"] = (
                took["numpy-fast"] / took["numpy-stable"]
            )
            figures[f"{name}: numpy-fast / copy"] = took["numpy-fast"] / took["copy"]
    return figures


def floor() -> dict[str, float]:
    """Nanoseconds per float64 of the parts of numpy-fast, and of memory access."""
    import scipy.special
    from harness_numpy.softmax import BLOCK, SPREAD, softmax

    def nanoseconds(call: Callable[[], object], size: int) -> float:
        calls, _ = timeit.Timer(call).autorange()
        return 1e9 * min(timeit.repeat(call, number=calls, repeat=5)) / calls / size

    k = 10
    n = BLOCK // k // SPREAD * SPREAD
    z = np.random.default_rng(0).normal(size=(n, k))
    e, t, s = np.exp(z), np.empty((n, k)), np.empty(n)
    ones, flat = np.ones(k), z.reshape(-1)
    spread = np.kron(np.eye(SPREAD), np.ones((1, k)))

    def sums() -> None:
        np.matmul(e, ones, s)
        np.matmul(s.reshape(-1, SPREAD), spread, t.reshape(-1, SPREAD * k))

    figures = {
        "exponential": nanoseconds(lambda: np.exp(z, e), z.size),
        "sums, spread over their rows": nanoseconds(sums, z.size),
        "division": nanoseconds(lambda: np.divide(e, t, t), z.size),
        "pass that bounds the logits": nanoseconds(lambda: np.vdot(flat, flat), z.size),
    }
    large = np.random.default_rng(0).normal(size=(1_000_000, 5))
    old = np.zeros_like(large)
    figures |= {
        "copy of 40 MB to an old array": nanoseconds(lambda: np.copyto(old, large), large.size),
        "copy of 40 MB to a new array": nanoseconds(large.copy, large.size),
    }
    ours, theirs = (
        nanoseconds(call, large.size)
        for call in (lambda: softmax(large, old), lambda: scipy.special.softmax(large, axis=1))
    )
    return figures | {"1000000x5: scipy / numpy-fast with out=": theirs / ours}


def error() -> dict[str, float]:
    """The error minus that of the stable version, in units in the last place; the worst shape."""
    from harness_numpy.kernels import stable
    from harness_numpy.softmax import softmax

    from harness.timing.reference import softmax as reference

    figures = {}
    rng = np.random.default_rng()
    for dtype in (np.float32, np.float64):
        worst, off = -np.inf, 0.0
        for n_classes in (2, 3, 5, 10, 17, 32, 33, 100, 1_000, 50_257):
            for scale in (0.1, 1.0, 3.0, 30.0):
                n_samples = max(2, 200_000 // n_classes)
                logits = (scale * rng.normal(size=(n_samples, n_classes))).astype(dtype)
                expected = reference(logits)
                units = np.spacing(expected.astype(dtype))
                normal = expected > np.finfo(dtype).tiny
                ours, theirs = (
                    float((np.abs(f(logits) - expected) / units)[normal].max())
                    for f in (softmax, stable)
                )
                worst = max(worst, ours - theirs)
                off = max(off, float(np.abs(softmax(logits).sum(axis=1) - 1).max()))
        figures[f"{dtype.__name__}: units in the last place beyond numpy-stable"] = worst
        figures[f"{dtype.__name__}: a row's sum misses 1 by"] = off
    return figures


def memory() -> dict[str, float]:
    """Peak of memory in MiB, without the output."""
    from harness_numpy.softmax import softmax

    figures = {}
    for shape in ((4_000_000, 3), (100_000, 10), (20_000, 1_000), (512, 50_257)):
        logits = np.random.default_rng(0).normal(size=shape)
        out = np.empty_like(logits)
        for name, keywords, less in (("", {}, logits.nbytes), (" with out=", {"out": out}, 0)):
            softmax(logits[:10])
            tracemalloc.start()
            softmax(logits, **keywords)
            peak = tracemalloc.get_traced_memory()[1] - less
            tracemalloc.stop()
            figures[f"{shape[0]}x{shape[1]} float64{name}: MiB beside the output"] = peak / 2**20
    return figures


def regression() -> dict[str, float]:
    """scikit-learn's fastest solver compared with numpy-softmax, until the NLL is within 1e-6."""
    from harness_numpy.regression import SoftmaxRegression
    from sklearn.datasets import load_digits
    from sklearn.linear_model import LogisticRegression

    warnings.simplefilter("ignore")
    rng = np.random.default_rng(0)
    l2 = 1e-3

    def drawn(n: int, d: int, k: int) -> tuple[Any, Any]:
        X = rng.normal(size=(n, d))
        Z = X @ rng.normal(scale=2 / np.sqrt(d), size=(d, k)) + rng.gumbel(size=(n, k))
        return X, Z.argmax(axis=1)

    X, y = load_digits(return_X_y=True)
    digits = (X - X.mean(axis=0)) / np.maximum(X.std(axis=0), 1e-9), y
    cases = {
        "1,000x10x3": drawn(1_000, 10, 3),
        "100,000x10x3": drawn(100_000, 10, 3),
        "1,000,000x10x3": drawn(1_000_000, 10, 3),
        "200,000x50x10": drawn(200_000, 50, 10),
        "digits": digits,
    }
    figures: dict[str, float] = {}
    for case, (X, y) in cases.items():
        n, k = len(y), int(y.max()) + 1
        makes: dict[str, Callable[[], Any]] = {}
        for tol in (1e-3, 1e-4, 1e-5, 1e-6):
            makes[f"ours {tol:g}"] = lambda tol=tol, k=k: SoftmaxRegression(
                k, l2=l2, max_iter=10_000, tol=tol
            )
            for solver in ("lbfgs", "newton-cg", "newton-cholesky"):
                makes[f"{solver} {tol:g}"] = lambda tol=tol, solver=solver, n=n: LogisticRegression(
                    C=1 / (l2 * n), tol=tol, solver=solver, max_iter=10_000
                )
        took: dict[str, list[float]] = {name: [] for name in makes}
        loss: dict[str, float] = {}
        for _ in range(3 if n < 1_000_000 else 1):
            for name, make in makes.items():
                if "cholesky" in name and case == "200,000x50x10" and took[name]:
                    continue  # fifteen seconds each
                model = make()
                started = time.perf_counter()
                model.fit(X, y)
                took[name].append(time.perf_counter() - started)
                W = model.weights_[:, :-1] if name.startswith("ours") else model.coef_
                P = model.predict_proba(X)[np.arange(n), y]
                loss[name] = float(-np.log(P).mean() + 0.5 * l2 * (W**2).sum())
        least = min(loss.values())
        reached = {name: min(took[name]) for name in makes if loss[name] <= least + 1e-6}
        ours = min(seconds for name, seconds in reached.items() if name.startswith("ours"))
        theirs = min(seconds for name, seconds in reached.items() if not name.startswith("ours"))
        figures[f"{case}: scikit-learn's fastest / numpy-softmax"] = theirs / ours
        figures[f"{case}: scikit-learn's fastest / numpy-softmax as it comes (tol=1e-6)"] = (
            theirs / min(took["ours 1e-06"])
        )
    for end in ("numpy-softmax", "numpy-softmax as it comes (tol=1e-6)"):
        name = f"geometric mean: scikit-learn's fastest / {end}"
        figures[name] = geometric_mean([v for k, v in figures.items() if k.endswith(f"/ {end}")])
    return figures


def perceptrons() -> dict[str, float]:
    """Our training loops, alone and 32 together, compared with plain loops and MLPClassifier."""
    import torch
    from sklearn.neural_network import MLPClassifier

    from harness.contract.registry import load
    from harness.contract.values import Setting, TimedCall, Trial
    from harness.timing.engine import Workload, measure
    from harness.timing.workloads import TimedPairing, TrainingGroup
    from harness.trials.plan import choose

    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    registry = load()
    figures = {}
    for dataset, model in (
        ("threshold", "notebook-mlp[epochs=300]"),
        ("digits", "notebook-mlp[epochs=60]"),
        ("threshold", "torch-mlp[epochs=30]"),
        ("digits", "torch-mlp[epochs=4]"),
        ("twonorm", "notebook-mlp[epochs=200]"),
        ("breast-cancer", "notebook-mlp[epochs=200]"),
    ):
        (data,) = choose([dataset], registry.datasets, "dataset")
        (choice,) = choose([model], registry.models, "model")
        trials = tuple(Trial(data, choice, "cpu", repeat, 0) for repeat in range(32))
        # The model reports its epochs; the time counts for each epoch after the first.
        group = TrainingGroup((TimedPairing(trials, epochs=1, together=True, reference=True),))
        took = {
            measured.workload.kind: median(measured.samples)
            for measured in measure(group.workloads(registry, 0), seconds=8.0, seed=0, fewest=3)
        }
        epochs = {kind: took[kind] - took[f"{kind}-once"] for kind in took if "-" not in kind}
        plain = epochs["reference"]
        figures[f"{model} on {dataset}: ours / plain loop"] = epochs["fit"] / plain
        figures[f"{model} on {dataset}: one of 32 together / plain loop"] = (
            epochs["together"] / 32 / plain
        )
    split = registry.datasets["digits"].split(np.random.default_rng(0))
    X = ((split.X_train - split.X_train.mean(0)) / np.maximum(split.X_train.std(0), 1e-9)).astype(
        np.float32
    )
    y = np.unique(split.y_train, return_inverse=True)[1]
    epochs = 20
    setting = Setting(seed=0, device="cpu", n_features=X.shape[1], n_classes=10)

    def ours() -> object:
        return registry.models["torch-mlp"].make(setting, epochs=epochs, batch_size=64).fit(X, y)

    def theirs() -> object:
        return MLPClassifier(
            (64, 64),
            activation="tanh",
            solver="adam",
            alpha=3e-3,
            batch_size=64,
            learning_rate_init=0.02,
            max_iter=epochs,
            n_iter_no_change=10 * epochs,
            random_state=0,
        ).fit(X, y)

    workloads = [
        Workload(TimedCall.FIT, name, "digits", "cpu", setup=lambda call=call: call)
        for name, call in (("ours", ours), ("theirs", theirs))
    ]
    took = {
        measured.workload.subject: median(measured.samples)
        for measured in measure(workloads, seconds=3.0, seed=0, fewest=5)
    }
    figures["torch-mlp / MLPClassifier on digits"] = took["ours"] / took["theirs"]
    return figures


def perceptron_floor() -> dict[str, float]:
    """The parts of an epoch of 32 notebook networks on digits, in time per replicate."""
    import torch
    from harness_torch.stack import ACTIVATIONS, Batch, Stack, aligned, indicators, network
    from harness_torch.stack import stacked_rows as with_ones
    from torch import nn

    torch.set_num_threads(1)
    n, k, replicates, sizes = 1347, 10, 32, (64, 10, 20, 10, 10)
    generator = torch.Generator().manual_seed(0)
    X = [torch.randn(n, sizes[0], generator=generator) for _ in range(replicates)]
    y = [torch.randint(k, (n,), generator=generator) for _ in range(replicates)]
    networks = [network(sizes, nn.Tanh, generator) for _ in range(replicates)]

    def of(count: int) -> dict[str, Callable[[], object]]:
        stack = Stack(networks[:count], ACTIVATIONS["tanh"])
        rows = aligned(with_ones(X[:count]))
        batch = Batch(stack, rows, aligned(indicators(y[:count], k, rows)))
        last = len(sizes) - 2

        def products() -> None:
            for part in batch.parts:
                for i in range(last):
                    torch.bmm(part.weights[i], part.inputs[i], out=part.sums[i])
                torch.bmm(part.weights[last], part.inputs[last], out=part.deltas[last])
                for i in range(last, -1, -1):
                    torch.bmm(part.deltas[i], part.inputs_back[i], out=part.gradients[i])
                    if i:
                        torch.bmm(part.weights_back[i], part.deltas[i], out=part.deltas[i - 1])

        def tangents() -> None:
            for part in batch.parts:
                for i in range(last):
                    part.forwards[i]()
                    stack.activation.backward(part.deltas[i], part.kept[i])

        return {"step": lambda: stack.step(batch), "products": products, "tangents": tangents}

    figures = {}
    for count in (1, replicates):
        for name, call in of(count).items():
            call()
            seconds = min(timeit.repeat(call, number=20, repeat=10)) / 20 / count
            figures[f"{count} on digits, us a replicate: {name}"] = 1e6 * seconds
    pairs = list(pairwise(sizes))
    # Forward pass, gradients of weights, and the backward pass through all layers except the first.
    operations = 2 * n * (2 * sum(a * b for a, b in pairs) + sum(a * b for a, b in pairs[1:]))
    square = torch.randn(1024, 1024, generator=generator)
    large = min(timeit.repeat(lambda: square @ square, number=3, repeat=5)) / 3
    figures["1e6 operations of the products"] = 1e-6 * operations
    figures["us at the speed of a product of 1024 x 1024"] = (
        1e6 * operations * large / (2 * 1024**3)
    )
    return figures


def engine() -> dict[str, float]:
    """The engine's time of a call of ten microseconds, divided by that of timeit."""
    from harness.contract.values import TimedCall
    from harness.timing.engine import Workload, measure

    def busy() -> int:
        total = 0
        for i in range(600):
            total += i
        return total

    calls, _ = timeit.Timer(busy).autorange()
    bare, engines = [], []
    workload = Workload(TimedCall.SOFTMAX, "busy", "", "cpu", setup=lambda: busy)
    for _ in range(7):
        bare.append(median(timeit.repeat(busy, number=calls // 20, repeat=20)) / (calls // 20))
        engines.append(median(measure([workload], seconds=0.5, seed=0)[0].samples))
    return {
        "microseconds a call by timeit": 1e6 * median(bare),
        "engine / timeit": median(a / b for a, b in zip(engines, bare, strict=True)),
    }


def run() -> dict[str, float]:
    """Seconds of all trials with the default repeats."""
    harness = [sys.executable, "-m", "harness"]
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        subprocess.run(
            [*harness, "run", "--all", "--no-timing", "--no-progress", "--store", "all.db"],
            cwd=folder,
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        return {"seconds of `harness run --all --no-timing`": time.perf_counter() - started}


PARTS: dict[str, Callable[[], dict[str, float]]] = {
    part.__name__: part
    for part in (
        *(softmax, floor, error, memory, regression),
        *(perceptrons, perceptron_floor, engine, run),
    )
}


def main() -> None:
    if sys.argv[1:2] == ["--one"]:
        print(json.dumps(PARTS[sys.argv[2]]()))
        return
    from harness.store.environment import machine

    here = machine()
    print(f"{here['processor']}, {here['cores']} cores, {here['system']}")
    for name in sys.argv[1:] or PARTS:
        doc = PARTS[name].__doc__ or ""
        print(f"\n{name}: {doc}")
        environment = os.environ | ({} if name == "run" else ONE_THREAD)
        results = [
            json.loads(
                subprocess.run(
                    [sys.executable, str(Path(__file__)), "--one", name],
                    env=environment,
                    check=True,
                    stdout=subprocess.PIPE,
                ).stdout
            )
            for _ in range(1 if name in ("run", "memory") else PROCESSES)
        ]
        for figure in results[0]:
            values = sorted(result[figure] for result in results)
            spread = f"  ({values[0]:.3g} to {values[-1]:.3g})" if len(values) > 1 else ""
            print(f"  {figure}: {median(values):.3g}{spread}", flush=True)


if __name__ == "__main__":
    main()
