"""A call in a process of its own: time limit, memory limit, crash become a failure.

A `Worker` is a forked process that makes calls one after another until something goes wrong in it.
It leads a process group, so that ending it ends whatever its calls started.

Multiprocessing is used directly rather than through a pool: what ends a trial must be known for
certain, also when the process ends with status 0, and the whole group must end with it.
"""

from __future__ import annotations

import contextlib
import faulthandler
import fcntl
import multiprocessing
import os
import random
import select
import signal
import sys
import tempfile
import threading
import time
import types
from dataclasses import dataclass
from functools import partial
from multiprocessing import connection
from multiprocessing.context import (
    ForkServerContext,
    ForkServerProcess,
    SpawnContext,
    SpawnProcess,
)
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from harness import preload, process_state
from harness.errors import UsageError
from harness.registry import describe
from harness.values import Failure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from multiprocessing.connection import Connection

GRACE = 2.0  # seconds between TERM and KILL
START_LIMIT = 120.0  # seconds until a worker must be ready; a plugin's import may be slow
OUTPUT_TAIL = 4_000  # characters of a trial's output that are kept
OUTPUT_LIMIT = 64 * 1024 * 1024  # bytes on disk, before what was printed is thrown away
MEMORY_EVERY = 0.2  # seconds between looks at a worker's memory

THREADS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
)
"""Variables that settle how many threads libraries use. A trial has one: sums come out the same bit
for bit whatever the number of jobs."""

_start_lock = threading.Lock()


@dataclass(frozen=True, slots=True)
class Limits:
    """What a call may use.

    Args:
        seconds: wall clock, from the beginning of the call or its last note; None for no limit.
        memory: resident bytes of the worker and all its children; None for no limit.
    """

    seconds: float | None = None
    memory: int | None = None


