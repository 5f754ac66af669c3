"""The pages of the site: which there are, and what stands on each."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from markupsafe import Markup

from harness.sheets import web
from harness.sheets.grids import Grid, of_rows
from harness.sheets.notes import FAILURES, Note
from harness.sheets.output import inline_svg
from harness.sheets.remarks import notes
from harness.words import listed, plural
from harness_site import adding, data
from harness_site.board import records
from harness_site.figures import scores_by_week
from harness_site.grids import Grids

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.sheets.drawing import Drawing
    from harness_site.board import Board

LINKS = (
    ("index.html", "Leaderboard"),
    ("history.html", "History"),
    ("data.html", "Data"),
    ("add-a-model.html", "Add a model"),
)
"""The pages that every page links to."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture of a page."""

    svg: Markup
    title: str
    description: str


@dataclass(frozen=True, slots=True)
class Block:
    """Sentences, and the code that they are about.

    Args:
        heading: heading of the block, or empty.
        text: paragraphs.
        code: commands, or the content of a file; or empty.
        about: what the code is, for screen readers.
        file: the file that the code belongs in; empty for commands.
    """

    heading: str = ""
    text: tuple[str | Markup, ...] = ()
    code: str = ""
    about: str = ""
    file: str = ""


@dataclass(frozen=True, slots=True)
class Section:
    """A part of a page, with a heading."""

    id: str
    title: str
    text: tuple[str | Markup, ...] = ()
    grids: tuple[Grid, ...] = ()
    picture: Picture | None = None
    blocks: tuple[Block, ...] = ()
    notes: tuple[Note, ...] = ()
    folded: bool = False


@dataclass(frozen=True, slots=True)
class Page:
    """A page.

    Args:
        path: its file, relative to the site's folder.
        title: its heading.
        sections: its parts; those without content are left out.
        lead: paragraphs below the heading.
        kind: what the page is about, in a word; empty for the site's own pages.
        sorts: whether a script may sort and filter its tables.
        contents: whether it lists its sections.
    """

    path: str
    title: str
    sections: tuple[Section, ...]
    lead: tuple[str | Markup, ...] = ()
    kind: str = ""
    sorts: bool = False
    contents: bool = False

    @property
    def root(self) -> str:
        """The site's folder, as seen from the page."""
        return "../" * self.path.count("/")


def files(board: Board) -> dict[str, bytes]:
    """All files of the site by path; the same board gives the same bytes."""
    templates = web.templates("harness_site", "site.html")
    shared = {
        "site": board.title,
        "links": LINKS,
        "style": web.style() + web.style_of("harness_site", "site.css"),
        "script": web.script(),
        "footer": Markup("Made by <code>harness publish</code> from {}.").format(_runs(board)),
    }
    site = {
        page.path: web.rendered(
            templates, "site.html", page=replace(page, sections=_filled(page)), **shared
        ).encode()
        for page in _pages(board)
    }
    # GitHub would leave out files whose names begin with an underscore.
    return site | dict(data.files(board)) | {".nojekyll": b""}


def _pages(board: Board) -> Iterator[Page]:
    grids = Grids(board)
    yield _index(board, grids)
    yield _history(board, grids)
    yield _data(board)
    yield _add(board)
    for dataset in board.datasets:
        yield _dataset(board, grids, dataset)
    for model in board.models:
        yield _model(board, grids, model)


def _filled(page: Page) -> tuple[Section, ...]:
    """The sections that have content."""
    return tuple(
        section
        for section in page.sections
        if section.text or section.grids or section.picture or section.blocks or section.notes
    )


def _models(board: Board) -> str:
    """How many models there are, and baselines.

    Baselines have no rank, so a board counts them apart.
    """
    n = sum(bool(rows[0]["baseline"]) for rows in board.rows_of_model.values())
    others = f" and {plural(n, 'baseline')}" if n else ""
    return f"{plural(len(board.models) - n, 'model')}{others}"


def _index(board: Board, grids: Grids) -> Page:
    overall = tuple(grids.overall())
    # Failures stand on the pages of their datasets and models, and the runs in a table.
    elsewhere = (FAILURES, "Skipped", "Runs")
    all_notes = notes(board.frames, board.ranking, board.failures)
    of_runs = tuple(f"Run {run.id} " for run in board.runs)
    further = tuple(line for line in board.frames.sources if not line.startswith(of_runs))
    left_out = (Note("Notes on the runs", further),) if further else ()
    summary = (
        f"{_models(board)} on {plural(len(board.datasets), 'dataset')}. Results of {_runs(board)}."
    )
    return Page(
        "index.html",
        board.title,
        (
            Section("ranking", "Ranking", _how_ranked(board), overall[:1]),
            Section("further", "By other scores", grids=overall[1:], folded=True),
            Section("datasets", "Datasets", grids=(grids.datasets(),)),
            Section("history", "History", _latest(board)),
            Section("costs", "Costs", grids=(grids.costs(),) if overall else (), folded=True),
            Section("runs", "Where the results come from", grids=(grids.runs(),), notes=left_out),
            Section(
                "notes",
                "Notes",
                notes=tuple(note for note in all_notes if note.heading not in elsewhere),
            ),
        ),
        (summary,),
        sorts=True,
        contents=True,
    )


