"""Sheets and notes as a page of characters that fits the width of the console."""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from rich.cells import cell_len, chop_cells, set_cell_size
from rich.text import Text

from harness.sheets.notes import FAILURES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from rich.console import Console, ConsoleOptions, RenderResult

    from harness.sheets.notes import Note
    from harness.sheets.table import Column, Entry, Sheet

Line: TypeAlias = list[tuple[str, str]]
"""The pieces of a line of text, each with its style."""

LOOKS = {"": "", "strong": "bold", "faint": "dim", "alarm": "yellow"}
ASCII = str.maketrans("≈†–─·µ×−…┐│", "~+--.ux-.+|")
NAME = 20
"""The least width of names, as long as there is a narrower `Room` to try."""
LEAST = 10
"""The least width of names in any case; a table without this room is cut into blocks."""
WIDEST_LETTER = 2
"""The most cells that a letter takes; no line is narrower."""
HEAD = 12
"""Heads that are wider than their column fold to their longest part, or to this if less."""
SHORT = 6
"""The longest heads that never fold."""


@dataclass(frozen=True, slots=True)
class Room:
    """How much room a page has.

    Args:
        brackets: whether to write intervals as ``[.912, .987]`` rather than ``.912–.987``.
        gap: spaces between columns.
        spare: whether to keep the columns that a sheet can spare.
    """

    brackets: bool
    gap: int
    spare: bool


ROOMS = (Room(True, 2, True), Room(False, 2, True), Room(False, 1, False))
"""The widest first; a page takes the first that fits."""


@dataclass(frozen=True, slots=True)
class Page:
    """A rich renderable: sheets one below the other, then notes."""

    sheets: Sequence[Sheet]
    notes: Sequence[Note]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Lay the page out for this console, with ASCII letters only if it has no others."""
        yield from typeset(self.lines(options.max_width), options)

    def lines(self, width: int) -> Iterator[Line]:
        """The page as lines of at most ``width`` cells (if that is 40 or more)."""
        width = max(width, LEAST)
        room = _room(self.sheets, width)
        for i, sheet in enumerate(self.sheets):
            yield from [[]] if i else []
            yield from _sheet(sheet, room, width)
        for i, note in enumerate(self.notes):
            yield from [[]] if i or self.sheets else []
            yield from note_lines(note, width)


def typeset(lines: Iterable[Line], options: ConsoleOptions) -> Iterator[Text]:
    """Lines for a console, with ASCII letters only if it has no others."""
    for line in lines:
        if options.ascii_only:
            line = [
                (text.translate(ASCII).encode("ascii", "replace").decode(), style)
                for text, style in line
            ]
        yield Text.assemble(*line, overflow="fold")


def note_lines(note: Note, width: int, *, beside: bool = False) -> Iterator[Line]:
    """A note as lines of at most ``width`` cells.

    Args:
        note: the note.
        width: in cells.
        beside: whether the first line of text stands beside the heading.
    """
    style = "" if note.heading == FAILURES else "dim"
    lines = note.lines
    if beside:
        first, *others = textwrap.wrap(
            f"{note.heading}: {lines[0]}", width, subsequent_indent="    "
        )
        yield [(note.heading, "bold"), (first.removeprefix(note.heading), style)]
        yield from ([(line, style)] for line in others)
        lines = lines[1:]
    else:
        yield [(note.heading, "bold")]
    for text in lines:
        wrapped = textwrap.wrap(text, width, initial_indent="  ", subsequent_indent="    ")
        yield from ([(line, style)] for line in wrapped)


def sheet_lines(sheet: Sheet, width: int) -> Iterator[Line]:
    """A single sheet as lines of at most ``width`` cells."""
    yield from _sheet(sheet, _room([sheet], width), width)


def cut(name: str, width: int) -> str:
    """A name of at most ``width`` cells; a longer one ends with an ellipsis.

    >>> cut("sklearn-hist-gradient-boosting", 12), cut("iris", 12)
    ('sklearn-his…', 'iris')
    """
    return name if cell_len(name) <= width else set_cell_size(name, width - 1) + "…"


def _room(sheets: Sequence[Sheet], width: int) -> Room:
    """The first room in which names fit beside all rankings' figures; the last if none does."""
    ranked = [sheet for sheet in sheets if sheet.spared]
    for room in ROOMS:
        if all(
            _beside(_kept(sheet, room), room) + min(_longest(sheet), NAME) <= width
            for sheet in ranked
        ):
            return room
    return ROOMS[-1]


