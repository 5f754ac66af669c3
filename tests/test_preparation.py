"""A split is checked, its labels become codes, and its columns what a model needs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from harness.errors import DatasetError
from harness.preparation import LARGEST, Encoded, encode, prepare
from harness.values import Needs, Split

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
    """One column, object if it holds categories."""
    kind = object if categorical else np.float64
    X_train, X_test = (np.array([[v] for v in part], dtype=kind) for part in (train, test))
    y_train, y_test = np.arange(len(X_train)) % 2, np.zeros(len(X_test), dtype=int)
    return encode(Split(X_train, y_train, X_test, y_test, categorical=(0,) if categorical else ()))


# Encoding


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"X_test": np.arange(2.0)}, "X_test has shape (2,), not the two dimensions of a table"),
        (
            {"X_train": np.array([[1, 2], [3]] * 2, dtype=object)},
            "X_train has shape (4,), not the two dimensions of a table",
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
            "column 'x1' holds infinite values, or some beyond 3.4e+38",
        ),
        ({"X_train": np.array([[1, 1e39]] * 4, dtype=object)}, "column 'x1' holds infinite"),
        (
            {"X_train": np.array([["red", 1]] * 4, dtype=object)},
            "column 'x0' is not declared categorical but is not numbers: ",
        ),
        ({"feature_names": ("length",)}, "1 feature names for 2 columns"),
        ({"categorical": (2,)}, "categorical columns (2,) of 2 columns"),
        ({"categorical": (-1,)}, "categorical columns (-1,) of 2 columns"),
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


def test_what_is_no_split_is_refused() -> None:
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
    found = encode(
        split(y_train=np.asarray(y_train), y_test=np.asarray(y_test), class_names=class_names)
    )
    assert found.class_names == names
    assert found.y_train.tolist() == codes


def test_a_test_part_may_lack_a_class_and_all_classes_are_kept() -> None:
    found = encode(split(y_train=np.array(["a", "b", "c", "a"]), y_test=np.array(["c", "c"])))
    assert found.class_names == ("a", "b", "c")
    assert found.y_test.tolist() == [2, 2]


def test_a_class_may_be_in_neither_part() -> None:
    found = encode(split(class_names=("a", "b", "never")))
    assert found.class_names == ("a", "b", "never")
    assert found.trained.tolist() == [0, 1]


def test_columns_without_names_are_numbered() -> None:
    assert encode(split()).feature_names == ("x0", "x1")
    assert encode(split(feature_names=np.array(["u", "v"]))).feature_names == ("u", "v")


def test_integers_and_booleans_become_floats() -> None:
    found = encode(split(X_train=np.array([[True, False]] * 4), X_test=np.array([[1, 2]] * 2)))
    assert (found.X_train.dtype, found.X_test.dtype) == (np.float64, np.float64)


# Preparing


def test_labels_are_without_gaps_where_the_training_part_lacks_a_middle_class() -> None:
    data = encode(
        split(y_train=np.array([0, 2, 2, 0]), y_test=np.array([2, 0]), class_names=("a", "b", "c"))
    )
    assert prepare(data, Needs()).y_train.tolist() == [0, 1, 1, 0]


@st.composite
def quantities(draw: st.DrawFn) -> tuple[Array, Array]:
    """Both parts of a table with missing values, no training column without any value."""
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
def test_missing_quantities_become_the_median_as_scikit_learn_has_it(
    parts: tuple[Array, Array],
) -> None:
    found = prepare(table(*parts), Needs())
    oracle = SimpleImputer(strategy="median").fit(parts[0])
    np.testing.assert_allclose(found.X_train, oracle.transform(parts[0]))
    np.testing.assert_allclose(found.X_test, oracle.transform(parts[1]))


@given(quantities())
def test_columns_are_scaled_as_scikit_learn_has_it(parts: tuple[Array, Array]) -> None:
    found = prepare(table(*parts), Needs(scaled=True))
    imputer = SimpleImputer(strategy="median").fit(parts[0])
    filled = imputer.transform(parts[0])
    # A deviation at the edge of rounding is scaled by one of us and not by the other.
    usual = (filled.std(axis=0) == 0) | (filled.std(axis=0) > 1e-6 * np.abs(filled).max(axis=0))
    oracle = StandardScaler().fit(filled)
    for X, part in zip((found.X_train, found.X_test), parts, strict=True):
        expected = np.clip(oracle.transform(imputer.transform(part)), -LARGEST, LARGEST)
        np.testing.assert_allclose(X[:, usual], expected[:, usual], rtol=1e-6, atol=1e-6)


def test_scaling_without_filling_in_keeps_what_is_missing() -> None:
    found = prepare(column([1.0, 3.0, NAN], [5.0, NAN]), Needs(scaled=True, finite=False))
    np.testing.assert_allclose(found.X_train[:, 0], [-1, 1, NAN])
    np.testing.assert_allclose(found.X_test[:, 0], [3, NAN])


@pytest.mark.parametrize("size", [1e-30, 1e-15, 1.0, 1e30])
def test_a_column_on_any_scale_is_scaled(size: float) -> None:
    found = prepare(column([1 * size, 3 * size], [5 * size]), Needs(scaled=True))
    np.testing.assert_allclose(found.X_train[:, 0], [-1, 1])
    np.testing.assert_allclose(found.X_test[:, 0], [3])


@pytest.mark.parametrize("spread", [1e-100, 1e-320])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_test_row_far_beyond_the_training_part_stays_finite(spread: float, dtype: Any) -> None:
    data = column([0.0, spread], [1e38, -1e38])
    found = prepare(data, Needs(dtype=dtype, scaled=True)).X_test[:, 0]
    assert found[0] == -found[1] >= 1e38
    assert np.isfinite(found).all()


@pytest.mark.parametrize("value", [0.0, 0.1, 1e30, -1e-30])
def test_a_column_that_does_not_vary_is_only_centred(value: float) -> None:
    found = prepare(column([value] * 7, [value, value + 2]), Needs(scaled=True))
    np.testing.assert_allclose(found.X_train[:, 0], 0, atol=1e-12 * max(1, abs(value)))
    np.testing.assert_allclose(found.X_test[:, 0], [0, value + 2 - value], atol=1e-12 * abs(value))


@pytest.mark.parametrize("scaled", [False, True])
def test_a_column_missing_throughout_the_training_part_becomes_zeros(scaled: bool) -> None:
    needs = Needs(scaled=scaled)
    found = prepare(column([NAN, NAN], [NAN, 3.0]), needs)
    assert found.X_train.tolist() == [[0], [0]]
    assert found.X_test.tolist() == [[0], [3]]
    found = prepare(column([None, None], [None, "red"], categorical=True), needs)
    assert found.X_train.tolist() == [[0], [0]]
    assert found.X_test.tolist() == [[0], [0]]


CATEGORIES = st.sampled_from(["red", "green", "blue", "1"])


@given(
    st.lists(CATEGORIES | st.none(), min_size=1, max_size=8),
    st.lists(CATEGORIES | st.none() | st.just("unseen"), min_size=1, max_size=8),
)
def test_categories_are_encoded_as_scikit_learn_has_it(
    train: list[str | None], test: list[str | None]
) -> None:
    train = ["red", *train]
    oracle = SimpleImputer(strategy="most_frequent", missing_values=None)
    filled = oracle.fit_transform(np.array(train, dtype=object)[:, None])
    encoder = OneHotEncoder(handle_unknown="ignore", sparse_output=False).fit(filled)
    found = prepare(column(train, test, categorical=True), Needs())
    np.testing.assert_array_equal(found.X_train, encoder.transform(filled))
    filled = oracle.transform(np.array(test, dtype=object)[:, None])
    np.testing.assert_array_equal(found.X_test, encoder.transform(filled))
    assert found.categorical == ()


def test_an_unseen_category_is_a_row_of_zeros() -> None:
    found = prepare(column(["a", "b"], ["c", "b"], categorical=True), Needs())
    assert found.X_test.tolist() == [[0, 0], [0, 1]]


def test_a_missing_category_is_a_row_of_zeros_where_nothing_need_be_filled_in() -> None:
    data = column(["a", "b", "b", NAN], [None, "a"], categorical=True)
    assert prepare(data, Needs(finite=False)).X_train.tolist() == [[1, 0], [0, 1], [0, 1], [0, 0]]
    assert prepare(data, Needs()).X_train.tolist() == [[1, 0], [0, 1], [0, 1], [0, 1]]


def test_a_model_that_takes_categories_gets_them_as_strings() -> None:
    X_train = np.array([[1.5, 3], [NAN, 4], [2.5, 4], [2.5, None]], dtype=object)
    X_test = np.array([[1.0, 9], [None, 3]], dtype=object)
    data = encode(split(X_train=X_train, X_test=X_test, categorical=(1,)))
    found = prepare(data, Needs(numeric=False))
    assert found.X_train.dtype == object
    assert found.X_train.tolist() == [[1.5, "3"], [2.5, "4"], [2.5, "4"], [2.5, "4"]]
    assert found.X_test.tolist() == [[1.0, "9"], [2.5, "3"]]
    assert found.categorical == (1,)
    raw = prepare(data, Needs(numeric=False, finite=False))
    assert raw.X_train[3, 1] is None
    assert np.isnan(raw.X_train[1, 0])


def test_columns_keep_their_order_around_a_one_hot_encoded_one() -> None:
    X = np.array([[1.0, "a", 7.0], [2.0, "b", 8.0], [3.0, "a", 9.0]], dtype=object)
    found = prepare(table(X, X[:1], categorical=(1,)), Needs())
    assert found.X_train.tolist() == [[1, 1, 0, 7], [2, 0, 1, 8], [3, 1, 0, 9]]
    assert found.X_test.tolist() == [[1, 1, 0, 7]]


def test_strings_are_categories_where_declared() -> None:
    found = prepare(table(np.array([["a"], ["b"]]), np.array([["b"]]), (0,)), Needs())
    assert found.X_train.tolist() == [[1, 0], [0, 1]]


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
def test_the_test_part_changes_nothing_of_the_training_part(
    parts: tuple[Array, Array], others: tuple[Array, Array], needs: Needs
) -> None:
    found = prepare(table(*parts, (1,)), needs)
    other = prepare(table(parts[0], others[1], (1,)), needs)
    assert found.X_train.astype(str).tolist() == other.X_train.astype(str).tolist()
    alone = prepare(table(parts[0], parts[1][:1], (1,)), needs)
    assert found.X_test[:1].astype(str).tolist() == alone.X_test.astype(str).tolist()


@given(mixed(), NEEDS)
def test_what_a_model_gets_is_what_it_needs(parts: tuple[Array, Array], needs: Needs) -> None:
    given = [part.astype(str).tolist() for part in parts]
    found = prepare(table(*parts, (1,)), needs)
    assert [part.astype(str).tolist() for part in parts] == given
    assert found.X_train.shape[1] == found.X_test.shape[1]
    assert (len(found.X_train), len(found.X_test)) == (len(parts[0]), len(parts[1]))
    for X in (found.X_train, found.X_test):
        assert not X.flags.writeable
        assert X.flags.c_contiguous
        assert X.dtype == (needs.dtype if needs.numeric else object)
        if needs.finite and needs.numeric:
            assert np.isfinite(X).all()
        elif needs.finite:
            assert not any(value is None or value != value for value in X.ravel().tolist())
    with pytest.raises(ValueError, match="read-only"):
        found.y_train[0] = 0


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_dtype_is_the_one_asked_for(dtype: Any) -> None:
    found = prepare(encode(split()), Needs(dtype=dtype))
    assert (found.X_train.dtype, found.X_test.dtype) == (dtype, dtype)
