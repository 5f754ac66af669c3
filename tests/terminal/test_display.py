"""The live display of a run: progress, time left and curves; watching does not change results."""

from __future__ import annotations

import copy
import json
import math
import pickle
import time
from io import BytesIO, StringIO, TextIOWrapper
from random import Random
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from command_line import complaint_of, harness_in
from doubles import Clock
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from harness.contract.registry import load
from harness.contract.values import Choice, Result, TracePoint, Trial
from harness.terminal.canvas import Canvas, path
from harness.terminal.display import Frame, Lines, Stage, chart, timing_display
from harness.trials.events import Ended, Passed, Reached, Scene, Started
from harness.trials.executors.local import run_isolated
from harness.trials.preparation import Prepared
from harness.trials.progress import Pace
from harness.trials.trial import EpochScores, run_together, run_trial

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from harness.trials.events import Event


def trial(model: str = "torch-mlp", dataset: str = "threshold", repeat: int = 0) -> Trial:
    return Trial(Choice(dataset), Choice(model), "cpu", repeat, 0)


# Estimates of the time left.


def test_finished_trials_give_the_time_left_of_their_pairing() -> None:
    repeats = [trial(repeat=repeat) for repeat in range(4)]
    pace = Pace.of(repeats, jobs=1)
    assert pace.left(0.0) is None
    pace = pace.started(repeats[:1], 0.0).ended(repeats[:1], 10.0)
    assert pace.left(10.0) == 30.0
    assert pace.started(repeats[1:2], 10.0).left(14.0) == 26.0


def test_jobs_share_the_time_left_but_it_is_at_least_that_of_the_longest_trial() -> None:
    repeats = [trial(repeat=repeat) for repeat in range(4)]
    pace = Pace.of(repeats, jobs=3).started(repeats[:1], 0.0).ended(repeats[:1], 10.0)
    assert pace.left(10.0) == 10.0
    pace = Pace.of(repeats, jobs=2).started(repeats[:1], 0.0).ended(repeats[:1], 10.0)
    assert pace.left(10.0) == 15.0


def test_a_batch_is_one_job_whose_trials_share_its_time() -> None:
    first, second = ([trial(dataset=d, repeat=r) for r in range(4)] for d in ("iris", "wine"))
    pace = Pace.of([*first, *second], jobs=2).started(first, 0.0).ended(first, 8.0)
    assert pace.slowest == ("torch-mlp", 2.0)
    assert pace.started(second, 8.0).left(9.0) == 7.0


def test_the_estimate_of_a_new_pairing_is_that_of_its_model_elsewhere_or_the_mean() -> None:
    known, same, other = trial("slow"), trial("slow", "iris"), trial("other", "iris")
    quick = trial("quick")
    pace = Pace.of([known, quick, same, other], jobs=1)
    pace = pace.started([known], 0.0).ended([known], 9.0).started([quick], 9.0).ended([quick], 10.0)
    assert pace.slowest == ("slow", 9.0)
    assert pace.left(10.0) == 9.0 + 5.0


def test_a_trial_that_runs_again_counts_as_waiting_and_its_first_time_is_forgotten() -> None:
    pace = Pace.of([trial()], jobs=1).started([trial()], 0.0).ended([trial()], 5.0, again=True)
    assert pace.slowest is None
    assert pace.left(5.0) is None
    pace = pace.started([trial()], 5.0).ended([trial()], 6.0)
    assert pace.slowest == ("torch-mlp", 1.0)
    assert pace.left(6.0) == 0.0


TRIALS = [trial(m, d, r) for m in ("a", "b", "c") for d in ("x", "y") for r in range(3)]


@given(st.integers(0, 2**32), st.integers(1, 4))
def test_the_time_left_is_never_negative_and_0_at_the_end(seed: int, jobs: int) -> None:
    random = Random(seed)
    waiting = random.sample(TRIALS, len(TRIALS))
    pace, now, running = Pace.of(waiting, jobs), 0.0, list[Trial]()
    while waiting or running:
        now += random.choice((0.0, 1e-9, random.random(), 1e6))
        if waiting and len(running) < jobs and (not running or random.random() < 0.5):
            running.append(waiting.pop())
            pace = pace.started(running[-1:], now)
        else:
            ended = running.pop(random.randrange(len(running)))
            again = random.random() < 0.2
            pace = pace.ended([ended], now, again=again)
            waiting += [ended] * again
        left = pace.left(now)
        assert left is None or left >= 0.0
    assert pace.left(now) == 0.0


