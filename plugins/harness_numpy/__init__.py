"""The baselines, softmax regression and softmax kernels, in NumPy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import harness

if TYPE_CHECKING:
    from collections.abc import Iterator


@harness.hookimpl
def harness_models() -> Iterator[harness.Model]:
    """``prior`` and ``uniform``, which always run, and ``numpy-softmax``."""
    yield harness.Model(
        "prior",
        make_prior,
        description="Each class with its share of the training part, whatever the input.",
        tags=("baseline",),
        baseline=True,
    )
    yield harness.Model(
        "uniform",
        make_uniform,
        description="Every class with the same probability.",
        tags=("baseline",),
        baseline=True,
    )
    yield harness.Model(
        "numpy-softmax",
        make_softmax,
        needs=harness.Needs(scaled=True),
        description="Softmax regression with an L2 penalty, trained to the optimum.",
        tags=("linear",),
        requires=("scipy.optimize",),
        default_in=("ab", "pytest"),
    )


@harness.hookimpl
def harness_kernels() -> Iterator[harness.Kernel]:
    """The course notebook's first and last softmax, SciPy's, and this plugin's own fast softmax."""
    from harness_numpy import kernels, softmax

    yield harness.Kernel(
        "numpy-naive",
        prepare=kernels.prepare,
        run=kernels.naive,
        collect=kernels.collect,
        description="Exponentials over their sum, as the course notebook has it.",
        stable=False,
    )
    yield harness.Kernel(
        "numpy-stable",
        prepare=kernels.prepare,
        run=kernels.stable,
        collect=kernels.collect,
        description="The row's maximum taken off before the exponentials.",
    )
    yield harness.Kernel(
        "numpy-fast",
        prepare=kernels.prepare,
        run=softmax.softmax,
        collect=kernels.collect,
        description="In blocks that stay in the cache, without a reduction along the short axis.",
        default_in=("ab",),
    )
    yield harness.Kernel(
        "scipy",
        prepare=kernels.prepare,
        run=kernels.scipy,
        collect=kernels.collect,
        description="scipy.special.softmax.",
    )


def make_prior(setting: harness.Setting) -> harness.Classifier:
    """A classifier that always predicts the class shares of the training part."""
    from harness_numpy.baselines import Prior

    return Prior(setting.n_classes)


def make_uniform(setting: harness.Setting) -> harness.Classifier:
    """A classifier that always predicts 1 / n_classes."""
    from harness_numpy.baselines import Uniform

    return Uniform(setting.n_classes)


def make_softmax(
    setting: harness.Setting, l2: float = 1e-3, max_iter: int = 10_000, tol: float = 1e-6
) -> harness.Classifier:
    """Softmax regression; see `harness_numpy.regression.SoftmaxRegression`."""
    from harness_numpy.regression import SoftmaxRegression

    return SoftmaxRegression(setting.n_classes, l2=l2, max_iter=max_iter, tol=tol)
