"""What a page shows by one metric: the verdict, models in order, models by datasets, and prices."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from harness.analysis.names import short_names
from harness.analysis.verdict import verdict
from harness.sheets.figures import compact
from harness.sheets.figures import score as figure
from harness.sheets.grids import Grid, GridCell
from harness.sheets.ranked import at_a_glance, named_rows, ordered
from harness.sheets.sentences import sentences
from harness.sheets.table import TIED as TIE
from harness.words import listed
from harness_page.charts import Chart, Dot, Line, Scale, Tick, Word, across, duration, span, upwards

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import pandas as pd

    from harness import Frames
    from harness.analysis.shown import Shown
    from harness.analysis.verdict import Lead, Verdict
    from harness.sheets.ranked import Record

LEVELS = 8
"""Steps of a heat map's colour, besides none."""

BESIDE = 8
"""The most datasets whose scores stand beside the ranked chart on a wide screen: the first ones."""

REACHED = 40
"""Up to this many models, each point of a chart can be focused; with more, only the best can."""

LETTER = 6.6
"""About the width of a letter of a name, in pixels."""

TIED, BEHIND, LEFT_OUT, BASELINES = (
    "The best, and models not significantly different from it",
    "Models whose mean is significantly behind the best",
    "Models without a score on every dataset",
    "Baselines, which guess without the features",
)
UNTESTED = "Models (differences are not tested here)"


@dataclass(frozen=True, slots=True)
class Model:
    """A model on a device, as the page names it.

    Args:
        key: its number, which marks everything that belongs to it.
        name: its full name.
        short: its name without the parameters that all variants share.
        baseline: whether it is a baseline.
    """

    key: str
    name: str
    short: str
    baseline: bool


class HeatCell(NamedTuple):
    """A score in a heat map.

    Args:
        text: the score.
        mark: how it stands to the best.
        level: from 0 (a baseline's) to `LEVELS` (the best).
        look: ``top`` for the best of all models, ``strong`` if it is significantly better too.
    """

    text: str
    mark: str
    level: int
    look: str


@dataclass(frozen=True, slots=True)
class Place:
    """A model's line in the ranked chart; positions are percentages of the strip's width.

    Args:
        model: the model.
        rank: its rank among the models; empty for a baseline, and without a mean.
        mean: its score.
        interval: the score's interval on one dataset; over several, how far the model is behind the
            best, with the interval.
        dot: position of the score; empty if it is off the strip.
        ends: positions of the interval's ends, or empty.
        beyond: which end of the strip the score is beyond: ``left``, ``right`` or empty.
        cells: its scores on the first datasets; empty with a single dataset.
    """

    model: Model
    rank: str
    mean: str
    interval: str = ""
    dot: str = ""
    ends: tuple[str, str] | tuple[()] = ()
    beyond: str = ""
    cells: tuple[HeatCell, ...] = ()


class Group(NamedTuple):
    """Models that are equally far from the best, and what they have in common."""

    title: str
    look: str
    places: tuple[Place, ...]


class Leader(NamedTuple):
    """A dataset's best model, its score, and how many models tie with it."""

    dataset: str
    model: str
    score: str
    n_tied: int


class HeatRow(NamedTuple):
    """A model's scores on each dataset."""

    model: Model
    mean: str
    cells: tuple[HeatCell, ...]


@dataclass(frozen=True, slots=True)
class View:
    """What the page shows by one metric.

    Args:
        metric: the metric.
        answers: labels and sentences of the verdict; the first begins with ``leader``.
        leader: the best model, or empty.
        failed: whether any trial failed.
        ticks: ticks of the ranked chart, at percentages.
        best: position of the best score in it.
        groups: the ranked chart.
        intervals: what the chart's intervals are; empty without any.
        heat: models by datasets; empty with a single dataset.
        leaders: the best model on each of the first datasets, for screens without room for scores
            beside the chart.
        marks: the marks in the heat map.
        guessing: what the baselines reach; empty without baselines.
        price: score against fit time, if both are known.
    """

    metric: Shown
    answers: tuple[tuple[str, str], ...]
    leader: str
    failed: bool
    ticks: tuple[Tick, ...]
    best: str
    groups: tuple[Group, ...]
    intervals: str
    heat: tuple[HeatRow, ...]
    leaders: tuple[Leader, ...]
    marks: frozenset[str]
    guessing: str
    price: Chart | None


