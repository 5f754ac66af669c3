"""The progress of a run: bars and curves on a terminal, elsewhere a line from time to time."""

from __future__ import annotations

import math
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.live import Live
from rich.text import Text

from harness.terminal.canvas import Canvas, path, scaled
from harness.terminal.console import err
from harness.trials.events import NAME, Scene, likelihood_text, shown
from harness.words import fixed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from rich.console import Console, ConsoleOptions, RenderResult

    from harness.contract.values import TracePoint
    from harness.runs.campaign import Campaign
    from harness.trials.events import Curve, Event, Tell

    Clock = Callable[[], float]

REFRESH = 5  # times a second
OFTEN, SELDOM = 10.0, 30.0  # seconds between lines if there is no terminal
LONG = 300.0  # seconds after which lines come seldom
WIDEST, TALLEST = 120, 16  # characters of a chart: a larger one shows no more
LEAST_WIDTH, LEAST_HEIGHT = 24, 3  # characters of a chart: a smaller one shows nothing
SCALE = 6  # characters left of the chart
ASCII = str.maketrans("━─│┤└┴·…┅", "#-||++-~.")
TRAIN, TEST = "cyan", "yellow"


@contextmanager
def display(
    campaign: Campaign, *, shown: bool, watch: bool, clock: Clock = time.monotonic
) -> Iterator[Tell]:
    """Show the progress of a campaign on standard error; yields the function that takes its events.

    Args:
        campaign: the campaign that runs.
        shown: whether to show anything.
        watch: whether to show curves on a terminal, and lines elsewhere.
        clock: gives monotonic seconds.
    """
    console = err()
    moves = _moves(console)
    if not shown or not campaign.left or not (moves or watch):
        yield lambda _: None
        return
    stage = Stage(Scene.of(campaign.left, campaign.jobs, clock()), clock)
    if not moves:
        yield Lines(stage, lambda text: console.print(text, soft_wrap=True))
        return

    def frame() -> Frame:
        return Frame(stage.scene, clock(), f"run {campaign.run.id}", watch)

    with Live(console=console, get_renderable=frame, refresh_per_second=REFRESH, transient=True):
        yield stage


@contextmanager
def timing_display(
    *, shown: bool, watch: bool = False, clock: Clock = time.monotonic
) -> Iterator[Callable[[int, str], None]]:
    """Show what is being timed; yields the function that takes a process's number and a case.

    Args:
        shown: whether to show anything.
        watch: whether to print lines if there is no terminal.
        clock: gives monotonic seconds.
    """
    console = err()
    moves = _moves(console)
    if not shown or not (moves or watch):
        yield lambda _process, _case: None
        return
    if not moves:
        rhythm = Rhythm(clock())

        def line(process: int, case: str) -> None:
            if rhythm.is_due(clock()):
                console.print(_timing(process, case), soft_wrap=True)

        yield line
        return
    with console.status("timing") as status:
        yield lambda process, case: status.update(Text(_timing(process, case)))


def _moves(console: Console) -> bool:
    """Whether output can be overwritten: never in a file, even if it has colours."""
    return console.file.isatty() and not console.is_dumb_terminal


def _timing(process: int, case: str) -> str:
    return f"timing, process {process}: {shown(case, NAME)}"


class Rhythm:
    """When to print a line: often at first, and seldom once the run takes long."""

    def __init__(self, began: float) -> None:
        self._began = began
        self._next = began + OFTEN

    def is_due(self, now: float) -> bool:
        """Whether a line is due now; if so, the next is due only after a pause."""
        if now < self._next:
            return False
        self._next = now + (OFTEN if now - self._began < LONG else SELDOM)
        return True


class Stage:
    """Holds the current scene; scenes are frozen, so that a thread can show one meanwhile."""

    def __init__(self, scene: Scene, clock: Clock) -> None:
        self.scene = scene
        self.clock = clock

    def __call__(self, event: Event) -> None:
        """Replace the scene by that after the event."""
        self.scene = self.scene.after(event, self.clock())


class Lines:
    """Prints the state of a run from time to time."""

    def __init__(self, stage: Stage, say: Callable[[str], None]) -> None:
        self._stage = stage
        self._say = say
        self._rhythm = Rhythm(stage.scene.began)

    def __call__(self, event: Event) -> None:
        """Update the stage, and print its state if a line is due."""
        self._stage(event)
        now = self._stage.clock()
        if self._rhythm.is_due(now):
            self._say(self._stage.scene.line(now))


