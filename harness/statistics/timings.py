"""Figures of timings: samples that are grouped by process, and the processes are the unit."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

FEWEST = 3
"""Processes without which nothing is reported."""

TIGHT, TIGHT_FROM = 0.02, 5
"""Half the width of an interval, as a part of the median, at which no more processes are asked, and
how many there must be for that. Who stops as soon as an interval is narrow stops too often where it
is so by chance: with three, 95% intervals hold 91% of the time, with five 93% or more (simulated:
processes that differ by 1 to 10%)."""


@dataclass(frozen=True, slots=True)
class Summary:
    """Robust figures of samples that are grouped by process, in the samples' unit.

    Args:
        median: of the processes' medians.
        minimum: of all samples.
        third_quartile: median of the processes' third quartiles.
        low: lower end of the 95% interval for the processes' geometric mean, or the median where
            that is lower: where processes are of two kinds, it may be.
        high: its upper end, likewise.
        n_processes: how many there were.
        n_samples: in all of them.
    """

    median: float
    minimum: float
    third_quartile: float
    low: float
    high: float
    n_processes: int
    n_samples: int


def summarise(samples: Sequence[Sequence[float]]) -> Summary:
    """Figures of samples, a sequence a process, none of them empty.

    The interval is Student's t of the logarithms of the processes' medians: processes differ by
    factors. One process has no interval: it is NaN.
    """
    medians = np.array([median(process) for process in samples])
    low, high = interval(medians)
    middle = float(np.median(medians))
    return Summary(
        median=middle,
        minimum=min(min(process) for process in samples),
        third_quartile=float(np.median([np.quantile(process, 0.75) for process in samples])),
        low=min(low, middle) if len(samples) > 1 else low,
        high=max(high, middle) if len(samples) > 1 else high,
        n_processes=len(samples),
        n_samples=sum(len(process) for process in samples),
    )


CLEAR = 0.2
"""Part of a fit that its epochs beyond the first must take for their time to be told."""


def epochs_of(
    fit: Mapping[str, Any], once: Mapping[str, Any] | None, epochs: float
) -> tuple[tuple[float, ...], ...]:
    """Seconds an epoch, in each process; nothing of a process that does not tell.

    Where a fit of one epoch was timed beside, what the others add to it, which does not depend on
    how many they are. A process does not tell where that is less than `CLEAR` of the fit: where
    something else kept the machine busy, or always, because the epochs are too few. If that is so
    in half of the processes, or fewer than `FEWEST` are left, none does.

    Args:
        fit: its ``status`` and ``samples``.
        once: the like of a fit of one epoch, if there is one.
        epochs: of the fit.
    """
    if fit["status"] != "ok":
        return ()
    if once is None or epochs <= 1 or len(once["samples"]) != len(fit["samples"]):
        return tuple(tuple(s / epochs for s in process) for process in fit["samples"])
    fits, ones = (tuple(map(median, kind["samples"])) for kind in (fit, once))
    found = tuple(
        ((whole - one) / (epochs - 1),) if whole - one >= CLEAR * whole else ()
        for whole, one in zip(fits, ones, strict=True)
    )
    n = sum(map(len, found))
    return found if n >= FEWEST and 2 * n > len(found) else ()


def interval(medians: np.ndarray[Any, np.dtype[np.float64]]) -> tuple[float, float]:
    """Ends of the 95% interval of the processes' geometric mean; NaN for one process."""
    n = len(medians)
    if n < 2:
        return math.nan, math.nan
    from scipy.stats import t  # half a second to import, and workers have no use for it

    logs = np.log(medians)
    half = float(t.ppf(0.975, n - 1)) * float(logs.std(ddof=1)) / math.sqrt(n)
    return math.exp(logs.mean() - half), math.exp(logs.mean() + half)


def is_tight(samples: Sequence[Sequence[float]]) -> bool:
    """Whether more processes would tell little: the interval is within `TIGHT` of the median."""
    if len(samples) < TIGHT_FROM:
        return False
    summary = summarise(samples)
    return summary.high - summary.low <= 2 * TIGHT * summary.median


def ratio(these: Sequence[Sequence[float]], those: Sequence[Sequence[float]]) -> float:
    """How many times longer these take than those, which were measured in the same processes.

    The median over processes of the quotient of medians: what slows a process slows both. Where one
    of them is missing in some process, the quotient of the medians over processes.
    """
    if len(these) != len(those):
        return median(map(median, these)) / median(map(median, those))
    return median(quotient for (quotient,) in quotients(these, those))


def quotients(
    these: Sequence[Sequence[float]], those: Sequence[Sequence[float]]
) -> tuple[tuple[float], ...]:
    """How many times longer these take than those, in each process that tells both.

    Nothing where they were not measured in the same processes.
    """
    if len(these) != len(those):
        return ()
    pairs = zip(these, those, strict=True)
    return tuple((median(a) / median(b),) for a, b in pairs if a and b)
