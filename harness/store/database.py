"""Results on disk, one row a trial, only ever appended to."""

from __future__ import annotations

import io
import json
import os
import sqlite3
import time
import zlib
from contextlib import closing, contextmanager
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import numpy as np
import sqlalchemy as sa
from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from harness.contract.columns import in_words
from harness.contract.values import Point, Predictions, Run, Sketch, Timing, written
from harness.errors import RefusedResultError, StoreError, StoreGoneError, UsageError
from harness.untrusted import bounded, hide_password, without, without_passwords

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from harness.contract.values import Result, Skip, Value

SCHEMA = 5
MIGRATIONS = {
    4: (
        "ALTER TABLE results ADD COLUMN n_repeated INTEGER",
        "ALTER TABLE results ADD COLUMN identifiers TEXT",
    ),
}
"""What makes of a schema the next one; what is older is refused."""

CREATE_TRIES = 50
NAME_LENGTH = 200
DIGITS = 9  # of an id
REASON, TRACEBACK, OUTPUT = 500, 20_000, 4_000
"""Characters of a failure that are kept: whatever a plugin says, a store stays small."""

REFUSED = (sa.exc.StatementError, ValueError, TypeError, OverflowError, KeyError, AttributeError)
"""What may be raised over one result: values that a column does not take, or that are none."""

WORDS = {"last": 1, "previous": 2}
"""What names a run by its place from the end."""

BUSY = 60.0  # seconds to wait for another run that writes to the same SQLite file

metadata = MetaData()

schema_versions = Table("harness_schema", metadata, Column("version", Integer, primary_key=True))

runs = Table(
    "runs",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String(NAME_LENGTH), nullable=False),
    Column("started", String(40), nullable=False),
    Column("finished", String(40)),
    Column("asked", JSON, nullable=False),
    Column("environment", JSON, nullable=False),
    Column("n_trials", Integer, nullable=False),
)

results = Table(
    "results",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("run_id", ForeignKey("runs.id", ondelete="CASCADE"), nullable=False),
    Column("key", String(40), nullable=False),
    Column("position", Integer, nullable=False),
    Column("dataset", Text, nullable=False),
    Column("dataset_parameters", JSON, nullable=False),
    Column("model", Text, nullable=False),
    Column("model_parameters", JSON, nullable=False),
    Column("baseline", Boolean, nullable=False),
    Column("device", String(40), nullable=False),
    Column("repeat", Integer, nullable=False),
    Column("split_seed", sa.BigInteger, nullable=False),
    Column("model_seed", sa.BigInteger, nullable=False),
    Column("status", String(10), nullable=False),
    Column("split_kind", String(10)),
    Column("n_train", Integer),
    Column("n_test", Integer),
    Column("n_repeated", Integer),
    Column("identifiers", Text),
    Column("import_seconds", Float),
    Column("make_seconds", Float),
    Column("fit_seconds", Float),
    Column("first_predict_seconds", Float),
    Column("predict_seconds", Float),
    Column("fitted_together", Integer),
    Column("failure_kind", String(20)),
    Column("reason", Text),
    Column("traceback", Text),
    Column("output", Text),
    UniqueConstraint("run_id", "key"),
)

scores = Table(
    "scores",
    metadata,
    Column("result_id", ForeignKey("results.id", ondelete="CASCADE"), primary_key=True),
    Column("metric", String(40), primary_key=True),
    Column("value", Float, nullable=False),
)

traces = Table(
    "traces",
    metadata,
    Column("result_id", ForeignKey("results.id", ondelete="CASCADE"), primary_key=True),
    Column("epoch", Integer, primary_key=True, autoincrement=False),
    # A diverged model has no likelihood: NULL.
    Column("train_likelihood", Float),
    Column("test_likelihood", Float),
)

predictions = Table(
    "predictions",
    metadata,
    Column("result_id", ForeignKey("results.id", ondelete="CASCADE"), primary_key=True),
    # Little-endian numbers, one a test row, deflated.
    Column("true_class", LargeBinary, nullable=False),
    Column("predicted_class", LargeBinary, nullable=False),
    Column("log_probability", LargeBinary, nullable=False),
    Column("confidence", LargeBinary, nullable=False),
    Column("brier", LargeBinary, nullable=False),
)

