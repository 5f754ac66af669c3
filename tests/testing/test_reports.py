"""check_report passes a good report, and names the fault of a wrong report."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from failed_checks import failed_checks

import harness
import harness.testing
from harness.testing import REPORT_CHECKS, sample_frames

if TYPE_CHECKING:
    from harness.contract.values import Frames


def tables(frames: Frames) -> dict[str, pd.DataFrame]:
    ok = frames.results[frames.results["status"] == "ok"]
    return {"accuracy": ok.groupby("model")[["accuracy"]].mean().reset_index()}


def render(frames: Frames, form: str) -> str:
    table = tables(frames)["accuracy"]
    return str(table.to_json() if form == "json" else table.to_csv())


def no_tables(frames: Frames) -> dict[str, pd.DataFrame]:
    return {}


def a_list(frames: Frames) -> Any:
    return {"accuracy": [1.0]}


def columns_twice(frames: Frames) -> dict[str, pd.DataFrame]:
    return {"accuracy": pd.DataFrame([[1, 2]], columns=["mean", "mean"])}


def sorts_in_place(frames: Frames) -> dict[str, pd.DataFrame]:
    frames.results.sort_values("model", inplace=True)
    return {"accuracy": frames.results}


def names_its_best(frames: Frames, form: str) -> str:
    return render(frames, form) if len(tables(frames)["accuracy"]) else [][0]


def adds_to_traces(frames: Frames, form: str) -> str:
    frames.traces()["percent"] = 100
    return render(frames, form)


def no_latex(frames: Frames, form: str) -> str:
    if form == "latex":
        raise KeyError(form)
    return render(frames, form)


def csv_for_json(frames: Frames, form: str) -> str:
    return "accuracy, 1"


def nothing(frames: Frames, form: str) -> str:
    return " "


def an_object(frames: Frames, form: str) -> Any:
    return object()


def folder(files: Any) -> Any:
    return report(render=lambda frames, form: files, formats=("folder",))


def report(name: str = "toy", tables: Any = tables, render: Any = render, **details: Any) -> Any:
    return harness.Report(name, tables, render, **details)


verdicts = partial(failed_checks, REPORT_CHECKS)


def test_a_good_report_passes() -> None:
    harness.testing.check_report(report())
    harness.testing.check_report(folder({"index.html": b"page", "data/iris.csv": b""}))


@pytest.mark.parametrize("check", REPORT_CHECKS, ids=str)
def test_an_author_can_run_each_check_as_a_separate_test(check: harness.testing.Check) -> None:
    check.run(report())


RENDERS = {"renders-every-format", "renders-a-run-that-failed"}
WRONG = [
    (report("Table 1"), {"kebab-case-name"}, "'Table 1' is not kebab-case"),
    (report(tables=no_tables), {"gives-named-tables"}, "tables gives no table"),
    (report(tables=a_list), {"gives-named-tables"}, "'accuracy' is a list, not a DataFrame"),
    (report(tables=columns_twice), {"gives-named-tables"}, "has duplicate columns: mean"),
    (report(formats=()), {"renders-every-format"}, "formats is empty"),
    (report(render=names_its_best), {"renders-a-run-that-failed"}, "rich: render raised IndexErr"),
    (report(tables=sorts_in_place), {"leaves-the-frames-alone"}, "tables changes results"),
    (report(render=adds_to_traces), {"leaves-the-frames-alone"}, "render in rich changes traces"),
    (report(render=csv_for_json, formats=("json",)), RENDERS, "JSONDecodeError"),
    (report(render=nothing), RENDERS, "rich: render gives nothing"),
    (
        report(render=an_object, formats=("csv",)),
        RENDERS,
        "csv: render gives a object, neither str nor bytes",
    ),
    (folder(b"page"), RENDERS, "folder: render gives a bytes, not a mapping"),
    (folder({}), RENDERS, "folder: render gives no file"),
    (folder({"a/../b": b""}), RENDERS, "folder: the folder has the path 'a/../b'"),
    (folder({"index.html": "page"}), RENDERS, "folder: 'index.html' is a str, not bytes"),
]


@pytest.mark.parametrize(("wrong", "checks", "reason"), WRONG, ids=[w[2] for w in WRONG])
def test_a_wrong_report_fails_the_check_of_its_fault(
    wrong: harness.Report, checks: set[str], reason: str
) -> None:
    failed = verdicts(wrong)
    assert set(failed) == checks
    assert all(reason in text for text in failed.values())


def test_a_format_that_cannot_be_rendered_is_named() -> None:
    told = verdicts(report(render=no_latex))["renders-every-format"]
    assert told == "latex: render raised KeyError: 'latex'"


def test_the_sample_run_has_every_kind_of_split_and_every_status() -> None:
    results = sample_frames().results
    assert set(results["split_kind"].dropna()) == {"fresh", "resampled", "fixed"}
    assert results["status"].value_counts().to_dict() == {"ok": 25, "failed": 1, "timeout": 1}
    assert results.groupby(["dataset", "model"])["repeat"].nunique().eq(3).all()
    assert set(sample_frames(all_failed=True).results["status"]) == {"failed", "timeout"}


def test_the_scores_of_the_sample_run_agree_with_its_predictions() -> None:
    frames = sample_frames()
    ok = frames.results[frames.results["status"] == "ok"].set_index("result_id")
    rows = frames.predictions(ok.index.tolist()).groupby("result_id")
    assert rows.size().tolist() == ok["n_test"].tolist()
    right = rows[["true", "predicted"]].apply(lambda p: (p["true"] == p["predicted"]).mean())
    mean = rows["log_probability"].mean()
    np.testing.assert_allclose(right, ok["accuracy"])
    np.testing.assert_allclose(-mean, ok["nll"], rtol=1e-5)
    np.testing.assert_allclose(np.exp(mean), ok["likelihood"], rtol=1e-5)


def test_models_of_the_sample_run_share_their_test_rows() -> None:
    frames = sample_frames()
    first = frames.results.query("dataset == 'shells' and repeat == 0")
    labels = [frames.predictions([i])["true"].tolist() for i in first["result_id"]]
    assert labels[0] == labels[1] == labels[2]
