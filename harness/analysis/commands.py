"""The command line that repeats a run."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

from harness.runs.campaign import TIMEOUT, TIMING_BUDGET
from harness.trials.plan import REPEATS, SEED

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from harness.contract.values import Run

RUN = {
    "-r": ("repeats", REPEATS),
    "--seed": ("seed", SEED),
    "--timeout": ("timeout", TIMEOUT),
    "--memory": ("memory", None),
}
BENCH = {
    "--epochs": ("epochs", 200),
    "--together": ("together", 32),
    "--seed": ("seed", 0),
    "--threads": ("threads", 1),
    "--budget": ("budget", 600.0),
}
"""Options of `harness run` and `harness bench`: the setting each stands for, and its default.

The command line leaves an option out where the setting has its default.
"""


def command_of(run: Run) -> str:
    """The command line that measures the same again, without options that have their defaults."""
    asked = run.asked
    words = _bench(asked) if "bench" in asked else _run(asked)
    named = ("--name", run.name) if run.name else ()
    plugins = _each("--plugin", asked.get("plugins", ()))
    return shlex.join(["harness", *words, *plugins, *named])


def _run(asked: Mapping[str, Any]) -> Iterator[str]:
    yield "run"
    datasets, models = asked.get("datasets", ()), asked.get("models", ())
    if datasets or models:
        yield from _each("-d", datasets or ("*",))
        yield from _each("-m", models or ("*",))
    else:
        yield "--all"
    yield from _unusual(asked, RUN)
    budget = asked.get("timing_budget", TIMING_BUDGET)
    if not budget:
        yield "--no-timing"
    elif budget != TIMING_BUDGET:
        yield from ("--timing-budget", f"{budget:g}")
    if sizes := asked.get("train_sizes"):
        yield from ("--train-sizes", ",".join(map(str, sizes)))
    devices = asked.get("devices", ())
    if tuple(devices) != ("cpu",):
        yield from _each("--device", devices)
    if not asked.get("batching", True):
        yield "--no-batching"


def _bench(asked: Mapping[str, Any]) -> Iterator[str]:
    yield from ("bench", asked["bench"])
    repeatable = {"-d": "datasets", "-m": "models", "--kernel": "kernels"}
    repeatable |= {"--shape": "shapes", "--dtype": "dtypes", "--device": "devices"}
    for option, name in repeatable.items():
        yield from _each(option, asked.get(name, ()))
    yield from _unusual(asked, BENCH)


def _each(option: str, values: Iterable[str]) -> Iterator[str]:
    for value in values:
        yield from (option, value)


def _unusual(asked: Mapping[str, Any], usual: Mapping[str, tuple[str, Any]]) -> Iterator[str]:
    for option, (name, default) in usual.items():
        value = asked.get(name, default)
        if value != default:
            yield from (option, f"{value:g}" if isinstance(value, float) else str(value))
