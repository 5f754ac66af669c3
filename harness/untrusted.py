"""Makes untrusted texts safe: for terminals, spreadsheets and folders, and without passwords."""

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
"""Characters that a terminal obeys or cannot show: C0 controls (except tab and newline), C1
controls, marks of writing direction, line separators, and lone surrogates."""

FORMULA = re.compile(r"(?![-+](?:inf|[\d.]+(?:e[-+]?\d+)?)$)[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")
"""The beginning of a text that a spreadsheet treats as a formula; numbers do not match."""

RESERVED = re.compile(r"(?:con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(?:\.|$)", re.IGNORECASE)
"""Names of files that Windows reserves, with any ending."""

NOT_IN_NAMES = re.compile(r'[\\:*?"<>|\x00-\x1f\x7f]')
"""Characters that some system does not allow in names of files."""

LONGEST_NAME = 120  # characters of a file's name

HIDDEN = "***"
SECRET = r"(?:pass|pwd|secret|token|credential|api_?key|private_?key)"  # noqa: S105  # finds them
USER = re.compile(r"([A-Za-z][\w+.-]*:/+[^\s:/?#@'\"]*):([^\s'\"]+)@")
OPTION = re.compile(rf"([?&;](?:[^\s=&;'\"]*{SECRET}[^\s=&;'\"]*))=([^\s&;'\"]+)", re.IGNORECASE)
ASSIGNED = re.compile(rf"\w*{SECRET}\w*\s*=|//[^\s/]*:.*@", re.IGNORECASE)


def cleaned(text: str) -> str:
    r"""Text in which question marks replace the characters that a terminal would obey.

    >>> cleaned("one\r\n\x1b[31mtwo\u202e\ttab")
    'one\n?[31mtwo?\ttab'
    """
    return COMMANDS.sub("?", text.replace("\r\n", "\n"))


def bounded(text: str, most: int) -> str:
    """Text cut to about ``most`` characters: the first third of them from its start, then its end.

    >>> bounded("abcdefghijkl", 6)
    'ab [... 6 characters left out ...] ijkl'
    """
    if len(text) <= most:
        return text
    head = most // 3
    left_out = f" [... {len(text) - most} characters left out ...] "
    return text[:head] + left_out + text[len(text) - (most - head) :]


def csv_cell(value: Any) -> Any:
    """A cell of a CSV file; a text that a spreadsheet would compute as a formula gets a ``'``.

    >>> [csv_cell(cell) for cell in ("=1+1", "-2+3", "-1.5", "+1e-3", -1.5, "plain")]
    ["'=1+1", "'-2+3", '-1.5', '+1e-3', -1.5, 'plain']
    """
    if not isinstance(value, str):
        return value
    # Formulas are checked before cleaning, which would replace a leading tab or carriage return
    # that makes a spreadsheet see a formula.
    defused = f"'{value}" if FORMULA.match(value) else value
    return cleaned(defused)


