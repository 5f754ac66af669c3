"""A trial that crashes, hangs, exits or exhausts memory does not affect other trials."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from harness.contract.values import Choice, Trial
from harness.errors import PluginError
from harness.processes import client, trees
from harness.trials.discovery import devices_there, discover
from harness.trials.executors.local import run_isolated

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.contract.values import Result
    from harness.trials.discovery import Described

FAULTY = "harness.testing.faulty"
MIB = 2**20
LONG = 120.0  # seconds; nothing here takes this long, even on a busy machine


def trials(*models: str, dataset: str = "threshold", repeats: int = 1) -> list[Trial]:
    return [
        Trial(Choice(dataset), Choice(model), "cpu", repeat, 0)
        for model in models
        for repeat in range(repeats)
    ]


def run(*models: str, **options: Any) -> list[Result]:
    options = {"jobs": 1, "seconds": 30.0, "memory": 1500 * MIB} | options
    return list(run_isolated(trials(*models), [FAULTY], **options))


def outcome(result: Result) -> tuple[str, str | None]:
    return result.status, result.failure.kind if result.failure else None


@pytest.mark.parametrize(
    ("model", "status", "kind", "reason"),
    [
        ("abort", "crashed", "signal", "SIGABRT"),
        ("segmentation-fault", "crashed", "signal", "SIGSEGV"),
        ("exit-zero", "crashed", "exit", "exited with status 0"),
        ("sys-exit", "failed", "exit", "sys.exit"),
        ("keyboard-interrupt", "failed", "exception", "KeyboardInterrupt"),
        ("wrong-shape", "failed", "probabilities", "shape"),
        ("nan", "failed", "probabilities", "not finite"),
        ("negative", "failed", "probabilities", "negative"),
        ("rows-not-one", "failed", "probabilities", "sum to 1"),
        ("writes-input", "failed", "exception", "read-only"),
        ("unpicklable-exception", "failed", "exception", "cannot be pickled"),
        ("make-fails", "failed", "exception", "makes nothing"),
        ("no-predict-proba", "failed", "exception", "without predict_proba"),
        ("raises", "failed", "exception", "ValueError"),
    ],
)
def test_a_faulty_model_fails_alone_with_its_reason(
    model: str, status: str, kind: str, reason: str
) -> None:
    faulty, after = run(f"faulty-{model}", "faulty-none")
    assert outcome(faulty) == (status, kind)
    assert faulty.failure is not None
    assert reason in faulty.failure.reason
    assert after.status == "ok"


@pytest.mark.parametrize(
    "model",
    [
        "changes-directory",
        "changes-environment",
        "changes-error-state",
        "changes-torch-threads",
        "prints-ten-megabytes",
        "kills-later",
        "unpicklable-result",
    ],
)
def test_a_model_that_changes_its_process_does_not_affect_the_next_trial(model: str) -> None:
    before, faulty, after = run("faulty-none", f"faulty-{model}", "faulty-none")
    assert faulty.status == "ok"
    assert after.status == "ok"
    assert after.scores == before.scores


@pytest.mark.parametrize("model", ["endless-loop", "ignores-sigterm", "endless-c-loop"])
def test_a_time_limit_stops_a_model_that_resists(
    model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "GRACE", 0.2)
    faulty, after = run(f"faulty-{model}", "faulty-none", seconds=1.0)
    assert outcome(faulty) == ("timeout", "timeout")
    assert after.status == "ok"


def test_processes_that_a_trial_started_end_with_the_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "GRACE", 0.2)
    registry = discover([FAULTY])
    given = trials("faulty-leaves-a-child")
    (faulty,) = run_isolated(given, registry=registry, seconds=1.0)
    assert faulty.status == "timeout"
    left = trees.descendants(registry.processes.pid)
    lines = [" ".join(psutil.Process(pid).cmdline()) for pid in left]
    registry.processes.close()
    assert lines  # the parents stay and wait for the next trial
    assert not [line for line in lines if "sleep" in line]


def test_a_memory_limit_stops_a_model_that_allocates_without_bound() -> None:
    faulty, after = run("faulty-allocates-without-bound", "faulty-none", memory=600 * MIB)
    assert outcome(faulty) == ("crashed", "memory")
    assert after.status == "ok"


def test_the_output_of_a_crashed_trial_is_kept() -> None:
    (faulty,) = run("faulty-segmentation-fault")
    assert faulty.failure is not None
    assert "Segmentation fault" in faulty.failure.traceback


def test_the_failure_of_a_broken_dataset_is_the_dataset_s() -> None:
    results = run_isolated(trials("faulty-none", dataset="faulty-nan-labels"), [FAULTY], jobs=1)
    assert [outcome(result) for result in results] == [("failed", "dataset")]


def test_scores_are_the_same_with_any_number_of_jobs() -> None:
    models = ("numpy-softmax", "sklearn-random-forest", "torch-mlp")
    scores = [
        {
            result.trial.key: (result.status, dict(result.scores))
            for result in run_isolated(trials(*models, repeats=2), [], jobs=jobs)
        }
        for jobs in (1, 2)
    ]
    assert scores[0] == scores[1]
    assert {status for status, _ in scores[0].values()} == {"ok"}


HOSTILE = """\
import ctypes
import errno
import os
import signal
import sys
import time

