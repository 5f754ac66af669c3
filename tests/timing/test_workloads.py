"""What is timed is right: kernels beside the true softmax, models with valid probabilities."""

from __future__ import annotations

import ctypes
import math
from dataclasses import replace
from itertools import pairwise
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import scipy.special
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from harness.contract import registry
from harness.contract.registry import Offers
from harness.contract.values import Choice, Device, Kernel, TimedCall, Trial, WorkloadKey
from harness.errors import UsageError
from harness.timing import engine
from harness.timing.reference import SCALE, TOLERANCE, random_logits
from harness.timing.reference import softmax as reference
from harness.timing.workloads import (
    FAR,
    SoftmaxGroup,
    TimedPairing,
    TrainingGroup,
    find_device,
    kernel_for,
    poison,
    survives,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from harness.contract.registry import Registry
    from harness.contract.values import Array
    from harness.timing.engine import Measured, Workload

DTYPES = ("float32", "float64")


@pytest.fixture(scope="module")
def installed() -> Registry:
    return registry.load()


@pytest.fixture(scope="module")
def faulty() -> Registry:
    return registry.load(["harness.testing.faulty"])


def measure(workloads: list[Workload]) -> list[Measured]:
    """Measured in no time: what comes of them matters here, not how long they take."""
    ticks = iter(range(10**9))
    clock = lambda: float(next(ticks))  # noqa: E731
    return engine.measure(workloads, seconds=0, seed=0, clock=clock, rounds=2, fewest=2, warm_up=0)


def outcome(one: Measured) -> tuple[str, str]:
    return one.status, one.reason


# Kernels


def kernel(name: str, run: Callable[[Array], Any], **options: Any) -> Kernel:
    return Kernel(name, lambda Z, _device: Z, run, lambda P: P, **options)


def softmax(Z: Array) -> Array:
    return reference(Z).astype(Z.dtype)


def offering(*kernels: Kernel, device: Device | None = None) -> Any:
    """A registry of kernels and one device, without plugins."""
    return SimpleNamespace(
        kernels={one.name: one for one in kernels}, devices={"cpu": device or Device("cpu")}
    )


def measured(
    run: Callable[[Array], Any], shape: tuple[int, int] = (7, 3), dtype: str = "float64"
) -> Measured:
    group = SoftmaxGroup(("mine",), shape, dtype, "cpu")
    (one,) = measure(group.workloads(offering(kernel("mine", run)), seed=0))
    return one


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(1, 1), (5, 3), (1000, 10), (3, 1000)])
def test_kernels_that_ship_are_right(
    installed: Registry, shape: tuple[int, int], dtype: str
) -> None:
    names = ("numpy-fast", "numpy-naive", "numpy-stable", "scipy")
    found = measure(SoftmaxGroup(names, shape, dtype, "cpu").workloads(installed, seed=1))
    assert [one.workload.subject for one in found] == [*names, "copy"]
    assert [outcome(one) for one in found] == [("ok", "")] * 5
    for one in found[:-1]:
        assert 0 <= one.figures["error"] <= TOLERANCE[dtype]
    survived = {one.workload.subject: one.figures["survives"] for one in found[:-1]}
    assert survived == {"numpy-fast": 1, "numpy-naive": 0, "numpy-stable": 1, "scipy": 1}


def test_a_kernel_that_is_off_is_wrong() -> None:
    def off(Z: Array) -> Array:
        P = softmax(Z)
        P[-1, 0] += 1e-3
        P[-1, 1] -= 1e-3
        return P

    assert outcome(measured(off)) == ("wrong", "a probability differs from the reference by 0.001")


def test_rows_that_do_not_sum_to_one_are_wrong() -> None:
    status, reason = outcome(measured(lambda Z: softmax(Z) * 0.999))
    assert status == "wrong"
    assert reason.startswith("a probability differs ")


