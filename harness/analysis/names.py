"""Names of datasets and models, as they are written in frames."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from harness.contract.values import Frames

_PARAMETERS = re.compile(r"(?:[^,\[\]]|\[[^\]]*\])+(?=[,\]])")
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


def short_names(names: Iterable[str]) -> dict[str, str]:
    """For each name, the name without the parameters that all variants of its model share.

    >>> short = short_names(["mlp[hidden=8,lr=.1]", "mlp[hidden=64,lr=.1]", "knn[k=3]"])
    >>> list(short.values())
    ['mlp[hidden=8]', 'mlp[hidden=64]', 'knn[k=3]']
    """
    variants: dict[str, dict[str, list[str]]] = {}
    for name in names:
        model, bracket, rest = name.partition("[")
        variants.setdefault(model, {})[name] = _PARAMETERS.findall(rest) if bracket else []
    short = {}
    for model, parameters in variants.items():
        shared = set.intersection(*map(set, parameters.values())) if len(parameters) > 1 else set()
        for name, own in parameters.items():
            kept = [parameter for parameter in own if parameter not in shared]
            device = name.rpartition(" @ ")[2] if " @ " in name else ""
            text = f"{model}[{','.join(kept)}]" if kept else model
            short[name] = f"{text} @ {device}" if device and own else text if own else name
    return short if len(set(short.values())) == len(short) else {name: name for name in short}


def baselines(frames: Frames) -> set[str]:
    """The baselines of a run: those with results, and those that were planned."""
    results = frames.results
    planned = {pairing.model for pairing in frames.run.planned if pairing.baseline}
    return planned | set(results.loc[results["baseline"].astype(bool), "model"])
