"""Draw each split once, in a separate process, and share it with every trial of its repeat.

The split is written to two files. The first has the columns and the training labels; trials map it
into their memory read-only. The second has the test labels; trials get it only to score epochs. The
files have no name, so that they vanish with the last process that has them open.
"""

from __future__ import annotations

import errno
import re
import sys
import tempfile
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any, NotRequired, TypeAlias, TypedDict

import numpy as np

from harness.contract.values import Sketch
from harness.errors import DatasetError
from harness.processes.packing import pack, unpack
from harness.trials.preparation import PARTS, Encoded, Prepared, frame_of, leaves, prepare
from harness.trials.regions import SCALED, is_asked, principal
from harness.trials.trial import Facts, Material, draw, failure_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from harness.contract.values import Array, Choice, Failure, Needs
    from harness.processes.client import Call
    from harness.processes.packing import Packing
    from harness.processes.serving import Inside
    from harness.trials.preparation import Allocate

    Arrays = dict[str, NDArray[Any]]

JSON: TypeAlias = dict[str, Any]
"""A message of another process, whose keys depend on the call and on whether it failed."""

Categories: TypeAlias = list[list[str | None]]
"""The categories of each categorical column, in the order of their codes."""


class TableJSON(TypedDict):
    """The JSON part of both tables of a split, prepared for one model's needs.

    Without categorical columns the lists of categories are empty.
    """

    frame: str  # dtype of the numbers of a DataFrame; empty for an array
    categorical: list[int]
    X_train: Categories
    X_test: Categories


class SplitJSON(TypedDict):
    """The JSON part of a split; `tables` has one entry for each of the models' needs."""

    classes: list[str]
    features: list[str]
    tables: list[TableJSON]
    n_repeated: int
    identifiers: list[str]
    drawn: str
    sketch: NotRequired[list[str] | None]
    loaded: list[str]


MODULES = 20_000  # names of loaded modules that are accepted from a process, at most
_DIGEST = re.compile(r"[0-9a-f]{1,64}")
_MODULE = re.compile(r"[A-Za-z_][\w.]{0,200}")


def draw_there(
    inside: Inside,
    choice: Choice,
    seed: int,
    repeat: int,
    needs: Sequence[Needs],
    sketched: bool,
) -> tuple[SplitJSON | JSON, Arrays]:
    """Draw a split and prepare it; called in a process that has loaded the dataset's plugin.

    Args:
        inside: the process; its one file is for the labels of the test part.
        choice: the dataset and its parameters.
        seed: seed of the split.
        repeat: the number of the repeat, which tells the fold.
        needs: the models' needs, without duplicates; the split is prepared for each.
        sketched: whether the split is drawn in pictures.
    """
    dataset = inside.held.registry.datasets[choice.name]
    n_before = len(sys.modules)
    answer = inside.answer
    assert answer is not None
    try:
        data = draw(dataset, seed, dict(choice.parameters), repeat)
        if any(leaves(data, need) for need in needs):
            data = _moved(answer, dataset.name, data)
        arrays: Arrays = {"trained": data.trained, "y_train": data.y_train}
        hidden: Arrays = {"y_test": data.y_test}
        if data.weights_train is not None:
            arrays["weights"] = data.weights_train
        if data.weights_test is not None:
            hidden["weights"] = data.weights_test
        tables: list[TableJSON] = []
        scaled = None
        for i, need in enumerate(needs):
            prepared = _prepared(dataset.name, data, need, partial(_room, answer, i))
            scaled = prepared if need == SCALED else scaled
            arrays[f"labels_{i}"] = prepared.y_train
            tables.append(_put_tables(answer, arrays, i, prepared, need.dtype))
        split_json: SplitJSON = {
            "classes": list(data.class_names),
            "features": list(data.feature_names),
            "tables": tables,
            "n_repeated": data.n_repeated,
            "identifiers": list(data.identifiers),
            "drawn": data.digest,
            "loaded": [],
        }
        if sketched:
            split_json["sketch"] = _sketch(arrays, data, scaled)
        split_json["loaded"] = loaded_since(n_before)
        with _on_disk(dataset.name):
            pack(inside.files[0], None, hidden)
            for name, array in arrays.items():
                answer.put(name, array)
    except BaseException as error:  # noqa: BLE001  # whatever it raises is the dataset's fault
        failure = failure_of(error)
        reason = failure.reason
        if not isinstance(error, DatasetError):
            reason = f"dataset '{dataset.name}': split raised {reason}"
        answer.clear()
        return {"fault": [reason, failure.traceback]}, {}
    return split_json, {}


