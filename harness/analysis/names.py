"""Names of datasets and models, as they are written in frames."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.contract.values import Frames

_SIZE = re.compile(r"(?:train_size|n_train)=")


def base(dataset: str) -> str:
    """A dataset's name without the parameter that sets the number of training rows.

    >>> base("iris[train_size=50]"), base("threshold[n_test=9,n_train=50]"), base("iris")
    ('iris', 'threshold[n_test=9]', 'iris')
    """
    name, bracket, rest = dataset.partition("[")
    if not bracket or not rest.endswith("]"):
        return dataset
    kept = [parameter for parameter in rest[:-1].split(",") if not _SIZE.match(parameter)]
    return f"{name}[{','.join(kept)}]" if kept else name


def baselines(frames: Frames) -> set[str]:
    """The baselines of a run: those with results, and those that were planned."""
    results = frames.results
    planned = {pairing.model for pairing in frames.run.planned if pairing.baseline}
    return planned | set(results.loc[results["baseline"].astype(bool), "model"])
