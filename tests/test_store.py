"""Results on disk: what goes in comes out, and what is not ours is left alone."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import numpy as np
import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import StoreError, UsageError
from harness.frames import load_frames
from harness.store import Store, metadata, pack, unpack
from harness.values import (
    Choice,
    Failure,
    Predictions,
    Result,
    Run,
    Seconds,
    Skip,
    TracePoint,
    Trial,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
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


def a_result(repeat: int = 0) -> Result:
    return Result(
        trial(repeat),
        "ok",
        split_kind="resampled",
        n_train=100,
        n_test=3,
        scores={"accuracy": 2 / 3, "nll": 0.1},
        seconds=Seconds(0.5, 0.1, 0.2, 0.01, 1e-6),
        trace=(TracePoint(1, 0.5, 0.25), TracePoint(2, 0.75, float("nan"))),
        predictions=Predictions(
            np.array([0, 1, 2], np.uint16),
            np.array([0, 1, 1], np.uint16),
            np.array([-0.1, -0.2, -3.0], np.float32),
        ),
    )


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
    assert row["split_seed"] == trial().split_seed
    traces = frames.traces()
    assert traces["epoch"].tolist() == [1, 2]
    assert traces["train_likelihood"].tolist() == [0.5, 0.75]
    assert np.isnan(traces["test_likelihood"].iloc[1])
    rows = frames.predictions([row["result_id"]])
    assert rows["true"].tolist() == [0, 1, 2]
    assert rows["predicted"].tolist() == [0, 1, 1]
    assert np.allclose(rows["log_probability"], [-0.1, -0.2, -3.0])


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
        "scores": 2,
        "traces": 2,
        "predictions": 1,
    }


def test_a_run_is_found_by_id_by_name_or_as_the_newest(store: Store) -> None:
    first, second = begin(store, "nightly"), begin(store, "nightly")
    third = begin(store)
    assert store.find(str(first.id)).id == first.id
    assert store.find("nightly").id == second.id
    assert store.find().id == third.id
    with pytest.raises(UsageError, match="no run 'weekly'"):
        store.find("weekly")


@given(st.lists(st.floats(-36, 0, width=32), max_size=50))
def test_predictions_unpack_as_they_were_packed(values: list[float]) -> None:
    n = len(values)
    before = Predictions(
        np.arange(n, dtype=np.uint16),
        np.arange(n, dtype=np.uint16)[::-1],
        np.array(values, np.float32),
    )
    after = unpack(**pack(before))
    assert np.array_equal(before.true, after.true)
    assert np.array_equal(before.predicted, after.predicted)
    assert np.array_equal(before.log_probability, after.log_probability)


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
    with pytest.raises(StoreError, match="belongs to something else"):
        Store(str(file), create=True)
    assert file.read_bytes() == before


def test_a_store_of_another_schema_is_refused_with_a_sentence(tmp_path: Path) -> None:
    file = str(tmp_path / "harness.db")
    Store(file, create=True).close()
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("UPDATE harness_schema SET version = 99")
    with pytest.raises(StoreError, match="has schema 99, this harness reads and writes schema 1"):
        Store(file)


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
