"""What the site shows, computed once: the ranking, the overall standings, and the weeks."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, cast

from harness.analysis.ranking import tables
from harness.analysis.shown import ranked_by, shown
from harness.analysis.standings import standings
from harness.sheets.ranked import named_rows
from harness_site.names import file_names
from harness_site.weeks import history, weeks_of

if TYPE_CHECKING:
    from typing import Any

    import pandas as pd

    from harness import Frames, Run
    from harness.analysis.ranking import Contender
    from harness.analysis.shown import Shown
    from harness_site.weeks import Week

DATA = ("results", "ranking", "history")
"""Names of the files of data that are no dataset's."""


@dataclass(frozen=True, eq=False)
class Board:
    """A leaderboard.

    Args:
        title: title of the site.
        frames: the runs.
        rank: the score that ranks.
        metrics: the scores to show, the one that ranks first.
        ranking: as in `harness.analysis.ranking`.
        failures: a row for each trial without scores, likewise.
        standings: as in `harness.analysis.standings`.
        weeks: the leaderboard at the end of each week.
    """

    title: str
    frames: Frames
    rank: Shown
    metrics: tuple[Shown, ...]
    ranking: pd.DataFrame
    failures: pd.DataFrame
    standings: pd.DataFrame
    weeks: tuple[Week, ...]

    @property
    def runs(self) -> tuple[Run, ...]:
        """The runs that the results come from."""
        return self.frames.runs or (self.frames.run,)

    @cached_property
    def history(self) -> pd.DataFrame:
        """The standings of all weeks."""
        return history(self.weeks)

    @cached_property
    def datasets(self) -> tuple[str, ...]:
        """All datasets, in the order of the ranking."""
        return tuple(dict.fromkeys(self.ranking["dataset"].tolist()))

    @cached_property
    def models(self) -> tuple[str, ...]:
        """All models, in the order of the standings."""
        return tuple(dict.fromkeys(self.standings["model"].tolist()))

    @cached_property
    def several_devices(self) -> bool:
        """Whether contenders are named with their devices."""
        return bool(self.ranking["device"].nunique() > 1)

    @cached_property
    def rows(self) -> list[dict[str, Any]]:
        """The ranking's rows, each with the contender's ``name``."""
        return named_rows(self.ranking)

    @cached_property
    def rows_of_dataset(self) -> dict[str, list[dict[str, Any]]]:
        """These rows by dataset."""
        return _grouped(self.rows, "dataset")

    @cached_property
    def rows_of_model(self) -> dict[str, list[dict[str, Any]]]:
        """These rows by model."""
        return _grouped(self.rows, "model")

    @cached_property
    def places(self) -> dict[tuple[str, str, str], dict[str, Any]]:
        """The rows of the weeks' standings, by the name of the week and contender."""
        return {
            (week.name, row["model"], row["device"]): row
            for week in self.weeks
            for row in records(week.standings)
        }

    @cached_property
    def run_ids(self) -> dict[tuple[str, str, str], tuple[int, ...]]:
        """The runs that the results of a dataset, a model and a device come from."""
        results = self.frames.results
        if "run_id" not in results:
            results = results.assign(run_id=self.frames.run.id)
        ran = results[["dataset", "model", "device", "run_id"]].drop_duplicates()
        ids: dict[tuple[str, str, str], list[int]] = {}
        for dataset, model, device, run_id in ran.itertuples(index=False, name=None):
            ids.setdefault((dataset, model, device), []).append(int(run_id))
        return {key: tuple(sorted(runs)) for key, runs in ids.items()}

    @cached_property
    def dataset_files(self) -> dict[str, str]:
        """The name of each dataset's files."""
        return file_names(self.datasets, DATA)

    @cached_property
    def model_files(self) -> dict[str, str]:
        """The name of each model's file."""
        return file_names(self.models)

    def name(self, contender: Contender) -> str:
        """A contender's name, as the tables show it."""
        model, device = contender
        return f"{model} @ {device}" if self.several_devices else model


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows of a DataFrame, whose columns' types mypy cannot know."""
    return cast("list[dict[str, Any]]", frame.to_dict("records"))


def _grouped(rows: list[dict[str, Any]], name: str) -> dict[str, list[dict[str, Any]]]:
    groups: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault(row[name], []).append(row)
    return groups


def board_of(frames: Frames, title: str) -> Board:
    """The leaderboard of some frames."""
    rank = ranked_by(frames)
    others = [each for each in shown(frames) if each.name != rank.name]
    by_name = tables(frames)
    ranking = by_name["ranking"]
    return Board(
        title,
        frames,
        rank,
        (rank, *others),
        ranking,
        by_name["failures"],
        standings(ranking, rank),
        tuple(weeks_of(frames, rank)),
    )
