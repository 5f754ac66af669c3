"""Opens files as datasets: CSV, Parquet, Arrow, JSON lines, ARFF, npz and svmlight."""

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
    missing: str = "",
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
        missing: texts that stand for a missing value.
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
        "missing": missing,
        "groups": groups,
        "time": time,
        "split": split,
        "test": test,
        "cv": cv,
    }
    yield dataset_of(Path(file), name, given)
