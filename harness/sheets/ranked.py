"""The tables of a ranking: one for each dataset, two overviews, and the costs."""

from __future__ import annotations

import math
from statistics import median
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from harness.analysis.shown import USUAL
from harness.contract.values import folds_in
from harness.sheets.figures import bound, compact, loss_decimals, share
from harness.sheets.figures import score as figure
from harness.sheets.table import BELOW, CLIPPED, LESS, PARTIAL, TIED, Column, Entry, Sheet
from harness.words import fixed, listed, plural

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import pandas as pd

    from harness.analysis.shown import Shown

    Record: TypeAlias = dict[str, Any]
    """A row of the ranking, as pandas gives it: names, numbers and truth values."""

SPLITS = {
    "fresh": " (fresh draws)",
    "resampled": " (resampled)",
    "fixed": " (fixed split)",
}
MEMORY = (
    ("peak MiB", "peak_bytes", 2**20),
    ("device MiB", "device_peak_bytes", 2**20),
    ("model KiB", "model_bytes", 2**10),
)
"""Columns of the costs that are left out where no model has a figure."""


def sheets(ranking: pd.DataFrame, metrics: Sequence[Shown] = ()) -> list[Sheet]:
    """A sheet for each dataset, overviews, and a sheet of further costs.

    Args:
        ranking: from `harness.analysis.ranking`.
        metrics: the chosen scores; empty for the usual ones.
    """
    named = named_rows(ranking)
    groups = by_dataset(named)
    by_name: dict[str, dict[str, Record]] = {}
    for row in named:
        by_name.setdefault(row["name"], {})[row["dataset"]] = row
    if not groups:
        return []
    return [
        *(ranked(dataset, rows, metrics) for dataset, rows in groups.items()),
        *(
            _overview(name, list(groups), by_name, more_is_better=more_is_better)
            for name, more_is_better in [(each.name, each.more_is_better) for each in metrics]
            or [(name, True) for name in USUAL]
        ),
        _costs(by_name),
    ]


def named_rows(ranking: pd.DataFrame) -> list[Record]:
    """The ranking's rows, each with a ``name``: the model, and the device if several ran.

    Each has also ``below_baseline``: the scores by which it is not significantly different from the
    best, but worse than a baseline.
    """
    several = ranking["device"].nunique() > 1
    rows = cast("list[Record]", ranking.to_dict("records"))
    for row in rows:
        row["name"] = f"{row['model']} @ {row['device']}" if several else row["model"]
        row["below_baseline"] = set()
    flag = "_tied_with_best"
    scores = [name.removesuffix(flag) for name in ranking.columns if name.endswith(flag)]
    for own in by_dataset(rows).values():
        for score in scores:
            _mark_below(own, score)
    return rows


def by_dataset(rows: Iterable[Record]) -> dict[str, list[Record]]:
    """The rows of each dataset."""
    groups: dict[str, list[Record]] = {}
    for row in rows:
        groups.setdefault(row["dataset"], []).append(row)
    return groups


def _mark_below(rows: Sequence[Record], score: str) -> None:
    """Mark the rows of a dataset that tie with the best by a score, but are below a baseline.

    The best score is the largest or the smallest: what is farther from it is worse.
    """
    best = next((row[score] for row in rows if row[f"{score}_best"]), math.nan)
    gaps = [abs(row[score] - best) for row in rows if row["baseline"] and row["ok"]]
    least = min((gap for gap in gaps if not math.isnan(gap)), default=math.inf)
    for row in rows:
        is_tied = row[f"{score}_tied_with_best"] and not row["baseline"]
        if is_tied and abs(row[score] - best) > least:
            row["below_baseline"].add(score)


def _mark(row: Record, score: str) -> str:
    """How a score stands to the best one: `TIED`, `BELOW` or empty."""
    if not row[f"{score}_tied_with_best"]:
        return ""
    return BELOW if score in row["below_baseline"] else TIED


def ranks(rows: Sequence[Record]) -> Iterator[str]:
    """The rank of each model; empty for baselines and without a rank."""
    return ("" if math.isnan(row["rank"]) else f"{row['rank']:.0f}" for row in rows)


