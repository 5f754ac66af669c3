"""Schedules timings: for a completed run, for kernels, or for training loops."""

from __future__ import annotations

import fnmatch
import math
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypedDict, cast

from harness.contract.values import Choice, Timing
from harness.errors import UsageError, nearest
from harness.processes.client import Limits, finish
from harness.statistics.timings import FEWEST
from harness.timing.workloads import SoftmaxGroup, TimedPairing, TrainingGroup
from harness.trials.plan import Selection, choose, importable, plan

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from harness.contract.registry import Registry
    from harness.contract.values import Frames, Kernel, Trial
    from harness.processes.client import Call
    from harness.processes.serving import Inside
    from harness.trials.discovery import Described

SHAPES = (
    (5, 3),
    (100, 3),
    (1_797, 10),
    (100_000, 10),
    (1_000_000, 5),
    (4_000_000, 3),
    (20_000, 1_000),
    (512, 50_257),
)
"""(n_samples, n_classes): a notebook's example, tables, many rows, many classes, a vocabulary."""

DTYPES = ("float32", "float64")
EPOCHS = 200
"""Default number of epochs for models that count their epochs."""

MAKING = 60.0
"""Time limit in seconds for making a model."""

TOGETHER = 32
"""Default number of replicates that are fitted at once."""

START, LIBRARIES = 0.7, 2.6
"""Estimated seconds to start a process, and to import PyTorch or scikit-learn in it."""

SMALL, ONCE, SEVERAL = 0.07, 0.03, 0.09
"""Estimated seconds per process, mostly set-up and warm-up: of a pairing's predictions and softmax,
of a fit of one epoch, and of several such fits at once."""

CALLS, FEW_CALLS, SHORT = 6, 3, 0.1
"""Calls of a fit per process, warm-up included: `CALLS`, or `FEW_CALLS` if one takes longer than
`SHORT` seconds, because its check then suffices as warm-up."""

BRIEF = 0.005
"""Target in seconds for a fit that is shortened because the budget does not suffice for all."""

