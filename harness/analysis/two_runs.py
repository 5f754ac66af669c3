"""Compares two stored runs, score by score and timing by timing: better, worse, or neither.

Scores are paired: only splits that both runs share are compared, so that the difference comes from
the code. The measures of one pairing (a model on a dataset and device) form one family, which is
tested once (`harness.statistics.families`).

Times are not paired: hours lie between two runs, and a machine drifts. Most timings did not really
change, so the spread of all their changes estimates the drift. The drift counts as an error of
every timing, so that a busy machine is not mistaken for a regression. Fewer than `ENOUGH` timings
cannot show the drift; they stay undecided. `harness ab`, which measures both versions in turns,
can see changes smaller than the drift.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field, replace
from statistics import median
from typing import TYPE_CHECKING, Any, TypedDict, cast

import numpy as np
from scipy import special  # scipy.stats takes 0.6 s to import

from harness.analysis.changes import SCORES, ChangeRow
from harness.analysis.names import baselines
from harness.contract.values import TimedCall, WorkloadKey, folds_in
from harness.statistics.families import discoveries
from harness.statistics.reach import MOST_REPEATS, Reach, reach
from harness.statistics.scores import LEVEL, RowScores, best, cells, compare
from harness.statistics.timings import epochs_of
from harness.words import plural

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import pandas as pd
    from numpy.typing import NDArray

    from harness.analysis.changes import RowVerdict
    from harness.contract.values import Frames
    from harness.statistics.scores import Cell

    Logs = NDArray[np.float64]
    Samples = Sequence[Sequence[float]]

MEASURES = (*SCORES, "time")
PAIRING = ("dataset", "model", "device")
TIMING = ("kind", "subject", "case", "device")
FITS = (TimedCall.FIT, TimedCall.TOGETHER)
KINDS = (
    *FITS,
    TimedCall.PREDICT,
    TimedCall.PREDICT_ROW,
    TimedCall.LOGITS,
    TimedCall.SOFTMAX,
)
"""Kinds of timings that measure the code itself, rather than a reference to compare it with."""

BUDGET = 0.25
"""Default slowdown that passes as "same". Of forty timings of the same code in two sessions, about
one is 8% slower by chance; a smaller budget would leave it undecided."""

BROKEN = ("failed", "wrong")
"""Statuses of a timing that are the code's fault; others mean that the time budget ran out."""

LEAST_DRIFT = 0.02
"""Lower bound on the drift between two sessions, as a standard deviation of log(time)."""

ENOUGH = 5
"""The least number of timings that can show how much the machine drifted."""

POWER = 0.8
"""Probability with which a change of the size `Row.visible` is detected."""

MOST_FREEDOM = 1e6
"""Upper bound on the degrees of freedom; Student's t is practically normal there."""

TELL = 0.01
"""Relative change of the likelihood; remarks say how many repeats would detect it."""

ALONE = (
    "This holds for one comparison of two models. ≈ is corrected for all models and repeated "
    "tests, so it takes larger differences or more repeats."
)
"""A caveat to `told_by_repeats`, which leaves out corrections that depend on the other models."""

ONE_REPEAT = "one repeat does not show how much random seeds matter; run more repeats"
NO_VALUE = "the score has no value in this run"
TWO_SEEDS = "two repeats hardly show how much random seeds matter; run more repeats"
"""On a fixed split with two seeds, 9% of comparisons of ten unchanged pairings report a change at
the 1% level."""

FEW_TIMINGS = f"fewer than {ENOUGH} timings: the change may be the machine's; use `harness ab`"


@dataclass(frozen=True, slots=True)
class _Finding:
    """A row without its verdict yet, and what the verdict depends on.

    Args:
        row: the row; its verdict is set later.
        p_value: of the null hypothesis that nothing changed by an amount that matters; NaN where
            there is nothing to test.
        p_over: p-value of the null hypothesis that the slowdown is the budget or more.
        open: there are too few repeats or timings for a verdict.
        same: both runs agree in every test row.
        reach: tells how many repeats would detect a change; None where that is unknown.
        folded: the repeats are cross-validations, where more repeats add no information.
        unit: converts a small change of the tested measure into one of the row's measure.
        level: significance level of a single change.
        more_is_better: whether a larger value of the row's measure is better.
    """

    row: ChangeRow
    p_value: float
    p_over: float = math.nan
    open: bool = False
    same: bool = False
    reach: Reach | None = None
    folded: bool = False
    unit: float = 1.0
    level: float = math.nan
    more_is_better: bool = True


