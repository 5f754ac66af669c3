"""The tables of a run: their content and their layout in each format."""

from __future__ import annotations

import csv
import io
import json
import math
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from made_frames import DATASETS, FAULTS, MODELS, make_frames
from rich.console import Console
from terminals import printed

from harness.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.contract.values import Frames, Report

Fault = tuple[str, str, str]  # status, kind, reason


@pytest.fixture(scope="module")
def whole() -> Frames:
    return make_frames(faults=FAULTS, clipped={("digits", "sklearn-knn", 0): 3})


SMALL = {"iris": DATASETS["iris"], "three-integers": DATASETS["three-integers"]}
FEW = {
    name: MODELS[name] for name in ("prior", "numpy-softmax", "torch-mlp", "sklearn-naive-bayes")
}
GOLDEN = """\
Best: numpy-softmax, mean likelihood .853 over 2 datasets, significantly ahead
  of all others; .182 ahead of sklearn-naive-bayes (95% interval .144 to .217).
If time matters: numpy-softmax, too; no model of similar likelihood trains 1.5
  times as fast.
Failed: 1 of 40 trials (1 timeout).

iris · 5 repeats (resampled), 112 training and 38 test rows
# model              accuracy        likelihood       NLL Brier fit s µs/row  ok
────────────────────────────────────────────────────────────────────────────────
1 numpy-softmax     ≈.995 .971–1.00 ≈.940            .062  .014  .004    .08 5/5
2 sklearn-naive-     .874 .778–.970  .736 .670–.809  .306  .139  .007    .14 5/5
  bayes
  torch-mlp         ≈.993 .961–1.00 ≈.945            .057  .013  .029    .58 4/5
  prior              .047 .000–.136  .047 .042–.053 3.051 1.209  .025    .50 5/5

three-integers
5 repeats (fresh draws), 100 training and 100 test rows · all 5 ok
# model                accuracy        likelihood       NLL Brier fit s µs/row
──────────────────────────────────────────────────────────────────────────────
1 torch-mlp           ≈.914 .893–.935 ≈.780 .752–.809  .249  .106  .059   1.19
2 numpy-softmax       ≈.898 .857–.939 ≈.765 .735–.796  .268  .118  .039    .78
3 sklearn-naive-bayes  .772 .736–.808  .605 .575–.636  .503  .245  .482   9.65
  prior                .176 .121–.231  .176 .163–.190 1.737  .856 <.001    .01

accuracy · models by datasets
                                 three-
model               mean  iris integers
───────────────────────────────────────
numpy-softmax       .946 ≈.995    ≈.898
sklearn-naive-bayes .823  .874     .772
torch-mlp                *.993    ≈.914
prior               .112  .047     .176

likelihood · models by datasets
                                 three-
model               mean  iris integers
───────────────────────────────────────
numpy-softmax       .853 ≈.940    ≈.765
sklearn-naive-bayes .670  .736     .605
torch-mlp                *.945    ≈.780
prior               .112  .047     .176

costs · times paid once, and memory
                                         first
                    import  construction  call
model                     s           ms     ms
───────────────────────────────────────────────
numpy-softmax          1.43          .05    .43
prior                   .32          .05    .25
sklearn-naive-bayes    1.08          .04   4.89
torch-mlp               .37          .06    .88

Failures
  torch-mlp on iris: 1 × timeout: no answer within 60 s

How to read this
  Models are ranked by likelihood = exp(-NLL), the geometric mean probability of
    the right class (not by accuracy). Intervals: 95%.
  ≈: not significantly different from the dataset's best. Even a far lower score
    can get ≈ if it varies much between repeats.
  The tests behind ≈ and bold compare each model with the best on the same
    splits (5%, corrected for the number of models). Bold: significantly better
    than all others.
  *: some repeats have no score. Numbers are over the other repeats; the model
    has no rank and cannot be the best.
  Intervals of datasets that draw new rows in each repeat: Student's t over the
    repeats, which are independent.
  Intervals of resampled splits, which share rows: Student's t over the repeats,
    with Nadeau and Bengio's variance s^2 (1/J + n_test/n_train). J: number of
    repeats; s^2: variance between them. Splits are stratified, so all results
    assume the class shares of the dataset.
  The bounds of the likelihood's interval are exp(-bound) of the mean NLL's
    interval.
  A likelihood has no interval if nearly all of its NLL comes from fewer than 10
    wrongly predicted test rows: one more such row would change the likelihood
    much. More test rows or repeats help.
  Times beside the scores are medians over the repeats, and rough, because
    trials ran in parallel. To compare speed, use timings of models that ran
    alone.
  The time to import a library is charged to the first model that needs it.

Best: numpy-softmax, mean likelihood .853 over 2 datasets, significantly ahead
  of all others; .182 ahead of sklearn-naive-bayes (95% interval .144 to .217).
If time matters: numpy-softmax, too; no model of similar likelihood trains 1.5
  times as fast.
Failed: 1 of 40 trials (1 timeout).
"""


