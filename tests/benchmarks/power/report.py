"""The page of the study, written from the trace alone."""

from __future__ import annotations

import math
from statistics import median
from typing import TYPE_CHECKING, TypeAlias

from benchmarks.power.history import AFTER, BEFORE, NEAR, SIZE
from benchmarks.power.planting import AA, SIZES, START_UP
from benchmarks.power.rules import RULES

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from benchmarks.power.tracefile import Line, Trace

    Words: TypeAlias = Sequence[str]

SLOWEST = 60.0
"""Time limit of a comparison in seconds, without the pair that was already running."""

HEAD = """\
# Regressions: how often found, how often imagined

Written by `make power` from [regressions.jsonl](regressions.jsonl), where each comparison is a
line; `python tests/benchmarks/power report` writes it anew without measuring.

A comparison is one call of `harness ab` with its defaults (budget 3%, alpha 1%, at most 60 s, ends
as soon as the verdict is clear) for one workload: pairs of new processes load two versions of one
plugin file. Each comparison has data of its own seed. There are three subjects: a softmax of
100,000 x 10 in float32, in a hundred equal steps; the notebook's training loop (1-10-20-10-3, full
batches, 200 epochs, dataset `threshold`) by hand in NumPy; and the same loop in PyTorch. The
measured times are those of a fit or of a softmax. Intervals of counts are Wilson's at 95%.
"""

PLANTINGS = """\
**Extra steps**: version b computes additional parts of the rows (beyond the hundred), or
additional epochs (beyond the 200). The true slowdown is known by construction, and was measured
as well. **A fixed cost**: a tanh of some numbers after each call or epoch. **A copy**: a copy of
some numbers after each part or epoch. The true slowdowns were measured independently of the
study: both versions in one process, in turns of 10 ms in random order, for 2 s in each of six to
eighteen processes, in processor time, which excludes other programs. **Start-up only**: extra
work when the file is imported and when a classifier is made or logits are prepared; this is not a
slowdown. **Nulls**: the same file; a file whose functions have other names; the same file at a
longer path; another hash seed (and another offset of the stack) in each process of b.
"""


def wilson(k: int, n: int, z: float = 1.959964) -> tuple[float, float]:
    """Wilson's 95% interval of a probability (JASA 22, 1927).

    >>> [round(end, 4) for end in wilson(0, 300)]
    [0.0, 0.0126]
    """
    if not n:
        return 0.0, 1.0
    middle = (k + z * z / 2) / (n + z * z)
    half = z / (n + z * z) * math.sqrt(k * (n - k) / n + z * z / 4)
    return max(0.0, middle - half), min(1.0, middle + half)


def share(k: int, n: int) -> str:
    """A count as a share of another, with its interval.

    >>> share(1, 40)
    '1/40 = 2.5% (0.4-12.9)'
    """
    if not n:
        return "none measured"
    low, high = wilson(k, n)
    return f"{k}/{n} = {100 * k / n:.1f}% ({100 * low:.1f}-{100 * high:.1f})"


def report(trace: Trace, command: str = "make power") -> str:
    """The page."""
    compared = trace.of("ab")
    goals = [
        *_goals(compared),
        *_score_goals(trace.of("scores")),
        *_history_goals(trace.of("history")),
    ]
    short = [
        f"- {claim}: {result}; wanted: {wanted}." for claim, wanted, result, met in goals if not met
    ]
    parts = [
        HEAD,
        _sessions(trace, command),
        "## Wanted and found\n",
        _table(
            ("what", "wanted", "found", "met"),
            [(*goal[:3], "yes" if goal[3] else "**no**") for goal in goals],
        ),
        "**What falls short**\n\n" + "\n".join(short) + "\n" if short else "Nothing falls short.\n",
        "## Side by side on the same measurements\n",
        (
            "Called slower. A sample of the other rules is a block of 10 ms or a call; a "
            "process has ten to fifty.\n"
        ),
        _rules(compared),
        "## By cell\n",
        PLANTINGS,
        _cells(compared),
        "## How large what was planted is\n",
        _calibrations(trace.of("calibration")),
        "## Losses of accuracy and likelihood\n",
        _scores(trace.of("scores")),
        "## History\n",
        _history(trace.of("history")),
    ]
    return "\n".join(parts)


def of_way(lines: Iterable[Line], ways: Words) -> list[Line]:
    """The comparisons with one of these ways."""
    return [line for line in lines if line["way"] in ways]


