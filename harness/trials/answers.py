"""Wait for lazy libraries to compute a call's result before the clock stops.

Dask and JAX return at once and compute later, when the result is used; without waiting, their calls
would seem to take no time. `harness ab` loads this file by its path, for both versions.
"""

from __future__ import annotations

import contextlib
import sys
from collections import deque
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

MANY = 200
"""Objects inside a classifier to search for lazy arrays, at most: the search is timed, too."""

PLAIN = (str, bytes, int, float, np.ndarray, np.generic, type, type(None))
"""Types that are never lazy."""


def concrete(answer: Any) -> Any:
    """An answer as an array of computed numbers; unchanged if it cannot become an array.

    The check of the answer, which follows, then raises the error.
    """
    if _is_numbers(answer):
        return answer
    try:
        array = np.asarray(answer)
        # Each item may be lazy by itself.
        return array.astype(np.float64) if array.dtype == object else array
    except (TypeError, ValueError, RuntimeError):
        return answer


def computed(output: Any, collect: Callable[[Any], Any], *, waited_for: bool) -> Any:
    """Return a kernel's output unchanged, once it is computed.

    Args:
        output: what the kernel's ``run`` returned.
        collect: the kernel's conversion to NumPy, which makes any library compute.
        waited_for: whether the clock waits for the device anyway, so that the output need not be
            copied into memory.
    """
    if _is_numbers(output):
        return output
    if _block(output) or waited_for or _is_eager(output):
        return output
    collect(output)
    return output


def settle(classifier: object) -> bool:
    """Wait until a fit's asynchronous computations have ended.

    It waits for JAX arrays in the classifier's attributes and containers. Libraries that compute
    only when a result is used do so in the first prediction.

    Returns:
        Whether the classifier holds any array that can be waited for.
    """
    has_lazy = False
    queue: deque[object] = deque([classifier])
    seen: set[int] = set()
    while queue and len(seen) < MANY:
        item = queue.popleft()
        if issubclass(type(item), PLAIN) or id(item) in seen:
            continue
        seen.add(id(item))
        if _block(item):
            has_lazy = True
        else:
            # An object that refuses to be inspected does not make the fit fail.
            with contextlib.suppress(Exception):
                queue.extend(islice(_inside(item), MANY))
    return has_lazy


def _inside(item: object) -> Iterable[object]:
    if isinstance(item, dict):
        return item.values()
    if isinstance(item, list | tuple):
        return item
    return getattr(item, "__dict__", {}).values()


def _block(item: object) -> bool:
    """Wait for a JAX array; return whether the thing is one."""
    block = getattr(type(item), "block_until_ready", None)
    if not callable(block):
        return False
    block(item)
    return True


def _is_numbers(item: Any) -> bool:
    """Whether the thing is a NumPy array of numbers, which are computed."""
    return type(item) is np.ndarray and item.dtype != object


def _is_eager(output: object) -> bool:
    """Whether the output is a PyTorch tensor: on the CPU, PyTorch computes before it returns."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(output, torch.Tensor)