def test_the_plugin_offers_one_report_named_tables(report: Report) -> None:
    assert report.name == "tables"
    assert report.formats == ("rich", "markdown", "csv", "json", "latex", "html-fragment")


def test_models_are_ranked_by_their_mean_nll_on_each_dataset(report: Report, whole: Frames) -> None:
    ranking = report.tables(whole)["ranking"]
    assert list(dict.fromkeys(ranking["dataset"])) == list(DATASETS)
    ok = whole.results[whole.results["status"] == "ok"]
    for dataset in DATASETS:
        ranked = ranking[(ranking["dataset"] == dataset) & (ranking["status"] == "ok")]
        models = ranked[~ranked["baseline"].astype(bool)]
        assert models["rank"].tolist() == list(range(1, len(models) + 1))
        assert ranked.loc[ranked["baseline"].astype(bool), "rank"].isna().all()
        assert ranked["nll"].is_monotonic_increasing
        best = ok[(ok["dataset"] == dataset) & (ok["model"] == ranked["model"].iloc[0])]
        first = ranked.iloc[0]
        assert first["nll"] == pytest.approx(best["nll"].mean())
        assert first["likelihood"] == pytest.approx(math.exp(-best["nll"].mean()))
        assert first["fit_seconds"] == best["fit_seconds"].median()
        assert first["import_seconds"] == best["import_seconds"].max()
    for score in ("accuracy", "likelihood", "nll"):
        inside = ranking[(ranking["ok"] > 0) & ranking[f"{score}_low"].notna()]
        assert len(inside) > 10
        withheld = ranking["nll_basis"].str.contains("no interval", regex=False)
        missing = ranking[f"{score}_low"].isna() & (ranking["ok"] > 0)
        assert (missing <= (withheld & (score != "accuracy"))).all()
        assert (inside[f"{score}_low"] <= inside[score]).all()
        assert (inside[score] <= inside[f"{score}_high"]).all()


def test_the_best_model_is_significantly_better_or_tied(report: Report, whole: Frames) -> None:
    ranking = report.tables(whole)["ranking"]
    kinds = set()
    for _, rows in ranking.groupby("dataset"):
        for score in ("accuracy", "likelihood"):
            tied, separated = rows[f"{score}_tied_with_best"], rows[f"{score}_separated"]
            assert tied.sum() != 1
            assert separated.sum() == (0 if tied.any() else 1)
            leaders = rows[tied | separated]
            complete = rows[rows["status"] == "ok"]
            assert (leaders[leaders[f"{score}_best"]][score] == complete[score].max()).all()
            kinds.add(bool(tied.any()))
    assert kinds == {True, False}  # the made-up run has both


