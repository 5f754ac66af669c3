"""Values and arrays in a file, so that another process reads them without running anything.

Arrays come first, each at a multiple of 64 bytes or more; then JSON that tells their types and
shapes; then its length and a mark. A file without the mark at its end is incomplete. Nothing is
pickled: what a stranger's process wrote is read as numbers and texts, or refused.
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
LARGEST_WRITE = 2**30  # bytes that a system writes in one go, at the least
LONGEST = 64 * 1024 * 1024  # bytes of JSON: far more than any answer needs


class PackingError(Exception):
    """A file is not what `pack` writes: incomplete, too long, or with arrays outside of it."""


class Packing:
    """A file that is being packed: arrays are put in, or made in it; the value comes last.

    Args:
        file: its descriptor.
    """

    def __init__(self, file: int) -> None:
        self._file = file
        self.clear()

    def clear(self) -> None:
        """Begin anew with an empty file."""
        self._entries: list[tuple[str, str, list[int], int]] = []
        self._at = 0
        #: By where they lie in memory; kept, so that no other array comes to lie there.
        self._put: dict[tuple[object, ...], tuple[int, NDArray[Any]]] = {}
        os.ftruncate(self._file, 0)  # whoever had the descriptor may have written to it

    @property
    def names(self) -> set[str]:
        """Names of the arrays that are in the file."""
        return {name for name, *_ in self._entries}

    def room(self, name: str, shape: tuple[int, ...], dtype: Any) -> NDArray[Any]:
        """An array of zeros that lies in the file, to be written to.

        A large table that is made in memory first costs a copy, and memory that the system has to
        find anew for every process.

        Raises:
            OSError: there is no room on the disk.
        """
        dtype = np.dtype(dtype)
        n_bytes = math.prod(shape) * dtype.itemsize
        if not n_bytes:
            self.put(name, np.zeros(shape, dtype))
            return np.zeros(shape, dtype)
        start = self._enter(name, dtype, shape, mmap.ALLOCATIONGRANULARITY)
        if hasattr(os, "posix_fallocate"):
            # A disk that turns out to be full while it is written to would end the process.
            os.posix_fallocate(self._file, start, n_bytes)
        else:
            os.ftruncate(self._file, start + n_bytes)
        self._at = start + n_bytes
        whole = mmap.mmap(self._file, n_bytes, offset=start)
        array = np.frombuffer(whole, dtype).reshape(shape)
        self._put[_place(array)] = start, array
        return array

    def put(self, name: str, given: NDArray[Any]) -> None:
        """Copy an array into the file, unless it lies there already, under whatever name.

        Raises:
            OSError: there is no room on the disk.
            PackingError: it holds something other than numbers.
        """
        array = np.ascontiguousarray(given)
        if array.dtype.kind not in KINDS:
            raise PackingError(f"'{name}' holds {array.dtype}, which is not numbers")
        known = _place(array)
        if known in self._put:
            self._entries.append((name, array.dtype.str, list(array.shape), self._put[known][0]))
            return
        start = self._enter(name, array.dtype, array.shape, ALIGNMENT)
        self._put[known] = start, array
        if array.size:
            self._write(array.reshape(-1).view(np.uint8).data, start)
        self._at = start + array.nbytes

    def finish(self, value: Any) -> None:
        """Write the value, and the mark that the file is complete.

        Raises:
            OSError: there is no room on the disk.
            TypeError: the value is none of JSON.
        """
        words = json.dumps({"value": value, "arrays": self._entries}).encode()
        end = words + len(words).to_bytes(8, "little") + MARK
        self._write(memoryview(end), self._at)
        os.ftruncate(self._file, self._at + len(end))

    def _enter(self, name: str, dtype: np.dtype[Any], shape: tuple[int, ...], step: int) -> int:
        start = math.ceil(self._at / step) * step
        self._entries.append((name, dtype.str, list(shape), start))
        return start

    def _write(self, data: memoryview, at: int) -> None:
        while data:
            written = os.pwrite(self._file, data[:LARGEST_WRITE], at)
            data, at = data[written:], at + written


def _place(array: NDArray[Any]) -> tuple[object, ...]:
    return array.__array_interface__["data"][0], array.shape, array.dtype.str


def pack(file: int, value: Any, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write a value and arrays into an empty file.

    Args:
        file: its descriptor.
        value: of JSON: None, booleans, numbers, texts, and lists and dicts of them.
        arrays: of booleans, integers or floats, by name.

    Raises:
        OSError: there is no room on the disk.
        PackingError: an array holds something else.
        TypeError: the value is none of JSON.
    """
    packing = Packing(file)
    for name, array in arrays.items():
        packing.put(name, array)
    packing.finish(value)


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
