"""Optimisers that treat all parameters as one vector.

``torch.optim`` imports PyTorch's compiler at its first use, which takes seconds in every fresh
process, and updates the parameters one by one. On one vector a step takes only a few calls. Values
that change from step to step are kept in tensors, so that a recorded step can be replayed.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Protocol

import torch

if TYPE_CHECKING:
    from torch import Tensor


class Vector(Protocol):
    """The parameters, the gradient at them, and a mask of weights (1) and biases (0)."""

    point: Tensor
    gradient: Tensor
    is_weight: Tensor


class Optimiser(Protocol):
    """An optimiser that moves a vector's point against its gradient."""

    @property
    def state(self) -> list[Tensor]:
        """The tensors that a step changes besides the point."""

    def prepare(self, rate: float) -> None:
        """Settle the learning rate of the next step."""

    def step(self) -> None:
        """Move the point once."""


class Sgd:
    """Gradient descent with heavy-ball momentum (Polyak 1964), and an L2 penalty on the weights."""

    def __init__(self, vector: Vector, decay: float = 0.0, momentum: float = 0.0) -> None:
        self._vector = vector
        self._decay = decay * vector.is_weight if decay else None
        self._momentum = momentum
        self._velocity = torch.zeros_like(vector.point) if momentum else vector.gradient
        self._rate = torch.zeros((), device=vector.point.device)

    @property
    def state(self) -> list[Tensor]:
        """The velocity."""
        return [self._velocity]

    def prepare(self, rate: float) -> None:
        """Settle the learning rate of the next step."""
        self._rate.fill_(rate)

    def step(self) -> None:
        """Add the gradient to the velocity, and move the point against the velocity."""
        v = self._vector
        if self._decay is not None:
            v.gradient.addcmul_(self._decay, v.point)
        if self._momentum:
            self._velocity.mul_(self._momentum).add_(v.gradient)
        v.point.addcmul_(self._velocity, self._rate, value=-1)


class Adam:
    """Adam (Kingma & Ba 2015), betas 0.9 and 0.999, epsilon 1e-8.

    Args:
        vector: the parameters to optimise.
        decay: decay of the weights; biases do not decay.
        decoupled: shrink the weights apart from the gradient (AdamW, Loshchilov & Hutter 2019)
            instead of adding an L2 penalty's gradient to it.
    """

    def __init__(self, vector: Vector, decay: float = 0.0, *, decoupled: bool = False) -> None:
        self._vector = vector
        self._decay = decay * vector.is_weight if decay else None
        self._decoupled = decoupled
        self._mean, self._square, self._scale = (torch.zeros_like(vector.point) for _ in range(3))
        self._rate, self._epsilon, self._shrink = torch.zeros(3, device=vector.point.device)
        self._steps = 0

    @property
    def state(self) -> list[Tensor]:
        """Both moments."""
        return [self._mean, self._square]

    def prepare(self, rate: float) -> None:
        """Set the learning rate of the next step, together with Adam's bias corrections."""
        self._steps += 1
        correction = math.sqrt(1 - 0.999**self._steps)
        self._rate.fill_(rate * correction / (1 - 0.9**self._steps))
        self._epsilon.fill_(1e-8 * correction)
        if self._decoupled:
            self._shrink.fill_(rate)

    def step(self) -> None:
        """Update both moments and move by their ratio."""
        v = self._vector
        if self._decay is not None:
            if self._decoupled:
                torch.mul(self._decay, self._shrink, out=self._scale)
                v.point.addcmul_(self._scale, v.point, value=-1)
            else:
                v.gradient.addcmul_(self._decay, v.point)
        self._mean.lerp_(v.gradient, 1 - 0.9)
        self._square.mul_(0.999).addcmul_(v.gradient, v.gradient, value=1 - 0.999)
        torch.sqrt(self._square, out=self._scale)
        self._scale.add_(self._epsilon)
        torch.div(self._mean, self._scale, out=self._scale)
        v.point.addcmul_(self._scale, self._rate, value=-1)


def optimiser(name: str, vector: Vector, weight_decay: float) -> Optimiser:
    """The optimiser of this name: ``adam``, ``adamw``, or ``sgd`` with a momentum of 0.9."""
    if name == "sgd":
        return Sgd(vector, weight_decay, momentum=0.9)
    return Adam(vector, weight_decay, decoupled=name == "adamw")
