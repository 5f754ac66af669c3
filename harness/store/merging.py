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

CHUNK = 500  # results in one statement


@dataclass(frozen=True, slots=True)
class WholeRun:
    """A run with all that belongs to it, as rows of the store's tables.

    Args:
        run: the row of the run.
        results: rows of its results; their ids are those that ``children`` refers to.
        children: by table, the rows that belong to results.
        timings: rows of its timings.
    """

    run: Row
    results: list[Row] = field(default_factory=list)
    children: dict[sa.Table, list[Row]] = field(default_factory=dict)
    timings: list[Row] = field(default_factory=list)

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


def whole_runs(store: Store, ids: Sequence[int] | None = None) -> Iterator[WholeRun]:
    """The runs of a store, oldest first; or those with the given ids."""
    with store.reading() as connection:
        rows = _rows(connection, tables.runs, sa.true())
        for row in sorted(rows, key=lambda row: int(row["id"])):
            if ids is None or row["id"] in ids:
                yield _whole(connection, row)


def _whole(connection: sa.Connection, run: Row) -> WholeRun:
    results = _rows(connection, tables.results, tables.results.c.run_id == run["id"])
    children: dict[sa.Table, list[Row]] = {table: [] for table in OF_RESULTS}
    for start in range(0, len(results), CHUNK):
        ids = [each["id"] for each in results[start : start + CHUNK]]
        for table, rows in children.items():
            rows += _rows(connection, table, table.c.result_id.in_(ids))
    timings = _rows(connection, tables.timings, tables.timings.c.run_id == run["id"])
    return WholeRun(run, results, children, timings)


def add_runs(store: Store, runs: Iterator[WholeRun]) -> Iterator[Added]:
    """Add runs to a store; of a run that it has already, the results that it lacks.

    Each run is one transaction.
    """
    here: dict[tuple[str, ...], list[int]] = {}
    with store.reading() as connection:
        for row in _rows(connection, tables.runs, sa.true()):
            here.setdefault(WholeRun(row).identity, []).append(int(row["id"]))
    for whole in runs:
        alike = here.get(whole.identity)  # several, if they started in the same second
        yield _added(store, whole, alike.pop(0) if alike else None)


def _added(store: Store, whole: WholeRun, known: int | None) -> Added:
    with store.writing() as connection:
        if known is None:
            ours = _insert(connection, tables.runs, [whole.run])[0]
            timings = [row | {"run_id": ours} for row in whole.timings]
            _insert(connection, tables.timings, timings)
            missing = whole.results
        else:
            ours = known
            keys = sa.select(tables.results.c.key).where(tables.results.c.run_id == ours)
            done = set(connection.execute(keys).scalars())
            missing = [row for row in whole.results if row["key"] not in done]
        ids = _insert(connection, tables.results, [row | {"run_id": ours} for row in missing])
        new_ids = dict(zip((row["id"] for row in missing), ids, strict=True))
        for table, rows in whole.children.items():
            of_missing = [
                row | {"result_id": new_ids[row["result_id"]]}
                for row in rows
                if row["result_id"] in new_ids
            ]
            if of_missing:
                connection.execute(table.insert(), of_missing)
        if known is not None and missing:
            later = {name: whole.run[name] for name in ("finished", "n_trials", "planned")}
            connection.execute(tables.runs.update().where(tables.runs.c.id == ours).values(later))
    return Added(whole.run, ours, known is None, len(missing))


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
