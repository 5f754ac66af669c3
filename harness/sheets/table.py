"""Tables as values, independent of how terminals, Markdown and LaTeX show them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

TIED = "≈"
BELOW = "?"
"""Marks a score that is not significantly different from the best, but worse than a baseline's."""
PARTIAL = "*"
CLIPPED = "†"
LESS = "↓"
"""Marks a score of which less is better."""

TIED_TOLD = f"{TIED}: not significantly different from the dataset's best."
TIED_WHY = f"Even a far lower score can get {TIED} if it varies much between repeats."
BELOW_TOLD = f"{BELOW}: likewise, but below a baseline."
"""What the marks mean, in the same words on the terminal and on the page."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A cell of a table: a figure or name, with its interval, marks and look.

    Args:
        text: the figure or name as shown.
        low: lower bound of its interval; empty without an interval.
        high: upper bound of its interval.
        mark: shown before the text: `TIED`, `BELOW` or `PARTIAL`.
        note: shown after the text: `CLIPPED`.
        look: ``strong`` for the best score if it is separated from all others, ``faint`` for the
            name of a baseline, ``alarm`` for a failure.
    """

    text: str
    low: str = ""
    high: str = ""
    mark: str = ""
    note: str = ""
    look: Literal["", "strong", "faint", "alarm"] = ""


@dataclass(frozen=True, slots=True)
class Column:
    """A head and an entry for each row: names aligned left, or figures aligned by decimal point."""

    head: str
    entries: tuple[Entry, ...]
    named: bool = False


@dataclass(frozen=True, slots=True)
class Sheet:
    """A table with its title.

    Args:
        title: what the table is about.
        detail: the rest of the title.
        columns: in order. The ``named`` column may fold. A table that is too wide is cut into
            blocks, and each block repeats the named column.
        spare: heads of the columns that a narrow page leaves out.
        spared: what the ``spare`` columns say; follows ``detail`` if they are left out.
        optional: heads of the columns whose intervals a narrow page leaves out if they would cost
            another block, the most important first.
        extra: heads of the columns that a narrow page leaves out if they would cost another block,
            or an interval.
    """

    title: str
    detail: str
    columns: tuple[Column, ...]
    spare: tuple[str, ...] = ()
    spared: str = ""
    optional: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()
