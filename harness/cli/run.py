"""``harness run``."""

from __future__ import annotations

import shlex
import sys
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from harness.cli import options
from harness.cli.compare import find_run
from harness.cli.reports import show_after_run
from harness.cli.stopping import Terminated, stop_status, terminable
from harness.cli.streams import aside
from harness.errors import UsageError
from harness.settings import read_settings
from harness.terminal.console import complain_of, out, remark, write
from harness.words import listed, plural

if TYPE_CHECKING:
    from harness.cli.options import GivenOptions
    from harness.contract.registry import Registry
    from harness.contract.values import Run
    from harness.runs.campaign import Campaign, Request
    from harness.store.database import Store
    from harness.trials.discovery import Described
    from harness.trials.plan import Plan, Selection

FAILED, BROKEN_DATASET, NOTHING = 1, 2, 4
"""Exit statuses: a trial or timing failed, a dataset is broken, no trial succeeded."""

LIBRARIES = ("sqlalchemy", "pandas", "scipy.special")
"""Modules to import while the plugins' processes start."""

ASKED = (
    *("datasets", "models", "repeats", "seed", "device", "timeout", "memory", "name"),
    *("timing_budget", "no_timing", "no_batching", "train_sizes", "metrics", "fresh"),
)
"""Options that `--resume` refuses, because the interrupted run has stored their values."""


@click.command(
    name="run", cls=options.Command, short_help="Run models on datasets and print ranked tables."
)
@click.option("--all", "everything", is_flag=True, help="Run every dataset with every model.")
@options.dataset_option(
    "Datasets to run: a name, a glob, TAG:GLOB or a file; [a=1|2,b=3] sets parameters; repeatable."
)
@options.model_option(
    "Models to run, selected like datasets, or a class, such as sklearn.svm:SVC; repeatable."
)
@click.option(
    "-r",
    "--repeats",
    type=options.REPEATS,
    metavar="N|auto",
    help="Repeats (splits) of each dataset; auto: 5, then 10, 20, 40 while models tie [5].",
)
@click.option(
    "--train-sizes",
    type=options.WHOLE,
    metavar="N,...",
    help="Numbers of training rows; a learning curve [all rows].",
)
@click.option("--seed", type=click.IntRange(0), help="Seed of everything random [0].")
@click.option(
    "--device",
    multiple=True,
    metavar="NAME",
    help="Device to run on, such as cuda:0; if repeated, each trial runs on each device [cpu].",
)
@click.option(
    "-j", "--jobs", type=click.IntRange(1), help="Trials that run in parallel [number of cores]."
)
@click.option("--timeout", type=options.TIME, help="Time limit of a trial: 90s, 5m, 1h [10m].")
@click.option(
    "--memory",
    type=options.SIZE,
    help="Memory limit of a trial: 500M, 2G [80% of the memory / jobs].",
)
@click.option(
    "--resume",
    is_flag=False,
    flag_value="",
    metavar="[RUN]",
    help="Continue an interrupted run with its options [the newest run].",
)
@click.option(
    "--accept-changes", is_flag=True, help="With --resume: continue even if code has changed."
)
@click.option("--fresh", is_flag=True, help="Run every trial, even if its result is known.")
@click.option(
    "--dry-run", is_flag=True, help="Print which trials would run, and which are skipped and why."
)
@options.file_options
@options.metric_option()
@options.store_option
@options.plugin_option
@click.option("--name", default="", help="Name of the run, for later commands.")
@click.option("--watch", is_flag=True, help="Show the likelihood after each epoch.")
@click.option("--no-progress", is_flag=True, help="Show no progress.")
@click.option("-v", "--verbose", is_flag=True, help="Print all tables and how to read them.")
@click.option("--json", "as_json", is_flag=True, help="Print the tables as JSON.")
@click.option(
    "--timing-budget",
    type=options.TIME,
    help="Time limit for timing all models once more, one at a time, after the trials [30s].",
)
@click.option("--no-timing", is_flag=True, help="Do not time the models again after the trials.")
@click.option(
    "--no-batching", is_flag=True, help="Train repeats one by one, not many networks at once."
)
@click.option("--in-process", is_flag=True, help="No isolation and no limits, for debugging.")
@click.option("--pdb", is_flag=True, help="Debug a trial that fails; needs --in-process.")
@click.pass_context
def command(ctx: click.Context, /, **given: Any) -> None:
    """Run every selected dataset with every selected model.

    A trial fits a model on one split of a dataset, and its result is stored at once. It does not
    run again if the store has its result from the same code, data, package versions and seed. At
    the end, ranked tables are printed; `harness report` prints them again.  Baselines (models that
    ignore the features) are part of every run.

    \b
      harness run --all
      harness run -d 'toy:*' -m 'torch-*' -r 10    # all datasets with the tag toy
      harness run -d iris -m 'numpy-softmax[l2=0|0.1|1]'
    """  # noqa: D301  # click wants the character, not its escape
    if given["resume"] is None:
        _use_settings(ctx, given)
    else:
        _use_settings_for_resume(ctx, given)
    _refuse_contradictions(ctx, given)
    if given["resume"] is None:
        files, given["datasets"] = options.open_files(given["datasets"], given)
        classes, given["models"] = options.open_classes(given["models"], strict=False)
        given["plugins"] = (*given["plugins"], *files, *classes)
    if given["dry_run"]:
        ctx.exit(_dry_run(given))
    if given["resume"] is not None:
        with closing(options.open_store(given["store"])) as store:
            ctx.exit(_run(_resume(store, given), given))
    url = options.store_url(given["store"])
    registry = (
        options.load_here(given["plugins"])
        if given["in_process"]
        else options.discover(given["plugins"], meanwhile=LIBRARIES, strict=False)
    )
    from harness.trials.plan import plan

    planned = plan(registry, _selection(given))
    # The datasets' processes load libraries while this process opens the store.
    registry.begin_loading({trial.dataset.name for trial in planned.trials})
    from harness.contract.values import AUTO
    from harness.runs.campaign import begin
    from harness.runs.metrics import chosen_metrics
    from harness.store.database import Store

    request = _request(given)
    chosen_metrics(registry, request.metrics)  # refuses an unknown metric before anything runs
    _tell_notes(registry, planned)
    with closing(Store(url, create=True)) as store:
        campaign = begin(store, registry, request, planned)
        if campaign.known:
            remark(_known(campaign))
        # These remarks are about the likelihood only.
        if request.selection.repeats != AUTO and campaign.left and not request.metrics:
            _tell_before(
                store, registry, planned, 1 + max(trial.repeat for trial in planned.trials)
            )
        ctx.exit(_run(campaign, given))


