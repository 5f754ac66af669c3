"""``harness track``."""

from __future__ import annotations

import json
import math
import os
import textwrap
from contextlib import ExitStack, closing
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli import options
from harness.cli.ab import progress, task_options, tasks_chosen
from harness.cli.stopping import terminable
from harness.errors import UsageError, cannot_write
from harness.terminal.console import out, remark, say, write
from harness.untrusted import csv_text
from harness.words import p_value, plural

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.analysis.history import Segment
    from harness.contract.values import JSONObject, Point
    from harness.store.database import Store
    from harness.trials.discovery import Described

NOTHING = 4
EMPTY = "no history yet; `harness track record --anchor ANCHOR` begins one"


@click.group(
    name="track",
    cls=options.CommandGroup,
    invoke_without_command=True,
    short_help="Keep a history of results, and find lasting changes in it.",
)
@click.option(
    "--alpha",
    type=options.Finite(0, 0.5, min_open=True),
    default=0.009,
    help="False discovery rate among the steps shown [0.009].",
)
@click.option(
    "--format",
    "style",
    type=click.Choice(("rich", "markdown", "csv", "json")),
    default="rich",
    help="[rich]",
)
@options.store_option
@click.pass_context
def command(ctx: click.Context, alpha: float, style: str, store: str | None) -> None:
    """Show each series of the history: its last value, and its steps, which are lasting changes.

    A series is one measure over time, such as the fit time of a model on a dataset. A step is
    provisional until five points follow it.
    """
    if ctx.invoked_subcommand is None:
        ctx.exit(_show(store, alpha, style))


@command.command(
    name="record", short_help="Time this code relative to a fixed version, the anchor."
)
@click.option(
    "--anchor",
    metavar="ANCHOR",
    help="Anchor of this call and later ones: a revision, an environment, or kernel:NAME.",
)
@task_options
@options.metric_option("Metric to store with the scores, as NAME[parameter=value]; repeatable.")
@options.store_option
@options.plugin_option
@click.pass_context
def record(ctx: click.Context, /, **given: Any) -> None:
    """Measure this environment and the anchor in turns, and store the ratio of their times.

    The anchor is a fixed revision, environment or kernel. Milliseconds change with the state of the
    machine; the ratio to the anchor, measured at the same time, hardly does. The anchor stays the
    same until --anchor names another; the first call needs --anchor.  The scores of the newest run
    in the store are added to the history, too.
    """
    registry = options.discover(given["plugins"])
    ctx.exit(_record(registry, options.store_of(ctx), given))


@command.command(
    name="import", short_help="Read results of pytest-benchmark, pyperf or asv into the history."
)
@click.argument("file", type=click.Path(path_type=Path))
@options.store_option
@click.pass_context
def import_(ctx: click.Context, file: Path, store: str | None) -> None:  # noqa: ARG001  # in ctx
    """Read FILE: JSON of pytest-benchmark or pyperf, or a file or folder of asv results."""
    from harness.interchange import read
    from harness.interchange.points import for_history

    imported = read(file)
    for series, reason in imported.skipped:
        remark(f"{series}: {reason}; left out")
    if not imported.points:
        raise UsageError(f"'{file}' has no times; nothing was read")
    with closing(_store(options.store_of(ctx), create=True)) as opened:
        n = opened.add_points(map(for_history, imported.points))
        known = len(imported.points) - n
        also = f"; {known} were there already" if known else ""
        say(f"read {plural(n, 'point')} from {file} into {opened.name}{also}")


@command.command(
    name="export", short_help="Write the history as CSV, or for pytest-benchmark or Bencher."
)
@click.option(
    "--format",
    "style",
    type=click.Choice(("csv", "pytest-benchmark", "bencher")),
    default="csv",
    help="[csv]",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="File to write [standard output].",
)
@options.store_option
@click.pass_context
def export(ctx: click.Context, style: str, output: Path | None, store: str | None) -> None:  # noqa: ARG001  # in ctx
    """Write all points (csv), or the newest points for pytest-benchmark or Bencher."""
    from harness import interchange

    with closing(_store(options.store_of(ctx))) as opened:
        points = opened.points()
    if not points:
        remark(EMPTY)
        ctx.exit(NOTHING)
    to = {
        "csv": interchange.to_csv,
        "pytest-benchmark": interchange.to_pytest_benchmark,
        "bencher": interchange.to_bencher,
    }[style]
    text = to(_frame(points))
    if output is None:
        write(text)
        return
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise cannot_write(output, error) from error
    remark(f"wrote {output}")


