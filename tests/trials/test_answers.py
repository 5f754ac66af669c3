"""The clock stops when an answer is computed, not when a lazy library returns a promise."""

from __future__ import annotations

from statistics import median
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from doubles import Clock
from softmaxes import softmax

import harness
from harness.contract.registry import Origin, Registry
from harness.contract.values import Choice, Device, Trial
from harness.timing import engine
from harness.timing.workloads import SoftmaxGroup, TimedPairing, TrainingGroup
from harness.trials.answers import MANY, computed, concrete, settle
from harness.trials.trial import run_trial
from harness.versions import side_process

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

Array = np.ndarray[Any, np.dtype[Any]]
WORK = 5.0
"""Seconds until a lazy answer is computed; the call that returns it takes 1 second."""


class Promise:
    """An array that is computed each time that NumPy reads it, like Dask's."""

    def __init__(self, clock: Clock, array: Array) -> None:
        self.clock, self.array = clock, array

    def __array__(self, dtype: Any = None, copy: Any = None) -> Array:
        self.clock.sleep(WORK)
        return np.array(self.array, dtype=dtype)


class Begun:
    """An array that is computed in the background and can be waited for, like JAX's."""

    def __init__(self, clock: Clock, array: Array) -> None:
        self.clock, self.array, self.ready = clock, array, False

    def block_until_ready(self) -> Begun:
        if not self.ready:
            self.clock.sleep(WORK)
        self.ready = True
        return self

    def __array__(self, dtype: Any = None, copy: Any = None) -> Array:
        return np.array(self.block_until_ready().array, dtype=dtype)


class Number:
    """A number that is computed when it is converted to a float."""

    def __init__(self, clock: Clock, value: float, seconds: float) -> None:
        self.clock, self.value, self.seconds = clock, value, seconds

    def __float__(self) -> float:
        self.clock.sleep(self.seconds)
        return self.value


def numbers(clock: Clock, array: Array) -> list[list[Number]]:
    return [[Number(clock, float(x), WORK / array.size) for x in row] for row in array]


def objects(clock: Clock, array: Array) -> Array:
    return np.array(numbers(clock, array), dtype=object)


class Plugin(SimpleNamespace):
    """A plugin with these hooks."""

    __hash__ = object.__hash__  # type: ignore[assignment]  # pluggy keeps plugins in sets


Kind = Any  # called with (clock, array), returns a lazy array
LAZY: list[Kind] = [Promise, Begun, numbers, objects]


@pytest.mark.parametrize("kind", LAZY)
def test_an_answer_is_computed_into_an_array(kind: Kind) -> None:
    clock = Clock()
    computed_array = concrete(kind(clock, np.eye(2)))
    assert clock.now == pytest.approx(WORK)
    np.testing.assert_array_equal(computed_array, np.eye(2))


def test_an_array_is_returned_unchanged() -> None:
    P = np.eye(2)
    assert concrete(P) is P


@pytest.mark.parametrize("answer", [[[0.5, 0.5], [1.0]], object(), [["a", None], [None, 1]]])
def test_an_answer_that_is_not_an_array_is_returned_unchanged(answer: Any) -> None:
    assert concrete(answer) is answer


class Lazy:
    """A classifier whose answers and learned arrays are lazy."""

    def __init__(self, clock: Clock, kind: Kind, fits: Kind = lambda _clock, array: array) -> None:
        self.clock, self.kind, self.fits = clock, kind, fits

    def fit(self, X: Array, y: Array) -> None:
        self.clock.sleep(1)
        self.learned = {"layers": [self.fits(self.clock, np.eye(2))]}

    def predict_proba(self, X: Array) -> Any:
        self.clock.sleep(1)
        high = np.where(X[:, 0] > 1.5, 0.9, 0.1)
        return self.kind(self.clock, np.column_stack([1 - high, high]))


def split(_rng: Any) -> harness.Split:
    X = np.array([[0.0], [1.0], [2.0], [3.0]])
    return harness.Split(X, np.array([0, 0, 1, 1]), X[:2], np.array([0, 1]), ("low", "high"))


def registry(make: Callable[..., Any]) -> Registry:
    plugin = Plugin(
        harness_datasets=harness.hookimpl(lambda: [harness.Dataset("two", "fixed", split)]),
        harness_models=harness.hookimpl(lambda: [harness.Model("lazy", make)]),
    )
    return Registry([(Origin("mine", "mine", path="mine.py"), plugin)], [])  # type: ignore[list-item]  # has a module's hooks


def lazy_trial() -> Trial:
    return Trial(Choice("two"), Choice("lazy"), "cpu", repeat=0, seed=0)


@pytest.mark.parametrize("kind", LAZY)
def test_a_trial_s_predict_seconds_include_computing_lazy_answers(kind: Kind) -> None:
    clock = Clock()
    result = run_trial(lazy_trial(), registry(lambda _: Lazy(clock, kind)), clock=clock)
    assert result.status == "ok"
    assert result.seconds is not None
    assert result.seconds.first_predict == pytest.approx(1 + WORK)
    assert result.seconds.predict == pytest.approx((1 + WORK) / 2)  # a row


def test_a_trial_s_fit_seconds_include_work_in_the_background() -> None:
    clock = Clock()
    lazy = registry(lambda _: Lazy(clock, Promise, fits=Begun))
    result = run_trial(lazy_trial(), lazy, clock=clock)
    assert result.seconds is not None
    assert result.seconds.fit == pytest.approx(1 + WORK)


