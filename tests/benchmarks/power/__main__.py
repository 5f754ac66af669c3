"""How often `harness ab`, `compare` and `track` are right; writes docs/measurements/regressions.md.

    python tests/benchmarks/power [all|measure|scores|history|report] [--minutes N]

Each measurement is appended to docs/measurements/regressions.jsonl, and a later run continues
where the last run ended.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[0] = str(HERE.parents[1])  # instead of this folder, whose modules belong to a package

from benchmarks.power.history import FLAT, STEPPED, simulate_history  # noqa: E402  # found by that path
from benchmarks.power.planting import cells  # noqa: E402
from benchmarks.power.report import report  # noqa: E402
from benchmarks.power.scoring import score_losses  # noqa: E402
from benchmarks.power.study import estimate, measure  # noqa: E402
from benchmarks.power.tracefile import Trace  # noqa: E402

PLACE = HERE.parents[2] / "docs" / "measurements"


def main() -> None:
    """Run the requested part of the study, and write the report."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parts = ("all", "measure", "scores", "history", "report")
    parser.add_argument("part", nargs="?", choices=parts, default="all")
    parser.add_argument("--minutes", type=float, default=600.0, help="for comparisons [600]")
    parser.add_argument("--scale", type=float, default=1.0, help="of the numbers wanted [1]")
    parser.add_argument("--subjects", default="softmax,loop,torch", help="[softmax,loop,torch]")
    parser.add_argument("--trace", type=Path, default=PLACE / "regressions.jsonl")
    parser.add_argument("--report", type=Path, default=PLACE / "regressions.md")
    given = parser.parse_args()
    trace = Trace(given.trace)
    done = True
    if given.part in ("all", "measure"):
        wanted = [cell for cell in cells(given.scale) if cell.subject in given.subjects.split(",")]
        for subject, seconds in estimate(trace, wanted).items():
            print(f"{subject}: about {seconds / 60:.0f} minutes left", flush=True)
        done = measure(
            trace, wanted, minutes=given.minutes, tell=lambda line: print(line, flush=True)
        )
    if given.part in ("all", "scores"):
        score_losses(trace, scale=given.scale)
    if given.part == "history" or (given.part == "all" and done):
        flat, stepped = (max(2, round(given.scale * n)) for n in (FLAT, STEPPED))
        simulate_history(trace, flat=flat, stepped=stepped)
    given.report.parent.mkdir(parents=True, exist_ok=True)
    given.report.write_text(report(trace), encoding="utf-8")
    print(f"{given.report} written{'' if done else '; the study is not finished'}")


if __name__ == "__main__":
    main()
