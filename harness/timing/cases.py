"""The case of a softmax timing: the array that the kernels got, and the state of the caches."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np


class SoftmaxCase(NamedTuple):
    """What a softmax was timed on; ``str`` is the form in which the store keeps it.

    >>> str(SoftmaxCase("100000x10", "float32", "warm"))
    '100000x10 float32 warm'
    """

    shape: str
    dtype: str
    caches: str

    def __str__(self) -> str:
        """The case as text."""
        return " ".join(self)

    @classmethod
    def of(cls, text: str) -> SoftmaxCase | None:
        """The case that a text means; None for words such as "every shape".

        >>> SoftmaxCase.of("100000x10 float32 warm")
        SoftmaxCase(shape='100000x10', dtype='float32', caches='warm')
        """
        parts = text.split()
        return cls(*parts) if len(parts) == 3 else None

    @property
    def elements(self) -> int:
        """The number of elements of the array."""
        return math.prod(map(int, self.shape.split("x")))

    @property
    def bytes(self) -> int:
        """The size of the array."""
        return self.elements * np.dtype(self.dtype).itemsize