def measured(clock: Clock, workloads: list[engine.Workload]) -> dict[str, engine.Measured]:
    measurements = engine.measure(
        workloads, seconds=0, seed=0, clock=clock, rounds=2, fewest=2, warm_up=0.0
    )
    assert {
        measurement.workload.kind: (measurement.status, measurement.reason)
        for measurement in measurements
    } == {measurement.workload.kind: ("ok", "") for measurement in measurements}
    return {measurement.workload.kind: measurement for measurement in measurements}


def lazy_pairing(clock: Clock, kind: Kind, fits: Kind = np.asarray) -> dict[str, engine.Measured]:
    group = TrainingGroup((TimedPairing((lazy_trial(),), epochs=0, predict=True),))
    plugins = registry(
        lambda _: Lazy(clock, kind, lambda c, a: a if fits is np.asarray else fits(c, a))
    )
    return measured(clock, group.workloads(plugins, 0, clock=clock))


@pytest.mark.parametrize("kind", LAZY)
def test_timings_of_predict_include_computing_lazy_answers(kind: Kind) -> None:
    measurements = lazy_pairing(Clock(), kind)
    for kind_of_timing in ("predict", "predict-row"):
        assert median(measurements[kind_of_timing].samples) == pytest.approx(1 + WORK)


def test_timings_of_fit_include_work_in_the_background() -> None:
    measurements = lazy_pairing(Clock(), Promise, fits=Begun)
    assert measurements["fit"].samples == pytest.approx([1 + WORK] * 2)


# Kernels


def lazy_kernel(clock: Clock, kind: Kind, device: str) -> engine.Measured:
    def run(Z: Array) -> Any:
        clock.sleep(1)
        return kind(clock, softmax(Z))

    def collect(output: Any) -> Array:
        return np.asarray(output, dtype=np.float64)

    def synchronize() -> None:
        clock.sleep(0.25)

    kernel = harness.Kernel("lazy", lambda Z, _device: Z, run, collect, (device.partition(":")[0],))
    plugins: Any = SimpleNamespace(
        kernels={"lazy": kernel}, devices={device: Device(device, synchronize=synchronize)}
    )
    group = SoftmaxGroup(("lazy",), (4, 3), "float64", device)
    return measured(clock, group.workloads(plugins, 0))["softmax"]


@pytest.mark.parametrize("kind", LAZY)
def test_timings_of_a_kernel_on_the_cpu_include_computing_its_lazy_output(kind: Kind) -> None:
    assert median(lazy_kernel(Clock(), kind, "cpu").samples) == pytest.approx(1 + WORK + 0.25)


def test_timings_of_a_kernel_on_a_device_include_no_copy_to_the_cpu() -> None:
    assert median(lazy_kernel(Clock(), Promise, "xpu:0").samples) == pytest.approx(1 + 0.25)


def test_an_output_that_can_be_waited_for_is_waited_for_on_any_device() -> None:
    assert median(lazy_kernel(Clock(), Begun, "xpu:0").samples) == pytest.approx(1 + WORK + 0.25)


def test_a_pytorch_tensor_counts_as_computed_without_being_collected() -> None:
    torch = pytest.importorskip("torch")

    def collect(_output: Any) -> Any:
        raise AssertionError("a call that is not the kernel's")

    computed(torch.ones(2), collect, waited_for=False)


# Fits


def test_settling_a_fit_waits_for_arrays_at_any_depth() -> None:
    clock = Clock()
    held = SimpleNamespace(w=(Begun(clock, np.eye(2)), [Begun(clock, np.eye(2))]))
    held.itself = held
    assert settle(SimpleNamespace(model={"layer": held}))
    assert clock.now == 2 * WORK


class Refuses:
    """Raises on any access to an attribute."""

    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError(name)


class Odd(dict[str, Any]):
    def values(self) -> Any:
        raise RuntimeError


def test_objects_that_raise_when_inspected_are_skipped() -> None:
    clock = Clock()
    assert settle([Refuses(), Odd(), Begun(clock, np.eye(2))])
    assert clock.now == WORK


def test_only_a_limited_part_of_a_large_model_is_inspected() -> None:
    looked: list[int] = []

    class Counts:
        @property
        def __dict__(self) -> Any:  # type: ignore[override]
            looked.append(1)
            return {}

    assert not settle([Counts() for _ in range(10 * MANY)])
    assert len(looked) < MANY


# `harness ab`


@pytest.mark.parametrize("kind", LAZY)
@pytest.mark.parametrize("what", ["fit", "predict", "predict-row", "softmax"])
def test_a_side_of_a_comparison_is_timed_by_the_same_rules(
    what: str, kind: Kind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    monkeypatch.setattr(side_process, "time", SimpleNamespace(perf_counter=clock))

    def run(Z: Array) -> Any:
        clock.sleep(1)
        return kind(clock, softmax(Z))

    def collect(output: Any) -> Array:
        return np.asarray(output, dtype=np.float64)

    kernel = harness.Kernel("lazy", lambda Z, _device: Z, run, collect)
    model = harness.Model("lazy", lambda _: Lazy(clock, kind, fits=Begun))
    them = SimpleNamespace(kernels={"lazy": kernel}, models={"lazy": model}, devices={})
    X = np.array([[0.0], [1.0], [2.0]])
    np.savez(tmp_path / "data.npz", X_train=X, y_train=np.array([0, 1, 1]), X_test=X)
    work: dict[str, Any] = {
        "kind": what,
        "subject": "lazy",
        "device": "cpu",
        "data": tmp_path / "data.npz",
        "seed": 0,
        "shape": (4, 3),
        "dtype": "float64",
        "parameters": {},
        "categorical": (),
        "setting": {"seed": 0, "device": "cpu", "n_features": 1, "n_classes": 2},
    }
    assert side_process._prepare(them, work)(3) == pytest.approx(1 + WORK)
