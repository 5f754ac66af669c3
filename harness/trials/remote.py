"""Run a trial in a process with its model's plugin, and score it in a process without any plugin.

The plugin's process may write anything. So the scoring process, in which no plugin's code has run,
checks the types and bounds of the answer before it scores the predictions.
"""

from __future__ import annotations

import sys
from dataclasses import astuple, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.contract.values import (
    Failure,
    Predictions,
    Result,
    Seconds,
    Sketch,
    TracePoint,
)
from harness.processes.packing import PackingError, pack, unpack
from harness.processes.serving import Inside
from harness.trials.draw import (
    facts_of,
    loaded_since,
    material_of,
    modules_of,
    names_of,
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

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from harness.contract.values import SplitKind, Trial

    Arrays = dict[str, NDArray[Any]]

REASON, TRACEBACK = 500, 20_000  # characters that are kept
KINDS = ("exception", "exit", "probabilities")
"""Kinds of failures that a trial's process may report."""

LONG = 1e9  # seconds: upper bound of every time that a process reports
SKETCHED = 10_000  # upper bound of every dimension of a picture's arrays, and of their numbers


def run_there(
    inside: Inside, trials: Sequence[Trial], place: int, tells: bool
) -> tuple[dict[str, Any], Arrays]:
    """Fit the classifiers of one pairing, and return their predictions.

    Args:
        inside: the process, with a file for each trial's split; it can borrow the test labels.
        trials: repeats of one pairing.
        place: index of the model's needs among those that the splits were prepared for.
        tells: whether to report epochs while fitting.
    """
    held = inside.held
    before = set(sys.modules)
    tell = None
    if tells:

        def tell(point: TracePoint) -> None:
            inside.say(astuple(point))

    try:
        model = held.registry.models[trials[0].model.name]
        materials = [
            material_of(file, place, partial(inside.borrow, i))
            for i, file in enumerate(inside.files)
        ]
        if len(trials) == 1:
            only = fit_alone(trials[0], model, materials[0], tell=tell, imported=held.seconds)
            fitted = {trials[0]: only}
        else:
            fitted = fit_several(trials, model, materials, tell=tell, imported=held.seconds)
        told = []
        arrays: Arrays = {}
        for i, trial in enumerate(trials):
            told.append(_told(fitted[trial], arrays, f"{i}_"))
    except BaseException as error:  # noqa: BLE001  # SystemExit and KeyboardInterrupt are the model's here
        failure = failure_of(error)
        words = [failure.kind, failure.reason[:REASON], failure.traceback[-TRACEBACK:]]
        return {"failure": words}, {}
    return {"trials": told, "loaded": loaded_since(before)}, arrays


def _told(fitted: Fitted, arrays: Arrays, prefix: str) -> dict[str, Any]:
    """A fit as JSON; its arrays are added to `arrays`, with the prefix before their names."""
    arrays[f"{prefix}test"], arrays[f"{prefix}train"] = fitted.test, fitted.train
    told: dict[str, Any] = {
        "seconds": astuple(fitted.seconds),
        "points": [astuple(point) for point in fitted.points],
        "last_epoch": fitted.last_epoch,
    }
    if (sketch := fitted.sketch) is not None:
        told["layers"] = _put_sketch(sketch, arrays, prefix)
    return told


def _put_sketch(sketch: Sketch, arrays: Arrays, prefix: str) -> list[int]:
    """Add a sketch without its names to `arrays`; return the numbers of its axes and layers."""
    arrays |= {f"{prefix}points": sketch.points, f"{prefix}rows": sketch.rows}
    arrays |= {f"{prefix}axis_{i}": axis for i, axis in enumerate(sketch.axes)}
    arrays |= {f"{prefix}hidden_{i}": layer for i, layer in enumerate(sketch.hidden)}
    if sketch.probabilities is not None:
        arrays[f"{prefix}probabilities"] = sketch.probabilities
    return [len(sketch.axes), len(sketch.hidden)]


def score_into(
    _: None, files: Sequence[int], trials: Sequence[Trial], place: int, kind: SplitKind
) -> None:
    """Write the answer of `score_there` to the first file; the other files are its input."""
    answer, *others = files
    pack(answer, *score_there(Inside(None, tuple(others)), trials, place, kind))


def score_there(
    inside: Inside, trials: Sequence[Trial], place: int, kind: SplitKind
) -> tuple[dict[str, Any], Arrays]:
    """Check and score the predictions that `run_there` wrote.

    Args:
        inside: the process; its files are the answer of `run_there`, the splits, and their labels.
        trials: the trials of that answer.
        place: index of the model's needs among those that the splits were prepared for.
        kind: kind of the dataset's splits.
    """
    answer, *files = inside.files
    splits, labels = files[: len(trials)], files[len(trials) :]
    arrays: Arrays = {}
    try:
        told, given = unpack(answer)
        if "failure" in told:
            name, reason, traceback = (str(word) for word in told["failure"])
            kind_of_failure = name if name in KINDS else "exception"
            failure = Failure(kind_of_failure, reason[:REASON], traceback[-TRACEBACK:])
            return {"results": [_failed(failure)] * len(trials)}, {}
        found = [_fitted(one, given, f"{i}_") for i, one in enumerate(told["trials"])]
        if len(found) != len(trials):
            raise ValueError(f"{len(found)} answers for {len(trials)} trials")
    except PackingError as error:
        failed = _failed(Failure("exception", str(error)))
        return {"results": [failed] * len(trials)}, {}
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError) as error:
        reason = f"its process gave an answer that does not fit: {error}"[:REASON]
        failed = _failed(Failure("exception", reason))
        return {"results": [failed] * len(trials)}, {}
    results = []
    for i, (trial, fitted) in enumerate(zip(trials, found, strict=True)):
        try:
            facts = facts_of(splits[i], place, labels[i])
            result = scored(trial, fitted, facts, kind)
            if trial.repeat == 0:
                names = names_of(splits[i])
                sketch = _named(fitted.sketch, names, facts.n_classes) or principal_of(splits[i])
                result = replace(result, sketch=sketch)
        except Exception as error:  # noqa: BLE001  # a plugin's numbers can break any computation
            failure = replace(failure_of(error), traceback="")
            results.append(_failed(failure))
        else:
            results.append(_written(result, arrays, f"{i}_"))
    return {"results": results, "loaded": modules_of(told)}, arrays


