"""Sketches for pictures: how a fitted classifier divides its inputs, or where test rows lie."""

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

    from harness.contract.values import Array, Classifier, Model
    from harness.trials.preparation import Encoded, Prepared

    Floats = NDArray[np.float64]

POINTS = 200
"""Values of a single input at which the classifier predicts."""

SIDE = 60
"""Values of each of two inputs; the classifier predicts on their grid."""

ROWS = 500
"""Test rows in a picture, at most."""

MARGIN = 0.05
"""Margin on each side of the data, as a share of their range."""

SLOW = 1.0
"""Seconds: if predicting the test part takes longer, the classifier predicts no grid."""


SCALED = Needs(scaled=True)
"""The preparation on which principal components are computed."""

COSTLY = 1e9
"""Multiplications that principal components may take, at most: about a second."""


def is_asked(data: Encoded) -> bool:
    """Whether the classifier predicts a grid of inputs: there are one or two, all numeric."""
    return data.X_train.shape[1] <= 2 and not data.categorical


def predicted_regions(
    data: Encoded,
    classifier: Classifier,
    model: Model,
    order: Callable[[Any], Any],
    *,
    predict_seconds: float,
) -> Sketch | None:
    """How a fitted classifier divides its one or two inputs; None if it is slow or raises.

    The classifier predicts class probabilities over the range of one input, or on a grid of two.
    With one input, the activations of each hidden layer are added if the model declares them:
    `Model.hidden_activations`.

    Args:
        data: the split; its labels are not used.
        classifier: the classifier, fitted on the training part.
        model: the model; its needs and its hidden activations matter.
        order: sorts the columns of a prediction by label.
        predict_seconds: seconds that predicting the test part takes.
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
        grid = np.stack([coordinates.ravel() for coordinates in np.meshgrid(*axes)], axis=1)
        # The grid stands in for the test part, so that all statistics come from the training part.
        grid_split = replace(data, X_test=grid, y_test=np.zeros(len(grid), dtype=np.intp))
        X = prepare(grid_split, model.needs).X_test
        K = len(data.trained)
        P = np.zeros((len(grid), len(data.class_names)))
        P[:, data.trained] = check_probabilities(order(classifier.predict_proba(X)), len(grid), K)
        shown = model.hidden_activations and n_inputs == 1
        hidden = _hidden(classifier, X) if shown else ()
    except Exception:  # noqa: BLE001  # a plugin's model may raise anything; then there is no picture
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
    """Indices of the test rows in the picture, evenly spaced."""
    return np.unique(np.linspace(0, n - 1, ROWS).round().astype(np.int64))


def _axis(values: Floats, n: int) -> Floats:
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 1.0)
    margin = MARGIN * (high - low) or 0.5
    return np.linspace(low - margin, high + margin, n)


def _hidden(classifier: Classifier, X: Array) -> tuple[NDArray[np.float32], ...]:
    """Activations of each hidden layer (n_rows, n_units); empty if they are not well shaped."""
    told = classifier.hidden_activations(X)  # type: ignore[attr-defined]  # as the model declares
    layers = tuple(np.asarray(layer, dtype=np.float32) for layer in told)
    well_shaped = all(layer.ndim == 2 and len(layer) == len(X) for layer in layers)
    return layers if well_shaped and all(np.isfinite(layer).all() for layer in layers) else ()


def principal(data: Encoded, prepared: Prepared | None = None) -> Sketch | None:
    """Test rows on the first two principal components of the training part; None if too costly.

    Columns are scaled to mean 0 and standard deviation 1, and categories are one-hot encoded.

    Args:
        data: the split.
        prepared: the split prepared for `SCALED`, if that has been done already.
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
        # Equivalent to the singular value decomposition below, without a centred copy of the table.
        variances, vectors = np.linalg.eigh(X.T @ X - len(X) * np.outer(mean, mean))
        sizes, directions = np.sqrt(variances[::-1].clip(0)), vectors.T[::-1]
    else:
        _, sizes, directions = np.linalg.svd(X - mean, full_matrices=False)
    if not (sizes > 0).any():
        return None
    # The sign of a direction is arbitrary: by convention, its largest weight is positive.
    first_two = (
        directions[:2]
        * np.sign(directions[:2][np.arange(2), np.abs(directions[:2]).argmax(1)])[:, None]
    )
    share = (sizes**2 / (sizes**2).sum())[:2]
    points = (prepared.X_test[rows] - mean) @ first_two.T
    return Sketch(
        data.class_names,
        tuple(f"principal component {i + 1} ({100 * part:.0f}%)" for i, part in enumerate(share)),
        points.astype(np.float32),
        rows,
    )
