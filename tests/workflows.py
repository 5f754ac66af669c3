"""Workflows for GitHub, whose shell steps tests run one after the other, as GitHub does.

Steps that use an action are skipped; a fake in place of ``gh`` writes down its arguments.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from command_line import commit, environment, run_git
from ruamel.yaml import YAML

if TYPE_CHECKING:
    from pathlib import Path

Workflow: TypeAlias = dict[str, Any]
"""A workflow, as its YAML says."""

GH = """#!/bin/bash
printf '%s\\n' "$*" >> "$SEEN"
for word; do case "$word" in body=@*) cat "${word#body=@}" >> "$SEEN" ;; esac; done
case "$*" in *--paginate*) printf '%s' "$COMMENTS" ;; esac
"""

HARNESS = """#!/bin/bash
exec python -P -m harness "$@"
"""


def workflow_of(file: Path) -> Workflow:
    """The workflow of a file."""
    return dict(YAML(typ="safe").load(file))


def steps_of(workflow: Workflow, job: str, kind: str) -> list[dict[str, Any]]:
    """The steps of a job with ``run`` or ``uses``."""
    return [step for step in workflow["jobs"][job]["steps"] if kind in step]


@dataclass
class Runner:
    """Runs the steps of jobs in a checkout, as a GitHub runner does.

    Args:
        folder: contains the checkout and everything else that the runner writes.
        changes: values that replace variables of the workflow.
        workflow_name: the workflow's name.
    """

    folder: Path
    changes: dict[str, str]
    workflow_name: str = "harness ab"
    outputs: dict[str, str] = field(default_factory=dict)

    @property
    def checkout(self) -> Path:
        return self.folder / "checkout"

    def run(self, workflow: Workflow, job: str) -> int:
        """Run a job; the status of the first step that fails, or 0."""
        job_steps = workflow["jobs"][job]
        for step in steps_of(workflow, job, "run"):
            output = self.folder / "output"
            output.write_text("")
            usual = {
                **{k: v for k, v in os.environ.items() if not k.startswith(("GIT_", "PYTHON"))},
                "CI": "true",
                "COMMENTS": "",
                "GITHUB_ACTIONS": "true",
                "GITHUB_OUTPUT": str(output),
                "GITHUB_REPOSITORY": "someone/something",
                "GITHUB_WORKFLOW": self.workflow_name,
                "GITHUB_STEP_SUMMARY": str(self.folder / "summary.md"),
                "PATH": f"{self.folder}:{self.folder / 'env' / 'bin'}:{os.environ['PATH']}",
                "RUNNER_TEMP": str(self.folder),
                "SEEN": str(self.folder / "seen"),
                "XDG_CACHE_HOME": str(self.folder / "cache"),
            }
            given = workflow.get("env", {}) | job_steps.get("env", {}) | step.get("env", {})
            given = {name: self.filled(str(value)) for name, value in given.items()}
            done = subprocess.run(
                ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
                cwd=self.checkout,
                env=usual | given | self.changes,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
            )
            print(step["name"], done.stdout, done.stderr)
            lines = [line.partition("=") for line in output.read_text().splitlines()]
            self.outputs |= {f"steps.{step.get('id')}.outputs.{k}": v for k, _, v in lines}
            if done.returncode:
                return done.returncode
        return 0

    def filled(self, text: str) -> str:
        """A text with its expressions replaced by their values; fails for an unknown expression."""
        known = {
            "github.event.pull_request.number": "7",
            "github.token": "secret",
            "github.workflow": self.workflow_name,
        }
        return re.sub(r"\$\{\{ (.*?) \}\}", lambda m: (known | self.outputs)[m[1]], text)

    def written(self, name: str) -> str:
        return (self.folder / name).read_text()


def runner(
    folder: Path, files: Path, change: dict[str, str], before: dict[str, str], **changes: str
) -> Runner:
    """A checkout of a pull request: ``origin/main`` has the files, and HEAD changes them."""
    shutil.copytree(files, folder / "origin")
    run_git(folder, "init", "-q", "-b", "main", "origin")
    commit(folder / "origin", before)
    run_git(folder, "clone", "-q", "origin", "checkout")
    run_git(folder / "checkout", "checkout", "-q", "--detach")
    commit(folder / "checkout", change)
    for name, text in {"gh": GH, "harness": HARNESS}.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    (folder / "seen").write_text("")
    # The new environment has all packages of this one, so that only build tools are downloaded.
    environment(folder / "env")
    offline = {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_EXTRA_INDEX_URL": ""}
    if "PIP_EXTRA_INDEX_URL" in os.environ:
        offline["PIP_EXTRA_INDEX_URL"] = os.environ["PIP_EXTRA_INDEX_URL"]
    return Runner(folder, {"TIME_LIMIT": "2s", **offline, **changes})
