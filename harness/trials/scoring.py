"""Compute scores from predicted probabilities and labels."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.errors import ProbabilityError
from harness.statistics.calibration import ece
from harness.statistics.rows import CLIP, derived, effective, linearised

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from harness.contract.values import Predictions

TOLERANCE = 1e-5
"""How far the sum of a row's probabilities may be from 1, to allow for float32 arithmetic."""


def as_numbers(raw: Any) -> NDArray[Any]:
    """A copy of a classifier's predictions, as an array of booleans, integers or floats.

    Raises:
        ProbabilityError: the predictions cannot be converted to numbers.
    """
    try:
        array = np.asarray(raw)
        if array.dtype.kind in "cSUTmM":  # NumPy would convert these to meaningless numbers
            raise TypeError(f"it holds {array.dtype}")
        # A copy, because a classifier may write its next answer into the same array.
        return np.array(array, dtype=None if array.dtype.kind in "biuf" else np.float64)
    except (TypeError, ValueError, RuntimeError) as error:  # the last from a tensor with a gradient
        raise ProbabilityError(f"predict_proba gave no array of numbers: {error}") from error


def check_probabilities(raw: Any, n_samples: int, n_classes: int) -> NDArray[np.float64]:
    """A classifier's predictions, checked, as probabilities (n_samples, n_classes) in float64.

    A row's sum must be 1 within `TOLERANCE`; then the row is divided by it. Otherwise a row such as
    (1.00001, 0) would score better than the best possible prediction, (1, 0).

    Raises:
        ProbabilityError: the predictions have another shape, are not numbers, not finite or
            negative, or a row does not sum to 1 within `TOLERANCE`.
    """
    P = np.asarray(as_numbers(raw), dtype=np.float64)
    if P.shape != (n_samples, n_classes):
        raise ProbabilityError(
            f"predict_proba gave an array of shape {P.shape} "
            f"for {n_samples} rows and {n_classes} classes"
        )
    with np.errstate(over="ignore", invalid="ignore"):  # rows that are not finite
        sums = P.sum(axis=1)
    for fault, rows in (
        ("are not finite", ~np.isfinite(P).all(axis=1)),
        ("are negative", (P < 0).any(axis=1)),
        ("do not sum to 1", np.abs(sums - 1) > TOLERANCE),
    ):
        if rows.any():
            row = int(np.flatnonzero(rows)[0])
            raise ProbabilityError(
                f"probabilities {fault} in {rows.sum()} of {n_samples} rows; "
                f"row {row} is {np.array2string(P[row], precision=4, threshold=6)}"
            )
    P /= sums[:, None]
    return P


MOST_KEPT = 64 * 1024 * 1024
"""Bytes of a trial's probabilities that are kept; of more, only what follows from them is."""


def predictions(
    P: NDArray[np.float64],
    y: NDArray[np.intp],
    class_names: Sequence[str] = (),
    weights: NDArray[np.float64] | None = None,
) -> Predictions:
    """What to keep for each test row, to compare models row by row and to compute further metrics.

    Args:
        P: (n, K), checked probabilities.
        y: (n,), labels of 0..K-1.
        class_names: (K,), names of the classes.
        weights: (n,), the rows' weights; None if every row counts the same.
    """
    true = y.astype(np.uint16)
    kept_weights = None if weights is None else weights.astype(np.float32)
    if 4 * P.size > MOST_KEPT:
        return replace(derived(true, P), weights=kept_weights)
    kept = P.astype(np.float32)
    # Rounding may make two probabilities equal; the more probable class must stay so.
    predicted = P.argmax(axis=1)
    rounded = np.flatnonzero(kept.argmax(axis=1) != predicted)
    kept[rounded, predicted[rounded]] = np.nextafter(kept[rounded].max(axis=1), np.float32(2))
    return replace(
        derived(true, kept),
        probabilities=kept,
        class_names=tuple(class_names),
        weights=kept_weights,
    )


