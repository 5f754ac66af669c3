"""A site replaces its own files in a folder, and leaves everybody else's alone."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest

from harness.errors import PluginError, UsageError
from harness.interchange.publication import MARKER, publish, require_folder

if TYPE_CHECKING:
    from pathlib import Path

FIRST = {"index.html": b"one", "data/a.csv": b"a", "models/old/x.html": b"x"}
SECOND = {"index.html": b"two", "data/a.csv": b"a", "data/b.csv": b"b"}


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != MARKER)
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def test_the_files_are_written_to_a_new_folder(tmp_path: Path) -> None:
    done = publish(tmp_path / "a" / "site", FIRST, "report 'x'")
    assert contents(tmp_path / "a" / "site") == FIRST
    assert (done.files, done.size, done.removed) == (3, 5, 0)


def test_a_second_publication_replaces_the_first(tmp_path: Path) -> None:
    publish(tmp_path, FIRST, "")
    assert publish(tmp_path, SECOND, "").removed == 1
    assert contents(tmp_path) == SECOND
    assert not (tmp_path / "models").exists()  # folders that became empty go, too


def test_files_of_others_stay(tmp_path: Path) -> None:
    others = {".git/config": b"[core]", "CNAME": b"example.org"}
    for path, content in others.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_bytes(content)
    publish(tmp_path, FIRST, "")
    (tmp_path / "models" / "old" / "mine.txt").write_bytes(b"mine")
    publish(tmp_path, SECOND, "")
    assert contents(tmp_path) == {**others, **SECOND, "models/old/mine.txt": b"mine"}


def test_a_folder_with_other_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(UsageError, match="is not empty, and `harness publish` did not write it"):
        require_folder(tmp_path)
    with pytest.raises(UsageError, match="is not empty"):
        publish(tmp_path, FIRST, "")
    assert contents(tmp_path) == {"thesis.tex": b"years of work"}


def test_a_file_of_someone_else_is_not_overwritten(tmp_path: Path) -> None:
    publish(tmp_path, FIRST, "")
    (tmp_path / "data" / "b.csv").write_bytes(b"mine")
    with pytest.raises(UsageError, match=r"b\.csv' is in the way"):
        publish(tmp_path, SECOND, "")
    assert contents(tmp_path) == {**FIRST, "data/b.csv": b"mine"}


def test_an_interrupted_publication_can_be_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(tmp_path, FIRST, "")
    (tmp_path / "data").rename(tmp_path / "data.away")
    (tmp_path / "data").write_bytes(b"")  # a file where a folder is needed
    with pytest.raises(UsageError, match="cannot write to"):
        publish(tmp_path, SECOND, "")
    (tmp_path / "data").unlink()
    (tmp_path / "data.away").rename(tmp_path / "data")
    publish(tmp_path, SECOND, "")
    assert contents(tmp_path) == SECOND


def test_a_list_of_files_cannot_remove_files_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "precious").write_bytes(b"p")
    publish(tmp_path / "site", FIRST, "")
    marker = tmp_path / "site" / MARKER
    listed = json.loads(marker.read_text())
    marker.write_text(json.dumps(listed | {"files": [*listed["files"], "../precious", 7]}))
    publish(tmp_path / "site", SECOND, "")
    assert (tmp_path / "precious").read_bytes() == b"p"


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"files": 3}'])
def test_a_broken_list_of_files_is_an_error(tmp_path: Path, text: str) -> None:
    (tmp_path / MARKER).write_text(text)
    with pytest.raises(UsageError, match="does not list the files"):
        publish(tmp_path, FIRST, "")


def test_a_file_in_place_of_the_folder_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "site").write_text("")
    with pytest.raises(UsageError, match="is a file; name a folder"):
        require_folder(tmp_path / "site")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_to_is_an_error(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(UsageError, match="cannot be written to"):
        require_folder(tmp_path / "site")


@pytest.mark.parametrize(
    ("paths", "fault"),
    [
        (["../x"], r"has the part '\.\.'"),
        (["/etc/x"], "has the part ''"),
        (["a\\b"], "some systems do not allow"),
        (["data/NUL.csv"], "which Windows reserves"),
        (["a.html", "A.html"], "has 'a.html' and 'A.html'"),
        (["a", "a/b"], "has 'a' as a file and as a folder"),
        ([MARKER], "has"),
    ],
)
def test_paths_that_are_no_files_below_the_folder_are_the_report_s_fault(
    tmp_path: Path, paths: list[str], fault: str
) -> None:
    with pytest.raises(PluginError, match=f"report 'x': its folder .*{fault}"):
        publish(tmp_path / "site", dict.fromkeys(paths, b""), "report 'x'")
    assert not (tmp_path / "site").exists()


@pytest.mark.parametrize(
    ("files", "fault"),
    [("a page", "is a str, not a mapping"), ({"index.html": "page"}, "'index.html', which is not")],
)
def test_what_is_no_folder_of_files_is_the_report_s_fault(
    tmp_path: Path, files: Any, fault: str
) -> None:
    with pytest.raises(PluginError, match=f"report 'x': its folder .*{fault}"):
        publish(tmp_path / "site", files, "report 'x'")
