"""``harness runs``."""

from __future__ import annotations

from contextlib import closing

import click

from harness.cli import options
from harness.cli.compare import find_run
from harness.terminal.console import out, say


@click.group(
    name="runs",
    cls=options.CommandGroup,
    invoke_without_command=True,
    short_help="List the runs in the store, delete some.",
)
@options.store_option
@click.pass_context
def command(ctx: click.Context, store: str | None) -> None:
    """List the runs in the store."""
    if ctx.invoked_subcommand is None:
        _list(store)


@command.command(name="delete", short_help="Delete runs and all that belongs to them.")
@click.argument("run", nargs=-1, required=True)
@options.store_option
@click.pass_context
def delete(ctx: click.Context, run: tuple[str, ...], store: str | None) -> None:  # noqa: ARG001  # in ctx
    """Delete each RUN, as `harness compare` takes it, and all that belongs to it."""
    with closing(options.open_store(options.store_of(ctx))) as opened:
        runs_by_id = {chosen.id: chosen for chosen in (find_run(opened, name) for name in run)}
        for chosen in runs_by_id.values():
            opened.delete(chosen)
            say(f"deleted run {chosen.id}{f' ({chosen.name})' if chosen.name else ''}")


def _list(store: str | None) -> None:
    from rich import box
    from rich.table import Table

    with closing(options.open_store(store)) as opened:
        runs, statuses = opened.runs(), opened.statuses()
        timings = opened.timing_counts()
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("run", justify="right")
    for head in ("name", "started (UTC)", "state", "results"):
        table.add_column(head, overflow="fold")
    for run in runs:
        counts = statuses.get(run.id, {})
        parts = [f"{count} {status}" for status, count in sorted(counts.items())]
        parts += [f"{timings[run.id]} timings"] if run.id in timings else []
        listed = ", ".join(parts)
        done = sum(counts.values())
        state = "complete" if run.finished else f"{done} of {run.n_trials}"
        started = run.started.replace("T", " ").removesuffix("+00:00")
        table.add_row(str(run.id), run.name, started, state, listed)
    if runs:
        out().print(table)
    else:
        say("no runs yet; `harness run --all` makes one")
