"""The code of the supervisor and the parents: fork on request, and report each fork's exit status.

The supervisor is a fresh interpreter that has loaded only the core. It forks parents. A parent
loads one plugin with its requirements, and forks a process for each call. The supervisor adopts
processes that lose their parent, and ends everything when the coordinator has ended.

Above the supervisor is a guard, which only waits. If the supervisor is killed, the guard adopts the
processes below it, ends them, and then ends itself. The two watch each other and the coordinator,
so everything ends even if one of the two is killed together with the coordinator.

The process of a call

- leads a session of its own, and adopts the orphans among its descendants, so that they all stay
  below it while it lives;
- has only the descriptors handed to it, at high numbers, so that code that closes or writes to
  "all" low descriptors does not touch them;
- dies with its parent.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import faulthandler
import fcntl
import gc
import importlib
import json
import os
import pickle
import select
import signal
import socket
import sys
import threading
import time
import traceback
import weakref
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NoReturn

from harness.processes import trees
from harness.processes.packing import Packing

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

INSIDE = "HARNESS_INSIDE"
"""Environment variable that is set in the supervisor and all processes below it. It stops a run
within a run, which starts when a model imports the user's script in place of a module of the same
name."""

HIGH = 900
"""The lowest number of a call's descriptors."""

LAST_WORDS = 1.0
"""Seconds that a call's exit functions may take, for example to remove temporary files."""

MESSAGE = 64 * 1024  # bytes of a message from a parent, at most
LINE = 16 * 1024 * 1024  # bytes of a message from a call, at most
POLL = 0.01  # seconds between checks, on systems that do not report the end of a process
REASON = 500  # characters kept of the reason why a parent failed to start
_SET_DEATH_SIGNAL, _SET_SUBREAPER = 1, 36  # options of prctl
FILES = 253  # descriptors that Linux accepts with a message
_LENGTH = 4  # bytes of the length that precedes each message


class Channel:
    """Messages with descriptors over a stream socket, in both directions."""

    def __init__(self, end: socket.socket) -> None:
        self.end = end

    def fileno(self) -> int:
        """Descriptor to wait for a message."""
        return self.end.fileno()

    def send(self, message: bytes, files: Sequence[int] = ()) -> None:
        """Send a message and copies of descriptors."""
        framed = len(message).to_bytes(_LENGTH, "little") + message
        sent = socket.send_fds(self.end, [framed], list(files)) if files else 0
        self.end.sendall(framed[sent:])

    def receive(self) -> tuple[bytes, list[int]]:
        """Wait for a message; raises EOFError if the other end is closed."""
        head, files, flags, _ = socket.recv_fds(self.end, _LENGTH, FILES)
        if flags & socket.MSG_CTRUNC:
            raise EOFError
        length = int.from_bytes(head + self._rest(_LENGTH - len(head), begun=bool(head)), "little")
        return self._rest(length, begun=True), files

    def _rest(self, n: int, *, begun: bool) -> bytes:
        parts = []
        while n or not begun:
            part = self.end.recv(n)
            if not part:
                raise EOFError
            parts.append(part)
            n -= len(part)
            begun = True
        return b"".join(parts)


@dataclass(frozen=True, slots=True)
class Inside:
    """The first argument of every call: what the parent has loaded, and ways to answer.

    Args:
        held: the value that the parent has loaded.
        files: descriptors that came with the call.
        say: sends a JSON value to the coordinator at once, while the call runs.
        lent: descriptors that the parent keeps open and that `borrow` opens.
        answer: the file of the answer, in which a call may make large arrays.
    """

    held: Any
    files: tuple[int, ...] = ()
    say: Callable[[Any], None] = lambda _: None
    lent: tuple[tuple[int, int], ...] = ()
    answer: Packing | None = None

    def borrow(self, index: int) -> int:
        """Open a descriptor that the parent lends; until then this process does not have it."""
        parent, file = self.lent[index]
        if sys.platform == "linux" and parent:
            return os.open(f"/proc/{parent}/fd/{file}", os.O_RDONLY)
        return os.dup(file)


@dataclass(slots=True)
class _ForkServer:
    """The state of a process that forks others: its channel, its loaded value and its forks."""

    channel: Channel
    held: Any = None
    forks: dict[int, tuple[int, list[int]]] = field(default_factory=dict)
    """By process id: a descriptor that reports its end, and the descriptors handed to it."""
    watched: tuple[int, ...] = ()
    """In the supervisor: descriptors that report the end of the coordinator and of the guard."""


def supervise(file: int, coordinator: int, modules: Sequence[str]) -> NoReturn:
    """Run the supervisor until the other end of its channel is closed.

    Args:
        file: descriptor of the supervisor's end of the channel.
        coordinator: id of the process that has started the supervisor.
        modules: modules of the harness to load for all processes below the supervisor.
    """
    if os.getppid() != coordinator:  # the coordinator died before it could be watched
        os._exit(1)
    watched = _guarded(file, os.pidfd_open(coordinator)) if _PROCESS_FILES else ()
    _prctl(_SET_SUBREAPER, 1)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    try:
        for name in filter(None, modules):
            importlib.import_module(name)
        gc.freeze()
        _serve(_ForkServer(Channel(socket.socket(fileno=file)), watched=watched), supervises=True)
    finally:
        _end_all()


