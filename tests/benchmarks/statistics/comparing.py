"""Claims of `compare` and `track`, tested on data whose truth is known.

The study does not use how verdicts are computed: it draws scores, predictions, timings and points,
puts them into frames like those of a store, and counts the verdicts.
"""

from __future__ import annotations

import math
from functools import partial
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pandas as pd
from benchmarks.statistics.cases import Case

from harness.analysis.changes import status
from harness.analysis.history import segments
from harness.analysis.two_runs import compare_runs
from harness.contract.values import Frames, Point
from harness.statistics.changepoints import change_points

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from harness.analysis.changes import ChangeRow

    Floats = NDArray[np.float64]

NAMES = ("accuracy", "nll", "nll_sd", "brier")
TRUTH, PREDICTED = 1, 0
SPREAD = 1.2  # standard deviation of a row's logit around the model's


def logits(rng: np.random.Generator, J: int, n: int, kind: str, pool: int) -> Floats:
    """The easiness of each test row of each repeat (J, n); resampled splits draw from one table.

    Both runs of a comparison share these, since they share their splits.
    """
    if kind == "fixed":
        return np.tile(rng.standard_normal(n), (J, 1))
    if kind == "fresh":
        return rng.standard_normal((J, n))
    if kind.endswith("-fold"):  # each row of the table is tested once
        return rng.standard_normal((J, n))
    table = rng.standard_normal(pool)
    return np.array([rng.permutation(table)[:n] for _ in range(J)])


def side(
    rng: np.random.Generator, easy: Floats, centre: float, noise: tuple[float, float]
) -> Floats:
    """Logits of the true class (J, n) from one fit per repeat, with two kinds of noise.

    The first kind of noise is common to all rows of a fit, the second is independent for each row.
    """
    J, n = easy.shape
    fits = noise[0] * rng.standard_normal((J, 1)) + noise[1] * rng.standard_normal((J, n))
    return centre + SPREAD * easy + fits


def scored(
    sides: dict[str, Floats], kind: str, n_train: int, first_id: int
) -> tuple[pd.DataFrame, dict[int, pd.DataFrame]]:
    """Results, and predictions by result id, of a run; the logits (J, n) are given by model."""
    rows: list[dict[str, Any]] = []
    parts: dict[int, pd.DataFrame] = {}
    for model, each in sides.items():
        for repeat, z in enumerate(each):
            p = 1 / (1 + np.exp(-z))
            nll = -np.log(p)
            right = z > 0
            i = first_id + len(rows)
            rows.append(
                {
                    "result_id": i,
                    "dataset": "data",
                    "model": model,
                    "device": "cpu",
                    "repeat": repeat,
                    "split_seed": repeat,
                    "status": "ok",
                    "reason": None,
                    "split_kind": kind,
                    "n_train": n_train,
                    "n_test": len(z),
                    "accuracy": right.mean(),
                    "nll": nll.mean(),
                    "nll_sd": nll.std(),
                    "likelihood": math.exp(-nll.mean()),
                    "brier": (2 * (1 - p) ** 2).mean(),
                }
            )
            parts[i] = pd.DataFrame(
                {
                    "result_id": i,
                    "row": np.arange(len(z)),
                    "true": TRUTH,
                    "predicted": np.where(right, TRUTH, PREDICTED),
                    "log_probability": -nll,
                    "brier": 2 * (1 - p) ** 2,
                }
            )
    return pd.DataFrame(rows), parts


NO_TIMINGS = pd.DataFrame(columns=["status", "kind", "subject", "case", "device"])
NO_RESULTS = pd.DataFrame(
    columns=["result_id", "dataset", "model", "device", "repeat", "split_seed", "status", "reason"]
)
RUN = SimpleNamespace(environment={"machine": {"processor": "one", "cores": 2}})


def frames(
    results: pd.DataFrame, predictions: dict[int, pd.DataFrame], timings: pd.DataFrame
) -> Frames:
    """Frames like those of the store."""

    def of(ids: Sequence[int]) -> pd.DataFrame:
        return pd.concat([predictions[i] for i in ids])

    return Frames(cast("Any", RUN), results, pd.DataFrame, of, timings)


