"""The script that measures on a GPU, tested as far as possible without a GPU.

``tests/gpu/measure.sh OUT cpu`` runs the whole script, which takes minutes.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

if TYPE_CHECKING:
    from collections.abc import Mapping

HERE = Path(__file__).parents[1] / "gpu"

PYTHON = """#!/bin/bash
case "$*" in
    *"summary.py summary"*) echo "the summary" ;;
    *" {fails} "*) echo "why it failed" >&2; exit 3 ;;
esac
"""
STEPS = [
    "environment",
    "softmax",
    "epochs",
    "training",
    "softmax-wide",
    "scores",
    "tests",
    "softmax-all",
]


@pytest.fixture(scope="module")
def summary() -> Any:
    spec = spec_from_file_location("summary", HERE / "summary.py")
    assert spec
    assert spec.loader
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def measured(folder: Path, **variables: str) -> tuple[int, str, dict[str, str]]:
    """Exit status, what was printed last, and each step's status, of a run without a network."""
    done = subprocess.run(
        [HERE / "measure.sh", folder / "out", "cpu"],
        env={**os.environ, "PYTHON": str(folder / "python"), **variables},
        capture_output=True,
        text=True,
        timeout=60,
    )
    lines = (folder / "out" / "steps.tsv").read_text().splitlines()[1:]
    steps = {name: status for name, status, _ in (line.split("\t") for line in lines)}
    return done.returncode, done.stdout.splitlines()[-1], steps


def fake_python(folder: Path, fails: str = "nothing") -> None:
    (folder / "python").write_text(PYTHON.format(fails=fails))
    (folder / "python").chmod(0o755)


def test_a_failed_step_does_not_stop_other_steps(tmp_path: Path) -> None:
    fake_python(tmp_path, fails="training")
    status, last, steps = measured(tmp_path)
    assert status == 1
    assert last == "the summary"
    assert [name for name in steps if name != "install"] == STEPS
    assert {name for name, state in steps.items() if state != "ok"} == {"training"}
    assert steps["training"] == "exit 3"


def test_all_results_are_in_few_files_and_the_status_is_0_without_failures(tmp_path: Path) -> None:
    fake_python(tmp_path)
    status, _, steps = measured(tmp_path)
    assert (status, set(steps.values())) == (0, {"ok"})
    files = {file.name for file in (tmp_path / "out").rglob("*")}
    assert files == {"steps.tsv", "summary.txt", "logs.tar.gz"}


def test_steps_after_the_time_limit_are_skipped_and_the_summary_is_written(
    tmp_path: Path,
) -> None:
    fake_python(tmp_path)
    status, last, steps = measured(tmp_path, SECONDS_IN_ALL="25")  # of which the summary has 20
    assert (status, last, set(steps.values())) == (1, "the summary", {"no time"})


def test_without_a_folder_the_script_prints_its_usage() -> None:
    done = subprocess.run([HERE / "measure.sh"], capture_output=True, text=True)
    assert done.returncode == 2
    assert "tests/gpu/measure.sh OUT cpu" in done.stdout


def kernels(seconds: Mapping[str, float]) -> pd.DataFrame:
    """Timings for 4,000,000 x 3 float32; copying 96 MB in 32 microseconds is 3 TB/s."""
    return pd.DataFrame(
        {
            "shape": "4000000x3",
            "dtype": "float32",
            "caches": "warm",
            "device": "cuda:0",
            "kernel": name,
            "status": "ok",
            "reason": "",
            "seconds": took,
            "gigabytes_per_second": 96e-3 / took,
            "copies": took / seconds["copy"],
        }
        for name, took in seconds.items()
    )


