"""What a terminal of a given width shows of a report."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from rich.console import Console

if TYPE_CHECKING:
    from harness.contract.values import Frames, Report


def printed(
    report: Report, frames: Frames, width: int = 80, *, verbose: bool = True, **options: Any
) -> str:
    """The text of the report ``tables`` on a console of this width and these options."""
    file = io.StringIO()
    shown = report.render(frames, "rich", verbose=verbose)
    Console(file=file, width=width, **options).print(shown)
    return file.getvalue()
