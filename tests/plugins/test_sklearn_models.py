from __future__ import annotations

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
from harness.contract.parameters import parameters_of
from harness.trials.preparation import encode, prepare

if TYPE_CHECKING:
    from collections.abc import Iterator

MODELS = {model.name: model for model in harness_sklearn.harness_models()}


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """One thread, as in a worker; with more, OpenMP is slow while other tests use the cores."""
    with threadpoolctl.threadpool_limits(1):
        yield


def penguins(needs: harness.Needs) -> Any:
    dataset = next(d for d in harness_classics.harness_datasets() if d.name == "penguins")
    data = encode(dataset.split(np.random.default_rng(0)))
    return prepare(data, needs), data.y_test


PLAIN = {"sklearn-knn-unscaled"}
"""Models that are there for comparison: without scaling, they learn little of penguins."""


def test_slow_models_run_on_request_only() -> None:
    slow = {name for name, model in MODELS.items() if "slow" in model.tags}
    assert slow == {"sklearn-extra-trees", "sklearn-mlp"}
    assert slow == {name for name, model in MODELS.items() if not model.by_default}


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
    assert (first.argmax(axis=1) == y_test).mean() > (0.65 if name in PLAIN else 0.85)


@pytest.mark.parametrize("name", MODELS)
def test_the_harness_reads_a_models_parameters_without_the_seed(name: str) -> None:
    known = parameters_of(MODELS[name].make)
    assert known
    assert "random_state" not in known
    assert "setting" not in known


def test_offering_the_models_does_not_import_scikit_learn() -> None:
    program = (
        "import sys, harness_sklearn; list(harness_sklearn.harness_models())\n"
        "assert not {'numpy', 'sklearn'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
