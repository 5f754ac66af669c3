"""Fakes that tests share: a clock, and functions that other processes import and run."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.processes import trees

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.processes.serving import Inside

Answer = tuple[Any, dict[str, Any]]


class Clock:
    """Seconds that pass only where a test lets them."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


# Functions that run in a process of their own.


def doubles(_: Inside, number: int) -> Answer:
    return 2 * number, {}


def doubles_an_array(inside: Inside) -> Answer:
    from harness.processes.packing import unpack

    _, arrays = unpack(inside.files[0])
    return None, {"doubled": 2 * arrays["numbers"]}


def starts_a_large_process(inside: Inside) -> Answer:
    """Starts a process with 32 MiB, and ends it when the call's file says so."""
    code = "taken = b'x' * 2**25; print(flush=True); import sys; sys.stdin.read()"
    command = [sys.executable, "-S", "-E", "-c", code]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        os.read(inside.files[0], 1)
        process.communicate()
    return trees.private_memory(os.getpid()), {}


def tells_what_is_held(inside: Inside) -> Answer:
    return inside.held, {}


def tells_its_descriptors(_: Inside) -> Answer:
    return [int(path.name) for path in Path("/proc/self/fd").iterdir()], {}


def borrows(inside: Inside) -> Answer:
    return os.pread(inside.borrow(0), 100, 0).decode(), {}


def patches_numpy(_: Inside) -> Answer:
    np.log = None  # type: ignore[assignment]
    return None, {}


def tells_whether_numpy_is_whole(_: Inside) -> Answer:
    return callable(np.log), {}


def leaves_a_daemon(_: Inside) -> Answer:
    code = "import os, time\nif os.fork(): os._exit(0)\nos.setsid()\ntime.sleep(600)"
    subprocess.Popen([sys.executable, "-c", code], start_new_session=True).wait()
    return os.getpid(), {}


def leaves_a_daemon_and_hangs(inside: Inside) -> Answer:
    leaves_a_daemon(inside)
    inside.say("left")
    time.sleep(600)
    return None, {}


def leaves_a_daemon_and_aborts(inside: Inside) -> Answer:
    leaves_a_daemon(inside)
    os.abort()


def ends_its_parent(_: Inside) -> Answer:
    os.kill(os.getppid(), 9)
    time.sleep(600)
    return None, {}


def fills_memory_that_is_mapped_nowhere(_: Inside, size: int) -> Answer:
    file = os.memfd_create("much")
    for _ in range(size // 2**20):
        os.write(file, bytes(2**20))
    time.sleep(600)
    return None, {}


def says(inside: Inside, *values: object) -> Answer:
    for value in values:
        inside.say(value)
    return "said", {}


def says_from_threads(inside: Inside) -> Answer:
    threads = [
        threading.Thread(target=lambda i=i: [inside.say([i, "x" * 500]) for _ in range(200)])
        for i in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return None, {}


def says_in_a_fork(inside: Inside) -> Answer:
    if (child := os.fork()) == 0:
        inside.say("from the fork")
        os._exit(0)
    os.waitpid(child, 0)
    inside.say("from the call")
    return None, {}


def comes_back_twice(_: Inside) -> Answer:
    child = os.fork()
    if child:
        os.waitpid(child, 0)
    return "parent" if child else "child", {}


def answers_by_hand(inside: Inside, words: str) -> Answer:
    for fd in range(3, 2000):
        try:
            os.write(fd, words.encode())
        except OSError:
            continue
    os._exit(0)


def prints_until_it_is_cut(_: Any) -> str:
    largest = 0
    while (size := os.fstat(1).st_size) >= largest:
        largest = size
        print("." * 100_000, flush=True)
        time.sleep(0.001)
    return "cut"


def holds(held: Any, value: object) -> object:
    return [held, value]


def fails_to_load(_: Any) -> object:
    raise ValueError("there is nothing to load")


def ends_while_it_loads(_: Any) -> object:
    os.abort()


# Functions that a worker runs one after another.


def nothing() -> None:
    return None


def length(_: object, text: str) -> int:
    return len(text)


def counts_calls(_: object) -> int:
    counts_calls.calls = getattr(counts_calls, "calls", 0) + 1  # type: ignore[attr-defined]
    return int(counts_calls.calls)  # type: ignore[attr-defined]


def dies_on_the_second_call(_: object) -> str:
    if counts_calls(None) == 2:
        os.abort()
    return "alive"


def notes(_: object, note: Callable[[Any], None], *values: object) -> str:
    for value in values:
        note(value)
    return "noted"
