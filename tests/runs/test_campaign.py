"""What a run planned stands in its store, and in its tables however far it got."""

from __future__ import annotations

import json
from contextlib import closing
from itertools import islice
from typing import TYPE_CHECKING

import pytest
from command_line import harness_in

from harness.contract.registry import load
from harness.contract.values import Planned
from harness.runs.campaign import Request, begin, resume
from harness.store.database import Store
from harness.trials.plan import Selection, plan

if TYPE_CHECKING:
    from pathlib import Path

    from harness.contract.values import Run

pytestmark = pytest.mark.usefixtures("known_plugins")

PLUGIN = """\
import numpy as np
import harness


class Constant:
    def __init__(self, setting):
        self.n_classes = setting.n_classes

    def fit(self, X, y):
        pass

    def predict_proba(self, X):
        return np.full((len(X), self.n_classes), 1 / self.n_classes)


def drawn(rng, *, n=40):
    y = rng.permutation(np.arange(n) % 2)
    X = rng.normal(size=(n, 2)) + y[:, None]
    return harness.Split(X[: n // 2], y[: n // 2], X[n // 2 :], y[n // 2 :])


@harness.hookimpl
def harness_datasets():
    yield harness.Dataset("pair", "fresh", drawn)


@harness.hookimpl
def harness_models():
    yield harness.Model("here", Constant)
    yield harness.Model("there", Constant)
    yield harness.Model("lacking", Constant, requires=("no_such_package",))
"""

ASKED = {"datasets": ("pair[n=20]",), "models": ("here", "there", "lacking")}
PLANNED = tuple(
    Planned("pair[n=20]", model, "cpu", 5, model in ("prior", "uniform"))
    for model in ("here", "there", "prior", "uniform")
)


@pytest.fixture
def plugin(tmp_path: Path) -> str:
    file = tmp_path / "constants.py"
    file.write_text(PLUGIN)
    return str(file)


def cut_short(folder: Path, plugin: str, n_results: int) -> Run:
    """A run that was interrupted after some results, in the folder's store."""
    request = Request(Selection(**ASKED, repeats=5), (plugin,), in_process=True, timing_budget=0)
    registry = load(request.plugins)
    with closing(Store(str(folder / "harness.db"), create=True)) as store:
        campaign = begin(store, registry, request, plan(registry, request.selection))
        assert len(list(islice(campaign.results(), n_results))) == n_results
        return store.find()


def test_a_run_says_what_it_planned_from_its_first_trial_to_its_last(
    plugin: str, tmp_path: Path
) -> None:
    run = cut_short(tmp_path, plugin, 1)
    assert run.kind == "trials"
    assert run.planned == PLANNED
    assert run.n_trials == 4 * 5 + 1  # one pairing is skipped
    with closing(Store(str(tmp_path / "harness.db"))) as store:
        campaign = resume(store, None, in_process=True)
        assert len(list(campaign.results())) == 19
        assert store.find().finished is not None
        assert store.find().planned == PLANNED


def test_an_interrupted_run_shows_what_is_missing_until_it_went_on(
    plugin: str, tmp_path: Path
) -> None:
    cut_short(tmp_path, plugin, 8)

    def standing() -> dict[str, tuple[str, int, int, bool]]:
        done = harness_in(tmp_path, "report", "--format", "json")
        rows = json.loads(done.printed)["tables"]["ranking"]
        columns = ("status", "ok", "total", "baseline")
        return {row["model"]: tuple(row[column] for column in columns) for row in rows}

    assert standing() == {
        "here": ("ok", 5, 5, False),
        "there": ("partial", 3, 5, False),
        "prior": ("missing", 0, 5, True),
        "uniform": ("missing", 0, 5, True),
        "lacking": ("skipped", 0, 5, False),
    }
    assert (
        "nothing; 12 of 20 trials have not run; 1 model-dataset pair skipped."
        in harness_in(tmp_path, "report").printed
    )
    printed = harness_in(tmp_path, "report", "-v").printed
    assert "3/5" in printed
    assert "missing" in printed
    assert "The run is not finished: 9 of 21 trials." in printed
    page = harness_in(tmp_path, "report", "--html", "page.html")
    assert page.status == 0, page
    assert "missing" in (tmp_path / "page.html").read_text()
    assert harness_in(tmp_path, "run", "--resume", "--in-process", "--no-progress").status == 0
    assert standing() == {
        "here": ("ok", 5, 5, False),
        "there": ("ok", 5, 5, False),
        "prior": ("ok", 5, 5, True),
        "uniform": ("ok", 5, 5, True),
        "lacking": ("skipped", 0, 5, False),
    }


def test_a_run_that_was_stopped_at_its_first_trial_shows_all_that_is_missing(
    plugin: str, tmp_path: Path
) -> None:
    cut_short(tmp_path, plugin, 0)
    for how in (["--format", "rich"], ["--format", "markdown"], ["--html", "page.html"]):
        done = harness_in(tmp_path, "report", *how)
        assert done.status == 0, done
    printed = harness_in(tmp_path, "report").printed
    assert printed.count("0/5") == 4
