"""Pictures of accuracy against the time to fit and to predict, with the Pareto front."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np
import pandas as pd
from matplotlib.lines import Line2D

from harness import UsageError
from harness.analysis.shown import shown
from harness.sheets.choosing import LISTED, pairings, scored_results
from harness.sheets.drawing import (
    ENTRIES,
    NAME,
    OTHERS,
    PANELS,
    Drawing,
    above,
    beside,
    label,
    lay_out,
    logarithmic,
    more,
    panels,
    seconds,
    shortened,
    text,
    without_interval,
)
from harness.sheets.palette import FAINT, INK, PAPER, colour, marker
from harness.sheets.style import settings
from harness.sheets.thinning import thin
from harness.statistics.scores import RowScores, cells
from harness.words import fixed, listed, plural
from harness_pictures.labels import STEP, Label, ambiguous, leader_of, places

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from harness import Frames, Wanted
    from harness.analysis.shown import Shown
    from harness.sheets.choosing import Pairing
    from harness.sheets.palette import Look

    Cost: TypeAlias = Literal["fit", "predict-row"]

ALONE = "timed alone"
AMONG = "taken while other trials ran"
COLUMNS = {"fit": "fit_seconds", "predict-row": "predict_seconds"}
COSTS = {"fit": "time of a fit", "predict-row": "time a row"}
"""The name of each cost, whatever the clock."""

WORDS = {
    ("fit", ALONE): "time of a fit",
    ("fit", AMONG): "time of a fit",
    ("predict-row", ALONE): "latency of one row",
    ("predict-row", AMONG): "time per row, predicting all at once",
}
CLOCKS = {ALONE: "alone", AMONG: "among trials"}
"""The name of each clock in a table."""

DOT: Look = OTHERS | {"ls": "", "ms": 4}
"""The look of models that the legend does not name."""

LABEL = 36
"""The most characters of a label."""

LINE = 20
"""The most characters of a line of a label; parameters begin a second line."""

LONG = 80
"""The most characters of a name in a description."""

NAMED = 5
"""The most models that are named on a panel's Pareto front."""

ROOM = 0.07
"""Room above the scores for each label, as a fraction of a panel's height."""

AWAY = 12.0
"""From this distance in typographic points, a line leads from a label to its model."""

FLAT = 2.0
"""The factor by which intervals of models off the front may stretch the accuracy axis."""


@dataclass(frozen=True, slots=True)
class Clock:
    """Times of pairings, all taken in one way: times taken in different ways do not compare.

    Args:
        how: the way of timing, `ALONE` or `AMONG`.
        times: seconds with the bounds of their interval, by dataset, model and device.
    """

    how: str
    times: Mapping[tuple[str, str, str], tuple[float, float, float]]

    def of(self, pairing: Pairing) -> tuple[float, float, float]:
        """Seconds with the bounds of their interval; NaN if unknown."""
        unknown = (math.nan, math.nan, math.nan)
        return self.times.get((pairing.dataset, pairing.model, pairing.device), unknown)


def clock(frames: Frames, results: pd.DataFrame, cost: Cost) -> Clock:
    """The times of a panel's results, which all have scores: timed alone if all pairings were.

    Otherwise the trials' own times, which all pairings have, because a missing pairing might be the
    best. The bounds of these are the shortest and the longest repeat.
    """
    own = results.groupby(["dataset", "model", "device"], sort=False)[COLUMNS[cost]]
    among = {
        (str(d), str(m), str(v)): (float(g.median()), float(g.min()), float(g.max()))
        for (d, m, v), g in own
    }
    timings = frames.timings
    # A fit that was cut short tells only the time of an epoch.
    whole = ~(timings["cut_from"].astype(float) > 0)
    # Seconds of several days or machines do not share an axis.
    whole &= timings["bridge"] == ""
    kept = timings[(timings["kind"] == cost) & (timings["status"] == "ok") & whole]
    names = ("case", "subject", "device", "median", "low", "high")
    alone = {
        (str(d), str(m), str(v)): (float(median), float(low), float(high))
        for d, m, v, median, low, high in zip(*(kept[name] for name in names), strict=True)
        if (d, m, v) in among
    }
    timed = {key for key, (time, _, _) in among.items() if time > 0}
    return Clock(ALONE, alone) if alone and timed <= alone.keys() else Clock(AMONG, among)


