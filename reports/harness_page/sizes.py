"""Scores by the number of training rows, for datasets that were run with several sizes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pandas as pd

from harness.analysis.names import base, short_names
from harness.sheets.grids import of_frame
from harness.statistics.scores import cells
from harness_page.charts import COLOURS, Chart, Dot, Line, across, path, upwards
from harness_page.names import file_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness import Frames
    from harness.analysis.shown import Shown

ROWS = 20
"""Rows shown of the data under a chart."""


def by_size(frames: Frames, rank: Shown) -> Iterator[Chart]:
    """A chart for each dataset that was run with several sizes of its training part."""
    by_base: dict[str, dict[str, list[tuple[float, float]]]] = {}
    several = frames.results["device"].nunique() > 1
    for (dataset, model, device), cell in cells(
        frames.results, frames.run.planned, frames.scales
    ).items():
        name = f"{model} @ {device}" if several else model
        mean = rank.mean(cell)
        if len(cell.repeats) and not math.isnan(mean):
            by_base.setdefault(base(dataset), {}).setdefault(name, []).append((cell.n_train, mean))
    for dataset, curves in by_base.items():
        sizes = sorted({size for points in curves.values() for size, _ in points})
        if len(sizes) > 1:
            yield _chart(dataset, curves, sizes, rank)


def _chart(
    dataset: str,
    curves: dict[str, list[tuple[float, float]]],
    sizes: list[float],
    rank: Shown,
) -> Chart:
    values = [value for points in curves.values() for _, value in points]
    margin = 0.05 * (max(values) - min(values)) or 0.01
    x = across(sizes[0] / 1.1, sizes[-1] * 1.1, logarithmic=True)
    y = upwards(min(values) - margin, max(values) + margin)
    short = short_names(curves)
    lines, dots, legend = [], [], []
    for i, (name, points) in enumerate(curves.items()):
        look = f"s{i % COLOURS}"
        points.sort()
        lines.append(
            Line(
                path([size for size, _ in points], [value for _, value in points], x, y),
                look,
                told=name,
            )
        )
        legend.append((short[name], look, ""))
        dots += [
            Dot(
                f"{x.at(size):.1f}",
                f"{y.at(value):.1f}",
                f"{name}: {rank.name} {value:.3f} with {size:,.0f} training rows",
                look,
            )
            for size, value in points
        ]
    title = f"{dataset}: {rank.name} by training rows"
    data = pd.DataFrame(
        [(name, size, value) for name, points in curves.items() for size, value in points],
        columns=["model", "training rows", rank.name],
    )
    return Chart(
        title,
        "A line for each model.",
        "training rows",
        rank.label,
        x.ticks(lambda value: f"{value:,g}"),
        y.ticks(),
        tuple(lines),
        tuple(dots),
        legend=tuple(legend),
        data=of_frame(f"sizes-{file_name(dataset)}", f"Data: {title}", data, ROWS),
    )
