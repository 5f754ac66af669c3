"""Pictures of calibration, of the confusion matrix, and of the recall of each class."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.collections import PatchCollection
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter, MaxNLocator

from harness.analysis.reliability import bins, exact
from harness.sheets.choosing import the_one
from harness.sheets.drawing import Drawing, beside, count, sheet, text
from harness.sheets.palette import FAINT, TINT, colour
from harness.sheets.style import settings
from harness.statistics.calibration import ECE_BINS
from harness.words import plural
from harness_pictures.inputs import class_names

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from harness import Frames, Wanted
    from harness.sheets.choosing import Pairing

COUNTED = 15
"""Up to this many classes, each cell of a confusion matrix shows its count."""

NAMED = 40
"""Up to this many classes, each has its name on an axis."""

LINE = 0.12
"""The height of a line of small print in inches."""

INTERVAL = "95% interval, as if rows were independent"


def reliability(frames: Frames, wanted: Wanted) -> Drawing:
    """Reliability diagram: the accuracy by the probability of the predicted class, with counts.

    The bins are those of the ECE, of equal width. All repeats are pooled.

    Raises:
        UsageError: no wanted pairing has predictions, or several have.
    """
    pairing, predictions = _predicted(frames, wanted)
    table = bins(
        predictions["confidence"].to_numpy(),
        (predictions["true"] == predictions["predicted"]).to_numpy(),
    )
    n = int(table["rows"].sum())
    gaps = (table["rows"] * (table["share right"] - table["mean confidence"]).abs()).sum()
    ece = float(gaps / n)
    title = f"Reliability: {text(pairing.model)} on {text(pairing.dataset)}"
    with settings():
        figure, axes = sheet(
            2, 1, width=6.4, height=5.0, title=title, sharex=True, height_ratios=[3, 1]
        )
        above, below = axes[:, 0]
        filled = table[table["rows"] > 0]
        above.plot([0, 1], [0, 1], color=FAINT, lw=1.0, ls=(0, (4, 3)))
        x, y = filled["mean confidence"], filled["share right"]
        above.vlines(x, filled["low"], filled["high"], color=colour(0), lw=1.0)
        above.plot(x, y, "o-", color=colour(0), clip_on=False)
        least = float(filled["from"].min())  # the confidence is at least one part in K
        above.set(ylim=(-0.02, 1.02), xlim=(least, 1))
        above.set_ylabel("share of rows predicted correctly")
        above.set_title(f"{_pooled(pairing, predictions)}; ECE {ece:.3f}")
        width = 1 / ECE_BINS
        below.bar(filled["from"], filled["rows"], width=width, align="edge", color=colour(0),
                  alpha=TINT, ec=colour(0), lw=0.6)  # fmt: skip
        for _, row in filled.iterrows():
            below.annotate(
                f"{int(row['rows']):,}", (row["from"] + width / 2, row["rows"]), (0, 1.5),
                textcoords="offset points", ha="center", va="bottom", fontsize=6.5,
            )  # fmt: skip
        below.set_ylim(0, 1.25 * float(filled["rows"].max()))
        below.yaxis.set_major_locator(MaxNLocator(3, integer=True))
        below.yaxis.set_major_formatter(FuncFormatter(lambda value, _: count(value)))
        below.set_ylabel("test rows")
        below.set_xlabel("confidence: probability of the predicted class")
        handles = [
            Line2D([], [], color=colour(0), marker="o", label="bin, 95% interval"),
            Line2D([], [], color=FAINT, lw=1.0, ls=(0, (4, 3)), label="calibrated"),
        ]
        beside(figure, handles)
        figure.align_ylabels([above, below])
    mean, right = (
        predictions["confidence"].mean(),
        (predictions["true"] == predictions["predicted"]).mean(),
    )
    verdict = "overconfident" if mean > right else "underconfident"
    description = (
        f"The share of {plural(n, 'test row')} that is right, by the probability of the predicted "
        f"class. The mean probability is {mean:.3f}, and the accuracy {right:.3f}: the model is "
        f"{verdict if abs(mean - right) > 0.005 else 'calibrated on average'}."
    )
    return Drawing(figure, title, description, table)


def confusion(frames: Frames, wanted: Wanted) -> Drawing:
    """Confusion matrix: test rows by true and predicted class, all repeats pooled.

    Raises:
        UsageError: no wanted pairing has predictions, or several have.
    """
    pairing, predictions, counts, names = _by_class(frames, wanted)
    K = len(names)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    title = f"Confusion matrix: {text(pairing.model)} on {text(pairing.dataset)}"
    side = min(max(2.6, 0.5 * K), 6.5)
    with settings():
        figure, axes = sheet(1, 1, width=side + 1.9, height=side + 1.3, title=title)
        ax = axes[0, 0]
        ax.grid(visible=False)
        at = [(int(i), int(j)) for i, j in np.argwhere(counts > 0)]
        # One colour of varying opacity, which a page can replace by that for dark paper.
        cells = PatchCollection([Rectangle((j - 0.5, i - 0.5), 1, 1) for i, j in at], lw=0)
        cells.set_facecolor([(colour(0), TINT * (0.08 + 0.92 * shares[i, j])) for i, j in at])
        ax.add_collection(cells)
        if K <= COUNTED:
            for i, j in at:
                ax.text(
                    j, i, f"{counts[i, j]:,}", ha="center", va="center",
                    fontsize=8 if K <= 10 else 6.5,
                )  # fmt: skip
        ax.set(xlim=(-0.5, K - 0.5), ylim=(K - 0.5, -0.5), aspect="equal")
        ax.spines[["top", "right"]].set_visible(True)
        _name(ax, names, side / K)
        ax.set_xlabel("predicted class")
        ax.set_ylabel("true class")
        ax.set_title(_pooled(pairing, predictions))
    table = pd.DataFrame(
        {
            "true class": [names[i] for i, _ in at],
            "predicted class": [names[j] for _, j in at],
            "rows": [counts[i, j] for i, j in at],
            "share of the rows of the true class": [shares[i, j] for i, j in at],
        }
    )
    mistakes = sorted((ij for ij in at if ij[0] != ij[1]), key=lambda ij: -counts[ij])
    wrong = int(counts.sum() - np.trace(counts))
    most_frequent = (
        f" Most often {names[mistakes[0][0]]} is taken for {names[mistakes[0][1]]}: "
        f"{plural(int(counts[mistakes[0]]), 'time')}."
        if mistakes
        else ""
    )
    description = (
        f"{plural(int(counts.sum()), 'test row')} by true and predicted class; {wrong:,} lie off "
        f"the diagonal.{most_frequent}"
    )
    return Drawing(figure, title, description, table)


def _by_class(
    frames: Frames, wanted: Wanted
) -> tuple[Pairing, pd.DataFrame, NDArray[np.int64], Sequence[str]]:
    """The pairing, its predictions, its confusion matrix, and the class names."""
    pairing, predictions = _predicted(frames, wanted)
    counts = _counts(predictions)
    names = class_names(frames, pairing.dataset, len(counts))
    return pairing, predictions, np.pad(counts, (0, len(names) - len(counts))), names


def recall(frames: Frames, wanted: Wanted) -> Drawing:
    """Recall of each class, all repeats pooled.

    Raises:
        UsageError: no wanted pairing has predictions, or several have.
    """
    pairing, predictions, counts, names = _by_class(frames, wanted)
    K = len(names)
    rows, hits = counts.sum(axis=1), np.diag(counts).astype(np.float64)
    low, high = exact(hits, rows)
    shares = hits / np.where(rows > 0, rows, np.nan)
    title = f"Recall by class: {text(pairing.model)} on {text(pairing.dataset)}"
    with settings():
        figure, axes = sheet(1, 1, width=6.4, height=1.5 + min(0.26 * K, 9.0), title=title)
        ax = axes[0, 0]
        y = np.arange(K)
        size = 8 if K <= 30 else 6
        room = min(0.26, 9.0 / K)
        ax.hlines(y, low, high, color=colour(0), lw=min(1.2, 25 * room))
        ax.plot(shares, y, "o", color=colour(0), ms=min(5, 60 * room))
        step = int(-(-LINE // room))
        for k in range(K if step == 1 else 0):
            ax.annotate(
                f"n = {rows[k]:,}", (1, k), (8, 0), xycoords=("axes fraction", "data"),
                textcoords="offset points", va="center", fontsize=size - 1, color=FAINT,
            )  # fmt: skip
        ax.set_yticks(y[::step], names[::step], fontsize=size)
        # An axis from 0 would leave most of the panel empty where all shares are high.
        least = float(np.nanmin(low)) if np.nanmin(low) >= 0.3 else 0.0
        margin = 0.03 * (1 - least)
        ax.set(ylim=(K - 0.4, -0.6), xlim=(least - margin, 1 + margin))
        ax.set_xlabel(f"share of the class that is found, with {INTERVAL}", fontsize=8)
        ax.set_title(_pooled(pairing, predictions))
    table = pd.DataFrame({"class": names, "rows": rows, "recall": shares, "low": low, "high": high})
    known = table[table["rows"] > 0]
    worst = known.nsmallest(1, "recall").iloc[0]
    description = (
        f"Recall of each of {plural(K, 'class').replace('classs', 'classes')}, from "
        f"{worst['recall']:.3f} ({worst['class']}) to {known['recall'].max():.3f}."
    )
    return Drawing(figure, title, description, table)


def _predicted(frames: Frames, wanted: Wanted) -> tuple[Pairing, pd.DataFrame]:
    """The only wanted pairing, and all its predictions."""

    def has(pairings: Sequence[Pairing]) -> Collection[Pairing]:
        return pairings

    pairing = the_one(frames, wanted, "predictions", has)
    return pairing, frames.predictions(pairing.result_ids)


def _counts(predictions: pd.DataFrame) -> NDArray[np.int64]:
    """Numbers of rows by true and predicted class (K, K)."""
    true, predicted = (predictions[name].to_numpy(dtype=np.int64) for name in ("true", "predicted"))
    K = int(max(true.max(initial=0), predicted.max(initial=0))) + 1
    return np.bincount(true * K + predicted, minlength=K * K).reshape(K, K)


def _pooled(pairing: Pairing, predictions: pd.DataFrame) -> str:
    repeats = plural(len(pairing.result_ids), "repeat")
    return f"n = {plural(len(predictions), 'test row')} of {repeats}" + (
        " pooled" if "s" in repeats[-1] else ""
    )


def _name(ax: Axes, names: Sequence[str], cell: float) -> None:
    """Name the classes on both axes, all of them if there is room; ``cell`` is in inches."""
    step = 1 if len(names) <= NAMED else -(-len(names) // 25)
    at = range(0, len(names), step)
    size = 8.0 if len(names) <= 12 else 6.5
    fits = max(map(len, names)) * 0.0085 * size < 0.95 * cell * step
    ax.set_xticks(at, names[::step], fontsize=size, rotation=0 if fits else 90)
    ax.set_yticks(at, names[::step], fontsize=size)