sketches = Table(
    "sketches",
    metadata,
    Column("result_id", ForeignKey("results.id", ondelete="CASCADE"), primary_key=True),
    Column("arrays", LargeBinary, nullable=False),  # in NumPy's npz format
)

timings = Table(
    "timings",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("run_id", ForeignKey("runs.id", ondelete="CASCADE"), nullable=False),
    Column("kind", String(20), nullable=False),
    Column("subject", Text, nullable=False),
    Column("case", Text, nullable=False),
    Column("device", String(40), nullable=False),
    Column("threads", Integer, nullable=False),
    Column("status", String(10), nullable=False),
    Column("reason", Text, nullable=False),
    Column("calls", Integer, nullable=False),
    Column("figures", JSON, nullable=False),
    # How many samples each process gave; all of them, in seconds per call, are in the next one.
    Column("processes", JSON, nullable=False),
    Column("samples", LargeBinary, nullable=False),
)

points = Table(
    "points",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("measure", String(20), nullable=False),
    Column("subject", Text, nullable=False),
    Column("case", Text, nullable=False),
    Column("device", String(40), nullable=False),
    Column("time", String(40), nullable=False),
    Column("revision", Text, nullable=False),
    Column("machine", Text, nullable=False),
    Column("anchor", Text, nullable=False),
    Column("source", String(20), nullable=False),
    Column("value", Float, nullable=False),
    Column("low", Float),
    Column("high", Float),
    Column("seconds", Float),
    Column("n", Integer, nullable=False),
)

Index("points_by_time", points.c.time, points.c.id)
Index("timings_by_run", timings.c.run_id)
Index("results_by_run", results.c.run_id, results.c.position)


