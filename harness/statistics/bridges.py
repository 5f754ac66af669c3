"""How much ratios to an anchor differ between days and machines, and intervals that include it.

A time / an anchor's time, both measured in turns, hides what slows all work down alike, but not
what slows one kind of work more than another. Therefore two such ratios of the same code differ
between days, and more between machines.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from typing import TypeAlias

    Bridge: TypeAlias = Literal["", "day", "machine"]
    """What lies between two timings: nothing, another day, or another machine."""

DAY = 0.21
"""Standard deviation of the difference between the log ratios of two sessions on one machine,
beyond what their processes' intervals tell. From ten sessions of 70 workloads within ten minutes of
a busy machine: docs/measurements/anchors.md. Quiet machines and other days were not measured."""

MACHINE = {"compute": 0.2, "memory": 0.35}
"""What another machine adds to `DAY`, by the kind of anchor. No two machines have been measured
with the anchors yet. The numbers are from quotients of other workloads, measured on an Intel Xeon
(Sapphire Rapids) and an AMD EPYC (Zen 4), as docs/performance.md gave them on 2026-11-23 and
2026-11-25. Root mean squares of log(EPYC's / Xeon's quotient): a softmax / another one .16 (16
shapes), .17 (16) and .22 (16); a fit / another one .15 (5 tables); a softmax / a copy of its array
.34 (16)."""

NORMAL = 1.96


def deviation(anchor: str, bridge: Bridge) -> float:
    """The standard deviation that a bridge adds to the logarithm of a ratio."""
    if not bridge:
        return 0.0
    if bridge == "day":
        return DAY
    return math.hypot(DAY, MACHINE.get(anchor.partition("-")[0], max(MACHINE.values())))


def widened(
    ratio: float, low: float, high: float, anchor: str, bridge: Bridge
) -> tuple[float, float]:
    """The ends of a ratio's 95% interval, with the uncertainty of the bridge.

    The two errors are independent, so that their squares add. NaN if an end is NaN.
    """
    added = NORMAL * deviation(anchor, bridge)
    if not (added and low > 0):
        return low, high
    below, above = math.log(ratio / low), math.log(high / ratio)
    return ratio * math.exp(-math.hypot(below, added)), ratio * math.exp(math.hypot(above, added))
