"""One trial becomes a result: split, prepare, make, fit, predict, score."""

from __future__ import annotations

import importlib
import inspect
import math
import operator
import random
import sys
import time
import traceback
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np

from harness import preload, scoring
from harness.errors import DatasetError, HarnessError, ProbabilityError
from harness.parameters import parameters_of
from harness.preparation import encode, prepare
from harness.registry import describe
from harness.sketches import sketch
from harness.values import TRAIN_SIZE, Failure, Result, Seconds, Setting, TracePoint

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from harness.preparation import Encoded, Prepared
    from harness.registry import Registry
    from harness.values import (
        Array,
        Classifier,
        Dataset,
        Model,
        Needs,
        PredictLogProba,
        Sketch,
        Trial,
    )

    Clock = Callable[[], float]
    Tell = Callable[[TracePoint], None]

TRACE_POINTS = 200
LAST_EPOCH = 2**31 - 1  # what an integer column of any database holds
TELL_EVERY = 0.05  # seconds: as often as an eye can follow
PREDICT_CALLS = 5
PREDICT_BUDGET = 0.05  # seconds: a slow predict_proba is not called again for a better figure


def run_trial(
    trial: Trial,
    registry: Registry,
    *,
    clock: Clock = time.perf_counter,
    on_failure: Callable[[BaseException], None] = lambda _: None,
    tell: Tell | None = None,
) -> Result:
    """Run one trial here and now; whatever the plugins raise becomes a failed result.

    Args:
        trial: what to run.
        registry: what it names.
        clock: seconds, ever growing.
        on_failure: given the exception first; a debugger, say.
        tell: given points of the trace as they come, not all of them.
    """
    dataset = registry.datasets[trial.dataset.name]
    try:
        return _run(trial, dataset, registry.models[trial.model.name], clock, tell)
    except BaseException as error:  # noqa: BLE001  # SystemExit and KeyboardInterrupt are the model's here
        on_failure(error)
        return Result(
            trial,
            "failed",
            split_kind=dataset.kind,
            failure=Failure(_kind(error), _reason(error), _traceback(error)),
        )


def run_together(
    trials: Sequence[Trial],
    registry: Registry,
    *,
    clock: Clock = time.perf_counter,
    tell: Tell | None = None,
) -> list[Result]:
    """Repeats of one pairing, those of one shape trained in one go.

    Every result is what `run_trial` would give; ``fit`` seconds are an equal share.

    Args:
        trials: that differ in their repeat only, of a model that offers ``fit_together``.
        registry: what they name.
        clock: seconds, ever growing.
        tell: given points of the first one's trace as they come.

    Raises:
        BaseException: whatever comes up in any of them; then none has a result.
    """
    dataset = registry.datasets[trials[0].dataset.name]
    model = registry.models[trials[0].model.name]
    groups: dict[tuple[object, ...], list[_Begun]] = {}
    tells = dict.fromkeys(trials) | {trials[0]: tell}
    for trial in trials:
        begun = _begin(trial, dataset, model, clock, tells[trial])
        shape = (*begun.prepared.X_train.shape, len(begun.data.trained), begun.prepared.categorical)
        groups.setdefault(shape, []).append(begun)
    results = []
    for group in groups.values():
        if model.fit_together is None or len(group) == 1:
            results += [
                _run(begun.trial, dataset, model, clock, tells[begun.trial]) for begun in group
            ]
            continue
        started = clock()
        model.fit_together(
            [begun.classifier for begun in group],
            [begun.prepared.X_train for begun in group],
            [begun.prepared.y_train for begun in group],
            [begun.monitor for begun in group],
        )
        seconds = clock() - started - math.fsum(begun.monitor.seconds for begun in group)
        results += [_finish(begun, seconds / len(group), len(group), clock) for begun in group]
    return results