def test_a_row_is_wrong_even_where_it_is_not_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of large arrays only some rows, drawn anew each time, are; the sum is of all rows."""
    monkeypatch.setattr("harness.timing.reference.CHECKED", 12)

    def skips(Z: Array) -> Array:
        P = softmax(Z)
        P[1::2] = 0
        return P

    def leaves(Z: Array) -> Array:
        P = softmax(Z)
        P[1] = np.nan
        return P

    assert outcome(measured(skips, (8, 3)))[0] == "wrong"
    assert outcome(measured(leaves, (8, 3)))[0] == "wrong"


@pytest.mark.parametrize(
    ("run", "reason"),
    [
        (lambda Z: softmax(Z).T, "gives shape (3, 7) for logits (7, 3)"),
        (lambda Z: softmax(Z)[:1], "gives shape (1, 3) for logits (7, 3)"),
        (lambda Z: np.float64(1), "gives shape () for logits (7, 3)"),
        (lambda Z: np.full_like(Z, np.nan), "a probability differs from the reference by nan"),
        (lambda Z: np.full_like(Z, np.inf), "a probability differs from the reference by inf"),
    ],
    ids=["transposed", "one row", "a number", "nan", "infinite"],
)
def test_what_is_no_softmax_is_wrong_and_says_why(run: Callable[[Array], Any], reason: str) -> None:
    assert outcome(measured(run)) == ("wrong", reason)


@pytest.mark.parametrize("row", [0, 3, -4, -1])
def test_the_first_and_the_last_rows_are_always_compared(
    row: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where blocks begin and end; what is wrong there may sum to 1 all the same."""
    monkeypatch.setattr("harness.timing.reference.CHECKED", 30)
    monkeypatch.setattr("harness.timing.reference.ENDS", 4)

    def forgets(Z: Array) -> Array:
        P = softmax(Z)
        P[row] = [1, 0, 0]
        return P

    assert outcome(measured(forgets, (100_000, 3)))[0] == "wrong"


def test_its_input_given_back_is_wrong() -> None:
    status, reason = outcome(measured(lambda Z: Z))
    assert status == "wrong"
    assert reason.startswith("a probability differs ")


def test_writing_to_its_input_fails() -> None:
    def writes(Z: Array) -> Array:
        Z -= Z.max(axis=1, keepdims=True)
        return softmax(Z)

    status, reason = outcome(measured(writes))
    assert status == "failed"
    assert "read-only" in reason


def test_nothing_given_back_is_wrong() -> None:
    assert outcome(measured(lambda Z: None)) == ("wrong", "gives shape () for logits (7, 3)")


def test_what_was_computed_once_and_kept_is_wrong() -> None:
    kept: list[Array] = []

    def lazy(Z: Array) -> Array:
        if not kept:
            kept.append(softmax(Z))
        return kept[0]

    reason = "returns its last array, which the harness had overwritten, without computing it again"
    assert outcome(measured(lazy)) == ("wrong", reason)


def test_kernels_do_not_harm_one_another() -> None:
    group = SoftmaxGroup(("bad", "good"), (4, 3), "float32", "cpu")
    them = offering(kernel("bad", lambda Z: Z), kernel("good", softmax))
    bad, good = measure(group.workloads(them, seed=0))
    assert (bad.status, good.status) == ("wrong", "ok")
    assert len(good.samples) == 2


def test_one_that_works_in_place_is_wrong_and_spoils_none_of_the_others() -> None:
    """What does not mind that an array cannot be written to, as a tensor does not."""

    def writes(Z: Array) -> Array:
        memory = np.frombuffer(
            (ctypes.c_char * Z.nbytes).from_address(Z.ctypes.data), Z.dtype
        ).reshape(Z.shape)
        memory[:] = softmax(Z)
        return memory

    group = SoftmaxGroup(("in-place", "good"), (4, 3), "float32", "cpu")
    them = offering(kernel("in-place", writes), kernel("good", softmax))
    bad, good = measure(group.workloads(them, seed=0))
    assert outcome(bad) == ("wrong", "writes to the logits that it was given")
    assert good.status == "ok"


def test_complex_numbers_are_wrong() -> None:
    found = measured(lambda Z: softmax(Z).astype(complex))
    assert outcome(found) == ("wrong", "gives complex128, not floating-point probabilities")


