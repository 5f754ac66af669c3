"""The frozen values that flow through the harness."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    Array: TypeAlias = NDArray[Any]
    PredictLogProba: TypeAlias = Callable[[Array], Array]
    Monitor: TypeAlias = Callable[[int, PredictLogProba], None]

SplitKind: TypeAlias = str
"""``fresh``, ``resampled``, ``fixed``, or a number of folds such as ``10-fold``."""

Status: TypeAlias = Literal["ok", "failed", "timeout", "crashed", "skipped"]
Value: TypeAlias = bool | int | float | str | tuple[int, ...] | tuple[float, ...] | None


@runtime_checkable
class Classifier(Protocol):
    """What a model makes: scikit-learn's two methods, and no base class.

    ``classes_``, if there, orders the columns of ``predict_proba``. A ``fit`` that has a parameter
    ``monitor`` is given a callable, to be called as ``monitor(epoch, predict_log_proba)``.
    """

    def fit(self, X: Array, y: Array, /) -> Any:
        """Learn from X (n_samples, n_features) and y (n_samples,) of integers 0..K-1."""

    def predict_proba(self, X: Array, /) -> Any:
        """Class probabilities (n_samples, n_classes), rows that sum to 1."""


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """A training part and a test part, as a dataset gave them.

    Args:
        X_train: (n_train, n_features), an array of numbers, an array of objects, a DataFrame, or
            what turns into one of these. A missing value is NaN, None, NaT, pandas' NA, or masked.
        y_train: (n_train,), class names, or integers that index ``class_names``: an array, a
            Series or a list. They belong to the rows by position.
        X_test: (n_test, n_features).
        y_test: (n_test,).
        class_names: every class, in the order of the columns of the probabilities; the distinct
            labels in sorted order where left out.
        feature_names: one name a column; where left out, a DataFrame's own, or ``x0, x1, ...``.
        categorical: which columns hold categories rather than quantities: their indices or names,
            or a bool for each column. A DataFrame's columns of texts, or of pandas' type
            ``category``, need not be named.
    """

    X_train: Any
    y_train: Any
    X_test: Any
    y_test: Any
    class_names: Sequence[Any] = ()
    feature_names: Sequence[Any] = ()
    categorical: Sequence[Any] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Dataset:
    """A named source of splits.

    Args:
        name: kebab-case, unique over all plugins.
        kind: what two repeats have in common: nothing (``fresh`` draws), the rows of one table
            (``resampled``), or everything (a ``fixed`` published split). ``10-fold``, or any other
            number from 2, is cross-validation: ten repeats in a row test each row of one table
            once. As many folds as the table has rows are leave-one-out.
        split: called as ``split(rng, **parameters)`` with a ``numpy.random.Generator``. Its keyword
            parameters and their defaults are the dataset's parameters. Of cross-validation, called
            as ``split(rng, fold, **parameters)``, ``fold`` counting from 0; ``rng`` is seeded
            alike for all folds of one repetition (see `harness.folds`).
        description: one sentence.
        licence: of the data.
        citation: where the data or their definition come from.
        tags: words to select by, as in ``-d 'toy:*'``.
        requires: import names of packages that ``split`` needs.
    """

    name: str
    kind: SplitKind
    split: Callable[..., Split]
    description: str = ""
    licence: str = ""
    citation: str = ""
    tags: tuple[str, ...] = ()
    requires: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Setting:
    """All that a model may know before it sees data.

    Args:
        seed: for every random choice the classifier makes.
        device: name of the device to compute on, such as ``cpu`` or ``cuda:0``.
        n_features: columns of X as ``fit`` will get it.
        n_classes: K; the labels are 0..K-1.
        categorical: columns that hold categories; empty unless the model takes them
            (``Needs(numeric=False)``).
    """

    seed: int
    device: str
    n_features: int
    n_classes: int
    categorical: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Needs:
    """The input that a model needs; the harness prepares it, fitted on the training part only.

    Args:
        dtype: of X, where all columns are numbers.
        scaled: columns at mean 0 and standard deviation 1.
        finite: missing values are filled in (median; most frequent category).
        numeric: categories are one-hot encoded. Without it, X is an array of objects wherever
            there are categorical columns, and those hold strings.
    """

    dtype: Literal["float32", "float64"] = "float64"
    scaled: bool = False
    finite: bool = True
    numeric: bool = True


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """A named recipe for a classifier.

    Args:
        name: kebab-case, library first, unique over all plugins.
        make: called as ``make(setting, **parameters)``. Its keyword parameters and their defaults
            are the model's parameters.
        needs: the input it needs.
        devices: kinds of device it can use, such as ``("cpu", "cuda")``.
        description: one sentence.
        tags: words to select by, as in ``-m 'linear:*'``.
        requires: import names of packages that ``make`` needs.
        baseline: runs always, whatever was selected.
        fit_together: called as ``fit_together(classifiers, Xs, ys, monitors)`` with several that
            ``make`` made of the same parameters; fits each as its own ``fit`` would, and leaves
            them able to predict. The Xs have one shape. Only for a ``fit`` that takes ``monitor``.
        reference: makes, of the same setting and parameters, a classifier that trains in the same
            way but is written as anyone would write it: training is timed beside it.
    """

    name: str
    make: Callable[..., Classifier]
    needs: Needs = Needs()
    devices: tuple[str, ...] = ("cpu",)
    description: str = ""
    tags: tuple[str, ...] = ()
    requires: tuple[str, ...] = ()
    baseline: bool = False
    fit_together: Callable[..., None] | None = None
    reference: Callable[..., Classifier] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Kernel:
    """A softmax implementation.

    Args:
        name: kebab-case, library first.
        prepare: ``prepare(array, device)`` moves a NumPy array (n_samples, n_classes) to where the
            kernel works.
        run: the timed call: ``run(prepared)`` gives the probabilities, in the kernel's own arrays.
        collect: brings what ``run`` gave back into NumPy.
        devices: kinds of device it can use.
        description: one sentence.
        stable: gives probabilities for logits near -1e7 too.
        requires: import names of packages that it needs.
        by_default: is timed without being named; not so where preparing it takes long.
    """

    name: str
    prepare: Callable[[Array, str], Any]
    run: Callable[[Any], Any]
    collect: Callable[[Any], Array]
    devices: tuple[str, ...] = ("cpu",)
    description: str = ""
    stable: bool = True
    requires: tuple[str, ...] = ()
    by_default: bool = True

    def __call__(self, logits: Array, device: str = "cpu") -> Array:
        """Probabilities of logits, NumPy in and NumPy out, both (n_samples, n_classes)."""
        return self.collect(self.run(self.prepare(logits, device)))


@dataclass(frozen=True, slots=True, eq=False)
class Device:
    """A place to compute on.

    Args:
        name: ``cpu``, or kind and index, such as ``cuda:0``.
        description: what it is, as its maker calls it.
        synchronize: returns when all work given to the device is done.
        copier: ``copier(array)`` moves a NumPy array there and returns a function that copies it
            there once: the least time in which an array can be read and written.
        evictor: returns a function that overwrites the device's caches.
        elapsed: ``elapsed(call, n)``: seconds of each of n calls by the device's own clock.
        dtypes: the types of numbers that it has.
    """

    name: str
    description: str = ""
    synchronize: Callable[[], None] = lambda: None
    copier: Callable[[Array], Callable[[], object]] | None = None
    evictor: Callable[[], Callable[[], object]] | None = None
    elapsed: Callable[[Callable[[], object], int], Sequence[float]] | None = None
    dtypes: tuple[str, ...] = ("float32", "float64")

    @property
    def kind(self) -> str:
        """The part of the name before the colon: ``cuda`` of ``cuda:0``."""
        return self.name.partition(":")[0]


@dataclass(frozen=True, slots=True)
class Option:
    """An option that a report has: ``--NAME VALUE`` on the command line, a keyword of ``render``.

    Args:
        name: kebab-case; as a keyword, hyphens become underscores.
        default: what it is where it is not given. Its type says what it takes: True or False make
            a flag; a number takes a number, or a percentage such as ``2%``; a tuple takes texts,
            one each time that the option is given; all else is a text.
        description: one sentence.
        choices: the only values that it takes; any where left out.
        short: one letter that stands for it, too.
    """

    name: str
    default: bool | float | str | tuple[str, ...] | None = None
    description: str = ""
    choices: tuple[str, ...] = ()
    short: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Report:
    """A named view of what a run measured; it reads only what came from the store.

    Args:
        name: kebab-case.
        tables: ``tables(frames, **options)``: the report as DataFrames by name, each fit to be
            written as CSV.
        render: ``render(frames, format, **options)``: a rich renderable for ``rich``; for other
            formats a text, or bytes.
        formats: what ``render`` takes, the usual one first.
        description: one sentence.
        options: what else can be asked of it.
        after_runs: is printed at the end of each run; its formats must include ``rich``.
    """

    name: str
    tables: Callable[..., Mapping[str, pd.DataFrame]]
    render: Callable[..., Any]
    formats: tuple[str, ...] = ("rich", "markdown", "csv", "json", "latex")
    description: str = ""
    options: tuple[Option, ...] = ()
    after_runs: bool = False

    @property
    def defaults(self) -> dict[str, Any]:
        """Keywords of ``tables`` and ``render``, each with its option's default."""
        return {option.name.replace("-", "_"): option.default for option in self.options}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be drawn: names as they are stored, or globs of ``*`` and ``?``; None is all.

    Args:
        model: of a history, the subject: a model or a kernel.
        dataset: of a history, the case.
        device: its name.
        measure: of a history.
    """

    model: str | None = None
    dataset: str | None = None
    device: str | None = None
    measure: str | None = None

    def __str__(self) -> str:
        """In words.

        >>> str(Wanted(model="torch-*", dataset="iris")), str(Wanted())
        ('torch-* on iris', 'any model on any dataset')
        """
        where = "" if self.device in (None, "cpu") else f" @ {self.device}"
        return f"{self.model or 'any model'} on {self.dataset or 'any dataset'}{where}"


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """A named kind of picture.

    Args:
        name: kebab-case.
        draw: called as ``draw(source, wanted)`` with a `Wanted`; gives a
            `harness.sheets.drawing.Drawing`. The source is the `Frames` of a run, or for the
            history a sequence of `harness.analysis.history.Segment`. Where there is nothing to
            draw, or more than one thing where it must be one, it raises a `HarnessError`.
        description: one sentence.
        scope: what one picture is of: a ``pairing`` of a dataset and a model, any part of a
            ``run``, or the ``history``.
    """

    name: str
    draw: Callable[..., Any]
    description: str = ""
    scope: Literal["pairing", "run", "history"] = "pairing"


@dataclass(frozen=True, slots=True, order=True)
class Choice:
    """A dataset or model by name, with the parameters that differ from their defaults."""

    name: str
    parameters: tuple[tuple[str, Value], ...] = ()

    def __str__(self) -> str:
        """As people write it.

        >>> str(Choice("torch-mlp", (("epochs", 500), ("hidden", (64, 64)))))
        'torch-mlp[epochs=500,hidden=64x64]'
        """
        if not self.parameters:
            return self.name
        return f"{self.name}[{','.join(f'{k}={written(v)}' for k, v in self.parameters)}]"

    def of_all_rows(self) -> Choice:
        """The same dataset, whatever part of its training rows is learned from."""
        return Choice(self.name, tuple(one for one in self.parameters if one[0] != TRAIN_SIZE))


_FOLDS = re.compile(r"([1-9]\d{0,5})-fold")


def folds_in(kind: SplitKind | None) -> int:
    """The number of folds of a kind of split; 0 for a kind that has none.

    >>> folds_in("10-fold"), folds_in("fresh"), folds_in(None)
    (10, 0, 0)
    """
    found = _FOLDS.fullmatch(kind) if isinstance(kind, str) else None  # pandas has NaN for none
    return int(found[1]) if found else 0


def is_kind(kind: object) -> bool:
    """Whether a dataset may be of this kind.

    >>> is_kind("fixed"), is_kind("5-fold"), is_kind("1-fold")
    (True, True, False)
    """
    return isinstance(kind, str) and (kind in KINDS_WITHOUT_FOLDS or folds_in(kind) >= 2)


KINDS_WITHOUT_FOLDS = ("fresh", "resampled", "fixed")

AUTO = "auto"
"""In place of a number of repeats: as many as it takes."""

AUTO_REPEATS = (5, 10, 20, 40)
"""Numbers of repeats after which a run with automatic repeats looks whether more are needed."""

TRAIN_SIZE = "train_size"
"""The parameter that every dataset has: how many of its training rows are learned from."""


def written(value: Value) -> str:
    """A parameter's value as people write it between brackets.

    >>> [written(value) for value in (True, None, 0.1, (64, 64), (), "tanh")]
    ['true', 'none', '0.1', '64x64', '()', 'tanh']
    """
    if value is None or isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return "x".join(str(item) for item in value) or "()"
    return str(value)


@dataclass(frozen=True, slots=True)
class Trial:
    """One thing to run: a dataset, a model with its parameters, a device and a repeat.

    ``seed`` is the run's; the split's seed and the model's follow from it through
    ``numpy.random.SeedSequence``. The split's does not depend on the model, so that every model
    sees the same split and comparisons are paired. Of a dataset of ``n_folds`` folds, as many
    repeats in a row are one repetition of cross-validation.
    """

    dataset: Choice
    model: Choice
    device: str
    repeat: int
    seed: int
    n_folds: int = 0

    @property
    def key(self) -> str:
        """Identity within a run, whatever the order in which trials were planned."""
        words = [str(self.dataset), str(self.model), self.device, self.repeat, self.seed]
        return hashlib.sha256(json.dumps(words).encode()).hexdigest()[:16]

    @property
    def split_seed(self) -> int:
        """Seed of the split: by dataset (with parameters) and repeat, or repetition of all folds.

        A part of the training rows is a part of the same split: so learning curves are paired.
        """
        drawn = self.repeat // self.n_folds if self.n_folds else self.repeat
        return _spawn(self.seed, "split", str(self.dataset.of_all_rows()), drawn)

    @property
    def fold(self) -> int | None:
        """Which fold is tested on, from 0; None where the dataset has no folds."""
        return self.repeat % self.n_folds if self.n_folds else None

    @property
    def model_seed(self) -> int:
        """Seed of the model: by dataset, model (by name, so that settings compare) and repeat."""
        return _spawn(self.seed, "model", str(self.dataset), self.model.name, self.repeat)


def _spawn(seed: int, *words: object) -> int:
    """A seed of 32 bits, which every library takes, derived from a seed and words."""
    from numpy.random import SeedSequence  # `harness --help` is quicker without NumPy

    digest = hashlib.sha256(json.dumps(words).encode()).digest()
    entropy = [seed, *(int.from_bytes(digest[i : i + 4], "little") for i in range(0, 16, 4))]
    return int(SeedSequence(entropy).generate_state(1)[0])


@dataclass(frozen=True, slots=True)
class Skip:
    """A pairing that will not run, and why."""

    dataset: Choice
    model: Choice
    device: str
    reason: str


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a trial has no scores.

    Args:
        kind: ``exception``, ``probabilities``, ``dataset``, ``exit``, ``signal``, ``timeout``,
            ``memory`` or ``skipped``.
        reason: one line.
        traceback: where there is one.
        output: the end of what the trial printed.
    """

    kind: str
    reason: str
    traceback: str = ""
    output: str = ""


