"""Sides of a comparison: what names them, and that building them changes nothing of the user's."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
from command_line import commit, run_git

from harness.errors import UsageError
from harness.versions import sides
from harness.versions.sides import cache_folder, interpreter, side_of, uncommitted

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="needs git")

PROJECT = """
[build-system]
requires = []
build-backend = "makes_a_wheel"
backend-path = ["."]

[project]
name = "tiny"
version = "1"
"""

BACKEND = """
import zipfile

def build_wheel(folder, config_settings=None, metadata_directory=None):
    name = "tiny-1-py3-none-any.whl"
    with zipfile.ZipFile(folder + "/" + name, "w") as wheel:
        wheel.write("tiny.py")
        info = "tiny-1.dist-info/"
        wheel.writestr(info + "METADATA", "Metadata-Version: 2.1\\nName: tiny\\nVersion: 1\\n")
        wheel.writestr(info + "WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\n"
                                       "Tag: py3-none-any\\n")
        wheel.writestr(info + "RECORD", "")
    return name
"""

MINE = """
import harness

@harness.hookimpl
def harness_kernels():
    yield harness.Kernel("slow", lambda array, device: array, slow, lambda out: out)

def slow(logits):
"""

SOURCE = {"pyproject.toml": PROJECT, "makes_a_wheel.py": BACKEND, "tiny.py": "VALUE = 1\n"}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "classification-harness" / "sides"


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Two revisions, v1 and HEAD."""
    folder = tmp_path / "repository"
    folder.mkdir()
    run_git(folder, "init", "-q", "-b", "main")
    commit(folder, SOURCE)
    run_git(folder, "tag", "v1")
    commit(folder, {"tiny.py": "VALUE = 2\n"})
    return folder


