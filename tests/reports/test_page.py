"""The page shows a run in one file, escapes text of plugins, and works in a browser."""

from __future__ import annotations

import base64
import csv
import functools
import gzip
import io
import json
import re
import shlex
import time
from contextlib import closing
from dataclasses import replace
from datetime import datetime
from html import unescape
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import harness_page
import numpy as np
import pandas as pd
import pytest
from browsing import mistyped_in, violations_in
from command_line import complaint_of, harness_in
from histories import point
from hypothesis import given
from hypothesis import strategies as st
from made_frames import DATASETS, FAULTS, MODELS, make_frames
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from harness.api import run
from harness.contract.values import Timing
from harness.errors import UsageError
from harness.runs import benches
from harness.sheets.grids import of_frame
from harness.store.database import Store
from harness.testing import check_report
from harness.testing.samples import sample_frames
from harness.timing.session import Session
from harness.untrusted import cleaned

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from selenium import webdriver
    from selenium.webdriver.remote.webelement import WebElement

    from harness.contract.values import Frames, Point

pytestmark = pytest.mark.usefixtures("known_plugins")

NAMES = (
    '<script>alert("no")</script>',
    "quotes ' and \"",
    "שלום עולם",
    "emoji 🦊 & co",
    "</style><b>bold",
    "a,b=c",
)


TOP = "return arguments[0].getBoundingClientRect().y"


@functools.cache
def page_of(frames: Frames) -> str:
    (report,) = harness_page.harness_reports()
    return str(report.render(frames, "html"))


@pytest.fixture(scope="module")
def few() -> Frames:
    """A made-up run of three models on one dataset, whose page is made quickly."""
    return make_frames({"iris": DATASETS["iris"]}, {"prior": -1.9, "one": 0.3, "other": 0.2})


