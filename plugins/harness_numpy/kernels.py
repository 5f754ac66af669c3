"""Softmax kernels along the rows of an array (n_samples, n_classes)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from harness import Array


def prepare(logits: Array, device: str) -> Array:  # noqa: ARG001  # always the CPU
    """The logits in C order, which makes each row contiguous."""
    return np.ascontiguousarray(logits)


def naive(logits: Array) -> Array:
    """exp(z) / sum(exp(z)) as it stands.

    It overflows for logits above 709 (float32: 88), and gives 0/0 if all are below -745.
    """
    powers: Array = np.exp(logits)
    total: Array = powers.sum(axis=1, keepdims=True)
    return powers / total


def stable(logits: Array) -> Array:
    """The same probabilities, since softmax(z) = softmax(z - c), for logits of any size."""
    powers: Array = np.exp(logits - logits.max(axis=1, keepdims=True))
    powers /= powers.sum(axis=1, keepdims=True)
    return powers


def scipy(logits: Array) -> Array:
    """SciPy's softmax, along the rows."""
    from scipy.special import softmax  # after the first call only a dict lookup

    probabilities: Array = softmax(logits, axis=1)
    return probabilities


def collect(probabilities: Array) -> Array:
    """The probabilities, which are a NumPy array already."""
    return probabilities
