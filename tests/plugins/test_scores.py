"""Metrics equal scikit-learn's, with weights too; the values of rows average to the score."""

from __future__ import annotations

import inspect
import warnings
from typing import TYPE_CHECKING, Any

import harness_scores
import numpy as np
import pytest
from sklearn import metrics as sk
from sklearn.preprocessing import label_binarize

if TYPE_CHECKING:
    from collections.abc import Callable

    import harness

METRICS = {metric.name: metric for metric in harness_scores.harness_metrics()}
NAMES = ("low", "middle", "high", "top", "rest")


def case(seed: int) -> tuple[Any, Any, Any]:
    """Labels, probabilities with ties among them, and weights, of 2 to 5 classes."""
    rng = np.random.default_rng(seed)
    n, K = int(rng.integers(8, 80)), int(rng.integers(2, 6))
    y = np.concatenate([np.arange(K), rng.integers(0, K, n)])
    P = rng.dirichlet(np.ones(K) * rng.choice([0.3, 3.0]), len(y))
    P = 0.5 * P + 0.5 * np.eye(K)[rng.permutation(y)]
    if seed % 3 == 0:
        P = np.round(P, 1) + 0.01
    P /= P.sum(axis=1, keepdims=True)
    return y, P, rng.random(len(y)) * 3


def one_hot(y: Any, K: int) -> Any:
    Y = label_binarize(y, classes=np.arange(K))
    return np.hstack([1 - Y, Y]) if K == 2 else Y


def sk_auc(y: Any, P: Any, w: Any) -> float:
    if P.shape[1] == 2:
        return float(sk.roc_auc_score(y, P[:, 1], sample_weight=w))
    Y = one_hot(y, P.shape[1])
    return float(np.mean([sk.roc_auc_score(t, p, sample_weight=w) for t, p in zip(Y.T, P.T)]))  # noqa: B905


def sk_average_precision(y: Any, P: Any, w: Any) -> float:
    if P.shape[1] == 2:
        return float(sk.average_precision_score(y, P[:, 1], sample_weight=w))
    return float(sk.average_precision_score(one_hot(y, P.shape[1]), P, sample_weight=w))


def of_class(score: Callable[..., Any]) -> Callable[..., float]:
    """A score of the second class."""
    return lambda y, P, w: float(
        score(y == 1, P.argmax(axis=1) == 1, sample_weight=w, zero_division=0)
    )


def of_labels(score: Callable[..., Any], **given: Any) -> Callable[..., float]:
    return lambda y, P, w: float(score(y, P.argmax(axis=1), sample_weight=w, **given))


ORACLES: dict[str, tuple[dict[str, Any], Callable[..., float]]] = {
    "auc": ({}, sk_auc),
    "average-precision": ({}, sk_average_precision),
    "balanced-accuracy": ({}, of_labels(sk.balanced_accuracy_score)),
    "f1-macro": ({}, of_labels(sk.f1_score, average="macro")),
    "f1-weighted": ({}, of_labels(sk.f1_score, average="weighted")),
    "f1": ({"positive": "middle"}, of_class(sk.f1_score)),
    "precision": ({"positive": "middle"}, of_class(sk.precision_score)),
    "recall": ({"positive": "middle"}, of_class(sk.recall_score)),
    "log-loss": (
        {},
        lambda y, P, w: sk.log_loss(y, P, sample_weight=w, labels=range(P.shape[1])),
    ),
    "mcc": ({}, of_labels(sk.matthews_corrcoef)),
    "top-k": (
        {"k": 1},
        lambda y, P, w: (
            sk.top_k_accuracy_score(y, P, k=1, sample_weight=w, labels=range(P.shape[1]))
            if P.shape[1] > 2
            else sk.accuracy_score(y, P[:, 1] >= 0.5, sample_weight=w)
        ),
    ),
    "expected-cost": ({}, lambda y, P, w: 1 - sk.accuracy_score(y, P.argmax(1), sample_weight=w)),
}


def call(metric: harness.Metric, y: Any, P: Any, w: Any, parameters: dict[str, Any]) -> Any:
    takes = inspect.signature(metric.score).parameters
    offered = {"sample_weight": w, "class_names": NAMES[: P.shape[1]]}
    extras = {name: value for name, value in offered.items() if name in takes}
    second = P.argmax(axis=1) if metric.of == "labels" else P
    return metric.score(y, second, **parameters, **extras)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", ORACLES)
def test_a_metric_equals_scikit_learns(name: str, weighted: bool) -> None:
    parameters, oracle = ORACLES[name]
    for seed in range(100):
        y, P, w = case(seed)
        weights = w if weighted else None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            expected = oracle(y, P, weights)
        metric = METRICS[name]
        answer = np.asarray(call(metric, y, P, weights, parameters))
        found = float(answer) if not answer.ndim else float(np.average(answer, weights=weights))
        assert found == pytest.approx(expected, abs=1e-12), seed


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("auc", {}),
        ("balanced-accuracy", {}),
        ("f1-macro", {}),
        ("f1-weighted", {}),
        ("f1", {"positive": "middle"}),
        ("precision", {"positive": "middle"}),
        ("recall", {"positive": "middle"}),
        ("mcc", {}),
    ],
)
def test_the_values_of_rows_tell_the_scores_standard_error(
    name: str, parameters: dict[str, Any]
) -> None:
    """The oracle is the jackknife, which leaves out one row at a time."""
    rng = np.random.default_rng(0)
    n = 300
    y = rng.integers(0, 3, n)
    P = 0.6 * rng.dirichlet(np.ones(3), n) + 0.4 * np.eye(3)[y]
    metric, no_weights = METRICS[name], None
    rows = np.asarray(call(metric, y, P, no_weights, parameters))
    without = [
        np.mean(call(metric, np.delete(y, i), np.delete(P, i, axis=0), no_weights, parameters))
        for i in range(n)
    ]
    jackknife = np.sqrt((n - 1) * np.var(without))
    assert rows.std(ddof=1) / np.sqrt(n) == pytest.approx(jackknife, rel=0.02)


def test_a_class_without_weight_does_not_count_and_is_named_where_it_is_needed() -> None:
    y, w = np.array([0, 0, 1, 1]), np.array([1.0, 3.0, 0.0, 0.0])
    P = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.3, 0.7]])
    balanced = call(METRICS["balanced-accuracy"], y, P, w, {})
    assert np.average(balanced, weights=w) == pytest.approx(1 / 4)  # the recall of the first class
    with pytest.raises(ValueError, match="all test rows with a weight above 0 have one class"):
        call(METRICS["auc"], y, P, w, {})
    with pytest.raises(ValueError, match=r"all test rows of the class '.*' have weight 0"):
        call(METRICS["average-precision"], y, P, w, {})
