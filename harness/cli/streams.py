"""Standard output and standard error, which may be closed, or be closed by whoever reads them."""

from __future__ import annotations

import io
import os
import sys
import tempfile
from contextlib import redirect_stderr, redirect_stdout, suppress
from typing import TYPE_CHECKING, TextIO, TypeVar

from harness.untrusted import bounded

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


TOLD, MOST = 4_000, 1_000_000
"""Characters of what plugins print that are told, and bytes that are looked at."""


class Output(io.TextIOWrapper):
    """Standard output; whoever closes it has seen enough, and the command goes on to its status."""

    unheard: tuple[type[OSError], ...] = (BrokenPipeError,)

    def write(self, text: str, /) -> int:
        """Write, unless nobody reads."""
        try:
            return super().write(text)
        except self.unheard:
            silence(self)
            return len(text)

    def flush(self) -> None:
        """Flush, unless nobody reads."""
        try:
            super().flush()
        except self.unheard:
            silence(self)
            super().flush()


class Remarks(Output):
    """Standard error; where remarks cannot be written, the command goes on without."""

    unheard = (OSError,)


def open_streams() -> None:
    """Standard streams that can be written to: to nowhere, where they are closed.

    Nothing else may be opened in their place, or else what a plugin prints would end up in it.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
    sys.stdout = _stream(sys.stdout, Output, 1)
    sys.stderr = _stream(sys.stderr, Remarks, 2)


def _stream(given: TextIO | None, kind: type[Output], descriptor: int) -> TextIO:
    # What a terminal or a file cannot hold is written as its number.
    if isinstance(given, io.TextIOWrapper):
        lines = given.line_buffering
        return kind(given.buffer, given.encoding, "backslashreplace", line_buffering=lines)
    nowhere = open(descriptor, "wb", closefd=False)  # noqa: SIM115  # until the end
    return kind(nowhere, "utf-8", "backslashreplace")


def aside(call: Callable[[], T]) -> tuple[T, str]:
    """What a call returns, and what was printed meanwhile, by whatever means.

    What plugins print when they are imported is no part of a command's output.
    """
    with tempfile.TemporaryFile() as file, os.fdopen(os.dup(file.fileno()), "w") as text:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        kept = [(number, os.dup(number)) for number in (1, 2)]
        try:
            for number, _ in kept:
                os.dup2(file.fileno(), number)
            with redirect_stdout(text), redirect_stderr(text):
                found = call()
        finally:
            text.flush()
            for number, copy in kept:
                os.dup2(copy, number)
                os.close(copy)
        file.seek(0)
        return found, bounded(file.read(MOST).decode(errors="replace"), TOLD).strip()


def silence(stream: TextIO) -> None:
    """Let what is still to be written go nowhere."""
    with suppress(OSError, ValueError, AttributeError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
