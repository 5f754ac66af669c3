"""The coordinator's side: ask for processes, make calls in them, hold them to their limits."""

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
START_LIMIT = 60.0  # seconds in which a parent must have loaded what it is for
CLOSE_LIMIT = 10.0  # seconds in which a supervisor has ended all below it
ASK_LIMIT = 60.0  # seconds in which the supervisor has done what it is told
KILLED_LIMIT = 10.0  # seconds in which a parent has told that a killed call has ended
OUTPUT_TAIL = 4_000  # characters of a call's output that are kept
OUTPUT_LIMIT = 64 * 1024 * 1024  # bytes on disk, before what was printed is thrown away
MEMORY_SHARE = 0.8  # of the machine's memory that importing a plugin may take
MEMORY_EVERY = 0.2  # seconds between looks at a call's memory

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

SUPERVISOR = (
    "import sys; file, coordinator, modules, *sys.path = sys.argv[1:]; "
    "from harness.processes.serving import supervise; "
    "supervise(int(file), int(coordinator), modules.split(','))"
)
"""No module of its own: pools that a model starts would import that again."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a call may use.

    Args:
        seconds: wall clock, from the call's beginning; None for no limit.
        memory: resident bytes of its process and all below it; None for no limit.
    """

    seconds: float | None = None
    memory: int | None = None


