"""Results on disk: what goes in comes out, and what is not ours is left alone."""

from __future__ import annotations

import dataclasses
import math
import os
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from harness.contract.values import (
    Choice,
    Failure,
    Memory,
    Planned,
    Predictions,
    Result,
    Run,
    Seconds,
    Sketch,
    Skip,
    Timing,
    TracePoint,
    Trial,
)
from harness.errors import RefusedResultError, StoreError, StoreGoneError, UsageError
from harness.store.database import (
    Store,
    metadata,
    pack,
    pack_samples,
    unpack,
    unpack_probabilities,
    unpack_samples,
)
from harness.store.frames import load_frames
from harness.trials import scoring

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

ENVIRONMENT = {"python": "3.11", "packages": {}, "plugins": {}}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with closing(Store(str(tmp_path / "harness.db"), create=True)) as opened:
        yield opened


def begin(store: Store, name: str = "") -> Run:
    return store.begin(name, {"datasets": ["iris"]}, ENVIRONMENT, 3)


def trial(repeat: int = 0) -> Trial:
    return Trial(Choice("iris"), Choice("mlp", (("hidden", (8, 8)),)), "cpu", repeat, 0)


def a_result(repeat: int = 0, **more: Any) -> Result:
    return Result(
        trial(repeat),
        "ok",
        split_kind="resampled",
        n_train=100,
        n_test=3,
        scores={"accuracy": 2 / 3, "nll": 0.1},
        seconds=Seconds(0.5, 0.1, 0.2, 0.01, 1e-6),
        memory=Memory(peak=3e9, model=250.0),
        trace=(TracePoint(1, 0.5, 0.25), TracePoint(2, 0.75, float("nan"))),
        predictions=Predictions(
            np.array([0, 1, 2], np.uint16),
            np.array([0, 1, 1], np.uint16),
            np.array([-0.1, -0.2, -3.0], np.float32),
            confidence=np.array([0.9, 0.8, 0.9], np.float32),
            brier=np.array([0.1, 0.1, 1.5], np.float32),
            weights=np.array([0.5, 0, 2], np.float32),
        ),
        sketch=Sketch(
            ("a", "b", "\ud800"),
            ("x",),
            np.array([[0.1], [0.2]], np.float32),
            np.array([0, 2]),
            (np.array([0.0, 1.0], np.float32),),
            np.array([[0.2, 0.3, 0.5], [0.5, 0.5, 0.0]], np.float32),
            (np.zeros((2, 4), np.float32), np.ones((2, 3), np.float32)),
        ),
        **more,
    )


def timing(**changes: Any) -> Timing:
    usual: dict[str, Any] = {
        "kind": "softmax",
        "subject": "numpy-fast",
        "case": "5x3 float32 warm",
        "device": "cpu",
        "threads": 1,
        "status": "ok",
        "samples": ((1e-6, 1.5e-6), (2e-6,), (1.25e-6, 1e-6, 3e-6)),
        "calls": 1000,
        "figures": {"error": 6e-8, "survives": 1.0},
    }
    return Timing(**usual | changes)


def fields(found: Timing) -> dict[str, Any]:
    return {field.name: getattr(found, field.name) for field in dataclasses.fields(Timing)}


