"""Run trials on this machine, several at a time, each isolated from the others."""

from __future__ import annotations

import os
import tempfile
import time
from collections import deque
from dataclasses import dataclass, replace
from typing import IO, TYPE_CHECKING, Any

import psutil

from harness.contract.estimators import inner_modules
from harness.contract.values import Failure, Result
from harness.processes.client import Limits, nameless, wait
from harness.processes.packing import PackingError, unpack
from harness.processes.reading import Contents, folder_of
from harness.processes.worker import Worker, no_plugin
from harness.trials.discovery import discover
from harness.trials.draw import blamed, draw_there, fault_of, misfit, modules_of
from harness.trials.events import Ended, Passed, Reached, Started
from harness.trials.remote import point_of, results_of, run_there, score_into

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from harness.contract.registry import Origin
    from harness.contract.values import Choice, Dataset, Model, Needs, Status, Trial
    from harness.processes.client import Call, Parent
    from harness.trials.discovery import Described
    from harness.trials.events import Tell

TELL_EVERY = 0.04  # seconds between two reports of an epoch: a little less than a trial waits
POLL = 0.05  # seconds between checks of time and memory limits
MEMORY_SHARE = 0.8  # share of the machine's memory that all jobs divide, unless a limit is given
DISK_SHARE = 0.25
"""Share of the temporary folder's free space. While splits take more, no further split is drawn,
unless the run could not go on otherwise."""

SplitKey = tuple["Choice", int, int]
"""Identifies a split: the dataset with its parameters, the repeat, the run's seed."""


def run_isolated(
    trials: Sequence[Trial],
    plugins: Sequence[str] = (),
    *,
    registry: Described | None = None,
    batches: Sequence[Sequence[Trial]] = (),
    jobs: int | None = None,
    seconds: float | None = None,
    memory: int | None = None,
    tell: Tell = lambda _: None,
    epochs: bool = False,
) -> Iterator[Result]:
    """Yield one result for every trial as trials end, whatever their plugins do.

    A split is drawn once for each dataset and repeat, in a process that has loaded the dataset's
    plugin. A trial runs in a process that has loaded its model's plugin and the packages that the
    model requires. Its predictions are scored in a process that has loaded no plugin. If anything
    goes wrong in a batch, its trials are run one by one.

    Args:
        trials: the trials to run.
        plugins: files or modules to discover, besides installed plugins; used only without a
            ``registry``.
        registry: has the trials' datasets and models.
        batches: groups of ``trials`` to run in one call each; they start first, because they take
            longest.
        jobs: processes at a time; by default the number of cores.
        seconds: time limit of each trial and of each split; a batch has the sum of its trials'.
        memory: memory limit of each process in bytes; by default a share of the machine's.
        tell: called with every event; with a result's event before the result is yielded.
        epochs: whether to report the epochs of running trials, too.
    """
    owns_registry = registry is None
    registry = registry or discover(plugins)
    jobs = at_a_time(jobs, len(trials))
    limits = Limits(seconds, memory or share_of_memory(jobs))
    work = _Work(registry, trials, batches, jobs, limits, tell, epochs=epochs)
    try:
        yield from work.results()
    finally:
        work.close()
        if owns_registry:
            registry.processes.close()


@dataclass(slots=True, eq=False)
class _Split:
    """A split that trials share: its files, and how many of the trials have not ended."""

    key: SplitKey
    needs: tuple[Needs, ...]
    users: int
    sketched: bool
    seed: int
    repeat: int
    call: Call | None = None
    file: IO[bytes] | None = None
    labels: IO[bytes] | None = None
    fault: Failure | None = None
    alone: bool = False
    """Whether to draw it with nothing else running: its parent process was killed once."""

    @property
    def is_there(self) -> bool:
        """Whether drawing is over: the split has been drawn, or drawing it has failed."""
        return self.file is not None or self.fault is not None

    @property
    def size(self) -> int:
        """Bytes that it takes on disk so far."""
        if self.file is not None:
            return os.fstat(self.file.fileno()).st_size
        return os.fstat(self.call.answer).st_size if self.call is not None else 0

    def close(self) -> None:
        """Close its files, which deletes them, because they have no name."""
        if self.call is not None:
            self.call.close()
            self.call = None
        if self.labels is not None:
            self.labels.close()
        if self.file is not None:
            self.file.close()
            self.file = None


