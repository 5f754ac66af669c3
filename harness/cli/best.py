"""How ``harness report --best-of`` shows each dataset's best model."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

from harness.cli.changes import plain
from harness.errors import UsageError
from harness.terminal.console import out, say, write
from harness.untrusted import csv_text

if TYPE_CHECKING:
    import pandas as pd

NAMED = 2
"""Models that are named beside the best; JSON and CSV have all."""

HEADS = ("dataset", "best", "score", "95% interval", "not told apart from it")


def show(ranking: pd.DataFrame, score: str, style: str) -> None:
    """Print a line for each dataset: its best model, how good, and which are as good.

    Args:
        ranking: as the report ``tables`` has it.
        score: ``accuracy`` or ``likelihood``.
        style: ``rich``, ``markdown``, ``csv`` or ``json``.

    Raises:
        UsageError: no model has finished any dataset.
    """
    found = _best(ranking, score)
    if not found:
        raise UsageError("no model has finished a dataset; `harness report` tells why")
    if style == "json":
        write(json.dumps(found, indent=2))
    elif style == "csv":
        rows = ((row | {"tied": ", ".join(row["tied"])}).values() for row in found)
        write(csv_text(tuple(found[0]), rows))
    else:
        _print([_cells(row) for row in found], score, style)


def _best(ranking: pd.DataFrame, score: str) -> list[dict[str, Any]]:
    several = ranking["device"].nunique() > 1
    found = []
    for dataset, rows in ranking.groupby("dataset", sort=False):
        names = rows["model"] + (" @ " + rows["device"] if several else "")
        first = rows[rows[f"{score}_best"]]
        if first.empty:
            continue
        best = first.iloc[0]
        others = rows[f"{score}_tied_with_best"] & ~rows["baseline"].astype(bool)
        tied = names[others & (names != names[first.index[0]])]
        found.append(
            {
                "dataset": dataset,
                "model": names[first.index[0]],
                score: float(best[score]),
                "low": _known(best[f"{score}_low"]),
                "high": _known(best[f"{score}_high"]),
                "tied": tied.tolist(),
            }
        )
    return found


def _known(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    ends = [row["low"], row["high"]]
    interval = "" if None in ends else " to ".join(map(_share, ends))
    score = next(row[name] for name in ("accuracy", "likelihood") if name in row)
    tied, more = row["tied"][:NAMED], len(row["tied"]) - NAMED
    listed = ", ".join(tied) + (f" and {more} more" if more > 0 else "")
    return row["dataset"], row["model"], _share(score), interval, listed


def _share(value: float) -> str:
    return f"{value:.3f}".removeprefix("0")


def _print(lines: list[tuple[str, ...]], score: str, style: str) -> None:
    heads = [score if head == "score" else head for head in HEADS]
    if style == "markdown":
        from tabulate import tabulate

        cells = [tuple(map(plain, line)) for line in lines]
        write(tabulate(cells, heads, tablefmt="github", disable_numparse=True))
        return
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for head in heads:
        figures = head in (score, "95% interval")
        table.add_column(
            head, justify="right" if figures else "left", no_wrap=figures, overflow="fold"
        )
    for line in lines:
        table.add_row(*line)
    out().print(table)
    say("Last column: paired tests on the same splits (5%, corrected for all models).")
