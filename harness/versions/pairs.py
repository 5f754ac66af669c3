"""Measures two sides in turns, in pairs of fresh processes, until every task is decided.

The two processes of a pair exist at the same time but never compute at the same time: in each
block one computes while the other waits, in random order. So whatever slows the machine down slows
both. Random differences between processes of the same code (memory layout, hash seeds) vary from
pair to pair. Each pair yields one number per task: the log of the ratio of the sides' undisturbed
times. Pairs are the unit of statistics.

The undisturbed time is that of the quickest tenth of many short blocks. Another program on the same
core slows blocks by a fifth for half a second, then leaves. The median of log(b/a) over blocks
mostly shows which side met the other program more often: over pairs of the same code it scatters by
6 to 17%, the quickest tenth by only 1%. Code that is slower at every call is slower in its quickest
blocks, too. Code that is slow occasionally, in fewer than nine of ten blocks, is not detected: it
looks like a disturbance.
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
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias

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

    Orders = Mapping[str, Any]
    """Plugins and tasks for a side's process, as JSON."""

    SideAnswer = dict[str, Any]
    """A line from a side's process, from JSON."""

FEWEST, MOST = 10, 50
"""Blocks of each side per pair and task: as many within these bounds as the time allows."""

LONGEST = 2.0
"""The most seconds per side, pair and task that are spent to reach `FEWEST` blocks. Calls that take
longer than a tenth of this get fewer blocks, down to one."""

SIDE = 0.5
"""Seconds that a side computes per pair and task, if the time allows."""

SHORTEST = 0.005
"""The least number of seconds of a block."""

UNDISTURBED = 0.1
"""Fraction of the blocks, the quickest ones, that count as undisturbed."""

HOPED = 16
"""Blocks are shortened so that the time suffices for this many pairs."""

TOO_LONG = 10
"""If a call takes longer than 1 / `TOO_LONG` of the patience on one side, the other side may have
exceeded the patience only because it is equally slow: getting ready needs three calls."""

PATIENCE = 30.0
"""The least number of seconds to wait for a side's answer. With a longer time limit for the whole
comparison, that limit applies: a call that exceeds it cannot be measured anyway."""

SIDE_PROCESS = Path(__file__).with_name("side_process.py")
PADDING = 4096
"""The environments of processes vary in size by up to this many bytes, because the stack's address
can affect speed (Mytkowicz, Diwan, Hauswirth & Sweeney, ASPLOS 2009)."""


class SideError(UsageError):
    """A side cannot be measured at all."""


class SideProcess(Protocol):
    """A process of one side; see `harness.versions.side_process`."""

    broken: dict[str, str]
    """Reasons why the side cannot use plugins, by the plugin's name; complete after `ready`."""

    def ready(self) -> list[SideAnswer]:
        """An answer for each task: ``seconds`` of a call, a ``fault``, or what is ``missing``.

        A fault that ended the process has ``ended``, and is the last answer. If the process did not
        answer in time, the fault also has ``hung``.
        """

    def run(self, task: int, calls: int) -> float:
        """Run a block of calls, and return the seconds per call.

        Raises:
            FaultError: the task failed.
        """

    def end(self) -> None:
        """End the process and the processes that it started."""


Start: TypeAlias = "Callable[[Side, Orders, Design, random.Random], SideProcess]"
"""Starts a process of a side; `Process` by default."""


class FaultError(Exception):
    """A task failed in a side's process; ``ended`` tells whether that ended the process."""

    def __init__(self, reason: str, *, ended: bool = False) -> None:
        super().__init__(reason)
        self.ended = ended


