"""A leaderboard as a static site: ranking, history, data, and how to add a model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import harness

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import pandas as pd

    from harness import Frames


@harness.hookimpl
def harness_reports() -> Iterable[harness.Report]:
    """One report, named ``site``."""
    yield harness.Report(
        "site",
        tables=_tables,
        render=_render,
        formats=("folder",),
        description="A leaderboard as a site; `harness publish FOLDER` writes it.",
        options=(harness.Option("title", "Leaderboard", "Title of the site."),),
    )


# The functions import what they need: the plugin loads without pandas, SciPy and matplotlib.
def _tables(frames: Frames, title: str) -> Mapping[str, pd.DataFrame]:
    from harness_site.board import board_of

    board = board_of(frames, title)
    return {"standings": board.standings, "ranking": board.ranking, "history": board.history}


def _render(frames: Frames, style: str, title: str) -> Mapping[str, bytes]:
    from harness import UsageError
    from harness_site.board import board_of
    from harness_site.pages import files

    if style != "folder":
        raise UsageError(f"report 'site' has no format '{style}'; it has folder")
    return files(board_of(frames, title))
