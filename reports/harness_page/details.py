"""Each dataset on a tab of its own: its ranking, and pictures of its models."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from harness.analysis.reliability import bins, exact
from harness.sheets.figures import share
from harness.sheets.grids import Grid, GridCell, of_frame, of_sheet
from harness.sheets.ranked import ranked
from harness.sheets.thinning import thin
from harness.words import plural
from harness_page.charts import (
    COLOURS,
    Chart,
    Dot,
    Line,
    across,
    path,
    upwards,
)
from harness_page.names import file_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from harness import Frames, Sketch
    from harness.analysis.shown import Shown
    from harness.sheets.ranked import Record
    from harness_page.views import Field, Model

PICTURED = 12
"""The most datasets whose pictures are there without a script: the first ones."""

CLASSES = 16
"""The most classes of a confusion matrix."""

LONG = 50
"""From this many epochs, their axis is logarithmic."""

UNITS = 32
"""The most units that are drawn of a hidden layer."""

ROWS = 10
"""Rows shown of the data under a chart."""


class ConfusionRow(NamedTuple):
    """A true class: the counts of predicted classes with their levels of colour, and the recall."""

    name: str
    counts: tuple[tuple[str, int], ...]
    recall: str


@dataclass(frozen=True, slots=True)
class Confusion:
    """Test rows by true and predicted class.

    Args:
        title: whose predictions they are.
        classes: the classes.
        rows: a row for each true class.
    """

    title: str
    classes: tuple[str, ...]
    rows: tuple[ConfusionRow, ...]


@dataclass(frozen=True, slots=True)
class Tab:
    """A dataset.

    Args:
        key: its number.
        name: the dataset.
        detail: how it is split.
        grid: its ranking.
        charts: pictures.
        confusion: of its best model, if there are few classes.
        layers: pictures of hidden layers, by model.
        packed: the pictures as HTML, gzipped, in base64; empty if they are not packed.
        undrawn: whether there are pictures for which the page has no room.
    """

    key: str
    name: str
    detail: str
    grid: Grid
    charts: tuple[Chart, ...] = ()
    confusion: Confusion | None = None
    layers: tuple[tuple[str, tuple[Chart, ...]], ...] = ()
    packed: str = ""
    undrawn: bool = False


@dataclass(frozen=True, eq=False)
class Details:
    """Makes the tabs of a run; what several tabs need is loaded once.

    Args:
        frames: the run.
        field: its models and datasets.
        metrics: the chosen metrics; empty for the usual ones.
    """

    frames: Frames
    field: Field
    metrics: tuple[Shown, ...]

    def tabs(self) -> Iterator[Tab]:
        """A tab for each dataset."""
        for number, dataset in enumerate(self.field.datasets):
            rows = [own[dataset] for own in self.field.rows.values() if dataset in own]
            rows.sort(key=_place)
            sheet = ranked(dataset, rows, self.metrics)
            grid = of_sheet(sheet, file_name(dataset))
            keys = tuple(self.field.models[row[grid.named].text].key for row in grid.rows)
            short = tuple(
                tuple(
                    GridCell(self.field.models[cell.text].short, look=cell.look)
                    if i == grid.named
                    else cell
                    for i, cell in enumerate(row)
                )
                for row in grid.rows
            )
            grid = Grid(grid.name, dataset, grid.detail, grid.heads, grid.named, short, keys=keys)
            tab = Tab(str(number), dataset, sheet.detail, grid)
            yield self._pictured(tab, rows)

    def _pictured(self, tab: Tab, rows: Sequence[Record]) -> Tab:
        finished = [row for row in rows if row["ok"]]
        if not finished:
            return tab
        best = next((row for row in finished if not row["baseline"]), finished[0])
        ids = self._ids[tab.name, best["model"], best["device"]]
        predictions = self.frames.predictions(ids)
        model = self.field.models[best["name"]]
        charts = [
            self._traces(tab.name),
            self._classes(tab.name, best),
            _reliability(model, predictions) if len(predictions) else None,
        ]
        return Tab(
            tab.key,
            tab.name,
            tab.detail,
            tab.grid,
            tuple(chart for chart in charts if chart),
            self._confusion(tab.name, model, predictions),
            tuple(self._layers(tab.name)),
        )

    @cached_property
    def _ok(self) -> pd.DataFrame:
        results = self.frames.results
        return results[results["status"] == "ok"].sort_values("repeat", kind="stable")

    @cached_property
    def _ids(self) -> dict[tuple[str, str, str], list[int]]:
        """The results of each dataset, model and device, in order of repeats."""
        ids: dict[tuple[str, str, str], list[int]] = {}
        fields = (self._ok[name].tolist() for name in ("dataset", "model", "device", "result_id"))
        for dataset, model, device, result_id in zip(*fields, strict=True):
            ids.setdefault((dataset, model, device), []).append(int(result_id))
        return ids

    @cached_property
    def _sketches(self) -> Mapping[int, Sketch]:
        """The sketches of the first results."""
        return self.frames.sketches([ids[0] for ids in self._ids.values()])

    @cached_property
    def _curves(self) -> dict[int, NDArray[np.float64]]:
        """The likelihoods by epoch of each result: (n_epochs, 3), epoch, training and test part."""
        traces = self.frames.traces()
        columns = ["epoch", "train_likelihood", "test_likelihood"]
        return {
            int(str(result_id)): own[columns].to_numpy(dtype=np.float64)
            for result_id, own in traces.groupby("result_id", sort=False)
        }

    def _traces(self, dataset: str) -> Chart | None:
        """The median likelihood of the test part by epoch, a line for each model."""
        medians: dict[str, NDArray[np.float64]] = {}
        for name, rows in self.field.rows.items():
            row = rows.get(dataset)
            ids = self._ids.get((dataset, row["model"], row["device"]), []) if row else []
            curves = [self._curves[i] for i in ids if i in self._curves]
            if curves:
                median = _median(curves)
                medians[name] = median[thin(len(median))]
        if not medians:
            return None
        last = max(float(curve[-1, 0]) for curve in medians.values())
        first = min(float(curve[0, 0]) for curve in medians.values())
        long = last >= LONG and first > 0
        x = across(first, max(last, first + 1), logarithmic=long)
        y = upwards(0, 1)
        lines, legend = [], []
        for i, (name, curve) in enumerate(medians.items()):
            model, colour = self.field.models[name], f"s{i % COLOURS}"
            train, test = (path(curve[:, 0], curve[:, k], x, y) for k in (1, 2))
            lines += [
                Line(train, f"{colour} thin", model.key, f"{name}, training part"),
                Line(test, colour, model.key, name),
            ]
            legend.append((model.short, colour, model.key))
        data = pd.concat(
            pd.DataFrame(
                {
                    "model": name,
                    "epoch": curve[:, 0].astype(int),
                    "training part": curve[:, 1].round(4),
                    "test part": curve[:, 2].round(4),
                }
            )
            for name, curve in medians.items()
        )
        title = "Likelihood by epoch"
        return Chart(
            title,
            "Lines: medians over the repeats; thick: test rows, thin: training rows.",
            "epoch",
            "likelihood",
            x.ticks(lambda value: f"{value:,g}"),
            y.ticks(),
            tuple(lines),
            legend=tuple(legend),
            data=of_frame(f"likelihood-{file_name(dataset)}", f"Data: {title}", data, ROWS),
        )

    def _classes(self, dataset: str, best: Record) -> Chart | None:
        """The best model's class probabilities over the only input."""
        sketch = self._sketches.get(self._ids[dataset, best["model"], best["device"]][0])
        if sketch is None or sketch.probabilities is None or len(sketch.axes) != 1:
            return None
        inputs, P = sketch.axes[0].astype(float), sketch.probabilities
        x, y = across(float(inputs[0]), float(inputs[-1])), upwards(0, 1)
        names = _class_names(sketch, P.shape[1])
        lines = [
            Line(path(inputs, P[:, k], x, y), f"s{k % COLOURS}", told=names[k])
            for k in range(P.shape[1])
        ]
        title = f"Class probabilities of {best['name']}"
        data = pd.DataFrame({sketch.input_names[0]: inputs} | {
            f"probability of {name}": P[:, k] for k, name in enumerate(names)
        })  # fmt: skip
        return Chart(
            title,
            "The probability of each class over the only input, in the first repeat.",
            str(sketch.input_names[0]),
            "probability",
            x.ticks(),
            y.ticks(),
            tuple(lines),
            legend=tuple((name, f"s{k % COLOURS}", "") for k, name in enumerate(names)),
            data=of_frame(f"classes-{file_name(dataset)}", f"Data: {title}", data, ROWS),
        )

    def _layers(self, dataset: str) -> Iterator[tuple[str, tuple[Chart, ...]]]:
        """The outputs of hidden units over the only input, for each model that has layers."""
        for name, rows in self.field.rows.items():
            row = rows.get(dataset)
            ids = self._ids.get((dataset, row["model"], row["device"])) if row else None
            sketch = self._sketches.get(ids[0]) if ids else None
            if sketch is not None and sketch.hidden:
                charts = (
                    _layer(sketch, number, layer, f"{file_name(dataset)}-{file_name(name)}")
                    for number, layer in enumerate(sketch.hidden, 1)
                )
                yield name, tuple(charts)

    def _confusion(self, dataset: str, model: Model, predictions: pd.DataFrame) -> Confusion | None:
        if predictions.empty:
            return None
        true, predicted = (predictions[name].to_numpy(dtype=int) for name in ("true", "predicted"))
        n = int(max(true.max(), predicted.max())) + 1
        own = (ids for (name, *_), ids in self._ids.items() if name == dataset)
        sketch = next((self._sketches[ids[0]] for ids in own if ids[0] in self._sketches), None)
        names = _class_names(sketch, n)
        n = len(names)
        if n > CLASSES:
            return None
        counts = np.bincount(true * n + predicted, minlength=n * n).reshape(n, n)
        totals = counts.sum(axis=1)
        low, high = exact(np.diag(counts).astype(float), totals)
        rows = tuple(
            ConfusionRow(
                names[i],
                tuple(
                    (f"{count:,}" if count else "", round(8 * count / max(totals[i], 1)))
                    for count in counts[i].tolist()
                ),
                f"{share(counts[i, i] / totals[i])} ({share(low[i])} to {share(high[i])})"
                if totals[i]
                else "",
            )
            for i in range(n)
        )
        return Confusion(f"Confusion matrix of {model.short}", tuple(names), rows)


