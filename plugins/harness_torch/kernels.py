"""Softmax along the rows of logits: recipes that prepare a call without arguments to be timed.

When a recipe returns, the logits are on their device, buffers are allocated and graphs are
captured. Only ``torch-compile`` has work left for its first call: the compilation.
"""

from __future__ import annotations

from functools import partial
from types import FunctionType
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import torch

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from harness import Array

    Launch: TypeAlias = Callable[[], Tensor]


def prepare(name: str, logits: Array, device: str) -> Launch:
    """A call that computes the probabilities of logits (n_samples, n_classes) anew each time.

    Args:
        name: the kernel's name; one that ends with ``-graph`` replays a CUDA graph.
        logits: float32 or float64. They are copied.
        device: such as ``cpu`` or ``cuda:0``.
    """
    z = torch.tensor(np.ascontiguousarray(logits), device=device)
    recipe = name.removesuffix("-graph")
    call = RECIPES[recipe](z)
    return call if recipe == name else Replay(call, z.device)


def plain(logits: Tensor) -> Launch:
    """PyTorch's softmax, into a new array each time."""
    return partial(torch.softmax, logits, dim=1)


def into_buffer(logits: Tensor) -> Launch:
    """PyTorch's softmax, into the same array each time."""
    return partial(torch.softmax, logits, dim=1, out=torch.empty_like(logits))


def written_out(logits: Tensor) -> Tensor:
    """The definition; each row's largest logit is subtracted first, so that exp cannot overflow."""
    powers = torch.exp(logits - logits.amax(dim=1, keepdim=True))
    return powers / powers.sum(dim=1, keepdim=True)


def compiled(logits: Tensor) -> Launch:
    """The definition, compiled for these logits' shape at the first call."""
    # A fresh copy of the code, because PyTorch stops compiling the same code after eight shapes.
    own = FunctionType(written_out.__code__.replace(), written_out.__globals__)
    return partial(torch.compile(own, fullgraph=True, dynamic=False), logits)


def in_triton(logits: Tensor) -> Launch:
    """The Triton kernel of this plugin, into the same array each time."""
    from harness_torch.triton_softmax import softmax_into  # Triton is often not installed

    out = torch.empty_like(logits)
    launch = softmax_into(out, logits)

    def call() -> Tensor:
        with torch.cuda.device(logits.device):  # Triton launches on the current device
            launch()
        return out

    return call


def in_cuda_c(logits: Tensor) -> Launch:
    """The CUDA C kernel of this plugin, into the same array each time."""
    from harness_torch.cuda_softmax import softmax_into  # NVRTC is often not installed

    out = torch.empty_like(logits)
    with torch.cuda.device(logits.device):
        launch = softmax_into(out, logits)

    def call() -> Tensor:
        with torch.cuda.device(logits.device):
            launch()
        return out

    return call


class Replay:
    """A call captured as a CUDA graph; every replay returns the same array.

    Args:
        call: uses memory at fixed addresses, and never waits for the device.
        device: a CUDA device.
    """

    def __init__(self, call: Launch, device: torch.device) -> None:
        self._call = call  # keeps alive the memory that the graph reads
        with torch.cuda.device(device):
            # First calls compile and allocate, which cannot be captured.
            side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
            side.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(side):
                for _ in range(3):
                    call()
            torch.cuda.current_stream().wait_stream(side)
            self._graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self._graph):
                self._out = call()

    def __call__(self) -> Tensor:
        """Replay the graph, and return its output."""
        self._graph.replay()
        return self._out


RECIPES: dict[str, Callable[[Tensor], Launch]] = {
    "torch": plain,
    "torch-out": into_buffer,
    "torch-compile": compiled,
    "triton": in_triton,
    "cuda-c": in_cuda_c,
}