@dataclass(frozen=True, slots=True)
class Design:
    """The tasks of a comparison, and its settings.

    Args:
        tasks: the tasks that both sides perform.
        plugins: files or modules to discover on both sides, besides installed plugins.
        budget: relative slowdown that passes as the same, such as 0.03.
        alpha: probability that any task is called slower although none is.
        seconds: time limit for the comparison; a pair that has begun is finished.
        threads: number of threads that libraries may use.
        seed: seed of the data and the order.
        pairs: fixed number of pairs, tested once at the end; None to stop when all is decided.
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
    """The measurements of one task.

    Args:
        task: the task that both sides performed.
        log_ratios: log(b/a) of each pair.
        seconds: for each side, the undisturbed seconds of a call in each pair.
        change: the estimated change and its verdict; None if nothing was measured.
        faults: for each side, why it could not perform the task; empty if it could.
        missing: for each side, whether its fault is that it has no kernel or model of that name.
    """

    task: Task
    log_ratios: tuple[float, ...]
    seconds: tuple[tuple[float, ...], tuple[float, ...]]
    change: Change | None
    faults: tuple[str, str] = ("", "")
    missing: tuple[bool, bool] = (False, False)


@dataclass(frozen=True, slots=True)
class PairedRun:
    """The result of comparing two sides.

    Args:
        outcomes: in the order of the tasks.
        n_pairs: number of pairs of processes.
        seconds: duration of the comparison.
        ended: why it ended: every task was ``decided``, every task ``failed`` on a side, the
            ``time`` was up, or the ``last`` look was reached.
    """

    outcomes: tuple[TaskResult, ...]
    n_pairs: int
    seconds: float
    ended: Literal["decided", "failed", "time", "last"]


@dataclass(slots=True)
class _Pairs:
    """The measurements of one task, collected over pairs of processes."""

    log_ratios: list[float] = field(default_factory=list)
    seconds: tuple[list[float], list[float]] = field(default_factory=lambda: ([], []))
    faults: list[str] = field(default_factory=lambda: ["", ""])
    missing: list[bool] = field(default_factory=lambda: [False, False])
    change: Change | None = None

    @property
    def open(self) -> bool:
        undecided = self.change is None or self.change.verdict == "undecided"
        return undecided and not any(self.faults)


def compare_sides(
    sides: tuple[Side, Side],
    plan: Design,
    registry: Described,
    *,
    clock: Clock = time.monotonic,
    start: Start | None = None,
    tell: Callable[[int, Sequence[TaskResult]], None] = lambda _pair, _outcomes: None,
) -> PairedRun:
    """Measure pairs until every task is decided or the time is up.

    Verdicts are given only at looks: after the numbers of pairs in
    `harness.statistics.verdicts.LOOKS`, or, when the time is up, in place of the next look. The
    error rate is spread over looks and tasks, so that ``alpha`` holds for all of them together.

    Args:
        sides: a, the base, and b, which is compared with it.
        plan: the tasks, and the settings.
        registry: source of the data.
        clock: monotonic clock, in seconds.
        start: starts a process of a side.
        tell: called after each pair with the number of pairs and the results so far.

    Raises:
        SideError: a side's process cannot be used.
    """
    return _Comparison(sides, plan, registry, clock, start or Process, tell).run()


class _Comparison:
    """A comparison in progress."""

    def __init__(
        self,
        sides: tuple[Side, Side],
        plan: Design,
        registry: Described,
        clock: Clock,
        start: Start,
        tell: Callable[[int, Sequence[TaskResult]], None],
    ) -> None:
        self.sides, self.plan, self.registry = sides, plan, registry
        self.clock, self.start, self.tell = clock, start, tell
        self.random = random.Random(plan.seed)  # noqa: S311  # not for secrets
        self.tallies = [_Pairs() for _ in plan.tasks]
        self.share = 0.5 * plan.seconds / HOPED / len(plan.tasks)  # seconds of a task in a pair
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
                    n = max(left)  # less than `number` if a fault spoiled a pair
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
        """Measure all undecided tasks in one process of each side."""
        indices = [i for i, tally in enumerate(self.tallies) if tally.open]
        tasks = [self.plan.tasks[i] for i in indices]
        specs = [task.specs(self.registry, number, self.plan.seed, folder) for task in tasks]
        began = self.clock()
        processes: dict[int, SideProcess] = {}
        # Both sides get the same hash seed and padding, which vary only between pairs.
        pair_seed = self.random.randrange(2**32)
        try:
            for side in self._either_order():
                orders = {"plugins": self.plan.plugins, "tasks": [spec[side] for spec in specs]}
                chances = random.Random(pair_seed)  # noqa: S311  # no secret
                processes[side] = self.start(self.sides[side], orders, self.plan, chances)
            answers = [processes[side].ready() for side in (0, 1)]
            self._refuse_broken(processes)
            self._reckon(self.clock() - began, len(tasks))
            call_seconds = self._call_seconds(indices, answers)
            blocks = self._blocks(indices, processes, call_seconds)
        finally:
            for process in processes.values():
                process.end()
            for file in folder.iterdir():
                file.unlink()
        for j, (first, second) in blocks.items():
            tally = self.tallies[indices[j]]
            a, b = (_undisturbed(seconds) for seconds in (first, second))
            tally.log_ratios.append(math.log(b / a))
            tally.seconds[0].append(a)
            tally.seconds[1].append(b)

    def _refuse_broken(self, processes: dict[int, SideProcess]) -> None:
        """Refuse a plugin that only one side can use, whether it is measured or not.

        Raises:
            SideError: a plugin is broken on one side only; names the side and the fault.
        """
        for side in (1, 0):
            for name, fault in processes[side].broken.items():
                if name not in processes[1 - side].broken:
                    raise SideError(f"side '{self.sides[side].name}': {fault}")

    def _call_seconds(
        self, indices: list[int], answers_by_side: list[list[SideAnswer]]
    ) -> dict[int, float]:
        """Seconds per call of each task that both sides can perform; records faults in the tallies.

        The keys are places in ``indices``.
        """
        call_seconds = {}
        for j, i in enumerate(indices):
            tally = self.tallies[i]
            task_answers: list[SideAnswer] = [
                side_answers[j] if j < len(side_answers) else {} for side_answers in answers_by_side
            ]
            for side in (0, 1):
                slow = task_answers[1 - side].get("seconds", 0.0)
                if "hung" in task_answers[side] and slow > self.patience / TOO_LONG:
                    why = f"a call takes {slow:.0f} s, too long for so little --time"
                    task_answers = [{"fault": why, "ended": True}] * 2
            for side, answer in enumerate(task_answers):
                tally.faults[side] = answer.get("fault" if "fault" in answer else "missing", "")
                tally.missing[side] = "missing" in answer
            if all("seconds" in answer for answer in task_answers):
                call_seconds[j] = sum(answer["seconds"] for answer in task_answers) / 2
        if any("ended" in side_answers[-1] for side_answers in answers_by_side):
            return {}  # after a process has ended, the other tasks have to wait for the next pair
        return call_seconds

    def _blocks(
        self, indices: list[int], processes: dict[int, SideProcess], call_seconds: dict[int, float]
    ) -> dict[int, tuple[list[float], list[float]]]:
        """Seconds per call of each block, for both sides, by the task's place in ``indices``."""
        side_seconds = min(SIDE, self.share / 2)
        block_seconds = max(SHORTEST, side_seconds / MOST)
        calls = {j: max(1, round(block_seconds / seconds)) for j, seconds in call_seconds.items()}
        remaining = {}
        for j, seconds in call_seconds.items():
            fewest = max(1, min(FEWEST, int(LONGEST / (calls[j] * seconds))))
            remaining[j] = max(fewest, min(MOST, int(side_seconds / (calls[j] * seconds))))
        blocks: dict[int, tuple[list[float], list[float]]] = {j: ([], []) for j in call_seconds}
        while turn := [j for j in blocks if remaining[j]]:
            for j in self.random.sample(turn, len(turn)):
                remaining[j] -= 1
                for side in self._either_order():
                    try:
                        blocks[j][side].append(processes[side].run(j, calls[j]))
                    except FaultError as fault:
                        self.tallies[indices[j]].faults[side] = str(fault)
                        if fault.ended:
                            return {}
                        del blocks[j]
                        break
        return blocks

    def _reckon(self, started: float, n_tasks: int) -> None:
        """Share a pair's time, minus the start of its processes, among the tasks."""
        left = self.plan.seconds / HOPED - started
        self.share = max(2 * FEWEST * SHORTEST, left / max(n_tasks, 1))

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
    """Seconds to wait for a side's answer."""
    return max(PATIENCE, plan.seconds)


