"""Multilayer perceptrons: `Mlp`, made to be good, and `NotebookMlp`, the course notebook's."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from harness import UsageError
from harness_torch.optimisers import Sgd, optimiser
from harness_torch.recording import recorded
from harness_torch.stack import (
    ACTIVATIONS,
    Batch,
    Stack,
    aligned,
    indicators,
    network,
    stacked_rows,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Self

    import harness
    from harness import Array, Monitor


class Perceptron:
    """A network of linear layers with activations; subclasses add the training.

    It computes in float32 on the setting's device. Its random numbers come from a generator of its
    own, so that they depend neither on the global generator nor on other models.
    """

    network: nn.Sequential

    def __init__(self, setting: harness.Setting, hidden: tuple[int, ...], activation: str) -> None:
        _require_at_least(1, hidden=min(hidden, default=1))
        self.seed = setting.seed
        self.device = torch.device(setting.device)
        self.sizes = (setting.n_features, *hidden, setting.n_classes)
        self.activation = activation

    def fit(self, X: Array, y: Array, monitor: Monitor | None = None) -> Self:
        """Train from fresh weights.

        Args:
            X: (n_samples, n_features).
            y: (n_samples,) of 0..K-1.
            monitor: called after each epoch with its number, from 1, and `predict_log_proba`.
        """
        fit_together([self], [X], [y], [monitor])
        return self

    def predict_log_proba(self, X: Array) -> Array:
        """Log probabilities (n_samples, n_classes) in float64, of X (n_samples, n_features)."""
        return self._log_proba(X).numpy()

    def predict_proba(self, X: Array) -> Array:
        """Probabilities (n_samples, n_classes) in float64."""
        return self._log_proba(X).exp_().numpy()

    def hidden_activations(self, X: Array) -> list[Array]:
        """The outputs (n_samples, n_units) of each hidden layer for X (n_samples, n_features)."""
        activations, h = [], self._tensor(X, torch.float32)
        with torch.no_grad():
            for i, layer in enumerate(self.network):
                h = layer(h)
                if i % 2:  # an activation, after its linear layer
                    activations.append(h.cpu().numpy())
        return activations

    def _log_proba(self, X: Array) -> Tensor:
        with torch.no_grad():
            logits: Tensor = self.network(self._tensor(X, torch.float32))
        # In float64 rows sum to 1 within 1e-15. On the CPU, because MPS has no float64.
        return logits.cpu().double().log_softmax(dim=1)

    def _draw(self) -> torch.Generator:
        """Draw fresh weights, and give the generator that they were drawn from."""
        generator = torch.Generator().manual_seed(self.seed)
        module = ACTIVATIONS[self.activation].module
        self.network = network(self.sizes, module, generator).to(self.device)
        return generator

    def _tensor(self, array: Array, dtype: torch.dtype) -> Tensor:
        """A tensor with a copy: the harness's arrays are read-only, which tensors cannot be."""
        return torch.tensor(np.asarray(array), dtype=dtype, device=self.device)

    def _train(
        self,
        stack: Stack,
        generators: Sequence[torch.Generator],
        inputs: Tensor,
        targets: Tensor,
        tell: Callable[[int], None],
    ) -> None:
        """Train replicates of this recipe, from the stack's current weights.

        Args:
            stack: the replicates' networks.
            generators: one for each replicate.
            inputs: (n_replicates, n_samples, n_features + 1).
            targets: (n_replicates, n_samples, n_classes).
            tell: called after each epoch with its number, from 1.
        """
        raise NotImplementedError(type(self).__name__)


def fit_together(
    perceptrons: Sequence[Perceptron],
    Xs: Sequence[Array],
    ys: Sequence[Array],
    monitors: Sequence[Monitor | None],
) -> None:
    """Train perceptrons that differ only in seed and data; the results equal separate fits.

    Args:
        perceptrons: with the same parameters, on the same device.
        Xs: the inputs of each, all of the same shape (n_samples, n_features).
        ys: the labels of each, (n_samples,) of 0..K-1.
        monitors: the monitor of each, as in `Perceptron.fit`.
    """
    first = perceptrons[0]
    with torch.no_grad():
        generators = [perceptron._draw() for perceptron in perceptrons]  # noqa: SLF001  # same class
        stack = Stack(
            [perceptron.network for perceptron in perceptrons], ACTIVATIONS[first.activation]
        )
        inputs = stacked_rows([first._tensor(X, torch.float32) for X in Xs])  # noqa: SLF001
        labels = [first._tensor(y, torch.int64) for y in ys]  # noqa: SLF001
        targets = indicators(labels, first.sizes[-1], inputs)
        watched = [
            (monitor, perceptron.predict_log_proba)
            for monitor, perceptron in zip(monitors, perceptrons, strict=True)
            if monitor is not None
        ]

        def tell(epoch: int) -> None:
            for monitor, predict_log_proba in watched:
                monitor(epoch, predict_log_proba)

        first._train(stack, generators, inputs, targets, tell)  # noqa: SLF001
        for perceptron in perceptrons:
            # Copied, so that no network keeps the memory of all networks alive.
            for parameter in perceptron.network.parameters():
                parameter.data = parameter.data.clone()


