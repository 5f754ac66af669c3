"""Runs the course notebook; ``python tests/course.py`` also writes its output into the file."""

from __future__ import annotations

import base64
import io
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from PIL import Image

FILE = Path(__file__).parent.parent / "docs" / "notebook.ipynb"
COLOURS = 32
"""Colours of the pictures that are kept: enough for lines, at a fifth of the bytes."""


def executed(folder: Path) -> nbformat.NotebookNode:
    """The notebook with the output that its cells have now; they run in a folder.

    Raises:
        nbclient.exceptions.CellExecutionError: a cell raised an error.
    """
    notebook = nbformat.read(FILE, as_version=4)
    resources = {"metadata": {"path": str(folder)}}
    client = NotebookClient(
        notebook, kernel_name="python3", resources=resources, record_timing=False
    )
    return client.execute()


def smaller(picture: str) -> str:
    """A PNG picture as base64, with few colours."""
    file = io.BytesIO()
    image = Image.open(io.BytesIO(base64.b64decode(picture))).convert("RGB")
    image.quantize(COLOURS).save(file, "PNG", optimize=True)
    return base64.b64encode(file.getvalue()).decode()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        refreshed = executed(Path(place))
    for cell in refreshed.cells:
        for output in cell.get("outputs", ()):
            if "image/png" in output.get("data", {}):
                output.data["image/png"] = smaller(output.data["image/png"])
    refreshed.metadata.language_info = {"name": "python"}  # not the version of this machine
    nbformat.write(refreshed, FILE)
