"""Timings of several runs in one table: of one machine and day as they are, of others by ratios."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from harness.contract.values import Run, Timing
from harness.statistics.bridges import DAY, MACHINE
from harness.statistics.timings import anchored
from harness.store.frames import timings_frame
from harness.store.sessions import Part, side_by_side

if TYPE_CHECKING:
    import pandas as pd

MORNING, EVENING = "2026-11-27T08:00:00+00:00", "2026-11-27T20:00:00+00:00"
LATER = "2026-11-28T08:00:00+00:00"
ANCHORED: dict[str, Any] = {"anchor": "compute-1", "anchors": {"compute-1": (1e-4, 2e-4, 1e-4)}}


def timing(subject: str, seconds: float, kind: str = "fit", **more: Any) -> Timing:
    samples = ((seconds,), (2 * seconds,), (1.1 * seconds,))
    usual: dict[str, Any] = {"samples": samples} | ANCHORED
    return Timing(kind, subject, "iris", "cpu", 1, "ok", **usual | more)


def part(number: int, started: str, *timings: Timing, node: str = "here") -> Part:
    machine = {"node": node, "processor": "fast"}
    run = Run(number, "", started, started, {}, {"machine": machine}, 1)
    return Part(run, timings_frame(timings))


def row(frame: pd.DataFrame, subject: str, kind: str = "fit") -> dict[str, Any]:
    (found,) = frame[(frame["subject"] == subject) & (frame["kind"] == kind)].to_dict("records")
    return {str(name): value for name, value in found.items()}


def within(seconds: float) -> tuple[float, float, float]:
    made = timing("", seconds)
    return anchored(made.samples, made.anchors["compute-1"])


def test_the_newest_timing_of_each_model_stands_and_says_when_it_was_measured() -> None:
    frame, lines = side_by_side(
        [
            part(1, MORNING, timing("knn", 0.1), timing("lda", 0.2)),
            part(2, EVENING, timing("knn", 0.3)),
        ]
    )
    assert row(frame, "knn")["median"] == pytest.approx(0.33)
    assert [row(frame, name)["measured"] for name in ("knn", "lda")] == ["", MORNING]
    assert lines == []


def test_a_newer_failure_does_not_replace_a_success() -> None:
    failed = Timing("fit", "knn", "iris", "cpu", 1, "unfinished", "not timed within 1 s")
    frame, _ = side_by_side([part(1, MORNING, timing("knn", 0.1)), part(2, EVENING, failed)])
    assert row(frame, "knn")["status"] == "ok"


def test_all_timings_of_a_model_on_a_dataset_come_from_one_run() -> None:
    """Their quotients are formed within processes."""
    both = [timing("knn", 0.1), timing("knn", 0.01, "predict")]
    frame, _ = side_by_side([part(1, MORNING, *both), part(2, EVENING, timing("knn", 0.3))])
    assert list(frame["kind"]) == ["fit"]


def test_timings_of_one_day_and_machine_stand_as_they_are() -> None:
    frame, _ = side_by_side(
        [part(1, MORNING, timing("lda", 0.2)), part(2, EVENING, timing("knn", 0.1))]
    )
    assert set(frame["bridge"]) == {""}
    lda = row(frame, "lda")
    assert (lda["ratio"], lda["ratio_low"], lda["ratio_high"]) == pytest.approx(within(0.2))


@pytest.mark.parametrize(
    ("started", "node", "bridge", "deviation"),
    [
        (MORNING, "here", "day", DAY),
        (MORNING, "there", "machine", MACHINE["compute"]),
        (LATER, "there", "machine", MACHINE["compute"]),
    ],
)
def test_timings_of_another_day_or_machine_have_wider_intervals_of_the_ratio(
    started: str, node: str, bridge: str, deviation: float
) -> None:
    newest = part(2, LATER, timing("knn", 0.1))
    frame, lines = side_by_side([part(1, started, timing("lda", 0.2), node=node), newest])
    knn, lda = row(frame, "knn"), row(frame, "lda")
    assert (knn["bridge"], lda["bridge"]) == ("", bridge)
    ratio, low, high = within(0.2)
    assert lda["ratio"] == pytest.approx(ratio)
    assert lda["ratio_low"] < low * (1 - deviation / 2)
    assert lda["ratio_high"] > high * (1 + deviation / 2)
    assert (knn["ratio_low"], knn["ratio_high"]) == pytest.approx(within(0.1)[1:])
    assert lines == []


def test_the_same_work_on_a_machine_twice_as_slow_has_the_same_ratio() -> None:
    slow: dict[str, Any] = {"anchors": {"compute-1": (2e-4, 4e-4, 2e-4)}}
    frame, _ = side_by_side(
        [
            part(1, MORNING, timing("lda", 0.4, **slow), node="slow"),
            part(2, MORNING, timing("knn", 0.2)),
        ]
    )
    lda, knn = row(frame, "lda"), row(frame, "knn")
    assert lda["ratio"] == pytest.approx(knn["ratio"])
    assert lda["median"] == pytest.approx(2 * knn["median"])


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"anchor": "", "anchors": {}}, "of another day or machine and without an anchor"),
        (
            {"anchor": "compute-2", "anchors": {"compute-2": (1e-4,) * 3}},
            "whose anchor is compute-2, not compute-1",
        ),
        ({"threads": 4}, "with 4 threads"),
    ],
)
def test_what_no_ratio_connects_is_left_out_and_said(more: dict[str, Any], why: str) -> None:
    old = part(1, MORNING, replace(timing("lda", 0.2), **more))
    frame, lines = side_by_side([old, part(2, LATER, timing("knn", 0.1))])
    assert list(frame["subject"]) == ["knn"]
    assert lines == [f"Left out: 1 timing of run 1 (lda), {why}."]


def test_timings_without_anchors_stand_beside_others_of_the_same_day_and_machine() -> None:
    old = part(1, MORNING, timing("lda", 0.2, anchor="", anchors={}))
    frame, lines = side_by_side([old, part(2, EVENING, timing("knn", 0.1))])
    assert (set(frame["subject"]), lines) == ({"lda", "knn"}, [])


def test_a_newest_run_without_anchors_stands_alone() -> None:
    new = part(2, LATER, timing("knn", 0.1, anchor="", anchors={}))
    frame, lines = side_by_side([part(1, MORNING, timing("lda", 0.2)), new])
    assert list(frame["subject"]) == ["knn"]
    why = "whose anchor is compute-1, which the newest timings lack"
    assert lines == [f"Left out: 1 timing of run 1 (lda), {why}."]


def test_a_timing_that_a_run_kept_is_of_the_day_and_machine_that_took_it() -> None:
    elsewhere = part(1, MORNING, node="there").run
    kept = timing("lda", 0.2, measured=MORNING)
    newest = part(2, LATER, kept, timing("knn", 0.1))
    frame, _ = side_by_side([newest], [elsewhere])
    assert (row(frame, "lda")["bridge"], row(frame, "lda")["measured"]) == ("machine", MORNING)
    frame, _ = side_by_side([newest])
    assert row(frame, "lda")["bridge"] == "day"


def test_to_put_frames_side_by_side_again_adds_no_further_error() -> None:
    parts = [part(1, MORNING, timing("lda", 0.2)), part(2, LATER, timing("knn", 0.1))]
    once, _ = side_by_side(parts)
    again, _ = side_by_side([Part(parts[-1].run, once)])
    ends = ["measured", "bridge", "ratio", "ratio_low", "ratio_high"]
    assert again[ends].equals(once[ends])


def test_rows_that_are_not_wanted_are_left_out_without_a_line() -> None:
    parts = [part(1, MORNING, timing("lda", 0.2)), part(2, LATER, timing("knn", 0.1))]
    frame, lines = side_by_side(parts, wanted=lambda run_id, _row: run_id == 2)
    assert (list(frame["subject"]), lines) == (["knn"], [])
