"""What a picture is, the sheet that it is drawn on, and how names and numbers stand on it."""

from __future__ import annotations

import math
import textwrap
import unicodedata
import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from harness.pictures.palette import FAINT, GRID, INK, PAPER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    import pandas as pd
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

PANELS = 12
"""Small multiples on a sheet, at most."""

LEGEND = 2.0
"""Inches of a legend beside small multiples."""

LINE = 400
"""Points of a line, at most: more cannot be seen."""

TITLE = 10.5
"""Characters of a title in an inch."""

NAME = 34
"""Characters of a name on a sheet."""

SETTINGS: dict[str, Any] = {
    # It comes with matplotlib, so that a picture has the same bytes on every machine.
    "font.family": ["sans-serif"],
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9,
    "text.color": INK,
    # Names are strangers' text; a $ in them begins no formula.
    "text.parse_math": False,
    "text.usetex": False,
    "figure.facecolor": PAPER,
    "figure.titlesize": 10.5,
    "savefig.facecolor": PAPER,
    "axes.facecolor": PAPER,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "axes.labelsize": 9,
    "axes.titlesize": 9,
    "axes.titlelocation": "left",
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "lines.linewidth": 1.5,
    "lines.markersize": 5,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "legend.handlelength": 2.8,
    "svg.fonttype": "none",
    "svg.hashsalt": "harness",
    "pdf.fonttype": 42,
    "path.simplify": True,
}


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """A figure, and what it shows in words and numbers.

    Args:
        figure: as drawn.
        title: what it is of; it stands on the figure, too.
        description: what is seen, in a sentence or two, for who cannot see it.
        table: the data that are drawn, with columns that say what they are.
    """

    figure: Figure
    title: str
    description: str
    table: pd.DataFrame

    def __post_init__(self) -> None:
        """Settle the layout: it would move a little each time that the figure is drawn."""
        with settings():
            self.figure.draw_without_rendering()
            self.figure.set_layout_engine("none")


class Sheet(Figure):
    """A figure that a notebook shows without pyplot."""

    def _repr_png_(self) -> bytes:
        from harness.pictures.output import png

        return png(self)


@contextmanager
def settings() -> Iterator[None]:
    """Our settings rather than the user's, and no complaint of glyphs that the font lacks."""
    with mpl.rc_context(), warnings.catch_warnings():
        mpl.rcdefaults()
        mpl.rcParams.update(SETTINGS)  # type: ignore[arg-type]  # its keys are literals
        # In an SVG they are text, which whoever shows it draws in another font; else boxes.
        warnings.filterwarnings("ignore", r"Glyph \d+ .* missing from font")
        warnings.filterwarnings("ignore", "Matplotlib currently does not support")
        yield


def sheet(
    rows: int = 1,
    columns: int = 1,
    *,
    width: float = 6.4,
    height: float = 4.0,
    title: str = "",
    **options: Any,
) -> tuple[Figure, NDArray[Any]]:
    """An empty sheet and its axes (rows, columns).

    Args:
        rows: of axes.
        columns: of axes.
        width: inches.
        height: inches.
        title: above all.
        options: `matplotlib.figure.Figure.subplots` takes.
    """
    figure = Sheet(figsize=(width, height), layout="constrained")
    if title:
        figure.suptitle(textwrap.fill(title, int(TITLE * width)), x=0.01, ha="left", weight="bold")
    return figure, figure.subplots(rows, columns, squeeze=False, **options)


def panels(
    n: int, *, title: str, legend: bool = False, **options: Any
) -> tuple[Figure, list[Axes]]:
    """A sheet of n small multiples, at most three in a row.

    ``legend`` leaves room beside them for one.
    """
    columns = min(n, 3) if n != 4 else 2
    rows = math.ceil(n / columns)
    width = {1: 5.2, 2: 6.8, 3: 8.6}[columns] + (LEGEND if legend else 0.0)
    height = {1: 3.7}.get(rows, 0.8 + 2.3 * rows)
    figure, axes = sheet(rows, columns, width=width, height=height, title=title, **options)
    for spare in axes.flat[n:]:
        spare.set_axis_off()
    for above in axes.flat[max(0, n - columns) : n]:
        above.xaxis.set_tick_params(labelbottom=True)
    return figure, list(axes.flat[:n])