def _how_ranked(board: Board) -> tuple[str, ...]:
    if not len(board.standings):
        return ("There are no results yet.",)
    n = len(board.datasets)
    text = (
        f"Models are ranked by their mean {board.rank.label} over all datasets. ≈ marks a score "
        "that is not significantly different from the best on its dataset; “best or ≈” is the "
        "number of datasets on which the model is the best or has that mark."
    )
    baselines = board.standings["baseline"]
    if baselines.any():
        text += " Baselines, which ignore the features, have no rank."
    if board.standings.loc[~baselines, "rank"].notna().all():
        return (text,)
    if not board.standings.loc[~baselines, "mean"].notna().any():
        none = (
            f"No model has completed all {n} datasets, so there is no ranking over all of them. "
            "Each dataset has a ranking on its page."
        )
        return (none,)
    return (text, "Other models without a rank have not completed every repeat on every dataset.")


def _latest(board: Board) -> tuple[Markup, ...]:
    """A sentence on who leads since when, with a link to the history."""
    if not board.weeks:
        return ()
    last = board.weeks[-1]
    link = Markup('<a href="history.html">The ranking week by week.</a>')
    if not last.leaders:
        return (link,)
    since = last
    for week in reversed(board.weeks):
        if set(week.leaders) != set(last.leaders):
            break
        since = week
    names = [board.name(pair) for pair in last.leaders]
    verb = "lead" if len(names) > 1 else "leads"
    line = Markup("{} {} since week {}. ").format(listed(names, most=3), verb, since.name)
    return (line + link,)


def _dataset(board: Board, grids: Grids, dataset: str) -> Page:
    file = board.dataset_files[dataset]
    failed = board.failures[board.failures["dataset"] == dataset]
    link = Markup('<a href="../data/{}.csv">All results on {} as CSV</a>: one row per trial.')
    grid = grids.of_datasets[dataset]
    bars = f"Bars show the {board.rank.name} and its 95% interval; baselines have no bar."
    return Page(
        f"datasets/{file}.html",
        dataset,
        (
            Section("ranking", "Ranking", (bars,), (grid,)),
            Section("data", "Data", (link.format(file, dataset),)),
            Section("failures", "Failures", grids=tuple(grids.failures(failed, without="dataset"))),
        ),
        kind="Dataset",
        sorts=True,
    )


def _model(board: Board, grids: Grids, model: str) -> Page:
    own = board.standings[board.standings["model"] == model]
    failed = board.failures[board.failures["model"] == model]
    n_ranked = int(board.standings["rank"].notna().sum())
    lead = []
    for row in records(own):
        on = f" on {row['device']}" if board.several_devices else ""
        if not math.isnan(row["mean"]):
            mean = f"{row['mean']:.3f}".removeprefix("0")
            rank = "No rank" if row["baseline"] else f"Rank {row['rank']:.0f} of {n_ranked}"
            lead.append(
                f"{rank}{on}: mean {board.rank.name} {mean} over "
                f"{plural(row['datasets'], 'dataset')}."
            )
        else:
            lead.append(
                f"No rank{on}: complete on {row['complete']} of "
                f"{plural(row['datasets'], 'dataset')}."
            )
    if own["baseline"].any():
        lead.append("A baseline, which ignores the features and has no rank.")
    return Page(
        f"models/{board.model_files[model]}.html",
        model,
        (
            Section(
                "scores",
                "Scores",
                ("#: rank on the dataset. Dot and bar: score with its 95% interval.",),
                (grids.of_model(model),),
            ),
            Section("history", "History", grids=tuple(grids.weeks_of(model))),
            Section("failures", "Failures", grids=tuple(grids.failures(failed, without="model"))),
            Section(
                "data",
                "Data",
                (Markup('Its trials are rows of <a href="../data/results.csv">results.csv</a>.'),),
            ),
        ),
        tuple(lead),
        kind="Model",
    )


