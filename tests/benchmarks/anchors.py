"""How much of the spread of times between sessions and machines the anchors take away.

    python tests/benchmarks/anchors.py measure FILE             # one session, half a minute
    python tests/benchmarks/anchors.py measure FILE --beside memory   # or compute: with a co-tenant
    python tests/benchmarks/anchors.py measure FILE --without avx2    # or avx512: another machine
    python tests/benchmarks/anchors.py cost             # what the anchors cost, half a minute
    python tests/benchmarks/anchors.py compare FILE ...         # sessions of one or more machines

``--without`` lets NumPy and OpenBLAS do without some instructions of this processor, and the
session counts as another machine's. It stands for a machine with an older processor as long as no
second machine is there; memory and caches are the same, which flatters the ratios.

``measure`` times a fixed set of workloads as ``harness run`` and ``harness bench`` do, and appends
the session to FILE, a line of JSON. To compare two machines, measure several sessions on each, in a
file of its own, and ``compare`` the files. The spread is the standard deviation, over sessions, of
the logarithm of a workload's time, raw or as a ratio to an anchor, pooled over workloads.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import time
from collections import defaultdict
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from statistics import median, variance
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import scipy

from harness.contract.registry import Registry, load
from harness.statistics.timings import undisturbed
from harness.store.environment import machine
from harness.timing import anchors
from harness.timing.engine import measure as measure_in_turns
from harness.timing.session import Bench, time_groups
from harness.timing.workloads import SoftmaxGroup, TimedPairing, TrainingGroup
from harness.trials.plan import Selection, plan

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from harness.timing.workloads import Group

    Record: TypeAlias = dict[str, Any]
    """A session as JSON."""

KERNELS = ("numpy-fast", "numpy-stable", "scipy")
SOFTMAXES = (
    *(((100, 3), False), ((1_797, 10), False), ((100_000, 10), False)),
    *(((100_000, 10), True), ((1_000_000, 5), True)),
)
"""Shapes, and whether the caches are cold."""

DATASETS = ("iris", "digits")
MODELS = (
    *("numpy-softmax", "notebook-mlp[epochs=50]", "sklearn-lda", "sklearn-gaussian-nb"),
    *("sklearn-knn", "sklearn-decision-tree"),
)
PROCESSES, BUDGET, ROUNDS = 3, 45.0, 10
HOGS = {
    "memory": "import numpy as np; a = np.ones(1 << 25); b = a.copy()\nwhile True: b[:] = a",
    "compute": "import numpy as np; a = np.ones((256, 256))\nwhile True: a @ a",
}
"""Programs that run beside a session on the last processor."""

WITHOUT = {
    "avx512": {
        "NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL AVX512_SPR",
        "OPENBLAS_CORETYPE": "HASWELL",
    },
    "avx2": {
        "NPY_DISABLE_CPU_FEATURES": "X86_V3 X86_V4 AVX512_ICL AVX512_SPR",
        "OPENBLAS_CORETYPE": "NEHALEM",
    },
}
"""Environment variables that keep libraries from using instructions."""

STATES = (
    *("quiet", "beside our memory program", "beside our compute program"),
    *("busy, at high priority", "busy"),
)
"""What else ran during a session. High priority (``nice -n -15``) keeps a processor for a session,
although other programs want it, so that they only share caches and memory with it."""

QUIET = 0.3
"""A session counts as quiet if other programs use at most this many processors."""

BOUNDED = ("memory-bound", "softmax in cache", "training", "prediction")
"""Kinds of workloads, in the order of the tables."""


def main() -> int:
    """Do what the arguments say."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    commands = parser.add_subparsers(dest="command", required=True)
    measuring = commands.add_parser("measure")
    measuring.add_argument("file", type=Path)
    measuring.add_argument("--beside", choices=HOGS)
    measuring.add_argument("--without", choices=WITHOUT)
    commands.add_parser("cost")
    comparing = commands.add_parser("compare")
    comparing.add_argument("files", type=Path, nargs="+")
    given = parser.parse_args()
    if given.command == "measure":
        record = measure(given.beside or "", given.without or "")
        line = json.dumps(record, separators=(",", ":"))
        with given.file.open("a", encoding="utf-8") as file:
            file.write(line + "\n")
    elif given.command == "cost":
        print(cost())
    else:
        lines = [line for file in given.files for line in file.read_text("utf-8").splitlines()]
        print(compared([json.loads(line) for line in lines]))
    return 0


