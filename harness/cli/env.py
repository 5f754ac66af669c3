"""``harness env``."""

from __future__ import annotations

import json

import click

from harness.cli import options
from harness.terminal.console import out, write


@click.command(
    name="env",
    cls=options.Command,
    short_help="Print machine, package versions and code revisions.",
)
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
@options.plugin_option
def command(as_json: bool, plugins: tuple[str, ...]) -> None:
    """Print what is stored with every run: machine, packages, git revisions, plugin code."""
    from harness.store.environment import fingerprint

    environment = fingerprint(options.discover(plugins))
    if as_json:
        write(json.dumps(environment, indent=2))
        return
    from rich import box
    from rich.table import Table

    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="dim")
    table.add_column(overflow="fold")
    machine = environment["machine"]
    table.add_row("machine", f"{machine['node']}, {machine['system']}")
    table.add_row("processor", f"{machine['processor']}, {machine['cores']} cores")
    table.add_row("memory", f"{machine['memory'] / 2**30:.1f} GiB")
    table.add_row("Python", environment["python"])
    table.add_row("project", _revision(environment["project"]))
    out().print(table)
    packages = Table("package", "version", box=box.SIMPLE_HEAD)
    for name, version in environment["packages"].items():
        packages.add_row(name, version)
    out().print(packages)
    code = Table("plugin", "code", "git revision", box=box.SIMPLE_HEAD)
    for name, plugin in environment["plugins"].items():
        code.add_row(name, plugin["digest"], _revision(plugin["git"]))
    out().print(code)


def _revision(git: dict[str, object] | None) -> str:
    if git is None:
        return "no git checkout"
    return f"{str(git['revision'])[:12]}{', dirty' if git['dirty'] else ''}"