import numpy as np

import harness
from harness.processes.packing import Packing

sys.path.append(os.path.dirname(__file__))


class Prior:
    def __init__(self, n_classes):
        self.n_classes = n_classes

    def fit(self, X, y):
        self.harm()

    def harm(self):
        pass

    def predict_proba(self, X):
        return np.full((len(X), self.n_classes), 1 / self.n_classes)


def square(x):
    return x * x


class PatchesLog(Prior):
    def harm(self):
        log = np.log
        np.log = lambda *a, **k: log(*a, **k) * 0.5


class PatchesScores(Prior):
    def harm(self):
        from harness.trials import scoring

        scoring.score = lambda P, y: {"accuracy": 1.0, "nll": 0.0, "likelihood": 1.0}
        scoring.check_probabilities = lambda P, n, K: P


class PatchesPacking(Prior):
    def harm(self):
        from harness.processes import packing

        packing.json.dumps = lambda value: '{"value": {"trials": 7}, "arrays": []}'


class RoundsUp(Prior):
    def harm(self):
        ctypes.CDLL("libm.so.6").fesetround(0x800)


class EndsItsParent(Prior):
    def harm(self):
        os.kill(os.getppid(), signal.SIGKILL)
        time.sleep(600)


class EndsTheSupervisor(Prior):
    def harm(self):
        import psutil

        psutil.Process(psutil.Process(os.getppid()).ppid()).kill()
        time.sleep(600)


class LoadsAPatch(Prior):
    def harm(self):
        import patches_when_loaded


class LoadsWhatBreaksItsParent(Prior):
    def harm(self):
        import breaks_whoever_loads_it_twice


class LoadsWhatBearsNoOtherPlace(Prior):
    def harm(self):
        sys.is_fitting = True
        import ends_whoever_else_loads_it


class Pool(Prior):
    def harm(self):
        import multiprocessing

        with multiprocessing.Pool(2) as pool:
            assert pool.map(square, range(3)) == [0, 1, 4]


class Spawns(Prior):
    def harm(self):
        import multiprocessing

        with multiprocessing.get_context("spawn").Pool(1) as pool:
            assert pool.map(square, range(3)) == [0, 1, 4]


class Executor(Prior):
    def harm(self):
        from concurrent.futures import ProcessPoolExecutor

        self.pool = ProcessPoolExecutor(2)  # never shut down
        assert list(self.pool.map(square, range(3))) == [0, 1, 4]


class Loky(Prior):
    def harm(self):
        from joblib import Parallel, delayed

        assert Parallel(n_jobs=2)(delayed(square)(i) for i in range(3)) == [0, 1, 4]


