"""``harness runs``."""

from __future__ import annotations

from contextlib import closing
from datetime import datetime

import click

from harness.cli import options
from harness.cli.compare import find_run
from harness.errors import UsageError
from harness.terminal.console import out, say


@click.group(
    name="runs",
    cls=options.CommandGroup,
    invoke_without_command=True,
    short_help="List or delete the runs in the store.",
)
@options.store_option
@click.pass_context
def command(ctx: click.Context, store: str | None) -> None:
    """List the runs in the store."""
    if ctx.invoked_subcommand is None:
        _list(store)


@command.command(name="delete", short_help="Delete runs and their results.")
@click.argument("run", nargs=-1, required=True)
@options.store_option
@click.pass_context
def delete(ctx: click.Context, run: tuple[str, ...], store: str | None) -> None:  # noqa: ARG001  # in ctx
    """Delete each RUN with its results. Results that other runs reuse stay with those runs.

    RUN is an id, a name, `last`, `previous`, or a git revision (the newest run of that code).
    """
    with closing(options.open_store(options.store_of(ctx))) as opened:
        runs_by_id = {chosen.id: chosen for chosen in (find_run(opened, name) for name in run)}
        for chosen in runs_by_id.values():
            opened.delete(chosen)
            say(f"deleted run {chosen.id}{f' ({chosen.name})' if chosen.name else ''}")


@command.command(name="prune", short_help="Delete old runs.")
@click.option("--keep", type=click.IntRange(0), metavar="N", help="Keep the N newest runs.")
@click.option(
    "--before",
    type=options.Since(),
    metavar="DATE",
    help="Delete runs that began before a date (2026-11-30), or are older than 90d, 2w or 12h.",
)
@click.option("--dry-run", is_flag=True, help="Print what would be deleted.")
@options.store_option
@click.pass_context
def prune(
    ctx: click.Context,
    keep: int | None,
    before: datetime | None,
    dry_run: bool,
    store: str | None,  # noqa: ARG001  # in ctx
) -> None:
    """Delete old runs with their results. Results that other runs reuse stay with those runs.

    Needs --keep, --before or both. With both, deletes the runs that are not among the N newest and
    began before the date.
    """
    if keep is None and before is None:
        raise UsageError("say which runs are old: --keep N, --before DATE, or both")
    with closing(options.open_store(options.store_of(ctx))) as opened:
        runs = opened.runs()
        old = runs[: max(0, len(runs) - keep)] if keep is not None else runs
        if before is not None:
            old = [run for run in old if datetime.fromisoformat(run.started) < before]
        for run in old:
            if not dry_run:
                opened.delete(run)
            done = "would delete" if dry_run else "deleted"
            say(f"{done} run {run.id}{f' ({run.name})' if run.name else ''} of {run.started[:10]}")
        if not old:
            say("no run is that old")


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
