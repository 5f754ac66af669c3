"""Checks of datasets, run on splits with their default parameters."""

from __future__ import annotations

import inspect
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.contract.columns import names_in_words, read_labels, read_table
from harness.contract.parameters import given_to, place_of
from harness.contract.values import KINDS_WITHOUT_FOLDS, Split, folds_in, is_kind
from harness.errors import DatasetError
from harness.testing.checks import (
    Check,
    kebab_case_name,
    other_luck,
    require,
    require_defaults,
    run_all,
)
from harness.trials.preparation import (
    categorical_columns,
    checked_weights,
    column_names,
    encode,
    numbers,
)

if TYPE_CHECKING:
    from harness.contract.columns import Table
    from harness.contract.values import Array, Dataset

FOLDS = 30  # the most folds that a check draws; leave-one-out has more
PARTS = ("X_train", "y_train", "X_test", "y_test")


def check_dataset(dataset: Dataset) -> None:
    """Run all of ``DATASET_CHECKS`` on a dataset.

    Raises:
        AssertionError: some checks failed; the message lists them, one per line.
    """
    run_all("dataset", dataset, DATASET_CHECKS)


def known_kind(dataset: Dataset) -> None:
    """Declares its kind of split: fresh, resampled, fixed, or folds such as 10-fold."""
    kinds = ", ".join(KINDS_WITHOUT_FOLDS)
    require(is_kind(dataset.kind), f"kind is {dataset.kind!r}, not one of {kinds}, 10-fold, ...")


def parameters_have_defaults(dataset: Dataset) -> None:
    """Takes a generator first, then the fold if it has folds; all others have defaults."""
    given = given_to(dataset)
    taken = inspect.signature(dataset.split).parameters
    require(taken, "split takes no generator")
    require(len(taken) >= given, "split takes no fold after the generator")
    require_defaults(dataset.split, given)


def parts_fit_together(dataset: Dataset) -> None:
    """Gives two tables with the same columns, each with rows, and one label per row."""
    split = _split(dataset)
    for X, y, part in (
        (split.X_train, split.y_train, "train"),
        (split.X_test, split.y_test, "test"),
    ):
        require(X.size, f"X_{part} has shape {X.shape}; a table needs rows and columns")
        fits = f"y_{part} has shape {y.shape}, but X_{part} has {len(X)} rows"
        require(y.shape == (len(X),), fits)
    columns = f"X_train has {split.X_train.shape[1]} columns, X_test {split.X_test.shape[1]}"
    require(split.X_train.shape[1] == split.X_test.shape[1], columns)


def weights_fit_the_rows(dataset: Dataset) -> None:
    """Gives no weights, or one finite number from 0 a row, which are not all 0."""
    split = _split(dataset)
    checked_weights(split.weights_train, len(split.y_train), "training")
    checked_weights(split.weights_test, len(split.y_test), "test")


def no_label_is_missing(dataset: Dataset) -> None:
    """Has a label for every row, none of them NaN or None."""
    split = _split(dataset)
    for part in ("y_train", "y_test"):
        labels = _labels(split, part)
        n_missing = sum(map(_is_missing, labels))
        require(not n_missing, f"{n_missing} of {len(labels)} labels in {part} are missing")


def two_classes_to_learn(dataset: Dataset) -> None:
    """Has at least 2 classes in the training part."""
    classes = _classes(_split(dataset), "y_train")
    require(len(classes) >= 2, f"y_train holds {_listed(classes) or 'no class'}; two are needed")


def every_class_is_in_training(dataset: Dataset) -> None:
    """Has every class of the test part in the training part, too."""
    split = _split(dataset)
    strange = _classes(split, "y_test") - _classes(split, "y_train")
    require(not strange, f"y_test holds {_listed(strange)}, which y_train does not")


def class_names_cover_the_labels(dataset: Dataset) -> None:
    """Names every class once, if it names classes."""
    split = _split(dataset)
    names = split.class_names
    twice = [name for name, count in Counter(names).items() if count > 1]
    require(not twice, f"class_names has {_listed(twice)} twice")
    if not names:
        return
    labels = _classes(split, "y_train") | _classes(split, "y_test")
    by_index = all(isinstance(label, int | float) and label == int(label) for label in labels)
    nameless = labels - set(range(len(names)) if by_index else map(str, names))
    require(not nameless, f"class_names has no {_listed(nameless)}; it is {_listed(names)}")


def columns_are_described(dataset: Dataset) -> None:
    """Names all columns or none, and declares columns without finite numbers as categorical."""
    split = _given(dataset)
    train, test = _tables(split)
    tables = (train, test if len(test.columns) == len(train.columns) else train)
    names = column_names(split, tables)
    numbers(tables, names, categorical_columns(split, tables, names))


def categories_recur(dataset: Dataset) -> str | None:
    """Has categories that recur; a remark names columns in which nearly all values differ."""
    try:
        names = encode(_given(dataset)).identifiers
    except DatasetError:
        return None  # another check reports this error
    if not names:
        return None
    return f"nearly every row has a category of its own in {names_in_words(names)}"


def same_seed_same_split(dataset: Dataset) -> None:
    """Uses the given random generator, and no other randomness."""
    splits = []
    for salt in (1, 2):
        with other_luck(salt):
            splits.append(_split(dataset))
    for part in PARTS:
        same = _equal(getattr(splits[0], part), getattr(splits[1], part))
        require(same, f"two splits of one seed differ in {part}; draw from the given rng alone")


