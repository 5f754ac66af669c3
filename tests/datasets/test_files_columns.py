"""What becomes of each column of a table, why, and how the user overrules it."""

from __future__ import annotations

import datetime
import decimal
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from harness_files.columns import Understood, Wishes, understand
from harness_files.texts import as_dates, number_style
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from harness.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

NAN = float("nan")
INF = float("inf")


def understood(columns: dict[str, Any], wishes: Wishes = Wishes(), **given: Any) -> Understood:  # noqa: B008  # it is frozen
    """What becomes of columns beside a column of numbers, which is always left."""
    arrays = {name: _array(values) for name, values in columns.items()}
    n_rows = len(next(iter(arrays.values())))
    arrays["beside"] = pa.array([float(i * i % 7) for i in range(n_rows)])
    codes = given.pop("codes", np.arange(n_rows) // 2 % 2)
    apart = given.pop("apart", {})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return understand(pa.table(arrays), codes, wishes, apart, "t.csv", **given)


def _array(values: Any) -> Any:
    return values if isinstance(values, pa.Array | pa.ChunkedArray) else pa.array(values)


def only(values: Any, wishes: Wishes = Wishes(), **given: Any) -> tuple[str, str, dict[str, Any]]:  # noqa: B008
    """The use of a column 'c', the reason, and the features that are made of it."""
    result = understood({"c": values}, wishes, **given)
    column = result.columns[0]
    features = {name: list(result.frame[name]) for name in result.frame if name != "beside"}
    return column.use, column.reason, features


NUMBERS: list[tuple[Any, list[float]]] = [
    ([1, 2, None], [1, 2, NAN]),
    ([1.5, NAN, None, 2], [1.5, NAN, NAN, 2]),
    ([True, False, None], [1, 0, NAN]),
    (["yes", "No", "no"], [1, 0, 0]),
    (["TRUE", None, "false"], [1, NAN, 0]),
    (["y", "n", "y"], [1, 0, 1]),
    (["1", " 2 ", "-3.5e1"], [1, 2, -35]),
    ([decimal.Decimal("1.5"), decimal.Decimal(2)], [1.5, 2]),
    (pa.array([1, 2], pa.uint8()), [1, 2]),
    (pa.array(np.array([1, 2], np.float16)), [1, 2]),
    (pa.chunked_array([pa.array([1, 2]), pa.array([3])]), [1, 2, 3]),
]


@pytest.mark.parametrize(("values", "numbers"), NUMBERS)
def test_numbers_and_truth_values_become_numbers(values: Any, numbers: list[float]) -> None:
    use, _, features = only(values)
    assert use == "number"
    assert_array_equal(features["c"], numbers)


WRITTEN = [
    (["$12,345", "$7", "-$1,000.50"], [12345, 7, -1000.5], "written as 12,345.6, in $"),
    (["12,345", "1", "1,234,567.5"], [12345, 1, 1234567.5], "written as 12,345.6"),
    (["1.234,5", "-3,25", "7"], [1234.5, -3.25, 7], "written as 12.345,6"),
    (["1.234.567", "12", "5"], [1234567, 12, 5], "written as 12.345,6"),
    (["0,123", "0,5", "1,234"], [0.123, 0.5, 1.234], "written as 12.345,6"),
    (["12 345", "1\u202f000,5", "7"], [12345, 1000.5, 7], "written as 12 345.6"),
    (["12'345.5", "1’000", "7"], [12345.5, 1000, 7], "written as 12'345.6"),
    (["45%", "7.5 %", "-1e1%"], [45, 7.5, -10], "in %"),
    (["1,5 €", "12.000,00 €", "0 €"], [1.5, 12000, 0], "written as 12.345,6, in €"),
]


@pytest.mark.parametrize(("texts", "numbers", "how"), WRITTEN, ids=[case[2] for case in WRITTEN])
def test_numbers_are_read_as_people_write_them(
    texts: list[str], numbers: list[float], how: str
) -> None:
    use, reason, features = only([*texts, None])
    assert (use, reason) == ("number", f"texts that are numbers, {how}")
    assert_array_equal(features["c"], [*numbers, NAN])
    use, reason, features = only([*texts, None], Wishes(numbers=("c",)))
    assert (use, reason) == ("number", f"as you wish, {how}")
    assert_array_equal(features["c"], [*numbers, NAN])


@pytest.mark.parametrize(
    "texts", [["$5", "€7"], ["5%", "7"], ["1,2,3", "4"], ["12,34", "1.234.5"], ["1,23,456", "7"]]
)
def test_texts_in_several_units_or_styles_are_categories(texts: list[str]) -> None:
    assert only(texts)[0] == "category"


@given(
    st.lists(st.floats(-1e9, 1e9).map(lambda number: round(number, 2)), min_size=1),
    st.sampled_from([("{:,.2f}", ""), ("${:,.2f}", ""), ("{:.2f}%", ""), ("{:,.2f}", ",.")]),
)
def test_a_number_reads_back_as_it_was_written(
    numbers: list[float], style: tuple[str, str]
) -> None:
    template, swapped = style
    texts = [template.format(number) for number in numbers]
    if swapped:
        texts = [text.translate(str.maketrans(",.", ".,")) for text in texts]
    distinct = pa.array(sorted(set(texts)))
    read = number_style(distinct).read(pa.array([*texts, None]))
    assert read.to_pylist() == [*numbers, None]


def test_codes_with_leading_zeros_are_categories() -> None:
    use, reason, features = only(["00123", "10115", "00123", None])
    assert (use, reason) == ("category", "codes with leading zeros")
    assert features["c"][:3] == ["00123", "10115", "00123"]
    assert only(["0", "10", "20"])[0] == "number"
    use, _, features = only(["00123", "10115"], Wishes(numbers=("c",)))
    assert (use, features["c"]) == ("number", [123, 10115])


def test_dates_that_can_be_read_in_two_ways_are_told_and_overruled() -> None:
    texts = ["01/02/2026", "03/04/2027"]
    use, reason, features = only(texts)
    assert (use, features["c month"]) == ("date", [2, 4])
    assert reason.endswith("read as day/month/year, but month/day/year would fit too (monthfirst=)")
    use, reason, features = only(texts, Wishes(month_first=("c",)))
    assert (use, reason, features["c month"]) == ("date", "as you wish", [1, 3])
    assert "would fit" not in only(["13/02/2026", "03/04/2027"])[1]


CATEGORIES: list[tuple[Any, list[str | None]]] = [
    (["b", "a", None], ["b", "a", None]),
    (["a", "1", "b", "2"], ["a", "1", "b", "2"]),
    (["yes", "no", "maybe"], ["yes", "no", "maybe"]),
    (["a\x1b[31m", "b\n", "ü"], ["a\x1b[31m", "b\n", "ü"]),
    (pa.array(["b", "a"], pa.large_string()), ["b", "a"]),
    (pa.array(["b", "a"], pa.string_view()), ["b", "a"]),
    (pa.array(["b", "a", None]).dictionary_encode(), ["b", "a", None]),
    (pa.array([5, 6, 5]).dictionary_encode(), ["5", "6", "5"]),
    (
        pa.chunked_array([pa.array([x, y]).dictionary_encode() for x, y in ("ab", "ca")]),
        ["a", "b", "c", "a"],
    ),
    # One category twice, and a missing value among the categories.
    (pa.DictionaryArray.from_arrays([0, 1, 2, 3], ["a", "a", None, "b"]), ["a", "a", None, "b"]),
]


@pytest.mark.parametrize(("values", "categories"), CATEGORIES)
def test_texts_become_sorted_categories(values: Any, categories: list[str | None]) -> None:
    result = understood({"c": values})
    column = result.frame["c"]
    assert [None if pd.isna(value) else value for value in column] == categories
    assert list(column.cat.categories) == sorted({c for c in categories if c is not None})
    assert result.columns[0].use == "category"
    assert result.columns[0].n_distinct == len(column.cat.categories)
    assert result.columns[0].n_missing == categories.count(None)


DATE = datetime.datetime(2026, 1, 31, 22)


@pytest.mark.parametrize(
    "texts",
    [
        ["2026-01-31 22:00", "2027-02-01 22:00"],
        ["2026-01-31T22:00:00", "2027-02-01T22:00:00"],
        ["2026-01-31T22:00:00.000", "2027-02-01T22:00:00.5"],
        ["31.01.2026 22:00", "01.02.2027 22:00"],
        ["31.1.2026 22:00:00", "1.2.2027 22:00:00"],
        ["31/01/2026 22:00", "01/02/2027 22:00"],
        ["01/31/2026 22:00", "02/01/2027 22:00"],
        ["2026/01/31 22:00", "2027/02/01 22:00"],
        ["31-01-2026 22:00", "01-02-2027 22:00"],
        ["31 Jan 2026 22:00", "1 Feb 2027 22:00"],
        ["31-Jan-2026 22:00", "01-Feb-2027 22:00"],
        ["Jan 31, 2026 22:00", "Feb 1, 2027 22:00"],
        [" 2026-01-31 22:00 ", "2027-02-01 22:00"],
        [DATE, DATE.replace(2027, 2, 1)],
        pa.array([DATE, DATE.replace(2027, 2, 1)], pa.timestamp("ns")),
        pa.array([DATE, DATE.replace(2027, 2, 1)]).dictionary_encode(),
    ],
)
def test_dates_become_their_parts_however_they_are_written(texts: Any) -> None:
    values = pa.concat_arrays([_array(texts), pa.nulls(1, _array(texts).type)])
    wish = Wishes(dates=("c",)) if pa.types.is_dictionary(values.type) else Wishes()
    use, _, features = only(values, wish)
    assert use == "date"
    expected = {
        "c year": [2026, 2027, NAN],
        "c month": [1, 2, NAN],
        "c weekday": [5, 0, NAN],
        "c days": [0, 366, NAN],
    }
    assert features.keys() == expected.keys()
    for name, numbers in expected.items():
        assert_array_equal(features[name], numbers)


def test_parts_of_a_date_that_do_not_vary_are_left_out() -> None:
    _, _, features = only(["2026-01-05", "2026-01-06"])
    assert features == {"c weekday": [0, 1], "c days": [0, 1]}
    _, _, features = only(["2026-01-05 03:00", "2026-01-05 15:59"])
    assert features == {"c hour": [3, 15]}


def test_the_parts_of_a_date_are_those_of_its_time_zone() -> None:
    moments = [datetime.datetime(2026, 1, day, 23, 30) for day in (1, 2)]
    values = pa.array(moments, pa.timestamp("us", "Europe/Berlin"))
    _, _, features = only(values)
    assert features == {"c weekday": [4, 5], "c days": [0, 1]}


def test_a_date_replaces_no_column_of_the_table() -> None:
    result = understood({"d": ["2025-01-01", "2026-01-01"], "d year": [7, 8]})
    assert list(result.frame) == ["d year'", "d weekday", "d days", "d year", "beside"]
    assert list(result.frame["d year"]) == [7, 8]


@pytest.mark.parametrize(
    "texts",
    [
        ["31.02.2026", "01.03.2026"],  # there is no 31 February
        ["01.02.2026", "2026-02-01"],
        ["2026-13-01", "2026-01-02"],
        ["01.02.2026", "soon"],
        ["1.2.", "3.4."],
    ],
)
def test_texts_that_are_not_all_dates_are_categories(texts: list[str]) -> None:
    assert as_dates(pa.array(texts)) is None
    assert only(texts)[0] == "category"


@given(
    st.lists(
        st.datetimes(datetime.datetime(1700, 1, 1), datetime.datetime(2200, 1, 1)), min_size=1
    ),
    st.sampled_from(["%Y-%m-%d", "%Y/%m/%d", "%d.%m.%Y", "%d.%m.%Y %H:%M", "%Y-%m-%dT%H:%M:%S"]),
)
def test_a_date_reads_back_as_it_was_written(moments: list[datetime.datetime], style: str) -> None:
    texts = [moment.strftime(style) for moment in moments]
    dates = as_dates(pa.array([*texts, None]))
    assert dates is not None
    assert dates.values.to_pylist() == [
        *(datetime.datetime.strptime(t, style) for t in texts),
        None,
    ]


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ([None, None], "all values are missing"),
        ([NAN, NAN], "all values are missing"),
        ([INF, -INF], "all values are missing"),
        (pa.array([None, None], pa.string()), "all values are missing"),
        ([1, 1, None], "constant"),
        (["a", "a"], "constant"),
        (["2026-01-01", "2026-01-01"], "constant"),
        ([f"u{i}" for i in range(30)], "identifier: nearly every row has a text of its own"),
        (
            pa.array([f"u{i}" for i in range(30)]).dictionary_encode(),
            "identifier: nearly every row has a category of its own",
        ),
        (list(range(1000, 1030)), "identifier: a whole number of its own for every row"),
        ([f"the item {i} was good" for i in range(30)], "free text, which no model here reads"),
        (
            ["it was good and I liked it", "it was bad and I hated it"] * 3,
            "free text, which no model here reads",
        ),
        ([[1], [2]], "no model takes the type list<item: int64>"),
        ([{"a": 1}, {"a": 2}], "no model takes the type struct<a: int64>"),
        (pa.array([1, 2], pa.duration("s")), "no model takes the type duration[s]"),
        (pa.array([1, 2], pa.time32("s")), "no model takes the type time32[s]"),
        ([b"\xff", b"a"], "no model takes the type binary"),
    ],
)
def test_what_no_model_can_use_is_dropped_with_the_reason(values: Any, reason: str) -> None:
    assert only(values) == ("dropped", reason, {})


