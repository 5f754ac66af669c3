"""The leaderboard over all datasets: each model's mean score and its rank.

A model has a rank if it completed every repeat on every dataset, because means over different
datasets cannot be compared.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from harness.analysis.ranking import MISSING, ROUNDING
from harness.contract.own_scores import LIKELIHOOD

if TYPE_CHECKING:
    from harness.analysis.shown import Shown
    from harness.contract.values import Frames

PAIRING = ["dataset", "model", "device"]
COLUMNS = ("rank", "model", "device", "baseline", "mean", "complete", "datasets", "leads")


def standings(ranking: pd.DataFrame, rank: Shown) -> pd.DataFrame:
    """A row for each contender (a model on a device), the best mean first.

    Columns: ``rank`` (NaN without a mean and for baselines; equal means share a rank), ``model``,
    ``device``, ``baseline``, ``mean`` (of the score that ranks, over all datasets; NaN unless the
    contender is complete on each), ``complete`` (number of datasets on which it is), ``datasets``
    (number of datasets of all contenders), and ``leads`` (number of datasets on which it is the
    best or not significantly different from the best; 0 if the ranking does not tell).

    Args:
        ranking: from `harness.analysis.ranking` or `means`.
        rank: the score that ranks.
    """
    n_datasets = ranking["dataset"].nunique()
    complete = (ranking["status"] == "ok") & ranking[rank.name].notna()
    leads = pd.Series(data=False, index=ranking.index)
    for flag in (f"{rank.name}_best", f"{rank.name}_tied_with_best"):
        if flag in ranking:
            leads |= ranking[flag].astype(bool)
    rows = pd.DataFrame(
        {
            "model": ranking["model"],
            "device": ranking["device"],
            "baseline": ranking["baseline"].astype(bool),
            "sum": ranking[rank.name].where(complete, 0.0),
            "complete": complete.astype(int),
            "leads": leads.astype(int),
        }
    )
    table = rows.groupby(["model", "device"], sort=True, as_index=False).agg(
        {"baseline": "max", "sum": "sum", "complete": "sum", "leads": "sum"}
    )
    whole = table["complete"] == n_datasets
    table["mean"] = (table.pop("sum") / max(n_datasets, 1)).where(whole)
    table["datasets"] = n_datasets
    # First the ranked; then by the number of completed datasets.
    table["lacking"] = n_datasets - table["complete"]
    table["loss"] = -table["mean"] if rank.more_is_better else table["mean"]
    table = table.sort_values(["lacking", "loss", "model", "device"], ignore_index=True)
    own = ~table["baseline"]
    table["rank"] = np.nan
    table.loc[own, "rank"] = _ranks(table.loc[own, "loss"].to_numpy(dtype=np.float64))
    return table[list(COLUMNS)]


def means(frames: Frames, rank: Shown) -> pd.DataFrame:
    """The part of the ranking that `standings` needs, without intervals and tests, which take long.

    Columns: ``dataset``, ``model``, ``device``, ``baseline``, ``status`` (``ok``, ``partial`` or
    ``missing``) and the score that ranks.
    """
    results = frames.results
    planned = pd.DataFrame(
        [(p.dataset, p.model, p.device, p.baseline, p.repeats) for p in frames.run.planned],
        columns=[*PAIRING, "baseline", "repeats"],
    )
    ran = results[results["status"] != "skipped"]
    totals = _totals(ran, planned)
    ok = ran[ran["status"] == "ok"]
    grouped = ok.groupby(PAIRING, sort=False)[rank.score].agg(["mean", "count", "size"])
    pairings = pd.concat([results[[*PAIRING, "baseline"]], planned[[*PAIRING, "baseline"]]])
    baseline = pairings["baseline"].astype(bool)
    table = pairings.assign(baseline=baseline.groupby(pairings["model"]).transform("max"))
    table = table.drop_duplicates(PAIRING).join(grouped, on=PAIRING)
    # A metric that is not defined in every repeat has no mean, as in the ranking.
    mean = table["mean"].where(table["count"] == table["size"])
    full = table["size"] == table["dataset"].map(totals)
    status = np.where(full, "ok", np.where(table["size"] > 0, "partial", MISSING))
    score = np.exp(-mean) if rank.name == LIKELIHOOD else mean
    return table[[*PAIRING, "baseline"]].assign(status=status, **{rank.name: score})


def _totals(ran: pd.DataFrame, planned: pd.DataFrame) -> pd.Series[int]:
    """The number of repeats of each dataset: those that ran, and those that were planned."""
    most = planned.groupby("dataset")["repeats"].max()
    beyond = ran[["dataset", "repeat"]].drop_duplicates()
    beyond = beyond[~(beyond["repeat"] < beyond["dataset"].map(most).fillna(0))]
    return most.add(beyond.groupby("dataset").size(), fill_value=0)


def _ranks(losses: np.ndarray[tuple[int], np.dtype[np.float64]]) -> list[float]:
    """Ranks of ascending losses; equal ones share the first of their ranks, NaN has none."""
    ranks: list[float] = []
    for place, loss in enumerate(losses):
        equal = place > 0 and abs(loss - losses[place - 1]) < ROUNDING
        ranks.append(np.nan if np.isnan(loss) else ranks[-1] if equal else place + 1.0)
    return ranks
