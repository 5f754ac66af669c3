"""``harness plot``."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli import options
from harness.cli.compare import find_runs
from harness.cli.track import EMPTY, NOTHING
from harness.contract.values import Wanted
from harness.errors import UsageError
from harness.terminal.console import remark, say

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from harness.analysis.history import Segment
    from harness.contract.values import Frames, Picture
    from harness.store.database import Store


class PlotCommand(options.Command):
    """A command whose help ends with the kinds of pictures."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002  # click's signature
        """Add the kinds of pictures with their descriptions to the help text."""
        with formatter.section("Kinds"):
            pictures = options.discover(()).pictures
            formatter.write_dl([(kind.name, kind.description) for kind in pictures.values()])


@click.command(
    name="plot", cls=PlotCommand, short_help="Draw a picture of a run, or of the tracked history."
)
@click.argument("kind", metavar="KIND")
@click.argument("runs", nargs=-1, metavar="[RUN]...")
@click.option(
    "-m",
    "--model",
    metavar="NAME",
    help="Model or kernel to draw: its name in the tables, or a glob.",
)
@click.option(
    "-d", "--dataset", metavar="NAME", help="Dataset to draw: its name in the tables, or a glob."
)
@click.option("--device", metavar="NAME", help="Device whose results to draw: its name, or a glob.")
@click.option(
    "--measure",
    metavar="NAME",
    help="For `plot history`: the measure to draw, such as fit or accuracy.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="File to write; its suffix sets the format: svg, png, pdf [KIND.svg].",
)
@options.set_options()
@options.metric_option(
    "For fit-time, latency and sizes: the score to draw, as NAME[parameter=value]."
)
@options.store_option
@options.plugin_option
@click.pass_context
def command(
    ctx: click.Context,
    kind: str,
    runs: tuple[str, ...],
    model: str | None,
    dataset: str | None,
    device: str | None,
    measure: str | None,
    output: Path | None,
    since: datetime | None,
    all_runs: bool,
    metrics: tuple[str, ...],
    store: str | None,
    plugins: tuple[str, ...],
) -> None:
    """Draw a picture of RUN [the newest run].

    RUN is an id, a name, `last`, `previous`, or a git revision (the newest run of that code).  The
    same results give the same file, byte by byte.

    \b
      harness plot likelihood -d threshold
      harness plot confusion last -m torch-mlp -d iris -o confusion.pdf
    """  # noqa: D301  # click wants the character, not its escape
    file = output or Path(f"{kind}.svg")
    wanted = Wanted(model, dataset, device, measure)
    registry = options.discover(plugins)
    picture = registry.pictures[kind]
    _require(picture, runs, wanted, file)
    if metrics and not picture.shows_metrics:
        others = [name for name, other in registry.pictures.items() if other.shows_metrics]
        raise UsageError(
            f"picture '{kind}' shows no score that --metric could choose; leave --metric out"
            + (f", or plot one of {', '.join(others)}" if others else "")
        )
    with closing(options.open_store(store)) as opened:
        source: Frames | Sequence[Segment]
        if picture.scope == "history":
            source = _segments(opened)
            if not source:
                remark(EMPTY)
                ctx.exit(NOTHING)
        else:
            source = _frames(opened, runs, since=since, all_runs=all_runs)
            source = options.with_metrics(source, registry, metrics)
        drawing = picture.draw(source, wanted)
    from harness.sheets.output import save

    save(drawing.figure, file)
    say(str(file))


def _require(picture: Picture, runs: Sequence[str], wanted: Wanted, file: Path) -> None:
    """Check the file and the combination of arguments before the store is read.

    Raises:
        UsageError: the file cannot be written, or the arguments contradict each other.
    """
    from harness.sheets.output import require_suffix

    require_suffix(file)
    options.require_writable(file)
    of_history = picture.scope == "history"
    if of_history and runs:
        raise UsageError(f"the history covers all runs; leave '{' '.join(runs)}' out")
    if wanted.measure is not None and not of_history:
        raise UsageError("--measure is for the history only; leave it out, or plot history")


def _segments(store: Store) -> Sequence[Segment]:
    from harness.analysis.history import segments

    return segments(store.points())


def _frames(store: Store, runs: Sequence[str], *, since: datetime | None, all_runs: bool) -> Frames:
    from harness.store.sets import load_runs

    return load_runs(store, find_runs(store, runs, since=since, all_runs=all_runs))
