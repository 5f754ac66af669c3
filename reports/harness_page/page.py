"""The page of a run: which sections it has, in which order, and how much each shows."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from harness import UsageError, Wanted
from harness.analysis import two_models
from harness.analysis.commands import command_of
from harness.analysis.history import CAUTION, segments
from harness.analysis.names import base
from harness.analysis.ranking import tables
from harness.analysis.shown import ranked_by, shown, titles
from harness.sheets import timed, web
from harness.sheets.grids import Grid, of_frame, of_rows, of_sheet
from harness.sheets.output import inline_svg
from harness.sheets.ranked import sheets
from harness.sheets.remarks import notes
from harness.statistics.scores import LEVEL
from harness.words import p_value
from harness_page.compaction import Compaction
from harness_page.past import by_measure, steps

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import pandas as pd

    from harness import Frames
    from harness.sheets.drawing import Drawing
    from harness.sheets.notes import Note

DATASETS = 12
"""The most datasets that have pictures: the first ones of the run."""

MODELS = 12
"""The most models that are compared in pairs: the best ones by likelihood."""

OPEN = 12
"""Up to this many datasets, their tables are open; with more, all are folded."""

DUEL = (
    "The paired difference on each data set with its 95% interval, and how probable it is that the "
    "first model is better, as good (within {}), or worse there; nothing of that where one did not "
    "finish all repeats."
)
HISTORY = (
    "Series that harness track keeps in the same store, up to the newest, whatever run this page "
    "is of: times as a ratio to what was pinned and measured beside them, and scores that have "
    "moved. A step is provisional until five points stand after it."
)
CURVES = ("likelihood", "regions", "hidden", "history")
POINTS, ROWS = 10, 100
"""Rows shown of the data under a picture: of curves and point clouds, which have hundreds, and of
other data."""

CLOSER = ("regions", "reliability", "confusion", "recall")
"""Pictures of each dataset's best model by likelihood."""

VERSUS = (
    "Each of the {} likeliest models but the baselines beside each other, over the data sets that "
    "both finished: first − second. Won, tied and lost by more than {}, a difference "
    "that does not matter. p: Wilcoxon's signed ranks, exact, after Holm. Better, as good and "
    "worse: probabilities by the Bayesian signed-rank test."
)


@dataclass(frozen=True, slots=True)
class Drawn:
    """A picture in a page.

    Args:
        svg: the ``<svg>`` element.
        title: beginning of the caption.
        description: the rest of the caption.
        data: the data that are drawn.
    """

    svg: Markup
    title: str
    description: str
    data: Grid