class Worker:
    """A process that makes calls one after another, until something goes wrong in it.

    Args:
        initialize: called once in the process with ``initargs``; what it returns is the first
            argument of every call.
        initargs: must be picklable.
        threads: that libraries may use.
        forked: from a process that has imported what is needed, which takes no time. Otherwise
            Python is started anew, with another seed of its hashes and another layout of memory:
            timings that are meant to differ as processes do need that.

    Raises:
        UsageError: this process is itself part of a run.
    """

    def __init__(
        self,
        initialize: Callable[..., Any],
        initargs: Sequence[Any] = (),
        *,
        threads: int = 1,
        forked: bool = True,
    ) -> None:
        if os.environ.get(preload.INSIDE):
            raise UsageError(
                "a run cannot be started by what a run has loaded: put the script's last lines "
                "under `if __name__ == '__main__':`, and name it as no module is named"
            )
        self._output = tempfile.TemporaryFile()  # noqa: SIM115  # open as long as the worker
        fcntl.fcntl(self._output, fcntl.F_SETFL, os.O_APPEND)
        self._connection, theirs = multiprocessing.Pipe()
        # Multiprocessing hands descriptors over as connections.
        paper = connection.Connection(os.dup(self._output.fileno()))
        context: _Forked | _Anew = _Forked() if forked else _Anew()
        self._process = context.Process(
            target=_serve, args=(theirs, paper, initialize, tuple(initargs), threads), daemon=False
        )
        variables = dict.fromkeys(THREADS, str(threads)) | {preload.INSIDE: "1"}
        seed = "0" if forked else str(random.randrange(1, 2**32))  # noqa: S311  # no secret
        with _start_lock, _environment(variables | {"PYTHONHASHSEED": seed}), _no_main():
            self._process.start()
        theirs.close()
        paper.close()
        self._ready = False
        self._started = time.monotonic()
        #: Until it was ready for its first call.
        self.start_seconds = 0.0
        self._calls = 0
        #: What the call under way, or the last one, noted last.
        self.noted: Any = None
        self._listen: Callable[[Any], None] | None = None
        self._soiled = False
        self._limits = Limits()
        self._deadline: float | None = time.monotonic() + START_LIMIT
        self._next_look = 0.0
        self._fate: Failure | None = None
        self._kill_at: float | None = None

    @property
    def fresh(self) -> bool:
        """Whether the call under way is the first in this process."""
        return self._calls <= 1

    @property
    def usable(self) -> bool:
        """Whether another call may be made here: nothing has gone wrong yet."""
        return not self._soiled and self._fate is None and self._process.is_alive()

    @property
    def waitables(self) -> tuple[Any, Any]:
        """What `multiprocessing.connection.wait` can wait for: an answer, or the end."""
        return self._connection, self._process.sentinel

    def call(
        self,
        function: Callable[..., Any],
        *args: Any,
        limits: Limits | None = None,
        notes: bool = False,
        listen: Callable[[Any], None] | None = None,
    ) -> None:
        """Begin ``function(initialized, *args)`` there; `poll` tells when it has ended.

        With ``notes`` it is ``function(initialized, note, *args)``: what ``note`` is called with
        comes to stand in `noted`, so that the one to blame is known, and its limit begins anew.

        With ``listen`` it is ``function(initialized, say, *args)``: what ``say`` is called with is
        passed on to ``listen`` by `poll`, unless that would keep the call waiting.
        """
        self._limits = limits or Limits()
        self.noted = None
        self._listen = listen
        self._calls += 1
        if self._ready:
            self._begin_clock()
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            # Where the worker has just died, poll finds it.
            kind = "note" if notes else "news" if listen else ""
            self._connection.send((function, args, kind))

    def poll(self) -> tuple[Any, Failure | None] | None:
        """What came of the call: a value, or a failure; None while it goes on."""
        while self._fate is None and self._connection.poll():
            try:
                kind, value, soiled = self._connection.recv()
            except (EOFError, ConnectionResetError):
                break
            except Exception as error:  # noqa: BLE001  # a stranger's value can fail to unpickle
                self._soiled = True
                return None, Failure("exception", f"its result cannot be read: {describe(error)}")
            if kind == "ready":
                self._ready = True
                self.start_seconds = time.monotonic() - self._started
                self._begin_clock()
                continue
            if kind == "note":
                self.noted = value
                self._begin_clock()
                continue
            if kind == "news":
                if self._listen:
                    self._listen(value)
                continue
            self._soiled = soiled
            if kind == "unusable":
                self._soiled = True
                return None, Failure("exit", value)
            if kind == "broken":
                return None, Failure("exception", value, output=self.output())
            return value, None
        if not self._process.is_alive():
            return None, self._post_mortem()
        self._enforce(time.monotonic())
        return None

    def output(self) -> str:
        """The end of what the call printed."""
        end = os.fstat(self._output.fileno()).st_size
        start = max(0, end - 4 * OUTPUT_TAIL)
        tail = os.pread(self._output.fileno(), end - start, start)
        return tail.decode(errors="replace")[-OUTPUT_TAIL:]

    def end(self) -> None:
        """Kill the process and everything that it started."""
        children = _descendants(self._process.pid)
        self._signal(signal.SIGKILL)
        for child in children:  # that left the group for one of their own
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()
        self._process.join()
        self._process.close()
        self._connection.close()
        self._output.close()

    def _begin_clock(self) -> None:
        seconds = self._limits.seconds
        self._deadline = None if seconds is None else time.monotonic() + seconds
        self._next_look = 0.0

    def _enforce(self, now: float) -> None:
        if self._kill_at is not None:
            if now >= self._kill_at:
                self._signal(signal.SIGKILL)
            return
        if self._deadline is not None and now >= self._deadline:
            reason = (
                f"did not end within {self._limits.seconds:g} s"
                if self._ready
                else f"its process was not ready within {START_LIMIT:g} s"
            )
            self._stop(now, Failure("timeout", reason))
        elif now >= self._next_look:
            self._next_look = now + MEMORY_EVERY
            if os.fstat(self._output.fileno()).st_size > OUTPUT_LIMIT:
                os.ftruncate(self._output.fileno(), 0)
            limit = self._limits.memory
            if limit is not None and (used := resident(self._process.pid)) > limit:
                self._stop(
                    now,
                    Failure(
                        "memory",
                        f"used {used / 2**20:,.0f} MiB of memory where {limit / 2**20:,.0f} "
                        "were allowed",
                    ),
                    gently=False,
                )

    def _stop(self, now: float, fate: Failure, *, gently: bool = True) -> None:
        self._fate = fate
        self._signal(signal.SIGTERM if gently else signal.SIGKILL)
        self._kill_at = now + GRACE

    def _signal(self, number: signal.Signals) -> None:
        pid = self._process.pid
        if pid is None:
            return
        # Until it is ready the process may not lead a group yet.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, number)
            return
        if self._process.is_alive():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def _post_mortem(self) -> Failure:
        self._signal(signal.SIGKILL)  # what the dead process left behind
        self._process.join()
        output = self.output()
        if self._fate is not None:
            return Failure(self._fate.kind, self._fate.reason, output=output)
        code = self._process.exitcode
        if code is not None and code < 0:
            return Failure("signal", f"died of {_signal_name(-code)}", _stack(output), output)
        return Failure("exit", f"left its process with exit status {code}", output=output)


