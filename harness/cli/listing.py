"""``harness list``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from harness.cli import options
from harness.sheets.table import LESS
from harness.terminal.console import out

if TYPE_CHECKING:
    from rich.table import Table

    from harness.contract.registry import Registry

KINDS = ("datasets", "models", "metrics", "kernels", "devices", "reports", "pictures", "plugins")
BY_DEFAULT = ("datasets", "models")
"""Kinds listed if none is given."""


@click.command(
    name="list",
    cls=options.Command,
    short_help="List datasets, models, metrics and whatever else plugins offer.",
)
@click.argument("kind", required=False, type=click.Choice(KINDS))
@options.plugin_option
def command(kind: str | None, plugins: tuple[str, ...]) -> None:
    """List datasets, models, metrics, kernels, devices, reports, pictures or plugins.

    Without an argument, lists datasets and models.
    """
    files, _ = options.open_files((), {})
    registry = options.discover((*plugins, *files))
    console = out()
    for listed_kind in (kind,) if kind else BY_DEFAULT:
        console.print(
            _plugins(registry) if listed_kind == "plugins" else _table(registry, listed_kind)
        )
    if not kind:
        others = [other for other in KINDS if other not in BY_DEFAULT]
        console.print(f"More: harness list {'|'.join(others)}")


def _table(registry: Registry, kind: str) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(title=kind, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)
    table.add_column("name", overflow="fold", ratio=3)
    table.add_column(
        {"datasets": "kind, tags", "models": "tags", "metrics": "values"}.get(kind, ""), ratio=2
    )
    table.add_column("what it is", ratio=5)
    for name, value in getattr(registry, kind).items():
        tags = [value.kind] if kind == "datasets" else []
        tags += getattr(value, "tags", ())
        if kind == "metrics":
            tags = [
                f"{value.low:g} to {value.high:g}",
                *([] if value.greater_is_better else [LESS]),
            ]
        if getattr(value, "baseline", False):
            tags.append("baseline")
        if kind == "kernels" and not value.stable:
            tags.append("unstable")
        table.add_row(name, ", ".join(dict.fromkeys(tags)), value.description)
    return table


def _plugins(registry: Registry) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(title="plugins", title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)
    table.add_column("name")
    table.add_column("from", overflow="fold")
    table.add_column("offers", overflow="fold")
    for origin in registry.plugins:
        offers = {kind: names for kind, names in registry.offers_of(origin).items() if names}
        table.add_row(
            origin.name,
            str(origin),
            "\n".join(f"{kind}: {', '.join(names)}" for kind, names in offers.items()),
        )
    return table