@pytest.fixture(scope="module")
def made() -> Frames:
    """A made-up run of eight datasets and twelve models, with failures."""
    return make_frames(faults=FAULTS)


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small real run, with traces and sketches but without timings."""
    folder = tmp_path_factory.mktemp("page")
    models = ["notebook-mlp[epochs=30]", "numpy-softmax", "sklearn-gaussian-nb"]
    run(
        ["threshold", "twonorm[n_test=100]", "iris"],
        models,
        repeats=2,
        store=folder / "harness.db",
        in_process=True,
        timing=False,
    )
    return folder


@pytest.fixture(scope="module")
def stored_page(stored: Path) -> str:
    """The page of the small real run, as the command writes it."""
    done = harness_in(stored, "report", "--html", "page.html")
    assert done.status == 0, done.remarks
    return (stored / "page.html").read_text(encoding="utf-8")


# Content of the page


def test_the_report_keeps_the_contract() -> None:
    (report,) = harness_page.harness_reports()
    check_report(report)


def test_every_table_has_a_caption_and_scopes(made: Frames) -> None:
    tables = re.findall(r"<table .*?</table>", page_of(made), re.DOTALL)
    assert len(tables) > 10
    for table in tables:
        assert re.search(r"<caption>\S", table)
        head, _, body = table.partition("</thead>")
        assert head.count("<th ") == head.count('scope="col"')
        for row in re.findall(r"<tr.*?</tr>", body):
            assert row.count('scope="row') == 1


def test_the_page_names_every_model_dataset_and_failure(made: Frames) -> None:
    page = page_of(made)
    for name in (*DATASETS, *MODELS):
        assert name in page
    assert "&lt;all of them&gt;" in page
    assert "no answer within 60 s" in page
    assert "harness run --all" in page


def test_the_page_needs_no_other_file_and_no_network(made: Frames) -> None:
    page = page_of(made)
    without = page.replace("http://www.w3.org/2000/svg", "")
    assert not re.findall(r"(?:https?:)?//[\w.-]+\.\w+", re.sub(r"//[^\n]*\n", "\n", without))
    assert not re.findall(r"<(?:link|img|iframe|object|embed)\b|@import|url\(\s*['\"]?[^#)]", page)
    assert "default-src 'none'" in page


def test_the_same_store_gives_the_same_bytes_and_less_than_a_megabyte(
    stored: Path, stored_page: str
) -> None:
    done = harness_in(stored, "report", "--html", "again.html")
    assert done.status == 0, done.remarks
    first, second = ((stored / name).read_bytes() for name in ("page.html", "again.html"))
    assert first == second
    assert len(first) < 1_000_000
    assert first.count(b"<svg") >= 8


@pytest.mark.parametrize("where", ["datasets", "models"])
def test_names_from_plugins_are_escaped(where: str) -> None:
    usual = {"datasets": {"iris": DATASETS["iris"]}, "models": {"prior": -1.9, "mine": 0.3}}
    values: Any = DATASETS["iris"] if where == "datasets" else 0.3
    usual[where] |= dict.fromkeys(NAMES, values)
    page = page_of(make_frames(**usual, repeats=2))  # type: ignore[arg-type]
    assert page.count("<script") == page.count("</script>") == 3
    assert page.count("<style>") == page.count("</style>") == 1
    assert "<b>bold" not in page
    assert "&lt;script&gt;" in page
    assert "שלום עולם" in page
    assert "🦊" in page


def test_a_reason_and_a_run_s_name_are_escaped() -> None:
    evil = "<img src=x onerror=alert(1)>"
    faults = {("iris", "mine", 0): ("failed", "exception", evil)}
    frames = make_frames({"iris": DATASETS["iris"]}, {"prior": 0.0, "mine": 0.1}, faults=faults)
    page = page_of(replace(frames, run=replace(frames.run, name=evil)))
    assert "<img" not in page
    assert page.count("&lt;img src=x") >= 2


@pytest.mark.parametrize(
    "line",
    [
        (
            "run -d iris -m prior -m numpy-softmax[tol=0.1] -r 2 --seed 3 --name 'my run' "
            "--timeout 90s --train-sizes 20,40 --memory 2G --no-batching --no-timing"
        ),
        "bench softmax --kernel numpy-stable --shape 5x3 --dtype float32 --budget 1s --device cpu",
        "bench training -d iris -m numpy-softmax --epochs 2 --together 4 --budget 1s",
    ],
)
def test_the_printed_command_has_the_options_of_the_run(
    line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The options of a bench are stored before it starts to measure.
    unfinished = Timing("fit", "numpy-softmax", "iris", "cpu", 1, "unfinished", "the time was up")
    session = Session((unfinished,), 1, "budget", 1.0)
    monkeypatch.setattr(benches, "time_groups", lambda bench, **how: session)
    assert harness_in(tmp_path, *shlex.split(line)).status in (0, 1, 4)
    assert harness_in(tmp_path, "report", "--html", "page.html").status == 0
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    told = shlex.split(unescape(re.findall(r"Made by <code>(.*?)</code>", page)[0]))
    assert told[0] == "harness"
    assert harness_in(tmp_path, *told[1:]).status in (0, 1, 4)
    with closing(Store(f"sqlite:///{tmp_path / 'harness.db'}")) as store:
        first, second = store.runs()
    assert first.asked == second.asked
    assert first.name == second.name


@pytest.mark.parametrize(
    ("datasets", "models", "repeats"), [(1, 1, 1), (1, 5, 1), (3, 1, 2), (2, 12, 1)]
)
def test_a_run_with_few_models_datasets_or_repeats_makes_a_page(
    datasets: int, models: int, repeats: int
) -> None:
    page = page_of(
        make_frames(
            dict(list(DATASETS.items())[:datasets]),
            dict(list(MODELS.items())[-models:]),
            repeats=repeats,
        )
    )
    assert "<table" in page


def test_a_single_dataset_has_no_overview_and_no_pairs(few: Frames, made: Frames) -> None:
    for name in ("heat", "pairs"):
        assert f'<section id="{name}"' in page_of(made)
        assert f'<section id="{name}"' not in page_of(few)
    one = make_frames(models={"prior": -1.9, "one": 0.3}, repeats=2)
    assert '<section id="pairs"' not in page_of(one)


def test_pairs_of_few_models_are_unfolded_from_the_start(made: Frames) -> None:
    fold = '<details class="unfold"'
    assert page_of(made).count(f"{fold} open>") == page_of(made).count(fold) > 0
    datasets = dict(list(DATASETS.items())[:2])
    models = {"prior": -1.9} | {f"model-{i:02}": i / 40 for i in range(21)}
    many = page_of(make_frames(datasets, models, repeats=2))
    assert f"{fold}>" in many
    assert f"{fold} open>" not in many
    assert "The best 12 models in pairs" in many
    assert "The first 20 of 66 rows." in many


def test_the_page_says_which_results_are_of_earlier_runs(few: Frames) -> None:
    n = len(few.results)
    assert f"none; all {n} results are new." in page_of(few)
    ids = [5] + [3] * 2 + [few.run.id] * (n - 3)
    mixed = replace(few, results=few.results.assign(run_id=ids))
    assert f"3 of {n} results come from runs 3 and 5." in page_of(mixed)
    one = replace(few, results=few.results.assign(run_id=[5] + [few.run.id] * (n - 1)))
    assert f"1 of {n} results comes from run 5." in page_of(one)
    joined = replace(few, run=replace(few.run, joined=(3, 5, 7)))
    assert f"The newest {n} results of runs 3, 5 and 7." in page_of(joined)
    assert "harness report 3 5 7 --html page.html" in re.sub("<.?span>", "", page_of(joined))


def test_scores_on_the_first_datasets_stand_beside_the_chart(made: Frames, few: Frames) -> None:
    def chart_of(frames: Frames) -> str:
        page = page_of(frames)
        return page[page.index('<table class="ranked"') :].partition("</table>")[0]

    rows = re.findall(r"<tr data-m=.*?</tr>", chart_of(made))
    assert len(rows) == len(MODELS)
    assert all(len(re.findall('<td class="cell', row)) == len(DATASETS) for row in rows)
    # On each dataset, one score is framed: the best.
    assert sum(row.count(" top") for row in rows) == len(DATASETS)
    assert 'class="cell' not in chart_of(few)
    many = {f"dataset-{i:02}": ("resampled", 100, 30, 1.0) for i in range(9)}
    chart = chart_of(make_frames(many, {"prior": -1.9, "one": 0.3, "other": 0.2}, repeats=2))
    assert "8 of 9 datasets" in chart
    assert "dataset-07" in re.sub("<wbr>", "", chart)
    assert "dataset-08" not in re.sub("<wbr>", "", chart)


def test_ties_and_baselines_stand_apart_and_outliers_do_not_stretch_the_chart() -> None:
    models = {"prior": -1.9, "a": 0.3, "b": 0.299, "c": 0.2, "d": 0.1, "worst": -5.0}
    page = page_of(make_frames(models=models, repeats=5))
    table = page[page.index('<table class="ranked"') :].partition("</table>")[0]
    groups = [re.findall(r"<bdi>(.*?)</bdi>", part) for part in table.split("<tbody")[1:]]
    assert {"a", "b"} <= set(groups[0])
    assert groups[-1] == ["prior"]
    assert table.count("◂") == 2  # the worst model and the baseline
    titles = re.findall(r'rowgroup" colspan="5">(.*?)<', table)
    assert titles == [
        "The best, and models not significantly different from it",
        "Models whose mean is significantly behind the best",
        "Baselines, which guess without the features",
    ]
    # Baselines have no number, and the worst model is counted without them.
    numbers = re.findall(r'<td class="rank">(\d*)</td>', table)
    assert numbers == ["1", "2", "3", "4", "5", ""]


def test_variants_lose_their_common_parameters_and_full_names_stay() -> None:
    models = {"prior": -1.9, "mlp[hidden=8,lr=0.1]": 0.3, "mlp[hidden=64,lr=0.1]": 0.2}
    page = page_of(make_frames(models=models, repeats=2))
    assert "<bdi>mlp[hidden=8]</bdi>" in page
    assert 'title="mlp[hidden=8,lr=0.1]"' in page
    assert "<strong><bdi>mlp[hidden=8]</bdi></strong>, mean likelihood" in page


def test_scores_by_training_rows_have_a_chart() -> None:
    datasets = {f"iris[train_size={n}]": ("resampled", n, 38, 3.0) for n in (20, 40, 80)}
    page = page_of(make_frames(datasets, {"prior": -1.9, "one": 0.3}, repeats=2))
    chart = page[page.index("iris: likelihood by training rows") :].partition("</figure>")[0]
    assert chart.count('class="line s') == 2 + 2  # in the chart and its legend
    assert chart.count("<circle") == 2 * 3


def test_the_fastest_model_that_is_also_the_best_is_alone_on_the_front() -> None:
    frames = make_frames(models={"prior": -1.9, "one": 0.3, "other": 0.2}, repeats=2)
    seconds = frames.results["model"].map({"prior": 1e-4, "one": 1e-3, "other": 1.0})
    page = page_of(replace(frames, results=frames.results.assign(fit_seconds=seconds)))
    assert "one is both the best and the fastest." in page
    assert "fit 1 s" in page


def test_dates_are_those_of_people(few: Frames) -> None:
    assert "1 January 2026, 00:00 UTC, not finished" in page_of(few)


def test_a_run_without_results_and_a_run_of_failures_make_a_page() -> None:
    page = page_of(sample_frames(all_failed=True))
    assert "ValueError: no luck" in page
    frames = sample_frames()
    nothing = replace(
        frames,
        results=frames.results.iloc[:0],
        traces=lambda: frames.traces().iloc[:0],
        timings=frames.timings.iloc[:0],
    )
    page = page_of(nothing)
    assert "no trials" in page
    assert '<section id="verdict"' not in page


def test_perfect_scores_make_a_page() -> None:
    frames = make_frames({"iris": DATASETS["iris"]}, {"prior": 0.0, "a": 0.1, "b": 0.2})
    results = frames.results.assign(accuracy=1.0, likelihood=1.0, nll=0.0, nll_sd=0.0)
    assert "1.000" in page_of(replace(frames, results=results))


def test_an_enormous_trace_is_thinned() -> None:
    frames = sample_frames()
    ids = frames.results.loc[frames.results["status"] == "ok", "result_id"].tolist()
    n = 20_000
    traces = pd.DataFrame(
        {
            "result_id": np.repeat(ids, n),
            "epoch": np.tile(np.arange(1, n + 1), len(ids)),
            "train_likelihood": np.tile(1 - 0.5 * 0.999 ** np.arange(n), len(ids)),
            "test_likelihood": np.tile(1 - 0.6 * 0.999 ** np.arange(n), len(ids)),
        }
    )
    assert len(page_of(replace(frames, traces=lambda: traces)).encode()) < 1_000_000


@given(
    st.lists(st.tuples(st.text(max_size=9), st.floats(allow_nan=False)), min_size=11, max_size=30)
)
def test_of_many_rows_a_part_is_shown_and_all_are_saved(rows: list[tuple[str, float]]) -> None:
    frame = pd.DataFrame(rows, columns=["na,me", "value"])
    grid = of_frame("data", "Data", frame, 10)
    assert grid.detail == f"10 of {len(rows)} rows"
    assert len(grid.rows) == 10
    packed = gzip.decompress(base64.b64decode(grid.whole)).decode()
    first, *rest = csv.reader(io.StringIO(packed, newline=""))
    assert first == ["na,me", "value"]
    assert [float(value) for _, value in rest] == [float(f"{value:.4g}") for _, value in rows]
    for (saved_name, _), (name, _) in zip(rest, rows, strict=True):
        # A name that a spreadsheet would read as a formula is quoted.
        assert saved_name in (cleaned(name), f"'{cleaned(name)}")
        assert saved_name[:1] not in tuple("=@\t\r")
    assert of_frame("data", "Data", frame, 10) == grid
    assert of_frame("data", "Data", frame, len(rows)).whole == ""


@pytest.mark.parametrize("formula", ["=1+1", "-2+3+cmd|' /C calc'!A0", "+x", "@sum", "-1-1"])
def test_saved_data_quote_formulas_and_keep_numbers(formula: str) -> None:
    frame = pd.DataFrame({"name": [formula, "-2", "plain"], "value": [-np.inf, 1e-9, -2.5e-9]})
    packed = gzip.decompress(base64.b64decode(of_frame("data", "Data", frame, 1).whole)).decode()
    rows = list(csv.reader(io.StringIO(packed, newline="")))
    assert rows[1:] == [[f"'{formula}", "-inf"], ["-2", "1e-09"], ["plain", "-2.5e-09"]]


def points_of(level: float, n: int = 24, **changes: Any) -> list[Point]:
    """A series with a step of this size in its middle."""
    wave = [0.004 * np.sin(2.4 * day) for day in range(n)]
    return [point(day, wave[day] + level * (day >= n // 2), **changes) for day in range(n)]


def test_a_history_is_shown_with_its_steps(made: Frames, few: Frames) -> None:
    assert "Over time" not in page_of(made)
    scores: dict[str, Any] = {"measure": "accuracy", "machine": "", "anchor": "", "source": "run"}
    still = [point(day, 0.5, subject="still", **scores) for day in range(9)]
    points = [*points_of(0.0, subject="flat"), *points_of(0.1, subject="<i>slower"), *still]
    page = page_of(replace(few, history=lambda: points))
    section = page[page.index('<section id="history"') :].partition("</section>")[0]
    assert section.count('<svg class="chart"') == 1
    # The series with a step comes first; a constant score has no picture.
    assert section.index("fit: &lt;i&gt;slower") < section.index("fit: flat")
    assert "still" not in section
    (row,) = re.findall(
        r"<tr><th scope=\"row\">.*?</tr>", section[section.index("Steps: lasting changes") :]
    )
    cells = re.findall(r">([^<]*)</(?:td|bdi)>", row)
    assert cells[:2] == ["fit: &lt;i&gt;slower, iris", "24"]
    assert 9 < float(cells[3].removesuffix("%")) < 12
    assert cells[7:] == ["13 January 2026, 00:00 UTC", cells[8], "firm"]
    assert "A step may be a false alarm." in section


def test_a_history_without_comparable_points_has_no_section(few: Frames) -> None:
    assert "Over time" not in page_of(replace(few, history=lambda: [point(0, 0.1)]))


def test_the_history_of_the_store_is_in_the_page(tmp_path: Path) -> None:
    run("threshold", "prior", repeats=1, store=tmp_path / "harness.db", in_process=True)
    with closing(Store(f"sqlite:///{tmp_path / 'harness.db'}")) as store:
        store.add_points(points_of(0.1))
    assert harness_in(tmp_path, "report", "--html", "page.html").status == 0
    assert "Steps: lasting changes" in (tmp_path / "page.html").read_text(encoding="utf-8")


def test_a_page_that_cannot_be_written_is_a_one_line_error(stored: Path) -> None:
    (stored / "folder").mkdir(exist_ok=True)
    assert "no/such" in complaint_of(harness_in(stored, "report", "--html", "no/such/page.html"))
    assert "folder" in complaint_of(harness_in(stored, "report", "--html", "folder"))


def test_asking_a_report_without_a_page_for_html_is_an_error(stored: Path) -> None:
    (stored / "mine.py").write_text(
        "import harness\n"
        "@harness.hookimpl\n"
        "def harness_reports():\n"
        "    yield harness.Report('mine', lambda frames: {}, lambda frames, style: '')\n"
    )
    words = ("--html", "x.html", "--report", "mine", "--plugin", "mine.py")
    said = complaint_of(harness_in(stored, "report", *words))
    assert "report 'mine' has no format html" in said
    assert not (stored / "x.html").exists()


def test_the_page_has_no_other_format() -> None:
    (report,) = harness_page.harness_reports()
    with pytest.raises(UsageError, match="no format 'rich'"):
        report.render(sample_frames(), "rich")


@pytest.mark.parametrize(
    "words", [("--html", "x.html", "--versus"), ("--best-of", "accuracy", "--versus")]
)
def test_two_reports_at_once_are_a_one_line_error(stored: Path, words: tuple[str, ...]) -> None:
    said = complaint_of(harness_in(stored, "report", "--versus", *words))
    assert "use only one of them" in said


# Short formats for pasting


def test_the_best_model_of_each_dataset_is_one_line(stored: Path) -> None:
    done = harness_in(stored, "report", "--best-of", "accuracy", "--format", "markdown")
    assert done.status == 0, done.remarks
    assert len(done.printed.strip().splitlines()) == 2 + 3
    best_rows = json.loads(
        harness_in(stored, "report", "--best-of", "likelihood", "--format", "json").printed
    )
    assert [row["dataset"] for row in best_rows] == ["threshold", "twonorm[n_test=100]", "iris"]
    for row in best_rows:
        assert row["model"] not in row["tied"]
    # A likelihood of few test rows has no interval.
    shown = [row for row in best_rows if row["low"] is not None]
    assert shown
    assert all(row["low"] <= row["likelihood"] <= row["high"] for row in shown)
    assert all(row["high"] is None for row in best_rows if row not in shown)
    rows = list(
        csv.DictReader(
            io.StringIO(
                harness_in(stored, "report", "--best-of", "accuracy", "--format", "csv").printed
            )
        )
    )
    assert len(rows) == 3
    wide = harness_in(stored, "report", "--best-of", "accuracy", columns=80).printed
    assert max(map(len, wide.splitlines())) <= 80


def test_best_in_latex_is_a_one_line_error(stored: Path) -> None:
    words = ("--best-of", "accuracy", "--format", "latex")
    assert "no format latex" in complaint_of(harness_in(stored, "report", *words))


def test_a_fragment_has_only_tables(stored: Path) -> None:
    done = harness_in(stored, "report", "--format", "html-fragment")
    assert done.status == 0
    assert done.printed.startswith("<table>")
    for tag in ("<html", "<script", "<style", "class=", "<body"):
        assert tag not in done.printed
    assert done.printed.count("<caption>") == done.printed.count("</table>") == 3 + 3


def test_names_in_a_fragment_are_escaped() -> None:
    import harness_tables

    (report,) = harness_tables.harness_reports()
    frames = make_frames(dict.fromkeys(NAMES, DATASETS["iris"]), {"prior": 0.0, "<b>": 0.1})
    text = str(report.render(frames, "html-fragment"))
    assert "<script" not in text
    assert "<b>" not in text
    assert "&lt;script&gt;" in text


# Scripts


@pytest.mark.parametrize(
    ("package", "name"), [("harness_page", "view"), ("harness.sheets", "page")]
)
def test_a_page_s_script_keeps_its_types(package: str, name: str) -> None:
    assert mistyped_in(Path(str(files(package) / f"{name}.js"))) == ""


def test_types_of_a_script_are_checked_strictly(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.js"
    wrong.write_text("const twice = (number) => 2 * number;\n")
    assert "implicitly has an 'any' type" in mistyped_in(wrong)


# In a browser


@pytest.fixture
def opened(browser: webdriver.Chrome, tmp_path: Path) -> Iterator[Any]:
    """Opens a page from a file; in the end, checks for console errors and network requests."""

    def open_page(text: str, state: str = "") -> webdriver.Chrome:
        file = tmp_path / "page.html"
        file.write_text(text, encoding="utf-8")
        browser.get_log("browser")
        browser.get_log("performance")
        browser.get("about:blank")  # else only the hash may change
        browser.get(file.as_uri() + state)
        return browser

    yield open_page
    assert browser.get_log("browser") == []
    asked = [
        message["params"]["request"]["url"]
        for entry in browser.get_log("performance")
        if (message := json.loads(entry["message"])["message"])["method"]
        == "Network.requestWillBeSent"
    ]
    assert [url for url in asked if not url.startswith(("file:", "blob:", "about:"))] == []
    browser.set_window_size(1200, 900)
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [], "media": ""})
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


def table_of(driver: webdriver.Chrome, name: str) -> WebElement:
    return driver.find_element(By.CSS_SELECTOR, f"table[data-name='{name}']")


def equipped(driver: webdriver.Chrome, name: str) -> tuple[WebElement, WebElement]:
    """A dataset's table and its tools, which it gets when it comes into view."""
    table = table_of(driver, name)
    driver.execute_script("arguments[0].scrollIntoView()", table)
    until(lambda: "tools" in (tools_of(table).get_attribute("class") or ""))
    return table, tools_of(table)


