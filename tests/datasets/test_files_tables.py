"""A file becomes a dataset, or one line names the faulty file, line or column, and the way out."""

from __future__ import annotations

import os
import warnings
from typing import TYPE_CHECKING

import harness_files
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import feather, parquet

from harness.errors import UsageError
from harness.testing import check_dataset

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import harness


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, where the tables are."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def table(text: str, name: str = "t.csv") -> str:
    """A file with this table: fields are separated by blanks, ``-`` is an empty field."""
    lines = (
        ",".join("" if field == "-" else field for field in line.split())
        for line in text.splitlines()
        if line.strip()
    )
    with open(name, "w", encoding="utf8") as file:  # noqa: PTH123  # in the current folder
        file.write("\n".join(lines) + "\n")
    return name


def dataset(file: str, **options: str) -> harness.Dataset:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        (only,) = harness_files.open_file(file, name="t", **options)
    return only


def refusal(file: str, **options: str) -> str:
    with pytest.raises(UsageError) as refused:
        dataset(file, **options)
    message = str(refused.value)
    assert len(message.splitlines()) == 1
    return message


def numbered(n_rows: int, target: Callable[[int], object], header: str = "x y") -> str:
    return table(f"{header}\n" + "\n".join(f"{i * i % 17} {target(i)}" for i in range(n_rows)))


PLAIN = "age city churned\n" + "20 Rome no\n30 Oslo yes\n45 Rome yes\n50 - no\n" * 3


def test_a_file_is_a_dataset() -> None:
    churn = dataset(table(PLAIN), target="churned")
    assert churn.kind == "resampled"
    assert churn.description == (
        "t.csv: 12 rows; 25% of the rows at random, the same share of each class."
    )
    assert [(column.name, column.use, column.n_missing) for column in churn.columns] == [
        ("age", "number", 0),
        ("city", "category", 3),
        ("churned", "apart", 0),
    ]
    assert churn.notes == ("12 rows; classes: no 50%, yes 50%", "uses 2 of 2 columns")
    split = churn.split(np.random.default_rng(0))
    assert split.class_names == ("no", "yes")
    assert list(split.X_train) == ["age", "city"]
    assert (len(split.y_train), len(split.y_test)) == (8, 4) or len(split.y_test) in (2, 3, 4)


@pytest.mark.parametrize(
    "options",
    [{}, {"cv": "3"}, {"cv": "2x2"}, {"cv": "loo"}, {"time": "age"}, {"groups": "age"}],
)
def test_a_file_fulfils_the_contract_of_datasets(options: dict[str, str]) -> None:
    rows = "".join(f"{i % 6} {'abc'[i % 3]} {i * 1.5} {i % 2}\n" for i in range(24))
    check_dataset(dataset(table("age city x y\n" + rows), target="y", **options))


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("t.parquet", lambda frame, file: frame.to_parquet(file)),
        ("t.feather", lambda frame, file: frame.to_feather(file)),
        ("t.jsonl", lambda frame, file: frame.to_json(file, orient="records", lines=True)),
        ("t.csv.xz", lambda frame, file: frame.to_csv(file, index=False)),
        ("t.tsv", lambda frame, file: frame.to_csv(file, index=False, sep="\t", encoding="utf-16")),
    ],
)
def test_the_same_table_gives_the_same_frames_in_every_format(
    name: str, write: Callable[[pd.DataFrame, str], None]
) -> None:
    frame = pd.DataFrame(
        {
            "size": [1.5, None, 2.0, 0.25] * 3,
            "count": [3, 2, 1, 5] * 3,
            "city": ["Rome", "Oslo, N", None, 'the "b"'] * 3,
            "member": [True, False, False, True] * 3,
            "since": ["2026-01-05", "2025-02-01", "2026-01-05", "2024-07-07"] * 3,
            "y": ["no", "yes", "yes", "no"] * 3,
        }
    )
    frame.to_csv("oracle.csv", index=False)
    write(frame, name)
    splits = [
        dataset(file, target="y").split(np.random.default_rng(0)) for file in ("oracle.csv", name)
    ]
    for part in ("X_train", "X_test"):
        pd.testing.assert_frame_equal(*(getattr(split, part) for split in splits))
    np.testing.assert_array_equal(*(split.y_test for split in splits))