@dataclass(frozen=True, slots=True)
class Field:
    """The models and datasets of a run.

    Args:
        rows: the ranking's rows by the model's name and the dataset.
        datasets: the datasets in order.
        models: the models by name.
    """

    rows: Mapping[str, Mapping[str, Record]]
    datasets: tuple[str, ...]
    models: Mapping[str, Model]


def field_of(ranking: pd.DataFrame) -> Field:
    """The models and datasets of a ranking."""
    rows: dict[str, dict[str, Record]] = {}
    for row in named_rows(ranking):
        rows.setdefault(row["name"], {})[row["dataset"]] = row
    short = short_names(rows)
    models = {
        name: Model(str(i), name, short[name], any(row["baseline"] for row in own.values()))
        for i, (name, own) in enumerate(rows.items())
    }
    return Field(rows, tuple(dict.fromkeys(ranking["dataset"].tolist())), models)


def view(frames: Frames, ranking: pd.DataFrame, field: Field, metric: Shown) -> View:
    """What the page shows by one metric."""
    judged = verdict(frames, ranking, metric)
    names, means = ordered(
        {name: dict(rows) for name, rows in field.rows.items()},
        field.datasets,
        metric.name,
        more_is_better=metric.more_is_better,
    )
    ends = _ends(field, judged, means)
    scale = _strip(field, means, ends, metric)
    price = _price(field, means, metric)
    heat = tuple(_heat(field, names, means, metric)) if len(field.datasets) > 1 else ()
    return View(
        metric,
        tuple((each.label, _shortened(each.text, field)) for each in sentences(judged)),
        field.models[judged.leader].short if judged.leader else "",
        bool(judged.statuses),
        scale.ticks() if scale else (),
        f"{scale.at(means[judged.leader]):.2f}" if scale and judged.leader else "",
        tuple(_groups(field, names, means, ends, scale, judged, heat)),
        _told(field, ends),
        heat,
        tuple(_leaders(field, heat)),
        frozenset(cell.mark for row in heat for cell in row.cells),
        _guessing(field, names, means, metric),
        price,
    )


def _guessing(field: Field, names: Sequence[str], means: Mapping[str, float], metric: Shown) -> str:
    """What the baselines reach, and which models do not exceed it; empty without baselines."""
    known = [n for n in names if field.models[n].baseline and not math.isnan(means[n])]
    if not known:
        return ""
    scores = listed((f"{figure(means[n])} ({field.models[n].short})" for n in known), most=3)
    sign = 1 if metric.more_is_better else -1
    floor = max(sign * means[n] for n in known)
    own = [n for n in names if not field.models[n].baseline]
    lower = [field.models[n].short for n in own if not sign * means[n] > floor]
    if len(lower) == len(own):
        better = "No model is better" if own else ""
    elif lower:
        better = f"All models except {listed(lower, most=3)} are better"
    else:
        better = "All models are better"
    return f"guessing reaches {scores}.{f' {better}.' if better else ''}"


def _shortened(text: str, field: Field) -> str:
    """A sentence with the short names of its models."""
    longest_first = sorted(field.models.values(), key=lambda model: -len(model.name))
    for model in longest_first:
        if model.short != model.name:
            text = text.replace(model.name, model.short)
    return text


def _ends(
    field: Field, judged: Verdict, means: Mapping[str, float]
) -> dict[str, tuple[float, float]]:
    """The ends of each model's line in the ranked chart; NaN without an interval.

    On one dataset, the interval is the score's. Over several, it is that of the difference from the
    best model, drawn from the best model's score: intervals of differences tell who ties, and
    exist also where a score on some dataset has no interval.
    """
    ends = dict.fromkeys(field.rows, (math.nan, math.nan))
    if len(field.datasets) == 1:
        score = judged.rank.name
        for name, rows in field.rows.items():
            (row,) = rows.values()
            ends[name] = row[f"{score}_low"], row[f"{score}_high"]
    elif judged.leader:
        best, sign = means[judged.leader], 1 if judged.rank.more_is_better else -1
        for lead in judged.leads:
            low, high = sorted((best - sign * lead.low, best - sign * lead.high))
            ends[lead.over] = low, high
    return ends