# The scene: the state that is shown.


def after(scene: Scene, *events: Event, now: float = 0.0) -> Scene:
    for event in events:
        scene = scene.after(event, now)
    return scene


def point(epoch: int, train: float = 0.5, test: float = 0.25) -> TracePoint:
    return TracePoint(epoch, train, test)


FIRST, SECOND, THIRD = ((trial(repeat=repeat),) for repeat in range(3))
ALL = (*FIRST, *SECOND, *THIRD)


def test_the_curve_in_front_is_that_of_the_first_trial_that_reports_epochs() -> None:
    scene = after(Scene.of(ALL, 3, 0.0), *map(Started, (FIRST, SECOND, THIRD)))
    assert scene.front is None
    scene = after(scene, Reached(THIRD, point(1)), Reached(SECOND, point(7)))
    assert scene.front is not None
    assert scene.front.trial == SECOND[0]
    scene = after(scene, Ended(SECOND, (Result(SECOND[0], "ok"),)))
    assert scene.front is not None
    assert scene.front.trial == THIRD[0]


def test_the_last_curve_stays_until_the_next_one_begins() -> None:
    trace = (point(1), point(2), point(3))
    scene = after(Scene.of(ALL, 1, 0.0), Started(FIRST), Reached(FIRST, point(1)))
    scene = after(scene, Ended(FIRST, (Result(FIRST[0], "ok", trace=trace),)), Started(SECOND))
    assert scene.front is not None
    assert (scene.front.trial, scene.front.points) == (FIRST[0], trace)
    scene = after(scene, Reached(SECOND, point(1)))
    assert scene.front is not None
    assert scene.front.trial == SECOND[0]


def test_a_trial_that_runs_again_begins_its_curve_anew() -> None:
    scene = after(Scene.of(ALL, 1, 0.0), Started(FIRST), Reached(FIRST, point(9)), Ended(FIRST))
    scene = after(scene, Started(FIRST), Reached(FIRST, point(1)))
    assert scene.front is not None
    assert scene.front.points == (point(1),)
    assert (scene.done, scene.failed, scene.running) == (0, 0, 1)


def test_the_line_has_counts_curve_values_and_the_time_left() -> None:
    scene = Scene.of(ALL, 2, 0.0)
    assert scene.line(0.0) == "0 of 3 done"
    scene = after(scene, Started(FIRST), Started(SECOND), Reached(SECOND, point(400, 0.81, 0.79)))
    assert scene.line(1.0) == (
        "0 of 3 done, 2 running (threshold torch-mlp: epoch 400, likelihood .810 train .790 test)"
    )
    scene = after(scene, Ended(SECOND, (Result(SECOND[0], "failed"),)), now=40.0)
    assert (
        scene.line(40.0)
        == "1 of 3 done, 1 failed, 1 running, about 40 s left, slowest model torch-mlp, "
        "40 s a trial"
    )
    rest = (Started(THIRD), *(Ended(u, (Result(u[0], "ok"),)) for u in (FIRST, THIRD)))
    assert after(scene, *rest).line(80.0) == "3 of 3 done, 1 failed"


# Reports of epochs from a trial.


def epoch_scores(clock: Callable[[], float], tell: Callable[[TracePoint], None]) -> EpochScores:
    X, y = np.zeros((2, 1)), np.zeros(2, dtype=int)
    return EpochScores(Prepared(X, X, y, ()), y, clock, tell)


def certain(X: Any) -> Any:
    return np.tile([0.0, -np.inf], (len(X), 1))


def test_reports_of_a_million_epochs_are_limited_to_a_visible_rate() -> None:
    told: list[TracePoint] = []
    calls = iter(range(10_000_000))
    monitor = epoch_scores(lambda: next(calls) * 0.001, told.append)
    for epoch in range(1, 20_001):
        monitor(epoch, certain)
    assert told[0] == TracePoint(1, 1.0, 1.0)
    # 200 epochs are scored, then 100 more for each doubling of the number of epochs.
    scored = 200 + 100 * 7
    assert 20 < len(told) < scored * 0.003 / 0.05


