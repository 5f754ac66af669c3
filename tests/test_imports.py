"""Files of pytest-benchmark, pyperf and asv become points of a history, or a one-line error."""

from __future__ import annotations

import gzip
import json
import math
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from harness.errors import UsageError
from harness.interchange import Imported, ToolPoint, read

if TYPE_CHECKING:
    from collections.abc import Callable

DATA = Path(__file__).parent / "data" / "benchmarks"
PYTEST = DATA / "pytest_benchmark.json"
PYPERF = DATA / "pyperf.json"
ASV = DATA / "asv"
OLD_ASV = DATA / "asv_version_1.json"
OLD, NEW = sorted((ASV / "bench-box").glob("*-*.json"))
SAMPLES = {file.name: json.loads(file.read_text()) for file in (PYTEST, PYPERF, OLD, NEW, OLD_ASV)}
BENCHMARKS = json.loads((ASV / "benchmarks.json").read_text())

FIRST = "50d241c312f26e7f3079033bb4561a85c0b5a03f"
SECOND = "f418e3db6ab6c3257052e159358b468cc924c053"


def sample(file: Path, **changes: Any) -> dict[str, Any]:
    """The document of a sample file, with these members changed."""
    return {**json.loads(json.dumps(SAMPLES[file.name])), **changes}


def reading(document: Any, folder: Path) -> Imported:
    file = folder / "file.json"
    file.write_text(document if isinstance(document, str) else json.dumps(document))
    return read(file)


def fault(path: Path) -> str:
    """The one-line error of reading a file."""
    with pytest.raises(UsageError) as caught:
        read(path)
    line = str(caught.value)
    assert str(path) in line
    assert "\n" not in line
    assert ";" in line, "no way out"
    return line


# -- each tool's own file


def test_points_from_pytest_benchmark_have_the_medians_that_it_shows() -> None:
    """The expected seconds are the Median of ``py.test-benchmark compare``, with all digits."""
    same = ("", 1, "AMD EPYC, 2 cores", "3.11.7", "pytest-benchmark")
    time = "2026-11-25T10:27:15.269155+00:00"
    assert read(PYTEST) == Imported(
        (
            point("test_sums.py::test_sort", time, 7.210700005089166e-06, *same),
            point("test_sums.py::test_sum[1000]", time, 1.7203500010509743e-05, *same),
        ),
        (),
    )


def point(series: str, time: str, seconds: float, revision: str, *rest: Any) -> ToolPoint:
    return ToolPoint(series, time, revision, seconds, *rest)


def test_points_from_pyperf_have_the_median_of_the_process_medians() -> None:
    """According to pyperf's loader, the medians of the runs are 4.28e-6, 8.01e-6 and 7.43e-6."""
    same = ("", 3, "AMD EPYC, 2 cores", "3.11.7 (64-bit)", "pyperf")
    assert read(PYPERF) == Imported(
        (
            point("sort", "2026-11-25T10:27:16.070986+00:00", 7.433553619387578e-06, *same),
            point("sum of 100", "2026-11-25T10:27:18.298757+00:00", 9.734697399132325e-07, *same),
        ),
        (),
    )


ASVS = {
    "sums.Sums.time_sum(10, 'list')": (3.6050005292054266e-07, 2.6640000214683823e-06),
    "sums.Sums.time_sum(10, 'tuple')": (3.305001428088872e-07, 2.8839999686169904e-06),
    "sums.Sums.time_sum(1000, 'list')": (4.376500100988778e-06, 7.261000064318068e-06),
    "sums.Sums.time_sum(100000, 'tuple')": (0.0004935675001433992, 0.0004450100000212842),
    "sums.time_sort": (1.2253551297815781e-05, 2.182199978051358e-05),
}
"""The values that asv shows for the two revisions, with all digits."""


@pytest.mark.parametrize("path", [ASV, ASV / "bench-box"], ids=lambda path: path.name)
def test_each_parameter_set_in_an_asv_folder_is_a_series_oldest_first(path: Path) -> None:
    box = ("bench-box", "3.11, tabulate 0.9.0", "asv")
    first = [
        point(name, "2026-03-01T10:00:00+00:00", values[0], FIRST, 2, *box)
        for name, values in ASVS.items()
    ]
    second = [
        point(name, "2026-03-02T10:00:00+00:00", values[1], SECOND, 1, *box)
        for name, values in ASVS.items()
    ]
    assert read(path).points == (*first, *second)


