"""``harness new``: a package that works as it is, and one line for a name that cannot be."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from typing import TYPE_CHECKING

import pytest
from command_line import complaint_of, harness_in

if TYPE_CHECKING:
    from pathlib import Path

KINDS = ("dataset", "model", "metric")


@pytest.fixture(scope="module", params=KINDS)
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a new package."""
    folder = tmp_path_factory.mktemp("new")
    done = harness_in(folder, "new", request.param, f"my-new-{request.param}")
    assert done.status == 0, done
    made = folder / f"my-new-{request.param}"
    files = sorted(str(file.relative_to(folder)) for file in made.rglob("*") if file.is_file())
    assert sorted(done.printed.splitlines()) == files
    return made


def kind_of(made: Path) -> str:
    return made.name.rpartition("-")[2]


def test_a_new_package_declares_its_entry_point_and_has_a_short_readme(made: Path) -> None:
    project = tomllib.loads((made / "pyproject.toml").read_text())
    module = made.name.replace("-", "_")
    assert project["project"]["name"] == made.name
    assert project["project"]["entry-points"]["classification_harness"] == {made.name: module}
    assert project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"] == [module]
    readme = (made / "README.md").read_text()
    assert readme.startswith(f"# {made.name}\n")
    assert len([line for line in readme.splitlines() if line]) <= 5
    assert f"harness check {made.name}" in readme
    assert "$" not in "".join(file.read_text() for file in made.rglob("*.*"))


def test_the_tests_of_a_new_package_pass(made: Path) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error"]
    done = subprocess.run(command, cwd=made, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout


def test_a_new_plugin_is_offered_and_keeps_the_contract(made: Path) -> None:
    kind = kind_of(made)
    plugin = str(made / made.name.replace("-", "_") / "__init__.py")
    done = harness_in(made, "check", made.name, "--plugin", plugin)
    assert done.status == 0, done.printed
    assert " 0 failed" in done.printed
    if kind == "metric":
        words = ("run", "-d", "threshold", "-m", "prior", "-r", "1", "--in-process")
        assert harness_in(made, *words).status == 0
        done = harness_in(made, "report", "--metric", made.name, "--plugin", plugin)
        assert done.status == 0, done
        assert made.name in done.printed
        return
    ran = ("-d", made.name) if kind == "dataset" else ("-d", "threshold", "-m", made.name)
    words = ("-m", "prior") if kind == "dataset" else ()
    done = harness_in(made, "run", *ran, *words, "--plugin", plugin, "-r", "1", "--no-timing")
    assert done.status == 0
    assert made.name in done.printed


@pytest.mark.parametrize(
    ("kind", "name", "complaint"),
    [
        ("model", "My Model", "'My Model' is no name for a model; write lower-case words joined"),
        ("model", "../up", "'../up' is no name for a model"),
        ("dataset", "class", "'class' is no name for a dataset"),
        ("dataset", "3rd", "'3rd' is no name for a dataset"),
        ("model", "there", "'there' exists already in this folder"),
        ("model", "numpy", "a Python module 'numpy' is installed already"),
        ("model", "sklearn-knn", "a model 'sklearn-knn' is installed already"),
        ("dataset", "iris", "a dataset 'iris' is installed already"),
    ],
)
def test_a_name_that_cannot_be_is_one_line(
    tmp_path: Path, kind: str, name: str, complaint: str
) -> None:
    (tmp_path / "there").mkdir()
    assert complaint in complaint_of(harness_in(tmp_path, "new", kind, name))
    assert [path.name for path in tmp_path.iterdir()] == ["there"]


def test_an_unknown_kind_is_one_line(tmp_path: Path) -> None:
    complaint = complaint_of(harness_in(tmp_path, "new", "report", "mine"))
    assert "'report' is not one of 'dataset', 'model', 'metric'" in complaint