@pytest.mark.parametrize("name", ["id", "Customer ID", "user_id", "rowId", "row", "order no"])
def test_different_whole_numbers_under_the_name_of_an_identifier_are_dropped(name: str) -> None:
    numbers = [i * i for i in range(30)]
    assert understood({name: numbers}).columns[0].use == "dropped"
    assert understood({"income": numbers}).columns[0].use == "number"
    assert understood({name: [i % 9 for i in numbers]}).columns[0].use == "number"


def test_in_a_small_table_different_values_are_no_identifier() -> None:
    assert only(["a", "b", "c"])[0] == "category"
    assert only([1, 2, 3])[0] == "number"


def test_infinite_values_count_as_missing_and_are_told() -> None:
    use, reason, features = only([1.0, INF, -INF, 2.0])
    assert (use, reason) == ("number", "2 infinite values count as missing")
    assert_array_equal(features["c"], [1, NAN, NAN, 2])


@pytest.mark.parametrize("most", [2**53 + 1, 2**63 - 1, -(2**60)])
def test_whole_numbers_that_floats_do_not_hold_are_told(most: int) -> None:
    assert only([most, 1, 2])[1] == "numbers beyond 2^53 lose their last digits"
    assert only([2**53, -(2**53), 2])[1] == ""


MIXED = [*(str(i) for i in range(30)), "oops\n"]


