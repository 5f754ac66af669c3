"""The leaderboard as it stood at the end of each week."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pandas as pd

from harness.analysis.standings import means, standings

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from harness import Frames, Run
    from harness.analysis.ranking import Contender
    from harness.analysis.shown import Shown

MOST_WEEKS = 104
"""The most weeks that are computed: the newest ones."""

COLUMNS = ("week", "from", "model", "device", "rank", "mean", "complete", "datasets")


@dataclass(frozen=True, slots=True, eq=False)
class Week:
    """A week in which a run started, and the leaderboard at its end.

    Args:
        monday: the first day of the week (ISO 8601, UTC).
        runs: ids of the runs that started in it.
        standings: as in `harness.analysis.standings`.
        entered: contenders that had results on a dataset for the first time.
        datasets: all datasets at the end of the week.
        added: datasets that had results for the first time; empty in the first week.
        leaders: contenders with rank 1.
        changed: whether others led before.
    """

    monday: date
    runs: tuple[int, ...]
    standings: pd.DataFrame
    entered: tuple[Contender, ...]
    datasets: tuple[str, ...]
    added: tuple[str, ...]
    leaders: tuple[Contender, ...]
    changed: bool

    @property
    def name(self) -> str:
        """The week as ISO 8601 writes it: ``2026-W05``."""
        year, week, _ = self.monday.isocalendar()
        return f"{year}-W{week:02}"


def weeks_of(frames: Frames, rank: Shown) -> list[Week]:
    """Each week in which a run started, oldest first, at most the newest `MOST_WEEKS`."""
    by_monday: dict[date, list[int]] = {}
    for run in sorted(frames.runs or (frames.run,), key=lambda run: _started(run)):
        day = _started(run).date()
        by_monday.setdefault(day - timedelta(days=day.weekday()), []).append(run.id)
    mondays = list(by_monday)[-MOST_WEEKS:]
    weeks: list[Week] = []
    for monday in mondays:
        at_end = frames if monday == mondays[-1] else _until(frames, monday + timedelta(days=7))
        if at_end is not None and len(at_end.results):
            weeks.append(_week(monday, tuple(sorted(by_monday[monday])), at_end, rank, weeks))
    return weeks


def history(weeks: Sequence[Week]) -> pd.DataFrame:
    """All weeks as one table."""
    parts = [
        week.standings.assign(week=week.name, **{"from": week.monday.isoformat()}) for week in weeks
    ]
    if not parts:
        return pd.DataFrame(columns=list(COLUMNS))
    return pd.concat(parts, ignore_index=True)[list(COLUMNS)]


def _week(
    monday: date, runs: tuple[int, ...], frames: Frames, rank: Shown, before: Sequence[Week]
) -> Week:
    table = standings(means(frames, rank), rank)
    known = {contender for week in before for contender in week.entered}
    datasets = tuple(dict.fromkeys(frames.results["dataset"].tolist()))
    leaders = tuple(_pairs(table[table["rank"] == 1]))
    return Week(
        monday,
        runs,
        table,
        tuple(pair for pair in _pairs(table[table["complete"] > 0]) if pair not in known),
        datasets,
        tuple(name for name in datasets if before and name not in before[-1].datasets),
        leaders,
        bool(before) and set(leaders) != set(before[-1].leaders),
    )


def _pairs(table: pd.DataFrame) -> Iterator[Contender]:
    return zip(table["model"].tolist(), table["device"].tolist(), strict=True)


def _started(run: Run) -> datetime:
    started = datetime.fromisoformat(run.started)
    return started if started.tzinfo else started.replace(tzinfo=UTC)


def _until(frames: Frames, day: date) -> Frames | None:
    if frames.until is None:
        return None
    end: Any = datetime(day.year, day.month, day.day, tzinfo=UTC)
    return frames.until(end)