def _strip(
    field: Field,
    means: Mapping[str, float],
    ends: Mapping[str, tuple[float, float]],
    metric: Shown,
) -> Scale | None:
    """The scale of the ranked chart, in percent; baselines don't stretch it."""
    known = [name for name, mean in means.items() if not math.isnan(mean)]
    own = [name for name in known if not field.models[name].baseline] or known
    if not own:
        return None
    low, high = span(
        [means[name] for name in own],
        [ends[name][0] for name in own],
        [ends[name][1] for name in own],
        1 if metric.more_is_better else -1,
    )
    return Scale(max(low, metric.low), min(high, metric.high), 1.5, 98.5)


def _groups(
    field: Field,
    names: Sequence[str],
    means: Mapping[str, float],
    ends: Mapping[str, tuple[float, float]],
    scale: Scale | None,
    judged: Verdict,
    heat: Sequence[HeatRow],
) -> Iterator[Group]:
    leads: dict[str, Lead] = {lead.over: lead for lead in judged.leads}
    ranks = _ranks(judged)
    beside = {row.model.name: row.cells[:BESIDE] for row in heat}

    def place(name: str) -> Place:
        mean, (low, high) = means[name], ends[name]
        cells = beside.get(name, ())
        if math.isnan(mean) or scale is None:
            return Place(field.models[name], "", "–", cells=cells)
        beyond = "left" if mean < scale.low else "right" if mean > scale.high else ""
        return Place(
            field.models[name],
            ranks.get(name, ""),
            figure(mean),
            _interval(leads.get(name), low, high, several=len(field.datasets) > 1),
            "" if beyond else f"{scale.at(mean):.2f}",
            () if math.isnan(low) else (f"{scale.at(low):.2f}", f"{scale.at(high):.2f}"),
            beyond,
            cells,
        )

    def group(title: str, look: str, members: Sequence[str]) -> Iterator[Group]:
        if members:
            yield Group(title, look, tuple(place(name) for name in members))

    own = [name for name in names if not field.models[name].baseline]
    ranked = [name for name in own if not math.isnan(means[name])]
    tested = all(lead.tested for lead in judged.leads)
    if tested:
        tied = [name for name in ranked if name == judged.leader or leads[name].tied]
        yield from group(TIED if len(tied) > 1 else "Best", "tied", tied)
        yield from group(BEHIND, "", [name for name in ranked if name not in tied])
    else:
        yield from group(UNTESTED, "", ranked)
    yield from group(LEFT_OUT, "faint", [name for name in own if math.isnan(means[name])])
    yield from group(BASELINES, "faint", [name for name in names if field.models[name].baseline])


def _interval(lead: Lead | None, low: float, high: float, *, several: bool) -> str:
    """A model's interval in words, as `Place` has it."""
    if not several:
        return "" if math.isnan(low) else f"{figure(low)} to {figure(high)}"
    if lead is None:
        return ""
    ends = "" if math.isnan(lead.low) else f" ({figure(lead.low)} to {figure(lead.high)})"
    return (figure(lead.gain) + ends).replace("-", "−")


def _ranks(judged: Verdict) -> dict[str, str]:
    """The rank of each model with a mean score, baselines excluded; equal scores share a rank."""
    if judged.leader is None:
        return {}
    gains = {judged.leader: 0.0} | {lead.over: lead.gain for lead in judged.leads}
    own = [(name, gain) for name, gain in gains.items() if name not in judged.baselines]
    ranks: dict[str, str] = {}
    rank, before = 1, math.nan
    for place, (name, gain) in enumerate(own, 1):
        if not gain - before <= 1e-12:
            rank, before = place, gain
        ranks[name] = str(rank)
    return ranks


def _told(field: Field, ends: Mapping[str, tuple[float, float]]) -> str:
    """What the lines of the ranked chart are; empty without any."""
    if all(math.isnan(low) for low, _ in ends.values()):
        return ""
    if len(field.datasets) == 1:
        return "Bar: 95% interval of the score."
    return "Bar: 95% interval of the gap to the best (dotted line)."


