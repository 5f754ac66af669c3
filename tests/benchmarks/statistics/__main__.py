"""How often intervals, p-values and marks are right; writes docs/measurements/statistics.md.

    python tests/benchmarks/statistics [all|report] [--minutes N] [--scale F]

All results are appended to docs/measurements/statistics.jsonl, and a later run continues
where the last run ended.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[0] = str(HERE.parents[1])  # instead of this folder, whose modules belong to a package

from benchmarks.power.tracefile import Trace  # noqa: E402  # found by that path
from benchmarks.statistics.study import all_cases, page, simulate  # noqa: E402

PLACE = HERE.parents[2] / "docs" / "measurements"


def main() -> None:
    """Run the requested part of the study, and write the page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("part", nargs="?", choices=("all", "report"), default="all")
    parser.add_argument("--minutes", type=float, default=600.0, help="to begin runs in [600]")
    parser.add_argument("--scale", type=float, default=1.0, help="of the numbers of runs [1]")
    parser.add_argument("--only", default="", help="cases whose claim or setting has these words")
    parser.add_argument("--trace", type=Path, default=PLACE / "statistics.jsonl")
    parser.add_argument("--report", type=Path, default=PLACE / "statistics.md")
    given = parser.parse_args()
    trace, cases = Trace(given.trace), all_cases()
    done = True
    if given.part == "all":
        wanted = [case for case in cases if given.only in case.key]
        done = simulate(trace, wanted, minutes=given.minutes, scale=given.scale)
    given.report.parent.mkdir(parents=True, exist_ok=True)
    given.report.write_text(page(trace, cases), encoding="utf-8")
    print(f"{given.report} written{'' if done else '; the study is not finished'}")


if __name__ == "__main__":
    main()
