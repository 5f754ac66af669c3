"""Batches train several repeats of a pairing together; the results are the same as alone."""

from __future__ import annotations

from collections import Counter
from contextlib import closing
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil
import pytest
from doubles import Clock

import harness
from harness.contract.registry import Origin, Registry, load
from harness.contract.values import Choice, Trial
from harness.errors import PluginError
from harness.processes import client
from harness.runs.campaign import Request, begin, resume
from harness.store.database import Store
from harness.store.frames import load_frames
from harness.trials.executors.local import run_isolated
from harness.trials.plan import Selection, plan
from harness.trials.trial import run_together, run_trial

if TYPE_CHECKING:
    from harness.contract.values import Frames, Result

PLUGIN = """\
import os
import time
from pathlib import Path

import numpy as np

import harness

BAD_SEED = 0  # of a classifier whose probabilities are none


def note(words):
    with (Path(__file__).parent / "calls.txt").open("a") as file:
        file.write(words + "\\n")


class Walk:
    fitted = False

    def __init__(self, setting):
        self.setting = setting
        rng = np.random.default_rng(setting.seed)
        self.W = rng.normal(size=(setting.n_features + 1, setting.n_classes))

    def fit(self, X, y, monitor=None):
        note("fit")
        walk([self], [X], [y], [monitor])

    def step(self, X, y):
        inputs = np.column_stack([X, np.ones(len(X))])
        wrong = np.exp(self.predict_log_proba(X)) - np.eye(self.setting.n_classes)[y]
        self.W -= 0.01 * inputs.T @ wrong / len(X)

    def predict_log_proba(self, X):
        logits = np.column_stack([X, np.ones(len(X))]) @ self.W
        return logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))

    def predict_proba(self, X):
        if not self.fitted:
            raise RuntimeError("is not fitted")
        if self.setting.seed == BAD_SEED:
            return np.full((len(X), self.setting.n_classes), 2.0)
        return np.exp(self.predict_log_proba(X))


class WaitsUntilAnotherHangs(Walk):
    def fit(self, X, y):
        file = Path(__file__).parent / "calls.txt"
        until = time.monotonic() + 60
        while time.monotonic() < until and not (file.exists() and file.read_text()):
            time.sleep(0.01)
        super().fit(X, y)


def walk(classifiers, Xs, ys, monitors):
    for epoch in range(1, 6):
        for classifier, X, y, monitor in zip(classifiers, Xs, ys, monitors):
            classifier.step(X, y)
            if monitor is not None:
                monitor(epoch, classifier.predict_log_proba)
    for classifier in classifiers:
        classifier.fitted = True


def together(classifiers, Xs, ys, monitors):
    note(f"together {len(classifiers)}")
    assert len({X.shape for X in Xs}) == 1
    walk(classifiers, Xs, ys, monitors)


def raises(classifiers, Xs, ys, monitors):
    walk(classifiers, Xs, ys, monitors)
    raise ValueError("not today")


def exits(classifiers, Xs, ys, monitors):
    raise SystemExit(0)


def forgets(classifiers, Xs, ys, monitors):
    note("forgets")


def aborts(classifiers, Xs, ys, monitors):
    os.abort()


def hangs(classifiers, Xs, ys, monitors):
    note(str(os.getpid()))
    time.sleep(600)


def uneven(rng):
    n = 8 + 2 * int(rng.integers(2))
    X = np.arange(n, dtype=float)[:, None]
    y = (X[:, 0] > n / 2).astype(int)
    return harness.Split(X, y, X + 0.25, y)


@harness.hookimpl
def harness_models():
    for fit_together in (together, raises, exits, forgets, aborts, hangs):
        yield harness.Model(f"walk-{fit_together.__name__}", Walk, fit_together=fit_together)
    yield harness.Model("walk", Walk)
    yield harness.Model("walk-waits", WaitsUntilAnotherHangs)


@harness.hookimpl
def harness_datasets():
    yield harness.Dataset("uneven", "fresh", uneven)
"""