class Processes:
    """A supervisor and the parents below it, until they are closed or this process ends.

    Args:
        modules: of ours, which all of them have loaded.
        threads: that libraries may use in them.
        hash_seed: of Python's hashes; with the same seed, sets have the same order.

    Raises:
        UsageError: this process is itself part of a run.
    """

    def __init__(
        self, modules: Sequence[str] = (), *, threads: int = 1, hash_seed: int = 0
    ) -> None:
        if os.environ.get(INSIDE):
            raise UsageError(
                "a run cannot be started by what a run has loaded: put the script's last lines "
                "under `if __name__ == '__main__':`, and name it as no module is named"
            )
        self._modules = tuple(modules)
        self._variables = dict.fromkeys(THREADS, str(threads)) | {
            INSIDE: "1",
            # Otherwise a plugin that asks PyTorch for CUDA when it is imported spoils it for forks.
            "PYTORCH_NVML_BASED_CUDA_CHECK": "1",
            "PYTHONHASHSEED": str(hash_seed),
        }
        self._parents: dict[object, Parent] = {}
        self._begin()

    def _begin(self) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            path = [entry for entry in sys.path if isinstance(entry, str)]
            told = [str(theirs.fileno()), str(os.getpid()), ",".join(self._modules), *path]
            self._process = subprocess.Popen(  # noqa: S603  # ourselves
                [sys.executable, "-c", SUPERVISOR, *told],
                env=os.environ | self._variables,
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        #: The supervisor itself: calls in it find nothing but the core.
        self.root = Parent(self, ours, pid=self._process.pid)
        #: What is closed with them.
        self.open: list[socket.socket | IO[bytes]] = [ours]
        self._finalizer = weakref.finalize(self, _close, self.open, self._process, os.getpid())

    @property
    def pid(self) -> int:
        """Of the process that all others are below: the supervisor's guard, on Linux."""
        return self._process.pid

    def parent(self, key: object, function: Callable[..., Any], *given: Any) -> Parent:
        """The process that has loaded what ``function(None, *given)`` loads; once for each key."""
        return self.grown(key, self.root, function, *given)

    def grown(
        self,
        key: object,
        origin: Parent,
        function: Callable[..., Any],
        *given: Any,
        limit: float = START_LIMIT,
    ) -> Parent:
        """A fork of another parent that has loaded ``function(held, *given)`` besides.

        It must have done so within ``limit`` seconds.
        """
        known = self._parents.get(key)
        if known is None or (known.is_dead and not known.never_started):
            known = self._parents[key] = Parent(self, None, origin, (function, *given), limit=limit)
        return known

    def renew(self) -> None:
        """Start again with a new supervisor, where the last one is gone."""
        if self.root.is_dead:
            self._finalizer()
            self._parents.clear()
            self._begin()

    def end(self, pid: int) -> None:
        """End a process below the supervisor, and all that is below that."""
        self.root.ask("end", pid)

    def terminate(self, pid: int) -> None:
        """Ask the group of a process below the supervisor to end."""
        self.root.ask("terminate", pid)

    def sweep(self) -> None:
        """End whatever has lost its parent.

        The supervisor adopts such processes. It is asked only if it has children that it did not
        fork.
        """
        supervisors = trees.children(self.pid) or [self.pid]
        adopted = {pid for supervisor in supervisors for pid in trees.children(supervisor)}
        if not trees.TELLS_CHILDREN or not self.root.has_forked(adopted):
            self.root.ask("sweep")

    def close(self) -> None:
        """End all of them."""
        self._finalizer()


def _close(
    things: list[socket.socket | IO[bytes]], process: subprocess.Popen[bytes], owner: int
) -> None:
    if os.getpid() != owner:  # the end of a fork of this process is no end of ours
        return
    for thing in things:
        if isinstance(thing, socket.socket):
            with contextlib.suppress(OSError):  # forks may have it open, too
                thing.shutdown(socket.SHUT_RDWR)
        thing.close()
    try:
        process.wait(CLOSE_LIMIT)  # it ends everything below it first
    except subprocess.TimeoutExpired:
        trees.end(process.pid)
        process.wait()


class Parent:
    """A process that makes calls in forks of its own.

    Args:
        processes: that it belongs to.
        end: the other end of its channel; None where it is yet to be forked.
        origin: what it is to be forked from.
        grow: the function that is called in it first, and what that is given.
        pid: of the supervisor.
        limit: seconds in which it must have loaded what it is for.
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
        """Whether nothing can be asked of it any more."""
        return self.fault is not None

    @property
    def never_started(self) -> bool:
        """Whether it could not load what it is for, and so would not another time."""
        return self.fault is not None and self._state != "ready" and not self._is_lost

    @property
    def is_ready(self) -> bool:
        """Whether it has loaded what it is for."""
        return self._state == "ready" and self.fault is None

    def output(self) -> str:
        """The end of what it printed while it loaded what it is for."""
        return self.fault.output if self.fault else _tail(self._printed)

    def fileno(self) -> int:
        """What there is to wait for: its own channel, or that of the parent it comes from."""
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
    ) -> Call:
        """Begin ``function(inside, *given)`` in a fork; it returns a value of JSON and arrays.

        Args:
            function: of a module of ours.
            given: must be picklable.
            files: descriptors that the call gets.
            lent: descriptors that it can borrow.
            limits: what it may use.
            listen: given what the call says while it goes on.
            kept: whether the answer is kept beyond the call.
        """
        how = limits or Limits(), listen
        return Call(self, (function, *given), files, lent, *how, kept=kept)

    def ask(self, kind: str, *given: Any) -> None:
        """Tell the supervisor to do something, and wait until it has done so."""
        number = self.tell(kind, self._numbers + 1, *given)
        until = time.monotonic() + ASK_LIMIT
        while self._done < number and self.fault is None:
            wait([self], 1.0)
            self.pump()
            if time.monotonic() > until:
                trees.end(self._pid)
                self._lose()

    def tell(self, kind: str, *given: Any, files: Sequence[int] = ()) -> int:
        """Send a request; its number."""
        self._numbers += 1
        if self._end is not None and self.fault is None:
            try:
                self._end.settimeout(ASK_LIMIT)
                Channel(self._end).send(pickle.dumps((kind, *given)), files)
                self._end.setblocking(False)
            except OSError:
                self._lose()
        return self._numbers

    def fork(self, kind: str, who: Call | Parent, *given: Any, files: Sequence[int]) -> None:
        """Ask for a fork on behalf of a call, or of another parent."""
        self._begun[self._numbers + 1] = who
        self.tell(kind, self._numbers + 1, *given, files=files)

    def pump(self) -> None:
        """Take in what it has told, and see to its start."""
        if self.fault is not None:
            return
        if self._state == "asked":
            self._ask_for()
        if self._end is not None and self._state != "ending":
            self._read()
        if self._origin is not None and self._state in ("starting", "ending"):
            self._origin.pump()  # which tells that it has ended
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
        """It has been forked."""
        self._pid = pid

    def has_forked(self, pids: Iterable[int]) -> bool:
        """Whether all of these are forks of it that are not known to have ended."""
        return self._running.keys() >= set(pids)

    def ended(self, status: int) -> None:
        """It has ended: what it loads must have made it."""
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
            with theirs:
                origin.fork(
                    "grow", self, *self._grow, files=[theirs.fileno(), self._printed.fileno()]
                )
            self._end = ours
            self.processes.open += [ours, self._printed]
            ours.setblocking(False)
            self._state, self._deadline = "starting", time.monotonic() + self._limit

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
                self.give_up("exit", "told what no parent tells")
                return
            if len(self._buffer) < 4 + length:
                break
            message = bytes(self._buffer[4 : 4 + length])
            del self._buffer[: 4 + length]
            try:
                self._take(*json.loads(message))
            except (ValueError, TypeError, LookupError, ArithmeticError, RecursionError):
                self.give_up("exit", "told what no parent tells")
        if over and self._state == "starting" and self._origin and not self._origin.is_dead:
            self._state = "ending"  # the process that it was forked from will tell how
            self._deadline = min(self._deadline, time.monotonic() + GRACE)
        elif over:
            self._lose()

    def _take(self, kind: str, *told: Any) -> None:
        if kind == "ready" and self._state == "starting":
            self._state = "ready"
        elif kind == "broken":
            self.give_up("exception", str(told[0])[:500])
        elif kind == "done":
            self._done = int(told[0])
        elif kind == "started":
            number, pid = map(int, told)
            if (who := self._begun.pop(number, None)) is not None:
                self._running[pid] = who
                who.began(pid)
        elif kind == "ended":
            pid, status = map(int, told)
            if (who := self._running.pop(pid, None)) is not None:
                who.ended(status)

    def _lose(self) -> None:
        self.give_up("exit", "lost its process")

    def give_up(self, kind: str, reason: str) -> None:
        """Nothing more is expected of it; what it has forked goes with it."""
        if self.fault is not None:
            return
        self.fault = Failure(kind, reason, output=_tail(self._printed))
        for thing in (self._end, self._printed):
            if thing is not None:
                thing.close()
                with contextlib.suppress(ValueError):  # it is closed with the supervisor's
                    self.processes.open.remove(thing)
        self._printed = None
        if self is not self.processes.root and self._pid:
            self.processes.end(self._pid)
        for who in (*self._begun.values(), *self._running.values()):
            who.lost()
        self._begun.clear()
        self._running.clear()

    def lost(self) -> None:
        """The parent that it was forked from is gone, and it with that."""
        self._is_lost = True
        self._lose()


class Call:
    """A call under way, or ended; `poll` tells."""

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
    ) -> None:
        self.parent = parent
        #: Whether it was cut off because its parent is gone.
        self.is_orphan = False
        self.has_begun = False
        #: Until it began.
        self.start_seconds = 0.0
        self._made = time.monotonic()
        self._request = len(lent), *request
        self._given = tuple(map(os.dup, (*files, *lent)))
        self._limits, self._listen = limits, listen
        # As long as the call. What is kept, and may be large, lies on the disk.
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
        """What there is to wait for."""
        return self.parent.fileno()

    def poll(self) -> bool:
        """Whether it has ended; then `failure` tells how, and `answer` is there if that is None."""
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
        """Why there is no answer."""
        return self._fate

    @property
    def answer(self) -> int:
        """Descriptor of the file with the answer, to be read with `packing.unpack`, or handed on.

        What is in it was written by whoever the call was made for.
        """
        return self._answer.fileno()

    def result(self) -> tuple[Any, Failure | None]:
        """The value of the answer, or why there is none."""
        if self._fate is not None:
            return None, self._fate
        try:
            value, _ = unpack(self.answer)
        except PackingError as error:
            return None, Failure("exit", str(error), output=self.output())
        return value, None

    def detach(self) -> IO[bytes]:
        """The file with the answer, which is now the caller's, and can only be read."""
        file, self._answer = self._answer, nameless()  # for `close`
        if sys.platform != "linux":
            return file
        with file:
            return Path(f"/proc/self/fd/{file.fileno()}").open("rb")

    def output(self) -> str:
        """The end of what the call printed."""
        return _tail(self._output)

    @property
    def pid(self) -> int:
        """Of its process; 0 until it has begun."""
        return self._pid

    @property
    def seconds(self) -> float:
        """Since it was asked for."""
        return time.monotonic() - self._made

    def limit(self, limits: Limits) -> None:
        """Hold it to other limits from now on."""
        self._limits = limits
        self.renew()

    def renew(self) -> None:
        """Have its time begin anew."""
        self._begin_clock()
        self._next_look = 0.0

    def close(self) -> None:
        """End it if it goes on, and let go of its files."""
        if self._pid and not self._ended and not self.parent.processes.root.is_dead:
            self.parent.processes.end(self._pid)
        self._ended = True
        self._give_back()
        for file in (self._answer, self._output, self._said):
            file.close()

    def began(self, pid: int) -> None:
        """It has been forked."""
        self._pid = pid
        self.has_begun = True
        if self._ended:  # nobody waits for it any more
            self.parent.processes.end(pid)
        self.start_seconds = time.monotonic() - self._made
        self._next_look = time.monotonic() + MEMORY_EVERY
        self._begin_clock()

    def ended(self, status: int) -> None:
        """Its process has ended."""
        processes = self.parent.processes
        processes.sweep()  # before anybody else is timed
        if self._ended:
            return
        self._hear()
        output = self.output()
        if self._fate is not None:
            fate = self._fate
            self._finish(Failure(fate.kind, fate.reason, output=output))
        elif status in (0, -signal.SIGALRM) and is_complete(self.answer):
            self._finish(None)  # an alarm cuts short what follows the answer
        elif status < 0:
            stack = _stack(output)
            self._finish(Failure("signal", f"died of {signal_name(-status)}", stack, output))
        else:
            reason = f"left its process with exit status {status}"
            self._finish(Failure("exit", reason, output=output))

    def lost(self) -> None:
        """Its parent is gone, and it with that."""
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
        """What was said since: whole lines only, and not more at a time than a message holds."""
        said = self._said.fileno()
        # As much as there is: Python sets aside as many bytes as it is asked for.
        size = max(0, min(LINE, os.fstat(said).st_size - self._heard))
        lines = os.pread(said, size, self._heard)
        whole = lines[: lines.rfind(b"\n") + 1]
        if not whole and len(lines) == LINE:
            whole = lines  # longer than anything that is meant
        self._heard += len(whole)
        if self._listen is None:
            return
        for line in whole.splitlines():
            with contextlib.suppress(ValueError, RecursionError):
                self._listen(json.loads(line))

    def _enforce(self, now: float) -> None:
        processes = self.parent.processes
        if self._kill_at is not None:
            if now >= self._kill_at + KILLED_LIMIT:
                self.parent.give_up("timeout", "did not tell that what it forked has ended")
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
            if self._limits.memory and (excess := _excess(self._pid, self._limits.memory)):
                self._fate, self._kill_at = Failure("memory", excess), now
                processes.end(self._pid)


class Tells(Protocol):
    """Something that there is to wait for."""

    def fileno(self) -> int:
        """A descriptor that can be read from when it has something to tell; -1 without."""


def wait(things: Iterable[Tells], seconds: float) -> None:
    """Return when one of them has something to tell, or after a while."""
    files = {file for thing in things if (file := thing.fileno()) >= 0}
    if files:
        poll = select.poll()
        for file in files:
            poll.register(file, select.POLLIN)
        poll.poll(1000 * seconds)
    else:
        time.sleep(min(seconds, 0.01))


def finish(calls: Iterable[Call]) -> None:
    """Return when all of them have ended."""
    while waiting := [call for call in list(calls) if not call.poll()]:
        wait(waiting, 0.1)


def signal_name(number: int) -> str:
    """Such as SIGSEGV."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def nameless() -> IO[bytes]:
    """A file without a name: in memory, where the system has such files, which is quicker."""
    if sys.platform == "linux":
        return os.fdopen(os.memfd_create(trees.OURS), "w+b")
    return tempfile.TemporaryFile()


def _most_memory() -> int:
    """Bytes that importing a plugin may take."""
    return int(psutil.virtual_memory().total * MEMORY_SHARE)


def _excess(pid: int, limit: int) -> str:
    """By how much a process and all below it use more memory than is allowed; empty if not."""
    if trees.memory(pid) <= limit or (used := trees.exact_memory(pid)) <= limit:
        return ""
    return f"used {used / 2**20:,.0f} MiB of memory where {limit / 2**20:,.0f} were allowed"


def _cut(file: IO[bytes] | None) -> bool:
    """Throw away what was printed where it is too much; whether it was."""
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
    """The stack that faulthandler printed, if it did."""
    _, mark, stack = output.partition("Fatal Python error")
    return mark + stack
