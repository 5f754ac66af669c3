"""How to add a model: what to write, and the commands that run only what is new."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from harness import Run
    from harness_site.board import Board

CLASS = """\
import numpy as np


class NearestMean:
    def __init__(self, sharpness=1.0):
        self.sharpness = sharpness

    def fit(self, X, y):
        self.means = np.array([X[y == label].mean(axis=0) for label in range(y.max() + 1)])
        return self

    def predict_proba(self, X):
        distances = ((X[:, None] - self.means) ** 2).mean(axis=2)
        P = np.exp(self.sharpness * (distances.min(axis=1, keepdims=True) - distances))
        return P / P.sum(axis=1, keepdims=True)
"""

PLUGIN = """\
import harness


@harness.hookimpl
def harness_models():
    def make(setting, *, sharpness: float = 1.0):
        return NearestMean(sharpness)

    yield harness.Model("nearest-mean", make, needs=harness.Needs(scaled=True))
"""

FILE = "nearest_mean.py"

WIDTH = 64
"""Characters of a line of a command."""

IN_A_FILE = re.compile(r"(.*?)(\[(?:.*,)?name=([^,\]]+)[,\]].*)", re.DOTALL)
"""A dataset that is a file, as a run keeps it: the file, its options in brackets, and the name."""


SIZE = re.compile(r"train_size=(\d+)")


@dataclass(frozen=True, slots=True, order=True)
class _Settings:
    """What a command must repeat, so that a new model meets the same splits."""

    seed: int
    repeats: int
    plugins: tuple[str, ...]
    sizes: str


def commands(board: Board, models: str) -> str:
    """The commands that run models on all datasets of the board, on the same splits."""
    datasets: dict[_Settings, list[str]] = {}
    for dataset, run in _newest_runs(board).items():
        given = run.asked.get("plugins", ())
        selector, sizes = _selector(dataset, dict(_files(given)))
        total = int(board.ranking.loc[board.ranking["dataset"] == dataset, "total"].max())
        plugins = tuple(_short(plugin) for plugin in given if plugin.endswith(".py"))
        settings = _Settings(int(run.asked.get("seed", 0)), total, plugins, sizes)
        datasets.setdefault(settings, []).append(selector)
    return "\n".join(
        _folded(
            [
                "harness run",
                *(f"-d {shlex.quote(name)}" for name in names),
                models,
                f"-r {settings.repeats}",
                *([f"--seed {settings.seed}"] if settings.seed else []),
                *([f"--train-sizes {settings.sizes}"] if settings.sizes else []),
                *(f"--plugin {shlex.quote(plugin)}" for plugin in settings.plugins),
            ]
        )
        for settings, names in sorted(datasets.items())
    )


def _folded(parts: Sequence[str]) -> str:
    r"""A command, wrapped to `WIDTH` characters; a longer part has a line of its own.

    >>> print(_folded(["harness run", "-d iris", "-m " + "x" * 50]))
    harness run -d iris \
        -m xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx
    """
    lines = [parts[0]]
    for part in parts[1:]:
        if len(lines[-1]) + 1 + len(part) > WIDTH:
            lines.append(f"    {part}")
        else:
            lines[-1] += f" {part}"
    return " \\\n".join(lines)


def _newest_runs(board: Board) -> dict[str, Run]:
    """For each dataset, the newest run that scores come from; else that any result comes from.

    Failures fit every split, so that their runs may have had other seeds.
    """
    by_id = {run.id: run for run in board.runs}
    results = board.frames.results
    if "run_id" not in results:
        return dict.fromkeys(board.datasets, board.frames.run)
    is_scored = results["status"] == "ok"
    without_scores = ~results["dataset"].isin(results.loc[is_scored, "dataset"])
    telling = results[is_scored | without_scores]
    newest: dict[str, int] = {}
    for dataset, run_id in zip(*(telling[n].tolist() for n in ("dataset", "run_id")), strict=True):
        newest[dataset] = max(newest.get(dataset, run_id), run_id)
    return {dataset: by_id[newest[dataset]] for dataset in board.datasets if dataset in newest}


def _files(plugins: Sequence[str]) -> Iterator[tuple[str, str]]:
    """The datasets that are files: each one's name, and how to select it."""
    for plugin in plugins:
        if match := IN_A_FILE.fullmatch(plugin):
            yield match[3].strip("'\""), _short(match[1]) + match[2]


def _short(path: str) -> str:
    """A path that tells nothing about the machine: relative as it is, of others the file's name."""
    pure = PurePosixPath(path)
    return pure.name if pure.is_absolute() or ".." in pure.parts else path


def _selector(dataset: str, files: Mapping[str, str]) -> tuple[str, str]:
    """How to select a dataset; and its number of training rows, if an option has to give it."""
    name, _, parameters = dataset.partition("[")
    if name not in files:
        return dataset, ""
    size = SIZE.search(parameters)
    return files[name], size[1] if size else ""
