"""Two stored runs, trial by trial and timing by timing: what became better, worse, or neither.

Scores are paired: the same split in both runs, so that what is left is what changed. Times are not:
hours lie between them, and a machine drifts. How much shows in all timings together, since most of
them did not change; that spread counts as an error of each, so that a busy machine is no
regression. What is to be seen below it, `harness ab` sees, which measures both in turns.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from statistics import median
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from scipy import special  # scipy.stats takes 0.6 s to import

from harness.changes import SCORES, Row
from harness.statistics import RowScores, benjamini_hochberg, cells, compare
from harness.timing import epochs_of
from harness.workloads import ONCE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd
    from numpy.typing import NDArray

    from harness.changes import Verdict
    from harness.statistics import Cell, Score
    from harness.values import Frames

    Ids = NDArray[np.intp]
    Key = tuple[str, str, str, str]

MEASURES = (*SCORES, "time")
FITS = FIT, TOGETHER = "fit", "together"
KINDS = (*FITS, "predict", "predict-row", "logits", "softmax")
"""Of timings, those that are of the code and not what it is held beside."""

BUDGET = 0.25
"""Slowdown that is called the same unless another is given. Of forty timings of the same code in
two sessions, one or the other is 8% slower by chance: a smaller budget would leave it undecided."""

BROKEN = ("failed", "wrong")
"""Statuses of timings that say something of the code, not of the time that there was."""

DRIFT, LEAST_DRIFT = 0.1, 0.02
"""What a time of the same code varies by from one session to another, as a part, where fewer than
`ENOUGH` timings tell it; and the least that is believed."""

ENOUGH = 5
POWER = 0.8

MOST_FREEDOM = 1e6
"""Of Student's t, which is the normal by then: an assumed drift has infinitely many."""

MOST_REPEATS = 1000
"""More nobody waits for."""


@dataclass(frozen=True, slots=True)
class _Finding:
    """A row that is not judged yet, and the two-sided p-value of no change."""

    row: Row
    p_value: float
    p_over: float = math.nan  # of being slower by the budget or more
    shared: float | None = None  # variance that repeats have in common; None if more say no more
    identical: bool = False  # in every row


def compare_runs(
    base: Frames,
    new: Frames,
    *,
    budget: float = BUDGET,
    margin: float = 0.01,
    alpha: float = 0.01,
    only: Sequence[str] = (),
) -> tuple[list[Row], list[str]]:
    """A row for each pairing and measure, and remarks on the whole.

    The false discovery rate is held at ``alpha`` over all rows (Benjamini & Hochberg 1995).

    Args:
        base: what is held to be right.
        new: what may have become worse; of the same store.
        budget: slowdown that may be called the same, as a part.
        margin: difference of scores that is called the same where its interval lies within it.
        alpha: see above.
        only: some of `MEASURES`; all without.
    """
    wanted = [measure for measure in MEASURES if not only or measure in only]
    findings: list[_Finding] = []
    rows: list[Row] = []
    remarks: list[str] = []
    scores = [measure for measure in wanted if measure in SCORES]
    # What the least p-value of all is held against, which tells what could have been seen.
    level = alpha / max(1, _n_rows(base, new, len(scores), timed="time" in wanted))
    if scores:
        found, lone = _scores(base, new, scores, level)
        findings += found
        rows += lone
    if "time" in wanted:
        found, lone, remark = _times(base, new, budget, level)
        findings += found
        rows += lone
        remarks += remark
    # What is the same in every row is no test that could have gone wrong.
    tried = [math.nan if one.identical else one.p_value for one in findings]
    adjusted = [
        1.0 if one.identical else p
        for one, p in zip(findings, benjamini_hochberg(tried), strict=True)
    ]
    for one, p in zip(findings, adjusted, strict=True):
        row = replace(one.row, verdict=_verdict(one, p, alpha, margin))
        if row.verdict == "undecided" and not row.note:
            row = replace(row, note=_it_would_take(one, margin))
        rows.append(row)
    return rows, remarks


def _n_rows(base: Frames, new: Frames, n_scores: int, *, timed: bool) -> int:
    """How many rows will be judged, at most."""
    ran = [set(_ran(frames.results)) for frames in (base, new)]
    times = [set(_timed(frames.timings)) for frames in (base, new)] if timed else [set(), set()]
    return n_scores * len(ran[0] & ran[1]) + len(times[0] & times[1])


