"""Splits the points of a history into segments of comparable values, and finds steps in them.

A segment holds the points of one machine that were measured against one anchor. A bridge compares a
new anchor with the previous one; then the segment continues, its later values shifted by the
bridge. The bridge was measured only once, and its error shifts all later values together, just as a
real step would. Therefore each part between two such joints is searched for steps by itself, and
the difference between two neighbouring parts is tested against the error of their joint.

All functions here are pure.
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
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from harness.contract.values import Frames
    from harness.store.database import Store

SeriesKey: TypeAlias = tuple[str, str, str, str]

MIN_SEGMENT = 3
"""The least number of points on each side of a step."""

ALIKE, TREND = "neighbours alike", "or a trend"
"""Doubts about a step: autocorrelation, or a slow trend, can look like one."""

SCORED = "run"
"""The source of points that are scores of a run."""


def is_score(point: Point) -> bool:
    """Whether a point is a score, rather than a time."""
    return point.source == SCORED or point.measure in SCORES


CAUTION = (
    "A step may be a false alarm. Of simulated series without a step, up to 4% show one if "
    "neighbouring points correlate by .6, and 2 to 16% if a slow trend moves the whole series by "
    "one standard deviation of its noise."
)
"""The warning below every list of steps; `tests/benchmarks/statistics/comparing.py` measures it."""

BRIDGE_FREEDOM = 9
"""Degrees of freedom of a bridge's confidence interval, which comes from ten pairs."""


@dataclass(frozen=True, slots=True)
class Segment:
    """Points of one series whose values are comparable.

    Args:
        series: measure, subject, case and device.
        points: the points without bridges, oldest first.
        values: the points' values after bridging, all relative to the segment's first anchor.
        joints: for each bridge the index of the first point after it, and its standard error.
        steps: changes of the series; a step's index is that of the first point after it.
    """

    series: SeriesKey
    points: tuple[Point, ...]
    values: tuple[float, ...]
    joints: tuple[tuple[int, float], ...] = ()
    steps: tuple[Step, ...] = ()

    @property
    def timed(self) -> bool:
        """Whether the series measures times, whose values are logarithms."""
        return not is_score(self.points[0])

    @property
    def last(self) -> str:
        """The last value as text: a score, seconds, or percent above or below the anchor."""
        if not self.timed:
            return f"{self.values[-1]:.4f}"
        if not self.points[-1].anchor:
            return f"{self.points[-1].seconds:.3g} s"
        return self.change(self.values[-1])

    def state(self, step: Step) -> str:
        """How certain a step is: firm or provisional, and the doubts that apply."""
        doubts = {
            "where the anchor changed": step.index in dict(self.joints),
            ALIKE: step.autocorrelation > CORRELATED,
            TREND: step.trend,
        }
        parts = ["firm" if step.firm else "provisional"]
        return ", ".join(parts + [doubt for doubt, holds in doubts.items() if holds])

    def change(self, size: float) -> str:
        """A change as text, in percent for times; ``?`` unless it is finite."""
        if not math.isfinite(size):
            return "?"
        return f"{100 * math.expm1(size):+.1f}%" if self.timed else f"{size:+.4f}"


def segments(points: Iterable[Point], *, alpha: float = ALPHA) -> list[Segment]:
    """All segments of a history with their steps, grouped by series, oldest first.

    Args:
        points: the history, oldest first.
        alpha: false discovery rate over all segments; see `harness.statistics.change_points_of`.
    """
    points_by_series: dict[SeriesKey, list[Point]] = {}
    for point in points:
        points_by_series.setdefault(point.series, []).append(point)
    unsearched = [
        segment
        for key, series_points in points_by_series.items()
        for segment in _split(key, series_points)
    ]
    parts = {
        f"{i} from {start}": segment.values[start:stop]
        for i, segment in enumerate(unsearched)
        for start, stop in _parts(segment)
    }
    steps = change_points_of(parts, alpha=alpha)
    level = alpha / max(1, sum(len(segment.joints) for segment in unsearched))
    searched = []
    for i, segment in enumerate(unsearched):
        in_parts = [
            replace(step, index=start + step.index)
            for start, _ in _parts(segment)
            for step in steps[f"{i} from {start}"]
        ]
        at_joints = [step for step in _at_joints(segment) if step.p_value <= level]
        all_steps = sorted((*in_parts, *at_joints), key=lambda step: step.index)
        searched.append(replace(segment, steps=tuple(all_steps)))
    return searched


