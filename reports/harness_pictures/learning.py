"""Pictures of how models learn: likelihood by epoch, and by the number of training rows."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.lines import Line2D

from harness import UsageError, Wanted
from harness.analysis.names import base
from harness.analysis.shown import ranked_by
from harness.sheets.choosing import able, chosen, pairings, scored_results
from harness.sheets.drawing import (
    ENTRIES,
    NAME,
    OTHERS,
    PANELS,
    Drawing,
    above,
    apart,
    beside,
    count,
    label,
    logarithmic,
    more,
    panels,
    seconds,
    sheet,
    shortened,
    text,
    without_interval,
)
from harness.sheets.palette import FAINT, colour, dash, look, marker
from harness.sheets.style import settings
from harness.sheets.thinning import bends, thin
from harness.statistics.scores import RowScores, cells
from harness.words import plural
from harness_pictures.costs import CLOCKS, Clock, clock

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from matplotlib.axes import Axes

    from harness import Frames
    from harness.analysis.shown import Shown
    from harness.sheets.choosing import Pairing
    from harness.sheets.palette import Look

PARTS = ("train", "test")
COLUMNS = [f"{part}_likelihood" for part in PARTS]
MEDIAN = "median"
"""In a table, the median has this in place of the number of a repeat."""

DIGITS = 3
"""Decimals of a likelihood in a table: finer than the thickness of a line."""

NEAR = 0.003
"""Tolerance of a curve of likelihoods: less than the thickness of a thin line."""

LONG = 50
"""From this many epochs, their axis is logarithmic."""

ALONE: Look = {"ls": "", "marker": "o", "ms": 9, "mfc": "none", "mec": FAINT, "mew": 0.8}
"""A ring around a likelihood that has no interval."""

TICKS = 8
"""Up to this many training sizes, each has a tick if there is room."""


def likelihood(frames: Frames, wanted: Wanted) -> Drawing:
    """Likelihood of the training and the test part by epoch: each repeat, and their median.

    In the median, a repeat that stops keeps its last value, also if it diverged: at the last epoch,
    the median is that of the repeats' final values.

    Raises:
        UsageError: no wanted pairing has a likelihood by epoch.
    """
    traces = frames.traces()
    traced = set(traces["result_id"])

    def has(pairings: Sequence[Pairing]) -> Collection[Pairing]:
        return [p for p in pairings if traced & set(p.result_ids)]

    traced_pairings = able(frames, wanted, "a likelihood by epoch", has)
    shown = traced_pairings[:PANELS]
    note = f" ({len(shown)} of {len(traced_pairings)})" if len(shown) < len(traced_pairings) else ""
    first = shown[0]
    title = f"Likelihood by epoch{note}: " if len(shown) > 1 else "Likelihood by epoch"
    if len(shown) > 1:
        title += _whose(shown)
    ids = [i for pairing in shown for i in pairing.result_ids]
    traces = traces[traces["result_id"].isin(ids)].merge(frames.results[["result_id", "repeat"]])
    epochs = traces["epoch"]
    long = bool(epochs.max() >= LONG and epochs.min() > 0)
    with settings():
        figure, axes = panels(len(shown), title=title, sharey=True, legend=True)
        kept = [_panel(ax, traces, p, shown, long) for ax, p in zip(axes, shown, strict=True)]
        table = pd.concat(kept, ignore_index=True)
        if len(shown) == 1:
            title = f"Likelihood by epoch: {text(first.model)} on {text(first.dataset)}"
            figure.suptitle(title, x=0.01, ha="left", weight="bold")
            diverged = int(table.loc[table["repeat"] == MEDIAN, "diverged"].max())
            of = plural(len(first.result_ids), "repeat")
            axes[0].set_title(f"{diverged} of {of} diverged" if diverged else of)
        for ax in axes:
            ax.set_ylim(-0.02, 1.02)
        label(figure, axes, "epoch", "likelihood")
        lines = [
            *(Line2D([], [], color=colour(i), ls=dash(i), lw=2.2, label=part)
              for i, part in enumerate(PARTS)),
            Line2D([], [], color=colour(0), lw=0.6, alpha=0.6, label="each repeat"),
        ]  # fmt: skip
        beside(figure, lines, "median over repeats")
    return Drawing(
        figure,
        title,
        "Likelihood of the training and the test part against the epoch. Medians: "
        f"{_final_medians(table)}.",
        table,
    )


def _final_medians(table: pd.DataFrame) -> str:
    """The median likelihoods of each pairing at its last epoch, in words."""
    medians = table[table["repeat"] == MEDIAN]
    last = medians.groupby(["dataset", "model", "device"], sort=False).tail(1)
    return "; ".join(
        f"{text(m, 2 * NAME)} on {text(d)} "
        + (f"ends at {a:.3f} and {b:.3f}" if a + b >= 0 else "diverged")
        for m, d, a, b in zip(
            *(
                last[name]
                for name in ("model", "dataset", *(f"{part} likelihood" for part in PARTS))
            ),
            strict=True,
        )
    )


def _whose(shown: Sequence[Pairing]) -> str:
    datasets = list(dict.fromkeys(p.dataset for p in shown))
    return text(datasets[0]) if len(datasets) == 1 else plural(len(datasets), "dataset")


def _panel(
    ax: Axes, traces: pd.DataFrame, pairing: Pairing, shown: Sequence[Pairing], long: bool
) -> pd.DataFrame:
    """Draw one pairing over its own epochs; gives a table of its curves, the median first."""
    own = traces[traces["result_id"].isin(pairing.result_ids)]
    repeats = {number: group.set_index("epoch")[COLUMNS] for number, group in own.groupby("repeat")}
    median = _median(list(repeats.values()))
    diverged = int(median["diverged"].max())
    median = _seen(median, long)
    single = {}
    if len(repeats) > 1:
        for number, repeat in repeats.items():
            lost = ~repeat.notna().all(axis=1)
            counted = repeat.assign(repeats=(~lost).astype(int), diverged=lost.astype(int))
            single[number] = _seen(counted, long)
    for i, name in enumerate(COLUMNS):
        for curve in single.values():
            ax.plot(curve.index, curve[name], color=colour(i), lw=0.6, alpha=0.45)
        ax.plot(
            median.index, median[name], color=colour(i), ls=dash(i), lw=2.2,
            marker="" if len(median) > 1 else marker(i),
        )  # fmt: skip
    if long:
        logarithmic(ax, "x", count, (own["epoch"].min(), own["epoch"].max()))
    name = shortened(p.model for p in shown)[pairing.model]
    if len({p.dataset for p in shown}) > 1:
        name += f" on {shortened(p.dataset for p in shown)[pairing.dataset]}"
    if len({p.device for p in shown}) > 1:
        name += f" @ {pairing.device}"
    if diverged:
        name += f": {diverged} of {plural(len(repeats), 'repeat')} diverged"
    above(ax, name)
    return pd.concat(
        [
            pd.DataFrame(
                {
                    "dataset": pairing.dataset,
                    "model": pairing.model,
                    "device": pairing.device,
                    "repeat": number,
                    "repeats": curve["repeats"].to_numpy(),
                    "diverged": curve["diverged"].to_numpy(),
                    "epoch": curve.index,
                }
                | {
                    f"{part} likelihood": curve[name].to_numpy().round(DIGITS)
                    for part, name in zip(PARTS, COLUMNS, strict=True)
                }
            )
            for number, curve in [(MEDIAN, median), *single.items()]
        ],
        ignore_index=True,
    )


def _seen(curve: pd.DataFrame, long: bool) -> pd.DataFrame:
    """A curve without the points that make no visible difference."""
    curve = curve.iloc[thin(len(curve))]
    epochs = curve.index.to_numpy(dtype=np.float64)
    x = np.log(epochs) if long else epochs
    return curve.iloc[bends(x, curve[COLUMNS].to_numpy(dtype=np.float64), NEAR)]


def _median(repeats: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """The medians by epoch, with how many repeats they are of and how many have diverged."""
    epochs = repeats[0].index
    for repeat in repeats:
        epochs = epochs.union(repeat.index)
    # Filling by index, not by value, keeps a repeat that became NaN at NaN.
    held = [repeat.reindex(epochs, method="ffill") for repeat in repeats]
    values = np.stack([repeat.to_numpy(dtype=np.float64) for repeat in held])
    begun = np.stack([epochs >= repeat.index[0] for repeat in repeats])
    known = np.isfinite(values).all(axis=2)  # (n_repeats, n_epochs)
    values[~known] = np.nan
    medians = pd.DataFrame(index=epochs)
    for i, name in enumerate(COLUMNS):
        medians[name] = pd.DataFrame(values[:, :, i]).median().to_numpy()
    return medians.assign(repeats=known.sum(axis=0), diverged=(begun & ~known).sum(axis=0))


def sizes(frames: Frames, wanted: Wanted) -> Drawing:
    """The score that ranks and the time of a fit by training rows, a line for each model.

    Datasets that differ only in a parameter ``train_size`` or ``n_train`` count as one.

    Raises:
        UsageError: no wanted dataset was run with several training sizes, or several were; or the
            score is not defined for any of their results.
    """
    all_results = scored_results(frames, Wanted(model=wanted.model, device=wanted.device))
    bases = all_results["dataset"].map(base)
    names = chosen([*bases, *all_results["dataset"]], wanted.dataset)
    if not names:
        scored_results(frames, wanted)  # raises an error that lists the datasets
    wanted_bases = {base(name) for name in names}
    counts = all_results["n_train"].groupby(bases).nunique()
    several = [name for name in dict.fromkeys(bases) if counts[name] > 1]
    ready = [name for name in several if name in wanted_bases]
    if not ready:
        others = (
            f"{', '.join(several[:5])} was" if several else "`harness run --train-sizes` does so"
        )
        whose = f"{wanted.dataset} was not" if wanted.dataset else "no dataset was"
        raise UsageError(f"{whose} run with several training sizes; {others}")
    if len(ready) > 1:
        raise UsageError(
            f"{len(ready)} datasets were run with several training sizes: "
            f"{', '.join(ready[:5])}; choose with -d"
        )
    results = all_results[bases == ready[0]]
    if wanted.model is None and not results["baseline"].all():
        results = results[~results["baseline"].astype(bool)]
    timed = clock(frames, results, "fit")
    metric = ranked_by(frames)
    table = _by_size(frames, results, timed, metric)
    if table[metric.name].isna().all():
        raise UsageError(f"{metric.name} has no value for {ready[0]} in run {frames.run.id}")
    return _sizes(ready[0], table, timed, metric)


def _by_size(frames: Frames, results: pd.DataFrame, timed: Clock, metric: Shown) -> pd.DataFrame:
    """A table with a row for each model, device and training size."""
    scores = cells(results, (), frames.scales)
    row_scores = RowScores(frames.predictions, frames.metric_rows)
    rows = []
    for pairing in pairings(results):
        cell = scores[pairing.dataset, pairing.model, pairing.device]
        ends = metric.interval(cell, row_scores)
        time, low, high = timed.of(pairing)
        rows.append(
            {
                "model": pairing.model,
                "device": pairing.device,
                "training rows": cell.n_train,
                "repeats": len(cell.nll),
                metric.name: metric.mean(cell),
                f"{metric.name} low": ends.low,
                f"{metric.name} high": ends.high,
                "interval": ends.basis,
                "fit seconds": time,
                "fit low": low,
                "fit high": high,
            }
        )
    order = {model: i for i, model in enumerate(dict.fromkeys(row["model"] for row in rows))}
    rows.sort(key=lambda row: (order[row["model"]], row["device"], row["training rows"]))
    return pd.DataFrame(rows)


def _sizes(dataset: str, table: pd.DataFrame, timed: Clock, metric: Shown) -> Drawing:
    title = f"By training size: {text(dataset)}"
    several_devices = table["device"].nunique() > 1
    with settings():
        figure, axes = sheet(1, 2, width=9.2, height=3.8, title=title)
        left, right = axes[0]
        handles = []
        groups = list(table.groupby(["model", "device"], sort=False))
        names = shortened(table["model"])
        rows = sorted(set(table["training rows"]))
        beside_others = _beside_others(rows, len(groups))
        for i, (key, group) in enumerate(groups):
            model, device = map(str, key)
            line = look(i) if i < ENTRIES else OTHERS
            if i < ENTRIES:
                name = names[model] + (f" @ {device}" if several_devices else "")
                handles.append(Line2D([], [], label=name, **line))
            for ax, what in ((left, metric.name), (right, "fit")):
                y = group["fit seconds" if ax is right else what]
                ends = [group[f"{what} low"], group[f"{what} high"]]
                x = group["training rows"] * beside_others[i]
                ax.plot(x, y, **line)
                ax.vlines(x, *ends, color=line["color"], lw=0.8, alpha=0.7)
                if ax is left:
                    ax.plot(x[group[ends[0].name].isna()], y[group[ends[0].name].isna()], **ALONE)
        handles += more(len(groups) - ENTRIES, **OTHERS)
        withheld = without_interval(table["interval"])
        if withheld:
            handles.append(Line2D([], [], label="no interval", **ALONE))
        for ax in (left, right):
            logarithmic(ax, "x", count, [n * f for n in rows for f in beside_others])
            if len(rows) <= TICKS:
                ticks = apart(rows, ax.get_xlim(), "x", lambda n: count(round(n)))
                ax.set_xticks(ticks, [count(round(n)) for n in ticks])
                ax.set_xticks([n for n in rows if n not in ticks], minor=True)
            ax.set_xlabel("training rows")
        shown = table[["fit seconds", "fit low", "fit high"]].to_numpy().ravel()
        logarithmic(right, "y", seconds, shown)
        left.set_ylabel(f"{metric.label}, with 95% interval")
        right.set_ylabel(f"time of a fit, {timed.how}", wrap=True)
        beside(figure, handles)
    return Drawing(
        figure,
        title,
        _described(table, timed, metric, withheld),
        table.assign(clock=CLOCKS[timed.how]),
    )


def _described(table: pd.DataFrame, timed: Clock, metric: Shown, withheld: str) -> str:
    """What is drawn, the models without a time, the best model, and the missing intervals."""
    untimed = table[~(table["fit seconds"] > 0)]
    missing = (
        f" No time is known of {', '.join(text(m) for m in dict.fromkeys(untimed['model']))}."
        if len(untimed)
        else ""
    )
    largest = table[table["training rows"] == table["training rows"].max()]
    by_score = largest.dropna(subset=metric.name).sort_values(
        metric.name, ascending=not metric.more_is_better, kind="stable"
    )
    best_sentence = ""
    if len(by_score):
        top = by_score.iloc[0]
        best_sentence = (
            f" With {top['training rows']:,.0f} rows {text(top['model'], NAME)} has the "
            f"{'highest' if metric.more_is_better else 'lowest'} {metric.name}, "
            f"{top[metric.name]:.3f}."
        )
    name = metric.name.capitalize() if metric.name == "likelihood" else metric.name
    return (
        f"{name} and time of a fit against the number of training rows, one line per model. The "
        f"time is {timed.how}.{missing}{best_sentence}{' ' * bool(withheld)}{withheld}"
    )


def _beside_others(rows: Sequence[float], n: int) -> list[float]:
    """Factors for the x coordinates of n series, so that their intervals do not overlap.

    They are close to 1: points stay near their tick, and different sizes do not mix.
    """
    span = math.log(rows[-1] / rows[0])
    closest = min(math.log(b / a) for a, b in pairwise(rows))
    wide = min(0.3 * closest, 0.012 * span * (n - 1), 0.06 * span)
    return [math.exp(wide * (i / max(n - 1, 1) - 0.5)) for i in range(n)]
