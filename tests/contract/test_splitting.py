"""A table is split in proportion to its classes, and no row is lost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from harness.contract.splitting import resample
from harness.errors import DatasetError
from harness.trials.preparation import encode

if TYPE_CHECKING:
    from collections.abc import Callable


def table(*counts: int) -> tuple[np.ndarray, np.ndarray]:  # type: ignore[type-arg]
    """Numbered rows: the first count of class a, the second of class b, and so on."""
    y = np.repeat([chr(ord("a") + k) for k in range(len(counts))], counts)
    return np.arange(float(len(y)))[:, None], y


@given(
    st.lists(st.integers(1, 30), min_size=2, max_size=5),
    st.floats(0, 1),
    st.integers(0, 2**32 - 1),
)
def test_every_row_is_in_one_part_with_its_label(
    counts: list[int], test_size: float, seed: int
) -> None:
    X, y = table(*counts)
    split = resample(X, y, np.random.default_rng(seed), test_size=test_size)
    rows = np.concatenate([split.X_train, split.X_test])[:, 0].astype(int)
    labels = np.concatenate([split.y_train, split.y_test])
    assert sorted(rows) == list(range(len(y)))
    assert (labels == y[rows]).all()


@given(st.lists(st.integers(1, 30), min_size=2, max_size=5), st.floats(0, 1))
def test_each_class_gives_its_share_of_test_rows_but_at_least_one_and_not_all(
    counts: list[int], test_size: float
) -> None:
    X, y = table(*counts)
    split = resample(X, y, np.random.default_rng(0), test_size=test_size)
    for k, count in enumerate(counts):
        n_test = (split.y_test == chr(ord("a") + k)).sum()
        assert 1 <= n_test < count or (n_test == 0 and count == 1)
        assert abs(n_test - test_size * count) <= 1


def test_the_same_generator_gives_the_same_split() -> None:
    X, y = table(10, 10)
    first, second, other = (
        resample(X, y, np.random.default_rng(seed)).X_test.ravel().tolist() for seed in (0, 0, 1)
    )
    assert first == second != other


def test_the_rows_come_in_random_order() -> None:
    """Some models use the order of the rows, so the order must not reveal the labels."""
    X, y = table(50, 50)
    split = resample(X, y, np.random.default_rng(0))
    for labels in (split.y_train, split.y_test):
        assert len(set(labels[: len(labels) // 4])) == 2


def test_column_names_and_kinds_are_kept() -> None:
    X, y = table(4, 4)
    split = resample(
        X,
        y,
        np.random.default_rng(0),
        class_names=("a", "b"),
        feature_names=("number",),
        categorical=(0,),
    )
    assert (split.class_names, split.feature_names, split.categorical) == (
        ("a", "b"),
        ("number",),
        (0,),
    )


@pytest.mark.parametrize(("test_size", "n_test"), [(0.25, 10), (0.5, 20), (0.1, 4)])
def test_the_test_part_has_the_size_asked_for(test_size: float, n_test: int) -> None:
    split = resample(*table(20, 20), np.random.default_rng(0), test_size=test_size)
    assert len(split.y_test) == n_test


WAYS: dict[str, Callable[[Any, Any], tuple[Any, Any]]] = {
    "arrays": lambda X, y: (X, y),
    "a Series": lambda X, y: (X, pd.Series(y)),
    "a Series in another order": lambda X, y: (X, pd.Series(y, index=range(len(y))[::-1])),
    "a Series with gaps": lambda X, y: (X, pd.Series(y, index=range(0, 3 * len(y), 3))),
    "a DataFrame": lambda X, y: (pd.DataFrame(X), y),
    "a DataFrame in another order": lambda X, y: (pd.DataFrame(X, index=range(len(y))[::-1]), y),
    "two indexes that contradict each other": lambda X, y: (
        pd.DataFrame(X, index=range(len(y))[::-1]),
        pd.Series(y, index=range(7, 7 + len(y))),
    ),
    "lists": lambda X, y: (X.tolist(), y.tolist()),
    "a column of labels": lambda X, y: (X, y[:, None]),
    "a matrix": lambda X, y: (X.view(np.matrix), y[:, None].view(np.matrix)),
    "a Categorical": lambda X, y: (X, pd.Categorical(y)),
    "pandas' strings": lambda X, y: (X, pd.array(y, dtype="string")),
    "an Arrow table": lambda X, y: (pyarrow.table({"x0": X[:, 0]}), pyarrow.array(y)),
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_rows_and_labels_belong_together_by_position(way: Callable[..., Any]) -> None:
    X, y = table(7, 9)
    order = np.random.default_rng(0).permutation(16)
    plain = encode(resample(X[order], y[order], np.random.default_rng(1)))
    encoded = encode(resample(*way(X[order], y[order]), np.random.default_rng(1)))
    for part in ("X_train", "y_train", "X_test", "y_test"):
        np.testing.assert_array_equal(getattr(encoded, part), getattr(plain, part))
    rows = encoded.X_train[:, 0].astype(int)
    assert [encoded.class_names[code] for code in encoded.y_train] == y[rows].tolist()


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"y": list("ababa")}, "6 rows but 5 labels; give one per row"),
        ({"y": list("abababa")}, "6 rows but 7 labels; give one per row"),
        ({"y": np.array([["a", "b"]] * 6)}, "6 rows but labels of shape (6, 2)"),
        ({"groups": [1, 2]}, "6 rows but 2 groups; give one per row"),
        ({"y": ["a", None, "a", "b", "a", "b"]}, "1 of the 6 labels are missing"),
        ({"groups": [1, 1, np.nan, 2, 2, np.nan]}, "2 of the 6 groups are missing"),
        ({"groups": [1] * 6}, "none of the 1 groups can be tested"),
        ({"groups": list("ababab")}, "none of the 2 groups can be tested: each has all rows of"),
        ({"X": sparse.eye_array(6)}, "X is sparse (a dia_array); .toarray() makes a plain array"),
        ({"X": 7}, "X is a int, not a table"),
    ],
)
def test_arrays_that_do_not_belong_together_are_refused(
    changes: dict[str, Any], fault: str
) -> None:
    usual: dict[str, Any] = {"X": np.zeros((6, 1)), "y": list("ababab")}
    with pytest.raises(DatasetError) as caught:
        resample(**usual | changes, rng=np.random.default_rng(0))
    assert fault in str(caught.value)


@given(
    st.lists(st.tuples(st.integers(0, 9), st.sampled_from("abc")), min_size=8, max_size=60),
    st.floats(0, 1),
    st.integers(0, 2**32 - 1),
)
def test_rows_of_a_group_are_never_on_both_sides(
    rows: list[tuple[int, str]], test_size: float, seed: int
) -> None:
    groups, y = np.array([g for g, _ in rows]), np.array([label for _, label in rows])
    X = np.arange(float(len(y)))[:, None]
    # If only one group has a class, that group must be in the training part.
    free = [
        g for g in set(groups) if all((groups[y == label] != g).any() for label in y[groups == g])
    ]
    rng = np.random.default_rng(seed)
    if not free:
        with pytest.raises(DatasetError, match="can be tested"):
            resample(X, y, rng, test_size=test_size, groups=groups)
        return
    split = resample(X, y, rng, test_size=test_size, groups=groups)
    train, test = (part[:, 0].astype(int) for part in (split.X_train, split.X_test))
    assert sorted([*train, *test]) == list(range(len(y)))
    assert not set(groups[train]) & set(groups[test])
    assert len(test) > 0
    assert set(split.y_test) <= set(split.y_train)
    assert (split.y_train == y[train]).all()


def test_with_groups_the_classes_keep_their_shares_as_far_as_possible() -> None:
    rng = np.random.default_rng(0)
    groups = rng.integers(0, 200, 2000)
    y = np.where(rng.random(2000) < 0.2, "rare", "usual")
    X = np.arange(2000.0)[:, None]
    split = resample(X, y, rng, groups=pd.Series(groups, index=range(2000)[::-1]), test_size=0.3)
    for label in ("rare", "usual"):
        share = (split.y_test == label).sum() / (y == label).sum()
        assert abs(share - 0.3) < 0.03
    other = resample(X, y, rng, groups=groups, test_size=0.3)
    assert set(other.X_test.ravel()) != set(split.X_test.ravel())
