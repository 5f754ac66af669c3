"""Softmax in Triton that reads each number from the GPU's memory once and writes it once.

A row of up to 200 KiB stays in the registers of one program from the maximum over the sum to the
division; a program takes several short rows. Of a longer row, only the first part stays in the
registers. The rest is streamed: it is summed with a running maximum in each lane (Milakov &
Gimelshein 2018, "Online normalizer calculation for softmax"), and read a second time for the
output, mostly from a cache.
"""

# Triton ships no types, and its language only looks like Python.
# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-decorators

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import triton
from triton import language as tl

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

WARPS = 32
"""Most warps in a program: 1,024 threads, each with 64 registers."""

KEPT = 200 * 1024
"""Bytes of the longest row that stays on the chip, in 50 of the 64 registers.

Triton rounds an array's width up to a power of 2. But the compiler knows the number of classes, so
the columns beyond it cost no registers.
"""

HELD = 128 * 1024
"""Bytes of a longer row that stay on the chip, so that registers are left to stream the rest."""

STREAMED = 32 * 1024
"""Bytes streamed at a time, in 8 registers, with 16 more for their maxima and sums."""


def softmax_into(out: Tensor, logits: Tensor) -> Callable[[], Any]:
    """A call that writes the softmax of each row of ``logits`` into ``out``.

    Args:
        out: (n_samples, n_classes), contiguous, with the logits' dtype, in memory of its own.
        logits: (n_samples, n_classes), contiguous, float32 or float64, on the CUDA device that is
            current at the call. A row that contains NaN becomes NaN; -inf gets probability 0.
    """
    n_samples, n_classes = logits.shape
    size = logits.element_size()
    if n_classes * size > KEPT:
        launch = partial(_long_rows[(n_samples,)], n_held=HELD // size, n_streamed=STREAMED // size)
        return partial(launch, out, logits, n_classes=n_classes, num_warps=WARPS)
    width = triton.next_power_of_2(n_classes)
    # `per_lane` is bytes for each of a warp's 32 lanes: enough loads at once to keep the memory
    # busy.
    if width <= 32:  # one warp holds all columns of a row, whatever the number of warps
        n_warps, per_lane = 4, 64
    else:  # as few warps as can hold a row, because they wait for each other at its sum
        n_warps = min(WARPS, triton.next_power_of_2(triton.cdiv(n_classes * size, 5 * 1024)))
        per_lane = 128
    n_rows = max(n_warps * 32 * per_lane // (width * size), 1)
    launch = partial(_short_rows[(triton.cdiv(n_samples, n_rows),)], n_rows=n_rows, width=width)
    return partial(launch, out, logits, n_samples, n_classes=n_classes, num_warps=n_warps)


@triton.jit(do_not_specialize=["n_samples"])
def _short_rows(
    out, logits, n_samples, n_classes: tl.constexpr, n_rows: tl.constexpr, width: tl.constexpr
):
    """Each program takes ``n_rows`` rows; ``width`` is the power of 2 that holds ``n_classes``."""
    # The program's offset needs 64 bits; the many offsets within it need only 32.
    first = tl.program_id(0).to(tl.int64) * n_rows
    out += first * n_classes
    logits += first * n_classes
    row = tl.arange(0, n_rows)[:, None]
    column = tl.arange(0, width)[None, :]
    offset = row * n_classes + column
    inside = (row < (n_samples - first).to(tl.int32)) & (column < n_classes)
    z = tl.load(logits + offset, mask=inside, other=-float("inf"))
    powers = tl.exp(z - tl.max(z, axis=1)[:, None])
    tl.store(out + offset, powers * (1 / tl.sum(powers, axis=1))[:, None], mask=inside)


@triton.jit
def _long_rows(
    out, logits, n_classes: tl.constexpr, n_held: tl.constexpr, n_streamed: tl.constexpr
):
    """Each program takes one row; it holds the first ``n_held`` numbers and streams the rest."""
    start = tl.program_id(0).to(tl.int64) * n_classes
    out += start
    logits += start
    chunk = tl.arange(0, n_streamed)
    top = tl.full([n_streamed], -float("inf"), logits.dtype.element_ty)
    total = tl.zeros([n_streamed], logits.dtype.element_ty)
    for i in range(n_held, n_classes, n_streamed):
        z = tl.load(logits + i + chunk, mask=i + chunk < n_classes, other=-float("inf"))
        # One exponential is enough: of the factors for the old total and for the new number, one
        # is always 1. If both z and top are -inf, their difference would be NaN. It is taken as 0;
        # the total counted then is multiplied by 0 as soon as there is a finite maximum.
        power = tl.exp(tl.where(z == top, 0.0, -tl.abs(z - top)))
        total = tl.where(z > top, total * power + 1, total + power)
        top = tl.maximum(top, z)
    held = tl.arange(0, n_held)
    # Bypasses the first-level cache, which should keep the numbers that have just been streamed.
    powers = tl.load(logits + held, cache_modifier=".cg")
    largest = tl.maximum(tl.max(powers, axis=0), tl.max(top, axis=0))
    powers = tl.exp(powers - largest)
    scale = 1 / (tl.sum(powers, axis=0) + tl.sum(total * tl.exp(top - largest), axis=0))
    tl.store(out + held, powers * scale)
    # Backwards, because the numbers read last are still in the cache.
    n_chunks: tl.constexpr = (n_classes - n_held + n_streamed - 1) // n_streamed
    for k in range(n_chunks):
        offset = n_held + (n_chunks - 1 - k) * n_streamed + chunk
        z = tl.load(logits + offset, mask=offset < n_classes)
        tl.store(out + offset, tl.exp(z - largest) * scale, mask=offset < n_classes)
