"""The tables that a run ends with: models ranked on each dataset, and models by datasets."""

from __future__ import annotations

from typing import TYPE_CHECKING

import harness

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import pandas as pd
    from rich.console import RenderableType

    from harness import Frames


@harness.hookimpl
def harness_reports() -> Iterable[harness.Report]:
    """One report, named ``tables``."""
    yield harness.Report(
        "tables",
        tables=_tables,
        render=_render,
        formats=("rich", "markdown", "csv", "json", "latex", "html-fragment"),
        options=(
            harness.Option(
                "verbose", False, "Print all tables and columns, and how to read them.", short="v"
            ),
        ),
        after_runs=True,
        description="Models ranked on each dataset, with 95% intervals, costs and failures.",
    )


# The functions import what they need, so that the plugin loads without pandas and SciPy.
def _tables(frames: Frames, *, verbose: bool = False) -> Mapping[str, pd.DataFrame]:  # noqa: ARG001  # the tables are the same
    from harness.analysis.ranking import tables

    return tables(frames)


def _render(frames: Frames, style: str, *, verbose: bool = False) -> RenderableType:
    from harness_tables.rendering import render

    return render(frames, style, verbose=verbose)