def _longest(sheet: Sheet) -> int:
    """The width of a sheet's longest name."""
    named = next(column for column in sheet.columns if column.named)
    return max((cell_len(entry.text) for entry in named.entries), default=0)


def _beside(columns: Sequence[Column], room: Room) -> int:
    """The width of all columns except the names, with the gaps before them."""
    return sum(_Set.of(column, room).width + room.gap for column in columns if not column.named)


def _kept(sheet: Sheet, room: Room) -> list[Column]:
    return [column for column in sheet.columns if room.spare or column.head not in sheet.spare]


@dataclass(frozen=True, slots=True)
class _Set:
    """A typeset column: head and entries as lines of equal width; an entry may take several."""

    head: list[str]
    entries: list[list[Line]]
    width: int

    @classmethod
    def of(cls, column: Column, room: Room, names: int = 0) -> _Set:
        if column.named:
            folded = [
                [
                    [(set_cell_size(part, names), LOOKS[entry.look])]
                    for part in fold(entry.text, names)
                ]
                for entry in column.entries
            ]
            return cls([set_cell_size(column.head, names)], folded, names)
        lines = _figures(column.entries, room)
        body = max((cell_len("".join(text for text, _ in line)) for line in lines), default=0)
        longest = max(cell_len(part) for part in _parts(column.head))
        head = fold(column.head, max(body, SHORT, min(longest, HEAD)))
        width = max(body, *(cell_len(part) for part in head))
        if any(entry.low for entry in column.entries):
            indent = " " if any(entry.mark for entry in column.entries) else ""
            # The indent would cut off the end of a head that is as wide as its column.
            indented = [indent + part if cell_len(part) < width else part for part in head]
            head = [set_cell_size(part, width) for part in indented]
        else:
            head = [" " * (width - cell_len(part)) + part for part in head]
        pad = " " * (width - body)
        return cls(head, [[[(pad, ""), *line]] for line in lines], width)


