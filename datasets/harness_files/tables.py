"""Makes a dataset of a file: reads it, decides about its columns, and splits it."""

from __future__ import annotations

import contextlib
import difflib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

import harness
from harness_files.columns import Wishes, type_name, understand
from harness_files.reading import read
from harness_files.sources import Read, shown
from harness_files.texts import as_dates, plain_numbers
from harness_files.ways import Rows, Way, way

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

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
    if content is None:
        content = read(file, missing=missing)
    table, parts, test_note = content.table, None, ""
    names = table.column_names
    target = _target(file, table, given["target"])
    apart = _apart(file, given, names, target)
    wishes = _wishes(file, given, names, target)
    place_of = content.place
    if given["test"]:
        other = _read_test_file(file, content, Path(given["test"]), missing)
        table, parts = _with_rows_of(file, content, Path(given["test"]), other, wishes)
        test_note = f", tested on {given['test']}"
        n_first = content.table.num_rows

        def place_of(row: int) -> str:
            if row < n_first:
                return content.place(row)
            return f"{other.place(row - n_first)} of {given['test']}".strip()

    kept = np.flatnonzero(pc.is_valid(table[target]).to_numpy())
    without = table.num_rows - len(kept)
    if not len(kept):
        raise harness.UsageError(f"{file}, column '{shown(target)}': all classes are missing")
    if without:
        table = table.take(kept)
        parts = None if parts is None else [parts[row] for row in kept]

    def place_of_kept(row: int) -> str:
        return place_of(int(kept[row]))

    for column, role in apart.items():
        _require_all(file, table[column], column, role, place_of_kept)
    class_names, codes = _classes(file, table[target], target)
    columns = {name: table[column] for name, column in _given(given) if column in apart}
    order = None
    if given["time"]:
        month_first = given["time"] in wishes.month_first
        order, remark = _order(file, columns["time"], given["time"], month_first=month_first)
        apart[given["time"]] += f"; {remark}" if remark else ""
    understood = understand(table, codes, wishes, apart, str(file), place_of_kept)
    if given["split"]:
        parts = [_class_name(value) for value in columns["split"].to_pylist()]
    weights = None
    if given["weights"]:
        weights = _weights(file, columns["weights"], given["weights"], place_of_kept)
    rows = Rows(
        understood.frame,
        codes,
        class_names,
        str(file),
        groups=_groups(file, columns["groups"], given["groups"]) if given["groups"] else None,
        time=order,
        parts=parts,
        weights=weights,
    )
    how = published(rows) if published else way(rows, given["cv"])
    return _dataset(file, name, content, understood.columns, rows, how, without, test_note)


APART = {
    "weights": "the weights",
    "groups": "the groups",
    "time": "the order",
    "split": "the split",
}
"""Columns that are no features, by option, and what they give."""


def _given(given: Mapping[str, str]) -> list[tuple[str, str]]:
    return [(option, given[option]) for option in APART if given[option]]


def _apart(
    file: Path, given: Mapping[str, str], names: Sequence[str], target: str
) -> dict[str, str]:
    """The columns that are no features, and what they are."""
    apart = {target: "the class"}
    for option, column in _given(given):
        if _column(file, column, names, option) == target:
            raise harness.UsageError(f"{file}: {option}={shown(column)} is the target")
        apart[column] = APART[option]
    if given["test"] and given["split"]:
        raise harness.UsageError(f"{file}: test= and split= exclude each other; choose one")
    if len(names) == 1:
        raise harness.UsageError(
            f"{file}: has one column only, '{shown(names[0])}'; if it has several, is their "
            "separator another than , ; tab and |?"
        )
    return apart


def _require_all(
    file: Path, values: pa.ChunkedArray, column: str, role: str, place_of: Callable[[int], str]
) -> None:
    if values.null_count:
        place = place_of(int(pc.index(pc.is_null(values), True).as_py()))
        first = f", first {place}" if place else ""
        count = "1 value is" if values.null_count == 1 else f"{values.null_count:,} values are"
        raise harness.UsageError(
            f"{file}, column '{shown(column)}': {count} missing{first}; every "
            f"row needs a value, because the column gives {role}"
        )


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
        f"{shown(class_name)} {count / len(rows.codes):.0%}"
        for class_name, count in list(zip(rows.names, counts, strict=True))[:5]
    )
    more = f" and {len(rows.names) - 5} more" if len(rows.names) > 5 else ""
    notes = [
        f"{len(rows.codes):,} rows{test_note}; classes: {shares}{more}",
        f"uses {len(used)} of {len(columns) - 1} columns"
        + ("; leaves out " if dropped else "")
        + ", ".join(f"{shown(c.name)} ({_brief(c.reason)})" for c in dropped),
    ]
    notes += [
        f"column '{shown(c.name)}' {c.reason[c.reason.index('may be') :]}"
        for c in used
        if "leak" in c.reason
    ]
    if without:
        notes.append(f"leaves out {without:,} row{'s' if without > 1 else ''} without a class")
    by_spelling: dict[str, str] = {}
    for class_name in rows.names:
        other = by_spelling.setdefault(" ".join(class_name.lower().split()), class_name)
        if other != class_name:
            notes.append(
                f"classes '{shown(other)}' and '{shown(class_name)}' differ only in capitals or "
                "blanks; are they one class?"
            )
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


