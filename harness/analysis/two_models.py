"""Compares models: two on each dataset, or every pair of several over all datasets.

Scores are compared over the repeats that both models completed. The kind of split determines the
confidence interval (`harness.statistics`). A difference within the region of practical equivalence
(ROPE) counts as equal; for the NLL the ROPE is log(1 + rope), a likelihood larger by that fraction.
The scores are those that the frames show; the NLL is tested in place of the likelihood.
"""

from __future__ import annotations

import fnmatch
import math
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import pandas as pd

from harness.analysis.names import base, baselines
from harness.analysis.shown import shown
from harness.contract.own_scores import NLL
from harness.errors import UsageError
from harness.statistics.contests import FEWEST, contests, elo, mean_ranks
from harness.statistics.posteriors import odds
from harness.statistics.scores import Basis, RowScores, cells, compare
from harness.words import plural

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from harness.analysis.shown import Shown
    from harness.contract.values import Frames
    from harness.statistics.scores import Cell, Score

    Contender: TypeAlias = tuple[str, str]
    """A model on a device."""

    Grouped: TypeAlias = Mapping[str, Mapping[Contender, Cell]]

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
"""The most datasets that a note names; beyond that it gives their number."""


def chosen_contenders(frames: Frames, models: Sequence[str]) -> list[Contender]:
    """The contenders that names or globs select; without names, all except the baselines.

    A name may include the device, as in ``torch-mlp @ cuda:0``.

    Raises:
        UsageError: a name matches no model, or fewer than two contenders are left.
    """
    results = frames.results[frames.results["status"] != "skipped"]
    planned = ((pairing.model, pairing.device) for pairing in frames.run.planned)
    ran = zip(results["model"], results["device"], strict=True)
    contenders: list[Contender] = list(dict.fromkeys((*planned, *ran)))
    if models:
        selected = []
        for model in models:
            matches = _matching(contenders, model)
            if not matches:
                listed = ", ".join(dict.fromkeys(name for name, _ in contenders)) or "none"
                raise UsageError(f"no model '{model}' in run {frames.run.id}; there are: {listed}")
            selected += [contender for contender in matches if contender not in selected]
    else:
        baseline_names = baselines(frames)
        selected = [contender for contender in contenders if contender[0] not in baseline_names]
    if len(selected) < 2:
        listed = ", ".join(dict.fromkeys(name for name, _ in contenders)) or "none"
        raise UsageError(
            f"run {frames.run.id}: a comparison needs at least two models; choose them with -m "
            f"({listed})"
        )
    return selected


def _matching(contenders: Sequence[Contender], pattern: str) -> list[Contender]:
    """The contenders that a name selects, or else a glob; both may include the device."""
    names = {(model, device): (model, f"{model} @ {device}") for model, device in contenders}
    exact = [contender for contender in contenders if pattern in names[contender]]
    return exact or [
        contender
        for contender in contenders
        if any(fnmatch.fnmatchcase(name, pattern) for name in names[contender])
    ]


def shown_names(contenders: Sequence[Contender]) -> dict[Contender, str]:
    """The name to show for each contender, with its device if several devices take part."""
    several = len({device for _, device in contenders}) > 1
    return {
        contender: f"{contender[0]} @ {contender[1]}" if several else contender[0]
        for contender in contenders
    }


