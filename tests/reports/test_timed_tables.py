"""The tables of timings: figures checked by hand, and their layout on pages."""

from __future__ import annotations

import csv
import io
import json
import math
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from made_frames import make_frames
from terminals import printed

from harness.analysis import timings
from harness.contract.values import Timing
from harness.sheets import timed
from harness.sheets.layout import Page
from harness.statistics.bridges import DAY
from harness.store.database import Store
from harness.store.frames import load_frames, timings_frame
from harness.store.sessions import Part, side_by_side

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

    from harness.contract.values import Frames, Report
    from harness.sheets.table import Sheet

FORMATS = ("rich", "markdown", "csv", "json", "latex")
CASE = "100x10 float32 warm"


def timing(kind: str, subject: str, case: str, *medians: float, **more: Any) -> Timing:
    """A timing of processes with these medians, with three samples in each process."""
    samples = tuple((0.9 * median, median, 1.5 * median) for median in medians)
    usual: dict[str, Any] = {"device": "cpu", "threads": 1, "status": "ok", "samples": samples}
    return Timing(kind, subject, case, **usual | more)


KERNELS = (
    timing("softmax", "fast", CASE, 2e-6, 4e-6, 6e-6, figures={"error": 9e-8, "survives": 1.0}),
    timing("softmax", "naive", CASE, 4e-6, 20e-6, 18e-6, figures={"error": 2e-7, "survives": 0.0}),
    timing("copy", "copy", CASE, 1e-6, 4e-6, 1.5e-6, figures={"first_seconds": 0.002}),
)
SIZES = {"n_train": 50.0, "n_test": 30.0}
PAIRING = (
    timing("fit", "mlp", "iris", 0.2, 0.1, 0.4, figures=SIZES | {"epochs": 100.0}),
    timing("reference", "mlp", "iris", 0.8, 0.1, 0.5, figures=SIZES),
    timing("together", "mlp", "iris", 0.4, 0.4, 1.6, figures={"together": 4.0}),
    timing("predict", "mlp", "iris", 3e-5, 3e-5, 3e-5, figures={"n_test": 30.0}),
    replace(
        timing("predict-row", "mlp", "iris"),
        samples=tuple(tuple(i * 1e-7 for i in range(101)) for _ in range(3)),
    ),
    timing("logits", "mlp", "iris", 1e-4, 1e-4, 1e-4),
)
UNTIMED = (
    timing("softmax", "wrong-one", CASE, status="wrong", reason="a probability differs by 0.1"),
    timing("softmax", "late-one", CASE, status="unfinished", reason="the time was up"),
    timing("fit", "odd[x=1]", "iris", status="failed", reason="ValueError: [bold]no\x1b[31m [/]"),
    timing("fit", "big", "digits", status="unfinished", reason="not timed within 1 s"),
    timing("softmax", "every kernel", "every shape", status="unfinished", reason="no XPU here"),
)
LONG = (
    timing("softmax", "a-kernel-with-a-long-name-of-its-own-graph", CASE, 1e-3, 1e-2, 1e-1),
    *(
        replace(base, subject="torch-mlp[hidden=64x64x64,activation=tanh]", case="a-long[n=1000]")
        for base in PAIRING
    ),
)


def frames_of(*timings: Timing) -> Frames:
    """Frames of a run without trials and with these timings."""
    return replace(make_frames(), timings=timings_frame(timings))


def only(table: pd.DataFrame, model: str = "mlp") -> dict[str, Any]:
    (row,) = table[table["model"] == model].to_dict("records")
    return {str(name): value for name, value in row.items()}


def page(sheet: Sheet, width: int) -> str:
    lines = Page([sheet], []).lines(width)
    return "\n".join("".join(text for text, _ in line) for line in lines)


def column(sheet: Sheet, head: str) -> list[str]:
    (matching,) = [each for each in sheet.columns if each.head == head]
    return [entry.text for entry in matching.entries]


# Kernels


