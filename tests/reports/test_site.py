"""The site is the leaderboard of a store: ranking, history and data, whole without a network."""

from __future__ import annotations

import csv
import io
import json
import re
import shlex
import shutil
import sqlite3
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html import unescape
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import harness_site
import pandas as pd
import pytest
from browsing import violations_in
from command_line import harness_in
from harness_site.names import file_names
from hypothesis import given
from hypothesis import strategies as st
from made_frames import DATASETS, make_frames
from selenium.webdriver.common.by import By

import harness
from harness.testing import check_report
from harness.untrusted import folder_fault

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from selenium import webdriver

    from harness.contract.values import Frames

pytestmark = pytest.mark.usefixtures("known_plugins")

CLASS = """
import numpy as np


class Shares:
    def fit(self, X, y):
        self.shares = np.bincount(y) / len(y)
        return self

    def predict_proba(self, X):
        return np.tile(self.shares, (len(X), 1))
"""

FIRST = datetime(2026, 9, 30, 12, tzinfo=UTC)  # a Wednesday of week 40
WEEKS = {1: 0, 2: 1, 3: 3, 4: 3}
"""The week in which each run of the store started, counted from the first."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of four runs in three weeks, and its site.

    First two models on two datasets; then a class on one of them; then a better model on both; and
    results on other splits, which do not fit.
    """
    folder = tmp_path_factory.mktemp("site")
    (folder / "shares.py").write_text(CLASS)

    def run(datasets: Any, models: Any, **how: Any) -> None:
        store = folder / "harness.db"
        harness.run(datasets, models, store=store, repeats=3, timing=False, in_process=True, **how)

    run(["iris", "threshold"], ["numpy-softmax", "numpy-softmax[l2=1.0]"], name="base")
    run("iris", f"{folder / 'shares.py'}:Shares")
    run(["iris", "threshold"], "numpy-softmax[l2=0.0001]", name="better")
    run("iris", "numpy-softmax[l2=0.5]", seed=9)
    with sqlite3.connect(folder / "harness.db") as connection:
        for run_id, week in WEEKS.items():
            started = FIRST + timedelta(weeks=week, minutes=run_id)
            values = (started.isoformat(), (started + timedelta(minutes=1)).isoformat(), run_id)
            connection.execute("update runs set started = ?, finished = ? where id = ?", values)
    done = harness_in(folder, "publish", "site", "--title", "Our <board>")
    assert done.status == 0, done
    return folder


@pytest.fixture(scope="module")
def site(folder: Path) -> Path:
    return folder / "site"


def read(site: Path, name: str) -> str:
    return (site / name).read_text(encoding="utf-8")


def files_of(frames: Frames) -> Mapping[str, bytes]:
    (report,) = harness_site.harness_reports()
    files: Mapping[str, bytes] = report.render(frames, "folder", **report.defaults)
    return files


def table(page: str, name: str) -> list[list[str]]:
    """The texts of a table's rows, its heads first."""
    (whole,) = re.findall(rf'<table data-name="{name}">.*?</table>', page, re.DOTALL)
    rows = re.findall(r"<tr>.*?</tr>", whole, re.DOTALL)
    return [
        [
            " ".join(unescape(re.sub(r"<[^>]+>", "", cell)).split())
            for cell in re.findall(r"<t[hd][ >].*?</t[hd]>", row)
        ]
        for row in rows
    ]


def column(rows: list[list[str]], head: str) -> list[str]:
    return [row[rows[0].index(head)] for row in rows[1:]]


def pages_in(site: Path) -> list[str]:
    return sorted(str(path.relative_to(site)) for path in site.rglob("*.html"))


# The ranking


def test_the_report_keeps_the_contract() -> None:
    (report,) = harness_site.harness_reports()
    check_report(report)


def test_the_leaderboard_ranks_the_models_that_completed_every_dataset(site: Path) -> None:
    rows = table(read(site, "index.html"), "standings")
    assert rows[0] == ["#", "model", "mean", "datasets", "best or ≈", "iris", "threshold"]
    ranks = dict(zip(column(rows, "model"), column(rows, "#"), strict=True))
    assert ranks["numpy-softmax[l2=0.0001]"] == "1"
    assert (ranks["numpy-softmax"], ranks["numpy-softmax[l2=1.0]"]) == ("2", "3")
    # A class without results on threshold has no rank, and what is missing is shown as missing.
    last = dict(zip(rows[0], next(row for row in rows if row[1] == "Shares"), strict=True))
    assert (last["#"], last["mean"], last["datasets"], last["threshold"]) == ("", "", "1/2", "–")


