"""Keeps what was fetched from OpenML, so that later runs get the same bits without network."""

from __future__ import annotations

import datetime
import hashlib
import json
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

import harness

if TYPE_CHECKING:
    from collections.abc import Callable

FOLDER = "HARNESS_OPENML"
"""Environment variable with the folder of what was fetched."""


def folder() -> Path:
    """The folder of what was fetched: tables ``NAME.arrow``; facts and digests ``NAME.json``."""
    if given := os.environ.get(FOLDER):
        return Path(given)
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "classification-harness" / "openml"


def facts_of(
    name: str, where: str, fetch: Callable[[], tuple[pa.Table, dict[str, Any]]]
) -> dict[str, Any]:
    """The facts about a table, which is fetched if it is not there yet.

    Args:
        name: name of its files.
        where: the address, for messages.
        fetch: returns the table, and facts about it.

    Raises:
        harness.UsageError: the table cannot be fetched or kept; or it was fetched before, is gone,
            and what comes now is another table.
    """
    rows, about = folder() / f"{name}.arrow", folder() / f"{name}.json"
    known = _facts(about, where)
    if known and rows.is_file():
        return known
    table, facts = fetch()
    digest = digest_of(table)
    if known and known["digest"] != digest:
        raise harness.UsageError(
            f"{where}: OpenML sends other data (digest {digest[:12]}) than on {known['fetched']} "
            f"(digest {known['digest'][:12]}), so that scores would not compare; to go on with "
            f"the new data, delete {about}"
        )
    facts |= {"digest": digest, "fetched": f"{datetime.date.today()}"}
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    try:
        folder().mkdir(parents=True, exist_ok=True)
        _write(rows, sink.getvalue())
        _write(about, json.dumps(facts, indent=1).encode())
    except OSError as error:
        raise harness.UsageError(
            f"{where}: cannot be kept in {folder()}: {error.strerror or error}; set {FOLDER} to a "
            "folder that can be written"
        ) from error
    return facts


def table_of(name: str, where: str) -> pa.Table:
    """The table that `facts_of` has kept, memory-mapped.

    Raises:
        harness.UsageError: it is not what was fetched.
    """
    rows, about = folder() / f"{name}.arrow", folder() / f"{name}.json"
    known = _facts(about, where)
    try:
        table = pa.ipc.open_file(pa.memory_map(str(rows))).read_all()
        same = digest_of(table) == known.get("digest")
    except (OSError, pa.ArrowException):
        same = False
    if not same:
        raise harness.UsageError(
            f"{where}: {rows} has changed since it was fetched (its digest is not that in "
            f"{about.name}); delete it to fetch it again"
        )
    return table


def digest_of(table: pa.Table) -> str:
    """SHA-256 of a table's content; it does not depend on how Arrow stores the table."""
    digest = hashlib.sha256()
    for name in table.column_names:
        values = table[name]
        if pa.types.is_dictionary(values.type):
            values = pc.cast(values, values.type.value_type)
        if not (
            pa.types.is_integer(values.type)
            or pa.types.is_floating(values.type)
            or pa.types.is_boolean(values.type)
        ):
            chunks = pc.cast(values, pa.large_string()).chunks
            # One array, because chunks would have dictionaries of their own.
            encoded = pc.dictionary_encode(
                pa.concat_arrays(chunks or [pa.array([], "large_string")])
            )
            texts = encoded.dictionary.to_pylist()
            digest.update(json.dumps([name, "text", len(values), texts]).encode())
            digest.update(np.asarray(encoded.indices.fill_null(-1), dtype="<i4").tobytes())
            continue
        digest.update(json.dumps([name, str(values.type), len(values)]).encode())
        digest.update(np.asarray(pc.is_valid(values)).tobytes())
        filled = np.asarray(values.fill_null(pa.scalar(0).cast(values.type)))
        digest.update(filled.astype(filled.dtype.newbyteorder("<"), copy=False).tobytes())
    return digest.hexdigest()


def _facts(file: Path, where: str) -> dict[str, Any]:
    """What was noted about a table; nothing if it was never fetched."""
    if not file.is_file():
        return {}
    try:
        facts: dict[str, Any] = json.loads(file.read_bytes())
        if {"digest", "fetched"} <= facts.keys():
            return facts
    except (OSError, ValueError, AttributeError):
        pass
    raise harness.UsageError(
        f"{where}: {file} cannot be read; delete it and {file.stem}.arrow to fetch them again"
    )


def _write(file: Path, content: Any) -> None:
    """Write a file at once: a process that reads it meanwhile sees all of it or none."""
    descriptor, draft = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}")
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
        Path(draft).replace(file)
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise
