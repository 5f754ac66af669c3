"""A run from beginning to end: plan it, store what comes, take it up again."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.contract.registry import Registry, load
from harness.contract.values import AUTO, AUTO_REPEATS, Failure, Result
from harness.errors import RefusedResultError, UsageError
from harness.runs.looks import next_look, undecided
from harness.store.environment import changes, fingerprint
from harness.store.frames import load_frames
from harness.timing.schedule import of_run
from harness.timing.session import Bench, time_groups
from harness.trials.discovery import Described, discover
from harness.trials.events import Ended, Reached, Started
from harness.trials.executors.local import at_a_time, run_isolated
from harness.trials.plan import Plan, Selection, plan
from harness.trials.trial import run_trial

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Mapping, Sequence

    from harness.contract.values import Choice, Run, TracePoint, Trial
    from harness.store.database import Store
    from harness.trials.events import Tell

TIMEOUT = 600.0
TIMING_BUDGET = 30.0
TIMING_WARM_UP = 0.01  # seconds a workload: there are hundreds
BATCH = 32  # trials in one go; beyond, they need more memory, and no less time each


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked of one run.

    Args:
        selection: datasets, models, devices, repeats, seed.
        plugins: files or modules, besides what is installed.
        name: for people to find the run by.
        jobs: trials at a time; the cores by default.
        timeout: seconds a trial may take.
        memory: bytes a trial may use; by default a share of the machine's.
        timing_budget: seconds in which to time the pairings alone after the trials; 0 for not.
        batching: train the repeats of a pairing in one go where the model offers to.
        in_process: run the trials in this very process, without isolation or limits.
        on_failure: given the exception of a trial that fails in this process; a debugger, say.
    """

    selection: Selection
    plugins: tuple[str, ...] = ()
    name: str = ""
    jobs: int | None = None
    timeout: float = TIMEOUT
    memory: int | None = None
    timing_budget: float = TIMING_BUDGET
    batching: bool = True
    in_process: bool = False
    on_failure: Callable[[BaseException], None] = lambda _: None

    def __post_init__(self) -> None:
        if self.jobs is not None and self.jobs < 1:
            raise UsageError(f"jobs must be at least 1, not {self.jobs}")

    def to_json(self) -> dict[str, Any]:
        """What a later process needs to plan the same trials and run them alike."""
        plugins = [
            str(Path(spec).resolve()) if Path(spec).exists() else spec for spec in self.plugins
        ]
        return asdict(self.selection) | {
            "plugins": plugins,
            "timeout": self.timeout,
            "memory": self.memory,
            "batching": self.batching,
            "timing_budget": self.timing_budget,
        }

    @classmethod
    def from_json(cls, asked: Mapping[str, Any]) -> Request:
        """The request that `to_json` wrote."""
        return cls(
            Selection(
                datasets=tuple(asked["datasets"]),
                models=tuple(asked["models"]),
                devices=tuple(asked["devices"]),
                repeats=asked["repeats"],
                seed=asked["seed"],
                train_sizes=tuple(asked["train_sizes"]),
            ),
            plugins=tuple(asked["plugins"]),
            timeout=asked["timeout"],
            memory=asked["memory"],
            batching=asked["batching"],
            timing_budget=asked["timing_budget"],
        )


