"""Tables of what was timed alone: training and prediction of pairings, and softmax kernels."""

from __future__ import annotations

import math
from itertools import groupby
from typing import TYPE_CHECKING, Any, TypeAlias

from harness.analysis.timings import PLAIN, training, with_intervals
from harness.contract.values import RUNNING, TO_PREDICT
from harness.sheets.figures import compact
from harness.sheets.notes import Note
from harness.sheets.table import Column, Entry, Sheet
from harness.statistics.bridges import deviation
from harness.timing.busyness import complaint
from harness.words import UNITS, fixed, listed, plain, plural

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    import pandas as pd

    from harness.contract.values import Frames

    Record: TypeAlias = dict[str, Any]
    """A row of a table of timings, as pandas gives it: names and numbers."""


SOFTMAX_OPTIONAL = ("× copy", "× best", "first ms", "GB/s")
TRAINING_OPTIONAL = ("µs/epoch", "of plain", "row µs", "rows/s", "p99", "softmax µs", "share")
"""Heads of the columns whose intervals a narrow page may leave out, the most important first."""
RATIO, TIMED_ON = "× anchor", "timed on"
TRAINING_TOLD = {
    "microseconds_per_epoch": (
        "µs/epoch: time that each epoch after the first adds to a fit. Without a fit time, the "
        "model was timed with fewer epochs than it has by default."
    ),
    "row_microseconds": (
        "row: time of a call that predicts one row, as median and p99 (99th percentile)."
    ),
    "softmax_microseconds": (
        "softmax: time of one softmax over the training rows; share: its part of an epoch's time."
    ),
    "reference_ratio": (
        "of plain: time of an epoch, divided by that of a plain loop that does the same training."
    ),
    "together_ratio": (
        "at once: time per repeat if several are trained together, divided by that of one trained "
        "alone. N of plain: the same, divided by the plain loop's time."
    ),
}
"""How to read the columns of the table of timings."""
SOFTMAX_TOLD = (
    (
        "GB/s: bytes per second if the array is read once and written once. × copy: time divided "
        "by that of copying the array on the same device; no kernel can be below 1."
    ),
    (
        "error: the largest error, against a more precise type. stable: whether logits near -1e7 "
        "still give probabilities, not NaN. first: time of the first call, with loading and "
        "compiling."
    ),
)
LEAST_LEFT, PART_LEFT = 1e-3, 0.1
"""A note mentions work that a fit leaves undone from these seconds and this fraction of a fit."""


def training_sheets(table: pd.DataFrame) -> list[Sheet]:
    """A sheet of the fit and prediction times on each dataset."""
    several = table["device"].nunique() > 1
    sheets = []
    records: list[Record] = table[table["status"] == "ok"].to_dict("records")  # type: ignore[assignment]  # names are texts
    for dataset, group in groupby(records, key=lambda row: str(row["dataset"])):
        rows = list(group)
        bridged = any(row["bridge"] for row in rows)
        by = "ratio" if bridged else "fit_seconds"
        rows.sort(key=lambda row: (math.isnan(row[by]), row[by]))
        scale, unit = _unit([row["fit_seconds"] for row in rows])
        n_together = max((row["together"] for row in rows if row["together"] > 1), default=0)

        columns = [
            Column(
                "model",
                tuple(
                    Entry(
                        _name(row, several),
                        look="faint" if row["plain"] else "",
                    )
                    for row in rows
                ),
                named=True,
            ),
            *([_ratio(rows), _days(rows)] if bridged else []),
            Column(
                f"fit {unit}",
                tuple(
                    _between(row["fit_seconds"], row["fit_low"], row["fit_high"], scale)
                    for row in rows
                ),
            ),
            _measured(rows, "µs/epoch", "microseconds_per_epoch", _tens),
            _measured(rows, "of plain", "reference_ratio", _factor),
            *_together(rows, n_together),
            _measured(rows, "samples/s", "samples_per_second", _rate),
            _measured(rows, "softmax µs", "softmax_microseconds", _tens),
            _measured(rows, "share", "softmax_share", _share),
            _measured(rows, "row µs", "row_microseconds", _tens),
            _measured(rows, "p99", "row_p99_microseconds", _tens),
            _measured(rows, "rows/s", "rows_per_second", _rate),
            *([] if bridged else [_ratio(rows)]),
        ]
        kept = [c for c in columns if c.named or any(entry.text for entry in c.entries)]
        title = f"{dataset}, timed alone"
        fixed_heads = (*TRAINING_OPTIONAL, RATIO)
        rest = (c.head for c in kept[2:] if c.head not in fixed_heads)
        optional = (*TRAINING_OPTIONAL, *rest)
        extra = () if bridged else (RATIO,)
        sheets.append(Sheet(title, _detail(rows, several), tuple(kept), (), "", optional, extra))
    return sheets


