"""What a trial can change in its process and the next one would notice."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import threadpoolctl

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class ProcessState:
    """The state of a process at one moment, to be put back after strangers' code ran in it."""

    folder: str
    environment: Mapping[str, str]
    error_state: Mapping[str, Any]
    print_options: Mapping[str, Any]
    path: tuple[str, ...]
    warning_filters: tuple[Any, ...]
    streams: tuple[Any, ...]
    signals: Mapping[int, Any]
    recursion_limit: int
    threads: frozenset[threading.Thread]

    @classmethod
    def now(cls) -> ProcessState:
        """The state at this moment, after threads were set to one."""
        _one_thread()
        return cls(
            folder=os.getcwd(),  # noqa: PTH109  # text is what chdir gives back
            environment=dict(os.environ),
            error_state=np.geterr(),
            print_options=np.get_printoptions(),
            path=tuple(sys.path),
            warning_filters=tuple(warnings.filters),
            streams=(sys.stdin, sys.stdout, sys.stderr),
            signals={number: signal.getsignal(number) for number in _signals()},
            recursion_limit=sys.getrecursionlimit(),
            threads=frozenset(threading.enumerate()),
        )

    def restore(self) -> bool:
        """Put everything back; False where something is left over that cannot be put back."""
        os.chdir(self.folder)
        if dict(os.environ) != self.environment:
            os.environ.clear()
            os.environ.update(self.environment)
        np.seterr(**self.error_state)
        np.set_printoptions(**self.print_options)
        sys.path[:] = self.path
        warnings.filters[:] = self.warning_filters  # type: ignore[index]  # it is a list
        sys.stdin, sys.stdout, sys.stderr = self.streams
        for number, handler in self.signals.items():
            if signal.getsignal(number) is not handler:
                signal.signal(number, handler)
        sys.setrecursionlimit(self.recursion_limit)
        _plain_torch()
        left = set(threading.enumerate()) - self.threads
        return not left and not _has_children()


def _one_thread() -> None:
    """One thread for BLAS, OpenMP and torch; a library loaded meanwhile may have more."""
    threadpoolctl.threadpool_limits(1)
    if "torch" in sys.modules:
        torch = sys.modules["torch"]
        if torch.get_num_threads() != 1:
            torch.set_num_threads(1)


def _plain_torch() -> None:
    """Torch's global switches as they are at import."""
    if "torch" not in sys.modules:
        return
    torch = sys.modules["torch"]
    torch.set_default_dtype(torch.float32)
    torch.set_grad_enabled(True)
    torch.use_deterministic_algorithms(False)


def _signals() -> list[int]:
    settable = signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}
    return [number for number in settable if signal.getsignal(number) is not None]


def _has_children() -> bool:
    with contextlib.suppress(ChildProcessError):
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        return True
    return False
