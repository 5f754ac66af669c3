"""Discover plugins without running their code here: each describes itself in its own process."""

from __future__ import annotations

import importlib
import tempfile
import time
from collections import Counter
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict, dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, TypeAlias, TypedDict

from harness.contract.classes import why_unmakeable
from harness.contract.cpu import cpu
from harness.contract.estimators import estimator
from harness.contract.own_scores import own_scores
from harness.contract.parameters import Elsewhere, described, given_to
from harness.contract.registry import (
    KINDS,
    Fault,
    Offers,
    Registry,
    Source,
    core,
    given_sources,
    installed_sources,
    offers_nothing,
    without_tags,
)
from harness.contract.values import GIVEN_TO_METRICS, Column, Device, Model, Needs, Option
from harness.errors import PluginError, UsageError, describe
from harness.processes.client import START_LIMIT, Limits, Processes, finish
from harness.processes.reading import FilesRead
from harness.processes.serving import MESSAGE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from harness.contract.classes import ClassPath
    from harness.contract.registry import Origin
    from harness.contract.values import Choice, Failure, Trial
    from harness.processes.client import Call, Parent
    from harness.processes.serving import Inside
    from harness.trials.trial import Material

    NoArrays: TypeAlias = dict[str, Any]  # empty: these answers have no arrays

MODULES = (
    "harness.trials.remote",
    "harness.trials.discovery",
    "numpy.linalg",
    "numpy.ma",
    "numpy.random",
)
"""Modules that every process loads; NumPy loads some parts of itself only when they are used."""

GENERATIONS = 8
"""How often at most a parent is replaced by one that has also loaded its calls' modules."""

LEARNING = 10.0
"""Seconds in which a parent must load its calls' modules; otherwise it does without them."""

DRAWING = 600.0
"""Default time limit of drawing a split, in seconds."""

NO_IMPORT = "does not import"
"""How the message begins if a plugin's code raises an error."""

OPENING = 3600.0
"""Time limit of opening a file or an address, in seconds; it may have to be downloaded."""

FAMILY, FAMILY_SECONDS = 50, 10.0
"""The most plugins that one process describes, and its time limit; then each is asked alone."""

SECONDS = 60.0
"""Time limit of a plugin's answer about its offers, parameters or devices, in seconds."""


OfferJSON: TypeAlias = dict[str, Any]
"""A value that a plugin offers as JSON; its keys depend on its kind (see `_to_json`)."""


class PluginJSON(TypedDict):
    """A plugin's description of itself.

    Its offers by kind, whether it looks for devices, why it offers nothing if so, and its faults.
    """

    offers: dict[str, list[OfferJSON]]
    devices: bool
    nothing: str
    faults: list[str]


@dataclass(frozen=True, slots=True)
class Held:
    """What a parent process has loaded: one plugin, and packages that its models require.

    Args:
        registry: offers of the one plugin.
        seconds: seconds that importing each package took.
        read: the files that the plugin has read, in this process and in its forks.
    """

    registry: Registry
    seconds: dict[str, float]
    read: FilesRead