def test_a_frame_of_pandas_keeps_its_declared_categories() -> None:
    codes = pd.Categorical([3, 1, 2, 1] * 3)
    pd.DataFrame({"code": codes, "y": [0, 1, 1, 0] * 3}).to_feather("t.feather")
    assert dataset("t.feather", target="y").columns[0].use == "category"


# The target.


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        (
            PLAIN,
            {},
            (
                "t.csv: which column holds the classes? Write --target churned, for example; the "
                "columns are age, city, churned"
            ),
        ),
        ("class x\na 1\nb 2\n", {}, "t.csv: which column holds the classes? Write --target class"),
        (
            PLAIN,
            {"target": "Churned"},
            "t.csv: target=Churned is no column; did you mean 'churned'?",
        ),
        (PLAIN, {"target": "churn"}, "t.csv: target=churn is no column; did you mean 'churned'?"),
        (
            PLAIN,
            {"target": "zzz"},
            "t.csv: target=zzz is no column; the columns are age, city, churned",
        ),
        (
            "x y\n1 a\n2 a\n3 -\n",
            {"target": "y"},
            "t.csv, column 'y': all rows have the class 'a'; a classifier needs two classes",
        ),
        ("x y\n1 -\n2 -\n", {"target": "y"}, "t.csv, column 'y': all classes are missing"),
        ("x y\n- -\n- NA\n", {"target": "y"}, "t.csv, column 'y': all classes are missing"),
        (
            "x y\n- a\n- b\n- b\n",
            {"target": "y"},
            "t.csv: no column is left to learn from: x: all values are missing; keep one by",
        ),
        (
            "x y\n1 a\n2 b\n",
            {"target": "y"},
            "t.csv, column 'y': each row has a class of its own; at least one class needs two rows",
        ),
        (
            "a_b\n1_2\n",
            {"target": "b"},
            "t.csv: target=b is no column; did you mean 'a_b'?",
        ),
        (
            "a_b\n1_2\n",
            {"target": "a_b"},
            "t.csv: has one column only, 'a_b'; if it has several, is their separator another than",
        ),
        (
            PLAIN,
            {"target": "age", "drop": "age"},
            "t.csv, column 'age': it is the target, so drop=",
        ),
        (
            PLAIN,
            {"target": "age", "dates": "age"},
            "t.csv, column 'age': it is the target, so date",
        ),
        (PLAIN, {"target": "age", "groups": "age"}, "t.csv: groups=age is the target"),
        (PLAIN, {"target": "age", "time": "age"}, "t.csv: time=age is the target"),
        (PLAIN, {"target": "age", "split": "age"}, "t.csv: split=age is the target"),
    ],
)
def test_a_target_that_makes_no_classes_is_refused(
    text: str, options: dict[str, str], message: str
) -> None:
    assert refusal(table(text), **options).startswith(message)


def test_many_classes_are_refused() -> None:
    assert refusal(numbered(10_000, lambda i: f"k{i}"), target="y") == (
        "t.csv, column 'y': 10,000 different classes in 10,000 rows; more than 100 cannot be "
        "compared; is it the right column?"
    )


@pytest.mark.parametrize(
    ("n_rows", "target", "n_distinct"),
    [
        (1000, lambda i: i, 1000),
        (1000, lambda i: i % 200, 200),
        (1000, lambda i: i % 30 / 7, 30),
        (30, lambda i: i % 20, 20),
        (15, lambda i: i * 0.5, 15),
    ],
)
def test_a_number_as_target_looks_like_regression(
    n_rows: int, target: Callable[[int], object], n_distinct: int
) -> None:
    assert refusal(numbered(n_rows, target), target="y") == (
        f"t.csv, column 'y': {n_distinct:,} different numbers in {n_rows:,} rows, so this looks "
        "like regression; harness compares classifiers: make a few classes of them in a column of "
        "its own, such as low and high"
    )


