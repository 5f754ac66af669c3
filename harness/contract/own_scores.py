"""The scores that every result has, as metrics: they need no plugin."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from harness.contract.values import Metric

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

LIKELIHOOD = "likelihood"
ACCURACY = "accuracy"
NLL = "nll"
BRIER = "brier"


def own_scores() -> Iterator[Metric]:
    """Accuracy, likelihood, NLL and Brier score."""
    yield Metric(
        ACCURACY,
        _accuracy,
        "labels",
        description="Share of the rows whose class is predicted.",
    )
    yield Metric(
        LIKELIHOOD,
        _likelihood,
        description="exp(-NLL): the geometric mean probability of the right class.",
    )
    yield Metric(
        NLL,
        _nll,
        greater_is_better=False,
        high=float("inf"),
        description="Mean negative log likelihood of the right class, in nats; the log loss.",
    )
    yield Metric(
        BRIER,
        _brier,
        greater_is_better=False,
        high=2.0,
        description="Mean squared error of the probabilities, summed over classes.",
    )


def _accuracy(y: Any, predicted: Any) -> Any:
    return y == predicted


def _nll(y: Any, P: Any) -> Any:
    import numpy as np

    return -np.log(np.maximum(P[np.arange(len(y)), y], np.finfo(np.float64).eps))


def _likelihood(y: Any, P: Any) -> Any:
    import numpy as np

    return np.exp(-_nll(y, P).mean())


def _brier(y: Any, P: Any) -> Any:
    import numpy as np

    return np.square(P - np.eye(P.shape[1])[y]).sum(axis=1)


OWN: Mapping[str, Metric] = MappingProxyType({metric.name: metric for metric in own_scores()})
"""These metrics by name."""
