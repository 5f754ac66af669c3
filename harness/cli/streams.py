"""Standard output and standard error that survive being closed by us or by their reader."""

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
"""Characters of the plugins' output that are shown, and bytes of it that are read."""


class Output(io.TextIOWrapper):
    """Standard output; if its reader closes it, the command still runs to its exit status."""

    unheard: tuple[type[OSError], ...] = (BrokenPipeError,)

    def write(self, text: str, /) -> int:
        """Write the text, or drop it if the stream is closed."""
        try:
            return super().write(text)
        except self.unheard:
            silence(self)
            return len(text)

    def flush(self) -> None:
        """Flush, or drop the rest if the stream is closed."""
        try:
            super().flush()
        except self.unheard:
            silence(self)
            super().flush()


class Remarks(Output):
    """Standard error; if remarks cannot be written, the command goes on without them."""

    unheard = (OSError,)


def open_streams() -> None:
    """Make sure that the three standard streams are open; closed ones go to the null device.

    Otherwise the next file that is opened, such as the store, would take a closed stream's
    descriptor, and the output of plugins would be written into it.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest free descriptor, which is this one
    sys.stdout = _stream(sys.stdout, Output, 1)
    sys.stderr = _stream(sys.stderr, Remarks, 2)


def _stream(given: TextIO | None, kind: type[Output], descriptor: int) -> TextIO:
    # Characters that the stream's encoding cannot represent are written as escapes.
    if isinstance(given, io.TextIOWrapper):
        lines = given.line_buffering
        return kind(given.buffer, given.encoding, "backslashreplace", line_buffering=lines)
    raw = open(descriptor, "wb", closefd=False)  # noqa: SIM115  # stays open until the end
    return kind(raw, "utf-8", "backslashreplace")


def aside(call: Callable[[], T]) -> tuple[T, str]:
    """Call a function; give its value, and what was printed meanwhile, by C code too.

    The output of plugins during their import is no part of a command's output.
    """
    with tempfile.TemporaryFile() as file, os.fdopen(os.dup(file.fileno()), "w") as text:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        saved = [(number, os.dup(number)) for number in (1, 2)]
        try:
            for number, _ in saved:
                os.dup2(file.fileno(), number)
            with redirect_stdout(text), redirect_stderr(text):
                value = call()
        finally:
            text.flush()
            for number, duplicate in saved:
                os.dup2(duplicate, number)
                os.close(duplicate)
        file.seek(0)
        return value, bounded(file.read(MOST).decode(errors="replace"), TOLD).strip()


def silence(stream: TextIO) -> None:
    """Redirect a stream to the null device, so that its remaining output is dropped."""
    with suppress(OSError, ValueError, AttributeError):
        null_device = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null_device, stream.fileno())
        os.close(null_device)