@dataclass(frozen=True, slots=True)
class Campaign:
    """A run that is under way: what is planned, what is left, where it is kept.

    Args:
        store: where it is kept.
        run: the run.
        registry: what its trials name.
        request: what was asked.
        plan: the trials, and the pairings that will not run.
        done: keys of those that have a result.
        changed: today's fingerprint, if it differs from the one that the run began with.
        targets: repeats by dataset, where not all that are planned are wanted yet.
    """

    store: Store
    run: Run
    registry: Registry
    request: Request
    plan: Plan
    done: frozenset[str] = frozenset()
    changed: Mapping[str, Any] | None = None
    targets: Mapping[str, int] | None = None

    @property
    def trials(self) -> tuple[Trial, ...]:
        """Those that are wanted by now."""
        return _wanted(self.plan.trials, self.targets)

    @property
    def left(self) -> tuple[Trial, ...]:
        """Trials that are wanted and have no result yet."""
        return tuple(trial for trial in self.trials if trial.key not in self.done)

    def further(self) -> Campaign | None:
        """The same run with more repeats of the datasets whose leaders are undecided.

        None if there are none, which finishes the run, or if the number of repeats was given. All
        that is wanted so far must have been run.
        """
        if self.targets is None:
            return None
        frames = load_frames(self.store, self.run)
        now = max(self.targets.values(), default=0)
        targets = next_look(self.targets, undecided(frames.results, frames.predictions, now))
        if not targets:
            self._finish()
            return None
        n_trials = len(_wanted(self.plan.trials, targets)) + len(self.plan.skips)
        # A run that is taken up may have got further than this look.
        run = self.store.extend(self.run, max(n_trials, self.run.n_trials))
        return replace(self, run=run, targets=targets, done=frozenset(self.store.done(self.run)))

    def _finish(self) -> None:
        """Mark the run as finished, if every planned trial has a result."""
        if self.run.finished is None and len(self.store.done(self.run)) == self.run.n_trials:
            self.store.finish(self.run)

    @property
    def jobs(self) -> int:
        """How many trials, or batches of them, run at a time."""
        return 1 if self.request.in_process else at_a_time(self.request.jobs, len(self.left))

    def results(
        self, tell: Tell = lambda _: None, *, epochs: bool = False
    ) -> Generator[Result, None, None]:
        """Run what is left; each result is in the store before it comes out here.

        Args:
            tell: given what happens meanwhile.
            epochs: whether to tell of the epochs of trials that are under way, too.
        """
        if self.changed and (self.left or self._is_to_be_timed):
            self.store.update_environment(self.run, self.changed)
        positions = {trial.key: i for i, trial in enumerate(self.plan.trials)}
        for position, skip in enumerate(self.plan.skips, start=len(positions)):
            if f"skip-{position}" not in self.done:
                baseline = self.registry.models[skip.model.name].baseline
                self.store.add_skip(self.run, position, skip, baseline=baseline)
        for result in self._execute(tell, epochs=epochs):
            baseline = self.registry.models[result.trial.model.name].baseline
            yield self._kept(positions[result.trial.key], result, baseline=baseline)
        if self.targets is None:  # otherwise `further` tells whether this was all
            self._finish()

    def _kept(self, position: int, result: Result, *, baseline: bool) -> Result:
        """A result once it is in the store; a failure where the store takes another one only."""
        try:
            self.store.add(self.run, position, result, baseline=baseline)
        except RefusedResultError as refusal:
            failure = Failure("exception", f"its result cannot be stored: {refusal}")
            result = Result(result.trial, "failed", split_kind=result.split_kind, failure=failure)
            with suppress(RefusedResultError):  # then it is lost, and the run goes on
                self.store.add(self.run, position, result, baseline=baseline)
        return result

    @property
    def _is_to_be_timed(self) -> bool:
        """Whether there is time for it, and nothing came of it before."""
        request = self.request
        if request.in_process or not request.timing_budget:
            return False
        return all(timing.status != "ok" for timing in self.store.timings(self.run))

    def time(
        self,
        tell: Callable[[int, str], None] = lambda _process, _case: None,
        *,
        interrupts: tuple[type[BaseException], ...] = (),
    ) -> str:
        """Time what came to something, alone; the timings are in the store when this returns.

        Args:
            tell: called with the number of the process and the dataset that it turns to.
            interrupts: exceptions at which it ends and stores what is known by then; they go on
                from here.

        Returns:
            What was done, in words; empty where nothing was to be timed.
        """
        request = self.request
        if not self._is_to_be_timed:
            return ""
        frames = load_frames(self.store, self.run)
        agenda = of_run(self.registry, frames, self.trials, request.timing_budget)
        if isinstance(self.registry, Described):
            # What a plugin has left running in the process that loaded it would take its time.
            self.registry.processes.close()
        if not agenda.groups and not agenda.late:
            return ""
        bench = Bench(
            agenda.groups,
            request.plugins,
            budget=request.timing_budget,
            memory=request.memory,
            warm_up=TIMING_WARM_UP,
            most=None,
        )
        if not agenda.groups:
            self.store.add_timings(self.run, agenda.late)
            return f"nothing can be timed within {request.timing_budget:g} s"
        stops: list[BaseException] = []
        session = time_groups(bench, tell=tell, interrupts=interrupts, note=stops.append)
        if any(timing.status == "ok" for timing in session.timings) or not stops:
            self.store.add_timings(self.run, (*session.timings, *agenda.late))
            facts = session.facts(request.timing_budget)
            self.store.add_environment(self.run, {"timing": facts})
        if stops:
            raise stops[0]
        return str(session)

    def _execute(self, tell: Tell, *, epochs: bool) -> Iterator[Result]:
        request = self.request
        if request.in_process:
            return self._run_here(tell, epochs=epochs)
        described = self.registry if isinstance(self.registry, Described) else None
        return run_isolated(
            self.left,
            request.plugins,
            registry=described,
            batches=self._batches(),
            jobs=request.jobs,
            seconds=request.timeout,
            memory=request.memory,
            tell=tell,
            epochs=epochs,
        )

    def _run_here(self, tell: Tell, *, epochs: bool) -> Iterator[Result]:
        def on_failure(error: BaseException) -> None:
            # Without isolation Ctrl-C reaches the model, but it is meant for us.
            if not isinstance(error, Exception | SystemExit):
                raise error
            self.request.on_failure(error)

        for trial in self.left:

            def reached(point: TracePoint, unit: tuple[Trial, ...] = (trial,)) -> None:
                tell(Reached(unit, point))

            tell(Started((trial,)))
            result = run_trial(
                trial, self.registry, on_failure=on_failure, tell=reached if epochs else None
            )
            tell(Ended((trial,), (result,)))
            yield result

    def _batches(self) -> list[list[Trial]]:
        """The repeats that are left of each pairing, where its model trains several in one go.

        On an accelerator those of every model: a process takes long to get hold of the device.
        """
        if not self.request.batching:
            return []
        repeats: dict[tuple[Choice, Choice, str], list[Trial]] = {}
        for trial in self.left:
            together = self.registry.models[trial.model.name].fit_together is not None
            if together or trial.device != "cpu":
                repeats.setdefault((trial.dataset, trial.model, trial.device), []).append(trial)
        return [
            trials[start : start + BATCH]
            for trials in repeats.values()
            for start in range(0, len(trials), BATCH)
            if len(trials[start : start + BATCH]) > 1
        ]


