"""Groups are timed in one process after another, until enough is known or the time is up.

The processes are fakes that know what they would have measured, and time passes only in them; the
last tests start real ones.
"""

from __future__ import annotations

import math
import os
from dataclasses import astuple, dataclass, field, replace
from typing import TYPE_CHECKING, Any

import pytest

from harness.contract.values import Failure, TimedCall, WorkloadKey
from harness.processes import worker as processes
from harness.statistics.timings import FEWEST, TIGHT_FROM
from harness.timing.busyness import Usage
from harness.timing.session import CAP, LONGEST, MOST, Bench, GroupAnswer, Session, time_groups
from harness.timing.workloads import SoftmaxGroup

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from harness.contract.values import Timing
    from harness.processes.client import Limits


class Clock:
    """Seconds that pass only where something is measured."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@dataclass(frozen=True)
class Group:
    """Subjects on a case; all that is needed of the real ones, and a copy beside them if asked."""

    case: str
    subjects: tuple[str, ...] = ("a",)
    weight: float = 1.0
    copy: bool = False

    @property
    def keys(self) -> list[WorkloadKey]:
        return [
            WorkloadKey(TimedCall.SOFTMAX, subject, self.case, "cpu") for subject in self.subjects
        ]

    def workloads(self) -> list[WorkloadKey]:
        return (
            [*self.keys, WorkloadKey(TimedCall.COPY, "copy", self.case, "cpu")]
            if self.copy
            else self.keys
        )

    def without(self, key: WorkloadKey) -> Group | None:
        left = tuple(subject for subject in self.subjects if subject != key.subject)
        return replace(self, subjects=left) if left else None


Finding = dict[str, Any]
DIED = Failure("signal", "died of SIGABRT")


@dataclass
class Machine:
    """What each workload would find, and a record of what was asked of which process.

    Args:
        finds: given (subject, case, number of the real process), changes to a finding: ``status``,
            ``reason``, ``samples``, ``calls``, ``figures``.
        seconds: that a group takes, given its share.
        spare: of these, seconds that the rounds beyond the fewest take.
        usage: of the machine's processors, in each process.
        dies: subjects that end the process they are in.
        fate: in which way.
        silent: that they do so before anything is noted.
        raises: cases that fail, before anything is noted, without ending it.
        anchors: seconds of each anchor, given (case, number of the real process).
    """

    finds: Callable[[str, str, int], Finding] = lambda *_: {}
    seconds: Callable[[float], float] = lambda _: 1.0
    spare: Callable[[float], float] = lambda _: 0.0
    usage: Usage = field(default_factory=Usage)
    dies: frozenset[str] = frozenset()
    fate: Failure = DIED
    silent: bool = False
    raises: frozenset[str] = frozenset()
    anchors: Callable[[str, int], dict[str, float]] = lambda *_: {}
    clock: Clock = field(default_factory=Clock)
    started: list[Process] = field(default_factory=list)
    calls: list[tuple[int, Group, float]] = field(default_factory=list)
    seeds: list[int] = field(default_factory=list)
    limits: list[Limits] = field(default_factory=list)
    told: list[tuple[int, str]] = field(default_factory=list)

    def start(self, bench: Bench) -> Any:
        self.started.append(Process(self, len(self.started) + 1))
        return self.started[-1]

    def time(self, *groups: Group, budget: float = 1000.0, **options: Any) -> Session:
        bench = Bench(groups, budget=budget, **options)  # type: ignore[arg-type]  # as good as
        return time_groups(
            bench,
            clock=self.clock,
            start=self.start,
            tell=lambda number, case: self.told.append((number, case)),
        )

    def orders(self) -> list[tuple[str, ...]]:
        """The cases in each process, in turn."""
        return [
            tuple(case for n, case in self.told if n == number)
            for number in range(1, max(n for n, _ in self.told) + 1)
        ]


class Process:
    """A worker that answers at its second poll."""

    def __init__(self, machine: Machine, number: int) -> None:
        self.machine, self.number = machine, number
        self.usable, self.ended, self.polls = True, False, 0
        self.fresh, self.start_seconds = True, 0.0
        self.answer: tuple[Any, Failure | None] | None = None
        self.noted: tuple[int, WorkloadKey] | None = None

    def call(
        self, _: Any, group: Group, seed: int, share: float, how: Any, *, limits: Any, notes: bool
    ) -> None:
        assert notes
        assert self.usable
        assert not self.ended
        assert self.machine.started[-1] is self, "two processes at a time disturb one another"
        self.machine.calls.append((self.number, group, share))
        self.machine.limits.append(limits)
        self.machine.seeds.append(seed)
        self.machine.clock.now += self.machine.seconds(share)
        self.polls = 0
        keys = group.workloads()
        fatal = [(i, key) for i, key in enumerate(keys) if key[1] in self.machine.dies]
        self.noted = (len(keys) - 1, keys[-1])
        if fatal:
            self.usable = False
            self.noted = None if self.machine.silent else fatal[0]
            self.answer = None, self.machine.fate
        elif group.case in self.machine.raises:
            self.noted = None
            self.answer = None, Failure("exception", "ValueError: no")
        else:
            found = [self._found(key) for key in keys]
            seconds = self.machine.anchors(group.case, self.number)
            told = GroupAnswer(found, self.machine.spare(share), self.machine.usage, seconds)
            self.answer = astuple(told), None

    def _found(self, key: WorkloadKey) -> Any:
        usual: Finding = {
            "status": "ok",
            "reason": "",
            "samples": [1.0, 2.0, 3.0],
            "calls": 1,
            "figures": {},
        }
        return (key, *(usual | self.machine.finds(key[1], key[2], self.number)).values())

    def poll(self) -> tuple[Any, Failure | None] | None:
        self.polls += 1
        return self.answer if self.polls > 1 else None

    def end(self) -> None:
        assert not self.ended
        self.usable, self.ended = False, True


@pytest.fixture(autouse=True)
def nobody_waits_for_a_fake(monkeypatch: pytest.MonkeyPatch) -> None:
    real = processes.wait

    def wait(workers: list[Any], seconds: float) -> None:
        if not isinstance(workers[0], Process):
            real(workers, seconds)

    monkeypatch.setattr(processes, "wait", wait)


def never_tight(_subject: str, _case: str, process: int) -> Finding:
    return {"samples": [2.0**process]}


def timings_of(session: Session) -> dict[str, Timing]:
    return {timing.subject: timing for timing in session.timings}


# How many processes


def test_intervals_that_are_tight_take_five_processes() -> None:
    session = Machine().time(Group("x"), Group("y"))
    assert (session.n_processes, session.stopped) == (TIGHT_FROM, "tight")
    assert [timing.status for timing in session.timings] == ["ok", "ok"]
    assert session.timings[0].samples == ((1.0, 2.0, 3.0),) * TIGHT_FROM


def test_one_interval_that_is_wide_asks_for_more_processes_of_its_own_group() -> None:
    wide_at_first = Machine(lambda _, case, n: {"samples": [1.5 if (case, n) == ("y", 1) else 1.0]})
    session = wide_at_first.time(Group("x"), Group("y"))
    assert session.stopped == "most"
    n = {timing.case: len(timing.samples) for timing in session.timings}
    assert n == {"x": TIGHT_FROM, "y": MOST}


def test_the_budget_is_used_while_an_interval_is_wide_if_no_number_of_processes_is_wanted() -> None:
    session = Machine(never_tight).time(Group("x"), budget=41.5, most=None)
    assert (session.n_processes, session.stopped, session.seconds) == (41, "budget", 41.0)


@pytest.mark.parametrize(("spare", "seconds"), [(0.0, 164.0), (35.0, 180.0)])
def test_a_process_that_fits_with_fewer_rounds_begins(spare: float, seconds: float) -> None:
    """Four of 41 s fit into 180 s, and a fifth that ends with its time."""
    machine = Machine(never_tight, lambda share: min(41.0, max(share, 41.0 - spare)))
    machine.spare = lambda share: min(41.0, max(share, 41.0 - spare)) - (41.0 - spare)
    session = machine.time(Group("x"), budget=180.0, most=None)
    assert (session.stopped, session.seconds) == ("budget", seconds)


def test_a_short_group_goes_on_where_there_is_no_time_for_a_long_one() -> None:
    machine = Machine(never_tight)

    def tell(number: int, case: str) -> None:
        machine.clock.now += {"short": 0.0, "long": 8.0}[case]  # the machine takes a second more
        machine.told.append((number, case))

    bench = Bench((Group("short"), Group("long")), budget=35.0, most=None)  # type: ignore[arg-type]
    session = time_groups(bench, clock=machine.clock, start=machine.start, tell=tell)
    n = {timing.case: len(timing.samples) for timing in session.timings}
    assert n == {"short": 8, "long": 3}
    assert (session.stopped, session.seconds) == ("budget", 35.0)


def test_a_group_that_was_put_aside_has_its_turn_when_the_others_leave_time() -> None:
    """It took 9 s of the first 13, so that three such processes would have taken 39 of 35."""
    machine = Machine(lambda _s, case, _n: {"samples": [1.0]})
    spent = {"short": 1.0, "middling": 3.0, "long": 9.0}

    def tell(number: int, case: str) -> None:
        later = {"short": 1.0, "middling": 1.0, "long": 9.0}
        machine.clock.now += (spent if number == 1 else later)[case] - 1.0
        machine.told.append((number, case))

    bench = Bench(tuple(map(Group, spent)), budget=35.0)  # type: ignore[arg-type]
    session = time_groups(bench, clock=machine.clock, start=machine.start, tell=tell)
    assert [sorted(order) for order in machine.orders()][1:5] == [
        *[["middling", "short"]] * 2,
        *[["long"]] * 2,
    ]
    assert {timing.status for timing in session.timings} == {"ok"}


def test_there_are_so_many_processes_and_no_more() -> None:
    machine = Machine(never_tight)
    session = machine.time(Group("x"), budget=1e9)
    assert (session.n_processes, session.stopped) == (MOST, "most")
    assert len(machine.started) == len(session.timings[0].samples) == MOST


def test_fewer_processes_may_be_wanted() -> None:
    session = Machine(never_tight).time(Group("x"), budget=1e9, most=5)
    assert (session.n_processes, session.stopped) == (5, "most")


def test_no_process_begins_once_the_budget_is_spent() -> None:
    session = Machine(never_tight).time(Group("x"), budget=5.0)
    assert (session.n_processes, session.stopped, session.seconds) == (5, "budget", 5.0)


def test_no_process_begins_that_would_probably_not_end_in_time() -> None:
    session = Machine(never_tight, lambda _: 2.0).time(Group("x"), budget=7.0)
    assert (session.n_processes, session.stopped, session.seconds) == (3, "budget", 6.0)


def test_the_fewest_processes_are_begun_though_they_may_not_end_in_time() -> None:
    session = Machine(never_tight, lambda _: 2.0).time(Group("x"), budget=5.0)
    assert (session.n_processes, session.seconds) == (FEWEST, 6.0)
    assert session.timings[0].status == "ok"


def test_what_was_measured_in_too_few_processes_is_not_reported() -> None:
    session = Machine(seconds=lambda _: 10.0).time(Group("x"), budget=15.0)
    assert (session.n_processes, session.stopped) == (2, "budget")
    (timing,) = session.timings
    assert (timing.status, timing.samples) == ("unfinished", ())
    assert timing.reason == f"the time was up after 2 processes of {FEWEST}"


def test_the_first_process_measures_every_group_although_the_budget_is_spent() -> None:
    groups = [Group(case) for case in "xyz"]
    session = Machine(seconds=lambda _: 10.0).time(*groups, budget=1.0)
    assert (session.n_processes, session.stopped) == (1, "budget")
    assert [(timing.case, timing.status) for timing in session.timings] == [
        (case, "unfinished") for case in "xyz"
    ]
    assert session.timings[0].reason == f"the time was up after 1 process of {FEWEST}"


def test_the_longest_groups_are_given_up_if_the_fewest_processes_would_not_end_in_time() -> None:
    machine = Machine(never_tight)
    spent = {"short": 1.0, "middling": 3.0, "long": 9.0}

    def tell(_number: int, case: str) -> None:
        machine.clock.now += spent[case] - 1.0  # the machine itself takes the other second
        machine.told.append((_number, case))

    bench = Bench(tuple(map(Group, spent)), budget=22.0)  # type: ignore[arg-type]
    session = time_groups(bench, clock=machine.clock, start=machine.start, tell=tell)
    found = {timing.case: timing for timing in session.timings}
    assert [timing.status for timing in found.values()] == ["ok", "ok", "unfinished"]
    assert found["long"].reason == f"the time was up after 1 process of {FEWEST}"
    assert [sorted(order) for order in machine.orders()][:2] == [
        ["long", "middling", "short"],
        ["middling", "short"],
    ]


def test_nothing_to_time_takes_no_process() -> None:
    machine = Machine()
    session = machine.time()
    assert (session.timings, session.n_processes, machine.started) == ((), 0, [])


def test_a_session_says_why_there_were_no_more_processes() -> None:
    texts = {str(Session((), 4, stopped, 31.4)) for stopped in ("tight", "budget", "most")}
    assert texts == {
        "timed for 31 s in 4 processes, until every interval was tight",
        "timed for 31 s in 4 processes, until the time limit",
        "timed for 31 s in 4 processes, the largest number",
    }
    usage = Usage(seconds=20.0, own=19.0, others=1.0, stolen=0.5)
    facts = Session((), 4, "tight", 31.44, usage, 1.5).facts(60.0)
    parts = {"own": 0.95, "others": 0.05, "stolen": 0.025}
    assert facts == {
        "budget": 60.0,
        "processes": 4,
        "stopped": "tight",
        "seconds": 31.4,
        "samples_kept_per_process": CAP,
        "machine": {"processors": os.cpu_count(), "load": 1.5, **parts},
    }


def test_a_session_on_a_busy_machine_says_so() -> None:
    usage = Usage(seconds=2.0, own=1.0, others=4.0)
    session = Machine(usage=usage).time(Group("x"), Group("y"))
    assert session.usage == Usage(seconds=20.0, own=10.0, others=40.0)
    assert str(session).startswith("timed for 10 s in 5 processes, until every interval was tight")
    assert "; this machine was busy: other programs used 2.0 of " in str(session)
    assert str(session).endswith("the timed code had one for only 50% of the time")
    quiet = Machine(usage=Usage(seconds=2.0, own=2.0)).time(Group("x"))
    assert "busy" not in str(quiet)


def test_a_figure_in_seconds_has_an_interval() -> None:
    machine = Machine(lambda _s, _c, n: {"figures": {"first_seconds": n / 8, "n_train": 7.0}})
    (timing,) = machine.time(Group("x")).timings
    figures = timing.figures
    assert figures["first_seconds"] == 3 / 8
    assert figures["first_seconds_low"] < 3 / 8 < figures["first_seconds_high"]
    assert "n_train_low" not in figures


# What is in a process


def test_every_process_has_ended_before_the_next_begins_and_at_last() -> None:
    machine = Machine(never_tight)
    machine.time(Group("x"), Group("y"))
    assert all(process.ended for process in machine.started)


def test_a_process_has_ended_although_the_user_interrupts() -> None:
    machine = Machine()

    def interrupt(_number: int, _case: str) -> None:
        raise KeyboardInterrupt

    bench = Bench((Group("x"),))  # type: ignore[arg-type]
    with pytest.raises(KeyboardInterrupt):
        time_groups(bench, clock=machine.clock, start=machine.start, tell=interrupt)
    assert [process.ended for process in machine.started] == [True]


def test_groups_come_in_another_order_in_every_process_and_timings_in_the_order_of_groups() -> None:
    machine = Machine(never_tight)
    cases = "cabfde"
    session = machine.time(*[Group(case) for case in cases], budget=1e9)
    orders = machine.orders()
    assert [sorted(order) for order in orders] == [sorted(cases)] * MOST
    assert len(set(orders)) > MOST // 2
    assert [timing.case for timing in session.timings] == list(cases)


def test_timings_within_a_group_come_in_the_order_of_its_workloads() -> None:
    session = Machine().time(Group("x", ("c", "a", "b"), copy=True))
    assert [timing.subject for timing in session.timings] == ["c", "a", "b", "copy"]


def test_every_call_has_another_seed_and_a_session_has_the_same_ones_again() -> None:
    machine, again = Machine(), Machine()
    for one in (machine, again):
        one.time(Group("x"), Group("y"))
    assert len(set(machine.seeds)) == len(machine.seeds) == 2 * TIGHT_FROM
    assert machine.seeds == again.seeds


def test_the_time_is_shared_by_weight() -> None:
    machine = Machine(never_tight, seconds=lambda share: share)
    machine.time(Group("x", weight=1.0), Group("y", weight=3.0), budget=120.0)
    first = {group.case: share for number, group, share in machine.calls if number == 1}
    assert first == {"x": pytest.approx(10.0), "y": pytest.approx(30.0)}
    shares = [sum(s for n, _, s in machine.calls if n == number) for number in (1, 2, 3)]
    assert shares == [pytest.approx(40.0)] * FEWEST


def test_what_one_group_leaves_of_its_time_the_others_get() -> None:
    machine = Machine(seconds=lambda _: 0.0)
    machine.time(Group("x"), Group("y"), budget=60.0)
    assert [share for number, _, share in machine.calls if number == 1] == [10.0, 20.0]


def test_a_group_that_takes_longer_than_its_share_leaves_none_below_zero() -> None:
    machine = Machine(seconds=lambda _: 100.0)
    machine.time(Group("x"), Group("y"), budget=60.0)
    assert [share for *_, share in machine.calls] == [10.0]


def test_what_the_first_process_does_not_come_to_is_given_up_with_a_time_that_would_do() -> None:
    session = Machine(seconds=lambda _: 10.0).time(*map(Group, "wxyz"), budget=60.0)
    assert [timing.status for timing in session.timings] == ["ok", "ok", *["unfinished"] * 2]
    assert session.n_processes == FEWEST
    reason = "not timed within 60 s; about 120 s would suffice"
    assert [timing.reason for timing in session.timings[2:]] == [reason] * 2


def test_a_workload_that_hangs_is_ended_the_sooner_the_less_was_expected_of_it() -> None:
    machine = Machine(seconds=lambda _: 0.0)
    groups = [
        Group("x", weight=0.1),
        Group("y", weight=3.0),
        Group("several", ("a", "b", "c"), weight=3.0),
        Group("z", weight=1e6),
    ]
    machine.time(*groups, budget=30)
    limits = {
        group.case: limit
        for (_, group, _), limit in zip(machine.calls, machine.limits, strict=True)
    }
    seconds = [limits[case].seconds for case in ("x", "several", "y", "z")]
    assert seconds == sorted(seconds)
    assert 10 < seconds[0] < 20
    assert seconds[-1] == LONGEST
    assert {limit.memory for limit in machine.limits} == {limits["x"].memory}


def test_a_process_may_use_so_much_memory_and_no_more() -> None:
    machine = Machine()
    machine.time(Group("x"), memory=12345)
    assert {limit.memory for limit in machine.limits} == {12345}


def test_a_process_keeps_so_many_samples_and_no_more() -> None:
    machine = Machine(lambda *_: {"samples": [float(i + 1) for i in range(CAP + 7)]})
    (timing,) = machine.time(Group("x")).timings
    assert [len(process) for process in timing.samples] == [CAP] * TIGHT_FROM
    assert timing.samples[0][-1] == CAP


def test_calls_and_figures_are_the_most_of_all_processes() -> None:
    machine = Machine(lambda _s, _c, n: {"calls": 10 - n, "figures": {"error": n / 8}})
    (timing,) = machine.time(Group("x"), threads=4).timings
    assert (timing.calls, dict(timing.figures)) == (9, {"error": TIGHT_FROM / 8})
    assert (timing.kind, timing.subject, timing.case, timing.device) == ("softmax", "a", "x", "cpu")
    assert timing.threads == 4


# What goes wrong


def test_what_is_wrong_in_one_process_is_wrong_and_keeps_no_samples() -> None:
    wrong = {"status": "wrong", "reason": "off by 0.1", "samples": []}
    machine = Machine(lambda s, _, n: wrong if (s, n) == ("bad", 2) else {})
    found = timings_of(machine.time(Group("x", ("good", "bad"))))
    assert (found["bad"].status, found["bad"].reason) == ("wrong", "off by 0.1")
    assert found["bad"].samples == ()
    assert (found["good"].status, len(found["good"].samples)) == ("ok", TIGHT_FROM)


def test_what_speaks_against_a_kernel_in_one_process_is_what_is_told() -> None:
    machine = Machine(lambda _s, _c, n: {"figures": {"survives": float(n != 2), "error": n / 8}})
    (timing,) = machine.time(Group("x")).timings
    assert timing.figures["survives"] == 0
    assert timing.figures["error"] == TIGHT_FROM / 8


def test_what_is_wrong_is_not_waited_for() -> None:
    wrong = {"status": "wrong", "reason": "off by 0.1", "samples": []}
    session = Machine(lambda *_: wrong).time(Group("x"))
    assert (session.n_processes, session.stopped) == (1, "nothing")


def test_what_ends_the_process_is_to_blame_and_the_others_begin_once_more_without_it() -> None:
    machine = Machine(dies=frozenset({"bad"}))
    found = timings_of(machine.time(Group("x", ("good", "bad", "fine"))))
    assert (found["bad"].status, found["bad"].reason) == ("failed", "died of SIGABRT")
    assert found["bad"].samples == ()
    assert list(found) == ["good", "bad", "fine"]
    assert all(process.ended for process in machine.started)
    first = [(number, group.subjects) for number, group, _ in machine.calls[:2]]
    assert first == [(1, ("good", "bad", "fine")), (2, ("good", "fine"))]


def test_two_that_end_the_process_are_both_to_blame() -> None:
    found = timings_of(Machine(dies=frozenset("bd")).time(Group("x", ("a", "b", "c", "d"))))
    statuses = {subject: timing.status for subject, timing in found.items()}
    assert statuses == {"a": "ok", "b": "failed", "c": "ok", "d": "failed"}


def test_where_nothing_tells_what_ended_the_process_the_whole_group_failed() -> None:
    machine = Machine(dies=frozenset({"bad"}), silent=True)
    session = machine.time(Group("x", ("good", "bad")), Group("y", ("other",)))
    statuses = {subject: timing.status for subject, timing in timings_of(session).items()}
    assert statuses == {"good": "failed", "bad": "failed", "other": "ok"}


def test_a_group_that_cannot_do_without_what_ended_its_process_failed() -> None:
    """A copy is beside every kernel, so that leaving it out would come to the same end for ever."""
    machine = Machine(dies=frozenset({"copy"}))
    session = machine.time(Group("x", ("good",), copy=True), Group("y", ("other",)))
    statuses = {subject: timing.status for subject, timing in timings_of(session).items()}
    assert statuses == {"good": "failed", "copy": "failed", "other": "ok"}


def test_the_others_of_a_group_that_died_are_measured_as_often_as_all() -> None:
    machine = Machine(dies=frozenset({"bad"}))
    found = timings_of(machine.time(Group("x", ("good", "bad", "fine")), Group("y", ("other",))))
    assert {subject: (timing.status, len(timing.samples)) for subject, timing in found.items()} == {
        "good": ("ok", TIGHT_FROM),
        "bad": ("failed", 0),
        "fine": ("ok", TIGHT_FROM),
        "other": ("ok", TIGHT_FROM),
    }


def test_the_one_to_blame_is_not_tried_again() -> None:
    machine = Machine(never_tight, dies=frozenset({"bad"}))
    machine.time(Group("x", ("good", "bad")))
    assert sum("bad" in group.subjects for _, group, _ in machine.calls) == 1


class Softmaxes(SoftmaxGroup):
    """Kernels that need no logits."""

    def workloads(self, *_: Any) -> Any:
        return self.keys


def test_a_kernel_that_hangs_is_left_out_of_the_other_shapes_and_costs_nobody_time() -> None:
    machine = Machine(dies=frozenset({"bad"}), fate=Failure("timeout", "took more than 16 s"))
    shapes = [(5, 3), (7, 3), (9, 3)]
    groups = [Softmaxes(("bad", "good"), shape, "float32", "cpu") for shape in shapes]
    session = machine.time(*groups, budget=10.0)  # type: ignore[arg-type]  # as good as
    found = {(one.subject, one.case): one for one in session.timings}
    for n, _ in shapes:
        case = f"{n}x3 float32 warm"
        assert (found["bad", case].status, found["good", case].status) == ("failed", "ok")
    assert found["bad", "9x3 float32 warm"].reason == "took more than 16 s (5x3 float32 warm)"
    assert sum("bad" in group.kernels for _, group, _ in machine.calls) == 1  # type: ignore[attr-defined]


def test_a_group_that_was_put_aside_has_its_turn_when_all_others_have_failed() -> None:
    machine = Machine()
    spent = {"x": 9.0, "y": 1.0}

    def tell(number: int, case: str) -> None:
        machine.clock.now += spent[case] - 1.0
        machine.told.append((number, case))
        machine.raises = frozenset({"y"}) if number == 2 else frozenset()

    bench = Bench(tuple(map(Group, spent)), budget=28.0)  # type: ignore[arg-type]
    session = time_groups(bench, clock=machine.clock, start=machine.start, tell=tell)
    assert machine.orders() == [("x", "y"), ("y",), ("x",), ("x",)]
    assert {timing.case: timing.status for timing in session.timings} == {"x": "ok", "y": "failed"}


def test_what_raises_leaves_its_process_to_the_others() -> None:
    machine = Machine(raises=frozenset({"x"}))
    found = timings_of(machine.time(Group("x", ("bad",)), Group("y", ("good",))))
    assert (found["bad"].status, found["bad"].reason) == ("failed", "ValueError: no")
    assert (found["good"].status, len(found["good"].samples)) == ("ok", TIGHT_FROM)
    assert len(machine.started) == TIGHT_FROM


def test_a_group_that_fails_does_not_keep_the_others_from_being_tight() -> None:
    machine = Machine(dies=frozenset({"bad"}))
    session = machine.time(Group("x", ("bad",)), Group("y", ("good",)))
    assert (session.n_processes, session.stopped) == (TIGHT_FROM, "tight")


def test_if_all_have_failed_there_is_nothing_to_go_on_with() -> None:
    session = Machine(dies=frozenset({"a"})).time(Group("x"), Group("y"))
    assert session.n_processes == 1
    assert [timing.status for timing in session.timings] == ["failed", "failed"]


def test_what_was_measured_before_it_failed_is_not_reported() -> None:
    machine = Machine(never_tight)

    def start(bench: Bench) -> Any:
        if len(machine.started) == 4:
            machine.dies = frozenset({"a"})
        return machine.start(bench)

    bench = Bench((Group("x"),), budget=1e9)  # type: ignore[arg-type]
    (timing,) = time_groups(bench, clock=machine.clock, start=start).timings
    assert (timing.status, timing.samples) == ("failed", ())


def test_a_copy_beside_what_ended_a_process_has_one_entry_for_each_process() -> None:
    """Otherwise its interval counts processes that never were, and its ratios pair strangers."""
    machine = Machine(never_tight, dies=frozenset({"bad"}))
    session = machine.time(Group("x", ("good", "fine", "bad"), copy=True))
    found = timings_of(session)
    assert len(found["copy"].samples) == session.n_processes


# Anchors


def test_a_timing_keeps_its_anchors_seconds_of_the_very_processes_that_timed_it() -> None:
    machine = Machine(never_tight)
    machine.anchors = lambda case, n: {"compute-1": n * {"x": 1.0, "y": 10.0}[case]}
    session = machine.time(Group("x"), Group("y"), most=FEWEST)
    for timing in session.timings:
        scale = {"x": 1.0, "y": 10.0}[timing.case]
        # A process n has samples 2**n and an anchor of n times the group's scale.
        by_process = [math.log2(process[0]) for process in timing.samples]
        assert timing.anchors == {"compute-1": tuple(scale * n for n in by_process)}
        assert timing.anchor == "compute-1"


def test_an_anchor_that_a_process_lacked_is_kept_for_none() -> None:
    machine = Machine(never_tight)
    machine.anchors = lambda _, n: {"compute-1": 1.0} | ({} if n == 2 else {"memory-1": 1.0})
    (timing,) = machine.time(Group("x"), most=FEWEST).timings
    assert timing.anchors == {"compute-1": (1.0,) * FEWEST}


def test_a_timing_that_failed_has_no_anchor() -> None:
    machine = Machine(lambda *_: {"status": "failed", "reason": "ValueError"})
    machine.anchors = lambda *_: {"compute-1": 1.0}
    (timing,) = machine.time(Group("x")).timings
    assert (timing.anchor, timing.anchors) == ("", {})


# With real processes

SHAPE = (5, 3)


def real(*kernels: str, **options: Any) -> Session:
    """In as many processes as must be, however long a busy machine takes to start them."""
    group = SoftmaxGroup(kernels, SHAPE, "float64", "cpu")
    usual: dict[str, Any] = {"budget": 600.0, "warm_up": 0.001, "rounds": 5, "most": FEWEST}
    return time_groups(Bench((group,), **usual | options))


@pytest.mark.slow
def test_kernels_are_timed_in_real_processes() -> None:
    session = real("numpy-stable", "numpy-fast")
    assert session.n_processes >= FEWEST
    assert [timing.subject for timing in session.timings] == ["numpy-stable", "numpy-fast", "copy"]
    for timing in session.timings:
        assert (timing.status, timing.case) == ("ok", "5x3 float64 warm")
        assert len(timing.samples) == session.n_processes
        assert all(0 < seconds < 0.1 for process in timing.samples for seconds in process)
        assert timing.calls > 1
        assert set(timing.anchors) == {"compute-1", "memory-1"}
        assert all(len(seconds) == session.n_processes for seconds in timing.anchors.values())
    assert session.timings[0].figures["survives"] == 1.0
    assert session.timings[0].figures["error"] < 1e-10


PLUGIN = """
import os
import time
import numpy as np
import harness

