"""``harness track``."""

from __future__ import annotations

import json
import math
import os
import platform
import textwrap
from contextlib import ExitStack, closing
from dataclasses import asdict, replace
from datetime import UTC, datetime
from importlib.metadata import distribution
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

import click

from harness.cli import options
from harness.cli.ab import progress, work_options, works_chosen
from harness.cli.stopping import terminable
from harness.errors import UsageError, cannot_write
from harness.terminal.console import out, remark, say, write
from harness.untrusted import csv_text
from harness.words import plural

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from harness.analysis.history import Segment
    from harness.contract.registry import Registry
    from harness.contract.values import Point
    from harness.store.database import Store
    from harness.trials.discovery import Described
    from harness.versions.pairs import PairedRun
    from harness.versions.sides import Side
    from harness.versions.tasks import Task

NOTHING = 4
EMPTY = "no history yet; `harness track record --anchor SIDE` begins one"
PAIRS, FEWEST = 10, 6
"""That a point rests on, and that it does at least where the time is up."""

KERNEL = "kernel:"
"""Before the name of an anchor that is a kernel."""

ANCHORED = ("ab", "bridge")
"""Sources of points that are held against an anchor."""

SHOWN = 10
"""Characters of a revision."""


@click.group(
    name="track",
    cls=options.Group,
    invoke_without_command=True,
    short_help="Keep a history, and find its steps.",
)
@click.option(
    "--alpha",
    type=options.Finite(0, 0.5, min_open=True),
    default=0.009,
    help="Part of the steps shown that may be none [0.009].",
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
    """Show each series of the history: its last value, and where it changed.

    A step is provisional until five points stand after it.
    """
    if ctx.invoked_subcommand is None:
        ctx.exit(_show(store, alpha, style))


@command.command(name="record", short_help="Measure now against the anchor, and keep it.")
@click.option("--anchor", metavar="SIDE", help="Pin a revision, environment, or kernel:NAME.")
@work_options
@options.store_option
@options.plugin_option
@click.pass_context
def record(ctx: click.Context, /, **given: Any) -> None:
    """Measure this environment against the anchor, in turns, and keep what lies between them.

    Milliseconds drift with the machine; a ratio to something pinned that is measured beside it does
    not.  The anchor stays until another is given.  The last run's scores are kept, too.
    """
    registry = options.discover(given["plugins"])
    ctx.exit(_record(registry, options.store_of(ctx), given))


@command.command(name="import", short_help="Read another tool's results into the history.")
@click.argument("file", type=click.Path(path_type=Path))
@options.store_option
@click.pass_context
def import_(ctx: click.Context, file: Path, store: str | None) -> None:  # noqa: ARG001  # in ctx
    """Read FILE: JSON of pytest-benchmark or pyperf, or results of asv, a file or a folder."""
    from harness.interchange import read

    found = read(file)
    for series, reason in found.skipped:
        remark(f"{series}: {reason}; left out")
    if not found.points:
        raise UsageError(f"'{file}' has no times; nothing was read")
    with closing(_store(options.store_of(ctx), create=True)) as opened:
        n = opened.add_points(map(_imported, found.points))
        known = len(found.points) - n
        also = f"; {known} were there already" if known else ""
        say(f"read {n} point{'s' * (n != 1)} from {file} into {opened.name}{also}")


@command.command(name="export", short_help="Write the history for another tool.")
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
    help="Rather than standard output.",
)
@options.store_option
@click.pass_context
def export(ctx: click.Context, style: str, output: Path | None, store: str | None) -> None:  # noqa: ARG001  # in ctx
    """Write all points (csv), or the newest ones as pytest-benchmark or Bencher read them."""
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


