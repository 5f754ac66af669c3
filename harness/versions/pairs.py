"""Two sides in turns, pair after pair of fresh processes, until enough is known.

In a pair both sides run at the same time but never work at the same time: block after block, one
computes and the other waits, in random order. What slows the machine down slows both. Whatever
differs between two processes of the same code (where memory lies, how hashes fall) differs anew in
every pair. A pair gives one number, the logarithm of the quotient of what undisturbed blocks take,
and pairs are the unit.

Undisturbed are the quickest tenth of many short blocks. A neighbour on the same core makes blocks
a fifth slower for half a second, then leaves: the median over blocks of log(b/a) tells how often he
was there for which side, and scatters by 6 to 17% over pairs of the same code where the quickest
tenth does by 1%. What is slower by itself at every call is so in its quickest blocks, too. What is
slow now and then, in fewer than nine of ten blocks, is not seen: it looks like a neighbour.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import random
import select
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from harness.errors import UsageError
from harness.processes.client import THREADS
from harness.statistics.verdicts import LOOKS, judge

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from harness.statistics.verdicts import Change
    from harness.trials.discovery import Described
    from harness.versions.sides import Side
    from harness.versions.tasks import Task

    Clock = Callable[[], float]

FEWEST, MOST = 10, 50
"""Blocks of each side in a pair, for each work: as many as there is time for."""

LONGEST = 2.0
"""Seconds that a side computes in a pair for the sake of the fewest blocks, at most: of calls that
take longer than a tenth of it there are fewer, down to one."""

SIDE = 0.5
"""Seconds that a side computes in a pair, for each work, if there is time for so much."""

SHORTEST = 0.005
"""Seconds that a block takes at least."""

UNDISTURBED = 0.1
"""Part of the blocks that is taken for undisturbed."""

HOPED = 16
"""Pairs that the time should suffice for, which blocks are shortened for."""

TOO_LONG = 10
"""Of calls that take longer than such a part of the patience, a side that is given up may just as
well be slow as the other one is: it needs three to get ready."""

PATIENCE = 30.0
"""Seconds, at least, after which a side that does not answer is given up; else it is as many as all
of it may take, since a call that takes longer cannot be measured in that."""

SIDE_PROCESS = Path(__file__).with_name("side_process.py")
PADDING = 4096
"""Bytes, at most, by which environments differ: where the stack begins can matter (Mytkowicz,
Diwan, Hauswirth & Sweeney, ASPLOS 2009)."""


class SideError(UsageError):
    """A side cannot be measured at all."""


class SideProcess(Protocol):
    """A process of one side; see `harness.versions.side_process`."""

    broken: dict[str, str]
    """By the name of a plugin that the side cannot use, why; known once it is ready."""

    def ready(self) -> list[dict[str, Any]]:
        """For each work ``seconds`` of a call, or a ``fault``, or what is ``missing``.

        Where a fault ended the process, it says so by ``ended``, and is the last; where the process
        was given up, by ``hung``, too.
        """

    def run(self, task: int, calls: int) -> float:
        """Seconds per call of a block.

        Raises:
            FaultError: it failed.
        """

    def end(self) -> None:
        """End the process and what it started."""


class FaultError(Exception):
    """A task failed in a side's process; ``ended`` tells whether that ended the process."""

    def __init__(self, reason: str, *, ended: bool = False) -> None:
        super().__init__(reason)
        self.ended = ended


@dataclass(frozen=True, slots=True)
class Design:
    """What is to be found out, and how.

    Args:
        tasks: what both sides do.
        plugins: files or modules to discover on both sides, besides what is installed.
        budget: slowdown that may be called the same, as a part: 0.03.
        alpha: probability that any of the tasks is called slower although none is.
        seconds: for all of it; a pair that has begun is finished.
        threads: that libraries may use.
        seed: of data and order.
        pairs: so many and no more, with one look at the end, rather than until all is decided.
    """

    tasks: tuple[Task, ...]
    plugins: tuple[str, ...] = ()
    budget: float = 0.03
    alpha: float = 0.01
    seconds: float = 60.0
    threads: int = 1
    seed: int = 0
    pairs: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class TaskResult:
    """What came of one work.

    Args:
        task: what both sides did.
        log_ratios: log(b/a) of each pair.
        seconds: of a call, undisturbed, in each pair, for either side.
        change: what these say; None where nothing was measured.
        faults: why a side could not do it, empty where it could.
        missing: whether a fault is that the side has nothing of that name.
    """

    task: Task
    log_ratios: tuple[float, ...]
    seconds: tuple[tuple[float, ...], tuple[float, ...]]
    change: Change | None
    faults: tuple[str, str] = ("", "")
    missing: tuple[bool, bool] = (False, False)


