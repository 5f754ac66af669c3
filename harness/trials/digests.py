"""Draws splits only for their digests, to tell whether a dataset is still what it was."""

from __future__ import annotations

import sys
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING, Any, NamedTuple

from harness.contract.parameters import place_of
from harness.contract.values import folds_in
from harness.processes.client import Limits, wait
from harness.trials.draw import loaded_since, modules_of
from harness.trials.trial import draw

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.contract.registry import Origin
    from harness.contract.values import Choice, Trial
    from harness.processes.client import Call
    from harness.processes.serving import Inside
    from harness.trials.discovery import Described


class Drawn(NamedTuple):
    """What is known of a split that was drawn.

    Args:
        digest: as `Result.drawn`.
        is_published: whether the dataset's rows may differ by the number of the repetition alone,
            so that no split speaks for another.
    """

    digest: str
    is_published: bool


def digests(
    registry: Described, trials: Sequence[Trial], *, jobs: int, limits: Limits
) -> dict[Trial, Drawn]:
    """The digest of each trial's split; those that cannot be drawn are left out.

    Args:
        registry: has the trials' datasets.
        trials: trials with different splits.
        jobs: splits drawn at a time, each in a process of its own.
        limits: of each process.
    """
    by_trial: dict[Trial, Drawn] = {}
    waiting = list(reversed(trials))
    with ExitStack() as stack:
        running: dict[Trial, Call] = {}
        while waiting or running:
            while waiting and len(running) < jobs:
                trial = waiting.pop()
                parent = registry.parent(*_drawn_by(registry, trial))
                given = (trial.dataset, trial.split_seed, trial.repeat)
                call = parent.call(digest_there, *given, limits=limits)
                running[trial] = stack.enter_context(closing(call))
            wait(running.values(), 0.1)
            for trial in [trial for trial, call in running.items() if call.poll()]:
                answer, failure = running.pop(trial).result()
                if failure is None and isinstance(answer, dict) and answer.get("drawn"):
                    by_trial[trial] = Drawn(str(answer["drawn"]), bool(answer["published"]))
                    registry.learn(*_drawn_by(registry, trial), modules_of(answer))
    return by_trial


def _drawn_by(registry: Described, trial: Trial) -> tuple[Origin, tuple[str, ...], str]:
    """The plugin of a trial's dataset, and what its process has to load."""
    dataset = registry.datasets[trial.dataset.name]
    return registry.origin("datasets", dataset.name), dataset.requires, dataset.name


def digest_there(
    inside: Inside, choice: Choice, seed: int, repeat: int
) -> tuple[dict[str, object], dict[str, Any]]:
    """The digest of a split; called in a process that has loaded the dataset's plugin."""
    n_before = len(sys.modules)
    dataset = inside.held.registry.datasets[choice.name]
    drawn = draw(dataset, seed, dict(choice.parameters), repeat).digest
    published = len(place_of(dataset, repeat)) > bool(folds_in(str(dataset.kind)))
    return {"drawn": drawn, "published": published, "loaded": loaded_since(n_before)}, {}
