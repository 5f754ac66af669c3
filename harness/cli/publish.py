"""``harness publish``."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli import options, reports
from harness.cli.compare import find_runs
from harness.contract.values import FOLDER
from harness.errors import UsageError
from harness.terminal.console import remark
from harness.words import plural

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from harness.contract.registry import Registry
    from harness.contract.values import Report, Run
    from harness.store.database import Store


class PublishCommand(options.Command):
    """A command whose help ends with the reports that make a site, and their options."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002  # click's signature
        """Add the installed reports that make a site to the help text."""
        for report in _sites(options.discover(())):
            with formatter.section(f"Options of the report {report.name}"):
                formatter.write_dl([reports.in_help(option) for option in report.options])


@click.command(
    name="publish",
    cls=PublishCommand,
    short_help="Write the leaderboard as a static site.",
    context_settings={"ignore_unknown_options": True},  # a report has options of its own
)
@click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="FOLDER [RUN]...")
@click.option(
    "--report",
    "name",
    help="Report that makes the site [the first one with the format folder].",
)
@options.set_options(default=" [the default]")
@options.metric_option()
@options.store_option
@options.plugin_option
def command(
    words: tuple[str, ...],
    name: str | None,
    since: datetime | None,
    all_runs: bool,
    metrics: tuple[str, ...],
    store: str | None,
    plugins: tuple[str, ...],
) -> None:
    """Write the leaderboard as a site into FOLDER: ranking, history, data to download.

    RUN is an id, a name, `last`, `previous`, or a git revision (the newest run of that code).
    Without RUN, the site has the newest results of all runs.  Browsers open the site from the
    disk: it needs no network and no server. Publishing again replaces the site's files and keeps
    all others.

    \b
      harness publish site
      harness publish site --since 90d --title 'Churn models'
      harness publish site 3 5 add-lgbm --metric auc
    """  # noqa: D301  # click wants the character, not its escape
    from harness.interchange.publication import publish, require_folder
    from harness.store.sets import load_runs

    registry = options.discover(plugins)
    report = _chosen(registry, name)
    (place, *texts), chosen = reports.parsed(registry, report, words or ("",))
    if not place:
        raise UsageError("name the folder to write to: harness publish FOLDER")
    folder = Path(place)
    require_folder(folder)
    chosen |= reports.named_metrics(registry, report, chosen)
    with closing(options.open_store(store)) as opened:
        runs = _with_results(opened, texts, since=since, all_runs=all_runs)
        frames = load_runs(opened, runs, registry.pictures)
        frames = options.with_metrics(frames, registry, metrics)
        files = report.render(frames, FOLDER, **chosen)
    written = publish(folder, files, f"report '{report.name}'")
    removed = f", {plural(written.removed, 'old file')} removed" if written.removed else ""
    index = f"; open {folder / 'index.html'}" if "index.html" in files else ""
    size = f"{written.size / 2**20:.1f} MiB"
    remark(f"wrote {written.files} files to {folder} ({size}{removed}){index}")


def _sites(registry: Registry) -> list[Report]:
    return [report for report in registry.reports.values() if FOLDER in report.formats]


def _chosen(registry: Registry, name: str | None) -> Report:
    """The named report, or the first one that makes a site.

    Raises:
        UsageError: it makes no site, or no report does.
    """
    if name is None:
        if sites := _sites(registry):
            return sites[0]
        raise UsageError(
            "no installed report makes a site; install a plugin with a report of the format folder"
        )
    report = registry.reports[name]
    if FOLDER not in report.formats:
        raise UsageError(
            f"report '{name}' makes no site, only {', '.join(report.formats)}; "
            f"`harness report {name}` prints it"
        )
    return report


def _with_results(
    store: Store, texts: Sequence[str], *, since: datetime | None, all_runs: bool
) -> list[Run]:
    """The runs to publish: the named ones, or all that have results.

    Raises:
        UsageError: there is none, or a named run took only timings.
    """
    everything = all_runs or not (texts or since)
    runs = find_runs(store, texts, since=since, all_runs=everything)
    if bench := next((run for run in runs if run.kind == "bench"), None):
        raise UsageError(f"run {bench.id} is a bench, which has no results to publish")
    counts = store.statuses()
    if not any(counts.get(run.id) for run in runs):
        raise UsageError(f"the runs in store '{store.name}' have no results to publish yet")
    return runs
