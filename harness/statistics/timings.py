"""Statistics of timings: samples are grouped by process, and processes are the sampling unit."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

FEWEST = 3
"""Processes that a reported figure needs."""

TIGHT, TIGHT_FROM = 0.02, 5
"""No further process is measured once half the interval's width is at most this share of the
median, with at least this number of processes. Stopping at a narrow interval stops too often at
intervals that are narrow by chance: with three processes, 95% intervals cover in 91% of cases, with
five in 93% or more (simulated, with processes that differ by 1 to 10%)."""


@dataclass(frozen=True, slots=True)
class Summary:
    """Robust statistics of samples that are grouped by process, in the samples' unit.

    Args:
        median: median of the processes' medians.
        minimum: minimum of all samples.
        third_quartile: median of the processes' third quartiles.
        low: lower end of the 95% interval of the processes' geometric mean; or the median if that
            is lower, which can happen if processes form two clusters.
        high: its upper end, likewise.
        n_processes: number of processes.
        n_samples: number of samples in all processes.
    """

    median: float
    minimum: float
    third_quartile: float
    low: float
    high: float
    n_processes: int
    n_samples: int


def summarise(samples: Sequence[Sequence[float]]) -> Summary:
    """Summarise samples: one sequence for each process, none empty.

    The interval is Student's t on the logarithms of the processes' medians, because processes
    differ by factors. With one process the interval is NaN.
    """
    medians = np.array([median(process) for process in samples])
    low, high = process_interval(medians)
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
"""Share of a fit's time that its epochs after the first must take, to estimate their time."""

TimingRow: TypeAlias = "Mapping[str, Any]"
"""A row of `Frames.timings` as a pandas record, with values of several types."""


def epochs_of(
    fit: TimingRow, once: TimingRow | None, epochs: float
) -> tuple[tuple[float, ...], ...]:
    """Seconds an epoch, in each process; empty for a process that does not show them.

    If a fit of one epoch was timed, too, this is the time that the other epochs add to it, for each
    of them; otherwise it is the fit's time divided by the epochs. A process does not show the time
    if the other epochs add less than `CLEAR` of the fit: something else kept the machine busy, or
    the epochs are too few. The result is empty if at least half of the processes do not show it, or
    fewer than `FEWEST` do.

    Args:
        fit: ``status`` and ``samples`` of the fit.
        once: the same of a fit of one epoch, if there is one.
        epochs: number of epochs of the fit.
    """
    if fit["status"] != "ok":
        return ()
    if once is None or epochs <= 1 or len(once["samples"]) != len(fit["samples"]):
        return tuple(tuple(s / epochs for s in process) for process in fit["samples"])
    fit_medians, once_medians = (tuple(map(median, kind["samples"])) for kind in (fit, once))
    seconds = tuple(
        ((full - single) / (epochs - 1),) if full - single >= CLEAR * full else ()
        for full, single in zip(fit_medians, once_medians, strict=True)
    )
    n = sum(map(len, seconds))
    return seconds if n >= FEWEST and 2 * n > len(seconds) else ()


def process_interval(medians: np.ndarray[Any, np.dtype[np.float64]]) -> tuple[float, float]:
    """Ends of the 95% interval of the processes' geometric mean; NaN for one process."""
    n = len(medians)
    if n < 2:
        return math.nan, math.nan
    from scipy.stats import t  # takes 0.5 s to import, and workers do not need it

    logs = np.log(medians)
    half = float(t.ppf(0.975, n - 1)) * float(logs.std(ddof=1)) / math.sqrt(n)
    return math.exp(logs.mean() - half), math.exp(logs.mean() + half)


def is_tight(samples: Sequence[Sequence[float]]) -> bool:
    """Whether the interval is narrow enough: half its width is at most `TIGHT` of the median."""
    if len(samples) < TIGHT_FROM:
        return False
    summary = summarise(samples)
    return summary.high - summary.low <= 2 * TIGHT * summary.median


def ratio(samples: Sequence[Sequence[float]], reference: Sequence[Sequence[float]]) -> float:
    """How many times longer `samples` take than `reference`, measured in the same processes.

    This is the median over processes of the quotient of medians, because a slow process slows both.
    If the numbers of processes differ, it is the quotient of the medians over processes.
    """
    if len(samples) != len(reference):
        return median(map(median, samples)) / median(map(median, reference))
    return median(quotient for (quotient,) in quotients(samples, reference))


def quotients(
    samples: Sequence[Sequence[float]], reference: Sequence[Sequence[float]]
) -> tuple[tuple[float], ...]:
    """How many times longer `samples` take than `reference`, in each process that measured both.

    Empty if they were not measured in the same processes.
    """
    if len(samples) != len(reference):
        return ()
    pairs = zip(samples, reference, strict=True)
    return tuple((median(a) / median(b),) for a, b in pairs if a and b)


UNDISTURBED = 0.1
"""Fraction of the samples, the quickest ones, that count as undisturbed by other programs."""


def undisturbed(samples: Sequence[float]) -> float:
    """The time that a process takes while nothing disturbs it: the tenth percentile."""
    return float(np.quantile(samples, UNDISTURBED))


def anchored(
    samples: Sequence[Sequence[float]], anchor: Sequence[float]
) -> tuple[float, float, float]:
    """A time as a multiple of an anchor's, with the ends of its 95% interval; NaN if unknown.

    Both times are undisturbed ones. Medians of long calls, but not those of an anchor's short ones,
    rise with the number of programs that wait for a processor, so that their ratio would, too.

    Args:
        samples: those of each process.
        anchor: the anchor's undisturbed seconds in the same processes.
    """
    ratios = quotients(
        [(undisturbed(process),) for process in samples], [(seconds,) for seconds in anchor]
    )
    if not ratios:
        return math.nan, math.nan, math.nan
    summary = summarise(ratios)
    return summary.median, summary.low, summary.high
