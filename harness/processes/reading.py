"""Notes which files a plugin's process reads, so that a result is known only while they last.

A digest of a plugin's code cannot tell all that its results follow from: a model may load weights
from a file, or import a module whose name it computes. So the process that runs it notes the files
that it opens to read and the folders that it lists, and their content becomes a part of what the
result is known by. Only what Python itself opens is noted, and libraries that it loads.

A noted path is written as it was opened, because a link may lead elsewhere later: relative to the
plugin's folder, because the same plugin may be in several folders; relative to the working
directory if it was given so; otherwise in full.

Not seen are files that other processes read, paths relative to a descriptor, whether a file exists
that is not opened, and changes of a folder while the process runs. A file that another process
makes for a while, or that is renamed, makes a trial new each time.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import os
import stat
import sys
import sysconfig
from os.path import abspath, join, realpath
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Mark: TypeAlias = "tuple[int, int, int] | None"
"""Size, time of change in ns, and inode of a file when it was read; None if there was none."""

MOST = 1000
"""The most paths that are noted of a process."""
LONGEST = 4096  # characters of a path
MANY, TOO_MANY = "{many}", "too many files to note"
"""Stand for the paths beyond `MOST`: no later look finds this content, so the trial runs again."""
CHANGED = "changed after it was read"
"""Stands for the content of a file that changed before its digest was taken."""
OF_PLUGIN = "{plugin}/"
"""Begins paths relative to the plugin's folder."""

WHOLE = 64 * 2**20
"""Bytes up to which a file's whole content counts; of larger files, this much, size and time."""
DIGITS = 20  # characters of a digest
PASSING = ("__pycache__", "-wal", "-shm", "-journal")
"""Ends of names that come and go in a folder, such as those of SQLite."""

LISTINGS = ("os.listdir", "os.scandir")
WATCHED = ("open", "import", "ctypes.dlopen", "sqlite3.connect", *LISTINGS)
"""Audit events that tell of files and folders."""

SYSTEM = ("/proc", "/sys", "/etc", "/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/share")
INSTALLED = ("site-packages", "dist-packages")
IMPORTERS = ("<frozen importlib", f"{os.sep}importlib{os.sep}", "<frozen zipimport")


class FilesRead:
    """What the process has read, and its parent had when it was forked.

    Files of the system, of Python, of installed packages, and in the user's cache are left out:
    versions tell the first three. So are files that the process itself creates.

    Args:
        plugin: the plugin's file or folder, whose content is known otherwise.
        known: further files and folders whose content is known otherwise.
    """

    def __init__(self, plugin: str = "", known: Iterable[str] = ()) -> None:
        self._read: dict[str, Mark] = {}
        self._own: set[str] = set()
        self._too_many = False
        self._folder = folder_of(plugin)
        self._begun_in = _here()
        places = {*_installed_places(), *filter(None, (plugin, *known))}
        #: A name without a link, and one with links, can lead to the same place.
        self._left_out = tuple(
            {join(f(place), "") for place in places for f in (abspath, realpath)}
        )
        sys.addaudithook(self._notice)

    def _notice(self, event: str, args: tuple[Any, ...]) -> None:
        """Note a path; called for every audit event, and in the middle of the plugin's code."""
        if event not in WATCHED:
            return
        # An error here would be raised in the plugin's code.
        with contextlib.suppress(Exception):
            path, flags = args[0], args[2] if event == "open" else os.O_RDONLY
            if event == "import":
                path = args[1]  # of a compiled module, else None
            elif event in LISTINGS:
                path = "." if path is None else path
                caller = sys._getframe(1).f_code.co_filename  # noqa: SLF001  # there is no other way
                if any(words in caller for words in IMPORTERS):
                    return  # an import looks for modules; what it finds is opened
            if path is None or isinstance(path, int):
                return
            path = _source(os.fsdecode(path))
            if event == "sqlite3.connect":
                path = path.removeprefix("file:").partition("?")[0]
            if event == "ctypes.dlopen" and os.sep not in path:  # the system's loader searches it
                return
            place = abspath(path)
            if join(place, "").startswith(self._left_out):
                return
            if event == "sqlite3.connect" and not os.path.exists(place):
                flags = os.O_CREAT
            self._note(self._written(path, place), place, flags)

    def _note(self, name: str, place: str, flags: Any) -> None:
        if not isinstance(flags, int):
            flags = os.O_RDONLY
        creates = flags & os.O_TRUNC or (flags & os.O_CREAT and not os.path.exists(place))
        if creates and not os.path.isdir(place):  # a file without a name names its folder
            self._own.add(place)
        # What is only written to, even at its end, is no input; nor is what is there already when a
        # file is to be made.
        elif (
            creates
            or flags & os.O_EXCL
            or flags & os.O_ACCMODE == os.O_WRONLY
            or place in self._own
            or name in self._read
        ):
            return
        elif len(self._read) >= MOST:
            self._too_many = True
        else:
            self._read[name] = mark_of(place)

    def _written(self, path: str, place: str) -> str:
        """The path as it is noted."""
        if self._folder and join(place, "").startswith(join(self._folder, "")):
            return OF_PLUGIN + place[len(self._folder) + 1 :]
        if path.startswith(os.sep) or _here() == self._begun_in:
            return path
        return join(_here(), path)  # as opened: a link may lead elsewhere later

    def noted(self) -> dict[str, Mark]:
        """The noted paths; with `MANY` if there were more than `MOST`."""
        noted = {name: mark for name, mark in list(self._read.items()) if not self._is_known(name)}
        return noted | ({MANY: None} if self._too_many else {})

    def _is_known(self, name: str) -> bool:
        place = realpath(resolved(name, self._folder, self._begun_in))
        return join(place, "").startswith(self._left_out) or len(name) > LONGEST


