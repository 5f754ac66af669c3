"""What accuracy costs: time to fit and time to predict, and who gives the most for it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
import pandas as pd
from matplotlib.lines import Line2D

from harness.errors import UsageError
from harness.pictures.choosing import Wanted, pairings, scored
from harness.pictures.palette import FAINT, INK, colour, marker
from harness.pictures.picture import (
    LEGEND,
    PANELS,
    Picture,
    above,
    beside,
    label,
    logarithmic,
    panels,
    plural,
    seconds,
    settings,
    text,
)
from harness.statistics import cells, interval

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes

    from harness.pictures.choosing import Pairing
    from harness.values import Frames

    Cost: TypeAlias = Literal["fit", "predict-row"]

ALONE = "timed alone"
AMONG = "taken while other trials ran"
COLUMNS = {"fit": "fit_seconds", "predict-row": "predict_seconds"}
WORDS = {
    ("fit", ALONE): "time of a fit",
    ("fit", AMONG): "time of a fit",
    ("predict-row", ALONE): "latency of one row",
    ("predict-row", AMONG): "time a row, predicting all",
}
GAP = 0.085
"""Between two labels, as a part of a panel's height."""

LETTER = 4.3
"""Width of a label's letter, in points."""

AWAY = 12.0
"""Points from which on a line leads from a label to its point."""


@dataclass(frozen=True, slots=True)
class Clock:
    """How long pairings take, by one way of timing: the two ways don't compare.

    Args:
        how: that way, in words.
        times: seconds and the ends of their interval, by dataset, model and device.
    """

    how: str
    times: Mapping[tuple[str, str, str], tuple[float, float, float]]

    def of(self, pairing: Pairing) -> tuple[float, float, float]:
        """Seconds and the ends of their interval, NaN where unknown."""
        unknown = (math.nan, math.nan, math.nan)
        return self.times.get((pairing.dataset, pairing.model, pairing.device), unknown)


def clock(frames: Frames, results: pd.DataFrame, cost: Cost) -> Clock:
    """Times of results that have scores: those timed alone where most were, else the trials' own.

    Of the trials' own, the ends are the least and the most of the repeats.
    """
    own = results.groupby(["dataset", "model", "device"], sort=False)[COLUMNS[cost]]
    among = {
        (str(d), str(m), str(v)): (float(g.median()), float(g.min()), float(g.max()))
        for (d, m, v), g in own
    }
    timings = frames.timings
    # Of a fit that was cut short only the time of an epoch is known.
    whole = ~(timings["cut_from"].astype(float) > 0)
    kept = timings[(timings["kind"] == cost) & (timings["status"] == "ok") & whole]
    names = ("case", "subject", "device", "median", "low", "high")
    alone = {
        (str(d), str(m), str(v)): (float(median), float(low), float(high))
        for d, m, v, median, low, high in zip(*(kept[name] for name in names), strict=True)
        if (d, m, v) in among
    }
    return Clock(ALONE, alone) if 2 * len(alone) > len(among) else Clock(AMONG, among)


def front(times: Sequence[float], accuracies: Sequence[float]) -> list[int]:
    """Whom nobody beats in both: indices by growing time, and so by growing accuracy.

    Of those that are equal in both, each is on it. What has a NaN is not.
    """
    known = [
        i
        for i, pair in enumerate(zip(times, accuracies, strict=True))
        if all(map(math.isfinite, pair))
    ]
    found: list[int] = []
    for i in sorted(known, key=lambda i: (times[i], -accuracies[i], i)):
        last = found[-1] if found else i
        equal = times[i] == times[last] and accuracies[i] == accuracies[last]
        if equal or accuracies[i] > accuracies[last]:
            found.append(i)
    return found


def fit_time(frames: Frames, wanted: Wanted) -> Picture:
    """Accuracy against the time of a fit, a panel a dataset, with the Pareto front."""
    return _against(frames, wanted, "fit", "Accuracy against time to fit")


def latency(frames: Frames, wanted: Wanted) -> Picture:
    """Accuracy against the time of a prediction, a panel a dataset, with the Pareto front."""
    return _against(frames, wanted, "predict-row", "Accuracy against prediction latency")


def _against(frames: Frames, wanted: Wanted, cost: Cost, title: str) -> Picture:
    results = scored(frames, wanted)
    if wanted.model is None and not results["baseline"].all():
        results = results[~results["baseline"].astype(bool)]
    timed = clock(frames, results, cost)
    table = _table(results, timed, WORDS[cost, timed.how])
    time = f"{WORDS[cost, timed.how]} (s)"
    drawn = table[np.isfinite(table[time]) & (table[time] > 0)]
    if drawn.empty:
        raise UsageError(f"no trial of {wanted} in run {frames.run.id} has times; draw another run")
    datasets = list(dict.fromkeys(drawn["dataset"]))
    shown = datasets[:PANELS]
    if len(shown) < len(datasets):
        title += f" ({len(shown)} of {plural(len(datasets), 'dataset')})"
    elif len(shown) == 1:
        title += f": {text(shown[0])}"
    drawn = drawn[drawn["dataset"].isin(shown)]
    several = drawn["device"].nunique() > 1
    # In the order of the run, so that a model looks the same beside another cost.
    present = set(_keys(drawn))
    looks = {
        key: i for i, key in enumerate(k for k in dict.fromkeys(_keys(results)) if k in present)
    }
    with settings():
        figure, axes = panels(len(shown), title=title, legend=True)
        for ax, dataset in zip(axes, shown, strict=True):
            _panel(ax, drawn[drawn["dataset"] == dataset], time, looks)
            if len(shown) > 1:
                above(ax, text(dataset))
        label(figure, axes, f"{WORDS[cost, timed.how]}, {timed.how}", "accuracy")
        handles = [
            Line2D([], [], color=colour(i), marker=marker(i), ls="", label=_label(*key, several))
            for key, i in looks.items()
        ]
        handles.append(Line2D([], [], color=FAINT, lw=1.0, label="Pareto front"))
        beside(figure, handles)
    best = "; ".join(
        f"on {dataset}: {', '.join(group['model'])}"
        for dataset, group in drawn[drawn["on the front"]].groupby("dataset", sort=False)
    )
    description = (
        f"Accuracy against {WORDS[cost, timed.how]}, {timed.how}. "
        f"On the Pareto front, by growing time, {best}."
    )
    return Picture(figure, title, description, drawn.reset_index(drop=True))


