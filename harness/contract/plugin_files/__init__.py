"""Plugin files as modules that every process can import by name.

A model's own processes (a pool's workers, say) get functions and classes by the name of the module
that defines them. So a plugin file's module has a name that tells where the file lies::

    harness.contract.plugin_files.knn_2f686f6d652f...
"""

from __future__ import annotations

import importlib.util
import os
import re
import sys
from importlib.abc import MetaPathFinder
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from pathlib import Path
    from types import ModuleType


def name_of(path: Path) -> str:
    """The name of a file's module.

    >>> from pathlib import Path
    >>> name_of(Path("/a/k-nn.py"))
    'harness.contract.plugin_files.k_nn_2f612f6b2d6e6e2e7079'
    """
    return f"{__name__}.{re.sub(r'[^a-zA-Z0-9]', '_', path.stem)}_{os.fsencode(path).hex()}"


class _Finder(MetaPathFinder):
    """Finds the file in the name."""

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,  # noqa: ARG002  # the protocol's
        target: ModuleType | None = None,  # noqa: ARG002
    ) -> ModuleSpec | None:
        package, _, name = fullname.rpartition(".")
        if package != __name__:
            return None
        try:
            file = os.fsdecode(bytes.fromhex(name.rpartition("_")[2]))
        except ValueError:
            return None
        return importlib.util.spec_from_file_location(fullname, file) if file else None


sys.meta_path.append(_Finder())