def compare_runs(
    base: Frames,
    new: Frames,
    *,
    budget: float = BUDGET,
    margin: float = 0.01,
    alpha: float = 0.01,
    only: Sequence[str] = (),
) -> tuple[list[ChangeRow], list[str]]:
    """A row for each pairing and measure, and remarks on the whole comparison.

    The false discovery rate is at most ``alpha`` over all tests: half of it goes to the scores and
    half to the timings, or all of it to the only kind there is. So if nothing changed, ``alpha``
    is the probability that any row is called better, worse, faster or slower.

    Args:
        base: the run to compare with.
        new: the run that may have become worse, from the same store.
        budget: relative slowdown that passes. "slower" means shown to exceed it, "same" means
            shown to stay below it.
        margin: a score is the same where the confidence interval of its difference lies within
            this margin.
        alpha: false discovery rate; see above.
        only: some of `MEASURES`; all of them if empty. Where the frames show metrics, these take
            the scores' place.
    """
    measures = [measure for measure in MEASURES if not only or measure in only]
    scores = list(base.metrics) or [measure for measure in measures if measure in SCORES]
    timing_pairs, lone_times, remarks = (
        _pairs_of_times(base, new) if "time" in measures else ([], [], [])
    )
    remarks = [*_changed_files(base, new), *remarks]
    alpha_each = (
        alpha / 2 if scores and len(timing_pairs) >= ENOUGH and _both_ran(base, new) else alpha
    )
    rows: list[ChangeRow] = []
    if scores:
        families, lone = _scores(base, new, scores, alpha_each)
        rows += lone + _judged_scores(families, margin, alpha_each)
        remarks += _what_repeats_tell(families)
    rows += lone_times
    if timing_pairs:
        rows += _judged_times(_times(timing_pairs, budget, alpha_each), alpha_each)
    return rows, remarks


def measured_anew(base: Frames, new: Frames) -> tuple[Frames, Frames, list[str]]:
    """Both runs without what they share, and remarks on that.

    The new run may have known results of the base instead of its own, and timings likewise; to
    compare these would be to compare them with themselves.

    Args:
        base: the run to compare with.
        new: the run that may have become worse, from the same store.
    """
    ids = [_ids_by_pairing(frames.results) for frames in (base, new)]
    shared = {
        pairing
        for pairing in ids[0].keys() & ids[1].keys()
        if (common := ids[0][pairing].keys() & ids[1][pairing].keys())
        and all(ids[0][pairing][split] == ids[1][pairing][split] for split in common)
    }
    timed = [_timed_by_key(frames.timings) for frames in (base, new)]
    same_times = {
        key
        for key in timed[0].keys() & timed[1].keys()
        if timed[0][key]["samples"] == timed[1][key]["samples"]
        and (timed[0][key]["samples"] or timed[1][key].get("measured"))
    }
    if not shared and not same_times:
        return base, new, []
    rest = []
    for frames in (base, new):
        pairings = zip(*(frames.results[name] for name in PAIRING), strict=True)
        keys = zip(*(frames.timings[name] for name in TIMING), strict=True)
        rest.append(
            replace(
                frames,
                results=frames.results[_flags(pairing not in shared for pairing in pairings)],
                timings=frames.timings[_flags(key not in same_times for key in keys)],
            )
        )
    remarks = []
    if shared:
        ran = [_splits_by_pairing(frames.results).keys() for frames in (base, new)]
        every = "All " if len(shared) == len(ran[0] | ran[1]) else ""
        have = "has" if len(shared) == 1 else "have"
        remarks.append(
            f"{every}{plural(len(shared), 'model-dataset pair')} {have} the same results in both "
            "runs, because code, data, versions and seeds are the same."
        )
    if n_times := sum(bool(timed[1][key]["samples"]) for key in same_times):
        remarks.append(
            f"Both runs have {plural(n_times, 'timing')} in common that were measured "
            f"only once; they are not compared."
        )
    return rest[0], rest[1], remarks


def _flags(values: Iterable[bool]) -> NDArray[np.bool_]:
    return np.array(list(values), dtype=bool)


