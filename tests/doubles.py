"""What tests send to workers, which must be able to import it."""

from __future__ import annotations

import os


def nothing() -> None:
    return None


def counts_calls(_: object) -> int:
    counts_calls.calls = getattr(counts_calls, "calls", 0) + 1  # type: ignore[attr-defined]
    return int(counts_calls.calls)  # type: ignore[attr-defined]


def dies_on_the_second_call(_: object) -> str:
    if counts_calls(None) == 2:
        os.abort()
    return "alive"


def tells_its_pid(_: object) -> int:
    return os.getpid()