def _ratio(rows: Sequence[Record]) -> Column:
    """Times as multiples of the anchor's."""
    return _measured(rows, RATIO, "ratio", lambda value: compact(value, 4))


def _days(rows: Sequence[Record]) -> Column:
    """The days on which those rows were timed that are of another day or machine."""
    texts = (str(row["measured"])[:10] if row["bridge"] else "" for row in rows)
    return _figures(TIMED_ON, texts)


def _measured(rows: Sequence[Record], head: str, name: str, show: Callable[[float], str]) -> Column:
    """A column of figures with their intervals."""
    value, low, high = with_intervals(name)
    return Column(
        head, tuple(Entry(show(row[value]), show(row[low]), show(row[high])) for row in rows)
    )


def _together(rows: Sequence[Record], together: float) -> list[Column]:
    """Times of replicates trained at once, relative to the plain loop if timed, else to one."""
    empty = dict.fromkeys(with_intervals("together_ratio"), math.nan)
    lone = [row | empty if row["together_reference_ratio"] > 0 else row for row in rows]
    return [
        _measured(rows, f"{together:.0f} of plain", "together_reference_ratio", _factor),
        _measured(lone, f"{together:.0f} at once", "together_ratio", _factor),
    ]


def softmax_sheets(table: pd.DataFrame) -> list[Sheet]:
    """A sheet for each shape, dtype, device and state of the caches."""
    sheets = []
    records: list[Record] = table.to_dict("records")  # type: ignore[assignment]  # names are texts

    def case(row: Record) -> tuple[str, ...]:
        return tuple(str(row[name]) for name in ("shape", "dtype", "caches", "device"))

    for (shape, dtype, caches, _), group in groupby(records, key=case):
        rows = list(group)
        bridged = any(row["bridge"] for row in rows)
        by = "ratio" if bridged else "seconds"
        rows.sort(key=lambda row: (row["status"] != "ok", math.isnan(row[by]), row[by]))
        scale, unit = _unit([row["seconds"] for row in rows if row["status"] == "ok"])
        columns = (
            Column(
                "kernel",
                tuple(
                    Entry(row["kernel"], look="faint" if row["kernel"] == "copy" else "")
                    for row in rows
                ),
                named=True,
            ),
            *([_ratio(rows), _days(rows)] if bridged else []),
            Column(
                unit,
                tuple(
                    _between(row["seconds"], row["low"], row["high"], scale)
                    if row["status"] == "ok"
                    else Entry(row["status"], look="alarm")
                    for row in rows
                ),
            ),
            _measured(rows, "GB/s", "gigabytes_per_second", _tens),
            _measured(rows, "× copy", "copies", _tens),
            _measured(rows, "× best", "bests", _tens),
            _figures("error", (_error(row["error"]) for row in rows)),
            _figures("stable", (_survival(row["survives"]) for row in rows)),
            _measured(rows, "first ms", "first_seconds", lambda seconds: compact(1e3 * seconds, 2)),
            *([] if bridged else [_ratio(rows)]),
        )
        columns = tuple(
            c for c in columns if c.head not in (RATIO, TIMED_ON) or any(e.text for e in c.entries)
        )
        detail = f"{caches}, {_detail(rows, True)}"
        extra = () if bridged else (RATIO,)
        title = f"{shape} {dtype}"
        sheets.append(Sheet(title, detail, columns, (), "", SOFTMAX_OPTIONAL, extra))
    return sheets


