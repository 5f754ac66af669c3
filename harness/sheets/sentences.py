"""The verdict in words: three sentences, each with a label."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from harness.analysis.ranking import MISSING
from harness.analysis.verdict import FASTER
from harness.sheets.figures import score
from harness.words import listed, plural

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.analysis.verdict import Verdict

NAMED = 3
"""The most models that the verdict names as tied."""


class Sentence(NamedTuple):
    """A label, such as ``Best``, and what follows it."""

    label: str
    text: str


def sentences(verdict: Verdict) -> list[Sentence]:
    """The best model, the best for its time, and what failed."""
    told = [Sentence("Best", _best(verdict))]
    if verdict.leader and verdict.bargain and verdict.leads:
        told.append(Sentence("If time matters", _bargain(verdict)))
    return [*told, Sentence("Failed", _failed(verdict))]


def _best(verdict: Verdict) -> str:
    several = len(verdict.datasets) > 1
    if verdict.leader is None:
        where = " on every dataset" if several else ""
        return f"none, because no model completed every repeat{where}."
    name = verdict.rank.name
    where = f"over {len(verdict.datasets)} datasets" if several else f"on {verdict.datasets[0]}"
    role = " (a baseline, which ignores the features)" * (verdict.leader in verdict.baselines)
    figure = f"{'mean ' * several}{name} {score(verdict.mean)}"
    if not math.isnan(verdict.low):
        figure += f" (95% interval {score(verdict.low)} to {score(verdict.high)})"
    return f"{verdict.leader}{role}, {figure} {where}{_ahead(verdict)}."


def _ahead(verdict: Verdict) -> str:
    """How the best model stands to the others."""
    if not verdict.leads:
        return ""
    second = verdict.leads[0]
    known = not math.isnan(second.low)
    interval = f" (95% interval {score(second.low)} to {score(second.high)})" if known else ""
    whom = f"{'the baseline ' * (second.over in verdict.baselines)}{second.over}"
    lead = f"{score(second.gain)} ahead of {whom}{interval}"
    if not second.tested:
        return f", {lead}; this difference is not tested"
    if not verdict.tied:
        alone = len(verdict.leads) == 1
        return (
            f", significantly {lead}" if alone else f", significantly ahead of all others; {lead}"
        )
    ignorant = [name for name in verdict.tied if name in verdict.baselines]
    others = [name for name in verdict.tied if name not in verdict.baselines]
    ties = [_joined(others)] if others else []
    if ignorant:
        s = "s" if len(ignorant) > 1 else ""
        ties.append(f"{'even ' if others else ''}the baseline{s} {_joined(ignorant)}")
    return f", tied with {' and '.join(ties)}"


def _joined(names: Sequence[str]) -> str:
    """The first names, and how many more there are.

    >>> _joined(["a"]), _joined(["a", "b", "c"]), _joined(["a", "b", "c", "d", "e"])
    ('a', 'a, b and c', 'a, b, c and 2 more')
    """
    if len(names) > NAMED or len(names) == 1:
        return listed(names, NAMED)
    return f"{', '.join(names[:-1])} and {names[-1]}"


def _bargain(verdict: Verdict) -> str:
    bargain, name = verdict.bargain, verdict.rank.name
    assert bargain is not None
    if bargain.name == verdict.leader:
        return f"{bargain.name}, too; no model of similar {name} trains {FASTER:g} times as fast."
    times = f"{bargain.times_faster:.{0 if bargain.times_faster >= 3 else 1}f}"
    return (
        f"{bargain.name} ({score(bargain.mean)}) trains {times} times as fast as {verdict.leader}."
    )


def _failed(verdict: Verdict) -> str:
    trials = plural(verdict.n_trials, "trial")
    failed = {status: n for status, n in verdict.statuses.items() if status != MISSING}
    n_missing = verdict.statuses.get(MISSING, 0)
    pairs = plural(verdict.n_skipped, "model-dataset pair")
    skipped = f"; {pairs} skipped" if verdict.n_skipped else ""
    if not verdict.statuses:
        return f"nothing; all {trials} are ok{skipped}."
    counts = ", ".join(f"{count} {status}" for status, count in failed.items())
    told = f"{sum(failed.values())} of {trials}" if failed else "nothing"
    if set(failed) - {"failed"}:
        told += f" ({counts})"
    missing = f"; {n_missing} of {trials} have not run" if n_missing else ""
    return f"{told}{missing}{skipped}."
