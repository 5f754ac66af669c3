"""Multilayer perceptrons and softmax kernels in PyTorch, and the accelerators that it finds."""

from __future__ import annotations

from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Literal

import harness

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from torch import Tensor

    from harness import Array, Monitor
    from harness_torch.perceptrons import Mlp, NotebookMlp, Perceptron

DEVICES = ("cpu", "cuda", "mps", "xpu")


@harness.hookimpl
def harness_models() -> Iterator[harness.Model]:
    """``torch-mlp``, made to be good, and ``notebook-mlp``, the course notebook's network."""
    yield harness.Model(
        "torch-mlp",
        make_mlp,
        needs=harness.Needs(dtype="float32", scaled=True),
        devices=DEVICES,
        description="A multilayer perceptron, trained in batches at a falling learning rate.",
        tags=("network",),
        requires=("torch",),
        fit_together=fit_together,
        reference=make_plain_mlp,
        epochs="epochs",
        hidden_activations=True,
        default_in=("pytest",),
    )
    yield harness.Model(
        "notebook-mlp",
        make_notebook_mlp,
        needs=harness.Needs(dtype="float32"),
        devices=DEVICES,
        description="The course notebook's network and training loop; zero_grad=false is its bug.",
        tags=("network", "notebook"),
        requires=("torch",),
        fit_together=fit_together,
        reference=make_plain_notebook_mlp,
        epochs="epochs",
        hidden_activations=True,
        default_in=("ab", "bench", "pytest"),
    )


@harness.hookimpl
def harness_kernels() -> Iterator[harness.Kernel]:
    """Softmax by PyTorch, compiled, in Triton and in CUDA C; and the same as CUDA graphs."""
    yield _kernel("torch", "torch.softmax.")
    yield _kernel("torch-out", "torch.softmax, into an array made beforehand.")
    yield _kernel(
        "torch-compile",
        "The definition under torch.compile, which takes seconds at the first call.",
        devices=("cpu", "cuda"),
        by_default=False,
    )
    yield _kernel(
        "triton",
        "Each number read once and written once, into an array made beforehand.",
        devices=("cuda",),
        requires=("torch", "triton"),
    )
    yield _kernel(
        "cuda-c",
        "The same in CUDA C, which loads 16 bytes a thread whatever the number of classes.",
        devices=("cuda",),
        requires=("torch", "cuda.bindings"),
    )
    yield _kernel("torch-graph", "torch.softmax, replayed as a CUDA graph.", devices=("cuda",))
    yield _kernel(
        "torch-compile-graph",
        "The definition under torch.compile, replayed as a CUDA graph.",
        devices=("cuda",),
        by_default=False,
    )
    yield _kernel(
        "triton-graph",
        "The Triton kernel, replayed as a CUDA graph.",
        devices=("cuda",),
        requires=("torch", "triton"),
    )
    yield _kernel(
        "cuda-c-graph",
        "The kernel in CUDA C, replayed as a CUDA graph.",
        devices=("cuda",),
        requires=("torch", "cuda.bindings"),
    )


@harness.hookimpl
def harness_devices() -> Iterator[harness.Device]:
    """Every CUDA, XPU and MPS device that PyTorch finds; none if PyTorch is not installed."""
    if find_spec("torch") is None:
        return
    import torch

    from harness_torch import accelerators

    for kind in ("cuda", "xpu"):
        if not hasattr(torch, kind):  # PyTorch 2.2 knows no XPU
            continue
        library = getattr(torch, kind)
        for i in range(library.device_count()):
            name = f"{kind}:{i}"
            yield harness.Device(
                name,
                library.get_device_name(i),
                partial(library.synchronize, i),
                copier=partial(accelerators.copier, name),
                evictor=partial(accelerators.evictor, name),
                elapsed=partial(accelerators.elapsed, name) if kind == "cuda" else None,
            )
    if torch.backends.mps.is_available():
        yield harness.Device(
            "mps",
            "Apple GPU",
            torch.mps.synchronize,
            copier=partial(accelerators.copier, "mps"),
            evictor=partial(accelerators.evictor, "mps"),
            dtypes=("float32",),
        )


def make_mlp(
    setting: harness.Setting,
    hidden: tuple[int, ...] = (64, 64),
    activation: Literal["tanh", "relu", "gelu", "silu"] = "tanh",
    optimiser: Literal["adam", "adamw", "sgd"] = "adam",
    learning_rate: float = 0.02,
    epochs: int = 150,
    batch_size: int = 64,
    weight_decay: float = 3e-3,
) -> Mlp:
    """A perceptron; see `harness_torch.perceptrons.Mlp`."""
    from harness_torch.perceptrons import Mlp

    return Mlp(
        setting,
        hidden=hidden,
        activation=activation,
        optimiser=optimiser,
        learning_rate=learning_rate,
        epochs=epochs,
        batch_size=batch_size,
        weight_decay=weight_decay,
    )


def make_notebook_mlp(
    setting: harness.Setting,
    zero_grad: bool = True,
    learning_rate: float = 0.01,
    epochs: int = 10_000,
    hidden: tuple[int, ...] = (10, 20, 10),
) -> NotebookMlp:
    """The notebook's perceptron; see `harness_torch.perceptrons.NotebookMlp`."""
    from harness_torch.perceptrons import NotebookMlp

    return NotebookMlp(
        setting, hidden=hidden, zero_grad=zero_grad, learning_rate=learning_rate, epochs=epochs
    )


def make_plain_mlp(setting: harness.Setting, **parameters: Any) -> harness.Classifier:
    """`make_mlp`'s training with autograd and ``torch.optim``."""
    from harness_torch.plain import PlainLoop

    return PlainLoop(make_mlp(setting, **parameters))


def make_plain_notebook_mlp(setting: harness.Setting, **parameters: Any) -> harness.Classifier:
    """`make_notebook_mlp`'s training, written as in the notebook."""
    from harness_torch.plain import PlainLoop

    return PlainLoop(make_notebook_mlp(setting, **parameters))


def fit_together(
    classifiers: Sequence[Perceptron],
    Xs: Sequence[Array],
    ys: Sequence[Array],
    monitors: Sequence[Monitor | None],
) -> None:
    """See `harness_torch.perceptrons.fit_together`."""
    from harness_torch.perceptrons import fit_together

    fit_together(classifiers, Xs, ys, monitors)


def prepare_kernel(name: str, logits: Array, device: str) -> Callable[[], Tensor]:
    """A call that computes the probabilities; see `harness_torch.kernels`."""
    from harness_torch.kernels import prepare

    return prepare(name, logits, device)


def run_kernel(prepared: Callable[[], Tensor]) -> Tensor:
    """Compute the probabilities: the part that is timed."""
    return prepared()


def collect(probabilities: Tensor) -> Array:
    """The probabilities as a NumPy array; on the CPU it shares the tensor's memory."""
    array: Array = probabilities.cpu().numpy()
    return array


def _kernel(
    name: str,
    description: str,
    *,
    devices: tuple[str, ...] = DEVICES,
    requires: tuple[str, ...] = ("torch",),
    by_default: bool = True,
) -> harness.Kernel:
    return harness.Kernel(
        name,
        prepare=partial(prepare_kernel, name),
        run=run_kernel,
        collect=collect,
        devices=devices,
        description=description,
        requires=requires,
        by_default=by_default,
    )
