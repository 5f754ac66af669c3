"""Pictures: the value `Drawing`, the sheet that one is drawn on, and its labels and ticks."""

from __future__ import annotations

import math
import textwrap
import unicodedata
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullFormatter

from harness.sheets.output import png
from harness.sheets.palette import FAINT
from harness.sheets.style import settings, unwritable
from harness.statistics.scores import Basis
from harness.words import plural

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    import pandas as pd
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from harness.sheets.palette import Look

PANELS = 12
"""The most small multiples on a sheet."""

LEGEND = 2.0
"""The least width of a legend beside small multiples, in inches."""

ENTRIES = 24
"""The most series that a legend names: readers cannot tell more looks apart."""

DECADES = 2.5
"""A logarithmic axis of this many decades or more has no minor ticks within a decade."""

TITLE = 10.5
"""Characters of a title per inch."""

OTHERS: Look = {"color": FAINT, "lw": 0.6, "alpha": 0.6, "zorder": 1.4} | {
    "marker": ".", "ms": 3, "mew": 0
}  # fmt: skip
"""The look of series that the legend does not name."""

NAME = 34
"""The most characters of a name on a sheet."""

APART = {"x": (0.03, 0.035), "y": (0.13, 0.0)}
"""The least distance between the centres of two tick labels, as a fraction of the narrowest panel's
axis: a constant, and an addition per letter."""


@dataclass(frozen=True, slots=True, eq=False)
class Drawing:
    """A figure with its title, description and data.

    Args:
        figure: the drawn figure.
        title: what the figure shows; the figure bears it, too.
        description: what can be seen, in a sentence or two, for readers who cannot see it.
        table: the data that are drawn; the names of the columns say what they hold.
    """

    figure: Figure
    title: str
    description: str
    table: pd.DataFrame

    def __post_init__(self) -> None:
        """Fix the layout, which would otherwise move a little each time the figure is drawn."""
        with settings():
            lay_out(self.figure)
            self.figure.set_layout_engine("none")


class NotebookFigure(Figure):
    """A figure that a notebook shows without pyplot."""

    def _repr_png_(self) -> bytes:
        return png(self)


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
        rows: number of rows of axes.
        columns: number of columns of axes.
        width: width of the sheet in inches.
        height: height of the sheet in inches.
        title: title above all axes.
        options: further arguments of `matplotlib.figure.Figure.subplots`.
    """
    figure = NotebookFigure(figsize=(width, height), layout="constrained")
    if title:
        figure.suptitle(textwrap.fill(title, int(TITLE * width)), x=0.01, ha="left", weight="bold")
    return figure, figure.subplots(rows, columns, squeeze=False, **options)


def lay_out(figure: Figure) -> None:
    """Give the axes of a figure their places and sizes.

    Drawing the figure does so, too, but takes twice as long.
    """
    engine = figure.get_layout_engine()
    if engine:
        engine.execute(figure)


def panels(
    n: int, *, title: str, legend: bool = False, **options: Any
) -> tuple[Figure, list[Axes]]:
    """A sheet of n small multiples, at most three in a row.

    ``legend`` leaves room for a legend beside them.
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
    """Add a legend to the right of all axes, in as many columns as its length needs.

    A legend wider than `LEGEND`, the room that `panels` left for it, widens the sheet.
    """
    per_column = max(8, int(figure.get_figheight() * 4.6))
    legend = figure.legend(
        handles=handles,
        loc="outside right center",
        title=title or None,
        alignment="left",
        ncols=max(1, math.ceil(len(handles) / per_column)),
    )
    legend_width = legend.get_window_extent().width / figure.dpi
    figure.set_figwidth(figure.get_figwidth() + max(0.0, legend_width - LEGEND))


def more(n: int, **look: Any) -> list[Line2D]:
    """The legend's last entry, for n series that it does not name; none if n is not positive."""
    return [Line2D([], [], label=f"and {n:,} more", **look)] if n > 0 else []


def without_interval(bases: Iterable[str]) -> str:
    """A sentence on how many scores have no interval, and why; empty if all have one.

    >>> without_interval([Basis.WILSON, Basis.FEW_CARRYING])
    '1 of 2 points has no interval: fewer than 10 rows carry the NLL.'
    """
    all_bases = [Basis(basis) for basis in bases]
    reasons = [basis.withheld for basis in all_bases if basis.withheld]
    if not reasons:
        return ""
    has = "has" if len(reasons) == 1 else "have"
    why = "; ".join(dict.fromkeys(reasons))
    return f"{len(reasons)} of {plural(len(all_bases), 'point')} {has} no interval: {why}."


def label(figure: Figure, axes: Sequence[Axes], x: str, y: str) -> None:
    """Label the axes, once for all panels."""
    if len(axes) == 1:
        axes[0].set_xlabel(x)
        axes[0].set_ylabel(y)
    else:
        figure.supxlabel(x, fontsize=9)
        figure.supylabel(y, fontsize=9)


def above(axes: Axes, text: str) -> None:
    """Set a panel's title, wrapped to the width of the panel."""
    axes.set_title(textwrap.fill(text, 40), fontsize=8.5)


def text(name: object, most: int = NAME) -> str:
    """A stranger's name as a sheet shows it: on one line, without invisible characters.

    U+FFFD replaces control and invisible characters, because some reverse the text after them. A
    long name is cut in its middle, because both ends tell models apart.

    >>> text("a" + chr(10) + "b" + chr(0)), text("torch-mlp[epochs=1000]", 12)
    ('a b�', 'torch-…1000]')
    """
    line = " ".join(str(name).split())
    visible = "".join("\ufffd" if _unseen(line, i) else line[i] for i in range(len(line)))
    tail = (most - 1) // 2
    return visible if len(visible) <= most else f"{visible[: most - 1 - tail]}…{visible[-tail:]}"