@pytest.mark.parametrize(
    ("values", "names"),
    [
        ("1 2 10", ("1", "2", "10")),
        ("1.0 2.5 10", ("1", "2.5", "10")),
        ("True False True", ("False", "True")),
        ("yes no yes", ("no", "yes")),
        ("1 2 x", ("1", "2", "x")),
        ("2026-01-02 2026-01-01 2026-01-02", ("2026-01-01", "2026-01-02")),
    ],
)
def test_classes_are_named_as_the_file_writes_them_in_order(
    values: str, names: tuple[str, ...]
) -> None:
    classes = values.split()
    split = dataset(numbered(12, lambda i: classes[i % 3]), target="y").split(
        np.random.default_rng(0)
    )
    assert split.class_names == names


def test_rows_without_a_class_are_left_out_and_told() -> None:
    result = dataset(table(PLAIN + "20 Rome -\n"), target="churned")
    assert result.notes[-1] == "leaves out 1 row without a class"
    split = result.split(np.random.default_rng(0))
    assert len(split.y_train) + len(split.y_test) == 12


@pytest.mark.parametrize("values", [pa.array([[1], [2]] * 3), pa.array([b"\xff", b"\xfe"] * 3)])
def test_values_that_are_no_classes_are_refused(values: pa.Array) -> None:
    parquet.write_table(pa.table({"x": range(6), "y": values}), "t.parquet")
    assert refusal("t.parquet", target="y").startswith("t.parquet, column 'y': holds the type ")


# Options.


@pytest.mark.parametrize(
    "option", ["drop", "numeric", "categorical", "dates", "groups", "time", "split"]
)
def test_a_misspelt_column_names_the_nearest(option: str) -> None:
    assert refusal(table(PLAIN), target="churned", **{option: "citty"}) == (
        f"t.csv: {option}=citty is no column; did you mean 'city'?"
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"drop": "age+city"},
            "t.csv: no column is left to learn from: age: as you wish; city: as you wish; keep one",
        ),
        ({"drop": "age", "numeric": "age"}, "t.csv, column 'age': drop and numeric exclude each"),
        ({"groups": "city"}, "t.csv, column 'city': 3 values are missing, first in line 5; every "),
        (
            {"time": "city"},
            "t.csv, column 'city': 3 values are missing, first in line 5; every row",
        ),
        (
            {"split": "city"},
            "t.csv, column 'city': 3 values are missing, first in line 5; every row",
        ),
        (
            {"split": "age", "test": "t.csv"},
            "t.csv: test= and split= exclude each other; choose one",
        ),
        ({"split": "age", "cv": "5"}, "t.csv: cv and a given split exclude each other"),
        (
            {"numeric": "city"},
            "t.csv, column 'city': none of its texts is a number, such as 'Rome'",
        ),
        ({"dates": "age"}, "t.csv, column 'age': not all values are dates written in one way"),
        ({"cv": "7-fold"}, "t.csv: cv=7-fold is none of 5, 5x2 (two repetitions), loo"),
    ],
)
def test_options_that_exclude_each_other_or_do_not_fit_are_refused(
    options: dict[str, str], message: str
) -> None:
    assert refusal(table(PLAIN), target="churned", **options).startswith(message)


NAMES = ["a,b", "c[d]", "e+f", 'g"h', "i j", "naïve", "'k'", "l=m|n", "x+", "+"]


@pytest.mark.parametrize("name", NAMES)
def test_options_name_any_column(name: str) -> None:
    frame = pd.DataFrame({name: [1, 2, 3, 4] * 3, "x": [3, 1, 2, 5] * 3, "y": [0, 0, 1, 1] * 3})
    frame.to_csv("t.csv", index=False)
    uses = [column.use for column in dataset("t.csv", target="y", drop=name).columns]
    assert uses == ["dropped", "number", "apart"]
    uses = [c.use for c in dataset("t.csv", target="y", categorical=f"{name}+x").columns]
    assert uses == ["category", "category", "apart"]
    assert dataset("t.csv", target="y", groups=name).columns[0].reason == "the groups"


