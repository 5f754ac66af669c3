"""Metrics: further scores of classifiers, and scikit-learn's scorers by name."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import harness
from harness_scores import scores

if TYPE_CHECKING:
    from collections.abc import Iterator

INFINITE = float("inf")

SCORERS = {
    "accuracy": (0.0, 1.0),
    "balanced_accuracy": (0.0, 1.0),
    "average_precision": (0.0, 1.0),
    "d2_brier_score": (-INFINITE, 1.0),
    "d2_log_loss_score": (-INFINITE, 1.0),
    "f1": (0.0, 1.0),
    "f1_macro": (0.0, 1.0),
    "f1_micro": (0.0, 1.0),
    "f1_weighted": (0.0, 1.0),
    "jaccard": (0.0, 1.0),
    "jaccard_macro": (0.0, 1.0),
    "jaccard_micro": (0.0, 1.0),
    "jaccard_weighted": (0.0, 1.0),
    "matthews_corrcoef": (-1.0, 1.0),
    "neg_brier_score": (-2.0, 0.0),
    "neg_log_loss": (-INFINITE, 0.0),
    "precision": (0.0, 1.0),
    "precision_macro": (0.0, 1.0),
    "precision_micro": (0.0, 1.0),
    "precision_weighted": (0.0, 1.0),
    "recall": (0.0, 1.0),
    "recall_macro": (0.0, 1.0),
    "recall_micro": (0.0, 1.0),
    "recall_weighted": (0.0, 1.0),
    "roc_auc": (0.0, 1.0),
    "roc_auc_ovo": (0.0, 1.0),
    "roc_auc_ovo_weighted": (0.0, 1.0),
    "roc_auc_ovr": (0.0, 1.0),
    "roc_auc_ovr_weighted": (0.0, 1.0),
    "top_k_accuracy": (0.0, 1.0),
}
"""scikit-learn's scorers of classifiers, with their bounds."""


@harness.hookimpl
def harness_metrics() -> Iterator[harness.Metric]:
    """Metrics of labels and of probabilities."""
    yield harness.Metric(
        "auc",
        scores.auc,
        description="Area under the ROC curve, each class against the rest, averaged over classes.",
    )
    yield harness.Metric(
        "average-precision",
        scores.average_precision,
        description="Average precision of [positive=CLASS], or the second of two; else the mean.",
    )
    yield harness.Metric(
        "balanced-accuracy",
        scores.balanced_accuracy,
        "labels",
        description="Mean recall of the classes.",
    )
    yield harness.Metric(
        "ece",
        scores.calibration_error,
        greater_is_better=False,
        description="Expected calibration error, 15 bins of equal width; biased upwards.",
    )
    yield harness.Metric(
        "expected-cost",
        scores.expected_cost,
        greater_is_better=False,
        high=INFINITE,
        description="Mean cost by [matrix='0 1; 5 0']: a row for each true class.",
    )
    for average in ("macro", "weighted"):
        yield harness.Metric(
            f"f1-{average}",
            partial(scores.f1_mean, average=average),
            "labels",
            description=f"F1 score of each class, {average} average.",
        )
    for name, score in (("f1", scores.f1), ("precision", scores.precision)):
        yield harness.Metric(
            name,
            score,
            "labels",
            description=f"{name.capitalize()} of [positive=CLASS]; of two classes, the second.",
        )
    yield harness.Metric(
        "recall",
        scores.recall,
        "labels",
        description="Recall of [positive=CLASS]; of two classes, the second.",
    )
    yield harness.Metric(
        "log-loss",
        scores.log_loss,
        greater_is_better=False,
        high=INFINITE,
        description="Mean negative log likelihood of the right class, the same as nll.",
    )
    yield harness.Metric(
        "mcc",
        scores.matthews,
        "labels",
        low=-1.0,
        description="Matthews' correlation coefficient; 0 where only one class is predicted.",
    )
    yield harness.Metric(
        "top-k",
        scores.top_k,
        description="Share of the rows whose class is among the [k=2] most probable.",
    )
    for name, (low, high) in SCORERS.items():
        yield harness.Metric(
            f"sklearn-{name.replace('_', '-')}",
            partial(scores.scikit_learn, scorer=name),
            low=low,
            high=high,
            description=f"scikit-learn's scorer {name}.",
            tags=("sklearn",),
            requires=("sklearn.metrics",),
        )
