"""Run a trial in a process with its model's plugin, and score it in a process without any plugin.

The plugin's process may write anything. So the scoring process, in which no plugin's code has run,
checks the types and bounds of the answer before it scores the predictions.
"""

from __future__ import annotations

import math
import sys
from dataclasses import astuple, replace
from functools import partial
from typing import TYPE_CHECKING, Any, NotRequired, TypedDict

import numpy as np

from harness.contract.values import (
    Failure,
    Memory,
    Predictions,
    Result,
    Seconds,
    Sketch,
    TracePoint,
)
from harness.processes.memory import Level, device_peak, peak_since, pickled_size
from harness.processes.packing import PackingError, pack, unpack
from harness.processes.reading import Mark, noted_in
from harness.processes.serving import Inside
from harness.statistics.rows import derived
from harness.trials.draw import (
    facts_of,
    loaded_since,
    material_of,
    modules_of,
    names_of_split,
    principal_of,
)
from harness.trials.trial import (
    LAST_EPOCH,
    TRACE_POINTS,
    Fitted,
    failure_of,
    fit_alone,
    fit_several,
    scored,
)

KEPT = ("true", "probabilities")
ROWS = ("true", "predicted", "log_probability", "confidence", "brier")
"""Arrays of predictions that are handed on: all others follow from the first two, if kept."""

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from harness.contract.values import SplitKind, Trial
    from harness.trials.draw import JSON

    Arrays = dict[str, NDArray[Any]]


class FitJSON(TypedDict):
    """The JSON part of a fit; `layers` has the numbers of a sketch's axes and hidden layers.

    `memory` has the fields of `Memory`, and `own_at_start` the bytes above which the peak is.
    """

    seconds: tuple[float, ...]
    memory: tuple[float, ...]
    own_at_start: float
    fit_weighted: bool | None
    points: list[tuple[float, ...]]
    last_epoch: int | None
    layers: NotRequired[list[int]]


class ResultJSON(TypedDict):
    """The JSON part of a successful result; `names` and `layers` belong to its sketch."""

    n: list[int | None]
    identifiers: tuple[str, ...]
    drawn: str
    scores: dict[str, float]
    seconds: tuple[float, ...]
    memory: tuple[float, ...]
    own_at_start: float
    fit_weighted: bool | None
    trace: list[tuple[float, ...]]
    classes: Sequence[str]
    names: NotRequired[list[tuple[str, ...]]]
    layers: NotRequired[list[int]]


class FailureJSON(TypedDict):
    """A failed result: the fields of its `Failure`."""

    failure: tuple[str, ...]


REASON, TRACEBACK = 500, 20_000  # characters that are kept
KINDS = ("exception", "exit", "probabilities")
"""Kinds of failures that a trial's process may report."""

LONG = 1e9  # seconds: upper bound of every time that a process reports
LARGE = 2.0**50  # bytes: upper bound of every size that a process reports
SKETCHED = 10_000  # upper bound of every dimension of a picture's arrays, and of their numbers


def run_there(
    inside: Inside, trials: Sequence[Trial], needs_index: int, tells: bool
) -> tuple[JSON, Arrays]:
    """Fit the classifiers of one pairing, and return their predictions.

    Args:
        inside: the process, with a file for each trial's split; it can borrow the test labels.
        trials: repeats of one pairing.
        needs_index: index of the model's needs among those that the splits were prepared for.
        tells: whether to report epochs while fitting.
    """
    begun = Level.now()
    held = inside.held
    n_before = len(sys.modules)
    tell = None
    if tells:

        def tell(point: TracePoint) -> None:
            inside.say(astuple(point))

    try:
        model = held.registry.models[trials[0].model.name].chosen(trials[0].model)
        materials = [
            material_of(file, needs_index, partial(inside.borrow, i))
            for i, file in enumerate(inside.files)
        ]
        if len(trials) == 1:
            alone = fit_alone(trials[0], model, materials[0], tell=tell, imported=held.seconds)
            fitted = {trials[0]: alone}
        else:
            fitted = fit_several(trials, model, materials, tell=tell, imported=held.seconds)
        # Before anything is pickled, which takes memory itself.
        peak, on_device = peak_since(begun), device_peak()
        fits = []
        arrays: Arrays = {}
        for i, trial in enumerate(trials):
            memory = Memory(peak, on_device, pickled_size(fitted[trial].classifier))
            fit = replace(fitted[trial], memory=memory)
            fits.append(_fit_json(fit, arrays, f"{i}_", math.nan if begun is None else begun.own))
    except BaseException as error:  # noqa: BLE001  # SystemExit and KeyboardInterrupt are the model's here
        failure = failure_of(error)
        details = [failure.kind, failure.reason[:REASON], failure.traceback[-TRACEBACK:]]
        return {"failure": details}, {}
    return {"trials": fits, "loaded": loaded_since(n_before), "read": held.read.noted()}, arrays