class Mlp(Perceptron):
    """A perceptron trained on shuffled batches; the learning rate falls to 0 along half a cosine.

    The schedule is that of Loshchilov & Hutter (2017) without restarts. The vanishing learning rate
    and the weight penalty keep the probabilities from overconfidence on a few hundred rows.

    Args:
        setting: seed, device, numbers of features and classes.
        hidden: units of each hidden layer.
        activation: ``tanh``, ``relu``, ``gelu`` or ``silu``.
        optimiser: ``adam``, ``adamw``, or ``sgd`` with a momentum of 0.9.
        learning_rate: at the start.
        epochs: passes over the training part.
        batch_size: rows of the largest batch; the batches of an epoch differ by at most one row.
        weight_decay: decay of the weights, but not of the biases. For ``adam`` and ``sgd`` an L2
            penalty weight_decay/2 ||W||^2; for ``adamw`` decoupled from the gradient.

    Raises:
        UsageError: an argument is too small.
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

    def rate(self, epoch: int) -> float:
        """The learning rate of an epoch, counted from 0."""
        return self.learning_rate * 0.5 * (1 + math.cos(math.pi * epoch / self.epochs))

    def bounds(self, n_samples: int) -> list[tuple[int, int]]:
        """First row and end (exclusive) of each batch."""
        n_batches = math.ceil(n_samples / self.batch_size)
        ends = [(i + 1) * n_samples // n_batches for i in range(n_batches)]
        return list(zip([0, *ends], ends, strict=False))

    def _train(
        self,
        stack: Stack,
        generators: Sequence[torch.Generator],
        inputs: Tensor,
        targets: Tensor,
        tell: Callable[[int], None],
    ) -> None:
        descent = optimiser(self.optimiser, stack, self.weight_decay)
        n_replicates, n_samples, _ = inputs.shape
        shuffled_inputs, shuffled_targets = torch.empty_like(inputs), torch.empty_like(targets)
        first_rows = torch.arange(n_replicates)[:, None] * n_samples
        steps: dict[int, tuple[Tensor, Tensor, Callable[[], object]]] = {}

        def step_of(size: int) -> tuple[Tensor, Tensor, Callable[[], object]]:
            """Buffers for a batch of this size (rows, labels), and the step to call on them."""
            rows = aligned(inputs.new_empty(n_replicates, size, inputs.shape[2]))
            labels = targets.new_empty(n_replicates, size, targets.shape[2])
            batch = Batch(stack, rows, labels)

            def step() -> None:
                stack.step(batch)
                descent.step()

            state = [stack.point, *descent.state]
            return rows, labels, recorded(step, state, self.device)

        bounds = self.bounds(n_samples)
        for epoch in range(self.epochs):
            order = torch.stack([torch.randperm(n_samples, generator=g) for g in generators])
            order = order.add_(first_rows).view(-1).to(self.device)
            for source, target in ((inputs, shuffled_inputs), (targets, shuffled_targets)):
                torch.index_select(source.flatten(0, 1), 0, order, out=target.flatten(0, 1))
            rate = self.rate(epoch)
            for start, end in bounds:
                if end - start not in steps:
                    steps[end - start] = step_of(end - start)
                rows, labels, step = steps[end - start]
                rows.copy_(shuffled_inputs[:, start:end])
                labels.copy_(shuffled_targets[:, start:end])
                descent.prepare(rate)
                step()
            tell(epoch + 1)


class NotebookMlp(Perceptron):
    """Hidden layers of tanh units, and full-batch gradient descent on the mean NLL.

    Args:
        setting: seed, device, numbers of features and classes.
        hidden: units of each hidden layer; the notebook has 10, 20 and 10.
        zero_grad: clear the gradient before each epoch. The notebook forgot this: its steps follow
            the sum of all gradients so far, so that the weights oscillate and do not settle.
        learning_rate: constant.
        epochs: passes over the training part.

    Raises:
        UsageError: ``epochs`` is below 1, or ``learning_rate`` below 0.
    """

    def __init__(
        self,
        setting: harness.Setting,
        *,
        hidden: tuple[int, ...],
        zero_grad: bool,
        learning_rate: float,
        epochs: int,
    ) -> None:
        super().__init__(setting, hidden, "tanh")
        _require_at_least(1, epochs=epochs)
        _require_at_least(0, learning_rate=learning_rate)
        self.zero_grad = zero_grad
        self.learning_rate = learning_rate
        self.epochs = epochs

    def _train(
        self,
        stack: Stack,
        generators: Sequence[torch.Generator],  # noqa: ARG002  # nothing is drawn after the weights
        inputs: Tensor,
        targets: Tensor,
        tell: Callable[[int], None],
    ) -> None:
        batch = Batch(stack, aligned(inputs), targets)
        # With momentum 1 the velocity is the sum of all gradients so far.
        descent = Sgd(stack, momentum=0.0 if self.zero_grad else 1.0)
        descent.prepare(self.learning_rate)

        def epoch_of_one_step() -> None:
            stack.step(batch)
            descent.step()

        step = recorded(epoch_of_one_step, [stack.point, *descent.state], self.device)
        for epoch in range(1, self.epochs + 1):
            step()
            tell(epoch)


def _require_at_least(least: int, **arguments: float) -> None:
    for name, value in arguments.items():
        if not value >= least:
            raise UsageError(f"{name}={value} is below {least}")