class Described(Registry):
    """A registry made of the plugins' descriptions, with stand-ins for their functions.

    Args:
        processes: the processes that have loaded the plugins.
        told: each usable plugin with its description.
        faults: why the other plugins cannot be used.
        printed: what the plugins printed while they were imported.
    """

    def __init__(
        self,
        processes: Processes,
        descriptions: Sequence[tuple[Source, PluginJSON]],
        faults: list[Fault],
        printed: str = "",
    ) -> None:
        self.processes = processes
        self.faults = faults
        self.printed = printed
        self._sources = {source.origin: source for source, _ in descriptions}
        self._origins = {}
        self._loaded: dict[tuple[Origin, tuple[str, ...], str], list[tuple[str, ...]]] = {}
        self._required = Counter(
            (source, name)
            for source, description in descriptions
            for kind in ("datasets", "models", "metrics", "kernels")
            for offer in description["offers"][kind]
            for name in offer["requires"]
        )
        self._see_devices = [
            source for source, description in descriptions if description["devices"]
        ]
        self.plugins = tuple(self._sources)
        of_core = {metric.name: metric for metric in own_scores()}
        self._origins |= dict.fromkeys((("metrics", name) for name in of_core), core())
        for kind in ("datasets", "models", "metrics", "kernels", "reports", "pictures"):
            # Of the class that KINDS has for the kind.
            values: dict[str, Any] = dict(of_core) if kind == "metrics" else {}
            for source, description in descriptions:
                for offer in description["offers"][kind]:
                    self._enter(
                        kind, values, source.origin, _from_json(kind, source, offer, self._ask_for)
                    )
            setattr(self, kind, Offers(kind.removesuffix("s"), dict(sorted(values.items()))))

    @cached_property
    def devices(self) -> Offers[Device]:
        """Devices that the plugins see on this machine; the first access may take seconds."""
        calls = {
            source: self.parent(source.origin).call(devices_there, limits=Limits(SECONDS))
            for source in self._see_devices
        }
        self._origins["devices", "cpu"] = core()
        values: dict[str, Any] = {"cpu": cpu()}  # of devices; `_enter` takes any kind
        finish(calls.values())
        for source, call in calls.items():
            answer, failure = call.result()
            call.close()
            if failure is not None:
                reason = f"harness_devices: {failure.reason}"
                self.faults.append(Fault(source.origin, reason))
                continue
            self.faults += [Fault(source.origin, reason) for reason in answer["faults"]]
            for device in answer["devices"]:
                value = _from_json("devices", source, device, self._ask_for)
                self._enter("devices", values, source.origin, value)
        return Offers("device", dict(sorted(values.items())))

    def _ask_for(self, kind: str, name: str, function: str) -> dict[str, Any]:
        """The parameters of a function of a dataset or model."""
        with self.answered(kind, name, parameters_there, kind, name, function) as call:
            parameters, failure = call.result()
        return {"fault": f"its parameters: {failure.reason}"} if failure else dict(parameters)

    @contextmanager
    def answered(
        self, kind: str, name: str, function: Callable[..., Any], *given: Any, **how: Any
    ) -> Iterator[Call]:
        """Call a function in a process with the plugin that offers `name`; yield the ended call."""
        how.setdefault("limits", Limits(SECONDS))
        offered = getattr(self, kind)[name]
        parent = self.parent(self.origin(kind, name), getattr(offered, "requires", ()))
        with closing(parent.call(function, *given, **how)) as call:
            finish([call])
            yield call

    def drawn(self, trial: Trial) -> Material:
        """A trial's input, drawn in a separate process.

        Raises:
            DatasetError: the dataset breaks its contract, or its process ended.
        """
        from harness.trials.draw import draw_there, material_of, told_by

        name = trial.dataset.name
        needs = (self.models[trial.model.name].chosen(trial.model).needs,)
        with tempfile.TemporaryFile() as labels:
            arguments = (trial.dataset, trial.split_seed, trial.repeat, needs, False)
            limits, files = Limits(DRAWING), [labels.fileno()]
            with self.answered(
                "datasets", name, draw_there, *arguments, limits=limits, files=files
            ) as call:
                told_by(call, name)
                return material_of(call.answer, 0, labels.fileno)

    def parent(self, origin: Origin, requires: tuple[str, ...] = (), concerned: str = "") -> Parent:
        """The process that has loaded a plugin, and certain packages besides.

        Args:
            origin: the plugin's origin.
            requires: import names of the packages.
            concerned: the model or dataset to call; modules that its calls loaded before are
                loaded, too (see `learn`).
        """
        self.processes.renew()  # an earlier call may have killed the supervisor
        source = self._sources[origin]
        parent = _loading(self.processes, source)
        # A package that many of the plugin's models require comes first: they share one process.
        ordered = sorted(requires, key=lambda name: -self._required[source, name])
        for i in range(len(ordered)):
            key = source, tuple(ordered[: i + 1])
            parent = self.processes.grown(key, parent, import_there, ordered[i : i + 1])
        for i, names in enumerate(self._loaded.get((origin, requires, concerned), ())):
            generation_key = source, requires, concerned, i
            grown = self.processes.grown(
                generation_key, parent, import_there, names, limit=LEARNING
            )
            if grown.never_started:
                break
            parent = grown
        return parent

    def begin_loading(self, datasets: Iterable[str]) -> None:
        """As in `Registry`; the processes go on while this process does something else."""
        for name in datasets:
            parent = self.parent(self.origin("datasets", name), self.datasets[name].requires)
            parent.pump()

    def unmakeable(self, choices: Sequence[Choice]) -> dict[Choice, str]:
        """As in `Registry`; each class is made in a process of its own."""
        with ExitStack() as stack:
            calls = {
                choice: stack.enter_context(
                    closing(
                        self.parent(self.origin("models", choice.name)).call(
                            unmakeable_there, choice, limits=Limits(SECONDS)
                        )
                    )
                )
                for choice in choices
            }
            finish(calls.values())
            # A process that ends or hangs says nothing here; a trial will.
            reasons = {choice: call.result()[0] for choice, call in calls.items()}
        return {choice: str(reason) for choice, reason in reasons.items() if reason}

    def learn(
        self, origin: Origin, requires: tuple[str, ...], concerned: str, names: Sequence[str]
    ) -> None:
        """Let the parent of later calls load the modules that an ended call has loaded.

        Otherwise each call would load anew the modules that its plugin imports lazily. Only calls
        for the same model or dataset share that parent, because a module may patch others.

        Args:
            origin: the plugin's origin.
            requires: import names of the packages that the model or dataset requires.
            concerned: name of the model or dataset.
            names: the loaded modules.
        """
        generations = self._loaded.setdefault((origin, requires, concerned), [])
        new = tuple(
            name for name in names if not any(name in generation for generation in generations)
        )
        while sum(map(len, new)) > MESSAGE // 2:  # all names must fit into one message
            new = new[: len(new) // 2]
        if new and len(generations) < GENERATIONS:
            generations.append(new)


def discover(
    plugins: Iterable[str] = (),
    *,
    meanwhile: Sequence[str] = (),
    strict: bool = True,
) -> Described:
    """The offers of all installed and given plugins; each plugin describes them in its own process.

    Args:
        plugins: paths of ``.py`` files, or import names of modules.
        meanwhile: modules to import here, one by one, while the plugins' processes start.
        strict: whether a class that cannot be used is an error; otherwise it is a model with that
            as its obstacle.

    Raises:
        PluginError: a given plugin cannot be used, or two plugins offer the same name. An installed
            plugin that cannot be used raises nothing, but becomes one of ``Registry.faults``.
    """
    processes = Processes(MODULES)  # first, because it takes a while until they are ready
    try:
        installed = installed_sources()
        names = {source.origin.module for source in installed}
        extra_sources = [
            source for source in given_sources(plugins) if source.origin.module not in names
        ]
        sources = [*installed, *extra_sources]
        return _described(processes, sources, meanwhile, strict=strict)
    except BaseException:
        processes.close()
        raise


@dataclass(frozen=True, slots=True)
class _Answer:
    """A plugin's description or the failure to get it, and what the plugin printed meanwhile."""

    description: Any
    failure: Failure | None
    printed: str


def _asked(
    processes: Processes,
    sources: Sequence[Source],
    meanwhile: Sequence[str] = (),
    *,
    alone: bool = False,
) -> list[_Answer]:
    """The answers of plugins, which are asked in parallel.

    Several plugins of one distribution are loaded and described by one process, which takes less
    time than a process each. Each plugin that cannot be described there is asked alone.
    """
    families = [] if alone else _families(sources)
    together = dict.fromkeys(source for family in families for source in family)
    with ExitStack() as stack:

        def ask(
            parent: Parent, function: Callable[..., Any], given: Any, limit: float = SECONDS
        ) -> Call:
            return stack.enter_context(closing(parent.call(function, given, limits=Limits(limit))))

        of_families = [
            ask(processes.root, describe_family_there, family, FAMILY_SECONDS)
            for family in families
        ]
        parents = {each: _loading(processes, each) for each in sources if each not in together}
        lone = {source: ask(parent, describe_there, source) for source, parent in parents.items()}
        calls = [*of_families, *lone.values()]
        for module in meanwhile:
            for call in calls:
                call.poll()  # which also sends what is due
            importlib.import_module(module)
        finish(calls)
        answers = {
            source: _Answer(*call.result(), parents[source].output().strip())
            for source, call in lone.items()
        }
        for family, call in zip(families, of_families, strict=True):
            answers |= _of_family(family, call)
    if rest := [source for source in together if source not in answers]:
        processes.renew()  # one of them may have killed the supervisor
        answers |= zip(rest, _asked(processes, rest, alone=True), strict=True)
    return [answers[source] for source in sources]


def _of_family(family: Sequence[Source], call: Call) -> dict[Source, _Answer]:
    """The answers of those plugins that a process has described together; none if it failed."""
    answer, failure = call.result()
    told = answer.get("descriptions") if isinstance(answer, dict) else None
    if failure is not None or not isinstance(told, list) or len(told) != len(family):
        return {}
    # It is not known which of them printed it; one that is asked alone prints it again.
    printed = [call.output().strip() if all(told) else "", *[""] * (len(told) - 1)]
    return {
        source: _Answer(description, None, text)
        for source, description, text in zip(family, told, printed, strict=True)
        if isinstance(description, dict)
    }


def _families(sources: Sequence[Source]) -> list[tuple[Source, ...]]:
    """The installed plugins of each distribution that has several."""
    families: dict[str, list[Source]] = {}
    for source in sources:
        if source.origin.distribution and not (source.given or source.of_class):
            families.setdefault(source.origin.distribution, []).append(source)
    return [
        tuple(family[start : start + FAMILY])
        for family in families.values()
        for start in range(0, len(family), FAMILY)
        if len(family) > 1
    ]


def _described(
    processes: Processes,
    sources: Sequence[Source],
    meanwhile: Sequence[str],
    *,
    strict: bool,
) -> Described:
    answers = _asked(processes, sources, meanwhile)
    for i, source in enumerate(sources):
        failure = answers[i].failure
        if failure and failure.kind not in ("exception", "timeout"):
            # Another plugin may have killed the supervisor, and this one with it: ask it alone.
            processes.renew()
            (answers[i],) = _asked(processes, [source])
    descriptions: list[tuple[Source, PluginJSON]] = []
    faults: list[Fault] = []
    tags = {
        tag
        for source, answer in zip(sources, answers, strict=True)
        if answer.failure is None and not source.of_class
        for model in answer.description["offers"]["models"]
        for tag in model["tags"]
    }
    kept = without_tags(sources, tags)
    for source, answer in zip(sources, answers, strict=True):
        if source not in kept:
            continue
        description, failure = answer.description, answer.failure
        if failure is not None:
            reason = failure.reason
            if failure.kind == "exception" and reason.startswith("plugin "):
                raise PluginError(reason)  # the reason already names the plugin
            is_users = source.opens or source.of_class is not None
            if failure.kind == "exception" and is_users and not reason.startswith(NO_IMPORT):
                if source.of_class and not strict:
                    descriptions.append((source, _unusable(source.of_class, reason)))
                    continue
                raise UsageError(reason)
            if failure.kind != "exception":
                reason = f"its process {reason} while it listed what it offers"
            if source.of_class and not strict:
                reason = f"'{source.of_class.path}': {reason}"
                descriptions.append((source, _unusable(source.of_class, reason)))
                continue
            if source.given:
                raise PluginError(str(Fault(source.origin, reason)))
            faults.append(Fault(source.origin, reason))
            continue
        faults += [Fault(source.origin, reason) for reason in description["faults"]]
        if source.given and (description["faults"] or description["nothing"]):
            raise PluginError(description["nothing"] or str(faults[-1]))
        descriptions.append((source, description))
    printed = "\n".join(answer.printed for answer in answers if answer.printed)
    return Described(processes, descriptions, faults, printed)


def _unusable(path: ClassPath, reason: str) -> PluginJSON:
    """The description of a class that cannot be used."""
    model = Model(path.name, estimator(path.path), tags=(path.tag,), obstacle=reason)
    offers: dict[str, list[OfferJSON]] = {kind: [] for kind in KINDS if kind != "devices"}
    offers["models"] = [_to_json("models", model)]
    return {"offers": offers, "devices": False, "nothing": "", "faults": []}


def _loading(processes: Processes, source: Source) -> Parent:
    """The process that has loaded a plugin, or has opened a file, which may take longer."""
    limit = OPENING if source.opens else START_LIMIT
    return processes.parent((source, ()), load_there, source, limit=limit)


def load_there(_held: None, source: Source) -> Held:
    """Import a plugin and collect its offers, in the process that will call them."""
    read = FilesRead(source.origin.path, [core().path])
    return Held(_loaded(source), {}, read)


def _loaded(source: Source) -> Registry:
    """The offers of a plugin, which is imported.

    Raises:
        PluginError, UsageError: it cannot be imported.
    """
    try:
        module = source.load()
    except PluginError:
        raise
    except UsageError as error:
        if source.opens or source.of_class:  # the message names the file, address or class
            raise
        raise PluginError(f"{NO_IMPORT}: {describe(error)}") from None
    except SystemExit as error:
        raise PluginError(f"{NO_IMPORT}: it exits with {error.code!r}") from None
    except BaseException as error:  # noqa: BLE001  # a plugin's module can raise anything
        raise PluginError(f"{NO_IMPORT}: {describe(error)}") from None
    return Registry([(source.origin, module)], [])


def import_there(held: Held, requires: Sequence[str]) -> Held:
    """Import packages that models require.

    An import that fails here is ignored: it fails again in the trial that needs it, and becomes
    that trial's result.
    """
    seconds = dict(held.seconds)
    for name in requires:
        started = time.perf_counter()
        try:
            importlib.import_module(name)
        except (Exception, SystemExit):  # noqa: S112, BLE001  # a package can raise anything
            continue
        seconds.setdefault(name, time.perf_counter() - started)
    return Held(held.registry, seconds, held.read)


def describe_there(inside: Inside, source: Source) -> tuple[PluginJSON, NoArrays]:
    """A plugin's offers as JSON; called in a fork of the process that has loaded the plugin."""
    return _description(inside.held.registry, source), {}


def describe_family_there(
    _: Inside, family: Sequence[Source]
) -> tuple[dict[str, list[PluginJSON | None]], NoArrays]:
    """The offers of several plugins as JSON, None for each that cannot be described here."""
    descriptions: list[PluginJSON | None] = []
    for source in family:
        try:
            descriptions.append(_description(_loaded(source), source))
        except BaseException:  # noqa: BLE001  # a process of its own will tell
            descriptions.append(None)
    return {"descriptions": descriptions}, {}


def _description(registry: Registry, source: Source) -> PluginJSON:
    module = registry.modules.get(source.origin)
    of_core = core()
    description: PluginJSON = {
        "offers": {
            kind: [
                _to_json(kind, value)
                for value in getattr(registry, kind).values()
                if registry.origin(kind, value.name) != of_core
            ]
            for kind in KINDS
            if kind != "devices"
        },
        "devices": callable(getattr(module, "harness_devices", None)),
        "nothing": "",
        "faults": [],
    }
    description["faults"] = [fault.reason for fault in registry.faults]
    if module is not None and not description["faults"]:
        description["nothing"] = offers_nothing(registry, source.origin, module)
    return description


def parameters_there(
    inside: Inside, kind: str, name: str, function: str
) -> tuple[dict[str, Any], NoArrays]:
    """The parameters of a function that a plugin offers."""
    offered = getattr(inside.held.registry, kind)[name]
    without = GIVEN_TO_METRICS if kind == "metrics" else ()
    return described(getattr(offered, function), given=given_to(offered), without=without), {}


def unmakeable_there(inside: Inside, choice: Choice) -> tuple[str, NoArrays]:
    """Why a class cannot be made with a choice's parameters; empty if it can."""
    return why_unmakeable(inside.held.registry.models[choice.name], choice.arguments), {}


def devices_there(inside: Inside) -> tuple[dict[str, list[Any]], NoArrays]:
    """The devices that a plugin sees."""
    registry: Registry = inside.held.registry
    n_known = len(registry.faults)
    devices = [
        _to_json("devices", device)
        for device in registry.devices.values()
        if registry.origin("devices", device.name) != core()
    ]
    return {"devices": devices, "faults": [fault.reason for fault in registry.faults[n_known:]]}, {}


_TEXTS = ("name", "description", "licence", "citation", "kind", "scope", "epochs", "of", "obstacle")
_FLAGS = (
    *("baseline", "stable", "by_default", "after_runs", "hidden_activations"),
    *("greater_is_better", "shows_metrics"),
)
_TUPLES = ("tags", "requires", "devices", "formats", "dtypes", "default_in", "notes")
_FUNCTIONS: dict[str, tuple[str, ...]] = {
    "datasets": ("split",),
    "models": ("make", "fit_together", "reference"),
    "metrics": ("score",),
    "kernels": ("prepare", "run", "collect"),
    "devices": ("synchronize", "copier", "evictor", "elapsed"),
    "reports": ("tables", "render"),
    "pictures": ("draw",),
}
LONGEST = 10_000  # characters of a text that are kept


def _to_json(kind: str, value: Any) -> OfferJSON:
    """A value that a plugin offers as JSON: its texts, flags and the names of its functions."""
    fields = KINDS[kind].__dataclass_fields__
    description: OfferJSON = {
        name: "".join(str(getattr(value, name)))[:LONGEST] for name in _TEXTS if name in fields
    }
    description |= {name: bool(getattr(value, name)) for name in _FLAGS if name in fields}
    description |= {
        name: ["".join(word) for word in getattr(value, name)] for name in _TUPLES if name in fields
    }
    if kind == "models":
        needs = Needs.__dataclass_fields__
        description["needs"] = {name: getattr(value.needs, name) for name in needs}
    if kind == "datasets":
        description["columns"] = [asdict(column) for column in value.columns]
        description["repeats"] = value.repeats
    if kind == "metrics":
        description["bounds"] = [str(float(end)) for end in (value.low, value.high)]
    if kind == "reports":
        description["options"] = [asdict(option) for option in value.options]
    description["functions"] = [
        name for name in _FUNCTIONS[kind] if getattr(value, name) is not None
    ]
    return description


def _from_json(kind: str, source: Source, description: OfferJSON, ask: Callable[..., Any]) -> Any:
    """The value that `_to_json` described, with stand-ins for its functions."""
    known_fields = KINDS[kind].__dataclass_fields__
    fields: dict[str, Any] = {  # keyword arguments of the kind's class
        name: description[name] for name in (*_TEXTS, *_FLAGS) if name in description
    }
    fields |= {name: tuple(description[name]) for name in _TUPLES if name in description}
    if kind == "models":
        fields["needs"] = Needs(**description["needs"])
    if kind == "datasets":
        fields["columns"] = tuple(Column(**column) for column in description["columns"])
        fields["repeats"] = int(description["repeats"])
    if kind == "metrics":
        fields["low"], fields["high"] = map(float, description["bounds"])
    if kind == "reports":
        fields["options"] = tuple(_option(**option) for option in description["options"])
    for name in description["functions"]:
        if kind in ("reports", "pictures"):
            fields[name] = partial(_call_here, source, kind, description["name"], name)
        else:
            fields[name] = Elsewhere(
                f"{name} of '{description['name']}'", partial(ask, kind, description["name"], name)
            )
    return KINDS[kind](**{name: value for name, value in fields.items() if name in known_fields})


def _option(default: Any, choices: list[str], **fields: Any) -> Option:
    """An option from JSON, which has turned tuples into lists."""
    default = tuple(default) if isinstance(default, list) else default
    return Option(default=default, choices=tuple(choices), **fields)


def _call_here(
    source: Source, kind: str, name: str, function: str, *given: Any, **named: Any
) -> Any:
    """Load a plugin in this process and call its report or picture, which read only the store."""
    registry = Registry([(source.origin, source.load())], [])
    call: Callable[..., Any] = getattr(getattr(registry, kind)[name], function)
    return call(*given, **named)
