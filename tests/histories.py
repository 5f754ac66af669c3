"""Made-up points of a history."""

from __future__ import annotations

from typing import Any

from harness.contract.values import Point


def point(day: int, value: float, **changes: Any) -> Point:
    usual: dict[str, Any] = {
        "measure": "fit",
        "subject": "mlp",
        "case": "iris",
        "device": "cpu",
        "time": f"2026-{1 + day // 28:02d}-{1 + day % 28:02d}T00:00:00.000000+00:00",
        "revision": f"{day:040d}",
        "machine": "m",
        "anchor": "a",
        "source": "ab",
        "value": value,
        "low": value - 0.01,
        "high": value + 0.01,
        "seconds": 0.1,
        "n": 10,
    }
    return Point(**usual | changes)
