"""Names of files that readers save from a page, and where long names may be broken."""

from __future__ import annotations

import re


def file_name(title: str) -> str:
    """The name of a file for a title: letters of any script, digits and hyphens.

    >>> file_name("torch-mlp[hidden=64x64] on <iris>")
    'torch-mlp-hidden-64x64-on-iris'
    """
    return re.sub(r"\W+", "-", title).strip("-") or "table"


def parts(name: str) -> list[str]:
    """A name in parts, between which a line may end.

    >>> parts("breast-cancer"), parts("iris[train_size=20,classes=2]")
    (['breast-', 'cancer'], ['iris[', 'train_', 'size=', '20,', 'classes=', '2]'])
    """
    return re.findall(r"[^\W_]+[\W_]*|[\W_]+", name)
