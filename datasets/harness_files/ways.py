"""Ways to split a table: hold-out, cross-validation, by groups, by time, or as the file says."""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

import harness
from harness_files.sources import shown

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
        weights: (n_rows,), weights of the rows; None if every row counts the same.
    """

    frame: pd.DataFrame
    codes: Codes
    names: tuple[str, ...]
    where: str
    groups: Any = None
    time: Any = None
    parts: Sequence[str] | None = None
    weights: Any = None

    def split(self, train: Any, test: Any) -> harness.Split:
        """The split with these rows, given as indices."""
        return harness.Split(
            self.frame.iloc[train],
            self.codes[train],
            self.frame.iloc[test],
            self.codes[test],
            class_names=self.names,
            weights_train=None if self.weights is None else self.weights[train],
            weights_test=None if self.weights is None else self.weights[test],
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
    if rows.groups is not None:
        _require_spread(rows, rows.groups, n_folds)
    if not n_folds:
        whole = "in whole groups, about" if rows.groups is not None else "at random,"
        return Way(
            "resampled",
            f"{TEST_SIZE:.0%} of the rows {whole} the same share of each class",
            lambda rng: harness.resample(
                rows.frame,
                rows.codes,
                rng,
                class_names=rows.names,
                groups=rows.groups,
                weights=rows.weights,
            ),
        )
    if rows.groups is None:
        _require_two_of_each(rows)
    elif repetitions == 1 and n_folds == len(np.unique(np.asarray(rows.groups))):
        return _one_group_out(rows, rows.groups)
    text = f"{n_folds} folds"
    if rows.groups is not None:
        text = f"{text} of whole groups"
    elif n_folds == len(rows.codes):
        text = "leave-one-out"

    def split(rng: np.random.Generator, fold: int) -> harness.Split:
        parts = harness.folds(
            rows.frame,
            rows.codes,
            rng,
            fold,
            n_folds=n_folds,
            class_names=rows.names,
            groups=rows.groups,
            weights=rows.weights,
        )
        unseen = np.setdiff1d(parts.y_test, parts.y_train)
        if len(unseen):  # groups cannot always be dealt so that each fold lacks no class
            name = shown(rows.names[unseen[0]])
            raise harness.UsageError(
                f"{rows.where}: fold {fold + 1} has all rows of class '{name}', because groups "
                "stay whole; take fewer folds"
            )
        return parts

    times = f", {repetitions} times" if repetitions > 1 else ""
    return Way(f"{n_folds}-fold", text + times, split, n_folds * repetitions)


def _one_group_out(rows: Rows, groups: Any) -> Way:
    """Test each group, with all others as the training part."""
    names = np.unique(np.asarray(groups))

    def split(_rng: object, fold: int) -> harness.Split:
        is_test = np.asarray(groups) == names[fold]
        return rows.split(np.flatnonzero(~is_test), np.flatnonzero(is_test))

    text = f"leave-one-group-out: {len(names)} folds"
    return Way(f"{len(names)}-fold", text, split, len(names))


def _folds(rows: Rows, cv: str) -> tuple[int, int]:
    """Numbers of folds and of repetitions."""
    if cv == "loo":
        if rows.time is not None:
            raise harness.UsageError(
                f"{rows.where}: cv=loo tests rows in no order, but time= orders them; write cv=5"
            )
        if rows.groups is not None:
            return len(np.unique(np.asarray(rows.groups))), 1
        return len(rows.codes), 1
    match = re.fullmatch(r"(\d{1,6})(?:x(\d{1,4}))?", cv)
    n_folds, repetitions = (int(match[1]), int(match[2] or 1)) if match else (0, 0)
    if n_folds < 2 or repetitions < 1:
        raise harness.UsageError(
            f"{rows.where}: cv={shown(cv)} is none of 5, 5x2 (two repetitions), loo"
        )
    units, noun = len(rows.codes), "rows"
    if rows.groups is not None:
        units, noun = len(np.unique(np.asarray(rows.groups))), "groups"
    if n_folds > units:
        raise harness.UsageError(
            f"{rows.where}: cv={cv}, but there are only {units:,} {noun}; take at most "
            f"{units} folds"
        )
    return n_folds, repetitions


def _require_two_of_each(rows: Rows) -> None:
    counts = np.bincount(rows.codes, minlength=len(rows.names))
    alone = [name for name, count in zip(rows.names, counts, strict=True) if count == 1]
    if alone:
        raise harness.UsageError(
            f"{rows.where}: class '{shown(alone[0])}' has one row, so that no model learns it when "
            "its fold is tested; leave the row out, or do without cv"
        )


def _require_spread(rows: Rows, groups: Any, n_folds: int) -> None:
    """Refuse groups that take all rows of a class along into the test part."""
    of_group = np.unique(np.asarray(groups), return_inverse=True)[1]
    n_classes = len(rows.names)
    pairs = np.unique(of_group * n_classes + rows.codes)
    in_groups = np.bincount(pairs % n_classes, minlength=n_classes)
    owned = np.flatnonzero(in_groups == 1)
    owners = np.unique(pairs[np.isin(pairs % n_classes, owned)] // n_classes)
    n_groups = int(of_group.max()) + 1
    if n_groups < 2:
        raise harness.UsageError(f"{rows.where}: all rows are in one group; two are needed")
    if len(owned) and (n_folds or len(owners) == n_groups):
        raise harness.UsageError(
            f"{rows.where}: class '{shown(rows.names[owned[0]])}' is in one group only, so that no "
            "model learns it when the group is tested; leave its rows out, or do without groups"
        )


def _last_part(rows: Rows) -> Way:
    """Learn from the past, and test the latest rows; rows of equal time stay together."""
    order = np.argsort(rows.time, kind="stable")
    (start,) = _cuts(rows, order, 1, 1 - TEST_SIZE)
    train, test = order[:start], order[start:]
    _require_trained(rows, train, test, "the test part")
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
        if n_times == 1:
            raise harness.UsageError(
                f"{rows.where}: all rows have the same time, so that it orders nothing; do without "
                "time="
            )
        remedy = "take fewer folds" if n > 1 else "do without time="
        raise harness.UsageError(
            f"{rows.where}: the {n_times:,} different times do not divide into {n + 1} parts, "
            f"because rows of equal time stay together; {remedy}"
        )
    return cuts


def _as_given(rows: Rows, parts: Sequence[str]) -> Way:
    """The split that a column or a test file gives."""
    names = sorted(set(parts), key=_in_order)
    words = {name.strip().lower() for name in names}
    if words & {"train", "test"}:
        return _train_and_test(rows, parts, words)
    array = np.asarray(parts, dtype=object)
    if words <= {"true", "false"} or len(names) < 2 or len(names) > len(array) / 2:
        count = f"{len(names):,} different values, such as" if len(names) > 1 else "only"
        raise harness.UsageError(
            f"{rows.where}: the split column holds {count} '{shown(names[0])}'; it must say train "
            "or test, or number the folds"
        )
    folds = [(np.flatnonzero(array != name), np.flatnonzero(array == name)) for name in names]
    for name, (train, test) in zip(names, folds, strict=True):
        _require_trained(rows, train, test, f"fold '{shown(name)}'")

    def split(_rng: object, fold: int) -> harness.Split:
        return rows.split(*folds[fold])

    return Way(f"{len(names)}-fold", f"as given: {len(names)} folds", split, len(names))


def _in_order(name: str) -> tuple[float, str]:
    """Sorts numbers by size, before texts."""
    try:
        return float(name), name
    except ValueError:
        return np.inf, name


VALIDATION = ("val", "valid", "validation", "dev")
"""What a split column may call rows for tuning: models learn from them too."""


def _train_and_test(rows: Rows, parts: Sequence[str], words: set[str]) -> Way:
    odd = sorted(words - {"train", "test", *VALIDATION})
    if odd:
        raise harness.UsageError(
            f"{rows.where}: the split column says '{shown(odd[0])}' next to train and test; change "
            "it to one of them, or leave these rows out"
        )
    if not {"train", "test"} <= words:
        lacking = "test" if "train" in words else "training"
        raise harness.UsageError(
            f"{rows.where}: there are no {lacking} rows; both training and test rows are needed"
        )
    is_test = np.array([part.strip().lower() == "test" for part in parts])
    train, test = np.flatnonzero(~is_test), np.flatnonzero(is_test)
    _require_trained(rows, train, test, "the test part")
    n_validation = sum(part.strip().lower() in VALIDATION for part in parts)
    among = f" ({n_validation:,} of them for validation)" if n_validation else ""
    text = f"as given: {len(train):,} training{among} and {len(test):,} test rows"
    return Way("fixed", text, lambda _rng: rows.split(train, test))


def _require_trained(rows: Rows, train: Codes, test: Codes, where: str) -> None:
    """Refuse a split whose test part has a class that its training part lacks."""
    trained = np.unique(rows.codes[train])
    if len(trained) < 2:
        raise harness.UsageError(
            f"{rows.where}: the rows to learn from before {where} is tested have {len(trained)} of "
            f"{len(rows.names)} classes; two are needed"
        )
    unseen = np.setdiff1d(rows.codes[test], trained)
    if len(unseen):
        name = shown(rows.names[unseen[0]])
        raise harness.UsageError(
            f"{rows.where}: class '{name}' is tested in {where}, but no row to "
            "learn from has it; leave its rows out, or split otherwise"
        )