def tools_of(table: WebElement) -> WebElement:
    """The tools above a table: filter, choice of columns, and the save button."""
    script = "return arguments[0].parentElement.previousElementSibling"
    tools: WebElement = table.parent.execute_script(script, table)
    return tools


def until(true: Callable[[], Any]) -> None:
    """Wait until something is true, at most 20 seconds."""
    deadline = time.monotonic() + 20
    while not true() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert true()


def column(table: WebElement, number: int) -> list[str]:
    script = (
        "return [...arguments[0].tBodies].flatMap((body) => [...body.rows])"
        ".filter((row) => !row.hidden && row.cells.length > arguments[1])"
        ".map((row) => row.cells[arguments[1]].textContent.trim())"
    )
    texts: list[str] = table.parent.execute_script(script, table, number)
    return texts


def saves_into(driver: webdriver.Chrome, folder: Path) -> None:
    """Set the folder for downloads."""
    behaviour = {"behavior": "allow", "downloadPath": str(folder)}
    driver.execute_cdp_cmd("Browser.setDownloadBehavior", behaviour)


def saved_in(folder: Path, name: str) -> bytes:
    """The content of a downloaded file; waits until the download is complete."""
    # Chromium reserves the name by an empty file, and renames the complete download over it.
    until(lambda: (folder / name).exists() and (folder / name).stat().st_size > 0)
    return (folder / name).read_bytes()


