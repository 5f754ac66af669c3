"""A split is checked, its labels become codes, and its columns are prepared for a model."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pyarrow
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import sparse
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from harness.contract.values import Needs, Split
from harness.errors import DatasetError
from harness.trials.preparation import LARGEST, Encoded, encode, prepare

Array = np.ndarray[Any, np.dtype[Any]]
NAN = float("nan")


def split(**changes: Any) -> Split:
    """Two columns, classes a and b, four training and two test rows."""
    usual: dict[str, Any] = {
        "X_train": np.arange(8.0).reshape(4, 2),
        "y_train": np.array(["a", "b", "a", "b"]),
        "X_test": np.arange(4.0).reshape(2, 2),
        "y_test": np.array(["a", "b"]),
    }
    return Split(**usual | changes)


def column(train: Any, test: Any = (0.0,), *, categorical: bool = False) -> Encoded:
    """An encoded split of one column; its dtype is object if it holds categories."""
    kind = object if categorical else np.float64
    X_train, X_test = (np.array([[v] for v in part], dtype=kind) for part in (train, test))
    y_train, y_test = np.arange(len(X_train)) % 2, np.zeros(len(X_test), dtype=int)
    return encode(Split(X_train, y_train, X_test, y_test, categorical=(0,) if categorical else ()))


# Encoding


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"X_test": np.arange(2.0)}, "X_test has shape (2,), but a table has two dimensions"),
        (
            {"X_train": np.array([[1, 2], [3]] * 2, dtype=object)},
            "X_train has shape (4,), but a table has two dimensions",
        ),
        ({"X_train": {"x0": [1, 2]}}, "X_train is a dict, not a table; give an array or a Data"),
        ({"X_train": np.zeros((4, 0))}, "X_train has no columns"),
        ({"X_train": np.zeros((4, 2), "M8[s]")}, "X_train holds datetime64[s], neither numbers"),
        ({"X_train": np.zeros((4, 2), complex)}, "X_train holds complex128, neither numbers nor"),
        ({"X_test": np.zeros((2, 3))}, "the training part has 2 columns, the test part 3"),
        ({"X_train": np.zeros((0, 2)), "y_train": []}, "the training part has no rows"),
        ({"X_test": np.zeros((0, 2)), "y_test": []}, "the test part has no rows"),
        ({"y_train": ["a", "b"]}, "the training part has 4 rows but labels of shape (2,)"),
        (
            {"y_test": np.array([["a", "b"], ["b", "a"]])},
            "the test part has 2 rows but labels of shape (2, 2)",
        ),
        (
            {"X_test": np.array([[1.0, np.inf], [0, 0]])},
            "column 'x1' holds infinite values, or values beyond 3.4e+38",
        ),
        ({"X_train": np.array([[1, 1e39]] * 4, dtype=object)}, "column 'x1' holds infinite"),
        (
            {"X_train": np.array([["red", 1]] * 4, dtype=object)},
            "column 'x0' is not declared categorical but holds a value that is not a number: ",
        ),
        ({"feature_names": ("length",)}, "1 feature names for 2 columns"),
        ({"categorical": (2,)}, "categorical has the indices (2,); columns go from 0 to 1"),
        ({"categorical": (-1,)}, "categorical has the indices (-1,); columns go from 0 to 1"),
        ({"y_train": ["a"] * 4, "y_test": ["a"] * 2}, "has one class only, 'a'; a classifier"),
        ({"y_test": np.array(["a", "c"])}, "class 'c' is in the test part only; no model can"),
        (
            {"y_train": np.array([0.0, 1.0, NAN, NAN])},
            "2 of the 4 labels of the training part are missing (NaN)",
        ),
        (
            {"y_test": np.array(["a", None], dtype=object)},
            "1 of the 2 labels of the test part are missing (NaN)",
        ),
        ({"class_names": ("a", "b", "a")}, "class names occur twice: a, b, a"),
        ({"class_names": ("a", "c")}, "label 'b' is none of the classes a, c"),
        (
            {"y_train": np.array([0, 1, 2, 0]), "y_test": np.array([0, 1]), "class_names": "ab"},
            "labels from 0 to 2 do not index 2 class names",
        ),
        (
            {"y_train": np.array([0, 1, 0, 1]), "y_test": np.array([-1, 0]), "class_names": "ab"},
            "labels from -1 to 0 do not index 2 class names",
        ),
        (
            {"y_train": np.array([0.0, 1.0, 0.0, 1.0]), "class_names": ("a", "b")},
            "label '0.0' is none of the classes a, b",
        ),
        ({"y_train": np.array([0, 1, 0, 1])}, "the labels cannot be put in order: "),
    ],
)
def test_a_split_that_breaks_the_contract_is_refused(changes: dict[str, Any], fault: str) -> None:
    with pytest.raises(DatasetError) as caught:
        encode(split(**changes))
    assert fault in str(caught.value)


def test_a_value_that_is_not_a_split_is_refused() -> None:
    with pytest.raises(DatasetError, match=r"split gave a tuple, not a harness\.Split"):
        encode((np.zeros((2, 1)), [0, 1]))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("y_train", "y_test", "class_names", "names", "codes"),
    [
        (["b", "a", "b", "a"], ["a", "b"], (), ("a", "b"), [1, 0, 1, 0]),
        (["b", "a", "b", "a"], ["a", "b"], ("b", "a"), ("b", "a"), [0, 1, 0, 1]),
        ([1, 0, 2, 0], [1, 2], ("x", "y", "z"), ("x", "y", "z"), [1, 0, 2, 0]),
        ([10, 9, 10, 9], [9, 10], (), ("9", "10"), [1, 0, 1, 0]),
        ([True, False, True, False], [True, True], (), ("False", "True"), [1, 0, 1, 0]),
        ([True, False, True, False], [True, True], ("no", "yes"), ("no", "yes"), [1, 0, 1, 0]),
        ([2.0, 1.5, 2.0, 1.5], [2.0, 1.5], (), ("1.5", "2.0"), [1, 0, 1, 0]),
        (np.array([1, 0, 1, 0], np.uint8), [1, 0], ("a", "b"), ("a", "b"), [1, 0, 1, 0]),
        (
            np.array(["b", "a", "b", "a"], dtype=object),
            ["a", "b"],
            np.array(["a", "b"]),
            ("a", "b"),
            [1, 0, 1, 0],
        ),
    ],
)
def test_labels_become_codes_of_the_class_names(
    y_train: Any, y_test: Any, class_names: Any, names: tuple[str, ...], codes: list[int]
) -> None:
    encoded = encode(
        split(y_train=np.asarray(y_train), y_test=np.asarray(y_test), class_names=class_names)
    )
    assert encoded.class_names == names
    assert encoded.y_train.tolist() == codes


def test_a_class_that_the_test_part_lacks_is_kept() -> None:
    encoded = encode(split(y_train=np.array(["a", "b", "c", "a"]), y_test=np.array(["c", "c"])))
    assert encoded.class_names == ("a", "b", "c")
    assert encoded.y_test.tolist() == [2, 2]


def test_a_class_without_any_rows_is_kept() -> None:
    encoded = encode(split(class_names=("a", "b", "never")))
    assert encoded.class_names == ("a", "b", "never")
    assert encoded.trained.tolist() == [0, 1]


def test_columns_without_names_are_numbered() -> None:
    assert encode(split()).feature_names == ("x0", "x1")
    assert encode(split(feature_names=np.array(["u", "v"]))).feature_names == ("u", "v")


def test_integers_and_booleans_become_floats() -> None:
    encoded = encode(split(X_train=np.array([[True, False]] * 4), X_test=np.array([[1, 2]] * 2)))
    assert (encoded.X_train.dtype, encoded.X_test.dtype) == (np.float64, np.float64)


# Preparing


def test_training_labels_have_no_gaps_if_the_training_part_lacks_a_class() -> None:
    data = encode(
        split(y_train=np.array([0, 2, 2, 0]), y_test=np.array([2, 0]), class_names=("a", "b", "c"))
    )
    assert prepare(data, Needs()).y_train.tolist() == [0, 1, 1, 0]


@st.composite
def quantities(draw: st.DrawFn) -> tuple[Array, Array]:
    """Both parts of a table with missing values; every training column has at least one value."""
    n_train, n_test, n_columns = (draw(st.integers(2, 8)) for _ in range(3))
    values = st.floats(-1e6, 1e6, width=32) | st.sampled_from([NAN, 0.0, 1.0])
    X_train = draw(hnp.arrays(float, (n_train, n_columns), elements=values))
    X_test = draw(hnp.arrays(float, (n_test, n_columns), elements=values))
    X_train[0] = np.nan_to_num(X_train[0])
    return X_train, X_test


def table(X_train: Array, X_test: Array, categorical: tuple[int, ...] = ()) -> Encoded:
    return encode(
        Split(
            X_train,
            np.arange(len(X_train)) % 2,
            X_test,
            np.zeros(len(X_test), dtype=int),
            categorical=categorical,
        )
    )


@given(quantities())
def test_missing_quantities_become_the_median_as_in_scikit_learn(
    parts: tuple[Array, Array],
) -> None:
    prepared = prepare(table(*parts), Needs())
    oracle = SimpleImputer(strategy="median").fit(parts[0])
    np.testing.assert_allclose(prepared.X_train, oracle.transform(parts[0]))
    np.testing.assert_allclose(prepared.X_test, oracle.transform(parts[1]))


@given(quantities())
def test_columns_are_scaled_as_in_scikit_learn(parts: tuple[Array, Array]) -> None:
    prepared = prepare(table(*parts), Needs(scaled=True))
    imputer = SimpleImputer(strategy="median").fit(parts[0])
    filled = imputer.transform(parts[0])
    # If a deviation is barely above rounding, only one of the two implementations scales.
    usual = (filled.std(axis=0) == 0) | (filled.std(axis=0) > 1e-6 * np.abs(filled).max(axis=0))
    oracle = StandardScaler().fit(filled)
    for X, part in zip((prepared.X_train, prepared.X_test), parts, strict=True):
        expected = np.clip(oracle.transform(imputer.transform(part)), -LARGEST, LARGEST)
        np.testing.assert_allclose(X[:, usual], expected[:, usual], rtol=1e-6, atol=1e-6)


def test_scaling_without_imputation_keeps_missing_values() -> None:
    prepared = prepare(column([1.0, 3.0, NAN], [5.0, NAN]), Needs(scaled=True, finite=False))
    np.testing.assert_allclose(prepared.X_train[:, 0], [-1, 1, NAN])
    np.testing.assert_allclose(prepared.X_test[:, 0], [3, NAN])


@pytest.mark.parametrize("size", [1e-30, 1e-15, 1.0, 1e30])
def test_a_column_of_any_magnitude_is_scaled(size: float) -> None:
    prepared = prepare(column([1 * size, 3 * size], [5 * size]), Needs(scaled=True))
    np.testing.assert_allclose(prepared.X_train[:, 0], [-1, 1])
    np.testing.assert_allclose(prepared.X_test[:, 0], [3])


@pytest.mark.parametrize("spread", [1e-100, 1e-320])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_test_row_far_beyond_the_training_part_stays_finite(spread: float, dtype: Any) -> None:
    data = column([0.0, spread], [1e38, -1e38])
    scaled = prepare(data, Needs(dtype=dtype, scaled=True)).X_test[:, 0]
    assert scaled[0] == -scaled[1] >= 1e38
    assert np.isfinite(scaled).all()


@pytest.mark.parametrize("value", [0.0, 0.1, 1e30, -1e-30])
def test_a_constant_column_is_only_centred(value: float) -> None:
    prepared = prepare(column([value] * 7, [value, value + 2]), Needs(scaled=True))
    np.testing.assert_allclose(prepared.X_train[:, 0], 0, atol=1e-12 * max(1, abs(value)))
    np.testing.assert_allclose(
        prepared.X_test[:, 0], [0, value + 2 - value], atol=1e-12 * abs(value)
    )


@pytest.mark.parametrize("scaled", [False, True])
def test_a_column_missing_throughout_the_training_part_becomes_zeros(scaled: bool) -> None:
    needs = Needs(scaled=scaled)
    prepared = prepare(column([NAN, NAN], [NAN, 3.0]), needs)
    assert prepared.X_train.tolist() == [[0], [0]]
    assert prepared.X_test.tolist() == [[0], [3]]
    prepared = prepare(column([None, None], [None, "red"], categorical=True), needs)
    assert prepared.X_train.tolist() == [[0], [0]]
    assert prepared.X_test.tolist() == [[0], [0]]


CATEGORIES = st.sampled_from(["red", "green", "blue", "1"])


@given(
    st.lists(CATEGORIES | st.none(), min_size=1, max_size=8),
    st.lists(CATEGORIES | st.none() | st.just("unseen"), min_size=1, max_size=8),
)
def test_categories_are_encoded_as_in_scikit_learn(
    train: list[str | None], test: list[str | None]
) -> None:
    train = ["red", *train]
    oracle = SimpleImputer(strategy="most_frequent", missing_values=None)
    filled = oracle.fit_transform(np.array(train, dtype=object)[:, None])
    encoder = OneHotEncoder(handle_unknown="ignore", sparse_output=False).fit(filled)
    prepared = prepare(column(train, test, categorical=True), Needs())
    np.testing.assert_array_equal(prepared.X_train, encoder.transform(filled))
    filled = oracle.transform(np.array(test, dtype=object)[:, None])
    np.testing.assert_array_equal(prepared.X_test, encoder.transform(filled))
    assert prepared.categorical == ()


def test_an_unseen_category_is_a_row_of_zeros() -> None:
    prepared = prepare(column(["a", "b"], ["c", "b"], categorical=True), Needs())
    assert prepared.X_test.tolist() == [[0, 0], [0, 1]]


def test_a_missing_category_is_a_row_of_zeros_without_imputation() -> None:
    data = column(["a", "b", "b", NAN], [None, "a"], categorical=True)
    assert prepare(data, Needs(finite=False)).X_train.tolist() == [[1, 0], [0, 1], [0, 1], [0, 0]]
    assert prepare(data, Needs()).X_train.tolist() == [[1, 0], [0, 1], [0, 1], [0, 1]]


def test_a_model_that_takes_categories_gets_them_as_strings() -> None:
    X_train = np.array([[1.5, 3], [NAN, 4], [2.5, 4], [2.5, None]], dtype=object)
    X_test = np.array([[1.0, 9], [None, 3]], dtype=object)
    data = encode(split(X_train=X_train, X_test=X_test, categorical=(1,)))
    prepared = prepare(data, Needs(numeric=False))
    assert prepared.X_train.dtype == object
    assert prepared.X_train.tolist() == [[1.5, "3"], [2.5, "4"], [2.5, "4"], [2.5, "4"]]
    assert prepared.X_test.tolist() == [[1.0, "9"], [2.5, "3"]]
    assert prepared.categorical == (1,)
    raw = prepare(data, Needs(numeric=False, finite=False))
    assert raw.X_train[3, 1] is None
    assert np.isnan(raw.X_train[1, 0])


def test_columns_keep_their_order_around_one_hot_columns() -> None:
    X = np.array([[1.0, "a", 7.0], [2.0, "b", 8.0], [3.0, "a", 9.0]], dtype=object)
    prepared = prepare(table(X, X[:1], categorical=(1,)), Needs())
    assert prepared.X_train.tolist() == [[1, 1, 0, 7], [2, 0, 1, 8], [3, 1, 0, 9]]
    assert prepared.X_test.tolist() == [[1, 1, 0, 7]]


def test_strings_in_a_declared_column_are_categories() -> None:
    prepared = prepare(table(np.array([["a"], ["b"]]), np.array([["b"]]), (0,)), Needs())
    assert prepared.X_train.tolist() == [[1, 0], [0, 1]]


NEEDS = st.builds(
    Needs,
    dtype=st.sampled_from(["float32", "float64"]),
    scaled=st.booleans(),
    finite=st.booleans(),
    numeric=st.booleans(),
)


@st.composite
def mixed(draw: st.DrawFn) -> tuple[Array, Array]:
    """Both parts of a table of objects: a quantity, a category, a quantity."""
    quantity = st.floats(-1e6, 1e6) | st.sampled_from([None, NAN, 0, 1])
    row = st.tuples(quantity, CATEGORIES | st.none(), quantity)
    parts = (draw(st.lists(row, min_size=size, max_size=6)) for size in (2, 1))
    first, second = (np.array(part, dtype=object) for part in parts)
    return first, second


@given(mixed(), mixed(), NEEDS)
def test_preparing_the_training_part_does_not_depend_on_the_test_part(
    parts: tuple[Array, Array], others: tuple[Array, Array], needs: Needs
) -> None:
    prepared = prepare(table(*parts, (1,)), needs)
    other = prepare(table(parts[0], others[1], (1,)), needs)
    assert prepared.X_train.astype(str).tolist() == other.X_train.astype(str).tolist()
    alone = prepare(table(parts[0], parts[1][:1], (1,)), needs)
    assert prepared.X_test[:1].astype(str).tolist() == alone.X_test.astype(str).tolist()


@given(mixed(), NEEDS)
def test_prepared_data_meet_the_needs_of_the_model(
    parts: tuple[Array, Array], needs: Needs
) -> None:
    given = [part.astype(str).tolist() for part in parts]
    prepared = prepare(table(*parts, (1,)), needs)
    assert [part.astype(str).tolist() for part in parts] == given
    assert prepared.X_train.shape[1] == prepared.X_test.shape[1]
    assert (len(prepared.X_train), len(prepared.X_test)) == (len(parts[0]), len(parts[1]))
    for X in (prepared.X_train, prepared.X_test):
        assert not X.flags.writeable
        assert X.flags.c_contiguous
        assert X.dtype == (needs.dtype if needs.numeric else object)
        if needs.finite and needs.numeric:
            assert np.isfinite(X).all()
        elif needs.finite:
            assert not any(value is None or value != value for value in X.ravel().tolist())
    with pytest.raises(ValueError, match="read-only"):
        prepared.y_train[0] = 0


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_prepared_data_have_the_needed_dtype(dtype: Any) -> None:
    prepared = prepare(encode(split()), Needs(dtype=dtype))
    assert (prepared.X_train.dtype, prepared.X_test.dtype) == (dtype, dtype)


# Accepted types of tables


def frame(**columns: Any) -> pd.DataFrame:
    return pd.DataFrame(columns)


NUMBERS = np.array([[1.0, 2.0], [3.0, NAN], [5.0, 6.0], [7.0, 8.0]])
MASKED = np.ma.MaskedArray(np.where(np.isnan(NUMBERS), -999.0, NUMBERS), mask=np.isnan(NUMBERS))
OBJECTS = NUMBERS.astype(object)


class Lazy:
    """Another library's array, which NumPy can convert."""

    def __init__(self, array: Array) -> None:
        self.array = array

    def __array__(self, dtype: Any = None, copy: Any = None) -> Array:
        return self.array


