"""A process that makes calls one after another, for timings.

Forks of one parent share its memory layout, so their timings agree more closely than those of two
invocations of Python. A worker is therefore a fresh interpreter by default: it has its own
supervisor, with another seed of Python's hashes.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import random
import select
import socket
from functools import partial
from typing import TYPE_CHECKING, Any

from harness.contract.values import Failure
from harness.errors import describe
from harness.processes.client import ASK_LIMIT, Limits, Processes
from harness.processes.serving import MESSAGE, Channel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from numpy.typing import NDArray

    from harness.processes.client import Parent
    from harness.processes.serving import Inside


START_LIMIT = 120.0
"""Seconds that a worker may take to start; it may load all plugins and their requirements."""


class Worker:
    """A process that makes calls one after another, until the process fails.

    Args:
        initialize: called once in the process with ``initargs``; its return value is the first
            argument of every call.
        initargs: arguments of ``initialize``, which must be picklable.
        modules: modules of the harness that the process loads.
        threads: number of threads that libraries may use.
        parent: the parent to fork the worker from; None starts a fresh interpreter.
    """

    def __init__(
        self,
        initialize: Callable[..., Any],
        initargs: Sequence[Any] = (),
        *,
        modules: Sequence[str] = (),
        threads: int = 1,
        parent: Parent | None = None,
    ) -> None:
        self._own: Processes | None = None
        if parent is None:
            seed = random.randrange(1, 2**32)  # noqa: S311  # no secret
            self._own = Processes(modules, threads=threads, hash_seed=seed)
            parent = self._own.root
        ours, theirs = socket.socketpair()
        self._channel = Channel(ours)
        with theirs:
            self._session = parent.call(
                _session,
                initialize,
                tuple(initargs),
                files=[theirs.fileno()],
                limits=Limits(START_LIMIT),
                listen=self._hear,
            )
        self._waiting: tuple[bytes, Limits, tuple[int, ...]] | None = None
        self._answer: tuple[Any, Failure | None] | None = None
        self._calls = 0
        self._fault: Failure | None = None
        self._ready = False
        #: Seconds from the start until it was ready for its first call.
        self.start_seconds = 0.0
        #: The last note of the current or last call.
        self.noted: Any = None

    @property
    def fresh(self) -> bool:
        """Whether the current call is the first one in this process."""
        return self._calls <= 1

    @property
    def usable(self) -> bool:
        """Whether the worker can make another call: its process has not failed or ended."""
        return self._fault is None and not self._session.poll()

    @property
    def pid(self) -> int:
        """Id of the worker's process; 0 until it has one."""
        return self._session.pid

    def fileno(self) -> int:
        """Descriptor to wait for: it becomes readable when the process has sent a message."""
        return self._channel.fileno()

    def call(
        self,
        function: Callable[..., Any],
        *args: Any,
        limits: Limits | None = None,
        notes: bool = False,
        files: Sequence[int] = (),
    ) -> None:
        """Begin ``function(initialized, *args)`` in the worker; `poll` tells when it has ended.

        With ``files``, the worker calls ``function(initialized, files, *args)``; the descriptors
        are open there until the function returns.

        With ``notes``, the worker calls ``function(initialized, note, *args)``. The function calls
        ``note`` with the JSON name of its next task. `noted` keeps the last one, to know which task
        is to blame for a failure; each note restarts the clock of the time limit.
        """
        self.noted, self._answer = None, None
        self._calls += 1
        self._waiting = pickle.dumps((function, args, notes)), limits or Limits(), tuple(files)
        self._send()

    def poll(self) -> tuple[Any, Failure | None] | None:
        """The result of the call, a JSON value or a failure; None while the call is running."""
        with contextlib.suppress(BlockingIOError, OSError):
            self._channel.end.recv(MESSAGE, socket.MSG_DONTWAIT)
        ended = self._session.poll()
        self._send()
        if self._answer is not None:
            return self._answer
        if ended:
            failure = self._session.failure
            if failure is None:
                failure = Failure("exit", "exited", output=self._session.output())
            elif not self._ready and failure.kind == "timeout":
                reason = f"its process was not ready within {START_LIMIT:g} s"
                failure = Failure("timeout", reason, output=failure.output)
            self._fault = failure
            return None, failure
        return None

    def end(self) -> None:
        """Kill the worker's process and all processes that it started."""
        self._channel.end.close()
        self._session.close()
        if self._own is not None:
            self._own.close()

    def _send(self) -> None:
        if self._ready and self._waiting is not None:
            message, limits, files = self._waiting
            self._waiting = None
            self._session.limit(limits)
            self._channel.end.settimeout(ASK_LIMIT)  # a large message has to wait for its reader
            try:
                self._channel.send(message, files)
            except TimeoutError:
                reason = f"its process has not read its call for {ASK_LIMIT:g} s"
                self._fault = Failure("timeout", reason, output=self._session.output())
                self._answer = None, self._fault
            except OSError:
                return  # the next `poll` notices that the process has ended
            self._channel.end.settimeout(None)

    def _hear(self, message: Any) -> None:
        """Take in a message of the process: a list of a kind and a value."""
        if not isinstance(message, list) or len(message) != 2:
            return
        kind, value = message
        if kind != "note":
            self._session.limit(Limits())  # an idle worker may wait for its next call indefinitely
        if kind == "ready" and not self._ready:
            self._ready = True
            self.start_seconds = self._session.seconds
        elif kind == "unusable":
            self._fault = Failure("exit", str(value)[:500])
            self._answer = None, self._fault
        elif kind == "note":
            self.noted = value
            self._session.renew()
        elif kind == "done" and self._answer is None:
            self._answer = value, None
        elif kind == "broken" and self._answer is None:
            failure = Failure("exception", str(value)[:500], output=self._session.output())
            self._answer = None, failure


def _note(inside: Inside, value: Any) -> None:
    inside.say(["note", value])


def wait(workers: Iterable[Worker], seconds: float) -> None:
    """Wait until one of the workers has sent a message, or until the seconds are over."""
    poll = select.poll()
    for worker in workers:
        poll.register(worker.fileno(), select.POLLIN)
    poll.poll(1000 * seconds)


def no_plugin() -> None:
    """The ``initialize`` of a worker that needs only the core."""


def _session(
    inside: Inside, initialize: Callable[..., Any], initargs: Sequence[Any]
) -> tuple[None, dict[str, NDArray[Any]]]:
    """Run the worker's process: make calls until the other end of the channel closes."""
    channel = Channel(socket.socket(fileno=inside.files[0]))

    def tell(kind: str, value: Any = None) -> None:
        inside.say([kind, value])
        channel.end.send(b".")  # wakes up the coordinator, which then reads the message

    try:
        initialized = initialize(*initargs)
    except BaseException as error:  # noqa: BLE001  # plugins are imported here
        tell("unusable", describe(error))
        return None, {}
    tell("ready")
    while True:
        try:
            message, files = channel.receive()
        except (EOFError, OSError):
            return None, {}
        function, args, notes = pickle.loads(message)  # noqa: S301  # from the coordinator
        if files:
            args = (files, *args)
        if notes:
            args = (partial(_note, inside), *args)
        try:
            tell("done", function(initialized, *args))
        except BaseException as error:  # noqa: BLE001  # a plugin's error is the answer
            tell("broken", describe(error))
        for file in files:
            os.close(file)
