"""A trial becomes a result, even if the plugins misbehave."""

from __future__ import annotations

import dataclasses
import math
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from doubles import Clock
from hypothesis import given
from hypothesis import strategies as st

import harness
from harness.contract.registry import Origin, Registry, load
from harness.contract.values import Choice, Result, TracePoint, Trial
from harness.errors import DatasetError, UsageError
from harness.trials.regions import POINTS
from harness.trials.trial import TRACE_POINTS, EpochScores, draw, run_trial, trace_of

if TYPE_CHECKING:
    from collections.abc import Callable

Array = np.ndarray[Any, np.dtype[Any]]
X_TRAIN = np.array([[0.0], [1.0], [2.0], [3.0]])
X_TEST = np.array([[0.5], [2.5]])


class Threshold:
    """Predicts class 0 below 1.5 and class 1 above, each with probability .9."""

    def __init__(self, setting: harness.Setting) -> None:
        self.setting = setting

    def fit(self, X: Array, y: Array) -> Any:
        self.X, self.y = X, y

    def predict_proba(self, X: Array) -> Any:
        high = np.where(X[:, 0] > 1.5, 0.9, 0.1)
        return np.column_stack([1 - high, high])


def split(rng: np.random.Generator, **changes: Any) -> harness.Split:
    usual: dict[str, Any] = {
        "X_train": X_TRAIN,
        "y_train": np.array(["low", "low", "high", "high"]),
        "X_test": X_TEST,
        "y_test": np.array(["low", "high"]),
        "class_names": ("low", "high"),
    }
    return harness.Split(**usual | changes)


def run(
    make: Callable[..., Any] = Threshold,
    draw: Callable[..., harness.Split] = split,
    *,
    parameters: tuple[tuple[str, Any], ...] = (),
    requires: tuple[str, ...] = (),
    **options: Any,
) -> Result:
    """The result of a trial of a model and a dataset that are made here."""
    module = ModuleType("mine")
    dataset = harness.Dataset("two", "fixed", draw)
    model = harness.Model("mine", make, requires=requires)
    module.harness_datasets = harness.hookimpl(lambda: [dataset])  # type: ignore[attr-defined]
    module.harness_models = harness.hookimpl(lambda: [model])  # type: ignore[attr-defined]
    registry = Registry([(Origin("mine", "mine", path="mine.py"), module)], [])
    trial = Trial(Choice("two"), Choice("mine", parameters), "cpu", repeat=0, seed=0)
    return run_trial(trial, registry, **{"clock": Clock()} | options)


def failure(result: Result) -> tuple[str, str]:
    assert result.status == "failed"
    assert result.failure is not None
    assert not result.scores
    return result.failure.kind, result.failure.reason


# Good models


def test_a_trial_becomes_scores() -> None:
    result = run()
    assert result.status == "ok"
    assert result.failure is None
    assert (result.split_kind, result.n_train, result.n_test) == ("fixed", 4, 2)
    assert result.scores["accuracy"] == 1
    assert result.scores["likelihood"] == pytest.approx(0.9)
    assert result.scores["train_likelihood"] == pytest.approx(0.9)
    assert result.predictions is not None
    assert result.predictions.predicted.tolist() == [0, 1]


def test_a_model_knows_its_setting_and_parameters_before_it_sees_data() -> None:
    seen: list[Any] = []

    def make(setting: harness.Setting, l2: float = 0.0) -> Threshold:
        seen.append((setting, l2))
        return Threshold(setting)

    trial = run(make, parameters=(("l2", 0.5),)).trial
    assert seen == [
        (harness.Setting(seed=trial.model_seed, device="cpu", n_features=1, n_classes=2), 0.5)
    ]


def test_a_model_gets_integer_labels_and_never_the_test_labels() -> None:
    made: list[Threshold] = []
    run(lambda setting: made.append(Threshold(setting)) or made[0])
    assert made[0].y.tolist() == [0, 0, 1, 1]
    np.testing.assert_array_equal(made[0].X, X_TRAIN)


@pytest.mark.parametrize("part", ["X", "y"])
def test_a_model_that_writes_to_its_training_rows_fails(part: str) -> None:
    class Writes(Threshold):
        def fit(self, X: Array, y: Array) -> Any:
            {"X": X, "y": y}[part][0] = 7

    kind, reason = failure(run(Writes))
    assert kind == "exception"
    assert "read-only" in reason