def test_gigabytes_per_second_count_the_array_once_read_and_once_written() -> None:
    table = timings.softmax(frames_of(*KERNELS)).set_index("kernel")
    # 1000 float32 are 4000 bytes; read and written, 8000 in 4, 18 and 1.5 µs.
    assert table["gigabytes_per_second"].to_dict() == pytest.approx(
        {"fast": 2.0, "naive": 8 / 18, "copy": 8 / 1.5}
    )
    double = [replace(base, case="100x10 float64 warm") for base in KERNELS]
    table = timings.softmax(frames_of(*double)).set_index("kernel")
    assert table.loc["fast", "gigabytes_per_second"] == pytest.approx(4.0)


def test_a_ratio_is_the_median_of_the_ratios_of_the_processes() -> None:
    table = timings.softmax(frames_of(*KERNELS)).set_index("kernel")
    # 2/1, 4/4 and 6/1.5; the ratio of the medians would be 4/1.5.
    assert table["copies"].to_dict() == pytest.approx({"fast": 2.0, "naive": 5.0, "copy": 1.0})
    # 4/2, 20/4 and 18/6; the ratio of the medians would be 18/4.
    assert table.loc["naive", "bests"] == pytest.approx(3.0)
    assert table.loc["fast", "bests"] == 1
    assert math.isnan(table.loc["copy", "bests"])


def test_a_kernel_s_seconds_lie_in_their_interval() -> None:
    row = timings.softmax(frames_of(KERNELS[0])).iloc[0]
    assert row["seconds"] == pytest.approx(4e-6)
    assert row["minimum"] == pytest.approx(1.8e-6)
    assert row["third_quartile"] == pytest.approx(5e-6)
    assert row["low"] < row["seconds"] < row["high"]
    assert row["processes"] == 3
    assert math.isnan(row["copies"])  # because no copy was timed


def test_kernels_are_compared_only_on_the_same_shape_dtype_caches_and_device() -> None:
    other = [
        replace(base, **change, samples=tuple(tuple(10 * x for x in p) for p in base.samples))
        for change in (
            {"case": "100x10 float32 cold"},
            {"case": "100x10 float64 warm"},
            {"case": "7x10 float32 warm"},
            {"device": "cuda:0"},
        )
        for base in KERNELS
    ]
    table = timings.softmax(frames_of(*KERNELS, *other))
    assert len(table) == 15
    fast = table[table["kernel"] == "fast"]
    assert fast["copies"].tolist() == pytest.approx([2.0] * 5)
    assert fast["bests"].tolist() == [1] * 5
    sheets = timed.softmax_sheets(table)
    assert [(sheet.title, sheet.detail) for sheet in sheets] == [
        ("100x10 float32", "warm, cpu, 1 thread, 3 processes"),
        ("100x10 float32", "cold, cpu, 1 thread, 3 processes"),
        ("100x10 float64", "warm, cpu, 1 thread, 3 processes"),
        ("7x10 float32", "warm, cpu, 1 thread, 3 processes"),
        ("100x10 float32", "warm, cuda:0, 1 thread, 3 processes"),
    ]


def test_the_fastest_kernel_is_first_and_kernels_without_a_time_are_last() -> None:
    (sheet,) = timed.softmax_sheets(timings.softmax(frames_of(*UNTIMED[:2], *KERNELS)))
    assert column(sheet, "kernel") == ["copy", "fast", "naive", "wrong-one", "late-one"]
    assert column(sheet, "µs") == ["1.50", "4.00", "18.0", "wrong", "unfinished"]
    assert column(sheet, "GB/s") == ["5.33", "2.00", ".44", "", ""]
    assert column(sheet, "× copy") == ["1.00", "2.00", "5.00", "", ""]
    assert column(sheet, "× best") == ["", "1.00", "3.00", "", ""]
    assert column(sheet, "error") == ["", "9e-08", "2e-07", "", ""]
    assert column(sheet, "stable") == ["", "yes", "NO", "", ""]
    assert column(sheet, "first ms") == ["2.00", "", "", "", ""]