def test_a_result_reads_back_as_it_was_written(store: Store) -> None:
    run = begin(store)
    store.add(run, 0, a_result(), baseline=False)
    frames = load_frames(store, run)
    (row,) = frames.results.to_dict("records")
    assert row["dataset"] == "iris"
    assert row["model"] == "mlp[hidden=8x8]"
    assert (row["status"], row["split_kind"], row["n_train"], row["n_test"]) == (
        "ok",
        "resampled",
        100,
        3,
    )
    assert row["accuracy"] == 2 / 3
    assert row["predict_seconds"] == 1e-6
    assert (row["peak_bytes"], row["model_bytes"]) == (3e9, 250)
    assert np.isnan(row["device_peak_bytes"])
    assert row["split_seed"] == trial().split_seed
    traces = frames.traces()
    assert traces["epoch"].tolist() == [1, 2]
    assert traces["train_likelihood"].tolist() == [0.5, 0.75]
    assert np.isnan(traces["test_likelihood"].iloc[1])
    rows = frames.predictions([row["result_id"]])
    assert rows["true"].tolist() == [0, 1, 2]
    assert rows["predicted"].tolist() == [0, 1, 1]
    assert np.allclose(rows["log_probability"], [-0.1, -0.2, -3.0])
    assert np.allclose(rows["confidence"], [0.9, 0.8, 0.9])
    assert np.allclose(rows["brier"], [0.1, 0.1, 1.5])
    assert rows["weight"].tolist() == [0.5, 0, 2]
    ((_, predictions),) = frames.predicted([row["result_id"]])
    assert predictions.weights is not None
    assert predictions.weights.tolist() == [0.5, 0, 2]
    (sketch,) = frames.sketches([row["result_id"], 99]).values()
    before = a_result().sketch
    assert before is not None
    assert sketch.class_names == ("a", "b", "\\ud800")
    assert sketch.input_names == ("x",)
    for name in ("points", "rows", "probabilities"):
        assert np.array_equal(getattr(sketch, name), getattr(before, name))
    assert [layer.shape for layer in sketch.hidden] == [(2, 4), (2, 3)]
    assert np.array_equal(sketch.axes[0], [0.0, 1.0])


def test_a_failure_reads_back_with_its_reason(store: Store) -> None:
    run = begin(store)
    failure = Failure("signal", "died of SIGSEGV", "stack\0", "printed \udcff")
    store.add(run, 0, Result(trial(), "crashed", failure=failure), baseline=True)
    (row,) = load_frames(store, run).results.to_dict("records")
    assert (row["status"], row["failure_kind"], row["reason"]) == (
        "crashed",
        "signal",
        "died of SIGSEGV",
    )
    assert row["baseline"]
    assert "stack" in row["traceback"]


def test_a_skip_is_a_row_with_its_reason(store: Store) -> None:
    run = begin(store)
    store.add_skip(run, 0, Skip(Choice("iris"), Choice("mlp"), "cuda:0", "none"), baseline=False)
    (row,) = load_frames(store, run).results.to_dict("records")
    assert (row["status"], row["reason"]) == ("skipped", "none")


def test_the_first_result_of_a_trial_is_the_one_that_counts(store: Store) -> None:
    run = begin(store)
    store.add(run, 0, a_result(), baseline=False)
    store.add(run, 0, Result(trial(), "failed"), baseline=False)
    assert load_frames(store, run).results["status"].tolist() == ["ok"]


def test_deleting_a_run_deletes_all_that_belongs_to_it_and_nothing_else(store: Store) -> None:
    gone, kept = begin(store), begin(store)
    for run in (gone, kept):
        store.add(run, 0, a_result(), baseline=False)
        store.add_timings(run, [timing(), timing(subject="numpy-naive")])
    store.delete(gone)
    with store.reading() as connection:
        counts = {
            table.name: connection.execute(
                sa.select(sa.func.count()).select_from(table)
            ).scalar_one()
            for table in metadata.sorted_tables
        }
    assert counts == {
        "harness_schema": 1,
        "runs": 1,
        "results": 1,
        "reused": 0,
        "scores": 2,
        "traces": 2,
        "predictions": 1,
        "probabilities": 0,
        "weights": 1,
        "sketches": 1,
        "timings": 2,
        "points": 0,
    }
    assert not store.timings(gone)


PLANNED = (
    Planned("iris", "mlp[hidden=8x8]", "cpu", 3, False),
    Planned("é", "prior", "cpu", 2, True),
)


def test_what_was_planned_reads_back_as_it_was_written(store: Store) -> None:
    run = store.begin("", {}, ENVIRONMENT, 5, PLANNED)
    assert run.planned == PLANNED
    assert store.find() == run
    assert store.runs() == [run]


