"""The leaderboard over all datasets: means, ranks, and what they take from the ranking."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from made_frames import DATASETS, make_frames

import harness
from harness.analysis.ranking import tables
from harness.analysis.shown import ranked_by
from harness.analysis.standings import means, standings
from harness.contract.own_scores import OWN
from harness.contract.values import Planned

if TYPE_CHECKING:
    from harness.contract.values import Frames

TWO = {name: DATASETS[name] for name in ("iris", "wine")}
MODELS = {"prior": -1.9, "one": 0.3, "other": 0.2, "third": 0.1}
FAULT = {
    ("wine", "third", 1): ("failed", "exception", "no"),
    ("iris", "other", 0): ("skipped", "skipped", "no"),
}
HALF = harness.Metric("half", lambda y, P: 0.5)


def whole(frames: Frames) -> pd.DataFrame:
    return standings(tables(frames)["ranking"], ranked_by(frames))


def test_a_model_is_ranked_by_its_mean_over_all_datasets() -> None:
    frames = make_frames(TWO, MODELS, repeats=3)
    table = whole(frames)
    overview = tables(frames)["likelihood"]
    assert table["model"].tolist() == overview["model"].tolist()
    assert table["mean"].tolist() == pytest.approx(overview["mean"].tolist())
    assert table["model"].tolist() == ["one", "other", "third", "prior"]
    assert table["rank"].tolist()[:3] == [1, 2, 3]
    assert table["baseline"].tolist() == [name == "prior" for name in table["model"]]


def test_a_baseline_has_no_rank_and_takes_none() -> None:
    frames = make_frames(TWO, {"prior": -1.9, "one": 0.3, "worst": -5.0}, repeats=3)
    table = whole(frames)
    assert table["model"].tolist() == ["one", "prior", "worst"]
    assert table["rank"].fillna(0).tolist() == [1, 0, 2]
    ranking = tables(frames)["ranking"]
    for _, rows in ranking.groupby("dataset"):
        assert dict(zip(rows["model"], rows["rank"].fillna(0), strict=True)) == {
            "one": 1,
            "prior": 0,
            "worst": 2,
        }


def test_a_model_that_lacks_a_repeat_has_no_rank_and_comes_last() -> None:
    frames = make_frames(TWO, MODELS, repeats=3, faults={k: FAULT[k] for k in list(FAULT)[:1]})
    table = whole(frames).set_index("model")
    assert table.index[-1] == "third"
    assert np.isnan(table.loc["third", "rank"])
    assert (table.loc["third", "complete"], table.loc["third", "datasets"]) == (1, 2)


def test_equal_means_share_a_rank() -> None:
    ranking = pd.DataFrame(
        {
            "dataset": "d",
            "model": ["a", "b", "c"],
            "device": "cpu",
            "baseline": False,
            "status": "ok",
            "likelihood": [0.5, 0.9, 0.9],
        }
    )
    table = standings(ranking, ranked_by(make_frames(TWO, {"one": 0.1})))
    assert table["model"].tolist() == ["b", "c", "a"]
    assert table["rank"].tolist() == [1, 1, 3]


@pytest.mark.parametrize("metrics", [(), ("brier",), ("accuracy", "likelihood"), ("half",)])
@pytest.mark.parametrize("devices", [("cpu",), ("cpu", "cuda:0")])
def test_means_give_the_same_standings_as_the_ranking(
    metrics: tuple[str, ...], devices: tuple[str, ...]
) -> None:
    made = make_frames(TWO, MODELS, repeats=3, devices=devices, faults=FAULT)
    planned = (Planned("wine", "never", "cpu", 4, False), Planned("iris", "one", "cpu", 3, False))
    # A metric that is not defined in the first repeat on one dataset.
    undefined = (made.results["dataset"] == "iris") & (made.results["repeat"] == 0)
    results = made.results.assign(half=made.results["brier"].mask(undefined))
    frames = replace(made, results=results, run=replace(made.run, planned=planned), metrics=metrics)
    scales = {name: OWN.get(name, HALF) for name in metrics if name != "likelihood"}
    frames = replace(frames, scales=scales)
    rank = ranked_by(frames)
    ours = standings(means(frames, rank), rank).drop(columns="leads")
    pd.testing.assert_frame_equal(ours, whole(frames).drop(columns="leads"))