def shortened(names: Iterable[str], most: int = NAME) -> dict[str, str]:
    """The short form of each name on a sheet; different names have different short forms.

    Names whose short forms would be equal show only the parameters in which they differ. If these
    would be equal, too, the names are numbered.

    >>> list(shortened(["mlp[a=1,b=1,c=10000]", "mlp[a=1,b=2,c=10000]"], 13).values())
    ['mlp[…b=1…]', 'mlp[…b=2…]']
    """
    whole = {name: text(name, 10_000) for name in names}
    short_names = {name: text(name, most) for name in whole}
    for head in {whole[name].partition("[")[0] for name in _alike(short_names)}:
        long_names = [name for name in whole if whole[name].partition("[")[0] == head]
        long_names = [name for name in long_names if len(whole[name]) > most]
        parameters = {
            name: whole[name].partition("[")[2].removesuffix("]").split(",") for name in long_names
        }
        common = set.intersection(*map(set, parameters.values()))
        for name in long_names:
            differing = ",".join(
                parameter for parameter in parameters[name] if parameter not in common
            )
            short_names[name] = text(f"{head[: most // 3]}[…{differing}…]", most)
    for i, name in enumerate(_alike(short_names), 1):
        number = f" #{i}"
        short_names[name] = text(name, most - len(number)) + number
    return short_names


def _alike(short_names: Mapping[str, str]) -> list[str]:
    """Names whose short form another name has, too."""
    counts = Counter(short_names.values())
    return [name for name, short in short_names.items() if counts[short] > 1]


def _unseen(line: str, i: int) -> bool:
    """Whether a line's i-th character is invisible; the joiner of two emoji counts as visible."""
    if line[i] == "\u200d" and 0 < i < len(line) - 1:
        before, behind = (unicodedata.category(line[j]) for j in (i - 1, i + 1))
        # Skin tones are of category Sk, and the emoji variation selector is of Mn.
        return not (before in ("So", "Sk", "Mn") and behind == "So")
    return unwritable(line[i]) or unicodedata.category(line[i]) == "Cf"


def seconds(value: float) -> str:
    """A time in the largest unit in which it is at least 1.

    >>> [seconds(value) for value in (90, 0.05, 2e-6, 3e-9, 0)]
    ['90 s', '50 ms', '2 µs', '3 ns', '0 s']
    """
    for scale, unit in ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs")):
        if value >= 0.9999 * scale:
            return f"{value / scale:g} {unit}"
    return f"{value / 1e-9:g} ns" if value > 0 else "0 s"


def count(value: float) -> str:
    """A count in few characters.

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
    """Make an axis logarithmic, with round ticks, and just long enough for the positive values."""
    positive = np.array([value for value in values if math.isfinite(value) and value > 0])
    low, high = (positive.min(), positive.max()) if len(positive) else (1.0, 10.0)
    margin = max(1.15, (high / low) ** 0.06)
    low, high = float(low / margin), float(high * margin)
    axes.set(**{f"{which}scale": "log", f"{which}lim": (low, high)})
    axis = axes.xaxis if which == "x" else axes.yaxis
    axis.set_major_locator(FixedLocator(_ticks(low, high, which, written)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: written(value)))
    # Over many decades there is one minor tick each: nine could not be told apart.
    subs = tuple(range(1, 10)) if math.log10(high / low) < DECADES else (1,)
    axis.set_minor_locator(LogLocator(subs=subs, numticks=40))
    axis.set_minor_formatter(NullFormatter())


def _ticks(
    low: float, high: float, which: Literal["x", "y"], written: Callable[[float], str]
) -> list[float]:
    """The longest list of round numbers of one kind from low to high whose labels do not overlap.

    If that list is shorter than two, the first kind of which two labels fit, thinned out.
    """
    kinds = list(_rounds(low, high))
    spaced = [apart(ticks, (low, high), which, written) for ticks in kinds]
    fitting = [ticks for ticks, kept in zip(kinds, spaced, strict=True) if ticks == kept]
    longest = max(fitting, key=len, default=[])
    if len(longest) > 1:
        return longest
    return next((kept for kept in spaced if len(kept) > 1), longest)


def _rounds(low: float, high: float) -> Iterator[list[float]]:
    """Lists of round numbers from low to high, one for each kind, powers of ten first."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    # Numbers are parsed from text, because products such as 5 * 10**-3 carry rounding errors.
    decades = [(float(f"1e{e}"), e) for e in range(first, last + 1)]
    for stride in range(1, max(2, last - first)):
        yield [power for power, e in decades if e % stride == 0 and low <= power <= high]
    for subs in ((1, 3), (1, 2, 5)):
        numbers = (float(f"{sub}e{e}") for _, e in decades for sub in subs)
        yield [number for number in numbers if low <= number <= high]
    size = math.floor(math.log10(high - low))
    for exponent in (size, size - 1):
        for sub in (5, 2, 1):
            step = float(f"{sub}e{exponent}")
            counts = range(math.ceil(low / step), math.floor(high / step) + 1)
            yield [float(f"{i * sub}e{exponent}") for i in counts]


def apart(
    ticks: Iterable[float],
    ends: tuple[float, float],
    which: Literal["x", "y"],
    written: Callable[[float], str],
) -> list[float]:
    """The ticks whose labels do not overlap, of a logarithmic axis's ascending ticks."""
    always, letter = APART[which]
    span = math.log(ends[1] / ends[0])
    kept: list[float] = []
    for tick in ticks:
        if kept:
            letters = (len(written(tick)) + len(written(kept[-1]))) / 2
            if math.log(tick / kept[-1]) < (always + letter * letters) * span:
                continue
        kept.append(tick)
    return kept