def _table(results: pd.DataFrame, timed: Clock, word: str) -> pd.DataFrame:
    """A row a pairing, by dataset and time."""
    scores = cells(results)
    rows = []
    for pairing in pairings(results):
        cell = scores[pairing.dataset, pairing.model, pairing.device]
        ends = interval(cell, "accuracy")
        value, low, high = timed.of(pairing)
        rows.append(
            {"dataset": pairing.dataset, "model": pairing.model, "device": pairing.device}
            | {f"{word} (s)": value, "low (s)": low, "high (s)": high}
            | {"accuracy": float(cell.accuracy.mean())}
            | {"accuracy low": ends.low, "accuracy high": ends.high, "on the front": False}
        )
    table = pd.DataFrame(rows)
    order = {name: i for i, name in enumerate(dict.fromkeys(table["dataset"]))}
    keys = [table["dataset"].map(order), table[f"{word} (s)"]]
    table = table.iloc[np.lexsort((keys[1], keys[0]))].reset_index(drop=True)
    for _, group in table.groupby("dataset", sort=False):
        best = front(group[f"{word} (s)"].tolist(), group["accuracy"].tolist())
        table.loc[group.index[best], "on the front"] = True
    return table


def _panel(ax: Axes, table: pd.DataFrame, time: str, looks: Mapping[tuple[str, str], int]) -> None:
    x, y = table[time], table["accuracy"]
    low, high = float(y.min()), float(y.max())
    best = table[table["on the front"]]
    span = high - low or 0.05
    low, high = low - 0.1 * span, high + (0.1 + 0.7 * GAP * len(best)) * span
    # Labels go to the left, where the front leaves room.
    least, most = float(x.min()), float(x.max())
    logarithmic(ax, "x", seconds, (least / (most / least) ** 0.35 / 1.5, most))
    ax.set_ylim(low, high)
    ax.set_yticks([tick for tick in ax.get_yticks() if low <= tick <= 1])
    if len(best):
        end = ax.get_xlim()[1]
        ax.step(
            [*best[time], end], [*best["accuracy"], best["accuracy"].iloc[-1]],
            where="post", color=FAINT, lw=1.0, zorder=1.5,
        )  # fmt: skip
    for key, (_, row) in zip(_keys(table), table.iterrows(), strict=True):
        i = looks[key]
        ax.plot(row[time], row["accuracy"], color=colour(i), marker=marker(i), ls="")
        line: dict[str, Any] = {"color": colour(i), "lw": 0.8, "alpha": 0.35, "zorder": 1.8}
        ax.plot([row[time]] * 2, [row["accuracy low"], row["accuracy high"]], **line)
        ax.plot([row["low (s)"], row["high (s)"]], [row["accuracy"]] * 2, **line)
    _name_the_front(ax, best, time)


def _name_the_front(ax: Axes, best: pd.DataFrame, time: str) -> None:
    """To the upper left of each point, where nobody is; a line leads to what had to move up."""
    width, height = _size(ax)
    least, most = np.log(ax.get_xlim())
    low, high = ax.get_ylim()
    last = -math.inf
    for _, row in best.iterrows():
        x = (math.log(row[time]) - least) / (most - least)
        y = (row["accuracy"] - low) / (high - low)
        last = max(y + 0.025, last + GAP)
        name = text(row["model"], 24)
        wide = LETTER * len(name) / width
        ax.annotate(
            name, (x, y), xycoords="axes fraction",
            xytext=(max(x - 5 / width, min(wide, 1.0)), last), textcoords="axes fraction",
            ha="right", va="bottom", fontsize=7, color=INK,
            arrowprops={"arrowstyle": "-", "color": FAINT, "lw": 0.5, "shrinkA": 0, "shrinkB": 3}
            if (last - y) * height > AWAY
            else None,
        )  # fmt: skip


def _size(ax: Axes) -> tuple[float, float]:
    """A panel's width and height in points, about: the layout is not known before it is drawn."""
    figure, grid = ax.get_figure(), ax.get_gridspec()
    assert figure
    assert grid
    wide, high = figure.get_figure(root=True).get_size_inches()
    return 72 * ((wide - LEGEND) / grid.ncols - 0.5), 72 * ((high - 0.8) / grid.nrows - 0.3)


def _keys(table: pd.DataFrame) -> list[tuple[str, str]]:
    return list(zip(table["model"], table["device"], strict=True))


def _label(model: str, device: str, several: bool) -> str:
    return text(model) + (f" @ {device}" if several else "")
