"""Being asked to stop: Ctrl-C, SIGTERM, and the end of a terminal."""

from __future__ import annotations

import os
import signal
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

PATIENCE = 5.0
"""Seconds for which whoever asks again is not heard: what runs is being ended and stored."""


SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Terminated(BaseException):
    """The process was asked to end by a signal, its argument."""


class Once:
    """A handler that makes an exception of the first signal; those that follow break up nothing."""

    def __init__(self) -> None:
        self.since: float | None = None

    def __call__(self, number: int, _frame: object) -> None:
        """Raise, the first time; later on wait, but not for ever."""
        if self.since is None:
            self.since = time.monotonic()
            raise KeyboardInterrupt if number == signal.SIGINT else Terminated(number)
        if time.monotonic() - self.since > PATIENCE:
            os._exit(128 + number)

    def end(self) -> None:
        """Of a process that was asked, see that its end is not disturbed."""
        if self.since is not None:
            for number in SIGNALS:  # Python itself unsets other handlers before it is done
                signal.signal(number, signal.SIG_IGN)


def interruptible() -> Once:
    """Ctrl-C as an exception once, for as long as this process lives."""
    once = Once()
    if signal.getsignal(signal.SIGINT) == signal.default_int_handler:
        signal.signal(signal.SIGINT, once)
    return once


@contextmanager
def terminable() -> Iterator[None]:
    """SIGTERM and SIGHUP, too, so that workers are ended and what there is is told."""
    known = signal.getsignal(signal.SIGINT)
    outer = known if isinstance(known, Once) else None
    once = outer or Once()
    # What is ignored stays so, as `nohup` has it.
    heard = [number for number in SIGNALS if signal.getsignal(number) != signal.SIG_IGN]
    before = {number: signal.signal(number, once) for number in heard}
    try:
        yield
    finally:
        if not outer or outer.since is None:  # else the whole process comes to its end
            for number, handler in before.items():
                signal.signal(number, handler)


def stop_status(stop: BaseException) -> int:
    """The exit status of a process that was so asked."""
    return 128 + int(stop.args[0] if isinstance(stop, Terminated) else signal.SIGINT)