@pytest.fixture
def plugin(tmp_path: Path) -> str:
    file = tmp_path / "walks.py"
    file.write_text(PLUGIN)
    return str(file)


def repeats(model: str, n: int = 3, dataset: str = "threshold") -> list[Trial]:
    return [Trial(Choice(dataset), Choice(model), "cpu", repeat, 0) for repeat in range(n)]


def calls(plugin: str) -> Counter[str]:
    """The number of calls of each function of the plugin, over all processes."""
    file = Path(plugin).parent / "calls.txt"
    return Counter(file.read_text().splitlines()) if file.exists() else Counter()


def isolated(plugin: str, trials: list[Trial], **options: Any) -> list[Result]:
    """Results of trials that run as one batch, ordered by repeat."""
    options = {"jobs": 1, "seconds": 30.0, "batches": [trials]} | options
    results = list(run_isolated(trials, [plugin], **options))
    assert len(results) == len(trials)
    return sorted(results, key=lambda result: result.trial.repeat)


def measured(result: Result) -> tuple[Any, ...]:
    """The parts of a result that do not depend on time."""
    assert result.predictions is not None
    return (
        result.trial,
        result.status,
        (result.n_train, result.n_test, result.split_kind),
        dict(result.scores),
        result.trace,
        result.predictions.true.tolist(),
        result.predictions.predicted.tolist(),
        result.predictions.log_probability.tolist(),
    )


def run(folder: Path, *plugins: str, **changes: Any) -> Frames:
    """A complete run with its own store."""
    selected = {
        name: changes.pop(name) for name in ("datasets", "models", "repeats") if name in changes
    }
    request = Request(Selection(**selected), plugins=plugins, **{"jobs": 1} | changes)
    registry = load(plugins)
    with closing(Store(str(folder / f"{len(list(folder.iterdir()))}.db"), create=True)) as store:
        campaign = begin(store, registry, request, plan(registry, request.selection))
        assert all(campaign.results())
        return load_frames(store, store.find())


def of(frames: Frames, model: str) -> list[dict[str, Any]]:
    """The rows of a model, without ids of the run, times and memory."""
    rows = frames.results[frames.results["model"] == model]
    costs = ("seconds", "bytes", "result_id")
    kept = [name for name in rows.columns if not name.endswith(costs)]
    return rows.sort_values("repeat")[kept].to_dict("records")  # type: ignore[return-value]


def by_trial(frames: Frames, rows: Any) -> dict[tuple[str, int], list[tuple[Any, ...]]]:
    """Rows of each result by model and repeat, because results are stored in any order."""
    names = {
        row["result_id"]: (row["model"], row["repeat"]) for row in frames.results.to_dict("records")
    }
    rows_by_trial: dict[tuple[str, int], list[tuple[Any, ...]]] = {}
    for result_id, *values in rows.itertuples(index=False):
        rows_by_trial.setdefault(names[result_id], []).append(tuple(values))
    return rows_by_trial


def curves(frames: Frames) -> dict[tuple[str, int], list[tuple[Any, ...]]]:
    return by_trial(frames, frames.traces())


def predictions(frames: Frames) -> dict[tuple[str, int], list[tuple[Any, ...]]]:
    return by_trial(frames, frames.predictions(frames.results["result_id"].tolist()))


# Results of a batch


def test_each_repeat_of_a_batch_gets_the_same_result_as_alone(plugin: str) -> None:
    trials = repeats("walk-together", 4)
    together = isolated(plugin, trials)
    assert calls(plugin) == {"together 4": 1}
    alone = isolated(plugin, trials, batches=())
    assert calls(plugin) == {"together 4": 1, "fit": 4}
    assert [measured(result) for result in together] == [measured(result) for result in alone]
    assert [len(result.trace) for result in together] == [5] * 4
    assert [result.seconds.together for result in together if result.seconds] == [4] * 4
    assert [result.seconds.together for result in alone if result.seconds] == [1] * 4


