"""Tables of isolated timings: fits and predictions of pairings, and softmax kernels."""

from __future__ import annotations

import math
from itertools import groupby
from statistics import median
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pandas as pd

from harness.contract.values import LEFT, TimedCall
from harness.statistics.timings import epochs_of, quotients, ratio, summarise
from harness.timing.cases import SoftmaxCase as SoftmaxCase  # reports may import it from here

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from harness.contract.values import Frames

    Record: TypeAlias = dict[str, Any]
    """A row of a DataFrame, by the names of its columns."""


def with_intervals(*names: str) -> tuple[str, ...]:
    """Names of columns, each followed by the names for the ends of its confidence interval."""
    return tuple(f"{name}{end}" for name in names for end in ("", "_low", "_high"))


ANCHORED = ("anchor", *with_intervals("ratio"), "measured", "bridge")
"""Columns of `Frames.timings` that both tables repeat, for the time of a fit or of a kernel."""

TRAINING_COLUMNS = (
    *("dataset", "model", "device", "plain", "threads", "status", "reason", "processes"),
    *("fit_seconds", "fit_low", "fit_high", "fit_minimum", "fit_third_quartile"),
    *("epochs", *with_intervals("microseconds_per_epoch", "samples_per_second")),
    *("together", *with_intervals("together_microseconds_per_epoch", "together_ratio")),
    *with_intervals("reference_microseconds_per_epoch", "reference_ratio"),
    *with_intervals("together_reference_ratio"),
    *with_intervals("row_microseconds", "row_p99_microseconds", "rows_per_second"),
    *with_intervals("softmax_microseconds", "softmax_share"),
    *LEFT,
    *ANCHORED,
)
SOFTMAX_COLUMNS = (
    *("shape", "dtype", "caches", "device", "threads", "kernel", "status", "reason", "processes"),
    *("seconds", "low", "high", "minimum", "third_quartile"),
    *with_intervals("gigabytes_per_second", "copies", "bests"),
    *("error", "survives", *with_intervals("first_seconds")),
    *ANCHORED,
)
KINDS = (
    *("fit", "together", "reference", "predict", "predict-row", "logits"),
    *("fit-once", "together-once", "reference-once"),
)
PLAIN = "plain "
"""Prefix to a model's name for its reference, the plain loop that is timed with it."""


def training(frames: Frames) -> pd.DataFrame:
    """A row for each pairing that was timed, and one for its plain loop if it has one.

    Times are in the units that the columns name. ``microseconds_per_epoch`` is the time of each
    epoch after the first, if the model has a parameter for epochs; otherwise the time of the fit
    divided by the number of epochs. ``reference_ratio`` is a lone fit's time per epoch / the
    reference's. ``together_ratio`` is one replicate's share of a fit of several at once / a lone
    fit. Ratios are formed within each process; the columns hold medians over processes.
    """
    pairings: dict[tuple[str, str, str], dict[str, Record]] = {}
    for row in _rows(frames, KINDS):
        key = row["case"], row["subject"], row["device"]
        pairings.setdefault(key, {})[row["kind"]] = row
    records = []
    for (dataset, model, device), kinds in pairings.items():
        record: Record = {"dataset": dataset, "model": model, "device": device, "plain": False}
        fit = kinds.get("fit")
        if fit is None:
            continue
        record |= {name: fit[name] for name in ("threads", "status", "reason")}
        record["processes"] = fit["n_processes"]
        record |= {name: fit[name] for name in (*LEFT, "measured", "bridge")}
        epochs = fit["epochs"] if fit["epochs"] > 0 else math.nan
        # The time of a fit with fewer epochs is not comparable; only its time per epoch is.
        if not fit["cut_from"] > 0:
            record |= {
                "fit_seconds": fit["median"],
                "fit_low": fit["low"],
                "fit_high": fit["high"],
                "fit_minimum": fit["minimum"],
                "fit_third_quartile": fit["third_quartile"],
            }
            record |= {name: fit[name] for name in ANCHORED}
        together, reference = (_if_ok(kinds.get(kind)) for kind in ("together", "reference"))
        once = {call: _if_ok(kinds.get(call.once or "")) for call in map(TimedCall, kinds)}
        lone_epochs = epochs_of(fit, once[TimedCall.FIT], epochs)
        record |= {"epochs": epochs} | _of_an_epoch(lone_epochs, fit["n_train"])
        if together:
            n = together["together"]
            joint_epochs = epochs_of(together, once[TimedCall.TOGETHER], epochs)
            record["together"] = n
            record |= _figure("together_microseconds_per_epoch", joint_epochs, 1e6 / n)
            record |= _figure("together_ratio", quotients(joint_epochs, lone_epochs), 1 / n)
        if reference:
            reference_epochs = epochs_of(reference, once[TimedCall.REFERENCE], epochs)
            record |= _figure("reference_microseconds_per_epoch", reference_epochs, 1e6)
            record |= _figure("reference_ratio", quotients(lone_epochs, reference_epochs))
            if together:
                ratios = quotients(joint_epochs, reference_epochs)
                record |= _figure("together_reference_ratio", ratios, 1 / n)
        record |= _of_predictions(kinds) | _of_own_softmax(kinds, lone_epochs)
        records.append(record)
        if reference:
            records.append(_plain_loop(record, reference, reference_epochs))
    return pd.DataFrame(records, columns=list(TRAINING_COLUMNS))


