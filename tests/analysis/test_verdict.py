"""The verdict: the best model over all datasets, its ties, and the best for its time."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from harness.analysis.ranking import tables
from harness.analysis.shown import shown
from harness.analysis.verdict import Verdict, verdict
from harness.contract.values import Frames, Planned, Run
from harness.store.frames import timings_frame

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

REPEATS = 5


def frames_of(
    nll: Mapping[str, NDArray[np.float64]], seconds: Mapping[str, float] | None = None
) -> Frames:
    """Frames of a run on fresh draws, from each model's NLL (n_datasets, n_repeats)."""
    rows = []
    for model, values in nll.items():
        for (d, repeat), loss in np.ndenumerate(values):
            rows.append(
                {
                    "result_id": len(rows) + 1,
                    "run_id": 1,
                    "dataset": f"data-{d}",
                    "model": model,
                    "device": "cpu",
                    "baseline": model == "prior",
                    "repeat": repeat,
                    "status": "ok",
                    "split_kind": "fresh",
                    "n_train": 100,
                    "n_test": 1000,
                    "accuracy": float(np.exp(-loss)),
                    "nll": float(loss),
                    "nll_sd": 0.5,
                    "likelihood": float(np.exp(-loss)),
                    "fit_seconds": (seconds or {}).get(model, 1.0),
                    "fitted_together": 1,
                    "clipped": 0,
                }
            )
    results = pd.DataFrame(rows)
    for name in (
        *("brier", "balanced_accuracy", "auc", "ece", "predict_seconds", "import_seconds"),
        *("make_seconds", "first_predict_seconds", "peak_bytes", "device_peak_bytes"),
        "model_bytes",
    ):
        results[name] = np.nan
    for name in ("failure_kind", "reason"):
        results[name] = None
    n_datasets = len(next(iter(nll.values())))
    planned = tuple(
        Planned(f"data-{d}", model, "cpu", REPEATS, model == "prior")
        for d in range(n_datasets)
        for model in nll
    )
    run = Run(1, "", "now", "later", {}, {}, len(rows), planned)
    return Frames(
        run,
        results,
        traces=pd.DataFrame,
        predictions=lambda _ids: pd.DataFrame(),
        timings=timings_frame(()),
    )


def judged(frames: Frames) -> Verdict:
    return verdict(frames, tables(frames)["ranking"])


def noise(rng: np.random.Generator, n_datasets: int, mean: float = 0.5) -> NDArray[np.float64]:
    values: NDArray[np.float64] = mean + 0.05 * rng.standard_normal((n_datasets, REPEATS))
    return values


def test_the_best_has_the_best_mean_over_datasets_of_equal_weight() -> None:
    rng = np.random.default_rng(0)
    said = judged(frames_of({"a": noise(rng, 4, 0.3), "b": noise(rng, 4, 0.6)}))
    assert (said.leader, said.n_models, len(said.datasets)) == ("a", 2, 4)
    (lead,) = said.leads
    assert lead.over == "b"
    assert lead.low < lead.gain < lead.high
    assert not lead.tied


def test_a_lead_is_the_difference_of_the_means() -> None:
    rng = np.random.default_rng(1)
    frames = frames_of({"a": noise(rng, 3), "b": noise(rng, 3), "c": noise(rng, 3, 0.7)})
    said = judged(frames)
    means = tables(frames)["likelihood"].set_index("model")["mean"]
    for lead in said.leads:
        assert lead.gain == pytest.approx(means[said.leader] - means[lead.over])


def test_the_interval_of_a_lead_covers_the_true_difference() -> None:
    """docs/measurements/statistics.md has larger simulations, with other kinds of splits."""
    rng = np.random.default_rng(2)
    covered = 0
    expected = np.exp(-0.5 + 0.05**2 / (2 * REPEATS)) - np.exp(-0.6 + 0.05**2 / (2 * REPEATS))
    for _ in range(80):
        said = judged(frames_of({"a": noise(rng, 6), "b": noise(rng, 6, 0.6)}))
        (lead,) = said.leads
        covered += lead.low <= expected <= lead.high
    assert stats.binomtest(covered, 80, 0.95, "less").pvalue > 0.01


