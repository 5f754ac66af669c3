"""How often the verdict over several datasets is right: ties, and the intervals of leads."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from benchmarks.statistics.cases import Case
from benchmarks.statistics.drawing import simulated

from harness.analysis.ranking import tables
from harness.analysis.verdict import verdict
from harness.contract.values import Frames, Planned, Run
from harness.store.frames import timings_frame

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from harness.analysis.verdict import Verdict

    Floats = NDArray[np.float64]
    Losses = Callable[[np.random.Generator, Sequence[float]], Floats]

ALIKE = "the verdict over several datasets: of equal models, one does not tie with the best"
COVER = "the verdict over several datasets: 95% intervals of leads cover, likelihood"
FOUND = "the verdict over several datasets: share of the worse models that do not tie (power)"

KINDS = {
    "fresh, 5 repeats": "fresh",
    "resampled, 5 repeats": "resampled",
    "resampled, 20 repeats": "resampled",
    "10 folds": "10-fold",
    "fixed, 1 seed": "fixed",
    "fixed, 3 seeds": "fixed",
}
ROWS, TESTED = 200, 50
UNKNOWN = (
    *("balanced_accuracy", "auc", "ece", "predict_seconds", "import_seconds", "make_seconds"),
    *("first_predict_seconds", "fit_seconds", "peak_bytes", "device_peak_bytes", "model_bytes"),
)
WORSE = 0.5
"""Distance between the class means of a worse model's feature; the others have .7."""


def cases() -> Iterator[Case]:
    """Type I errors, coverage and power."""
    for how in KINDS:
        for n_datasets in (3, 10):
            for m in (2, 6, 20):
                yield Case(
                    ALIKE,
                    f"{m} models, {n_datasets} datasets; {how}",
                    "at most 6%",
                    0.06,
                    at_most=True,
                    runs=300,
                    run=alike(m, n_datasets, how),
                )
            yield Case(
                COVER,
                f"2 models, {n_datasets} datasets; {how}",
                "at least 93%",
                0.93,
                at_most=False,
                runs=300,
                run=covers(n_datasets, how),
            )
            yield Case(
                FOUND,
                f"6 models, 3 of them worse, {n_datasets} datasets; {how}",
                "",
                0.0,
                at_most=False,
                runs=100,
                run=power(6, n_datasets, how),
            )


def losses(rng: np.random.Generator, apart: Sequence[float], how: str) -> Floats:
    """Losses (n_models, n_repeats, n_test) on one dataset.

    Each model puts a threshold between the class means of a feature of its own. Models are equal if
    their features are equally informative: if the class means are equally far ``apart``.
    """
    m = len(apart)
    distance = np.asarray(apart)[:, None]
    if how.startswith("fresh"):
        drawn = [_fit(rng, distance) for _ in range(5)]
        return np.stack(drawn, axis=1)
    if how == "fixed, 1 seed":
        return _fit(rng, distance)[:, None]
    if how == "fixed, 3 seeds":  # the seed moves the threshold of each fit
        return _fit(rng, distance, moved=rng.normal(0, 0.2, (3, m, 1))).transpose(1, 0, 2)
    y = np.arange(ROWS) % 2 == 0
    X = rng.normal(size=(m, ROWS)) + np.where(y, distance, -distance)
    each = [_scored(X[:, ~test], y[~test], X[:, test], y[test]) for test in _tests(rng, y, how)]
    return np.stack(each, axis=1)