class Foreign:
    """Another library's DataFrame, which can be converted to pandas."""

    def to_pandas(self) -> pd.DataFrame:
        return frame(x0=NUMBERS[:, 0], x1=NUMBERS[:, 1])


class ToNumpy:
    def to_numpy(self) -> Array:
        return NUMBERS


def filled(missing: Any) -> Array:
    objects = OBJECTS.copy()
    objects[1, 1] = missing
    return objects


ALIKE = {
    "an array": NUMBERS,
    "in Fortran's order": np.asfortranarray(NUMBERS),
    "backwards in memory": NUMBERS[:, ::-1].copy()[:, ::-1],
    "big-endian": NUMBERS.astype(">f8"),
    "float16": NUMBERS.astype(np.float16),
    "float32": NUMBERS.astype(np.float32),
    "big-endian float32": NUMBERS.astype(">f4"),
    "long double": NUMBERS.astype(np.longdouble),
    "a matrix": NUMBERS.view(np.matrix),
    "a masked array": MASKED,
    "a masked array of objects": np.ma.MaskedArray(MASKED.data.astype(object), mask=MASKED.mask),
    "lists": NUMBERS.tolist(),
    "tuples": tuple(map(tuple, NUMBERS.tolist())),
    "rows that are arrays": list(NUMBERS),
    "texts of numbers": NUMBERS.astype(str),
    "None": filled(None),
    "pandas' NA": filled(pd.NA),
    "NaT": filled(pd.NaT),
    "NumPy's NaT": filled(np.datetime64("NaT")),
    "a Decimal that is no number": filled(Decimal("NaN")),
    "a Decimal that signals": filled(Decimal("sNaN")),
    "Decimals": np.array([[Decimal(str(v)) for v in row] for row in NUMBERS], dtype=object),
    "a structured array": np.array(
        [tuple(row) for row in NUMBERS], dtype=[("a", float), ("b", "f4")]
    ),
    "a masked structured array": np.ma.array(
        [tuple(row) for row in MASKED.data],
        mask=[tuple(row) for row in MASKED.mask],
        dtype=[("a", float), ("b", float)],
    ),
    "an array by protocol": Lazy(NUMBERS),
    "a foreign DataFrame": Foreign(),
    "something with to_numpy": ToNumpy(),
    "a tensor": torch.tensor(NUMBERS),
    "an Arrow table": pyarrow.table({"x0": NUMBERS[:, 0], "x1": pyarrow.array([2.0, None, 6, 8])}),
    "a DataFrame": pd.DataFrame(NUMBERS),
    "a DataFrame of two types": pd.DataFrame(NUMBERS).astype({0: int}),
    "a DataFrame of objects": pd.DataFrame(OBJECTS),
    "nullable types": pd.DataFrame(NUMBERS).convert_dtypes(),
    "Arrow's types": pd.DataFrame(NUMBERS).convert_dtypes(dtype_backend="pyarrow"),
    "sparse columns": pd.DataFrame(NUMBERS).astype(pd.SparseDtype(float)),
    "an index with gaps": pd.DataFrame(NUMBERS, index=[9, 2, 7, 7]),
    "two columns of one name": pd.DataFrame(NUMBERS, columns=["x", "x"]),
}


