"""A table is the same in every format, and a file that cannot be read says where and why."""

from __future__ import annotations

import bz2
import contextlib
import csv
import datetime
import gzip
import io
import json
import lzma
import re
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from harness_files.reading import READERS, read
from harness_files.sources import shown
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import feather, parquet

from harness.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def written(folder: Path, name: str, content: str | bytes) -> Path:
    file = folder / name
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return file


def refusal(file: Path, **options: Any) -> str:
    """The message with which a file is refused; it is one line and begins with the file."""
    with pytest.raises(UsageError) as refused:
        read(file, **options)
    message = str(refused.value)
    assert message.startswith(str(file))
    assert "\n" not in message
    return message.removeprefix(str(file)).removeprefix(": ")


# The same table in every format. Each of its texts needs quotes in one of them.

ROWS = {
    "size": [1.5, -2.0, None, 3.25],
    "count": [1, 2, 3, 4],
    "city": ["Köln", "a, b", 'the "best"', None],
}
TABLE = pa.table(ROWS)
CSV = 'size,count,city\n1.5,1,Köln\n-2.0,2,"a, b"\n,3,"the ""best"""\n3.25,4,\n'


def arrow_stream(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    return sink.getvalue()


def gzipped(content: bytes) -> bytes:
    """The same bytes at any time, because they are part of a test's name."""
    return gzip.compress(content, mtime=0)


def packed(write: Callable[[pa.Table, Any], None]) -> bytes:
    sink = io.BytesIO()
    write(TABLE, sink)
    return sink.getvalue()


def swapped(separator: str) -> str:
    rows = list(csv.reader(io.StringIO(CSV)))
    sink = io.StringIO()
    csv.writer(sink, delimiter=separator, lineterminator="\n").writerows(rows)
    return sink.getvalue()


def other_types(table: pa.Table) -> pa.Table:
    sizes = pa.array([np.nan if size is None else size for size in ROWS["size"]])
    return (
        table.set_column(0, "size", sizes)
        .set_column(2, "city", table["city"].cast(pa.string_view()))
        .set_column(1, "count", table["count"].cast(pa.uint16()))
    )


@pytest.mark.parametrize(
    ("name", "content", "how"),
    [
        ("t.csv", CSV, ""),
        ("t.txt", CSV, ""),
        ("t.CSV", CSV, ""),
        ("t.csv", CSV.replace("\n", "\r\n"), ""),
        ("t.csv", CSV.replace("\n", "\r"), ""),
        ("t.csv", CSV.rstrip("\n"), ""),
        ("t.csv", "\n\n" + CSV.replace("\n", "\n\n"), ""),
        ("t.csv", " size ,count, city" + CSV.removeprefix("size,count,city"), ""),
        ("t.csv", "\ufeff" + CSV, ""),
        ("t.csv", CSV.encode("utf-16"), "encoding utf-16"),
        ("t.csv", CSV.encode("utf-16-le"), "encoding utf-16-le"),
        ("t.csv", CSV.encode("utf-16-be"), "encoding utf-16-be"),
        ("t.csv", CSV.encode("cp1252"), "encoding cp1252"),
        ("t.csv", swapped(";"), "separator ;"),
        ("t.csv", swapped("|"), "separator |"),
        ("t.csv", swapped("\t"), "separator tab"),
        ("t.tsv", swapped("\t"), "separator tab"),
        ("t.tsv", swapped(";"), "separator ;"),
        ("t.csv", "sep=;\n" + swapped(";"), "separator ;"),
        (
            "t.csv",
            re.sub(r"(\d)\.(\d)", r"\1,\2", swapped(";")),
            "separator ;, decimal comma",
        ),
        ("t.csv.gz", gzipped(CSV.encode()), ""),
        ("t.csv.xz", lzma.compress(CSV.encode()), ""),
        ("t.csv.bz2", bz2.compress(CSV.encode()), ""),
        ("t.csv.zst", pa.compress(CSV.encode(), "zstd", asbytes=True), ""),
        (
            "t.tsv.gz",
            gzipped(swapped("\t").encode("utf-16")),
            "separator tab, encoding utf-16",
        ),
        ("t.parquet", packed(parquet.write_table), ""),
        ("t.pq.gz", gzipped(packed(parquet.write_table)), ""),
        ("t.feather", packed(feather.write_feather), ""),
        (
            "t.arrow",
            packed(lambda t, f: feather.write_feather(t, f, compression="uncompressed")),
            "",
        ),
        ("t.arrow", arrow_stream(TABLE), ""),
        ("t.arrow.xz", lzma.compress(arrow_stream(TABLE)), ""),
        ("t.jsonl", "".join(json.dumps(row) + "\n" for row in TABLE.to_pylist()), ""),
        ("t.ndjson", "\n".join(json.dumps(row) + "\n" for row in TABLE.to_pylist()), ""),
        (
            "t.jsonl.gz",
            gzipped(b"\n".join(json.dumps(r).encode() for r in TABLE.to_pylist())),
            "",
        ),
        # A number that is no number is missing, and a category is a text.
        ("t.parquet", packed(lambda t, f: parquet.write_table(other_types(t), f)), ""),
    ],
)
def test_a_table_is_the_same_in_every_format(
    tmp_path: Path, name: str, content: str | bytes, how: str
) -> None:
    content = read(written(tmp_path, name, content))
    assert content.table.to_pydict() == ROWS
    assert content.how == how


@pytest.mark.parametrize(
    ("name", "content", "columns"),
    [
        (
            "t.arff",
            (
                "% a comment\n@RELATION t\n@attribute size NUMERIC\n@attribute 'the city' {x, y}\n"
                "@DATA\n1.5, x\n% between\n?, y\n2, ?\n"
            ),
            {"size": [1.5, None, 2.0], "the city": ["x", "y", None]},
        ),
        (
            "t.arff.gz",
            gzipped(b"@relation t\n@attribute a real\n@attribute b {x,y}\n@data\n1,x\n2,y\n"),
            {"a": [1.0, 2.0], "b": ["x", "y"]},
        ),
        (
            "t.svmlight",
            "1 1:2 3:4\n-1 2:1.5\n",
            {"x0": [2.0, 0.0], "x1": [0.0, 1.5], "x2": [4.0, 0.0], "y": [1, -1]},
        ),
        (
            "t.libsvm.xz",
            lzma.compress(b"1 1:2\n-1 1:3\n"),
            {"x0": [2.0, 3.0], "y": [1, -1]},
        ),
    ],
)
def test_formats_with_few_types_give_what_they_can(
    tmp_path: Path, name: str, content: str | bytes, columns: dict[str, list[Any]]
) -> None:
    assert read(written(tmp_path, name, content)).table.to_pydict() == columns


def test_an_npz_gives_a_column_for_each_vector_and_each_column_of_a_matrix(tmp_path: Path) -> None:
    file = tmp_path / "t.npz"
    np.savez(file, X=[[1.0, np.nan], [3.0, 4.0]], y=np.array(["a", "b"]), z=np.array([b"u", b"v"]))
    table = read(file).table
    assert table.to_pydict() == {"X0": [1, 3], "X1": [None, 4], "y": ["a", "b"], "z": ["u", "v"]}


def test_a_pandas_frame_comes_back_with_its_categories(tmp_path: Path) -> None:
    frame = pd.DataFrame({"a": pd.Categorical(["x", None, "y"]), "b": pd.Categorical([2, 1, 2])})
    frame.to_parquet(tmp_path / "t.parquet")
    table = read(tmp_path / "t.parquet").table
    assert [pa.types.is_dictionary(kind) for kind in table.schema.types] == [True, True]
    assert table.to_pydict() == {"a": ["x", None, "y"], "b": ["2", "1", "2"]}


def test_a_folder_of_a_parquet_file_makes_no_column(tmp_path: Path) -> None:
    folder = tmp_path / "year=2026"
    folder.mkdir()
    parquet.write_table(TABLE, folder / "t.parquet")
    assert read(folder / "t.parquet").table.column_names == list(ROWS)


TEXTS = st.text(
    st.one_of(st.sampled_from('ab,;|"\t\n '), st.characters(codec="utf-8")), min_size=1, max_size=9
).filter(lambda text: text.strip(" \r\n\t") != "" and "\r" not in text and "\0" not in text)


@given(
    rows=st.lists(st.tuples(st.integers(0, 99), TEXTS), min_size=1, max_size=5),
    separator=st.sampled_from(",;|\t"),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
)
def test_texts_written_by_the_csv_module_read_back(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[tuple[int, str]],
    separator: str,
    encoding: str,
) -> None:
    sink = io.StringIO()
    writer = csv.writer(
        sink, delimiter=separator, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\n"
    )
    writer.writerows([("number", "text", "last"), *((*row, "é#x") for row in rows)])
    file = tmp_path_factory.mktemp("texts") / "t.csv"
    file.write_bytes(sink.getvalue().encode(encoding))
    content = read(file)
    assert content.table["last"].to_pylist() == ["é#x"] * len(rows)
    assert list(map(str, content.table["number"].to_pylist())) == [str(n) for n, _ in rows]
    if pa.types.is_string(content.table["text"].type):
        from harness_files.sources import MISSING

        texts = [None if text in MISSING else text for _, text in rows]
        assert content.table["text"].to_pylist() == texts
    assert content.lines is not None
    lines = sink.getvalue().split("\n")
    for row, (number, _) in enumerate(rows):
        assert lines[content.lines(row) - 1].startswith(f"{number}{separator}")


# Types are those of the whole column.


@pytest.mark.parametrize(
    ("first", "last", "kind"),
    [
        ("1", "2.5", pa.float64()),
        ("", "2.5", pa.float64()),
        ("", "x", pa.string()),
        ("1", "x", pa.string()),
        ("true", "x", pa.string()),
        ("2026-01-01", "x", pa.string()),
    ],
)
def test_a_late_value_of_another_type_widens_the_column(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: str, last: str, kind: pa.DataType
) -> None:
    """Arrow alone takes the type from the first block, and fails at the last row."""
    monkeypatch.setattr("harness_files.separated.BLOCK", 1024)
    file = written(tmp_path, "t.csv", "a,b\n" + f"{first},u\n" * 2000 + f"{last},v\n")
    column = read(file).table["a"]
    assert column.type == kind
    assert str(column[-1].as_py()) == last


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_codes_keep_their_leading_zeros(tmp_path: Path, separator: str, encoding: str) -> None:
    rows = [["zip", "n", "day", "x"], ["10115", "1", "01/02/2026", "0.5"]]
    rows += [["20095", "2", "03/04/2026", "07"]] * 5_000  # beyond the sample
    rows += [["00123", "30", "05/06/2026", "1e3"]]
    text = "\n".join(separator.join(row) for row in rows)
    file = tmp_path / "t.csv"
    file.write_bytes(text.encode(encoding))
    table = read(file).table
    assert table["zip"].to_pylist() == [row[0] for row in rows[1:]]
    assert table["n"].to_pylist()[-1] == 30
    assert table["x"].type == pa.float64()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("t.csv", "a,b\n-,x\n-9,-\n1,y\n"),
        ("t.jsonl", '{"a":null,"b":"x"}\n{"a":-9,"b":"-"}\n{"a":1,"b":"y"}\n'),
        ("t.parquet", pa.table({"a": [None, -9, 1], "b": ["x", "-", "y"]})),
        ("t.parquet", pa.table({"a": [None, -9.0, 1.0], "b": ["x", "-", "y"]})),
        (
            "t.parquet",
            pa.table({"a": [-9, None, 1], "b": pa.array(["x", "-", "y"]).dictionary_encode()}),
        ),
    ],
)
def test_further_texts_for_missing_values_count_in_every_format(
    tmp_path: Path, name: str, content: Any
) -> None:
    if isinstance(content, pa.Table):
        parquet.write_table(content, tmp_path / name)
    else:
        written(tmp_path, name, content)
    table = read(tmp_path / name, missing=("-", "-9")).table
    assert table.to_pydict() == {"a": [None, None, 1], "b": ["x", None, "y"]}


