"""One run as a self-contained HTML page: tables, pictures, and the environment."""

from __future__ import annotations

from typing import TYPE_CHECKING

import harness

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import pandas as pd

    from harness import Frames


@harness.hookimpl
def harness_reports() -> Iterable[harness.Report]:
    """One report, named ``page``."""
    yield harness.Report(
        "page",
        tables=_tables,
        render=_render,
        formats=("html",),
        description="A page with sortable tables, pictures, and the run's machine and software.",
    )


# The functions import what they need: the plugin loads without pandas, SciPy and matplotlib.
def _tables(frames: Frames) -> Mapping[str, pd.DataFrame]:
    from harness.analysis.ranking import tables

    return tables(frames)


def _render(frames: Frames, style: str) -> str:
    from harness import UsageError
    from harness_page.page import page

    if style != "html":
        raise UsageError(f"report 'page' has no format '{style}'; it has html")
    return page(frames)
