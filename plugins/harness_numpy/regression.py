"""Softmax regression, also called multinomial logistic regression."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import minimize

from harness import UsageError
from harness_numpy.softmax import softmax, softmax_by_class

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Self

    from numpy.typing import NDArray

    from harness import Array, Monitor

    Floats = NDArray[np.float64]
    Flat = np.ndarray[tuple[int], np.dtype[np.float64]]

CACHED = 1 << 16
"""Numbers in a block of inputs and logits: 512 KiB, which fits into a second-level cache."""


class SoftmaxRegression:
    """Linear logits that minimise mean NLL + l2/2 ||W||^2; the intercepts are not penalised.

    The equivalent ``C`` of scikit-learn is 1 / (l2 n_samples) for three or more classes. For two
    classes scikit-learn penalises the difference of the two weight vectors, whose square is twice
    ||W||^2, so that ``C`` is 2 / (l2 n_samples).

    Without a penalty there is no minimum if a plane separates the classes: the weights grow and
    the NLL falls towards 0 until its gradient is below ``tol``.

    Args:
        n_classes: K.
        l2: weight of the penalty.
        max_iter: most iterations of L-BFGS; if they are not enough, ``fit`` warns.
        tol: ``fit`` stops if no component of the gradient exceeds this, in nats per unit of weight.

    Raises:
        UsageError: an argument is negative, or ``max_iter`` below 1.
    """

    def __init__(self, n_classes: int, *, l2: float, max_iter: int, tol: float) -> None:
        for name, value, least in (("l2", l2, 0.0), ("max_iter", max_iter, 1), ("tol", tol, 0.0)):
            if not value >= least:
                raise UsageError(f"{name}={value} is below {least}")
        self.n_classes = n_classes
        self.l2 = l2
        self.max_iter = max_iter
        self.tol = tol

    def fit(self, X: Array, y: Array, monitor: Monitor | None = None) -> Self:
        """Minimise by L-BFGS (Liu & Nocedal 1989) from zero weights.

        Args:
            X: (n_samples, n_features).
            y: (n_samples,) of 0..K-1.
            monitor: called after each iteration with its number and the log probabilities.
        """
        iteration = 0
        penalised = Objective(np.asarray(X), y, self.n_classes, self.l2)

        def objective(flat: Flat) -> tuple[float, Floats]:
            loss, gradient = penalised(self._shaped(flat))
            return loss, gradient.ravel()

        def after_iteration(xk: Flat) -> None:
            nonlocal iteration
            iteration += 1
            if monitor is not None:
                self.weights_ = self._shaped(xk.copy())
                monitor(iteration, self.predict_log_proba)

        result = minimize(
            objective,
            np.zeros(self.n_classes * (X.shape[1] + 1)),
            method="L-BFGS-B",
            jac=True,
            callback=after_iteration,
            # 20 correction pairs instead of SciPy's 10 halve the iterations. ftol = 0, so that only
            # the gradient ends the search.
            options={
                "maxcor": 20,
                "maxiter": self.max_iter,
                "maxfun": 20 * self.max_iter,
                "gtol": self.tol,
                "ftol": 0.0,
            },
        )
        self.n_iter_ = iteration
        self.weights_ = self._shaped(result.x)
        largest_gradient = float(np.abs(result.jac).max())
        if largest_gradient > self.tol:
            self._warn_of_no_convergence(largest_gradient)
        return self

    def _warn_of_no_convergence(self, largest_gradient: float) -> None:
        n_iter, exhausted = self.n_iter_, self.n_iter_ >= self.max_iter
        iterations = f"max_iter={n_iter}" if exhausted else f"{n_iter}"
        advice = "" if exhausted else "; no lower point was found: scale X"
        warnings.warn(
            f"stopped after {iterations} iterations with a gradient of {largest_gradient:.1e}, "
            f"above tol={self.tol:g}{advice}",
            RuntimeWarning,
            stacklevel=3,  # the caller of `fit`
        )

    def predict_log_proba(self, X: Array) -> Floats:
        """Log probabilities (n_samples, n_classes)."""
        Z = self._logits(X)
        # Subtracting each sample's largest logit first keeps exp from overflowing.
        Z -= Z.max(axis=1, keepdims=True)
        Z -= np.log(np.exp(Z).sum(axis=1, keepdims=True))
        return Z

    def predict_proba(self, X: Array) -> Floats:
        """Probabilities (n_samples, n_classes)."""
        return softmax(self._logits(X))

    def _logits(self, X: Array) -> Floats:
        """Logits (n_samples, n_classes)."""
        Z: Floats = np.asarray(X) @ self.weights_[:, :-1].T
        Z += self.weights_[:, -1]
        return Z

    def _shaped(self, flat: Flat) -> Floats:
        return flat.reshape(self.n_classes, -1)


class Objective:
    """Mean NLL + l2/2 ||W||^2 and its gradient, computed in blocks that stay in the cache.

    Let P be the probabilities and Y the one-hot labels, both (K, n), and X the inputs (n, d + 1)
    with a last column of ones for the intercepts. The gradient of the mean NLL is (P - Y) X / n
    (Bishop 2006, eq. 4.109). Y X does not depend on the weights, so it is computed once. The sum of
    the labels' logits comes from it too: it is the sum of W * (Y X). Each call is left with a
    softmax between two matrix products.

    Args:
        X: (n_samples, n_features).
        y: (n_samples,) of 0..K-1.
        n_classes: K.
        l2: weight of the penalty.
    """

    def __init__(self, X: Array, y: Array, n_classes: int, l2: float) -> None:
        n_samples, n_features = X.shape
        self.l2 = l2
        self.n_rows = max(CACHED // (n_features + 1 + n_classes), 256)
        # Samples along the last axis make products with few classes twice as fast.
        self.inputs = np.empty((n_features + 1, n_samples))
        self.inputs[-1] = 1.0
        self.labelled = np.zeros((n_classes, n_features + 1))  # Y X
        classes = np.arange(n_classes)[:, None]
        for rows in self._blocks():
            self.inputs[:-1, rows] = X[rows].T
            self.labelled += (classes == y[rows]).astype(np.float64) @ self.inputs[:, rows].T

    def __call__(self, weights: Floats) -> tuple[float, Floats]:
        """Loss in nats, and gradient (K, n_features + 1), at weights of that shape."""
        n_samples = self.inputs.shape[1]
        log_totals = 0.0
        gradient = np.zeros_like(weights)
        for rows in self._blocks():
            inputs = self.inputs[:, rows]
            P = weights @ inputs
            log_totals += float(softmax_by_class(P).sum())
            gradient += P @ inputs.T
        gradient -= self.labelled
        gradient /= n_samples
        loss = (log_totals - float(np.vdot(weights, self.labelled))) / n_samples
        penalised = weights[:, :-1]
        gradient[:, :-1] += self.l2 * penalised
        return loss + 0.5 * self.l2 * float(np.vdot(penalised, penalised)), gradient

    def _blocks(self) -> Iterator[slice]:
        for start in range(0, self.inputs.shape[1], self.n_rows):
            yield slice(start, start + self.n_rows)
