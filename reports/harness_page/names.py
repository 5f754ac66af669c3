"""Names of files that readers save from a page."""

from __future__ import annotations

import re


def file_name(title: str) -> str:
    """The name of a file for a title: letters of any script, digits and hyphens.

    >>> file_name("torch-mlp[hidden=64x64] on <iris>")
    'torch-mlp-hidden-64x64-on-iris'
    """
    return re.sub(r"\W+", "-", title).strip("-") or "table"
