"""Runs the remaining simulations of every case, and writes the page from the trace alone."""

from __future__ import annotations

import math
import os
import pkgutil
import platform
import time
from collections import Counter
from datetime import UTC, datetime
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import benchmarks.statistics
from benchmarks.power.report import wilson

from harness.store.environment import checkout_at, processor

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from benchmarks.power.tracefile import Trace
    from benchmarks.statistics.cases import Case

PART = 200
"""The most simulations of a case that an interruption can lose."""

FEWEST = 30
"""The fewest answers for which a rate is judged."""

HEAD = """\
# Statistics: how often intervals, p-values and marks are right

Written by `make statistics` from [statistics.jsonl](statistics.jsonl); a new call continues where
the last one stopped. `python tests/benchmarks/statistics report` writes this page without
simulating. The simulation draws data with a known truth, or from a pool whose mean is the truth,
and counts what the harness says about them. It shares no arithmetic with the code that it judges.

Each rate is followed by its 95% Monte-Carlo interval (Wilson) in brackets. A claim holds in a
setting if this interval reaches the goal. "Withheld" counts the runs in which the harness gave no
answer; the rate is over the other runs. "Hardly shown" means fewer than 30 answers, too few to
judge. Settings without a goal are only reported.
"""


def all_cases() -> list[Case]:
    """The cases of all modules in this folder.

    The folder has no ``__init__.py``: pytest would import it as ``statistics``, which hides
    Python's own.
    """
    package = benchmarks.statistics
    names = sorted(module.name for module in pkgutil.iter_modules(package.__path__))
    modules = (import_module(f"{package.__name__}.{name}") for name in names if name != "__main__")
    cases_of_modules = [
        case for module in modules if hasattr(module, "cases") for case in module.cases()
    ]
    twice = [key for key, n in Counter(case.key for case in cases_of_modules).items() if n > 1]
    if twice:
        raise ValueError(f"two cases have one claim and setting: {twice[0]}")
    return cases_of_modules


def simulate(trace: Trace, cases: Sequence[Case], *, minutes: float, scale: float = 1.0) -> bool:
    """Run the remaining simulations in the order of the cases; whether all are done."""
    ends = time.monotonic() + 60 * minutes
    done = Counter[str]()
    for line in trace.of("runs"):
        done[line["case"]] += line["n"]
    started = False
    for case in cases:
        wanted = max(1, round(case.runs * scale))
        while (first := done[case.key]) < wanted:
            if time.monotonic() >= ends:
                return False
            if not started:
                _begin(trace)
                started = True
            began = time.perf_counter()
            answers = [case.run(seed) for seed in range(first, min(first + PART, wanted))]
            known = [answer for answer in answers if answer is not None]
            trace.add(
                "runs",
                case=case.key,
                first=first,
                n=len(answers),
                withheld=len(answers) - len(known),
                rate=sum(known),
                took=round(time.perf_counter() - began, 2),
            )
            done[case.key] += len(answers)
    return True


def _begin(trace: Trace) -> None:
    project = checkout_at(Path(__file__).parent) or {}
    packages = ", ".join(f"{name} {version(name)}" for name in ("numpy", "scipy", "pandas"))
    trace.add(
        "session",
        date=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        processor=processor(),
        cores=os.cpu_count(),
        versions=f"Python {platform.python_version()}, {packages}",
        revision=project.get("revision", ""),
        dirty=project.get("dirty"),
    )


def verdict(case: Case, happened: float, n: int, withheld: int) -> str:
    """The verdict on a rate in a few words; empty without a goal."""
    if not case.goal:
        return ""
    if case.withheld == 1 and n < min(FEWEST, n + withheld):
        return "hardly shown"
    low, high = wilson(happened, n)  # type: ignore[arg-type]  # a mean of powers is not a count
    reached = low <= case.bound if case.at_most else high >= case.bound
    enough = wilson(withheld, n + withheld)[0] <= case.withheld
    if reached and enough:
        return "holds"
    return "**fails**" if not reached else "**withholds too much**"


def _summary(counts: Counter[str], n_failing: int) -> str:
    return (
        f"{counts['holds']} settings hold, {n_failing} do not, and {counts['hardly shown']} hardly "
        "show an answer.\n"
    )


def page(trace: Trace, cases: Iterable[Case]) -> str:
    """The page, with a table for each claim."""
    by_claim: dict[str, list[str]] = {}
    failing, counts = [], Counter[str]()
    for case in cases:
        lines = [line for line in trace.of("runs") if line["case"] == case.key]
        if not lines:
            continue
        withheld = sum(line["withheld"] for line in lines)
        n = sum(line["n"] for line in lines) - withheld
        happened = math.fsum(line["rate"] for line in lines)
        low, high = wilson(happened, n)  # type: ignore[arg-type]
        rate = f"{100 * happened / n:.1f}% ({100 * low:.1f}-{100 * high:.1f})" if n else "-"
        judged = verdict(case, happened, n, withheld)
        counts[judged] += 1
        share = f"{100 * withheld / (n + withheld):.0f}%"
        row = f"| {case.setting} | {rate} | {n} | {share} | {case.goal or '-'} | {judged or '-'} |"
        by_claim.setdefault(case.claim, []).append(row)
        if "**" in judged:
            failing.append(f"- {case.claim}: {case.setting}: {rate}, withheld {share}.")
    measurement_runs = [
        f"- {line['date']}: {line['processor']}, {line['cores']} cores; {line['versions']}; "
        f"revision {line['revision'][:10]}{'+' if line['dirty'] else ''}"
        for line in trace.of("session")
    ]
    took = sum(line["took"] for line in trace.of("runs"))
    parts = [
        HEAD,
        f"Command: `make statistics`, {took / 60:.0f} minutes on one core.\n",
        "\n".join(measurement_runs) + "\n",
        _summary(counts, len(failing)),
        "## What falls short\n\n" + ("\n".join(failing) if failing else "Nothing.") + "\n",
    ]
    for claim, rows in by_claim.items():
        head = "| setting | rate | runs | withheld | goal | verdict |\n" + "| --- " * 6 + "|"
        parts.append(f"## {claim[0].upper()}{claim[1:]}\n\n{head}\n" + "\n".join(rows) + "\n")
    return "\n".join(parts)