def test_one_asv_result_file_is_read_with_its_machine_file() -> None:
    imported = read(OLD)
    assert {point.series: point.seconds for point in imported.points} == {
        name: values[0] for name, values in ASVS.items()
    }
    assert imported.skipped == (
        ("sums.Sums.time_sum(1000, 'tuple')", "NaN: it was skipped (50d241c3)"),
        ("sums.Sums.time_sum(100000, 'list')", "null: it failed or timed out (50d241c3)"),
        ("sums.mem_list", "a memory benchmark has no times (its unit: bytes) (50d241c3)"),
        ("sums.time_slow", "null: it failed or timed out (50d241c3)"),
        ("sums.track_ratio", "a track benchmark has no times (its unit: ratio) (50d241c3)"),
    )


def test_the_first_format_of_asv_gives_the_same_points() -> None:
    """Without benchmarks.json, the units and the number of processes are unknown."""
    old, new = read(OLD_ASV), read(OLD)
    assert [(p.series, p.time, p.revision, p.seconds, p.machine) for p in old.points] == [
        (p.series, p.time, p.revision, p.seconds, p.machine) for p in new.points
    ]
    assert [series for series, _ in old.skipped] == [series for series, _ in new.skipped]
    assert ("sums.mem_list", "a memory benchmark has no times (50d241c3)") in old.skipped


# -- values that are not times


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "NaN is no time"),
        (math.nan, "NaN is no time"),
        (math.inf, "Infinity is no time"),
        (10**400, "Infinity is no time"),
        (0, "0 seconds are no time"),
        (-1.5, "-1.5 seconds are no time"),
    ],
)
def test_a_value_that_is_not_a_time_is_skipped_and_the_rest_is_read(
    tmp_path: Path, value: Any, reason: str
) -> None:
    document = sample(PYTEST)
    document["benchmarks"][0]["stats"]["data"][2] = value
    imported = reading(document, tmp_path)
    assert [point.series for point in imported.points] == ["test_sums.py::test_sum[1000]"]
    assert imported.skipped == (("test_sums.py::test_sort", reason),)
    document = sample(PYPERF)
    document["benchmarks"][1]["runs"][2]["values"][0] = value
    imported = reading(document, tmp_path)
    assert [point.series for point in imported.points] == ["sort"]
    assert imported.skipped == (("sum of 100", reason),)


def test_infinity_in_an_asv_file_is_not_a_time(tmp_path: Path) -> None:
    document = sample(OLD)
    document["results"]["sums.time_sort"][0] = [math.inf]
    imported = reading(document, tmp_path)
    assert ("sums.time_sort", "Infinity is no time (50d241c3)") in imported.skipped


def test_an_infinite_median_of_huge_numbers_is_not_a_time(tmp_path: Path) -> None:
    document = sample(PYTEST)
    document["benchmarks"][0]["stats"]["data"] = [1.7e308, 1.7e308]
    assert reading(document, tmp_path).skipped == (
        ("test_sums.py::test_sort", "Infinity is no time"),
    )


def test_pyperf_values_in_other_units_are_not_times(tmp_path: Path) -> None:
    document = sample(PYPERF)
    document["metadata"]["unit"] = "byte"
    imported = reading(document, tmp_path)
    assert imported.points == ()
    assert imported.skipped[0] == ("sort", "its unit is byte, not second")


def test_a_pyperf_benchmark_without_a_date_is_skipped(tmp_path: Path) -> None:
    document = sample(PYPERF)
    for run in document["benchmarks"][0]["runs"]:
        del run["metadata"]["date"]
    assert reading(document, tmp_path).skipped == (("sort", "no date says when it was measured"),)


def test_a_pyperf_file_with_only_calibration_has_no_points(tmp_path: Path) -> None:
    document = sample(PYPERF)
    document["benchmarks"][0]["runs"] = document["benchmarks"][0]["runs"][:1]
    assert reading(document, tmp_path).skipped == (("sort", "nothing was measured"),)


def asv_folder(tmp_path: Path, **benchmarks: Any) -> Path:
    """A copy of asv's sample folder, with these benchmarks changed in benchmarks.json."""
    folder = tmp_path / "results"
    shutil.copytree(ASV, folder)
    known = json.loads(json.dumps(BENCHMARKS))
    for name, changes in benchmarks.items():
        known[f"sums.{name}"] |= changes
    (folder / "benchmarks.json").write_text(json.dumps(known))
    return folder


def test_results_of_another_version_of_an_asv_benchmark_are_skipped(
    tmp_path: Path,
) -> None:
    imported = read(asv_folder(tmp_path, time_sort={"version": "other"}))
    assert "sums.time_sort" not in {point.series for point in imported.points}
    assert dict(imported.skipped)["sums.time_sort"].startswith("it is of another version")


