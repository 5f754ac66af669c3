"""Reads files of pytest-benchmark, pyperf and asv as points of a history."""

from __future__ import annotations

import gzip
import json
import os
import zlib
from typing import TYPE_CHECKING

from harness.errors import UsageError
from harness.interchange import asv, pyperf, pytest_benchmark
from harness.interchange.fields import JsonObject, MalformedError, as_kind, kind_of, member
from harness.interchange.points import Imported
from harness.words import plain

if TYPE_CHECKING:
    from pathlib import Path

MACHINE, BENCHMARKS = "machine.json", "benchmarks.json"
"""asv's files beside its results, which hold no times."""

NAME_ONE = "name a file that pytest-benchmark, pyperf or asv wrote"
PATTERNS = ("*.json", "*.json.gz", "*/*.json", "*/*.json.gz")
GZIP = b"\x1f\x8b"


def read(path: Path) -> Imported:
    """Read files of pytest-benchmark, pyperf or asv; their content tells which tool wrote them.

    Args:
        path: a file, which may be gzipped, as pyperf's may be; or a folder: asv's results, one
            machine's results, or pytest-benchmark's saved runs. Of a folder, all files are read,
            including those one folder below. Files that cannot be read are left out, and listed in
            ``skipped``.

    Raises:
        UsageError: the file cannot be read, or none of the three tools wrote it; of a folder, no
            file can be read.
    """
    try:
        if path.is_dir():
            files = _files_in(path)
        elif path.exists():
            files = [path]
        else:
            raise UsageError(f"'{path}': there is no such file or folder; {NAME_ONE}")
    except OSError as error:
        raise _unreadable(path, error) from error
    folders: dict[Path, tuple[JsonObject, str]] = {}
    imports: list[Imported] = []
    faults: list[tuple[Path, UsageError]] = []
    for file in files:
        try:
            imports.append(_read_file(file, folders))
        except UsageError as error:
            faults.append((file, error))
    if not imports:
        raise faults[0][1]
    imports += [
        Imported((), ((f"'{file}'", str(error).removeprefix(f"'{file}' ")),))
        for file, error in faults
    ]
    return Imported(
        tuple(
            sorted(
                (point for imported in imports for point in imported.points),
                key=lambda point: (point.time, point.series),
            )
        ),
        tuple(skip for imported in imports for skip in imported.skipped),
    )


def _files_in(folder: Path) -> list[Path]:
    matching = {path for pattern in PATTERNS for path in folder.glob(pattern)}
    # glob silently passes over folders that it may not read.
    shut = {path for path in folder.iterdir() if path.is_dir() and not os.access(path, os.R_OK)}
    files = sorted(
        path
        for path in matching | shut
        if path.name not in (MACHINE, BENCHMARKS) and (path in shut or not path.is_dir())
    )
    if not files:
        raise UsageError(
            f"'{folder}' holds no results; name the folder that asv's results or "
            "pytest-benchmark's saved runs are in, or one file"
        )
    return files


def _read_file(file: Path, folders: dict[Path, tuple[JsonObject, str]]) -> Imported:
    if file.exists() and not file.is_file() and not file.is_dir():  # a pipe, say
        raise UsageError(f"'{file}' is neither a file nor a folder; {NAME_ONE}")
    document = load_json(file)
    try:
        if asv.is_asv(document):
            if file.parent not in folders:
                folders[file.parent] = _beside(file)
            return asv.points(document, *folders[file.parent])
        if pytest_benchmark.is_pytest_benchmark(document):
            return pytest_benchmark.points(document)
        if pyperf.is_pyperf(document):
            return pyperf.points(document)
    except MalformedError as error:
        raise _malformed(file, error) from error
    if file.name in (MACHINE, BENCHMARKS):
        raise UsageError(f"'{file}' holds no times; name the folder with asv's results instead")
    raise UsageError(f"'{file}' is not what pytest-benchmark, pyperf or asv write; {NAME_ONE}")


def _beside(file: Path) -> tuple[JsonObject, str]:
    """What asv's files beside a result say: all benchmarks, and the machine's name."""
    benchmarks, machine = file.parent.parent / BENCHMARKS, file.parent / MACHINE
    known = load_json(benchmarks) if benchmarks.is_file() else {}
    if not machine.is_file():
        return known, ""
    try:
        return known, member(load_json(machine), "machine", str, "it", "")
    except MalformedError as error:
        raise _malformed(machine, error) from error


def load_json(file: Path) -> JsonObject:
    """The object in a JSON file, in which asv's bare Infinity and NaN are numbers.

    Raises:
        UsageError: the file cannot be read, or holds something else.
    """
    try:
        content = file.read_bytes()
        if content.startswith(GZIP):
            content = gzip.decompress(content)
        text = content.decode("utf-8-sig")
        document = json.loads(text)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise UsageError(f"'{file}' is not a complete gzip file; copy it again") from error
    except OSError as error:
        raise _unreadable(file, error) from error
    except UnicodeDecodeError as error:
        raise UsageError(f"'{file}' is not text in UTF-8, so not JSON; {NAME_ONE}") from error
    except RecursionError as error:
        raise UsageError(f"'{file}' is nested too deeply; {NAME_ONE}") from error
    except json.JSONDecodeError as error:
        raise UsageError(_no_json(file, text, error)) from error
    except ValueError as error:  # a whole number of thousands of digits
        raise UsageError(f"'{file}' is not readable JSON ({error}); {NAME_ONE}") from error
    try:
        return as_kind(document, dict, "it")
    except MalformedError as error:
        raise UsageError(
            f"'{file}' holds {kind_of(document)}, which is not what pytest-benchmark, pyperf or "
            f"asv write; {NAME_ONE}"
        ) from error


def _no_json(file: Path, text: str, error: json.JSONDecodeError) -> str:
    if not text.strip():
        return f"'{file}' is empty; {NAME_ONE}"
    # A file that was cut off fails at its end, or in a string or word without an end.
    if not text[error.pos :].strip() or error.msg.startswith("Unterminated string"):
        return f"'{file}' ends in the middle (line {error.lineno}); copy it or measure again"
    return (
        f"'{file}' is not JSON (line {error.lineno}, column {error.colno}: {error.msg}); {NAME_ONE}"
    )


def _malformed(file: Path, error: MalformedError) -> UsageError:
    return UsageError(
        f"'{file}' is malformed: {plain(error)}; let the tool that wrote it write it again"
    )


def _unreadable(path: Path, error: OSError) -> UsageError:
    return UsageError(f"'{path}' cannot be read: {error.strerror or error}; check its permissions")
