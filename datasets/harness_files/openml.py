"""Makes datasets of OpenML's: tables, tasks with their published folds, and suites of tasks."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

import harness
from harness_files import frozen, openml_server
from harness_files.sources import Read, plain, shown
from harness_files.tables import dataset_of
from harness_files.ways import Way

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from harness_files.ways import Rows

    Numbers: TypeAlias = np.ndarray[Any, np.dtype[np.int64]]

CLASSIFICATION = "Supervised Classification"


def data(address: str, name: str, given: Mapping[str, str]) -> harness.Dataset:
    """The dataset of an address such as ``openml:61``.

    Args:
        address: the address.
        name: name of the dataset.
        given: the user's options, as in `harness_files.open_file`.

    Raises:
        harness.UsageError: it cannot be fetched or used; names the address, the fault and a way
            out.
    """
    data_id = _number(address, "dataset")
    facts = _data_facts(data_id, address)
    target = given["target"] or _only_target(address, facts["targets"])
    content = Read(frozen.table_of(f"data-{data_id}", address))
    dataset = dataset_of(Path(address), name, {**given, "target": target}, content)
    return _told(dataset, facts, address, name)


def task(address: str, name: str, given: Mapping[str, str]) -> harness.Dataset:
    """The dataset of a task such as ``openml-task:59``, with its published splits.

    Args:
        address: the address.
        name: name of the dataset.
        given: the user's options, as in `harness_files.open_file`.

    Raises:
        harness.UsageError: as `data`; or the task is not classification, or its splits are neither
            cross-validation nor hold-outs.
    """
    return _task(_number(address, "task"), address, name, given)


def suite(
    address: str, name: str, given: Mapping[str, str], skip: str
) -> Iterator[harness.Dataset]:
    """A dataset for each task of a suite such as ``openml-suite:99``.

    All tables are fetched at once, but read only when they are split.

    Args:
        address: the address.
        name: first part of the datasets' names.
        given: the user's options, as in `harness_files.open_file`.
        skip: numbers of tasks to leave out, joined by ``+``.

    Raises:
        harness.UsageError: as `task`; or the suite has tasks that are not classification.
    """
    suite_id = _number(address, "suite")
    facts = frozen.facts_of(f"suite-{suite_id}", address, lambda: _suite(suite_id, address))
    types = dict(facts["tasks"])
    skipped = [int(part) if part.isdecimal() else part for part in skip.split("+") if part]
    for task_id in skipped:
        if task_id not in types:
            raise harness.UsageError(f"{address}: skip={task_id} is none of its tasks")
    others = {i: kind for i, kind in types.items() if kind != CLASSIFICATION and i not in skipped}
    if others:
        first = next(iter(others))
        raise harness.UsageError(
            f"{address}: {len(others)} of {len(types)} tasks are not classification, such as "
            f"task {first} ({shown(others[first])}); leave them out: "
            f"{address}[skip={'+'.join(map(str, [*skipped, *others]))}]"
        )
    names: set[str] = set()
    for task_id in types:
        if task_id in skipped:
            continue
        where = f"{address}, task {task_id}"
        of_task = _task_facts(task_id, where)
        of_data = _data_facts(of_task["data_id"], where)
        title = f"{name}.{_word(of_data['name'])}"
        title = f"{title}-{task_id}" if title in names else title
        names.add(title)
        yield _unread(task_id, where, title, name, of_task, of_data, tuple(sorted(given.items())))


def _number(address: str, noun: str) -> int:
    number = address.partition(":")[2]
    if not number.isdecimal() or not number.isascii():
        scheme = address.partition(":")[0]
        raise harness.UsageError(
            f"{address}: '{number}' is no number of a {noun}; write {scheme}:31, for example, and "
            f"look numbers up at {openml_server.SERVER}/search"
        )
    return int(number)


def _word(text: str) -> str:
    """Turns a text into words that a dataset's name may contain."""
    return re.sub(r"[^A-Za-z0-9]+", "-", text).strip("-") or "dataset"


def _only_target(address: str, targets: Sequence[str]) -> str:
    if len(targets) > 1:
        raise harness.UsageError(
            f"{address}: has {len(targets)} targets ({', '.join(map(shown, targets[:6]))}); choose "
            f"one: {address}[target={shown(targets[0])}]"
        )
    return targets[0] if targets else ""  # without one, the line of `dataset_of` names columns


