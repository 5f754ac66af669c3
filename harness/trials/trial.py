"""Run one trial: draw the split, prepare it, make the classifier, fit, predict and score."""

from __future__ import annotations

import importlib
import inspect
import math
import operator
import random
import sys
import threading
import time
import traceback
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.contract.parameters import place_of, split_parameters
from harness.contract.values import (
    TRAIN_SIZE,
    UNMEASURED,
    Failure,
    Memory,
    Result,
    Seconds,
    Setting,
    TracePoint,
)
from harness.errors import DatasetError, HarnessError, ProbabilityError, UsageError, describe
from harness.processes.threads import give_threads
from harness.trials import scoring
from harness.trials.answers import concrete, settle
from harness.trials.preparation import encode, prepare
from harness.trials.regions import is_asked, predicted_regions, principal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from harness.contract.registry import Registry
    from harness.contract.values import (
        Array,
        Classifier,
        Dataset,
        Model,
        Needs,
        PredictLogProba,
        Sketch,
        SplitKind,
        Trial,
    )
    from harness.trials.preparation import Encoded, Prepared

    Clock = Callable[[], float]
    Tell = Callable[[TracePoint], None]

TRACE_POINTS = 200
LAST_EPOCH = 2**31 - 1  # what an integer column of any database holds
TELL_EVERY = 0.05  # seconds between two reports of an epoch: as often as an eye can follow
THREADS = 1  # a trial: then sums are equal bit for bit whatever the number of jobs
PREDICT_CALLS = 5
PREDICT_BUDGET = 0.05  # seconds: a predict_proba that takes longer is timed only once more


def run_trial(
    trial: Trial,
    registry: Registry,
    *,
    clock: Clock = time.perf_counter,
    on_failure: Callable[[BaseException], None] = lambda _: None,
    tell: Tell | None = None,
) -> Result:
    """Run one trial in this process; any exception of a plugin becomes a failed result.

    Args:
        trial: the trial to run.
        registry: has the trial's dataset and model.
        clock: a monotonic clock, in seconds.
        on_failure: called with the exception before it becomes a result, for example to debug it.
        tell: called with some of the trace's points, as epochs end.
    """
    dataset = registry.datasets[trial.dataset.name]
    try:
        model = registry.models[trial.model.name].chosen(trial.model)
        material = _material(dataset, model, trial)
        fitted = fit_alone(trial, model, material, clock=clock, tell=tell)
        return scored(trial, fitted, material.facts, dataset.kind)
    except BaseException as error:  # noqa: BLE001  # SystemExit and KeyboardInterrupt are the model's here
        on_failure(error)
        return Result(trial, "failed", split_kind=dataset.kind, failure=failure_of(error))


def run_together(
    trials: Sequence[Trial],
    registry: Registry,
    *,
    clock: Clock = time.perf_counter,
    tell: Tell | None = None,
) -> list[Result]:
    """Run repeats of one pairing in this process, fitting repeats of equal shape together.

    Every result equals that of `run_trial`, except that trials fitted together share the ``fit``
    seconds equally.

    Args:
        trials: trials that differ only in their repeat.
        registry: has the trials' dataset and model.
        clock: a monotonic clock, in seconds.
        tell: called with some points of the first trial's trace, as epochs end.

    Raises:
        BaseException: whatever any of the trials raises; then no trial has a result.
    """
    dataset = registry.datasets[trials[0].dataset.name]
    model = registry.models[trials[0].model.name].chosen(trials[0].model)
    materials = [_material(dataset, model, trial) for trial in trials]
    fitted = fit_several(trials, model, materials, clock=clock, tell=tell)
    return [
        scored(trial, fitted[trial], material.facts, dataset.kind)
        for trial, material in zip(trials, materials, strict=True)
    ]


