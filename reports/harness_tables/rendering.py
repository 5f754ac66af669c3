"""The report ``tables`` in each of its formats."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness import UsageError
from harness.analysis.ranking import tables
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
    found = tables(frames)
    if style == "json":
        return texts.json_text(frames, found)
    if style == "csv":
        main = "ranking" if len(frames.results) else "training" if len(found["training"]) else ""
        return frame_csv(found[main or "softmax"])
    shown = [
        *(sheets(found["ranking"]) if len(found["ranking"]) else []),
        *timed.training_sheets(found["training"]),
        *timed.softmax_sheets(found["softmax"]),
    ]
    told = timed.notes(frames)
    if len(frames.results):
        told = [*notes(frames, found["ranking"], found["failures"]), *told]
    if style == "rich":
        return Page(shown, told)
    written = {"markdown": texts.markdown, "latex": texts.latex, "html-fragment": texts.html}
    return written[style](shown, told)
