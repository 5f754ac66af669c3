"""A run takes known results from the store, and runs only what is new."""

from __future__ import annotations

import itertools
import json
import re
import shutil
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
import pytest
from command_line import harness_in

import harness
from harness.contract.values import Timing
from harness.runs.reuse import known_timings
from harness.store.database import Store
from harness.store.frames import load_frames
from harness.store.sets import load_runs

if TYPE_CHECKING:
    from command_line import Done

    from harness.contract.values import Frames

pytestmark = pytest.mark.usefixtures("known_plugins")

DATA = """
from pathlib import Path

import harness
import numpy as np


@harness.hookimpl
def harness_datasets():
    for name in ("left", "right"):
        yield harness.Dataset(name, "fresh", split, description="Numbers of a file.")


def split(rng):
    shift = float(Path(__file__).with_name("shift.txt").read_text())
    X = rng.normal(size=(60, 2))
    y = (X[:, 0] + X[:, 1] + shift > 0).astype(int)
    return harness.Split(X[:40], y[:40], X[40:], y[40:])
"""
MODEL = """
import harness
import numpy as np


@harness.hookimpl
def harness_models():
    yield harness.Model("NAME", lambda setting: Shares(setting.seed))


class Shares:
    def __init__(self, seed):
        self.seed = seed

    def fit(self, X, y):
        FAULT
        self.shares = np.random.default_rng(self.seed).dirichlet(np.bincount(y))
        return self

    def predict_proba(self, X):
        return np.tile(self.shares, (len(X), 1))
"""


def write_model(folder: Path, name: str, fault: str = "pass", more: str = "") -> None:
    text = MODEL.replace("NAME", name).replace("FAULT", fault) + more
    (folder / f"{name}.py").write_text(text)


BETTER = "\nShares.predict_proba = lambda self, X: np.tile([0.5, 0.5], (len(X), 1))\n"
"""An edit that changes the scores of a model."""


def run(folder: Path, *words: str, models: str = "one two", repeats: int | str = 2) -> Done:
    """Run plugins' models, and the baselines, on both datasets."""
    names = models.split()
    plugins = [word for name in ("data", *names) for word in ("--plugin", f"{name}.py")]
    chosen = [word for name in names for word in ("-m", name)]
    where = ["-d", "left", "-d", "right", "-r", str(repeats), "--no-timing"]
    done = harness_in(folder, "run", *where, *plugins, *chosen, *words)
    assert done.status in (0, 1), done
    return done


@dataclass(frozen=True)
class Story:
    """Runs of one store, one after another, and what they wrote."""

    folder: Path
    runs: dict[str, Done]

    def frames(self, name: str) -> Frames:
        """A run as it was written."""
        with closing(Store(str(self.folder / "harness.db"))) as store:
            return load_frames(store, store.find(name))

    def own_trials(self, name: str) -> list[tuple[str, str, int]]:
        """The trials that a run ran itself."""
        frames = self.frames(name)
        own = frames.results[frames.results["run_id"] == frames.run.id]
        return list(own[["dataset", "model", "repeat"]].itertuples(index=False, name=None))

    def joined(self, *names: str) -> Frames:
        """Several runs as one."""
        with closing(Store(str(self.folder / "harness.db"))) as store:
            return load_runs(store, [store.find(name) for name in names])

    def copied(self, folder: Path) -> Story:
        """The same in another folder, for tests that change the store."""
        for file in filter(Path.is_file, self.folder.iterdir()):
            shutil.copy(file, folder)
        return Story(folder, self.runs)


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    """Plugins: two datasets that read a file which they don't declare, and two models; many runs.

    Every run has 2 datasets x 4 models, the two baselines among them, x 2 repeats, if not fewer.
    """
    folder = tmp_path_factory.mktemp("reuse")
    (folder / "data.py").write_text(DATA)
    (folder / "shift.txt").write_text("0")
    write_model(folder, "one")
    write_model(folder, "two")
    runs: dict[str, Done] = {}

    def ran(name: str, *words: str, models: str = "one two", repeats: int | str = 2) -> None:
        runs[name] = run(folder, "--name", name, *words, models=models, repeats=repeats)

    ran("base", models="one")
    runs["dry"] = run(folder, "--dry-run")
    ran("more-models")
    ran("again")
    ran("more-repeats", repeats=3)
    write_model(folder, "two", more=BETTER)
    ran("edited")
    write_model(folder, "two")
    ran("restored")
    (folder / "shift.txt").write_text("0.5")
    ran("other-data", models="one", repeats=1)
    ran("data-of-two-kinds", models="one")
    (folder / "shift.txt").write_text("0")
    ran("earlier-data", models="one")
    write_model(folder, "broken", fault="raise ValueError")
    ran("fails", models="broken", repeats=1)
    ran("fails-again", models="broken", repeats=1)
    ran("in-process", "--in-process", models="one", repeats=1)
    ran("fresh", "--fresh")
    runs["dry-fresh"] = run(folder, "--dry-run", "--fresh")
    return Story(folder, runs)