def test_scores_intervals_and_ties_are_those_of_the_other_reports(folder: Path) -> None:
    done = harness_in(folder, "report", "--all-runs", "--format", "json")
    ranking = json.loads(done.printed)["tables"]["ranking"]
    told = json.loads(read(folder / "site", "data/ranking.json"))
    for row in told["standings"]:
        for dataset, found in row["datasets"].items():
            (own,) = (r for r in ranking if (r["dataset"], r["model"]) == (dataset, row["model"]))
            for score in ("accuracy", "likelihood"):
                names = ("", "_low", "_high", "_best", "_tied_with_best")
                assert list(found[score].values()) == [own[f"{score}{name}"] for name in names]
            assert found["rank"] == own["rank"]
    page = table(read(folder / "site", "datasets/iris.html"), "iris")
    marked = {row[1] for row in page[1:] if row[3].startswith("≈")}
    tied = {
        r["model"] for r in ranking if r["dataset"] == "iris" and r["likelihood_tied_with_best"]
    }
    assert marked == tied


def test_the_site_says_which_runs_its_results_come_from_and_what_was_left_out(site: Path) -> None:
    page = read(site, "index.html")
    runs = table(page, "runs")
    assert column(runs, "run") == ["1", "2", "3", "4"]
    assert column(runs, "name") == ["base", "", "better", ""]
    assert column(runs, "started")[0] == "2026-09-30"
    assert int(column(runs, "results")[3]) == 0
    assert "of run 4 on iris" in page
    assert "of other splits or other data" in page
    scores = table(read(site, "models/numpy-softmax.html"), "scores")
    assert column(scores, "run") == ["1", "1"]


def test_each_dataset_and_model_has_a_page_and_every_link_leads_somewhere(site: Path) -> None:
    pages = pages_in(site)
    assert len(pages) == 4 + 2 + 7
    reached = set()
    for name in pages:
        page = site / name
        ids = set(re.findall(r'\bid="([^"]+)"', read(site, name)))
        assert len(ids) == len(re.findall(r'\bid="', read(site, name)))
        for href in re.findall(r'href="([^"]*)"', read(site, name)):
            link = urlsplit(unescape(href))
            assert link.scheme in ("", "data")
            assert not link.netloc
            if link.scheme == "data":
                continue
            if not link.path:
                assert link.fragment in ids, (name, href)
                continue
            target = (page.parent / unquote(link.path)).resolve()
            assert target.is_file(), (name, href)
            reached.add(str(target.relative_to(site.resolve())))
    written = {str(path.relative_to(site)) for path in site.rglob("*") if path.is_file()}
    assert {path for path in written if not path.startswith(".")} == reached


def test_a_failure_is_on_the_pages_of_its_dataset_and_its_model() -> None:
    faults = {("iris", "mine", 1): ("failed", "exception", "no <luck>")}
    files = files_of(
        make_frames({"iris": DATASETS["iris"]}, {"prior": 0, "mine": 1}, faults=faults)
    )
    for name in ("datasets/iris.html", "models/mine.html"):
        assert column(table(files[name].decode(), "failures"), "reason") == ["no <luck>"]
    assert "No rank: complete on 0 of 1 dataset." in files["models/mine.html"].decode()


def test_without_a_model_on_all_datasets_there_is_no_ranking_over_them() -> None:
    faults = {("iris", "prior", 0): ("failed", "exception", "no")}
    two = {name: DATASETS[name] for name in ("iris", "wine")}
    models = {"prior": 0.0, "one": 0.1}
    faults |= {("iris", "one", 0): ("failed", "exception", "no")}
    page = files_of(make_frames(two, models, faults=faults))["index.html"].decode()
    assert "No model has completed all 2 datasets" in page


