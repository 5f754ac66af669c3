"""Checks of models, run on small data of the kind that a model declares to take.

Every check makes its own classifiers and fits as few as it can, so that even a model that takes
seconds to fit sixty rows can be checked.
"""

from __future__ import annotations

import importlib
import inspect
import pickle
import sys
from typing import TYPE_CHECKING

import numpy as np

from harness.contract import registry
from harness.contract.columns import rows_of
from harness.errors import describe
from harness.processes import state
from harness.testing.checks import (
    Check,
    kebab_case_name,
    other_luck,
    require,
    require_defaults,
    run_all,
)
from harness.testing.samples import sample_for
from harness.trials import scoring
from harness.trials.trial import takes_monitor

if TYPE_CHECKING:
    from harness.contract.values import Array, Classifier, Model, PredictLogProba
    from harness.testing.samples import Sample


def check_model(model: Model, *, device: str = "cpu") -> None:
    """Run all of ``MODEL_CHECKS`` on a model.

    Raises:
        AssertionError: some checks failed; the message lists them, one per line.
    """
    run_all("model", model, MODEL_CHECKS, device)


def parameters_have_defaults(model: Model, _device: str = "cpu") -> None:
    """Takes a setting first, and all other parameters have defaults."""
    require(inspect.signature(model.make).parameters, "make takes no setting")
    require_defaults(model.make)


def can_be_made_twice(model: Model, device: str = "cpu") -> None:
    """Can be made twice, and fitting one classifier does not change the other."""
    sample = sample_for(model.needs, device=device)
    first, second = model.make(sample.setting), model.make(sample.setting)
    require(first is not second, "make gives the same object twice")
    first.fit(sample.X_train, sample.y_train)
    before = _predict(first, sample.X_test)
    second.fit(sample.X_train, sample.setting.n_classes - 1 - sample.y_train)
    after = _predict(first, sample.X_test)
    _require_same(after, before, _tolerance(model), "fitting a second classifier changes the first")


def leaves_its_input_alone(model: Model, device: str = "cpu") -> None:
    """Does not change its input arrays, although they are writable."""
    sample = sample_for(model.needs, device=device)
    classifier = model.make(sample.setting)
    X, y = sample.X_train.copy(), sample.y_train.copy()
    classifier.fit(X, y)
    _require_untouched("fit changes X", X, sample.X_train)
    _require_untouched("fit changes y", y, sample.y_train)
    X = sample.X_test.copy()
    _predict(classifier, X)
    _require_untouched("predict_proba changes X", X, sample.X_test)


def gives_valid_probabilities(model: Model, device: str = "cpu") -> None:
    """Predicts probabilities: one column per class, finite, not negative, rows that sum to 1."""
    for categories in {False, model.needs.frame or not model.needs.numeric}:
        sample = sample_for(model.needs, device=device, categories=categories)
        _valid(_fitted(model, sample), sample, sample.X_test)


def same_seed_same_result(model: Model, device: str = "cpu") -> None:
    """Predicts the same for the same seed, in any state of the global random generators."""
    sample = sample_for(model.needs, device=device)
    answers = []
    for salt in (1, 2):
        with other_luck(salt):
            answers.append(_predict(_fitted(model, sample), sample.X_test))
    what = "two classifiers of one seed differ; draw from a generator seeded with setting.seed"
    _require_same(answers[1], answers[0], 0.0, what)


def any_company_of_rows(model: Model, device: str = "cpu") -> None:
    """Predicts the same for a row alone as for the row among others."""
    sample = sample_for(model.needs, device=device)
    classifier = _fitted(model, sample)
    together = _predict(classifier, sample.X_test)
    for rows in (*(slice(i, i + 1) for i in range(5)), slice(None, None, 3)):
        probabilities = _predict(classifier, rows_of(sample.X_test, rows))
        what = f"{len(together[rows])} of {len(together)} rows predicted apart differ"
        _require_same(probabilities, together[rows], _tolerance(model), what)


def gives_its_answers_away(model: Model, device: str = "cpu") -> None:
    """Predicts the same again after the caller has overwritten the returned array."""
    sample = sample_for(model.needs, device=device)
    classifier = _fitted(model, sample)
    before = _predict(classifier, sample.X_test)
    given = np.asarray(classifier.predict_proba(sample.X_test))
    if given.flags.writeable:
        given[...] = np.nan
    after = _predict(classifier, sample.X_test)
    what = "overwriting a returned array changes the next prediction"
    _require_same(after, before, _tolerance(model), what)


