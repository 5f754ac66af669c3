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
    """Classifiers, with defaults that are good for both likelihood and accuracy."""
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
    yield harness.Model(
        "sklearn-lda-plain",
        harness.estimator("sklearn.discriminant_analysis:LinearDiscriminantAnalysis"),
        description="Linear discriminant analysis with scikit-learn's defaults: no shrinkage.",
        tags=("linear", "bayes", "plain"),
        requires=("sklearn.discriminant_analysis", FIRST_USE),
    )
    yield harness.Model(
        "sklearn-knn-unscaled",
        harness.estimator("sklearn.neighbors:KNeighborsClassifier", n_neighbors=15),
        description="Shares of the classes among the nearest rows; columns are not scaled.",
        tags=("neighbours", "plain"),
        requires=("sklearn.neighbors", FIRST_USE),
    )
    yield harness.Model(
        "sklearn-qda",
        harness.estimator(
            "sklearn.discriminant_analysis:QuadraticDiscriminantAnalysis", reg_param=0.1
        ),
        needs=SCALED,
        description="Quadratic discriminant analysis, its covariances shrunk by a tenth.",
        tags=("bayes",),
        requires=("sklearn.discriminant_analysis", FIRST_USE),
    )
    yield harness.Model(
        "sklearn-svc",
        # scikit-learn 1.9 advises this calibration in place of SVC(probability=True).
        harness.estimator("sklearn.svm:SVC", proba="sigmoid"),
        needs=SCALED,
        description="Support vectors with an RBF kernel, calibrated over 5 folds by a sigmoid.",
        tags=("kernel",),
        requires=("sklearn.svm", "sklearn.calibration", FIRST_USE),
    )
    yield harness.Model(
        "sklearn-extra-trees",
        harness.estimator("sklearn.ensemble:ExtraTreesClassifier", n_estimators=200),
        description="Mean of decision trees that split at random thresholds.",
        tags=("tree", "ensemble", "slow"),
        requires=("sklearn.ensemble", FIRST_USE),
        by_default=False,
    )
    yield harness.Model(
        "sklearn-decision-tree",
        harness.estimator("sklearn.tree:DecisionTreeClassifier", min_samples_leaf=10),
        description="A decision tree with at least 10 rows in each leaf.",
        tags=("tree",),
        requires=("sklearn.tree", FIRST_USE),
    )
    yield harness.Model(
        "sklearn-mlp",
        harness.estimator("sklearn.neural_network:MLPClassifier", alpha=0.1, max_iter=500),
        needs=SCALED,
        description="A multilayer perceptron with 100 hidden units and an L2 penalty.",
        tags=("network", "slow"),
        requires=("sklearn.neural_network", FIRST_USE),
        by_default=False,
    )