def test_one_that_stops_computing_once_it_was_checked_is_wrong() -> None:
    kept: list[Array] = []

    def lazy(Z: Array) -> Array:
        kept.append(softmax(Z) if len(kept) < 3 else kept[0])
        return kept[-1]

    status, reason = outcome(measured(lazy))
    assert status == "wrong"
    assert reason.startswith("after it was timed, a probability differs from the reference by ")


def test_logits_follow_from_the_seed_and_cannot_be_written_to() -> None:
    seen: list[Array] = []

    def prepare(Z: Array, _device: str) -> Array:
        seen.append(Z)
        return Z

    mine = Kernel("mine", prepare, softmax, lambda P: P)
    group = SoftmaxGroup(("mine",), (5, 3), "float32", "cpu")
    for seed in (1, 1, 2):
        group.workloads(offering(mine), seed)[0].setup()
    assert [Z.shape for Z in seen] == [(5, 3)] * 3
    assert {Z.dtype for Z in seen} == {np.dtype("float32")}
    assert not any(Z.flags.writeable for Z in seen)
    np.testing.assert_array_equal(seen[0], seen[1])
    assert (seen[0] != seen[2]).any()


@pytest.mark.parametrize(("kind", "shared"), [("cpu", False), ("cuda", True)])
def test_kernels_elsewhere_than_on_the_processor_share_its_memory(kind: str, shared: bool) -> None:
    seen: list[Array] = []

    def prepare(Z: Array, _device: str) -> Array:
        seen.append(Z)
        return Z

    names, device = ("a", "b"), f"{kind}:0" if kind != "cpu" else kind
    kernels = {name: Kernel(name, prepare, softmax, lambda P: P) for name in names}
    here: Any = SimpleNamespace(kernels=kernels, devices={device: Device(device)})
    group = SoftmaxGroup(names, (5, 3), "float32", device)
    for workload in group.workloads(here, seed=0):
        workload.setup()
    assert np.shares_memory(*seen) == shared


def test_of_many_logits_no_row_comes_twice_although_few_are_drawn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("harness.timing.reference.DRAWN", 3 * 10 + 9)
    Z = random_logits(np.random.default_rng(0), (1000, 10), "float32")
    assert len(np.unique(Z, axis=0)) == 1000
    np.testing.assert_allclose(Z[4] / Z[1], Z[5] / Z[2], rtol=1e-5)
    few = random_logits(np.random.default_rng(0), (3, 10), "float64")
    assert few.dtype == np.float64
    assert few.std() == pytest.approx(SCALE, rel=0.3)


@pytest.mark.parametrize("cold", [False, True])
def test_caches_are_overwritten_before_each_call_on_a_cold_array_and_on_no_other(
    cold: bool,
) -> None:
    events: list[str] = []
    mine = kernel("mine", lambda Z: events.append("run") or softmax(Z))
    device = Device("cpu", evictor=lambda: lambda: events.append("evict"))
    group = SoftmaxGroup(("mine",), (5, 3), "float32", "cpu", cold=cold)
    (one,) = measure(group.workloads(offering(mine, device=device), seed=0))
    assert one.status == "ok"
    before_runs = [before for before, event in pairwise(["", *events]) if event == "run"]
    # The calls near -1e7 are part of the checks before and after.
    assert before_runs.count("evict") == (len(before_runs) - 2 if cold else 0)


def test_a_device_brings_its_own_clock_and_its_own_copy() -> None:
    elapsed = lambda call, n: [1.0] * n  # noqa: E731
    synchronize = lambda: None  # noqa: E731
    copies: list[Array] = []

    def copier(array: Array) -> Callable[[], object]:
        return lambda: copies.append(array)

    device = Device("cpu", synchronize=synchronize, copier=copier, elapsed=elapsed)
    group = SoftmaxGroup(("mine",), (5, 3), "float32", "cpu")
    mine, copy = group.workloads(offering(kernel("mine", softmax), device=device), seed=0)
    assert (copy.kind, copy.subject, copy.case, copy.device) == (
        "copy",
        "copy",
        "5x3 float32 warm",
        "cpu",
    )
    assert all(one.elapsed is elapsed and one.synchronize is synchronize for one in (mine, copy))
    copy.setup()()
    assert copies[0].shape == (5, 3)


