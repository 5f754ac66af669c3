"""Training steps recorded once and replayed, so that CUDA need not launch each kernel anew."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

WARM_UP = 3
"""Steps taken before recording."""


class Recording:
    """A step as a CUDA graph; a call replays it.

    Args:
        graph: the recorded graph.
        step: the function that was recorded. The graph goes on using the memory of the step's
            tensors: without a reference to them it would be given to other tensors.
    """

    def __init__(self, graph: torch.cuda.CUDAGraph, step: Callable[[], None]) -> None:
        self.graph, self.step = graph, step

    def __call__(self) -> None:
        """Replay the graph."""
        self.graph.replay()


def recorded(
    step: Callable[[], None], state: Sequence[Tensor], device: torch.device
) -> Callable[[], object]:
    """A step as a CUDA graph; on other devices the step itself.

    The step must read and write the same memory each time. Before the recording it runs `WARM_UP`
    times, because libraries allocate memory at their first calls; afterwards ``state`` is restored.

    Args:
        step: the function to record.
        state: all tensors that the step changes and a later step reads.
        device: the device that the step computes on.
    """
    if device.type != "cuda":
        return step
    before = [tensor.clone() for tensor in state]
    with torch.cuda.device(device):
        aside = torch.cuda.Stream()  # type: ignore[no-untyped-call]  # PyTorch's
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            for _ in range(WARM_UP):
                step()
        torch.cuda.current_stream().wait_stream(aside)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            step()
    for tensor, earlier in zip(state, before, strict=True):
        tensor.copy_(earlier)
    return Recording(graph, step)
