"""Random logits, and their softmax in a higher precision, to check kernels against.

`harness ab` loads this file by its path into processes that may have another version of the
harness, so it imports NumPy and the standard library only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

SCALE = 3.0
"""Standard deviation of random logits, as of a fairly confident network."""

DRAWN = 1 << 25
"""The most random numbers to draw: drawing 1.6 GB of them would take longer than all the rest."""

CHECKED, ENDS = 1 << 20, 1 << 10
"""How many numbers of an output are compared with the reference, in rows that each process draws
anew; and how many of the first and last rows are always compared, because errors often occur at the
ends of blocks."""

TOLERANCE = {"float32": 1e-5, "float64": 1e-10}
"""The largest error of a probability, by the type of the logits."""


def random_logits(rng: np.random.Generator, shape: tuple[int, int], dtype: str) -> Array:
    """Normal logits of standard deviation `SCALE`.

    Beyond `DRAWN` numbers the rows repeat, each time scaled a little closer to 0.
    """
    logits: Array = np.empty(shape, dtype)
    n_drawn = max(1, DRAWN // shape[1])
    drawn = rng.standard_normal((min(shape[0], n_drawn), shape[1]), np.dtype(dtype).type)
    for start in range(0, shape[0], n_drawn):
        rows = logits[start : start + n_drawn]
        np.multiply(drawn[: len(rows)], SCALE * (1 - start / shape[0] / 2), out=rows)
    return logits


def softmax(logits: Array) -> Array:
    """The softmax by definition, minus the maximum, in a higher precision than the logits have.

    float32 is computed in float64, and float64 in the longest type that the processor has.
    """
    powers: Any = logits.astype(np.longdouble if logits.dtype == np.float64 else np.float64)
    powers -= powers.max(axis=1, keepdims=True, initial=-np.inf)
    np.exp(powers, out=powers)
    powers /= powers.sum(axis=1, keepdims=True)
    probabilities: Array = powers
    return probabilities


class SoftmaxCheck:
    """Compares outputs with the reference in random rows, and in the first and last rows.

    Args:
        rng: draws the rows.
        logits: (n_samples, n_classes).
    """

    def __init__(self, rng: np.random.Generator, logits: Array) -> None:
        n_checked = min(len(logits), max(1, CHECKED // logits.shape[1]))
        drawn = rng.choice(len(logits), n_checked, replace=False)
        n_ends = min(ENDS, n_checked)
        ends = np.arange(len(logits))[[*range(-n_ends, n_ends)]]
        self.rows = np.unique(np.concatenate([drawn, ends]))
        self.shape = logits.shape
        self.expected = softmax(logits[self.rows])
        self.tolerance = TOLERANCE[logits.dtype.name]

    def fault(self, probabilities: Array) -> str:
        """Why these are not the softmax of the logits; empty if they are."""
        if probabilities.shape != self.shape:
            return f"gives shape {probabilities.shape} for logits {self.shape}"
        if probabilities.dtype.kind != "f":
            return f"gives {probabilities.dtype}, not floating-point probabilities"
        error = self.error(probabilities)
        if not error <= self.tolerance:
            return f"a probability differs from the reference by {error:.2g}"
        total, n_rows = float(probabilities.sum(dtype=np.float64)), len(probabilities)
        if not abs(total - n_rows) <= 1e-5 * n_rows:
            return f"the probabilities of {n_rows} rows sum to {total:.6g}"
        return ""

    def error(self, probabilities: Array) -> float:
        """The largest error of the probabilities in the checked rows."""
        return float(np.abs(probabilities[self.rows] - self.expected).max(initial=0.0))