@dataclass(slots=True, eq=False)
class _Unit:
    """Trials that run in one call: a single trial, or several repeats of a pairing."""

    trials: tuple[Trial, ...]
    splits: tuple[_Split, ...]
    alone: bool = False
    """Whether to run it with nothing else running: its parent process was killed once."""
    call: Call | None = None
    answer: IO[bytes] | None = None
    """The file for its scores; None until its trials are fitted."""
    score: tuple[Any, Failure | None] | None = None
    """What the scoring call returned, and its failure; None until it has ended."""


class _Work:
    """Schedules the drawing of splits, the fitting of units and their scoring."""

    def __init__(
        self,
        registry: Described,
        trials: Sequence[Trial],
        batches: Sequence[Sequence[Trial]],
        jobs: int,
        limits: Limits,
        tell: Tell,
        *,
        epochs: bool,
    ) -> None:
        self.registry, self.processes = registry, registry.processes
        self.jobs, self.limits, self.tell, self.epochs = jobs, limits, tell, epochs
        self.contents = Contents()
        # All repeats of a dataset have its needs in the same order: a batch passes one index.
        needs: dict[Choice, dict[Needs, None]] = {}
        for trial in trials:
            needs.setdefault(trial.dataset, {})[self._model(trial).needs] = None
        splits: dict[SplitKey, _Split] = {}
        for trial in trials:
            key = _split_key(trial)
            if key not in splits:
                splits[key] = _Split(key, tuple(needs[trial.dataset]), 0, False, 0, 0)
            split = splits[key]
            split.users += 1
            split.sketched |= trial.repeat == 0
            split.seed, split.repeat = trial.split_seed, trial.repeat
        self.splits = splits
        batched = {trial.key for batch in batches for trial in batch}
        # The trials of a repeat follow each other, so that its split can be deleted after them.
        # Baselines come first: they take no time, and are scored while other models learn.
        order = {key: i for i, key in enumerate(splits)}
        unbatched = sorted(
            (trial for trial in trials if trial.key not in batched),
            key=lambda trial: (order[_split_key(trial)], not self._model(trial).baseline),
        )
        units = [self._unit(tuple(batch)) for batch in batches]
        units += [self._unit((trial,)) for trial in unbatched]
        self.waiting = deque(units)
        #: Parents that start at once, because loading libraries takes longer than many trials.
        self.starting = list({id(parent): parent for parent in map(self._parent, units)}.values())
        self.drawing: list[_Split] = []
        self.running: list[_Unit] = []
        #: Units to score, in this order, one at a time, in a process without any plugin.
        self.fitted: deque[_Unit] = deque()
        self.scorer: Worker | None = None

    def _unit(self, trials: tuple[Trial, ...], *, alone: bool = False) -> _Unit:
        return _Unit(trials, tuple(self.splits[_split_key(trial)] for trial in trials), alone)

    def results(self) -> Iterator[Result]:
        """Yield one result for every trial, as trials end."""
        while self.waiting or self.running:
            while self._begin_something():
                pass
            for parent in self.starting:
                parent.pump()
            calls = [unit.call for unit in self.running if unit.answer is None]
            calls += [split.call for split in self.drawing]
            scorer = [self.scorer] if self.scorer is not None and self.fitted else []
            if None not in calls:  # do not wait for a unit without a call: its split has failed
                wait([call for call in (*calls, *scorer) if call is not None], POLL)
            self.tell(Passed())
            self.processes.renew()
            self._look_at_scores()
            for split in list(self.drawing):
                if split.call is not None and split.call.poll():
                    self.drawing.remove(split)
                    self._drawn(split)
            for unit in list(self.running):
                yield from self._look(unit)

    def close(self) -> None:
        """End all running calls, and delete the splits."""
        for unit in self.running:
            if unit.call is not None:
                unit.call.close()
            if unit.answer is not None:
                unit.answer.close()
        if self.scorer is not None:
            self.scorer.end()
        for split in self.splits.values():
            split.close()

    def _begin_something(self) -> bool:
        """Start the first unit whose splits are drawn, or draw a split that a unit waits for.

        Returns whether anything was started. Units that are being scored do not count as jobs, and
        one split may be drawn beside the jobs, so that trials need not wait for it.
        """
        room: bool | None = None
        idle = not (self.running or self.drawing)
        if any(unit.alone for unit in self.running) or any(split.alone for split in self.drawing):
            return False
        if len(self.running) >= 2 * self.jobs:
            return False
        n_fitting = sum(unit.answer is None for unit in self.running)
        may_fit = n_fitting < self.jobs
        may_draw = len(self.drawing) < max(1, self.jobs - n_fitting)
        if not may_fit and not may_draw:
            return False
        for unit in self.waiting:
            if unit.alone and not idle:
                return False
            missing = [split for split in unit.splits if not split.is_there]
            if not missing and not may_fit:
                continue
            if not missing:
                self.waiting.remove(unit)
                self._begin(unit)
                return True
            undrawn = next((split for split in missing if split.call is None), None)
            if undrawn is None or not may_draw:
                continue
            if undrawn.alone and not idle:
                return False
            if room is None:
                room = self._has_room()
            if room or idle:
                self._draw(undrawn)
                return True
        return False

    def _has_room(self) -> bool:
        """Whether splits take less than their share of the disk."""
        sizes: dict[Choice, int] = {}
        for split in self.splits.values():
            choice = split.key[0]
            sizes[choice] = max(sizes.get(choice, 0), split.size)
        # A split that is being drawn will be as large as other splits of its dataset.
        used = sum(split.size for split in self.splits.values() if split not in self.drawing)
        used += sum(sizes[split.key[0]] for split in self.drawing)
        return used <= DISK_SHARE * psutil.disk_usage(tempfile.gettempdir()).free

    def _draw(self, split: _Split) -> None:
        parent = self._parent_of(split)
        split.labels = tempfile.TemporaryFile()  # noqa: SIM115  # as long as the split
        split.call = parent.call(
            draw_there,
            split.key[0],
            split.seed,
            split.repeat,
            split.needs,
            split.sketched,
            files=[split.labels.fileno()],
            limits=self.limits,
            kept=True,
        )
        self.drawing.append(split)

    def _drawn(self, split: _Split) -> None:
        call = split.call
        assert call is not None
        name = split.key[0].name
        if call.is_orphan and not split.alone:
            # One of several calls killed the parent that they share; drawing alone shows which.
            split.close()
            split.alone = True
            return
        if _never_began(call) and self._parent_of(split) is not call.parent:
            split.close()
            return
        if call.failure is not None:
            split.fault = blamed(call.failure, name)
            return
        try:
            split_json, arrays = unpack(call.answer)
            fault = fault_of(split_json)
            if fault is None:
                _, labels = unpack(_descriptor(split.labels))
                if mismatch := misfit(split_json, arrays, labels, split.needs):
                    raise PackingError(f"gave {mismatch}")
        except PackingError as error:
            fault = f"dataset '{name}': split {error}", ""
        except (TypeError, ValueError, LookupError, AttributeError, OverflowError) as error:
            fault = f"dataset '{name}': split sent an invalid message: {error}"[:500], ""
        if fault is None:
            split.file, split.call = call.detach(), None
            call.close()
            dataset = self._dataset(split.key[0])
            origin = self.registry.origin("datasets", dataset.name)
            self.registry.learn(origin, dataset.requires, dataset.name, modules_of(split_json))
        else:
            split.fault = Failure("dataset", fault[0], fault[1], call.output())

    def _begin(self, unit: _Unit) -> None:
        self.running.append(unit)
        self.tell(Started(unit.trials))
        if any(split.fault for split in unit.splits):
            return
        seconds = self.limits.seconds
        unit.call = self._parent(unit).call(
            run_there,
            unit.trials,
            self._needs_index(unit),
            self.epochs,
            files=[_descriptor(split.file) for split in unit.splits],
            lent=[_descriptor(split.labels) for split in unit.splits],
            limits=replace(self.limits, seconds=seconds and seconds * len(unit.trials)),
            listen=_listener(unit.trials, self.tell) if self.epochs else None,
            measured=True,
        )

    def _parent(self, unit: _Unit) -> Parent:
        return self.registry.parent(*self._loaded_for(unit.trials[0]))

    def _loaded_for(self, trial: Trial) -> tuple[Origin, tuple[str, ...], str]:
        """The plugin of a trial's model, the modules to load besides, and the model's name."""
        model = self._model(trial)
        requires = (*model.requires, *inner_modules(trial.model))
        return self.registry.origin("models", model.name), requires, model.name

    def _parent_of(self, split: _Split) -> Parent:
        dataset = self._dataset(split.key[0])
        origin = self.registry.origin("datasets", dataset.name)
        return self.registry.parent(origin, dataset.requires, dataset.name)

    def _needs_index(self, unit: _Unit) -> int:
        """The index of the model's needs among those that the splits were prepared for."""
        return unit.splits[0].needs.index(self._model(unit.trials[0]).needs)

    def _look(self, unit: _Unit) -> Iterator[Result]:
        """Yield a unit's results if it has ended; otherwise start its next stage, if it is due."""
        if any(split.fault for split in unit.splits):
            if len(unit.trials) > 1:  # perhaps only some of the repeats have no split
                self._again(unit, self._one_by_one(unit))
            else:
                yield from self._end(unit, self._faults(unit))
        elif unit.call is not None and unit.answer is None:
            if not unit.call.poll():
                return
            if unit.call.is_orphan and not unit.alone:
                # One of several calls killed the parent that they share; running alone shows which.
                self._again(unit, [self._unit(unit.trials, alone=True)])
            elif _never_began(unit.call) and self._parent(unit) is not unit.call.parent:
                # The parent was to load, beforehand, modules that other trials had loaded, and
                # failed. The next parent does without them.
                self._again(unit, [self._unit(unit.trials, alone=unit.alone)])
            elif unit.call.failure is not None:
                failure = unit.call.failure
                if not unit.call.has_begun and not unit.call.is_orphan:
                    packages = ", ".join(self._model(unit.trials[0]).requires) or "its plugin"
                    failure = replace(failure, reason=f"importing {packages}: {failure.reason}")
                yield from self._end(unit, _failed(unit.trials, failure, self._kind(unit)))
            else:
                unit.answer = nameless()
                self.fitted.append(unit)
                if len(self.fitted) == 1:
                    self._score(unit)
        elif unit.score is not None:
            yield from self._end(unit, self._scored(unit, unit.score[1]))

    def _score(self, unit: _Unit) -> None:
        """Start scoring a fitted unit."""
        if self.scorer is None or not self.scorer.usable:
            if self.scorer is not None:
                self.scorer.end()
            self.scorer = Worker(no_plugin, parent=self.processes.root)
        assert unit.call is not None
        files = [_descriptor(unit.answer), unit.call.answer]
        files += [_descriptor(split.file) for split in unit.splits]
        files += [_descriptor(split.labels) for split in unit.splits]
        arguments = unit.trials, self._needs_index(unit), self._kind(unit)
        seconds = self.limits.seconds
        limits = replace(self.limits, seconds=seconds and seconds * len(unit.trials))
        self.scorer.call(score_into, *arguments, limits=limits, files=files)

    def _look_at_scores(self) -> None:
        while self.fitted and self.scorer is not None:
            score = self.scorer.poll()
            if score is None:
                return
            self.fitted.popleft().score = score
            if self.fitted:
                self._score(self.fitted[0])

    def _scored(self, unit: _Unit, failure: Failure | None) -> list[Result]:
        assert unit.call is not None
        if failure is None:
            try:
                answer = _descriptor(unit.answer)
                most = unit.call.most_memory
                results, loaded, noted = results_of(answer, unit.trials, self._kind(unit), most)
            except PackingError as error:
                failure = Failure("exit", str(error))
            else:
                self.registry.learn(*self._loaded_for(unit.trials[0]), loaded)
                folder = folder_of(self._loaded_for(unit.trials[0])[0].path)
                output, read = unit.call.output(), self.contents.of(noted, folder)
                return [
                    replace(result, failure=replace(result.failure, output=output))
                    if result.failure
                    else replace(result, read=read)
                    for result in results
                ]
        reason = f"its predictions cannot be scored: {failure.reason}"
        return _failed(unit.trials, replace(failure, reason=reason), self._kind(unit))

    def _end(self, unit: _Unit, results: list[Result]) -> Iterator[Result]:
        if len(unit.trials) > 1 and any(result.status != "ok" for result in results):
            self._again(unit, self._one_by_one(unit))
            return
        self._close(unit)
        start = unit.call.start_seconds if unit.call is not None else 0.0
        self.tell(Ended(unit.trials, tuple(results), start))
        for split in unit.splits:
            split.users -= 1
            if not split.users:
                split.close()
        yield from results

    def _one_by_one(self, unit: _Unit) -> list[_Unit]:
        return [self._unit((trial,), alone=unit.alone) for trial in unit.trials]

    def _again(self, unit: _Unit, units: list[_Unit]) -> None:
        self._close(unit)
        self.tell(Ended(unit.trials))
        self.waiting.extendleft(reversed(units))

    def _close(self, unit: _Unit) -> None:
        self.running.remove(unit)
        if unit.call is not None:
            unit.call.close()
        if unit.answer is not None:
            unit.answer.close()

    def _faults(self, unit: _Unit) -> list[Result]:
        (trial,), (split,) = unit.trials, unit.splits
        return [Result(trial, "failed", split_kind=self._kind(unit), failure=split.fault)]

    def _kind(self, unit: _Unit) -> Any:
        return self._dataset(unit.trials[0].dataset).kind

    def _dataset(self, choice: Choice) -> Dataset:
        return self.registry.datasets[choice.name]

    def _model(self, trial: Trial) -> Model:
        return self.registry.models[trial.model.name].chosen(trial.model)


