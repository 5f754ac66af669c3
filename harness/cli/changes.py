"""Output of changes: a table, a comment on a pull request, or files for other programs."""

from __future__ import annotations

import json
import math
import re
from dataclasses import asdict
from typing import TYPE_CHECKING

from harness.analysis.changes import BAD, ORDER, ChangeRow, summary
from harness.errors import cannot_write
from harness.sheets.texts import markdown_text
from harness.terminal.console import out, write
from harness.untrusted import cleaned, csv_text
from harness.words import UNITS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from rich.table import Table

FORMATS = ("rich", "markdown", "csv", "json")

QUIET = ("same", "only base", "only new", "not judged")
"""Verdicts that a long comment or table folds away."""

STYLES = {"slower": "bold red", "worse": "bold red", "failed": "bold red", "undecided": "yellow"}
STYLES |= {"faster": "green", "better": "green"}
NOTHING = "the two sides have no measurement in common"

WIDE = 110
"""Terminal width from which the table has room for the columns measure, base and new."""

FEW = 12
"""Most rows that are shown in full; of more rows, those with `QUIET` verdicts are folded away."""

HEADS = ("verdict", "measure", "what", "base", "new", "change", "interval", "visible")
NUMBERS = ("base", "new", "change", "interval", "visible")


def show(
    rows: Sequence[ChangeRow],
    title: str,
    style: str,
    remarks: Sequence[str],
    extra: Mapping[str, object],
    how: str = "",
    nothing: str = NOTHING,
) -> None:
    """Print changes, the worst first.

    Args:
        rows: the changes.
        title: names what is compared.
        style: one of `FORMATS`.
        remarks: lines below the table.
        extra: additional keys of the JSON object.
        how: a line on how the changes were measured; a comment folds it away.
        nothing: the summary if there are no rows.
    """
    text = rendered(rows, title, style, remarks, extra, how, nothing)
    if text:
        write(text)
        return
    console = out()
    console.print(title, soft_wrap=True)
    shown = [row for row in rows if row.verdict not in QUIET] if len(rows) > FEW else rows
    if shown:
        console.print(_terminal_table(shown, narrow=console.width < WIDE))
    folded = f"{len(rows) - len(shown)} rows without a change are not shown; --format csv has them."
    for line in (summary(rows) or nothing, folded * (len(shown) < len(rows)), how, *remarks):
        if line:
            console.print(line, soft_wrap=True)


def _terminal_table(rows: Sequence[ChangeRow], *, narrow: bool) -> Table:
    """The rows as a table; a narrow one has measure, base and new in the column ``what``."""
    from rich import box
    from rich.table import Table

    heads = [head for head in HEADS if not narrow or head not in ("measure", "base", "new")]
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for head in heads:
        table.add_column(
            head,
            justify="right" if head in NUMBERS else "left",
            no_wrap=head != "what",
            overflow="fold",
        )
    for row in by_verdict(rows):
        cells = dict(zip(HEADS, cells_of(row), strict=True))
        if narrow:
            cells["what"] = f"{cells['measure']} {cells['what']}"
            if cells["base"] or cells["new"]:
                cells["what"] += f"\n{cells['base'] or '?'} → {cells['new'] or '?'}"
        table.add_row(*(cells[head] for head in heads), style=STYLES.get(row.verdict, ""))
    return table


def rendered(
    rows: Sequence[ChangeRow],
    title: str,
    style: str,
    remarks: Sequence[str],
    extra: Mapping[str, object],
    how: str = "",
    nothing: str = NOTHING,
) -> str:
    """Changes as text in one of `FORMATS`; empty for ``rich``, which depends on the console."""
    return cleaned(_rendered(rows, title, style, remarks, extra, how, nothing))


def _rendered(
    rows: Sequence[ChangeRow],
    title: str,
    style: str,
    remarks: Sequence[str],
    extra: Mapping[str, object],
    how: str,
    nothing: str,
) -> str:
    if style == "json":
        records = [{k: _number(v) for k, v in _told(row).items()} for row in by_verdict(rows)]
        lines = [line for line in (how, *remarks) if line]
        return json.dumps({"title": title, "rows": records, "remarks": lines, **extra}, indent=2)
    if style == "csv":
        heads = [name for name in ChangeRow.__slots__ if name != "metric"]
        return csv_text(heads, (_told(row).values() for row in by_verdict(rows)))
    if style == "markdown":
        return _markdown(rows, title, remarks, how, nothing)
    return ""


def by_verdict(rows: Sequence[ChangeRow]) -> list[ChangeRow]:
    """Rows sorted by verdict, the worst first."""
    return sorted(rows, key=lambda row: ORDER.index(row.verdict))


def cells_of(row: ChangeRow) -> tuple[str, ...]:
    """The texts of a row, one for each of `HEADS`."""
    base, new = _values(row)
    interval = ""
    if math.isfinite(row.low):
        low = _change(row, row.low).removesuffix("%")  # the upper limit shows the unit
        interval = f"{low} to {_change(row, row.high)}"
    what = f"{row.subject}, {row.case}" + ("" if row.device == "cpu" else f" @ {row.device}")
    if row.note:
        what += f" ({row.note})"
    visible = _change(row, row.visible).removeprefix("+")
    return (
        row.verdict,
        row.measure,
        what,
        base,
        new,
        _change(row, row.change),
        interval,
        visible,
    )


