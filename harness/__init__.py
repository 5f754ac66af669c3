"""Benchmarks of classifiers: scores with confidence intervals and tests, and timings.

In a script or a notebook::

    import harness

    outcome = harness.run(datasets=["iris"], models=["numpy-softmax"])
    outcome.ranking
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from harness.contract.estimators import estimator
from harness.contract.hookspecs import hookimpl
from harness.contract.values import (
    Classifier,
    Column,
    Dataset,
    Device,
    Frames,
    Kernel,
    Metric,
    Model,
    Needs,
    Option,
    Picture,
    Report,
    Setting,
    Split,
    Wanted,
)
from harness.errors import HarnessError, UsageError

if TYPE_CHECKING:
    # These types are for annotations only, and some of them need NumPy.
    from harness.api import Outcome, discover, run, table
    from harness.contract.splitting import folds, resample
    from harness.contract.values import Array, Monitor, Run, Sketch

__all__ = [
    "Array",
    "Classifier",
    "Column",
    "Dataset",
    "Device",
    "Frames",
    "HarnessError",
    "Kernel",
    "Metric",
    "Model",
    "Monitor",
    "Needs",
    "Option",
    "Outcome",
    "Picture",
    "Report",
    "Run",
    "Setting",
    "Sketch",
    "Split",
    "UsageError",
    "Wanted",
    "__version__",
    "discover",
    "estimator",
    "folds",
    "hookimpl",
    "resample",
    "run",
    "table",
]

__version__ = "0.1.0"

# These names are imported at first use. They need NumPy, pandas or SQLAlchemy, and a plugin that
# imports this package only for its values should not wait for those.
_LATE = {
    "Outcome": "harness.api",
    "discover": "harness.api",
    "folds": "harness.contract.splitting",
    "resample": "harness.contract.splitting",
    "run": "harness.api",
    "table": "harness.api",
}


def __getattr__(name: str) -> Any:
    if name not in _LATE:
        raise AttributeError(f"module 'harness' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_LATE[name]), name)
