"""The work that scikit-learn does once per process, at the first fit, done at import time instead.

It searches all installed packages for data frame libraries, which takes longer than most fits on
small datasets. Models name this module in ``requires``: trials are forked from a process that has
imported it, so that their fit times do not contain this work.
"""

from __future__ import annotations

from sklearn.utils.validation import check_array

check_array([[0.0]])
