"""Choosing what to draw of a run: names and globs -> pairings that have the data needed."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, TypeAlias

from harness.contract.values import Wanted
from harness.errors import UsageError, nearest
from harness.words import listed

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    import pandas as pd

    from harness.contract.values import Frames

__all__ = [
    "LISTED",
    "Pairing",
    "able",
    "chosen",
    "matching",
    "nearest",
    "pairings",
    "scored_results",
    "the_one",
]

LISTED = 5
"""The most pairings that an error names."""


@dataclass(frozen=True, slots=True)
class Pairing:
    """A dataset and a model on a device, with the ids of their results in order of repeats."""

    dataset: str
    model: str
    device: str
    baseline: bool
    result_ids: tuple[int, ...]

    def __str__(self) -> str:
        return _words(self.model, self.dataset, self.device)


Able: TypeAlias = "Callable[[Sequence[Pairing]], Collection[Pairing]]"


def matching(name: str, wanted: str | None) -> bool:
    """Whether a name equals or matches the wanted name or glob; brackets stand for themselves.

    >>> matching("knn[k=3]", "knn[k=3]"), matching("knn[k=3]", "knn[*"), matching("knn[k=3]", "knn")
    (True, True, False)
    """
    return wanted is None or name == wanted or fnmatchcase(name, wanted.replace("[", "[[]"))


def chosen(names: Iterable[str], wanted: str | None) -> list[str]:
    """The wanted names: the exact name if it exists, else all names that match the glob."""
    known = list(dict.fromkeys(names))
    return [wanted] if wanted in known else [name for name in known if matching(name, wanted)]


def scored_results(frames: Frames, wanted: Wanted) -> pd.DataFrame:
    """The results of a run that are wanted and have scores.

    Raises:
        UsageError: there are no such results.
    """
    results, run = frames.results, frames.run.id
    if results.empty:
        raise UsageError(
            f"run {run} has no trials; choose another run (`harness runs` lists the runs)"
        )
    for field in ("dataset", "model", "device"):
        wanted_name = getattr(wanted, field)
        names = chosen(results[field], wanted_name)
        if not names:
            known = nearest(wanted_name, set(results[field]))
            raise UsageError(f"run {run} has no {field} '{wanted_name}': {known}")
        results = results[results[field].isin(names)]
        if results.empty:
            raise UsageError(
                f"run {run} did not run {wanted}; `harness show {run}` shows what it did"
            )
    with_scores = results[results["status"] == "ok"]
    if with_scores.empty:
        whose = f" of {wanted}" if wanted != Wanted() else ""
        raise UsageError(
            f"no trial{whose} in run {run} has scores; `harness show {run} --failures` tells why"
        )
    return with_scores


def pairings(results: pd.DataFrame) -> list[Pairing]:
    """The pairings of results that have scores, in order of first appearance."""
    # Plain lists are faster than pandas here: a run of many models has tens of thousands of rows.
    fields = ("dataset", "model", "device", "repeat", "result_id", "baseline")
    rows = list(zip(*(results[name].tolist() for name in fields), strict=True))
    ids: dict[tuple[str, str, str], list[int]] = {row[:3]: [] for row in rows}
    baselines: dict[tuple[str, str, str], bool] = {row[:3]: bool(row[5]) for row in rows}
    for *key, _, result_id, _ in sorted(rows, key=lambda row: row[3]):
        ids[tuple(key)].append(int(result_id))
    return [Pairing(*key, baselines[key], tuple(own_ids)) for key, own_ids in ids.items()]


def able(frames: Frames, wanted: Wanted, what: str, has: Able) -> list[Pairing]:
    """The wanted pairings that have the data to draw.

    Args:
        frames: the run's frames.
        wanted: which pairings to draw.
        what: name of the data; an error says "no trial of ... has" this.
        has: selects the pairings that have the data.

    Raises:
        UsageError: no wanted pairing has the data.
    """
    fitting = pairings(scored_results(frames, wanted))
    having = has(fitting)
    ready = [pairing for pairing in fitting if pairing in having]
    if not ready:
        rest = [p for p in pairings(scored_results(frames, Wanted())) if p not in fitting]
        others = [pairing for pairing in rest if pairing in has(rest)]
        verb = "has" if len(others) == 1 else "have"
        known = f"{listed(others)} {verb}" if others else f"no trial of run {frames.run.id} has"
        raise UsageError(f"no trial of {wanted} has {what}; {known}")
    return ready


def the_one(frames: Frames, wanted: Wanted, what: str, has: Able) -> Pairing:
    """The only wanted pairing that has the data to draw.

    Without the name of a model, baselines count only if no other model has the data.

    Raises:
        UsageError: no wanted pairing has the data, or several have.
    """
    ready = able(frames, wanted, what, has)
    if wanted.model is None:
        ready = [pairing for pairing in ready if not pairing.baseline] or ready
    if len(ready) > 1:
        raise UsageError(
            f"{len(ready)} model-dataset pairs have {what}: {listed(ready, LISTED)}; choose one "
            f"with -m and -d" + (" and --device" if len({p.device for p in ready}) > 1 else "")
        )
    return ready[0]


def _words(model: str, dataset: str, device: str) -> str:
    return f"{model} on {dataset}" + (f" @ {device}" if device != "cpu" else "")
