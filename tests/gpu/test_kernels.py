"""Softmax on a CUDA device: every kernel, and CUDA graphs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import harness_torch
import numpy as np
import pytest
import torch
from harness_torch import kernels
from softmaxes import awkward, require_softmax

import harness.testing
from harness.trials.plan import importable

if TYPE_CHECKING:
    from collections.abc import Iterable

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
    # PyTorch's compiler imports deprecated parts of PyTorch, and warns about compilations that
    # could be better.
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning"),
]

KERNELS = {kernel.name: kernel for kernel in harness_torch.harness_kernels()}
ON_CUDA = [name for name, kernel in KERNELS.items() if "cuda" in kernel.devices]
GRAPHS = [name for name in ON_CUDA if name.endswith("-graph")]
OURS = [name for name in ON_CUDA if "cpu" not in KERNELS[name].devices]
DTYPES = [np.float32, np.float64]

SHAPES = [(5, 3), (100_001, 10), (2_000, 1_000), (64, 50_257), (33, 70_001)]
"""A number of classes for each layout of rows in our kernels."""

WIDTHS = (1, 2, 3, 5, 8, 10, 16, 31, 33, 40, 65, 129, 1_001, 4_097, 16_385)
"""Numbers of classes on both sides of each change of layout; compiling all takes seconds."""


def each(names: Iterable[str]) -> Any:
    """A parameter for each kernel; those that take seconds to compile are slow."""
    marks = {True: pytest.mark.slow, False: ()}
    return pytest.mark.parametrize(
        "name", [pytest.param(name, marks=marks["compile" in name]) for name in names]
    )


@pytest.fixture(autouse=True)
def installed(request: pytest.FixtureRequest) -> None:
    name = request.getfixturevalue("name") if "name" in request.fixturenames else None
    if name and (missing := importable(KERNELS[name].requires)):
        pytest.skip(f"{missing} is not installed")


@each(ON_CUDA)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_gpu_computes_the_softmax_of_awkward_rows(
    name: str, shape: tuple[int, int], dtype: Any
) -> None:
    Z = awkward(*shape, dtype)
    require_softmax(KERNELS[name](Z, "cuda:0"), Z)


@each(name for name in OURS if not name.endswith("-graph"))
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_gpu_computes_the_softmax_at_every_width(name: str, dtype: Any) -> None:
    for width in WIDTHS:
        Z = awkward(301, width, dtype)
        require_softmax(KERNELS[name](Z, "cuda:0"), Z)


@each(OURS)
def test_kernels_that_need_a_gpu_keep_the_contract(name: str) -> None:
    harness.testing.check_kernel(KERNELS[name])


@each(GRAPHS)
def test_a_replayed_graph_reads_its_input_again(name: str) -> None:
    first, second = awkward(50, 7, np.float32), awkward(50, 7, np.float32)[::-1].copy()
    logits = torch.tensor(first, device="cuda:0")
    replay = kernels.Replay(kernels.RECIPES[name.removesuffix("-graph")](logits), logits.device)
    require_softmax(replay().cpu().numpy(), first)
    logits.copy_(torch.tensor(second))
    require_softmax(replay().cpu().numpy(), second)
