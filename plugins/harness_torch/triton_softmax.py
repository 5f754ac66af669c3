"""Softmax in Triton that reads each number from the GPU's memory once and writes it once.

A row of up to 128 KiB stays in the registers of the program that reads it, and a program takes as
many short rows as fill its registers. Longer rows are read in two parts: what does not fit into the
registers is summed up as it streams by, with a running maximum (Milakov & Gimelshein 2018, "Online
normalizer calculation for softmax"), and read a second time, mostly from a cache, to be written.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import triton
from triton import language as tl

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

WARP = 4096
"""Bytes that a warp keeps: 32 registers in each of its 32 lanes, of 64 where 32 warps share."""

MOST_WARPS = 32
"""Warps in a program at most, so that a row of 128 KiB fits into their registers."""


def softmax_into(out: Tensor, logits: Tensor) -> Callable[[], object]:
    """A call that writes the softmax of each row of ``logits`` into ``out``.

    Args:
        out: like ``logits``, and not the same memory.
        logits: (n_samples, n_classes), contiguous, float32 or float64, on the current CUDA device
            whenever the call is made. A NaN makes its own row NaN; -inf has probability 0.
    """
    n_samples, n_classes = logits.shape
    per_warp = WARP // logits.element_size()
    width = triton.next_power_of_2(n_classes)
    if width > MOST_WARPS * per_warp:
        launch = _long_rows[(n_samples,)]
        held = MOST_WARPS * per_warp
        return partial(launch, out, logits, n_classes, held, 4 * per_warp, num_warps=MOST_WARPS)
    # Up to 32 columns lie in one warp, whatever their number; wider ones would be spread over all
    # warps, and those would wait for each other at every maximum and sum.
    n_warps = 4 if width <= 32 else max(width // per_warp, 1)
    n_rows = n_warps * per_warp // width
    launch = _short_rows[(triton.cdiv(n_samples, n_rows),)]
    return partial(launch, out, logits, n_samples, n_classes, n_rows, width, num_warps=n_warps)


@triton.jit(do_not_specialize=["n_samples"])
def _short_rows(
    out, logits, n_samples, n_classes: tl.constexpr, n_rows: tl.constexpr, width: tl.constexpr
):
    first = tl.program_id(0).to(tl.int64) * n_rows
    out += first * n_classes
    logits += first * n_classes
    row = tl.arange(0, n_rows)[:, None]
    column = tl.arange(0, width)[None, :]
    at = row * n_classes + column
    inside = (row < n_samples - first) & (column < n_classes)
    z = tl.load(logits + at, mask=inside, other=-float("inf"))
    powers = tl.exp(z - tl.max(z, axis=1)[:, None])
    tl.store(out + at, powers * (1 / tl.sum(powers, axis=1))[:, None], mask=inside)


@triton.jit
def _long_rows(
    out, logits, n_classes: tl.constexpr, n_held: tl.constexpr, n_streamed: tl.constexpr
):
    start = tl.program_id(0).to(tl.int64) * n_classes
    out += start
    logits += start
    column = tl.arange(0, n_streamed)
    top = tl.full([n_streamed], -3.4e38, logits.dtype.element_ty)
    total = tl.zeros([n_streamed], logits.dtype.element_ty)
    for i in range(n_held, n_classes, n_streamed):
        z = tl.load(logits + i + column, mask=i + column < n_classes, other=-float("inf"))
        power = tl.exp(-tl.abs(z - top))
        total = tl.where(z > top, total * power + 1, total + power)
        top = tl.maximum(top, z)
    held = tl.arange(0, n_held)
    powers = tl.load(logits + held, cache_modifier=".cg")
    largest = tl.maximum(tl.max(powers, axis=0), tl.max(top, axis=0))
    powers = tl.exp(powers - largest)
    scale = 1 / (tl.sum(powers, axis=0) + tl.sum(total * tl.exp(top - largest), axis=0))
    tl.store(out + held, powers * scale)
    n_chunks: tl.constexpr = (n_classes - n_held + n_streamed - 1) // n_streamed
    for k in range(n_chunks):
        i = n_held + (n_chunks - 1 - k) * n_streamed
        inside = i + column < n_classes
        z = tl.load(logits + i + column, mask=inside)
        tl.store(out + i + column, tl.exp(z - largest) * scale, mask=inside)
