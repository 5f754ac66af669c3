"""Rows with weights: in the split, in fits, in scores, in intervals, and on the command line."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from command_line import complaint_of, harness_in
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import StackingClassifier, VotingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

import harness
from harness.contract.values import Choice, Trial
from harness.errors import DatasetError
from harness.statistics.rows import effective, linearised
from harness.statistics.scores import RowScores, cells, compare, interval
from harness.store.database import Store
from harness.store.frames import load_frames
from harness.trials import scoring
from harness.trials.executors.local import run_isolated
from harness.trials.metrics import computed
from harness.trials.preparation import encode
from harness.trials.trial import weights_keyword

if TYPE_CHECKING:
    from pathlib import Path

LONG = 60.0  # seconds; no trial here takes this long, even on a busy machine


# Scores


@settings(max_examples=40)
@given(st.integers(0, 10**6), st.integers(2, 60), st.integers(2, 5))
def test_weighted_scores_equal_scikit_learn_s(seed: int, n: int, K: int) -> None:
    rng = np.random.default_rng(seed)
    P = rng.dirichlet(np.ones(K), n).round(2) + 0.01  # with ties
    P /= P.sum(axis=1, keepdims=True)
    y = np.concatenate([np.arange(K), rng.integers(K, size=n)])[:n] % K
    w = rng.choice([0.0, 0.5, 1.0, 7.25], n) + (np.arange(n) < 2)
    scores = scoring.score(P, y, w)
    labels, predicted = np.arange(K), P.argmax(axis=1)
    nll = metrics.log_loss(y, P, labels=labels, sample_weight=w)
    expected = {
        "accuracy": metrics.accuracy_score(y, predicted, sample_weight=w),
        "nll": nll,
        "likelihood": np.exp(-nll),
        "brier": np.average(np.square(P - np.eye(K)[y]).sum(axis=1), weights=w),
    }
    present = [k for k in range(K) if w[y == k].sum() > 0]
    expected["balanced_accuracy"] = np.mean(
        [metrics.recall_score(y == k, predicted == k, sample_weight=w) for k in present]
    )
    if len(present) > 1:
        expected["auc"] = np.mean(
            [metrics.roc_auc_score(y == k, P[:, k], sample_weight=w) for k in present]
        )
    assert {name: scores[name] for name in expected} == pytest.approx(expected, abs=1e-12)
    assert scores["n_effective"] == pytest.approx(w.sum() ** 2 / (w**2).sum())


@given(st.integers(0, 10**6))
def test_whole_weights_are_as_good_as_repeated_rows(seed: int) -> None:
    rng = np.random.default_rng(seed)
    P, y, w = rng.dirichlet(np.ones(3), 30), np.arange(30) % 3, rng.integers(1, 4, 30)
    weighted = scoring.score(P, y, w.astype(float))
    repeated = scoring.score(np.repeat(P, w, axis=0), np.repeat(y, w))
    same = set(repeated) - {"nll_sd", "clipped"}
    assert {k: weighted[k] for k in same} == pytest.approx({k: repeated[k] for k in same})


def test_equal_weights_change_nothing() -> None:
    rng = np.random.default_rng(0)
    P, y = rng.dirichlet(np.ones(3), 50), np.arange(50) % 3
    plain, weighted = scoring.score(P, y), scoring.score(P, y, np.full(50, 2.5))
    assert weighted == pytest.approx(plain | {"n_effective": 50})


def test_metrics_of_plugins_are_weighted_or_say_that_they_cannot_be() -> None:
    rng = np.random.default_rng(0)
    P, y, w = rng.dirichlet(np.ones(3), 60), np.arange(60) % 3, rng.uniform(0.1, 4, 60)
    rows = scoring.predictions(P, y, ("a", "b", "c"), w)
    right = harness.Metric("right", lambda y, P: P.argmax(axis=1) == y)
    total = harness.Metric("total", lambda y, P: float((P.argmax(axis=1) == y).mean()))
    own = harness.Metric(
        "own",
        lambda y, predicted, sample_weight=None: metrics.f1_score(
            y, predicted, average="macro", sample_weight=sample_weight
        ),
        "labels",
    )
    by_row, lost, scalar = (computed(metric, {}, {7: rows}) for metric in (right, total, own))
    expected = scoring.score(P, y, w)["accuracy"]
    assert by_row.scores[7] == pytest.approx(expected, abs=1e-6)
    assert by_row.rows[7].mean() == pytest.approx(expected, abs=1e-6)
    assert lost.faults == {7: "takes no sample_weight, but the test rows have weights"}
    f1 = metrics.f1_score(y, P.argmax(axis=1), average="macro", sample_weight=w)
    assert scalar.scores[7] == pytest.approx(f1, abs=1e-6)


# Rows as a sample


def test_linearised_rows_have_the_weighted_mean_and_its_variance() -> None:
    """Over many samples of rows, the variance of the weighted mean is that of the rows, by n."""
    rng = np.random.default_rng(0)
    x, w = rng.exponential(size=(4000, 200)), rng.uniform(0.1, 3, size=(4000, 200))
    rows = [linearised(*sample) for sample in zip(x, w, strict=True)]
    means = (x * w).sum(axis=1) / w.sum(axis=1)
    assert np.allclose([row.mean() for row in rows], means)
    predicted = np.mean([row.var(ddof=1) / 200 for row in rows])
    assert predicted == pytest.approx(means.var(), rel=0.1)
    assert linearised(x[0], None).tolist() == x[0].tolist()


def results_of(skills: dict[str, float], weights: Any, n: int = 400) -> Any:
    """A made-up run on a fixed split: accuracies, losses and rows of two models."""
    rng = np.random.default_rng(1)
    rows, predicted = [], []
    for i, (model, skill) in enumerate(skills.items()):
        loss = rng.exponential(2 - skill, n)
        right = loss < math.log(2)
        rows.append(
            {"result_id": i, "dataset": "d", "model": model, "device": "cpu", "repeat": 0}
            | {"status": "ok", "split_kind": "fixed", "n_train": 100, "n_test": n}
            | {"accuracy": np.average(right, weights=weights), "brier": 0.5}
            | {"nll": np.average(loss, weights=weights)}
            | {"nll_sd": linearised(loss, weights).std(ddof=1)}
            | {"n_effective": math.nan if weights is None else effective(weights)}
        )
        predicted.append(
            pd.DataFrame(
                {"result_id": i, "row": np.arange(n), "true": 0, "predicted": ~right}
                | {"log_probability": -loss, "brier": loss}
                | {"weight": np.ones(n) if weights is None else weights}
            )
        )
    frame = pd.concat(predicted)
    read = RowScores(lambda ids: frame[frame["result_id"].isin(list(ids))])
    return cells(pd.DataFrame(rows)), read


def test_weighted_rows_widen_intervals_and_comparisons_as_kish_says() -> None:
    """The weights are unequal, but have nothing to do with the losses: only n shrinks."""
    w = np.where(np.arange(400) % 4 == 0, 10.0, 1.0)
    widths, errors = {}, {}
    for name, weights in (("plain", None), ("weighted", w)):
        by_key, rows = results_of({"good": 1.6, "bad": 1.0}, weights)
        good, bad = by_key["d", "good", "cpu"], by_key["d", "bad", "cpu"]
        widths[name] = [
            (found := interval(good, score)).high - found.low for score in ("accuracy", "nll")
        ]
        compared = [compare(good, bad, score, rows) for score in ("accuracy", "nll")]
        errors[name] = [found.high - found.low for found in compared]
        assert compared[0].basis == (
            "McNemar's exact test" if weights is None else "paired t over test rows"
        )
    expected = math.sqrt(400 / effective(w))
    for wide, plain in zip(
        widths["weighted"] + errors["weighted"], widths["plain"] + errors["plain"], strict=True
    ):
        assert wide / plain == pytest.approx(expected, rel=0.15)


# Splits


def split(**changes: Any) -> harness.Split:
    X = np.arange(12.0).reshape(6, 2)
    usual = {"X_train": X, "y_train": [0, 1] * 3, "X_test": X[:4] + 0.5, "y_test": [0, 1] * 2}
    return harness.Split(**usual | changes)


@pytest.mark.parametrize(
    ("weights", "complaint"),
    [
        ([1.0] * 5, "the training part has 6 rows but weights of shape (5,); give one a row"),
        ([1, 1, -2, 1, 1, 1], "the weight of row 2 of the training part is -2"),
        ([1, math.nan, 1, 1, 1, 1], "the weight of row 1 of the training part is missing"),
        ([1, None, 1, 1, 1, 1], "the weight of row 1 of the training part is missing"),
        ([1, 1, 1, 1, 1, math.inf], "the weight of row 5 of the training part is inf"),
        ([0] * 6, "all weights of the training part are 0; at least one must be larger"),
        (["a"] * 6, "the weights of the training part are not all numbers"),
    ],
)
def test_faulty_weights_are_one_line(weights: Any, complaint: str) -> None:
    with pytest.raises(DatasetError) as refused:
        encode(split(weights_train=weights))
    assert str(refused.value).startswith(complaint)
    assert "\n" not in str(refused.value)


def test_weights_stay_with_their_rows() -> None:
    X, y = np.arange(40.0)[:, None], np.arange(40) % 2
    for parts in (
        harness.resample(X, y, np.random.default_rng(0), weights=X[:, 0]),
        harness.folds(X, y, np.random.default_rng(0), 1, n_folds=4, weights=X[:, 0]),
    ):
        encoded = encode(parts)
        for rows, weights in (
            (encoded.X_train, encoded.weights_train),
            (encoded.X_test, encoded.weights_test),
        ):
            assert weights is not None
            assert weights.tolist() == rows[:, 0].tolist()
        few = encoded.learning_from(np.array([3, 5, 6, 8]))
        assert few.weights_train is not None
        assert few.weights_train.tolist() == few.X_train[:, 0].tolist()


def test_a_smaller_training_part_without_any_weight_is_refused() -> None:
    encoded = encode(split(weights_train=[0, 0, 0, 0, 0, 1.0]))
    with pytest.raises(DatasetError, match="all weights of the training part are 0"):
        encoded.learning_from(np.arange(4))


# Fits


@pytest.mark.parametrize(
    ("classifier", "keyword"),
    [
        (LogisticRegression(), "sample_weight"),
        (KNeighborsClassifier(), ""),
        (
            make_pipeline(StandardScaler(), LogisticRegression()),
            "logisticregression__sample_weight",
        ),
        (make_pipeline(StandardScaler(), KNeighborsClassifier()), ""),
        (
            make_pipeline(StandardScaler(), make_pipeline(LogisticRegression())),
            "pipeline__logisticregression__sample_weight",
        ),
        (VotingClassifier([("a", LogisticRegression()), ("b", "drop")]), "sample_weight"),
        (VotingClassifier([("a", LogisticRegression()), ("b", KNeighborsClassifier())]), ""),
        (StackingClassifier([("a", GaussianNB())]), "sample_weight"),
        (StackingClassifier([("a", GaussianNB())], KNeighborsClassifier()), ""),
        (CalibratedClassifierCV(LinearSVC()), "sample_weight"),
        (CalibratedClassifierCV(KNeighborsClassifier()), ""),
        (object(), ""),
    ],
)
def test_the_argument_for_weights_is_found_by_the_signature(classifier: Any, keyword: str) -> None:
    assert weights_keyword(classifier) == keyword
    if keyword:
        X, y = np.arange(20.0)[:, None], np.arange(20) % 2
        classifier.fit(X, y, **{keyword: np.ones(20)})


PLUGIN = """
import numpy as np
import harness

