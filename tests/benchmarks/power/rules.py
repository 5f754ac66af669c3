"""Decisions of other rules on the same measurements, the seconds per call of each block.

A process is timed in blocks of 10 ms or one call; a block is these rules' sample or round.
"""

from __future__ import annotations

from statistics import fmean, median
from typing import TYPE_CHECKING, TypeAlias

from scipy import stats

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from benchmarks.power.tracefile import Line

    Blocks: TypeAlias = tuple[Sequence[float], Sequence[float]]

FACTOR = 1.05


def mean_rule(blocks: Blocks) -> bool:
    """pytest-benchmark's ``--benchmark-compare-fail=mean:5%``."""
    a, b = blocks
    return fmean(b) > FACTOR * fmean(a)


def mann_whitney(blocks: Blocks) -> bool:
    """asv's rule: a two-sided p-value below .002, and medians differing by more than the factor."""
    a, b = blocks
    p_value = float(stats.mannwhitneyu(b, a, alternative="two-sided").pvalue)
    return p_value < 0.002 and median(b) > FACTOR * median(a)


def welch(blocks: Blocks) -> bool:
    """Welch's t-test, two-sided at 5%, and a larger mean."""
    a, b = blocks
    p_value = float(stats.ttest_ind(b, a, equal_var=False).pvalue)
    return p_value < 0.05 and fmean(b) > fmean(a)


def pooled(line: Line, processes: int | None) -> Blocks:
    """Blocks of the first processes, or all, of each side, joined to one sample per side."""
    a, b = ([value for blocks in side[:processes] for value in blocks] for side in line["blocks"])
    return a, b


RULES: dict[str, Callable[[Line], bool]] = {
    "harness ab": lambda line: bool(line["verdict"] == "slower"),
    "pytest-benchmark, mean:5%, one process each": lambda line: mean_rule(pooled(line, 1)),
    "Mann-Whitney at .002 with 5%, one process each": lambda line: mann_whitney(pooled(line, 1)),
    "Mann-Whitney at .002 with 5%, two processes each, as asv has it": lambda line: mann_whitney(
        pooled(line, 2)
    ),
    "Mann-Whitney at .002 with 5%, all processes pooled": lambda line: mann_whitney(
        pooled(line, None)
    ),
    "Welch's t at 5%, one process each": lambda line: welch(pooled(line, 1)),
    "Welch's t at 5%, all processes pooled": lambda line: welch(pooled(line, None)),
}
"""The rules by name; each decides whether a comparison is slower."""
