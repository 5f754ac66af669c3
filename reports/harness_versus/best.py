"""The report ``best``: each dataset's best model on one line, for a README."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import pandas as pd
from rich import box
from rich.console import Group
from rich.table import Table
from tabulate import tabulate

from harness import UsageError
from harness.analysis import ranking
from harness.sheets.texts import csv_text, markdown_text
from harness.words import listed

if TYPE_CHECKING:
    from rich.console import RenderableType

    from harness import Frames

NAMED = 2
"""The most models that are named as tied with the best; JSON and CSV name all."""

HEADS = ("dataset", "best", "score", "95% interval", "not told apart from it")


def table(frames: Frames, score: str) -> pd.DataFrame:
    """A row for each dataset: its best model, the score, and the models tied with the best.

    Args:
        frames: a run's frames.
        score: ``accuracy`` or ``likelihood``.

    Raises:
        UsageError: no model has finished any dataset.
    """
    rows = (row | {"tied": ", ".join(row["tied"])} for row in _best_models(frames, score))
    return pd.DataFrame(rows)


def render(frames: Frames, style: str, score: str) -> RenderableType:
    """Each dataset's best model in one of the formats; other arguments as for `table`."""
    best_models = _best_models(frames, score)
    if style == "json":
        return json.dumps(best_models, indent=2)
    if style == "csv":
        rows = ((row | {"tied": ", ".join(row["tied"])}).values() for row in best_models)
        return csv_text(tuple(best_models[0]), rows)
    return _shown([_cells(row) for row in best_models], score, style)


def _best_models(frames: Frames, score: str) -> list[dict[str, Any]]:
    best_models = _best(ranking.tables(frames)["ranking"], score)
    if not best_models:
        raise UsageError("no model has finished a dataset; `harness report` tells why")
    return best_models


def _best(ranked: pd.DataFrame, score: str) -> list[dict[str, Any]]:
    several = ranked["device"].nunique() > 1
    best_models = []
    for dataset, rows in ranked.groupby("dataset", sort=False):
        names = rows["model"] + (" @ " + rows["device"] if several else "")
        first = rows[rows[f"{score}_best"]]
        if first.empty:
            continue
        best = first.iloc[0]
        others = rows[f"{score}_tied_with_best"] & ~rows["baseline"].astype(bool)
        tied = names[others & (names != names[first.index[0]])]
        best_models.append(
            {
                "dataset": dataset,
                "model": names[first.index[0]],
                score: float(best[score]),
                "low": _known(best[f"{score}_low"]),
                "high": _known(best[f"{score}_high"]),
                "tied": tied.tolist(),
            }
        )
    return best_models


def _known(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    ends = [row["low"], row["high"]]
    interval = "" if None in ends else " to ".join(map(_share, ends))
    score = next(row[name] for name in ("accuracy", "likelihood") if name in row)
    return row["dataset"], row["model"], _share(score), interval, listed(row["tied"], NAMED)


def _share(value: float) -> str:
    return f"{value:.3f}".removeprefix("0")


def _shown(lines: list[tuple[str, ...]], score: str, style: str) -> RenderableType:
    heads = [score if head == "score" else head for head in HEADS]
    if style == "markdown":
        cells = [tuple(map(markdown_text, line)) for line in lines]
        return str(tabulate(cells, heads, tablefmt="github", disable_numparse=True))
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for head in heads:
        figures = head in (score, "95% interval")
        table.add_column(
            head, justify="right" if figures else "left", no_wrap=figures, overflow="fold"
        )
    for line in lines:
        table.add_row(*line)
    return Group(
        table, "Last column: paired tests on the same splits (5%, corrected for all models)."
    )
