"""The notes below the tables: failures, skipped models, and how to read the tables."""

from __future__ import annotations

import math
from statistics import fmean
from typing import TYPE_CHECKING, cast

import numpy as np

from harness.analysis.names import base
from harness.analysis.shown import USUAL, ranked_by, shown
from harness.contract.values import AUTO_REPEATS, folds_in
from harness.sheets.notes import FAILURES, LEGEND, Note
from harness.sheets.ranked import by_dataset, named_rows
from harness.sheets.table import BELOW_TOLD, CLIPPED, LESS, PARTIAL, TIED, TIED_TOLD, TIED_WHY
from harness.statistics.rows import CLIP
from harness.statistics.scores import MOST_FOLDS, Basis
from harness.words import plain, plural

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from harness.analysis.shown import Shown
    from harness.contract.values import Frames
    from harness.sheets.ranked import Record

RANKED = (
    "Models are ranked by likelihood = exp(-NLL), the geometric mean probability of the right "
    "class (not by accuracy). Intervals: 95%."
)
CHOSEN = (
    "Models are ranked by {}. Intervals: 95%. A score that is not a "
    "mean over rows needs at least two splits for an interval."
)
MARKS = f"{TIED_TOLD} {TIED_WHY}"
TESTS = (
    f"The tests behind {TIED} and bold compare each model with the best on the same splits (5%, "
    "corrected for the number of models). Bold: significantly better than all others."
)
BELOW_HELP = f"{BELOW_TOLD} More rows or repeats may tell whether the model is worse."
LOOKED = (
    f"After {', '.join(map(str, AUTO_REPEATS[:-1]))} repeats, more were added to datasets where "
    "models still tied with the best{}. The marks are corrected for these repeated tests "
    "(Bonferroni); the intervals are not."
)
INTERVALS = {
    "fresh": "Intervals of datasets that draw new rows in each repeat: Student's t over the "
    "repeats, which are independent.",
    "resampled": "Intervals of resampled splits, which share rows: Student's t over the repeats, "
    "with Nadeau and Bengio's variance s^2 (1/J + n_test/n_train). J: number of repeats; s^2: "
    "variance between them. Splits are stratified, so all results assume the class shares of the "
    "dataset.",
    "fixed": "Intervals of a fixed split, where only the model's seed varies: Wilson's interval "
    "(accuracy) and Student's t (NLL) over the test rows. They leave out the variation between "
    "seeds; tests between models include it.",
}

FOLDS = (
    "Intervals of cross-validation: Wilson's (accuracy) and Student's t (NLL) over the rows of all "
    "folds, with Nadeau and Bengio's factor 1/k + n_test/n_train for k folds, plus the variance "
    "between folds. All results assume the class shares of the table."
)
FOLDS_WITHOUT = (
    f"More than {MOST_FOLDS} folds (leave-one-out included) give no intervals and no {TIED}: the "
    "folds train on nearly the same rows, so their errors depend on each other to an unknown "
    f"degree. {MOST_FOLDS}-fold cross-validation gives both."
)
ONE_SEED = (
    "One seed on a fixed split: comparisons hold for these fits only. Run several repeats to "
    "compare the models over their seeds."
)
NO_INTERVAL = (
    "A likelihood has no interval if nearly all of its NLL comes from fewer than 10 wrongly "
    "predicted test rows: one more such row would change the likelihood much. More test rows or "
    "repeats help."
)
WEIGHTED = (
    "Every score and interval is weighted by the weights of the test rows. Wilson's interval uses "
    "Kish's effective number of rows, (sum of weights)^2 / (sum of squared weights)."
)
TIMES = (
    "Times beside the scores are medians over the repeats, and rough, because trials ran in "
    "parallel. To compare speed, use timings of models that ran alone."
)
IMPORTS = "The time to import a library is charged to the first model that needs it."
MEMORY = (
    "Memory: the model's largest peak in any trial, with child processes, minus the memory after "
    "its plugin was imported. model: size of the pickled model."
)
FEWEST_OF_A_CLASS = 10
"""With fewer different test rows of a class over all repeats, scores say little about it."""

