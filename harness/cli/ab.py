"""``harness ab``."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from harness.cli import options
from harness.cli.stopping import terminable
from harness.errors import UsageError
from harness.terminal.console import err, remark
from harness.words import plural

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from harness.contract.registry import Registry
    from harness.versions.pairs import Design, PairedRun, TaskResult
    from harness.versions.sides import Side
    from harness.versions.tasks import Task

F = TypeVar("F", bound="Callable[..., Any]")


DIRTY = "The checkout has uncommitted changes, which are in no revision ('.' has them)."


def task_options(function: F) -> F:
    """Add the options that say what to measure, on which device and for how long."""
    for option in reversed(
        (
            click.option(
                "--kernel",
                "kernels",
                multiple=True,
                metavar="NAME",
                help="Softmax kernel to time; repeatable.",
            ),
            options.model_option(),
            options.dataset_option(),
            click.option(
                "--shape",
                "shapes",
                multiple=True,
                metavar="NxK",
                help="Shape, as samples x classes [100000x10].",
            ),
            click.option(
                "--dtype",
                "dtypes",
                multiple=True,
                type=click.Choice(("float32", "float64")),
                help="Number type [float32].",
            ),
            click.option(
                "--only",
                type=options.WordList("kinds", ("softmax", "fit", "predict")),
                metavar="KINDS",
                help="What to time, separated by commas: softmax, fit, predict [all].",
            ),
            click.option(
                "--epochs", type=click.IntRange(1), default=200, help="Epochs of each fit [200]."
            ),
            click.option("--device", default="cpu", metavar="NAME", help="Device [cpu]."),
            options.threads_option,
            click.option(
                "--seed",
                type=click.IntRange(0),
                default=0,
                help="Seed of the data and of the order of timings [0].",
            ),
            click.option(
                "--time",
                "seconds",
                type=options.TIME,
                help="Time limit, not counting the installation of the two versions [60s].",
            ),
        )
    ):
        function = option(function)
    return function


@click.command(
    name="ab",
    cls=options.Command,
    short_help="Time two versions of the code in turns: is one slower?",
)
@click.argument("sides", nargs=-1, metavar="A B")
@task_options
@options.plugin_option
@options.verdict_options(
    "3%", "Allowed slowdown; the verdict is `same` if the slowdown is significantly below it"
)
@click.pass_context
def command(ctx: click.Context, /, **given: Any) -> None:
    """Time A and B in turns on this machine, and say which is slower.

    A and B are git revisions, interpreters, virtual environments or checkouts. Without options, a
    few kernels and models are timed.  To compare two kernels or two models of this installation,
    write `--kernel A B` or `--model A B`.

    \b
      harness ab origin/main HEAD
      harness ab origin/main HEAD -m my-model -d iris
      harness ab ~/old/venv ~/new/venv --only fit
      harness ab --kernel scipy numpy-fast
      harness ab --model torch-mlp notebook-mlp -d digits
    """  # noqa: D301  # click wants the character, not its escape
    from harness.analysis.changes import change_rows, status
    from harness.versions.pairs import Design, compare_sides

    files: tuple[str, ...] = ()
    if given["datasets"]:
        files, given["datasets"] = options.open_files(given["datasets"], given)
    if given["models"]:
        given["plugins"] = (*given["plugins"], *_open_classes(given))
    # The files are read here; both sides get the same rows.
    registry = options.discover((*given["plugins"], *files))
    verdicts = options.Verdicts.of(given)
    pair, tasks = _chosen(registry, given)
    plan = Design(
        tasks,
        options.all_plugins(given["plugins"]),
        budget=verdicts.budget,
        alpha=verdicts.alpha,
        seconds=given["seconds"] or 60.0,
        threads=given["threads"],
        seed=given["seed"],
    )
    with terminable(), ExitStack() as stack:
        tell = stack.enter_context(progress(len(tasks)))
        sides, dirty = _sides(stack, pair)
        session = compare_sides(sides, plan, registry, tell=tell)
    rows = change_rows(session.outcomes, budget=plan.budget, alpha=plan.alpha)
    title = _title(pair, sides)
    extra = {"pairs": _raw(session)}
    verdicts.show(rows, title, [*dirty, *_remarks(sides)], extra, _how(session, plan))
    ctx.exit(status(rows, undecided_passes=verdicts.undecided_passes))


def _open_classes(given: options.GivenOptions) -> tuple[str, ...]:
    """Replace classes by selectors of their models, and return what to discover."""
    # click gives the A of `--model A B` to the option, and B to the arguments.
    n_sides = 1 if len(given["sides"]) == 1 else 0
    texts = (*given["models"], *given["sides"][:n_sides])
    specs, names = options.open_classes(texts)
    n_models = len(given["models"])
    given["models"] = names[:n_models]
    if n_sides:
        given["sides"] = names[n_models:]
    return specs


def _chosen(
    registry: Registry, given: options.GivenOptions
) -> tuple[tuple[str, str] | None, tuple[Task, ...]]:
    """The names of the two sides, and the tasks to measure.

    The sides are None if two kernels or two models of one environment are compared.

    Raises:
        UsageError: the options do not name exactly two sides, kernels or models.
    """
    from harness.timing.schedule import shape_of
    from harness.versions.tasks import tasks_of_two_kernels, tasks_of_two_models

    sides, kernels, models = given["sides"], given["kernels"], given["models"]
    shapes = [shape_of(shape) for shape in given["shapes"]]
    kinds = given["only"] or ()
    if len(sides) == 2:
        return (sides[0], sides[1]), tasks_chosen(registry, given)
    _check_device(registry, given["device"])
    # click gives the A of `--kernel A B` to the option, and B to the arguments.
    names = (*kernels, *models, *sides)
    if len(names) != 2 or (kernels and models):
        raise UsageError(
            "ab compares exactly two versions, kernels or models: `harness ab A B`, "
            "`harness ab --kernel A B` or "
            "`harness ab --model A B -d DATASET`"
        )
    first, second = names
    if kernels:
        if given["datasets"]:
            raise UsageError("kernels need no dataset; leave out --dataset")
        return None, tasks_of_two_kernels(
            registry,
            (first, second),
            shapes,
            given["dtypes"],
            kinds=kinds,
            device=given["device"],
        )
    if shapes or given["dtypes"]:
        raise UsageError("--shape and --dtype are for kernels; leave them out")
    return None, tasks_of_two_models(
        registry,
        (first, second),
        given["datasets"],
        kinds=kinds,
        epochs=given["epochs"],
        device=given["device"],
    )


def tasks_chosen(registry: Registry, given: options.GivenOptions) -> tuple[Task, ...]:
    """The tasks that the options select for a comparison of two versions."""
    from harness.timing.schedule import shape_of
    from harness.versions.tasks import tasks_of

    _check_device(registry, given["device"])
    return tasks_of(
        registry,
        kernels=given["kernels"],
        models=given["models"],
        datasets=given["datasets"],
        shapes=[shape_of(shape) for shape in given["shapes"]],
        dtypes=given["dtypes"],
        kinds=given["only"] or (),
        epochs=given["epochs"],
        device=given["device"],
    )


def _check_device(registry: Registry, name: str) -> None:
    from harness.timing.workloads import find_device

    if name != "cpu":  # always there; to look for other devices takes seconds
        find_device(registry, name)


def _sides(stack: ExitStack, pair: tuple[str, str] | None) -> tuple[tuple[Side, Side], list[str]]:
    """Both sides, and remarks on uncommitted changes of the checkout."""
    from harness.versions.sides import HERE, side_of, uncommitted

    if pair is None:
        return (HERE, HERE), []
    first, second = (stack.enter_context(side_of(name, Path.cwd(), tell=remark)) for name in pair)
    kinds = {first.kind, second.kind}
    if "revision" in kinds and "checkout" not in kinds and uncommitted(Path.cwd()):
        return (first, second), [DIRTY]
    return (first, second), []


def _title(pair: tuple[str, str] | None, sides: tuple[Side, Side]) -> str:
    if pair is None:
        return "harness ab: the second of two in this environment against the first"
    first, second = (
        side.name if side.name == side.about else f"{side.name} ({side.about})" for side in sides
    )
    return f"harness ab: {first} → {second}"


def _how(session: PairedRun, plan: Design) -> str:
    from harness.store.environment import machine

    computer = machine()
    reason = {
        "decided": "everything was decided",
        "failed": "all that was left had failed on one side",
        "time": "the time was up",
        "last": "the last planned test, after which more time changes nothing",
    }[session.ended]
    return (
        f"{plural(session.n_pairs, 'pair')} of processes in "
        f"{session.seconds:.0f} s, until {reason}; "
        f"verdict “same”: at most {100 * plan.budget:g}% slower. Intervals are 95%; visible: the "
        f"smallest slowdown that would be found with 80% probability. On {computer['processor']}, "
        f"{computer['cores']} cores, {plural(plan.threads, 'thread')}."
    )


def _remarks(sides: tuple[Side, Side]) -> list[str]:
    same = sides[0].revision and sides[0].revision == sides[1].revision
    if same and all(side.kind == "revision" for side in sides):
        return ["Both sides are the same revision."]
    return []


def _raw(session: PairedRun) -> list[dict[str, object]]:
    """The measurements of each task as JSON, for analyses of the reader's own."""
    return [
        {
            "work": list(outcome.task.key),
            "log_ratios": list(outcome.log_ratios),
            "base_seconds": list(outcome.seconds[0]),
            "new_seconds": list(outcome.seconds[1]),
        }
        for outcome in session.outcomes
    ]


@contextmanager
def progress(n_works: int) -> Iterator[Callable[[int, Sequence[TaskResult]], None]]:
    """A function that shows the progress of a comparison on the terminal."""
    console = err()
    if not console.is_terminal:
        yield lambda _pair, _outcomes: None
        return
    with console.status("preparing") as status:

        def tell(n_pairs: int, outcomes: Sequence[TaskResult]) -> None:
            decided = sum(
                bool(
                    any(outcome.faults)
                    or (outcome.change and outcome.change.verdict != "undecided")
                )
                for outcome in outcomes
            )
            status.update(
                f"{n_pairs} pairs of processes, {decided} of {n_works} timings with a verdict"
            )

        yield tell