def _ids_by_pairing(results: pd.DataFrame) -> dict[tuple[str, ...], dict[object, int]]:
    """Ids of the successful results, by pairing and by repeat and seed of the split."""
    ids: dict[tuple[str, ...], dict[object, int]] = {}
    for row in results[results["status"] == "ok"].to_dict("records"):
        of_pairing = ids.setdefault(tuple(str(row[name]) for name in PAIRING), {})
        of_pairing[row["repeat"], row["split_seed"]] = int(row["result_id"])
    return ids


def _timed_by_key(timings: pd.DataFrame) -> dict[tuple[str, ...], dict[str, Any]]:
    rows = cast("list[dict[str, Any]]", timings.to_dict("records"))
    return {tuple(row[name] for name in TIMING): row for row in rows}


def _changed_files(base: Frames, new: Frames) -> list[str]:
    """A remark for each dataset whose file or options differ between the runs."""
    before, after = (frames.run.environment.get("files", {}) for frames in (base, new))
    return [
        f"The file of dataset '{name}' or its options have changed between the runs: these are "
        "scores of different data."
        for name in before
        if name in after and before[name] != after[name]
    ]


def _judged_scores(
    families: Sequence[Sequence[_Finding]], margin: float, alpha: float
) -> list[ChangeRow]:
    """The rows of all families with their verdicts."""
    significances = discoveries([[p for _, p in _tested(family)] for family in families], alpha)
    rows = []
    for family, flags in zip(families, significances, strict=True):
        significant = dict(zip((m for m, _ in _tested(family)), flags, strict=True))
        rows += [
            _judged(finding, margin, significant=significant.get(_twin(finding.row.measure), False))
            for finding in family
        ]
    return rows


def _judged_times(times: Sequence[_Finding], alpha: float) -> list[ChangeRow]:
    """The rows of all timings with their verdicts."""
    significances = discoveries([[finding.p_value] for finding in times], alpha)
    rows = []
    for finding, (significant,) in zip(times, significances, strict=True):
        verdict = _time_verdict(finding, alpha, significant=significant)
        note = finding.row.note
        if verdict == "undecided" and not note:
            note = "`harness ab` can decide"
        rows.append(replace(finding.row, verdict=verdict, note=note))
    return rows


def _both_ran(base: Frames, new: Frames) -> bool:
    """Whether any pairing has scores in both runs."""
    pairings = [
        {key for key, splits in _splits_by_pairing(frames.results).items() if splits.ok}
        for frames in (base, new)
    ]
    return bool(pairings[0] & pairings[1])


def _twin(measure: str) -> str:
    """The measure to test in place of another: the NLL for the likelihood, which is exp(-NLL)."""
    return "nll" if measure == "likelihood" else measure


def _tested(family: Sequence[_Finding]) -> list[tuple[str, float]]:
    """The measures to test in a family, and their p-values.

    A finding that agrees in every test row has the p-value NaN: it cannot be a false discovery, so
    it does not count as a test.
    """
    p_values = {
        _twin(finding.row.measure): math.nan if finding.same or finding.open else finding.p_value
        for finding in family
    }
    return list(p_values.items())


def _judged(finding: _Finding, margin: float, *, significant: bool) -> ChangeRow:
    """A row of scores with its verdict and, if undecided, a note on what would decide it."""
    row = finding.row
    verdict: RowVerdict = "undecided"
    if finding.same:
        verdict = "same"
    elif finding.open:
        pass
    elif math.isnan(finding.p_value):
        verdict = "not judged"
    elif -margin <= row.low and row.high <= margin:
        verdict = "same"
    elif significant:
        upwards = finding.more_is_better
        verdict = "better" if (row.change > 0) == upwards else "worse"
    note = row.note
    if verdict == "undecided" and not note:
        note = _it_would_take(finding, margin)
    return replace(row, verdict=verdict, note=note)


def _it_would_take(finding: _Finding, margin: float) -> str:
    """A note on what would decide an undecided finding; empty where that is unknown."""
    if finding.folded:
        return f"more repeats cannot decide; {_more_rows('folds')} could"
    if finding.reach is None:
        return ""
    change, equal = (abs(value / finding.unit) for value in (finding.row.change, margin))
    needed = finding.reach.needed(change, finding.level, equal=equal)
    if math.isinf(needed):
        return f"more repeats cannot decide; {_more_rows(finding.reach.kind)} could"
    if math.isnan(needed):
        return f"more than {MOST_REPEATS} repeats are needed"
    return f"about {max(int(needed), finding.row.n + 1)} repeats are needed"