def beside(figure: Figure, handles: Sequence[Any], title: str = "") -> None:
    """A legend to the right of all axes, in as many columns as its length asks for."""
    per_column = max(8, int(figure.get_figheight() * 4.6))
    figure.legend(
        handles=handles,
        loc="outside right center",
        title=title or None,
        alignment="left",
        ncols=max(1, math.ceil(len(handles) / per_column)),
    )


def label(figure: Figure, axes: Sequence[Axes], x: str, y: str) -> None:
    """What the axes of all panels say, once."""
    if len(axes) == 1:
        axes[0].set_xlabel(x)
        axes[0].set_ylabel(y)
    else:
        figure.supxlabel(x, fontsize=9)
        figure.supylabel(y, fontsize=9)


def above(axes: Axes, text: str) -> None:
    """A panel's title, in lines no longer than the panel is wide."""
    axes.set_title(textwrap.fill(text, 40), fontsize=8.5)


def text(name: object, most: int = NAME) -> str:
    """A stranger's name as it can stand on a sheet: in one line, without control characters.

    It is cut in its middle: both ends tell models apart.

    >>> text("a" + chr(10) + "b" + chr(0)), text("torch-mlp[epochs=1000]", 12)
    ('a b�', 'torch-…1000]')
    """
    line = " ".join(str(name).split())
    seen = "".join("\ufffd" if unwritable(character) else character for character in line)
    tail = (most - 1) // 2
    return seen if len(seen) <= most else f"{seen[: most - 1 - tail]}…{seen[-tail:]}"


def unwritable(character: str) -> bool:
    """Whether XML cannot hold a character: controls, lone surrogates and noncharacters."""
    return unicodedata.category(character) in ("Cc", "Cs") or ord(character) & 0xFFFE == 0xFFFE


def thin(n: int, most: int = LINE) -> NDArray[np.intp]:
    """Indices of at most so many of n points, evenly spaced, the first and the last among them."""
    return np.unique(np.linspace(0, n - 1, min(n, most)).round().astype(np.intp))


def plural(n: int, word: str) -> str:
    """A number and its noun.

    >>> plural(1, "repeat"), plural(1_200, "test row")
    ('1 repeat', '1,200 test rows')
    """
    return f"{n:,} {word}{'' if n == 1 else 's'}"


def seconds(value: float) -> str:
    """A time in the largest unit in which it is at least one.

    >>> [seconds(value) for value in (90, 0.05, 2e-6, 3e-9, 0)]
    ['90 s', '50 ms', '2 µs', '3 ns', '0 s']
    """
    for scale, unit in ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs")):
        if value >= 0.9999 * scale:
            return f"{value / scale:g} {unit}"
    return f"{value / 1e-9:g} ns" if value > 0 else "0 s"


def count(value: float) -> str:
    """A number of things, short.

    >>> [count(value) for value in (50, 1_500, 20_000, 3e6)]
    ['50', '1,500', '20k', '3M']
    """
    for scale, unit in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if value >= scale:
            return f"{value / (1e3 if unit == 'k' else scale):g}{unit}"
    return f"{value:,g}"


def logarithmic(
    axes: Axes, which: Literal["x", "y"], written: Callable[[float], str], values: Iterable[float]
) -> None:
    """A logarithmic axis with its ticks in words, as wide as the positive values need."""
    known = np.array([value for value in values if math.isfinite(value) and value > 0])
    low, high = (known.min(), known.max()) if len(known) else (1.0, 10.0)
    margin = max(1.15, (high / low) ** 0.06)
    low, high = low / margin, high * margin
    axes.set(**{f"{which}scale": "log", f"{which}lim": (low, high)})
    decades = math.log10(high / low)
    subs = (1.0,) if decades >= 2.2 else (1.0, 3.0) if decades >= 1.3 else (1.0, 2.0, 5.0)
    axis = axes.xaxis if which == "x" else axes.yaxis
    axis.set_major_locator(LogLocator(subs=subs, numticks=7 if decades >= 2.2 else 12))
    axis.set_major_formatter(FuncFormatter(lambda value, _: written(value)))
    axis.set_minor_formatter(NullFormatter())