def _fit_json(fitted: Fitted, arrays: Arrays, prefix: str, own_at_start: float) -> FitJSON:
    """A fit as JSON; its arrays are added to `arrays`, with the prefix before their names."""
    arrays[f"{prefix}test"], arrays[f"{prefix}train"] = fitted.test, fitted.train
    fit_json: FitJSON = {
        "seconds": astuple(fitted.seconds),
        "memory": astuple(fitted.memory),
        "own_at_start": own_at_start,
        "fit_weighted": fitted.fit_weighted,
        "points": [astuple(point) for point in fitted.points],
        "last_epoch": fitted.last_epoch,
    }
    if (sketch := fitted.sketch) is not None:
        fit_json["layers"] = _put_sketch(sketch, arrays, prefix)
    return fit_json


def _put_sketch(sketch: Sketch, arrays: Arrays, prefix: str) -> list[int]:
    """Add a sketch without its names to `arrays`; return the numbers of its axes and layers."""
    arrays |= {f"{prefix}points": sketch.points, f"{prefix}rows": sketch.rows}
    arrays |= {f"{prefix}axis_{i}": axis for i, axis in enumerate(sketch.axes)}
    arrays |= {f"{prefix}hidden_{i}": layer for i, layer in enumerate(sketch.hidden)}
    if sketch.probabilities is not None:
        arrays[f"{prefix}probabilities"] = sketch.probabilities
    return [len(sketch.axes), len(sketch.hidden)]


def score_into(
    _: None, files: Sequence[int], trials: Sequence[Trial], needs_index: int, kind: SplitKind
) -> None:
    """Write the answer of `score_there` to the first file; the other files are its input."""
    answer, *inputs = files
    pack(answer, *score_there(Inside(None, tuple(inputs)), trials, needs_index, kind))


def score_there(
    inside: Inside, trials: Sequence[Trial], needs_index: int, kind: SplitKind
) -> tuple[JSON, Arrays]:
    """Check and score the predictions that `run_there` wrote.

    Args:
        inside: the process; its files are the answer of `run_there`, the splits, and their labels.
        trials: the trials of that answer.
        needs_index: index of the model's needs among those that the splits were prepared for.
        kind: kind of the dataset's splits.
    """
    answer, *files = inside.files
    splits, labels = files[: len(trials)], files[len(trials) :]
    arrays: Arrays = {}
    try:
        reported, reported_arrays = unpack(answer)
        if "failure" in reported:
            name, reason, traceback = (str(word) for word in reported["failure"])
            kind_of_failure = name if name in KINDS else "exception"
            failure = Failure(kind_of_failure, reason[:REASON], traceback[-TRACEBACK:])
            return {"results": [_failed(failure)] * len(trials)}, {}
        fits = [_fitted(fit, reported_arrays, f"{i}_") for i, fit in enumerate(reported["trials"])]
        if len(fits) != len(trials):
            raise ValueError(f"{len(fits)} answers for {len(trials)} trials")
    except PackingError as error:
        failed = _failed(Failure("exception", str(error)))
        return {"results": [failed] * len(trials)}, {}
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError) as error:
        reason = f"its process sent an invalid message: {error}"[:REASON]
        failed = _failed(Failure("exception", reason))
        return {"results": [failed] * len(trials)}, {}
    results: list[ResultJSON | FailureJSON] = []
    for i, (trial, fitted) in enumerate(zip(trials, fits, strict=True)):
        try:
            facts = facts_of(splits[i], needs_index, labels[i])
            result = scored(trial, fitted, facts, kind)
            if trial.repeat == 0:
                names = names_of_split(splits[i])
                sketch = _named(fitted.sketch, names, facts.n_classes) or principal_of(splits[i])
                result = replace(result, sketch=sketch)
        except Exception as error:  # noqa: BLE001  # a plugin's numbers can break any computation
            failure = replace(failure_of(error), traceback="")
            results.append(_failed(failure))
        else:
            own_at_start = _bytes(reported["trials"][i]["own_at_start"])
            results.append(_written(result, arrays, f"{i}_", own_at_start))
    told = {"loaded": modules_of(reported), "read": noted_in(reported)}
    return {"results": results, **told}, arrays


