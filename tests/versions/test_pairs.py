"""Pairs of processes in turns: when they end, what faults do to them, and how often they are wrong.

No process is started and nothing sleeps: a fake process takes the seconds that a test says from a
clock that only it moves.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from scipy import stats

from harness.analysis.changes import change_rows, status
from harness.contract.registry import Registry
from harness.statistics.verdicts import LOOKS, look_level
from harness.versions.pairs import (
    FEWEST,
    MOST,
    SIDE,
    Design,
    FaultError,
    PairedRun,
    SideError,
    compare_sides,
)
from harness.versions.sides import Side
from harness.versions.tasks import Softmax

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from harness.versions.pairs import TaskResult

SIDES = Side("old", "python-a", "a"), Side("new", "python-b", "b")
NOTHING = Registry((), [])
CALL = 0.01


@dataclass
class Lab:
    """Starts fake processes, moves the clock, and writes down what they are asked.

    Args:
        ratio: log(b/a) of a pair, by its number and the kernel.
        pair_seconds: that starting a pair takes.
        ready: what a process says, by side, pair and kernel, instead of how long a call takes.
        block: called before each block with side, pair and kernel; may raise.
        disturbed: how many times longer a block takes, by side and the number of blocks so far.
    """

    ratio: Callable[[int, str], float] = lambda _pair, _kernel: 0.0
    pair_seconds: float = 1.0
    ready: Callable[[str, int, str], dict[str, Any] | None] = lambda *_: None
    block: Callable[[str, int, str], None] = lambda *_: None
    disturbed: Callable[[str, int], float] = lambda *_: 1.0
    now: float = 0.0
    events: list[tuple[str, int, str]] = field(default_factory=list)
    started: list[tuple[str, int, tuple[str, ...], float]] = field(default_factory=list)
    ended: int = 0

    def clock(self) -> float:
        return self.now

    def start(
        self, side: Side, asked: Mapping[str, Any], plan: Design, chance: random.Random
    ) -> FakeStand:
        kernels = tuple(spec["subject"] for spec in asked["tasks"])
        pair = asked["tasks"][0]["seed"][1]
        self.started.append((side.name, pair, kernels, chance.random()))
        self.now += self.pair_seconds / 2
        return FakeStand(self, side.name, pair, kernels)

    def compare(self, plan: Design, **more: Any) -> PairedRun:
        return compare_sides(SIDES, plan, NOTHING, clock=self.clock, start=self.start, **more)


@dataclass
class FakeStand:
    lab: Lab
    side: str
    pair: int
    kernels: tuple[str, ...]
    broken: dict[str, str] = field(default_factory=dict)

    def ready(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        for kernel in self.kernels:
            answer = self.lab.ready(self.side, self.pair, kernel) or {"seconds": CALL}
            found.append(answer)
            if "ended" in answer:
                break
        return found

    def run(self, task: int, calls: int) -> float:
        assert calls >= 1
        kernel = self.kernels[task]
        self.lab.block(self.side, self.pair, kernel)
        self.lab.events.append((self.side, self.pair, kernel))
        slower = np.exp(self.lab.ratio(self.pair, kernel)) if self.side == "new" else 1.0
        return float(CALL * slower * self.lab.disturbed(self.side, len(self.lab.events)))

    def end(self) -> None:
        self.lab.ended += 1


def tasks(*kernels: str) -> tuple[Softmax, ...]:
    return tuple(Softmax((kernel, kernel), (5, 3), "float32") for kernel in kernels)


def plan(*kernels: str, **more: Any) -> Design:
    usual: dict[str, Any] = {"seconds": 1000.0}
    return Design(tasks(*(kernels or ("k",))), **usual | more)


def alternating(size: float) -> Callable[[int, str], float]:
    """Noise that no number of pairs decides, for a budget of nothing."""
    return lambda pair, _: size * (-1) ** pair * (1 + pair / 100)


def verdicts(session: PairedRun) -> list[str]:
    return [row.verdict for row in change_rows(session.outcomes, budget=0.03, alpha=0.01)]


# When it ends


@pytest.mark.parametrize(
    ("effect", "verdict"), [(0.2, "slower"), (-0.2, "faster"), (0.0, "same"), (0.01, "slower")]
)
def test_it_ends_at_the_first_look_that_decides(effect: float, verdict: str) -> None:
    lab = Lab(ratio=lambda pair, _: effect + 1e-4 * (pair - 4.5))
    session = lab.compare(plan())
    assert (session.n_pairs, session.ended) == (LOOKS[0], "decided")
    assert verdicts(session) == [verdict]
    assert len(session.outcomes[0].log_ratios) == LOOKS[0]


def test_pairs_are_added_up_to_the_last_look_while_it_is_undecided() -> None:
    session = Lab(ratio=alternating(0.5)).compare(plan())
    assert (session.n_pairs, session.ended) == (LOOKS[-1], "last")
    assert verdicts(session) == ["undecided"]


def test_nothing_is_judged_between_looks() -> None:
    """The eleventh pair and those after it would decide; the sixteenth is where one looks."""
    lab = Lab(ratio=lambda pair, _: 0.2 + 0.001 * pair if pair not in (0, 4) else -1.0 - pair)
    looked: list[int] = []

    def tell(n: int, outcomes: Any) -> None:
        judged = outcomes[0].change
        looked.append(judged.n if judged else 0)

    session = lab.compare(plan(), tell=tell)
    assert session.n_pairs in LOOKS
    assert set(looked) <= {0, *LOOKS}
    assert looked[: LOOKS[0]] == [0] * LOOKS[0]


def test_it_ends_when_the_time_is_up_and_finishes_the_pair_that_it_began() -> None:
    lab = Lab(ratio=alternating(0.5), pair_seconds=10.0)
    session = lab.compare(plan(seconds=35.0))
    assert session.n_pairs == 3
    assert session.seconds == 30.0
    assert session.ended == "time"
    assert verdicts(session) == ["undecided"]


def test_the_first_pair_is_measured_however_little_time_there_is() -> None:
    session = Lab(pair_seconds=50.0).compare(plan(seconds=1.0))
    assert session.n_pairs == 1
    assert len(session.outcomes[0].log_ratios) == 1


def test_no_pair_is_begun_that_would_take_longer_than_is_left() -> None:
    lab = Lab(ratio=alternating(0.5), pair_seconds=10.0)
    assert lab.compare(plan(seconds=39.9)).n_pairs == 3
    assert lab.now == 30.0


def test_the_last_look_comes_early_where_the_time_ends_before_it() -> None:
    """It takes the place of the next one, so that there are no more looks than were planned."""
    lab = Lab(ratio=lambda pair, _: 0.2 + pair * 1e-4, pair_seconds=10.0)
    session = lab.compare(plan(seconds=95.0))
    assert session.n_pairs == 9
    change = session.outcomes[0].change
    assert change is not None
    assert (change.n, change.level) == (9, look_level(0.01))
    assert session.ended == "decided"


def test_a_fixed_number_of_pairs_has_one_look_that_spends_all() -> None:
    session = Lab(ratio=lambda pair, _: 0.2 + pair * 1e-4).compare(plan(pairs=7))
    change = session.outcomes[0].change
    assert change is not None
    assert (session.n_pairs, change.n, change.level) == (7, 7, 0.01)
    assert change.verdict == "slower"


def test_a_fixed_number_of_pairs_ends_with_the_time_too() -> None:
    session = Lab(pair_seconds=10.0).compare(plan(pairs=7, seconds=35.0))
    assert session.n_pairs == 3


def test_alpha_is_spread_over_works_and_looks() -> None:
    session = Lab(ratio=alternating(0.5)).compare(plan("a", "b", "c", "d", alpha=0.02))
    for outcome in session.outcomes:
        assert outcome.change is not None
        assert outcome.change.level == pytest.approx(look_level(0.02 / 4))


def test_what_is_decided_is_measured_no_longer() -> None:
    lab = Lab(ratio=lambda pair, kernel: 0.2 + 1e-4 * pair if kernel == "a" else (-1.0) ** pair)
    session = lab.compare(plan("a", "b"))
    assert [len(outcome.log_ratios) for outcome in session.outcomes] == [LOOKS[0], LOOKS[-1]]
    assert {kernels for _, pair, kernels, _ in lab.started if pair >= LOOKS[0]} == {("b",)}


# Blocks


def test_a_neighbour_that_slows_most_blocks_of_one_side_slows_it_not() -> None:
    """The quickest tenth counts: what is slower by itself is so in these, too."""
    neighbour = {"old": lambda n: 1.0, "new": lambda n: 1.3 if n % 5 else 1.0}
    lab = Lab(lambda *_: 0.05, disturbed=lambda side, n: neighbour[side](n))
    (outcome,) = lab.compare(plan(pairs=5)).outcomes
    assert outcome.log_ratios == pytest.approx([0.05] * 5)
    assert outcome.seconds[0] == pytest.approx([CALL] * 5)


@pytest.mark.parametrize(("call", "blocks"), [(1e-4, MOST), (0.02, 25), (0.2, FEWEST)])
def test_there_are_as_many_blocks_as_there_is_time_for_and_at_least_ten(
    call: float, blocks: int
) -> None:
    lab = Lab(ready=lambda *_: {"seconds": call})
    lab.compare(plan(pairs=1))
    assert len(lab.events) == 2 * blocks
    assert blocks == FEWEST or blocks * max(call, SIDE / MOST) == pytest.approx(SIDE)


# Order


def test_sides_start_and_compute_in_random_order_and_works_too() -> None:
    lab = Lab()
    lab.compare(plan("a", "b", pairs=20))
    firsts = [lab.started[i][0] for i in range(0, len(lab.started), 2)]
    assert 3 <= firsts.count("old") <= 17
    blocks = [lab.events[i : i + 2] for i in range(0, len(lab.events), 2)]
    assert all({side for side, _, _ in block} == {"old", "new"} for block in blocks)
    assert all(block[0][1:] == block[1][1:] for block in blocks)
    assert 0.4 < np.mean([block[0][0] == "old" for block in blocks]) < 0.6
    rounds = [lab.events[i : i + 4] for i in range(0, len(lab.events), 4)]
    assert 0.3 < np.mean([events[0][2] == "a" for events in rounds]) < 0.7
    assert len(blocks) == 20 * 2 * MOST


def test_what_differs_between_pairs_is_the_same_for_both_sides() -> None:
    lab = Lab()
    lab.compare(plan(pairs=5))
    chances = [{c for _, pair, _, c in lab.started if pair == n} for n in range(5)]
    assert all(len(each) == 1 for each in chances)
    assert len(set.union(*chances)) == 5


def test_the_seed_decides_the_order() -> None:
    orders = []
    for seed in (0, 0, 1):
        lab = Lab()
        lab.compare(plan(pairs=5, seed=seed))
        orders.append([event[0] for event in lab.events])
    assert orders[0] == orders[1] != orders[2]


def test_every_process_is_ended() -> None:
    lab = Lab()
    session = lab.compare(plan())
    assert lab.ended == len(lab.started) == 2 * session.n_pairs


# Faults


def failing(side: str, kernel: str = "k", **answer: Any) -> Callable[[str, int, str], Any]:
    return lambda s, _, k: answer if s == side and k == kernel else None


def only(session: PairedRun) -> TaskResult:
    (outcome,) = session.outcomes
    return outcome


@pytest.mark.parametrize(
    ("side", "answer", "verdict", "exit_status"),
    [
        ("new", {"fault": "ValueError: wrong"}, "failed", 1),
        ("old", {"fault": "ValueError: wrong"}, "not judged", 4),
        ("new", {"missing": "no kernel 'k'"}, "only base", 4),
        ("old", {"missing": "no kernel 'k'"}, "only new", 4),
        ("new", {"fault": "died of signal 11", "ended": True}, "failed", 1),
    ],
)
def test_a_fault_before_the_first_block_ends_it_and_is_told(
    side: str, answer: dict[str, Any], verdict: str, exit_status: int
) -> None:
    lab = Lab(ready=failing(side, **answer))
    session = lab.compare(plan())
    assert session.n_pairs == 1
    assert verdicts(session) == [verdict]
    rows = change_rows(session.outcomes, budget=0.03, alpha=0.01)
    assert status(rows) == exit_status
    assert (answer.get("fault") or answer["missing"]) in rows[0].note
    assert lab.ended == 2


def test_a_fault_of_both_sides_is_no_regression() -> None:
    session = Lab(ready=lambda *_: {"fault": "ValueError: wrong"}).compare(plan())
    assert verdicts(session) == ["not judged"]
    assert only(session).faults == ("ValueError: wrong", "ValueError: wrong")


def test_a_fault_of_one_work_leaves_the_others() -> None:
    lab = Lab(ready=failing("new", "a", fault="ValueError: wrong"))
    session = lab.compare(plan("a", "b"))
    assert verdicts(session) == ["failed", "same"]
    assert [len(outcome.log_ratios) for outcome in session.outcomes] == [0, LOOKS[0]]


def test_a_process_that_one_work_ends_is_started_again_for_the_others() -> None:
    lab = Lab(ready=failing("new", "b", fault="died of signal 6", ended=True))
    session = lab.compare(plan("a", "b", "c"))
    assert verdicts(session) == ["same", "failed", "same"]
    assert lab.started[0][2] == ("a", "b", "c")
    assert {kernels for _, pair, kernels, _ in lab.started if pair} == {("a", "c")}


def test_pairs_that_a_fault_spoiled_do_not_count_towards_a_look() -> None:
    lab = Lab(ready=failing("new", "b", fault="died of signal 6", ended=True))
    session = lab.compare(plan("a", "b"))
    assert len(session.outcomes[0].log_ratios) == LOOKS[0]


@pytest.mark.parametrize("ended", [False, True])
def test_a_fault_in_a_block_is_told_and_leaves_the_others(ended: bool) -> None:
    def block(side: str, pair: int, kernel: str) -> None:
        if (side, pair, kernel) == ("new", 3, "a"):
            raise FaultError("RuntimeError: now and then", ended=ended)

    session = Lab(block=block).compare(plan("a", "b"))
    assert verdicts(session) == ["failed", "same"]
    assert [len(outcome.log_ratios) for outcome in session.outcomes] == [3, LOOKS[0]]


def test_a_side_that_cannot_be_used_ends_all_and_leaves_no_process() -> None:
    class Broken(FakeStand):
        def ready(self) -> list[dict[str, Any]]:
            raise SideError("side 'new': its harness cannot be used")

    lab = Lab()

    def start(side: Side, asked: Mapping[str, Any], plan: Design, chance: Any) -> FakeStand:
        made = lab.start(side, asked, plan, chance)
        return Broken(lab, *made_of(made)) if side.name == "new" else made

    with pytest.raises(SideError, match="side 'new'"):
        compare_sides(SIDES, plan(), NOTHING, clock=lab.clock, start=start)
    assert lab.ended == 2


def made_of(process: FakeStand) -> tuple[str, int, tuple[str, ...]]:
    return process.side, process.pair, process.kernels


def test_a_side_that_cannot_be_started_ends_the_other_one() -> None:
    lab = Lab()

    def start(side: Side, asked: Mapping[str, Any], plan: Design, chance: Any) -> FakeStand:
        if side.name == "new":
            raise SideError("side 'new': cannot be started")
        return lab.start(side, asked, plan, chance)

    for seed in range(4):  # whichever comes first
        with pytest.raises(SideError):
            compare_sides(SIDES, plan(seed=seed), NOTHING, clock=lab.clock, start=start)
    assert lab.ended == len(lab.started) > 0


@pytest.mark.parametrize("said", ["hello", "1"])
def test_an_interpreter_that_talks_is_told_by_its_side(tmp_path: Path, said: str) -> None:
    talks = tmp_path / "python"
    talks.write_text(f'#!/bin/sh\necho {said}\nexec {sys.executable} "$@"\n')
    talks.chmod(0o755)
    sides = (SIDES[0], replace(SIDES[1], python=str(talks)))
    sides = (replace(sides[0], python=sys.executable), sides[1])
    with pytest.raises(SideError, match=f"side 'new': .* prints '{said}'"):
        compare_sides(sides, plan("numpy-fast"), NOTHING)


def test_calls_that_take_long_have_few_blocks() -> None:
    lab = Lab(ready=lambda *_: {"seconds": 5.0})
    lab.compare(plan(pairs=2))
    assert len(lab.events) == 2 * 2  # one block of either side in each pair


def test_a_side_that_is_given_up_is_not_judged_where_the_other_one_is_nearly_as_slow() -> None:
    hung = {"fault": "did not answer", "ended": True, "hung": True}

    def session(seconds: float) -> PairedRun:
        lab = Lab(ready=lambda side, *_: hung if side == "new" else {"seconds": seconds})
        return lab.compare(plan(seconds=60.0))

    assert verdicts(session(0.01)) == ["failed"]
    (outcome,) = session(19.0).outcomes
    assert "a call takes 19 s, too long" in outcome.faults[0]
    assert verdicts(session(19.0)) == ["not judged"]


def test_few_pairs_do_not_say_how_many_would_tell() -> None:
    lab = Lab(pair_seconds=50.0)
    (row,) = change_rows(lab.compare(plan(seconds=60.0)).outcomes, budget=0.03, alpha=0.01)
    assert row.verdict == "undecided"
    assert "more --time" in row.note


def test_an_interpreter_that_is_none_is_told_by_its_side() -> None:
    sides = (SIDES[0], replace(SIDES[1], python="/nowhere/python"))
    with pytest.raises(SideError, match=r"side '(old|new)': \S+ cannot be started"):
        compare_sides(sides, plan(), NOTHING)


# How often it is wrong


@pytest.mark.slow
def test_the_same_code_is_hardly_ever_called_slower_or_faster() -> None:
    """Noise of a process and its blocks, with a tail; three tasks a comparison; alpha is of all."""
    alpha, comparisons = 0.05, 100
    rng = np.random.default_rng(0)
    alarms = [0, 0]
    for _ in range(comparisons):
        noise = {kernel: 0.03 * rng.standard_t(4, LOOKS[-1]) for kernel in "abc"}
        lab = Lab(ratio=lambda pair, kernel, noise=noise: float(noise[kernel][pair]))  # type: ignore[misc]
        session = lab.compare(plan("a", "b", "c", alpha=alpha, budget=0.01))
        found = {one.change.verdict for one in session.outcomes if one.change}
        alarms[0] += "slower" in found
        alarms[1] += "faster" in found
    for count in alarms:
        assert stats.binomtest(count, comparisons).proportion_ci(0.99, method="wilson").low <= alpha


@pytest.mark.parametrize("broken", ["old", "new"])
def test_a_side_with_a_plugin_that_only_the_other_can_use_is_refused(broken: str) -> None:
    """Whether it is measured or not: what does not load is not fine."""
    lab = Lab()

    def start(side: Side, asked: Mapping[str, Any], plan: Design, chance: Any) -> FakeStand:
        process = lab.start(side, asked, plan, chance)
        if side.name == broken:
            process.broken = {"mine": "plugin 'mine' (mine 1): does not import"}
        return process

    with pytest.raises(SideError, match=f"side '{broken}': plugin 'mine'"):
        compare_sides(SIDES, plan(), NOTHING, clock=lab.clock, start=start)
    assert lab.ended == len(lab.started)


def test_a_plugin_that_neither_side_can_use_is_no_obstacle() -> None:
    lab = Lab()

    def start(side: Side, asked: Mapping[str, Any], plan: Design, chance: Any) -> FakeStand:
        process = lab.start(side, asked, plan, chance)
        process.broken = {"mine": f"plugin 'mine' of {side.name}"}
        return process

    session = compare_sides(SIDES, plan(), NOTHING, clock=lab.clock, start=start)
    assert session.ended == "decided"
