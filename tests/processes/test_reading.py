"""Which files a process has read, and whether their content is what it was."""

from __future__ import annotations

import _json
import json
import os
import shutil
import subprocess
import sys
import tempfile
from typing import TYPE_CHECKING, Any

import pytest

from harness.processes import reading
from harness.processes.reading import CHANGED, LONGEST, MANY, MOST, Contents, mark_of, noted_in

if TYPE_CHECKING:
    from pathlib import Path

TEMPORARY = tempfile.gettempdir()
BEGIN = """
import json, os, sys
from harness.processes.reading import FilesRead
plugin, *known = sys.argv[1:]
read = FilesRead(plugin, known)
"""
END = "\nprint(json.dumps(read.noted()))\n"


def noted_by(folder: Path, code: str, *known: str) -> dict[str, Any]:
    """What code reads in a process of its own, whose plugin is in the folder ``plugin``."""
    command = [sys.executable, "-c", BEGIN + code + END, str(folder / "plugin" / "mine.py"), *known]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    noted: dict[str, Any] = json.loads(done.stdout)
    return {name.replace(str(folder.resolve()), "HERE"): mark for name, mark in noted.items()}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("one.txt", "two.txt", "three.py", "inner/four.txt", "plugin/five.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("1")
    (tmp_path / "link").symlink_to("inner")
    return tmp_path


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("open('one.txt')", ["one.txt"]),
        ("open(b'one.txt', 'rb')", ["one.txt"]),
        ("open(os.path.abspath('one.txt'))", ["HERE/one.txt"]),
        ("os.open('one.txt', os.O_RDONLY)", ["one.txt"]),
        ("import io, pathlib; io.FileIO(pathlib.Path('one.txt'))", ["one.txt"]),
        ("open('inner/../one.txt')", ["inner/../one.txt"]),
        ("open('plugin/five.txt')", ["{plugin}/five.txt"]),
        ("os.chdir('inner'); open('four.txt'); os.chdir('..')", ["HERE/inner/four.txt"]),
        ("open('link/four.txt')", ["link/four.txt"]),
        ("sys.path.insert(0, '.'); import three; del sys.modules['three']; import three",
         ["HERE/three.py"]),
        ("import ctypes\ntry: ctypes.CDLL('./none.so')\nexcept OSError: pass", ["./none.so"]),
        ("try: open('none.txt')\nexcept OSError: pass", ["none.txt"]),
        ("import threading as t; (s := t.Thread(target=open, args=['one.txt'])).start(); s.join()",
         ["one.txt"]),
        ("import sqlite3; sqlite3.connect('one.txt')", ["one.txt"]),
        ("os.listdir('inner'); list(os.scandir('plugin'))", ["inner", "{plugin}/"]),
        ("os.listdir()", ["."]),
        ("try: open('one.txt', 'x')\nexcept OSError: open('one.txt')", ["one.txt"]),
        ("sys.audit('open', 1); sys.audit('import')", []),
        ("import sqlite3; sqlite3.connect('file:one.txt?mode=ro', uri=True)", ["one.txt"]),
        ("import sqlite3; sqlite3.connect('new.db'); open('new.db')", []),
        ("a = os.path.abspath('one.txt'); os.mkdir('x'); os.chdir('x'); os.rmdir('../x'); open(a)",
         ["HERE/one.txt"]),  # its working directory is gone
        ("import tempfile; file = tempfile.TemporaryFile(); os.listdir(tempfile.gettempdir())",
         [TEMPORARY]),
        ("open('/etc/../etc/hostname'); open('../' * 40 + 'etc/hostname')", []),
        ("open('one.txt', 'r+')", ["one.txt"]),
        ("open('one.txt').read(); open('one.txt', 'w')", ["one.txt"]),
        ("import numpy; numpy.memmap('one.txt')", ["one.txt"]),
        ("open('new.txt', 'w'); open('new.txt')", []),
        ("open('one.txt', 'a')", []),
        ("import tempfile; file = tempfile.NamedTemporaryFile(); open(file.name)", []),
        ("import numpy, sklearn.datasets; sklearn.datasets.load_iris()", []),
        ("open('/proc/self/status'); open('/etc/hostname'); open(os.devnull)", []),
        ("open(os.open('/dev/null', os.O_RDONLY))", []),
        ("try: open(object())\nexcept TypeError: pass", []),
    ],
)  # fmt: skip
def test_what_python_opens_to_read_is_noted_as_it_was_written(
    folder: Path, code: str, expected: list[str]
) -> None:
    assert sorted(noted_by(folder, code)) == sorted(expected)


