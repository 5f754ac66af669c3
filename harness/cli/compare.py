"""``harness compare``."""

from __future__ import annotations

from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli import options
from harness.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

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
    help="Measures to compare, separated by commas: accuracy, likelihood, nll, brier, time [all].",
)
@click.option(
    "--margin",
    type=options.Finite(0, min_open=True),
    default=0.01,
    help="Treat scores as equal if they differ by at most this number [0.01].",
)
@options.metric_option(
    "Metric to compare instead of the usual scores, as NAME[parameter=value]; repeatable."
)
@options.store_option
@options.plugin_option
@options.verdict_options(
    "25%", "Allowed slowdown; the verdict is `slower` if the slowdown is significantly above it"
)
@click.pass_context
def command(ctx: click.Context, /, **given: Any) -> None:
    """Compare run NEW with run BASE: which scores and times changed significantly?

    A run is an id, a name, `last`, `previous`, or a git revision (the newest run of that code).
    3+5 means the newest results of runs 3 and 5.  Scores are compared on the same splits. Times
    are compared only between runs on the same machine. If the runs share fewer than five timings,
    times are undecided, because the machine's drift could explain any change.

    \b
      harness compare previous last
      harness compare v1.2 HEAD --only accuracy,likelihood
      harness compare previous last --metric auc
    """  # noqa: D301  # click wants the character, not its escape
    from harness.analysis.changes import FINE, NOTHING, status
    from harness.analysis.two_runs import compare_runs, measured_anew
    from harness.store.sets import load_runs

    verdicts = options.Verdicts.of(given)
    with closing(options.open_store(given["store"])) as store:
        sets = [find_runs(store, (text,)) for text in (given["base"], given["new"])]
        base, new = (load_runs(store, found) for found in sets)
        asked = () if given["only"] else tuple(new.run.asked.get("metrics", ()))
        if metrics := given["metrics"] or asked:
            registry = options.discover(given["plugins"])
            base, new = (options.with_metrics(each, registry, metrics) for each in (base, new))
        is_one = sets[0] == sets[1]
        anew_base, anew_new, shared = (base, new, []) if is_one else measured_anew(base, new)
        rows, remarks = compare_runs(
            anew_base,
            anew_new,
            budget=verdicts.budget,
            margin=given["margin"],
            alpha=verdicts.alpha,
            only=given["only"] or (),
        )
    remarks = [*shared, *remarks, *base.remarks, *new.remarks]
    remarks += [f"Base: {line}" for line in base.sources] + [f"New: {line}" for line in new.sources]
    for run in {run.id: run for found in sets for run in found}.values():
        if run.finished is None:
            remarks.append(f"Run {run.id} is not complete.")
    if is_one:
        remarks.append("This is one run, compared with itself.")
    title = f"harness compare: {_named(base.run)} → {_named(new.run)}"
    told = {"base": base.run.id, "new": new.run.id}
    nothing = "nothing was measured anew" if shared else ""
    verdicts.show(rows, title, remarks, told, nothing=nothing)
    exit_status = status(rows, undecided_passes=verdicts.undecided_passes)
    # Results that are known to be the same count as judged.
    ctx.exit(FINE if shared and exit_status == NOTHING else exit_status)


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


def find_runs(
    store: Store,
    texts: Sequence[str] = (),
    *,
    since: datetime | None = None,
    all_runs: bool = False,
) -> list[Run]:
    """The runs that texts name, each as in `find_run` or several joined by ``+``.

    Args:
        store: the database.
        texts: of runs; empty for the newest run.
        since: all runs with results that began then or later.
        all_runs: all runs with results.

    Raises:
        UsageError: no run fits, or several ways to name runs are given.
    """
    if bool(texts) + (since is not None) + all_runs > 1:
        raise UsageError("name runs, or give --since, or give --all-runs; these exclude each other")
    if since is not None or all_runs:
        found = [run for run in store.runs() if run.kind == "trials"]
        if since is not None:
            found = [run for run in found if datetime.fromisoformat(run.started) >= since]
        if not found:
            when = f" since {since:%Y-%m-%d %H:%M} UTC" if since else ""
            raise UsageError(f"store '{store.name}' has no run with results{when}")
        return found
    if not texts:
        return [find_run(store, None)]
    by_id = {run.id: run for text in texts for run in _joined(store, text)}
    return list(by_id.values())


def _joined(store: Store, text: str) -> list[Run]:
    """The run of a text, or the runs of a text such as ``3+5``."""
    try:
        return [find_run(store, text)]
    except UsageError:
        if "+" not in text.strip("+"):
            raise
    return [find_run(store, each) for each in text.split("+")]


def _named(run: Run) -> str:
    if run.joined:
        return run.name
    revision = run.revision[:10] + ("+" if run.dirty else "")
    about = [word for word in (run.name, revision) if word]
    return f"run {run.id}" + (f" ({', '.join(about)})" if about else "")