def test_a_second_run_of_the_same_trials_runs_none_and_has_the_same_results(story: Story) -> None:
    told = "16 trials: 16 known, 0 to run (known from runs 1, 2; --fresh runs all)"
    assert told in story.runs["again"].remarks
    assert "is in harness.db, 16 of 16 results reused;" in story.runs["again"].remarks
    before, after = story.frames("more-models"), story.frames("again")
    pd.testing.assert_frame_equal(before.results, after.results)
    assert after.run.finished is not None
    assert "known" not in story.runs["base"].remarks
    assert "is in harness.db, all results new;" in story.runs["base"].remarks


def test_what_is_known_is_shown_as_known_with_its_run(story: Story) -> None:
    note = "12 of 16 results are reused (harness run --fresh runs every trial)."
    done = story.runs["more-models"]
    assert "16 trials: 12 known, 4 to run (known from run 1; --fresh runs all)" in done.remarks
    printed = " ".join(done.printed.split())
    assert note in printed
    assert "Run 1 'base' of " in printed
    assert "12 results, among them all of one, prior, uniform." in printed
    page = harness_in(story.folder, "report", "more-models", "--html", "page.html")
    assert page.status == 0, page
    assert note in " ".join((story.folder / "page.html").read_text().split())
    told = json.loads(harness_in(story.folder, "report", "more-models", "--format", "json").printed)
    assert told["sources"][0].startswith(note)
    runs = {row["model"]: row["runs"] for row in told["tables"]["ranking"]}
    assert runs == {"one": "1", "two": "2", "prior": "1", "uniform": "1"}
    assert "12 known, 4 ok" in harness_in(story.folder, "runs").printed


def test_only_the_trials_of_an_edited_plugin_are_new(story: Story) -> None:
    of_two = [(dataset, "two", repeat) for dataset in ("left", "right") for repeat in (0, 1)]
    assert story.own_trials("edited") == of_two
    assert story.own_trials("restored") == []


def test_only_further_repeats_are_new(story: Story) -> None:
    assert {repeat for *_, repeat in story.own_trials("more-repeats")} == {2}
    assert len(story.own_trials("more-repeats")) == 8


def test_fresh_runs_every_trial_and_gives_the_same_bits(story: Story) -> None:
    assert len(story.own_trials("fresh")) == 16
    assert_same_bits(story.frames("again"), story.frames("fresh"))


def test_data_that_a_plugin_reads_without_declaring_them_are_noticed(story: Story) -> None:
    assert len(story.own_trials("other-data")) == 6
    assert story.own_trials("earlier-data") == []


def test_data_that_changed_between_two_runs_are_not_mixed(story: Story) -> None:
    """Of repeat 0 the present data are known, of repeat 1 only earlier data."""
    assert {repeat for *_, repeat in story.own_trials("data-of-two-kinds")} == {1}


PUBLISHED = DATA.replace("split(rng)", "split(rng, repetition)").replace(
    '"shift.txt").read_text()', 'f"shift{repetition}.txt").read_text()'
)


def test_of_published_splits_each_one_is_drawn_again(tmp_path: Path) -> None:
    (tmp_path / "data.py").write_text(PUBLISHED.replace('"fresh"', '"resampled"'))
    for number in range(3):
        (tmp_path / f"shift{number}.txt").write_text("0")
    words = ("run", "-d", "left", "-m", "prior", "-r", "3", "--no-timing", "--plugin", "data.py")
    assert harness_in(tmp_path, *words).status == 0
    (tmp_path / "shift2.txt").write_text("0.5")
    assert "6 trials: 4 known, 2 to run" in harness_in(tmp_path, *words).remarks


