"""Cross-validation: folds partition a table; runs and statistics take folds into account."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

import harness
from harness.contract.parameters import place_of, split_parameters
from harness.contract.values import Choice, Trial
from harness.errors import DatasetError, PluginError
from harness.runs.looks import undecided
from harness.statistics.reach import reach
from harness.statistics.scores import RowScores, against_best, cells, compare, interval
from harness.testing import check_dataset

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

PLUGIN = """
import harness
import numpy as np

X = np.random.default_rng(0).normal(size=(40, 2))
y = (X[:, 0] + np.random.default_rng(1).normal(size=40) > 0).astype(int)


def four(rng, fold, shift=0.0):
    return harness.folds(X + shift, y, rng, fold, n_folds=4)


def each(rng, fold):
    return harness.folds(X, y, rng, fold, n_folds=40)


@harness.hookimpl
def harness_datasets():
    yield harness.Dataset("four", "4-fold", four)
    yield harness.Dataset("each", "40-fold", each)
"""


@pytest.fixture(scope="module")
def plugin(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("plugin") / "folded.py"
    path.write_text(PLUGIN)
    return str(path)


def run_of(plugin: str, folder: Path, *datasets: str, repeats: int) -> harness.Outcome:
    return harness.run(
        datasets,
        ["numpy-softmax"],
        repeats=repeats,
        plugins=[plugin],
        store=str(folder / "store.db"),
        timing=False,
    )


def report_of(outcome: harness.Outcome) -> str:
    """The output of `harness report --format markdown`, joined to one line."""
    tables = harness.discover().reports["tables"]
    return " ".join(str(tables.render(outcome.frames, "markdown")).split())


@given(st.lists(st.integers(2, 20), min_size=2, max_size=4), st.integers(2, 6), st.integers(0, 99))
def test_folds_test_each_row_once_and_their_sizes_and_class_counts_differ_by_one(
    counts: list[int], n_folds: int, seed: int
) -> None:
    y = np.repeat(np.arange(len(counts)), counts)
    X = np.arange(float(len(y)))[:, None]
    n_folds = min(n_folds, len(y))
    parts = [
        harness.folds(X, y, np.random.default_rng(seed), fold, n_folds=n_folds)
        for fold in range(n_folds)
    ]
    assert sorted(np.concatenate([part.X_test.ravel() for part in parts])) == X.ravel().tolist()
    for part in parts:
        rows = np.concatenate([part.X_train.ravel(), part.X_test.ravel()])
        assert sorted(rows) == X.ravel().tolist()
        assert (part.y_test == y[part.X_test.ravel().astype(int)]).all()
    assert np.ptp([len(part.y_test) for part in parts]) <= 1
    for label in range(len(counts)):
        assert np.ptp([(part.y_test == label).sum() for part in parts]) <= 1


@given(st.lists(st.integers(1, 60), min_size=3, max_size=12), st.integers(0, 99))
def test_all_rows_of_a_group_are_in_one_fold_and_each_fold_has_a_group(
    sizes: list[int], seed: int
) -> None:
    groups = np.repeat(np.arange(len(sizes)), sizes)
    X, y = groups[:, None].astype(float), np.arange(len(groups)) % 2
    parts = [
        harness.folds(X, y, np.random.default_rng(seed), fold, n_folds=3, groups=groups)
        for fold in range(3)
    ]
    tested = [set(part.X_test.ravel()) for part in parts]
    assert sum(map(len, tested)) == len(set.union(*tested)) == len(sizes)
    assert all(tested)


@pytest.mark.parametrize(
    ("fold", "n_folds", "groups", "fault"),
    [
        (0, 9, None, "9 folds of 8 rows"),
        (4, 4, None, "fold 4 of 4 folds"),
        (0, 3, [0, 0, 0, 0, 1, 1, 1, 1], "3 folds of 2 groups"),
    ],
)
def test_data_that_cannot_be_divided_into_folds_are_an_error(
    fold: int, n_folds: int, groups: list[int] | None, fault: str
) -> None:
    with pytest.raises(DatasetError, match=fault):
        harness.folds(
            np.zeros((8, 1)),
            np.arange(8) % 2,
            np.random.default_rng(0),
            fold,
            n_folds=n_folds,
            groups=groups,
        )


def test_folds_of_a_repetition_share_a_seed_and_repetitions_differ() -> None:
    trials = [Trial(Choice("four"), Choice("m"), "cpu", repeat, 0, 4) for repeat in range(8)]
    assert list(Counter(trial.split_seed for trial in trials).values()) == [4, 4]
    assert len({trial.model_seed for trial in trials}) == 8


def test_a_split_of_published_rows_gets_the_fold_and_the_repetition() -> None:
    places = {
        "4-fold": (lambda rng, fold, repetition, size=1: None, [(3, 0), (0, 1)], ["size"]),
        "3-fold": (lambda rng, fold, size=1: None, [(0,), (1,)], ["size"]),
        "resampled": (lambda rng, repetition: None, [(3,), (4,)], []),
        "fresh": (lambda rng, size=1: None, [(), ()], ["size"]),
    }
    for kind, (split, expected, parameters) in places.items():
        dataset = harness.Dataset("mine", kind, split)
        assert [place_of(dataset, repeat) for repeat in (3, 4)] == expected
        assert list(split_parameters(dataset)) == parameters


@pytest.mark.parametrize("kind", ["1-fold", "0-fold", "k-fold", "-3-fold", "leave-one-out"])
def test_a_kind_of_split_needs_at_least_two_folds(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "odd.py"
    path.write_text(PLUGIN.replace("4-fold", kind))
    with pytest.raises(PluginError, match=f"kind '{kind}'.*such as 10-fold"):
        harness.discover([str(path)])


def test_two_repetitions_test_each_row_twice_and_the_tables_say_so(
    plugin: str, tmp_path: Path
) -> None:
    outcome = run_of(plugin, tmp_path, "four", repeats=8)
    assert set(outcome.results["split_kind"]) == {"4-fold"}
    assert (outcome.results["n_test"] == 10).all()
    prior = outcome.results[outcome.results["model"] == "prior"]
    rows = outcome.frames.predictions(prior["result_id"].tolist())
    y = (np.random.default_rng(0).normal(size=(40, 2))[:, 0]) + (
        np.random.default_rng(1).normal(size=40)
    )
    assert rows["true"].sum() == 2 * (y > 0).sum()
    text = report_of(outcome)
    assert "4-fold cross-validation, 2 repetitions, 30 training and 10 test rows" in text
    assert "Intervals of cross-validation" in text


def test_leave_one_out_and_unfinished_folds_are_named_and_a_parameter_can_be_set(
    plugin: str, tmp_path: Path
) -> None:
    outcome = run_of(plugin, tmp_path, "each", repeats=40)
    text = report_of(outcome)
    assert "leave-one-out cross-validation, 39 training and 1 test rows" in text
    assert "More than 10 folds (leave-one-out included) give no intervals and no ≈:" in text
    assert "Intervals of cross-validation" not in text
    assert "≈" not in text.partition("How to read this")[0]
    outcome = run_of(plugin, tmp_path, "four[shift=1.0]", repeats=3)
    text = report_of(outcome)
    assert "3 folds of 4-fold cross-validation" in text
    assert "-r 4" in text


def folded(
    losses: np.ndarray[Any, Any], k: int
) -> tuple[dict[tuple[str, str, str], Any], RowScores]:
    """Cells and row scores from losses (n_models, J, n_test); a loss below log 2 is right."""
    results, predictions = frames_of(losses, k)
    return cells(results), RowScores(predictions)


def frames_of(losses: np.ndarray[Any, Any], k: int) -> tuple[pd.DataFrame, Any]:
    """Frames with the results and predictions of these losses."""
    import pandas as pd

    m, J, n = losses.shape
    flat = losses.reshape(m * J, n)
    results = pd.DataFrame(
        {
            "result_id": np.arange(m * J),
            "dataset": "d",
            "model": np.repeat([f"m{i}" for i in range(m)], J),
            "device": "cpu",
            "baseline": False,
            "repeat": np.tile(np.arange(J), m),
            "status": "ok",
            "split_kind": f"{k}-fold",
            "n_train": (k - 1) * n,
            "n_test": n,
            "accuracy": (flat < math.log(2)).mean(axis=1),
            "nll": flat.mean(axis=1),
            "nll_sd": flat.std(axis=1, ddof=1) if n > 1 else np.nan,
            "brier": flat.mean(axis=1) / 9,
        }
    )

    def predictions(ids: Any) -> pd.DataFrame:
        parts = [
            pd.DataFrame(
                {
                    "result_id": i,
                    "row": np.arange(n),
                    "true": 1,
                    "predicted": (flat[i] < math.log(2)).astype(int),
                    "log_probability": -flat[i],
                    "brier": flat[i] / 9,
                }
            )
            for i in ids
        ]
        return pd.concat(parts)

    return results, predictions


def losses_of(m: int, J: int, n: int) -> np.ndarray[Any, Any]:
    return np.random.default_rng(3).exponential(0.6, size=(m, J, n))


def half_width(values: np.ndarray[Any, Any], k: int, tail: float) -> float:
    """Half the width of an interval of the mean of values (k, n); an independent implementation.

    The variance is Nadeau and Bengio's for all rows, plus the variance of the fold means beyond
    that of their rows.
    """
    n = values.shape[1]
    worth = n / (1 / k + 1 / (k - 1))
    rows = values.var(ddof=1) / worth
    folds = max(values.mean(axis=1).var(ddof=1) - values.var(ddof=1) / n, 0) / k
    return math.sqrt(
        rows * stats.t.isf(tail, worth - 1) ** 2 + folds * stats.t.isf(tail, k - 1) ** 2
    )


@pytest.mark.parametrize(("k", "n"), [(10, 12), (5, 30)])
@pytest.mark.parametrize("moved", [0.0, 0.2])
def test_the_nlls_interval_is_a_t_interval_over_all_rows_with_nadeau_and_bengios_factor(
    k: int, n: int, moved: float
) -> None:
    losses = losses_of(1, k, n)
    losses += 1 - losses.mean(axis=2, keepdims=True) + moved * np.arange(k)[:, None]
    (cell,) = folded(losses, k)[0].values()
    computed, half = interval(cell, "nll"), half_width(losses[0], k, 0.025)
    assert computed.low == pytest.approx(losses.mean() - half)
    assert computed.high == pytest.approx(losses.mean() + half)
    assert computed.basis == "corrected t over the rows of all folds"
    worth = n / (1 / k + 1 / (k - 1))
    plain = stats.t.interval(0.95, worth - 1, losses.mean(), losses.std(ddof=1) / math.sqrt(worth))
    assert (computed.low == pytest.approx(plain[0])) == (moved == 0)


def test_accuracy_has_wilsons_interval_for_the_effective_number_of_rows() -> None:
    losses = losses_of(1, 10, 12)
    (cell,) = folded(losses, 10)[0].values()
    worth = 12 / (1 / 10 + 1 / 9)
    share, z = (losses < math.log(2)).mean(), stats.norm.ppf(0.975)
    wilson = interval(cell, "accuracy")
    for end in (wilson.low, wilson.high):  # where the score test just does not reject (Wilson 1927)
        assert abs(end - share) == pytest.approx(z * math.sqrt(end * (1 - end) / worth))


@pytest.mark.parametrize("score", ["accuracy", "nll", "brier"])
@pytest.mark.parametrize(("k", "n", "shown"), [(10, 12, True), (11, 12, False), (10, 1, False)])
def test_with_more_than_ten_folds_or_one_row_per_fold_there_is_a_reason_and_no_interval(
    k: int, n: int, shown: bool, score: Any
) -> None:
    """Otherwise two equal models that depend much on single rows would differ in 25% of cases."""
    losses = losses_of(2, k, n)
    losses[1] += 1.0
    contenders, rows = folded(losses, k)
    a, b = contenders.values()
    alone, paired = interval(a, score), compare(a, b, score, rows)
    assert [math.isnan(x) for x in (alone.low, alone.high, paired.p_value, paired.low)] == (
        [not shown] * 4
    )
    assert ("more than 10 folds" in alone.basis) == (not shown)
    assert ("more than 10 folds" in paired.basis) == (not shown)
    assert paired.difference == pytest.approx(a.of(score).mean() - b.of(score).mean())
    (marked,) = against_best(contenders, score, rows).values()
    assert marked.told_apart == shown


def test_looks_add_no_repeats_where_there_is_no_test() -> None:
    assert undecided(*frames_of(losses_of(2, 10, 12), 10), 10) == {"d"}
    assert undecided(*frames_of(losses_of(2, 20, 12), 20), 20) == set()


@pytest.mark.parametrize("score", ["accuracy", "nll", "brier"])
def test_repeating_the_same_folds_does_not_narrow_an_interval(score: Any) -> None:
    once = losses_of(1, 10, 12)
    widths = []
    for losses in (once, np.concatenate([once] * 4, axis=1)):
        (cell,) = folded(losses, 10)[0].values()
        computed = interval(cell, score)
        widths.append(computed.high - computed.low)
    assert widths[1] == pytest.approx(
        widths[0], rel=0.06
    )  # with 40 folds, the variance has another divisor


def test_two_models_are_compared_by_their_rows() -> None:
    losses = losses_of(2, 10, 12)
    (a, b), rows = folded(losses, 10)[0].values(), folded(losses, 10)[1]
    each = (losses[0] - losses[1]).ravel()
    worth = 12 / (1 / 10 + 1 / 9)
    t = each.mean() / (each.std(ddof=1) / math.sqrt(worth))
    paired = compare(a, b, "nll", rows)
    assert paired.p_value == pytest.approx(2 * stats.t.sf(abs(t), worth - 1))
    assert paired.basis == "paired corrected t over the rows of all folds"


def test_noise_shared_by_all_rows_of_a_fold_is_part_of_the_variance() -> None:
    losses = losses_of(2, 10, 12)
    losses[0] += np.random.default_rng(8).normal(0.3, 0.5, size=(10, 1))
    (a, b), rows = folded(losses, 10)[0].values(), folded(losses, 10)[1]
    each = losses[0] - losses[1]
    paired = compare(a, b, "nll", rows)
    # At the level of the p-value, the interval just reaches 0.
    assert half_width(each, 10, paired.p_value / 2) == pytest.approx(abs(each.mean()))
    assert paired.high - paired.low == pytest.approx(2 * half_width(each, 10, 0.025))
    shares = (losses < math.log(2)).mean(axis=2)
    wide = interval(a, "accuracy")
    rows_alone = math.sqrt(shares[0].mean() * (1 - shares[0].mean()) / 120)
    assert wide.high - wide.low > 2 * 1.96 * rows_alone


def test_a_worse_model_differs_significantly_from_the_best_and_an_equal_one_does_not() -> None:
    losses = losses_of(3, 10, 40)
    losses[1] = losses[0] + np.random.default_rng(4).normal(0.002, 0.05, size=losses[0].shape)
    losses[2] += 0.3
    contenders, rows = folded(losses, 10)
    comparisons = against_best(contenders, "nll", rows)
    told = {key[1]: comparison.told_apart for key, comparison in comparisons.items()}
    assert told == {"m1": False, "m2": True}


def dataset(split: Any, kind: str = "4-fold") -> harness.Dataset:
    return harness.Dataset("mine", kind, split)


TABLE = np.random.default_rng(5).normal(size=(40, 2))
LABELS = np.arange(40) % 2


def good(rng: np.random.Generator, fold: int, n: int = 3) -> harness.Split:
    return harness.folds(TABLE, LABELS, rng, fold, n_folds=4)


def test_a_dataset_of_folds_keeps_the_contract() -> None:
    check_dataset(dataset(good))


@pytest.mark.parametrize(
    ("split", "fault"),
    [
        (lambda rng, fold: harness.resample(TABLE, LABELS, rng), "rows are tested in fold"),
        (lambda rng, fold: good(np.random.default_rng(fold), fold), "rows are tested in fold"),
        (
            lambda rng, fold: harness.folds(TABLE, LABELS, rng, fold, n_folds=8),
            "20 of 40 rows are tested in no fold",
        ),
        (
            lambda rng, fold: harness.folds(TABLE + fold, LABELS, rng, fold, n_folds=4),
            "folds 0 and 1 have different rows",
        ),
        (lambda rng: good(rng, 0), "split takes no fold after the generator"),
    ],
)
def test_folds_that_do_not_partition_one_table_fail_the_contract(split: Any, fault: str) -> None:
    with pytest.raises(AssertionError, match=fault):
        check_dataset(dataset(split))


def test_for_folds_there_is_no_estimate_of_the_repeats_still_needed() -> None:
    contenders, rows = folded(losses_of(2, 10, 12), 10)
    a, b = contenders.values()
    assert reach(a, b, "nll", rows) is None