def _more_rows(kind: str) -> str:
    """The additional data that would help where repeats share rows."""
    return "more test rows" if kind == "fixed" else "more rows in the dataset"


def _what_repeats_tell(families: Sequence[Sequence[_Finding]]) -> list[str]:
    """Remarks on the smallest change of the likelihood that these repeats would detect."""
    by_nll = [
        next((finding for finding in family if _twin(finding.row.measure) == "nll"), None)
        for family in families
    ]
    reaches = [
        (finding.reach, finding.row.n, finding.level)
        for finding in by_nll
        if finding and finding.reach and not finding.same
    ]
    return power_in_words(reaches, "changes of the likelihood") if reaches else []


def power_in_words(reaches: Sequence[tuple[Reach, int, float]], differences: str) -> list[str]:
    """Two sentences: the differences that repeats detect, and the repeats that `TELL` requires.

    Args:
        reaches: for each pairing its reach in NLL, number of repeats and significance level.
        differences: name of the differences, such as "changes of the likelihood".
    """
    numbers = sorted({n for _, n, _ in reaches})
    repeats = f"{numbers[0]} to {numbers[-1]}" if len(numbers) > 1 else str(numbers[0])
    tells = sorted(-math.expm1(-reach.visible(n, level)) for reach, n, level in reaches)
    middle, ends = _percent(median(tells)), (_percent(tells[0]), _percent(tells[-1]))
    pairings = plural(len(reaches), "model-dataset pair")
    among = f" (median of {pairings}; {ends[0]} to {ends[1]})" if len(reaches) > 1 else ""
    detected = f"{repeats} repeats detect {differences} of {middle} with 80% probability{among}."
    needed = [(reach.needed(-math.log1p(-TELL), level), reach) for reach, _, level in reaches]
    enough = sorted(n for n, _ in needed if math.isfinite(n))
    never = [reach for n, reach in needed if math.isinf(n)]
    late = len(needed) - len(enough) - len(never)
    parts = []
    if enough:
        need = "needs" if len(enough) == 1 else "need"
        parts.append(f"{len(enough)} of {pairings} {need} about {median(enough):.0f} repeats")
    if late:
        parts.append(f"{late} need{'s' * (late == 1)} more than {MOST_REPEATS} repeats")
    if never:
        cure = " or ".join(dict.fromkeys(_more_rows(reach.kind) for reach in never))
        need = "needs" if len(never) == 1 else "need"
        parts.append(f"{len(never)} {need} {cure}, because repeats share rows")
    return [detected, f"To detect a change of {_percent(TELL)}: {'; '.join(parts)}."]


def told_by_repeats(frames: Frames, repeats: int | None = None) -> list[str]:
    """Sentences on the differences in likelihood from a dataset's best model that repeats detect.

    They follow from the variances within a run, and hold for two models compared alone at
    `harness.statistics.scores.LEVEL`; baselines are left out. If the tables' marks are corrected
    for more models or for looks, the last sentence says so. The list is empty unless some dataset
    has two models with two repeats each.

    Args:
        frames: the run.
        repeats: number of repeats of a planned run; by default that of this run.
    """
    rows = RowScores(frames.predictions)
    baseline_names = baselines(frames)
    by_dataset: dict[str, dict[tuple[str, str], Cell]] = {}
    marked: Counter[str] = Counter()  # models by dataset; the tables' marks count baselines, too
    for (dataset, model, device), cell in cells(frames.results, frames.run.planned).items():
        marked[dataset] += bool(len(cell.repeats))
        if model not in baseline_names and len(cell.repeats):
            by_dataset.setdefault(dataset, {})[model, device] = cell
    reaches: list[tuple[Reach, int, float]] = []
    corrected = repeats is None and frames.run.n_looks > 1
    for dataset, contenders in by_dataset.items():
        leader = best(contenders, "nll")
        for key, cell in contenders.items():
            if leader is None or key == leader:
                continue
            its_reach = reach(contenders[leader], cell, "nll", rows)
            if its_reach is not None:
                reaches.append((its_reach, repeats or len(cell.repeats), LEVEL))
                corrected |= marked[dataset] > 2
    if not reaches:
        return []
    lines = power_in_words(reaches, "differences in likelihood from the best model")
    return [*lines, ALONE] if corrected else lines


def _percent(part: float) -> str:
    return f"{100 * part:.2g}%" if part < 0.995 else "100%"