class Searches(Prior):
    def fit(self, X, y):
        from sklearn.model_selection import GridSearchCV

        GridSearchCV(Half(), {"a": [1, 2]}, n_jobs=2, cv=2).fit(X, y)


try:
    from sklearn.base import BaseEstimator, ClassifierMixin
except ImportError:
    BaseEstimator = ClassifierMixin = object


class Half(ClassifierMixin, BaseEstimator):
    def __init__(self, a=1):
        self.a = a

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        return np.full(len(X), self.classes_[0])


def exits(rng):
    os._exit(0)


def interrupts(rng):
    raise KeyboardInterrupt("mine")


def hangs(rng):
    time.sleep(600)


def aborts(rng):
    os.abort()


def table(rng):
    X = rng.normal(size=(20, 1))
    y = np.arange(20) % 2
    return harness.Split(X, y, X, y, class_names=("a", "b"))


def ends_its_parent(rng):
    time.sleep(0.5)  # while its neighbour is drawn, too
    os.kill(os.getppid(), signal.SIGKILL)
    time.sleep(600)


def is_drawn_beside_it(rng):
    time.sleep(1)
    return table(rng)


def no_space(*_):
    raise OSError(errno.ENOSPC, "No space left on device")


def fills_the_disk(rng):
    os.posix_fallocate = no_space
    return table(rng)


FORGED = {
    "labels": ("y_train", lambda y: y + 100),
    "test_labels": ("y_test", lambda y: y - 1),
    "classes": ("trained", lambda codes: codes[::-1]),
    "no_labels": ("y_test", lambda y: y[:0]),
    "fewer_labels": ("labels_0", lambda y: y[1:]),
    "table": ("X_test_0", lambda X: X[:-1]),
    "types": ("X_train_0", lambda X: X.astype(int)),
}


def forging(array, change):
    def split(rng):
        put = Packing.put
        Packing.put = lambda self, name, given: put(
            self, name, change(given) if name == array else given
        )
        return table(rng)

    return split


def forges_names(rng):
    finish = Packing.finish
    Packing.finish = lambda self, told: finish(self, told and told | {"classes": [1, 2]})
    return table(rng)


def forges_all(rng):
    finish = Packing.finish
    Packing.finish = lambda self, told: finish(self, [told])
    return table(rng)


@harness.hookimpl
def harness_models():
    for model in Prior.__subclasses__():
        yield harness.Model(model.__name__, lambda s, model=model: model(s.n_classes))


@harness.hookimpl
def harness_datasets():
    for split in (exits, interrupts, hangs, aborts, ends_its_parent, is_drawn_beside_it):
        yield harness.Dataset(split.__name__, "fresh", split)
    for split in (fills_the_disk, forges_names, forges_all):
        yield harness.Dataset(split.__name__, "fresh", split)
    for name, forged in FORGED.items():
        yield harness.Dataset(f"forges_{name}", "fresh", forging(*forged))
