"""Completion of the command line in shells, as docs/running.md describes it."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path


def completed(folder: Path, line: str) -> list[str]:
    """What bash offers for the last word of a line."""
    words = line.split(" ")
    environment = {
        **os.environ,
        "_HARNESS_COMPLETE": "bash_complete",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(words) - 1),
    }
    command = "import sys; sys.argv[0] = 'harness'; from harness.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", command],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert not done.stderr
    return [each.partition(",")[2] for each in done.stdout.split()]


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("harness ru", ["run", "runs"]),
        ("harness run --no-pr", ["--no-progress"]),
        ("harness run -d thr", ["three-integers", "threshold"]),
        ("harness run -d iris -m numpy", ["numpy-softmax"]),
        ("harness bench training -m torch-", ["torch-mlp"]),
        ("harness list ker", ["kernels"]),
    ],
)
def test_the_last_word_is_completed(tmp_path: Path, line: str, offered: list[str]) -> None:
    assert completed(tmp_path, line) == offered


def test_names_of_a_given_plugin_are_completed(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "import harness\n"
        "print('loaded')\n\n"
        "@harness.hookimpl\n"
        "def harness_models():\n"
        "    yield harness.Model('mine-own', lambda setting: None)\n"
    )
    assert completed(tmp_path, "harness run --plugin mine.py -m mine") == ["mine-own"]


def test_a_plugin_that_cannot_be_used_completes_nothing(tmp_path: Path) -> None:
    assert completed(tmp_path, "harness run --plugin nowhere.py -m numpy") == []
