"""Rows that compare two sides, one per measure, and the exit status they amount to."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from harness.versions.pairs import TaskResult

RowVerdict: TypeAlias = Literal[
    "slower", "worse", "failed", "undecided", "same", "faster", "better", "only base", "only new",
    "not judged",
]  # fmt: skip

BAD: tuple[RowVerdict, ...] = ("slower", "worse", "failed")
JUDGED: tuple[RowVerdict, ...] = (*BAD, "undecided", "faster", "better", "same")
ORDER: tuple[RowVerdict, ...] = (*JUDGED, "only base", "only new", "not judged")

FEW = 3
"""With fewer pairs, their spread is too uncertain to predict how many pairs would be enough."""

FINE, WORSE, USAGE, UNDECIDED, NOTHING = 0, 1, 2, 3, 4
"""Exit statuses."""


@dataclass(frozen=True, slots=True)
class ChangeRow:
    """One measure, compared between two sides.

    Args:
        measure: ``softmax``, ``fit``, ``predict`` and so on, or a score.
        subject: kernel or model.
        case: dataset, or shape and type.
        device: name of the device.
        base: value on the first side: seconds, or the score.
        new: value on the second side, in the same unit.
        verdict: the conclusion.
        change: new/base - 1 for times, new - base for scores.
        low: lower end of the change's confidence interval.
        high: upper end of that interval.
        visible: the smallest change that the measurement could have detected.
        n: number of pairs, processes or repeats behind the values.
        note: a remark, such as the reason why there is no verdict.
        metric: whether the measure is a metric that a plugin offers.
    """

    measure: str
    subject: str
    case: str
    device: str
    base: float
    new: float
    verdict: RowVerdict
    change: float = math.nan
    low: float = math.nan
    high: float = math.nan
    visible: float = math.nan
    n: int = 0
    note: str = ""
    metric: bool = False

    @property
    def timed(self) -> bool:
        """Whether the measure is a time in seconds, whose change is relative."""
        return not self.metric and self.measure not in SCORES


SCORES = ("accuracy", "likelihood", "nll", "brier")


def status(rows: Sequence[ChangeRow], *, undecided_passes: bool = False) -> int:
    """The exit status for these rows: `FINE`, `WORSE`, `UNDECIDED`, or `NOTHING` was judged.

    >>> status([])
    4
    """
    verdicts = {row.verdict for row in rows}
    if verdicts & set(BAD):
        return WORSE
    if not verdicts & set(JUDGED):
        return NOTHING
    return UNDECIDED if "undecided" in verdicts and not undecided_passes else FINE


def summary(rows: Iterable[ChangeRow]) -> str:
    """The number of rows per verdict, such as ``1 slower, 2 same``."""
    counts = Counter(row.verdict for row in rows)
    return ", ".join(f"{counts[verdict]} {verdict}" for verdict in ORDER if counts[verdict])


def change_rows(outcomes: Iterable[TaskResult], *, budget: float, alpha: float) -> list[ChangeRow]:
    """A row for each task that was measured in pairs.

    Args:
        outcomes: results of `harness.versions.pairs.compare_sides`.
        budget: relative slowdown that passes.
        alpha: error rate over all tasks together.
    """
    from statistics import median

    from harness.statistics.verdicts import pairs_needed, smallest_visible

    rows = []
    outcomes = list(outcomes)
    for outcome in outcomes:
        change, n = outcome.change, len(outcome.log_ratios)
        base, new = (median(side) if side else math.nan for side in outcome.seconds)
        verdict: RowVerdict = "undecided"
        note = ""
        if any(outcome.faults):
            verdict, note = _fault(outcome)
        elif change is None:
            note = "the time was up before both sides had been timed once"
        else:
            verdict = change.verdict
            if verdict == "undecided":
                enough = pairs_needed(change, budget, alpha, among=len(outcomes))
                note = _it_would_take(n, enough)
        row = ChangeRow(*outcome.task.key, base, new, verdict, n=n, note=note)
        if change is not None:
            row = replace(
                row,
                # The pairs' estimate: the quotient of the two medians is noisier and may disagree.
                new=row.base * math.exp(change.effect),
                change=math.expm1(change.effect),
                low=math.expm1(change.low) if math.isfinite(change.low) else -math.inf,
                high=math.expm1(change.high),
                visible=math.expm1(smallest_visible(outcome.log_ratios, change.level)),
            )
        rows.append(row)
    return rows


def _it_would_take(n: int, enough: int | None) -> str:
    """A note that says how many pairs would decide the verdict, after ``n`` pairs."""
    from harness.statistics.verdicts import LOOKS

    if n < FEW:
        return "too few pairs of timings to predict how many are needed; give more --time"
    if enough is None:
        return "more pairs of timings may not decide"
    if enough > LOOKS[-1]:
        return (
            f"about {enough} pairs of timings are needed, but {LOOKS[-1]} are the most; allow a "
            f"larger slowdown (--budget)"
        )
    return f"about {enough} pairs of timings are needed"


def _fault(outcome: TaskResult) -> tuple[RowVerdict, str]:
    """Verdict and note of a task that failed on at least one side."""
    (first, second), (no_base, no_new) = outcome.faults, outcome.missing
    if first and second:
        return "not judged", first if first == second else f"{first}; {second}"
    if first:
        return ("only new", first) if no_base else ("not judged", f"it fails in the base: {first}")
    return ("only base", second) if no_new else ("failed", second)
