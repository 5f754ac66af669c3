"""The code that the study slows down: a softmax and two training loops, each of equal steps.

This is a plugin file. Each side of a comparison loads a copy, and the line below `PLANTED` differs
in the second copy: two versions of the same code, under the same names.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

import harness

if TYPE_CHECKING:
    from collections.abc import Iterator

PLANTED: tuple[str, int] = ("nothing", 0)

STEPS = 100
"""Steps of a softmax: each has one hundredth of the rows, so one more step is one percent more."""

EPOCHS = 200
"""Steps of a fit: two more steps are one percent more."""

HIDDEN = (10, 20, 10)
RATE = 0.1
FLIPPED, JITTER = 0.05, 0.2
"""Share of rows that a random model swaps, and variation of another model's confidence."""

CELLS = 4096
WAY, AMOUNT = PLANTED
SOURCE = np.linspace(-1, 1, CELLS, dtype=np.float32)
TARGET = np.empty_like(SOURCE)


def compute(n: int) -> None:
    """Compute the hyperbolic tangent of n numbers, a few at a time."""
    for start in range(0, n, CELLS):
        size = min(CELLS, n - start)
        np.tanh(SOURCE[:size], out=TARGET[:size])


def copy(n: int) -> None:
    """Copy n numbers, a few at a time.

    The time of a large copy would depend on the sizes of the caches.
    """
    for start in range(0, n, CELLS):
        size = min(CELLS, n - start)
        np.copyto(TARGET[:size], SOURCE[:size])


def start_up() -> None:
    """Work at start-up, which is not timed."""
    if WAY == "start-up":
        compute(AMOUNT)


for _ in range(20):
    start_up()


class Softmax:
    """Logits in `STEPS` parts, and arrays for their probabilities.

    Additional steps use copies of the first rows, because a part that was just used would still be
    in the cache and take less time. Each part has its own arrays, because NumPy asks for huge
    pages, which are faster, from 4 MiB on, and 5% more rows could exceed that limit.
    """

    def __init__(self, logits: Any) -> None:
        start_up()
        parts = np.array_split(logits, STEPS)
        parts += parts[: AMOUNT if WAY == "steps" else 0]
        self.parts = [(np.array(part), np.empty_like(part)) for part in parts]

    def run(self) -> Softmax:
        for logits, probabilities in self.parts:
            softmax_of_rows(logits, probabilities)
            if WAY == "copy":
                copy(AMOUNT)
        if WAY == "fixed":
            compute(AMOUNT)
        return self

    def collect(self) -> Any:
        return np.concatenate([probabilities for _, probabilities in self.parts[:STEPS]])


def softmax_of_rows(logits: Any, out: Any) -> None:
    np.subtract(logits, logits.max(axis=1, keepdims=True), out=out)
    np.exp(out, out=out)
    out /= out.sum(axis=1, keepdims=True)


class Loop:
    """The course notebook's network, trained in NumPy by plain gradient steps on full batches."""

    def __init__(self, setting: harness.Setting) -> None:
        start_up()
        self.setting = setting
        self.epochs = EPOCHS + (AMOUNT * EPOCHS // 100 if WAY == "steps" else 0)
        self.weights: list[tuple[Any, Any]] = []

    def fit(self, X: Any, y: Any) -> Loop:
        rng = np.random.default_rng(self.setting.seed)
        sizes = (self.setting.n_features, *HIDDEN, self.setting.n_classes)
        self.weights = [
            (rng.normal(scale=n**-0.5, size=(n, m)), np.zeros(m)) for n, m in pairwise(sizes)
        ]
        targets = np.eye(self.setting.n_classes)[y]
        for _ in range(self.epochs):
            training_step(self.weights, X, targets)
            if WAY == "fixed":
                compute(AMOUNT)
            elif WAY == "copy":
                copy(AMOUNT)
        return self

    def predict_proba(self, X: Any) -> Any:
        return np.exp(forward(self.weights, X)[-1])


def forward(weights: list[tuple[Any, Any]], X: Any) -> list[Any]:
    """The input, the activations of each layer, and the log probabilities."""
    outputs = [X]
    for W, b in weights[:-1]:
        outputs.append(np.tanh(outputs[-1] @ W + b))  # (n_samples, width)
    W, b = weights[-1]
    logits = outputs[-1] @ W + b  # (n_samples, n_classes)
    logits -= logits.max(axis=1, keepdims=True)
    return [*outputs, logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))]


