"""The site's pictures: bars beside figures, and the scores week by week."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from markupsafe import Markup

from harness.sheets.drawing import OTHERS, Drawing, beside, more, sheet, shortened
from harness.sheets.palette import look
from harness.sheets.style import settings
from harness.words import plural

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes

    from harness.analysis.ranking import Contender
    from harness_site.board import Board

CONTENDER = ("model", "device")
NAMED, DRAWN = 8, 60
"""The most series with a colour and a name, and the most of the others that are drawn."""

TICKS = 7
WIDTH, MIDDLE = 96, 5


def bar(value: float, low: float, high: float, span: tuple[float, float]) -> Markup:
    """A point on a line from the interval's low end to its high end; without an interval, a point.

    It is empty where there is no value. It is hidden from screen readers, which read the figures.
    """
    shape = ""
    if not math.isnan(value) and span[1] > span[0]:
        line = (
            "" if math.isnan(low) else f'<path d="M{_at(low, span)} {MIDDLE}H{_at(high, span)}"/>'
        )
        shape = f'{line}<circle cx="{_at(value, span)}" cy="{MIDDLE}" r="3"/>'
    return Markup(  # noqa: S704  # of numbers only
        f'<svg class="bar" viewBox="0 0 {WIDTH} {2 * MIDDLE}" aria-hidden="true">{shape}</svg>'
    )


def _at(score: float, span: tuple[float, float]) -> str:
    """Where a score stands in a bar."""
    share = (min(max(score, span[0]), span[1]) - span[0]) / (span[1] - span[0])
    return f"{3 + (WIDTH - 6) * share:.1f}"


def span_of(rows: Sequence[tuple[float, float, float]]) -> tuple[float, float]:
    """The range of figures with their intervals: value, low and high."""
    numbers = [number for row in rows for number in row if math.isfinite(number)]
    return (min(numbers), max(numbers)) if numbers else (0.0, 0.0)


def scores_by_week(board: Board) -> Drawing | None:
    """The mean scores at the end of each week; None if there are less than two weeks."""
    weeks = board.weeks
    if len(weeks) < 2:
        return None
    pairs = list(zip(*(board.standings[name].tolist() for name in CONTENDER), strict=True))
    lines = {pair: line for pair in pairs if any(map(math.isfinite, line := _line(board, pair)))}
    named = _named(board, lines)
    if not named:
        return None
    names = shortened(board.name(pair) for pair in named)
    x = np.array([week.monday.toordinal() for week in weeks], dtype=float)
    title = f"Mean {board.rank.label} at the end of each week"
    with settings():
        figure, axes = sheet(1, 1, width=8.6, height=3.9, title=title)
        ax: Axes = axes[0, 0]
        for week in weeks:
            if week.added:
                ax.axvline(week.monday.toordinal(), color=OTHERS["color"], lw=0.8, ls=(0, (1, 2)))
        others = [pair for pair in lines if pair not in named][:DRAWN]
        for pair in others:
            ax.plot(x, lines[pair], **OTHERS)
        handles = [
            ax.plot(x, lines[pair], label=names[board.name(pair)], ms=4, **look(i))[0]
            for i, pair in enumerate(named)
        ]
        _limits(ax, [lines[pair] for pair in named])
        shown = np.unique(np.linspace(0, len(weeks) - 1, TICKS).round().astype(int))
        ax.set_xticks(x[shown], [weeks[i].name for i in shown])
        ax.set_ylabel(f"mean {board.rank.name}")
        beside(
            figure,
            [*handles, *more(len(others), **OTHERS)],
            "Today's best models, and former leaders",
        )
    first, last = weeks[0], weeks[-1]
    added = [week for week in weeks if week.added]
    description = (
        f"The mean {board.rank.name} over the datasets of each week, from {first.name} to "
        f"{last.name}, of {plural(len(named), 'model')}: today's best, and former leaders. A line "
        "has gaps where the model had not completed every dataset."
    )
    if added:
        description += (
            " Dotted lines mark weeks that added datasets: means before and after are not "
            "comparable."
        )
    return Drawing(figure, title, description, board.history)


def _named(board: Board, lines: Mapping[Contender, object]) -> list[Contender]:
    """The contenders to name, in the order of the standings: the last leaders, and the best now."""
    baselines = set(board.standings.loc[board.standings["baseline"], "model"])
    leaders = dict.fromkeys(pair for week in reversed(board.weeks) for pair in week.leaders)
    candidates = dict.fromkeys([*list(leaders)[: NAMED // 2], *lines])
    chosen = [pair for pair in candidates if pair in lines and pair[0] not in baselines][:NAMED]
    return [pair for pair in lines if pair in chosen]


def _line(board: Board, contender: Contender) -> list[float]:
    """A contender's mean at the end of each week; NaN where it has none."""
    places = [board.places.get((week.name, *contender)) for week in board.weeks]
    return [float(place["mean"]) if place else math.nan for place in places]


def _limits(ax: Axes, lines: Sequence[Sequence[float]]) -> None:
    """Limit the axis of scores to the named lines, whatever the others do."""
    values = [value for line in lines for value in line if math.isfinite(value)]
    low, high = min(values), max(values)
    margin = 0.08 * (high - low) or 0.02
    ax.set_ylim(low - margin, high + margin)
