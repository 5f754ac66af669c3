"""``harness report``."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli import options, reports
from harness.cli.compare import find_runs
from harness.contract.values import FOLDER
from harness.errors import UsageError, cannot_write
from harness.terminal.console import out, remark, write
from harness.untrusted import cleaned, frame_csv

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from harness.contract.registry import Registry
    from harness.contract.values import Report


LIBRARIES = ("sqlalchemy", "pandas", "scipy.special", "harness.store.sets")
"""Modules to import while the plugins' processes start."""


class ReportCommand(options.Command):
    """A command whose help ends with the reports and their options."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002  # click's signature
        """Add the installed reports with their formats and options to the help text."""
        for report in options.discover(()).reports.values():
            with formatter.section(f"Report {report.name}, as {', '.join(report.formats)}"):
                formatter.write_text(report.description)
                if report.options:
                    formatter.write_dl([reports.in_help(option) for option in report.options])


@click.command(
    name="report",
    cls=ReportCommand,
    short_help="Print a run's tables again.",
    context_settings={"ignore_unknown_options": True},  # a report has options of its own
)
@click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="[NAME] [RUN]...")
@click.option("--report", "name", help="Report to print; the same as the argument NAME.")
@click.option(
    "--format", "style", metavar="FORMAT", help="Format of the report, as listed below [its first]."
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="FOLDER",
    help="Also write each table to this folder, as CSV and Parquet.",
)
@click.option(
    "--to",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write the report to a file, not to the terminal; the suffix sets the format.",
)
@click.option(
    "--html",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write the report as one self-contained HTML page, with tables and pictures.",
)
@click.option(
    "--best-of",
    metavar="METRIC",
    help="Best model of each dataset by METRIC (report best).",
)
@click.option("--versus", is_flag=True, help="Models compared in pairs (report versus).")
@options.set_options()
@options.metric_option()
@options.store_option
@options.plugin_option
def command(
    words: tuple[str, ...],
    name: str | None,
    style: str | None,
    output: Path | None,
    to: Path | None,
    html: Path | None,
    best_of: str | None,
    versus: bool,
    since: datetime | None,
    all_runs: bool,
    metrics: tuple[str, ...],
    store: str | None,
    plugins: tuple[str, ...],
) -> None:
    """Print a report of RUN [the newest run].

    RUN is an id, a name, `last`, `previous`, or a git revision (the newest run of that code).
    NAME is one of the reports below; without NAME, prints the tables that `harness run` prints at
    its end.  Several runs make one ranking, of the newest results of each model on each dataset.

    \b
      harness report
      harness report 3 5 add-lgbm
      harness report --since 30d --html leaderboard.html
      harness report 3 --format markdown
      harness report 3 --metric auc --metric f1-macro
      harness report --html report.html
      harness report best --score accuracy --format markdown
      harness report versus -m torch-mlp -m sklearn-random-forest --rope 2%
    """  # noqa: D301  # click wants the character, not its escape
    if sum((html is not None, best_of is not None, versus)) > 1:
        raise UsageError("--html, --best-of and --versus are three reports; use only one of them")
    if html and style:
        raise UsageError("--html writes a page; leave --format out")
    if html and to:
        raise UsageError("--html and --to name two files; leave one out")
    file = html or to
    if file:
        options.require_writable(file)
    registry = options.discover(plugins, meanwhile=LIBRARIES)
    from harness.analysis.shown import USUAL
    from harness.store.sets import load_runs

    name, rest = _named(registry, name, list(words), best_of=best_of, versus=versus)
    report = registry.reports[name] if name else _usual(registry, page=html is not None)
    runs, chosen = reports.parsed(registry, report, rest)
    named = reports.named_metrics(registry, report, chosen)
    # Accuracy and likelihood are in every run's tables.
    further = [chosen[keyword] for keyword, name in named.items() if name not in USUAL]
    chosen |= named
    style = _format(report, "html" if html else style, file)
    with closing(options.open_store(store)) as opened:
        found = find_runs(opened, runs, since=since, all_runs=all_runs)
        frames = load_runs(opened, found, registry.pictures)
        frames = options.with_metrics(frames, registry, (*metrics, *further))
        rendered = report.render(frames, style, **chosen)
        if file:
            _write(rendered, file)
        elif isinstance(rendered, bytes):
            raise UsageError(f"report '{report.name}' writes {style} to a file only; add --to FILE")
        elif isinstance(rendered, str):
            write(rendered)
        else:
            out().print(rendered)
        if output:
            _write_tables(report.tables(frames, **chosen), output)


def _named(
    registry: Registry, name: str | None, words: list[str], *, best_of: str | None, versus: bool
) -> tuple[str | None, list[str]]:
    """The name of the report, None if no report is named, and the remaining command line."""
    if versus or best_of:
        option, alias = ("--versus", "versus") if versus else ("--best-of", "best")
        if alias not in registry.reports:
            raise UsageError(
                f"{option} is the report '{alias}', which no installed plugin offers; "
                "install one that does (`harness list reports` lists those here)"
            )
        return alias, words if versus else [*words, "--score", str(best_of)]
    if not name and words and words[0] in registry.reports:
        return words[0], words[1:]
    return name, words


def _usual(registry: Registry, *, page: bool) -> Report:
    """The report to use if none is named: the one printed after runs, or one that makes a page.

    Raises:
        UsageError: no such report is installed.
    """
    if not page:
        return reports.after_runs(registry)
    for report in registry.reports.values():
        if "html" in report.formats:
            return report
    raise UsageError(
        "no installed report makes a page; install a plugin with a report of the format html"
    )


def _format(report: Report, style: str | None, file: Path | None) -> str:
    """The given format, else the format of the file's suffix, else the report's first.

    Raises:
        UsageError: the report does not have this format, or it cannot be written to a file.
    """
    if style is None and file is not None:
        kinds = {"md": "markdown", "tex": "latex"}
        suffix = file.suffix.lower().removeprefix(".")
        style = kinds.get(suffix, suffix)
    style = style or report.formats[0]
    if style == FOLDER and FOLDER in report.formats:
        raise UsageError(
            f"report '{report.name}' is a folder of files; "
            f"`harness publish FOLDER --report {report.name}` writes it"
        )
    possible = [name for name in report.formats if file is None or name not in ("rich", FOLDER)]
    if style not in possible:
        where = "for a file " if file else ""
        raise UsageError(
            f"report '{report.name}' has no format {style} {where}".rstrip()
            + f", but {', '.join(possible) or 'none'}"
        )
    return style


def _write(rendered: Any, file: Path) -> None:
    try:
        if isinstance(rendered, bytes):
            file.write_bytes(rendered)
        else:
            file.write_text(cleaned(str(rendered)), encoding="utf-8")
    except OSError as error:
        raise cannot_write(file, error) from error
    remark(f"wrote {file}, {file.stat().st_size / 1024:.0f} KiB")


def _write_tables(tables: Mapping[str, Any], folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, table in tables.items():
            (folder / f"{name}.csv").write_text(frame_csv(table), encoding="utf-8")
            table.to_parquet(folder / f"{name}.parquet", index=False)
    except OSError as error:
        raise cannot_write(folder, error) from error
    remark(f"wrote {', '.join(tables)} as CSV and Parquet to {folder}")
