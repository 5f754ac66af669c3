"""Classifiers of scikit-learn."""

from __future__ import annotations

from typing import TYPE_CHECKING

import harness

if TYPE_CHECKING:
    from collections.abc import Iterator

SCALED = harness.Needs(scaled=True)
FIRST_USE = "harness_sklearn.first_use"


@harness.hookimpl
def harness_models() -> Iterator[harness.Model]:
    """Six classifiers, with defaults that are good for both likelihood and accuracy."""
    yield harness.Model(
        "sklearn-logistic",
        harness.estimator("sklearn.linear_model:LogisticRegression", max_iter=1000),
        needs=SCALED,
        description="Logistic regression with an L2 penalty.",
        tags=("linear",),
        requires=("sklearn.linear_model", FIRST_USE),
    )
    yield harness.Model(
        "sklearn-knn",
        harness.estimator("sklearn.neighbors:KNeighborsClassifier", n_neighbors=15),
        needs=SCALED,
        description="Shares of the classes among the nearest rows.",
        tags=("neighbours",),
        requires=("sklearn.neighbors", FIRST_USE),
    )
    yield harness.Model(
        "sklearn-gaussian-nb",
        harness.estimator("sklearn.naive_bayes:GaussianNB", var_smoothing=0.1),
        needs=SCALED,
        description="Naive Bayes with a normal distribution for each feature and class.",
        tags=("bayes",),
        requires=("sklearn.naive_bayes", FIRST_USE),
    )
    yield harness.Model(
        "sklearn-lda",
        harness.estimator(
            "sklearn.discriminant_analysis:LinearDiscriminantAnalysis",
            solver="lsqr",
            shrinkage="auto",
        ),
        needs=SCALED,
        description="Linear discriminant analysis, its covariance shrunk as Ledoit and Wolf do.",
        tags=("linear", "bayes"),
        requires=("sklearn.discriminant_analysis", FIRST_USE),
    )
    yield harness.Model(
        "sklearn-random-forest",
        harness.estimator("sklearn.ensemble:RandomForestClassifier", n_estimators=200),
        description="Mean of decision trees, each grown on rows and features drawn at random.",
        tags=("tree", "ensemble"),
        requires=("sklearn.ensemble", FIRST_USE),
    )
    yield harness.Model(
        "sklearn-hist-gradient-boosting",
        harness.estimator("sklearn.ensemble:HistGradientBoostingClassifier", max_iter=50),
        needs=harness.Needs(frame=True, finite=False),
        description="Gradient-boosted trees on binned features; splits categories as they are.",
        tags=("tree", "ensemble"),
        requires=("sklearn.ensemble", "pandas", FIRST_USE),
    )
