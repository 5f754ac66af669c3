"""A run that takes timings only: begun, measured and stored, as `harness bench` does."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from harness.store.environment import fingerprint
from harness.timing.session import MOST, Bench, time_groups

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.contract.registry import Registry
    from harness.contract.values import JSONObject, Run
    from harness.store.database import Store
    from harness.timing.schedule import Schedule
    from harness.timing.session import Session

BUDGET = 600.0
"""Default seconds for all timings together; they end earlier if every interval is tight."""


@dataclass(frozen=True, slots=True)
class BenchRequest:
    """A request for timings.

    Args:
        asked: the request as JSON, to store with the run.
        schedule: the groups to time, and what is left out.
        plugins: files or modules to discover, besides installed plugins.
        budget: seconds to use in any case unless every interval is tight; None for at most
            `BUDGET` seconds and `MOST` processes.
        threads: number of threads that libraries may use.
        name: the user's name for the run, or empty.
    """

    asked: JSONObject
    schedule: Schedule
    plugins: tuple[str, ...] = ()
    budget: float | None = None
    threads: int = 1
    name: str = ""


@dataclass(frozen=True, slots=True)
class BenchOutcome:
    """The stored run and the timings of a request.

    Args:
        run: the stored run; None if timing was interrupted before anything was measured.
        session: the timings and how they were taken.
        stop: the exception that ended timing early, if any.
    """

    run: Run | None
    session: Session
    stop: BaseException | None = None


def bench(
    store: Store,
    registry: Registry,
    request: BenchRequest,
    *,
    tell: Callable[[int, str], None] = lambda _process, _case: None,
    interrupts: tuple[type[BaseException], ...] = (),
) -> BenchOutcome:
    """Time the groups of a request, and store the timings as a run.

    Args:
        store: keeps the run.
        registry: all plugins' offers.
        request: the groups to time, and the settings.
        tell: called with the number of the process, from 1, and the case that it measures next.
        interrupts: exceptions that end timing early; the timings so far are kept.

    Raises:
        BaseException: any other exception; then no run is stored.
    """
    environment = fingerprint(registry)
    # Begun before anything is measured, so that a store that refuses costs no time.
    run = store.begin(request.name, request.asked, environment, 0)
    budget = request.budget or BUDGET
    wanted = Bench(
        request.schedule.groups,
        request.plugins,
        budget=budget,
        threads=request.threads,
        most=None if request.budget else MOST,
    )
    stops: list[BaseException] = []
    try:
        session = time_groups(wanted, tell=tell, interrupts=interrupts, note=stops.append)
    except BaseException:
        store.delete(run)
        raise
    stop = stops[0] if stops else None
    if stop and not any(timing.status == "ok" for timing in session.timings):
        store.delete(run)
        return BenchOutcome(None, session, stop)
    left_out = (replace(timing, threads=request.threads) for timing in request.schedule.late)
    store.add_timings(run, (*session.timings, *left_out))
    store.finish(run, environment | {"timing": session.facts(budget)})
    return BenchOutcome(store.find(str(run.id)), session, stop)
