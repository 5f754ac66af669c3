"""Runs as folders of JSON and Parquet, for git and for other tools.

A folder has for each run a folder of its own with these files:

- ``run.json``: its name, times, request and environment, the planned pairings, and the timings;
- ``results.parquet``: a row a trial: dataset, model, seeds, status, scores (``score:accuracy``),
  seconds, bytes, reasons, and the names of the classes;
- ``predictions.parquet``: a row for each test row of each trial, by the trial's ``key``: the true
  class, and the probabilities of all classes (or, where these were not kept, what followed from
  them);
- ``traces.parquet``: the likelihoods by epoch, of trials that tell them;
- ``sketches.parquet``: what pictures of decision regions are drawn from, as NumPy's npz.

The same run gives the same bytes.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from harness.contract.values import Predictions
from harness.errors import UsageError, cannot_write
from harness.statistics.rows import derived
from harness.store import database as tables
from harness.store.merging import OF_RESULTS, Row, WholeRun

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

FORMAT = 1
RUN, RESULTS = "run.json", "results.parquet"
PREDICTIONS, TRACES, SKETCHES = "predictions.parquet", "traces.parquet", "sketches.parquet"
SCORE = "score:"
"""How the column of a score begins."""

OF_RUN = ("name", "started", "finished", "asked", "environment", "n_trials", "planned")
JSON_COLUMNS = ("dataset_parameters", "model_parameters")
DERIVED = ("predicted", "log_probability", "confidence", "brier")


ROWS = pa.schema(
    [
        ("key", pa.string()),
        ("row", pa.int32()),
        ("true", pa.uint16()),
        ("probabilities", pa.list_(pa.float32())),
        ("predicted", pa.uint16()),
        *((name, pa.float32()) for name in DERIVED[1:]),
        ("weight", pa.float32()),
    ]
)
"""The columns of predictions.parquet."""


def write_runs(folder: Path, runs: Iterable[WholeRun]) -> Iterator[Path]:
    """Write each run to a folder of its own below ``folder``; yields these folders.

    Raises:
        UsageError: the folder cannot be written to.
    """
    for whole in runs:
        place = folder / _name(whole.run)
        try:
            place.mkdir(parents=True, exist_ok=True)
            (place / RUN).write_text(_run_json(whole), encoding="utf-8")
            for name, table in _tables(whole).items():
                if len(table) or name == RESULTS:
                    pq.write_table(table, place / name, compression="zstd")
                else:
                    (place / name).unlink(missing_ok=True)
        except OSError as error:
            raise cannot_write(place, error) from error
        yield place


def read_runs(folder: Path) -> Iterator[WholeRun]:
    """Read the runs that `write_runs` wrote to a folder, or the one of a run's own folder.

    Raises:
        UsageError: there is no such folder, it has no runs, or a file is broken.
    """
    places = sorted(file.parent for file in folder.glob(f"*/{RUN}"))
    if (folder / RUN).is_file():
        places = [folder]
    if not places:
        raise UsageError(
            f"'{folder}' has no runs: no {RUN} in it or in a folder below; name a folder that "
            "`harness export` wrote"
        )
    for place in places:
        try:
            yield _read(place)
        except UsageError:
            raise
        except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
            line = " ".join(str(error).split())
            raise UsageError(f"'{place}' is no run that can be read: {line:.200}") from error


def _name(run: Row) -> str:
    """A folder's name: when the run started, and its name or number."""
    started = re.sub(r"[^0-9T]", "", str(run["started"]).partition("+")[0])
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", str(run["name"])).strip("-.")[:60]
    return f"{started}-{name or run['id']}"


