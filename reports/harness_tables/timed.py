"""What was timed alone: pairings that train and predict, and softmax kernels side by side."""

from __future__ import annotations

import math
from itertools import groupby
from statistics import median
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pandas as pd

from harness.leftovers import LEFT, RUNNING, TO_PREDICT
from harness.timing import epochs_of, ratio, summarise
from harness.workloads import ONCE
from harness_tables.figures import compact
from harness_tables.notes import Note, plain
from harness_tables.sheets import Column, Entry, Sheet

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from harness.values import Frames

    Row: TypeAlias = dict[str, Any]

TRAINING_COLUMNS = (
    *("dataset", "model", "device", "threads", "status", "reason", "processes"),
    *("fit_seconds", "fit_low", "fit_high", "fit_minimum", "fit_third_quartile"),
    *("epochs", "microseconds_per_epoch", "microseconds_per_epoch_low"),
    *("microseconds_per_epoch_high", "samples_per_second"),
    *("together", "together_microseconds_per_epoch", "together_ratio"),
    *("reference_microseconds_per_epoch", "reference_ratio", "together_reference_ratio"),
    *("row_microseconds", "row_p99_microseconds", "rows_per_second"),
    *("softmax_microseconds", "softmax_share"),
    *LEFT,
)
SOFTMAX_COLUMNS = (
    *("shape", "dtype", "caches", "device", "threads", "kernel", "status", "reason", "processes"),
    *("seconds", "low", "high", "minimum", "third_quartile", "gigabytes_per_second"),
    *("copies", "bests", "error", "survives", "first_seconds"),
)
KINDS = (
    *("fit", "together", "reference", "predict", "predict-row", "logits"),
    *("fit-once", "together-once", "reference-once"),
)
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
        record |= {"epochs": epochs} | _of_an_epoch(lone)
        epoch = 1e-6 * record["microseconds_per_epoch"]
        record["samples_per_second"] = fit["n_train"] / epoch
        if together:
            n = together["together"]
            several = epochs_of(together, once["together"], epochs)
            record["together"] = n
            record["together_microseconds_per_epoch"] = 1e6 * _median(several) / n
            if lone and several:
                record["together_ratio"] = ratio(several, lone) / n
        if reference:
            plain_loop = epochs_of(reference, once["reference"], epochs)
            record["reference_microseconds_per_epoch"] = 1e6 * _median(plain_loop)
            if lone and plain_loop:
                record["reference_ratio"] = ratio(lone, plain_loop)
            if together and several and plain_loop:
                record["together_reference_ratio"] = ratio(several, plain_loop) / n
        if single := _if_ok(kinds.get("predict-row")):
            record["row_microseconds"] = 1e6 * single["median"]
            record["row_p99_microseconds"] = 1e6 * single["p99"]
        if many := _if_ok(kinds.get("predict")):
            record["rows_per_second"] = many["n_test"] / many["median"]
        if logits := _if_ok(kinds.get("logits")):
            record["softmax_microseconds"] = 1e6 * logits["median"]
            share = logits["median"] / epoch
            record["softmax_share"] = share if share <= 1 else math.nan  # it has no such softmax
        records.append(record)
        if reference:
            records.append(_plain_loop(record, reference, plain_loop))
    return pd.DataFrame(records, columns=list(TRAINING_COLUMNS))


def _of_an_epoch(epochs: Sequence[Sequence[float]]) -> Row:
    name = "microseconds_per_epoch"
    if not epochs:
        return dict.fromkeys((name, f"{name}_low", f"{name}_high"), math.nan)
    found = summarise(epochs)
    return {
        name: 1e6 * found.median,
        f"{name}_low": 1e6 * found.low,
        f"{name}_high": 1e6 * found.high,
    }


def _plain_loop(record: Row, reference: Row, epochs: Sequence[Sequence[float]]) -> Row:
    """The row of a model's reference."""
    kept = ("dataset", "device", "threads", "epochs")
    fit = {f"fit_{name}": reference[name] for name in ("low", "high", "minimum", "third_quartile")}
    return (
        {name: record[name] for name in kept}
        | {"model": f"{PLAIN}{record['model']}", "status": reference["status"], "reason": ""}
        | {"processes": reference["n_processes"], "fit_seconds": reference["median"]}
        | fit
        | _of_an_epoch(epochs)
        | {"samples_per_second": reference["n_train"] / _median(epochs)}
    )