@pytest.mark.parametrize(
    ("seconds", "unit"),
    [
        ((2.0, 30.0), "s"),
        ((1.0,), "s"),
        ((0.5, 30.0), "ms"),
        ((1e-3,), "ms"),
        ((9e-4, 0.5), "µs"),
        ((1e-8,), "µs"),
    ],
)
def test_the_unit_is_the_largest_in_which_no_time_is_below_1(
    seconds: tuple[float, ...], unit: str
) -> None:
    kernels = [timing("softmax", f"k{i}", CASE, x, x, x) for i, x in enumerate(seconds)]
    (sheet,) = timed.softmax_sheets(timings.softmax(frames_of(*kernels)))
    assert sheet.columns[1].head == unit
    fits = [timing("fit", f"m{i}", "iris", x, x, x) for i, x in enumerate(seconds)]
    (sheet,) = timed.training_sheets(timings.training(frames_of(*fits)))
    assert sheet.columns[1].head == f"fit {unit}"


# Multiples of an anchor's time


ANCHORED: dict[str, Any] = {"anchor": "compute-1", "anchors": {"compute-1": (1e-3, 1e-3, 2e-3)}}
QUICK = timing("fit", "quick", "iris", samples=((0.1,), (0.1,), (0.2,)), **ANCHORED)
SLOW = timing("fit", "slow", "iris", samples=((0.3,), (0.3,), (0.6,)), **ANCHORED)
OLD = timing(
    *("fit", "old", "iris"),
    samples=((0.8,), (0.8,), (0.8,)),
    measured="2026-11-20T08:00:00+00:00",
    **ANCHORED | {"anchors": {"compute-1": (4e-3,) * 3}},
)
"""Twice the work of ``quick``, on a machine that was four times as slow."""


def bridged(*timings: Timing) -> Frames:
    """Frames of a run on 2026-11-28 that kept timings of another day."""
    run = replace(make_frames().run, started="2026-11-28T08:00:00+00:00")
    frame, _ = side_by_side([Part(run, timings_frame(timings))])
    return replace(make_frames(), run=run, timings=frame)


def test_the_time_of_a_fit_is_given_as_a_multiple_of_the_anchor_s() -> None:
    table = timings.training(frames_of(QUICK, SLOW))
    row = only(table, "slow")
    assert (row["anchor"], row["ratio"]) == ("compute-1", pytest.approx(300.0))
    (sheet,) = timed.training_sheets(table)
    assert column(sheet, "× anchor") == ["100", "300"]
    legend = " ".join(line for note in timed.notes(frames_of(QUICK)) for line in note.lines)
    assert "× anchor: the time divided by that of the anchor (compute-1)" in legend


def test_timings_of_another_day_are_ranked_by_multiples_and_their_day_is_given() -> None:
    frames = bridged(QUICK, OLD, SLOW)
    (sheet,) = timed.training_sheets(timings.training(frames))
    assert [each.head for each in sheet.columns] == ["model", "× anchor", "timed on", "fit ms"]
    assert column(sheet, "model") == ["quick", "old", "slow"]  # by milliseconds, old is last
    assert column(sheet, "fit ms") == ["100", "800", "300"]
    assert column(sheet, "timed on") == ["", "2026-11-20", ""]
    low, high = sheet.columns[1].entries[1].low, sheet.columns[1].entries[1].high
    assert float(low) < 200 * (1 - DAY) < 200 * (1 + DAY) < float(high)
    legend = " ".join(line for note in timed.notes(frames) for line in note.lines)
    assert "Compare by × anchor, which ranks the rows" in legend


def test_kernels_of_another_day_are_compared_by_multiples() -> None:
    quick, old = (replace(base, kind="softmax", case=CASE) for base in (QUICK, OLD))
    table = timings.softmax(bridged(quick, old)).set_index("kernel")
    assert table["bests"].to_dict() == pytest.approx({"quick": 1.0, "old": 2.0})
    (sheet,) = timed.softmax_sheets(table.reset_index())
    assert column(sheet, "kernel") == ["quick", "old"]
    assert column(sheet, "× anchor") == ["100", "200"]


