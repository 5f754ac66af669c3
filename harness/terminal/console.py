"""Where the command line prints: results to standard output, all else to standard error."""

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
"""Columns of what goes to a file or a pipe, where no terminal tells its width."""


LEAST_AND_MOST = {"COLUMNS": (20, 10_000), "LINES": (1, 10_000)}
"""What a page has at least, so that it can be read, and at most."""


class PlainConsole(Console):
    """A console that takes text as it is, and leaves a broken pipe to whoever prints.

    Nobody's text gives the terminal orders: all that is printed passes here, and only rich's own
    styles and movements of the cursor come out as such.
    """

    def __init__(self, *, stderr: bool = False, width: int | None = None) -> None:
        # rich would take whatever digits these are for a number.
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
        """A text before its width is taken."""
        return super().render_str(cleaned(text), **how)

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """What others made of texts, too."""
        for segment in super().render(renderable, options):
            if segment.control:
                yield segment
            else:
                yield Segment(cleaned(segment.text), segment.style)

    def on_broken_pipe(self) -> None:
        """Rich would exit with 1, which means that a trial failed."""
        raise BrokenPipeError


def out() -> Console:
    """Standard output; colours only on a terminal, and not where NO_COLOR is set."""
    width = _size("COLUMNS")
    console = PlainConsole(width=width)
    if not console.is_terminal and width is None:
        console = PlainConsole(width=PLAIN_WIDTH)
    return console


def err() -> Console:
    """Standard error, for progress and remarks."""
    return PlainConsole(stderr=True, width=_size("COLUMNS"))


def _size(name: str) -> int | None:
    """What COLUMNS or LINES says, if that is a size."""
    given = os.environ.get(name, "")
    if not re.fullmatch("0{0,8}[1-9][0-9]{0,8}", given):
        return None
    least, most = LEAST_AND_MOST[name]
    return min(max(int(given), least), most)


def say(text: str) -> None:
    """A line of result as it is: no markup, no folding."""
    out().print(without_passwords(text), soft_wrap=True)


def remark(text: str) -> None:
    """A line beside the results."""
    err().print(without_passwords(text), soft_wrap=True)


def complain(text: str) -> None:
    """The one line of an error; what strangers wrote into it stays text."""
    remark("harness: " + " ".join(text.split()))


def complain_of(faults: Iterable[Fault]) -> None:
    """A line for each plugin that could not be used."""
    for fault in faults:
        complain(f"{fault}; the others go on")


def write(text: str) -> None:
    """Text for another program to read, which may be a terminal after all."""
    text = cleaned(text)
    sys.stdout.write(text if text.endswith("\n") else text + "\n")
