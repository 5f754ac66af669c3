"""Several runs as one ranking: the newest results of each pairing, side by side where they fit."""

from __future__ import annotations

import json
import shutil
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from command_line import complaint_of, harness_in

import harness
from harness.contract.values import Timing
from harness.store.database import Store

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("known_plugins")

MINE = """
import numpy as np


class Mine:
    def fit(self, X, y):
        self.shares = np.bincount(y) / len(y)
        return self

    def predict_proba(self, X):
        return np.tile(self.shares, (len(X), 1))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs 1 to 5: two models; one more; the same on other splits; changed code; a bench's name."""
    folder = tmp_path_factory.mktemp("sets")
    (folder / "mine.py").write_text(MINE)
    mine, store = f"{folder / 'mine.py'}:Mine", folder / "harness.db"

    def run(datasets: Any, models: Any, **how: Any) -> None:
        harness.run(datasets, models, store=store, timing=False, in_process=True, **how)

    run(["iris", "wine"], ["sklearn-lda", "sklearn-gaussian-nb"], repeats=2, name="base")
    run(["iris", "wine"], mine, repeats=3, name="add-mine")
    run("iris", "sklearn-knn", repeats=2, seed=7)
    (folder / "mine.py").write_text(f"{MINE}\n# changed\n")
    run("iris", mine, repeats=1)
    return folder


def report(folder: Path, *words: str) -> tuple[dict[str, Any], str]:
    """The tables of a report, and its notes as one text."""
    tables = harness_in(folder, "report", *words, "--format", "json")
    assert tables.status == 0, tables
    notes = harness_in(folder, "report", *words, "--format", "markdown")
    return json.loads(tables.printed)["tables"], " ".join(notes.printed.split())


def accuracies(tables: dict[str, Any], dataset: str) -> dict[str, float | None]:
    return {row["model"]: row["accuracy"] for row in tables["ranking"] if row["dataset"] == dataset}


def test_runs_make_one_ranking_of_all_their_models(folder: Path) -> None:
    both, notes = report(folder, "base", "2")
    (first, _), (second, _) = report(folder, "1"), report(folder, "add-mine")
    found = accuracies(both, "iris")
    assert set(found) == {"Mine", "sklearn-lda", "sklearn-gaussian-nb", "prior", "uniform"}
    assert found["sklearn-lda"] == accuracies(first, "iris")["sklearn-lda"]
    assert found["Mine"] == accuracies(second, "iris")["Mine"]
    assert "Run 1 'base' of " in notes
    assert "among them all of sklearn-gaussian-nb, sklearn-lda." in notes


def test_the_newest_results_of_a_pairing_count_and_its_other_repeats_are_kept(
    folder: Path,
) -> None:
    tables, notes = report(folder, "base", "add-mine")
    total = {(row["dataset"], row["model"]): row["ok"] for row in tables["ranking"]}
    assert total["iris", "prior"] == 3
    assert total["iris", "sklearn-lda"] == 2  # missing repeats are not filled in
    assert "Run 2 'add-mine' of " in notes


def test_results_of_other_splits_are_left_out_with_a_line(folder: Path) -> None:
    tables, notes = report(folder, "1+3")
    assert accuracies(tables, "iris")["sklearn-knn"] is None
    assert "of run 3 on iris (prior, sklearn-knn, uniform), of other splits or other data." in notes


def test_repeats_of_changed_code_are_not_mixed(folder: Path) -> None:
    tables, notes = report(folder, "--all-runs")
    repeats = {(row["dataset"], row["model"]): row["ok"] for row in tables["ranking"]}
    assert (repeats["iris", "Mine"], repeats["wine", "Mine"]) == (1, 3)
    assert (
        "Left out: 3 results of run 2 on iris (Mine), of other code or versions than those of run 4"
    ) in notes