def _sheet(sheet: Sheet, room: Room, width: int) -> Iterator[Line]:
    columns = _kept(sheet, room)
    spared = f" · {sheet.spared}" if len(columns) < len(sheet.columns) else ""
    yield from _title(sheet.title, sheet.detail + spared, width)
    longest = _longest(sheet)
    least = LEAST if sheet.spared else NAME

    def cut(bare: set[str], without: set[str]) -> tuple[list[_Set], list[list[_Set]]]:
        shown = [
            _bare(column) if column.head in bare else column
            for column in columns
            if column.head not in without
        ]
        lead = next(i for i, column in enumerate(shown) if column.named) + 1
        rest = [_Set.of(column, room) for column in shown[lead:]]
        folded = min(longest, max(width - _beside(shown, room), least))
        layouts = []
        for names in (min(longest, width // 2), folded):
            first = [_Set.of(column, room, names) for column in shown[:lead]]
            layouts.append((first, _blocks(first, rest, room.gap, width)))
        # Names fold only if that saves a block.
        return min(layouts, key=lambda layout: len(layout[1]))

    bare, without = set(sheet.optional) | set(sheet.extra), set(sheet.extra)
    first, blocks = cut(bare, without)
    for head in sheet.optional:
        candidate = cut(bare - {head}, without)
        if len(candidate[1]) == len(blocks):
            bare.remove(head)
            first, blocks = candidate
    for head in sheet.extra:
        for barer in (bare - {head}, bare):
            candidate = cut(barer, without - {head})
            if len(candidate[1]) == len(blocks):
                bare, without = barer, without - {head}
                first, blocks = candidate
                break
    for i, block in enumerate(blocks):
        if i:
            yield []
        yield from _block([*first, *block], room.gap)


def _bare(column: Column) -> Column:
    """The column without its intervals."""
    entries = tuple(replace(entry, low="", high="") for entry in column.entries)
    return replace(column, entries=entries)


def _title(title: str, detail: str, width: int) -> Iterator[Line]:
    if cell_len(f"{title} · {detail}") <= width:
        yield [(title, "bold"), (f" · {detail}", "dim")]
    else:
        yield from ([(part, "bold")] for part in fold(title, width))
        yield from ([(part, "dim")] for part in textwrap.wrap(detail, width))


def _blocks(lead: list[_Set], rest: list[_Set], gap: int, width: int) -> list[list[_Set]]:
    """The columns in as few blocks as fit beside the lead, about equally many in each."""
    left = width - sum(column.width + gap for column in lead) + gap
    blocks: list[list[_Set]] = []
    for n in range(1, len(rest) + 1):
        cuts = np.linspace(0, len(rest), n + 1).round().astype(int).tolist()
        blocks = [rest[start:stop] for start, stop in pairwise(cuts)]
        if all(sum(gap + column.width for column in block) <= left for block in blocks):
            break
    return blocks


def _block(columns: list[_Set], gap: int) -> Iterator[Line]:
    tall = max(len(column.head) for column in columns)
    heads = [[""] * (tall - len(column.head)) + column.head for column in columns]
    for parts in zip(*heads, strict=True):
        padded = zip(parts, columns, strict=True)
        text = (" " * gap).join(set_cell_size(part, column.width) for part, column in padded)
        yield [(text.rstrip(), "bold dim")]
    yield [("─" * (sum(column.width + gap for column in columns) - gap), "dim")]
    for entries in zip(*(column.entries for column in columns), strict=True):
        for i in range(max(len(lines) for lines in entries)):
            line: Line = []
            for column, lines in zip(columns, entries, strict=True):
                line += lines[i] if i < len(lines) else [(" " * column.width, "")]
                line.append((" " * gap, ""))
            yield _stripped(line)


def _stripped(line: Line) -> Line:
    """The line without trailing spaces, which would be copied along with the page."""
    while line and not line[-1][0].strip():
        line = line[:-1]
    return [*line[:-1], (line[-1][0].rstrip(), line[-1][1])] if line else []


def _figures(entries: Sequence[Entry], room: Room) -> list[Line]:
    """Entries as lines of equal width, with decimal points, marks and intervals aligned."""
    numbers = [entry.text.partition(".") for entry in entries if not _is_word(entry)]
    before = max((len(whole) for whole, _, _ in numbers), default=0)
    after = max((len(point + digits) for _, point, digits in numbers), default=0)
    marked, noted = (any(getattr(entry, name) for entry in entries) for name in ("mark", "note"))
    behind = max((len(_interval(entry, room)) for entry in entries), default=0)
    width = before + after + behind + marked + noted
    word_width = max((cell_len(entry.text) for entry in entries if _is_word(entry)), default=0)
    lines: list[Line] = []
    for entry in entries:
        if _is_word(entry):
            text = " " * marked + entry.text
            lines.append(
                [(set_cell_size(text, max(width, word_width + marked)), LOOKS[entry.look])]
            )
            continue
        whole, point, digits = entry.text.partition(".")
        text = whole.rjust(before) + (point + digits).ljust(after)
        pad = " " * max(0, word_width + marked - width)
        lines.append(
            [
                (pad + (entry.mark or " ") * marked, ""),
                (text, LOOKS[entry.look]),
                (_interval(entry, room).ljust(behind), "dim"),
                ((entry.note or " ") * noted, ""),
            ]
        )
    return lines


def _interval(entry: Entry, room: Room) -> str:
    if not entry.low:
        return ""
    if room.brackets:
        return f" [{entry.low}, {entry.high}]"
    return f" {entry.low}–{entry.high}"


def _is_word(entry: Entry) -> bool:
    return entry.text[:1].isalpha()


def fold(name: str, width: int) -> list[str]:
    """A name folded into lines: broken between its parts, and inside a part only if it is too wide.

    >>> fold("notebook-mlp[zero_grad=false]", 18)
    ['notebook-mlp', '[zero_grad=false]']
    >>> fold("sklearn-hist-gradient-boosting", 18)
    ['sklearn-hist-', 'gradient-boosting']
    """
    lines = [""]
    for part in _parts(name):
        if cell_len(lines[-1] + part) <= width:
            lines[-1] += part
        else:
            lines += chop_cells(part, max(width, WIDEST_LETTER))
    return [line for line in lines if line] or [""]


def _parts(name: str) -> list[str]:
    """The parts of a name, which is split before ``[`` and after ``-``, ``,``, ``=`` or a space."""
    return re.split(r"(?<=[-,= ])(?=.)|(?=\[)", name)