def test_devices_without_an_anchor_are_named() -> None:
    on_card = timing("fit", "quick", "iris", 0.1, 0.1, 0.1, device="cuda:0")
    legend = " ".join(
        line for note in timed.notes(frames_of(QUICK, on_card)) for line in note.lines
    )
    assert "cuda:0: no anchor." in legend


def test_a_narrow_page_leaves_the_multiples_out_rather_than_take_another_block() -> None:
    anchored = [replace(base, **ANCHORED) for base in PAIRING]
    (sheet,) = timed.training_sheets(timings.training(frames_of(*anchored)))
    wide, narrow = (page(sheet, width) for width in (200, 80))
    assert "× anchor" in wide
    assert "anchor" not in narrow
    plain = replace(sheet, columns=tuple(c for c in sheet.columns if c.head != "× anchor"))
    assert narrow == page(plain, 80)


# Training


def test_a_pairing_is_a_row_with_figures_in_the_units_of_the_columns() -> None:
    row = only(timings.training(frames_of(*PAIRING)))
    assert (row["dataset"], row["model"], row["device"]) == ("iris", "mlp", "cpu")
    assert (row["status"], row["threads"], row["processes"]) == ("ok", 1, 3)
    expected = {
        "fit_seconds": 0.2,
        "fit_minimum": 0.09,
        "fit_third_quartile": 0.25,
        "epochs": 100,
        "microseconds_per_epoch": 2000.0,  # 0.2 s of 100 epochs
        "samples_per_second": 25_000.0,  # 50 rows 100 times in 0.2 s
        "together": 4,
        "together_microseconds_per_epoch": 1000.0,  # 0.4 s of 100 epochs of 4
        "reference_microseconds_per_epoch": 5000.0,
        "row_microseconds": 5.0,
        "row_p99_microseconds": 9.9,
        "rows_per_second": 1e6,  # 30 in 30 µs
        "softmax_microseconds": 100.0,
        "softmax_share": 0.05,  # 100 times 0.1 ms of 0.2 s
    }
    assert {name: row[name] for name in expected} == pytest.approx(expected)


def test_ratios_of_training_are_medians_of_the_ratios_of_the_processes() -> None:
    row = only(timings.training(frames_of(*PAIRING)))
    assert row["reference_ratio"] == pytest.approx(0.8)  # of 2/8, 1/1 and 4/5; not 2/5
    assert row["together_ratio"] == pytest.approx(4 / 4)  # of 2, 4 and 4, each of 4; not 2
    assert row["together_reference_ratio"] == pytest.approx(3.2 / 4)  # of .5, 4 and 3.2


def test_the_plain_loop_has_its_own_row_with_an_interval() -> None:
    table = timings.training(frames_of(*PAIRING))
    row = only(table, "plain mlp")
    assert row["fit_seconds"] == pytest.approx(0.5)
    assert row["fit_low"] < 0.5 < row["fit_high"]
    assert row["microseconds_per_epoch"] == pytest.approx(5000.0)
    assert row["samples_per_second"] == pytest.approx(50 * 100 / 0.5)
    (sheet,) = timed.training_sheets(table)
    assert column(sheet, "µs/epoch") == ["2000", "5000"]


def fits(epochs: int) -> list[Timing]:
    timings_of_fits = []
    for kind, once, each in (
        ("fit", 0.01, 0.001),
        ("reference", 0.02, 0.005),
        ("together", 0.05, 0.002),
    ):
        figures = SIZES | {"epochs": float(epochs), "together": 4.0}
        for name, seconds in ((kind, once + epochs * each), (f"{kind}-once", once + each)):
            base = timing(name, "mlp", "iris", figures=figures)
            timings_of_fits.append(replace(base, samples=((seconds,) * 3,) * 3))
    return timings_of_fits


def test_the_time_of_an_epoch_does_not_include_work_done_once_per_fit() -> None:
    """A fit takes 10 ms plus 1 ms per epoch; in the plain loop, 20 ms plus 5 ms per epoch."""
    row = only(timings.training(frames_of(*fits(20))))
    assert row["fit_seconds"] == pytest.approx(0.03)
    assert row["microseconds_per_epoch"] == pytest.approx(1000)
    assert row["reference_microseconds_per_epoch"] == pytest.approx(5000)
    assert row["reference_ratio"] == pytest.approx(0.2)
    assert row["together_ratio"] == pytest.approx(0.5)
    assert row["together_reference_ratio"] == pytest.approx(0.1)