# Files that cannot be read.


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "the file is empty"),
        ("\n \r\n", "the file is empty"),
        ("a,b\n", "has no rows, only names of columns; add rows"),
        ("a,b", "has no rows, only names of columns; add rows"),
        ("1,2\n3,4\n", "line 1 holds numbers, not the names of columns; add a line of names"),
        ("a,b,a\n1,2,3\n", "columns 1 and 3 are both 'a'; rename one"),
        (
            "a,b\n1,x\n2",
            (
                "line 3 has 1 field, but the header names 2 columns; is the file cut off? Get "
                "the rest, or delete the line"
            ),
        ),
        (
            "a,b\n1\n2,x\n",
            (
                "line 2 has 1 field, but the header names 2 columns; write all fields, also empty "
                "ones, between ','"
            ),
        ),
        (
            "a;b\n1;x\n2;y;z\n3;u\n",
            (
                "line 3 has 3 fields, but the header names 2 columns; put quotes around a field "
                "that contains the separator"
            ),
        ),
        # Line breaks in quotes and blank lines count.
        ('a,b\n"u\nv\nw",1\n\n"x",2,3\n', "line 6 has 3 fields"),
        ('a,b\r\n"u\r\nv",1\r\n\r\nx\r\n', "line 5 has 1 field"),
        ('\n\n"a\nb",c\n1,2\n3\n', "line 6 has 1 field"),
        (
            'a,b\n1,x\n2,"y\n3,z\n',
            (
                "the row in line 3 opens a quote that is never closed; is the file cut off? Get "
                "the rest, or close the quote"
            ),
        ),
        ('a,b\n1,"x\ny"\n2,"z', "the row in line 4 opens a quote that is never closed"),
        ('a,b\n1,"x' + "y,\n" * 100_000, "the row in line 2 opens a quote that is never closed"),
        (
            'a,b\n1,"x\n'.encode("utf-16"),
            "the row in line 2 opens a quote that is never closed",
        ),
        (b"a,b\n1,\x00\x01\n", "holds zero bytes, so it is no text; is it a CSV file?"),
        (b"a,b\n1,\xff\x01\x02\x81\n", "its bytes are no text in UTF-8, UTF-16 or Windows-1252"),
        (b"\x07\xf0\x11,\x81", "its bytes are no text in UTF-8, UTF-16 or Windows-1252"),
        (b"PK\x03\x04\x14\0", "is no text but a ZIP archive, such as an Excel file; save the"),
        (b"\xd0\xcf\x11\xe0\0", "is no text but an old Excel file; save the table as CSV"),
        (packed(parquet.write_table), "is no text but a Parquet file; rename it to .parquet"),
        (gzipped(b"a,b\n"), "is no text but compressed by gzip; add .gz to its name"),
        (b"\x89PNG\r\n\x1a\n", "is no text but a picture"),
        ("\n<!DOCTYPE html><p>Log in", "is no text but a web page; download the file itself"),
    ],
)
def test_a_csv_file_that_cannot_be_read_says_where_and_why(
    tmp_path: Path, content: str | bytes, message: str
) -> None:
    assert refusal(written(tmp_path, "t.csv", content)).startswith(message)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        *((f"t.{suffix}", "", "the file is empty") for suffix in READERS),
        ("t.parquet", "a,b\n1,2\n", "cannot be read as parquet: Parquet magic bytes not found"),
        ("t.parquet", packed(parquet.write_table)[:-9], "cannot be read as parquet: "),
        ("t.parquet", b"PK\x03\x04" * 9, "is no parquet file but a ZIP archive"),
        ("t.arrow", "a,b\n1,2\n", "cannot be read as arrow: it begins like no Arrow or Feather"),
        ("t.feather", packed(feather.write_feather)[:-9], "cannot be read as feather: "),
        ("t.csv.gz", "a,b\n1,2\n", "cannot be read as csv.gz: "),
        ("t.csv.gz", gzipped(CSV.encode())[:-9], "cannot be read as csv.gz: "),
        ("t.csv.xz", lzma.compress(CSV.encode())[:-9], "cannot be read as csv.xz: "),
        ("t.jsonl", '{"a":1}\n\n{"a":\n', "line 3 is no JSON: Expecting value; is the file cut"),
        ("t.jsonl", '[{"a":1}]', "line 1 is no JSON object; write one object a line, such as"),
        ("t.jsonl", "a,b\n", "line 1 is no JSON: Expecting value"),
        (
            "t.jsonl",
            '{"a":1}\n{"a":null}\n{"a":"x"}\n',
            ", column 'a': a number in line 1, but a text in line 3; write all its values in one",
        ),
        (
            "t.arff",
            "@relation t\n@attribute a real\n@attribute 'b c' string\n@data\n1,x\n",
            "column ''b c'' in line 3 is of the ARFF type string, which SciPy does not read; save",
        ),
        (
            "t.arff",
            "@relation t\n@attribute a real\n@attribute b {x,y}\n@data\n1,x\n2\n",
            "line 6 has 1 fields, but the header names 2 columns; is the file cut off?",
        ),
        (
            "t.arff",
            "@relation t\n@attribute a real\n",
            "is no ARFF file: it has no line that begin",
        ),
        ("t.arff", "a,b\n1,2\n", "is no ARFF file: it has no line that begins with @attribute"),
        (
            "t.arff",
            "@relation t\n@attribute a {x}\n@data\ny\n",
            "cannot be read as arff: y value not in",
        ),
        ("t.arff", "@relation t\n@attribute a {x}\n@data\n{0 x}\n", "line 4 is sparse ARFF"),
        ("t.arff", "@relation t\n@attribute a {x}\n@data\n", "has no rows"),
        ("t.npz", "a,b\n1,2\n", "is no npz file, as numpy.savez writes it, or it is cut off"),
        ("t.svmlight", "a,b\n1,2\n", "cannot be read as svmlight: "),
        ("t.svmlight", "1 600000000:1\n", "1 rows of 600,000,000 features are too many"),
        ("t.xlsx", "x", "its suffix is none of .csv, .tsv, "),
        ("t", "x", "its suffix is none of .csv, .tsv, "),
    ],
)
def test_a_file_that_is_damaged_or_none_of_its_format_says_so(
    tmp_path: Path, name: str, content: str | bytes, message: str
) -> None:
    assert refusal(written(tmp_path, name, content)).startswith(message)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"a": [1, 2], "b": [1]}, "its arrays differ in length: 'b' has 1 rows, but 'a' has 2"),
        ({"a": np.zeros((1, 2, 3))}, "array 'a' has shape (1, 2, 3); a table has two dimensions"),
        ({"a": np.array(3)}, "array 'a' has shape (); a table has two dimensions"),
        ({"a": np.array([None, "x"])}, "array 'a' holds Python objects; save it as numbers"),
        ({"a0": [1], "a": [[2]]}, "two arrays give a column 'a0'; rename one"),
    ],
)
def test_arrays_that_make_no_table_are_refused(
    tmp_path: Path, arrays: dict[str, Any], message: str
) -> None:
    np.savez(tmp_path / "t.npz", **arrays)
    assert refusal(tmp_path / "t.npz").startswith(message)


