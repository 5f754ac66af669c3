"""What pictures need and scores don't say: how a fitted classifier divides its inputs."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.contract.values import Needs, Sketch
from harness.trials.preparation import prepare
from harness.trials.scoring import check_probabilities

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from harness.contract.values import Array, Classifier
    from harness.trials.preparation import Encoded, Prepared

    Floats = NDArray[np.float64]

POINTS = 200
"""Values of one input at which a classifier is asked."""

SIDE = 60
"""Values of either of two inputs."""

ROWS = 500
"""Test rows that are drawn, at most."""

MARGIN = 0.05
"""By which the picture is wider than the data, as a part."""

SLOW = 1.0
"""Seconds of a prediction of all test rows beyond which no more of them are asked for."""


SCALED = Needs(scaled=True)
"""What principal components are taken of."""

COSTLY = 1e9
"""Multiplications that principal components may take, in about a second."""


def is_asked(data: Encoded) -> bool:
    """Whether a classifier is asked all over its inputs: there are one or two, both quantities."""
    return data.X_train.shape[1] <= 2 and not data.categorical


def asked(
    data: Encoded,
    classifier: Classifier,
    needs: Needs,
    order: Callable[[Any], Any],
    *,
    predict_seconds: float,
) -> Sketch | None:
    """How a fitted classifier divides its one or two inputs; None where that cannot be found out.

    One input: class probabilities over it, and what each hidden layer gives, if the classifier has
    a method ``hidden_activations(X)``. Two: the class and its probability over both.

    Args:
        data: the split; its labels are not looked at.
        classifier: fitted on its training part.
        needs: the input that it needs.
        order: puts the columns of what ``predict_proba`` gave into the order of the labels.
        predict_seconds: that a prediction of the test part takes.
    """
    rows = _drawn(len(data.X_test))
    n_inputs = data.X_train.shape[1]
    try:
        if predict_seconds > SLOW:
            return None
        inputs = [
            np.concatenate([part[:, i].astype(np.float64) for part in (data.X_train, data.X_test)])
            for i in range(n_inputs)
        ]
        axes = [_axis(values, POINTS if n_inputs == 1 else SIDE) for values in inputs]
        grid = np.stack([one.ravel() for one in np.meshgrid(*axes)], axis=1)
        # Prepared as the test part is: every statistic comes from the training part.
        asked = replace(data, X_test=grid, y_test=np.zeros(len(grid), dtype=np.intp))
        X = prepare(asked, needs).X_test
        K = len(data.trained)
        P = np.zeros((len(grid), len(data.class_names)))
        P[:, data.trained] = check_probabilities(order(classifier.predict_proba(X)), len(grid), K)
        hidden = _hidden(classifier, X) if n_inputs == 1 else ()
    except Exception:  # noqa: BLE001  # a stranger's model may not like what it is asked; no picture then
        return None
    return Sketch(
        data.class_names,
        data.feature_names,
        data.X_test[rows].astype(np.float32),
        rows,
        tuple(axis.astype(np.float32) for axis in axes),
        P.astype(np.float32),
        hidden,
    )


def _drawn(n: int) -> NDArray[np.int64]:
    """Which of n test rows are drawn."""
    return np.unique(np.linspace(0, n - 1, ROWS).round().astype(np.int64))


def _axis(values: Floats, n: int) -> Floats:
    known = values[np.isfinite(values)]
    low, high = (float(known.min()), float(known.max())) if len(known) else (0.0, 1.0)
    margin = MARGIN * (high - low) or 0.5
    return np.linspace(low - margin, high + margin, n)


def _hidden(classifier: Classifier, X: Array) -> tuple[NDArray[np.float32], ...]:
    """What each hidden layer gives for each row, for a classifier that tells."""
    tell = getattr(classifier, "hidden_activations", None)
    if not callable(tell):
        return ()
    layers = tuple(np.asarray(layer, dtype=np.float32) for layer in tell(X))
    right = all(layer.ndim == 2 and len(layer) == len(X) for layer in layers)
    return layers if right and all(np.isfinite(layer).all() for layer in layers) else ()


def principal(data: Encoded, prepared: Prepared | None = None) -> Sketch | None:
    """Where test rows lie on the first two principal components of the training part.

    Each column is at mean 0 and standard deviation 1, categories one-hot encoded.

    Args:
        data: the split.
        prepared: the same as `SCALED` asks for it, if it is there already.
    """
    rows = _drawn(len(data.X_test))
    n_rows, n_columns = data.X_train.shape
    n_columns += sum(len(names) - 1 for names in data.categories)
    if n_rows * n_columns * min(n_rows, n_columns) > COSTLY:
        return None
    prepared = prepared or prepare(data, SCALED)
    X, mean = prepared.X_train, prepared.X_train.mean(axis=0)
    if X.shape[1] < 2:
        return None
    if X.shape[1] <= len(X):
        # As the singular values have it, but without a second table.
        variances, vectors = np.linalg.eigh(X.T @ X - len(X) * np.outer(mean, mean))
        sizes, directions = np.sqrt(variances[::-1].clip(0)), vectors.T[::-1]
    else:
        _, sizes, directions = np.linalg.svd(X - mean, full_matrices=False)
    if not (sizes > 0).any():
        return None
    # A direction may as well be turned around: the largest weight is positive, as nobody knows why.
    two = (
        directions[:2]
        * np.sign(directions[:2][np.arange(2), np.abs(directions[:2]).argmax(1)])[:, None]
    )
    share = (sizes**2 / (sizes**2).sum())[:2]
    points = (prepared.X_test[rows] - mean) @ two.T
    return Sketch(
        data.class_names,
        tuple(f"principal component {i + 1} ({100 * part:.0f}%)" for i, part in enumerate(share)),
        points.astype(np.float32),
        rows,
    )
