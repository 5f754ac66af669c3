"""Reads files of many formats as Arrow tables, through pyarrow, pandas, SciPy and scikit-learn."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from pyarrow import csv as arrow_csv

import harness

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

PACKED = {".gz": "gzip", ".zst": "zstd", ".bz2": "bz2"}
"""Compressed files that Arrow reads by itself; it does not know ``.xz``."""

SAMPLE = 1 << 16
"""Bytes at the beginning of a file that tell its encoding, separator and decimal point."""

SEPARATORS = ",;\t|"

MISSING = ("", "NA", "N/A", "n/a", "na", "NaN", "nan", "null", "NULL", "None", "none", "?", "#N/A")
"""Texts that stand for a missing value in a file of text."""


@dataclass(frozen=True, slots=True)
class Read:
    """A file's content.

    Args:
        table: the rows.
        how: how the file was read, such as ``separator ;, decimal comma``; empty if as usual.
        in_header: 1 if the first line holds the names of columns, so that row i is in line i + 2;
            otherwise 0. -1 for files without lines.
    """

    table: pa.Table
    how: str = ""
    in_header: int = -1


def read(file: Path, *, missing: Sequence[str] = ()) -> Read:
    """The content of a file.

    Args:
        file: its suffix, without that of a compression, tells the format: see `READERS`.
        missing: further texts that stand for a missing value.

    Raises:
        harness.UsageError: the file cannot be read; names the file, the fault and a way out.
    """
    try:
        if file.stat().st_size == 0:
            raise harness.UsageError(f"{file}: the file is empty")
        return READERS[suffix(file)](file, (*MISSING, *missing))
    except harness.UsageError:
        raise
    except ImportError as error:
        raise harness.UsageError(
            f"{file}: needs '{error.name}', which is not installed here"
        ) from error
    except Exception as error:
        what = " ".join(str(error).split()) or type(error).__name__
        raise harness.UsageError(f"{file}: cannot be read: {what[:300]}") from error


def suffix(file: Path) -> str:
    """The suffix that tells the format, without the dot and without that of a compression.

    >>> from pathlib import Path
    >>> suffix(Path("churn.csv.gz")), suffix(Path("a.b/churn.CSV"))
    ('csv', 'csv')
    """
    suffixes = [part.lower() for part in file.suffixes]
    if suffixes and (suffixes[-1] in PACKED or suffixes[-1] == ".xz"):
        suffixes.pop()
    return suffixes[-1].removeprefix(".") if suffixes else ""


def _opened(file: Path) -> Any:
    """The file's content as an Arrow stream, without compression."""
    last = file.suffix.lower()
    if last == ".xz":
        import lzma

        return pa.PythonFile(lzma.open(file))
    return pa.input_stream(str(file), compression=PACKED.get(last))


def _csv(file: Path, missing: Sequence[str]) -> Read:
    with _opened(file) as stream:
        sample = stream.read(SAMPLE)
    encoding, start = _encoding(file, sample)
    lines = sample[start:].decode(encoding, errors="ignore").splitlines()
    if len(lines) > 1 and len(sample) == SAMPLE:
        lines.pop()  # it may be cut
    if not any(line.strip() for line in lines):
        raise harness.UsageError(f"{file}: the file is empty")
    separator = "\t" if suffix(file) == "tsv" else _separator(lines)
    header = next(csv.reader([lines[0]], delimiter=separator))
    _require_names(file, header)
    comma = separator != "," and _has_decimal_comma(lines[1:], separator)
    faults: list[arrow_csv.InvalidRow] = []

    def note(row: arrow_csv.InvalidRow) -> str:
        faults.append(row)
        return "error"

    with _opened(file) as stream:
        try:
            table = arrow_csv.read_csv(
                stream,
                read_options=arrow_csv.ReadOptions(encoding=encoding, use_threads=False),
                parse_options=arrow_csv.ParseOptions(
                    delimiter=separator, newlines_in_values=True, invalid_row_handler=note
                ),
                convert_options=arrow_csv.ConvertOptions(
                    null_values=list(missing),
                    strings_can_be_null=True,
                    decimal_point="," if comma else ".",
                ),
            )
        except pa.ArrowInvalid as error:
            raise harness.UsageError(_why_not_csv(file, faults, error)) from error
    told = [
        f"separator {'tab' if separator == chr(9) else separator}" if separator != "," else "",
        "decimal comma" if comma else "",
        f"encoding {encoding}" if encoding != "utf8" else "",
    ]
    return Read(table, ", ".join(filter(None, told)), 1)


def _encoding(file: Path, sample: bytes) -> tuple[str, int]:
    """The encoding of a text, and the number of bytes of its byte order mark."""
    for mark, encoding in (
        (b"\xef\xbb\xbf", "utf8"),
        (b"\xff\xfe", "utf-16"),
        (b"\xfe\xff", "utf-16"),
    ):
        if sample.startswith(mark):
            return encoding, len(mark) if encoding == "utf8" else 0
    if b"\0" in sample:
        raise harness.UsageError(f"{file}: holds zero bytes, so it is no text; is it a CSV file?")
    with _opened(file) as stream:
        while block := stream.read(1 << 24):
            try:
                block.decode("utf8")
            except UnicodeDecodeError as error:
                # The end of a block may cut a letter.
                if error.start < len(block) - 4:
                    return "cp1252", 0
    return "utf8", 0


