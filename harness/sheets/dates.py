"""Dates as people write them."""

from __future__ import annotations

from datetime import UTC, datetime

MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)


def day(time: str | datetime) -> str:
    """The day of a time, in UTC; a text is a time as ISO 8601 writes it.

    >>> day("2026-11-28T04:40:21+00:00")
    '28 November 2026'
    """
    moment = _utc(time)
    return f"{moment.day} {MONTHS[moment.month - 1]} {moment.year}"


def day_and_time(time: str | datetime) -> str:
    """The day and the minute of a time, in UTC.

    >>> day_and_time("2026-11-28T05:40:21+01:00")
    '28 November 2026, 04:40 UTC'
    """
    return f"{day(time)}, {_utc(time):%H:%M} UTC"


def _utc(time: str | datetime) -> datetime:
    moment = datetime.fromisoformat(time) if isinstance(time, str) else time
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