RECENT = 5
"""Number of the newest finished runs in which the planned pairings are looked up."""


def _known(campaign: Campaign) -> str:
    """A line on the trials whose results earlier runs have."""
    n_trials, n_known, n_left = len(campaign.trials), len(campaign.known), len(campaign.left)
    ids = sorted(set(campaign.known.values()))
    runs = f"run{'s' if len(ids) > 1 else ''} {listed(ids, most=4)}"
    told = f"{plural(n_trials, 'trial')}: {n_known} known, {n_left} to run"
    return f"{told} (known from {runs}; --fresh runs all)"


def _tell_notes(registry: Registry, planned: Plan) -> None:
    """Print what the planned datasets and models say about themselves."""
    datasets = dict.fromkeys(trial.dataset.name for trial in planned.trials)
    models = dict.fromkeys(trial.model.name for trial in planned.trials)
    for offers, names in ((registry.datasets, datasets), (registry.models, models)):
        for name in names:
            for note in offers[name].notes:
                remark(f"{name}: {note}")


def _tell_before(store: Store, registry: Registry, planned: Plan, repeats: int) -> None:
    """Print which differences the planned repeats can detect.

    The variances come from the newest finished run that contains all planned pairings, with the
    same files and options.
    """
    from harness.store.environment import files_of

    planned_pairings = {(str(trial.dataset), str(trial.model)) for trial in planned.trials}
    names = {trial.dataset.name for trial in planned.trials}
    files = files_of(registry, names)

    def has_same_files(run: Run) -> bool:
        then = run.environment.get("files", {})
        return {name: then[name] for name in names if name in then} == files

    finished = [
        run for run in store.runs() if run.finished and run.kind == "trials" and has_same_files(run)
    ]
    for run in finished[: -1 - RECENT : -1]:
        if planned_pairings <= {(pairing.dataset, pairing.model) for pairing in run.planned}:
            from harness.analysis.two_runs import told_by_repeats
            from harness.store.frames import load_frames

            frames = load_frames(store, run)
            results = frames.results
            pairings = zip(results["dataset"], results["model"], strict=True)
            results = results[[pairing in planned_pairings for pairing in pairings]]
            for line in told_by_repeats(replace(frames, results=results), repeats):
                remark(f"from the variances in run {run.id}: {line}")
            return


