"""The docs agree with the code."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from harness.contract.registry import KINDS, load

DOCS = Path(__file__).parent.parent / "docs"
README = DOCS.parent / "README.md"


def test_every_hook_is_documented() -> None:
    text = (DOCS / "plugins.md").read_text()
    for kind in KINDS:
        assert f"`harness_{kind}()`" in text


def test_the_architecture_picture_shows_every_package_of_the_core() -> None:
    text = (DOCS / "design.md").read_text()
    picture = text[text.index("harness/\n") : text.index("plugins/  ")]
    drawn = set(re.findall(r"^    ([\w.]+)", picture, re.MULTILINE))
    core = DOCS.parent / "harness"
    rooms = {path.parent.name for path in core.glob("*/*.py")}
    assert drawn == rooms | {path.name for path in core.glob("*.py")}


def test_the_ten_lines_of_the_readme_are_a_model(tmp_path: Path) -> None:
    pytest.importorskip("sklearn")
    match = re.search(r"```python\n(# knn\.py\n.*?)```", README.read_text(), re.DOTALL)
    assert match
    code = match[1]
    assert len([line for line in code.splitlines() if line.strip()]) <= 10
    (tmp_path / "knn.py").write_text(code)
    assert "my-knn" in load([str(tmp_path / "knn.py")]).models
    done = subprocess.run(
        [sys.executable, "-m", "harness", "check", "my-knn", "--plugin", "knn.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_the_plugins_page_shows_plugins_that_load(tmp_path: Path) -> None:
    blocks = re.findall(
        r"```python\n(import harness\n.*?)```", (DOCS / "plugins.md").read_text(), re.DOTALL
    )
    assert len(blocks) == 3
    for number, code in enumerate(blocks):
        (tmp_path / f"block{number}.py").write_text(code)
    registry = load([str(tmp_path / f"block{number}.py") for number in range(3)])
    assert "my-knn" in registry.models
    assert "half" in registry.datasets
    assert "my-softmax" in registry.kernels


def test_the_gallery_shows_every_kind_of_picture_and_its_command() -> None:
    from harness_pictures import KINDS as PICTURES

    text, script = ((DOCS / name).read_text() for name in ("gallery.md", "gallery/make.sh"))
    commands = re.findall(r"^harness plot .*$", text, re.MULTILINE)
    assert commands == re.findall(r"^harness plot .*$", script, re.MULTILINE)
    assert {command.split()[2] for command in commands} == set(PICTURES)
    for command in commands:
        file = command.split()[-1]
        assert f"(gallery/{file})" in text
        assert (DOCS / "gallery" / file).read_text().lstrip().startswith("<?xml")


def test_the_gallery_shows_the_commands_that_filled_its_store() -> None:
    text, script = ((DOCS / name).read_text() for name in ("gallery.md", "gallery/make.sh"))
    shown = re.findall(r"```sh\n(harness run .*?)\n```", text, re.DOTALL)
    filled = script.partition("# What is drawn.\n")[2].partition("\n\n# The pictures")[0]
    # Options that only silence the script and choose its folders.
    for aside in (" > /dev/null", " || test $? = 1", " --no-progress"):
        filled = filled.replace(aside, "")
    assert shown == [filled.replace('"$work/kernel.py"', "kernel.py")]