def test_a_model_that_writes_to_the_test_rows_fails() -> None:
    class Writes(Threshold):
        def predict_proba(self, X: Array) -> Any:
            X += 1
            return super().predict_proba(X)

    assert "read-only" in failure(run(Writes))[1]


def test_classes_give_the_order_of_the_probability_columns() -> None:
    class Reversed(Threshold):
        classes_ = np.array([1, 0])

        def predict_proba(self, X: Array) -> Any:
            return super().predict_proba(X)[:, ::-1]

    assert dict(run(Reversed).scores) == dict(run().scores)


@given(st.permutations(range(4)))
def test_classes_may_be_in_any_order(order: list[int]) -> None:
    """The class of x is x itself, so a misplaced column gives wrong predictions."""

    def draw(rng: Any) -> harness.Split:
        y = np.arange(4)
        X = y[:, None].astype(float)
        return harness.Split(X, y, X, y)

    class Knows(Threshold):
        classes_ = order

        def predict_proba(self, X: Array) -> Any:
            return (np.eye(4)[X[:, 0].astype(int)] * 0.6 + 0.1)[:, order].tolist()

    assert run(Knows, draw).scores["accuracy"] == 1


@pytest.mark.parametrize("classes", [[0, 2], ["a", "b"], [0, 1, 2], [0, 0], [0, "a"], 1])
def test_classes_that_are_not_the_labels_fail_a_trial(classes: Any) -> None:
    made = type("Strange", (Threshold,), {"classes_": classes})
    kind, reason = failure(run(made))
    assert kind == "probabilities"
    assert reason.startswith("classes_ is ")


def test_a_class_that_the_training_part_lacks_has_probability_zero() -> None:
    names = ("low", "middle", "high")
    made: list[Threshold] = []

    def make(setting: harness.Setting) -> Threshold:
        made.append(Threshold(setting))
        return made[-1]

    result = run(make, lambda rng: split(rng, class_names=names))
    assert made[0].setting.n_classes == 2
    assert made[0].y.tolist() == [0, 0, 1, 1]
    assert result.predictions is not None
    assert result.predictions.true.tolist() == [0, 2]
    assert result.predictions.predicted.tolist() == [0, 2]
    assert result.scores["likelihood"] == pytest.approx(0.9)
    assert result.scores["brier"] == pytest.approx(2 * 0.1**2)


def test_a_class_that_the_test_part_lacks_keeps_its_column() -> None:
    draw = lambda rng: split(rng, X_test=X_TEST[:1], y_test=np.array(["low"]))  # noqa: E731
    result = run(Threshold, draw)
    assert result.scores["likelihood"] == pytest.approx(0.9)
    assert "auc" not in result.scores


def test_a_model_that_reuses_one_output_array_is_scored_correctly() -> None:
    class Reuses(Threshold):
        buffer = np.zeros((4, 2))

        def predict_proba(self, X: Array) -> Any:
            self.buffer[: len(X)] = super().predict_proba(X)
            return self.buffer[: len(X)]

    assert dict(run(Reuses).scores) == dict(run().scores)


def test_a_trial_is_reproducible_even_if_the_model_uses_global_generators() -> None:
    class Luck(Threshold):
        def predict_proba(self, X: Array) -> Any:
            high = np.random.uniform(size=len(X))  # noqa: NPY002
            return np.column_stack([1 - high, high])

    first, second = run(Luck).scores, run(Luck).scores
    assert first == second
    assert first["likelihood"] != run().scores["likelihood"]


# Failures


class NoPredictProba:
    def fit(self, X: Array, y: Array) -> Any: ...


def raising(error: Callable[[], BaseException]) -> type[Threshold]:
    class Raises(Threshold):
        def fit(self, X: Array, y: Array) -> Any:
            raise error()

    return Raises


class UnspeakableError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


class UnspeakableDatasetError(DatasetError, UnspeakableError):
    pass


class UnspeakableCode:
    def __repr__(self) -> str:
        raise RuntimeError("no text")