def _refuse_contradictions(ctx: click.Context, given: GivenOptions) -> None:
    """Check that the options can be used together.

    Raises:
        UsageError: they cannot.
    """
    typed = click.core.ParameterSource.COMMANDLINE
    if given["no_timing"] and ctx.get_parameter_source("timing_budget") == typed:
        raise UsageError("--no-timing and --timing-budget contradict each other; leave one out")
    if given["dry_run"] and given["as_json"]:
        raise UsageError("--dry-run has no tables to print as JSON; leave --json out")
    if given["pdb"] and not given["in_process"]:
        raise UsageError("--pdb needs --in-process: a debugger cannot reach into a worker")
    if given["watch"] and (given["no_progress"] or given["pdb"]):
        other = "--pdb" if given["pdb"] else "--no-progress"
        raise UsageError(f"--watch and {other} cannot be used together; leave one out")


def _use_settings_for_resume(ctx: click.Context, given: GivenOptions) -> None:
    """Take the number of jobs from the settings; a resumed run has stored everything else.

    Raises:
        UsageError: an option was given that the run has stored already.
    """
    defaults = read_settings().run
    refused = [
        name
        for name in ASKED
        if ctx.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE
    ]
    if refused or given["everything"] or given["plugins"]:
        parameter = refused[0] if refused else "plugin" if given["plugins"] else "all"
        option = {"datasets": "dataset", "models": "model", "metrics": "metric"}.get(
            parameter, parameter
        )
        raise UsageError(
            "--resume uses the options that the run was started with; leave out "
            f"--{option.replace('_', '-')}"
        )
    given["jobs"] = given["jobs"] or defaults.get("jobs")


def _use_settings(ctx: click.Context, given: GivenOptions) -> None:
    """Take options that were not given from the nearest pyproject.toml, and check the selection.

    Command line and environment take precedence over the settings.

    Raises:
        UsageError: options contradict each other, or nothing is selected.
    """
    defaults = read_settings().run
    if given["everything"] and (given["datasets"] or given["models"]):
        raise UsageError("--all selects every dataset and model; leave it out to use -d or -m")
    for name, value in defaults.items():
        selected_by_all = given["everything"] and name in ("datasets", "models")
        if not given[name] and given[name] != 0 and not selected_by_all:
            parse = {
                "timeout": options.TIME,
                "timing_budget": options.TIME,
                "memory": options.SIZE,
            }.get(name)
            given[name] = parse.convert(value, None, ctx) if parse else value
    if not (given["everything"] or given["datasets"] or given["models"]):
        raise UsageError("nothing is selected; add --all, or -d and -m (`harness list` has names)")


def _selection(given: GivenOptions) -> Selection:
    from harness.trials.plan import SEED, Selection

    return Selection(
        datasets=tuple(given["datasets"]),
        models=tuple(given["models"]),
        devices=tuple(given["device"]) or ("cpu",),
        repeats=given["repeats"],
        seed=SEED if given["seed"] is None else given["seed"],
        train_sizes=given["train_sizes"] or (),
    )


def _request(given: GivenOptions) -> Request:
    from harness.runs.campaign import TIMEOUT, Request

    return Request(
        _selection(given),
        plugins=options.all_plugins(given["plugins"]),
        metrics=tuple(given["metrics"]),
        name=given["name"],
        jobs=given["jobs"],
        timeout=TIMEOUT if given["timeout"] is None else given["timeout"],
        memory=given["memory"],
        timing_budget=_timing_budget(given),
        batching=not given["no_batching"],
        fresh=given["fresh"],
        in_process=given["in_process"],
        on_failure=_debug if given["pdb"] else lambda _: None,
    )


