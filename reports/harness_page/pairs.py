"""The best models in pairs: a matrix of differences for each score, and a table of all pairs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, cast

from harness.analysis import two_models
from harness.analysis.shown import shown
from harness.sheets.grids import Grid, of_rows
from harness.statistics.contests import FEWEST
from harness.statistics.scores import LEVEL
from harness.words import fixed, p_value, plural

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pandas as pd

    from harness import Frames
    from harness.analysis.shown import Shown
    from harness.sheets.ranked import Record
    from harness_page.views import Field, Model

MODELS = 12
"""The most models that are compared in pairs: the best ones."""

UNFOLDED = 20
"""Up to this many models in the run, the matrix is unfolded: no click until the answer."""

LEVELS = 4
"""Steps of colour on either side of no difference."""

HEADS = ("first", "second", "difference", "won", "tied", "lost", "p")
HOW = (
    "Differences up to {rope} count as ties. P-values: Wilcoxon's signed-rank test over the "
    "datasets, corrected for the number of pairs (Holm)."
)
UNTESTED = "No p-values: a pair needs at least {needed} datasets that both models completed."
HOPELESS = (
    "Corrected for so many pairs on so few datasets, no p-value can be below {p}: this table "
    "cannot show significance."
)


class PairCell(NamedTuple):
    """A difference: its text, what it says in full, and its colour; empty on the diagonal."""

    text: str
    told: str = ""
    look: str = ""


@dataclass(frozen=True, slots=True)
class Matrix:
    """All pairs of some models by one metric.

    Args:
        metric: name of the metric.
        title: the score that is compared.
        summary: how many pairs differ significantly, and why there may be none.
        models: the models, the best first.
        unfolded: whether a reader sees the matrix without a click.
        cells: the row's model − the column's.
        grid: the same as a table.
    """

    metric: str
    title: str
    summary: str
    models: tuple[Model, ...]
    unfolded: bool
    cells: tuple[tuple[PairCell, ...], ...]
    grid: Grid


def matrices(frames: Frames, field: Field, names: Sequence[str]) -> Iterator[Matrix]:
    """A matrix for each metric; none with a single dataset or fewer than two models.

    Args:
        frames: the run.
        field: its models and datasets.
        names: the models, the best first.
    """
    own = [name for name in names if not field.models[name].baseline]
    if len(field.datasets) < 2 or len(own) < 2:
        return
    contenders = two_models.chosen_contenders(frames, [])
    by_name = {name: contender for contender, name in _names(field, contenders).items()}
    best = [name for name in own if name in by_name][:MODELS]
    pairs = two_models.matrix(
        frames, [by_name[name] for name in best], two_models.ROPE, turned=False, with_odds=False
    )
    for metric in shown(frames):
        by_metric = pairs[pairs["score"] == metric.score]
        yield _matrix(by_metric, metric, field, best, unfolded=len(own) <= UNFOLDED)


def _names(field: Field, contenders: Sequence[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """The page's name of each contender."""
    return {
        (model, device): next(
            name for name in (model, f"{model} @ {device}") if name in field.models
        )
        for model, device in contenders
    }


def _matrix(
    pairs: pd.DataFrame, metric: Shown, field: Field, names: Sequence[str], *, unfolded: bool
) -> Matrix:
    sign = 1 if metric.more_is_better and metric.name == metric.score else -1
    full = {model.name: name for name, model in field.models.items()}
    # The pairs' names lack the device if only one device takes part in them.
    full |= {name.partition(" @ ")[0]: name for name in names}
    rows = [
        row | {"first": full[row["first"]], "second": full[row["second"]]}
        for row in cast("list[Record]", pairs.to_dict("records"))
    ]
    by_pair = {(row["first"], row["second"]): row for row in rows}
    sizes = [abs(row["difference"]) for row in rows]
    largest = max((size for size in sizes if not math.isnan(size)), default=0.0)

    def cell(first: str, second: str) -> PairCell:
        turn = (second, first) in by_pair
        row = by_pair.get((second, first) if turn else (first, second))
        if row is None:
            return PairCell("")
        difference = -row["difference"] if turn else row["difference"]
        wins, losses = row["wins"], row["losses"]
        if turn:
            wins, losses = losses, wins
        known = not math.isnan(row["p_value"])
        told = (
            f"{field.models[first].short} − {field.models[second].short}: {metric.title} "
            f"{_signed(difference)}; won {wins}, tied {row['ties']}, lost {losses}; "
            + (f"p = {p_value(row['p_value'])}" if known else row["note"])
        )
        if math.isnan(difference):
            return PairCell("–", told)
        level = math.ceil(LEVELS * abs(difference) / largest - 1e-9) if largest else 0
        side = "up" if sign * difference > 0 else "down"
        look = f"{side}{level}" if level else ""
        if row["p_value"] < LEVEL:
            look += " strong"
        return PairCell(_signed(difference), told, look.strip())

    return Matrix(
        metric.name,
        metric.title,
        _summary(pairs, metric),
        tuple(field.models[name] for name in names),
        unfolded,
        tuple(tuple(cell(first, second) for second in names) for first in names),
        _grid(rows, metric, field),
    )


def _summary(pairs: pd.DataFrame, metric: Shown) -> str:
    judged = int(pairs["p_value"].notna().sum())
    if not judged:
        return UNTESTED.format(needed=FEWEST)
    smallest = two_models.least_p(pairs)
    if smallest >= LEVEL:
        return HOPELESS.format(p=p_value(smallest))
    n = int((pairs["p_value"] < LEVEL).sum())
    return f"{n} of {plural(judged, 'pair')} differ significantly in {metric.title}."


def _grid(rows: Sequence[Record], metric: Shown, field: Field) -> Grid:
    noted = any(row["note"] for row in rows)
    lines = [
        (
            *(field.models[row[name]].short for name in ("first", "second")),
            # Sorting and spreadsheets read the hyphen as a sign.
            _signed(row["difference"]).replace("−", "-"),
            *(str(row[name]) for name in ("wins", "ties", "losses")),
            p_value(row["p_value"]),
            *([row["note"]] if noted else []),
        )
        for row in rows
    ]
    heads = (*HEADS, "why no p") if noted else HEADS
    return of_rows(f"pairs-{metric.name}", f"All pairs by {metric.title}", heads, lines)


def _signed(value: float) -> str:
    if math.isnan(value):
        return ""
    sign = "−" if value < 0 else "+"
    return sign + (fixed(abs(value), 3) if abs(value) < 10 else f"{abs(value):.1f}")
