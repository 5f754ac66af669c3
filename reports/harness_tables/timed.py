"""What was timed alone: pairings that train and predict, and softmax kernels side by side."""

from __future__ import annotations

import math
from itertools import groupby
from statistics import median
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pandas as pd

from harness.contract.values import LEFT, RUNNING, TO_PREDICT
from harness.statistics.timings import epochs_of, quotients, ratio, summarise
from harness.timing.busyness import complaint
from harness.timing.workloads import ONCE
from harness_tables.figures import compact
from harness_tables.notes import Note, plain
from harness_tables.sheets import Column, Entry, Sheet

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from harness.contract.values import Frames

    Row: TypeAlias = dict[str, Any]


def _with_intervals(*names: str) -> tuple[str, ...]:
    return tuple(f"{name}{end}" for name in names for end in ("", "_low", "_high"))


TRAINING_COLUMNS = (
    *("dataset", "model", "device", "threads", "status", "reason", "processes"),
    *("fit_seconds", "fit_low", "fit_high", "fit_minimum", "fit_third_quartile"),
    *("epochs", *_with_intervals("microseconds_per_epoch", "samples_per_second")),
    *("together", *_with_intervals("together_microseconds_per_epoch", "together_ratio")),
    *_with_intervals("reference_microseconds_per_epoch", "reference_ratio"),
    *_with_intervals("together_reference_ratio"),
    *_with_intervals("row_microseconds", "row_p99_microseconds", "rows_per_second"),
    *_with_intervals("softmax_microseconds", "softmax_share"),
    *LEFT,
)
SOFTMAX_COLUMNS = (
    *("shape", "dtype", "caches", "device", "threads", "kernel", "status", "reason", "processes"),
    *("seconds", "low", "high", "minimum", "third_quartile"),
    *_with_intervals("gigabytes_per_second", "copies", "bests"),
    *("error", "survives", *_with_intervals("first_seconds")),
)
KINDS = (
    *("fit", "together", "reference", "predict", "predict-row", "logits"),
    *("fit-once", "together-once", "reference-once"),
)
SOFTMAX_OPTIONAL = ("× copy", "× best", "first ms", "GB/s")
TRAINING_OPTIONAL = ("µs/epoch", "of plain", "row µs", "rows/s", "p99", "softmax µs", "share")
"""Heads whose intervals a narrow page leaves out if it must, the dearest first."""
PLAIN = "plain "
LEAST_LEFT, PART_LEFT = 1e-3, 0.1
"""Seconds, and part of a fit, from which on it is told what the fit leaves undone."""
UNITS = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"))


def training(frames: Frames) -> pd.DataFrame:
    """A row for each pairing that was timed; times in the units that the columns name.

    The plain loop of a model that has one has a row of its own. ``microseconds_per_epoch`` is what
    each epoch beyond the first takes, where the model is told their number, and else the fit
    divided by it. ``reference_ratio`` and ``together_ratio`` are these times, and those of one
    replicate's share of a fit of several at once, as a part of the reference's and of a lone
    fit's; medians over processes of what the same process measured.
    """
    pairings: dict[tuple[str, str, str], dict[str, Row]] = {}
    for row in _rows(frames, KINDS):
        key = row["case"], row["subject"], row["device"]
        pairings.setdefault(key, {})[row["kind"]] = row
    records = []
    for (dataset, model, device), kinds in pairings.items():
        record: Row = {"dataset": dataset, "model": model, "device": device}
        fit = kinds.get("fit")
        if fit is None:
            continue
        record |= {name: fit[name] for name in ("threads", "status", "reason")}
        record["processes"] = fit["n_processes"]
        record |= {name: fit[name] for name in LEFT}
        epochs = fit["epochs"] if fit["epochs"] > 0 else math.nan
        # Of a fit that was cut short, only an epoch's time says something.
        if not fit["cut_from"] > 0:
            record |= {
                "fit_seconds": fit["median"],
                "fit_low": fit["low"],
                "fit_high": fit["high"],
                "fit_minimum": fit["minimum"],
                "fit_third_quartile": fit["third_quartile"],
            }
        together, reference = (_if_ok(kinds.get(kind)) for kind in ("together", "reference"))
        once = {kind: _if_ok(kinds.get(f"{kind}{ONCE}")) for kind in kinds}
        lone = epochs_of(fit, once["fit"], epochs)
        record |= {"epochs": epochs} | _of_an_epoch(lone, fit["n_train"])
        if together:
            n = together["together"]
            several = epochs_of(together, once["together"], epochs)
            record["together"] = n
            record |= _figure("together_microseconds_per_epoch", several, 1e6 / n)
            record |= _figure("together_ratio", quotients(several, lone), 1 / n)
        if reference:
            plain_loop = epochs_of(reference, once["reference"], epochs)
            record |= _figure("reference_microseconds_per_epoch", plain_loop, 1e6)
            record |= _figure("reference_ratio", quotients(lone, plain_loop))
            if together:
                beside = quotients(several, plain_loop)
                record |= _figure("together_reference_ratio", beside, 1 / n)
        if single := _if_ok(kinds.get("predict-row")):
            p99 = [(float(np.quantile(process, 0.99)),) for process in single["samples"]]
            record |= _figure("row_microseconds", single["samples"], 1e6)
            record |= _figure("row_p99_microseconds", p99, 1e6)
        if many := _if_ok(kinds.get("predict")):
            record |= _figure("rows_per_second", _rates(many["n_test"], many["samples"]))
        if logits := _if_ok(kinds.get("logits")):
            record |= _figure("softmax_microseconds", logits["samples"], 1e6)
            shares = _figure("softmax_share", quotients(logits["samples"], lone))
            if shares["softmax_share"] <= 1:  # otherwise it has no such softmax
                record |= shares
        records.append(record)
        if reference:
            records.append(_plain_loop(record, reference, plain_loop))
    return pd.DataFrame(records, columns=list(TRAINING_COLUMNS))