def test_a_copy_of_the_monitor_reports_nothing() -> None:
    """Models copy themselves, for example to keep their best weights."""
    told: list[TracePoint] = []
    monitor = epoch_scores(lambda: 0.0, lambda point: told.append(point))
    for twin in (
        copy.deepcopy(monitor),
        pickle.loads(pickle.dumps(epoch_scores(time.time, print))),
    ):
        twin(1, certain)
    assert not told
    monitor(1, certain)
    assert told == [TracePoint(1, 1.0, 1.0)]


PATIENT = """\
import time
from pathlib import Path
import numpy as np
import harness

class Patient:
    def __init__(self, n_classes):
        self.n_classes = n_classes
    def fit(self, X, y, monitor):
        for epoch in (1, 2):
            monitor(epoch, lambda X: np.full((len(X), self.n_classes), -np.log(self.n_classes)))
            while epoch == 1 and not Path(GO).exists():
                time.sleep(0.01)
    def predict_proba(self, X):
        return np.full((len(X), self.n_classes), 1 / self.n_classes)

@harness.hookimpl
def harness_models():
    yield harness.Model("patient", lambda setting: Patient(setting.n_classes))
"""


def test_the_epochs_of_a_trial_are_reported_while_it_runs(tmp_path: Path) -> None:
    """The model waits until the test has received its first epoch."""
    go = tmp_path / "go"
    (tmp_path / "patient.py").write_text(f"GO = {str(go)!r}\n{PATIENT}")
    told: list[Event] = []

    def tell(event: Event) -> None:
        told.append(event)
        if isinstance(event, Reached):
            go.touch()

    unit = (trial("patient"),)
    options: dict[str, Any] = {"jobs": 1, "seconds": 60.0}
    plugins = [str(tmp_path / "patient.py")]
    (result,) = run_isolated(unit, plugins, **options, tell=tell, epochs=True)
    assert result.status == "ok"
    started, reached, *_, ended = [event for event in told if not isinstance(event, Passed)]
    third = pytest.approx(1 / 3)
    assert started == Started(unit)
    assert isinstance(reached, Reached)
    assert (reached.trials, reached.point) == (unit, TracePoint(1, third, third))
    assert isinstance(ended, Ended)
    assert (ended.trials, ended.results) == (unit, (result,))


@pytest.mark.parametrize("batched", [False, True])
def test_watching_changes_no_score_and_no_trace(batched: bool) -> None:
    pytest.importorskip("torch")
    trials = [trial(repeat=repeat) for repeat in range(2)]
    told: list[Event] = []
    watched, unwatched = (
        {
            result.trial: (result.status, dict(result.scores), result.trace)
            for result in run_isolated(
                trials, [], batches=[trials] * batched, jobs=1, tell=told.append, epochs=epochs
            )
        }
        for epochs in (True, False)
    )
    assert watched == unwatched
    assert {status for status, _, _ in watched.values()} == {"ok"}
    points = [event.point for event in told if isinstance(event, Reached)]
    traces = [trace for _, _, trace in watched.values()]
    assert points
    # A slow machine may report every epoch, including the last. In a trace, the last epoch has the
    # likelihoods of the finished classifier.
    last = traces[0][-1].epoch
    assert {point for trace in traces for point in trace} >= {
        point for point in points if point.epoch != last
    }


def test_the_first_of_several_repeats_trained_together_reports_its_epochs() -> None:
    pytest.importorskip("torch")
    registry, told = load(), list[TracePoint]()
    trials = [trial(repeat=repeat) for repeat in range(2)]
    first, second = run_together(trials, registry, tell=told.append)
    assert told
    for point in told:
        if (
            point.epoch != first.trace[-1].epoch
        ):  # the last point is that of the finished classifier
            assert point in first.trace
            assert point not in second.trace


