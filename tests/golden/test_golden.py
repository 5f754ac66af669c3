"""Every command prints, writes and returns what its transcript says; see README.md."""

from __future__ import annotations

import difflib
import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from command_line import harness_in
from golden.scrubbing import read, scrubbed

pytestmark = pytest.mark.usefixtures("known_plugins")

HERE = Path(__file__).parent
TRANSCRIPTS = sorted((HERE / "transcripts").glob("*.txt"))
STORE = "harness.db"
STORES = r"\.db(-wal|-shm)?$"
COLUMNS = "120"

PROMPT = "$ "


@pytest.mark.parametrize("transcript", TRANSCRIPTS, ids=lambda path: path.stem)
def test_commands_do_what_their_transcript_says(
    transcript: Path, tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    shutil.copy(HERE / "store.db", tmp_path / STORE)
    shutil.copy(HERE / "plugin.py", tmp_path / "made.py")
    before = transcript.read_text(encoding="utf-8")
    commands = [line.removeprefix(PROMPT) for line in before.splitlines() if is_command(line)]
    after = "\n".join(done(command, tmp_path) for command in commands)
    if pytestconfig.getoption("--update-golden"):
        transcript.write_text(after, encoding="utf-8")
    elif before != after:
        names = (f"{transcript.name}, kept", f"{transcript.name}, now")
        changes = difflib.unified_diff(before.splitlines(), after.splitlines(), *names, lineterm="")
        pytest.fail(
            "\n".join((*changes, "", "`make golden` accepts an intended change")),
            pytrace=False,
        )


def is_command(line: str) -> bool:
    """Whether a line of a transcript is a command and no output."""
    return line.startswith(PROMPT)


def done(command: str, folder: Path) -> str:
    """A command, its exit status, what it printed, and the files that it wrote."""
    before = contents(folder)
    words = shlex.split(command)
    columns = words.pop(0).partition("=")[2] if words[0].startswith("COLUMNS=") else COLUMNS
    parts = [PROMPT + command]
    if words[0] == "harness":
        run = harness_in(folder, *words[1:], columns=columns)
        parts.append(f"exit status {run.status}")
        about = shlex.join(words[1:])
        for name, text in (("stdout", run.printed), ("stderr", run.remarks)):
            if text:
                parts += [f"--- {name}", scrubbed(text, about, folder)]
        after = contents(folder)
        for name in sorted(after):
            if before.get(name) != after[name]:
                parts += [f"--- {name}", scrubbed(read(folder / name), about, folder)]
    else:  # a shell command that prepares the folder
        place = os.environ | {"DATA": str(HERE.parent / "data")}
        subprocess.run(command, shell=True, cwd=folder, env=place, check=True)
    return "\n".join(parts) + "\n"


def contents(folder: Path) -> dict[str, bytes]:
    """The files in a folder by name, except the stores and compiled code."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc")
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in files
        if not re.search(STORES, path.name)
    }