def front(times: Sequence[float], accuracies: Sequence[float]) -> list[int]:
    """The Pareto front, fast and accurate: indices by growing time, and so by growing accuracy.

    Of several points equal in both, all are on the front. Points with a NaN are not.
    """
    known = [
        i
        for i, pair in enumerate(zip(times, accuracies, strict=True))
        if all(map(math.isfinite, pair))
    ]
    indices: list[int] = []
    for i in sorted(known, key=lambda i: (times[i], -accuracies[i], i)):
        last = indices[-1] if indices else i
        equal = times[i] == times[last] and accuracies[i] == accuracies[last]
        if equal or accuracies[i] > accuracies[last]:
            indices.append(i)
    return indices


def fit_time(frames: Frames, wanted: Wanted) -> Drawing:
    """Accuracy against the time of a fit, with the Pareto front, one panel per dataset."""
    return _against(frames, wanted, "fit", "against time to fit")


def latency(frames: Frames, wanted: Wanted) -> Drawing:
    """Accuracy against the time of a prediction, with the Pareto front, one panel per dataset."""
    return _against(frames, wanted, "predict-row", "against prediction latency")


def _against(frames: Frames, wanted: Wanted, cost: Cost, title: str) -> Drawing:
    metric = shown(frames)[0]  # the accuracy, unless others are chosen
    name = metric.name.capitalize() if metric.name == "accuracy" else metric.name
    title = f"{name} {title}"
    results = scored_results(frames, wanted)
    own = results
    if wanted.model is None and not results["baseline"].all():
        own = results[~results["baseline"].astype(bool)]
    clocks = {
        str(dataset): clock(frames, group, cost)
        for dataset, group in own.groupby("dataset", sort=False)
    }
    time = f"{COSTS[cost]} (s)"
    table = _table(frames, own, clocks, time, metric)
    timed = np.isfinite(table[time]) & (table[time] > 0)
    if table["score"].isna().all():
        raise UsageError(f"{metric.name} has no value for {wanted} in run {frames.run.id}")
    timed &= table["score"].notna()
    drawn = table[timed]
    if drawn.empty:
        raise UsageError(
            f"no trial of {wanted} in run {frames.run.id} has times; choose another run"
        )
    datasets = list(dict.fromkeys(drawn["dataset"]))
    named = datasets[:PANELS]
    if len(named) < len(datasets):
        title += f" ({len(named)} of {plural(len(datasets), 'dataset')})"
    elif len(named) == 1:
        title += f": {text(named[0])}"
    drawn = drawn[drawn["dataset"].isin(named)].reset_index(drop=True)
    with settings():
        figure, axes = panels(len(named), title=title, legend=True)
        looks = _legend(figure, drawn, dict.fromkeys(_keys(own)))
        for ax, dataset in zip(axes, named, strict=True):
            _panel(ax, drawn[drawn["dataset"] == dataset], time, looks, metric)
        ways = list(dict.fromkeys(clocks[dataset].how for dataset in named))
        if len(named) > 1:
            titles = shortened(named)
            for ax, dataset in zip(axes, named, strict=True):
                how = f": {clocks[dataset].how}" if len(ways) > 1 else ""
                above(ax, titles[dataset] + how)
        axis_label = ", or ".join(dict.fromkeys(WORDS[cost, how] for how in ways))
        label(figure, axes, axis_label + (f", {ways[0]}" if len(ways) == 1 else ""), metric.label)
        # The labels need the size of the panels.
        lay_out(figure)
        names = _names(_keys(drawn), LABEL)
        for ax, dataset in zip(axes, named, strict=True):
            _write_labels(ax, drawn[drawn["dataset"] == dataset], time, names, metric)
    shown_clocks = {dataset: clocks[dataset] for dataset in named}
    sentences = _described(name, drawn, cost, shown_clocks, metric)
    sentences += _left_out(results, own, table[~timed])
    heads = {f"score{end}": f"{metric.name}{end}" for end in ("", " low", " high")}
    return Drawing(figure, title, " ".join(sentences), drawn.rename(columns=heads))


