"""Comparisons of models: oracles, error rates by simulation, and cases without a verdict."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import baycomp
import numpy as np
import pandas as pd
import pytest
import scikit_posthocs
from command_line import complaint_of, harness_in
from harness_versus.pairs import render
from hypothesis import given, settings
from hypothesis import strategies as st
from made_cells import cell, no_rows, rows_of
from made_frames import DATASETS, make_frames
from rich.console import Console
from scipy import stats
from sklearn.linear_model import LogisticRegression
from statsmodels.stats.multitest import multipletests

from harness.analysis import two_models
from harness.api import run
from harness.contract.values import Planned, Run
from harness.errors import UsageError
from harness.statistics.contests import FEWEST, contests, elo, mean_ranks
from harness.statistics.posteriors import odds, paired_shares, signed_rank_odds
from harness.statistics.scores import RowScores, compare
from harness.testing.samples import sample_frames

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from harness.contract.values import Frames, SplitKind

pytestmark = pytest.mark.usefixtures("known_plugins")

UNREAD = RowScores(no_rows)

# Two models on one dataset


@pytest.mark.parametrize("runs", [1, 3])
@pytest.mark.parametrize("rope", [0.0, 0.01])
def test_resampled_splits_have_the_odds_of_baycomps_correlated_t(runs: int, rope: float) -> None:
    rng = np.random.default_rng(runs)
    a, b = 0.8 + 0.05 * rng.normal(size=(2, 5 * runs))
    ours, theirs = (cell("resampled", x, n_train=80, n_test=20) for x in (a, b))
    computed = odds(compare(ours, theirs, "accuracy", UNREAD).below, rope, more_is_better=True)
    expected = baycomp.two_on_single(b, a, rope, runs)  # that the second is worse, equal, better
    if rope:
        assert (computed.worse, computed.equivalent, computed.better) == pytest.approx(expected)
    else:
        assert (computed.worse, computed.better) == pytest.approx(expected)


def test_a_smaller_loss_is_better() -> None:
    a, b = [0.3, 0.35, 0.32], [0.5, 0.55, 0.56]
    comparison = compare(cell(nll=a), cell(nll=b), "nll", UNREAD)
    assert odds(comparison.below, 0.01, more_is_better=False).better > 0.95
    assert odds(comparison.below, 0.01, more_is_better=True).worse > 0.95


@given(st.integers(0, 40), st.integers(0, 40), st.integers(0, 100))
@settings(max_examples=50, deadline=None)
def test_odds_sum_to_1_and_swap_with_the_models(better: int, worse: int, rest: int) -> None:
    n = better + worse + rest
    shares, swapped = paired_shares(better, worse, n), paired_shares(worse, better, n)
    ours = odds(shares, 0.01, more_is_better=True)
    theirs = odds(swapped, 0.01, more_is_better=True)
    assert ours.better + ours.equivalent + ours.worse == pytest.approx(1)
    assert (ours.better, ours.worse) == pytest.approx((theirs.worse, theirs.better), abs=2e-3)
    assert min(ours.better, ours.equivalent, ours.worse) >= -1e-12


@pytest.mark.parametrize(("better", "worse", "n"), [(0, 0, 5), (7, 3, 30), (40, 40, 400)])
def test_paired_shares_have_a_dirichlet_posterior(better: int, worse: int, n: int) -> None:
    rng = np.random.default_rng(0)
    drawn = rng.dirichlet([better + 0.5, worse + 0.5, n - better - worse + 0.5], 200_000)
    differences = drawn[:, 0] - drawn[:, 1]
    below = paired_shares(better, worse, n)
    for value in (-0.1, -0.01, 0.0, 0.01, 0.1):
        assert below(value) == pytest.approx((differences < value).mean(), abs=5e-3)


def test_few_equal_predictions_do_not_show_that_models_are_equal_but_many_do() -> None:
    odds_of_equal = []
    for n in (5, 2000):
        rows = rows_of({1: np.zeros(n), 2: np.zeros(n)})
        ours, theirs = (cell(accuracy=[1.0], first_id=i, n_test=n) for i in (1, 2))
        below = compare(ours, theirs, "accuracy", rows).below
        odds_of_equal.append(odds(below, 0.01, more_is_better=True).equivalent)
    assert odds_of_equal[0] < 0.5 < 0.99 < odds_of_equal[1]


# False positives: equal models that differ significantly


def equal_models(kind: SplitKind, J: int, n: int) -> tuple[Any, Any, RowScores]:
    """Two equal classifiers on J repeats of a dataset with this kind of split.

    Each classifier uses one of two equally informative features. Its threshold is the midpoint of
    the class means in the training part, or random by seed on a fixed split. The probabilities are
    the logistic function of the distance from the threshold.
    """
    rng = np.random.default_rng(n)
    n_rows, n_test = 200, 40
    scores: dict[str, list[list[float]]] = {"accuracy": [[], []], "nll": [[], []]}
    kept: dict[int, Any] = {}
    y = rng.random(n_rows) < 0.5
    X = rng.normal(size=(2, n_rows)) + np.where(y, 0.7, -0.7)
    for j in range(J):
        if kind == "fresh":
            y = rng.random(n_rows) < 0.5
            X = rng.normal(size=(2, n_rows)) + np.where(y, 0.7, -0.7)
        if kind != "fixed" or j == 0:
            test = rng.permutation(n_rows) < n_test
        for i, x in enumerate(X):
            cut = (x[y & ~test].mean() + x[~y & ~test].mean()) / 2
            if kind == "fixed" and J > 1:
                cut += rng.normal(scale=0.3)
            loss = np.logaddexp(0.0, -np.where(y, 1.4, -1.4) * (x - cut))[test]
            right = ((x > cut) == y)[test]
            scores["accuracy"][i].append(float(right.mean()))
            scores["nll"][i].append(float(loss.mean()))
            kept[1 + i * J + j] = (right, loss)
    sizes = {"n_train": n_rows - n_test, "n_test": n_test}
    cells = [
        cell(kind, scores["accuracy"][i], scores["nll"][i], first_id=1 + i * J, **sizes)  # type: ignore[arg-type]
        for i in (0, 1)
    ]

    def predictions(ids: Sequence[int]) -> pd.DataFrame:
        return pd.concat(
            pd.DataFrame(
                {
                    "result_id": i,
                    "row": np.arange(n_test),
                    "true": 1,
                    "predicted": kept[i][0].astype(int),
                    "log_probability": -kept[i][1],
                    "brier": kept[i][1],
                }
            )
            for i in ids
        )

    return cells[0], cells[1], RowScores(predictions)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "J", "n"),
    [
        ("fresh", 10, 1500),
        ("resampled", 10, 1500),
        # Rows are slow to compare: docs/measurements/statistics.md has rates of 400 to 1000 each.
        ("fixed", 1, 300),
        ("fixed", 2, 300),
        ("fixed", 5, 300),
    ],
)
def test_equal_classifiers_differ_significantly_in_5_percent_of_cases(
    kind: SplitKind, J: int, n: int
) -> None:
    rejected = {"accuracy": 0, "nll": 0}
    for i in range(n):
        ours, theirs, rows = equal_models(kind, J, i)
        for score in ("accuracy", "nll"):
            rejected[score] += compare(ours, theirs, score, rows).told_apart  # type: ignore[arg-type]
    # Two seeds may agree by chance; the test is conservative there and rejects less often.
    fewest = 0.005 if (kind, J) == ("fixed", 2) else 0.02
    for score, count in rejected.items():
        assert fewest <= count / n <= 0.07, (kind, J, score, count / n)


# Several models on several datasets


@pytest.mark.parametrize("n", [6, 15, 40])
@pytest.mark.parametrize("rope", [0.0, 0.01])
def test_the_signed_rank_odds_equal_baycomps(n: int, rope: float) -> None:
    z = np.random.default_rng(n).normal(0.01, 0.02, size=n)
    computed = signed_rank_odds(z, rope)
    expected = baycomp.SignedRankTest.probs(np.zeros(n), z, rope, nsamples=20_000, random_state=0)
    if rope:
        assert (computed.worse, computed.equivalent, computed.better) == pytest.approx(
            expected, abs=0.015
        )
    else:
        assert (computed.worse, computed.better) == pytest.approx(expected, abs=0.015)


def test_wilcoxons_p_values_with_holm_equal_those_of_scikit_posthocs() -> None:
    rng = np.random.default_rng(1)
    gains = rng.normal(size=(4, 12)) + np.array([0.0, 0.3, 1.0, 2.0])[:, None]
    expected = scikit_posthocs.posthoc_wilcoxon(
        [list(row) for row in gains], p_adjust="holm", zero_method="pratt"
    ).to_numpy()
    for pair in contests(gains, 0.0):
        assert pair.p_value == pytest.approx(expected[pair.first, pair.second], rel=1e-6)


def test_holms_correction_equals_that_of_statsmodels() -> None:
    rng = np.random.default_rng(2)
    gains = rng.normal(size=(5, 9)) + np.linspace(0, 2, 5)[:, None]
    p_values = [pair.p_value for pair in contests(gains, 0.0)]
    raw = [stats.wilcoxon(gains[i] - gains[j]).pvalue for i in range(5) for j in range(i + 1, 5)]
    assert p_values == pytest.approx(multipletests(raw, method="holm")[1], rel=1e-6)


def test_a_win_or_loss_is_a_difference_larger_than_the_rope() -> None:
    (pair,) = contests(np.array([[0.5, 0.6, 0.7, 0.8], [0.505, 0.5, 0.8, 0.8]]), 0.01)
    assert (pair.wins, pair.ties, pair.losses, pair.n) == (1, 2, 1, 4)


def test_with_fewer_than_six_shared_datasets_there_are_means_and_no_verdict() -> None:
    gains = np.tile([0.9, 0.5], (FEWEST, 1)).T + 0.01 * np.arange(FEWEST)
    (enough,) = contests(gains, 0.01)
    assert enough.judged
    assert enough.p_value == pytest.approx(2 ** (1 - FEWEST))
    (few,) = contests(gains[:, 1:], 0.01)
    gains[1, 2] = math.nan
    (missing,) = contests(gains, 0.01)
    for pair in (few, missing):
        assert not pair.judged
        assert math.isnan(pair.p_value)
        assert math.isnan(pair.odds.better)
        assert pair.difference == pytest.approx(0.4)
    assert missing.missing == (2,)
    (nothing,) = contests(np.full((2, 3), math.nan), 0.01)
    assert math.isnan(nothing.difference)


def test_the_comparison_of_two_models_does_not_depend_on_other_models() -> None:
    gains = np.random.default_rng(3).normal(size=(5, 10))
    among, alone = contests(gains, 0.01)[0], contests(gains[:2], 0.01)[0]
    assert (among.difference, among.odds) == (alone.difference, alone.odds)


@pytest.mark.slow
def test_equal_classifiers_over_many_datasets_differ_significantly_in_5_percent_of_cases() -> None:
    rng = np.random.default_rng(4)
    significant = [contests(rng.normal(size=(2, 12)), 0.0)[0].p_value < 0.05 for _ in range(400)]
    assert 0.02 <= np.mean(significant) <= 0.07


def test_ranks_equal_scipys_and_lie_in_their_intervals() -> None:
    gains = np.random.default_rng(5).normal(size=(6, 20)).round(1)
    ranks = mean_ranks(gains)
    expected = stats.rankdata(-gains, axis=0).mean(axis=1)
    assert ranks.figure == pytest.approx(expected)
    assert (ranks.low <= ranks.figure).all()
    assert (ranks.figure <= ranks.high).all()


def test_elo_is_a_logistic_regression_on_wins() -> None:
    rng = np.random.default_rng(6)
    gains = rng.normal(size=(4, 200)) + np.array([0.0, 0.2, 0.5, 0.9])[:, None]
    rows, won = [], []
    for i in range(4):
        for j in range(i + 1, 4):
            row = np.zeros(4)
            row[i], row[j] = 1, -1
            games = [bool(x) for x in gains[i] > gains[j]]
            rows += [row] * (len(games) + 1) * 2
            # Each game counts twice, so that the added tie is one win and one loss.
            won += games * 2 + [True, False]
    model = LogisticRegression(C=1e9, fit_intercept=False, tol=1e-10, max_iter=1000).fit(rows, won)
    expected = 400 / math.log(10) * model.coef_[0]
    ratings = elo(gains)
    assert ratings.figure - ratings.figure.mean() == pytest.approx(
        expected - expected.mean(), abs=1
    )
    assert ratings.figure.mean() == pytest.approx(1000)


def test_a_model_that_always_wins_has_a_finite_rating() -> None:
    ratings = elo(np.array([[1.0] * 8, [0.5] * 8, [0.1] * 8]))
    assert np.isfinite(ratings.figure).all()
    assert (np.diff(ratings.figure) < 0).all()


# Output of the command


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose store has a run of three models on six small datasets."""
    folder = tmp_path_factory.mktemp("versus")
    sizes = [f"threshold[n_train=30,n_test={n}]" for n in (40, 50, 60, 70, 80, 90)]
    models = ["numpy-softmax", "sklearn-logistic", "sklearn-gaussian-nb"]
    run(sizes, models, store=folder / "harness.db", in_process=True, timing=False, repeats=3)
    return folder


