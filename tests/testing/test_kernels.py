"""check_kernel passes a good softmax, and names the fault of a wrong softmax."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
from failed_checks import failed_checks
from softmaxes import softmax

import harness
import harness.testing
from harness.testing import KERNEL_CHECKS

Array = np.ndarray[Any, np.dtype[Any]]


def notebook(Z: Array) -> Array:
    E = np.exp(Z)
    return np.asarray(E / E.sum(axis=1, keepdims=True))


def sums_to_all(Z: Array) -> Array:
    return softmax(Z) * (2 if Z.shape == (1_000, 10) else 1)


def in_single_precision(Z: Array) -> Array:
    return softmax(Z.astype(np.float32)).astype(Z.dtype)


def in_half_precision_if_single(Z: Array) -> Array:
    return softmax(Z.astype(np.float16) if Z.dtype == np.float32 else Z).astype(Z.dtype)


def squeezes(Z: Array) -> Array:
    return softmax(Z).squeeze() if Z.shape[0] == 1 else softmax(Z)


def half_if_alone(Z: Array) -> Array:
    return softmax(Z) / (2 if Z.shape[1] == 1 else 1)


def keeps_a_row(Z: Array) -> Array:
    return softmax(Z) if len(Z) else np.ones((1, 3))


def refuses_nothing(Z: Array) -> Array:
    if not len(Z):
        raise ValueError("a grid needs a block")
    return softmax(Z)


def reads_memory_in_order(Z: Array) -> Array:
    return softmax(Z.ravel(order="K").reshape(Z.shape))


def minds_shifts(Z: Array) -> Array:
    return softmax(Z * (1 + 1e-6 * (Z[:, :1] < -4) * (Z.shape == (100, 5))))


def in_place(Z: Array) -> Array:
    Z[...] = softmax(Z)
    return Z


def kernel(run: Any = softmax, **details: Any) -> harness.Kernel:
    options: dict[str, Any] = {
        "name": "toy",
        "prepare": lambda Z, _: Z,
        "collect": lambda P: P,
    } | details
    return harness.Kernel(run=run, **options)


verdicts = partial(failed_checks, KERNEL_CHECKS)


def test_a_good_kernel_passes() -> None:
    harness.testing.check_kernel(kernel())


@pytest.mark.parametrize("check", KERNEL_CHECKS, ids=str)
def test_an_author_can_run_each_check_as_a_separate_test(check: harness.testing.Check) -> None:
    check.run(kernel())


def test_a_kernel_that_overflows_passes_if_it_declares_that() -> None:
    harness.testing.check_kernel(kernel(notebook, stable=False))
    assert set(verdicts(kernel(notebook))) == {"survives-large-logits"}


def test_a_kernel_that_refuses_an_empty_array_passes_with_a_remark() -> None:
    (check,) = (check for check in KERNEL_CHECKS if check.name == "no-rows")
    remark = check.run(kernel(refuses_nothing))
    assert remark == "refuses an empty array: says 'ValueError: a grid needs a block'"


WRONG = [
    (kernel(name="Soft Max"), {"kebab-case-name"}, "'Soft Max' is not kebab-case"),
    (
        kernel(in_half_precision_if_single),
        {"float32-is-softmax", "survives-large-logits"},
        "float32 near",
    ),
    (kernel(sums_to_all), {"rows-sum-to-one"}, "the sum of a row differs from 1 by 1"),
    (kernel(squeezes), {"one-row"}, "gives shape (3,), not (1, 3)"),
    (kernel(half_if_alone), {"one-class"}, "a probability is off by 0.5"),
    (kernel(keeps_a_row), {"no-rows"}, "gives shape (1, 3) for logits of shape (0, 3)"),
    (kernel(reads_memory_in_order), {"any-layout"}, "a probability is off"),
    (kernel(minds_shifts), {"shift-invariant"}, "rows with a constant added"),
    (kernel(notebook), {"survives-large-logits"}, "gives NaN or infinite probabilities"),
    (
        kernel(in_place),
        {"leaves-its-input-alone", "runs-again-alike"},
        "",
    ),
    (
        kernel(in_place, prepare=lambda Z, _: Z.copy()),
        {"runs-again-alike"},
        "a second run on the same prepared array",
    ),
]


@pytest.mark.parametrize(("wrong", "checks", "reason"), WRONG)
def test_a_wrong_kernel_fails_the_check_of_its_fault(
    wrong: harness.Kernel, checks: set[str], reason: str
) -> None:
    failed = verdicts(wrong)
    assert set(failed) == checks
    assert all(reason in text for text in failed.values())


def test_float64_logits_need_more_than_single_precision() -> None:
    assert "float64-is-softmax" in verdicts(kernel(in_single_precision))


def test_the_message_lists_all_failed_checks_one_per_line() -> None:
    with pytest.raises(AssertionError) as raised:
        harness.testing.check_kernel(kernel(in_place, prepare=lambda Z, _: Z.copy(), name="Toy"))
    first, *others = str(raised.value).splitlines()
    assert first == f"kernel 'Toy' fails 2 of {len(KERNEL_CHECKS)} checks:"
    assert others[0].startswith("  kebab-case-name: 'Toy' is not")
    assert others[1].startswith("  runs-again-alike: a second run")
