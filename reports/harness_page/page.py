"""The page of a run: which sections it has, and in which order."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from markupsafe import Markup

from harness.analysis.commands import command_of
from harness.analysis.history import CAUTION, segments
from harness.analysis.ranking import tables
from harness.analysis.shown import ranked_by, shown
from harness.sheets import timed, web
from harness.sheets.dates import day_and_time
from harness.sheets.grids import of_sheet, packed
from harness.sheets.notes import FAILURES, LEGEND
from harness.sheets.ranked import sheets
from harness.sheets.remarks import notes
from harness.sheets.table import BELOW, BELOW_TOLD, PARTIAL, TIED, TIED_TOLD, TIED_WHY
from harness.sheets.texts import frame_csv
from harness_page import facts, past
from harness_page.details import PICTURED, Details
from harness_page.names import file_name, parts
from harness_page.pairs import HOW, matrices
from harness_page.sizes import by_size
from harness_page.views import BESIDE, field_of, view

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    import pandas as pd
    from jinja2 import Environment

    from harness import Frames
    from harness.sheets.grids import Grid
    from harness.sheets.notes import Note
    from harness_page.charts import Chart
    from harness_page.details import Tab
    from harness_page.pairs import Matrix
    from harness_page.views import Field, View

BEST = 20
"""Rows of a table that a page without script shows; a script shows the others on request."""

SPARE = 5
"""A table with no more rows than this beyond `BEST` shows all of them."""

ROOM = 1_500_000
"""Bytes for the packed pictures of datasets after the first ones."""

HISTORY = (
    "Series that `harness track` recorded in this store, up to the newest point. Each time is "
    "divided by the anchor's, a fixed version that was timed in turns with it. A step is "
    "provisional until five points follow."
)
FAILED = (FAILURES, "Skipped")
"""Headings of the notes on trials without scores."""

TEMPLATES = ("page.html", "first.html", "figures.html", "charts.html")


@dataclass(frozen=True, slots=True)
class Section:
    """A section that consists of text, charts and tables."""

    id: str
    title: str
    text: str = ""
    charts: tuple[Chart, ...] = ()
    grids: tuple[Grid, ...] = ()
    notes: tuple[Note, ...] = ()
    folded: bool = False

    @property
    def has_content(self) -> bool:
        """Whether there is anything to show."""
        return bool(self.charts or self.grids or self.notes)


def page(frames: Frames) -> str:
    """The whole page as self-contained HTML; the same store gives the same text."""
    environment = web.templates("harness_page", *TEMPLATES)
    environment.filters["parts"] = parts
    environment.globals["best"] = BEST
    by_name = tables(frames)
    ranking, field = by_name["ranking"], field_of(by_name["ranking"])
    rank = ranked_by(frames)
    metrics = [rank, *(each for each in shown(frames) if each.name != rank.name)]
    views = [view(frames, ranking, field, metric) for metric in metrics] if len(ranking) else []
    details = Details(frames, field, shown(frames) if frames.metrics else ())
    tabs = list(_tabs(details, environment))
    sizes = list(by_size(frames, rank))
    pairs = list(matrices(frames, field, _order(views)))
    sections = [
        _shortened_section(section, environment)
        for section in _sections(frames, by_name)
        if section.has_content
    ]
    return web.rendered(
        environment,
        "page.html",
        title=_title(frames),
        when=_when(frames),
        command=command_of(frames.run),
        counts=facts.counts(frames),
        origin=facts.origin(frames),
        commands=facts.commands(frames.run),
        tied=TIED,
        tied_told=f"{TIED_TOLD} {TIED_WHY}",
        below=BELOW,
        below_told=BELOW_TOLD,
        partial=PARTIAL,
        beside=BESIDE,
        beyond=len(field.datasets) > BESIDE,
        views=views,
        field=field,
        wholes=_wholes(views, field, environment),
        pairs=[_shortened_pairs(matrix, environment) for matrix in pairs],
        how_pairs=HOW.format(rope="1%"),
        sizes=sizes,
        tabs=tabs,
        sections=sections,
        contents=list(_contents(views, sizes, pairs, tabs, sections)),
        data=packed(_csv(ranking)) if len(ranking) else "",
        models=_json([model.name for model in field.models.values()]),
        style=web.style() + web.style_of("harness_page", "page.css"),
        script=web.script() + web.script_of("harness_page", "view.js"),
    )


def _title(frames: Frames) -> str:
    run = frames.run
    return run.name or f"Run {run.id}"


def _when(frames: Frames) -> str:
    run = frames.run
    begun = day_and_time(run.started)
    return begun if run.finished else f"{begun}, not finished"


def _order(views: Sequence[View]) -> list[str]:
    """The models, the best by the ranking metric first."""
    return [place.model.name for one in views[:1] for group in one.groups for place in group.places]


def _contents(
    views: Sequence[View],
    sizes: Sequence[Chart],
    pairs: Sequence[Matrix],
    tabs: Sequence[Tab],
    sections: Sequence[Section],
) -> Iterator[tuple[str, str]]:
    """The sections, each with its id and title."""
    if views:
        yield "verdict", "Verdict"
    if views and views[0].heat:
        yield "heat", "Models by datasets"
    if sizes or any(one.price for one in views):
        yield "price", "Score against time"
    if pairs:
        yield "pairs", "Model against model"
    if tabs:
        yield "datasets", "Datasets" if len(tabs) > 1 else "Dataset"
    for section in sections:
        yield section.id, section.title


def _sections(frames: Frames, by_name: Mapping[str, pd.DataFrame]) -> Iterator[Section]:
    """The sections after the datasets."""
    timings = [
        *timed.training_sheets(by_name["training"]),
        *timed.softmax_sheets(by_name["softmax"]),
    ]
    yield Section(
        "timings",
        "Timings",
        "Only one model or kernel ran at a time; they took turns.",
        grids=tuple(of_sheet(sheet, file_name(sheet.title)) for sheet in timings),
        folded=True,
    )
    all_segments = segments(frames.history())
    steps = past.steps(all_segments)
    yield Section(
        "history",
        "Over time",
        f"{HISTORY} {CAUTION}" if steps else HISTORY,
        tuple(past.charts(all_segments)),
        steps,
    )
    all_notes = _notes(frames, by_name)
    failed = tuple(note for note in all_notes if note.heading in FAILED)
    yield Section(
        "failures",
        FAILURES,
        grids=tuple(facts.failures(by_name["failures"])),
        notes=failed,
        folded=True,
    )
    others = [note for note in all_notes if note not in failed]
    others.sort(key=lambda note: note.heading != LEGEND)
    yield Section("notes", LEGEND, notes=tuple(others))
    costs = [
        replace(of_sheet(sheet, "costs"), caption="Costs of each model")
        for sheet in sheets(by_name["ranking"])[-1:]
    ]
    yield Section(
        "environment",
        "Memory, machine and software",
        grids=(*costs, *facts.environment(frames)),
        folded=True,
    )


def _notes(frames: Frames, by_name: Mapping[str, pd.DataFrame]) -> list[Note]:
    all_notes = timed.notes(frames)
    if len(frames.results):
        all_notes = [*notes(frames, by_name["ranking"], by_name["failures"]), *all_notes]
    return all_notes


def _shortened(grid: Grid, environment: Environment) -> Grid:
    """A table's best rows, with all of them packed for the script."""
    if len(grid.rows) <= BEST + SPARE:
        return grid
    body = str(environment.get_template(web.TABLE).module.rows(grid))  # type: ignore[attr-defined]
    keys = grid.keys[:BEST]
    return replace(grid, rows=grid.rows[:BEST], keys=keys, rest=packed(body), n_rows=len(grid.rows))


