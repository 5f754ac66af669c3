"""check_model passes a good model, and names the fault of a wrong model."""

from __future__ import annotations

import os
import random
import sys
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from failed_checks import failed_checks

import harness
import harness.testing
from harness.contract import registry
from harness.testing import MODEL_CHECKS, faulty, sample_for

Array = np.ndarray[Any, np.dtype[Any]]


class Centroids:
    """A minimal model: the softmax of the negative squared distances to the class means."""

    def __init__(self, setting: harness.Setting) -> None:
        self.setting = setting
        self.rng = np.random.default_rng(setting.seed)
        self.bias = np.zeros(1)

    def fit(self, X: Array, y: Array) -> Any:
        X = self.numbers(X)
        self.means = np.array([X[y == k].mean(axis=0) for k in range(self.setting.n_classes)])
        self.means = self.means + self.rng.normal(scale=1e-3, size=self.means.shape)
        return self

    def numbers(self, X: Array) -> Array:
        rows = [[len(v) if isinstance(v, str) else v or 0 for v in row] for row in X.tolist()]
        return np.nan_to_num(np.array(rows, dtype=np.float64))

    def logits(self, X: Array) -> Array:
        distances = ((self.numbers(X)[:, None, :] - self.means) ** 2).sum(axis=2)
        return np.asarray(self.bias - distances)

    def predict_proba(self, X: Array) -> Any:
        P = np.exp(self.logits(X))
        return P / P.sum(axis=1, keepdims=True)


class Monitored(Centroids):
    start = 1

    def fit(self, X: Array, y: Array, monitor: Any = None) -> Any:
        super().fit(X, y)
        for epoch in range(self.start, self.start + 5):
            self.told(monitor, epoch)
        return self

    def told(self, monitor: Any, epoch: int) -> None:
        if monitor:
            monitor(epoch, lambda X: np.log(self.predict_proba(X)))


class SharesWhatItLearned(Centroids):
    shared: Array

    def fit(self, X: Array, y: Array) -> Any:
        super().fit(X, y)
        type(self).shared = self.means
        return self

    def logits(self, X: Array) -> Array:
        self.means = self.shared
        return super().logits(X)


class WritesWhereItCan(Centroids):
    def fit(self, X: Array, y: Array) -> Any:
        super().fit(X, y)
        if X.flags.writeable:
            X[0] += 1
        return self


class WritesWhenItPredicts(Centroids):
    def predict_proba(self, X: Array) -> Any:
        P = super().predict_proba(X)
        if X.flags.writeable:
            X[:2] = 0
        return P


class LuckyNumbers(Centroids):
    def fit(self, X: Array, y: Array) -> Any:
        self.bias = np.full(self.setting.n_classes, random.random() / 10)
        self.bias[0] = 0
        return super().fit(X, y)


class LuckyNumPy(Centroids):
    def fit(self, X: Array, y: Array) -> Any:
        self.bias = np.random.normal(size=self.setting.n_classes) / 10  # noqa: NPY002
        return super().fit(X, y)


class NormalisesTheBatch(Centroids):
    def logits(self, X: Array) -> Array:
        X = self.numbers(X)
        return super().logits(X - X.mean(axis=0) / 100)


class KeepsItsAnswer(Centroids):
    def predict_proba(self, X: Array) -> Any:
        answers: dict[bytes, Any] = self.__dict__.setdefault("answers", {})
        if X.tobytes() not in answers:
            answers[X.tobytes()] = super().predict_proba(X)
        return answers[X.tobytes()]


class CountsRows(Centroids):
    def logits(self, X: Array) -> Array:
        logits = super().logits(X)
        logits[28:] /= 2
        return logits


class OnlyThreeClasses(Centroids):
    def predict_proba(self, X: Array) -> Any:
        return super().predict_proba(X)[:, :3]


class OneColumnForTwoClasses(Centroids):
    def predict_proba(self, X: Array) -> Any:
        P = super().predict_proba(X)
        return P[:, 1] if P.shape[1] == 2 else P


