"""Options that several commands share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import click

from harness import quantities
from harness.errors import UsageError
from harness.settings import choose_store, read_settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.registry import Registry
    from harness.store import Store

F = TypeVar("F", bound="Callable[..., Any]")


class Quantity(click.ParamType[Any]):
    """A time or a size with its unit."""

    def __init__(self, name: str, parse: Callable[[str], float]) -> None:
        self.name = name
        self._parse = parse

    def convert(self, value: Any, param: Any, ctx: Any) -> float:
        """The number of seconds or bytes."""
        try:
            return self._parse(value)
        except UsageError as error:
            self.fail(str(error), param, ctx)


TIME = Quantity("time", quantities.seconds)
SIZE = Quantity("size", quantities.size)


def plugin_option(function: F) -> F:
    """``--plugin``, repeatable."""
    return click.option(
        "--plugin",
        "plugins",
        multiple=True,
        metavar="FILE",
        help="A .py file (or module) that offers datasets or models; repeatable.",
    )(function)


def store_option(function: F) -> F:
    """``--store``, or HARNESS_STORE, or the settings, or harness.db."""
    return click.option(
        "--store",
        envvar="HARNESS_STORE",
        metavar="URL",
        help="SQLite file or database URL [harness.db].",
    )(function)


def store_url(given: str | None) -> str:
    """Where the results are."""
    return choose_store(given, read_settings())


def open_store(given: str | None) -> Store:
    """The store that a command reads; it must be there."""
    from harness.store import Store

    return Store(store_url(given))


def all_plugins(given: tuple[str, ...]) -> tuple[str, ...]:
    """The settings' plugins, then those of the command line."""
    return (*read_settings().plugins, *given)


def discover(given: tuple[str, ...]) -> Registry:
    """The registry, after a complaint about every plugin that cannot be used."""
    from harness.cli.console import complain_of
    from harness.registry import load

    registry = load(all_plugins(given))
    complain_of(registry.faults)
    return registry