def splits_are_of_their_kind(dataset: Dataset) -> None:
    """Gives different splits for different seeds, unless its test part or its folds are fixed."""
    first, *others = (_split(dataset, seed) for seed in range(4))
    if dataset.kind == "fixed":
        for part in ("X_test", "y_test"):
            same = all(_equal(getattr(first, part), getattr(other, part)) for other in others)
            require(same, f"{part} differs from seed to seed, though the kind is fixed")
    elif not folds_in(dataset.kind):  # folds may be fixed, too, as published ones are
        same = all(_equal(getattr(first, p), getattr(o, p)) for o in others for p in PARTS)
        require(not same, f"seeds 0 to 3 give the same split; kind {dataset.kind} must not")


def parts_share_no_rows(dataset: Dataset) -> str | None:
    """Has no row in both parts, if the parts come from one table; a remark counts duplicates."""
    if dataset.kind != "resampled" and not folds_in(dataset.kind):
        return None
    split = _split(dataset)
    train = Counter(_rows(split.X_train, split.y_train))
    test = _rows(split.X_test, split.y_test)
    shared = sum(row in train for row in test)
    if not shared:
        return None
    # Duplicates in the table fall into both parts: a test row is as likely to have a twin in the
    # training part as a training row is.
    twins = sum(count for count in train.values() if count > 1) / len(split.X_train)
    bearable = min(3.0, 0.5 * len(test)) + 2 * twins * len(test)
    require(shared <= bearable, f"{shared} of {len(test)} test rows are training rows too")
    return f"{shared} of {len(test)} test rows have a twin in training; the table has duplicates"


def folds_test_each_row_once(dataset: Dataset) -> None:
    """Divides one table into folds, if any; folds test each row once and train on all others."""
    n_folds = folds_in(dataset.kind)
    whole: Counter[str | bytes] = Counter()
    tested: Counter[str | bytes] = Counter()
    for fold in range(min(n_folds, FOLDS)):
        split = _split(dataset, fold=fold)
        test = Counter(_rows(split.X_test, split.y_test))
        table = test + Counter(_rows(split.X_train, split.y_train))
        whole = whole or table
        require(table == whole, f"folds 0 and {fold} have different rows, in both parts together")
        tested += test
        twice = (tested - whole).total()
        require(not twice, f"{twice} rows are tested in fold {fold} and in a fold before it")
    if 0 < n_folds <= FOLDS:
        never = (whole - tested).total()
        require(not never, f"{never} of {whole.total()} rows are tested in no fold")


def splits_share_no_memory(dataset: Dataset) -> None:
    """Gives each split its own arrays, or arrays that are read-only."""
    first, second = _given(dataset), _given(dataset)
    for part in PARTS:
        a, b = (np.asarray(getattr(split, part)) for split in (first, second))
        shared = (a.flags.writeable or b.flags.writeable) and np.shares_memory(a, b)
        require(not shared, f"writing to {part} of one split changes the next; give copies")


DATASET_CHECKS = tuple(
    Check.of(function)
    for function in (
        kebab_case_name,
        known_kind,
        parameters_have_defaults,
        parts_fit_together,
        weights_fit_the_rows,
        no_label_is_missing,
        two_classes_to_learn,
        every_class_is_in_training,
        class_names_cover_the_labels,
        columns_are_described,
        categories_recur,
        same_seed_same_split,
        splits_are_of_their_kind,
        parts_share_no_rows,
        folds_test_each_row_once,
        splits_share_no_memory,
    )
)


def _given(dataset: Dataset, seed: int = 0, fold: int = 0) -> Split:
    # A published hold-out differs by repetition, not by seed.
    repeat = fold if folds_in(dataset.kind) else seed
    split = dataset.split(np.random.default_rng(seed), *place_of(dataset, repeat))
    require(isinstance(split, Split), f"split gives a {type(split).__name__}, not a harness.Split")
    return split


def _tables(split: Split) -> tuple[Table, Table]:
    return read_table(split.X_train, "X_train"), read_table(split.X_test, "X_test")


def _split(dataset: Dataset, seed: int = 0, fold: int = 0) -> Split:
    """A split as the harness reads it: arrays, whatever types the dataset gave."""
    split = _given(dataset, seed, fold)
    train, test = _tables(split)
    return replace(
        split,
        X_train=train.array,
        X_test=test.array,
        y_train=read_labels(split.y_train, "y_train"),
        y_test=read_labels(split.y_test, "y_test"),
    )


def _labels(split: Split, part: str) -> list[Any]:
    labels: list[Any] = np.asarray(getattr(split, part)).tolist()
    return labels


def _classes(split: Split, part: str) -> set[Any]:
    return {label for label in _labels(split, part) if not _is_missing(label)}


def _is_missing(label: Any) -> bool:
    return label is None or label != label  # only NaN differs from itself


def _listed(things: Any) -> str:
    return ", ".join(sorted(map(repr, things)))


def _equal(a: Array, b: Array) -> bool:
    if a.dtype == object or b.dtype == object:
        return repr(a.tolist()) == repr(b.tolist())
    return np.array_equal(a, b, equal_nan=a.dtype.kind == b.dtype.kind == "f")


def _rows(X: Array, y: Array) -> list[str | bytes]:
    """Each row with its label as a hashable value."""
    if X.dtype == object:
        return [repr(row) for row in zip(X.tolist(), y.tolist(), strict=True)]
    return [x.tobytes() + repr(label).encode() for x, label in zip(X, y.tolist(), strict=True)]
