"""A run at a glance: the verdict, models by datasets, and the best three models of each dataset."""

from __future__ import annotations

import math
import textwrap
from dataclasses import dataclass
from itertools import accumulate, islice
from typing import TYPE_CHECKING

from rich.cells import cell_len, set_cell_size

from harness.analysis.names import short_names
from harness.contract.own_scores import LIKELIHOOD
from harness.sheets.figures import score as figure
from harness.sheets.layout import LOOKS, cut, note_lines, sheet_lines, typeset
from harness.sheets.palette import HEAT
from harness.sheets.ranked import (
    at_a_glance,
    by_dataset,
    named_rows,
    ordered,
    ranks,
    score_entry,
    split_in_words,
)
from harness.sheets.sentences import sentences
from harness.sheets.table import BELOW_TOLD, TIED_TOLD
from harness.statistics.scores import Basis
from harness.words import plural

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import pandas as pd
    from rich.console import Console, ConsoleOptions, RenderResult

    from harness.analysis.shown import Shown
    from harness.analysis.verdict import Verdict
    from harness.sheets.layout import Line, Page
    from harness.sheets.notes import Note
    from harness.sheets.ranked import Record
    from harness.sheets.table import Entry, Sheet

BEST = 3
"""Models of each dataset."""

DEPTH = 3
"""The most lines of the datasets' names above their columns."""

SCORES = 2
"""Scores of each model."""

SCREEN = 24
"""From this many lines on, the verdict stands at the end, too."""

LEAST, MOST = 5, 10
"""The least and the largest width of a dataset's column."""

NARROWEST = 10
"""The least width in any case; beyond that, the terminal folds lines."""

NAMES = 18
"""The least width of the models' names."""

TURN, DOWN = "┐", "│"
"""Lead from a dataset's name on a higher line down to its column."""

HEAD = "best by dataset"
MEANINGS = {LIKELIHOOD: ("likelihood =", "exp(-log loss)")}
"""What a score is, on two lines."""

INTERVALS = "95% intervals."
TOO_FEW = "95% intervals; blank: too few errors."
SOME_INTERVALS = "95% intervals where known."
MORE = "All numbers: harness report -v"


@dataclass(frozen=True, slots=True)
class Glance:
    """A rich renderable: what a run says, in as few lines as possible.

    Args:
        verdict: the verdict.
        ranking: from `harness.analysis.ranking`.
        metrics: the scores to show; the one that ranks comes first.
        sheet: the table of the dataset, if there is one dataset; it replaces the overview.
        notes: what the reader must know: failures, and what is wrong with the data.
    """

    verdict: Verdict
    ranking: pd.DataFrame
    metrics: Sequence[Shown]
    sheet: Sheet | None
    notes: Sequence[Note]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Lay out for this console."""
        yield from typeset(self.lines(options.max_width), options)

    def lines(self, width: int) -> Iterator[Line]:
        """The lines, of at most ``width`` cells (if that is 40 or more)."""
        width = max(width, NARROWEST)
        verdict = list(_verdict(self.verdict, width))
        rows = named_rows(self.ranking)
        body = list(self._tables(rows, width))
        yield from verdict
        yield from body
        for note in self.notes:
            yield from note_lines(note, width, beside=True)
        yield from ([(line, "dim")] for line in textwrap.wrap(self._legend(rows), width))
        if len(body) > SCREEN:
            yield from verdict

    def _legend(self, rows: Sequence[Record]) -> str:
        """What the scores and marks mean."""
        marked = self.metrics if self.sheet else self.metrics[:1]
        below = any(each.name in row["below_baseline"] for row in rows for each in marked)
        groups = [rows] if self.sheet else [each[:BEST] for each in by_dataset(rows).values()]
        reasons = {
            row.get(f"{'nll' if each.name == LIKELIHOOD else each.name}_basis")
            for group in groups
            for row in group
            for each in self.metrics[:SCORES]
            if row["ok"] and math.isnan(row.get(f"{each.name}_low", 0.0))
        }
        few = reasons == {Basis.FEW_CARRYING}
        intervals = TOO_FEW if few else SOME_INTERVALS if reasons else INTERVALS
        told = (TIED_TOLD, BELOW_TOLD if below else "", intervals, MORE)
        return " ".join(filter(None, told))

    def _tables(self, rows: list[Record], width: int) -> Iterator[Line]:
        if self.sheet:
            yield []
            yield from sheet_lines(self.sheet, width)
            return
        short = short_names(row["name"] for row in rows)
        rows = [row | {"name": short[row["name"]]} for row in rows]
        yield from _overview(rows, self.metrics[0], width)
        yield from _datasets(rows, self.metrics[:SCORES], width)


@dataclass(frozen=True, slots=True)
class Framed:
    """A rich renderable: a page between the verdict and the verdict again.

    Args:
        verdict: the verdict.
        page: all tables and notes.
    """

    verdict: Verdict
    page: Page

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Lay out for this console."""
        verdict = list(_verdict(self.verdict, max(options.max_width, NARROWEST)))
        lines = (*verdict, [], *self.page.lines(options.max_width), [], *verdict)
        yield from typeset(lines, options)


