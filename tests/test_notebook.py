"""A notebook shows a run's progress, and results as tables."""

from __future__ import annotations

import sys
from html.parser import HTMLParser
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

import harness
from harness import notebook

if TYPE_CHECKING:
    from pathlib import Path

NAN = float("nan")


class Shown:
    """A fake notebook: the output under a cell now, and all earlier outputs."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def display(self, text: str, *, display_id: bool) -> Shown:
        assert display_id
        self.texts.append(text)
        return self

    def update(self, text: str) -> None:
        self.texts.append(text)


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Shown:
    """Make this process look like a notebook's kernel."""
    notebook_output = Shown()
    shell = type("ZMQInteractiveShell", (), {})()
    fakes: dict[str, dict[str, Any]] = {
        "IPython": {"get_ipython": lambda: shell},
        "IPython.display": {"display": notebook_output.display, "HTML": str},
    }
    for name, content in fakes.items():
        module = ModuleType(name)
        module.__dict__.update(content)
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HARNESS_STORE", raising=False)
    return notebook_output


def run(**options: Any) -> harness.Outcome:
    return harness.run(["threshold"], ["prior"], repeats=2, jobs=1, timing=False, **options)


@pytest.mark.parametrize("in_process", [False, True])
def test_a_notebook_shows_a_progress_bar_of_a_run(
    shown: Shown, monkeypatch: pytest.MonkeyPatch, in_process: bool
) -> None:
    monkeypatch.setattr(notebook, "EVERY", 0.0)
    run(in_process=in_process)
    assert shown.texts[0] == '<div><progress value="0" max="4"></progress> 0 of 4 done</div>'
    assert any("1 running" in text for text in shown.texts)
    assert shown.texts[-1] == '<div><progress value="4" max="4"></progress> 4 of 4 done</div>'


def test_the_bar_is_updated_only_now_and_then(
    shown: Shown, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notebook, "EVERY", 1e6)
    run()
    assert len(shown.texts) == 2


def test_the_bar_can_be_turned_off(shown: Shown) -> None:
    run(progress=False)
    assert not shown.texts


def test_an_interrupted_run_leaves_the_bar_at_its_last_state(
    shown: Shown, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("harness.store.database.Store.add", interrupt)
    with pytest.raises(KeyboardInterrupt):
        run()
    assert "of 4 done" in shown.texts[-1]


@pytest.mark.parametrize("shell", [None, "TerminalInteractiveShell"])
def test_outside_a_notebook_nothing_is_shown(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Any, shell: str | None
) -> None:
    """A script and IPython's terminal show no bar unless the caller asks for a bar."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "IPython", raising=False)
    if shell:
        fake = ModuleType("IPython")
        fake.__dict__["get_ipython"] = lambda: type(shell, (), {})()
        monkeypatch.setitem(sys.modules, "IPython", fake)
    assert not notebook.is_here()
    run()
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("", "")


class Cells(HTMLParser):
    """Collects the texts of a page by tag, and all tags."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.texts: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: object) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.texts += [data.strip()] if data.strip() else []


def ranking(**changes: Any) -> pd.DataFrame:
    row = {
        "dataset": "iris",
        "rank": 1.0,
        "model": "mine",
        "device": "cpu",
        "baseline": False,
        "accuracy": 0.95333,
        "accuracy_low": 0.9,
        "accuracy_high": 1.0,
        "nll": 0.123456,
        "accuracy_separated": False,
        "accuracy_tied_with_best": True,
        "fit_seconds": 12345.678,
        "ok": 5,
        "total": 5,
    }
    return pd.DataFrame([row | changes])


def test_a_ranking_is_a_table_for_each_dataset_with_few_digits() -> None:
    table = pd.concat([ranking(), ranking(dataset="wine", accuracy_separated=True)])
    cells = Cells(notebook.page({"ranking": table}))
    assert cells.tags.count("table") == cells.tags.count("caption") == 2
    assert cells.texts[:11] == [
        *("iris", "#", "model", "accuracy", "NLL", "fit seconds"),
        *("1", "mine", "≈.953", ".900–1.000", ".123"),
    ]
    assert cells.texts[11] == "12,346"
    assert cells.tags.count("b") == 2 + 1


def test_names_that_look_like_html_are_shown_as_text() -> None:
    name = '<script>alert("&")</script>'
    failures = pd.DataFrame([{"dataset": name, "reason": "<b>bad</b>"}])
    cells = Cells(
        notebook.page({"ranking": ranking(dataset=name, model=name), "failures": failures})
    )
    assert "script" not in cells.tags
    assert cells.texts.count(name) == 3
    assert "<b>bad</b>" in cells.texts


def test_empty_tables_and_empty_columns_are_left_out() -> None:
    overview = pd.DataFrame([{"model": "mine", "mean": 0.5, "iris": 0.5}])
    tables = {
        "ranking": ranking(rank=NAN, nll=NAN, ok=0),
        "accuracy": overview,
        "failures": pd.DataFrame(columns=["dataset", "reason"]),
        "training": pd.DataFrame([{"dataset": "iris", "model": "mine", "status": "ok"}]),
    }
    texts = Cells(notebook.page(tables)).texts
    assert "NLL" not in texts
    assert "#" not in texts
    assert "accuracy" in texts
    assert texts[texts.index("ok") :][:2] == ["ok", "total"]
    assert "mean" not in texts
    assert "failures" not in texts
    assert "status" not in texts
    assert notebook.page({}) == ""


def test_baselines_are_faint() -> None:
    assert "opacity" in notebook.page({"ranking": ranking(baseline=True)})
    assert "opacity" not in notebook.page({"ranking": ranking()})