@dataclass(frozen=True, slots=True)
class _Gallery:
    """Draws a run's pictures, which share their styles."""

    frames: Frames
    compaction: Compaction

    def picture(self, kind: str, wanted: Wanted) -> Drawn | None:
        """A picture, if a plugin offers it and the run has the data for it."""
        offered = self.frames.pictures.get(kind)
        if offered is None:
            return None
        try:
            drawing = offered.draw(self.frames, wanted)
        except UsageError:
            return None
        return self.drawn(drawing, f"{kind} {wanted}")

    def drawn(self, picture: Drawing, name: str) -> Drawn:
        """A picture with its data; ``name`` becomes the name of the data's file."""
        svg = inline_svg(picture.figure, picture.title, picture.description)
        most = POINTS if name.startswith(CURVES) else ROWS
        data = of_frame(_file(name), f"Data: {picture.title}", picture.table, most)
        return Drawn(
            Markup(self.compaction.of(svg)),  # noqa: S704  # names in it are escaped
            picture.title,
            picture.description,
            data,
        )


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the page, with a heading that the table of contents links to."""

    id: str
    title: str
    text: str = ""
    grids: tuple[Grid, ...] = ()
    pictures: tuple[Drawn, ...] = ()
    notes: tuple[Note, ...] = ()
    folded: bool = False


def _title(frames: Frames) -> str:
    run = frames.run
    if run.joined:
        return f"harness {run.name}"
    return f"harness run {run.id}" + (f": {run.name}" if run.name else "")


def page(frames: Frames) -> str:
    """The whole page as self-contained HTML; the same store gives the same text."""
    compaction = Compaction()
    gallery = _Gallery(frames, compaction)
    parts = [part for part in _sections(gallery, tables(frames)) if _has_content(part)]
    return web.rendered(
        web.templates("harness_page", "page.html"),
        "page.html",
        title=_title(frames),
        run=frames.run,
        command=command_of(frames.run),
        counts=_counts(frames.results),
        sections=parts,
        style=web.style() + Markup(compaction.css),  # noqa: S704  # ours
        script=web.script(),
    )


def _sections(gallery: _Gallery, by_name: Mapping[str, pd.DataFrame]) -> Iterator[Section]:
    frames, ranking = gallery.frames, by_name["ranking"]
    metrics = shown(frames)
    all_sheets = sheets(ranking, metrics if frames.metrics else ()) if len(ranking) else []
    last = len(metrics) + 1
    by_dataset, overviews = all_sheets[:-last], all_sheets[-last:]
    grids = tuple(of_sheet(sheet, _file(sheet.title)) for sheet in overviews)
    datasets = list(dict.fromkeys(ranking["dataset"]))
    yield Section("overview", "Overview", grids=grids[:-1])
    yield Section("versus", "Who is better", *_versus(frames, ranking))
    cost_pictures = [gallery.picture(kind, Wanted()) for kind in ("fit-time", "latency")]
    bases = dict.fromkeys(map(base, datasets))
    cost_pictures += [gallery.picture("sizes", Wanted(dataset=name)) for name in bases]
    yield Section(
        "costs",
        "At what price",
        grids=grids[-1:],
        pictures=tuple(drawn for drawn in cost_pictures if drawn),
    )
    yield Section(
        "datasets",
        "Data sets",
        grids=tuple(of_sheet(sheet, _file(sheet.title)) for sheet in by_dataset),
        folded=len(by_dataset) > OPEN,
    )
    for number, dataset in enumerate(datasets[:DATASETS]):
        dataset_gallery = replace(gallery, frames=_only(frames, dataset))
        pictures = tuple(_of_dataset(dataset_gallery, ranking, dataset))
        yield Section(f"pictures-{number}", f"Pictures: {dataset}", pictures=pictures)
    timings = [
        *timed.training_sheets(by_name["training"]),
        *timed.softmax_sheets(by_name["softmax"]),
    ]
    softmax = gallery.picture("softmax", Wanted())
    yield Section(
        "timing",
        "Timed alone",
        grids=tuple(of_sheet(sheet, _file(sheet.title)) for sheet in timings),
        pictures=(softmax,) if softmax else (),
    )
    yield _history(gallery)
    yield Section("failures", "Failures", grids=tuple(_failures(by_name["failures"])))
    yield Section("notes", "How to read this", notes=tuple(_notes(frames, by_name)))
    yield Section("environment", "Environment", grids=tuple(_environment(frames)))


def _history(gallery: _Gallery) -> Section:
    """The section on the history that the store keeps."""
    all_segments = segments(gallery.frames.history())
    offered = gallery.frames.pictures.get("history")
    pictures = tuple(
        gallery.drawn(offered.draw(series, Wanted()), f"history {measure}")
        for measure, series in by_measure(all_segments)
        if offered
    )
    grids = steps(all_segments)
    text = " ".join([HISTORY, CAUTION] if grids else [HISTORY])
    return Section("history", "Over time", text if pictures else "", grids, pictures)


def _only(frames: Frames, dataset: str) -> Frames:
    """The run with one dataset only, so that its pictures need not filter all results again."""
    return replace(frames, results=frames.results[frames.results["dataset"] == dataset])


def _has_content(part: Section) -> bool:
    return bool(part.grids or part.pictures or part.notes or part.text)


def _notes(frames: Frames, by_name: Mapping[str, pd.DataFrame]) -> list[Note]:
    all_notes = timed.notes(frames)
    if len(frames.results):
        all_notes = [*notes(frames, by_name["ranking"], by_name["failures"]), *all_notes]
    return all_notes


def _versus(frames: Frames, ranking: pd.DataFrame) -> tuple[str, tuple[Grid, ...]]:
    """How to read the pairwise comparison of the best models, and its tables."""
    scored = ranking[~ranking["baseline"].astype(bool)]
    rank, names = ranked_by(frames), titles(frames)
    means = scored.groupby(["model", "device"], sort=False)[rank.name].mean()
    means = means.sort_values(ascending=not rank.more_is_better)
    best = [(str(model), str(device)) for model, device in means.dropna().index[:MODELS]]
    if frames.results.empty:
        return "", ()
    if len(best) < 2:
        return "There are no two models but the baselines that have scores.", ()
    contenders = [
        contender for contender in two_models.chosen_contenders(frames, []) if contender in best
    ]
    single_pair = len(contenders) == 2
    pairs = two_models.matrix(frames, contenders, two_models.ROPE, turned=not single_pair)
    rope = f"{100 * two_models.ROPE:g}%"
    text, duels = VERSUS.format(len(contenders), rope), tuple[Grid, ...]()
    if single_pair:
        first, second = contenders
        text = f"{DUEL.format(rope)} {text}"
        duels = tuple(_duels(two_models.duel(frames, first, second, two_models.ROPE), names))
    n_scores = len(names)
    n_untested = int((pairs["note"] != "").sum()) // n_scores
    if n_untested:
        text += (
            f" For {n_untested} of {len(pairs) // n_scores} pairs neither is given: a p-value "
            "needs six data sets that both models finished."
        )
    smallest_p = two_models.least_p(pairs)
    if smallest_p >= LEVEL:
        text += (
            " After Holm, no p of so many pairs over so few data sets can be below "
            f"{smallest_p:.3f}."
        )
    heads = ("first", "second", "difference", "won", "tied", "lost", "p")
    why = ("why not",) if n_untested else ()
    return text, duels + tuple(
        of_rows(
            "pairs-" + str(score),
            f"{names[str(score)]}, pair by pair",
            (*heads, "better", "as good", "worse", *why),
            [
                (
                    row["first"],
                    row["second"],
                    _signed(row["difference"]),
                    *(str(row[name]) for name in ("wins", "ties", "losses")),
                    p_value(row["p_value"]),
                    *(_number(row[name], ".2f") for name in ("better", "equivalent", "worse")),
                    *([row["note"]] if n_untested else []),
                )
                for row in rows.to_dict("records")
            ],
        )
        for score, rows in pairs.groupby("score", sort=False)
    )


def _duels(duels: pd.DataFrame, names: Mapping[str, str]) -> Iterator[Grid]:
    """Tables that compare two models dataset by dataset."""
    for score, rows in duels.groupby("score", sort=False):
        first, second = rows["first"].iloc[0], rows["second"].iloc[0]
        yield of_rows(
            "versus-" + str(score),
            f"{names[str(score)]}: {first} − {second}",
            ("data set", "difference", "low", "high", "p", "better", "as good", "worse", "how"),
            [
                (
                    row["dataset"],
                    *(_signed(row[name]) for name in ("difference", "low", "high")),
                    p_value(row["p_value"]),
                    *(_number(row[name], ".2f") for name in ("better", "equivalent", "worse")),
                    row["method"],
                )
                for row in rows.to_dict("records")
            ],
        )


def _of_dataset(gallery: _Gallery, ranking: pd.DataFrame, dataset: str) -> Iterator[Drawn]:
    """The pictures of a dataset: all models' curves, and its best model in detail."""
    rows = ranking[(ranking["dataset"] == dataset) & (ranking["ok"] > 0)]
    if rows.empty:
        return
    own = rows[~rows["baseline"].astype(bool)]
    best = (own if len(own) else rows).iloc[0]
    pictures = [gallery.picture("likelihood", Wanted(dataset=dataset))]
    best_pairing = Wanted(model=best["model"], dataset=dataset, device=best["device"])
    pictures += [gallery.picture(kind, best_pairing) for kind in CLOSER]
    layered = Wanted(dataset=dataset, device=best["device"])
    pictures += [
        gallery.picture("hidden", replace(layered, model=model)) for model in _with_layers(gallery)
    ]
    yield from (drawn for drawn in pictures if drawn)