@pytest.mark.parametrize("X", ALIKE.values(), ids=ALIKE)
def test_a_table_of_any_type_is_encoded_the_same(X: Any) -> None:
    encoded = encode(split(X_train=X, X_test=X, y_test=["a", "b", "a", "b"]))
    np.testing.assert_array_equal(encoded.X_train, NUMBERS)
    np.testing.assert_array_equal(encoded.X_test, NUMBERS)
    for part in (encoded.X_train, encoded.X_test):
        assert type(part) is np.ndarray
        assert part.dtype in (np.float32, np.float64)
        assert part.dtype.isnative
        assert part.flags.c_contiguous


LABELS: dict[str, Any] = {
    "an array": np.array(["b", "a", "b", "a"]),
    "objects": np.array(["b", "a", "b", "a"], dtype=object),
    "bytes": np.array([b"b", b"a", b"b", b"a"]),
    "NumPy's own strings": np.array(["b", "a", "b", "a"], dtype="T")
    if hasattr(np.dtypes, "StringDType")
    else np.array(["b", "a", "b", "a"]),
    "a list": ["b", "a", "b", "a"],
    "a tuple": ("b", "a", "b", "a"),
    "a column": np.array([["b"], ["a"], ["b"], ["a"]]),
    "a list of lists": [["b"], ["a"], ["b"], ["a"]],
    "a matrix": np.array([["b"], ["a"], ["b"], ["a"]]).view(np.matrix),
    "masked, but nothing": np.ma.MaskedArray(["b", "a", "b", "a"], mask=False),
    "a structured array": np.array([("b",), ("a",), ("b",), ("a",)], dtype=[("class", "U1")]),
    "a Series": pd.Series(["b", "a", "b", "a"]),
    "a Series in another order": pd.Series(["b", "a", "b", "a"], index=[3, 0, 2, 1]),
    "an Index": pd.Index(["b", "a", "b", "a"]),
    "a Categorical": pd.Categorical(["b", "a", "b", "a"]),
    "a Categorical with more": pd.Categorical(["b", "a", "b", "a"], categories=["c", "b", "a"]),
    "pandas' strings": pd.array(["b", "a", "b", "a"], dtype="string"),
    "Arrow's strings": pd.array(["b", "a", "b", "a"], dtype="string[pyarrow]"),
    "an Arrow array": pyarrow.array(["b", "a", "b", "a"]),
    "a DataFrame of one column": frame(y=["b", "a", "b", "a"]),
}


