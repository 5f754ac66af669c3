"""Benchmarks of classifiers: which is better, by how much, how sure that is, how fast is it.

In a script or a notebook::

    import harness

    outcome = harness.run(datasets=["iris"], models=["numpy-softmax"])
    outcome.ranking
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from harness.contract.hookspecs import hookimpl
from harness.contract.values import (
    Classifier,
    Dataset,
    Device,
    Kernel,
    Model,
    Needs,
    Report,
    Setting,
    Split,
)
from harness.errors import HarnessError

if TYPE_CHECKING:
    from harness.api import Outcome, discover, run
    from harness.contract.splitting import folds, resample

__all__ = [
    "Classifier",
    "Dataset",
    "Device",
    "HarnessError",
    "Kernel",
    "Model",
    "Needs",
    "Outcome",
    "Report",
    "Setting",
    "Split",
    "__version__",
    "discover",
    "folds",
    "hookimpl",
    "resample",
    "run",
]

__version__ = "0.1.0"

# Pandas and SQLAlchemy are imported with the functions that need them, so that a plugin, which
# imports this package for its values, costs nothing.
_LATE = {
    "Outcome": "harness.api",
    "discover": "harness.api",
    "folds": "harness.contract.splitting",
    "resample": "harness.contract.splitting",
    "run": "harness.api",
}


def __getattr__(name: str) -> Any:
    if name not in _LATE:
        raise AttributeError(f"module 'harness' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_LATE[name]), name)
