"""Opens files, compressed or not, and tells what a file is from its first bytes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PACKED = {".gz": "gzip", ".zst": "zstd", ".bz2": "bz2", ".xz": "xz"}
"""Suffixes of compressed files. Arrow reads all of them except ``.xz``."""

MISSING = ("", "NA", "N/A", "n/a", "na", "NaN", "nan", "null", "NULL", "None", "none", "?", "#N/A")
"""Texts that stand for a missing value in a file of text."""

UNPRINTABLE = re.compile(r"[^\S ]|[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
"""Characters that would break a message's line, or turn its direction."""

KNOWN = (
    (b"PK\x03\x04", "a ZIP archive, such as an Excel file; save the table as CSV"),
    (b"\xd0\xcf\x11\xe0", "an old Excel file; save the table as CSV"),
    (b"PAR1", "a Parquet file; rename it to .parquet"),
    (b"ARROW1", "an Arrow file; rename it to .arrow"),
    (b"FEA1", "a Feather file; rename it to .feather"),
    (b"\x1f\x8b", "compressed by gzip; add .gz to its name"),
    (b"BZh", "compressed by bzip2; add .bz2 to its name"),
    (b"\xfd7zXZ\x00", "compressed by xz; add .xz to its name"),
    (b"\x28\xb5\x2f\xfd", "compressed by zstd; add .zst to its name"),
    (b"SQLite format 3\x00", "an SQLite database; export the table as CSV"),
    (b"%PDF", "a PDF document; export the table as CSV"),
    (b"\x89PNG", "a picture"),
    (b"\xff\xd8\xff", "a picture"),
    (b"<!doctype html", "a web page; download the file itself"),
    (b"<html", "a web page; download the file itself"),
)
"""What a file is by its first bytes, and the way out."""


@dataclass(frozen=True, slots=True)
class Read:
    """A file's content.

    Args:
        table: the rows.
        how: how the file was read, such as ``separator ;, decimal comma``; empty if as usual.
        lines: tells the line in which a row begins; None for files without lines.
    """

    table: pa.Table
    how: str = ""
    lines: Callable[[int], int] | None = None

    def place(self, row: int) -> str:
        """Where a row is, as in ``in line 7``; empty for files without lines."""
        return f"in line {self.lines(row)}" if self.lines else ""


def suffix(file: Path) -> str:
    """The suffix that tells the format, without the dot and without that of a compression.

    >>> from pathlib import Path
    >>> suffix(Path("churn.csv.gz")), suffix(Path("a.b/churn.CSV"))
    ('csv', 'csv')
    """
    suffixes = [part.lower() for part in file.suffixes]
    if suffixes and suffixes[-1] in PACKED:
        suffixes.pop()
    return suffixes[-1].removeprefix(".") if suffixes else ""


def opened(file: Path) -> Any:
    """The file's content as an Arrow stream, without compression."""
    last = file.suffix.lower()
    if last == ".xz":
        import lzma

        return pa.PythonFile(lzma.open(file))
    return pa.input_stream(str(file), compression=PACKED.get(last))


def source(file: Path) -> Any:
    """What Arrow's readers of binary files take: the file's path, or its unpacked content."""
    if file.suffix.lower() not in PACKED:
        return str(file)
    with opened(file) as stream:
        return pa.BufferReader(stream.read())


def kind_of(beginning: bytes) -> str:
    """What a file is by its first bytes, and the way out; empty if they do not tell.

    >>> kind_of(b"PAR1"), kind_of(b"age,city")
    ('a Parquet file; rename it to .parquet', '')
    """
    start = beginning.lstrip().lower()
    return next(
        (
            what
            for magic, what in KNOWN
            if beginning.startswith(magic) or (magic[:1] == b"<" and start.startswith(magic))
        ),
        "",
    )


def without_nan(values: Any) -> Any:
    """A column in which floats that are no number are missing."""
    if pa.types.is_floating(values.type) and pc.any(is_nan := pc.is_nan(values)).as_py():
        return pc.if_else(is_nan, None, values)
    return values


def shown(text: object) -> str:
    r"""A text from a file as a message shows it: short, on one line.

    >>> shown("red\x1b[31m\n"), len(shown("x" * 1000))
    ('red\\x1b[31m\\n', 40)
    """
    cut = str(text)
    cut = cut if len(cut) <= 40 else f"{cut[:39]}…"
    escaped = UNPRINTABLE.sub(lambda match: ascii(match[0])[1:-1], cut)
    return escaped.encode(errors="backslashreplace").decode()


def plain(text: str) -> str:
    r"""A sentence of others as a message quotes it: at most 300 characters, on one line.

    >>> plain("so\n  it\x1b is")
    'so it? is'
    """
    cut = UNPRINTABLE.sub("?", " ".join(text.split()))[:300]
    return cut.encode(errors="backslashreplace").decode()
