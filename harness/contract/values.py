"""The frozen values that flow through the harness."""

from __future__ import annotations

import hashlib
import json
import math
import re
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import lru_cache
from typing import (
    TYPE_CHECKING,
    Any,
    Literal,
    NamedTuple,
    Protocol,
    TypeAlias,
    runtime_checkable,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import datetime

    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    Array: TypeAlias = NDArray[Any]
    PredictLogProba: TypeAlias = Callable[[Array], Array]
    Monitor: TypeAlias = Callable[[int, PredictLogProba], None]

SplitKind: TypeAlias = str
"""``fresh``, ``resampled``, ``fixed``, or cross-validation such as ``10-fold``; see `Dataset`."""

JSONObject: TypeAlias = dict[str, Any]
"""A JSON object, of plain values; the function that writes it documents its keys."""

Status: TypeAlias = Literal["ok", "failed", "timeout", "crashed", "skipped"]
Value: TypeAlias = bool | int | float | str | tuple[int, ...] | tuple[float, ...] | None
"""A parameter's value."""

OptionValue: TypeAlias = bool | float | str | tuple[str, ...] | None
"""The value of a report's option."""


@runtime_checkable
class Classifier(Protocol):
    """A classifier with scikit-learn's methods ``fit`` and ``predict_proba``; no base class.

    If it has ``classes_``, these give the order of the columns of ``predict_proba``. A ``fit`` with
    a parameter ``monitor`` gets a callable, and may call ``monitor(epoch, predict_log_proba)``
    after each epoch.
    """

    def fit(self, X: Array, y: Array, /) -> Any:
        """Learn from X (n_samples, n_features) and y (n_samples,) of integers 0..K-1."""

    def predict_proba(self, X: Array, /) -> Any:
        """Class probabilities (n_samples, n_classes); each row sums to 1."""


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """A training part and a test part, as a dataset returns them.

    Args:
        X_train: (n_train, n_features), an array of numbers, an array of objects, a DataFrame, or
            a value that converts to one of these. A missing value is NaN, None, NaT, pandas' NA,
            or masked.
        y_train: (n_train,), class names, or integers that index ``class_names``: an array, a
            Series or a list. Labels and rows are matched by position.
        X_test: (n_test, n_features).
        y_test: (n_test,).
        class_names: all classes, in the order of the columns of the probabilities. Default: the
            distinct labels, sorted.
        feature_names: one name per column. Default: the DataFrame's column names, else ``x0, x1,
            ...``.
        categorical: the columns that hold categories rather than quantities: their indices or
            names, or a bool for each column. Columns of text in a DataFrame, and those of pandas'
            type ``category``, are categorical in any case.
        weights_train: (n_train,), the rows' weights: finite, not negative, not all 0. A ``fit``
            that takes ``sample_weight`` gets them. Default: every row counts the same.
        weights_test: (n_test,), likewise; scores are means with these weights.
    """

    X_train: Any
    y_train: Any
    X_test: Any
    y_test: Any
    class_names: Sequence[Any] = ()
    feature_names: Sequence[Any] = ()
    categorical: Sequence[Any] = ()
    weights_train: Any = None
    weights_test: Any = None


DEFAULT_IN = ("ab", "bench", "pytest")
"""Commands with defaults that plugins declare: `harness ab` and `harness bench training` (which
includes the models in any case, as a common reference), and the pytest suite
`harness.benchmarks`."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a dataset's table, and what the dataset makes of it.

    Args:
        name: the column's name.
        type: the type of its values, in a word or two.
        n_distinct: number of different values; -1 if unknown.
        n_missing: number of rows without a value.
        use: ``number``, ``category`` or ``date``; ``dropped``; or ``apart``, such as the class.
        reason: why, in a few words; empty if the type alone tells.
    """

    name: str
    type: str
    n_distinct: int
    n_missing: int
    use: str
    reason: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Dataset:
    """A named source of splits.

    Args:
        name: kebab-case, unique among the datasets of all plugins.
        kind: what two repeats share: nothing (``fresh`` draws), the rows of one table
            (``resampled``), or everything (a ``fixed`` published split). ``10-fold`` is
            cross-validation, also with any other number from 2: ten consecutive repeats test each
            row of one table once. With as many folds as rows it is leave-one-out.
        split: called as ``split(rng, **parameters)`` with a ``numpy.random.Generator``. Its keyword
            parameters and their defaults are the dataset's parameters. For cross-validation it is
            called as ``split(rng, fold, **parameters)``: ``fold`` counts from 0, and ``rng`` has
            the same seed for all folds of one repetition (see `harness.folds`). A split of
            published rows may take an argument named ``repetition`` next, which counts
            repetitions from 0: of all folds, or of a hold-out.
        description: one sentence.
        licence: licence of the data.
        citation: source of the data or of their definition.
        tags: words to select the dataset by, as in ``-d 'toy:*'``.
        requires: import names of packages that ``split`` needs.
        default_in: names of commands that use the dataset unless the user names one; see
            `DEFAULT_IN`.
        columns: the columns of its table, for `harness show`; empty if they are not known.
        notes: sentences that `harness run` prints before it begins.
        repeats: number of repeats of a complete evaluation, such as the number of folds; 0 if any
            number will do. The user may ask for another.
    """

    name: str
    kind: SplitKind
    split: Callable[..., Split]
    description: str = ""
    licence: str = ""
    citation: str = ""
    tags: tuple[str, ...] = ()
    requires: tuple[str, ...] = ()
    default_in: tuple[str, ...] = ()
    columns: tuple[Column, ...] = ()
    notes: tuple[str, ...] = ()
    repeats: int = 0


@dataclass(frozen=True, slots=True)
class Setting:
    """What a model learns about a trial before it gets the data.

    Args:
        seed: seed for all random choices of the classifier.
        device: name of the device to compute on, such as ``cpu`` or ``cuda:0``.
        n_features: number of columns of the X that ``fit`` will get.
        n_classes: number of classes K; the labels are 0..K-1.
        categorical: indices of the columns that hold categories; empty unless the model takes
            categories (``Needs(numeric=False)``).
    """

    seed: int
    device: str
    n_features: int
    n_classes: int
    categorical: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Needs:
    """The input that a model needs; the harness fits this preparation on the training part only.

    Args:
        dtype: dtype of X if all columns are numbers.
        scaled: whether columns are scaled to mean 0 and standard deviation 1.
        finite: whether missing values are filled in (median; most frequent category).
        numeric: whether categories are one-hot encoded. If not, and if there are categorical
            columns, X is an array of objects in which these columns hold strings.
        frame: whether X is a DataFrame with the columns' names. Numbers have the dtype above, and
            categorical columns pandas' type ``category``; they are not one-hot encoded.
        positive: whether columns are moved to the range from 0 to 1, by their smallest and largest
            values, and rows beyond these are clipped; instead of ``scaled``.
    """

    dtype: Literal["float32", "float64"] = "float64"
    scaled: bool = False
    finite: bool = True
    numeric: bool = True
    frame: bool = False
    positive: bool = False

    @property
    def preparation(self) -> str | None:
        """The value of `PREPARE` that leaves these needs as they are; None if there is none."""
        if self.frame:
            return "frame"
        if self.positive or not self.numeric:
            return None
        return "scaled" if self.scaled else "raw"

    def prepared(self, preparation: str) -> Needs:
        """The same needs with another preparation, one of `PREPARATIONS`."""
        return replace(
            self,
            scaled=preparation == "scaled",
            frame=preparation == "frame",
            numeric=True,
            positive=False,
        )


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """A named recipe for a classifier.

    Args:
        name: kebab-case, library first, unique among the models of all plugins.
        make: called as ``make(setting, **parameters)``. Its keyword parameters and their defaults
            are the model's parameters.
        needs: the input that it needs.
        devices: kinds of devices that it can use, such as ``("cpu", "cuda")``.
        description: one sentence.
        tags: words to select the model by, as in ``-m 'linear:*'``.
        requires: import names of packages that ``make`` needs.
        baseline: whether every run includes it, whatever was selected.
        fit_together: fits several classifiers in one call, ``fit_together(classifiers, Xs, ys,
            monitors)``. ``make`` has made them with the same parameters, and the Xs have the same
            shape. Each classifier must end up as its own ``fit`` would leave it, ready to predict.
            Only for models whose ``fit`` takes ``monitor``.
        reference: called as ``make`` is; returns a classifier that trains in the same way, in a
            straightforward implementation. The model's training time is compared with it.
        epochs: name of the parameter of ``make`` that sets the number of epochs; empty if there is
            none. Timings use it to shorten fits.
        hidden_activations: whether the classifier has a method ``hidden_activations(X)``, which
            returns the activations (n_rows, n_units) of each hidden layer.
        default_in: names of commands that use the model unless the user names one; see
            `DEFAULT_IN`.
        notes: sentences that `harness run` prints before it begins.
        by_default: whether it runs without being selected; False if it is slow.
        obstacle: why it cannot be made, in one line: of a class that the user named and that cannot
            be imported. Empty for other models.
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
    epochs: str = ""
    hidden_activations: bool = False
    default_in: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    by_default: bool = True
    obstacle: str = ""

    def chosen(self, choice: Choice) -> Model:
        """The same model, with the preparation of its input that a user has chosen."""
        preparation = dict(choice.parameters).get(PREPARE)
        if preparation is None:
            return self
        requires = (*self.requires, "pandas") if preparation == "frame" else self.requires
        return replace(self, needs=self.needs.prepared(str(preparation)), requires=requires)


GIVEN_TO_METRICS = ("sample_weight", "class_names")
"""Keyword arguments that a metric's function gets if it takes them."""


@dataclass(frozen=True, slots=True, eq=False)
class Metric:
    """A named score of predictions.

    Args:
        name: kebab-case, unique among the metrics of all plugins.
        score: called as ``score(y, P, **parameters)``, with labels y (n,) of 0..K-1 and
            probabilities P (n, K), a row's sum being 1; or, if ``of`` is ``labels``, with the
            predicted labels (n,) in place of P. Returns a number; or the values (n,) of the rows,
            whose mean is the score: then there are confidence intervals and tests over rows, too.
            If it takes them, it gets the keyword arguments ``class_names``, a tuple of K names, and
            ``sample_weight`` (n,), None without weights. With weights, the score is the weighted
            mean of the rows' values. Its other keyword parameters and their defaults are the
            metric's parameters, as in ``--metric f1[positive=yes]``.
        of: ``probabilities`` or ``labels``: what the score is computed from.
        greater_is_better: whether a larger value is a better one.
        low: the smallest possible value.
        high: the largest possible value.
        description: one sentence.
        tags: words to select the metric by.
        requires: import names of packages that ``score`` needs.
    """

    name: str
    score: Callable[..., Any]  # returns a float or an array, and takes parameters of its own
    of: Literal["probabilities", "labels"] = "probabilities"
    greater_is_better: bool = True
    low: float = 0.0
    high: float = 1.0
    description: str = ""
    tags: tuple[str, ...] = ()
    requires: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Kernel:
    """A softmax implementation.

    Args:
        name: kebab-case, library first.
        prepare: ``prepare(array, device)`` converts a NumPy array (n_samples, n_classes) to the
            kernel's own array on the device.
        run: the timed call: ``run(prepared)`` returns the probabilities as the kernel's own array.
        collect: converts the result of ``run`` to a NumPy array.
        devices: kinds of devices that it can use.
        description: one sentence.
        stable: whether its probabilities are correct even for logits near -1e7.
        requires: import names of packages that it needs.
        by_default: whether it is timed without being named; False if preparing it takes long.
        default_in: names of commands that use the kernel unless the user names one; see
            `DEFAULT_IN`.
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
    default_in: tuple[str, ...] = ()

    def __call__(self, logits: Array, device: str = "cpu") -> Array:
        """The probabilities of logits; both are NumPy arrays (n_samples, n_classes)."""
        return self.collect(self.run(self.prepare(logits, device)))


@dataclass(frozen=True, slots=True, eq=False)
class Device:
    """A place to compute on.

    Args:
        name: ``cpu``, or kind and index, such as ``cuda:0``.
        description: the device's product name.
        synchronize: returns when the device has finished all its work.
        copier: ``copier(array)`` moves a NumPy array to the device and returns a function that
            copies it once within the device. The time of that copy is a lower bound for reading
            and writing such an array.
        evictor: returns a function that overwrites the device's caches.
        elapsed: ``elapsed(call, n)`` returns the seconds of each of n calls, measured by the
            device's own clock.
        dtypes: the numeric types that the device supports.
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
    """An option of a report: ``--NAME VALUE`` on the command line, a keyword of ``render``.

    Args:
        name: kebab-case; in the keyword, underscores replace the hyphens.
        default: the value if the option is not given. Its type decides which values the option
            takes: for True or False it is a flag; for a number, a number or a percentage such as
            ``2%``; for a tuple, texts, one each time that the option is given; else a text.
        description: one sentence.
        choices: the allowed values; empty allows any.
        short: one letter as the short form of the option.
        metric: whether the value names a metric, as ``--metric`` does; the frames then show it.
    """

    name: str
    default: OptionValue = None
    description: str = ""
    choices: tuple[str, ...] = ()
    short: str = ""
    metric: bool = False


FOLDER = "folder"
"""The format of reports that are a folder of files; ``harness publish`` writes it."""


@dataclass(frozen=True, slots=True, eq=False)
class Report:
    """A named view of a run's results; it reads only from the store.

    Args:
        name: kebab-case.
        tables: ``tables(frames, **options)`` returns the report as DataFrames by name, each ready
            to be written as CSV.
        render: ``render(frames, format, **options)`` returns a rich renderable for ``rich``; for
            `FOLDER` the files of a folder, a mapping of relative paths (``data/iris.csv``) to
            bytes; and text or bytes for other formats.
        formats: the formats that ``render`` takes, the default first.
        description: one sentence.
        options: the report's options.
        after_runs: whether it is printed at the end of each run; requires the format ``rich``.
    """

    name: str
    tables: Callable[..., Mapping[str, pd.DataFrame]]
    render: Callable[..., Any]
    formats: tuple[str, ...] = ("rich", "markdown", "csv", "json", "latex")
    description: str = ""
    options: tuple[Option, ...] = ()
    after_runs: bool = False

    @property
    def defaults(self) -> dict[str, OptionValue]:
        """Keywords of ``tables`` and ``render``, each with its option's default."""
        return {option.name.replace("-", "_"): option.default for option in self.options}


@dataclass(frozen=True, slots=True)
class Wanted:
    """A selection of what a picture shows.

    Each field is a stored name, or a glob with ``*`` and ``?``; None selects everything.

    Args:
        model: a model; in a history the subject, which is a model or a kernel.
        dataset: a dataset; in a history the case.
        device: a device's name.
        measure: a measure, for a history only.
    """

    model: str | None = None
    dataset: str | None = None
    device: str | None = None
    measure: str | None = None

    def __str__(self) -> str:
        """The selection as text.

        >>> str(Wanted(model="torch-*", dataset="iris")), str(Wanted())
        ('torch-* on iris', 'any model on any dataset')
        """
        suffix = "" if self.device in (None, "cpu") else f" @ {self.device}"
        return f"{self.model or 'any model'} on {self.dataset or 'any dataset'}{suffix}"


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """A named kind of picture.

    Args:
        name: kebab-case.
        draw: called as ``draw(source, wanted)`` with a `Wanted`; returns a
            `harness.sheets.drawing.Drawing`. The source is the `Frames` of a run, or for the
            history a sequence of `harness.analysis.history.Segment`. It raises a `HarnessError` if
            there is nothing to draw, or if the selection is ambiguous.
        description: one sentence.
        scope: what one picture shows: a ``pairing`` of a dataset and a model, any part of a
            ``run``, or the ``history``.
        shows_metrics: whether it draws the first of the chosen metrics (`Frames.metrics`); if not,
            ``harness plot`` refuses ``--metric``.
    """

    name: str
    draw: Callable[..., Any]
    description: str = ""
    scope: Literal["pairing", "run", "history"] = "pairing"
    shows_metrics: bool = False


@dataclass(frozen=True, slots=True, order=True)
class Choice:
    """A dataset or model by name, with the parameters that differ from their defaults."""

    name: str
    parameters: tuple[tuple[str, Value], ...] = ()

    def __str__(self) -> str:
        """The name with its parameters in brackets.

        >>> str(Choice("torch-mlp", (("epochs", 500), ("hidden", (64, 64)))))
        'torch-mlp[epochs=500,hidden=64x64]'
        """
        if not self.parameters:
            return self.name
        return f"{self.name}[{','.join(f'{k}={written(v)}' for k, v in self.parameters)}]"

    @property
    def arguments(self) -> dict[str, Value]:
        """What a model's ``make`` gets: the parameters except `PREPARE`."""
        return {name: value for name, value in self.parameters if name != PREPARE}

    def of_all_rows(self) -> Choice:
        """The same dataset without ``train_size``, that is with all training rows."""
        return Choice(
            self.name,
            tuple(parameter for parameter in self.parameters if parameter[0] != TRAIN_SIZE),
        )


NAME = r"[A-Za-z0-9]+([._-][A-Za-z0-9]+)*"
"""Pattern of the names that plugins give."""

_FOLDS = re.compile(r"([1-9]\d{0,5})-fold")


def folds_in(kind: SplitKind | None) -> int:
    """The number of folds of a kind of split; 0 for a kind without folds.

    >>> folds_in("10-fold"), folds_in("fresh"), folds_in(None)
    (10, 0, 0)
    """
    return _folds_in(kind) if isinstance(kind, str) else 0  # in pandas, None may be NaN


@lru_cache
def _folds_in(kind: str) -> int:
    match = _FOLDS.fullmatch(kind)
    return int(match[1]) if match else 0


def is_kind(kind: object) -> bool:
    """Whether this is a valid kind of dataset.

    >>> is_kind("fixed"), is_kind("5-fold"), is_kind("1-fold")
    (True, True, False)
    """
    return isinstance(kind, str) and (kind in KINDS_WITHOUT_FOLDS or folds_in(kind) >= 2)


KINDS_WITHOUT_FOLDS = ("fresh", "resampled", "fixed")

AUTO = "auto"
"""Stands for a number of repeats: the run adds repeats as needed, see AUTO_REPEATS."""

AUTO_REPEATS = (5, 10, 20, 40)
"""Numbers of repeats after which a run with automatic repeats checks whether it needs more."""

TRAIN_SIZE = "train_size"
"""The parameter that every dataset has: the number of training rows that a model is fitted on."""

PREPARE = "prepare"
"""The parameter that every model has: how the harness prepares its input."""

PREPARATIONS = ("raw", "scaled", "frame")
"""Values of `PREPARE`: one-hot encoded with numbers as they are, or scaled; or a DataFrame."""


def written(value: Value) -> str:
    """A parameter's value as text, in the form that users write between brackets.

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
    """One fit and its scores: a dataset, a model with its parameters, a device and a repeat.

    ``seed`` is the run's seed. The split's seed and the model's seed are derived from it with
    ``numpy.random.SeedSequence``. The split's seed does not depend on the model, so that every
    model gets the same split and comparisons are paired. If the dataset has ``n_folds`` folds,
    ``n_folds`` consecutive repeats are one repetition of cross-validation.
    """

    dataset: Choice
    model: Choice
    device: str
    repeat: int
    seed: int
    n_folds: int = 0

    @property
    def key(self) -> str:
        """The trial's identity within a run; it does not depend on the order of the trials."""
        identity = [str(self.dataset), str(self.model), self.device, self.repeat, self.seed]
        return hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:16]

    @property
    def split_seed(self) -> int:
        """Seed of the split: by dataset (with parameters) and repeat; all folds share one seed.

        The seed does not depend on ``train_size``: smaller training parts come from the same split,
        so that learning curves are paired.
        """
        draw = self.repeat // self.n_folds if self.n_folds else self.repeat
        return _spawn(self.seed, "split", str(self.dataset.of_all_rows()), draw)

    @property
    def model_seed(self) -> int:
        """Seed of the model: by dataset, model and repeat.

        Only the model's name counts, so that its parameter settings are compared with equal seeds.
        """
        return _spawn(self.seed, "model", str(self.dataset), self.model.name, self.repeat)


