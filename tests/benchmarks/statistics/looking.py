"""How often ``--repeats auto`` ends with a wrong mark, and how many repeats it takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from benchmarks.statistics.cases import Case
from benchmarks.statistics.drawing import simulated

from harness.contract.values import AUTO_REPEATS
from harness.runs.looks import undecided
from harness.statistics.scores import RowScores, against_best, cells

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import pandas as pd

    from harness.statistics.scores import Predict


def cases() -> Iterator[Case]:
    """Type I errors after all looks, and how often the leader is found before the last look."""
    for m in (2, 10):
        yield Case(
            "of equal models, ≈ is missing from any after --repeats auto",
            f"fresh, {m} models",
            "at most 6%",
            0.06,
            at_most=True,
            runs=400,
            run=after_looks(m, 0.0, lambda apart, _: float(apart > 0)),
        )
        for worse in (1.0, 2.0):
            yield Case(
                "--repeats auto ends before 40 repeats where one model is better",
                f"fresh, {m} models, by {worse:g} sd of a repeat's difference",
                "",
                0.0,
                at_most=False,
                runs=200,
                run=after_looks(m, worse, lambda _, n: float(n < AUTO_REPEATS[-1])),
            )


def after_looks(m: int, worse: float, count: Callable[[int, int], float]) -> Callable[[int], float]:
    """Add repeats as the harness does, then count significant differences and repeats."""

    def run(seed: int) -> float:
        rng = np.random.default_rng([seed, m, 7])
        means = 20 + 0.1 * (
            rng.normal(size=(m, AUTO_REPEATS[-1])) + rng.normal(size=AUTO_REPEATS[-1])
        )
        means[1:] += 0.1 * worse * np.sqrt(2)
        results, predictions = simulated(np.stack([means - 0.5, means + 0.5], axis=2), kind="fresh")
        n = AUTO_REPEATS[0]
        for later in AUTO_REPEATS[1:]:
            if not undecided(results, predictions, n):
                break
            n = later
        return count(apart(results[results["repeat"] < n], predictions), n)

    return run


def apart(results: pd.DataFrame, predictions: Predict) -> int:
    """The number of models without ≈ after a run with looks."""
    contenders = {model: comparison for (_, model, _), comparison in cells(results).items()}
    comparisons = against_best(contenders, "nll", RowScores(predictions), looks=len(AUTO_REPEATS))
    return sum(comparison.told_apart for comparison in comparisons.values())
