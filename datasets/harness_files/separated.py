"""Reads CSV and its relatives: finds out encoding, separator and decimal point, and each fault."""

from __future__ import annotations

import codecs
import collections
import csv
import io
import itertools
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from pyarrow import csv as arrow_csv

import harness
from harness_files.sources import Read, kind_of, opened, shown, suffix
from harness_files.texts import has_leading_zeros

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

SAMPLE = 1 << 16
"""Bytes at the beginning of a file that tell its encoding, separator and decimal point."""

BLOCK = 1 << 24
"""Bytes that are read at a time; no row may be longer."""

LONGEST_CODE = 64
"""Bytes of a code with leading zeros that may lie across the border of two blocks."""

SEPARATORS = ",;\t|"

MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
"""Byte order marks, and the encoding that each tells."""

WIDER = {"null": pa.float64(), "int64": pa.float64()}
"""Types to try when a later value does not fit the type of the first values; else text."""


@dataclass(frozen=True, slots=True)
class _Form:
    """How a file of separated values is written."""

    file: Path
    encoding: str
    separator: str
    n_skipped: int  # lines before the header

    def rows(self) -> Iterator[tuple[int, list[str]]]:
        """The rows that are not blank, header included, each with the line where it begins.

        After the last row comes a row of `END`, unless a quote that is not closed swallows it.
        """
        with opened(self.file) as stream:
            text = io.TextIOWrapper(stream, self.encoding, errors="replace", newline="")
            lines = itertools.chain(itertools.islice(text, self.n_skipped, None), [END])
            reader = csv.reader(lines, delimiter=self.separator)
            begins = self.n_skipped + 1
            try:
                for row in reader:
                    if row:
                        yield begins, row
                    begins = self.n_skipped + reader.line_num + 1
            except csv.Error:  # a field of more than 128 KiB: a quote is not closed
                yield begins, ["…", END]

    def line(self, row: int) -> int:
        """The line in which a row begins; the first row follows the header."""
        return next(itertools.islice(self.rows(), row + 1, None))[0]


END = "\0end"


def read_separated(file: Path, missing: Sequence[str]) -> Read:
    """The content of a CSV file, or of one with another separator.

    Args:
        file: the file.
        missing: texts that stand for a missing value.

    Raises:
        harness.UsageError: it is no such file, or breaks off, or its rows differ in length.
    """
    with opened(file) as stream:
        sample = stream.read(SAMPLE)
    encoding, n_quotes = _encoding(file, sample)
    text = sample.decode(encoding, errors="ignore")
    is_whole = len(sample) < SAMPLE
    form, rows = _form(file, encoding, text, is_whole)
    _, header = next(form.rows())
    names = _names(file, header)
    if n_quotes % 2 or encoding.startswith("utf-16"):
        _require_closed_quotes(form)
    comma = form.separator != "," and _has_decimal_comma(rows[1:])
    table = pa.table({})
    if len(rows) > 1 or not is_whole:
        options = arrow_csv.ConvertOptions(
            null_values=list(missing),
            strings_can_be_null=True,
            decimal_point="," if comma else ".",
        )
        table = _with_codes(form, options, _table(form, options, header), header)
        table = table.rename_columns(names)
    told = [
        "" if form.separator == "," else f"separator {form.separator}".replace("\t", "tab"),
        "decimal comma" if comma else "",
        "" if encoding.startswith("utf-8") else f"encoding {encoding}",
    ]
    return Read(table, ", ".join(filter(None, told)), form.line)


def _encoding(file: Path, sample: bytes) -> tuple[str, int]:
    """The encoding of a text, and its number of quotes."""
    if kind := kind_of(sample):
        raise harness.UsageError(f"{file}: is no text but {kind}")
    for mark, encoding in MARKS:
        if sample.startswith(mark):
            return encoding, _n_quotes(file)
    if b"\0" in sample:
        return _without_mark(file, sample), 0
    for encoding in ("utf-8", "cp1252"):
        decoder = codecs.getincrementaldecoder(encoding)()
        try:
            with opened(file) as stream:
                n_quotes = 0
                while block := stream.read(BLOCK):
                    decoder.decode(block)
                    n_quotes += block.count(b'"')
                decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            continue
        if encoding == "cp1252" and re.search(rb"[\x01-\x08\x0e-\x1a\x1c-\x1f]", sample):
            break
        return encoding, n_quotes
    raise harness.UsageError(
        f"{file}: its bytes are no text in UTF-8, UTF-16 or Windows-1252; is it a CSV file? Save "
        "it as UTF-8"
    )


