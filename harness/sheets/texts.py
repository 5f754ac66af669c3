"""Sheets and notes as Markdown and LaTeX, and tables as JSON, for other programs to read."""

from __future__ import annotations

import json
import math
import re
from html import escape
from typing import TYPE_CHECKING

from harness.sheets.table import TIED
from harness.untrusted import csv_text, frame_csv

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import pandas as pd

    from harness.contract.values import Frames
    from harness.sheets.notes import Note
    from harness.sheets.table import Column, Entry, Sheet

__all__ = ["csv_text", "frame_csv", "html", "json_text", "latex", "markdown", "markdown_text"]

# tabulate would escape LaTeX commands, so these letters stand for them until it is done.
LATEX_COMMANDS = {
    "\ue000": r"\textbf{",
    "\ue001": "}",
    TIED: r"$\approx$ ",
    "†": r"\textsuperscript{\dag}",
    "↓": r"$\downarrow$",
    "–": "--",
    "µ": r"\textmu{}",
    "×": r"$\times$",
    "·": r"\textperiodcentered{}",
}
LATEX_SPECIAL = {character: "\\" + character for character in "&%$#_{}"} | {
    "~": r"\textasciitilde{}",
    "^": r"\^{}",
    "\\": r"\textbackslash{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
}


def markdown(sheets: Sequence[Sheet], notes: Sequence[Note]) -> str:
    """GitHub's Markdown: a heading and a table for each sheet, lists for the notes."""
    parts = []
    for sheet in sheets:
        parts.append(f"### {_escaped(sheet.title)}\n\n{_escaped(sheet.detail)}")
        parts.append(_table(sheet, "pipe", _in_markdown, _code))
    for note in notes:
        parts.append(f"### {note.heading}")
        parts.append("\n".join(f"- {_escaped(line)}" for line in note.lines))
    return "\n\n".join(parts) + "\n"


def html(sheets: Sequence[Sheet], notes: Sequence[Note]) -> str:
    """HTML with a ``table`` for each sheet and a list for each note, to paste into another page."""
    parts = []
    for sheet in sheets:
        caption = escape(f"{sheet.title} · {sheet.detail}")
        head = "".join(f'<th scope="col">{escape(_head(column))}</th>' for column in sheet.columns)
        rows = zip(*(column.entries for column in sheet.columns), strict=True)
        named = [column.named for column in sheet.columns]
        body = "\n".join(f"<tr>{_html_row(row, named)}</tr>" for row in rows)
        parts.append(
            f"<table>\n<caption>{caption}</caption>\n<thead><tr>{head}</tr></thead>\n"
            f"<tbody>\n{body}\n</tbody>\n</table>"
        )
    for note in notes:
        lines = "\n".join(f"<li>{escape(line)}</li>" for line in note.lines)
        parts.append(f"<h4>{escape(note.heading)}</h4>\n<ul>\n{lines}\n</ul>")
    return "\n".join(parts) + "\n"


def latex(sheets: Sequence[Sheet], notes: Sequence[Note]) -> str:
    r"""A ``table`` with booktabs for each sheet; the notes are comments."""
    parts = ["% \\usepackage{booktabs, textcomp}"]
    parts += ["% " + line for note in notes for line in (note.heading, *note.lines)]
    for sheet in sheets:
        body = _table(sheet, "latex_booktabs", _in_latex, str)
        title = "".join(LATEX_SPECIAL.get(c, c) for c in f"{sheet.title} · {sheet.detail}")
        parts += [
            f"\n\\begin{{table}}\n\\centering\n\\caption{{{_with_commands(title)}}}",
            _with_commands(body),
            "\\end{table}",
        ]
    return "\n".join(parts) + "\n"


def json_text(frames: Frames, tables: Mapping[str, pd.DataFrame]) -> str:
    """The run and its tables as JSON, a list of records each; NaN and infinity become null."""
    run = frames.run
    head = {
        "run": {"id": run.id, "name": run.name, "started": run.started},
        "sources": list(frames.sources),
    }
    parts = [f"    {json.dumps(name)}: {_records(table)}" for name, table in tables.items()]
    # By hand, because json.dumps with an indentation takes five times as long.
    opening = json.dumps(head, indent=2).removesuffix("\n}")
    return f'{opening},\n  "tables": {{\n' + ",\n".join(parts) + "\n  }\n}"