def any_order_of_rows(model: Model, device: str = "cpu") -> None:
    """Predicts the same for a row in any order of the rows."""
    sample = sample_for(model.needs, device=device)
    classifier = _fitted(model, sample)
    straight = _predict(classifier, sample.X_test)
    order = np.random.default_rng(0).permutation(len(straight))
    reordered = _predict(classifier, rows_of(sample.X_test, order))
    _require_same(reordered, straight[order], _tolerance(model), "rows in another order differ")


def two_classes(model: Model, device: str = "cpu") -> None:
    """Works with 2 classes, and gives each a column."""
    sample = sample_for(model.needs, 2, device=device)
    _valid(_fitted(model, sample), sample, sample.X_test)


def ten_classes(model: Model, device: str = "cpu") -> None:
    """Works with 10 classes."""
    sample = sample_for(model.needs, 10, device=device)
    _valid(_fitted(model, sample), sample, sample.X_test)


def one_sample(model: Model, device: str = "cpu") -> None:
    """Predicts for a single row."""
    sample = sample_for(model.needs, device=device)
    _valid(_fitted(model, sample), sample, rows_of(sample.X_test, slice(1)))


def any_order_of_labels(model: Model, device: str = "cpu") -> None:
    """Puts each class in its column, in any order of the training labels."""
    sample = sample_for(model.needs, device=device)
    n_classes = sample.setting.n_classes
    # The highest class first, then all classes in turn, so that no batch of rows lacks a class.
    order = np.argsort(-sample.y_train, kind="stable").reshape(n_classes, -1).T.ravel()
    classifier = model.make(sample.setting)
    classifier.fit(rows_of(sample.X_train, order), sample.y_train[order])
    columns = np.asarray(getattr(classifier, "classes_", np.arange(n_classes)))
    known = sorted(columns.tolist()) == list(range(n_classes))
    require(known, f"classes_ is {columns.tolist()}, not the labels 0 to {n_classes - 1}")
    answers = _predict(classifier, sample.X_test)
    for label in range(n_classes):
        means = dict(
            zip(columns.tolist(), answers[sample.y_test == label].mean(axis=0), strict=True)
        )
        likeliest = max(means, key=lambda other: means[other])
        require(
            not means[likeliest] > means[label] + 1e-6,
            f"where labels begin with the highest, rows of class {label} get probability "
            f"{means[likeliest]:.2f} in the column of class {likeliest} and {means[label]:.2f} in "
            "their own",
        )


def keeps_to_its_devices(model: Model, device: str = "cpu") -> str:
    """Works on each kind of device that it declares, and uses no accelerator on the CPU."""
    kinds = model.devices
    require(
        isinstance(kinds, tuple) and kinds and all(str(kind).isidentifier() for kind in kinds),
        f"devices is {kinds!r}, not a tuple of kinds such as ('cpu', 'cuda')",
    )
    require(
        device.partition(":")[0] in kinds,
        f"is checked on {device}, but declares only {', '.join(kinds)}",
    )
    others = set(kinds) - {"cpu"}
    here = {d.kind: d.name for d in registry.load().devices.values()} if others else {}
    tried = {device, *(here[kind] for kind in others & here.keys())}
    for name in sorted(tried):
        sample = sample_for(model.needs, device=name)
        before = _cuda_allocations()
        _valid(_fitted(model, sample), sample, sample.X_test)
        kept = name != "cpu" or _cuda_allocations() == before
        require(kept, "allocates CUDA memory when told to compute on cpu")
    absent = sorted(others - {name.partition(":")[0] for name in tried})
    return f"tried on {', '.join(sorted(tried))}" + "".join(f"; no {kind} here" for kind in absent)


def can_be_pickled(model: Model, device: str = "cpu") -> str | None:
    """Can be pickled after fitting, or raises an error that says why not."""
    sample = sample_for(model.needs, device=device)
    classifier = _fitted(model, sample)
    before = _predict(classifier, sample.X_test)
    try:
        pickled = pickle.dumps(classifier)
    except Exception as error:  # noqa: BLE001  # strangers' __reduce__ may raise anything
        require(str(error), f"cannot be pickled, and {type(error).__name__} does not say why")
        return f"cannot be pickled: says '{describe(error)}'"
    after = _predict(pickle.loads(pickled), sample.X_test)  # noqa: S301  # pickled just above
    _require_same(after, before, _tolerance(model), "the unpickled classifier predicts differently")
    return None