def _n_quotes(file: Path) -> int:
    n_quotes = 0
    with opened(file) as stream:
        while block := stream.read(BLOCK):
            n_quotes += block.count(b'"')
    return n_quotes


def _without_mark(file: Path, sample: bytes) -> str:
    """Which UTF-16 it is: in most texts every other byte is zero."""
    half = len(sample) // 2
    for encoding, zeros, others in (
        ("utf-16-le", sample[1::2], sample[0::2]),
        ("utf-16-be", sample[0::2], sample[1::2]),
    ):
        if zeros.count(0) > 0.5 * half and others.count(0) == 0:
            return encoding
    raise harness.UsageError(f"{file}: holds zero bytes, so it is no text; is it a CSV file?")


def _form(file: Path, encoding: str, text: str, whole: bool) -> tuple[_Form, list[list[str]]]:
    """How a file is written, and its first rows."""
    text = text.removeprefix("\ufeff")
    n_skipped, separator = 0, ""
    # Excel can write the separator into a line of its own.
    if declared := re.match(r"sep=(.)\r?\n", text, re.IGNORECASE):
        n_skipped, separator, text = 1, declared[1], text[declared.end() :]
    while blank := re.match(r"[ \t]*(\r\n|\r|\n)", text):
        n_skipped, text = n_skipped + 1, text[blank.end() :]
    if not text.strip():
        raise harness.UsageError(f"{file}: the file is empty")
    if not separator and suffix(file) == "tsv" and "\t" in text.splitlines()[0]:
        separator = "\t"
    rows = {option: _rows(text, option, whole) for option in separator or SEPARATORS}
    separator = separator or _separator(rows)
    return _Form(file, encoding, separator, n_skipped), rows[separator]


def _rows(text: str, separator: str, whole: bool) -> list[list[str]]:
    rows: list[list[str]] = []
    try:
        rows += filter(None, csv.reader(io.StringIO(text, newline=""), delimiter=separator))
    except csv.Error:
        rows = rows or [[text]]
    return rows if whole or len(rows) < 2 else rows[:-1]  # the last row may be cut


def _separator(rows: dict[str, list[list[str]]]) -> str:
    """The separator that divides the first rows into the same number of fields, above one."""
    best, most = ",", 0.0
    for separator, fields in rows.items():
        counts = [len(row) for row in fields[:50]]
        alike = sum(count == counts[0] for count in counts) / len(counts)
        if counts[0] > 1 and alike * counts[0] > most:
            best, most = separator, alike * counts[0]
    return best


def _has_decimal_comma(rows: Sequence[Sequence[str]]) -> bool:
    fields = [field.strip() for row in rows for field in row]
    numbers = [field for field in fields if _is_number(field.replace(",", ".", 1))]
    return any("," in number for number in numbers) and not any("." in n for n in numbers)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _names(file: Path, header: Sequence[str]) -> list[str]:
    """The names of the columns; a column without a name is named after its position."""
    if all(_is_number(name) for name in header):
        raise harness.UsageError(
            f"{file}: line 1 holds numbers, not the names of columns; add a line of names"
        )
    return [name.strip() or f"column {i}" for i, name in enumerate(header, 1)]


def _with_codes(form: _Form, options: Any, table: pa.Table, header: Sequence[str]) -> pa.Table:
    """The table with texts for codes such as 00123, which Arrow reads as the number 123."""
    numbers = [
        name
        for name, column in zip(table.column_names, table.columns, strict=True)
        if pa.types.is_integer(column.type)
    ]
    if not numbers or len(set(header)) < len(header) or not _may_hold_codes(form):
        return table
    options.include_columns = numbers
    texts = _table(form, options, header, dict.fromkeys(numbers, pa.string()))
    for name in numbers:
        if has_leading_zeros(texts[name]):
            table = table.set_column(table.column_names.index(name), name, texts[name])
    return table


