"""How pictures look: settings of matplotlib that replace the user's."""

from __future__ import annotations

import unicodedata
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import matplotlib as mpl

from harness.sheets.palette import FAINT, GRID, INK, PAPER

if TYPE_CHECKING:
    from collections.abc import Iterator

SETTINGS: dict[str, Any] = {  # each setting has a type of its own
    # matplotlib ships this font, so that a picture has the same bytes on every machine.
    "font.family": ["sans-serif"],
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9,
    "text.color": INK,
    # With hinting, small print would be wider in a file than it was in the layout.
    "text.hinting": "none",
    # Names are strangers' texts; a $ in them must not begin a formula.
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


@contextmanager
def settings() -> Iterator[None]:
    """Apply our settings in place of the user's, without warnings of glyphs that the font lacks."""
    with mpl.rc_context(), warnings.catch_warnings():
        mpl.rcdefaults()
        mpl.rcParams.update(SETTINGS)  # type: ignore[arg-type]  # its keys are literals
        # An SVG holds them as text, which viewers draw in another font; PNG and PDF show boxes.
        warnings.filterwarnings("ignore", r"Glyph \d+ .* missing from font")
        warnings.filterwarnings("ignore", "Matplotlib currently does not support")
        yield


def unwritable(character: str) -> bool:
    """Whether XML cannot hold a character: controls, lone surrogates and noncharacters."""
    return unicodedata.category(character) in ("Cc", "Cs") or ord(character) & 0xFFFE == 0xFFFE