@given(st.lists(st.sampled_from([*NAMES, "e", "f"]), unique=True, min_size=1))
def test_columns_joined_by_plus_are_told_apart(names: list[str]) -> None:
    """Where a name holds a plus sign itself, the longest name counts."""
    from harness_files.tables import _listed

    if "+" in names or {"e", "f"} <= set(names):
        return
    assert _listed("+".join(names), names) == tuple(names)


def test_control_characters_of_a_file_reach_no_message() -> None:
    evil = "\x1b[31m"
    frame = pd.DataFrame({f"x{evil}": ["1"] * 12, "z": range(12), "y": [f"a{evil}", "b"] * 6})
    frame.to_parquet("t.parquet")
    result = dataset("t.parquet", target="y")
    assert not any(evil in note for note in result.notes)
    assert evil not in refusal("t.parquet", target=f"q{evil}")
    assert evil not in refusal("t.parquet", target="z", drop=f"z{evil}")


# Ways to split.


def test_missing_values_are_named_with_their_line_although_rows_are_left_out() -> None:
    text = "g x y\n1 1 a\n\n2 2 -\n1 3 b\n- 4 b\n"
    assert refusal(table(text), target="y", groups="g") == (
        "t.csv, column 'g': 1 value is missing, first in line 5; every row needs a value, because "
        "the column gives the groups"
    )


def test_a_mixed_column_is_named_with_its_line_although_rows_are_left_out() -> None:
    rows = "".join(f"{i} {'ab'[i % 2]}\n" for i in range(20))
    assert " in line 23; " in refusal(table(f"x y\n9 -\n{rows}oops a\n"), target="y")


@pytest.mark.parametrize(
    "values",
    [
        pa.array([1, 1, 2, 2, 3, 3] * 2),
        pa.array([0.5, 0.5, 2, 2, 3, 3] * 2),
        pa.array(list("ppqqrr") * 2),
        pa.array(list("ppqqrr") * 2).dictionary_encode(),
        pa.array([1, 1, 2, 2, 3, 3] * 2, pa.timestamp("ns", "UTC")),
        pa.array([True, True, False, False, True, True] * 2),
    ],
)
def test_groups_may_be_of_any_type(values: pa.Array) -> None:
    columns = {"g": values, "x": range(12), "y": [0, 1] * 6}
    parquet.write_table(pa.table(columns), "t.parquet")
    result = dataset("t.parquet", target="y", groups="g", cv="2", numeric="x")
    groups = np.array(values.to_pylist())
    split = result.split(np.random.default_rng(0), 0)
    test = split.X_test["x"].astype(int)
    assert not set(groups[test]) & set(np.delete(groups, test))


DAYS = [f"2026-0{month}-{day:02}" for month in (1, 2) for day in range(1, 7)]


@pytest.mark.parametrize(
    "values",
    [
        pa.array(range(12)),
        pa.array([i / 2 for i in range(12)]),
        pa.array(DAYS),
        pa.array(DAYS).dictionary_encode(),
        pa.array([".".join(reversed(day.split("-"))) for day in DAYS]),
        pa.array(DAYS).cast(pa.date32()),
        pa.array(DAYS).cast(pa.timestamp("ns")).cast(pa.timestamp("ns", "UTC")),
        pa.array(range(12), pa.duration("s")),
        pa.array(range(12), pa.time32("s")),
        pa.array(range(12)).cast(pa.decimal128(30, 2)),
    ],
)
def test_numbers_and_dates_of_any_type_order_the_rows(values: pa.Array) -> None:
    backwards = values.take(pa.array(range(11, -1, -1)))
    columns = {"t": backwards, "x": range(12), "y": [0, 1] * 6}
    feather.write_feather(pa.table(columns), "t.feather")
    result = dataset("t.feather", target="y", time="t", numeric="x")
    split = result.split(np.random.default_rng(0))
    assert sorted(split.X_test["x"]) == [0, 1, 2]


