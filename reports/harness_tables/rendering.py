"""The report ``tables`` in each of its formats."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness import UsageError
from harness.analysis.ranking import tables
from harness.analysis.shown import ranked_by, shown
from harness.analysis.verdict import verdict
from harness.sheets import texts, timed
from harness.sheets.glance import Framed, Glance
from harness.sheets.layout import Page
from harness.sheets.ranked import named_rows, ranked, sheets
from harness.sheets.remarks import findings, notes
from harness.sheets.texts import frame_csv

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import RenderableType

    from harness import Frames

FORMATS = ("rich", "markdown", "csv", "json", "latex", "html-fragment")


def render(frames: Frames, style: str, *, verbose: bool = False) -> RenderableType:
    """The report as a rich renderable, which fits its console, or as a text in another format.

    Args:
        frames: the runs.
        style: one of `FORMATS`.
        verbose: whether the format ``rich`` has all tables and the legend; the others always do.

    Raises:
        UsageError: the report has no such format.
    """
    if style not in FORMATS:
        raise UsageError(f"report 'tables' has no format '{style}'; it has {', '.join(FORMATS)}")
    by_name = tables(frames)
    if style == "json":
        return texts.json_text(frames, by_name)
    if style == "csv":
        main = "ranking" if len(frames.results) else "training" if len(by_name["training"]) else ""
        return frame_csv(by_name[main or "softmax"])
    if style == "rich" and not verbose and len(frames.results):
        return _glance(frames, by_name)
    chosen = shown(frames) if frames.metrics else ()
    all_sheets = [
        *(sheets(by_name["ranking"], chosen) if len(by_name["ranking"]) else []),
        *timed.training_sheets(by_name["training"]),
        *timed.softmax_sheets(by_name["softmax"]),
    ]
    all_notes = timed.notes(frames)
    if len(frames.results):
        all_notes = [*notes(frames, by_name["ranking"], by_name["failures"]), *all_notes]
    if style == "rich":
        page = Page(all_sheets, all_notes)
        if len(frames.results):
            return Framed(verdict(frames, by_name["ranking"]), page)
        return page
    writers = {"markdown": texts.markdown, "latex": texts.latex, "html-fragment": texts.html}
    return writers[style](all_sheets, all_notes)


def _glance(frames: Frames, by_name: dict[str, pd.DataFrame]) -> Glance:
    ranking = by_name["ranking"]
    rank = ranked_by(frames)
    others = (each for each in shown(frames) if each.name != rank.name)
    datasets = ranking["dataset"].nunique()
    sheet = None
    if datasets == 1:
        rows = named_rows(ranking)
        sheet = ranked(rows[0]["dataset"], rows, shown(frames) if frames.metrics else ())
    found = findings(frames, ranking, by_name["failures"])
    return Glance(verdict(frames, ranking), ranking, (rank, *others), sheet, found)