def _installed_places() -> set[str]:
    """Folders whose content the versions of the system, of Python and of packages tell."""
    paths = sysconfig.get_paths()
    places = {paths[name] for name in ("stdlib", "platstdlib", "purelib", "platlib", "scripts")}
    places |= {
        join(prefix, name) for prefix in (sys.prefix, sys.base_prefix) for name in ("lib", "share")
    }
    places |= {path for path in sys.path if path.rpartition(os.sep)[2] in INSTALLED}
    places |= {os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), *SYSTEM}
    places |= {f"/dev/{name}" for name in ("null", "zero", "random", "urandom", "tty", "pts", "fd")}
    return {place for place in places if place.strip(os.sep)}


def _here() -> str:
    """The working directory; empty if it has been deleted."""
    with contextlib.suppress(OSError):
        return os.getcwd()
    return ""


def _source(path: str) -> str:
    """The source file of a compiled module; any other path as it is."""
    if path.endswith(".pyc"):
        with contextlib.suppress(ValueError):
            return importlib.util.source_from_cache(path)
    return path


def folder_of(plugin: str) -> str:
    """The folder of a plugin that is a file, or the folder that it is; empty without one."""
    if not plugin:
        return ""
    return plugin if os.path.isdir(plugin) else str(Path(plugin).parent)


def resolved(name: str, folder: str, working: str = ".") -> str:
    """The path of a file as it was noted, for a plugin's folder and a working directory."""
    if name.startswith(OF_PLUGIN):
        return join(folder, name.removeprefix(OF_PLUGIN))
    return join(working, name)


def mark_of(place: str) -> Mark:
    """A file's size, time and inode; None if it is missing, or no file."""
    try:
        found = os.stat(place)
    except (OSError, ValueError):
        return None
    if not stat.S_ISREG(found.st_mode):
        return None
    return found.st_size, found.st_mtime_ns, found.st_ino


def noted_in(answer: Any) -> dict[str, Mark]:
    """What a process says it has read; nothing if its answer is malformed."""
    told = answer.get("read") if isinstance(answer, dict) else None
    if not isinstance(told, dict) or len(told) > MOST + 1:
        return {}
    return {
        name: None if mark is None else (mark[0], mark[1], mark[2])
        for name, mark in told.items()
        if isinstance(name, str) and 0 < len(name) <= LONGEST and _is_mark(mark)
    }


def _is_mark(mark: Any) -> bool:
    return mark is None or (
        isinstance(mark, list) and len(mark) == 3 and all(isinstance(n, int) for n in mark)
    )


class Contents:
    """Digests of files' contents; each file is read once, unless it changes."""

    def __init__(self) -> None:
        self._digests: dict[tuple[str, Mark], str] = {}

    def of(self, noted: Mapping[str, Mark], folder: str) -> dict[str, str]:
        """The digest of each path that a plugin in a folder has read, or a word without one."""
        return {name: self._as_read(name, mark, folder) for name, mark in noted.items()}

    def _as_read(self, name: str, mark: Mark, folder: str) -> str:
        if name == MANY:
            return TOO_MANY
        return self.digest(name, folder) if mark_of(resolved(name, folder)) == mark else CHANGED

    def digest(self, name: str, folder: str) -> str:
        """The digest of a file's content or a folder's names; a word if there is neither."""
        place = resolved(name, folder)
        try:
            if os.path.isdir(place):
                names = sorted(each for each in os.listdir(place) if not each.endswith(PASSING))
                return hashlib.sha256("\0".join(names).encode("utf-8", "replace")).hexdigest()[
                    :DIGITS
                ]
            mark = mark_of(place)
            if mark is None:
                return "missing"
            if (place, mark) not in self._digests:
                digest = _digest(place, mark)
                if mark_of(place) != mark:
                    return CHANGED
                self._digests[place, mark] = digest
            return self._digests[place, mark]
        except (OSError, ValueError):
            return "unreadable"


def _digest(place: str, mark: tuple[int, int, int]) -> str:
    with open(place, "rb") as file:
        digest = hashlib.sha256(file.read(WHOLE))
    if mark[0] > WHOLE:
        digest.update(f"{mark[0]} {mark[1]}".encode())
    return digest.hexdigest()[:DIGITS]
