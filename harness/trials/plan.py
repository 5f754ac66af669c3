"""Plan a run: turn a selection into trials, and into skips with their reason."""

from __future__ import annotations

import difflib
import fnmatch
import importlib.util
import itertools
import sys
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from harness.contract.classes import nearly_a_class
from harness.contract.parameters import (
    Parameter,
    given_to,
    parameters_of,
    settled,
    split_parameters,
)
from harness.contract.selectors import Selector
from harness.contract.values import (
    AUTO,
    AUTO_REPEATS,
    GIVEN_TO_METRICS,
    PREPARATIONS,
    PREPARE,
    TRAIN_SIZE,
    Choice,
    Dataset,
    Metric,
    Model,
    Skip,
    Trial,
    folds_in,
)
from harness.errors import PluginError, UsageError, nearest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from harness.contract.registry import Registry
    from harness.contract.values import Kernel

REPEATS = 5
SEED = 0


@dataclass(frozen=True, slots=True)
class Selection:
    """The datasets, models and devices that a user selected, and how often to repeat them.

    Args:
        datasets: selectors ``[tag:]glob[parameter=value|value,...]``; empty for all.
        models: likewise; baselines are always added.
        devices: names of devices; a kind (``cuda``) stands for the first device of that kind.
        repeats: number of splits of each dataset; 'auto' adds repeats until the best models differ
            significantly, up to the last of `AUTO_REPEATS`; None for `Dataset.repeats`, or else
            `REPEATS`.
        seed: seed of the whole run.
        train_sizes: numbers of training rows, each used in turn; empty for all rows.
    """

    datasets: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    devices: tuple[str, ...] = ("cpu",)
    repeats: int | str | None = None
    seed: int = SEED
    train_sizes: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """The trials to run, in order, and the pairings that are skipped, with the reason."""

    trials: tuple[Trial, ...]
    skips: tuple[Skip, ...]


def plan(registry: Registry, selection: Selection) -> Plan:
    """Pair every selected dataset with every selected model on every selected device.

    Raises:
        UsageError: a selector matches nothing, a parameter is unknown or has the wrong type, no
            model uses such a device, or repeats, seed or train sizes are out of range.
        PluginError: a selected dataset or model breaks the contract of parameters.
    """
    given_repeats = _number_of_repeats(selection)
    datasets = choose(selection.datasets, registry.datasets, "dataset")
    if selection.train_sizes:
        datasets = _with_train_sizes(datasets, selection.train_sizes)
    models, refused = _models(registry, selection.models)
    baselines = [Choice(name) for name, model in registry.models.items() if model.baseline]
    models += [choice for choice in baselines if choice not in models]
    devices = [_device(registry, name) for name in dict.fromkeys(selection.devices)]
    pairings = _pairings(registry, datasets, models, devices)
    for model, reason in refused.items():
        pairings |= {(dataset, model, name): reason for dataset in datasets for name, _ in devices}
    skips = [Skip(*pairing, reason) for pairing, reason in pairings.items() if reason]
    trials = [
        Trial(
            *pairing,
            repeat,
            selection.seed,
            folds_in(registry.datasets[pairing[0].name].kind),
        )
        for pairing, reason in pairings.items()
        if not reason
        for repeat in range(given_repeats or registry.datasets[pairing[0].name].repeats or REPEATS)
    ]
    return Plan(tuple(trials), tuple(skips))


def _models(registry: Registry, selectors: Sequence[str]) -> tuple[list[Choice], dict[Choice, str]]:
    """The chosen models, and classes that cannot be made, with the reason.

    A class that the user names is a stranger: one that cannot be made does not keep the others from
    running. If none is left, or each selector has a value that its class does not take, the first
    reason is an error.
    """
    if not selectors:
        return choose((), registry.models, "model"), {}
    chosen: dict[Choice, None] = {}
    refused: dict[Choice, str] = {}
    is_one_right = False
    for selector in selectors:
        parsed = Selector.parse(selector)
        name = parsed.head.rpartition(":")[2]
        if name not in registry.models or not registry.origin("models", name).is_class:
            chosen |= dict.fromkeys(choose((selector,), registry.models, "model"))
            is_one_right = True
            continue
        n_refused = len(refused)
        for parameters in parsed.choices():  # one by one: another value may be right
            try:
                chosen[_settled(registry.models[name], parameters)] = None
            except UsageError as error:
                refused[Choice(name, tuple(sorted(parameters.items())))] = str(error)
        is_one_right = is_one_right or len(refused) == n_refused
    of_classes = [choice for choice in chosen if registry.origin("models", choice.name).is_class]
    if of_classes:
        refused |= registry.unmakeable(of_classes)
    if refused and (not is_one_right or chosen.keys() <= refused.keys()):
        raise UsageError(next(iter(refused.values())))
    return [choice for choice in chosen if choice not in refused], refused


