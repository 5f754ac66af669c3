"""What other rules call slower, on the same measurements: of each block, its seconds per call.

A process is timed in blocks of 10 ms or a call; what these rules call a sample or round is a block.
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
    """asv's: a two-sided p-value below .002, and medians that differ by more than the factor."""
    a, b = blocks
    p_value = float(stats.mannwhitneyu(b, a, alternative="two-sided").pvalue)
    return p_value < 0.002 and median(b) > FACTOR * median(a)


def welch(blocks: Blocks) -> bool:
    """Welch's t, two-sided at 5%, and a larger mean."""
    a, b = blocks
    p_value = float(stats.ttest_ind(b, a, equal_var=False).pvalue)
    return p_value < 0.05 and fmean(b) > fmean(a)


def pooled(line: Line, processes: int | None) -> Blocks:
    """Blocks of the first processes of either side, or of all, as if they were one sample."""
    a, b = ([value for one in side[:processes] for value in one] for side in line["blocks"])
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
"""Whether a comparison is called slower."""
