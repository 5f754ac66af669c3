"""Adds metrics to a run's frames: they are computed from the stored predictions."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from harness.contract.own_scores import OWN
from harness.contract.selectors import Selector
from harness.trials.metrics import Values, values_of
from harness.trials.plan import choose

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    import pandas as pd
    from numpy.typing import NDArray

    from harness.contract.registry import Registry
    from harness.contract.values import Choice, Frames, Metric

NAMED = 3
"""The most faults of a metric that a remark names."""


def chosen_metrics(registry: Registry, selectors: Iterable[str]) -> list[Choice]:
    """The metrics that a user names, in their order.

    Names may be written with underscores, and without the first part that tells the library, as
    scikit-learn writes them: ``roc_auc_ovr``.

    Raises:
        UsageError: there is no such metric, or it has no such parameter; names the nearest.
    """
    choices: dict[Choice, None] = {}
    for selector in selectors:
        known = _known(selector, registry.metrics)
        choices |= dict.fromkeys(choose([known], registry.metrics, "metric"))
    return list(choices)


def _known(selector: str, metrics: Mapping[str, Metric]) -> str:
    """The selector with the name as a plugin offers it, if it is written in another way."""
    head = Selector.parse(selector).head
    written = head.replace("_", "-").lower()
    for name in (head, written, *(m for m in metrics if m.endswith(f"-{written}"))):
        if name in metrics:
            return name + selector.strip()[len(head) :]
    return selector


def with_metrics(frames: Frames, registry: Registry, choices: Sequence[Choice]) -> Frames:
    """The frames with metrics to show: a column of the results each.

    Whatever a metric does, all others are computed; remarks say what is missing and why.

    Args:
        frames: a run.
        registry: has the metrics.
        choices: from `chosen_metrics`; the first one ranks.
    """
    if not choices:
        return frames
    return _with(frames, registry, choices, {})


def _with(
    frames: Frames, registry: Registry, choices: Sequence[Choice], known: dict[str, Values]
) -> Frames:
    """As `with_metrics`; adds to the known values, which are not computed again."""
    ok = frames.results[frames.results["status"] == "ok"]
    ids = ok["result_id"].tolist()
    values = {}
    for choice in choices:
        if choice.name not in OWN:
            name = str(choice)
            before = known.setdefault(name, Values())
            if new := [result_id for result_id in ids if result_id not in before.scores]:
                known[name] = before.joined(values_of(registry, choice, frames.predicted(new)))
            values[name] = known[name].of(ids)
    order = frames.results["result_id"].tolist()
    columns = {
        name: [found.scores.get(result_id, np.nan) for result_id in order]
        for name, found in values.items()
    }
    scales = {str(c): registry.metrics[c.name] for c in choices if str(c) in values}

    earlier = frames.until

    def until(end: datetime) -> Frames:
        assert earlier is not None
        return _with(earlier(end), registry, choices, known)

    def rows(name: str, result_ids: Sequence[int]) -> dict[int, NDArray[np.float64]]:
        known = values[name].rows
        return {i: known[i] for i in result_ids if i in known}

    return replace(
        frames,
        results=frames.results.assign(**columns),
        metrics=tuple(map(str, choices)),
        scales={**frames.scales, **scales},
        metric_rows=rows,
        until=until if earlier else None,
        remarks=(
            *frames.remarks,
            *(line for name, found in values.items() for line in _remarks(name, found, ok)),
        ),
    )


def _remarks(name: str, values: Values, ok: pd.DataFrame) -> list[str]:
    """Why values of a metric are missing, a line for each reason."""
    pairings = dict(
        zip(
            ok["result_id"].tolist(),
            zip(ok["dataset"].tolist(), ok["model"].tolist(), strict=True),
            strict=True,
        )
    )
    where: dict[str, Counter[tuple[str, str]]] = {}
    for result_id, fault in values.faults.items():
        where.setdefault(fault, Counter())[pairings[result_id]] += 1
    lines = []
    for fault, counts in where.items():
        named = [f"{dataset}, {model}" for dataset, model in list(counts)[:NAMED]]
        more = f" and {len(counts) - NAMED} more model-dataset pairs" if len(counts) > NAMED else ""
        n = sum(counts.values())
        results = f"{n} result{'s' if n > 1 else ''}"
        lines.append(f"metric {name} is missing for {results} ({'; '.join(named)}{more}): {fault}")
    return lines
