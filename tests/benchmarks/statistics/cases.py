"""A case of the study: a claim in one setting, a bound on its rate, and a simulation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class Case:
    """A claim in one setting, the rate it has to reach, and how a run is simulated.

    Args:
        claim: what tables, help or docs say, such as ``intervals of accuracy cover the truth``.
        setting: where it is measured, such as ``resampled, 10% positives, 5 repeats``. Claim and
            setting together are the case's identity.
        goal: the rate wanted, in words, such as ``at least 93%``; empty where a rate is only
            published, such as a power.
        bound: the rate wanted, between 0 and 1. It counts only where ``goal`` is not empty.
        at_most: whether the rate has to stay below the bound (false alarms) or above (coverage).
        runs: simulations that the whole study takes.
        run: called with a different seed for each run; returns 1.0 if the event happened (the
            interval covered; a difference was significant), 0.0 if it did not, and None if the
            harness withheld an answer. Withheld answers are counted separately from the rate.
        withheld: the largest share of runs that may be withheld.
    """

    claim: str
    setting: str
    goal: str
    bound: float
    at_most: bool
    runs: int
    run: Callable[[int], float | None]
    withheld: float = 1.0

    @property
    def key(self) -> str:
        """Identity of the case in the trace."""
        return f"{self.claim} | {self.setting}"