def _fitted(fit_json: Any, arrays: Arrays, prefix: str) -> Fitted:
    """The fit that a trial's process reported, once its types and bounds are checked."""
    *seconds, together = fit_json["seconds"]
    imports, make, fit, first, later = (_number(value, 0.0, LONG) for value in seconds)
    last = fit_json["last_epoch"]
    points = tuple(point_of(*point) for point in fit_json["points"])
    if len(points) > TRACE_POINTS:
        raise ValueError(f"{len(points)} reports of epochs, which are too many")
    return Fitted(
        arrays[f"{prefix}test"],
        arrays[f"{prefix}train"],
        Seconds(imports, make, fit, first, later, int(_number(together, 1, LAST_EPOCH))),
        points,
        None if last is None else int(_number(last, 0, LAST_EPOCH)),
        _sketch(fit_json["layers"], arrays, prefix) if "layers" in fit_json else None,
        memory=Memory(*map(_bytes, fit_json["memory"])),
        fit_weighted=_truth(fit_json["fit_weighted"]),
    )


def point_of(epoch: Any, train: Any, test: Any) -> TracePoint:
    """A point of a trace that a plugin's process reported, once it is checked.

    Raises:
        ValueError: a likelihood is neither from 0 to 1 nor NaN, or the epoch is no epoch.
    """
    for likelihood in (train, test):
        if not isinstance(likelihood, float) or not (
            likelihood != likelihood or 0 <= likelihood <= 1
        ):
            raise ValueError(f"{likelihood!r:.40} is not a likelihood, a number from 0 to 1")
    return TracePoint(int(_number(epoch, 0, LAST_EPOCH)), train, test)


