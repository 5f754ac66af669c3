"""Discovery: makes a registry of datasets, models etc. from entry points and plugin files."""

from __future__ import annotations

import hashlib
import importlib
import importlib.metadata
import importlib.util
import os
import re
import sys
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, TypeVar

import pluggy

from harness.contract import hookspecs, plugin_files
from harness.contract.classes import ClassPath, class_path, why_unmakeable
from harness.contract.cpu import cpu
from harness.contract.openers import opening, opens
from harness.contract.own_scores import own_scores
from harness.contract.parameters import parameters_of
from harness.contract.selectors import quoted
from harness.contract.values import (
    DEFAULT_IN,
    KINDS_WITHOUT_FOLDS,
    NAME,
    Choice,
    Column,
    Dataset,
    Device,
    Kernel,
    Metric,
    Model,
    Needs,
    Option,
    Picture,
    Report,
    is_kind,
)
from harness.errors import PluginError, UnknownNameError, describe, nearest

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from types import ModuleType

GROUP = "classification_harness"
KINDS: Mapping[str, type[Any]] = {
    "datasets": Dataset,
    "models": Model,
    "metrics": Metric,
    "kernels": Kernel,
    "devices": Device,
    "reports": Report,
    "pictures": Picture,
}

CALLED: Mapping[str, tuple[str, ...]] = {
    "datasets": ("split",),
    "models": ("make",),
    "metrics": ("score",),
    "kernels": ("prepare", "run", "collect"),
    "devices": ("synchronize",),
    "reports": ("tables", "render"),
    "pictures": ("draw",),
}
"""Fields that must be callable."""

SCOPES = ("pairing", "run", "history")

Offer: TypeAlias = Dataset | Model | Metric | Kernel | Device | Report | Picture
"""A value that a plugin yields."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a plugin comes from: a distribution and its version, or a file.

    Args:
        name: name of the entry point, or the file's stem.
        module: import name of the plugin.
        distribution: name of the distribution; empty for a file.
        version: version of the distribution; empty for a file.
        path: the file or the package's folder; empty if there is none.
        options: how a file was opened as a dataset; empty for code.
        files: further files that the options name.
    """

    name: str
    module: str
    distribution: str = ""
    version: str = ""
    path: str = ""
    options: str = ""
    files: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.distribution} {self.version}" if self.distribution else self.path

    @property
    def is_class(self) -> bool:
        """Whether it is a class that the user selected as a model; see `ClassPath`."""
        return ":" in self.name and not self.options

    def digest(self) -> str:
        """Digest of the plugin's files and options, to notice changes; empty without either."""
        if not self.path:
            return hashlib.sha256(self.options.encode()).hexdigest()[:16] if self.options else ""
        is_folder = Path(self.path).is_dir()
        files = every_file(self.path) if is_folder else [self.path, *self.files]
        digest = hashlib.sha256()
        for file in files:
            if os.path.isfile(file):  # noqa: PTH113  # pathlib is slow
                name = file.removeprefix(self.path).lstrip(os.sep) if is_folder else "."
                digest.update(name.encode(errors="surrogateescape"))
                with open(file, "rb") as stream:  # noqa: PTH123
                    while block := stream.read(1 << 20):
                        digest.update(block)
        digest.update(self.options.encode())
        return digest.hexdigest()[:16]


def every_file(folder: str) -> list[str]:
    """All files below a folder, sorted, also where links to folders lead; no compiled code."""
    files: list[str] = []
    seen: set[str] = set()
    for place, folders, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(place)
        if real in seen:  # links can go round in circles
            folders.clear()
            continue
        seen.add(real)
        files += [f"{place}{os.sep}{name}" for name in names if not name.endswith(".pyc")]
    return sorted(files, key=lambda file: file.split(os.sep))  # noqa: PTH206  # pathlib is slow


@dataclass(frozen=True, slots=True)
class Fault:
    """A plugin that cannot be used, and the reason in one line."""

    origin: Origin
    reason: str

    def __str__(self) -> str:
        return f"plugin '{self.origin.name}' ({self.origin}): {self.reason}"


