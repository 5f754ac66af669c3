"""The colours of pictures, on light and on dark paper, with a dash pattern and a marker for each.

The hues of any two series are at least 30 degrees apart in CIELAB, so that none is a shade of
another: there is one blue, one red, one green. The colours of any two series are at least 20 apart,
for normal vision and for vision that lacks one of the three cones. Dash patterns and markers are
for print in grey.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping

    Dash: TypeAlias = tuple[float, tuple[float, ...] | None]

Look: TypeAlias = dict[str, Any]
"""How a line looks, as arguments of matplotlib, whose types differ from one to the next."""

PAPER = "#ffffff"
INK = "#1b1f24"
FAINT = "#646c75"
"""The colour of secondary text."""

GRID = "#dfe3e7"
"""The colour of grid lines."""

SERIES = (
    "#153b64",
    "#e07304",
    "#9a40f7",
    "#006f5f",
    "#6a2628",
    "#6d9f5a",
    "#d26b9f",
    "#655c0b",
)

DARK: Mapping[str, str] = MappingProxyType(
    dict(
        zip(
            (PAPER, INK, FAINT, GRID, *SERIES),
            (
                *("#14171c", "#e9edf1", "#a3adb8", "#333a43"),
                *("#7ea7e9", "#fbb57c", "#a748ec", "#22d3c2"),
                *("#b7736e", "#03a218", "#c70e7d", "#e4dd1f"),
            ),
            strict=True,
        )
    )
)
"""The colour on dark paper for each colour on light paper."""

HEAT = ("", "white on #0b2545", "white on #13447c", "bold white on #1f6fb8")
"""Styles of a terminal for scores: from those of the baselines to the best."""

DASHES: tuple[Dash, ...] = (
    (0, None),
    (0, (5, 1.5)),
    (0, (1.2, 1.2)),
    (0, (6, 1.5, 1.2, 1.5)),
    (0, (9, 2)),
    (0, (2.5, 1.2)),
    (0, (6, 1.5, 1.2, 1.5, 1.2, 1.5)),
    (0, (1.2, 3)),
)
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "p")

TINT = 0.5
"""The highest opacity of a colour that has text written over it."""

VARIABLES: Mapping[str, str] = MappingProxyType(
    {PAPER: "--picture-paper", INK: "--picture-ink", FAINT: "--picture-faint"}
    | {GRID: "--picture-grid"}
    | {colour: f"--picture-series-{i}" for i, colour in enumerate(SERIES, 1)}
)
"""The CSS variable that stands for each colour in a page."""


def _rule(colours: Mapping[str, str]) -> str:
    return ":root { " + " ".join(f"{VARIABLES[k]}: {v};" for k, v in colours.items()) + " }"


CSS = (
    f"{_rule({colour: colour for colour in VARIABLES})}\n"
    f"@media (prefers-color-scheme: dark) {{ {_rule(DARK)} }}\n"
)
"""The style sheet that sets these variables, for light and for dark paper."""


def colour(i: int) -> str:
    """The colour of the i-th series; the ninth series has the colour of the first."""
    return SERIES[i % len(SERIES)]


def dash(i: int) -> Dash:
    """The dash pattern of the i-th series; the ninth's differs from the first's."""
    return DASHES[(i + i // len(SERIES)) % len(DASHES)]


def marker(i: int) -> str:
    """The marker of the i-th series; the ninth's differs from the first's."""
    return MARKERS[(i + i // len(SERIES)) % len(MARKERS)]


def look(i: int) -> Look:
    """Colour, dash pattern and marker of the i-th series, as arguments of matplotlib's lines."""
    return {"color": colour(i), "ls": dash(i), "marker": marker(i)}