def csv_text(heads: Sequence[object], rows: Iterable[Iterable[object]], end: str = "\n") -> str:
    """Rows as CSV text; `csv_cell` makes its cells safe."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator=end)
    writer.writerows(map(csv_cell, row) for row in (heads, *rows))
    return text.getvalue()


def frame_csv(frame: pd.DataFrame) -> str:
    """A DataFrame as CSV text without its index; `csv_cell` makes its cells safe.

    Ranks are whole numbers, although a column with missing ranks has floats.
    """
    safe = frame.copy()
    if "rank" in safe:
        safe["rank"] = safe["rank"].astype("Int64")
    for name in frame.select_dtypes(exclude=["number", "bool", "datetime", "datetimetz"]).columns:
        safe[name] = frame[name].astype(object).map(csv_cell)
    return str(safe.rename(columns=csv_cell).to_csv(index=False, lineterminator="\n"))


def path_fault(path: object) -> str:
    """Why a path cannot name a file below a folder on every system; empty if it can.

    >>> path_fault("data/iris.csv"), path_fault("../x"), path_fault("data/nul.csv")
    ('', "has the part '..'", "has the part 'nul.csv', which Windows reserves")
    """
    if not isinstance(path, str) or not path:
        return "is no text, or empty"
    for part in path.split("/"):
        if part in ("", ".", "..") or part != part.strip(" ") or part.endswith("."):
            return f"has the part {part!r}"
        if NOT_IN_NAMES.search(part) or len(part) > LONGEST_NAME:
            return f"has the part {part!r:.150}, which some systems do not allow"
        if RESERVED.match(part):
            return f"has the part {part!r}, which Windows reserves"
    return ""


def folder_fault(paths: Iterable[object]) -> str:
    """Why files with these paths cannot stand in one folder, as a clause; empty if they can.

    >>> folder_fault(["a.html", "A.html"]), folder_fault(["a", "a/b"]), folder_fault(["a", "b/c"])
    ("has 'a.html' and 'A.html'", "has 'a' as a file and as a folder", '')
    """
    seen: dict[str, str] = {}
    for path in paths:
        if fault := path_fault(path):
            return f"has the path {path!r:.150}, which {fault}"
        name = str(path)
        if other := seen.get(name.casefold()):
            return f"has {other!r} and {name!r}"
        seen[name.casefold()] = name
    for name in list(seen.values()):
        parts = name.split("/")
        for end in range(1, len(parts)):
            if (folder := "/".join(parts[:end])).casefold() in seen:
                return f"has {folder!r} as a file and as a folder"
    return ""


def without_passwords(text: str) -> str:
    """Text in which the passwords of URLs are hidden.

    >>> without_passwords("no host in 'postgresql://me:p@ss/w@host/db?sslpassword=abc&x=1'")
    "no host in 'postgresql://me:***@host/db?sslpassword=***&x=1'"
    """
    return OPTION.sub(rf"\1={HIDDEN}", USER.sub(rf"\1:{HIDDEN}@", text))


def hide_password(url: str) -> tuple[str, tuple[str, ...]]:
    """A URL with its passwords hidden, and the passwords in each form that they may be written in.

    Args:
        url: a database's URL, of any scheme; or a path, which is returned unchanged.

    >>> hide_password("mssql://me:x@host/db?p%77d=a%20b&odbc_connect=DSN%3Dx%3BPWD%3Dy")
    ('mssql://me:***@host/db?p%77d=***&odbc_connect=***', ('DSN%3Dx%3BPWD%3Dy', ..., 'x', 'y'))
    """
    passwords: list[str] = []
    address, separator, options = url.partition("?")
    pieces = re.split(r"([&;])", options)
    for i, piece in enumerate(pieces):
        name, _, value = piece.partition("=")
        plain = unquote_plus(value)
        if value and (re.search(SECRET, unquote(name), re.IGNORECASE) or ASSIGNED.search(plain)):
            passwords += [
                value,
                *re.findall(rf"{SECRET}\w*\s*=\s*([^;\s&]+)", plain, re.IGNORECASE),
            ]
            pieces[i] = f"{name}={HIDDEN}"
    url, rest = address, separator + "".join(pieces)
    if "@" not in address:  # the question mark was part of a password
        url, rest = address + rest, ""
    # Up to the last @, because a password may contain one.
    match = re.match(r"([A-Za-z][\w+.-]*:/*[^:/?#@]*):(.*)@", url, re.DOTALL)
    if match:
        passwords.append(match[2])
        url = f"{match[1]}:{HIDDEN}{url[match.end() - 1 :]}"
    forms = {form for text in passwords for form in (text, unquote(text), unquote_plus(text))}
    secrets = sorted(filter(None, forms), key=lambda text: (-len(text), text))
    return url + rest, tuple(secrets)


def without(secrets: Iterable[str], text: str) -> str:
    """Text in which the secrets are hidden, where they are whole words.

    >>> without(("a",), "a password a, but no part of a word")
    '*** password ***, but no part of *** word'
    """
    for secret in secrets:
        text = re.sub(rf"(?<!\w){re.escape(secret)}(?!\w)", HIDDEN, text)
    return text