def ranked(dataset: str, rows: list[Record], metrics: Sequence[Shown]) -> Sheet:
    """The table of a dataset, with the baselines last."""
    rows = sorted(rows, key=lambda row: bool(row["baseline"]))
    total = rows[0]["total"]
    ran = [row for row in rows if row["status"] != "skipped"]
    runs = sorted({run for row in rows for run in row["runs"].split("+") if run}, key=int)
    spare = {"ok": f"all {total} ok" if total > 1 else "ok"}
    if any(row["status"] != "ok" for row in ran):
        spare = {}
    if len(runs) > 1:
        spare["run"] = f"from runs {listed(runs, most=4)}"
    return Sheet(
        dataset,
        split_in_words(rows),
        (
            _column("#", map(Entry, ranks(rows))),
            Column("model", tuple(_name(row) for row in rows), named=True),
            *(
                _column(_head(each), (score_entry(row, each.name, first=i == 0) for row in rows))
                for i, each in enumerate(metrics)
            ),
            *(() if metrics else _usual(rows)),
            _column("fit s", (Entry(compact(row["fit_seconds"], 3)) for row in rows)),
            _column(
                "µs/row",
                (Entry(compact(row["predict_microseconds_per_row"], 2)) for row in rows),
            ),
            _column("ok", (_count(row) for row in rows)),
            *([_column("run", (Entry(row["runs"]) for row in rows))] if "run" in spare else ()),
        ),
        spare=tuple(spare),
        spared=", ".join(spare.values()) or "ok",
    )


def _usual(rows: list[Record]) -> Iterator[Column]:
    """The columns of the usual scores."""
    decimals = loss_decimals([row["nll"] for row in rows])
    yield _column("accuracy", (score_entry(row, "accuracy", first=True) for row in rows))
    yield _column("likelihood", (score_entry(row, "likelihood") for row in rows))
    yield _column(
        "NLL",
        (
            Entry(fixed(row["nll"], decimals), note=CLIPPED if row["clipped"] > 0 else "")
            for row in rows
        ),
    )
    yield _column("Brier", (Entry(share(row["brier"])) for row in rows))


def _head(metric: Shown) -> str:
    return metric.name if metric.more_is_better else f"{metric.name} {LESS}"


def split_in_words(rows: list[Record]) -> str:
    """How the data were split, such as ``5 repeats (resampled), 112 training and 38 test rows``."""
    total = rows[0]["total"]
    kind = next((row["split_kind"] for row in rows if isinstance(row["split_kind"], str)), "")
    n_folds = folds_in(kind)
    if n_folds:
        repeats = _folds_in_words(n_folds, total, alone=any(row["n_test"] == 1 for row in rows))
    else:
        repeats = plural(total, "repeat") + SPLITS.get(kind, "")
    sizes = next((row for row in rows if not math.isnan(row["n_train"])), None)
    if sizes is None:
        return repeats
    return f"{repeats}, {sizes['n_train']:.0f} training and {sizes['n_test']:.0f} test rows"


def _folds_in_words(n_folds: int, total: int, *, alone: bool) -> str:
    """How many folds or repetitions of a cross-validation were tested.

    >>> _folds_in_words(10, 20, alone=False)
    '10-fold cross-validation, 2 repetitions'
    >>> _folds_in_words(150, 150, alone=True), _folds_in_words(10, 5, alone=False)
    ('leave-one-out cross-validation', '5 folds of 10-fold cross-validation')
    """
    name = "leave-one-out" if alone else f"{n_folds}-fold"
    repetitions, rest = divmod(total, n_folds)
    if rest:
        return f"{plural(total, 'fold')} of {name} cross-validation"
    return f"{name} cross-validation" + (f", {repetitions} repetitions" if repetitions > 1 else "")


