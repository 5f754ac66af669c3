"""Pictures of a run or a history: a run's frames, or a history's segments, in; drawings out.

Matplotlib loads with the first drawing, not before.
"""

from __future__ import annotations

from functools import partial
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

import harness

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from harness.sheets.drawing import Drawing


@harness.hookimpl
def harness_pictures() -> Iterable[harness.Picture]:
    """Eleven kinds of pictures."""
    yield from KINDS.values()


def _draw(place: str, source: Any, wanted: harness.Wanted | None = None) -> Drawing:
    """Call the function at a place such as ``costs:latency``."""
    module, _, function = place.partition(":")
    draw: Any = getattr(import_module(f"harness_pictures.{module}"), function)
    drawing: Drawing = draw(source, wanted or harness.Wanted())
    return drawing


def _picture(
    name: str,
    description: str,
    place: str,
    scope: Literal["pairing", "run", "history"] = "pairing",
    *,
    shows_metrics: bool = False,
) -> harness.Picture:
    return harness.Picture(name, partial(_draw, place), description, scope, shows_metrics)


KINDS: Mapping[str, harness.Picture] = MappingProxyType(
    {
        picture.name: picture
        for picture in (
            _picture(
                "likelihood",
                "Likelihood of train and test by epoch: every repeat, and the median.",
                "learning:likelihood",
                "run",
            ),
            _picture(
                "regions",
                "Predicted classes and probabilities over one or two inputs. With more inputs: "
                "test rows on "
                "the first two principal components.",
                "inputs:regions",
            ),
            _picture(
                "hidden",
                "The output of each hidden unit, for datasets with one input.",
                "inputs:hidden",
            ),
            _picture(
                "reliability",
                "Accuracy by predicted probability (reliability diagram), with the number of rows.",
                "calibration:reliability",
            ),
            _picture(
                "confusion",
                "Confusion matrix: test rows by true and predicted class.",
                "calibration:confusion",
            ),
            _picture("recall", "Recall of each class.", "calibration:recall"),
            _picture(
                "fit-time",
                "Accuracy against the time of a fit, with the Pareto front.",
                "costs:fit_time",
                "run",
                shows_metrics=True,
            ),
            _picture(
                "latency",
                "Accuracy against the latency of a prediction, with the Pareto front.",
                "costs:latency",
                "run",
                shows_metrics=True,
            ),
            _picture(
                "sizes",
                "Likelihood and fit time by training size, one line per model.",
                "learning:sizes",
                "run",
                shows_metrics=True,
            ),
            _picture(
                "softmax",
                "Time of softmax kernels by array size, beside that of copying the array.",
                "softmax:softmax",
                "run",
            ),
            _picture(
                "history",
                "Series of the history over time, with their steps.",
                "tracking:history",
                "history",
            ),
        )
    }
)