class Offers(Mapping[str, T], Generic[T]):
    """Values by name; the error for an unknown name suggests the nearest names."""

    def __init__(self, noun: str, values: Mapping[str, T]) -> None:
        self._noun = noun
        self._values = values

    def __getitem__(self, name: str) -> T:
        if name not in self._values:
            raise UnknownNameError(f"no {self._noun} '{name}': {nearest(name, self._values)}")
        return self._values[name]

    def __contains__(self, name: object) -> bool:
        return name in self._values

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"<{len(self)} {self._noun}s: {', '.join(self._values)}>"


class Registry:
    """Everything that the plugins offer, by name.

    ``datasets``, ``models``, ``metrics``, ``kernels``, ``reports`` and ``pictures`` are mappings
    made at discovery. ``devices`` is made at first use, because looking for accelerators loads
    libraries for seconds.
    """

    def __init__(self, plugins: Sequence[tuple[Origin, ModuleType]], faults: list[Fault]) -> None:
        self._manager = pluggy.PluginManager(hookspecs.PROJECT)
        self._manager.add_hookspecs(hookspecs)
        self._origins: dict[tuple[str, str], Origin] = {}
        self._devices: Offers[Device] | None = None
        self.modules: dict[Origin, ModuleType] = {}
        self._refused: list[ModuleType] = []  # pluggy may have registered some of their hooks
        self.faults = faults
        for origin, module in plugins:
            self._register(origin, module)
        self.plugins: tuple[Origin, ...] = tuple(self.modules)
        self.datasets: Offers[Dataset] = self._ask("datasets")
        self.models: Offers[Model] = self._ask("models")
        of_core = {metric.name: metric for metric in own_scores()}
        self._origins |= dict.fromkeys((("metrics", name) for name in of_core), core())
        self.metrics: Offers[Metric] = self._ask("metrics", of_core)
        self.kernels: Offers[Kernel] = self._ask("kernels")
        self.reports: Offers[Report] = self._ask("reports")
        self.pictures: Offers[Picture] = self._ask("pictures")

    @property
    def devices(self) -> Offers[Device]:
        """Devices found on this machine; the first use may take seconds."""
        if self._devices is None:
            self._origins["devices", "cpu"] = core()
            self._devices = self._ask("devices", {"cpu": cpu()})
        return self._devices

    def origin(self, kind: str, name: str) -> Origin:
        """The plugin that offers a value; ``kind`` is one of ``KINDS``."""
        return self._origins[kind, name]

    def offers_of(self, origin: Origin) -> dict[str, tuple[str, ...]]:
        """The names that one plugin offers, by kind; devices only after their first use."""
        return {
            kind: tuple(name for (k, name), o in self._origins.items() if k == kind and o == origin)
            for kind in KINDS
        }

    def begin_loading(self, datasets: Iterable[str]) -> None:
        """Let processes load what datasets require; there are none, as all is in this process."""

    def unmakeable(self, choices: Sequence[Choice]) -> dict[Choice, str]:
        """The choices of classes that cannot be made with their parameters, and why."""
        reasons = {
            choice: why_unmakeable(self.models[choice.name], choice.arguments) for choice in choices
        }
        return {choice: reason for choice, reason in reasons.items() if reason}

    def __repr__(self) -> str:
        counts = [f"{len(getattr(self, kind))} {kind}" for kind in KINDS if kind != "devices"]
        return f"<harness registry: {', '.join(counts)}>"

    def _register(self, origin: Origin, module: ModuleType) -> None:
        try:
            self._manager.register(module, name=f"{origin.name} ({origin})")
        except pluggy.PluginValidationError:
            self._refused.append(module)
            self.faults.append(Fault(origin, "a hook takes arguments, but hooks have none"))
            return
        try:
            self._manager.check_pending()
        except pluggy.PluginValidationError:
            wrong = _unknown_hooks(self._manager, module)
            self._manager.unregister(module)
            self.faults.append(
                Fault(origin, f"no hook '{wrong}': {nearest(wrong, _hook_names())}"),
            )
        else:
            self.modules[origin] = module

    def _enter(self, kind: str, offers: dict[str, Offer], origin: Origin, value: Offer) -> None:
        """Add a value; it is an error if two plugins offer the same name."""
        if value.name in offers:
            other = self._origins[kind, value.name]
            remedy = "uninstall one or rename it"
            for each in (origin, other):
                if each.options:
                    remedy = f"give the file's another name: '{Path(each.path).name}[name=...]'"
                elif each.is_class:
                    remedy = f"give the class's another name: '{each.name}[name=...]'"
            both = [str(other), str(origin)]
            if other.distribution == origin.distribution:  # two plugins of one distribution
                both = [f"{each}: {each.name}" for each in (other, origin)]
            raise PluginError(
                f"harness_{kind}: {kind.removesuffix('s')} '{value.name}' is offered by both "
                f"'{both[0]}' and '{both[1]}'; {remedy}"
            )
        offers[value.name] = value
        self._origins[kind, value.name] = origin

    def _ask(self, kind: str, of_core: Mapping[str, Offer] = MappingProxyType({})) -> Offers[Any]:
        """Call a hook of each plugin separately, so that every value and fault has an origin.

        The type of the values depends on ``kind``, which no annotation can express.
        """
        noun = kind.removesuffix("s")
        offers = dict(of_core)
        for origin, module in self.modules.items():
            others = [
                other for other in (*self.modules.values(), *self._refused) if other is not module
            ]
            hook = self._manager.subset_hook_caller(f"harness_{kind}", others)
            try:
                values = [value for answer in hook() for value in answer]
            except (Exception, SystemExit) as error:  # noqa: BLE001  # a plugin may raise anything
                self.faults.append(Fault(origin, f"harness_{kind} raised {describe(error)}"))
                continue
            for value in values:
                breach = _breach(kind, value)
                if breach:
                    self.faults.append(Fault(origin, f"harness_{kind} yielded {breach}"))
                    continue
                self._enter(kind, offers, origin, value)
        return Offers(noun, dict(sorted(offers.items())))


