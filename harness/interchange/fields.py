"""Members of a JSON document that others wrote, each with the type that it must have."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar, cast

KINDS: dict[type, str] = {
    dict: "an object",
    list: "an array",
    str: "a string",
    float: "a number",
    bool: "true or false",
    type(None): "null",
}
T = TypeVar("T")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class MalformedError(Exception):
    """A document is not what its format demands; says where and what, not in which file."""


def kind_of(value: object) -> str:
    """What JSON calls it.

    >>> kind_of([])
    'an array'
    """
    return KINDS[float if type(value) is int else type(value)]


def as_kind(value: object, kind: type[T], where: str) -> T:
    """The value, if it is of the kind; ``float`` stands for every number.

    Raises:
        MalformedError: it is something else.
    """
    if kind is float and type(value) is int:
        return cast("T", as_float(value))
    if type(value) is not kind:
        raise MalformedError(f"{where} is {kind_of(value)}, not {KINDS[kind]}")
    return value


def member(
    holder: dict[str, Any], name: str, kind: type[T], where: str, default: T | None = None
) -> T:
    """A member of an object; the default, if there is one, where it is missing or null.

    Raises:
        MalformedError: it is missing, or something else.
    """
    value = holder.get(name)
    if value is None and default is not None:
        return default
    if name not in holder:
        raise MalformedError(f"{where} has no '{name}'")
    return as_kind(value, kind, f"{where}: '{name}'")


def machine_of(processor: object, cores: object, host: str) -> str:
    """A machine as far as a file tells what it is; its host's name where it does not.

    >>> machine_of("A Processor", 4, "box"), machine_of(None, 4, "box")
    ('A Processor, 4 cores', 'box')
    """
    if not isinstance(processor, str) or not plain(processor):
        return host
    return f"{plain(processor)}, {cores} cores" if type(cores) is int else plain(processor)


def as_float(whole: int) -> float:
    """The nearest float, which for some whole numbers is Infinity.

    >>> as_float(10**400)
    inf
    """
    try:
        return float(whole)
    except OverflowError:
        return math.inf if whole > 0 else -math.inf


def seconds(value: object, where: str) -> float:
    """A number of seconds; null, which tools write for what is not one, is NaN.

    Raises:
        MalformedError: it is something else.
    """
    return math.nan if value is None else as_kind(value, float, where)


def plain(text: str) -> str:
    """Text that fits into a line of output, with nothing a terminal would obey.

    >>> plain("two" + chr(10) + "lines ")
    'two lines'
    """
    return "".join(c if c.isprintable() else " " for c in text).strip()


def named(text: str, where: str) -> str:
    """A name.

    Raises:
        MalformedError: nothing that could be printed is in it.
    """
    if not plain(text):
        raise MalformedError(f"{where} is an empty name")
    return plain(text)


def utc(text: str, where: str) -> str:
    """A time in ISO 8601 as UTC; one without an offset is taken for UTC.

    Raises:
        MalformedError: it is something else.

    >>> utc("2026-03-01 12:00:00.5+02:00", "date")
    '2026-03-01T10:00:00.500000+00:00'
    """
    try:
        time = datetime.fromisoformat(text)
        return (time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)).isoformat()
    except (ValueError, OverflowError) as error:
        raise MalformedError(f"{where}: '{plain(text)[:40]}' is no time in ISO 8601") from error


def utc_of(milliseconds: float, where: str) -> str:
    """A time in milliseconds since 1970, which is what JavaScript counts in, as UTC.

    Raises:
        MalformedError: there is no such time.

    >>> utc_of(1772359200000, "date")
    '2026-03-01T10:00:00+00:00'
    """
    try:
        return (EPOCH + timedelta(milliseconds=milliseconds)).isoformat()
    except (ValueError, OverflowError) as error:
        raise MalformedError(f"{where}: {milliseconds:g} is no time in milliseconds") from error
