"""The tables of a run that is not complete: they tell what was planned, and judge nothing else."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from made_frames import DATASETS, make_frames
from pandas.testing import assert_frame_equal

from harness.analysis.ranking import tables
from harness.contract.values import Planned

if TYPE_CHECKING:
    from harness.contract.values import Frames

SMALL = {"iris": DATASETS["iris"], "twonorm": DATASETS["twonorm"]}
FEW = {"prior": -1.9, "numpy-softmax": 0.3, "torch-mlp": 0.35}


def planning(frames: Frames, repeats: int, *more: Planned) -> Frames:
    """The run, in which all its pairings and some more were planned."""
    own = (Planned(d, m, "cpu", repeats, m == "prior") for d in SMALL for m in FEW)
    return replace(frames, run=replace(frames.run, planned=(*own, *more)))


@pytest.fixture(scope="module")
def ran() -> Frames:
    return make_frames(SMALL, FEW, repeats=3)


def test_three_of_five_repeats_are_not_complete_for_any_model(ran: Frames) -> None:
    ranking = tables(planning(ran, 5))["ranking"]
    assert set(zip(ranking["ok"], ranking["total"], strict=True)) == {(3, 5)}
    assert set(ranking["status"]) == {"partial"}
    assert ranking["rank"].isna().all()
    assert ranking["likelihood"].notna().all()
    marks = ("best", "tied_with_best", "separated")
    assert not ranking[[f"likelihood_{mark}" for mark in marks]].any(axis=None)
    overview = tables(planning(ran, 5))["likelihood"]
    assert overview.drop(columns="model").isna().all(axis=None)


def test_a_plan_that_is_fulfilled_changes_nothing(ran: Frames) -> None:
    expected, found = tables(ran), tables(planning(ran, 3))
    for name, table in expected.items():
        assert_frame_equal(found[name], table)


def test_a_planned_model_without_results_is_missing_and_comes_last(ran: Frames) -> None:
    later = Planned("iris", "sklearn-knn", "cpu", 3, False)
    by_name = tables(planning(ran, 3, later))
    of_iris = by_name["ranking"][by_name["ranking"]["dataset"] == "iris"]
    last = of_iris.iloc[-1]
    assert (last["model"], last["status"]) == ("sklearn-knn", "missing")
    assert (last["ok"], last["total"]) == (0, 3)
    assert last[["rank", "accuracy", "nll", "fit_seconds", "clipped"]].isna().all()
    assert of_iris["rank"].tolist()[:2] == [1, 2]
    assert of_iris["rank"].isna().tolist() == [False, False, True, True]
    assert by_name["failures"].empty


def test_a_planned_dataset_and_a_planned_baseline_without_results_are_known(ran: Frames) -> None:
    results = ran.results[(ran.results["dataset"] == "iris") & (ran.results["model"] != "prior")]
    ranking = tables(planning(replace(ran, results=results), 3))["ranking"]
    assert list(dict.fromkeys(ranking["dataset"])) == ["iris", "twonorm"]
    assert set(ranking.loc[ranking["dataset"] == "twonorm", "status"]) == {"missing"}
    assert set(ranking.loc[ranking["baseline"], "model"]) == {"prior"}


def test_a_run_that_was_stopped_before_its_first_result_has_tables(ran: Frames) -> None:
    nothing = replace(ran, results=ran.results.iloc[:0])
    assert tables(nothing)["ranking"].empty
    ranking = tables(planning(nothing, 3))["ranking"]
    assert len(ranking) == len(SMALL) * len(FEW)
    assert set(ranking["status"]) == {"missing"}


def test_what_failed_keeps_its_status_although_more_repeats_were_planned() -> None:
    faults = {("iris", "torch-mlp", repeat): ("timeout", "timeout", "late") for repeat in range(3)}
    ran = make_frames({"iris": SMALL["iris"]}, FEW, repeats=3, faults=faults)
    ranking = tables(planning(ran, 5))["ranking"].set_index(["dataset", "model"])
    row = ranking.loc[("iris", "torch-mlp")]
    assert (row["status"], row["ok"], row["total"]) == ("timeout", 0, 5)