def test_two_models_are_shown_by_dataset(stored: Path) -> None:
    words = ("-m", "numpy-softmax", "-m", "sklearn-logistic")
    done = harness_in(stored, "report", "--versus", *words, columns=80)
    assert done.status == 0, done.remarks
    assert "accuracy: numpy-softmax − sklearn-logistic" in done.printed
    assert done.printed.count("threshold") == 2 * 6
    assert "paired t over draws" in done.printed
    assert max(map(len, done.printed.splitlines())) <= 80


def test_several_models_are_shown_in_pairs_without_the_baselines(stored: Path) -> None:
    done = harness_in(stored, "report", "--versus", "--format", "json")
    pairs = json.loads(done.printed)["pairs"]
    assert len(pairs) == 2 * 3
    names = {row["first"] for row in pairs} | {row["second"] for row in pairs}
    assert names == {"numpy-softmax", "sklearn-logistic", "sklearn-gaussian-nb"}
    assert {row["datasets"] for row in pairs} == {6}
    assert all(row["p_value"] is not None for row in pairs)
    for row in pairs:
        assert row["difference"] >= 0 if row["score"] == "accuracy" else row["difference"] <= 0
    # The pairs of the best model come first, the pair of the two others last.
    for score in ("accuracy", "nll"):
        first, second, third = (row for row in pairs if row["score"] == score)
        assert first["first"] == second["first"] not in (third["first"], third["second"])
        assert (first["second"], second["second"]) == (third["first"], third["second"])


