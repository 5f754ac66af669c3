"""One run as one HTML page that needs nothing else: tables, pictures, and how they came about."""

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
        description="A page with tables to sort and filter, pictures, and the environment.",
    )


# Pandas, SciPy and matplotlib load with the first page that is asked for, not with the plugin.
def _tables(frames: Frames) -> Mapping[str, pd.DataFrame]:
    from harness.analysis.ranking import tables

    return tables(frames)


def _render(frames: Frames, style: str) -> str:
    from harness import UsageError
    from harness_page.page import page

    if style != "html":
        raise UsageError(f"report 'page' has no format '{style}', but html")
    return page(frames)
