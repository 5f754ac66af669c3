"""Softmax along the rows of logits, each kind as a call that is all there is to be timed.

What a recipe here gives takes no arguments: the logits are where they are computed on, buffers are
made, graphs are captured. Only ``torch-compile`` has something left to do at its first call.
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

    Call: TypeAlias = Callable[[], Tensor]


def prepare(name: str, logits: Array, device: str) -> Call:
    """What computes the probabilities of logits (n_samples, n_classes) each time it is called.

    Args:
        name: of the kernel; ``-graph`` at the end makes a CUDA graph of it.
        logits: float32 or float64. They are copied.
        device: such as ``cpu`` or ``cuda:0``.
    """
    z = torch.tensor(np.ascontiguousarray(logits), device=device)
    recipe = name.removesuffix("-graph")
    call = RECIPES[recipe](z)
    return call if recipe == name else Replay(call, z.device)


def plain(logits: Tensor) -> Call:
    """PyTorch's own, into a new array each time."""
    return partial(torch.softmax, logits, dim=1)


def into_buffer(logits: Tensor) -> Call:
    """PyTorch's own, into the same array each time."""
    return partial(torch.softmax, logits, dim=1, out=torch.empty_like(logits))


def written_out(logits: Tensor) -> Tensor:
    """The definition, each row's largest logit taken off first to keep exp from overflowing."""
    powers = torch.exp(logits - logits.amax(dim=1, keepdim=True))
    return powers / powers.sum(dim=1, keepdim=True)


def compiled(logits: Tensor) -> Call:
    """The definition, compiled for these logits' shape at the first call."""
    # A copy of the code, because the compiler runs one as it is written after eight shapes.
    own = FunctionType(written_out.__code__.replace(), written_out.__globals__)
    return partial(torch.compile(own, fullgraph=True, dynamic=False), logits)


def in_triton(logits: Tensor) -> Call:
    """Ours, into the same array each time."""
    from harness_torch.triton_softmax import softmax_into  # few have Triton

    out = torch.empty_like(logits)
    launch = softmax_into(out, logits)

    def call() -> Tensor:
        with torch.cuda.device(logits.device):  # Triton launches on the current one
            launch()
        return out

    return call


def in_cuda_c(logits: Tensor) -> Call:
    """Ours in CUDA C, into the same array each time."""
    from harness_torch.cuda_softmax import softmax_into  # few have NVRTC

    out = torch.empty_like(logits)
    with torch.cuda.device(logits.device):
        launch = softmax_into(out, logits)

    def call() -> Tensor:
        with torch.cuda.device(logits.device):
            launch()
        return out

    return call


class Replay:
    """A call captured as a CUDA graph; it gives the same array each time.

    Args:
        call: works on memory that stays where it is, and never waits for the device.
        device: a CUDA device.
    """

    def __init__(self, call: Call, device: torch.device) -> None:
        self._call = call  # the graph reads the memory that this holds
        with torch.cuda.device(device):
            # What a first call compiles or allocates cannot be captured.
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
        """Replay it."""
        self._graph.replay()
        return self._out


RECIPES: dict[str, Callable[[Tensor], Call]] = {
    "torch": plain,
    "torch-out": into_buffer,
    "torch-compile": compiled,
    "triton": in_triton,
    "cuda-c": in_cuda_c,
}