def _data_facts(data_id: int, where: str) -> dict[str, Any]:
    return frozen.facts_of(
        f"data-{data_id}", where, lambda: openml_server.fetch_data(data_id, where)
    )


def _told(
    dataset: harness.Dataset, facts: Mapping[str, Any], address: str, tag: str
) -> harness.Dataset:
    """The dataset with what OpenML says about its data."""
    version = f"{facts['name']}, version {facts['version']}"
    notes = [f"{version}; fetched on {facts['fetched']}, digest {facts['digest'][:12]}"]
    if facts["status"] not in ("", "active"):
        notes.append(f"OpenML calls this version {facts['status']}: it may have faults")
    notes += [f"OpenML says: {facts[key]}" for key in ("error", "warning") if facts[key]]
    return replace(
        dataset,
        description=f"{shown(facts['name'])}, {dataset.description}",
        licence=facts["licence"],
        citation=facts["citation"],
        tags=("openml", tag),
        notes=(*(f"{address}: {plain(note)}" for note in notes), *dataset.notes),
    )


# Tasks


def _task(task_id: int, address: str, name: str, given: Mapping[str, str]) -> harness.Dataset:
    facts = _task_facts(task_id, address)
    of_data = _data_facts(facts["data_id"], address)
    table = frozen.table_of(f"data-{facts['data_id']}", address)
    if facts["n_rows"] > table.num_rows:
        raise harness.UsageError(
            f"{address}: its splits name row {facts['n_rows']:,}, but dataset "
            f"{facts['data_id']} has {table.num_rows:,} rows; split it otherwise: "
            f"openml:{facts['data_id']}[cv=10]"
        )
    published = _Published.of(frozen.table_of(f"task-{task_id}", address))
    if facts["target"] in table.column_names:
        # Rows without a class are left out before rows are split.
        published = published.among(np.asarray(pc.is_valid(table[facts["target"]])))

    def way(rows: Rows) -> Way:
        def fold_of(_rng: object, fold: int, repetition: int) -> harness.Split:
            return rows.split(*published.parts(repetition, fold))

        def hold_out(_rng: object, repetition: int) -> harness.Split:
            return rows.split(*published.parts(repetition, 0))

        split = hold_out if published.n_folds == 1 else fold_of
        return Way(published.kind, published.text, split, published.repeats)

    dataset = dataset_of(
        Path(address), name, {**given, "target": facts["target"]}, Read(table), way
    )
    return _told(dataset, of_data, address, name)


def _task_facts(task_id: int, where: str) -> dict[str, Any]:
    return frozen.facts_of(f"task-{task_id}", where, lambda: _fetched_task(task_id, where))


def _fetched_task(task_id: int, where: str) -> tuple[pa.Table, dict[str, Any]]:
    facts = openml_server.fetch_task(task_id, where)
    if facts["type"] != CLASSIFICATION:
        raise harness.UsageError(
            f"{where}: the task is {shown(facts['type'])}, but harness compares classifiers; "
            f"choose a task of {CLASSIFICATION}"
        )
    otherwise = f"split its dataset otherwise: openml:{facts['data_id']}[cv=10]"
    if not facts["url"]:
        raise harness.UsageError(f"{where}: OpenML publishes no splits of it; {otherwise}")
    table = openml_server.fetch_splits(facts["url"], where)
    published = _Published.of(table)
    if not published.is_sound():
        raise harness.UsageError(
            f"{where}: its splits ({shown(facts['procedure']) or 'of no name'}) are neither "
            f"hold-outs nor cross-validation that tests each row once; {otherwise}"
        )
    facts |= {
        "kind": published.kind,
        "text": published.text,
        "n_folds": published.n_folds,
        "repeats": published.repeats,
        "n_rows": 1 + int(pc.max(table["rowid"]).as_py()),
    }
    return table, facts