def _described(
    name: str, drawn: pd.DataFrame, cost: Cost, clocks: Mapping[str, Clock], metric: Shown
) -> list[str]:
    """Sentences about the cost, how it was timed in each panel, and the models on the fronts."""
    sentences = [f"{name} against {COSTS[cost]}, one panel per dataset."]
    ways = list(dict.fromkeys(clock.how for clock in clocks.values()))
    for how in ways:
        whose = [text(dataset) for dataset, clock in clocks.items() if clock.how == how]
        on = f" on {', '.join(whose)}" if len(ways) > 1 else ""
        sentences.append(f"The time is the {WORDS[cost, how]}, {how}{on}.")
    best = "; ".join(
        f"on {text(dataset)}: {', '.join(text(model, LONG) for model in group['model'])}"
        for dataset, group in drawn[drawn["on the front"]].groupby("dataset", sort=False)
    )
    sentences.append(f"Models on the Pareto front, the fastest first: {best}.")
    if withheld := without_interval(drawn["interval"]):
        sentences.append(withheld)
    groups = drawn.groupby("dataset", sort=False)
    n_far = sum(int(_far_off(group, metric).sum()) for _, group in groups)
    if n_far:
        sentences.append(
            f"{plural(n_far, 'score')} far from the others {'is' if n_far == 1 else 'are'} written "
            "at the edge of the panel."
        )
    return sentences


def _left_out(results: pd.DataFrame, own: pd.DataFrame, untimed: pd.DataFrame) -> list[str]:
    """Sentences about models that have scores but are not drawn."""
    keys = set(zip(untimed["dataset"], untimed["model"], untimed["device"], strict=True))
    untimed_pairings = [p for p in pairings(own) if (p.dataset, p.model, p.device) in keys]
    sentences = (
        [f"Left out, having no time: {text(listed(untimed_pairings, LISTED), LONG * 5)}."]
        if untimed_pairings
        else []
    )
    models = set(own["model"])
    others = [name for name in dict.fromkeys(results["model"]) if name not in models]
    if others:
        sentences.append(
            f"Baselines are left out: {', '.join(text(name, LONG) for name in others)}."
        )
    return sentences


def _legend(
    figure: Figure, drawn: pd.DataFrame, order: Iterable[tuple[str, str]]
) -> dict[tuple[str, str], int]:
    """Add the legend beside the panels; gives the index of the look of each model that it names.

    If there are too many models, those on a front come first.
    """
    present = set(_keys(drawn))
    keys = [key for key in order if key in present]
    best = set(_keys(drawn[drawn["on the front"]]))
    if len(keys) > ENTRIES:
        keys.sort(key=lambda key: key not in best)
    # Otherwise in the order of the run, so that a model looks the same in both costs' pictures.
    looks = {key: i for i, key in enumerate(keys[:ENTRIES])}
    names = _names(keys, NAME)
    handles = [
        Line2D([], [], color=colour(i), marker=marker(i), ls="", label=names[key])
        for key, i in looks.items()
    ]
    handles += more(len(keys) - len(looks), **DOT)
    handles.append(Line2D([], [], color=FAINT, lw=1.0, label="Pareto front"))
    beside(figure, handles)
    return looks


