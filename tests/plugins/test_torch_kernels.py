"""Softmax in PyTorch and Triton, beyond the contract that test_contract.py checks."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from contextlib import nullcontext
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import harness_torch
import numpy as np
import pytest
import torch
from harness_torch import accelerators
from softmaxes import awkward, require_softmax

import harness.testing

KERNELS = {kernel.name: kernel for kernel in harness_torch.harness_kernels()}
DTYPES = [np.float32, np.float64]

needs_compiler = pytest.mark.skipif(
    not shutil.which(os.environ.get("CXX", "g++"))
    or not Path(sysconfig.get_path("include"), "Python.h").exists(),
    reason="no C++ compiler, or not Python's headers, which torch.compile needs on the CPU",
)
# PyTorch's compiler imports deprecated parts of PyTorch, and warns about compilations that could be
# better.
compiles = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")


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
def test_logits_may_be_read_only_and_have_any_memory_layout(name: str) -> None:
    Z = np.random.default_rng(0).normal(size=(12, 8))
    Z.flags.writeable = False
    for view in (Z, Z.T, Z[::-2, ::3]):
        require_softmax(KERNELS[name](view), view)


def test_logits_are_copied_so_that_they_cannot_change_between_timings() -> None:
    Z = awkward(5, 4, np.float64)
    prepared = KERNELS["torch"].prepare(Z, "cpu")
    before = Z.copy()
    Z[:] = 0
    require_softmax(KERNELS["torch"].collect(prepared()), before)


def test_torch_makes_a_new_array_each_time_and_torch_out_reuses_its_array() -> None:
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
def test_collecting_an_output_on_the_cpu_makes_no_copy(name: str) -> None:
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
def test_every_shape_is_compiled_even_if_there_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """PyTorch stops compiling a function after several shapes; timings would then be uncompiled."""
    n_compiled = 0

    def count(module: Any, inputs: Any) -> Any:
        nonlocal n_compiled
        n_compiled += 1
        return module.forward

    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend=count))
    kernel = KERNELS["torch-compile"]
    all_prepared = [kernel.prepare(np.ones((n, n + 1)), "cpu") for n in range(2, 14)]
    assert n_compiled == 0  # nothing is compiled before the first run
    for prepared in all_prepared * 2:
        kernel.run(prepared)
    assert n_compiled == len(all_prepared)


def test_listing_the_kernels_imports_neither_torch_nor_triton() -> None:
    code = (
        "import sys, harness_torch as h; list(h.harness_kernels()); "
        "sys.exit(bool({'torch', 'triton', 'numpy'} & set(sys.modules)))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_kernels_that_are_slow_to_prepare_are_timed_only_when_named() -> None:
    assert {name for name, kernel in KERNELS.items() if not kernel.by_default} == {
        "torch-compile",
        "torch-compile-graph",
    }


class SimulatedGpu:
    """A simulated GPU with a queue and a processor that launches work; clocks are in seconds."""

    launch = 5e-6

    def __init__(self) -> None:
        self.now = self.idle_from = 0.0

    def run(self, seconds: float, launch: float = launch) -> float:
        """Launch work that takes the device this many seconds; the time at which it is done."""
        self.now += launch
        self.idle_from = max(self.now, self.idle_from) + seconds
        return self.idle_from

    def clock(self) -> float:
        return self.now

    def device(self, name: str) -> Any:
        return nullcontext()

    def synchronize(self) -> None:
        self.now = max(self.now, self.idle_from)

    def _sleep(self, cycles: int) -> None:
        self.run(cycles / 1.98e9)

    def Event(self, enable_timing: bool) -> Any:  # noqa: N802  # PyTorch's name
        gpu = self

        class Event:
            at = 0.0

            def record(self) -> None:
                self.at = gpu.run(0.0)

            def elapsed_time(self, later: Any) -> float:
                return 1e3 * float(later.at - self.at)

        return Event()


@pytest.mark.parametrize("n", [1, 7, 500])
@pytest.mark.parametrize("launch", [5e-6, 30e-6, 100e-6])
@pytest.mark.parametrize("seconds", [2e-6, 30e-6, 1e-3])
def test_the_time_of_a_gpu_call_does_not_include_its_launch(
    seconds: float, launch: float, n: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    gpu = SimulatedGpu()
    monkeypatch.setattr(torch, "cuda", gpu)
    seconds_of_calls = accelerators.elapsed(
        "cuda:0", lambda: gpu.run(seconds, launch), n, clock=gpu.clock
    )
    assert len(seconds_of_calls) == n
    assert seconds_of_calls == pytest.approx([seconds] * n)


def test_a_call_that_waits_for_the_gpu_does_not_block_it_for_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gpu = SimulatedGpu()
    monkeypatch.setattr(torch, "cuda", gpu)

    def call() -> None:
        gpu.run(0.1)
        gpu.synchronize()

    seconds_of_calls = accelerators.elapsed("cuda:0", call, 70, clock=gpu.clock)
    assert seconds_of_calls == pytest.approx([0.1] * 70, rel=1e-3)
    assert gpu.now < 1.1 * 70 * 0.1


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
    """All layouts: many rows per program, one row, and one row of which a part is streamed.

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
    with np.load(tmp_path / "found.npz") as outputs:
        for name, Z in logits.items():
            require_softmax(outputs[name], Z)