def test_a_batch_in_this_process_gives_the_results_of_single_trials(plugin: str) -> None:
    registry = load([plugin])
    trials = repeats("walk-together")
    together = run_together(trials, registry)
    alone = [run_trial(trial, registry) for trial in trials]
    assert [measured(result) for result in together] == [measured(result) for result in alone]


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_run_stores_the_same_with_batches_and_without(
    plugin: str, tmp_path: Path, jobs: int
) -> None:
    asked = {"datasets": ("threshold",), "models": ("walk-together",), "repeats": 4, "jobs": jobs}
    batched = run(tmp_path, plugin, **asked)
    assert calls(plugin) == {"together 4": 1}
    single = run(tmp_path, plugin, **asked, batching=False)
    assert calls(plugin) == {
        "together 4": 1,
        "fit": 4,
    }  # with --no-batching, fit_together is not called
    rows, others = of(batched, "walk-together"), of(single, "walk-together")
    assert [row.pop("fitted_together") for row in rows] == [4] * 4
    assert [row.pop("fitted_together") for row in others] == [1] * 4
    assert len({row["split_seed"] for row in rows}) == 4
    np.testing.assert_equal(rows, others)
    assert curves(batched) == curves(single)
    assert predictions(batched) == predictions(single)


@pytest.mark.parametrize("model", ["torch-mlp[epochs=4]", "notebook-mlp[epochs=20]"])
def test_perceptrons_score_the_same_in_a_batch_as_alone(tmp_path: Path, model: str) -> None:
    pytest.importorskip("torch")
    asked = {"datasets": ("threshold",), "models": (model,), "repeats": 3}
    batched = run(tmp_path, **asked, jobs=2)
    single = run(tmp_path, **asked, batching=False)
    rows, others = of(batched, model), of(single, model)
    assert [row["fitted_together"] for row in rows] == [3] * 3
    assert [row["fitted_together"] for row in others] == [1] * 3
    for row, other in zip(rows, others, strict=True):
        assert row["model_seed"] == other["model_seed"]
        for score in ("likelihood", "train_likelihood"):
            assert row[score] == pytest.approx(other[score], abs=1e-4)
            assert (
                row[score] == other[score]
            )  # bit by bit, because batched matrix products are exactly equal
    assert curves(batched) == curves(single)
    assert predictions(batched) == predictions(single)


def test_repeats_are_trained_with_repeats_of_the_same_shape(plugin: str) -> None:
    trials = repeats("walk-together", 6, dataset="uneven")
    together = isolated(plugin, trials)
    sizes = Counter(result.n_train for result in together)
    assert set(sizes) == {8, 10}
    for result in together:
        assert result.seconds is not None
        assert result.seconds.together == sizes[result.n_train]
    assert calls(plugin) == Counter(f"together {n}" for n in sizes.values())
    alone = isolated(plugin, trials, batches=())
    assert [measured(result) for result in together] == [measured(result) for result in alone]


def test_a_repeat_with_a_shape_of_its_own_is_trained_alone(plugin: str) -> None:
    sizes = {
        result.trial.repeat: result.n_train
        for result in isolated(plugin, repeats("walk", 6, dataset="uneven"), batches=())
    }
    small, large = ([r for r, n in sizes.items() if n == wanted] for wanted in (8, 10))
    wanted = [*small[:2], large[0]]
    before = calls(plugin)
    trials = [t for t in repeats("walk-together", 6, dataset="uneven") if t.repeat in wanted]
    results = isolated(plugin, trials)
    assert calls(plugin) - before == {"together 2": 1, "fit": 1}
    assert {r.trial.repeat: r.seconds.together for r in results if r.seconds} == {
        small[0]: 2,
        small[1]: 2,
        large[0]: 1,
    }


