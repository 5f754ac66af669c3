"""The boosters learn from DataFrames with categories and missing values, on one thread."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from typing import Any

import harness_boosters
import harness_classics
import numpy as np
import pandas as pd
import pytest
from harness_boosters.categories import WithCategories

import harness
from harness.processes.threads import give_threads
from harness.trials.preparation import encode, prepare

MODELS = {model.name: model for model in harness_boosters.harness_models()}
SHORT = {"lightgbm": "n_estimators", "xgboost": "n_estimators", "catboost": "iterations"}


@pytest.mark.parametrize("name", MODELS)
def test_a_booster_learns_categories_and_missing_values(
    name: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip(name)
    monkeypatch.chdir(tmp_path)
    dataset = next(d for d in harness_classics.harness_datasets() if d.name == "penguins")
    data = encode(dataset.split(np.random.default_rng(0)))
    prepared = prepare(data, MODELS[name].needs)
    assert prepared.categorical
    assert prepared.X_train.isna().any().any()
    setting = harness.Setting(3, "cpu", prepared.X_train.shape[1], 3, prepared.categorical)
    answers = []
    for _ in range(2):
        made: Any = MODELS[name].make(setting, **{SHORT[name]: 30})
        give_threads(made, 1)
        made.fit(prepared.X_train, prepared.y_train)
        answers.append(made.predict_proba(prepared.X_test))
    np.testing.assert_array_equal(*answers)
    assert (answers[0].argmax(axis=1) == data.y_test).mean() > 0.9
    assert not list(tmp_path.iterdir())


def test_only_installed_boosters_that_are_not_slow_run_by_default() -> None:
    for name in ("lightgbm", "xgboost"):
        assert MODELS[name].by_default == (find_spec(name) is not None)
    assert not MODELS["catboost"].by_default
    assert "slow" in MODELS["catboost"].tags


def test_a_missing_category_is_a_category_of_its_own() -> None:
    class Keeps:
        def fit(self, X: pd.DataFrame, y: object) -> None:
            self.X = X

    inner = Keeps()
    frame = pd.DataFrame({"a": pd.Categorical(["x", None]), "b": [1.0, np.nan]})
    WithCategories(inner, (0,)).fit(frame, np.array([0, 1]))
    assert inner.X["a"].tolist() == ["x", "(missing)"]
    assert inner.X["b"].isna().tolist() == [False, True]


def test_offering_the_boosters_imports_none_of_them() -> None:
    program = (
        "import sys, harness_boosters; list(harness_boosters.harness_models())\n"
        "assert not {'numpy', 'sklearn', 'lightgbm', 'xgboost', 'catboost'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
