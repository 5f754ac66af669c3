"""``harness report``."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli import best, options
from harness.cli.compare import find_run
from harness.errors import UsageError
from harness.terminal.console import out, remark, write
from harness.untrusted import cleaned, frame_csv

if TYPE_CHECKING:
    from harness.contract.registry import Registry
    from harness.contract.values import Report

FORMATS = ("rich", "markdown", "csv", "json", "latex", "html-fragment")
OF_VERSUS = FORMATS[:-1]
OF_BEST = ("rich", "markdown", "csv", "json")


@click.command(name="report", cls=options.Command, short_help="Print a run's tables again.")
@click.argument("run", required=False)
@click.option("--report", "name", default="tables", help="Which report [tables].")
@click.option("--format", "style", type=click.Choice(FORMATS), default="rich", help="[rich]")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="FOLDER",
    help="Write each table there as CSV and Parquet, too.",
)
@click.option(
    "--html",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write it as one page that needs no other file, with pictures.",
)
@click.option(
    "--best-of",
    type=click.Choice(("accuracy", "likelihood")),
    help="Only each dataset's best model, for a README.",
)
@click.option(
    "--versus", is_flag=True, help="Who is better: two models by dataset, or all pairs of several."
)
@click.option(
    "-m", "--model", "models", multiple=True, metavar="NAME", help="For --versus; repeatable."
)
@click.option(
    "--rope", type=options.PART, help="Difference that does not matter, for --versus [1%]."
)
@click.option("--ranks", is_flag=True, help="With --versus, mean ranks and Elo ratings, too.")
@options.store_option
@options.plugin_option
def command(
    run: str | None,
    name: str,
    style: str,
    output: Path | None,
    html: Path | None,
    best_of: str | None,
    versus: bool,
    models: tuple[str, ...],
    rope: float | None,
    ranks: bool,
    store: str | None,
    plugins: tuple[str, ...],
) -> None:
    """Print the tables of RUN, as `harness compare` takes it; of the newest run without.

    \b
      harness report
      harness report 3 --format markdown
      harness report --html report.html
      harness report --best-of accuracy --format markdown
      harness report --versus -m torch-mlp -m sklearn-random-forest
    """  # noqa: D301  # click wants the character, not its escape
    from harness.store.frames import load_frames

    if (models or rope is not None or ranks) and not versus:
        raise UsageError("-m, --rope and --ranks are for --versus; add it, or leave them out")
    if sum((html is not None, best_of is not None, versus)) > 1:
        raise UsageError("--html, --best-of and --versus are three reports; ask for one of them")
    if output and (html or best_of or versus):
        raise UsageError(
            "--output writes the tables; leave it out, or leave out what else is asked"
        )
    if html and style != "rich":
        raise UsageError("--html is a page; leave --format out")
    if html:
        options.require_writable(html)
    for asked, known in ((versus, OF_VERSUS), (best_of, OF_BEST)):
        if asked and style not in known:
            raise UsageError(f"this has no format {style}, but {', '.join(known)}")
    registry = options.discover(plugins)
    with closing(options.open_store(store)) as opened:
        frames = load_frames(opened, find_run(opened, run))
        if versus:
            from harness.analysis.two_models import ROPE
            from harness.cli.versus import show

            show(frames, models, ROPE if rope is None else rope, style, ranks=ranks)
            return
        if html:
            name = "page" if name == "tables" else name
            _write_page(str(_report(registry, name, "html").render(frames, "html")), html)
            return
        report = _report(registry, name, style)
        if best_of:
            best.show(report.tables(frames)["ranking"], best_of, style)
            return
        rendered = report.render(frames, style)
        if isinstance(rendered, str):
            write(rendered)
        else:
            out().print(rendered)
        if output:
            _write_tables(dict(report.tables(frames)), output)


def _report(registry: Registry, name: str, style: str) -> Report:
    """A report that has a format.

    Raises:
        UsageError: there is none of that name, or it has not.
    """
    report = registry.reports[name]
    if style not in report.formats:
        raise UsageError(f"report '{name}' has no format {style}, but {', '.join(report.formats)}")
    return report


def _write_page(text: str, file: Path) -> None:
    try:
        file.write_text(cleaned(text), encoding="utf-8")
    except OSError as error:
        raise UsageError(f"cannot write to '{file}': {error.strerror or error}") from error
    remark(f"wrote {file}, {file.stat().st_size / 1024:.0f} KiB")


def _write_tables(tables: dict[str, object], folder: Path) -> None:
    import pandas as pd

    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, table in tables.items():
            if isinstance(table, pd.DataFrame):
                (folder / f"{name}.csv").write_text(frame_csv(table), encoding="utf-8")
                table.to_parquet(folder / f"{name}.parquet", index=False)
    except OSError as error:
        raise UsageError(f"cannot write to '{folder}': {error.strerror or error}") from error
    remark(f"wrote {', '.join(tables)} as CSV and Parquet to {folder}")
