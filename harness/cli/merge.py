"""``harness merge``."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import click

from harness.cli import options
from harness.errors import UsageError
from harness.terminal.console import say
from harness.words import plural


@click.command(
    name="merge", cls=options.Command, short_help="Copy the runs of other stores into this one."
)
@click.argument("other", nargs=-1, required=True)
@options.store_option
def command(other: tuple[str, ...], store: str | None) -> None:
    """Copy the runs of each store OTHER into the store: results, predictions, timings, history.

    Runs that are there already are left as they are; results that they lack are added.

    \b
      harness merge laptop.db server.db
      harness merge artifacts/base.db --store sqlite:///leaderboard.db
    """  # noqa: D301  # click wants the character, not its escape
    from harness.store.database import Store
    from harness.store.merging import merge

    url = options.store_url(store)
    with closing(Store(url, create=True)) as opened:
        for name in other:
            with closing(Store(options.store_url(name))) as source:
                if source.engine.url == opened.engine.url or _is_same(source.name, opened.name):
                    raise UsageError(f"'{name}' is the store itself; name another one")
                for merged in merge(opened, source):
                    name_of_run = f" '{merged.theirs.name}'" if merged.theirs.name else ""
                    theirs = f"run {merged.theirs.id}{name_of_run} of {source.name}"
                    n_results = plural(merged.n_results, "result")
                    if merged.is_new:
                        say(f"{theirs} is run {merged.ours} here: {n_results}")
                    elif merged.n_results:
                        say(f"{theirs} was here as run {merged.ours}: {n_results} added")
                    else:
                        say(f"{theirs} was here already, as run {merged.ours}")


def _is_same(one: str, other: str) -> bool:
    """Whether two names of stores are of one file."""
    try:
        return Path(one).samefile(other)
    except OSError:
        return False
