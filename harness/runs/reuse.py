"""Finds what earlier runs in the store know already: results of trials, and timings of pairings.

A result is known if its trial has the same identity (`harness.runs.identity`) and its dataset is
still what it was: each split is drawn again, and its digest must be that of the result. Files that
a dataset's plugin reads without declaring them are noticed that way. Splits of one plugin are drawn
again in one process, and alone where that gave another digest. A dataset that was opened from a
file needs no draw, because the identity has the digest of the file. Files that the model's process
read must have the content that they had.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from harness.contract.registry import core
from harness.processes.client import Limits
from harness.processes.reading import Contents, folder_of
from harness.trials.digests import digests
from harness.trials.executors.local import at_a_time, share_of_memory

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import pandas as pd

    from harness.contract.values import Choice, Run, Timing, Trial
    from harness.runs.campaign import Request
    from harness.runs.identity import Identities
    from harness.store.database import Known, Store
    from harness.trials.discovery import Described

Candidates = dict["Trial", list["Known"]]
"""The known results of trials, newest first."""

Split = tuple["Choice", int]
"""A dataset and the number of a repeat."""


def known_results(
    store: Store,
    registry: Described,
    request: Request,
    identities: Identities,
    trials: Sequence[Trial],
) -> dict[Trial, Known]:
    """The newest known result of each trial that has one.

    Args:
        store: the database.
        registry: has the trials' datasets and models.
        request: its limits hold for drawing splits, too.
        identities: of the trials.
        trials: the trials to look up.
    """
    by_identity: dict[str, list[Known]] = {}
    identity_of = {trial: identities.of(trial) for trial in trials}
    for known in store.known(identity_of.values()):
        by_identity.setdefault(known.identity, []).append(known)
    candidates = {
        trial: by_identity[identity]
        for trial, identity in identity_of.items()
        if identity in by_identity
    }
    candidates = _of_present_data(registry, request, _of_present_files(registry, candidates))
    return _in_whole_batches(trials, {trial: known[0] for trial, known in candidates.items()})


def _of_present_files(registry: Described, candidates: Candidates) -> Candidates:
    """The candidates whose model would read files of the same content now."""
    contents = Contents()
    folders = {
        trial.model.name: folder_of(registry.origin("models", trial.model.name).path)
        for trial in candidates
    }

    def fits(known: Known, folder: str) -> bool:
        return all(contents.digest(name, folder) == told for name, told in known.read.items())

    kept = {
        trial: [known for known in several if fits(known, folders[trial.model.name])]
        for trial, several in candidates.items()
    }
    return {trial: several for trial, several in kept.items() if several}


def _of_present_data(registry: Described, request: Request, candidates: Candidates) -> Candidates:
    """The candidates whose split is drawn now as it was drawn in their run."""
    drawn_as: dict[Split, set[str]] = {}
    trials: dict[Split, Trial] = {}  # all trials of a split have the same rows
    for trial, several in candidates.items():
        if not registry.origin("datasets", trial.dataset.name).options:
            split = trial.dataset, trial.repeat
            trials[split] = trial
            drawn_as.setdefault(split, set()).update(known.drawn for known in several)
    now = _drawn_now(registry, request, trials)
    # A draw may leave behind what changes another one in the same process.
    changed = {split: trials[split] for split in trials if now.get(split) not in drawn_as[split]}
    now |= _drawn_now(registry, request, changed, alone=True)

    def fits(trial: Trial, known: Known) -> bool:
        split = trial.dataset, trial.repeat
        return split not in drawn_as or known.drawn == now.get(split)

    kept = {
        trial: [known for known in several if fits(trial, known)]
        for trial, several in candidates.items()
    }
    return {trial: several for trial, several in kept.items() if several}


def _drawn_now(
    registry: Described, request: Request, trials: Mapping[Split, Trial], *, alone: bool = False
) -> dict[Split, str]:
    """The digests of splits as they are drawn now."""
    jobs = at_a_time(request.jobs, len(trials))
    limits = Limits(request.timeout, request.memory or share_of_memory(jobs))
    drawn = digests(registry, list(trials.values()), jobs=jobs, limits=limits, alone=alone)
    return {split: drawn[trial] for split, trial in trials.items() if trial in drawn}


def _in_whole_batches(trials: Iterable[Trial], known: Mapping[Trial, Known]) -> dict[Trial, Known]:
    """The known results, except those that a new run would compute in other batches.

    On accelerators the repeats of a pairing are computed together, and the last digits depend on
    their number. So they are known only if one run has all of them.
    """
    batches: dict[tuple[Choice, Choice, str], set[int | None]] = {}
    for trial in trials:
        if trial.device != "cpu":
            owner = known[trial].run_id if trial in known else None
            batches.setdefault((trial.dataset, trial.model, trial.device), set()).add(owner)
    return {
        trial: result
        for trial, result in known.items()
        if trial.device == "cpu" or len(batches[trial.dataset, trial.model, trial.device]) == 1
    }


def known_timings(store: Store, run: Run, results: pd.DataFrame, budget: float) -> list[Timing]:
    """Timings of earlier runs, for the pairings of a run whose results are all known.

    They must come from the same machine and the same code of the harness. (The pairing's own code
    is the same, because its results are known.) A pairing that there was no time for is known only
    if the budget is no larger now.

    Args:
        store: the database.
        run: the run.
        results: as in `harness.contract.values.Frames`.
        budget: seconds for timings in this run.
    """
    ok = results[results["status"] == "ok"]
    of_pairing = {
        (str(dataset), str(model), str(device)): rows
        for (dataset, model, device), rows in ok.groupby(["dataset", "model", "device"], sort=False)
        if (rows["run_id"] != run.id).all()
    }
    if not of_pairing:
        return []
    ids = [int(i) for rows in of_pairing.values() for i in rows["result_id"]]
    runs_with = store.runs_with(ids)
    earlier = {each.id: each for each in store.runs() if each.id != run.id and _is_alike(each, run)}
    timings: dict[int, dict[tuple[str, str, str], list[Timing]]] = {}
    kept: list[Timing] = []
    for pairing, rows in of_pairing.items():
        sources = {run_id for i in rows["result_id"] for run_id in runs_with.get(int(i), ())}
        for run_id in sorted(sources & earlier.keys(), reverse=True):
            if run_id not in timings:
                timings[run_id] = _by_pairing(store, earlier[run_id])
            if measured := timings[run_id].get(pairing):
                budget_then = float(earlier[run_id].asked.get("timing_budget") or 0.0)
                if budget <= budget_then or all(each.status != "unfinished" for each in measured):
                    kept += measured
                break
    return kept


def _by_pairing(store: Store, run: Run) -> dict[tuple[str, str, str], list[Timing]]:
    by_pairing: dict[tuple[str, str, str], list[Timing]] = {}
    for timing in store.timings(run):
        key = timing.case, timing.subject, timing.device
        measured = timing.measured or run.started
        by_pairing.setdefault(key, []).append(replace(timing, measured=measured))
    return by_pairing


def _is_alike(one: Run, other: Run) -> bool:
    """Whether two runs ran on one machine with the same code of the harness."""
    return _place(one.environment) == _place(other.environment)


def _place(environment: Mapping[str, Any]) -> tuple[object, ...]:
    machine = environment.get("machine", {})
    of_core = f"{core().name} ({core().distribution or core().path})"
    code = environment.get("plugins", {}).get(of_core, {}).get("digest")
    return machine.get("node"), machine.get("processor"), machine.get("cores"), code
