"""Scores of labels y (n,) of 0..K-1 and predictions, as `harness.Metric` calls them.

Where a score is no mean over rows, a row's value is the score plus the row's influence on it, so
that the mean is the score and the variance that of the score (delta method; for the AUC: DeLong,
DeLong & Clarke-Pearson, Biometrics 44, 1988).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Labels = NDArray[np.int64]
    Weights = Floats | None

CLIP = float(np.finfo(np.float64).eps)
BINS = 15


def log_loss(y: Labels, P: Floats) -> Floats:
    """Negative log probability of each row's class, clipped as in scikit-learn."""
    losses: Floats = -np.log(np.maximum(P[np.arange(len(y)), y], CLIP))
    return losses


def top_k(y: Labels, P: Floats, *, k: int = 2) -> Floats:
    """Whether each row's class is among the k most probable; of equal ones the later comes first.

    Raises:
        ValueError: k is below 1.
    """
    if k < 1:
        raise ValueError(f"k={k}; write a number from 1")
    first = np.argsort(P, axis=1, kind="stable")[:, ::-1][:, :k]
    rows: Floats = (first == y[:, None]).any(axis=1).astype(np.float64)
    return rows


def expected_cost(
    y: Labels,
    P: Floats,
    *,
    matrix: str = "",
    decide: str = "likeliest",
    class_names: Sequence[str] = (),
) -> Floats:
    """Cost of each row's decision.

    Args:
        y: labels.
        P: probabilities.
        matrix: costs from 0 as ``0 1; 5 0``: a row for each true class, a column for each
            decision, both in the order of the class names; by default, 1 for each mistake.
        decide: ``likeliest``, the most probable class; or ``cheapest``, the class of the lowest
            expected cost by the probabilities.
        class_names: names of the classes, for messages.

    Raises:
        ValueError: the matrix has not a row and a column for each class, or a cost is below 0 or
            no number, or ``decide`` is unknown.
    """
    K = P.shape[1]
    costs = np.array(_matrix(matrix)) if matrix else 1.0 - np.eye(K)
    if costs.shape != (K, K):
        raise ValueError(
            f"the matrix is {' x '.join(map(str, costs.shape))}, but there are {K} classes "
            f"({', '.join(class_names)}); write a row for each, such as '0 1; 5 0'"
        )
    if not np.isfinite(costs).all():
        raise ValueError(f"matrix={matrix} has a cost that is no number; write numbers from 0")
    if not (costs >= 0).all():
        raise ValueError(
            f"matrix={matrix} has a cost below 0; add the same number to all costs of its row, "
            "which changes no comparison"
        )
    if decide not in ("likeliest", "cheapest"):
        raise ValueError(f"decide={decide}; write likeliest or cheapest")
    decided = P.argmax(axis=1) if decide == "likeliest" else (P @ costs).argmin(axis=1)
    rows: Floats = costs[y, decided]
    return rows


def _matrix(text: str) -> list[list[float]]:
    try:
        rows = [[float(cost) for cost in row.split()] for row in text.split(";")]
    except ValueError:
        raise ValueError(f"matrix={text} holds no numbers; write '0 1; 5 0'") from None
    if len({len(row) for row in rows}) > 1:
        raise ValueError(f"matrix={text} has rows of different lengths; write '0 1; 5 0'")
    return rows


def balanced_accuracy(y: Labels, predicted: Labels, *, sample_weight: Weights = None) -> Floats:
    """Values of rows whose mean is the mean recall of the classes that have weight in y."""
    w = _weights(y, sample_weight)
    totals = np.bincount(y, w)
    right = (y == predicted).astype(np.float64)
    counted = totals > 0
    per_weight = np.divide(1.0, totals, out=np.zeros_like(totals), where=counted)
    recalls = np.bincount(y, w * right) * per_weight
    influence = (right - recalls[y]) * (w.sum() * per_weight)[y] / counted.sum()
    rows: Floats = recalls.sum() / counted.sum() + influence
    return rows


