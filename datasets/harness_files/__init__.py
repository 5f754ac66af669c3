"""Opens datasets: files (CSV, Parquet, Arrow, JSON lines, ARFF, npz, svmlight), and OpenML's."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    import harness


def open_file(
    file: str,
    *,
    name: str,
    target: str = "",
    drop: str = "",
    numeric: str = "",
    categorical: str = "",
    dates: str = "",
    monthfirst: str = "",
    missing: str = "",
    weights: str = "",
    groups: str = "",
    time: str = "",
    split: str = "",
    test: str = "",
    cv: str = "",
) -> Iterator[harness.Dataset]:
    """A file as a dataset.

    Several columns are joined by ``+``, as in ``drop=a+b``.

    Args:
        file: path of the file.
        name: name of the dataset.
        target: the column that holds the classes.
        drop: columns to leave out.
        numeric: columns that are numbers.
        categorical: columns that are categories.
        dates: columns that are dates.
        monthfirst: columns that are dates with the month before the day, such as 11/27/2026.
        missing: texts that stand for a missing value.
        weights: the column of the rows' weights, in fits and in scores.
        groups: the column whose equal values stay in one part, such as a patient.
        time: the column that orders the rows: models learn from earlier rows.
        split: the column that says ``train`` or ``test``, or numbers the folds.
        test: a file with the test rows.
        cv: cross-validation: ``5``, ``5x2`` (two repetitions) or ``loo``.
    """
    from harness_files.tables import dataset_of

    given = {
        "target": target,
        "drop": drop,
        "numeric": numeric,
        "categorical": categorical,
        "dates": dates,
        "monthfirst": monthfirst,
        "missing": missing,
        "weights": weights,
        "groups": groups,
        "time": time,
        "split": split,
        "test": test,
        "cv": cv,
    }
    yield dataset_of(Path(file), name, given)


OPTIONS = (
    *("target", "drop", "numeric", "categorical", "dates", "monthfirst", "missing"),
    *("weights", "groups", "time", "split", "test", "cv"),
)
"""The options of `open_file`."""


def open_data(
    address: str,
    *,
    name: str,
    target: str = "",
    drop: str = "",
    numeric: str = "",
    categorical: str = "",
    dates: str = "",
    monthfirst: str = "",
    weights: str = "",
    groups: str = "",
    time: str = "",
    split: str = "",
    cv: str = "",
) -> Iterator[harness.Dataset]:
    """A dataset of OpenML, such as ``openml:61``.

    Several columns are joined by ``+``, as in ``drop=a+b``.

    Args:
        address: ``openml:`` and the dataset's number.
        name: name of the dataset.
        target: the column that holds the classes, if not that which OpenML names.
        drop: columns to leave out.
        numeric: columns that are numbers.
        categorical: columns that are categories.
        dates: columns that are dates.
        monthfirst: columns that are dates with the month before the day, such as 11/27/2026.
        weights: the column of the rows' weights, in fits and in scores.
        groups: the column whose equal values stay in one part, such as a patient.
        time: the column that orders the rows: models learn from earlier rows.
        split: the column that says ``train`` or ``test``, or numbers the folds.
        cv: cross-validation: ``5``, ``5x2`` (two repetitions) or ``loo``.
    """
    from harness_files import openml

    given = {
        "target": target,
        "drop": drop,
        "numeric": numeric,
        "categorical": categorical,
        "dates": dates,
        "monthfirst": monthfirst,
        "weights": weights,
        "groups": groups,
        "time": time,
        "split": split,
        "cv": cv,
    }
    yield openml.data(address, name, dict.fromkeys(OPTIONS, "") | given)


def open_task(
    address: str,
    *,
    name: str,
    drop: str = "",
    numeric: str = "",
    categorical: str = "",
    dates: str = "",
    monthfirst: str = "",
) -> Iterator[harness.Dataset]:
    """A task of OpenML with its published splits, such as ``openml-task:59``.

    Args:
        address: ``openml-task:`` and the task's number.
        name: name of the dataset.
        drop: columns to leave out.
        numeric: columns that are numbers.
        categorical: columns that are categories.
        dates: columns that are dates.
        monthfirst: columns that are dates with the month before the day, such as 11/27/2026.
    """
    from harness_files import openml

    given = {
        "drop": drop,
        "numeric": numeric,
        "categorical": categorical,
        "dates": dates,
        "monthfirst": monthfirst,
    }
    yield openml.task(address, name, dict.fromkeys(OPTIONS, "") | given)


def open_suite(address: str, *, name: str, skip: str = "") -> Iterator[harness.Dataset]:
    """A dataset for each task of a suite of OpenML, such as ``openml-suite:99``.

    Args:
        address: ``openml-suite:`` and the suite's number.
        name: first part of the datasets' names.
        skip: numbers of tasks to leave out, joined by ``+``.
    """
    from harness_files import openml

    yield from openml.suite(address, name, dict.fromkeys(OPTIONS, ""), skip)
