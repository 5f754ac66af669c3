"""Checks of softmax kernels, run on small and awkward logits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from harness.errors import describe
from harness.testing.checks import Check, kebab_case_name, require, run_all

if TYPE_CHECKING:
    from harness.contract.values import Array, Kernel

SHAPES = ((100, 3), (1_000, 7), (5, 1_000), (10_007, 2))  # 10,007 is prime: no block fits it


def check_kernel(kernel: Kernel) -> None:
    """Run all of ``KERNEL_CHECKS`` on a kernel.

    Raises:
        AssertionError: some checks failed; the message lists them, one per line.
    """
    run_all("kernel", kernel, KERNEL_CHECKS)


def float64_is_softmax(kernel: Kernel) -> None:
    """Gives the softmax of float64 logits."""
    for shape in SHAPES:
        _require_softmax(kernel, _logits(*shape))


def float32_is_softmax(kernel: Kernel) -> None:
    """Gives the softmax of float32 logits."""
    for shape in SHAPES:
        _require_softmax(kernel, _logits(*shape).astype(np.float32))


def rows_sum_to_one(kernel: Kernel) -> None:
    """Gives one column per class and rows that sum to 1."""
    logits = _logits(1_000, 10)
    probabilities = _run(kernel, logits)
    require(
        probabilities.shape == logits.shape,
        f"gives shape {probabilities.shape} for logits {logits.shape}",
    )
    off = float(np.abs(probabilities.sum(axis=1, dtype=np.float64) - 1).max())
    require(off <= 1e-5, f"the sum of a row differs from 1 by {off:.2g}")


def one_row(kernel: Kernel) -> None:
    """Works with a single row."""
    _require_softmax(kernel, _logits(1, 3))


def one_class(kernel: Kernel) -> None:
    """Works with a single class, whose probability is 1."""
    _require_softmax(kernel, _logits(10, 1))


def no_rows(kernel: Kernel) -> str | None:
    """Gives no rows for an empty array, or raises an error."""
    try:
        probabilities = _run(kernel, _logits(0, 3))
    except Exception as error:  # noqa: BLE001  # strangers' code may raise anything
        return f"refuses an empty array: says '{describe(error)}'"
    require(
        probabilities.shape == (0, 3),
        f"gives shape {probabilities.shape} for logits of shape (0, 3)",
    )
    return None


def any_layout(kernel: Kernel) -> None:
    """Accepts arrays that are not contiguous."""
    logits = _logits(40, 6)
    for view in (logits[::2], logits[:, ::2], logits.T):
        _require_softmax(kernel, view)


def shift_invariant(kernel: Kernel) -> None:
    """Gives the same if a constant is added to all logits of a row."""
    logits = _logits(100, 5)
    shifts = np.linspace(-8, 8, len(logits))[:, None]  # small enough for kernels that overflow
    probabilities, expected = _run(kernel, logits + shifts), _run(kernel, logits)
    _require_close(probabilities, expected, "rows with a constant added")


def survives_large_logits(kernel: Kernel) -> str | None:
    """Gives probabilities for logits near -1e7 and +1e7, if it is declared stable."""
    if not kernel.stable:
        return "not tried: the kernel does not declare to be stable"
    for centre in (-1e7, 1e7):
        for dtype in (np.float64, np.float32):
            _require_softmax(kernel, (_logits(100, 3) + centre).astype(dtype))
    return None


def leaves_its_input_alone(kernel: Kernel) -> None:
    """Does not write to its input array."""
    logits = _logits(100, 3)
    given = logits.copy()
    _run(kernel, given)
    require(np.array_equal(given, logits), "run changes the logits that it gets")


def runs_again_alike(kernel: Kernel) -> None:
    """Gives the same when run again on the same prepared array, as timings do."""
    prepared = kernel.prepare(_logits(100, 3), _device(kernel))
    first = np.array(kernel.collect(kernel.run(prepared)))
    second = np.array(kernel.collect(kernel.run(prepared)))
    _require_close(second, first, "a second run on the same prepared array")


KERNEL_CHECKS = tuple(
    Check.of(function)
    for function in (
        kebab_case_name,
        float64_is_softmax,
        float32_is_softmax,
        rows_sum_to_one,
        one_row,
        one_class,
        no_rows,
        any_layout,
        shift_invariant,
        survives_large_logits,
        leaves_its_input_alone,
        runs_again_alike,
    )
)


def _device(kernel: Kernel) -> str:
    return "cpu" if "cpu" in kernel.devices else f"{kernel.devices[0]}:0"


def _logits(n_samples: int, n_classes: int) -> Array:
    return np.random.default_rng(0).normal(scale=3.0, size=(n_samples, n_classes))


def _run(kernel: Kernel, logits: Array) -> Array:
    probabilities = kernel(logits, _device(kernel))
    require(
        isinstance(probabilities, np.ndarray),
        f"gives a {type(probabilities).__name__}, not a NumPy array",
    )
    return probabilities


def _softmax(logits: Array) -> Array:
    """Softmax by definition, in float64; without each row's largest logit, exp stays finite."""
    exponentials = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    return np.asarray(exponentials / exponentials.sum(axis=1, keepdims=True))


def _require_softmax(kernel: Kernel, logits: Array) -> None:
    what = f"logits of shape {logits.shape} and {logits.dtype} near {logits.mean():.0g}"
    # A copy, so that only the check for it reports a kernel that writes into its input.
    _require_close(_run(kernel, logits.copy(order="K")), _softmax(logits), what)


def _require_close(actual: Array, expected: Array, what: str) -> None:
    shapes = f"{what}: gives shape {actual.shape}, not {expected.shape}"
    require(actual.shape == expected.shape, shapes)
    require(np.isfinite(actual).all(), f"{what}: gives NaN or infinite probabilities")
    off = float(np.abs(actual - expected).max())
    bound = 1e-10 if actual.dtype == np.float64 else 1e-5
    require(off <= bound, f"{what}: a probability is off by {off:.2g}")