def _records(table: pd.DataFrame) -> str:
    """A table as a JSON list of records, indented."""
    columns = {}
    for name in table.columns:
        # tolist() gives Python's own numbers; json cannot write NumPy's.
        values = table[name].tolist()
        if table[name].dtype.kind not in "biu":
            values = [
                None if isinstance(value, float) and not math.isfinite(value) else value
                for value in values
            ]
        if name == "rank":  # floats, because baselines have none
            values = [None if value is None else int(value) for value in values]
        columns[str(name)] = values
    encode = json.JSONEncoder(allow_nan=False, separators=(",\n        ", ": ")).encode
    rows = zip(*columns.values(), strict=True)
    records = [
        f"      {{\n        {encode(dict(zip(columns, row, strict=True)))[1:-1]}\n      }}"
        for row in rows
    ]
    return "[\n" + ",\n".join(records) + "\n    ]" if records else "[]"


def _table(
    sheet: Sheet, style: str, figure: Callable[[Entry], str], name: Callable[[str], str]
) -> str:
    from tabulate import tabulate  # takes 15 ms to import, and most runs print in the terminal

    columns = [
        [name(entry.text) if column.named else figure(entry) for entry in column.entries]
        for column in sheet.columns
    ]
    return tabulate(
        list(zip(*columns, strict=True)),
        headers=[_head(column) for column in sheet.columns],
        tablefmt=style,
        disable_numparse=True,
        colalign=["left" if column.named else "right" for column in sheet.columns],
    )


def _head(column: Column) -> str:
    intervals = any(entry.low for entry in column.entries)
    return f"{column.head} [95% interval]" if intervals else column.head


def _in_markdown(entry: Entry) -> str:
    text = f"**{entry.text}**" if entry.look == "strong" else entry.text
    mark = entry.mark.replace("*", r"\*")
    return " ".join(part for part in (mark, text, _interval(entry), entry.note) if part)


def _in_latex(entry: Entry) -> str:
    text = f"\ue000{entry.text}\ue001" if entry.look == "strong" else entry.text
    return f"{entry.mark}{text} {_interval(entry)}{entry.note}".strip()


def _html_row(row: Sequence[Entry], named: Sequence[bool]) -> str:
    return "".join(
        f'<th scope="row">{escape(entry.text)}</th>' if name else f"<td>{_in_html(entry)}</td>"
        for entry, name in zip(row, named, strict=True)
    )


def _in_html(entry: Entry) -> str:
    escaped = escape(entry.text)
    text = f"<strong>{escaped}</strong>" if entry.look == "strong" else escaped
    return " ".join(part for part in (entry.mark, text, _interval(entry), entry.note) if part)


def _interval(entry: Entry) -> str:
    return f"[{entry.low}, {entry.high}]" if entry.low else ""


def _with_commands(text: str) -> str:
    for letter, command in LATEX_COMMANDS.items():
        text = text.replace(letter, command)
    return text


def _code(name: str) -> str:
    """A name as inline code in Markdown; bars are escaped, because they would end a table cell."""
    return f"`{name.replace('|', chr(92) + '|')}`" if "`" not in name else _escaped(name)


def _escaped(text: str) -> str:
    r"""Text with Markdown's special characters escaped, so that it shows as it is written.

    >>> _escaped("install harness[torch] & <retry>")
    'install harness\\[torch\\] & \\<retry\\>'
    """
    return re.sub(r"([\\`*_\[\]<>|#~])", r"\\\1", text)


def markdown_text(text: str) -> str:
    r"""A stranger's text on one line, escaped so that Markdown shows it as it is written.

    >>> print(markdown_text("a|b *c*"))
    a\|b \*c\*
    """
    escaped = re.sub(r"([\\`*_{}\[\]<>#|~&])", r"\\\1", " ".join(text.split()))
    return escaped.replace("@", "@\u200b")  # else GitHub would notify a user of that name