def _figure(name: str, samples: Sequence[Sequence[float]], scale: float = 1.0) -> Row:
    """A figure and its interval over the processes that tell it; NaN where none does."""
    told = [process for process in samples if process]
    if not told:
        return dict.fromkeys(_with_intervals(name), math.nan)
    found = summarise(told)
    figures = (found.median, found.low, found.high)
    return {key: scale * value for key, value in zip(_with_intervals(name), figures, strict=True)}


def _rates(n: float, samples: Sequence[Sequence[float]]) -> list[tuple[float, ...]]:
    """So many in each of these times, in each process that tells."""
    return [(n / median(process),) for process in samples if process]


def _of_an_epoch(epochs: Sequence[Sequence[float]], n_train: float) -> Row:
    return _figure("microseconds_per_epoch", epochs, 1e6) | _figure(
        "samples_per_second", _rates(n_train, epochs)
    )


def _plain_loop(record: Row, reference: Row, epochs: Sequence[Sequence[float]]) -> Row:
    """The row of a model's reference."""
    kept = ("dataset", "device", "threads", "epochs")
    fit = {f"fit_{name}": reference[name] for name in ("low", "high", "minimum", "third_quartile")}
    return (
        {name: record[name] for name in kept}
        | {"model": f"{PLAIN}{record['model']}", "status": reference["status"], "reason": ""}
        | {"processes": reference["n_processes"], "fit_seconds": reference["median"]}
        | fit
        | _of_an_epoch(epochs, reference["n_train"])
    )


def softmax(frames: Frames) -> pd.DataFrame:
    """A row for each kernel, shape, dtype, device and state of the caches.

    What was not begun has no row. ``copies`` is the time as a multiple of a copy's of the same
    array, ``bests`` of the fastest kernel's, both of what the same process measured.
    """
    rows = [row for row in _rows(frames, ("softmax", "copy")) if len(row["case"].split()) == 3]
    records = []
    for (case, device), found in groupby(rows, key=lambda row: (row["case"], row["device"])):
        group = list(found)
        shape, dtype, caches = case.split()
        size = math.prod(map(int, shape.split("x"))) * np.dtype(dtype).itemsize
        timed = [row for row in group if row["status"] == "ok"]
        copy = next((row for row in timed if row["kind"] == "copy"), None)
        kernels = [row for row in timed if row["kind"] == "softmax"]
        best = min(kernels, key=lambda row: row["median"], default=None)
        records += [
            (
                {"shape": shape, "dtype": dtype, "caches": caches, "device": device}
                | {"threads": row["threads"], "kernel": row["subject"]}
                | {"status": row["status"], "reason": row["reason"]}
                | {"processes": row["n_processes"], "seconds": row["median"]}
                | {name: row[name] for name in ("low", "high", "minimum", "third_quartile")}
                | _figure("gigabytes_per_second", _rates(2e-9 * size, row["samples"]))
                | _beside("copies", row, copy)
                | _beside("bests", row, best if row["kind"] == "softmax" else None)
                | {name: row[name] for name in ("error", "survives")}
                | {name: row.get(name, math.nan) for name in _with_intervals("first_seconds")}
            )
            for row in group
        ]
    return pd.DataFrame(records, columns=list(SOFTMAX_COLUMNS))


def _beside(name: str, row: Row, other: Row | None) -> Row:
    """How many times another's time it took, within each process where both were measured."""
    if other is None or row["status"] != "ok":
        return _figure(name, ())
    these, those = row["samples"], other["samples"]
    figure = _figure(name, quotients(these, those))
    # Where one is missing in some process the quotient is of the medians, and has no interval.
    return figure if len(these) == len(those) else figure | {name: ratio(these, those)}


