"""What a process has one of, so that a model that changes it changes it for the next one too."""

from __future__ import annotations

import os
import signal
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class Aspect:
    """One part of a process's state: how it is called, read and written."""

    name: str
    read: Callable[[], Any]
    write: Callable[[Any], object]


def _write_environment(variables: dict[str, str]) -> None:
    os.environ.clear()
    os.environ.update(variables)


def _of_torch(name: str, read: str, write: str) -> Aspect:
    """A setting of torch's, None as long as nobody has imported it."""

    def reader() -> Any:
        torch = sys.modules.get("torch")
        return torch and getattr(torch, read)()

    return Aspect(name, reader, lambda value: getattr(sys.modules["torch"], write)(value))


ASPECTS = (
    Aspect("the current directory", os.getcwd, os.chdir),
    Aspect("the environment", lambda: dict(os.environ), _write_environment),
    Aspect("NumPy's error state", np.geterr, lambda state: np.seterr(**state)),
    Aspect(
        "the handler of SIGTERM",
        lambda: signal.getsignal(signal.SIGTERM),
        lambda handler: signal.signal(signal.SIGTERM, handler),
    ),
    _of_torch("torch's thread count", "get_num_threads", "set_num_threads"),
    _of_torch("torch's default dtype", "get_default_dtype", "set_default_dtype"),
)


def read() -> dict[str, Any]:
    """The state of this process, by the name of each aspect."""
    return {aspect.name: aspect.read() for aspect in ASPECTS}


def restore(before: dict[str, Any]) -> tuple[str, ...]:
    """Put back what differs from an earlier state, and say what that was.

    >>> before = read()
    >>> _ = np.seterr(under="raise")
    >>> restore(before)
    ("NumPy's error state: under was 'ignore' and is 'raise'",)
    """
    changes = []
    for aspect in ASPECTS:
        was, now = before[aspect.name], aspect.read()
        if was is not None and was != now:
            changes.append(f"{aspect.name}{_difference(was, now)}")
            aspect.write(was)
    return tuple(changes)


def _difference(was: Any, now: Any) -> str:
    if not isinstance(was, dict):
        return f" was {was!r} and is {now!r}"
    keys = [key for key in {**was, **now} if was.get(key) != now.get(key)]
    return ": " + ", ".join(f"{key} was {was.get(key)!r} and is {now.get(key)!r}" for key in keys)