def kernel(name, run):
    return harness.Kernel(name, lambda Z, device: Z, run, lambda P: P)

@harness.hookimpl
def harness_kernels():
    yield kernel("dies", lambda Z: os.abort())
    yield kernel("hangs", lambda Z: time.sleep(1000))
    yield kernel("lies", lambda Z: np.full_like(Z, 1 / Z.shape[1]))
    yield kernel("raises", lambda Z: 1 / 0)
"""


@pytest.mark.slow
def test_kernels_that_die_and_lie_in_real_processes_do_not_harm_a_good_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.timing.session.LEAST", 4.0)
    monkeypatch.setattr("harness.timing.session.PATIENCE", 1.0)
    (tmp_path / "bad_kernels.py").write_text(PLUGIN)
    session = real(
        "dies",
        "hangs",
        "lies",
        "raises",
        "numpy-fast",
        plugins=(str(tmp_path / "bad_kernels.py"),),
    )
    found = timings_of(session)
    assert (found["dies"].status, found["dies"].reason) == ("failed", "died of SIGABRT")
    assert (found["hangs"].status, found["hangs"].reason) == (
        "failed",
        "did not end within 4.1 s",
    )
    assert found["lies"].status == "wrong"
    assert found["lies"].reason.startswith("a probability differs ")
    assert (found["raises"].status, found["raises"].reason) == (
        "failed",
        "ZeroDivisionError: division by zero",
    )
    assert (found["numpy-fast"].status, found["numpy-fast"].reason) == ("ok", "")
    assert len(found["numpy-fast"].samples) >= FEWEST
