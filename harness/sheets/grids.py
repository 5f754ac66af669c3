"""Tables as a page shows them: captions, heads and cells, independent of HTML."""

from __future__ import annotations

import base64
import gzip
import math
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from markupsafe import Markup

from harness.sheets.texts import csv_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import pandas as pd

    from harness.sheets.table import Column, Entry, Sheet

FIGURE = re.compile(r"[-+<]?[\d.]|$")
NO_BAR = Markup()


@dataclass(frozen=True, slots=True)
class GridCell:
    """A cell of a table.

    Args:
        text: the figure or name.
        aside: its interval, or empty.
        mark: shown before the text.
        note: shown after the text.
        look: ``strong``, ``faint``, ``alarm`` or empty.
        href: where a link on the text leads, or empty.
        bar: a small picture behind the figure, which says no more than the figure; or empty.
    """

    text: str
    aside: str = ""
    mark: str = ""
    note: str = ""
    look: str = ""
    href: str = ""
    bar: Markup = NO_BAR


@dataclass(frozen=True, slots=True)
class Grid:
    """A table of a page.

    Args:
        name: name of the table's file when it is downloaded.
        caption: what the table is about.
        detail: the rest of the caption.
        heads: heads of the columns.
        named: index of the column that names the row.
        rows: rows of cells.
        words: indices of the other columns of text, which are aligned left.
        whole: all rows, as CSV, gzipped, in base64; empty if ``rows`` holds all of them.
        keys: what marks each row for a page's script; empty without marks.
        rest: all rows, as HTML, gzipped, in base64; empty if ``rows`` holds all of them.
        n_rows: the number of all rows, if ``rest`` holds them.
    """

    name: str
    caption: str
    detail: str
    heads: tuple[str, ...]
    named: int
    rows: tuple[tuple[GridCell, ...], ...]
    words: tuple[int, ...] = ()
    whole: str = ""
    keys: tuple[str, ...] = ()
    rest: str = ""
    n_rows: int = 0


def of_sheet(sheet: Sheet, name: str) -> Grid:
    """The grid of a report's table."""
    columns = [[_cell(entry) for entry in column.entries] for column in sheet.columns]
    return Grid(
        name,
        sheet.title,
        sheet.detail,
        tuple(_head(column) for column in sheet.columns),
        next(i for i, column in enumerate(sheet.columns) if column.named),
        tuple(zip(*columns, strict=True)),
    )


def of_rows(
    name: str,
    caption: str,
    heads: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    detail: str = "",
    named: int = 0,
) -> Grid:
    """The grid of a table of texts."""
    cells = tuple(tuple(GridCell(text) for text in row) for row in rows)
    words = tuple(
        i for i in range(len(heads)) if any(FIGURE.match(row[i].text) is None for row in cells)
    )
    return Grid(name, caption, detail, tuple(heads), named, cells, words)


def of_frame(name: str, caption: str, frame: pd.DataFrame, most: int) -> Grid:
    """The grid of the data under a picture.

    If there are more than ``most`` rows, the grid shows ``most`` of them, evenly spaced, and holds
    all of them packed.
    """
    heads = [str(head) for head in frame.columns]
    rows = [[_written(value) for value in row] for row in frame.itertuples(index=False)]
    grid = of_rows(name, caption, heads, rows)
    if len(rows) <= most:
        return grid
    shown = np.linspace(0, len(rows) - 1, most).round().astype(int)
    return replace(
        grid,
        detail=f"{most} of {len(rows):,} rows",
        rows=tuple(grid.rows[i] for i in shown),
        whole=_packed([heads, *rows]),
    )


def _packed(rows: Iterable[Sequence[str]]) -> str:
    """Rows as CSV, gzipped, in base64; the same rows give the same text."""
    heads, *lines = rows
    return packed(csv_text(heads, lines, end="\r\n"))


def packed(text: str) -> str:
    """A text, gzipped, in base64; the same text gives the same letters."""
    return base64.b64encode(gzip.compress(text.encode(), mtime=0)).decode()


def _head(column: Column) -> str:
    intervals = any(entry.low for entry in column.entries)
    return f"{column.head} (95%)" if intervals else column.head


def _cell(entry: Entry) -> GridCell:
    interval = f"({entry.low} to {entry.high})" if entry.low else ""
    return GridCell(entry.text, interval, entry.mark, entry.note, entry.look)


def _written(value: object) -> str:
    if isinstance(value, float | np.floating):
        return "" if math.isnan(value) else f"{float(value):.4g}"
    return str(value)