def f1_mean(
    y: Labels, predicted: Labels, *, average: str = "macro", sample_weight: Weights = None
) -> Floats:
    """Values of rows whose mean is the mean F1 score of the classes that occur at all."""
    w = _weights(y, sample_weight)
    labels = np.union1d(y, predicted)
    by_class = np.stack([_ratio(*_f1_parts(y, predicted, k), w) for k in labels])
    if average == "macro":
        rows: Floats = by_class.mean(axis=0)
        return rows
    is_class = (y[None, :] == labels[:, None]).astype(np.float64)
    shares = is_class @ w / w.sum()
    f1s = by_class @ w / w.sum()
    # Classes' shares vary, too.
    return np.asarray(shares @ by_class + f1s @ is_class - shares @ f1s)


def f1(
    y: Labels,
    predicted: Labels,
    *,
    positive: str = "",
    class_names: Sequence[str] = (),
    sample_weight: Weights = None,
) -> Floats:
    """Values of rows whose mean is the F1 score of a class."""
    k = _positive(y, positive, class_names)
    return _ratio(*_f1_parts(y, predicted, k), _weights(y, sample_weight))


def precision(
    y: Labels,
    predicted: Labels,
    *,
    positive: str = "",
    class_names: Sequence[str] = (),
    sample_weight: Weights = None,
) -> Floats:
    """Values of rows whose mean is the precision of a class; 0 if it is never predicted."""
    k = _positive(y, positive, class_names)
    return _ratio((y == k) & (predicted == k), predicted == k, _weights(y, sample_weight))


def recall(
    y: Labels,
    predicted: Labels,
    *,
    positive: str = "",
    class_names: Sequence[str] = (),
    sample_weight: Weights = None,
) -> Floats:
    """Values of rows whose mean is the recall of a class; 0 if it does not occur."""
    k = _positive(y, positive, class_names)
    return _ratio((y == k) & (predicted == k), y == k, _weights(y, sample_weight))


def matthews(y: Labels, predicted: Labels, *, sample_weight: Weights = None) -> Floats:
    """Values of rows whose mean is Matthews' coefficient (Gorodkin, Comput. Biol. Chem. 28, 2004).

    It is 0 if y or the predictions have one class only.
    """
    w = _weights(y, sample_weight)
    K = int(max(y.max(), predicted.max())) + 1
    C = np.bincount(y * K + predicted, w, minlength=K * K).reshape(K, K)
    total, right = C.sum(), np.trace(C)
    true, guessed = C.sum(axis=1), C.sum(axis=0)
    covariance = right * total - true @ guessed
    of_true, of_guessed = total**2 - true @ true, total**2 - guessed @ guessed
    if of_true * of_guessed <= 0:
        return np.zeros(len(y))
    scale = np.sqrt(of_true * of_guessed)
    value = covariance / scale
    a, b = y, predicted
    slope = (a == b) * total + right - true[b] - guessed[a]
    slope_of_scale = (total - true[a]) / of_true + (total - guessed[b]) / of_guessed
    influence = total * (slope / scale - value * slope_of_scale)
    rows: Floats = value + influence - (w @ influence) / total
    return rows


def auc(y: Labels, P: Floats, *, sample_weight: Weights = None) -> Floats:
    """Values of rows whose mean is the area under the ROC curve, ties counting half.

    With more than two classes it is each class against the rest, averaged over the classes for
    which both occur.

    Raises:
        ValueError: all rows with weight have one class.
    """
    w = _weights(y, sample_weight)
    present = np.bincount(y, w, minlength=P.shape[1])
    classes = [k for k in range(P.shape[1]) if 0 < present[k] < w.sum()]
    if not classes:
        raise ValueError(_one_class(y))
    if P.shape[1] == 2:
        classes = classes[-1:]  # the curve of the other class is the same, turned round
    return np.asarray(np.mean([_auc(P[:, k], y == k, w) for k in classes], axis=0))


def _auc(scores: Floats, positive: NDArray[np.bool_], w: Floats) -> Floats:
    _, place = np.unique(scores, return_inverse=True)
    up = np.bincount(place, w * positive)  # weights of the positive rows at each distinct score
    down = np.bincount(place, w * ~positive)
    n_up, n_down = up.sum(), down.sum()
    beaten = (np.cumsum(down) - down / 2) / n_down  # share of negative rows below, ties half
    beating = 1 - (np.cumsum(up) - up / 2) / n_up
    value = float(up @ beaten) / n_up
    total = w.sum()
    influence = np.where(
        positive, (beaten[place] - value) * total / n_up, (beating[place] - value) * total / n_down
    )
    rows: Floats = value + influence - (w @ influence) / total
    return rows


