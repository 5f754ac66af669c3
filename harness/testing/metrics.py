"""Checks of metrics, run on small sets of labels and probabilities."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from harness.contract.parameters import given_to, parameters_of
from harness.contract.values import GIVEN_TO_METRICS
from harness.errors import PluginError
from harness.statistics.rows import derived
from harness.testing.checks import Check, kebab_case_name, require, run_all
from harness.trials.metrics import computed

if TYPE_CHECKING:
    from harness.contract.values import Array, Metric

NAMES = ("low", "middle", "high")
MOST = 1e-9
"""How far two values may differ that should be equal."""


def check_metric(metric: Metric) -> None:
    """Run all of ``METRIC_CHECKS`` on a metric.

    Raises:
        AssertionError: some checks failed; the message lists them, one per line.
    """
    run_all("metric", metric, METRIC_CHECKS)


def parameters_have_defaults(metric: Metric) -> None:
    """Takes labels and predictions first; all other parameters have defaults."""
    try:
        parameters_of(metric.score, given=given_to(metric), without=GIVEN_TO_METRICS)
    except PluginError as error:
        raise AssertionError(str(error)) from error


def keeps_its_bounds(metric: Metric) -> str | None:
    """Gives a number within its bounds, or a value for each row, at least of two classes."""
    for skill in (0.0, 0.5, 1.0):
        _value(metric, *_made(2, skill))
    _, fault = _tried(metric, *_made(3, 0.5))
    return f"of three classes: {fault}" if fault else None


def prefers_right_to_wrong(metric: Metric) -> None:
    """Scores right predictions better than wrong ones, in the direction that it declares."""
    told = ""
    for K in (2, 3):
        y, right = _made(K, 1.0)
        (better, fault), (worse, _) = (
            _tried(metric, y, P) for P in (right, np.roll(right, 1, axis=1))
        )
        if (better > worse) if metric.greater_is_better else (better < worse):
            return
        told = told or fault or f"right predictions score {better:g}, wrong ones {worse:g}"
    raise AssertionError(told)


def does_not_depend_on_the_order_of_rows(metric: Metric) -> None:
    """Gives the same for the same rows in another order."""
    y, P = _made(2, 0.5)
    order = np.random.default_rng(1).permutation(len(y))
    _require_close(_value(metric, y[order], P[order]), _value(metric, y, P), "another order")


def leaves_its_input_alone(metric: Metric) -> None:
    """Does not write to labels or probabilities."""
    y, P = _made(2, 0.5)
    given_y, given_P = y.copy(), P.copy()
    second = P.argmax(axis=1) if metric.of == "labels" else given_P
    kept = second.copy()
    metric.score(given_y, second)
    require(np.array_equal(given_y, y) and np.array_equal(second, kept), "it changes its input")


METRIC_CHECKS = tuple(
    Check.of(function)
    for function in (
        kebab_case_name,
        parameters_have_defaults,
        keeps_its_bounds,
        prefers_right_to_wrong,
        does_not_depend_on_the_order_of_rows,
        leaves_its_input_alone,
    )
)
"""The contract of a metric, one check per requirement."""


def _made(K: int, skill: float) -> tuple[Array, Array]:
    """Labels of 60 rows, and probabilities between noise (skill 0) and certainty (skill 1)."""
    rng = np.random.default_rng(K)
    y = rng.permutation(np.arange(60) % K)
    P = (1 - skill) * rng.dirichlet(np.ones(K), 60) + skill * np.eye(K)[y]
    return y, P


def _value(metric: Metric, y: Array, P: Array) -> float:
    value, fault = _tried(metric, y, P)
    require(not fault, fault)
    return value


def _tried(metric: Metric, y: Array, P: Array) -> tuple[float, str]:
    """The score; or NaN, and why there is none."""
    rows = replace(
        derived(y.astype(np.uint16), P),
        probabilities=P.astype(np.float32),
        class_names=NAMES[: P.shape[1]],
    )
    values = computed(metric, {}, {0: rows})
    return values.scores[0], values.faults.get(0, "")


def _require_close(value: float, expected: float, what: str) -> None:
    require(
        abs(value - expected) <= MOST * max(1.0, abs(expected)),
        f"{what} gives {value:g} instead of {expected:g}",
    )
