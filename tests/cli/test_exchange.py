"""Runs that move between stores and folders: merge, export, import; and ``harness runs prune``."""

from __future__ import annotations

import json
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest
from command_line import complaint_of, harness_in

import harness
from harness.store.database import Store
from harness.store.frames import load_frames

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


OF_STORE = ["result_id", "run_id"]
"""Columns whose values a store gives anew."""


def run(store: Path, models: str, name: str = "", repeats: int = 2) -> None:
    harness.run(
        "iris", models, repeats=repeats, name=name, store=store, timing=False, in_process=True
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two stores, ours and theirs, with a run each."""
    run(tmp_path / "harness.db", "sklearn-lda", "ours")
    run(tmp_path / "theirs.db", "numpy-softmax", "theirs")
    return tmp_path


def test_runs_arrive_with_all_that_belongs_to_them(folder: Path) -> None:
    done = harness_in(folder, "merge", "theirs.db")
    assert done.status == 0, done
    assert "run 1 'theirs' of theirs.db is run 2 here: 6 results" in done.printed
    with (
        closing(Store(str(folder / "harness.db"))) as ours,
        closing(Store(str(folder / "theirs.db"))) as theirs,
    ):
        there, here = load_frames(theirs, theirs.find("1")), load_frames(ours, ours.find("2"))
        pd.testing.assert_frame_equal(
            *(frames.results.drop(columns=OF_STORE) for frames in (there, here))
        )
        for told in ("traces", "predictions"):
            of_there, of_here = (
                frames.traces()
                if told == "traces"
                else frames.predictions(frames.results["result_id"])
                for frames in (there, here)
            )
            assert len(of_here)
            pd.testing.assert_frame_equal(
                *(each.drop(columns="result_id") for each in (of_there, of_here))
            )
        assert here.run.finished == there.run.finished
    ranked = harness_in(folder, "report", "--all-runs", "--format", "csv")
    assert "numpy-softmax" in ranked.printed
    assert "sklearn-lda" in ranked.printed


def test_a_run_that_is_here_already_is_not_added_again(folder: Path) -> None:
    harness_in(folder, "merge", "theirs.db")
    again = harness_in(folder, "merge", "theirs.db")
    assert "run 1 'theirs' of theirs.db is here already, as run 2" in again.printed
    with closing(Store(str(folder / "harness.db"))) as ours:
        assert [each.name for each in ours.runs()] == ["ours", "theirs"]


def test_results_that_a_run_lacks_are_added(folder: Path) -> None:
    harness_in(folder, "merge", "theirs.db")
    with closing(Store(str(folder / "harness.db"))) as ours, ours.writing() as connection:
        connection.exec_driver_sql("DELETE FROM results WHERE run_id = 2 AND repeat = 1")
    again = harness_in(folder, "merge", "theirs.db")
    assert "is here already, as run 2; 3 results that it lacked were added" in again.printed


@pytest.mark.parametrize(
    ("other", "complaint"),
    [
        ("nowhere.db", "'nowhere.db'"),
        ("./harness.db", "'./harness.db' is the store itself; name another one"),
    ],
)
def test_a_store_that_cannot_be_merged_is_one_line(
    folder: Path, other: str, complaint: str
) -> None:
    assert complaint in complaint_of(harness_in(folder, "merge", other))


def exported(folder: Path) -> dict[str, bytes]:
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in folder.rglob("*")
        if file.is_file()
    }


def test_a_run_goes_through_a_folder_into_another_store_unchanged(folder: Path) -> None:
    run(folder / "harness.db", "notebook-mlp[epochs=20]", "with traces", repeats=1)
    written = harness_in(folder, "export", "results")
    assert written.status == 0, written
    assert len(list((folder / "results").iterdir())) == 2
    again = harness_in(folder, "import", "results", "--store", "other.db")
    assert "a run 'ours' of results is run 1 here: 6 results" in again.printed
    with (
        closing(Store(str(folder / "harness.db"))) as before,
        closing(Store(str(folder / "other.db"))) as after,
    ):
        for name in ("ours", "with traces"):
            a, b = (load_frames(store, store.find(name)) for store in (before, after))
            assert (a.run.asked, a.run.planned) == (b.run.asked, b.run.planned)
            ids = [frames.results["result_id"] for frames in (a, b)]
            sketches = a.sketches(ids[0].tolist()), b.sketches(ids[1].tolist())
            assert len(sketches[0]) == len(sketches[1]) > 0
            for one, other in (
                (a.results, b.results),
                (a.traces(), b.traces()),
                (a.predictions(ids[0]), b.predictions(ids[1])),
            ):
                assert len(one) == len(other)
                pd.testing.assert_frame_equal(
                    *(each.drop(columns=OF_STORE, errors="ignore") for each in (one, other))
                )
    harness_in(folder, "export", "again", "--store", "other.db")
    assert exported(folder / "again") == exported(folder / "results")
    assert "is here already, as run 1" in harness_in(folder, "import", "results").printed


def test_other_tools_read_what_is_exported(folder: Path) -> None:
    harness_in(folder, "export", "results", "ours")
    (place,) = (folder / "results").iterdir()
    trials = pd.read_parquet(place / "results.parquet")
    rows = pd.read_parquet(place / "predictions.parquet")
    lda = trials[trials["model"] == "sklearn-lda"].iloc[0]
    of_lda = rows[rows["key"] == lda["key"]]
    best = of_lda["probabilities"].map(lambda values: int(values.argmax()))
    assert (best == of_lda["true"]).mean() == pytest.approx(lda["score:accuracy"])
    assert list(lda["class_names"]) == ["setosa", "versicolor", "virginica"]
    assert json.loads((place / "run.json").read_text())["name"] == "ours"


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        (lambda place: (place / "run.json").unlink(), "has no runs: no run.json in it"),
        (lambda place: (place / "run.json").write_text("{"), "is no run that can be read"),
        (lambda place: (place / "run.json").write_text("[]"), "is no run that can be read"),
        (lambda place: (place / "run.json").write_text('{"format": 9}'), "has format 9, this harn"),
        (lambda place: (place / "results.parquet").write_text("x"), "is no run that can be read"),
        (lambda place: (place / "results.parquet").unlink(), "is no run that can be read"),
    ],
)
def test_a_folder_that_cannot_be_read_is_one_line_and_adds_nothing(
    folder: Path, spoil: Callable[[Path], Any], complaint: str
) -> None:
    harness_in(folder, "export", "results", "ours")
    (place,) = (folder / "results").iterdir()
    spoil(place)
    assert complaint in complaint_of(harness_in(folder, "import", "results", "--store", "new.db"))
    with closing(Store(str(folder / "new.db"))) as store:
        assert store.runs() == []


def test_no_run_gets_the_id_of_a_deleted_one(folder: Path) -> None:
    assert "deleted run 1 (ours)" in harness_in(folder, "runs", "prune", "--keep", "0").printed
    run(folder / "harness.db", "sklearn-lda", "newer", repeats=1)
    with closing(Store(str(folder / "harness.db"))) as ours:
        assert [each.id for each in ours.runs()] == [2]


def test_old_runs_are_deleted(folder: Path) -> None:
    run(folder / "harness.db", "sklearn-lda", "newer", repeats=1)
    dry = harness_in(folder, "runs", "prune", "--keep", "1", "--dry-run")
    assert "would delete run 1 (ours)" in dry.printed
    assert "no run is that old" in harness_in(folder, "runs", "prune", "--before", "1d").printed
    assert "deleted run 1 (ours)" in harness_in(folder, "runs", "prune", "--keep", "1").printed
    with closing(Store(str(folder / "harness.db"))) as ours:
        assert [each.name for each in ours.runs()] == ["newer"]
    complaint = complaint_of(harness_in(folder, "runs", "prune"))
    assert "say which runs are old: --keep N, --before DATE, or both" in complaint
