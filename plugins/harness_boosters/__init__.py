"""Gradient boosting by LightGBM, XGBoost and CatBoost.

Each model's defaults follow what its own library's documentation advises:

- LightGBM, "Parameters Tuning", for better accuracy: a small learning rate with many trees (here
  half and double the defaults: 0.05 and 200). "Parameters" advises ``deterministic`` with
  ``force_row_wise`` for results that repeat.
- XGBoost, "Notes on Parameter Tuning", against overfitting: random rows and columns, and a smaller
  step with more trees (here 0.8, 0.8, 0.1 and 200). "Categorical Data" advises
  ``enable_categorical``.
- CatBoost, "Parameter tuning": the defaults, 1,000 trees and a learning rate that the library
  derives from the table, and no one-hot encoding.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

import harness
from harness_boosters.categories import catboost

if TYPE_CHECKING:
    from collections.abc import Iterator

FRAME = harness.Needs(frame=True, finite=False)
FIRST_USE = "harness_boosters.first_use"


@harness.hookimpl
def harness_models() -> Iterator[harness.Model]:
    """Three libraries' boosted trees; by default, those run that are installed and not slow."""
    yield harness.Model(
        "lightgbm",
        harness.estimator(
            "lightgbm:LGBMClassifier",
            n_estimators=200,
            learning_rate=0.05,
            deterministic=True,
            force_row_wise=True,
            verbose=-1,
        ),
        needs=FRAME,
        description="LightGBM: boosted trees, grown leaf by leaf; splits categories as they are.",
        tags=("tree", "ensemble", "boosting"),
        requires=("lightgbm", "sklearn", "pandas", FIRST_USE),
        by_default=find_spec("lightgbm") is not None,
    )
    yield harness.Model(
        "xgboost",
        harness.estimator(
            "xgboost:XGBClassifier",
            n_estimators=200,
            learning_rate=0.1,
            subsample=0.8,
            colsample_bytree=0.8,
            enable_categorical=True,
        ),
        needs=FRAME,
        description="XGBoost: boosted trees on random rows and columns; splits categories as such.",
        tags=("tree", "ensemble", "boosting"),
        requires=("xgboost", "sklearn", "pandas", FIRST_USE),
        by_default=find_spec("xgboost") is not None,
    )
    yield harness.Model(
        "catboost",
        catboost("catboost:CatBoostClassifier", verbose=False, allow_writing_files=False),
        needs=FRAME,
        description="CatBoost: 1,000 symmetric boosted trees; encodes categories by their classes.",
        tags=("tree", "ensemble", "boosting", "slow"),
        requires=("catboost", "sklearn", "pandas", FIRST_USE),
        by_default=False,
    )
