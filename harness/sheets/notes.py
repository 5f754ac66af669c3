"""Notes: a heading and lines below the tables."""

from __future__ import annotations

from dataclasses import dataclass

FAILURES = "Failures"
LEGEND = "How to read this"


@dataclass(frozen=True, slots=True)
class Note:
    """A heading and lines of plain text; markup that strangers wrote into them has no effect."""

    heading: str
    lines: tuple[str, ...]
