"""Reads several runs from the store as one: of each pairing its newest results.

Results stand beside each other only if they come from the same splits, because models are compared
split by split. And the repeats of one pairing must come from the same code and versions. What does
not fit is left out, and said.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import pandas as pd

from harness.errors import UsageError
from harness.store.frames import POSITION, load_frames
from harness.store.sessions import Part, side_by_side
from harness.store.sources import told
from harness.words import listed, plural

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from harness.contract.values import Frames, Picture, Planned, Run
    from harness.store.database import Store

PAIRING = ["dataset", "model", "device"]
PARAMETERS = ("dataset_parameters", "model_parameters")
"""Columns that say what the names say, too, and take long to read."""

MOST_LINES = 8
"""Lines on results that are left out, at most."""


def load_runs(
    store: Store, runs: Sequence[Run], pictures: Mapping[str, Picture] = MappingProxyType({})
) -> Frames:
    """Runs as one set of frames; a single run as `load_frames` reads it.

    Args:
        store: the database.
        runs: without duplicates, in any order.
        pictures: as in `load_frames`.

    Raises:
        UsageError: a run took only timings.
    """
    ordered = sorted(runs, key=lambda run: run.id)
    if len(ordered) == 1:
        return load_frames(store, ordered[0], pictures)
    if bench := next((run for run in ordered if run.kind == "bench"), None):
        raise UsageError(
            f"run {bench.id} is a bench, which has no results to rank beside others; leave it out"
        )
    without = (*POSITION, *PARAMETERS)
    parts = [load_frames(store, run, pictures, without=without) for run in ordered]
    rows = pd.concat(
        [part.results.assign(in_run=run.id) for run, part in zip(ordered, parts, strict=True)],
        ignore_index=True,
    )
    return _together(parts, _with_origins(rows), {run.id: run for run in store.runs()})


def _together(parts: Sequence[Frames], rows: pd.DataFrame, runs: Mapping[int, Run]) -> Frames:
    """The frames of several runs as one.

    Args:
        parts: the frames of each run, by id.
        rows: all their results, with what `_chosen` needs; a result stands once for each run that
            has it.
        runs: all runs of the store, by id. ``parts`` may show results of further runs.
    """
    ordered = [part.run for part in parts]
    ids_of_runs = sorted({*rows["run_id"], *(run.id for run in ordered)})

    def until(end: datetime) -> Frames:
        earlier = [each for each in ids_of_runs if _started(runs[each]) < end]
        before = rows[rows["run_id"].isin(earlier)]
        # A run may have run a trial that only later ones of the set have: as their known result.
        stands = before["in_run"].where(before["in_run"].isin(earlier), before["run_id"])
        parts_before = [part for part in parts if part.run.id in earlier]
        return _together(parts_before or parts[:1], before.assign(in_run=stands), runs)

    # A result that later runs reuse stands where the newest of them has it.
    rows_once = rows.sort_values("in_run", kind="stable").drop_duplicates("result_id", keep="last")
    kept, left_out, fitting = _chosen(rows_once.sort_index())
    ids, with_results = set(kept["result_id"]), set(rows["in_run"])
    with_it = rows.loc[rows["result_id"].isin(fitting), ["in_run", *PAIRING]].drop_duplicates()
    of_same_code = set(with_it.itertuples(index=False, name=None))
    timings, untimed = side_by_side(
        [Part(run, part.timings) for run, part in zip(ordered, parts, strict=True)],
        runs.values(),
        wanted=lambda run_id, row: (
            (run_id, row["case"], row["subject"], row["device"]) in of_same_code
        ),
    )
    newest = parts[-1]
    return replace(
        newest,
        run=replace(
            ordered[-1],
            name=f"runs {listed([run.id for run in ordered], most=20)}",
            started=min(run.started for run in ordered),
            finished=None if any(run.finished is None for run in ordered) else newest.run.finished,
            n_trials=len(kept),
            planned=_planned([run for run in ordered if run.id in with_results], kept),
            joined=tuple(run.id for run in ordered),
        ),
        results=kept,
        traces=lambda: _of(ids, [part.traces() for part in parts]),
        timings=timings,
        sources=(*told(runs.values(), kept), *left_out, *untimed),
        runs=tuple(runs[each] for each in ids_of_runs),
        until=until,
    )


def _started(run: Run) -> datetime:
    started = datetime.fromisoformat(run.started)
    return started if started.tzinfo else started.replace(tzinfo=UTC)


def _with_origins(rows: pd.DataFrame) -> pd.DataFrame:
    """What each result follows from: a digest of code and versions, and its split."""
    return rows.drop(columns=["identity", "drawn", "read_files"]).assign(
        code=rows["identity"].fillna("").str.partition("-")[0] + rows["read_files"].fillna(""),
        split=rows["drawn"].fillna(""),
        seed=[f"seed {seed}" for seed in rows["split_seed"]],
    )


@dataclass(frozen=True, slots=True)
class _Reason:
    """Why results of a run on a dataset are left out."""

    run_id: int
    dataset: str
    why: str


def _chosen(rows: pd.DataFrame) -> tuple[pd.DataFrame, list[str], set[int]]:
    """The rows to show, and what follows from the choice.

    Returns:
        The rows in their order; lines on those that are left out; and the ids of all results whose
        splits and code are those of the rows to show.
    """
    left: dict[_Reason, Counter[str]] = {}

    def leave_out(rows: pd.DataFrame, whys: Iterable[str]) -> None:
        for row, why in zip(rows.to_dict("records"), whys, strict=True):
            reason = _Reason(int(row["in_run"]), str(row["dataset"]), why)
            left.setdefault(reason, Counter())[str(row["model"])] += 1

    ran = rows[rows["status"] != "skipped"].copy()
    # Where a result of an earlier schema has no digest of its split, the seeds tell.
    is_unknown = (ran["status"] == "ok") & (ran["split"] == "")
    by_seed = is_unknown.groupby([ran["dataset"], ran["repeat"]]).transform("any")
    ran["split"] = ran["split"].where(~by_seed, ran["seed"])
    fits = _on_common_splits(ran)
    leave_out(ran[~fits], ["of other splits or other data"] * int((~fits).sum()))
    ran = ran[fits]
    fits, newer = _of_newest_code(ran)
    other = "of other code or versions than those of run {}"
    leave_out(ran[~fits], [other.format(int(run_id)) for run_id in newer[~fits]])
    ran = ran[fits].sort_values("in_run", kind="stable")
    fitting = set(ran["result_id"].tolist())
    is_ok = ran["status"] == "ok"
    ran = pd.concat([ran[~is_ok], ran[is_ok]])  # a success comes before a newer failure
    ran = ran.drop_duplicates([*PAIRING, "repeat"], keep="last")
    skipped = rows[rows["status"] == "skipped"].drop_duplicates(PAIRING, keep="last")
    known = pd.MultiIndex.from_frame(ran[PAIRING])
    skipped = skipped[~pd.MultiIndex.from_frame(skipped[PAIRING]).isin(known)]
    kept = pd.concat([ran, skipped]).sort_index()
    kept = kept.drop(columns=["in_run", "code", "split", "seed"]).reset_index(drop=True)
    return kept, _lines(left), fitting


def _on_common_splits(ran: pd.DataFrame) -> Any:
    """Whether each row is of the split that most results of its dataset and repeat are of.

    Of equally many it is the split of the newest run. Rows that have no result fit every split.
    """
    ok = ran[ran["status"] == "ok"]
    votes = (
        ok.groupby(["dataset", "repeat", "split"], sort=False)
        .agg(n=("model", "nunique"), newest=("in_run", "max"))
        .reset_index()
        .sort_values(["n", "newest"])
        .drop_duplicates(["dataset", "repeat"], keep="last")
        .set_index(["dataset", "repeat"])["split"]
    )
    wanted = votes.reindex(pd.MultiIndex.from_frame(ran[["dataset", "repeat"]])).to_numpy()
    return (ran["split"].to_numpy() == wanted) | (ran["status"] != "ok").to_numpy()


def _of_newest_code(ran: pd.DataFrame) -> tuple[Any, Any]:
    """Whether each row's code is that of its pairing's newest run with results, and that run."""
    ok = ran[ran["status"] == "ok"].sort_values("in_run", kind="stable")
    last = ok.drop_duplicates(PAIRING, keep="last").set_index(PAIRING)
    of_row = last[["in_run", "code"]].reindex(pd.MultiIndex.from_frame(ran[PAIRING]))
    newest = of_row["in_run"].to_numpy()
    code = ran["code"].to_numpy()
    same = (code == of_row["code"].to_numpy()) & (code != "")
    return pd.isna(newest) | (ran["in_run"].to_numpy() == newest) | same, newest


def _lines(left: Mapping[_Reason, Counter[str]]) -> list[str]:
    lines = [
        f"Left out: {plural(sum(models.values()), 'result')} of run {reason.run_id} on "
        f"{reason.dataset} ({listed(sorted(models), most=3)}), {reason.why}."
        for reason, models in left.items()
    ]
    if len(lines) > MOST_LINES:
        n_more = len(lines) - MOST_LINES
        lines = [*lines[:MOST_LINES], f"Left out likewise: {n_more} more of such groups."]
    return lines


def _planned(runs: Iterable[Run], kept: pd.DataFrame) -> tuple[Planned, ...]:
    """The pairings of all runs, each with as many repeats as its dataset has results of."""
    ran = kept[kept["status"] != "skipped"]
    repeats: dict[str, int] = {}
    for dataset, repeat in zip(ran["dataset"].tolist(), ran["repeat"].tolist(), strict=True):
        repeats[dataset] = max(repeats.get(dataset, 0), repeat + 1)
    by_pairing = {
        (pairing.dataset, pairing.model, pairing.device): pairing
        for run in runs
        for pairing in run.planned
    }
    return tuple(
        replace(pairing, repeats=repeats.get(pairing.dataset, pairing.repeats))
        for pairing in by_pairing.values()
    )


def _of(ids: set[int], frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
    rows = pd.concat(frames, ignore_index=True)
    return rows[rows["result_id"].isin(ids)].reset_index(drop=True)