@dataclass(frozen=True, slots=True)
class Frame:
    """A rich renderable: a scene at a moment, in lines that fit the console.

    Args:
        scene: the state of the run.
        now: seconds by the clock of the scene.
        title: shown before the bar.
        watch: whether to show the curves of the front trial.
    """

    scene: Scene
    now: float
    title: str
    watch: bool

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Lay the scene out in the current size of the console, which may have changed."""
        # A key echoed after a full line would break it, and the last line is the cursor's.
        width = options.max_width - 1
        lines = list(self._lines(width, max(2, console.height - 1), braille=not options.ascii_only))
        for line in lines:
            if options.ascii_only:
                line = _in_ascii(line)
            line.truncate(width)
            line.no_wrap = True
            yield line

    def _lines(self, width: int, height: int, *, braille: bool) -> Iterator[Text]:
        yield self._bar(width)
        yield self._counts(width)
        rows = min(height - 5, TALLEST)
        if not self.watch or rows < LEAST_HEIGHT or width < LEAST_WIDTH:
            return
        curve = self.scene.front
        if curve is None:
            yield Text("no model that tells its epochs has begun yet", style="dim")
            return
        width = min(width, WIDEST)
        yield _heading(curve, width)
        yield from chart(curve.points, width, rows, braille=braille)

    def _bar(self, width: int) -> Text:
        scene, left = self.scene, self.scene.pace.left(self.now)
        counted = f"{scene.done}/{scene.total}  {_clock(self.now - scene.began)}"
        if left:
            counted += f"  {_clock(math.ceil(left))} left"
        room = width - cell_len(self.title) - cell_len(counted) - 4
        if room < 4:
            return Text(f"{self.title}  {counted}")
        done = room * scene.done // scene.total
        return Text.assemble(
            f"{self.title}  ", ("━" * done, "green"), ("─" * (room - done), "dim"), f"  {counted}"
        )

    def _counts(self, width: int) -> Text:
        scene, slowest = self.scene, self.scene.pace.slowest
        waits = not scene.running and not scene.done
        line = Text("starting" if waits else f"{scene.running} running")
        if scene.failed:
            line.append(" · ").append(f"{scene.failed} failed", "red")
        if slowest:
            before, behind = " · slowest: ", f" {_figure(slowest[1])} s a trial"
            room = width - line.cell_len - cell_len(before + behind)
            if room >= 8:
                line.append(f"{before}{shown(slowest[0], room)}{behind}", "dim")
        return line


def chart(points: Sequence[TracePoint], width: int, rows: int, *, braille: bool) -> Iterator[Text]:
    """Likelihood by epoch: the training part solid, the test part dotted; a gap where it is NaN.

    Args:
        points: at least one point, in order of epochs.
        width: characters per line, with the scale.
        rows: lines, without those of the axis.
        braille: whether the console can show braille.
    """
    canvas = Canvas(width - SCALE, rows, braille=braille)
    low, high = limits(points)
    first, last = points[0].epoch, points[-1].epoch

    def dot(epoch: int, value: float) -> tuple[int, int] | None:
        if not math.isfinite(value):
            return None
        x = scaled(epoch, first, last, canvas.width)
        return x, canvas.height - 1 - scaled(value, low, high, canvas.height)

    train = [dot(point.epoch, point.train_likelihood) for point in points]
    test = [dot(point.epoch, point.test_likelihood) for point in points]
    canvas.draw(path(train), TRAIN, "*")
    canvas.draw(path(test, dotted=True), TEST, ".")
    labels = {0: high, rows - 1: low} | ({rows // 2: (low + high) / 2} if rows % 2 else {})
    for row, line in enumerate(canvas.lines()):
        label = fixed(labels[row], 2) if row in labels else ""
        yield Text.assemble((f"{label:>4} {'┤' if label else '│'}", "dim"), line)
    yield Text(" " * (SCALE - 1) + "└" + "─" * (width - SCALE), "dim")
    ends = f"{first}", f"epoch {last}" if last != first else ""
    yield Text(" " * SCALE + ends[0] + ends[1].rjust(width - SCALE - len(ends[0])), "dim")


def limits(points: Sequence[TracePoint]) -> tuple[float, float]:
    """The closest tenths around all likelihoods; 0 and 1 if none is known.

    >>> from harness.contract.values import TracePoint
    >>> limits([TracePoint(1, 0.33, 0.3), TracePoint(2, 0.97, float("nan"))])
    (0.3, 1.0)
    """
    both = [value for point in points for value in (point.train_likelihood, point.test_likelihood)]
    known = [value for value in both if math.isfinite(value)]
    if not known:
        return 0.0, 1.0
    low = min(math.floor(round(10 * min(known), 6)), 9)
    high = max(math.ceil(round(10 * max(known), 6)), low + 1)
    return low / 10, high / 10


def _heading(curve: Curve, width: int) -> Text:
    point, trial = curve.points[-1], curve.trial
    figures = Text.assemble(
        ("━ ", TRAIN),
        f"train {likelihood_text(point.train_likelihood):>4}  ",
        ("┅ ", TEST),
        f"test {likelihood_text(point.test_likelihood):>4}",
    )
    where = "" if trial.device == "cpu" else f" @ {trial.device}"
    ends = f" · repeat {trial.repeat}"
    room = width - figures.cell_len - 2
    if room < 12:
        return figures
    if room < 36:
        ends = ""
    name = shown(f"{trial.dataset} · {trial.model}{where}", room - len(ends)) + ends
    return Text.assemble((name + " " * (room - cell_len(name)), "bold"), "  ", figures)


def _in_ascii(line: Text) -> Text:
    """The line in ASCII, of the same length."""
    plain = line.plain.translate(ASCII).encode("ascii", "replace").decode()
    return Text(plain, spans=line.spans, style=line.style)


def _clock(seconds: float) -> str:
    """A duration as minutes and seconds, or hours, minutes and seconds.

    >>> _clock(41.7), _clock(3700)
    ('0:41', '1:01:40')
    """
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _figure(seconds: float) -> str:
    """Seconds with two significant digits.

    >>> _figure(0.0312), _figure(3.44), _figure(75.0)
    ('.031', '3.4', '75')
    """
    digits = min(max(1 - math.floor(math.log10(seconds)), 0), 3) if seconds > 0 else 0
    return fixed(seconds, digits)