def glance_there(
    inside: Inside, choice: Choice, seed: int, repeat: int, n_rows: int
) -> tuple[JSON, Arrays]:
    """A preview of a split: shape, classes, column names and first rows; nothing is kept."""
    dataset = inside.held.registry.datasets[choice.name]
    try:
        data = draw(dataset, seed, dict(choice.parameters), repeat)
    except BaseException as error:  # noqa: BLE001  # whatever it raises is the dataset's fault
        reason = str(error) if isinstance(error, DatasetError) else failure_of(error).reason
        return {"fault": [reason, ""]}, {}
    return {
        "shape": [*data.X_train.shape, len(data.X_test)],
        "classes": [
            [name, *(int((y == code).sum()) for y in (data.y_train, data.y_test))]
            for code, name in enumerate(data.class_names)
        ],
        "features": list(data.feature_names),
        "rows": [
            [*row, data.class_names[code]]
            for row, code in zip(data.first_rows(n_rows), data.y_train, strict=False)
        ],
    }, {}


def _moved(answer: Packing, name: str, data: Encoded) -> Encoded:
    """The split with its tables moved from memory to the answer's file.

    This frees memory for preparing: most of the time of drawing a large table goes into getting new
    memory from the operating system.
    """
    with _on_disk(name):
        train, test = (
            answer.room(part, table.shape, table.dtype)
            for part, table in zip(PARTS, (data.X_train, data.X_test), strict=True)
        )
    np.copyto(train, data.X_train)
    np.copyto(test, data.X_test)
    return replace(data, X_train=train, X_test=test)


def _room(
    answer: Packing, needs_index: int, part: str, shape: tuple[int, ...], dtype: str
) -> Array:
    """An empty table in the file that trials map into their memory."""
    with _on_disk():
        return answer.room(f"{part}_{needs_index}", shape, dtype)


