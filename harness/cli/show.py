"""``harness show``."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any, TypedDict, cast

import click

from harness.cli import options
from harness.cli.compare import find_run
from harness.contract.values import written
from harness.errors import HarnessError, UsageError, nearest
from harness.terminal.console import out, say

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.table import Table

    from harness.contract.parameters import Parameter
    from harness.contract.registry import Registry
    from harness.contract.values import Dataset, Frames, Metric, Model
    from harness.trials.discovery import Described

FIRST_ROWS = 5
COLUMNS = 5  # the most columns shown of a dataset's first rows


class FirstSplit(TypedDict):
    """A summary of a dataset's first split, as JSON from the process that drew it.

    Args:
        shape: training rows, columns, test rows.
        classes: for each class its name, training rows and test rows.
        features: names of the columns.
        rows: the first training rows, each with its class's name at the end.
    """

    shape: list[int]
    classes: list[list[Any]]  # text and numbers
    features: list[str]
    rows: list[list[Any]]  # numbers or texts, None where missing


SPLITTING = {
    "fresh": "fresh: every repeat draws its own training and test rows",
    "resampled": "resampled: every repeat splits the same table anew, so repeats are not"
    " independent",
    "fixed": "fixed: every repeat has the same split; repeats differ in the model's seed only",
}
INTERVALS = {
    "fresh": "Student's t over the draws",
    "resampled": "Student's t over the splits, wider because they share rows",
    "fixed": "over the test rows; without the variation between seeds",
}
CROSS_VALIDATION = (
    "cross-validation: every repeat tests one fold of the same table; further repetitions divide"
    " the table anew"
)


@click.command(name="show", cls=options.Command, short_help="Show a dataset, a model or a run.")
@click.argument("name")
@click.option("--failures", is_flag=True, help="For a run: print each failure with its traceback.")
@options.file_options
@options.store_option
@options.plugin_option
def command(
    name: str, failures: bool, store: str | None, plugins: tuple[str, ...], **given: Any
) -> None:
    """Show what NAME is: a dataset, a model, a metric, a kernel, a report, or a run.

    A run is an id, a name, `last`, `previous`, or a git revision (the newest run of that code).
    """
    files, (name,) = options.open_named((name,), given)
    registry = options.discover((*plugins, *files))
    shown = False
    if not failures:
        if name in registry.datasets:
            _show_dataset(registry, registry.datasets[name])
            shown = True
        if name in registry.models:
            _show_model(registry, registry.models[name])
            shown = True
        if name in registry.metrics:
            _show_metric(registry, registry.metrics[name])
            shown = True
        for kind in ("kernels", "reports"):
            if name in getattr(registry, kind):
                offered = getattr(registry, kind)[name]
                _show_facts(
                    kind.removesuffix("s"),
                    name,
                    offered.description,
                    {"from": str(registry.origin(kind, name))},
                )
                shown = True
    if not shown:
        _show_run(registry, name, store, failures=failures)


def _show_facts(noun: str, name: str, about: str, facts: Mapping[str, str]) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for key, value in facts.items():
        if value:
            table.add_row(key, value)
    console = out()
    console.print(Text.assemble((f"{noun} {name}", "bold"), f": {about}" if about else ""))
    console.print(table)


def _parameters(parameters: Mapping[str, Parameter]) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD)
    for heading in ("parameter", "default", "may be"):
        table.add_column(heading, overflow="fold")
    for name, parameter in parameters.items():
        table.add_row(name, written(parameter.default), parameter.kind)
    return table


def _show_metric(registry: Described, metric: Metric) -> None:
    from harness.contract.parameters import given_to, parameters_of
    from harness.contract.values import GIVEN_TO_METRICS

    facts = {
        "from": str(registry.origin("metrics", metric.name)),
        "computed of": "the predicted classes" if metric.of == "labels" else "probabilities",
        "values": f"{metric.low:g} to {metric.high:g}, "
        f"{'more' if metric.greater_is_better else 'less'} is better",
        "tags": ", ".join(metric.tags),
        "requires": ", ".join(metric.requires),
    }
    _show_facts("metric", metric.name, metric.description, facts)
    given = given_to(metric)
    parameters = parameters_of(metric.score, given=given, without=GIVEN_TO_METRICS)
    if parameters:
        out().print(_parameters(parameters))


def _show_dataset(registry: Described, dataset: Dataset) -> None:
    from harness.contract.parameters import split_parameters
    from harness.trials.plan import importable

    missing = importable(dataset.requires)
    facts = {
        "from": str(registry.origin("datasets", dataset.name)),
        "splits": SPLITTING.get(dataset.kind, f"{dataset.kind} {CROSS_VALIDATION}"),
        "intervals": INTERVALS.get(dataset.kind) or _intervals_over_folds(dataset.kind),
        "licence": dataset.licence,
        "citation": dataset.citation,
        "tags": ", ".join(dataset.tags),
        "requires": ", ".join(dataset.requires),
    }
    if missing:
        facts["requires"] += " (not installed)"
        _show_facts("dataset", dataset.name, dataset.description, facts)
        return
    first_split = _glance(registry, dataset)
    n_train, n_features, n_test = first_split["shape"]
    facts["shape"] = (
        f"{n_train} training and {n_test} test rows of {n_features} columns, "
        f"{len(first_split['classes'])} classes (first split)"
    )
    _show_facts("dataset", dataset.name, dataset.description, facts)
    console = out()
    parameters = split_parameters(dataset)
    if parameters:
        console.print(_parameters(parameters))
    if dataset.columns:
        console.print(_columns(dataset))
    console.print(_classes(first_split))
    console.print(_rows(first_split, console.width))


def _intervals_over_folds(kind: str) -> str:
    from harness.contract.values import folds_in
    from harness.statistics.scores import MOST_FOLDS

    if folds_in(kind) > MOST_FOLDS:
        return f"none, because there are more than {MOST_FOLDS} folds"
    return "over the rows of all folds, wider because folds share training rows"


def _glance(registry: Described, dataset: Dataset) -> FirstSplit:
    """A summary of the dataset's first split, which a separate process draws."""
    from harness.contract.values import Choice, Trial, folds_in
    from harness.processes.client import Limits
    from harness.trials.discovery import DRAWING
    from harness.trials.draw import glance_there, told_by

    first = Trial(Choice(dataset.name), Choice(""), "cpu", 0, 0, folds_in(dataset.kind))
    arguments = (first.dataset, first.split_seed, first.repeat, FIRST_ROWS)
    with registry.answered(
        "datasets", dataset.name, glance_there, *arguments, limits=Limits(DRAWING)
    ) as call:
        return cast("FirstSplit", told_by(call, dataset.name))


