"""The classifier, which knows nothing of the harness."""

import numpy as np


class NearestMean:
    """Softmax of the negative squared distances to the class means."""

    def __init__(self, n_classes, sharpness):
        self.n_classes = n_classes
        self.sharpness = sharpness

    def fit(self, X, y):
        """Take the mean of each class."""
        self.means_ = np.stack([X[y == k].mean(axis=0) for k in range(self.n_classes)])
        return self

    def predict_proba(self, X):
        """Probabilities (n_samples, n_classes)."""
        distances = ((X[:, None, :] - self.means_) ** 2).sum(axis=2)
        Z = -0.5 * self.sharpness * distances
        E = np.exp(Z - Z.max(axis=1, keepdims=True))
        return E / E.sum(axis=1, keepdims=True)
