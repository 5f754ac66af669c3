"""The report ``best``: each dataset's best model on one line, for a README."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from shlex import quote
from typing import TYPE_CHECKING

import pandas as pd
from rich import box
from rich.console import Group
from rich.table import Table
from tabulate import tabulate

from harness import UsageError
from harness.analysis import ranking
from harness.analysis.shown import USUAL
from harness.sheets.texts import csv_text, markdown_text
from harness.words import fixed, listed

if TYPE_CHECKING:
    from rich.console import RenderableType

    from harness import Frames

NAMED = 2
"""The most models that are named as tied with the best; JSON and CSV name all."""

HEADS = ("dataset", "best", "score", "95% interval", "not significantly different")


@dataclass(frozen=True, slots=True)
class Best:
    """A dataset's best model by a score.

    Args:
        dataset: name of the dataset.
        model: name of the best model.
        score: the model's score.
        low: lower bound of the score's interval; None without an interval.
        high: upper bound of the interval.
        tied: names of the models that are not significantly different from the best.
    """

    dataset: str
    model: str
    score: float
    low: float | None
    high: float | None
    tied: tuple[str, ...]

    def record(self, score: str) -> dict[str, object]:
        """The fields as JSON has them, with the score under its name."""
        ends = {"low": self.low, "high": self.high}
        names = {"dataset": self.dataset, "model": self.model}
        return {**names, score: self.score, **ends, "tied": list(self.tied)}

    def row(self, score: str) -> dict[str, object]:
        """The fields as a table has them, with the tied models in one cell."""
        return self.record(score) | {"tied": ", ".join(self.tied)}


def table(frames: Frames, score: str) -> pd.DataFrame:
    """A row for each dataset: its best model, the score, and the models tied with the best.

    Args:
        frames: a run's frames.
        score: ``accuracy``, ``likelihood`` or another metric that the frames show.

    Raises:
        UsageError: no model has finished any dataset, or the score has no value for any, or the
            frames do not show it.
    """
    return pd.DataFrame(best.row(score) for best in _best_models(frames, score))


def render(frames: Frames, style: str, score: str) -> RenderableType:
    """Each dataset's best model in one of the formats; other arguments as for `table`."""
    best_models = _best_models(frames, score)
    if style == "json":
        return json.dumps([best.record(score) for best in best_models], indent=2)
    if style == "csv":
        rows = [best.row(score) for best in best_models]
        return csv_text(tuple(rows[0]), (row.values() for row in rows))
    return _shown([_cells(best) for best in best_models], score, style)


def _best_models(frames: Frames, score: str) -> list[Best]:
    ranked = ranking.tables(frames)["ranking"]
    known = dict.fromkeys((*USUAL, *frames.metrics))
    if score not in known:
        raise UsageError(
            f"'{score}' is not among the scores shown, {', '.join(known)}; name it with --metric"
        )
    best_models = _best(ranked, score)
    if not best_models:
        if (ranked["status"] == "ok").any():
            raise UsageError(
                f"{score} has no value for any model of run {frames.run.id}; "
                f"`harness report {frames.run.id} --metric {quote(score)}` tells why"
            )
        raise UsageError("no model has finished a dataset; `harness report` tells why")
    return best_models


def _best(ranked: pd.DataFrame, score: str) -> list[Best]:
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
            Best(
                str(dataset),
                names[first.index[0]],
                float(best[score]),
                _known(best[f"{score}_low"]),
                _known(best[f"{score}_high"]),
                tuple(tied),
            )
        )
    return best_models


def _known(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _cells(best: Best) -> tuple[str, ...]:
    interval = ""
    if best.low is not None and best.high is not None:
        interval = f"{_share(best.low)} to {_share(best.high)}"
    return best.dataset, best.model, _share(best.score), interval, listed(best.tied, NAMED)


def _share(value: float) -> str:
    return fixed(value, 3)


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
        table,
        "Last column: models not significantly different from the best (paired tests on "
        "the same splits, 5%, corrected for the number of models).",
    )
