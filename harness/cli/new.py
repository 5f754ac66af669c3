"""``harness new``."""

from __future__ import annotations

import importlib.util
import keyword
import re
from importlib import resources
from pathlib import Path
from string import Template

import click

from harness.cli import options
from harness.errors import UsageError
from harness.terminal.console import out

TRIES = {
    "dataset": "harness check {name} && harness run -d {name}",
    "model": "harness check {name} && harness run -d iris -m {name}",
    "metric": "harness check {name} && harness run -d iris && harness report --metric {name}",
}
"""What the README says to do first, for each kind of plugin."""

NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


@click.command(name="new", cls=options.Command, short_help="Write a plugin package to start from.")
@click.argument("kind", type=click.Choice(tuple(TRIES)))
@click.argument("name")
def command(kind: str, name: str) -> None:
    """Write a package with a dataset, a model or a metric into the new folder ./NAME.

    It works as it is, and has tests. NAME is kebab-case, such as my-model.
    """
    module = name.replace("-", "_")
    _require_free(kind, name, module)
    fields = {"name": name, "module": module, "kind": kind, "try_it": TRIES[kind].format(name=name)}
    folder = Path(name)
    files = {
        "pyproject.toml": "pyproject.toml",
        "README.md": "README.md",
        f"{module}/__init__.py": f"{kind}.py",
        f"tests/test_{module}.py": f"test_{kind}.py",
    }
    templates = resources.files("harness.cli") / "templates"
    for file, template in files.items():
        text = Template((templates / f"{template}.in").read_text(encoding="utf-8"))
        path = folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.substitute(fields), encoding="utf-8")
    console = out()
    for file in files:
        console.print(str(folder / file), markup=False, highlight=False, soft_wrap=True)


def _require_free(kind: str, name: str, module: str) -> None:
    """Check that a plugin of this name can be written and installed.

    Raises:
        UsageError: the name is malformed or taken, or the folder exists.
    """
    if not NAME.fullmatch(name) or keyword.iskeyword(module):
        raise UsageError(
            f"'{name}' is no name for a {kind}; write lower-case words joined by hyphens, such as "
            f"my-{kind}"
        )
    if Path(name).exists():
        raise UsageError(f"'{name}' exists already in this folder; choose another name or folder")
    if importlib.util.find_spec(module):
        raise UsageError(f"a Python module '{module}' is installed already; choose another name")
    if name in getattr(options.discover(()), f"{kind}s"):
        raise UsageError(f"a {kind} '{name}' is installed already; choose another name")
