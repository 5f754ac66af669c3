"""Members of JSON documents from other tools, checked to have the right types."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias, TypeVar, cast

from harness.words import plain

KINDS: dict[type, str] = {
    dict: "an object",
    list: "an array",
    str: "a string",
    float: "a number",
    bool: "true or false",
    type(None): "null",
}
T = TypeVar("T")

JsonObject: TypeAlias = dict[str, Any]
"""An object of a JSON document; `member` checks the types of its values."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class MalformedError(Exception):
    """A document breaks its format; the message says where and how, but not in which file."""


def kind_of(value: object) -> str:
    """The name of a value's type in JSON.

    >>> kind_of([])
    'an array'
    """
    return KINDS[float if type(value) is int else type(value)]


def as_kind(value: object, kind: type[T], where: str) -> T:
    """The value, if it is of this type; ``float`` stands for every number.

    Raises:
        MalformedError: the value is of another type.
    """
    if kind is float and type(value) is int:
        return cast("T", as_float(value))
    if type(value) is not kind:
        raise MalformedError(f"{where} is {kind_of(value)}, not {KINDS[kind]}")
    return value


def member(holder: JsonObject, name: str, kind: type[T], where: str, default: T | None = None) -> T:
    """A member of an object, or the default, if given, for a member that is missing or null.

    Raises:
        MalformedError: the member is missing or of another type.
    """
    value = holder.get(name)
    if value is None and default is not None:
        return default
    if name not in holder:
        raise MalformedError(f"{where} has no '{name}'")
    return as_kind(value, kind, f"{where}: '{name}'")


def machine_of(processor: object, cores: object, host: str) -> str:
    """A machine's processor and cores; its host's name if the processor is unknown.

    >>> machine_of("A Processor", 4, "box"), machine_of(None, 4, "box")
    ('A Processor, 4 cores', 'box')
    """
    if not isinstance(processor, str) or not plain(processor):
        return host
    return f"{plain(processor)}, {cores} cores" if type(cores) is int else plain(processor)


def as_float(whole: int) -> float:
    """The float nearest to a whole number; Infinity for huge numbers.

    >>> as_float(10**400)
    inf
    """
    try:
        return float(whole)
    except OverflowError:
        return math.inf if whole > 0 else -math.inf


def seconds(value: object, where: str) -> float:
    """A number of seconds; null, which tools write for a missing number, becomes NaN.

    Raises:
        MalformedError: the value is neither.
    """
    return math.nan if value is None else as_kind(value, float, where)


def named(text: str, where: str) -> str:
    """A name on one line, which is not empty.

    Raises:
        MalformedError: the name has no printable characters.
    """
    if not plain(text):
        raise MalformedError(f"{where} is an empty name")
    return plain(text)


def utc(text: str, where: str) -> str:
    """A time in ISO 8601 as UTC; a time without an offset counts as UTC.

    Raises:
        MalformedError: the text is not a time in ISO 8601.

    >>> utc("2026-03-01 12:00:00.5+02:00", "date")
    '2026-03-01T10:00:00.500000+00:00'
    """
    try:
        time = datetime.fromisoformat(text)
        return (time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)).isoformat()
    except (ValueError, OverflowError) as error:
        raise MalformedError(f"{where}: '{plain(text)[:40]}' is not a time in ISO 8601") from error


def utc_of(milliseconds: float, where: str) -> str:
    """A time in milliseconds since 1970, as JavaScript counts, in ISO 8601 as UTC.

    Raises:
        MalformedError: there is no such time.

    >>> utc_of(1772359200000, "date")
    '2026-03-01T10:00:00+00:00'
    """
    try:
        return (EPOCH + timedelta(milliseconds=milliseconds)).isoformat()
    except (ValueError, OverflowError) as error:
        raise MalformedError(f"{where}: {milliseconds:g} is not a time in milliseconds") from error
