"""Multilayer perceptrons: one to compete and the course notebook's."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from harness.errors import UsageError
from harness_torch.optimisers import Sgd, Vector, optimiser

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Self

    import harness
    from harness.values import Array, Monitor

ACTIVATIONS: Mapping[str, Callable[[], nn.Module]] = {
    "tanh": nn.Tanh,
    "relu": nn.ReLU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
}


class Perceptron:
    """Linear layers with an activation between them: what its kinds share before and after ``fit``.

    It computes in float32 on the setting's device and draws from a generator of its own, so that
    neither the global one nor another model's matters.
    """

    network: nn.Sequential

    def __init__(self, setting: harness.Setting, hidden: tuple[int, ...], activation: str) -> None:
        _require_at_least(1, hidden=min(hidden, default=1))
        self.seed = setting.seed
        self.device = torch.device(setting.device)
        self.sizes = (setting.n_features, *hidden, setting.n_classes)
        self.activation = activation

    def predict_log_proba(self, X: Array) -> Array:
        """Log probabilities (n_samples, n_classes) in float64, of X (n_samples, n_features)."""
        return self._log_proba(X).numpy()

    def predict_proba(self, X: Array) -> Array:
        """Probabilities (n_samples, n_classes) in float64."""
        return self._log_proba(X).exp_().numpy()

    def _log_proba(self, X: Array) -> Tensor:
        with torch.no_grad():
            logits: Tensor = self.network(self._tensor(X, torch.float32))
        # Rows of float64 sum to 1 within 1e-15; MPS has no float64, so the CPU it is.
        return logits.cpu().double().log_softmax(dim=1)

    def _begin(self, X: Array, y: Array) -> tuple[Vector, torch.Generator, Tensor, Tensor]:
        """A fresh network's parameters, the generator that drew them, and the data as tensors."""
        generator = torch.Generator().manual_seed(self.seed)
        self.network = network(self.sizes, ACTIVATIONS[self.activation], generator).to(self.device)
        return (
            Vector(self.network),
            generator,
            self._tensor(X, torch.float32),
            self._tensor(y, torch.int64),
        )

    def _tensor(self, array: Array, dtype: torch.dtype) -> Tensor:
        """A copy, because the harness's arrays are read-only and a tensor of PyTorch's never is."""
        return torch.tensor(np.asarray(array), dtype=dtype, device=self.device)


class Mlp(Perceptron):
    """A perceptron trained on shuffled batches; the learning rate falls to 0 as half a cosine.

    The schedule is that of Loshchilov & Hutter (2017) without restarts. With its end at rest and
    the penalty on the weights, the probabilities don't grow overconfident on a few hundred rows.

    Args:
        setting: seed, device and sizes.
        hidden: units of each hidden layer.
        activation: ``tanh``, ``relu``, ``gelu`` or ``silu``.
        optimiser: ``adam``, ``adamw``, or ``sgd`` with a momentum of 0.9.
        learning_rate: at the start.
        epochs: passes over the training part.
        batch_size: rows of the largest batch; the batches of an epoch differ by one row at most.
        weight_decay: of weights, not of biases: of an L2 penalty weight_decay/2 ||W||^2 for
            ``adam`` and ``sgd``, decoupled from the gradient for ``adamw``.

    Raises:
        UsageError: a size or number is too small.
    """

    def __init__(
        self,
        setting: harness.Setting,
        *,
        hidden: tuple[int, ...],
        activation: str,
        optimiser: str,
        learning_rate: float,
        epochs: int,
        batch_size: int,
        weight_decay: float,
    ) -> None:
        super().__init__(setting, hidden, activation)
        _require_at_least(1, epochs=epochs, batch_size=batch_size)
        _require_at_least(0, learning_rate=learning_rate, weight_decay=weight_decay)
        self.optimiser = optimiser
        self.learning_rate = learning_rate
        self.epochs = epochs
        self.batch_size = batch_size
        self.weight_decay = weight_decay

    def fit(self, X: Array, y: Array, monitor: Monitor | None = None) -> Self:
        """Train from fresh weights.

        Args:
            X: (n_samples, n_features).
            y: (n_samples,) of 0..K-1.
            monitor: called after each epoch with its number, from 1, and `predict_log_proba`.
        """
        vector, generator, inputs, labels = self._begin(X, y)
        descent = optimiser(self.optimiser, vector, self.weight_decay)
        n = len(labels)
        n_batches = math.ceil(n / self.batch_size)
        for epoch in range(self.epochs):
            rate = self.learning_rate * 0.5 * (1 + math.cos(math.pi * epoch / self.epochs))
            order = torch.randperm(n, generator=generator).to(self.device)
            for rows in order.tensor_split(n_batches):
                vector.gradient.zero_()
                cross_entropy(self.network(inputs[rows]), labels[rows]).backward()  # type: ignore[no-untyped-call]  # PyTorch's
                descent.step(rate)
            if monitor is not None:
                monitor(epoch + 1, self.predict_log_proba)
        return self


class NotebookMlp(Perceptron):
    """Hidden layers of 10, 20 and 10 tanh units, and full-batch gradient descent on the mean NLL.

    Args:
        setting: seed, device and sizes.
        zero_grad: clear the gradient before each epoch. The notebook forgot to: its steps follow
            the sum of all gradients so far, which swings rather than settles.
        learning_rate: constant.
        epochs: passes over the training part.

    Raises:
        UsageError: ``epochs`` is below 1, or ``learning_rate`` below 0.
    """

    def __init__(
        self, setting: harness.Setting, *, zero_grad: bool, learning_rate: float, epochs: int
    ) -> None:
        super().__init__(setting, (10, 20, 10), "tanh")
        _require_at_least(1, epochs=epochs)
        _require_at_least(0, learning_rate=learning_rate)
        self.zero_grad = zero_grad
        self.learning_rate = learning_rate
        self.epochs = epochs

    def fit(self, X: Array, y: Array, monitor: Monitor | None = None) -> Self:
        """Train from fresh weights; the arguments are those of `Mlp.fit`."""
        vector, _, inputs, labels = self._begin(X, y)
        descent = Sgd(vector)
        for epoch in range(1, self.epochs + 1):
            if self.zero_grad:
                vector.gradient.zero_()
            cross_entropy(self.network(inputs), labels).backward()  # type: ignore[no-untyped-call]  # PyTorch's
            descent.step(self.learning_rate)
            if monitor is not None:
                monitor(epoch, self.predict_log_proba)
        return self


def network(
    sizes: Sequence[int], activation: Callable[[], nn.Module], generator: torch.Generator
) -> nn.Sequential:
    """Linear layers with an activation between each two, weights as PyTorch's own defaults.

    Those are uniform on +-1/sqrt(fan_in), biases too: ``kaiming_uniform_`` with a = sqrt(5) is just
    that. They are drawn here because ``nn.Linear`` draws from the global generator.
    """
    layers: list[nn.Module] = []
    for n_in, n_out in pairwise(sizes):
        layer = nn.Linear(n_in, n_out, device="meta").to_empty(device="cpu")
        for parameter in (layer.weight, layer.bias):
            parameter.data.uniform_(-(n_in**-0.5), n_in**-0.5, generator=generator)
        layers += [layer, activation()]
    return nn.Sequential(*layers[:-1])


def _require_at_least(least: int, **arguments: float) -> None:
    for name, value in arguments.items():
        if not value >= least:
            raise UsageError(f"{name}={value} is below {least}")