SAME = 1e-3
"""Likelihoods that differ by at most this between devices are equal up to rounding."""


def notes(frames: Frames, ranking: pd.DataFrame, failures: pd.DataFrame) -> list[Note]:
    """The notes that a run needs, without empty ones; the legend comes last."""
    legend = Note(LEGEND, _legend(frames, ranking))
    return [*findings(frames, ranking, failures), *([legend] if legend.lines else [])]


def findings(frames: Frames, ranking: pd.DataFrame, failures: pd.DataFrame) -> list[Note]:
    """The notes on what happened in a run, without empty ones and without a legend."""
    several = ranking["device"].nunique() > 1
    all_notes = [
        Note(FAILURES, _failures(failures, several)),
        Note("Skipped", _skipped(failures, several, n_datasets=ranking["dataset"].nunique())),
        Note("Devices differ", _devices(frames)),
        Note("Runs", frames.sources),
        Note("Metrics", frames.remarks),
        Note(
            "Data",
            _data(frames.results)
            + _without_weights(frames.results)
            + _rare(frames)
            + _baselines(frames, ranking),
        ),
    ]
    return [note for note in all_notes if note.lines]


def _failures(failures: pd.DataFrame, several: bool) -> tuple[str, ...]:
    """A line for each status and reason, of the models and datasets that share them."""
    rows = cast("list[Record]", failures.to_dict("records"))
    failed = [row for row in rows if row["status"] != "skipped"]
    repeats: dict[tuple[str, str, bool], dict[str, dict[str, set[int]]]] = {}
    for row in failed:
        # A split that breaks the contract is one failure, however many models need it.
        blamed = row["kind"] == "dataset"
        model = "" if blamed else _at(row, several)
        by_model = repeats.setdefault((row["status"], plain(row["reason"]), blamed), {})
        by_model.setdefault(model, {}).setdefault(row["dataset"], set()).add(row["repeat"])
    lines = []
    for (status, reason, blamed), by_model in repeats.items():
        models: dict[tuple[str, ...], list[str]] = {}
        for model, by_dataset_name in by_model.items():
            models.setdefault(tuple(sorted(by_dataset_name)), []).append(model)
        for datasets, names in models.items():
            n = sum(len(by_model[model][dataset]) for model in names for dataset in datasets)
            where = ", ".join(datasets)
            pairings = where if blamed else f"{', '.join(names)} on {where}"
            lines.append(f"{pairings}: {n} × {status}: {reason}")
    return tuple(lines)


def _skipped(failures: pd.DataFrame, several: bool, n_datasets: int) -> tuple[str, ...]:
    where: dict[tuple[str, str], list[str]] = {}
    for row in cast("list[Record]", failures.to_dict("records")):
        if row["status"] == "skipped":
            datasets = where.setdefault((_at(row, several), plain(row["reason"])), [])
            if row["dataset"] not in datasets:
                datasets.append(row["dataset"])
    return tuple(
        f"{model} on {_listed(datasets, n_datasets)}: {reason}"
        for (model, reason), datasets in where.items()
    )


def _at(row: Record, several: bool) -> str:
    """A row's model, with its device if the run has several."""
    return f"{row['model']} @ {row['device']}" if several else str(row["model"])


def _devices(frames: Frames) -> tuple[str, ...]:
    """Pairings whose likelihood depends on the device, although split and seeds are the same."""
    ok = frames.results[frames.results["status"] == "ok"]
    if ok["device"].nunique() < 2:
        return ()
    repeats = ok.groupby(["dataset", "model", "repeat"])["likelihood"].agg(["min", "max", "count"])
    repeats = repeats[repeats["count"] > 1]
    differences = (repeats["max"] - repeats["min"]).groupby(["dataset", "model"])
    return tuple(
        f"{dataset}, {model}: likelihood differs by up to {spreads.max():.2g} between devices on "
        f"the same splits and seeds (by more than {SAME:g} in {(spreads > SAME).sum()} of "
        f"{len(spreads)} repeats)"
        for (dataset, model), spreads in differences
        if spreads.max() > SAME
    )


