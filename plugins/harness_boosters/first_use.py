"""The work that scikit-learn does once per process, at the first fit, done at import time instead.

The boosters check their input with scikit-learn, which then searches all installed packages for
data frame libraries. Trials are forked from a process that has imported this module, so that their
fit times do not contain this work.
"""

from __future__ import annotations

from sklearn.utils.validation import check_array

check_array([[0.0]])