def _store(given: str | None, *, create: bool = False) -> Store:
    from harness.store.database import Store

    return Store(options.store_url(given), create=create)


# Recording


def _record(registry: Described, url: str | None, given: options.GivenOptions) -> int:
    from harness.analysis.history import points_of_scores
    from harness.store.environment import checkout_at
    from harness.versions.pairs import Design
    from harness.versions.record import PAIRS, record, short

    history = _history(url)
    if given["anchor"] == "":
        raise UsageError("an anchor is a revision, an environment or kernel:NAME, not nothing")
    design = Design(
        tasks_chosen(registry, given),
        options.all_plugins(given["plugins"]),
        seconds=given["seconds"] or 60.0,
        threads=given["threads"],
        seed=given["seed"] + len(history),  # other data at every time
        pairs=PAIRS,
    )
    wanted = given["anchor"] or ""
    with terminable(), ExitStack() as stack:
        tell = stack.enter_context(progress(len(design.tasks)))
        made = record(stack, registry, design, history, wanted, tell=tell, remark=remark)
    with closing(_store(url, create=True)) as store:
        scores = points_of_scores(
            store, lambda frames: options.with_metrics(frames, registry, given["metrics"])
        )
        n = store.add_points([*made.points, *scores])
    changes = "; this checkout has uncommitted changes" if made.revision.endswith("+") else ""
    say(f"stored {plural(n, 'point')} in {store.name}, compared with {short(made.anchor)}{changes}")
    if not made.revision and checkout_at(Path.cwd()):
        remark(
            "the measured code is not installed from the checkout here, so the points have no "
            "revision"
        )
    return 0 if any(point.source == "ab" for point in made.points) else NOTHING


def _history(url: str | None) -> list[Point]:
    """The stored points; none if the store does not exist yet, and then it is not created here.

    Raises:
        UsageError: the store can be read but not written to, so that new points would be lost.
    """
    where = options.store_url(url)
    local = where.removeprefix("sqlite:///")
    if "://" in local:  # a database that may be empty: what makes tables in it loses nothing
        with closing(_store(url, create=True)) as store:
            return store.points()
    file = Path(local).absolute()
    if file.parent.is_dir() and not os.access(file if file.exists() else file.parent, os.W_OK):
        raise UsageError(f"store '{where}' cannot be written to; name another with --store")
    if file.parent.is_dir() and not file.exists():
        return []
    with closing(_store(url)) as store:
        return store.points()


# Showing


def _show(given: str | None, alpha: float, style: str) -> int:
    from harness.analysis.history import CAUTION, segments

    with closing(_store(given)) as store:
        all_segments = segments(store.points(), alpha=alpha)
    if style == "json":
        write(json.dumps([_plain(segment) for segment in all_segments], indent=2))
    elif style == "csv":
        write(csv_text(CSV_HEADS, (line for segment in all_segments for line in _records(segment))))
    elif not all_segments:
        remark(EMPTY)
    elif style == "markdown":
        from tabulate import tabulate

        from harness.sheets.texts import markdown_text

        lines = [
            [markdown_text(cell) for cell in line]
            for segment in all_segments
            for line in _lines(segment)
        ]
        table = tabulate(lines, HEADS, tablefmt="github", disable_numparse=True)
        stepped = any(segment.steps for segment in all_segments)
        write(f"{table}\n\n{CAUTION}" if stepped else table)
    else:
        _print(all_segments)
    return 0 if all_segments else NOTHING


CAUTIOUS = 80
"""Columns that a sentence beneath the table fills."""

WIDE = 140
"""Columns from which on everything stands in one line."""

HEADS = ("series", "points", "last", "step", "at", "since", "p", "")


