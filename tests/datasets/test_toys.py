from __future__ import annotations

import subprocess
import sys

import harness_toys
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit

import harness
from harness.errors import UsageError
from harness.trials.preparation import encode


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_a_threshold_row_below_three_is_low_and_one_at_six_is_high() -> None:
    split = harness_toys.threshold(rng(), n_train=1000)
    x = split.X_train[:, 0]
    assert x.min() >= 0
    assert x.max() < 10
    expected = np.where(x < 3, 0, np.where(x < 6, 1, 2))
    np.testing.assert_array_equal(split.y_train, expected)
    assert split.class_names == ("below 3", "3 to 6", "6 and above")


@pytest.mark.parametrize(
    ("thresholds", "names"),
    [
        ((5.0,), ("below 5", "5 and above")),
        ((1.0, 2.5, 9.0), ("below 1", "1 to 2.5", "2.5 to 9", "9 and above")),
    ],
)
def test_n_thresholds_make_n_plus_one_classes(
    thresholds: tuple[float, ...], names: tuple[str, ...]
) -> None:
    split = harness_toys.threshold(rng(), n_train=500, thresholds=thresholds)
    assert split.class_names == names
    assert set(split.y_train) == set(range(len(names)))


@given(
    st.integers(-5, 5), st.integers(0, 10), st.integers(0, 2**32 - 1)
)  # low, width of the range, seed
def test_three_integers_lie_in_their_range_and_their_sums_decide(
    low: int, width: int, seed: int
) -> None:
    split = harness_toys.three_integers(rng(seed), n_train=50, low=low, high=low + width)
    assert split.X_train.min() >= low
    assert split.X_train.max() <= low + width
    for (a, b, c), label in zip(split.X_train, split.y_train, strict=True):
        assert label == (0 if a > b + c else 1 if b > a + c else 2)


def test_three_integers_reach_both_ends_of_their_range() -> None:
    split = harness_toys.three_integers(rng(), n_train=1000)
    assert set(split.X_train.ravel()) == set(range(10))


@pytest.mark.parametrize("n_features", [1, 20, 100])
def test_the_best_scores_on_twonorm_are_the_known_ones(n_features: int) -> None:
    """Accuracy Phi(2) = .97725, NLL .0604, likelihood .9414, whatever the number of features."""
    split = harness_toys.twonorm(rng(1), n_test=200_000, n_features=n_features)
    a = 2 / np.sqrt(n_features)
    first = expit(2 * a * split.X_test.sum(axis=1))  # the posterior of the first class
    right = np.where(split.y_test == 0, first, 1 - first)
    nll = -np.log(right).mean()
    assert (right > 0.5).mean() == pytest.approx(0.97725, abs=0.0015)  # 4 standard errors
    assert nll == pytest.approx(0.0604, abs=0.003)
    assert np.exp(-nll) == pytest.approx(0.9414, abs=0.003)


@pytest.mark.parametrize("name", ["threshold", "three-integers", "twonorm"])
def test_the_same_seed_gives_the_same_draw_of_the_requested_size(name: str) -> None:
    dataset = next(d for d in harness_toys.harness_datasets() if d.name == name)
    a, b, other = (dataset.split(rng(seed), n_train=40, n_test=7) for seed in (0, 0, 1))
    assert a.X_train.shape[0] == len(a.y_train) == 40
    assert a.X_test.shape[0] == len(a.y_test) == 7
    np.testing.assert_array_equal(a.X_test, b.X_test)
    assert not np.array_equal(a.X_train, other.X_train)
    assert dataset.kind == "fresh"
    assert "toy" in dataset.tags
    encode(a)  # raises where the contract is broken


@pytest.mark.parametrize(
    ("split", "parameters", "line"),
    [
        (harness_toys.threshold, {"n_train": 0}, "n_train=0 leaves a part without rows"),
        (harness_toys.twonorm, {"n_test": -3}, "n_test=-3 leaves a part without rows"),
        (harness_toys.threshold, {"thresholds": (6.0, 3.0)}, "thresholds=6.0x3.0 do not increase"),
        (harness_toys.threshold, {"thresholds": (3.0, 12.0)}, "between 0 and 10"),
        (harness_toys.threshold, {"thresholds": (float("nan"),)}, "do not increase"),
        (harness_toys.threshold, {"thresholds": ()}, "do not increase"),
        (harness_toys.three_integers, {"low": 5, "high": 4}, "low=5 is above high=4"),
        (harness_toys.twonorm, {"n_features": 0}, "n_features=0 leaves nothing to learn from"),
    ],
)
def test_invalid_parameters_are_a_one_line_error(split, parameters, line) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(UsageError, match=line) as caught:
        split(rng(), **parameters)
    assert "\n" not in str(caught.value)
    assert isinstance(caught.value, harness.HarnessError)


def test_offering_the_datasets_imports_neither_numpy_nor_scikit_learn() -> None:
    program = (
        "import sys, harness_toys, harness_classics\n"
        "list(harness_toys.harness_datasets()); list(harness_classics.harness_datasets())\n"
        "assert not {'numpy', 'sklearn'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
