"""A run from beginning to end: plan it, store its results and timings, resume it."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.contract.own_scores import LIKELIHOOD, NLL
from harness.contract.registry import Registry, load
from harness.contract.values import AUTO, AUTO_REPEATS, Failure, Planned, Result
from harness.errors import RefusedResultError, UsageError
from harness.runs.identity import Identities
from harness.runs.metrics import chosen_metrics, with_metrics
from harness.runs.reuse import known_results, known_timings
from harness.store.environment import changes, fingerprint
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
TIMING_WARM_UP = 0.01  # seconds of warm-up a workload; short, because a run has hundreds
BATCH = 32  # trials a batch, at most; larger batches need more memory and save no time


@dataclass(frozen=True, slots=True)
class Request:
    """The request for a run: what to run, and how.

    Args:
        selection: datasets, models, devices, repeats, seed.
        plugins: files or modules, besides installed plugins.
        metrics: selectors of the scores that its tables show; empty for the usual ones.
        name: the run's name, for people.
        jobs: trials at a time; by default the number of cores.
        timeout: time limit of a trial, in seconds.
        memory: memory limit of a trial, in bytes; by default a share of the machine's.
        timing_budget: seconds for timing the pairings after the trials, one at a time; 0 to skip.
        batching: fit the repeats of a pairing together if the model has `fit_together`.
        fresh: run every trial, even if the store has its result already.
        in_process: run the trials in this process, without isolation or limits; every trial, and
            later runs do not use their results.
        on_failure: called with the exception of a trial that fails in this process, for example to
            debug it.
    """

    selection: Selection
    plugins: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()
    name: str = ""
    jobs: int | None = None
    timeout: float = TIMEOUT
    memory: int | None = None
    timing_budget: float = TIMING_BUDGET
    batching: bool = True
    fresh: bool = False
    in_process: bool = False
    on_failure: Callable[[BaseException], None] = lambda _: None

    def __post_init__(self) -> None:
        if self.jobs is not None and self.jobs < 1:
            raise UsageError(f"jobs must be at least 1, not {self.jobs}")

    def to_json(self) -> dict[str, Any]:  # JSON, with values of several types
        """The request as JSON, from which a later process can plan and run the same trials."""
        plugins = [
            str(Path(spec).resolve()) if Path(spec).exists() else spec for spec in self.plugins
        ]
        return asdict(self.selection) | {
            "plugins": plugins,
            "timeout": self.timeout,
            "memory": self.memory,
            "batching": self.batching,
            "fresh": self.fresh,
            "timing_budget": self.timing_budget,
            "metrics": self.metrics,
        }

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Request:
        """The request that `to_json` wrote."""
        return cls(
            Selection(
                datasets=tuple(fields["datasets"]),
                models=tuple(fields["models"]),
                devices=tuple(fields["devices"]),
                repeats=fields["repeats"],
                seed=fields["seed"],
                train_sizes=tuple(fields["train_sizes"]),
            ),
            plugins=tuple(fields["plugins"]),
            timeout=fields["timeout"],
            memory=fields["memory"],
            batching=fields["batching"],
            fresh=fields.get("fresh", True),  # as runs of earlier schemas were
            timing_budget=fields["timing_budget"],
            metrics=tuple(fields.get("metrics", ())),  # unknown to earlier schemas
        )


@dataclass(frozen=True, slots=True)
class Campaign:
    """A run in progress: its plan, its store, and the trials that are left.

    Args:
        store: the database that the run is stored in.
        run: the run.
        registry: has the trials' datasets and models.
        request: the user's request.
        plan: the trials, and the pairings that are skipped.
        done: keys of the trials that have a result.
        known: the run that each trial comes from whose result was known, by the trial's key.
        changed: the present fingerprint as JSON, if it differs from that at the start of the run.
        targets: with ``--repeats auto``, the number of repeats by dataset so far; else None.
        identities: tells what the scores of each trial follow from.
    """

    store: Store
    run: Run
    registry: Registry
    request: Request
    plan: Plan
    done: frozenset[str] = frozenset()
    changed: Mapping[str, Any] | None = None
    targets: Mapping[str, int] | None = None
    identities: Identities | None = None
    known: Mapping[str, int] = field(default_factory=dict)

    @property
    def trials(self) -> tuple[Trial, ...]:
        """The planned trials within the number of repeats so far."""
        return _wanted(self.plan.trials, self.targets)

    @property
    def left(self) -> tuple[Trial, ...]:
        """The trials that have no result yet."""
        return tuple(trial for trial in self.trials if trial.key not in self.done)

    def further(self) -> Campaign | None:
        """The same run with more repeats of the datasets whose leaders by `decisive` are undecided.

        None if the number of repeats was given, or if no dataset is undecided or has repeats left;
        the latter finishes the run. All trials so far must have a result.
        """
        if self.targets is None:
            return None
        # These bring pandas and SciPy, which trials do not have to wait for.
        from harness.runs.looks import next_look, undecided
        from harness.store.frames import load_frames

        frames = load_frames(self.store, self.run)
        frames = with_metrics(frames, self.registry, self._metrics[:1])
        repeats_so_far = max(self.targets.values(), default=0)
        names = undecided(
            frames.results,
            frames.predictions,
            repeats_so_far,
            score=NLL if self.decisive == LIKELIHOOD else self.decisive,
            scales=frames.scales,
            metric_rows=frames.metric_rows,
        )
        targets = next_look(self.targets, names)
        if not targets:
            self._finish()
            return None
        wanted, run = _wanted(self.plan.trials, targets), self.run
        n_trials = len(wanted) + len(self.plan.skips)
        if n_trials > run.n_trials:  # a resumed run may have got beyond this look before
            run = self.store.extend(run, n_trials, _planned(self.registry, wanted))
        done = frozenset(self.store.done(self.run))
        return replace(self, run=run, targets=targets, done=done).with_known()

    def with_known(self) -> Campaign:
        """The same run, with known results for the trials that are left, unless it is fresh."""
        registry, identities = self.registry, self.identities
        if self.request.fresh or identities is None or not isinstance(registry, Described):
            return self
        found = known_results(self.store, registry, self.request, identities, self.left)
        positions = {trial.key: i for i, trial in enumerate(self.plan.trials)}
        rows = [(each.key, positions[each.key], known.result_id) for each, known in found.items()]
        self.store.reuse(self.run, rows)
        of_runs = {trial.key: known.run_id for trial, known in found.items()}
        return replace(self, done=self.done | of_runs.keys(), known={**self.known, **of_runs})

    @property
    def decisive(self) -> str:
        """Name of the score by which `further` decides: the first metric, or the likelihood."""
        return str(self._metrics[0]) if self._metrics else LIKELIHOOD

    @property
    def _metrics(self) -> list[Choice]:
        return chosen_metrics(self.registry, self.request.metrics)

    def _finish(self) -> None:
        """Mark the run as finished, if every planned trial has a result."""
        if self.run.finished is None and len(self.store.done(self.run)) == self.run.n_trials:
            self.store.finish(self.run)

    @property
    def jobs(self) -> int:
        """Number of trials, or batches of trials, at a time."""
        return 1 if self.request.in_process else at_a_time(self.request.jobs, len(self.left))

    def results(
        self, tell: Tell = lambda _: None, *, epochs: bool = False
    ) -> Generator[Result, None, None]:
        """Run the trials that are left; each result is stored before it is yielded.

        Args:
            tell: called with every event.
            epochs: whether to report the epochs of running trials, too.
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
        if self.targets is None:  # otherwise `further` decides whether more repeats follow
            self._finish()

    def _kept(self, position: int, result: Result, *, baseline: bool) -> Result:
        """Store a result and return it; if the store refuses it, store a failure instead."""
        try:
            identity = self.identities.of(result.trial) if self.identities else ""
            self.store.add(self.run, position, result, baseline=baseline, identity=identity)
        except RefusedResultError as refusal:
            failure = Failure("exception", f"its result cannot be stored: {refusal}")
            result = Result(result.trial, "failed", split_kind=result.split_kind, failure=failure)
            with suppress(RefusedResultError):  # then the result is lost, but the run goes on
                self.store.add(self.run, position, result, baseline=baseline)
        return result

    @property
    def _is_to_be_timed(self) -> bool:
        """Whether the run has a timing budget and no successful timing yet."""
        request = self.request
        if request.in_process or not request.timing_budget:
            return False
        timings = self.store.timings(self.run)
        return all(timing.status != "ok" or timing.measured for timing in timings)

    def time(
        self,
        tell: Callable[[int, str], None] = lambda _process, _case: None,
        *,
        interrupts: tuple[type[BaseException], ...] = (),
    ) -> str:
        """Time the pairings that succeeded, one at a time, and store the timings.

        Args:
            tell: called with the number of the process and the dataset that it times next.
            interrupts: exceptions that end the timing; timings so far are stored, and the exception
                is raised again.

        Returns:
            A summary for the user; empty if there was nothing to time.
        """
        request = self.request
        if not self._is_to_be_timed:
            if isinstance(self.registry, Described) and not request.metrics:
                self.registry.processes.let_go()  # they end while the tables are made
            return ""
        from harness.store.frames import load_frames

        frames = load_frames(self.store, self.run)
        kept = known_timings(self.store, self.run, frames.results, request.timing_budget)
        if kept:
            self.store.add_timings(self.run, kept)
        pairings = {(timing.case, timing.subject, timing.device) for timing in kept}
        to_time = [
            trial
            for trial in self.trials
            if (str(trial.dataset), str(trial.model), trial.device) not in pairings
        ]
        schedule = of_run(self.registry, frames, to_time, request.timing_budget)
        if isinstance(self.registry, Described):
            # Threads that a plugin left running in its process would slow the timings down.
            self.registry.processes.close()
        if not schedule.groups and not schedule.late:
            return ""
        bench = Bench(
            schedule.groups,
            request.plugins,
            budget=request.timing_budget,
            memory=request.memory,
            warm_up=TIMING_WARM_UP,
            most=None,
        )
        if not schedule.groups:
            self.store.add_timings(self.run, (*kept, *schedule.late))
            return f"no model can be timed within {request.timing_budget:g} s; allow a longer time"
        stops: list[BaseException] = []
        session = time_groups(bench, tell=tell, interrupts=interrupts, note=stops.append)
        if any(timing.status == "ok" for timing in session.timings) or not stops:
            self.store.add_timings(self.run, (*kept, *session.timings, *schedule.late))
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
            # Without isolation Ctrl-C interrupts the model, but is meant for the run.
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
        """Batches of the trials that are left: repeats of one pairing whose model fits several.

        On an accelerator the repeats of every model form batches, because a process takes long to
        initialize the device.
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
    """Store a new run, with the results that are known already, and return its campaign."""
    targets = _first_targets(request, planned)
    wanted = _wanted(planned.trials, targets)
    identities = Identities(registry, planned.trials, isolated=not request.in_process)
    run = store.begin(
        request.name,
        request.to_json(),
        fingerprint(registry, identities.installed),
        len(wanted) + len(planned.skips),
        _planned(registry, wanted),
    )
    campaign = Campaign(
        store, run, registry, request, planned, targets=targets, identities=identities
    )
    return campaign.with_known()


def _first_targets(request: Request, planned: Plan) -> dict[str, int] | None:
    if request.selection.repeats != AUTO:
        return None
    return {str(trial.dataset): AUTO_REPEATS[0] for trial in planned.trials}


def _wanted(trials: Sequence[Trial], targets: Mapping[str, int] | None) -> tuple[Trial, ...]:
    if targets is None:
        return tuple(trials)
    return tuple(trial for trial in trials if trial.repeat < targets[str(trial.dataset)])


def _planned(registry: Registry, trials: Sequence[Trial]) -> tuple[Planned, ...]:
    """The pairings of trials and their numbers of repeats, in the order of the trials."""
    repeats = Counter((trial.dataset, trial.model, trial.device) for trial in trials)
    return tuple(
        Planned(str(dataset), str(model), device, n, registry.models[model.name].baseline)
        for (dataset, model, device), n in repeats.items()
    )


def resume(
    store: Store,
    wanted: str | None,
    *,
    accept_changes: bool = False,
    jobs: int | None = None,
    in_process: bool = False,
) -> Campaign:
    """Resume an interrupted run, with the same request.

    Args:
        store: the database that has the run.
        wanted: the run's id or name; None for the newest run.
        accept_changes: resume even if code or packages have changed since the start.
        jobs: trials at a time.
        in_process: run the trials in this process, without isolation.

    Raises:
        UsageError: there is no such run, it has no trials, or something that may change a score
            has changed since it started.
    """
    run = store.find(wanted)
    if run.kind == "bench":
        raise UsageError(
            f"run {run.id} was made by `harness bench` and cannot be resumed; start "
            f"`harness bench` again"
        )
    request = replace(Request.from_json(run.asked), jobs=jobs, in_process=in_process)
    registry: Registry = (
        load(request.plugins) if in_process else discover(request.plugins, strict=False)
    )
    environment = fingerprint(registry)
    changed = changes(run.environment, environment)
    if changed and not accept_changes:
        raise UsageError(
            f"since run {run.id} began, {'; '.join(changed)}; "
            "new scores may not be comparable: start a new run, or add --accept-changes"
        )
    planned = plan(registry, request.selection)
    done = frozenset(store.done(run))
    targets = _first_targets(request, planned)
    present = environment if changed else None
    identities = Identities(registry, planned.trials, isolated=not in_process)
    campaign = Campaign(store, run, registry, request, planned, done, present, targets, identities)
    while not campaign.left and (extended := campaign.further()):
        campaign = extended
    return campaign