def _brief(reason: str) -> str:
    """A reason without its explanation; a type such as ``list<item: int64>`` stays whole."""
    return reason if "<" in reason else reason.partition(":")[0]


def _listed(text: str, names: Sequence[str]) -> tuple[str, ...]:
    """The parts of a text between ``+``; a name that holds a ``+`` itself is one part."""
    pieces, parts = text.split("+"), []
    while pieces:
        ends = range(len(pieces), 0, -1)
        end = next((i for i in ends if "+".join(pieces[:i]) in names), 1)
        part = "+".join(pieces[:end])
        parts.append(part if part in names else part.strip())
        pieces = pieces[end:]
    return tuple(part for part in parts if part)


def _column(file: Path, column: str, names: Sequence[str], option: str) -> str:
    """The column of this name.

    Raises:
        harness.UsageError: there is none; names the nearest.
    """
    if column in names:
        return column
    alike = [name for name in names if name.lower() == column.lower()]
    near = alike or difflib.get_close_matches(column, names, 3, 0.5)
    hint = (
        f"did you mean {' or '.join(repr(shown(name)) for name in near)}?" if near else _some(names)
    )
    raise harness.UsageError(f"{file}: {option}={shown(column)} is no column; {hint}")


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - 10} more" if len(names) > 10 else ""
    return f"the columns are {', '.join(map(shown, names[:10]))}{more}"


def _wishes(file: Path, given: Mapping[str, str], names: Sequence[str], target: str) -> Wishes:
    listed = {
        option: tuple(
            _column(file, column, names, option) for column in _listed(given[option], names)
        )
        for option in ("drop", "numeric", "categorical", "dates", "monthfirst")
    }
    claimed: dict[str, str] = {}
    for option, columns in listed.items():
        for column in columns:
            if column == target and option != "categorical":
                raise harness.UsageError(
                    f"{file}, column '{shown(column)}': it is the target, so {option}= excludes it"
                )
            if claimed.get(column, option) != option:
                raise harness.UsageError(
                    f"{file}, column '{shown(column)}': {claimed[column]} and {option} exclude "
                    "each other; choose one"
                )
            claimed[column] = option
    return Wishes(*listed.values())


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


def _read_test_file(file: Path, content: Read, test: Path, missing: Sequence[str]) -> Read:
    if test.resolve() == file.resolve():
        raise harness.UsageError(
            f"{test}: is the training file itself; name another file as --test, or leave it out"
        )
    other = read(test, missing=missing)
    names = other.table.column_names
    lacking = [name for name in content.table.column_names if name not in names]
    if lacking:
        near = difflib.get_close_matches(lacking[0], names, 1, 0.5)
        hint = f"is it '{shown(near[0])}' there?" if near else _some(names)
        raise harness.UsageError(
            f"{test}: has no column '{shown(lacking[0])}', but {file} has it; {hint}"
        )
    return other


def _with_rows_of(
    file: Path, content: Read, test: Path, other: Read, wishes: Wishes
) -> tuple[pa.Table, list[str]]:
    """The rows of both files, and the part of each row."""
    columns = {}
    for name in content.table.column_names:
        pair = [content.table[name], other.table[name]]
        if any(pa.types.is_dictionary(values.type) for values in pair):
            pair = [
                values.cast(values.type.value_type)
                if pa.types.is_dictionary(values.type)
                else values
                for values in pair
            ]
        if wishes.use_of(name) in ("category", "dropped"):
            with contextlib.suppress(pa.ArrowException):
                pair = [values.cast(pa.string()) for values in pair]
        try:
            tables = [pa.table({name: values}) for values in pair]
            columns[name] = pa.concat_tables(tables, promote_options="permissive")[name]
        except pa.ArrowException as error:
            first, second = (type_name(values.type) for values in pair)
            raise harness.UsageError(
                f"{test}, column '{shown(name)}': holds the type {second}, but in {file} the type "
                f"{first}; write categorical={shown(name)} or drop={shown(name)}"
            ) from error
    parts = ["train"] * content.table.num_rows + ["test"] * other.table.num_rows
    return pa.table(columns), parts