@pytest.mark.parametrize("n_models", [2, 6])
def test_equal_models_tie_in_95_of_100_runs(n_models: int) -> None:
    rng = np.random.default_rng(3)
    wrong = 0
    for _ in range(60):
        said = judged(frames_of({f"m{i}": noise(rng, 5) for i in range(n_models)}))
        wrong += len(said.tied) < n_models - 1
    assert stats.binomtest(wrong, 60, 0.05, "greater").pvalue > 0.01


def test_a_model_of_wild_losses_does_not_tie_only_because_its_losses_are_wild() -> None:
    """No likelihood is above 1, however wide the interval of the NLL."""
    rng = np.random.default_rng(10)
    wild = noise(rng, 4, 0.5)
    wild[0] = [0.1, 30.0, 0.2, 40.0, 1.0]
    wild[1:] += 9
    said = judged(frames_of({"a": noise(rng, 4, 0.1), "wild": wild}))
    assert said.leader == "a"
    assert said.tied == ()


def test_on_a_single_dataset_the_verdict_is_that_of_the_ranking() -> None:
    rng = np.random.default_rng(4)
    frames = frames_of({"a": noise(rng, 1), "b": noise(rng, 1), "c": noise(rng, 1, 2.0)})
    ranking = tables(frames)["ranking"]
    said = verdict(frames, ranking)
    tied = ranking[ranking["likelihood_tied_with_best"]]["model"].tolist()
    assert [said.leader, *said.tied] == tied
    first = ranking.iloc[0]
    assert (said.low, said.high) == (first["likelihood_low"], first["likelihood_high"])


def test_any_score_that_is_shown_can_rank() -> None:
    rng = np.random.default_rng(5)
    frames = frames_of({"a": noise(rng, 3, 0.3), "b": noise(rng, 3, 0.9)})
    said = verdict(frames, tables(frames)["ranking"], shown(frames)[0])
    assert (said.rank.name, said.leader) == ("accuracy", "a")
    assert said.leads[0].gain > 0


def test_the_best_for_its_time_is_the_fastest_of_those_about_as_good() -> None:
    rng = np.random.default_rng(6)
    slow = noise(rng, 4, 0.3)
    nll = {"slow": slow, "fast": slow + noise(rng, 4, 0.5) / 25, "bad": noise(rng, 4, 0.9)}
    said = judged(frames_of(nll, {"slow": 10.0, "fast": 1.0, "bad": 0.001}))
    assert said.bargain is not None
    assert (said.leader, said.bargain.name) == ("slow", "fast")
    assert said.bargain.times_faster == pytest.approx(10)


def test_the_best_is_also_the_best_for_its_time_if_no_other_is_faster() -> None:
    rng = np.random.default_rng(7)
    best = noise(rng, 3, 0.3)
    said = judged(frames_of({"a": best, "b": best + noise(rng, 3, 0.5) / 50}, {"b": 0.9}))
    assert said.bargain is not None
    assert (said.bargain.name, said.bargain.times_faster) == ("a", 1.0)


def test_trials_without_a_result_are_counted() -> None:
    frames = frames_of({"a": noise(np.random.default_rng(8), 2)})
    said = judged(replace(frames, run=replace(frames.run, n_trials=14)))
    assert (said.n_trials, said.statuses) == (14, {"missing": 4})


def test_looks_count_for_ties() -> None:
    """With ``--repeats auto``, the scores are tested several times."""
    rng = np.random.default_rng(9)
    nll = {"a": noise(rng, 4, 0.5), "b": noise(rng, 4, 0.56)}
    once = judged(frames_of(nll))
    frames = frames_of(nll)
    looked = judged(replace(frames, run=replace(frames.run, asked={"repeats": "auto"})))
    assert len(looked.tied) >= len(once.tied)
