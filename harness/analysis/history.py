"""Points in time become series, series segments, and segments have steps: pure.

A segment is what may be compared: points of one machine and one anchor. Where a new anchor was held
against the one before, the segment goes on, its values moved by what lies between the two. That was
measured once, and its error moves all later values alike, as a step would: so each part between two
such joints is searched for steps by itself, and what lies between two parts is held against the
error of the joint.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from itertools import pairwise
from statistics import median
from typing import TYPE_CHECKING, TypeAlias

from scipy import special  # scipy.stats takes 0.6 s to import

from harness.analysis.changes import SCORES
from harness.contract.values import Point
from harness.statistics.changepoints import ALPHA, CORRELATED, FIRM, Step, change_points_of
from harness.statistics.verdicts import spread

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from harness.store.database import Store

Key: TypeAlias = tuple[str, str, str, str]

MIN_SEGMENT = 3
"""Points on each side of a step, at least."""

ALIKE, TREND = "neighbours alike", "or a trend"
"""What may make a step out of none."""

CAUTION = (
    "A step may be none. Of simulated series without one, up to 4% have a step where neighbouring "
    "points correlate by .6, and 2 to 16% where a slow trend spans one standard deviation."
)
"""What goes with every list of steps. `tests/benchmarks/statistics/comparing.py` measures it."""

BRIDGE_FREEDOM = 9
"""Degrees of freedom of the interval of a bridge, which is of ten pairs."""


@dataclass(frozen=True, slots=True)
class Segment:
    """Points that may be compared.

    Args:
        series: measure, subject, case and device.
        points: oldest first, without bridges.
        values: of the points, bridged: all in units of the segment's first anchor.
        joints: index of the first point after each bridge, and the bridge's standard error.
        steps: where the series changed, index of the first point after.
    """

    series: Key
    points: tuple[Point, ...]
    values: tuple[float, ...]
    joints: tuple[tuple[int, float], ...] = ()
    steps: tuple[Step, ...] = ()

    @property
    def timed(self) -> bool:
        """Whether it is of times, whose values are logarithms."""
        return self.series[0] not in SCORES

    @property
    def last(self) -> str:
        """Its last value in words: a ratio as a difference in percent."""
        if not self.timed:
            return f"{self.values[-1]:.4f}"
        if not self.points[-1].anchor:
            return f"{self.points[-1].seconds:.3g} s"
        return self.change(self.values[-1])

    def state(self, step: Step) -> str:
        """How sure a step is, in words."""
        doubts = {
            "at a new anchor": step.index in dict(self.joints),
            ALIKE: step.autocorrelation > CORRELATED,
            TREND: step.trend,
        }
        words = ["firm" if step.firm else "provisional"]
        return ", ".join(words + [doubt for doubt, holds in doubts.items() if holds])

    def change(self, size: float) -> str:
        """A change in words; ``?`` where it is not finite."""
        if not math.isfinite(size):
            return "?"
        return f"{100 * math.expm1(size):+.1f}%" if self.timed else f"{size:+.4f}"


def segments(points: Iterable[Point], *, alpha: float = ALPHA) -> list[Segment]:
    """All segments of a history with their steps, by series, oldest first.

    Args:
        points: oldest first.
        alpha: false discovery rate over all segments; see `harness.statistics.change_points_of`.
    """
    found: dict[Key, list[Point]] = {}
    for point in points:
        found.setdefault(point.series, []).append(point)
    split = [segment for key, members in found.items() for segment in _split(key, members)]
    parts = {
        f"{i} from {start}": segment.values[start:stop]
        for i, segment in enumerate(split)
        for start, stop in _parts(segment)
    }
    steps = change_points_of(parts, alpha=alpha)
    level = alpha / max(1, sum(len(segment.joints) for segment in split))
    done = []
    for i, segment in enumerate(split):
        within = [
            replace(step, index=start + step.index)
            for start, _ in _parts(segment)
            for step in steps[f"{i} from {start}"]
        ]
        between = [step for step in _at_joints(segment) if step.p_value <= level]
        every = sorted((*within, *between), key=lambda step: step.index)
        done.append(replace(segment, steps=tuple(every)))
    return done


def _parts(segment: Segment) -> list[tuple[int, int]]:
    """Beginning and end of what lies between two joints."""
    at = [0, *(index for index, _ in segment.joints), len(segment.values)]
    return list(pairwise(at))


def _at_joints(segment: Segment) -> Iterator[Step]:
    """What lies between the parts on both sides of each joint that has enough points there.

    Its error is that of the joint beside those of both medians, whose variance is pi/2 times that
    of a mean under normal noise.
    """
    for (start, index), (_, stop), (_, error) in zip(
        _parts(segment), _parts(segment)[1:], segment.joints, strict=False
    ):
        sides = segment.values[start:index], segment.values[index:stop]
        if min(map(len, sides)) < MIN_SEGMENT or not math.isfinite(error):
            continue
        variance = error**2 + sum(math.pi / 2 * spread(side) ** 2 / len(side) for side in sides)
        size, deviation = median(sides[1]) - median(sides[0]), math.sqrt(variance)
        freedom = min(BRIDGE_FREEDOM, len(sides[0]) - 1, len(sides[1]) - 1)
        half = float(special.stdtrit(freedom, 0.975)) * deviation
        p = float(2 * special.stdtr(freedom, -abs(size) / deviation)) if deviation else 1.0
        firm = len(sides[1]) >= FIRM
        yield Step(index, size, size - half, size + half, p, firm)


def _split(key: Key, members: Sequence[Point]) -> list[Segment]:
    """Segments of one series."""
    done: list[Segment] = []
    open_: dict[str, _Open] = {}  # by machine
    for point in members:
        here = open_.setdefault(point.machine, _Open(point.anchor))
        if point.source == "bridge":
            # Another machine may have gone over to an anchor that this segment never had.
            if here.points and point.revision == here.anchor:
                here.go_over(point)
            continue
        if point.anchor != here.anchor:
            done += here.segment(key)
            here = open_[point.machine] = _Open(point.anchor)
        here.points.append(point)
        here.values.append(point.value + here.shift)
    for here in open_.values():
        done += here.segment(key)
    return sorted(done, key=lambda segment: segment.points[0].time)


@dataclass(slots=True)
class _Open:
    """A segment that may go on."""

    anchor: str
    shift: float = 0.0
    points: list[Point] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    joints: list[tuple[int, float]] = field(default_factory=list)

    def go_over(self, bridge: Point) -> None:
        """Go on with another anchor; the bridge is log(new/old), what a ratio to it lacks."""
        self.anchor = bridge.anchor
        self.shift += bridge.value
        width = bridge.high - bridge.low
        error = width / (2 * float(special.stdtrit(BRIDGE_FREEDOM, 0.975)))
        at = len(self.values)
        if self.joints and self.joints[-1][0] == at:  # nothing was measured against the last one
            error = math.hypot(error, self.joints.pop()[1])
        self.joints.append((at, error))

    def segment(self, key: Key) -> list[Segment]:
        """It, unless nothing came of it; a joint that nothing follows is none."""
        joints = tuple(joint for joint in self.joints if joint[0] < len(self.values))
        if not self.points:
            return []
        return [Segment(key, tuple(self.points), tuple(self.values), joints)]


def points_of_scores(store: Store) -> list[Point]:
    """Mean scores of the store's last run that has some."""
    from harness.store.frames import load_frames  # pandas is needed only here

    for run in reversed(store.runs()):
        results = load_frames(store, run).results
        ok = results[results["status"] == "ok"]
        if ok.empty:
            continue
        means = ok.groupby(["dataset", "model", "device"], sort=False)
        return [
            Point(
                score,
                str(model),
                str(dataset),
                str(device),
                run.started,
                run.revision + ("+" if run.dirty else ""),
                "",
                "",
                "run",
                float(group[score].mean()),
                math.nan,
                math.nan,
                math.nan,
                len(group),
            )
            for (dataset, model, device), group in means
            for score in SCORES
        ]
    return []