@pytest.mark.parametrize("value", ["soon", "2026-01-32", "3.4."])
def test_a_time_that_orders_nothing_is_refused(value: str) -> None:
    file = table(f"t x y\n2026-01-01 1 a\n{value} 2 b\n{value} 3 b\n")
    assert refusal(file, target="y", time="t").startswith(
        "t.csv, column 't': not all its values are numbers, or dates written in one way such as"
    )


def test_a_split_column_says_train_and_test() -> None:
    text = "s x y\n" + "train 1 a\ntrain 2 b\nTest 3 a\ntest 4 b\n" * 3
    result = dataset(table(text), target="y", split="s")
    assert result.kind == "fixed"
    split = result.split(np.random.default_rng(0))
    assert list(split.X_test["x"]) == [3, 4] * 3


@pytest.mark.parametrize("folds", ["1 2 3", "1.0 2.0 3.0", "a b c"])
def test_a_split_column_numbers_the_folds(folds: str) -> None:
    names = folds.split()
    rows = "".join(f"{names[i % 3]} {i} {'ab'[i // 3 % 2]}\n" for i in range(12))
    result = dataset(table("s x y\n" + rows), target="y", split="s", numeric="x")
    assert (result.kind, result.repeats) == ("3-fold", 3)
    for fold in range(3):
        test = result.split(np.random.default_rng(0), fold).X_test["x"]
        assert {int(row) % 3 for row in test} == {fold}


# A test file of its own.

TRAIN = "x c y\n" + "1 u a\n2 v b\n3 u a\n4 - b\n" * 2


def test_the_rows_of_a_test_file_are_tested() -> None:
    test = table("y extra c x\na 0 v 9\nb 0 w 8\n- 0 w 7\n", "test.csv")
    result = dataset(table(TRAIN), target="y", test=test)
    assert result.kind == "fixed"
    split = result.split(np.random.default_rng(0))
    assert list(split.X_train["x"]) == [1, 2, 3, 4] * 2
    assert list(split.X_test["x"]) == [9, 8]
    assert list(split.X_test["c"]) == ["v", "w"]
    assert list(split.X_train["c"].cat.categories) == list("uvw")
    assert result.notes[0] == "10 rows, tested on test.csv; classes: a 50%, b 50%"


@pytest.mark.parametrize("test_type", [pa.int32(), pa.float32(), pa.float64(), pa.uint8()])
def test_a_test_file_may_hold_other_types_of_numbers(test_type: pa.DataType) -> None:
    table(TRAIN)
    categories = pa.array(["u", "v"]).dictionary_encode()
    test = {"x": pa.array([9, 8], test_type), "c": categories, "y": ["a", "b"]}
    parquet.write_table(pa.table(test), "test.parquet")
    split = dataset("t.csv", target="y", test="test.parquet").split(np.random.default_rng(0))
    assert list(split.X_test["x"]) == [9, 8]
    assert list(split.X_test["c"]) == ["u", "v"]


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        (
            "x C y\n1 u a\n",
            {},
            "test.csv: has no column 'c', but t.csv has it; the columns are x, C, y",
        ),
        ("x c yy\n1 u a\n", {}, "test.csv: has no column 'y', but t.csv has it; is it 'yy' there?"),
        (
            "x c y\nu u a\nv v b\n",
            {},
            (
                "test.csv, column 'x': holds the type text, but in t.csv the type whole number; "
                "write "
                "categorical=x or drop=x"
            ),
        ),
        ("x c y\n1 u a\n1 u z\n", {}, "t.csv: class 'z' is tested in the test part, but no row to"),
        ("x c y\n1 u -\n", {}, "t.csv: there are no test rows; both training and test rows"),
        ("x c y\n", {}, "test.csv: has no rows, only names of columns; add rows"),
        ("x c y\n1 u\n", {}, "test.csv: line 2 has 2 fields, but the header names 3 columns"),
        ("x c y\n1 u a\n", {"cv": "2"}, "t.csv: cv and a given split exclude each other"),
        ("x c y\n1 u a\n- u a\n", {"groups": "x"}, None),
    ],
)
def test_a_test_file_that_does_not_fit_is_refused(
    text: str, options: dict[str, str], message: str | None
) -> None:
    test = table(text, "test.csv")
    table(TRAIN)
    if message is None:
        message = "t.csv, column 'x': 1 value is missing, first in line 3 of test.csv; every row"
    assert refusal("t.csv", target="y", test=test, **options).startswith(message)


