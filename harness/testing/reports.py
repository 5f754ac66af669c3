"""Checks of reports, run on a small made-up run."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from harness.contract.values import FOLDER
from harness.errors import HarnessError, describe
from harness.testing.checks import Check, kebab_case_name, require, run_all
from harness.testing.samples import sample_frames
from harness.untrusted import folder_fault

if TYPE_CHECKING:
    import pandas as pd

    from harness.contract.values import Frames, Report


def check_report(report: Report) -> None:
    """Run all of ``REPORT_CHECKS`` on a report.

    Raises:
        AssertionError: some checks failed; the message lists them, one per line.
    """
    run_all("report", report, REPORT_CHECKS)


def gives_named_tables(report: Report) -> None:
    """Gives its tables as DataFrames by name."""
    import pandas as pd

    tables = report.tables(sample_frames(), **report.defaults)
    require(tables, "tables gives no table")
    for name, table in tables.items():
        require(isinstance(name, str) and name, f"a table is named {name!r}, which is not a str")
        kind = type(table).__name__
        require(isinstance(table, pd.DataFrame), f"table '{name}' is a {kind}, not a DataFrame")
        columns = list(map(str, table.columns))
        twice = {column for column in columns if columns.count(column) > 1}
        require(not twice, f"table '{name}' has duplicate columns: {', '.join(sorted(twice))}")


def renders_every_format(report: Report) -> None:
    """Renders each format that it declares."""
    require(report.formats, "formats is empty")
    _require_rendered(report, sample_frames())


def renders_a_run_that_failed(report: Report) -> None:
    """Renders a run in which no trial has scores, or refuses it with a HarnessError."""
    try:
        _require_rendered(report, sample_frames(all_failed=True))
    except AssertionError as error:
        if not isinstance(error.__cause__, HarnessError):
            raise


def leaves_the_frames_alone(report: Report) -> None:
    """Does not change the frames that it gets."""
    frames = sample_frames()
    results, traces = frames.results.copy(), frames.traces()
    held = _held(frames, traces)
    report.tables(held, **report.defaults)
    _require_unchanged("tables", "results", held.results, results)
    _require_unchanged("tables", "traces", held.traces(), frames.traces())
    for form in report.formats:
        report.render(held, form, **report.defaults)
        _require_unchanged(f"render in {form}", "results", held.results, results)
        _require_unchanged(f"render in {form}", "traces", held.traces(), frames.traces())


REPORT_CHECKS = tuple(
    Check.of(function)
    for function in (
        kebab_case_name,
        gives_named_tables,
        renders_every_format,
        renders_a_run_that_failed,
        leaves_the_frames_alone,
    )
)


def _require_rendered(report: Report, frames: Frames) -> None:
    for form in report.formats:
        try:
            rendered = report.render(frames, form, **report.defaults)
        except Exception as error:
            raise AssertionError(f"{form}: render raised {describe(error)}") from error
        if form == FOLDER:
            _require_files(rendered)
            continue
        text = _printed(rendered) if form == "rich" else rendered
        kind = type(text).__name__
        fits = isinstance(text, str | bytes)
        require(fits, f"{form}: render gives a {kind}, neither str nor bytes")
        require(text.strip(), f"{form}: render gives nothing")
        if form == "json":
            json.loads(str(text))


def _require_files(rendered: Any) -> None:
    kind = type(rendered).__name__
    require(isinstance(rendered, Mapping), f"{FOLDER}: render gives a {kind}, not a mapping")
    require(rendered, f"{FOLDER}: render gives no file")
    fault = folder_fault(rendered)
    require(not fault, f"{FOLDER}: the folder {fault}")
    for path, content in rendered.items():
        kind = type(content).__name__
        require(isinstance(content, bytes), f"{FOLDER}: '{path}' is a {kind}, not bytes")


def _printed(rendered: Any) -> str:
    from rich.console import Console

    file = io.StringIO()
    Console(file=file, width=80).print(rendered)
    return file.getvalue()


def _held(frames: Frames, traces: pd.DataFrame) -> Frames:
    """Frames that always give the same DataFrame of traces, so that changes to it can be seen."""
    return replace(frames, traces=lambda: traces)


def _require_unchanged(who: str, what: str, actual: pd.DataFrame, expected: pd.DataFrame) -> None:
    require(actual.equals(expected), f"{who} changes {what}")
