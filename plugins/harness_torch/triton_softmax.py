"""Softmax in Triton that reads each number from the GPU's memory once and writes it once.

A row of up to 200 KiB stays in the registers of one program, between the maximum, the sum and the
division; short rows go many to a program. Of a longer row, a part stays there. The rest is added up
as it streams by, with a running maximum in each lane (Milakov & Gimelshein 2018, "Online normalizer
calculation for softmax"), and is read again to be written, mostly from a cache.
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
"""The most that a program has: 1,024 threads, for each of which a GPU has 64 registers."""

KEPT = 200 * 1024
"""Bytes of the longest row that stays on the chip, in 50 of those registers.

Triton's arrays are as wide as the next power of 2, but the compiler knows how many classes there
are, and spends nothing on what lies beyond.
"""

HELD = 128 * 1024
"""Bytes of a longer row that stay on the chip, which leaves registers to stream the rest."""

STREAMED = 32 * 1024
"""Bytes that stream by at a time, in 8 registers, with 16 more for their maxima and sums."""


def softmax_into(out: Tensor, logits: Tensor) -> Callable[[], Any]:
    """A call that writes the softmax of each row of ``logits`` into ``out``.

    Args:
        out: (n_samples, n_classes), contiguous, of the logits' type, and not their memory.
        logits: (n_samples, n_classes), contiguous, float32 or float64, on the CUDA device that is
            the current one at the call. A NaN makes its own row NaN; -inf has probability 0.
    """
    n_samples, n_classes = logits.shape
    size = logits.element_size()
    if n_classes * size > KEPT:
        launch = partial(_long_rows[(n_samples,)], n_held=HELD // size, n_streamed=STREAMED // size)
        return partial(launch, out, logits, n_classes=n_classes, num_warps=WARPS)
    width = triton.next_power_of_2(n_classes)
    # Bytes for each of a warp's 32 lanes: enough loads at once to keep the memory busy.
    if width <= 32:  # a row's columns lie in one warp, however many warps there are
        n_warps, per_lane = 4, 64
    else:  # as few warps as can keep a row, because they wait for each other at its sum
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
    # Offsets in 64 bits for the program and in 32 within it, where they are many.
    first = tl.program_id(0).to(tl.int64) * n_rows
    out += first * n_classes
    logits += first * n_classes
    row = tl.arange(0, n_rows)[:, None]
    column = tl.arange(0, width)[None, :]
    at = row * n_classes + column
    inside = (row < (n_samples - first).to(tl.int32)) & (column < n_classes)
    z = tl.load(logits + at, mask=inside, other=-float("inf"))
    powers = tl.exp(z - tl.max(z, axis=1)[:, None])
    tl.store(out + at, powers * (1 / tl.sum(powers, axis=1))[:, None], mask=inside)


@triton.jit
def _long_rows(
    out, logits, n_classes: tl.constexpr, n_held: tl.constexpr, n_streamed: tl.constexpr
):
    """Each program takes a row, and holds its first ``n_held`` numbers while the rest streams."""
    start = tl.program_id(0).to(tl.int64) * n_classes
    out += start
    logits += start
    chunk = tl.arange(0, n_streamed)
    top = tl.full([n_streamed], -float("inf"), logits.dtype.element_ty)
    total = tl.zeros([n_streamed], logits.dtype.element_ty)
    for i in range(n_held, n_classes, n_streamed):
        z = tl.load(logits + i + chunk, mask=i + chunk < n_classes, other=-float("inf"))
        # One exponential does: either of the old maximum or of the new number is 1. Where both are
        # -inf, their difference would be NaN; what is counted then goes when it meets a maximum.
        power = tl.exp(tl.where(z == top, 0.0, -tl.abs(z - top)))
        total = tl.where(z > top, total * power + 1, total + power)
        top = tl.maximum(top, z)
    held = tl.arange(0, n_held)
    # Past the first-level cache, which is to keep what has just streamed by.
    powers = tl.load(logits + held, cache_modifier=".cg")
    largest = tl.maximum(tl.max(powers, axis=0), tl.max(top, axis=0))
    powers = tl.exp(powers - largest)
    scale = 1 / (tl.sum(powers, axis=0) + tl.sum(total * tl.exp(top - largest), axis=0))
    tl.store(out + held, powers * scale)
    # Backwards, because what was read last is still there.
    n_chunks: tl.constexpr = (n_classes - n_held + n_streamed - 1) // n_streamed
    for k in range(n_chunks):
        at = n_held + (n_chunks - 1 - k) * n_streamed + chunk
        z = tl.load(logits + at, mask=at < n_classes)
        tl.store(out + at, tl.exp(z - largest) * scale, mask=at < n_classes)