def test_figures_in_latex_and_markdown_are_right_aligned_with_a_minus_sign(stored: Path) -> None:
    words = ("report", "--versus", "-m", "numpy-softmax", "-m", "sklearn-gaussian-nb")
    latex = harness_in(stored, *words, "--format", "latex").printed
    assert latex.count("{lrrrrrr}") == 3
    assert re.search(r"&\s+\$-\$\.\d{3} &", latex)
    assert not re.search(r"[^$]-\.?\d", latex)
    markdown = harness_in(stored, *words, "--format", "markdown").printed
    assert len(re.findall(r"^\|:-+\|(-+:\|){6}$", markdown, re.MULTILINE)) == 3


def test_training_sizes_of_one_dataset_do_not_count_as_several_datasets(tmp_path: Path) -> None:
    models = ["numpy-softmax", "sklearn-gaussian-nb"]
    how: Any = {"store": tmp_path / "harness.db", "in_process": True, "timing": False}
    run(["threshold", "iris"], models, repeats=2, train_sizes=(10, 20, 40), **how)
    done = harness_in(tmp_path, "report", "--versus", "-m", "*", "--format", "json")
    pairs = json.loads(done.printed)["pairs"]
    assert {row["datasets"] for row in pairs} == {2}
    assert {row["p_value"] for row in pairs} == {None}
    assert all("a p-value needs 6" in row["note"] for row in pairs)


