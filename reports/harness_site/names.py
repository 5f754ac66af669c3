"""Names of files for datasets and models, whose names may hold any character."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

PLAIN = re.compile(r"[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?")
RESERVED = re.compile(r"(?:con|prn|aux|nul|com\d|lpt\d|index)(?:\.|$)")
"""Names that Windows reserves, and what web servers show for a folder."""

LONGEST = 60
DIGITS = 8
"""Hexadecimal digits of a digest that tell names apart."""


def file_names(names: Iterable[str], taken: Iterable[str] = ()) -> dict[str, str]:
    """A name of a file, without its ending, for each name; the same name gets the same file.

    A file's name has small letters of ASCII, digits, dots and hyphens, so that it is valid and
    unique on every system. A name that has anything else is followed by a digest of it.

    >>> file_names(["torch-mlp", "svc[C=1]"])
    {'torch-mlp': 'torch-mlp', 'svc[C=1]': 'svc-c-1-211326f6'}
    """
    used = set(taken)
    files: dict[str, str] = {}
    # Plain names first, so that no digest of another name takes theirs away.
    for name in sorted(set(names), key=lambda name: (not _is_plain(name), name)):
        file, digits = name, DIGITS
        if not _is_plain(name):
            file = _with_digest(name, digits)
        while file in used:
            digits += 1
            file = _with_digest(name, digits)
        used.add(file)
        files[name] = file
    return files


def _with_digest(name: str, digits: int) -> str:
    """What is plain of a name, and the first digits of its digest."""
    digest = hashlib.sha256(name.encode(errors="surrogatepass")).hexdigest()
    head = re.sub(r"[^a-z0-9]+", "-", name.lower())[:LONGEST].strip("-")
    return f"{head or 'x'}-{digest[:digits]}"


def _is_plain(name: str) -> bool:
    return bool(PLAIN.fullmatch(name)) and not RESERVED.match(name) and len(name) <= LONGEST