def _record(registry: Described, url: str | None, given: dict[str, Any]) -> int:
    from harness.store.environment import git
    from harness.versions.pairs import Design
    from harness.versions.sides import HERE
    from harness.versions.tasks import Softmax

    history = _history(url)
    pinned = _pinned(reversed(history))
    if given["anchor"] == "":
        raise UsageError("an anchor is a revision, an environment or kernel:NAME, not nothing")
    wanted = given["anchor"] or pinned
    if not wanted:
        raise UsageError(
            "no anchor is pinned yet; give one with --anchor: a revision, an environment, or "
            "kernel:NAME"
        )
    tasks = works_chosen(registry, given)
    plan = Design(
        tasks,
        options.all_plugins(given["plugins"]),
        seconds=given["seconds"] or 60.0,
        threads=given["threads"],
        seed=given["seed"] + len(history),  # other data at every time
        pairs=PAIRS,
    )
    here = machine(given["threads"])
    found: list[Point] = []
    with terminable(), ExitStack() as stack:
        tell = stack.enter_context(progress(len(tasks)))
        side, anchor, held = _anchored(stack, registry, wanted, tasks)
        measured = _measured(registry, (side, HERE), plan, held, tell)
        for last, moved in _moved(history, held, here, anchor).items():
            bridged = replace(plan, tasks=moved)
            found += _bridge(stack, registry, bridged, last, (side, anchor), here, tell)
    at = revision(registry)
    found += _points(measured, here, anchor, at)
    for outcome in measured.outcomes:
        name, pairs = ", ".join(outcome.task.key[:3]), len(outcome.log_ratios)
        for fault in filter(None, outcome.faults):
            remark(f"{name}: {fault}; no point")
        if not any(outcome.faults) and pairs < FEWEST:
            remark(f"{name}: {pairs} of {PAIRS} pairs in the time; no point, give more --time")
    for task in tasks:
        if anchor.startswith(KERNEL) and not isinstance(task, Softmax):
            remark(f"{', '.join(task.key[:3])}: {anchor} is an anchor for softmaxes; no point")
    with closing(_store(url, create=True)) as store:
        n = store.add_points([*found, *_scores(store)])
    about = ", with uncommitted changes" if at.endswith("+") else ""
    say(f"kept {n} point{'s' * (n != 1)} in {store.name}, anchor {_short(anchor)}{about}")
    if not at and git(Path.cwd()):
        remark("what was measured is not installed from a checkout here: no revision is kept")
    return 0 if any(point.source == "ab" for point in found) else NOTHING


def _pinned(points: Iterable[Point]) -> str:
    """The anchor of the first point that is held against one."""
    return next((point.anchor for point in points if point.source in ANCHORED), "")


def _moved(
    history: Sequence[Point], tasks: Sequence[Task], here: str, anchor: str
) -> dict[str, tuple[Task, ...]]:
    """Works whose series have another anchor as yet, by that.

    What went over on another machine, or while other things were measured, has still to do so.
    """
    found: dict[str, tuple[Task, ...]] = {}
    for task in tasks:
        series = (task.key[0], _subject(task), *task.key[2:])
        last = _pinned(
            point for point in reversed(history) if (point.series, point.machine) == (series, here)
        )
        if last and last != anchor:
            found[last] = (*found.get(last, ()), task)
    return found


def _history(url: str | None) -> list[Point]:
    """What the store has; nothing where it is not there yet, which is no reason to make one.

    Raises:
        UsageError: it can be read, but what is about to be measured could not be written to it.
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


def _anchored(
    stack: ExitStack, registry: Registry, wanted: str, tasks: Sequence[Task]
) -> tuple[Side, str, tuple[Task, ...]]:
    """The anchor's side, its name that will mean the same tomorrow, and the tasks against it."""
    from harness.timing.schedule import kernels_named
    from harness.versions.sides import HERE, side_of
    from harness.versions.tasks import Softmax

    if wanted.startswith(KERNEL):
        (kernel,) = kernels_named(registry, [wanted.removeprefix(KERNEL)])[:1]
        held = tuple(
            replace(task, kernels=(kernel.name, task.kernels[1]))
            for task in tasks
            if isinstance(task, Softmax)
        )
        if not held:
            raise UsageError("a kernel as an anchor is for softmaxes; choose some with --kernel")
        return HERE, KERNEL + kernel.name, held
    side = stack.enter_context(side_of(wanted, Path.cwd(), tell=remark))
    if side.about.startswith("revision"):
        return side, side.revision, tuple(tasks)
    if not side.about.startswith("the environment"):
        raise UsageError(f"'{wanted}' changes with the checkout, so it is no anchor; commit it")
    return side, side.python, tuple(tasks)


