"""What tests send to workers, which must be able to import it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


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


def says(_: object, say: Callable[[Any], None], *values: object) -> str:
    for value in values:
        say(value)
    return "said"


def says_more_than_a_pipe_holds(_: object, say: Callable[[Any], None], done: Path) -> None:
    for number in range(10_000):
        say((number, "x" * 1000))
    done.touch()


def says_something_in_a_fork(_: object, say: Callable[[Any], None]) -> None:
    if (child := os.fork()) == 0:
        say("from the fork")
        os._exit(0)
    os.waitpid(child, 0)
    say("from the worker")


def keeps_its_voice(_: object, say: Callable[[Any], None]) -> None:
    keeps_its_voice.say = say  # type: ignore[attr-defined]


def uses_the_voice_it_kept(_: object) -> str:
    keeps_its_voice.say("too late")  # type: ignore[attr-defined]
    return "silent"