def test_baselines_have_means_but_no_ranks() -> None:
    two = {name: DATASETS[name] for name in ("iris", "wine")}
    files = files_of(make_frames(two, {"prior": -1.9, "one": 0.3, "worst": -5.0}, repeats=3))
    standings = table(files["index.html"].decode(), "standings")
    assert dict(zip(column(standings, "model"), column(standings, "#"), strict=True)) == {
        "one": "1",
        "worst": "2",
        "prior": "",
    }
    told = json.loads(files["data/ranking.json"])["standings"]
    assert {row["model"]: row["rank"] for row in told} == {"one": 1, "worst": 2, "prior": None}
    of_iris = {row["model"]: row["datasets"]["iris"]["rank"] for row in told}
    assert of_iris == {"one": 1, "worst": 2, "prior": None}
    assert "Baselines, which ignore the features, have no rank." in files["index.html"].decode()
    assert "No rank: mean likelihood ." in files["models/prior.html"].decode()
    assert "Rank 2 of 2: mean likelihood ." in files["models/worst.html"].decode()
    # Each row has the bar of its own score; baselines have none.
    grid = files["datasets/iris.html"].decode()
    rows = re.findall(
        r"<tr.*?</tr>", grid[grid.index("<tbody") :].partition("</tbody>")[0], re.DOTALL
    )
    assert ["<circle" in row for row in rows] == [True, True, False]


def test_several_devices_are_told_apart() -> None:
    frames = make_frames({"iris": DATASETS["iris"]}, {"one": 0.1}, devices=("cpu", "cuda:0"))
    files = files_of(frames)
    names = column(table(files["index.html"].decode(), "standings"), "model")
    assert sorted(names) == ["one @ cpu", "one @ cuda:0"]
    assert set(column(table(files["models/one.html"].decode(), "scores"), "device")) == {
        *("cpu", "cuda:0")
    }


def test_a_chosen_metric_ranks_and_has_a_history(folder: Path) -> None:
    done = harness_in(folder, "publish", "by-mcc", "--metric", "mcc")
    assert done.status == 0, done
    history = pd.read_csv(folder / "by-mcc" / "data" / "history.csv")
    first = history[(history["week"] == "2026-W40") & (history["model"] == "numpy-softmax")]
    shown = harness_in(folder, "report", "1", "--metric", "mcc", "--format", "json")
    overview = {row["model"]: row for row in json.loads(shown.printed)["tables"]["mcc"]}
    assert first["mean"].item() == pytest.approx(overview["numpy-softmax"]["mean"])
    assert "mean mcc" in read(folder / "by-mcc", "index.html")
    assert "mcc" in (folder / "by-mcc" / "data" / "iris.csv").read_text().splitlines()[0]


# The history


def test_a_week_shows_the_leaderboard_as_it_stood_at_its_end(folder: Path) -> None:
    history = pd.read_csv(folder / "site" / "data" / "history.csv")
    assert history["week"].unique().tolist() == ["2026-W40", "2026-W41", "2026-W43"]
    assert history["from"].unique().tolist() == ["2026-09-28", "2026-10-05", "2026-10-19"]
    for week, runs in {"2026-W40": ["1"], "2026-W41": ["1", "2"]}.items():
        done = harness_in(folder, "report", *runs, "--format", "json")
        overview = json.loads(done.printed)["tables"]["likelihood"]
        rows = history[history["week"] == week]
        assert rows["model"].tolist() == [row["model"] for row in overview]
        means = rows["mean"].astype(object).where(rows["mean"].notna(), None).tolist()
        assert means == [
            mean if mean is None else pytest.approx(mean) for mean in (r["mean"] for r in overview)
        ]


def test_the_history_names_new_models_and_changes_of_the_leader(site: Path) -> None:
    page = read(site, "history.html")
    weeks = table(page, "weeks")
    assert column(weeks, "week") == ["2026-W43", "2026-W41", "2026-W40"]
    assert column(weeks, "leader") == ["numpy-softmax[l2=0.0001]", "numpy-softmax", "numpy-softmax"]
    assert column(weeks, "change") == ["new leader", "", ""]
    assert column(weeks, "new models")[:2] == ["numpy-softmax[l2=0.0001]", "Shares"]
    assert column(weeks, "runs") == ["3, 4", "2", "1"]
    ranks = table(page, "ranks")
    assert ranks[0] == ["model", "2026-W43", "2026-W41", "2026-W40"]
    best = next(row for row in ranks if row[0] == "numpy-softmax[l2=0.0001]")
    assert re.fullmatch(r"1 \.\d{3} new", best[1])
    assert best[2:] == ["", ""]
    assert "numpy-softmax[l2=0.0001] leads since week 2026-W43" in unescape(
        read(site, "index.html")
    )