@dataclass(frozen=True, slots=True, eq=False)
class Facts:
    """A split's labels, classes and warnings: what scoring a trial needs besides predictions.

    Args:
        y_train: (n_train,), labels as the model got them, 0..K-1.
        y_test: (n_test,), labels as codes of the dataset's classes, 0..n_classes-1.
        trained: (K,), codes of the classes in the training part, ascending.
        class_names: names of all classes of the dataset.
        n_repeated: number of test rows that also occur in the training part.
        identifiers: names of columns in which nearly every row has its own category.
        drawn: digest of the split.
        weights_train: (n_train,), weights of the rows; None if every row counts the same.
        weights_test: (n_test,), likewise.
    """

    y_train: NDArray[np.intp]
    y_test: NDArray[np.intp]
    trained: NDArray[np.intp]
    class_names: tuple[str, ...]
    n_repeated: int = 0
    identifiers: tuple[str, ...] = ()
    drawn: str = ""
    weights_train: NDArray[np.float64] | None = None
    weights_test: NDArray[np.float64] | None = None

    @property
    def n_classes(self) -> int:
        """Number of classes in the whole dataset."""
        return len(self.class_names)


@dataclass(frozen=True, slots=True, eq=False)
class Material:
    """A trial's input: the prepared split, without the labels of the test part.

    Args:
        prepared: both parts as the model needs them.
        labels: returns the labels and classes; called only to score epochs or the trial.
        n_classes: K, the number of classes in the training part.
        data: the unprepared split, if the picture needs it; it may lack the test labels.
        principal: the finished picture of a split with more than two columns.
    """

    prepared: Prepared
    labels: Callable[[], Facts]
    n_classes: int
    data: Encoded | None = None
    principal: Sketch | None = None

    @property
    def facts(self) -> Facts:
        """What scoring the trial needs besides predictions."""
        return self.labels()

    @classmethod
    def of(cls, data: Encoded, needs: Needs, *, sketched: bool) -> Material:
        """The material of a split that was drawn in this process; a picture only if `sketched`."""
        prepared = prepare(data, needs)
        facts = Facts(
            prepared.y_train,
            data.y_test,
            data.trained,
            data.class_names,
            data.n_repeated,
            data.identifiers,
            data.digest,
            data.weights_train,
            data.weights_test,
        )
        has_grid = is_asked(data)
        return cls(
            prepared,
            lambda: facts,
            len(data.trained),
            data if has_grid and sketched else None,
            principal(data) if sketched and not has_grid else None,
        )


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """The outcome of a fit: unchecked predictions, seconds and trace.

    Args:
        test: what ``predict_proba`` returned for the test part, columns in the labels' order.
        train: what ``predict_proba`` returned for the training part, likewise.
        seconds: time of each stage.
        points: likelihoods by epoch.
        last_epoch: the last epoch that the model reported; None if it reported none.
        sketch: how the classifier divides its inputs; in the first repeat only.
        classifier: the fitted classifier, in the process that fitted it.
        memory: the bytes that the trial took.
        fit_weighted: whether it was fitted with the rows' weights; None if they have none.
    """

    test: NDArray[Any]
    train: NDArray[Any]
    seconds: Seconds
    points: tuple[TracePoint, ...] = ()
    last_epoch: int | None = None
    sketch: Sketch | None = None
    classifier: Classifier | None = None
    memory: Memory = UNMEASURED
    fit_weighted: bool | None = None


def fit_alone(
    trial: Trial,
    model: Model,
    material: Material,
    *,
    clock: Clock = time.perf_counter,
    tell: Tell | None = None,
    imported: Mapping[str, float] | None = None,
) -> Fitted:
    """Make one classifier, fit it, and let it predict.

    Args:
        trial: the trial to run.
        model: the trial's model.
        material: the trial's split.
        clock: a monotonic clock, in seconds.
        tell: called with some of the trace's points, as epochs end.
        imported: seconds that importing each package took, if it was imported before.

    Raises:
        BaseException: whatever the model raises.
    """
    return _fit(_begin(trial, model, material, clock, tell, imported or {}), clock)


def _fit(begun: _Begun, clock: Clock) -> Fitted:
    """Fit one classifier; only the fit, without its monitor, is timed."""
    prepared = begun.material.prepared
    keywords: dict[str, Any] = {"monitor": begun.monitor} if begun.monitor else {}
    keyword = begun.weights_keyword
    if keyword:
        keywords[keyword] = prepared.weights_train
    started = clock()
    begun.classifier.fit(prepared.X_train, prepared.y_train, **keywords)
    settle(begun.classifier)
    return _finish(begun, clock() - started - begun.monitor_seconds, 1, clock)