@pytest.mark.parametrize("y", LABELS.values(), ids=LABELS)
def test_labels_of_any_type_are_encoded_the_same(y: Any) -> None:
    encoded = encode(split(y_train=y))
    assert encoded.class_names == ("a", "b")
    assert encoded.y_train.tolist() == [1, 0, 1, 0]


INDICES: dict[str, Any] = {
    "integers": np.array([1, 0, 1, 0]),
    "whole floats": np.array([1.0, 0.0, 1.0, 0.0]),
    "objects": np.array([1, 0, 1, 0], dtype=object),
    "objects that are floats": np.array([1.0, 0, 1, 0.0], dtype=object),
    "objects of NumPy's": np.array([np.int8(1), np.float32(0), True, 0], dtype=object),
    "bools": np.array([True, False, True, False]),
    "a list": [1, 0, 1, 0],
    "nullable": pd.array([1, 0, 1, 0], dtype="Int64"),
    "nullable bools": pd.array([True, False, True, False], dtype="boolean"),
    "Arrow's": pd.array([1, 0, 1, 0], dtype="int64[pyarrow]"),
    "a Series": pd.Series([1, 0, 1, 0], index=[3, 2, 1, 0]),
    "a tensor": torch.tensor([1, 0, 1, 0]),
}


@pytest.mark.parametrize("y", INDICES.values(), ids=INDICES)
def test_whole_numbers_index_the_class_names(y: Any) -> None:
    encoded = encode(split(y_train=y, y_test=y[:2], class_names=("no", "yes")))
    assert encoded.y_train.tolist() == [1, 0, 1, 0]