def duel(frames: Frames, first: Contender, second: Contender, rope: float) -> pd.DataFrame:
    """Two models on each dataset that either was run on: a row for each dataset and score.

    ``difference`` is the first model's mean score − the second's, over the ``repeats`` (of
    ``total``) that both completed. ``low`` and ``high`` are the ends of its 95% confidence
    interval. ``better``, ``equivalent`` and ``worse`` are probabilities about the first model.
    The interval and the probabilities are NaN where a model has not completed all repeats, and
    ``method`` says so: failed repeats may differ systematically from completed ones.

    Args:
        frames: the run.
        first: a model and its device.
        second: another model and its device.
        rope: differences up to this count as equal.
    """
    rows = RowScores(frames.predictions, frames.metric_rows)
    names = shown_names([first, second])
    records = []
    for dataset, contenders in _grouped(frames).items():
        ours, theirs = contenders.get(first), contenders.get(second)
        if ours is None and theirs is None:
            continue
        for each in shown(frames):
            score = each.score
            record: dict[str, object] = {"dataset": dataset, "score": score}
            record |= {"first": names[first], "second": names[second]}
            if ours is None or theirs is None or not len(ours.repeats) or not len(theirs.repeats):
                lacks = names[first if ours is None or not len(ours.repeats) else second]
                records.append(
                    record | {"repeats": 0, "total": 0, "method": f"{lacks} has no scores"}
                )
                continue
            comparison = compare(ours, theirs, score, rows)
            common = len(np.intersect1d(ours.repeats, theirs.repeats))
            record |= {"repeats": common, "total": ours.total, "difference": comparison.difference}
            if not (ours.complete and theirs.complete):
                unfinished, cell = (second, theirs) if ours.complete else (first, ours)
                why = f"{names[unfinished]} finished {len(cell.repeats)} of {cell.total} repeats"
                records.append(record | {"method": why})
                continue
            if comparison.basis is Basis.UNDEFINED:
                why = f"{each.name} is not defined in every repeat"
                records.append(record | {"method": why})
                continue
            chances = odds(
                comparison.below,
                _rope(score, rope),
                more_is_better=_sign(each) > 0,
            )
            records.append(
                record
                | {name: getattr(comparison, name) for name in ("low", "high", "p_value")}
                | {name: getattr(chances, name) for name in ("better", "equivalent", "worse")}
                | {"method": comparison.basis}
            )
    return pd.DataFrame(records, columns=list(DUEL_COLUMNS))


def matrix(
    frames: Frames,
    contenders: Sequence[Contender],
    rope: float,
    *,
    turned: bool = True,
    with_odds: bool = True,
) -> pd.DataFrame:
    """Every pair of models over all datasets: a row for each pair and score.

    Pairs are ordered by the mean scores of their models, best first. If ``turned``, the better
    model of a pair comes first; otherwise a pair keeps the order of the contenders.

    ``difference`` is the first model's score − the second's, averaged over the ``datasets`` that
    both completed. ``wins``, ``ties`` and ``losses`` count datasets; a tie is a difference within
    the ROPE. ``p_value`` is Wilcoxon's, corrected by Holm over the pairs of a score. ``better``,
    ``equivalent`` and ``worse`` are probabilities by the Bayesian signed-rank test. The p-value
    and the probabilities are NaN, and ``note`` says why, where a score is missing or not defined,
    or there are fewer than six datasets. Unless ``with_odds``, all probabilities are NaN, which is
    much faster.
    """
    names = shown_names(contenders)
    datasets, gains, finished = _gains(frames, contenders)
    records = []
    for each in shown(frames):
        score = each.score
        pairs = contests(gains[score], _rope(score, rope), with_odds=with_odds)
        place = _places(gains[score])
        for pair in sorted(pairs, key=lambda pair: sorted((place[pair.first], place[pair.second]))):
            turn = turned and pair.difference < 0
            first, second = (pair.second, pair.first) if turn else (pair.first, pair.second)
            sign = _sign(each) * (-1 if turn else 1)
            chances = pair.odds
            both = finished[pair.first] & finished[pair.second]
            missing = [datasets[i] for i in pair.missing if not both[i]]
            undefined = [datasets[i] for i in pair.missing if both[i]]
            records.append(
                {
                    "score": score,
                    "first": names[contenders[first]],
                    "second": names[contenders[second]],
                    "datasets": pair.n,
                    "difference": sign * pair.difference,
                    "wins": pair.losses if turn else pair.wins,
                    "ties": pair.ties,
                    "losses": pair.wins if turn else pair.losses,
                    "p_value": pair.p_value,
                    "better": chances.worse if turn else chances.better,
                    "equivalent": chances.equivalent,
                    "worse": chances.better if turn else chances.worse,
                    "note": _note(pair.n, missing, undefined, each.name),
                }
            )
    return pd.DataFrame(records, columns=list(MATRIX_COLUMNS))