def _undisturbed(blocks: Sequence[float]) -> float:
    """Undisturbed seconds per call: the first decile of the blocks, interpolated."""
    ordered = sorted(blocks)
    place = UNDISTURBED * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])


class Process:
    """A fresh process of a side.

    Args:
        side: the side whose interpreter runs.
        orders: plugins and tasks, sent to the process first.
        plan: settings; the number of threads and the patience matter.
        chance: randomness that varies between pairs: hash seed and padding.

    Raises:
        SideError: the interpreter cannot be started.
    """

    def __init__(self, side: Side, orders: Orders, plan: Design, chance: random.Random) -> None:
        self.side = side
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  # open as long as the process
        self._answers = b""
        self._n_tasks = len(orders["tasks"])
        self._patience = patience(plan)
        self.broken: dict[str, str] = {}
        self._turned = False  # whether a task has begun, to blame if the process ends
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
        self._tell(orders)

    def ready(self) -> list[SideAnswer]:
        """See `SideProcess`."""
        answers: list[SideAnswer] = []
        while len(answers) < self._n_tasks:
            answer = self._answer()
            if answer is None and not self._turned:
                raise SideError(f"side '{self.side.name}': {self._fate()}")
            if answer is None:
                hung = {"hung": True} if self._process.poll() is None else {}
                return [*answers, {"fault": self._fate(), "ended": True} | hung]
            if "broken" in answer:
                raise SideError(f"side '{self.side.name}': {answer['broken']}")
            if "faults" in answer:
                self.broken = dict(answer["faults"])
            elif "turn" in answer:
                self._turned = True
            else:
                answers.append(answer)
        return answers

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
        with contextlib.suppress(BrokenPipeError):  # reported when the answer is missing
            self._process.stdin.write(json.dumps(value).encode() + b"\n")
            self._process.stdin.flush()

    def _answer(self) -> SideAnswer | None:
        """The next answer; None if the process ended or does not answer in time."""
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
            message = json.loads(line)
        except ValueError:
            message = None
        if not isinstance(message, dict):  # printed before our own code could redirect it
            text = line.decode(errors="replace").strip()
            raise SideError(
                f"side '{self.side.name}': {self.side.python} prints '{text[:80]}' when it "
                "starts; keep it from printing"
            )
        return message

    def _fate(self) -> str:
        """One line on why a process does not answer: it ended, or exceeded the patience."""
        try:
            status = self._process.wait(1.0)
        except subprocess.TimeoutExpired:
            return f"did not answer within {self._patience:g} s; a longer --time waits longer"
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").split("\n")
        last = next((line.strip() for line in reversed(lines) if line.strip()), "")
        how = f"died of signal {-status}" if status < 0 else f"ended with status {status}"
        return f"{how}{': ' if last else ''}{last}"