def test_a_missing_test_file_is_refused() -> None:
    assert refusal(table(TRAIN), target="y", test="no.csv") == (
        "no.csv: there is no such file; check the path"
    )
    os.mkdir("folder.csv")  # noqa: PTH102  # in the current folder
    assert refusal("t.csv", target="y", test="folder.csv") == (
        "folder.csv: is a folder; name a file in it"
    )


def test_a_column_of_other_types_is_a_category_in_both_files_if_the_user_says_so() -> None:
    table(TRAIN)
    test = table("x c y\nu u a\n2 v b\n", "test.csv")
    split = dataset("t.csv", target="y", test=test, categorical="x").split(np.random.default_rng(0))
    assert list(split.X_test["x"]) == ["u", "2"]
    assert list(split.X_train["x"])[:2] == ["1", "2"]


CELLS = st.sampled_from(
    ["1", "2.5", "-3", "", "NA", "a", "b", "yes", "no", "2026-01-02", "03.04.2026", "inf", '"', "é"]
)


@given(
    st.lists(
        st.tuples(CELLS, CELLS, st.sampled_from(["u", "v", "w", ""])), min_size=1, max_size=30
    ),
    st.fixed_dictionaries(
        {},
        optional={
            "drop": st.sampled_from(["a", "a+b"]),
            "numeric": st.just("a"),
            "categorical": st.just("b"),
            "dates": st.just("a"),
            "groups": st.just("b"),
            "time": st.just("b"),
            "split": st.just("a"),
            "cv": st.sampled_from(["2", "3x2", "loo"]),
        },
    ),
)
def test_any_table_with_any_options_splits_or_is_refused_as_the_users_error(
    rows: list[tuple[str, str, str]], options: dict[str, str]
) -> None:
    frame = pd.DataFrame(rows, columns=["a", "b", "y"])
    frame.to_csv("any.csv", index=False)
    try:
        result = dataset("any.csv", target="y", **options)
        rng = np.random.default_rng(0)
        split = result.split(rng, 0) if result.kind.endswith("-fold") else result.split(rng)
    except UsageError:
        return
    assert len(split.y_train)
    assert len(split.y_test)
    assert len(set(split.y_train)) > 1
    assert set(split.y_test) <= set(split.y_train)


def test_a_note_names_a_type_that_no_model_takes_as_a_whole() -> None:
    baskets = pa.table({"size": [1.5, 2.5, 3.5] * 4, "items": [[1], [2]] * 6, "y": [0, 1] * 6})
    parquet.write_table(baskets, "baskets.parquet")
    result = dataset("baskets.parquet", target="y")
    assert "items (no model takes the type list<element: int64>)" in result.notes[1]


def test_classes_that_differ_only_in_capitals_or_blanks_are_told() -> None:
    classes = ["a", " a", "A", "b"]
    spelt = pa.table({"x": [float(i) for i in range(20)], "y": [classes[i % 4] for i in range(20)]})
    parquet.write_table(spelt, "spelt.parquet")
    told = [note for note in dataset("spelt.parquet", target="y").notes if "one class" in note]
    assert [note.partition(" differ")[0] for note in told] == [
        "classes ' a' and 'A'",
        "classes ' a' and 'a'",
    ]
