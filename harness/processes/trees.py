"""A process and all processes below it: list them, measure their memory, end them."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import sys
import time

import psutil

PAGE = os.sysconf("SC_PAGE_SIZE")
PATIENCE = 2.0  # seconds to wait until killed processes are gone
TELLS_CHILDREN = os.path.exists(f"/proc/self/task/{os.getpid()}/children")  # noqa: PTH110
"""Whether the system lists the children of a process. Linux may be built without that; psutil then
goes through all processes, which takes longer."""

OURS = "harness-call"
"""Name of the in-memory files with the answers of calls."""

_SHARED = re.compile(rf"/memfd:(?!{OURS} )|/dev/shm/|/SYSV|/dev/zero")
"""Linux's names of files whose bytes are memory, except the harness's own: those belong to the
coordinator."""


def descendants(root: int) -> list[int]:
    """All living processes below a process, parents before their children."""
    if not TELLS_CHILDREN:
        with contextlib.suppress(psutil.Error):
            members = psutil.Process(root).children(recursive=True)
            return [child.pid for child in members if _lives(child)]
        return []
    living: list[int] = []
    waiting = [root]
    while waiting:
        listed = children(waiting.pop())
        waiting += listed
        living += (pid for pid in listed if _state(pid) not in "ZX")
    return living


def below(pid: int) -> list[int]:
    """The living children of a process."""
    if not TELLS_CHILDREN:
        with contextlib.suppress(psutil.Error):
            return [child.pid for child in psutil.Process(pid).children() if _lives(child)]
        return []
    return [child for child in children(pid) if _state(child) not in "ZX"]


def children(pid: int) -> list[int]:
    """The children of all threads of a process, zombies included; requires TELLS_CHILDREN."""
    pids: list[int] = []
    with contextlib.suppress(OSError):
        for thread in os.listdir(f"/proc/{pid}/task"):  # noqa: PTH208  # pathlib is slow
            with contextlib.suppress(OSError):
                pids += map(int, _read(f"/proc/{pid}/task/{thread}/children").split())
    return pids


def _state(pid: int) -> str:
    """The letter of a process's state; X if the process is gone."""
    if not TELLS_CHILDREN:
        return "R" if psutil.pid_exists(pid) and _lives(psutil.Process(pid)) else "X"
    try:
        # The process's name precedes it, in parentheses, and may itself contain parentheses.
        return _read(f"/proc/{pid}/stat").rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return "X"


def _lives(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.Error):
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    return False


def end(root: int, *, itself: bool = True) -> None:
    """Kill a process and all processes below it, and return when they are gone.

    The process is stopped first, so that it starts no others. It is killed last: until then it
    adopts the orphans among its descendants, so that they all stay below it.
    """
    until = time.monotonic() + PATIENCE
    if itself:
        _signal(root, signal.SIGSTOP)
    # Listed twice, because an orphan can move up while the tree is being walked.
    while (pids := descendants(root) or descendants(root)) and time.monotonic() < until:
        for pid in pids:
            _signal(pid, signal.SIGSTOP)
        for pid in pids:
            _signal(pid, signal.SIGKILL)
        time.sleep(0.001)
    if itself:
        _signal(root, signal.SIGKILL)
        while _state(root) not in "ZX" and time.monotonic() < until:
            time.sleep(0.001)


def memory(root: int) -> int:
    """Resident bytes of a process and all processes below it; quick, and an upper bound.

    Memory in files that are not mapped counts once, pages that the processes share several times.
    """
    members = [root, *descendants(root)]
    quick = _resident(members)
    if sys.platform != "linux":
        return quick
    return quick + _unmapped(members)


def exact_memory(root: int) -> int:
    """Bytes of a process and all below it; pages shared with others are split equally.

    A fork shares nearly all of its parent's memory, so that `memory` overestimates. This function
    takes milliseconds.
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


def private_memory(root: int) -> int:
    """Bytes of a process that are no file's, and the private bytes of all processes below it.

    Pages that the process shares with those below it count once. Returns 0 if there are none below
    it, or if the system does not tell.
    """
    below_it = descendants(root)
    if sys.platform != "linux" or not below_it:
        return 0
    try:
        status = status_of(root)
        total = status["RssAnon"] + status["RssShmem"]
    except (OSError, KeyError):
        return 0
    for pid in below_it:
        with contextlib.suppress(OSError):
            rollup = _read(f"/proc/{pid}/smaps_rollup")
            total += sum(1024 * int(n) for n in _PRIVATE.findall(rollup))
    return total


_PRIVATE = re.compile(r"^Private_Dirty:\s+(\d+)", re.MULTILINE)


def status_of(pid: int) -> dict[str, int]:
    """The sizes in Linux's status of a process, in bytes by name.

    Raises:
        OSError: there is no such process, or the system is not Linux.
    """
    status = _read(f"/proc/{pid}/status")
    return {name: 1024 * int(size) for name, size in _SIZES.findall(status)}


_SIZES = re.compile(r"^(\w+):\s+(\d+) kB$", re.MULTILINE)


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
    """Bytes of in-memory files that are open but not mapped; mapped bytes are counted elsewhere.

    Each file counts once, no matter how many processes have it open.
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
            is_counted = False
            for line in _read(f"/proc/{pid}/smaps").splitlines():
                if match := re.match(r"[0-9a-f]+-[0-9a-f]+ \S+ \S+ (\S+):(\S+) (\d+)", line):
                    device = os.makedev(int(match[1], 16), int(match[2], 16))
                    is_counted = (device, int(match[3])) in files
                elif is_counted and line.startswith("Pss:"):
                    mapped += 1024 * int(line.split()[1])
    return max(0, sum(files.values()) - mapped)


def _read(path: str) -> str:
    with open(path, encoding="utf-8", errors="replace") as file:  # noqa: PTH123  # quicker than pathlib
        return file.read()


def _signal(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)