def test_a_trial_in_this_process_reports_its_epochs_too() -> None:
    told: list[TracePoint] = []
    result = run_trial(trial("numpy-softmax"), load(), tell=told.append)
    assert told[:1] == [result.trace[0]]


# The drawing.


def drawn(canvas: Canvas) -> list[str]:
    return [line.plain for line in canvas.lines()]


def test_a_character_of_braille_holds_eight_dots() -> None:
    canvas = Canvas(2, 1)
    assert (canvas.width, canvas.height) == (4, 4)
    canvas.draw((x, y) for x in (0, 1) for y in range(4))
    assert drawn(canvas) == ["⣿ "]
    canvas.draw([(3, 3)])
    assert drawn(canvas) == ["⣿⢀"]


def test_without_braille_a_character_holds_one_dot() -> None:
    canvas = Canvas(5, 3, braille=False)
    canvas.draw(path([(0, 2), (4, 0)]))
    canvas.draw([(0, 0)], mark=".")
    assert drawn(canvas) == [".  **", "  *  ", "**   "]


def test_a_path_has_every_dot_once_and_a_dotted_path_every_other_pair() -> None:
    steep = [(0, 0), (0, 0), (1, 7), (1, 7)]
    assert list(path(steep)) == [
        (0, 0),
        *((0, y) for y in (1, 2, 3)),
        *((1, y) for y in range(4, 8)),
    ]
    assert list(path(steep, dotted=True)) == [(0, 0), (0, 1), (1, 4), (1, 5)]


def trace(*pairs: tuple[float, float]) -> list[TracePoint]:
    return [TracePoint(epoch, *pair) for epoch, pair in enumerate(pairs, start=1)]


def plain(points: list[TracePoint], *size: int, braille: bool = False) -> list[str]:
    return [line.plain.rstrip() for line in chart(points, *size, braille=braille)]


def test_the_axes_of_a_chart_are_the_tenths_around_its_curves_and_its_epochs() -> None:
    points = trace((0.5, 0.4), (0.75, 0.6), (1.0, 0.8))
    assert plain(points, 20, 3) == [
        "1.00 ┤          ****",
        " .70 ┤    ..**..  ..",
        " .40 ┤..**",
        "     └──────────────",
        "      1      epoch 3",
    ]


def test_a_nan_likelihood_is_a_gap_in_the_curve() -> None:
    gap = (math.nan, math.nan)
    rows = plain(trace((0.25, 0.25), (0.25, 0.25), gap, (0.25, 0.25), (0.25, 0.25)), 15, 3)
    assert rows[:3] == [" .30 ┤", " .25 ┤..*   *..", " .20 ┤"]
    assert plain(trace(gap, gap), 15, 3)[:3] == ["1.00 ┤", " .50 ┤", " .00 ┤"]


ODD_NAMES = (
    "[red]a[/red]",
    "<script>'\"",
    "שלום\u202e",
    "🦄" * 60,
    "数" * 300,
    "a\nb\x1b[2J",
    "x" * 500,
)


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
@pytest.mark.parametrize("size", [(80, 24), (200, 60), (40, 10), (23, 5), (8, 3)])
@pytest.mark.parametrize("name", ODD_NAMES)
def test_a_frame_fits_the_terminal_with_names_of_any_length(
    name: str, size: tuple[int, int], encoding: str
) -> None:
    unit = (trial(name, name),)
    scene = Scene.of([*unit, trial(name, "iris")], 2, 0.0)
    scene = after(scene, Started(unit), *(Reached(unit, point(epoch)) for epoch in range(1, 400)))
    scene = after(scene, Ended(unit, (Result(unit[0], "failed"),)), now=1e5)
    screen = shot(scene, 1e5, size, encoding)
    assert len(screen) < size[1]
    assert all(cell_len(line) <= size[0] for line in screen)
    assert "\x1b" not in "".join(screen)
    if size == (80, 24):
        assert len(screen) == 3 + 16 + 2
        assert screen[0].startswith("run 12  ")
        assert "1/2  27:46:40  27:46:40 left" in screen[0]
        assert "1 failed" in screen[1]
        assert "train .500" in screen[2]


