"""The softmax in CUDA C, tested as far as possible without a GPU.

The code runs on the processor, with a fibre for each GPU thread (emulated_cuda.h). Where NVRTC is
installed, it compiles the code for GPUs, which needs no GPU.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from harness_torch.cuda_softmax import SOURCE, Layout, compile_for, layout
from softmaxes import awkward, require_softmax

from harness.trials.plan import importable

if TYPE_CHECKING:
    from harness.contract.values import Array

COMPILER = os.environ.get("CXX", "g++")
DTYPES = (np.float32, np.float64)

NARROW = (1, 2, 3, 5, 6, 8, 10, 15, 16, 17, 31, 32, 33, 40, 65, 100)
WIDE = (127, 128, 129, 1000, 1001, 4097)
"""Numbers of classes just below and above each change of layout, even and odd."""

WIDEST = (16_384, 16_385, 50_257, 131_073)
"""Widths for one block, clusters and streaming; their emulation is slow, so few rows are used."""


def rows_of(n_classes: int, chosen: Layout) -> list[int]:
    """Numbers of rows to test: one, a few whole blocks, and a few blocks with a remainder."""
    if n_classes in WIDEST:
        return [4]
    return [1, chosen.rows * 2, chosen.rows * 3 - max(1, chosen.rows // 3) + (chosen.rows == 1)]


def name_of(n_classes: int, dtype: Any, clusters: bool = True) -> str:
    return f"softmax_{n_classes}_{np.dtype(dtype).name}{'' if clusters else '_alone'}"


@pytest.fixture(scope="module")
def emulated(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    """A compiled library with all tested layouts."""
    if not shutil.which(COMPILER):
        pytest.skip("there is no C++ compiler")
    place = tmp_path_factory.mktemp("emulated")
    code = ['#include "emulated_cuda.h"', '#include "softmax.cu"']
    cases = [(n, dtype, True) for n in (*NARROW, *WIDE, *WIDEST) for dtype in DTYPES]
    cases += [(50_257, np.float32, False)]
    for n_classes, dtype, clusters in cases:
        size = np.dtype(dtype).itemsize
        chosen = layout(n_classes, size, clusters=clusters)
        number = {4: "float", 8: "double"}[size]
        code.append(
            f"static const auto f_{len(code)} = {chosen.function};\n"
            f"EMULATE({name_of(n_classes, dtype, clusters)}, {number}, {n_classes}, f_{len(code)}, "
            f"{chosen.threads}, {chosen.rows}, {chosen.cluster}, {chosen.memory})"
        )
    (place / "all.cc").write_text("\n".join(code) + "\n")
    folders = [f"-I{Path(__file__).parents[1]}", f"-I{SOURCE.parent}"]
    flags = ["-std=c++17", "-O1", "-shared", "-fPIC", "-Wno-unknown-pragmas"]
    subprocess.run(
        [COMPILER, *flags, *folders, str(place / "all.cc"), "-o", str(place / "all.so")], check=True
    )
    return ctypes.CDLL(str(place / "all.so"))


def computed(library: ctypes.CDLL, Z: Array, clusters: bool = True) -> Array:
    out = np.zeros_like(Z)
    function = getattr(library, name_of(Z.shape[1], Z.dtype, clusters))
    pointers = (ctypes.c_void_p(array.ctypes.data) for array in (out, Z))
    assert function(*pointers, ctypes.c_longlong(len(Z))), "its threads wait for ever"
    return out


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n_classes", [*NARROW, *WIDE, *WIDEST])
def test_awkward_rows_of_every_width_get_the_right_softmax(
    n_classes: int, dtype: Any, emulated: ctypes.CDLL
) -> None:
    for n_samples in rows_of(n_classes, layout(n_classes, np.dtype(dtype).itemsize)):
        Z = awkward(n_samples, n_classes, dtype)
        require_softmax(computed(emulated, Z), Z)


def test_without_clusters_wide_rows_are_streamed(emulated: ctypes.CDLL) -> None:
    Z = awkward(7, 50_257, np.float32)
    require_softmax(computed(emulated, Z, clusters=False), Z)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n_classes", [3, 10, 33, 1001])
def test_only_rows_without_a_finite_logit_are_nan(
    n_classes: int, dtype: Any, emulated: ctypes.CDLL
) -> None:
    Z = np.random.default_rng(0).normal(size=(5, n_classes)).astype(dtype)
    Z[1], Z[3], Z[4] = -np.inf, np.nan, np.finfo(dtype).min
    Z[2, 0] = np.inf
    P = computed(emulated, Z)
    assert np.isnan(P[1:4]).all()
    np.testing.assert_allclose(P[[0, 4]].sum(axis=1), 1, rtol=1e-5)


@pytest.mark.parametrize("size", [4, 8])
def test_every_width_has_a_layout_that_a_gpu_accepts(size: int) -> None:
    widths = {*range(1, 3000), *(2**k + d for k in range(12, 20) for d in (-1, 0, 1)), 50_257}
    for n_classes in widths:
        for clusters in (True, False):
            chosen = layout(n_classes, size, clusters=clusters)
            assert chosen.threads % 32 == 0
            assert chosen.threads <= 1024
            assert chosen.cluster in ((1, 2, 4, 8) if clusters else (1,))
            assert chosen.memory <= 48 * 1024
            for n_samples in (1, chosen.rows, chosen.rows + 1, 1000):
                blocks = chosen.blocks(n_samples)
                assert blocks % chosen.cluster == 0
                assert (blocks // chosen.cluster - 1) * chosen.rows < n_samples
                assert n_samples <= blocks // chosen.cluster * chosen.rows


@pytest.mark.skipif(bool(importable(["cuda.bindings"])), reason="cuda.bindings is not installed")
@pytest.mark.parametrize("capability", [(8, 0), (9, 0)])
@pytest.mark.parametrize("n_classes", [3, 10, 33, 1000, 50_257, 200_000])
def test_nvrtc_compiles_every_layout_without_a_gpu(
    n_classes: int, capability: tuple[int, int]
) -> None:
    for size in (4, 8):
        chosen = layout(n_classes, size, clusters=capability >= (9, 0))
        assert compile_for(chosen, capability).startswith(b"\x7fELF")
