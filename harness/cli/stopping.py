"""Being asked to stop: Ctrl-C and SIGTERM."""

from __future__ import annotations

import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class Terminated(BaseException):
    """The process was asked to end by SIGTERM."""


@contextmanager
def terminable() -> Iterator[None]:
    """SIGTERM as an exception, so that workers are ended and what there is is told."""

    def terminate(_number: int, _frame: object) -> None:
        raise Terminated

    before = signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def stop_status(stop: BaseException) -> int:
    """The exit status of a process that was so asked."""
    return 128 + (signal.SIGTERM if isinstance(stop, Terminated) else signal.SIGINT)
