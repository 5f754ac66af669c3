"""Models that need DataFrames get them: the columns' names, numbers, and pandas' categories."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

import harness
from harness.contract.registry import load
from harness.testing import check_model
from harness.trials.preparation import encode, prepare

if TYPE_CHECKING:
    from pathlib import Path

PLUGIN = """
import numpy as np
import pandas as pd
import harness
from sklearn.ensemble import HistGradientBoostingClassifier


class Boosted(HistGradientBoostingClassifier):
    def fit(self, X, y):
        assert isinstance(X, pd.DataFrame), type(X)
        return super().fit(X, y)


@harness.hookimpl
def harness_models():
    yield harness.Model(
        "boosted",
        lambda setting: Boosted(
            max_iter=20, categorical_features="from_dtype", random_state=setting.seed
        ),
        needs=harness.Needs(frame=True, finite=False),
    )


def split(rng):
    n = 120
    frame = pd.DataFrame({
        "size": rng.normal(size=n),
        "colour": pd.Categorical(rng.choice(["red", "green", None], n)),
    })
    y = ((frame["size"] > 0) ^ (frame["colour"] == "red")).astype(int)
    return harness.resample(frame, y, rng)


@harness.hookimpl
def harness_datasets():
    yield harness.Dataset("stones", kind="resampled", split=split)
"""


def table(n: int = 8) -> harness.Split:
    frame = pd.DataFrame(
        {
            "a": np.arange(n, dtype=float),
            "colour": pd.Categorical(["red", "green"] * (n // 2)),
            "b": np.arange(n, dtype=float) ** 2,
        }
    )
    frame.loc[1, "colour"] = np.nan
    frame.loc[2, "a"] = np.nan
    y = np.arange(n) % 2
    return harness.Split(frame, y, frame[:4], y[:4])


def test_a_frame_has_the_columns_in_their_order_with_their_types() -> None:
    X = prepare(encode(table()), harness.Needs(frame=True, finite=False)).X_train
    assert list(X.columns) == ["a", "colour", "b"]
    assert [str(dtype) for dtype in X.dtypes] == ["float64", "category", "float64"]
    assert X["colour"].isna().tolist() == [False, True, *[False] * 6]
    assert X["colour"].cat.categories.tolist() == ["green", "red"]
    assert np.isnan(X["a"][2])


def test_a_frame_is_filled_in_and_scaled_like_an_array() -> None:
    data = encode(table())
    X = prepare(data, harness.Needs(frame=True, scaled=True, dtype="float32")).X_test
    array = prepare(data, harness.Needs(scaled=True, dtype="float32", numeric=False)).X_test
    assert X["colour"].tolist() == array[:, 1].tolist()
    assert X["a"].dtype == np.float32
    np.testing.assert_allclose(X["a"], array[:, 0].astype(float), rtol=1e-6)


def test_rare_categories_of_a_frame_share_one() -> None:
    names = [f"c{i % 60:02d}" for i in range(240)] + ["c00"] * 10
    frame = pd.DataFrame({"c": pd.Categorical(names)})
    y = np.arange(250) % 2
    X = prepare(encode(harness.Split(frame, y, frame, y)), harness.Needs(frame=True)).X_train
    assert len(X["c"].cat.categories) == 51
    assert (X["c"] == "(other)").sum() == 4 * 10


def test_a_model_that_needs_frames_keeps_the_contract(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(PLUGIN, encoding="utf-8")
    check_model(load([str(tmp_path / "mine.py")]).models["boosted"])


@pytest.mark.parametrize("in_process", [True, False])
def test_a_trial_gets_the_same_frame_in_a_process_of_its_own(
    tmp_path: Path, in_process: bool
) -> None:
    (tmp_path / "mine.py").write_text(PLUGIN, encoding="utf-8")
    outcome = harness.run(
        "stones",
        "boosted",
        repeats=2,
        timing=False,
        plugins=tmp_path / "mine.py",
        store=tmp_path / "s.db",
        in_process=in_process,
    )
    ours = outcome.results[outcome.results["model"] == "boosted"]
    assert ours["status"].tolist() == ["ok", "ok"], ours["reason"].tolist()
    assert ours["accuracy"].min() > 0.8


def test_both_sides_of_a_comparison_get_a_frame(tmp_path: Path) -> None:
    from harness.versions.tasks import as_array

    frame = pd.DataFrame({"a": [1.0], "c": pd.Categorical(["x"])})
    np.savez(tmp_path / "data.npz", X=as_array(frame))
    with np.load(tmp_path / "data.npz", allow_pickle=True) as data:
        back: Any = data["X"].item()
    pd.testing.assert_frame_equal(back, frame)
