"""The pytest-benchmark suite that ships with the package, run on somebody else's model."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

PLUGIN = """
import gc

import numpy as np
from threadpoolctl import threadpool_info

import harness

calls = []


class Constant:
    def __init__(self, n_classes):
        self.n_classes = n_classes

    def fit(self, X, y):
        calls.append((gc.isenabled(), max(pool["num_threads"] for pool in threadpool_info())))
        assert calls[-1:] == [(False, 1)] or len(calls) == 1, calls

    def predict_proba(self, X):
        return np.full((len(X), self.n_classes), 1 / self.n_classes)


@harness.hookimpl
def harness_models():
    yield harness.Model("constant", lambda setting: Constant(setting.n_classes))
"""


def suite(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the suite as a plugin's author does, outside this repository."""
    (folder / "mine.py").write_text(PLUGIN)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    return subprocess.run(
        [*command, "--pyargs", "harness.benchmarks", "--harness-plugin", "mine.py", *words],
        cwd=folder,
        # In a worker of pytest-xdist, pytest-benchmark times nothing.
        env={name: value for name, value in os.environ.items() if "XDIST" not in name},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_stranger_s_model_is_timed_with_one_thread_and_without_garbage_collection(
    tmp_path: Path,
) -> None:
    """The model itself asserts both in every call of ``fit`` except the check's."""
    done = suite(
        tmp_path,
        *("--harness-model", "constant", "--harness-dataset", "iris"),
        *("--benchmark-json", "found.json", "--benchmark-max-time", "0.01"),
    )
    assert done.returncode == 0, done.stdout
    benchmarks = json.loads((tmp_path / "found.json").read_text())["benchmarks"]
    names = [f"test_{call}[constant-iris]" for call in ("fit", "predict", "predict_row")]
    assert sorted(benchmark["name"] for benchmark in benchmarks) == sorted(names)
    assert all(benchmark["stats"]["min"] > 0 for benchmark in benchmarks)


def test_an_unknown_model_is_a_usage_error(tmp_path: Path) -> None:
    done = suite(tmp_path, "--harness-model", "constnat")
    assert done.returncode != 0
    assert "no model matches 'constnat': did you mean 'constant'" in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
