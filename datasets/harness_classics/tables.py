"""The tables of the datasets, loaded once per process."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from harness import Array

CATEGORIES = ("island", "sex")


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """All rows of a dataset; read-only, because all splits in a process share them.

    Args:
        X: (n_samples, n_features), floats, or objects if there are categorical columns.
        y: (n_samples,), integers that index ``class_names``.
        class_names: in the order of the labels.
        feature_names: one for each column.
        categorical: indices of the columns that hold strings, or None for a missing value.
    """

    X: Array
    y: NDArray[np.intp]
    class_names: tuple[str, ...]
    feature_names: tuple[str, ...]
    categorical: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        self.X.setflags(write=False)
        self.y.setflags(write=False)


@cache
def table(name: str) -> Table:
    """The table of a dataset, by the dataset's name."""
    return _penguins() if name == "penguins" else _quantities(name)


def _quantities(name: str) -> Table:
    """A table without missing values; classes are in the order of their first rows."""
    (_, *names), *rows = _lines(name)
    class_names = tuple(dict.fromkeys(label for label, *_ in rows))
    return Table(
        np.array([values for _, *values in rows], dtype=np.float64),
        np.array([class_names.index(label) for label, *_ in rows], dtype=np.intp),
        class_names=class_names,
        feature_names=tuple(names),
    )


def _penguins() -> Table:
    """The simplified table of the R package palmerpenguins, without the year of observation."""
    (_, *names), *rows = _lines("penguins")
    class_names, y = np.unique([species for species, *_ in rows], return_inverse=True)
    columns = [
        [_category(v) for v in values] if name in CATEGORIES else [_quantity(v) for v in values]
        for name, values in zip(names, list(zip(*rows, strict=True))[1:], strict=True)
    ]
    return Table(
        np.array(columns, dtype=object).T,
        y,
        class_names=tuple(map(str, class_names)),
        feature_names=tuple(names),
        categorical=tuple(names.index(name) for name in CATEGORIES),
    )


def _lines(name: str) -> list[list[str]]:
    """The lines of a dataset's file: first the names of its columns, of which the class leads."""
    text = resources.files("harness_classics").joinpath(f"{name}.csv").read_text("utf-8")
    return list(csv.reader(text.splitlines()))


def _category(text: str) -> str | None:
    return None if text == "NA" else text


def _quantity(text: str) -> float:
    return float("nan") if text == "NA" else float(text)