def test_the_note_says_when_no_pair_can_be_significant(stored: Path) -> None:
    done = harness_in(stored, "report", "--versus", "-m", "*")
    assert "smallest possible p: .312" in done.printed.replace("0.312", ".312")
    two = harness_in(stored, "report", "--versus", "-m", "sklearn-*", "-m", "numpy-softmax")
    assert "no difference can be significant" in two.printed  # three pairs over six datasets: 3/32


def test_named_baselines_are_compared(stored: Path) -> None:
    done = harness_in(stored, "report", "--versus", "-m", "*", "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(done.printed)))
    assert len(rows) == 2 * 10


@pytest.mark.parametrize("style", ["rich", "markdown", "latex"])
def test_every_format_has_the_pairs_and_the_ranks_on_request(stored: Path, style: str) -> None:
    words = ("report", "--versus", "--format", style)
    without, done = harness_in(stored, *words), harness_in(stored, *words, "--ranks")
    assert done.status == 0, done.remarks
    assert "Elo" in done.printed
    assert "Elo" not in without.printed
    assert "sklearn-gaussian-nb" in done.printed


def test_a_wider_rope_makes_models_more_likely_equal(stored: Path) -> None:
    def equal(rope: str) -> float:
        done = harness_in(stored, "report", "--versus", "--rope", rope, "--format", "json")
        return float(np.mean([row["equivalent"] for row in json.loads(done.printed)["pairs"]]))

    assert equal("0.1%") < equal("1%") < equal("50%")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--versus", "-m", "numpy-softmax"), "needs at least two models"),
        (("--versus", "-m", "nope", "-m", "numpy-softmax"), "no model 'nope'"),
        (("--rope", "2%"), "'versus' has it"),
        (("--versus", "--rope", "200%"), "200%"),
    ],
)
def test_an_impossible_comparison_is_a_one_line_error(
    stored: Path, words: tuple[str, ...], said: str
) -> None:
    assert said in complaint_of(harness_in(stored, "report", *words))


