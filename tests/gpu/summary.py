"""The results of measure.sh: each figure beside its goal.

``summary.py environment OUT`` prints the card and versions; ``summary.py summary OUT``
reads the store, and prints tables and writes them to ``tables.md`` and ``results.json``.
"""

from __future__ import annotations

import json
import math
import platform
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tabulate import tabulate

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd

    from harness.contract.values import Frames

BANDWIDTH = 0.9
"""Fraction of a copy's bandwidth that a kernel should reach on the same bytes."""

OF_TORCH = 1.05
"""Largest ratio of a kernel's time to that of torch.softmax, on any shape."""

RECORDED = 1 / 3
"""Largest ratio of a recorded epoch's time to an eager epoch's."""

AT_ONCE = 4.0
"""Largest ratio of an epoch's time with 1,024 replicates at once to one replicate's."""

LIKELIHOOD = 1e-3
"""Largest difference of a likelihood between devices."""

WAYS = ("recorded", "eager", "plain", "all at once")
TORCHS = ("torch", "torch-out", "torch-graph")
PACKAGES = ("torch", "triton", "numpy", "scipy", "cuda-bindings", "classification-harness")


def environment(out: Path) -> None:
    """Print card, driver and versions, and write them to a file."""
    import torch

    facts: dict[str, Any] = {"date": datetime.now(UTC).isoformat(timespec="minutes")}
    facts |= {"python": platform.python_version(), "cuda": torch.version.cuda}
    for package in PACKAGES:
        try:
            facts[package] = version(package)
        except PackageNotFoundError:
            facts[package] = None
    if torch.cuda.is_available():
        card = torch.cuda.get_device_properties(0)
        facts |= {
            "card": card.name,
            "memory": card.total_memory,
            "multiprocessors": card.multi_processor_count,
            "second_level_cache": getattr(card, "L2_cache_size", None),
            "driver": _said("nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"),
            "clocks": _said("nvidia-smi", "--query-gpu=clocks.sm,clocks.mem", "--format=csv"),
        }
    else:
        facts["card"] = None
    (out / "environment.json").write_text(json.dumps(facts, indent=2) + "\n")
    for name, value in facts.items():
        print(f"{name}: {value}")


def _said(*command: str) -> str | None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def verdict(figure: float, wanted: float, *, least: bool = False) -> str:
    """Whether a figure reaches its goal: at most, or at least, this much."""
    if math.isnan(figure):
        return "not measured"
    return "reached" if (figure >= wanted if least else figure <= wanted) else "MISSED"


def softmax(table: pd.DataFrame) -> list[dict[str, Any]]:
    """A row for each kernel and shape: its bandwidth, the copy's, and the time of torch."""
    rows = []
    for (shape, dtype, caches, device), group in table.groupby(
        ["shape", "dtype", "caches", "device"], sort=False
    ):
        ok = group[group["status"] == "ok"].set_index("kernel")
        copy = ok["gigabytes_per_second"].get("copy", math.nan)
        torchs = [ok["seconds"][name] for name in TORCHS if name in ok.index]
        torch = min(torchs, default=math.nan)
        for _, row in group.iterrows():
            figures = {
                "shape": shape,
                "dtype": dtype,
                "caches": caches,
                "device": device,
                "kernel": row["kernel"],
            }
            if row["status"] != "ok":
                rows.append(figures | {"verdict": f"{row['status']}: {row['reason']}"})
                continue
            figures |= {
                "us": 1e6 * row["seconds"],
                "GB/s": row["gigabytes_per_second"],
                "copy GB/s": copy,
                "of copy": 1 / row["copies"],
                "of torch": row["seconds"] / torch,
            }
            if row["kernel"] not in ("copy", *TORCHS):
                figures["verdict"] = (
                    f"{verdict(figures['of copy'], BANDWIDTH, least=True)} / "
                    f"{verdict(figures['of torch'], OF_TORCH)}"
                )
            rows.append(figures)
    return rows


def training(table: pd.DataFrame) -> list[dict[str, Any]]:
    """A row for each model: the time of an epoch eager, recorded, and for all replicates."""
    rows = []
    for _, row in table[~table["model"].str.startswith("plain ")].iterrows():
        figures = {"model": row["model"], "device": row["device"], "status": row["status"]}
        if row["status"] == "ok":
            figures |= {
                "us/epoch": row["microseconds_per_epoch"],
                "plain, eager": row["reference_microseconds_per_epoch"],
                "of plain": row["reference_ratio"],
                "recorded": verdict(row["reference_ratio"], RECORDED),
            }
            if not math.isnan(n := row.get("together", math.nan)):
                at_once = row["together_ratio"] * n
                figures |= {
                    "replicates": n,
                    "all at once": row["together_microseconds_per_epoch"] * n,
                    "of one": at_once,
                    "together": verdict(at_once, AT_ONCE),
                }
        else:
            figures["recorded"] = row["reason"]
        rows.append(figures)
    return rows


