"""Options and fixtures for `harness.benchmarks`: the models, datasets and kernels that it times.

pytest loads this plugin wherever the harness is installed. So it imports next to nothing at first,
and its names begin with ``harness``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.contract.registry import Registry
    from harness.contract.values import Choice
    from harness.timing.engine import Workload

EPOCHS = 20
"""Number of epochs of the default models, where they count them."""

SHAPES = ((100, 3), (100_000, 10))


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of the suite."""
    group = parser.getgroup("harness")
    for name, about in (
        ("model", "A model to time, as on harness's command line; repeatable."),
        ("dataset", "A dataset to time it on; repeatable."),
        ("plugin", "A .py file (or module) that offers it; repeatable."),
    ):
        group.addoption(f"--harness-{name}", action="append", default=[], help=about)


def _registry(config: pytest.Config) -> Registry:
    """The registry of the installed plugins and of those given as options."""
    from harness.contract.registry import load

    return load(config.getoption("--harness-plugin"))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make a test for each pairing, and for each kernel and shape."""
    if not {"harness_pairing", "harness_kernel"} & set(metafunc.fixturenames):
        return
    from harness.errors import HarnessError

    try:
        _parametrize(metafunc)
    except HarnessError as error:
        raise pytest.UsageError(str(error)) from None


def _parametrize(metafunc: pytest.Metafunc) -> None:
    config = metafunc.config
    if "harness_pairing" in metafunc.fixturenames:
        from harness.trials.plan import choose, choose_or_default

        registry = _registry(config)
        wanted = config.getoption("--harness-model")
        models = choose(wanted, registry.models, "model") if wanted else _here(registry)
        selectors = config.getoption("--harness-dataset")
        datasets = choose_or_default(selectors, "pytest", registry.datasets, "dataset")
        pairs = [(dataset, model) for dataset in datasets for model in models]
        metafunc.parametrize("harness_pairing", pairs, ids=[f"{m}-{d}" for d, m in pairs])
    if "harness_kernel" in metafunc.fixturenames:
        from harness.trials.plan import importable

        registry = _registry(config)
        # Naming a model leaves our kernels out.
        kernels = [] if config.getoption("--harness-model") else list(registry.kernels.values())
        names = [
            kernel.name
            for kernel in kernels
            if "cpu" in kernel.devices and kernel.by_default and not importable(kernel.requires)
        ]
        metafunc.parametrize("harness_kernel", names)
        metafunc.parametrize("harness_shape", SHAPES, ids=lambda shape: "x".join(map(str, shape)))


def _here(registry: Registry) -> list[Choice]:
    """The default models whose libraries are installed, with few epochs."""
    from harness.contract.values import Choice
    from harness.trials.plan import default_in, importable

    return [
        Choice(name, ((model.epochs, EPOCHS),) if model.epochs else ())
        for name in default_in("pytest", registry.models)
        if (model := registry.models[name]) and not importable(model.requires)
    ]


@pytest.fixture
def harness_doings(
    harness_pairing: tuple[Choice, Choice], request: pytest.FixtureRequest
) -> dict[str, Workload]:
    """The workloads of a pairing's first repeat, by kind."""
    from harness.contract.values import Trial
    from harness.timing.workloads import TimedPairing, TrainingGroup

    dataset, model = harness_pairing
    trial = Trial(dataset, model, "cpu", 0, 0)
    group = TrainingGroup((TimedPairing((trial,), epochs=0, predict=True),))
    workloads = group.workloads(_registry(request.config), seed=0)
    return {workload.kind: workload for workload in workloads}


@pytest.fixture
def harness_softmax(
    harness_kernel: str, harness_shape: tuple[int, int], request: pytest.FixtureRequest
) -> Workload:
    """A kernel on random logits of float32, with warm caches."""
    from harness.timing.workloads import SoftmaxGroup

    group = SoftmaxGroup((harness_kernel,), harness_shape, "float32", "cpu")
    return group.workloads(_registry(request.config), seed=0)[0]


@pytest.fixture
def harness_timed(benchmark: Any) -> Callable[[Workload], None]:
    """Times a workload after checking its output, with one thread and no garbage collection."""
    from threadpoolctl import threadpool_limits

    from harness.timing.blocks import without_garbage_collection
    from harness.timing.engine import Measured, check_again, checked

    def time(workload: Workload) -> None:
        measured = Measured(workload)
        run, _ = checked(measured)
        # The check has loaded the libraries, so that their threads can be limited now.
        with threadpool_limits(1), without_garbage_collection():
            if workload.before:
                benchmark.pedantic(run, setup=workload.before, rounds=5, warmup_rounds=1)
            else:
                benchmark(run)
        check_again(measured, run)

    return time
