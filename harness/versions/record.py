"""One measurement against a pinned version, kept as points of the history."""

from __future__ import annotations

import json
import platform
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import distribution
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from urllib.request import url2pathname

from harness.contract.values import Point
from harness.errors import UsageError
from harness.store import repositories
from harness.store.environment import checkout_at, machine
from harness.timing.schedule import kernels_named
from harness.versions.pairs import compare_sides
from harness.versions.sides import HERE, side_of
from harness.versions.tasks import Softmax
from harness.words import plural

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from contextlib import ExitStack

    from harness.contract.registry import Registry
    from harness.trials.discovery import Described
    from harness.versions.pairs import Design, PairedRun, TaskResult
    from harness.versions.sides import Side
    from harness.versions.tasks import Task

    Tell = Callable[[int, Sequence[TaskResult]], None]
    Remark = Callable[[str], None]

PAIRS, FEWEST = 10, 6
"""Pairs of processes behind a point, and the fewest that a point needs if the time is up."""

KERNEL = "kernel:"
"""Before the name of an anchor that is a kernel."""

ANCHORED = ("ab", "bridge")
"""Sources of points that are ratios to an anchor."""

SHOWN = 10
"""Characters of a revision that are shown."""


@dataclass(frozen=True, slots=True)
class Recording:
    """Points of one measurement against the anchor.

    Args:
        points: those of the tasks, and those that bridge two anchors.
        anchor: its name.
        revision: of the checkout that was measured; see `revision`.
    """

    points: tuple[Point, ...]
    anchor: str
    revision: str


def record(
    stack: ExitStack,
    registry: Described,
    design: Design,
    history: Sequence[Point],
    wanted: str,
    *,
    tell: Tell,
    remark: Remark,
) -> Recording:
    """Measure the tasks against an anchor, and the anchor against the one before.

    Args:
        stack: keeps what was built for the sides, until it is closed.
        registry: what is here.
        design: the tasks, and how they are measured.
        history: the points that are stored.
        wanted: the anchor as the user gave it; empty for the one that is pinned.
        tell: given the number of pairs after each, and the results so far.
        remark: given a line about each task that gets no point, and about what is built.

    Raises:
        UsageError: there is no anchor, or it cannot be one.
    """
    wanted = wanted or pinned(reversed(history))
    if not wanted:
        raise UsageError(
            "the history has no anchor yet, the fixed version that others are compared with; name "
            "it with --anchor: a revision, an environment, or kernel:NAME"
        )
    here = machine_facts(design.threads)
    side, anchor, held = _anchored(stack, registry, wanted, design.tasks, remark)
    measured = compare_sides((side, HERE), replace(design, tasks=held), registry, tell=tell)
    bridges: list[Point] = []
    for last, moved in _moved(history, held, here, anchor).items():
        bridged = replace(design, tasks=moved)
        bridges += _bridge(stack, registry, bridged, last, (side, anchor), here, tell, remark)
    at = revision(registry)
    for result in measured.outcomes:
        name, pairs = ", ".join(result.task.key[:3]), len(result.log_ratios)
        for fault in filter(None, result.faults):
            remark(f"{name}: {fault}; nothing is stored")
        if not any(result.faults) and pairs < FEWEST:
            remark(
                f"{name}: only {pairs} of {PAIRS} pairs of timings fit into the time, so "
                f"nothing is stored; give more --time"
            )
    for task in design.tasks:
        if kernel_of(anchor) is not None and not isinstance(task, Softmax):
            remark(
                f"{', '.join(task.key[:3])}: nothing is stored, because the anchor {anchor} is "
                f"a kernel, and only kernels can be compared with it"
            )
    return Recording((*bridges, *_points(measured, here, anchor, at)), anchor, at)


def kernel_of(anchor: str) -> str | None:
    """The kernel that an anchor names; None if the anchor is a version.

    >>> kernel_of("kernel:numpy-fast"), kernel_of("v1.0")
    ('numpy-fast', None)
    """
    return anchor.removeprefix(KERNEL) if anchor.startswith(KERNEL) else None


def pinned(points: Iterable[Point]) -> str:
    """The anchor of the first point that has one; empty if none has."""
    return next((point.anchor for point in points if point.source in ANCHORED), "")


def _moved(
    history: Sequence[Point], tasks: Sequence[Task], here: str, anchor: str
) -> dict[str, tuple[Task, ...]]:
    """Tasks whose series still have another anchor, by that anchor.

    A series of this machine keeps its old anchor if the anchor was changed on another machine, or
    while other tasks were measured.
    """
    tasks_by_anchor: dict[str, tuple[Task, ...]] = {}
    for task in tasks:
        series = (task.key[0], _subject(task), *task.key[2:])
        last = pinned(
            point for point in reversed(history) if (point.series, point.machine) == (series, here)
        )
        if last and last != anchor:
            tasks_by_anchor[last] = (*tasks_by_anchor.get(last, ()), task)
    return tasks_by_anchor


