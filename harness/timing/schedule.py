"""What is to be timed: of a run that has ended, of all kernels, of all training loops."""

from __future__ import annotations

import fnmatch
import math
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from harness.contract.parameters import parameters_of
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
"""Samples by classes: a notebook's example, a table's, many rows, many classes, a vocabulary."""

DTYPES = ("float32", "float64")
EPOCHS = 200
"""Of a model that has a parameter of that name."""

MAKING = 60.0
"""Seconds in which a model must be made."""

TOGETHER = 32
START, LIBRARIES = 0.7, 2.6
"""Seconds until a fresh process is there, and until it has PyTorch or scikit-learn, roughly."""

SMALL, ONCE, SEVERAL = 0.07, 0.03, 0.09
"""Seconds that a pairing's predictions and softmax take in a process, roughly, and what fits of one
epoch do, one and several at once: mostly setting up and warming up."""

CALLS, FEW_CALLS, SHORT = 6, 3, 0.1
"""How often a fit is called in a process, warming up included, and how often if it takes longer
than so many seconds, for then it is warm by its check."""

BRIEF = 0.005
"""Seconds of a fit that is cut short because there is no time for all of them."""

RECKONED = 0.9
"""Part of a budget that is planned for: estimates are not better than that."""


@dataclass(frozen=True, slots=True)
class Agenda:
    """Groups to time, and what there is no time for.

    Args:
        groups: to time.
        late: what is left out, as timings that say why.
        seconds: that timing all of it would take, roughly.
    """

    groups: tuple[SoftmaxGroup | TrainingGroup, ...]
    late: tuple[Timing, ...] = ()
    seconds: float = 0.0


def of_run(registry: Registry, frames: Frames, trials: Sequence[Trial], budget: float) -> Agenda:
    """The pairings of a run that came to something, the quickest first, as many as there is time.

    If there is not time for all, a model with a parameter ``epochs`` goes through fewer of them:
    what a fit takes for its first epoch is taken off, and what the others take does not depend on
    their number.

    Args:
        registry: what there is.
        frames: what the run measured.
        trials: that were planned.
        budget: seconds.
    """
    results = frames.results
    ok: dict[tuple[str, str, str, int], dict[str, Any]] = {
        (row["dataset"], row["model"], row["device"], row["repeat"]): row  # type: ignore[misc]  # names are texts
        for row in results[results["status"] == "ok"].to_dict("records")
    }
    last: dict[int, int] = frames.traces().groupby("result_id")["epoch"].max().to_dict()  # type: ignore[assignment]  # ids
    repeats: dict[tuple[Choice, Choice, str], list[Trial]] = {}
    for trial in trials:
        if (str(trial.dataset), str(trial.model), trial.device, trial.repeat) in ok:
            repeats.setdefault((trial.dataset, trial.model, trial.device), []).append(trial)
    pairings, shorter = [], []
    for found in repeats.values():
        first = found[0]
        row = ok[str(first.dataset), str(first.model), first.device, first.repeat]
        # Only repeats of one shape are trained in one go.
        alike = [
            trial
            for trial in found
            if ok[str(trial.dataset), str(trial.model), trial.device, trial.repeat]["n_train"]
            == row["n_train"]
        ]
        together = min(int(row["fitted_together"]), len(alike))
        share = float(row["fit_seconds"])
        # A lone fit takes longer than its share of several, but no longer than all of them.
        alone = share * min(together, 4)
        rest = SMALL + 10 * float(row["first_predict_seconds"])
        epochs = int(last.get(row["result_id"], 0))
        counted = "epochs" in parameters_of(registry.models[first.model.name].make)
        if counted:
            rest += ONCE + (SEVERAL if together > 1 else 0.0)
        several = share * together if together > 1 else 0.0
        whole = TimedPairing(
            tuple(alike[:together]),
            epochs=epochs,
            together=together > 1,
            predict=True,
            weight=rest + _calls(alone) + _calls(several),
        )
        pairings.append(whole)
        fewer = max(2, int(epochs * BRIEF / alone)) if alone > BRIEF else epochs
        if fewer < epochs and counted:
            part = fewer / epochs
            weight = rest + _calls(alone * part) + _calls(several * part)
            whole = replace(whole, cut=fewer, weight=weight)
        shorter.append(whole)
    heavy = any(registry.models[pairing.trials[0].model.name].requires for pairing in pairings)
    start = START + (LIBRARIES if heavy else 0.0)
    agenda = _within(pairings, budget, start)
    if not agenda.late:
        return agenda
    return _within(shorter, budget, start)


def _calls(seconds: float) -> float:
    """Seconds that all calls of a fit take that takes so long."""
    return seconds * (CALLS if seconds < SHORT else FEW_CALLS)