@pytest.mark.parametrize(
    ("error", "kind", "reason"),
    [
        (lambda: ValueError("bad\n  shape"), "exception", "ValueError: bad shape"),
        (lambda: AssertionError(), "exception", "AssertionError"),
        (lambda: KeyboardInterrupt(), "exception", "KeyboardInterrupt"),
        (lambda: GeneratorExit(), "exception", "GeneratorExit"),
        (lambda: SystemExit(3), "exit", "called sys.exit (SystemExit: 3)"),
        (lambda: SystemExit(), "exit", "called sys.exit (SystemExit)"),
        (
            lambda: SystemExit(UnspeakableCode()),
            "exit",
            "called sys.exit (SystemExit: (its text cannot be read))",
        ),
        (lambda: UnspeakableError(), "exception", "UnspeakableError: (its text cannot be read)"),
        (
            lambda: UnspeakableDatasetError(),
            "dataset",
            "UnspeakableDatasetError: (its text cannot be read)",
        ),
        (lambda: UsageError("two\nlines"), "exception", "two lines"),
    ],
)
def test_any_exception_in_fit_becomes_a_failed_result(
    error: Callable[[], BaseException], kind: str, reason: str
) -> None:
    result = run(raising(error))
    assert failure(result) == (kind, reason)
    assert result.failure is not None
    assert "in fit" in result.failure.traceback
    assert result.split_kind == "fixed"


def test_a_reason_is_short_even_if_the_text_is_long() -> None:
    for error in (ValueError("x" * 10**6), SystemExit("x" * 10**6)):
        assert len(failure(run(raising(lambda error=error: error)))[1]) <= 520


def test_any_exception_in_make_becomes_a_failed_result() -> None:
    def make(setting: harness.Setting) -> Any:
        raise ValueError("no such setting")

    assert failure(run(make)) == ("exception", "ValueError: no such setting")


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        (NoPredictProba(), "TypeError: 'mine' made a NoPredictProba without predict_proba"),
        (None, "TypeError: 'mine' made a NoneType without fit"),
        (SimpleNamespace(fit=1), "TypeError: 'mine' made a SimpleNamespace without fit"),
    ],
)
def test_a_value_that_is_not_a_classifier_fails_with_the_reason(made: Any, reason: str) -> None:
    assert failure(run(lambda setting: made)) == ("exception", reason)


@pytest.mark.parametrize(
    ("P", "reason"),
    [
        ([[0.5, 0.5]], "of shape (1, 2) for 2 rows and 2 classes"),
        ([[0.5, 0.5], [0.5, 0.6]], "do not sum to 1 in 1 of 2 rows"),
        ([[NAN := float("nan"), 1], [0.5, 0.5]], "are not finite in 1 of 2 rows"),
        (None, "of shape () for 2 rows"),
    ],
)
def test_invalid_probabilities_fail_a_trial(P: Any, reason: str) -> None:
    class Wrong(Threshold):
        def predict_proba(self, X: Array) -> Any:
            return P

    kind, reason_given = failure(run(Wrong))
    assert kind == "probabilities"
    assert reason in reason_given


def test_wrong_probabilities_of_the_training_rows_fail_a_trial() -> None:
    class Wrong(Threshold):
        def predict_proba(self, X: Array) -> Any:
            return super().predict_proba(X) * (1 if len(X) == 2 else 2)

    assert failure(run(Wrong))[0] == "probabilities"


def broken(rng: Any) -> harness.Split:
    raise OSError("no such file")


@pytest.mark.parametrize(
    ("draw", "reason"),
    [
        (broken, "dataset 'two': split raised OSError: no such file"),
        (lambda rng: None, "dataset 'two': split gave a NoneType, not a harness.Split"),
        (
            lambda rng: split(rng, y_test=np.array(["low", "lower"])),
            "dataset 'two': label 'lower' is none of the classes low, high",
        ),
        (
            lambda rng: split(rng, X_train=np.array([["red"]] * 4, dtype=object)),
            "dataset 'two': column 'x0' is not declared categorical but holds a value that is ",
        ),
        (
            lambda rng: split(rng, y_train=[object()] * 4, class_names=()),
            "dataset 'two': the labels cannot be put in order",
        ),
    ],
)
def test_a_broken_dataset_is_the_dataset_s_failure(
    draw: Callable[..., harness.Split], reason: str
) -> None:
    kind, reason_given = failure(run(Threshold, draw))
    assert kind == "dataset"
    assert reason_given.startswith(reason)