def fit_several(
    trials: Sequence[Trial],
    model: Model,
    materials: Sequence[Material],
    *,
    clock: Clock = time.perf_counter,
    tell: Tell | None = None,
    imported: Mapping[str, float] | None = None,
) -> dict[Trial, Fitted]:
    """Fit repeats of one pairing, those of equal shape together if the model has `fit_together`.

    The arguments are those of `fit_alone`, with one material for each trial.

    Raises:
        BaseException: whatever the model raises in any of the trials.
    """
    fitted: dict[Trial, Fitted] = {}
    groups: dict[tuple[object, ...], list[_Begun]] = {}
    tells = dict.fromkeys(trials) | {trials[0]: tell}
    weighted = any(material.prepared.weights_train is not None for material in materials)
    if model.fit_together is None or weighted:  # fitted together, classifiers get no weights
        for trial, material in zip(trials, materials, strict=True):
            fitted[trial] = fit_alone(
                trial, model, material, clock=clock, tell=tells[trial], imported=imported
            )
        return fitted
    for trial, material in zip(trials, materials, strict=True):
        begun = _begin(trial, model, material, clock, tells[trial], imported or {})
        shape = (
            *material.prepared.X_train.shape,
            material.n_classes,
            material.prepared.categorical,
        )
        groups.setdefault(shape, []).append(begun)
    for group in groups.values():
        if len(group) == 1:
            fitted[group[0].trial] = _fit(group[0], clock)
            continue
        started = clock()
        model.fit_together(
            [begun.classifier for begun in group],
            [begun.material.prepared.X_train for begun in group],
            [begun.material.prepared.y_train for begun in group],
            [begun.monitor for begun in group],
        )
        settle([begun.classifier for begun in group])
        seconds = clock() - started - math.fsum(begun.monitor_seconds for begun in group)
        for begun in group:
            fitted[begun.trial] = _finish(begun, seconds / len(group), len(group), clock)
    return fitted


def scored(trial: Trial, fitted: Fitted, facts: Facts, kind: SplitKind) -> Result:
    """Check and score a trial's predictions.

    Raises:
        ProbabilityError: the classifier's predictions are not probabilities.
    """
    K = len(facts.trained)
    P = np.zeros((len(facts.y_test), facts.n_classes))
    P[:, facts.trained] = scoring.check_probabilities(fitted.test, len(facts.y_test), K)
    scores = scoring.score(P, facts.y_test, facts.weights_test)
    P_train = scoring.check_probabilities(fitted.train, len(facts.y_train), K)
    train_likelihood = scoring.mean_likelihood(P_train, facts.y_train, facts.weights_train)
    return Result(
        trial,
        "ok",
        split_kind=kind,
        n_train=len(facts.y_train),
        n_test=len(facts.y_test),
        n_repeated=facts.n_repeated,
        identifiers=facts.identifiers,
        drawn=facts.drawn,
        scores=scores | {"train_likelihood": train_likelihood},
        seconds=fitted.seconds,
        memory=fitted.memory,
        fit_weighted=fitted.fit_weighted,
        trace=trace_of(fitted.points, fitted.last_epoch, train_likelihood, scores["likelihood"]),
        predictions=scoring.predictions(P, facts.y_test, facts.class_names, facts.weights_test),
        sketch=fitted.sketch,
    )


def failure_of(error: BaseException) -> Failure:
    """The failure that an exception makes of a trial: its kind, reason and traceback."""
    return Failure(_kind(error), _reason(error), _traceback(error))


def trace_of(
    points: Sequence[TracePoint], last_epoch: int | None, train: float, test: float
) -> tuple[TracePoint, ...]:
    """The trace's points, ending with the last epoch and the fitted classifier's likelihoods."""
    if last_epoch is None:
        return ()
    kept = [point for point in points if point.epoch != last_epoch]
    return (*kept, TracePoint(last_epoch, train, test))