@dataclass(frozen=True, slots=True)
class _Published:
    """A task's published splits.

    Args:
        rows: numbers of rows, sorted by repetition, fold and part: training first.
        ends: (n_repetitions * n_folds * 2,), where each part ends in ``rows``.
        n_folds: number of folds of a repetition; 1 for hold-outs.
    """

    rows: Numbers
    ends: Numbers
    n_folds: int

    @classmethod
    def of(cls, table: pa.Table) -> _Published:
        """The splits of `openml_server.fetch_splits`."""
        repeat, fold, row = (np.asarray(table[key]) for key in ("repeat", "fold", "rowid"))
        n_folds = int(fold.max()) + 1
        part = (repeat * n_folds + fold) * 2 + np.asarray(table["test"])
        order = np.argsort(part, kind="stable")
        n_parts = (int(repeat.max()) + 1) * n_folds * 2
        return cls(row[order], np.cumsum(np.bincount(part, minlength=n_parts)), n_folds)

    @property
    def repeats(self) -> int:
        """The number of all splits."""
        return len(self.ends) // 2

    @property
    def kind(self) -> str:
        """See `harness.Dataset`."""
        if self.n_folds > 1:
            return f"{self.n_folds}-fold"
        return "fixed" if self.repeats == 1 else "resampled"

    @property
    def text(self) -> str:
        """What the splits are, in a few words."""
        n_repetitions = self.repeats // self.n_folds
        if self.n_folds == 1:
            return (
                f"{n_repetitions} published hold-outs"
                if n_repetitions > 1
                else ("the published hold-out")
            )
        again = f", {n_repetitions} times" if n_repetitions > 1 else ""
        return f"{self.n_folds} published folds{again}"

    def parts(self, repetition: int, fold: int) -> list[Numbers]:
        """Training and test rows; repetitions beyond the last begin anew."""
        place = (repetition * self.n_folds + fold) % self.repeats * 2
        starts = np.concatenate([[0], self.ends])
        return [self.rows[starts[i] : starts[i + 1]] for i in (place, place + 1)]

    def among(self, kept: Numbers) -> _Published:
        """The splits of the kept rows, which are numbered anew."""
        if kept.all():
            return self
        is_kept = np.append(kept, np.zeros(max(0, int(self.rows.max()) + 1 - len(kept)), bool))
        stays = is_kept[self.rows]
        ends = np.concatenate([[0], np.cumsum(stays)])[self.ends]
        return replace(self, rows=(np.cumsum(is_kept) - 1)[self.rows[stays]], ends=ends)

    def is_sound(self) -> bool:
        """Whether parts have rows, and share none; and folds, if any, test each row once."""
        n_rows = int(self.rows.max()) + 1  # numbers are not negative: see `fetch_splits`
        for repetition in range(self.repeats // self.n_folds):
            n_tested = np.zeros(n_rows, dtype=np.int64)
            for fold in range(self.n_folds):
                train, test = self.parts(repetition, fold)
                n_in = np.bincount(train, minlength=n_rows)
                n_in += np.bincount(test, minlength=n_rows)
                if not len(train) or not len(test) or n_in.max() > 1:
                    return False
                n_tested[test] += 1
            if self.n_folds > 1 and not (n_tested == 1).all():
                return False
        return True


# Suites


def _suite(suite_id: int, where: str) -> tuple[pa.Table, dict[str, Any]]:
    numbers = openml_server.fetch_suite(suite_id, where)
    types = [openml_server.fetch_task(i, f"{where}, task {i}")["type"] for i in numbers]
    tasks = [list(pair) for pair in zip(numbers, types, strict=True)]
    return pa.table({"task": numbers, "type": types}), {"tasks": tasks}


def _unread(
    task_id: int,
    where: str,
    name: str,
    tag: str,
    facts: Mapping[str, Any],
    of_data: Mapping[str, Any],
    given: tuple[tuple[str, str], ...],
) -> harness.Dataset:
    """A task's dataset whose table is read when it is first split."""

    def fold_of(rng: np.random.Generator, fold: int, repetition: int) -> harness.Split:
        return _read_task(task_id, where, name, given).split(rng, fold, repetition)

    def hold_out(rng: np.random.Generator, repetition: int) -> harness.Split:
        return _read_task(task_id, where, name, given).split(rng, repetition)

    dataset = harness.Dataset(
        name,
        facts["kind"],
        hold_out if facts["n_folds"] == 1 else fold_of,
        description=f"openml-task:{task_id}; {facts['text']}.",
        repeats=facts["repeats"],
    )
    return _told(dataset, of_data, f"openml-task:{task_id}", tag)


@lru_cache(maxsize=1)  # a suite's tables may be too many for the memory of one process
def _read_task(
    task_id: int, where: str, name: str, given: tuple[tuple[str, str], ...]
) -> harness.Dataset:
    return _task(task_id, where, name, dict(given))
