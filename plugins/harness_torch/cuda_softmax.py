"""The softmax of ``softmax.cu``: its layouts, and its compilation for one number of classes.

It improves on the Triton kernel in two cases. A Triton array's width is a power of 2, so with rows
of three numbers Triton cannot load 16 contiguous bytes per thread. And Triton reads a row twice if
one block cannot hold it.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

SOURCE = Path(__file__).with_name("softmax.cu")

WIDTH = 16
"""Bytes that a thread loads or stores at once."""

SHORT = 128
"""Bytes of the longest row that a single thread computes."""

APIECE = 48
"""Fewest bytes that a thread computes of such short rows, if need be of several."""

PASSES = 8
"""Loads per thread for longer rows: a thread then holds 128 bytes in 32 of its registers."""

BLOCK = 512
"""Most threads in a block, so that one block can load while another reduces its row."""

CLUSTER = 8
"""Most blocks in a cluster, on every GPU that has clusters."""

LARGEST = 1024
"""Threads in a block that streams its row."""


@dataclass(frozen=True, slots=True)
class Layout:
    """The distribution of rows over threads.

    Args:
        function: a function of ``softmax.cu`` with its template arguments.
        threads: per block.
        rows: per block, or per cluster if a cluster has several blocks.
        cluster: number of blocks that share a row.
        memory: bytes of shared memory per block.
    """

    function: str
    threads: int
    rows: int
    cluster: int = 1
    memory: int = 0

    @property
    def code(self) -> str:
        """Source of the kernel that calls ``function``, to be appended to ``softmax.cu``."""
        number = self.function.partition("<")[2].partition(",")[0]
        cluster = f"__cluster_dims__({self.cluster}, 1, 1) " if self.cluster > 1 else ""
        return (
            f'extern "C" __global__ {cluster}__launch_bounds__({self.threads}) void softmax(\n'
            f"    {number}* __restrict__ out, const {number}* __restrict__ logits, Index n\n"
            ") {\n"
            "    extern __shared__ __align__(16) unsigned char memory[];\n"
            f"    {self.function}(out, logits, n, memory);\n"
            "}\n"
        )

    def blocks(self, n_samples: int) -> int:
        """Number of blocks for this many rows."""
        return -(-n_samples // self.rows) * self.cluster


def layout(n_classes: int, size: int, *, clusters: bool = True) -> Layout:
    """The fastest layout for rows of this length.

    Args:
        n_classes: numbers per row.
        size: bytes per number: 4 for float32, 8 for float64.
        clusters: whether the GPU has clusters (compute capability 9.0).
    """
    number = {4: "float", 8: "double"}[size]
    row = n_classes * size
    # Rows of four or more whole vectors are loaded directly: in shared memory they would cause
    # bank conflicts.
    if row <= SHORT and (row % WIDTH or row < 4 * WIDTH):
        threads, rows = 128, 1
        while rows * row < APIECE:
            rows *= 2
        function = f"short_rows<{number}, {n_classes}, {threads}, {rows}>"
        return Layout(function, threads, threads * rows, memory=threads * rows * row)
    per_vector = WIDTH // size
    vectors = row // WIDTH
    if row % WIDTH:
        vectors = (n_classes + 2 * per_vector - 2) // per_vector
    n_threads = -(-vectors // PASSES)
    if n_threads <= 32:
        threads, lanes = 128, max(4, 1 << (n_threads - 1).bit_length())
        function = f"held_rows<{number}, {n_classes}, {threads}, {lanes}, 1>"
        return Layout(function, threads, threads // lanes)
    cluster = 1
    while cluster * BLOCK < n_threads:
        cluster *= 2
    if cluster == 1 or (clusters and cluster <= CLUSTER):
        threads = 32 * -(-n_threads // (32 * cluster))
        function = f"held_rows<{number}, {n_classes}, {threads}, {threads}, {cluster}>"
        return Layout(function, threads, 1, cluster, 2 * size * cluster * threads // 32)
    function = f"streamed_rows<{number}, {n_classes}, {LARGEST}>"
    return Layout(function, LARGEST, 1, memory=2 * size * LARGEST // 32)


def compile_for(chosen: Layout, capability: tuple[int, int]) -> bytes:
    """The kernel's machine code, for GPUs of a compute capability such as (9, 0).

    Raises:
        RuntimeError: NVRTC cannot compile the kernel; the message contains its log.
    """
    from cuda.bindings import nvrtc

    source = f"{SOURCE.read_text(encoding='utf-8')}\n{chosen.code}"
    options = [b"--std=c++17", f"--gpu-architecture=sm_{capability[0]}{capability[1]}".encode()]
    (program,) = _done(nvrtc.nvrtcCreateProgram(source.encode(), b"softmax.cu", 0, [], []))
    try:
        status, *_ = nvrtc.nvrtcCompileProgram(program, len(options), options)
        if status != nvrtc.nvrtcResult.NVRTC_SUCCESS:
            (size,) = _done(nvrtc.nvrtcGetProgramLogSize(program))
            log = b" " * size
            _done(nvrtc.nvrtcGetProgramLog(program, log))
            raise RuntimeError(
                f"NVRTC cannot compile {chosen.function}: {log.decode(errors='replace')}"
            )
        (size,) = _done(nvrtc.nvrtcGetCUBINSize(program))
        code = b" " * size
        _done(nvrtc.nvrtcGetCUBIN(program, code))
    finally:
        nvrtc.nvrtcDestroyProgram(program)
    return bytes(code)


def softmax_into(out: Tensor, logits: Tensor) -> Callable[[], Any]:
    """A call that writes the softmax of each row of ``logits`` into ``out``.

    Args:
        out: (n_samples, n_classes), contiguous, with the logits' dtype, in memory of its own.
        logits: (n_samples, n_classes), contiguous, float32 or float64, on the CUDA device that is
            current now and at the call. A row that contains NaN becomes NaN; -inf gets
            probability 0.

    Raises:
        ValueError: the address of ``out`` or ``logits`` is not a multiple of 16 bytes.
        RuntimeError: NVRTC or the driver reports an error.
    """
    n_samples, n_classes = logits.shape
    if logits.data_ptr() % WIDTH or out.data_ptr() % WIDTH:
        raise ValueError(f"logits and out must begin at a multiple of {WIDTH} bytes")
    capability = torch.cuda.get_device_capability(logits.device)
    chosen = layout(n_classes, logits.element_size(), clusters=capability >= (9, 0))
    if not n_samples or not n_classes:
        return lambda: None
    function = _loaded(chosen, capability, logits.device.index)
    arguments = (
        ctypes.c_void_p(out.data_ptr()),
        ctypes.c_void_p(logits.data_ptr()),
        ctypes.c_longlong(n_samples),
    )
    addresses = (ctypes.c_void_p * 3)(*map(ctypes.addressof, arguments))
    launch = partial(_launch, function, chosen, chosen.blocks(n_samples), addresses)
    # The launch reads these addresses, so their objects must stay alive.
    return partial(launch, keep=(arguments, out, logits))


@cache
def _loaded(chosen: Layout, capability: tuple[int, int], _device: int) -> Any:
    """The compiled kernel, loaded into the current device's memory."""
    from cuda.bindings import driver

    (module,) = _done(driver.cuModuleLoadData(compile_for(chosen, capability)))
    (function,) = _done(driver.cuModuleGetFunction(module, b"softmax"))
    return function


def _launch(function: Any, chosen: Layout, blocks: int, addresses: Any, keep: Any) -> None:  # noqa: ARG001  # kept alive
    from cuda.bindings import driver

    stream = torch.cuda.current_stream().cuda_stream
    block = (chosen.threads, 1, 1, chosen.memory)
    address_of_arguments = ctypes.addressof(addresses)
    _done(driver.cuLaunchKernel(function, blocks, 1, 1, *block, stream, address_of_arguments, 0))


def _done(answer: tuple[Any, ...]) -> tuple[Any, ...]:
    """The values that a CUDA function returned.

    Raises:
        RuntimeError: its status is not 0.
    """
    status, *values = answer
    if int(status):
        raise RuntimeError(f"CUDA failed: {status!r}")
    return tuple(values)