def at_a_time(jobs: int | None, n_trials: int) -> int:
    """Number of processes for these trials: `jobs`, or as many as there are cores."""
    return max(1, min(jobs or cores(), n_trials))


def share_of_memory(jobs: int) -> int:
    """Bytes that each of several jobs may use; together they leave some memory free."""
    return int(psutil.virtual_memory().total * MEMORY_SHARE / jobs)


def cores() -> int:
    """Number of cores that this process may use; a container may have fewer than the machine."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _never_began(call: Call) -> bool:
    """Whether the call's parent failed to load what it should, so that the call never started."""
    return call.failure is not None and not call.has_begun and not call.is_orphan


def _split_key(trial: Trial) -> SplitKey:
    return trial.dataset, trial.repeat, trial.seed


def _descriptor(file: IO[bytes] | None) -> int:
    assert file is not None
    return file.fileno()


def _listener(unit: tuple[Trial, ...], tell: Tell) -> Callable[[Any], None]:
    """A function that turns messages of a trial's process into `Reached` events, not too many."""
    last_epoch, last_told = -1, 0.0

    def listen(message: Any) -> None:
        nonlocal last_epoch, last_told
        try:  # a malicious model could send anything, at any rate
            point = point_of(*message)
        except (TypeError, ValueError):
            return
        if last_epoch < point.epoch and time.monotonic() - last_told >= TELL_EVERY:
            last_epoch, last_told = point.epoch, time.monotonic()
            tell(Reached(unit, point))

    return listen


def _failed(trials: Sequence[Trial], failure: Failure, kind: Any) -> list[Result]:
    statuses: dict[str, Status] = {"timeout": "timeout", "exception": "failed"}
    status = statuses.get(failure.kind, "crashed")
    return [Result(trial, status, split_kind=kind, failure=failure) for trial in trials]
