"""Reads files of many formats as Arrow tables, through pyarrow, pandas, SciPy and scikit-learn."""

from __future__ import annotations

import csv
import io
import itertools
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

import harness
from harness_files.separated import read_separated
from harness_files.sources import (
    MISSING,
    PACKED,
    Read,
    kind_of,
    opened,
    shown,
    source,
    suffix,
    without_nan,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

MOST_CELLS = 500_000_000
"""A sparse file with more cells, zeros included, is refused: it becomes a plain table."""


def read(file: Path, *, missing: Sequence[str] = ()) -> Read:
    """The content of a file.

    Floats that are no number count as missing; category columns hold texts; texts in bytes are
    decoded.

    Args:
        file: its suffix, without that of a compression, tells the format: see `READERS`.
        missing: further texts that stand for a missing value.

    Raises:
        harness.UsageError: the file cannot be read; names the file, the fault and a way out.
    """
    _require_file(file)
    try:
        content = READERS[suffix(file)](file, (*MISSING, *missing))
    except harness.UsageError:
        raise
    except ImportError as error:
        raise harness.UsageError(
            f"{file}: needs '{error.name}', which is not installed here"
        ) from error
    except Exception as error:
        raise harness.UsageError(f"{file}: {_why_unreadable(file, error)}") from error
    names = content.table.column_names
    if len(set(names)) < len(names):
        repeated = next(name for name in names if names.count(name) > 1)
        first, second = [i for i, name in enumerate(names, 1) if name == repeated][:2]
        raise harness.UsageError(
            f"{file}: columns {first} and {second} are both '{shown(repeated)}'; rename one"
        )
    if not content.table.num_rows:
        raise harness.UsageError(f"{file}: has no rows, only names of columns; add rows")
    return Read(_usual(content.table, missing), content.how, content.lines)


def _require_file(file: Path) -> None:
    if file.is_dir():
        raise harness.UsageError(f"{file}: is a folder; name a file in it")
    if not file.exists():
        raise harness.UsageError(f"{file}: there is no such file; check the path")
    if suffix(file) not in READERS:
        raise harness.UsageError(
            f"{file}: its suffix is none of {', '.join(f'.{name}' for name in READERS)}"
        )
    try:
        with file.open("rb") as stream:
            if not stream.read(1):
                raise harness.UsageError(f"{file}: the file is empty")
    except OSError as error:
        raise harness.UsageError(f"{file}: cannot be read: {error.strerror}") from error


OWN = {
    "parquet": ("a Parquet",),
    "pq": ("a Parquet",),
    "arrow": ("an Arrow", "a Feather"),
    "feather": ("an Arrow", "a Feather"),
    "npz": ("a ZIP",),
}
"""What `kind_of` says about intact files, by suffix."""


def _why_unreadable(file: Path, error: Exception) -> str:
    """Why a reader failed: the file is of another kind, or damaged."""
    with file.open("rb") as stream:
        kind = kind_of(stream.read(100))
    name = suffix(file)
    is_own = kind.startswith(OWN.get(name, ("?",))) or file.suffix.lower() in PACKED
    if kind and not is_own:
        return f"is no {name} file but {kind}"
    what = " ".join(str(error).split()).replace(str(file), file.name) or type(error).__name__
    what = what.rstrip(".")[:300]
    return f"cannot be read as {file.name.partition('.')[2] or name}: {what}; is the file complete?"


def _usual(table: pa.Table, missing: Sequence[str]) -> pa.Table:
    """The table in few types, which the same table has in every format."""
    columns = {}
    # Parquet stores categories that are numbers as plain numbers.
    categories = {
        column["name"]
        for column in (table.schema.pandas_metadata or {}).get("columns", ())
        if column["pandas_type"] == "categorical"
    }
    for name in table.column_names:
        values = table[name]
        if isinstance(values.type, pa.BaseExtensionType):
            values = pa.chunked_array(
                [chunk.storage for chunk in values.chunks], values.type.storage_type
            )
        if pa.types.is_dictionary(values.type):
            categories.add(name)
            values = values.cast(values.type.value_type)
        if name in categories:
            values = _without(_texts(values), missing).dictionary_encode()
        else:
            values = _without(_texts(values, only_bytes=True), missing)
        columns[name] = values
    return pa.table(columns)


def _texts(values: Any, *, only_bytes: bool = False) -> Any:
    """Values as texts, where they have a text; with ``only_bytes``, others stay."""
    kind = values.type
    is_bytes = (
        pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_string_view(kind)
    )
    is_bytes = is_bytes or pa.types.is_fixed_size_binary(kind) or pa.types.is_binary_view(kind)
    if only_bytes and not is_bytes:
        return values
    try:
        return values.cast(pa.string())
    except pa.ArrowException:
        return values


def _without(values: Any, missing: Sequence[str]) -> Any:
    """The values without those that stand for a missing value."""
    kind = values.type
    is_number = pa.types.is_integer(kind) or pa.types.is_floating(kind)
    values = without_nan(values)
    if not missing or not (is_number or pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        return values
    if not is_number:
        return pc.if_else(pc.is_in(values, pa.array(missing, kind)), None, values)
    for text in missing:
        try:
            number = pa.scalar(float(text)).cast(kind)
        except (ValueError, pa.ArrowException):
            continue
        values = pc.if_else(pc.equal(values, number), None, values)
    return values


def _parquet(file: Path, _missing: Sequence[str]) -> Read:
    from pyarrow import parquet

    # `read_table` would make columns of folders such as ``year=2026``.
    with parquet.ParquetFile(source(file)) as content:
        return Read(content.read())


def _arrow(file: Path, _missing: Sequence[str]) -> Read:
    from pyarrow import feather

    with opened(file) as stream:
        beginning = stream.read(6)
    if beginning[:4] == b"FEA1" or beginning == b"ARROW1":
        return Read(feather.read_table(source(file)))
    with opened(file) as stream:
        try:
            return Read(pa.ipc.open_stream(stream).read_all())
        except pa.ArrowInvalid as error:
            raise ValueError("it begins like no Arrow or Feather file") from error


def _json_lines(file: Path, _missing: Sequence[str]) -> Read:
    from pyarrow import json

    try:
        with opened(file) as stream:
            table = json.read_json(stream, json.ReadOptions(block_size=1 << 24))
    except pa.ArrowInvalid:
        _refuse_json(file)
        raise

    def line(row: int) -> int:
        with opened(file) as stream, io.TextIOWrapper(stream, "utf-8-sig") as text:
            filled = (number for number, line in enumerate(text, 1) if line.strip())
            return next(itertools.islice(filled, row, None))

    return Read(table, lines=line)


def _refuse_json(file: Path) -> None:
    """Name the first line that is no object, or that holds a value of another type than before."""
    import json

    types: dict[str, tuple[str, int]] = {}
    with opened(file) as stream, io.TextIOWrapper(stream, "utf-8-sig") as text:
        for number, line in enumerate(text, 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except json.JSONDecodeError as error:
                raise harness.UsageError(
                    f"{file}: line {number} is no JSON: {error.msg}; is the file cut off?"
                ) from error
            if not isinstance(row, dict):
                raise harness.UsageError(
                    f"{file}: line {number} is no JSON object; write one object a line, such as "
                    '{"age": 42, "churned": "no"}'
                )
            for name, value in row.items():
                kind = _JSON_TYPES.get(type(value), type(value).__name__)
                before, where = types.setdefault(name, (kind, number)) if kind else (kind, 0)
                if kind != before:
                    raise harness.UsageError(
                        f"{file}, column '{shown(name)}': a {before} in line {where}, but a {kind} "
                        f"in line {number}; write all its values in one type"
                    )


_JSON_TYPES = {
    type(None): "",
    str: "text",
    int: "number",
    float: "number",
    bool: "truth value",
    list: "list",
    dict: "nested object",
}


def _arff(file: Path, missing: Sequence[str]) -> Read:
    from scipy.io import arff

    with opened(file) as stream:
        content = stream.read()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("cp1252", errors="replace")
    _require_arff(file, text)
    rows, _ = arff.loadarff(io.StringIO(text))
    columns = {}
    for name in rows.dtype.names or ():
        values = rows[name]
        if values.dtype.kind in "SO":
            texts = [bytes(value).decode() for value in values.tolist()]
            columns[name] = pa.array([None if text in missing else text for text in texts])
        else:
            columns[name] = pa.array(values, from_pandas=True)
    return Read(pa.table(columns))


def _require_arff(file: Path, text: str) -> None:
    """Refuse what SciPy does not read, with the line."""
    n_attributes, in_data = 0, False
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        if not stripped or stripped.startswith("%"):
            continue
        if not in_data:
            in_data = stripped.lower().startswith("@data")
            attribute = re.match(
                r"@attribute\s+('[^']*'|\"[^\"]*\"|\S+)\s+(\S+)", stripped, re.IGNORECASE
            )
            n_attributes += attribute is not None
            if attribute and attribute[2].lower() in ("string", "relational"):
                raise harness.UsageError(
                    f"{file}: column '{shown(attribute[1])}' in line {number} is of the ARFF type "
                    f"{attribute[2].lower()}, which SciPy does not read; save the file as CSV"
                )
            continue
        if stripped.startswith("{"):
            raise harness.UsageError(
                f"{file}: line {number} is sparse ARFF, which SciPy does not read; save it as CSV"
            )
        fields = [
            next(csv.reader([stripped], delimiter=mark, quotechar=quote, skipinitialspace=True))
            for mark in ",\t"
            for quote in "'\""
        ]
        if all(len(row) != n_attributes for row in fields):
            raise harness.UsageError(
                f"{file}: line {number} has {len(fields[0])} fields, but the header names "
                f"{n_attributes} columns; is the file cut off?"
            )
    if not in_data or not n_attributes:
        raise harness.UsageError(
            f"{file}: is no ARFF file: it has no line that begins with "
            f"{'@data' if n_attributes else '@attribute'}; is the file cut off?"
        )


def _npz(file: Path, _missing: Sequence[str]) -> Read:
    import zipfile

    with opened(file) as stream:
        content = io.BytesIO(stream.read())
    if not zipfile.is_zipfile(content):
        raise harness.UsageError(
            f"{file}: is no npz file, as numpy.savez writes it, or it is cut off; save it again"
        )
    columns: dict[str, Any] = {}
    with np.load(content, allow_pickle=False) as arrays:
        for name in arrays.files:
            try:
                array = np.asarray(arrays[name])
            except ValueError as error:
                raise harness.UsageError(
                    f"{file}: array '{shown(name)}' holds Python objects; save it as numbers or as "
                    "texts of a fixed length"
                ) from error
            if array.ndim not in (1, 2):
                raise harness.UsageError(
                    f"{file}: array '{name}' has shape {array.shape}; a table has two dimensions"
                )
            parts = (
                {name: array}
                if array.ndim == 1
                else {f"{name}{i}": array[:, i] for i in range(array.shape[1])}
            )
            if twice := sorted(columns.keys() & parts):
                raise harness.UsageError(
                    f"{file}: two arrays give a column '{twice[0]}'; rename one"
                )
            columns |= parts
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        few, many = min(lengths, key=lengths.__getitem__), max(lengths, key=lengths.__getitem__)
        raise harness.UsageError(
            f"{file}: its arrays differ in length: '{few}' has {lengths[few]:,} rows, but '{many}' "
            f"has {lengths[many]:,}"
        )
    return Read(pa.table({name: pa.array(column) for name, column in columns.items()}))


def _svmlight(file: Path, _missing: Sequence[str]) -> Read:
    from sklearn.datasets import load_svmlight_file

    with opened(file) as stream:
        X, y = load_svmlight_file(io.BytesIO(stream.read()))
    if X.shape[0] * X.shape[1] > MOST_CELLS:
        raise harness.UsageError(
            f"{file}: {X.shape[0]:,} rows of {X.shape[1]:,} features are too many for a plain "
            "table; keep fewer features"
        )
    columns = {f"x{i}": column for i, column in enumerate(X.toarray(order="F").T)}
    whole = y.astype(np.int64) if np.array_equal(y, np.round(y)) else y
    return Read(pa.table({**columns, "y": whole}))


READERS: dict[str, Callable[[Path, Sequence[str]], Read]] = {
    "csv": read_separated,
    "tsv": read_separated,
    "txt": read_separated,
    "parquet": _parquet,
    "pq": _parquet,
    "feather": _arrow,
    "arrow": _arrow,
    "jsonl": _json_lines,
    "ndjson": _json_lines,
    "arff": _arff,
    "npz": _npz,
    "svmlight": _svmlight,
    "libsvm": _svmlight,
}
"""Readers by suffix."""
