"""Runs git, in the same way for the whole harness."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

LOCAL = (
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_CONFIG",
    "GIT_CONFIG_COUNT",
    "GIT_CONFIG_PARAMETERS",
    "GIT_DIR",
    "GIT_GRAFT_FILE",
    "GIT_IMPLICIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_INTERNAL_SUPER_PREFIX",
    "GIT_NAMESPACE",
    "GIT_NO_REPLACE_OBJECTS",
    "GIT_OBJECT_DIRECTORY",
    "GIT_PREFIX",
    "GIT_REPLACE_REF_BASE",
    "GIT_SHALLOW_FILE",
    "GIT_WORK_TREE",
)
"""Environment variables of a git hook (`git rev-parse --local-env-vars`). They would make git
use the user's repository in place of the one in the given folder."""

PATIENCE = 60.0
"""Seconds that git may take to answer, long enough for a slow disk."""


def command(folder: Path, *arguments: str) -> list[str]:
    """The command line that runs git in a folder."""
    # Without this option, `git status` may write to the user's index.
    return ["git", "--no-optional-locks", "-C", str(folder), *arguments]


def git(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str] | None:
    """Run a git command in a folder; None if git is missing or does not answer in time."""
    env = {name: value for name, value in os.environ.items() if name not in LOCAL}
    try:
        return subprocess.run(  # noqa: S603  # no shell
            command(folder, *arguments),
            capture_output=True,
            encoding="utf-8",
            errors="surrogateescape",  # as Python treats file names
            check=False,
            timeout=PATIENCE,
            env=env | {"LC_ALL": "C"},
        )
    except (OSError, subprocess.TimeoutExpired):
        return None


def line(folder: Path, *arguments: str) -> str:
    """The output of a git command, stripped; empty if the command fails."""
    process = git(folder, *arguments)
    return process.stdout.strip() if process and process.returncode == 0 else ""