def _data(results: pd.DataFrame) -> tuple[str, ...]:
    """What may make scores on a dataset too good or too bad, a line each."""
    lines = []
    ok = results[results["status"] == "ok"]
    concerned = ok.loc[(ok["n_repeated"] > 0) | ok["identifiers"].notna(), "dataset"]
    for dataset, rows in ok[ok["dataset"].isin(concerned)].groupby("dataset"):
        # Every model of a repeat has the same split.
        counts = rows.dropna(subset="n_repeated").drop_duplicates("repeat")["n_repeated"]
        if counts.max() > 0:
            low, high = f"{counts.min():.0f}", f"{counts.max():.0f}"
            many = high if low == high else f"up to {high}"
            copies = "is a copy of a training row" if high == "1" else "are copies of training rows"
            lines.append(f"{dataset}: {many} of {rows['n_test'].max():.0f} test rows {copies}.")
        lines += [
            f"{dataset}: nearly every row has a category of its own in {plain(columns)}; leave out "
            "columns that only identify rows."
            for columns in rows["identifiers"].dropna().unique()
        ]
    return tuple(lines)


def _without_weights(results: pd.DataFrame) -> tuple[str, ...]:
    """Models that were fitted without the rows' weights, a line each."""
    plainly = results[(results["status"] == "ok") & (results["fit_weighted"] == False)]  # noqa: E712  # may be None
    return tuple(
        f"{model}: its fit takes no sample_weight, so it was fitted without the weights of "
        f"{_listed(rows['dataset'].unique().tolist(), results['dataset'].nunique())}; its scores "
        "are weighted."
        for model, rows in plainly.groupby("model", sort=False)
    )


def _rare(frames: Frames) -> tuple[str, ...]:
    """Datasets with a class that has too few test rows, a line each."""
    ok = frames.results[frames.results["status"] == "ok"]
    most_rows: dict[str, int] = {}  # by table: of several training sizes, the largest tells
    for name, n_train in ok.groupby("dataset", sort=False)["n_train"].max().items():
        most_rows[base(str(name))] = max(n_train, most_rows.get(base(str(name)), 0))
    # All models of a repeat have the same test rows, and all repeats of a fixed split have.
    columns = ["dataset", "split_kind", "repeat", "result_id", "n_test"]
    different = ok[columns].drop_duplicates(["dataset", "repeat"])
    firsts = by_dataset(cast("list[Record]", different.to_dict("records")))
    lines = []
    for dataset, rows in firsts.items():
        kind = rows[0]["split_kind"]
        if n_folds := folds_in(kind):  # a further repetition tests the same rows again
            rows = [row for row in rows if row["repeat"] < n_folds]
        ids = [row["result_id"] for row in (rows[:1] if kind == "fixed" else rows)]
        counts = np.unique(frames.predictions(ids)["true"], return_counts=True)[1]
        distinct, about = float(min(counts, default=math.nan)), ""
        if kind == "resampled" and len(ids) > 1:
            n_test = fmean(row["n_test"] for row in rows)
            tested = n_test / (n_test + most_rows[base(dataset)])
            distinct, about = _distinct(distinct, len(ids), tested), "about "
        if len(counts) > 1 and distinct < FEWEST_OF_A_CLASS:
            lines.append(
                f"{dataset}: the rarest class has {about}{distinct:.0f} different test rows over "
                "all repeats. That is too few: scores and intervals say little about this class."
            )
    return tuple(lines)


def _distinct(counted: float, splits: int, tested: float) -> float:
    """Expected number of different rows of a table that several random splits test.

    Args:
        counted: test rows, summed over all splits.
        splits: number of splits.
        tested: share of the table that each split tests.

    >>> round(_distinct(10, 10, 0.25), 1), _distinct(3, 1, 0.25)
    (3.8, 3.0)
    """
    in_table = counted / splits / tested
    return in_table * (1 - (1 - tested) ** splits)


