"""OpenML: datasets, tasks and suites from a local server with the payloads of scikit-learn."""

from __future__ import annotations

import gzip
import json
import re
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from command_line import complaint_of, harness_in
from harness_files import frozen, open_data, open_suite, open_task

import harness
from harness.contract.openers import opening
from harness.testing import check_dataset

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

sklearn_tests = pytest.importorskip("sklearn.datasets.tests")
PAYLOADS = Path(sklearn_tests.__file__).parent / "data" / "openml"
IRIS, EMOTIONS, CPU, AUSTRALIAN, ZOO = 61, 40589, 561, 292, 62


@dataclass
class Server:
    """A local server: what it was asked, and its answers besides scikit-learn's payloads."""

    asked: list[str] = field(default_factory=list)
    answers: dict[str, bytes] = field(default_factory=dict)
    broken: dict[str, int] = field(default_factory=dict)  # HTTP status by path

    def add_task(
        self,
        number: int,
        data_id: int,
        splits: str = "",
        *,
        target: str = "class",
        kind: str = "Supervised Classification",
        procedure: str = "crossvalidation",
    ) -> None:
        """Offer a task with splits in the lines of an ARFF file."""
        url = f"https://api.openml.org/api_splits/get/{number}/Task_{number}_splits.arff"
        self.answers[f"/api/v1/json/task/{number}"] = json.dumps(
            {
                "task": {
                    "task_id": str(number),
                    "task_name": f"Task {number} ({kind})",
                    "task_type_id": "1",
                    "task_type": kind,
                    "input": [
                        {
                            "name": "source_data",
                            "data_set": {"data_set_id": str(data_id), "target_feature": target},
                        },
                        {
                            "name": "estimation_procedure",
                            "estimation_procedure": {
                                "id": "1",
                                "type": procedure,
                                "data_splits_url": url,
                                "parameter": [{"name": "number_repeats", "value": "1"}],
                            },
                        },
                        {"name": "evaluation_measures", "evaluation_measures": {}},
                    ],
                    "output": {"name": "predictions", "predictions": {"format": "ARFF"}},
                }
            }
        ).encode()
        self.answers[f"/api_splits/get/{number}/Task_{number}_splits.arff"] = (
            f"@RELATION Task_{number}_splits\n\n@ATTRIBUTE type {{TRAIN,TEST}}\n"
            "@ATTRIBUTE rowid INTEGER\n@ATTRIBUTE repeat INTEGER\n@ATTRIBUTE fold INTEGER\n\n"
            f"@DATA\n{splits}"
        ).encode()

    def add_suite(self, number: int, *tasks: int) -> None:
        """Offer a suite."""
        self.answers[f"/api/v1/json/study/{number}"] = json.dumps(
            {
                "study": {
                    "id": str(number),
                    "main_entity_type": "task",
                    "name": "A suite",
                    "tasks": {"task_id": [str(task) for task in tasks]},
                }
            }
        ).encode()


def payload(path: str) -> bytes | None:
    """The file of scikit-learn's tests that answers a request, unpacked."""
    kinds = {"": "jd", "features/": "jdf", "qualities/": "jdq"}
    if match := re.fullmatch(r"/api/v1/json/data/(|features/|qualities/)(\d+)", path):
        name = f"api-v1-{kinds[match[1]]}-{match[2]}.json.gz"
    elif match := re.fullmatch(r"/data/v1/download/(\d+)/.*", path):
        name = f"data-v1-dl-{match[1]}.arff.gz"
    else:
        return None
    files = sorted(PAYLOADS.glob(f"id_*/{name}"))
    return gzip.decompress(files[0].read_bytes()) if files else None