def score(
    P: NDArray[np.float64], y: NDArray[np.intp], weights: NDArray[np.float64] | None = None
) -> dict[str, float]:
    """Scores of checked probabilities P (n, K) for labels y (n,) of 0..K-1.

    ``nll`` is the mean negative log probability of the right class, in nats, each clipped at
    `CLIP` as scikit-learn's ``log_loss`` does; ``clipped`` counts the rows where that mattered.
    ``likelihood`` is exp(-nll), the geometric mean probability of the right class. ``brier`` is
    the sum over classes, 0 to 2 (Brier 1950). ``balanced_accuracy`` is the mean recall of the
    classes that occur in y. ``auc`` is one class against the rest, averaged over the classes for
    which both occur, and is left out if there are none. ``ece`` has 15 bins of equal width (Guo et
    al. 2017) and is biased upward for good models.

    With weights (n,), rows count by their weight, as with scikit-learn's ``sample_weight``, and a
    class occurs if its rows have a weight. Then ``n_effective`` is the number of rows of equal
    weight that tell as much. ``nll_sd`` is such that nll_sd²/n is the variance of ``nll``.
    """
    n, K = P.shape
    w = np.ones(n) if weights is None else weights
    true = P[np.arange(n), y]  # (n,)
    losses = -np.log(np.maximum(true, CLIP))
    right = P.argmax(axis=1) == y
    Y = np.zeros_like(P)
    Y[np.arange(n), y] = 1.0
    present = np.bincount(y, w, minlength=K)
    recalls = np.bincount(y, w * right, minlength=K)[present > 0] / present[present > 0]
    nll = float(np.average(losses, weights=w))
    scores = {
        "accuracy": float(np.average(right, weights=w)),
        "nll": nll,
        "nll_sd": float(linearised(losses, weights).std(ddof=1)) if n > 1 else 0.0,
        "likelihood": float(np.exp(-nll)),
        "brier": float(np.average(((P - Y) ** 2).sum(axis=1), weights=w)),
        "balanced_accuracy": float(recalls.mean()),
        "ece": ece(P.max(axis=1), right, weights),
        "clipped": float((true < CLIP).sum()),
    }
    if weights is not None:
        scores["n_effective"] = effective(weights)
    if (present > 0).sum() < 2:
        return scores
    aucs = [_auc(P[:, k], y == k, w) for k in np.flatnonzero(present)]
    return scores | {"auc": float(np.mean(aucs))}


def mean_likelihood(
    P: NDArray[np.float64], y: NDArray[np.intp], weights: NDArray[np.float64] | None = None
) -> float:
    """The ``likelihood`` of `score`, without the other scores."""
    losses = -np.log(np.maximum(P[np.arange(len(y)), y], CLIP))
    return float(np.exp(-float(np.average(losses, weights=weights))))


def likelihood(
    log_P: NDArray[Any], y: NDArray[np.intp], weights: NDArray[np.float64] | None = None
) -> float:
    """The likelihood of predicted log probabilities: exp of their mean for the right class.

    As in `check_probabilities`, each row's probabilities are divided by their sum. The likelihood
    is never above 1. It is NaN if a logarithm is NaN or a row's sum is not 1 within `TOLERANCE`.
    """
    logs = np.asarray(log_P, dtype=np.float64)[: len(y)]
    right = logs[np.arange(len(y)), y]  # (n,)
    with np.errstate(over="ignore"):  # logarithms far above 0 are found below
        sums = np.exp(logs).sum(axis=1)
    if not (np.abs(sums - 1) <= TOLERANCE).all():
        return float("nan")
    # Rounding alone can leave a logarithm above 0.
    return float(np.exp(np.average(np.minimum(right - np.log(sums), 0.0), weights=weights)))


def _auc(scores: NDArray[np.float64], positive: NDArray[np.bool_], w: NDArray[np.float64]) -> float:
    """Area under the ROC curve by the rank sum (Mann & Whitney 1947), ties counting half."""
    _, place = np.unique(scores, return_inverse=True)
    up, down = np.bincount(place, w * positive), np.bincount(place, w * ~positive)
    below = np.cumsum(down) - down / 2  # weight of the negative rows below each distinct score
    return float(up @ below / (up.sum() * down.sum()))
