"""Softmax at nearly the speed of memory, in blocks that stay in the processor's cache.

With few classes, ``max(axis=1)`` and ``sum(axis=1)`` reduce along a short inner axis. In NumPy such
a reduction costs ten times as much as the exponentials. This module avoids it:

- The row's maximum is not subtracted if no exponential of the block can overflow or lose digits.
  A pass or two over the cached block checks this. It also makes the probabilities more accurate,
  because no difference is rounded before the exponential.
- The rows' sums are a product with a matrix of ones. A second product repeats each sum for all
  columns of its row.

If logits are larger, a block's maxima are taken from a transposed copy, along its long axis.
"""

from __future__ import annotations

from functools import lru_cache
from math import log
from typing import TYPE_CHECKING

import numpy as np

from harness import UsageError

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

    from harness import Array

BLOCK = 1 << 15
"""Numbers in a block: 256 KiB of float64, so that logits, probabilities and sums fit into a
second-level cache of 1 MiB."""

FEW = 7
"""Most classes for which a product with a square matrix of ones is the fastest sum."""

SOME = 32
"""Most classes for which rows are summed by a product with a column of ones. For more classes its
rounding errors would show."""

SPREAD = 4
"""Number of rows whose sums one product repeats for all their columns."""

SAFE = {np.dtype(np.float32): 80.0, np.dtype(np.float64): 700.0}
"""Largest absolute logit, before the logarithm of the number of classes is subtracted, for which
the exponentials and their sums are finite and normal numbers."""


def softmax(logits: Array, out: Array | None = None) -> Array:
    """Probabilities exp(z) / sum(exp(z)) of each row.

    Args:
        logits: (n_samples, n_classes), float32 or float64; other types are converted to float64.
            A row that contains NaN becomes NaN; -inf gets probability 0.
        out: array to write to: C-contiguous with the shape and dtype of ``logits``, or ``logits``
            itself.

    Returns:
        ``out``, or a new array. Besides it, at most 1 MiB is allocated, or one row if that is
        larger; and a float64 copy of logits of another type.

    Raises:
        UsageError: ``logits`` does not have two axes, or ``out`` does not fit it.
    """
    logits = np.asarray(logits)
    if logits.dtype not in SAFE:
        logits = logits.astype(np.float64)
    if logits.ndim != 2:
        raise UsageError(f"softmax takes logits (n_samples, n_classes), not shape {logits.shape}")
    if out is not None:
        _require_fit(out, logits)
        is_itself = out.ctypes.data == logits.ctypes.data and out.strides == logits.strides
        if not is_itself and np.may_share_memory(out, logits):
            logits = logits.copy()
    n_samples, n_classes = logits.shape
    safe = SAFE[logits.dtype] - log(max(n_classes, 1))
    if logits.size <= BLOCK:
        return _block(logits, safe, out, None)
    if out is None:
        out = np.empty(logits.shape, logits.dtype)
    n_rows = max(BLOCK // n_classes // SPREAD * SPREAD, 1)
    scratch = np.empty((n_rows, n_classes if n_classes <= SOME else 0), logits.dtype)
    for start in range(0, n_samples, n_rows):
        z = logits[start : start + n_rows]
        _block(z, safe, out[start : start + n_rows], scratch[: len(z)])
    return out


def softmax_by_class(logits: Array) -> Array:
    """Turn logits (n_classes, n_samples) into probabilities in place.

    Returns:
        log(sum(exp(z))) of each sample, (n_samples,).
    """
    safe = SAFE[logits.dtype] - log(len(logits))
    flat = logits.reshape(-1)
    top = None
    if not np.vdot(flat, flat) <= safe * safe:
        # Subtracting each sample's largest logit first keeps exp from overflowing.
        top = np.maximum.reduce(logits, axis=0)
        np.subtract(logits, top, logits)
    np.exp(logits, logits)
    totals: Array = np.add.reduce(logits, axis=0)
    np.multiply(logits, np.divide(1, totals), logits)  # a division is three times as slow
    np.log(totals, totals)
    return totals if top is None else np.add(totals, top, totals)


def _block(logits: Array, safe: float, out: Array | None, scratch: Array | None) -> Array:
    """The softmax of a few rows; ``scratch`` has the logits' shape if there are few classes."""
    n_classes = logits.shape[1]
    flat = logits.reshape(-1)  # a view if the rows are contiguous
    # The sum of squares takes one pass and bounds the largest square. With a NaN every comparison
    # is false. The sum may overflow: vdot, unlike dot, gives no warning then.
    is_safe = np.vdot(flat, flat) <= safe * safe or (flat.max() <= safe and flat.min() >= -safe)
    if is_safe:
        powers = np.exp(logits, out)
    else:
        if n_classes > SOME:
            top = np.maximum.reduce(logits, axis=1)
        else:
            scratch = np.empty(logits.shape, logits.dtype) if scratch is None else scratch
            by_class = scratch.reshape(logits.shape[::-1])
            np.copyto(by_class, logits.T)
            top = np.maximum.reduce(by_class, axis=0)
        # Subtracting each row's largest logit first keeps exp from overflowing.
        powers = np.subtract(logits, top[:, None], out)
        np.exp(powers, powers)
    if n_classes <= FEW:
        totals = np.matmul(powers, _ones(n_classes, logits.dtype), scratch)
    elif n_classes > SOME:
        totals = np.add.reduce(powers, axis=1, keepdims=True)
    else:
        sums = np.matmul(powers, _ones(n_classes, logits.dtype)[0])
        # If there may be a NaN, rows must not be mixed: NaN times another row's zeros is NaN.
        if is_safe and scratch is not None and len(sums) % SPREAD == 0:
            # One division per row, then multiplications: the error grows by half a unit in the last
            # place.
            np.divide(1, sums, sums)
            spread = _spread(n_classes, logits.dtype)
            np.matmul(sums.reshape(-1, SPREAD), spread, scratch.reshape(-1, SPREAD * n_classes))
            return np.multiply(powers, scratch, powers)
        totals = sums[:, None]
    return np.divide(powers, totals, powers)


def _require_fit(out: Array, logits: Array) -> None:
    """Check that the probabilities can be written to ``out``.

    Raises:
        UsageError: ``out`` has another type, shape or layout, or is read-only.
    """
    if not isinstance(out, np.ndarray):
        raise UsageError(f"out must be a NumPy array, not a {type(out).__name__}")
    fits = out.shape == logits.shape and out.dtype == logits.dtype
    if not (fits and out.flags.c_contiguous and out.flags.writeable):
        raise UsageError(
            f"out must be a writable C-contiguous array of {logits.dtype} and shape "
            f"{logits.shape}, not one of {out.dtype} and shape {out.shape}"
        )


@lru_cache
def _ones(n_classes: int, dtype: DTypeLike) -> Array:
    return np.ones((n_classes, n_classes), dtype)


@lru_cache
def _spread(n_classes: int, dtype: DTypeLike) -> Array:
    """A matrix (SPREAD, SPREAD * n_classes) that repeats each of `SPREAD` sums n_classes times."""
    return np.kron(np.eye(SPREAD, dtype=dtype), np.ones((1, n_classes), dtype))