def test_without_a_large_share_of_epochs_in_the_fit_there_is_no_time_per_epoch() -> None:
    """Three epochs of 1 ms in a fit of 12 ms: the other 9 ms vary by more than an epoch."""
    row = only(timings.training(frames_of(*fits(3))))
    for name in ("microseconds_per_epoch", "reference_ratio", "together_ratio"):
        assert math.isnan(row[name])
    assert row["fit_seconds"] == pytest.approx(0.013)


def test_a_model_without_epochs_has_no_figures_per_epoch() -> None:
    forest = timing("fit", "forest", "iris", 0.2, 0.2, 0.2, figures=SIZES | {"epochs": 0.0})
    row = only(timings.training(frames_of(forest, PAIRING[3])), "forest")
    assert row["fit_seconds"] == pytest.approx(0.2)
    for name in ("epochs", "microseconds_per_epoch", "samples_per_second", "together_ratio"):
        assert math.isnan(row[name])
    (sheet,) = timed.training_sheets(timings.training(frames_of(forest)))
    assert [each.head for each in sheet.columns] == ["model", "fit ms"]


def test_a_fit_that_was_cut_short_has_only_a_time_per_epoch() -> None:
    cut = timing("fit", "mlp", "iris", 0.2, 0.1, 0.4, figures=SIZES | {"epochs": 4, "cut_from": 90})
    forest = timing("fit", "forest", "iris", 0.2, 0.2, 0.2, figures=SIZES)
    table = timings.training(frames_of(cut, forest))
    row = table[table["model"] == "mlp"].iloc[0]
    assert (row["epochs"], row["microseconds_per_epoch"]) == (4, pytest.approx(50_000.0))
    assert math.isnan(row["fit_seconds"])
    assert math.isnan(row["fit_low"])
    (sheet,) = timed.training_sheets(table)
    names, fits = sheet.columns[:2]
    shown = [(a.text, b.text) for a, b in zip(names.entries, fits.entries, strict=True)]
    assert shown == [("forest", "200"), ("mlp", "")]


def test_a_pairing_with_a_failed_part_shows_its_other_figures() -> None:
    broken = replace(PAIRING[2], status="failed", samples=(), reason="ValueError")
    row = only(timings.training(frames_of(PAIRING[0], broken, *PAIRING[3:])))
    assert row["status"] == "ok"
    assert math.isnan(row["together"])
    assert math.isnan(row["reference_ratio"])
    assert row["rows_per_second"] == pytest.approx(1e6)


def test_a_pairing_whose_fit_failed_has_a_row_with_the_reason_and_is_in_no_sheet() -> None:
    broken = replace(PAIRING[0], status="failed", samples=(), reason="ValueError: no")
    table = timings.training(frames_of(broken, *PAIRING[1:3]))
    row = only(table)
    assert (row["status"], row["reason"]) == ("failed", "ValueError: no")
    assert math.isnan(row["fit_seconds"])
    assert row["together_reference_ratio"] == pytest.approx(0.8)
    (sheet,) = timed.training_sheets(table)
    assert column(sheet, "model") == ["plain mlp"]


