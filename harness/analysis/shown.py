"""Which scores a run's tables and pictures show, and how they are tested."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.contract.own_scores import LIKELIHOOD, NLL, OWN
from harness.statistics.scores import Interval, interval, likelihood_interval

if TYPE_CHECKING:
    from harness.contract.values import Frames
    from harness.statistics.scores import Cell, RowScores, Score

USUAL = ("accuracy", LIKELIHOOD)
"""The scores that are shown if none is chosen; the likelihood ranks."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A score to show.

    Args:
        name: its name, and its column.
        score: the score that is tested in its place: the NLL for the likelihood.
        more_is_better: whether a larger value is better.
        low: the smallest possible value.
        high: the largest possible value.
    """

    name: str
    score: Score
    more_is_better: bool
    low: float
    high: float

    @property
    def label(self) -> str:
        """The name, and its direction unless more is better."""
        return self.name if self.more_is_better else f"{self.name} (less is better)"

    @property
    def title(self) -> str:
        """The tested score's name, and its direction unless more is better."""
        name = "NLL" if self.score == NLL else self.name
        upwards = self.more_is_better and self.name == self.score
        return name if upwards else f"{name} (less is better)"

    def mean(self, cell: Cell) -> float:
        """The mean over a contender's repeats; NaN without repeats."""
        values = cell.of(self.score)
        mean = float(values.mean()) if len(values) else math.nan
        return math.exp(-mean) if self.name == LIKELIHOOD else mean

    def interval(self, cell: Cell, rows: RowScores) -> Interval:
        """The mean's 95% interval."""
        ends = interval(cell, self.score, rows)
        return likelihood_interval(ends) if self.name == LIKELIHOOD else ends


def shown(frames: Frames) -> tuple[Shown, ...]:
    """The scores to show, in order."""
    return tuple(_shown(name, frames) for name in frames.metrics or USUAL)


def titles(frames: Frames) -> dict[Score, str]:
    """Titles of the tested scores, by their names."""
    return {each.score: each.title for each in shown(frames)}


def ranked_by(frames: Frames) -> Shown:
    """The score that ranks: the first that is chosen, else the likelihood."""
    return _shown((frames.metrics or (LIKELIHOOD,))[0], frames)


def _shown(name: str, frames: Frames) -> Shown:
    metric: Any = frames.scales[name] if name in frames.scales else OWN[name]
    score = NLL if name == LIKELIHOOD else name
    return Shown(name, score, metric.greater_is_better, metric.low, metric.high)