def test_a_few_texts_among_numbers_are_refused_with_place_and_way_out() -> None:
    with pytest.raises(UsageError) as refused:
        only(MIXED, place_of=lambda row: f"in line {row + 2}")
    assert str(refused.value) == (
        "t.csv, column 'c': 30 numbers, but 1 text, such as 'oops\\n' in line 32; write "
        "missing=oops\\n if it is a missing value, or categorical=c"
    )


@pytest.mark.parametrize(
    ("values", "wishes", "use", "feature"),
    [
        (MIXED[-3:], Wishes(numbers=("c",)), "number", [28, 29, NAN]),
        (MIXED[-2:], Wishes(categories=("c",)), "category", ["29", "oops\n"]),
        (list(range(30)), Wishes(numbers=("c",)), "number", list(range(30))),
        ([1, 2], Wishes(categories=("c",)), "category", ["1", "2"]),
        ([1.0, 2.5], Wishes(categories=("c",)), "category", ["1", "2.5"]),
        ([True, False], Wishes(categories=("c",)), "category", ["true", "false"]),
        (["yes", "no"], Wishes(categories=("c",)), "category", ["yes", "no"]),
        (["yes", "no"], Wishes(numbers=("c",)), "number", [1, 0]),
        (
            [datetime.date(2026, 1, 1)] * 2,
            Wishes(categories=("c",)),
            "category",
            ["2026-01-01"] * 2,
        ),
        (["a", "a"], Wishes(categories=("c",)), "category", ["a", "a"]),
        (
            [f"u{i}" for i in range(30)],
            Wishes(categories=("c",)),
            "category",
            [f"u{i}" for i in range(30)],
        ),
        (pa.array(["1", "x"]).dictionary_encode(), Wishes(numbers=("c",)), "number", [1, NAN]),
    ],
)
def test_the_user_overrules_what_becomes_of_a_column(
    values: Any, wishes: Wishes, use: str, feature: Sequence[Any]
) -> None:
    decided, reason, features = only(values, wishes)
    assert decided == use
    assert reason.startswith("as you wish")
    assert_array_equal(features["c"], np.asarray(feature))