@dataclass(frozen=True, slots=True)
class Source:
    """How to import a plugin.

    Args:
        origin: where the plugin comes from.
        module: import name; empty for a file.
        attribute: dotted name of the object in the module that has the hooks; empty if it is the
            module itself.
        given: the path or import name as the user wrote it; empty for an installed plugin.
        opens: whether ``given`` names a file or an address to open as datasets.
        of_class: a class to make a model of; None for other plugins.
    """

    origin: Origin
    module: str = ""
    attribute: str = ""
    given: str = ""
    opens: bool = False
    of_class: ClassPath | None = None

    def load(self) -> ModuleType:
        """Import the plugin.

        Raises:
            PluginError: a plugin that the user gave cannot be imported.
            UsageError: a class cannot be imported, or is no classifier.
            BaseException: any error of an installed plugin.
        """
        if self.opens and (found := opening(self.given)):
            return found.datasets()
        if self.of_class:
            return self.of_class.plugin()
        if self.given:
            return _import_given(self)
        module = importlib.import_module(self.module)
        for name in filter(None, self.attribute.split(".")):
            module = getattr(module, name)
        return module


def core() -> Origin:
    """The origin of the harness itself, whose code affects scores just as a plugin's does."""
    name = "classification-harness"
    version = importlib.metadata.version(name)
    return Origin("core", "harness", name, version, str(Path(__file__).parents[1]))


def installed_sources() -> list[Source]:
    """The sources of all installed plugins, sorted by name."""
    entries = importlib.metadata.entry_points(group=GROUP)
    return [
        Source(_entry_origin(entry), entry.module, entry.attr or "")
        for entry in sorted(entries, key=lambda entry: entry.name)
    ]


def given_sources(plugins: Iterable[str]) -> list[Source]:
    """The sources of the plugins that the user gave by path or import name, without duplicates.

    Raises:
        PluginError: a file does not exist.
    """
    return [_given(spec) for spec in {_resolved(spec): spec for spec in plugins}.values()]


