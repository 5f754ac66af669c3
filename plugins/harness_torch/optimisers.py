"""Optimisers of all parameters as one vector.

``torch.optim`` imports the compiler when first used, which takes seconds in every fresh process,
and goes through the parameters one by one. On one vector a step is a few calls.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import nn


class Vector:
    """A network's parameters as one vector, and their gradient as another.

    The network's own tensors become views of them: what is written to ``point`` is what the network
    computes with, and what ``backward`` adds up is in ``gradient``.

    Args:
        network: on the device where it will stay.
    """

    def __init__(self, network: nn.Module) -> None:
        parameters = list(network.parameters())
        self.point = torch.cat([p.detach().ravel() for p in parameters])
        self.gradient = torch.zeros_like(self.point)
        #: 1 for a weight, 0 for a bias.
        self.is_weight = torch.cat([torch.full_like(p, p.ndim > 1).ravel() for p in parameters])
        sizes = [p.numel() for p in parameters]
        points, gradients = torch.split(self.point, sizes), torch.split(self.gradient, sizes)
        for p, point, gradient in zip(parameters, points, gradients, strict=True):
            p.data = point.view_as(p)
            p.grad = gradient.view_as(p)


class Optimiser(Protocol):
    """What moves a vector's point against its gradient."""

    def step(self, rate: float) -> None:
        """One move at a learning rate."""


class Sgd:
    """Gradient descent with heavy-ball momentum (Polyak 1964), and an L2 penalty on the weights."""

    def __init__(self, vector: Vector, decay: float = 0.0, momentum: float = 0.0) -> None:
        self._vector = vector
        self._decay = decay * vector.is_weight
        self._momentum = momentum
        self._velocity = torch.zeros_like(vector.point)

    def step(self, rate: float) -> None:
        """Add the gradient to the velocity, and go against it."""
        v = self._vector
        self._velocity.mul_(self._momentum).add_(v.gradient).addcmul_(self._decay, v.point)
        v.point.add_(self._velocity, alpha=-rate)


class Adam:
    """Adam (Kingma & Ba 2015), betas 0.9 and 0.999, epsilon 1e-8.

    Args:
        vector: what to optimise.
        decay: of the weights; biases are free.
        decoupled: shrink the weights apart from the gradient (AdamW, Loshchilov & Hutter 2019)
            instead of adding an L2 penalty's gradient to it.
    """

    def __init__(self, vector: Vector, decay: float = 0.0, *, decoupled: bool = False) -> None:
        self._vector = vector
        self._decay = decay * vector.is_weight
        self._decoupled = decoupled
        self._mean = torch.zeros_like(vector.point)
        self._square = torch.zeros_like(vector.point)
        self._steps = 0

    def step(self, rate: float) -> None:
        """Update both moments and move by their ratio."""
        v = self._vector
        self._steps += 1
        if self._decoupled:
            v.point.addcmul_(self._decay, v.point, value=-rate)
            gradient = v.gradient
        else:
            gradient = torch.addcmul(v.gradient, self._decay, v.point)
        self._mean.lerp_(gradient, 1 - 0.9)
        self._square.mul_(0.999).addcmul_(gradient, gradient, value=1 - 0.999)
        scale = self._square.sqrt().div_((1 - 0.999**self._steps) ** 0.5).add_(1e-8)
        v.point.addcdiv_(self._mean, scale, value=-rate / (1 - 0.9**self._steps))


def optimiser(name: str, vector: Vector, weight_decay: float) -> Optimiser:
    """``adam``, ``adamw``, or ``sgd`` with a momentum of 0.9."""
    if name == "sgd":
        return Sgd(vector, weight_decay, momentum=0.9)
    return Adam(vector, weight_decay, decoupled=name == "adamw")
