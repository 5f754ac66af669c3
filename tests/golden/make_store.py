"""Makes ``store.db`` anew: runs small commands, then makes up dates, machine and versions.

    python tests/golden/make_store.py

It takes about four minutes. The new store has the same scores but other times, so the transcripts
must be updated afterwards. The script uses the command line and SQL only, so it imports no module
of the harness.
"""

from __future__ import annotations

import json
import math
import os
import random
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import zlib
from array import array
from contextlib import closing
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
STORE, PLUGIN = HERE / "store.db", HERE / "plugin.py"

SMALL = "-d threshold[n_train=24,n_test=16]"
TIMED = f"-d pair {SMALL} -m ours -m torch-mlp[epochs=12,hidden=4x3] -r 2 --timing-budget 70"
FAULTS = "-m failing[how=raises|sometimes|hangs|aborts|says-nothing]"

COMMANDS = f"""
# Datasets of every kind, and enough datasets for p-values.
run --name base --plugin made.py -r 3 --no-timing -m ours[slope=0.5|1] -m numpy-softmax {SMALL} \
-d pair -d five[noise=0.7] -d trees -d patients -d fixed -d folded
run --name new --plugin made.py -r 3 --no-timing -m ours -m numpy-softmax \
-d pair -d trees -d fixed -d folded
# For pictures of curves, regions and hidden layers; timings before and after a change.
run --name curves --plugin made.py {TIMED}
run --name again --plugin made.py {TIMED}
run --name sizes --plugin made.py -r 2 --no-timing -d pair -m ours -m numpy-softmax \
--train-sizes 8,16,24
run --name faults --plugin made.py -r 2 --no-timing -d pair -d trees {FAULTS} -m lacking --timeout 3
# `cut_short` makes this run an interrupted one.
run --name cut --plugin made.py -r 2 --no-timing -d pair -d five -m ours
bench softmax --name kernels --kernel numpy-* --shape 100x3 --shape 1000x10 --dtype float64 \
--budget 20
bench training --name loops {SMALL} -m notebook-mlp --epochs 20 --together 4 --budget 30
"""
RUNS = tuple(line for line in COMMANDS.splitlines() if line and line[0] != "#")
FEW_PROCESSES, FEW_SAMPLES = 5, 8
WORSE = ("new", "again")
"""These runs use the changed, worse version of the model ``ours``."""

MACHINE = {
    "node": "bench-box",
    "system": "Linux-6.1-x86_64",
    "processor": "Golden CPU",
    "cores": 4,
    "memory": 16 * 2**30,
}
PACKAGES = {"classification-harness": "0.1.0", "numpy": "2.0.0", "scipy": "1.13.0"}