def _table(
    frames: Frames, results: pd.DataFrame, clocks: Mapping[str, Clock], time: str, metric: Shown
) -> pd.DataFrame:
    """A table with a row for each pairing, by dataset and time."""
    scores = cells(results, (), frames.scales)
    row_scores = RowScores(frames.predictions, frames.metric_rows)
    rows = []
    for pairing in pairings(results):
        cell = scores[pairing.dataset, pairing.model, pairing.device]
        ends = metric.interval(cell, row_scores)
        dataset_clock = clocks[pairing.dataset]
        value, low, high = dataset_clock.of(pairing)
        rows.append(
            {"dataset": pairing.dataset, "model": pairing.model, "device": pairing.device}
            | {"clock": CLOCKS[dataset_clock.how], time: value, "low (s)": low, "high (s)": high}
            | {"score": metric.mean(cell)}
            | {"score low": ends.low, "score high": ends.high, "interval": ends.basis}
            | {"on the front": False}
        )
    table = pd.DataFrame(rows)
    order = {name: i for i, name in enumerate(dict.fromkeys(table["dataset"]))}
    table = table.iloc[np.lexsort((table[time], table["dataset"].map(order)))]
    table = table.reset_index(drop=True)
    for _, group in table.groupby("dataset", sort=False):
        # A logarithmic axis cannot show a time of 0.
        times = group[time].where(group[time] > 0)
        gains = group["score"] if metric.more_is_better else -group["score"]
        best = front(times.tolist(), gains.tolist())
        table.loc[group.index[best], "on the front"] = True
    return table


def _panel(
    ax: Axes, table: pd.DataFrame, time: str, looks: Mapping[tuple[str, str], int], metric: Shown
) -> None:
    best = table[table["on the front"]]
    far = _far_off(table, metric)
    low, high = _accuracies(table[~far])
    span = high - low or 0.05
    low, high = low - 0.06 * span, high + (0.06 + ROOM * min(len(best), NAMED)) * span
    if far.any():
        worse = 2 * ROOM * span
        low, high = (low - worse, high) if metric.more_is_better else (low, high + worse)
    ax.set_ylim(low, high)
    lowest = max(metric.low, ax.get_ylim()[0])
    ax.set_yticks([tick for tick in ax.get_yticks() if lowest <= tick <= metric.high])
    known = table[[time, "low (s)", "high (s)"]].to_numpy().ravel()
    known = known[known > 0]
    # A label is as wide as a third of a panel; it may stand to the left of the fastest model.
    least, most = float(known.min()), float(known.max())
    logarithmic(ax, "x", seconds, (least / (most / least) ** 0.15 / 1.2, most))
    if len(best):
        end = ax.get_xlim()[1]
        ax.step(
            [*best[time], end], [*best["score"], best["score"].iloc[-1]],
            where="post", color=FAINT, lw=1.0, zorder=1.5,
        )  # fmt: skip
    edge = _edge(ax, metric)
    table = table.assign(score=table["score"].mask(far, edge))
    table.loc[far, ["score low", "score high"]] = math.nan
    # Models that the legend does not name share one look, and are drawn in one call.
    numbers = np.array([looks.get(key, -1) for key in _keys(table)])
    for i in np.unique(numbers).tolist():
        rows = table[numbers == i]
        look = DOT if i < 0 else {"color": colour(i), "marker": marker(i), "ls": ""}
        up, across = rows[time].to_numpy(), rows["score"].to_numpy()
        ax.plot(up, across, clip_on=False, **look)
        gap = np.full(len(rows), math.nan)
        x = [up, up, gap, rows["low (s)"], rows["high (s)"], gap]
        y = [rows["score low"], rows["score high"], gap, across, across, gap]
        ax.plot(
            np.column_stack(x).ravel(), np.column_stack(y).ravel(),
            color=look["color"], lw=0.8, alpha=0.15 if i < 0 else 0.35, zorder=1.8,
        )  # fmt: skip