def test_a_dataset_that_exits_becomes_a_failed_result() -> None:
    def exits(rng: Any) -> harness.Split:
        raise SystemExit(1)

    assert failure(run(Threshold, exits))[0] == "dataset"


def test_a_package_that_does_not_import_fails_a_trial() -> None:
    kind, reason = failure(run(requires=("no_such_package",)))
    assert kind == "exception"
    assert "No module named 'no_such_package'" in reason


def test_a_debugger_gets_the_exception_itself() -> None:
    seen: list[BaseException] = []
    error = ValueError("look")
    result = run(raising(lambda: error), on_failure=seen.append)
    assert seen == [error]
    assert result.status == "failed"


# Seconds


def test_each_call_has_its_own_seconds() -> None:
    clock = Clock()

    class Slow(Threshold):
        calls = 0

        def __init__(self, setting: harness.Setting) -> None:
            super().__init__(setting)
            clock.sleep(1)

        def fit(self, X: Array, y: Array) -> Any:
            clock.sleep(20)

        def predict_proba(self, X: Array) -> Any:
            self.calls += 1
            clock.sleep(0.5 if self.calls == 1 else 0.002)
            return super().predict_proba(X)

    seconds = run(Slow, clock=clock).seconds
    assert seconds is not None
    assert dataclasses.asdict(seconds) == pytest.approx(
        {
            "imports": 0,
            "make": 1,
            "fit": 20,
            "first_predict": 0.5,
            "predict": 0.001,
            "together": 1,
        }
    )


@pytest.mark.parametrize(("each", "n_calls"), [(0.0, 7), (0.01, 7), (0.03, 4), (10.0, 3)])
def test_a_slow_predict_is_not_called_again_for_a_better_median(each: float, n_calls: int) -> None:
    """One call is for the scores, one for the training rows; more follow only if time allows."""
    clock, calls = Clock(), []

    class Counts(Threshold):
        def predict_proba(self, X: Array) -> Any:
            calls.append(len(X))
            clock.sleep(each)
            return super().predict_proba(X)

    run(Counts, clock=clock)
    # The last call, on the grid of a picture, does not count.
    assert len([n for n in calls if n != POINTS]) == n_calls


def test_fit_seconds_do_not_include_scoring_epochs() -> None:
    clock = Clock()

    class Epochs(Threshold):
        def fit(self, X: Array, y: Array, monitor: Any = None) -> Any:
            for epoch in range(1, 11):
                clock.sleep(1)
                monitor(epoch, self.predict_log_proba)

        def predict_log_proba(self, X: Array) -> Any:
            clock.sleep(100)
            return np.log(super().predict_proba(X))

    result = run(Epochs, clock=clock)
    assert result.seconds is not None
    assert result.seconds.fit == pytest.approx(10)
    assert len(result.trace) == 10


# Traces


class Learner(Threshold):
    """Reports epochs with increasing certainty."""

    def __init__(self, epochs: range) -> None:
        self.epochs = epochs

    def fit(self, X: Array, y: Array, *, monitor: Any = None) -> Any:
        for epoch in self.epochs:
            certainty = 1 - 0.5 / (1 + epoch)
            monitor(
                epoch,
                lambda X, p=certainty: np.log(
                    np.where((X > 1.5) == [False, True], p, 1 - p).reshape(-1, 2)
                ),
            )


def traced(*epochs: int) -> list[int]:
    result = run(lambda setting: Learner(range(*epochs)))
    assert result.failure is None
    return [point.epoch for point in result.trace]


@pytest.mark.parametrize("n", [1, 5, 199, 200])
def test_all_of_a_few_epochs_are_kept(n: int) -> None:
    assert traced(1, n + 1) == list(range(1, n + 1))


@pytest.mark.parametrize(
    ("n", "stride"), [(201, 2), (400, 2), (401, 4), (402, 4), (800, 4), (10_000, 64)]
)
def test_many_epochs_are_thinned_evenly_and_the_last_is_kept(n: int, stride: int) -> None:
    kept = traced(1, n + 1)
    assert len(kept) <= TRACE_POINTS
    assert kept == [*range(stride, n, stride), n]


