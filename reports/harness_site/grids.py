"""The tables of the site: those of the other reports, with links and bars."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from harness.sheets.grids import Grid, GridCell, of_rows, of_sheet
from harness.sheets.ranked import sheets
from harness.sheets.table import Column, Entry, Sheet
from harness.words import plural
from harness_site.board import records
from harness_site.figures import bar, span_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd
    from markupsafe import Markup

    from harness_site.board import Board

FAILURES = 100
"""The most failures that a table shows."""

WEEKS, MODELS = 26, 50
"""The most weeks and models of the table of all ranks: the newest weeks, and the best models."""

NONE = "–"


class Grids:
    """The tables of a board; those that several pages use are made once."""

    def __init__(self, board: Board) -> None:
        self.board = board

    @cached_property
    def _sheets(self) -> list[Sheet]:
        board = self.board
        if board.ranking.empty:
            return []
        return sheets(board.ranking, board.metrics if board.frames.metrics else ())

    @cached_property
    def of_datasets(self) -> dict[str, Grid]:
        """The ranking of each dataset, with links to the models."""
        grids = {}
        for dataset, sheet in zip(self.board.datasets, self._sheets, strict=False):
            # As in the sheet, the baselines are last.
            rows = sorted(
                self.board.rows_of_dataset[dataset], key=lambda row: bool(row["baseline"])
            )
            grid = of_sheet(sheet, self.board.dataset_files[dataset])
            at = next(i for i, c in enumerate(sheet.columns) if _is_of(c, self.board.rank.name))
            rank = self.board.rank.name
            bars = _bars(rows, rank, f"{rank}_low", f"{rank}_high")
            grids[dataset] = self._linked(_with_bars(grid, at, bars), "../")
        return grids

    def overall(self) -> list[Grid]:
        """The standings by each score, the one that ranks first: models by datasets."""
        by_name = {sheet.title: sheet for sheet in self._sheets[len(self.board.datasets) : -1]}
        return [
            self._overall(by_name[each.name], first=each is self.board.rank)
            for each in self.board.metrics
            if each.name in by_name
        ]

    def _overall(self, sheet: Sheet, *, first: bool) -> Grid:
        name, mean, *datasets = sheet.columns
        if not first:
            return self._linked(of_sheet(sheet, sheet.title), "")
        table = self.board.standings
        rows = {self.board.name((row["model"], row["device"])): row for row in records(table)}
        ordered = [rows[entry.text] for entry in name.entries]
        n = len(self.board.datasets)
        several = (table["complete"] < n).any()
        done = [_column("datasets", (f"{row['complete']}/{n}" for row in ordered))]
        columns = [
            Column("#", tuple(Entry(_rank(row["rank"])) for row in ordered)),
            name,
            mean,
            *(done if several else []),
            _column("best or ≈", (str(row["leads"]) for row in ordered)),
            *datasets,
        ]
        title = f"Mean {self.board.rank.label} over {plural(n, 'dataset')}"
        whole = Sheet(title, "", tuple(columns))
        grid = of_sheet(whole, "standings")
        means = [row | dict.fromkeys(("low", "high"), math.nan) for row in ordered]
        bars = _bars(means, "mean", "low", "high")
        return self._linked(_with_bars(grid, 2, bars), "")

    def costs(self) -> Grid:
        """What is paid once, and memory."""
        return self._linked(of_sheet(self._sheets[-1], "costs"), "")

    def datasets(self) -> Grid:
        """All datasets: how they are split, and the best model."""
        rows = []
        rank = self.board.rank.name
        for dataset, sheet in zip(self.board.datasets, self._sheets, strict=False):
            own = self.board.rows_of_dataset[dataset]
            best = next((row for row in own if row[f"{rank}_best"]), None)
            tied = [row for row in own if row is not best and row[f"{rank}_tied_with_best"]]
            ran = [row for row in own if row["ok"]]
            leader = GridCell(NONE, look="alarm")
            if best:
                link = f"models/{self.board.model_files[best['model']]}.html"
                note = f" ≈ {plural(len(tied), 'other')}" if tied else ""
                leader = GridCell(best["name"], href=link, note=note)
            rows.append(
                (
                    GridCell(dataset, href=f"datasets/{self.board.dataset_files[dataset]}.html"),
                    leader,
                    GridCell(f"{best[rank]:.3f}".removeprefix("0") if best else ""),
                    GridCell(str(len(ran))),
                    GridCell(sheet.detail),
                )
            )
        heads = ("dataset", "best", rank, "models", "splits")
        return Grid("datasets", "Datasets", "", heads, 0, tuple(rows), (1, 4))

    def runs(self) -> Grid:
        """The runs that the results come from."""
        results = self.board.frames.results
        alone = self.board.frames.run.id
        counts = Counter(
            results["run_id"].tolist() if "run_id" in results else [alone] * len(results)
        )
        rows = []
        for run in self.board.runs:
            machine = run.environment.get("machine", {})
            rows.append(
                (
                    f"{run.id}",
                    run.name,
                    run.started[:10],
                    f"{counts[run.id]:,}",
                    "yes" if run.finished else "no",
                    run.revision[:10] + ("+" if run.revision and run.dirty else ""),
                    str(run.environment.get("python", "")),
                    str(machine.get("processor", "")),
                )
            )
        heads = ("run", "name", "started", "results", "finished", "revision", "Python", "processor")
        return of_rows("runs", "Runs, and their results on this board", heads, rows)

    def of_model(self, model: str) -> Grid:
        """A model's scores on each dataset."""
        heads = dict[str, None]()
        cells: list[tuple[GridCell, dict[str, GridCell]]] = []
        for row in self.board.rows_of_model[model]:
            dataset, device = row["dataset"], row["device"]
            grid = self.of_datasets[dataset]
            shown = dict(zip(grid.heads, self._row_of(grid, row["name"]), strict=True))
            rank = shown.pop("#")
            shown.pop("model")
            link = f"../datasets/{self.board.dataset_files[dataset]}.html"
            ids = self.board.run_ids.get((dataset, model, device), ())
            of = f" of {self._n_ranked[dataset]}" if rank.text else ""
            extra = {"#": replace(rank, note=of)}
            if self.board.several_devices:
                extra["device"] = GridCell(device)
            shown = extra | shown | {"run": GridCell(", ".join(map(str, ids)))}
            heads |= dict.fromkeys(shown)
            cells.append((GridCell(dataset, href=link), shown))
        empty = GridCell("")
        rows = [(first, *(shown.get(head, empty) for head in heads)) for first, shown in cells]
        return Grid("scores", "Scores by dataset", "", ("dataset", *heads), 0, tuple(rows))

    @cached_property
    def _n_ranked(self) -> dict[str, int]:
        return {
            dataset: sum(not math.isnan(row["rank"]) for row in rows)
            for dataset, rows in self.board.rows_of_dataset.items()
        }

    def _row_of(self, grid: Grid, name: str) -> tuple[GridCell, ...]:
        return self._rows_by_name[grid.name][name]

    @cached_property
    def _rows_by_name(self) -> dict[str, dict[str, tuple[GridCell, ...]]]:
        return {
            grid.name: {row[grid.named].text: row for row in grid.rows}
            for grid in self.of_datasets.values()
        }

    def failures(self, rows: pd.DataFrame, *, without: str) -> list[Grid]:
        """The trials without scores, without one column; no table if there are none."""
        if rows.empty:
            return []
        heads = [
            head
            for head in ("dataset", "model", "device", "status", "reason")
            if head != without and (head != "device" or self.board.several_devices)
        ]
        counted = Counter(zip(*(rows[head].astype(str).tolist() for head in heads), strict=True))
        lines = [(*key, str(n)) for key, n in counted.items()]
        detail = f"{FAILURES} of {len(lines):,} lines" if len(lines) > FAILURES else ""
        heads = [*heads, "trials"]
        grid = of_rows("failures", "Trials without scores", heads, lines[:FAILURES], detail=detail)
        return [grid]

    def weeks(self) -> Grid:
        """A row for each week, the newest first: who led, who was new."""
        rows = []
        for week in reversed(self.board.weeks):
            lead = [self.board.name(pair) for pair in week.leaders]
            mean = week.standings["mean"].iloc[0] if lead else math.nan
            href = f"models/{self.board.model_files[week.leaders[0][0]]}.html" if lead else ""
            leader = GridCell(
                lead[0] if lead else NONE,
                href=href,
                note=f" and {len(lead) - 1} more" if len(lead) > 1 else "",
                look="strong" if week.changed else "",
            )
            rows.append(
                (
                    GridCell(week.name),
                    GridCell(week.monday.isoformat()),
                    leader,
                    GridCell("new leader" if week.changed else ""),
                    GridCell("" if math.isnan(mean) else f"{mean:.3f}".removeprefix("0")),
                    GridCell(_listed([self.board.name(pair) for pair in week.entered])),
                    GridCell(str(len(week.datasets)), note="".join(f" +{d}" for d in week.added)),
                    GridCell(", ".join(map(str, week.runs))),
                )
            )
        heads = ("week", "from", "leader", "change", "mean", "new models", "datasets", "runs")
        return Grid("weeks", "Weeks with runs", "", heads, 0, tuple(rows), (2, 3, 5, 6))

    def ranks(self) -> Grid:
        """Each model's rank and mean at the end of each week, the newest week first."""
        weeks = self.board.weeks[::-1][:WEEKS]
        places = self.board.places
        rows = []
        for row in records(self.board.standings.head(MODELS)):
            pair = (row["model"], row["device"])
            cells = [
                _place(places.get((week.name, *pair)), is_new=pair in week.entered)
                for week in weeks
            ]
            look = "faint" if row["baseline"] else ""
            href = f"models/{self.board.model_files[row['model']]}.html"
            rows.append((GridCell(self.board.name(pair), href=href, look=look), *cells))
        n_models, n_weeks = len(self.board.standings), len(self.board.weeks)
        parts = [
            *([f"the {MODELS} best of {n_models:,} models"] if n_models > MODELS else []),
            *([f"the {WEEKS} newest of {n_weeks} weeks"] if n_weeks > WEEKS else []),
        ]
        heads = ("model", *(week.name for week in weeks))
        detail = ", ".join(parts)
        return Grid("ranks", "Rank and mean at the end of each week", detail, heads, 0, tuple(rows))

    def weeks_of(self, model: str) -> list[Grid]:
        """The weeks in which a model's rank or mean changed; a table for each device."""
        devices = self.board.standings.loc[self.board.standings["model"] == model, "device"]
        heads = ("week", "rank", "mean", "datasets")
        grids = []
        for device in devices.tolist():
            on = f" on {device}" if self.board.several_devices else ""
            caption = f"Weeks in which rank or mean changed{on}"
            if lines := self._changes.get((model, device)):
                grids.append(of_rows("weeks", caption, heads, lines))
        return grids

    @cached_property
    def _changes(self) -> dict[tuple[str, str], list[tuple[str, ...]]]:
        changes: dict[tuple[str, str], list[tuple[str, ...]]] = {}
        for week in self.board.weeks:
            n_ranked = int(week.standings["rank"].notna().sum())
            for row in records(week.standings):
                rank = f"{_rank(row['rank'])} of {n_ranked}" if _rank(row["rank"]) else NONE
                mean = NONE if math.isnan(row["mean"]) else f"{row['mean']:.3f}".removeprefix("0")
                line = (week.name, rank, mean, f"{row['complete']} of {row['datasets']}")
                own = changes.setdefault((row["model"], row["device"]), [])
                if row["complete"] and (not own or own[-1][1:] != line[1:]):
                    own.append(line)
        return {pair: lines[::-1] for pair, lines in changes.items()}

    def _linked(self, grid: Grid, root: str) -> Grid:
        """The table with links from its rows' names to the models' pages."""
        files = {
            self.board.name((row["model"], row["device"])): self.board.model_files[row["model"]]
            for row in self.board.rows
        }
        rows = tuple(
            tuple(
                replace(cell, href=f"{root}models/{files[cell.text]}.html")
                if i == grid.named and cell.text in files
                else cell
                for i, cell in enumerate(row)
            )
            for row in grid.rows
        )
        return replace(grid, rows=rows)