def _with_layers(gallery: _Gallery) -> list[str]:
    """Models with a sketch of their hidden layers."""
    results = gallery.frames.results
    firsts = results[(results["status"] == "ok") & (results["repeat"] == 0)]
    models = dict(zip(firsts["result_id"].tolist(), firsts["model"].tolist(), strict=True))
    sketches = gallery.frames.sketches(list(models))
    return list(dict.fromkeys(models[i] for i in models if i in sketches and sketches[i].hidden))


def _failures(failures: pd.DataFrame) -> Iterator[Grid]:
    if len(failures):
        heads = ("data set", "model", "device", "repeat", "status", "reason")
        names = ("dataset", "model", "device", "repeat", "status", "reason")
        rows = ([str(row[name]) for name in names] for row in failures.to_dict("records"))
        yield of_rows("failures", "Trials without scores", heads, rows, named=1)


def _environment(frames: Frames) -> Iterator[Grid]:
    """The environment of the run, as the store has it."""
    environment = frames.run.environment
    machine = environment.get("machine", {})
    facts = [
        (name, str(machine[name])) for name in ("processor", "cores", "system") if name in machine
    ]
    if "memory" in machine:
        facts.append(("memory", f"{machine['memory'] / 2**30:.1f} GiB"))
    if "python" in environment:
        facts.append(("Python", environment["python"]))
    if project := environment.get("project"):
        facts.append(("project", _revision(project)))
    facts += [
        (f"package {name}", str(version))
        for name, version in environment.get("packages", {}).items()
    ]
    for name, plugin in environment.get("plugins", {}).items():
        revision = f", {_revision(plugin['git'])}" if plugin.get("git") else ""
        facts.append((f"plugin {name}", f"code {plugin['digest']}{revision}"))
    if facts:
        yield of_rows("environment", "What the run was made with", ("what", "is"), facts)


def _revision(git: Mapping[str, Any]) -> str:
    return f"revision {str(git['revision'])[:12]}" + (", with changes" if git.get("dirty") else "")


def _counts(results: pd.DataFrame) -> str:
    counts = results["status"].value_counts()
    listed = ", ".join(f"{count} {status}" for status, count in counts.items())
    return f"{len(results)} trials: {listed}" if len(results) else "no trials"


def _signed(value: float) -> str:
    return "" if math.isnan(value) else f"{value:+.3f}"


def _number(value: float, form: str) -> str:
    return "" if math.isnan(value) else f"{value:{form}}"


def _file(title: str) -> str:
    """The name of a file for a title: letters of any script, digits and hyphens.

    >>> _file("torch-mlp[hidden=64x64] on <iris>")
    'torch-mlp-hidden-64x64-on-iris'
    """
    return re.sub(r"\W+", "-", title).strip("-") or "table"