def _within(pairings: Iterable[TimedPairing], budget: float, start: float) -> Agenda:
    """The lightest pairings that the budget has time for, by dataset and device.

    The others are told how many seconds would do for all. A process takes ``start`` seconds to
    begin with.
    """
    time = RECKONED * budget / FEWEST - start
    whole = 0.0
    taken: dict[tuple[Choice, str], list[TimedPairing]] = {}
    left: list[TimedPairing] = []
    for pairing in sorted(pairings, key=lambda pairing: pairing.weight):
        whole += pairing.weight
        first = pairing.trials[0]
        if whole <= time:
            taken.setdefault((first.dataset, first.device), []).append(pairing)
        else:
            left.append(pairing)
    needed = math.ceil(FEWEST * (whole + start) / RECKONED / 10) * 10
    reason = f"{budget:g} s are too few, {needed:g} s would do (--timing-budget)"
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
        for pairing in left
    )
    return Agenda(tuple(TrainingGroup(tuple(found)) for found in taken.values()), late, needed)


def of_kernels(
    registry: Registry,
    kernels: Sequence[str] = (),
    shapes: Sequence[tuple[int, int]] = (),
    dtypes: Sequence[str] = (),
    devices: Sequence[str] = (),
) -> Agenda:
    """Every kernel on every shape, type and device, with warm and with cold caches.

    Args:
        registry: what there is.
        kernels: names or globs; all that are timed by default without.
        shapes: (n_samples, n_classes); `SHAPES` without.
        dtypes: `DTYPES` without.
        devices: names, the kind alone being its first; all that are here without.

    Raises:
        UsageError: a kernel is not there, or none of the devices.
    """
    chosen = kernels_named(registry, kernels)
    here = [_device(registry, name) for name in devices] or list(registry.devices)
    absent = [name for name, found in zip(devices, here, strict=False) if found is None]
    late = [_unfit("softmax", "every kernel", name, _absence(name)) for name in absent]
    present = list(dict.fromkeys(name for name in here if name))
    groups = []
    usable = [kernel for kernel in chosen if not importable(kernel.requires)]
    for device in present:
        kind = device.partition(":")[0]
        fit = tuple(kernel.name for kernel in usable if kind in kernel.devices)
        has = registry.devices[device].dtypes
        wanted = list(dict.fromkeys(dtypes or DTYPES))
        late += [
            _unfit("softmax", "every kernel", device, f"has no {dtype}")
            for dtype in wanted
            if fit and dtype not in has
        ]
        for shape in dict.fromkeys(shapes or SHAPES):
            for dtype in (dtype for dtype in wanted if dtype in has):
                warm = SoftmaxGroup(fit, shape, dtype, device)
                if fit:
                    groups.append(warm)
                if fit and not warm.is_cold_anyhow:
                    groups.append(SoftmaxGroup(fit, shape, dtype, device, cold=True))
    kinds = {name.partition(":")[0] for name in present}
    for kernel in chosen:
        missing = importable(kernel.requires)
        if missing:
            reason = f"needs '{missing}', which is not installed here"
            late.append(_unfit("softmax", kernel.name, kernel.devices[0], reason))
        elif not kinds & set(kernel.devices) and (kernels or not devices):
            known = {device.partition(":")[0] for device in registry.devices}
            device = kernel.devices[0]
            here_too = known & set(kernel.devices)
            reason = f"runs on {', '.join(kernel.devices)}" if here_too else _absence(device)
            late.append(_unfit("softmax", kernel.name, device, reason))
    if not groups:
        reasons = [f"{timing.subject}: {timing.reason}" for timing in late]
        there = ", ".join(registry.devices) or "none"
        raise UsageError(f"nothing to time: {'; '.join(reasons[:3])} (devices here: {there})")
    return Agenda(tuple(groups), tuple(late))


