"""What the package offers; light, because discovery imports it for every command."""

import harness


def make_nearest_mean(setting, *, sharpness: float = 1.0):
    """The classifier for a setting; heavy imports wait until here."""
    from harness_nearest_mean.classifier import NearestMean

    return NearestMean(setting.n_classes, sharpness)


def split_rings(rng, *, n_train: int = 200, n_test: int = 200, noise: float = 0.15):
    """A fresh draw of two rings around each other."""
    import numpy as np

    def part(n):
        inner = rng.random(n) < 0.5
        angle = rng.uniform(0, 2 * np.pi, n)
        radius = np.where(inner, 0.5, 1.0) + rng.normal(0, noise, n)
        X = radius[:, None] * np.column_stack([np.cos(angle), np.sin(angle)])
        return X, np.where(inner, "inner", "outer")

    return harness.Split(*part(n_train), *part(n_test), class_names=("inner", "outer"))


@harness.hookimpl
def harness_models():
    """The model that this package offers."""
    yield harness.Model(
        "nearest-mean",
        make_nearest_mean,
        needs=harness.Needs(scaled=True),
        description="Gaussians of equal width around the class means.",
        tags=("linear",),
    )


@harness.hookimpl
def harness_datasets():
    """The dataset that this package offers."""
    yield harness.Dataset(
        "rings",
        "fresh",
        split_rings,
        description="Two rings around each other, which no straight line separates.",
        licence="CC0",
        tags=("toy",),
    )
