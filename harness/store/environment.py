"""The fingerprint of a run's environment: machine, packages, code."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypedDict

import psutil

from harness.contract.cpu import processor
from harness.contract.installed import Installed
from harness.contract.registry import core
from harness.store import repositories

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from harness.contract.registry import Registry

ALWAYS = ("classification-harness", "numpy", "scipy")
"""Distributions whose version may change the scores of any run."""


class Machine(TypedDict):
    """A machine; ``memory`` is in bytes."""

    node: str
    system: str
    processor: str
    cores: int | None
    memory: int


Checkout: TypeAlias = dict[str, object]
"""A git checkout: its ``revision``, and whether it is ``dirty``, with uncommitted changes."""


class PluginCode(TypedDict):
    """The version of a plugin's code: a digest of its files, and its git checkout if it is one."""

    digest: str
    git: Checkout | None


class Fingerprint(TypedDict):
    """The environment of a run; the store keeps it as JSON."""

    machine: Machine
    python: str
    packages: dict[str, str]
    project: Checkout | None
    plugins: dict[str, PluginCode]
    files: dict[str, str]


def fingerprint(registry: Registry, installed: Installed | None = None) -> Fingerprint:
    """Machine, Python, packages, git revisions and digests of code and of datasets' files, as JSON.

    A file's digest covers how it was opened, too.
    """
    required = {name for model in registry.models.values() for name in model.requires}
    required |= {name for dataset in registry.datasets.values() for name in dataset.requires}
    checkouts: dict[Path | None, Checkout | None] = {None: None}

    def checkout_of(path: Path) -> Checkout | None:
        root = _repository(path)
        if root not in checkouts:  # most plugins share one
            checkouts[root] = checkout_at(root or path)
        return checkouts[root]

    return {
        "machine": machine(),
        "python": platform.python_version(),
        "packages": packages(
            required,
            {origin.distribution for origin in registry.plugins if origin.distribution},
            installed,
        ),
        "project": checkout_of(Path.cwd()),
        "plugins": {
            f"{origin.name} ({origin.distribution or origin.path})": {
                "digest": origin.digest(),
                "git": checkout_of(Path(origin.path)) if origin.path else None,
            }
            for origin in (core(), *registry.plugins)
            if not origin.options
        },
        "files": files_of(registry, registry.datasets),
    }


def files_of(registry: Registry, names: Iterable[str]) -> dict[str, str]:
    """Digests of the files and options of those of the datasets that were opened, by name."""
    return {
        name: origin.digest()
        for name in names
        if (origin := registry.origin("datasets", name)).options
    }


def machine() -> Machine:
    """The machine: processor, cores, memory, operating system."""
    return {
        "node": platform.node(),
        "system": _system(),
        "processor": processor(),
        "cores": os.cpu_count(),
        "memory": psutil.virtual_memory().total,
    }


def _system() -> str:
    """The system as `platform.platform` says it, which starts a process to ask for more."""
    libc = "".join(platform.libc_ver())
    return (
        f"{platform.system()}-{platform.release()}-{platform.machine()}-with-{libc}"
        if libc
        else platform.platform()
    )


def packages(
    required: Iterable[str], distributions: Iterable[str], installed: Installed | None = None
) -> dict[str, str]:
    """Versions of the packages that affect scores: those in ALWAYS, and the given ones.

    Args:
        required: import names of the packages that models and datasets require.
        distributions: names of the plugins' distributions.
        installed: the distributions, if they have been read already.
    """
    installed = installed or Installed()
    names = {*ALWAYS, *distributions}
    for name in required:
        names.update(installed.providers(name))
    return {name: installed.version(name) for name in sorted(names)}


def _repository(place: Path) -> Path | None:
    """The nearest folder around a place that has a repository; None outside a checkout."""
    if "site-packages" in place.parts:
        return None
    place = place.resolve()  # as git does
    return next((each for each in (place, *place.parents) if (each / ".git").exists()), None)


def checkout_at(place: Path) -> Checkout | None:
    """The git revision of a file or folder, and whether it is dirty; None outside a checkout."""
    folder = place if place.is_dir() else place.parent
    if _repository(folder) is None:  # git itself takes longer to say so
        return None
    options = ("--porcelain=2", "--branch", "--no-ahead-behind", "--untracked-files=no")
    told = repositories.line(folder, "status", *options)
    lines = told.splitlines()
    revisions = [line.split()[2] for line in lines if line.startswith("# branch.oid ")]
    if not revisions or revisions == ["(initial)"]:
        return None
    return {"revision": revisions[0], "dirty": not all(line.startswith("#") for line in lines)}


def changes(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """The differences between two fingerprints that may change scores, one phrase each.

    Both are JSON, because a stored fingerprint may come from another version of the harness.
    """
    differences = [
        f"the file of dataset '{name}' or its options have changed"
        for name, digest in now.get("files", {}).items()
        if then.get("files", {}).get(name, digest) != digest
    ]
    if then["python"] != now["python"]:
        differences.append(f"Python was {then['python']} and is {now['python']}")
    for noun, key in (("package", "packages"), ("plugin", "plugins")):
        for name in sorted({*then[key], *now[key]}):
            was, is_now = then[key].get(name), now[key].get(name)
            if key == "plugins":
                was, is_now = was and was["digest"], is_now and is_now["digest"]
            if was == is_now:
                continue
            if was is None or is_now is None:
                differences.append(f"{noun} '{name}' is {'new' if was is None else 'gone'}")
            elif key == "plugins":
                differences.append(f"the code of plugin '{name}' has changed")
            else:
                differences.append(f"{noun} '{name}' was {was} and is {is_now}")
    return differences