def _it_would_take(one: _Finding, margin: float) -> str:
    """What would decide what is undecided, in a few words.

    The interval and the smallest visible difference shrink with the root of the variance of the
    mean, which is proportional to 1/J + n_test/n_train over J resampled splits.
    """
    row = one.row
    if row.timed:
        return "`harness ab` would tell"
    if one.shared is None or not math.isfinite(row.visible):
        return ""
    half = max(row.high - row.change, row.change - row.low)
    wanted = max(abs(row.change) / row.visible, (margin - abs(row.change)) / half)
    per_repeat = wanted**2 * (1 / row.n + one.shared) - one.shared
    if per_repeat <= 1 / MOST_REPEATS:
        return "more repeats may not tell"
    return f"about {max(math.ceil(1 / per_repeat), row.n + 1)} repeats would tell"


def _verdict(one: _Finding, adjusted: float, alpha: float, margin: float) -> Verdict:
    row = one.row
    if math.isnan(one.p_value):
        return "not judged"
    if row.timed:
        if adjusted < alpha:
            return "slower" if row.change > 0 else "faster"
        return "same" if one.p_over < alpha else "undecided"
    if -margin <= row.low and row.high <= margin:
        return "same"
    if adjusted < alpha:
        upwards = row.measure in ("accuracy", "likelihood")
        return "better" if (row.change > 0) == upwards else "worse"
    return "undecided"


def _scores(
    base: Frames, new: Frames, measures: Sequence[str], level: float
) -> tuple[list[_Finding], list[Row]]:
    """Findings of pairings that both have scores of, and rows of the others."""
    before, after = _paired(base.results, new.results)
    cells_before, cells_after = cells(before), cells(after)
    ran = [_ran(frames.results) for frames in (base, new)]
    rows = RowScores(base.predictions)  # of either run, since result ids are the store's
    findings, lone = [], []
    for key in dict.fromkeys([*ran[0], *ran[1]]):
        dataset, model, device = key
        row = Row("scores", model, dataset, device, math.nan, math.nan, "not judged")
        if key not in ran[0] or key not in ran[1]:
            lone.append(replace(row, verdict="only base" if key in ran[0] else "only new"))
            continue
        before_, after_ = ran[0][key], ran[1][key]
        ok_before, ok_after = len(before_.ok), len(after_.ok)
        if not ok_after or not ok_before:
            if ok_before:
                row = replace(row, verdict="failed", note=after_.reason)
            elif ok_after:
                row = replace(row, verdict="only new", note="failed in the base")
            else:
                row = replace(row, note="failed in both")
            lone.append(row)
            continue
        lost = len(before_.ok & after_.failed)
        if lost:
            note = f"{lost} of {ok_before} repeats: {after_.reason}"
            lone.append(replace(row, verdict="failed", note=note))
        a, b = cells_after.get(key), cells_before.get(key)
        if a is None or b is None or not len(np.intersect1d(a.repeats, b.repeats)):
            lone.append(replace(row, note="no split in common: other seeds or repeats"))
            continue
        note = f"{ok_after} of {ok_before} repeats" if ok_after < ok_before else ""
        findings += [_score(row, a, b, measure, rows, note, level) for measure in measures]
    return findings, lone


def _score(
    row: Row, a: Cell, b: Cell, measure: str, rows: RowScores, note: str, level: float
) -> _Finding:
    """How a cell's score differs from the base's."""
    score = cast("Score", "nll" if measure == "likelihood" else measure)
    found = compare(a, b, score, rows, level=level)
    _, i, j = np.intersect1d(a.repeats, b.repeats, return_indices=True)
    identical = _identical(a, b, (i, j), score, rows)
    if identical:
        # No sample of anything: the new code does in each row what the old code did.
        found = replace(found, difference=0.0, p_value=1.0, low=0.0, high=0.0, visible=0.0)
    new, old = (float(getattr(cell, score)[which].mean()) for cell, which in ((a, i), (b, j)))
    change, low, high, visible = found.difference, found.low, found.high, found.visible
    if measure == "likelihood":
        # exp(-NLL) turns an interval of the NLL around; what is left of the base by each end.
        old, new = math.exp(-old), math.exp(-new)
        change = new - old
        ends = (old * math.expm1(-end) for end in (found.high, found.low))
        low, high = (min(max(end, -old), 1 - old) for end in ends)
        visible = -old * math.expm1(-visible)
    return _Finding(
        replace(
            row,
            measure=measure,
            base=old,
            new=new,
            change=change,
            low=low,
            high=high,
            visible=visible,
            n=len(i),
            note=note or ("" if not math.isnan(found.p_value) else found.method),
        ),
        found.p_value,
        shared={"resampled": a.n_test / a.n_train, "fresh": 0.0}.get(a.kind or ""),
        identical=identical,
    )