class SqueezesOneRow(Centroids):
    def predict_proba(self, X: Array) -> Any:
        return super().predict_proba(X).squeeze()


class ColumnsAsTheyCome(Centroids):
    def fit(self, X: Array, y: Array) -> Any:
        self.order = list(dict.fromkeys(y.tolist()))
        return super().fit(X, y)

    def predict_proba(self, X: Array) -> Any:
        return super().predict_proba(X)[:, self.order]


class StrangeClasses(Centroids):
    classes_ = ("a", "b", "c")


class LosesItselfInAPickle(Centroids):
    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"means": self.means[::-1]}


class Speechless(Centroids):
    def __reduce__(self) -> Any:
        raise TypeError


class WithLambda(Centroids):
    def fit(self, X: Array, y: Array) -> Any:
        self.link = lambda: None
        return super().fit(X, y)


class NumPyEpochs(Monitored):
    def told(self, monitor: Any, epoch: int) -> None:
        super().told(monitor, np.int64(epoch))  # type: ignore[arg-type]  # the fault


class SameEpoch(Monitored):
    def told(self, monitor: Any, epoch: int) -> None:
        super().told(monitor, 1)


class CountsFromZero(Monitored):
    start = 0


class TellsProbabilities(Monitored):
    def told(self, monitor: Any, epoch: int) -> None:
        if monitor:
            monitor(epoch, self.predict_proba)


class TellsNothing(Monitored):
    def told(self, monitor: Any, epoch: int) -> None: ...


class MindsBeingWatched(Monitored):
    def told(self, monitor: Any, epoch: int) -> None:
        super().told(monitor, epoch)
        self.means = self.means * (1.01 if monitor else 1)


class GoesAway(Centroids):
    def fit(self, X: Array, y: Array) -> Any:
        os.chdir("/")
        os.environ["FAULTY"] = "yes"
        return super().fit(X, y)


def model(make: Any = Centroids, name: str = "toy", **details: Any) -> harness.Model:
    return harness.Model(name, make, **details)


verdicts = partial(failed_checks, MODEL_CHECKS)


NEEDS = (
    harness.Needs(),
    harness.Needs(dtype="float32", scaled=True),
    harness.Needs(finite=False),
    harness.Needs(numeric=False),
    harness.Needs(numeric=False, finite=False, scaled=True),
)


@pytest.mark.parametrize("needs", NEEDS, ids=str)
@pytest.mark.parametrize("make", [Centroids, Monitored])
def test_a_good_model_passes_with_any_needs(make: Any, needs: harness.Needs) -> None:
    harness.testing.check_model(model(make, needs=needs))


@pytest.mark.parametrize("check", MODEL_CHECKS, ids=str)
def test_an_author_can_run_each_check_as_a_separate_test(check: harness.testing.Check) -> None:
    check.run(model())


def test_a_model_that_learns_nothing_passes_too() -> None:
    (nothing,) = (m for m in faulty.harness_models() if m.name == "faulty-none")
    harness.testing.check_model(nothing)


def test_columns_may_have_any_order_given_by_classes() -> None:
    class Reversed(Centroids):
        classes_ = (2, 1, 0)

        def predict_proba(self, X: Array) -> Any:
            return super().predict_proba(X)[:, ::-1]

    assert "any-order-of-labels" not in verdicts(model(Reversed))


def made(instance: Centroids, setting: harness.Setting) -> Centroids:
    return instance


def with_list(setting: harness.Setting, hidden: Any = ([64],)) -> Centroids:
    return Centroids(setting)


def without_default(setting: harness.Setting, depth: int) -> Centroids:
    return Centroids(setting)


