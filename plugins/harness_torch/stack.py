"""Perceptrons of the same shape trained together, with one batched matrix product for all.

On layers of ten units PyTorch's overhead dominates: autograd's recording costs ten times as much as
the arithmetic. So the gradient is written out here by hand, into preallocated memory. The first
axis of each array holds the replicates, because 32 small matrix products in one batch cost little
more than one product.

A replicate gets the same bits whichever replicates are trained beside it. To ensure this, its part
of each array begins at a cache line, because the rounding of MKL's products depends on the
alignment. In ten thousand epochs on unscaled data, a difference in the last place can grow to 0.1
in likelihood.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

aten = torch.ops.aten

LINE = 16
"""float32 numbers in a cache line of 64 bytes."""

CACHE = 1 << 21
"""Most bytes that a group of replicates may use, so that they fit into a core's caches. Half or
twice as many bytes are about as fast; without groups, 32 replicates on 1,347 rows of 64 columns
take nearly twice as long."""


@dataclass(frozen=True, slots=True)
class Activation:
    """An activation function f, and its derivative.

    Args:
        module: PyTorch's module, for networks that predict.
        forward: ``forward(z, h)`` writes f(z) to h.
        backward: ``backward(delta, kept)`` multiplies delta by f'(z) in place.
        keeps_input: whether ``kept`` is z; otherwise it is h, and z need not be stored.
        on_arrays: NumPy's version of ``forward``, if it is faster on the CPU.
    """

    module: Callable[[], nn.Module]
    forward: Callable[[Tensor, Tensor], Any]
    backward: Callable[[Tensor, Tensor], Any]
    keeps_input: bool = False
    on_arrays: Callable[[Any, Any], Any] | None = None

    def bound(self, z: Tensor, h: Tensor) -> Callable[[], object]:
        """A call of ``forward`` on these two tensors, by NumPy where that is faster."""
        if self.on_arrays is None or z.device.type != "cpu":
            return partial(self.forward, z, h)
        return partial(self.on_arrays, z.numpy(), h.numpy())


ACTIVATIONS: Mapping[str, Activation] = {
    "tanh": Activation(
        nn.Tanh,
        lambda z, h: torch.tanh(z, out=h),
        lambda delta, h: aten.tanh_backward.grad_input(delta, h, grad_input=delta),
        # Several times as fast as PyTorch's on x86; the results differ in the last place.
        on_arrays=np.tanh,
    ),
    "relu": Activation(
        nn.ReLU,
        lambda z, h: torch.clamp_min(z, 0.0, out=h),
        lambda delta, h: aten.threshold_backward.grad_input(delta, h, 0.0, grad_input=delta),
    ),
    "gelu": Activation(
        nn.GELU,
        lambda z, h: aten.gelu.out(z, out=h),
        lambda delta, z: aten.gelu_backward.grad_input(delta, z, grad_input=delta),
        keeps_input=True,
    ),
    "silu": Activation(
        nn.SiLU,
        lambda z, h: aten.silu.out(z, out=h),
        lambda delta, z: aten.silu_backward.grad_input(delta, z, grad_input=delta),
        keeps_input=True,
    ),
}


class Stack:
    """The parameters of several networks in one vector ``point``, and their gradient in another.

    The networks' own parameters become views of ``point``, so that they change with it.

    Args:
        networks: linear layers of the same sizes with activations between them, already on the
            device that they will be trained on.
        activation: the networks' activation function.
    """

    def __init__(self, networks: Sequence[nn.Sequential], activation: Activation) -> None:
        stacked = [
            [layer for layer in network if isinstance(layer, nn.Linear)] for network in networks
        ]
        first = stacked[0]
        device = first[0].weight.device
        #: (in, out) of each layer.
        self.sizes = [(layer.in_features, layer.out_features) for layer in first]
        shapes = [(len(networks), n_out, n_in + 1) for n_in, n_out in self.sizes]
        lengths = [r * _lines(n_out * n_in) for r, n_out, n_in in shapes]
        self.point = torch.zeros(sum(lengths), device=device)
        self.gradient = torch.zeros_like(self.point)
        #: 1 for a weight, 0 for a bias.
        self.is_weight = torch.ones_like(self.point)
        points, gradients, masks = (
            [
                _without_gaps(part.view(shape[0], -1), shape)
                for part, shape in zip(torch.split(flat, lengths), shapes, strict=True)
            ]
            for flat in (self.point, self.gradient, self.is_weight)
        )
        #: A layer's weights (n_replicates, out, in + 1); the last column holds the biases.
        self.weights, self.gradients = points, gradients
        self.weights_back = [weights[:, :, :-1].mT for weights in self.weights]
        self.activation = activation
        for mask in masks:
            mask[:, :, -1] = 0.0
        for i, layers in enumerate(stacked):
            for weights, layer in zip(self.weights, layers, strict=True):
                weights[i, :, :-1].copy_(layer.weight.detach())
                weights[i, :, -1].copy_(layer.bias.detach())
                layer.weight.data = weights[i, :, :-1]
                layer.bias.data = weights[i, :, -1]

    def step(self, batch: Batch) -> None:
        """Write the gradient of each replicate's mean NLL on the batch to ``gradient``.

        This is backpropagation (Rumelhart, Hinton & Williams 1986). Samples lie along the last
        axis, because with few units this makes sums and maxima over units fastest.
        """
        bmm, last = torch.bmm, len(self.weights) - 1
        backward = self.activation.backward
        for part in batch.parts:
            for i in range(last):
                bmm(part.weights[i], part.inputs[i], out=part.sums[i])
                part.forwards[i]()
            delta = part.deltas[last]
            bmm(part.weights[last], part.inputs[last], out=delta)
            torch.softmax(delta, 1, out=delta)
            delta.sub_(part.targets).mul_(batch.share)
            for i in range(last, -1, -1):
                bmm(part.deltas[i], part.inputs_back[i], out=part.gradients[i])
                if i:
                    bmm(part.weights_back[i], part.deltas[i], out=part.deltas[i - 1])
                    backward(part.deltas[i - 1], part.kept[i - 1])


@dataclass(frozen=True, slots=True)
class Part:
    """A group of replicates that are computed together, with a tensor or call for each layer.

    Args:
        weights: each layer's weights and biases (n_replicates, out, in + 1).
        weights_back: the weights without biases, transposed.
        gradients: buffers for the gradients of ``weights``.
        inputs: each layer's inputs (n_replicates, in + 1, n_rows); the last row is 1.
        inputs_back: the inputs, transposed.
        sums: each hidden layer's values before the activation.
        forwards: calls that apply the activation to ``sums``, and write to the next ``inputs``.
        kept: each hidden layer's values that the activation's derivative is computed from.
        deltas: the gradient of the loss with respect to each layer's sums.
        targets: one-hot labels.
    """

    weights: list[Tensor]
    weights_back: list[Tensor]
    gradients: list[Tensor]
    inputs: list[Tensor]
    inputs_back: list[Tensor]
    sums: list[Tensor]
    forwards: list[Callable[[], object]]
    kept: list[Tensor]
    deltas: list[Tensor]
    targets: Tensor


class Batch:
    """The rows of one training step, and memory for the values computed from them.

    On the CPU the replicates are divided into groups that fit into its cache. The groups are
    computed one after another in the same memory.

    Args:
        stack: the networks that take the step.
        rows: inputs (n_replicates, n_rows, n_features + 1), the last column 1; `aligned`.
        targets: one-hot labels (n_replicates, n_rows, n_classes).
    """

    def __init__(self, stack: Stack, rows: Tensor, targets: Tensor) -> None:
        n_replicates, n_rows, _ = rows.shape
        outs = [n_out for _, n_out in stack.sizes]
        size = n_replicates
        if rows.device.type == "cpu":
            numbers = n_rows * (rows.shape[2] + 2 * sum(outs) + sum(outs[:-1]))
            groups = math.ceil(n_replicates * numbers * 4 / CACHE)
            size = math.ceil(n_replicates / groups)
        hidden = [aligned(rows.new_ones(size, n_out + 1, n_rows)) for n_out in outs[:-1]]
        outputs = [h[:, :-1] for h in hidden]
        deltas = [aligned(rows.new_empty(size, n_out, n_rows)) for n_out in outs]
        if stack.activation.keeps_input:
            # A gap behind each row keeps results independent of the number of replicates. On
            # contiguous memory PyTorch computes the last few numbers in a different way, and which
            # numbers are last depends on the replicates; and for GELU it would call a library that
            # rounds differently.
            sums = [
                aligned(rows.new_empty(size, n_out, n_rows + 1))[:, :, :-1] for n_out in outs[:-1]
            ]
            kept = sums
        else:
            sums, kept = deltas[:-1], outputs
        self.share = 1 / n_rows
        self.parts = []
        for start in range(0, n_replicates, size):
            group = slice(start, min(start + size, n_replicates))

            def used(arrays: list[Tensor], n: int = group.stop - start) -> list[Tensor]:
                return [array[:n] for array in arrays]

            inputs = [rows[group].mT, *used(hidden)]
            self.parts.append(
                Part(
                    weights=[weights[group] for weights in stack.weights],
                    weights_back=[weights[group] for weights in stack.weights_back],
                    gradients=[gradients[group] for gradients in stack.gradients],
                    inputs=inputs,
                    inputs_back=[x.mT for x in inputs],
                    sums=used(sums),
                    forwards=list(map(stack.activation.bound, used(sums), used(outputs))),
                    kept=used(kept),
                    deltas=used(deltas),
                    targets=targets[group].mT,
                )
            )


def aligned(array: Tensor) -> Tensor:
    """A copy (n_replicates, ...) in which each replicate begins at a cache line."""
    n_replicates, *rest = array.shape
    memory = array.new_zeros(n_replicates, _lines(math.prod(rest)))
    return _without_gaps(memory, array.shape).copy_(array)


def _lines(n: int) -> int:
    """Numbers in as many whole cache lines as n numbers need."""
    return math.ceil(n / LINE) * LINE


def _without_gaps(memory: Tensor, shape: Sequence[int]) -> Tensor:
    """A view of the given shape, with one replicate in each row of ``memory``."""
    return memory[:, : math.prod(shape[1:])].view(*shape)


def stacked_rows(Xs: Sequence[Tensor]) -> Tensor:
    """Inputs (n_replicates, n_rows, n_features + 1) with a last column of ones for the biases."""
    X = torch.stack(list(Xs))
    return torch.cat([X, X.new_ones(*X.shape[:2], 1)], dim=2)


def indicators(ys: Sequence[Tensor], n_classes: int, like: Tensor) -> Tensor:
    """One-hot labels (n_replicates, n_rows, n_classes) of the dtype of ``like``."""
    return nn.functional.one_hot(torch.stack(list(ys)), n_classes).to(like.dtype)


def network(
    sizes: Sequence[int], activation: Callable[[], nn.Module], generator: torch.Generator
) -> nn.Sequential:
    """Linear layers with activations between them, initialised like PyTorch's ``nn.Linear``.

    Weights and biases are uniform on +-1/sqrt(fan_in), which is what ``kaiming_uniform_`` with
    a = sqrt(5) gives. They are drawn here because ``nn.Linear`` uses the global generator.
    """
    layers: list[nn.Module] = []
    for n_in, n_out in pairwise(sizes):
        layer = nn.Linear(n_in, n_out, device="meta")
        # `to_empty` would import SymPy, which takes longer than many fits.
        for name, parameter in list(layer.named_parameters()):
            weights = torch.empty(parameter.shape)
            weights.uniform_(-(n_in**-0.5), n_in**-0.5, generator=generator)
            setattr(layer, name, nn.Parameter(weights))
        layers += [layer, activation()]
    return nn.Sequential(*layers[:-1])
