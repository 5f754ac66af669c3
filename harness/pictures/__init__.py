"""Pictures of what was measured: frames, or segments of a history, in; figures out.

Nothing here loads matplotlib until something is drawn.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from harness.pictures.choosing import Wanted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from harness.analysis.history import Segment
    from harness.contract.values import Frames
    from harness.pictures.picture import Picture

    Scope: TypeAlias = Literal["pairing", "run", "history"]

__all__ = ["KINDS", "Kind", "Wanted"]


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of picture.

    Args:
        name: kebab-case.
        description: one sentence.
        place: module and function that draw it.
        scope: what one picture is of: a ``pairing`` of a dataset and a model, any part of a
            ``run``, or a ``history``.
    """

    name: str
    description: str
    place: str
    scope: Scope = "pairing"

    def draw(self, source: Frames | Sequence[Segment], wanted: Wanted | None = None) -> Picture:
        """The picture of what is wanted.

        Args:
            source: frames of a run, or for a history its segments with their steps.
            wanted: all without.

        Raises:
            UsageError: there is nothing to draw, or more than one thing where it must be one.
        """
        module, _, function = self.place.partition(":")
        draw: Any = getattr(import_module(f"harness.pictures.{module}"), function)
        picture: Picture = draw(source, wanted or Wanted())
        return picture


KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        kind.name: kind
        for kind in (
            Kind(
                "likelihood",
                "Likelihood of train and test by epoch, every repeat and their median.",
                "learning:likelihood",
                "run",
            ),
            Kind(
                "regions",
                "Classes and probabilities over one or two inputs; else test rows on the first "
                "two principal components.",
                "inputs:regions",
            ),
            Kind("hidden", "What each hidden layer gives over one input.", "inputs:hidden"),
            Kind(
                "reliability",
                "The share that is right by the predicted probability, with counts.",
                "calibration:reliability",
            ),
            Kind("confusion", "Which class is taken for which.", "calibration:confusion"),
            Kind("recall", "The share of each class that is found.", "calibration:recall"),
            Kind(
                "fit-time",
                "Accuracy against the time of a fit, with the Pareto front.",
                "costs:fit_time",
                "run",
            ),
            Kind(
                "latency",
                "Accuracy against the latency of a prediction, with the Pareto front.",
                "costs:latency",
                "run",
            ),
            Kind(
                "sizes",
                "Likelihood and time of a fit by training size, a line a model.",
                "learning:sizes",
                "run",
            ),
            Kind(
                "softmax",
                "Time of softmax kernels against size, with a copy as the limit.",
                "softmax:softmax",
                "run",
            ),
            Kind(
                "history",
                "Series of the history by time, with their change points.",
                "tracking:history",
                "history",
            ),
        )
    }
)