def test_a_kernel_is_compared_with_the_copy_and_with_torch(summary: Any) -> None:
    table = kernels({"copy": 32e-6, "torch-out": 50e-6, "cuda-c": 35e-6, "triton": 60e-6})
    rows = {row["kernel"]: row for row in summary.softmax(table)}
    assert rows["cuda-c"]["GB/s"] == pytest.approx(2743, abs=1)
    assert rows["cuda-c"]["copy GB/s"] == pytest.approx(3000)
    assert rows["cuda-c"]["of copy"] == pytest.approx(32 / 35)
    assert rows["cuda-c"]["verdict"] == "reached / reached"
    assert rows["triton"]["verdict"] == "MISSED / MISSED"
    assert "verdict" not in rows["torch-out"]


def test_a_failed_kernel_has_its_reason_and_the_others_are_judged(summary: Any) -> None:
    table = kernels({"copy": 32e-6, "cuda-c": 33e-6, "triton": 33e-6})
    table.loc[table["kernel"] == "triton", ["status", "reason"]] = ["wrong", "is off by 1"]
    rows = {row["kernel"]: row for row in summary.softmax(table)}
    assert rows["triton"]["verdict"] == "wrong: is off by 1"
    assert (
        rows["cuda-c"]["verdict"] == "reached / not measured"
    )  # torch failed, so there is no time to compare with


def test_an_epoch_is_compared_with_the_eager_loop_and_replicates_with_a_single_fit(
    summary: Any,
) -> None:
    row = {"model": "notebook-mlp", "device": "cuda:0", "status": "ok", "reason": ""}
    row |= {"microseconds_per_epoch": 100.0, "reference_microseconds_per_epoch": 400.0}
    row |= {"reference_ratio": 0.25, "together": 1024.0, "together_ratio": 5 / 1024}
    row |= {"together_microseconds_per_epoch": 500 / 1024}
    plain = row | {"model": "plain notebook-mlp"}
    (row_of_summary,) = summary.training(pd.DataFrame([row, plain]))
    assert (row_of_summary["recorded"], row_of_summary["together"]) == ("reached", "MISSED")
    assert (row_of_summary["all at once"], row_of_summary["of one"]) == (500, 5)


def test_an_epoch_of_each_way_to_train_is_compared_with_a_recorded_one(
    summary: Any, tmp_path: Path
) -> None:
    figures = {"recorded": 60.0, "eager": 360.0, "plain": 1800.0, "all at once": 300.0}
    told = {f"{name}, us/epoch": time for name, time in figures.items()} | {"replicates": 1024}
    assert summary.epochs(tmp_path) == []
    (tmp_path / "epochs.json").write_text(json.dumps(told))
    rows = {row["epoch of notebook-mlp"]: row for row in summary.epochs(tmp_path)}
    assert [row["of one recorded"] for row in rows.values()] == [1, 6, 30, 5]
    assert (rows["recorded"]["verdict"], rows["all at once"]["verdict"]) == ("reached", "MISSED")


def test_likelihoods_are_compared_with_those_of_the_cpu(summary: Any) -> None:
    results = pd.DataFrame(
        {
            "dataset": "digits",
            "model": "torch-mlp",
            "repeat": [0, 1, 0, 1],
            "device": ["cpu", "cpu", "cuda:0", "cuda:0"],
            "likelihood": [0.9, 0.8, 0.9005, 0.802],
        }
    )
    rows = summary.scores(results)
    assert [row["verdict"] for row in rows] == ["reached", "MISSED"]
    assert [row["difference"] for row in rows] == pytest.approx([0.0005, 0.002])
    assert summary.scores(results[results["device"] == "cpu"]) == []


def test_without_a_store_the_summary_lists_the_steps(summary: Any, tmp_path: Path) -> None:
    (tmp_path / "steps.tsv").write_text("step\tstatus\tseconds\nsoftmax\ttime was up\t110\n")
    done = subprocess.run(
        [sys.executable, HERE / "summary.py", "summary", tmp_path],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.count("not measured") == 4
    assert "time was up" in done.stdout
    results = json.loads((tmp_path / "results.json").read_text())
    assert results["steps"] == [["softmax", "time was up", "110"]]