def test_a_note_mentions_work_that_a_fit_leaves_to_later_if_it_is_a_large_part() -> None:
    def fit(name: str, kind: str = "fit", **left: float) -> Timing:
        figures = SIZES | {"epochs": 100.0, "together": 4.0}
        figures |= {
            f"left_{kind_of_work}_seconds": seconds for kind_of_work, seconds in left.items()
        }
        return timing(kind, name, "iris", 0.1, 0.1, 0.1, figures=figures)

    timed_fits = (
        fit("lazy", to_predict=0.05, running=0.0),
        fit("threaded", to_predict=0.0, running=0.25),
        fit("both", to_predict=0.3, running=0.02),
        fit("both", "together", to_predict=0.3, running=0.0),
        fit("both", "reference", to_predict=0.0, running=0.1),
        fit("cold", to_predict=0.009, running=0.009),
        fit("honest", to_predict=0.0, running=0.0),
        timing("fit", "old", "iris", 0.1, 0.1, 0.1, figures=SIZES),
        timing("fit", "quick", "iris", *[1e-5] * 3, figures={"left_to_predict_seconds": 9e-4}),
    )
    (note,) = [
        section for section in timed.notes(frames_of(*timed_fits)) if "fit" in section.heading
    ]
    first, background = "to the first prediction", "of processor time in the background"
    returns = "its fit returns after 100 ms"
    predict = f"leaves 300 ms of its work {first}"
    assert note.lines == (
        f"iris, lazy: {returns}, leaves 50.0 ms of its work {first}",
        f"iris, threaded: {returns}, goes on for 250 ms {background}",
        f"iris, both: {returns}, {predict} and goes on for 20.0 ms {background}",
        f"iris, both, 4 at once: {returns}, {predict}",
        f"iris, plain both: {returns}, goes on for 100 ms {background}",
    )
    row = only(timings.training(frames_of(*timed_fits)), "lazy")
    assert (row["left_to_predict_seconds"], row["left_running_seconds"]) == (0.05, 0)


def of_processes(kind: str, *seconds: float) -> Timing:
    figures = SIZES | {"epochs": 11.0, "together": 4.0}
    base = timing(kind, "mlp", "iris", figures=figures)
    return replace(base, samples=tuple((value,) for value in seconds))


def test_a_process_that_was_delayed_gives_no_time_per_epoch() -> None:
    """In the third process a fit of one epoch took longer than the whole fit."""
    fit = of_processes("fit", 0.11, 0.12, 0.11, 0.13)
    once = of_processes("fit-once", 0.01, 0.02, 0.40, 0.03)
    plain = of_processes("reference", 0.21, 0.22, 0.9, 0.23)
    plain_once = of_processes("reference-once", 0.01, 0.02, 0.1, 0.03)
    row = only(timings.training(frames_of(fit, once, plain, plain_once)))
    assert row["microseconds_per_epoch"] == pytest.approx(10_000)
    assert row["reference_ratio"] == pytest.approx(0.5)
    assert row["reference_ratio_low"] == pytest.approx(0.5)


@pytest.mark.parametrize("once", [(0.01, 0.02, 0.4), (0.01, 0.02, 0.03, 0.4, 0.4, 0.4)])
def test_with_the_time_per_epoch_of_few_processes_none_is_given(once: tuple[float, ...]) -> None:
    fit = of_processes("fit", *[0.11] * len(once))
    row = only(timings.training(frames_of(fit, of_processes("fit-once", *once))))
    assert math.isnan(row["microseconds_per_epoch"])


@pytest.mark.parametrize(
    "name",
    [
        *("microseconds_per_epoch", "samples_per_second", "row_microseconds"),
        *("row_p99_microseconds", "rows_per_second", "softmax_microseconds", "softmax_share"),
        *("together_microseconds_per_epoch", "together_ratio", "together_reference_ratio"),
        *("reference_microseconds_per_epoch", "reference_ratio"),
    ],
)
def test_every_figure_of_training_has_an_interval_around_it(name: str) -> None:
    row = only(timings.training(frames_of(*PAIRING)))
    assert row[f"{name}_low"] <= row[name] <= row[f"{name}_high"]


@pytest.mark.parametrize("name", ["gigabytes_per_second", "copies", "bests", "first_seconds"])
def test_every_figure_of_a_kernel_has_an_interval_around_it(name: str) -> None:
    more = {"first_seconds_low": 0.001, "first_seconds_high": 0.004}
    kernels = [replace(base, figures={**base.figures, **more}) for base in KERNELS]
    row = timings.softmax(frames_of(*kernels)).set_index("kernel").loc["naive"]
    assert row[f"{name}_low"] <= row[f"{name}_high"]
    if name != "first_seconds":
        assert row[f"{name}_low"] <= row[name] <= row[f"{name}_high"]