def average_precision(
    y: Labels,
    P: Floats,
    *,
    positive: str = "",
    class_names: Sequence[str] = (),
    sample_weight: Weights = None,
) -> float:
    """Average precision of a class, as scikit-learn defines it.

    Without ``positive`` it is that of the second of two classes, or the mean over the classes that
    occur.

    Raises:
        ValueError: the class does not occur, or has no weight.
    """
    w = _weights(y, sample_weight)
    if positive or P.shape[1] == 2:
        k = _positive(y, positive, class_names, P.shape[1])
        if not w[y == k].sum():
            which = f"the class '{class_names[k] if class_names else k}'"
            weightless = f"all test rows of {which} have weight 0"
            raise ValueError(weightless if (y == k).any() else f"no test row has {which}")
        return _average_precision(P[:, k], y == k, w)
    return float(np.mean([_average_precision(P[:, k], y == k, w) for k in np.unique(y[w > 0])]))


def _average_precision(scores: Floats, positive: NDArray[np.bool_], w: Floats) -> float:
    _, place = np.unique(-scores, return_inverse=True)
    hits = np.bincount(place, w * positive)
    rows = np.bincount(place, w)
    precisions = np.cumsum(hits) / np.cumsum(rows)
    return float(precisions @ hits / hits.sum())


def calibration_error(y: Labels, P: Floats, *, sample_weight: Weights = None) -> float:
    """Expected calibration error of the predicted class (Guo et al., ICML 2017)."""
    w = _weights(y, sample_weight)
    confidence = P.max(axis=1)
    gap = w * ((P.argmax(axis=1) == y) - confidence)
    bins = np.minimum(np.ceil(confidence * BINS).astype(np.intp) - 1, BINS - 1)
    return float(np.abs(np.bincount(np.maximum(bins, 0), gap)).sum() / w.sum())


def scikit_learn(
    y: Labels, P: Floats, *, scorer: str = "accuracy", sample_weight: Weights = None
) -> float:
    """A score by scikit-learn's scorer of this name."""
    from sklearn.metrics import get_scorer

    from harness_scores.stored import Stored

    given = {} if sample_weight is None else {"sample_weight": sample_weight}
    return float(get_scorer(scorer)(Stored(P), np.arange(len(y)), y, **given))


def _weights(y: Labels, sample_weight: Weights) -> Floats:
    return np.ones(len(y)) if sample_weight is None else np.asarray(sample_weight, np.float64)


def _one_class(y: Labels) -> str:
    """What is wrong if one class has all the weight."""
    if len(np.unique(y)) == 1:
        return "all test rows have one class"
    return "all test rows with a weight above 0 have one class"


def _positive(y: Labels, positive: str, class_names: Sequence[str], K: int = 0) -> int:
    """The index of the positive class: the named one, or the second of two."""
    if positive:
        if positive not in class_names:
            known = ", ".join(class_names) or "not stored"
            raise ValueError(f"no class is called '{positive}' (they are {known})")
        return class_names.index(positive)
    K = len(class_names) or K or int(y.max()) + 1
    if K > 2:
        raise ValueError(f"there are {K} classes; name one: [positive={class_names[0]}]")
    return 1


def _f1_parts(y: Labels, predicted: Labels, k: int) -> tuple[Floats, Floats]:
    is_class, guessed = (y == k).astype(np.float64), (predicted == k).astype(np.float64)
    return 2 * is_class * guessed, is_class + guessed


def _ratio(above: NDArray[Any], below: NDArray[Any], w: Floats) -> Floats:
    """Values of rows whose mean is the ratio of two sums over rows; 0 if the lower sum is 0."""
    total = w @ below
    if not total:
        return np.zeros(len(w))
    value = (w @ above) / total
    influence = (above - value * below) * w.sum() / total
    rows: Floats = value + influence - (w @ influence) / w.sum()
    return rows
