"""The workflows that compare speed follow GitHub's schema, and their shell keeps its promises."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from command_line import run_git
from workflows import runner, steps_of, workflow_of

from harness.versions.sides import cache_folder

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "docs" / "examples"
FILES = sorted((EXAMPLES / "ci").glob("*.yml"))
WORKFLOWS = {file.stem: workflow_of(file) for file in FILES}

ACTIONS = {
    "actions/cache@v5",
    "actions/checkout@v6",
    "actions/download-artifact@v7",
    "actions/setup-python@v6",
    "actions/upload-artifact@v6",
}

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
    steps = {
        step["uses"].partition("@")[0]: step
        for step in steps_of(WORKFLOWS[name], "measure", "uses")
    }
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
    assert here.run(WORKFLOWS["plugin-ab"], "measure") == 1
    comment = here.written("checkout/comment.md")
    assert comment.startswith("### 1 slower\n")
    assert "| **slower** | predict | nearest-mean, rings" in comment
    assert comment == here.written("summary.md")
    assert here.written("errors.txt").count("\n") == 2  # stderr has only the notes about builds
    suite = ET.parse(here.checkout / "ab.xml").getroot()
    assert (suite.get("tests"), suite.get("failures")) == ("1", "1")
    # The job that comments, first without and then with an earlier comment
    assert here.run(WORKFLOWS["plugin-ab"], "comment") == 0
    first, second, *body = here.written("seen").split("\n", 2)
    assert first.startswith("api --paginate repos/someone/something/issues/7/comments --jq")
    assert second == (
        "api --silent --method POST repos/someone/something/issues/7/comments --field body=@body.md"
    )
    assert body == [f"<!-- harness ab -->\n{comment}"]
    (tmp_path / "seen").write_text("")
    here.changes["COMMENTS"] = "12\n34\n"
    assert here.run(WORKFLOWS["plugin-ab"], "comment") == 0
    assert "--method PATCH repos/someone/something/issues/comments/12 --field" in (
        here.written("seen")
    )


@pytest.mark.slow
def test_a_main_that_does_not_build_is_status_2_and_the_comment_says_so(tmp_path: Path) -> None:
    project = "pyproject.toml"
    broken, mended = "nonsense [", (NEAREST_MEAN / project).read_text()
    here = runner(tmp_path, NEAREST_MEAN, {project: mended}, {project: broken})
    assert here.run(WORKFLOWS["plugin-ab"], "measure") == 2
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
    assert here.run(WORKFLOWS["harness-ab"], "measure") in {0, 1}  # two seconds are short
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
    *_, judge = steps_of(WORKFLOWS[name], "measure", "run")
    done = subprocess.run(
        ["bash", "-eo", "pipefail", "-c", judge["run"]],
        env={"STATUS": str(status), "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
    )
    assert done.returncode == status
    assert done.stdout.count("::error title=harness ab::") == (status > 0)
