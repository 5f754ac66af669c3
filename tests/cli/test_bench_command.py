"""``harness bench``, and the timing after a run, as users see them."""

from __future__ import annotations

import importlib
import json
import os
import re
import sys
from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import command_line
import pytest

from harness.contract.registry import load
from harness.contract.values import Timing
from harness.store.database import Store
from harness.store.environment import fingerprint
from harness.timing.busyness import Usage
from harness.timing.session import MOST, Bench, Session

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("known_plugins")

CALM = "600s"
"""A budget that is never used up, even on a busy machine, because at most three processes run."""

TIMES = {
    "fit": 0.012,
    "fit-once": 0.0025,
    "reference": 0.044,
    "reference-once": 0.006,
    "together": 0.018,
    "together-once": 0.009,
    "logits": 1e-5,
    "predict-row": 2e-5,
}
"""Seconds of fits with 20 epochs and one epoch: .5 ms per epoch, and 2 ms in the plain loop."""


@dataclass(frozen=True)
class DoneIn(command_line.Done):
    """What a command did, and the folder it ran in."""

    folder: Path

    def then(self, *words: str) -> DoneIn:
        """What another command does in the same folder."""
        return harness_in(self.folder, *words)


def harness_in(folder: Path, *words: str) -> DoneIn:
    """Run a command in a folder, with timing that takes at most three processes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("HARNESS_RUN_NO_TIMING", raising=False)
        for name in ("harness.runs.benches", "harness.runs.campaign"):
            module = importlib.import_module(name)
            patch.setattr(module, "time_groups", in_three_processes(module.time_groups))
        done = command_line.harness_in(folder, *words, columns=80)
    return DoneIn(done.status, done.printed, done.remarks, folder)


def in_three_processes(time_groups: Callable[..., Session]) -> Callable[..., Session]:
    """A `time_groups` that measures briefly, checks as usual, and then replaces the times.

    On a busy machine, real times may differ so much that the time per epoch is not reported.
    """

    def timed(bench: Bench, **how: Any) -> Session:
        session = time_groups(replace(bench, most=3, rounds=5, warm_up=0.001), **how)
        timings = tuple(calm(timing) for timing in session.timings)
        return replace(session, timings=timings, usage=Usage())

    return timed


def calm(timing: Timing) -> Timing:
    """A timing as on an idle machine, where the same work takes the same time."""
    if timing.kind not in TIMES:
        return timing
    times = {process: TIMES[timing.kind] * (1 + process / 100) for process in range(3)}
    samples = tuple((times[i],) * len(process) for i, process in enumerate(timing.samples))
    return replace(timing, samples=samples)


# Three real measurements, each in three new processes

SOFTMAX = (
    *("bench", "softmax", "--shape", "5x3", "--dtype", "float32", "--device", "cpu"),
    *("--kernel", "numpy-fast", "--kernel", "numpy-naive", "--name", "tiny"),
)
RUN = ("run", "-d", "threshold", "-m", "numpy-softmax", "-r", "2", "-j", "1")


@pytest.fixture(scope="module")
def softmax_bench(tmp_path_factory: pytest.TempPathFactory) -> DoneIn:
    folder = tmp_path_factory.mktemp("softmax")
    more = ("--budget", CALM, "--json", "--benchmark-json", "out.json")
    return harness_in(folder, *SOFTMAX, *more)


@pytest.fixture(scope="module")
def training_bench(tmp_path_factory: pytest.TempPathFactory) -> DoneIn:
    pytest.importorskip("torch")
    words = ("bench", "training", "-d", "threshold", "-m", "notebook-mlp", "--device", "cpu")
    more = ("--epochs", "20", "--together", "3", "--budget", CALM)
    return harness_in(tmp_path_factory.mktemp("training"), *words, *more)


@pytest.fixture(scope="module")
def timed_run(tmp_path_factory: pytest.TempPathFactory) -> DoneIn:
    return harness_in(tmp_path_factory.mktemp("run"), *RUN, "--timing-budget", CALM, "-v")


def records(done: DoneIn, table: str) -> list[dict[str, Any]]:
    report = done.then("report", "--format", "json")
    assert report.status == 0
    rows: list[dict[str, Any]] = json.loads(report.printed)["tables"][table]
    return rows


def test_kernels_are_timed_together_with_a_copy(softmax_bench: DoneIn) -> None:
    assert softmax_bench.status == 0
    rows = json.loads(softmax_bench.printed)["tables"]["softmax"]
    assert [(row["kernel"], row["caches"]) for row in rows] == [
        (kernel, caches)
        for caches in ("warm", "cold")
        for kernel in ("numpy-fast", "numpy-naive", "copy")
    ]
    for row in rows:
        assert (row["shape"], row["dtype"], row["device"]) == ("5x3", "float32", "cpu")
        assert (row["status"], row["threads"], row["processes"]) == ("ok", 1, 3)
        assert row["low"] <= row["seconds"] <= row["high"]
        assert row["minimum"] <= row["seconds"]
        assert row["copies"] > 0
    assert {row["kernel"]: row["survives"] for row in rows} == {
        "numpy-fast": 1,
        "numpy-naive": 0,
        "copy": None,
    }
    for caches in ("warm", "cold"):
        assert 1 in [r["bests"] for r in rows if r["caches"] == caches]


def test_a_bench_is_stored_like_a_run_and_its_report_is_the_same_later(
    softmax_bench: DoneIn,
) -> None:
    again = softmax_bench.then("report", "--format", "json")
    assert (again.status, again.printed) == (0, softmax_bench.printed)
    assert "run 1 is in harness.db; timed for " in softmax_bench.remarks
    assert " in 3 processes" in softmax_bench.remarks
    by_name = softmax_bench.then("report", "tiny", "--format", "json")
    assert by_name.printed == softmax_bench.printed


def test_a_kernel_that_overflows_is_marked_in_capitals(softmax_bench: DoneIn) -> None:
    report = softmax_bench.then("report")
    assert report.status == 0
    assert max(map(len, report.printed.splitlines())) <= 80
    assert "5x3 float32 · warm, cpu, 1 thread, 3 processes" in report.printed
    assert "5x3 float32 · cold, cpu, 1 thread, 3 processes" in report.printed
    lines = report.printed.splitlines()
    naive, fast = ([x for x in lines if x.startswith(k)] for k in ("numpy-naive", "numpy-fast"))
    assert len(naive) == len(fast) == 2
    assert all(re.search(r"\bNO\b", line) for line in naive)
    assert all(re.search(r"\byes\b", line) for line in fast)


def test_a_bench_is_listed_among_the_runs(softmax_bench: DoneIn) -> None:
    listed = softmax_bench.then("runs")
    assert listed.status == 0
    (line,) = [line for line in listed.printed.splitlines() if "tiny" in line]
    assert "complete" in line
    assert "6 timings" in line


def test_a_bench_cannot_be_resumed(softmax_bench: DoneIn) -> None:
    refused = softmax_bench.then("run", "--resume")
    assert refused.status == 2
    assert (
        refused.remarks == "harness: run 1 was made by `harness bench` and cannot be resumed; "
        "start `harness bench` again\n"
    )


def test_pytest_benchmark_s_file_has_a_number_for_each_process(softmax_bench: DoneIn) -> None:
    assert "wrote 6 benchmarks to out.json" in softmax_bench.remarks
    written = json.loads((softmax_bench.folder / "out.json").read_text())
    assert len(written["benchmarks"]) == 6
    seconds = {
        (row["kernel"], row["caches"]): row["seconds"]
        for row in json.loads(softmax_bench.printed)["tables"]["softmax"]
    }
    for benchmark in written["benchmarks"]:
        caches = benchmark["params"]["case"].split()[-1]
        assert benchmark["stats"]["rounds"] == len(benchmark["stats"]["data"]) == 3
        assert benchmark["stats"]["median"] == seconds[benchmark["params"]["subject"], caches]


def test_training_is_timed_together_with_the_plain_loop_and_several_repeats_at_once(
    training_bench: DoneIn,
) -> None:
    assert training_bench.status == 0
    row, plain = records(training_bench, "training")
    assert (row["dataset"], row["model"]) == ("threshold", "notebook-mlp[epochs=20]")
    assert (row["status"], row["epochs"], row["together"]) == ("ok", 20, 3)
    assert row["reference_ratio"] == pytest.approx(0.25)
    assert row["together_ratio"] == pytest.approx((9 / 19) / 0.5 / 3)
    assert row["together_reference_ratio"] == pytest.approx((9 / 19) / 2 / 3)
    # Less than the fit divided by its epochs, because a part of the fit happens only once.
    assert row["microseconds_per_epoch"] == pytest.approx(505)
    assert row["fit_seconds"] == pytest.approx(0.01212)
    assert row["samples_per_second"] == pytest.approx(100 * 1e6 / row["microseconds_per_epoch"])
    assert plain["model"] == "plain notebook-mlp[epochs=20]"
    assert plain["microseconds_per_epoch"] == row["reference_microseconds_per_epoch"]
    assert plain["fit_low"] <= plain["fit_seconds"] <= plain["fit_high"]
    assert "threshold, timed alone · 1 thread, 3 processes" in training_bench.printed
    assert training_bench.then("report").printed == training_bench.printed


def test_a_run_times_its_pairings_one_at_a_time_after_the_trials(timed_run: DoneIn) -> None:
    assert timed_run.status == 0
    printed = timed_run.printed
    assert printed.index("threshold · 2 repeats (fresh draws)") < printed.index(
        "threshold, timed alone"
    )
    assert "models were timed for " in timed_run.remarks
    rows = {row["model"]: row for row in records(timed_run, "training")}
    assert set(rows) == {"numpy-softmax", "prior", "uniform"}
    for row in rows.values():
        assert row["status"] == "ok"
        assert row["row_microseconds"] > 0
        assert row["row_p99_microseconds"] >= row["row_microseconds"]
        assert row["rows_per_second"] > 0
        assert row["softmax_microseconds"] > 0
    assert 0 < rows["numpy-softmax"]["softmax_share"] < 1
    assert timed_run.then("report", "-v").printed == printed


def test_a_run_stores_facts_about_its_timing(timed_run: DoneIn) -> None:
    with closing(Store(str(timed_run.folder / "harness.db"))) as store:
        kept = store.find().environment
    assert (kept["timing"]["processes"], kept["timing"]["stopped"]) == (3, "most")
    assert set(kept["timing"]["machine"]) == {"processors", "load", "own", "others", "stolen"}
    assert kept["machine"]["cores"]


@pytest.mark.parametrize(("words", "most"), [((), MOST), (("--budget", "20s"), None)])
def test_a_given_budget_is_used_with_any_number_of_processes(
    folder: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], most: int | None
) -> None:
    asked: list[Bench] = []

    def time_groups(bench: Bench, **_: Any) -> Session:
        asked.append(bench)
        return session(timing())

    with monkeypatch.context() as patch:
        patch.setattr(sys.modules[__name__], "in_three_processes", lambda _: time_groups)
        assert harness_in(folder, *SOFTMAX, *words).status == 0
    assert asked[0].most == most


def test_a_timed_run_is_not_timed_again(timed_run: DoneIn) -> None:
    resumed = timed_run.then("run", "--resume", "-v")
    assert (resumed.status, resumed.printed) == (0, timed_run.printed)
    assert "timed for" not in resumed.remarks


# The following tests start no process


def session(*timings: Timing) -> Session:
    return Session(timings, 3, "most", 1.0)


def timing(status: Any = "ok", reason: str = "", kind: str = "softmax") -> Timing:
    samples = ((2e-6,), (3e-6,), (4e-6,)) if status == "ok" else ()
    case = "5x3 float32 warm" if kind == "softmax" else "threshold"
    subject = "numpy-fast" if kind == "softmax" else "numpy-softmax"
    figures = {"n_train": 100.0, "n_test": 100.0}
    return Timing(kind, subject, case, "cpu", 1, status, reason, samples, figures=figures)


@pytest.fixture
def instant(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Replaces timing by an instant result; a list of the requested benches."""
    asked: list[Any] = []

    def time_groups(bench: Any, **_: Any) -> Session:
        asked.append(bench)
        return session(timing("ok", kind="softmax" if _softmax(bench) else "fit"))

    monkeypatch.setattr("harness.runs.benches.time_groups", time_groups)
    monkeypatch.setattr("harness.runs.campaign.time_groups", time_groups)
    return asked


