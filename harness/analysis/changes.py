"""What changed from one side to the other, a row a measure, and what a script should make of it."""

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
"""Pairs whose spread says next to nothing."""

FINE, WORSE, USAGE, UNDECIDED, NOTHING = 0, 1, 2, 3, 4
"""Exit statuses."""


@dataclass(frozen=True, slots=True)
class Row:
    """One measure on two sides.

    Args:
        measure: ``softmax``, ``fit``, ``predict`` and so on, or a score.
        subject: kernel or model.
        case: dataset, or shape and type.
        device: its name.
        base: of the first side: seconds, or the score.
        new: of the second.
        verdict: what can be said.
        change: for times new/base - 1, for scores new - base.
        low: lower end of its interval.
        high: its upper end.
        visible: the smallest change that could have been seen.
        n: pairs, processes or repeats that it rests on.
        note: what else is to be said, such as why there is nothing.
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

    @property
    def timed(self) -> bool:
        """Whether it is a time, in seconds, whose change is a part."""
        return self.measure not in SCORES


SCORES = ("accuracy", "likelihood", "nll", "brier")


def status(rows: Sequence[Row], *, undecided_passes: bool = False) -> int:
    """Exit status: slower or worse, nothing measured, undecided, or fine.

    >>> status([])
    4
    """
    verdicts = {row.verdict for row in rows}
    if verdicts & set(BAD):
        return WORSE
    if not verdicts & set(JUDGED):
        return NOTHING
    return UNDECIDED if "undecided" in verdicts and not undecided_passes else FINE


def summary(rows: Iterable[Row]) -> str:
    """Such as ``1 slower, 2 same``."""
    counts = Counter(row.verdict for row in rows)
    return ", ".join(f"{counts[verdict]} {verdict}" for verdict in ORDER if counts[verdict])


def rows_of(outcomes: Iterable[TaskResult], *, budget: float, alpha: float) -> list[Row]:
    """What measuring two sides in pairs found out.

    Args:
        outcomes: of `harness.versions.pairs.compare`.
        budget: that it was held against.
        alpha: of the whole.
    """
    from statistics import median

    from harness.statistics.verdicts import needed, smallest_visible

    found = []
    outcomes = list(outcomes)
    for outcome in outcomes:
        change, n = outcome.change, len(outcome.log_ratios)
        base, new = (median(side) if side else math.nan for side in outcome.seconds)
        verdict: RowVerdict = "undecided"
        note = ""
        if any(outcome.faults):
            verdict, note = _fault(outcome)
        elif change is None:
            note = "the time was up before a pair was finished"
        else:
            verdict = change.verdict
            if verdict == "undecided":
                enough = needed(change, budget, alpha, among=len(outcomes))
                note = _it_would_take(n, enough)
        row = Row(*outcome.task.key, base, new, verdict, n=n, note=note)
        if change is not None:
            row = replace(
                row,
                # As the pairs have it; the sides' own medians may say otherwise by their noise.
                new=row.base * math.exp(change.effect),
                change=math.expm1(change.effect),
                low=math.expm1(change.low) if math.isfinite(change.low) else -math.inf,
                high=math.expm1(change.high),
                visible=math.expm1(smallest_visible(outcome.log_ratios, change.level)),
            )
        found.append(row)
    return found


def _it_would_take(n: int, enough: int | None) -> str:
    """What would decide it, in a few words, where so many pairs were measured."""
    from harness.statistics.verdicts import LOOKS

    if n < FEW:
        return "too few pairs to say how many would tell; give more --time"
    if enough is None:
        return "more pairs may not tell"
    if enough > LOOKS[-1]:
        return f"about {enough} pairs would tell, {LOOKS[-1]} are the most; allow a larger --budget"
    return f"about {enough} pairs would tell"


def _fault(outcome: TaskResult) -> tuple[RowVerdict, str]:
    """What to call it where a side could not do its work."""
    (first, second), (no_base, no_new) = outcome.faults, outcome.missing
    if first and second:
        return "not judged", first if first == second else f"{first}; {second}"
    if first:
        return ("only new", first) if no_base else ("not judged", f"the base fails: {first}")
    return ("only base", second) if no_new else ("failed", second)