def epochs(out: Path) -> list[dict[str, Any]]:
    """A row for each way to train in epochs.json, beside the epoch of one recorded replicate."""
    if not (out / "epochs.json").exists():
        return []
    figures = json.loads((out / "epochs.json").read_text())
    times = {name: figures.get(f"{name}, us/epoch", math.nan) for name in WAYS}
    rows: list[dict[str, Any]] = []
    for name, time in times.items():
        row = {
            "epoch of notebook-mlp": name,
            "us": time,
            "of one recorded": time / times["recorded"],
        }
        if name == "recorded":
            row["verdict"] = verdict(time / times["eager"], RECORDED)
        elif name == "all at once":
            row |= {"replicates": figures["replicates"]}
            row["verdict"] = verdict(row["of one recorded"], AT_ONCE)
        rows.append(row)
    return rows


def scores(results: pd.DataFrame) -> list[dict[str, Any]]:
    """A row for each dataset, model and repeat: likelihood on the CPU and on other devices."""
    rows = []
    if results.empty:
        return rows
    for (dataset, model, repeat), group in results.groupby(
        ["dataset", "model", "repeat"], sort=False
    ):
        by_device = group.set_index("device")
        for device in by_device.index.difference(["cpu"]):
            here, there = (by_device["likelihood"].get(name, math.nan) for name in ("cpu", device))
            rows.append(
                {
                    "dataset": dataset,
                    "model": model,
                    "repeat": repeat,
                    "device": device,
                    "likelihood": there,
                    "on the CPU": here,
                    "difference": there - here,
                    "verdict": verdict(abs(there - here), LIKELIHOOD),
                }
            )
    return rows


def summary(out: Path) -> None:
    """Print and write all results in the store, beside their goals."""
    from harness.contract.registry import load
    from harness.store.database import Store
    from harness.store.frames import load_frames

    report = load(()).reports["tables"]
    tables_by_name: dict[str, list[dict[str, Any]]] = {"softmax": [], "training": [], "scores": []}
    tables_by_name["epochs"] = epochs(out)
    texts = []
    if (out / "harness.db").exists():
        with closing(Store(f"sqlite:///{out / 'harness.db'}")) as store:
            for run in sorted(store.runs(), key=lambda run: run.id):
                frames: Frames = load_frames(store, run)
                tables = report.tables(frames)
                tables_by_name["softmax"] += softmax(tables["softmax"])
                tables_by_name["training"] += training(tables["training"])
                tables_by_name["scores"] += scores(frames.results)
                texts.append(f"## {run.name}\n\n{report.render(frames, 'markdown')}")
    (out / "tables.md").write_text("\n".join(texts))
    steps = [line.split("\t") for line in (out / "steps.tsv").read_text().splitlines()[1:]]
    kept = out / "environment.json"
    results = {"environment": json.loads(kept.read_text())} if kept.exists() else {}
    results |= {"steps": steps} | tables_by_name
    (out / "results.json").write_text(json.dumps(results, indent=1, default=float) + "\n")
    headings = {
        "softmax": f"Softmax (wanted: {BANDWIDTH:.0%} of the copy / {OF_TORCH} of torch's time)",
        "epochs": f"Epochs, in one process (wanted: recorded {RECORDED:.2f} of the eager one; all "
        f"replicates at once {AT_ONCE:g} times one)",
        "training": f"Training (wanted: {RECORDED:.2f} of the eager loop; all replicates at once "
        f"{AT_ONCE:g} times one)",
        "scores": f"Scores beside the CPU's (wanted: likelihood within {LIKELIHOOD:g})",
    }
    for name, rows in tables_by_name.items():
        print(f"\n{headings[name]}")
        print(_table(rows) if rows else "  not measured")
    print("\nSteps")
    print(tabulate(steps, headers=("step", "status", "seconds")))


def _table(rows: Iterable[dict[str, Any]]) -> str:
    shown = [
        {name: "" if isinstance(v, float) and math.isnan(v) else v for name, v in row.items()}
        for row in rows
    ]
    return tabulate(shown, headers="keys", floatfmt=".3g")


if __name__ == "__main__":
    {"environment": environment, "summary": summary}[sys.argv[1]](Path(sys.argv[2]))