def training_step(weights: list[tuple[Any, Any]], X: Any, targets: Any) -> None:
    """Forward, backward, and a step of gradient descent on the mean negative log-likelihood."""
    *outputs, log_P = forward(weights, X)
    slope = (np.exp(log_P) - targets) / len(X)
    for layer in reversed(range(len(weights))):
        W, b = weights[layer]
        before = outputs[layer]
        W_slope, b_slope = before.T @ slope, slope.sum(axis=0)
        slope = slope @ W.T * (1 - before * before)
        W -= RATE * W_slope
        b -= RATE * b_slope


class TorchLoop:
    """The same network and training in idiomatic PyTorch."""

    def __init__(self, setting: harness.Setting) -> None:
        import torch
        from torch import nn

        start_up()
        torch.manual_seed(setting.seed)
        sizes = (setting.n_features, *HIDDEN)
        layers: list[nn.Module] = []
        for n, m in pairwise(sizes):
            layers += [nn.Linear(n, m), nn.Tanh()]
        self.network = nn.Sequential(
            *layers, nn.Linear(HIDDEN[-1], setting.n_classes), nn.LogSoftmax(dim=1)
        )
        self.epochs = EPOCHS + (AMOUNT * EPOCHS // 100 if WAY == "steps" else 0)

    def fit(self, X: Any, y: Any) -> TorchLoop:
        import torch

        inputs = torch.tensor(X, dtype=torch.float32)
        labels = torch.tensor(y, dtype=torch.int64)
        descent = torch.optim.SGD(self.network.parameters(), lr=RATE)
        loss = torch.nn.NLLLoss()
        for _ in range(self.epochs):
            torch_step(self.network, descent, loss, inputs, labels)
            if WAY == "fixed":
                compute(AMOUNT)
            elif WAY == "copy":
                copy(AMOUNT)
        return self

    def predict_proba(self, X: Any) -> Any:
        import torch

        with torch.no_grad():
            return self.network(torch.tensor(X, dtype=torch.float32)).double().exp().numpy()


def torch_step(network: Any, descent: Any, loss: Any, inputs: Any, labels: Any) -> None:
    descent.zero_grad()
    loss(network(inputs), labels).backward()
    descent.step()


class Random:
    """Softmax regression with random errors in its probabilities.

    A planted loss is `AMOUNT` thousandths: additional rows with swapped classes, or a share of each
    probability that is given to all classes equally. A planted loss of 0 only changes the random
    numbers; any other loss keeps the random numbers and is added.
    """

    def __init__(self, setting: harness.Setting, swapping: bool) -> None:
        from harness_numpy import make_softmax

        self.model = make_softmax(setting, tol=1e-3)
        self.setting, self.swapping = setting, swapping
        self.loss = AMOUNT / 1000 if WAY == "loss" else 0.0

    def fit(self, X: Any, y: Any) -> Random:
        self.model.fit(X, y)
        return self

    def predict_proba(self, X: Any) -> Any:
        P = self.model.predict_proba(X)
        rng = np.random.default_rng([self.setting.seed, WAY == "loss" and AMOUNT == 0])
        if self.swapping:
            rows = rng.random(len(P)) < FLIPPED + self.loss
            P[rows] = np.roll(P[rows], 1, axis=1)
            return P
        P = P ** np.exp(JITTER * rng.normal(size=(len(P), 1)))
        P /= P.sum(axis=1, keepdims=True)
        return (1 - self.loss) * P + self.loss / P.shape[1]


@harness.hookimpl
def harness_kernels() -> Iterator[harness.Kernel]:
    """The softmax kernel."""
    yield harness.Kernel(
        "power-softmax",
        prepare=lambda logits, _device: Softmax(logits),
        run=Softmax.run,
        collect=Softmax.collect,
    )


@harness.hookimpl
def harness_models() -> Iterator[harness.Model]:
    """The training loops, and the models with random errors."""
    scaled = harness.Needs(scaled=True)
    yield harness.Model("power-loop", lambda setting: Loop(setting), needs=scaled)
    yield harness.Model(
        "power-torch", lambda setting: TorchLoop(setting), needs=scaled, requires=("torch",)
    )
    yield harness.Model("power-swapped", lambda setting: Random(setting, True), needs=scaled)
    yield harness.Model("power-jittered", lambda setting: Random(setting, False), needs=scaled)