def _columns(dataset: Dataset) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("column", overflow="fold")
    for heading in ("type", "distinct", "missing"):
        table.add_column(heading, justify="left" if heading == "type" else "right")
    table.add_column("use")
    table.add_column("why", overflow="fold")
    for column in dataset.columns:
        table.add_row(
            column.name,
            column.type,
            f"{column.n_distinct:,}" if column.n_distinct >= 0 else "",
            f"{column.n_missing:,}" if column.n_missing else "",
            column.use,
            column.reason,
            style="dim" if column.use == "dropped" else "",
        )
    return table


def _classes(first_split: FirstSplit) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("class")
    table.add_column("training rows", justify="right")
    table.add_column("test rows", justify="right")
    for name, *counts in first_split["classes"]:
        table.add_row(name, *map(str, counts))
    return table


def _rows(first_split: FirstSplit, width: int) -> Table:
    """The first training rows: the columns that fit into a width, and the number of the others."""
    from rich import box
    from rich.table import Table

    rows = [[*map(_cell, values), str(label)] for *values, label in first_split["rows"]]
    features = first_split["features"]
    n_shown = min(COLUMNS, len(features))
    while n_shown > 1 and not _fits([features, *rows], n_shown, len(features) - n_shown, width):
        n_shown -= 1
    n_hidden = len(features) - n_shown
    table = Table(box=box.SIMPLE_HEAD)
    for name in (*features[:n_shown], *([_more(n_hidden)] if n_hidden else []), "class"):
        table.add_column(name, overflow="fold")
    for *cells, label in rows:
        table.add_row(*cells[:n_shown], *(["..."] if n_hidden else []), label)
    return table