def test_a_ratio_of_times_from_different_processes_has_no_interval() -> None:
    fewer = replace(KERNELS[2], samples=KERNELS[2].samples[:2])
    row = timings.softmax(frames_of(KERNELS[0], fewer)).set_index("kernel").loc["fast"]
    assert row["copies"] > 0
    assert math.isnan(row["copies_low"])


def test_a_note_below_the_timings_says_that_the_machine_was_busy() -> None:
    def told(**machine: float) -> str:
        frames = frames_of(*PAIRING)
        facts = {"timing": {"machine": {"processors": 2, **machine}}}
        run = replace(frames.run, environment={**frames.run.environment, **facts})
        return " ".join(timed.notes(replace(frames, run=run))[0].lines)

    assert "This machine was busy: other programs used 1.2 of 2 processors." in told(others=1.2)
    assert "busy" not in told(others=0.1, own=0.99)
    assert "busy" not in " ".join(timed.notes(frames_of(*PAIRING))[0].lines)


def test_a_narrow_page_leaves_out_intervals_instead_of_adding_a_block() -> None:
    def page(width: int, table: pd.DataFrame) -> str:
        lines = Page(timed.training_sheets(table), []).lines(width)
        return "\n".join("".join(text for text, _ in line) for line in lines)

    table = timings.training(frames_of(*PAIRING))
    ends = {name for name in table.columns if name.endswith(("_low", "_high"))}
    ends -= {"fit_low", "fit_high"}  # which are always shown
    bare = table.assign(**dict.fromkeys(ends, math.nan))
    for width in (80, 120, 400):
        assert page(width, table).count("model") == page(width, bare).count("model")
    assert 1 <= page(80, table).count("[") < page(400, table).count("[")
    assert page(400, table).count("[") == 10 + 3  # intervals of each figure, and of the plain loop


def test_devices_are_named_if_there_are_several() -> None:
    elsewhere = [replace(base, device="cuda:0") for base in PAIRING]
    sheets = timed.training_sheets(timings.training(frames_of(*PAIRING, *elsewhere)))
    names = [name for sheet in sheets for name in column(sheet, "model")]
    assert names == [
        *("mlp @ cpu", "mlp @ cuda:0"),
        *("plain mlp @ cpu", "plain mlp @ cuda:0"),
    ]


# Pages


@pytest.fixture
def timings_only(tmp_path: Path) -> Frames:
    """A run without trials, stored as `harness bench` stores it."""
    with closing(Store(str(tmp_path / "harness.db"), create=True)) as store:
        run = store.begin("", {"bench": "softmax"}, {}, 0)
        store.add_timings(run, (*KERNELS, *PAIRING, *UNTIMED))
        return load_frames(store, store.find())


def in_style(report: Report, frames: Frames, style: str) -> str:
    return printed(report, frames) if style == "rich" else str(report.render(frames, style))


@pytest.mark.parametrize("width", [40, 50, 60, 80, 100, 120])
def test_no_line_is_longer_than_the_page_is_wide(report: Report, width: int) -> None:
    frames = frames_of(*KERNELS, *PAIRING, *UNTIMED, *LONG)
    text = printed(report, frames, width)
    assert max(map(len, text.splitlines())) <= width
    for word in ("naive", "iris, timed alone", "GB/s", "wrong", "Not timed"):
        assert word in text


def test_pairings_and_kernels_without_a_time_are_listed_with_the_reason(report: Report) -> None:
    text = printed(report, frames_of(*KERNELS, *PAIRING, *UNTIMED), 1000)
    assert f"wrong-one, {CASE} (softmax) @ cpu: wrong: a probability differs by 0.1" in text
    assert f"1 timing: the time was up: {CASE}, late-one" in text
    assert "1 timing: not timed within 1 s: digits, big" in text
    assert "1 timing: no XPU here: every shape, every kernel" in text