def _place(row: Record) -> tuple[bool, bool, float]:
    """The order of the rows of a dataset: as ranked, then those without a rank."""
    unranked = math.isnan(row["rank"])
    return unranked, not row["ok"], 0.0 if unranked else row["rank"]


def _median(curves: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    """The medians of curves (n_epochs, 3) by epoch; one that ends keeps its last value."""
    epochs = np.unique(np.concatenate([curve[:, 0] for curve in curves]))
    held = [
        curve[np.searchsorted(curve[:, 0], epochs, side="right").clip(1) - 1, 1:]
        for curve in curves
    ]
    values = np.stack(held)  # (n_repeats, n_epochs, 2)
    flat = pd.DataFrame(np.where(np.isfinite(values), values, np.nan).reshape(len(curves), -1))
    medians = flat.median().to_numpy().reshape(-1, 2)
    return np.column_stack([epochs, medians])


def _class_names(sketch: Sketch | None, n: int) -> list[str]:
    """At least n names of classes."""
    names = [str(name) for name in sketch.class_names] if sketch else []
    return [*names, *(f"class {k}" for k in range(len(names), n))]


def _layer(sketch: Sketch, number: int, layer: NDArray[Any], file: str) -> Chart:
    inputs = sketch.axes[0].astype(float)
    shown = thin(layer.shape[1], UNITS)
    outputs = layer[:, shown].astype(float)
    low, high = float(np.nanmin(outputs)), float(np.nanmax(outputs))
    x = across(float(inputs[0]), float(inputs[-1]))
    y = upwards(low, high if high > low else low + 1)
    title = f"Hidden layer {number}: {plural(layer.shape[1], 'unit')}"
    note = f" {len(shown)} of them are drawn." if len(shown) < layer.shape[1] else ""
    data = pd.DataFrame({str(sketch.input_names[0]): inputs} | {
        f"unit {unit + 1}": outputs[:, i] for i, unit in enumerate(shown)
    })  # fmt: skip
    return Chart(
        title,
        f"The output of each unit over the input, in the first repeat.{note}",
        str(sketch.input_names[0]),
        "output",
        x.ticks(),
        y.ticks(),
        tuple(
            Line(path(inputs, outputs[:, i], x, y), f"s{i % COLOURS} thin", told=f"unit {unit + 1}")
            for i, unit in enumerate(shown)
        ),
        data=of_frame(f"layer-{number}-{file}", f"Data: {title}", data, ROWS),
    )


def _reliability(model: Model, predictions: pd.DataFrame) -> Chart:
    """The share of right predictions by the probability of the predicted class."""
    confidence = predictions["confidence"].to_numpy(dtype=float)
    right = (predictions["true"] == predictions["predicted"]).to_numpy()
    table = bins(confidence, right)
    x, y = across(0, 1), upwards(0, 1)
    filled = table[table["rows"] > 0].to_dict("records")
    lines = [Line(path([0, 1], [0, 1], x, y), "ideal", told="calibrated")]
    lines += [
        Line(path([row["mean confidence"]] * 2, [row["low"], row["high"]], x, y), "s0 thin")
        for row in filled
    ]
    dots = [
        Dot(
            f"{x.at(row['mean confidence']):.1f}",
            f"{y.at(row['share right']):.1f}",
            f"confidence {share(row['mean confidence'])}: {share(row['share right'])} right, "
            f"{plural(int(row['rows']), 'row')}",
            "s0",
        )
        for row in filled
    ]
    gaps = (table["rows"] * (table["share right"] - table["mean confidence"]).abs()).sum()
    mean, hits = float(confidence.mean()), float(right.mean())
    judged = "calibrated on average"
    if abs(mean - hits) > 0.005:
        judged = "overconfident" if mean > hits else "underconfident"
    title = f"Calibration of {model.short}"
    return Chart(
        title,
        f"The model is {judged}: mean confidence {share(mean)}, accuracy {share(hits)}. "
        f"Expected calibration error: {gaps / len(right):.3f}. Intervals: 95%, over the rows of "
        "all repeats, as if they were independent.",
        "confidence: probability of the predicted class",
        "share of rows predicted correctly",
        x.ticks(),
        y.ticks(),
        tuple(lines),
        tuple(dots),
        data=of_frame(f"calibration-{model.key}", f"Data: {title}", table, ROWS * 2),
    )