def _heat(
    field: Field, names: Sequence[str], means: Mapping[str, float], metric: Shown
) -> Iterator[HeatRow]:
    """Models by datasets; a cell's colour says how far the score is above the best baseline's."""
    levels = {
        dataset: _levels(field, names, dataset, metric, [field.models[n].baseline for n in names])
        for dataset in field.datasets
    }
    for place, name in enumerate(names):
        cells = []
        for dataset in field.datasets:
            row = field.rows[name].get(dataset)
            entry = at_a_glance(row, metric.name)
            looks = ["top"] if row and row[f"{metric.name}_best"] else []
            looks += ["strong"] if entry.look == "strong" else []
            cells.append(HeatCell(entry.text, entry.mark, levels[dataset][place], " ".join(looks)))
        yield HeatRow(field.models[name], figure(means[name]), tuple(cells))


def _leaders(field: Field, heat: Sequence[HeatRow]) -> Iterator[Leader]:
    """The best model on each of the first datasets; none with a single dataset."""
    if not heat:
        return
    for place, dataset in enumerate(field.datasets[:BESIDE]):
        tops = [row for row in heat if "top" in row.cells[place].look.split()]
        for row in tops[:1]:
            n_tied = sum(other.cells[place].mark == TIE for other in heat if other is not row)
            yield Leader(dataset, row.model.short, row.cells[place].text, n_tied)


def _levels(
    field: Field, names: Sequence[str], dataset: str, metric: Shown, baseline: Sequence[bool]
) -> list[int]:
    """A level for each model's score on a dataset: from the best baseline's to the best."""
    sign = 1 if metric.more_is_better else -1
    rows = [field.rows[name].get(dataset) for name in names]
    gains = np.array([sign * row[metric.name] if row and row["ok"] else math.nan for row in rows])
    if np.isnan(gains).all():
        return [0] * len(names)
    floors = gains[np.array(baseline) & ~np.isnan(gains)]
    floor, best = floors.max() if len(floors) else np.nanmin(gains), np.nanmax(gains)
    shares = (gains - floor) / (best - floor) if best > floor else np.zeros(len(gains))
    # Squared, because most models are close to the best, and readers look there.
    levels = np.nan_to_num(np.clip(shares, 0, 1)) ** 2 * LEVELS
    return [int(level) for level in np.round(levels)]


class Price(NamedTuple):
    """A model's score and its geometric mean times over the datasets."""

    model: Model
    mean: float
    fit_seconds: float
    microseconds: float


def _price(field: Field, means: Mapping[str, float], metric: Shown) -> Chart | None:
    """Score against fit time, with the models than which none is both better and faster."""
    prices = [
        Price(field.models[name], mean, *_times(field.rows[name].values()))
        for name, mean in means.items()
        if not math.isnan(mean)
    ]
    prices = [price for price in prices if price.fit_seconds > 0]
    shown = [price for price in prices if not price.model.baseline]
    if len(shown) < 2:
        return None
    sign = 1 if metric.more_is_better else -1
    front = _front(shown, sign)
    nan = [math.nan] * len(shown)
    low, high = span([price.mean for price in shown], nan, nan, sign)
    seconds = [price.fit_seconds for price in shown]
    x = across(min(seconds) / 1.4, max(seconds) * 1.4, logarithmic=True)
    # Names stand above the best points.
    room = 0.08 * (high - low)
    low, high = (low, high + room) if sign > 0 else (low - room, high)
    y = upwards(low, high)
    dots = []
    for price in shown:
        told = f"{price.model.name}: {metric.name} {figure(price.mean)}, fit {_time(price)}"
        on_front = price in front
        off = "" if y.low <= price.mean <= y.high else " off"
        dots.append(
            Dot(
                f"{x.at(price.fit_seconds):.1f}",
                f"{y.at(price.mean):.1f}",
                told + (", on the Pareto front" if on_front else ""),
                ("front" if on_front else "") + off,
                price.model.key,
                on_front or len(shown) <= REACHED,
            )
        )
    where = "geometric mean over datasets" if len(field.datasets) > 1 else "median over repeats"
    mean = f"mean {metric.label}" if len(field.datasets) > 1 else metric.label
    return Chart(
        f"{mean[0].upper()}{mean[1:]} against fit time",
        _best_for_time(front, metric),
        f"fit time, {where}",
        mean,
        x.ticks(duration),
        y.ticks(),
        (Line(_stairs(front, x, y), "front"),),
        tuple(dots),
        tuple(_named(front, dots, x, y)),
        data=_table(prices, front, metric, several=len(field.datasets) > 1),
    )