@dataclass(frozen=True, slots=True)
class PairedRun:
    """What came of comparing two sides.

    Args:
        outcomes: in the order of the tasks.
        n_pairs: of processes.
        seconds: that it took.
        ended: why: everything was ``decided``, everything ``failed`` on a side, the ``time`` was
            up, or the ``last`` look was reached.
    """

    outcomes: tuple[TaskResult, ...]
    n_pairs: int
    seconds: float
    ended: Literal["decided", "failed", "time", "last"]


@dataclass(slots=True)
class _Tally:
    log_ratios: list[float] = field(default_factory=list)
    seconds: tuple[list[float], list[float]] = field(default_factory=lambda: ([], []))
    faults: list[str] = field(default_factory=lambda: ["", ""])
    missing: list[bool] = field(default_factory=lambda: [False, False])
    change: Change | None = None

    @property
    def open(self) -> bool:
        undecided = self.change is None or self.change.verdict == "undecided"
        return undecided and not any(self.faults)


def compare(
    sides: tuple[Side, Side],
    plan: Design,
    registry: Described,
    *,
    clock: Clock = time.monotonic,
    start: Callable[[Side, Mapping[str, Any], Design, random.Random], SideProcess] | None = None,
    tell: Callable[[int, Sequence[TaskResult]], None] = lambda _pair, _outcomes: None,
) -> PairedRun:
    """Measure until every work is decided or the time is up.

    One looks after the numbers of pairs in `harness.statistics.verdicts.LOOKS` only, or in place of
    the next of these when the time is up, and the error rate is spread over looks and tasks, so
    that ``alpha`` holds for all of them.

    Args:
        sides: a and b, the first being what the second is held against.
        plan: what to find out.
        registry: where the data come from.
        clock: seconds, ever growing.
        start: starts a process of a side.
        tell: called with the number of pairs after each, and what is known so far.

    Raises:
        SideError: a side's process cannot be used.
    """
    return _Comparison(sides, plan, registry, clock, start or Process, tell).run()


