"""Where a run happened, and what has changed since."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import subprocess
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

import harness
from harness.contract.registry import Origin, Registry
from harness.store.environment import changes, checkout_at, fingerprint, machine, packages

if TYPE_CHECKING:
    from pathlib import Path

THEN: dict[str, Any] = {
    "python": "3.11.7",
    "packages": {"numpy": "2.1.0", "torch": "2.13.0"},
    "plugins": {
        "numpy (classification-harness)": {"digest": "aaaa", "git": None},
        "mine (mine.py)": {"digest": "bbbb", "git": {"revision": "1", "dirty": False}},
    },
}


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout with one commit, and git's settings and ours kept apart."""
    for variable in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(variable)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    folder = tmp_path / "checkout"
    folder.mkdir()
    (folder / "model.py").write_text("x = 1\n")
    run_git(folder, "init", "--quiet")
    run_git(folder, "config", "user.name", "A. Author")
    run_git(folder, "config", "user.email", "author@example.org")
    run_git(folder, "add", "model.py")
    run_git(folder, "commit", "--quiet", "--message", "Begin")
    return folder


def run_git(folder: Path, *words: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(folder), *words], check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def test_a_checkout_is_told_by_its_revision(repository: Path) -> None:
    revision = run_git(repository, "rev-parse", "HEAD")
    expected = {"revision": revision, "dirty": False}
    assert checkout_at(repository) == checkout_at(repository / "model.py") == expected


def test_a_checkout_is_dirty_where_a_tracked_file_has_changed(repository: Path) -> None:
    (repository / "notes.txt").write_text("not tracked")
    assert checkout_at(repository) == {
        "revision": run_git(repository, "rev-parse", "HEAD"),
        "dirty": False,
    }
    (repository / "model.py").write_text("x = 2\n")
    found = checkout_at(repository)
    assert found is not None
    assert found["dirty"] is True


def test_a_link_to_a_checkout_has_its_revision(repository: Path) -> None:
    link = repository.parent / "link"
    link.symlink_to(repository)
    assert checkout_at(link / "model.py") == checkout_at(repository / "model.py")


def test_a_repository_without_a_commit_has_no_revision(repository: Path) -> None:
    empty = repository.parent / "empty"
    empty.mkdir()
    run_git(empty, "init", "--quiet")
    assert checkout_at(empty) is None


def test_what_is_no_checkout_has_no_revision(repository: Path) -> None:
    assert checkout_at(repository.parent) is None
    assert checkout_at(repository.parent / "missing" / "file.py") is None


def test_an_installed_package_is_not_told_by_a_checkout_around_it(repository: Path) -> None:
    """A virtual environment may well lie inside somebody's checkout."""
    inside = repository / "venv" / "site-packages" / "package"
    inside.mkdir(parents=True)
    assert checkout_at(inside) is None


def test_without_git_there_is_no_revision(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    assert checkout_at(repository) is None


def test_nothing_has_changed_between_equal_fingerprints() -> None:
    assert changes(THEN, json.loads(json.dumps(THEN))) == []


@pytest.mark.parametrize(
    ("now", "phrases"),
    [
        ({"python": "3.12.1"}, ["Python was 3.11.7 and is 3.12.1"]),
        (
            {"packages": {"numpy": "2.2.0", "torch": "2.13.0"}},
            ["package 'numpy' was 2.1.0 and is 2.2.0"],
        ),
        (
            {"packages": {"numpy": "2.1.0", "skorch": "1.0"}},
            ["package 'skorch' is new", "package 'torch' is gone"],
        ),
        (
            {"plugins": THEN["plugins"] | {"mine (mine.py)": {"digest": "cccc", "git": None}}},
            ["the code of plugin 'mine (mine.py)' has changed"],
        ),
        (
            {"plugins": {"other (pkg)": {"digest": "dddd", "git": None}}},
            [
                "plugin 'mine (mine.py)' is gone",
                "plugin 'numpy (classification-harness)' is gone",
                "plugin 'other (pkg)' is new",
            ],
        ),
    ],
)
def test_what_may_change_a_score_is_told(now: dict[str, Any], phrases: list[str]) -> None:
    assert changes(THEN, THEN | now) == phrases


def test_a_revision_alone_changes_no_score() -> None:
    """The digest tells whether the plugin's code has changed; a commit may be of anything."""
    mine = THEN["plugins"]["mine (mine.py)"] | {"git": {"revision": "2", "dirty": True}}
    assert changes(THEN, THEN | {"plugins": THEN["plugins"] | {"mine (mine.py)": mine}}) == []


def test_packages_are_told_by_what_is_imported_from_them() -> None:
    found = packages(["sklearn.linear_model", "json", "no_such_package"], ["no-such-plugin"])
    assert found["scikit-learn"] == importlib.metadata.version("scikit-learn")
    assert found["numpy"] == importlib.metadata.version("numpy")
    assert found["no-such-plugin"] == "not installed"
    assert list(found) == sorted(found)
    assert not {"json", "no_such_package"} & set(found)


def test_the_machine_is_told_in_plain_values() -> None:
    found = machine()
    assert found["cores"] == os.cpu_count()
    assert found["memory"] > 2**20
    assert found["processor"]
    assert json.loads(json.dumps(found)) == found


def test_a_fingerprint_has_each_plugin_s_code_and_what_its_models_require(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(repository)
    file = repository / "model.py"
    module = ModuleType("model")
    model = harness.Model("mine", lambda setting: None, requires=("hypothesis",))  # type: ignore[arg-type, return-value]
    module.harness_models = harness.hookimpl(lambda: [model])  # type: ignore[attr-defined]
    registry = Registry([(Origin("model", "model", path=str(file)), module)], [])

    before = fingerprint(registry)
    assert json.loads(json.dumps(before)) == before
    assert before["python"] == platform.python_version()
    assert before["packages"]["hypothesis"] == importlib.metadata.version("hypothesis")
    assert before["project"] == checkout_at(repository)
    assert before["plugins"][f"model ({file})"]["git"] == checkout_at(repository)

    file.write_text("x = 2\n")
    assert changes(before, fingerprint(registry)) == [
        f"the code of plugin 'model ({file})' has changed"
    ]