def value_in(python: str) -> str:
    """What the tiny project has in an environment."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    command = [python, "-c", "import tiny; print(tiny.VALUE)"]
    return subprocess.run(command, check=True, capture_output=True, text=True, env=clean).stdout


def state_of(repository: Path) -> tuple[str, ...]:
    """Everything that building a side might touch, to the byte."""
    files = (file for file in sorted(repository.rglob("*")) if file.is_file())
    digest = hashlib.sha256()
    for file in files:
        digest.update(str(file).encode() + file.read_bytes())
    found = [run_git(repository, *words.split()) for words in ("worktree list", "for-each-ref")]
    return (digest.hexdigest(), *found, run_git(repository, "symbolic-ref", "HEAD"))


# What names a side


def test_an_interpreter_and_a_virtual_environment_name_a_side(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "env"], check=True)
    for text in (str(tmp_path / "env"), str(tmp_path / "env" / "bin" / "python"), "env"):
        with side_of(text, tmp_path) as side:
            assert side.python == str(tmp_path / "env" / "bin" / "python")
            assert (side.name, side.revision, side.kind) == (text, "", "environment")
            assert side.about.startswith("the environment of")


def test_an_interpreter_that_must_not_be_run_is_none(tmp_path: Path) -> None:
    (tmp_path / "python").write_text("")
    assert interpreter(tmp_path / "python") is None
    (tmp_path / "script").write_text("")
    (tmp_path / "script").chmod(0o755)
    assert interpreter(tmp_path / "script") is None


def test_what_is_none_of_them_is_one_clear_line(tmp_path: Path, repository: Path) -> None:
    for folder, where in ((repository, "of the repository"), (tmp_path, "is in no git repository")):
        complaint = f"'nonsense' is neither a Python .*{where}"
        with pytest.raises(UsageError, match=complaint), side_of("nonsense", folder):
            pass
    none = pytest.raises(UsageError, match="'--all' is neither a Python interpreter")
    with none, side_of("--all", repository):
        pass


@pytest.mark.parametrize(("text", "said"), [("", "a side is empty"), ("~nosuch/venv", "~nosuch")])
def test_a_side_that_names_nothing_is_one_clear_line(tmp_path: Path, text: str, said: str) -> None:
    """A variable that nobody set would otherwise be the current folder."""
    with pytest.raises(UsageError, match=said), side_of(text, tmp_path):
        pass


def test_without_git_a_revision_is_unknown(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    none = pytest.raises(UsageError, match="'HEAD' is neither a Python interpreter")
    with none, side_of("HEAD", repository):
        pass


# Revisions


def test_a_revision_is_built_into_an_environment_of_its_own(repository: Path, cache: Path) -> None:
    said: list[str] = []
    with (
        side_of("v1", repository, tell=said.append) as old,
        side_of("HEAD", repository, tell=said.append) as new,
    ):
        assert (value_in(old.python), value_in(new.python)) == ("1\n", "2\n")
        assert old.revision == run_git(repository, "rev-parse", "v1")
        assert old.about == f"revision {old.revision[:10]}"
        assert Path(old.python).is_relative_to(cache)
    assert said == [f"building {old.about} (v1)", f"building {new.about} (HEAD)"]


def test_a_revision_is_built_once(repository: Path, cache: Path) -> None:
    said: list[str] = []
    with side_of("v1", repository, tell=said.append) as first:
        pass
    assert [place.name for place in cache.iterdir()] == [Path(first.python).parts[-3]]
    with side_of("v1^{commit}", repository, tell=said.append) as again:
        assert again.python == first.python
    assert len(said) == 1


def test_what_the_environment_here_has_fills_in_the_rest(repository: Path) -> None:
    with side_of("v1", repository) as side:
        command = [side.python, "-c", "import numpy, sys; print(sys.prefix, numpy.__version__)"]
        clean = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
        done = subprocess.run(command, check=True, capture_output=True, text=True, env=clean)
    import numpy as np

    assert done.stdout.split() == [str(Path(side.python).parents[1]), np.__version__]


def test_an_environment_whose_interpreter_is_gone_is_built_anew(repository: Path) -> None:
    with side_of("HEAD", repository) as side:
        python = Path(side.python)
    python.unlink()
    python.symlink_to("/nowhere/python")
    with side_of("HEAD", repository) as side:
        assert value_in(side.python) == "2\n"


def test_what_a_measurement_leaves_behind_is_no_change(repository: Path) -> None:
    (repository / "harness.db").write_text("")
    (repository / "comment.md").write_text("")
    assert not uncommitted(repository)
    (repository / "new.py").write_text("")
    assert uncommitted(repository)


def test_building_touches_neither_the_working_tree_nor_the_repository(repository: Path) -> None:
    (repository / "tiny.py").write_text("VALUE = 3\n")
    (repository / "new.py").write_text("")
    before = state_of(repository)
    for text in ("v1", "HEAD", str(repository)):
        with side_of(text, repository):
            pass
    assert uncommitted(repository)
    assert state_of(repository) == before


def test_a_git_hook_s_environment_leads_to_no_checkout_in_the_user_s_repository(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = state_of(repository)
    with monkeypatch.context() as patch:
        patch.setenv("GIT_DIR", str(repository / ".git"))
        patch.setenv("GIT_WORK_TREE", str(repository))
        patch.setenv("GIT_INDEX_FILE", str(repository / ".git" / "index"))
        with side_of("v1", repository) as side:
            assert value_in(side.python) == "1\n"
    assert state_of(repository) == before


def test_a_revision_of_a_shallow_clone_is_built(tmp_path: Path, repository: Path) -> None:
    """As CI has them, where the base is a remote's branch."""
    shallow = tmp_path / "shallow"
    url = f"file://{repository}"
    run_git(tmp_path, "clone", "-q", "--depth", "1", url, str(shallow))
    run_git(shallow, "fetch", "-q", "--depth", "1", "origin", "tag", "v1")
    run_git(shallow, "update-ref", "refs/remotes/origin/base", run_git(shallow, "rev-parse", "v1"))
    run_git(shallow, "tag", "-d", "v1")
    with side_of("origin/base", shallow) as side:
        assert value_in(side.python) == "1\n"


def test_a_revision_is_built_from_a_folder_of_the_repository_and_from_a_worktree(
    tmp_path: Path, repository: Path
) -> None:
    (repository / "inner").mkdir()
    run_git(repository, "worktree", "add", "-q", str(tmp_path / "tree"), "v1")
    for folder in (repository / "inner", tmp_path / "tree"):
        with side_of("main", folder) as side:
            assert value_in(side.python) == "2\n"


