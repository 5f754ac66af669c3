"""What a call returns is computed before the clock stops, also where a library puts it off.

Dask and JAX return at once and compute when somebody looks; without this their calls would take no
time. `harness ab` loads this file by its path, for both of its sides.
"""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

DEEPEST = 3
"""How many objects may stand inside one another between a classifier and what it has learned."""

MANY = 1_000
"""Items of a container that are looked at."""


def concrete(answer: Any) -> Any:
    """An answer as an array whose numbers are there; itself where nothing makes an array of it.

    Whoever checks the answer then says why it is none.
    """
    if type(answer) is np.ndarray and answer.dtype != object:
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
    if type(output) is np.ndarray:
        return output
    if _block(output) or waited_for or _is_eager(output):
        return output
    collect(output)
    return output


def settle(classifier: object) -> None:
    """Return when what a fit has begun to compute is there, as far as it can be waited for.

    JAX's arrays can. What computes only when it is looked at is left to the first prediction.
    """
    with contextlib.suppress(RecursionError):
        _settle([classifier], 0, set())


def _settle(things: Iterable[object], depth: int, seen: set[int]) -> None:
    for thing in things:
        if isinstance(thing, str | bytes | int | float | np.ndarray | type) or id(thing) in seen:
            continue
        seen.add(id(thing))
        if _block(thing) or depth > DEEPEST:
            continue
        if isinstance(thing, dict):
            inside: list[object] = list(thing.values())[:MANY]
        elif isinstance(thing, list | tuple):
            inside = list(thing[:MANY])
        else:
            inside = list(getattr(thing, "__dict__", {}).values())
        _settle(inside, depth + 1, seen)


def _block(thing: object) -> bool:
    """Wait for a JAX array; whether it is one."""
    block = getattr(type(thing), "block_until_ready", None)
    if not callable(block):
        return False
    block(thing)
    return True


def _is_eager(output: object) -> bool:
    """Whether it is PyTorch's, which has computed on the CPU when a call returns."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(output, torch.Tensor)
