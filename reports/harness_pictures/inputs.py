"""Pictures of a classifier's decision regions and of the outputs of its hidden layers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from harness.sheets.choosing import the_one
from harness.sheets.drawing import (
    ENTRIES,
    Drawing,
    beside,
    more,
    sheet,
    text,
)
from harness.sheets.palette import FAINT, INK, PAPER, colour, dash, marker
from harness.sheets.style import settings
from harness.sheets.thinning import thin
from harness.words import plural

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from harness import Frames, Sketch, Wanted
    from harness.sheets.choosing import Pairing
    from harness.sheets.palette import Look

CLASSES = 24
"""The most classes that a legend names."""

UNITS = 64
"""The most units that are drawn of a hidden layer."""

TIE = 1e-6
"""A class wins over an earlier one if it is more probable by at least this."""

OWN = ("what", "predicted", "class", "misclassified", "row")
"""Columns that every table has; inputs of the same names are renamed."""

FILL = 0.28
"""The opacity of a region's colour."""


def regions(frames: Frames, wanted: Wanted) -> Drawing:
    """Decision regions of the first repeat's classifier, with its test rows.

    Raises:
        UsageError: no wanted pairing has a sketch, or several have.
    """

    def has(pairings: Sequence[Pairing]) -> Collection[Pairing]:
        sketches = _sketches(frames, pairings)
        return [p for p in pairings if p in sketches]

    pairing = the_one(frames, wanted, "stored predictions for a picture of the inputs", has)
    sketch, rows = _of(frames, pairing)
    draw = {0: _components, 1: _line, 2: _plane}[len(sketch.axes)]
    with settings():
        return draw(pairing, sketch, rows)


