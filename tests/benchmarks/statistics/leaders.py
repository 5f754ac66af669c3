"""How often ≈ is missing from equal models, and how often it is missing from worse models."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from benchmarks.statistics.cases import Case
from benchmarks.statistics.drawing import Drawn, stored

from harness.statistics.scores import against_best, compare

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ALIKE = "of equal models, ≈ is missing from any"
FOUND = "of the worse half of the models, the share that lacks ≈ (power)"


def cases() -> Iterator[Case]:
    """Type I errors and power of `against_best`, and the tails of `compare`."""
    for m in (2, 5, 10, 20, 40, 50):
        for J in (5, 10):
            for how in ("independent", "groups of near copies", "a fifth varies threefold"):
                yield alike(m, J, f"fresh, {how}", repeats(m, J, how))
    for m in (2, 10, 40):
        yield alike(m, 5, "resampled, each cuts a feature of its own, NLL", cuts(m, 5))
        yield alike(m, 1, "fixed, rows only", crossed(m, 1, 0.0))
        yield alike(m, 3, "fixed, seeds differ", crossed(m, 3, 0.3))
        yield alike(m, 5, "fresh, a repeat missing in every third model", missing(m, 5))
    for m in (2, 10, 40):
        for J in (5, 10, 20):
            yield Case(
                FOUND,
                f"fresh, {m} models, {J} repeats, worse by 2 sd of a repeat's difference",
                "",
                0.0,
                at_most=False,
                runs=200,
                run=power(m, J),
            )
    for J in (2, 3, 5):
        for sd in (0.0, 0.1, 0.5):
            for level, bound, runs in ((0.001, 0.002, 3000), (0.05, 0.06, 1000)):
                yield Case(
                    f"two equal models on a fixed split have p < {level:g}",
                    f"{J} seeds, whose effect has sd {sd:g} of a row's",
                    f"at most {100 * bound:g}%",
                    bound,
                    at_most=True,
                    runs=runs,
                    run=tail(J, sd, level),
                )


def alike(m: int, J: int, how: str, run: Callable[[int], float]) -> Case:
    """A case of equal models."""
    setting = f"{m} models, {J} repeats; {how}"
    return Case(ALIKE, setting, "at most 6%", 0.06, at_most=True, runs=400, run=run)


def any_apart(drawn: Drawn) -> float:
    comparisons = against_best(drawn.cells, "nll", drawn.rows).values()
    return float(any(comparison.told_apart for comparison in comparisons))


def of_means(means: np.ndarray, **how: object) -> Drawn:
    """Two rows per repeat whose mean is the repeat's score; only the means matter."""
    both = np.stack([means - 0.5, means + 0.5], axis=2)
    return stored(both, kind="fresh", **how)  # type: ignore[arg-type]


def field(rng: np.random.Generator, m: int, J: int, how: str) -> np.ndarray:
    scores = rng.normal(size=(m, J))
    if how == "groups of near copies":
        scores = 0.3 * scores + rng.normal(size=(-(-m // 5), J)).repeat(5, axis=0)[:m]
    if how == "a fifth varies threefold":
        scores[::5] *= 3
    split = rng.normal(size=J)  # hard and easy splits, the same for all models
    return 20 + 0.1 * (scores + split)


def repeats(m: int, J: int, how: str) -> Callable[[int], float]:
    return lambda seed: any_apart(of_means(field(np.random.default_rng([seed, m, J]), m, J, how)))


def missing(m: int, J: int) -> Callable[[int], float]:
    def run(seed: int) -> float:
        rng = np.random.default_rng([seed, m, J, 1])
        lost = [(k, int(rng.integers(J))) for k in range(1, m, 3)]
        return any_apart(of_means(field(rng, m, J, "independent"), missing=lost))

    return run


def crossed(m: int, J: int, sd: float) -> Callable[[int], float]:
    """Effects of rows on all models, of rows on single models, of seeds, and noise."""

    def run(seed: int) -> float:
        rng = np.random.default_rng([seed, m, J])
        n = 100
        losses = rng.exponential(1, n) + rng.exponential(1, (m, 1, n))
        if sd:
            losses = losses + rng.exponential(1, (m, J, n)) + rng.normal(0, sd, (m, J, 1)) + 9
        return any_apart(stored(losses, kind="fixed"))

    return run


def cuts(m: int, J: int, rows: int = 200, tested: int = 50) -> Callable[[int], float]:
    """Models that each split a different, equally informative feature between the class means."""

    def run(seed: int) -> float:
        rng = np.random.default_rng([seed, m, J])
        y = np.arange(rows) < rows // 2
        X = rng.normal(size=(m, rows)) + np.where(y, 0.7, -0.7)
        losses = np.empty((m, J, tested))
        for j in range(J):
            order = np.concatenate(
                [rng.permutation(np.flatnonzero(y == k))[: tested // 2] for k in (False, True)]
            )
            test = np.isin(np.arange(rows), order)
            low, high = (X[:, ~test & (y == k)].mean(axis=1) for k in (False, True))
            logits = (high - low)[:, None] * (X[:, test] - (low + high)[:, None] / 2)
            losses[:, j] = np.logaddexp(0, np.where(y[test], -logits, logits))
        return any_apart(stored(losses, kind="resampled", n_train=rows - tested))

    return run


def power(m: int, J: int) -> Callable[[int], float]:
    def run(seed: int) -> float:
        rng = np.random.default_rng([seed, m, J, 2])
        scores = field(rng, m, J, "independent")
        worse = range(m - m // 2, m)
        scores[worse] += 0.1 * 2 * np.sqrt(2)
        drawn = of_means(scores)
        comparisons = against_best(drawn.cells, "nll", drawn.rows)
        return float(np.mean([k in comparisons and comparisons[k].told_apart for k in worse]))

    return run


def tail(J: int, sd: float, level: float) -> Callable[[int], float]:
    def run(seed: int) -> float:
        rng = np.random.default_rng([seed, J, 3])
        n = 60
        losses = 9 + rng.normal(size=(2, J, n)) + rng.normal(0, sd, (2, J, 1))
        drawn = stored(losses, kind="fixed")
        return float(compare(drawn.cells[0], drawn.cells[1], "nll", drawn.rows).p_value < level)

    return run
