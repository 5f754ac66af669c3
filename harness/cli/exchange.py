"""``harness merge``, ``harness export`` and ``harness import``."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli import options
from harness.cli.compare import find_runs
from harness.errors import UsageError
from harness.terminal.console import say
from harness.words import plural

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from harness.store.database import Store
    from harness.store.merging import WholeRun


@click.command(
    name="merge", cls=options.Command, short_help="Copy the runs of other stores into this one."
)
@click.argument("other", nargs=-1, required=True)
@options.store_option
def merge(other: tuple[str, ...], store: str | None) -> None:
    """Copy the runs of each store OTHER into the store: results, predictions, timings, history.

    If the store already has a run, only the results that it lacks are added.

    \b
      harness merge laptop.db server.db
      harness merge artifacts/base.db --store sqlite:///leaderboard.db
    """  # noqa: D301  # click wants the character, not its escape
    from harness.store.database import Store
    from harness.store.merging import whole_runs

    url = options.store_url(store)
    with closing(Store(url, create=True)) as opened:
        for name in other:
            with closing(Store(options.store_url(name))) as source:
                if source.engine.url == opened.engine.url or _is_same(source.name, opened.name):
                    raise UsageError(f"'{name}' is the store itself; name another one")
                _add(opened, whole_runs(source, by_reference=True), source.name)
                opened.add_points(source.points())


@click.command(
    name="export", cls=options.Command, short_help="Write runs as JSON and Parquet to a folder."
)
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.argument("runs", nargs=-1, metavar="[RUN]...")
@options.set_options("Write", " [the default]")
@options.store_option
def export(
    folder: Path,
    runs: tuple[str, ...],
    since: datetime | None,
    all_runs: bool,
    store: str | None,
) -> None:
    """Write each RUN to its own folder below FOLDER, for git and for other tools.

    Without RUN, writes all runs.  A run becomes run.json (request, environment and timings) and
    Parquet files with the trials, the probabilities of each test row, the likelihood by epoch, and
    what pictures of the inputs are drawn from.
    Exporting a run again writes the same bytes.  `harness import` reads them.

    \b
      harness export results
      harness export results last
    """  # noqa: D301  # click wants the character, not its escape
    from harness.interchange.folders import write_runs
    from harness.store.merging import whole_runs

    with closing(options.open_store(store)) as opened:
        found = find_runs(opened, runs, since=since, all_runs=all_runs) if runs or since else None
        ids = None if found is None else [run.id for run in found]
        written = 0
        for place in write_runs(folder, whole_runs(opened, ids)):
            written += 1
            say(str(place))
    if not written:
        say("the store has no run")


@click.command(
    name="import", cls=options.Command, short_help="Read runs that `harness export` wrote."
)
@click.argument("folder", nargs=-1, required=True, type=click.Path(path_type=Path))
@options.store_option
def import_(folder: tuple[Path, ...], store: str | None) -> None:
    """Add the runs in each FOLDER that `harness export` wrote to the store.

    If the store already has a run, only the results that it lacks are added.
    """
    from harness.interchange.folders import read_runs
    from harness.store.database import Store

    with closing(Store(options.store_url(store), create=True)) as opened:
        for place in folder:
            _add(opened, read_runs(place), str(place))


def _add(store: Store, runs: Iterator[WholeRun], origin: str) -> None:
    """Add runs to a store, and print a line for each."""
    from harness.store.merging import add_runs

    for added in add_runs(store, runs):
        theirs = " ".join(
            word
            for word in (
                f"run {added.theirs['id']}" if added.theirs["id"] else "a run",
                f"'{added.theirs['name']}'" if added.theirs["name"] else "",
                f"of {origin}",
            )
            if word
        )
        n_results = plural(added.n_results, "result")
        if added.is_new:
            say(f"{theirs} is run {added.ours} here: {n_results}")
        elif added.n_results:
            say(
                f"{theirs} is here already, as run {added.ours}; {n_results} that it lacked were "
                f"added"
            )
        else:
            say(f"{theirs} is here already, as run {added.ours}")


def _is_same(one: str, other: str) -> bool:
    """Whether two names of stores are of one file."""
    try:
        return Path(one).samefile(other)
    except OSError:
        return False