def _history(board: Board, grids: Grids) -> Page:
    drawing = scores_by_week(board)
    few = "A picture appears here once two weeks have rankings."
    return Page(
        "history.html",
        "History",
        (
            Section(
                "picture",
                "Scores week by week",
                () if drawing else (few,),
                picture=_picture(drawing) if drawing else None,
            ),
            Section("weeks", "Week by week", grids=(grids.weeks(),) if board.weeks else ()),
            Section("ranks", "Ranks of all weeks", grids=(grids.ranks(),) if board.weeks else ()),
            Section(
                "data",
                "Data",
                (Markup('All weeks and models: <a href="data/history.csv">history.csv</a>.'),),
            ),
        ),
        (
            "The leaderboard at the end of each week in which a run started.",
            "Weeks are those of ISO 8601: from Monday to Sunday, in UTC.",
        ),
        sorts=True,
    )


def _picture(drawing: Drawing) -> Picture:
    svg = inline_svg(drawing.figure, drawing.title, drawing.description)
    return Picture(Markup(svg), drawing.title, drawing.description)  # noqa: S704  # names in it are escaped


def _data(board: Board) -> Page:
    named = [
        ("results.csv", "all results: one row per trial"),
        ("ranking.csv", "scores of each model on each dataset, with intervals, ranks and ties"),
        ("ranking.json", "the ranking as JSON, for programs: standings, datasets, runs"),
        ("history.csv", "rank and mean of each model at the end of each week"),
    ]
    rows = [*named, *((f"{board.dataset_files[d]}.csv", f"results on {d}") for d in board.datasets)]
    of_files = of_rows("files", "Files", ("file", "content"), rows)
    linked = tuple(
        (replace(file, href=f"data/{file.text}"), *others) for file, *others in of_files.rows
    )
    columns = [*data.RESULTS.items()]
    columns += [(m.name, "score") for m in board.metrics if m.name not in data.RESULTS]
    return Page(
        "data.html",
        "Data",
        (
            Section("files", "Files", grids=(replace(of_files, rows=linked),)),
            Section(
                "columns",
                "Columns of the results",
                grids=(of_rows("columns", "Columns", ("column", "content"), columns),),
            ),
        ),
        ("Scores are empty where a trial has none. Rows of one repeat have the same split.",),
    )


def _add(board: Board) -> Page:
    models = f"-m ./{adding.FILE}:NearestMean"
    plugin = f"-m nearest-mean --plugin {adding.FILE}"
    lead = (
        "A new model joins the board in three steps. Run all commands in the folder of the "
        "board's store, harness.db, or name the store with --store."
    )
    a_class = Markup(
        "A class with scikit-learn's methods <code>fit</code> and <code>predict_proba</code> is a "
        "model. <code>y</code> holds the classes as 0, 1, 2 and so on."
    )
    installed = Markup(
        "An installed class needs no file. Its import path selects it: "
        "<code>-m sklearn.svm:SVC</code>."
    )
    a_plugin = (
        "A plugin states the model's name, its parameters and its requirements, such as scaled "
        "columns. Add these "
        "lines to the same file:"
    )
    only_new = (
        "These commands run the new model, and the baselines beside it, on the datasets of this "
        "board. They draw the same splits again, so that the results can be compared. No other "
        "model of the board runs again."
    )
    away = (
        "Run the same commands with a store of your own. Then write its run to a folder, and send "
        "the folder to the keepers of the board:"
    )
    return Page(
        "add-a-model.html",
        "Add a model",
        (
            Section(
                "write",
                "1. Write it",
                blocks=(
                    Block("A class", (a_class, installed), adding.CLASS, adding.FILE, adding.FILE),
                    Block(
                        "Or a plugin",
                        (a_plugin,),
                        adding.PLUGIN,
                        f"{adding.FILE}, continued",
                        adding.FILE,
                    ),
                ),
            ),
            Section(
                "run",
                "2. Run only what is new",
                (only_new,),
                blocks=(
                    Block("A class", (), adding.commands(board, models), "commands for a class"),
                    Block("A plugin", (), adding.commands(board, plugin), "commands for a plugin"),
                ),
            ),
            Section(
                "publish",
                "3. Publish again",
                ("Give the site's folder, and its earlier options, such as --title.",),
                blocks=(Block(code="harness publish site", about="the command that publishes"),),
            ),
            Section(
                "away",
                "If you do not have the board's store",
                (away,),
                blocks=(
                    Block(code="harness export results last", about="the command that exports"),
                    Block(
                        text=("The keepers add your run and publish the site:",),
                        code="harness import results\nharness publish site",
                        about="the commands that import",
                    ),
                ),
            ),
        ),
        (lead,),
    )


def _runs(board: Board) -> str:
    """The number of runs, and their dates."""
    days = sorted(run.started[:10] for run in board.runs)
    dates = f"{days[0]} to {days[-1]}" if days[0] != days[-1] else days[0]
    return f"{plural(len(days), 'run')}, {dates}"
