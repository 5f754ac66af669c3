"""The coordinator's side: starts processes, makes calls in them, and enforces their limits."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pickle
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
import weakref
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal, Protocol

import psutil

from harness.contract.values import Failure
from harness.errors import UsageError
from harness.processes import trees
from harness.processes.packing import PackingError, is_complete, unpack
from harness.processes.serving import INSIDE, LINE, MESSAGE, Channel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

GRACE = 2.0  # seconds between TERM and KILL
START_LIMIT = 60.0  # seconds that a parent may take to load its plugin
CLOSE_LIMIT = 10.0  # seconds that a supervisor may take to end all processes below it
ASK_LIMIT = 60.0  # seconds that the supervisor may take to carry out a request
KILLED_LIMIT = 10.0  # seconds that a parent may take to report the end of a killed call
OUTPUT_TAIL = 4_000  # characters kept from the end of a call's output
OUTPUT_LIMIT = 64 * 1024 * 1024  # bytes of output on disk; more than this is thrown away
MEMORY_SHARE = 0.8  # share of the machine's memory that importing a plugin may use
MEMORY_EVERY = 0.2  # seconds between two checks of a call's memory

THREADS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
)
"""Environment variables that set the number of threads of numerical libraries. A trial has one
thread, so that its sums are the same, bit for bit, for any number of jobs."""

SUPERVISOR = (
    "import sys; file, coordinator, modules, *sys.path = sys.argv[1:]; "
    "from harness.processes.serving import supervise; "
    "supervise(int(file), int(coordinator), modules.split(','))"
)
"""Code for `python -c` rather than `python -m`: process pools that a model starts import the main
module again."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits on a call's time and memory.

    Args:
        seconds: wall-clock time from the beginning of the call; None for no limit.
        memory: resident bytes of the call's process and all processes below it; None for no limit.
    """

    seconds: float | None = None
    memory: int | None = None


class Processes:
    """A supervisor and the parents below it; they live until `close` or the end of this process.

    Args:
        modules: modules of the harness that all these processes load.
        threads: number of threads that libraries may use in each process.
        hash_seed: seed of Python's hashes; with the same seed, sets have the same order.

    Raises:
        UsageError: this process is itself part of a run.
    """

    def __init__(
        self, modules: Sequence[str] = (), *, threads: int = 1, hash_seed: int = 0
    ) -> None:
        if os.environ.get(INSIDE):
            raise UsageError(
                "a run has imported this script, and a run cannot start another run: put the lines "
                "that start it under `if __name__ == '__main__':`, and give the script a name that "
                "no module has"
            )
        self._modules = tuple(modules)
        self._variables = dict.fromkeys(THREADS, str(threads)) | {
            INSIDE: "1",
            # Otherwise a plugin that asks PyTorch about CUDA at import makes CUDA fail in forks.
            "PYTORCH_NVML_BASED_CUDA_CHECK": "1",
            "PYTHONHASHSEED": str(hash_seed),
        }
        self._parents: dict[object, Parent] = {}
        self._begin()

    def _begin(self) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            path = [entry for entry in sys.path if isinstance(entry, str)]
            arguments = [str(theirs.fileno()), str(os.getpid()), ",".join(self._modules), *path]
            self._process = subprocess.Popen(  # noqa: S603  # ourselves
                [sys.executable, "-c", SUPERVISOR, *arguments],
                env=os.environ | self._variables,
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        #: The supervisor itself: calls in its forks have only the core loaded.
        self.root = Parent(self, ours, pid=self._process.pid)
        #: Sockets and files that `close` closes.
        self.open: list[socket.socket | IO[bytes]] = [ours]
        self._finalizer = weakref.finalize(self, _close, self.open, self._process, os.getpid())

    @property
    def pid(self) -> int:
        """Id of the topmost process: on Linux the supervisor's guard, else the supervisor."""
        return self._process.pid

    def parent(
        self,
        key: object,
        function: Callable[..., Any],
        *given: Any,
        limit: float = START_LIMIT,
    ) -> Parent:
        """The parent that has called ``function(None, *given)``, one per key; starts it if new."""
        return self.grown(key, self.root, function, *given, limit=limit)

    def grown(
        self,
        key: object,
        origin: Parent,
        function: Callable[..., Any],
        *given: Any,
        limit: float = START_LIMIT,
    ) -> Parent:
        """A fork of the parent ``origin`` that has also called ``function(held, *given)``.

        That call must return within ``limit`` seconds.
        """
        parent = self._parents.get(key)
        if parent is None or (parent.is_dead and not parent.never_started):
            parent = self._parents[key] = Parent(
                self, None, origin, (function, *given), limit=limit
            )
        return parent

    def renew(self) -> None:
        """Start a new supervisor if the last one is dead."""
        self.root.pump()  # what it forked may have told of its death before its own channel did
        if self.root.is_dead:
            self._finalizer()
            self._parents.clear()
            self._begin()

    def end(self, pid: int) -> None:
        """End a process below the supervisor, and all processes below that process."""
        self.root.ask("end", pid)

    def terminate(self, pid: int) -> None:
        """Send SIGTERM to the process group of a process below the supervisor."""
        self.root.ask("terminate", pid)

    def sweep(self) -> None:
        """End the processes that have lost their parent.

        The supervisor adopts these orphans. It gets a request only if it has children that it did
        not fork.
        """
        supervisors = trees.children(self.pid) or [self.pid]
        adopted = {pid for supervisor in supervisors for pid in trees.children(supervisor)}
        if not trees.TELLS_CHILDREN or not self.root.has_forked(adopted):
            self.root.ask("sweep")

    def let_go(self) -> None:
        """Let the supervisor and all processes below it end, without waiting; `close` waits."""
        self.root.hang_up()

    def close(self) -> None:
        """End the supervisor and all processes below it."""
        self._finalizer()


