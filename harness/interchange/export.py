"""Series of a history in the formats of other tools."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeAlias

from harness.errors import UsageError
from harness.interchange.pytest_benchmark import DIRTY, VERSION, require_pytest_benchmark, stats
from harness.untrusted import frame_csv

if TYPE_CHECKING:
    import pandas as pd

    from harness.interchange.fields import JsonObject

    Record: TypeAlias = dict[str, Any]
    """A row of a frame of points, as pandas gives it: texts and numbers."""

COLUMNS = (
    "series",
    "time",
    "revision",
    "seconds",
    "log_ratio",
    "low",
    "high",
    "machine",
    "processes",
    "anchor",
    "score",
)
"""The columns of a frame of points. ``low`` and ``high`` are the bounds of ``seconds``, in seconds;
NaN means unknown. ``log_ratio`` is relative to the ``anchor``. A series of scores has a ``score``
in place of a time."""


def to_csv(points: pd.DataFrame) -> str:
    """All points as CSV, one per line, in their order; NaN is left empty."""
    return frame_csv(points.loc[:, list(COLUMNS)])


def to_bencher(points: pd.DataFrame) -> str:
    """Bencher's Metric Format: the newest point of each series, in nanoseconds.

    See https://bencher.dev/docs/reference/bencher-metric-format; ``latency`` is Bencher's measure.

    Raises:
        UsageError: no point has seconds.
    """
    metrics = {}
    for row in _newest_of_each(_timed(points)):
        values = {
            "value": row["seconds"],
            "lower_value": row["low"],
            "upper_value": row["high"],
        }
        metrics[str(row["series"])] = {
            "latency": {
                name: nanoseconds
                for name, value in values.items()
                # More than fifteen digits would show only the rounding of the product.
                if math.isfinite(nanoseconds := float(f"{float(value) * 1e9:.15g}"))
            }
        }
    return _json(metrics)


def to_pytest_benchmark(points: pd.DataFrame) -> str:
    """The newest run as a file of pytest-benchmark.

    The newest point of all gives the machine and the revision; of these, the run has the newest
    point of each series. A benchmark's data hold one value, its median; ``extra_info`` has the
    rest.

    Raises:
        UsageError: no point has seconds, or pytest-benchmark is not installed.
    """
    require_pytest_benchmark()
    rows = _timed(points)
    newest = max(rows, key=_time)
    same = ("machine", "revision")
    run = [row for row in rows if all(str(row[name]) == str(newest[name]) for name in same)]
    revision = str(newest["revision"])
    return _json(
        {
            "machine_info": {"node": str(newest["machine"])},
            "commit_info": {
                "id": revision.removesuffix(DIRTY) or "unversioned",
                "dirty": revision.endswith(DIRTY),
            },
            "benchmarks": [_benchmark(row) for row in _newest_of_each(run)],
            "datetime": _time(newest).isoformat(),
            "version": VERSION,
        }
    )


def _benchmark(row: Record) -> JsonObject:
    figures = {name: float(row[name]) for name in ("log_ratio", "low", "high")}
    return {
        "group": None,
        "name": str(row["series"]),
        "fullname": str(row["series"]),
        "params": None,
        "param": None,
        "extra_info": {
            "processes": int(row["processes"]),
            **{name: value for name, value in figures.items() if math.isfinite(value)},
        },
        "options": {},
        "stats": stats([float(row["seconds"])], 1),
    }


def _timed(points: pd.DataFrame) -> list[Record]:
    """The points that have a time in seconds, as rows."""
    rows: list[Record] = points.loc[:, list(COLUMNS)].to_dict("records")  # type: ignore[assignment]
    # Beyond these limits, nanoseconds or calls per second would be Infinity, which JSON lacks.
    rows = [row for row in rows if 1e-300 < row["seconds"] < 1e290]
    if not rows:
        raise UsageError("no point has a time in seconds; --format csv writes ratios, too")
    return rows


def _newest_of_each(rows: list[Record]) -> list[Record]:
    newest: dict[str, Record] = {}
    for row in sorted(rows, key=_time):
        newest[row["series"]] = row
    return [newest[series] for series in sorted(newest)]


def _time(row: Record) -> datetime:
    time = datetime.fromisoformat(str(row["time"]))
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def _json(value: JsonObject) -> str:
    return json.dumps(value, indent=2, allow_nan=False) + "\n"