def _verdict(verdict: Verdict, width: int) -> Iterator[Line]:
    for label, text in sentences(verdict):
        first, *others = textwrap.wrap(
            f"{label}: {text}", width, subsequent_indent="  ", break_on_hyphens=False
        )
        look = "yellow" if label == "Failed" and verdict.statuses else "bold"
        yield [(label, look), (first.removeprefix(label), "")]
        yield from ([(line, "")] for line in others)


def _overview(rows: list[Record], rank: Shown, width: int) -> Iterator[Line]:
    """Models by datasets: the mean and each dataset's score, as many datasets as fit."""
    datasets = list(dict.fromkeys(row["dataset"] for row in rows))
    by_name: dict[str, dict[str, Record]] = {}
    for row in rows:
        by_name.setdefault(row["name"], {})[row["dataset"]] = row
    names, means = ordered(by_name, datasets, rank.name, more_is_better=rank.more_is_better)
    mean_width = max(4, *(cell_len(figure(mean)) for mean in means.values()))
    shown_names = {
        name: name + " (baseline)" * bool(next(iter(by_name[name].values()))["baseline"])
        for name in names
    }
    longest = max(map(cell_len, (rank.label, *shown_names.values())))
    columns = {
        dataset: [at_a_glance(by_name[name].get(dataset), rank.name) for name in names]
        for dataset in datasets
    }
    least = {d: max(LEAST, *(cell_len(e.mark + e.text) for e in columns[d])) for d in datasets}
    shown, left = [], width - NAMES - 1 - mean_width
    for dataset in datasets:
        left -= least[dataset] + 1
        if left < 0:
            break
        shown.append(dataset)
    widths = {dataset: least[dataset] for dataset in shown}
    spare = width - 1 - mean_width - sum(widths.values()) - len(widths) - min(longest, 24)
    for dataset in sorted(shown, key=lambda d: -max(map(cell_len, d.split("-")))):
        wanted = min(MOST, max(map(cell_len, dataset.split("-")))) - widths[dataset]
        if 0 < wanted <= spare:
            widths[dataset] += wanted
            spare -= wanted
    left = width - 1 - mean_width - sum(widths.values()) - len(widths)
    name_width = max(min(longest, left), LEAST)
    first = name_width + 1 + mean_width
    rights = accumulate((1 + widths[dataset] for dataset in shown), initial=first)
    edges = dict(zip(shown, islice(rights, 1, None), strict=True))
    above, beside = MEANINGS.get(rank.name, ("", ""))
    if cell_len(beside) > name_width:
        above = ""
    taken = (first, cell_len(above)) if above else (first,)
    heads = _staggered(edges, taken) or _folded_heads(edges, widths, len(taken))
    higher: list[int] = []  # edges of names on higher lines, from which a line leads down
    for i, parts in enumerate(heads):
        place = len(heads) - i  # from below
        title = above if place == 2 else ""
        if place == 1:
            words = beside if above else cut(rank.label, name_width)
            title = f"{set_cell_size(words, name_width)} {'mean'.rjust(mean_width)}"
        line: Line = [(title, "bold")]
        end = cell_len(title)
        leading = [
            (edge, DOWN)
            for edge in higher
            if not any(right - cell_len(part) < edge <= right for right, part in parts)
        ]
        for edge, part in sorted([*parts, *leading]):
            line.append((" " * (edge - cell_len(part) - end) + part, "dim"))
            end = edge
        yield line
        higher += [edge for edge, part in parts if part.endswith(TURN)]
    heat = {dataset: _heat(names, by_name, dataset, rank) for dataset in shown}
    for place, name in enumerate(names):
        look = LOOKS["faint"] if next(iter(by_name[name].values()))["baseline"] else ""
        mean = figure(means[name])
        line = [
            (set_cell_size(cut(shown_names[name], name_width), name_width), look),
            (" " + mean.rjust(mean_width), "bold"),
        ]
        for dataset in shown:
            entry = columns[dataset][place]
            text = entry.mark + entry.text
            style = heat[dataset][place] if entry.text != "–" else LOOKS["alarm"]
            line += [(" ", ""), (" " * (widths[dataset] - cell_len(text)) + text, style)]
        yield line
    if len(shown) < len(datasets):
        yield [(f"{plural(len(datasets) - len(shown), 'more dataset')}: harness report -v", "dim")]