def _spawn(seed: int, *words: object) -> int:
    """A seed derived from another seed and words; 32 bits, which every library accepts."""
    from numpy.random import SeedSequence  # `harness --help` is quicker without NumPy

    digest = hashlib.sha256(json.dumps(words).encode()).digest()
    entropy = [seed, *(int.from_bytes(digest[i : i + 4], "little") for i in range(0, 16, 4))]
    return int(SeedSequence(entropy).generate_state(1)[0])


@dataclass(frozen=True, slots=True)
class Skip:
    """A pairing of a dataset and a model that is not run, and the reason."""

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
        traceback: the Python traceback; empty if there is none.
        output: the end of the trial's output.
    """

    kind: str
    reason: str
    traceback: str = ""
    output: str = ""


@dataclass(frozen=True, slots=True)
class Seconds:
    """The seconds of each step of a trial: rough, because trials run in parallel.

    They serve to plan runs. To compare speed, use a `Timing`.

    Args:
        imports: importing the packages that the model requires, once per process.
        make: constructing the classifier.
        fit: fitting, without the time that the harness took to score epochs.
        first_predict: the first ``predict_proba`` on the test part, for all rows together.
        predict: the later calls of ``predict_proba``: the median, per row.
        together: the number of repeats fitted in one call; ``fit`` is an equal share of its time.
    """

    imports: float
    make: float
    fit: float
    first_predict: float
    predict: float
    together: int = 1


@dataclass(frozen=True, slots=True)
class Memory:
    """The bytes that a trial took; NaN where they are unknown.

    Args:
        peak: the most memory at once, of the trial's process and all processes that it started,
            beyond what it had when it was forked from the process that had imported its plugin.
        device_peak: the most memory that torch allocated on CUDA devices.
        model: the length of the fitted classifier's pickle.
    """

    peak: float = math.nan
    device_peak: float = math.nan
    model: float = math.nan


UNMEASURED = Memory()


@dataclass(frozen=True, slots=True)
class TracePoint:
    """The likelihoods on the training part and the test part after an epoch."""

    epoch: int
    train_likelihood: float
    test_likelihood: float


@dataclass(frozen=True, slots=True, eq=False)
class Predictions:
    """The predicted probabilities of each test row, and what follows from them.

    Args:
        true: (n_test,) uint16, the true class.
        predicted: (n_test,) uint16, the most probable class.
        log_probability: (n_test,) float32, natural logarithm of the probability of the true class,
            clipped as in the NLL.
        confidence: (n_test,) float32, the probability of the predicted class.
        brier: (n_test,) float32, the squared error, summed over classes.
        probabilities: (n_test, n_classes) float32; None in results that were stored without them.
        class_names: (n_classes,), names of the classes; empty without probabilities.
        weights: (n_test,) float32, the rows' weights; None if every row counts the same.
    """

    true: NDArray[np.uint16]
    predicted: NDArray[np.uint16]
    log_probability: NDArray[np.float32]
    confidence: NDArray[np.float32]
    brier: NDArray[np.float32]
    probabilities: NDArray[np.float32] | None = None
    class_names: tuple[str, ...] = ()
    weights: NDArray[np.float32] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Sketch:
    """A fitted classifier's decision regions, for pictures; see `harness.trials.regions`.

    Args:
        class_names: the names of the K classes.
        input_names: names of the axes: one or two inputs, or two principal components with their
            shares of the variance.
        points: (n, n_axes) positions of a sample of test rows.
        rows: (n,) indices of these rows in the test part.
        axes: for each input, the grid values (n_values,) at which the classifier predicted; empty
            for principal components.
        probabilities: (product of the numbers of values, K), predictions at the grid points; the
            first input varies fastest.
        hidden: for each hidden layer, its activations (n_values, n_units) along the only input.
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
    """The result of a trial: its scores and times, or its failure; plain values only.

    ``n_repeated`` is the number of test rows that also occur in the training part. ``identifiers``
    are the columns in which nearly every training row has a category of its own. ``drawn`` is a
    digest of the split; empty if none was drawn.
    ``fit_weighted`` tells whether the model was fitted with the weights of the training rows; it is
    None if they have none. ``read`` has digests of what the model's process read, by path
    (`harness.processes.reading`).
    """

    trial: Trial
    status: Status
    split_kind: SplitKind | None = None
    n_train: int | None = None
    n_test: int | None = None
    n_repeated: int | None = None
    identifiers: tuple[str, ...] = ()
    drawn: str = ""
    scores: Mapping[str, float] = field(default_factory=dict)
    seconds: Seconds | None = None
    memory: Memory = UNMEASURED
    fit_weighted: bool | None = None
    trace: tuple[TracePoint, ...] = ()
    predictions: Predictions | None = None
    sketch: Sketch | None = None
    failure: Failure | None = None
    read: Mapping[str, str] = field(default_factory=dict)


