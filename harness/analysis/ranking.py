"""A run's tables as DataFrames, ready to be written as CSV."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, replace
from statistics import fmean, median
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import pandas as pd

from harness.analysis import timings
from harness.analysis.names import baselines
from harness.analysis.shown import USUAL, Shown, ranked_by, shown
from harness.statistics import scores
from harness.statistics.moments import mean_of
from harness.statistics.scores import (
    RowScores,
    Score,
    against_best,
    best,
    cells,
    fetch_for,
    interval,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from harness.contract.values import Frames
    from harness.statistics.scores import Cell

Contender: TypeAlias = tuple[str, str]
"""A model on a device."""

MEANS = ("brier", "balanced_accuracy", "auc", "ece")
BYTES = ("peak_bytes", "device_peak_bytes", "model_bytes")
FAILURE_COLUMNS = ("dataset", "model", "device", "repeat", "status", "failure_kind", "reason")
RANKING_COLUMNS = (
    *("dataset", "rank", "model", "device", "baseline", "status"),
    *("accuracy", "accuracy_low", "accuracy_high"),
    *("likelihood", "likelihood_low", "likelihood_high", "nll", "nll_low", "nll_high"),
    *("brier", "balanced_accuracy", "auc", "ece", "clipped"),
    *("fit_seconds", "predict_microseconds_per_row"),
    *("import_seconds", "make_seconds", "first_predict_milliseconds"),
    *BYTES,
    *("ok", "total", "runs", "split_kind", "accuracy_basis", "nll_basis", "n_train", "n_test"),
    *("accuracy_best", "accuracy_tied_with_best", "accuracy_separated"),
    *("likelihood_best", "likelihood_tied_with_best", "likelihood_separated"),
)
SECONDS = ("import", "make", "fit", "first_predict", "predict")
MISSING = "missing"
"""Status of a planned contender of which no trial has a result."""

ROUNDING = 1e-12
"""Means that differ by less than this are equal."""


def tables(frames: Frames) -> dict[str, pd.DataFrame]:
    """All tables of a run.

    - ``ranking``: a row for each dataset and contender (a model on a device), datasets in the
      order of the run. On each dataset come first the contenders that completed every planned
      repeat, by mean NLL, then those that completed some (status ``partial``), then those that
      completed none (their most frequent status, or ``missing`` if they were planned and have no
      result); of the first, all except the baselines have a ``rank``. Scores are means over the
      ``ok`` repeats of ``total``, each with the ends of its 95% confidence interval
      (`harness.statistics.scores`). Metrics that the frames show (`Frames.metrics`) are further
      columns; the first of them ranks in place of the NLL.
      ``likelihood`` is exp(-nll). Seconds are medians, except ``import_seconds``: only a process's
      first trial imports, so it is the largest. Bytes are the largest. ``clipped`` counts test rows
      over all repeats. ``runs``: ids of the runs that the ``ok`` repeats come from, joined by
      ``+``.
      ``..._best``: no complete contender's mean is better. ``..._tied_with_best``: not
      significantly different from the best, or the best itself if there is such a contender.
      ``..._separated``: the best, and significantly better than every other contender.
    - ``accuracy``, ``likelihood`` and each other metric that is shown: a row for each contender, a
      column for each dataset, and the mean, in which every dataset has equal weight. Incomplete
      results are NaN.
    - ``failures``: a row for each trial that is not ok.
    - ``training`` and ``softmax``: isolated timings; see `harness.analysis.timings`.
    """
    ranking = _ranking(frames)
    failed = frames.results[frames.results["status"] != "ok"]
    return {
        "ranking": ranking,
        **{each.name: _overview(ranking, each) for each in _columns(frames)},
        "failures": failed[list(FAILURE_COLUMNS)]
        .rename(columns={"failure_kind": "kind"})
        .reset_index(drop=True),
        "training": timings.training(frames),
        "softmax": timings.softmax(frames),
    }


@dataclass(frozen=True, slots=True)
class _Standing:
    """The contenders that lead on one dataset by one score.

    Args:
        best: no complete contender's mean is better.
        tied: not significantly different from the leader, and the leader itself; empty if none is.
        separated: the leader, if it is significantly better than every other contender.
    """

    best: set[Contender]
    tied: set[Contender]
    separated: set[Contender]


def _standing(
    contenders: dict[Contender, Cell], score: Score, rows: RowScores, looks: int
) -> _Standing:
    leader = best(contenders, score)
    if leader is None:
        return _Standing(set(), set(), set())
    compared = against_best(contenders, score, rows, looks=looks)
    equal = {
        key
        for key, comparison in compared.items()
        if contenders[key].complete and abs(comparison.difference) < ROUNDING
    }
    # A contender without a p-value is neither tied with the leader nor worse.
    tied = {
        key
        for key, comparison in compared.items()
        if not comparison.told_apart and not math.isnan(comparison.p_value)
    }
    ahead_of_all = bool(compared) and all(comparison.told_apart for comparison in compared.values())
    alone = {leader} if ahead_of_all else set()
    return _Standing({leader} | equal, tied | {leader} if tied else set(), alone)


def _ranking(frames: Frames) -> pd.DataFrame:
    results = frames.results
    rows = RowScores(frames.predictions, frames.metric_rows)
    looks, columns_shown, rank = frames.run.n_looks, _columns(frames), ranked_by(frames)
    grouped: dict[str, dict[Contender, Cell]] = {}
    for (dataset, model, device), cell in cells(results, frames.run.planned, frames.scales).items():
        grouped.setdefault(dataset, {})[model, device] = cell
    position = {result_id: row for row, result_id in enumerate(results["result_id"].tolist())}
    columns = {
        name: results[name].to_numpy(dtype=np.float64)
        for name in (*MEANS, "clipped", *BYTES, *(f"{name}_seconds" for name in SECONDS))
    }
    run_ids = results["run_id"].tolist() if "run_id" in results else [frames.run.id] * len(results)
    # Nearly always all figures of a column are known, or none is.
    are_known = {name: not np.isnan(column).any() for name, column in columns.items()}
    columns = {name: column for name, column in columns.items() if not np.isnan(column).all()}
    baseline_names = baselines(frames)
    statuses: dict[tuple[str, str, str], Counter[str]] = {}
    fields = (results[name].tolist() for name in ("dataset", "model", "device", "status"))
    for dataset, model, device, status in zip(*fields, strict=True):
        pairing = dataset, model, device
        if pairing not in statuses:
            statuses[pairing] = Counter()
        statuses[pairing][status] += 1

    for each in columns_shown:
        fetch_for(grouped.values(), each.score, rows)
    records = []
    for dataset, contenders in grouped.items():
        standings = {
            each.name: _standing(contenders, each.score, rows, looks) for each in columns_shown
        }
        losses = _losses(contenders, rank)
        ranked = {
            key: losses[key]
            for key, cell in contenders.items()
            if cell.complete and key in losses and key[0] not in baseline_names
        }
        complete = sorted(ranked.values())
        first_place = {loss: i + 1 for i, loss in reversed(list(enumerate(complete)))}
        order = sorted(
            (not cell.complete, key not in losses, losses.get(key, 0.0), key)
            for key, cell in contenders.items()
        )
        for *_, key in order:
            cell = contenders[key]
            places = [position[i] for i in cell.result_ids.tolist()]
            measured = {
                name: figures if are_known[name] else [each for each in figures if each == each]
                for name, column in columns.items()
                for figures in (column[places].tolist(),)
            }
            records.append(
                {
                    "dataset": dataset,
                    "rank": first_place[ranked[key]] if key in ranked else np.nan,
                    "model": key[0],
                    "device": key[1],
                    "baseline": key[0] in baseline_names,
                    "status": _status(cell, statuses.get((dataset, *key))),
                }
                | _scores(cell)
                | _metrics(cell, columns_shown, rows)
                | _costs(measured)
                | {"ok": len(cell.repeats), "total": cell.total, "split_kind": cell.kind}
                | {"runs": "+".join(map(str, sorted({run_ids[place] for place in places})))}
                | {"n_train": cell.n_train, "n_test": cell.n_test}
                | {
                    name: flag
                    for each in columns_shown
                    for name, flag in _flags(each.name, standings[each.name], key).items()
                }
            )
    further = [
        f"{each.name}{part}"
        for each in columns_shown
        if each.name not in USUAL
        for part in ("", "_low", "_high", "_basis", "_best", "_tied_with_best", "_separated")
    ]
    columns_of_ranking = list(dict.fromkeys([*RANKING_COLUMNS, *further]))
    return pd.DataFrame(records, columns=columns_of_ranking)


def _columns(frames: Frames) -> list[Shown]:
    """Accuracy and likelihood, and the metrics to show besides."""
    usual = shown(replace(frames, metrics=USUAL))
    return [*usual, *(each for each in shown(frames) if each.name not in USUAL)]


def _losses(contenders: dict[Contender, Cell], rank: Shown) -> dict[Contender, float]:
    """The mean of the score that ranks, turned so that less is better; without undefined ones."""
    sign = -1 if rank.more_is_better and rank.name == rank.score else 1
    means = {
        key: sign * mean_of(cell.of(rank.score))
        for key, cell in contenders.items()
        if len(cell.repeats)
    }
    return {key: mean for key, mean in means.items() if not math.isnan(mean)}


def _metrics(cell: Cell, columns: Sequence[Shown], rows: RowScores) -> dict[str, float | str]:
    """Mean and confidence interval of each metric, except accuracy and likelihood."""
    record: dict[str, float | str] = {}
    for each in columns:
        if each.name not in USUAL:
            ends = each.interval(cell, rows)
            record |= {
                each.name: each.mean(cell),
                f"{each.name}_low": ends.low,
                f"{each.name}_high": ends.high,
                f"{each.name}_basis": ends.basis,
            }
    return record


def _scores(cell: Cell) -> dict[str, float | str]:
    """Means and confidence intervals of accuracy, NLL and likelihood."""
    accuracy, nll = interval(cell, "accuracy"), interval(cell, "nll")
    likelihood = scores.likelihood_interval(nll)
    mean_nll = mean_of(cell.nll)
    return {
        "accuracy": mean_of(cell.accuracy),
        "accuracy_low": accuracy.low,
        "accuracy_high": accuracy.high,
        "likelihood": float(np.exp(-mean_nll)),
        "likelihood_low": likelihood.low,
        "likelihood_high": likelihood.high,
        "nll": mean_nll,
        "nll_low": nll.low,
        "nll_high": nll.high,
        "accuracy_basis": accuracy.basis,
        "nll_basis": nll.basis,
    }


def _costs(measured: dict[str, list[float]]) -> dict[str, float]:
    """Figures that are not compared, each over the repeats for which it is defined.

    Args:
        measured: by name, the known figures of the repeats.
    """

    def over(name: str, summary: Callable[[list[float]], float]) -> float:
        known = measured.get(name)
        return float(summary(known)) if known else math.nan

    return {
        **{name: over(name, fmean) for name in MEANS},
        "clipped": over("clipped", sum),
        "fit_seconds": over("fit_seconds", median),
        "predict_microseconds_per_row": 1e6 * over("predict_seconds", median),
        "import_seconds": over("import_seconds", max),
        "make_seconds": over("make_seconds", median),
        "first_predict_milliseconds": 1e3 * over("first_predict_seconds", median),
        **{name: over(name, max) for name in BYTES},
    }


def _status(cell: Cell, counts: Counter[str] | None) -> str:
    """``ok``, ``partial``, the most frequent status of the failures, or `MISSING` without rows."""
    if cell.complete:
        return "ok"
    if len(cell.repeats):
        return "partial"
    return counts.most_common(1)[0][0] if counts else MISSING


def _flags(score: str, standing: _Standing, key: Contender) -> dict[str, bool]:
    return {
        f"{score}_best": key in standing.best,
        f"{score}_tied_with_best": key in standing.tied,
        f"{score}_separated": key in standing.separated,
    }


def _overview(ranking: pd.DataFrame, each: Shown) -> pd.DataFrame:
    """A score by contender and dataset, best mean first; incomplete results are NaN, and last."""
    several = ranking["device"].nunique() > 1
    datasets = list(dict.fromkeys(ranking["dataset"]))
    figures: dict[Contender, dict[str, float]] = {}
    fields = (
        ranking[name].tolist() for name in ("model", "device", "dataset", "status", each.name)
    )
    for model, device, dataset, status, value in zip(*fields, strict=True):
        figures.setdefault((model, device), {})[dataset] = value if status == "ok" else np.nan
    records = []
    for (model, device), row in figures.items():
        values = [row.get(dataset, np.nan) for dataset in datasets]
        records.append(
            {"model": model}
            | ({"device": device} if several else {})
            | {"mean": float(np.mean(values))}
            | dict(zip(datasets, values, strict=True))
        )
    columns = ["model", *(["device"] if several else []), "mean", *datasets]
    frame = pd.DataFrame(records, columns=columns)
    return frame.sort_values(
        ["mean", "model"],
        ascending=[not each.more_is_better, True],
        kind="stable",
        ignore_index=True,
    )