def test_two_columns_of_one_name_are_refused_in_every_format(tmp_path: Path) -> None:
    table = pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"])
    parquet.write_table(table, tmp_path / "t.parquet")
    assert refusal(tmp_path / "t.parquet") == "columns 1 and 2 are both 'a'; rename one"


def test_a_folder_and_a_missing_file_are_refused(tmp_path: Path) -> None:
    (tmp_path / "t.csv").mkdir()
    assert refusal(tmp_path / "t.csv") == "is a folder; name a file in it"
    assert refusal(tmp_path / "u.csv") == "there is no such file; check the path"


@pytest.mark.parametrize("n_bytes", [1, 9, 20, 30, 60])
def test_a_table_whose_first_rows_are_longer_than_the_sample_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, n_bytes: int
) -> None:
    monkeypatch.setattr("harness_files.separated.SAMPLE", n_bytes)
    assert read(written(tmp_path, "t.csv", CSV)).table.to_pydict() == ROWS


def test_a_table_may_have_many_columns_and_long_texts(tmp_path: Path) -> None:
    names = [f"column_{i}" for i in range(8_000)]
    row = ["1"] * 7_999 + ["x" * 100_000]
    table = read(written(tmp_path, "t.csv", ";".join(names) + "\n" + ";".join(row) + "\n")).table
    assert table.column_names == names
    assert len(table[names[-1]][0].as_py()) == 100_000