def compared(
    seed: int,
    *,
    kind: str,
    J: int,
    models: int = 1,
    n: int = 100,
    n_train: int = 400,
    noise: tuple[float, float] = (0.1, 0.3),
    losses: Sequence[float] = (),
) -> list[ChangeRow]:
    """Verdicts of two runs that differ by chance, and by lower logits of the first models."""
    rng = np.random.default_rng(seed)
    runs = []
    both: list[dict[str, Floats]] = [{}, {}]
    for m in range(models):
        easy = logits(rng, J, n, kind, n + n_train)
        loss = losses[m] if m < len(losses) else 0.0
        for which, centre in ((0, 1.0), (1, 1.0 - loss)):
            both[which][f"m{m}"] = side(rng, easy, centre, noise)
    for which in (0, 1):
        results, predictions = scored(both[which], kind, n_train, 10_000 * which)
        runs.append((results, predictions))
    known = runs[0][1] | runs[1][1]  # ids as in a store
    base, new = (frames(results, known, NO_TIMINGS) for results, _ in runs)
    return compare_runs(base, new)[0]


def any_told(seed: int, **how: Any) -> float:
    """Whether any verdict is better or worse."""
    return float(any(row.verdict in ("better", "worse") for row in compared(seed, **how)))


def fails_the_build(seed: int, **how: Any) -> float:
    """Whether the exit status would be 1."""
    return float(status(compared(seed, **how)) == 1)


def told(seed: int, measure: str, **how: Any) -> float:
    """Whether the verdict on the first model is worse, by this measure."""
    rows = compared(seed, **how)
    return float(
        next(r.verdict for r in rows if (r.subject, r.measure) == ("m0", measure)) == "worse"
    )


def timed(rng: np.random.Generator, factors: Floats, drift: float, noise: float) -> pd.DataFrame:
    """Timings of fits in ten processes each, with a common drift."""
    seconds = 1e-3 * factors[:, None] * np.exp(drift)
    seconds = seconds * np.exp(noise * rng.standard_normal((len(factors), 10)))
    return pd.DataFrame(
        [
            {
                "kind": "fit",
                "subject": f"m{i}",
                "case": "data",
                "device": "cpu",
                "threads": 1,
                "status": "ok",
                "reason": "",
                "samples": tuple((float(x),) for x in each),
                "cut_from": 0.0,
                "epochs": math.nan,
                "together": math.nan,
            }
            for i, each in enumerate(seconds)
        ]
    )


def times(seed: int, n: int, slower: float, drift: float, *, everything: bool) -> float:
    """Whether any timing, or the slower one, has the verdict slower at a budget of 25%."""
    rng = np.random.default_rng(seed)
    factors = np.ones(n)
    before = timed(rng, factors, 0.0, 0.05)
    factors[0] = slower
    after = timed(rng, factors, drift * rng.standard_normal(), 0.05)
    base, new = (frames(NO_RESULTS, {}, timings) for timings in (before, after))
    rows, _ = compare_runs(base, new, budget=0.25, only=("time",))
    called = {row.subject for row in rows if row.verdict == "slower"}
    return float(bool(called) if everything else "m0" in called)


def series(rng: np.random.Generator, n: int, rho: float, trend: float) -> Floats:
    """A series of unit variance with autocorrelation and a linear trend of this size."""
    x = rng.standard_normal(n)
    for t in range(1, n):
        x[t] = rho * x[t - 1] + math.sqrt(1 - rho**2) * x[t]
    return x + np.linspace(0.0, trend, n)


def stepped(seed: int, n: int, rho: float, trend: float) -> float:
    """Whether a step is reported for a series without a step."""
    return float(bool(change_points(series(np.random.default_rng(seed), n, rho, trend))))


def unwarned(seed: int, n: int, rho: float, trend: float) -> float:
    """Whether a step is reported, without a caution, for a series without a step."""
    values = series(np.random.default_rng(seed), n, rho, trend)
    points = [
        Point("fit", "m", "data", "cpu", f"{i:09d}", "", "", "a", "ab", v, v, v, 0.1, 10)
        for i, v in enumerate(values.tolist())
    ]
    (segment,) = segments(points)
    return float(any(segment.state(step) == "firm" for step in segment.steps))


def step_found(seed: int, n: int, after: int, size: float, rho: float) -> float:
    """Whether a step of this many standard deviations is found within two points of its place."""
    values = series(np.random.default_rng(seed), n, rho, 0.0)
    values[n - after :] += size
    return float(any(abs(step.index - (n - after)) <= 2 for step in change_points(values)))


ALPHA = 0.01
BETWEEN_SEEDS = {"seeds move all rows": (0.3, 0.3), "seeds move each row": (0.0, 0.6)}


