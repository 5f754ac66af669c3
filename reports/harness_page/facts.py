"""The end of a page: trials without scores, and the environment of the run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from harness.analysis.names import baselines
from harness.sheets.grids import Grid, of_rows
from harness.words import plural

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from harness import Frames, Run


def failures(table: pd.DataFrame) -> Iterator[Grid]:
    """A table of the trials without scores, if there are any."""
    if len(table):
        heads = ("dataset", "model", "device", "repeat", "status", "reason")
        rows = ([str(row[name]) for name in heads] for row in table.to_dict("records"))
        yield of_rows("failures", "Trials without scores", heads, rows, named=1)


def environment(frames: Frames) -> Iterator[Grid]:
    """The environment of the run, as the store has it."""
    environment = frames.run.environment
    machine = environment.get("machine", {})
    facts = [
        (name, str(machine[name])) for name in ("processor", "cores", "system") if name in machine
    ]
    if "memory" in machine:
        facts.append(("memory", f"{machine['memory'] / 2**30:.1f} GiB"))
    if "python" in environment:
        facts.append(("Python", environment["python"]))
    if project := environment.get("project"):
        facts.append(("project", _revision(project)))
    facts += [
        (f"package {name}", str(version))
        for name, version in environment.get("packages", {}).items()
    ]
    for name, plugin in environment.get("plugins", {}).items():
        revision = f", {_revision(plugin['git'])}" if plugin.get("git") else ""
        facts.append((f"plugin {name}", f"code {plugin['digest']}{revision}"))
    if facts:
        yield of_rows("environment", "Environment of the run", ("what", "value"), facts)


def counts(frames: Frames) -> str:
    """The number of models, baselines, datasets and trials."""
    results = frames.results
    if results.empty:
        return "no trials"
    ignorant = baselines(frames) & set(results["model"])
    numbers = (
        plural(results["model"].nunique() - len(ignorant), "model"),
        *([plural(len(ignorant), "baseline")] if ignorant else []),
        plural(results["dataset"].nunique(), "dataset"),
        plural(len(results), "trial"),
    )
    return " · ".join(numbers)


def origin(frames: Frames) -> str:
    """Which results were taken from earlier runs."""
    results = frames.results[frames.results["status"] != "skipped"]
    n = plural(len(results), "result")
    if frames.run.joined:
        return f"The newest {n} of {_runs(frames.run.joined)}."
    ids = results.get("run_id", pd.Series(dtype=int))
    earlier = ids[ids != frames.run.id]
    if earlier.empty:
        return f"none; all {n} are new." if len(results) > 1 else "none; the only result is new."
    verb = "comes" if len(earlier) == 1 else "come"
    return f"{len(earlier)} of {n} {verb} from {_runs(sorted(set(earlier.tolist())))}."


def commands(run: Run) -> tuple[tuple[str, str], ...]:
    """What readers may want to do next, each with its command."""
    names = " ".join(str(each) for each in run.joined or (run.id,))
    return (
        ("Rank on your table", "harness run -d TABLE.csv --target COLUMN"),
        ("Rank your model", "harness run -m FILE.py:CLASS"),
        ("This page again", f"harness report {names} --html page.html"),
    )


def _runs(ids: Sequence[int]) -> str:
    """Runs in words.

    >>> _runs([3, 4, 7])
    'runs 3, 4 and 7'
    """
    return (
        f"runs {', '.join(map(str, ids[:-1]))} and {ids[-1]}" if len(ids) > 1 else f"run {ids[0]}"
    )


def _revision(git: Mapping[str, Any]) -> str:
    return f"revision {str(git['revision'])[:12]}" + (", with changes" if git.get("dirty") else "")
