"""The tree of processes below one of them: who belongs to it, what it holds, and its end."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import sys
import time

import psutil

PAGE = os.sysconf("SC_PAGE_SIZE")
PATIENCE = 2.0  # seconds in which killed processes are expected to be gone
TELLS_CHILDREN = os.path.exists(f"/proc/self/task/{os.getpid()}/children")  # noqa: PTH110
"""Linux may be built without; psutil then looks through all processes, which takes longer."""

OURS = "harness-call"
"""Name of the files in memory that calls answer in."""

_SHARED = re.compile(rf"/memfd:(?!{OURS} )|/dev/shm/|/SYSV|/dev/zero")
"""Files whose bytes are memory, as Linux names them; ours are the coordinator's."""


def descendants(root: int) -> list[int]:
    """Everything that lives below a process, parents before their children."""
    if not TELLS_CHILDREN:
        with contextlib.suppress(psutil.Error):
            members = psutil.Process(root).children(recursive=True)
            return [child.pid for child in members if _lives(child)]
        return []
    found: list[int] = []
    waiting = [root]
    while waiting:
        here = children(waiting.pop())
        waiting += here
        found += (pid for pid in here if _state(pid) not in "ZX")
    return found


def below(pid: int) -> list[int]:
    """The living children of a process."""
    if not TELLS_CHILDREN:
        with contextlib.suppress(psutil.Error):
            return [child.pid for child in psutil.Process(pid).children() if _lives(child)]
        return []
    return [child for child in children(pid) if _state(child) not in "ZX"]


def children(pid: int) -> list[int]:
    """Children of each of a process's threads, dead ones too; only where Linux lists them."""
    found: list[int] = []
    with contextlib.suppress(OSError):
        for thread in os.listdir(f"/proc/{pid}/task"):  # noqa: PTH208  # paths would take longest
            with contextlib.suppress(OSError):
                found += map(int, _read(f"/proc/{pid}/task/{thread}/children").split())
    return found


def _state(pid: int) -> str:
    """The letter of a process's state; X where it is gone."""
    if not TELLS_CHILDREN:
        return "R" if psutil.pid_exists(pid) and _lives(psutil.Process(pid)) else "X"
    try:
        # The name, in parentheses, may hold anything.
        return _read(f"/proc/{pid}/stat").rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return "X"


def _lives(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.Error):
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    return False


def end(root: int, *, itself: bool = True) -> None:
    """Kill a process and everything below it, and return when it is gone.

    It is stopped first, so that it starts nothing new; as it adopts the orphans among its
    descendants, all of them stay below it until it is killed last.
    """
    until = time.monotonic() + PATIENCE
    if itself:
        _signal(root, signal.SIGSTOP)
    # Looked at twice: an orphan can move up while a tree is being walked.
    while (found := descendants(root) or descendants(root)) and time.monotonic() < until:
        for pid in found:
            _signal(pid, signal.SIGSTOP)
        for pid in found:
            _signal(pid, signal.SIGKILL)
        time.sleep(0.001)
    if itself:
        _signal(root, signal.SIGKILL)
        while _state(root) not in "ZX" and time.monotonic() < until:
            time.sleep(0.001)


def memory(root: int) -> int:
    """Resident bytes of a process and everything below it; what they share counts once."""
    members = [root, *descendants(root)]
    quick = _resident(members)
    if sys.platform != "linux":
        return quick
    return quick + _unmapped(members)


def exact_memory(root: int) -> int:
    """The same, with the pages shared with processes outside shared out among all of them.

    A fork shares nearly all of its parent's memory, so `memory` says too much; this takes
    milliseconds.
    """
    members = [root, *descendants(root)]
    if sys.platform != "linux":
        return _resident(members)
    total = 0
    for pid in members:
        with contextlib.suppress(OSError):
            match = re.search(r"^Pss:\s+(\d+)", _read(f"/proc/{pid}/smaps_rollup"), re.MULTILINE)
            total += 1024 * int(match[1]) if match else 0
    return total + _unmapped(members)


def _resident(members: list[int]) -> int:
    total = 0
    for pid in members:
        with contextlib.suppress(OSError, psutil.Error, ValueError, IndexError):
            if sys.platform == "linux":
                total += PAGE * int(_read(f"/proc/{pid}/statm").split()[1])
            else:
                total += psutil.Process(pid).memory_info().rss
    return total


def _unmapped(members: list[int]) -> int:
    """Bytes of memory that is open as a file, less the part that is mapped and so counted already.

    Each file counts once, however many processes have it open.
    """
    files: dict[tuple[int, int], int] = {}
    for pid in members:
        with contextlib.suppress(OSError):
            for fd in os.listdir(f"/proc/{pid}/fd"):  # noqa: PTH208
                path = f"/proc/{pid}/fd/{fd}"
                with contextlib.suppress(OSError):
                    if _SHARED.match(os.readlink(path)):  # noqa: PTH115
                        state = os.stat(path)  # noqa: PTH116
                        files[state.st_dev, state.st_ino] = 512 * state.st_blocks
    if not files:
        return 0
    mapped = 0
    for pid in members:
        with contextlib.suppress(OSError):
            here = False
            for line in _read(f"/proc/{pid}/smaps").splitlines():
                if match := re.match(r"[0-9a-f]+-[0-9a-f]+ \S+ \S+ (\S+):(\S+) (\d+)", line):
                    device = os.makedev(int(match[1], 16), int(match[2], 16))
                    here = (device, int(match[3])) in files
                elif here and line.startswith("Pss:"):
                    mapped += 1024 * int(line.split()[1])
    return max(0, sum(files.values()) - mapped)


def _read(path: str) -> str:
    with open(path, encoding="utf-8", errors="replace") as file:  # noqa: PTH123  # quicker
        return file.read()


def _signal(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)
