"""Copies runs, with all that belongs to them, from one store into another."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

import sqlalchemy as sa

from harness.store import database as tables

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from harness.store.database import Store

Row: TypeAlias = dict[str, Any]
"""A row of a table, by column."""

OF_RESULTS = (
    *(tables.scores, tables.traces, tables.probabilities, tables.predictions),
    *(tables.weights, tables.sketches),
)
"""Tables whose rows belong to a result."""


@dataclass(frozen=True, slots=True)
class WholeRun:
    """A run with all that belongs to it, as rows of the store's tables.

    Args:
        run: the row of the run.
        results: rows of its results; their ids are those that ``children`` refers to.
        children: by table, the rows that belong to results.
        timings: rows of its timings.
        reused: rows of the results of other runs that it reuses.
    """

    run: Row
    results: list[Row] = field(default_factory=list)
    children: dict[sa.Table, list[Row]] = field(default_factory=dict)
    timings: list[Row] = field(default_factory=list)
    reused: list[Row] = field(default_factory=list)

    @property
    def identity(self) -> tuple[str, ...]:
        """What tells it from others: when and where it started, its name and its request."""
        machine = (self.run["environment"] or {}).get("machine", {})
        told = (json.dumps(each, sort_keys=True) for each in (self.run["asked"], machine))
        return str(self.run["started"]), str(self.run["name"]), *told


@dataclass(frozen=True, slots=True)
class Added:
    """What became of a run.

    Args:
        theirs: the row of the run where it comes from.
        ours: its id in this store.
        is_new: whether this store did not have the run.
        n_results: number of results that were added.
    """

    theirs: Row
    ours: int
    is_new: bool
    n_results: int


def whole_runs(
    store: Store, ids: Sequence[int] | None = None, *, by_reference: bool = False
) -> Iterator[WholeRun]:
    """The runs of a store, oldest first.

    Args:
        store: the database.
        ids: only the runs with these ids.
        by_reference: whether results that a run reuses stay those of the other run; otherwise each
            run is complete in itself, and they become its own.
    """
    with store.reading() as connection:
        rows = _rows(connection, tables.runs, sa.true())
        for row in sorted(rows, key=lambda row: int(row["id"])):
            if ids is None or row["id"] in ids:
                yield _whole(connection, row, by_reference=by_reference)


def _whole(connection: sa.Connection, run: Row, *, by_reference: bool) -> WholeRun:
    results = _rows(connection, tables.results, tables.results.c.run_id == run["id"])
    reused = _rows(connection, tables.reused, tables.reused.c.run_id == run["id"])
    if not by_reference:
        results += _made_own(connection, run, reused)
        results.sort(key=lambda row: (row["position"], row["id"]))
        reused = []
    children: dict[sa.Table, list[Row]] = {table: [] for table in OF_RESULTS}
    for start in range(0, len(results), tables.CHUNK):
        ids = [each["id"] for each in results[start : start + tables.CHUNK]]
        for table, rows in children.items():
            rows += _rows(connection, table, table.c.result_id.in_(ids))
    timings = _rows(connection, tables.timings, tables.timings.c.run_id == run["id"])
    return WholeRun(run, results, children, timings, reused)


def _made_own(connection: sa.Connection, run: Row, reused: Sequence[Row]) -> list[Row]:
    """Results that a run reuses, as its own."""
    positions = {row["result_id"]: row["position"] for row in reused}
    ids = sa.select(tables.reused.c.result_id).where(tables.reused.c.run_id == run["id"])
    return [
        row | {"run_id": run["id"], "position": positions[row["id"]]}
        for row in _rows(connection, tables.results, tables.results.c.id.in_(ids))
    ]


def add_runs(store: Store, runs: Iterator[WholeRun]) -> Iterator[Added]:
    """Add runs to a store; of a run that it has already, the results that it lacks.

    Each run is one transaction. A run that reuses results of another comes after it.
    """
    here: dict[tuple[str, ...], list[int]] = {}
    with store.reading() as connection:
        for row in _rows(connection, tables.runs, sa.true()):
            here.setdefault(WholeRun(row).identity, []).append(int(row["id"]))
    new_ids: dict[int, int] = {}  # of results, by their ids where they come from
    for whole in runs:
        alike = here.get(whole.identity)  # several, if they started in the same second
        yield _added(store, whole, alike.pop(0) if alike else None, new_ids)


def _added(store: Store, whole: WholeRun, known: int | None, new_ids: dict[int, int]) -> Added:
    with store.writing() as connection:
        done: dict[str, int] = {}
        if known is None:
            ours = _insert(connection, tables.runs, [whole.run])[0]
            timings = [row | {"run_id": ours} for row in whole.timings]
            _insert(connection, tables.timings, timings)
        else:
            ours = known
            for table, result_id in (
                (tables.results, tables.results.c.id),
                (tables.reused, tables.reused.c.result_id),
            ):
                query = sa.select(table.c.key, result_id).where(table.c.run_id == ours)
                done |= {key: int(each) for key, each in connection.execute(query)}
        missing = [row for row in whole.results if row["key"] not in done]
        ids = _insert(connection, tables.results, [row | {"run_id": ours} for row in missing])
        added = dict(zip((row["id"] for row in missing), ids, strict=True))
        for table, rows in whole.children.items():
            of_missing = [
                row | {"result_id": added[row["result_id"]]}
                for row in rows
                if row["result_id"] in added
            ]
            if of_missing:
                connection.execute(table.insert(), of_missing)
        new_ids |= {row["id"]: done[row["key"]] for row in whole.results if row["key"] in done}
        new_ids |= added
        reused = [
            row | {"run_id": ours, "result_id": new_ids[row["result_id"]]}
            for row in whole.reused
            if row["key"] not in done and row["result_id"] in new_ids
        ]
        if reused:
            connection.execute(tables.reused.insert(), reused)
        n_added = len(missing) + len(reused)
        if known is not None and n_added:
            later = {name: whole.run[name] for name in ("finished", "n_trials", "planned")}
            connection.execute(tables.runs.update().where(tables.runs.c.id == ours).values(later))
    return Added(whole.run, ours, known is None, n_added)


def _rows(connection: sa.Connection, table: sa.Table, where: Any) -> list[Row]:
    """Rows of a table that fulfil a condition."""
    return [dict(row) for row in connection.execute(sa.select(table).where(where)).mappings()]


def _insert(
    connection: sa.Connection, table: sa.Table, rows: Sequence[Mapping[str, Any]]
) -> list[int]:
    """Insert rows under new ids; returns the ids."""
    ids = []
    for row in rows:
        values = {name: value for name, value in row.items() if name != "id"}
        added = connection.execute(table.insert().values(values))
        ids.append(int((added.inserted_primary_key or (0,))[0]))
    return ids
