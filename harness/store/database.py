"""Results in a database: one row per trial, which is added once and never changed."""

from __future__ import annotations

import io
import json
import os
import sqlite3
import time
import zlib
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, replace
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

from harness.contract.columns import names_in_words
from harness.contract.values import Planned, Point, Predictions, Run, Sketch, Timing, written
from harness.errors import RefusedResultError, StoreError, StoreGoneError, UsageError
from harness.statistics.rows import derived
from harness.untrusted import bounded, hide_password, without, without_passwords

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from harness.contract.values import Result, Skip, Value

SCHEMA = 10
MIGRATIONS = {
    4: (
        "ALTER TABLE results ADD COLUMN n_repeated INTEGER",
        "ALTER TABLE results ADD COLUMN identifiers TEXT",
    ),
    5: ("ALTER TABLE runs ADD COLUMN planned JSON",),
    6: (
        "ALTER TABLE results ADD COLUMN peak_bytes BIGINT",
        "ALTER TABLE results ADD COLUMN device_peak_bytes BIGINT",
        "ALTER TABLE results ADD COLUMN model_bytes BIGINT",
        "ALTER TABLE results ADD COLUMN fit_weighted BOOLEAN",
    ),
    7: (
        "ALTER TABLE results ADD COLUMN identity VARCHAR(40)",
        "ALTER TABLE results ADD COLUMN drawn VARCHAR(40)",
    ),
    8: (
        "ALTER TABLE timings ADD COLUMN measured VARCHAR(40)",
        "CREATE INDEX results_by_identity ON results (identity)",
    ),
    9: ("ALTER TABLE results ADD COLUMN read_files TEXT",),
}
"""SQL statements that turn each schema into the next one, besides new tables; older schemas are
refused."""

CREATE_TRIES = 50
CHUNK = 500  # values in one query, because databases limit their number
NAME_LENGTH = 200
DIGITS = 9  # most digits of an id
REASON, TRACEBACK, OUTPUT = 500, 20_000, 4_000
ANCHORS = "anchors"  # among a timing's figures, its anchor's name and the seconds of all anchors
"""Most characters kept of a failure's texts, so that no plugin can fill the store."""

REFUSED = (sa.exc.StatementError, ValueError, TypeError, OverflowError, KeyError, AttributeError)
"""Errors that concern a single result, for example a value of the wrong type for its column."""

WORDS = {"last": 1, "previous": 2}
"""Words for a run by its position from the end."""

BUSY = 60.0  # seconds to wait while another run writes to the same SQLite file

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
    Column("planned", JSON),  # NULL in runs of earlier schemas
    # No id is used again, because tables and sites name runs by it; in SQLite, this holds for
    # stores that were made with this line.
    sqlite_autoincrement=True,
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
    # NULL if unknown.
    Column("peak_bytes", sa.BigInteger),
    Column("device_peak_bytes", sa.BigInteger),
    Column("model_bytes", sa.BigInteger),
    Column("fit_weighted", Boolean),  # NULL if the training rows have no weights
    # Digests of what the scores follow from, and of the split; NULL if unknown.
    Column("identity", String(40)),
    Column("drawn", String(40)),
    Column("read_files", Text),  # JSON: digests by path; NULL if the trial read none
    Column("failure_kind", String(20)),
    Column("reason", Text),
    Column("traceback", Text),
    Column("output", Text),
    UniqueConstraint("run_id", "key"),
)

# Results of other runs that a run has instead of its own: their identities were the same.
reused = Table(
    "reused",
    metadata,
    Column("run_id", ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True),
    Column("key", String(40), primary_key=True),
    Column("position", Integer, nullable=False),
    Column("result_id", ForeignKey("results.id", ondelete="CASCADE"), nullable=False),
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
    # NULL if the model has diverged.
    Column("train_likelihood", Float),
    Column("test_likelihood", Float),
)

probabilities = Table(
    "probabilities",
    metadata,
    Column("result_id", ForeignKey("results.id", ondelete="CASCADE"), primary_key=True),
    Column("class_names", JSON, nullable=False),
    # Little-endian numbers, compressed with zlib: one per test row, and one per row and class.
    Column("true_class", LargeBinary, nullable=False),
    Column("probabilities", LargeBinary, nullable=False),
)

