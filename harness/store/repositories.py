"""The one way in which git is asked something."""

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
"""Of a git hook's environment (`git rev-parse --local-env-vars`), what would make a checkout in a
folder of ours one of the user's repository."""

PATIENCE = 60.0
"""Seconds that git may take for an answer; on a slow disk it may need some."""


def asked(folder: Path, *words: str) -> subprocess.CompletedProcess[str] | None:
    """What git answers about the repository that a folder is in; None without git or an answer."""
    env = {name: value for name, value in os.environ.items() if name not in LOCAL}
    try:
        return subprocess.run(  # noqa: S603  # no shell
            # A status would otherwise write what it found out into the user's index.
            ["git", "--no-optional-locks", "-C", str(folder), *words],  # noqa: S607  # the user's
            capture_output=True,
            encoding="utf-8",
            errors="surrogateescape",  # as Python does with names of files
            check=False,
            timeout=PATIENCE,
            env=env | {"LC_ALL": "C"},
        )
    except (OSError, subprocess.TimeoutExpired):
        return None


def line(folder: Path, *words: str) -> str:
    """What git prints, stripped; empty where it fails."""
    done = asked(folder, *words)
    return done.stdout.strip() if done and done.returncode == 0 else ""
