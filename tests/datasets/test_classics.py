from __future__ import annotations

from typing import TYPE_CHECKING

import harness_classics
import numpy as np
import pytest
from harness_classics.tables import table
from sklearn import datasets

from harness.trials.preparation import encode

if TYPE_CHECKING:
    import harness

SHAPES = {
    "iris": (150, 4, 3),
    "wine": (178, 13, 3),
    "breast-cancer": (569, 30, 2),
    "digits": (1797, 64, 10),
    "penguins": (344, 6, 3),
}
DATASETS = {dataset.name: dataset for dataset in harness_classics.harness_datasets()}


def split(name: str, seed: int = 0) -> harness.Split:
    return DATASETS[name].split(np.random.default_rng(seed))


def test_the_plugin_offers_five_datasets() -> None:
    assert set(DATASETS) == set(SHAPES)


@pytest.mark.parametrize("name", SHAPES)
def test_every_row_is_in_one_part_and_every_class_in_both(name: str) -> None:
    rows, columns, classes = SHAPES[name]
    data = encode(split(name))
    assert len(data.y_train) + len(data.y_test) == rows
    assert data.X_train.shape[1] == data.X_test.shape[1] == len(data.feature_names) == columns
    assert len(data.class_names) == classes
    assert set(data.y_train) == set(data.y_test) == set(range(classes))


@pytest.mark.parametrize("name", SHAPES)
def test_a_dataset_has_a_licence_a_citation_and_the_tag_real(name: str) -> None:
    dataset = DATASETS[name]
    assert dataset.kind == "resampled"
    assert "real" in dataset.tags
    assert dataset.licence
    assert dataset.citation
    assert dataset.description.endswith((".", "missing."))


@pytest.mark.parametrize("name", SHAPES)
def test_writing_to_a_split_does_not_change_the_next_split(name: str) -> None:
    first = split(name)
    before = first.X_train.copy()
    first.X_train[:] = 0
    first.y_train[:] = 0
    assert [*split(name).X_train[0]] == [*before[0]]
    assert len(set(split(name).y_train)) == SHAPES[name][2]


def test_a_table_cannot_be_written_to() -> None:
    with pytest.raises(ValueError, match="read-only"):
        table("iris").X[0, 0] = 1.0


@pytest.mark.parametrize("name", sorted(SHAPES.keys() - {"penguins"}))
def test_a_table_is_that_of_scikit_learn(name: str) -> None:
    ours, theirs = table(name), getattr(datasets, f"load_{name.replace('-', '_')}")()
    assert np.array_equal(ours.X, theirs.data)
    assert np.array_equal(ours.y, theirs.target)
    assert [*ours.class_names] == [*map(str, theirs.target_names)]
    assert [*ours.feature_names] == [*map(str, theirs.feature_names)]


def test_the_first_penguin_has_its_published_measurements() -> None:
    penguins = table("penguins")
    assert [*penguins.X[0]] == ["Torgersen", 39.1, 18.7, 181.0, 3750.0, "male"]
    assert penguins.class_names[penguins.y[0]] == "Adelie"
    assert [*np.bincount(penguins.y)] == [152, 68, 124]
    assert [penguins.feature_names[i] for i in penguins.categorical] == ["island", "sex"]


def test_a_missing_length_is_nan_and_a_missing_sex_is_none() -> None:
    X = table("penguins").X
    fourth = X[3]
    assert fourth[0] == "Torgersen"
    assert np.isnan(fourth[1:5].astype(float)).all()
    assert fourth[5] is None
    assert sum(sex is None for sex in X[:, 5]) == 11
    assert np.isnan(X[:, 1].astype(float)).sum() == 2


def test_the_same_seed_gives_the_same_split() -> None:
    np.testing.assert_array_equal(split("wine", 3).X_test, split("wine", 3).X_test)
    assert not np.array_equal(split("wine", 3).X_test, split("wine", 4).X_test)
