"""How ``harness report --versus`` shows who is better."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

from harness.cli.changes import plain
from harness.cli.console import out, write
from harness.statistics import LEVEL
from harness.versus import least_p

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pandas as pd

    from harness.values import Frames

    Table = tuple[str, tuple[str, ...], list[tuple[str, ...]]]

UNITS = {"accuracy": "accuracy", "nll": "NLL (less is better)"}


def show(frames: Frames, models: Sequence[str], rope: float, style: str, *, ranks: bool) -> None:
    """Print who is better: two models by dataset, more of them by pairs.

    Args:
        frames: of a run.
        models: names or globs; all but the baselines without.
        rope: differences of no more than this do not matter.
        style: ``rich``, ``markdown``, ``latex``, ``csv`` or ``json``.
        ranks: with ranks and ratings, too.

    Raises:
        UsageError: there are no such models, or too few.
    """
    from harness import versus

    contenders = versus.chosen(frames, models)
    if len(contenders) == 2:
        found = versus.duel(frames, contenders[0], contenders[1], rope)
        tables, notes = list(_duels(found)), _duel_notes(found, rope)
    else:
        found = versus.matrix(frames, contenders, rope)
        tables, notes = list(_matrices(found)), _matrix_notes(found, rope)
    rated = versus.standings(frames, contenders) if ranks else None
    if rated is not None:
        tables += _standings(rated)
        notes.append(RANKS)
    if style == "csv":
        write(found.to_csv(index=False))
        if rated is not None:
            write("\n" + rated.to_csv(index=False))
    elif style == "json":
        parts = {"rope": rope, "versus": _records(found)}
        write(json.dumps(parts | ({} if rated is None else {"standings": _records(rated)})))
    elif style == "rich":
        _print(tables, notes)
    else:
        _write(tables, notes, style)


NAME = 26
"""Characters of a name in a line of a matrix."""

MINUS = "\u2212"
"""A minus, until LaTeX has its own: tabulate would escape that."""

BELOW = "\n  "
"""Between the upper and the lower one of a pair."""

WILCOXON = (
    "p: Wilcoxon's signed ranks over datasets, exact, after Holm over the pairs; bold below 5%. "
    "better, equal, worse: of the first, by the Bayesian signed-rank test."
)
RANKS = (
    "Ranks and Elo ratings depend on who else takes part; their intervals are a bootstrap over the "
    "datasets. 400 points are odds of ten to one to be better on a dataset."
)


def _duels(found: pd.DataFrame) -> Iterator[Table]:
    for score, rows in found.groupby("score", sort=False):
        first, second = rows["first"].iloc[0], rows["second"].iloc[0]
        yield (
            f"{UNITS[str(score)]}: {first} less {second}",
            ("dataset", "difference", "95% interval", "p", "better", "equal", "worse"),
            [
                (
                    row["dataset"],
                    *(
                        (_signed(row["difference"]), _interval(row["low"], row["high"]))
                        if row["repeats"]
                        else (row["method"], "")
                    ),
                    _p(row["p_value"]),
                    *_chances(row),
                )
                for row in rows.to_dict("records")
            ],
        )


def _matrices(found: pd.DataFrame) -> Iterator[Table]:
    for score, rows in found.groupby("score", sort=False):
        yield (
            f"{UNITS[str(score)]}: the first less the second, over {_datasets(rows)}",
            ("pair", "difference", "w/t/l", "p", "better", "equal", "worse"),
            [
                (
                    BELOW.join(filter(None, (row["first"], row["second"], row["note"]))),
                    _signed(row["difference"]),
                    f"{row['wins']}/{row['ties']}/{row['losses']}",
                    _p(row["p_value"]),
                    *_chances(row),
                )
                for row in rows.to_dict("records")
            ],
        )


def _datasets(rows: pd.DataFrame) -> str:
    least, most = rows["datasets"].min(), rows["datasets"].max()
    span = str(most) if least == most else f"{least} to {most}"
    return f"{span} dataset{'s' if most != 1 else ''}"


def _standings(rated: pd.DataFrame) -> Iterator[Table]:
    for score, rows in rated.groupby("score", sort=False):
        yield (
            f"{UNITS[str(score)]}: ranks and ratings",
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


def _duel_notes(found: pd.DataFrame, rope: float) -> list[str]:
    methods = dict.fromkeys(found.loc[found["repeats"] > 0, "method"])
    return [
        _rope(rope),
        f"Intervals and p-values: {', '.join(methods) or 'none'}; each of its dataset alone.",
    ]


def _matrix_notes(found: pd.DataFrame, rope: float) -> list[str]:
    notes = [
        _rope(rope) + " w/t/l: datasets won, tied and lost by that measure.",
        WILCOXON,
    ]
    least = least_p(found)
    if least >= LEVEL:
        notes.append(
            f"After Holm, no p of so many pairs over so few datasets can be below {least:.3f}: "
            "choose fewer models with -m, or run more datasets."
        )
    silent = found.loc[found["note"] != ""]
    if len(silent):
        notes.append(
            f"Of {len(silent) // len(UNITS)} of {len(found) // len(UNITS)} pairs nothing is said "
            "but the means: fewer than six datasets, or some that one of them did not finish."
        )
    return notes


def _rope(rope: float) -> str:
    return (
        f"equal: a difference of at most {100 * rope:g}% in accuracy, or of the likelihood as a "
        "part, does not matter (--rope)."
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


def _p(value: float) -> str:
    if math.isnan(value):
        return ""
    return "<.001" if value < 0.0005 else f"{value:.3f}".removeprefix("0")


def _chances(row: Any) -> tuple[str, str, str]:
    return tuple(
        "" if math.isnan(row[name]) else f"{100 * row[name]:.0f}%"
        for name in ("better", "equivalent", "worse")
    )  # type: ignore[return-value]  # of three


def _records(frame: pd.DataFrame) -> list[dict[Any, Any]]:
    return [
        {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in row.items()}
        for row in frame.to_dict("records")
    ]


def _print(tables: Sequence[Table], notes: Sequence[str]) -> None:
    from rich import box
    from rich.table import Table as RichTable

    console = out()
    for title, heads, rows in tables:
        table = RichTable(
            title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD,
            pad_edge=False, padding=(0, 1, 0, 0),
        )  # fmt: skip
        for head in heads:
            is_name = head in ("dataset", "pair", "model")
            table.add_column(
                head, justify="left" if is_name else "right", overflow="fold", no_wrap=not is_name
            )
        for row in rows:
            p = row[heads.index("p")] if "p" in heads else ""
            clear = p.startswith("<") or (bool(p) and float(p) < LEVEL)
            name = _folded(row[0]) if heads[0] == "pair" else row[0]
            table.add_row(name, *row[1:], style="bold" if clear else "")
        console.print(table)
    for note in notes:
        console.print(note, style="dim")


def _folded(pair: str) -> str:
    r"""A pair in lines of `NAME` characters, broken after hyphens and commas rather than anywhere.

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


def _write(tables: Sequence[Table], notes: Sequence[str], style: str) -> None:
    from tabulate import tabulate

    for title, heads, rows in tables:
        lines = [tuple(_in_line(cell) for cell in row) for row in rows]
        right = ("left", *("right" for _ in heads[1:]))
        options: Any = {"disable_numparse": True, "colalign": right if rows else None}
        if style == "markdown":
            lines = [tuple(map(plain, line)) for line in lines]
            table = tabulate(lines, heads, tablefmt="pipe", **options)
            write(f"**{plain(title)}**\n\n{table}\n\n")
        else:
            lines = [
                (name, *(cell.replace("-", MINUS) for cell in cells)) for name, *cells in lines
            ]
            table = tabulate(lines, heads, tablefmt="latex_booktabs", **options)
            write(f"% {title}\n{table.replace(MINUS, '$-$')}\n\n")
    for note in notes:
        write(f"{plain(note)}\n\n" if style == "markdown" else f"% {note}")


def _in_line(cell: str) -> str:
    """A pair's lines as one."""
    first, *rest = cell.split(BELOW)
    return f"{first} less {'; '.join(rest)}" if rest else first
