"""Being asked to stop: Ctrl-C, SIGTERM, and the end of a terminal."""

from __future__ import annotations

import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class Terminated(BaseException):
    """The process was asked to end by a signal, its argument."""


SIGNALS = (signal.SIGTERM, signal.SIGHUP)


@contextmanager
def terminable() -> Iterator[None]:
    """SIGTERM and SIGHUP as an exception, so that workers are ended and what there is is told."""

    def terminate(number: int, _frame: object) -> None:
        raise Terminated(number)

    before = {number: signal.signal(number, terminate) for number in SIGNALS}
    if before[signal.SIGHUP] == signal.SIG_IGN:  # as `nohup` has it
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def stop_status(stop: BaseException) -> int:
    """The exit status of a process that was so asked."""
    return 128 + int(stop.args[0] if isinstance(stop, Terminated) else signal.SIGINT)
