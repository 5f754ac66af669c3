"""check_dataset passes a good dataset, and names the fault of a wrong dataset."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
from failed_checks import failed_checks

import harness
import harness.testing
from harness.errors import DatasetError
from harness.testing import DATASET_CHECKS, faulty
from harness.trials.preparation import encode

Array = np.ndarray[Any, np.dtype[Any]]
TABLE = np.random.default_rng(0).normal(size=(40, 3))
LABELS = np.arange(40) % 2


def resampled(rng: np.random.Generator, test_size: float = 0.25) -> harness.Split:
    names = ("even", "odd")
    return harness.resample(TABLE, LABELS, rng, test_size=test_size, class_names=names)


def fresh(rng: np.random.Generator) -> harness.Split:
    y = rng.permutation(np.arange(40) % 2)
    X = rng.normal(y[:, None], size=(40, 2))
    return harness.Split(X[:20], np.array(["no", "yes"])[y[:20]], X[20:], y[20:] == 1)


def mixed(rng: np.random.Generator) -> harness.Split:
    X = TABLE.astype(object)
    X[:, 1] = np.array([None, "reef"])[(TABLE[:, 1] > 0).astype(int)]
    X[0, 0] = None
    return harness.resample(
        X, np.array(["a", "b"])[LABELS], rng, categorical=(1,), feature_names=("x", "place", "z")
    )


def fixed(rng: np.random.Generator) -> harness.Split:
    return harness.Split(TABLE[:20].copy(), LABELS[:20].copy(), TABLE[20:].copy(), LABELS[20:] + 0)


def read_only(rng: np.random.Generator) -> harness.Split:
    X, y = TABLE.view(), LABELS.view()
    X.setflags(write=False)
    y.setflags(write=False)
    return harness.Split(X[:20], y[:20], X[20:], y[20:])


def twins(rng: np.random.Generator) -> harness.Split:
    return harness.resample(np.round(TABLE[:, :1]), LABELS, rng)


def changed(**parts: Any) -> Any:
    """A dataset whose split has replaced parts: new values, or functions of the good parts."""

    def split(rng: np.random.Generator) -> harness.Split:
        good = resampled(rng)
        new = {k: v(getattr(good, k)) if callable(v) else v for k, v in parts.items()}
        return replace(good, **new)

    return split


def without_default(rng: np.random.Generator, n: int) -> harness.Split:
    return resampled(rng)


def global_luck(rng: np.random.Generator) -> harness.Split:
    return resampled(np.random.default_rng(np.random.randint(1000)))  # noqa: NPY002


def leaky(rng: np.random.Generator) -> harness.Split:
    rows = rng.permutation(40)
    return harness.Split(TABLE[rows], LABELS[rows], TABLE[rows[:10]], LABELS[rows[:10]])


def as_lists(rng: np.random.Generator) -> Any:
    return {"X_train": [[1.0]], "y_train": [0]}


def dataset(split: Any = resampled, kind: Any = "resampled", name: str = "toy") -> harness.Dataset:
    return harness.Dataset(name, kind, split)


verdicts = partial(failed_checks, DATASET_CHECKS)


@pytest.mark.parametrize(
    "good",
    [
        dataset(),
        dataset(mixed),
        dataset(twins),
        dataset(fresh, "fresh"),
        dataset(fixed, "fixed"),
        dataset(read_only, "fixed"),
    ],
    ids=lambda good: good.split.__name__,
)
def test_a_good_dataset_passes(good: harness.Dataset) -> None:
    if good.split is fresh:
        good = dataset(lambda rng: replace(fresh(rng), y_test=fresh(rng).y_train), "fresh")
    harness.testing.check_dataset(good)


@pytest.mark.parametrize("check", DATASET_CHECKS, ids=str)
def test_an_author_can_run_each_check_as_a_separate_test(check: harness.testing.Check) -> None:
    check.run(dataset())


def test_duplicate_rows_of_the_table_give_a_remark() -> None:
    (check,) = (check for check in DATASET_CHECKS if check.name == "parts-share-no-rows")
    assert "the table has duplicates" in str(check.run(dataset(twins)))


WRONG = [
    (dataset(name="Toy set"), "kebab-case-name", "'Toy set' is not kebab-case"),
    (dataset(kind="random"), "known-kind", "kind is 'random', not one of fresh, resampled"),
    (dataset(changed(X_train=np.ravel)), "parts-fit-together", "X_train has shape (90,)"),
    (dataset(changed(y_train=lambda y: np.stack([y, y], 1))), "parts-fit-together", "(30, 2)"),
    (dataset(changed(X_test=lambda X: X[:, :2])), "parts-fit-together", "3 columns, X_test 2"),
    (dataset(changed(y_test=lambda y: y[1:].tolist())), "parts-fit-together", "but X_test has 10"),
    (
        dataset(changed(y_test=lambda y: np.array([None, 1])[y], class_names=())),
        "no-label-is-missing",
        "5 of 10 labels in y_test are missing",
    ),
    (
        dataset(changed(y_train=np.zeros_like, y_test=np.zeros_like)),
        "two-classes-to-learn",
        "y_train holds 0; two are needed",
    ),
    (
        dataset(changed(y_test=lambda y: y + 1, class_names=())),
        "every-class-is-in-training",
        "y_test holds 2, which y_train does not",
    ),
    (dataset(changed(class_names=("a",))), "class-names-cover-the-labels", "has no 1; it is 'a'"),
    (dataset(changed(class_names=("a", "a"))), "class-names-cover-the-labels", "has 'a' twice"),
    (dataset(changed(feature_names=("x",))), "columns-are-described", "1 feature names for 3"),
    (
        dataset(changed(categorical=(3,))),
        "columns-are-described",
        "categorical has the indices (3,); columns go from 0 to 2",
    ),
    (
        dataset(lambda rng: replace(mixed(rng), categorical=())),
        "columns-are-described",
        "column 'place' is not declared categorical but holds a value that is not a number: ",
    ),
    (
        dataset(changed(X_train=lambda X: X / 0)),
        "columns-are-described",
        "column 'x0' holds infinite",
    ),
    (dataset(global_luck), "same-seed-same-split", "differ in X_train; draw from the given rng"),
    (
        dataset(lambda rng: resampled(np.random.default_rng(0))),
        "splits-are-of-their-kind",
        "seeds 0 to 3 give the same split; kind resampled must not",
    ),
    (dataset(resampled, "fixed"), "splits-are-of-their-kind", "X_test differs from seed to seed"),
    (dataset(leaky), "parts-share-no-rows", "10 of 10 test rows are training rows too"),
    (
        dataset(lambda rng: replace(fixed(rng), X_test=TABLE[20:]), "fixed"),
        "splits-share-no-memory",
        "writing to X_test of one split changes the next",
    ),
]


@pytest.mark.parametrize(("wrong", "check", "reason"), WRONG, ids=[w[2] for w in WRONG])
def test_a_wrong_dataset_fails_the_check_of_its_fault(
    wrong: harness.Dataset, check: str, reason: str
) -> None:
    with np.errstate(divide="ignore"):
        failed = verdicts(wrong)
    assert check in failed
    assert reason in failed[check]
    # Data that are not a table fail other checks, too.
    assert set(failed) == {check} or check == "parts-fit-together"


def test_a_parameter_without_default_and_a_split_of_another_type_fail() -> None:
    told = verdicts(dataset(without_default))["parameters-have-defaults"]
    assert told == "parameter 'n' has no default; give it one"
    told = verdicts(dataset(as_lists))["parts-fit-together"]
    assert told == "split gives a dict, not a harness.Split"


def test_the_message_lists_all_failed_checks_one_per_line() -> None:
    with pytest.raises(AssertionError) as raised:
        harness.testing.check_dataset(dataset(leaky, name="Toy"))
    assert str(raised.value).splitlines() == [
        f"dataset 'Toy' fails 2 of {len(DATASET_CHECKS)} checks:",
        "  kebab-case-name: 'Toy' is not kebab-case: small letters and digits, joined by '-'",
        "  parts-share-no-rows: 10 of 10 test rows are training rows too",
    ]


FAULTS = {
    "faulty-one-class": {"two-classes-to-learn"},
    "faulty-nan-labels": {"no-label-is-missing"},
    "faulty-no-rows": {"parts-fit-together", "two-classes-to-learn", "every-class-is-in-training"},
    "faulty-test-only-class": {"every-class-is-in-training"},
    "faulty-no-class-in-test": set(),
    "faulty-ragged": {"parts-fit-together"},
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_faulty_dataset_fails_the_check_of_its_fault(name: str) -> None:
    (wrong,) = (d for d in faulty.harness_datasets() if d.name == name)
    assert set(verdicts(wrong)) == FAULTS[name]


@pytest.mark.parametrize("name", FAULTS)
def test_a_dataset_that_the_harness_refuses_fails_a_check(name: str) -> None:
    (wrong,) = (d for d in faulty.harness_datasets() if d.name == name)
    split = wrong.split(np.random.default_rng(0))
    if FAULTS[name]:
        with pytest.raises(DatasetError):
            encode(split)
    else:
        assert len(encode(split).class_names) == 3


def test_a_dataset_that_raises_fails_with_its_exception() -> None:
    (wrong,) = (d for d in faulty.harness_datasets() if d.name == "faulty-raises")
    assert verdicts(wrong)["parts-fit-together"] == "ValueError: faulty-raises raises"