TO_PREDICT, RUNNING = LEFT = ("left_to_predict_seconds", "left_running_seconds")
"""Figures that reveal a fit that leaves work for later: the seconds by which the first prediction
takes longer than the next, and the processor time used after the fit while the classifier is
idle."""


class TimedCall(StrEnum):
    """What a workload does within the clock."""

    SOFTMAX = "softmax"
    COPY = "copy"
    FIT = "fit"
    TOGETHER = "together"
    REFERENCE = "reference"
    PREDICT = "predict"
    PREDICT_ROW = "predict-row"
    LOGITS = "logits"
    FIT_ONCE = "fit-once"
    TOGETHER_ONCE = "together-once"
    REFERENCE_ONCE = "reference-once"

    @property
    def once(self) -> TimedCall | None:
        """The same fit with a single epoch; None for calls that are no whole fit."""
        return _ONCE.get(self)

    @property
    def whole(self) -> TimedCall:
        """The fit of which this is a single epoch; otherwise the call itself."""
        return next((whole for whole, once in _ONCE.items() if once is self), self)


_ONCE = {
    TimedCall.FIT: TimedCall.FIT_ONCE,
    TimedCall.TOGETHER: TimedCall.TOGETHER_ONCE,
    TimedCall.REFERENCE: TimedCall.REFERENCE_ONCE,
}