def test_an_asv_benchmark_whose_name_does_not_tell_its_unit_needs_one(tmp_path: Path) -> None:
    document = sample(OLD)
    document["results"]["sums.sorting"] = document["results"].pop("sums.time_sort")
    reason = dict(reading(document, tmp_path).skipped)["sums.sorting"]
    assert reason.startswith("neither its name nor benchmarks.json says that it has times")


# -- the machine and the revision


def test_medians_from_pytest_benchmark_are_used_if_it_saved_no_data(tmp_path: Path) -> None:
    document = sample(PYTEST)
    for benchmark in document["benchmarks"]:
        del benchmark["stats"]["data"]
    assert reading(document, tmp_path) == read(PYTEST)


@pytest.mark.parametrize(
    ("commit", "revision"),
    [
        ({"id": "abc", "dirty": False}, "abc"),
        ({"id": "abc", "dirty": True}, "abc+"),
        ({"id": "unversioned", "dirty": True}, ""),
        ({"id": "unknown"}, ""),
        ({}, ""),
        (None, ""),
    ],
)
def test_a_valid_revision_from_pytest_benchmark_is_kept(
    tmp_path: Path, commit: Any, revision: str
) -> None:
    imported = reading(sample(PYTEST, commit_info=commit), tmp_path)
    assert {point.revision for point in imported.points} == {revision}


@pytest.mark.parametrize(
    ("written", "time"),
    [
        ("2026-03-01T12:00:00+02:00", "2026-03-01T10:00:00+00:00"),
        ("2017-03-01T10:00:00.5", "2017-03-01T10:00:00.500000+00:00"),  # older versions
    ],
)
def test_times_are_utc(tmp_path: Path, written: str, time: str) -> None:
    imported = reading(sample(PYTEST, datetime=written), tmp_path)
    assert {point.time for point in imported.points} == {time}


def test_the_revision_that_pyperformance_adds_to_a_pyperf_file_is_kept(tmp_path: Path) -> None:
    document = sample(PYPERF)
    document["metadata"]["commit_id"] = "abc"
    assert {point.revision for point in reading(document, tmp_path).points} == {"abc"}


def test_a_pyperf_file_may_be_gzipped(tmp_path: Path) -> None:
    file = tmp_path / "pyperf.json.gz"
    file.write_bytes(gzip.compress(PYPERF.read_bytes()))
    assert read(file) == read(PYPERF)


def test_runs_that_pytest_benchmark_saved_in_a_folder_are_a_history(tmp_path: Path) -> None:
    folder = tmp_path / "Linux-CPython-3.11-64bit"
    folder.mkdir()
    (folder / "0001_new.json").write_text(json.dumps(sample(PYTEST, datetime="2026-05-05T05:05")))
    (folder / "0002_old.json").write_text(json.dumps(sample(PYTEST, datetime="2026-04-04T04:04")))
    for path in (folder, tmp_path):
        assert [point.time[:10] for point in read(path).points] == [
            "2026-04-04",
            "2026-04-04",
            "2026-05-05",
            "2026-05-05",
        ]


def test_names_become_one_line_without_terminal_escapes(tmp_path: Path) -> None:
    document = sample(PYTEST)
    document["benchmarks"][0]["fullname"] = "a\nb\x1b[31m\ud800"
    assert reading(document, tmp_path).points[0].series == "a b?[31m?"


# -- files that cannot be read


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b" \n", "is empty"),
        (b"# Results\n", "is not JSON (line 1, column 1: Expecting value)"),
        (b"\xff\xfe{\x00", "is not text in UTF-8"),
        (b'{"benchmarks": "\xe9"}', "is not text in UTF-8"),
        (b"[1, 2]", "holds an array"),
        (b"null", "holds null"),
        (b"NaN", "holds a number"),
        (b"{}", "is not what pytest-benchmark, pyperf or asv write"),
        (b'{"name": "package"}', "is not what pytest-benchmark, pyperf or asv write"),
        (b"[" * 100_000, "is nested too deeply"),
        (b'{"date": 1' + b"0" * 5000 + b"}", "is not readable JSON"),
        (b"\x1f\x8b\x08garbage", "is not a complete gzip file"),
        (gzip.compress(PYPERF.read_bytes())[:-20], "is not a complete gzip file"),
    ],
    ids=range(14),
)
def test_a_file_of_another_tool_is_a_one_line_error(
    tmp_path: Path, content: bytes, words: str
) -> None:
    file = tmp_path / "file.json"
    file.write_bytes(content)
    assert words in fault(file)