def test_the_history_is_a_picture_with_a_description(site: Path) -> None:
    (svg,) = re.findall(r"<svg xmlns.*?</svg>", read(site, "history.html"), re.DOTALL)
    assert 'role="img"' in svg
    assert "<title" in svg
    assert "<desc" in svg
    assert "numpy-softmax[l2=0.0001]" in unescape(svg)
    assert all(week in svg for week in ("2026-W40", "2026-W41", "2026-W43"))


def test_one_week_has_a_history_without_a_picture() -> None:
    page = files_of(make_frames({"iris": DATASETS["iris"]}, {"one": 0.1}))["history.html"].decode()
    assert "A picture appears here once two weeks have rankings" in page
    assert column(table(page, "weeks"), "week") == ["2026-W01"]


# The data


def test_the_data_are_a_row_a_trial(site: Path) -> None:
    whole = pd.read_csv(site / "data" / "results.csv")
    assert len(whole) == 6 * 5 + 3  # two baselines and three models on two datasets, one on one
    assert not whole.duplicated(["dataset", "model", "device", "repeat"]).any()
    # Every model of a repeat has the same split.
    assert (whole.groupby(["dataset", "repeat"])["split_seed"].nunique() == 1).all()
    assert whole["likelihood"].between(0, 1).all()
    assert set(whole["run"]) == {1, 2, 3}
    parts = [pd.read_csv(site / "data" / f"{name}.csv") for name in ("iris", "threshold")]
    pd.testing.assert_frame_equal(
        pd.concat(parts).sort_values(["dataset", "model", "repeat"], ignore_index=True),
        whole.sort_values(["dataset", "model", "repeat"], ignore_index=True),
        check_dtype=False,
    )
    explained = column(table(read(site, "data.html"), "columns"), "column")
    assert list(whole.columns) == explained


def test_the_data_hold_no_output_and_no_path_of_the_machine(folder: Path) -> None:
    site = folder / "site"
    for path in site.rglob("*"):
        if path.is_file():
            assert str(folder) not in path.read_text(encoding="utf-8"), path
    assert "traceback" not in read(site, "data/results.csv").partition("\n")[0]


def test_formulas_in_names_are_quoted_in_the_data() -> None:
    files = files_of(make_frames({"iris": DATASETS["iris"]}, {"=1+1": 0.1}))
    rows = list(csv.DictReader(io.StringIO(files["data/results.csv"].decode())))
    assert {row["model"] for row in rows} == {"'=1+1"}


# Names


ODD = (
    *("CON", "nul", "aux.txt", "index", "results", "a/b", "../up", "Mine", "mine", "MINE", "a b"),
    *("模型", "<script>alert(1)</script>", "x" * 300, "svc[C=1,kernel='rbf']", "a#b?c%20d", ".."),
    *("trailing.", "\u202ertl", "שלום", "\"quotes\" & 'co'"),
)


@pytest.mark.parametrize("where", ["datasets", "models"])
def test_any_name_has_a_page_that_links_lead_to(where: str, tmp_path: Path) -> None:
    values: dict[str, Any] = {"datasets": {"iris": DATASETS["iris"]}, "models": {"one": 0.1}}
    values[where] |= dict.fromkeys(ODD, DATASETS["iris"] if where == "datasets" else 0.2)
    files = files_of(make_frames(**values, repeats=2))
    assert folder_fault(files) == ""
    for path, content in files.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(content)
    test_links = re.findall(rf'href="({where}/[^"]+)"', files["index.html"].decode())
    assert len(set(test_links)) == 1 + len(ODD)
    for href in test_links:
        assert (tmp_path / unquote(href)).is_file()
    for path in pages_in(tmp_path):
        page = read(tmp_path, path)
        assert "<script>alert" not in page
        assert page.count("<script>") <= 1


@given(st.lists(st.text(), unique=True))
def test_files_have_unique_names_that_every_system_allows(names: list[str]) -> None:
    files = file_names(names, ("results",))
    assert set(files) == set(names)
    assert folder_fault([f"data/{file}.csv" for file in files.values()]) == ""
    assert "results" not in files.values()
    # Which other names there are does not change a name's file, so that links stay.
    assert all(file_names([name], ("results",))[name] == file for name, file in files.items())


