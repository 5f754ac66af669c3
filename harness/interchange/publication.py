"""Writes the files of a site into a folder, and replaces those of an earlier publication.

A file in the folder lists what was written. So a later publication removes its own files only, and
files such as ``CNAME`` or ``.git`` stay.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.errors import PluginError, UsageError, cannot_write
from harness.untrusted import folder_fault, path_fault

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

MARKER = ".harness-publication.json"
"""The file that lists the files of a publication."""

HOSTS = (".git", "CNAME")
"""What a folder may hold before its first publication: git's files, and a host's name."""


@dataclass(frozen=True, slots=True)
class Publication:
    """What was written: the number of files, their bytes, and the number of files removed."""

    files: int
    size: int
    removed: int


def require_folder(folder: Path) -> None:
    """Check that a site can be written to a folder, so that a command fails before it computes.

    Raises:
        UsageError: it is a file, has files of someone else, or cannot be written to.
    """
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"'{folder}' is a file; name a folder")
    place = folder
    while not place.exists() and place != place.parent:
        place = place.parent
    if not os.access(place, os.W_OK | os.X_OK):
        raise UsageError(f"'{folder}' cannot be written to; name another folder")
    if folder.exists():
        _earlier(folder)


def publish(folder: Path, files: Mapping[str, bytes], origin: str) -> Publication:
    """Write the files, and remove those of the earlier publication that do not belong any more.

    Args:
        folder: a folder that is new, empty, or has an earlier publication.
        files: contents by path.
        origin: who made the files, to name it in an error.

    Raises:
        UsageError: as `require_folder`; or a file of someone else is in the way.
        PluginError: these are no files that can stand below the folder.
    """
    if fault := _fault(files):
        raise PluginError(f"{origin}: its folder {fault}; tell its author")
    require_folder(folder)
    earlier = _earlier(folder) if folder.exists() else set()
    for path in files:
        if path not in earlier and (folder / path).exists():
            raise UsageError(
                f"'{folder / path}' is in the way, and no earlier publication wrote it; move it"
            )
    stale = sorted(earlier - set(files))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # If this call is interrupted, the next one still knows which files it may replace.
        _mark(folder, {*earlier, *files})
        for path in stale:
            _remove(folder, path)
        for path, content in files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(content)
        _mark(folder, files)
    except OSError as error:
        raise cannot_write(error.filename or folder, error) from error
    return Publication(len(files), sum(map(len, files.values())), len(stale))


def _fault(files: object) -> str:
    """Why these are no files of a folder, as a clause; empty if they are."""
    if not isinstance(files, Mapping):
        return f"is a {type(files).__name__}, not a mapping of paths to bytes"
    wrong = next((path for path, content in files.items() if not isinstance(content, bytes)), None)
    return folder_fault([MARKER, *files]) or (f"has {wrong!r}, which is not bytes" if wrong else "")


def _earlier(folder: Path) -> set[str]:
    """The files of the earlier publication; empty if the folder is empty.

    Raises:
        UsageError: the folder is not empty, and has no publication.
    """
    try:
        names = {path.name for path in folder.iterdir()}
        if MARKER not in names:
            if names - set(HOSTS):
                raise UsageError(
                    f"'{folder}' is not empty, and `harness publish` did not write it (it has no "
                    f"{MARKER}); name a new folder"
                )
            return set()
        listed = json.loads((folder / MARKER).read_text(encoding="utf-8"))["files"]
        return {path for path in listed if not path_fault(path)}
    except OSError as error:
        raise UsageError(f"'{folder}' cannot be read: {error.strerror or error}") from error
    except (ValueError, LookupError, TypeError) as error:
        raise UsageError(
            f"'{folder / MARKER}' does not list the files of a publication; name a new folder"
        ) from error


def _mark(folder: Path, paths: Iterable[str]) -> None:
    listed = {"by": "harness publish", "files": sorted(paths)}
    (folder / MARKER).write_text(json.dumps(listed, indent=1) + "\n", encoding="utf-8")


def _remove(folder: Path, path: str) -> None:
    """Remove a file, and the folders that it leaves empty."""
    (folder / path).unlink(missing_ok=True)
    for above in (folder / path).parents:
        if above == folder or not above.is_dir() or any(above.iterdir()):
            break
        above.rmdir()
