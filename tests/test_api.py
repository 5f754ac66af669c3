"""The Python API of the harness."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

import harness

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HARNESS_STORE", raising=False)


def test_a_run_gives_data_frames_and_shows_as_tables_in_a_notebook() -> None:
    outcome = harness.run(["threshold"], ["numpy-softmax"], repeats=2, timing_budget="4s")
    assert set(outcome.ranking["model"]) == {"numpy-softmax", "prior", "uniform"}
    assert len(outcome.results) == 6
    assert (outcome.results["status"] == "ok").all()
    assert "<table" in outcome._repr_html_()
    assert "numpy-softmax" in outcome._repr_html_()
    assert repr(outcome) == "<harness run 1: 6 ok>"
    assert len(outcome.traces)


def test_a_run_gives_the_same_scores_as_the_command_line(tmp_path: Path) -> None:
    outcome = harness.run(["threshold"], ["numpy-softmax"], repeats=2, store="api.db", timing=False)
    words = ["run", "-d", "threshold", "-m", "numpy-softmax", "-r", "2", "--store", "line.db"]
    subprocess.run([sys.executable, "-m", "harness", *words], check=True, capture_output=True)
    subprocess.run(
        [sys.executable, "-m", "harness", "report", "--store", "line.db", "--output", "out"],
        check=True,
        capture_output=True,
    )
    import pandas as pd

    from_line = pd.read_parquet(tmp_path / "out" / "ranking.parquet")
    columns = ["dataset", "model", "accuracy", "accuracy_low", "nll", "brier", "ok"]
    pd.testing.assert_frame_equal(
        outcome.ranking[columns].reset_index(drop=True), from_line[columns]
    )


def test_the_registry_maps_names_to_values() -> None:
    registry = harness.discover()
    assert registry.datasets["iris"].kind == "resampled"
    assert registry.models["prior"].baseline
    assert "cpu" in registry.devices


def test_a_wrong_name_is_a_harness_error() -> None:
    with pytest.raises(harness.HarnessError, match="did you mean 'iris'"):
        harness.run(["irsi"])


def test_a_script_without_a_main_guard_can_run_trials(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import harness\n"
        "print(harness.run(['threshold'], ['prior'], repeats=1, jobs=1, timing_budget=4))\n"
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=300)
    assert done.stdout == "<harness run 1: 2 ok>\n", done.stderr


def test_a_script_that_workers_load_by_mistake_does_not_start_runs_without_end(
    tmp_path: Path,
) -> None:
    """A script named like a library module is imported in place of that module."""
    script = tmp_path / "html.py"
    script.write_text(
        "import harness\n"
        "class escape: pass\n"
        "print(harness.run(['threshold'], ['prior'], repeats=1, jobs=1))\n"
    )
    done = subprocess.run(
        [sys.executable, script], capture_output=True, text=True, timeout=300, check=False
    )
    runs = subprocess.run(
        [sys.executable, "-m", "harness", "runs"], capture_output=True, text=True, check=False
    )
    assert done.stdout.count("<harness run") <= 1
    assert runs.stdout.count("complete") <= 1


def test_settings_are_used_from_python_too(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[tool.harness]\nstore = "mine.db"\n')
    harness.run(["threshold"], ["prior"], repeats=1, timing=False, in_process=True)
    assert (tmp_path / "mine.db").exists()


HEAVY = ["matplotlib", "torch", "pandas", "sklearn", "scipy", "sqlalchemy", "numpy"]


@pytest.mark.parametrize(
    ("statement", "heavy"),
    [
        ("import harness", HEAVY),
        ("from harness.cli import main\ntry: main(['--help'])\nexcept SystemExit: pass", HEAVY),
        (
            "from harness.cli import main\ntry: main(['list'])\nexcept SystemExit: pass",
            ["matplotlib", "torch", "pandas", "sklearn"],
        ),
    ],
)
def test_light_imports_load_no_heavy_library(statement: str, heavy: list[str]) -> None:
    tell = f"print('loaded:', *[m for m in {heavy} if m in sys.modules])"
    words = [sys.executable, "-c", f"import sys\n{statement}\n{tell}"]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "loaded:"
