"""The distributions that are installed here: versions, requirements and modules.

`importlib.metadata` tells the same, but takes ten times as long: it parses the long description of
a distribution for each question, and makes a path of each of its files.
"""

from __future__ import annotations

import importlib.metadata
import re
from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

CODE = (".py", ".so", ".pyd")

_FOLD = re.compile(r"\n[ \t]+")
"""A line break within a field."""


@dataclass(frozen=True, slots=True)
class Distribution:
    """An installed distribution.

    Args:
        name: as it writes itself.
        version: its version.
        requires: the lines on what it requires.
        modules: top names of the modules that it installs.
    """

    name: str
    version: str
    requires: tuple[str, ...]
    modules: tuple[str, ...]

    def required(self) -> list[str]:
        """Names of the distributions that it requires here, those of its extras aside."""
        names = []
        for line in self.requires:
            try:
                requirement = Requirement(line)
            except InvalidRequirement:
                continue
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                names.append(requirement.name)
        return names


class Installed:
    """All distributions that are installed when the object is made."""

    def __init__(self) -> None:
        self._by_name: dict[str, Distribution] = {}
        for found in importlib.metadata.distributions():
            fields = _fields(found.read_text("METADATA") or found.read_text("PKG-INFO") or "")
            name = next(iter(fields["name"]), "")
            # The first one on the path is the one that is imported.
            if name and canonicalize_name(name) not in self._by_name:
                self._by_name[canonicalize_name(name)] = Distribution(
                    name,
                    next(iter(fields["version"]), ""),
                    tuple(fields["requires-dist"]),
                    tuple(_modules(found)),
                )

    def get(self, name: str) -> Distribution | None:
        """A distribution by its name, however written; None if it is not installed."""
        return self._by_name.get(canonicalize_name(name))

    def version(self, name: str) -> str:
        """A distribution's version, or ``not installed``."""
        found = self.get(name)
        return found.version if found else "not installed"

    def providers(self, module: str) -> Sequence[str]:
        """Names of the distributions that install a module, by its top name."""
        return self._providers.get(module.partition(".")[0], ())

    @cached_property
    def _providers(self) -> Mapping[str, Sequence[str]]:
        names: dict[str, list[str]] = {}
        for distribution in self._by_name.values():
            for module in distribution.modules:
                names.setdefault(module, []).append(distribution.name)
        return names


def _fields(metadata: str) -> Mapping[str, Sequence[str]]:
    """The values of each field of a distribution's metadata, without its long description."""
    head = metadata.lstrip("\n").partition("\n\n")[0]
    fields: defaultdict[str, list[str]] = defaultdict(list)
    for line in _FOLD.sub(" ", head).split("\n"):
        field, _, value = line.partition(":")
        fields[field.lower()].append(value.strip())
    return fields


def _modules(found: importlib.metadata.Distribution) -> list[str]:
    """Top names of a distribution's modules: those it lists, or those of its files."""
    if listed := found.read_text("top_level.txt"):
        return listed.split()
    paths = [line.partition(",")[0] for line in (found.read_text("RECORD") or "").splitlines()]
    tops = dict.fromkeys(path.partition("/")[0] for path in paths if path.endswith(CODE))
    return [top.partition(".")[0] for top in tops if not top.startswith(("..", "__"))]