def _measured(
    registry: Described, sides: tuple[Side, Side], plan: Any, tasks: tuple[Task, ...], tell: Any
) -> PairedRun:
    from harness.versions.pairs import compare

    return compare(sides, replace(plan, tasks=tasks), registry, tell=tell)


def _bridge(
    stack: ExitStack,
    registry: Described,
    plan: Any,
    pinned: str,
    new: tuple[Side, str],
    here: str,
    tell: Any,
) -> list[Point]:
    """The new anchor held against the one before, where that can still be had."""
    from harness.versions.sides import HERE

    side, anchor = new
    try:
        if pinned.startswith(KERNEL) != anchor.startswith(KERNEL):
            raise UsageError("a kernel and a version are not held against each other")
        old, _, held = _anchored(stack, registry, pinned, plan.tasks)
        if anchor.startswith(KERNEL):
            side = HERE
            held = _against(held, anchor.removeprefix(KERNEL))
        session = _measured(registry, (old, side), plan, held, tell)
    except UsageError as error:
        remark(f"the new anchor cannot be held against {_short(pinned)}: {error}; a new segment")
        return []
    # Of two kernels every series of that shape and type is moved by the same.
    found = _points(session, here, anchor, pinned, "bridge")
    if not anchor.startswith(KERNEL):
        return found
    return [
        replace(point, subject=subject)
        for point in found
        for subject in dict.fromkeys(_subject(task) for task in plan.tasks)
    ]


def _against(tasks: Sequence[Task], kernel: str) -> tuple[Task, ...]:
    """The same softmaxes, each once, with a kernel on the second side."""
    from harness.versions.tasks import Softmax

    held = [task for task in tasks if isinstance(task, Softmax)]
    return tuple(dict.fromkeys(replace(task, kernels=(task.kernels[0], kernel)) for task in held))


def _subject(task: Task) -> str:
    """What is held against the anchor: the second side's."""
    from harness.versions.tasks import Softmax

    return task.kernels[1] if isinstance(task, Softmax) else str(task.models[1])


def _points(session: PairedRun, here: str, anchor: str, at: str, source: str = "ab") -> list[Point]:
    """Points of what was measured.

    Args:
        session: a comparison with the anchor, or of two anchors.
        here: the machine.
        anchor: its name.
        at: the revision that was measured, or the anchor before.
        source: ``ab`` or ``bridge``.
    """
    from statistics import median

    from harness.contract.values import Point

    return [
        Point(
            outcome.task.key[0],
            _subject(outcome.task),
            *outcome.task.key[2:],
            now(),
            at,
            here,
            anchor,
            source,
            outcome.change.effect,
            outcome.change.low,
            outcome.change.high,
            median(outcome.seconds[1]),
            len(outcome.log_ratios),
        )
        for outcome in session.outcomes
        # A fault after a few pairs leaves none that were judged.
        if outcome.change is not None and len(outcome.log_ratios) >= FEWEST
    ]


def _scores(store: Store) -> list[Point]:
    """Mean scores of the store's last run that has some."""
    from harness.analysis.changes import SCORES
    from harness.cli.compare import revision_of
    from harness.contract.values import Point
    from harness.store.frames import load_frames

    for run in reversed(store.runs()):
        results = load_frames(store, run).results
        ok = results[results["status"] == "ok"]
        if ok.empty:
            continue
        means = ok.groupby(["dataset", "model", "device"], sort=False)
        dirty = "+" if (run.environment.get("project") or {}).get("dirty") else ""
        return [
            Point(
                score,
                str(model),
                str(dataset),
                str(device),
                run.started,
                revision_of(run) + dirty,
                "",
                "",
                "run",
                float(group[score].mean()),
                math.nan,
                math.nan,
                math.nan,
                len(group),
            )
            for (dataset, model, device), group in means
            for score in SCORES
        ]
    return []


