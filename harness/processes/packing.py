"""A file format for a JSON value and arrays, which another process can read safely.

The arrays come first, each aligned to at least 64 bytes. The JSON follows, with the value and the
arrays' types and shapes. The JSON's length and a mark end the file; without the mark the file is
incomplete. Nothing is pickled: reading a file that a plugin's process wrote gives only numbers and
texts, or an error.

NumPy is imported where arrays are made. So the coordinator can start processes before it has loaded
NumPy, which they load meanwhile.
"""

from __future__ import annotations

import json
import math
import mmap
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

MARK = b"harness1"
TAIL = 8 + len(MARK)  # the length of the JSON, and the mark
ALIGNMENT = 64  # bytes: a cache line
KINDS = "biuf"  # of numbers, as in numpy.dtype.kind
LARGEST_WRITE = 2**30  # bytes; every system can write this many in one call
LONGEST = 64 * 1024 * 1024  # bytes of JSON: far more than any answer needs


class PackingError(Exception):
    """The file does not have the format of `pack`, or an array does not fit into it."""


class Packing:
    """Writes a file: first arrays, copied with `put` or made in place with `room`, then the value.

    Args:
        file: the file's descriptor.
    """

    def __init__(self, file: int) -> None:
        self._file = file
        self.clear()

    def clear(self) -> None:
        """Empty the file and begin again."""
        self._entries: list[tuple[str, str, list[int], int]] = []
        self._at = 0
        #: Arrays by their place in memory; the reference keeps that place from being used again.
        self._put: dict[tuple[object, ...], tuple[int, NDArray[Any]]] = {}
        os.ftruncate(self._file, 0)  # other code with the descriptor may have written to it

    @property
    def names(self) -> set[str]:
        """Names of the arrays in the file."""
        return {name for name, *_ in self._entries}

    def room(self, name: str, shape: tuple[int, ...], dtype: Any) -> NDArray[Any]:
        """A writable array of zeros that is part of the file.

        This saves a large table a copy, and saves the system from allocating memory for it in
        every process.

        Raises:
            OSError: the disk is full.
        """
        import numpy as np

        dtype = np.dtype(dtype)
        n_bytes = math.prod(shape) * dtype.itemsize
        if not n_bytes:
            self.put(name, np.zeros(shape, dtype))
            return np.zeros(shape, dtype)
        start = self._enter(name, dtype, shape, mmap.ALLOCATIONGRANULARITY)
        if hasattr(os, "posix_fallocate"):
            # Otherwise a full disk would kill the process when it writes to the mapped memory.
            os.posix_fallocate(self._file, start, n_bytes)
        else:
            os.ftruncate(self._file, start + n_bytes)
        self._at = start + n_bytes
        memory = mmap.mmap(self._file, n_bytes, offset=start)
        array = np.frombuffer(memory, dtype).reshape(shape)
        self._put[_place(array)] = start, array
        return array

    def put(self, name: str, source: NDArray[Any]) -> None:
        """Copy an array into the file; one that is there under another name is not copied again.

        Raises:
            OSError: the disk is full.
            PackingError: the array does not hold numbers.
        """
        import numpy as np

        array = np.ascontiguousarray(source)
        if array.dtype.kind not in KINDS:
            raise PackingError(f"'{name}' holds {array.dtype}, which is not numbers")
        place = _place(array)
        if place in self._put:
            self._entries.append((name, array.dtype.str, list(array.shape), self._put[place][0]))
            return
        start = self._enter(name, array.dtype, array.shape, ALIGNMENT)
        self._put[place] = start, array
        if array.size:
            self._write(array.reshape(-1).view(np.uint8).data, start)
        self._at = start + array.nbytes

    def finish(self, value: Any) -> None:
        """Write the value, and the mark of a complete file.

        Raises:
            OSError: the disk is full.
            TypeError: JSON cannot represent the value.
        """
        document = json.dumps({"value": value, "arrays": self._entries}).encode()
        ending = document + len(document).to_bytes(8, "little") + MARK
        self._write(memoryview(ending), self._at)
        os.ftruncate(self._file, self._at + len(ending))

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
        file: the file's descriptor.
        value: a JSON value: None, booleans, numbers, texts, and lists and dicts of them.
        arrays: arrays of booleans, integers or floats, by name.

    Raises:
        OSError: the disk is full.
        PackingError: an array does not hold numbers.
        TypeError: JSON cannot represent the value.
    """
    packing = Packing(file)
    for name, array in arrays.items():
        packing.put(name, array)
    packing.finish(value)


def is_complete(file: int) -> bool:
    """Whether the file ends with the mark that `pack` writes last."""
    size = os.fstat(file).st_size
    return size >= TAIL and os.pread(file, len(MARK), size - len(MARK)) == MARK


def unpack(file: int, longest: int = LONGEST) -> tuple[Any, dict[str, NDArray[Any]]]:
    """The value and the arrays of a file; the arrays map the file's memory and are read-only.

    Args:
        file: the file's descriptor, which may be closed afterwards.
        longest: the most bytes of JSON that are accepted.

    Raises:
        PackingError: the file is incomplete or does not have the format of `pack`.
    """
    size = os.fstat(file).st_size
    if size < TAIL:
        raise PackingError("the answer is missing")
    try:
        content = mmap.mmap(file, size, access=mmap.ACCESS_READ)
    except (OSError, ValueError, OverflowError) as error:
        raise PackingError(f"the answer has {size:,} bytes: {error}") from None
    length = int.from_bytes(content[size - TAIL : size - len(MARK)], "little")
    if content[size - len(MARK) :] != MARK or length > size - TAIL:
        raise PackingError("the answer is incomplete")
    if length > longest:
        raise PackingError(f"the answer has {length:,} bytes besides its arrays")
    end = size - TAIL - length
    try:
        document = json.loads(content[end : end + length])
        value = document["value"]
        arrays = dict(_array(content, end, *entry) for entry in document["arrays"])
    except PackingError:
        raise
    except Exception as error:  # noqa: BLE001  # NumPy raises many kinds of errors for odd types
        raise PackingError(f"the answer cannot be read: {type(error).__name__}") from None
    return value, arrays


def _array(
    content: mmap.mmap, end: int, name: str, code: str, shape: list[int], start: int
) -> tuple[str, NDArray[Any]]:
    import numpy as np

    dtype = np.dtype(code)
    sizes = tuple(shape)
    if dtype.kind not in KINDS or any(type(n) is not int or n < 0 for n in (*sizes, start)):
        raise PackingError(f"the answer's array '{name!s:.40}' has no valid type or shape")
    count = math.prod(sizes)
    if start + count * dtype.itemsize > end:
        raise PackingError(f"the answer's array '{name!s:.40}' lies outside of its file")
    if not count:
        return str(name), np.zeros(sizes, dtype)
    return str(name), np.frombuffer(content, dtype, count, start).reshape(sizes)