def of_size(lines: Iterable[Line], size: int) -> list[Line]:
    """The comparisons with a planted slowdown of this many percent."""
    return [line for line in lines if line["size"] == size]


def called(lines: Iterable[Line], *verdicts: str) -> int:
    """The number of comparisons with one of these verdicts."""
    return sum(line["verdict"] in verdicts for line in lines)


def covers(line: Line) -> bool:
    """Whether the interval contains the true size."""
    low = -math.inf if line["low"] is None else line["low"]
    high = math.inf if line["high"] is None else line["high"]
    return bool(low <= line["true"] <= high)


def _goals(compared: list[Line]) -> list[tuple[str, str, str, bool]]:
    """Rows of the goals: claim, goal, result, and whether the goal is met."""
    nulls = of_way(compared, AA)
    alarms = called(nulls, "slower")
    few = (
        len(nulls) >= 300 and alarms <= 0.01 * len(nulls) and wilson(alarms, len(nulls))[1] <= 0.03
    )
    start = of_way(compared, (START_UP,))
    goals = [
        (
            "false alarms (slower), A/A",
            "at least 300 comparisons, at most 1%, upper end at most 3%",
            share(alarms, len(nulls)),
            few,
        ),
        (
            "start-up only, called slower",
            "at most 1%",
            share(called(start, "slower"), len(start)),
            bool(start) and called(start, "slower") <= 0.01 * len(start),
        ),
    ]
    for size, least in ((20, 0.99), (10, 0.95), (5, 0.80)):
        of_this_size = of_size(compared, size)
        k, n = called(of_this_size, "slower"), len(of_this_size)
        goals.append(
            (f"{size}% found", f"at least {100 * least:g}%", share(k, n), n > 0 and k >= least * n)
        )
    small = of_size(compared, 2)
    k, n = called(small, "slower", "undecided"), len(small)
    goals.append(
        ("2% called slower or undecided", "at least 90%", share(k, n), n > 0 and k >= 0.9 * n)
    )
    planted = [line for line in compared if line["size"]]
    k, n = sum(map(covers, planted)), len(planted)
    goals.append(
        (
            "the interval contains the planted size",
            "at least 95%",
            share(k, n),
            n > 0 and k >= 0.95 * n,
        )
    )
    long = [line["took"] for line in compared]
    if long:
        over = sum(took > SLOWEST for took in long)
        goals.append(
            (
                "seconds of a comparison",
                "at most 60",
                f"median {median(long):.0f}, longest {max(long):.1f}, above 60: {over}",
                not over,
            )
        )
    return goals


def _score_goals(lines: list[Line]) -> list[tuple[str, str, str, bool]]:
    nulls = [row for line in lines if line["loss"] == 0 for row in line["rows"]]
    alarms = sum(row[2] == "worse" for row in nulls)
    return [
        (
            "false alarms (worse), scores with nothing planted",
            "at most 1%",
            share(alarms, len(nulls)),
            bool(nulls) and alarms <= 0.01 * len(nulls),
        )
    ]


def _history_goals(lines: list[Line]) -> list[tuple[str, str, str, bool]]:
    goals = []
    for line in _last(lines):
        name, n = line["noise"], line["n"]
        goals += [
            (
                f"history, step of 5% found within {NEAR} commits: {name}",
                "at least 80%",
                share(line["found"], n),
                line["found"] >= 0.8 * n,
            ),
            (
                f"history, flat series alarmed: {name}",
                "at most 1%",
                share(line["alarms"], line["n_flat"]),
                line["alarms"] <= 0.01 * line["n_flat"],
            ),
        ]
    return goals


def _sessions(trace: Trace, command: str) -> str:
    rows = []
    for line in trace.of("session"):
        made = [
            line_of_trace
            for line_of_trace in trace.of("ab")
            if line_of_trace["session"] == line["number"]
        ]
        machine = f"{line['processor']}, {line['cores']} cores"
        loads = [line_of_trace["load"][0] for line_of_trace in made if "load" in line_of_trace]
        busy = f"{median(loads):.1f}" if loads else "-"
        rows.append(
            (str(line["number"]), line["date"], machine, line["versions"], str(len(made)), busy)
        )
    table = _table(
        ("measurement run", "date", "machine", "versions", "comparisons", "median load"), rows
    )
    return f"Command: `{command}`.\n\n{table}"


