"""The workflows for GitHub follow its schema, and their shell steps do what they promise.

The tests run the shell steps one after the other, as GitHub does. They skip steps that use an
action, and replace ``gh`` by a fake that writes down its arguments.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from command_line import commit, environment, run_git
from ruamel.yaml import YAML

from harness.versions.sides import cache_folder

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "docs" / "examples"
FILES = sorted((EXAMPLES / "ci").glob("*.yml"))
WORKFLOWS = {file.stem: YAML(typ="safe").load(file) for file in FILES}

ACTIONS = {
    "actions/cache@v5",
    "actions/checkout@v6",
    "actions/download-artifact@v7",
    "actions/setup-python@v6",
    "actions/upload-artifact@v6",
}

GH = """#!/bin/bash
printf '%s\\n' "$*" >> "$SEEN"
for word; do case "$word" in body=@*) cat "${word#body=@}" >> "$SEEN" ;; esac; done
case "$*" in *--paginate*) printf '%s' "$COMMENTS" ;; esac
"""

HARNESS = """#!/bin/bash
exec python -P -m harness "$@"
"""

both = pytest.mark.parametrize("name", WORKFLOWS)


@both
def test_a_workflow_fits_githubs_schema(name: str) -> None:
    check = ("-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows")
    file = EXAMPLES / "ci" / f"{name}.yml"
    done = subprocess.run([sys.executable, *check, file], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@both
def test_a_workflow_has_the_fewest_permissions(name: str) -> None:
    workflow = WORKFLOWS[name]
    assert workflow["permissions"] == {"contents": "read"}
    jobs = workflow["jobs"]
    assert "permissions" not in jobs["measure"]
    assert jobs["comment"]["permissions"] == {"pull-requests": "write"}
    # The job that may write runs no code of the pull request.
    assert not any("checkout" in step.get("uses", "") for step in jobs["comment"]["steps"])
    assert set(workflow["on"]) == {"pull_request"}
    for job in jobs.values():
        assert job["timeout-minutes"]
        for step in job["steps"]:
            assert (
                "uses" in step or "${{" not in step["run"]
            )  # otherwise a title could run commands
            assert step.get("uses", "actions/cache@v5") in ACTIONS


@both
def test_a_workflow_checks_out_both_versions_and_caches_builds(name: str) -> None:
    steps = {step["uses"].partition("@")[0]: step for step in steps_of(name, "measure", "uses")}
    assert steps["actions/checkout"]["with"]["fetch-depth"] == 0
    kept = steps["actions/cache"]["with"]["path"]
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("XDG_CACHE_HOME", raising=False)
        assert Path(kept).expanduser() == cache_folder()
    sent = steps["actions/upload-artifact"]["with"]["path"].split()
    assert sent == ["comment.md", "ab.xml"]


def test_the_two_workflows_differ_only_in_what_they_install_and_measure() -> None:
    ours, theirs = (WORKFLOWS[name]["jobs"] for name in ("harness-ab", "plugin-ab"))
    assert ours["comment"] == theirs["comment"]
    kept = [step for step in ours["measure"]["steps"] if step.get("name") != "Install"]
    assert kept == [step for step in theirs["measure"]["steps"] if step.get("name") != "Install"]


# Its shell


def steps_of(workflow: str, job: str, kind: str) -> list[dict[str, Any]]:
    return [step for step in WORKFLOWS[workflow]["jobs"][job]["steps"] if kind in step]


@dataclass
class Runner:
    """Runs the steps of jobs in a checkout, as a GitHub runner does.

    Args:
        folder: contains the checkout and everything else that the runner writes.
        changes: values that replace variables of the workflow.
    """

    folder: Path
    changes: dict[str, str]
    outputs: dict[str, str] = field(default_factory=dict)

    @property
    def checkout(self) -> Path:
        return self.folder / "checkout"

    def run(self, workflow: str, job: str) -> int:
        """Run a job; the status of the first step that fails, or 0."""
        job_steps = WORKFLOWS[workflow]["jobs"][job]
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
                "GITHUB_STEP_SUMMARY": str(self.folder / "summary.md"),
                "PATH": f"{self.folder}:{self.folder / 'env' / 'bin'}:{os.environ['PATH']}",
                "RUNNER_TEMP": str(self.folder),
                "SEEN": str(self.folder / "seen"),
                "XDG_CACHE_HOME": str(self.folder / "cache"),
            }
            given = (
                WORKFLOWS[workflow].get("env", {}) | job_steps.get("env", {}) | step.get("env", {})
            )
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
            "github.workflow": "harness ab",
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


NEAREST_MEAN = EXAMPLES / "harness-nearest-mean"
CLASSIFIER = Path("harness_nearest_mean") / "classifier.py"


def slowed(pause: float) -> dict[str, str]:
    """The example's classifier, slowed down by a pause in each prediction."""
    text = (NEAREST_MEAN / CLASSIFIER).read_text()
    start = "        distances ="
    assert start in text
    return {
        str(CLASSIFIER): text.replace(start, f"        __import__('time').sleep({pause})\n{start}")
    }