def _baselines(frames: Frames, ranking: pd.DataFrame) -> tuple[str, ...]:
    """Datasets where a baseline, which ignores X, is among the best, a line for what they share.

    The scores are the accuracy, if it is shown, and the metric that ranks.
    """
    names = [each.name for each in shown(frames)]
    judged = ["accuracy"] if "accuracy" in names else []
    judged += [name for name in names[:1] if frames.metrics and name not in judged]
    where: dict[str, list[str]] = {}
    for dataset, rows in by_dataset(cast("list[Record]", ranking.to_dict("records"))).items():
        if all(row["baseline"] for row in rows):
            continue
        leading = {
            name: _leading_baselines(rows, name)
            for name in ("likelihood", *names)
            if not all(math.isnan(row[name]) for row in rows)
        }
        for name in judged:
            if leading.get(name):
                told = f"{_who(leading[name])} among the best by {name}."
                where.setdefault(f"{told} {_nothing_said(name, leading)}", []).append(dataset)
    return tuple(f"{', '.join(datasets)}: {told}" for told, datasets in where.items())


def _leading_baselines(rows: Sequence[Record], score: str) -> list[str]:
    """The baselines among the best of a dataset by a score."""
    names = [
        row["model"]
        for row in rows
        if row["baseline"] and (row[f"{score}_best"] or row[f"{score}_tied_with_best"])
    ]
    return list(dict.fromkeys(names))


def _who(baselines: Sequence[str]) -> str:
    """The subject and the verb of a sentence about baselines.

    >>> _who(["prior"])
    'the baseline prior, which ignores the features, is'
    >>> _who(["prior", "uniform"])
    'the baselines prior and uniform, which ignore the features, are'
    """
    s, verb_s, verb = ("", "s", "is") if len(baselines) == 1 else ("s", "", "are")
    names = " and ".join(baselines)
    return f"the baseline{s} {names}, which ignore{verb_s} the features, {verb}"


def _nothing_said(score: str, leading: Mapping[str, Sequence[str]]) -> str:
    """A sentence that a score tells no model from a baseline, and what to look at instead.

    Args:
        score: the score by which a baseline is among the best.
        leading: the baselines among the best, by score; empty for a score that says something.
    """
    name = score.capitalize() if score in USUAL else score
    silent = f"{name} does not separate the best models from guessing here"
    telling = [other for other, baselines in leading.items() if not baselines]
    if "likelihood" in telling:
        another = ", or another score (`--metric auc`)" if score == "accuracy" else ""
        return f"{silent}; compare their likelihoods{another}."
    if telling:
        return f"{silent}; compare them by {telling[0]}."
    neither = "" if score == "likelihood" else ", nor does the likelihood"
    return f"{silent}{neither}; more test rows or repeats may help."


def _listed(datasets: list[str], n_datasets: int) -> str:
    if len(datasets) == n_datasets > 2:
        return f"all {n_datasets} datasets"
    return ", ".join(datasets)