@given(st.integers(1, 3000), st.integers(0, 50), st.integers(1, 30))
def test_a_trace_of_any_number_of_epochs_is_evenly_spaced_and_complete(
    n_calls: int, first: int, step: int
) -> None:
    """Also for a model that reports only odd epochs, such as 1, 11 and 21."""
    epochs = [first + step * i for i in range(n_calls)]
    prepared = SimpleNamespace(X_train=X_TRAIN, y_train=[0] * 4, X_test=X_TEST)
    scores = EpochScores(prepared, [0, 0], Clock())  # type: ignore[arg-type]
    for epoch in epochs:
        scores(epoch, lambda X: np.zeros((len(X), 2)))
    kept = [point.epoch for point in trace_of(scores.points, scores.last_epoch, 1.0, 1.0)]
    assert min(n_calls, TRACE_POINTS // 2) <= len(kept) <= TRACE_POINTS
    assert kept[-1] == epochs[-1]
    assert set(kept) <= set(epochs)
    gaps = np.diff(kept[:-1])
    assert len(set(gaps.tolist())) <= 1


def test_a_trace_has_the_likelihoods_of_both_parts_and_ends_with_the_finished_classifier() -> None:
    result = run(lambda setting: Learner(range(1, 4)))
    assert result.trace[:2] == (
        TracePoint(1, pytest.approx(0.75), pytest.approx(0.75)),
        TracePoint(2, pytest.approx(1 - 1 / 6), pytest.approx(1 - 1 / 6)),
    )
    assert result.trace[2] == TracePoint(
        3, result.scores["train_likelihood"], result.scores["likelihood"]
    )


def test_a_trace_holds_plain_values_for_epochs_of_any_integer_type() -> None:
    class Counts(Threshold):
        def fit(self, X: Array, y: Array, monitor: Any = None) -> Any:
            for epoch in np.arange(1, 4):
                monitor(epoch, lambda X: np.zeros((len(X), 2), np.float32))

    for point in run(Counts).trace:
        assert [type(value) for value in dataclasses.astuple(point)] == [int, float, float]


def test_the_likelihood_of_a_diverged_epoch_is_kept_as_nan() -> None:
    class Diverges(Threshold):
        def fit(self, X: Array, y: Array, monitor: Any = None) -> Any:
            for epoch in (1, 2):
                monitor(epoch, lambda X: np.full((len(X), 2), np.nan))

    trace = run(Diverges).trace
    assert math.isnan(trace[0].train_likelihood)
    assert trace[1].train_likelihood == pytest.approx(0.9)


def test_a_fit_without_a_monitor_parameter_gets_no_monitor() -> None:
    class Takes(Threshold):
        def fit(self, X: Array, y: Array, **others: Any) -> Any:
            assert not others

    result = run(Takes)
    assert result.status == "ok"
    assert result.trace == ()


def test_a_monitor_that_is_never_called_leaves_no_trace() -> None:
    assert traced(1, 1) == []


def test_an_exception_in_predict_log_proba_of_a_monitored_fit_fails_the_trial() -> None:
    class Wrong(Threshold):
        def fit(self, X: Array, y: Array, monitor: Any = None) -> Any:
            monitor(1, lambda X: np.zeros(len(X)))

    assert failure(run(Wrong))[0] == "exception"


def test_parts_of_the_training_rows_are_nested_and_have_every_class() -> None:
    dataset = load().datasets["iris"]
    whole = draw(dataset, 3, {})
    parts = [draw(dataset, 3, {"train_size": n}) for n in (1, 10, 40, 10_000)]
    assert [len(part.y_train) for part in parts] == [3, 10, 40, len(whole.y_train)]
    rows = [{tuple(row) for row in part.X_train.tolist()} for part in parts]
    assert rows[0] <= rows[1] <= rows[2] <= rows[3]
    assert all(len(part.trained) == 3 for part in parts)
    for part in parts:
        assert np.array_equal(part.X_test, whole.X_test)


def test_a_dataset_s_own_parameter_train_size_goes_to_the_dataset() -> None:
    def split(rng: np.random.Generator, train_size: int = 7) -> harness.Split:
        X = rng.normal(size=(train_size, 1))
        return harness.Split(X, np.arange(train_size) % 2, X, np.arange(train_size) % 2)

    drawn = draw(harness.Dataset("mine", "fresh", split), 0, {"train_size": 9})
    assert len(drawn.y_train) == 9
