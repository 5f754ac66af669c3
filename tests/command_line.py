"""The command line as tests of it use it: what it did, and a repository to do it in."""

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
    """What a command did."""

    status: int
    printed: str
    remarks: str


def harness_in(folder: Path, *words: str, columns: int | str = 200) -> Done:
    """Run the command in a folder, in this process."""
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
    """The one clear line of a command that could not do what it was asked to."""
    assert done.status == 2, done
    assert not done.printed
    assert done.remarks.startswith("harness: ")
    assert done.remarks.count("\n") == 1
    return done.remarks


def run_git(folder: Path, *words: str) -> str:
    """What git says, as an author who has no settings."""
    who = ("-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false")
    command = ["git", "-C", str(folder), *who, *words]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def commit(folder: Path, files: dict[str, str]) -> str:
    """A commit of all that is in a folder, these files written before; its hash."""
    for name, text in files.items():
        (folder / name).write_text(text)
    run_git(folder, "add", "-A")
    run_git(folder, "commit", "-q", "--allow-empty", "-m", "a change")
    return run_git(folder, "rev-parse", "HEAD")


def environment(place: Path, **modules: str) -> Path:
    """A virtual environment that has all that this one has, by paths, and these modules."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", place], check=True)
    (site,) = place.glob("lib/python*/site-packages")
    # The standard library stays in its place: pip builds packages where no others are to be seen.
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
