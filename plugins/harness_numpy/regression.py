"""Softmax regression, also called multinomial logistic regression."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import minimize

from harness.errors import UsageError

if TYPE_CHECKING:
    from typing import Self

    from numpy.typing import NDArray

    from harness.values import Array, Monitor

    Floats = NDArray[np.float64]
    Flat = np.ndarray[tuple[int], np.dtype[np.float64]]


class SoftmaxRegression:
    """Linear logits, at the minimum of mean NLL + l2/2 ||W||^2; the intercepts are not penalised.

    scikit-learn's ``C`` is 1 / (l2 n_samples) for three classes and more. For two it penalises the
    one difference of weights, whose square is twice ||W||^2, and ``C`` is 2 / (l2 n_samples).

    Without a penalty, on classes that a plane separates, there is no minimum: the weights grow and
    the NLL falls towards 0 until its gradient is below ``tol``.

    Args:
        n_classes: K.
        l2: weight of the penalty.
        max_iter: iterations of L-BFGS, after which it warns and stays where it is.
        tol: the largest component of the gradient at which it stops, in nats per unit of weight.

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

        def objective(flat: Flat) -> tuple[float, Floats]:
            loss, gradient = loss_and_gradient(self._shaped(flat), X, y, self.l2)
            return loss, gradient.ravel()

        def note(xk: Flat) -> None:
            nonlocal iteration
            iteration += 1
            if monitor is not None:
                self.weights_ = self._shaped(xk.copy())
                monitor(iteration, self.predict_log_proba)

        found = minimize(
            objective,
            np.zeros(self.n_classes * (X.shape[1] + 1)),
            method="L-BFGS-B",
            jac=True,
            callback=note,
            # More pairs than SciPy's 10 halve the iterations; only the gradient may end the search.
            options={
                "maxcor": 20,
                "maxiter": self.max_iter,
                "maxfun": 20 * self.max_iter,
                "gtol": self.tol,
                "ftol": 0.0,
            },
        )
        self.n_iter_ = iteration
        self.weights_ = self._shaped(found.x)
        steepest = float(np.abs(found.jac).max())
        if steepest > self.tol and iteration >= self.max_iter:
            warnings.warn(
                f"stopped after max_iter={iteration} iterations with a gradient of {steepest:.1e},"
                f" above tol={self.tol:g}",
                RuntimeWarning,
                stacklevel=2,
            )
        return self

    def predict_log_proba(self, X: Array) -> Floats:
        """Log probabilities (n_samples, n_classes)."""
        return log_softmax(logits(self.weights_, X)).T

    def predict_proba(self, X: Array) -> Floats:
        """Probabilities (n_samples, n_classes)."""
        P = np.exp(log_softmax(logits(self.weights_, X)))
        P /= P.sum(axis=0)
        return np.ascontiguousarray(P.T)

    def _shaped(self, flat: Flat) -> Floats:
        return flat.reshape(self.n_classes, -1)


def logits(weights: Floats, X: Array) -> Floats:
    """(K, n_samples): a row a class, because sums and maxima over few classes go faster so.

    Args:
        weights: (K, n_features + 1), the intercept last.
        X: (n_samples, n_features).
    """
    Z: Floats = weights[:, :-1] @ X.T
    Z += weights[:, -1:]
    return Z


def log_softmax(Z: Floats) -> Floats:
    """Log probabilities of logits, both (K, n_samples)."""
    # Taking each sample's largest logit off first keeps exp from overflowing.
    Z = Z - Z.max(axis=0)
    Z -= np.log(np.exp(Z).sum(axis=0))
    return Z


def loss_and_gradient(weights: Floats, X: Array, y: Array, l2: float) -> tuple[float, Floats]:
    """Mean NLL + l2/2 ||W||^2 in nats, and its gradient (K, n_features + 1).

    With probabilities P and labels as indicators Y, both (K, n), the gradient of the mean NLL is
    (P - Y) X / n (Bishop 2006, eq. 4.109).
    """
    n = len(y)
    log_P = log_softmax(logits(weights, X))
    picked = y, np.arange(n)
    penalised = weights[:, :-1]
    loss = -float(log_P[picked].mean()) + 0.5 * l2 * float(np.vdot(penalised, penalised))
    residual = np.exp(log_P, out=log_P)
    residual[picked] -= 1.0
    residual /= n
    gradient = np.empty_like(weights)
    gradient[:, :-1] = residual @ X + l2 * penalised
    gradient[:, -1] = residual.sum(axis=1)
    return loss, gradient