def training_sheets(table: pd.DataFrame) -> list[Sheet]:
    """A sheet for each dataset."""
    several = table["device"].nunique() > 1
    sheets = []
    records: list[Row] = table[table["status"] == "ok"].to_dict("records")  # type: ignore[assignment]  # names are texts
    for dataset, found in groupby(records, key=lambda row: str(row["dataset"])):
        rows = sorted(found, key=lambda row: (math.isnan(row["fit_seconds"]), row["fit_seconds"]))
        scale, unit = _unit([row["fit_seconds"] for row in rows])
        together = max((row["together"] for row in rows if row["together"] > 1), default=0)

        columns = [
            Column(
                "model",
                tuple(
                    Entry(
                        _name(row, several),
                        look="faint" if row["model"].startswith(PLAIN) else "",
                    )
                    for row in rows
                ),
                named=True,
            ),
            Column(
                f"fit {unit}",
                tuple(
                    _between(row["fit_seconds"], row["fit_low"], row["fit_high"], scale)
                    for row in rows
                ),
            ),
            _told(rows, "µs/epoch", "microseconds_per_epoch", _tens),
            _told(rows, "of plain", "reference_ratio", _factor),
            *_together(rows, together),
            _told(rows, "samples/s", "samples_per_second", _rate),
            _told(rows, "softmax µs", "softmax_microseconds", _tens),
            _told(rows, "share", "softmax_share", _share),
            _told(rows, "row µs", "row_microseconds", _tens),
            _told(rows, "p99", "row_p99_microseconds", _tens),
            _told(rows, "rows/s", "rows_per_second", _rate),
        ]
        kept = [c for c in columns if c.named or any(entry.text for entry in c.entries)]
        title = f"{dataset}, timed alone"
        rest = (c.head for c in kept[2:] if c.head not in TRAINING_OPTIONAL)
        optional = (*TRAINING_OPTIONAL, *rest)
        sheets.append(Sheet(title, _detail(rows, several), tuple(kept), optional=optional))
    return sheets


def _told(rows: Sequence[Row], head: str, name: str, show: Callable[[float], str]) -> Column:
    """A figure of each row, with its interval."""
    value, low, high = _with_intervals(name)
    return Column(
        head, tuple(Entry(show(row[value]), show(row[low]), show(row[high])) for row in rows)
    )


def _together(rows: Sequence[Row], together: float) -> list[Column]:
    """One of several at once, beside the plain loop where that was timed, or else beside one."""
    empty = dict.fromkeys(_with_intervals("together_ratio"), math.nan)
    lone = [row | empty if row["together_reference_ratio"] > 0 else row for row in rows]
    return [
        _told(rows, f"{together:.0f} of plain", "together_reference_ratio", _factor),
        _told(lone, f"{together:.0f} at once", "together_ratio", _factor),
    ]


def softmax_sheets(table: pd.DataFrame) -> list[Sheet]:
    """A sheet for each shape, dtype, device and state of the caches."""
    sheets = []
    records: list[Row] = table.to_dict("records")  # type: ignore[assignment]  # names are texts

    def case(row: Row) -> tuple[str, ...]:
        return tuple(str(row[name]) for name in ("shape", "dtype", "caches", "device"))

    for (shape, dtype, caches, _), found in groupby(records, key=case):
        rows = sorted(found, key=lambda row: (row["status"] != "ok", row["seconds"]))
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
            Column(
                unit,
                tuple(
                    _between(row["seconds"], row["low"], row["high"], scale)
                    if row["status"] == "ok"
                    else Entry(row["status"], look="alarm")
                    for row in rows
                ),
            ),
            _told(rows, "GB/s", "gigabytes_per_second", _tens),
            _told(rows, "× copy", "copies", _tens),
            _told(rows, "× best", "bests", _tens),
            _figures("error", (_error(row["error"]) for row in rows)),
            _figures("stable", (_survival(row["survives"]) for row in rows)),
            _told(rows, "first ms", "first_seconds", lambda seconds: compact(1e3 * seconds, 2)),
        )
        detail = f"{caches}, {_detail(rows, True)}"
        sheets.append(Sheet(f"{shape} {dtype}", detail, columns, optional=SOFTMAX_OPTIONAL))
    return sheets