@dataclass(frozen=True, slots=True)
class Seconds:
    """Where a trial's time went. Taken while other trials ran: to plan by, not to compare by.

    Args:
        imports: importing what the model requires, once a process.
        make: construction.
        fit: learning, less the time that the harness itself took to score epochs.
        first_predict: the first ``predict_proba`` of the test part, in all.
        predict: the later ones, median, per row.
        together: how many repeats were fitted in one go; ``fit`` is an equal share of it.
    """

    imports: float
    make: float
    fit: float
    first_predict: float
    predict: float
    together: int = 1


@dataclass(frozen=True, slots=True)
class TracePoint:
    """Likelihood of the training and the test part after an epoch."""

    epoch: int
    train_likelihood: float
    test_likelihood: float


@dataclass(frozen=True, slots=True, eq=False)
class Predictions:
    """What is kept of each test row's probabilities.

    Args:
        true: (n_test,) uint16, its class.
        predicted: (n_test,) uint16, the most probable class.
        log_probability: (n_test,) float32, natural logarithm of the probability of its class,
            clipped as the NLL is.
        confidence: (n_test,) float32, the probability of the predicted class.
        brier: (n_test,) float32, the squared error, summed over classes.
    """

    true: NDArray[np.uint16]
    predicted: NDArray[np.uint16]
    log_probability: NDArray[np.float32]
    confidence: NDArray[np.float32]
    brier: NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Sketch:
    """How a fitted classifier divides its inputs, for pictures; see `harness.trials.regions`.

    Args:
        class_names: K of them.
        input_names: of the axes: one or two inputs, or two principal components and how much of
            the variance is theirs.
        points: (n, n_axes) where some test rows lie.
        rows: (n,) which they are, in the order of the test part.
        axes: values of each input at which the classifier was asked, (n_values,) each; none for
            principal components.
        probabilities: (product of the numbers of values, K), the first input varying fastest.
        hidden: (n_values, n_units) what each hidden layer gives over one input.
    """

    class_names: tuple[str, ...]
    input_names: tuple[str, ...]
    points: NDArray[np.float32]
    rows: NDArray[np.int64]
    axes: tuple[NDArray[np.float32], ...] = ()
    probabilities: NDArray[np.float32] | None = None
    hidden: tuple[NDArray[np.float32], ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Result:
    """A trial and what came of it; plain values only.

    ``n_repeated`` counts the test rows that also occur in the training part; ``identifiers`` names
    the columns in which nearly every training row has a category of its own.
    """

    trial: Trial
    status: Status
    split_kind: SplitKind | None = None
    n_train: int | None = None
    n_test: int | None = None
    n_repeated: int | None = None
    identifiers: tuple[str, ...] = ()
    scores: Mapping[str, float] = field(default_factory=dict)
    seconds: Seconds | None = None
    trace: tuple[TracePoint, ...] = ()
    predictions: Predictions | None = None
    sketch: Sketch | None = None
    failure: Failure | None = None


TO_PREDICT, RUNNING = LEFT = ("left_to_predict_seconds", "left_running_seconds")
"""Figures of a fit: by how much the first prediction takes longer than the next, and the time of
processors that is used after the fit has returned, while nothing is asked of it."""


@dataclass(frozen=True, slots=True, eq=False)
class Timing:
    """A workload on a device and its samples: seconds per call, grouped by process.

    Args:
        kind: what is timed: ``softmax``, ``copy``, ``fit``, ``together``, ``reference``,
            ``predict``, ``predict-row``, or ``logits`` (a softmax of a pairing's own logits); the
            three fits with ``-once`` at the end are of a single epoch.
        subject: the kernel or model, as people write it.
        case: on what: a dataset, or shape, dtype and caches.
        device: its name.
        threads: that libraries were allowed.
        status: ``ok``; ``wrong`` where the output was, and ``failed`` where it raised: those are
            not timed; ``unfinished`` where the time was up.
        reason: why it is not ok.
        samples: seconds per call, a tuple for each process, in the order in which they were taken.
        calls: in one sample, the most over the processes.
        figures: what was found out beside: plain numbers by name.
    """

    kind: str
    subject: str
    case: str
    device: str
    threads: int
    status: Literal["ok", "wrong", "failed", "unfinished"]
    reason: str = ""
    samples: tuple[tuple[float, ...], ...] = ()
    calls: int = 1
    figures: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Point:
    """What was measured of one thing at one time: a history consists of such.

    Args:
        measure: ``softmax``, ``fit`` or ``predict``, a score, or ``time`` of another tool's.
        subject: kernel or model, as people write it.
        case: on what.
        device: its name.
        time: UTC, ISO 8601.
        revision: of the code, with a + where it had changes that are in none; of a bridge, the
            anchor before.
        machine: what measured: ratios of two machines are not compared.
        anchor: what a time is held against; empty for scores, and where a time is all there is.
        source: ``ab``, ``run``, ``bridge`` (an anchor held against the one before), or a tool.
        value: log of the time over the anchor's, log of the seconds without one, or the score.
        low: lower end of its 95% interval; NaN is unknown.
        high: its upper end.
        seconds: the time itself; NaN is unknown.
        n: pairs, processes or repeats that it rests on.
    """

    measure: str
    subject: str
    case: str
    device: str
    time: str
    revision: str
    machine: str
    anchor: str
    source: str
    value: float
    low: float
    high: float
    seconds: float
    n: int

    @property
    def series(self) -> tuple[str, str, str, str]:
        """Which series it is a point of."""
        return self.measure, self.subject, self.case, self.device


@dataclass(frozen=True, slots=True)
class Run:
    """One invocation: when, what was asked, and the environment's fingerprint.

    Args:
        id: in its store.
        name: the user's, or empty.
        started: UTC, ISO 8601.
        finished: UTC, or None while it runs or after it was interrupted.
        asked: what is needed to plan the same trials again.
        environment: `harness.store.environment.fingerprint`.
        n_trials: how many were planned, skips included.
    """

    id: int
    name: str
    started: str
    finished: str | None
    asked: Mapping[str, Any]
    environment: Mapping[str, Any]
    n_trials: int

    @property
    def kind(self) -> Literal["trials", "bench"]:
        """Whether it ran trials, or only timed."""
        return "bench" if "bench" in self.asked else "trials"

    @property
    def revision(self) -> str:
        """The revision of the project that it was made in; empty outside of any."""
        return str((self.environment.get("project") or {}).get("revision", ""))

    @property
    def dirty(self) -> bool:
        """Whether that project had changes that were not committed."""
        return bool((self.environment.get("project") or {}).get("dirty"))

    @property
    def n_looks(self) -> int:
        """How many looks at the leaders the marks in its tables have to allow for."""
        return len(AUTO_REPEATS) if self.asked.get("repeats") == AUTO else 1


@dataclass(frozen=True, slots=True, eq=False)
class Frames:
    """One run as DataFrames, the only thing that a report sees.

    Args:
        run: the run itself.
        results: one row a trial, in the order in which trials were planned. Columns:
            ``result_id``, ``dataset`` and ``model`` (with parameters, as people write them),
            ``device``, ``repeat``, ``status`` (``ok``, ``failed``, ``timeout``, ``crashed``,
            ``skipped``), ``split_kind`` (``fresh``, ``resampled``, ``fixed``, or such as
            ``10-fold``; None where the trial never got that far), ``baseline`` (bool),
            ``n_train``, ``n_test``, ``n_repeated`` (test rows that also occur in the training
            part), ``identifiers`` (columns in which nearly every row has a category of its own, in
            words; None without any); scores (NaN unless
            ``ok``): ``accuracy``, ``nll``, ``nll_sd`` (over the test rows), ``likelihood``,
            ``brier``, ``balanced_accuracy``, ``auc``, ``ece``, ``clipped`` (test rows whose class
            was given probability 0), ``train_likelihood``; seconds: ``import_seconds``,
            ``make_seconds``, ``fit_seconds``, ``first_predict_seconds`` (the whole test part),
            ``predict_seconds`` (per row), ``fitted_together`` (how many repeats were fitted in one
            go: ``fit_seconds`` is a share); ``failure_kind``, ``reason``, ``traceback``, ``output``
            (None where it did not fail).
        traces: called without arguments: ``result_id``, ``epoch``, ``train_likelihood``,
            ``test_likelihood``.
        predictions: called with result ids: ``result_id``, ``row`` (0..n_test-1, the same order
            for every model of a dataset and repeat), ``true``, ``predicted``,
            ``log_probability``, ``confidence``, ``brier``.
        timings: one row a workload: ``kind``, ``subject``, ``case``, ``device``, ``threads``,
            ``status``, ``reason``, ``calls`` as in `Timing`; seconds per call (NaN unless
            ``ok``): ``median``, ``minimum``, ``third_quartile``, ``low`` and ``high`` (95%
            interval over processes), ``p99`` (median of the processes'); ``n_processes``,
            ``n_samples``; ``samples`` as in `Timing`; and a column for each figure.
        sketches: called with result ids: those of them that have one, the first repeats, by id.
        history: called without arguments: the points that `harness track` keeps in the run's store,
            whatever run they came with, oldest first.
        pictures: the kinds of pictures that plugins offer, by name.
    """

    run: Run
    results: pd.DataFrame
    traces: Callable[[], pd.DataFrame]
    predictions: Callable[[Sequence[int]], pd.DataFrame]
    timings: pd.DataFrame
    sketches: Callable[[Sequence[int]], Mapping[int, Sketch]] = lambda _: {}
    history: Callable[[], Sequence[Point]] = lambda: ()
    pictures: Mapping[str, Picture] = field(default_factory=dict)