def test_fit_seconds_are_an_equal_share_minus_the_time_of_the_monitors() -> None:
    clock = Clock()

    class Even:
        def __init__(self, setting: harness.Setting) -> None:
            clock.now += 0.25

        def fit(self, X: Any, y: Any, monitor: Any = None) -> None:
            raise AssertionError("is fitted with the others")

        def predict_log_proba(self, X: Any) -> Any:
            clock.now += 100  # called by the harness, to score an epoch
            return np.log(self.predict_proba(X))

        def predict_proba(self, X: Any) -> Any:
            return np.full((len(X), 2), 0.5)

    def fit_together(classifiers: Any, Xs: Any, ys: Any, monitors: Any) -> None:
        for epoch in (1, 2):
            clock.now += 3
            for classifier, monitor in zip(classifiers, monitors, strict=True):
                monitor(epoch, classifier.predict_log_proba)

    def split(rng: np.random.Generator) -> harness.Split:
        X, y = np.array([[0.0], [1.0]]), np.array([0, 1])
        return harness.Split(X, y, X, y)

    module = ModuleType("mine")
    dataset = harness.Dataset("two", "fixed", split)
    model = harness.Model("even", Even, fit_together=fit_together)
    module.harness_datasets = harness.hookimpl(lambda: [dataset])  # type: ignore[attr-defined]
    module.harness_models = harness.hookimpl(lambda: [model])  # type: ignore[attr-defined]
    registry = Registry([(Origin("mine", "mine", path="mine.py"), module)], [])
    results = run_together(repeats("even", 4, dataset="two"), registry, clock=clock)
    assert [result.seconds.fit for result in results if result.seconds] == [6 / 4] * 4
    assert [result.seconds.make for result in results if result.seconds] == [0.25] * 4
    assert [result.seconds.together for result in results if result.seconds] == [4] * 4


# Failures in a batch


@pytest.mark.parametrize("model", ["raises", "exits", "forgets", "aborts", "hangs"])
def test_repeats_that_cannot_be_trained_together_are_trained_one_by_one(
    plugin: str, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "GRACE", 0.2)
    trials = repeats(f"walk-{model}", 2)
    seconds = 5.0 if model == "hangs" else 60.0  # alone they take a hundredth of this limit
    results = isolated(plugin, trials, seconds=seconds)
    assert [result.status for result in results] == ["ok", "ok"]
    assert [result.seconds.together for result in results if result.seconds] == [1, 1]
    assert calls(plugin)["fit"] == 2
    alone = isolated(plugin, trials, batches=())
    assert [measured(result) for result in results] == [measured(result) for result in alone]


def test_a_repeat_that_cannot_be_scored_fails_alone(plugin: str) -> None:
    trials = repeats("walk-together", 4)
    bad = PLUGIN.replace("BAD_SEED = 0", f"BAD_SEED = {trials[2].model_seed}")
    Path(plugin).write_text(bad)
    results = isolated(plugin, trials)
    assert [result.status for result in results] == ["ok", "ok", "failed", "ok"]
    failure = results[2].failure
    assert failure is not None
    assert failure.kind == "probabilities"
    assert "sum to" in failure.reason
    assert calls(plugin)["together 4"] == 1


def test_in_a_batch_too_a_broken_dataset_is_the_failure(plugin: str) -> None:
    trials = repeats("walk-together", 2, dataset="faulty-nan-labels")
    results = list(
        run_isolated(trials, [plugin, "harness.testing.faulty"], batches=[trials], jobs=1)
    )
    assert {(r.status, r.failure.kind if r.failure else "") for r in results} == {
        ("failed", "dataset")
    }
    assert len(results) == 2


def test_a_crashed_batch_does_not_affect_other_pairings(plugin: str, tmp_path: Path) -> None:
    models = ("walk-aborts", "walk-together", "walk")
    frames = run(tmp_path, plugin, datasets=("threshold",), models=models, repeats=2, jobs=2)
    assert frames.results["status"].tolist() == ["ok"] * 10  # including the two baselines
    assert {
        model: group["fitted_together"].tolist()
        for model, group in frames.results.groupby("model")
        if model in models
    } == {"walk-aborts": [1, 1], "walk-together": [2, 2], "walk": [1, 1]}