MISSING_LABELS: dict[str, Any] = {
    "NaN": np.array([1.0, NAN, 0.0, 1.0]),
    "None": ["a", None, "b", "a"],
    "pandas' NA": pd.array(["a", pd.NA, "b", "a"], dtype="string"),
    "NA in objects": np.array(["a", pd.NA, "b", "a"], dtype=object),
    "NaT": np.array(["a", pd.NaT, "b", "a"], dtype=object),
    "nullable integers": pd.array([1, None, 0, 1], dtype="Int64"),
    "a Categorical": pd.Categorical(["a", None, "b", "a"]),
    "masked": np.ma.MaskedArray([1, 999, 0, 1], mask=[0, 1, 0, 0]),
    "masked texts": np.ma.MaskedArray(["a", "zzz", "b", "a"], mask=[0, 1, 0, 0]),
    "dates": np.array(["2026-01-01", "NaT", "2026-01-02", "2026-01-01"], dtype="M8[ns]"),
}


@pytest.mark.parametrize("y", MISSING_LABELS.values(), ids=MISSING_LABELS)
def test_the_error_names_a_missing_label(y: Any) -> None:
    with pytest.raises(DatasetError, match="1 of the 4 labels of the training part are missing"):
        encode(split(y_train=y, y_test=y[[0, 2]] if not isinstance(y, list) else ["a", "b"]))


def test_labels_that_are_dates_have_dates_as_class_names_not_nanoseconds() -> None:
    y = np.array(["2026-01-02", "2026-01-01", "2026-01-02", "2026-01-01"], dtype="M8[D]")
    assert encode(split(y_train=y, y_test=y[:2])).class_names == ("2026-01-01", "2026-01-02")


COLOURS = ["red", None, "blue", "red"]
CATEGORIES_ALIKE: dict[str, Any] = {
    "objects": pd.Series(COLOURS, dtype=object),
    "NaN": pd.Series(["red", NAN, "blue", "red"], dtype=object),
    "NA": pd.Series(["red", pd.NA, "blue", "red"], dtype=object),
    "pandas' default": pd.Series(COLOURS),
    "strings": pd.Series(COLOURS, dtype="string"),
    "Arrow's strings": pd.Series(COLOURS, dtype="string[pyarrow]"),
    "a dictionary of Arrow's": pd.Series(
        pd.array(
            COLOURS,
            dtype=pd.ArrowDtype(pyarrow.dictionary(pyarrow.int8(), pyarrow.string())),
        )
    ),
    "categories": pd.Series(COLOURS, dtype="category"),
    "ordered categories": pd.Series(
        pd.Categorical(COLOURS, categories=["red", "green", "blue"], ordered=True)
    ),
}


