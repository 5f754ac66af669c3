"""What HTML pages share: a style sheet, a script for tables, and templates that escape texts."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import DictLoader, Environment, StrictUndefined
from markupsafe import Markup

from harness.sheets.palette import CSS
from harness.untrusted import cleaned

TABLE = "grid.html"
"""The template of a table; its macro ``table`` takes a `harness.sheets.grids.Grid`."""


def style() -> Markup:
    """The style sheet, for light and dark, wide and narrow screens, and paper."""
    return Markup(_read("harness.sheets", "page.css") + CSS)  # noqa: S704  # ours


def style_of(package: str, name: str) -> Markup:
    """A style sheet of a package."""
    return Markup(_read(package, name))  # noqa: S704  # the package's own


def script() -> Markup:
    """The script that sorts, filters and saves tables; pages are complete without it."""
    return Markup(_read("harness.sheets", "page.js"))  # noqa: S704  # ours


def script_of(package: str, name: str) -> Markup:
    """A script of a package."""
    return Markup(_read(package, name))  # noqa: S704  # the package's own


@cache
def templates(package: str, *names: str) -> Environment:
    """Templates of a package, beside `TABLE`; they escape all texts that are not `Markup`."""
    texts = {name: _read(package, name) for name in names}
    return Environment(
        loader=DictLoader({TABLE: _read("harness.sheets", TABLE)} | texts),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


@cache
def _read(package: str, name: str) -> str:
    return (files(package) / name).read_text(encoding="utf-8")


def rendered(environment: Environment, name: str, **values: Any) -> str:
    """A template filled in, without characters that terminals obey."""
    return cleaned(environment.get_template(name).render(**values))
