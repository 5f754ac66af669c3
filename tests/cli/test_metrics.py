"""Scores by name: after a run, of an earlier run, and of metrics that break."""

from __future__ import annotations

import json
import re
import sqlite3
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from command_line import Done, complaint_of, harness_in
from sklearn.metrics import matthews_corrcoef, roc_auc_score

import harness
from harness.store.database import Store, pack, predictions
from harness.store.frames import load_frames

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("known_plugins")

PLUGIN = """
import os, time
import harness
import numpy as np

def raises(y, P):
    raise ValueError("no luck\\nat all")

def gives_nan(y, P):
    return float("nan")

def gives_none(y, P):
    return None

def gives_some_nan(y, P):
    return np.where(np.arange(len(y)) < 3, np.nan, 1.0)

def exits(y, P):
    raise SystemExit(3)

def dies(y, P):
    os._exit(0)

def overwrites(y, P):
    P[:] = 0
    y[:] = 0
    return 1.0

def rows(y, predicted):
    return y == predicted

@harness.hookimpl
def harness_metrics():
    yield harness.Metric("raises", raises)
    yield harness.Metric("gives-nan", gives_nan)
    yield harness.Metric("gives-none", gives_none)
    yield harness.Metric("gives-some-nan", gives_some_nan)
    yield harness.Metric("exits", exits)
    yield harness.Metric("dies", dies)
    yield harness.Metric("a-text", lambda y, P: "high")
    yield harness.Metric("too-long", lambda y, P: np.ones(3))
    yield harness.Metric("beyond", lambda y, P: 2.0)
    yield harness.Metric("overwrites", overwrites)
    yield harness.Metric("right", rows, "labels")
"""


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run of two models on a dataset of three classes."""
    folder = tmp_path_factory.mktemp("measured")
    (folder / "mine.py").write_text(PLUGIN)
    words = ("-d", "iris", "-m", "numpy-softmax", "--in-process", "-r", "3")
    assert harness_in(folder, "run", *words).status == 0
    return folder


@pytest.fixture(scope="module")
def ranked_by_mcc(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Done]:
    """A folder with a run that has a score of its own, and what the run printed."""
    folder = tmp_path_factory.mktemp("mcc")
    words = ("-d", "iris", "-m", "numpy-softmax", "-r", "2", "--metric", "mcc")
    return folder, harness_in(folder, "run", *words)


@pytest.fixture
def store(measured: Path) -> Iterator[Store]:
    with closing(Store(str(measured / "harness.db"))) as opened:
        yield opened


def ranking(folder: Path, *words: str) -> list[dict[str, Any]]:
    done = harness_in(folder, "report", *words, "--format", "json")
    assert done.status == 0, done.remarks
    rows: list[dict[str, Any]] = json.loads(done.printed)["tables"]["ranking"]
    return rows


def test_a_score_of_an_earlier_run_is_scikit_learns_on_its_predictions(
    measured: Path, store: Store
) -> None:
    rows = ranking(measured, "--metric", "mcc", "--metric", "auc")
    frames = load_frames(store, store.find())
    for row in rows:
        results = frames.results[frames.results["model"] == row["model"]]
        kept = dict(frames.predicted(results["result_id"].tolist()))
        expected = [matthews_corrcoef(k.true, k.predicted) for k in kept.values()]
        assert row["mcc"] == pytest.approx(np.mean(expected), abs=1e-6)
        expected = [
            roc_auc_score(k.true, _normal(k.probabilities), multi_class="ovr")
            for k in kept.values()
        ]
        assert row["auc"] == pytest.approx(np.mean(expected), abs=1e-6)


def _normal(P: Any) -> Any:
    return P.astype(np.float64) / P.astype(np.float64).sum(axis=1, keepdims=True)


def test_the_first_score_ranks_and_less_may_be_better(measured: Path) -> None:
    by_ece = ranking(measured, "--metric", "ece", "--metric", "accuracy")
    assert [row["ece"] for row in by_ece] == sorted(row["ece"] for row in by_ece)
    by_auc = ranking(measured, "--metric", "auc")
    assert [row["auc"] for row in by_auc] == sorted((row["auc"] for row in by_auc), reverse=True)
    assert by_auc[0]["rank"] == 1
    assert by_auc[0]["auc_low"] <= by_auc[0]["auc"] <= by_auc[0]["auc_high"]


def test_a_run_keeps_its_scores_for_later_reports(ranked_by_mcc: tuple[Path, Done]) -> None:
    folder, done = ranked_by_mcc
    assert ", mcc " in done.printed.splitlines()[0]
    assert harness_in(folder, "report").printed == done.printed
    assert "likelihood" in harness_in(folder, "report", "--metric", "likelihood").printed


def test_a_project_has_scores_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[tool.harness.run]\nmetrics = ["f1-macro"]\n')
    done = harness_in(tmp_path, "run", "-d", "iris", "-m", "prior", "--in-process", "-r", "2")
    assert ", f1-macro " in done.printed.splitlines()[0]


@pytest.mark.parametrize(
    ("words", "columns"),
    [
        (("--versus", "-m", "numpy-softmax", "-m", "prior"), "auc: numpy-softmax − prior"),
        (("best",), "| dataset   | best          | auc   |"),
    ],
)
def test_reports_of_other_kinds_show_the_score(
    measured: Path, words: tuple[str, ...], columns: str
) -> None:
    done = harness_in(measured, "report", *words, "--metric", "auc", "--format", "markdown")
    assert done.status == 0, done.remarks
    assert columns in done.printed


@pytest.mark.parametrize("words", [("best", "--score"), ("--best-of",)])
def test_the_best_model_is_told_by_any_score(measured: Path, words: tuple[str, ...]) -> None:
    done = harness_in(measured, "report", *words, "log_loss", "--format", "json")
    assert done.status == 0, done.remarks
    (row,) = json.loads(done.printed)
    least = min(each["nll"] for each in ranking(measured))
    assert row["log-loss"] == pytest.approx(least, abs=1e-6)


@pytest.mark.parametrize(
    ("score", "message"),
    [
        ("acu", "no metric matches 'acu': did you mean 'auc'?"),
        ("f1*", "--score f1* matches 3 metrics: f1, f1-macro, f1-weighted; name one"),
        ("f1", "f1 has no value for any model of run 1; `harness report 1 --metric f1` tells why"),
    ],
)
def test_a_score_that_best_cannot_use_is_one_line(measured: Path, score: str, message: str) -> None:
    done = harness_in(measured, "report", "best", "1", "--score", score)
    assert (done.status, complaint_of(done)) == (2, f"harness: {message}\n")


def test_two_runs_are_compared_by_a_score(measured: Path) -> None:
    done = harness_in(measured, "compare", "1", "1", "--metric", "ece", "--format", "json")
    rows = json.loads(done.printed)["rows"]
    assert {(row["measure"], row["verdict"]) for row in rows} == {("ece", "same")}


def test_a_picture_and_the_page_show_the_score(measured: Path) -> None:
    words = ("--metric", "mcc", "-o", "fit.svg")
    assert harness_in(measured, "plot", "fit-time", *words).status == 0
    assert "mcc" in (measured / "fit.svg").read_text(encoding="utf-8")
    assert harness_in(measured, "report", "--metric", "mcc", "--html", "page.html").status == 0
    page = (measured / "page.html").read_text(encoding="utf-8")
    assert re.search(
        r"numpy-softmax</bdi></strong>, mcc [.\d]+|numpy-softmax.{0,40}, mcc [.\d]+", page
    )


@pytest.mark.parametrize(
    "kind",
    ["likelihood", "reliability", "confusion", "recall", "regions", "hidden", "softmax", "history"],
)
def test_a_picture_without_a_score_to_choose_refuses_one(measured: Path, kind: str) -> None:
    done = harness_in(measured, "plot", kind, "--metric", "mcc", "-o", "refused.svg")
    assert done.status == 2
    assert complaint_of(done) == (
        f"harness: picture '{kind}' shows no score that --metric could choose; leave --metric "
        "out, or plot one of fit-time, latency, sizes\n"
    )
    assert not (measured / "refused.svg").exists()


def test_learning_curves_show_the_score(tmp_path: Path) -> None:
    words = ("-d", "iris", "-m", "numpy-softmax", "-r", "2", "--train-sizes", "20,60")
    assert harness_in(tmp_path, "run", *words, "--no-timing").status == 0
    done = harness_in(tmp_path, "plot", "sizes", "--metric", "log-loss", "--metric", "mcc")
    assert done.status == 0, done.remarks
    drawing = (tmp_path / "sizes.svg").read_text(encoding="utf-8")
    assert "log-loss (less is better), with 95% interval" in drawing
    assert "likelihood" not in drawing
    done = harness_in(tmp_path, "plot", "sizes", "--metric", "f1")
    assert done.status == 2
    assert "f1 has no value for iris in run 1" in complaint_of(done)


BROKEN = {
    "raises": "ValueError: no luck at all",
    "gives-nan": "gave NaN: it is not defined for these rows",
    "gives-none": "gave None; it has to return a number, or a value for each row",
    "gives-some-nan": "gave NaN for 3 of 36 rows: it is not defined for these rows",
    "exits": "SystemExit: 3",
    "dies": "exited with status 0",
    "a-text": "could not convert string to float",
    "too-long": "gave an array of shape (3,) for 36 rows",
    "beyond": "gave 2, outside of 0 to 1",
}


def test_metrics_that_break_are_a_line_each_and_the_others_are_shown(measured: Path) -> None:
    given = [word for name in (*BROKEN, "right") for word in ("--metric", name)]
    done = harness_in(measured, "report", "--plugin", "mine.py", *given)
    assert done.status == 0, done.remarks
    lines = " ".join(done.printed.split())
    for name, fault in BROKEN.items():
        said = lines[lines.index(f"metric {name} is missing for 9 results (iris, ") :]
        assert fault in said[:250]
    rows = ranking(measured, "--plugin", "mine.py", *given)
    usual = {row["model"]: row["accuracy"] for row in rows}
    assert {row["model"]: row["right"] for row in rows} == pytest.approx(usual)
    assert {row["rank"] for row in rows} == {None}


def test_a_score_without_values_leaves_its_picture_out_and_the_page_is_made(
    measured: Path,
) -> None:
    words = ("--metric", "f1", "--metric", "mcc")  # of three classes, f1 needs a positive one
    assert harness_in(measured, "report", *words, "--html", "other.html").status == 0
    done = harness_in(measured, "plot", "fit-time", "--metric", "f1")
    assert done.status == 2
    assert "f1 has no value for" in complaint_of(done)


def test_where_a_score_is_not_defined_versus_says_so(measured: Path) -> None:
    words = ("report", "versus", "-m", "numpy-softmax", "-m", "prior", "--metric", "f1", "--ranks")
    done = harness_in(measured, *words, "--format", "markdown")
    assert done.status == 0, done.remarks
    assert "| iris | not defined | |" in " ".join(done.printed.split())
    assert "f1 is not defined on iris" in done.printed
    assert "f1 is not defined for 'numpy-softmax' on 'iris'" in done.printed
    assert "and on which the score is defined" in done.printed


def test_a_given_score_beats_those_of_the_run(ranked_by_mcc: tuple[Path, Done]) -> None:
    folder, _ = ranked_by_mcc
    markdown = ("--format", "markdown")
    assert "| mcc " in harness_in(folder, "report", "best", *markdown).printed
    assert "| accuracy " in harness_in(folder, "report", "--best-of", "accuracy", *markdown).printed
    rows = json.loads(harness_in(folder, "compare", "1", "1", "--format", "json").printed)["rows"]
    assert {row["measure"] for row in rows} == {"mcc"}
    only = harness_in(folder, "compare", "1", "1", "--only", "accuracy", "--format", "json")
    assert {row["measure"] for row in json.loads(only.printed)["rows"]} == {"accuracy"}


def test_scores_that_are_here_are_shown_without_the_plugin_of_another(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(PLUGIN)
    words = ("--plugin", "mine.py", "--metric", "right", "--metric", "mcc", "--no-timing")
    harness_in(tmp_path, "run", "-d", "iris", "-m", "prior", "-r", "2", *words)
    done = harness_in(tmp_path, "report")
    assert ", mcc " in done.printed.splitlines()[0]
    assert "the metric 'right', which no plugin here offers; add --plugin " in done.remarks


def test_a_metric_that_overwrites_its_input_harms_no_other(measured: Path) -> None:
    words = ("--plugin", "mine.py", "--metric", "overwrites", "--metric", "right")
    rows = ranking(measured, *words)
    assert [row["right"] for row in rows] == pytest.approx([row["accuracy"] for row in rows])
    assert {row["overwrites"] for row in rows} == {1.0}


@pytest.mark.parametrize(
    ("metric", "message"),
    [
        ("acu", "no metric matches 'acu': did you mean 'auc'?"),
        ("f1[positve=a]", "'f1' has no parameter 'positve': did you mean 'positive'?"),
        ("top-k[k=two]", "'top-k': k=two is not int (default 2)"),
    ],
)
def test_an_unknown_metric_is_told_before_anything_runs(
    tmp_path: Path, metric: str, message: str
) -> None:
    words = ("-d", "iris", "-m", "prior", "--metric", metric)
    done = harness_in(tmp_path, "run", *words)
    assert (done.status, complaint_of(done)) == (2, f"harness: {message}\n")
    assert not (tmp_path / "harness.db").exists()


def test_scores_of_classes_work_on_a_run_of_an_earlier_release(measured: Path) -> None:
    old = measured / "old.db"
    with closing(Store(str(measured / "harness.db"))) as store:
        frames = load_frames(store, store.find())
        kept = dict(frames.predicted(frames.results["result_id"].tolist()))
    with closing(sqlite3.connect(measured / "harness.db")) as connection:
        connection.execute(f"VACUUM INTO '{old}'")
    with closing(Store(str(old))) as store, store.engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM probabilities")
        for result_id, rows in kept.items():
            packed = pack(replace(rows, probabilities=None))
            connection.execute(predictions.insert().values(result_id=result_id, **packed))
    words = ("--metric", "mcc", "--metric", "auc", "--store", str(old))
    now = {row["model"]: row["mcc"] for row in ranking(measured, "--metric", "mcc")}
    rows = ranking(measured, *words)
    assert {row["model"]: row["mcc"] for row in rows} == now
    assert {row["auc"] for row in rows} == {None}
    said = " ".join(harness_in(measured, "report", *words).printed.split())
    assert "it needs the probabilities of all rows, which the store does not have" in said


def test_from_python_scores_are_columns(tmp_path: Path) -> None:
    outcome = harness.run(
        "iris", "numpy-softmax", repeats=2, timing=False, metrics=["auc", "mcc"],
        store=tmp_path / "h.db",
    )  # fmt: skip
    assert {"auc", "auc_low", "auc_high", "mcc"} <= set(outcome.ranking.columns)
    assert outcome.ranking["auc"].is_monotonic_decreasing


def test_a_cost_and_its_interval_are_at_least_0(measured: Path) -> None:
    metric = "expected-cost[matrix=0 0 0; 0 0 1; 0 9 0]"
    for row in ranking(measured, "--metric", metric):
        assert 0 <= row[f"{metric}_low"] <= row[metric]
    done = harness_in(measured, "report", "--metric", metric.replace("9", "-9"))
    assert "has a cost below 0; add the same number to all costs of its row" in " ".join(
        done.printed.split()
    )


def test_a_glob_checks_all_that_it_matches(measured: Path) -> None:
    done = harness_in(measured, "check", "f1*")
    assert "18 passed, 0 failed" in done.printed
    assert {line.split()[1] for line in done.printed.splitlines()[:-1]} == {
        "f1:", "f1-macro:", "f1-weighted:",
    }  # fmt: skip
    done = harness_in(measured, "check", "f2*")
    assert (done.status, complaint_of(done)[:33]) == (2, "harness: nothing is called 'f2*':")


def test_each_shipped_metric_keeps_the_contract(measured: Path) -> None:
    names = ["auc", "average-precision", "balanced-accuracy", "ece", "expected-cost", "f1"]
    names += ["f1-macro", "f1-weighted", "log-loss", "mcc", "precision", "recall", "top-k"]
    done = harness_in(measured, "check", *names, "sklearn-neg-log-loss", "sklearn-jaccard-macro")
    assert "90 passed, 0 failed" in done.printed