def test_a_batch_is_ended_if_only_the_first_result_is_taken(
    plugin: str,
) -> None:
    """This happens if a run is interrupted while it stores a result."""
    trials = [*repeats("walk-waits", 1), *repeats("walk-hangs", 2)]
    file = Path(plugin).parent / "calls.txt"
    with closing(run_isolated(trials, [plugin], batches=[trials[1:]], jobs=2)) as results:  # type: ignore[type-var]  # a generator
        assert next(results).trial == trials[0]
        pid = next(word for word in file.read_text().split() if word.isdigit())
        process = psutil.Process(int(pid))
    _, alive = psutil.wait_procs(
        [process], timeout=60
    )  # a zombie until its parent has waited for it
    assert not alive


# The choice of batches


def test_memory_limits_the_trials_of_a_batch(
    plugin: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.runs.campaign.BATCH", 2)
    asked = {"datasets": ("threshold",), "models": ("walk-together",), "repeats": 5}
    frames = run(tmp_path, plugin, **asked)
    assert [row["fitted_together"] for row in of(frames, "walk-together")] == [2, 2, 2, 2, 1]
    assert calls(plugin) == {"together 2": 2, "fit": 1}


def test_a_single_repeat_is_not_batched(plugin: str, tmp_path: Path) -> None:
    run(tmp_path, plugin, datasets=("threshold",), models=("walk-together",), repeats=1)
    assert calls(plugin) == {"fit": 1}


def test_trials_in_this_process_run_one_by_one(plugin: str, tmp_path: Path) -> None:
    asked = {"datasets": ("threshold",), "models": ("walk-together",), "repeats": 2}
    here = run(tmp_path, plugin, **asked, in_process=True)
    assert calls(plugin) == {"fit": 2}
    assert [row["fitted_together"] for row in of(here, "walk-together")] == [1, 1]


def test_a_resumed_run_batches_the_missing_trials_and_scores_the_same(
    plugin: str, tmp_path: Path
) -> None:
    asked = {"datasets": ("threshold",), "models": ("walk-together",), "repeats": 4}
    whole = run(tmp_path, plugin, **asked)
    registry = load([plugin])
    request = Request(Selection(**asked), plugins=(plugin,), jobs=1)
    with closing(Store(str(tmp_path / "interrupted.db"), create=True)) as store:
        campaign = begin(store, registry, request, plan(registry, request.selection))
        first = campaign.plan.trials[0]
        store.add(campaign.run, 0, run_trial(first, registry), baseline=False)
        before = calls(plugin)
        rest = resume(store, None, jobs=1)
        assert all(rest.results())
        assert calls(plugin) - before == {"together 3": 1}
        resumed = load_frames(store, store.find())
    assert resumed.run.finished
    rows, others = of(resumed, "walk-together"), of(whole, "walk-together")
    assert [row.pop("fitted_together") for row in rows] == [1, 3, 3, 3]
    assert [row.pop("fitted_together") for row in others] == [4] * 4
    np.testing.assert_equal(rows, others)


def test_a_run_without_batching_is_resumed_without_batching(plugin: str) -> None:
    request = Request(Selection(), plugins=(plugin,), batching=False, timing_budget=7.0)
    again = Request.from_json(request.to_json())
    assert again == request
    assert not again.batching


@pytest.mark.parametrize("field", ["fit_together", "reference"])
def test_a_fit_together_that_is_not_callable_is_a_one_line_plugin_error(
    tmp_path: Path, field: str
) -> None:
    file = tmp_path / "odd.py"
    file.write_text(
        "import harness\n"
        "@harness.hookimpl\n"
        f"def harness_models(): yield harness.Model('odd', lambda setting: None, {field}=3)\n"
    )
    with pytest.raises(PluginError, match=f"model 'odd', whose {field} is not callable") as fault:
        load([str(file)])
    assert "odd.py" in str(fault.value)
    assert "\n" not in str(fault.value)