def test_a_split_without_the_rows_that_changed_does_not_speak_for_others(tmp_path: Path) -> None:
    """Each split samples a part of a file."""
    sampling = DATA.replace("rng.normal(size=(60, 2))", "rng.choice(POOL, 60)").replace(
        "\n\n\n@harness",
        "\n\nPOOL = np.load(Path(__file__).with_name('pool.npy'))\n\n\n@harness",
        1,
    )
    (tmp_path / "data.py").write_text(sampling)
    (tmp_path / "shift.txt").write_text("0")
    pool = np.random.default_rng(1).normal(size=(1000, 2))
    np.save(tmp_path / "pool.npy", pool)
    write_model(tmp_path, "one")
    run(tmp_path, models="one", repeats=9)
    pool[:20, 0] *= -1
    np.save(tmp_path / "pool.npy", pool)
    told = run(tmp_path, models="one", repeats=9).remarks
    n_known = int(re.search(r"54 trials: (\d+) known", told)[1])
    assert 0 < n_known < 54
    fresh = run(tmp_path, "--fresh", models="one", repeats=9)
    assert fresh.status == 0
    with closing(Store(str(tmp_path / "harness.db"))) as store:
        second, third = (load_frames(store, store.find(name)).results for name in ("2", "3"))
    names = ["dataset", "model", "repeat", "nll"]
    pd.testing.assert_frame_equal(second[names], third[names])


LEAKS = {
    "changes the next split": "rng = np.random.default_rng([len(DRAWN), int(rng.integers(99))])",
    "fails the next time": "1 / (1 - (len(DRAWN) > 1))",
    "ends the process the next time": "len(DRAWN) > 1 and __import__('os')._exit(3)",
}


@pytest.mark.parametrize("leak", LEAKS.values(), ids=LEAKS)
def test_a_draw_that_spoils_another_one_in_its_process_leaves_results_known(
    leak: str, tmp_path: Path
) -> None:
    spoiling = f"def split(rng):\n    DRAWN.append(1)\n    {leak}\n"
    (tmp_path / "data.py").write_text(DATA.replace("def split(rng):\n", f"DRAWN = []\n{spoiling}"))
    (tmp_path / "shift.txt").write_text("0")
    write_model(tmp_path, "one")
    words = ("--jobs", "1")  # so that both datasets are drawn again in one process
    assert "known" not in run(tmp_path, *words, models="one").remarks
    assert "12 trials: 12 known, 0 to run" in run(tmp_path, *words, models="one").remarks


READERS = {
    "fits": ("np.loadtxt('fits.txt')", ""),
    "predicts": ("pass", """
def predict_proba(self, X):
    shift = float(open('predicts.txt', 'rb').read())
    return np.tile(self.shares, (len(X), 1)) + 0 * shift
Shares.predict_proba = predict_proba
"""),
    "imports": ("pass", "SHIFT = open(__file__.replace('.py', '.txt')).read()\n"),
    "computes": ("import importlib; importlib.import_module('of_' + 'computes')", ""),
    "tries": ("""
        try:
            open('tries.txt').close()
        except FileNotFoundError:
            pass
    """, ""),
    "lists": ("import glob; [open(name).close() for name in glob.glob('listed/*')]", ""),
    "maps": ("import os, mmap; mmap.mmap(os.open('maps.txt', os.O_RDONLY), 0, prot=mmap.PROT_READ)",
             ""),
    "tables": ("import pandas; pandas.read_csv('tables.txt')", ""),
    "forks": ("import os; os.fork() or os._exit(0); os.wait(); open('forks.txt').close()", ""),
}  # fmt: skip
"""Models that read a file which their code does not name in a way that can be looked up."""

OWN_FILES = {
    "logs": ("open('logs.txt', 'a').write('fitted')", ""),
    "caches": ("import os; open(os.environ['XDG_CACHE_HOME'] + '/caches.txt').read()", ""),
    "passes": ("import tempfile; file = tempfile.NamedTemporaryFile(); open(file.name)", ""),
    "plain": ("pass", ""),
}  # fmt: skip
"""Models that read no file, or only what they write themselves, or what is in the user's cache."""