def load(plugins: Iterable[str] = ()) -> Registry:
    """Import all installed and given plugins into this process, and return their registry.

    Args:
        plugins: paths of ``.py`` files, or import names of modules.

    Raises:
        PluginError: a given plugin cannot be used, or two plugins offer the same name. An installed
            plugin that cannot be imported raises nothing: it becomes one of ``Registry.faults``.
    """
    installed: list[tuple[Origin, ModuleType]] = []
    faults: list[Fault] = []
    for source in installed_sources():
        try:
            installed.append((source.origin, source.load()))
        except Exception as error:  # noqa: BLE001  # a plugin's code can raise anything
            faults.append(Fault(source.origin, f"does not import: {describe(error)}"))
        except SystemExit as error:
            faults.append(Fault(source.origin, f"does not import: it exits with {error.code!r}"))
    sources = given_sources(plugins)
    if any(source.of_class and source.of_class.may_be_a_tag for source in sources):
        others = [(each.origin, each.load()) for each in sources if not each.of_class]
        models = Registry([*installed, *others], []).models.values()
        sources = without_tags(sources, {tag for model in models for tag in model.tags})
    given_modules = [(source.origin, source.load()) for source in sources]
    installed_modules = [module for _, module in installed]
    given_modules = [
        (origin, module) for origin, module in given_modules if module not in installed_modules
    ]
    n_faults = len(faults)
    registry = Registry([*installed, *given_modules], faults)
    for fault in registry.faults[n_faults:]:
        if fault.origin in [origin for origin, _ in given_modules]:
            raise PluginError(str(fault))
    for origin, module in given_modules:
        if reason := offers_nothing(registry, origin, module):
            raise PluginError(reason)
    return registry


def offers_nothing(registry: Registry, origin: Origin, module: ModuleType) -> str:
    """An error message, with a remedy, for a plugin that offers nothing; else empty."""
    if any(registry.offers_of(origin).values()) or _has_hook(module, "devices"):
        return ""
    return f"plugin '{origin}' offers nothing: {_how_to_offer(module)}"


def _entry_origin(entry: importlib.metadata.EntryPoint) -> Origin:
    distribution = entry.dist
    return Origin(
        name=entry.name,
        module=entry.module,
        distribution=distribution.name if distribution else "unknown",
        version=distribution.version if distribution else "?",
        path=_folder(entry.module),
    )


def _folder(module: str) -> str:
    """The folder of a package, or the file of a module; empty if it cannot be found.

    Nothing is imported to find it, not even the package that contains the module.
    """
    package, *submodules = module.split(".")
    try:
        spec = importlib.util.find_spec(package)
    except (ImportError, ValueError):
        return ""
    if spec is None:
        return ""
    if not submodules:
        folders = spec.submodule_search_locations
        return str(next(iter(folders))) if folders else spec.origin or ""
    for folder in spec.submodule_search_locations or ():
        path = Path(folder, *submodules)
        if path.is_dir():
            return str(path)
        if (file := path.with_name(f"{path.name}.py")).is_file():
            return str(file)
    return ""


def _given(spec: str) -> Source:
    if opens(spec) and (found := opening(spec)):
        file = found.head if found.is_file else ""
        options = found.spec.removeprefix(quoted(found.head) if found.is_file else found.head)
        name = Path(found.head).name if found.is_file else found.head
        origin = Origin(name, found.spec, path=file, options=options, files=found.files)
        return Source(origin, given=found.spec, opens=True)
    if of_class := _class_of(spec):
        distribution, version = of_class.distribution()
        code = of_class.file or ("" if distribution else _folder(of_class.module))
        origin = Origin(of_class.path, of_class.spec, distribution, version, code)
        return Source(origin, given=spec, of_class=of_class)
    if not _names_a_file(spec):
        return Source(Origin(spec, spec, path=_folder(spec) or spec), module=spec, given=spec)
    path = Path(spec)
    if not path.is_file():
        raise PluginError(f"plugin file '{spec}' does not exist; check the path")
    name = plugin_files.name_of(path.resolve())
    return Source(Origin(path.stem, name, path=str(path.resolve())), given=spec)