def _shut(channel: socket.socket) -> None:
    """Shut a channel down, which reaches its other end although forks may also have it open."""
    with contextlib.suppress(OSError):
        channel.shutdown(socket.SHUT_RDWR)


def _close(
    channels: list[socket.socket | IO[bytes]], process: subprocess.Popen[bytes], owner: int
) -> None:
    if os.getpid() != owner:  # a fork of the coordinator has ended, not the coordinator
        return
    for channel in channels:
        if isinstance(channel, socket.socket):
            _shut(channel)
        channel.close()
    # Quicker than `Popen.wait` alone, which only looks again and again.
    limit = CLOSE_LIMIT  # the supervisor first ends everything below it
    with contextlib.suppress(AttributeError, OSError), os.fdopen(os.pidfd_open(process.pid)) as end:
        wait([end], limit)
        limit = 0.1
    try:
        process.wait(limit)
    except subprocess.TimeoutExpired:
        trees.end(process.pid)
        process.wait()


class Parent:
    """A process that has loaded a plugin and makes calls in forks of itself.

    Args:
        processes: the `Processes` that it belongs to.
        end: the coordinator's end of its channel; None if the parent is not yet forked.
        origin: the parent that it is forked from.
        grow: the function that loads the plugin, and its arguments.
        pid: id of the process, if it runs already: the supervisor's.
        limit: seconds that loading the plugin may take.
    """

    def __init__(
        self,
        processes: Processes,
        end: socket.socket | None,
        origin: Parent | None = None,
        grow: tuple[Any, ...] = (),
        pid: int = 0,
        limit: float = START_LIMIT,
    ) -> None:
        self.processes = processes
        self.fault: Failure | None = None
        self._origin, self._grow = origin, grow
        self._end = end
        self._state: Literal["asked", "starting", "ending", "ready"] = "ready" if end else "asked"
        self._pid = pid
        self._limit = limit
        self._deadline = 0.0
        self._next_look = 0.0
        self._buffer = bytearray()
        self._numbers = 0
        self._begun: dict[int, Call | Parent] = {}
        self._running: dict[int, Call | Parent] = {}
        self._done = 0
        self._is_lost = False
        self._printed: IO[bytes] | None = None
        if end:
            end.setblocking(False)

    @property
    def is_dead(self) -> bool:
        """Whether it takes no more requests."""
        return self.fault is not None

    @property
    def never_started(self) -> bool:
        """Whether it failed to load its plugin, so that another attempt would fail as well."""
        return self.fault is not None and self._state != "ready" and not self._is_lost

    @property
    def is_ready(self) -> bool:
        """Whether it has loaded its plugin."""
        return self._state == "ready" and self.fault is None

    def output(self) -> str:
        """The end of the output that it printed while it loaded its plugin."""
        return self.fault.output if self.fault else _tail(self._printed)

    def fileno(self) -> int:
        """Descriptor to wait for: its own channel's, or that of the parent it is forked from."""
        if self._end is not None and self.fault is None and self._state != "ending":
            return self._end.fileno()
        return self._origin.fileno() if self._origin and not self._origin.is_dead else -1

    def call(
        self,
        function: Callable[..., Any],
        *given: Any,
        files: Sequence[int] = (),
        lent: Sequence[int] = (),
        limits: Limits | None = None,
        listen: Callable[[Any], None] | None = None,
        kept: bool = False,
        measured: bool = False,
    ) -> Call:
        """Begin ``function(inside, *given)`` in a fork; it returns a JSON value and arrays.

        Args:
            function: a function of one of the harness's modules.
            given: its arguments, which must be picklable.
            files: descriptors that the call gets.
            lent: descriptors that the call can borrow.
            limits: the call's limits.
            listen: called with each message that the call sends while it runs.
            kept: whether the answer is kept after the call is closed.
            measured: whether to measure the memory of processes that the call starts.
        """
        how = limits or Limits(), listen
        return Call(self, (function, *given), files, lent, *how, kept=kept, measured=measured)

    def ask(self, kind: str, *given: Any) -> None:
        """Send the supervisor a request, and wait until it has carried it out."""
        number = self.tell(kind, self._numbers + 1, *given)
        until = time.monotonic() + ASK_LIMIT
        while self._done < number and self.fault is None:
            wait([self], 1.0)
            self.pump()
            if time.monotonic() > until:
                trees.end(self._pid)
                self._lose()

    def tell(self, kind: str, *given: Any, files: Sequence[int] = ()) -> int:
        """Send a request, and return its number."""
        self._numbers += 1
        if self._end is not None and self.fault is None:
            try:
                self._end.settimeout(ASK_LIMIT)
                Channel(self._end).send(pickle.dumps((kind, *given)), files)
                self._end.setblocking(False)
            except OSError:
                self._lose()
        return self._numbers

    def fork(self, kind: str, owner: Call | Parent, *given: Any, files: Sequence[int]) -> None:
        """Request a fork for a call or for another parent."""
        self._begun[self._numbers + 1] = owner
        self.tell(kind, self._numbers + 1, *given, files=files)

    def pump(self) -> None:
        """Read the messages of the process, and start it or enforce its limits if it is due."""
        if self.fault is not None:
            return
        if self._state == "asked":
            self._ask_for()
        if self._end is not None and self._state != "ending":
            self._read()
        if self._origin is not None and self._state in ("starting", "ending"):
            self._origin.pump()  # the origin reports the end of this process
        if self._state == "starting" and time.monotonic() > self._deadline:
            self.give_up("timeout", f"did not start within {self._limit:g} s")
        elif self._state == "starting" and self._pid and time.monotonic() >= self._next_look:
            self._next_look = time.monotonic() + MEMORY_EVERY
            _cut(self._printed)
            if excess := _excess(self._pid, _most_memory()):
                self.give_up("memory", excess)
        elif self._state == "ending" and time.monotonic() > self._deadline:
            self._lose()

    def began(self, pid: int) -> None:
        """Take note that this process has been forked."""
        self._pid = pid

    def has_forked(self, pids: Iterable[int]) -> bool:
        """Whether all these processes are running forks of this process."""
        return self._running.keys() >= set(pids)

    def ended(self, status: int) -> None:
        """Take note that this process has ended, for which the code that it loaded is to blame."""
        if self._state != "ending":
            self._read()
        if self.fault is None:
            how = f"died of {signal_name(-status)}" if status < 0 else f"ended with status {status}"
            self.give_up("signal" if status < 0 else "exit", how)

    def _ask_for(self) -> None:
        origin = self._origin
        assert origin is not None
        origin.pump()
        if origin.fault is not None:
            self.fault, self._is_lost = origin.fault, not origin.never_started
        elif origin.is_ready:
            ours, theirs = socket.socketpair()
            self._printed = tempfile.TemporaryFile()  # noqa: SIM115  # as long as this lives
            _append(self._printed)
            # Before the fork: if the origin turns out to be dead, `give_up` closes both.
            self._end = ours
            self.processes.open += [ours, self._printed]
            ours.setblocking(False)
            self._state, self._deadline = "starting", time.monotonic() + self._limit
            with theirs:
                origin.fork(
                    "grow", self, *self._grow, files=[theirs.fileno(), self._printed.fileno()]
                )

    def _read(self) -> None:
        assert self._end is not None
        over = False
        while self.fault is None and not over:
            try:
                part = self._end.recv(MESSAGE)
            except BlockingIOError:
                break
            except OSError:
                part = b""
            over = not part
            self._buffer += part
        while self.fault is None and len(self._buffer) >= 4:
            length = int.from_bytes(self._buffer[:4], "little")
            if length > MESSAGE:
                self.give_up("exit", "sent an invalid message")
                return
            if len(self._buffer) < 4 + length:
                break
            message = bytes(self._buffer[4 : 4 + length])
            del self._buffer[: 4 + length]
            try:
                self._take(*json.loads(message))
            except (ValueError, TypeError, LookupError, ArithmeticError, RecursionError):
                self.give_up("exit", "sent an invalid message")
        if over and self._state == "starting" and self._origin and not self._origin.is_dead:
            self._state = "ending"  # the origin will report the exit status
            self._deadline = min(self._deadline, time.monotonic() + GRACE)
        elif over:
            self._lose()

    def _take(self, kind: str, *content: Any) -> None:
        if kind == "ready" and self._state == "starting":
            self._state = "ready"
        elif kind == "broken":
            self.give_up("exception", str(content[0])[:500])
        elif kind == "done":
            self._done = int(content[0])
        elif kind == "started":
            number, pid = map(int, content)
            if (owner := self._begun.pop(number, None)) is not None:
                self._running[pid] = owner
                owner.began(pid)
        elif kind == "ended":
            pid, status = map(int, content)
            if (owner := self._running.pop(pid, None)) is not None:
                owner.ended(status)

    def _lose(self) -> None:
        self.give_up("exit", "lost its process")

    def give_up(self, kind: str, reason: str) -> None:
        """Declare this process dead, end it, and tell the calls and parents forked from it."""
        if self.fault is not None:
            return
        self.fault = Failure(kind, reason, output=_tail(self._printed))
        for file in (self._end, self._printed):
            if file is not None:
                file.close()
                with contextlib.suppress(ValueError):  # `close` may have taken it already
                    self.processes.open.remove(file)
        self._printed = None
        if self is not self.processes.root and self._pid:
            self.processes.end(self._pid)
        for owner in (*self._begun.values(), *self._running.values()):
            owner.lost()
        self._begun.clear()
        self._running.clear()

    def hang_up(self) -> None:
        """Let the process end, with all that it has forked."""
        if self._end is not None and self.fault is None:
            _shut(self._end)
        self.lost()

    def lost(self) -> None:
        """Take note that the origin is dead; this process died with it."""
        self._is_lost = True
        self._lose()