class Store:
    """A database of runs.

    Args:
        url: any SQLAlchemy URL, or the path of an SQLite file; ``name`` is the same for people to
            read, a password in it hidden.
        create: make the tables if the database is new; otherwise a database that is not there is
            an error.

    Raises:
        StoreError: it cannot be opened, belongs to something else, or has another schema.
    """

    def __init__(self, url: str, *, create: bool = False) -> None:
        self.name, self._secrets = hide_password(url)
        self.engine = _engine(url, self.name, self._secrets, create=create)
        self._closed = False
        self._path: Path | None = None
        self._file: tuple[int, int] | None = None
        try:
            with self._faults():
                self._check(create=create)
        except StoreError:
            self.close()
            raise
        file = self.engine.url.database
        if self.engine.dialect.name == "sqlite" and file and not file.startswith((":", "file:")):
            self._path = Path(file).absolute()
            self._file = self._file_id()

    def begin(
        self,
        name: str,
        asked: Mapping[str, Any],
        environment: Mapping[str, Any],
        n_trials: int,
    ) -> Run:
        """A new run.

        Raises:
            UsageError: the name is longer than a database column, or means another run.
        """
        if name in WORDS:
            raise UsageError(f"'{name}' names whichever run that is; give this one another --name")
        if len(name) > NAME_LENGTH:
            raise UsageError(f"a run's name has at most {NAME_LENGTH} characters, not {len(name)}")
        values = {
            "name": _text(name),
            "started": _now(),
            "finished": None,
            "asked": dict(asked),
            "environment": dict(environment),
            "n_trials": n_trials,
        }
        with self._faults(), self.engine.begin() as connection:
            added = connection.execute(runs.insert().values(values))
            (run_id,) = added.inserted_primary_key or (0,)
        return Run(id=int(run_id), **values)  # type: ignore[arg-type]  # the columns are its fields

    def extend(self, run: Run, n_trials: int) -> Run:
        """The run with another number of planned trials, skips included."""
        with self._faults(), self.engine.begin() as connection:
            connection.execute(runs.update().where(runs.c.id == run.id).values(n_trials=n_trials))
        return replace(run, n_trials=n_trials)

    def add(self, run: Run, position: int, result: Result, *, baseline: bool) -> None:
        """A result, durable when this returns; the first one of a trial is the one that counts.

        Raises:
            RefusedResultError: the database does not take this one; others it may.
            StoreError: it takes none, for one it is gone (`StoreGoneError`).
        """
        with self._faults():
            try:
                self._insert(self._row(run, position, result, baseline=baseline), result)
            except sa.exc.OperationalError:  # no disk, no permission, no connection
                raise
            except REFUSED as error:
                # Asked again, a database that is gone says so.  Somebody who resumes the same run
                # at the same time may have been quicker.
                if result.trial.key in self.done(run):
                    return
                if run.id not in self._run_ids():
                    raise StoreGoneError(
                        f"store '{self.name}': run {run.id} was deleted while it ran"
                    ) from error
                what = getattr(error, "orig", None) or error
                raise RefusedResultError(
                    f"store '{self.name}' refused the result of {result.trial.dataset} x "
                    f"{result.trial.model}, repeat {result.trial.repeat}: {self._told(what)}"
                ) from error

    def _row(self, run: Run, position: int, result: Result, *, baseline: bool) -> dict[str, Any]:
        """A result's own columns."""
        trial, seconds, failure = result.trial, result.seconds, result.failure
        row = {
            "run_id": run.id,
            "key": trial.key,
            "position": position,
            "dataset": str(trial.dataset),
            "dataset_parameters": _json(trial.dataset.parameters),
            "model": str(trial.model),
            "model_parameters": _json(trial.model.parameters),
            "baseline": baseline,
            "device": trial.device,
            "repeat": trial.repeat,
            "split_seed": trial.split_seed,
            "model_seed": trial.model_seed,
            "status": result.status,
            "split_kind": result.split_kind,
            "n_train": result.n_train,
            "n_test": result.n_test,
            "n_repeated": result.n_repeated,
            "identifiers": in_words(result.identifiers) if result.identifiers else None,
        }
        if seconds:
            row |= {
                "import_seconds": seconds.imports,
                "make_seconds": seconds.make,
                "fit_seconds": seconds.fit,
                "first_predict_seconds": seconds.first_predict,
                "predict_seconds": seconds.predict,
                "fitted_together": seconds.together,
            }
        if failure:
            row |= {
                "failure_kind": failure.kind,
                "reason": _said(failure.reason, REASON),
                "traceback": _said(failure.traceback, TRACEBACK),
                "output": _said(failure.output, OUTPUT),
            }
        return row

    def _run_ids(self) -> set[int]:
        with self.engine.connect() as connection:
            return set(connection.execute(sa.select(runs.c.id)).scalars())

    def _insert(self, row: Mapping[str, Any], result: Result) -> None:
        """A result and all that belongs to it, or nothing."""
        with self.engine.begin() as connection:
            added = connection.execute(results.insert().values(row))
            (result_id,) = added.inserted_primary_key or (0,)
            if result.scores:
                connection.execute(
                    scores.insert(),
                    [
                        {"result_id": result_id, "metric": metric, "value": value}
                        for metric, value in result.scores.items()
                    ],
                )
            if result.trace:
                connection.execute(
                    traces.insert(),
                    [
                        {
                            "result_id": result_id,
                            "epoch": point.epoch,
                            "train_likelihood": _finite(point.train_likelihood),
                            "test_likelihood": _finite(point.test_likelihood),
                        }
                        for point in result.trace
                    ],
                )
            if result.predictions:
                connection.execute(
                    predictions.insert().values(result_id=result_id, **pack(result.predictions))
                )
            if result.sketch:
                arrays = pack_sketch(result.sketch)
                connection.execute(sketches.insert().values(result_id=result_id, arrays=arrays))

    def add_skip(self, run: Run, position: int, skip: Skip, *, baseline: bool) -> None:
        """A pairing that did not run, as a row of its own."""
        row = {
            "run_id": run.id,
            "key": f"skip-{position}",
            "position": position,
            "dataset": str(skip.dataset),
            "dataset_parameters": _json(skip.dataset.parameters),
            "model": str(skip.model),
            "model_parameters": _json(skip.model.parameters),
            "baseline": baseline,
            "device": skip.device,
            "repeat": 0,
            "split_seed": 0,
            "model_seed": 0,
            "status": "skipped",
            "failure_kind": "skipped",
            "reason": _said(skip.reason, REASON),
        }
        with self._faults(), self.engine.begin() as connection:
            connection.execute(results.insert().values(row))

    def add_timings(self, run: Run, found: Iterable[Timing]) -> None:
        """Timings in place of those that the run has so far."""
        rows = [
            {
                "run_id": run.id,
                "kind": timing.kind,
                "subject": timing.subject,
                "case": timing.case,
                "device": timing.device,
                "threads": timing.threads,
                "status": timing.status,
                "reason": _said(timing.reason, REASON),
                "calls": timing.calls,
                "figures": {k: v for k, v in timing.figures.items() if np.isfinite(v)},
                "processes": [len(process) for process in timing.samples],
                "samples": pack_samples(timing.samples),
            }
            for timing in found
        ]
        with self._faults(), self.engine.begin() as connection:
            connection.execute(timings.delete().where(timings.c.run_id == run.id))
            if rows:
                connection.execute(timings.insert(), rows)

    def timings(self, run: Run) -> list[Timing]:
        """What was timed in a run, in the order in which it was added."""
        query = sa.select(timings).where(timings.c.run_id == run.id).order_by(timings.c.id)
        with self._faults(), self.engine.connect() as connection:
            rows = connection.execute(query).mappings().all()
        return [
            Timing(
                **{name: row[name] for name in ("kind", "subject", "case", "device", "threads")},
                status=row["status"],
                reason=row["reason"],
                samples=unpack_samples(row["samples"], row["processes"]),
                calls=row["calls"],
                figures=row["figures"],
            )
            for row in rows
        ]

    def add_points(self, found: Iterable[Point]) -> int:
        """Points of the history, but for those that it has or that are no numbers.

        Returns:
            How many were new.
        """
        rows = [asdict(point) for point in found if np.isfinite(point.value)]
        for row in rows:
            row |= {name: _finite(row[name]) for name in ("low", "high", "seconds")}
            row |= {name: _text(row[name]) for name in TEXTS}
        with self._faults(), self.engine.begin() as connection:
            known = {_identity(row) for row in connection.execute(sa.select(points)).mappings()}
            new = {_identity(row): row for row in rows if _identity(row) not in known}
            if new:
                connection.execute(points.insert(), list(new.values()))
        return len(new)

    def points(self) -> list[Point]:
        """The history, oldest first."""
        columns = [column for column in points.c if column.name != "id"]
        query = sa.select(*columns).order_by(points.c.time, points.c.id)
        with self._faults(), self.engine.connect() as connection:
            rows = connection.execute(query).mappings().all()
        found = []
        for row in rows:
            values: dict[str, Any] = dict(row)
            for name in ("low", "high", "seconds"):
                values[name] = np.nan if values[name] is None else values[name]
            found.append(Point(**values))
        return found

    def finish(self, run: Run, environment: Mapping[str, Any] | None = None) -> None:
        """Mark a run as complete, with what came to be known of its environment."""
        values: dict[str, Any] = {"finished": _now()}
        if environment is not None:
            values["environment"] = dict(environment)
        with self._faults(), self.engine.begin() as connection:
            connection.execute(runs.update().where(runs.c.id == run.id).values(values))

    def add_environment(self, run: Run, facts: Mapping[str, Any]) -> None:
        """Add to what is known of a run's environment."""
        this = runs.c.id == run.id
        with self._faults(), self.engine.begin() as connection:
            known = connection.execute(sa.select(runs.c.environment).where(this)).scalar_one()
            connection.execute(runs.update().where(this).values(environment={**known, **facts}))

    def update_environment(self, run: Run, environment: Mapping[str, Any]) -> None:
        """Add the fingerprint of a run that goes on with changed code; the earlier ones stay."""
        earlier = [*run.environment.get("earlier", []), dict(run.environment)]
        with self._faults(), self.engine.begin() as connection:
            connection.execute(
                runs.update()
                .where(runs.c.id == run.id)
                .values(environment={**environment, "earlier": earlier})
            )

    def runs(self) -> list[Run]:
        """All runs, oldest first."""
        with self._faults(), self.engine.connect() as connection:
            rows = connection.execute(sa.select(runs).order_by(runs.c.id)).mappings().all()
        return [Run(**row) for row in rows]

    def statuses(self) -> dict[int, dict[str, int]]:
        """How many results of each status each run has."""
        query = sa.select(results.c.run_id, results.c.status, sa.func.count()).group_by(
            results.c.run_id, results.c.status
        )
        found: dict[int, dict[str, int]] = {}
        with self._faults(), self.engine.connect() as connection:
            for run_id, status, count in connection.execute(query):
                found.setdefault(run_id, {})[status] = count
        return found

    def timing_counts(self) -> dict[int, int]:
        """How many timings each run has that has some."""
        query = sa.select(timings.c.run_id, sa.func.count()).group_by(timings.c.run_id)
        with self._faults(), self.engine.connect() as connection:
            return {int(run_id): int(count) for run_id, count in connection.execute(query)}

    def find(self, wanted: str | None = None) -> Run:
        """A run by id, by name (the newest of that name), or as ``last`` or ``previous``.

        Raises:
            UsageError: there is none.
        """
        query = sa.select(runs).order_by(runs.c.id.desc())
        if wanted in WORDS:
            query = query.offset(WORDS[wanted] - 1)
        elif wanted == "":  # as runs without a name have
            raise UsageError("a run is an id, a name, 'last' or 'previous', not nothing")
        elif wanted is not None:
            # More digits than an integer column holds are no id, and an overflow to SQLite.
            digits = wanted.isdecimal() and len(wanted) <= DIGITS
            by_id = runs.c.id == (int(wanted) if digits else -1)
            query = sa.select(runs).where(sa.or_(by_id, runs.c.name == wanted))
            query = query.order_by(by_id.desc(), runs.c.id.desc())
        with self._faults(), self.engine.connect() as connection:
            row = connection.execute(query.limit(1)).mappings().first()
        if row is None:
            known = wanted is None or wanted in WORDS
            what = f"no {wanted or ''} run".replace("  ", " ") if known else f"no run '{wanted}'"
            raise UsageError(f"store '{self.name}' has {what}; `harness runs` lists them")
        return Run(**row)

    def done(self, run: Run) -> set[str]:
        """Keys of the trials and skips that have a result."""
        query = sa.select(results.c.key).where(results.c.run_id == run.id)
        with self._faults(), self.engine.connect() as connection:
            return set(connection.execute(query).scalars())

    def delete(self, run: Run) -> None:
        """Delete a run and all that belongs to it."""
        with self._faults(), self.engine.begin() as connection:
            connection.execute(runs.delete().where(runs.c.id == run.id))

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """A connection to read from; also after `close`, for frames that read late."""
        try:
            with self._faults(), self.engine.connect() as connection:
                yield connection
        finally:
            if self._closed:
                self.engine.dispose()

    def close(self) -> None:
        """Let go of the database."""
        self._closed = True
        self.engine.dispose()

    def _check(self, *, create: bool) -> None:
        """See that the database is ours and of this schema; make the tables if it is empty."""
        present = set(sa.inspect(self.engine).get_table_names())
        if not present and create:
            self._create()
        elif schema_versions.name not in present:
            what = "is empty" if not present else "belongs to something else"
            raise StoreError(
                f"store '{self.name}' {what}: it has no table '{schema_versions.name}'; "
                "name another with --store"
            )
        with self.engine.connect() as connection:
            version = connection.execute(sa.select(schema_versions.c.version)).scalar()
        while version in MIGRATIONS:
            version = self._migrate(version)
        if version != SCHEMA:
            raise StoreError(
                f"store '{self.name}' has schema {version}, this harness reads and writes schema "
                f"{SCHEMA}; use the harness that made it, or name another with --store"
            )

    def _migrate(self, version: int) -> int:
        """Bring the tables to the next schema, unless somebody else does so in this moment."""
        moved = schema_versions.update().where(schema_versions.c.version == version)
        try:
            with self.engine.begin() as connection:
                # The version first: whoever is second waits here, and finds nothing to change.
                if connection.execute(moved.values(version=version + 1)).rowcount:
                    for statement in MIGRATIONS[version]:
                        connection.execute(sa.text(statement))
        except sa.exc.DBAPIError as error:
            raise StoreError(
                f"store '{self.name}' has schema {version} and cannot be brought to schema "
                f"{SCHEMA} here ({error.orig}); open it once where it may be written to"
            ) from error
        return version + 1

    def _create(self) -> None:
        """Make the tables, all or none, unless another run does so in this moment."""
        for patience in reversed(range(CREATE_TRIES)):
            try:
                _write_ahead(self.engine)
                with self.engine.begin() as connection:
                    metadata.create_all(connection)
                    connection.execute(schema_versions.insert().values(version=SCHEMA))
                return
            except (sa.exc.DBAPIError, sqlite3.OperationalError):
                if schema_versions.name in sa.inspect(self.engine).get_table_names():
                    return
                if not patience:
                    raise
                time.sleep(0.1)

    @contextmanager
    def _faults(self) -> Iterator[None]:
        """Whatever the database complains of, as one line."""
        self._require_file()
        try:
            yield
        # From below SQLAlchemy, too, where a file is settled.
        except (sa.exc.SQLAlchemyError, sqlite3.Error) as error:
            self._require_file()
            what = error.orig if isinstance(error, sa.exc.DBAPIError) else error
            raise StoreError(f"store '{self.name}': {self._told(what)}") from error

    def _told(self, error: object) -> str:
        """What somebody else says, on a line and without passwords."""
        words = " ".join(str(error).split())
        return bounded(without_passwords(without(self._secrets, words)), REASON)

    def _require_file(self) -> None:
        """See that the file is still there: a database that was deleted can be written to.

        Raises:
            StoreGoneError: it is not, or is another one.
        """
        if self._file is not None and self._file_id() != self._file:
            raise StoreGoneError(
                f"store '{self.name}' is gone: it was deleted or replaced while it was in use; "
                "what was written to it is lost"
            )

    def _file_id(self) -> tuple[int, int] | None:
        """Device and number of an SQLite file; None of anything else."""
        try:
            found = self._path.stat() if self._path else None
        except OSError:
            return None
        return (found.st_dev, found.st_ino) if found else None