def _number_of_repeats(selection: Selection) -> int | None:
    """The number of repeats that the user wants, once the selection's numbers are checked."""
    repeats = AUTO_REPEATS[-1] if selection.repeats == AUTO else selection.repeats
    if repeats is not None and (not isinstance(repeats, int) or repeats < 1):
        raise UsageError(f"repeats must be an integer from 1, or '{AUTO}', not {repeats!r}")
    if not isinstance(selection.seed, int) or selection.seed < 0:
        raise UsageError(f"seed must be an integer from 0, not {selection.seed!r}")
    if any(not isinstance(size, int) or size < 1 for size in selection.train_sizes):
        raise UsageError(f"train sizes must be integers from 1, not {selection.train_sizes}")
    return repeats


def _with_train_sizes(datasets: Sequence[Choice], train_sizes: Sequence[int]) -> list[Choice]:
    """Each dataset with each number of training rows."""
    return [
        Choice(choice.name, tuple(sorted((*choice.parameters, (TRAIN_SIZE, size)))))
        for choice in dict.fromkeys(choice.of_all_rows() for choice in datasets)
        for size in dict.fromkeys(train_sizes)
    ]


def _pairings(
    registry: Registry,
    datasets: Sequence[Choice],
    models: Sequence[Choice],
    devices: Sequence[tuple[str, str | None]],
) -> dict[tuple[Choice, Choice, str], str | None]:
    """Every pairing of dataset, model and device, with the reason if it is skipped, else None."""
    pairings: dict[tuple[Choice, Choice, str], str | None] = {}
    for dataset, model in itertools.product(datasets, models):
        offered = registry.models[model.name]
        for device, absence in devices:
            used_device, obstacle = device, absence
            if offered.baseline and device.partition(":")[0] not in offered.devices:
                # A baseline on another device is better than none at all.
                used_device, obstacle = offered.devices[0], None
            reason = _obstacle(registry.datasets[dataset.name], offered, used_device) or obstacle
            pairings[dataset, model, used_device] = reason
    return pairings


def choose(
    selectors: Sequence[str],
    offers: Mapping[str, Dataset] | Mapping[str, Model] | Mapping[str, Metric],
    noun: str,
) -> list[Choice]:
    """The choices that selectors match, in their order and without duplicates.

    Without selectors, all except those that do not run by default, because they are slow.
    """
    if not selectors:
        return [
            Choice(name)
            for name, value in offers.items()
            if getattr(value, "by_default", True) and not getattr(value, "obstacle", "")
        ]
    chosen: dict[Choice, None] = {}
    for selector in selectors:
        parsed = Selector.parse(selector)
        tag, glob = _tag_and_glob(parsed)
        names = [
            name
            for name, value in offers.items()
            if fnmatch.fnmatchcase(name, glob) and (tag is None or tag in value.tags)
        ]
        # A class that cannot be made is chosen by its own name only.
        names = [name for name in names if not getattr(offers[name], "obstacle", "")] or names
        if not names:
            tags = {tag for value in offers.values() for tag in value.tags}
            if noun == "metric" and not difflib.get_close_matches(glob, offers):
                raise UsageError(f"no metric matches '{selector}'; `harness list metrics` has all")
            hint = nearest(tag, tags) if tag and tag not in tags else nearest(glob, offers)
            if noun == "model" and (nearly := nearly_a_class(parsed.head)):
                hint = nearly
            raise UsageError(f"no {noun} matches '{selector}': {hint}")
        for name, parameters in itertools.product(names, parsed.choices()):
            chosen[_settled(offers[name], parameters)] = None
    return list(chosen)


def _tag_and_glob(selector: Selector) -> tuple[str | None, str]:
    """The tag, or None, and the glob of a selector's head.

    Raises:
        UsageError: the head is neither ``glob`` nor ``tag:glob``.
    """
    tag, colon, glob = selector.head.rpartition(":")
    if (
        not glob
        or (colon and not tag)
        or ":" in tag
        or any(letter in selector.head for letter in "[]")
    ):
        raise UsageError(
            f"'{selector.text}' is no selector; write name, glob* or tag:glob*, "
            "optionally followed by [parameter=value|value,...]"
        )
    return (tag if colon else None), glob