def _heat(
    names: Sequence[str], by_name: dict[str, dict[str, Record]], dataset: str, rank: Shown
) -> list[str]:
    """A style for each model's score on a dataset: from the best baseline's to the best."""
    sign = 1 if rank.more_is_better else -1
    cells = [by_name[name].get(dataset) for name in names]
    values = [sign * cell[rank.name] if cell and cell["ok"] else math.nan for cell in cells]
    known = [value for value in values if not math.isnan(value)]
    floors = [
        value
        for value, cell in zip(values, cells, strict=True)
        if cell and cell["baseline"] and not math.isnan(value)
    ]
    if not known:
        return [""] * len(names)
    floor, best = max(floors, default=min(known)), max(known)
    shares = [(value - floor) / (best - floor) if best > floor else 0.0 for value in values]
    return [
        HEAT[sum(share >= step for step in (0.5, 0.8, 0.95))] if not math.isnan(share) else ""
        for share in shares
    ]


def _staggered(edges: Mapping[str, int], taken: Sequence[int]) -> list[list[tuple[int, str]]]:
    """Whole names, each ending at the right edge of its column, on as few lines as they need.

    A name may begin above its left neighbours; `TURN` ends it then. Each line has edges and names,
    from left to right. Empty if the names need more than `DEPTH` lines.

    Args:
        edges: the right edge of each column, from left to right.
        taken: widths that are taken at the beginning of lines, from the lowest up.

    >>> _staggered({"breast-cancer": 16, "digits": 23, "iris": 29}, [10])
    [[(16, 'breast-cancer┐')], [(23, 'digits'), (29, 'iris')]]
    """
    lines: list[list[tuple[int, str]]] = [[] for _ in range(DEPTH)]  # the lowest first
    for name, edge in edges.items():
        for i, line in enumerate(lines):
            part = name + TURN if i else name
            before = line[-1][0] if line else taken[i] if i < len(taken) else -1
            if edge - cell_len(part) > before:
                line.append((edge, part))
                break
        else:
            return []
    return [lines[i] for i in reversed(range(DEPTH)) if lines[i] or i < len(taken)]


def _folded_heads(
    edges: Mapping[str, int], widths: Mapping[str, int], least: int
) -> list[list[tuple[int, str]]]:
    """Names that are folded or cut to the widths of their columns, on ``least`` lines or more."""
    folded = {dataset: _folded(dataset, widths[dataset]) for dataset in edges}
    depth = max(map(len, folded.values()), default=1)
    depth = max(depth, least)
    return [
        [
            (edges[dataset], parts[i - depth])
            for dataset, parts in folded.items()
            if len(parts) >= depth - i
        ]
        for i in range(depth)
    ]