def _of_predictions(kinds: Mapping[str, Record]) -> Record:
    """Figures of a pairing's predictions, of a single row and of all test rows."""
    record: Record = {}
    if single := _if_ok(kinds.get("predict-row")):
        p99 = [(float(np.quantile(process, 0.99)),) for process in single["samples"]]
        record |= _figure("row_microseconds", single["samples"], 1e6)
        record |= _figure("row_p99_microseconds", p99, 1e6)
    if batch := _if_ok(kinds.get("predict")):
        record |= _figure("rows_per_second", _rates(batch["n_test"], batch["samples"]))
    return record


def _of_own_softmax(kinds: Mapping[str, Record], lone_epochs: Sequence[Sequence[float]]) -> Record:
    """Figures of the softmax of a pairing's own logits, and its share of an epoch."""
    logits = _if_ok(kinds.get("logits"))
    if logits is None:
        return {}
    record = _figure("softmax_microseconds", logits["samples"], 1e6)
    shares = _figure("softmax_share", quotients(logits["samples"], lone_epochs))
    # A share above 1 shows that the fit computes no such softmax.
    return record | shares if shares["softmax_share"] <= 1 else record


def _figure(name: str, samples: Sequence[Sequence[float]], scale: float = 1.0) -> Record:
    """A figure and its interval over all processes with samples; NaN if there are none."""
    measured = [process for process in samples if process]
    if not measured:
        return dict.fromkeys(with_intervals(name), math.nan)
    summary = summarise(measured)
    figures = (summary.median, summary.low, summary.high)
    return {key: scale * value for key, value in zip(with_intervals(name), figures, strict=True)}


def _rates(n: float, samples: Sequence[Sequence[float]]) -> list[tuple[float, ...]]:
    """``n`` per second, in each process with samples; the samples are seconds per ``n``."""
    return [(n / median(process),) for process in samples if process]


def _of_an_epoch(epochs: Sequence[Sequence[float]], n_train: float) -> Record:
    return _figure("microseconds_per_epoch", epochs, 1e6) | _figure(
        "samples_per_second", _rates(n_train, epochs)
    )


def _plain_loop(record: Record, reference: Record, epochs: Sequence[Sequence[float]]) -> Record:
    """The row of a model's reference, its plain loop."""
    kept = ("dataset", "device", "threads", "epochs")
    fit = {f"fit_{name}": reference[name] for name in ("low", "high", "minimum", "third_quartile")}
    return (
        {name: record[name] for name in kept}
        | {"model": f"{PLAIN}{record['model']}", "plain": True}
        | {"status": reference["status"], "reason": ""}
        | {"processes": reference["n_processes"], "fit_seconds": reference["median"]}
        | fit
        | {name: reference[name] for name in ANCHORED}
        | _of_an_epoch(epochs, reference["n_train"])
    )


