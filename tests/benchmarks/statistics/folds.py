"""Cross-validation: coverage of intervals, and type I errors for equal learners.

The hard cases are two unstable learners, which depend much on single training rows: the nearest
neighbour, and a stump, which splits one feature at a threshold. Naive Bayes is stable.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from benchmarks.statistics.cases import Case
from benchmarks.statistics.drawing import Drawn, stored
from benchmarks.statistics.intervals import NAMES, naive_bayes

from harness.statistics.scores import against_best, compare, interval

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.statistics.intervals import Score
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Bools = NDArray[np.bool_]
    Learn = Callable[[Floats, Bools, Floats, Bools], tuple[Floats, Bools]]

FEATURES = 3
MANY_FEATURES = 10
"""Number of features of the hardest learner; more features make a stump less stable."""

WIDE_STUMP = f"stump of {MANY_FEATURES} features"
SHIFT = 0.5
"""Distance of each feature's mean from 0 in standard deviations; its sign depends on the class."""

POOL = 300
"""Number of tables over which the true score is averaged."""

COVER = "95% intervals of the {} cover, cross-validation at the table's class shares"
ALIKE = "two equal learners, each on features of its own, have p < 0.05 by {}, cross-validation"
MARKED = "of equal models, ≈ is missing from any, cross-validation"
FOUND = "a learner on one feature more is found better by {}, cross-validation (power)"
DESIGNS = ((10, 1, 100), (10, 1, 400), (5, 1, 100), (10, 3, 200), (2, 5, 100), (60, 1, 60))
"""Number of folds, of repetitions, and of rows."""

WIDE_DESIGNS = ((10, 1, 100), (10, 1, 200))


