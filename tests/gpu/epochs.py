"""Times an epoch of notebook-mlp: recorded, eager, by its plain loop, and of replicates at once.

``epochs.py DEVICE REPLICATES EPOCHS OUT`` prints the times, each as soon as it is known, and writes
them to ``OUT/epochs.json``. An epoch's time is the difference between a fit of 1 + EPOCHS and a fit
of one, over EPOCHS; each fit counts with the median of `FITS` after a first one. One process, while
``harness bench training`` takes several: this is for a card that is lent for minutes.
"""

from __future__ import annotations

import json
import sys
import time
from functools import partial
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import harness_torch
import harness_toys
import numpy as np
import torch

import harness
from harness.trials.preparation import Prepared, encode, prepare

if TYPE_CHECKING:
    from collections.abc import Callable

FITS = 3


def main(device: str, replicates: int, epochs: int, out: Path) -> None:
    """Measure, print and write."""
    import eager  # beside this file

    model = {model.name: model for model in harness_torch.harness_models()}["notebook-mlp"]
    parts = [part(model, seed) for seed in range(replicates)]
    makers = {"recorded": model.make, "eager": next(eager.harness_models()).make}
    makers["plain"] = model.reference or model.make
    figures: dict[str, float] = {"replicates": replicates, "epochs": epochs}

    def keep(name: str, fit: Callable[[int], float]) -> None:
        once, many = typical(partial(fit, 1)), typical(partial(fit, 1 + epochs))
        figures[f"{name}, fit of one epoch, s"] = once
        figures[f"{name}, us/epoch"] = 1e6 * (many - once) / epochs
        print(name, figures[f"{name}, us/epoch"], "us/epoch", flush=True)
        (out / "epochs.json").write_text(json.dumps(figures, indent=1) + "\n")

    def alone(name: str, n_epochs: int) -> float:
        made = makers[name](setting(device, 0), epochs=n_epochs)
        return seconds(device, lambda: made.fit(parts[0].X_train, parts[0].y_train))

    def at_once(n_epochs: int) -> float:
        made = [model.make(setting(device, seed), epochs=n_epochs) for seed in range(replicates)]
        Xs, ys = [part.X_train for part in parts], [part.y_train for part in parts]
        assert model.fit_together is not None
        together = model.fit_together
        return seconds(device, lambda: together(made, Xs, ys, [None] * replicates))

    for name in makers:
        keep(name, partial(alone, name))
    keep("all at once", at_once)


def part(model: harness.Model, seed: int) -> Prepared:
    """The notebook's data, as the model needs it."""
    return prepare(encode(harness_toys.threshold(np.random.default_rng(seed))), model.needs)


def setting(device: str, seed: int) -> harness.Setting:
    """A replicate's setting."""
    return harness.Setting(seed=seed, device=device, n_features=1, n_classes=3)


def typical(fit: Callable[[], float]) -> float:
    """The median of `FITS` fits after a first one."""
    fit()
    return median(fit() for _ in range(FITS))


def seconds(device: str, call: Callable[[], object]) -> float:
    """Seconds of a call, with all that it leaves to the device."""
    started = time.perf_counter()
    call()
    if device.startswith("cuda"):
        torch.cuda.synchronize()
    return time.perf_counter() - started


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]))
