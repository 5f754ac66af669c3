"""Ways to split a table: hold-out, cross-validation, by groups, by time, or as the file says."""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

import harness

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pandas as pd

    Codes: TypeAlias = np.ndarray[Any, np.dtype[np.intp]]

TEST_SIZE = 0.25
"""Share of the rows in the test part of a hold-out."""


@dataclass(frozen=True, slots=True)
class Way:
    """A way to split a table.

    Args:
        kind: see `harness.Dataset`.
        text: what it does, in a few words.
        split: as in `harness.Dataset`.
        repeats: number of repeats that a complete evaluation has; 0 if any number will do.
    """

    kind: str
    text: str
    split: Callable[..., harness.Split]
    repeats: int = 0


@dataclass(frozen=True, slots=True)
class Rows:
    """A table's features and classes, and what its splits depend on.

    Args:
        frame: (n_rows, n_features).
        codes: (n_rows,), each row's class as an index of ``names``.
        names: names of the classes.
        where: name of the file, for messages.
        groups: (n_rows,), each row's group; None without groups.
        time: (n_rows,), numbers that order the rows in time; None without a time.
        parts: (n_rows,), the part or fold of each row, as the file says; None if it does not.
    """

    frame: pd.DataFrame
    codes: Codes
    names: tuple[str, ...]
    where: str
    groups: Any = None
    time: Any = None
    parts: Sequence[str] | None = None

    def split(self, train: Any, test: Any) -> harness.Split:
        """The split with these rows, given as indices."""
        return harness.Split(
            self.frame.iloc[train],
            self.codes[train],
            self.frame.iloc[test],
            self.codes[test],
            class_names=self.names,
        )


def way(rows: Rows, cv: str) -> Way:
    """The way to split a table.

    Args:
        rows: the table.
        cv: ``5``, ``5x2`` (two repetitions) or ``loo``; empty for a hold-out.

    Raises:
        harness.UsageError: the ways contradict each other, or do not fit the rows.
    """
    given = [
        name for name, value in (("groups", rows.groups), ("time", rows.time)) if value is not None
    ]
    if rows.parts is not None:
        if given or cv:
            both = ["cv"] if cv else given
            raise harness.UsageError(
                f"{rows.where}: {both[0]} and a given split exclude each other"
            )
        return _as_given(rows, rows.parts)
    if len(given) > 1:
        raise harness.UsageError(f"{rows.where}: groups and time exclude each other; choose one")
    n_folds, repetitions = _folds(rows, cv) if cv else (0, 1)
    if rows.time is not None:
        if repetitions > 1:
            raise harness.UsageError(
                f"{rows.where}: cv={cv} repeats folds, but folds in time exist only once"
            )
        return _forward(rows, n_folds) if n_folds else _last_part(rows)
    by = " of whole groups" if rows.groups is not None else ""
    if not n_folds:
        return Way(
            "resampled",
            f"{TEST_SIZE:.0%} of the rows at random, the same share of each class{by}",
            lambda rng: harness.resample(
                rows.frame, rows.codes, rng, class_names=rows.names, groups=rows.groups
            ),
        )
    if rows.groups is None:
        _require_two_of_each(rows)
    text = "leave-one-out" if n_folds == len(rows.codes) else f"{n_folds} folds{by}"
    return Way(
        f"{n_folds}-fold",
        f"{text}, {repetitions} times" if repetitions > 1 else text,
        lambda rng, fold: harness.folds(
            rows.frame,
            rows.codes,
            rng,
            fold,
            n_folds=n_folds,
            class_names=rows.names,
            groups=rows.groups,
        ),
        n_folds * repetitions,
    )


def _folds(rows: Rows, cv: str) -> tuple[int, int]:
    """Numbers of folds and of repetitions."""
    if cv == "loo":
        if rows.groups is not None:
            return len(np.unique(np.asarray(rows.groups))), 1
        return len(rows.codes), 1
    match = re.fullmatch(r"(\d{1,6})(?:x(\d{1,4}))?", cv)
    n_folds, repetitions = (int(match[1]), int(match[2] or 1)) if match else (0, 0)
    if n_folds < 2 or repetitions < 1:
        raise harness.UsageError(f"{rows.where}: cv={cv} is none of 5, 5x2 (two repetitions), loo")
    units, noun = len(rows.codes), "rows"
    if rows.groups is not None:
        units, noun = len(np.unique(np.asarray(rows.groups))), "groups"
    if n_folds > units:
        raise harness.UsageError(f"{rows.where}: cv={cv}, but there are only {units} {noun}")
    return n_folds, repetitions


