"""``harness check``."""

from __future__ import annotations

import fnmatch
from typing import TYPE_CHECKING, Any

import click

from harness.cli import options
from harness.errors import DatasetError, UsageError, nearest
from harness.terminal.console import out

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.contract.registry import Registry
    from harness.processes.serving import Inside
    from harness.trials.discovery import Described
    from harness.trials.draw import Arrays

SUITES = "harness.testing"
SECONDS = 300.0  # time limit of a check
MEMORY_JOBS = 4  # a check fits about 60 rows: a quarter of the memory of trials is enough
NAMES = "kebab-case-name"  # not checked of a class, whose name is its author's
KINDS = ("datasets", "models", "metrics", "kernels", "reports")


@click.command(
    name="check",
    cls=options.Command,
    short_help="Check that plugins keep the rules of their interface.",
)
@click.argument("names", nargs=-1, metavar="[NAME]...")
@options.file_options
@options.plugin_option
def command(names: tuple[str, ...], plugins: tuple[str, ...], **given: Any) -> None:
    """Check that datasets, models, metrics, kernels and reports keep the rules for plugins.

    Prints one line for each check.  A NAME may be a glob, such as 'f1*'.  Without NAME, checks
    everything whose packages and devices are here, except what is slow to load.  Each check runs
    in its own process, so a check that crashes or hangs is reported, too.
    """
    files, names = options.open_named(names, given, strict=False)
    registry = options.discover((*plugins, *files), strict=False)
    unusable = {
        name: registry.models[name].obstacle
        for name in dict.fromkeys(names)
        if name in registry.models and registry.models[name].obstacle
    }
    usable = tuple(name for name in names if name not in unusable)
    if unusable and not usable:
        raise UsageError(next(iter(unusable.values())))
    subjects = _subjects(registry, usable)
    from rich.text import Text

    console = out()
    failed, passed = len(unusable), 0
    for obstacle in unusable.values():
        console.print(Text("FAIL ", "red").append(obstacle, ""), soft_wrap=True)
    for kind, name, check, reason, remark in _verdicts(registry, subjects):
        failed += reason is not None
        passed += reason is None
        line = Text("pass " if reason is None else "FAIL ", "green" if reason is None else "red")
        line.append(f"{name}: {check}" if kind else name, "")
        comment = reason if reason is not None else remark
        if comment:
            line.append(f": {comment}" if reason is not None else f" ({comment})", "")
        console.print(line, soft_wrap=True)
    console.print(f"{passed} passed, {failed} failed")
    click.get_current_context().exit(1 if failed else 0)


def _subjects(registry: Registry, names: tuple[str, ...]) -> list[tuple[str, str]]:
    """Kind and name of each dataset, model, metric, kernel and report to check.

    A name may be a glob. Items that cannot be checked here are left out unless they are named
    without one; without names, so are items that are slow to prepare.

    Raises:
        UsageError: a name matches nothing, or an item that is named cannot be checked here.
    """
    from harness.contract.registry import core

    of_core = core()  # its scores have tests of their own
    offered = [
        (kind, name)
        for kind in KINDS
        for name in getattr(registry, kind)
        if registry.origin(kind, name) != of_core
    ]
    known = [name for _, name in offered]
    wanted: set[str] = set()
    for pattern in names:
        matches = [pattern] if pattern in known else fnmatch.filter(known, pattern)
        if not matches:
            raise UsageError(f"nothing is called '{pattern}': {nearest(pattern, known)}")
        wanted.update(matches)
    chosen = []
    for kind, name in offered:
        subject = getattr(registry, kind)[name]
        if name not in wanted and (names or not getattr(subject, "by_default", True)):
            continue
        obstacle = _obstacle(registry, kind, subject)
        if name in names and obstacle:
            raise UsageError(f"'{name}' {obstacle}")
        if not obstacle:
            chosen.append((kind, name))
    return chosen


def _obstacle(registry: Registry, kind: str, subject: Any) -> str | None:
    """Why an item cannot be checked on this machine; None if it can."""
    from harness.trials.plan import importable

    missing = importable(getattr(subject, "requires", ()))
    if missing:
        return f"needs '{missing}', which is not installed here"
    # Looking for devices takes seconds, so only kernels that do not run on the CPU trigger it.
    if kind == "kernels" and "cpu" not in subject.devices:
        here = {device.kind for device in registry.devices.values()}
        if not here & set(subject.devices):
            return f"runs on {', '.join(subject.devices)} only, and no such device was found here"
    return None


def _verdicts(
    registry: Described, subjects: list[tuple[str, str]]
) -> Iterator[tuple[str, str, str, str | None, str | None]]:
    """Run all checks; yield kind, name, check, reason of failure (None if passed) and remark."""
    from harness.processes.client import Limits, finish
    from harness.trials.executors.local import share_of_memory

    limits = Limits(SECONDS, share_of_memory(MEMORY_JOBS))
    for kind, name in subjects:
        requires = getattr(getattr(registry, kind)[name], "requires", ())
        origin = registry.origin(kind, name)
        for check in _suite(kind):
            if origin.is_class and check.name == NAMES:
                continue
            parent = registry.parent(origin, (*requires, SUITES))
            call = parent.call(_check_there, kind, name, check.name, limits=limits)
            finish([call])
            value, failure = call.result()
            call.close()
            reason, remark = (failure.reason, None) if failure else value
            yield kind, name, check.name, reason, remark


def _suite(kind: str) -> Any:
    from harness import testing

    return {
        "datasets": testing.DATASET_CHECKS,
        "models": testing.MODEL_CHECKS,
        "metrics": testing.METRIC_CHECKS,
        "kernels": testing.KERNEL_CHECKS,
        "reports": testing.REPORT_CHECKS,
    }[kind]


def _check_there(
    inside: Inside, kind: str, name: str, check_name: str
) -> tuple[tuple[str | None, str | None], Arrays]:
    """Run one check inside a worker; give the reason of its failure or None, and a remark."""
    return _verdict(getattr(inside.held.registry, kind)[name], kind, check_name), {}


def _verdict(subject: Any, kind: str, check_name: str) -> tuple[str | None, str | None]:
    from harness.errors import describe

    check = next(check for check in _suite(kind) if check.name == check_name)
    try:
        return None, check.run(subject)
    except (AssertionError, DatasetError) as error:
        return " ".join(str(error).split()) or "an assertion failed", None
    except BaseException as error:  # noqa: BLE001  # the subject can raise anything
        return describe(error), None
