"""Timings as other tools write and read them.

``read`` takes in what pytest-benchmark, pyperf and asv wrote, as points of a history; the other
functions write ours for them.
"""

from harness.interchange.export import to_bencher, to_csv, to_pytest_benchmark
from harness.interchange.points import Imported, Point
from harness.interchange.pytest_benchmark import (
    VERSION,
    benchmark_json,
    require_pytest_benchmark,
)
from harness.interchange.reading import read

__all__ = [
    "VERSION",
    "Imported",
    "Point",
    "benchmark_json",
    "read",
    "require_pytest_benchmark",
    "to_bencher",
    "to_csv",
    "to_pytest_benchmark",
]