@pytest.mark.parametrize("colour", CATEGORIES_ALIKE.values(), ids=CATEGORIES_ALIKE)
def test_string_and_category_columns_of_a_dataframe_are_categories_without_declaration(
    colour: Any,
) -> None:
    X = frame(size=[1.0, 2.0, 3.0, 4.0], colour=colour)
    encoded = encode(split(X_train=X, X_test=X.iloc[::-1][:2]))
    assert (encoded.categorical, encoded.categories) == ((1,), (("blue", "red"),))
    assert encoded.feature_names == ("size", "colour")
    np.testing.assert_array_equal(encoded.X_train[:, 1], [1, NAN, 0, 1])
    np.testing.assert_array_equal(encoded.X_test[:, 1], [1, 0])


TOWNS: dict[str, Any] = {
    "integers": np.array([3, 10, 3, 10]),
    "floats": np.array([3.0, 10.0, 3.0, 10.0]),
    "objects": np.array([3, 10.0, 3, 10], dtype=object),
    "texts": np.array(["3", "10", "3", "10"]),
    "bytes": np.array([b"3", b"10", b"3", b"10"]),
    "nullable": pd.array([3, 10, 3, 10], dtype="Int64"),
    "categories": pd.Categorical([3, 10, 3, 10]),
}


@pytest.mark.parametrize("train", TOWNS.values(), ids=TOWNS)
@pytest.mark.parametrize("test", TOWNS.values(), ids=TOWNS)
def test_a_category_of_different_dtypes_in_both_parts_is_the_same(train: Any, test: Any) -> None:
    """Missing values in only one part turn the integers of that part into floats."""
    encoded = encode(
        split(X_train=frame(town=train), X_test=frame(town=test)[:2], categorical=("town",))
    )
    assert encoded.categories == (("10", "3"),)
    assert encoded.X_train[:, 0].tolist() == [1, 0, 1, 0]
    assert encoded.X_test[:, 0].tolist() == [1, 0]


def test_large_integers_stay_distinct_categories() -> None:
    users = pd.array([2**53, 2**53 + 1, None, 2**53], dtype="Int64")
    encoded = encode(
        split(X_train=frame(user=users), X_test=frame(user=users[:2]), categorical=[0])
    )
    assert encoded.categories == ((str(2**53), str(2**53 + 1)),)


DECLARED: dict[str, Any] = {
    "indices": (0, 2),
    "a list": [2, 0],
    "an array": np.array([0, 2]),
    "a Series": pd.Series([0, 2]),
    "twice": (2, 0, 2),
    "a mask": (True, False, True),
    "a mask as an array": np.array([True, False, True]),
    "names": ("town", "shift"),
    "an Index": pd.Index(["town", "shift"]),
    "names and indices": ["town", 2],
}


@pytest.mark.parametrize("categorical", DECLARED.values(), ids=DECLARED)
def test_columns_of_categories_are_declared_by_index_mask_or_name(categorical: Any) -> None:
    X = np.array([[1, 0.5, 3], [2, 1.5, 4], [1, 2.5, 3], [2, 3.5, 4]])
    encoded = encode(
        split(
            X_train=X,
            X_test=X[:2],
            feature_names=("town", "size", "shift"),
            categorical=categorical,
        )
    )
    assert encoded.categorical == (0, 2)
    assert encoded.categories == (("1", "2"), ("3", "4"))


@pytest.mark.parametrize(
    ("categorical", "fault"),
    [
        (None, "categorical is None; give indices of columns, their names, or a bool for each"),
        ((0.0, 1.0), "categorical is (0.0, 1.0); give indices"),
        ((None,), "categorical is (None,); give indices"),
        (7, "categorical has the indices (7,); columns go from 0 to 1"),
        ((True,), "categorical is a mask of 1 for 2 columns"),
        ((True, 1), "categorical is (True, 1); give indices"),
        (("town",), "categorical contains 'town', which is no column; the columns are x0, x1"),
        ("town", "categorical contains 'town', which is no column; the columns are x0, x1"),
    ],
)
def test_an_invalid_declaration_of_categorical_columns_is_refused(
    categorical: Any, fault: str
) -> None:
    with pytest.raises(DatasetError) as caught:
        encode(split(categorical=categorical))
    assert fault in str(caught.value)


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ((0, 1), ("0", "1")),
        (tuple(np.arange(2)), ("0", "1")),
        ((("top", "left"), ("top", "right")), ("('top', 'left')", "('top', 'right')")),
        ((None, NAN), ("x0", "x1")),
        ((pd.NA, " "), ("x0", "x1")),
        (("same", "same"), ("same", "same (2)")),
        (("one\ntwo", "nul\0"), ("one\\ntwo", "nul\\x00")),
        (("c\udcff", "\x1b[31m"), ("c\\udcff", "\\x1b[31m")),
        (("\u202eabc", "été 日本 🦊"), ("\\u202eabc", "été 日本 🦊")),
    ],
)
def test_column_names_become_printable_and_distinct_strings(
    given: Any, names: tuple[str, str]
) -> None:
    assert encode(split(feature_names=given)).feature_names == names
    X = frame(a=[1.0, 2, 3, 4], b=[1.0, 2, 3, 4])
    X.columns = pd.Index(given, dtype=object, tupleize_cols=False)
    assert encode(split(X_train=X, X_test=X[:2])).feature_names == names
    for name in names:
        name.encode()


def test_names_made_distinct_do_not_equal_a_third_name() -> None:
    X = np.arange(12.0).reshape(4, 3)
    encoded = encode(split(X_train=X, X_test=X[:2], feature_names=("a", "a", "a (2)")))
    assert len(set(encoded.feature_names)) == 3