def test_a_row_that_is_too_long_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness_files.separated.BLOCK", 1 << 20)
    file = written(tmp_path, "t.csv", "a,b\n1,x\n2," + "x" * (3 << 20) + "\n3,y\n")
    assert refusal(file) == (
        "a row is longer than 1 MiB; is it a table with one row a line, and are all quotes closed?"
    )


def test_a_missing_library_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    message = refusal(written(tmp_path, "t.svmlight", "1 1:2\n"))
    assert message == "needs 'sklearn.datasets', which is not installed here"


def test_columns_without_a_name_are_named_by_their_place(tmp_path: Path) -> None:
    table = read(written(tmp_path, "t.csv", ",a,\n0,1,\n1,2,\n")).table
    assert table.column_names == ["column 1", "a", "column 3"]


@pytest.mark.parametrize("name", ["a,b", "c[d]", "e+f", 'g"h', "i j", "naïve", "'k'", "l=m|n"])
def test_columns_may_have_any_name(tmp_path: Path, name: str) -> None:
    quoted_name = '"' + name.replace('"', '""') + '"'
    table = read(written(tmp_path, "t.csv", f"{quoted_name},y\n1,a\n")).table
    assert table.column_names == [name, "y"]


def test_dates_and_truth_values_are_read_as_such(tmp_path: Path) -> None:
    table = read(written(tmp_path, "t.csv", "a,b,c\n2026-01-31,true,2026-01-31T10:00:00Z\n")).table
    assert table.to_pylist() == [
        {
            "a": datetime.date(2026, 1, 31),
            "b": True,
            "c": datetime.datetime(2026, 1, 31, 10, tzinfo=datetime.UTC),
        }
    ]


@given(st.text())
def test_a_text_in_a_message_is_short_and_printable(text: str) -> None:
    result = shown(text)
    assert len(result) <= 400
    assert not re.search(r"[\n\r\x1b\x00]", result)
    result.encode()


@given(st.binary(max_size=200), st.sampled_from(sorted(READERS)))
def test_any_bytes_are_read_or_refused_as_the_users_error(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, suffix: str
) -> None:
    file = tmp_path_factory.mktemp("bytes") / f"t.{suffix}"
    file.write_bytes(content)
    with contextlib.suppress(UsageError):
        read(file)
