"""Process-wide state that one trial could leak into the next: read it, compare it, restore it."""

from __future__ import annotations

import os
import signal
import sys
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import threadpoolctl

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class Aspect:
    """One part of a process's state: its name, and how to read and write it.

    If ``forbidden``, a model must not change it, and a change is reported. Otherwise it is restored
    without a report, because importing a library may change it. If ``slows``, a change makes other
    code in the process slower or faster.
    """

    name: str
    read: Callable[[], Any]
    write: Callable[[Any], object]
    forbidden: bool = True
    slows: bool = False


def read() -> dict[str, object]:
    """The state of this process, by the name of each aspect."""
    return {aspect.name: aspect.read() for aspect in ASPECTS}


def restore(before: dict[str, object], *, slowing: bool = False) -> tuple[str, ...]:
    """Restore the state to an earlier one; returns a description of each forbidden change.

    Args:
        before: the state, as `read` gave it.
        slowing: describe only changes that make other code in the process slower or faster.

    >>> before = read()
    >>> _ = np.seterr(under="raise")
    >>> restore(before)
    ("NumPy's error state: under was 'ignore' and is 'raise'",)
    """
    changes = []
    for aspect in ASPECTS:
        was, now = before[aspect.name], aspect.read()
        if was is not None and was != now:
            aspect.write(was)
            if aspect.slows if slowing else aspect.forbidden:
                changes.append(f"{aspect.name}{_difference(was, now)}")
    return tuple(changes)


def set_threads(n: int) -> None:
    """Set the number of threads of BLAS, OpenMP and torch, of all libraries loaded so far."""
    threadpoolctl.threadpool_limits(n)
    torch = sys.modules.get("torch")
    if torch and torch.get_num_threads() != n:
        torch.set_num_threads(n)


def _read_umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _write_environment(variables: dict[str, str]) -> None:
    os.environ.clear()
    os.environ.update(variables)


def _write_filters(filters: list[Any]) -> None:
    warnings.filters[:] = filters  # type: ignore[index]  # a list, though typeshed says Sequence


def _write_path(path: list[str]) -> None:
    sys.path[:] = path


def _read_streams() -> tuple[Any, ...]:
    return sys.stdin, sys.stdout, sys.stderr


def _write_streams(streams: tuple[Any, ...]) -> None:
    sys.stdin, sys.stdout, sys.stderr = streams


def _torch_setting(name: str, read: str, write: str) -> Aspect:
    """A setting of torch; its value is None while torch is not imported."""

    def reader() -> Any:
        torch = sys.modules.get("torch")
        return torch and getattr(torch, read)()

    def writer(value: Any) -> None:
        getattr(sys.modules["torch"], write)(value)

    return Aspect(name, reader, writer, slows=True)


def _signal_handler(number: signal.Signals) -> Aspect:
    return Aspect(
        f"the handler of {number.name}",
        lambda: signal.getsignal(number),
        lambda handler: signal.signal(number, handler),
    )


def _difference(was: Any, now: Any) -> str:
    if not isinstance(was, dict):
        return f" was {was!r} and is {now!r}"
    keys = [key for key in {**was, **now} if was.get(key) != now.get(key)]
    return ": " + ", ".join(f"{key} was {was.get(key)!r} and is {now.get(key)!r}" for key in keys)


ASPECTS = (
    Aspect("the current directory", os.getcwd, os.chdir),
    Aspect("the environment", lambda: dict(os.environ), _write_environment),
    Aspect("NumPy's error state", np.geterr, lambda state: np.seterr(**state)),
    _torch_setting("torch's thread count", "get_num_threads", "set_num_threads"),
    _torch_setting("torch's default dtype", "get_default_dtype", "set_default_dtype"),
    _torch_setting("torch's gradients", "is_grad_enabled", "set_grad_enabled"),
    *(
        _signal_handler(number)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGALRM, signal.SIGCHLD)
    ),
    Aspect("the umask", _read_umask, os.umask),
    Aspect("the recursion limit", sys.getrecursionlimit, sys.setrecursionlimit, forbidden=False),
    Aspect(
        "NumPy's print options",
        np.get_printoptions,
        lambda state: np.set_printoptions(**state),
        forbidden=False,
    ),
    Aspect("the module path", lambda: list(sys.path), _write_path, forbidden=False),
    Aspect("the warning filters", lambda: list(warnings.filters), _write_filters, forbidden=False),
    Aspect("the standard streams", _read_streams, _write_streams, forbidden=False),
)
