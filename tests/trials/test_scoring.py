"""Scores agree with scikit-learn, and invalid probabilities are refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.stats import mannwhitneyu
from sklearn import metrics
from softmaxes import softmax

from harness.errors import ProbabilityError
from harness.trials.scoring import (
    CLIP,
    TOLERANCE,
    check_probabilities,
    likelihood,
    predictions,
    score,
)

Array = np.ndarray[Any, np.dtype[Any]]


@st.composite
def tables(draw: st.DrawFn) -> tuple[Array, Array]:
    """Checked probabilities (n, K), with ties, zeros and ones among them, and labels (n,)."""
    n, K = draw(st.integers(1, 12)), draw(st.integers(2, 5))
    logits = st.floats(-30, 30) | st.sampled_from([-1000.0, 0.0, 1.0])
    Z = draw(hnp.arrays(float, (n, K), elements=logits))
    y = draw(hnp.arrays(np.intp, n, elements=st.integers(0, K - 1)))
    return check_probabilities(softmax(Z), n, K), y


@given(tables())
def test_scores_equal_scikit_learn_s(table: tuple[Array, Array]) -> None:
    P, y = table
    K = P.shape[1]
    scores = score(P, y)
    close = {"rel": 1e-9, "abs": 1e-12}
    # scikit-learn renormalises the probabilities, which changes the result by rounding only.
    assert scores["nll"] == pytest.approx(
        metrics.log_loss(y, P, labels=range(K)), rel=1e-9, abs=1e-9
    )
    assert scores["accuracy"] == pytest.approx(metrics.accuracy_score(y, P.argmax(axis=1)), **close)
    assert scores["brier"] == pytest.approx(
        metrics.brier_score_loss(y, P, labels=range(K), scale_by_half=False), **close
    )
    matrix = metrics.confusion_matrix(y, P.argmax(axis=1), labels=range(K))
    occurring = matrix.sum(axis=1) > 0
    recalls = matrix.diagonal()[occurring] / matrix.sum(axis=1)[occurring]
    assert scores["balanced_accuracy"] == pytest.approx(recalls.mean(), **close)


@given(tables())
def test_auc_equals_scikit_learn_s_average_over_the_classes_that_occur(
    table: tuple[Array, Array],
) -> None:
    P, y = table
    occurring = [k for k in range(P.shape[1]) if 0 < (y == k).sum() < len(y)]
    assume(occurring)
    expected = np.mean([metrics.roc_auc_score(y == k, P[:, k]) for k in occurring])
    assert score(P, y)["auc"] == pytest.approx(expected, abs=1e-12)


def test_auc_and_balanced_accuracy_equal_scikit_learn_s_if_all_classes_occur() -> None:
    rng = np.random.default_rng(0)
    P, y = softmax(rng.normal(size=(200, 4))), rng.integers(4, size=200)
    scores = score(P, y)
    expected = metrics.roc_auc_score(y, P, multi_class="ovr", average="macro")
    assert scores["auc"] == pytest.approx(expected, abs=1e-12)
    expected = metrics.balanced_accuracy_score(y, P.argmax(axis=1))
    assert scores["balanced_accuracy"] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    ("scores", "auc"),
    [([0.5, 0.5, 0.5, 0.5], 0.5), ([0.1, 0.5, 0.5, 0.9], 0.875), ([0.9, 0.8, 0.2, 0.1], 0.0)],
)
def test_ties_count_half_in_the_auc(scores: list[float], auc: float) -> None:
    positive, y = np.array(scores), np.array([0, 0, 1, 1])
    P = np.column_stack([1 - positive, positive])
    assert score(P, y)["auc"] == pytest.approx(auc)
    rank_sum = mannwhitneyu(positive[y == 1], positive[y == 0]).statistic
    assert score(P, y)["auc"] == pytest.approx(rank_sum / 4)


def test_there_is_no_auc_if_only_one_class_occurs() -> None:
    assert "auc" not in score(np.array([[0.6, 0.4], [0.3, 0.7]]), np.array([0, 0]))


@given(tables())
def test_scores_keep_their_bounds(table: tuple[Array, Array]) -> None:
    P, y = table
    scores = score(P, y)
    assert all(type(value) is float and np.isfinite(value) for value in scores.values())
    assert scores["likelihood"] == pytest.approx(np.exp(-scores["nll"]), rel=1e-12)
    for name in ("accuracy", "balanced_accuracy", "likelihood", "ece", "auc"):
        assert -1e-12 <= scores.get(name, 0.0) <= 1 + 1e-12, name
    assert 0 <= scores["brier"] <= 2 + 1e-12
    assert scores["likelihood"] <= 1
    assert 0 <= scores["nll"] <= -np.log(CLIP)
    assert 0 <= scores["clipped"] <= len(y)
    assert scores["nll_sd"] >= 0


@given(tables(), st.randoms(use_true_random=False))
def test_the_order_of_rows_changes_no_score(table: tuple[Array, Array], random: Any) -> None:
    P, y = table
    rows = list(range(len(P)))
    random.shuffle(rows)
    assert score(P[rows], y[rows]) == pytest.approx(score(P, y), rel=1e-9, abs=1e-9)


@given(tables(), st.randoms(use_true_random=False))
def test_the_order_of_classes_changes_no_score_of_probabilities(
    table: tuple[Array, Array], random: Any
) -> None:
    """Accuracy may change, because in a tie the first of the most probable classes is predicted."""
    P, y = table
    classes = list(range(P.shape[1]))
    random.shuffle(classes)
    scores, expected = score(P[:, classes], np.argsort(classes)[y]), score(P, y)
    for name in expected.keys() - {"accuracy", "balanced_accuracy", "ece"}:
        assert scores[name] == pytest.approx(expected[name], rel=1e-9, abs=1e-9), name


@given(tables())
def test_the_true_probabilities_score_best(table: tuple[Array, Array]) -> None:
    P, y = table
    truth = score(np.eye(P.shape[1])[y], y)
    assert (truth["accuracy"], truth["likelihood"], truth["brier"], truth["ece"]) == (1, 1, 0, 0)
    scores = score(P, y)
    assert scores["nll"] >= truth["nll"] - 1e-12
    assert scores["brier"] >= truth["brier"]


def test_the_scores_of_uniform_probabilities_are_known() -> None:
    scores = score(np.full((6, 3), 1 / 3), np.array([0, 0, 1, 1, 2, 2]))
    assert scores["likelihood"] == pytest.approx(1 / 3)
    assert scores["nll"] == pytest.approx(np.log(3))
    assert scores["nll_sd"] == pytest.approx(0)
    assert scores["brier"] == pytest.approx(2 / 3)
    assert scores["accuracy"] == pytest.approx(1 / 3)
    assert scores["auc"] == 0.5
    assert scores["ece"] == pytest.approx(0, abs=1e-12)


def test_a_certain_mistake_is_clipped_and_counted() -> None:
    P = np.array([[1.0, 0.0], [1.0, 0.0], [CLIP / 2, 1 - CLIP / 2], [0.5, 0.5]])
    scores = score(P, np.array([0, 1, 0, 0]))
    assert scores["clipped"] == 2
    assert scores["nll"] == pytest.approx((-2 * np.log(CLIP) + np.log(2)) / 4)


def test_nll_sd_is_the_sample_standard_deviation() -> None:
    P = np.array([[0.9, 0.1], [0.5, 0.5], [0.2, 0.8]])
    y = np.array([0, 0, 0])
    assert score(P, y)["nll_sd"] == pytest.approx(np.std(-np.log(P[:, 0]), ddof=1))
    assert score(P[:1], y[:1])["nll_sd"] == 0


def test_the_calibration_error_by_hand() -> None:
    """Bins are 1/15 wide: .9 and .92 share one, .7 has its own, and 1 is in the last."""
    confidence = np.array([0.9, 0.92, 0.7, 1.0])
    P = np.column_stack([confidence, 1 - confidence])
    gaps = [abs((0.9 + 0.92) - 1), abs(0.7 - 1), abs(1.0 - 0)]
    assert score(P, np.array([0, 1, 0, 1]))["ece"] == pytest.approx(sum(gaps) / 4)


def test_each_test_row_is_kept_with_its_class_prediction_and_log_probability() -> None:
    P = np.array([[0.7, 0.2, 0.1], [0.0, 0.5, 0.5]])
    kept = predictions(P, np.array([1, 0]))
    assert kept.true.tolist() == [1, 0]
    assert kept.predicted.tolist() == [0, 1]
    np.testing.assert_allclose(kept.log_probability, np.log([0.2, CLIP]), rtol=1e-6)
    assert (kept.true.dtype, kept.predicted.dtype, kept.log_probability.dtype) == (
        np.uint16,
        np.uint16,
        np.float32,
    )


@given(tables())
def test_the_kept_rows_reproduce_the_scores(table: tuple[Array, Array]) -> None:
    P, y = table
    kept, scores = predictions(P, y), score(P, y)
    assert np.mean(kept.true == kept.predicted) == pytest.approx(scores["accuracy"])
    nll = -kept.log_probability.astype(np.float64).mean()
    assert nll == pytest.approx(scores["nll"], rel=1e-6, abs=1e-6)


@given(tables())
def test_the_likelihood_of_logarithms_is_that_of_probabilities(
    table: tuple[Array, Array],
) -> None:
    P, y = table
    assume((P[np.arange(len(y)), y] > CLIP).all())
    logs = np.log(np.maximum(P, CLIP))
    assert likelihood(logs, y) == pytest.approx(score(P, y)["likelihood"], rel=1e-9)


def test_the_likelihood_of_an_impossible_class_is_zero_and_of_nan_is_nan() -> None:
    y = np.array([0, 1])
    assert likelihood(np.array([[0.0, -np.inf], [0.0, -np.inf]]), y) == 0
    assert np.isnan(likelihood(np.array([[0.0, -1.0], [0.0, np.nan]]), y))


@pytest.mark.parametrize(
    ("raw", "fault"),
    [
        (None, "of shape () for 2 rows and 2 classes"),
        (np.nan, "of shape () for 2 rows and 2 classes"),
        ([[0.5, 0.5], [1.0]], "gave no array of numbers"),
        ([["a", "b"], ["c", "d"]], "gave no array of numbers"),
        ([["0.5", "0.5"], ["1", "0"]], "gave no array of numbers: it holds <U3"),
        (object(), "gave no array of numbers"),
        ([[1 + 1j, 0], [0, 1]], "gave no array of numbers"),
        (np.array([[1 + 1j, 0], [0, 1]]), "gave no array of numbers: it holds complex128"),
        ([0.5, 0.5], "of shape (2,) for 2 rows and 2 classes"),
        (np.full((1, 2), 0.5), "of shape (1, 2) for 2 rows and 2 classes"),
        (np.full((2, 3), 1 / 3), "of shape (2, 3) for 2 rows and 2 classes"),
        ([[0.5, 0.5], [np.nan, 1]], "are not finite in 1 of 2 rows; row 1 is [nan  1.]"),
        ([[np.inf, -np.inf], [0.5, 0.5]], "are not finite in 1 of 2 rows; row 0 is [ inf -inf]"),
        ([[1.5, -0.5], [0.5, 0.5]], "are negative in 1 of 2 rows; row 0 is [ 1.5 -0.5]"),
        ([[0.5, 0.6], [2, 2]], "do not sum to 1 in 2 of 2 rows; row 0 is [0.5 0.6]"),
        ([[1e308, 1e308], [0.5, 0.5]], "do not sum to 1 in 1 of 2 rows"),
        ([[0, 0], [0.5, 0.5]], "do not sum to 1 in 1 of 2 rows"),
    ],
)
def test_the_error_says_why_probabilities_are_invalid(raw: Any, fault: str) -> None:
    with pytest.raises(ProbabilityError) as caught:
        check_probabilities(raw, 2, 2)
    assert fault in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_error_about_a_row_of_many_classes_is_one_line() -> None:
    with pytest.raises(ProbabilityError) as caught:
        check_probabilities(np.ones((3, 1000)), 3, 1000)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("off", [0.9e-5, -0.9e-5])
def test_row_sums_may_miss_1_by_float32_rounding(off: float) -> None:
    assert check_probabilities([[0.5, 0.5 + off]], 1, 2).shape == (1, 2)


@pytest.mark.parametrize("off", [1.1e-5, -1.1e-5])
def test_row_sums_may_not_miss_1_by_more(off: float) -> None:
    with pytest.raises(ProbabilityError, match="do not sum to 1"):
        check_probabilities([[0.5, 0.5 + off]], 1, 2)


@given(hnp.arrays(np.float32, (5, 4), elements=st.floats(-50, 50, width=32)))
def test_any_softmax_in_float32_is_accepted_and_copied(Z: Array) -> None:
    P = softmax(Z)
    checked = check_probabilities(P, 5, 4)
    assert checked.dtype == np.float64
    assert not np.shares_memory(checked, P)
    np.testing.assert_allclose(checked, P.astype(np.float64), rtol=1e-6)


@st.composite
def nearly_probabilities(draw: st.DrawFn) -> tuple[Array, Array]:
    """Labels, and rows whose sums miss 1 by up to slightly more than the tolerance."""
    P, y = draw(tables())
    off = draw(hnp.arrays(float, len(P), elements=st.floats(-1.1 * TOLERANCE, 1.1 * TOLERANCE)))
    return P * (1 + off)[:, None], y


@given(nearly_probabilities())
def test_no_likelihood_of_accepted_probabilities_is_above_1(table: tuple[Array, Array]) -> None:
    P, y = table
    try:
        checked = check_probabilities(P, *P.shape)
    except ProbabilityError:
        assume(False)
    np.testing.assert_allclose(checked.sum(axis=1), 1, rtol=1e-15 * P.shape[1])
    scores = score(checked, y)
    assert scores["likelihood"] <= 1
    assert scores["nll"] >= 0


@given(nearly_probabilities())
def test_no_likelihood_of_an_epoch_is_above_1(table: tuple[Array, Array]) -> None:
    P, y = table
    with np.errstate(divide="ignore"):
        epoch_likelihood = likelihood(np.log(P), y)
    assert np.isnan(epoch_likelihood) or 0 <= epoch_likelihood <= 1


def test_rows_are_divided_by_their_sum_before_they_are_scored() -> None:
    P = check_probabilities([[1.000009, 0.0], [0.25, 0.749995]], 2, 2)
    np.testing.assert_array_equal(P[0], [1, 0])
    np.testing.assert_allclose(P[1], np.array([0.25, 0.749995]) / 0.999995, rtol=1e-15)


def test_rows_that_sum_to_1_are_scored_unchanged() -> None:
    given = np.array([[0.25, 0.75], [1.0, 0.0]])
    np.testing.assert_array_equal(check_probabilities(given, 2, 2), given)


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ([np.log(0.5), np.log(0.5 + 0.9e-5)], 0.5 / (1 + 0.9e-5)),
        ([np.log(1 + 0.9e-5), -np.inf], 1),
        ([np.log(0.5), np.log(0.5 + 1.1e-5)], np.nan),
        ([0.0, 0.0], np.nan),
        ([5.0, -np.inf], np.nan),
        ([1e4, 0.0], np.nan),
        ([-np.inf, -np.inf], np.nan),
    ],
)
def test_an_epoch_s_likelihood_is_nan_unless_probabilities_sum_to_1(
    row: list[float], expected: float
) -> None:
    epoch_likelihood = likelihood(np.array([row]), np.array([0]))
    assert epoch_likelihood == pytest.approx(expected, rel=1e-12, nan_ok=True)