def test_a_model_that_failed_in_some_repeats_has_no_rank_and_is_never_the_best(
    report: Report,
) -> None:
    faults = {("iris", "torch-mlp", 1): ("crashed", "signal", "killed by SIGSEGV")}
    frames = make_frames(SMALL, {"prior": -1.9, "torch-mlp": 0.35}, faults=faults)
    tables = report.tables(frames)
    row = tables["ranking"].query("dataset == 'iris' and model == 'torch-mlp'").iloc[0]
    assert (row["ok"], row["total"], row["status"]) == (4, 5, "partial")
    assert pd.isna(row["rank"])
    flags = [name for name in row.index if name.endswith(("_best", "_separated"))]
    assert not row[[name for name in flags if "tied" not in name]].any()
    text = printed(report, frames)
    assert "4/5" in text
    assert "torch-mlp on iris: 1 × crashed: killed by SIGSEGV" in text
    assert "cannot be the best" in " ".join(text.split())


def test_failures_of_one_reason_are_one_line_of_models_and_datasets(report: Report) -> None:
    singular = ("failed", "model", "ValueError: the matrix is singular")
    slow = ("timeout", "limit", "no answer within 60 s")
    faults = {
        (dataset, model, repeat): singular
        for dataset in ("iris", "wine")
        for model in ("lda", "qda")
        for repeat in (0, 1)
    }
    faults |= {("iris", "forest", 0): singular, ("wine", "lda", 2): slow}
    faults |= {("digits", "prior", 0): ("failed", "dataset", "no rows")}
    faults |= {("digits", "forest", 0): ("failed", "dataset", "no rows")}
    models = {"prior": -1.9, "lda": 0.1, "qda": 0.2, "forest": 0.3}
    frames = make_frames(DATASETS, models, faults=faults)
    text = " ".join(printed(report, frames).split())
    assert (
        "Failures lda, qda on iris, wine: 8 × failed: ValueError: the matrix is singular "
        "forest on iris: 1 × failed: ValueError: the matrix is singular "
        "lda on wine: 1 × timeout: no answer within 60 s "
        "digits: 1 × failed: no rows"
    ) in text


def test_overviews_weigh_datasets_equally_and_leave_out_incomplete_models(
    report: Report, whole: Frames
) -> None:
    tables = report.tables(whole)
    for score in ("accuracy", "likelihood"):
        overview = tables[score].set_index("model")
        complete = overview.loc["torch-mlp"]
        assert complete["mean"] == pytest.approx(complete[list(DATASETS)].mean())
        assert overview["digits"].isna()["notebook-mlp"]
        assert overview["penguins"].isna()["sklearn-lda"]
        assert set(overview.index[-2:]) == {"notebook-mlp", "sklearn-lda"}
        assert overview["mean"].iloc[:-2].is_monotonic_decreasing
        assert overview["mean"].iloc[-2:].isna().all()


def test_every_trial_that_is_not_ok_is_listed(report: Report, whole: Frames) -> None:
    failures = report.tables(whole)["failures"]
    assert len(failures) == len(FAULTS)
    assert set(failures["status"]) == {"timeout", "failed"}
    assert list(failures.columns) == [
        *("dataset", "model", "device", "repeat", "status", "kind", "reason")
    ]


@pytest.mark.parametrize("seed", range(3))
def test_the_order_in_which_trials_ended_does_not_matter(report: Report, seed: int) -> None:
    frames = make_frames(SMALL, FEW)
    shuffled = frames.results.sample(frac=1, random_state=seed)
    other = replace(frames, results=shuffled)
    by = ["dataset"]
    expected = report.tables(frames)["ranking"].sort_values(by, kind="stable", ignore_index=True)
    ranking = report.tables(other)["ranking"].sort_values(by, kind="stable", ignore_index=True)
    pd.testing.assert_frame_equal(ranking, expected)


def test_devices_are_named_if_there_are_several(report: Report) -> None:
    frames = make_frames(SMALL, {"prior": -1.9, "torch-mlp": 0.3}, devices=("cpu", "cuda:0"))
    tables = report.tables(frames)
    assert len(tables["ranking"]) == 2 * 2 * 2
    assert list(tables["accuracy"].columns[:2]) == ["model", "device"]
    assert "torch-mlp @ cuda:0" in printed(report, frames)