def test_the_user_drops_a_column() -> None:
    assert only([1, 2], Wishes(drop=("c",))) == ("dropped", "as you wish", {})


def test_whole_numbers_are_dates_if_the_user_says_so() -> None:
    use, _, features = only([20260105, 20260106], Wishes(dates=("c",)))
    assert (use, features) == ("date", {"c weekday": [0, 1], "c days": [0, 1]})


@pytest.mark.parametrize(
    ("values", "wishes", "message"),
    [
        (["a", "b"], Wishes(numbers=("c",)), "none of its texts is a number, such as 'a'; write"),
        (["a", "b"], Wishes(dates=("c",)), "not all values are dates written in one way, such"),
        ([1, 2], Wishes(dates=("c",)), "not all values are dates written in one way, such"),
        ([1.5, 2], Wishes(dates=("c",)), "not all values are dates written in one way, such"),
        ([True, False], Wishes(dates=("c",)), "not all values are dates written in one way"),
        ([[1], [2]], Wishes(numbers=("c",)), "its values, of type list<item: int64>, cannot be a"),
        ([[1], [2]], Wishes(categories=("c",)), "its values, of type list<item: int64>, cannot"),
        ([b"\xff", b"a"], Wishes(categories=("c",)), "its values, of type binary, cannot be a"),
        ([datetime.date(2026, 1, 1)], Wishes(numbers=("c",)), "its values, of type date32[day],"),
        ([None, None], Wishes(numbers=("c",)), "all values are missing, so that it cannot be a"),
        ([NAN, NAN], Wishes(categories=("c",)), "all values are missing, so that it cannot be a"),
        ([None, None], Wishes(dates=("c",)), "all values are missing, so that it cannot be a date"),
    ],
)
def test_a_wish_that_cannot_be_met_is_refused(values: Any, wishes: Wishes, message: str) -> None:
    with pytest.raises(UsageError) as refused:
        only(values, wishes)
    assert str(refused.value).startswith(f"t.csv, column 'c': {message}")