def default_in(
    command: str, offers: Mapping[str, Dataset] | Mapping[str, Model] | Mapping[str, Kernel]
) -> list[str]:
    """Names of what plugins declare as the default of a command: see `DEFAULT_IN`."""
    return [name for name, value in offers.items() if command in value.default_in]


def choose_or_default(
    selectors: Sequence[str],
    command: str,
    offers: Mapping[str, Dataset] | Mapping[str, Model],
    noun: str,
) -> list[Choice]:
    """The choices that selectors match; without any, the default of a command.

    Raises:
        UsageError: as `choose`, or no installed plugin declares a default.
    """
    names = selectors or default_in(command, offers)
    if not names:
        raise UsageError(
            f"no {noun} is selected, and no installed plugin has a default; name one "
            f"with -{noun[0]}"
        )
    return choose(names, offers, noun)


def importable(requires: Iterable[str]) -> str | None:
    """The first required package that is not installed; None if all are installed.

    For ``sklearn.svm``, ``sklearn`` must be installed. For ``cuda.bindings``, the whole name must
    be, because ``cuda`` is a namespace package that several distributions share.
    """
    return next((name for name in requires if not _installed(name)), None)


@cache
def _installed(package: str) -> bool:
    name, *parts = package.split(".")
    try:
        spec = importlib.util.find_spec(name)
    except ValueError:  # a loaded module may lack a spec: `__main__`
        return name in sys.modules
    for part in parts:
        # Only a namespace package is searched further; finding a spec inside it imports it.
        if spec is None or spec.origin is not None or spec.submodule_search_locations is None:
            break
        name = f"{name}.{part}"
        spec = importlib.util.find_spec(name)
    return spec is not None


def _settled(offered: Dataset | Model | Metric, parameters: dict[str, str]) -> Choice:
    """The choice of a dataset, model or metric with given parameters, converted to their types."""
    if isinstance(offered, Model) and offered.obstacle:
        raise UsageError(offered.obstacle)
    if not parameters:
        return Choice(offered.name)
    obstacle = importable(offered.requires)
    if obstacle:
        raise UsageError(f"'{offered.name}' needs '{obstacle}', which is not installed here")
    try:
        if isinstance(offered, Dataset):
            known_parameters = split_parameters(offered)
        elif isinstance(offered, Metric):
            known_parameters = parameters_of(
                offered.score, given=given_to(offered), without=GIVEN_TO_METRICS
            )
        else:
            known_parameters = parameters_of(offered.make)
    except PluginError as error:
        raise PluginError(f"'{offered.name}': {error}") from error
    if isinstance(offered, Dataset):
        known_parameters.setdefault(TRAIN_SIZE, Parameter(TRAIN_SIZE, None, int | None))
    elif isinstance(offered, Metric):
        pass
    elif PREPARE in known_parameters and PREPARE in parameters:
        raise PluginError(
            f"'{offered.name}' has a parameter '{PREPARE}', a name that the harness reserves; "
            f"rename the parameter"
        )
    else:
        known_parameters[PREPARE] = preparation_of(offered)
    return Choice(offered.name, settled(offered.name, known_parameters, parameters))


def preparation_of(model: Model) -> Parameter:
    """The parameter that says how a model's input is prepared, which every model has."""
    return Parameter(PREPARE, model.needs.preparation, PREPARATIONS)


def _device(registry: Registry, name: str) -> tuple[str, str | None]:
    """A device's full name, and the reason if it cannot be used, else None."""
    kind, _, index = name.partition(":")
    if kind == "cpu" and not index:
        return name, None
    kinds = {kind for model in registry.models.values() for kind in model.devices}
    if kind not in kinds:
        raise UsageError(f"no model computes on a device '{name}': {nearest(kind, kinds)}")
    if name in registry.devices:
        return name, None
    first_of_kind = next(
        (device for device in registry.devices.values() if device.kind == name), None
    )
    if first_of_kind is not None:
        return first_of_kind.name, None
    available = ", ".join(registry.devices) or "none"
    return name, f"no {kind.upper()} device {index + ' ' if index else ''}here (there: {available})"


def _obstacle(dataset: Dataset, model: Model, device: str) -> str | None:
    """The reason why a pairing cannot run on this machine; None if it can."""
    for noun, offered in (("dataset", dataset), ("model", model)):
        missing = importable(offered.requires)
        if missing:
            return f"{noun} '{offered.name}' needs '{missing}', which is not installed here"
    if device.partition(":")[0] not in model.devices:
        return f"'{model.name}' computes on {', '.join(model.devices)} only"
    return None