def _best_for_time(front: Sequence[Price], metric: Shown) -> str:
    """What the front is, in words."""
    where = "Up" if metric.more_is_better else "Down"
    told = f"The line joins the {len(front)} models for which no other is both better and faster."
    if len(front) == 1:
        told = f"{front[0].model.short} is both the best and the fastest."
    return f"{told} {where} and to the left is better."


def _times(rows: Any) -> tuple[float, float]:
    """Geometric means of fit seconds and of microseconds per predicted row; NaN if unknown."""
    means = []
    for name in ("fit_seconds", "predict_microseconds_per_row"):
        logs = [math.log(row[name]) for row in rows if row[name] > 0]
        means.append(math.exp(math.fsum(logs) / len(logs)) if logs else math.nan)
    return means[0], means[1]


def _time(price: Price) -> str:
    return duration(price.fit_seconds)


def _front(prices: Sequence[Price], sign: int) -> list[Price]:
    """The models that no other one beats in both score and time, the fastest first."""
    front: list[Price] = []
    for price in sorted(prices, key=lambda price: (price.fit_seconds, -sign * price.mean)):
        if not front or sign * price.mean > sign * front[-1].mean:
            front.append(price)
    return front


def _stairs(front: Sequence[Price], x: Scale, y: Scale) -> str:
    """The front as steps: between two models, the faster one's score is the best for its time."""
    first = front[0]
    parts = [f"M{x.at(first.fit_seconds):.1f} {y.at(first.mean):.1f}"]
    parts += [f"H{x.at(p.fit_seconds):.1f}V{y.at(p.mean):.1f}" for p in front[1:]]
    return "".join(parts) + f"H{x.end:.1f}"


def _named(front: Sequence[Price], dots: Sequence[Dot], x: Scale, y: Scale) -> Iterator[Word]:
    """Names of the front's models, as far as there is room, the best one first."""
    # Boxes (left, top, right, bottom) of what is drawn.
    taken = [
        (float(dot.x) - 5, float(dot.y) - 5, float(dot.x) + 5, float(dot.y) + 5) for dot in dots
    ]
    for price in reversed(front):
        at, height, width = (
            x.at(price.fit_seconds),
            y.at(price.mean),
            LETTER * len(price.model.short),
        )
        for anchor, left, base in (
            ("end", at - 6 - width, height - 8),
            ("start", at - 4, height - 9),
            ("start", at + 8, height + 16),
            ("end", at - 8 - width, height + 16),
        ):
            box = (left, base - 11, left + width, base + 3)
            inside = box[0] >= x.start and box[2] <= x.end + 8 and box[1] >= 0
            if inside and not any(_overlap(box, other) for other in taken):
                taken.append(box)
                at_text = left + width if anchor == "end" else left
                key = price.model.key
                yield Word(f"{at_text:.1f}", f"{base:.1f}", price.model.short, anchor, key)
                break


def _overlap(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _table(
    prices: Sequence[Price], front: Sequence[Price], metric: Shown, *, several: bool
) -> Grid:
    """The data of the chart, and the times of predictions."""
    rows = tuple(
        (
            GridCell(price.model.short, look="faint" if price.model.baseline else ""),
            GridCell(figure(price.mean)),
            GridCell(compact(price.fit_seconds, 4)),
            GridCell(compact(price.microseconds, 2)),
            GridCell("yes" if price in front else ""),
        )
        for price in prices
    )
    heads = ("model", metric.label, "fit s", "predict µs/row", "on the front")
    detail = "times are geometric means over the datasets" if several else ""
    keys = tuple(price.model.key for price in prices)
    return Grid(f"price-{metric.name}", "Score and times", detail, heads, 0, rows, keys=keys)