def _column(head: str, texts: Any) -> Column:
    return Column(head, tuple(map(Entry, texts)))


def _is_of(column: Column, score: str) -> bool:
    return column.head.split(" ")[0] == score


def _rank(rank: float) -> str:
    return "" if math.isnan(rank) else f"{rank:.0f}"


def _bars(rows: Sequence[Mapping[str, Any]], score: str, low: str, high: str) -> list[Markup]:
    """A bar for each row but the baselines', whose scores would push the others together."""
    shown = [(row[score], row[low], row[high]) for row in rows if not row["baseline"]]
    span = span_of(shown)
    return [
        bar(math.nan if row["baseline"] else row[score], row[low], row[high], span) for row in rows
    ]


def _with_bars(grid: Grid, at: int, bars: Sequence[Markup]) -> Grid:
    rows = tuple(
        tuple(replace(cell, bar=bars[n]) if i == at else cell for i, cell in enumerate(row))
        for n, row in enumerate(grid.rows)
    )
    return replace(grid, rows=rows)


def _place(row: Mapping[str, Any] | None, *, is_new: bool) -> GridCell:
    """A model's rank in a week, and its mean."""
    if row is None or not row["complete"]:
        return GridCell("")
    note = " new" if is_new else ""
    if math.isnan(row["mean"]):
        return GridCell(NONE, note=note)
    mean = f"{row['mean']:.3f}".removeprefix("0")
    return GridCell(_rank(row["rank"]), aside=mean, note=note)


def _listed(names: Sequence[str], most: int = 4) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
