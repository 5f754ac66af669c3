"""Each way to split a table tests what it promises: whole groups, later rows, every row once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from harness_files.ways import Rows, Way, way
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from sklearn.model_selection import LeaveOneGroupOut, StratifiedKFold, TimeSeriesSplit

from harness.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

SEEDS = st.integers(0, 2**32 - 1)


def rows(classes: str | Sequence[int], **given: Any) -> Rows:
    """Rows of these classes, one a letter; the only feature is the row's number."""
    letters = [c if isinstance(c, str) else "abcdefgh"[c] for c in classes]
    names, codes = np.unique(letters, return_inverse=True)
    frame = pd.DataFrame({"row": np.arange(float(len(letters)))})
    return Rows(frame, codes, tuple(map(str, names)), "t.csv", **given)


def parts_of(how: Way, seed: int = 0) -> list[tuple[list[int], list[int]]]:
    """The numbers of the training and of the test rows of each fold, or of one split."""
    n_folds = int(how.kind.removesuffix("-fold")) if how.kind.endswith("-fold") else 0
    splits = [
        how.split(np.random.default_rng(seed), *([fold] if n_folds else []))
        for fold in range(n_folds or 1)
    ]
    return [
        tuple(sorted(X["row"].astype(int)) for X in (s.X_train, s.X_test))  # type: ignore[misc]  # two parts
        for s in splits
    ]


def refusal(table: Rows, cv: str = "") -> str:
    with pytest.raises(UsageError) as refused:
        way(table, cv)
    message = str(refused.value)
    assert message.startswith("t.csv: ")
    return message.removeprefix("t.csv: ")


@pytest.mark.parametrize(
    ("given", "cv", "kind", "text", "repeats"),
    [
        ({}, "", "resampled", "25% of the rows at random, the same share of each class", 0),
        ({}, "3", "3-fold", "3 folds", 3),
        ({}, "3x2", "3-fold", "3 folds, 2 times", 6),
        ({}, "loo", "12-fold", "leave-one-out", 12),
        ({}, "12", "12-fold", "leave-one-out", 12),
        (
            {"groups": [0, 1, 2, 3] * 3},
            "",
            "resampled",
            "25% of the rows in whole groups, about the same share of each class",
            0,
        ),
        ({"groups": [0, 1, 2, 3, 4, 5] * 2}, "3", "3-fold", "3 folds of whole groups", 3),
        ({"groups": [0, 1, 2] * 4}, "3", "3-fold", "leave-one-group-out: 3 folds", 3),
        ({"groups": list("xyz") * 4}, "3x2", "3-fold", "3 folds of whole groups, 2 times", 6),
        ({"groups": [0, 1, 2] * 4}, "loo", "3-fold", "leave-one-group-out: 3 folds", 3),
        ({"time": range(12)}, "", "fixed", "the latest 25% of the rows", 0),
        ({"time": range(12)}, "3", "3-fold", "3 blocks in time, each after all earlier rows", 3),
        (
            {"parts": ["train", "TEST", " Train "] * 4},
            "",
            "fixed",
            "as given: 8 training and 4 test rows",
            0,
        ),
        ({"parts": ["1", "2", "10"] * 4}, "", "3-fold", "as given: 3 folds", 3),
    ],
)
def test_a_way_tells_what_it_does(
    given: dict[str, Any], cv: str, kind: str, text: str, repeats: int
) -> None:
    how = way(rows("aabb" * 3, **given), cv)
    assert (how.kind, how.text, how.repeats) == (kind, text, repeats)


@given(st.lists(st.integers(0, 2), min_size=8, max_size=40), SEEDS)
def test_a_hold_out_tests_a_quarter_of_each_class(classes: list[int], seed: int) -> None:
    counts = np.bincount(classes)
    assume((counts[counts > 0] > 1).all() and (counts > 0).sum() > 1)
    ((train, test),) = parts_of(way(rows(classes), ""), seed)
    assert sorted(train + test) == list(range(len(classes)))
    for code, count in enumerate(counts):
        if count:
            n_tested = np.count_nonzero(np.array(classes)[test] == code)
            assert n_tested == max(1, round(count / 4))


@given(st.lists(st.integers(0, 2), min_size=8, max_size=40), st.integers(2, 5), SEEDS)
def test_folds_have_the_sizes_of_scikit_learns(classes: list[int], n_folds: int, seed: int) -> None:
    counts = np.bincount(classes)
    assume((counts[counts > 0] >= n_folds).all() and (counts > 0).sum() > 1)
    folds = parts_of(way(rows(classes), str(n_folds)), seed)
    oracle = StratifiedKFold(n_folds).split(np.zeros((len(classes), 1)), classes)
    assert sorted(row for _, test in folds for row in test) == list(range(len(classes)))
    expected = sorted(len(test) for _, test in oracle)
    assert sorted(len(test) for _, test in folds) == expected
    for train, test in folds:
        assert sorted(train + test) == list(range(len(classes)))
        for code, count in enumerate(counts):
            n_tested = np.count_nonzero(np.array(classes)[test] == code)
            assert count // n_folds <= n_tested <= -(-count // n_folds)