def main() -> None:
    """Make it."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        shutil.copy(PLUGIN, place / "made.py")
        for line in RUNS:
            harness(place, line)
        made = place / "harness.db"
        with closing(sqlite3.connect(made)) as database:
            settle(database, folder)
        shutil.copy(made, STORE)
    print(f"{STORE.name}: {STORE.stat().st_size / 1024:.0f} KiB")


def harness(place: Path, line: str) -> None:
    """Run a command there."""
    words = line.split()
    environment = {k: v for k, v in os.environ.items() if not k.startswith("HARNESS_")}
    if words[words.index("--name") + 1] in WORSE:
        environment["GOLDEN_WORSE"] = "1"
    print("$ harness", line, flush=True)
    command = [sys.executable, "-m", "harness", *words, "--no-progress"]
    status = subprocess.run(command, cwd=place, env=environment, stdout=subprocess.DEVNULL)
    if status.returncode not in (0, 1):  # 1: a trial failed
        sys.exit(status.returncode)


# Afterwards


def settle(database: sqlite3.Connection, folder: str) -> None:
    """Replace place, time and machine, remove what no transcript needs, and add a history."""
    for run, name, asked, environment in database.execute(
        "SELECT id, name, asked, environment FROM runs"
    ).fetchall():
        words = json.loads(asked.replace(folder + "/", ""))
        database.execute(
            "UPDATE runs SET started = ?, finished = ?, asked = ?, environment = ? WHERE id = ?",
            (
                f"2026-01-{run:02d}T12:00:00+00:00",
                f"2026-01-{run:02d}T12:01:00+00:00",
                json.dumps(words),
                json.dumps(settled(json.loads(environment), worse=name in WORSE)),
                run,
            ),
        )
    for result, traceback, output in database.execute(
        "SELECT id, traceback, output FROM results WHERE traceback IS NOT NULL"
    ).fetchall():
        database.execute(
            "UPDATE results SET traceback = ?, output = ? WHERE id = ?",
            (own_lines(traceback), own_lines(output), result),
        )
    cut_short(database)
    drop_what_pictures_of_other_runs_need(database)
    thin_timings(database)
    for point in history():
        names = ", ".join(f'"{name}"' for name in point)  # quoted: `case` is a keyword of SQL
        marks = ", ".join("?" * len(point))
        database.execute(f"INSERT INTO points ({names}) VALUES ({marks})", tuple(point.values()))
    database.commit()
    database.execute("PRAGMA journal_mode = DELETE")
    database.execute("PRAGMA page_size = 1024")
    database.execute("VACUUM")


def settled(environment: dict[str, Any], *, worse: bool) -> dict[str, Any]:
    """The environment of a run, with a made-up machine, versions and revisions."""
    revision = ("b" if worse else "a") * 40
    packages = PACKAGES | ({"numpy": "2.1.0"} if worse else {})
    plugins = {
        re.sub(r"\(.*made\.py\)", "(made.py)", name): {"digest": f"{i:016d}", "git": None}
        for i, name in enumerate(environment["plugins"])
    }
    return environment | {
        "machine": MACHINE,
        "python": "3.12.0",
        "packages": packages,
        "project": {"revision": revision, "dirty": worse},
        "plugins": plugins,
    }


def own_lines(text: str) -> str:
    """A traceback without the lines of the harness, whose files may be renamed."""
    kept, own = [], True
    for line in text.splitlines(keepends=True):
        if line.startswith("  File "):
            own = "made.py" in line
            line = re.sub(r'"[^"]*made\.py"', '"made.py"', line)
        elif not line.startswith("   "):
            # A crash of Python lists threads and loaded modules.
            own = not line.startswith(("Current thread", "Extension modules"))
        if own:
            kept.append(line)
    return "".join(kept)


def cut_short(database: sqlite3.Connection) -> None:
    """Make the run ``cut`` unfinished: its last two trials have no results."""
    (run,) = database.execute("SELECT id FROM runs WHERE name = 'cut'").fetchone()
    database.execute("PRAGMA foreign_keys = ON")
    database.execute("UPDATE runs SET finished = NULL WHERE id = ?", (run,))
    database.execute(
        "DELETE FROM results WHERE id IN "
        "(SELECT id FROM results WHERE run_id = ? ORDER BY position DESC LIMIT 2)",
        (run,),
    )


def drop_what_pictures_of_other_runs_need(database: sqlite3.Connection) -> None:
    """Sketches and traces take most bytes, so only the run ``curves`` keeps some."""
    kept = "SELECT results.id FROM results JOIN runs ON runs.id = run_id WHERE name = 'curves'"
    database.execute(f"DELETE FROM traces WHERE result_id NOT IN ({kept})")
    # One over two inputs, and one over one input with hidden layers.
    several = "(dataset = 'pair' AND model = 'ours' OR dataset != 'pair' AND model LIKE 'torch%')"
    database.execute(f"DELETE FROM sketches WHERE result_id NOT IN ({kept} AND {several})")


def thin_timings(database: sqlite3.Connection) -> None:
    """Keep a few samples of a few processes; the store has them as deflated float64."""
    for timing, processes, packed in database.execute(
        "SELECT id, processes, samples FROM timings"
    ).fetchall():
        samples = array("d", zlib.decompress(packed))
        kept, lengths = array("d"), []
        for length in json.loads(processes):
            own, samples = samples[:length], samples[length:]
            if len(lengths) < FEW_PROCESSES:
                kept.extend(round(value, 10) for value in own[:FEW_SAMPLES])
                lengths.append(min(length, FEW_SAMPLES))
        database.execute(
            "UPDATE timings SET processes = ?, samples = ? WHERE id = ?",
            (json.dumps(lengths), zlib.compress(kept.tobytes(), 9), timing),
        )


def history() -> list[dict[str, Any]]:
    """Series with a firm step, a provisional step, a change of the anchor, and scores."""
    draw = random.Random(1)
    found: list[dict[str, Any]] = []

    def add(day: int, value: float, case: str = "iris", **changes: Any) -> None:
        value = round(value, 6)
        point = {
            "measure": "fit",
            "subject": "mlp",
            "case": case,
            "device": "cpu",
            "time": f"2025-{1 + day // 28:02d}-{1 + day % 28:02d}T12:00:00.000000+00:00",
            "revision": f"{day + 1:02d}" * 20,
            "machine": "Golden CPU, 4 cores, Python 3.12.0, 1 thread",
            "anchor": "c" * 40,
            "source": "ab",
            "value": value,
            "low": round(value - 0.01, 6),
            "high": round(value + 0.01, 6),
            "seconds": round(0.1 * math.exp(value), 6),
            "n": 10,
        }
        found.append(point | changes)

    for day in range(24):
        add(day, draw.gauss(0.0, 0.005) + 0.1 * (day >= 14))
        add(day, draw.gauss(0.0, 0.005) - 0.1 * (day >= 21), "wine")
        later: dict[str, Any] = {"anchor": "kernel:numpy-stable"} if day >= 12 else {}
        add(day, draw.gauss(0.0, 0.005), "digits", device="cuda:0", **later)
        bare = {"anchor": "", "source": "run", "low": None, "high": None, "seconds": None}
        right = round(draw.gauss(0.9, 0.002) - 0.05 * (day >= 10), 6)
        add(day, right, measure="accuracy", **bare)
    add(11, 0.3, "digits", device="cuda:0", anchor="kernel:numpy-stable", source="bridge",
        revision="c" * 40)  # fmt: skip
    add(3, 0.2, "few points | of *one* <series>", measure="predict")
    return found


if __name__ == "__main__":
    main()