def shot(
    scene: Scene, now: float, size: tuple[int, int], encoding: str = "utf-8", *, watch: bool = True
) -> list[str]:
    """The lines of a frame on a terminal of this size."""
    file = TextIOWrapper(BytesIO(), encoding)
    width, height = size
    console = Console(file=file, width=width, height=height, force_terminal=True, color_system=None)
    console.print(Frame(scene, now, "run 12", watch))
    file.flush()
    assert isinstance(file.buffer, BytesIO)
    return file.buffer.getvalue().decode(encoding).splitlines()


def test_a_frame_without_curves_shows_progress_and_the_slowest_model() -> None:
    scene = after(Scene.of(ALL, 1, 0.0), Started(FIRST))
    scene = after(scene, Ended(FIRST, (Result(FIRST[0], "ok"),), start=1.0), Started(SECOND), now=5)
    bar, counts = shot(scene, 6.0, (60, 24), watch=False)
    assert bar == "run 12  ━━━━━━━━━────────────────────  1/3  0:06  0:07 left"
    assert counts == "1 running · slowest: torch-mlp 4.0 s a trial"


def test_without_a_terminal_a_line_is_printed_now_and_then_later_less_often() -> None:
    clock, said = Clock(), list[str]()
    lines = Lines(Stage(Scene.of(ALL, 1, 0.0), clock), said.append)
    lines(Started(FIRST))
    when = []
    for clock.now in range(421):
        before = len(said)
        lines(Passed())
        when += [clock.now] * (len(said) - before)
    assert when == [*range(10, 301, 10), 330, 360, 390, 420]
    assert set(said) == {"0 of 3 done, 1 running"}


def test_a_watched_timing_prints_a_line_now_and_then(
    capsys: pytest.CaptureFixture[str],
) -> None:
    clock = Clock()
    with timing_display(shown=True, watch=True, clock=clock) as tell:
        for clock.now in range(25):
            tell(1, "digits[\x1b[31m]")
    assert capsys.readouterr().err.splitlines() == ["timing, process 1: digits[?[31m]"] * 2
    with timing_display(shown=True, watch=False, clock=clock) as tell:
        for clock.now in range(25):
            tell(1, "digits")
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("other", ["--no-progress", "--pdb"])
def test_watching_without_a_display_is_a_one_line_error(tmp_path: Path, other: str) -> None:
    done = harness_in(tmp_path, "run", "--all", "--watch", "--in-process", other)
    assert f"--watch and {other} cannot be used together" in complaint_of(done)


@pytest.mark.parametrize("words", [(), ("--in-process",)])
def test_a_watched_run_into_a_file_prints_the_same_tables(
    tmp_path: Path, words: tuple[str, ...]
) -> None:
    run = ("run", "-d", "threshold", "-m", "numpy-softmax", "-r", "2", "-j", "1", "--json", *words)
    watched, unwatched = (harness_in(tmp_path, *run, *more) for more in (("--watch",), ()))
    assert watched.status == unwatched.status == 0
    assert "running" not in unwatched.remarks
    both = [json.loads(done.printed)["tables"]["likelihood"] for done in (watched, unwatched)]
    assert both[0] == both[1]


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


def test_a_file_is_not_treated_as_a_terminal_even_if_colours_are_forced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    run = ("run", "-d", "threshold", "-m", "numpy-softmax", "-r", "1", "-j", "1", "--watch")
    done = harness_in(tmp_path, *run)
    assert done.status == 0
    assert "\x1b" not in done.remarks
    assert "3/3" not in done.remarks


@pytest.mark.parametrize("words", [(), ("--in-process",)])
def test_a_terminal_shows_the_curves_and_is_clean_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    file = Terminal()
    console = Console(file=file, width=80, height=24, force_terminal=True, color_system=None)
    monkeypatch.setattr("harness.terminal.display.err", lambda: console)
    run = ("run", "-d", "threshold", "-m", "numpy-softmax", "-r", "1", "-j", "1", "--watch")
    done = harness_in(tmp_path, *run, *words)
    assert done.status == 0
    shown = file.getvalue()
    assert "threshold · numpy-softmax · repeat 0" in shown
    assert "┅ test ." in shown
    assert "3/3" in shown
    assert shown.endswith("\x1b[2K")  # every line of the display is erased
