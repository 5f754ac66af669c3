"""A table is split so that each class gives its share and no row is lost."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.splitting import resample


def table(*counts: int) -> tuple[np.ndarray, np.ndarray]:  # type: ignore[type-arg]
    """Rows that are numbered, of classes a, b, ... so many times."""
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
def test_each_class_gives_its_share_but_a_row_at_least_and_never_all(
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
    """Some models look at the order of the rows, and it must tell them nothing."""
    X, y = table(50, 50)
    split = resample(X, y, np.random.default_rng(0))
    for labels in (split.y_train, split.y_test):
        assert len(set(labels[: len(labels) // 4])) == 2


def test_what_is_known_of_the_columns_is_handed_on() -> None:
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
