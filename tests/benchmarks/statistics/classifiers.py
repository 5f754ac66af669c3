"""Real classifiers of scikit-learn, three classes, and ≈ by accuracy.

Data, splits and scores are made here; the harness only judges the losses and hits.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from benchmarks.statistics.cases import Case
from benchmarks.statistics.drawing import Drawn, stored
from benchmarks.statistics.intervals import NAMES

from harness.statistics.scores import against_best, interval

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.statistics.intervals import Score
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Bools = NDArray[np.bool_]
    Labels = NDArray[np.intp]

ROWS, TESTED, CLASSES = 300, 75, 3
FEATURES = 3
CENTRES = np.array([[1.0, 0.0, 0.0], [-0.5, 0.9, 0.0], [-0.5, -0.9, 0.0]])
"""Class means; the third feature carries no information."""

POOL = 150
"""Number of tables over which the true score is averaged."""

COVER = "95% intervals of the {} cover, scikit-learn, three classes"
ALIKE = "of equal models, ≈ by accuracy is missing from any"


def cases() -> Iterator[Case]:
    """Coverage of `interval` and type I errors of `against_best`."""
    scores: tuple[Score, ...] = ("accuracy", "nll")
    for name in ("logistic regression", "tree of depth 3"):
        for how in ("resampled, 5 repeats", "10 folds"):
            for score in scores:
                yield Case(
                    COVER.format(NAMES[score]),
                    f"{name}, {how}, {ROWS} rows",
                    "at least 93%",
                    0.93,
                    at_most=False,
                    runs=200,
                    run=covers(name, how, score),
                )
    for m in (2, 10, 40):
        yield alike(f"{m} models, 5 repeats; fresh", repeated(m, "fresh", 5))
        yield alike(f"{m} models, 1 repeat; fixed", repeated(m, "fixed", 1))
    for m in (2, 5):
        for how in ("resampled, 5 repeats", "10 folds"):
            yield alike(
                f"{m} logistic regressions, each on features of its own, three classes; {how}",
                own_features(m, how),
                runs=200,
            )


def alike(setting: str, run: Callable[[int], float], runs: int = 400) -> Case:
    """A case of equal models."""
    return Case(ALIKE, setting, "at most 6%", 0.06, at_most=True, runs=runs, run=run)


def classifier(name: str) -> Any:
    """A new, deterministic classifier."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.tree import DecisionTreeClassifier

    if name == "logistic regression":
        return LogisticRegression()
    return DecisionTreeClassifier(max_depth=3, min_samples_leaf=5, random_state=0)


def scored(name: str, X: Floats, y: Labels, X_test: Floats, y_test: Labels) -> tuple[Floats, Bools]:
    """Losses and hits of a fit; the probabilities of a leaf are smoothed slightly."""
    fitted = classifier(name).fit(X, y)
    p = 0.97 * fitted.predict_proba(X_test) + 0.01
    return -np.log(p[np.arange(len(y_test)), y_test]), p.argmax(axis=1) == y_test


def drawn_rows(rng: np.random.Generator, y: Labels) -> Floats:
    """Rows of these classes."""
    return rng.normal(size=(len(y), FEATURES)) + CENTRES[y]


def parts(rng: np.random.Generator, y: Labels, how: str) -> list[Bools]:
    """Test parts with equal shares of each class."""
    by_class = [np.flatnonzero(y == label) for label in range(CLASSES)]
    if how == "10 folds":
        order = np.concatenate([rng.permutation(rows) for rows in by_class])
        fold = np.empty(len(y), dtype=int)
        fold[order] = np.arange(len(y)) % 10
        return [fold == i for i in range(10)]
    test_parts = []
    for _ in range(5):
        test = np.zeros(len(y), dtype=bool)
        for rows in by_class:
            test[rng.permutation(rows)[: TESTED // CLASSES]] = True
        test_parts.append(test)
    return test_parts


def told(name: str, tables: list[Floats], y: Labels, rng: np.random.Generator, how: str) -> Drawn:
    """The losses and hits of a model on each of several tables of the same rows."""
    tests = parts(rng, y, how)
    both = [[scored(name, X[~t], y[~t], X[t], y[t]) for t in tests] for X in tables]
    losses, hits = (np.array([[pair[part] for pair in row] for row in both]) for part in (0, 1))
    kind = "10-fold" if how == "10 folds" else "resampled"
    return stored(losses, hits, kind=kind, n_train=ROWS - losses.shape[2])


@cache
def truth(name: str, n_train: int) -> dict[str, float]:
    """The true score of a classifier after training on this many rows of balanced classes."""
    rng = np.random.default_rng(54321)
    y, y_new = np.arange(n_train) % CLASSES, np.arange(3000) % CLASSES
    scores = []
    for _ in range(POOL):
        loss, hit = scored(name, drawn_rows(rng, y), y, drawn_rows(rng, y_new), y_new)
        scores.append((hit.mean(), loss.mean()))
    accuracy, nll = np.mean(scores, axis=0)
    return {"accuracy": float(accuracy), "nll": float(nll)}


def covers(name: str, how: str, score: Score) -> Callable[[int], float | None]:
    """Whether an interval covers, for splits of a table drawn from the population."""

    def run(seed: int) -> float | None:
        rng = np.random.default_rng([seed, 11])
        y = np.arange(ROWS) % CLASSES
        drawn = told(name, [drawn_rows(rng, y)], y, rng, how)
        shown = interval(drawn.cells[0], score)
        if np.isnan(shown.low):
            return None
        n_train = ROWS - ROWS // 10 if how == "10 folds" else ROWS - TESTED
        return float(shown.low <= truth(name, n_train)[score] <= shown.high)

    return run


def any_apart(drawn: Drawn) -> float:
    comparisons = against_best(drawn.cells, "accuracy", drawn.rows).values()
    return float(any(comparison.told_apart for comparison in comparisons))


def repeated(m: int, kind: str, J: int, n: int = 100) -> Callable[[int], float]:
    """Rows that are equally hard for all models, and models that are right at random."""

    def run(seed: int) -> float:
        rng = np.random.default_rng([seed, m, J, 12])
        easy = rng.beta(4, 1, size=(J, n))
        hits = rng.random((m, J, n)) < easy
        return any_apart(stored(np.where(hits, 0.3, 1.4), hits, kind=kind))

    return run


def own_features(m: int, how: str) -> Callable[[int], float]:
    """A classifier on several independent tables of equally informative features."""

    def run(seed: int) -> float:
        rng = np.random.default_rng([seed, m, 13])
        y = np.arange(ROWS) % CLASSES
        tables = [drawn_rows(rng, y) for _ in range(m)]
        return any_apart(told("logistic regression", tables, y, rng, how))

    return run