@contextmanager
def _on_disk(name: str = "") -> Iterator[None]:
    """Raise a DatasetError that says so if the disk is full while a split is written."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        whose = f"dataset '{name}': " if name else ""
        raise DatasetError(
            f"{whose}no space is left in {tempfile.gettempdir()} for its split; free some, or set "
            "TMPDIR to a folder with more"
        ) from None


def _prepared(name: str, data: Encoded, needs: Needs, room: Allocate) -> Prepared:
    try:
        return prepare(data, needs, room)
    except DatasetError as error:
        raise DatasetError(f"dataset '{name}': {error}") from error


def _sketch(arrays: Arrays, data: Encoded, scaled: Prepared | None) -> list[str] | None:
    """Add what a picture needs to `arrays`: the columns themselves, or principal components.

    Returns the names of the principal components; None without them.
    """
    if is_asked(data):
        for part in ("X_train", "X_test"):
            arrays[f"drawn_{part}"] = getattr(data, part).astype(np.float64)
        return None
    with suppress(Exception):  # a trial without a picture has not failed
        if (picture := principal(data, scaled)) is not None:
            arrays["points"], arrays["rows"] = picture.points, picture.rows
            return list(picture.input_names)
    return None


def fault_of(answer: Any) -> tuple[str, str] | None:
    """The reason and traceback of an answer without a split; None if it has a split."""
    if not isinstance(answer, dict):
        return "its process sent an invalid message", ""
    if "fault" not in answer:
        return None
    reason, traceback = answer["fault"]
    return str(reason), str(traceback)


def misfit(split_json: SplitJSON, arrays: Arrays, labels: Arrays, needs: Sequence[Needs]) -> str:
    """The fault of a split that a plugin's process wrote; empty if the split is valid.

    Args:
        split_json: the JSON part of the split, which may break its type in any way.
        arrays: the tables, and the labels of the training part.
        labels: the labels of the test part.
        needs: the needs that the tables were prepared for.

    Raises:
        LookupError, TypeError, ValueError, AttributeError: the split has another structure.
    """
    names, features, y_train, y_test = (
        split_json["classes"],
        split_json["features"],
        arrays["y_train"],
        labels["y_test"],
    )
    texts = [*names, *features, *split_json["identifiers"]]
    if not all(isinstance(text, str) for text in texts):
        return "names of classes or columns that are not strings"
    if not _DIGEST.fullmatch(split_json["drawn"]):
        return "an invalid digest"
    trained, n_train, n_test = arrays["trained"], len(y_train), len(y_test)
    integers = [y_train, y_test, trained, *(arrays[f"labels_{i}"] for i in range(len(needs)))]
    if any(column.ndim != 1 or column.dtype.kind != "i" or not len(column) for column in integers):
        return "encoded labels that are not one-dimensional integers"
    K = len(trained)
    if trained[0] < 0 or trained[-1] >= len(names) or (np.diff(trained) <= 0).any():
        return "indices of classes that are out of range or not increasing"
    if not np.isin(y_train, trained).all() or not np.isin(y_test, trained).all():
        return "labels out of range"
    if not 0 <= int(split_json["n_repeated"]) <= n_test or len(split_json["tables"]) != len(needs):
        return "an impossible number of repeated rows or of tables"
    for part, n_rows in ((arrays, n_train), (labels, n_test)):
        weights = part.get("weights")
        if weights is not None and (weights.dtype != np.float64 or weights.shape != (n_rows,)):
            return f"weights of type {weights.dtype} and shape {weights.shape}"
        if weights is not None and not (np.isfinite(weights) & (weights >= 0)).all():
            return "weights that are negative or not finite"
        if weights is not None and not weights.any():
            return "weights that are all 0"
    for i, table_json in enumerate(split_json["tables"]):
        coded = arrays[f"labels_{i}"]
        if len(coded) != n_train or coded.min() < 0 or coded.max() >= K:
            return "labels out of range"
        if fault := _table_misfit(table_json, arrays, i, (n_train, n_test), needs[i]):
            return fault
    return ""


def _table_misfit(
    table_json: TableJSON, arrays: Arrays, i: int, n_rows: tuple[int, int], needs: Needs
) -> str:
    """The fault of both tables that were prepared for the i-th needs; empty if they are valid."""
    categorical = table_json["categorical"]
    if table_json["frame"] != (needs.dtype if needs.frame else ""):
        return "tables of another kind than the model needs"
    widths = set()
    for part, length in zip(PARTS, n_rows, strict=True):
        if not categorical:
            table = arrays[f"{part}_{i}"]
            if table.dtype != needs.dtype or table.ndim != 2 or len(table) != length:
                return f"{part} of {table.dtype} {table.shape}"
            widths.add(table.shape[1])
            continue
        numbers, codes = arrays[f"{part}_{i}_numbers"], arrays[f"{part}_{i}_codes"]
        if numbers.dtype != np.float64 or codes.dtype != np.int32:
            return f"{part} of {numbers.dtype} and {codes.dtype}"
        if numbers.shape[0] != length or codes.shape != (length, len(categorical)):
            return f"{part} of {numbers.shape} and {codes.shape}"
        if any(
            column.min() < 0 or column.max() >= len(categories)
            for column, categories in zip(codes.T, table_json[part], strict=True)
        ):
            return f"{part} with categories out of range"
        widths.add(numbers.shape[1] + codes.shape[1])
    if len(widths) != 1 or not all(
        type(column) is int and 0 <= column < min(widths) for column in categorical
    ):
        return "tables of different widths, or categorical columns out of range"
    return ""


def told_by(call: Call, name: str) -> JSON:
    """The JSON that an ended call to `draw_there` or `glance_there` returned.

    Raises:
        DatasetError: the call failed to draw a split.
    """
    answer, failure = call.result()
    if failure is not None:
        raise DatasetError(blamed(failure, name).reason)
    if fault := fault_of(answer):
        raise DatasetError(fault[0])
    return dict(answer)


def material_of(file: int, needs_index: int, labels: Callable[[], int]) -> Material:
    """A trial's input, mapped into memory from the files of its split.

    Args:
        file: descriptor of the split that `draw_there` wrote.
        needs_index: index of the model's needs among those that the split was prepared for.
        labels: returns the descriptor of the test part's labels.
    """
    split_json: SplitJSON
    split_json, arrays = unpack(file)
    table = split_json["tables"][needs_index]
    categorical = tuple(table["categorical"])
    y_train = arrays[f"labels_{needs_index}"]
    X_train, X_test = (
        _take_frame(
            arrays,
            f"{part}_{needs_index}",
            table[part],
            categorical,
            split_json["features"],
            table["frame"],
        )
        if table["frame"]
        else _take(arrays, f"{part}_{needs_index}", table[part], categorical)
        for part in PARTS
    )
    drawn = None
    if "drawn_X_train" in arrays:
        blank = np.zeros(len(X_test), dtype=np.intp)
        drawn = Encoded(
            arrays["drawn_X_train"],
            arrays["y_train"],
            arrays["drawn_X_test"],
            blank,
            tuple(split_json["classes"]),
            tuple(split_json["features"]),
        )
    return Material(
        Prepared(X_train, X_test, y_train, categorical, arrays.get("weights")),
        lambda: facts_of(file, needs_index, labels()),
        len(arrays["trained"]),
        drawn,
    )


def facts_of(file: int, needs_index: int, labels: int) -> Facts:
    """What scoring a trial needs besides predictions, from the files of its split."""
    split_json: SplitJSON
    split_json, arrays = unpack(file)
    _, hidden = unpack(labels)
    return Facts(
        arrays[f"labels_{needs_index}"],
        hidden["y_test"],
        arrays["trained"],
        tuple(split_json["classes"]),
        split_json["n_repeated"],
        tuple(split_json["identifiers"]),
        split_json["drawn"],
        arrays.get("weights"),
        hidden.get("weights"),
    )


def names_of_split(file: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names of a split's classes and of its columns."""
    split_json: SplitJSON
    split_json, _ = unpack(file)
    return tuple(split_json["classes"]), tuple(split_json["features"])