class EpochScores:
    """The monitor that a model calls after each epoch; it scores some of the epochs.

    It keeps every epoch until there are more than `TRACE_POINTS`, then every second one, every
    fourth, and so on. So the number of epochs need not be known beforehand. It reports kept epochs
    to `tell`, at most every `TELL_EVERY` seconds. Several threads may call it.
    """

    def __init__(
        self,
        prepared: Prepared,
        y_test: NDArray[np.intp],
        clock: Clock,
        tell: Tell | None = None,
        weights: tuple[NDArray[np.float64] | None, NDArray[np.float64] | None] = (None, None),
    ) -> None:
        weights_train, weights_test = weights
        self._parts = (
            (prepared.X_train, prepared.y_train, weights_train),
            (prepared.X_test, y_test, weights_test),
        )
        self._clock = clock
        self._points: list[TracePoint] = []
        self._lock = threading.RLock()
        self._stride = 1
        self._calls = 0
        self._last = 0
        self._tell = tell
        self._told = -math.inf
        #: Spent in this monitor, to be subtracted from the fit's.
        self.seconds = 0.0

    def __getstate__(self) -> dict[str, Any]:  # attributes, for pickle and copy
        """The state of a copy, which reports to nobody: a model may copy its monitor."""
        return self.__dict__ | {"_tell": None, "_lock": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore a copy, with its own lock."""
        self.__dict__.update(state, _lock=threading.RLock())

    def __call__(self, epoch: int, predict_log_proba: PredictLogProba) -> None:
        """Record an epoch, counted from 1."""
        with self._lock:
            self._take(epoch, predict_log_proba)

    def _take(self, epoch: int, predict_log_proba: PredictLogProba) -> None:
        previous, self._last = self._last, operator.index(epoch)  # a plain int, also of a NumPy one
        if not (previous < self._last or not self._calls) or not 0 <= self._last <= LAST_EPOCH:
            raise ValueError(
                f"monitor was called with epoch {epoch} after epoch {previous}; "
                f"epochs must increase"
            )
        self._calls += 1
        # Thin even if the stride then skips this call: `trace_of` may add it as the last epoch, and
        # a trace has at most `TRACE_POINTS` points.
        if len(self._points) == TRACE_POINTS:
            self._stride *= 2
            self._points = self._points[1::2]
        if self._calls % self._stride:
            return
        started = self._clock()
        train, test = (
            scoring.likelihood(predict_log_proba(X), y, weights) for X, y, weights in self._parts
        )
        self._points.append(TracePoint(self._last, train, test))
        if self._tell and started - self._told >= TELL_EVERY:
            self._told = started
            self._tell(self._points[-1])
        self.seconds += self._clock() - started

    @property
    def points(self) -> tuple[TracePoint, ...]:
        """Likelihoods by epoch."""
        return tuple(self._points)

    @property
    def last_epoch(self) -> int | None:
        """The last epoch that the model reported; None if it reported none."""
        return self._last if self._calls else None


def _material(dataset: Dataset, model: Model, trial: Trial) -> Material:
    data = draw(dataset, trial.split_seed, dict(trial.dataset.parameters), trial.repeat)
    return Material.of(data, model.needs, sketched=trial.repeat == 0)


def draw(
    dataset: Dataset,
    seed: int,
    parameters: dict[str, Any],  # keyword arguments of the dataset's own `split`
    repeat: int = 0,
) -> Encoded:
    """Draw one split of a dataset, check it and encode it.

    ``train_size`` limits the number of training rows, but at least one row of each class stays.
    The rows of a smaller ``train_size`` are among those of a larger one. ``repeat``
    is the number of the repeat, from which datasets with folds get the fold.

    Raises:
        DatasetError: the dataset breaks its contract, or its code raised an exception.
    """
    is_own_parameter = TRAIN_SIZE in parameters and TRAIN_SIZE in split_parameters(dataset)
    size = None if is_own_parameter else parameters.pop(TRAIN_SIZE, None)
    try:
        place = place_of(dataset, repeat)
        split = dataset.split(np.random.default_rng(seed), *place, **parameters)
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
    # The first row of each class goes in front, because a model cannot learn a class without rows.
    first_rows = np.sort(np.unique(data.y_train[order], return_index=True)[1])
    order = np.concatenate([order[first_rows], np.delete(order, first_rows)])
    rows = np.sort(order[: max(size, len(first_rows))])
    return data.learning_from(rows)


@dataclass(slots=True)
class _Begun:
    """A trial that is ready to fit: its classifier and its data."""

    trial: Trial
    model: Model
    material: Material
    classifier: Classifier
    monitor: EpochScores | None
    import_seconds: float
    make_seconds: float

    @property
    def weights_keyword(self) -> str:
        """The argument of ``fit`` that takes the weights; empty without any, or if none does."""
        has_weights = self.material.prepared.weights_train is not None
        return weights_keyword(self.classifier) if has_weights else ""

    @property
    def monitor_seconds(self) -> float:
        return self.monitor.seconds if self.monitor else 0.0


def _begin(
    trial: Trial,
    model: Model,
    material: Material,
    clock: Clock,
    tell: Tell | None,
    imported: Mapping[str, float],
) -> _Begun:
    import_seconds = _import(model.requires, clock, imported)
    prepared, K = material.prepared, material.n_classes
    # Repeatable even if the model draws from a global generator, which the contract forbids.
    seed_globals(trial.model_seed)
    started = clock()
    classifier = model.make(setting_of(trial, K, prepared), **trial.model.arguments)
    make_seconds = clock() - started
    give_threads(classifier, THREADS)
    for method in ("fit", "predict_proba"):
        # Some of scikit-learn's classes have predict_proba only once they are fitted.
        if not callable(getattr(classifier, method, getattr(type(classifier), method, None))):
            raise TypeError(f"'{model.name}' made a {type(classifier).__name__} without {method}")
    monitor = None
    if takes_monitor(classifier):
        facts = material.facts
        # `encode` makes sure that every class of the test part occurs in the training part.
        y_test = np.searchsorted(facts.trained, facts.y_test)
        weights = prepared.weights_train, facts.weights_test
        monitor = EpochScores(prepared, y_test, clock, tell, weights)
    return _Begun(trial, model, material, classifier, monitor, import_seconds, make_seconds)


def setting_of(trial: Trial, n_classes: int, prepared: Prepared) -> Setting:
    """What a trial's model is told before it sees data."""
    return Setting(
        seed=trial.model_seed,
        device=trial.device,
        n_features=prepared.X_train.shape[1],
        n_classes=n_classes,
        categorical=prepared.categorical,
    )


def _finish(begun: _Begun, fit_seconds: float, together: int, clock: Clock) -> Fitted:
    classifier, material = begun.classifier, begun.material
    prepared, K = material.prepared, material.n_classes
    if not hasattr(classifier, "predict_proba"):
        raise UsageError(
            f"{type(classifier).__name__} has no predict_proba with these parameters; change them"
        )
    started = clock()
    raw = concrete(classifier.predict_proba(prepared.X_test))
    first_seconds = clock() - started
    test = scoring.as_numbers(ordered(classifier, raw, K))
    predict_seconds = _steady_predict(classifier, prepared.X_test, clock)
    train = scoring.as_numbers(ordered(classifier, classifier.predict_proba(prepared.X_train), K))
    return Fitted(
        test,
        train,
        Seconds(
            begun.import_seconds,
            begun.make_seconds,
            max(0.0, fit_seconds),  # parallel monitor calls can add up to more than the fit took
            first_seconds,
            predict_seconds,
            together,
        ),
        begun.monitor.points if begun.monitor else (),
        begun.monitor.last_epoch if begun.monitor else None,
        _sketch(begun, first_seconds) if begun.trial.repeat == 0 else None,
        classifier,
        fit_weighted=None if prepared.weights_train is None else bool(begun.weights_keyword),
    )


def _sketch(begun: _Begun, predict_seconds: float) -> Sketch | None:
    """The picture; made last, because these extra predictions may change the classifier."""
    if begun.material.data is None:
        return begun.material.principal
    K = begun.material.n_classes
    return predicted_regions(
        begun.material.data,
        begun.classifier,
        begun.model,
        lambda raw: ordered(begun.classifier, raw, K),
        predict_seconds=predict_seconds,
    )


def ordered(classifier: Classifier, raw: Any, K: int) -> Any:
    """Predictions with columns sorted by label 0..K-1, according to ``classes_``."""
    classes = getattr(classifier, "classes_", None)
    if classes is None or np.array_equal(classes, np.arange(K)):
        return raw
    columns = np.ravel(classes).tolist()
    if sorted(columns) != list(range(K)) or np.shape(raw)[-1:] != (K,):
        raise ProbabilityError(f"classes_ is {columns}, not the labels 0 to {K - 1} in some order")
    return np.asarray(raw)[:, np.argsort(columns)]


def _steady_predict(classifier: Classifier, X: Array, clock: Clock) -> float:
    """Median seconds a row of the `predict_proba` calls after the first."""
    samples: list[float] = []
    while len(samples) < PREDICT_CALLS and math.fsum(samples) < PREDICT_BUDGET:
        started = clock()
        concrete(classifier.predict_proba(X))
        samples.append(clock() - started)
    return median(samples) / len(X)


def _import(requires: tuple[str, ...], clock: Clock, imported: Mapping[str, float]) -> float:
    """Import packages; the seconds that took, here or in the process that this one is a fork of."""
    seconds = 0.0
    for name in requires:
        started = clock()
        importlib.import_module(name)
        seconds += imported.get(name, clock() - started)
    return seconds


def takes_monitor(classifier: Classifier) -> bool:
    """Whether ``fit`` has a parameter ``monitor``, through which it reports its epochs.

    The ``monitor`` of scikit-learn's gradient boosting is called with other arguments.
    """
    if str(getattr(classifier.fit, "__module__", "")).partition(".")[0] == "sklearn":
        return False
    try:
        return "monitor" in inspect.signature(classifier.fit).parameters
    except (TypeError, ValueError):
        return False


def weights_keyword(classifier: Any) -> str:
    """The argument of ``fit`` that takes the rows' weights; empty if there is none.

    It is ``sample_weight``; of a scikit-learn pipeline, that of its last step. Voting, stacking and
    calibration pass it on if all classifiers in them take it.
    """
    try:
        if type(classifier).__name__ == "CalibratedClassifierCV":
            # Otherwise only the calibration would have weights, and the classifier none.
            taken = weights_keyword(classifier.estimator)
            return taken if taken == "sample_weight" else ""
        parameters = inspect.signature(classifier.fit).parameters
        if "sample_weight" in parameters:
            return "sample_weight"
        if "fit_params" in parameters and hasattr(classifier, "estimators"):
            inside = [each for _, each in classifier.estimators if each != "drop"]
            final = getattr(classifier, "final_estimator", None)
            inside += [] if final is None else [final]
            passed_on = all(weights_keyword(each) == "sample_weight" for each in inside)
            return "sample_weight" if passed_on else ""
        name, last = classifier.steps[-1]
        inner = weights_keyword(last)
    except (AttributeError, LookupError, TypeError, ValueError):
        return ""
    return f"{name}__{inner}" if inner else ""


def seed_globals(seed: int) -> None:
    """Seed the global generators of Python, NumPy and, if it is loaded, torch."""
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002  # models that break the contract use the legacy generator
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(seed)


def _kind(error: BaseException) -> str:
    if isinstance(error, DatasetError):
        return "dataset"
    if isinstance(error, ProbabilityError):
        return "probabilities"
    return "exit" if isinstance(error, SystemExit) else "exception"


def _reason(error: BaseException) -> str:
    if type(error) in (DatasetError, ProbabilityError):  # the harness's own messages
        return str(error)
    described = describe(error)
    if type(error) is UsageError:  # a model's message for the user, such as a parameter's bounds
        return described.removeprefix("UsageError: ")
    return f"called sys.exit ({described})" if isinstance(error, SystemExit) else described


def _traceback(error: BaseException) -> str:
    try:
        return "".join(traceback.format_exception(error))
    except Exception:  # noqa: BLE001  # a stranger's exception can fail to be printed
        return "".join(traceback.format_tb(error.__traceback__))
