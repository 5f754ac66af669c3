"""Small real datasets with many published results; each repeat splits the table anew."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import harness

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np

UCI = "CC BY 4.0, UCI Machine Learning Repository"


@harness.hookimpl
def harness_datasets() -> Iterator[harness.Dataset]:
    """Four datasets that scikit-learn includes, too, and penguins."""
    for name, tag, description, citation in (
        (
            "iris",
            "biology",
            "Three species of iris by length and width of sepals and petals.",
            (
                "Fisher (1936), The use of multiple measurements in taxonomic problems,"
                " Annals of Eugenics 7, 179-188."
            ),
        ),
        (
            "wine",
            "chemistry",
            "Three cultivars of grape by thirteen chemical measurements of the wine.",
            "Aeberhard & Forina (1991), Wine, UCI Machine Learning Repository.",
        ),
        (
            "breast-cancer",
            "medicine",
            "Malignant or benign, by thirty measurements of cell nuclei in an image.",
            (
                "Street, Wolberg & Mangasarian (1993), Nuclear feature extraction for breast tumor"
                " diagnosis, Proc. SPIE 1905, 861-870."
            ),
        ),
        (
            "digits",
            "image",
            "Handwritten digits as images of 8 x 8 pixels.",
            (
                "Alpaydin & Kaynak (1998), Optical recognition of handwritten digits,"
                " UCI Machine Learning Repository."
            ),
        ),
    ):
        yield harness.Dataset(
            name,
            kind="resampled",
            split=partial(_split, name),
            description=description,
            licence=UCI,
            citation=citation,
            tags=("real", tag),
        )
    yield harness.Dataset(
        "penguins",
        kind="resampled",
        split=partial(_split, "penguins"),
        description="Three species of penguin by island, sex, weight and lengths, some missing.",
        licence="CC0 1.0",
        citation="Gorman, Williams & Fraser (2014), Ecological sexual dimorphism and environmental"
        " variability within a community of Antarctic penguins (genus Pygoscelis), PLoS ONE 9(3),"
        " e90081; table by Horst, Hill & Gorman (2020), palmerpenguins.",
        tags=("real", "biology", "missing", "categorical"),
    )


def _split(name: str, rng: np.random.Generator) -> harness.Split:
    from harness_classics.tables import table

    data = table(name)
    return harness.resample(
        data.X,
        data.y,
        rng,
        class_names=data.class_names,
        feature_names=data.feature_names,
        categorical=data.categorical,
    )
