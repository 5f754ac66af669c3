"""Reads several runs from the store as one: of each pairing its newest results.

Results stand beside each other only if they come from the same splits, because models are compared
split by split. And the repeats of one pairing must come from the same code and versions. What does
not fit is left out, and said.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import pandas as pd
import sqlalchemy as sa

from harness.errors import UsageError
from harness.store import database as tables
from harness.store.frames import load_frames
from harness.store.sessions import Part, side_by_side
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
    parts = [load_frames(store, run, pictures, without=PARAMETERS) for run in ordered]
    rows = pd.concat(
        [part.results.assign(run_id=run.id) for run, part in zip(ordered, parts, strict=True)],
        ignore_index=True,
    ).join(_origins(store, ordered), on="result_id")
    kept, left_out, of_same_code = _chosen(rows)
    ids = set(kept["result_id"])
    timings, untimed = side_by_side(
        [Part(run, part.timings) for run, part in zip(ordered, parts, strict=True)],
        store.runs(),
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
            planned=_planned(ordered, kept),
            joined=tuple(run.id for run in ordered),
        ),
        results=kept,
        traces=lambda: _of(ids, [part.traces() for part in parts]),
        timings=timings,
        sources=(*_told(ordered, kept), *left_out, *untimed),
    )


def _origins(store: Store, runs: Sequence[Run]) -> pd.DataFrame:
    """What each result follows from: a digest of code and versions, and its split."""
    table = tables.results
    query = sa.select(table.c.id, table.c.identity, table.c.drawn, table.c.split_seed).where(
        table.c.run_id.in_([run.id for run in runs])
    )
    with store.reading() as connection:
        rows = connection.execute(query).all()
    return pd.DataFrame(
        {
            "result_id": [row.id for row in rows],
            "code": [(row.identity or "").partition("-")[0] for row in rows],
            "split": [row.drawn or "" for row in rows],
            "seed": [f"seed {row.split_seed}" for row in rows],
        }
    ).set_index("result_id")


@dataclass(frozen=True, slots=True)
class _Reason:
    """Why results of a run on a dataset are left out."""

    run_id: int
    dataset: str
    why: str


def _chosen(
    rows: pd.DataFrame,
) -> tuple[pd.DataFrame, list[str], set[tuple[int, str, str, str]]]:
    """The rows to show, and what follows from the choice.

    Returns:
        The rows in their order; lines on those that are left out; and the runs and pairings (run
        id, dataset, model, device) whose splits and code are those of the rows to show.
    """
    left: dict[_Reason, Counter[str]] = {}

    def leave_out(rows: pd.DataFrame, whys: Iterable[str]) -> None:
        for row, why in zip(rows.to_dict("records"), whys, strict=True):
            reason = _Reason(int(row["run_id"]), str(row["dataset"]), why)
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
    ran = ran[fits].sort_values("run_id", kind="stable")
    pairings = ran[["run_id", *PAIRING]].drop_duplicates()
    of_same_code = set(pairings.itertuples(index=False, name=None))
    is_ok = ran["status"] == "ok"
    ran = pd.concat([ran[~is_ok], ran[is_ok]])  # a success comes before a newer failure
    ran = ran.drop_duplicates([*PAIRING, "repeat"], keep="last")
    skipped = rows[rows["status"] == "skipped"].drop_duplicates(PAIRING, keep="last")
    known = pd.MultiIndex.from_frame(ran[PAIRING])
    skipped = skipped[~pd.MultiIndex.from_frame(skipped[PAIRING]).isin(known)]
    kept = pd.concat([ran, skipped]).sort_index()
    kept = kept.drop(columns=["code", "split", "seed"]).reset_index(drop=True)
    return kept, _lines(left), of_same_code


def _on_common_splits(ran: pd.DataFrame) -> Any:
    """Whether each row is of the split that most results of its dataset and repeat are of.

    Of equally many it is the split of the newest run. Rows that have no result fit every split.
    """
    ok = ran[ran["status"] == "ok"]
    votes = (
        ok.groupby(["dataset", "repeat", "split"], sort=False)
        .agg(n=("model", "nunique"), newest=("run_id", "max"))
        .reset_index()
        .sort_values(["n", "newest"])
        .drop_duplicates(["dataset", "repeat"], keep="last")
        .set_index(["dataset", "repeat"])["split"]
    )
    wanted = votes.reindex(pd.MultiIndex.from_frame(ran[["dataset", "repeat"]])).to_numpy()
    return (ran["split"].to_numpy() == wanted) | (ran["status"] != "ok").to_numpy()


def _of_newest_code(ran: pd.DataFrame) -> tuple[Any, Any]:
    """Whether each row's code is that of its pairing's newest run with results, and that run."""
    ok = ran[ran["status"] == "ok"].sort_values("run_id", kind="stable")
    last = ok.drop_duplicates(PAIRING, keep="last").set_index(PAIRING)
    of_row = last[["run_id", "code"]].reindex(pd.MultiIndex.from_frame(ran[PAIRING]))
    newest = of_row["run_id"].to_numpy()
    code = ran["code"].to_numpy()
    same = (code == of_row["code"].to_numpy()) & (code != "")
    return pd.isna(newest) | (ran["run_id"].to_numpy() == newest) | same, newest


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


def _told(runs: Sequence[Run], kept: pd.DataFrame) -> list[str]:
    """A line for each run that results come from, with the models that it alone gives."""
    models: dict[int, set[str]] = {}
    for run_id, model in zip(kept["run_id"].tolist(), kept["model"].tolist(), strict=True):
        models.setdefault(run_id, set()).add(model)
    counts = kept["run_id"].value_counts()
    lines = []
    for run in runs:
        others = {model for each, names in models.items() if each != run.id for model in names}
        own = sorted(models.get(run.id, set()) - others)
        name = f" '{run.name}'" if run.name else ""
        alone = f", among them all of {listed(own, most=4)}" if own else ""
        n_results = plural(int(counts.get(run.id, 0)), "result")
        lines.append(f"Run {run.id}{name} of {run.started[:10]}: {n_results}{alone}.")
    machines = [run.environment.get("machine", {}) for run in runs if run.id in models]
    names = {f"{machine.get('node')} ({machine.get('processor')})" for machine in machines}
    if len(names) > 1:
        lines.append(
            f"They ran on {plural(len(names), 'machine')}: {listed(sorted(names), most=3)}. "
            "Seconds and bytes of different machines are not to be compared; times as multiples "
            "of an anchor's are, within their intervals."
        )
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