def test_a_likelihood_that_depends_on_the_device_has_a_note_below_the_tables(
    report: Report,
) -> None:
    frames = make_frames(SMALL, {"torch-mlp": 0.3}, devices=("cpu", "cuda:0"))
    results = frames.results
    here, there = (results["device"] == device for device in ("cpu", "cuda:0"))
    results.loc[there, "likelihood"] = results.loc[here, "likelihood"].to_numpy() + 0.0009
    assert "Devices differ" not in printed(report, frames)

    dataset = results["dataset"].iloc[0]
    moved = there & (results["dataset"] == dataset) & results["repeat"].isin([1, 3])
    results.loc[moved, "likelihood"] -= [0.0119, 0.0029]
    text = " ".join(printed(report, frames).split())
    assert text.count("likelihood differs") == 1
    assert (
        f"{dataset}, torch-mlp: likelihood differs by up to 0.011 between devices on the same "
        "splits and seeds (by more than 0.001 in 2 of 5 repeats)"
    ) in text


def test_devices_are_compared_on_repeats_that_both_finished(report: Report) -> None:
    frames = make_frames(SMALL, {"torch-mlp": 0.3}, devices=("cpu", "cuda:0"))
    results = frames.results
    there = results["device"] == "cuda:0"
    results.loc[there & (results["repeat"] > 0), ["status", "likelihood"]] = ["failed", np.nan]
    same = results.loc[~there & (results["repeat"] == 0), "likelihood"].to_numpy()
    results.loc[there & (results["repeat"] == 0), "likelihood"] = same
    assert "Devices differ" not in printed(report, frames)


def test_a_small_run_looks_like_this_at_80_columns(report: Report) -> None:
    faults = {("iris", "torch-mlp", 3): ("timeout", "timeout", "no answer within 60 s")}
    assert printed(report, make_frames(SMALL, FEW, faults=faults)) == GOLDEN


def test_costs_have_the_largest_memory_of_a_model_where_it_is_known(report: Report) -> None:
    frames = make_frames(SMALL, {"prior": -1.9, "numpy-softmax": 0.3})
    assert "MiB" not in printed(report, frames)
    is_prior = frames.results["model"] == "prior"
    sizes = frames.results["repeat"] + 1.0
    measured = frames.results.assign(
        peak_bytes=(sizes * 3 * 2**20).where(~is_prior), model_bytes=sizes * 2**9
    )
    measured_frames = replace(frames, results=measured)
    ranking = report.tables(measured_frames)["ranking"].set_index("model")
    assert ranking.loc["numpy-softmax", "peak_bytes"].tolist() == [15 * 2**20] * 2
    assert ranking.loc["prior", "peak_bytes"].isna().all()
    text = printed(report, measured_frames).partition("costs · ")[2].partition("How to read")[0]
    (softmax,) = [line for line in text.splitlines() if line.startswith("numpy-softmax")]
    (prior,) = [line for line in text.splitlines() if line.startswith("prior")]
    assert softmax.split()[-2:] == ["15.0", "2.5"]
    assert prior.split()[-1] == "2.5"
    assert "device" not in text  # no trial used one


def test_a_baseline_among_the_best_by_accuracy_is_explained(report: Report) -> None:
    frames = make_frames(SMALL, {"prior": 0.3, "torch-mlp": 0.3})
    text = " ".join(printed(report, frames).split())
    assert "the baseline prior, which ignores the features, is among the best by accuracy" in text
    assert "Models are ranked by likelihood" in text
    worse = make_frames(SMALL, {"prior": -1.9, "torch-mlp": 0.3})
    assert "which ignores the features" not in printed(report, worse)


def worse_likelihood(frames: Frames) -> Frames:
    """The same run, in which only the likelihood tells models from baselines."""
    worse = frames.results["baseline"].astype(bool)
    nll = frames.results["nll"] + worse * (1 + 0.01 * frames.results["repeat"])
    return replace(frames, results=frames.results.assign(nll=nll, likelihood=np.exp(-nll)))


