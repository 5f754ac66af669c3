"""Whether the machine did anything else while something was timed, from counters of the system."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.timing import busyness
from harness.timing.busyness import Snapshot, Usage, complaint, machine_seconds, total, used

PROC_STAT = {  # of Linux, in seconds
    "user": 100.0,
    "nice": 1.0,
    "system": 20.0,
    "idle": 900.0,
    "iowait": 30.0,
    "irq": 2.0,
    "softirq": 3.0,
    "steal": 7.0,
    "guest": 40.0,
    "guest_nice": 1.0,
}


def test_a_machine_s_work_leaves_out_waiting_stolen_time_and_guests() -> None:
    """A guest's time is a part of the user's, and the rest is none of this machine's."""
    assert machine_seconds(PROC_STAT) == (126.0, 7.0)


def test_a_system_that_knows_of_no_steal_has_none() -> None:
    assert machine_seconds({"user": 5.0, "system": 1.0, "idle": 3.0}) == (6.0, 0.0)


def test_what_a_process_did_not_use_itself_others_did() -> None:
    usage = used(Snapshot(10.0, 100.0, 1.0, 3.0), Snapshot(14.0, 107.0, 1.5, 6.0))
    assert usage == Usage(seconds=4.0, own=3.0, others=4.0, stolen=0.5)


def test_counters_that_lag_behind_give_nothing_below_zero() -> None:
    usage = used(Snapshot(10.0, 100.0, 1.0, 3.0), Snapshot(14.0, 103.99, 0.99, 7.0))
    assert (usage.others, usage.stolen) == (0.0, 0.0)


counters = st.tuples(*[st.floats(0, 1e6)] * 4)


@given(st.lists(counters, max_size=4))
def test_several_timings_are_added_up(parts: list[tuple[float, ...]]) -> None:
    summed = total(Usage(*part) for part in parts)
    expected = [math.fsum(column) for column in zip(*parts, strict=True)] or [0.0] * 4
    assert [summed.seconds, summed.own, summed.others, summed.stolen] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"others": 0.19}, ""),
        ({"others": 0.2}, "other programs used 0.2 of 2 processors"),
        ({"others": 6.3, "processors": 64}, ""),
        ({"others": 6.4, "processors": 64}, "other programs used 6.4 of 64 processors"),
        ({"stolen": 0.019}, ""),
        ({"stolen": 0.05}, "the host kept 5% of a processor from this machine"),
        ({"own": 0.8}, ""),
        ({"own": 0.5}, "the timed code had one for only 50% of the time"),
        ({"own": 3.5}, ""),  # of several threads
        ({"load": 9.0}, ""),  # which the trials before may have made
    ],
)
def test_a_machine_is_busy_from_so_much_on(facts: dict[str, Any], words: str) -> None:
    quiet = {"processors": 2, "load": 0.5, "others": 0.01, "stolen": 0.0, "own": 0.99}
    assert complaint(quiet | facts) == words


def test_facts_are_parts_of_the_time() -> None:
    facts = Usage(seconds=20.0, own=19.0, others=3.0, stolen=1.0).facts(load=1.25)
    assert (facts["own"], facts["others"], facts["stolen"]) == (0.95, 0.15, 0.05)
    assert facts["load"] == 1.25
    assert Usage().facts()["others"] == 0.0


def test_of_runs_from_before_nothing_is_said() -> None:
    assert complaint({}) == ""


def test_the_counters_of_this_machine_grow() -> None:
    before = Snapshot.now()
    while (after := Snapshot.now()).own - before.own < 0.05:
        pass
    usage = used(before, after)
    assert usage.seconds > 0
    assert usage.own >= 0.05
    assert after.busy >= before.busy


def test_where_the_counters_cannot_be_read_there_are_no_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fails() -> Any:
        raise PermissionError

    monkeypatch.setattr(busyness.psutil, "cpu_times", fails)
    assert used(Snapshot.now(), Snapshot.now()).others == 0


def test_a_system_without_a_load_average_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails() -> Any:
        raise OSError

    monkeypatch.setattr(busyness.os, "getloadavg", fails)
    assert busyness.load_average() is None