def test_files_that_a_model_reads_are_noticed_however_it_reads_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "shift.txt").write_text("0")
    (tmp_path / "data.py").write_text(DATA)
    (tmp_path / "cache").mkdir()
    (tmp_path / "listed").mkdir()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name, (fault, more) in (READERS | OWN_FILES).items():
        write_model(tmp_path, name, fault, more)
    places = {name: tmp_path / f"{name}.txt" for name in READERS}
    places["computes"] = tmp_path / "of_computes.py"
    places["lists"] = tmp_path / "listed" / "lists.txt"
    places["caches"] = tmp_path / "cache" / "caches.txt"

    def change(number: int) -> None:
        for place in places.values():
            place.write_text(f"{number}\n" if place.suffix == ".txt" else f"N = {number}\n")
        if number == 1:
            places["tries"].unlink()

    def ran(name: str) -> set[str]:
        done = run(tmp_path, "--name", name, models=" ".join(READERS | OWN_FILES))
        assert done.status == 0, done
        return {model for _, model, _ in Story(tmp_path, {}).own_trials(name)}

    change(1)
    assert ran("first") == {*READERS, *OWN_FILES, "prior", "uniform"}
    assert ran("second") == set()
    change(2)
    assert ran("changed") == set(READERS)
    assert ran("again") == set()
    change(1)
    assert ran("back") == set()  # known from the first run


@pytest.mark.parametrize("path", ["__file__.replace('reads.py', 'w.txt')", "'w.txt'"])
def test_a_file_that_a_model_reads_is_looked_for_where_the_model_is(
    tmp_path: Path, path: str
) -> None:
    """Copies of a plugin, as in several worktrees, read the files beside them."""
    for name, weight in (("here", "1"), ("there", "2")):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "shift.txt").write_text("0")
        (folder / "data.py").write_text(DATA)
        (folder / "w.txt").write_text(weight)
        write_model(folder, "reads", f"open({path}).read()")
    store = ("--store", str(tmp_path / "both.db"))
    run(tmp_path / "here", *store, models="reads")
    assert "12 trials: 12 known" in run(tmp_path / "here", *store, models="reads").remarks
    assert "12 trials: 8 known" in run(tmp_path / "there", *store, models="reads").remarks
    (tmp_path / "there" / "w.txt").write_text("1")
    assert "12 trials: 12 known" in run(tmp_path / "there", *store, models="reads").remarks


def test_failures_are_run_again(story: Story) -> None:
    assert "6 trials: 4 known" in story.runs["fails-again"].remarks
    assert {model for _, model, _ in story.own_trials("fails-again")} == {"broken"}


def test_trials_in_one_process_are_run_and_later_runs_do_not_use_them(
    story: Story, tmp_path: Path
) -> None:
    assert len(story.own_trials("in-process")) == 6
    copy = story.copied(tmp_path)
    for name in [name for name in story.runs if "dry" not in name and name != "in-process"]:
        assert harness_in(tmp_path, "runs", "delete", name).status == 0
    run(tmp_path, models="one", repeats=1)
    assert len(copy.own_trials("last")) == 6


def test_more_repeats_of_auto_are_known_too(story: Story, tmp_path: Path) -> None:
    copy = story.copied(tmp_path)
    run(tmp_path, models="one", repeats="auto")
    run(tmp_path, models="one", repeats="auto")
    assert copy.own_trials("last") == []
    first, second = copy.frames("previous"), copy.frames("last")
    assert first.run.n_trials == second.run.n_trials
    pd.testing.assert_frame_equal(first.results, second.results)


def test_a_dry_run_tells_what_is_known(story: Story) -> None:
    assert (
        "4 trials to run, 12 known (--fresh runs all), 0 model-dataset pairs"
        in story.runs["dry"].printed
    )
    assert "16 trials to run, 0 model-dataset pairs skipped" in story.runs["dry-fresh"].printed


def test_an_interrupted_run_goes_on_with_what_it_knows(story: Story, tmp_path: Path) -> None:
    copy = story.copied(tmp_path)
    with closing(sqlite3.connect(tmp_path / "harness.db")) as connection, connection:
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("DELETE FROM results WHERE run_id = 2 AND position > 3")
        connection.execute("UPDATE runs SET finished = NULL WHERE id = 2")
    n_left = 4 - len(copy.own_trials("more-models"))
    done = harness_in(tmp_path, "run", "--resume", "more-models")
    assert done.status == 0, done
    assert f"run 2: {n_left} of 16 left to run" in done.remarks
    assert_same_bits(copy.frames("more-models"), story.frames("more-models"))