class EpochScores:
    """What a model calls after each epoch; scores a thinned set of them.

    It keeps every call until there are more than `TRACE_POINTS`, then every second one, every
    fourth, and so on: neither the number of epochs nor their stride need be known beforehand.
    Whoever watches is told of them, but not too often.
    """

    def __init__(
        self,
        prepared: Prepared,
        y_test: NDArray[np.intp],
        clock: Clock,
        tell: Tell | None = None,
    ) -> None:
        self._parts = (prepared.X_train, prepared.y_train), (prepared.X_test, y_test)
        self._clock = clock
        self._points: list[TracePoint] = []
        self._stride = 1
        self._calls = 0
        self._last = 0
        self._tell = tell
        self._told = -math.inf
        self.seconds = 0.0

    def __getstate__(self) -> dict[str, Any]:
        """A model may copy what it was given; a copy tells nobody."""
        return self.__dict__ | {"_tell": None}

    def __call__(self, epoch: int, predict_log_proba: PredictLogProba) -> None:
        """Take note of an epoch, counted from 1."""
        last, self._last = self._last, operator.index(epoch)  # a plain int, of whatever kind it was
        if not (last < self._last or not self._calls) or not 0 <= self._last <= LAST_EPOCH:
            raise ValueError(f"monitor was called with epoch {epoch} after epoch {last}")
        self._calls += 1
        # Thinned only now, so that the last call of all finds a place without one to spare.
        if len(self._points) == TRACE_POINTS:
            self._stride *= 2
            self._points = self._points[1::2]
        if self._calls % self._stride:
            return
        started = self._clock()
        train, test = (scoring.likelihood(predict_log_proba(X), y) for X, y in self._parts)
        self._points.append(TracePoint(self._last, train, test))
        if self._tell and started - self._told >= TELL_EVERY:
            self._told = started
            self._tell(self._points[-1])
        self.seconds += self._clock() - started

    def trace(self, train_likelihood: float, test_likelihood: float) -> tuple[TracePoint, ...]:
        """The points, and the last epoch with the finished classifier's likelihoods."""
        if not self._calls:
            return ()
        kept = [point for point in self._points if point.epoch != self._last]
        return (*kept, TracePoint(self._last, train_likelihood, test_likelihood))


def draw(dataset: Dataset, seed: int, parameters: dict[str, Any]) -> Encoded:
    """One split of a dataset, checked and encoded.

    With a ``train_size`` there are no more training rows than that, nested in those of a larger
    one; a row of each class is among them in any case.

    Raises:
        DatasetError: the dataset breaks its contract, or its own code raised.
    """
    own = TRAIN_SIZE in parameters and TRAIN_SIZE in parameters_of(dataset.split)
    size = None if own else parameters.pop(TRAIN_SIZE, None)
    try:
        split = dataset.split(np.random.default_rng(seed), **parameters)
    except HarnessError as error:
        raise DatasetError(f"dataset '{dataset.name}': {error}") from error
    except (Exception, SystemExit) as error:
        raise DatasetError(f"dataset '{dataset.name}': split raised {describe(error)}") from error
    try:
        data = encode(split)
    except DatasetError as error:
        raise DatasetError(f"dataset '{dataset.name}': {error}") from None
    return data if size is None else _part(data, size, seed)


def _part(data: Encoded, size: int, seed: int) -> Encoded:
    order = np.random.default_rng((seed, len(data.y_train))).permutation(len(data.y_train))
    # The first row of each class goes in front: a model cannot learn what it has never seen.
    first = np.sort(np.unique(data.y_train[order], return_index=True)[1])
    order = np.concatenate([order[first], np.delete(order, first)])
    rows = np.sort(order[: max(size, len(first))])
    return data.learning_from(rows)


@dataclass(slots=True)
class _Begun:
    """A trial whose classifier is made and whose data are there."""

    trial: Trial
    dataset: Dataset
    needs: Needs
    data: Encoded
    prepared: Prepared
    y_test: NDArray[np.intp]
    classifier: Classifier
    monitor: EpochScores
    import_seconds: float
    make_seconds: float


def _begin(trial: Trial, dataset: Dataset, model: Model, clock: Clock, tell: Tell | None) -> _Begun:
    import_seconds = _import(model.requires, clock)
    data = draw(dataset, trial.split_seed, dict(trial.dataset.parameters))
    prepared = prepare(data, model.needs)
    # A model that draws from a global generator, against the contract, is repeatable all the same.
    seed_globals(trial.model_seed)
    started = clock()
    classifier = model.make(setting_of(trial, data, prepared), **dict(trial.model.parameters))
    make_seconds = clock() - started
    for method in ("fit", "predict_proba"):
        if not callable(getattr(classifier, method, None)):
            raise TypeError(f"'{model.name}' made a {type(classifier).__name__} without {method}")
    y_test = np.searchsorted(data.trained, data.y_test)  # every class of the test part was trained
    return _Begun(
        trial,
        dataset,
        model.needs,
        data,
        prepared,
        y_test,
        classifier,
        EpochScores(prepared, y_test, clock, tell),
        import_seconds,
        make_seconds,
    )


def setting_of(trial: Trial, data: Encoded, prepared: Prepared) -> Setting:
    """All that a trial's model may know before it sees data."""
    return Setting(
        seed=trial.model_seed,
        device=trial.device,
        n_features=prepared.X_train.shape[1],
        n_classes=len(data.trained),
        categorical=prepared.categorical,
    )


def _run(
    trial: Trial, dataset: Dataset, model: Model, clock: Clock, tell: Tell | None = None
) -> Result:
    begun = _begin(trial, dataset, model, clock, tell)
    keywords = {"monitor": begun.monitor} if takes_monitor(begun.classifier) else {}
    started = clock()
    begun.classifier.fit(begun.prepared.X_train, begun.prepared.y_train, **keywords)
    fit_seconds = clock() - started - begun.monitor.seconds
    return _finish(begun, fit_seconds, 1, clock)


