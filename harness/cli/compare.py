"""``harness compare``."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli import options
from harness.errors import UsageError

if TYPE_CHECKING:
    from harness.contract.values import Run
    from harness.store.database import Store

SHORTEST_HASH = 4
"""Fewest characters that are taken for the beginning of a git revision."""


@click.command(
    name="compare", cls=options.Command, short_help="Compare two stored runs: what became worse?"
)
@click.argument("base")
@click.argument("new")
@click.option(
    "--only",
    type=options.WordList("measures", ("accuracy", "likelihood", "nll", "brier", "time")),
    metavar="MEASURES",
    help="Some of accuracy, likelihood, nll, brier, time, with commas between.",
)
@click.option(
    "--margin",
    type=options.Finite(0, min_open=True),
    default=0.01,
    help="Difference of scores that is still called the same [0.01].",
)
@options.metric_option
@options.store_option
@options.plugin_option
@options.verdict_options("25%", "Slowdown that passes: slower is shown to exceed it")
@click.pass_context
def command(ctx: click.Context, /, **given: Any) -> None:
    """Compare run NEW with run BASE, trial by trial and timing by timing.

    A run is an id, a name, `last`, `previous`, or a git revision that it was made at.  Scores are
    paired by split; times are by process, and judged only on one machine, and only where at least
    five timings tell a change from the machine's drift.

    \b
      harness compare previous last
      harness compare v1.2 HEAD --only accuracy,likelihood
      harness compare previous last --metric auc
    """  # noqa: D301  # click wants the character, not its escape
    from harness.analysis.changes import status
    from harness.analysis.two_runs import compare_runs
    from harness.store.frames import load_frames

    verdicts = options.Verdicts.of(given)
    with closing(options.open_store(given["store"])) as store:
        runs = [find_run(store, text) for text in (given["base"], given["new"])]
        base, new = (load_frames(store, run) for run in runs)
        asked = () if given["only"] else tuple(new.run.asked.get("metrics", ()))
        if metrics := given["metrics"] or asked:
            registry = options.discover(given["plugins"])
            base, new = (options.with_metrics(each, registry, metrics) for each in (base, new))
        rows, remarks = compare_runs(
            base,
            new,
            budget=verdicts.budget,
            margin=given["margin"],
            alpha=verdicts.alpha,
            only=given["only"] or (),
        )
    remarks += [*base.remarks, *new.remarks]
    for run in runs:
        if run.finished is None:
            remarks.append(f"Run {run.id} is not complete.")
    if runs[0].id == runs[1].id:
        remarks.append("This is one run, compared with itself.")
    title = f"harness compare: {_named(runs[0])} → {_named(runs[1])}"
    verdicts.show(rows, title, remarks, {"base": runs[0].id, "new": runs[1].id})
    ctx.exit(status(rows, undecided_passes=verdicts.undecided_passes))


def find_run(store: Store, text: str | None) -> Run:
    """A run by id, name, ``last``, ``previous`` or the revision it was made at; None: the newest.

    Raises:
        UsageError: no run fits the text.
    """
    from harness.store import repositories
    from harness.store.database import WORDS

    try:
        return store.find(text)
    except UsageError as missing:
        if text in (None, "", *WORDS):
            raise
        runs = store.runs()
        revision = repositories.line(
            Path.cwd(), "rev-parse", "--verify", "--quiet", f"{text}^{{commit}}"
        )
        revision_prefix = revision or (str(text).lower() if len(str(text)) >= SHORTEST_HASH else "")
        matching = [
            run for run in runs if revision_prefix and run.revision.startswith(revision_prefix)
        ]
        if matching:
            return matching[-1]
        if revision:
            raise UsageError(
                f"no run in store '{store.name}' was made at {text} ({revision[:10]}); "
                "`harness ab` measures revisions"
            ) from None
        raise missing from None


def _named(run: Run) -> str:
    revision = run.revision[:10] + ("+" if run.dirty else "")
    about = [word for word in (run.name, revision) if word]
    return f"run {run.id}" + (f" ({', '.join(about)})" if about else "")
