"""The command line that repeats a run."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

from harness.runs.campaign import TIMEOUT, TIMING_BUDGET
from harness.trials.plan import REPEATS, SEED

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from harness.contract.values import Run

    AskedSettings = Mapping[str, Any]
    """A run's settings, from the JSON in the store."""

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
    """The command line that measures the same again, without options that have their defaults.

    Of several runs that were put together, the one that does so again.
    """
    if run.joined:
        return shlex.join(["harness", "report", *map(str, run.joined)])
    settings = run.asked
    arguments = _bench(settings) if "bench" in settings else _run(settings)
    name_option = ("--name", run.name) if run.name else ()
    plugin_options = _each("--plugin", settings.get("plugins", ()))
    return shlex.join(["harness", *arguments, *plugin_options, *name_option])


def _run(settings: AskedSettings) -> Iterator[str]:
    yield "run"
    datasets, models = settings.get("datasets", ()), settings.get("models", ())
    if datasets or models:
        yield from _each("-d", datasets)
        yield from _each("-m", models)
    else:
        yield "--all"
    yield from _each("--metric", settings.get("metrics", ()))
    yield from _unusual(settings, RUN)
    budget = settings.get("timing_budget", TIMING_BUDGET)
    if not budget:
        yield "--no-timing"
    elif budget != TIMING_BUDGET:
        yield from ("--timing-budget", f"{budget:g}")
    if sizes := settings.get("train_sizes"):
        yield from ("--train-sizes", ",".join(map(str, sizes)))
    devices = settings.get("devices", ())
    if tuple(devices) != ("cpu",):
        yield from _each("--device", devices)
    if not settings.get("batching", True):
        yield "--no-batching"


def _bench(settings: AskedSettings) -> Iterator[str]:
    yield from ("bench", settings["bench"])
    repeatable = {"-d": "datasets", "-m": "models", "--kernel": "kernels"}
    repeatable |= {"--shape": "shapes", "--dtype": "dtypes", "--device": "devices"}
    for option, name in repeatable.items():
        yield from _each(option, settings.get(name, ()))
    yield from _unusual(settings, BENCH)


def _each(option: str, values: Iterable[str]) -> Iterator[str]:
    for value in values:
        yield from (option, value)


def _unusual(settings: AskedSettings, defaults: Mapping[str, tuple[str, Any]]) -> Iterator[str]:
    for option, (name, default) in defaults.items():
        value = settings.get(name, default)
        if value is not None and value != default:
            yield from (option, f"{value:g}" if isinstance(value, float) else str(value))
