"""Who is better: two models on each dataset, or every pair of several over all datasets.

Scores are compared over the repeats that both finished, with the interval that their kind of split
demands (`harness.statistics`); probabilities of being better, as good, or worse hold a difference
of no more than the ROPE for none. Of the NLL that is log(1 + rope): a likelihood so much larger.
"""

from __future__ import annotations

import fnmatch
import math
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np
import pandas as pd

from harness.analysis.names import base
from harness.errors import UsageError
from harness.statistics.contests import FEWEST, contests, elo, mean_ranks
from harness.statistics.posteriors import odds
from harness.statistics.scores import RowScores, cells, compare
from harness.words import plural

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from harness.contract.values import Frames
    from harness.statistics.scores import Cell

    Contender: TypeAlias = tuple[str, str]
    """A model on a device."""

    Grouped: TypeAlias = Mapping[str, Mapping[Contender, Cell]]

Score: TypeAlias = Literal["accuracy", "nll"]
SCORES: tuple[Score, ...] = ("accuracy", "nll")
ROPE = 0.01

DUEL_COLUMNS = (
    *("dataset", "score", "first", "second", "difference", "low", "high", "p_value"),
    *("better", "equivalent", "worse", "repeats", "total", "method"),
)
MATRIX_COLUMNS = (
    *("score", "first", "second", "datasets", "difference", "wins", "ties", "losses"),
    *("p_value", "better", "equivalent", "worse", "note"),
)
STANDING_COLUMNS = (
    *("score", "model", "mean_rank", "rank_low", "rank_high", "elo", "elo_low", "elo_high"),
)
NAMED = 3
"""Data sets that a note names; of more it gives the number."""


def chosen(frames: Frames, models: Sequence[str]) -> list[Contender]:
    """Contenders by name or glob, in the order of the run; all but the baselines without.

    With its device, as in ``torch-mlp @ cuda:0``, a name is of one contender.

    Raises:
        UsageError: a name matches none, or fewer than two are left.
    """
    results = frames.results[frames.results["status"] != "skipped"]
    every = list(dict.fromkeys(zip(results["model"], results["device"], strict=True)))
    baselines = set(results.loc[results["baseline"].astype(bool), "model"])
    if models:
        found = []
        for model in models:
            known = [(one, (one[0], f"{one[0]} @ {one[1]}")) for one in every]
            named = [one for one, names in known if model in names] or [
                one
                for one, names in known
                if any(fnmatch.fnmatchcase(name, model) for name in names)
            ]
            if not named:
                there = ", ".join(dict.fromkeys(name for name, _ in every)) or "none"
                raise UsageError(f"no model '{model}' in run {frames.run.id}; there are: {there}")
            found += [one for one in named if one not in found]
    else:
        found = [one for one in every if one[0] not in baselines]
    if len(found) < 2:
        names = ", ".join(dict.fromkeys(name for name, _ in every)) or "none"
        raise UsageError(
            f"run {frames.run.id}: who is better takes two models; choose some with -m ({names})"
        )
    return found


def named(contenders: Sequence[Contender]) -> dict[Contender, str]:
    """Names to show: with the device where several take part."""
    several = len({device for _, device in contenders}) > 1
    return {one: f"{one[0]} @ {one[1]}" if several else one[0] for one in contenders}


def duel(frames: Frames, first: Contender, second: Contender, rope: float) -> pd.DataFrame:
    """Two models on each dataset that either was run on: a row for each score.

    ``difference`` is the first's mean score less the second's over the ``repeats`` that both
    finished, of ``total``; ``low`` and ``high`` are the ends of its 95% interval, ``better``,
    ``equivalent`` and ``worse`` probabilities of the first. They are NaN, and ``method`` says why,
    where one has not finished: what failed is not like what did not.

    Args:
        frames: of a run.
        first: a model and its device.
        second: another.
        rope: differences of no more than this do not matter.
    """
    rows = RowScores(frames.predictions)
    names = named([first, second])
    records = []
    for dataset, contenders in _grouped(frames).items():
        ours, theirs = contenders.get(first), contenders.get(second)
        if ours is None and theirs is None:
            continue
        for score in SCORES:
            record: dict[str, object] = {"dataset": dataset, "score": score}
            record |= {"first": names[first], "second": names[second]}
            if ours is None or theirs is None or not len(ours.repeats) or not len(theirs.repeats):
                lacks = names[first if ours is None or not len(ours.repeats) else second]
                records.append(
                    record | {"repeats": 0, "total": 0, "method": f"no scores of {lacks}"}
                )
                continue
            found = compare(ours, theirs, score, rows)
            common = len(np.intersect1d(ours.repeats, theirs.repeats))
            record |= {"repeats": common, "total": ours.total, "difference": found.difference}
            if not (ours.complete and theirs.complete):
                one, its = (second, theirs) if ours.complete else (first, ours)
                why = f"{names[one]} finished {len(its.repeats)} of {its.total} repeats"
                records.append(record | {"method": why})
                continue
            chances = odds(found.below, _rope(score, rope), more_is_better=score == "accuracy")
            records.append(
                record
                | {name: getattr(found, name) for name in ("low", "high", "p_value")}
                | {name: getattr(chances, name) for name in ("better", "equivalent", "worse")}
                | {"method": found.method}
            )
    return pd.DataFrame(records, columns=list(DUEL_COLUMNS))


