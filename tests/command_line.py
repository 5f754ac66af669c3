"""Functions that run the command line, git and virtual environments for tests."""

from __future__ import annotations

import io
import subprocess
import sys
import sysconfig
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import pytest

from harness.cli import main


@dataclass(frozen=True)
class Done:
    """The result of a command: its exit status and what it wrote to stdout and stderr."""

    status: int
    printed: str
    remarks: str


def harness_in(folder: Path, *words: str, columns: int | str = 200) -> Done:
    """Run `harness` in a folder, in this process."""
    printed, remarks = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.delenv("HARNESS_STORE", raising=False)
        patch.setenv("COLUMNS", str(columns))
        with (
            redirect_stdout(printed),
            redirect_stderr(remarks),
            pytest.raises(SystemExit) as stop,
        ):
            main(list(words))
    return Done(int(stop.value.code or 0), printed.getvalue(), remarks.getvalue())


def complaint_of(done: Done) -> str:
    """The error message of a command that failed with status 2; the message is one line."""
    assert done.status == 2, done
    assert not done.printed
    assert done.remarks.startswith("harness: ")
    assert done.remarks.count("\n") == 1
    return done.remarks


def run_git(folder: Path, *words: str) -> str:
    """The output of a git command in a folder; git needs no settings of the user."""
    who = ("-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false")
    command = ["git", "-C", str(folder), *who, *words]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def commit(folder: Path, files: dict[str, str]) -> str:
    """Write these files, commit everything in the folder, and return the commit's hash."""
    for name, text in files.items():
        (folder / name).write_text(text)
    run_git(folder, "add", "-A")
    run_git(folder, "commit", "-q", "--allow-empty", "-m", "a change")
    return run_git(folder, "rev-parse", "HEAD")


def environment(place: Path, **modules: str) -> Path:
    """Make a virtual environment with these modules and all packages of this environment."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", place], check=True)
    (site,) = place.glob("lib/python*/site-packages")
    # Without the standard library: pip builds packages where only that can be imported.
    library = Path(sysconfig.get_path("stdlib"))
    paths = [
        path
        for path in sys.path
        if Path(path).is_dir() and Path(path) not in (library, library / "lib-dynload")
    ]
    (site / "rest.pth").write_text("\n".join(paths) + "\n")
    for name, text in modules.items():
        (site / f"{name}.py").write_text(text)
    return site
