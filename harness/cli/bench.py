"""``harness bench``."""

from __future__ import annotations

import json
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from harness.cli import options
from harness.cli.reports import show_after_run
from harness.cli.stopping import Terminated, stop_status, terminable
from harness.errors import cannot_write
from harness.terminal.console import remark, write

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from harness.contract.registry import Registry
    from harness.contract.values import JSONObject, Run, Timing
    from harness.timing.schedule import Schedule

F = TypeVar("F", bound="Callable[..., Any]")
FAILED, NOTHING = 1, 4


@click.group(
    name="bench",
    cls=options.CommandGroup,
    short_help="Time softmax implementations (kernels), or training loops.",
)
def command() -> None:
    """Time softmax kernels or training loops, one at a time, in turns.

    Several new processes measure all kernels or models in turns, in random order, until every
    interval is narrow or the budget is spent. The measurements are stored like a run.
    """


def _common(function: F) -> F:
    for option in reversed(
        (
            click.option(
                "--device",
                "devices",
                multiple=True,
                metavar="NAME",
                help="Device; repeatable [all].",
            ),
            options.threads_option,
            click.option(
                "--budget",
                type=options.TIME,
                help="Time limit; stops earlier when every interval is narrow [at most 10m].",
            ),
            options.store_option,
            options.plugin_option,
            click.option("--name", default="", help="Name of the run, for later commands."),
            click.option("--json", "as_json", is_flag=True, help="Print the table as JSON."),
            click.option(
                "--benchmark-json",
                type=click.Path(path_type=Path, dir_okay=False),
                metavar="FILE",
                help="Also write the times as JSON of pytest-benchmark.",
            ),
            click.option("--no-progress", is_flag=True, help="Show no progress."),
        )
    ):
        function = option(function)
    return function


@command.command(name="softmax", short_help="Time every softmax kernel on every shape.")
@click.option(
    "--kernel",
    "kernels",
    multiple=True,
    metavar="NAME",
    help="Kernel to time, by name or glob; repeatable [all].",
)
@click.option(
    "--shape",
    "shapes",
    multiple=True,
    metavar="NxK",
    help="Shape of the array, as samples x classes; repeatable.",
)
@click.option(
    "--dtype",
    "dtypes",
    multiple=True,
    type=click.Choice(("float32", "float64")),
    help="Number type; repeatable [both].",
)
@_common
@click.pass_context
def softmax(
    ctx: click.Context,
    /,
    kernels: tuple[str, ...],
    shapes: tuple[str, ...],
    dtypes: tuple[str, ...],
    **given: Any,
) -> None:
    """Time softmax kernels in turns, and, as a yardstick, a copy of the same array.

    \b
      harness bench softmax
      harness bench softmax --shape 100000x10 --kernel 'numpy-*' --dtype float32
    """  # noqa: D301  # click wants the character, not its escape
    from harness.timing.schedule import of_kernels, shape_of

    registry = options.discover(given["plugins"])
    schedule = of_kernels(
        registry, kernels, [shape_of(shape) for shape in shapes], dtypes, given["devices"]
    )
    asked = {"bench": "softmax", "kernels": kernels, "shapes": shapes, "dtypes": dtypes}
    ctx.exit(_bench(registry, schedule, asked, given))


@command.command(name="training", short_help="Time the models' training against a plain loop.")
@options.dataset_option()
@options.model_option()
@click.option("--epochs", type=click.IntRange(1), default=200, help="Epochs of each fit [200].")
@click.option(
    "--together",
    type=click.IntRange(1),
    default=32,
    help="Number of networks to train at the same time [32].",
)
@click.option("--seed", type=click.IntRange(0), default=0, help="Seed of data and models [0].")
@options.file_options
@_common
@click.pass_context
def training(
    ctx: click.Context,
    /,
    datasets: tuple[str, ...],
    models: tuple[str, ...],
    epochs: int,
    together: int,
    seed: int,
    **given: Any,
) -> None:
    """Time every model that trains by epochs, and a plain loop that does the same training.

    \b
      harness bench training
      harness bench training -m notebook-mlp -d threshold --together 32
    """  # noqa: D301  # click wants the character, not its escape
    from harness.timing.schedule import by_epochs, of_training
    from harness.trials.plan import Selection

    files, datasets = options.open_files(datasets, given)
    classes, models = options.open_classes(models)
    given["plugins"] = (*given["plugins"], *files, *classes)
    registry = options.discover(given["plugins"])
    devices = given["devices"] or tuple(registry.devices)
    selection = Selection(datasets, models, devices, 1, seed)
    ask = partial(by_epochs, registry)
    schedule = of_training(registry, selection, ask, epochs=epochs, together=together)
    asked = {
        "bench": "training",
        "datasets": datasets,
        "models": models,
        "epochs": epochs,
        "together": together,
        "seed": seed,
    }
    ctx.exit(_bench(registry, schedule, asked, given))


def _bench(
    registry: Registry, schedule: Schedule, asked: JSONObject, given: options.GivenOptions
) -> int:
    from harness.interchange import require_pytest_benchmark
    from harness.runs.benches import BUDGET, BenchRequest, bench
    from harness.store.database import Store
    from harness.store.frames import load_frames
    from harness.terminal.display import timing_display

    if given["benchmark_json"]:
        require_pytest_benchmark()
        options.require_writable(given["benchmark_json"])
    plugins = options.all_plugins(given["plugins"])
    asked |= {name: given[name] for name in ("devices", "threads")}
    asked |= {"budget": given["budget"] or BUDGET, "plugins": plugins}
    request = BenchRequest(
        {k: list(v) if isinstance(v, tuple) else v for k, v in asked.items()},
        schedule,
        plugins,
        given["budget"],
        given["threads"],
        given["name"],
    )
    with closing(Store(options.store_url(given["store"]), create=True)) as store:
        with terminable(), timing_display(shown=not given["no_progress"]) as tell:
            interrupts = (KeyboardInterrupt, Terminated)
            outcome = bench(store, registry, request, tell=tell, interrupts=interrupts)
        if outcome.run is None:
            remark("interrupted before anything was measured often enough; nothing is stored")
        else:
            frames = load_frames(store, outcome.run)
            if given["as_json"]:
                from harness.analysis.ranking import tables
                from harness.sheets.texts import json_text

                write(json_text(frames, tables(frames)))
            else:
                show_after_run(registry, frames)
            remark(f"run {outcome.run.id} is in {store.name}; {outcome.session}")
            if given["benchmark_json"]:
                _write_json(given["benchmark_json"], outcome.run, outcome.session.timings)
    if outcome.stop:
        return stop_status(outcome.stop)
    statuses = {timing.status for timing in outcome.session.timings}
    if statuses & {"wrong", "failed"}:
        return FAILED
    return 0 if "ok" in statuses else NOTHING


def _write_json(file: Path, run: Run, timings: Sequence[Timing]) -> None:
    from harness.interchange import benchmark_json

    content = benchmark_json(run, timings, Path.cwd())
    try:
        file.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise cannot_write(file, error) from error
    remark(f"wrote {len(content['benchmarks'])} benchmarks to {file}")
