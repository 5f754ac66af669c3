"""The raw trace: a line of JSON for each measurement; lines are only appended."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from pathlib import Path

Line: TypeAlias = dict[str, Any]


class Trace:
    """The lines of a file; each measurement run continues after the last line.

    Args:
        path: path of the file, which is created with the first line.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lines: list[Line] = []
        if path.exists():
            whole = path.read_text(encoding="utf-8")
            kept, _, cut_off = whole.rpartition("\n")
            self.lines = [json.loads(line) for line in kept.splitlines()]
            if cut_off:  # a measurement run was killed while it wrote this line
                path.write_text(kept + "\n" if kept else "", encoding="utf-8")

    def add(self, kind: str, **values: Any) -> Line:
        """Append a line and flush it to disk."""
        line = {"kind": kind, **values}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line, separators=(",", ":")) + "\n")
            file.flush()
            os.fsync(file.fileno())
        self.lines.append(line)
        return line

    def of(self, kind: str) -> list[Line]:
        """The lines of this kind, in order."""
        return [line for line in self.lines if line["kind"] == kind]
