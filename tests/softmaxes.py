"""A softmax by its formula, logits that are hard for a softmax, and a check of its output."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from harness.contract.values import Array


def softmax(Z: Array) -> Array:
    E = np.exp(Z - Z.max(axis=1, keepdims=True))
    return np.asarray(E / E.sum(axis=1, keepdims=True))


def awkward(n_samples: int, n_classes: int, dtype: Any) -> Array:
    """Logits with a NaN in every seventh row and large or infinite values in most others."""
    Z = np.random.default_rng(0).normal(scale=3, size=(n_samples, n_classes))
    Z[1::7] -= 1e7
    Z[2::7] += 1e7
    Z[3::7, : n_classes * 3 // 4] = -np.inf
    Z[4::7, n_classes // 3 + 1 :] = -np.inf
    Z[5::7, -1] = np.nan
    Z[6::7, :-1] = -np.inf
    return Z.astype(dtype)


def require_softmax(P: Array, Z: Array) -> None:
    bound = 1e-6 if Z.dtype == np.float32 else 1e-13
    assert P.dtype == Z.dtype
    np.testing.assert_allclose(P, softmax(Z.astype(np.float64)), rtol=10 * bound, atol=bound)