def test_results_outlive_the_run_that_ran_them(story: Story, tmp_path: Path) -> None:
    copy = story.copied(tmp_path)
    for name in ("base", "more-models"):
        assert harness_in(tmp_path, "runs", "delete", name).status == 0
    for name in ("again", "more-repeats"):
        assert_same_bits(copy.frames(name), story.frames(name))
    assert set(copy.frames("again").results["run_id"]) == {3}
    assert "known" not in " ".join(copy.frames("again").sources)


@pytest.mark.parametrize(
    ("commands", "owners"),
    [
        ([("merge", "harness.db", "--store", "other.db")], {1, 2}),
        # A run that was exported is complete in itself: its results are its own.
        ([("export", "out"), ("import", "out", "--store", "other.db")], None),
        ([("export", "out", "again"), ("import", "out", "--store", "other.db")], None),
    ],
)
def test_runs_that_know_results_of_others_go_to_other_stores(
    story: Story, tmp_path: Path, commands: list[tuple[str, ...]], owners: set[int] | None
) -> None:
    copy = story.copied(tmp_path)
    for _ in range(2):  # the second time changes nothing
        for words in commands:
            done = harness_in(tmp_path, *words)
            assert done.status == 0, done
    with closing(Store(str(tmp_path / "other.db"))) as store:
        arrived = load_frames(store, store.find("again"))
    assert set(arrived.results["run_id"]) == (owners or {arrived.run.id})
    assert_same_bits(arrived, copy.frames("again"))


def test_runs_that_share_results_are_ranked_with_each_result_once(story: Story) -> None:
    joined = story.joined("base", "more-models", "again").results
    assert sorted(joined["result_id"]) == sorted(story.frames("again").results["result_id"])


def test_code_that_a_run_knows_again_is_newer_than_code_that_came_between(story: Story) -> None:
    joined = story.joined("more-models", "edited", "restored").results
    assert set(joined["run_id"][joined["model"] == "two"]) == {2}


def compared(story: Story, base: str, new: str) -> tuple[int, dict[str, Any]]:
    done = harness_in(story.folder, "compare", base, new, "--format", "json")
    return done.status, json.loads(done.printed)


def test_compare_tells_that_nothing_was_measured_anew(story: Story) -> None:
    status, told = compared(story, "more-models", "again")
    assert (status, told["rows"]) == (0, [])
    assert told["remarks"][0].startswith(
        "All 8 model-dataset pairs have the same results in both runs"
    )
    printed = harness_in(story.folder, "compare", "more-models", "again").printed
    assert "nothing was measured anew" in printed


def test_compare_judges_only_what_was_measured_anew(story: Story) -> None:
    _, told = compared(story, "again", "edited")
    assert {row["subject"] for row in told["rows"]} == {"two"}
    assert told["remarks"][0].startswith("6 model-dataset pairs have the same results in both runs")


def test_new_models_beside_known_results_pass(story: Story) -> None:
    status, told = compared(story, "base", "more-models")
    assert status == 0
    assert {row["verdict"] for row in told["rows"]} == {"only new"}


def test_a_run_from_python_knows_results_too(story: Story, tmp_path: Path) -> None:
    copy = story.copied(tmp_path)
    plugins = [str(story.folder / f"{name}.py") for name in ("data", "one")]
    how: dict[str, Any] = {"plugins": plugins, "store": tmp_path / "harness.db", "timing": False}
    known = harness.run("left", "one", repeats=1, **how)
    fresh = harness.run("left", "one", repeats=1, fresh=True, **how)
    assert set(known.results["run_id"]) == {copy.frames("fresh").run.id}
    assert set(fresh.results["run_id"]) == {fresh.run.id}


# Timings