def groups(registry: Registry) -> tuple[Group, ...]:
    """The workloads of a session, always the same."""
    trials = plan(registry, Selection(DATASETS, MODELS, repeats=1)).trials
    chosen = [trial for trial in trials if not registry.models[trial.model.name].baseline]
    return (
        *(SoftmaxGroup(KERNELS, shape, "float32", "cpu", cold) for shape, cold in SOFTMAXES),
        *(
            TrainingGroup(
                tuple(TimedPairing((trial,), epochs=0, predict=True, weight=0.3) for trial in same)
            )
            for _, same in groupby(chosen, key=lambda trial: str(trial.dataset))
        ),
    )


def measure(beside: str, without: str) -> Record:
    """A session, while another program computes or copies, or without some instructions."""
    os.environ |= WITHOUT.get(without, {})  # the processes that are timed inherit them
    command = [sys.executable, "-c", HOGS[beside]] if beside else []
    alone = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    hog = subprocess.Popen(command, env=os.environ | alone) if command else None
    try:
        if hog and hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(hog.pid, {max(os.sched_getaffinity(0))})
        if hog:
            os.setpriority(os.PRIO_PROCESS, hog.pid, 0)
        time.sleep(1.0 if hog else 0.0)
        session = time_groups(
            Bench(groups(load()), budget=BUDGET, most=PROCESSES, rounds=ROUNDS, warm_up=0.02)
        )
    finally:
        if hog:
            hog.kill()
            hog.wait()
    here = machine()
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": f"{here['node']}, {here['processor']}, {here['cores']} cores"
        + (f", without {without}" if without else ""),
        "versions": f"Python {sys.version.split()[0]}, numpy {np.__version__}, "
        f"scipy {scipy.__version__}",
        "beside": beside,
        "nice": os.nice(0),
        "usage": session.usage.facts(session.load),
        "timings": [
            {
                "key": list(timing.key),
                "anchor": timing.anchor,
                "seconds": [_digits(median(process)) for process in timing.samples],
                "undisturbed": [_digits(undisturbed(process)) for process in timing.samples],
                "anchors": {name: [*map(_digits, of)] for name, of in timing.anchors.items()},
            }
            for timing in session.timings
            if timing.status == "ok"
        ],
    }


def _digits(seconds: float) -> float:
    return float(f"{seconds:.5g}")


def compared(records: Sequence[Record]) -> str:
    """Tables of the spread between sessions, by kind of workload and anchor, in Markdown."""
    lines = [
        "| machine | date | state | sessions | workloads |",
        "| --- | --- | --- | --- | --- |",
    ]
    by_state = _by(records, lambda record: (record["machine"], state_of(record)))
    for (name, state), several in sorted(by_state.items()):
        days = sorted({record["date"][:10] for record in several})
        n = max(len(record["timings"]) for record in several)
        lines.append(f"| {name} | {' to '.join(days)} | {state} | {len(several)} | {n} |")
    states = {state: [r for r in records if state_of(r) == state] for state in STATES}
    calm = [record for state in STATES[:3] for record in states[state]]
    for title, chosen, between in (
        ("Between quiet sessions of one machine", states[STATES[0]], False),
        ("Between sessions of one machine: quiet, and beside our program", calm, False),
        ("Between busy sessions of one machine, at high priority", states[STATES[3]], False),
        ("Between busy sessions of one machine", states[STATES[4]], False),
        ("Between machines (means over their quiet sessions)", states[STATES[0]], True),
    ):
        lines += ["", f"**{title}**", ""]
        n_machines = len({record["machine"] for record in chosen})
        if between and n_machines < 2:
            lines.append("Not known: the sessions are of fewer than two machines.")
            continue
        if not between and len(chosen) <= max(1, n_machines):
            lines.append("Not known: fewer than two sessions.")
            continue
        heads = ("kind", "workloads", "median", "undisturbed", "/ compute-1", "/ memory-1", "ratio")
        heads += ("taken away from median", "from undisturbed")
        lines += [f"| {' | '.join(heads)} |", f"|{' --- |' * len(heads)}"]
        lines += [_row(kind, chosen, between) for kind in (*BOUNDED, "all")]
    return "\n".join(lines)