BROKEN: dict[str, tuple[dict[str, str | None], str]] = {
    "no project": ({"pyproject.toml": None}, "no pyproject.toml at its top has a project"),
    "no TOML": ({"pyproject.toml": "nonsense ["}, "cannot install"),
    "a backend that raises": ({"makes_a_wheel.py": "raise OSError('a disc')"}, "a disc"),
    "a backend that is not there": ({"makes_a_wheel.py": None}, "makes_a_wheel"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_revision_that_does_not_build_is_one_line_and_leaves_nothing(
    repository: Path, cache: Path, case: str
) -> None:
    files, complaint = BROKEN[case]
    for name, text in files.items():
        (repository / name).unlink()
        if text is not None:
            (repository / name).write_text(text)
    run_git(repository, "commit", "-qam", "broken")
    before = state_of(repository)
    with pytest.raises(UsageError) as error, side_of("HEAD", repository):
        pass
    assert str(error.value).startswith("side 'HEAD' does not build: ")
    assert complaint in str(error.value)
    assert "\n" not in str(error.value)
    assert list(cache.iterdir()) == []
    assert state_of(repository) == before


@pytest.mark.parametrize("text", ["HEAD", "."])
@pytest.mark.parametrize("when", ["clone", "make an environment", "install"])
def test_an_interrupted_build_leaves_nothing(
    repository: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, when: str, text: str
) -> None:
    before = state_of(repository)
    done = sides._do

    def interrupted(name: str, what: str, *command: str | Path, **how: Any) -> str:
        found = done(name, what, *command, **how)
        if what == when:
            raise KeyboardInterrupt
        return found

    monkeypatch.setattr(sides, "_do", interrupted)
    if text == "." and when == "clone":
        pytest.skip("a checkout is not cloned")
    with pytest.raises(KeyboardInterrupt), side_of(text, repository):
        pass
    assert list(cache.iterdir()) == []
    assert state_of(repository) == before


SLEEPER = """
import os, time
open(os.environ["TOLD"], "w").write(str(os.getpid()))
time.sleep(600)
"""


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("when", ["building", "measuring"])
def test_who_is_told_to_stop_leaves_nothing_and_nobody(
    repository: Path, cache: Path, tmp_path: Path, number: signal.Signals, when: str
) -> None:
    """A side, or a plugin of both sides, tells its process and then takes forever."""
    told, scratch = tmp_path / "told", tmp_path / "scratch"
    scratch.mkdir()
    if when == "building":
        commit(repository, {"makes_a_wheel.py": SLEEPER})
        words = ["ab", "HEAD", "HEAD", "--kernel", "numpy-fast"]
    else:
        (tmp_path / "mine.py").write_text(MINE + textwrap.indent(SLEEPER, "    "))
        words = ["ab", "--kernel", "slow", "slow", "--plugin", str(tmp_path / "mine.py")]
    # As on a terminal; what a shell starts in the background ignores the signal.
    code = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        f"from harness.cli import main; main({words!r})"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=repository,
        env=os.environ | {"TOLD": str(told), "TMPDIR": str(scratch)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    deadline = time.monotonic() + 120
    while not (told.exists() and told.read_text()) and time.monotonic() < deadline:
        time.sleep(0.05)
    before = state_of(repository)
    process.send_signal(number)
    printed, said = process.communicate(timeout=300)
    assert process.returncode == 128 + number
    assert printed == b""
    assert b"Traceback" not in said
    assert not cache.exists() or list(cache.iterdir()) == []
    assert list(scratch.iterdir()) == []
    assert not runs(int(told.read_text()))
    assert state_of(repository) == before


def runs(pid: int) -> bool:
    """Whether a process does; one that ended may wait for somebody to ask how."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_what_a_killed_build_left_is_removed_by_the_next_and_what_is_alive_stays(
    repository: Path, cache: Path
) -> None:
    code = (
        "import os, signal, sys; from pathlib import Path; from harness.versions import sides\n"
        "with sides._workshop() as shop:\n"
        "    (shop / 'source').mkdir()\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False)
    assert done.returncode == -9
    (left,) = cache.iterdir()
    with sides._workshop() as alive:
        assert [*cache.iterdir()] == [alive]
        with side_of("v1", repository):
            assert not left.exists()
            assert alive.exists()
    assert not list(cache.glob("building-*"))


def test_another_process_that_was_quicker_with_the_same_revision_is_no_fault(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install = sides._install

    def slow(name: str, source: Path, project: Path, environment: Path) -> None:
        install(name, source, project, environment)
        monkeypatch.setattr(sides, "_install", install)
        with side_of("v1", repository):
            pass

    monkeypatch.setattr(sides, "_install", slow)
    with side_of("v1", repository) as side:
        assert value_in(side.python) == "1\n"
    assert len(list(cache_folder().iterdir())) == 1


def test_a_cache_that_cannot_be_written_to_is_told_with_the_way_out(
    tmp_path: Path, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(UsageError, match="set XDG_CACHE_HOME"), side_of("v1", repository):
        pass


# Checkouts


def test_a_checkout_is_built_with_what_is_changed_and_new_in_it(
    repository: Path, cache: Path
) -> None:
    (repository / ".gitignore").write_text("ignored.py\n")
    (repository / "ignored.py").write_text("")
    (repository / "more").symlink_to("tiny.py")
    changed = (BACKEND + "import os; assert not os.path.exists('ignored.py'), 'it is here'\n",)
    (repository / "makes_a_wheel.py").write_text(changed[0])
    (repository / "tiny.py").write_text("VALUE = 3\n")
    with side_of(".", repository) as side:
        assert value_in(side.python) == "3\n"
        assert side.about == f"{repository} as it is, with uncommitted changes"
        assert side.revision == run_git(repository, "rev-parse", "HEAD")
        assert side.kind == "checkout"
    assert not Path(side.python).exists()
    assert list(cache.iterdir()) == []


def test_a_folder_within_a_checkout_names_all_of_it_where_one_is_in_it(
    tmp_path: Path, repository: Path
) -> None:
    inner = repository / "some" / "where"
    inner.mkdir(parents=True)
    for text in (".", "..", str(repository), "../.."):
        with side_of(text, inner) as side:
            assert value_in(side.python) == "2\n"
            assert side.about == f"{repository} as it is"
    # Where one is not, it may be meant to be something else.
    for text, folder in (("some", repository), ("some/where", repository), ("../../..", inner)):
        none = pytest.raises(UsageError, match=f"'{text}' is neither a Python interpreter")
        with none, side_of(text, folder):
            pass


def test_a_clean_checkout_is_not_said_to_be_changed(repository: Path) -> None:
    with side_of(str(repository), repository.parent) as side:
        assert side.about == f"{repository} as it is"


@pytest.mark.parametrize("name", ["ä b.py", b"\xff.py".decode(errors="surrogateescape")])
def test_a_checkout_with_odd_names_is_built(repository: Path, name: str) -> None:
    (repository / name).write_text("")
    with side_of(".", repository) as side:
        assert value_in(side.python) == "2\n"


def test_a_deleted_file_of_a_checkout_is_not_missed(repository: Path) -> None:
    commit(repository, {"other.py": ""})
    (repository / "other.py").unlink()
    with side_of(".", repository) as side:
        assert value_in(side.python) == "2\n"


# Links, submodules, and projects in a folder


LINKED = BACKEND.replace(
    'wheel.write("tiny.py")', 'wheel.writestr("tiny.py", open("linked/value.py").read())'
)


@pytest.mark.parametrize("kind", ["a folder within", "a folder outside", "a file", "absolute"])
def test_a_link_is_copied_as_a_link(tmp_path: Path, repository: Path, kind: str) -> None:
    inside, outside = repository / "real", tmp_path / "elsewhere"
    for folder in (inside, outside):
        folder.mkdir()
        (folder / "value.py").write_text("VALUE = 'linked'\n")
    link = repository / "linked"
    if kind == "a file":
        link.mkdir()
        (link / "value.py").symlink_to("../real/value.py")
    else:
        link.symlink_to(
            {"a folder within": "real", "a folder outside": "../elsewhere"}.get(kind, str(inside))
        )
    (repository / "to-nowhere").symlink_to("nowhere")
    commit(repository, {"makes_a_wheel.py": LINKED})
    before = state_of(repository)
    with side_of(".", repository) as side:
        assert value_in(side.python) == "linked\n"
    if kind != "a folder outside":  # git has it lead out of its own checkout
        with side_of("HEAD", repository) as side:
            assert value_in(side.python) == "linked\n"
    assert state_of(repository) == before


@pytest.fixture
def nested(tmp_path: Path, repository: Path) -> Path:
    """The repository with a submodule in a submodule, from which its value comes."""
    inner, outer = tmp_path / "inner", tmp_path / "outer"
    for folder, files in ((inner, {"value.py": "VALUE = 'inner'\n"}), (outer, {"a.txt": ""})):
        folder.mkdir()
        run_git(folder, "init", "-q", "-b", "main")
        commit(folder, files)
    add = ("-c", "protocol.file.allow=always", "submodule", "--quiet", "add")
    run_git(outer, *add, str(inner), "within")
    commit(outer, {})
    run_git(repository, *add, "--name", "other name", str(outer), "modules/outer")
    update = ("submodule", "--quiet", "update", "--init", "--recursive")
    run_git(repository, "-c", "protocol.file.allow=always", *update)
    backend = LINKED.replace("linked/value.py", "modules/outer/within/value.py")
    commit(repository, {"makes_a_wheel.py": backend})
    for origin in (inner, outer):  # what is built comes from nowhere else
        shutil.rmtree(origin)
    return repository


@pytest.mark.parametrize("text", [".", "HEAD"])
def test_submodules_are_there_in_what_is_built(nested: Path, text: str) -> None:
    before = state_of(nested)
    with side_of(text, nested) as side:
        assert value_in(side.python) == "inner\n"
    assert state_of(nested) == before


def test_a_change_in_a_submodule_is_in_the_checkout_as_it_is(nested: Path) -> None:
    (nested / "modules" / "outer" / "within" / "value.py").write_text("VALUE = 'changed'\n")
    with side_of(".", nested) as side:
        assert value_in(side.python) == "changed\n"
        assert "with uncommitted changes" in side.about


def test_a_submodule_whose_files_are_gone_is_still_known_to_git(nested: Path) -> None:
    run_git(nested, "submodule", "--quiet", "deinit", "--force", "--all")
    with side_of("HEAD", nested) as side:
        assert value_in(side.python) == "inner\n"


@pytest.mark.parametrize("text", [".", "HEAD"])
def test_a_submodule_that_is_not_here_is_named(tmp_path: Path, nested: Path, text: str) -> None:
    clone, told = tmp_path / "clone", list[str]()
    run_git(tmp_path, "clone", "-q", str(nested), str(clone))
    with pytest.raises(UsageError, match="does not build"), side_of(text, clone, tell=told.append):
        pass
    (said,) = [line for line in told if "its submodule" in line]
    assert f"{text} is built without its submodule 'modules/outer'" in said
    assert "`git submodule update --init --recursive` fetches it" in said


@pytest.fixture
def several(tmp_path: Path) -> Path:
    """A repository of two projects, none at its top."""
    folder = tmp_path / "several"
    for name in ("one", "two"):
        (folder / "packages" / name / "tests").mkdir(parents=True)
        for file, text in SOURCE.items():
            (folder / "packages" / name / file).write_text(text.replace("= 1", f"= '{name}'"))
        settings = "[tool.ruff]\nline-length = 99\n"
        (folder / "packages" / name / "tests" / "pyproject.toml").write_text(settings)
    run_git(folder, "init", "-q", "-b", "main")
    commit(folder, {"pyproject.toml": "[tool.ruff]\n"})
    return folder


@pytest.mark.parametrize(
    ("text", "place", "value"),
    [
        (".", "packages/one", "one"),
        ("HEAD", "packages/two", "two"),
        (".", "packages/two/tests", "two"),
        ("HEAD", "packages/one/tests", "one"),
        ("packages/two", "", "two"),
        ("../two", "packages/one", "two"),
    ],
)
def test_a_project_in_a_folder_of_a_repository_is_a_side(
    several: Path, text: str, place: str, value: str
) -> None:
    with side_of(text, several / place) as side:
        assert value_in(side.python) == f"{value}\n"


@pytest.mark.parametrize("text", [".", "HEAD"])
def test_where_there_are_several_projects_they_are_named(several: Path, text: str) -> None:
    told = r"go into one of its projects: packages/one, packages/two$"
    with pytest.raises(UsageError, match=told), side_of(text, several):
        pass