def hidden(frames: Frames, wanted: Wanted) -> Drawing:
    """The output of each hidden layer of the first repeat's classifier over its only input.

    Raises:
        UsageError: no wanted pairing has a sketch of hidden layers, or several have.
    """

    def has(pairings: Sequence[Pairing]) -> Collection[Pairing]:
        return [p for p, sketch in _sketches(frames, pairings).items() if sketch.hidden]

    pairing = the_one(frames, wanted, "hidden layers over one input", has)
    sketch, _ = _of(frames, pairing)
    x, layers = sketch.axes[0], sketch.hidden
    title = f"Hidden layers: {text(pairing.model)} on {text(pairing.dataset)}"
    with settings():
        figure, axes = sheet(
            len(layers), 1, width=6.4, height=1.2 + 1.7 * len(layers), title=title, sharex=True
        )
        for number, (ax, layer) in enumerate(zip(axes[:, 0], layers, strict=True), 1):
            n = layer.shape[1]
            shown = thin(n, UNITS)
            for i, unit in enumerate(shown):
                ax.plot(x, layer[:, unit], color=colour(i), ls=dash(i // 8), lw=1.0)
            note = f", {len(shown)} of them drawn" if len(shown) < n else ""
            ax.set_title(f"hidden layer {number}: {plural(n, 'unit')}{note}")
            ax.set_ylabel("output")
        axes[-1, 0].set_xlabel(text(sketch.input_names[0]))
        most = min(max(layer.shape[1] for layer in layers), UNITS)
        handles = [
            Line2D([], [], color=colour(i), ls=dash(i // 8), lw=1.0, label=f"unit {i + 1}")
            for i in range(min(most, ENTRIES))
        ]
        handles += more(most - len(handles), color=FAINT, lw=1.0)
        # A unit's look is its place among those drawn: its number only where all are drawn.
        if all(layer.shape[1] <= UNITS for layer in layers):
            beside(figure, handles)
    table = pd.DataFrame({text(sketch.input_names[0]): x})
    outputs = {
        f"layer {number}, unit {unit + 1}": layer[:, unit]
        for number, layer in enumerate(layers, 1)
        for unit in thin(layer.shape[1], UNITS)
    }
    table = pd.concat([table, pd.DataFrame(outputs)], axis=1)
    widths = ", ".join(str(layer.shape[1]) for layer in layers)
    description = (
        f"The output of each hidden unit over the input {text(sketch.input_names[0])}, one panel "
        f"per layer; from the input on, the layers have {widths} units."
    )
    return Drawing(figure, title, description, table)


def class_names(frames: Frames, dataset: str, n: int) -> list[str]:
    """A dataset's class names, from a sketch if there is one; at least n of them."""
    results = frames.results
    own = results[(results["dataset"] == dataset) & (results["status"] == "ok")]
    sketches = list(frames.sketches(own["result_id"].tolist()).values())
    names = [text(name, 20) for name in sketches[0].class_names] if sketches else []
    return [*names, *(f"class {k}" for k in range(len(names), n))]


def _sketches(frames: Frames, pairings: Sequence[Pairing]) -> dict[Pairing, Sketch]:
    """The first sketch of each pairing that has a sketch."""
    by_result = frames.sketches([i for p in pairings for i in p.result_ids])
    return {
        p: by_result[next(i for i in p.result_ids if i in by_result)]
        for p in pairings
        if any(i in by_result for i in p.result_ids)
    }


def _of(frames: Frames, pairing: Pairing) -> tuple[Sketch, pd.DataFrame]:
    """A pairing's sketch, and the true and predicted classes of its points."""
    sketches: Mapping[int, Sketch] = frames.sketches(pairing.result_ids)
    result_id = next(i for i in pairing.result_ids if i in sketches)
    sketch = sketches[result_id]
    predicted = frames.predictions([result_id]).set_index("row")
    return sketch, predicted.reindex(sketch.rows)[["true", "predicted"]].astype(np.int64)


def _line(pairing: Pairing, sketch: Sketch, rows: pd.DataFrame) -> Drawing:
    title = f"Predicted class by input: {text(pairing.model)} on {text(pairing.dataset)}"
    P = _probabilities(sketch)
    x, names, K = sketch.axes[0], _names(sketch, rows), P.shape[1]
    likeliest = P.argmax(axis=1)
    figure, axes = sheet(
        2, 1, width=8.2, height=3.2 + 0.17 * min(K, 20), title=title, sharex=True,
        height_ratios=[min(max(K, 3), 20) * 0.17 + 0.35, 2.2],
    )  # fmt: skip
    above, below = axes[:, 0]
    above.step(x, likeliest, where="mid", color=INK, lw=1.2, zorder=1.5)
    points = sketch.points[:, 0]
    true = rows["true"].to_numpy()
    wrong = true != rows["predicted"].to_numpy()
    for k in range(K):
        right, missed = (true == k) & ~wrong, (true == k) & wrong
        above.plot(points[right], true[right], "o", color=colour(k), ms=3.5, alpha=0.7, mew=0)
        above.plot(points[missed], true[missed], "x", color=colour(k), ms=5, mew=1.4)
        below.plot(x, P[:, k], color=colour(k), ls=dash(k))
    _class_axis(above, names)
    above.set_ylabel("class")
    below.set_ylabel("class probability")
    below.set_ylim(-0.03, 1.03)
    below.set_xlabel(text(sketch.input_names[0]))
    handles = [
        Line2D([], [], color=INK, lw=1.2, label="predicted"),
        Line2D([], [], color=FAINT, marker="o", ms=3.5, ls="", mew=0, label="test row"),
        Line2D(
            [], [], color=FAINT, marker="x", ms=5, mew=1.4, ls="", label="test row, misclassified"
        ),
        *_legend(names, lambda k: {"ls": dash(k), "color": colour(k)}),
    ]
    beside(figure, handles)
    figure.align_ylabels([above, below])
    (over,) = _input_names(sketch)
    curve = pd.DataFrame(
        {"what": "curve", over: x, "predicted": [names[k] for k in likeliest]}
        | {f"probability of {names[k]}": P[:, k] for k in range(K)}
    )
    table = _beneath(curve, _located(sketch, rows, names))
    turns = [f"{names[b]} from {x[i + 1]:.3g}" for i, b in _changes(likeliest)][:8]
    description = (
        f"The predicted class over {text(sketch.input_names[0])} is {names[likeliest[0]]}"
        f"{''.join(', ' + turn for turn in turns)}. {_missed(wrong)}"
    )
    return Drawing(figure, title, description, table)


def _changes(likeliest: NDArray[np.int64]) -> list[tuple[int, int]]:
    """The indices after which the predicted class changes, each with the new class."""
    return [(int(i), int(likeliest[i + 1])) for i in np.flatnonzero(np.diff(likeliest))]


def _plane(pairing: Pairing, sketch: Sketch, rows: pd.DataFrame) -> Drawing:
    title = f"Decision regions: {text(pairing.model)} on {text(pairing.dataset)}"
    P, names = _probabilities(sketch), _names(sketch, rows)
    K = P.shape[1]
    x, y = sketch.axes
    figure, axes = sheet(1, 1, width=6.8, height=4.4, title=title)
    ax = axes[0, 0]
    ax.grid(visible=False)
    _divide(ax, x, y, P.reshape(len(y), len(x), K))
    wrong = _points(ax, sketch.points, rows, len(names))
    ax.set(xlim=(x[0], x[-1]), ylim=(y[0], y[-1]))
    ax.set_xlabel(text(sketch.input_names[0]))
    ax.set_ylabel(text(sketch.input_names[1]))
    handles: list[Any] = _legend(names, _dot)
    handles.append(_ring())
    if K <= CLASSES:
        handles.append(Patch(facecolor=FAINT, alpha=FILL, label="predicted, by colour"))
    beside(figure, handles)
    along, up = np.meshgrid(x, y)
    inputs = _input_names(sketch)
    grid = pd.DataFrame(
        {"what": "grid", inputs[0]: along.ravel(), inputs[1]: up.ravel()}
        | {"predicted": [names[k] for k in P.argmax(axis=1)]}
    )
    table = _beneath(grid, _located(sketch, rows, names))
    description = (
        f"The plane of {text(sketch.input_names[0])} and {text(sketch.input_names[1])}, divided "
        f"into the predicted classes, with {plural(len(rows), 'test row')}. {_missed(wrong)}"
    )
    return Drawing(figure, title, description, table)


def _divide(
    ax: Axes, x: NDArray[np.float32], y: NDArray[np.float32], grid: NDArray[np.float32]
) -> None:
    """Fill the plane by the most probable class, without gaps where three regions meet.

    Each class paints over the earlier ones wherever it or a later class is the most probable. If
    probabilities are equal, the earlier class keeps the place, as in predictions.
    """
    first, *others = np.unique(grid.argmax(axis=2)).tolist()
    ax.axvspan(x[0], x[-1], color=colour(first), alpha=FILL, lw=0)
    for k in others:
        ahead = grid[:, :, k:].max(axis=2) - grid[:, :, :k].max(axis=2)
        for fill, alpha in ((PAPER, 1.0), (colour(k), FILL)):
            ax.contourf(x, y, ahead, levels=[TIE, 2], colors=[fill], alpha=alpha)
        ax.contour(x, y, ahead, levels=[TIE], colors=[INK], linewidths=0.8)


def _components(pairing: Pairing, sketch: Sketch, rows: pd.DataFrame) -> Drawing:
    title = (
        f"Test rows on the first two principal components: {text(pairing.model)} "
        f"on {text(pairing.dataset)}"
    )
    names = _names(sketch, rows)
    figure, axes = sheet(1, 1, width=7.2, height=4.6, title=title)
    ax = axes[0, 0]
    wrong = _points(ax, sketch.points, rows, len(names))
    ax.set_xlabel(text(sketch.input_names[0], 60))
    ax.set_ylabel(text(sketch.input_names[1], 60))
    beside(figure, [*_legend(names, _dot), _ring()])
    description = (
        f"{plural(len(rows), 'test row')} on the first two principal components of the training "
        f"part, by true class. {_missed(wrong)}"
    )
    return Drawing(figure, title, description, _located(sketch, rows, names))


def _points(ax: Axes, points: NDArray[np.float32], rows: pd.DataFrame, K: int) -> NDArray[np.bool_]:
    """Draw dots by true class, and rings around misclassified rows; gives which rows those are."""
    true = rows["true"].to_numpy()
    wrong: NDArray[np.bool_] = true != rows["predicted"].to_numpy()
    for k in range(K):
        own = points[true == k]
        ax.plot(
            own[:, 0], own[:, 1], marker(k), color=colour(k), ms=4.5, mec=PAPER, mew=0.5, alpha=0.9
        )
    missed = points[wrong]
    ax.plot(missed[:, 0], missed[:, 1], "o", mfc="none", mec=INK, ms=9, mew=1.0)
    return wrong


def _dot(k: int) -> Look:
    return {"marker": marker(k), "color": colour(k), "ls": "", "mec": PAPER, "mew": 0.5}


def _ring() -> Line2D:
    return Line2D([], [], marker="o", mfc="none", mec=INK, ms=9, ls="", label="misclassified")


def _legend(names: Sequence[str], look: Callable[[int], Look]) -> list[Line2D]:
    """A legend entry for each class, and one for the classes beyond `CLASSES`."""
    lines = [Line2D([], [], label=name, **look(k)) for k, name in enumerate(names[:CLASSES])]
    return [*lines, *more(len(names) - CLASSES, ls="")]


def _class_axis(ax: Axes, names: Sequence[str]) -> None:
    """Put the classes on the y axis, from below; all are named if there is room."""
    step = max(1, -(-len(names) // 20))
    ax.set_yticks(range(0, len(names), step), names[::step])
    ax.set_ylim(-0.6, len(names) - 0.4)


def _names(sketch: Sketch, rows: pd.DataFrame) -> list[str]:
    """The names of all classes, also of rows' classes that the sketch does not name."""
    names = [text(name, 20) for name in sketch.class_names]
    return [*names, *(f"class {k}" for k in range(len(names), rows.to_numpy().max(initial=-1) + 1))]


def _probabilities(sketch: Sketch) -> NDArray[np.float32]:
    if sketch.probabilities is None:
        raise AssertionError("a sketch with axes has probabilities over them")
    return sketch.probabilities


def _input_names(sketch: Sketch) -> list[str]:
    """The inputs' names as heads of columns, different from the heads of all other columns."""
    names = [text(name, 60) for name in sketch.input_names[:2]]
    return [f"input {name}" if name in OWN or name in names[:i] else name
            for i, name in enumerate(names)]  # fmt: skip


def _located(sketch: Sketch, rows: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    """A table of the test rows that are drawn."""
    inputs = {name: sketch.points[:, i] for i, name in enumerate(_input_names(sketch))}
    true, predicted = (rows[name].to_numpy() for name in ("true", "predicted"))
    return pd.DataFrame(
        {"what": "test row"}
        | inputs
        | {"predicted": [names[k] for k in predicted], "class": [names[k] for k in true]}
        | {"misclassified": true != predicted, "row": sketch.rows}
    )


def _beneath(drawn: pd.DataFrame, located: pd.DataFrame) -> pd.DataFrame:
    """The data drawn over the inputs, then the test rows; cells that either lacks are empty."""
    table = pd.concat([drawn, located.astype({"misclassified": object, "row": object})])
    text_columns = ["class", "misclassified", "row"]
    table[text_columns] = table[text_columns].astype(object).where(table[text_columns].notna(), "")
    return table.reset_index(drop=True)


def _missed(wrong: NDArray[np.bool_]) -> str:
    n = int(wrong.sum())
    verb = "is" if n == 1 else "are"
    return f"{n:,} of {plural(len(wrong), 'test row')} shown {verb} misclassified."