def _import_given(source: Source) -> ModuleType:
    spec = source.given
    try:
        if source.module:
            return importlib.import_module(source.module)
        sys.modules.pop(source.origin.module, None)  # the file may have changed since
        return importlib.import_module(source.origin.module)
    except ModuleNotFoundError as error:
        if source.module and error.name and source.module.startswith(error.name):
            raise PluginError(
                f"plugin '{spec}' is neither a .py file nor a module that can be imported"
            ) from None
        raise _does_not_import(spec, error) from error
    except (Exception, SystemExit) as error:
        raise _does_not_import(spec, error) from error


def _does_not_import(spec: str, error: BaseException) -> PluginError:
    return PluginError(f"plugin '{spec}' does not import: {plugin_files.described(error)}")


def _class_of(spec: str) -> ClassPath | None:
    """The class that a plugin's text names; None if it names another plugin."""
    if ":" not in spec or Path(spec).is_file():
        return None
    found = class_path(spec, strict=False)
    return found[0] if found else None


def without_tags(sources: Sequence[Source], tags: Set[str]) -> list[Source]:
    """The sources without classes whose module is a tag: ``linear:lasso`` selects by the tag."""
    return [
        source
        for source in sources
        if not (source.of_class and source.of_class.may_be_a_tag and source.of_class.module in tags)
    ]


def _names_a_file(spec: str) -> bool:
    return spec.endswith(".py") or Path(spec).is_file()


def _resolved(spec: str) -> str:
    """The same text for each way to write the same plugin."""
    if opens(spec) and (found := opening(spec)):
        return found.spec
    if of_class := _class_of(spec):
        return of_class.spec
    return str(Path(spec).resolve()) if _names_a_file(spec) else spec


def _breach(kind: str, value: Any) -> str | None:
    """A yielded value and how it breaks the contract, to follow "yielded"; None if it is valid."""
    if not isinstance(value, KINDS[kind]):
        return f"{value!r:.80}, which is not a harness.{KINDS[kind].__name__}"
    noun = kind.removesuffix("s")
    pattern = r"[a-z]+(:\d+)?" if kind == "devices" else NAME
    if not isinstance(value.name, str) or not re.fullmatch(pattern, value.name):
        return f"a {noun} with the name {value.name!r}; names are words joined by '-'"
    if wrong := _wrong_field(kind, value):
        return f"{noun} '{value.name}', {wrong}"
    if isinstance(value, Dataset) and not is_kind(value.kind):
        kinds = f"{', '.join(KINDS_WITHOUT_FOLDS)}, and cross-validation such as 10-fold"
        return f"dataset '{value.name}' of kind {value.kind!r}; there are {kinds}"
    if isinstance(value, Dataset) and (wrong := _wrong_columns(value)):
        return f"dataset '{value.name}', {wrong}"
    if isinstance(value, Report) and (wrong := _wrong_options(value)):
        return f"report '{value.name}', {wrong}"
    if isinstance(value, Picture) and value.scope not in SCOPES:
        return f"picture '{value.name}' of scope {value.scope!r}; there are {', '.join(SCOPES)}"
    if isinstance(value, Metric) and (wrong := _wrong_scale(value)):
        return f"metric '{value.name}', {wrong}"
    if isinstance(value, Model) and (
        not isinstance(value.needs, Needs) or value.needs.dtype not in ("float32", "float64")
    ):
        return f"model '{value.name}', whose needs are {value.needs!r}; write harness.Needs(...)"
    return None


