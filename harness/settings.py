"""Reads ``[tool.harness]`` in the nearest pyproject.toml: plugins, store, defaults of ``run``."""

from __future__ import annotations

import os
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import UsageError, nearest

if TYPE_CHECKING:
    from collections.abc import Mapping

STORE = "harness.db"
RUN_DEFAULTS: Mapping[str, tuple[type, ...]] = {
    "datasets": (list,),
    "models": (list,),
    "metrics": (list,),
    "repeats": (int, str),
    "seed": (int,),
    "device": (list,),
    "jobs": (int,),
    "timeout": (int, float, str),
    "memory": (int, str),
    "timing_budget": (int, float, str),
}


_IN_TOML = {
    list: "a list of strings",
    dict: "a table",
    int: "an integer",
    float: "a float",
    str: "a string",
}


@dataclass(frozen=True, slots=True)
class Settings:
    """A project's settings, which apply to everybody who runs the harness in it.

    Args:
        plugins: paths of ``.py`` files, or import names of modules.
        datasets: for each dataset that is a file: its ``file``, an absolute path or an address,
            and options such as ``target``.
        store: path of an SQLite file, or a database URL.
        run: defaults of ``harness run``.
    """

    plugins: tuple[str, ...] = ()
    datasets: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    store: str | None = None
    run: Mapping[str, Any] = field(default_factory=dict)  # TOML, checked against RUN_DEFAULTS


def read_settings(folder: Path | None = None) -> Settings:
    """The settings of the nearest pyproject.toml, in a folder or above it.

    Paths of plugins and of a store file are relative to that pyproject.toml.

    Args:
        folder: where the search begins; the current folder if None.

    Raises:
        UsageError: the file is not valid TOML, a key is unknown, or a value has the wrong type.
    """
    start = (folder or Path.cwd()).resolve()
    for parent in (start, *start.parents):
        file = parent / "pyproject.toml"
        if file.is_file():
            return _read(file)
    return Settings()


def choose_store(given: str | None, settings: Settings) -> str:
    """The store's URL or path: the given one, else from HARNESS_STORE, else from the settings."""
    return given or os.environ.get("HARNESS_STORE") or settings.store or STORE


def _read(file: Path) -> Settings:
    try:
        table = tomllib.loads(file.read_text(encoding="utf-8")).get("tool", {}).get("harness", {})
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{file}: is not valid TOML: {error}") from None
    if not isinstance(table, dict):
        raise UsageError(f"{file}: tool.harness = {table!r} is not a table")
    allowed: Mapping[str, tuple[type, ...]] = {
        "plugins": (list,),
        "datasets": (dict,),
        "store": (str,),
        "run": (dict,),
    }
    _check(file, "tool.harness", table, allowed)
    _check(file, "tool.harness.run", table.get("run", {}), RUN_DEFAULTS)
    store = table.get("store")
    if store is not None and "://" not in store:
        store = str(file.parent / store)
    return Settings(
        plugins=tuple(_plugin(file.parent, spec) for spec in table.get("plugins", ())),
        datasets={
            name: _dataset(file, name, options)
            for name, options in table.get("datasets", {}).items()
        },
        store=store,
        run=table.get("run", {}),
    )


def _dataset(file: Path, name: str, options: object) -> dict[str, str]:
    """A dataset's options as texts; lists become ``a+b``, and its file's path absolute."""
    section = f"tool.harness.datasets.{name}"
    if not isinstance(options, dict) or not isinstance(options.get("file"), str):
        raise UsageError(f'{file}: [{section}] needs file = "path", and target = "column"')
    texts: dict[str, str] = {}
    for key, value in options.items():
        if isinstance(value, list) and all(isinstance(item, str) for item in value):
            texts[key] = "+".join(value)
        elif isinstance(value, str | int) and not isinstance(value, bool):
            texts[key] = str(value)
        else:
            raise UsageError(f"{file}: [{section}] {key} = {value!r} is neither text nor a list")
    for key in ("file", "test"):
        if key in texts and (path := file.parent / texts[key]).is_file():
            texts[key] = str(path)
    return texts


def _plugin(folder: Path, spec: str) -> str:
    return str(folder / spec) if spec.endswith(".py") else spec


def _check(
    file: Path, section: str, table: Mapping[str, object], allowed: Mapping[str, tuple[type, ...]]
) -> None:
    for key, value in table.items():
        if key not in allowed:
            raise UsageError(f"{file}: [{section}] has no key '{key}': {nearest(key, allowed)}")
        has_strings = not isinstance(value, list) or all(isinstance(item, str) for item in value)
        if not isinstance(value, allowed[key]) or isinstance(value, bool) or not has_strings:
            types = " or ".join(_IN_TOML[t] for t in allowed[key])
            raise UsageError(f"{file}: [{section}] {key} = {value!r} is not {types}")