def press(element: WebElement) -> None:
    """Activate an element by the keyboard, which works at any scroll position."""
    element.parent.execute_script("arguments[0].focus()", element)
    element.send_keys(Keys.ENTER)


def shown(driver: webdriver.Chrome, selector: str) -> list[WebElement]:
    return [one for one in driver.find_elements(By.CSS_SELECTOR, selector) if one.is_displayed()]


def size(driver: webdriver.Chrome, width: int, height: int) -> None:
    """Set the size of the screen without the browser's frame, until the next test."""
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)


@pytest.mark.slow
@pytest.mark.parametrize(("width", "height"), [(1400, 900), (390, 844)])
def test_the_first_screen_shows_the_verdict_and_the_chart(
    opened: Any, stored_page: str, width: int, height: int
) -> None:
    driver = opened(stored_page)
    size(driver, width, height)
    (verdict,) = shown(driver, ".verdict")
    (table,) = shown(driver, ".ranked")
    edges = [verdict.rect["y"] + verdict.rect["height"], table.rect["y"] + table.rect["height"]]
    driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    assert edges[0] < edges[1] <= height
    assert verdict.text.startswith("Best" if width > 1000 else "")


@pytest.mark.slow
@pytest.mark.parametrize("width", [1400, 390])
def test_the_first_screen_has_what_readers_ask_for(opened: Any, made: Frames, width: int) -> None:
    driver = opened(page_of(made))
    size(driver, width, {1400: 900, 390: 844}[width])
    labels = [
        "Failed",
        "Baselines",
        "Reused",
        "Rank on your table",
        "Rank your model",
        "This page again",
    ]
    terms = [one for one in shown(driver, ".verdict dt") if one.text.rstrip(": ") in labels]
    assert len(terms) == len(labels)
    wide = width == 1400
    told = [*terms, *shown(driver, ".ranked .cell"), *shown(driver, ".key")] if wide else terms
    lowest = max(one.rect["y"] + one.rect["height"] for one in told)
    # Scores on each dataset stand once: beside the chart where there is room, else below it.
    assert bool(shown(driver, ".ranked .cell")) == wide
    assert bool(shown(driver, "#heat")) != wide
    # A narrow screen has the best model on each dataset instead, and the chart's first model.
    (first, *_) = shown(driver, ".ranked tr[data-m]")
    lowest = max(lowest, first.rect["y"] + first.rect["height"])
    best = [one.text for one in shown(driver, ".verdict .narrow")]
    driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    assert lowest <= {1400: 900, 390: 844}[width]
    assert len(best) == (not wide)
    for text in best:
        assert text.startswith("Best on each dataset (≈: not significantly different)")
        assert all(re.search(rf"{dataset}: \S+ \.\d\d\d\b", text) for dataset in DATASETS)