def _fitted(told: Any, arrays: Arrays, prefix: str) -> Fitted:
    """The fit that a trial's process reported, once its types and bounds are checked."""
    *seconds, together = told["seconds"]
    imports, make, fit, first, later = (_number(value, 0.0, LONG) for value in seconds)
    last = told["last_epoch"]
    points = tuple(point_of(*point) for point in told["points"])
    if len(points) > TRACE_POINTS:
        raise ValueError(f"{len(points)} points of a trace")
    return Fitted(
        arrays[f"{prefix}test"],
        arrays[f"{prefix}train"],
        Seconds(imports, make, fit, first, later, int(_number(together, 1, LAST_EPOCH))),
        points,
        None if last is None else int(_number(last, 0, LAST_EPOCH)),
        _sketch(told["layers"], arrays, prefix) if "layers" in told else None,
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
            raise ValueError(f"{likelihood!r:.40} is not a likelihood")
    return TracePoint(int(_number(epoch, 0, LAST_EPOCH)), train, test)


def _number(value: Any, least: float, most: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        raise ValueError(f"expected a number from {least:g} to {most:g}, got {value!r:.40}")
    return value


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
    fits = all(one.dtype == np.float32 and max(one.shape) <= SKETCHED for one in floats)
    fits = fits and sketch.rows.dtype == np.int64 and sketch.points.shape[:1] == sketch.rows.shape
    fits = fits and sketch.points.shape[1:] == (len(names[1]),)
    return replace(sketch, class_names=names[0], input_names=names[1]) if fits else None


def _failed(failure: Failure) -> dict[str, Any]:
    return {"failure": astuple(failure)}


def _written(result: Result, arrays: Arrays, prefix: str) -> dict[str, Any]:
    """A successful result as JSON; its arrays are added to `arrays`."""
    predictions = result.predictions
    assert predictions is not None
    assert result.seconds is not None
    for name in Predictions.__dataclass_fields__:
        arrays[f"{prefix}{name}"] = getattr(predictions, name)
    told: dict[str, Any] = {
        "n": [result.n_train, result.n_test, result.n_repeated],
        "identifiers": result.identifiers,
        "scores": dict(result.scores),
        "seconds": astuple(result.seconds),
        "trace": [astuple(point) for point in result.trace],
    }
    if (sketch := result.sketch) is not None:
        told["names"] = [sketch.class_names, sketch.input_names]
        told["layers"] = _put_sketch(sketch, arrays, f"{prefix}sketch_")
    return told


def results_of(
    file: int, trials: Sequence[Trial], kind: SplitKind
) -> tuple[list[Result], list[str]]:
    """The results that `score_there` wrote, and the modules that the trial's process has loaded.

    Raises:
        PackingError: the scoring process did not finish the file.
    """
    told, mapped = unpack(file)
    # Copied, because mapped arrays keep a descriptor open, and a process may have about a thousand.
    arrays = {name: array.copy() for name, array in mapped.items()}
    found = []
    for i, (trial, one) in enumerate(zip(trials, told["results"], strict=True)):
        if "failure" in one:
            failure = Failure(*one["failure"])
            found.append(Result(trial, "failed", split_kind=kind, failure=failure))
            continue
        prefix = f"{i}_"
        n_train, n_test, n_repeated = one["n"]
        sketch = None
        if "layers" in one:
            bare = _sketch(one["layers"], arrays, f"{prefix}sketch_")
            classes, inputs = (tuple(names) for names in one["names"])
            sketch = replace(bare, class_names=classes, input_names=inputs)
        found.append(
            Result(
                trial,
                "ok",
                split_kind=kind,
                n_train=n_train,
                n_test=n_test,
                n_repeated=n_repeated,
                identifiers=tuple(one["identifiers"]),
                scores=one["scores"],
                seconds=Seconds(*one["seconds"]),
                trace=tuple(TracePoint(*point) for point in one["trace"]),
                predictions=Predictions(
                    **{name: arrays[f"{prefix}{name}"] for name in Predictions.__dataclass_fields__}
                ),
                sketch=sketch,
            )
        )
    return found, modules_of(told)
