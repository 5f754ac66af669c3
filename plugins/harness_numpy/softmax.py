"""Softmax close to what the memory allows, in blocks that stay in the processor's cache.

A reduction along a short inner axis, which is what ``max(axis=1)`` and ``sum(axis=1)`` are where a
classifier has few classes, costs NumPy ten times what the exponentials do. Here there is none:

- The row's maximum need not be taken off where no exponential of the block can overflow or lose
  digits, which two passes at the speed of the cache tell. The probabilities are the closer to the
  true ones for it, because no difference is rounded before the exponential.
- The rows' sums are a product with a matrix of ones, which puts each beside all that it divides.

A block with larger logits is transposed, so that maxima and sums run along the long axis.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from harness.errors import UsageError

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

    from harness.values import Array

BLOCK = 1 << 15
"""Numbers in a block: 256 KiB of float64, so that three blocks fit into a second-level cache."""

FEW = 16
"""Classes up to which a product with a square of ones sums fastest."""

SOME = 64
"""Classes up to which a product with a column of ones does, before its rounding errors show."""

SAFE = {np.dtype(np.float32): 80.0, np.dtype(np.float64): 700.0}
"""Logits up to this size have exponentials, and sums of them, that are normal numbers."""


def softmax(logits: Array, out: Array | None = None) -> Array:
    """Probabilities exp(z) / sum(exp(z)) of each row.

    Args:
        logits: (n_samples, n_classes), float32 or float64; all else becomes float64. A NaN makes
            its own row NaN; -inf has probability 0.
        out: where to write: a C-contiguous array like ``logits``, or ``logits`` itself.

    Returns:
        ``out``, or a new array. Besides, no more than 1 MiB is in use.

    Raises:
        UsageError: ``logits`` has not two axes, or ``out`` does not fit it.
    """
    logits = np.asarray(logits)
    safe = SAFE.get(logits.dtype)
    if safe is None:
        logits = logits.astype(np.float64)
        safe = SAFE[logits.dtype]
    if logits.ndim != 2:
        raise UsageError(f"softmax takes logits (n_samples, n_classes), not shape {logits.shape}")
    if out is not None and (
        out.shape != logits.shape or out.dtype != logits.dtype or not out.flags.c_contiguous
    ):
        raise UsageError(
            f"out must be a C-contiguous array of {logits.dtype} and shape {logits.shape}, "
            f"not one of {out.dtype} and shape {out.shape}"
        )
    if logits.size <= BLOCK:
        return _block(logits, safe, None, out, None)
    if out is None:
        out = np.empty(logits.shape, logits.dtype)
    n_rows = max(BLOCK // logits.shape[1], 1)
    powers, totals = np.empty((2, n_rows, logits.shape[1]), logits.dtype)
    for start in range(0, len(logits), n_rows):
        z = logits[start : start + n_rows]
        _block(z, safe, powers[: len(z)], out[start : start + n_rows], totals[: len(z)])
    return out


def softmax_by_class(logits: Array) -> Array:
    """Turn logits (n_classes, n_samples) into probabilities, in their place.

    Returns:
        log(sum(exp(z))) of each sample, (n_samples,).
    """
    safe = SAFE[logits.dtype]
    flat = logits.reshape(-1)
    top = None
    if not flat.dot(flat) <= safe * safe:
        # Taking each sample's largest logit off first keeps exp from overflowing.
        top = np.maximum.reduce(logits, axis=0)
        np.subtract(logits, top, logits)
    np.exp(logits, logits)
    totals: Array = np.add.reduce(logits, axis=0)
    np.multiply(logits, np.divide(1, totals), logits)  # a division is three times as slow
    np.log(totals, totals)
    return totals if top is None else np.add(totals, top, totals)


def _block(
    logits: Array, safe: float, powers: Array | None, out: Array | None, totals: Array | None
) -> Array:
    """The softmax of a few rows; what is None is made, and all have the logits' shape."""
    flat = logits.reshape(-1)  # a copy only where the rows do not lie one after the other
    # The sum of squares takes one pass and is no less than the largest square; with a NaN, no
    # comparison holds.
    if flat.dot(flat) <= safe * safe or (flat.max() <= safe and flat.min() >= -safe):
        powers = np.exp(logits, powers)
    elif logits.shape[1] > SOME:
        powers = np.subtract(logits, logits.max(axis=1, keepdims=True), powers)
        np.exp(powers, powers)
    else:
        powers = np.empty(logits.shape, logits.dtype) if powers is None else powers
        by_class = powers.reshape(logits.shape[::-1])
        np.copyto(by_class, logits.T)
        softmax_by_class(by_class)
        if out is None:
            return np.ascontiguousarray(by_class.T)
        np.copyto(out, by_class.T)
        return out
    n_classes = logits.shape[1]
    if n_classes <= FEW:
        totals = np.matmul(powers, _ones(n_classes, logits.dtype), totals)
    elif n_classes <= SOME:
        totals = np.matmul(powers, _ones(n_classes, logits.dtype)[:, :1])
    else:
        totals = powers.sum(axis=1, keepdims=True)
    return np.divide(powers, totals, powers if out is None else out)


@lru_cache
def _ones(n_classes: int, dtype: DTypeLike) -> Array:
    return np.ones((n_classes, n_classes), dtype)