def test_with_missing_scores_there_is_a_note_and_no_ranks() -> None:
    frames = sample_frames()
    contenders = two_models.chosen_contenders(frames, ["*"])
    pairs = two_models.matrix(frames, contenders, 0.01)
    assert pairs["p_value"].isna().all()
    assert pairs["note"].str.contains("not completed by both").any()
    with pytest.raises(UsageError, match="has not finished"):
        two_models.standings(frames, contenders)


def shown(rendered: Any) -> str:
    file = io.StringIO()
    Console(file=file, width=120).print(rendered)
    return file.getvalue()


def test_without_all_repeats_of_both_models_there_is_no_verdict() -> None:
    lost = {("iris", "one", i): ("failed", "exception", "no luck") for i in (0, 3, 4)}
    frames = make_frames(models={"prior": -1.9, "one": 0.3, "other": 0.2}, faults=lost)
    ours, theirs = two_models.chosen_contenders(frames, [])
    rows = two_models.duel(frames, ours, theirs, 0.01).set_index(["dataset", "score"])
    part, whole = rows.loc["iris", "accuracy"], rows.loc["digits", "accuracy"]
    assert part[["p_value", "low", "high", "better", "equivalent", "worse"]].isna().all()
    assert (part["repeats"], part["total"]) == (2, 5)
    assert part["method"] == "one finished 2 of 5 repeats"
    assert part["difference"] == pytest.approx(part["difference"])
    assert whole[["p_value", "low", "high", "better"]].notna().all()
    said = " ".join(shown(render(frames, "rich", [], 0.01, ranks=True)).split())
    assert "2 of 5 repeats" in said
    assert "lacks repeats" in said
    assert "No ranks: ranks need every model on every dataset" in said


def test_two_models_have_a_row_over_all_datasets_too(stored: Path) -> None:
    words = ("report", "--versus", "-m", "sklearn-gaussian-nb", "-m", "numpy-softmax")
    done = harness_in(stored, *words)
    assert "sklearn-gaussian-nb − numpy-softmax, over 6 datasets" in done.printed
    tables = json.loads(harness_in(stored, *words, "--format", "json").printed)
    for row in tables["pairs"]:
        each = [
            dataset_row["difference"]
            for dataset_row in tables["datasets"]
            if dataset_row["score"] == row["score"]
        ]
        assert row["first"] == "sklearn-gaussian-nb"
        assert row["difference"] == pytest.approx(np.mean(each))
        p = stats.wilcoxon(each).pvalue
        assert row["p_value"] == pytest.approx(p)


def test_csv_is_one_table_with_a_column_that_names_the_table(stored: Path) -> None:
    words = ("-m", "sklearn-gaussian-nb", "-m", "numpy-softmax", "--ranks", "--format", "csv")
    frame = pd.read_csv(io.StringIO(harness_in(stored, "report", "--versus", *words).printed))
    counts = frame["table"].value_counts().to_dict()
    assert counts == {"datasets": 2 * 6, "pairs": 2, "standings": 2 * 2}
    assert frame.loc[frame["table"] == "standings", "elo"].notna().all()


def test_with_fewer_than_six_datasets_only_the_ranks_are_missing() -> None:
    frames = make_frames(dict(list(DATASETS.items())[:3]), repeats=2)
    tables = json.loads(render(frames, "json", [], 0.01, ranks=True))
    assert set(tables) == {"rope", "pairs", "standings"}
    assert "ranks need 6 datasets, and there are 3" in tables["standings"][0]["note"]


def test_with_one_repeat_the_note_limits_the_verdict_to_the_fitted_models() -> None:
    models = {"prior": -1.9, "one": 0.3, "other": 0.2}
    for repeats in (1, 2):
        frames = make_frames(models=models, repeats=repeats)
        said = shown(render(frames, "rich", [], 0.01, ranks=False))
        assert ("With one repeat" in said) == (repeats == 1)