def cases() -> list[Case]:
    """The cases of `compare` and `track`."""
    alarms = "`compare`: runs in which nothing changed but chance have a verdict of better or worse"
    listed = [
        Case(
            alarms,
            f"{kind}, {J} repeats, {models} pairings, {words}",
            "at most 1%",
            ALPHA,
            at_most=True,
            runs=1000 if models == 1 else 300,
            run=partial(
                any_told,
                kind=kind,
                J=J,
                models=models,
                noise=noise,
                n=40 if kind == "10-fold" else 100,
                n_train=360 if kind == "10-fold" else 400,
            ),
        )
        for kind, J, models in (
            *(("fixed", J, models) for J in (2, 3, 5) for models in (1, 10)),
            ("fresh", 5, 10),
            ("resampled", 5, 10),
            ("10-fold", 10, 1),
            ("10-fold", 10, 10),
        )
        for words, noise in BETWEEN_SEEDS.items()
    ]
    listed += [
        Case(
            "`compare`: one repeat and another random stream fail the build",
            f"{kind}, 1 repeat",
            "never",
            0.0,
            at_most=True,
            runs=300,
            run=partial(fails_the_build, kind=kind, J=1),
        )
        for kind in ("fixed", "fresh")
    ]
    # Accuracy falls from .74 to .67 or .58, and likelihood from .60 to .55 or .48.
    listed += [
        Case(
            f"`compare`: a loss is found by {measure}",
            f"fresh, {J} repeats, {models} pairings, accuracy .74 to {to}",
            "",
            0.0,
            at_most=False,
            runs=300 if models == 1 else 100,
            run=partial(told, measure=measure, kind="fresh", J=J, models=models, losses=(loss,)),
        )
        for measure in ("accuracy", "likelihood")
        for models in (1, 20)
        for J in ((5, 10, 20) if models == 1 else (5, 10))
        for to, loss in ((".67", 0.35), (".58", 0.7))
    ]
    slower = "`compare --budget 25%`: "
    listed += [
        Case(
            slower + "one of 20 timings that is slower by less than the budget is called slower",
            f"slower by {100 * part:.0f}%, drift of 5%",
            "at most 1%",
            ALPHA,
            at_most=True,
            runs=1000,
            run=partial(times, n=20, slower=1 + part, drift=0.05, everything=False),
        )
        for part in (0.1, 0.25)
    ]
    listed += [
        Case(
            slower + "any timing is called slower though only the machine drifts",
            f"{n} timings, drift of {100 * drift:.0f}%",
            "at most 1%",
            ALPHA,
            at_most=True,
            runs=1000,
            run=partial(times, n=n, slower=1.0, drift=drift, everything=True),
        )
        for n in (1, 4, 5, 20)
        for drift in (0.05, 0.3)
    ]
    listed += [
        Case(
            slower + "one of 20 timings that is slower by more than the budget is found",
            f"slower by {100 * part:.0f}%, drift of 5%",
            "",
            0.0,
            at_most=False,
            runs=300,
            run=partial(times, n=20, slower=1 + part, drift=0.05, everything=False),
        )
        for part in (0.5, 1.0)
    ]
    listed += [
        Case(
            "`track`: a series without a step has one",
            f"{n} points, {words}",
            goal,
            bound,
            at_most=True,
            runs=1000,
            run=partial(stepped, n=n, rho=rho, trend=trend),
        )
        for n in (20, 30, 60)
        for words, rho, trend, goal, bound in (
            ("independent", 0.0, 0.0, "at most 1%", 0.01),
            ("autocorrelation .3", 0.3, 0.0, "at most 2%", 0.02),
            ("autocorrelation .6", 0.6, 0.0, "", 0.0),
            ("trend of one standard deviation", 0.0, 1.0, "", 0.0),
        )
    ]
    listed += [
        Case(
            "`track`: a series without a step has one of which no doubt is raised",
            f"{n} points, {words}",
            "",
            0.0,
            at_most=True,
            runs=1000,
            run=partial(unwarned, n=n, rho=rho, trend=trend),
        )
        for n in (30, 60)
        for words, rho, trend in (
            ("autocorrelation .6", 0.6, 0.0),
            ("trend of one standard deviation", 0.0, 1.0),
        )
    ]
    listed += [
        Case(
            f"`track`: a step of {size:g} standard deviations is found",
            f"30 points, {after} of them after it, autocorrelation {rho:g}",
            "",
            0.0,
            at_most=False,
            runs=300,
            run=partial(step_found, n=30, after=after, size=size, rho=rho),
        )
        for size, after, rho in ((5, 4, 0.0), (5, 10, 0.0), (2.5, 10, 0.0), (5, 10, 0.3))
    ]
    return listed
