"""Shipped plugins are ordinary plugins: the rest works, or says what is missing, without them."""

from __future__ import annotations

import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from harness.contract import openers
from harness.contract.registry import GROUP

STORE = Path(__file__).parent / "golden" / "store.db"

SHIPPED = {
    entry.name: entry.value
    for entry in importlib.metadata.distribution("classification-harness").entry_points
    if entry.group == GROUP
}
OPENERS = {
    entry.name: entry.value
    for entry in importlib.metadata.distribution("classification-harness").entry_points
    if entry.group == openers.GROUP
}

HIDE = """
import sys


class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == {package!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)


sys.meta_path.insert(0, Hidden())
"""

COMMANDS = """
import contextlib, io, json, sys
from harness.cli import main

done = []
for words in json.loads(sys.argv[1]):
    printed, remarks = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(remarks):
        try:
            main(words)
        except SystemExit as end:
            status = end.code
    done.append([status, printed.getvalue(), remarks.getvalue()])
print(json.dumps(done))
"""

MINE = """
import numpy as np

import harness


class Halves:
    def fit(self, X, y):
        pass

    def predict_proba(self, X):
        return np.full((len(X), 2), 0.5)


def split(rng):
    X = rng.normal(size=(40, 2))
    y = (X[:, 0] > 0).astype(int)
    return harness.Split(X[:20], y[:20], X[20:], y[20:])


@harness.hookimpl
def harness_models():
    yield harness.Model("halves", lambda setting: Halves())


@harness.hookimpl
def harness_datasets():
    yield harness.Dataset("points", "fresh", split)
"""


def without(package: str, folder: Path, *commands: list[str]) -> list[tuple[int, str, str]]:
    """Status, stdout and stderr of commands where one shipped plugin is not installed."""
    site = folder / "site"
    info = site / "classification_harness-0.1.0.dist-info"
    info.mkdir(parents=True)
    ours = importlib.metadata.distribution("classification-harness")
    (info / "METADATA").write_text(ours.read_text("METADATA") or "")
    kept = [f"{name} = {value}" for name, value in SHIPPED.items() if value != package]
    opening = [f"{k} = {v}" for k, v in OPENERS.items() if v.partition(":")[0] != package]
    texts = [f"[{GROUP}]", *kept, f"[{openers.GROUP}]", *opening, ""]
    (info / "entry_points.txt").write_text("\n".join(texts))
    (site / "sitecustomize.py").write_text(HIDE.format(package=package))
    shutil.copy(STORE, folder / "harness.db")
    (folder / "mine.py").write_text(MINE)
    environment = dict(os.environ) | {"COLUMNS": "100"}
    environment["PYTHONPATH"] = os.pathsep.join(
        [str(site), *filter(None, [environment.get("PYTHONPATH")])]
    )
    done = subprocess.run(
        [sys.executable, "-c", COMMANDS, json.dumps(commands)],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return [(status, out, err) for status, out, err in json.loads(done.stdout)]


LIST = ["list", "plugins"]
RUN = ["run", "--plugin", "mine.py", "-d", "points", "-m", "halves"]
RUN += ["-r", "1", "-j", "1", "--store", "new.db"]
EACH = {
    "tables": ["report", "base"],
    "page": ["report", "kernels", "--html", "page.html"],
    "site": ["publish", "board", "base"],
    "versus": ["report", "base", "--versus"],
    "pictures": ["plot", "fit-time", "base"],
    "numpy": [
        "run",
        "-d",
        "points",
        "-m",
        "numpy-softmax",
        "--plugin",
        "mine.py",
        "--store",
        "a.db",
    ],
    "torch": ["run", "-d", "points", "-m", "torch-mlp", "--plugin", "mine.py", "--store", "a.db"],
    "sklearn": ["show", "sklearn-knn"],
    "scores": ["report", "base", "--metric", "mcc"],
    "boosters": ["show", "catboost"],
    "toys": ["show", "threshold"],
    "classics": ["show", "iris"],
}
OTHERS = {
    "tables": ("page", "versus", "pictures"),
    "page": ("tables", "versus", "site"),
    "site": ("tables", "page"),
    "versus": ("tables",),
    "pictures": ("page", "tables"),
}
"""Reports to try when a plugin of reports is removed; for other plugins, only the tables."""


@pytest.mark.parametrize("name", SHIPPED)
def test_without_a_shipped_plugin_everything_that_does_not_need_it_works(
    name: str, tmp_path: Path
) -> None:
    assert set(EACH) == set(SHIPPED)
    readers = [EACH[other] for other in OTHERS.get(name, ("tables",))]
    done = without(SHIPPED[name], tmp_path, LIST, RUN, EACH[name], *readers)
    (listed, ran, needed), rest = done[:3], done[3:]
    assert listed[0] == 0
    assert SHIPPED[name] not in listed[1]
    assert ran[0] == 0, ran
    assert ("halves" in ran[1]) == (name != "tables")
    for words, (status, _, remarks) in zip(readers, rest, strict=True):
        assert status == 0, (words, remarks)
    status, printed, remarks = needed
    assert status == 2, needed
    assert not printed
    assert len(remarks.splitlines()) == 1


def test_without_what_opens_files_everything_else_works(tmp_path: Path) -> None:
    (tmp_path / "points.csv").write_text("x,y\n1,a\n2,b\n", encoding="utf-8")
    (iris, ranking, why), (file, _, said) = without(
        "harness_files",
        tmp_path,
        [
            "run",
            *["-d", "iris", "-m", "numpy-softmax", "-r", "1", "--no-timing", "--store", "new.db"],
        ],
        ["run", "-d", "points.csv", "--target", "y"],
    )
    assert iris == 0, ranking + why
    assert file == 2
    assert "no installed plugin opens files that end in .csv" in said
