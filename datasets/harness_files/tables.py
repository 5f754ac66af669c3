"""Makes a dataset of a file: reads it, decides about its columns, and splits it."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

import harness
from harness_files.columns import Wishes, understand
from harness_files.reading import Read, read
from harness_files.ways import Rows, Way, way

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from harness_files.ways import Codes

MOST_CLASSES = 100
"""A target with more different values is refused: such classes have too few rows each."""

FEW_VALUES = 20
"""A target of numbers with fractions may have at most this many different values."""


def dataset_of(
    file: Path,
    name: str,
    given: Mapping[str, str],
    content: Read | None = None,
    published: Callable[[Rows], Way] | None = None,
) -> harness.Dataset:
    """A file as a dataset.

    Args:
        file: the file; or an address, which messages name, if ``content`` is given.
        name: name of the dataset.
        given: the user's options, as in `harness_files.open_file`; empty texts are left out.
        content: what was read, if it is read already.
        published: the way to split that the data's publisher prescribes, in place of the options.

    Raises:
        harness.UsageError: the file, an option or the table cannot be used; names the file, the
            line or column, and a way out.
    """
    missing = _listed(given["missing"], ())
    content = content or read(file, missing=missing)
    table, parts, test_note = content.table, None, ""
    if given["test"]:
        table, parts = _with_test_file(content, file, given["test"], missing)
        test_note = f", tested on {given['test']}"
    if not table.num_rows:
        raise harness.UsageError(f"{file}: has no rows")
    names = table.column_names
    target = _target(file, table, given["target"])
    apart = {target: "the class"}
    for option, role in (("groups", "groups"), ("time", "order"), ("split", "the split")):
        if given[option]:
            column = _column(file, given[option], names, option)
            if column == target:
                raise harness.UsageError(f"{file}: {option}={column} is the target")
            apart[column] = role
    if given["test"] and given["split"]:
        raise harness.UsageError(f"{file}: test= and split= exclude each other")
    table, parts, without = _with_target(file, table, target, parts)
    class_names, codes = _classes(file, table[target], target)
    for column in apart:
        if column != target and table[column].null_count:
            raise harness.UsageError(
                f"{file}, column '{column}': {table[column].null_count:,} values are missing; "
                f"every row needs {apart[column]}"
            )
    time = given["time"]
    understood = understand(
        table,
        codes,
        _wishes(file, given, names),
        # The time also tells something about the row, unless it only orders the rows.
        apart,
        str(file),
        1 + content.in_header if content.in_header >= 0 else -1,
    )
    split_column = given["split"]
    rows = Rows(
        understood.frame,
        codes,
        class_names,
        str(file),
        groups=table[given["groups"]].to_numpy() if given["groups"] else None,
        time=_order(file, table[time], time) if time else None,
        parts=[str(value) for value in table[split_column].to_pylist()] if split_column else parts,
    )
    how = published(rows) if published else way(rows, given["cv"])
    return _dataset(file, name, content, understood.columns, rows, how, without, test_note)


def _dataset(
    file: Path,
    name: str,
    content: Read,
    columns: Sequence[harness.Column],
    rows: Rows,
    how: Way,
    without: int,
    test_note: str,
) -> harness.Dataset:
    used = [column for column in columns if column.use in ("number", "category", "date")]
    dropped = [column for column in columns if column.use == "dropped"]
    counts = np.bincount(rows.codes, minlength=len(rows.names))
    shares = ", ".join(
        f"{class_name} {count / len(rows.codes):.0%}"
        for class_name, count in list(zip(rows.names, counts, strict=True))[:5]
    )
    more = f" and {len(rows.names) - 5} more" if len(rows.names) > 5 else ""
    notes = [
        f"{len(rows.codes):,} rows{test_note}; classes: {shares}{more}",
        f"uses {len(used)} of {len(columns) - 1} columns"
        + ("; leaves out " if dropped else "")
        + ", ".join(f"{column.name} ({column.reason.partition(':')[0]})" for column in dropped),
    ]
    notes += [
        f"column '{c.name}' {c.reason[c.reason.index('may be') :]}"
        for c in used
        if "leak" in c.reason
    ]
    if without:
        notes.append(f"leaves out {without:,} rows without a class")
    if content.how:
        notes.append(f"read with {content.how}")
    return harness.Dataset(
        name,
        how.kind,
        how.split,
        description=f"{file.name}: {len(rows.codes):,} rows; {how.text}.",
        tags=("file",),
        requires=(),
        columns=tuple(columns),
        notes=tuple(notes),
        repeats=how.repeats,
    )


def _listed(text: str, names: Sequence[str]) -> tuple[str, ...]:
    """The parts of a text between ``+``; the whole text if it is a name itself."""
    if not text:
        return ()
    return (text,) if text in names else tuple(part.strip() for part in text.split("+"))


def _column(file: Path, column: str, names: Sequence[str], option: str) -> str:
    """The column of this name.

    Raises:
        harness.UsageError: there is none; names the nearest.
    """
    if column in names:
        return column
    alike = [name for name in names if name.lower() == column.lower()]
    near = alike or difflib.get_close_matches(column, names, 3, 0.5)
    hint = f"did you mean {' or '.join(map(repr, near))}?" if near else _some(names)
    raise harness.UsageError(f"{file}: {option}={column} is no column; {hint}")


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - 10} more" if len(names) > 10 else ""
    return f"the columns are {', '.join(names[:10])}{more}"


def _wishes(file: Path, given: Mapping[str, str], names: Sequence[str]) -> Wishes:
    listed = {
        option: tuple(
            _column(file, column, names, option) for column in _listed(given[option], names)
        )
        for option in ("drop", "numeric", "categorical", "dates")
    }
    claimed: dict[str, str] = {}
    for option, columns in listed.items():
        for column in columns:
            if column in claimed:
                raise harness.UsageError(
                    f"{file}, column '{column}': {claimed[column]} and {option} exclude each other"
                )
            claimed[column] = option
    return Wishes(listed["drop"], listed["numeric"], listed["categorical"], listed["dates"])


def _target(file: Path, table: pa.Table, target: str) -> str:
    names = table.column_names
    if target:
        return _column(file, target, names, "target")
    likely = [
        name
        for name in names
        if name.lower() in ("target", "class", "label", "y") or name == names[-1]
    ]
    raise harness.UsageError(
        f"{file}: which column holds the classes? Write --target {likely[0]}, for example; "
        f"{_some(names)}"
    )


def _with_test_file(
    content: Read, file: Path, test: str, missing: Sequence[str]
) -> tuple[pa.Table, list[str]]:
    """The rows of both files, and the part of each row."""
    from pathlib import Path

    other = read(Path(test), missing=missing).table
    lacking = [name for name in content.table.column_names if name not in other.column_names]
    if lacking:
        raise harness.UsageError(f"{test}: has no column '{lacking[0]}', but {file} has it")
    both = [content.table, other.select(content.table.column_names)]
    parts = ["train"] * both[0].num_rows + ["test"] * both[1].num_rows
    try:
        return pa.concat_tables(both, promote_options="permissive"), parts
    except pa.ArrowException as error:
        raise harness.UsageError(f"{file} and {test}: their columns differ: {error}") from error


def _with_target(
    file: Path, table: pa.Table, target: str, parts: list[str] | None
) -> tuple[pa.Table, list[str] | None, int]:
    """The rows that have a class, and the number of those without."""
    present = pc.is_valid(table[target])
    n_present = int(pc.sum(present).as_py() or 0)
    if not n_present:
        raise harness.UsageError(f"{file}, column '{target}': all classes are missing")
    if n_present == table.num_rows:
        return table, parts, 0
    kept = None
    if parts is not None:
        kept = [part for part, has in zip(parts, present.to_pylist(), strict=True) if has]
    return table.filter(present), kept, table.num_rows - n_present


def _classes(file: Path, values: pa.ChunkedArray, target: str) -> tuple[tuple[str, ...], Codes]:
    """Names of the classes, and each row's class."""
    place = f"{file}, column '{target}'"
    if pa.types.is_dictionary(values.type):
        values = pc.cast(values, values.type.value_type)
    if pa.types.is_nested(values.type):
        raise harness.UsageError(f"{place}: holds {values.type}, which is no class")
    encoded = pc.dictionary_encode(values.combine_chunks())
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.chunk(0)
    distinct = encoded.dictionary.to_pylist()
    if len(distinct) == 1:
        raise harness.UsageError(
            f"{place}: all rows have the class '{distinct[0]}'; a classifier needs two classes"
        )
    is_number = pa.types.is_floating(values.type) or pa.types.is_decimal(values.type)
    with_fractions = is_number and any(float(value) % 1 for value in distinct)
    if (with_fractions and len(distinct) > FEW_VALUES) or (
        (is_number or pa.types.is_integer(values.type)) and len(distinct) > MOST_CLASSES
    ):
        raise harness.UsageError(
            f"{place}: {len(distinct):,} different numbers, so this looks like regression; harness "
            "compares classifiers: make a few classes of them in a column of its own, such as "
            "low and high"
        )
    if len(distinct) > MOST_CLASSES:
        raise harness.UsageError(
            f"{place}: {len(distinct):,} different classes among {len(values):,} rows; more than "
            f"{MOST_CLASSES} cannot be compared; is it the right column?"
        )
    order = sorted(range(len(distinct)), key=lambda i: distinct[i])
    place_of = np.empty(len(order), dtype=np.intp)
    place_of[order] = np.arange(len(order))
    names = tuple(_class_name(distinct[i]) for i in order)
    return names, place_of[encoded.indices.to_numpy(zero_copy_only=False)]


def _class_name(value: Any) -> str:
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def _order(file: Path, values: pa.ChunkedArray, column: str) -> np.ndarray[Any, np.dtype[Any]]:
    """Numbers that order rows in time."""
    from harness_files.columns import as_dates

    array = values.combine_chunks()
    if isinstance(array, pa.ChunkedArray):
        array = array.chunk(0)
    if pa.types.is_string(array.type) and (dates := as_dates(array)) is not None:
        array = dates
    if pa.types.is_date(array.type):
        array = pc.cast(array, pa.timestamp("s"))
    if pa.types.is_timestamp(array.type):
        array = pc.cast(array, pa.int64())
    if not (pa.types.is_integer(array.type) or pa.types.is_floating(array.type)):
        raise harness.UsageError(
            f"{file}, column '{column}': holds {array.type}, neither dates nor numbers, so it does "
            "not order the rows"
        )
    return np.asarray(array.to_numpy(zero_copy_only=False))