def _number(value: Any, least: float, most: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        raise ValueError(f"expected a number from {least:g} to {most:g}, got {value!r:.40}")
    return value


def _truth(value: Any) -> bool | None:
    if value is not None and not isinstance(value, bool):
        raise ValueError(f"expected true, false or null, got {value!r:.40}")
    return value


def _bytes(value: Any) -> float:
    """A size that a process reported, or NaN if it does not know it."""
    unknown = isinstance(value, float) and math.isnan(value)
    return math.nan if unknown else _number(value, 0.0, LARGE)


def _sketch(layers: Any, arrays: Arrays, prefix: str) -> Sketch:
    n_axes, n_hidden = (int(_number(n, 0, SKETCHED)) for n in layers)
    return Sketch(
        (),
        (),
        arrays[f"{prefix}points"],
        arrays[f"{prefix}rows"],
        tuple(arrays[f"{prefix}axis_{i}"] for i in range(n_axes)),
        arrays.get(f"{prefix}probabilities"),
        tuple(arrays[f"{prefix}hidden_{i}"] for i in range(n_hidden)),
    )


def _named(
    sketch: Sketch | None, names: tuple[tuple[str, ...], tuple[str, ...]], n_classes: int
) -> Sketch | None:
    """A trial's picture with its names added; None if its arrays do not fit the split."""
    if sketch is None:
        return None
    floats = [sketch.points, *sketch.axes, *sketch.hidden]
    if sketch.probabilities is not None:
        floats.append(sketch.probabilities)
        if sketch.probabilities.shape[1:] != (n_classes,):
            return None
    fits = all(array.dtype == np.float32 and max(array.shape) <= SKETCHED for array in floats)
    fits = fits and sketch.rows.dtype == np.int64 and sketch.points.shape[:1] == sketch.rows.shape
    fits = fits and sketch.points.shape[1:] == (len(names[1]),)
    return replace(sketch, class_names=names[0], input_names=names[1]) if fits else None


def _failed(failure: Failure) -> FailureJSON:
    return {"failure": astuple(failure)}


def _written(result: Result, arrays: Arrays, prefix: str, own_at_start: float) -> ResultJSON:
    """A successful result as JSON; its arrays are added to `arrays`."""
    predictions = result.predictions
    assert predictions is not None
    assert result.seconds is not None
    for name in ROWS if predictions.probabilities is None else KEPT:
        arrays[f"{prefix}{name}"] = getattr(predictions, name)
    if predictions.weights is not None:
        arrays[f"{prefix}weights"] = predictions.weights
    result_json: ResultJSON = {
        "n": [result.n_train, result.n_test, result.n_repeated],
        "identifiers": result.identifiers,
        "drawn": result.drawn,
        "scores": dict(result.scores),
        "seconds": astuple(result.seconds),
        "memory": astuple(result.memory),
        "own_at_start": own_at_start,
        "fit_weighted": result.fit_weighted,
        "trace": [astuple(point) for point in result.trace],
        "classes": predictions.class_names,
    }
    if (sketch := result.sketch) is not None:
        result_json["names"] = [sketch.class_names, sketch.input_names]
        result_json["layers"] = _put_sketch(sketch, arrays, f"{prefix}sketch_")
    return result_json


def results_of(
    file: int, trials: Sequence[Trial], kind: SplitKind, most_memory: float = 0.0
) -> tuple[list[Result], list[str], dict[str, Mark]]:
    """The results that `score_there` wrote; and what the trial's process has loaded and read.

    Args:
        file: descriptor of the answer of `score_there`.
        trials: the trials of that answer.
        kind: kind of the dataset's splits.
        most_memory: bytes that the trials' process took with those that it started; 0 if it
            started none.

    Returns:
        The results, the names of loaded modules, and what was read.

    Raises:
        PackingError: the scoring process did not finish the file.
    """
    answer, mapped = unpack(file)
    # Copied, because mapped arrays keep a descriptor open, and a process may have about a thousand.
    arrays = {name: array.copy() for name, array in mapped.items()}
    results = []
    for i, (trial, result_json) in enumerate(zip(trials, answer["results"], strict=True)):
        if "failure" in result_json:
            failure = Failure(*result_json["failure"])
            results.append(Result(trial, "failed", split_kind=kind, failure=failure))
            continue
        prefix = f"{i}_"
        n_train, n_test, n_repeated = result_json["n"]
        memory = Memory(*result_json["memory"])
        above = most_memory - result_json["own_at_start"]
        if above > memory.peak:
            memory = replace(memory, peak=above)
        sketch = None
        if "layers" in result_json:
            bare = _sketch(result_json["layers"], arrays, f"{prefix}sketch_")
            classes, inputs = (tuple(names) for names in result_json["names"])
            sketch = replace(bare, class_names=classes, input_names=inputs)
        results.append(
            Result(
                trial,
                "ok",
                split_kind=kind,
                n_train=n_train,
                n_test=n_test,
                n_repeated=n_repeated,
                identifiers=tuple(result_json["identifiers"]),
                drawn=result_json["drawn"],
                scores=result_json["scores"],
                seconds=Seconds(*result_json["seconds"]),
                memory=memory,
                fit_weighted=result_json["fit_weighted"],
                trace=tuple(TracePoint(*point) for point in result_json["trace"]),
                predictions=_predictions(result_json["classes"], arrays, prefix),
                sketch=sketch,
            )
        )
    return results, modules_of(answer), noted_in(answer)


def _predictions(class_names: Sequence[str], arrays: Arrays, prefix: str) -> Predictions:
    probabilities, weights = (arrays.get(f"{prefix}{n}") for n in ("probabilities", "weights"))
    if probabilities is None:
        true, predicted, log_probability, confidence, brier = (
            arrays[f"{prefix}{name}"] for name in ROWS
        )
        return Predictions(true, predicted, log_probability, confidence, brier, weights=weights)
    return replace(
        derived(arrays[f"{prefix}true"], probabilities),
        probabilities=probabilities,
        class_names=tuple(class_names),
        weights=weights,
    )