@pytest.mark.parametrize("file", [PYTEST, PYPERF, NEW], ids=lambda file: file.name[:8])
def test_a_file_that_was_cut_off_is_never_read_as_a_shorter_one(tmp_path: Path, file: Path) -> None:
    whole = file.read_text().rstrip()
    cut = tmp_path / "cut.json"
    for length in range(1, len(whole), 37):
        cut.write_text(whole[:length])
        line = fault(cut)
        assert "ends in the middle" in line or "is not JSON" in line


def test_the_error_says_that_a_file_is_cut_off(tmp_path: Path) -> None:
    file = tmp_path / "cut.json"
    file.write_text(PYTEST.read_text()[:1000])
    assert "ends in the middle" in fault(file)


def test_a_missing_file_is_a_one_line_error(tmp_path: Path) -> None:
    assert "there is no such file or folder" in fault(tmp_path / "none.json")
    (tmp_path / "empty").mkdir()
    assert "holds no results" in fault(tmp_path / "empty")


def test_reading_does_not_wait_for_a_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert "neither a file nor a folder" in fault(tmp_path / "pipe")


def test_a_file_without_read_permission_is_a_one_line_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(file: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", refuse)
    file = tmp_path / "file.json"
    file.touch()
    assert "cannot be read: Permission denied" in fault(file)


@pytest.mark.parametrize("name", ["bench-box/machine.json", "benchmarks.json"])
def test_other_files_of_asv_point_to_its_results_folder(name: str) -> None:
    assert "holds no times; name the folder" in fault(ASV / name)


@pytest.mark.parametrize("name", ["machine.json", "../benchmarks.json"])
def test_a_broken_file_beside_a_result_is_named(tmp_path: Path, name: str) -> None:
    folder = asv_folder(tmp_path) / "bench-box"
    (folder / name).resolve().write_text("[")
    with pytest.raises(UsageError, match=f"{Path(name).name}' ends in the middle"):
        read(folder)


def _unreadable(file: Path) -> None:
    file.chmod(0)
    if os.access(file, os.R_OK):
        pytest.skip("root may read anything")


AMISS: dict[str, Callable[[Path], object]] = {
    "cut off": lambda file: file.write_text(PYPERF.read_text()[:-99]),
    "empty": lambda file: file.touch(),
    "another tool's": lambda file: file.write_text('{"name": "package"}'),
    "no text": lambda file: file.write_bytes(b"\xff\xfe\x00"),
    "not a complete gzip file": lambda file: file.write_bytes(gzip.compress(b"{}" * 99)[:-4]),
    "malformed": lambda file: file.write_text(json.dumps(sample(PYTEST, benchmarks=3))),
    "a link to nowhere": lambda file: file.symlink_to("nowhere"),
    "a pipe": os.mkfifo,
    "not to be read": lambda file: (file.touch(), _unreadable(file)),
}


@pytest.mark.parametrize("make", AMISS.values(), ids=AMISS)
@pytest.mark.parametrize("place", [".", "below"])
def test_unreadable_files_in_a_folder_are_named_and_the_rest_is_read(
    tmp_path: Path, make: Callable[[Path], object], place: str
) -> None:
    (tmp_path / "below").mkdir()
    shutil.copy(PYPERF, tmp_path / "below" / "good.json")
    shutil.copy(PYTEST, tmp_path / "zero.json")
    amiss = tmp_path / place / "it's amiss.json"
    make(amiss)
    imported = read(tmp_path)
    whole = [*read(PYTEST).points, *read(PYPERF).points]
    assert sorted(imported.points, key=str) == sorted(whole, key=str)
    ((named, reason),) = [skip for skip in imported.skipped if "amiss" in skip[0]]
    assert named == f"'{amiss}'"
    assert reason
    assert "\n" not in reason


def test_a_folder_without_readable_files_is_a_one_line_error(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("{")
    (tmp_path / "b.json").write_text("")
    fault(tmp_path)


@pytest.mark.parametrize(
    ("document", "words"),
    [
        (sample(PYTEST, datetime="yesterday"), "'datetime': 'yesterday' is not a time in ISO 8601"),
        (sample(PYTEST, datetime=3), "it: 'datetime' is a number, not a string"),
        (sample(PYTEST, benchmarks=[3]), "benchmark 1 is a number, not an object"),
        (sample(PYTEST, benchmarks=[{"name": "a"}]), "benchmark 1 has no 'stats'"),
        (sample(PYTEST, benchmarks=[{"stats": {}}]), "benchmark 1 is an empty name"),
        (sample(PYPERF, version="2.0"), "its 'version' is neither"),
        (sample(PYPERF, benchmarks=[{"runs": 1}]), "'runs' is a number, not an array"),
        (sample(OLD, version=3), "its 'version' is neither 1 nor 2"),
        (sample(OLD, date=1e300), "'date': 1e+300 is not a time in milliseconds"),
        (sample(OLD, results={"time_a": [[1], [["1", "2"]]]}), "has 1 results for 2 sets"),
        (sample(OLD, results={"time_a": [["1"], []]}), "'time_a' is a string, not a number"),
        (sample(OLD, results={"time_a": [[True], []]}), "'time_a' is true or false, not a number"),
    ],
    ids=range(12),
)
def test_a_wrong_type_is_a_one_line_error_that_says_where(
    tmp_path: Path, document: dict[str, Any], words: str
) -> None:
    file = tmp_path / "file.json"
    file.write_text(json.dumps(document))
    line = fault(file)
    assert "is malformed" in line
    assert words in line


# -- arbitrary content

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from([10**400, -(10**400), 1e308, 5e-324, "", "\ud800", "2026-01-01"])
    | st.text(max_size=5)
)
NAMES = st.sampled_from(
    ["benchmarks", "runs", "datetime", "commit_hash", "results", "version", "stats", "values"]
)
JSON = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(NAMES | st.text(max_size=3), inner, max_size=5)
    ),
    max_leaves=15,
)


