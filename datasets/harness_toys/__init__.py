"""Toy datasets: drawn anew for each repeat, at any size, from known distributions.

The draws use only methods of the generator and operators of arrays, so that this module need not
import NumPy.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import harness
from harness import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy as np

    from harness import Array

NOTEBOOK = "The course notebook that this project grew from."


@harness.hookimpl
def harness_datasets() -> Iterator[harness.Dataset]:
    """``threshold``, ``three-integers`` and ``twonorm``."""
    yield harness.Dataset(
        "threshold",
        kind="fresh",
        split=threshold,
        description="One number between 0 and 10; the classes are intervals between thresholds.",
        licence="public domain",
        citation=NOTEBOOK,
        tags=("toy", "separable"),
        default_in=("ab", "pytest"),
    )
    yield harness.Dataset(
        "three-integers",
        kind="fresh",
        split=three_integers,
        description="Does the first of three integers, or the second, exceed the other two's sum?",
        licence="public domain",
        citation=NOTEBOOK,
        tags=("toy", "separable"),
    )
    yield harness.Dataset(
        "twonorm",
        kind="fresh",
        split=twonorm,
        description="Two overlapping Gaussians, for which the best possible scores are known.",
        licence="public domain",
        citation="Breiman (1996), Bias, variance, and arcing classifiers, TR 460, UC Berkeley.",
        tags=("toy", "bayes"),
    )


def threshold(
    rng: np.random.Generator,
    n_train: int = 100,
    n_test: int = 100,
    thresholds: tuple[float, ...] = (3.0, 6.0),
) -> harness.Split:
    """Inputs x (n, 1) uniform on [0, 10); the class is the number of thresholds at or below x.

    Raises:
        UsageError: a part has no rows, or the thresholds do not increase between 0 and 10.
    """
    if not thresholds or not all(a < b for a, b in pairwise((0.0, *thresholds, 10.0))):
        raise UsageError(
            f"thresholds={'x'.join(map(str, thresholds))} do not increase between 0 and 10; "
            "write them as in thresholds=3x6"
        )
    bounds = [f"{bound:g}" for bound in thresholds]
    between = [f"{low} to {high}" for low, high in pairwise(bounds)]

    def draw(n: int) -> tuple[Array, Array]:
        X = rng.uniform(0.0, 10.0, size=(n, 1))
        return X, (thresholds <= X).sum(axis=1)

    return _split(
        draw,
        n_train,
        n_test,
        class_names=(f"below {bounds[0]}", *between, f"{bounds[-1]} and above"),
        feature_names=("x",),
    )


def three_integers(
    rng: np.random.Generator, n_train: int = 100, n_test: int = 100, low: int = 0, high: int = 9
) -> harness.Split:
    """Inputs (n, 3) uniform on the integers from low to high, both included.

    The class says whether the first or the second integer exceeds the sum of the other two. With
    negative integers both can; the class is then "first exceeds".

    Raises:
        UsageError: a part has no rows, or low is above high.
    """
    if low > high:
        raise UsageError(f"low={low} is above high={high}; swap them")

    def draw(n: int) -> tuple[Array, Array]:
        X = rng.integers(low, high, size=(n, 3), endpoint=True)
        a, b, c = X.T
        first = a > b + c
        second = (b > a + c) & ~first
        return X.astype(float), 2 - 2 * first - second

    return _split(
        draw,
        n_train,
        n_test,
        class_names=("first exceeds", "second exceeds", "neither"),
        feature_names=("first", "second", "third"),
    )


def twonorm(
    rng: np.random.Generator, n_train: int = 300, n_test: int = 3000, n_features: int = 20
) -> harness.Split:
    """Two equally likely Gaussians with unit covariance and means +a and -a in every coordinate.

    With a = 2 / sqrt(n_features) the means are 4 apart whatever the number of features, and
    P(first | x) = 1 / (1 + exp(-2 a sum(x))). So the best possible accuracy is Phi(2) = 0.97725,
    the best expected NLL 0.0604 and the best likelihood 0.9414.

    Raises:
        UsageError: a part has no rows, or there are no features.
    """
    if n_features < 1:
        raise UsageError(
            f"n_features={n_features} leaves nothing to learn from; set it to 1 or more"
        )

    def draw(n: int) -> tuple[Array, Array]:
        y = rng.integers(2, size=n)
        means = (1 - 2 * y) * (2.0 / n_features**0.5)  # (n,)
        return rng.standard_normal((n, n_features)) + means[:, None], y

    return _split(draw, n_train, n_test, class_names=("positive mean", "negative mean"))


def _split(
    draw: Callable[[int], tuple[Array, Array]],
    n_train: int,
    n_test: int,
    class_names: tuple[str, ...],
    feature_names: tuple[str, ...] = (),
) -> harness.Split:
    for name, n in (("n_train", n_train), ("n_test", n_test)):
        if n < 1:
            raise UsageError(f"{name}={n} leaves a part without rows; set it to 1 or more")
    X_train, y_train = draw(n_train)
    X_test, y_test = draw(n_test)
    return harness.Split(
        X_train, y_train, X_test, y_test, class_names=class_names, feature_names=feature_names
    )
