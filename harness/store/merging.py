"""Copies runs, with all that belongs to them, from one store into another."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from harness.store import database as tables

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from harness.contract.values import Run
    from harness.store.database import Store

OF_RESULTS = (
    *(tables.scores, tables.traces, tables.probabilities, tables.predictions),
    *(tables.weights, tables.sketches),
)
CHUNK = 500  # rows in one statement


@dataclass(frozen=True, slots=True)
class Merged:
    """What became of a run.

    Args:
        theirs: the run in the other store.
        ours: its id in this store.
        is_new: whether this store did not have the run.
        n_results: number of results that were added.
    """

    theirs: Run
    ours: int
    is_new: bool
    n_results: int


def merge(store: Store, other: Store) -> Iterator[Merged]:
    """Copy all runs of another store, and its history, that this store does not have.

    A run is the same if it started at the same time, on the same machine and with the same request;
    of a run that is here already, the results that are missing are added. Each run is one
    transaction.
    """
    here: dict[tuple[str, ...], list[Run]] = {}
    for run in store.runs():
        here.setdefault(_identity(run), []).append(run)
    for run in other.runs():
        alike = here.get(_identity(run))  # several, if they started in the same second
        yield _merged(store, other, run, alike.pop(0) if alike else None)
    store.add_points(other.points())


def _identity(run: Run) -> tuple[str, ...]:
    machine = run.environment.get("machine", {})
    told = (run.asked, machine)
    return run.started, run.name, *(json.dumps(each, sort_keys=True) for each in told)


def _merged(store: Store, other: Store, run: Run, known: Run | None) -> Merged:
    table = tables.results
    with other.reading() as source, store.writing() as target:
        row = _rows(source, tables.runs, tables.runs.c.id == run.id)[0]
        if known is None:
            ours = _added(target, tables.runs, [row])[row["id"]]
            done: set[str] = set()
            for timing in _rows(source, tables.timings, tables.timings.c.run_id == run.id):
                _added(target, tables.timings, [timing | {"run_id": ours}])
        else:
            ours = known.id
            keys = sa.select(table.c.key).where(table.c.run_id == ours)
            done = set(target.execute(keys).scalars())
        results = [
            each | {"run_id": ours}
            for each in _rows(source, table, table.c.run_id == run.id)
            if each["key"] not in done
        ]
        new_ids = _added(target, table, results)
        for start in range(0, len(results), CHUNK):
            ids = [each["id"] for each in results[start : start + CHUNK]]
            for child in OF_RESULTS:
                of_them = _rows(source, child, child.c.result_id.in_(ids))
                if of_them:
                    target.execute(
                        child.insert(),
                        [each | {"result_id": new_ids[each["result_id"]]} for each in of_them],
                    )
        if known is not None and results:
            later = {name: row[name] for name in ("finished", "n_trials", "planned")}
            target.execute(tables.runs.update().where(tables.runs.c.id == ours).values(later))
    return Merged(run, ours, known is None, len(results))


def _rows(connection: sa.Connection, table: sa.Table, where: Any) -> list[dict[str, Any]]:
    """Rows of a table as dictionaries by column."""
    query = sa.select(table).where(where)
    return [dict(row) for row in connection.execute(query).mappings()]


def _added(
    connection: sa.Connection, table: sa.Table, rows: Sequence[Mapping[str, Any]]
) -> dict[int, int]:
    """Insert rows under new ids; the new ids by the old ones."""
    ids: dict[int, int] = {}
    for row in rows:
        values = {name: value for name, value in row.items() if name != "id"}
        added = connection.execute(table.insert().values(values))
        (ids[row["id"]],) = added.inserted_primary_key or (0,)
    return ids