def _classes(file: Path, values: pa.ChunkedArray, target: str) -> tuple[tuple[str, ...], Codes]:
    """Names of the classes, and each row's class."""
    place = f"{file}, column '{shown(target)}'"
    if pa.types.is_dictionary(values.type):
        values = values.cast(values.type.value_type)
    if pa.types.is_nested(values.type) or pa.types.is_binary(values.type):
        raise harness.UsageError(f"{place}: holds the type {values.type}, which is no class")
    encoded = pc.dictionary_encode(values.combine_chunks())
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.chunk(0)
    distinct = encoded.dictionary.to_pylist()
    n_rows = len(values)
    if len(distinct) == 1:
        raise harness.UsageError(
            f"{place}: all rows have the class '{shown(distinct[0])}'; a classifier needs two "
            "classes"
        )
    has_fractions = pa.types.is_floating(values.type) or pa.types.is_decimal(values.type)
    is_number = has_fractions or pa.types.is_integer(values.type)
    has_fractions = has_fractions and any(float(value) % 1 for value in distinct)
    most = FEW_VALUES if has_fractions else MOST_CLASSES
    if is_number and len(distinct) > min(most, n_rows / 2 if n_rows >= 10 else n_rows):
        raise harness.UsageError(
            f"{place}: {len(distinct):,} different numbers in {n_rows:,} rows, so this looks like "
            "regression; harness compares classifiers: make a few classes of them in a column of "
            "its own, such as low and high"
        )
    if len(distinct) > MOST_CLASSES:
        raise harness.UsageError(
            f"{place}: {len(distinct):,} different classes in {n_rows:,} rows; more than "
            f"{MOST_CLASSES} cannot be compared; is it the right column?"
        )
    if len(distinct) == n_rows:
        raise harness.UsageError(
            f"{place}: each row has a class of its own; at least one class needs two rows; is it "
            "the right column?"
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


def _weights(
    file: Path, values: pa.ChunkedArray, column: str, place_of: Callable[[int], str]
) -> np.ndarray[Any, np.dtype[np.float64]]:
    """The rows' weights.

    Raises:
        harness.UsageError: a weight is no finite number from 0, or all are 0; names the row.
    """
    where = f"{file}, column '{shown(column)}'"

    def refuse(faulty: pa.ChunkedArray) -> None:
        row = pc.index(faulty, True).as_py()
        if row >= 0:
            value = values[row].as_py()
            text = f"{value:g}" if isinstance(value, float) else shown(value)
            raise harness.UsageError(
                f"{where}: the weight {f'{text} {place_of(row)}'.strip()} is no finite number from "
                "0; leave such rows out, or correct it"
            )

    if pa.types.is_dictionary(values.type):
        values = values.cast(values.type.value_type)
    if pa.types.is_string(values.type) or pa.types.is_large_string(values.type):
        numbers = pa.chunked_array([plain_numbers(values.combine_chunks())])
        refuse(pc.is_null(numbers))
        values = numbers
    try:
        values = values.cast(pa.float64())
    except pa.ArrowException:
        raise harness.UsageError(
            f"{where}: holds the type {type_name(values.type)}, not numbers, so it gives no weights"
        ) from None
    refuse(pc.invert(pc.and_(pc.is_finite(values), pc.greater_equal(values, 0.0))))
    weights = np.asarray(values)
    if not weights.any():
        raise harness.UsageError(f"{where}: all weights are 0; at least one must be larger")
    return weights


def _groups(file: Path, values: pa.ChunkedArray, column: str) -> np.ndarray[Any, np.dtype[Any]]:
    """Each row's group, as a number."""
    try:
        if pa.types.is_dictionary(values.type):
            values = values.cast(values.type.value_type)
        encoded = pa.chunked_array([pc.dictionary_encode(values.combine_chunks())])
        return np.asarray(encoded.chunk(0).indices)
    except (pa.ArrowException, TypeError) as error:
        raise harness.UsageError(
            f"{file}, column '{shown(column)}': holds the type {values.type}, which cannot name "
            "groups"
        ) from error


def _order(
    file: Path, values: pa.ChunkedArray, column: str, *, month_first: bool
) -> tuple[np.ndarray[Any, np.dtype[Any]], str]:
    """Numbers that order rows in time, and a remark on dates that can be read in two ways."""
    remark = ""
    if pa.types.is_dictionary(values.type):
        values = values.cast(values.type.value_type)
    kind = values.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        dates = as_dates(values, month_first=month_first)
        if dates:
            values, kind, remark = dates.values, dates.values.type, dates.remark
    try:
        if pa.types.is_date(kind):
            values = values.cast(pa.timestamp("s"))
        if pa.types.is_temporal(values.type):
            whole = pa.int32() if pa.types.is_time32(kind) else pa.int64()
            values = values.cast(whole)
        elif pa.types.is_decimal(kind):
            values = values.cast(pa.float64())
        if pa.types.is_integer(values.type) or pa.types.is_floating(values.type):
            return np.asarray(values), remark
    except pa.ArrowException:
        pass
    raise harness.UsageError(
        f"{file}, column '{shown(column)}': not all its values are numbers, or dates written in "
        "one way such as 2026-11-27, so it does not order the rows"
    )