def matrix(
    frames: Frames, contenders: Sequence[Contender], rope: float, *, turned: bool = True
) -> pd.DataFrame:
    """Every pair of models over all datasets: a row for each pair and score.

    Pairs stand by the mean scores of their models, the best one's first, and the better one of a
    pair is its first unless they are not to be ``turned``.

    ``difference`` is the mean over the ``datasets`` that both finished of the first's score less
    the second's; ``wins``, ``ties`` and ``losses`` count datasets by the ROPE. ``p_value`` is
    Wilcoxon's, after Holm over the pairs of a score; the probabilities are those of the Bayesian
    signed-rank test. They are NaN, and ``note`` says why, where a score is missing or there are
    fewer than six datasets.
    """
    names = named(contenders)
    datasets, gains = _gains(frames, contenders)
    records = []
    for score in SCORES:
        found = contests(gains[score], _rope(score, rope))
        place = _places(gains[score])
        for pair in sorted(found, key=lambda pair: sorted((place[pair.first], place[pair.second]))):
            turn = turned and pair.difference < 0
            one, other = (pair.second, pair.first) if turn else (pair.first, pair.second)
            sign = (1 if score == "accuracy" else -1) * (-1 if turn else 1)
            chances = pair.odds
            missing = [datasets[i] for i in pair.missing]
            records.append(
                {
                    "score": score,
                    "first": names[contenders[one]],
                    "second": names[contenders[other]],
                    "datasets": pair.n,
                    "difference": sign * pair.difference,
                    "wins": pair.losses if turn else pair.wins,
                    "ties": pair.ties,
                    "losses": pair.wins if turn else pair.losses,
                    "p_value": pair.p_value,
                    "better": chances.worse if turn else chances.better,
                    "equivalent": chances.equivalent,
                    "worse": chances.better if turn else chances.worse,
                    "note": _note(pair.n, missing),
                }
            )
    return pd.DataFrame(records, columns=list(MATRIX_COLUMNS))


def standings(frames: Frames, contenders: Sequence[Contender]) -> pd.DataFrame:
    """Mean ranks and Elo ratings with their 95% intervals, a row for each model and score.

    Raises:
        UsageError: a model has not finished a dataset, or there are fewer than six.
    """
    names = named(contenders)
    datasets, gains = _gains(frames, contenders)
    lacking = np.argwhere(np.isnan(gains["accuracy"]))
    if len(lacking):
        model, dataset = names[contenders[lacking[0][0]]], datasets[lacking[0][1]]
        raise UsageError(
            f"ranks need every model on every dataset, and '{model}' has not finished "
            f"'{dataset}'; choose models with -m"
        )
    if len(datasets) < FEWEST:
        raise UsageError(f"ranks take {FEWEST} datasets, and there are {len(datasets)}; run more")
    records = []
    for score in SCORES:
        ranks, ratings = mean_ranks(gains[score]), elo(gains[score])
        records += [
            {
                "score": score,
                "model": names[contenders[i]],
                "mean_rank": ranks.figure[i],
                "rank_low": ranks.low[i],
                "rank_high": ranks.high[i],
                "elo": ratings.figure[i],
                "elo_low": ratings.low[i],
                "elo_high": ratings.high[i],
            }
            for i in np.argsort(ranks.figure, kind="stable").tolist()
        ]
    return pd.DataFrame(records, columns=list(STANDING_COLUMNS))


def _grouped(frames: Frames) -> Grouped:
    found: dict[str, dict[Contender, Cell]] = {}
    for (dataset, model, device), cell in cells(frames.results).items():
        found.setdefault(dataset, {})[model, device] = cell
    return found


def _gains(
    frames: Frames, contenders: Sequence[Contender]
) -> tuple[list[str], dict[Score, NDArray[np.float64]]]:
    """Datasets, and mean scores (n_contenders, n_datasets), larger is better; NaN if unfinished."""
    # Training sizes of one dataset are no sample of datasets: their mean is.
    bases: dict[str, list[Mapping[Contender, Cell]]] = {}
    for dataset, cells_ in _grouped(frames).items():
        bases.setdefault(base(dataset), []).append(cells_)

    def gain(group: Sequence[Mapping[Contender, Cell]], one: Contender, score: Score) -> float:
        found = [cells_.get(one) for cells_ in group]
        if any(cell is None or not cell.complete for cell in found):
            return math.nan
        means = [float(cell.of(score).mean()) for cell in found if cell is not None]
        return (1 if score == "accuracy" else -1) * math.fsum(means) / len(means)

    gains: dict[Score, NDArray[np.float64]] = {
        score: np.array(
            [[gain(group, one, score) for group in bases.values()] for one in contenders]
        ).reshape(len(contenders), len(bases))
        for score in SCORES
    }
    return list(bases), gains


def _places(gains: NDArray[np.float64]) -> NDArray[np.intp]:
    """Of models by their mean gain (n_models, n_datasets) over the datasets that all finished.

    Those that have not finished one of the datasets come last, for their mean is of other ones.
    """
    means = gains.mean(axis=1)
    order = np.argsort(np.where(np.isnan(means), np.inf, -means), kind="stable")
    return np.argsort(order)


def least_p(found: pd.DataFrame) -> float:
    """The least p-value that a pair can have after Holm, of a `matrix`; NaN where none has any.

    Each of m pairs over n datasets has no less than m 2^(1-n).
    """
    judged = found[found["p_value"].notna()]
    if judged.empty:
        return math.nan
    pairs = int((judged["score"] == judged["score"].iloc[0]).sum())
    return min(1.0, pairs * 2.0 ** (1 - int(judged["datasets"].max())))


def _rope(score: Score, rope: float) -> float:
    return rope if score == "accuracy" else math.log1p(rope)


def _note(n: int, missing: Sequence[str]) -> str:
    """Why nothing is said of a pair; empty if it is."""
    if missing:
        names = ", ".join(missing) if len(missing) <= NAMED else f"{len(missing)} datasets"
        return f"not both finished {names}"
    return f"{plural(n, 'dataset')}; it takes {FEWEST}" if n < FEWEST else ""
