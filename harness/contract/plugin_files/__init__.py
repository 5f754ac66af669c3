"""Makes plugin files importable by name in every process.

Pickle refers to functions and classes by the name of their module, for example when a model sends
work to a process pool. So the module name of a plugin file contains the file's path::

    harness.contract.plugin_files.knn_2f686f6d652f...

A plugin file can import the modules beside it, as a script can.
"""

from __future__ import annotations

import importlib.util
import os
import re
import sys
from importlib.abc import MetaPathFinder
from importlib.machinery import SourceFileLoader
from typing import TYPE_CHECKING

from harness.errors import describe

if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from pathlib import Path
    from types import ModuleType


def name_of(path: Path) -> str:
    """The module name of a plugin file.

    >>> from pathlib import Path
    >>> name_of(Path("/a/k-nn.py"))
    'harness.contract.plugin_files.k_nn_2f612f6b2d6e6e2e7079'
    """
    return f"{__name__}.{re.sub(r'[^a-zA-Z0-9]', '_', path.stem)}_{os.fsencode(path).hex()}"


def described(error: BaseException) -> str:
    """Why a plugin's code does not import."""
    if isinstance(error, ImportError) and (error.name or "").startswith(__name__):
        return (
            "a relative import needs a package, and a file alone has none; import without the dot, "
            "or install the package and name its module"
        )
    return describe(error)


class _Loader(SourceFileLoader):
    """Lets the file import modules of its folder, if there are no installed ones of that name."""

    def exec_module(self, module: ModuleType) -> None:
        """Execute the file."""
        folder = os.path.dirname(self.path)  # noqa: PTH120  # as importlib writes it
        if folder not in sys.path:
            sys.path.append(folder)
        super().exec_module(module)


class _Finder(MetaPathFinder):
    """Decodes the file's path from the module name, and imports that file."""

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,  # noqa: ARG002  # part of the protocol
        target: ModuleType | None = None,  # noqa: ARG002
    ) -> ModuleSpec | None:
        package, _, name = fullname.rpartition(".")
        if package != __name__:
            return None
        try:
            file = os.fsdecode(bytes.fromhex(name.rpartition("_")[2]))
        except ValueError:
            return None
        if not os.path.isabs(file):  # noqa: PTH117  # another name that can be read as hex
            return None
        return importlib.util.spec_from_file_location(
            fullname, file, loader=_Loader(fullname, file)
        )


sys.meta_path.append(_Finder())