def calls_its_monitor(model: Model, device: str = "cpu") -> str | None:
    """Calls the monitor, if fit takes one, with epochs and log probabilities; learns the same."""
    sample = sample_for(model.needs, device=device)
    classifier = model.make(sample.setting)
    if not takes_monitor(classifier):
        return "takes no monitor"
    epochs: list[int] = []

    def monitor(epoch: int, predict_log_proba: PredictLogProba) -> None:
        require(type(epoch) is int, f"epoch {epoch!r} is a {type(epoch).__name__}, not an int")
        due = epochs[-1] + 1 if epochs else 1
        require(epoch >= due, f"monitor gets epoch {epoch}, but the next is {due} or later")
        epochs.append(epoch)
        # Ever more rarely, because some models of ten thousand epochs would take an hour.
        if len(epochs).bit_count() == 1:
            logs = np.array(predict_log_proba(sample.X_test), dtype=np.float64)
            shape = (len(sample.X_test), sample.setting.n_classes)
            require(logs.shape == shape, f"predict_log_proba gives shape {logs.shape}, not {shape}")
            off = np.abs(np.exp(logs).sum(axis=1) - 1).max()
            require(off <= 1e-4, f"exp(predict_log_proba(X)): the sum of a row is off by {off:.2g}")

    classifier.fit(sample.X_train, sample.y_train, monitor=monitor)  # type: ignore[call-arg]  # it takes one
    require(epochs, "fit takes a monitor but never calls it")
    watched = _predict(classifier, sample.X_test)
    alone = _predict(_fitted(model, sample), sample.X_test)
    _require_same(watched, alone, 0.0, "a monitor changes what fit learns")
    return None


def leaves_the_process_alone(model: Model, device: str = "cpu") -> None:
    """Does not change directory, environment, NumPy's errors, signals or torch's threads."""
    for name in model.requires:
        importlib.import_module(name)
    sample = sample_for(model.needs, device=device)
    before = state.read()
    try:
        _predict(_fitted(model, sample), sample.X_test)
    finally:
        changes = state.restore(before)
    require(not changes, "; ".join(changes))


MODEL_CHECKS = tuple(
    Check.of(function)
    for function in (
        kebab_case_name,
        parameters_have_defaults,
        can_be_made_twice,
        leaves_its_input_alone,
        gives_valid_probabilities,
        same_seed_same_result,
        any_company_of_rows,
        gives_its_answers_away,
        any_order_of_rows,
        two_classes,
        ten_classes,
        one_sample,
        any_order_of_labels,
        keeps_to_its_devices,
        can_be_pickled,
        calls_its_monitor,
        leaves_the_process_alone,
    )
)


def _fitted(model: Model, sample: Sample) -> Classifier:
    classifier = model.make(sample.setting)
    classifier.fit(sample.X_train, sample.y_train)
    return classifier


def _predict(classifier: Classifier, X: Array) -> Array:
    """The probabilities, copied because some classifiers write every answer into one array."""
    return np.array(classifier.predict_proba(X), dtype=np.float64)


def _valid(classifier: Classifier, sample: Sample, X: Array) -> None:
    scoring.check_probabilities(_predict(classifier, X), len(X), sample.setting.n_classes)


def _tolerance(model: Model) -> float:
    return 1e-4 if model.needs.dtype == "float32" else 1e-6


def _require_same(actual: Array, expected: Array, tolerance: float, what: str) -> None:
    shapes = f"{what}: shape {actual.shape}, not {expected.shape}"
    require(actual.shape == expected.shape, shapes)
    same = np.allclose(actual, expected, rtol=0.0, atol=tolerance, equal_nan=True)
    require(same, f"{what}: a probability is off by {np.abs(actual - expected).max():.2g}")


def _require_untouched(what: str, actual: Array, given: Array) -> None:
    # Compared as texts, so that missing values are equal, in arrays of objects, too.
    now, before = (np.asarray(table, dtype=object).astype(str) for table in (actual, given))
    n_changed = np.count_nonzero(now != before)
    require(not n_changed, f"{what}: {n_changed} of {given.size} values differ")


def _cuda_allocations() -> int:
    """How often this process has asked torch for CUDA memory so far."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_available():
        return 0
    n_devices = range(torch.cuda.device_count())
    return sum(torch.cuda.memory_stats(i).get("allocation.all.allocated", 0) for i in n_devices)
