"""Small datasets of every kind, and models that fail in every way, for the golden store."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

import numpy as np

import harness

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

WORSE = "GOLDEN_WORSE"
"""While this environment variable is set, the model ``ours`` is worse and slower."""


def blobs(rng: np.random.Generator, n: int, n_classes: int, n_inputs: int, noise: float) -> Any:
    """Rows (n, n_inputs) around one corner a class, and their classes (n,)."""
    y = np.arange(n) % n_classes
    corners = 2.0 * np.eye(n_classes, n_inputs)
    return corners[y] + noise * rng.standard_normal((n, n_inputs)), y


def pair(rng: np.random.Generator, n_train: int = 24, n_test: int = 16) -> harness.Split:
    """Two classes of two inputs, drawn afresh."""
    X, y = blobs(rng, n_train + n_test, 2, 2, 0.9)
    return harness.Split(
        X[:n_train], y[:n_train], X[n_train:], y[n_train:],
        class_names=("left", "right"), feature_names=("width", "height"),
    )  # fmt: skip


def five(rng: np.random.Generator, noise: float = 1.0) -> harness.Split:
    """Three classes of five inputs, drawn afresh."""
    X, y = blobs(rng, 48, 3, 5, noise)
    return harness.Split(X[:30], y[:30], X[30:], y[30:])


def table(n: int, seed: int) -> Any:
    """A table that stays, with a column of words and missing values."""
    import pandas as pd

    rng = np.random.default_rng(seed)
    X, y = blobs(rng, n, 3, 3, 1.0)
    X[rng.random(X.shape) < 0.05] = np.nan
    frame = pd.DataFrame(X, columns=["x", "y", "z"])
    frame["colour"] = np.array(["red", "green", "blue"])[(y + (rng.random(n) < 0.3)) % 3]
    return frame, np.array(["ash", "birch", "cedar"])[y]


def resampled(rng: np.random.Generator) -> harness.Split:
    """One table, split anew."""
    return harness.resample(*table(48, 1), rng, test_size=0.3)


def grouped(rng: np.random.Generator) -> harness.Split:
    """One table of patients, each with four rows."""
    return harness.resample(*table(48, 2), rng, test_size=0.3, groups=np.arange(48) // 4)


def fixed(rng: np.random.Generator) -> harness.Split:
    """One table, always split alike."""
    X, y = table(48, 3)
    return harness.Split(X[:32], y[:32], X[32:], y[32:])


def folded(rng: np.random.Generator, fold: int) -> harness.Split:
    """One table in three folds."""
    return harness.folds(*table(45, 4), rng, fold, n_folds=3)


class Nearest:
    """Probabilities by the distance to the mean of each class."""

    def __init__(self, setting: harness.Setting, slope: float) -> None:
        self.n_classes, self.slope = setting.n_classes, slope
        self.worse = WORSE in os.environ

    def fit(self, X: NDArray[Any], y: NDArray[Any]) -> None:
        if self.worse:
            time.sleep(0.02)
        self.means = np.array([X[y == k].mean(axis=0) for k in range(self.n_classes)])

    def predict_proba(self, X: NDArray[Any]) -> NDArray[Any]:
        distances = ((X[:, None] - self.means) ** 2).sum(axis=2)
        slope = -0.2 if self.worse else self.slope
        weights = np.exp(-slope * (distances - distances.min(axis=1, keepdims=True)))
        return weights / weights.sum(axis=1, keepdims=True)


class Failing(Nearest):
    """Fails in the way that its parameter says."""

    def __init__(self, setting: harness.Setting, how: str) -> None:
        super().__init__(setting, 1.0)
        self.how, self.seed = how, setting.seed

    def fit(self, X: NDArray[Any], y: NDArray[Any]) -> None:
        if self.how == "raises":
            print("about to fail")
            raise ValueError("the matrix is singular")
        if self.how == "sometimes" and self.seed % 2:
            raise ArithmeticError("no convergence after 100 steps")
        if self.how == "hangs":
            time.sleep(600)
        if self.how == "aborts":
            os.abort()
        super().fit(X, y)

    def predict_proba(self, X: NDArray[Any]) -> NDArray[Any]:
        found = super().predict_proba(X)
        return found * np.nan if self.how == "says-nothing" else found


def make_nearest(setting: harness.Setting, slope: float = 1.0) -> Nearest:
    """A recipe."""
    return Nearest(setting, slope)


def make_failing(setting: harness.Setting, how: str = "raises") -> Failing:
    """A recipe."""
    return Failing(setting, how)


@harness.hookimpl
def harness_datasets() -> Iterator[harness.Dataset]:
    """At least one dataset of each kind, and as many as a signed-rank test needs."""
    about = {"licence": "public domain", "citation": "Nobody (2026), Made up.", "tags": ("made",)}
    yield harness.Dataset("pair", "fresh", pair, "Two classes of two inputs.", **about)
    yield harness.Dataset("five", "fresh", five, "Three classes of five inputs.", **about)
    yield harness.Dataset("trees", "resampled", resampled, "A table, split anew.", **about)
    yield harness.Dataset("patients", "resampled", grouped, "Four rows a patient.", **about)
    yield harness.Dataset("fixed", "fixed", fixed, "A table, always split alike.", **about)
    yield harness.Dataset("folded", "3-fold", folded, "A table in three folds.", **about)


@harness.hookimpl
def harness_models() -> Iterator[harness.Model]:
    """A model that works, a model that fails, and a model that lacks a library."""
    needs = harness.Needs(scaled=True)
    yield harness.Model("ours", make_nearest, needs, description="Nearest mean.")
    yield harness.Model(
        "failing", make_failing, needs, description="Fails in the way that its parameter names."
    )
    yield harness.Model(
        "lacking", make_nearest, description="Lacks a library.", requires=("no_such_library",)
    )