def test_a_compiled_module_is_noted(folder: Path) -> None:
    shutil.copy(_json.__file__, folder / "mine.so")
    code = "import importlib.util as u; spec = u.spec_from_file_location('_json', 'mine.so')\n"
    assert sorted(noted_by(folder, code + "u.module_from_spec(spec)")) == ["HERE/mine.so"]


def test_files_whose_content_is_known_otherwise_are_left_out(folder: Path) -> None:
    code = "for name in ('one.txt', 'two.txt', 'inner/four.txt'): open(name)"
    known = (str(folder / "one.txt"), str(folder / "inner"))
    assert sorted(noted_by(folder, code, *known)) == ["two.txt"]


def test_a_process_that_reads_very_many_files_is_never_known_again(folder: Path) -> None:
    code = "for i in range(2000):\n try: open(f'{i}.txt')\n except OSError: pass"
    noted = noted_by(folder, code)
    assert len(noted) == MOST + 1
    contents = Contents()
    digests = contents.of(noted, "")
    changed = [name for name, digest in digests.items() if contents.digest(name, "") != digest]
    assert changed == [MANY]


def test_files_that_a_process_makes_do_not_count_among_the_many(folder: Path) -> None:
    code = "for i in range(2000): open('new.txt', 'w'); open('new.txt'); os.remove('new.txt')\n"
    assert sorted(noted_by(folder, code + "open('one.txt')")) == ["one.txt"]


def test_the_content_counts_that_was_there_when_it_was_read(folder: Path) -> None:
    file = folder / "plugin" / "five.txt"
    noted = {"{plugin}/five.txt": mark_of(str(file))}
    before = Contents().of(noted, str(folder / "plugin"))
    assert before != dict.fromkeys(noted, CHANGED)
    file.write_text("2")
    assert Contents().of(noted, str(folder / "plugin")) == dict.fromkeys(noted, CHANGED)


def test_a_digest_follows_the_content_and_not_the_time(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = folder / "one.txt"
    before = Contents().digest(str(file), "")
    os.utime(file, (1, 1))
    assert Contents().digest(str(file), "") == before
    file.write_text("2")
    assert Contents().digest(str(file), "") != before
    monkeypatch.setattr(reading, "WHOLE", 3)
    file.write_text("12345")
    long = Contents().digest(str(file), "")
    file.write_text("1234567")
    assert Contents().digest(str(file), "") != long


def test_a_folder_counts_by_the_names_in_it(folder: Path) -> None:
    before = Contents().digest(str(folder), "")
    (folder / "one.txt").write_text("other")
    (folder / "harness.db-wal").touch()
    assert Contents().digest(str(folder), "") == before
    (folder / "new.txt").touch()
    assert Contents().digest(str(folder), "") != before


@pytest.mark.parametrize("name", ["none.txt", "a\0b", "x" * 5000, "*", "/dev/null"])
def test_what_is_no_file_is_missing(
    folder: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(folder)
    assert Contents().digest(name, "") in ("missing", "unreadable")


@pytest.mark.parametrize(
    "answer",
    [None, {}, {"read": "a"}, {"read": ["a"]}, {"read": {"": None, "x" * (LONGEST + 1): None}},
     {"read": {"a": 1, "b": [1, 2], "c": ["1", 2, 3]}},
     {"read": {str(i): None for i in range(MOST + 2)}}],
)  # fmt: skip
def test_a_malformed_answer_names_no_file(answer: Any) -> None:
    assert noted_in(answer) == {}