def pack(found: Predictions) -> dict[str, bytes]:
    """Predictions as the columns of their table."""
    return {
        "true_class": zlib.compress(found.true.astype("<u2").tobytes()),
        "predicted_class": zlib.compress(found.predicted.astype("<u2").tobytes()),
        "log_probability": zlib.compress(found.log_probability.astype("<f4").tobytes()),
        "confidence": zlib.compress(found.confidence.astype("<f4").tobytes()),
        "brier": zlib.compress(found.brier.astype("<f4").tobytes()),
    }


def unpack(
    true_class: bytes,
    predicted_class: bytes,
    log_probability: bytes,
    confidence: bytes,
    brier: bytes,
) -> Predictions:
    """Predictions from the columns of their table."""
    return Predictions(
        true=_numbers(true_class, "<u2"),
        predicted=_numbers(predicted_class, "<u2"),
        log_probability=_numbers(log_probability, "<f4"),
        confidence=_numbers(confidence, "<f4"),
        brier=_numbers(brier, "<f4"),
    )


def pack_sketch(found: Sketch) -> bytes:
    """A sketch as an npz file; names are texts in it, and numbered what there is several of."""
    arrays: dict[str, NDArray[Any]] = {"points": found.points, "rows": found.rows}
    for name in ("class_names", "input_names"):
        texts = [_text(bounded(text, NAME_LENGTH)) for text in getattr(found, name)]
        arrays[name] = np.frombuffer(json.dumps(texts).encode(), dtype=np.uint8)
    for name in ("axes", "hidden"):
        arrays |= {f"{name}_{i}": array for i, array in enumerate(getattr(found, name))}
    if found.probabilities is not None:
        arrays["probabilities"] = found.probabilities
    file = io.BytesIO()
    np.savez_compressed(file, allow_pickle=False, **arrays)
    return file.getvalue()