@pytest.mark.parametrize(
    ("metrics", "change", "sentence"),
    [
        ((), worse_likelihood, "Accuracy {}; compare their likelihoods, or another score"),
        ((), replace, "Accuracy {}, nor does the likelihood; more test rows or repeats"),
        (("brier",), worse_likelihood, "brier {}; compare their likelihoods."),
        (("nll", "accuracy"), replace, "nll {}, nor does the likelihood; more test"),
        (("likelihood",), replace, "Likelihood {}; more test rows or repeats may help."),
    ],
)
def test_what_tells_models_from_a_baseline_is_named_if_the_score_does_not(
    report: Report, metrics: tuple[str, ...], change: Any, sentence: str
) -> None:
    frames = make_frames(SMALL, {"prior": 0.3, "torch-mlp": 0.3})
    text = " ".join(printed(report, replace(change(frames), metrics=metrics)).split())
    assert sentence.format("does not separate the best models from guessing here") in text


def test_a_class_with_few_test_rows_is_named(report: Report) -> None:
    frames = make_frames(SMALL, FEW)

    def with_positives(n: int) -> Frames:
        def predictions(ids: Sequence[int]) -> pd.DataFrame:
            rows = frames.predictions(ids)
            return rows.assign(true=(np.arange(len(rows)) < n).astype(int))

        return replace(frames, predictions=predictions)

    assert "the rarest class has 3 different test rows over all repeats" in " ".join(
        printed(report, with_positives(3)).split()
    )
    assert "rarest class" not in printed(report, with_positives(40))


@pytest.mark.parametrize(
    ("positives", "kind", "n_test", "repeats", "said"),
    [
        (4, "resampled", 100, 10, "about 4 different test rows"),
        (4, "resampled", 100, 1, "1 different test rows"),
        (40, "resampled", 100, 10, ""),
        (4, "4-fold", 100, 8, "4 different test rows"),
        (4, "fixed", 100, 10, "1 different test rows"),
        # Fresh draws share no rows, so ten draws test ten positives.
        (4, "fresh", 100, 10, ""),
    ],
)
def test_a_row_tested_by_several_repeats_counts_once_for_its_class(
    report: Report, positives: int, kind: str, n_test: int, repeats: int, said: str
) -> None:
    """Each stratified split of a table of 400 rows tests a quarter of the positives."""
    frames = make_frames({"rare": (kind, 400 - n_test, n_test, 1.0)}, FEW, repeats=repeats)
    each = positives * n_test // 400

    def predictions(ids: Sequence[int]) -> pd.DataFrame:
        rows = frames.predictions(ids)
        return rows.assign(true=(rows["row"] < each).astype(int))

    text = " ".join(printed(report, replace(frames, predictions=predictions)).split())
    assert ("rarest class" in text) == bool(said)
    assert said in text


def test_with_one_seed_on_a_fixed_split_the_note_limits_comparisons_to_these_fits(
    report: Report,
) -> None:
    digits = {"digits": ("fixed", 1000, 300, 1.0)}
    with_one_repeat, with_several_repeats = (
        " ".join(printed(report, make_frames(digits, FEW, repeats=n)).split()) for n in (1, 3)
    )
    assert "comparisons hold for these fits only" in with_one_repeat
    assert "comparisons hold for these fits only" not in with_several_repeats


@pytest.mark.parametrize("width", [40, 60, 80, 100, 120, 200])
def test_nothing_is_cut_off_at_any_width(report: Report, whole: Frames, width: int) -> None:
    text = printed(report, whole, width)
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text
    for row in report.tables(whole)["ranking"].itertuples():
        if row.ok:
            assert f"{row.accuracy:.3f}".removeprefix("0") in text
            assert f"{row.nll:.3f}".removeprefix("0") in text


