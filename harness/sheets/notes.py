"""Notes: a heading and lines below the tables."""

from __future__ import annotations

from dataclasses import dataclass

FAILURES = "Failures"


@dataclass(frozen=True, slots=True)
class Note:
    """A heading and lines of plain text; markup that strangers wrote into them has no effect."""

    heading: str
    lines: tuple[str, ...]


def plain(text: object) -> str:
    r"""A stranger's text on one line, without characters that could control a terminal.

    >>> plain("no module\n\x1b[31m 'x'")
    "no module ?[31m 'x'"
    """
    line = " ".join(str(text).split())
    return "".join(letter if letter.isprintable() else "?" for letter in line)