def test_names_reasons_and_titles_are_escaped(site: Path) -> None:
    evil = "<img src=x onerror=alert(1)>"
    frames = make_frames(
        {evil: DATASETS["iris"]},
        {evil: 0.1, "prior": 0.0},
        faults={(evil, "prior", 0): ("failed", "exception", evil)},
    )
    frames = replace(frames, run=replace(frames.run, name=evil), sources=(evil,), remarks=(evil,))
    for path, content in files_of(frames).items():
        if path.endswith(".html"):
            assert "<img" not in content.decode(), path
    assert "<title>Our &lt;board&gt;</title>" in read(site, "index.html")


# How to add a model


def test_the_site_tells_how_to_add_a_model_and_it_works(folder: Path, tmp_path: Path) -> None:
    """What the page says to write is written, and the commands that it says to type are run."""
    page = read(folder / "site", "add-a-model.html")
    blocks = re.findall(
        r'<pre [^>]*?(?:data-file="([^"]*)")?><code>(.*?)</code></pre>', page, re.DOTALL
    )
    commands: list[list[str]] = []
    shutil.copy(folder / "harness.db", tmp_path)
    for file, code in blocks:
        if file:
            with (tmp_path / file).open("a") as opened:
                opened.write(unescape(code))
        else:
            lines = unescape(code).replace("\\\n", " ").splitlines()
            commands += [shlex.split(line) for line in lines]
    by_class, by_plugin, publish, export, import_, again = (words[1:] for words in commands)
    for words in (by_class, by_plugin):
        assert words[0] == "run"
        done = harness_in(tmp_path, *words, "--in-process", "--no-timing")
        assert done.status == 0, done
    assert harness_in(tmp_path, *publish).status == 0
    told = json.loads(read(tmp_path / "site", "data/ranking.json"))
    ranks = {row["model"]: row["rank"] for row in told["standings"]}
    assert ranks["NearestMean"] is not None
    assert ranks["nearest-mean"] is not None
    # Nothing else ran again, and the splits were the same.
    newest = {row["id"] for row in told["runs"][-2:]}
    ran = pd.read_csv(tmp_path / "site" / "data" / "results.csv")
    assert set(ran.loc[ran["run"].isin(newest), "model"]) == {
        *("NearestMean", "nearest-mean", "prior", "uniform")
    }
    assert ran["likelihood"].notna().all()
    # Someone without the store sends a run.
    for words in (export, import_, again):
        done = harness_in(tmp_path, *words)
        assert done.status == 0, done


def test_the_commands_repeat_seeds_and_datasets_that_are_files(tmp_path: Path) -> None:
    rows = "".join(f"{i % 7},{i % 5},{i % 2}\n" for i in range(60))
    (tmp_path / "churn.csv").write_text(f"a,b,churned\n{rows}")
    (tmp_path / "bad.py").write_text(CLASS.replace("self.shares = ", "raise ValueError  # "))
    usual = ("--target", "churned", "-r", "2", "--in-process", "--no-timing")
    for model, seed, status in (("numpy-softmax", 3, 0), ("./bad.py:Shares", 9, 1)):
        words = ("run", "-d", "churn.csv", "-m", model, "--seed", str(seed), *usual)
        assert harness_in(tmp_path, *words).status == status
    assert harness_in(tmp_path, "publish", "site").status == 0
    page = read(tmp_path / "site", "add-a-model.html")
    (code, *_), (command, *_) = (
        [unescape(text) for text in re.findall(pattern, page, re.DOTALL)]
        for pattern in (r"<code>(import numpy.*?)</code>", r"<code>(harness run.*?)</code>")
    )
    assert command.split() == [
        *("harness", "run", "-d", "'churn.csv[name=churn,target=churned]'", "\\"),
        *("-m", "./nearest_mean.py:NearestMean", "-r", "2", "--seed", "3"),
    ]
    (tmp_path / "nearest_mean.py").write_text(code)
    words = shlex.split(command.replace("\\\n", " "))[1:]
    assert harness_in(tmp_path, *words, "--in-process", "--no-timing").status == 0
    assert harness_in(tmp_path, "publish", "site").status == 0
    told = json.loads(read(tmp_path / "site", "data/ranking.json"))
    assert {row["model"] for row in told["standings"] if row["rank"]} >= {"NearestMean"}


# The whole


def test_the_same_store_gives_the_same_bytes(folder: Path) -> None:
    done = harness_in(folder, "publish", "again", "--title", "Our <board>")
    assert done.status == 0, done
    first, second = (
        {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}
        for root in (folder / "site", folder / "again")
    )
    assert first == second


