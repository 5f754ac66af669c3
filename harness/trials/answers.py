"""What a call returns is computed before the clock stops, also where a library puts it off.

Dask and JAX return at once and compute when somebody looks; without this their calls would take no
time. `harness ab` loads this file by its path, for both of its sides.
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
"""Objects of a classifier that are looked at, the nearest first: this is inside the clock."""

PLAIN = (str, bytes, int, float, np.ndarray, np.generic, type, type(None))
"""What nobody need wait for."""


def concrete(answer: Any) -> Any:
    """An answer as an array whose numbers are there; itself where nothing makes an array of it.

    Whoever checks the answer then says why it is none.
    """
    if _is_numbers(answer):
        return answer
    try:
        array = np.asarray(answer)
        # Each item may be put off by itself.
        return array.astype(np.float64) if array.dtype == object else array
    except (TypeError, ValueError, RuntimeError):
        return answer


def computed(output: Any, collect: Callable[[Any], Any], *, waited_for: bool) -> Any:
    """A kernel's output, as it is, once it is computed.

    Args:
        output: what the kernel's ``run`` gave.
        collect: the kernel's own way to NumPy, which makes any library compute.
        waited_for: the device is waited for before the clock stops, and nothing needs to be
            brought into memory for that.
    """
    if _is_numbers(output):
        return output
    if _block(output) or waited_for or _is_eager(output):
        return output
    collect(output)
    return output


def settle(classifier: object) -> bool:
    """Return when what a fit has begun to compute is there, as far as it can be waited for.

    JAX's arrays can, in attributes and in containers. What computes only when it is looked at is
    left to the first prediction.

    Returns:
        Whether there was anything that can be waited for.
    """
    found = False
    things: deque[object] = deque([classifier])
    seen: set[int] = set()
    while things and len(seen) < MANY:
        thing = things.popleft()
        if issubclass(type(thing), PLAIN) or id(thing) in seen:
            continue
        seen.add(id(thing))
        if _block(thing):
            found = True
        else:
            # A stranger's object may refuse to be looked into, which is no fault of its fit.
            with contextlib.suppress(Exception):
                things.extend(islice(_inside(thing), MANY))
    return found


def _inside(thing: object) -> Iterable[object]:
    if isinstance(thing, dict):
        return thing.values()
    if isinstance(thing, list | tuple):
        return thing
    return getattr(thing, "__dict__", {}).values()


def _block(thing: object) -> bool:
    """Wait for a JAX array; whether it is one."""
    block = getattr(type(thing), "block_until_ready", None)
    if not callable(block):
        return False
    block(thing)
    return True


def _is_numbers(thing: Any) -> bool:
    """Whether it is an array whose numbers are there."""
    return type(thing) is np.ndarray and thing.dtype != object


def _is_eager(output: object) -> bool:
    """Whether it is PyTorch's, which has computed on the CPU when a call returns."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(output, torch.Tensor)
