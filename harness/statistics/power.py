"""Power of t-tests: the smallest difference that a t-test is likely to detect. Pure functions."""

from __future__ import annotations

import math
from functools import lru_cache

from scipy import special  # scipy.stats takes 0.6 s to import

POWER = 0.8
"""The probability that a test finds the smallest visible difference significant."""

FAR = 1000.0
"""Above this critical value of t, the mean's own noise changes the result by less than 1e-6."""


@lru_cache(maxsize=1024)  # a ranking asks for the same few degrees of freedom for each model
def standard_errors_told(freedom: float, level: float) -> float:
    """The difference, in standard errors, that a two-sided t-test detects with power 80%.

    This is the noncentrality d for which noncentral t exceeds the critical value c with probability
    `POWER`. For large c, noncentral t is about d sqrt(freedom / chi2), so that d is
    c sqrt(chi2 / freedom) for chi2's quantile at `POWER`. SciPy's search for d is inexact there,
    and below a level of 5e-6 with one degree of freedom it does not end. The difference is infinite
    without degrees of freedom.

    >>> round(standard_errors_told(4, 0.05), 2), round(standard_errors_told(1e6, 0.05), 2)
    (3.76, 2.8)
    """
    if not freedom > 0:
        return math.inf
    critical = float(special.stdtrit(freedom, 1 - level / 2))
    if critical > FAR:
        return critical * math.sqrt(float(special.chdtri(freedom, 1 - POWER)) / freedom)
    detected = float(special.nctdtrinc(freedom, 1 - POWER, critical))
    return detected if math.isfinite(detected) else math.inf