def places(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of each value in a document: its keys and indices."""
    inside = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    return [at, *(place for key, member in inside for place in places(member, (*at, key)))]


def replaced(document: Any, place: tuple[Any, ...], value: Any) -> Any:
    if not place:
        return value
    copy = document.copy()
    copy[place[0]] = replaced(document[place[0]], place[1:], value)
    return copy


PLACES = [(name, place) for name, document in SAMPLES.items() for place in places(document)]


def read_or_line(path: Path) -> Imported | str:
    try:
        return read(path)
    except UsageError as error:
        return str(error)


def reads_or_says_why(path: Path) -> None:
    imported = read_or_line(path)
    if isinstance(imported, str):
        assert len(imported.splitlines()) == 1
        return
    for point in imported.points:
        assert 0 < point.seconds < math.inf
        assert point.processes >= 1
        assert point.series
        assert point.time.endswith("+00:00")
        json.dumps([point.series, point.revision, point.machine, point.python]).encode()
        (point.series + point.revision + point.machine + point.python).encode()
    for words in imported.skipped:
        assert len(" ".join(words).splitlines()) == 1
    times = [point.time for point in imported.points]
    assert times == sorted(times)


@given(document=JSON)
def test_arbitrary_json_is_read_or_is_a_one_line_error(
    tmp_path_factory: pytest.TempPathFactory, document: Any
) -> None:
    file = tmp_path_factory.getbasetemp() / "arbitrary.json"
    file.write_text(json.dumps(document))
    reads_or_says_why(file)


@given(content=st.binary(max_size=40))
def test_arbitrary_bytes_are_a_one_line_error(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    file = tmp_path_factory.getbasetemp() / "bytes.json"
    file.write_bytes(content)
    reads_or_says_why(file)


@given(where=st.sampled_from(PLACES), value=JSON)
@example(where=("pytest_benchmark.json", ("benchmarks", 0, "stats", "median")), value=10**400)
@example(
    where=("50d241c3-virtualenv-py3.11-tabulate0.9.0.json", ("requirements",)), value={"\r": False}
)
def test_a_file_with_any_value_replaced_is_read_or_is_a_one_line_error(
    tmp_path_factory: pytest.TempPathFactory, where: tuple[str, tuple[Any, ...]], value: Any
) -> None:
    name, place = where
    file = tmp_path_factory.getbasetemp() / "replaced.json"
    file.write_text(json.dumps(replaced(SAMPLES[name], place, value)))
    reads_or_says_why(file)


@given(place=st.sampled_from(places(BENCHMARKS)), value=JSON)
def test_a_benchmarks_json_with_any_value_replaced_is_read_or_is_a_one_line_error(
    tmp_path_factory: pytest.TempPathFactory, place: tuple[Any, ...], value: Any
) -> None:
    folder = tmp_path_factory.getbasetemp() / "asv"
    shutil.copytree(ASV, folder, dirs_exist_ok=True)
    (folder / "benchmarks.json").write_text(json.dumps(replaced(BENCHMARKS, place, value)))
    reads_or_says_why(folder)
