"""Computes metrics of stored predictions, in a process that has loaded the metric's plugin."""

from __future__ import annotations

import inspect
import tempfile
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.contract.values import GIVEN_TO_METRICS
from harness.errors import HarnessError, describe
from harness.processes.client import Limits
from harness.processes.packing import PackingError, pack, unpack
from harness.statistics.rows import linearised
from harness.trials.discovery import Described

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from numpy.typing import NDArray

    from harness.contract.registry import Registry
    from harness.contract.values import Choice, Metric, Predictions
    from harness.processes.serving import Inside

    Floats = NDArray[np.float64]
    Arrays = dict[str, NDArray[Any]]

SECONDS = 600.0
"""Time limit of a metric for one part of a run's results, in seconds."""

PART = 128 * 1024 * 1024
"""Bytes of probabilities that are handed to a metric's process at once."""

REASON = 300
"""Most characters of a reason."""

LOST = "it needs the probabilities of all rows, which the store does not have"


@dataclass(slots=True)
class Values:
    """A metric of some results.

    Args:
        scores: the score by result id; NaN where it is not defined or failed.
        rows: values (n_test,) of the rows, for the results that have them.
        faults: why a score is missing, by result id.
    """

    scores: dict[int, float] = field(default_factory=dict)
    rows: dict[int, Floats] = field(default_factory=dict)
    faults: dict[int, str] = field(default_factory=dict)

    def joined(self, other: Values) -> Values:
        """The values of these results and of others."""
        return Values(
            self.scores | other.scores, self.rows | other.rows, self.faults | other.faults
        )

    def of(self, ids: Iterable[int]) -> Values:
        """The values of some results only."""
        wanted = set(ids)
        return Values(
            {i: score for i, score in self.scores.items() if i in wanted},
            {i: rows for i, rows in self.rows.items() if i in wanted},
            {i: fault for i, fault in self.faults.items() if i in wanted},
        )


def values_of(
    registry: Registry, choice: Choice, predicted: Iterable[tuple[int, Predictions]]
) -> Values:
    """Compute a metric of results.

    Whatever the metric does, the answer has a score or a fault for each result.

    Args:
        registry: has the metric; with one made by `harness.trials.discovery.discover`, the metric
            runs in a process of its plugin.
        choice: the metric and its parameters.
        predicted: ids of results with their predictions.
    """
    values = Values()
    for part in _parts(predicted):
        answer = _elsewhere(registry, choice, part) if isinstance(registry, Described) else None
        if answer is None:
            answer = computed(registry.metrics[choice.name], dict(choice.parameters), part)
        values.scores |= answer.scores
        values.rows |= answer.rows
        values.faults |= answer.faults
    return values


def _parts(predicted: Iterable[tuple[int, Predictions]]) -> Iterator[dict[int, Predictions]]:
    part: dict[int, Predictions] = {}
    size = 0
    for result_id, rows in predicted:
        part[result_id] = rows
        size += 8 * len(rows.true) if rows.probabilities is None else rows.probabilities.nbytes
        if size > PART:
            yield part
            part, size = {}, 0
    if part:
        yield part


def _elsewhere(registry: Described, choice: Choice, part: Mapping[int, Predictions]) -> Values:
    arrays: Arrays = {}
    names: dict[str, tuple[str, ...]] = {}
    for result_id, rows in part.items():
        arrays[f"{result_id}_true"] = rows.true
        names[str(result_id)] = rows.class_names
        if rows.weights is not None:
            arrays[f"{result_id}_weights"] = rows.weights
        if rows.probabilities is None:
            arrays[f"{result_id}_predicted"] = rows.predicted
        else:
            arrays[f"{result_id}_P"] = rows.probabilities
    with tempfile.TemporaryFile() as file:
        pack(file.fileno(), names, arrays)
        with registry.answered(
            "metrics",
            choice.name,
            compute_there,
            choice,
            files=[file.fileno()],
            limits=Limits(SECONDS),
        ) as call:
            failure = call.failure
            if failure is None:
                try:
                    return _checked(*unpack(call.answer), part)
                except (PackingError, ValueError, TypeError, KeyError, AttributeError) as error:
                    reason = f"its process sent an invalid message: {error}"
            else:
                reason = failure.reason
    faults = dict.fromkeys(part, reason[:REASON])
    return Values(dict.fromkeys(part, np.nan), {}, faults)


