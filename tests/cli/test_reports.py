"""Reports of plugins: their options on the command line, and their files."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from command_line import complaint_of, harness_in

pytestmark = pytest.mark.usefixtures("known_plugins")

STORE = Path(__file__).parents[1] / "golden" / "store.db"

PLUGIN = """
import json

import harness


def tables(frames, **options):
    return {"results": frames.results[["dataset", "model"]]}


def render(frames, format, **options):
    text = json.dumps({"format": format, "run": frames.run.name} | options)
    return text.encode() if format == "zip" else text


@harness.hookimpl
def harness_reports():
    yield harness.Report(
        "mine",
        tables,
        render,
        formats=("json", "zip"),
        description="What it was given.",
        options=(
            harness.Option("score", "nll", "By which.", choices=("nll", "brier")),
            harness.Option("at-least", 0.5, "A share."),
            harness.Option("bare", False, "Without words."),
            harness.Option("column", (), "Repeatable.", short="c"),
            harness.Option("title", None, "Above it."),
        ),
    )
"""

DEFAULTS = {"score": "nll", "at_least": 0.5, "bare": False, "column": [], "title": None}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copy(STORE, tmp_path / "harness.db")
    (tmp_path / "mine.py").write_text(PLUGIN)
    return tmp_path


@pytest.mark.parametrize(
    ("words", "given"),
    [
        ((), {}),
        (("--score", "brier"), {"score": "brier"}),
        (("--at-least", "2%"), {"at_least": 0.02}),
        (("--at-least", "-3"), {"at_least": -3.0}),
        (("--bare", "-c", "a", "--column", "b"), {"bare": True, "column": ["a", "b"]}),
        (("--title", "--bare"), {"title": "--bare"}),
    ],
)
def test_an_option_that_a_report_declares_reaches_the_report(
    folder: Path, words: tuple[str, ...], given: dict[str, object]
) -> None:
    done = harness_in(folder, "report", "mine", "base", *words, "--plugin", "mine.py")
    assert done.status == 0, done.remarks
    assert json.loads(done.printed) == {"format": "json", "run": "base"} | DEFAULTS | given


def test_the_default_run_is_the_newest(folder: Path) -> None:
    done = harness_in(folder, "report", "mine", "--bare", "--plugin", "mine.py")
    assert json.loads(done.printed)["bare"] is True


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("--score", "auc"), "'auc' is not one of"),
        (("--at-least", "much"), "'much' is no number; write it like 3% or 0.03"),
        (("--at-least", "nan"), "is no number"),
        (("--at-least", "1", "--at-least", "2"), "--at-least is given twice"),
        (("--rope", "2%"), "report 'mine' has no option --rope; 'versus' has it"),
        (("--nothing",), "has no option --nothing; see 'harness report --help'"),
        (("--format", "zip"), "writes zip to a file only; add --to FILE"),
        (("--format", "xml"), "has no format xml, but json, zip"),
        (("--to", "out.pdf"), "has no format pdf for a file, but json, zip"),
        (("--to", "none/out.zip"), "its folder does not exist"),
        (("--to", "a.zip", "--html", "b.html"), "leave one out"),
    ],
)
def test_a_request_that_a_report_cannot_fulfil_is_a_one_line_error(
    folder: Path, words: tuple[str, ...], complaint: str
) -> None:
    assert complaint in complaint_of(
        harness_in(folder, "report", "mine", *words, "--plugin", "mine.py")
    )


def test_a_report_may_give_bytes_to_a_file(folder: Path) -> None:
    words = ("report", "mine", "base", "--to", "out.zip", "--plugin", "mine.py")
    done = harness_in(folder, *words)
    assert (done.status, done.printed) == (0, ""), done.remarks
    assert json.loads((folder / "out.zip").read_bytes())["format"] == "zip"


def test_tables_are_written_to_files_and_printed(folder: Path) -> None:
    words = ("report", "mine", "base", "--output", "tables", "--plugin", "mine.py")
    assert harness_in(folder, *words).status == 0
    assert (folder / "tables" / "results.csv").read_text().startswith("dataset,model\n")


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ("options=['rope']", "write a tuple of harness.Option"),
        ("options=(harness.Option('two words'),)", "names are words joined by '-'"),
        ("options=(harness.Option('--rope'),)", "names are words joined by '-'"),
        ("options=(harness.Option('rope', []),)", "by default"),
        ("options=(harness.Option('rope', short='ro'),)", "write one letter"),
        ("formats=('json',), after_runs=True", "no format 'rich'"),
    ],
)
def test_options_that_break_the_contract_are_refused(
    folder: Path, fields: str, complaint: str
) -> None:
    (folder / "wrong.py").write_text(
        "import harness\n\n\n@harness.hookimpl\ndef harness_reports():\n"
        f"    yield harness.Report('wrong', lambda f: {{}}, lambda f, style: '', {fields})\n"
    )
    said = complaint_of(harness_in(folder, "list", "reports", "--plugin", "wrong.py"))
    assert "report 'wrong'" in said
    assert complaint in said