def of_training(
    registry: Registry,
    selection: Selection,
    ask: Callable[[Sequence[Choice]], Mapping[Choice, bool]],
    *,
    epochs: int = EPOCHS,
    together: int = TOGETHER,
) -> Agenda:
    """Every selected model that trains by epochs, on every dataset and device, and its reference.

    The notebook's network is there in any case, for its plain loop is what others are read beside.

    Args:
        registry: what there is.
        selection: datasets, models, devices and seed; its repeats don't matter.
        ask: tells of models whether they train by epochs: `by_epochs`.
        epochs: of models that have a parameter of that name and were given no other.
        together: replicates of a fit of several at once; 1 for none.

    Raises:
        UsageError: a selector matches nothing, or none of the models trains by epochs.
    """
    models = selection.models
    if models:
        models += tuple(
            name
            for name, model in registry.models.items()
            if "notebook" in model.tags
            and model.reference
            and not importable(model.requires)
            and not any(one.partition("[")[0] == name for one in models)
        )
    planned = plan(registry, replace(selection, models=models, repeats=together))
    repeats: dict[tuple[Choice, Choice, str], list[Trial]] = {}
    chosen = set(choose(selection.models, registry.models, "model"))
    candidates = [
        choice
        for choice in dict.fromkeys(trial.model for trial in planned.trials)
        if choice in chosen or not registry.models[choice.name].baseline
    ]
    trains = ask(candidates)
    # What is skipped on every dataset is told by its skips.
    named = chosen & set(candidates) if selection.models else set()
    if named and not any(trains[choice] for choice in named):
        raise UsageError("none of the selected models trains by epochs: their fit has no monitor")
    for trial in planned.trials:
        if not trains.get(trial.model):
            continue
        given = dict(trial.model.parameters)
        if "epochs" in parameters_of(registry.models[trial.model.name].make):
            given.setdefault("epochs", epochs)
        choice = Choice(trial.model.name, tuple(given.items()))
        shortened = replace(trial, model=choice)
        repeats.setdefault((trial.dataset, choice, trial.device), []).append(shortened)
    skipped = [skip for skip in planned.skips if not registry.models[skip.model.name].baseline]
    if not repeats and skipped:
        raise UsageError(f"nothing to time: {skipped[0].reason}")
    if not repeats:
        raise UsageError("none of the selected models trains by epochs: their fit has no monitor")
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
    late = tuple(
        _unfit("fit", str(skip.model), skip.device, skip.reason, str(skip.dataset))
        for skip in skipped
    ) + tuple(
        _unfit("fit", str(choice), "cpu", "does not train by epochs", "every dataset")
        for choice in candidates
        if choice in named and not trains[choice]
    )
    return Agenda(tuple(TrainingGroup(tuple(pairings)) for pairings in groups.values()), late)


def shape_of(text: str) -> tuple[int, int]:
    """Samples by classes.

    >>> shape_of("100_000x10")
    (100000, 10)

    Raises:
        UsageError: it is something else.
    """
    match = re.fullmatch(r"(\d+(?:_\d+)*)x(\d+(?:_\d+)*)", text.strip())
    sizes = tuple(int(part) for part in match.groups()) if match else ()
    if len(sizes) != 2 or min(sizes) < 1:
        raise UsageError(f"'{text}' is no shape; write samples x classes, such as 100000x10")
    return sizes[0], sizes[1]


def by_epochs(registry: Described, choices: Sequence[Choice]) -> dict[Choice, bool]:
    """Whether each model's ``fit`` takes a monitor, which making one tells, in a process apart.

    What ends or holds up that process counts as one that does: it will do so where it is timed,
    too, and be told.

    Args:
        registry: what there is.
        choices: models.
    """
    calls: dict[Choice, Call] = {}
    for choice in choices:
        origin, model = registry.origin("models", choice.name), registry.models[choice.name]
        parent = registry.parent(origin, model.requires)
        calls[choice] = parent.call(_trains_there, choice, limits=Limits(MAKING))
    found: dict[Choice, bool] = {}
    finish(calls.values())
    for choice, call in calls.items():
        value, failure = call.result()
        call.close()
        found[choice] = bool(value) if failure is None else True
    return found


def _trains_there(inside: Inside, choice: Choice) -> tuple[bool, dict[str, Any]]:
    return trains_by_epochs(inside.held.registry, choice), {}


def trains_by_epochs(registry: Registry, choice: Choice) -> bool:
    """Whether a model's ``fit`` takes a monitor; if it cannot be made, its reference tells."""
    from harness.contract.values import Setting
    from harness.trials.trial import takes_monitor

    model = registry.models[choice.name]
    try:
        return takes_monitor(model.make(Setting(0, "cpu", 1, 2), **dict(choice.parameters)))
    except Exception:  # noqa: BLE001  # a stranger's; it will fail where it is timed, and be told
        return model.reference is not None


def kernels_named(registry: Registry, wanted: Sequence[str]) -> list[Kernel]:
    """Kernels by names or globs; those that are timed by default without.

    Raises:
        UsageError: a kernel is not there.
    """
    found: dict[str, Kernel] = {}
    for glob in wanted or ("*",):
        names = [name for name in registry.kernels if fnmatch.fnmatchcase(name, glob)]
        if not names:
            raise UsageError(f"no kernel '{glob}': {nearest(glob, registry.kernels)}")
        found |= {
            name: registry.kernels[name]
            for name in names
            if wanted or registry.kernels[name].by_default
        }
    return list(found.values())


def _device(registry: Registry, name: str) -> str | None:
    """A device's full name; None where it is not here."""
    if name in registry.devices:
        return name
    return next((device for device in registry.devices if device.partition(":")[0] == name), None)


def _absence(device: str) -> str:
    kind, _, index = device.partition(":")
    name = kind.upper() or "''"
    return f"no {name} device {index + ' ' if index else ''}here"


def _unfit(kind: str, subject: str, device: str, reason: str, case: str = "every shape") -> Timing:
    return Timing(kind, subject, case, device, 1, "unfinished", reason)