class Call:
    """A call that is running or has ended; `poll` tells which."""

    def __init__(
        self,
        parent: Parent,
        request: tuple[Any, ...],
        files: Sequence[int],
        lent: Sequence[int],
        limits: Limits,
        listen: Callable[[Any], None] | None,
        *,
        kept: bool,
        measured: bool = False,
    ) -> None:
        self.parent = parent
        #: The most bytes of its process and all below it, measured while there were any below it;
        #: `trees.private_memory` tells what counts.
        self.most_memory = 0
        self._measured = measured
        #: Whether the call was lost because its parent died.
        self.is_orphan = False
        self.has_begun = False
        #: Seconds from the request to the beginning of the call.
        self.start_seconds = 0.0
        self._made = time.monotonic()
        self._request = len(lent), *request
        self._given = tuple(map(os.dup, (*files, *lent)))
        self._limits, self._listen = limits, listen
        # The file lives as long as the call. An answer that is kept may be large, so it is on disk.
        self._answer = tempfile.TemporaryFile() if kept else nameless()  # noqa: SIM115
        self._output, self._said = nameless(), nameless()
        for file in (self._output, self._said):
            _append(file)
        self._heard = 0
        self._pid = 0
        self._sent = False
        self._begin_by = 0.0
        self._deadline: float | None = None
        self._next_look = 0.0
        self._fate: Failure | None = None
        self._kill_at: float | None = None
        self._status: int | None = None
        self._ended = False
        self.poll()

    def fileno(self) -> int:
        """Descriptor to wait for: the parent's."""
        return self.parent.fileno()

    def poll(self) -> bool:
        """Whether the call has ended. Then `failure` is the reason, or None if it has answered."""
        self.parent.pump()
        if self._ended:
            return True
        if self.parent.fault is not None and not self._sent:
            self.is_orphan = not self.parent.never_started
            self._finish(self.parent.fault)
        elif not self._sent and self.parent.is_ready:
            files = [file.fileno() for file in (self._answer, self._output, self._said)]
            self._sent, self._begin_by = True, time.monotonic() + START_LIMIT
            self.parent.fork("call", self, *self._request, files=[*files, *self._given])
            self._give_back()
        if self._pid and not self._ended:
            self._hear()
            self._enforce(time.monotonic())
        elif self._sent and not self._ended and time.monotonic() > self._begin_by:
            self.parent.give_up("timeout", f"its process has not answered for {START_LIMIT:g} s")
        return self._ended

    @property
    def failure(self) -> Failure | None:
        """The reason why there is no answer; None if there is one, or the call is running."""
        return self._fate

    @property
    def answer(self) -> int:
        """Descriptor of the file with the answer: read it with `packing.unpack`, or pass it on.

        Do not trust the file: a plugin may have written to it.
        """
        return self._answer.fileno()

    def result(self) -> tuple[Any, Failure | None]:
        """The value of the answer, or the reason why there is none."""
        if self._fate is not None:
            return None, self._fate
        try:
            value, _ = unpack(self.answer)
        except PackingError as error:
            return None, Failure("exit", str(error), output=self.output())
        return value, None

    def detach(self) -> IO[bytes]:
        """The file with the answer, opened for reading only; the caller has to close it."""
        file, self._answer = self._answer, nameless()  # so that `close` has a file to close
        if sys.platform != "linux":
            return file
        with file:
            return Path(f"/proc/self/fd/{file.fileno()}").open("rb")

    def output(self) -> str:
        """The end of the call's output."""
        return _tail(self._output)

    @property
    def pid(self) -> int:
        """Id of the call's process; 0 until the call has begun."""
        return self._pid

    @property
    def seconds(self) -> float:
        """Seconds since the call was requested."""
        return time.monotonic() - self._made

    def limit(self, limits: Limits) -> None:
        """Replace the limits, and restart the clock."""
        self._limits = limits
        self.renew()

    def renew(self) -> None:
        """Restart the clock of the time limit."""
        self._begin_clock()
        self._next_look = 0.0

    def close(self) -> None:
        """End the call if it is running, and close its files."""
        if self._pid and not self._ended and not self.parent.processes.root.is_dead:
            self.parent.processes.end(self._pid)
        self._ended = True
        self._give_back()
        for file in (self._answer, self._output, self._said):
            file.close()

    def began(self, pid: int) -> None:
        """Take note that the call's process has been forked."""
        self._pid = pid
        self.has_begun = True
        if self._ended:  # the call was closed before it began
            self.parent.processes.end(pid)
        self.start_seconds = time.monotonic() - self._made
        self._next_look = time.monotonic() + MEMORY_EVERY
        self._begin_clock()

    def ended(self, status: int) -> None:
        """Take note that the call's process has ended."""
        processes = self.parent.processes
        processes.sweep()  # now, because orphans would disturb the timing of the next call
        if self._ended:
            return
        self._hear()
        output = self.output()
        if self._fate is not None:
            fate = self._fate
            self._finish(Failure(fate.kind, fate.reason, output=output))
        elif status in (0, -signal.SIGALRM) and is_complete(self.answer):
            self._finish(None)  # the alarm only ends the clean-up after the answer
        elif status < 0:
            stack = _stack(output)
            self._finish(Failure("signal", f"died of {signal_name(-status)}", stack, output))
        else:
            reason = f"exited with status {status}"
            self._finish(Failure("exit", reason, output=output))

    def lost(self) -> None:
        """Take note that the parent is dead; the call died with it."""
        if not self._ended:
            self.is_orphan = self._fate is None
            reason = "lost the process that it was forked from"
            self._finish(self._fate or Failure("exit", reason, output=self.output()))

    def _finish(self, failure: Failure | None) -> None:
        self._ended, self._fate = True, failure

    def _give_back(self) -> None:
        for fd in self._given:
            os.close(fd)
        self._given = ()

    def _begin_clock(self) -> None:
        seconds = self._limits.seconds
        self._deadline = None if seconds is None else time.monotonic() + seconds

    def _hear(self) -> None:
        """Pass the new messages of the call to ``listen``: whole lines, at most LINE bytes."""
        file = self._said.fileno()
        # Never more than the file has, because `os.pread` allocates as many bytes as requested.
        size = max(0, min(LINE, os.fstat(file).st_size - self._heard))
        lines = os.pread(file, size, self._heard)
        complete = lines[: lines.rfind(b"\n") + 1]
        if not complete and len(lines) == LINE:
            complete = lines  # skipped below: the harness writes no line of this length
        self._heard += len(complete)
        if self._listen is None:
            return
        for line in complete.splitlines():
            with contextlib.suppress(ValueError, RecursionError):
                self._listen(json.loads(line))

    def _enforce(self, now: float) -> None:
        processes = self.parent.processes
        if self._kill_at is not None:
            if now >= self._kill_at + KILLED_LIMIT:
                self.parent.give_up("timeout", "did not report the end of a killed call")
            elif now >= self._kill_at:
                processes.end(self._pid)
            return
        if self._deadline is not None and now >= self._deadline:
            self._fate = Failure("timeout", f"did not end within {self._limits.seconds:g} s")
            self._kill_at = now + GRACE
            processes.terminate(self._pid)
        elif now >= self._next_look:
            self._next_look = now + MEMORY_EVERY
            _cut(self._output)
            if _cut(self._said):
                self._heard = 0
            if self._measured:
                self.most_memory = max(self.most_memory, trees.private_memory(self._pid))
            if self._limits.memory and (excess := _excess(self._pid, self._limits.memory)):
                self._fate, self._kill_at = Failure("memory", excess), now
                processes.end(self._pid)


