"""What a table is, before anything is known of terminals, Markdown or LaTeX."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

TIED = "≈"
PARTIAL = "*"
CLIPPED = "†"


@dataclass(frozen=True, slots=True)
class Entry:
    """One figure or name, with what is to be said about it.

    Args:
        text: as it is shown.
        low: the lower end of its interval, if it has one.
        high: the upper end.
        mark: before it: `TIED` or `PARTIAL`.
        note: after it: `CLIPPED`.
        look: ``strong`` where it is the best and separated, ``faint`` where it is a baseline's
            name, ``alarm`` where it tells of a failure.
    """

    text: str
    low: str = ""
    high: str = ""
    mark: str = ""
    note: str = ""
    look: Literal["", "strong", "faint", "alarm"] = ""


@dataclass(frozen=True, slots=True)
class Column:
    """A head and an entry for each row; names stand left, figures on their decimal points."""

    head: str
    entries: tuple[Entry, ...]
    named: bool = False


@dataclass(frozen=True, slots=True)
class Sheet:
    """A table.

    Args:
        title: what it is about.
        detail: the rest of the title.
        columns: in order. The one that is ``named`` may fold, and stands beside each block where
            a table is too wide for one.
        spare: heads of the columns that a narrow page leaves out, their content being in
            ``spared``.
        spared: follows ``detail`` then.
        optional: heads of the columns whose intervals are left out where they would cost a narrow
            page another block, the dearest first.
    """

    title: str
    detail: str
    columns: tuple[Column, ...]
    spare: tuple[str, ...] = ()
    spared: str = ""
    optional: tuple[str, ...] = ()