def _shortened_section(section: Section, environment: Environment) -> Section:
    return replace(section, grids=tuple(_shortened(grid, environment) for grid in section.grids))


def _tabs(details: Details, environment: Environment) -> Iterator[Tab]:
    """The tabs with their tables shortened, and the pictures of all after the first ones packed."""
    macros = environment.get_template("figures.html").module
    room = ROOM
    for number, tab in enumerate(details.tabs()):
        tab = replace(tab, grid=_shortened(tab.grid, environment))
        if number >= PICTURED and (tab.charts or tab.confusion or tab.layers):
            pictures = packed(str(macros.pictures(tab))) if room > 0 else ""  # type: ignore[attr-defined]
            room -= len(pictures)
            fits = room >= 0 and bool(pictures)
            tab = replace(
                tab,
                charts=(),
                confusion=None,
                layers=(),
                packed=pictures if fits else "",
                undrawn=not fits,
            )
        yield tab


def _shortened_pairs(matrix: Matrix, environment: Environment) -> Matrix:
    return replace(matrix, grid=_shortened(matrix.grid, environment))


def _wholes(
    views: Iterable[View], field: Field, environment: Environment
) -> dict[str, dict[str, str]]:
    """The bodies of long ranked charts and heat maps, packed, by metric."""
    if len(field.models) <= BEST + SPARE:
        return {}
    macros = environment.get_template("first.html").module
    return {
        one.metric.name: {
            "ranked": packed(str(macros.ranked_body(one, len(field.models)))),  # type: ignore[attr-defined]
            "heat": packed(str(macros.heat_body(one, len(field.models)))),  # type: ignore[attr-defined]
        }
        for one in views
    }


def _csv(ranking: pd.DataFrame) -> str:
    """The ranking with four digits."""
    return frame_csv(ranking.map(lambda v: float(f"{v:.4g}") if isinstance(v, float) else v))


def _json(value: object) -> Markup:
    """JSON that may stand in a script element."""
    return Markup(json.dumps(value).replace("<", "\\u003c").replace("&", "\\u0026"))  # noqa: S704  # escaped