def standings(frames: Frames, contenders: Sequence[Contender]) -> pd.DataFrame:
    """Mean ranks and Elo ratings with their 95% intervals, a row for each model and score.

    Raises:
        UsageError: a model has not completed a dataset, or a score is not defined on it, or there
            are fewer than six datasets.
    """
    names = shown_names(contenders)
    datasets, gains, finished = _gains(frames, contenders)
    lacking = np.argwhere(~finished)
    if len(lacking):
        model, dataset = names[contenders[lacking[0][0]]], datasets[lacking[0][1]]
        raise UsageError(
            f"ranks need every model on every dataset, and '{model}' has not finished "
            f"'{dataset}'; choose models with -m"
        )
    for each in shown(frames):
        undefined = np.argwhere(np.isnan(gains[each.score]))
        if len(undefined):
            model, dataset = names[contenders[undefined[0][0]]], datasets[undefined[0][1]]
            raise UsageError(
                f"ranks need each score on every dataset, and {each.name} is not defined for "
                f"'{model}' on '{dataset}'; choose another --metric"
            )
    if len(datasets) < FEWEST:
        raise UsageError(f"ranks need {FEWEST} datasets, and there are {len(datasets)}; run more")
    records = []
    for score in gains:
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
    cells_by_dataset: dict[str, dict[Contender, Cell]] = {}
    for (dataset, model, device), cell in cells(
        frames.results, frames.run.planned, frames.scales
    ).items():
        cells_by_dataset.setdefault(dataset, {})[model, device] = cell
    return cells_by_dataset


def _gains(
    frames: Frames, contenders: Sequence[Contender]
) -> tuple[list[str], dict[Score, NDArray[np.float64]], NDArray[np.bool_]]:
    """Datasets, mean scores (n_contenders, n_datasets), and which contenders finished which.

    Of the scores, larger is better. They are NaN for a contender that has not finished the dataset,
    and where a score is not defined.
    """
    # Several training sizes of one dataset are not independent datasets, so their scores are
    # averaged into one.
    bases: dict[str, list[Mapping[Contender, Cell]]] = {}
    for dataset, cells_ in _grouped(frames).items():
        bases.setdefault(base(dataset), []).append(cells_)

    def completed(group: Sequence[Mapping[Contender, Cell]], contender: Contender) -> list[Cell]:
        group_cells = [cells_.get(contender) for cells_ in group]
        done = [cell for cell in group_cells if cell is not None and cell.complete]
        return done if len(done) == len(group) else []

    def gain(group: Sequence[Mapping[Contender, Cell]], contender: Contender, each: Shown) -> float:
        means = [float(cell.of(each.score).mean()) for cell in completed(group, contender)]
        return _sign(each) * math.fsum(means) / len(means) if means else math.nan

    gains: dict[Score, NDArray[np.float64]] = {
        each.score: np.array(
            [[gain(group, contender, each) for group in bases.values()] for contender in contenders]
        ).reshape(len(contenders), len(bases))
        for each in shown(frames)
    }
    finished = np.array(
        [
            [bool(completed(group, contender)) for group in bases.values()]
            for contender in contenders
        ]
    ).reshape(len(contenders), len(bases))
    return list(bases), gains, finished


def _sign(each: Shown) -> int:
    """1 if a larger value of the tested score is better, else -1."""
    return 1 if each.more_is_better and each.name == each.score else -1


def _places(gains: NDArray[np.float64]) -> NDArray[np.intp]:
    """The position of each model in the order of mean gains, from gains (n_models, n_datasets).

    Models that have not completed every dataset come last: their means would cover fewer datasets.
    """
    means = gains.mean(axis=1)
    order = np.argsort(np.where(np.isnan(means), np.inf, -means), kind="stable")
    return np.argsort(order)


def least_p(pairs: pd.DataFrame) -> float:
    """The smallest p-value possible after Holm in a `matrix`; NaN where no pair has a p-value.

    For m pairs over n datasets that is m 2^(1-n).
    """
    judged = pairs[pairs["p_value"].notna()]
    if judged.empty:
        return math.nan
    n_pairs = int((judged["score"] == judged["score"].iloc[0]).sum())
    return min(1.0, n_pairs * 2.0 ** (1 - int(judged["datasets"].max())))


def _rope(score: Score, rope: float) -> float:
    return math.log1p(rope) if score == NLL else rope


def _note(n: int, missing: Sequence[str], undefined: Sequence[str], score: str) -> str:
    """The reason why a pair has no p-value; empty if it has one."""
    reasons = [
        f"{reason} {', '.join(names) if len(names) <= NAMED else f'{len(names)} datasets'}"
        for reason, names in (
            ("not completed by both:", missing),
            (f"{score} is not defined on", undefined),
        )
        if names
    ]
    if reasons:
        return "; ".join(reasons)
    return f"{plural(n, 'dataset')}; a p-value needs {FEWEST}" if n < FEWEST else ""