"""


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Described]:
    file = tmp_path_factory.mktemp("hostile") / "hostile.py"
    file.write_text(HOSTILE)
    patch = "import numpy as np\nlog = np.log\nnp.log = lambda *a, **k: 0.5 * log(*a, **k)\n"
    (file.parent / "patches_when_loaded.py").write_text(patch)
    mark = file.parent / "mark"
    breaks = "import os, pathlib\n" + f"mark = pathlib.Path({str(mark)!r})\n"
    breaks += "if mark.exists(): os.abort()\nmark.touch()\n"
    (file.parent / "breaks_whoever_loads_it_twice.py").write_text(breaks)
    ends = "import os, sys\nif not hasattr(sys, 'is_fitting'): os._exit(3)\n"
    (file.parent / "ends_whoever_else_loads_it.py").write_text(ends)
    registry = discover([str(file)])
    yield registry
    registry.processes.close()


INNOCENT = ("prior", "numpy-softmax", "uniform")


def beside(registry: Described, model: str, jobs: int = 1) -> tuple[Result, list[Result]]:
    """The result of a model that runs among innocent models, and the results of these."""
    given = [*trials(*INNOCENT), *trials(model), *trials(*INNOCENT, repeats=2)[1::2]]
    result_by_key = {
        result.trial.key: result
        for result in run_isolated(given, registry=registry, jobs=jobs, seconds=LONG)
    }
    results = [result_by_key[trial.key] for trial in given]
    return results.pop(len(INNOCENT)), results


@pytest.fixture(scope="module")
def undisturbed(hostile: Described) -> list[dict[str, float]]:
    given = [*trials(*INNOCENT), *trials(*INNOCENT, repeats=2)[1::2]]
    result_by_key = {
        result.trial.key: result for result in run_isolated(given, registry=hostile, jobs=1)
    }
    return [dict(result_by_key[trial.key].scores) for trial in given]


@pytest.mark.parametrize(
    ("model", "status"),
    [
        ("PatchesLog", "ok"),
        ("PatchesScores", "ok"),
        ("PatchesPacking", "failed"),
        ("RoundsUp", "ok"),
        ("EndsItsParent", "crashed"),
        ("EndsTheSupervisor", "crashed"),
    ],
)
@pytest.mark.parametrize("jobs", [1, 2])
def test_a_hostile_model_changes_no_score_of_other_models(
    hostile: Described, undisturbed: list[dict[str, float]], model: str, status: str, jobs: int
) -> None:
    guilty, innocent = beside(hostile, model, jobs)
    assert guilty.status == status, guilty.failure
    if status == "ok":
        assert guilty.scores["likelihood"] == pytest.approx(1 / 3)
    assert [dict(result.scores) for result in innocent] == undisturbed


def test_modules_that_a_model_imports_do_not_reach_other_models_of_its_plugin(
    hostile: Described,
) -> None:
    given = trials("LoadsAPatch", repeats=2)
    assert {result.status for result in run_isolated(given, registry=hostile, jobs=1)} == {"ok"}
    origin = hostile.origin("models", "LoadsAPatch")
    assert hostile.parent(origin, (), "LoadsAPatch") is not hostile.parent(origin)
    assert hostile.parent(origin, (), "RoundsUp") is hostile.parent(origin)


def test_two_splits_drawn_at_once_do_not_blame_each_other(hostile: Described) -> None:
    given = [
        *trials("prior", dataset="ends_its_parent"),
        *trials("prior", dataset="is_drawn_beside_it"),
    ]
    outcomes = {
        result.trial.dataset.name: outcome(result)
        for result in run_isolated(given, registry=hostile, jobs=2, seconds=LONG)
    }
    assert outcomes == {
        "ends_its_parent": ("failed", "dataset"),
        "is_drawn_beside_it": ("ok", None),
    }


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="Linux lists descriptors")
def test_kept_results_hold_no_file_descriptors(hostile: Described) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    kept = list(run_isolated(trials("prior", repeats=40), registry=hostile, jobs=1))
    assert len(list(Path("/proc/self/fd").iterdir())) < before + 20
    assert {result.status for result in kept} == {"ok"}


def test_a_killed_supervisor_is_replaced_at_the_next_call() -> None:
    registry = discover([FAULTY])
    try:
        supervisor = psutil.Process(registry.processes.pid).children()[0]
        supervisor.kill()
        psutil.wait_procs([supervisor], timeout=LONG)
        registry.processes.root.pump()
        with registry.answered("models", "prior", devices_there) as call:
            assert call.failure is None
    finally:
        registry.processes.close()


def test_a_module_that_aborts_a_parent_is_not_loaded_in_advance(hostile: Described) -> None:
    given = trials("LoadsWhatBreaksItsParent", repeats=1)
    (first,) = run_isolated(given, registry=hostile, jobs=1, seconds=LONG)
    assert first.status == "ok"
    # The parent aborts while it loads the module. The trial runs without it, and aborts, too.
    (second,) = run_isolated(given, registry=hostile, jobs=1, seconds=LONG)
    assert second.failure is not None
    assert second.failure.reason == "died of SIGABRT"


def test_a_module_that_cannot_be_loaded_in_advance_is_loaded_by_each_trial(
    hostile: Described,
) -> None:
    given = trials("LoadsWhatBearsNoOtherPlace", repeats=3)
    results = list(run_isolated(given, registry=hostile, jobs=1, seconds=LONG))
    assert [result.status for result in results] == ["ok"] * 3


def test_of_several_plugins_only_the_one_that_kills_the_supervisor_is_blamed(
    tmp_path: Path,
) -> None:
    file = tmp_path / "kills.py"
    file.write_text("import os, signal\nos.kill(os.getppid(), signal.SIGKILL)\n")
    with pytest.raises(PluginError, match=r"kills\.py"):
        discover([FAULTY, str(file)])


@pytest.mark.parametrize("model", ["Pool", "Spawns", "Executor", "Loky", "Searches"])
def test_process_pools_in_a_trial_can_use_functions_of_a_plugin_file(
    hostile: Described, model: str
) -> None:
    pytest.importorskip("sklearn")
    (result,) = run_isolated(trials(model), registry=hostile, jobs=1, seconds=LONG)
    assert result.status == "ok", result.failure


@pytest.mark.parametrize(
    ("dataset", "reason"),
    [
        ("exits", "exited with status 0"),
        ("interrupts", "KeyboardInterrupt: mine"),
        ("hangs", "did not end within 3 s"),
        ("aborts", "died of SIGABRT"),
    ],
)
def test_the_failure_of_a_dataset_that_cannot_be_drawn_is_the_dataset_s(
    hostile: Described, dataset: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "GRACE", 0.2)
    given = [*trials("prior", "uniform", dataset=dataset), *trials("prior")]
    *broken, fine = run_isolated(given, registry=hostile, jobs=1, seconds=3.0)
    assert fine.status == "ok"
    assert {outcome(result) for result in broken} == {("failed", "dataset")}
    for result in broken:
        assert result.failure is not None
        assert result.failure.reason.startswith(f"dataset '{dataset}': split ")
        assert result.failure.reason.endswith(reason)


def test_the_failure_reason_says_that_the_disk_is_full(hostile: Described) -> None:
    (result,) = run_isolated(trials("prior", dataset="fills_the_disk"), registry=hostile, jobs=1)
    assert outcome(result) == ("failed", "dataset")
    assert result.failure is not None
    assert "no space is left in" in result.failure.reason
    assert "TMPDIR" in result.failure.reason


@pytest.mark.parametrize(
    ("forged", "reason"),
    [
        ("labels", "labels out of range"),
        ("test_labels", "labels out of range"),
        ("classes", "indices of classes that are out of range or not increasing"),
        ("no_labels", "encoded labels that are not one-dimensional integers"),
        ("fewer_labels", "labels out of range"),
        ("table", "X_test of float64 (19, 1)"),
        ("types", "X_train of int64 (20, 1)"),
        ("names", "names of classes or columns that are not strings"),
        ("all", "its process sent an invalid message"),
    ],
)
def test_a_split_forged_after_the_checks_is_the_failure_of_its_dataset(
    hostile: Described, forged: str, reason: str
) -> None:
    given = [*trials("prior", "uniform", dataset=f"forges_{forged}"), *trials("prior")]
    result_by_trial = {
        result.trial: result for result in run_isolated(given, registry=hostile, jobs=1)
    }
    *broken, fine = (result_by_trial[trial] for trial in given)
    assert fine.status == "ok"
    for result in broken:
        assert outcome(result) == ("failed", "dataset")
        assert result.failure is not None
        assert result.failure.reason.endswith(reason)


def test_a_plugin_whose_import_allocates_without_end_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "MEMORY_SHARE", 400 * 2**20 / psutil.virtual_memory().total)
    file = tmp_path / "greedy.py"
    file.write_text("import time\nheld = b'x' * (600 * 2**20)\ntime.sleep(600)\n")
    with pytest.raises(PluginError, match=r"greedy.py.*MiB of memory where 400 were allowed"):
        discover([str(file)])