def test_a_model_on_one_of_several_devices_is_selected_by_its_printed_name() -> None:
    frames = make_frames(models={"one": 0.3, "other": 0.2}, devices=("cpu", "cuda:0"), repeats=2)
    assert len(two_models.chosen_contenders(frames, ["one", "other"])) == 4
    assert two_models.chosen_contenders(frames, ["one @ cpu", "other @ cpu"]) == [
        ("one", "cpu"),
        ("other", "cpu"),
    ]
    assert two_models.chosen_contenders(frames, ["* @ cuda*"]) == [
        ("one", "cuda:0"),
        ("other", "cuda:0"),
    ]


def test_a_run_of_failures_has_a_reason_for_each_dataset() -> None:
    frames = sample_frames(all_failed=True)
    ours, theirs = two_models.chosen_contenders(frames, ["forest", "ridge*"])
    rows = two_models.duel(frames, ours, theirs, 0.01)
    assert (rows["repeats"] == 0).all()
    assert rows["method"].str.startswith("forest has no scores").all()


def test_many_pairs_share_their_random_draws_because_drawing_is_slow(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seeds: list[Any] = []
    default_rng = np.random.default_rng

    def counted(seed: Any) -> np.random.Generator:
        seeds.append(seed)
        return default_rng(seed)

    gains = default_rng(7).normal(size=(8, 71))  # no other test has 71 datasets
    monkeypatch.setattr(np.random, "default_rng", counted)
    assert len(contests(gains, 0.01)) == 28
    assert len(seeds) == 1


def test_rounding_does_not_count_as_a_difference() -> None:
    """Means of equal counts in another order are equal; so is a difference of exactly the ROPE."""
    rng = np.random.default_rng(8)
    counts = rng.integers(300, 1000, size=(3, 9, 10)) / 1000
    plain = counts.mean(axis=2)
    shuffled = np.array([[rng.permutation(digits).sum() / 10 for digits in row] for row in counts])
    shuffled[2] = shuffled[1] + 0.01
    assert (plain != shuffled)[:2].any()
    for gains in (np.stack([plain[0], shuffled[0]]), np.stack([plain[1], shuffled[2]])):
        (pair,) = contests(gains, 0.01)
        assert pair.ties == 9
    (same,) = contests(np.stack([plain[0], shuffled[0]]), 0.01)
    assert same.p_value == 1.0
    assert same.odds.better == same.odds.worse
    assert set(mean_ranks(np.stack([plain[0], shuffled[0]])).figure) == {1.5}
    assert elo(np.stack([plain[0], shuffled[0]])).figure == pytest.approx([1000, 1000])
    (zero,) = contests(np.stack([plain[0], shuffled[0]]), 0.0)
    assert zero.odds.better == zero.odds.worse == 0.5


def interrupted() -> Frames:
    """A run that ended after three of five repeats, before a model had begun."""
    frames = make_frames(
        {"iris": DATASETS["iris"]}, {"numpy-softmax": 0.3, "torch-mlp": 0.35}, repeats=3
    )
    planned = tuple(
        Planned("iris", model, "cpu", 5, model == "prior")
        for model in ("numpy-softmax", "torch-mlp", "sklearn-knn", "prior")
    )
    return replace(frames, run=replace(frames.run, planned=planned))


def test_models_with_equally_many_repeats_of_an_unfinished_run_are_not_judged() -> None:
    frames = interrupted()
    first, second, third = two_models.chosen_contenders(frames, [])
    assert third == ("sklearn-knn", "cpu")
    found = two_models.duel(frames, first, second, 0.01)
    assert set(found["method"]) == {"numpy-softmax finished 3 of 5 repeats"}
    assert (found["repeats"] == 3).all()
    assert (found["total"] == 5).all()
    assert found[["low", "high", "p_value", "better"]].isna().all(axis=None)


def test_a_planned_model_without_results_can_be_chosen_and_has_no_scores() -> None:
    frames = interrupted()
    contenders = two_models.chosen_contenders(frames, ["torch-mlp", "sklearn-*"])
    found = two_models.duel(frames, contenders[0], contenders[1], 0.01)
    assert set(found["method"]) == {"sklearn-knn has no scores"}
    assert set(two_models.matrix(frames, contenders, 0.01)["note"]) == {
        "not completed by both: iris"
    }


def empty(frames: Frames) -> Frames:
    return type(frames)(
        Run(1, "", "", None, {}, {}, 0),
        frames.results.iloc[:0],
        frames.traces,
        frames.predictions,
        frames.timings,
    )


def test_a_run_without_results_is_a_one_line_error() -> None:
    with pytest.raises(UsageError, match="needs at least two models"):
        two_models.chosen_contenders(empty(sample_frames()), [])