def test_colours_are_used_only_in_terminals_and_without_no_color(
    report: Report, whole: Frames, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\x1b" not in printed(report, whole)
    coloured = printed(report, whole, force_terminal=True, color_system="standard")
    assert "\x1b[33m" in coloured  # a failure, in yellow
    assert "\x1b[1m.910" in coloured  # the best likelihood on twonorm, in bold
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[33m" not in printed(report, whole, force_terminal=True)


def test_an_ascii_console_gets_only_ascii(report: Report, whole: Frames) -> None:
    file = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    Console(file=file, width=80).print(report.render(whole, "rich", verbose=True))
    file.seek(0)
    assert "~1.000 .957-1.00" in file.read()


@pytest.mark.parametrize("style", ["rich", "markdown"])
def test_markup_from_plugins_is_printed_as_text(report: Report, style: str) -> None:
    reason = "no [bold]luck[/bold] | with\nharness[torch]\x1b[31m"
    faults = {("iris", "m[a=x|y]", r): ("failed", "exception", reason) for r in range(5)}
    frames = make_frames(SMALL, {"prior": -1.9, "m[a=x|y]": 0.0}, faults=faults)
    text = printed(report, frames) if style == "rich" else str(report.render(frames, style))
    assert "\x1b" not in text
    if style == "rich":
        assert "no [bold]luck[/bold] | with harness[torch]?[31m" in " ".join(text.split())
    else:
        assert r"`m[a=x\|y]`" in text
        assert r"no \[bold\]luck\[/bold\] \| with harness\[torch\]" in text


def test_markdown_has_a_table_for_each_sheet(report: Report, whole: Frames) -> None:
    text = str(report.render(whole, "markdown"))
    for dataset in DATASETS:
        assert f"### {dataset}\n" in text
    assert "accuracy [95% interval]" in text
    assert "≈ 1.000 [.992, 1.00]" in text
    assert "**.910** [.907, .914]" in text
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len(rows) == (len(DATASETS) + 3) * (len(MODELS) + 2)


def test_csv_is_the_ranking(report: Report, whole: Frames) -> None:
    rows = list(csv.DictReader(io.StringIO(str(report.render(whole, "csv")))))
    ranking = report.tables(whole)["ranking"]
    assert list(rows[0]) == list(ranking.columns)
    assert [row["model"] for row in rows] == ranking["model"].tolist()
    assert float(rows[0]["nll"]) == ranking["nll"].iloc[0]


def test_json_holds_the_run_and_every_table(report: Report, whole: Frames) -> None:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    document = json.loads(str(report.render(whole, "json")), parse_constant=refuse)
    assert document["run"] == {
        "id": 7,
        "name": "a sample",
        "started": "2026-01-01T00:00:00+00:00",
    }
    assert {name: len(rows) for name, rows in document["tables"].items()} == {
        name: len(table) for name, table in report.tables(whole).items()
    }
    failed = [row for row in document["tables"]["ranking"] if row["status"] == "failed"]
    assert [row["nll"] for row in failed] == [None]


def test_latex_escapes_names_and_keeps_its_commands(report: Report, whole: Frames) -> None:
    text = str(report.render(whole, "latex"))
    assert text.count(r"\begin{tabular}") == text.count(r"\bottomrule") == len(DATASETS) + 3
    assert r"notebook-mlp[zero\_grad=false]" in text
    assert r"\textbf{.910} [.907, .914]" in text
    assert r"$\approx$ 1.000 [.992, 1.00]" in text
    body = [line for line in text.splitlines() if not line.startswith("%")]
    assert all(line.isascii() for line in body)
    assert not any("%" in line.replace(r"\%", "") for line in body)


@pytest.mark.parametrize("style", ["rich", "markdown", "csv", "json", "latex"])
def test_a_run_without_any_score_is_shown(report: Report, style: str) -> None:
    faults = {
        (dataset, model, repeat): ("crashed", "exit", "exit status 3")
        for dataset in SMALL
        for model in FEW
        for repeat in range(2)
    }
    frames = make_frames(SMALL, FEW, repeats=2, faults=faults)
    frames.results["split_kind"] = None
    text = printed(report, frames) if style == "rich" else str(report.render(frames, style))
    assert "crashed" in text
    empty = replace(frames, results=frames.results.iloc[:0])
    assert report.render(empty, style) is not None
    assert list(report.tables(empty)["ranking"].columns) == list(
        report.tables(frames)["ranking"].columns
    )


def test_a_skipped_pairing_is_listed_once_with_its_reason(report: Report) -> None:
    frames = make_frames(DATASETS, FEW, repeats=2)
    skips = [
        {
            "result_id": 10_000 + i,
            "dataset": dataset,
            "model": "xgboost",
            "device": "cpu",
            "repeat": 0,
            "status": "skipped",
            "failure_kind": "skipped",
            "reason": "needs xgboost, which is not installed",
            "baseline": False,
        }
        for i, dataset in enumerate(DATASETS)
    ]
    results = pd.concat([frames.results, pd.DataFrame(skips)], ignore_index=True)
    text = printed(report, replace(frames, results=results), width=100)
    assert "xgboost on all 8 datasets: needs xgboost, which is not installed" in text
    assert "Failures" not in text
    assert "2/2" in text
    assert "0/2" not in text


def test_clipped_probabilities_are_counted_in_a_footnote(report: Report, whole: Frames) -> None:
    text = " ".join(printed(report, whole).split())
    assert ".232†" in text
    assert (
        "got probability 0, counted as 2.2e-16: sklearn-knn on digits (3 of 2250 test rows)."
        in text
    )


@pytest.mark.parametrize(
    ("counts", "told"),
    [
        ([2, 2], "iris: 2 of 38 test rows are copies of training rows."),
        (
            [0, 1],
            "iris: up to 1 of 38 test rows is a copy of a training row.",
        ),
        (
            [0, 3],
            "iris: up to 3 of 38 test rows are copies of training rows.",
        ),
        ([0, 0], None),
        ([math.nan, math.nan], None),
    ],
)
def test_a_note_mentions_test_rows_that_are_also_training_rows(
    report: Report, counts: list[float], told: str | None
) -> None:
    frames = make_frames(SMALL, FEW, repeats=2)
    mine = frames.results["dataset"] == "iris"
    frames.results.loc[mine, "n_repeated"] = frames.results.loc[mine, "repeat"].map(
        dict(enumerate(counts))
    )
    text = " ".join(printed(report, frames).split())
    assert told in text if told else "a training row" not in text and "of training rows" not in text


def test_a_note_mentions_a_column_that_only_identifies_rows_once(report: Report) -> None:
    frames = make_frames(SMALL, FEW, repeats=2)
    frames.results["identifiers"] = frames.results["dataset"].map({"iris": "column 'user'"})
    text = " ".join(printed(report, frames).split())
    assert text.count("nearly every row has a category of its own in column 'user'; leave out") == 1
    assert "iris: nearly every row" in text


def test_an_unfinished_run_says_so(report: Report) -> None:
    frames = make_frames(SMALL, FEW, repeats=2, planned=40)
    assert "The run is not finished: 16 of 40 trials." in printed(report, frames)


def test_the_error_of_an_unknown_format_lists_the_known_formats(
    report: Report, whole: Frames
) -> None:
    with pytest.raises(UsageError, match=r"'xml'; it has rich, markdown, csv, json, latex"):
        report.render(whole, "xml")


def test_tables_of_a_thousand_results_are_fast(report: Report) -> None:
    frames = make_frames(repeats=10)

    def seconds() -> float:
        start = time.process_time()  # the minimum, because the machine may be busy
        printed(report, frames)
        return time.process_time() - start

    assert min(seconds() for _ in range(3)) < 0.6  # 0.15 on two quiet cores


def test_a_note_says_that_seconds_of_repeats_trained_together_are_shares(
    report: Report,
) -> None:
    frames = make_frames(SMALL, FEW)
    alone = printed(report, frames, width=1000)
    assert "trained together" not in alone
    together = frames.results["fitted_together"].where(frames.results["model"] == "prior", 5)
    shared = replace(frames, results=frames.results.assign(fitted_together=together))
    text = printed(report, shared, width=1000)
    assert "If n repeats were trained together, each is charged 1/n of the time." in text