def resident(pid: int | None) -> int:
    """Resident bytes of a process and all its children; 0 when it is gone."""
    total = 0
    for member in _descendants(pid, itself=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            total += member.memory_info().rss
    return total


def _descendants(pid: int | None, *, itself: bool = False) -> list[psutil.Process]:
    try:
        process = psutil.Process(pid)
        return [*([process] if itself else []), *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def wait(workers: Iterable[Worker], seconds: float) -> None:
    """Return when one of the workers has something to tell, or after a while."""
    waitables = [waitable for worker in workers for waitable in worker.waitables]
    connection.wait(waitables, seconds)


def warm_up(packages: Iterable[str]) -> None:
    """Settle what the workers' common parent imports; has an effect before the first worker."""
    names = ["harness.trial", *packages]
    os.environ[preload.VARIABLE] = ",".join(dict.fromkeys(names))
    multiprocessing.get_context("forkserver").set_forkserver_preload(["harness.preload"])


class _Forked(ForkServerContext):
    """Where workers are forks of a common parent."""

    Process = ForkServerProcess


class _Anew(SpawnContext):
    """Where Python is started for each worker."""

    Process = SpawnProcess


@contextlib.contextmanager
def _no_main() -> Iterator[None]:
    """Keep a process that starts from importing its parent's main script again.

    Multiprocessing does so for the sake of functions defined there, which no call here is; a script
    without ``if __name__ == "__main__":`` would start itself over and over.
    """
    main = sys.modules["__main__"]
    sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


@contextlib.contextmanager
def _environment(changes: dict[str, str]) -> Iterator[None]:
    """Variables that the fork server, and so every worker, starts with."""
    before = {name: os.environ.get(name) for name in changes}
    os.environ.update(changes)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _serve(
    theirs: Connection,
    paper: Connection,
    initialize: Callable[..., Any],
    initargs: Any,
    n_threads: int,
) -> None:
    """The life of a worker: make calls until the other end of the pipe closes."""
    os.setsid()
    leader = os.getpid()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _redirect_output(paper)
    faulthandler.enable()
    threading.Thread(target=_die_with_parent, daemon=True).start()
    try:
        initialized = initialize(*initargs)
    except BaseException as error:  # noqa: BLE001  # plugins are imported here
        theirs.send(("unusable", describe(error), True))
        return
    theirs.send(("ready", None, False))
    while True:
        try:
            function, args, kind = theirs.recv()
        except EOFError:
            return
        _empty_output()
        process_state.set_threads(n_threads)
        state, threads = process_state.read(), set(threading.enumerate())
        voice = _Voice(theirs, patient=kind == "note")
        if kind:
            args = (partial(voice.say, kind), *args)
        try:
            answer = ("done", function(initialized, *args))
            ForkingPickler.dumps(answer)
        except BaseException as error:  # noqa: BLE001  # whatever a stranger raises is the answer
            answer = ("broken", describe(error))
        if os.getpid() != leader:
            os._exit(0)  # a fork that the call made has come back here; its answer is not ours
        voice.end()
        process_state.restore(state)
        soiled = process_state.left_over(threads)
        with contextlib.suppress(Exception):
            sys.stdout.flush()
        theirs.send((*answer, soiled))


class _Voice:
    """What a call says before its answer, in one piece and in the process that it was made in.

    Args:
        theirs: the worker's end of the pipe.
        patient: waits for room in the pipe; otherwise what finds none is lost.
    """

    def __init__(self, theirs: Connection, *, patient: bool) -> None:
        self._theirs = theirs
        self._patient = patient
        self._pid = os.getpid()
        self._lock = threading.Lock()  # a call may speak from several threads
        self._ended = False

    def say(self, kind: str, value: Any) -> None:
        """Send it, unless the call has ended or this is a fork of its process."""
        if os.getpid() != self._pid:  # before the lock, which may be held for ever in a fork
            return
        with self._lock:
            if not self._ended and (self._patient or _has_room(self._theirs)):
                self._theirs.send((kind, value, False))

    def end(self) -> None:
        """From here on the pipe is the answer's."""
        with self._lock:
            self._ended = True


def _has_room(pipe: Connection) -> bool:
    """Whether a short message can be sent at once.

    A socket counts as writable while there is room for 2 KiB (macOS) or most of its buffer (Linux).
    """
    poll = select.poll()
    poll.register(pipe, select.POLLOUT)
    return bool(poll.poll(0))


def _redirect_output(paper: Connection) -> None:
    """Send what is printed, by Python or below it, to a file that outlives a crash."""
    with Path(os.devnull).open("rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    for stream in (1, 2):
        os.dup2(paper.fileno(), stream)
    paper.close()


def _empty_output() -> None:
    os.ftruncate(1, 0)


def _die_with_parent() -> None:
    """End this process group when the coordinator ends, however that comes about."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return
    sentinel = parent.sentinel
    if sys.platform == "linux":
        # The kernel does it even while a call holds the interpreter's lock for ever.
        fcntl.fcntl(sentinel, fcntl.F_SETOWN, -os.getpid())
        fcntl.fcntl(sentinel, fcntl.F_SETSIG, signal.SIGKILL)
        flags = fcntl.fcntl(sentinel, fcntl.F_GETFL)
        fcntl.fcntl(sentinel, fcntl.F_SETFL, flags | os.O_ASYNC)
    connection.wait([sentinel])
    os.killpg(os.getpid(), signal.SIGKILL)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _stack(output: str) -> str:
    """The stack that faulthandler printed, if it did."""
    _, mark, stack = output.partition("Fatal Python error")
    return mark + stack
