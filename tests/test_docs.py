"""The docs agree with the code."""

from __future__ import annotations

import re
import runpy
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from command_line import harness_in
from course import executed
from walkthrough import outputs_of, refreshed

import harness
import harness.testing
from harness.contract.registry import KINDS, load
from harness.testing import check_model

if TYPE_CHECKING:
    from types import ModuleType

DOCS = Path(__file__).parent.parent / "docs"
README = DOCS.parent / "README.md"


def test_every_hook_is_documented() -> None:
    text = (DOCS / "plugins.md").read_text()
    for kind in KINDS:
        assert f"`harness_{kind}()`" in text


@pytest.mark.parametrize(("page", "module"), [("api", harness), ("testing", harness.testing)])
def test_the_reference_names_all_of_the_public_face(page: str, module: ModuleType) -> None:
    text = (DOCS / "reference" / f"{page}.md").read_text()
    assert [n for n in module.__all__ if not re.search(rf"\b{n}\b", text)] == []


def test_the_architecture_picture_shows_every_package_of_the_core() -> None:
    text = (DOCS / "design.md").read_text()
    picture = text[text.index("harness/\n") : text.index("plugins/  ")]
    drawn = set(re.findall(r"^    ([\w.]+)", picture, re.MULTILINE))
    core = DOCS.parent / "harness"
    rooms = {path.parent.name for path in core.glob("*/*.py")}
    assert drawn == rooms | {path.name for path in core.glob("*.py")}


def test_the_ten_lines_of_the_page_on_running_are_a_model(tmp_path: Path) -> None:
    pytest.importorskip("sklearn")
    match = re.search(
        r"```python\n(# knn\.py\n.*?)```", (DOCS / "running.md").read_text(), re.DOTALL
    )
    assert match
    code = match[1]
    assert len([line for line in code.splitlines() if line.strip()]) <= 10
    (tmp_path / "knn.py").write_text(code)
    check_model(load([str(tmp_path / "knn.py")]).models["my-knn"])


def test_the_plugins_page_shows_plugins_that_load(tmp_path: Path) -> None:
    blocks = re.findall(
        r"```python\n(import harness\n.*?)```", (DOCS / "plugins.md").read_text(), re.DOTALL
    )
    assert len(blocks) == 4
    for number, code in enumerate(blocks):
        (tmp_path / f"block{number}.py").write_text(code)
    registry = load([str(tmp_path / f"block{number}.py") for number in range(4)])
    assert "my-knn" in registry.models
    assert "half" in registry.datasets
    assert "my-cost" in registry.metrics
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


def test_the_tutorial_about_tables_shows_what_its_commands_print(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`show` prints the same, `run` the same notes; all models that run by default are ranked."""
    text = (DOCS / "tables.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```(sh|text)\n(.*?)```", text, re.DOTALL)
    commands = [
        line
        for kind, block in blocks
        if kind == "sh"
        for line in block.splitlines()
        if "openml" not in line  # its server is not ours
    ]
    shown = [block for kind, block in blocks if kind == "text"]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["churn.py"])
    runpy.run_path(str(DOCS / "examples" / "churn.py"))
    printed = {}
    for command in commands:
        _, *words = shlex.split(command)
        if words[0] == "run":
            words += [word for word in ("--no-timing", "-r", "1") if word not in words]
            words += [] if "-m" in words else ["-m", "numpy-softmax"]  # all take long
        if command.startswith("harness"):
            done = harness_in(tmp_path, *words, columns=80)
            assert done.status == 0, done.remarks
            printed[command] = done
    first = printed["harness run -d churn.csv --target churned"]
    for note in shown[0].splitlines():
        assert note in first.remarks
    shipped = [name for name, model in load().models.items() if model.by_default]
    ranked = models_in(shown[1])
    assert len(ranked) == len(shipped)
    # The table folds long names.
    assert all(any(name.startswith(part) for name in shipped) for part in ranked)
    columns = printed["harness show churn.csv --target churned"].printed
    assert without_folder(columns) == without_folder(shown[2])


def test_a_page_whose_output_or_status_is_wrong_is_found() -> None:
    texts = "".join(f"\n```text\n{text}\n```\n" for text in ("3 rows in 5 ms", "4 rows in 7 ms"))
    page = "```sh\necho 3 rows in 7 ms\n```\n" + texts
    assert [output.agrees for output in outputs_of(page)] == [True, False]
    assert refreshed(page) == page.replace("4 rows", "3 rows")
    with pytest.raises(AssertionError, match="false"):
        outputs_of("```sh\nfalse\n```\n")
    assert outputs_of("<!-- status 1 -->\n```sh\nfalse\n```\n") == []


@pytest.mark.slow
@pytest.mark.parametrize("name", ["table", "classifier", "notebook", "leaderboard"])
def test_a_tutorial_shows_what_its_commands_print(name: str) -> None:
    """Every block runs, in order, with the exit status that the page gives."""
    outputs = outputs_of((DOCS / "tutorials" / f"{name}.md").read_text(encoding="utf-8"))
    assert outputs
    for output in outputs:
        assert output.agrees, f"{output.command}\n{output.printed}\n`make docs` refreshes the page"


@pytest.mark.slow
def test_the_course_notebook_runs(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    cells = [cell for cell in executed(tmp_path).cells if cell.cell_type == "code"]
    assert len(cells) == 10
    assert [output.output_type for output in cells[1].outputs] == ["execute_result"]
    assert "NaN" in cells[1].outputs[0].data["text/plain"]  # the naive softmax: 0/0
    for cell in cells[6:9]:
        assert "image/png" in cell.outputs[0].data
    assert "data:image/gif" in cells[9].outputs[0].data["text/html"]


def without_folder(shown: str) -> list[str]:
    """The lines without spaces at their ends, except those that name the folder."""
    text = re.sub(r"^from .*?(?=^splits)", "", shown.rstrip(), flags=re.DOTALL | re.MULTILINE)
    return [line.rstrip() for line in text.splitlines()]


def models_in(table: str) -> list[str]:
    """Names of the models in a ranking, whose rows begin with a rank."""
    return re.findall(r"^ *\d+ +(\S+)", table, re.MULTILINE)
