"""What scikit-learn does once a process, at its first fit: done when this module is imported.

Trials are forks of a process that has imported what their models require. It looks through all
installed packages for kinds of data frames, which takes longer than most fits of small tables.
"""

from __future__ import annotations

from sklearn.utils.validation import check_array

check_array([[0.0]])