def _time_verdict(finding: _Finding, alpha: float, *, significant: bool) -> RowVerdict:
    if finding.open:
        return "undecided"
    if significant:
        return "slower" if finding.row.change > 0 else "faster"
    return "same" if finding.p_over < alpha else "undecided"


def _scores(
    base: Frames, new: Frames, measures: Sequence[str], alpha: float
) -> tuple[list[list[_Finding]], list[ChangeRow]]:
    """A family of findings for each pairing with scores in both runs, and rows for the others."""
    before, after = _paired(base.results, new.results)
    cells_before, cells_after = (cells(results, (), base.scales) for results in (before, after))
    base_splits, new_splits = (_splits_by_pairing(frames.results) for frames in (base, new))

    def metric_rows(name: str, ids: Sequence[int]) -> dict[int, Logs]:
        return {**base.metric_rows(name, ids), **new.metric_rows(name, ids)}

    # Serves both runs: result ids are unique in the store.
    rows = RowScores(base.predictions, metric_rows)
    pairings: list[tuple[ChangeRow, Cell, Cell, dict[str, bool]]] = []
    lone: list[ChangeRow] = []
    for key in dict.fromkeys([*base_splits, *new_splits]):
        dataset, model, device = key
        row = ChangeRow("scores", model, dataset, device, math.nan, math.nan, "not judged")
        if key not in base_splits or key not in new_splits:
            lone.append(_only_one_ran(row, base, new, only_base=key in base_splits))
            continue
        splits_before, splits_after = base_splits[key], new_splits[key]
        ok_before, ok_after = len(splits_before.ok), len(splits_after.ok)
        if not ok_after or not ok_before:
            lone.append(_failed_pairing(row, splits_before, splits_after))
            continue
        lost = len(splits_before.ok & splits_after.failed)
        if lost:
            note = f"{lost} of {ok_before} repeats fail now: {splits_after.reason}"
            lone.append(replace(row, verdict="failed", note=note))
        a, b = cells_after.get(key), cells_before.get(key)
        if a is None or b is None or not len(np.intersect1d(a.repeats, b.repeats)):
            lone.append(replace(row, note="no split in common: seeds or repeats differ"))
            continue
        note = f"{ok_after} of {ok_before} repeats" if ok_after < ok_before else ""
        same = {score: _identical(a, b, score, rows) for score in map(_twin, measures)}
        pairings.append((replace(row, note=note), a, b, same))
    # The strictest level that a measure must pass: that of a single change among all the tests.
    n_tests = sum(not all(same.values()) for *_, same in pairings)
    level = alpha / (max(1, n_tests) * len(set(map(_twin, measures))))
    families = [
        [_score(row, a, b, score, rows, level, same=same[_twin(score)]) for score in measures]
        for row, a, b, same in pairings
    ]
    return families, lone


def _only_one_ran(row: ChangeRow, base: Frames, new: Frames, *, only_base: bool) -> ChangeRow:
    """The row of a pairing that one run has results of; tells if the other was to have some."""
    pairings = {
        (pairing.dataset, pairing.model, pairing.device)
        for pairing in (new if only_base else base).run.planned
    }
    note = "planned, but not run" if (row.case, row.subject, row.device) in pairings else ""
    return replace(row, verdict="only base" if only_base else "only new", note=note)


def _failed_pairing(row: ChangeRow, before: _Splits, after: _Splits) -> ChangeRow:
    """The row of a pairing that succeeded in one run at most."""
    if before.ok:
        return replace(row, verdict="failed", note=after.reason)
    if after.ok:
        return replace(row, verdict="only new", note="it failed in the base")
    return replace(row, note="failed in both")