def _median(samples: Sequence[Sequence[float]]) -> float:
    return median(map(median, samples)) if samples else math.nan


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
        for row in group:
            ok = row["status"] == "ok"
            records.append(
                {"shape": shape, "dtype": dtype, "caches": caches, "device": device}
                | {"threads": row["threads"], "kernel": row["subject"]}
                | {"status": row["status"], "reason": row["reason"]}
                | {"processes": row["n_processes"], "seconds": row["median"]}
                | {name: row[name] for name in ("low", "high", "minimum", "third_quartile")}
                | {"gigabytes_per_second": 2e-9 * size / row["median"]}
                | {"copies": ratio(row["samples"], copy["samples"]) if ok and copy else math.nan}
                | {
                    "bests": ratio(row["samples"], best["samples"])
                    if ok and best and row["kind"] == "softmax"
                    else math.nan
                }
                | {name: row[name] for name in ("error", "survives", "first_seconds")}
            )
    return pd.DataFrame(records, columns=list(SOFTMAX_COLUMNS))


def training_sheets(table: pd.DataFrame) -> list[Sheet]:
    """A sheet for each dataset."""
    several = table["device"].nunique() > 1
    sheets = []
    records: list[Row] = table[table["status"] == "ok"].to_dict("records")  # type: ignore[assignment]  # names are texts
    for dataset, found in groupby(records, key=lambda row: str(row["dataset"])):
        rows = sorted(found, key=lambda row: (math.isnan(row["fit_seconds"]), row["fit_seconds"]))
        scale, unit = _unit([row["fit_seconds"] for row in rows])
        together = max((row["together"] for row in rows if row["together"] > 1), default=0)

        def column(head: str, show: Callable[[Row], str], rows: Sequence[Row] = rows) -> Column:
            return Column(head, tuple(Entry(show(row)) for row in rows))

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
            Column("µs/epoch", tuple(map(_epoch, rows))),
            column("of plain", lambda row: _factor(row["reference_ratio"])),
            *_together(rows, together),
            column("samples/s", lambda row: _rate(row["samples_per_second"])),
            column("softmax µs", lambda row: compact(row["softmax_microseconds"], 2)),
            column("share", lambda row: _share(row["softmax_share"])),
            column("row µs", lambda row: compact(row["row_microseconds"], 2)),
            column("p99", lambda row: compact(row["row_p99_microseconds"], 2)),
            column("rows/s", lambda row: _rate(row["rows_per_second"])),
        ]
        kept = [c for c in columns if c.named or any(entry.text for entry in c.entries)]
        sheets.append(Sheet(f"{dataset}, timed alone", _detail(rows, several), tuple(kept)))
    return sheets


def _together(rows: Sequence[Row], together: float) -> list[Column]:
    """One of several at once, beside the plain loop where that was timed, or else beside one."""
    plain = [row["together_reference_ratio"] for row in rows]
    lone = [
        math.nan if beside > 0 else row["together_ratio"]
        for row, beside in zip(rows, plain, strict=True)
    ]
    return [
        _figures(f"{together:.0f} {head}", map(_factor, figures))
        for head, figures in (("of plain", plain), ("at once", lone))
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
            _figures("GB/s", (compact(row["gigabytes_per_second"], 2) for row in rows)),
            _figures("× copy", (compact(row["copies"], 2) for row in rows)),
            _figures("× best", (compact(row["bests"], 2) for row in rows)),
            _figures("error", (_error(row["error"]) for row in rows)),
            _figures("stable", (_survival(row["survives"]) for row in rows)),
            _figures("first ms", (compact(1e3 * row["first_seconds"], 2) for row in rows)),
        )
        detail = f"{caches}, {_detail(rows, True)}"
        sheets.append(Sheet(f"{shape} {dtype}", detail, columns))
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


def _epoch(row: Row) -> Entry:
    """With its interval where none of the fit is given."""
    names = ("microseconds_per_epoch", "microseconds_per_epoch_low", "microseconds_per_epoch_high")
    if math.isnan(row["fit_seconds"]):
        value, low, high = (row[name] for name in names)
        return _between(value, low, high, 1.0)
    return Entry(compact(row[names[0]], 2))


def _factor(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.2f}".removeprefix("0")


def _share(value: float) -> str:
    return "" if math.isnan(value) else f"{100 * value:.0f}%"


def _rate(value: float) -> str:
    """Three digits and a unit.

    >>> [_rate(value) for value in (81.25, 45_678.0, 1_234_567.0, float("nan"))]
    ['81.2', '45.7k', '1.23M', '']
    """
    if math.isnan(value):
        return ""
    for scale, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= scale:
            return f"{value / scale:.3g}{unit}"
    return f"{value:.3g}"


def _error(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.0e}"


def _survival(value: float) -> str:
    return "" if math.isnan(value) else "yes" if value else "NO"