def test_many_pairings_without_a_time_for_the_same_reason_are_one_line(report: Report) -> None:
    late = [
        timing("fit", f"m{i}", "digits", status="unfinished", reason="not timed within 1 s")
        for i in range(9)
    ]
    text = printed(report, frames_of(*late), 1000)
    listed = "; ".join(f"digits, m{i}" for i in range(3))
    assert f"9 timings: not timed within 1 s: {listed}; and 6 more" in text


def test_markup_from_plugins_is_printed_as_text(report: Report) -> None:
    text = printed(report, frames_of(*PAIRING, *UNTIMED, *LONG), 1000)
    assert "odd[x=1], iris (fit) @ cpu: failed: ValueError: [bold]no?[31m [/]" in text
    assert "torch-mlp[hidden=64x64x64,activation=tanh]" in text
    assert "a-long[n=1000], timed alone" in text
    assert "\x1b" not in text
    markdown = str(report.render(frames_of(*UNTIMED, *LONG), "markdown"))
    assert r"odd\[x=1\]" in markdown
    assert r"\[bold\]no" in markdown
    assert "`torch-mlp[hidden=64x64x64,activation=tanh]`" in markdown


@pytest.mark.parametrize("style", FORMATS)
def test_a_bench_without_trials_is_rendered_in_every_format(
    report: Report, timings_only: Frames, style: str
) -> None:
    text = (
        printed(report, timings_only)
        if style == "rich"
        else str(report.render(timings_only, style))
    )
    assert "mlp" in text
    assert "Ranked by" not in text
    if style != "csv":
        assert "naive" in text


@pytest.mark.parametrize("style", FORMATS)
def test_trials_without_timings_are_rendered_in_every_format(report: Report, style: str) -> None:
    frames = make_frames()
    text = in_style(report, frames, style)
    assert "numpy-softmax" in text
    assert "timed alone" not in text
    assert "Timed alone" not in text


@pytest.mark.parametrize("style", FORMATS)
def test_trials_and_then_timings_are_rendered_in_every_format(report: Report, style: str) -> None:
    frames = frames_of(*KERNELS, *PAIRING)
    text = in_style(report, frames, style)
    assert "numpy-softmax" in text
    if style in ("rich", "markdown", "latex"):
        assert text.index("sklearn") < text.index("iris, timed alone") < text.index("100x10")


def test_json_has_every_figure_and_null_for_missing_figures(
    report: Report, timings_only: Frames
) -> None:
    tables = json.loads(str(report.render(timings_only, "json")))["tables"]
    (mlp, _, odd, big) = tables["training"]
    assert mlp["reference_ratio"] == pytest.approx(0.8)
    assert (odd["status"], odd["fit_seconds"]) == ("failed", None)
    assert (big["status"], big["reason"]) == ("unfinished", "not timed within 1 s")
    kernels = {row["kernel"]: row for row in tables["softmax"]}
    assert list(kernels) == ["fast", "naive", "copy", "wrong-one", "late-one"]
    assert kernels["naive"]["survives"] == 0
    assert kernels["late-one"]["seconds"] is None
    assert not tables["ranking"]


def test_csv_has_the_main_table_of_the_run(report: Report, tmp_path: Path) -> None:
    def heads(*timings: Timing) -> list[str]:
        with closing(Store(str(tmp_path / "harness.db"), create=True)) as store:
            run = store.begin("", {"bench": "x"}, {}, 0)
            store.add_timings(run, timings)
            frames = load_frames(store, run)
        text = str(report.render(frames, "csv"))
        return next(csv.reader(io.StringIO(text)))

    assert heads(*KERNELS) == list(timings.SOFTMAX_COLUMNS)
    assert heads(*PAIRING) == list(timings.TRAINING_COLUMNS)


def test_empty_tables_have_their_columns(report: Report) -> None:
    tables = report.tables(frames_of())
    assert list(tables["training"].columns) == list(timings.TRAINING_COLUMNS)
    assert list(tables["softmax"].columns) == list(timings.SOFTMAX_COLUMNS)
    assert tables["training"].empty
    assert tables["softmax"].empty
    assert not timed.notes(frames_of())
