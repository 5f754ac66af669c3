"""``--repeats auto`` adds repeats until the best model is known, also after interruptions."""

from __future__ import annotations

from contextlib import closing
from itertools import islice
from typing import TYPE_CHECKING, Any

import pytest
from command_line import complaint_of, harness_in

import harness
from harness.contract.registry import load
from harness.runs.campaign import Request, begin, resume
from harness.store.database import Store
from harness.trials.plan import Selection, plan

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

    from harness.runs.campaign import Campaign

PLUGIN = """\
import numpy as np
import harness


class Column:
    def __init__(self, setting, column):
        self.column = column

    def fit(self, X, y):
        pass

    def predict_proba(self, X):
        p = np.where(X[:, self.column] > 0, 0.8, 0.2)
        return np.stack([1 - p, p], axis=1)


def drawn(rng, seen):
    X = rng.normal(size=(60, 2))
    y = (X[:, 0] > 0 if seen else rng.permutation(np.arange(60)) % 2).astype(int)
    y[:2] = 0, 1
    return harness.Split(X[:30], y[:30], X[30:], y[30:])


@harness.hookimpl
def harness_datasets():
    yield harness.Dataset("clear", "fresh", lambda rng: drawn(rng, True))
    yield harness.Dataset("guessed", "fresh", lambda rng: drawn(rng, False))


@harness.hookimpl
def harness_models():
    for column, name in enumerate(("first", "second")):
        yield harness.Model(name, lambda setting, column=column: Column(setting, column))
"""

ASKED = {"datasets": ("clear", "guessed"), "models": ("first", "second")}


@pytest.fixture
def plugin(tmp_path: Path) -> str:
    file = tmp_path / "columns.py"
    file.write_text(PLUGIN)
    return str(file)


def counted(results: pd.DataFrame) -> dict[str, int]:
    """The number of repeats by dataset; every model must have all of them."""
    numbers = results.groupby(["dataset", "model"])["repeat"].nunique()
    assert (numbers.groupby("dataset").nunique() == 1).all()
    return {str(name): int(n) for name, n in numbers.groupby("dataset").first().items()}


def run_to_the_end(campaign: Campaign) -> list[str]:
    """Run a campaign to its end; keys of the trials in the order of their results."""
    keys = [result.trial.key for result in campaign.results()]
    more = campaign.further()
    return keys + (run_to_the_end(more) if more else [])


def test_repeats_are_added_only_on_datasets_where_the_best_model_is_uncertain(
    plugin: str, tmp_path: Path
) -> None:
    outcome = harness.run(
        **ASKED,
        plugins=[plugin],
        repeats="auto",
        timing=False,
        in_process=True,
        store=str(tmp_path / "harness.db"),
    )
    assert counted(outcome.frames.results) == {"clear": 5, "guessed": 40}
    assert outcome.run.finished is not None
    assert outcome.run.n_trials == len(outcome.frames.results) == 4 * 5 + 4 * 40
    planned = {(pairing.dataset, pairing.repeats) for pairing in outcome.run.planned}
    assert planned == {("clear", 5), ("guessed", 40)}


def outcome_of(plugin: str, folder: Path, n_results: int) -> tuple[Any, ...]:
    """What a run has done and planned that is interrupted after these results, and goes on."""
    request = Request(Selection(**ASKED, repeats="auto"), (plugin,), in_process=True)
    registry = load(request.plugins)
    with closing(Store(f"sqlite:///{folder / 'cut.db'}", create=True)) as store:
        planned = plan(registry, request.selection)
        campaign: Campaign | None = begin(store, registry, request, planned)
        left = n_results
        while campaign is not None and left:
            done = len(list(islice(campaign.results(), left)))
            left -= done
            campaign = campaign.further() if left else None
        assert run_to_the_end(resume(store, None, in_process=True))
        run = store.find(None)
        assert run.finished is not None
        return sorted(store.done(run)), run.n_trials, run.planned


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, tuple[Any, ...]]:
    """A plugin, and the outcome of a run with it that goes from its beginning to its end."""
    folder = tmp_path_factory.mktemp("whole")
    (folder / "columns.py").write_text(PLUGIN)
    return str(folder / "columns.py"), outcome_of(str(folder / "columns.py"), folder, 0)


@pytest.mark.parametrize("n_results", [7, 33, 61, 150])
def test_an_interrupted_run_adds_the_same_repeats_when_it_goes_on(
    uninterrupted: tuple[str, tuple[Any, ...]], tmp_path: Path, n_results: int
) -> None:
    plugin, outcome = uninterrupted
    assert outcome_of(plugin, tmp_path, n_results) == outcome


def test_several_looks_are_mentioned_in_the_notes_and_corrected_for(
    plugin: str, tmp_path: Path
) -> None:
    words = ["run", "--plugin", plugin, "-d", "guessed", "-m", "first", "-m", "second"]
    how = ["--in-process", "--no-timing", "--no-progress", "-v"]
    done = harness_in(tmp_path, *words, "-r", "auto", *how)
    assert done.status == 0, done
    assert (
        "adding repeats, up to 10, for guessed: models still tie with the best by likelihood"
        in (done.remarks)
    )
    assert "After 5, 10, 20 repeats, more were added" in done.printed
    assert "more were added" not in harness_in(tmp_path, *words, "-r", "6", *how).printed


WITH_METRIC = (
    PLUGIN
    + """

@harness.hookimpl
def harness_metrics():
    yield harness.Metric("steady", lambda y, P: np.ones(len(y)))
"""
)


def test_the_metric_that_ranks_decides_about_more_repeats(tmp_path: Path) -> None:
    """By likelihood, 5 repeats decide on this dataset; all models score the same by the metric."""
    (tmp_path / "columns.py").write_text(WITH_METRIC)
    words = ["run", "--plugin", "columns.py", "-d", "clear", "-m", "first", "-m", "second"]
    how = ["-r", "auto", "--in-process", "--no-timing", "--no-progress", "-v"]
    done = harness_in(tmp_path, *words, *how, "--metric", "steady", "--metric", "likelihood")
    assert done.status == 0, done
    assert "up to 40, for clear: models still tie with the best by steady" in done.remarks
    printed = " ".join(done.printed.split())
    assert "more were added to datasets where models still tied with the best by steady." in printed
    others = ("--metric", "likelihood", "--metric", "steady")
    assert "adding repeats" not in harness_in(tmp_path, *words, *how, *others).remarks


def test_a_metric_that_no_test_can_compare_adds_no_repeats_and_says_so(tmp_path: Path) -> None:
    fixed = 'yield harness.Dataset("guessed", "fixed",'
    text = PLUGIN.replace('yield harness.Dataset("guessed", "fresh",', fixed)
    (tmp_path / "columns.py").write_text(text)
    words = ["run", "--plugin", "columns.py", "-d", "guessed", "-m", "first", "-m", "second"]
    words += ["--metric", "average-precision", "-r", "auto", "--in-process", "--no-timing"]
    done = harness_in(tmp_path, *words, "--no-progress", "-v")
    assert done.status == 0, done
    assert "adding repeats" not in done.remarks
    said = "No repeats were added for guessed: average-precision is not a mean over rows"
    assert said in " ".join(done.printed.split())


@pytest.mark.parametrize("word", ["0", "some", "-3", "1.5", ""])
def test_repeats_must_be_a_number_or_auto(tmp_path: Path, word: str) -> None:
    done = harness_in(tmp_path, "run", "--all", "-r", word, "--dry-run")
    assert "neither a whole number from 1 nor auto" in complaint_of(done)