def _rules(compared: list[Line]) -> str:
    groups = {"A/A": of_way(compared, AA)} | {f"{size}%": of_size(compared, size) for size in SIZES}
    rows = [
        (
            name,
            *(
                f"{sum(map(rule, lines))}/{len(lines)} = "
                f"{100 * sum(map(rule, lines)) / max(len(lines), 1):.1f}%"
                for lines in groups.values()
            ),
        )
        for name, rule in RULES.items()
    ]
    return _table(("rule", *groups), rows)


def _cells(compared: list[Line]) -> str:
    rows = []
    for key in dict.fromkeys((line["subject"], line["way"], line["size"]) for line in compared):
        lines = [line for line in compared if (line["subject"], line["way"], line["size"]) == key]
        verdicts = [
            str(called(lines, verdict)) for verdict in ("slower", "same", "undecided", "faster")
        ]
        widths = [
            line["high"] - line["low"]
            for line in lines
            if line["low"] is not None and line["high"] is not None
        ]
        rows.append(
            (
                key[0],
                key[1],
                f"{key[2]}%" if key[2] else "-",
                str(len(lines)),
                *verdicts,
                f"{sum(map(covers, lines))}/{len(lines)}",
                f"{median(line['took'] for line in lines):.0f}",
                f"{100 * median(widths):.1f}%" if widths else "-",
            )
        )
    order = {name: place for place, name in enumerate(("softmax", "loop", "torch"))}
    rows.sort(key=lambda row: (order.get(row[0], 9), row[2] != "-", row[1], len(row[2]), row[2]))
    head = "subject|planted|size|n|slower|same|undecided|faster|interval contains it|median s"
    return _table((*head.split("|"), "median width of the interval"), rows)


def _calibrations(lines: list[Line]) -> str:
    rows = [
        (
            line["subject"],
            line["way"],
            f"{line['size']}%",
            str(line["amount"]),
            _percent(line["true"]),
            f"{_percent(line['measured'])} ± {100 * line['error']:.2f}",
        )
        for line in lines
    ]
    return _table(("subject", "planted", "size", "amount", "true size", "measured, ± s.e."), rows)


def _scores(lines: list[Line]) -> str:
    rows = []
    for loss in sorted({line["loss"] for line in lines}):
        for model, measure in (("power-swapped", "accuracy"), ("power-jittered", "likelihood")):
            rows_of_size = [
                row
                for line in lines
                if line["loss"] == loss
                for row in line["rows"]
                if row[1] == model
            ]
            counts = [
                share(sum(row[2] == verdict for row in rows_of_size), len(rows_of_size))
                for verdict in ("worse", "better", "same", "undecided")
            ]
            change = f"{median(row[3] for row in rows_of_size):+.3f}" if rows_of_size else "-"
            rows.append((f"{loss / 10:g}%", measure, change, *counts))
    text = (
        "Two runs of `harness run` (defaults: five splits) of softmax regression spoilt by chance "
        "on wine, breast-cancer and digits, compared as `harness compare` does. The second swaps "
        "so many more of the test rows' probabilities (of those, most were right: the loss of "
        "accuracy is a little less), or gives so much of each probability to all classes alike. "
        "Otherwise chance falls as before. With 0% planted, chance falls otherwise and no worse, "
        "so that worse and better are false alarms. A row's n is comparisons times data sets.\n\n"
    )
    return text + _table(
        ("planted", "score", "median change", "worse", "better", "same", "undecided"), rows
    )


def _history(lines: list[Line]) -> str:
    text = (
        f"Simulated: {BEFORE} points, a step of {100 * SIZE:g}%, {AFTER} points; and series of as "
        "many points without one. Each point is Hodges and Lehmann's estimate of ten pairs drawn "
        "from the A/A comparisons, as `harness track record` keeps it, or lognormal. Alarmed: any "
        f"step in a flat series; found: a step at most {NEAR} commits from where it is.\n\n"
    )
    rows = [
        (
            line["noise"],
            _percent(line["spread"]),
            share(line["alarms"], line["n_flat"]),
            share(line["found"], line["n"]),
            share(line["covered"], line["found"]),
        )
        for line in _last(lines)
    ]
    head = ("noise", "of a point", "flat: alarmed", "step: found", "of these, interval contains it")
    return text + _table(head, rows)


def _last(lines: list[Line]) -> list[Line]:
    """The last line of each kind of noise."""
    return list({line["noise"]: line for line in lines}.values())


def _percent(log: float) -> str:
    return f"{100 * math.expm1(log):.2f}%"


def _table(head: Words, rows: Sequence[Words]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"