ONE = Centroids(sample_for(harness.Needs()).setting)
WRONG = [
    (model(name="My_Model"), {"kebab-case-name"}, "'My_Model' is not kebab-case"),
    (model(with_list), {"parameters-have-defaults"}, "default of 'hidden' is a tuple"),
    (model(SharesWhatItLearned), {"can-be-made-twice"}, "second classifier changes the first"),
    (model(WritesWhereItCan), {"leaves-its-input-alone"}, "fit changes X: 4 of 240 values"),
    (model(WritesWhenItPredicts), {"leaves-its-input-alone"}, "predict_proba changes X: 8 of 120"),
    (model(LuckyNumbers), {"same-seed-same-result"}, "draw from a generator seeded with"),
    (model(LuckyNumPy), {"same-seed-same-result"}, "draw from a generator seeded with"),
    (model(NormalisesTheBatch), {"any-company-of-rows"}, "1 of 30 rows predicted apart differ"),
    (model(KeepsItsAnswer), {"gives-its-answers-away"}, "overwriting a returned array changes"),
    (model(CountsRows), {"any-order-of-rows"}, "rows in another order differ"),
    (model(OnlyThreeClasses), {"ten-classes"}, "(30, 3)"),
    (model(OneColumnForTwoClasses), {"two-classes"}, "(30,)"),
    (model(SqueezesOneRow), {"one-sample", "any-company-of-rows"}, "(3,)"),
    (model(ColumnsAsTheyCome), {"any-order-of-labels"}, "in the column of class 2 and 0.0"),
    (model(StrangeClasses), {"any-order-of-labels"}, "classes_ is ['a', 'b', 'c'], not the labels"),
    (model(devices=()), {"keeps-to-its-devices"}, "devices is (), not a tuple of kinds"),
    (model(devices=("cuda:0",)), {"keeps-to-its-devices"}, "not a tuple of kinds"),
    (model(devices=("quantum",)), {"keeps-to-its-devices"}, "is checked on cpu, but declares only"),
    (model(LosesItselfInAPickle), {"can-be-pickled"}, "unpickled classifier predicts differently"),
    (model(Speechless), {"can-be-pickled"}, "TypeError does not say why"),
    (model(NumPyEpochs), {"calls-its-monitor"}, "is a int64, not an int"),
    (model(SameEpoch), {"calls-its-monitor"}, "monitor gets epoch 1, but the next is 2 or later"),
    (model(CountsFromZero), {"calls-its-monitor"}, "gets epoch 0, but the next is 1 or later"),
    (
        model(TellsProbabilities),
        {"calls-its-monitor"},
        "exp(predict_log_proba(X)): the sum of a row",
    ),
    (model(TellsNothing), {"calls-its-monitor"}, "takes a monitor but never calls it"),
    (model(MindsBeingWatched), {"calls-its-monitor"}, "a monitor changes what fit learns"),
    (model(GoesAway), {"leaves-the-process-alone"}, "FAULTY was None and is 'yes'"),
]


@pytest.mark.parametrize(("wrong", "checks", "reason"), WRONG, ids=[w[2] for w in WRONG])
def test_a_wrong_model_fails_the_check_of_its_fault(
    wrong: harness.Model, checks: set[str], reason: str
) -> None:
    failed = verdicts(wrong)
    assert set(failed) == checks
    assert all(reason in text for text in failed.values())


def test_a_model_that_cannot_be_made_fails_with_the_exception_of_make() -> None:
    assert verdicts(model(without_default))["parameters-have-defaults"] == (
        "parameter 'depth' has no default; give it one"
    )
    assert "same object twice" in verdicts(model(partial(made, ONE)))["can-be-made-twice"]


class OutOfOrderElsewhere(Centroids):
    def fit(self, X: Array, y: Array) -> Any:
        if self.setting.device != "cpu":
            raise OSError(f"out of order: {self.setting.device}")
        return super().fit(X, y)


def test_a_model_is_checked_on_an_available_accelerator(monkeypatch: pytest.MonkeyPatch) -> None:
    plugins = SimpleNamespace(devices={name: harness.Device(name) for name in ("cpu", "quantum:0")})
    monkeypatch.setattr(registry, "load", lambda: plugins)
    (check,) = (check for check in MODEL_CHECKS if check.name == "keeps-to-its-devices")
    kinds = ("cpu", "quantum", "optical")
    assert check.run(model(devices=kinds)) == "tried on cpu, quantum:0; no optical here"
    with pytest.raises(OSError, match="out of order: quantum:0"):
        check.run(model(OutOfOrderElsewhere, devices=kinds))