def _timing_budget(given: GivenOptions) -> float:
    from harness.runs.campaign import TIMING_BUDGET

    if given["no_timing"]:
        return 0.0
    return TIMING_BUDGET if given["timing_budget"] is None else float(given["timing_budget"])


def _resume(store: Store, given: GivenOptions) -> Campaign:
    from harness.runs.campaign import resume

    run = find_run(store, given["resume"] or None)
    campaign, printed = aside(
        lambda: resume(
            store,
            str(run.id),
            accept_changes=given["accept_changes"],
            jobs=given["jobs"],
            in_process=given["in_process"],
        )
    )
    options.close_with_command(campaign.registry)
    if printed:
        remark(printed)
    complain_of(campaign.registry.faults)
    n_left = len(campaign.left)
    remark(
        f"run {campaign.run.id}: {n_left} of {campaign.run.n_trials} left to run"
        if n_left
        else f"run {campaign.run.id} is complete; nothing is left to run"
    )
    return campaign


def _run(campaign: Campaign, given: GivenOptions) -> int:
    """Run a campaign, print its report and give the exit status."""
    from harness.terminal.display import display, timing_display

    store, watch = campaign.store, given["watch"]
    shown = not given["no_progress"] and not given["pdb"]
    if campaign.request.in_process and campaign.request.timing_budget:
        remark("with --in-process, models are not timed after the trials")
    with terminable():
        try:
            extended: Campaign | None = campaign
            while extended is not None:
                campaign = extended
                with (
                    display(campaign, shown=shown, watch=watch) as tell,
                    closing(campaign.results(tell, epochs=watch)) as results,
                ):
                    for _ in results:
                        pass
                if extended := campaign.further():
                    remark(_added(campaign, extended))
            with timing_display(shown=shown, watch=watch) as tell_case:
                timed = campaign.time(tell_case, interrupts=(KeyboardInterrupt, Terminated))
        except (KeyboardInterrupt, Terminated) as stop:
            return _interrupted(campaign, stop, named=bool(given["store"]))
    from harness.analysis.two_runs import told_by_repeats
    from harness.store.frames import load_frames

    frames = load_frames(store, store.find(str(campaign.run.id)))
    frames = options.with_metrics(frames, campaign.registry, campaign.request.metrics)
    if given["as_json"]:
        from harness.analysis.ranking import tables
        from harness.sheets.texts import json_text

        write(json_text(frames, tables(frames)))
    else:
        show_after_run(campaign.registry, frames, verbose=given["verbose"])
        n_known, n_trials = len(campaign.known), len(campaign.trials)
        reused = f"{n_known} of {n_trials} results reused" if n_known else "all results new"
        remark(
            f"run {campaign.run.id} is in {store.name}, {reused}; "
            f"to print this again: harness report{_store_words(store, named=bool(given['store']))}"
        )
        if timed:
            remark(f"models were {timed}; scores do not depend on these timings")
        remark("your table: harness run -d TABLE.csv --target COLUMN")
        remark("your model: harness run -m FILE.py:CLASS")
        for line in told_by_repeats(frames) if given["verbose"] and not frames.metrics else ():
            remark(line)
    return _status(
        frames.results["status"].tolist(),
        frames.results["failure_kind"].tolist(),
        frames.timings["status"].tolist(),
    )


def _added(campaign: Campaign, extended: Campaign) -> str:
    """A line that names the datasets to which ``--repeats auto`` adds repeats, and why."""
    assert campaign.targets is not None
    assert extended.targets is not None
    extended_datasets = [
        name for name, repeats in extended.targets.items() if repeats > campaign.targets[name]
    ]
    n_repeats = max(extended.targets.values())
    names = ", ".join(extended_datasets)
    return (
        f"adding repeats, up to {n_repeats}, for {names}: models still tie with the best by "
        f"{campaign.decisive}"
    )


def _status(statuses: list[str], kinds: list[str | None], timings: list[str]) -> int:
    if "dataset" in kinds:
        return BROKEN_DATASET
    if {"failed", "timeout", "crashed"} & set(statuses) or {"wrong", "failed"} & set(timings):
        return FAILED
    return 0 if "ok" in statuses else NOTHING