def test_repetitions_deal_the_rows_anew() -> None:
    how = way(rows("ab" * 20), "5x2")
    assert how.repeats == 10
    assert parts_of(how, seed=0) != parts_of(how, seed=1)
    assert parts_of(how, seed=0) == parts_of(how, seed=0)


def test_leave_one_out_tests_each_row_alone() -> None:
    folds = parts_of(way(rows("aabb"), "loo"))
    assert sorted(test for _, test in folds) == [[0], [1], [2], [3]]


GROUPED = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 5)), min_size=8, max_size=40)


@given(GROUPED, st.sampled_from(["", "2", "3", "loo"]), SEEDS)
def test_groups_stay_whole_and_each_tested_class_is_learnt(
    pairs: list[tuple[int, int]], cv: str, seed: int
) -> None:
    classes, groups = [code for code, _ in pairs], np.array([group for _, group in pairs])
    try:
        folds = parts_of(way(rows(classes, groups=groups), cv), seed)
    except UsageError:
        return
    if cv:
        assert sorted(row for _, test in folds for row in test) == list(range(len(pairs)))
    for train, test in folds:
        assert train
        assert test
        assert not set(groups[train]) & set(groups[test])
        assert {classes[row] for row in test} <= {classes[row] for row in train}


def test_leave_one_group_out_is_scikit_learns() -> None:
    groups = np.array([0, 1, 1, 2, 0, 2])
    table = rows("ababba", groups=groups)
    oracle = LeaveOneGroupOut().split(table.frame, groups=groups)
    folds = parts_of(way(table, "loo"))
    assert sorted(test for _, test in folds) == sorted(list(test) for _, test in oracle)


