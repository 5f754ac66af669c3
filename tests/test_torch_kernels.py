"""Softmax in PyTorch and Triton: what is special about each; test_contract.py has the rest."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import harness_torch
import numpy as np
import pytest
import torch
from harness_torch import kernels

import harness.testing

if TYPE_CHECKING:
    from harness.values import Array

KERNELS = {kernel.name: kernel for kernel in harness_torch.harness_kernels()}
ON_CUDA = [name for name, kernel in KERNELS.items() if "cuda" in kernel.devices]
GRAPHS = [name for name in ON_CUDA if name.endswith("-graph")]
DTYPES = [np.float32, np.float64]

needs_compiler = pytest.mark.skipif(
    not shutil.which(os.environ.get("CXX", "g++"))
    or not Path(sysconfig.get_path("include"), "Python.h").exists(),
    reason="no C++ compiler, or not Python's headers, which torch.compile needs on the CPU",
)
needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
# PyTorch's compiler imports parts of PyTorch that PyTorch itself calls outdated, and tells where it
# might have compiled better.
compiles = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")


def awkward(n_samples: int, n_classes: int, dtype: Any) -> Array:
    """Logits of which every seventh row holds a NaN; of the others, most are large or infinite."""
    Z = np.random.default_rng(0).normal(scale=3, size=(n_samples, n_classes))
    Z[1::7] -= 1e7
    Z[2::7] += 1e7
    Z[3::7, : n_classes * 3 // 4] = -np.inf
    Z[4::7, n_classes // 3 + 1 :] = -np.inf
    Z[5::7, -1] = np.nan
    Z[6::7, :-1] = -np.inf
    return Z.astype(dtype)


def require_softmax(P: Array, Z: Array) -> None:
    E = np.exp(Z.astype(np.float64) - Z.max(axis=1, keepdims=True))
    bound = 1e-6 if Z.dtype == np.float32 else 1e-13
    assert P.dtype == Z.dtype
    np.testing.assert_allclose(P, E / E.sum(axis=1, keepdims=True), rtol=10 * bound, atol=bound)


def device_of(kernel: harness.Kernel) -> str:
    return "cpu" if "cpu" in kernel.devices else "cuda:0"


def installed(name: str) -> bool:
    return all(find_spec(package) for package in KERNELS[name].requires)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["torch", "torch-out"])
def test_infinite_and_large_logits_have_probabilities_and_nan_stays_in_its_row(
    name: str, dtype: Any
) -> None:
    Z = awkward(30, 11, dtype)
    P = KERNELS[name](Z)
    require_softmax(P, Z)
    np.testing.assert_array_equal(np.isnan(P).any(axis=1), np.arange(30) % 7 == 5)


@pytest.mark.parametrize("name", ["torch", "torch-out"])
def test_logits_may_be_read_only_and_lie_anyhow(name: str) -> None:
    Z = np.random.default_rng(0).normal(size=(12, 8))
    Z.flags.writeable = False
    for view in (Z, Z.T, Z[::-2, ::3]):
        require_softmax(KERNELS[name](view), view)


def test_logits_are_copied_so_that_nobody_changes_them_between_timings() -> None:
    Z = awkward(5, 4, np.float64)
    prepared = KERNELS["torch"].prepare(Z, "cpu")
    before = Z.copy()
    Z[:] = 0
    require_softmax(KERNELS["torch"].collect(prepared()), before)


def test_torch_makes_an_array_each_time_and_torch_out_writes_into_the_same_one() -> None:
    Z = awkward(5, 4, np.float64)
    places = {}
    for name in ("torch", "torch-out"):
        kernel = KERNELS[name]
        prepared = kernel.prepare(Z, "cpu")
        outs = [kernel.run(prepared) for _ in range(2)]
        places[name] = {out.data_ptr() for out in outs}
    assert len(places["torch"]) == 2
    assert len(places["torch-out"]) == 1


@pytest.mark.parametrize("name", ["torch", "torch-out"])
def test_what_is_collected_on_the_cpu_is_what_the_kernel_wrote_and_no_copy(name: str) -> None:
    kernel = KERNELS[name]
    out = kernel.run(kernel.prepare(awkward(5, 4, np.float64), "cpu"))
    kernel.collect(out)[:] = 7
    assert (out == 7).all()


@pytest.mark.slow
@compiles
@needs_compiler
def test_the_compiled_kernel_keeps_the_contract_and_nan_in_its_row() -> None:
    kernel = KERNELS["torch-compile"]
    harness.testing.check_kernel(kernel)
    for dtype in DTYPES:
        Z = awkward(30, 11, dtype)
        require_softmax(kernel(Z), Z)


@pytest.mark.slow
@compiles
def test_every_shape_is_compiled_however_many_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compiled over and over, one function would soon run as it is written, and be timed so."""
    n_compiled = 0

    def count(module: Any, inputs: Any) -> Any:
        nonlocal n_compiled
        n_compiled += 1
        return module.forward

    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend=count))
    kernel = KERNELS["torch-compile"]
    all_prepared = [kernel.prepare(np.ones((n, n + 1)), "cpu") for n in range(2, 14)]
    assert n_compiled == 0  # not before the first run
    for prepared in all_prepared * 2:
        kernel.run(prepared)
    assert n_compiled == len(all_prepared)