# What follows from probabilities that were too many to keep, or of a store of an earlier schema.
predictions = Table(
    "predictions",
    metadata,
    Column("result_id", ForeignKey("results.id", ondelete="CASCADE"), primary_key=True),
    # Each column holds little-endian numbers, one per test row, compressed with zlib.
    Column("true_class", LargeBinary, nullable=False),
    Column("predicted_class", LargeBinary, nullable=False),
    Column("log_probability", LargeBinary, nullable=False),
    Column("confidence", LargeBinary, nullable=False),
    Column("brier", LargeBinary, nullable=False),
)

# Of results whose test rows have weights.
weights = Table(
    "weights",
    metadata,
    Column("result_id", ForeignKey("results.id", ondelete="CASCADE"), primary_key=True),
    Column("weights", LargeBinary, nullable=False),  # as the columns of ``predictions``
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
    # The number of samples of each process; the next column has all samples, in seconds per call.
    Column("processes", JSON, nullable=False),
    Column("samples", LargeBinary, nullable=False),
    Column("measured", String(40)),  # NULL if measured in the run itself
)

points = Table(
    "points",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("measure", String(40), nullable=False),
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
Index("results_by_identity", results.c.identity)
Index("reused_by_result", reused.c.result_id)


@dataclass(frozen=True, slots=True)
class Known:
    """A successful result that the store has.

    Args:
        identity: of its trial; see `harness.runs.identity`.
        result_id: its id.
        run_id: id of the run that ran the trial.
        drawn: digest of its split.
        read: digests of the files that the model's process read, by path.
    """

    identity: str
    result_id: int
    run_id: int
    drawn: str
    read: Mapping[str, str]


def _digests_in(text: str | None) -> dict[str, str]:
    """Digests by path; of an imported result they may be any text, and then fit no file."""
    try:
        told = json.loads(text or "{}")
    except (ValueError, RecursionError):
        told = None
    return told if isinstance(told, dict) else {"": "malformed"}


def members(run_id: int) -> sa.Subquery:
    """A run's results, its own and those of other runs: their ids, owners and positions."""
    own = sa.select(
        results.c.id.label("result_id"), results.c.run_id.label("owner"), results.c.position
    ).where(results.c.run_id == run_id)
    of_others = (
        sa.select(reused.c.result_id, results.c.run_id.label("owner"), reused.c.position)
        .join(results, results.c.id == reused.c.result_id)
        .where(reused.c.run_id == run_id)
    )
    return sa.union_all(own, of_others).subquery("members")


class Store:
    """A database of runs.

    Args:
        url: a SQLAlchemy URL, or the path of an SQLite file. The attribute ``name`` is the same
            with its password hidden.
        create: whether to make the tables if the database is new. If False, a database that does
            not exist is an error.

    Raises:
        StoreError: the database cannot be opened, belongs to other software, or has another
            schema.
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
        asked: Mapping[str, object],
        environment: Mapping[str, object],
        n_trials: int,
        planned: Sequence[Planned] = (),
    ) -> Run:
        """Add a run, and return it; its arguments are the fields of `Run`.

        Raises:
            UsageError: the name is too long for its column, or is a word such as ``last``.
        """
        if name in WORDS:
            raise UsageError(
                f"'{name}' always means the {name} run and cannot be a name; choose another --name"
            )
        if len(name) > NAME_LENGTH:
            raise UsageError(f"a run's name has at most {NAME_LENGTH} characters, not {len(name)}")
        values = {
            "name": _text(name),
            "started": _now(),
            "finished": None,
            "asked": dict(asked),
            "environment": dict(environment),
            "n_trials": n_trials,
            "planned": [asdict(pairing) for pairing in planned],
        }
        with self._faults(), self.engine.begin() as connection:
            added = connection.execute(runs.insert().values(values))
            (run_id,) = added.inserted_primary_key or (0,)
        return _run({"id": int(run_id), **values})

    def extend(self, run: Run, n_trials: int, planned: Sequence[Planned]) -> Run:
        """Change a run's planned trials and their number (including skips), and return the run."""
        values = {"n_trials": n_trials, "planned": [asdict(pairing) for pairing in planned]}
        with self._faults(), self.engine.begin() as connection:
            connection.execute(runs.update().where(runs.c.id == run.id).values(values))
        return replace(run, n_trials=n_trials, planned=tuple(planned))

    def add(
        self, run: Run, position: int, result: Result, *, baseline: bool, identity: str = ""
    ) -> None:
        """Add a result; it is on disk when this returns. A trial's second result is ignored.

        Args:
            run: the run.
            position: the trial's position in the run's plan.
            result: the result.
            baseline: whether its model is a baseline.
            identity: see `harness.runs.identity`; empty if unknown.

        Raises:
            RefusedResultError: the database refuses this result, but may accept others.
            StoreError: the database accepts no results. If it is gone: `StoreGoneError`.
        """
        with self._faults():
            try:
                row = self._row(run, position, result, baseline=baseline)
                self._insert(row | {"identity": identity or None}, result)
            except sa.exc.OperationalError:  # no disk, no permission, no connection
                raise
            except REFUSED as error:
                # `done` raises if the database is gone. The trial may be done already, because
                # another process can resume the same run at the same time.
                if result.trial.key in self.done(run):
                    return
                if run.id not in self._run_ids():
                    raise StoreGoneError(
                        f"store '{self.name}': run {run.id} was deleted while it ran"
                    ) from error
                cause = getattr(error, "orig", None) or error
                raise RefusedResultError(
                    f"store '{self.name}' refused the result of {result.trial.dataset} x "
                    f"{result.trial.model}, repeat {result.trial.repeat}: {self._one_line(cause)}"
                ) from error

    def _row(self, run: Run, position: int, result: Result, *, baseline: bool) -> dict[str, object]:
        """A result as a row of the table ``results``."""
        trial, seconds, failure = result.trial, result.seconds, result.failure
        row: dict[str, object] = {
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
            "identifiers": names_in_words(result.identifiers) if result.identifiers else None,
            "fit_weighted": result.fit_weighted,
            "drawn": result.drawn or None,
            "read_files": json.dumps(dict(result.read)) if result.read else None,
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
        row |= {
            f"{name}_bytes": int(n_bytes)
            for name, n_bytes in asdict(result.memory).items()
            if np.isfinite(n_bytes)
        }
        if failure:
            row |= {
                "failure_kind": failure.kind,
                "reason": _shortened(failure.reason, REASON),
                "traceback": _shortened(failure.traceback, TRACEBACK),
                "output": _shortened(failure.output, OUTPUT),
            }
        return row

    def _run_ids(self) -> set[int]:
        with self.engine.connect() as connection:
            return set(connection.execute(sa.select(runs.c.id)).scalars())

    def _insert(self, row: Mapping[str, object], result: Result) -> None:
        """Insert a result with its scores, trace, predictions and sketch, in one transaction."""
        with self.engine.begin() as connection:
            # Values given beside the statement, so that it is compiled once for all results.
            added = connection.execute(results.insert(), row)
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
                table = predictions if result.predictions.probabilities is None else probabilities
                connection.execute(
                    table.insert(), {"result_id": result_id, **pack(result.predictions)}
                )
                if (of_rows := result.predictions.weights) is not None:
                    packed = pack_weights(of_rows)
                    connection.execute(
                        weights.insert(), {"result_id": result_id, "weights": packed}
                    )
            if result.sketch:
                arrays = pack_sketch(result.sketch)
                connection.execute(sketches.insert(), {"result_id": result_id, "arrays": arrays})

    def add_skip(self, run: Run, position: int, skip: Skip, *, baseline: bool) -> None:
        """Add a pairing that is not run, as a row with the status ``skipped``."""
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
            "reason": _shortened(skip.reason, REASON),
        }
        with self._faults(), self.engine.begin() as connection:
            connection.execute(results.insert(), row)

    def add_timings(self, run: Run, measured: Iterable[Timing]) -> None:
        """Replace the timings of a run."""
        rows = [
            {
                "run_id": run.id,
                "kind": timing.kind,
                "subject": timing.subject,
                "case": timing.case,
                "device": timing.device,
                "threads": timing.threads,
                "status": timing.status,
                "reason": _shortened(timing.reason, REASON),
                "calls": timing.calls,
                "figures": {k: v for k, v in timing.figures.items() if np.isfinite(v)}
                | ({ANCHORS: [timing.anchor, dict(timing.anchors)]} if timing.anchors else {}),
                "processes": [len(process) for process in timing.samples],
                "samples": pack_samples(timing.samples),
                "measured": timing.measured or None,
            }
            for timing in measured
        ]
        with self._faults(), self.engine.begin() as connection:
            connection.execute(timings.delete().where(timings.c.run_id == run.id))
            if rows:
                connection.execute(timings.insert(), rows)

    def timings(self, run: Run) -> list[Timing]:
        """The timings of a run, in the order in which they were added."""
        query = sa.select(timings).where(timings.c.run_id == run.id).order_by(timings.c.id)
        with self._faults(), self.engine.connect() as connection:
            rows = connection.execute(query).mappings().all()
        return [_timing(row) for row in rows]

    def add_points(self, measured: Iterable[Point]) -> int:
        """Add points to the history, except those that it has already or whose value is not finite.

        Returns:
            The number of new points.
        """
        rows = [asdict(point) for point in measured if np.isfinite(point.value)]
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
        """All points of the history, oldest first."""
        columns = [column for column in points.c if column.name != "id"]
        query = sa.select(*columns).order_by(points.c.time, points.c.id)
        with self._faults(), self.engine.connect() as connection:
            rows = connection.execute(query).mappings().all()
        history = []
        for row in rows:
            values: dict[str, Any] = dict(row)  # a database row, whose types mypy cannot know
            for name in ("low", "high", "seconds"):
                values[name] = np.nan if values[name] is None else values[name]
            history.append(Point(**values))
        return history

    def finish(self, run: Run, environment: Mapping[str, object] | None = None) -> None:
        """Mark a run as complete, and store its environment's fingerprint if it is given."""
        values: dict[str, object] = {"finished": _now()}
        if environment is not None:
            values["environment"] = dict(environment)
        with self._faults(), self.engine.begin() as connection:
            connection.execute(runs.update().where(runs.c.id == run.id).values(values))

    def add_environment(self, run: Run, facts: Mapping[str, object]) -> None:
        """Add facts to a run's environment."""
        is_run = runs.c.id == run.id
        with self._faults(), self.engine.begin() as connection:
            environment = connection.execute(
                sa.select(runs.c.environment).where(is_run)
            ).scalar_one()
            connection.execute(
                runs.update().where(is_run).values(environment={**environment, **facts})
            )

    def update_environment(self, run: Run, environment: Mapping[str, object]) -> None:
        """Add the fingerprint of a run that is resumed with changed code; keep the earlier ones."""
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
        return [_run(row) for row in rows]

    def statuses(self) -> dict[int, dict[str, int]]:
        """The number of results by run and status; ``known`` are those of other runs."""
        query = sa.select(results.c.run_id, results.c.status, sa.func.count()).group_by(
            results.c.run_id, results.c.status
        )
        of_others = sa.select(reused.c.run_id, sa.func.count()).group_by(reused.c.run_id)
        counts: dict[int, dict[str, int]] = {}
        with self._faults(), self.engine.connect() as connection:
            for run_id, status, count in connection.execute(query):
                counts.setdefault(run_id, {})[status] = count
            for run_id, count in connection.execute(of_others):
                counts.setdefault(run_id, {})["known"] = count
        return counts

    def timing_counts(self) -> dict[int, int]:
        """The number of timings by run, for runs that have timings."""
        query = sa.select(timings.c.run_id, sa.func.count()).group_by(timings.c.run_id)
        with self._faults(), self.engine.connect() as connection:
            return {int(run_id): int(count) for run_id, count in connection.execute(query)}

    def find(self, wanted: str | None = None) -> Run:
        """A run by id, by name (the newest run of that name), or as ``last`` or ``previous``.

        Raises:
            UsageError: there is no such run.
        """
        query = sa.select(runs).order_by(runs.c.id.desc())
        if wanted in WORDS:
            query = query.offset(WORDS[wanted] - 1)
        elif wanted == "":  # otherwise it would find the runs without a name
            raise UsageError("a run's name is empty; give an id, a name, 'last' or 'previous'")
        elif wanted is not None:
            # A number with more digits than an id has would overflow in SQLite.
            digits = wanted.isdecimal() and len(wanted) <= DIGITS
            by_id = runs.c.id == (int(wanted) if digits else -1)
            query = sa.select(runs).where(sa.or_(by_id, runs.c.name == wanted))
            query = query.order_by(by_id.desc(), runs.c.id.desc())
        with self._faults(), self.engine.connect() as connection:
            row = connection.execute(query.limit(1)).mappings().first()
        if row is None:
            is_word = wanted is None or wanted in WORDS
            missing = (
                f"no {wanted or ''} run".replace("  ", " ") if is_word else f"no run '{wanted}'"
            )
            raise UsageError(f"store '{self.name}' has {missing}; `harness runs` lists them")
        return _run(row)

    def done(self, run: Run) -> set[str]:
        """Keys of the trials and skips that are stored, results of other runs included."""
        query = sa.union_all(
            sa.select(results.c.key).where(results.c.run_id == run.id),
            sa.select(reused.c.key).where(reused.c.run_id == run.id),
        )
        with self._faults(), self.engine.connect() as connection:
            return set(connection.execute(query).scalars())

    def known(self, identities: Iterable[str]) -> list[Known]:
        """The successful results of these identities, newest first."""
        wanted = list(dict.fromkeys(identities))
        table = results
        columns = (table.c.identity, table.c.id, table.c.run_id, table.c.drawn, table.c.read_files)
        found: list[Known] = []
        with self._faults(), self.engine.connect() as connection:
            for start in range(0, len(wanted), CHUNK):
                chunk = table.c.identity.in_(wanted[start : start + CHUNK])
                query = sa.select(*columns).where(chunk, table.c.status == "ok")
                rows = [row for row in connection.execute(query) if row.drawn]
                found += [Known(*row[:-1], read=_digests_in(row[-1])) for row in rows]
        return sorted(found, key=lambda known: -known.result_id)

    def reuse(self, run: Run, rows: Sequence[tuple[str, int, int]]) -> None:
        """Give a run results of other runs instead of its own.

        Args:
            run: the run.
            rows: each trial's key, its position in the run's plan, and the id of the result.
        """
        values = [
            {"run_id": run.id, "key": key, "position": position, "result_id": result_id}
            for key, position, result_id in rows
        ]
        if values:
            with self._faults(), self.engine.begin() as connection:
                connection.execute(reused.insert(), values)

    def runs_with(self, result_ids: Iterable[int]) -> dict[int, set[int]]:
        """The runs that have any of these results, their own or reused, by the result's id."""
        ids = list(result_ids)
        by_result: dict[int, set[int]] = {}
        with self._faults(), self.engine.connect() as connection:
            for start in range(0, len(ids), CHUNK):
                chunk = ids[start : start + CHUNK]
                query = sa.union_all(
                    sa.select(results.c.id, results.c.run_id).where(results.c.id.in_(chunk)),
                    sa.select(reused.c.result_id, reused.c.run_id).where(
                        reused.c.result_id.in_(chunk)
                    ),
                )
                for result_id, run_id in connection.execute(query):
                    by_result.setdefault(result_id, set()).add(run_id)
        return by_result

    def delete(self, run: Run) -> None:
        """Delete a run with its results and timings.

        A result that another run reuses becomes that run's own.
        """
        own = sa.select(results.c.id).where(results.c.run_id == run.id)
        query = (
            sa.select(reused)
            .where(reused.c.result_id.in_(own), reused.c.run_id != run.id)
            .order_by(reused.c.run_id)
        )
        with self._faults(), self.engine.begin() as connection:
            heirs: dict[int, sa.RowMapping] = {}
            for row in connection.execute(query).mappings():
                heirs.setdefault(row["result_id"], row)
            for result_id, row in heirs.items():
                is_heir = (reused.c.run_id == row["run_id"]) & (reused.c.key == row["key"])
                connection.execute(reused.delete().where(is_heir))
                connection.execute(
                    results.update()
                    .where(results.c.id == result_id)
                    .values(run_id=row["run_id"], position=row["position"])
                )
            connection.execute(runs.delete().where(runs.c.id == run.id))

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """A connection to read from; works after `close` too, for frames that read late."""
        try:
            with self._faults(), self.engine.connect() as connection:
                yield connection
        finally:
            if self._closed:
                self.engine.dispose()

    @contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """A connection to write with, in one transaction."""
        with self._faults(), self.engine.begin() as connection:
            yield connection

    def close(self) -> None:
        """Close the connections to the database."""
        self._closed = True
        self.engine.dispose()

    def _check(self, *, create: bool) -> None:
        """Check that the database is a store of this schema; make its tables, or migrate it."""
        present = set(sa.inspect(self.engine).get_table_names())
        if not present and create:
            self._create()
        elif schema_versions.name not in present:
            state = "is empty" if not present else "belongs to other software"
            raise StoreError(
                f"store '{self.name}' {state}: it has no table '{schema_versions.name}'; "
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
        """Bring the tables to the next schema, unless another process is just doing so."""
        update = schema_versions.update().where(schema_versions.c.version == version)
        try:
            with self.engine.begin() as connection:
                # The version is updated first: a second process waits here, and then matches no
                # row.
                if connection.execute(update.values(version=version + 1)).rowcount:
                    for statement in MIGRATIONS[version]:
                        connection.execute(sa.text(statement))
                    metadata.create_all(connection)  # new tables
        except sa.exc.DBAPIError as error:
            raise StoreError(
                f"store '{self.name}' has schema {version} and cannot be brought to schema "
                f"{SCHEMA} here ({error.orig}); open it once with permission to write"
            ) from error
        return version + 1

    def _create(self) -> None:
        """Make all tables in one transaction, unless another run is just doing so."""
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
        """Turn the database's errors into a `StoreError` of one line."""
        self._require_file()
        try:
            yield
        # `_write_ahead` uses the connection below SQLAlchemy, which raises sqlite3's errors.
        except (sa.exc.SQLAlchemyError, sqlite3.Error) as error:
            self._require_file()
            cause = error.orig if isinstance(error, sa.exc.DBAPIError) else error
            raise StoreError(f"store '{self.name}': {self._one_line(cause)}") from error

    def _one_line(self, error: object) -> str:
        """An error's message on one line, without passwords."""
        line = " ".join(str(error).split())
        return bounded(without_passwords(without(self._secrets, line)), REASON)

    def _require_file(self) -> None:
        """Check that the SQLite file is the one that was opened.

        SQLite goes on writing to a file that was deleted, without an error.

        Raises:
            StoreGoneError: the file has been deleted or replaced.
        """
        if self._file is not None and self._file_id() != self._file:
            raise StoreGoneError(
                f"store '{self.name}' is gone: it was deleted or replaced while it was in use; "
                "results written to it since then are lost"
            )

    def _file_id(self) -> tuple[int, int] | None:
        """Device and inode of an SQLite file; None for other databases, and if it is gone."""
        try:
            status = self._path.stat() if self._path else None
        except OSError:
            return None
        return (status.st_dev, status.st_ino) if status else None


def _run(row: sa.RowMapping | Mapping[str, Any]) -> Run:
    """A run from a row of the table ``runs``."""
    planned = tuple(Planned(**pairing) for pairing in row["planned"] or ())
    return Run(**{**row, "planned": planned})


def pack(rows: Predictions) -> dict[str, Any]:
    """Predictions as a row of the table ``probabilities``, or ``predictions`` without them."""
    true = zlib.compress(rows.true.astype("<u2").tobytes(), LEVEL)
    if rows.probabilities is not None:
        return {
            "class_names": [_text(bounded(name, NAME_LENGTH)) for name in rows.class_names],
            "true_class": true,
            "probabilities": _shuffled(rows.probabilities),
        }
    return {
        "true_class": true,
        "predicted_class": zlib.compress(rows.predicted.astype("<u2").tobytes()),
        "log_probability": zlib.compress(rows.log_probability.astype("<f4").tobytes()),
        "confidence": zlib.compress(rows.confidence.astype("<f4").tobytes()),
        "brier": zlib.compress(rows.brier.astype("<f4").tobytes()),
    }


LEVEL = 1
"""Compression of probabilities: further levels take longer and save hardly anything."""


def _shuffled(floats: NDArray[np.float32]) -> bytes:
    """Floats in order of their bytes' significance, compressed: their exponents repeat."""
    octets = np.ascontiguousarray(floats, dtype="<f4").reshape(-1, 1).view(np.uint8)
    return zlib.compress(octets.T.tobytes(), LEVEL)


def unpack_probabilities(
    class_names: Sequence[str], true_class: bytes, packed: bytes
) -> Predictions:
    """Predictions from a row of the table ``probabilities``."""
    octets = np.frombuffer(zlib.decompress(packed), dtype=np.uint8).reshape(4, -1)
    floats = np.ascontiguousarray(octets.T).view("<f4").reshape(-1, len(class_names))
    rows = derived(_numbers(true_class, "<u2"), floats)
    return replace(rows, probabilities=floats, class_names=tuple(class_names))


def unpack(
    true_class: bytes,
    predicted_class: bytes,
    log_probability: bytes,
    confidence: bytes,
    brier: bytes,
) -> Predictions:
    """Predictions from a row of the table ``predictions``."""
    return Predictions(
        true=_numbers(true_class, "<u2"),
        predicted=_numbers(predicted_class, "<u2"),
        log_probability=_numbers(log_probability, "<f4"),
        confidence=_numbers(confidence, "<f4"),
        brier=_numbers(brier, "<f4"),
    )


def pack_weights(of_rows: NDArray[np.float32]) -> bytes:
    """Weights of test rows: little-endian float32, zlib-compressed."""
    return zlib.compress(of_rows.astype("<f4").tobytes())


def unpack_weights(packed: bytes) -> NDArray[np.float32]:
    """Weights of test rows from a row of the table ``weights``."""
    return _numbers(packed, "<f4")


def pack_sketch(sketch: Sketch) -> bytes:
    """A sketch as an npz file.

    Names are stored as JSON; the arrays of ``axes`` and ``hidden`` as ``axes_0``, ``axes_1`` etc.
    """
    arrays: dict[str, NDArray[Any]] = {"points": sketch.points, "rows": sketch.rows}
    for name in ("class_names", "input_names"):
        texts = [_text(bounded(text, NAME_LENGTH)) for text in getattr(sketch, name)]
        arrays[name] = np.frombuffer(json.dumps(texts).encode(), dtype=np.uint8)
    for name in ("axes", "hidden"):
        arrays |= {f"{name}_{i}": array for i, array in enumerate(getattr(sketch, name))}
    if sketch.probabilities is not None:
        arrays["probabilities"] = sketch.probabilities
    file = io.BytesIO()
    np.savez_compressed(file, allow_pickle=False, **arrays)
    return file.getvalue()


def unpack_sketch(packed: bytes) -> Sketch:
    """A sketch from its npz file."""
    with np.load(io.BytesIO(packed), allow_pickle=False) as arrays:
        names = [
            tuple(json.loads(arrays[f"{kind}_names"].tobytes())) for kind in ("class", "input")
        ]

        def numbered(name: str) -> tuple[NDArray[Any], ...]:
            count = sum(key.startswith(f"{name}_") and key[-1].isdigit() for key in arrays.files)
            return tuple(arrays[f"{name}_{i}"] for i in range(count))

        return Sketch(
            names[0],
            names[1],
            arrays["points"],
            arrays["rows"],
            numbered("axes"),
            arrays["probabilities"] if "probabilities" in arrays.files else None,
            numbered("hidden"),
        )


def _timing(row: sa.RowMapping) -> Timing:
    anchor, anchors = row["figures"].get(ANCHORS, ("", {}))
    return Timing(
        **{name: row[name] for name in ("kind", "subject", "case", "device", "threads")},
        status=row["status"],
        reason=row["reason"],
        samples=unpack_samples(row["samples"], row["processes"]),
        calls=row["calls"],
        figures={name: value for name, value in row["figures"].items() if name != ANCHORS},
        measured=row["measured"] or "",
        anchor=anchor,
        anchors={name: tuple(seconds) for name, seconds in anchors.items()},
    )


def pack_samples(samples: Sequence[Sequence[float]]) -> bytes:
    """The samples of all processes, one after another: little-endian float64, zlib-compressed."""
    flat = [value for process in samples for value in process]
    return zlib.compress(np.array(flat, dtype="<f8").tobytes())


def unpack_samples(packed: bytes, lengths: Sequence[int]) -> tuple[tuple[float, ...], ...]:
    """The samples as a tuple for each process.

    Args:
        packed: from `pack_samples`.
        lengths: the number of samples of each process.
    """
    flat = _numbers(packed, "<f8")
    parts = np.split(flat, np.cumsum(lengths)[:-1]) if lengths else []
    return tuple(tuple(part.tolist()) for part in parts)


def _numbers(packed: bytes, dtype: str) -> NDArray[Any]:
    return np.frombuffer(zlib.decompress(packed), dtype=dtype)


def _engine(url: str, shown: str, secrets: Sequence[str], *, create: bool) -> sa.Engine:
    """The engine of a database.

    Args:
        url: a SQLAlchemy URL, or the path of an SQLite file.
        shown: the URL for error messages, without passwords.
        secrets: the passwords, to be hidden in error messages.
        create: whether the database may be new.

    Raises:
        StoreError: the URL or path is invalid, or the file or a driver is missing.
    """
    if "://" not in url:
        path = Path(url)
        if create and not path.absolute().parent.is_dir():
            raise StoreError(f"store '{shown}': its folder does not exist; make it first")
        if path.is_dir():
            raise StoreError(f"store '{shown}' is a folder; name a file in it")
    try:
        # A file's name may contain characters that have a meaning in a URL.
        plain = sa.URL.create("sqlite", database=url) if "://" not in url else url
        engine = sa.create_engine(plain)
    except sa.exc.NoSuchModuleError as error:
        reason = without(secrets, str(error))
        raise StoreError(f"store '{shown}' is not a database URL: {reason}") from None
    except (sa.exc.ArgumentError, ValueError):
        # The messages of these errors may contain parts of a password.
        raise StoreError(
            f"store '{shown}' is not a database URL; write dialect://user:password@host/database"
        ) from None
    except ImportError as error:
        raise StoreError(f"store '{shown}' needs a driver: {error}; pip install it") from error
    return _sqlite_engine(engine, create=create) if engine.dialect.name == "sqlite" else engine


def _sqlite_engine(engine: sa.Engine, *, create: bool) -> sa.Engine:
    """The engine of an SQLite file, set up for several processes, or for a read-only file."""
    file = engine.url.database
    if not create and file and not file.startswith("file:") and not Path(file).exists():
        raise StoreError(
            f"store '{hide_password(file)[0]}' does not exist; "
            "`harness run` makes it, --store names another"
        )
    if file and not create and not _is_writable(file):
        # Without `immutable`, SQLite cannot read a database in WAL mode in a read-only folder.
        # It must not be set while the log file exists, because the log has the newest changes.
        immutable = "" if Path(f"{file}-wal").exists() else "&immutable=1"
        uri = f"file:{quote(str(Path(file).absolute()))}?mode=ro{immutable}"
        return sa.create_engine(
            "sqlite://", creator=lambda: sqlite3.connect(uri, uri=True), poolclass=sa.NullPool
        )
    sa.event.listen(engine, "connect", _prepare_sqlite)
    # Python's driver would begin the transaction too late to include CREATE TABLE.
    sa.event.listen(engine, "begin", lambda begun: begun.exec_driver_sql("BEGIN"))
    return engine


def _is_writable(file: str) -> bool:
    paths = (Path(file), Path(file).absolute().parent)
    return file.startswith("file:") or all(os.access(path, os.W_OK) for path in paths)


def _prepare_sqlite(connection: Any, _record: object) -> None:
    """Set up a connection: wait for other writers, and delete dependent rows with their row."""
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {int(BUSY * 1000)}")
    cursor.execute("PRAGMA foreign_keys = ON")
    # In WAL mode, this setting keeps every commit even if the process is killed.
    cursor.execute("PRAGMA synchronous = NORMAL")
    cursor.close()


def _write_ahead(engine: sa.Engine) -> None:
    """Set WAL mode in a new SQLite file, so that readers and a writer do not block each other."""
    if engine.dialect.name == "sqlite":
        with closing(engine.raw_connection()) as connection:
            connection.cursor().execute("PRAGMA journal_mode = WAL")


TEXTS = ("subject", "case", "anchor", "machine", "revision")
"""Fields of a point with untrusted text."""


def _identity(row: Any) -> tuple[Any, ...]:
    """The fields that identify a point; no two points of the history agree in all of them."""
    names = ("measure", "subject", "case", "device", "time", "revision", "machine", "anchor")
    return tuple(row[name] for name in names)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None


def _json(parameters: tuple[tuple[str, Value], ...]) -> dict[str, Value]:
    """Parameters as JSON; infinity and NaN become texts, because JSON does not have them."""
    return {
        name: written(value) if isinstance(value, float) and not np.isfinite(value) else value
        for name, value in parameters
    }


def _shortened(text: str, most: int) -> str:
    """An untrusted text, cut to a length and without passwords."""
    return without_passwords(_text(bounded(text, most)))


def _text(text: str) -> str:
    """Text that every database accepts: PostgreSQL refuses NUL, SQLite refuses lone surrogates."""
    return text.replace("\0", "\\0").encode(errors="backslashreplace").decode()
