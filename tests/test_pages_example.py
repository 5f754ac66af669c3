"""The workflow for GitHub Pages follows GitHub's schema, and its shell steps keep a leaderboard.

The test runs the shell steps of the jobs one after the other, as GitHub does. It skips the steps
that use an action, and copies what the artifacts would carry.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from command_line import commit, run_git
from ruamel.yaml import YAML

FILE = Path(__file__).parent.parent / "docs" / "examples" / "pages" / "leaderboard.yml"
WORKFLOW = YAML(typ="safe").load(FILE)

ACTIONS = {
    "actions/checkout@v6",
    "actions/deploy-pages@v4",
    "actions/download-artifact@v7",
    "actions/setup-python@v6",
    "actions/upload-artifact@v6",
    "actions/upload-pages-artifact@v4",
}

PROJECT = '[tool.harness]\nplugins = ["nearest_mean.py"]\n'
MODEL = """
import numpy as np

import harness


class NearestMean:
    def fit(self, X, y):
        self.means = np.array([X[y == label].mean(axis=0) for label in range(y.max() + 1)])
        return self

    def predict_proba(self, X):
        distances = ((X[:, None] - self.means) ** 2).mean(axis=2)
        P = np.exp(distances.min(axis=1, keepdims=True) - distances)
        return P / P.sum(axis=1, keepdims=True)


class Fails(NearestMean):
    def fit(self, X, y):
        raise ValueError("no luck")


@harness.hookimpl
def harness_models():
    yield harness.Model("nearest-mean", lambda setting: NearestMean())
    yield harness.Model("fails", lambda setting: Fails())
"""

# The environment is that of the tests: nothing is installed.
PYTHON = f"""#!/bin/bash
case "$*" in "-m pip install"*) exec cat requirements.txt ;; esac
exec {sys.executable} "$@"
"""
HARNESS = f"""#!/bin/bash
exec {sys.executable} -P -m harness "$@"
"""


def steps_of(job: str, kind: str) -> list[dict[str, Any]]:
    return [step for step in WORKFLOW["jobs"][job]["steps"] if kind in step]


def test_the_workflow_fits_githubs_schema() -> None:
    check = ("-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows")
    done = subprocess.run([sys.executable, *check, FILE], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_job_has_the_fewest_permissions_and_pinned_actions() -> None:
    jobs = WORKFLOW["jobs"]
    assert WORKFLOW["permissions"] == {"contents": "read"}
    assert "permissions" not in jobs["measure"]
    assert jobs["keep"]["permissions"] == {"contents": "write"}
    assert jobs["deploy"]["permissions"] == {"pages": "write", "id-token": "write"}
    assert not WORKFLOW["concurrency"]["cancel-in-progress"]
    # The job that may write installs and runs nothing of the repository.
    assert "harness " not in "".join(step["run"] for step in steps_of("keep", "run"))
    for name, job in jobs.items():
        assert job["timeout-minutes"]
        for step in job["steps"]:
            assert step.get("uses", "actions/checkout@v6") in ACTIONS, name
            assert "${{" not in step.get("run", "")  # otherwise an input could run commands


def run(job: str, folder: Path, **changes: str) -> tuple[int, str]:
    """Run a job in a fresh checkout of ``origin``: the status of the first step that fails."""
    checkout, temp = folder / "checkout", folder / "temp"
    for place in (checkout, temp):
        shutil.rmtree(place, ignore_errors=True)
    temp.mkdir()
    run_git(folder, "clone", "-q", "origin", "checkout")
    if job == "keep":
        shutil.copytree(folder / "new", temp / "new")
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("GIT_", "HARNESS_"))}
    variables = {
        **{name: str(value) for name, value in WORKFLOW["env"].items()},
        **{name: str(v) for name, v in WORKFLOW["jobs"][job].get("env", {}).items()},
        "GITHUB_SHA": run_git(checkout, "rev-parse", "HEAD"),
        "PATH": f"{folder / 'bin'}:{os.environ['PATH']}",
        "RUNNER_TEMP": str(temp),
        "REPEATS": "2",
    }
    said = ""
    for step in steps_of(job, "run"):
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
            cwd=checkout,
            env=kept | variables | changes,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        said += done.stdout + done.stderr
        if done.returncode:
            return done.returncode, said
    return 0, said


@pytest.mark.slow
def test_the_shell_keeps_a_leaderboard_from_one_push_to_the_next(tmp_path: Path) -> None:
    run_git(tmp_path, "init", "-q", "-b", "main", "origin")
    files = {"pyproject.toml": PROJECT, "nearest_mean.py": MODEL, "requirements.txt": "nothing\n"}
    commit(tmp_path / "origin", files)
    (tmp_path / "bin").mkdir()
    for name, text in {"python": PYTHON, "harness": HARNESS}.items():
        (tmp_path / "bin" / name).write_text(text)
        (tmp_path / "bin" / name).chmod(0o755)

    def push(choice: str) -> tuple[str, pd.DataFrame]:
        status, said = run("measure", tmp_path, CHOICE=choice)
        assert status == 0, said
        shutil.rmtree(tmp_path / "new", ignore_errors=True)
        shutil.copytree(tmp_path / "checkout" / "new", tmp_path / "new")  # the artifact
        results = pd.read_csv(tmp_path / "checkout" / "site" / "data" / "results.csv")
        status, kept = run("keep", tmp_path)
        assert status == 0, kept
        return said, results

    said, results = push("-d iris -m nearest-mean")
    assert "this is the first run" in said
    assert set(results["model"]) == {"nearest-mean", "prior", "uniform"}
    # A new model joins the results of the first push; a trial that fails does not stop anything.
    said, results = push("-d iris -m fails")
    assert "is run 1 here" in said
    assert set(results["model"]) == {"nearest-mean", "prior", "uniform", "fails"}
    assert results.loc[results["model"] == "nearest-mean", "run"].unique().tolist() == [1]
    listed = run_git(tmp_path / "origin", "ls-tree", "-r", "--name-only", "results").splitlines()
    assert len([name for name in listed if name.endswith("/run.json")]) == 2
    assert not [name for name in listed if "/" not in name]  # nothing of main


@pytest.mark.parametrize(("status", "wanted"), [(0, 0), (1, 0), (2, 2), (4, 4), (130, 130)])
def test_a_failed_trial_does_not_stop_the_job_and_any_other_fault_does(
    tmp_path: Path, status: int, wanted: int
) -> None:
    (step,) = (step for step in steps_of("measure", "run") if step["name"] == "Run")
    (tmp_path / "harness").write_text(f"#!/bin/bash\nexit {status}\n")
    (tmp_path / "harness").chmod(0o755)
    variables = {"CHOICE": "-d *", "REPEATS": "2", "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    command = ["bash", "-eo", "pipefail", "-c", step["run"]]
    assert subprocess.run(command, env=variables).returncode == wanted
