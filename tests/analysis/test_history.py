"""Points form series, series consist of segments, and segments have steps."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from histories import point

from harness.analysis.history import segments

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.contract.values import Point
    from harness.store.database import Store


def bridge(day: int, value: float, old: str, new: str, **changes: Any) -> Point:
    """A point that compares the new anchor with the old one."""
    return point(day, value, source="bridge", anchor=new, revision=old, **changes)


def values(points: Sequence[Point]) -> list[list[float]]:
    return [[round(value, 6) for value in segment.values] for segment in segments(points)]


def test_points_of_one_series_machine_and_anchor_are_a_segment() -> None:
    points = [point(0, 0.1), point(1, 0.2), point(1, 5.0, subject="other"), point(2, 0.3)]
    assert values(points) == [[0.1, 0.2, 0.3], [5.0]]
    assert [segment.series[1] for segment in segments(points)] == ["mlp", "other"]


def test_another_machine_has_its_own_segment() -> None:
    points = [point(day, float(day), machine="mn"[day % 2]) for day in range(6)]
    assert values(points) == [[0.0, 2.0, 4.0], [1.0, 3.0, 5.0]]


def test_another_anchor_begins_a_segment() -> None:
    points = [point(0, 0.1), point(1, 0.2), point(2, 0.9, anchor="b"), point(3, 0.8, anchor="b")]
    assert values(points) == [[0.1, 0.2], [0.9, 0.8]]


def test_a_bridge_continues_the_segment_in_units_of_its_first_anchor() -> None:
    points = [
        point(0, 0.1),
        bridge(1, 0.3, "a", "b"),
        point(2, -0.2, anchor="b"),
        bridge(3, -0.1, "b", "c"),
        point(4, 0.0, anchor="c"),
    ]
    assert values(points) == [[0.1, 0.1, 0.2]]
    (segment,) = segments(points)
    assert [stored_point.source for stored_point in segment.points] == ["ab"] * 3


def test_a_bridge_from_an_anchor_outside_the_segment_is_ignored() -> None:
    """Another machine or another series changed its anchor to b in the meantime."""
    points = [point(0, 0.1), bridge(1, 5.0, "b", "c"), point(2, 0.2, anchor="c")]
    assert values(points) == [[0.1], [0.2]]


def test_a_bridge_applies_only_to_its_own_series_and_machine() -> None:
    points = [
        point(0, 0.1),
        point(0, 0.1, machine="n"),
        bridge(1, 0.3, "a", "b"),
        point(2, 0.0, anchor="b"),
        point(2, 0.0, anchor="b", machine="n"),
    ]
    assert sorted(values(points)) == [[0.0], [0.1], [0.1, 0.3]]


def test_a_bridge_before_the_first_point_has_no_effect() -> None:
    assert values([bridge(0, 0.3, "a", "b"), point(1, 0.1, anchor="b")]) == [[0.1]]


def test_a_bridge_alone_is_not_a_segment() -> None:
    assert segments([bridge(0, 0.3, "a", "b")]) == []
    assert segments([]) == []


def test_a_step_is_found_with_its_size() -> None:
    rng = np.random.default_rng(3)
    noise = 0.005 * rng.standard_normal(30)
    points = [point(day, float(noise[day]) + 0.1 * (day >= 18)) for day in range(30)]
    (segment,) = segments(points)
    (step,) = segment.steps
    assert abs(step.index - 18) <= 1
    assert step.size == pytest.approx(0.1, abs=0.01)
    assert 0 < step.low <= step.size <= step.high
    assert step.firm


def test_a_step_followed_by_few_points_is_provisional() -> None:
    rng = np.random.default_rng(1)
    noise = 0.005 * rng.standard_normal(24)
    points = [point(day, float(noise[day]) + 0.1 * (day >= 20)) for day in range(24)]
    (step,) = segments(points)[0].steps
    assert not step.firm


@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_few_points_have_no_steps(n: int) -> None:
    (segment,) = segments([point(day, float(day)) for day in range(n)])
    assert segment.steps == ()
    assert len(segment.points) == n


def test_a_bridge_removes_the_change_between_its_anchors() -> None:
    rng = np.random.default_rng(2)
    noise = 0.005 * rng.standard_normal(40)
    points = []
    for day in range(40):
        if day == 20:
            points.append(bridge(day, 0.5, "a", "b"))
        moved = 0.0 if day < 20 else -0.5
        anchor = "a" if day < 20 else "b"
        points.append(point(day, float(noise[day]) + moved, anchor=anchor))
    (segment,) = segments(points)
    assert segment.steps == ()


def joined(rng: np.random.Generator, step: float) -> Sequence[Point]:
    """Twenty points, a bridge with the error of ten pairs, and thirty points."""
    sd = 0.005
    wrong = sd * rng.standard_normal()
    half = 2.26 * sd
    noise = sd * rng.standard_normal(50)
    before = [point(day, float(noise[day])) for day in range(20)]
    joint = bridge(20, wrong, "a", "b", low=wrong - half, high=wrong + half)
    after = [point(day, float(noise[day]) + step, anchor="b") for day in range(20, 50)]
    return [*before, joint, *after]


def test_the_error_of_a_bridge_is_not_a_step() -> None:
    rng = np.random.default_rng(5)
    alarmed = sum(bool(segments(joined(rng, 0.0))[0].steps) for _ in range(200))
    assert alarmed <= 6  # 3%; the nominal rates of both parts and of the bridge add up to 2%


def test_a_change_far_larger_than_the_error_of_a_bridge_is_a_step() -> None:
    (segment,) = segments(joined(np.random.default_rng(6), 0.05))
    (step,) = segment.steps
    assert step.index == 20
    assert step.low < 0.05 < step.high
    assert step.firm


def test_a_segment_of_scores_is_not_timed() -> None:
    (segment,) = segments([point(0, 0.9, measure="accuracy", anchor="", source="run")])
    assert not segment.timed
    assert segments([point(0, 0.9)])[0].timed


# In the store


def test_points_read_back_as_they_were_written_oldest_first(store: Store) -> None:
    points = [point(2, 0.3), point(0, -0.1), point(1, 0.9, measure="accuracy")]
    assert store.add_points(points) == 3
    assert store.points() == sorted(points, key=lambda stored_point: stored_point.time)


def test_unknown_values_read_back_as_nan(store: Store) -> None:
    unknown = point(0, 0.1, low=math.nan, high=math.inf, seconds=math.nan)
    store.add_points([unknown])
    (stored_point,) = store.points()
    assert all(
        math.isnan(value) for value in (stored_point.low, stored_point.high, stored_point.seconds)
    )


def test_stored_points_are_not_added_again(store: Store) -> None:
    points = [point(0, 0.1), point(1, 0.2)]
    assert store.add_points(points) == 2
    assert store.add_points([*points, point(2, 0.3), point(2, 0.3)]) == 1
    assert len(store.points()) == 3
    assert store.add_points([]) == 0


def test_strange_texts_are_stored(store: Store) -> None:
    strange = point(0, 0.1, subject="a\0b \udcff | <", case="😀", revision="r\0")
    assert store.add_points([strange]) == 1
    assert store.add_points([strange]) == 0
    (stored_point,) = store.points()
    assert stored_point.case == "😀"


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_point_with_a_nan_value_is_dropped_and_the_others_are_kept(
    store: Store, value: float
) -> None:
    assert store.add_points([point(0, 0.1), point(1, value)]) == 1
    assert [stored_point.value for stored_point in store.points()] == [0.1]


def test_deleting_a_run_keeps_the_history(store: Store) -> None:
    run = store.begin("", {}, {}, 0)
    store.add_points([replace(point(0, 0.1), source="run")])
    store.delete(run)
    assert len(store.points()) == 1
