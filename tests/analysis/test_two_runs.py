"""Comparisons of two stored runs find changes, and report neither noise nor drift as a change."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from command_line import complaint_of, harness_in, run_git

from harness.analysis.changes import status
from harness.analysis.two_runs import compare_runs, told_by_repeats
from harness.contract.values import (
    Choice,
    Failure,
    Planned,
    Predictions,
    Result,
    Run,
    Seconds,
    Timing,
    Trial,
    folds_in,
)
from harness.store.frames import load_frames

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from harness.analysis.changes import ChangeRow
    from harness.contract.values import Frames, SplitKind
    from harness.store.database import Store

pytestmark = pytest.mark.usefixtures("known_plugins")

MACHINE = {"node": "here", "processor": "fast", "cores": 2}
ROWS, REPEATS = 200, 10
SCORES = ("accuracy", "likelihood", "nll", "brier")


@dataclass
class Made:
    """Stores runs with scores and timings that a test chooses."""

    store: Store

    def run(
        self,
        models: dict[str, float],
        *,
        name: str = "",
        seed: int = 0,
        loss: float = 0.0,
        losses: Sequence[float] = (),
        failed: Sequence[tuple[str, int]] = (),
        repeats: int = REPEATS,
        timings: Sequence[Timing] = (),
        machine: dict[str, Any] = MACHINE,
        revision: str = "",
        finished: bool = True,
        kind: SplitKind = "fresh",
    ) -> Run:
        """A run in which each model is right on a given share of the rows.

        Args:
            models: the accuracy of each model, by name.
            loss: added to each row's NLL.
            losses: for each repeat, what is added to the NLL of each row.
            failed: the failed repeats of each model.
        """
        environment: dict[str, Any] = {"machine": machine, "python": "3.11", "packages": {}}
        environment["project"] = {"revision": revision, "dirty": False} if revision else None
        run = self.store.begin(name, {}, environment, len(models) * repeats)
        for model, accuracy in models.items():
            for repeat in range(repeats):
                n_folds = folds_in(kind)
                trial = Trial(Choice("data"), Choice(model), "cpu", repeat, seed, n_folds)
                bad = (model, repeat) in failed
                result = (
                    failure(trial)
                    if bad
                    else scored(trial, accuracy, loss + (losses[repeat] if losses else 0.0))
                )
                if not bad:
                    result = replace(result, split_kind=kind)
                self.store.add(run, repeat, result, baseline=False)
        if timings:
            self.store.add_timings(run, timings)
        if finished:
            self.store.finish(run)
        return run

    def compare(self, base: Run, new: Run, **how: Any) -> tuple[list[ChangeRow], list[str]]:
        return compare_runs(self.frames(base), self.frames(new), **how)

    def frames(self, run: Run) -> Frames:
        return load_frames(self.store, run)


def scored(trial: Trial, accuracy: float, loss: float) -> Result:
    """A result in which the same rows are hard for every model of a repeat, as in real runs."""
    rng = np.random.default_rng(trial.repeat)
    hard = rng.random(ROWS)
    right = hard < accuracy
    nll = 0.2 + 0.3 * hard + loss
    mean = float(nll.mean())
    scores = {
        "accuracy": float(right.mean()),
        "nll": mean,
        "nll_sd": float(nll.std()),
        "likelihood": float(np.exp(-mean)),
        "brier": mean / 2,
    }
    predictions = Predictions(
        np.ones(ROWS, np.uint16),
        right.astype(np.uint16),
        -nll.astype(np.float32),
        confidence=np.exp(-nll).astype(np.float32),
        brier=(nll / 2).astype(np.float32),
    )
    return Result(
        trial,
        "ok",
        split_kind="fresh",
        n_train=100,
        n_test=ROWS,
        scores=scores,
        seconds=Seconds(0.1, 0.1, 0.1, 0.1, 0.1),
        predictions=predictions,
    )


def failure(trial: Trial) -> Result:
    return Result(trial, "failed", failure=Failure("error", "ValueError: [no]", "", ""))


@pytest.fixture
def made(store: Store) -> Made:
    return Made(store)


def verdicts(rows: Sequence[ChangeRow]) -> dict[tuple[str, str], str]:
    return {(row.measure, row.subject): row.verdict for row in rows}


# Scores


def test_identical_runs_are_the_same_in_every_score(made: Made) -> None:
    rows, remarks = made.compare(made.run({"a": 0.9}), made.run({"a": 0.9}))
    assert verdicts(rows) == {(score, "a"): "same" for score in SCORES}
    assert all(row.change == 0 and row.n == REPEATS for row in rows)
    assert status(rows) == 0
    assert remarks == []


@pytest.mark.parametrize(
    ("base", "new", "verdict"), [(0.9, 0.8, "worse"), (0.8, 0.9, "better"), (0.9, 0.899, "same")]
)
def test_a_change_of_accuracy_is_found(made: Made, base: float, new: float, verdict: str) -> None:
    runs = made.run({"a": base, "b": 0.9}), made.run({"a": new, "b": 0.9})
    rows, _ = made.compare(*runs)
    verdict_of = verdicts(rows)
    assert verdict_of["accuracy", "a"] == verdict
    assert verdict_of["accuracy", "b"] == "same"
    (row,) = [row for row in rows if (row.measure, row.subject) == ("accuracy", "a")]
    assert row.low <= row.change <= row.high
    assert row.change == pytest.approx(row.new - row.base)
    assert status(rows) == (1 if verdict == "worse" else 0)


@pytest.mark.parametrize(("loss", "verdict"), [(0.05, "worse"), (-0.05, "better")])
def test_a_change_of_likelihood_is_found_in_each_of_its_measures(
    made: Made, loss: float, verdict: str
) -> None:
    rows, _ = made.compare(made.run({"a": 0.9}), made.run({"a": 0.9}, loss=loss))
    row_of = {row.measure: row for row in rows}
    assert row_of["accuracy"].verdict == "same"
    for measure in ("likelihood", "nll"):
        row = row_of[measure]
        assert row.verdict == verdict
        assert row.low <= row.change <= row.high
    assert row_of["likelihood"].change * row_of["nll"].change < 0


def test_pairings_that_only_one_run_has_are_listed(made: Made) -> None:
    rows, _ = made.compare(made.run({"a": 0.9, "b": 0.9}), made.run({"a": 0.9, "c": 0.9}))
    verdict_of = verdicts(rows)
    assert (verdict_of["scores", "b"], verdict_of["scores", "c"]) == ("only base", "only new")
    assert status(rows) == 0


def test_what_only_one_run_has_although_the_other_planned_it_says_so(made: Made) -> None:
    planned = tuple(Planned("data", model, "cpu", REPEATS, False) for model in "ab")
    base, new = made.run({"a": 0.9, "b": 0.9}), made.run({"a": 0.9}, finished=False)
    new = made.store.extend(new, 2 * REPEATS, planned)
    rows, _ = made.compare(base, new)
    found = {row.subject: (row.verdict, row.note) for row in rows}
    assert found["b"] == ("only base", "planned, but not run")
    rows, _ = made.compare(new, base)
    found = {row.subject: (row.verdict, row.note) for row in rows}
    assert found["b"] == ("only new", "planned, but not run")


def test_runs_with_different_seeds_are_not_judged_and_a_note_says_so(made: Made) -> None:
    rows, _ = made.compare(made.run({"a": 0.9}), made.run({"a": 0.5}, seed=1))
    (row,) = rows
    assert (row.verdict, row.note) == (
        "not judged",
        "no split in common: seeds or repeats differ",
    )
    assert status(rows) == 4


def test_a_model_that_fails_in_the_new_run_has_the_verdict_failed(made: Made) -> None:
    all_of_a = [("a", repeat) for repeat in range(REPEATS)]
    rows, _ = made.compare(made.run({"a": 0.9}), made.run({"a": 0.9}, failed=all_of_a))
    (row,) = rows
    assert (row.verdict, row.note) == ("failed", "ValueError: [no]")
    assert status(rows) == 1
    rows, _ = made.compare(made.run({"a": 0.9}, failed=all_of_a), made.run({"a": 0.9}))
    assert [row.verdict for row in rows] == ["only new"]
    both = [made.run({"a": 0.9}, failed=all_of_a) for _ in range(2)]
    rows, _ = made.compare(*both)
    assert [row.verdict for row in rows] == ["not judged"]


def test_a_model_that_newly_fails_in_a_few_repeats_has_the_verdict_failed_too(made: Made) -> None:
    runs = made.run({"a": 0.9}), made.run({"a": 0.9}, failed=[("a", 3), ("a", 4)])
    rows, _ = made.compare(*runs)
    row_of = {row.measure: row for row in rows}
    assert row_of["scores"].verdict == "failed"
    assert row_of["scores"].note == "2 of 10 repeats fail now: ValueError: [no]"
    assert row_of["accuracy"].verdict == "same"
    assert status(rows) == 1
    rows, _ = made.compare(runs[1], runs[1])
    assert status(rows) == 0


def test_fewer_repeats_are_not_a_failure(made: Made) -> None:
    rows, _ = made.compare(made.run({"a": 0.9}), made.run({"a": 0.9}, repeats=5))
    assert {row.verdict for row in rows} == {"same"}
    assert {(row.n, row.note) for row in rows} == {(5, "5 of 10 repeats")}


def test_only_the_selected_measures_are_compared(made: Made) -> None:
    runs = made.run({"a": 0.9}, timings=timed(1)), made.run({"a": 0.8}, timings=timed(2))
    assert {row.measure for row in made.compare(*runs, only=("accuracy",))[0]} == {"accuracy"}
    assert {row.measure for row in made.compare(*runs, only=("time",))[0]} == {"fit"}


# Times


def timed(
    seed: int,
    n: int = 1,
    *,
    drift: float = 0.0,
    noise: float = 0.05,
    slower: dict[int, float] | None = None,
    processes: int = 10,
    threads: int = 1,
) -> list[Timing]:
    """Timings of one session, with a common drift and noise in each process."""
    rng = np.random.default_rng(seed)
    timings = []
    for i in range(n):
        centre = 1e-3 * (1 + i) * np.exp(drift) * (slower or {}).get(i, 1.0)
        medians = centre * np.exp(noise * rng.standard_normal(processes))
        samples = tuple(tuple(m * (1 + 0.01 * rng.random(3))) for m in medians)
        timings.append(Timing("fit", f"m{i}", "data", "cpu", threads, "ok", "", samples))
    return timings


def test_the_drift_of_a_session_is_rarely_reported_as_a_change(made: Made) -> None:
    """Drift of 10% and noise of 5% between processes, with forty rows per comparison.

    docs/measurements/statistics.md has the rates of 1000 sessions.
    """
    rng = np.random.default_rng(0)
    rows: list[ChangeRow] = []
    for i in range(8):
        drift = 0.1 * rng.standard_normal(2)
        runs = [made.run({}, timings=timed(2 * i + j, 40, drift=float(drift[j]))) for j in range(2)]
        rows += made.compare(*runs)[0]
    assert len(rows) == 8 * 40
    assert sum(row.verdict in ("slower", "faster") for row in rows) <= 0.01 * len(rows)


def test_a_slowdown_well_beyond_the_budget_is_found(made: Made) -> None:
    runs = [
        made.run({}, timings=timed(1, 40)),
        made.run({}, timings=timed(2, 40, drift=0.05, slower={0: 2.0})),
    ]
    rows, remarks = made.compare(*runs)
    assert [row.subject for row in rows if row.verdict == "slower"] == ["m0"]
    (row,) = [row for row in rows if row.subject == "m0"]
    assert row.low <= 1.0 <= row.high
    assert 0.25 < row.visible < 1.0
    assert "show a drift of" in remarks[0]
    assert status(rows) == 1


def test_a_slowdown_within_the_budget_is_not_called_slower(made: Made) -> None:
    """As the help says, "slower" means significantly slower by more than the budget.

    docs/measurements/statistics.md has the rate of 1000 comparisons.
    """
    called = []
    for seed in range(12):
        runs = [
            made.run({}, timings=timed(2 * seed, 20)),
            made.run({}, timings=timed(2 * seed + 1, 20, slower={0: 1.1})),
        ]
        called += [row.verdict for row in made.compare(*runs)[0] if row.subject == "m0"]
    assert called.count("slower") == 0
    assert called.count("same") >= 6


def test_with_fewer_than_five_timings_no_drift_is_estimated(made: Made) -> None:
    for n in (1, 4):
        runs = made.run({}, timings=timed(1, n)), made.run({}, timings=timed(2, n, drift=0.7))
        rows, remarks = made.compare(*runs)
        assert {row.verdict for row in rows} == {"undecided"}
        assert all("the change may be the machine's" in row.note for row in rows)
        assert "at least 5 timings are needed" in remarks[0]
        assert status(rows) == 3


def test_times_of_another_machine_are_not_judged_and_a_note_says_so(made: Made) -> None:
    other = MACHINE | {"processor": "slow"}
    runs = made.run({}, timings=timed(1)), made.run({}, timings=timed(2), machine=other)
    rows, remarks = made.compare(*runs)
    assert [(row.verdict, row.note) for row in rows] == [("not judged", "another machine")]
    assert remarks == [
        "Times are not judged, because the machines differ: processor was fast and is slow."
    ]
    assert status(rows) == 4


def test_times_with_another_number_of_threads_are_not_judged_and_a_note_says_so(made: Made) -> None:
    runs = made.run({}, timings=timed(1)), made.run({}, timings=timed(2, threads=4))
    rows, _ = made.compare(*runs)
    assert [(row.verdict, row.note) for row in rows] == [("not judged", "1 thread before, 4 now")]


def test_timings_that_only_one_run_has_are_listed(made: Made) -> None:
    runs = made.run({}, timings=timed(1, 2)), made.run({}, timings=timed(2, 1))
    rows, _ = made.compare(*runs)
    assert {row.subject: row.verdict for row in rows}["m1"] == "only base"


def test_a_kernel_that_is_no_longer_timed_because_its_output_is_wrong_failed(made: Made) -> None:
    wrong = replace(timed(2)[0], status="wrong", samples=(), reason="off by 0.1")
    runs = made.run({}, timings=timed(1)), made.run({}, timings=[wrong])
    rows, _ = made.compare(*runs)
    assert [(row.verdict, row.note) for row in rows] == [("failed", "off by 0.1")]
    assert status(rows) == 1
    late = replace(wrong, status="unfinished", reason="the time was up")
    rows, _ = made.compare(runs[0], made.run({}, timings=[late]))
    assert [(row.verdict, row.note) for row in rows] == [("only base", "the time was up")]


def test_one_process_is_compared_without_a_warning(made: Made) -> None:
    runs = made.run({}, timings=timed(1, processes=1)), made.run({}, timings=timed(1, processes=1))
    rows, _ = made.compare(*runs)
    assert [row.verdict for row in rows] in (["undecided"], ["same"])


def test_empty_runs_have_no_rows(made: Made) -> None:
    rows, remarks = made.compare(made.run({}), made.run({}))
    assert (rows, remarks, status(rows)) == ([], [], 4)


# The command


@pytest.fixture
def three(made: Made, tmp_path: Path) -> Path:
    """A folder whose store has runs 1 to 3; the last run is worse."""
    made.run({"a": 0.9}, name="first", revision="1234567890abcdef")
    made.run({"a": 0.9}, name="second", revision="abcdef1234567890")
    made.run({"a": 0.8}, name="third", finished=False)
    return tmp_path


@pytest.mark.parametrize(
    ("words", "expected", "title"),
    [
        (("1", "2"), 0, "run 1 (first, 1234567890) → run 2 (second, abcdef1234)"),
        (("first", "third"), 1, "→ run 3 (third)"),
        (("previous", "last"), 1, "run 2 (second, abcdef1234) → run 3 (third)"),
        (("last", "previous"), 0, "run 3 (third) → run 2"),
        (("1234567", "ABCDEF12"), 0, "run 1 (first, 1234567890) → run 2"),
        (("1", "3", "--only", "likelihood"), 0, "run 1"),
        (("1", "3", "--only", "time"), 4, "run 1"),
        (("1", "1"), 0, "run 1"),
    ],
)
def test_runs_are_named_in_many_ways(
    three: Path, words: tuple[str, ...], expected: int, title: str
) -> None:
    done = harness_in(three, "compare", *words)
    assert (done.status, done.remarks) == (expected, "")
    assert title in done.printed.splitlines()[0]


def test_a_run_is_named_by_a_revision_that_git_knows(made: Made, tmp_path: Path) -> None:
    run_git(tmp_path, "init", "-q")
    run_git(tmp_path, "commit", "-q", "--allow-empty", "-m", "a")
    made.run({"a": 0.9}, revision=run_git(tmp_path, "rev-parse", "HEAD"))
    made.run({"a": 0.9})
    assert harness_in(tmp_path, "compare", "HEAD", "last").status == 0
    made.store.delete(made.store.find("1"))
    done = harness_in(tmp_path, "compare", "HEAD", "last")
    assert "was made at HEAD" in complaint_of(done)


def test_remarks_mention_an_incomplete_run_and_a_run_compared_with_itself(three: Path) -> None:
    assert "Run 3 is not complete." in harness_in(three, "compare", "1", "3").printed
    done = harness_in(three, "compare", "1", "1")
    assert "This is one run, compared with itself." in done.printed


def test_json_names_the_runs(three: Path) -> None:
    done = harness_in(three, "compare", "first", "last", "--format", "json")
    document = json.loads(done.printed, parse_constant=lambda name: pytest.fail(name))
    assert (document["base"], document["new"]) == (1, 3)
    assert {row["verdict"] for row in document["rows"]} == {"worse", "same"}


BAD = [
    (("1",), "Missing argument 'NEW'"),
    (("1", "nonsense"), "no run 'nonsense'"),
    (("", "1"), "name is empty"),
    (("1", "2", "--margin", "nan"), "nan is no number"),
    (("1", "2", "--alpha", "nan"), "nan is no number"),
    (("1", "99"), "no run '99'"),
    (("1", "9" * 30), "no run '9999"),
    (("1", "--", "-1"), "no run '-1'"),
    (("1", "2", "--only", "acuracy"), "'acuracy' is none of accuracy"),
    (("1", "2", "--margin", "0"), "0"),
    (("1", "2", "--store", "none.db"), "does not exist"),
    (("1", "2", "--output", "no/where.md"), "its folder does not exist"),
]


@pytest.mark.parametrize(("words", "complaint"), BAD)
def test_bad_input_is_a_one_line_error_with_status_2(
    three: Path, words: tuple[str, ...], complaint: str
) -> None:
    before = (three / "harness.db").read_bytes()
    assert complaint in complaint_of(harness_in(three, "compare", *words))
    assert (three / "harness.db").read_bytes() == before


def test_previous_needs_two_runs(made: Made, tmp_path: Path) -> None:
    made.run({"a": 0.9})
    done = harness_in(tmp_path, "compare", "previous", "last")
    assert "has no previous run" in complaint_of(done)


def fits(seed: int, epochs: int, *, slower: float = 1.0, cut: bool = True) -> list[Timing]:
    """Timings of a fit: one millisecond, and 10 µs for each epoch."""
    timings = []
    for kind, n in (("fit", epochs), ("fit-once", 1)):
        rng = np.random.default_rng((seed, n))
        centre = 1e-3 + n * 1e-5 * slower
        samples = tuple((float(centre * np.exp(0.01 * rng.standard_normal())),) for _ in range(10))
        figures = {"epochs": float(n)} | ({"cut_from": 2000.0} if cut else {})
        timings.append(Timing(kind, "m", "data", "cpu", 1, "ok", "", samples, figures=figures))
    return [
        *timings,
        *timed(seed, 10, noise=0.01),
    ]  # other timings, to estimate the drift of the machine


def of_m(rows: Sequence[ChangeRow]) -> ChangeRow:
    (row,) = [row for row in rows if row.subject == "m"]
    return row


def test_fits_that_were_cut_short_are_compared_by_the_time_per_epoch(made: Made) -> None:
    """The number of epochs in the time limit is random; a slowdown only makes it smaller."""
    runs = made.run({}, timings=fits(1, 500)), made.run({}, timings=fits(2, 200))
    row = of_m(made.compare(*runs)[0])
    assert (row.verdict, row.note) == ("same", "of an epoch")
    assert (row.base, row.new) == (pytest.approx(1e-5, rel=0.1), pytest.approx(1e-5, rel=0.1))
    runs = made.run({}, timings=fits(1, 500)), made.run({}, timings=fits(2, 200, slower=2.0))
    assert of_m(made.compare(*runs)[0]).verdict == "slower"


def test_a_cut_fit_without_a_reliable_time_per_epoch_is_not_judged(made: Made) -> None:
    runs = made.run({}, timings=fits(1, 500)), made.run({}, timings=fits(2, 3))
    row = of_m(made.compare(*runs)[0])
    assert row.verdict == "not judged"
    assert "epochs" in row.note


def test_fits_of_different_numbers_of_repeats_together_are_not_judged(made: Made) -> None:
    runs = []
    for n in (5.0, 10.0):
        fit, *_ = fits(1, 500, cut=False)
        runs.append(made.run({}, timings=[replace(fit, kind="together", figures={"together": n})]))
    ((row,), _) = made.compare(*runs)
    assert (row.verdict, row.note) == ("not judged", "5 repeats trained together before, 10 now")


def test_the_times_of_two_runs_of_the_same_code_are_the_same(made: Made) -> None:
    """As after `harness run` twice with the same code."""
    runs = [made.run({}, timings=timed(seed, 40, noise=0.03, processes=4)) for seed in (1, 2)]
    verdicts_of_rows = [row.verdict for row in made.compare(*runs)[0]]
    assert verdicts_of_rows.count("same") == len(verdicts_of_rows)


def test_the_note_of_an_undecided_time_recommends_harness_ab(made: Made) -> None:
    runs = made.run({}, timings=timed(1, 5)), made.run({}, timings=timed(2, 5, slower={0: 1.25}))
    rows, _ = made.compare(*runs)
    verdicts_and_notes = {(row.verdict, row.note) for row in rows if row.subject == "m0"}
    assert verdicts_and_notes == {("undecided", "`harness ab` can decide")}


def test_the_recommended_number_of_repeats_decides_a_comparison_of_scores(made: Made) -> None:
    def compared(repeats: int, **how: Any) -> ChangeRow:
        runs = [made.run({"a": share}, repeats=repeats, **how) for share in (0.8, 0.76)]
        ((row,), _) = made.compare(*runs, only=("accuracy",))
        return row

    row = compared(3)
    wanted = re.fullmatch(r"about (\d+) repeats are needed", row.note)
    assert row.verdict == "undecided"
    assert wanted
    assert compared(int(wanted[1])).verdict == "worse"
    # Splits that share rows, of which two thirds are tested, soon add no information.
    assert compared(3, kind="resampled").note == (
        "more repeats cannot decide; more rows in the dataset could"
    )


def test_the_remarks_have_the_detectable_difference_and_the_repeats_needed_for_one_percent(
    made: Made,
) -> None:
    rows, remarks = made.compare(*other_streams(made, 5, sd=0.02))
    assert {row.verdict for row in rows if row.measure == "likelihood"} == {"undecided"}
    first, second = remarks
    told = re.fullmatch(
        r"5 repeats detect changes of the likelihood of ([\d.]+)% with 80% probability.", first
    )
    enough = re.fullmatch(
        r"To detect a change of 1%: 1 of 1 model-dataset pair needs about (\d+) repeats.", second
    )
    assert told
    assert enough
    # A tenth of the difference needs slightly less than 100 times the repeats: t has more degrees.
    assert 1 < float(told[1]) < 20
    assert 5 < int(enough[1]) <= 5 * float(told[1]) ** 2
    _, remarks = made.compare(*other_streams(made, 5, sd=0.02, kind="resampled"))
    assert "1 needs more rows in the dataset, because repeats share rows" in remarks[1]


def other_streams(made: Made, repeats: int, *, sd: float, **how: Any) -> list[Run]:
    """Two runs whose fits differ by chance, by the same amount in all rows of a repeat."""
    rng = np.random.default_rng(3)
    losses = sd * rng.standard_normal((2, repeats))
    return [made.run({"a": 0.8}, repeats=repeats, losses=side, **how) for side in losses.tolist()]


# Cross-validation


def test_two_runs_of_the_same_folds_are_paired_row_by_row(made: Made) -> None:
    runs = (
        made.run({"a": 0.9, "b": 0.9}, kind="10-fold"),
        made.run({"a": 0.9, "b": 0.8}, kind="10-fold"),
    )
    rows, _ = made.compare(*runs, only=("accuracy",))
    assert verdicts(rows) == {("accuracy", "a"): "same", ("accuracy", "b"): "worse"}
    assert {row.n for row in rows} == {10}
    assert status(rows) == 1


def test_folds_with_random_seed_effects_are_undecided_with_any_number_of_repeats(
    made: Made,
) -> None:
    """Each fold has its own fit, whose seed may shift all rows of the fold."""
    rows, remarks = made.compare(*other_streams(made, 10, sd=0.2, kind="10-fold"))
    undecided = [row for row in rows if row.verdict == "undecided"]
    assert {row.measure for row in undecided} == {"nll", "likelihood", "brier"}
    assert {row.note for row in undecided} == {
        "more repeats cannot decide; more rows in the dataset could"
    }
    assert remarks == []


def test_only_the_folds_that_both_runs_have_are_compared(made: Made) -> None:
    base = made.run({"a": 0.9}, kind="10-fold")
    partial = made.run({"a": 0.9}, kind="10-fold", repeats=4)
    rows, _ = made.compare(base, partial)
    assert {(row.verdict, row.n, row.note) for row in rows} == {("same", 4, "4 of 10 repeats")}


@pytest.mark.parametrize("kind", ["5-fold", "resampled", "fresh"])
def test_splits_of_different_kinds_are_not_shared(made: Made, kind: SplitKind) -> None:
    """The first repeats have the same seed but different test rows."""
    rows, _ = made.compare(made.run({"a": 0.9}, kind="10-fold"), made.run({"a": 0.8}, kind=kind))
    assert [(row.verdict, row.note) for row in rows] == [
        ("not judged", "no split in common: seeds or repeats differ")
    ]


def test_more_than_ten_folds_are_the_same_or_not_judged_with_the_reason(made: Made) -> None:
    base, same = (made.run({"a": 0.9}, kind="20-fold", repeats=20) for _ in range(2))
    other = made.run({"a": 0.8}, kind="20-fold", repeats=20)
    rows, _ = made.compare(base, same)
    assert {row.verdict for row in rows} == {"same"}
    rows, _ = made.compare(base, other, only=("accuracy",))
    assert [row.verdict for row in rows] == ["not judged"]
    assert "more than 10 folds" in rows[0].note


@pytest.mark.parametrize("kind", ["fixed", "fresh", "resampled"])
def test_one_repeat_is_undecided_because_the_effect_of_seeds_is_unknown(
    made: Made, kind: SplitKind
) -> None:
    rows, remarks = made.compare(*other_streams(made, 1, sd=0.1, kind=kind))
    assert {row.verdict for row in rows if row.measure != "accuracy"} == {"undecided"}
    assert all(
        row.note == "one repeat does not show how much random seeds matter; run more repeats"
        for row in rows
        if row.verdict == "undecided"
    )
    assert status(rows) == 3
    assert remarks == []


@pytest.mark.parametrize("kind", ["fixed", "fresh"])
def test_one_repeat_whose_predictions_are_identical_is_the_same(
    made: Made, kind: SplitKind
) -> None:
    runs = [made.run({"a": 0.8}, repeats=1, kind=kind) for _ in range(2)]
    rows, _ = made.compare(*runs)
    assert {row.verdict for row in rows} == {"same"}
    assert status(rows) == 0


def test_the_measures_of_a_pairing_count_as_one_test_in_the_correction(made: Made) -> None:
    """Likelihood, NLL and Brier score are related, so more measures do not weaken the verdict."""
    losses = [0.1, 0.11, 0.09, 0.1, 0.12, 0.1]
    runs = made.run({"a": 0.8}, repeats=6), made.run({"a": 0.8}, repeats=6, losses=losses)
    alone = {row.measure: row.verdict for row in made.compare(*runs, only=("nll",))[0]}
    among = {row.measure: row.verdict for row in made.compare(*runs)[0]}
    assert alone == {"nll": "worse"}
    worse = dict.fromkeys(("nll", "likelihood", "brier"), "worse")
    assert among == {"accuracy": "same"} | worse


def test_the_visible_difference_grows_with_the_number_of_rows_compared(made: Made) -> None:
    """With more rows in the table, the correction requires a larger difference in each."""
    single = made.run({"a": 0.9}), made.run({"a": 0.85})
    several = [made.run(dict.fromkeys("abcdefgh", share)) for share in (0.9, 0.85)]
    ((alone,), _) = made.compare(*single, only=("accuracy",))
    among = made.compare(*several, only=("accuracy",))[0][0]
    assert among.visible > alone.visible


def test_timings_that_neither_run_has_finished_are_listed(made: Made) -> None:
    late = replace(timed(1)[0], status="unfinished", samples=(), reason="not timed within 30 s")
    rows, _ = made.compare(made.run({}, timings=[late]), made.run({}, timings=[late]))
    assert [(row.verdict, row.note) for row in rows] == [("not judged", "not timed within 30 s")]


def test_the_interval_of_a_likelihood_lies_between_0_and_1(made: Made) -> None:
    runs = [made.run({"a": 0.5}, loss=loss, repeats=2) for loss in (3.0, 0.0)]
    row = next(row for row in made.compare(*runs)[0] if row.measure == "likelihood")
    assert 0 <= row.base + row.low <= row.base + row.high <= 1


def test_identical_results_do_not_weaken_the_test_of_the_others(made: Made) -> None:
    same = dict.fromkeys("bcdefghijklmnop", 0.9)
    alone = made.run({"a": 0.9}, repeats=4), made.run({"a": 0.8}, repeats=4)
    among = made.run({"a": 0.9} | same, repeats=4), made.run({"a": 0.8} | same, repeats=4)
    verdicts_of_a = [
        next(
            row.verdict for row in made.compare(*runs, only=("accuracy",))[0] if row.subject == "a"
        )
        for runs in (alone, among)
    ]
    assert verdicts_of_a[0] == verdicts_of_a[1] == "worse"


def test_runs_with_nothing_in_common_have_status_4_and_a_note(made: Made, tmp_path: Path) -> None:
    made.run({"a": 0.9}), made.run({"a": 0.9})
    done = harness_in(tmp_path, "compare", "previous", "last", "--only", "time")
    assert done.status == 4
    assert "the two sides have no measurement in common" in done.printed


def test_a_failed_comparison_removes_the_files_of_an_earlier_comparison(
    made: Made, tmp_path: Path
) -> None:
    (tmp_path / "comment.md").write_text("1 slower")
    done = harness_in(tmp_path, "compare", "nope", "last", "-o", "comment.md")
    assert done.status == 2
    assert not (tmp_path / "comment.md").exists()


def test_a_run_prints_before_and_after_which_differences_its_repeats_can_detect(
    tmp_path: Path,
) -> None:
    """The line before uses the variances of an earlier run; the line after uses the run's own."""
    words = ("run", "-d", "threshold", "-m", "numpy-softmax[l2=0.1|1]", "-r", "3")
    first = harness_in(tmp_path, *words, "--no-timing", "--no-progress", "--verbose")
    assert "3 repeats detect differences in likelihood from the best model of" in first.remarks
    assert "To detect a change of 1%:" in first.remarks
    assert "one comparison of two models" in first.remarks  # the tables contain the baselines, too
    assert "by run 1" not in first.remarks
    second = harness_in(tmp_path, *words[:-1], "4", "--no-timing", "--no-progress")
    assert "from the variances in run 1: 4 repeats detect differences" in second.remarks


def test_an_unfinished_run_has_no_best_model_that_others_differ_from(made: Made) -> None:
    run = made.run({"a": 0.9, "b": 0.85}, repeats=3, finished=False)
    assert told_by_repeats(made.frames(run))
    planned = tuple(Planned("data", model, "cpu", 5, False) for model in "ab")
    assert not told_by_repeats(made.frames(made.store.extend(run, 10, planned)))


def test_where_marks_are_corrected_the_remarks_say_that_they_are_not(made: Made) -> None:
    """The correction of ≈ depends on the scores of the other models."""
    frames = made.frames(made.run({"a": 0.9, "b": 0.85, "c": 0.8}))
    assert told_by_repeats(frames)[-1] == (
        "This holds for one comparison of two models. ≈ is corrected for all models and "
        "repeated tests, so it takes larger differences or more repeats."
    )
    # With two models, marks are corrected only for the looks of --repeats auto.
    two = made.frames(made.run({"a": 0.9, "b": 0.85}))
    looking = replace(two, run=replace(two.run, asked={"repeats": "auto"}))
    assert [
        ("one comparison of two models" in told_by_repeats(frames_of_run)[-1])
        for frames_of_run in (two, looking)
    ] == [
        False,
        True,
    ]