class _Comparison:
    """A comparison under way."""

    def __init__(
        self,
        sides: tuple[Side, Side],
        plan: Design,
        registry: Described,
        clock: Clock,
        start: Callable[[Side, Mapping[str, Any], Design, random.Random], SideProcess],
        tell: Callable[[int, Sequence[TaskResult]], None],
    ) -> None:
        self.sides, self.plan, self.registry = sides, plan, registry
        self.clock, self.start, self.tell = clock, start, tell
        self.random = random.Random(plan.seed)  # noqa: S311  # no secret  # no secret
        self.tallies = [_Tally() for _ in plan.tasks]
        self.share = 0.5 * plan.seconds / HOPED / len(plan.tasks)  # seconds of a work in a pair
        self.patience = patience(plan)
        self.started = 0.0

    def run(self) -> PairedRun:
        began = self.clock()
        deadline = began + self.plan.seconds
        number, n, longest = 0, 0, 0.0
        ended: Literal["decided", "failed", "time", "last"] = "last"
        with tempfile.TemporaryDirectory(prefix="harness-ab-") as folder:
            for look in (self.plan.pairs,) if self.plan.pairs else LOOKS:
                while n < look and (number == 0 or self.clock() + longest <= deadline):
                    started = self.clock()
                    self._pair(number, Path(folder))
                    number += 1
                    longest = max(longest, self.clock() - started)
                    self.tell(number, self._outcomes())
                    left = [len(tally.log_ratios) for tally in self.tallies if tally.open]
                    if not left:
                        break
                    n = max(left)  # a pair that a fault spoiled told nothing
                self._judge()
                if not any(tally.open for tally in self.tallies):
                    spoilt = all(any(tally.faults) for tally in self.tallies)
                    ended = "failed" if spoilt else "decided"
                    break
                if n < look:
                    ended = "time"
                    break
        return PairedRun(tuple(self._outcomes()), number, self.clock() - began, ended)

    def _pair(self, number: int, folder: Path) -> None:
        """One process of each side, and what they find out about all that is undecided."""
        indices = [i for i, tally in enumerate(self.tallies) if tally.open]
        tasks = [self.plan.tasks[i] for i in indices]
        specs = [task.specs(self.registry, number, self.plan.seed, folder) for task in tasks]
        began = self.clock()
        processes: dict[int, SideProcess] = {}
        # One hash seed and one seed of data for both; what differs between pairs is common to them.
        chance = self.random.randrange(2**32)
        try:
            for side in self._either_order():
                asked = {"plugins": self.plan.plugins, "tasks": [spec[side] for spec in specs]}
                chances = random.Random(chance)  # noqa: S311  # no secret
                processes[side] = self.start(self.sides[side], asked, self.plan, chances)
            ready = [processes[side].ready() for side in (0, 1)]
            self._refuse_broken(processes)
            self._reckon(self.clock() - began, len(tasks))
            live = self._live(indices, ready)
            found = self._blocks(indices, processes, live)
        finally:
            for process in processes.values():
                process.end()
            for file in folder.iterdir():
                file.unlink()
        for j, (first, second) in found.items():
            tally = self.tallies[indices[j]]
            a, b = (_undisturbed(seconds) for seconds in (first, second))
            tally.log_ratios.append(math.log(b / a))
            tally.seconds[0].append(a)
            tally.seconds[1].append(b)

    def _refuse_broken(self, processes: dict[int, SideProcess]) -> None:
        """Refuse a side with a plugin that only the other one can use, measured or not.

        Raises:
            SideError: naming both.
        """
        for side in (1, 0):
            for name, fault in processes[side].broken.items():
                if name not in processes[1 - side].broken:
                    raise SideError(f"side '{self.sides[side].name}': {fault}")

    def _live(self, indices: list[int], ready: list[list[dict[str, Any]]]) -> dict[int, float]:
        """Seconds of a call of the tasks that both sides can do; faults go to the tallies."""
        live = {}
        for j, i in enumerate(indices):
            tally = self.tallies[i]
            answers = [found[j] if j < len(found) else {} for found in ready]
            for side in (0, 1):
                slow = answers[1 - side].get("seconds", 0.0)
                if "hung" in answers[side] and slow > self.patience / TOO_LONG:
                    why = f"a call takes {slow:.0f} s, too long for so little --time"
                    answers = [{"fault": why, "ended": True}] * 2
            for side, answer in enumerate(answers):
                tally.faults[side] = answer.get("fault", answer.get("missing", ""))
                tally.missing[side] = "missing" in answer
            if all("seconds" in answer for answer in answers):
                live[j] = sum(answer["seconds"] for answer in answers) / 2
        # Where a process ended, the others have to wait for the next pair.
        return live if not any("ended" in found[-1] for found in ready) else {}

    def _blocks(
        self, indices: list[int], processes: dict[int, SideProcess], live: dict[int, float]
    ) -> dict[int, tuple[list[float], list[float]]]:
        """Seconds per call of each block, of either side, by work."""
        side_seconds = min(SIDE, self.share / 2)
        block = max(SHORTEST, side_seconds / MOST)
        calls = {j: max(1, round(block / seconds)) for j, seconds in live.items()}
        left = {}
        for j, seconds in live.items():
            fewest = max(1, min(FEWEST, int(LONGEST / (calls[j] * seconds))))
            left[j] = max(fewest, min(MOST, int(side_seconds / (calls[j] * seconds))))
        found: dict[int, tuple[list[float], list[float]]] = {j: ([], []) for j in live}
        while turn := [j for j in found if left[j]]:
            for j in self.random.sample(turn, len(turn)):
                left[j] -= 1
                for side in self._either_order():
                    try:
                        found[j][side].append(processes[side].run(j, calls[j]))
                    except FaultError as fault:
                        self.tallies[indices[j]].faults[side] = str(fault)
                        if fault.ended:
                            return {}
                        del found[j]
                        break
        return found

    def _reckon(self, started: float, n_works: int) -> None:
        """Share what the start of processes leaves of a pair's time among the tasks."""
        left = self.plan.seconds / HOPED - started
        self.share = max(2 * FEWEST * SHORTEST, left / max(n_works, 1))

    def _either_order(self) -> list[int]:
        return self.random.sample((0, 1), 2)

    def _judge(self) -> None:
        for tally in self.tallies:
            if tally.open and tally.log_ratios:
                tally.change = judge(
                    tally.log_ratios,
                    budget=self.plan.budget,
                    alpha=self.plan.alpha,
                    looks=self.plan.pairs is None,
                    among=len(self.tallies),
                )

    def _outcomes(self) -> list[TaskResult]:
        return [
            TaskResult(
                task,
                tuple(tally.log_ratios),
                (tuple(tally.seconds[0]), tuple(tally.seconds[1])),
                tally.change,
                (tally.faults[0], tally.faults[1]),
                (tally.missing[0], tally.missing[1]),
            )
            for task, tally in zip(self.plan.tasks, self.tallies, strict=True)
        ]


