"""The cost of preparing a split, compared with a lower bound.

Prints each figure beside its goal. No figure is an error, because figures depend on the machine.
The measurements alternate in one process with one thread.

    OMP_NUM_THREADS=1 python tests/benchmarks/preparation.py
"""

from __future__ import annotations

import os
import platform
import time
from statistics import median
from typing import TYPE_CHECKING

import numpy as np
from sklearn.preprocessing import StandardScaler

from harness.contract.values import Needs, Split
from harness.store.environment import processor
from harness.trials.preparation import Encoded, encode, prepare, repeated

if TYPE_CHECKING:
    from collections.abc import Callable

ROUNDS = 7
CODES, CATEGORIES = 10_000, 5_000


def main() -> None:
    """Print the table."""
    print(f"{processor()}, {os.cpu_count()} cores, Python {platform.python_version()}\n")
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(1_000_000, 28)), rng.integers(0, 2, 1_000_000)
    numbers = encode(Split(X[:750_000], y[:750_000], X[750_000:750_002], y[750_000:750_002]))
    ours, scaler = in_turns(
        lambda: prepare(numbers, Needs(scaled=True)),
        lambda: StandardScaler().fit_transform(X[:750_000]),
    )
    tell("750,000 x 28 scaled / StandardScaler", ours / scaler, "at most 1.5", ours)
    (counted,) = in_turns(lambda: repeated(X[:750_000], X[750_000:]))
    tell("repeated rows of 1,000,000 x 28", counted, "well below 1 s", counted)

    # Every category occurs, and the test part is as small as possible.
    users = np.array([f"user {i % CATEGORIES}" for i in range(CODES)], dtype=object)[:, None]
    split = Split(users, np.arange(CODES) % 2, users[:2], [0, 1], categorical=(0,))
    (coded,) = in_turns(lambda: encode(split))
    tell("codes of 10,000 rows, 5,000 categories", coded, "at most 0.1 s", coded)
    categories = encode(split)
    for needs in (Needs(), Needs(scaled=True), Needs(dtype="float32", scaled=True)):
        dense, written = in_turns(*_one_hot(categories, needs))
        scaled = ", scaled" if needs.scaled else ""
        tell(f"{needs.dtype}{scaled}: one-hot / written", dense / written, "at most 1.5", dense)


def _one_hot(data: Encoded, needs: Needs) -> tuple[Callable[[], object], Callable[[], object]]:
    def written() -> None:
        np.zeros((CODES, CATEGORIES), dtype=needs.dtype).fill(1)

    return lambda: prepare(data, needs), written


def in_turns(*calls: Callable[[], object]) -> list[float]:
    """Median seconds of each call; the calls alternate."""
    samples: list[list[float]] = [[] for _ in calls]
    for _ in range(ROUNDS):
        for call, own in zip(calls, samples, strict=True):
            started = time.perf_counter()
            call()
            own.append(time.perf_counter() - started)
    return [median(own) for own in samples]


def tell(name: str, figure: float, goal: str, seconds: float) -> None:
    """Print one line of the table immediately."""
    print(f"{name:42} {figure:7.3f}   {goal:16} ({seconds:.3f} s)", flush=True)


if __name__ == "__main__":
    main()