def _guarded(file: int, coordinator: int) -> tuple[int, int]:
    """Fork the supervisor from this process, which becomes its guard; returns in the fork only.

    Args:
        file: descriptor of the channel's end, which the supervisor uses and the guard closes.
        coordinator: descriptor that reports the end of the coordinator.

    Returns:
        Descriptors that report the end of the coordinator and of the guard.
    """
    guard = os.pidfd_open(os.getpid())
    _prctl(_SET_SUBREAPER, 1)
    pid = os.fork()
    if pid == 0:
        return coordinator, guard
    try:
        os.close(file)
        signal.signal(signal.SIGTERM, lambda *_: sys.exit())
        supervisor = os.pidfd_open(pid)
        poll = select.poll()
        poll.register(supervisor, select.POLLIN)
        poll.register(coordinator, select.POLLIN)
        if [fd for fd, _ in poll.poll()] == [coordinator]:
            poll.unregister(coordinator)
            # The supervisor ends the processes below it by itself, unless somebody has stopped it.
            poll.poll(1000 * trees.PATIENCE / 2)
    finally:
        _end_all()


def _end_all() -> NoReturn:
    """End all processes below this one, and then this one."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    with contextlib.suppress(BaseException):
        trees.end(os.getpid(), itself=False)
    os._exit(0)


def _serve(server: _ForkServer, *, supervises: bool = False) -> None:
    """Fork on request, and report each fork's end, until the other end of the channel closes.

    A supervisor watches the coordinator as well, whose forks may keep the channel open.
    """
    poll = select.poll()
    poll.register(server.channel, select.POLLIN)
    for fd in server.watched:
        poll.register(fd, select.POLLIN)
    while True:
        events = poll.poll(None if _PROCESS_FILES or not server.forks else 1000 * POLL)
        if any(fd in server.watched for fd, _ in events):
            return
        if any(fd == server.channel.fileno() for fd, _ in events):
            try:
                message, files = server.channel.receive()
            except (EOFError, OSError):
                return
            _carry_out(server, poll, message, files)
        for pid in list(server.forks):
            if _PROCESS_FILES and server.forks[pid][0] not in [fd for fd, _ in events]:
                continue
            _reap(server, poll, pid)
        if supervises:
            _reap_orphans(server)


def _carry_out(server: _ForkServer, poll: Any, message: bytes, files: list[int]) -> None:
    """Carry out a request of the coordinator: an order to the supervisor, or a fork."""
    kind, number, *arguments = pickle.loads(message)  # noqa: S301  # from the coordinator
    if kind in _ORDERS:
        _ORDERS[kind](server, *arguments)
        server.channel.send(json.dumps(["done", number]).encode())
    else:
        _fork(server, poll, kind, files, number, *arguments)


def _fork(
    server: _ForkServer, poll: Any, kind: str, files: list[int], number: int, *given: Any
) -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):  # a plugin may have closed or removed the stream
            stream.flush()
    parent = os.getpid()
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            descriptors = [server.channel.fileno(), *(fd for fd, _ in server.forks.values())]
            descriptors += [fd for _, handed in server.forks.values() for fd in handed]
            descriptors += server.watched
            server.forks.clear()
            _begin(parent, descriptors)
            if kind == "call":
                status = _call(server.held, parent, files, *given)
            else:
                _grow(server.held, files, *given)
                status = 0
        except BaseException:  # noqa: BLE001  # after any error, this process ends here
            with contextlib.suppress(BaseException):
                traceback.print_exc()
        finally:
            os._exit(status)
    watch = os.pidfd_open(pid) if _PROCESS_FILES else -1
    server.forks[pid] = watch, files
    if watch >= 0:
        poll.register(watch, select.POLLIN)
    server.channel.send(json.dumps(["started", number, pid]).encode())


def _reap(server: _ForkServer, poll: Any, pid: int) -> None:
    try:
        ended, status = os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:  # other code has waited for the process
        ended, status = pid, 0
    if not ended:
        return
    watch, files = server.forks.pop(pid)
    if watch >= 0:
        poll.unregister(watch)
        os.close(watch)
    for fd in files:
        os.close(fd)
    code = os.waitstatus_to_exitcode(status)
    server.channel.send(json.dumps(["ended", pid, code]).encode())


def _begin(parent: int, descriptors: Sequence[int]) -> None:
    """Separate this fork from its parent: own session, no inherited descriptors, default signals.

    Args:
        parent: id of the parent.
        descriptors: the parent's own descriptors, which the fork closes.
    """
    os.setsid()
    _prctl(_SET_DEATH_SIGNAL, signal.SIGKILL)
    if os.getppid() != parent:  # the parent died before the death signal was set
        os._exit(1)
    _prctl(_SET_SUBREAPER, 1)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    for fd in descriptors:
        os.close(fd)


def _grow(held: Any, files: Sequence[int], function: Callable[..., Any], *given: Any) -> None:
    """Become a parent: load a value with ``function``, report success or failure, then serve.

    ``files`` are the parent's end of the channel and the file for its output.
    """
    _prctl(_SET_SUBREAPER, 0)  # the supervisor, not this parent, ends the orphans of its forks
    channel = Channel(socket.socket(fileno=files[0]))
    _redirect(files[1])
    os.close(files[1])
    try:
        held = function(held, *given)
    except BaseException as error:  # noqa: BLE001  # importing a plugin may raise anything
        channel.send(json.dumps(["broken", _in_words(error)]).encode())
        return
    gc.collect()
    gc.freeze()  # memory that the collector does not visit stays shared with forks
    _trim()
    channel.send(json.dumps(["ready"]).encode())
    _serve(_ForkServer(channel, held))


def _call(
    held: Any,
    parent: int,
    files: Sequence[int],
    n_lent: int,
    function: Callable[..., Any],
    *given: Any,
) -> int:
    """Make a call in this process, write its answer, and return the exit status.

    ``files`` are the answer, the output, the messages, then the call's own descriptors. The
    parent keeps the last ``n_lent`` of them open.
    """
    first = len(files) - n_lent
    can_lend = sys.platform == "linux"
    lent = tuple((parent if can_lend else 0, fd) for fd in files[first:])
    _redirect(files[1])
    answer, messages, *descriptors = (_high(fd) for fd in (files[0], *files[2:first]))
    for fd in files if can_lend else files[:first]:
        os.close(fd)
    # The exit functions that the parent has registered must not run in this process.
    atexit._clear()  # noqa: SLF001  # there is no other way
    getattr(weakref.finalize, "_registry", {}).clear()
    faulthandler.enable()
    me, lock = os.getpid(), threading.Lock()

    def say(value: Any) -> None:
        line = json.dumps(value).encode() + b"\n"
        if os.getpid() == me and len(line) < LINE:  # not in a fork of this process
            with lock:
                os.write(messages, line)

    packing = Packing(answer)
    value, arrays = function(Inside(held, tuple(descriptors), say, lent, packing), *given)
    if os.getpid() != me:
        os._exit(0)  # this is a fork that the call made and that returned here; ignore its answer
    for name, array in arrays.items():
        packing.put(name, array)
    packing.finish(value)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, LAST_WORDS)
    with contextlib.suppress(BaseException):
        sys.stdout.flush()
    with contextlib.suppress(BaseException):
        atexit._run_exitfuncs()  # noqa: SLF001  # as Python does at its end
    return 0


def _end(_server: _ForkServer, pid: int) -> None:
    if _is_below(pid):
        trees.end(pid)


def _terminate(_server: _ForkServer, pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if _is_below(pid):
            os.killpg(pid, signal.SIGTERM)


def _sweep(server: _ForkServer) -> None:
    """End the orphans: the children of this process that it did not fork."""
    until = time.monotonic() + trees.PATIENCE
    while time.monotonic() < until:
        strays = [pid for pid in trees.below(os.getpid()) if pid not in server.forks]
        if not strays:
            return
        for pid in strays:  # they may start new processes, so the outer loop looks again
            trees.end(pid)


_ORDERS: Mapping[str, Callable[..., None]] = {
    "end": _end,
    "terminate": _terminate,
    "sweep": _sweep,
}
"""All requests of the coordinator to the supervisor except forks."""


def _reap_orphans(server: _ForkServer) -> None:
    """Collect the exit statuses of adopted processes that have ended."""
    with contextlib.suppress(ChildProcessError):
        while info := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            if info.si_pid in server.forks:
                return
            os.waitpid(info.si_pid, os.WNOHANG)


def _is_below(pid: int) -> bool:
    return pid in trees.descendants(os.getpid())


def _redirect(output: int) -> None:
    """Connect stdin to nothing, and stdout and stderr to a file that survives a crash.

    The descriptors themselves are redirected, so that output of C code arrives there as well.
    """
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    for stream in (1, 2):
        os.dup2(output, stream)


def _high(fd: int) -> int:
    soft = os.sysconf("SC_OPEN_MAX")
    return fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, max(3, min(HIGH, soft - 100)))


def _in_words(error: BaseException) -> str:
    from harness.errors import HarnessError, describe

    return (str(error) if isinstance(error, HarnessError) else describe(error))[:REASON]


def _process_files() -> bool:
    try:
        os.close(os.pidfd_open(os.getpid()))
    except (AttributeError, OSError):
        return False
    return True


_PROCESS_FILES = _process_files()
"""Whether the system reports the end of a process through a descriptor: Linux 5.3 and later."""


def _trim() -> None:
    """Return free memory to the system.

    Otherwise a fork takes what its parent has freed, and its own memory seems smaller than it is.
    """
    with contextlib.suppress(AttributeError):  # another C library than glibc
        if _LIBRARY is not None:
            _LIBRARY.malloc_trim(0)


def _prctl(option: int, value: int) -> None:
    if _LIBRARY is not None:
        _LIBRARY.prctl(option, value, 0, 0, 0)


_LIBRARY = ctypes.CDLL(None) if sys.platform == "linux" else None