def _folded(name: str, width: int) -> list[str]:
    """A dataset's name on at most two lines, cut where they are too narrow for it.

    >>> _folded("breast-cancer", 6), _folded("iris[train_size=50]", 6), _folded("threshold", 6)
    (['breast', 'cancer'], ['iris', '=50'], ['thresh'])
    """
    if cell_len(name) <= width:
        return [name]
    base, bracket, parameters = name.partition("[")
    if bracket:
        values = parameters.removesuffix("]")
        if cell_len(values) > width and "=" in values:
            values = "=" + values.rpartition("=")[2]
        return [_begun(base, width), _begun(values, width)]
    return [_begun(part, width) for part in name.split("-", 1)]


def _begun(name: str, width: int) -> str:
    return name if cell_len(name) <= width else set_cell_size(name, width).rstrip()


def _datasets(rows: list[Record], metrics: Sequence[Shown], width: int) -> Iterator[Line]:
    """A title and the best models of each dataset, with their scores and intervals."""
    groups = by_dataset(rows)
    best = {dataset: each[:BEST] for dataset, each in groups.items()}
    columns = [
        {
            dataset: [score_entry(row, each.name, first=i == 0) for row in best[dataset]]
            for dataset in best
        }
        for i, each in enumerate(metrics)
    ]
    widths = [_widths([e for each in column.values() for e in each]) for column in columns]
    while len(widths) > 1 and _beside(widths) + 3 + NAMES > width:
        n_figure, n_interval = widths.pop()
        if n_interval:  # first the interval goes, then the score
            widths.append((n_figure, 0))
    beside = _beside(widths)
    names = {
        dataset: [row["name"] + (" (baseline)" if row["baseline"] else "") for row in best[dataset]]
        for dataset in best
    }
    longest = max(cell_len(name) for each in names.values() for name in each)
    name_width = max(min(longest, width - 3 - beside), 10)
    heads: Line = [(set_cell_size(cut(HEAD, 3 + name_width), 3 + name_width), "dim")]
    for each, (n_figure, n_interval) in zip(metrics, widths, strict=False):
        heads.append(
            (
                "   "
                + set_cell_size(cut(each.label, n_figure + n_interval), n_figure + n_interval),
                "dim",
            )
        )
    yield heads
    for dataset, best_rows in best.items():
        yield _title(dataset, groups[dataset], metrics[0], width)
        numbers = list(ranks(groups[dataset]))
        for i, row in enumerate(best_rows):
            name = set_cell_size(cut(names[dataset][i], name_width), name_width)
            line: Line = [
                (f"{numbers[i]:>2} ", "dim"),
                (name, LOOKS["faint"] if row["baseline"] else ""),
            ]
            for column, (n_figure, n_interval) in zip(columns, widths, strict=False):
                entry = column[dataset][i]
                line.append(("  " + (entry.mark or " "), ""))
                line.append((entry.text.rjust(n_figure - 1), LOOKS[entry.look]))
                ends = f"{entry.low}–{entry.high}" if entry.low and n_interval else ""
                line.append((" " + ends.ljust(n_interval), "dim"))
            yield line


def _beside(widths: Sequence[tuple[int, int]]) -> int:
    """The width of the scores beside the names."""
    return sum(2 + n_figure + 1 + n_interval for n_figure, n_interval in widths)


def _widths(entries: Sequence[Entry]) -> tuple[int, int]:
    """The width of the figures with their mark, and that of their intervals."""
    return (
        1 + max(cell_len(entry.text) for entry in entries),
        max(cell_len(f"{entry.low}–{entry.high}") if entry.low else 0 for entry in entries),
    )


def _title(dataset: str, rows: list[Record], rank: Shown, width: int) -> Line:
    """A dataset's name, its splits, and how many models tie for the best, as far as they fit."""
    n_tied = sum(
        bool(row[f"{rank.name}_tied_with_best"]) and rank.name not in row["below_baseline"]
        for row in rows
    )
    parts = [split_in_words(rows), f"{n_tied} tied" if n_tied > BEST else ""]
    title, line = cut(dataset, width), ""
    for part in filter(None, parts):
        if cell_len(f"{title}{line} · {part}") <= width:
            line += f" · {part}"
    return [(title, "bold"), (line, "dim")]