def cases() -> Iterator[Case]:
    """Coverage of `interval`, type I errors of `compare` and `against_best`, and power."""
    for name in LEARNERS:
        # The nearest neighbour has only two possible losses, for right and for wrong predictions.
        scores: tuple[Score, ...] = ("accuracy",) if name == "1 neighbour" else ("accuracy", "nll")
        for k, R, rows in WIDE_DESIGNS if name == WIDE_STUMP else DESIGNS:
            for score in scores:
                at = f"{name}, {design(k, R)}, {rows} rows"
                yield Case(
                    COVER.format(NAMES[score]),
                    at,
                    "at least 93%",
                    0.93,
                    at_most=False,
                    runs=400,
                    run=covers(name, k, R, rows, rows // 2, score),
                )
                yield Case(
                    ALIKE.format(NAMES[score]),
                    at,
                    "at most 6%",
                    0.06,
                    at_most=True,
                    runs=400,
                    run=told_apart(name, k, R, rows, score, FEATURES),
                )
    for positives, rows in ((40, 400), (12, 400)):
        for score in ("accuracy", "nll"):
            yield Case(
                COVER.format(NAMES[score]),
                f"naive Bayes, {design(10, 1)}, {rows} rows, {positives} positives",
                "at least 93%",
                0.93,
                at_most=False,
                runs=400,
                run=covers("naive Bayes", 10, 1, rows, positives, score),
            )
    for m in (2, 10, 40):
        for k, R in ((10, 1), (10, 2)):
            yield Case(
                MARKED,
                f"{m} models that cut a feature of their own, {design(k, R)}, 200 rows, NLL",
                "at most 6%",
                0.06,
                at_most=True,
                runs=400,
                run=marked(m, k, R, 200),
            )
    for rows in (100, 400):
        for k, R in ((10, 1), (10, 3), (5, 1)):
            yield Case(
                FOUND.format("likelihood"),
                f"naive Bayes, {FEATURES} features and 1, {design(k, R)}, {rows} rows",
                "",
                0.0,
                at_most=False,
                runs=200,
                run=told_apart("naive Bayes", k, R, rows, "nll", 1),
            )


def design(k: int, R: int) -> str:
    """Description of a design, such as ``10 folds, 3 repetitions``."""
    return f"{k} folds, {R} repetition{'s' if R > 1 else ''}"


def neighbour(X: Floats, y: Bools, X_test: Floats, y_test: Bools) -> tuple[Floats, Bools]:
    """Predict the class of the nearest training row, at odds of four to one."""
    squares = ((X_test[:, None] - X[None]) ** 2).sum(axis=2)
    hit = y[squares.argmin(axis=1)] == y_test
    return np.where(hit, -np.log(0.8), -np.log(0.2)), hit


def stump(X: Floats, y: Bools, X_test: Floats, y_test: Bools) -> tuple[Floats, Bools]:
    """Predict by the split of one feature with the highest likelihood, with smoothed shares."""
    n = len(y)
    left = np.arange(1, n)[:, None]
    order = X.argsort(axis=0)
    ones = y[order].cumsum(axis=0)  # (n, n_features)
    low, high = ones[:-1], ones[-1] - ones[:-1]
    p_low, p_high = (low + 0.5) / (left + 1), (high + 0.5) / (n - left + 1)
    loss = -(
        low * np.log(p_low)
        + (left - low) * np.log(1 - p_low)
        + high * np.log(p_high)
        + (n - left - high) * np.log(1 - p_high)
    )
    least, feature = np.unravel_index(loss.argmin(), loss.shape)
    before, after = X[order[least, feature], feature], X[order[least + 1, feature], feature]
    p = np.where(
        X_test[:, feature] < (before + after) / 2, p_low[least, feature], p_high[least, feature]
    )
    return -np.log(np.where(y_test, p, 1 - p)), (p > 0.5) == y_test


LEARNERS: dict[str, Learn] = {
    "naive Bayes": naive_bayes,
    "1 neighbour": neighbour,
    "stump": stump,
    WIDE_STUMP: stump,
}


def features_of(name: str) -> int:
    """The number of features of a learner."""
    return MANY_FEATURES if name == WIDE_STUMP else FEATURES


def drawn_features(rng: np.random.Generator, y: Bools, n_features: int = FEATURES) -> Floats:
    """Feature rows of these classes."""
    return rng.normal(size=(len(y), n_features)) + np.where(y, SHIFT, -SHIFT)[:, None]


def dealt(rng: np.random.Generator, y: Bools, k: int) -> NDArray[np.intp]:
    """The fold of each row: the rows of each class are shuffled and dealt to the folds in turn."""
    order = np.concatenate([rng.permutation(np.flatnonzero(y == label)) for label in (False, True)])
    fold = np.empty(len(y), dtype=np.intp)
    fold[order] = np.arange(len(y)) % k
    return fold


def validated(
    learn: Learn, tables: Floats, y: Bools, parts: list[NDArray[np.intp]], k: int
) -> tuple[Floats, Bools]:
    """Losses and hits (n_models, R k, rows / k), with one model per table of the same rows."""
    scored = [
        [
            learn(X[fold != i], y[fold != i], X[fold == i], y[fold == i])
            for fold in parts
            for i in range(k)
        ]
        for X in tables
    ]
    losses, hits = (np.array([[pair[part] for pair in row] for row in scored]) for part in (0, 1))
    return losses, hits


@cache
def truth(name: str, k: int, rows: int, positives: int) -> dict[str, float]:
    """The true score of a learner after training on all folds except one."""
    rng = np.random.default_rng(12345)
    y = np.arange(rows) < positives
    scores = []
    for _ in range(POOL):
        n_features = features_of(name)
        X, test = drawn_features(rng, y, n_features), dealt(rng, y, k) == 0
        y_new = np.repeat(y, max(1, 2000 // rows))
        X_new = drawn_features(rng, y_new, n_features)
        loss, hit = LEARNERS[name](X[~test], y[~test], X_new, y_new)
        scores.append((hit.mean(), loss.mean()))
    accuracy, nll = np.mean(scores, axis=0)
    return {"accuracy": float(accuracy), "nll": float(nll)}


def covers(
    name: str, k: int, R: int, rows: int, positives: int, score: Score
) -> Callable[[int], float | None]:
    """Whether an interval covers, for cross-validation on a table drawn from the population."""

    def run(seed: int) -> float | None:
        rng = np.random.default_rng([seed, k, R, rows])
        y = np.arange(rows) < positives
        X = drawn_features(rng, y, features_of(name))
        parts = [dealt(rng, y, k) for _ in range(R)]
        drawn = _stored(*validated(LEARNERS[name], X[None], y, parts, k), k, rows)
        shown = interval(drawn.cells[0], score)
        if np.isnan(shown.low):
            return None
        return float(shown.low <= truth(name, k, rows, positives)[score] <= shown.high)

    return run


def told_apart(
    name: str, k: int, R: int, rows: int, score: Score, second: int
) -> Callable[[int], float | None]:
    """A learner on its features, compared with other equal features or with its first few."""

    def run(seed: int) -> float | None:
        rng = np.random.default_rng([seed, k, R, rows, 1])
        y = np.arange(rows) < rows // 2
        X = drawn_features(rng, y, features_of(name))
        other = drawn_features(rng, y, features_of(name)) if second == FEATURES else X[:, :second]
        parts = [dealt(rng, y, k) for _ in range(R)]
        both = [validated(LEARNERS[name], table[None], y, parts, k) for table in (X, other)]
        losses, hits = (np.concatenate([pair[part] for pair in both]) for part in (0, 1))
        drawn = _stored(losses, hits, k, rows)
        comparison = compare(drawn.cells[0], drawn.cells[1], score, drawn.rows)
        if np.isnan(comparison.p_value):
            return None
        better = second == FEATURES or comparison.difference < 0
        return float(comparison.told_apart and better)

    return run


def marked(m: int, k: int, R: int, rows: int) -> Callable[[int], float]:
    """Equal models: naive Bayes, each on a different feature."""

    def run(seed: int) -> float:
        rng = np.random.default_rng([seed, m, k, R, 2])
        y = np.arange(rows) < rows // 2
        tables = np.array([drawn_features(rng, y, 1) for _ in range(m)])
        parts = [dealt(rng, y, k) for _ in range(R)]
        drawn = _stored(*validated(naive_bayes, tables, y, parts, k), k, rows)
        comparisons = against_best(drawn.cells, "nll", drawn.rows)
        return float(any(comparison.told_apart for comparison in comparisons.values()))

    return run


def _stored(losses: Floats, hits: Bools, k: int, rows: int) -> Drawn:
    return stored(losses, hits, kind=f"{k}-fold", n_train=rows - rows // k)
