"""What a run measured, as pandas DataFrames read from the store."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pandas as pd

    from harness.values import Run


@dataclass(frozen=True, slots=True, eq=False)
class Frames:
    """One run as DataFrames, the only thing that a report sees.

    Args:
        run: the run itself.
        results: one row a trial, in the order in which trials were planned. Columns:
            ``result_id``, ``dataset`` and ``model`` (with parameters, as people write them),
            ``device``, ``repeat``, ``status`` (``ok``, ``failed``, ``timeout``, ``crashed``,
            ``skipped``), ``split_kind`` (``fresh``, ``resampled``, ``fixed``; None where the trial
            never got that far), ``baseline`` (bool), ``n_train``, ``n_test``; scores (NaN unless
            ``ok``): ``accuracy``, ``nll``, ``nll_sd`` (over the test rows), ``likelihood``,
            ``brier``, ``balanced_accuracy``, ``auc``, ``ece``, ``clipped`` (test rows whose class
            was given probability 0); seconds: ``import_seconds``, ``make_seconds``,
            ``fit_seconds``, ``first_predict_seconds`` (the whole test part),
            ``predict_seconds`` (per row); ``failure_kind``, ``reason``, ``traceback``, ``output``
            (None where it did not fail).
        traces: called without arguments: ``result_id``, ``epoch``, ``train_likelihood``,
            ``test_likelihood``.
        predictions: called with result ids: ``result_id``, ``row`` (0..n_test-1, the same order
            for every model of a dataset and repeat), ``true``, ``predicted``,
            ``log_probability``.
    """

    run: Run
    results: pd.DataFrame
    traces: Callable[[], pd.DataFrame]
    predictions: Callable[[Sequence[int]], pd.DataFrame]