def test_a_run_that_adds_repeats_plans_them(store: Store) -> None:
    run = store.begin("", {}, ENVIRONMENT, 5, PLANNED)
    more = tuple(dataclasses.replace(pairing, repeats=10) for pairing in PLANNED)
    extended = store.extend(run, 20, more)
    assert (extended.n_trials, extended.planned) == (20, more)
    assert store.find() == extended


def test_a_bench_plans_no_trials(store: Store) -> None:
    store.begin("", {"bench": "softmax"}, ENVIRONMENT, 0)
    assert store.find().kind == "bench"
    assert store.find().planned == ()


def test_a_run_is_found_by_id_by_name_or_as_the_newest(store: Store) -> None:
    first, second = begin(store, "nightly"), begin(store, "nightly")
    third = begin(store)
    assert store.find(str(first.id)).id == first.id
    assert store.find("nightly").id == second.id
    assert store.find().id == third.id
    with pytest.raises(UsageError, match="no run 'weekly'"):
        store.find("weekly")


def test_a_run_is_found_by_its_place_from_the_end(store: Store) -> None:
    with pytest.raises(UsageError, match="has no last run"):
        store.find("last")
    first = begin(store, "nightly")
    with pytest.raises(UsageError, match="has no previous run"):
        store.find("previous")
    second = begin(store)
    assert [store.find(word).id for word in ("last", "previous")] == [second.id, first.id]
    with pytest.raises(UsageError, match="name is empty"):
        store.find("")


@pytest.mark.parametrize("name", ["last", "previous"])
def test_a_word_that_means_whichever_run_is_no_name(store: Store, name: str) -> None:
    with pytest.raises(UsageError, match="another --name"):
        begin(store, name)


@given(st.lists(st.floats(-36, 0, width=32), max_size=50))
def test_predictions_unpack_as_they_were_packed(values: list[float]) -> None:
    n = len(values)
    before = Predictions(
        np.arange(n, dtype=np.uint16),
        np.arange(n, dtype=np.uint16)[::-1],
        np.array(values, np.float32),
        np.array(values, np.float32)[::-1],
        np.array(values, np.float32) ** 2,
    )
    after = unpack(**pack(before))
    assert np.array_equal(before.confidence, after.confidence)
    assert np.array_equal(before.brier, after.brier)
    assert np.array_equal(before.true, after.true)
    assert np.array_equal(before.predicted, after.predicted)
    assert np.array_equal(before.log_probability, after.log_probability)


PACKED = ("class_names", "true_class", "probabilities")


@given(
    st.integers(1, 6).flatmap(
        lambda K: st.lists(
            st.lists(st.floats(1e-9, 1.0), min_size=K, max_size=K), min_size=1, max_size=30
        )
    ),
    st.integers(0, 99),
)
def test_probabilities_unpack_as_they_were_packed_and_keep_the_predicted_class(
    rows: list[list[float]], seed: int
) -> None:
    P = np.array(rows) / np.sum(rows, axis=1, keepdims=True)
    y = np.random.default_rng(seed).integers(0, P.shape[1], len(P))
    names = tuple(f"class {k}" for k in range(P.shape[1]))
    before = scoring.predictions(P, y, names)
    packed = pack(before)
    after = unpack_probabilities(*(packed[name] for name in PACKED))
    assert after.class_names == names
    for name in ("true", "predicted", "confidence", "brier", "log_probability", "probabilities"):
        assert np.array_equal(getattr(before, name), getattr(after, name)), name
    assert np.array_equal(after.predicted, P.argmax(axis=1))
    assert np.abs(after.probabilities - P).max() < 1e-6
    assert np.allclose(np.exp(after.log_probability), P[np.arange(len(y)), y], atol=1e-6)


def test_a_store_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="does not exist"):
        Store(str(tmp_path / "none.db"))