def _require_two_of_each(rows: Rows) -> None:
    counts = np.bincount(rows.codes, minlength=len(rows.names))
    alone = [name for name, count in zip(rows.names, counts, strict=True) if count == 1]
    if alone:
        raise harness.UsageError(
            f"{rows.where}: class '{alone[0]}' has one row, so that no model learns it when its "
            "fold is tested; leave the row out, or do without cv"
        )


def _last_part(rows: Rows) -> Way:
    """Learn from the past, and test the latest rows; rows of equal time stay together."""
    order = np.argsort(rows.time, kind="stable")
    (start,) = _cuts(rows, order, 1, 1 - TEST_SIZE)
    train, test = order[:start], order[start:]
    _require_trained(rows, train, test, "the time before the test part")
    return Way(
        "fixed",
        f"the latest {len(test) / len(order):.0%} of the rows",
        lambda _rng: rows.split(train, test),
    )


def _forward(rows: Rows, n_folds: int) -> Way:
    """Test each of the later blocks of rows, with all earlier rows as the training part."""
    order = np.argsort(rows.time, kind="stable")
    cuts = [*_cuts(rows, order, n_folds, 1 / (n_folds + 1)), len(order)]
    parts = [(order[:start], order[start:end]) for start, end in itertools.pairwise(cuts)]
    for i, (train, test) in enumerate(parts):
        _require_trained(rows, train, test, f"fold {i + 1} in time")

    def split(_rng: object, fold: int) -> harness.Split:
        return rows.split(*parts[fold])

    text = f"{n_folds} blocks in time, each after all earlier rows"
    return Way(f"{n_folds}-fold", text, split, n_folds)


def _cuts(rows: Rows, order: Codes, n: int, first: float) -> list[int]:
    """Where blocks of about equal size begin; rows of equal time are not divided."""
    times = np.asarray(rows.time)[order]
    size = len(order)
    step = (1 - first) / n
    wanted = [round(size * (first + i * step)) for i in range(n)]
    cuts = [int(np.searchsorted(times, times[min(cut, size - 1)], side="left")) for cut in wanted]
    if 0 in cuts or len(set(cuts)) < n:
        n_times = len(np.unique(times))
        raise harness.UsageError(
            f"{rows.where}: {n_times} different times do not divide into {n + 1} parts, "
            "because rows of equal time stay together"
        )
    return cuts


def _as_given(rows: Rows, parts: Sequence[str]) -> Way:
    """The split that a column or a test file gives."""
    names = sorted(set(parts))
    array = np.asarray(parts, dtype=object)
    if {name.lower() for name in names} == {"train", "test"}:
        is_test = np.array([part.lower() == "test" for part in parts])
        train, test = np.flatnonzero(~is_test), np.flatnonzero(is_test)
        _require_trained(rows, train, test, "the training part")
        text = f"as given: {len(train):,} training and {len(test):,} test rows"
        return Way("fixed", text, lambda _rng: rows.split(train, test))
    if len(names) < 2 or len(names) > len(array) / 2:
        raise harness.UsageError(
            f"{rows.where}: the split column holds {len(names)} different values, such as "
            f"'{names[0]}'; it must say train or test, or number the folds"
        )
    folds = [(np.flatnonzero(array != name), np.flatnonzero(array == name)) for name in names]
    for name, (train, test) in zip(names, folds, strict=True):
        _require_trained(rows, train, test, f"fold '{name}'")

    def split(_rng: object, fold: int) -> harness.Split:
        return rows.split(*folds[fold])

    return Way(f"{len(names)}-fold", f"as given: {len(names)} folds", split, len(names))


def _require_trained(rows: Rows, train: Codes, test: Codes, where: str) -> None:
    """Refuse a split whose test part has a class that its training part lacks."""
    trained = np.unique(rows.codes[train])
    if len(trained) < 2:
        raise harness.UsageError(
            f"{rows.where}: {where} has {len(trained)} of {len(rows.names)} classes to learn from; "
            "two are needed"
        )
    unseen = np.setdiff1d(rows.codes[test], trained)
    if len(unseen):
        raise harness.UsageError(
            f"{rows.where}: class '{rows.names[unseen[0]]}' is tested in {where}, but no row to "
            "learn from has it"
        )