def _wrong_field(kind: str, value: Any) -> str:
    """The field of a value that has the wrong type, as a relative clause; empty if none has."""
    for field in CALLED[kind]:
        if not callable(getattr(value, field)):
            return f"whose {field} is not callable"
    for field in ("fit_together", "reference"):
        if getattr(value, field, None) is not None and not callable(getattr(value, field)):
            return f"whose {field} is not callable"
    for field in ("tags", "requires", "devices", "formats", "default_in", "notes"):
        texts = getattr(value, field, ())
        if not isinstance(texts, tuple) or not all(isinstance(text, str) for text in texts):
            return f"whose {field} is {texts!r}; write a tuple of texts"
    for command in getattr(value, "default_in", ()):
        if command not in DEFAULT_IN:
            return f"which is default in '{command}'; there are {', '.join(DEFAULT_IN)}"
    if isinstance(value, Model) and value.epochs:
        return _wrong_epochs(value)
    return ""


def _wrong_columns(dataset: Dataset) -> str:
    """How columns and repeats break the contract, as a relative clause; empty if they are valid."""
    columns = dataset.columns
    if not isinstance(columns, tuple) or not all(isinstance(each, Column) for each in columns):
        return f"whose columns are {columns!r:.80}; write a tuple of harness.Column(...)"
    if not isinstance(dataset.repeats, int) or dataset.repeats < 0:
        return f"whose repeats are {dataset.repeats!r:.80}; write a whole number from 0"
    return ""


def _wrong_scale(metric: Metric) -> str:
    """How a metric's scale breaks the contract, as a relative clause; empty if it is valid."""
    if metric.of not in ("probabilities", "labels"):
        return f"which is computed of {metric.of!r:.80}; write probabilities or labels"
    if not isinstance(metric.greater_is_better, bool):
        return f"whose greater_is_better is {metric.greater_is_better!r:.80}; write True or False"
    ends = (metric.low, metric.high)
    is_number = all(isinstance(end, int | float) for end in ends)
    if not is_number or not metric.low < metric.high:
        return f"whose bounds are {ends!r:.80}; write two numbers, the lower one as low"
    return ""


def _wrong_epochs(model: Model) -> str:
    """Why a model's parameter for its epochs is none, as a relative clause; empty if it is."""
    if not isinstance(model.epochs, str):
        return f"whose epochs is {model.epochs!r:.80}; write the name of a parameter"
    try:
        parameters = parameters_of(model.make)
    except PluginError:
        return ""  # reported where the parameters are needed
    if model.epochs not in parameters:
        return f"whose make has no parameter '{model.epochs}' for its epochs"
    return ""


def _wrong_options(report: Report) -> str:
    """How a report's options break the contract, as a relative clause; empty if they are valid."""
    options = report.options
    if not isinstance(options, tuple) or not all(isinstance(option, Option) for option in options):
        return f"whose options are {options!r:.80}; write a tuple of harness.Option(...)"
    for option in options:
        if not isinstance(option.name, str) or not re.fullmatch(r"[a-z][a-z0-9-]*", option.name):
            return f"whose option is called {option.name!r}; names are words joined by '-'"
        if not isinstance(option.default, bool | int | float | str | tuple | None):
            return f"whose option '{option.name}' is {option.default!r:.80} by default; see Option"
        if not isinstance(option.short, str) or not re.fullmatch(r"[A-Za-z]?", option.short):
            return f"whose option '{option.name}' is short for {option.short!r}; write one letter"
    if report.after_runs and "rich" not in report.formats:
        return "which is printed after runs, but has no format 'rich'"
    return ""


def _hook_names() -> list[str]:
    return [f"harness_{kind}" for kind in KINDS]


def _has_hook(module: ModuleType, kind: str) -> bool:
    return callable(getattr(module, f"harness_{kind}", None))


def _unknown_hooks(manager: pluggy.PluginManager, module: ModuleType) -> str:
    callers = manager.get_hookcallers(module) or []
    return ", ".join(caller.name for caller in callers if not caller.has_spec())


def _how_to_offer(module: ModuleType) -> str:
    bare: list[str] = [
        name
        for name in _hook_names()
        if callable(getattr(module, name, None))
        and not hasattr(getattr(module, name), f"{hookspecs.PROJECT}_impl")
    ]
    if bare:
        return f"put @harness.hookimpl above {bare[0]}"
    return f"define one of {', '.join(_hook_names())} and put @harness.hookimpl above it"