def split(rng):
    X = rng.normal(size=(60, 2))
    y = (X[:, 0] > 0).astype(int)
    return harness.Split(X[:40], y[:40], X[40:], y[40:],
                         weights_train=1.0 + y[:40] * 8, weights_test=1.0 + np.arange(20))

@harness.hookimpl
def harness_datasets():
    yield harness.Dataset("weighted", "fresh", split)

class Shares:
    def fit(self, X, y, sample_weight=None, monitor=None):
        self.shares = np.bincount(y, sample_weight) / sum(sample_weight)

    def predict_proba(self, X):
        return np.tile(self.shares, (len(X), 1))

def together(classifiers, Xs, ys, monitors):
    raise AssertionError("this way, classifiers get no weights")

@harness.hookimpl
def harness_models():
    yield harness.Model("shares", lambda setting: Shares(), fit_together=together)
"""


@pytest.fixture
def plugin(tmp_path: Path) -> str:
    file = tmp_path / "weighted.py"
    file.write_text(PLUGIN)
    return str(file)


def test_a_fit_gets_the_weights_and_scores_and_store_have_them(plugin: str, tmp_path: Path) -> None:
    models = ("prior", "numpy-softmax")
    trials = [Trial(Choice("weighted"), Choice(model), "cpu", 0, 0) for model in models]
    with_store = Store(str(tmp_path / "harness.db"), create=True)
    run = with_store.begin("", {}, {}, len(trials))
    for i, result in enumerate(run_isolated(trials, [plugin], jobs=1, seconds=LONG)):
        assert result.failure is None
        with_store.add(run, i, result, baseline=False)
    frames = load_frames(with_store, run)
    with_store.close()
    results = frames.results.set_index("model")
    assert results["fit_weighted"].to_dict() == {"prior": True, "numpy-softmax": False}
    data = encode(_split_of(plugin, trials[0]))
    shares = np.bincount(data.y_train, data.weights_train)
    shares /= shares.sum()
    expected = scoring.score(np.tile(shares, (20, 1)), data.y_test, data.weights_test)
    for name, value in expected.items():
        assert results.loc["prior", name] == pytest.approx(value)
    rows = frames.predictions([int(results.loc["prior", "result_id"])])
    assert rows["weight"].tolist() == list(range(1, 21))
    traced = frames.traces().groupby("result_id")["test_likelihood"].last().iloc[0]
    assert traced == pytest.approx(results.loc["numpy-softmax", "likelihood"])


def test_repeats_with_weights_are_fitted_one_by_one(plugin: str) -> None:
    trials = [
        Trial(Choice("weighted"), Choice(model), "cpu", repeat, 0)
        for model in ("shares", "prior")
        for repeat in range(2)
    ]
    batch = trials[:2]
    results = list(run_isolated(trials, [plugin], batches=[batch], jobs=1, seconds=LONG))
    scores = {(str(r.trial.model), r.trial.repeat): r.scores for r in results}
    for repeat in range(2):
        assert scores["shares", repeat] == scores["prior", repeat]
    assert {result.fit_weighted for result in results} == {True}
    assert {result.seconds.together for result in results if result.seconds} == {1}


def _split_of(plugin: str, trial: Trial) -> harness.Split:
    space: dict[str, Any] = {}
    with open(plugin, encoding="utf-8") as file:  # noqa: PTH123
        exec(file.read(), space)
    given: harness.Split = space["split"](np.random.default_rng(trial.split_seed))
    return given


# Files


def table(folder: Path, weights: list[Any], name: str = "t.csv") -> None:
    n = len(weights)
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"x": rng.normal(size=n), "w": weights, "y": np.arange(n) % 2})
    frame.to_csv(folder / name, index=False)


def test_a_column_of_weights_is_no_feature_and_the_report_says_who_ignored_it(
    tmp_path: Path,
) -> None:
    table(tmp_path, [1 + i % 3 for i in range(60)])
    words = ("-d", "t.csv", "--target", "y", "--weights", "w")
    done = harness_in(
        tmp_path, "run", *words, "-m", "numpy-softmax", "--no-timing", "-r", "2", "-v"
    )
    assert done.status == 0
    assert "uses 1 of 2 columns" in done.remarks
    printed = " ".join(done.printed.split())
    assert (
        "numpy-softmax: its fit takes no sample_weight, so it was fitted without the weights of t; "
        "its scores are weighted."
    ) in printed
    assert "prior: its fit takes no" not in printed
    assert "Every score and interval is weighted" in printed
    shown = harness_in(tmp_path, "show", "t.csv[target=y,weights=w]")
    assert "the weights" in shown.printed


@pytest.mark.parametrize(
    ("weights", "complaint"),
    [
        ([1] * 9 + [-1], "t.csv, column 'w': the weight -1 in line 11 is no finite number from 0"),
        ([1] * 9 + ["inf"], "t.csv, column 'w': the weight inf in line 11 is no finite number"),
        ([1] * 9 + ["much"], "t.csv, column 'w': the weight much in line 11 is no finite number"),
        ([1, None] + [1] * 8, "t.csv, column 'w': 1 value is missing, first in line 3"),
        ([0] * 10, "t.csv, column 'w': all weights are 0; at least one must be larger"),
    ],
)
def test_faulty_weights_in_a_file_are_one_line(
    tmp_path: Path, weights: list[Any], complaint: str
) -> None:
    table(tmp_path, weights)
    done = harness_in(tmp_path, "run", "-d", "t.csv[target=y,weights=w]", "--no-timing")
    assert complaint in complaint_of(done)


def test_the_weights_of_a_file_follow_its_way_of_splitting(tmp_path: Path) -> None:
    import harness_files

    n = 40
    x = np.linspace(0.5, 9.7, n)
    frame = pd.DataFrame({"x": x, "w": x + 1, "y": np.arange(n) % 2, "when": np.arange(n)})
    frame["part"] = np.where(np.arange(n) < 30, "train", "test")
    frame.to_parquet(tmp_path / "t.parquet")
    for options in ({}, {"cv": "4"}, {"time": "when"}, {"split": "part"}):
        given = {"target": "y", "weights": "w", **options}
        (dataset,) = harness_files.open_file(str(tmp_path / "t.parquet"), name="t", **given)
        place = (0,) if "cv" in options else ()
        encoded = encode(dataset.split(np.random.default_rng(0), *place))
        assert "w" not in encoded.feature_names
        for X, w in (
            (encoded.X_train, encoded.weights_train),
            (encoded.X_test, encoded.weights_test),
        ):
            assert w is not None
            assert w.tolist() == (X[:, encoded.feature_names.index("x")] + 1).tolist()