@pytest.mark.slow
def test_a_metric_changes_verdict_chart_heat_map_and_price(opened: Any, made: Frames) -> None:
    driver = opened(page_of(made))
    selectors = (".verdict", ".ranked", ".heat", "#price .chart", "#pairs summary")
    before = [shown(driver, selector)[0].text for selector in selectors]
    radio = driver.find_element(By.CSS_SELECTOR, "input[name=metric][value=accuracy]")
    driver.execute_script("arguments[0].focus()", radio)
    radio.send_keys(Keys.SPACE)
    after = [shown(driver, selector)[0].text for selector in selectors]
    assert all("accuracy" in text for text in (after[0], after[1], after[2].lower(), after[3]))
    assert all(a != b for a, b in zip(before, after, strict=True))
    assert len(shown(driver, ".ranked")) == len(shown(driver, ".heat")) == 1
    assert "metric=accuracy" in driver.current_url


@pytest.mark.slow
def test_a_chosen_model_is_marked_everywhere_until_escape(opened: Any, made: Frames) -> None:
    driver = opened(page_of(made))
    button = next(one for one in shown(driver, ".ranked .model") if one.text == "sklearn-knn")
    press(button)
    assert "model=sklearn-knn" in driver.current_url
    pressed = shown(driver, ".model[aria-pressed=true]")
    assert {one.text for one in pressed} == {"sklearn-knn"}
    assert len(pressed) == 2  # in the chart and in the heat map
    key = button.find_element(By.XPATH, "ancestor::tr").get_attribute("data-m")
    dot = shown(driver, f"#price .dot[data-m='{key}']")[0]
    until(lambda: dot.value_of_css_property("r") == "7px")  # it grows in a transition
    press(button)
    assert "model=" not in driver.current_url
    press(button)
    button.send_keys(Keys.ESCAPE)
    assert not shown(driver, ".model[aria-pressed=true]")
    assert driver.execute_script("return location.hash") == ""


