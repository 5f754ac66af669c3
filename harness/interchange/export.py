"""Series of a history as other tools read them."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from harness.errors import UsageError
from harness.interchange.pytest_benchmark import DIRTY, VERSION, require_pytest_benchmark, stats
from harness.untrusted import frame_csv

if TYPE_CHECKING:
    import pandas as pd

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
"""Of a frame of points. ``low`` and ``high`` bound ``seconds``, and are seconds; NaN is unknown.
``log_ratio`` is to the ``anchor``; ``score`` is what a series of scores has in place of a time."""


def to_csv(points: pd.DataFrame) -> str:
    """All points, one a line, in the order they have; what is NaN is left empty."""
    return frame_csv(points.loc[:, list(COLUMNS)])


def to_bencher(points: pd.DataFrame) -> str:
    """Bencher's Metric Format: the newest point of each series, in nanoseconds.

    See https://bencher.dev/docs/reference/bencher-metric-format; ``latency`` is its own measure.

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
                # Fifteen digits are what was measured; the rest would be the product's rounding.
                if math.isfinite(nanoseconds := float(f"{float(value) * 1e9:.15g}"))
            }
        }
    return _json(metrics)


def to_pytest_benchmark(points: pd.DataFrame) -> str:
    """A file as pytest-benchmark's, of the newest run.

    That is each series' newest point of the newest point's machine and revision. A benchmark's only
    datum is the median that is known of it; the rest is its ``extra_info``.

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


def _benchmark(row: dict[str, Any]) -> dict[str, Any]:
    beside = {name: float(row[name]) for name in ("log_ratio", "low", "high")}
    return {
        "group": None,
        "name": str(row["series"]),
        "fullname": str(row["series"]),
        "params": None,
        "param": None,
        "extra_info": {
            "processes": int(row["processes"]),
            **{name: value for name, value in beside.items() if math.isfinite(value)},
        },
        "options": {},
        "stats": stats([float(row["seconds"])], 1),
    }


def _timed(points: pd.DataFrame) -> list[dict[str, Any]]:
    """The points with a time of their own, as rows."""
    rows: list[dict[str, Any]] = points.loc[:, list(COLUMNS)].to_dict("records")  # type: ignore[assignment]
    # Beyond these, nanoseconds or calls per second would be Infinity, which JSON has not.
    rows = [row for row in rows if 1e-300 < row["seconds"] < 1e290]
    if not rows:
        raise UsageError("no point has a time in seconds; --format csv writes ratios, too")
    return rows


def _newest_of_each(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    newest: dict[str, dict[str, Any]] = {}
    for row in sorted(rows, key=_time):
        newest[row["series"]] = row
    return [newest[series] for series in sorted(newest)]


def _time(row: dict[str, Any]) -> datetime:
    time = datetime.fromisoformat(str(row["time"]))
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def _json(value: dict[str, Any]) -> str:
    return json.dumps(value, indent=2, allow_nan=False) + "\n"