def _far_off(table: pd.DataFrame, metric: Shown) -> NDArray[np.bool_]:
    """The few models whose scores are so far from the others that they would squeeze them.

    At most a quarter of the models, without which the rest spans less than half of the range. They
    stand at the edge of the panel, with their scores.
    """
    losses = (-table["score"] if metric.more_is_better else table["score"]).to_numpy()
    order = np.argsort(losses)
    sorted_losses = losses[order]
    far, span = np.zeros(len(losses), dtype=bool), sorted_losses[-1] - sorted_losses[0]
    for n_far in range(1, len(losses) // 4 + 1):
        rest = sorted_losses[-n_far - 1] - sorted_losses[0]
        if 2 * rest < span:
            far[order[-n_far:]], span = True, rest
    far[table["on the front"].to_numpy(dtype=bool)] = False
    return far


def _accuracies(table: pd.DataFrame) -> tuple[float, float]:
    """The range of accuracies that a panel shows: all intervals, or only the front's intervals.

    The latter if one poor model's interval would flatten everything else.
    """
    ends = ["score", "score low", "score high"]
    # pandas skips NaN, which is the bound of an interval that is withheld.
    best = table.loc[table["on the front"], ends]
    low = float(np.nanmin([table["score"].min(), best.min().min()]))
    high = float(np.nanmax([table["score"].max(), best.max().max()]))
    all_low, all_high = float(table[ends].min().min()), float(table[ends].max().max())
    return (all_low, all_high) if all_high - all_low <= FLAT * (high - low) else (low, high)


def _edge(ax: Axes, metric: Shown) -> float:
    """The end of the accuracy axis where scores far from the others stand."""
    return float(ax.get_ylim()[0 if metric.more_is_better else 1])


def _write_labels(
    ax: Axes,
    table: pd.DataFrame,
    time: str,
    names: Mapping[tuple[str, str], str],
    metric: Shown,
) -> None:
    """Write the names of the models on the front, and the scores that are far from the others.

    Lines lead to labels that are not beside their points.
    """
    box = ax.get_window_extent()
    figure = ax.get_figure(root=True)
    assert figure
    point = figure.dpi / 72
    width, height = box.width / point, box.height / point
    far = _far_off(table, metric)
    scores = table["score"].mask(far, _edge(ax, metric)).to_numpy()
    least, most = np.log(ax.get_xlim())
    low, high = ax.get_ylim()
    x = (np.log(table[time].to_numpy()) - least) / (most - least) * width
    y = (scores - low) / (high - low) * height
    on_front = np.flatnonzero(table["on the front"])
    keys = _keys(table)
    # Faster models come first, also in the table.
    texts = [(int(i), _lines(names[keys[i]]), 7.0) for i in on_front[thin(len(on_front), NAMED)]]
    arrow = "↓" if metric.more_is_better else "↑"
    texts += [
        (int(i), f"{fixed(table['score'].iloc[i], 3)} {arrow}", 6.0) for i in np.flatnonzero(far)
    ]
    labels = []
    for i, words, size in texts:
        note = ax.text(0, 0, words, fontsize=size)
        extent = note.get_window_extent()
        note.remove()
        labels.append(Label(x[i], y[i], extent.width / point, extent.height / point))
    corners = np.column_stack([np.repeat(x[on_front], 2)[1:], np.repeat(y[on_front], 2)[:-1]])
    if len(on_front):
        corners = np.concatenate([corners, [[width, y[on_front[-1]]]]])
    markers = np.column_stack([x, y])
    centres = places(labels, markers, corners, width, height)
    for (i, words, size), own, centre in zip(texts, labels, centres, strict=True):
        if centre is None:
            continue
        away = STEP * len(leader_of(own, *centre)) > AWAY
        ax.annotate(
            words, (x[i] / width, y[i] / height), xycoords="axes fraction",
            xytext=(centre[0] / width, centre[1] / height), textcoords="axes fraction",
            ha="center", va="center", fontsize=size, color=FAINT if far[i] else INK,
            linespacing=0.95, zorder=3,
            bbox={"facecolor": PAPER, "edgecolor": "none", "alpha": 0.7, "pad": 0.4},
            arrowprops={"arrowstyle": "-", "color": FAINT, "lw": 0.5, "shrinkA": 0, "shrinkB": 3}
            if away or ambiguous(own, centre, markers)
            else None,
        )  # fmt: skip


def _lines(name: str) -> str:
    """A name on a line, or on two if it is long and has parameters."""
    return name.replace("[", "\n[", 1) if len(name) > LINE else name


def _keys(table: pd.DataFrame) -> list[tuple[str, str]]:
    return list(zip(table["model"], table["device"], strict=True))


def _names(keys: Collection[tuple[str, str]], most: int) -> dict[tuple[str, str], str]:
    """The names of models, with their devices if there are several."""
    names = shortened((model for model, _ in keys), most)
    several = len({device for _, device in keys}) > 1
    return {(m, device): names[m] + (f" @ {device}" if several else "") for m, device in keys}
