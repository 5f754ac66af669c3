"""A trial's crash, hang, exit or memory blow-up is that trial's result and nobody else's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psutil
import pytest

from harness.discovery import discover
from harness.executors.local import run_isolated
from harness.processes import client, trees
from harness.values import Choice, Trial

if TYPE_CHECKING:
    from harness.values import Result

FAULTY = "harness.testing.faulty"
MIB = 2**20


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
        ("exit-zero", "crashed", "exit", "exit status 0"),
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
def test_a_faulty_model_fails_alone_and_says_why(
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
def test_a_model_that_leaves_traces_is_not_noticed_by_the_next_trial(model: str) -> None:
    before, faulty, after = run("faulty-none", f"faulty-{model}", "faulty-none")
    assert faulty.status == "ok"
    assert after.status == "ok"
    assert after.scores == before.scores


@pytest.mark.parametrize("model", ["endless-loop", "ignores-sigterm", "endless-c-loop"])
def test_a_time_limit_stops_what_does_not_want_to_stop(
    model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "GRACE", 0.2)
    faulty, after = run(f"faulty-{model}", "faulty-none", seconds=1.0)
    assert outcome(faulty) == ("timeout", "timeout")
    assert after.status == "ok"


def test_what_a_trial_has_started_ends_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "GRACE", 0.2)
    registry = discover([FAULTY])
    given = trials("faulty-leaves-a-child")
    (faulty,) = run_isolated(given, registry=registry, seconds=1.0)
    assert faulty.status == "timeout"
    left = trees.descendants(registry.processes.pid)
    lines = [" ".join(psutil.Process(pid).cmdline()) for pid in left]
    registry.processes.close()
    assert lines  # the parents, which wait for more to do
    assert not [line for line in lines if "sleep" in line]


def test_a_memory_limit_stops_what_allocates_without_bound() -> None:
    faulty, after = run("faulty-allocates-without-bound", "faulty-none", memory=600 * MIB)
    assert outcome(faulty) == ("crashed", "memory")
    assert after.status == "ok"


def test_what_a_crashed_trial_printed_is_kept() -> None:
    (faulty,) = run("faulty-segmentation-fault")
    assert faulty.failure is not None
    assert "Segmentation fault" in faulty.failure.traceback


def test_a_broken_dataset_is_told_from_a_broken_model() -> None:
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