def _score(
    row: ChangeRow, a: Cell, b: Cell, measure: str, rows: RowScores, level: float, *, same: bool
) -> _Finding:
    """The finding for one measure of a pairing: new cell ``a`` against the base's cell ``b``."""
    score = _twin(measure)
    comparison = compare(a, b, score, rows, level=level)
    _, i, j = np.intersect1d(a.repeats, b.repeats, return_indices=True)
    if same:
        # Nothing varies between the runs, so there is no sampling error: the interval is exact.
        comparison = replace(
            comparison, difference=0.0, p_value=1.0, low=0.0, high=0.0, visible=0.0
        )
    new, old = (float(cell.of(score)[which].mean()) for cell, which in ((a, i), (b, j)))
    # Fits that differ only in their random stream differ by more than sampling of rows explains.
    few = "" if same else {1: ONE_REPEAT, 2: TWO_SEEDS if a.kind == "fixed" else ""}.get(len(i), "")
    if math.isnan(new) or math.isnan(old):
        few = NO_VALUE
    elif len(i) == 1 and few:
        comparison = replace(comparison, low=math.nan, high=math.nan, visible=math.nan)
    row = replace(
        row,
        measure=measure,
        base=old,
        new=new,
        change=comparison.difference,
        low=comparison.low,
        high=comparison.high,
        visible=comparison.visible,
        n=len(i),
        note=row.note or few or (comparison.basis if math.isnan(comparison.p_value) else ""),
        metric=score in a.scales,
    )
    unit = 1.0
    if measure == "likelihood":
        row = _as_likelihood(row)
        unit = row.base
    return _Finding(
        row,
        comparison.p_value,
        open=bool(few),
        same=same,
        reach=None if same else reach(a, b, score, rows),
        folded=folds_in(a.kind) > 0,
        unit=unit,
        level=level,
        more_is_better=measure == "likelihood" or a.scale(score).more_is_better,
    )


def _as_likelihood(row: ChangeRow) -> ChangeRow:
    """A row whose figures are NLLs, with likelihoods, exp(-NLL), instead.

    The likelihood falls as the NLL grows, so the interval's ends change places. The new likelihood
    is the base's times exp(-change), and stays within 0 and 1.
    """
    base, new = math.exp(-row.base), math.exp(-row.new)
    ends = (base * math.expm1(-end) for end in (row.high, row.low))
    low, high = (min(max(end, -base), 1 - base) for end in ends)
    visible = -base * math.expm1(-row.visible)
    return replace(row, base=base, new=new, change=new - base, low=low, high=high, visible=visible)


def _identical(a: Cell, b: Cell, measure: str, rows: RowScores) -> bool:
    """Whether two cells have equal scores in every test row of their common repeats."""
    score = measure
    _, i, j = np.intersect1d(a.repeats, b.repeats, return_indices=True)
    if not np.array_equal(a.of(score)[i], b.of(score)[j]):
        return False
    ours, theirs = (
        rows.of(cell.result_ids[which].tolist(), score) for cell, which in ((a, i), (b, j))
    )
    return all(len(x) and np.array_equal(x, y) for x, y in zip(ours, theirs, strict=True))