def _run_json(whole: WholeRun) -> str:
    timings = [
        {name: value for name, value in row.items() if name not in ("id", "run_id", "samples")}
        | {"samples": tables.unpack_samples(row["samples"], row["processes"])}
        for row in whole.timings
    ]
    told = {"format": FORMAT} | {name: whole.run[name] for name in OF_RUN} | {"timings": timings}
    return json.dumps(told, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def _tables(whole: WholeRun) -> dict[str, pa.Table]:
    keys = {row["id"]: row["key"] for row in whole.results}
    by_id: dict[int, Row] = {row["id"]: dict(row) for row in whole.results}
    for row in whole.children.get(tables.scores, ()):
        by_id[row["result_id"]][f"{SCORE}{row['metric']}"] = row["value"]
    predicted = dict(_predictions(whole))
    for result_id, rows in predicted.items():
        by_id[result_id]["class_names"] = list(rows.class_names)
    columns = [column.name for column in tables.results.c if column.name not in ("id", "run_id")]
    scores = sorted({name for row in by_id.values() for name in row if name.startswith(SCORE)})
    return {
        RESULTS: _table(
            [
                row | {name: json.dumps(row[name]) for name in JSON_COLUMNS}
                for row in by_id.values()
            ],
            [*columns, *scores, "class_names"],
        ),
        PREDICTIONS: _rows_table(whole, predicted),
        TRACES: _table(
            [row | {"key": keys[row["result_id"]]} for row in whole.children[tables.traces]],
            ["key", "epoch", "train_likelihood", "test_likelihood"],
        ),
        SKETCHES: _table(
            [row | {"key": keys[row["result_id"]]} for row in whole.children[tables.sketches]],
            ["key", "arrays"],
        ),
    }


def _table(rows: list[Row], columns: list[str]) -> pa.Table:
    """Rows as a table, with the types of the store's columns."""
    types = {
        column.name: _type(column)
        for table in (tables.results, tables.traces, tables.sketches)
        for column in table.c
    }
    types["class_names"] = pa.list_(pa.string())
    fields = [pa.field(name, types.get(name, pa.float64())) for name in columns]
    return pa.Table.from_pylist(
        [{name: row.get(name) for name in columns} for row in rows], schema=pa.schema(fields)
    )


def _type(column: Any) -> pa.DataType:
    kinds = {int: pa.int64(), float: pa.float64(), bool: pa.bool_(), bytes: pa.binary()}
    try:
        return kinds.get(column.type.python_type, pa.string())
    except NotImplementedError:
        return pa.string()


def _predictions(whole: WholeRun) -> Iterator[tuple[int, Predictions]]:
    """The predictions of each result that has some, with its id."""
    for row in whole.children.get(tables.probabilities, ()):
        yield (
            row["result_id"],
            tables.unpack_probabilities(
                row["class_names"], row["true_class"], row["probabilities"]
            ),
        )
    for row in whole.children.get(tables.predictions, ()):
        packed = {name: value for name, value in row.items() if name != "result_id"}
        yield row["result_id"], tables.unpack(**packed)


def _rows_table(whole: WholeRun, predicted: Mapping[int, Predictions]) -> pa.Table:
    """The test rows of all results, one after another."""
    keys = {row["id"]: row["key"] for row in whole.results}
    weights = {
        row["result_id"]: tables.unpack_weights(row["weights"])
        for row in whole.children.get(tables.weights, ())
    }
    batches = []
    for result_id, rows in predicted.items():
        n = len(rows.true)
        kept = rows.probabilities is not None
        columns: dict[str, Any] = {
            "key": [keys[result_id]] * n,
            "row": np.arange(n, dtype=np.int32),
            "true": rows.true,
            "probabilities": list(rows.probabilities) if rows.probabilities is not None else None,
            "weight": weights.get(result_id),
        }
        columns |= {name: None if kept else getattr(rows, name) for name in DERIVED}
        arrays = [
            pa.nulls(n, field.type)
            if columns[field.name] is None
            else pa.array(columns[field.name], field.type)
            for field in ROWS
        ]
        batches.append(pa.record_batch(arrays, schema=ROWS))
    return pa.Table.from_batches(batches, schema=ROWS)


def _read(place: Path) -> WholeRun:
    told = json.loads((place / RUN).read_text(encoding="utf-8"))
    if told.get("format") != FORMAT:
        raise UsageError(
            f"'{place / RUN}' has format {told.get('format')!r:.20}, this harness reads {FORMAT}"
        )
    timings = [row | {"samples": tables.pack_samples(row["samples"])} for row in told["timings"]]
    whole = WholeRun({"id": 0} | {name: told[name] for name in OF_RUN}, timings=timings)
    whole.children.update({table: [] for table in OF_RESULTS})
    ids: dict[str, int] = {}
    names: dict[str, tuple[str, ...]] = {}
    for row in pq.read_table(place / RESULTS).to_pylist():
        result_id = ids[row["key"]] = len(ids)
        names[row["key"]] = tuple(row.pop("class_names") or ())
        values = {name: row.pop(name) for name in list(row) if name.startswith(SCORE)}
        row |= {name: json.loads(row[name]) for name in JSON_COLUMNS}
        whole.results.append({"id": result_id} | row)
        whole.children[tables.scores] += [
            {"result_id": result_id, "metric": name.removeprefix(SCORE), "value": value}
            for name, value in values.items()
            if value is not None
        ]
    for file, table in ((TRACES, tables.traces), (SKETCHES, tables.sketches)):
        if (place / file).is_file():
            whole.children[table] += [
                {"result_id": ids[row.pop("key")]} | row
                for row in pq.read_table(place / file).to_pylist()
            ]
    if (place / PREDICTIONS).is_file():
        for key, rows in _read_predictions(place / PREDICTIONS, names):
            of_result = {"result_id": ids[key]}
            table = tables.predictions if rows.probabilities is None else tables.probabilities
            whole.children[table].append(of_result | tables.pack(rows))
            if rows.weights is not None:
                packed = tables.pack_weights(rows.weights)
                whole.children[tables.weights].append(of_result | {"weights": packed})
    return whole


def _read_predictions(
    file: Path, names: Mapping[str, tuple[str, ...]]
) -> Iterator[tuple[str, Predictions]]:
    """Each trial's key with its predictions; a trial's rows stand together."""
    table = pq.read_table(file, schema=ROWS)
    keys = table["key"].to_numpy(zero_copy_only=False)
    starts = [i for i in range(len(keys)) if not i or keys[i] != keys[i - 1]]
    for start, end in zip(starts, [*starts[1:], len(keys)], strict=True):
        part = table.slice(start, end - start)
        key = str(keys[start])
        true = part["true"].to_numpy().astype(np.uint16)
        weights = None
        if not part["weight"].null_count:
            weights = part["weight"].to_numpy().astype(np.float32)
        if part["probabilities"].null_count:
            floats = {name: part[name].to_numpy() for name in DERIVED}
            yield key, Predictions(true, **floats, weights=weights)
            continue
        values = part["probabilities"].combine_chunks().flatten().to_numpy(zero_copy_only=False)
        probabilities = values.astype(np.float32).reshape(len(true), len(names[key]))
        yield (
            key,
            replace(
                derived(true, probabilities),
                probabilities=probabilities,
                class_names=names[key],
                weights=weights,
            ),
        )
