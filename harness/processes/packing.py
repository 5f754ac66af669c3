"""Values and arrays in a file, so that another process reads them without running anything.

Arrays come first, each at a multiple of 64 bytes; then JSON that tells their types and shapes; then
its length and a mark. A file without the mark at its end is incomplete. Nothing is pickled: what a
stranger's process wrote is read as numbers and texts, or refused.
"""

from __future__ import annotations

import json
import math
import mmap
import os
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

MARK = b"harness1"
TAIL = 8 + len(MARK)  # the length of the JSON, and the mark
ALIGNMENT = 64  # bytes: a cache line
KINDS = "biuf"  # of numbers, as in numpy.dtype.kind
LONGEST = 64 * 1024 * 1024  # bytes of JSON: far more than any answer needs


class PackingError(Exception):
    """A file is not what `pack` writes: incomplete, too long, or with arrays outside of it."""


def pack(file: int, value: Any, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write a value and arrays into an empty file.

    Args:
        file: its descriptor.
        value: of JSON: None, booleans, numbers, texts, and lists and dicts of them.
        arrays: of booleans, integers or floats, by name.

    Raises:
        PackingError: an array holds something else.
        TypeError: the value is none of JSON.
    """
    entries = []
    os.ftruncate(file, 0)  # whoever had the descriptor may have written to it
    os.lseek(file, 0, os.SEEK_SET)
    with open(file, "wb", closefd=False) as writer:  # a descriptor
        at = 0
        for name, given in arrays.items():
            array = np.ascontiguousarray(given)
            if array.dtype.kind not in KINDS:
                raise PackingError(f"'{name}' holds {array.dtype}, which is not numbers")
            start = math.ceil(at / ALIGNMENT) * ALIGNMENT
            writer.write(bytes(start - at))
            if array.size:
                writer.write(array.reshape(-1).view(np.uint8).data)
            at = start + array.nbytes
            entries.append([name, array.dtype.str, list(array.shape), start])
        words = json.dumps({"value": value, "arrays": entries}).encode()
        writer.write(words + len(words).to_bytes(8, "little") + MARK)


def is_complete(file: int) -> bool:
    """Whether `pack` has finished the file."""
    size = os.fstat(file).st_size
    return size >= TAIL and os.pread(file, len(MARK), size - len(MARK)) == MARK


def unpack(file: int, longest: int = LONGEST) -> tuple[Any, dict[str, NDArray[Any]]]:
    """The value and the arrays of a file; the arrays are its memory, and cannot be written to.

    Args:
        file: its descriptor, which may be closed afterwards.
        longest: bytes of the value's JSON that are accepted.

    Raises:
        PackingError: the file is not one that `pack` has finished.
    """
    size = os.fstat(file).st_size
    if size < TAIL:
        raise PackingError("the answer is missing")
    try:
        whole = mmap.mmap(file, size, access=mmap.ACCESS_READ)
    except (OSError, ValueError, OverflowError) as error:
        raise PackingError(f"the answer has {size:,} bytes: {error}") from None
    length = int.from_bytes(whole[size - TAIL : size - len(MARK)], "little")
    if whole[size - len(MARK) :] != MARK or length > size - TAIL:
        raise PackingError("the answer is incomplete")
    if length > longest:
        raise PackingError(f"the answer has {length:,} bytes besides its arrays")
    end = size - TAIL - length
    try:
        document = json.loads(whole[end : end + length])
        value = document["value"]
        arrays = dict(_array(whole, end, *entry) for entry in document["arrays"])
    except PackingError:
        raise
    except Exception as error:  # noqa: BLE001  # NumPy raises anything for odd types
        raise PackingError(f"the answer cannot be read: {type(error).__name__}") from None
    return value, arrays


def _array(
    whole: mmap.mmap, end: int, name: str, code: str, shape: list[int], start: int
) -> tuple[str, NDArray[Any]]:
    dtype = np.dtype(code)
    sizes = tuple(shape)
    if dtype.kind not in KINDS or any(type(n) is not int or n < 0 for n in (*sizes, start)):
        raise PackingError(f"the answer's array '{name!s:.40}' is of no type or shape")
    count = math.prod(sizes)
    if start + count * dtype.itemsize > end:
        raise PackingError(f"the answer's array '{name!s:.40}' lies outside of its file")
    if not count:
        return str(name), np.zeros(sizes, dtype)
    return str(name), np.frombuffer(whole, dtype, count, start).reshape(sizes)
