"""Where the command line prints: results to standard output, all else to standard error."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from rich.console import Console

if TYPE_CHECKING:
    from collections.abc import Iterable

    from harness.registry import Fault

PLAIN_WIDTH = 120
"""Columns of what goes to a file or a pipe, where no terminal tells its width."""


class PlainConsole(Console):
    """A console that takes text as it is, and leaves a broken pipe to whoever prints."""

    def __init__(self, *, stderr: bool = False, width: int | None = None) -> None:
        super().__init__(stderr=stderr, width=width, highlight=False, markup=False, emoji=False)

    def on_broken_pipe(self) -> None:
        """Rich would exit with 1, which means that a trial failed."""
        raise BrokenPipeError


def out() -> Console:
    """Standard output; colours only on a terminal, and not where NO_COLOR is set."""
    console = PlainConsole()
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console = PlainConsole(width=PLAIN_WIDTH)
    return console


def err() -> Console:
    """Standard error, for progress and remarks."""
    return PlainConsole(stderr=True)


def say(text: str) -> None:
    """A line of result as it is: no markup, no folding."""
    out().print(text, soft_wrap=True)


def remark(text: str) -> None:
    """A line beside the results."""
    err().print(text, soft_wrap=True)


def complain(text: str) -> None:
    """The one line of an error; what strangers wrote into it stays text."""
    remark("harness: " + " ".join(text.split()))


def complain_of(faults: Iterable[Fault]) -> None:
    """A line for each plugin that could not be used."""
    for fault in faults:
        complain(f"{fault}; the others go on")


def write(text: str) -> None:
    """Text for another program to read."""
    sys.stdout.write(text if text.endswith("\n") else text + "\n")
