"""How well steps in a history are found: simulated, with the noise of the A/A comparisons."""

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
"""That `harness track record` measures for a point."""

FLAT, STEPPED = 20_000, 3000
"""Series. Flat ones alarm at little less than the 1% wanted, which takes many to tell."""

VARIATIONS = (0.01, 0.02)
"""Of a point, where it is lognormal."""

ENOUGH = 50
"""Pairs of a subject whose noise is drawn from."""


def simulate_history(
    trace: Trace, *, flat: int = FLAT, stepped: int = STEPPED, seed: int = 20_000
) -> None:
    """Add a line for each kind of noise to the trace: flat series, and others with a step."""
    for number, (noise, draw) in enumerate(noises(trace)):
        rng = np.random.default_rng([seed, number])
        length = BEFORE + AFTER
        step = np.repeat([0.0, math.log1p(SIZE)], [BEFORE, AFTER])
        alarms = found = covered = 0
        for _ in range(flat):
            alarms += bool(change_points_of({"flat": draw(rng, length)})["flat"])
        for _ in range(stepped):
            steps = change_points_of({"step": draw(rng, length) + step})["step"]
            near = [one for one in steps if abs(one.index - BEFORE) <= NEAR]
            found += bool(near)
            covered += any(one.low <= step[-1] <= one.high for one in near)
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
    """Names of kinds of noise, and what draws points (n,) of them."""
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
    """Each point Hodges and Lehmann's estimate of ten pairs drawn from a pool."""

    def draw(rng: np.random.Generator, n: int) -> Floats:
        drawn = rng.choice(pool, size=(n, PAIRS))
        return np.array([hodges_lehmann(one) for one in drawn])

    return draw


def _lognormal(variation: float) -> Draw:
    deviation = math.sqrt(math.log1p(variation**2))
    return lambda rng, n: rng.normal(0.0, deviation, n)  # of the logarithms, which are stored
