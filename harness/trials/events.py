"""Events of a running run, and the scene that they add up to: counts, pace and curves."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

from rich.cells import cell_len, set_cell_size

from harness import units
from harness.trials.progress import Pace
from harness.words import fixed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from harness.contract.values import Result, TracePoint, Trial

NAME = 40
"""Width of a name in a line, at most, in terminal cells."""


@dataclass(frozen=True, slots=True)
class Started:
    """Trials of a pairing started, in one call."""

    trials: tuple[Trial, ...]


@dataclass(frozen=True, slots=True)
class Reached:
    """The first of the trials that run in one call reached an epoch."""

    trials: tuple[Trial, ...]
    point: TracePoint


@dataclass(frozen=True, slots=True)
class Ended:
    """Running trials ended, with their results; without results, they will run again.

    Args:
        trials: the trials, as in `Started`.
        results: one for each trial, or none.
        start: seconds after `Started` until their process was ready.
    """

    trials: tuple[Trial, ...]
    results: tuple[Result, ...] = ()
    start: float = 0.0


@dataclass(frozen=True, slots=True)
class Passed:
    """Time passed, and nothing else happened."""


Event: TypeAlias = Started | Reached | Ended | Passed
Tell: TypeAlias = "Callable[[Event], None]"


@dataclass(frozen=True, slots=True)
class Curve:
    """A trial's likelihoods by epoch, as far as it has reported them."""

    trial: Trial
    points: tuple[TracePoint, ...]


@dataclass(frozen=True, slots=True)
class Scene:
    """The state of a run to show at a moment; each event makes a new scene of it.

    Args:
        total: number of trials to run.
        began: start of the run, in seconds of a monotonic clock.
        pace: the running trials, and how fast they are.
        done: number of trials with a result.
        failed: number of those results without scores.
        curves: curves of the running trials that report epochs, by trials, in order of start.
        last: the last curve that was in front.
    """

    total: int
    began: float
    pace: Pace
    done: int = 0
    failed: int = 0
    curves: Mapping[tuple[Trial, ...], Curve] | None = None
    last: Curve | None = None

    @classmethod
    def of(cls, trials: Sequence[Trial], jobs: int, now: float) -> Scene:
        """The scene before the first trial starts."""
        return cls(len(trials), now, Pace.of(trials, jobs))

    def after(self, event: Event, now: float) -> Scene:
        """The scene after an event."""
        match event:
            case Started(trials):
                return replace(self, pace=self.pace.started(trials, now))
            case Reached(trials, point):
                return self._reached(trials, point)
            case Ended(trials, results, start):
                return self._ended(trials, results, now - start)
        return self

    @property
    def running(self) -> int:
        """Number of running trials."""
        return sum(map(len, self.pace.running))

    @property
    def front(self) -> Curve | None:
        """The curve of the first-started trial that reports epochs; without any, the last curve."""
        curves = self.curves or {}
        shown_curves = (curves[trials] for trials in self.pace.running if trials in curves)
        return next(shown_curves, self.last)

    def _reached(self, trials: tuple[Trial, ...], point: TracePoint) -> Scene:
        curves = self.curves or {}
        before = curves[trials].points if trials in curves else ()
        curve = Curve(trials[0], (*before, point))
        scene = replace(self, curves={**curves, trials: curve})
        return replace(scene, last=scene.front)

    def _ended(self, trials: tuple[Trial, ...], results: tuple[Result, ...], now: float) -> Scene:
        last = self.last
        for result in results:
            if last and result.trial == last.trial and result.trace:
                last = replace(last, points=result.trace)
        return replace(
            self,
            pace=self.pace.ended(trials, now, again=not results),
            done=self.done + len(results),
            failed=self.failed + sum(result.status != "ok" for result in results),
            curves={key: curve for key, curve in (self.curves or {}).items() if key != trials},
            last=last,
        )

    def line(self, now: float) -> str:
        """The scene as a line, such as ``12 of 230 done, 2 running, about 40 s left``."""
        parts = [f"{self.done} of {self.total} done"]
        if self.failed:
            parts.append(f"{self.failed} failed")
        if self.running:
            front = self.front if self.curves else None
            parts.append(f"{self.running} running" + (f" ({_in_words(front)})" if front else ""))
        left = self.pace.left(now)
        if left:
            parts.append(f"about {units.rounded(left)} left")
        if left and (slowest := self.pace.slowest):
            parts.append(f"slowest model {shown(slowest[0], NAME)}, {slowest[1]:.2g} s a trial")
        return ", ".join(parts)


def _in_words(curve: Curve) -> str:
    trial, point = curve.trial, curve.points[-1]
    return (
        f"{shown(str(trial.dataset), NAME)} {shown(str(trial.model), NAME)}: epoch {point.epoch}, "
        f"likelihood {likelihood_text(point.train_likelihood)} train "
        f"{likelihood_text(point.test_likelihood)} test"
    )


def likelihood_text(value: float) -> str:
    """A likelihood as text, with three decimals and without a leading zero.

    >>> [likelihood_text(value) for value in (0.8134, 1.0, float("nan"))]
    ['.813', '1.000', 'nan']
    """
    return fixed(value, 3) if math.isfinite(value) else "nan"


def shown(name: str, width: int) -> str:
    r"""A name without control characters, shortened in its middle: both ends tell models apart.

    Args:
        name: the name, which a plugin's author chose.
        width: terminal cells that it may take.

    >>> shown("torch-mlp[epochs=1000]", 12), shown("\x1b[31mred", 12), shown("数据集", 5)
    ('torch-…1000]', '?[31mred', '数…集')
    """
    safe = "".join(letter if letter.isprintable() else "?" for letter in name)
    if cell_len(safe) <= width:
        return safe
    tail = (width - 1) // 2
    head = set_cell_size(safe, width - 1 - tail)
    return f"{head}…{set_cell_size(safe[::-1], tail)[::-1]}"
