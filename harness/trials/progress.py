"""The pace of a run: how long its trials took, and how long the remaining trials will take."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from statistics import fmean
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from harness.contract.values import Choice, Trial

    PairingKey: TypeAlias = tuple[Choice, Choice, str]


@dataclass(frozen=True, slots=True)
class Pace:
    """The progress of a run, by pairing, from which the remaining time is estimated.

    Args:
        jobs: trials, or batches of trials, at a time.
        waiting: number of trials of each pairing that have not started.
        running: running trials in order of start, with the time of their start (seconds).
        took: seconds of each pairing's trials that have ended; trials of a batch share its time.
    """

    jobs: int = 1
    waiting: Mapping[PairingKey, int] = field(default_factory=dict)
    running: Mapping[tuple[Trial, ...], float] = field(default_factory=dict)
    took: Mapping[PairingKey, tuple[float, ...]] = field(default_factory=dict)

    @classmethod
    def of(cls, trials: Iterable[Trial], jobs: int) -> Pace:
        """The pace before the first trial starts."""
        waiting: dict[PairingKey, int] = {}
        for trial in trials:
            waiting[_pairing(trial)] = waiting.get(_pairing(trial), 0) + 1
        return cls(jobs, waiting)

    def started(self, trials: Sequence[Trial], now: float) -> Pace:
        """The pace once trials of one pairing start, in one call."""
        return replace(
            self,
            waiting=self._waiting(trials, -len(trials)),
            running={**self.running, tuple(trials): now},
        )

    def ended(self, trials: Sequence[Trial], now: float, *, again: bool = False) -> Pace:
        """The pace once running trials end; those that will run ``again`` wait as before."""
        running = dict(self.running)
        seconds = now - running.pop(tuple(trials))
        if again:
            return replace(self, running=running, waiting=self._waiting(trials, len(trials)))
        pairing = _pairing(trials[0])
        shares = (max(0.0, seconds) / len(trials),) * len(trials)
        took = {**self.took, pairing: (*self.took.get(pairing, ()), *shares)}
        return replace(self, running=running, took=took)

    def _waiting(self, trials: Sequence[Trial], change: int) -> dict[PairingKey, int]:
        pairing = _pairing(trials[0])
        return {**self.waiting, pairing: max(0, self.waiting.get(pairing, 0) + change)}

    def left(self, now: float) -> float | None:
        """Estimated seconds until all trials have ended; None before any trial has ended.

        A trial is expected to take as long as the mean trial of its pairing, else of its model,
        else of all models. The jobs share the remaining work, but the run takes at least as long as
        its longest trial.
        """
        waiting = {pairing: count for pairing, count in self.waiting.items() if count}
        if not waiting and not self.running:
            return 0.0
        if not self.took:
            return None
        typical = _Typical(self.took)
        # Trials that are late by some seconds are expected to take as many seconds more.
        running = [
            abs(len(trials) * typical.seconds(_pairing(trials[0])) - (now - began))
            for trials, began in self.running.items()
        ]
        # A pairing that takes longer than expected will do so in its next trials, too.
        so_far: dict[PairingKey, float] = {}
        for trials, began in self.running.items():
            share = (now - began) / len(trials)
            so_far[_pairing(trials[0])] = max(share, so_far.get(_pairing(trials[0]), 0.0))
        expected = {
            pairing: max(typical.seconds(pairing), so_far.get(pairing, 0.0)) for pairing in waiting
        }
        total = sum(running) + sum(count * expected[pairing] for pairing, count in waiting.items())
        return max(total / self.jobs, *running, *expected.values())

    @property
    def slowest(self) -> tuple[str, float] | None:
        """The slowest model, and its mean seconds a trial; None before any trial has ended."""
        models = _Typical(self.took).models
        return max(models.items(), key=lambda item: item[1]) if models else None


class _Typical:
    """The expected seconds of a trial, from the trials that have ended."""

    def __init__(self, took: Mapping[PairingKey, tuple[float, ...]]) -> None:
        by_model: dict[str, list[float]] = {}
        for (_, model, _), seconds in took.items():
            by_model.setdefault(str(model), []).extend(seconds)
        self.pairings = {pairing: fmean(seconds) for pairing, seconds in took.items()}
        self.models = {model: fmean(seconds) for model, seconds in by_model.items()}

    def seconds(self, pairing: PairingKey) -> float:
        if pairing in self.pairings:
            return self.pairings[pairing]
        of_model = self.models.get(str(pairing[1]))
        return fmean(self.models.values()) if of_model is None else of_model


def _pairing(trial: Trial) -> PairingKey:
    return trial.dataset, trial.model, trial.device