def test_times_of_another_machine_stand_in_one_table_by_their_multiples_of_an_anchor(
    folder: Path, tmp_path: Path
) -> None:
    """Run 1 was on a machine that takes four times as long for everything."""
    shutil.copy(folder / "harness.db", tmp_path)
    with closing(Store(str(tmp_path / "harness.db"))) as store:
        first, second, *_ = store.runs()
        elsewhere = {**first.environment["machine"], "node": "elsewhere"}
        store.update_environment(first, {**first.environment, "machine": elsewhere})
        store.add_timings(first, [fit("sklearn-lda", 0.4, 4e-4), fit("prior", 1.2, 4e-4)])
        store.add_timings(second, [fit("Mine", 0.2, 1e-4)])
    tables, notes = report(tmp_path, "1", "2")
    rows = {row["model"]: row for row in tables["training"]}
    assert [rows[name]["bridge"] for name in ("Mine", "sklearn-lda")] == ["", "machine"]
    assert rows["sklearn-lda"]["ratio"] == pytest.approx(1000.0)
    assert rows["Mine"]["ratio"] == pytest.approx(2000.0)
    assert rows["sklearn-lda"]["measured"] == first.started
    width = {name: rows[name]["ratio_high"] / rows[name]["ratio_low"] for name in rows}
    assert width["sklearn-lda"] > 1.4 * width["Mine"]
    table = notes.partition("iris, timed alone")[2]
    order = [name for name in ("sklearn-lda", "Mine", "prior") if name in table]
    assert sorted(order, key=table.index) == order
    assert "Compare by × anchor" in notes


def fit(model: str, seconds: float, anchor: float) -> Timing:
    """A fit on iris that takes so long in each of three processes, and so does the anchor."""
    return Timing(
        *("fit", model, "iris", "cpu", 1, "ok"),
        samples=((seconds,), (1.01 * seconds,), (0.99 * seconds,)),
        anchor="compute-1",
        anchors={"compute-1": (anchor,) * 3},
    )


def test_runs_since_a_time_are_found(folder: Path) -> None:
    every, _ = report(folder, "--all-runs")
    assert report(folder, "--since", "1d")[0] == every
    assert report(folder, "--since", "2020-01-01")[0] == every
    done = harness_in(folder, "report", "--since", "2999-01-01")
    assert "has no run with results since 2999-01-01" in complaint_of(done)


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["1", "nowhere"], "no run 'nowhere'"),
        (["1+nowhere"], "no run 'nowhere'"),
        (
            ["1", "--all-runs"],
            "name runs, or give --since, or give --all-runs; these exclude each other",
        ),
        (
            ["--since", "soon"],
            "'soon' is neither a date, such as 2026-11-30, nor an age, such as 30d, 2w or 12h",
        ),
    ],
)
def test_runs_that_are_not_there_are_one_line(
    folder: Path, words: list[str], complaint: str
) -> None:
    assert complaint in complaint_of(harness_in(folder, "report", *words))


def test_pairs_pages_pictures_and_comparisons_take_several_runs(folder: Path) -> None:
    words = ["versus", "1", "2", "-m", "Mine", "-m", "sklearn-lda"]
    versus = harness_in(folder, "report", *words, "--format", "json")
    assert {"Mine", "sklearn-lda"} <= set(
        versus.printed.replace('"', " ").replace(",", " ").split()
    )
    page = harness_in(folder, "report", "1", "2", "--html", "page.html")
    assert page.status == 0, page
    html = (folder / "page.html").read_text()
    assert "<title>runs 1, 2</title>" in html
    assert "harness report 1 2</code>" in html
    assert "sklearn-gaussian-nb" in html
    picture = harness_in(folder, "plot", "recall", "1", "2", "-d", "iris", "-m", "Mine")
    assert picture.status == 0, picture
    compared = harness_in(folder, "compare", "1", "1+2")
    assert "New: Run 2 'add-mine' of " in " ".join((compared.printed + compared.remarks).split())