def test_a_group_is_told_by_its_case_and_can_do_without_a_kernel() -> None:
    group = SoftmaxGroup(("a", "b"), (100_000, 10), "float32", "cpu", cold=True)
    assert group.case == "100000x10 float32 cold"
    assert group.bytes == 4_000_000
    assert group.keys == tuple(("softmax", name, group.case, "cpu") for name in "ab")
    alone = group.without(group.keys[0])
    assert alone is not None
    assert (alone.kernels, alone.case) == (("b",), group.case)
    assert alone.without(group.keys[1]) is None
    assert group.without(WorkloadKey(TimedCall.COPY, "copy", group.case, "cpu")) == group


# The true softmax

logits = arrays(
    np.float64,
    st.tuples(st.integers(1, 5), st.integers(1, 6)),
    elements=st.floats(-1e300, 1e300) | st.floats(-20, 20),
)


@given(logits)
def test_the_reference_is_scipys_softmax(Z: Array) -> None:
    with np.errstate(over="ignore"):
        expected = scipy.special.softmax(Z, axis=1)
    np.testing.assert_allclose(reference(Z).astype(float), expected, rtol=1e-12, atol=1e-300)


def test_the_reference_is_exact_for_huge_logits() -> None:
    Z = np.array([[FAR, FAR, FAR + 1], [1e300, -1e300, 1e300], [-1e308, -1e308, -np.inf]])
    e = math.e
    expected = [[1 / (2 + e), 1 / (2 + e), e / (2 + e)], [0.5, 0, 0.5], [0.5, 0.5, 0]]
    np.testing.assert_allclose(reference(Z).astype(float), expected, rtol=1e-15)


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_reference_has_more_digits_than_its_logits_and_leaves_them_alone(dtype: str) -> None:
    Z = np.random.default_rng(0).normal(size=(4, 3)).astype(dtype)
    before = Z.copy()
    P = reference(Z)
    assert np.finfo(P.dtype).eps <= np.finfo(dtype).eps
    np.testing.assert_array_equal(Z, before)
    np.testing.assert_allclose(P.sum(axis=1).astype(float), 1, rtol=1e-15)


def test_the_reference_of_no_rows_is_no_rows() -> None:
    assert reference(np.zeros((0, 3))).shape == (0, 3)


# Logits near -1e7


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("name", "does"), [("numpy-naive", False), ("numpy-stable", True), ("numpy-fast", True)]
)
def test_the_kernels_that_take_the_maximum_off_survive(
    installed: Registry, name: str, does: bool, dtype: str
) -> None:
    assert survives(installed.kernels[name], "cpu", dtype, 10) is does
    assert installed.kernels[name].stable is does


def test_what_raises_or_changes_the_shape_does_not_survive() -> None:
    raises = kernel("raises", lambda Z: 1 / 0)
    one_row = kernel("one-row", lambda Z: softmax(Z)[:1])
    assert not survives(raises, "cpu", "float64", 3)
    assert not survives(one_row, "cpu", "float64", 3)


# Outputs that are overwritten


@pytest.mark.parametrize("dtype", DTYPES)
def test_an_array_is_overwritten(dtype: str) -> None:
    P = np.ones((2, 3), dtype)
    assert poison(P)
    assert np.isnan(P).all()


def test_a_tensor_is_overwritten() -> None:
    torch = pytest.importorskip("torch")
    P = torch.ones(2, 3)
    assert poison(P)
    assert torch.isnan(P).all()


def test_a_tensor_of_inference_mode_is_overwritten_too() -> None:
    """Else a kernel that runs under ``torch.inference_mode`` could give a stale one back."""
    torch = pytest.importorskip("torch")
    with torch.inference_mode():
        P = torch.ones(2, 3)
    assert poison(P)
    assert torch.isnan(P).all()


