"""Signals that stop a command: Ctrl-C, SIGTERM, and SIGHUP when a terminal closes."""

from __future__ import annotations

import os
import signal
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

PATIENCE = 5.0
"""Seconds after the first signal in which further ones are ignored, to end and store trials."""


SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Terminated(BaseException):
    """A signal asked the process to end; the argument is the signal's number."""


class Once:
    """A signal handler that raises at the first signal, and does not interrupt the cleanup after.

    A signal that comes more than `PATIENCE` seconds after the first ends the process.
    """

    def __init__(self) -> None:
        self.since: float | None = None

    def __call__(self, number: int, _frame: object) -> None:
        """Raise at the first signal; at a later one, exit if `PATIENCE` has run out."""
        if self.since is None:
            self.since = time.monotonic()
            raise KeyboardInterrupt if number == signal.SIGINT else Terminated(number)
        if time.monotonic() - self.since > PATIENCE:
            os._exit(128 + number)

    def end(self) -> None:
        """Ignore all further signals if there was one, so that they do not disturb the exit."""
        if self.since is not None:
            for number in SIGNALS:  # Python resets other handlers before it has finished exiting
                signal.signal(number, signal.SIG_IGN)


def interruptible() -> Once:
    """Install a handler that raises at the first Ctrl-C, until the process ends."""
    once = Once()
    if signal.getsignal(signal.SIGINT) == signal.default_int_handler:
        signal.signal(signal.SIGINT, once)
    return once


@contextmanager
def terminable() -> Iterator[None]:
    """Raise at SIGTERM and SIGHUP too, so that workers are ended and the results reported."""
    installed = signal.getsignal(signal.SIGINT)
    outer_once = installed if isinstance(installed, Once) else None
    once = outer_once or Once()
    # Signals that are ignored, as under `nohup`, stay ignored.
    numbers = [number for number in SIGNALS if signal.getsignal(number) != signal.SIG_IGN]
    previous = {number: signal.signal(number, once) for number in numbers}
    try:
        yield
    finally:
        # After a signal the outer handler stays, because the whole process is about to end.
        if not outer_once or outer_once.since is None:
            for number, handler in previous.items():
                signal.signal(number, handler)


def stop_status(stop: BaseException) -> int:
    """The exit status of a process that a signal stopped: 128 + the signal's number."""
    return 128 + int(stop.args[0] if isinstance(stop, Terminated) else signal.SIGINT)