def _lines(segment: Segment) -> list[tuple[str, ...]]:
    """A line for each step; a series without steps gets one line."""
    from harness.versions.record import SHOWN

    measure, subject, case, device = segment.series
    words = [measure, ", ".join(word for word in (subject, case) if word)]
    name = " ".join(words) + (f" @ {device}" if device not in ("", "cpu") else "")
    head: tuple[str, ...] = (name, str(len(segment.points)), segment.last)
    lines: list[tuple[str, ...]] = []
    for step in segment.steps:
        point = segment.points[step.index]
        size, low, high = (segment.change(value) for value in (step.size, step.low, step.high))
        lines.append(
            (
                *head,
                f"{size} ({low} to {high})",
                point.revision[:SHOWN],
                point.time[:16].replace("T", " "),
                p_value(step.p_value),
                segment.state(step),
            )
        )
        head = ("", "", "")
    return lines or [(*head, "", "", "", "", "" if len(segment.points) > 5 else "too few points")]


CSV_HEADS = (
    *("measure", "subject", "case", "device", "points", "last", "step", "low", "high"),
    *("revision", "time", "p_value", "firm", "state", "caution"),
)


def _records(segment: Segment) -> list[tuple[object, ...]]:
    """The lines of `_lines` in numbers; those of times are logarithms."""
    from harness.analysis.history import CAUTION

    head = (*segment.series, len(segment.points), segment.values[-1])
    return [
        (
            *(*head, step.size, step.low, step.high),
            *(segment.points[step.index].revision, segment.points[step.index].time),
            *(step.p_value, step.firm, segment.state(step), CAUTION),
        )
        for step in segment.steps
    ] or [(*head, *[""] * 9)]


def _print(found: Sequence[Segment]) -> None:
    from rich import box
    from rich.table import Table

    from harness.analysis.history import CAUTION
    from harness.versions.record import short

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    console = out()
    narrow = console.width < WIDE
    heads = [head for head in HEADS if not narrow or head not in ("points", "since", "p")]
    for head in heads:
        right = head in ("points", "last", "p")
        fixed = head != "series"
        table.add_column(head, justify="right" if right else "left", overflow="fold", no_wrap=fixed)
    for segment in found:
        for line in _lines(segment):
            cells = dict(zip(HEADS, line, strict=True))
            if narrow:
                cells["step"] = cells["step"].replace(" (", "\n(")
                cells["at"] += f"\n{cells['since'][:10]}"
            cells[""] = cells[""].replace(", ", "\n")
            table.add_row(*(cells[head] for head in heads))
    console.print(table)
    if any(segment.steps for segment in found):
        say(textwrap.fill(CAUTION, min(console.width, CAUTIOUS)))
    anchors = dict.fromkeys(p.anchor for s in found for p in s.points if p.anchor)
    if anchors:
        say("Times are ratios to the anchor " + ", then ".join(map(short, anchors)) + ".")


def _plain(segment: Segment) -> JSONObject:
    from harness.analysis.history import CAUTION

    def number(value: Any) -> Any:
        return None if isinstance(value, float) and not math.isfinite(value) else value

    return {
        "series": dict(zip(("measure", "subject", "case", "device"), segment.series, strict=True)),
        "points": [
            {k: number(v) for k, v in asdict(point).items()} | {"bridged": value}
            for point, value in zip(segment.points, segment.values, strict=True)
        ],
        "steps": [
            {k: number(v) for k, v in asdict(step).items()} | {"state": segment.state(step)}
            for step in segment.steps
        ],
        "caution": CAUTION if segment.steps else "",
    }


def _frame(points: Sequence[Point]) -> Any:
    import pandas as pd

    from harness.analysis.history import is_score

    return pd.DataFrame(
        [
            {
                "series": " ".join(word for word in point.series if word),
                "time": point.time,
                "revision": point.revision,
                "seconds": point.seconds,
                "log_ratio": point.value if point.anchor else math.nan,
                "low": math.nan,
                "high": math.nan,
                "machine": point.machine,
                "processes": point.n,
                "anchor": point.anchor,
                "score": point.value if is_score(point) else math.nan,
            }
            for point in points
            if point.source != "bridge"
        ]
    )
