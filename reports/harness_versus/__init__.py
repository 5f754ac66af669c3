"""Reports that compare models: pairs of models, and each dataset's best model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import harness

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import pandas as pd
    from rich.console import RenderableType


@harness.hookimpl
def harness_reports() -> Iterable[harness.Report]:
    """Two reports, ``versus`` and ``best``."""
    yield harness.Report(
        "versus",
        tables=_versus_tables,
        render=_versus,
        description="Which model is better: two models on each dataset, or all pairs of several "
                    "over all datasets.",
        options=(
            harness.Option(
                "model", (), "A model, by name or glob; repeatable [all except baselines].",
                short="m",
            ),
            harness.Option("rope", 0.01, "Score differences up to this number count as equal; of "
                                         "a likelihood, up to this fraction."),
            harness.Option("ranks", False, "Add mean ranks and Elo ratings."),
        ),
    )  # fmt: skip
    yield harness.Report(
        "best",
        tables=_best_tables,
        render=_best,
        formats=("rich", "markdown", "csv", "json"),
        description="Each dataset's best model, for a README.",
        options=(
            harness.Option(
                "score",
                None,
                "Metric by which models are ranked [the first --metric, or likelihood].",
                metric=True,
            ),
        ),
    )


# The functions import what they need, so that the plugin loads without pandas, SciPy and rich.
def _versus_tables(
    frames: harness.Frames, model: tuple[str, ...], rope: float, ranks: bool
) -> Mapping[str, pd.DataFrame]:
    from harness_versus.pairs import tables

    return tables(frames, model, _part(rope), ranks=ranks)


def _versus(
    frames: harness.Frames, style: str, model: tuple[str, ...], rope: float, ranks: bool
) -> RenderableType:
    from harness_versus.pairs import render

    return render(frames, style, model, _part(rope), ranks=ranks)


def _part(rope: float) -> float:
    if not 0 < rope < 1:
        raise harness.UsageError(f"--rope must be above 0% and below 100%, not {100 * rope:g}%")
    return rope


def _best_tables(frames: harness.Frames, score: str | None) -> Mapping[str, pd.DataFrame]:
    from harness_versus.best import table

    return {"best": table(frames, _by(frames, score))}


def _best(frames: harness.Frames, style: str, score: str | None) -> RenderableType:
    from harness_versus.best import render

    return render(frames, style, _by(frames, score))


def _by(frames: harness.Frames, score: str | None) -> str:
    """The score by which models are the best: the given one, or that which ranks."""
    return score or next(iter(frames.metrics), "likelihood")