def test_a_store_in_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="folder does not exist"):
        Store(str(tmp_path / "none" / "harness.db"), create=True)


def test_a_folder_is_no_store(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="is a folder"):
        Store(str(tmp_path), create=True)


def test_a_file_that_is_no_database_is_left_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "thesis.txt"
    file.write_text("my thesis, " * 500)
    with pytest.raises(StoreError, match="not a database"):
        Store(str(file), create=True)
    assert file.read_text() == "my thesis, " * 500


def test_somebody_elses_database_is_left_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "other.db"
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("CREATE TABLE customers (id INTEGER)")
    before = file.read_bytes()
    with pytest.raises(StoreError, match="belongs to other software"):
        Store(str(file), create=True)
    assert file.read_bytes() == before


@pytest.mark.parametrize("version", [1, 99])
def test_a_store_of_another_schema_is_refused_in_one_line(tmp_path: Path, version: int) -> None:
    file = str(tmp_path / "harness.db")
    Store(file, create=True).close()
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute(f"UPDATE harness_schema SET version = {version}")
    complaint = f"has schema {version}, this harness reads and writes schema 10; use the harness"
    with pytest.raises(StoreError, match=complaint) as refused:
        Store(file)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("text", ["{", "[]", "null", "3", "[" * 100_000])
def test_a_result_whose_files_are_malformed_fits_no_file(tmp_path: Path, text: str) -> None:
    file = str(tmp_path / "harness.db")
    with closing(Store(file, create=True)) as store:
        store.add(begin(store), 0, a_result(drawn="d"), baseline=False, identity="i")
        with store.engine.begin() as connection:
            connection.execute(metadata.tables["results"].update().values(read_files=text))
        (known,) = store.known(["i"])
    assert known.read == {"": "malformed"}


OF_SCHEMA_10 = ("results.read_files",)
OF_SCHEMA_9 = ("timings.measured", *OF_SCHEMA_10)
OF_SCHEMA_8 = ("results.identity", "results.drawn", *OF_SCHEMA_9)
OF_SCHEMA_7 = (
    *("results.peak_bytes", "results.device_peak_bytes", "results.model_bytes"),
    *("results.fit_weighted", *OF_SCHEMA_8),
)
LATER: dict[int, tuple[str, ...]] = {
    4: ("results.n_repeated", "results.identifiers", "runs.planned", *OF_SCHEMA_7),
    5: ("runs.planned", *OF_SCHEMA_7),
    6: OF_SCHEMA_7,
    7: OF_SCHEMA_8,
    8: OF_SCHEMA_9,
    9: OF_SCHEMA_10,
}
"""Columns that stores of earlier schemas lack, besides the tables of probabilities and weights."""


def of_schema(version: int, file: Path) -> None:
    """A store with a result, as it was in an earlier schema."""
    with closing(Store(str(file), create=True)) as store:
        store.add(begin(store), 0, a_result(), baseline=False)
    with closing(sqlite3.connect(file)) as connection, connection:
        if version < 9:
            connection.execute("DROP TABLE reused")
            connection.execute("DROP INDEX results_by_identity")
        for later in LATER[version]:
            table, column = later.split(".")
            connection.execute(f"ALTER TABLE {table} DROP COLUMN {column}")
        connection.execute("DROP TABLE probabilities")
        connection.execute(f"UPDATE harness_schema SET version = {version}")


@pytest.mark.parametrize("version", LATER)
@pytest.mark.parametrize("create", [True, False])
def test_a_store_of_an_earlier_schema_is_brought_to_this_one(
    tmp_path: Path, create: bool, version: int
) -> None:
    file = tmp_path / "harness.db"
    of_schema(version, file)
    for _ in range(2):
        with closing(Store(str(file), create=create)) as store:
            store.add(begin(store), 0, a_result(n_repeated=3), baseline=False)
            found = load_frames(store, store.find()).results
            old = load_frames(store, store.find("1")).results
    assert found["n_repeated"].tolist() == [3]
    assert old["accuracy"].tolist() == found["accuracy"].tolist()
    assert old["n_repeated"].isna().all() or version >= 6
    assert old["peak_bytes"].isna().all() or version >= 7


