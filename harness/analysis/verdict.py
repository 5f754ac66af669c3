"""The answer in three sentences: which model is best, which is best for its time, what failed.

Over several datasets, the best model has the best mean of the ranking score, and each dataset
weighs the same. A lead is the mean difference over the datasets. Its interval holds for these
datasets: the 95% intervals of the paired differences on each dataset are combined by the method of
variance estimates recovery (Zou & Donner, Stat. Med. 27, 2008). P-values follow from its width, and
allow for the number of models and for choosing the best by the same scores
(`harness.statistics.multiplicity.range_p_value`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import special

from harness.analysis.names import baselines
from harness.analysis.ranking import MISSING, ROUNDING
from harness.analysis.shown import ranked_by
from harness.analysis.standings import standings
from harness.analysis.two_models import shown_names
from harness.contract.own_scores import LIKELIHOOD
from harness.statistics.multiplicity import range_p_value, step_down
from harness.statistics.scores import LEVEL, RowScores, cells, compare, fetch_for

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from harness.analysis.ranking import Contender
    from harness.analysis.shown import Shown
    from harness.contract.values import Frames
    from harness.statistics.scores import Cell, Comparison

    Grouped = Mapping[str, Mapping[Contender, Cell]]

CLOSE = 0.05
"""A cheaper model is worth naming if its score is at most this fraction worse than the best's."""

FASTER = 1.5
"""A model trains faster if it needs this many times less."""


@dataclass(frozen=True, slots=True)
class Lead:
    """How far the best model is ahead of another one.

    Args:
        over: the other model.
        gain: the best model's mean score − the other's; positive if the best is better, also where
            less is better.
        low: lower end of its 95% interval; NaN if there is none.
        high: upper end.
        tied: whether the difference is not significant.
        tested: whether there is a p-value.
    """

    over: str
    gain: float
    low: float = math.nan
    high: float = math.nan
    tied: bool = False
    tested: bool = True


@dataclass(frozen=True, slots=True)
class Bargain:
    """The model that trains fastest among those that are about as good as the best.

    Args:
        name: the model; the best one itself if none is faster.
        mean: its mean score.
        times_faster: how many times as long the best model trains.
    """

    name: str
    mean: float
    times_faster: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a run says about its models.

    Args:
        rank: the score that ranks.
        datasets: the datasets.
        n_models: number of models with scores on every dataset.
        leader: the best model; None if no model completed every repeat on every dataset.
        mean: its mean score.
        low: lower end of its 95% interval; NaN over several datasets.
        high: upper end.
        leads: its leads over the others, best first.
        baselines: names of the baselines.
        bargain: the best for its time, if fit times are known.
        n_trials: number of planned trials, without those that were skipped.
        statuses: number of trials of each status that is not ``ok``; ``missing`` without a result.
        n_skipped: number of pairings that were skipped.
    """

    rank: Shown
    datasets: tuple[str, ...]
    n_models: int
    leader: str | None
    mean: float
    low: float
    high: float
    leads: tuple[Lead, ...]
    baselines: frozenset[str]
    bargain: Bargain | None
    n_trials: int
    statuses: Mapping[str, int] = field(default_factory=dict)
    n_skipped: int = 0

    @property
    def tied(self) -> tuple[str, ...]:
        """The models that are not significantly different from the best, best first."""
        return tuple(lead.over for lead in self.leads if lead.tied)


def verdict(frames: Frames, ranking: pd.DataFrame, rank: Shown | None = None) -> Verdict:
    """The verdict of a run.

    Args:
        frames: the run.
        ranking: from `harness.analysis.ranking`.
        rank: the score to judge by; None for the one that ranks.
    """
    rank = rank or ranked_by(frames)
    board = standings(ranking, rank)
    order = [(str(m), str(d)) for m, d in zip(board["model"], board["device"], strict=True)]
    names = shown_names(order)
    means = {
        contender: float(mean)
        for contender, mean in zip(order, board["mean"], strict=True)
        if not math.isnan(mean)
    }
    datasets = tuple(str(dataset) for dataset in dict.fromkeys(ranking["dataset"]))
    leader = next(iter(means), None)
    low = high = math.nan
    leads: tuple[Lead, ...] = ()
    if leader and len(datasets) == 1:
        rows = {(row["model"], row["device"]): row for row in ranking.to_dict("records")}
        own = rows[leader]
        low, high = (float(own[f"{rank.name}_{end}"]) for end in ("low", "high"))
        leads = tuple(_on_one(rank, rows, leader, means, names))
    elif leader:
        leads = tuple(_over_several(frames, rank, leader, means, names))
    ignorant = baselines(frames)
    return Verdict(
        rank,
        datasets,
        len(means),
        names[leader] if leader else None,
        means[leader] if leader else math.nan,
        low,
        high,
        leads,
        frozenset(names[contender] for contender in order if contender[0] in ignorant),
        _bargain(ranking, rank, leader, means, names, {lead.over for lead in leads if lead.tied})
        if leader
        else None,
        *_trials(frames),
    )


def _on_one(
    rank: Shown,
    rows: Mapping[Contender, Mapping[Any, Any]],
    leader: Contender,
    means: Mapping[Contender, float],
    names: Mapping[Contender, str],
) -> list[Lead]:
    """The leads on a single dataset, as the ranking marks them."""
    sign = 1 if rank.more_is_better else -1
    is_tested = bool(rows[leader][f"{rank.name}_tied_with_best"]) or bool(
        rows[leader][f"{rank.name}_separated"]
    )
    return [
        Lead(
            names[contender],
            sign * (means[leader] - mean),
            tied=bool(
                rows[contender][f"{rank.name}_tied_with_best"]
                or rows[contender][f"{rank.name}_best"]
            ),
            tested=is_tested,
        )
        for contender, mean in means.items()
        if contender != leader
    ]


def _over_several(
    frames: Frames,
    rank: Shown,
    leader: Contender,
    means: Mapping[Contender, float],
    names: Mapping[Contender, str],
) -> list[Lead]:
    """The leads over several datasets."""
    grouped: dict[str, dict[Contender, Cell]] = {}
    for (dataset, *contender), cell in cells(
        frames.results, frames.run.planned, frames.scales
    ).items():
        model, device = contender
        grouped.setdefault(dataset, {})[model, device] = cell
    rows = RowScores(frames.predictions, frames.metric_rows)
    fetch_for(grouped.values(), rank.score, rows)
    others = [contender for contender in means if contender != leader]
    sign = 1 if rank.more_is_better else -1
    gains = [sign * (means[leader] - means[contender]) for contender in others]
    ends = [
        _ends(rank, grouped, leader, contender, rows, gain)
        for contender, gain in zip(others, gains, strict=True)
    ]
    p_alone = [_p_value(gain, low) for gain, (low, _) in zip(gains, ends, strict=True)]
    adjusted = step_down(p_alone, lambda index, left: range_p_value(p_alone[index], left))
    looks = frames.run.n_looks
    return [
        Lead(
            names[contender],
            gain,
            *end,
            tied=gain < ROUNDING or looks * p > LEVEL,
            tested=not math.isnan(p),
        )
        for contender, gain, end, p in zip(others, gains, ends, adjusted, strict=True)
    ]


def _ends(
    rank: Shown,
    grouped: Grouped,
    leader: Contender,
    other: Contender,
    rows: RowScores,
    lead: float,
) -> tuple[float, float]:
    """The ends of a lead's 95% interval; NaN if there is no interval on some dataset."""
    below, above = [], []
    for contenders in grouped.values():
        comparison = compare(contenders[leader], contenders[other], rank.score, rows)
        if math.isnan(comparison.p_value):
            return math.nan, math.nan
        gain, low, high = _gain(rank, comparison, contenders[leader])
        below.append(gain - low)
        above.append(high - gain)
    n = len(grouped)
    return lead - math.hypot(*below) / n, lead + math.hypot(*above) / n


