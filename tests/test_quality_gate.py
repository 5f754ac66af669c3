"""The workflow that compares scores with main's runs only what is new, and fails if it is worse."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from workflows import Runner, runner, steps_of, workflow_of

EXAMPLES = Path(__file__).parent.parent / "docs" / "examples"
FILE = EXAMPLES / "quality" / "quality.yml"
WORKFLOW = workflow_of(FILE)
NEAREST_MEAN = EXAMPLES / "harness-nearest-mean"
CLASSIFIER = Path("harness_nearest_mean") / "classifier.py"
CHOICE = "-m nearest-mean -d iris -r 5"

STORES = """#!/bin/bash
case "$*" in
    "run list"*) [ ! -f "$STORE" ] || echo 41 ;;
    "run download 41 "*) cp "$STORE" base/harness.db ;;
esac
"""
"""Stands in for ``gh``: run 41 of main kept the store."""


def test_the_workflow_fits_githubs_schema_and_has_the_fewest_permissions() -> None:
    check = ("-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows")
    done = subprocess.run([sys.executable, *check, FILE], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert WORKFLOW["permissions"] == {"contents": "read"}
    jobs = WORKFLOW["jobs"]
    assert jobs["base"]["permissions"] == {"actions": "read"}
    assert jobs["comment"]["permissions"] == {"pull-requests": "write"}
    assert "permissions" not in jobs["measure"]
    for name in ("base", "comment"):  # what has a token runs no code of the pull request
        assert not any("checkout" in step.get("uses", "") for step in jobs[name]["steps"])
    for step in (step for job in jobs.values() for step in job["steps"]):
        assert "${{" not in step.get("run", "")  # otherwise a title could run commands


def gate(folder: Path, change: dict[str, str]) -> Runner:
    """A checkout of a pull request with a change, without any store yet."""
    here = runner(folder, NEAREST_MEAN, change, {}, CHOICE=CHOICE, STORE=str(folder / "kept.db"))
    here.workflow_name = "harness quality"
    (folder / "gh").write_text(STORES)
    return here


def judged(here: Runner) -> int:
    """Run the jobs that fetch main's store and measure; gives the status."""
    shutil.rmtree(here.checkout / "base", ignore_errors=True)
    assert here.run(WORKFLOW, "base") == 0
    return here.run(WORKFLOW, "measure")


@pytest.mark.slow
def test_a_pull_request_is_compared_with_main_and_only_what_is_new_is_run(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    here = gate(tmp_path, {"README.md": "Other words."})
    assert judged(here) == 0
    assert "main has no results yet to compare with" in here.written("checkout/comment.md")
    shutil.copy(here.checkout / "harness.db", tmp_path / "kept.db")  # what a push to main keeps
    code = here.checkout / CLASSIFIER
    code.write_text(code.read_text().replace("distances =", "distances = 0 *"))
    capfd.readouterr()
    assert judged(here) == 1
    told = capfd.readouterr().out
    assert "15 trials: 10 known, 5 to run" in told
    assert "::error title=harness quality::a score is worse, or a model fails" in told
    comment = here.written("checkout/comment.md")
    assert comment.startswith("### 2 worse\n")
    assert "| **worse** | accuracy | nearest-mean, iris" in comment
    assert here.written("summary.md").count(comment) == 1


@pytest.mark.parametrize("status", [0, 1, 2, 3, 4, 127])
def test_the_last_step_ends_with_the_status_and_explains_it(status: int) -> None:
    *_, judge = steps_of(WORKFLOW, "measure", "run")
    done = subprocess.run(
        ["bash", "-eo", "pipefail", "-c", judge["run"]],
        env={"STATUS": str(status), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == status
    assert done.stdout.count("::error title=harness quality::") == (status > 0)
