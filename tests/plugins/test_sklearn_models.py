from __future__ import annotations

import inspect
import pickle
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import harness_classics
import harness_sklearn
import numpy as np
import pandas as pd
import pytest
import threadpoolctl

import harness
from harness import estimator
from harness.contract.parameters import parameters_of
from harness.trials.preparation import encode, prepare

if TYPE_CHECKING:
    from collections.abc import Iterator

MODELS = {model.name: model for model in harness_sklearn.harness_models()}
SETTING = harness.Setting(seed=7, device="cpu", n_features=1, n_classes=2)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """One thread, as in a worker; with more, OpenMP is slow while other tests use the cores."""
    with threadpoolctl.threadpool_limits(1):
        yield


def penguins(needs: harness.Needs) -> Any:
    dataset = next(d for d in harness_classics.harness_datasets() if d.name == "penguins")
    data = encode(dataset.split(np.random.default_rng(0)))
    return prepare(data, needs), data.y_test


def test_the_plugin_offers_six_classifiers() -> None:
    assert set(MODELS) == {
        "sklearn-logistic",
        "sklearn-knn",
        "sklearn-gaussian-nb",
        "sklearn-lda",
        "sklearn-random-forest",
        "sklearn-hist-gradient-boosting",
    }


@pytest.mark.parametrize("name", MODELS)
def test_a_model_learns_penguins_and_the_same_seed_gives_the_same_predictions(name: str) -> None:
    """Models that accept missing values get them; no model warns."""
    model = MODELS[name]
    prepared, y_test = penguins(model.needs)
    assert bool(np.any(pd.isna(prepared.X_train))) != model.needs.finite
    setting = harness.Setting(3, "cpu", prepared.X_train.shape[1], 3)
    first, second = (
        model.make(setting).fit(prepared.X_train, prepared.y_train).predict_proba(prepared.X_test)
        for _ in range(2)
    )
    np.testing.assert_array_equal(first, second)
    assert (first.argmax(axis=1) == y_test).mean() > 0.85


@pytest.mark.parametrize("name", MODELS)
def test_the_harness_reads_a_models_parameters_without_the_seed(name: str) -> None:
    known = parameters_of(MODELS[name].make)
    assert known
    assert "random_state" not in known
    assert "setting" not in known


def test_our_defaults_are_in_the_signature_and_reach_the_constructor() -> None:
    make = estimator("sklearn.neighbors:KNeighborsClassifier", n_neighbors=15)
    parameters = inspect.signature(make).parameters
    assert next(iter(parameters)) == "setting"
    assert parameters["n_neighbors"].default == 15
    assert parameters["weights"].default == "uniform"
    made: Any = make(SETTING, weights="distance")
    assert (made.n_neighbors, made.weights) == (15, "distance")


def test_a_constructor_that_takes_a_seed_gets_the_seed_of_the_setting() -> None:
    forest: Any = estimator("sklearn.ensemble:RandomForestClassifier")(SETTING)
    assert forest.random_state == 7
    assert not hasattr(estimator("sklearn.naive_bayes:GaussianNB")(SETTING), "random_state")


def test_a_parameter_accepts_other_types_than_that_of_its_default() -> None:
    known = parameters_of(estimator("sklearn.ensemble:RandomForestClassifier"))
    assert known["max_features"].parse("0.5") == 0.5
    assert known["max_features"].parse("log2") == "log2"
    assert known["min_samples_leaf"].parse("0.1") == 0.1
    assert known["n_estimators"].parse("10") == 10
    assert known["bootstrap"].parse("false") is False


class Base:
    def __init__(self, depth: int = 3, random_state: int | None = None) -> None:
        self.depth, self.random_state = depth, random_state


class HandsTheRestOn(Base):
    """Passes further arguments to its base class, like XGBoost's classifier."""

    def __init__(self, *, objective: str = "softmax", **rest: Any) -> None:
        super().__init__(**rest)
        self.objective = objective


class Quiet(HandsTheRestOn):
    pass


def test_parameters_that_a_constructor_passes_to_its_base_class_are_known_too() -> None:
    sys.modules["strangers"] = type(sys)("strangers")
    sys.modules["strangers"].Quiet = Quiet  # type: ignore[attr-defined]
    make = estimator("strangers:Quiet", depth=5)
    assert [*inspect.signature(make).parameters] == ["setting", "objective", "depth"]
    made: Any = make(SETTING, objective="hinge")
    assert (made.depth, made.random_state, made.objective) == (5, 7, "hinge")
    del sys.modules["strangers"]


def test_a_recipe_can_be_pickled_and_shows_what_it_is() -> None:
    make = estimator("sklearn.naive_bayes:GaussianNB", var_smoothing=0.1)
    again = pickle.loads(pickle.dumps(make))
    assert repr(again) == "estimator('sklearn.naive_bayes:GaussianNB', var_smoothing=0.1)"


def test_offering_the_models_does_not_import_scikit_learn() -> None:
    program = (
        "import sys, harness_sklearn; list(harness_sklearn.harness_models())\n"
        "assert not {'numpy', 'sklearn'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