def softmax(frames: Frames) -> pd.DataFrame:
    """A row for each kernel, shape, dtype, device and state of the caches that was timed.

    ``copies`` is the time / the time of copying the same array. ``bests`` is the time / the time of
    the fastest kernel. Both ratios are formed within each process, or for timings of different runs
    from their ratios to an anchor.
    """
    rows = [row for row in _rows(frames, ("softmax", "copy")) if SoftmaxCase.of(row["case"])]
    records = []
    for (text, device), members in groupby(rows, key=lambda row: (row["case"], row["device"])):
        group = list(members)
        case = SoftmaxCase.of(text)
        assert case is not None
        timed = [row for row in group if row["status"] == "ok"]
        copy = next((row for row in timed if row["kind"] == "copy"), None)
        kernels = [row for row in timed if row["kind"] == "softmax"]
        # Seconds of several days or machines do not tell which kernel is the fastest.
        by = "ratio" if any(row["bridge"] for row in kernels) else "median"
        best = min(kernels, key=lambda row: _order(row[by]), default=None)
        records += [
            (
                case._asdict()
                | {"device": device}
                | {"threads": row["threads"], "kernel": row["subject"]}
                | {"status": row["status"], "reason": row["reason"]}
                | {"processes": row["n_processes"], "seconds": row["median"]}
                | {name: row[name] for name in ("low", "high", "minimum", "third_quartile")}
                | _figure("gigabytes_per_second", _rates(2e-9 * case.bytes, row["samples"]))
                | _beside("copies", row, copy)
                | _beside("bests", row, best if row["kind"] == "softmax" else None)
                | {name: row[name] for name in ("error", "survives")}
                | {name: row.get(name, math.nan) for name in with_intervals("first_seconds")}
                | {name: row[name] for name in ANCHORED}
            )
            for row in group
        ]
    return pd.DataFrame(records, columns=list(SOFTMAX_COLUMNS))


def _beside(name: str, row: Record, other: Record | None) -> Record:
    """A row's time / another row's time, within each process that measured both."""
    if other is None or row["status"] != "ok":
        return _figure(name, ())
    if row["measured"] != other["measured"]:
        return _across(name, row, other)
    seconds, other_seconds = row["samples"], other["samples"]
    figure = _figure(name, quotients(seconds, other_seconds))
    # If a process lacks one of them, the ratio of the overall medians replaces the figure.
    return (
        figure
        if len(seconds) == len(other_seconds)
        else figure | {name: ratio(seconds, other_seconds)}
    )


def _order(value: float) -> float:
    """A key for sorting, which puts NaN last."""
    return math.inf if math.isnan(value) else value


def _across(name: str, row: Record, other: Record) -> Record:
    """A row's time / another row's time of another run, by their ratios to the same anchor."""
    value, low, high = (row[end] for end in with_intervals("ratio"))
    base, base_low, base_high = (other[end] for end in with_intervals("ratio"))
    if row["anchor"] != other["anchor"] or not (value > 0 and base > 0):
        return _figure(name, ())
    quotient = value / base
    below = math.hypot(math.log(value / low), math.log(base_high / base))
    above = math.hypot(math.log(high / value), math.log(base / base_low))
    values = (quotient, quotient * math.exp(-below), quotient * math.exp(above))
    return dict(zip(with_intervals(name), values, strict=True))


def _rows(frames: Frames, kinds: Sequence[str]) -> list[Record]:
    timings = frames.timings
    return timings[timings["kind"].isin(kinds)].to_dict("records")  # type: ignore[return-value]  # names are texts


def _if_ok(row: Record | None) -> Record | None:
    return row if row is not None and row["status"] == "ok" else None