def _store_words(store: Store, *, named: bool) -> str:
    """The option that names the store in a command, if the user named it, too."""
    return f" --store {shlex.quote(store.name)}" if named else ""


def _interrupted(campaign: Campaign, stop: BaseException, *, named: bool) -> int:
    n_done = len(campaign.store.done(campaign.run))
    store_option = _store_words(campaign.store, named=named)
    timings = campaign.store.timings(campaign.run)
    n_timed = sum(timing.status == "ok" and not timing.measured for timing in timings)
    complete = n_done == campaign.run.n_trials
    timings_part = f"{n_timed or 'no'} timings and " if complete else ""
    stored = f"interrupted: {timings_part}{n_done} of {campaign.run.n_trials} results are stored"
    if n_timed:
        remark(f"{stored}; `harness report {campaign.run.id}{store_option}` prints them")
    else:
        remark(f"{stored}. Go on with\n  harness run --resume {campaign.run.id}{store_option}")
    return stop_status(stop)


def _dry_run(given: GivenOptions) -> int:
    if given["resume"] is not None:
        with closing(options.open_store(given["store"])) as store:
            campaign = _resume(store, given)
            return _print_plan(campaign.plan, {trial.key for trial in campaign.left})
    from harness.contract.values import AUTO, AUTO_REPEATS
    from harness.trials.plan import plan

    registry = options.discover(given["plugins"], strict=False)
    request = _request(given)
    planned = plan(registry, request.selection)
    known = _known_keys(registry, request, planned, given["store"])
    keys = {trial.key for trial in planned.trials} - known
    at_most = given["repeats"] == AUTO
    status = _print_plan(planned, keys, n_known=len(known), at_most=at_most)
    if at_most:
        first, *more = map(str, AUTO_REPEATS)
        remark(f"each dataset gets {first} repeats, and {listed(more)} where the best may be tied")
    return status


def _known_keys(
    registry: Described, request: Request, planned: Plan, store: str | None
) -> set[str]:
    """Keys of the planned trials whose results the store has, if there is a store already."""
    from harness.errors import StoreError
    from harness.runs.identity import Identities
    from harness.runs.reuse import known_results

    if request.fresh or request.in_process:
        return set()
    try:
        opened = options.open_store(store)
    except StoreError:
        return set()
    with closing(opened):
        identities = Identities(registry, planned.trials)
        known = known_results(opened, registry, request, identities, planned.trials)
    return {trial.key for trial in known}


def _print_plan(planned: Plan, keys: set[str], *, n_known: int = 0, at_most: bool = False) -> int:
    """Print the trials with these keys and the skipped pairings; give the exit status."""
    from rich import box
    from rich.table import Table

    repeats: dict[tuple[str, str, str], list[int]] = {}
    for trial in planned.trials:
        if trial.key in keys:
            pairing = str(trial.dataset), str(trial.model), trial.device
            repeats.setdefault(pairing, []).append(trial.repeat)
    table = Table("dataset", "model", "device", "repeats", box=box.SIMPLE_HEAD)
    for (dataset, model, device), numbers in repeats.items():
        span = str(numbers[0]) if len(numbers) == 1 else f"{numbers[0]}-{numbers[-1]}"
        contiguous = numbers == list(range(numbers[0], numbers[-1] + 1))
        table.add_row(dataset, model, device, span if contiguous else ", ".join(map(str, numbers)))
    console = out()
    if repeats:
        console.print(table)
    if planned.skips:
        skipped = Table("skipped", "model", "device", "why", box=box.SIMPLE_HEAD)
        for skip in planned.skips:
            skipped.add_row(str(skip.dataset), str(skip.model), skip.device, skip.reason)
        console.print(skipped)
    n_trials = sum(len(numbers) for numbers in repeats.values())
    known = f"{n_known} known (--fresh runs all), " if n_known else ""
    to_run = f"{'at most ' if at_most else ''}{plural(n_trials, 'trial')} to run"
    console.print(f"{to_run}, {known}{plural(len(planned.skips), 'model-dataset pair')} skipped")
    return 0 if n_trials or n_known else NOTHING


def _debug(error: BaseException) -> None:
    import pdb  # this is what --pdb asks for

    sys.stderr.write(f"{type(error).__name__}: {error}\n")
    pdb.post_mortem(error.__traceback__)