def test_what_cannot_be_overwritten_is_left_alone() -> None:
    P = np.ones(3)
    P.flags.writeable = False
    assert not poison(P)
    assert P.tolist() == [1, 1, 1]
    for other in (None, 1.0, "text", [1.0], (np.ones(3), 1.0), np.ones(3, int)):
        assert not poison(other)
    assert poison((np.ones(3), np.ones(2)))


# Pairings


def trials(model: Choice, repeats: int = 1, dataset: str = "threshold") -> tuple[Trial, ...]:
    return tuple(Trial(Choice(dataset), model, "cpu", repeat, 0) for repeat in range(repeats))


def found_of(group: TrainingGroup, them: Registry) -> dict[str, Measured]:
    found = measure(group.workloads(them, seed=0))
    assert len({one.workload.kind for one in found}) == len(found)
    return {one.workload.kind: one for one in found}


def test_a_pairing_is_fitted_and_predicts(installed: Registry) -> None:
    group = TrainingGroup((TimedPairing(trials(Choice("numpy-softmax")), predict=True),))
    found = found_of(group, installed)
    assert list(found) == ["fit", "predict", "predict-row", "logits"]
    assert {kind: outcome(one) for kind, one in found.items()} == dict.fromkeys(found, ("ok", ""))
    for one in found.values():
        work = one.workload
        assert (work.subject, work.case, work.device) == ("numpy-softmax", "threshold", "cpu")
    assert (found["fit"].figures["n_train"], found["fit"].figures["n_test"]) == (100, 100)
    assert "epochs" not in found["fit"].figures or found["fit"].figures["epochs"] > 0
    assert found["predict"].figures["n_test"] == 100
    assert found["predict-row"].figures["n_test"] == 1
    assert [found[kind].workload.single for kind in found] == [False, False, True, False]


def test_only_what_is_asked_for_and_there_is_timed(installed: Registry) -> None:
    """NumPy's softmax regression has no reference, and is not fitted together."""
    pairing = TimedPairing(trials(Choice("numpy-softmax"), 2), together=True, reference=True)
    assert list(found_of(TrainingGroup((pairing,)), installed)) == ["fit"]


def test_every_fit_is_of_a_new_classifier_that_was_made_outside_the_clock(
    installed: Registry,
) -> None:
    group = TrainingGroup((TimedPairing(trials(Choice("numpy-softmax"))),))
    (fit,) = group.workloads(installed, seed=0)
    assert fit.before is not None
    run = fit.setup()
    fit.before()
    first = run()
    fit.before()
    assert run() is not first


@pytest.fixture
def one_thread() -> Iterator[None]:
    """As a process that times has: on a busy machine small networks wait for a second one."""
    torch = pytest.importorskip("torch")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("one_thread")
def test_a_perceptron_is_fitted_alone_together_and_the_plain_way(installed: Registry) -> None:
    model = Choice("notebook-mlp", (("epochs", 20),))
    pairing = TimedPairing(trials(model, 2), together=True, reference=True, predict=True)
    found = found_of(TrainingGroup((pairing,)), installed)
    assert list(found) == [
        *("fit", "fit-once", "reference", "reference-once", "together", "together-once"),
        "predict",
        "predict-row",
        "logits",
    ]
    assert {kind: outcome(one) for kind, one in found.items()} == dict.fromkeys(found, ("ok", ""))
    assert found["fit"].workload.subject == "notebook-mlp[epochs=20]"
    assert found["fit"].figures["epochs"] == 20
    assert found["reference"].figures["epochs"] == 20
    assert found["together"].figures["together"] == 2


@pytest.mark.usefixtures("one_thread")
def test_fits_that_are_cut_short_go_through_so_many_epochs(installed: Registry) -> None:
    pairing = TimedPairing(trials(Choice("notebook-mlp"), 2), epochs=10_000, cut=3, together=True)
    found = found_of(TrainingGroup((pairing,)), installed)
    assert found["fit"].workload.subject == "notebook-mlp"
    assert (found["fit"].figures["epochs"], found["fit"].figures["cut_from"]) == (3, 10_000)
    fitted: list[Any] = []
    for kind in ("fit", "together"):
        workload = found[kind].workload
        assert workload.before is not None
        workload.before()
        made = workload.setup()()
        fitted += made if kind == "together" else [made]
    assert [classifier.epochs for classifier in fitted] == [3, 3, 3]


