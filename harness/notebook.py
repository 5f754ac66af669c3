"""What a notebook shows: a run's progress and its tables. IPython loads only in a notebook."""

from __future__ import annotations

import math
import sys
import time
from html import escape
from importlib import import_module
from typing import TYPE_CHECKING, Any

from harness.trials.events import Scene

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import pandas as pd

    from harness.runs.campaign import Campaign
    from harness.trials.events import Event

    TableRow = Mapping[str, Any]
    """A row of a table, as pandas gives it: names, numbers and truth values."""

EVERY = 0.25  # seconds between updates, each of which is a message to the browser
COLUMNS = {
    "ranking": (
        *("rank", "model", "device", "accuracy", "likelihood", "nll", "brier"),
        *("fit_seconds", "ok", "total"),
    ),
    "training": (
        *("dataset", "model", "device", "status", "fit_seconds", "microseconds_per_epoch"),
        *("row_microseconds", "reason"),
    ),
}
"""The columns shown of each of these tables; other tables are shown whole."""
HEADS = {"rank": "#", "nll": "NLL", "brier": "Brier"}
SHARES = ("accuracy", "likelihood", "brier")
TABLES = ("accuracy", "likelihood")
"""Tables whose numbers all lie between 0 and 1."""


def is_here() -> bool:
    """Whether this process is the kernel of a notebook."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    # Colab has a shell class of its own, which inherits from this class.
    return any(ancestor.__name__ == "ZMQInteractiveShell" for ancestor in type(shell).__mro__)


class Bar:
    """A progress bar and a line of text below a notebook's cell.

    Args:
        campaign: the campaign that runs.
        clock: gives monotonic seconds.
    """

    def __init__(self, campaign: Campaign, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._scene = Scene.of(campaign.left, campaign.jobs, clock())
        self._next = clock() + EVERY
        self._html = import_module("IPython.display").HTML
        show = import_module("IPython.display").display
        self._handle = show(self._html(self._text(self._scene.line(clock()))), display_id=True)

    def __call__(self, event: Event) -> None:
        """Take an event, and update the bar unless the last update is very recent."""
        now = self._clock()
        self._scene = self._scene.after(event, now)
        if now >= self._next:
            self._next = now + EVERY
            self._show(self._scene.line(now))

    def timing(self, process: int, case: str) -> None:
        """Show what is being timed."""
        self._show(f"{self._scene.line(self._clock())}; timing, process {process}: {case}")

    def end(self) -> None:
        """Show the final state, whether the run finished or not."""
        self._show(self._scene.line(self._clock()))

    def _show(self, line: str) -> None:
        self._handle.update(self._html(self._text(line)))

    def _text(self, line: str) -> str:
        scene = self._scene
        bar = f'<progress value="{scene.done}" max="{max(scene.total, 1)}"></progress>'
        return f"<div>{bar} {escape(line)}</div>"


def page(tables: Mapping[str, pd.DataFrame]) -> str:
    """The tables that have rows, as HTML; markup in names has no effect.

    The ranking becomes a table for each dataset. With a single dataset, overviews are left out.
    """
    parts: list[str] = []
    datasets = 0
    for name, table in tables.items():
        if name == "ranking":
            groups = list(table.groupby("dataset", sort=False)) if len(table) else []
            datasets = len(groups)
            parts += [_table(name, str(dataset), group) for dataset, group in groups]
        elif len(table) and not (name in TABLES and datasets == 1):
            parts.append(_table(name, name, table))
    return "\n".join(parts)


def _table(name: str, caption: str, table: pd.DataFrame) -> str:
    rows: Sequence[TableRow] = [
        {str(k): v for k, v in row.items()} for row in table.to_dict("records")
    ]
    columns = list(_columns(name, [str(column) for column in table.columns], rows))
    heads = "".join(
        f'<th style="text-align:{_side(rows, column)}">'
        f"{escape(HEADS.get(column, column.replace('_', ' ')))}</th>"
        for column in columns
    )
    body = "\n".join(_row(name, row, columns, rows) for row in rows)
    return (
        f'<table><caption style="text-align:left"><b>{escape(caption)}</b></caption>\n'
        f"<thead><tr>{heads}</tr></thead>\n<tbody>\n{body}\n</tbody></table>"
    )


def _columns(name: str, there: Sequence[str], rows: Sequence[TableRow]) -> Iterator[str]:
    """The chosen columns, except uninformative ones; bounds are shown beside their value."""
    complete = all(row.get("ok") == row.get("total") for row in rows)
    for column in COLUMNS.get(name, there):
        if column not in there:
            continue
        if column == "device" and len({row["device"] for row in rows}) == 1:
            continue
        if column in ("ok", "total") and name == "ranking" and complete:
            continue
        if all(
            _is_missing(row[column]) or (column, row[column]) == ("status", "ok") for row in rows
        ):
            continue
        yield column


def _row(name: str, row: TableRow, columns: Sequence[str], rows: Sequence[TableRow]) -> str:
    faint = ' style="opacity:.6"' if row.get("baseline") is True else ""
    cells = (
        f'<td style="text-align:{_side(rows, column)}">{_cell(name, row, column)}</td>'
        for column in columns
    )
    return f"<tr{faint}>{''.join(cells)}</tr>"


def _cell(name: str, row: TableRow, column: str) -> str:
    share = column in SHARES or name in TABLES
    text = escape(_figure(row[column], share=share))
    if row.get(f"{column}_separated") is True:
        text = f"<b>{text}</b>"
    if row.get(f"{column}_tied_with_best") is True:
        text = f"≈{text}"
    # The interval of fit_seconds is fit_low to fit_high.
    stem = column if f"{column}_low" in row else column.removesuffix("_seconds")
    ends = row.get(f"{stem}_low"), row.get(f"{stem}_high")
    if column == "nll" or any(map(_is_missing, ends)):
        return text
    low, high = (escape(_figure(end, share=share)) for end in ends)
    return f"{text} <small>{low}–{high}</small>"


def _figure(value: Any, *, share: bool) -> str:
    """A number with three decimals if it is a share, else three digits; texts as they are.

    >>> [_figure(value, share=False) for value in (0.00123456, 3.0, 12345.6, "text")]
    ['.00123', '3', '12,346', 'text']
    >>> _figure(0.95, share=True)
    '.950'
    """
    if _is_missing(value):
        return ""
    if isinstance(value, bool) or not isinstance(value, float):
        return str(value)
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    text = f"{value:.3f}" if share else f"{value:.3g}"
    return text.removeprefix("0") if "." in text else text


def _is_missing(value: Any) -> bool:
    return value is None or value == "" or (isinstance(value, float) and math.isnan(value))


def _side(rows: Sequence[TableRow], column: str) -> str:
    return "left" if any(isinstance(row[column], str) for row in rows) else "right"