def _separator(lines: Sequence[str]) -> str:
    """The separator that divides the first lines into the same number of fields, above one."""
    best, most = ",", 0.0
    for separator in SEPARATORS:
        counts = [len(row) for row in csv.reader(lines[:50], delimiter=separator) if row]
        if not counts or counts[0] < 2:
            continue
        alike = sum(count == counts[0] for count in counts) / len(counts)
        if alike * counts[0] > most:
            best, most = separator, alike * counts[0]
    return best


def _has_decimal_comma(lines: Sequence[str], separator: str) -> bool:
    fields = [field.strip() for row in csv.reader(lines, delimiter=separator) for field in row]
    numbers = [field for field in fields if _is_number(field.replace(",", ".", 1))]
    return any("," in number for number in numbers) and not any("." in n for n in numbers)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _require_names(file: Path, header: Sequence[str]) -> None:
    """Refuse a header that is none, or that names two columns alike."""
    repeated = sorted({name for name in header if header.count(name) > 1})
    if repeated:
        places = [i + 1 for i, name in enumerate(header) if name == repeated[0]]
        named = f"'{repeated[0]}'" if repeated[0].strip() else "without a name"
        raise harness.UsageError(
            f"{file}: columns {places[0]} and {places[1]} are both {named}; rename one"
        )
    if all(_is_number(name) for name in header):
        raise harness.UsageError(
            f"{file}: line 1 holds numbers, not the names of columns; add a line of names"
        )


def _why_not_csv(
    file: Path,
    faults: Sequence[arrow_csv.InvalidRow],
    error: Exception,
) -> str:
    """Why a CSV file cannot be read, with the line."""
    if faults:
        row = faults[0]
        number = f"line {row.number}" if row.number else _line_of(file, row)
        remedy = (
            "is the file cut off?"
            if row.actual_columns < row.expected_columns
            else "put quotes around a field that contains the separator"
        )
        return (
            f"{file}: {number} has {row.actual_columns} fields, but the header names "
            f"{row.expected_columns} columns; {remedy}"
        )
    return f"{file}: cannot be read as CSV: {' '.join(str(error).split())[:300]}"


def _line_of(file: Path, row: arrow_csv.InvalidRow) -> str:
    """The number of the line that holds a row's text."""
    with _opened(file) as stream, io.TextIOWrapper(stream, "utf8", errors="replace") as lines:
        for number, line in enumerate(lines, 1):
            if row.text and line.rstrip("\r\n") == row.text.rstrip("\r\n"):
                return f"line {number}"
    return "a line"


def _parquet(file: Path, _missing: Sequence[str]) -> Read:
    from pyarrow import parquet

    return Read(parquet.read_table(file))


def _feather(file: Path, _missing: Sequence[str]) -> Read:
    from pyarrow import feather

    return Read(feather.read_table(file))


def _json_lines(file: Path, _missing: Sequence[str]) -> Read:
    from pyarrow import json

    with _opened(file) as stream:
        return Read(json.read_json(stream), in_header=0)


def _arff(file: Path, missing: Sequence[str]) -> Read:
    from scipy.io import arff

    with _opened(file) as stream:
        text = stream.read().decode("utf8")
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


def _npz(file: Path, _missing: Sequence[str]) -> Read:
    with np.load(file, allow_pickle=False) as arrays:
        columns = {}
        for name in arrays.files:
            array = np.asarray(arrays[name])
            if array.ndim == 1:
                columns[name] = array
            elif array.ndim == 2:
                columns |= {f"{name}{i}": array[:, i] for i in range(array.shape[1])}
            else:
                raise harness.UsageError(
                    f"{file}: array '{name}' has shape {array.shape}; a table has two dimensions"
                )
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        raise harness.UsageError(f"{file}: its arrays differ in length: {lengths}")
    return Read(pa.table({name: pa.array(column) for name, column in columns.items()}))


def _svmlight(file: Path, _missing: Sequence[str]) -> Read:
    from sklearn.datasets import load_svmlight_file

    X, y = load_svmlight_file(str(file))
    columns = {f"x{i}": X[:, i].toarray().ravel() for i in range(X.shape[1])}
    whole = y.astype(np.int64) if np.array_equal(y, np.round(y)) else y
    return Read(pa.table({**columns, "y": whole}))


READERS: dict[str, Callable[[Path, Sequence[str]], Read]] = {
    "csv": _csv,
    "tsv": _csv,
    "txt": _csv,
    "parquet": _parquet,
    "pq": _parquet,
    "feather": _feather,
    "arrow": _feather,
    "jsonl": _json_lines,
    "ndjson": _json_lines,
    "arff": _arff,
    "npz": _npz,
    "svmlight": _svmlight,
    "libsvm": _svmlight,
}
"""Readers by suffix."""
