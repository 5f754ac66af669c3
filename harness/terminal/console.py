"""Where the command line prints: results to standard output, everything else to standard error."""

from __future__ import annotations

import os
import re
import sys
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.segment import Segment

from harness.untrusted import cleaned, without_passwords

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import ConsoleOptions, RenderableType
    from rich.text import Text

    from harness.contract.registry import Fault

PLAIN_WIDTH = 120
"""Columns of output to a file or a pipe, which has no width of its own."""


LEAST_AND_MOST = {"COLUMNS": (20, 10_000), "LINES": (1, 10_000)}
"""The limits of a page's width and height: a smaller page could not be read."""


class PlainConsole(Console):
    """A console without markup, on which no text can control the terminal.

    Everything printed passes through here: control characters in texts are removed, and only rich's
    own styles and cursor movements remain. A broken pipe raises BrokenPipeError.
    """

    def __init__(self, *, stderr: bool = False, width: int | None = None) -> None:
        # rich would accept any digits in these two; `_size` checks them.
        given = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "LINES")}
        super().__init__(
            stderr=stderr,
            width=width,
            height=_size("LINES"),
            highlight=False,
            markup=False,
            emoji=False,
            _environ=given,
        )

    def render_str(self, text: str, **how: Any) -> Text:
        """Clean a text before rich measures its width."""
        return super().render_str(cleaned(text), **how)

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """Clean the texts in other renderables, too."""
        for segment in super().render(renderable, options):
            if segment.control:
                yield segment
            else:
                yield Segment(cleaned(segment.text), segment.style)

    def on_broken_pipe(self) -> None:
        """Raise BrokenPipeError: rich would exit with 1, which means that a trial failed."""
        raise BrokenPipeError


def out() -> Console:
    """The console of standard output; colours only on a terminal, and not if NO_COLOR is set."""
    width = _size("COLUMNS")
    console = PlainConsole(width=width)
    if not console.is_terminal and width is None:
        console = PlainConsole(width=PLAIN_WIDTH)
    return console


def err() -> Console:
    """The console of standard error, for progress and remarks."""
    return PlainConsole(stderr=True, width=_size("COLUMNS"))


def _size(name: str) -> int | None:
    """The size that COLUMNS or LINES gives, within limits; None if it is no size."""
    given = os.environ.get(name, "")
    if not re.fullmatch("0{0,8}[1-9][0-9]{0,8}", given):
        return None
    least, most = LEAST_AND_MOST[name]
    return min(max(int(given), least), most)


def say(text: str) -> None:
    """Print a line of results as it is: no markup, no folding."""
    out().print(without_passwords(text), soft_wrap=True)


def remark(text: str) -> None:
    """Print a line to standard error."""
    err().print(without_passwords(text), soft_wrap=True)


def complain(text: str) -> None:
    """Print an error on one line; markup in it has no effect."""
    remark("harness: " + " ".join(text.split()))


def complain_of(faults: Iterable[Fault]) -> None:
    """Print a line for each plugin that could not be used."""
    for fault in faults:
        complain(f"{fault}; the others go on")


def write(text: str) -> None:
    """Write text for another program; it is cleaned, because standard output may be a terminal."""
    text = cleaned(text)
    sys.stdout.write(text if text.endswith("\n") else text + "\n")