@pytest.mark.slow
def test_a_model_that_is_pointed_at_is_marked_and_told(opened: Any, made: Frames) -> None:
    driver = opened(page_of(made))
    dot = shown(driver, "#price .dot.front")[0]
    driver.execute_script("arguments[0].focus()", dot)
    (told,) = shown(driver, "#price .told")
    assert told.text == dot.get_attribute("aria-label")
    assert re.search(r"likelihood .*, fit .*, on the Pareto front", told.text)
    key = dot.get_attribute("data-m")
    row = shown(driver, f".ranked tr[data-m='{key}'] th")[0]
    assert "inset" in row.value_of_css_property("box-shadow")
    dot.send_keys(Keys.ENTER)
    assert "model=" in driver.current_url


@pytest.mark.slow
def test_a_link_reproduces_the_view(opened: Any, made: Frames) -> None:
    name = "notebook-mlp[zero_grad=false]"
    words = {"metric": "accuracy", "dataset": "wine", "model": name, "at": "datasets"}
    driver = opened(page_of(made), "#" + urlencode(words))
    assert driver.find_element(By.CSS_SELECTOR, "input[value=accuracy]").is_selected()
    assert [tab.text for tab in shown(driver, "[role=tab][aria-selected=true]")] == ["wine"]
    assert {
        one.get_attribute("title") or one.text for one in shown(driver, "[aria-pressed=true]")
    } == {name}
    heading = driver.find_element(By.ID, "datasets-title")
    assert driver.switch_to.active_element == heading
    until(
        lambda: (
            0
            <= driver.execute_script("return arguments[0].getBoundingClientRect().y", heading)
            < 300
        )
    )
    # A link to what stands elsewhere on a wide screen leads there.
    driver = opened(page_of(made), "#at=heat")
    until(lambda: driver.switch_to.active_element.get_attribute("id") == "heat-title")
    size(driver, 1400, 900)
    driver = opened(page_of(made), "#at=heat")
    until(lambda: driver.switch_to.active_element.get_attribute("id") == "verdict-title")
    driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    # A plain anchor is understood, and unknown names change nothing.
    driver = opened(page_of(made), "#pairs")
    heading = driver.find_element(By.ID, "pairs-title")
    until(lambda: 0 <= driver.execute_script(TOP, heading) < 300)
    driver = opened(page_of(made), "#metric=no&dataset=no&model=no&at=no")
    assert len(shown(driver, ".tab")) == len(shown(driver, ".ranked")) == 1


@pytest.mark.slow
def test_tabs_are_reached_by_arrows_and_from_the_heat_map(opened: Any, made: Frames) -> None:
    driver = opened(page_of(made))
    assert len(shown(driver, ".tab")) == 1
    first = shown(driver, "[role=tab]")[0]
    driver.execute_script("arguments[0].focus()", first)
    first.send_keys(Keys.ARROW_RIGHT)
    second = driver.switch_to.active_element
    assert second.get_attribute("aria-selected") == "true"
    assert [tab.get_attribute("data-dataset") for tab in shown(driver, ".tab")] == [second.text]
    press(driver.find_element(By.LINK_TEXT, "wine"))
    assert [tab.get_attribute("data-dataset") for tab in shown(driver, ".tab")] == ["wine"]
    assert "dataset=wine" in driver.current_url


@pytest.mark.slow
def test_the_pictures_of_many_datasets_are_unpacked_when_a_tab_is_opened(opened: Any) -> None:
    datasets = {f"dataset-{i:02}": ("resampled", 100, 30, 1.0 + i / 25) for i in range(15)}
    models = {"prior": -1.9, "a": 0.3, "b": 0.2}
    page = page_of(make_frames(datasets, models, repeats=2))
    assert page.count('<script type="text/plain" class="pictures">') == 3
    assert page.count("harness plot KIND -d NAME") == 3
    driver = opened(page, "#dataset=dataset-14")
    until(lambda: len(shown(driver, ".tab figure")) == 1)  # the calibration
    assert len(shown(driver, ".tab .confusion")) == 1
    assert not shown(driver, ".tab .more")
    fold = shown(driver, ".tab figure details")[0]
    press(fold.find_element(By.TAG_NAME, "summary"))
    # Tables that were packed have their tools, too.
    until(lambda: fold.find_elements(By.CSS_SELECTOR, ".tools button"))
    assert violations_in(driver) == []


@pytest.mark.slow
def test_a_pair_is_told_in_full(opened: Any, made: Frames) -> None:
    driver = opened(page_of(made))
    cell = shown(driver, ".pairs td[data-told]")[0]
    ActionChains(driver).scroll_to_element(cell).move_to_element(cell).perform()
    (told,) = shown(driver, "#pairs .told")
    assert re.search(r" − .*: NLL .*won \d, tied \d, lost \d; p = ", told.text)


