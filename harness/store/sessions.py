"""Puts timings of several days and machines side by side, as far as a ratio connects them.

Timings of the newest run, and others of its day and machine, stand as they are. Timings of other
days or machines need a ratio to an anchor that the newest run has, too; their ratios' intervals
then include how much ratios differ between days or machines. The rest is left out, with a line.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import pandas as pd

from harness.contract.values import TimedCall
from harness.statistics.bridges import widened
from harness.statistics.timings import anchored
from harness.words import listed, plural

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from harness.contract.values import Run
    from harness.statistics.bridges import Bridge

Row: TypeAlias = "dict[str, Any]"
"""A row of `Frames.timings`."""

KERNELS = (TimedCall.SOFTMAX, TimedCall.COPY)


class Session(NamedTuple):
    """Where and when a timing was taken."""

    machine: str
    day: str

    def bridge(self, other: Session) -> Bridge:
        """What lies between two sessions."""
        if self.machine != other.machine:
            return "machine"
        return "day" if self.day != other.day else ""


@dataclass(frozen=True, slots=True)
class Part:
    """One run's timings."""

    run: Run
    timings: pd.DataFrame


def side_by_side(
    parts: Sequence[Part],
    known: Iterable[Run] = (),
    wanted: Callable[[int, Row], bool] = lambda _run_id, _row: True,
) -> tuple[pd.DataFrame, list[str]]:
    """The newest timing of each workload, and lines on timings that are left out.

    All timings of a model on a dataset come from one run, because their quotients are formed within
    processes. The base is the newest run that has timings.

    Args:
        parts: the runs, oldest first, at least one.
        known: runs that kept timings may come from, to look up their machines.
        wanted: whether a run's row may be shown.
    """
    base = next((part for part in reversed(parts) if len(part.timings)), parts[-1])
    newest = parts[-1].run
    machines = {run.started: _machine(run) for run in known}
    here = Session(_machine(base.run), base.run.started[:10])
    chosen: dict[tuple[str, ...], tuple[Run, list[Row]]] = {}
    for part in reversed(parts):
        for unit, rows in _units(part.timings, part.run, wanted).items():
            if unit not in chosen or (_ok(rows) and not _ok(chosen[unit][1])):
                chosen[unit] = part.run, rows
    anchors, threads = _conditions(base.timings)
    kept: list[Row] = []
    left: dict[tuple[int, str], list[str]] = {}
    for run, rows in chosen.values():
        for row in rows:
            measured = str(row["measured"]) or run.started
            machine = _machine(run)
            if row["measured"]:
                machine = machines.get(measured, machine)
            bridge = Session(machine, measured[:10]).bridge(here)
            if why := _obstacle(row, anchors, threads) if bridge else "":
                left.setdefault((run.id, why), []).append(str(row["subject"]))
                continue
            said = "" if run.id == newest.id and not row["measured"] else measured
            kept.append(row | {"measured": said, "bridge": bridge} | _ratio(row, bridge))
    frame = pd.DataFrame(kept, columns=_columns(parts))
    lines = [
        f"Left out: {plural(len(names), 'timing')} of run {run_id} "
        f"({listed(sorted(set(names)), most=3)}), {why}."
        for (run_id, why), names in sorted(left.items())
    ]
    return frame, lines


def _units(
    timings: pd.DataFrame, run: Run, wanted: Callable[[int, Row], bool]
) -> dict[tuple[str, ...], list[Row]]:
    """Rows that must come from one run: a kernel on a case, or all of a model on a dataset."""
    units: dict[tuple[str, ...], list[Row]] = {}
    rows: list[Row] = timings.to_dict("records")  # type: ignore[assignment]  # names are texts
    for row in rows:
        if wanted(run.id, row):
            kind = row["kind"] if row["kind"] in KERNELS else ""
            unit = (str(row["case"]), str(row["device"]), str(kind), str(row["subject"]))
            units.setdefault(unit, []).append(row)
    return units


def _ok(rows: Sequence[Row]) -> bool:
    return any(row["status"] == "ok" for row in rows)


def _conditions(timings: pd.DataFrame) -> tuple[set[str], set[int]]:
    """The anchors and numbers of threads of a run's successful timings."""
    ok = timings[timings["status"] == "ok"]
    return set(ok["anchor"]) - {""}, set(ok["threads"])


def _obstacle(row: Row, anchors: set[str], threads: set[int]) -> str:
    """Why a timing of another day or machine cannot stand beside the base's; empty if it can."""
    if row["status"] != "ok":
        return ""
    if not row["ratio"] > 0:
        # A harness before anchors, or a device without one: only a ratio could connect them.
        return "of another day or machine and without an anchor"
    if row["anchor"] not in anchors:
        other = f"not {listed(sorted(anchors))}" if anchors else "which the newest timings lack"
        return f"whose anchor is {row['anchor']}, {other}"
    if row["threads"] not in threads:
        return f"with {plural(int(row['threads']), 'thread')}"
    return ""


def _ratio(row: Row, bridge: Bridge) -> Row:
    """The ratio and its interval across a bridge."""
    ratio, low, high = anchored(row["samples"], row["anchors"].get(row["anchor"], ()))
    low, high = widened(ratio, low, high, row["anchor"], bridge)
    return {"ratio": ratio, "ratio_low": low, "ratio_high": high}


def _machine(run: Run) -> str:
    machine: Mapping[str, object] = run.environment.get("machine", {})
    return f"{machine.get('node')} {machine.get('processor')}"


def _columns(parts: Sequence[Part]) -> list[str]:
    return list(dict.fromkeys(name for part in parts for name in part.timings.columns))