def notes(frames: Frames) -> list[Note]:
    """Notes on how to read the timings, and on what could not be timed."""
    timings = frames.timings
    if timings.empty:
        return []
    rows: list[Record] = timings.to_dict("records")  # type: ignore[assignment]  # names are texts
    legend = Note("Timings", tuple(_legend(frames)))
    exceptions = [
        Note("Timed in earlier runs", tuple(_kept(timings))),
        Note("Work that fit times leave out", tuple(_all_left(rows))),
        Note("Not timed, because it failed", tuple(_failed(rows))),
        Note("Not timed", tuple(_unfinished(timings))),
    ]
    return [legend, *(note for note in exceptions if note.lines)]


def _legend(frames: Frames) -> list[str]:
    """How to read the timings, and whether the machine was busy."""
    lines = []
    kinds = set(frames.timings["kind"])
    if "fit" in kinds:
        after = "after the trials, " if len(frames.results) else ""
        lines.append(
            f"Models were timed one at a time, {after}in turns, and again in several processes. "
            f"Each time is followed by its 95% interval over the processes."
        )
        shown = training(frames)
        lines += [text for column, text in TRAINING_TOLD.items() if shown[column].notna().any()]
    if "softmax" in kinds:
        lines += SOFTMAX_TOLD
    lines += _of_anchors(frames.timings)
    machine = frames.run.environment.get("timing", {}).get("machine", {})
    if busy := complaint(machine):
        lines.append(f"This machine was busy: {busy}. Timings on an idle machine are more certain.")
    return lines


def _of_anchors(timings: pd.DataFrame) -> list[str]:
    """How to read the times as multiples of an anchor's, and times of several days."""
    ok = timings[timings["status"] == "ok"]
    names = sorted(set(ok["anchor"]) - {""})
    if not names:
        return []
    devices = sorted(set(ok.loc[ok["anchor"] == "", "device"]) - {"cpu"})
    without = f" {listed(devices)}: no anchor." if devices else ""
    legend = (
        f"{RATIO}: the time divided by that of the anchor ({listed(names)}), a fixed calculation "
        f"or copy timed in turns with the models or kernels. Both times are tenth "
        f"percentiles.{without}"
    )
    lines = [legend]
    bridges = set(ok["bridge"]) - {""}
    if bridges:
        errors = [
            text
            for bridge, text in (
                ("day", f"{100 * deviation(names[0], 'day'):.0f}% between days"),
                ("machine", f"{100 * deviation(names[0], 'machine'):.0f}% between machines"),
            )
            if bridge in bridges
        ]
        lines.append(
            f"Rows with a date were timed on another day or machine. Compare by {RATIO}, which "
            f"ranks the rows; its interval is wider, because ratios differ by {listed(errors)}. "
            f"Do not compare the other columns."
        )
    return lines


def _kept(timings: pd.DataFrame) -> list[str]:
    """What earlier runs of this machine timed, a line for each of them."""
    kept = timings[(timings["measured"] != "") & (timings["bridge"] == "")]
    lines = []
    for measured, rows in kept.groupby("measured", sort=True):
        pairings = zip(rows["case"], rows["subject"], strict=True)
        names = dict.fromkeys(f"{case}, {subject}" for case, subject in pairings)
        when = str(measured)[:16].replace("T", " ")
        lines.append(
            f"{when} UTC, {plural(len(names), 'model-dataset pair')}: {listed(names, 6, '; ')}"
        )
    return lines