def principal_of(file: int) -> Sketch | None:
    """The picture of a split with more than two columns, if it has one."""
    split_json: SplitJSON
    split_json, arrays = unpack(file)
    if "points" not in arrays:
        return None
    names = split_json["sketch"]
    assert names is not None  # `_sketch` returned them when it added the points
    classes = tuple(split_json["classes"])
    return Sketch(classes, tuple(names), arrays["points"], arrays["rows"])


def _put_tables(
    answer: Packing, arrays: Arrays, i: int, prepared: Prepared, dtype: str
) -> TableJSON:
    """Add both tables to `arrays`, unless `answer` has them already; return their JSON part."""
    categories = [
        []
        if (name := f"{part}_{i}") in answer.names
        else _put(arrays, name, getattr(prepared, part), prepared.categorical)
        for part in PARTS
    ]
    return {
        "frame": dtype if _is_frame(prepared.X_train) else "",
        "categorical": list(prepared.categorical),
        "X_train": categories[0],
        "X_test": categories[1],
    }


def _is_frame(table: Any) -> bool:
    return not isinstance(table, np.ndarray)


def _put(arrays: Arrays, name: str, table: Any, categorical: tuple[int, ...]) -> Categories:
    """Add a table to `arrays`, categories as codes; return the categories by column."""
    if _is_frame(table):
        return _put_frame(arrays, name, table, categorical)
    if table.dtype != object:
        arrays[name] = table
        return []
    numbers = [i for i in range(table.shape[1]) if i not in categorical]
    arrays[f"{name}_numbers"] = table[:, numbers].astype(np.float64)
    codes = np.empty((len(table), len(categorical)), dtype=np.int32)
    categories = []
    for position, column in enumerate(categorical):
        values = table[:, column].tolist()
        index = {value: code for code, value in enumerate(dict.fromkeys(values))}
        codes[:, position] = [index[value] for value in values]
        categories.append(list(index))
    arrays[f"{name}_codes"] = codes
    return categories