def _anchored(
    stack: ExitStack, registry: Registry, wanted: str, tasks: Sequence[Task], remark: Remark
) -> tuple[Side, str, tuple[Task, ...]]:
    """The anchor's side, a name of it that does not change, and the tasks measured against it."""
    if (name := kernel_of(wanted)) is not None:
        (kernel,) = kernels_named(registry, [name])[:1]
        held = tuple(
            replace(task, kernels=(kernel.name, task.kernels[1]))
            for task in tasks
            if isinstance(task, Softmax)
        )
        if not held:
            raise UsageError(
                "the anchor is a kernel, and only kernels can be compared with it; "
                "choose some with --kernel"
            )
        return HERE, KERNEL + kernel.name, held
    side = stack.enter_context(side_of(wanted, Path.cwd(), tell=remark))
    if side.kind == "revision":
        return side, side.revision, tuple(tasks)
    if side.kind != "environment":
        raise UsageError(
            f"'{wanted}' changes with the checkout, so it is no anchor; commit, and "
            f"name the revision"
        )
    return side, side.python, tuple(tasks)


def _bridge(
    stack: ExitStack,
    registry: Described,
    design: Design,
    last: str,
    new: tuple[Side, str],
    here: str,
    tell: Tell,
    remark: Remark,
) -> list[Point]:
    """Points that compare the new anchor with the last one, if the last one can still be built."""
    side, anchor = new
    try:
        if (kernel_of(last) is None) != (kernel_of(anchor) is None):
            raise UsageError("a kernel cannot be compared with a version")
        old, _, held = _anchored(stack, registry, last, design.tasks, remark)
        if (kernel := kernel_of(anchor)) is not None:
            side = HERE
            held = _against(held, kernel)
        session = compare_sides((old, side), replace(design, tasks=held), registry, tell=tell)
    except UsageError as error:
        remark(
            f"the new anchor cannot be compared with the old one, "
            f"{short(last)}: {error}; the history begins anew here"
        )
        return []
    # If both anchors are kernels, all series of one shape and dtype change by the same ratio.
    points = _points(session, here, anchor, last, "bridge")
    if kernel_of(anchor) is None:
        return points
    return [
        replace(point, subject=subject)
        for point in points
        for subject in dict.fromkeys(_subject(task) for task in design.tasks)
    ]


def _against(tasks: Sequence[Task], kernel: str) -> tuple[Task, ...]:
    """The softmax tasks, each once, with a kernel on the second side."""
    softmaxes = [task for task in tasks if isinstance(task, Softmax)]
    return tuple(
        dict.fromkeys(replace(task, kernels=(task.kernels[0], kernel)) for task in softmaxes)
    )


def _subject(task: Task) -> str:
    """The kernel or model that is measured against the anchor: that of the second side."""
    return task.kernels[1] if isinstance(task, Softmax) else str(task.models[1])


def _points(session: PairedRun, here: str, anchor: str, at: str, source: str = "ab") -> list[Point]:
    """The points of a measurement.

    Args:
        session: a comparison with the anchor, or of two anchors.
        here: the machine.
        anchor: its name.
        at: the revision that was measured, or the anchor before.
        source: ``ab`` or ``bridge``.
    """
    from statistics import median

    return [
        Point(
            outcome.task.key[0],
            _subject(outcome.task),
            *outcome.task.key[2:],
            now(),
            at,
            here,
            anchor,
            source,
            outcome.change.effect,
            outcome.change.low,
            outcome.change.high,
            median(outcome.seconds[1]),
            len(outcome.log_ratios),
        )
        for outcome in session.outcomes
        # A task that failed after a few pairs has no change.
        if outcome.change is not None and len(outcome.log_ratios) >= FEWEST
    ]


def machine_facts(threads: int) -> str:
    """The facts that ratios may depend on; without the host's name, which CI makes up."""
    here = machine()
    return (
        f"{here['processor']}, {here['cores']} cores, Python {platform.python_version()}, "
        f"{plural(threads, 'thread')}"
    )


def revision(registry: Registry) -> str:
    """Revision of the current checkout, with a + if it has changes; empty if it was not measured.

    It was measured if the harness or a plugin lies in it, or was installed from it.
    """
    checkout, top = (
        checkout_at(Path.cwd()),
        repositories.line(Path.cwd(), "rev-parse", "--show-toplevel"),
    )
    if not checkout or not any(place.is_relative_to(top) for place in _sources(registry)):
        return ""
    return f"{checkout['revision']}{'+' if checkout['dirty'] else ''}"


def _sources(registry: Registry) -> set[Path]:
    """Folders and files that hold the measured code."""
    plugins = {Path(origin.path) for origin in registry.plugins if origin.path}
    places = {Path(__file__).parents[1], *plugins}
    sources = {place.resolve() for place in places if "site-packages" not in place.parts}
    distributions = {origin.distribution for origin in registry.plugins} - {""}
    for name in {"classification-harness", *distributions}:
        text = distribution(name).read_text("direct_url.json")
        url = json.loads(text).get("url", "") if text else ""
        if url.startswith("file://"):
            sources.add(Path(url2pathname(urlsplit(url).path)).resolve())
    return sources


def now() -> str:
    """UTC, ISO 8601, to the microsecond, so that no two points have one time."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


def short(anchor: str) -> str:
    """An anchor's name as it is shown: the first characters of a revision."""
    is_revision = kernel_of(anchor) is None and not anchor.startswith("/")
    return anchor[:SHOWN] if is_revision else anchor
