"""Notes which files a plugin's process reads, so that a result is known only while they last.

A digest of a plugin's code cannot tell all that its results follow from: a model may load weights
from a file, or import a module whose name it computes. So the process that runs it notes the files
that it opens to read, and their content becomes a part of what the result is known by. Only files
that Python itself opens are noted, and libraries that ``ctypes`` loads.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import os
import stat
import sys
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

MOST = 1000
"""The most files that are noted of a process."""
LONGEST = 4096  # characters of a path
MANY = ("*", "too many files to note")
"""Stands for the files beyond `MOST`: no later look finds this content, so the trial runs again."""

WHOLE = 64 * 2**20
"""Bytes up to which a file's whole content counts; of larger files, this much, size and time."""
DIGITS = 20  # characters of a digest

SYSTEM = ("/proc", "/sys", "/dev", "/etc", "/usr", "/lib", "/lib64", "/run")
INSTALLED = tuple(f"{os.sep}{name}{os.sep}" for name in ("site-packages", "dist-packages"))


class FilesRead:
    """The files that a process has read, and its parent had when it was forked.

    Files of the system, of Python, of installed packages, and in the user's cache are left out:
    versions tell the first three. So are files that the process itself writes.

    Args:
        known: files and folders whose content is known otherwise, such as the plugin's.
    """

    def __init__(self, known: Iterable[str] = ()) -> None:
        self._read: dict[str, None] = {}
        self._written: set[str] = set()
        paths = sysconfig.get_paths()
        places = {*SYSTEM, sys.prefix, sys.base_prefix, paths["stdlib"], _caches()}
        self._left_out = tuple(os.path.join(place, "") for place in places if place != os.sep)  # noqa: PTH118  # ends in /
        self._known = {os.path.realpath(path) for path in known if path}
        sys.addaudithook(self._notice)

    def _notice(self, event: str, args: tuple[Any, ...]) -> None:
        """Note a file; called for every audit event, and in the middle of the plugin's code."""
        if event == "open":
            path, _, flags = args
        elif event == "ctypes.dlopen":
            path, flags = args[0], os.O_RDONLY
        else:
            return
        # An error here would be raised in the plugin's code.
        with contextlib.suppress(Exception):
            if isinstance(path, bytes):
                path = os.fsdecode(path)
            if not isinstance(path, str) or self._is_left_out(path):
                return
            if event != "open" and os.sep not in path:  # the system's loader searches for it
                return
            path = os.path.abspath(path)  # noqa: PTH100  # must not touch the file
            if isinstance(flags, int) and flags & os.O_ACCMODE != os.O_RDONLY:
                self._written.add(path)
            elif len(self._read) <= MOST and not self._is_left_out(path):
                self._read[path] = None

    def _is_left_out(self, path: str) -> bool:
        return path.startswith(self._left_out) or any(name in path for name in INSTALLED)

    def paths(self) -> list[str]:
        """The noted files, sorted; ends with the name of `MANY` if there are more than `MOST`."""
        noted = set()
        for path in list(self._read):
            real = os.path.realpath(_source(path))
            own = {real, *map(str, Path(real).parents)} & self._known
            left_out = own or path in self._written or self._is_left_out(real)
            if not left_out and len(real) <= LONGEST:
                noted.add(real)
        return sorted(noted)[:MOST] + [MANY[0]] * (len(noted) > MOST)


def _caches() -> str:
    """The folder of the user's caches."""
    return os.environ.get("XDG_CACHE_HOME") or str(Path("~/.cache").expanduser())


def _source(path: str) -> str:
    """The source file of a compiled module; any other path as it is."""
    if path.endswith(".pyc"):
        with contextlib.suppress(ValueError):
            return importlib.util.source_from_cache(path)
    return path


def paths_of(answer: Any) -> list[str]:
    """The paths that a process says it has read; none if its answer is malformed."""
    paths = answer.get("read") if isinstance(answer, dict) else None
    if not isinstance(paths, list) or len(paths) > MOST + 1:
        return []
    return [path for path in paths if isinstance(path, str) and 0 < len(path) <= LONGEST]


class Contents:
    """Digests of files' contents; each file is read once, unless it changes."""

    def __init__(self) -> None:
        self._digests: dict[tuple[str, int, int], str] = {}

    def of(self, paths: Iterable[str]) -> dict[str, str]:
        """The digest of each file by its path; `MANY` has a text that is no digest."""
        return {path: MANY[1] if path == MANY[0] else self.digest(path) for path in paths}

    def digest(self, path: str) -> str:
        """The digest of a file's content; a word instead if it is missing or no file."""
        try:
            found = os.stat(path)  # noqa: PTH116  # a path may be any text
            if not stat.S_ISREG(found.st_mode):
                return "no file"
            key = path, found.st_size, found.st_mtime_ns
            if key not in self._digests:
                self._digests[key] = _digest(path, found)
            return self._digests[key]
        except (OSError, ValueError):
            return "missing"


def _digest(path: str, found: os.stat_result) -> str:
    with open(path, "rb") as file:  # noqa: PTH123  # a path may be any text
        digest = hashlib.sha256(file.read(WHOLE))
    if found.st_size > WHOLE:
        digest.update(f"{found.st_size} {found.st_mtime_ns}".encode())
    return digest.hexdigest()[:DIGITS]