def _put_frame(arrays: Arrays, name: str, frame: Any, categorical: tuple[int, ...]) -> Categories:
    """Add a DataFrame to `arrays`; a missing category has the code of the last one, None."""
    numbers = [i for i in range(frame.shape[1]) if i not in categorical]
    block = frame.iloc[:, numbers].to_numpy()
    if not categorical:
        arrays[name] = block
        return []
    arrays[f"{name}_numbers"] = block.astype(np.float64)
    categories: Categories = []
    codes = np.empty((len(frame), len(categorical)), dtype=np.int32)
    for position, column in enumerate(categorical):
        values = frame.iloc[:, column].array
        names = [*values.categories.tolist(), None]
        codes[:, position] = np.where(values.codes < 0, len(names) - 1, values.codes)
        categories.append(names)
    arrays[f"{name}_codes"] = codes
    return categories


def _take_frame(
    arrays: Arrays,
    name: str,
    categories: Categories,
    categorical: tuple[int, ...],
    names: Sequence[str],
    dtype: str,
) -> Any:
    """The DataFrame that `_put_frame` added."""
    if not categorical:
        return frame_of(arrays[name], [], (), names)
    codes = arrays[f"{name}_codes"]
    coded = []
    for position, named in enumerate(categories):
        column = codes[:, position].astype(np.int64)
        column[column == len(named) - 1] = -1
        coded.append((column, [str(category) for category in named[:-1]]))
    numbers = arrays[f"{name}_numbers"].astype(dtype, copy=False)
    return frame_of(numbers, coded, categorical, names)


def _take(arrays: Arrays, name: str, categories: Categories, categorical: tuple[int, ...]) -> Array:
    """The array that `_put` added, read-only."""
    if not categorical:
        return arrays[name]
    numbers, codes = arrays[f"{name}_numbers"], arrays[f"{name}_codes"]
    table = np.empty((len(codes), numbers.shape[1] + len(categorical)), dtype=object)
    table[:, [i for i in range(table.shape[1]) if i not in categorical]] = numbers
    for position, column in enumerate(categorical):
        table[:, column] = np.array(categories[position], dtype=object)[codes[:, position]]
    table.setflags(write=False)
    return table


def loaded_since(n_before: int) -> list[str]:
    """Names of the modules that this process has loaded since it had `n_before` of them.

    Only the newest names are read. Reading a name counts a reference to it, which copies a page of
    memory that a fork shares with its parent.
    """
    n_new = max(0, len(sys.modules) - n_before)
    newest = list(islice(reversed(sys.modules), n_new))  # one step, whatever other threads import
    return sorted(name for name in newest if _MODULE.fullmatch(str(name)))


def modules_of(answer: Any) -> list[str]:
    """Names of the modules that a process says it has loaded; none if its answer is malformed."""
    names = answer.get("loaded") if isinstance(answer, dict) else None
    if not isinstance(names, list) or len(names) > MODULES:
        return []
    return [name for name in names if isinstance(name, str) and _MODULE.fullmatch(name)]


def blamed(failure: Failure, name: str) -> Failure:
    """A failure of the process that drew a split, blamed on the dataset."""
    return replace(failure, kind="dataset", reason=f"dataset '{name}': split {failure.reason}")
