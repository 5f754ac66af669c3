"""Runs the code blocks of a tutorial in order, and refreshes the output that the tutorial shows.

A page is Markdown. Of its code blocks,

- ``sh`` holds commands, one a line. A comment ``<!-- status 1 -->`` above it names the exit status
  of its last command; otherwise every command ends with 0.
- a block whose first line is a comment with a file name, such as ``# mine.py``, is that file.
  ``<!-- at the end of mine.py -->`` above a block adds it to the file.
- ``text`` is what the last command printed. A comment above it says which part of it:
  ``<!-- first 4 lines -->``, ``<!-- stderr -->``, or ``<!-- stderr, first 4 lines -->``.

``python tests/walkthrough.py PAGE...`` writes the output of today into the pages; it keeps output
that differs from the page only in scores, times and other figures.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from command_line import Done, harness_in

if TYPE_CHECKING:
    from collections.abc import Iterator

BLOCK = re.compile(
    r"(?:^<!-- (?P<note>[^>\n]*) -->\n)?^```(?P<language>\w+)\n(?P<code>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
FILE = re.compile(r"# ([\w./-]+\.\w+)\n")
SHELL = set("$|&;<>*`(){}")
COLUMNS = 80


@dataclass(frozen=True, slots=True)
class Output:
    """An output that a page shows, and what the command printed now.

    Args:
        span: where the shown text begins and ends in the page.
        command: the last command before it.
        shown: what the page shows.
        printed: what the command printed.
    """

    span: tuple[int, int]
    command: str
    shown: str
    printed: str

    @property
    def agrees(self) -> bool:
        """Whether both have the same words and counts; figures and the order of rows may differ."""
        return words_of(self.shown) == words_of(self.printed)


def words_of(text: str) -> set[str]:
    """The words of a text, without scores and times; and its counts, each with its noun.

    >>> sorted(words_of("2 numpy-softmax  ≈.950 .940–.959"))
    ['numpy-softmax']
    >>> sorted(words_of("1,000 rows in 30 ms, 3 times as fast"))
    ['1,000 rows', 'as', 'fast', 'in', 'ms', 'rows', 'times']

    The sentence about the best model for its time is left out, because it follows from times:

    >>> sorted(words_of("Best: a.\\nIf time matters: b\\n  is fast.\\nFailed: nothing."))
    ['Best', 'Failed', 'a', 'nothing']
    """
    text = re.sub(r"^If time matters:.*\n(  .*\n)*", "", text, flags=re.MULTILINE)
    counts = re.findall(r"(?<![\w.,≈–-])\d[\d,]* (?!times\b)[a-z]{4,}(?![\w-])", text)
    return {*re.findall(r"[^\W\d_][\w'-]*", text), *counts}


def walk(page: str, folder: Path) -> Iterator[Output]:
    """Run the blocks of a page in a folder, and yield each output that the page shows.

    Raises:
        AssertionError: a command ended with another exit status than the page says.
    """
    command, done = "", Done(0, "", "")
    for block in BLOCK.finditer(page):
        note, language, code = block["note"] or "", block["language"], block["code"]
        if language == "text":
            printed = done.remarks if note.startswith("stderr") else done.printed
            printed = printed.replace(str(folder), "/home/you").strip("\n")
            lines = [line.rstrip() for line in printed.splitlines()]
            if first := re.search(r"first (\d+) lines?$", note):
                lines = lines[: int(first[1])]
            yield Output(block.span("code"), command, code, "\n".join(lines) + "\n")
        elif added := re.fullmatch(r"at the end of (.+)", note):
            with (folder / added[1]).open("a") as file:
                file.write("\n\n" + code)
        elif name := FILE.match(code):
            (folder / name[1]).parent.mkdir(parents=True, exist_ok=True)
            (folder / name[1]).write_text(code)
        elif language == "sh":
            commands = code.replace("\\\n", " ").strip().splitlines()
            for command in commands:
                done = _done(command, folder)
                last = note.startswith("status ") and command == commands[-1]
                wanted = int(note.split()[1]) if last else 0
                assert done.status == wanted, f"{command}\n{done.printed}\n{done.remarks}"


def _done(command: str, folder: Path) -> Done:
    words = shlex.split(command, comments=True)
    if words[0] == "harness" and not SHELL & set(re.sub(r"'[^']*'", "", command)):
        # In this process: starting another takes longer than most commands.
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("HARNESS_RUN_NO_PROGRESS", "1")
            return harness_in(folder, *words[1:], columns=COLUMNS)
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=folder,
        env=os.environ | {"PATH": path, "COLUMNS": str(COLUMNS)},
        capture_output=True,
        text=True,
    )
    return Done(done.returncode, done.stdout, done.stderr)


def outputs_of(page: str) -> list[Output]:
    """The outputs of a page, whose blocks run in a new folder with a short path."""
    with tempfile.TemporaryDirectory() as folder:
        return list(walk(page, Path(folder)))


def refreshed(page: str) -> str:
    """The page with the output of today where it has other words."""
    for output in reversed(outputs_of(page)):
        if not output.agrees:
            start, end = output.span
            page = page[:start] + output.printed + page[end:]
    return page


if __name__ == "__main__":
    for file in map(Path, sys.argv[1:]):
        file.write_text(refreshed(file.read_text(encoding="utf-8")), encoding="utf-8")
