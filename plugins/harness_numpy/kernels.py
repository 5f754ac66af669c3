"""Softmax along the rows of an array (n_samples, n_classes), each a kernel's timed call."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from harness import Array


def prepare(logits: Array, device: str) -> Array:  # noqa: ARG001  # always the CPU
    """The logits in rows that lie one after the other."""
    return np.ascontiguousarray(logits)


def naive(logits: Array) -> Array:
    """Overflows for logits above 709 (float32: 88), and gives 0/0 where all are below -745."""
    powers: Array = np.exp(logits)
    total: Array = powers.sum(axis=1, keepdims=True)
    return powers / total


def stable(logits: Array) -> Array:
    """The same probabilities, since softmax(z) = softmax(z - c), for logits of any size."""
    powers: Array = np.exp(logits - logits.max(axis=1, keepdims=True))
    powers /= powers.sum(axis=1, keepdims=True)
    return powers


def scipy(logits: Array) -> Array:
    """SciPy's, along the rows."""
    from scipy.special import softmax  # looked up in a dict once it is loaded

    probabilities: Array = softmax(logits, axis=1)
    return probabilities


def collect(probabilities: Array) -> Array:
    """They are in NumPy already."""
    return probabilities