@pytest.mark.parametrize("n_folds", [2, 3, 5])
def test_blocks_in_time_are_scikit_learns(n_folds: int) -> None:
    n_rows = 10 * (n_folds + 1)
    time = np.random.default_rng(0).permutation(n_rows)
    in_order = np.argsort(time)
    folds = parts_of(way(rows("ab" * (n_rows // 2), time=time), str(n_folds)))
    oracle = TimeSeriesSplit(n_folds).split(in_order)
    for (train, test), (train_places, test_places) in zip(folds, oracle, strict=True):
        assert_array_equal(train, np.sort(in_order[train_places]))
        assert_array_equal(test, np.sort(in_order[test_places]))


@given(
    st.lists(st.tuples(st.integers(0, 1), st.integers(0, 9)), min_size=6, max_size=40),
    st.sampled_from(["", "2", "3"]),
)
def test_no_model_learns_from_rows_as_late_as_those_it_is_tested_on(
    pairs: list[tuple[int, int]], cv: str
) -> None:
    classes, time = [code for code, _ in pairs], np.array([moment for _, moment in pairs])
    try:
        folds = parts_of(way(rows(classes, time=time), cv))
    except UsageError:
        return
    for train, test in folds:
        assert time[train].max() < time[test].min()
        assert set(train) == set(np.flatnonzero(time < time[test].min()))
    last = folds[-1]
    assert sorted(last[0] + last[1]) == list(range(len(pairs)))


def test_rows_of_equal_time_stay_together_at_the_cut() -> None:
    ((train, test),) = parts_of(way(rows("abababab", time=[1, 1, 2, 2, 3, 5, 5, 5]), ""))
    assert (train, test) == ([0, 1, 2, 3, 4], [5, 6, 7])
    assert way(rows("abababab", time=[1, 1, 2, 2, 3, 5, 5, 5]), "").text == (
        "the latest 38% of the rows"
    )


def test_given_folds_are_tested_in_the_order_of_their_numbers() -> None:
    table = rows("abababab", parts=["10", "2", "2", "10", "1", "1", "1", "2"])
    assert [test for _, test in parts_of(way(table, ""))] == [[4, 5, 6], [1, 2, 7], [0, 3]]


def test_given_parts_are_kept() -> None:
    ((train, test),) = parts_of(way(rows("abab", parts=["Train", "train ", "TEST", "test"]), ""))
    assert (train, test) == ([0, 1], [2, 3])


def test_models_learn_from_rows_for_validation_too() -> None:
    how = way(rows("ababab", parts=["train", "val", "Valid", "dev", "test", "test"]), "")
    ((train, test),) = parts_of(how)
    assert (train, test) == ([0, 1, 2, 3], [4, 5])
    assert how.text == "as given: 4 training (3 of them for validation) and 2 test rows"


@pytest.mark.parametrize(
    ("table", "cv", "message"),
    [
        (rows("aabb"), "five", "cv=five is none of 5, 5x2 (two repetitions), loo"),
        (rows("aabb"), "1", "cv=1 is none of 5"),
        (rows("aabb"), "2x0", "cv=2x0 is none of 5"),
        (rows("aabb"), "-2", "cv=-2 is none of 5"),
        (rows("aabb"), "2.5", "cv=2.5 is none of 5"),
        (rows("aabb"), "5\n", "cv=5\\n is none of 5"),
        (rows("aabb"), "5", "cv=5, but there are only 4 rows; take at most 4 folds"),
        (
            rows("aab"),
            "2",
            (
                "class 'b' has one row, so that no model learns it when its fold is tested; leave "
                "the "
                "row out, or do without cv"
            ),
        ),
        (rows("aab"), "loo", "class 'b' has one row"),
        (
            rows("aabb", groups=[0, 1, 0, 1]),
            "3",
            "cv=3, but there are only 2 groups; take at most 2 folds",
        ),
        (rows("aabb", groups=[1, 1, 1, 1]), "", "all rows are in one group; two are needed"),
        (
            rows("aabb", groups=[1, 2, 3, 3]),
            "2",
            (
                "class 'b' is in one group only, so that no model learns it when the group is "
                "tested; "
                "leave its rows out, or do without groups"
            ),
        ),
        (rows("aabb", groups=[1, 1, 2, 2]), "", "class 'a' is in one group only"),
        (
            rows("aabb", groups=[1, 2, 1, 2], time=[1, 2, 3, 4]),
            "",
            "groups and time exclude each other; choose one",
        ),
        (
            rows("abab", time=[3, 3, 3, 3]),
            "",
            "all rows have the same time, so that it orders nothing; do without time=",
        ),
        (
            rows("abab" * 3, time=[1, 2] * 6),
            "3",
            (
                "the 2 different times do not divide into 4 parts, because rows of equal time stay "
                "together; take fewer folds"
            ),
        ),
        (
            rows("abababab", time=[1] * 7 + [2]),
            "",
            (
                "the 2 different times do not divide into 2 parts, because rows of equal time stay "
                "together; do without time="
            ),
        ),
        (
            rows("abab", time=range(4)),
            "2x2",
            "cv=2x2 repeats folds, but folds in time exist only once",
        ),
        (
            rows("abab", time=range(4)),
            "loo",
            "cv=loo tests rows in no order, but time= orders them; write cv=5",
        ),
        (
            rows("aaab", time=range(4)),
            "",
            "the rows to learn from before the test part is tested have 1 of 2 classes; two are",
        ),
        (
            rows("abababac", time=range(8)),
            "",
            (
                "class 'c' is tested in the test part, but no row to learn from has it; leave its "
                "rows "
                "out, or split otherwise"
            ),
        ),
        (rows("ababacab", time=range(8)), "3", "class 'c' is tested in fold 2 in time, but"),
        (
            rows("abab", parts=["train", "train", "other", "test"]),
            "",
            "the split column says 'other' next to train and test; change it to one of them, or",
        ),
        (
            rows("abab", parts=["train"] * 4),
            "",
            "there are no test rows; both training and test rows are needed",
        ),
        (
            rows("abab", parts=["test"] * 4),
            "",
            "there are no training rows; both training and test rows are needed",
        ),
        (
            rows("abab", parts=["True", "False"] * 2),
            "",
            (
                "the split column holds 2 different values, such as 'False'; it must say train or "
                "test,"
                " or number the folds"
            ),
        ),
        (
            rows("abab", parts=list("1111")),
            "",
            "the split column holds only '1'; it must say train",
        ),
        (rows("abab", parts=list("1234")), "", "the split column holds 4 different values, such"),
        (rows("aabb", parts=list("1122")), "", "the rows to learn from before fold '1' is tested"),
        (rows("abcaba", parts=list("112222")), "", "class 'c' is tested in fold '2', but no row"),
        (rows("abab", parts=["train", "test"] * 2), "5", "cv and a given split exclude each other"),
        (
            rows("abab", parts=["train", "test"] * 2, groups=[1, 2, 1, 2]),
            "",
            "groups and a given split exclude each other",
        ),
        (
            rows("abab", parts=["train", "test"] * 2, time=[1, 2, 1, 2]),
            "",
            "time and a given split exclude each other",
        ),
    ],
)
def test_a_way_that_does_not_fit_the_rows_is_refused(table: Rows, cv: str, message: str) -> None:
    assert refusal(table, cv).startswith(message)


def test_groups_that_leave_a_fold_without_a_class_are_refused_when_they_are_dealt() -> None:
    """Class b is in two small groups, and there are too few other groups to keep them apart."""
    refused = 0
    for seed in range(50):
        table = rows("b" + "a" * 9 + "b", groups=[0] + [1] * 9 + [0 if seed % 2 else 2])
        try:
            folds = parts_of(way(table, "2"), seed)
        except UsageError as error:
            assert "class" in str(error)  # noqa: PT017  # most seeds raise nothing
            refused += 1
        else:
            assert all({0, 10} - set(train) != {0, 10} for train, _ in folds)
    assert refused
