"""Draws splits only for their digests, to tell whether a dataset is still what it was."""

from __future__ import annotations

import sys
from contextlib import ExitStack, closing, suppress
from typing import TYPE_CHECKING, Any

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


def digests(
    registry: Described, trials: Sequence[Trial], *, jobs: int, limits: Limits, alone: bool = False
) -> dict[Trial, str]:
    """The digest of each trial's split; those that cannot be drawn are left out.

    Args:
        registry: has the trials' datasets.
        trials: trials with different splits.
        jobs: number of processes at a time.
        limits: of each process.
        alone: whether each split has a process of its own. Otherwise splits of one plugin share a
            process, which takes less time; if it fails, none of them has a digest.
    """
    by_trial: dict[Trial, str] = {}
    waiting = [[trial] for trial in trials] if alone else _shared(registry, trials, jobs)
    waiting.reverse()
    with ExitStack() as stack:
        running: dict[tuple[Trial, ...], Call] = {}
        while waiting or running:
            while waiting and len(running) < jobs:
                together = tuple(waiting.pop())
                concerned = together[0].dataset.name if len(together) == 1 else ""
                parent = registry.parent(*_drawn_by(registry, together[0]), concerned)
                splits = [(trial.dataset, trial.split_seed, trial.repeat) for trial in together]
                call = parent.call(digests_there, splits, limits=limits)
                running[together] = stack.enter_context(closing(call))
            wait(running.values(), 0.1)
            for together in [each for each, call in running.items() if call.poll()]:
                answer, failure = running.pop(together).result()
                told = answer.get("splits") if isinstance(answer, dict) else None
                if failure is None and isinstance(told, list) and len(told) == len(together):
                    by_trial |= {t: str(d) for t, d in zip(together, told, strict=True) if d}
                    if len(together) == 1:
                        name = together[0].dataset.name
                        registry.learn(*_drawn_by(registry, together[0]), name, modules_of(answer))
    return by_trial


def _shared(registry: Described, trials: Sequence[Trial], jobs: int) -> list[list[Trial]]:
    """The trials whose splits share a process: as many processes for each plugin as jobs."""
    by_plugin: dict[tuple[Origin, tuple[str, ...]], list[Trial]] = {}
    for trial in trials:
        by_plugin.setdefault(_drawn_by(registry, trial), []).append(trial)
    return [
        part for several in by_plugin.values() for i in range(jobs) if (part := several[i::jobs])
    ]


def _drawn_by(registry: Described, trial: Trial) -> tuple[Origin, tuple[str, ...]]:
    """The plugin of a trial's dataset, and what its process has to load."""
    dataset = registry.datasets[trial.dataset.name]
    return registry.origin("datasets", dataset.name), dataset.requires


def digests_there(
    inside: Inside, splits: Sequence[tuple[Choice, int, int]]
) -> tuple[dict[str, object], dict[str, Any]]:
    """The digests of splits; called in a process that has loaded the datasets' plugin.

    A split that cannot be drawn has an empty digest.
    """
    n_before = len(sys.modules)
    told: list[str] = []
    for choice, seed, repeat in splits:
        digest = ""
        with suppress(Exception):  # a plugin's code can raise anything; a trial will tell
            dataset = inside.held.registry.datasets[choice.name]
            digest = draw(dataset, seed, dict(choice.parameters), repeat).digest
        told.append(digest)
    return {"splits": told, "loaded": loaded_since(n_before)}, {}