class Tells(Protocol):
    """An object that `wait` can wait for."""

    def fileno(self) -> int:
        """A descriptor that becomes readable when there is news; -1 if there is none."""


def wait(sources: Iterable[Tells], seconds: float) -> None:
    """Wait until one of the things is readable, or until the seconds are over."""
    files = {file for source in sources if (file := source.fileno()) >= 0}
    if files:
        poll = select.poll()
        for file in files:
            poll.register(file, select.POLLIN)
        poll.poll(1000 * seconds)
    else:
        time.sleep(min(seconds, 0.01))


def finish(calls: Iterable[Call]) -> None:
    """Wait until all calls have ended."""
    while waiting := [call for call in list(calls) if not call.poll()]:
        wait(waiting, 0.1)


def signal_name(number: int) -> str:
    """A signal's name, such as SIGSEGV."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def nameless() -> IO[bytes]:
    """A file without a name: on Linux in memory, which is quicker, elsewhere on disk."""
    if sys.platform == "linux":
        return os.fdopen(os.memfd_create(trees.OURS), "w+b")
    return tempfile.TemporaryFile()


def _most_memory() -> int:
    """Bytes of memory that importing a plugin may use."""
    return int(psutil.virtual_memory().total * MEMORY_SHARE)


def _excess(pid: int, limit: int) -> str:
    """The message that a process, with all below it, uses too much memory; empty if it does not."""
    if trees.memory(pid) <= limit or (used := trees.exact_memory(pid)) <= limit:
        return ""
    return f"used {used / 2**20:,.0f} MiB of memory where {limit / 2**20:,.0f} were allowed"


def _cut(file: IO[bytes] | None) -> bool:
    """Empty an output file that exceeds OUTPUT_LIMIT; returns whether it did."""
    if file is None or os.fstat(file.fileno()).st_size <= OUTPUT_LIMIT:
        return False
    os.ftruncate(file.fileno(), 0)
    return True


def _append(file: IO[bytes]) -> None:
    fcntl.fcntl(file.fileno(), fcntl.F_SETFL, os.O_APPEND)


def _tail(file: IO[bytes] | None) -> str:
    if file is None:
        return ""
    end = os.fstat(file.fileno()).st_size
    start = max(0, end - 4 * OUTPUT_TAIL)
    return os.pread(file.fileno(), end - start, start).decode(errors="replace")[-OUTPUT_TAIL:]


def _stack(output: str) -> str:
    """The stack that faulthandler printed; empty if it printed none."""
    _, mark, stack = output.partition("Fatal Python error")
    return mark + stack