def _tests(rng: np.random.Generator, y: NDArray[np.bool_], how: str) -> list[NDArray[np.bool_]]:
    """The test parts of splits of one table, with equal numbers of both classes."""
    by_class = np.flatnonzero(y), np.flatnonzero(~y)
    if how == "10 folds":
        fold = np.empty(len(y), dtype=int)
        for rows in by_class:
            fold[rng.permutation(rows)] = np.arange(len(rows)) % 10
        return [fold == i for i in range(10)]
    test_parts = []
    for _ in range(20 if "20" in how else 5):
        test = np.zeros(len(y), dtype=bool)
        for rows in by_class:
            test[rng.permutation(rows)[: TESTED // 2]] = True
        test_parts.append(test)
    return test_parts


def _fit(rng: np.random.Generator, distance: Floats, moved: Floats | float = 0.0) -> Floats:
    """Losses (..., n_models, n_test) of fits to new training rows, on new test rows."""
    y, y_new = (np.arange(n) % 2 == 0 for n in (ROWS - TESTED, TESTED))
    X, X_new = (
        rng.normal(size=(len(distance), len(labels))) + np.where(labels, distance, -distance)
        for labels in (y, y_new)
    )
    return _scored(X, y, X_new, y_new, moved)


def _scored(
    X: Floats,
    y: NDArray[np.bool_],
    X_new: Floats,
    y_new: NDArray[np.bool_],
    moved: Floats | float = 0.0,
) -> Floats:
    low, high = (X[:, rows].mean(axis=1, keepdims=True) for rows in (~y, y))
    logits = (high - low) * (X_new - (low + high) / 2 - moved)
    return np.logaddexp(0, np.where(y_new, -logits, logits))


def judged(by_dataset: Sequence[Floats], how: str) -> Verdict:
    """What the harness says about losses (n_models, n_repeats, n_test) on each dataset."""
    kind = KINDS[how]
    results, readers, n = [], {}, 0
    for d, each in enumerate(by_dataset):
        n_train = ROWS - each.shape[2] if kind in ("resampled", "10-fold") else ROWS - TESTED
        frame, read = simulated(each, kind=kind, n_train=n_train)
        readers[n] = read
        results.append(frame.assign(dataset=f"d{d}", result_id=frame["result_id"] + n))
        n += len(frame)
    frame = pd.concat(results, ignore_index=True).assign(
        run_id=1,
        clipped=0,
        fitted_together=1,
        failure_kind=None,
        reason=None,
        **dict.fromkeys(UNKNOWN, np.nan),
    )
    frame["likelihood"] = np.exp(-frame["nll"])

    def predictions(ids: Sequence[int]) -> pd.DataFrame:
        parts = []
        for first, read in readers.items():
            size = by_dataset[0].shape[0] * by_dataset[0].shape[1]
            if own := [i - first for i in ids if first <= i < first + size]:
                part = read(own)
                parts.append(part.assign(result_id=part["result_id"] + first))
        return pd.concat(parts, ignore_index=True)

    m, n_repeats, _ = by_dataset[0].shape
    planned = tuple(
        Planned(f"d{d}", str(k), "cpu", n_repeats, baseline=False)
        for d in range(len(by_dataset))
        for k in range(m)
    )
    run = Run(1, "", "now", "later", {}, {}, n, planned)
    frames = Frames(
        run, frame, traces=pd.DataFrame, predictions=predictions, timings=timings_frame(())
    )
    return verdict(frames, tables(frames)["ranking"])


def alike(m: int, n_datasets: int, how: str) -> Callable[[int], float | None]:
    def run(seed: int) -> float | None:
        rng = np.random.default_rng([seed, m, n_datasets, 21])
        said = judged([losses(rng, [0.7] * m, how) for _ in range(n_datasets)], how)
        if any(not lead.tested for lead in said.leads):
            return None
        return float(len(said.tied) < m - 1)

    return run


@cache
def truth(how: str) -> float:
    """The true lead in likelihood of a feature of distance .7 over one of distance `WORSE`.

    A mean likelihood is the mean over datasets of exp(-mean NLL over repeats and rows), so the
    true value is exp(-NLL) of the mean over all possible tables.
    """
    rng = np.random.default_rng(2121)
    means = np.mean(
        [losses(rng, [0.7, WORSE] * 50, how).mean(axis=(1, 2)).reshape(50, 2) for _ in range(400)],
        axis=(0, 1),
    )
    better, worse = np.exp(-means)
    return float(better - worse)


def covers(n_datasets: int, how: str) -> Callable[[int], float | None]:
    def run(seed: int) -> float | None:
        rng = np.random.default_rng([seed, n_datasets, 22])
        said = judged([losses(rng, [0.7, WORSE], how) for _ in range(n_datasets)], how)
        (lead,) = said.leads
        if np.isnan(lead.low):
            return None
        sign = 1 if said.leader == "0" else -1
        return float(lead.low <= sign * truth(how) <= lead.high)

    return run


def power(m: int, n_datasets: int, how: str) -> Callable[[int], float]:
    def run(seed: int) -> float:
        rng = np.random.default_rng([seed, m, n_datasets, 23])
        apart = [0.7] * (m // 2) + [WORSE] * (m - m // 2)
        said = judged([losses(rng, apart, how) for _ in range(n_datasets)], how)
        return float(np.mean([str(k) not in (said.leader, *said.tied) for k in range(m // 2, m)]))

    return run