def test_class_and_category_names_become_printable() -> None:
    y = np.array(["a\udc80", "b\n", "a\udc80", "b\n"], dtype=object)
    X = np.array([["\x1b[1m"], ["x"], ["x"], ["x"]], dtype=object)
    encoded = encode(split(X_train=X, X_test=X[:2], y_train=y, y_test=y[:2], categorical=[0]))
    assert encoded.class_names == ("a\\udc80", "b\\n")
    assert encoded.categories == (("\\x1b[1m", "x"),)
    given = encode(split(y_train=y, y_test=y[:2], class_names=("b\n", "a\udc80")))
    assert given.class_names == ("b\\n", "a\\udc80")
    assert given.y_train.tolist() == [1, 0, 1, 0]


class Broken:
    def __array__(self, dtype: Any = None, copy: Any = None) -> Array:
        raise RuntimeError("out\nof order")


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"X_train": sparse.csr_matrix(NUMBERS)}, "X_train is sparse (a csr_matrix); .toarray()"),
        ({"X_train": sparse.coo_array(NUMBERS)}, "X_train is sparse (a coo_array); .toarray()"),
        ({"y_train": sparse.csr_matrix(NUMBERS)}, "y_train is sparse (a csr_matrix); .toarray()"),
        (
            {"X_train": Broken()},
            "X_train, a Broken, cannot be read as an array: RuntimeError: out of",
        ),
        (
            {"y_train": Broken()},
            "y_train, a Broken, cannot be read as an array: RuntimeError: out of",
        ),
        ({"X_train": torch.ones(4, 2, requires_grad=True)}, "X_train, a Tensor, cannot be read"),
        (
            {"X_train": pd.Series([1.0, 2, 3, 4])},
            "X_train has shape (4,), but a table has two dimensions",
        ),
        ({"X_train": np.zeros((4, 2, 1))}, "X.reshape(len(X), -1) makes one row of each sample"),
        ({"X_train": None}, "X_train is a NoneType, not a table"),
        ({"X_train": "table"}, "X_train is a str, not a table"),
        (
            {"X_train": frame(when=pd.date_range("2026-01-01", periods=4), size=[1, 2, 3, 4])},
            "column 'when' holds dates or times (datetime64[",
        ),
        (
            {"X_train": frame(a=1.0, when=pd.date_range("2026-01-01", periods=4, tz="UTC"))},
            "column 'when' holds dates or times (Timestamp)",
        ),
        (
            {"X_train": np.array([[np.datetime64("2026-01-01", "ns"), 1]] * 4, dtype=object)},
            "column 'x0' holds dates or times (datetime64)",
        ),
        (
            {"X_train": frame(span=pd.to_timedelta([1, 2, 3, 4], "h"), size=[1, 2, 3, 4])},
            "column 'span' holds dates or times (timedelta64[",
        ),
        (
            {"X_train": frame(a=1.0, p=pd.period_range("2026", periods=4, freq="D"))},
            "column 'p' is not declared categorical but holds a value that is not a number",
        ),
        ({"X_train": np.array([[10**400, 1]] * 4, dtype=object)}, "column 'x0' is not declared"),
        ({"X_train": np.array([[1j, 1]] * 4, dtype=object)}, "column 'x0' is not declared"),
        ({"X_train": np.array([[[1], 1]] * 4, dtype=object)[:, :]}, "column 'x0' is not declared"),
        ({"X_train": np.full((4, 2), np.longdouble("1e400"))}, "column 'x0' holds infinite values"),
        (
            {"X_train": frame(a=[1.0] * 4, b=1.0), "X_test": frame(b=[1.0] * 2, a=1.0)},
            "column 0 is 'a' in the training part, 'b' in the test part; order them alike",
        ),
        (
            {"y_train": pd.get_dummies(["a", "b", "a", "b"])},
            "y_train has 2 columns; labels are one column",
        ),
        ({"y_train": "a"}, "the training part has 4 rows but labels of shape ()"),
        ({"y_train": np.array(["a", ["b"], "a", "b"], dtype=object)}, "labels cannot be put in"),
        ({"feature_names": 7}, "the split cannot be read: TypeError: 'int' object is not iterable"),
        (
            {"y_train": np.array([1, 2, 1, 2]), "y_test": [1, 2], "class_names": ("a", "b")},
            "indices go from 0 to 1; without class_names, labels are their own names",
        ),
        (
            {"y_train": [0.5, 1.5, 0.5, 1.5], "y_test": [0.5, 1.5], "class_names": ("a", "b")},
            "label '0.5' is none of the classes a, b",
        ),
    ],
)
def test_unreadable_data_are_a_one_line_error_with_a_remedy(
    changes: dict[str, Any], fault: str
) -> None:
    with pytest.raises(DatasetError) as caught:
        encode(split(**changes))
    assert fault in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_error_lists_only_the_first_of_many_names() -> None:
    y = np.arange(1000)
    X = np.zeros((1000, 1))
    with pytest.raises(DatasetError) as caught:
        encode(Split(X, y, X, y + 1000))
    assert len(str(caught.value)) < 250
    assert "and 990 more is in the test part only" in str(caught.value)


@given(st.permutations(range(6)), st.data())
def test_a_pandas_index_does_not_affect_the_encoding(index: list[int], data: st.DataObject) -> None:
    y = np.array(data.draw(st.lists(st.sampled_from("ab"), min_size=6, max_size=6)))
    y[:2] = "a", "b"
    X = np.arange(12.0).reshape(6, 2)
    plain = encode(Split(X, y, X, y))
    encoded = encode(
        Split(pd.DataFrame(X, index=index), pd.Series(y, index=index), X, pd.Series(y, index=index))
    )
    assert encoded.class_names == plain.class_names
    np.testing.assert_array_equal(encoded.y_train, plain.y_train)
    np.testing.assert_array_equal(encoded.y_test, plain.y_test)
    np.testing.assert_array_equal(encoded.X_train, plain.X_train)