def _parts(segment: Segment) -> list[tuple[int, int]]:
    """Start and stop index of each part of a segment, between one joint and the next."""
    bounds = [0, *(index for index, _ in segment.joints), len(segment.values)]
    return list(pairwise(bounds))


def _at_joints(segment: Segment) -> Iterator[Step]:
    """The step at each joint: the difference between the medians of the parts before and after it.

    Joints with fewer than `MIN_SEGMENT` points on a side are left out. The step's variance is the
    joint's plus those of both medians; a median's variance is pi/2 times that of a mean under
    normal noise.
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


def _split(key: SeriesKey, members: Sequence[Point]) -> list[Segment]:
    """The segments of one series, oldest first."""
    finished: list[Segment] = []
    open_by_machine: dict[str, _Open] = {}
    for point in members:
        current = open_by_machine.setdefault(point.machine, _Open(point.anchor))
        if point.source == "bridge":
            # A bridge from another machine may start at an anchor that this segment never had.
            if current.points and point.revision == current.anchor:
                current.go_over(point)
            continue
        if point.anchor != current.anchor:
            finished += current.segment(key)
            current = open_by_machine[point.machine] = _Open(point.anchor)
        current.points.append(point)
        current.values.append(point.value + current.shift)
    for current in open_by_machine.values():
        finished += current.segment(key)
    return sorted(finished, key=lambda segment: segment.points[0].time)


@dataclass(slots=True)
class _Open:
    """A segment that may still grow."""

    anchor: str
    shift: float = 0.0
    points: list[Point] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    joints: list[tuple[int, float]] = field(default_factory=list)

    def go_over(self, bridge: Point) -> None:
        """Continue with the bridge's anchor; its value, log(new/old), shifts all later points."""
        self.anchor = bridge.anchor
        self.shift += bridge.value
        width = bridge.high - bridge.low
        error = width / (2 * float(special.stdtrit(BRIDGE_FREEDOM, 0.975)))
        index = len(self.values)
        if self.joints and self.joints[-1][0] == index:  # no point lies between the two bridges
            error = math.hypot(error, self.joints.pop()[1])
        self.joints.append((index, error))

    def segment(self, key: SeriesKey) -> list[Segment]:
        """The finished segment, if it has points; a joint without points after it is dropped."""
        joints = tuple(joint for joint in self.joints if joint[0] < len(self.values))
        if not self.points:
            return []
        return [Segment(key, tuple(self.points), tuple(self.values), joints)]


def points_of_scores(
    store: Store, with_metrics: Callable[[Frames], Frames] = lambda frames: frames
) -> list[Point]:
    """Mean scores of the store's last run that has some.

    Args:
        store: the runs.
        with_metrics: adds the metrics to keep besides the usual scores.
    """
    from harness.store.frames import load_frames  # pandas is needed only here

    for run in reversed(store.runs()):
        frames = load_frames(store, run)
        if not (frames.results["status"] == "ok").any():
            continue
        frames = with_metrics(frames)
        ok = frames.results[frames.results["status"] == "ok"]
        scores = [*SCORES, *frames.scales]
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
                SCORED,
                float(group[score].mean()),
                math.nan,
                math.nan,
                math.nan,
                len(group),
            )
            for (dataset, model, device), group in means
            for score in scores
        ]
    return []