def unpack_sketch(packed: bytes) -> Sketch:
    """A sketch from its npz file."""
    with np.load(io.BytesIO(packed), allow_pickle=False) as arrays:
        names = [
            tuple(json.loads(arrays[f"{kind}_names"].tobytes())) for kind in ("class", "input")
        ]

        def several(name: str) -> tuple[NDArray[Any], ...]:
            known = sum(one.startswith(f"{name}_") and one[-1].isdigit() for one in arrays.files)
            return tuple(arrays[f"{name}_{i}"] for i in range(known))

        return Sketch(
            names[0],
            names[1],
            arrays["points"],
            arrays["rows"],
            several("axes"),
            arrays["probabilities"] if "probabilities" in arrays.files else None,
            several("hidden"),
        )


def pack_samples(samples: Sequence[Sequence[float]]) -> bytes:
    """Samples of all processes, one after another: little-endian float64, deflated."""
    flat = [value for process in samples for value in process]
    return zlib.compress(np.array(flat, dtype="<f8").tobytes())


def unpack_samples(packed: bytes, lengths: Sequence[int]) -> tuple[tuple[float, ...], ...]:
    """Samples by process."""
    flat = _numbers(packed, "<f8")
    parts = np.split(flat, np.cumsum(lengths)[:-1]) if lengths else []
    return tuple(tuple(part.tolist()) for part in parts)