RECKONED = 0.9
"""Fraction of the budget to plan for; the rest covers errors of the estimates."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """The groups to time, and what is left out.

    Args:
        groups: the groups to time.
        late: timings that are left out, each with the reason.
        seconds: estimated seconds for timing everything, or 0 if not estimated.
    """

    groups: tuple[SoftmaxGroup | TrainingGroup, ...]
    late: tuple[Timing, ...] = ()
    seconds: float = 0.0


class _Completed(TypedDict):
    """The columns of a successful trial that a schedule reads."""

    result_id: int
    n_train: int
    fitted_together: int
    fit_seconds: float
    first_predict_seconds: float


def of_run(registry: Registry, frames: Frames, trials: Sequence[Trial], budget: float) -> Schedule:
    """Schedules the successful pairings of a run, the fastest first, as many as the budget allows.

    If the budget does not suffice for all, models that count their epochs are fitted with fewer
    epochs. Their time per epoch stays valid: the time of the first epoch is subtracted, and the
    later epochs take equally long each.

    Args:
        registry: all plugins' offers.
        frames: the run's results.
        trials: the run's planned trials.
        budget: seconds.
    """
    results = frames.results
    ok = {
        (row["dataset"], row["model"], row["device"], row["repeat"]): cast("_Completed", row)
        for row in results[results["status"] == "ok"].to_dict("records")
    }
    last: dict[int, int] = frames.traces().groupby("result_id")["epoch"].max().to_dict()  # type: ignore[assignment]  # ids
    repeats: dict[tuple[Choice, Choice, str], list[Trial]] = {}
    for trial in trials:
        if (str(trial.dataset), str(trial.model), trial.device, trial.repeat) in ok:
            repeats.setdefault((trial.dataset, trial.model, trial.device), []).append(trial)
    pairings, shorter = [], []
    for completed in repeats.values():
        first = completed[0]
        row = ok[str(first.dataset), str(first.model), first.device, first.repeat]
        # Only repeats of equal shape can be fitted at once.
        same_shape = [
            trial
            for trial in completed
            if ok[str(trial.dataset), str(trial.model), trial.device, trial.repeat]["n_train"]
            == row["n_train"]
        ]
        counted = bool(registry.models[first.model.name].epochs)
        epochs = int(last.get(row["result_id"], 0))
        whole, shortened = _whole_and_shortened(same_shape, row, epochs, counted=counted)
        pairings.append(whole)
        shorter.append(shortened)
    heavy = any(registry.models[pairing.trials[0].model.name].requires for pairing in pairings)
    start = START + (LIBRARIES if heavy else 0.0)
    schedule = _within(pairings, budget, start)
    if not schedule.late:
        return schedule
    return _within(shorter, budget, start)


def _whole_and_shortened(
    trials: Sequence[Trial], row: _Completed, epochs: int, *, counted: bool
) -> tuple[TimedPairing, TimedPairing]:
    """A pairing with its own number of epochs, and with fewer epochs if these are too slow.

    Args:
        trials: the pairing's successful trials of equal shape.
        row: results of the first trial.
        epochs: number of epochs that the first trial took.
        counted: whether a parameter sets the number of epochs.
    """
    together = min(int(row["fitted_together"]), len(trials))
    share = float(row["fit_seconds"])
    # A lone fit takes longer than its share of several fits at once, but not longer than all.
    seconds_alone = share * min(together, 4)
    seconds_together = share * together if together > 1 else 0.0
    other_seconds = SMALL + 10 * float(row["first_predict_seconds"])
    if counted:
        other_seconds += ONCE + (SEVERAL if together > 1 else 0.0)
    whole = TimedPairing(
        tuple(trials[:together]),
        epochs=epochs,
        together=together > 1,
        predict=True,
        weight=other_seconds + _calls(seconds_alone) + _calls(seconds_together),
    )
    fewer = max(2, int(epochs * BRIEF / seconds_alone)) if seconds_alone > BRIEF else epochs
    if fewer >= epochs or not counted:
        return whole, whole
    fraction = fewer / epochs
    weight = other_seconds + _calls(seconds_alone * fraction) + _calls(seconds_together * fraction)
    return whole, replace(whole, cut=fewer, weight=weight)


def _calls(seconds: float) -> float:
    """Estimated seconds per process for a fit whose single call takes ``seconds``."""
    return seconds * (CALLS if seconds < SHORT else FEW_CALLS)


def _within(pairings: Iterable[TimedPairing], budget: float, start: float) -> Schedule:
    """Schedules the pairings with the least weight that fit into the budget.

    The reason for each pairing left out names a budget that would suffice for all. ``start`` is the
    time in seconds that a process takes to start.
    """
    seconds = RECKONED * budget / FEWEST - start
    total = 0.0
    by_dataset: dict[tuple[Choice, str], list[TimedPairing]] = {}
    left_out: list[TimedPairing] = []
    for pairing in sorted(pairings, key=lambda pairing: pairing.weight):
        total += pairing.weight
        first = pairing.trials[0]
        if total <= seconds:
            by_dataset.setdefault((first.dataset, first.device), []).append(pairing)
        else:
            left_out.append(pairing)
    needed = math.ceil(FEWEST * (total + start) / RECKONED / 10) * 10
    reason = f"not timed within {budget:g} s; {needed:g} s would suffice (--timing-budget)"
    late = tuple(
        Timing(
            "fit",
            str(pairing.trials[0].model),
            str(pairing.trials[0].dataset),
            pairing.trials[0].device,
            1,
            "unfinished",
            reason,
        )
        for pairing in left_out
    )
    return Schedule(
        tuple(TrainingGroup(tuple(chosen)) for chosen in by_dataset.values()), late, needed
    )


def of_kernels(
    registry: Registry,
    kernels: Sequence[str] = (),
    shapes: Sequence[tuple[int, int]] = (),
    dtypes: Sequence[str] = (),
    devices: Sequence[str] = (),
) -> Schedule:
    """Schedules every kernel on every shape, type and device, with warm and with cold caches.

    Args:
        registry: all plugins' offers.
        kernels: names or globs; by default all kernels that are timed by default.
        shapes: (n_samples, n_classes); by default `SHAPES`.
        dtypes: names of types; by default `DTYPES`.
        devices: names, where a kind such as ``cuda`` means its first device; by default all.

    Raises:
        UsageError: a kernel does not exist, or nothing can be timed on these devices.
    """
    chosen = kernels_named(registry, kernels)
    full_names = [_device(registry, name) for name in devices] or list(registry.devices)
    absent = [name for name, full in zip(devices, full_names, strict=False) if full is None]
    late = [_unfit("softmax", "every kernel", name, _absence(name)) for name in absent]
    present = list(dict.fromkeys(name for name in full_names if name))
    groups = []
    usable = [kernel for kernel in chosen if not importable(kernel.requires)]
    wanted_dtypes = list(dict.fromkeys(dtypes or DTYPES))
    for device in present:
        kind = device.partition(":")[0]
        names = tuple(kernel.name for kernel in usable if kind in kernel.devices)
        if not names:
            continue
        offered = registry.devices[device].dtypes
        late += [
            _unfit("softmax", "every kernel", device, f"has no {dtype}")
            for dtype in wanted_dtypes
            if dtype not in offered
        ]
        for shape in dict.fromkeys(shapes or SHAPES):
            for dtype in (dtype for dtype in wanted_dtypes if dtype in offered):
                warm = SoftmaxGroup(names, shape, dtype, device)
                groups.append(warm)
                if not warm.is_cold_anyhow:
                    groups.append(replace(warm, cold=True))
    # Who chose only devices does not expect to hear of kernels for other devices.
    by_device = bool(kernels or not devices)
    late += _kernels_left_out(registry, chosen, present, by_device=by_device)
    if not groups:
        reasons = [f"{timing.subject}: {timing.reason}" for timing in late]
        present_devices = ", ".join(registry.devices) or "none"
        raise UsageError(
            f"nothing to time: {'; '.join(reasons[:3])} (devices here: {present_devices})"
        )
    return Schedule(tuple(groups), tuple(late))


def _kernels_left_out(
    registry: Registry, kernels: Sequence[Kernel], devices: Sequence[str], *, by_device: bool
) -> list[Timing]:
    """Timings for kernels that lack a library or, if ``by_device``, a device, with the reason."""
    here = {device.partition(":")[0] for device in registry.devices}
    scheduled = {device.partition(":")[0] for device in devices}
    late = []
    for kernel in kernels:
        missing = importable(kernel.requires)
        if missing:
            reason = f"needs '{missing}', which is not installed here"
        elif scheduled & set(kernel.devices) or not by_device:
            continue
        elif here & set(kernel.devices):
            reason = f"runs on {', '.join(kernel.devices)} only"
        else:
            reason = _absence(kernel.devices[0])
        late.append(_unfit("softmax", kernel.name, kernel.devices[0], reason))
    return late


def of_training(
    registry: Registry,
    selection: Selection,
    ask: Callable[[Sequence[Choice]], Mapping[Choice, bool]],
    *,
    epochs: int = EPOCHS,
    together: int = TOGETHER,
) -> Schedule:
    """Schedules selected models that train by epochs, and their references, on every dataset.

    Models that are default in ``bench`` are always included: their plain loops are the common
    reference.

    Args:
        registry: all plugins' offers.
        selection: datasets, models, devices and seed; the number of repeats is ignored.
        ask: returns for each model whether it trains by epochs, as `by_epochs` does.
        epochs: number of epochs for models that count their epochs, where the user has not set.
        together: number of replicates to fit at once; 1 for lone fits only.

    Raises:
        UsageError: a selector matches nothing, or none of the models trains by epochs.
    """
    models = selection.models
    if models:
        models += _common_references(registry, models)
    planned = plan(registry, replace(selection, models=models, repeats=together))
    repeats: dict[tuple[Choice, Choice, str], list[Trial]] = {}
    chosen = set(choose(selection.models, registry.models, "model"))
    candidates = [
        choice
        for choice in dict.fromkeys(trial.model for trial in planned.trials)
        if choice in chosen or not registry.models[choice.name].baseline
    ]
    trains = ask(candidates)
    # A model that is skipped on every dataset is reported by its skips, not here.
    named = chosen & set(candidates) if selection.models else set()
    if named and not any(trains[choice] for choice in named):
        raise UsageError("none of the selected models trains by epochs: their fit has no monitor")
    for trial in planned.trials:
        if trains.get(trial.model):
            choice = _with_epochs(registry, trial.model, epochs)
            key = (trial.dataset, choice, trial.device)
            repeats.setdefault(key, []).append(replace(trial, model=choice))
    skipped = [skip for skip in planned.skips if not registry.models[skip.model.name].baseline]
    if not repeats and skipped:
        raise UsageError(f"nothing to time: {skipped[0].reason}")
    if not repeats:
        raise UsageError("none of the selected models trains by epochs: their fit has no monitor")
    late = tuple(
        _unfit("fit", str(skip.model), skip.device, skip.reason, str(skip.dataset))
        for skip in skipped
    ) + tuple(
        _unfit("fit", str(choice), "cpu", "does not train by epochs", "every dataset")
        for choice in candidates
        if choice in named and not trains[choice]
    )
    return Schedule(_training_groups(registry, repeats, together), late)


def _training_groups(
    registry: Registry, repeats: Mapping[tuple[Choice, Choice, str], list[Trial]], together: int
) -> tuple[TrainingGroup, ...]:
    """The pairings of each dataset and device, beside their references."""
    groups: dict[tuple[Choice, str], list[TimedPairing]] = {}
    for (dataset, choice, device), trials in repeats.items():
        several = together > 1 and registry.models[choice.name].fit_together is not None
        pairing = TimedPairing(
            tuple(trials) if several else tuple(trials[:1]),
            together=several,
            reference=True,
            weight=1.0,
        )
        groups.setdefault((dataset, device), []).append(pairing)
    return tuple(TrainingGroup(tuple(pairings)) for pairings in groups.values())


def _common_references(registry: Registry, selectors: Sequence[str]) -> tuple[str, ...]:
    """Names of the models with a plain loop that every model is compared with, if not selected."""
    return tuple(
        name
        for name, model in registry.models.items()
        if "bench" in model.default_in
        and model.reference
        and not importable(model.requires)
        and not any(selector.partition("[")[0] == name for selector in selectors)
    )


def _with_epochs(registry: Registry, choice: Choice, epochs: int) -> Choice:
    """A model with a number of epochs, if it has a parameter for it that is not set yet."""
    given = dict(choice.parameters)
    if counted := registry.models[choice.name].epochs:
        given.setdefault(counted, epochs)
    return Choice(choice.name, tuple(given.items()))


def shape_of(text: str) -> tuple[int, int]:
    """Parse a shape, (n_samples, n_classes).

    >>> shape_of("100_000x10")
    (100000, 10)

    Raises:
        UsageError: the text is not a shape.
    """
    match = re.fullmatch(r"(\d+(?:_\d+)*)x(\d+(?:_\d+)*)", text.strip())
    sizes = tuple(int(part) for part in match.groups()) if match else ()
    if len(sizes) != 2 or min(sizes) < 1:
        raise UsageError(f"'{text}' is no shape; write samples x classes, such as 100000x10")
    return sizes[0], sizes[1]


def by_epochs(registry: Described, choices: Sequence[Choice]) -> dict[Choice, bool]:
    """Whether each model's ``fit`` takes a monitor, found by making the model in another process.

    A model that crashes or blocks that process counts as one that does: it will fail again when it
    is timed, and be reported then.

    Args:
        registry: all plugins' offers.
        choices: the models.
    """
    calls: dict[Choice, Call] = {}
    for choice in choices:
        origin, model = registry.origin("models", choice.name), registry.models[choice.name]
        parent = registry.parent(origin, model.requires)
        calls[choice] = parent.call(_trains_there, choice, limits=Limits(MAKING))
    trains: dict[Choice, bool] = {}
    finish(calls.values())
    for choice, call in calls.items():
        value, failure = call.result()
        call.close()
        trains[choice] = bool(value) if failure is None else True
    return trains


def _trains_there(inside: Inside, choice: Choice) -> tuple[bool, dict[str, object]]:
    return trains_by_epochs(inside.held.registry, choice), {}


def trains_by_epochs(registry: Registry, choice: Choice) -> bool:
    """Whether a model's ``fit`` takes a monitor.

    A model that cannot be made counts as one that does if it has a reference.
    """
    from harness.contract.values import Setting
    from harness.trials.trial import takes_monitor

    model = registry.models[choice.name]
    try:
        return takes_monitor(model.make(Setting(0, "cpu", 1, 2), **choice.arguments))
    except Exception:  # noqa: BLE001  # plugins raise anything; reported when the model is timed
        return model.reference is not None


def kernels_named(registry: Registry, wanted: Sequence[str]) -> list[Kernel]:
    """Kernels by names or globs; without any, the kernels that are timed by default.

    Raises:
        UsageError: a name or glob matches no kernel.
    """
    selected: dict[str, Kernel] = {}
    for glob in wanted or ("*",):
        names = [name for name in registry.kernels if fnmatch.fnmatchcase(name, glob)]
        if not names:
            raise UsageError(f"no kernel '{glob}': {nearest(glob, registry.kernels)}")
        selected |= {
            name: registry.kernels[name]
            for name in names
            if wanted or registry.kernels[name].by_default
        }
    return list(selected.values())


def _device(registry: Registry, name: str) -> str | None:
    """A device's full name; None if this machine does not have it."""
    if name in registry.devices:
        return name
    return next((device for device in registry.devices if device.partition(":")[0] == name), None)


def _absence(device: str) -> str:
    kind, _, index = device.partition(":")
    name = kind.upper() or "''"
    return f"no {name} device {index + ' ' if index else ''}here"


def _unfit(kind: str, subject: str, device: str, reason: str, case: str = "every shape") -> Timing:
    return Timing(kind, subject, case, device, 1, "unfinished", reason)
