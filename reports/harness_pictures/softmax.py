"""Picture of softmax kernels: time against size, with the time of a copy as the limit."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.lines import Line2D

from harness import UsageError
from harness.analysis.timings import SoftmaxCase
from harness.sheets.choosing import chosen, nearest
from harness.sheets.drawing import (
    ENTRIES,
    OTHERS,
    PANELS,
    Drawing,
    above,
    beside,
    count,
    label,
    logarithmic,
    more,
    panels,
    seconds,
    shortened,
    text,
)
from harness.sheets.palette import INK, look
from harness.sheets.style import settings

if TYPE_CHECKING:
    from harness import Frames, Wanted

COPY = "copy"
PANEL = ["dtype", "caches", "device"]


def softmax(frames: Frames, wanted: Wanted) -> Drawing:
    """Time of a call against the number of elements, a panel for each type, caches and device.

    ``wanted.model`` names kernels.

    Raises:
        UsageError: no wanted kernel was timed.
    """
    table = _table(frames, wanted)
    groups = list(table.groupby(PANEL, sort=False))
    shown = groups[:PANELS]
    note = f" ({len(shown)} of {len(groups)} panels)" if len(shown) < len(groups) else ""
    kernels = [name for name in dict.fromkeys(table["kernel"]) if name != COPY]
    title = f"Softmax: time against size{note}"
    several_devices = table["device"].nunique() > 1
    with settings():
        figure, axes = panels(len(shown), title=title, legend=True, sharex=True, sharey=True)
        for ax, ((dtype, caches, device), group) in zip(axes, shown, strict=True):
            for i, kernel in enumerate(kernels):
                own = group[group["kernel"] == kernel]
                line = {"ms": 4, **look(i)} if i < ENTRIES else OTHERS
                ax.plot(own["elements"], own["seconds"], **line)
                ax.vlines(own["elements"], own["low"], own["high"], color=line["color"], lw=0.8)
            limit = group[group["kernel"] == COPY]
            ax.plot(limit["elements"], limit["seconds"], color=INK, lw=2.6, alpha=0.75, zorder=1.5)
            above(ax, f"{dtype}, {caches} caches" + (f" @ {device}" if several_devices else ""))
            logarithmic(ax, "x", count, table["elements"])
            logarithmic(ax, "y", seconds, table["seconds"])
        label(figure, axes, "elements: rows × classes", "time of a call")
        names = shortened(kernels)
        handles = [
            Line2D([], [], ms=4, label=names[kernel], **look(i))
            for i, kernel in enumerate(kernels[:ENTRIES])
        ]
        handles += more(len(kernels) - ENTRIES, **OTHERS)
        if (table["kernel"] == COPY).any():
            copy = "copying the array"
            handles.append(Line2D([], [], color=INK, lw=2.6, alpha=0.75, label=copy))
        beside(figure, handles)
    largest = table[table["elements"] == table["elements"].max()]
    best = largest[largest["kernel"] != COPY].nsmallest(1, "seconds").iloc[0]
    times = best["times a copy"]
    beside_copy = f", {times:.1f} times a copy of the array" if math.isfinite(times) else ""
    description = (
        f"Time of a call of {len(kernels)} softmax kernels against the number of elements, both "
        f"logarithmic. At {best['shape']} {best['dtype']} the fastest is {text(best['kernel'])}"
        f"{beside_copy}."
    )
    return Drawing(figure, title, description, table)


def _table(frames: Frames, wanted: Wanted) -> pd.DataFrame:
    """A table with a row for each kernel and case, and for each copy, by size."""
    timings, run = frames.timings, frames.run.id
    known = timings[timings["kind"].isin(["softmax", COPY]) & (timings["status"] == "ok")]
    # A kernel that could not be timed in any shape has words in place of a case.
    is_case = [SoftmaxCase.of(str(case)) is not None for case in known["case"]]
    known = known.loc[np.array(is_case, dtype=bool)]
    kernels = known[known["kind"] == "softmax"]
    if kernels.empty:
        raise UsageError(f"run {run} timed no softmax; `harness bench softmax` does")
    if not (names := chosen(kernels["subject"], wanted.model)):
        nearest_names = nearest(str(wanted.model), set(kernels["subject"]))
        raise UsageError(f"run {run} timed no kernel '{wanted.model}': {nearest_names}")
    if not (devices := chosen(kernels["device"], wanted.device)):
        nearest_names = nearest(str(wanted.device), set(kernels["device"]))
        raise UsageError(f"run {run} timed no softmax on device '{wanted.device}': {nearest_names}")
    kept = known[
        (known["subject"].isin(names) | (known["kind"] == COPY)) & known["device"].isin(devices)
    ]
    rows = []
    for row in kept.to_dict("records"):
        case = SoftmaxCase.of(str(row["case"]))
        assert case is not None
        rows.append(
            {"kernel": row["subject"] if row["kind"] == "softmax" else COPY}
            | {"shape": case.shape, "elements": case.elements}
            | {"dtype": case.dtype, "caches": case.caches, "device": row["device"]}
            | {"seconds": row["median"], "low": row["low"], "high": row["high"]}
        )
    table = pd.DataFrame(rows)
    keys = ["shape", *PANEL]
    copies = table[table["kernel"] == COPY].drop_duplicates(keys).set_index(keys)["seconds"]
    at = pd.MultiIndex.from_frame(table[keys])
    table["times a copy"] = table["seconds"] / copies.reindex(at).to_numpy()
    order = {"warm": 0, "cold": 1}
    table["_caches"] = table["caches"].map(order)
    table = table.sort_values(
        ["device", "dtype", "_caches", "elements", "shape"], kind="stable", ignore_index=True
    )
    return table.drop(columns="_caches")
