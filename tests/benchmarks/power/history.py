"""How well `harness track` finds steps, in simulated histories with noise of A/A comparisons."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from benchmarks.power.planting import AA

from harness.statistics.changepoints import change_points_of
from harness.statistics.verdicts import hodges_lehmann

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.power.tracefile import Trace
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Draw = Callable[[np.random.Generator, int], Floats]

BEFORE, AFTER, NEAR = 20, 10, 2
SIZE = 0.05
PAIRS = 10
"""Pairs that `harness track record` measures for a point."""

FLAT, STEPPED = 20_000, 3000
"""Numbers of series. The false alarm rate is little below the goal of 1%, so many are needed."""

VARIATIONS = (0.01, 0.02)
"""Standard deviation of lognormal noise of a point."""

ENOUGH = 50
"""The fewest pairs of a subject from which noise is resampled."""


def simulate_history(
    trace: Trace, *, flat: int = FLAT, stepped: int = STEPPED, seed: int = 20_000
) -> None:
    """Add a line to the trace for each kind of noise: flat series and series with a step."""
    for number, (noise, draw) in enumerate(noises(trace)):
        rng = np.random.default_rng([seed, number])
        length = BEFORE + AFTER
        step = np.repeat([0.0, math.log1p(SIZE)], [BEFORE, AFTER])
        alarms = found = covered = 0
        for _ in range(flat):
            alarms += bool(change_points_of({"flat": draw(rng, length)})["flat"])
        for _ in range(stepped):
            steps = change_points_of({"step": draw(rng, length) + step})["step"]
            near = [step_near for step_near in steps if abs(step_near.index - BEFORE) <= NEAR]
            found += bool(near)
            covered += any(step_near.low <= step[-1] <= step_near.high for step_near in near)
        spread = float(draw(rng, 5000).std())
        trace.add(
            "history",
            noise=noise,
            spread=round(spread, 5),
            n_flat=flat,
            alarms=alarms,
            n=stepped,
            found=found,
            covered=covered,
        )


def noises(trace: Trace) -> Iterator[tuple[str, Draw]]:
    """Functions that draw points (n,) of each kind of noise, by name."""
    pools: dict[str, list[float]] = {}
    for line in trace.of("ab"):
        if line["way"] in AA:
            pools.setdefault(line["subject"], []).extend(line["log_ratios"])
    for subject, pool in sorted(pools.items()):
        if len(pool) >= ENOUGH:
            yield f"pairs of the A/A comparisons, {subject}", _resampled(np.array(pool))
    for variation in VARIATIONS:
        yield f"lognormal points that vary by {100 * variation:g}%", _lognormal(variation)


def _resampled(pool: Floats) -> Draw:
    """Points that are Hodges and Lehmann's estimate of ten pairs drawn from a pool."""

    def draw(rng: np.random.Generator, n: int) -> Floats:
        drawn = rng.choice(pool, size=(n, PAIRS))
        return np.array([hodges_lehmann(pairs) for pairs in drawn])

    return draw


def _lognormal(variation: float) -> Draw:
    deviation = math.sqrt(math.log1p(variation**2))
    return lambda rng, n: rng.normal(
        0.0, deviation, n
    )  # standard deviation of the stored logarithms