def _overview(
    score: str, datasets: list[str], by_name: dict[str, dict[str, Record]], *, more_is_better: bool
) -> Sheet:
    names, means = ordered(by_name, datasets, score, more_is_better=more_is_better)
    return Sheet(
        score,
        "models by datasets" + ("" if more_is_better else f" {LESS}"),
        (
            Column(
                "model",
                tuple(_name(next(iter(by_name[name].values()))) for name in names),
                named=True,
            ),
            _column("mean", (Entry(figure(means[name])) for name in names)),
            *(
                _column(dataset, (at_a_glance(by_name[name].get(dataset), score) for name in names))
                for dataset in datasets
            ),
        ),
    )


def ordered(
    by_name: dict[str, dict[str, Record]],
    datasets: Sequence[str],
    score: str,
    *,
    more_is_better: bool,
) -> tuple[list[str], dict[str, float]]:
    """The models and their means: the best first, then those without a mean, then the baselines."""
    means = {
        name: sum(rows[dataset][score] for dataset in datasets) / len(datasets)
        if all(dataset in rows and rows[dataset]["status"] == "ok" for dataset in datasets)
        else math.nan
        for name, rows in by_name.items()
    }
    sign = -1 if more_is_better else 1

    def place(name: str) -> tuple[bool, bool, float, str]:
        mean, row = means[name], next(iter(by_name[name].values()))
        lacks = math.isnan(mean)
        return bool(row["baseline"]), lacks, 0.0 if lacks else sign * mean, name

    return sorted(by_name, key=place), means


def _costs(by_name: dict[str, dict[str, Record]]) -> Sheet:
    ran = {
        name: scored
        for name, rows in sorted(by_name.items())
        if (scored := [row for row in rows.values() if row["ok"]])
    }

    def over(figure: str) -> list[list[float]]:
        return [
            [row[figure] for row in rows if not math.isnan(row[figure])] or [math.nan]
            for rows in ran.values()
        ]

    return Sheet(
        "costs",
        "times paid once, and memory",
        (
            Column("model", tuple(_name(rows[0]) for rows in ran.values()), named=True),
            _column("import s", (Entry(compact(max(x), 2)) for x in over("import_seconds"))),
            _column(
                "construction ms",
                (Entry(compact(1e3 * median(x), 2)) for x in over("make_seconds")),
            ),
            _column(
                "first call ms",
                (Entry(compact(median(x), 2)) for x in over("first_predict_milliseconds")),
            ),
            *(
                _column(head, (Entry(compact(max(x) / unit, 1)) for x in over(figure)))
                for head, figure, unit in MEMORY
                if any(max(x) >= 0 for x in over(figure))
            ),
        ),
    )


def _column(head: str, entries: Iterable[Entry]) -> Column:
    return Column(head, tuple(entries))


def _name(row: Record) -> Entry:
    return Entry(row["name"], look="faint" if row["baseline"] else "")


def score_entry(row: Record, score: str, *, first: bool = False) -> Entry:
    """A score with its interval; in the first column of scores, the status of what has none."""
    if not row["ok"]:
        return Entry(row["status"] if first else "", look="alarm")
    if math.isnan(row[score]):
        return Entry("–", look="alarm")
    ends = (row[f"{score}_low"], row[f"{score}_high"])
    in_unit = ends[0] >= 0 and ends[1] <= 1
    low, high = map(bound if in_unit else figure, ends)
    return Entry(
        figure(row[score]),
        low,
        high,
        mark=_mark(row, score),
        look="strong" if row[f"{score}_separated"] else "",
    )


def at_a_glance(row: Record | None, score: str) -> Entry:
    """A score in an overview: without its interval, and marked if repeats are missing."""
    if row is None or not row["ok"] or math.isnan(row[score]):
        return Entry("–", look="alarm")
    mark = PARTIAL if row["status"] == "partial" else _mark(row, score)
    return Entry(figure(row[score]), mark=mark, look="strong" if row[f"{score}_separated"] else "")


def _count(row: Record) -> Entry:
    if row["status"] == "skipped":
        return Entry("")
    return Entry(f"{row['ok']}/{row['total']}", look="" if row["status"] == "ok" else "alarm")
