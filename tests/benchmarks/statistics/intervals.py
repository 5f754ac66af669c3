"""Coverage of 95% intervals by kind of split, class shares, rows, and accuracies near 1."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Literal

import numpy as np
from benchmarks.statistics.cases import Case
from benchmarks.statistics.drawing import stored

from harness.statistics.scores import interval

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Score = Literal["accuracy", "nll"]

NAMES: dict[Score, str] = {"accuracy": "accuracy", "nll": "likelihood"}
POOL = 300
"""Number of tables over which the true score of a resampled dataset is averaged."""


def cases() -> Iterator[Case]:
    """Coverage of `interval`."""
    for margin, over in ((1.0, 1.0), (3.0, 1.0), (3.0, 2.0), (6.0, 1.0), (12.0, 1.0)):
        for kind, J in (("fixed", 1), ("fresh", 5)):
            for n in (10, 40, 200, 1000, 5000):
                if kind == "fresh" and n == 5000:
                    continue
                right, carry = known(margin, over)[0], known(margin, over)[2] * n * J
                yield Case(
                    "95% intervals of the likelihood cover",
                    f"{kind}, {J} repeats, {n} test rows, accuracy {right:.3f}"
                    f"{', overconfident' if over > 1 else ''}; {carry:.0f} rows carry the NLL",
                    "at least 93%" if n == 10 and kind == "fixed" else "at least 92%",
                    0.93 if n == 10 and kind == "fixed" else 0.92,
                    at_most=False,
                    runs=600,
                    run=near_one(kind, J, n, margin, over),
                    withheld=0.1 if carry >= 10 else 1.0,
                )
    scores: tuple[Score, ...] = ("accuracy", "nll")
    for share, rows in ((0.5, 400), (0.1, 400), (0.03, 400), (0.01, 400), (0.03, 2000)):
        for J in (5, 10):
            for score in scores:
                yield Case(
                    f"95% intervals of the {NAMES[score]} cover, at the table's class shares",
                    f"resampled, {J} repeats, {rows} rows, {round(share * rows)} positives",
                    "at least 93%",
                    0.93,
                    at_most=False,
                    runs=400,
                    run=one_table(share, rows, J, score),
                )


def draw_margins(rng: np.random.Generator, shape: tuple[int, ...], margin: float) -> Floats:
    """Log odds of the predicted class."""
    return np.abs(rng.normal(margin, margin / 2.5, shape))


@cache
def known(margin: float, over: float) -> tuple[float, float, float]:
    """Accuracy, NLL and the share of rows that carry the NLL, by numeric integration."""
    z = np.linspace(-margin, 5 * margin, 400_001)
    weight = np.exp(-(((z - margin) / (margin / 2.5)) ** 2) / 2)
    weight, z = weight / weight.sum(), np.abs(z)
    right = 1 / (1 + np.exp(-z))
    when_right, when_wrong = np.logaddexp(0, -z * over), np.logaddexp(0, z * over)
    nll = float(weight @ (right * when_right + (1 - right) * when_wrong))
    square = float(weight @ (right * when_right**2 + (1 - right) * when_wrong**2))
    return float(weight @ right), nll, nll**2 / square


def near_one(
    kind: str, J: int, n: int, margin: float, over: float
) -> Callable[[int], float | None]:
    """A model with correct log odds, or with log odds multiplied by a factor."""

    def run(seed: int) -> float | None:
        rng = np.random.default_rng([seed, J, n])
        z = draw_margins(rng, (1, J, n), margin)
        wrong = rng.random(z.shape) < 1 / (1 + np.exp(z))
        losses = np.logaddexp(0, np.where(wrong, z, -z) * over)
        shown = interval(stored(losses, ~wrong, kind=kind).cells[0], "nll")
        if np.isnan(shown.low):
            return None
        return float(shown.low <= known(margin, over)[1] <= shown.high)

    return run


def table(rng: np.random.Generator, positives: int, rows: int) -> tuple[Floats, NDArray[np.bool_]]:
    """Three features with unit variance around the class means."""
    y = np.arange(rows) < positives
    return rng.normal(size=(rows, 3)) + np.where(y, 0.8, -0.8)[:, None], y


def naive_bayes(
    X: Floats, y: NDArray[np.bool_], X_test: Floats, y_test: NDArray[np.bool_]
) -> tuple[Floats, NDArray[np.bool_]]:
    """Losses and hits of naive Bayes with one variance per feature; a separate implementation."""
    means = [X[y == k].mean(axis=0) for k in (False, True)]
    variance = (X - np.where(y[:, None], means[1], means[0])).var(axis=0)
    logits = np.log(y.mean() / (1 - y.mean())) + (
        ((X_test - means[0]) ** 2 - (X_test - means[1]) ** 2) / (2 * variance)
    ).sum(axis=1)
    return np.logaddexp(0, np.where(y_test, -logits, logits)), (logits > 0) == y_test


def halves(
    rng: np.random.Generator, y: NDArray[np.bool_], share: float = 0.25
) -> NDArray[np.bool_]:
    """A mask of the rows in a stratified test part."""
    test = np.zeros(len(y), dtype=bool)
    for k in (False, True):
        rows = rng.permutation(np.flatnonzero(y == k))
        test[rows[: max(1, round(share * len(rows)))]] = True
    return test


@cache
def truth(positives: int, rows: int) -> dict[str, float]:
    """The true score of naive Bayes after training on 3 of 4 rows, at the test parts' shares."""
    rng = np.random.default_rng(12345)
    scores = []
    for _ in range(POOL):
        X, y = table(rng, positives, rows)
        test = halves(rng, y)
        many = 20
        y_test = np.repeat(y[test], many)
        X_test = rng.normal(size=(len(y_test), 3)) + np.where(y_test, 0.8, -0.8)[:, None]
        loss, hit = naive_bayes(X[~test], y[~test], X_test, y_test)
        scores.append((hit.mean(), loss.mean()))
    accuracy, nll = np.mean(scores, axis=0)
    return {"accuracy": float(accuracy), "nll": float(nll)}


def one_table(share: float, rows: int, J: int, score: Score) -> Callable[[int], float | None]:
    """Whether an interval covers, for J splits of a table drawn from the population."""
    positives = round(share * rows)

    def run(seed: int) -> float | None:
        rng = np.random.default_rng([seed, J, rows])
        X, y = table(rng, positives, rows)
        scored = []
        for _ in range(J):
            test = halves(rng, y)
            scored.append(naive_bayes(X[~test], y[~test], X[test], y[test]))
        losses, hits = (np.array([pair[k] for pair in scored])[None] for k in (0, 1))
        drawn = stored(losses, hits, kind="resampled", n_train=rows - losses.shape[2])
        shown = interval(drawn.cells[0], score)
        if np.isnan(shown.low):
            return None
        return float(shown.low <= truth(positives, rows)[score] <= shown.high)

    return run