@contextmanager
def serving(server: Server) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            server.asked.append(self.path)
            status = server.broken.get(self.path, 200)
            content = server.answers.get(self.path) or payload(self.path)
            if status == 200 and content is None:
                status = 412
                content = b'{"error":{"code":"111","message":"Unknown dataset"}}'
            self.send_response(status)
            self.end_headers()
            self.wfile.write(content or b"")

        def log_message(self, *_: object) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=http.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{http.server_port}"
    finally:
        http.shutdown()
        http.server_close()
        thread.join()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of what is fetched; no server answers."""
    monkeypatch.setenv("HARNESS_OPENML", str(tmp_path / "frozen"))
    monkeypatch.setenv("SCIKIT_LEARN_DATA", str(tmp_path / "sklearn"))
    monkeypatch.setenv("HARNESS_OPENML_SERVER", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    return tmp_path / "frozen"


@pytest.fixture
def server(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    served = Server()
    with serving(served) as address:
        monkeypatch.setenv("HARNESS_OPENML_SERVER", address)
        yield served


def data(number: int | str, **options: str) -> harness.Dataset:
    (dataset,) = open_data(f"openml:{number}", name=f"openml-{number}", **options)
    return dataset


def task(number: int) -> harness.Dataset:
    (dataset,) = open_task(f"openml-task:{number}", name=f"openml-task-{number}")
    return dataset


def suite(number: int, **options: str) -> dict[str, harness.Dataset]:
    name = f"openml-suite-{number}"
    return {d.name: d for d in open_suite(f"openml-suite:{number}", name=name, **options)}


def drawn(dataset: harness.Dataset, *place: int) -> harness.Split:
    return dataset.split(np.random.default_rng(0), *place)


def folds(n_rows: int, n_folds: int, repeats: int = 1) -> str:
    """Lines of splits: in repeat r, row i is tested in fold (i + r) % n_folds."""
    return "".join(
        f"{'TEST' if (row + repeat) % n_folds == fold else 'TRAIN'},{row},{repeat},{fold}\n"
        for repeat in range(repeats)
        for fold in range(n_folds)
        for row in range(n_rows)
    )


IRIS_ROWS = 150
FIRST = {"Iris-setosa": 0, "Iris-versicolor": 50, "Iris-virginica": 100}


# Datasets


def test_a_dataset_has_the_table_and_the_target_that_openml_names(server: Server) -> None:
    iris = data(IRIS)
    assert (iris.name, iris.kind, iris.licence) == ("openml-61", "resampled", "Public")
    assert iris.tags == ("openml", "openml-61")
    assert iris.description.startswith("iris, openml:61: 150 rows")
    assert [column.use for column in iris.columns] == ["number"] * 4 + ["apart"]
    split = drawn(iris)
    assert list(split.class_names) == list(FIRST)
    assert split.X_train.shape[1] == 4
    check_dataset(iris)


def test_nominal_columns_are_categories_and_missing_values_stay(server: Server) -> None:
    penguins = data(42585)
    uses = {column.name: (column.type, column.use) for column in penguins.columns}
    assert uses["island"] == ("category", "category")
    assert uses["body_mass_g"][1] == "number"
    assert {column.name: column.n_missing for column in penguins.columns}["sex"] == 10


def test_options_choose_target_columns_and_folds(server: Server) -> None:
    dataset = data(EMOTIONS, target="quiet.still", drop="sad.lonely")
    assert {c.name: c.use for c in dataset.columns}["sad.lonely"] == "dropped"
    assert data(IRIS, cv="5x2").repeats == 10


def test_what_was_fetched_once_needs_no_network(
    server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    first = drawn(data(IRIS))
    asked = len(server.asked)
    monkeypatch.setenv("HARNESS_OPENML_SERVER", "http://127.0.0.1:9")
    monkeypatch.setenv("SCIKIT_LEARN_DATA", str(tmp_path / "elsewhere"))
    again = drawn(data(IRIS))
    assert len(server.asked) == asked > 0
    assert first.X_train.equals(again.X_train)
    assert np.array_equal(first.y_test, again.y_test)


def test_a_note_says_which_data_they_are(server: Server, folder: Path) -> None:
    note = data(IRIS).notes[0]
    digest = json.loads((folder / "data-61.json").read_text())["digest"]
    assert note.startswith("openml:61: iris, version 1; fetched on ")
    assert note.endswith(f"digest {digest[:12]}")


def test_the_digest_is_that_of_the_content_not_of_its_storage(server: Server) -> None:
    import pyarrow as pa

    table = pa.table({"a": ["x", None, "y"], "b": [1.5, None, 0.0]})
    chunked = pa.concat_tables([table.slice(0, 1), table.slice(1)])
    coded = table.set_column(0, "a", table["a"].dictionary_encode())
    digests = {frozen.digest_of(each) for each in (table, chunked, coded)}
    assert len(digests) == 1
    other = pa.table({"a": ["x", None, "y"], "b": [1.5, 0.0, None]})
    assert frozen.digest_of(other) not in digests


def test_data_that_changed_on_disk_are_refused(server: Server, folder: Path) -> None:
    data(IRIS)
    (folder / "data-61.arrow").write_bytes(b"other")
    with pytest.raises(harness.UsageError, match=r"openml:61: .*data-61.arrow has changed since"):
        data(IRIS)
    (folder / "data-61.arrow").unlink()
    data(IRIS)


def test_data_that_openml_changed_are_refused(server: Server, folder: Path) -> None:
    data(IRIS)
    (folder / "data-61.arrow").unlink()
    facts = folder / "data-61.json"
    facts.write_text(json.dumps(json.loads(facts.read_text()) | {"digest": "0" * 64}))
    with pytest.raises(harness.UsageError, match=r"openml:61: OpenML sends other data .* delete"):
        data(IRIS)


@pytest.mark.parametrize(
    ("number", "fault"),
    [
        ("iris", "openml:iris: 'iris' is no number of a dataset; write openml:31, for example"),
        (7, r"openml:7: OpenML gives no such dataset \(.*not found\); look its number up at"),
        (EMOTIONS, r"has 6 targets \(.*; choose one: openml:40589\[target=amazed.suprised\]"),
        (
            CPU,
            "column .class.: 104 different numbers in 209 rows, so this looks like regression",
        ),
        (AUSTRALIAN, "openml:292: its format is sparse ARFF.*choose a version in ARFF"),
    ],
)
def test_a_dataset_that_cannot_be_used_is_one_line(
    server: Server, number: int | str, fault: str
) -> None:
    with pytest.raises(harness.UsageError, match=fault) as caught:
        data(number)
    assert "\n" not in str(caught.value)


def test_a_server_that_is_down_is_one_line(folder: Path) -> None:
    fault = r": http://127.0.0.1:9 cannot be reached \(.*refused\); try again later"
    for opened in (data, task, suite):
        with pytest.raises(harness.UsageError, match=fault):
            opened(3)


def test_a_server_in_trouble_is_one_line(server: Server) -> None:
    server.add_task(1, IRIS)
    server.broken["/api/v1/json/task/1"] = 503
    with pytest.raises(harness.UsageError, match=r"answers with an error \(HTTP 503\); try again"):
        task(1)
    server.answers["/api/v1/json/task/2"] = b"<html>maintenance</html>"
    with pytest.raises(harness.UsageError, match=r"task:2: .* something other than OpenML's JSON"):
        task(2)


def test_a_folder_that_cannot_be_written_is_one_line(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("HARNESS_OPENML", str(tmp_path / "file" / "below"))
    with pytest.raises(harness.UsageError, match=r"cannot be kept in .*; set HARNESS_OPENML"):
        data(IRIS)


def test_a_cache_of_scikit_learn_that_cannot_be_written_is_one_line(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("SCIKIT_LEARN_DATA", str(tmp_path / "file" / "below"))
    with pytest.raises(harness.UsageError, match=r"cache fails \(.*; set SCIKIT_LEARN_DATA"):
        data(IRIS)


# Tasks


def test_the_test_rows_of_a_fold_are_those_published(server: Server) -> None:
    server.add_task(59, IRIS, folds(IRIS_ROWS, 10))
    dataset = task(59)
    whole = data(IRIS)
    assert (dataset.kind, dataset.repeats) == ("10-fold", 10)
    rows = np.arange(IRIS_ROWS)
    for fold in range(10):
        split = drawn(dataset, fold, 0)
        assert split.X_test.index.tolist() == rows[rows % 10 == fold].tolist()
        assert split.X_train.index.tolist() == rows[rows % 10 != fold].tolist()
        assert [split.class_names[code] for code in split.y_test] == [
            list(FIRST)[row // 50] for row in split.X_test.index
        ]
    assert dataset.columns == whole.columns
    check_dataset(dataset)


def test_each_published_repetition_has_its_own_folds(server: Server) -> None:
    server.add_task(3, IRIS, folds(IRIS_ROWS, 5, repeats=2))
    dataset = task(3)
    assert (dataset.kind, dataset.repeats) == ("5-fold", 10)
    for repeat in range(2):
        test = drawn(dataset, 3, repeat).X_test.index
        assert ((test + repeat) % 5 == 3).all()
    check_dataset(dataset)


def test_published_hold_outs_are_splits_of_their_own(server: Server) -> None:
    lines = [
        f"{'TEST' if (row + repeat) % 3 == 0 else 'TRAIN'},{row},{repeat},0\n"
        for repeat in range(2)
        for row in range(IRIS_ROWS)
    ]
    server.add_task(4, IRIS, "".join(lines[:IRIS_ROWS]), procedure="holdout")
    server.add_task(5, IRIS, "".join(lines), procedure="holdout")
    one, two = task(4), task(5)
    assert (one.kind, one.repeats, two.kind, two.repeats) == ("fixed", 1, "resampled", 2)
    assert (drawn(one, 0).X_test.index % 3 == 0).all()
    assert (drawn(two, 1).X_test.index % 3 == 2).all()
    for dataset in (one, two):
        check_dataset(dataset)


def test_rows_without_a_class_leave_the_published_folds(server: Server) -> None:
    server.add_task(6, 42585, folds(344, 4), target="sex")
    dataset = task(6)
    # Row 3 has no sex: row 4, tested in fold 0, is row 3 of those that stay.
    assert drawn(dataset, 0, 0).X_test.index.tolist()[:3] == [0, 3, 7]
    assert sum(len(drawn(dataset, fold, 0).y_test) for fold in range(4)) == 334
    assert "leaves out 10 rows without a class" in dataset.notes


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        ({"kind": "Supervised Regression"}, "the task is Supervised Regression, but harness"),
        ({"splits": "TRAIN,0,0,0\nTEST,1,0,1\n"}, "neither hold-outs nor cross-validation"),
        ({"splits": "TRAIN,zero,0,0\n"}, "its published splits cannot be read"),
        ({"splits": ""}, r"its published splits cannot be read \(.*mpty"),
        ({"splits": "TRAIN,-1,0,0\nTEST,1,0,0\n"}, "its published splits cannot be read"),
        ({"splits": "TRAIN,0,0,0\nTEST,1,900000000,0\n"}, "its numbers are too large"),
        ({"splits": "TRAIN,0,0,0\nTEST,,0,0\n"}, "a value is missing"),
        ({"splits": folds(160, 10)}, "name row 160, but dataset 61 has 150 rows"),
        ({"target": "color", "splits": folds(150, 10)}, "target=color is no column"),
    ],
)
def test_a_task_that_cannot_be_used_is_one_line(
    server: Server, given: Mapping[str, Any], fault: str
) -> None:
    server.add_task(8, IRIS, **given)
    with pytest.raises(harness.UsageError, match=f"openml-task:8.*{fault}") as caught:
        task(8)
    assert "\n" not in str(caught.value)


def test_an_unknown_task_is_one_line(server: Server) -> None:
    server.answers["/api/v1/json/task/9"] = b'{"error":{"code":"151","message":"Unknown task"}}'
    server.broken["/api/v1/json/task/9"] = 412
    fault = r"openml-task:9: OpenML gives no such task \(Unknown task\); look its number up"
    with pytest.raises(harness.UsageError, match=fault):
        task(9)


def test_splits_at_an_address_that_is_no_server_are_refused(server: Server) -> None:
    server.add_task(8, IRIS)
    path = "/api/v1/json/task/8"
    server.answers[path] = re.sub(rb"https:[^\"]*", b"file:///etc/hostname", server.answers[path])
    with pytest.raises(harness.UsageError, match="gives 'file:///etc/hostname' as an address"):
        task(8)


# Suites


def test_a_suite_is_a_dataset_for_each_task(server: Server, folder: Path) -> None:
    server.add_task(1, IRIS, folds(IRIS_ROWS, 10))
    server.add_task(2, ZOO, folds(101, 3), target="type")
    server.add_task(3, IRIS, folds(IRIS_ROWS, 5))
    server.add_suite(99, 1, 2, 3)
    datasets = suite(99)
    assert {name: d.kind for name, d in datasets.items()} == {
        "openml-suite-99.iris": "10-fold",
        "openml-suite-99.zoo": "3-fold",
        "openml-suite-99.iris-3": "5-fold",
    }
    assert all(d.tags == ("openml", "openml-suite-99") for d in datasets.values())
    assert (drawn(datasets["openml-suite-99.zoo"], 1, 0).X_test.index % 3 == 1).all()
    asked = len(server.asked)
    assert list(suite(99)) == list(datasets)
    assert len(server.asked) == asked


def test_a_suite_with_regression_says_how_to_leave_it_out(server: Server) -> None:
    server.add_task(1, IRIS, folds(IRIS_ROWS, 10))
    server.add_task(2, CPU, kind="Supervised Regression")
    server.add_suite(7, 1, 2)
    fault = (
        r"openml-suite:7: 1 of 2 tasks are not classification, such as task 2 \(Supervised "
        r"Regression\); leave them out: openml-suite:7\[skip=2\]"
    )
    with pytest.raises(harness.UsageError, match=fault):
        suite(7)
    assert list(suite(7, skip="2")) == ["openml-suite-7.iris"]
    with pytest.raises(harness.UsageError, match="skip=5 is none of its tasks"):
        suite(7, skip="5")


def test_a_study_of_runs_is_no_suite(server: Server) -> None:
    server.answers["/api/v1/json/study/5"] = b'{"study":{"id":"5","main_entity_type":"run"}}'
    with pytest.raises(harness.UsageError, match="openml-suite:5: has no tasks, so it is no suite"):
        suite(5)


# The command line


def test_an_address_selects_the_datasets_that_it_yields() -> None:
    found = opening("openml-suite:99[skip=3]")
    assert found is not None
    assert (found.name, found.selector) == ("openml-suite-99", "openml-suite-99:*")
    assert found.spec == "openml-suite:99[name=openml-suite-99,skip=3]"


def test_run_takes_an_address_and_later_runs_need_no_network(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.add_task(59, IRIS, folds(IRIS_ROWS, 5, repeats=2))
    words = ("-d", "openml:61", "-d", "openml-task:59", "-m", "sklearn-gaussian-nb", "-r", "2")
    done = harness_in(tmp_path, "run", *words)
    assert done.status == 0, done
    assert "openml-61" in done.printed
    assert "openml-task-59" in done.printed
    monkeypatch.setenv("HARNESS_OPENML_SERVER", "http://127.0.0.1:9")
    assert harness_in(tmp_path, "run", *words).status == 0


def test_a_fault_is_one_line_of_the_command(folder: Path, tmp_path: Path) -> None:
    complaint = complaint_of(harness_in(tmp_path, "run", "-d", "openml-task:59"))
    assert complaint.startswith("harness: openml-task:59: http://127.0.0.1:9 cannot be reached")
