"""CatBoost with the categories of a DataFrame, of which some may be missing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import harness

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Self

    import pandas as pd

    from harness import Array

MISSING = "(missing)"
"""The category of a missing value: CatBoost takes NaN in columns of numbers only."""


class catboost(harness.estimator):  # noqa: N801  # called like a function, as its base is
    """As `harness.estimator`, for CatBoost's classifier, which must be told the categories."""

    def __call__(self, setting: harness.Setting, **parameters: Any) -> harness.Classifier:
        """A new classifier."""
        if not setting.categorical:
            return super().__call__(setting, **parameters)
        parameters = {"cat_features": list(setting.categorical)} | parameters
        return WithCategories(super().__call__(setting, **parameters), setting.categorical)


class WithCategories:
    """A classifier that gets categories as texts, without missing values.

    Args:
        classifier: gets DataFrames.
        categorical: indices of the columns that hold categories.
    """

    def __init__(self, classifier: Any, categorical: Sequence[int]) -> None:
        self.classifier = classifier
        self.categorical = tuple(categorical)

    def fit(self, X: Any, y: Array) -> Self:
        """Learn from X, a DataFrame (n_samples, n_features), and y (n_samples,) of 0..K-1."""
        self.classifier.fit(self._texts(X), y)
        return self

    def predict_proba(self, X: Any) -> Any:
        """Probabilities (n_samples, n_classes) of X, a DataFrame."""
        return self.classifier.predict_proba(self._texts(X))

    def _texts(self, X: pd.DataFrame) -> pd.DataFrame:
        names = [X.columns[i] for i in self.categorical]
        texts = {name: X[name].astype(object).where(X[name].notna(), MISSING) for name in names}
        return X.assign(**texts)