@pytest.mark.slow
def test_pairs_are_reached_by_arrows_and_unfold_on_enter(opened: Any, made: Frames) -> None:
    driver = opened(page_of(made))
    stops = shown(driver, ".pairs td[tabindex='0']")
    assert len(stops) == 1
    driver.execute_script("arguments[0].focus()", stops[0])
    rows = shown(driver, "table.pairs tbody tr")
    cells = [row.find_elements(By.TAG_NAME, "td") for row in rows[:3]]

    def pressed(*keys: str) -> WebElement:
        driver.switch_to.active_element.send_keys(*keys)
        return driver.switch_to.active_element

    # The diagonal is passed over, and the edges hold.
    assert driver.switch_to.active_element == cells[0][1]
    assert pressed(Keys.ARROW_LEFT) == pressed(Keys.ARROW_UP) == cells[0][1]
    assert pressed(Keys.ARROW_RIGHT) == cells[0][2]
    assert pressed(Keys.ARROW_DOWN) == cells[1][2]
    assert pressed(Keys.ARROW_LEFT) == cells[1][0]
    assert pressed(Keys.END) == cells[1][-1]
    reached = pressed(Keys.HOME)
    assert reached == cells[1][0]
    assert reached.get_attribute("aria-label") == shown(driver, "#pairs .told")[0].text
    assert reached.aria_role == "gridcell"
    assert shown(driver, ".pairs td[tabindex='0']") == [reached]
    pressed(Keys.ENTER)
    (table,) = shown(driver, ".unfolded table")
    second, first = (row.find_element(By.TAG_NAME, "bdi").text for row in (rows[1], rows[0]))
    title = f"{second} and {first}: likelihood on each dataset"
    assert table.find_element(By.TAG_NAME, "caption").text == title
    assert column(table, 0) == ["mean", *DATASETS]
    key = rows[1].get_attribute("data-m")
    (heat,) = shown(driver, f"#heat tr[data-m='{key}']")
    scores = [cell.text for cell in heat.find_elements(By.TAG_NAME, "td")]
    assert column(table, 1) == scores
    assert violations_in(driver) == []
    pressed(Keys.ENTER)
    assert not shown(driver, ".unfolded table")


@pytest.mark.slow
def test_the_navigation_folds_on_narrow_screens_and_keeps_the_state(
    opened: Any, made: Frames
) -> None:
    driver = opened(page_of(made), "#metric=accuracy")
    size(driver, 390, 844)
    until(lambda: not shown(driver, ".side a"))
    press(driver.find_element(By.CSS_SELECTOR, ".side summary"))
    press(driver.find_element(By.LINK_TEXT, "Score against time"))
    assert not shown(driver, ".side a")
    assert driver.current_url.endswith("#metric=accuracy&at=price")
    size(driver, 1300, 844)
    until(lambda: shown(driver, ".side a[aria-current=true]"))
    driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


@pytest.mark.slow
def test_a_table_is_sorted_filtered_and_saved(opened: Any, made: Frames, tmp_path: Path) -> None:
    driver = opened(page_of(made), "#dataset=iris&at=datasets")
    saves_into(driver, tmp_path)
    table, tools = equipped(driver, "iris")
    heads = table.find_elements(By.CSS_SELECTOR, "thead th")
    texts = [head.text for head in heads]
    button = heads[2].find_element(By.TAG_NAME, "button")
    for direction in ("descending", "ascending"):
        press(button)
        assert heads[2].get_attribute("aria-sort") == direction
        values = [float(re.findall(r"\.\d+|1\.000", text)[0]) for text in column(table, 2)]
        assert values == sorted(values, reverse=direction == "descending")
    press(heads[1].find_element(By.TAG_NAME, "button"))
    assert column(table, 1) == sorted(column(table, 1))
    field = tools.find_element(By.CSS_SELECTOR, "input[type=search]")
    field.send_keys("mlp note")
    assert sorted(column(table, 1)) == ["notebook-mlp", "notebook-mlp[zero_grad=false]"]
    assert tools.find_element(By.CSS_SELECTOR, "[role=status]").text == f"2 of {len(MODELS)} rows"
    field.send_keys(Keys.CONTROL, "a", Keys.DELETE)
    press(tools.find_element(By.TAG_NAME, "summary"))
    boxes = tools.find_elements(By.CSS_SELECTOR, "input[type=checkbox]")
    assert len(boxes) == len(heads) - 1  # the name of a row cannot be hidden
    driver.execute_script("arguments[0].focus()", boxes[2])
    boxes[2].send_keys(Keys.SPACE)
    assert not heads[3].is_displayed()
    press(tools.find_elements(By.TAG_NAME, "button")[-1])
    rows = list(csv.reader(io.StringIO(saved_in(tmp_path, "iris.csv").decode())))
    # Accuracy has separate columns for its interval; likelihood is hidden.
    plain = [head for head in rows[0] if not head.endswith((" low", " high", " mark"))]
    assert plain == [head.removesuffix(" (95%)") for head in texts[:3] + texts[4:]]
    assert {row[1] for row in rows[1:]} == set(MODELS)
    for row in rows[1:]:
        low, value, high = (float(row[i]) for i in (3, 2, 4))
        assert low <= value <= high


@pytest.mark.slow
def test_dates_are_sorted_as_dates(opened: Any, few: Frames) -> None:
    points = [*points_of(0.1, subject="one"), *points_of(0.2, n=40, subject="other")]
    driver = opened(page_of(replace(few, history=lambda: points)))
    table = table_of(driver, "steps")
    heads = [head.text for head in table.find_elements(By.CSS_SELECTOR, "thead th")]
    since = next(i for i, head in enumerate(heads) if head.startswith("since"))
    for down in (False, True):
        press(table.find_elements(By.CSS_SELECTOR, "thead button")[since])
        assert len(set(column(table, since))) == 2
        dates = [datetime.strptime(text[:-4], "%d %B %Y, %H:%M") for text in column(table, since)]
        assert dates == sorted(dates, reverse=down)


