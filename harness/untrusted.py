"""Texts that strangers wrote, made fit for terminals, spreadsheets and other people's eyes."""

from __future__ import annotations

import csv
import io
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, unquote_plus

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import pandas as pd

COMMANDS = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)
"""What a terminal obeys or cannot show: C0 (but tab and newline) and C1 controls, marks that turn
the direction of the text around them, separators of lines, and halves of letters."""

FORMULA = re.compile(r"(?![-+](?:inf|[\d.]+(?:e[-+]?\d+)?)$)[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")
"""What a spreadsheet takes for the beginning of a formula; a number is none."""

HIDDEN = "***"
SECRET = r"(?:pass|pwd|secret|token|credential|api_?key|private_?key)"  # noqa: S105  # finds them
USER = re.compile(r"([A-Za-z][\w+.-]*:/+[^\s:/?#@'\"]*):([^\s'\"]+)@")
OPTION = re.compile(rf"([?&;](?:[^\s=&;'\"]*{SECRET}[^\s=&;'\"]*))=([^\s&;'\"]+)", re.IGNORECASE)
ASSIGNED = re.compile(rf"\w*{SECRET}\w*\s*=|//[^\s/]*:.*@", re.IGNORECASE)


def cleaned(text: str) -> str:
    r"""Text that gives a terminal no orders: each of them becomes a question mark.

    >>> cleaned("one\r\n\x1b[31mtwo\u202e\ttab")
    'one\n?[31mtwo?\ttab'
    """
    return COMMANDS.sub("?", text.replace("\r\n", "\n"))


def bounded(text: str, most: int) -> str:
    """Text of at most about so many characters: the first third of them, and the end.

    >>> bounded("abcdefghijkl", 6)
    'ab [... 6 characters left out ...] ijkl'
    """
    if len(text) <= most:
        return text
    head = most // 3
    left_out = f" [... {len(text) - most} characters left out ...] "
    return text[:head] + left_out + text[len(text) - (most - head) :]


def csv_cell(value: Any) -> Any:
    """A cell of a CSV file that no spreadsheet computes: a text that begins a formula gets a ``'``.

    >>> [csv_cell(cell) for cell in ("=1+1", "-2+3", "-1.5", "+1e-3", -1.5, "plain")]
    ["'=1+1", "'-2+3", '-1.5', '+1e-3', -1.5, 'plain']
    """
    if not isinstance(value, str):
        return value
    # First, because what is cleaned away at the beginning would hide a formula from us only.
    defused = f"'{value}" if FORMULA.match(value) else value
    return cleaned(defused)


def csv_text(heads: Sequence[object], rows: Iterable[Iterable[object]], end: str = "\n") -> str:
    """Rows as CSV, its cells as `csv_cell` makes them."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator=end)
    writer.writerows(map(csv_cell, row) for row in (heads, *rows))
    return text.getvalue()


def frame_csv(frame: pd.DataFrame) -> str:
    """A DataFrame as CSV without its index, its cells as `csv_cell` makes them."""
    safe = frame.copy()
    for name in frame.select_dtypes(exclude=["number", "bool", "datetime", "datetimetz"]).columns:
        safe[name] = frame[name].astype(object).map(csv_cell)
    return str(safe.rename(columns=csv_cell).to_csv(index=False, lineterminator="\n"))


def without_passwords(text: str) -> str:
    """Text in which the passwords of URLs are hidden, whoever wrote it.

    >>> without_passwords("no host in 'postgresql://me:p@ss/w@host/db?sslpassword=abc&x=1'")
    "no host in 'postgresql://me:***@host/db?sslpassword=***&x=1'"
    """
    return OPTION.sub(rf"\1={HIDDEN}", USER.sub(rf"\1:{HIDDEN}@", text))


def hide_password(url: str) -> tuple[str, tuple[str, ...]]:
    """A URL without its passwords, and the passwords, as they may be written elsewhere.

    Args:
        url: of a database, whatever its scheme; or a path, which stays as it is.

    >>> hide_password("mssql://me:x@host/db?p%77d=a%20b&odbc_connect=DSN%3Dx%3BPWD%3Dy")
    ('mssql://me:***@host/db?p%77d=***&odbc_connect=***', ('DSN%3Dx%3BPWD%3Dy', ..., 'x', 'y'))
    """
    found: list[str] = []
    place, mark, options = url.partition("?")
    parts = re.split(r"([&;])", options)
    for i, part in enumerate(parts):
        name, _, value = part.partition("=")
        plain = unquote_plus(value)
        if value and (re.search(SECRET, unquote(name), re.IGNORECASE) or ASSIGNED.search(plain)):
            found += [value, *re.findall(rf"{SECRET}\w*\s*=\s*([^;\s&]+)", plain, re.IGNORECASE)]
            parts[i] = f"{name}={HIDDEN}"
    url, rest = place, mark + "".join(parts)
    if "@" not in place:  # a password may have a question mark
        url, rest = place + rest, ""
    # Up to the last @, for the same reason.
    match = re.match(r"([A-Za-z][\w+.-]*:/*[^:/?#@]*):(.*)@", url, re.DOTALL)
    if match:
        found.append(match[2])
        url = f"{match[1]}:{HIDDEN}{url[match.end() - 1 :]}"
    written = {form for text in found for form in (text, unquote(text), unquote_plus(text))}
    secrets = sorted(filter(None, written), key=lambda text: (-len(text), text))
    return url + rest, tuple(secrets)


def without(secrets: Iterable[str], text: str) -> str:
    """Text in which these words are hidden, where they stand alone.

    >>> without(("a",), "a password a, but no part of a word")
    '*** password ***, but no part of *** word'
    """
    for secret in secrets:
        text = re.sub(rf"(?<!\w){re.escape(secret)}(?!\w)", HIDDEN, text)
    return text