def _finish(begun: _Begun, fit_seconds: float, together: int, clock: Clock) -> Result:
    classifier, data, prepared = begun.classifier, begun.data, begun.prepared
    K = len(data.trained)
    started = clock()
    raw = classifier.predict_proba(prepared.X_test)
    first_seconds = clock() - started
    P = _probabilities(classifier, raw, data, len(begun.y_test))
    predict_seconds = _steady_predict(classifier, prepared.X_test, clock)
    scores = scoring.score(P, data.y_test)
    P_train = scoring.check_probabilities(
        ordered(classifier, classifier.predict_proba(prepared.X_train), K),
        len(prepared.y_train),
        K,
    )
    train_likelihood = scoring.score(P_train, prepared.y_train)["likelihood"]
    return Result(
        begun.trial,
        "ok",
        split_kind=begun.dataset.kind,
        n_train=len(data.y_train),
        n_test=len(data.y_test),
        n_repeated=data.n_repeated,
        identifiers=data.identifiers,
        scores=scores | {"train_likelihood": train_likelihood},
        seconds=Seconds(
            begun.import_seconds,
            begun.make_seconds,
            fit_seconds,
            first_seconds,
            predict_seconds,
            together,
        ),
        trace=begun.monitor.trace(train_likelihood, scores["likelihood"]),
        predictions=scoring.predictions(P, data.y_test),
        sketch=_sketch(begun, first_seconds) if begun.trial.repeat == 0 else None,
    )


def _sketch(begun: _Begun, predict_seconds: float) -> Sketch | None:
    """Last of all, for a model may do anything when it is asked for more."""
    K = len(begun.data.trained)
    return sketch(
        begun.data,
        begun.classifier,
        begun.needs,
        lambda raw: ordered(begun.classifier, raw, K),
        predict_seconds=predict_seconds,
    )


def _probabilities(
    classifier: Classifier, raw: Any, data: Encoded, n_samples: int
) -> NDArray[np.float64]:
    """Checked probabilities (n_samples, all classes); 0 for a class that was not in training."""
    K = len(data.trained)
    P = np.zeros((n_samples, len(data.class_names)))
    P[:, data.trained] = scoring.check_probabilities(ordered(classifier, raw, K), n_samples, K)
    return P


def ordered(classifier: Classifier, raw: Any, K: int) -> Any:
    """The columns in the order of the labels 0..K-1, as ``classes_`` tells."""
    classes = getattr(classifier, "classes_", None)
    if classes is None or np.array_equal(classes, np.arange(K)):
        return raw
    columns = np.ravel(classes).tolist()
    if sorted(columns) != list(range(K)) or np.shape(raw)[-1:] != (K,):
        raise ProbabilityError(f"classes_ is {columns}, not the labels 0 to {K - 1} in some order")
    return np.asarray(raw)[:, np.argsort(columns)]


def _steady_predict(classifier: Classifier, X: Array, clock: Clock) -> float:
    """Seconds a row of the calls after the first, median."""
    samples: list[float] = []
    while len(samples) < PREDICT_CALLS and math.fsum(samples) < PREDICT_BUDGET:
        started = clock()
        classifier.predict_proba(X)
        samples.append(clock() - started)
    return median(samples) / len(X)


def _import(requires: tuple[str, ...], clock: Clock) -> float:
    """Seconds that importing the packages took, here or in the process this one is a fork of."""
    seconds = 0.0
    for name in requires:
        started = clock()
        importlib.import_module(name)
        seconds += preload.SECONDS.get(name, clock() - started)
    return seconds


def takes_monitor(classifier: Classifier) -> bool:
    """Whether ``fit`` has a parameter ``monitor``: it learns by epochs, and tells them."""
    try:
        return "monitor" in inspect.signature(classifier.fit).parameters
    except (TypeError, ValueError):
        return False


def seed_globals(seed: int) -> None:
    """Seed the generators that Python, NumPy and, if it is loaded, torch share among all."""
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002  # the legacy generator is the one that strays use
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(seed)


def _kind(error: BaseException) -> str:
    if isinstance(error, DatasetError):
        return "dataset"
    if isinstance(error, ProbabilityError):
        return "probabilities"
    return "exit" if isinstance(error, SystemExit) else "exception"


def _reason(error: BaseException) -> str:
    if type(error) in (DatasetError, ProbabilityError):  # what the harness itself has to say
        return str(error)
    described = describe(error)
    return f"called sys.exit ({described})" if isinstance(error, SystemExit) else described


def _traceback(error: BaseException) -> str:
    try:
        return "".join(traceback.format_exception(error))
    except Exception:  # noqa: BLE001  # a stranger's exception can fail to be printed
        return "".join(traceback.format_tb(error.__traceback__))