@pytest.mark.slow
def test_paper_shows_all_datasets_and_wide_tables_in_parts(opened: Any) -> None:
    datasets = {f"dataset-number-{i:02}": ("resampled", 100, 30, 1.0 + i / 25) for i in range(20)}
    driver = opened(page_of(make_frames(datasets, {"prior": 0.0, "a": 0.1, "b": 0.2}, repeats=2)))
    driver.execute_script("dispatchEvent(new Event('beforeprint'))")
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    size(driver, 760, 1000)  # A4 without its margins
    parts = shown(driver, "#heat .paper table")
    assert len(parts) > 1
    assert not table_of(driver, "likelihood").is_displayed()
    heads = [
        [head.text for head in part.find_elements(By.CSS_SELECTOR, "thead th")] for part in parts
    ]
    assert {names[0] for names in heads} == {"model"}
    assert sorted(name for names in heads for name in names[1:]) == sorted(["mean", *datasets])
    assert max(part.size["width"] for part in parts) <= 760
    assert len(shown(driver, ".tab h3")) == len(datasets)
    for selector in (".tools", ".side a", ".metrics", ".tabs"):
        assert not shown(driver, selector)
    assert driver.print_page()
    driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
    driver.execute_script("dispatchEvent(new Event('afterprint'))")
    assert driver.find_elements(By.CSS_SELECTOR, ".paper") == []
    assert table_of(driver, "likelihood").is_displayed()


@pytest.mark.slow
def test_only_elements_that_scroll_are_tab_stops(opened: Any, made: Frames) -> None:
    driver = opened(page_of(made))
    script = (
        "return [...document.querySelectorAll('[role=region]')].filter((one) =>"
        " one.checkVisibility() && (one.tabIndex === 0) !== (one.scrollWidth > one.clientWidth))"
        ".length"
    )
    until(lambda: driver.execute_script(script) == 0)
    driver.set_window_size(500, 900)
    until(lambda: driver.execute_script(script) == 0)


@pytest.mark.slow
def test_unfolding_a_chart_s_data_shows_all_rows(
    opened: Any, stored_page: str, tmp_path: Path
) -> None:
    driver = opened(stored_page)
    table = table_of(driver, "likelihood-threshold")
    fold = table.find_element(By.XPATH, "ancestor::details")
    packed = fold.find_element(By.CSS_SELECTOR, "a[download]").get_attribute("href")
    plain = gzip.decompress(base64.b64decode(packed.partition(",")[2])).decode()
    lines = list(csv.reader(io.StringIO(plain)))
    assert len(column(table, 0)) == 10 < len(lines)
    press(fold.find_element(By.TAG_NAME, "summary"))
    until(lambda: len(column(table, 0)) != 10)
    for i, head in enumerate(lines[0]):
        assert column(table, i) == [line[i] for line in lines[1:]], head
    assert fold.find_elements(By.CSS_SELECTOR, "a[download]") == []


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1400, 1200, 360])
def test_axe_finds_no_violation_in_either_scheme_on_wide_and_narrow_screens(
    opened: Any, stored_page: str, scheme: str, width: int
) -> None:
    driver = opened(stored_page)
    size(driver, width, 900)
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    dark = driver.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert (dark == "rgb(255, 255, 255)") == (scheme == "light")
    for summary in shown(driver, "main details:not([open]) > summary"):
        press(summary)
    heights = (
        "return [...document.querySelectorAll('.chart text')]"
        ".filter((one) => one.checkVisibility()).map((text) => text.getBoundingClientRect().height)"
    )
    assert min(driver.execute_script(heights)) > 6
    overflow = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert driver.execute_script(overflow) <= 0
    violations = violations_in(driver)
    driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    assert violations == []


@pytest.mark.slow
def test_without_script_the_verdict_tables_and_all_data_are_there(
    opened: Any, stored_page: str, tmp_path: Path
) -> None:
    opened("<title>nothing</title>").execute_cdp_cmd(
        "Emulation.setScriptExecutionDisabled", {"value": True}
    )
    driver = opened(stored_page)
    saves_into(driver, tmp_path)
    for selector in (".verdict", ".ranked", ".heat"):
        assert len(shown(driver, selector)) == 1
    assert table_of(driver, "iris").is_displayed()
    assert len(shown(driver, ".tab")) == 3
    assert not shown(driver, "th button:not(.model), .tools, .metrics, .tabs")
    driver.find_element(By.CSS_SELECTOR, "#data a").click()
    frame = pd.read_csv(io.BytesIO(gzip.decompress(saved_in(tmp_path, "ranking.csv.gz"))))
    assert set(frame["dataset"]) == {"threshold", "twonorm[n_test=100]", "iris"}


@pytest.mark.slow
def test_all_controls_can_be_reached_by_keyboard(opened: Any, made: Frames) -> None:
    driver = opened(page_of(made))
    seen = set()
    for _ in range(90):
        driver.switch_to.active_element.send_keys(Keys.TAB)
        element = driver.switch_to.active_element
        seen.add((element.tag_name, element.get_attribute("type") or element.aria_role))
    assert {("a", "link"), ("input", "radio"), ("button", "button"), ("circle", "image")} <= seen


@pytest.mark.slow
def test_of_two_hundred_models_the_best_are_shown_and_all_are_unpacked(
    opened: Any, tmp_path: Path
) -> None:
    datasets = {f"dataset-{i:02}": ("resampled", 100, 30, 1.0 + i / 25) for i in range(12)}
    models = {"prior": -1.9} | {f"model-{i:03}": i / 400 for i in range(199)}
    page = page_of(make_frames(datasets, models, repeats=2))
    assert len(page.encode()) < 1_000_000
    driver = opened(page, "#model=model-000")
    for selector in (".ranked", ".heat"):
        (table,) = shown(driver, selector)
        names = column(table, 1 if selector == ".ranked" else 0)
        assert len([name for name in names if name.startswith("model-")]) == 20
        more = shown(driver, f".whole:has({selector}) .more button")[0]
        assert more.text == "Show all 200"
        press(more)
        until(lambda table=table: len(column(table, 1)) >= 200)
    # What was chosen before is marked in the rows that were unpacked.
    assert {one.text for one in shown(driver, "[aria-pressed=true]")} == {"model-000"}
    table, tools = equipped(driver, "dataset-00")
    assert len(column(table, 0)) == 20
    tools.find_element(By.CSS_SELECTOR, "input[type=search]").send_keys("model-01")
    until(lambda: len(column(table, 0)) == 10)
