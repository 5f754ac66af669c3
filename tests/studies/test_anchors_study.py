"""The study of how much of the spread of times the anchors take away, on made-up sessions."""

from __future__ import annotations

from typing import Any

import pytest
from benchmarks import anchors as study

KINDS = ("memory-bound", "softmax in cache", "training", "prediction", "all")


def session(
    *speeds: float,
    name: str = "here",
    beside: str = "",
    others: float = 0.0,
    memory: float = 1.0,
    nice: int = 0,
) -> dict[str, Any]:
    """A session on a machine whose speed differs between its processes.

    Args:
        speeds: factor of all times, for each process.
        name: the machine.
        beside: the program that ran beside the session.
        others: processors that all other programs used.
        memory: factor of the times of all that memory limits.
        nice: the session's niceness.
    """
    timings = [
        timing("fit", "knn", "iris", 0.1, "compute-1", speeds, memory),
        timing("predict", "knn", "iris", 0.01, "compute-1", speeds, memory),
        timing("copy", "copy", "1000000x5 float32 cold", 0.02 * memory, "memory-1", speeds, memory),
    ]
    return {
        "date": "2026-11-28T00:00:00+00:00",
        "machine": name,
        "versions": "",
        "beside": beside,
        "nice": nice,
        "usage": {"others": others},
        "timings": timings,
    }


def timing(*what: Any) -> dict[str, Any]:
    kind, subject, case, seconds, anchor, speeds, memory = what
    times = [seconds * speed for speed in speeds]
    anchors = {
        "compute-1": [1e-4 * speed for speed in speeds],
        "memory-1": [2e-4 * memory * speed for speed in speeds],
    }
    key = [kind, subject, case, "cpu"]
    return {
        "key": key,
        "anchor": anchor,
        "seconds": times,
        "undisturbed": times,
        "anchors": anchors,
    }


def cells(text: str, title: str, kind: str) -> list[str]:
    """The row of a kind in the table below a title."""
    part = text.partition(f"**{title}")[2]
    row = next(line for line in part.splitlines() if line.startswith(f"| {kind} |"))
    return [cell.strip() for cell in row.strip("|").split("|")]


def compared(*sessions: dict[str, Any]) -> str:
    return study.compared(sessions)


def test_what_slows_all_down_alike_is_taken_away() -> None:
    text = compared(session(1, 1, 1), session(2, 2, 2), session(1.5, 1.5, 1.5))
    _, n, median, _, _, _, ratio, taken, _ = cells(text, "Between quiet sessions", "all")
    assert (n, ratio, taken) == ("3", "0.0%", "100% of the variance")
    assert float(median.rstrip("%")) == pytest.approx(34.8)  # of log 1, 2 and 1.5


def test_each_kind_is_divided_by_its_own_anchor() -> None:
    """Only memory was slower: the computing anchor cannot tell, the copying one can."""
    text = compared(session(1, 1, 1), session(1, 1, 1, memory=2))
    _, _, median, _, compute, memory, ratio, *_ = cells(text, "Between quiet", "memory-bound")
    assert (compute, memory, ratio) == (median, "0.0%", "0.0%")
    _, _, median, _, compute, memory, ratio, *_ = cells(text, "Between quiet", "training")
    assert (median, compute, ratio) == ("0.0%", "0.0%", "0.0%")
    assert memory != "0.0%"


def test_two_machines_are_compared_by_the_means_of_their_quiet_sessions() -> None:
    here = [session(1, 1, 1), session(1, 1, 1)]
    there = [session(3, 3, 3, name="there"), session(3, 3, 3, name="there")]
    text = compared(*here, *there)
    assert cells(text, "Between machines", "all")[2] == "77.7%"  # the deviation of log 1 and log 3
    assert cells(text, "Between machines", "all")[6] == "0.0%"
    assert cells(text, "Between quiet sessions", "all")[2] == "0.0%"


def test_one_machine_tells_nothing_of_two() -> None:
    text = compared(session(1, 1, 1), session(1, 1, 1))
    assert "Not known: the sessions are of fewer than two machines." in text


@pytest.mark.parametrize(
    ("beside", "others", "state"),
    [
        ("", 0.1, "quiet"),
        ("", 0.9, "busy"),
        ("memory", 1.1, "beside our memory program"),
        ("compute", 1.9, "busy"),
    ],
)
def test_the_state_of_a_session_is_what_else_ran(beside: str, others: float, state: str) -> None:
    assert study.state_of(session(1, beside=beside, others=others)) == state


def test_a_busy_session_at_high_priority_is_a_state_of_its_own() -> None:
    assert study.state_of(session(1, others=1.0, nice=-15)) == "busy, at high priority"
    assert study.state_of(session(1, others=0.1, nice=-15)) == "quiet"


def test_all_kinds_have_rows() -> None:
    text = compared(session(1, 1, 1), session(2, 2, 2))
    assert all(f"| {kind} |" in text for kind in KINDS)
