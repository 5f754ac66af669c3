"""The report ``tables`` in each of its formats."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness import UsageError
from harness.analysis.ranking import tables
from harness.analysis.shown import shown
from harness.sheets import texts, timed
from harness.sheets.layout import Page
from harness.sheets.ranked import sheets
from harness.sheets.remarks import notes
from harness.sheets.texts import frame_csv

if TYPE_CHECKING:
    from rich.console import RenderableType

    from harness import Frames

FORMATS = ("rich", "markdown", "csv", "json", "latex", "html-fragment")


def render(frames: Frames, style: str) -> RenderableType:
    """The report as a rich renderable, which fits its console, or as a text in another format.

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
        return Page(all_sheets, all_notes)
    writers = {"markdown": texts.markdown, "latex": texts.latex, "html-fragment": texts.html}
    return writers[style](all_sheets, all_notes)
