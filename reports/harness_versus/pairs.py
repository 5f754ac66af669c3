"""The report ``versus``: two models compared by dataset, or all pairs of several models."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from itertools import repeat
from typing import TYPE_CHECKING, Any, TypeAlias

import pandas as pd
from rich import box
from rich.console import Group
from rich.table import Table as RichTable
from rich.text import Text
from tabulate import tabulate

from harness import UsageError
from harness.analysis import two_models
from harness.analysis.shown import titles as titles_of
from harness.analysis.two_models import least_p
from harness.sheets.texts import frame_csv, markdown_text
from harness.statistics.contests import FEWEST
from harness.statistics.scores import LEVEL
from harness.words import listed, p_value

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator, Mapping, Sequence

    from rich.console import RenderableType

    from harness import Frames

    Record: TypeAlias = dict[Hashable, Any]
    """A row of a comparison, as pandas gives it: names and numbers."""


@dataclass(frozen=True, slots=True)
class PrintedTable:
    """A table to print.

    Args:
        title: shown above the table.
        heads: heads of the columns; the first column holds names.
        rows: rows of texts.
        clear: for each row, whether its difference is significant.
    """

    title: str
    heads: tuple[str, ...]
    rows: list[tuple[str, ...]]
    clear: tuple[bool, ...] = ()


def tables(
    frames: Frames, models: Sequence[str], rope: float, *, ranks: bool
) -> dict[str, pd.DataFrame]:
    """The comparison as DataFrames: two models by dataset and over all datasets, or all pairs.

    Args:
        frames: a run's frames.
        models: names or globs; if empty, all models except the baselines.
        rope: differences of at most this count as equal.
        ranks: whether to add ranks and ratings; a note takes their place if there can be none.

    Raises:
        UsageError: the run has no such models, or fewer than two.
    """
    contenders = two_models.chosen_contenders(frames, models)
    single_pair = len(contenders) == 2
    by_name = {"pairs": two_models.matrix(frames, contenders, rope, turned=not single_pair)}
    if single_pair:
        duel = two_models.duel(frames, contenders[0], contenders[1], rope)
        by_name = {"datasets": duel} | by_name
    if ranks:
        try:
            by_name["standings"] = two_models.standings(frames, contenders)
        except UsageError as error:
            by_name["standings"] = pd.DataFrame({"note": [f"No ranks: {error}."]})
    return by_name


def render(
    frames: Frames, style: str, models: Sequence[str], rope: float, *, ranks: bool
) -> RenderableType:
    """The comparison in one of the formats; other arguments as for `tables`."""
    by_name = tables(frames, models, rope, ranks=ranks)
    if style == "csv":
        return frame_csv(_in_one(by_name))
    if style == "json":
        return json.dumps(
            {"rope": rope} | {name: _records(frame) for name, frame in by_name.items()}
        )
    pairs, names = by_name["pairs"], titles_of(frames)
    if "datasets" in by_name:
        printed = [*_duels(by_name["datasets"], names), _overall(pairs, names)]
        notes = [*_duel_notes(by_name["datasets"], rope), *_matrix_notes(pairs)]
    else:
        printed, notes = list(_matrices(pairs, names)), [_rope(rope), *_matrix_notes(pairs)]
    if "standings" in by_name:
        standings = by_name["standings"]
        if "note" in standings:
            notes += standings["note"].tolist()
        else:
            printed += _standings(standings, names)
            notes.append(RANKS)
    return _rich(printed, notes) if style == "rich" else _text(printed, notes, style)


NAMED = 4
"""The most datasets that a note names."""

NAME = 26
"""The most characters per line of a name in a table of pairs."""

MINUS = "\u2212"
"""Stands for LaTeX's minus until tabulate is done, which would escape LaTeX's."""

BELOW = "\n  "
"""Separates the names of a pair, which stand one below the other."""

COUNTED = "w/t/l: datasets on which the first model won, tied (see equal) and lost."
WILCOXON = (
    "p over datasets: Wilcoxon's exact signed-rank test{}; bold below 5%. better, equal, worse: "
    "probabilities for the first model, by the Bayesian signed-rank test."
)
RANKS = (
    "Mean ranks and Elo ratings depend on which models take part. Intervals: bootstrap over the "
    "datasets. 400 Elo points: odds of ten to one to be better on a dataset."
)
UNDEFINED = "not defined: the score has no value in some repeat; `harness report` tells why."
LACKING = (
    "If a model lacks repeats, the difference is over the repeats that both completed, without "
    "interval and p."
)
ONCE = (
    "With one repeat, p and the probabilities hold for these fits only. More repeats (-r) show "
    "how much scores vary with the fit and the split."
)


def _duels(duels: pd.DataFrame, titles: Mapping[str, str]) -> Iterator[PrintedTable]:
    for score, rows in duels.groupby("score", sort=False):
        first, second = rows["first"].iloc[0], rows["second"].iloc[0]
        yield PrintedTable(
            f"{titles[str(score)]}: {first} − {second}",
            ("dataset", "difference", "95% interval", "p", "better", "equal", "worse"),
            [
                (row["dataset"], *_difference(row), p_value(row["p_value"]), *_chances(row))
                for row in rows.to_dict("records")
            ],
            _clear(rows),
        )


def _difference(row: Record) -> tuple[str, str]:
    """A mean difference and its interval, or why there is none."""
    if not row["repeats"]:
        return row["method"] if row["total"] else "no scores", ""
    if math.isnan(row["difference"]):
        return "not defined", ""
    interval = _interval(row["low"], row["high"])
    return _signed(row["difference"]), interval or f"{row['repeats']} of {row['total']} repeats"


def _overall(pairs: pd.DataFrame, titles: Mapping[str, str]) -> PrintedTable:
    """The table of a single pair over all datasets, with a row for each score."""
    first, second = pairs["first"].iloc[0], pairs["second"].iloc[0]
    return PrintedTable(
        f"{first} − {second}, over {_datasets(pairs)}",
        ("score", "difference", "w/t/l", "p", "better", "equal", "worse"),
        [
            (BELOW.join(filter(None, (titles[row["score"]], row["note"]))), *_over_all(row))
            for row in pairs.to_dict("records")
        ],
        _clear(pairs),
    )


def _over_all(row: Record) -> tuple[str, ...]:
    counts = f"{row['wins']}/{row['ties']}/{row['losses']}"
    return _signed(row["difference"]), counts, p_value(row["p_value"]), *_chances(row)


def _clear(rows: pd.DataFrame) -> tuple[bool, ...]:
    return tuple((rows["p_value"] < LEVEL).tolist())


def _matrices(pairs: pd.DataFrame, titles: Mapping[str, str]) -> Iterator[PrintedTable]:
    for score, rows in pairs.groupby("score", sort=False):
        if rows["note"].str.contains("a p-value needs").all():
            rows = rows.assign(note="")  # a note below the tables tells it once
        yield PrintedTable(
            f"{titles[str(score)]}: first − second, over {_datasets(rows)}",
            ("pair", "difference", "w/t/l", "p", "better", "equal", "worse"),
            [
                (
                    BELOW.join(filter(None, (row["first"], row["second"], row["note"]))),
                    *_over_all(row),
                )
                for row in rows.to_dict("records")
            ],
            _clear(rows),
        )


def _datasets(rows: pd.DataFrame) -> str:
    least, most = rows["datasets"].min(), rows["datasets"].max()
    span = str(most) if least == most else f"{least} to {most}"
    return f"{span} dataset{'s' if most != 1 else ''}"


def _standings(rated: pd.DataFrame, titles: Mapping[str, str]) -> Iterator[PrintedTable]:
    for score, rows in rated.groupby("score", sort=False):
        yield PrintedTable(
            f"{titles[str(score)]}: ranks and ratings",
            ("model", "mean rank", "95% interval", "Elo", "95% interval"),
            [
                (
                    row["model"],
                    f"{row['mean_rank']:.2f}",
                    f"{row['rank_low']:.2f} to {row['rank_high']:.2f}",
                    f"{row['elo']:.0f}",
                    f"{row['elo_low']:.0f} to {row['elo_high']:.0f}",
                )
                for row in rows.to_dict("records")
            ],
        )


def _duel_notes(duels: pd.DataFrame, rope: float) -> list[str]:
    """Notes on how to read a comparison of two models; methods by dataset if there are several."""
    judged = duels[duels["p_value"].notna()]
    methods = judged.groupby("method", sort=False)["dataset"].unique()
    method_texts = [
        f"{method}" + (f" ({listed(names, NAMED)})" if len(methods) > 1 else "")
        for method, names in methods.items()
    ]
    notes = [_rope(rope)]
    if method_texts:
        notes.append(
            f"Intervals and p of single datasets: {', '.join(method_texts)}; bold below 5%."
        )
    known = duels["difference"].notna()
    if (known & duels["low"].isna()).any():
        notes.append(LACKING)
    if ((duels["repeats"] > 0) & ~known).any():
        notes.append(UNDEFINED)
    if (judged["total"] == 1).any():
        notes.append(ONCE)
    return notes


def _matrix_notes(pairs: pd.DataFrame) -> list[str]:
    """Notes on how to read pairs over all datasets."""
    n_scores = pairs["score"].nunique()
    several = len(pairs) > n_scores
    notes = [COUNTED]
    if pairs["p_value"].notna().any():
        notes.append(
            WILCOXON.format(", corrected for the number of pairs (Holm)" if several else "")
        )
    smallest_p = least_p(pairs)
    if smallest_p >= LEVEL:
        notes.append(
            "With this many pairs on so few datasets no difference can be significant (smallest "
            f"possible p: {p_value(smallest_p)}). Choose fewer models (-m), or run more datasets."
        )
    n_untested = len(pairs.loc[pairs["note"] != ""]) // n_scores
    if n_untested:
        which = (
            f"for {n_untested} of {len(pairs) // n_scores} pairs" if several else "over datasets"
        )
        defined = (
            " and on which the score is defined"
            if pairs["note"].str.contains("is not defined").any()
            else ""
        )
        notes.append(
            f"No p {which}: a pair needs at least {FEWEST} datasets that both models "
            f"completed{defined}."
        )
    return notes


def _rope(rope: float) -> str:
    return (
        f"equal: likelihoods exp(−NLL) that differ by at most {100 * rope:g}%, other scores by at "
        f"most {rope:g}; --rope sets this."
    )


def _signed(value: float) -> str:
    if math.isnan(value):
        return ""
    text = f"{value:+.3f}".replace("0.", ".", 1)
    return text if text.strip("+-.0") else ".000"


def _interval(low: float, high: float) -> str:
    if math.isnan(low):
        return ""
    ends = [
        "∞" if end == math.inf else "-∞" if end == -math.inf else _signed(end)
        for end in (low, high)
    ]
    return f"{ends[0]} to {ends[1]}"


def _chances(row: Record) -> tuple[str, str, str]:
    return tuple(_chance(row[name]) for name in ("better", "equivalent", "worse"))  # type: ignore[return-value]  # of three


def _chance(value: float) -> str:
    """A probability in percent; only certainty is written as 0% or 100%.

    >>> [_chance(p) for p in (0.0, 0.004, 0.5, 0.996, 1.0)]
    ['0%', '<1%', '50%', '>99%', '100%']
    """
    if math.isnan(value):
        return ""
    if 0 < value < 0.005:
        return "<1%"
    return ">99%" if 0.995 <= value < 1 else f"{100 * value:.0f}%"


def _in_one(by_name: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """The tables in one, with their names in a column ``table``; missing cells are empty."""
    parts = [frame.assign(table=name) for name, frame in by_name.items()]
    joined = pd.concat(parts, ignore_index=True)
    return joined[["table", *(name for name in joined.columns if name != "table")]]


def _records(frame: pd.DataFrame) -> list[Record]:
    return [
        {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in row.items()}
        for row in frame.to_dict("records")
    ]


def _rich(tables: Sequence[PrintedTable], notes: Sequence[str]) -> Group:
    parts: list[RenderableType] = []
    for table in tables:
        heads = table.heads
        rich_table = RichTable(
            title=table.title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD,
            pad_edge=False, padding=(0, 1, 0, 0),
        )  # fmt: skip
        for head in heads:
            is_name = head == heads[0]
            rich_table.add_column(
                head, justify="left" if is_name else "right", overflow="fold", no_wrap=not is_name
            )
        for row, clear in zip(table.rows, table.clear or repeat(False), strict=False):
            name = _folded(row[0]) if heads[0] == "pair" else row[0]
            rich_table.add_row(name, *row[1:], style="bold" if clear else "")
        parts.append(rich_table)
    return Group(*parts, *(Text(note, style="dim") for note in notes))


def _folded(pair: str) -> str:
    r"""A pair folded into lines of at most `NAME` characters, if possible after hyphens or commas.

    >>> print(_folded("sklearn-hist-gradient-boosting\n  prior"))
    sklearn-hist-gradient-
     boosting
      prior
    """
    lines = []
    for line in pair.split("\n"):
        indent = line[: len(line) - len(line.lstrip())]
        left = line
        while len(left) > NAME and (cut := max(left.rfind(c, 0, NAME) for c in "-,=[ ")) > 9:
            lines.append(left[: cut + 1])
            left = f"{indent} {left[cut + 1 :]}"
        lines.append(left)
    return "\n".join(lines)


def _text(tables: Sequence[PrintedTable], notes: Sequence[str], style: str) -> str:
    parts = []
    for table in tables:
        between = " − " if table.heads[0] == "pair" else ": "
        lines = [(_in_line(row[0], between), *row[1:]) for row in table.rows]
        right = ("left", *("right" for _ in table.heads[1:]))
        options: Any = {"disable_numparse": True, "colalign": right if lines else None}
        if style == "markdown":
            lines = [tuple(map(markdown_text, line)) for line in lines]
            body = tabulate(lines, table.heads, tablefmt="pipe", **options)
            parts.append(f"**{markdown_text(table.title)}**\n\n{body}\n\n")
        else:
            lines = [
                (name, *(cell.replace("-", MINUS) for cell in cells)) for name, *cells in lines
            ]
            body = tabulate(lines, table.heads, tablefmt="latex_booktabs", **options)
            parts.append(f"% {table.title}\n{body.replace(MINUS, '$-$')}\n\n")
    written = (f"{markdown_text(n)}\n\n" if style == "markdown" else f"% {n}\n" for n in notes)
    return "".join([*parts, *written])


def _in_line(cell: str, between: str) -> str:
    """The lines of a first cell as one line."""
    first, *rest = cell.split(BELOW)
    return f"{first}{between}{'; '.join(rest)}" if rest else first
