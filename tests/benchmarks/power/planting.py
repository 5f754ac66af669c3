"""The cells of the study, and the versions of the subjects' file that they compare."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

SUBJECTS = Path(__file__).with_name("subjects.py")
UNPLANTED = 'PLANTED: tuple[str, int] = ("nothing", 0)'

RENAMED = {
    "softmax_of_rows": "probabilities_by_row",
    "training_step": "one_more_epoch",
    "torch_step": "one_more_torch_epoch",
}
"""Functions that the null with this name renames in the second version."""

AA = ("same", "renamed", "path", "hash")
"""Nulls: both versions compute the same."""

START_UP = "start-up"
START_UP_AMOUNT = 10_000_000
"""Numbers whose hyperbolic tangent is computed at each make, and twenty times as many at import: a
few milliseconds (a fifth of a fit), and a tenth of a second."""

WAYS = ("steps", "fixed", "copy")
SIZES = (2, 5, 10, 20)
"""Planted sizes in percent."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A kind of comparison.

    Args:
        subject: ``softmax``, ``loop`` or ``torch``.
        way: how the subject is slowed down, or the name of a null.
        size: slowdown in percent; 0 for a null.
        wanted: number of comparisons.
    """

    subject: str
    way: str
    size: int
    wanted: int

    @property
    def key(self) -> tuple[str, str, int]:
        """Identity of the cell in the trace."""
        return self.subject, self.way, self.size


def cells(scale: float = 1.0) -> tuple[Cell, ...]:
    """All cells, with their numbers of comparisons multiplied by a scale and rounded up."""

    def of(subject: str, same: int, start_up: int, planted: int) -> list[Cell]:
        nulls = [Cell(subject, way, 0, math.ceil(scale * same)) for way in AA]
        nulls.append(Cell(subject, START_UP, 0, math.ceil(scale * start_up)))
        return nulls + [
            Cell(subject, way, size, math.ceil(scale * planted)) for size in SIZES for way in WAYS
        ]

    return (*of("softmax", 38, 6, 6), *of("loop", 38, 6, 6), *of("torch", 4, 2, 2))


def version(folder: Path, way: str = "nothing", amount: int = 0) -> Path:
    """A copy of the subjects' file with a planted slowdown, or the second version of a null."""
    text = SUBJECTS.read_text(encoding="utf-8")
    assert text.count(UNPLANTED) == 1
    if way == "renamed":
        for old, new in RENAMED.items():
            text = text.replace(old, new)
    elif way == "path":
        folder = folder / "a_folder_with_a_much_longer_name" / "and_another_one_in_it"
    elif way not in AA:
        text = text.replace(UNPLANTED, f'PLANTED: tuple[str, int] = ("{way}", {amount})')
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / SUBJECTS.name
    path.write_text(text, encoding="utf-8")
    return path