def test_what_was_planned_is_not_known_of_a_run_of_schema_5_until_it_adds_repeats(
    tmp_path: Path,
) -> None:
    file = tmp_path / "harness.db"
    of_schema(5, file)
    with closing(Store(str(file))) as store:
        run = store.find()
        assert run.planned == ()
        assert store.extend(run, 5, PLANNED).planned == store.find().planned == PLANNED


@pytest.mark.parametrize("version", LATER)
def test_a_store_of_an_earlier_schema_that_nobody_may_write_to_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: int
) -> None:
    file = tmp_path / "harness.db"
    of_schema(version, file)
    monkeypatch.setattr(os, "access", lambda _path, mode: mode != os.W_OK)
    complaint = f"has schema {version} and cannot be brought to schema 10 here"
    with pytest.raises(StoreError, match=complaint):
        Store(str(file))


def test_repeated_rows_and_columns_that_only_identify_read_back(store: Store) -> None:
    run = begin(store)
    store.add(run, 0, a_result(n_repeated=2, identifiers=("user", "card")), baseline=False)
    (row,) = load_frames(store, run).results.to_dict("records")
    assert (row["n_repeated"], row["identifiers"]) == (2, "columns 'user', 'card'")


def test_a_store_from_before_there_were_timings_is_refused_and_left_as_it_is(
    tmp_path: Path,
) -> None:
    file = tmp_path / "harness.db"
    Store(str(file), create=True).close()
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("UPDATE harness_schema SET version = 1")
        connection.execute("DROP TABLE timings")
    before = tables_in(file)
    with pytest.raises(StoreError, match="has schema 1, "):
        Store(str(file), create=True)
    assert tables_in(file) == before