@pytest.mark.usefixtures("one_thread")
def test_replicates_of_which_only_one_was_trained_are_wrong(
    installed: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which one is looked at is drawn anew in every process."""
    model = installed.models["notebook-mlp"]

    def cheats(classifiers: Any, Xs: Any, ys: Any, monitors: Any) -> None:
        honest = model.fit_together
        assert honest is not None
        honest(classifiers[-1:], Xs[-1:], ys[-1:], monitors[-1:])
        for classifier in classifiers[:-1]:
            classifier.fit(Xs[-1] * 0, ys[-1])

    them = SimpleNamespace(
        **{name: getattr(installed, name) for name in ("datasets", "devices", "kernels")},
        models={"notebook-mlp": replace(model, fit_together=cheats)},
    )
    group = TrainingGroup(
        (TimedPairing(trials(Choice("notebook-mlp"), 4), cut=300, together=True),)
    )
    found = {}
    for seed in range(6):
        workloads = group.workloads(them, seed)  # type: ignore[arg-type]  # as good as
        (one,) = measure([work for work in workloads if work.kind == "together"])
        found[seed] = one.status
    assert "wrong" in found.values()


@pytest.mark.usefixtures("one_thread")
def test_epochs_that_are_known_are_not_counted_by_another_fit(installed: Registry) -> None:
    model = Choice("notebook-mlp", (("epochs", 2),))
    group = TrainingGroup((TimedPairing(trials(model), epochs=7),))
    assert found_of(group, installed)["fit"].figures["epochs"] == 7


@pytest.mark.parametrize(
    ("model", "reason"),
    [("nan", "not finite"), ("negative", "negative"), ("rows-not-one", "sum to 1")],
)
def test_a_model_with_invalid_probabilities_is_wrong(
    faulty: Registry, model: str, reason: str
) -> None:
    group = TrainingGroup((TimedPairing(trials(Choice(f"faulty-{model}")), predict=True),))
    found = found_of(group, faulty)
    assert found["fit"].status == "wrong"
    assert reason in found["fit"].reason
    assert found["fit"].samples == []
    for kind in ("predict", "predict-row", "logits"):
        assert outcome(found[kind]) == ("failed", "UsageError: its fit failed")


def test_a_model_that_gives_a_column_too_many_is_no_good(faulty: Registry) -> None:
    group = TrainingGroup((TimedPairing(trials(Choice("faulty-wrong-shape"))),))
    assert found_of(group, faulty)["fit"].status == "wrong"


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        ("raises", "ValueError: faulty-raises raises"),
        ("sys-exit", "SystemExit: faulty-sys-exit exits"),
        ("make-fails", "RuntimeError: faulty-make-fails makes nothing"),
        ("writes-input", "read-only"),
    ],
)
def test_a_model_that_cannot_be_fitted_fails_and_the_next_goes_on(
    faulty: Registry, model: str, reason: str
) -> None:
    pairings = tuple(
        TimedPairing(trials(Choice(name))) for name in (f"faulty-{model}", "faulty-none")
    )
    bad, good = measure(TrainingGroup(pairings).workloads(faulty, seed=0))
    assert bad.status == "failed"
    assert reason in bad.reason
    assert (good.status, len(good.samples)) == ("ok", 2)


def test_a_training_group_can_do_without_a_pairing() -> None:
    two = tuple(
        TimedPairing(trials(Choice(name)), weight=weight)
        for name, weight in (("a", 2.0), ("b", 3.0))
    )
    group = TrainingGroup(two)
    assert (group.case, group.weight) == ("threshold", 5.0)
    keys = [WorkloadKey(TimedCall.FIT, name, "threshold", "cpu") for name in "ab"]
    assert group.keys == tuple(keys)
    assert group.without(keys[0]) == TrainingGroup(two[1:])
    assert TrainingGroup(two[:1]).without(keys[0]) is None


@pytest.mark.parametrize(
    ("kind", "left"),
    [("together", (False, True, True)), ("reference", (True, False, True))]
    + [(kind, (True, True, False)) for kind in ("predict", "predict-row", "logits")],
)
def test_a_pairing_can_do_without_anything_but_its_fit(
    kind: str, left: tuple[bool, bool, bool]
) -> None:
    pairing = TimedPairing(trials(Choice("a")), together=True, reference=True, predict=True)
    key = WorkloadKey(TimedCall(kind), "a", "threshold", "cpu")
    group = TrainingGroup((pairing,)).without(key)
    assert group is not None
    (found,) = group.pairings
    assert (found.together, found.reference, found.predict) == left


def test_a_wrong_softmax_of_a_pairings_own_logits_is_wrong(
    installed: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    off = kernel("off", lambda Z: softmax(Z) * 0.99)
    monkeypatch.setattr("harness.timing.workloads.kernel_for", lambda *_: off)
    group = TrainingGroup((TimedPairing(trials(Choice("numpy-softmax")), predict=True),))
    status, reason = outcome(found_of(group, installed)["logits"])
    assert status == "wrong"
    assert reason.startswith("a probability differs ")


def test_a_pairing_without_a_kernel_for_its_device_has_no_softmax_to_time(
    installed: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.timing.workloads.kernel_for", lambda *_: None)
    group = TrainingGroup((TimedPairing(trials(Choice("numpy-softmax")), predict=True),))
    assert list(found_of(group, installed)) == ["fit", "predict", "predict-row"]


# Which kernel, which device


class Shop:
    """A registry of kernels, each with an origin; a model's is the word before the dash."""

    def __init__(self, *kernels: Kernel) -> None:
        self.kernels = {one.name: one for one in kernels}

    def origin(self, _kind: str, name: str) -> str:
        return name.partition("-")[0]


def offered(name: str, **options: Any) -> Kernel:
    return kernel(name, softmax, **options)


def chosen(*kernels: Kernel, model: str = "b-mlp", device: str = "cpu") -> str | None:
    found = kernel_for(Shop(*kernels), Choice(model), device)  # type: ignore[arg-type]
    return found.name if found else None


def test_a_models_kernel_is_of_its_own_plugin_or_the_first() -> None:
    assert chosen(offered("a-first"), offered("b-second"), offered("b-third")) == "b-second"
    assert chosen(offered("a-first"), offered("c-second")) == "a-first"
    assert chosen() is None


def test_a_models_kernel_is_stable_common_installed_and_for_its_device() -> None:
    unfit = (
        offered("b-unstable", stable=False),
        offered("b-rare", by_default=False),
        offered("b-missing", requires=("no_such_package",)),
        offered("b-elsewhere", devices=("cuda",)),
    )
    assert chosen(*unfit) is None
    assert chosen(*unfit, offered("a-fit")) == "a-fit"
    assert chosen(*unfit, device="cuda:1") == "b-elsewhere"


def test_the_plugins_that_ship_time_their_own_kernels(installed: Registry) -> None:
    pytest.importorskip("torch")
    for model, plugin in {"numpy-softmax": "numpy", "torch-mlp": "torch"}.items():
        found = kernel_for(installed, Choice(model), "cpu")
        assert found is not None
        assert installed.origin("kernels", found.name).name == plugin
        assert found.stable


def test_a_device_that_is_not_there_is_an_error_that_lists_those_that_are() -> None:
    def there(*names: str) -> Any:
        return SimpleNamespace(devices=Offers("device", {name: Device(name) for name in names}))

    assert find_device(there("cpu", "cuda:0"), "cuda:0").name == "cuda:0"
    with pytest.raises(UsageError, match=r"no device 'tpu:0' on .* \(there are: cpu, cuda:0\)"):
        find_device(there("cpu", "cuda:0"), "tpu:0")
    with pytest.raises(UsageError, match=r"there are: none"):
        find_device(there(), "cpu")


def test_a_group_on_a_device_that_is_not_there_is_that_error(installed: Registry) -> None:
    with pytest.raises(UsageError, match=r"no device 'tpu:0'"):
        SoftmaxGroup(("scipy",), (5, 3), "float32", "tpu:0").workloads(installed, seed=0)