def state_of(record: Record) -> str:
    """What else ran on the machine during a session, one of `STATES`."""
    ours = 1.0 if record["beside"] else 0.0
    if record["usage"]["others"] - ours > QUIET:
        return STATES[3] if record["nice"] < 0 else STATES[4]
    return f"beside our {record['beside']} program" if record["beside"] else STATES[0]


def _row(kind: str, records: Sequence[Record], between: bool) -> str:
    """The pooled spreads of the workloads of a kind, as a line of a table."""
    raw, quick, compute, memory, fitting = (
        _spread(records, kind, anchor, between)
        for anchor in ("", "none", anchors.COMPUTE, anchors.MEMORY, "fitting")
    )
    cells = [f"{100 * spread:.1f}%" for spread, _ in (raw, quick, compute, memory, fitting)]
    for before, _ in (raw, quick):
        taken = 1 - (fitting[0] / before) ** 2 if before else math.nan
        cells.append(f"{100 * taken:.0f}% of the variance")
    return f"| {kind} | {raw[1]} | {' | '.join(cells)} |"


def _spread(records: Sequence[Record], kind: str, anchor: str, between: bool) -> tuple[float, int]:
    """The pooled standard deviation of log times or ratios, and the number of workloads.

    Args:
        records: the sessions.
        kind: one of `BOUNDED`, or ``all``.
        anchor: its name; ``fitting`` for each timing's own; empty for the medians of the times, and
            ``none`` for the undisturbed times.
        between: between the means of machines, rather than between the sessions of each.
    """
    logs: dict[tuple[str, ...], dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for record in records:
        for timing in record["timings"]:
            if kind not in ("all", kind_of(timing)):
                continue
            name = timing["anchor"] if anchor == "fitting" else anchor
            seconds = timing["undisturbed" if anchor else "seconds"]
            by = timing["anchors"][name] if name in timing["anchors"] else [1.0] * len(seconds)
            quotients = [a / b for a, b in zip(seconds, by, strict=True)]
            logs[tuple(timing["key"])][record["machine"]].append(math.log(median(quotients)))
    variances, degrees = [], []
    for by_machine in logs.values():
        samples = list(by_machine.values())
        if between:
            samples = [[sum(values) / len(values) for values in samples]]
        for values in samples:
            if len(values) > 1:
                variances.append(variance(values))
                degrees.append(len(values) - 1)
    if not degrees:
        return math.nan, len(logs)
    total = sum(v * d for v, d in zip(variances, degrees, strict=True))
    return math.sqrt(total / sum(degrees)), len(logs)


def kind_of(timing: Record) -> str:
    """The kind of a workload, one of `BOUNDED`."""
    call = timing["key"][0]
    if call in ("softmax", "copy"):
        return "memory-bound" if timing["anchor"] == anchors.MEMORY else "softmax in cache"
    return "prediction" if call.startswith("predict") else "training"


def cost() -> str:
    """What the anchors cost in each group, as a table in Markdown."""
    registry = load()
    started = time.perf_counter()
    calls = anchors.set_up()
    lines = [
        f"Setting up, once a process: {1e3 * (time.perf_counter() - started):.0f} ms.",
        "",
        "| group | seconds | the anchors' share | samples of each |",
        "| --- | --- | --- | --- |",
    ]
    for group in groups(registry):
        turns = anchors.Turns(calls)
        workloads = group.workloads(registry, 0, 1)
        started = time.perf_counter()
        measure_in_turns(workloads, seconds=3.0, seed=0, between=turns.take)
        turns.seconds()
        seconds = time.perf_counter() - started
        spent = sum(map(sum, turns.samples.values()))
        n = "/".join(str(len(samples)) for samples in turns.samples.values())
        lines.append(f"| {group.case} | {seconds:.2f} | {100 * spent / seconds:.1f}% | {n} |")
    return "\n".join(lines)


def _by(records: Iterable[Record], key: Callable[[Record], Any]) -> dict[Any, list[Record]]:
    parts: dict[Any, list[Record]] = {}
    for record in records:
        parts.setdefault(key(record), []).append(record)
    return parts


if __name__ == "__main__":
    sys.exit(main())