def test_without_a_column_to_learn_from_the_reasons_are_told() -> None:
    table = pa.table({"a": [1, 1], "b": [1, 2], "y": [0, 1]})
    with pytest.raises(UsageError) as refused:
        understand(table, np.array([0, 1]), Wishes(drop=("b",)), {"y": "the class"}, "t.csv")
    assert str(refused.value) == (
        "t.csv: no column is left to learn from: a: constant; b: as you wish; keep one by "
        "numeric=, categorical= or dates="
    )


CODES = np.arange(200) % 2


@pytest.mark.parametrize(
    ("values", "is_suspected"),
    [
        ([float(code) for code in CODES], True),
        (["sick" if code else "well" for code in CODES], True),
        ([None if code else 1.5 + i % 4 for i, code in enumerate(CODES)], True),
        ([f"20{10 + code}-01-0{1 + i % 3}" for i, code in enumerate(CODES)], True),
        ([float(code + i % 3) for i, code in enumerate(CODES)], False),
        ([float(i % 5) for i in range(200)], False),
        ([f"u{i % 100}" for i in range(200)], False),  # too many categories to tell
    ],
)
def test_a_column_that_alone_tells_the_class_is_suspected_but_kept(
    values: list[Any], is_suspected: bool
) -> None:
    use, reason, _ = only(values, codes=CODES)
    assert use in ("number", "category", "date")
    assert ("may be a leak: it alone tells the class" in reason) == is_suspected


def test_columns_that_are_no_features_are_kept_apart() -> None:
    result = understood({"g": [[1], [2]], "y": [0, 1]}, apart={"y": "the class", "g": "the groups"})
    assert [(column.use, column.reason) for column in result.columns[:2]] == [
        ("apart", "the groups"),
        ("apart", "the class"),
    ]
    assert list(result.frame) == ["beside"]


@given(
    st.lists(st.one_of(st.none(), st.text(max_size=5)), min_size=1, max_size=30),
)
def test_any_texts_are_understood_or_refused_as_the_users_error(texts: list[str | None]) -> None:
    texts = [text if text is None else text.encode(errors="ignore").decode() for text in texts]
    try:
        result = understood({"c": pa.array(texts, pa.string())})
    except UsageError:
        return
    column = result.columns[0]
    assert column.n_missing == texts.count(None)
    assert column.n_distinct == len({text for text in texts if text is not None})
