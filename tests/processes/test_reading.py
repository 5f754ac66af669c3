"""Which files a process has read, and whether their content is what it was."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from harness.processes import reading
from harness.processes.reading import LONGEST, MANY, MOST, Contents, paths_of

if TYPE_CHECKING:
    from pathlib import Path

BEGIN = """
import json, os, sys
from harness.processes.reading import FilesRead
read = FilesRead(sys.argv[1:])
"""
END = "\nprint(json.dumps(read.paths()))\n"


def read_by(folder: Path, code: str, *known: str) -> list[str]:
    """The files that code reads in a process of its own, relative to a folder."""
    command = [sys.executable, "-c", BEGIN + code + END, *known]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    paths: list[str] = json.loads(done.stdout)
    return [path.removeprefix(f"{folder.resolve()}{os.sep}") for path in paths]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("one.txt", "two.txt", "three.py", "inner/four.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("1")
    return tmp_path


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("open('one.txt')", ["one.txt"]),
        ("open(b'one.txt', 'rb')", ["one.txt"]),
        ("os.open('one.txt', os.O_RDONLY)", ["one.txt"]),
        ("from pathlib import Path; Path('inner', '..', 'one.txt').read_text()", ["one.txt"]),
        ("os.chdir('inner'); open('four.txt'); os.chdir('..')", ["inner/four.txt"]),
        ("os.symlink('one.txt', 'link'); open('link')", ["one.txt"]),
        ("sys.path.insert(0, '.'); import three; del sys.modules['three']; import three",
         ["three.py"]),
        ("import ctypes\ntry: ctypes.CDLL('./none.so')\nexcept OSError: pass", ["none.so"]),
        ("try: open('none.txt')\nexcept OSError: pass", ["none.txt"]),
        ("import threading as t; (s := t.Thread(target=open, args=['one.txt'])).start(); s.join()",
         ["one.txt"]),
        ("open('new.txt', 'w'); open('new.txt')", []),
        ("open('one.txt', 'r+')", []),
        ("open('one.txt'); open('one.txt', 'a')", []),
        ("import numpy, sklearn.datasets; sklearn.datasets.load_iris()", []),
        ("open('/proc/self/status'); open('/etc/hostname'); open(os.devnull)", []),
        ("open(os.open('/dev/null', os.O_RDONLY))", []),
        ("try: open(object())\nexcept TypeError: pass", []),
        ("try: open('one\\0.txt')\nexcept ValueError: pass", []),
    ],
)  # fmt: skip
def test_files_that_python_opens_to_read_are_noted(
    folder: Path, code: str, expected: list[str]
) -> None:
    assert read_by(folder, code) == expected


def test_files_whose_content_is_known_otherwise_are_left_out(folder: Path) -> None:
    code = "for name in ('one.txt', 'two.txt', 'inner/four.txt'): open(name)"
    known = (str(folder / "one.txt"), str(folder / "inner"))
    assert read_by(folder, code, *known) == ["two.txt"]


def test_a_process_that_reads_very_many_files_is_never_known_again(folder: Path) -> None:
    code = "for i in range(2000): open(f'{i}.txt', 'w').close() if i < 0 else None\n"
    code += "for i in range(2000):\n try: open(f'{i}.txt')\n except OSError: pass"
    paths = read_by(folder, code)
    assert len(paths) == MOST + 1
    contents = Contents()
    digests = contents.of(paths)
    assert [path for path, digest in digests.items() if contents.digest(path) != digest] == [
        MANY[0]
    ]


def test_a_digest_follows_the_content_and_not_the_time(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = folder / "one.txt"
    before = Contents().digest(str(file))
    os.utime(file, (1, 1))
    assert Contents().digest(str(file)) == before
    file.write_text("2")
    assert Contents().digest(str(file)) != before
    monkeypatch.setattr(reading, "WHOLE", 3)
    file.write_text("12345")
    long = Contents().digest(str(file))
    file.write_text("1234567")
    assert Contents().digest(str(file)) != long


@pytest.mark.parametrize("path", ["none.txt", "inner", "a\0b", "x" * 5000, "*", ""])
def test_what_is_no_file_has_a_digest_too(
    folder: Path, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.chdir(folder)
    assert Contents().digest(path) in ("missing", "no file")


@pytest.mark.parametrize(
    "answer",
    [None, {}, {"read": "a"}, {"read": {"a": 1}}, {"read": [1, "", "x" * (LONGEST + 1)]},
     {"read": ["a"] * (MOST + 2)}],
)  # fmt: skip
def test_a_malformed_answer_names_no_file(answer: Any) -> None:
    assert paths_of(answer) == []
