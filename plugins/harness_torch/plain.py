"""The perceptrons' training as usually written in PyTorch: the reference for timings and tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from harness_torch.perceptrons import Mlp, NotebookMlp, Perceptron

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Self

    from harness import Array, Monitor


class PlainLoop(Perceptron):
    """The usual loop with autograd and ``torch.optim``: ``zero_grad``, ``backward``, ``step``.

    Args:
        recipe: the perceptron whose network, batches and optimiser are used.
    """

    def __init__(self, recipe: Mlp | NotebookMlp) -> None:
        self.recipe = recipe
        self.seed, self.device = recipe.seed, recipe.device
        self.sizes, self.activation = recipe.sizes, recipe.activation

    def fit(self, X: Array, y: Array, monitor: Monitor | None = None) -> Self:
        """Train from fresh weights; the arguments are those of `Perceptron.fit`."""
        generator = self._draw()
        inputs, labels = self._tensor(X, torch.float32), self._tensor(y, torch.int64)
        loss = nn.NLLLoss()
        descent, batches, rate = self._plan(len(labels), generator)
        for epoch in range(self.recipe.epochs):
            for group in descent.param_groups:
                group["lr"] = rate(epoch)
            for rows in batches():
                if getattr(self.recipe, "zero_grad", True):
                    descent.zero_grad()
                log_P = self.network(inputs[rows]).log_softmax(dim=1)
                loss(log_P, labels[rows]).backward()
                descent.step()
            if monitor is not None:
                monitor(epoch + 1, self.predict_log_proba)
        return self

    def _plan(
        self, n_samples: int, generator: torch.Generator
    ) -> tuple[
        torch.optim.Optimizer,
        Callable[[], Iterator[Tensor | slice]],
        Callable[[int], float],
    ]:
        """The optimiser, and functions that give an epoch's batches and its learning rate."""
        recipe = self.recipe
        if isinstance(recipe, NotebookMlp):
            descent = torch.optim.SGD(self.network.parameters(), lr=recipe.learning_rate)
            return descent, lambda: iter([slice(None)]), lambda _: recipe.learning_rate
        weights = [p for p in self.network.parameters() if p.ndim > 1]
        biases = [p for p in self.network.parameters() if p.ndim == 1]
        groups = [
            {"params": weights, "weight_decay": recipe.weight_decay},
            {"params": biases, "weight_decay": 0.0},
        ]

        def batches() -> Iterator[Tensor]:
            order = torch.randperm(n_samples, generator=generator).to(self.device)
            for start, end in recipe.bounds(n_samples):
                yield order[start:end]

        return _optimiser(recipe, groups), batches, recipe.rate


def _optimiser(recipe: Mlp, groups: list[dict[str, object]]) -> torch.optim.Optimizer:
    if recipe.optimiser == "sgd":
        return torch.optim.SGD(groups, lr=recipe.learning_rate, momentum=0.9)
    kind = torch.optim.AdamW if recipe.optimiser == "adamw" else torch.optim.Adam
    return kind(groups, lr=recipe.learning_rate)