def _more(n: int) -> str:
    return f"+{n} more"


def _fits(rows: list[list[str]], n_shown: int, n_hidden: int, width: int) -> bool:
    """Whether the first columns, the number of the others, and the class fit side by side."""
    names, *cells = rows
    columns = [[names[i], *(row[i] for row in cells)] for i in range(n_shown)]
    columns.append(["class", *(row[-1] for row in cells)])
    if n_hidden:
        columns.append([_more(n_hidden)])
    # Each column has a margin of three, and the table one of two.
    return sum(max(map(len, column)) + 3 for column in columns) + 2 <= width


def _cell(value: object) -> str:
    if value is None or value != value:  # only NaN differs from itself
        return "missing"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _show_model(registry: Registry, model: Model) -> None:
    from harness.contract.parameters import parameters_of
    from harness.trials.plan import importable, preparation_of

    needs = model.needs
    needs_listed: list[str] = [needs.dtype]
    needs_listed += [
        word
        for word, needed in (
            ("scaled columns", needs.scaled),
            ("columns scaled to the range 0 to 1", needs.positive),
            ("no missing values", needs.finite),
            ("numbers only (categories one-hot encoded)", needs.numeric),
        )
        if needed
    ]
    missing = importable(model.requires)
    _show_facts(
        "model",
        model.name,
        model.description,
        {
            "from": str(registry.origin("models", model.name)),
            "needs": ", ".join(needs_listed),
            "devices": ", ".join(model.devices),
            "tags": ", ".join((*model.tags, *(["baseline"] if model.baseline else []))),
            "requires": ", ".join(model.requires) + (" (not installed)" if missing else ""),
        },
    )
    if missing:
        return
    preparation = preparation_of(model)
    parameters = {**parameters_of(model.make), preparation.name: preparation}
    out().print(_parameters(parameters))


def _show_run(registry: Registry, name: str, store: str | None, *, failures: bool) -> None:
    from harness.store.database import WORDS
    from harness.store.frames import load_frames

    names = [*registry.datasets, *registry.models, *registry.kernels, *registry.reports]
    try:
        with closing(options.open_store(store)) as opened:
            frames = load_frames(opened, find_run(opened, name))
    except HarnessError as error:
        if failures or name.isdecimal() or name in WORDS:
            raise
        raise UsageError(
            f"'{name}' is no dataset, model, kernel, report or run: {nearest(name, names)}"
        ) from error
    if failures:
        _show_failures(frames)
        return
    run = frames.run
    counts = frames.results["status"].value_counts()
    stored_options = {
        key: written(value) if not isinstance(value, list) else " ".join(map(str, value))
        for key, value in run.asked.items()
    }
    machine = run.environment["machine"]
    _show_facts(
        "run",
        str(run.id),
        run.name,
        {
            "started": run.started,
            "finished": run.finished or "not yet",
            "results": ", ".join(f"{count} {status}" for status, count in counts.items())
            + f" ({len(frames.results)} of {run.n_trials})",
            **{key: value for key, value in stored_options.items() if value not in ("", "none")},
            "machine": f"{machine['processor']}, {machine['cores']} cores, {machine['system']}",
            "packages": ", ".join(f"{k} {v}" for k, v in run.environment["packages"].items()),
        },
    )


def _show_failures(frames: Frames) -> None:
    from rich.text import Text

    failed = frames.results[frames.results["status"] != "ok"]
    console = out()
    for row in failed.itertuples():
        console.print(
            Text(f"{row.dataset} × {row.model} on {row.device}, repeat {row.repeat}", "bold")
        )
        say(f"{row.status} ({row.failure_kind}): {row.reason}")
        for head, text in (("traceback", row.traceback), ("printed", row.output)):
            if isinstance(text, str) and text.strip():
                say(f"{head}:\n{text.rstrip()}")
        say("")
    if failed.empty:
        say(f"run {frames.run.id} has no failures")
