"""Timings and histories are exported in formats of other tools, mainly pytest-benchmark."""

from __future__ import annotations

import csv
import io
import json
import math
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import example as explicit
from hypothesis import given, settings
from hypothesis import strategies as st
from pytest_benchmark.stats import Stats

from harness.contract.values import Run, Timing
from harness.errors import UsageError
from harness.interchange import benchmark_json, read, to_bencher, to_csv, to_pytest_benchmark

RUN = Run(1, "", "2026-01-02T03:04:05+00:00", None, {}, {}, 0)
SAME = ("min", "max", "mean", "stddev", "median", "q1", "q3", "iqr", "ops", "rounds", "total")
"""Figures that two tools must agree on for the same data."""


def timing(subject: str = "numpy-fast", *medians: float, **options: Any) -> Timing:
    """A timing whose processes have these medians, each of three samples."""
    usual: dict[str, Any] = {
        "kind": "softmax",
        "case": "5x3 float64 warm",
        "device": "cpu",
        "threads": 1,
        "status": "ok",
        "samples": tuple((m * 3, m, m / 3) for m in medians or (3e-6, 1e-6, 2e-6)),
        "calls": 7,
        "figures": {"error": 1e-16},
    }
    return Timing(subject=subject, **usual | options)


def written(*timings: Timing) -> dict[str, Any]:
    return benchmark_json(RUN, timings, Path(__file__).parent)


def stats(*medians: float) -> dict[str, Any]:
    (benchmark,) = written(timing("any", *medians))["benchmarks"]
    return dict(benchmark["stats"])


def theirs(data: list[float]) -> dict[str, Any]:
    """The statistics that pytest-benchmark computes from the same data."""
    stats_of_data = Stats()
    for seconds in data:
        stats_of_data.update(seconds)
    return stats_of_data.as_dict()


# In a child process of a pytest-xdist worker, pytest-benchmark refuses to time.
OUTSIDE = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")}