def _numbers(packed: bytes, dtype: str) -> NDArray[Any]:
    return np.frombuffer(zlib.decompress(packed), dtype=dtype)


def _engine(url: str, shown: str, secrets: Sequence[str], *, create: bool) -> sa.Engine:
    if "://" not in url:
        path = Path(url)
        if create and not path.absolute().parent.is_dir():
            raise StoreError(f"store '{shown}': its folder does not exist; make it first")
        if path.is_dir():
            raise StoreError(f"store '{shown}' is a folder; name a file in it")
    try:
        # A name of a file may hold what means something in a URL.
        plain = sa.URL.create("sqlite", database=url) if "://" not in url else url
        engine = sa.create_engine(plain)
    except sa.exc.NoSuchModuleError as error:
        reason = without(secrets, str(error))
        raise StoreError(f"store '{shown}' is no database URL: {reason}") from None
    except (sa.exc.ArgumentError, ValueError):
        # Their words may be a part of a password.
        raise StoreError(
            f"store '{shown}' is no database URL; write dialect://user:password@host/database"
        ) from None
    except ImportError as error:
        raise StoreError(f"store '{shown}' needs a driver: {error}; pip install it") from error
    if engine.dialect.name == "sqlite":
        file = engine.url.database
        if not create and file and not file.startswith("file:") and not Path(file).exists():
            raise StoreError(
                f"store '{hide_password(file)[0]}' does not exist; "
                "`harness run` makes it, --store names another"
            )
        if file and not create and not _is_writable(file):
            # A database in WAL mode can otherwise not even be read where nobody may write. While
            # somebody else writes, though, the newest of it stands in the log beside it.
            settled = "" if Path(f"{file}-wal").exists() else "&immutable=1"
            uri = f"file:{quote(str(Path(file).absolute()))}?mode=ro{settled}"
            return sa.create_engine(
                "sqlite://", creator=lambda: sqlite3.connect(uri, uri=True), poolclass=sa.NullPool
            )
        sa.event.listen(engine, "connect", _prepare_sqlite)
        # Python's driver would begin a transaction too late to hold the making of tables.
        sa.event.listen(engine, "begin", lambda begun: begun.exec_driver_sql("BEGIN"))
    return engine