@pytest.mark.slow
def test_a_slower_plugin_is_reported_and_the_comment_is_updated(tmp_path: Path) -> None:
    change = slowed(0.002)
    limit = {"TIME_LIMIT": "15s", "CHOICE": "-m nearest-mean -d rings --only predict"}
    here = runner(tmp_path, NEAREST_MEAN, change, {}, **limit)
    assert here.run("plugin-ab", "measure") == 1
    comment = here.written("checkout/comment.md")
    assert comment.startswith("### 1 slower\n")
    assert "| **slower** | predict | nearest-mean, rings" in comment
    assert comment == here.written("summary.md")
    assert here.written("errors.txt").count("\n") == 2  # stderr has only the notes about builds
    suite = ET.parse(here.checkout / "ab.xml").getroot()
    assert (suite.get("tests"), suite.get("failures")) == ("1", "1")
    # The job that comments, first without and then with an earlier comment
    assert here.run("plugin-ab", "comment") == 0
    first, second, *body = here.written("seen").split("\n", 2)
    assert first.startswith("api --paginate repos/someone/something/issues/7/comments --jq")
    assert second == (
        "api --silent --method POST repos/someone/something/issues/7/comments --field body=@body.md"
    )
    assert body == [f"<!-- harness ab -->\n{comment}"]
    (tmp_path / "seen").write_text("")
    here.changes["COMMENTS"] = "12\n34\n"
    assert here.run("plugin-ab", "comment") == 0
    assert "--method PATCH repos/someone/something/issues/comments/12 --field" in (
        here.written("seen")
    )


@pytest.mark.slow
def test_a_main_that_does_not_build_is_status_2_and_the_comment_says_so(tmp_path: Path) -> None:
    project = "pyproject.toml"
    broken, mended = "nonsense [", (NEAREST_MEAN / project).read_text()
    here = runner(tmp_path, NEAREST_MEAN, {project: mended}, {project: broken})
    assert here.run("plugin-ab", "measure") == 2
    comment = here.written("checkout/comment.md")
    assert comment.startswith("### nothing was measured\n\n    ")
    assert "side 'origin/main' does not build" in comment


@pytest.mark.slow
@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="needs the files that git knows")
def test_this_repository_is_compared_with_a_change_of_it(tmp_path: Path) -> None:
    files = tmp_path / "files"
    for name in run_git(ROOT, "ls-files").splitlines():
        (files / name).parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / name).is_file():
            shutil.copy(ROOT / name, files / name)
    change = {"README.md": (ROOT / "README.md").read_text() + "\nMore.\n"}
    here = runner(tmp_path, files, change, {}, CHOICE="--kernel numpy-fast --shape 100x3")
    assert here.run("harness-ab", "measure") in {0, 1}  # two seconds are short
    comment = here.written("checkout/comment.md")
    assert "| verdict |" in comment
    assert "softmax | numpy-fast, 100x3 float32" in comment
    assert comment == here.written("summary.md")
    assert (here.checkout / "ab.xml").is_file()


@pytest.mark.parametrize("status", [0, 1, 2, 3, 4, 127])
@both
def test_the_last_step_ends_with_the_status_and_explains_it(
    tmp_path: Path, name: str, status: int
) -> None:
    *_, judge = steps_of(name, "measure", "run")
    done = subprocess.run(
        ["bash", "-eo", "pipefail", "-c", judge["run"]],
        env={"STATUS": str(status), "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
    )
    assert done.returncode == status
    assert done.stdout.count("::error title=harness ab::") == (status > 0)