def python(*words: str | Path, folder: Path) -> str:
    ended = subprocess.run(
        [sys.executable, *map(str, words)],
        cwd=folder,
        capture_output=True,
        env=OUTSIDE,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The file that pytest-benchmark writes about its own benchmark."""
    folder = tmp_path_factory.mktemp("example")
    (folder / "test_example.py").write_text(
        "import pytest\n"
        "@pytest.mark.parametrize('n', [1])\n"
        "def test_sum(benchmark, n):\n"
        "    benchmark.pedantic(sum, args=([n],), rounds=5)\n"
    )
    options = ("-p", "no:cacheprovider", "-p", "no:xdist", "-q", "--benchmark-json", "out.json")
    python("-m", "pytest", "--rootdir", folder, *options, folder=folder)
    return dict(json.loads((folder / "out.json").read_text()))


def test_the_export_has_every_key_that_pytest_benchmark_writes(example: dict[str, Any]) -> None:
    ours = written(timing())
    assert ours.keys() >= example.keys()
    (benchmark,), (model,) = ours["benchmarks"], example["benchmarks"]
    assert benchmark.keys() >= model.keys()
    assert benchmark["stats"].keys() == model["stats"].keys()
    assert ours["commit_info"].keys() >= {"id", "dirty"}
    assert ours["machine_info"].keys() <= example["machine_info"].keys()


def test_figures_have_the_same_types_as_in_pytest_benchmark(example: dict[str, Any]) -> None:
    (benchmark,), (model,) = written(timing())["benchmarks"], example["benchmarks"]
    for name, value in model["stats"].items():
        number = isinstance(value, int | float)
        assert isinstance(benchmark["stats"][name], int | float) == number, name


@pytest.mark.parametrize("name", SAME)
@pytest.mark.parametrize("n", [3, 4, 5, 6, 10])
def test_figures_equal_those_of_pytest_benchmark_for_the_same_data(n: int, name: str) -> None:
    data = [1e-3 * (1 + i) ** 2 for i in range(n)]
    assert stats(*data)[name] == pytest.approx(theirs(data)[name])


@pytest.mark.parametrize("name", ["outliers", "stddev_outliers", "iqr_outliers"])
def test_outliers_are_counted_as_pytest_benchmark_counts_them(name: str) -> None:
    data = [1.0, 1.1, 1.2, 1.3, 1.4, 9.0]
    assert stats(*data)[name] == theirs(data)[name]


@pytest.mark.parametrize("name", ["ld15iqr", "hd15iqr"])
def test_whiskers_end_where_those_of_pytest_benchmark_end(name: str) -> None:
    """The histogram of pytest-benchmark draws boxes with these whiskers, without outliers."""
    data = [0.1, 1.0, 1.1, 1.2, 1.3, 1.4, 1.5, 9.0]
    assert stats(*data)[name] == pytest.approx(theirs(data)[name])


@settings(max_examples=20)  # each example calls git
@given(st.lists(st.floats(1e-9, 1e3), min_size=3, max_size=10))
def test_data_are_the_medians_of_the_processes(medians: list[float]) -> None:
    (benchmark,) = written(timing("any", *medians))["benchmarks"]
    assert benchmark["stats"]["data"] == medians
    assert benchmark["stats"]["rounds"] == len(medians)
    assert benchmark["stats"]["median"] == pytest.approx(statistics.median(medians))
    assert benchmark["stats"]["iterations"] == 7


def test_only_timings_with_status_ok_are_written() -> None:
    timings = [
        timing("good"),
        *[
            timing(status, status=status, reason="no", samples=())
            for status in ("wrong", "failed", "unfinished")
        ],
    ]
    assert [benchmark["params"]["subject"] for benchmark in written(*timings)["benchmarks"]] == [
        "good"
    ]
    assert written()["benchmarks"] == []


def test_two_workloads_never_share_a_name() -> None:
    changes: list[dict[str, Any]] = [
        {},
        {"kind": "logits"},
        {"case": "5x3 float32 warm"},
        {"device": "cuda:0"},
        {"threads": 2},
    ]
    timings = [timing("a"), *[timing("b", **change) for change in changes]]
    assert len({benchmark["fullname"] for benchmark in written(*timings)["benchmarks"]}) == len(
        timings
    )


def test_timings_that_can_be_compared_share_a_group() -> None:
    timings = [timing("a"), timing("b"), timing("a", case="9x9 float32 warm")]
    first, second, other = (benchmark["group"] for benchmark in written(*timings)["benchmarks"])
    assert first == second != other


def test_a_benchmark_has_the_parameters_and_the_other_figures_of_its_timing() -> None:
    (benchmark,) = written(timing("numpy-fast"))["benchmarks"]
    assert benchmark["params"] == {
        "subject": "numpy-fast",
        "case": "5x3 float64 warm",
        "device": "cpu",
        "threads": 1,
    }
    assert benchmark["extra_info"] == {"error": 1e-16}
    assert benchmark["name"] == f"softmax[{benchmark['param']}]"


def test_a_folder_without_git_can_be_exported(tmp_path: Path) -> None:
    assert benchmark_json(RUN, [timing()], tmp_path)["commit_info"] == {
        "id": "unversioned",
        "dirty": False,
    }


@pytest.mark.parametrize("medians", [(1e-6, 1e-6, 1e-6), (1e-9, 1.0, 1e3)])
def test_json_has_no_nan(medians: tuple[float, ...]) -> None:
    text = json.dumps(written(timing("any", *medians)), allow_nan=False)
    assert json.loads(text)["datetime"] == RUN.started


def test_pytest_benchmark_compares_exported_files(tmp_path: Path) -> None:
    storage = tmp_path / ".benchmarks" / "here"
    storage.mkdir(parents=True)
    for number, factor in (("0001", 1.0), ("0002", 2.0)):
        timings = [
            timing(name, *(factor * m for m in (1e-6, 2e-6, 4e-6))) for name in ("old", "new")
        ]
        (storage / f"{number}_run.json").write_text(json.dumps(written(*timings)))
    cli = ("-m", "pytest_benchmark", "--storage", "file://.benchmarks", "compare")
    by_number = python(*cli, "0001", "0002", folder=tmp_path)
    by_file = python(*cli, *sorted(storage.iterdir()), folder=tmp_path)
    columns = python(*cli, "--group-by=fullname", "--csv=out.csv", folder=tmp_path)
    for table in (by_number, by_file, columns):
        for name in ("old", "new"):
            assert table.count(f"softmax[{name}-5x3 float64 warm-cpu-1]") >= 2
    assert "outliers" in by_number.lower()
    assert len((tmp_path / "out.csv").read_text().splitlines()) == 1 + 4


def test_pytest_benchmark_compares_an_exported_file_with_its_own(
    tmp_path: Path, example: dict[str, Any]
) -> None:
    (tmp_path / "0001_ours.json").write_text(json.dumps(written(timing())))
    (tmp_path / "0002_theirs.json").write_text(json.dumps(example))
    files = sorted(tmp_path.iterdir())
    table = python("-m", "pytest_benchmark", "compare", *files, folder=tmp_path)
    assert "numpy-fast" in table
    assert "test_sum" in table


def test_an_exported_file_is_imported_with_the_median_of_the_process_medians(
    tmp_path: Path,
) -> None:
    """Each value of an exported file is from one process; in pytest-benchmark's files it is not."""
    file = tmp_path / "ours.json"
    file.write_text(json.dumps(written(timing("numpy-fast", 3e-6, 1e-6, 2e-6))))
    (point,) = read(file).points
    assert point.series == "harness::softmax[numpy-fast-5x3 float64 warm-cpu-1]"
    assert (point.seconds, point.processes, point.time) == (2e-6, 3, RUN.started)


# -- a history

NAN = math.nan
NO_SECONDS = {"seconds": NAN, "log_ratio": -0.5, "low": NAN, "high": NAN}


def row(series: str, day: int, seconds: float, **others: Any) -> dict[str, Any]:
    """A point of this day of March; its revision is the day written twice."""
    usual = {
        "series": series,
        "time": f"2026-03-{day:02}T10:00:00+00:00",
        "revision": f"{day}{day}",
        "seconds": seconds,
        "log_ratio": NAN,
        "low": NAN,
        "high": NAN,
        "machine": "here",
        "processes": 5,
        "anchor": "",
        "score": NAN,
    }
    return usual | others


HISTORY = pd.DataFrame(
    [
        row("sort", 1, 1e-6),
        row("sort", 2, 2e-6, low=1.9e-6, high=2.2e-6, log_ratio=0.01),
        row("sum", 1, 3e-6),
        row("sum", 2, 1.0, machine="there"),
        row("sum", 2, 4e-6),
        row("only a ratio", 2, **NO_SECONDS),
        row("old", 1, 5e-6),
    ]
)


def loaded(text: str) -> Any:
    """Parse JSON strictly, so that NaN is an error."""

    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is no JSON")

    return json.loads(text, parse_constant=refuse)


def test_bencher_gets_the_newest_point_of_each_series_in_nanoseconds() -> None:
    assert loaded(to_bencher(HISTORY)) == {
        "old": {"latency": {"value": 5000}},
        "sort": {"latency": {"value": 2000, "lower_value": 1900, "upper_value": 2200}},
        "sum": {"latency": {"value": 4000}},
    }


def test_the_export_for_bencher_follows_its_schema() -> None:
    """Bencher Metric Format has numbers only, and requires only the value."""
    for metrics in loaded(to_bencher(HISTORY)).values():
        assert list(metrics) == ["latency"]
        assert "value" in metrics["latency"]
        assert metrics["latency"].keys() <= {"value", "lower_value", "upper_value"}
        assert all(isinstance(value, int | float) for value in metrics["latency"].values())


def test_pytest_benchmark_gets_the_newest_run() -> None:
    exported = loaded(to_pytest_benchmark(HISTORY))
    assert exported["datetime"] == "2026-03-02T10:00:00+00:00"
    assert exported["commit_info"] == {"id": "22", "dirty": False}
    medians = {
        benchmark["fullname"]: benchmark["stats"]["median"] for benchmark in exported["benchmarks"]
    }
    assert medians in ({"sort": 2e-6, "sum": 4e-6}, {"sum": 1.0})
    # Two machines measured at the same time: the export takes one of them and never mixes both.
    assert exported["machine_info"] == {"node": "here" if "sort" in medians else "there"}


def test_the_export_for_pytest_benchmark_has_the_other_facts_of_a_point() -> None:
    sort = HISTORY[HISTORY["series"] == "sort"]
    (benchmark,) = loaded(to_pytest_benchmark(sort))["benchmarks"]
    assert benchmark["extra_info"] == {
        "processes": 5,
        "log_ratio": 0.01,
        "low": 1.9e-6,
        "high": 2.2e-6,
    }


def test_a_dirty_revision_is_written_as_pytest_benchmark_writes_it(tmp_path: Path) -> None:
    text = to_pytest_benchmark(pd.DataFrame([row("sort", 1, 1e-6, revision="abc+")]))
    assert loaded(text)["commit_info"] == {"id": "abc", "dirty": True}
    (tmp_path / "file.json").write_text(text)
    (point,) = read(tmp_path / "file.json").points
    assert point.revision == "abc+"


def test_pytest_benchmark_compares_a_run_of_a_history_with_its_own(
    tmp_path: Path, example: dict[str, Any]
) -> None:
    (tmp_path / "0001_history.json").write_text(to_pytest_benchmark(HISTORY))
    (tmp_path / "0002_theirs.json").write_text(json.dumps(example))
    files = sorted(tmp_path.iterdir())
    options = ("--csv=out.csv", "--columns=median")
    table = python("-m", "pytest_benchmark", "compare", *options, *files, folder=tmp_path)
    assert "sum" in table
    assert "test_sum" in table
    with (tmp_path / "out.csv").open() as file:
        medians = {line["name"]: float(line["median"]) for line in csv.DictReader(file)}
    ours = loaded(to_pytest_benchmark(HISTORY))["benchmarks"]
    assert {
        benchmark["name"]: benchmark["stats"]["median"] for benchmark in ours
    }.items() <= medians.items()


def test_csv_has_all_points_and_reads_back_to_the_last_digit() -> None:
    text = to_csv(HISTORY)
    assert text.count("\n") == 1 + len(HISTORY)
    for line, point in zip(
        csv.DictReader(io.StringIO(text)), HISTORY.to_dict("records"), strict=True
    ):
        assert list(line) == list(point)
        for name, value in point.items():
            if isinstance(value, float):
                assert float(line[str(name)] or "nan") == pytest.approx(value, rel=0, nan_ok=True)
            else:
                assert line[str(name)] == str(value)


def test_an_empty_history_is_csv_with_a_header_only_and_no_other_format() -> None:
    empty = HISTORY.iloc[:0]
    assert to_csv(empty) == (
        "series,time,revision,seconds,log_ratio,low,high,machine,processes,anchor,score\n"
    )
    for write in (to_bencher, to_pytest_benchmark):
        for points in (empty, pd.DataFrame([row("a", 1, **NO_SECONDS)])):
            with pytest.raises(UsageError, match=r"no point has a time in seconds; .*csv"):
                write(points)


@given(
    st.lists(
        st.builds(
            row,
            st.text(max_size=3),
            st.integers(1, 9),
            st.floats(),
            low=st.floats(),
            high=st.floats(),
            log_ratio=st.floats(),
        ),
        min_size=1,
        max_size=4,
    )
)
@explicit([row("a", 1, 5e-324)])  # calls per second are infinite
@explicit([row("a", 1, 1.7e308)])  # nanoseconds are infinite
def test_no_export_has_nan(rows: list[dict[str, Any]]) -> None:
    points = pd.DataFrame(rows)
    to_csv(points)
    for write in (to_bencher, to_pytest_benchmark):
        try:
            text = write(points)
        except UsageError:
            continue
        loaded(text)


def test_machines_are_told_apart_by_processor_not_by_the_name_that_ci_gives_them(
    tmp_path: Path, example: dict[str, Any]
) -> None:
    def machine(info: dict[str, Any]) -> str:
        (tmp_path / "file.json").write_text(json.dumps(example | {"machine_info": info}))
        return read(tmp_path / "file.json").points[0].machine

    cpu = {"brand_raw": "A Processor", "count": 4}
    assert machine({"node": "fv-az1", "cpu": cpu}) == machine({"node": "fv-az2", "cpu": cpu})
    assert machine({"node": "fv-az1", "cpu": cpu}) == "A Processor, 4 cores"
    assert machine({"node": "laptop"}) == "laptop"