def _identical(a: Cell, b: Cell, common: tuple[Ids, Ids], score: Score, rows: RowScores) -> bool:
    """Whether two cells agree in every test row of their common repeats."""
    i, j = common
    if not np.array_equal(a.of(score)[i], b.of(score)[j]):
        return False
    ours, theirs = (
        rows.of(cell.result_ids[which].tolist(), score) for cell, which in ((a, i), (b, j))
    )
    return all(len(x) and np.array_equal(x, y) for x, y in zip(ours, theirs, strict=True))


def _paired(base: pd.DataFrame, new: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The trials that have the same split in both."""
    key = ["dataset", "repeat", "split_seed"]
    common = base[key].drop_duplicates().merge(new[key].drop_duplicates(), on=key)
    first, second = (results.merge(common, on=key, how="inner") for results in (base, new))
    return first, second


@dataclass(slots=True)
class _Ran:
    """Splits of a pairing that came to something, those that did not, and why not."""

    ok: set[tuple[int, int]] = field(default_factory=set)
    failed: set[tuple[int, int]] = field(default_factory=set)
    reason: str = ""


def _ran(results: pd.DataFrame) -> dict[tuple[str, str, str], _Ran]:
    """Pairings that were not skipped, and what became of their repeats."""
    found: dict[tuple[str, str, str], _Ran] = {}
    for row in results[results["status"] != "skipped"].to_dict("records"):
        key = (str(row["dataset"]), str(row["model"]), str(row["device"]))
        ran = found.setdefault(key, _Ran())
        split = (int(row["repeat"]), int(row["split_seed"]))
        if row["status"] == "ok":
            ran.ok.add(split)
        else:
            ran.failed.add(split)
            ran.reason = ran.reason or str(row["reason"])
    return found


def _times(
    base: Frames, new: Frames, budget: float, level: float
) -> tuple[list[_Finding], list[Row], list[str]]:
    """Findings of what both have timings of, rows of the others, and remarks."""
    timed = [_timed(frames.timings) for frames in (base, new)]
    unmeasured = [_timed(frames.timings, ok=False) for frames in (base, new)]
    if not any(timed) and not any(unmeasured):
        return [], [], []
    machines = [frames.run.environment["machine"] for frames in (base, new)]
    unlike = [
        f"{name} was {machines[0].get(name)} and is {machines[1].get(name)}"
        for name in ("processor", "cores")  # and not the host's name, which containers make up
        if machines[0].get(name) != machines[1].get(name)
    ]
    pairs: list[tuple[Row, np.ndarray[Any, Any], np.ndarray[Any, Any]]] = []
    lone: list[Row] = []
    for key in dict.fromkeys(key for found in (*timed, *unmeasured) for key in found):
        row = Row(*key, math.nan, math.nan, "not judged")
        first, second = timed[0].get(key), timed[1].get(key)
        if first is None and second is None:
            why = unmeasured[1].get(key) or unmeasured[0].get(key)
            lone.append(replace(row, note=str(why["reason"]) if why else ""))
            continue
        if first is None or second is None:
            side = 0 if first is None else 1
            verdict: Verdict = "only base" if side else "only new"
            why = unmeasured[side].get(key)
            if side and why and why["status"] in BROKEN:
                verdict = "failed"
            lone.append(replace(row, verdict=verdict, note=str(why["reason"]) if why else ""))
            continue
        samples = [first["samples"], second["samples"]]
        if key[0] in FITS and any(_cut(found, key) for found in timed):
            samples = [
                _of_an_epoch(frames.timings, found, key)
                for frames, found in zip((base, new), timed, strict=True)
            ]
            row = replace(row, note="of an epoch")
        if not all(samples):
            lone.append(replace(row, note="other numbers of epochs, and none's time is clear"))
            continue
        logs = [np.log([median(process) for process in one]) for one in samples]
        row = replace(
            row,
            base=math.exp(np.median(logs[0])),
            new=math.exp(np.median(logs[1])),
            change=math.expm1(logs[1].mean() - logs[0].mean()),
            n=min(map(len, logs)),
        )
        at_once = [one["together"] for one in (first, second)] if key[0] == TOGETHER else [0, 0]
        if at_once[0] != at_once[1]:
            numbers = f"{at_once[0]:.0f} and {at_once[1]:.0f} repeats at once"
            lone.append(replace(row, note=numbers))
        elif unlike:
            lone.append(replace(row, note="another machine"))
        elif first["threads"] != second["threads"]:
            threads = f"{first['threads']} and {second['threads']} threads"
            lone.append(replace(row, note=threads))
        else:
            pairs.append((row, logs[0], logs[1]))
    shifts = [float(after.mean() - before.mean()) for _, before, after in pairs]
    drift, known_by = DRIFT, math.inf
    if len(shifts) >= ENOUGH:
        drift, known_by = max(LEAST_DRIFT, 1.4826 * median(map(abs, shifts))), len(shifts) - 1
    findings = [_time(*pair, (drift, known_by), budget, level) for pair in pairs]
    remarks = []
    if unlike:
        remarks.append(f"Times are not judged, for the machines differ: {'; '.join(unlike)}.")
    elif pairs:
        how = "as all of them do" if len(shifts) >= ENOUGH else "as is usual"
        remarks.append(
            f"Times of two sessions: taken to drift by {100 * drift:.0f}%, {how}; `harness ab` "
            "measures both in turns and sees less than that."
        )
    return findings, lone, remarks


def _time(
    row: Row,
    before: np.ndarray[Any, Any],
    after: np.ndarray[Any, Any],
    drift: tuple[float, float],
    budget: float,
    level: float,
) -> _Finding:
    """Student's t of the logarithms of the processes' medians, the drift an error beside theirs.

    The degrees of freedom are Welch and Satterthwaite's (Biometrics Bulletin 2, 1946): those of the
    drift are many, for all timings tell it, where the processes are few.
    """
    shift = float(after.mean() - before.mean())
    several = (logs for logs in (before, after) if len(logs) > 1)
    variances = [
        (drift[0] ** 2, drift[1]),
        *((float(logs.var(ddof=1)) / len(logs), len(logs) - 1) for logs in several),
    ]
    error = sum(variance for variance, _ in variances)
    doubt = sum(variance**2 / freedom for variance, freedom in variances)
    spread, freedom = math.sqrt(error), min(error**2 / doubt, MOST_FREEDOM) if doubt else 1.0
    half = float(special.stdtrit(freedom, 0.975)) * spread
    quantiles = special.stdtrit(freedom, 1 - level / 2) + special.stdtrit(freedom, POWER)
    row = replace(
        row,
        low=math.expm1(shift - half),
        high=math.expm1(shift + half),
        visible=math.expm1(float(quantiles) * spread),
    )
    p = float(2 * special.stdtr(freedom, -abs(shift) / spread))
    p_over = float(special.stdtr(freedom, (shift - math.log1p(budget)) / spread))
    return _Finding(row, p, p_over)


def _cut(timed: Mapping[Key, dict[str, Any]], key: Key) -> bool:
    """Whether a fit was timed with fewer epochs than it has, for lack of time."""
    fit = timed.get((FIT, *key[1:]))
    return fit is not None and fit["cut_from"] > 0


def _of_an_epoch(timings: pd.DataFrame, timed: Mapping[Key, dict[str, Any]], key: Key) -> Any:
    """Seconds an epoch in each process; empty where that is not known."""
    kind, subject, case, device = key
    fit = timed.get((FIT, subject, case, device))
    epochs = fit["epochs"] if fit is not None else math.nan
    if not epochs > 0:
        return ()
    once = _timed(timings, kinds=(kind + ONCE,)).get((kind + ONCE, subject, case, device))
    return tuple(filter(None, epochs_of(timed[key], once, epochs)))


def _timed(
    timings: pd.DataFrame, *, ok: bool = True, kinds: Sequence[str] = KINDS
) -> dict[Key, dict[str, Any]]:
    """Timings by what was timed: those that came to something, or those that did not."""
    found = timings[((timings["status"] == "ok") == ok) & timings["kind"].isin(kinds)]
    return {
        (row["kind"], row["subject"], row["case"], row["device"]): row  # type: ignore[misc]  # names are texts
        for row in found.to_dict("records")
    }
