"""How much of the spread of times between sessions and machines the anchors take away.

    python tests/benchmarks/anchors.py measure FILE             # one session, half a minute
    python tests/benchmarks/anchors.py measure FILE --beside memory   # or compute: with a co-tenant
    python tests/benchmarks/anchors.py cost                     # what the anchors cost, two minutes
    python tests/benchmarks/anchors.py compare FILE ...         # sessions of one or more machines

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
from harness.store.environment import machine
from harness.timing import anchors
from harness.timing.session import Bench, time_groups
from harness.timing.workloads import SoftmaxGroup, TimedPairing, TrainingGroup
from harness.trials.plan import Selection, plan

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from harness.timing.session import Session
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
PROCESSES, BUDGET, ROUNDS = 3, 36.0, 10
HOGS = {
    "memory": "import numpy as np; a = np.ones(1 << 25); b = a.copy()\nwhile True: b[:] = a",
    "compute": "import numpy as np; a = np.ones((256, 256))\nwhile True: a @ a",
}
"""Programs that run beside a session on the last processor."""

BOUNDED = ("memory-bound", "softmax in cache", "training", "prediction")
"""Kinds of workloads, in the order of the tables."""


def main() -> int:
    """Do what the arguments say."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    commands = parser.add_subparsers(dest="command", required=True)
    measuring = commands.add_parser("measure")
    measuring.add_argument("file", type=Path)
    measuring.add_argument("--beside", choices=HOGS)
    commands.add_parser("cost")
    comparing = commands.add_parser("compare")
    comparing.add_argument("files", type=Path, nargs="+")
    given = parser.parse_args()
    if given.command == "measure":
        line = json.dumps(measure(given.beside or ""), separators=(",", ":"))
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


def measure(beside: str) -> Record:
    """A session, while another program computes or copies."""
    command = [sys.executable, "-c", HOGS[beside]] if beside else []
    alone = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    hog = subprocess.Popen(command, env=os.environ | alone) if command else None
    try:
        if hog and hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(hog.pid, {max(os.sched_getaffinity(0))})
        time.sleep(1.0 if hog else 0.0)
        session = time_groups(Bench(groups(load()), budget=BUDGET, most=PROCESSES, rounds=ROUNDS))
    finally:
        if hog:
            hog.kill()
            hog.wait()
    here = machine()
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": f"{here['node']}, {here['processor']}, {here['cores']} cores",
        "versions": f"Python {sys.version.split()[0]}, numpy {np.__version__}, "
        f"scipy {scipy.__version__}",
        "beside": beside,
        "usage": session.usage.facts(session.load),
        "timings": [
            {
                "key": list(timing.key),
                "anchor": timing.anchor,
                "seconds": [_digits(median(process)) for process in timing.samples],
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
        "| machine | date | beside it | sessions | workloads |",
        "| --- | --- | --- | --- | --- |",
    ]
    for (name, beside), several in _by(records, lambda r: (r["machine"], r["beside"])).items():
        dates = sorted({record["date"][:10] for record in several})
        n = len(several[0]["timings"])
        lines.append(
            f"| {name} | {dates[0]}{f' to {dates[-1]}' if len(dates) > 1 else ''} | "
            f"{beside or 'nothing of ours'} | {len(several)} | {n} |"
        )
    quiet = [record for record in records if not record["beside"]]
    for title, chosen, between in (
        ("Between sessions with nothing of ours beside them, on the same machine", quiet, False),
        ("Between all sessions of the same machine, with and without a co-tenant", records, False),
        ("Between machines (means over their sessions)", records, True),
    ):
        lines += ["", f"**{title}**", ""]
        n_machines = len({record["machine"] for record in chosen})
        if between and n_machines < 2:
            lines.append("Not known: all sessions are of one machine.")
            continue
        lines += [
            "| kind | workloads | raw | / compute-1 | / memory-1 | / fitting anchor | taken away |",
            "| --- | --- | --- | --- | --- | --- | --- |",
        ]
        lines += [_row(kind, chosen, between) for kind in (*BOUNDED, "all")]
    return "\n".join(lines)


def _row(kind: str, records: Sequence[Record], between: bool) -> str:
    """The pooled spreads of the workloads of a kind, as a line of a table."""
    raw, compute, memory, fitting = (
        _spread(records, kind, anchor, between)
        for anchor in ("", anchors.COMPUTE, anchors.MEMORY, "fitting")
    )
    taken = 1 - fitting[0] ** 2 / raw[0] ** 2 if raw[0] else math.nan
    cells = (f"{100 * spread:.1f}%" for spread, _ in (raw, compute, memory, fitting))
    return f"| {kind} | {raw[1]} | {' | '.join(cells)} | {100 * taken:.0f}% of the variance |"


def _spread(records: Sequence[Record], kind: str, anchor: str, between: bool) -> tuple[float, int]:
    """The pooled standard deviation of log times or ratios, and the number of workloads.

    Args:
        records: the sessions.
        kind: one of `BOUNDED`, or ``all``.
        anchor: its name; ``fitting`` for each timing's own; empty for the raw times.
        between: between the means of machines, rather than between the sessions of each.
    """
    logs: dict[tuple[str, ...], dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for record in records:
        for timing in record["timings"]:
            if kind not in ("all", kind_of(timing)):
                continue
            name = timing["anchor"] if anchor == "fitting" else anchor
            by = timing["anchors"][name] if name else [1.0] * len(timing["seconds"])
            quotients = [a / b for a, b in zip(timing["seconds"], by, strict=True)]
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
    """The anchors' share of the time, and how they change the times of the workloads."""
    registry = load()
    few = groups(registry)
    sessions: dict[bool, list[Session]] = {True: [], False: []}
    for i in range(4):
        for anchored in (True, False) if i % 2 else (False, True):
            plugin = [] if anchored else [str(Path(__file__).with_name("no_anchors.py"))]
            bench = Bench(few, tuple(plugin), budget=15.0, most=1)
            sessions[anchored].append(time_groups(bench))
    rounds = {
        anchored: sum(len(p) for s in several for t in s.timings for p in t.samples)
        for anchored, several in sessions.items()
    }
    return f"samples with anchors / without: {rounds[True] / rounds[False]:.3f}"


def _by(records: Iterable[Record], key: Callable[[Record], Any]) -> dict[Any, list[Record]]:
    parts: dict[Any, list[Record]] = {}
    for record in records:
        parts.setdefault(key(record), []).append(record)
    return parts


if __name__ == "__main__":
    sys.exit(main())