def begin(store: Store, registry: Registry, request: Request, planned: Plan) -> Campaign:
    """A new run of what is asked and planned."""
    targets = _first_targets(request, planned)
    run = store.begin(
        request.name,
        request.to_json(),
        fingerprint(registry),
        len(_wanted(planned.trials, targets)) + len(planned.skips),
    )
    return Campaign(store, run, registry, request, planned, targets=targets)


def _first_targets(request: Request, planned: Plan) -> dict[str, int] | None:
    if request.selection.repeats != AUTO:
        return None
    return {str(trial.dataset): AUTO_REPEATS[0] for trial in planned.trials}


def _wanted(trials: Sequence[Trial], targets: Mapping[str, int] | None) -> tuple[Trial, ...]:
    if targets is None:
        return tuple(trials)
    return tuple(trial for trial in trials if trial.repeat < targets[str(trial.dataset)])


def resume(
    store: Store,
    wanted: str | None,
    *,
    accept_changes: bool = False,
    jobs: int | None = None,
    in_process: bool = False,
) -> Campaign:
    """A run taken up where it was interrupted, with the same request.

    Args:
        store: that has the run.
        wanted: id or name; None for the newest.
        accept_changes: go on although code or packages have changed since.
        jobs: trials at a time.
        in_process: without isolation.

    Raises:
        UsageError: there is no such run, or something that may change a score has changed.
    """
    run = store.find(wanted)
    if run.kind == "bench":
        raise UsageError(f"run {run.id} is a bench, which has no trials; make another")
    request = replace(Request.from_json(run.asked), jobs=jobs, in_process=in_process)
    registry: Registry = load(request.plugins) if in_process else discover(request.plugins)
    now = fingerprint(registry)
    changed = changes(run.environment, now)
    if changed and not accept_changes:
        raise UsageError(
            f"since run {run.id} began, {'; '.join(changed)}; "
            "its scores may not compare: start a new run, or add --accept-changes"
        )
    planned = plan(registry, request.selection)
    done = frozenset(store.done(run))
    targets = _first_targets(request, planned)
    campaign = Campaign(
        store, run, registry, request, planned, done, now if changed else None, targets
    )
    while not campaign.left and (more := campaign.further()):
        campaign = more
    return campaign
