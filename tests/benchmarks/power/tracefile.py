"""The raw trace: a line of JSON for everything that was measured, only ever appended to."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from pathlib import Path

Line: TypeAlias = dict[str, Any]


class Trace:
    """Lines of a file, which a measurement run adds to and the next goes on from.

    Args:
        path: of the file; made with the first line.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lines: list[Line] = []
        if path.exists():
            whole = path.read_text(encoding="utf-8")
            kept, _, cut_off = whole.rpartition("\n")
            self.lines = [json.loads(line) for line in kept.splitlines()]
            if cut_off:  # a measurement run was ended while it wrote
                path.write_text(kept + "\n" if kept else "", encoding="utf-8")

    def add(self, kind: str, **values: Any) -> Line:
        """Append a line, so that it is there whatever happens next."""
        line = {"kind": kind, **values}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line, separators=(",", ":")) + "\n")
            file.flush()
            os.fsync(file.fileno())
        self.lines.append(line)
        return line

    def of(self, kind: str) -> list[Line]:
        """The lines of a kind, first to last."""
        return [line for line in self.lines if line["kind"] == kind]