def timed_base(story: Story, folder: Path, status: Literal["ok", "unfinished"] = "ok") -> Story:
    """The runs up to `more-models`; `base` has a timing of each of its pairings."""
    copy = story.copied(folder)
    pairings = itertools.product(("one", "prior", "uniform"), ("left", "right"))
    samples = ((0.1, 0.1),) * 5 if status == "ok" else ()
    timings = [Timing("fit", *names, "cpu", 1, status, samples=samples) for names in pairings]
    with closing(Store(str(folder / "harness.db"))) as store:
        base = store.find("base")
        for other in store.runs():
            if other.name not in ("base", "more-models"):
                store.delete(other)
        store.add_timings(base, timings)
    with closing(sqlite3.connect(folder / "harness.db")) as connection, connection:
        connection.execute("UPDATE runs SET asked = json_set(asked, '$.timing_budget', 30.0)")
    return copy


def kept(copy: Story, budget: float = 30.0) -> list[Timing]:
    """The timings that the run `more-models` would keep."""
    with closing(Store(str(copy.folder / "harness.db"))) as store:
        run = store.find("more-models")
        return known_timings(store, run, load_frames(store, run).results, budget)


def test_timings_of_known_pairings_are_kept_with_their_time(story: Story, tmp_path: Path) -> None:
    copy = timed_base(story, tmp_path)
    found = kept(copy)
    assert {(timing.subject, timing.case) for timing in found} == set(
        itertools.product(("one", "prior", "uniform"), ("left", "right"))
    )  # but not those of the model that is new
    assert {timing.measured for timing in found} == {copy.frames("base").run.started}


@pytest.mark.parametrize("change", ["$.machine.processor", "$.machine.node", "$.plugins"])
def test_timings_of_other_machines_or_other_code_of_the_harness_are_not_kept(
    story: Story, tmp_path: Path, change: str
) -> None:
    copy = timed_base(story, tmp_path)
    with closing(sqlite3.connect(tmp_path / "harness.db")) as connection, connection:
        changed = f"json_set(environment, '{change}', json('{{}}'))"
        connection.execute(f"UPDATE runs SET environment = {changed} WHERE id = 1")
    assert kept(copy) == []


def test_what_there_was_no_time_for_is_timed_if_there_is_more_time(
    story: Story, tmp_path: Path
) -> None:
    copy = timed_base(story, tmp_path, "unfinished")
    assert len(kept(copy, budget=30.0)) == 6
    assert kept(copy, budget=60.0) == []


def test_a_run_whose_results_and_timings_are_known_prints_its_tables_at_once(
    story: Story, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HARNESS_RUN_NO_TIMING")
    timed_base(story, tmp_path)
    plugins = ["--plugin", "data.py", "--plugin", "one.py"]
    words = ["-d", "left", "-d", "right", "-m", "one", "-r", "2", "--timing-budget", "30"]
    done = harness_in(tmp_path, "run", *words, *plugins, "-v")
    assert done.status == 0, done
    assert "12 trials: 12 known, 0 to run" in done.remarks
    assert "timed for" not in done.remarks
    printed = " ".join(done.printed.split())
    assert "Timed in earlier runs" in printed
    assert "UTC, 6 model-dataset pairs: left, one;" in printed
    base, again = compared(Story(tmp_path, {}), "base", "last")
    assert base == 0
    assert (
        "Both runs have 6 timings in common that were measured only once; they are not compared."
        in again["remarks"]
    )


def assert_same_bits(one: Frames, other: Frames) -> None:
    """Two runs have the same scores, predictions and traces, bit by bit."""
    costs = [name for name in one.results if name.endswith(("_seconds", "_bytes"))]
    of_run = ["result_id", "run_id", "fitted_together", *costs]
    pd.testing.assert_frame_equal(
        *(frames.results.drop(columns=of_run) for frames in (one, other)), check_exact=True
    )
    for of_results in (_predictions, _traces):
        pd.testing.assert_frame_equal(
            *(of_results(frames) for frames in (one, other)), check_exact=True
        )


def _predictions(frames: Frames) -> pd.DataFrame:
    ok = frames.results["status"] == "ok"
    return _in_order(frames, frames.predictions(frames.results["result_id"][ok].tolist()))


def _traces(frames: Frames) -> pd.DataFrame:
    return _in_order(frames, frames.traces())


def _in_order(frames: Frames, rows: pd.DataFrame) -> pd.DataFrame:
    """Rows by the order of the results, which ids need not have."""
    places = {result_id: i for i, result_id in enumerate(frames.results["result_id"].tolist())}
    rows = rows.assign(place=rows["result_id"].map(places)).drop(columns="result_id")
    return rows.sort_values("place", kind="stable").reset_index(drop=True)
