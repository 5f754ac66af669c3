"""What the scores of a trial follow from, as a digest: trials of one identity have equal scores.

An identity covers the dataset and the model with their parameters, the seeds, the code of both
plugins with the modules that it imports, the versions of the libraries that this code needs, the
harness's own code for preparing and scoring, Python, the device and the kind of processor. It
cannot cover the files that a plugin reads, and what it fetches. Beside it, what a dataset gave is
therefore known by a digest of the split, and what a model's process read by digests of the files:
`Result.drawn` and `Result.read`.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import json
import platform
import re
import sys
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.contract.cpu import processor
from harness.contract.estimators import inner_modules
from harness.contract.installed import Installed
from harness.contract.registry import core, every_file
from harness.trials.trial import THREADS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from harness.contract.registry import Origin, Registry
    from harness.contract.values import Choice, Trial

OWN = "classification-harness"

ROOMS = ("contract", "processes", "statistics", "trials")
"""Folders of the harness whose code prepares, trains and scores; the others only show."""

ALWAYS = ("numpy", "scipy", "pandas")
"""Distributions that every trial uses."""

DIGITS = 20  # characters of each digest

LONGEST = 500
"""Longer texts in code name no module or file."""

_PATH = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*(:[\w.]+)?|[^\s:*?]+\.py(:[\w.]+)?")


class Identities:
    """The identities of trials whose datasets and models are in one registry.

    Code and versions are looked up once, when the object is made: a file that changes later is not
    the one that the run's processes have loaded.

    Args:
        registry: has the trials' datasets and models.
        trials: the trials that it will be asked for.
        isolated: whether each trial has a process of its own; others may change each other.
    """

    def __init__(
        self, registry: Registry, trials: Iterable[Trial] = (), *, isolated: bool = True
    ) -> None:
        self._registry = registry
        self._isolated = isolated
        self.installed = Installed()
        self._plugins: dict[Origin, tuple[str, set[str], list[str]]] = {}
        self._known: dict[tuple[str, str, tuple[str, ...]], list[Any]] = {}
        for trial in trials:
            self.of(trial)

    def of(self, trial: Trial) -> str:
        """The identity of a trial: a digest of code and versions, and the trial's key.

        Repeats of one pairing share what stands before the hyphen.
        """
        parts = [
            self._code("datasets", trial.dataset),
            self._code("models", trial.model),
            self._everywhere,
            self._device(trial.device),
            *([] if self._isolated else ["in one process"]),
        ]
        code = hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:DIGITS]
        return f"{code}-{trial.key}"

    @cached_property
    def _everywhere(self) -> list[Any]:
        """What all trials share."""
        house = Path(core().path)
        files = [file for room in ROOMS for file in _files_below(house / room)]
        return [
            _digest(files, house),
            platform.python_version(),
            processor(),
            THREADS,
            self._versions(ALWAYS),
        ]

    @cache  # noqa: B019  # an object serves one run
    def _device(self, name: str) -> str:
        """A device with what is known of it; its kind alone says too little of a GPU."""
        if name == "cpu":
            return name
        return f"{name} {self._registry.devices[name].description}"

    def _code(self, kind: str, choice: Choice) -> list[Any]:
        """Code and versions that a dataset or model follows from."""
        inner = inner_modules(choice)
        key = kind, choice.name, inner
        if key not in self._known:
            origin = self._registry.origin(kind, choice.name)
            offered: Any = getattr(self._registry, kind)[choice.name]
            digest, modules, helpers = self._plugin(origin)
            places = [place for name in inner if (place := _place(name.partition(".")[0], None))]
            of_inner, files_of_inner = _reached(
                [file for place in places for file in _files_below(place)], None
            )
            for place in places:
                files_of_inner.setdefault(place.parent, []).extend(_files_below(place))
            modules = modules | of_inner
            helpers = [*helpers, *_digests(files_of_inner)]
            names = {*offered.requires, *inner} | (modules if origin.distribution != OWN else set())
            distributions = {name for module in names for name in self.installed.providers(module)}
            distributions |= {origin.distribution} - {"", OWN}
            self._known[key] = [digest, helpers, self._versions(distributions)]
        return self._known[key]

    def _plugin(self, origin: Origin) -> tuple[str, set[str], list[str]]:
        """Digest of a plugin, names of the modules that it imports, digests of its helpers."""
        if origin not in self._plugins:
            modules, helpers = _imports(origin)
            self._plugins[origin] = origin.digest(), modules, _digests(helpers)
        return self._plugins[origin]

    def _versions(self, distributions: Iterable[str]) -> list[list[str]]:
        """Versions of distributions and of all that they require, by name."""
        versions: dict[str, str] = {}
        waiting = sorted(distributions)
        while waiting:
            found = self.installed.get(name := waiting.pop())
            name = found.name if found else name
            if name not in versions:
                versions[name] = self.installed.version(name)
                waiting += found.required() if found and name != OWN else []
        return [[name, version] for name, version in sorted(versions.items())]


def _imports(origin: Origin) -> tuple[set[str], dict[Path, list[Path]]]:
    """What a plugin's code imports: names of installed modules, and files of helper modules.

    The helpers' files are given by the folder that their names are relative to.
    """
    if origin.options or not origin.path:
        return set(), {}
    own = Path(origin.path)
    return _reached(_files_below(own), own)


def _reached(begin: Sequence[Path], own: Path | None) -> tuple[set[str], dict[Path, list[Path]]]:
    """What files import, directly and through helpers; files below ``own`` are left out.

    Modules beside a plugin file can be imported from everywhere in its process.
    """
    installed: set[str] = set()
    beside_own = [own.parent] if own is not None and not own.is_dir() else []
    helpers: dict[Path, list[Path]] = {}
    waiting, seen = list(begin), set(begin)
    while waiting:
        file = waiting.pop()
        names, places = _imported_by(file)
        for name in names:
            installed.add(name)  # it comes before a file beside this one, if it is installed
            found_at = (_place(name, folder) for folder in (file.parent, *beside_own))
            places += [place for place in dict.fromkeys(found_at) if place is not None]
            places += _below(name, beside_own)
        for place in places:
            if own is None or own not in (place, *place.parents):
                found = [each for each in _files_below(place) if each not in seen]
                helpers.setdefault(place.parent, []).extend(found)
                waiting += found
                seen |= set(found)
    return installed, {root: sorted(files) for root, files in helpers.items()}


def _below(name: str, folders: Sequence[Path]) -> list[Path]:
    """Modules of a name in subfolders, which code may add to `sys.path`; none if it is installed.

    A module that is found and not used costs at most that a trial runs again.
    """
    try:
        if name in sys.modules or importlib.util.find_spec(name) is not None:
            return []
    except Exception:  # noqa: BLE001  # a stranger's finder of modules may raise anything
        return []
    forms = (f"{name}.py", f"{name}/__init__.py")
    patterns = [f"{depth}{form}" for depth in ("*/", "*/*/") for form in forms]
    try:
        found = [
            each for folder in folders for pattern in patterns for each in folder.glob(pattern)
        ]
    except OSError:  # a name that is too long for a file
        return []
    return [file.parent if file.name == "__init__.py" else file for file in sorted(found)]


def _files_below(place: Path) -> list[Path]:
    """A Python file, or all below a folder, also where symbolic links lead."""
    if not place.is_dir():
        return [place]
    return [Path(file) for file in every_file(str(place)) if file.endswith(".py")]


def _imported_by(file: Path) -> tuple[set[str], list[Path]]:
    """What a file imports anywhere: top names of modules, and files of its own package.

    Nothing if it cannot be read.
    """
    try:
        tree = ast.parse(file.read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return set(), []
    names: set[str] = set()
    places: list[Path] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names.add(str(node.module).partition(".")[0])
        elif isinstance(node, ast.ImportFrom):
            places += _of_package(file, node)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            named, found = _named_by(node.value, file.parent)
            names |= named
            places += found
    return names - sys.stdlib_module_names - {"harness"}, places


def _named_by(text: str, folder: Path) -> tuple[set[str], list[Path]]:
    """What a text in code may name: a module, as in ``module:Class``, or a Python file.

    A text that looks like one and is none costs at most that a trial runs again.

    >>> _named_by("lightgbm:LGBMClassifier", Path())
    ({'lightgbm'}, [])
    """
    module, _, _ = text.partition(":")
    if len(text) > LONGEST or not _PATH.fullmatch(text):
        return set(), []
    if module.endswith(".py"):
        candidates = [Path(module), folder / module]
        return set(), [each.resolve() for each in candidates if _exists(each)][:1]
    top = module.partition(".")[0]
    if ":" in text:
        return {top}, []
    # As importlib.import_module takes it; any other word is no file beside this one.
    if _exists(folder / top / "__init__.py"):
        return set(), [folder / top]
    beside = folder / f"{top}.py"
    return set(), [beside] if _exists(beside) else []


def _of_package(file: Path, node: ast.ImportFrom) -> list[Path]:
    """The files that a relative import executes."""
    folder = file.parent
    for _ in range(node.level - 1):
        folder = folder.parent
    places = [folder / "__init__.py"]
    for part in (node.module or "").split("."):
        folder = folder / part
        places += [folder / "__init__.py", folder.parent / f"{folder.name}.py"]
    for alias in node.names:
        places += [folder / alias.name / "__init__.py", folder / f"{alias.name}.py"]
    return [place for place in dict.fromkeys(places) if _exists(place) and place != file]


def _place(name: str, folder: Path | None) -> Path | None:
    """The file or folder of a module that is not installed; None for installed modules.

    A module of an editable distribution is not installed, because its version does not tell its
    code.
    """
    if folder is not None and not _is_installed(folder):
        for candidate in (folder / f"{name}.py", folder / name):
            if _exists(candidate):
                return candidate
    try:
        spec = importlib.util.find_spec(name)
    except Exception:  # noqa: BLE001  # a stranger's finder of modules may raise anything
        return None
    if spec is None:
        return None
    if spec.origin is None:  # a namespace package
        places = [Path(each) for each in spec.submodule_search_locations or ()]
        return next((each for each in places if not _is_installed(each)), None)
    path = Path(spec.origin)
    if _is_installed(path) or not path.exists():
        return None
    return path.parent if path.name == "__init__.py" else path


def _exists(place: Path) -> bool:
    try:
        return place.exists()
    except (OSError, ValueError):  # a plugin can write names that are too long for a file
        return False


def _is_installed(path: Path) -> bool:
    return bool({"site-packages", "dist-packages"} & set(path.parts))


def _digests(helpers: Mapping[Path, Sequence[Path]]) -> list[str]:
    return [_digest(files, root) for root, files in sorted(helpers.items())]


def _digest(files: Iterable[Path], root: Path) -> str:
    digest = hashlib.sha256()
    for file in files:
        digest.update(f"{file.relative_to(root)}\n".encode())
        try:
            digest.update(file.read_bytes())
        except OSError:  # it was there a moment ago
            digest.update(b"gone")
    return digest.hexdigest()[:DIGITS]
