"""Says which runs the results of a table come from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.words import listed, plural

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd

    from harness.contract.values import Run


def told(all_runs: Iterable[Run], results: pd.DataFrame) -> list[str]:
    """A line for each run that results come from, with the models that it alone gives.

    Args:
        all_runs: of the store.
        results: with the columns ``run_id`` and ``model``.
    """
    models: dict[int, set[str]] = {}
    for run_id, model in zip(results["run_id"].tolist(), results["model"].tolist(), strict=True):
        models.setdefault(run_id, set()).add(model)
    counts = results["run_id"].value_counts()
    lines = []
    runs = [run for run in all_runs if run.id in models]
    for run in runs:
        others = {model for each, names in models.items() if each != run.id for model in names}
        own = sorted(models.get(run.id, set()) - others)
        name = f" '{run.name}'" if run.name else ""
        alone = f", among them all of {listed(own, most=4)}" if own and len(models) > 1 else ""
        n_results = plural(int(counts.get(run.id, 0)), "result")
        lines.append(f"Run {run.id}{name} of {run.started[:10]}: {n_results}{alone}.")
    machines = [run.environment.get("machine", {}) for run in runs]
    names = {f"{machine.get('node')} ({machine.get('processor')})" for machine in machines}
    if len(names) > 1:
        lines.append(
            f"They ran on {plural(len(names), 'machine')}: {listed(sorted(names), most=3)}. "
            "Seconds and bytes of different machines are not to be compared; times as multiples "
            "of an anchor's are, within their intervals."
        )
    return lines