def test_pages_need_no_network(site: Path) -> None:
    for name in pages_in(site):
        page = read(site, name).replace("http://www.w3.org/2000/svg", "")
        assert "default-src 'none'" in page
        assert not re.findall(r"https?://|@import|<(?:img|iframe|object|embed)\b|\bfetch\(", page)


def test_tables_have_captions_and_scopes_and_pages_one_heading(site: Path) -> None:
    for name in pages_in(site):
        page = read(site, name)
        assert page.count("<h1>") == 1
        assert '<html lang="en">' in page
        for whole in re.findall(r"<table.*?</table>", page, re.DOTALL):
            assert re.search(r"<caption>\S", whole)
            head, body = whole.split("<tbody>")
            assert head.count("<th ") == head.count('scope="col"')
            assert body.count("<tr>") == body.count('scope="row"')


# In a browser


@pytest.fixture
def visited(browser: webdriver.Chrome, site: Path) -> Iterator[Any]:
    """Opens pages of the site by name; in the end, nothing was complained of or asked for."""

    def visit(name: str, *, width: int = 1200, scheme: str = "light", media: str = "") -> Any:
        browser.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500},
        )
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        emulated = {"features": features, "media": media}
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", emulated)
        browser.get((site / name).as_uri())
        return browser

    browser.get_log("browser")
    browser.get_log("performance")
    yield visit
    assert browser.get_log("browser") == []
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    asked = [
        message["params"]["request"]["url"]
        for message in messages
        if message["method"] == "Network.requestWillBeSent"
    ]
    assert [url for url in asked if not url.startswith((site.as_uri(), "data:", "blob:"))] == []
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


OF_A_KIND = ("index.html", "history.html", "data.html", "add-a-model.html", "datasets/iris.html")
OVERFLOW = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"


@pytest.mark.slow
def test_a_visitor_walks_from_the_ranking_to_a_model_a_dataset_and_the_history(
    visited: Any,
) -> None:
    driver = visited("index.html")
    driver.find_element(By.LINK_TEXT, "numpy-softmax[l2=0.0001]").click()
    assert driver.find_element(By.TAG_NAME, "h1").text == "numpy-softmax[l2=0.0001]"
    assert "Rank 1 of 3" in driver.find_element(By.TAG_NAME, "header").text
    driver.find_element(By.LINK_TEXT, "iris").click()
    assert driver.find_element(By.TAG_NAME, "h1").text == "iris"
    driver.find_element(By.LINK_TEXT, "History").click()
    assert driver.find_element(By.CSS_SELECTOR, ".picture svg").is_displayed()
    assert driver.find_element(By.CSS_SELECTOR, "[aria-current=page]").text == "History"


@pytest.mark.slow
@pytest.mark.parametrize(("width", "scheme"), [(320, "dark"), (320, "light"), (1280, "dark")])
def test_no_page_is_wider_than_its_screen_and_axe_finds_nothing(
    visited: Any, width: int, scheme: str, site: Path
) -> None:
    model = next(name for name in pages_in(site) if name.startswith("models/numpy"))
    for name in (*OF_A_KIND, model):
        driver = visited(name, width=width, scheme=scheme)
        paper = driver.execute_script("return getComputedStyle(document.body).backgroundColor")
        assert (paper == "rgb(255, 255, 255)") == (scheme == "light")
        assert driver.execute_script(OVERFLOW) <= 0, name
        assert violations_in(driver) == [], name


@pytest.mark.slow
def test_pages_are_whole_without_script(visited: Any, browser: webdriver.Chrome) -> None:
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    driver = visited("index.html", width=320)
    assert driver.find_element(By.CSS_SELECTOR, "table[data-name='standings']").is_displayed()
    assert driver.find_elements(By.CSS_SELECTOR, ".tools, th button") == []
    driver = visited("history.html", width=320)
    for selector in (".picture svg", "table[data-name='weeks']", "table[data-name='ranks']"):
        assert driver.find_element(By.CSS_SELECTOR, selector).is_displayed()


@pytest.mark.slow
def test_pages_print_without_tools_and_navigation(visited: Any) -> None:
    driver = visited("index.html", media="print")
    assert not driver.find_element(By.CSS_SELECTOR, ".tools").is_displayed()
    assert not driver.find_element(By.CSS_SELECTOR, "nav.site").is_displayed()
    assert driver.find_element(By.CSS_SELECTOR, "table[data-name='standings']").is_displayed()
