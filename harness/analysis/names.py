"""Names of datasets as they stand in frames."""

from __future__ import annotations

import re

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