def _checked(answer: Any, arrays: Arrays, part: Mapping[int, Predictions]) -> Values:
    """What the metric's process answered, once its types and bounds are checked."""
    values = Values()
    for result_id, rows in part.items():
        key = str(result_id)
        values.scores[result_id] = float(answer["scores"][key])
        if key in answer["faults"]:
            values.faults[result_id] = str(answer["faults"][key])[:REASON]
        if (of_rows := arrays.get(f"{key}_rows")) is not None:
            if of_rows.shape != rows.true.shape or of_rows.dtype != np.float64:
                raise ValueError(f"values of rows of shape {of_rows.shape}")
            values.rows[result_id] = of_rows.copy()
    return values


def compute_there(inside: Inside, choice: Choice) -> tuple[Any, Arrays]:
    """Compute a metric; called in a process that has loaded its plugin.

    Args:
        inside: the process; its one file has the predictions.
        choice: the metric and its parameters.
    """
    names, given = unpack(inside.files[0])
    rows_by_id = {
        int(key): _Rows(
            given[f"{key}_true"],
            given.get(f"{key}_predicted"),
            given.get(f"{key}_P"),
            tuple(class_names),
            given.get(f"{key}_weights"),
        )
        for key, class_names in names.items()
    }
    metric = inside.held.registry.metrics[choice.name]
    values = computed(metric, dict(choice.parameters), rows_by_id)
    answer = {
        "scores": {str(i): float(score) for i, score in values.scores.items()},
        "faults": {str(i): fault for i, fault in values.faults.items()},
    }
    return answer, {f"{i}_rows": rows for i, rows in values.rows.items()}


@dataclass(frozen=True, slots=True, eq=False)
class _Rows:
    """Predictions as they reach a metric's process."""

    true: NDArray[Any]
    predicted: NDArray[Any] | None
    probabilities: NDArray[Any] | None
    class_names: tuple[str, ...]
    weights: NDArray[Any] | None


def computed(
    metric: Metric, parameters: dict[str, Any], part: Mapping[int, Predictions | _Rows]
) -> Values:
    """Compute a metric in this process."""
    values = Values()
    extras: tuple[str, ...] = ()
    fault = ""
    try:
        extras = tuple(set(GIVEN_TO_METRICS) & inspect.signature(metric.score).parameters.keys())
    except (TypeError, ValueError) as error:
        fault = describe(error)
    for result_id, rows in part.items():
        values.scores[result_id] = np.nan
        try:
            if fault:
                raise HarnessError(fault)
            score, of_rows = _scored(metric, parameters, extras, rows)
        except HarnessError as error:
            values.faults[result_id] = str(error)[:REASON]
        except (Exception, SystemExit) as error:  # noqa: BLE001  # a plugin may raise anything
            values.faults[result_id] = describe(error)[:REASON]
        else:
            values.scores[result_id] = score
            if of_rows is not None:
                values.rows[result_id] = of_rows
    return values


def _scored(
    metric: Metric, parameters: dict[str, Any], extras: tuple[str, ...], rows: Predictions | _Rows
) -> tuple[float, Floats | None]:
    """The score, and the values of the rows if the metric has them."""
    n = len(rows.true)
    y = rows.true.astype(np.int64)
    if metric.of == "labels":
        predicted = rows.predicted
        if predicted is None:
            assert rows.probabilities is not None  # either of them is stored
            predicted = rows.probabilities.argmax(axis=1)
        second: NDArray[Any] = predicted.astype(np.int64)
    elif rows.probabilities is None:
        raise HarnessError(LOST)
    else:
        second = rows.probabilities.astype(np.float64)
        second /= second.sum(axis=1, keepdims=True)
    weights = None if rows.weights is None else rows.weights.astype(np.float64)
    offered = {"sample_weight": weights, "class_names": rows.class_names}
    answer = metric.score(y, second, **parameters, **{name: offered[name] for name in extras})
    if answer is None:
        raise HarnessError("gave None; it has to return a number, or a value for each row")
    values = np.asarray(answer, dtype=np.float64)
    if values.ndim and values.shape != (n,):
        raise HarnessError(f"gave an array of shape {values.shape} for {n} rows")
    if np.isnan(values).any():
        told = f"NaN for {np.isnan(values).sum()} of {n} rows" if values.ndim else "NaN"
        raise HarnessError(f"gave {told}: it is not defined for these rows")
    if values.ndim:
        values = linearised(values, weights)
    elif weights is not None and "sample_weight" not in extras:
        raise HarnessError("takes no sample_weight, but the test rows have weights")
    mean = float(values.mean())
    slack = 1e-9 * max(1.0, abs(metric.low) if np.isfinite(metric.low) else 1.0)
    if not metric.low - slack <= mean <= metric.high + slack:
        raise HarnessError(f"gave {mean:g}, outside of {metric.low:g} to {metric.high:g}")
    return min(max(mean, metric.low), metric.high), values if values.ndim else None