def write_junit(rows: Sequence[ChangeRow], title: str, file: Path) -> None:
    """Write changes as a JUnit test suite with a case for each row: failed, skipped or passed.

    Raises:
        UsageError: the file cannot be written.
    """
    from xml.etree import ElementTree as ET  # only writes: parsing untrusted XML would be unsafe

    suite = ET.Element(
        "testsuite",
        name=_xml(title),
        tests=str(len(rows)),
        failures=str(sum(row.verdict in BAD for row in rows)),
        errors="0",
        skipped=str(sum(_is_open(row) for row in rows)),
    )
    for row in rows:
        name = f"{row.measure} {row.subject}, {row.case} @ {row.device}"
        case = ET.SubElement(suite, "testcase", classname="harness", name=_xml(name))
        cells = dict(zip(HEADS, cells_of(row), strict=True))
        parts = [cells["change"], f"({cells['interval']})" if cells["interval"] else "", row.note]
        text = " ".join((f"{row.verdict}:", *filter(None, parts))).removesuffix(":")
        if row.verdict in BAD:
            ET.SubElement(case, "failure", message=_xml(text))
        elif _is_open(row):
            ET.SubElement(case, "skipped", message=_xml(text))
    tree = ET.ElementTree(suite)
    ET.indent(tree)
    try:
        tree.write(file, encoding="utf-8", xml_declaration=True)
    except OSError as error:
        raise cannot_write(file, error) from error


def _is_open(row: ChangeRow) -> bool:
    return row.verdict in ("undecided", "only base", "only new", "not judged")


def _markdown(
    rows: Sequence[ChangeRow], title: str, remarks: Sequence[str], how: str, nothing: str
) -> str:
    """A comment: the verdict, the title and the table; unimportant rows are folded."""
    lines = [f"### {summary(rows) or nothing}", "", markdown_text(title), ""]
    shown, folded = by_verdict(rows), []
    if len(shown) > FEW:
        shown, folded = (
            [row for row in shown if (row.verdict in QUIET) == quiet] for quiet in (False, True)
        )
    lines += _markdown_table(shown)
    for remark in remarks:
        lines += [markdown_text(remark), ""]
    lines += _folded(summary(folded), _markdown_table(folded))
    lines += _folded("How this was measured", [markdown_text(how), ""] if how else [])
    return "\n".join(lines).rstrip() + "\n"


def _markdown_table(rows: Sequence[ChangeRow]) -> list[str]:
    if not rows:
        return []
    lines = ["| " + " | ".join(HEADS) + " |"]
    lines.append("|" + "|".join(" ---: " if head in NUMBERS else " --- " for head in HEADS) + "|")
    for row in rows:
        first, *rest = map(markdown_text, cells_of(row))
        bold = f"**{first}**" if row.verdict in BAD else first
        lines.append("| " + " | ".join((bold, *rest)) + " |")
    return [*lines, ""]


def _folded(title: str, lines: Sequence[str]) -> list[str]:
    """A folded section; the empty line ends the HTML, so that Markdown works inside."""
    if not lines:
        return []
    return [f"<details><summary>{title}</summary>", "", *lines, "</details>", ""]


def _values(row: ChangeRow) -> tuple[str, str]:
    if not row.timed:
        return tuple(
            f"{value:.4f}" if math.isfinite(value) else "" for value in (row.base, row.new)
        )  # type: ignore[return-value]  # has two items
    positive = [value for value in (row.base, row.new) if value > 0]
    scale, unit = next(
        ((scale, unit) for scale, unit in UNITS if positive and min(positive) >= scale), UNITS[-1]
    )
    texts = [
        f"{_three(value / scale)} {unit}" if value > 0 else "" for value in (row.base, row.new)
    ]
    return texts[0], texts[1]


def _three(value: float) -> str:
    """Three significant digits, or all digits before the decimal point if there are more.

    >>> _three(1234.5), _three(12.345)
    ('1234', '12.3')
    """
    return f"{value:.0f}" if value >= 999.5 else f"{value:.3g}"


def _change(row: ChangeRow, value: float) -> str:
    if math.isnan(value):
        return ""
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    text = f"{100 * value:+.1f}%" if row.timed else f"{value:+.4f}"
    return text if text.strip("+-0.%") else text.replace("-", "+")  # no minus sign before zero


def _told(row: ChangeRow) -> dict[str, object]:
    """A row's fields as CSV and JSON have them: the measure tells whether it is a metric."""
    return {name: value for name, value in asdict(row).items() if name != "metric"}


def _number(value: object) -> object:
    """The value for JSON, which has no NaN and no infinity: they become None."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _xml(text: str) -> str:
    """Text in which characters that XML 1.0 cannot contain are replaced by question marks."""
    return re.sub(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "?", text)