# Facts that are recorded about a table


ROWS = st.lists(
    st.tuples(*[st.sampled_from([0.0, -0.0, 1.0, 2.5, NAN])] * 2), min_size=2, max_size=9
)


@given(ROWS, ROWS)
def test_rows_of_the_test_part_that_are_training_rows_are_counted(train: Any, test: Any) -> None:
    def key(row: tuple[float, ...]) -> tuple[float | str, ...]:
        return tuple("missing" if v != v else v + 0.0 for v in row)

    known = {key(row) for row in train}
    encoded = table(np.array(train), np.array(test))
    assert encoded.n_repeated == sum(key(row) in known for row in test)


def test_repeated_rows_with_categories_are_counted_also_for_fewer_training_rows() -> None:
    X = np.array([["a", 1], ["b", 2], [None, 3], ["c", 4]], dtype=object)
    encoded = table(X, X[[0, 2]], (0,))
    assert encoded.n_repeated == 2
    assert encoded.learning_from(np.array([0, 1])).n_repeated == 1


def test_columns_that_identify_their_rows_are_named() -> None:
    X = np.empty((40, 3), dtype=object)
    X[:, 0] = [f"user {i}" for i in range(40)]
    X[:, 1] = [f"town {i % 10}" for i in range(40)]
    X[:, 2] = np.arange(40.0)
    data = encode(
        Split(X, np.arange(40) % 2, X, np.arange(40) % 2, ("a", "b"), ("user", "town", "z"), (0, 1))
    )
    assert data.identifiers == ("user",)
    assert data.learning_from(np.arange(10)).identifiers == ()


def test_large_tables_are_prepared_in_blocks_with_the_same_result(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(3, 2, size=(50, 4))
    X[3, 1] = X[44, 2] = np.nan
    for needs in (Needs(scaled=True), Needs(), Needs(scaled=True, finite=False)):
        at_once = prepare(table(X[:40], X[40:]), needs)
        with monkeypatch.context() as patched:
            patched.setattr("harness.trials.preparation.BLOCK", 28)
            by_block = prepare(table(X[:40], X[40:]), needs)
        np.testing.assert_allclose(by_block.X_train, at_once.X_train, rtol=1e-12)
        np.testing.assert_allclose(by_block.X_test, at_once.X_test, rtol=1e-12)


def test_numbers_that_need_no_preparation_are_not_copied() -> None:
    data = encode(split())
    prepared = prepare(data, Needs())
    assert np.shares_memory(prepared.X_train, data.X_train)
    assert not prepared.X_train.flags.writeable
    assert data.X_train.flags.writeable


def test_one_hot_columns_are_scaled_as_in_scikit_learn() -> None:
    X = np.array([["a"], ["b"], ["b"], ["c"], ["b"], [None]], dtype=object)
    prepared = prepare(table(X, np.array([["a"], ["d"]], dtype=object), (0,)), Needs(scaled=True))
    dense = np.array([[1, 0, 0], [0, 1, 0], [0, 1, 0], [0, 0, 1], [0, 1, 0], [0, 1, 0]], float)
    oracle = StandardScaler().fit(dense)
    np.testing.assert_allclose(prepared.X_train, oracle.transform(dense))
    np.testing.assert_allclose(prepared.X_test, oracle.transform([[1.0, 0, 0], [0, 0, 0]]))


def test_a_table_too_large_for_memory_is_the_datasets_failure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    X = np.array([["a", 1.0], ["b", 2.0]], dtype=object)
    data = table(X, X, (0,))

    zeros = np.zeros

    def full(shape: Any, *rest: Any, **more: Any) -> Array:
        if isinstance(shape, tuple):
            raise MemoryError
        return zeros(shape, *rest, **more)

    monkeypatch.setattr("harness.trials.preparation.np.zeros", full)
    with pytest.raises(DatasetError) as caught:
        prepare(data, Needs(finite=False))
    assert "one-hot encoded, it is a table of 2 x 3 numbers, which does not fit into memory" in str(
        caught.value
    )


# Other needs


def test_positive_columns_reach_from_0_to_1_and_rows_beyond_are_clipped() -> None:
    data = column([2.0, 6.0, NAN, 4.0], [1.0, 3.0, 9.0, NAN])
    prepared = prepare(data, Needs(positive=True))
    np.testing.assert_array_equal(prepared.X_train[:, 0], [0.0, 1.0, 0.5, 0.5])
    np.testing.assert_array_equal(prepared.X_test[:, 0], [0.0, 0.25, 1.0, 0.5])
    constant = prepare(column([3.0, 3.0], [3.0, 5.0]), Needs(positive=True))
    np.testing.assert_array_equal(constant.X_test[:, 0], [0.0, 1.0])
    unfilled = prepare(data, Needs(positive=True, finite=False))
    assert np.isnan(unfilled.X_train[2, 0])


def test_positive_input_has_unscaled_indicators() -> None:
    data = column(["a", "b", "a", "b"], ["b"], categorical=True)
    np.testing.assert_array_equal(prepare(data, Needs(positive=True)).X_test, [[0.0, 1.0]])


@pytest.mark.parametrize(
    ("needs", "own"),
    [
        (Needs(), "raw"),
        (Needs(scaled=True), "scaled"),
        (Needs(frame=True, finite=False), "frame"),
        (Needs(positive=True), None),
        (Needs(numeric=False), None),
    ],
)
def test_a_users_preparation_overrules_the_models_own(needs: Needs, own: str | None) -> None:
    assert needs.preparation == own
    for preparation in ("raw", "scaled", "frame"):
        other = needs.prepared(preparation)
        assert other.preparation == preparation
        assert (other.dtype, other.finite) == (needs.dtype, needs.finite)
