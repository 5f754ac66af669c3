"""A plugin for measure.sh: notebook-mlp's loop without a CUDA graph."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self
from unittest.mock import patch

import harness

if TYPE_CHECKING:
    from collections.abc import Iterator


@harness.hookimpl
def harness_models() -> Iterator[harness.Model]:
    """The difference from notebook-mlp is the time that a CUDA graph saves."""
    yield harness.Model(
        "notebook-mlp-eager",
        make,
        needs=harness.Needs(dtype="float32"),
        devices=("cpu", "cuda"),
        description="notebook-mlp, its steps not recorded as a CUDA graph.",
        epochs="epochs",
        requires=("torch",),
    )


def make(setting: harness.Setting, epochs: int = 10_000) -> Any:
    """A NotebookMlp that records nothing."""
    from harness_torch import perceptrons

    class Eager(perceptrons.NotebookMlp):
        def fit(self, X: Any, y: Any, monitor: Any = None) -> Self:
            with patch.object(perceptrons, "recorded", lambda step, state, device: step):
                return super().fit(X, y, monitor)

    hidden = (10, 20, 10)
    return Eager(setting, hidden=hidden, zero_grad=True, learning_rate=0.01, epochs=epochs)