def _all_left(rows: Sequence[Record]) -> list[str]:
    """The fits that leave work undone when they return, a line each."""
    return [
        f"{row['case']}, {_subject(row)}{of_several}: {_left(row)}"
        for row in rows
        for of_several in (f", {row['together']:.0f} at once" if row["kind"] == "together" else "",)
        if row["kind"] in ("fit", "together", "reference") and _left(row)
    ]


def _failed(rows: Sequence[Record]) -> list[str]:
    """What failed or gave a wrong result, a line each."""
    return [
        f"{row['subject']}, {row['case']} ({row['kind']}) @ {row['device']}: {row['status']}: "
        f"{plain(row['reason'])}"
        for row in rows
        if row["status"] in ("wrong", "failed")
    ]


def _unfinished(timings: pd.DataFrame) -> list[str]:
    """What there was no time for, a line for each reason."""
    unfinished = timings[timings["status"] == "unfinished"]
    lines = []
    for reason, group in unfinished.groupby("reason", sort=False):
        pairs = zip(group["case"], group["subject"], strict=True)
        names = dict.fromkeys(f"{case}, {subject}" for case, subject in pairs)
        lines.append(f"{plural(len(group), 'timing')}: {reason}: " + listed(names, 3, "; "))
    return lines


def _subject(row: Record) -> str:
    return f"{PLAIN if row['kind'] == 'reference' else ''}{row['subject']}"


def _left(row: Record) -> str:
    """The work that a fit leaves undone when it returns, in words; empty if it is negligible."""
    if row["status"] != "ok":
        return ""
    least = max(LEAST_LEFT, PART_LEFT * row["median"])
    parts = [
        template.format(f"{compact(1e3 * row[name], 2)} ms")
        for name, template in (
            (TO_PREDICT, "leaves {} of its work to the first prediction"),
            (RUNNING, "goes on for {} of processor time in the background"),
        )
        if row[name] >= least
    ]
    took = f"its fit returns after {compact(1e3 * row['median'], 2)} ms"
    return f"{took}, {' and '.join(parts)}" if parts else ""


def _figures(head: str, texts: Iterable[str]) -> Column:
    return Column(head, tuple(map(Entry, texts)))


def _name(row: Record, several: bool) -> str:
    return f"{row['model']} @ {row['device']}" if several else str(row["model"])


def _detail(rows: Sequence[Record], with_device: bool) -> str:
    threads = rows[0]["threads"]
    device = f"{rows[0]['device']}, " if with_device else ""
    counts = [row["processes"] for row in rows if row["processes"] > 0]
    processes = f", {min(counts):.0f} processes" if counts else ""
    return f"{device}{plural(int(threads), 'thread')}{processes}"


def _unit(seconds: Sequence[float]) -> tuple[float, str]:
    """The largest unit in which the shortest time is at least 1; µs if it is below 1 in all."""
    least = min((value for value in seconds if value > 0), default=1.0)
    return next(((scale, unit) for scale, unit in UNITS if least >= scale), UNITS[-1])


def _between(value: float, low: float, high: float, scale: float) -> Entry:
    text, lowest, highest = (compact(seconds / scale, 2) for seconds in (value, low, high))
    return Entry(text, lowest, highest)


def _tens(value: float) -> str:
    return compact(value, 2)


def _factor(value: float) -> str:
    return fixed(value, 2)


def _share(value: float) -> str:
    return "" if math.isnan(value) else f"{100 * value:.0f}%"


def _rate(value: float) -> str:
    """A rate with three digits and a unit prefix.

    >>> [_rate(value) for value in (81.25, 45_678.0, 999_999.0, 1_234_567.0, float("nan"))]
    ['81.2', '45.7k', '1M', '1.23M', '']
    """
    if math.isnan(value):
        return ""
    for scale, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= 0.9995 * scale:
            return f"{value / scale:.3g}{unit}"
    return f"{value:.3g}"


def _error(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.0e}"


def _survival(value: float) -> str:
    return "" if math.isnan(value) else "yes" if value else "NO"