def _may_hold_codes(form: _Form) -> bool:
    """Whether some field, perhaps within a text, is a whole number with a leading zero."""
    if form.encoding.startswith("utf-16"):
        return True  # rare, and not worth a search of its own
    ends = rf"[{re.escape(form.separator)}\r\n]"
    code = re.compile(rf'{ends}[ "]*0[0-9]+[ "]*(?:{ends}|$)'.encode())
    with opened(form.file) as stream:
        end = b"\n"
        while block := stream.read(BLOCK):
            if code.search(end + block):
                return True
            end = block[-LONGEST_CODE:]
    return False


def _table(
    form: _Form, options: Any, header: Sequence[str], types: dict[str, pa.DataType] | None = None
) -> pa.Table:
    """The rows. Arrow takes a column's type from the first block; later values may widen it."""
    faults: list[arrow_csv.InvalidRow] = []

    def note(row: arrow_csv.InvalidRow) -> str:
        faults.append(row)
        return "error"

    types = dict(types or {})
    while True:
        options.column_types = types
        try:
            with opened(form.file) as stream:
                return arrow_csv.read_csv(
                    stream,
                    read_options=arrow_csv.ReadOptions(
                        encoding="utf8" if form.encoding == "utf-8-sig" else form.encoding,
                        use_threads=False,
                        block_size=BLOCK,
                        skip_rows=form.n_skipped,
                    ),
                    parse_options=arrow_csv.ParseOptions(
                        delimiter=form.separator,
                        newlines_in_values=True,
                        invalid_row_handler=note,
                    ),
                    convert_options=options,
                )
        except pa.ArrowInvalid as error:
            if faults:
                raise harness.UsageError(_uneven(form, faults[0])) from error
            if "straddl" in str(error):
                raise harness.UsageError(
                    f"{form.file}: a row is longer than {BLOCK >> 20} MiB; is it a table with one "
                    "row a line, and are all quotes closed?"
                ) from error
            misfit = re.search(r"column #(\d+): CSV conversion error to ([a-z0-9]+)", str(error))
            name = header[int(misfit[1])] if misfit else ""
            if misfit is None or types.get(name) == pa.string() or header.count(name) > 1:
                why = " ".join(str(error).split())[:300]
                raise harness.UsageError(f"{form.file}: cannot be read as CSV: {why}") from error
            types[name] = WIDER.get(misfit[2], pa.string())


def _uneven(form: _Form, fault: arrow_csv.InvalidRow) -> str:
    """The first row that has more or fewer fields than the header."""
    rows = form.rows()
    expected = len(next(rows)[1])
    for line, row in rows:
        if row == [END] or len(row) == expected:
            continue
        is_last = next(rows, (0, [END]))[1] == [END]
        fields = f"{len(row)} field{'s' if len(row) > 1 else ''}"
        if len(row) > expected:
            remedy = "put quotes around a field that contains the separator"
        elif is_last:
            remedy = "is the file cut off? Get the rest, or delete the line"
        else:
            remedy = f"write all fields, also empty ones, between '{shown(form.separator)}'"
        columns = f"{expected} column{'s' if expected > 1 else ''}"
        return f"{form.file}: line {line} has {fields}, but the header names {columns}; {remedy}"
    return (
        f"{form.file}: row {fault.number} has {fault.actual_columns} fields, but the header names "
        f"{fault.expected_columns} columns"
    )


def _require_closed_quotes(form: _Form) -> None:
    """Refuse a file that ends within quotes: all rows after the opening quote would be one text."""
    ((line, row),) = collections.deque(form.rows(), maxlen=1)
    if row != [END]:
        raise harness.UsageError(
            f"{form.file}: the row in line {line} opens a quote that is never closed; is the "
            "file cut off? Get the rest, or close the quote"
        )