def test_a_store_that_somebody_else_is_making_is_no_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when two runs begin at once where there was no store."""
    monkeypatch.setattr("harness.store.database.BUSY", 0.01)
    monkeypatch.setattr("harness.store.database.CREATE_TRIES", 2)
    file = tmp_path / "harness.db"
    with closing(sqlite3.connect(file)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="database is locked"):
            Store(str(file), create=True)


def tables_in(file: Path) -> set[str]:
    with closing(sqlite3.connect(file)) as connection:
        found = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        return {name for (name,) in found}


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_store_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    file = tmp_path / "harness.db"
    Store(str(file), create=True).close()
    file.chmod(0o444)
    tmp_path.chmod(0o555)
    try:
        with pytest.raises(StoreError, match=r"readonly|unable"):
            begin(Store(str(file), create=True))
    finally:
        tmp_path.chmod(0o755)


def test_a_database_that_refuses_to_be_written_is_told(tmp_path: Path) -> None:
    file = tmp_path / "harness.db"
    Store(str(file), create=True).close()
    store = Store(f"sqlite:///file:{file}?mode=ro&uri=true")
    with closing(store), pytest.raises(StoreError, match="readonly"):
        begin(store)


@pytest.mark.parametrize("url", ["nonsense://x", "postgresql+nodriver://h/db"])
def test_a_url_that_is_none_is_told(url: str) -> None:
    with pytest.raises(StoreError, match="store"):
        Store(url, create=True)


def test_a_password_in_a_url_is_not_shown(tmp_path: Path) -> None:
    url = f"sqlite://someone:secret@/{tmp_path / 'harness.db'}"
    with pytest.raises(StoreError) as raised:
        Store(url, create=True)
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize(
    "url",
    [
        "odd://me:s3cret@host/db",
        "postgresql+nodriver://host/db?password=s3cret",
        "postgresql://me:p@ss:s3cret@host/db",
        "postgresql://me:a/s3cret@host:db",
        "sqlite:////nowhere/x.db?password=s3cret&uri=true",
        "postgresql:me:s3cret@host/db",
        "postgresql:/me:s3cret@host/db",
    ],
)
@pytest.mark.parametrize("create", [True, False])
def test_no_fault_of_a_store_shows_a_password(url: str, create: bool) -> None:
    with pytest.raises(StoreError) as raised:
        Store(url, create=create)
    shown: BaseException | None = raised.value
    while shown is not None:  # as --debug shows it
        assert "s3cret" not in str(shown)
        shown = None if shown.__suppress_context__ else shown.__context__


def test_a_password_that_a_driver_repeats_is_hidden(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"sqlite:///{tmp_path / 'harness.db'}?password=s3c%20ret&uri=true"

    def refuses(*_: object, **__: object) -> None:
        raise sa.exc.OperationalError("", {}, Exception("no 's3c ret' for me (s3c%20ret)"))

    monkeypatch.setattr(Store, "_check", refuses)
    with pytest.raises(StoreError) as raised:
        Store(url, create=True)
    assert "no '***' for me (***)" in str(raised.value)


def _truncated(file: Path) -> None:
    with file.open("r+b") as opened:
        opened.truncate(100)


def _is_text(file: Path) -> None:
    file.write_text("not a database, but a text that is long enough to be looked at" * 99)


def _is_a_folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


def _is_another(file: Path) -> None:
    file.unlink()
    Store(str(file), create=True).close()


GONE: dict[str, Callable[[Path], object]] = {
    "deleted": lambda file: file.unlink(),
    "moved": lambda file: file.rename(file.with_name("moved")),
    "its folder moved": lambda file: file.parent.rename(file.parent.with_name("moved")),
    "a folder": _is_a_folder,
    "another": _is_another,
}
BROKEN: dict[str, Callable[[Path], object]] = {"truncated": _truncated, "a text": _is_text}
USES: dict[str, Callable[[Store, Run], object]] = {
    "add": lambda store, run: store.add(run, 0, a_result(), baseline=False),
    "skip": lambda store, run: store.add_skip(
        run, 0, Skip(Choice("a"), Choice("b"), "cpu", "why"), baseline=False
    ),
    "timings": lambda store, run: store.add_timings(run, [timing()]),
    "finish": lambda store, run: store.finish(run),
    "find": lambda store, run: store.find(str(run.id)),
    "done": lambda store, run: store.done(run),
    "frames": load_frames,
    "delete": lambda store, run: store.delete(run),
}


@pytest.mark.parametrize("use", USES.values(), ids=USES)
@pytest.mark.parametrize("change", GONE.values(), ids=GONE)
def test_a_store_that_goes_away_is_told_whatever_is_wanted_of_it(
    tmp_path: Path, change: Callable[[Path], object], use: Callable[[Store, Run], object]
) -> None:
    file = tmp_path / "stores" / "harness.db"
    file.parent.mkdir()
    with closing(Store(str(file), create=True)) as store:
        run = begin(store)
        change(file)
        with pytest.raises(StoreGoneError, match="was deleted or replaced while it was in use"):
            use(store, run)


@pytest.mark.parametrize("create", [True, False])
@pytest.mark.parametrize("change", BROKEN.values(), ids=BROKEN)
def test_a_store_that_was_broken_is_told(
    tmp_path: Path, change: Callable[[Path], object], create: bool
) -> None:
    file = tmp_path / "harness.db"
    with closing(Store(str(file), create=True)) as store:
        begin(store)
    change(file)
    with (
        pytest.raises(StoreError, match=r"malformed|not a database"),
        closing(Store(str(file), create=create)) as store,
    ):
        store.find()


REFUSED: dict[str, dict[str, Any]] = {
    "a number that no column holds": {"n_train": 2**70},
    "a value that is none": {"n_test": object()},
    "a score that is none": {"scores": {"accuracy": object()}},
    "a score without a value": {"scores": {"accuracy": None}},
    "an epoch that comes twice": {"trace": (TracePoint(1, 0.5, 0.5), TracePoint(1, 0.5, 0.5))},
    "a status that is none": {"status": None},
    "no trace": {"trace": (1, 2)},
    "no predictions": {"predictions": "these"},
    "no sketch": {"sketch": object()},
    "no failure": {"failure": object()},
}


@pytest.mark.parametrize("change", REFUSED.values(), ids=REFUSED)
def test_a_result_that_is_refused_is_lost_and_no_other(
    store: Store, change: dict[str, Any]
) -> None:
    run = begin(store)
    with pytest.raises(RefusedResultError, match=r"refused the result of iris x mlp.*, repeat 0"):
        store.add(run, 0, dataclasses.replace(a_result(), **change), baseline=False)
    assert not store.done(run)
    store.add(run, 1, a_result(1), baseline=False)
    assert store.done(run) == {trial(1).key}


def test_a_run_that_was_deleted_takes_no_result(store: Store) -> None:
    run = begin(store)
    store.delete(run)
    with pytest.raises(StoreGoneError, match=f"run {run.id} was deleted while it ran"):
        store.add(run, 0, a_result(), baseline=False)


def test_what_a_plugin_says_is_bounded_and_keeps_no_password(store: Store) -> None:
    run = begin(store)
    long = "first postgresql://me:s3cret@host " + "m" * 1_000_000 + " last"
    failure = Failure("exception", long, long, long)
    failed = dataclasses.replace(a_result(), status="failed", failure=failure)
    store.add(run, 0, failed, baseline=False)
    store.add_skip(run, 1, Skip(Choice("a"), Choice("b"), "cpu", long), baseline=False)
    store.add_timings(run, [timing(reason=long)])
    results = load_frames(store, run).results
    texts = [*results["reason"], results["traceback"][0], results["output"][0]]
    texts += [found.reason for found in store.timings(run)]
    for text, most in zip(texts, (500, 500, 20_000, 4_000, 500), strict=True):
        assert len(text) < most + 60
        assert text.startswith("first postgresql://me:***@host mmm")
        assert "characters left out" in text
        assert text.endswith(" last")


def test_a_url_of_a_file_that_is_not_there_makes_none_for_a_reader(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="does not exist"):
        Store(f"sqlite:///{tmp_path / 'none.db'}")
    assert not list(tmp_path.iterdir())


def test_an_infinite_parameter_is_json_that_any_database_takes(store: Store) -> None:
    run = begin(store)
    odd = Trial(Choice("iris"), Choice("logistic", (("C", float("inf")),)), "cpu", 0, 0)
    store.add(run, 0, Result(odd, "ok"), baseline=False)
    (row,) = load_frames(store, run).results.to_dict("records")
    assert row["model_parameters"] == {"C": "inf"}


def test_timings_read_back_as_they_were_written_and_in_that_order(store: Store) -> None:
    run = begin(store)
    written = [
        timing(),
        timing(subject="numpy-naive", status="wrong", reason="a probability is off", samples=()),
        timing(kind="fit", subject="mlp[hidden=8x8]", case="iris", device="cuda:0", threads=4),
        timing(status="unfinished", reason="the time was up", samples=((1e-6,),), figures={}),
        timing(kind="copy", subject="copy", samples=()),
        timing(kind="predict", status="failed", reason="ValueError: NUL \0", samples=()),
    ]
    store.add_timings(run, written)
    found = store.timings(run)
    assert [fields(one) for one in found[:-1]] == [fields(one) for one in written[:-1]]
    assert found[-1].reason == "ValueError: NUL \\0"  # PostgreSQL refuses NUL


@given(
    st.lists(
        st.lists(st.floats(min_value=0, allow_infinity=False), max_size=5).map(tuple), max_size=4
    ).map(tuple)
)
def test_samples_unpack_bit_for_bit_as_they_were_packed(
    samples: tuple[tuple[float, ...], ...],
) -> None:
    lengths = [len(process) for process in samples]
    assert unpack_samples(pack_samples(samples), lengths) == samples


def test_samples_that_no_decimal_writes_read_back_bit_for_bit(store: Store) -> None:
    run = begin(store)
    samples = ((0.1 + 0.2, 1 / 3), (5e-324,), (math.nextafter(1e-6, 1),))
    store.add_timings(run, [timing(samples=samples)])
    assert store.timings(run)[0].samples == samples


def test_anchors_read_back_as_they_were_written_and_are_no_figures(store: Store) -> None:
    run = begin(store)
    seconds = {"memory-1": (0.1, 0.2), "compute-1": (0.3, 0.4)}
    store.add_timings(run, [timing(anchor="compute-1", anchors=seconds, figures={"n_test": 7.0})])
    (read,) = store.timings(run)
    assert (read.anchor, read.anchors, read.figures) == ("compute-1", seconds, {"n_test": 7.0})


def test_a_figure_that_is_no_number_is_left_out(store: Store) -> None:
    run = begin(store)
    figures = {"error": math.nan, "survives": math.inf, "n_test": 7.0}
    store.add_timings(run, [timing(figures=figures)])
    assert store.timings(run)[0].figures == {"n_test": 7.0}


def test_timings_take_the_place_of_those_that_the_run_had_and_of_no_other_s(store: Store) -> None:
    run, other = begin(store), begin(store)
    for each in (run, other):
        store.add_timings(each, [timing(), timing(subject="numpy-naive")])
    store.add_timings(run, [timing(subject="torch")])
    assert [one.subject for one in store.timings(run)] == ["torch"]
    assert [one.subject for one in store.timings(other)] == ["numpy-fast", "numpy-naive"]


def test_a_run_without_timings_has_a_frame_of_none_with_the_usual_columns(store: Store) -> None:
    run = begin(store)
    assert store.timings(run) == []
    frame = load_frames(store, run).timings
    assert frame.empty
    assert {"kind", "subject", "median", "low", "p99", "samples", "together"} <= set(frame.columns)


def test_a_frame_of_timings_has_figures_of_those_that_are_ok_only(store: Store) -> None:
    run = begin(store)
    store.add_timings(run, [timing(), timing(status="unfinished", reason="late", samples=())])
    done, late = load_frames(store, run).timings.to_dict("records")
    assert (done["median"], done["minimum"], done["n_processes"], done["n_samples"]) == (
        1.25e-6,  # of the processes' 1.25, 2 and 1.25
        1e-6,
        3,
        6,
    )
    assert (done["calls"], done["error"]) == (1000, 6e-8)
    assert (late["status"], late["reason"], late["samples"]) == ("unfinished", "late", ())
    assert math.isnan(late["median"])


def test_how_many_were_fitted_together_reads_back(store: Store) -> None:
    run = begin(store)
    together = dataclasses.replace(a_result(), seconds=Seconds(0.5, 0.1, 0.2, 0.01, 1e-6, 5))
    store.add(run, 0, together, baseline=False)
    store.add(run, 1, a_result(1), baseline=False)
    store.add(run, 2, Result(trial(2), "failed"), baseline=False)
    counts = load_frames(store, run).results["fitted_together"].tolist()
    assert counts[:2] == [5, 1]
    assert math.isnan(counts[2])


def test_a_store_that_nobody_may_write_to_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as one that was kept by CI; without rights, not even SQLite's side files can be made."""
    file = tmp_path / "kept ?#.db"
    with closing(Store(str(file), create=True)) as store:
        store.add(begin(store), 0, a_result(), baseline=False)
    before = file.read_bytes()
    monkeypatch.setattr(os, "access", lambda _path, mode: mode != os.W_OK)
    with closing(Store(str(file))) as store:
        assert load_frames(store, store.find()).results["status"].tolist() == ["ok"]
        with pytest.raises(StoreError, match="readonly"):
            store.begin("", {}, {}, 1)
    assert file.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == [file.name]