def _imported(point: Any) -> Point:
    from harness.contract.values import Point

    return Point(
        "time",
        point.series,
        "",
        "",
        point.time,
        point.revision,
        f"{point.machine}, {point.python}",
        "",
        point.source,
        math.log(point.seconds),
        math.nan,
        math.nan,
        point.seconds,
        point.processes,
    )


def machine(threads: int) -> str:
    """What ratios may depend on, in words; not the host's name, which CI makes up."""
    from harness.store.environment import machine as facts

    here = facts()
    return (
        f"{here['processor']}, {here['cores']} cores, Python {platform.python_version()}, "
        f"{plural(threads, 'thread')}"
    )


def revision(registry: Registry) -> str:
    """Of the current checkout, with a + if it has changes; empty if it is not what was measured.

    It is, if the harness or a plugin that was found is there, or was installed from there.
    """
    from harness.store import repositories
    from harness.store.environment import git

    found, top = git(Path.cwd()), repositories.line(Path.cwd(), "rev-parse", "--show-toplevel")
    if not found or not any(place.is_relative_to(top) for place in _sources(registry)):
        return ""
    return f"{found['revision']}{'+' if found['dirty'] else ''}"


def _sources(registry: Registry) -> set[Path]:
    """Folders and files that the code comes from which is measured here."""
    import harness

    places = {Path(harness.__file__), *(Path(one.path) for one in registry.plugins if one.path)}
    found = {place.resolve() for place in places if "site-packages" not in place.parts}
    for name in {"classification-harness", *(one.distribution for one in registry.plugins)} - {""}:
        text = distribution(name).read_text("direct_url.json")
        url = json.loads(text).get("url", "") if text else ""
        if url.startswith("file://"):
            found.add(Path(url2pathname(urlsplit(url).path)).resolve())
    return found


def now() -> str:
    """UTC, ISO 8601, to the microsecond, so that no two points have one time."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


def _short(anchor: str) -> str:
    return anchor if anchor.startswith((KERNEL, "/")) else anchor[:SHOWN]


# Showing


def _show(given: str | None, alpha: float, style: str) -> int:
    from harness.analysis.history import CAUTION, segments

    with closing(_store(given)) as store:
        found = segments(store.points(), alpha=alpha)
    if style == "json":
        write(json.dumps([_plain(segment) for segment in found], indent=2))
    elif style == "csv":
        write(csv_text(CSV_HEADS, (line for segment in found for line in _records(segment))))
    elif not found:
        remark(EMPTY)
    elif style == "markdown":
        from tabulate import tabulate

        from harness.sheets.texts import markdown_text

        lines = [[markdown_text(cell) for cell in line] for one in found for line in _lines(one)]
        table = tabulate(lines, HEADS, tablefmt="github", disable_numparse=True)
        stepped = any(segment.steps for segment in found)
        write(f"{table}\n\n{CAUTION}" if stepped else table)
    else:
        _print(found)
    return 0 if found else NOTHING


CAUTIOUS = 80
"""Columns that a sentence beneath the table fills."""

WIDE = 140
"""Columns from which on everything stands in one line."""

HEADS = ("series", "points", "last", "step", "at", "since", "p", "")


def _lines(segment: Segment) -> list[tuple[str, ...]]:
    """A line for each step, or one without."""
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
                f"{step.p_value:.3g}",
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
    """A line for each step, or one without, in numbers; those of times are logarithms."""
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
        say("Times are ratios to the anchor " + ", then ".join(map(_short, anchors)) + ".")


def _plain(segment: Segment) -> dict[str, Any]:
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

    from harness.analysis.changes import SCORES

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
                "score": math.nan if point.measure not in SCORES else point.value,
            }
            for point in points
            if point.source != "bridge"
        ]
    )