def notes(frames: Frames) -> list[Note]:
    """How to read the timings, and what is not among them."""
    timings = frames.timings
    if timings.empty:
        return []
    rows: list[Row] = timings.to_dict("records")  # type: ignore[assignment]  # names are texts
    lines = []
    kinds = set(timings["kind"])
    if "fit" in kinds:
        lines.append(
            f"Timed alone, {'after the trials, ' if len(frames.results) else ''}in turns and in "
            "several processes; behind each time its 95% interval over processes. µs/epoch: what "
            "each epoch beyond the first adds to a fit of one replicate; for lack of time of fewer "
            "epochs where no time of the fit is given. plain: the same training as anyone would "
            "write it; of plain: an epoch's time as a part of that one's. at once: the time of "
            "one of several replicates that are trained at once, as a part of a lone one's, or of "
            "the plain loop's. softmax: of all training rows, and its share of an epoch. row: "
            "latency of one row, median and 99th percentile."
        )
    if "softmax" in kinds:
        lines.append(
            "GB/s: the array read and written once. × copy: times a copy of the array on the same "
            "device, the limit. error: the largest, against more digits. stable: whether logits "
            "near -1e7 give probabilities. first: the first call, with what it loads or compiles."
        )
    left = [
        f"{row['case']}, {_subject(row)}{of_several}: {_left(row)}"
        for row in rows
        for of_several in (f", {row['together']:.0f} at once" if row["kind"] == "together" else "",)
        if row["kind"] in ("fit", "together", "reference") and _left(row)
    ]
    wrong = [
        f"{row['subject']}, {row['case']} ({row['kind']}) @ {row['device']}: {row['status']}: "
        f"{plain(row['reason'])}"
        for row in rows
        if row["status"] in ("wrong", "failed")
    ]
    late = timings[timings["status"] == "unfinished"]
    machine = frames.run.environment.get("timing", {}).get("machine", {})
    if busy := complaint(machine):
        lines.append(f"This machine was busy: {busy}. Timings of a quiet one would be surer.")
    found = [Note("Timings", tuple(lines))]
    if left:
        found.append(Note("Not in the time of a fit", tuple(left)))
    if wrong:
        found.append(Note("Not timed, because it failed", tuple(wrong)))
    if len(late):
        reasons = late.groupby("reason", sort=False)
        found.append(
            Note(
                "Not timed",
                tuple(
                    f"{len(group)} × {reason}: "
                    + _some(
                        f"{c}, {s}" for c, s in zip(group["case"], group["subject"], strict=True)
                    )
                    for reason, group in reasons
                ),
            )
        )
    return found


def _subject(row: Row) -> str:
    return f"{PLAIN if row['kind'] == 'reference' else ''}{row['subject']}"


def _left(row: Row) -> str:
    """What a fit leaves undone when it returns, in words; empty where that is next to nothing."""
    if row["status"] != "ok":
        return ""
    least = max(LEAST_LEFT, PART_LEFT * row["median"])
    parts = [
        words.format(f"{compact(1e3 * row[name], 2)} ms")
        for name, words in (
            (TO_PREDICT, "leaves {} of its work to the first prediction"),
            (RUNNING, "goes on for {} of processor time in the background"),
        )
        if row[name] >= least
    ]
    took = f"its fit returns after {compact(1e3 * row['median'], 2)} ms"
    return f"{took}, {' and '.join(parts)}" if parts else ""


def _some(names: Iterable[str], most: int = 6) -> str:
    listed = list(dict.fromkeys(names))
    rest = len(listed) - most
    return "; ".join(listed[:most]) + (f"; and {rest} more" if rest > 0 else "")


def _rows(frames: Frames, kinds: Sequence[str]) -> list[Row]:
    timings = frames.timings
    return timings[timings["kind"].isin(kinds)].to_dict("records")  # type: ignore[return-value]  # names are texts


def _if_ok(row: Row | None) -> Row | None:
    return row if row is not None and row["status"] == "ok" else None


def _figures(head: str, texts: Iterable[str]) -> Column:
    return Column(head, tuple(map(Entry, texts)))


def _name(row: Row, several: bool) -> str:
    return f"{row['model']} @ {row['device']}" if several else str(row["model"])


def _detail(rows: Sequence[Row], with_device: bool) -> str:
    threads = rows[0]["threads"]
    device = f"{rows[0]['device']}, " if with_device else ""
    counts = [row["processes"] for row in rows if row["processes"] > 0]
    processes = f", {min(counts):.0f} processes" if counts else ""
    return f"{device}{threads} thread{'s' if threads != 1 else ''}{processes}"


def _unit(seconds: Sequence[float]) -> tuple[float, str]:
    """The largest unit in which the least time is at least one; µs if none is."""
    least = min((value for value in seconds if value > 0), default=1.0)
    return next(((scale, unit) for scale, unit in UNITS if least >= scale), UNITS[-1])


def _between(value: float, low: float, high: float, scale: float) -> Entry:
    text, lowest, highest = (compact(seconds / scale, 2) for seconds in (value, low, high))
    return Entry(text, lowest, highest)


def _tens(value: float) -> str:
    return compact(value, 2)


def _factor(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.2f}".removeprefix("0")


def _share(value: float) -> str:
    return "" if math.isnan(value) else f"{100 * value:.0f}%"


def _rate(value: float) -> str:
    """Three digits and a unit.

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