def _paired(base: pd.DataFrame, new: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The results of both runs, restricted to the splits that the runs share.

    Splits of different kinds differ even if their seeds are equal.
    """
    key = ["dataset", "repeat", "split_seed"]
    scored = (results[results["status"] == "ok"] for results in (base, new))
    splits = [frame[[*key, "split_kind"]].fillna({"split_kind": ""}) for frame in scored]
    before, after = (frame.drop_duplicates() for frame in splits)
    common = before.merge(after, on=[*key, "split_kind"])[key]
    first, second = (results.merge(common, on=key, how="inner") for results in (base, new))
    return first, second


@dataclass(slots=True)
class _Splits:
    """A pairing's splits that succeeded, those that failed, and the first reason for a failure."""

    ok: set[tuple[int, int]] = field(default_factory=set)
    failed: set[tuple[int, int]] = field(default_factory=set)
    reason: str = ""


def _splits_by_pairing(results: pd.DataFrame) -> dict[tuple[str, str, str], _Splits]:
    """The pairings that were not skipped, with their splits by outcome."""
    by_pairing: dict[tuple[str, str, str], _Splits] = {}
    for row in results[results["status"] != "skipped"].to_dict("records"):
        key = (str(row["dataset"]), str(row["model"]), str(row["device"]))
        ran = by_pairing.setdefault(key, _Splits())
        split = (int(row["repeat"]), int(row["split_seed"]))
        if row["status"] == "ok":
            ran.ok.add(split)
        else:
            ran.failed.add(split)
            ran.reason = ran.reason or str(row["reason"])
    return by_pairing


class _Timed(TypedDict):
    """The columns of a timing that a comparison reads."""

    status: str
    reason: str
    samples: Samples
    threads: int
    together: float
    epochs: float
    cut_from: float


@dataclass(frozen=True, slots=True)
class _RunTimings:
    """One run's timings by key.

    Args:
        ok: the successful timings.
        failed: all other timings.
        once: the successful fits of one epoch, by their kind.
    """

    ok: dict[WorkloadKey, _Timed]
    failed: dict[WorkloadKey, _Timed]
    once: dict[WorkloadKey, _Timed]

    @classmethod
    def of(cls, timings: pd.DataFrame) -> _RunTimings:
        """From a run's frame of timings."""
        # Seconds of another machine than the run's own are no times of this run.
        if "bridge" in timings:
            timings = timings[timings["bridge"] != "machine"]
        ok = timings["status"] == "ok"
        compared = timings["kind"].isin(KINDS)
        once = timings["kind"].isin([fit.once for fit in FITS])
        return cls(
            _by_key(timings[ok & compared]),
            _by_key(timings[~ok & compared]),
            _by_key(timings[ok & once]),
        )

    def is_cut(self, key: WorkloadKey) -> bool:
        """Whether a fit was timed with fewer epochs than it has, because time was short."""
        fit = self.ok.get(key._replace(kind=TimedCall.FIT))
        return fit is not None and fit["cut_from"] > 0

    def per_epoch(self, key: WorkloadKey) -> Samples:
        """Seconds per epoch of a fit in each process; empty where they are unknown."""
        fit = self.ok.get(key._replace(kind=TimedCall.FIT))
        epochs = fit["epochs"] if fit is not None else math.nan
        if not epochs > 0:
            return ()
        once = self.once.get(key._replace(kind=key.kind.once)) if key.kind.once else None
        return tuple(filter(None, epochs_of(self.ok[key], once, epochs)))


def _by_key(timings: pd.DataFrame) -> dict[WorkloadKey, _Timed]:
    return {
        WorkloadKey(TimedCall(row["kind"]), row["subject"], row["case"], row["device"]): cast(
            "_Timed", row
        )
        for row in timings.to_dict("records")
    }


@dataclass(frozen=True, slots=True)
class _TimePair:
    """A timing that both runs have, not judged yet.

    Args:
        row: the row without its verdict.
        before: log(seconds) of each process of the base.
        after: log(seconds) of each process of the new run.
    """

    row: ChangeRow
    before: Logs
    after: Logs

    @property
    def shift(self) -> float:
        """The estimated change, as log(new/base)."""
        return float(self.after.mean() - self.before.mean())


def _pairs_of_times(
    base: Frames, new: Frames
) -> tuple[list[_TimePair], list[ChangeRow], list[str]]:
    """The timings to compare, rows for all other timings, and remarks."""
    before, after = (_RunTimings.of(frames.timings) for frames in (base, new))
    keys = dict.fromkeys([*before.ok, *after.ok, *before.failed, *after.failed])
    if not keys:
        return [], [], []
    machines = _machine_differences(base, new)
    pairs: list[_TimePair] = []
    lone: list[ChangeRow] = []
    for key in keys:
        row = ChangeRow(*key, math.nan, math.nan, "not judged")
        if key not in before.ok or key not in after.ok:
            lone.append(_unpaired_time(row, key, before, after))
            continue
        samples = [timings.ok[key]["samples"] for timings in (before, after)]
        if key.kind in FITS and (before.is_cut(key) or after.is_cut(key)):
            samples = [timings.per_epoch(key) for timings in (before, after)]
            row = replace(row, note="of an epoch")
        if not all(samples):
            lone.append(
                replace(row, note="numbers of epochs differ, and the time per epoch is unknown")
            )
            continue
        logs = [np.log([median(process) for process in run_samples]) for run_samples in samples]
        row = replace(
            row,
            base=math.exp(np.median(logs[0])),
            new=math.exp(np.median(logs[1])),
            change=math.expm1(logs[1].mean() - logs[0].mean()),
            n=min(map(len, logs)),
        )
        difference = _difference_of_conditions(
            before.ok[key],
            after.ok[key],
            together=key.kind is TimedCall.TOGETHER,
            machines=machines,
        )
        if difference:
            lone.append(replace(row, note=difference))
        else:
            pairs.append(_TimePair(row, *logs))
    return pairs, lone, _remarks_on_times(pairs, machines)


def _machine_differences(base: Frames, new: Frames) -> list[str]:
    """What differs between the machines of two runs, in words."""
    before, after = (frames.run.environment["machine"] for frames in (base, new))
    return [
        f"{name} was {before.get(name)} and is {after.get(name)}"
        for name in ("processor", "cores")  # but not the host's name, which containers invent
        if before.get(name) != after.get(name)
    ]


def _unpaired_time(
    row: ChangeRow, key: WorkloadKey, before: _RunTimings, after: _RunTimings
) -> ChangeRow:
    """The row of a timing that did not succeed in both runs."""
    verdict: RowVerdict = "not judged"
    if key in before.ok:
        failure = after.failed.get(key)
        verdict = "failed" if failure and failure["status"] in BROKEN else "only base"
    elif key in after.ok:
        failure = before.failed.get(key)
        verdict = "only new"
    else:
        failure = after.failed.get(key) or before.failed.get(key)
    return replace(row, verdict=verdict, note=str(failure["reason"]) if failure else "")


def _difference_of_conditions(
    before: _Timed, after: _Timed, *, together: bool, machines: Sequence[str]
) -> str:
    """Why two successful timings cannot be compared; empty if they can."""
    if together and before["together"] != after["together"]:
        return (
            f"{before['together']:.0f} repeats trained together before, {after['together']:.0f} now"
        )
    if machines:
        return "another machine"
    if before["threads"] != after["threads"]:
        return f"{plural(before['threads'], 'thread')} before, {after['threads']} now"
    return ""


def _remarks_on_times(pairs: Sequence[_TimePair], machines: Sequence[str]) -> list[str]:
    """A remark on how far the times can be judged, if there are any to compare."""
    if machines:
        remark = f"Times are not judged, because the machines differ: {'; '.join(machines)}."
    elif len(pairs) >= ENOUGH:
        remark = (
            "The times are from two sessions; all timings together show a drift of "
            f"{100 * _drift(pairs):.0f}% between them. `harness ab` times both versions in turns "
            f"and finds smaller changes."
        )
    elif pairs:
        remark = (
            f"Times are undecided: at least {ENOUGH} timings are needed to separate a change from "
            f"the machine's drift (there are {len(pairs)}). `harness ab` times both versions in "
            f"turns."
        )
    else:
        return []
    return [remark]


def _drift(pairs: Sequence[_TimePair]) -> float:
    """The drift between two sessions: a robust standard deviation of all changes about zero."""
    return max(LEAST_DRIFT, 1.4826 * median(abs(pair.shift) for pair in pairs))


def _times(pairs: Sequence[_TimePair], budget: float, alpha: float) -> list[_Finding]:
    """A finding for each timing that both runs have."""
    if len(pairs) < ENOUGH:
        return [
            _Finding(replace(pair.row, note=pair.row.note or FEW_TIMINGS), math.nan, open=True)
            for pair in pairs
        ]
    drift, level = (_drift(pairs), len(pairs) - 1), alpha / len(pairs)
    return [_time(pair, drift, budget, level) for pair in pairs]


def _time(pair: _TimePair, drift: tuple[float, float], budget: float, level: float) -> _Finding:
    """Student's t-test on the logarithms of the processes' medians, with the drift as extra error.

    The null hypothesis is that the slowdown lies between 0 and the budget. The alternatives are a
    slowdown beyond the budget, and a speedup. The degrees of freedom are Welch and Satterthwaite's
    (Biometrics Bulletin 2, 1946).

    Args:
        pair: the timing in both runs.
        drift: the drift's standard deviation, and its degrees of freedom.
        budget: relative slowdown that passes.
        level: significance level of a single timing.
    """
    shift = pair.shift
    several = (logs for logs in (pair.before, pair.after) if len(logs) > 1)
    variances = [
        (drift[0] ** 2, drift[1]),
        *((float(logs.var(ddof=1)) / len(logs), len(logs) - 1) for logs in several),
    ]
    error = sum(variance for variance, _ in variances)
    doubt = sum(variance**2 / freedom for variance, freedom in variances)
    spread, freedom = math.sqrt(error), min(error**2 / doubt, MOST_FREEDOM) if doubt else 1.0
    half = float(special.stdtrit(freedom, 0.975)) * spread
    quantiles = special.stdtrit(freedom, 1 - level / 2) + special.stdtrit(freedom, POWER)
    allowed = math.log1p(budget)
    row = replace(
        pair.row,
        low=math.expm1(shift - half),
        high=math.expm1(shift + half),
        visible=math.expm1(allowed + float(quantiles) * spread),
    )
    slower, faster = (special.stdtr(freedom, z / spread) for z in (allowed - shift, shift))
    p_over = float(special.stdtr(freedom, (shift - allowed) / spread))
    return _Finding(row, float(min(1.0, 2 * min(slower, faster))), p_over)
