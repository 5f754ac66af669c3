"""How much rounding alone moves torch-mlp's likelihood on digits, on the CPU.

``python tests/gpu/rounding.py`` trains on the same splits with the same seeds, four times each:
once on the inputs as they are, and three times with a random half of them moved to the next
float32. What this changes no other device can be expected to keep.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

import harness
from harness.contract.registry import load
from harness.trials.plan import Selection, plan
from harness.trials.preparation import prepare
from harness.trials.trial import draw

if TYPE_CHECKING:
    from harness.contract.values import Trial

MOVES = 3


def main() -> None:
    """A line for each repeat: its likelihood, and the differences from it."""
    registry = load(())
    chosen = Selection(datasets=("digits",), models=("torch-mlp",), devices=("cpu",), repeats=4)
    for trial in plan(registry, chosen).trials:
        if trial.model.name == "torch-mlp":
            as_it_is, *moved = likelihoods(registry, trial)
            told = ", ".join(f"{likelihood - as_it_is:+.5f}" for likelihood in moved)
            print(f"repeat {trial.repeat}: {as_it_is:.5f}; {told}")


def likelihoods(registry: Any, trial: Trial) -> list[float]:
    """Likelihood on the test rows: on the inputs as they are, and after each move."""
    model = registry.models["torch-mlp"]
    data = draw(registry.datasets["digits"], trial.split_seed, {}, trial.repeat)
    prepared = prepare(data, model.needs)
    found = []
    for move in range(1 + MOVES):
        X = np.array(prepared.X_train, np.float32)
        half = np.random.default_rng(move).random(X.shape) < (0.5 if move else 0.0)
        X[half] = np.nextafter(X[half], np.float32(np.inf))
        setting = harness.Setting(trial.model_seed, "cpu", X.shape[1], 10)
        fitted = model.make(setting).fit(X, prepared.y_train)
        log_proba = fitted.predict_log_proba(prepared.X_test)
        rows = np.arange(len(log_proba))
        found.append(float(np.exp(log_proba[rows, data.y_test].mean())))
    return found


if __name__ == "__main__":
    main()