def test_naming_the_kernels_loads_neither_torch_nor_triton() -> None:
    code = (
        "import sys, harness_torch as h; list(h.harness_kernels()); "
        "sys.exit(bool({'torch', 'triton', 'numpy'} & set(sys.modules)))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_what_takes_long_to_prepare_is_timed_only_when_named() -> None:
    assert {name for name, kernel in KERNELS.items() if not kernel.by_default} == {
        "torch-compile",
        "torch-compile-graph",
    }


INTERPRET = """
import sys
import numpy as np
import torch
from harness_torch.triton_softmax import softmax_into

found = {}
for name, Z in np.load(sys.argv[1]).items():
    out = torch.full(Z.shape, 7, dtype=torch.tensor(Z).dtype)
    softmax_into(out, torch.tensor(Z))()
    found[name] = out.numpy()
np.savez(sys.argv[2], **found)
"""


@pytest.mark.skipif(not find_spec("triton"), reason="Triton is not installed")
def test_our_triton_kernel_is_right_in_tritons_interpreter(tmp_path: Path) -> None:
    """At all of its layouts: many rows a program, a row, and a row in part with the rest streamed.

    Rows stay whole up to 51,200 float32 or 25,600 float64.
    """
    shapes = (
        *((0, 3), (1, 1), (5, 3), (1500, 3), (700, 10), (40, 33), (8, 1000), (8, 1300)),
        *((8, 25600), (8, 25601), (8, 50257), (8, 51201), (8, 70001)),
    )
    logits: dict[str, Any] = {
        f"{shape} {dtype.__name__}": awkward(*shape, dtype) for shape in shapes for dtype in DTYPES
    }
    np.savez(tmp_path / "logits.npz", **logits)
    subprocess.run(
        [
            sys.executable,
            "-c",
            INTERPRET,
            str(tmp_path / "logits.npz"),
            str(tmp_path / "found.npz"),
        ],
        env={**os.environ, "TRITON_INTERPRET": "1"},
        check=True,
    )
    with np.load(tmp_path / "found.npz") as found:
        for name, Z in logits.items():
            require_softmax(found[name], Z)


@pytest.mark.gpu
@needs_cuda
@compiles
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "shape", [(5, 3), (100_000, 10), (20_000, 1_000), (64, 50_257), (33, 70_001)], ids=str
)
@pytest.mark.parametrize("name", ON_CUDA)
def test_a_gpu_gives_the_softmax_of_awkward_rows(
    name: str, shape: tuple[int, int], dtype: Any
) -> None:
    if not installed(name):
        pytest.skip("Triton is not installed")
    Z = awkward(*shape, dtype)
    require_softmax(KERNELS[name](Z, "cuda:0"), Z)


@pytest.mark.gpu
@needs_cuda
@compiles
@pytest.mark.parametrize("name", [name for name in ON_CUDA if "cpu" not in KERNELS[name].devices])
def test_what_needs_a_gpu_keeps_the_contract_there(name: str) -> None:
    if not installed(name):
        pytest.skip("Triton is not installed")
    harness.testing.check_kernel(KERNELS[name])


@pytest.mark.gpu
@needs_cuda
@compiles
@pytest.mark.parametrize("name", GRAPHS)
def test_a_replayed_graph_reads_its_input_anew(name: str) -> None:
    if not installed(name):
        pytest.skip("Triton is not installed")
    first, second = awkward(50, 7, np.float32), awkward(50, 7, np.float32)[::-1].copy()
    logits = torch.tensor(first, device="cuda:0")
    replay = kernels.Replay(kernels.RECIPES[name.removesuffix("-graph")](logits), logits.device)
    require_softmax(replay().cpu().numpy(), first)
    logits.copy_(torch.tensor(second))
    require_softmax(replay().cpu().numpy(), second)