def _softmax(bench: Any) -> bool:
    return bool(bench.groups) and hasattr(bench.groups[0], "shape")


def test_a_run_is_not_timed_if_timing_is_turned_off(folder: Path, instant: list[Any]) -> None:
    done = harness_in(folder, *RUN, "--no-timing")
    assert done.status == 0
    assert "timed alone" not in done.printed
    assert not instant


def test_a_run_is_timed_for_half_a_minute_by_default(folder: Path, instant: list[Any]) -> None:
    done = harness_in(folder, *RUN, "-v")
    assert "timed alone" in done.printed
    (bench,) = instant
    assert bench.budget == 30
    assert bench.threads == 1


def test_a_run_in_this_process_is_not_timed(folder: Path, instant: list[Any]) -> None:
    done = harness_in(folder, *RUN, "--in-process")
    assert "timed alone" not in done.printed
    assert "with --in-process, models are not timed after the trials" in done.remarks
    assert not instant


def test_a_run_interrupted_before_its_timing_is_timed_when_resumed(
    folder: Path, instant: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(bench: Any, **_: Any) -> Session:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("harness.runs.campaign.time_groups", interrupted)
        done = harness_in(folder, *RUN, "--timing-budget", "40s")
    assert done.status == 130
    assert "no timings and 6 of 6 results are stored" in done.remarks
    assert "harness run --resume 1" in done.remarks
    resumed = done.then("run", "--resume", "-v")
    assert resumed.status == 0
    assert "timed alone" in resumed.printed
    assert [bench.budget for bench in instant] == [40]


def test_a_run_interrupted_during_its_timing_keeps_the_finished_timings(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(bench: Any, *, note: Any, **_: Any) -> Session:
        note(KeyboardInterrupt())
        return session(timing(kind="fit"), timing("unfinished", "the time was up", "predict"))

    monkeypatch.setattr("harness.runs.campaign.time_groups", interrupted)
    done = harness_in(folder, *RUN)
    assert done.status == 130
    assert "1 timings and 6 of 6 results are stored; `harness report 1`" in done.remarks
    report = done.then("report", "-v")
    assert (report.status, "threshold, timed alone" in report.printed) == (0, True)


def test_timing_a_run_after_the_code_changed_needs_permission(
    folder: Path, instant: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise the timings would be taken for those of the code that ran the trials."""
    with monkeypatch.context() as patch:

        def interrupted(bench: Any, **_: Any) -> Session:
            raise KeyboardInterrupt

        patch.setattr("harness.runs.campaign.time_groups", interrupted)
        done = harness_in(folder, *RUN)

    def changed(registry: Any) -> Any:
        return fingerprint(registry) | {"python": "9.9.9"}

    monkeypatch.setattr("harness.runs.campaign.fingerprint", changed)
    assert done.then("run", "--resume").status == 2
    assert done.then("run", "--resume", "--accept-changes").status == 0
    with closing(Store(str(folder / "harness.db"))) as store:
        assert store.find().environment["python"] == "9.9.9"
    assert len(instant) == 1


def test_no_timing_and_a_budget_for_it_are_refused(folder: Path) -> None:
    done = harness_in(folder, *RUN, "--no-timing", "--timing-budget", "5s")
    assert done.status == 2
    assert "--no-timing and --timing-budget contradict each other" in done.remarks


def test_more_threads_than_cores_are_refused(folder: Path) -> None:
    done = harness_in(folder, "bench", "softmax", "--threads", "100000")
    assert done.status == 2
    assert "--threads 100000: this machine has only " in done.remarks


def test_a_bench_of_training_needs_a_model_that_trains_by_epochs(folder: Path) -> None:
    done = harness_in(folder, "bench", "training", "-m", "prior")
    assert done.status == 2
    assert "none of the selected models trains by epochs" in done.remarks


def test_a_run_without_time_for_its_timing_recommends_a_budget(
    folder: Path,
) -> None:
    done = harness_in(folder, *RUN, "--timing-budget", "1s", "-v")
    assert done.status == 0
    told = re.sub(r"\s+", " ", done.printed)
    assert re.search(
        r"3 timings: not timed within 1 s; \d+ s would suffice \(--timing-budget\): threshold,",
        told,
    )


def test_a_run_without_time_for_its_timing_does_not_mention_processes(
    folder: Path,
) -> None:
    done = harness_in(folder, *RUN, "--timing-budget", "1s")
    assert "processes" not in done.remarks


def test_a_bench_of_training_times_every_model_that_has_epochs(
    folder: Path, instant: list[Any]
) -> None:
    words = ("-d", "threshold", "-d", "iris", "--together", "4", "--epochs", "7", "--budget", "2m")
    assert harness_in(folder, "bench", "training", *words).status == 0
    (bench,) = instant
    assert bench.budget == 120
    cases = {group.case for group in bench.groups}
    assert cases == {"threshold", "iris"}
    trials = [pairing.trials for group in bench.groups for pairing in group.pairings]
    assert all(len(each) in (1, 4) for each in trials)
    assert {dict(each[0].model.parameters).get("epochs", 7) for each in trials} == {7}


def test_a_bench_stores_its_options(folder: Path, instant: list[Any]) -> None:
    from contextlib import closing

    from harness.store.database import Store

    harness_in(folder, *SOFTMAX, "--threads", "2", "--budget", "5s")
    with closing(Store(str(folder / "harness.db"))) as store:
        run = store.find("tiny")
    assert run.asked["bench"] == "softmax"
    assert run.asked["kernels"] == ["numpy-fast", "numpy-naive"]
    assert (run.asked["threads"], run.asked["budget"]) == (2, 5)
    assert run.environment["timing"]["processes"] == 3
    assert run.finished
    assert instant[0].threads == 2


@pytest.mark.parametrize(
    ("timings", "status"),
    [
        ([timing()], 0),
        ([timing(), timing("unfinished", "the time was up")], 0),
        ([timing(), timing("wrong", "a probability differs from the reference by 0.1")], 1),
        ([timing(), timing("failed", "ValueError: [bold]no[/bold]")], 1),
        ([timing("unfinished", "the time was up")], 4),
        ([], 4),
    ],
)
def test_the_exit_status_of_a_bench_follows_from_its_timings(
    folder: Path, monkeypatch: pytest.MonkeyPatch, timings: list[Timing], status: int
) -> None:
    monkeypatch.setattr("harness.runs.benches.time_groups", lambda bench, **_: session(*timings))
    done = harness_in(folder, *SOFTMAX)
    assert done.status == status
    told = re.sub(r"\s+", " ", done.printed)
    for measured_timing in timings:
        assert measured_timing.reason in told


def test_an_interrupted_bench_leaves_no_run(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(bench: Any, **_: Any) -> Session:
        raise KeyboardInterrupt

    monkeypatch.setattr("harness.runs.benches.time_groups", interrupted)
    done = harness_in(folder, *SOFTMAX)
    assert done.status == 130
    assert "Traceback" not in done.remarks
    assert "no runs yet" in done.then("runs").printed


def test_a_file_that_cannot_be_written_does_not_lose_the_measurement(
    folder: Path, instant: list[Any]
) -> None:
    """Results are stored and printed before the file is written."""
    if not os.path.exists("/dev/full"):  # noqa: PTH110  # a device
        pytest.skip("there is no /dev/full")
    done = harness_in(folder, *SOFTMAX, "--benchmark-json", "/dev/full")
    assert done.status == 2
    assert "harness: cannot write to '/dev/full': No space left on device" in done.remarks
    assert done.then("report").printed == done.printed


BAD = [
    (("softmax", "--kernel", "numpy-fsat"), "no kernel 'numpy-fsat': did you mean 'numpy-fast'"),
    (("softmax", "--kernel", "zz*"), "no kernel 'zz*'"),
    *(
        (("softmax", "--shape", shape), f"'{shape}' is no shape; write samples x classes")
        for shape in ("5", "0x3", "5x", "axb")
    ),
    (("softmax", "--dtype", "float16"), "'float16' is not one of"),
    (("softmax", "--threads", "0"), "0 is not in the range"),
    (("softmax", "--budget", "0"), "'0' is not a time"),
    (("softmax", "--budget", "soon"), "'soon' is not a time"),
    (("softmax", "--benchmark-json", "no/where.json"), "its folder does not exist"),
    (("softmax", "--benchmark-json", "."), "is a directory"),
    (("softmax", "--store", "no/where.db"), "folder does not exist"),
    (("softmax", "--plugin", "none.py"), "'none.py' does not exist"),
    (("softmax", "--device", "cdua"), "(devices here: cpu"),
    (("training", "-m", "numpy-softmax", "-d", "irsi"), "did you mean 'iris'"),
    (("training", "-d", "threshold", "-m", "notebok-mlp"), "did you mean 'notebook-mlp'"),
    (("training", "--together", "0"), "0 is not in the range"),
    (("training", "--epochs", "0"), "0 is not in the range"),
    (("hardmax",), "No such command 'hardmax'"),
]


@pytest.mark.parametrize(("words", "complaint"), BAD)
def test_bad_input_to_a_bench_is_a_one_line_error_with_status_2(
    folder: Path, instant: list[Any], words: tuple[str, ...], complaint: str
) -> None:
    done = harness_in(folder, "bench", *words)
    assert done.status == 2
    assert not done.printed
    assert done.remarks.startswith("harness: ")
    assert done.remarks.count("\n") == 1
    assert complaint in done.remarks
    assert not instant


@pytest.mark.parametrize(
    "words", [("softmax",), ("training", "-d", "threshold"), ("training", "-m", "torch-mlp")]
)
def test_a_bench_on_a_missing_cuda_device_is_an_error(
    folder: Path, instant: list[Any], words: tuple[str, ...]
) -> None:
    if any(device.kind == "cuda" for device in load().devices.values()):
        pytest.skip("there is a CUDA device")
    done = harness_in(folder, "bench", *words, "--device", "cuda")
    assert done.status == 2
    assert done.remarks.count("\n") == 1
    assert "no CUDA device here" in done.remarks
    assert not instant


def test_a_missing_device_is_reported_and_an_available_device_is_timed(
    folder: Path, instant: list[Any]
) -> None:
    done = harness_in(folder, *SOFTMAX, "--device", "xpu")
    assert done.status == 0
    assert "no XPU device here" in re.sub(r"\s+", " ", done.printed)