def patience(plan: Design) -> float:
    """Seconds after which a side that does not answer is given up."""
    return max(PATIENCE, plan.seconds)


def _undisturbed(blocks: Sequence[float]) -> float:
    """Seconds per call of the quickest blocks: the slowest of the quickest tenth, interpolated."""
    ordered = sorted(blocks)
    place = UNDISTURBED * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])


class Process:
    """A side's process, started anew.

    Args:
        side: whose interpreter is started.
        asked: what it is given first.
        plan: how many threads it may use.
        chance: what differs between pairs.

    Raises:
        SideError: the interpreter cannot be started.
    """

    def __init__(
        self, side: Side, asked: Mapping[str, Any], plan: Design, chance: random.Random
    ) -> None:
        self.side = side
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  # open as long as the process
        self._answers = b""
        self._n_tasks = len(asked["tasks"])
        self._patience = patience(plan)
        self.broken: dict[str, str] = {}
        self._turned = False  # to a work, so that what ends the process is its doing
        environment = os.environ | dict.fromkeys(THREADS, str(plan.threads))
        environment["PYTHONHASHSEED"] = str(chance.randrange(1, 2**32))
        environment["HARNESS_PADDING"] = "x" * chance.randrange(PADDING)
        if side.kind != "here":
            for name in ("PYTHONPATH", "PYTHONHOME"):
                environment.pop(name, None)
        try:
            self._process = subprocess.Popen(  # noqa: S603  # no shell
                [side.python, "-P", str(SIDE_PROCESS)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                env=environment,
                start_new_session=True,
            )
        except OSError as error:
            self._errors.close()
            raise SideError(
                f"side '{side.name}': {side.python} cannot be started: {error}"
            ) from error
        self._tell(asked)

    def ready(self) -> list[dict[str, Any]]:
        """See `SideProcess`."""
        found: list[dict[str, Any]] = []
        while len(found) < self._n_tasks:
            answer = self._answer()
            if answer is None and not self._turned:
                raise SideError(f"side '{self.side.name}': {self._fate()}")
            if answer is None:
                hung = {"hung": True} if self._process.poll() is None else {}
                return [*found, {"fault": self._fate(), "ended": True} | hung]
            if "broken" in answer:
                raise SideError(f"side '{self.side.name}': {answer['broken']}")
            if "faults" in answer:
                self.broken = dict(answer["faults"])
            elif "turn" in answer:
                self._turned = True
            else:
                found.append(answer)
        return found

    def run(self, task: int, calls: int) -> float:
        """See `SideProcess`."""
        self._tell({"work": task, "calls": calls})
        answer = self._answer()
        if answer is None:
            raise FaultError(self._fate(), ended=True)
        if "fault" in answer:
            raise FaultError(answer["fault"])
        return float(answer["seconds"])

    def end(self) -> None:
        """See `SideProcess`."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.communicate()
        self._errors.close()

    def _tell(self, value: object) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # the answer that does not come tells why
            self._process.stdin.write(json.dumps(value).encode() + b"\n")
            self._process.stdin.flush()

    def _answer(self) -> dict[str, Any] | None:
        """The next line; None where there is none, because the process ended or hangs."""
        assert self._process.stdout is not None
        descriptor = self._process.stdout.fileno()
        deadline = time.monotonic() + self._patience
        while b"\n" not in self._answers:
            readable, _, _ = select.select(
                [descriptor], [], [], max(0, deadline - time.monotonic())
            )
            more = os.read(descriptor, 1 << 16) if readable else b""
            if not more:
                return None
            self._answers += more
        line, _, self._answers = self._answers.partition(b"\n")
        try:
            found = json.loads(line)
        except ValueError:
            found = None
        if not isinstance(found, dict):  # said before our own code was there to keep it apart
            said = line.decode(errors="replace").strip()
            raise SideError(
                f"side '{self.side.name}': {self.side.python} prints '{said[:80]}' when it "
                "starts; keep it from that"
            )
        return found

    def _fate(self) -> str:
        """What became of a process that does not answer, in a line."""
        try:
            status = self._process.wait(1.0)
        except subprocess.TimeoutExpired:
            return f"did not answer within {self._patience:g} s; a longer --time waits longer"
        self._errors.seek(0)
        said = self._errors.read().decode(errors="replace").split("\n")
        last = next((line.strip() for line in reversed(said) if line.strip()), "")
        how = f"died of signal {-status}" if status < 0 else f"ended with status {status}"
        return f"{how}{': ' if last else ''}{last}"