def test_a_model_on_the_cpu_may_not_allocate_cuda_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    counts = {"allocation.all.allocated": 0}
    cuda = SimpleNamespace(
        is_available=lambda: True, device_count=lambda: 1, memory_stats=lambda _: counts
    )
    torch = SimpleNamespace(
        cuda=cuda,
        get_num_threads=lambda: 1,
        get_default_dtype=lambda: "float32",
        is_grad_enabled=lambda: True,
    )
    monkeypatch.setitem(sys.modules, "torch", torch)

    class Allocates(Centroids):
        def fit(self, X: Array, y: Array) -> Any:
            counts["allocation.all.allocated"] += 1
            return super().fit(X, y)

    (check,) = (check for check in MODEL_CHECKS if check.name == "keeps-to-its-devices")
    assert check.run(model()) == "tried on cpu"
    with pytest.raises(AssertionError, match="allocates CUDA memory when told to compute on cpu"):
        check.run(model(Allocates))


def test_the_message_lists_all_failed_checks_one_per_line() -> None:
    with pytest.raises(AssertionError) as raised:
        harness.testing.check_model(model(WritesWhereItCan, name="Toy"))
    assert str(raised.value).splitlines() == [
        f"model 'Toy' fails 2 of {len(MODEL_CHECKS)} checks:",
        "  kebab-case-name: 'Toy' is not kebab-case: small letters and digits, joined by '-'",
        "  leaves-its-input-alone: fit changes X: 4 of 240 values differ",
    ]


def test_a_model_that_cannot_be_pickled_passes_with_a_remark() -> None:
    (check,) = (check for check in MODEL_CHECKS if check.name == "can-be-pickled")
    assert str(check.run(model(WithLambda))).startswith("cannot be pickled: says '")


def test_a_check_restores_the_state_of_the_process() -> None:
    before = np.geterr(), dict(os.environ), random.getstate(), np.random.get_state()[1].tolist()  # type: ignore[index]  # noqa: NPY002
    (wild,) = (m for m in faulty.harness_models() if m.name == "faulty-changes-error-state")
    (check,) = (check for check in MODEL_CHECKS if check.name == "leaves-the-process-alone")
    with pytest.raises(AssertionError, match="NumPy's error state: divide was 'warn' and is 'rai"):
        check.run(wild)
    next(c for c in MODEL_CHECKS if c.name == "same-seed-same-result").run(model())
    after = np.geterr(), dict(os.environ), random.getstate(), np.random.get_state()[1].tolist()  # type: ignore[index]  # noqa: NPY002
    assert after == before


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("raises", "ValueError: faulty-raises raises"),
        ("unpicklable-exception", "Unpicklable: this exception cannot be pickled"),
        ("wrong-shape", "shape (30, 4)"),
        ("nan", "finite"),
        ("negative", "negative"),
        ("rows-not-one", "do not sum to 1"),
        ("writes-input", "read-only"),
        ("make-fails", "faulty-make-fails makes nothing"),
        ("no-predict-proba", "no attribute 'predict_proba'"),
    ],
)
def test_faulty_models_do_not_give_valid_probabilities(name: str, reason: str) -> None:
    (wrong,) = (m for m in faulty.harness_models() if m.name == f"faulty-{name}")
    assert reason in verdicts(wrong)["gives-valid-probabilities"]


def test_faulty_models_have_names_descriptions_and_no_parameters() -> None:
    models = list(faulty.harness_models())
    assert len({m.name for m in models}) == len(models)
    for wrong in models:
        assert wrong.description
        assert wrong.tags == ("faulty",)
        for check in MODEL_CHECKS[:2]:
            check.run(wrong)
