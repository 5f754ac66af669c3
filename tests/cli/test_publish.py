"""`harness publish` writes the site that a report makes; its errors are one line."""

from __future__ import annotations

import json
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from command_line import complaint_of, harness_in

import harness
from harness.store.database import Store

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("known_plugins")

OWN = """
import harness


def render(frames, form, words, bad):
    text = f"{len(frames.results)} results, {words}"
    return {"../x" if bad else "index.txt": text.encode()}


@harness.hookimpl
def harness_reports():
    yield harness.Report(
        "plain",
        tables=lambda frames, words, bad: {"results": frames.results},
        render=render,
        formats=("folder",),
        options=(harness.Option("words", "none"), harness.Option("bad", False)),
    )
"""


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with two runs of trials and a bench, and a plugin with a site of its own."""
    folder = tmp_path_factory.mktemp("publish")
    (folder / "own.py").write_text(OWN)
    for model in ("numpy-softmax", "prior"):
        harness.run(
            "threshold",
            model,
            repeats=2,
            store=folder / "harness.db",
            timing=False,
            in_process=True,
            name=model,
        )
    with closing(Store(str(folder / "harness.db"))) as store:
        store.finish(store.begin("bench", {"bench": "softmax"}, {}, 0))
    return folder


def models_in(site: Path) -> set[str]:
    told = json.loads((site / "data" / "ranking.json").read_text())
    return {row["model"] for row in told["standings"]}


def test_all_runs_with_results_are_published_unless_some_are_named(stored: Path) -> None:
    done = harness_in(stored, "publish", "site")
    assert done.status == 0, done
    assert not done.printed
    assert "open site/index.html" in done.remarks
    assert models_in(stored / "site") == {"numpy-softmax", "prior", "uniform"}
    done = harness_in(stored, "publish", "site", "2")
    assert done.status == 0, done
    assert "1 old file removed" in done.remarks
    assert models_in(stored / "site") == {"prior", "uniform"}
    assert not (stored / "site" / "models" / "numpy-softmax.html").exists()
    done = harness_in(stored, "publish", "site", "--since", "1d", "--metric", "brier")
    assert done.status == 0, done
    told = json.loads((stored / "site" / "data" / "ranking.json").read_text())
    assert (told["ranked_by"], told["more_is_better"]) == ("brier", False)


def test_a_plugin_s_report_makes_a_site_of_its_own_with_its_own_options(stored: Path) -> None:
    words = ("--report", "plain", "--plugin", "own.py", "--words", "a few")
    done = harness_in(stored, "publish", *words, "own")
    assert done.status == 0, done
    assert (stored / "own" / "index.txt").read_text() == "6 results, a few"


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ((), "name the folder to write to"),
        (("new", "7"), "no run '7'"),
        (("new", "1", "--all-runs"), "these exclude each other"),
        (("new", "--since", "2999-01-01"), "no run with results since 2999-01-01"),
        (("new", "bench"), "run 3 is a bench, which has no results to publish"),
        (("own.py",), "'own.py' is a file; name a folder"),
        ((".",), "'.' is not empty"),
        (("new", "--colour", "red"), "report 'site' has no option --colour"),
        (("new", "--report", "versus"), "report 'versus' makes no site"),
        (("new", "--report", "nothing"), "nothing"),
        (("new", "--metric", "nothing"), "nothing"),
        (("new", "--store", "away.db"), "away.db"),
        (
            ("new", "--report", "plain", "--plugin", "own.py", "--bad"),
            "report 'plain': its folder has the path '../x'",
        ),
    ],
)
def test_what_cannot_be_published_is_one_line(
    stored: Path, words: tuple[str, ...], complaint: str
) -> None:
    assert complaint in complaint_of(harness_in(stored, "publish", *words))
    assert not (stored / "new").exists()


def test_a_store_without_results_is_one_line(tmp_path: Path) -> None:
    with closing(Store(str(tmp_path / "harness.db"), create=True)) as store:
        done = harness_in(tmp_path, "publish", "site")
        assert "has no run with results" in complaint_of(done)
        store.begin("", {"datasets": []}, {}, 1)
    done = harness_in(tmp_path, "publish", "site")
    assert "have no results to publish yet" in complaint_of(done)


def test_report_says_how_to_write_a_folder(stored: Path) -> None:
    for words in (("site",), ("site", "--to", "site.folder"), ("--report", "site")):
        done = harness_in(stored, "report", *words)
        assert "`harness publish FOLDER --report site` writes it" in complaint_of(done)
