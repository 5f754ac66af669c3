"""Timings in the formats of other tools.

``read`` reads files of pytest-benchmark, pyperf and asv as points of a history; the other functions
write our timings for other tools.
"""

from harness.interchange.export import to_bencher, to_csv, to_pytest_benchmark
from harness.interchange.points import Imported, ToolPoint
from harness.interchange.pytest_benchmark import (
    VERSION,
    benchmark_json,
    require_pytest_benchmark,
)
from harness.interchange.reading import read

__all__ = [
    "VERSION",
    "Imported",
    "ToolPoint",
    "benchmark_json",
    "read",
    "require_pytest_benchmark",
    "to_bencher",
    "to_csv",
    "to_pytest_benchmark",
]