class WorkloadKey(NamedTuple):
    """What identifies a workload: see `Timing`."""

    kind: TimedCall
    subject: str
    case: str
    device: str


@dataclass(frozen=True, slots=True, eq=False)
class Timing:
    """The timing of a workload on a device: samples of seconds per call, grouped by process.

    Args:
        kind: a `TimedCall`: ``softmax``, ``copy``, ``fit``, ``together``, ``reference``,
            ``predict``, ``predict-row``, or ``logits`` (a softmax of a pairing's own logits). For
            the three fits, the ending ``-once`` means a single epoch.
        subject: the kernel or the model, with its parameters in brackets.
        case: the input: a dataset, or shape, dtype and state of the caches.
        device: the device's name.
        threads: number of threads that libraries could use.
        status: ``ok``; ``wrong`` (wrong output) or ``failed`` (an exception), both not timed; or
            ``unfinished`` (the time budget was used up).
        reason: why the status is not ``ok``.
        samples: seconds per call, a tuple for each process, in the order of measurement.
        calls: number of calls in one sample, the largest over the processes.
        figures: additional measurements: plain numbers by name.
        measured: when the run began that took the timing, if that was an earlier run (UTC, ISO
            8601); empty otherwise.
        anchor: name of the anchor that the times are best compared with; empty without anchors.
        anchors: undisturbed seconds of each anchor by its name, a number for each process of
            ``samples``. An anchor is a fixed workload that the process timed in turns with the
            others; see `harness.timing.anchors`.
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
    measured: str = ""
    anchor: str = ""
    anchors: Mapping[str, tuple[float, ...]] = field(default_factory=dict)

    @property
    def key(self) -> WorkloadKey:
        """What was timed."""
        return WorkloadKey(TimedCall(self.kind), self.subject, self.case, self.device)


@dataclass(frozen=True, slots=True)
class Point:
    """One measurement of a history: a time or a score of one subject at one date.

    Args:
        measure: ``softmax``, ``fit`` or ``predict``; a metric; or ``time``, from another tool.
        subject: kernel or model, with its parameters in brackets.
        case: the input, as in `Timing`.
        device: the device's name.
        time: date and time of the measurement, UTC, ISO 8601.
        revision: revision of the code, followed by + if there were uncommitted changes; for a
            bridge, the previous anchor.
        machine: the machine that measured; ratios of two machines are not compared.
        anchor: the version of the code that the time is relative to; empty for scores and for
            absolute times.
        source: ``ab``, ``run``, ``bridge`` (a comparison of an anchor with the previous anchor), or
            the name of a tool.
        value: for a time with an anchor, log(time / anchor's time); for a time without, log of the
            seconds; else the score.
        low: lower end of the value's 95% confidence interval; NaN if unknown.
        high: upper end of that interval.
        seconds: the time itself; NaN if unknown.
        n: number of pairs, processes or repeats that were averaged.
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
        """The series that the point belongs to."""
        return self.measure, self.subject, self.case, self.device


@dataclass(frozen=True, slots=True)
class Planned:
    """A pairing that a run was to try, and how often; skipped pairings are not planned.

    Args:
        dataset: the dataset, with its parameters in brackets, as in `Frames.results`.
        model: the model, likewise.
        device: the device's name.
        repeats: number of repeats, from repeat 0.
        baseline: whether the model is a baseline.
    """

    dataset: str
    model: str
    device: str
    repeats: int
    baseline: bool


@dataclass(frozen=True, slots=True)
class Run:
    """One invocation of the harness: its times, its request and its environment's fingerprint.

    Args:
        id: number in the store.
        name: the user's name for the run, or empty.
        started: UTC, ISO 8601.
        finished: UTC, ISO 8601; None if the run is not finished or was interrupted.
        asked: the request: all that is needed to plan the same trials again.
        environment: see `harness.store.environment.fingerprint`.
        n_trials: number of planned trials, including skips.
        planned: the planned pairings, in the order of their trials. Empty if the run is a bench, or
            if it is not known, because the run was stored before schema 6.
        joined: ids of several runs that were put together as this one; else empty.
    """

    id: int
    name: str
    started: str
    finished: str | None
    asked: Mapping[str, Any]  # JSON
    environment: Mapping[str, Any]  # JSON
    n_trials: int
    planned: tuple[Planned, ...] = ()
    joined: tuple[int, ...] = ()

    @property
    def kind(self) -> Literal["trials", "bench"]:
        """``trials``, or ``bench`` if the run took only timings."""
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
        """How many interim looks at the results the tables' significance marks correct for."""
        return len(AUTO_REPEATS) if self.asked.get("repeats") == AUTO else 1


@dataclass(frozen=True, slots=True, eq=False)
class Frames:
    """One run as DataFrames: the only input of a report.

    Args:
        run: the run itself.
        results: one row per trial, in the planned order of the trials. Columns:
            ``result_id``, ``run_id`` (of the run that ran the trial: an earlier run if its result
            was known), ``dataset`` and ``model`` (with parameters in brackets), ``device``,
            ``repeat``, ``split_seed`` and ``model_seed`` (as in `Trial`), ``status`` (``ok``,
            ``failed``, ``timeout``, ``crashed``, ``skipped``), ``split_kind`` (``fresh``,
            ``resampled``, ``fixed``, or cross-validation such as ``10-fold``; None if the trial
            ended before the split), ``baseline`` (bool),
            ``n_train``, ``n_test``, ``n_repeated`` (number of test rows that also occur in the
            training part), ``identifiers`` (a text that lists the columns in which nearly every
            row has a category of its own; None if there are none), ``fit_weighted`` (whether the
            fit took the weights of the training rows; None if they have none); scores (NaN unless
            ``ok``; with the weights of the test rows):
            ``accuracy``, ``nll``, ``nll_sd`` (over the test rows), ``likelihood``, ``brier``,
            ``balanced_accuracy``, ``auc``, ``ece``, ``clipped`` (number of test rows whose true
            class got probability 0), ``train_likelihood``, ``n_effective`` (how many test rows of
            equal weight tell as much; NaN without weights); seconds: ``import_seconds``,
            ``make_seconds``, ``fit_seconds``, ``first_predict_seconds`` (the whole test part),
            ``predict_seconds`` (per row), ``fitted_together`` (number of repeats fitted in one
            call; ``fit_seconds`` is a share of its time); bytes, NaN if unknown, as in `Memory`:
            ``peak_bytes`` and ``device_peak_bytes`` (of all repeats fitted in one call together),
            ``model_bytes``; ``failure_kind``, ``reason``, ``traceback``, ``output`` (None unless
            the trial failed).
        traces: called without arguments; columns ``result_id``, ``epoch``, ``train_likelihood``,
            ``test_likelihood``.
        predictions: called with result ids; columns ``result_id``, ``row`` (0..n_test-1, in the
            same order for every model on a dataset and repeat), ``true``, ``predicted``,
            ``log_probability``, ``confidence``, ``brier``, ``weight`` (1 without weights).
        timings: one row per workload: ``kind``, ``subject``, ``case``, ``device``, ``threads``,
            ``status``, ``reason``, ``calls``, ``measured`` as in `Timing`; seconds per call (NaN
            unless ``ok``): ``median``, ``minimum``, ``third_quartile``, ``low`` and ``high`` (95%
            confidence interval over processes), ``p99`` (median over processes); ``n_processes``,
            ``n_samples``; ``samples``, ``anchor`` and ``anchors`` as in `Timing`; ``ratio``, the
            time / the anchor's (each the tenth percentile of a process's samples; median over
            processes), with its 95% confidence interval ``ratio_low`` and ``ratio_high``;
            ``bridge``, which is ``day`` or ``machine`` if the timing was taken on another day or
            machine than the newest run's (then the interval includes how much ratios differ
            between days or machines), else empty; and a column for each figure.
        sketches: called with result ids; the sketches by id, for those results that have one: only
            first repeats do.
        history: called without arguments; the points that `harness track` keeps in the store, of
            all runs, oldest first.
        pictures: the kinds of pictures that plugins offer, by name.
        predicted: called with result ids; each id with its `Predictions`, one after another, in no
            particular order.
        metrics: names of the scores to show, the first of which ranks; empty for the accuracy and
            the likelihood, which ranks. Those that are not columns of ``results`` in every run are
            in ``scales``, too.
        scales: by name, the metrics that were computed from the predictions: columns of
            ``results``, NaN where a metric is not defined.
        metric_rows: called with a name of ``scales`` and result ids; the rows' values (n_test,) by
            id, for those metrics and results that have them.
        remarks: lines that every report of these frames shows, such as why a metric is missing.
        sources: lines on the runs that the results come from, if there are several.
        runs: the runs that the results come from, by id, if there are several.
        until: called with a time (``datetime`` with a time zone): the frames of those of the runs
            that started before it. Results that newer ones have replaced since are in them again.
    """

    run: Run
    results: pd.DataFrame
    traces: Callable[[], pd.DataFrame]
    predictions: Callable[[Sequence[int]], pd.DataFrame]
    timings: pd.DataFrame
    sketches: Callable[[Sequence[int]], Mapping[int, Sketch]] = lambda _: {}
    history: Callable[[], Sequence[Point]] = lambda: ()
    pictures: Mapping[str, Picture] = field(default_factory=dict)
    predicted: Callable[[Sequence[int]], Iterable[tuple[int, Predictions]]] = lambda _: ()
    metrics: tuple[str, ...] = ()
    scales: Mapping[str, Metric] = field(default_factory=dict)
    metric_rows: Callable[[str, Sequence[int]], Mapping[int, NDArray[np.float64]]] = (
        lambda _name, _ids: {}
    )
    remarks: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    runs: tuple[Run, ...] = ()
    until: Callable[[datetime], Frames] | None = None