def _is_writable(file: str) -> bool:
    places = (Path(file), Path(file).absolute().parent)
    return file.startswith("file:") or all(os.access(place, os.W_OK) for place in places)


def _prepare_sqlite(connection: Any, _record: object) -> None:
    """Wait for a writer rather than fail, and delete what belongs to a deleted row."""
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {int(BUSY * 1000)}")
    cursor.execute("PRAGMA foreign_keys = ON")
    # In WAL mode a commit then survives the end of the process at any moment.
    cursor.execute("PRAGMA synchronous = NORMAL")
    cursor.close()


def _write_ahead(engine: sa.Engine) -> None:
    """Settle, in a new SQLite file, that readers and a writer do not wait for each other."""
    if engine.dialect.name == "sqlite":
        with closing(engine.raw_connection()) as connection:
            connection.cursor().execute("PRAGMA journal_mode = WAL")


TEXTS = ("subject", "case", "anchor", "machine", "revision")
"""Of a point, what others wrote."""


def _identity(row: Any) -> tuple[Any, ...]:
    """What no two points of the history have in common."""
    names = ("measure", "subject", "case", "device", "time", "revision", "machine", "anchor")
    return tuple(row[name] for name in names)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None


def _json(parameters: tuple[tuple[str, Value], ...]) -> dict[str, Value]:
    """Parameters as JSON takes them: it knows no infinity, so that is written as a text."""
    return {
        name: written(value) if isinstance(value, float) and not np.isfinite(value) else value
        for name, value in parameters
    }


def _said(words: str, most: int) -> str:
    """What a stranger said, as much of it as is kept, without passwords."""
    return without_passwords(_text(bounded(words, most)))


def _text(words: str) -> str:
    """Text that any database takes: PostgreSQL refuses NUL, SQLite lone surrogates."""
    return words.replace("\0", "\\0").encode(errors="backslashreplace").decode()