def _legend(frames: Frames, ranking: pd.DataFrame) -> tuple[str, ...]:
    if not ranking["ok"].sum():
        return _unfinished(frames)
    names = [each.name for each in shown(frames)]
    rank = ranked_by(frames)
    lines = [CHOSEN.format(rank.name) if frames.metrics else RANKED, MARKS]
    if any(set(names) & row["below_baseline"] for row in named_rows(ranking)):
        lines.append(BELOW_HELP)
    lines.append(TESTS)
    if not all(each.more_is_better for each in shown(frames)):
        lines.append(f"{LESS}: less is better.")
    if frames.run.n_looks > 1:
        lines.append(LOOKED.format(f" by {rank.name}" if frames.metrics else ""))
        lines += _untested(ranking, rank)
    if (ranking["status"] == "partial").any():
        lines.append(
            f"{PARTIAL}: some repeats have no score. Numbers are over the other repeats; the model "
            "has no rank and cannot be the best."
        )
    kinds = set(ranking.loc[ranking["ok"] > 0, "split_kind"])
    lines += [text for kind, text in INTERVALS.items() if kind in kinds]
    folded = ranking["split_kind"].map(folds_in) > 0
    if (folded & (ranking["ok"] > 0)).any():
        without_intervals = ranking["nll_basis"] == Basis.MANY_FOLDS
        if (folded & ~without_intervals).any():
            lines.append(FOLDS)
        if without_intervals.any():
            lines.append(FOLDS_WITHOUT)
        lines += _untested_folds(ranking[folded])
    over_test_rows = (
        ranking[["accuracy_basis", "nll_basis"]]
        .isin([basis for basis in Basis if basis.over_test_rows])
        .any(axis=1)
    )
    if (over_test_rows & (ranking["split_kind"] != "fixed")).any():
        how = "Student's t" if frames.metrics else "Wilson's (accuracy) and Student's t (NLL)"
        lines.append(
            f"With one repeat, or equal scores in all repeats, intervals are {how} over "
            f"the test rows."
        )
    if ((ranking["split_kind"] == "fixed") & (ranking["total"] == 1) & (ranking["ok"] > 0)).any():
        lines.append(ONE_SEED)
    if "likelihood" in names:
        lines.append(
            "The bounds of the likelihood's interval are exp(-bound) of the mean NLL's interval."
        )
    if {"likelihood", "nll"} & set(names) and (ranking["nll_basis"] == Basis.FEW_CARRYING).any():
        lines.append(NO_INTERVAL)
    if not frames.metrics and (
        clipped := [row for row in named_rows(ranking) if row["clipped"] > 0]
    ):
        lines.append(_clipped(clipped))
    lines += [TIMES, IMPORTS]
    if (frames.results["fitted_together"] > 1).any():
        lines.append("If n repeats were trained together, each is charged 1/n of the time.")
    if frames.results["n_effective"].notna().any():
        lines.append(WEIGHTED)
    if ranking["peak_bytes"].notna().any():
        lines.append(MEMORY)
    return (*lines, *_unfinished(frames))


def _clipped(rows: Sequence[Record]) -> str:
    """The note on test rows whose right class got probability 0, with the model that has most."""
    most = max(rows, key=lambda row: row["clipped"])
    where = (
        f"{most['name']} on {most['dataset']} "
        f"({most['clipped']:.0f} of {most['ok'] * most['n_test']:.0f} test rows)"
    )
    n = plural(int(sum(row["clipped"] for row in rows)), "test row")
    return (
        f"{CLIPPED}: the right class got probability 0, counted as {CLIP:.1e}: "
        + (f"{n}; most by " if len(rows) > 1 else "")
        + f"{where}."
    )


def _untested(ranking: pd.DataFrame, rank: Shown) -> list[str]:
    """The datasets to which ``--repeats auto`` adds nothing, because no test compares the score."""
    basis = f"{rank.name}_basis"
    if basis not in ranking:
        return []
    models = ranking[(ranking["ok"] > 0) & ~ranking["baseline"].astype(bool)]
    untested = (models[basis] == Basis.NO_ROW_SCORES).groupby(models["dataset"], sort=False).all()
    names = untested.index[untested].tolist()
    if not names:
        return []
    where = _listed(names, ranking["dataset"].nunique())
    why = f"{rank.name} is not a mean over rows, so no test compares models by it."
    return [f"No repeats were added for {where}: {why}"]


def _untested_folds(ranking: pd.DataFrame) -> list[str]:
    """Datasets of which some folds were tested more often than others, a line each."""
    lines = []
    for dataset, rows in ranking.groupby("dataset", sort=False):
        n_folds, total = folds_in(rows["split_kind"].iloc[0]), int(rows["total"].max())
        if total % n_folds:
            full = -(-total // n_folds) * n_folds
            lines.append(
                f"{dataset}: {total} repeats test some of the {n_folds} folds more often than "
                f"others; `-r {full}` tests all equally often."
            )
    return lines


def _unfinished(frames: Frames) -> tuple[str, ...]:
    done, planned = len(frames.results), frames.run.n_trials
    return (f"The run is not finished: {done} of {planned} trials.",) if done < planned else ()