def _gain(rank: Shown, comparison: Comparison, leader: Cell) -> tuple[float, float, float]:
    """The leader's gain on one dataset and the ends of its interval, in the score that is shown.

    The likelihood is tested as NLL: a difference d of NLLs is a gain of L (1 - exp(d)) for the
    leader's likelihood L. No gain takes the other model's score beyond the score's bounds.
    """
    own = rank.mean(leader)

    def gain_of(difference: float) -> float:
        if rank.name == LIKELIHOOD:
            return own * -math.expm1(min(difference, 700.0))
        return difference if rank.more_is_better else -difference

    ends = [gain_of(comparison.low), gain_of(comparison.high)]
    sign = 1 if rank.more_is_better else -1
    least, most = sorted(sign * (own - bound) for bound in (rank.low, rank.high))
    return gain_of(comparison.difference), max(min(ends), least), min(max(ends), most)


def _p_value(gain: float, low: float) -> float:
    """The two-sided p-value of a lead whose 95% interval begins at ``low``; NaN if it is NaN."""
    if math.isnan(low):
        return math.nan
    if gain < ROUNDING:
        return 1.0
    deviate = float(-special.ndtri(LEVEL / 2)) * gain / max(gain - low, ROUNDING)
    return float(2 * special.ndtr(-deviate))


def _bargain(
    ranking: pd.DataFrame,
    rank: Shown,
    leader: Contender,
    means: Mapping[Contender, float],
    names: Mapping[Contender, str],
    tied: set[str],
) -> Bargain | None:
    """The model that trains fastest among the best and those close to it.

    Of scores from 0 to 1, means are close if they differ by at most `CLOSE` of the best; of others,
    if they tie with it.
    """
    known = ranking[ranking["fit_seconds"] > 0]
    logs = np.log(known["fit_seconds"])
    seconds = {
        (str(model), str(device)): math.exp(mean)
        for (model, device), mean in logs.groupby([known["model"], known["device"]]).mean().items()
    }
    if leader not in seconds:
        return None
    is_share = rank.more_is_better and rank.low >= 0 and rank.high <= 1
    ignorant = set(ranking.loc[ranking["baseline"].astype(bool), "model"])
    candidates = [
        contender
        for contender, mean in means.items()
        if contender in seconds
        and (contender == leader or contender[0] not in ignorant)
        and (mean >= (1 - CLOSE) * means[leader] if is_share else names[contender] in tied)
    ]
    fastest = min([leader, *candidates], key=seconds.__getitem__)
    times = seconds[leader] / seconds[fastest]
    if times < FASTER:
        fastest, times = leader, 1.0
    return Bargain(names[fastest], means[fastest], times)


def _trials(frames: Frames) -> tuple[int, dict[str, int], int]:
    """The numbers of trials, of those of each status except ``ok``, and of skipped pairings."""
    ran = frames.results[frames.results["status"] != "skipped"]
    n_skipped = len(frames.results) - len(ran)
    counts = {
        str(status): int(count)
        for status, count in ran["status"].value_counts().items()
        if status != "ok"
    }
    n_trials = max(frames.run.n_trials - n_skipped, len(ran))
    if n_trials > len(ran):
        counts[MISSING] = n_trials - len(ran)
    return n_trials, counts, n_skipped
