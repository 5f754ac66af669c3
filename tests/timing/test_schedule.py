"""What is to be timed follows from what there is, what was asked and how much time there is."""

from __future__ import annotations

import math
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import harness
from harness.contract.registry import Origin, Registry, load
from harness.contract.values import Choice, Frames, Run, Trial
from harness.errors import UsageError
from harness.store.frames import timings_frame
from harness.timing.schedule import (
    DTYPES,
    EPOCHS,
    SHAPES,
    TOGETHER,
    of_kernels,
    of_run,
    of_training,
    shape_of,
    trains_by_epochs,
)
from harness.timing.workloads import CACHED, CACHED_ELSEWHERE, SoftmaxGroup, TrainingGroup
from harness.trials.plan import Selection

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from harness.timing.schedule import Schedule


class Half:
    """Without epochs."""

    def __init__(self, setting: harness.Setting) -> None:
        self.K = setting.n_classes

    def fit(self, X: Any, y: Any) -> None:
        pass

    def predict_proba(self, X: Any) -> Any:
        return np.full((len(X), self.K), 1 / self.K)


class Loop(Half):
    """With epochs."""

    def __init__(self, setting: harness.Setting, epochs: int = 5000, rate: float = 0.1) -> None:
        super().__init__(setting)

    def fit(self, X: Any, y: Any, monitor: Any = None) -> None:  # type: ignore[override]
        pass


class Endless(Loop):
    """With epochs, but no parameter for their number."""

    def __init__(self, setting: harness.Setting) -> None:
        super().__init__(setting)


def together(*_: Any) -> None:
    pass


def refuses(setting: harness.Setting) -> Loop:
    raise ValueError("makes nothing")


def kernel(name: str, **more: Any) -> harness.Kernel:
    return harness.Kernel(name, lambda logits, _: logits, lambda x: x, lambda x: x, **more)


def two(rng: np.random.Generator) -> harness.Split:
    X, y = np.array([[0.0], [1.0]]), np.array([0, 1])
    return harness.Split(X, y, X, y)


@pytest.fixture
def registry() -> Registry:
    def models() -> Iterator[harness.Model]:
        yield harness.Model("half", Half)
        yield harness.Model("loop", Loop, fit_together=together, reference=Loop, epochs="epochs")
        yield harness.Model("endless", Endless)
        yield harness.Model("refuses", refuses)
        yield harness.Model("gpu-loop", Loop, devices=("cuda",), epochs="epochs")
        yield harness.Model("refuses-with-reference", refuses, reference=Loop)
        yield harness.Model("loop-baseline", Endless, baseline=True)

    def kernels() -> Iterator[harness.Kernel]:
        yield kernel("np-plain")
        yield kernel("np-fast", devices=("cpu", "cuda"))
        yield kernel("jit", by_default=False)
        yield kernel("np-slow", by_default=False)
        yield kernel("far", requires=("nowhere_to_be_found",))
        yield kernel("gpu-only", devices=("cuda",))

    module: Any = ModuleType("mine")
    module.harness_models = harness.hookimpl(models)
    module.harness_kernels = harness.hookimpl(kernels)
    module.harness_datasets = harness.hookimpl(
        lambda: [harness.Dataset(name, "fixed", two) for name in ("first", "second")]
    )
    module.harness_devices = harness.hookimpl(
        lambda: [harness.Device("cuda:0"), harness.Device("cuda:1")]
    )
    return Registry([(Origin("mine", "mine", path="mine.py"), module)], [])


def softmaxes(schedule: Schedule) -> list[SoftmaxGroup]:
    assert all(isinstance(group, SoftmaxGroup) for group in schedule.groups)
    return list(schedule.groups)  # type: ignore[arg-type]  # as was asserted


# Kernels


def test_every_default_kernel_is_timed_on_every_shape_and_type(registry: Registry) -> None:
    groups = softmaxes(of_kernels(registry, devices=["cpu"]))
    assert {group.kernels for group in groups} == {("np-fast", "np-plain")}
    warm = [(group.shape, group.dtype) for group in groups if not group.cold]
    assert warm == [(shape, dtype) for shape in SHAPES for dtype in DTYPES]


def test_what_is_asked_for_twice_is_timed_once(registry: Registry) -> None:
    """Else its samples would pass for those of twice as many processes."""
    twice = of_kernels(registry, (), [(5, 3), (5, 3)], ["float32", "float32"], ["cpu", "cpu"])
    assert [group.case for group in softmaxes(twice)] == ["5x3 float32 warm", "5x3 float32 cold"]


def test_a_device_is_not_given_numbers_that_it_does_not_have(registry: Registry) -> None:
    """As Apple's GPUs have none of 64 bits."""
    gpu = registry.devices["cuda:0"]
    object.__setattr__(gpu, "dtypes", ("float32",))
    schedule = of_kernels(registry, devices=["cuda:0"])
    assert {group.dtype for group in softmaxes(schedule)} == {"float32"}
    assert "has no float64" in [timing.reason for timing in schedule.late]


@pytest.mark.parametrize(("device", "cached"), [("cpu", CACHED), ("cuda:1", CACHED_ELSEWHERE)])
def test_caches_are_emptied_only_for_what_would_fit_into_them(
    registry: Registry, device: str, cached: int
) -> None:
    groups = softmaxes(of_kernels(registry, devices=[device]))
    assert {(g.shape, g.dtype) for g in groups if g.cold} == {
        (g.shape, g.dtype) for g in groups if not g.cold and g.bytes < cached
    }
    at, below = (cached // 8, 2), (cached // 8 - 1, 2)
    for shape, colds in ((at, [False]), (below, [False, True])):
        found = softmaxes(
            of_kernels(registry, shapes=[shape], dtypes=["float32"], devices=[device])
        )
        assert [group.cold for group in found] == colds


def test_what_is_asked_for_is_all_that_is_timed(registry: Registry) -> None:
    groups = softmaxes(of_kernels(registry, ["np-fast"], [(5, 3)], ["float32"], ["cpu"]))
    assert [group.case for group in groups] == ["5x3 float32 warm", "5x3 float32 cold"]
    assert {group.kernels for group in groups} == {("np-fast",)}


@pytest.mark.parametrize(
    ("wanted", "kernels"),
    [
        (["jit"], ("jit",)),
        (["np-*"], ("np-fast", "np-plain", "np-slow")),
        (["np-slow", "np-*"], ("np-slow", "np-fast", "np-plain")),
        (["*"], ("jit", "np-fast", "np-plain", "np-slow")),
    ],
)
def test_kernels_are_chosen_by_name_or_glob_each_once(
    registry: Registry, wanted: list[str], kernels: tuple[str, ...]
) -> None:
    group, *_ = softmaxes(of_kernels(registry, wanted, [(5, 3)], devices=["cpu"]))
    assert group.kernels == kernels


def test_every_device_that_is_here_is_timed_unless_some_are_named(registry: Registry) -> None:
    asked: dict[str, Any] = {"shapes": [(5, 3)], "dtypes": ["float32"]}
    groups = softmaxes(of_kernels(registry, **asked))
    kernels = {group.device: group.kernels for group in groups}
    assert kernels == {
        "cpu": ("np-fast", "np-plain"),
        "cuda:0": ("gpu-only", "np-fast"),
        "cuda:1": ("gpu-only", "np-fast"),
    }
    groups = softmaxes(of_kernels(registry, **asked, devices=["cpu"]))
    assert {group.device for group in groups} == {"cpu"}


def test_a_kind_of_device_is_its_first_and_each_is_timed_once(registry: Registry) -> None:
    groups = softmaxes(
        of_kernels(
            registry,
            shapes=[(5, 3)],
            dtypes=["float32"],
            devices=["cuda", "cuda:1", "cuda", "cuda:0"],
        )
    )
    assert [group.device for group in groups if not group.cold] == ["cuda:0", "cuda:1"]


def late(schedule: Schedule) -> list[tuple[str, str, str]]:
    assert {one.status for one in schedule.late} <= {"unfinished"}
    return [(one.subject, one.device, one.reason) for one in schedule.late]


@pytest.mark.parametrize(
    ("asked", "left_out"),
    [
        ({}, [("far", "cpu", "needs 'nowhere_to_be_found', which is not installed here")]),
        ({"kernels": ["np-fast", "gpu-only"], "devices": ["cuda"]}, []),
        (
            {"kernels": ["np-fast"], "devices": ["cpu", "xpu", "cuda:7"]},
            [
                ("every kernel", "xpu", "no XPU device here"),
                ("every kernel", "cuda:7", "no CUDA device 7 here"),
            ],
        ),
        (
            {"kernels": ["np-fast", "gpu-only"], "devices": ["cpu"]},
            [("gpu-only", "cuda", "runs on cuda only")],
        ),
    ],
)
def test_what_cannot_be_timed_is_left_out_with_the_reason(
    registry: Registry, asked: dict[str, Any], left_out: list[tuple[str, str, str]]
) -> None:
    schedule = of_kernels(registry, **asked, shapes=[(5, 3)])
    assert schedule.groups
    assert late(schedule) == left_out


@pytest.mark.parametrize(
    ("asked", "complaint"),
    [
        ({"kernels": ["np-fats"]}, "no kernel 'np-fats': did you mean 'np-fast'"),
        ({"kernels": ["np-fast", "zz*"]}, "no kernel 'zz*'"),
        ({"kernels": ["far"]}, "nothing to time: far: needs 'nowhere_to_be_found', which is not"),
        (
            {"kernels": ["np-plain"], "devices": ["cuda"]},
            "np-plain: runs on cpu only (devices here: ",
        ),
        ({"devices": ["xpu"]}, "no XPU device here"),
        ({"devices": ["cuda:7"]}, "no CUDA device 7 here"),
        ({"devices": ["cdua"]}, "(devices here: cpu, cuda:0, cuda:1)"),
    ],
)
def test_a_bench_of_nothing_is_refused_in_one_line(
    registry: Registry, asked: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(UsageError) as refused:
        of_kernels(registry, **asked)
    assert complaint in str(refused.value)
    assert "\n" not in str(refused.value)


# Shapes


@given(st.integers(1, 10**9), st.integers(1, 10**6))
def test_a_shape_is_read_as_it_is_written(n_samples: int, n_classes: int) -> None:
    assert shape_of(f"{n_samples}x{n_classes}") == (n_samples, n_classes)
    assert shape_of(f" {n_samples:_}x{n_classes:_} ") == (n_samples, n_classes)


@pytest.mark.parametrize(
    "text", ["5", "0x3", "3x0", "5x", "x5", "axb", "5x3x2", "-5x3", "5.0x3", "5 x 3", "_5x3", ""]
)
def test_what_is_no_shape_is_told_with_an_example(text: str) -> None:
    with pytest.raises(UsageError, match="is no shape; write samples x classes, such as 100000x10"):
        shape_of(text)


@pytest.mark.parametrize("text", ["5_x3", "5x3_", "1__0x3"])
def test_what_python_takes_for_no_integer_is_no_shape_either(text: str) -> None:
    with pytest.raises(UsageError, match="is no shape"):
        shape_of(text)


# Training


def pairings(schedule: Schedule) -> dict[tuple[str, str], Any]:
    """By dataset and model."""
    found = {}
    for group in schedule.groups:
        assert isinstance(group, TrainingGroup)
        for pairing in group.pairings:
            first = pairing.trials[0]
            found[str(first.dataset), str(first.model)] = pairing
    return found


def training(registry: Registry, selection: Selection, **options: Any) -> Schedule:
    """With models asked here rather than in a process apart."""

    def ask(choices: Sequence[Choice]) -> dict[Choice, bool]:
        return {choice: trains_by_epochs(registry, choice) for choice in choices}

    return of_training(registry, selection, ask, **options)


def test_only_models_that_train_by_epochs_are_timed_training(registry: Registry) -> None:
    found = pairings(training(registry, Selection(datasets=("first",))))
    # One that cannot be made is believed where it has a reference, and will tell why it failed.
    assert {model for _, model in found} == {
        f"loop[epochs={EPOCHS}]",
        "endless",
        "refuses-with-reference",
        "loop-baseline",
    }
    assert all(pairing.reference for pairing in found.values())


def test_pairings_of_one_dataset_are_one_group(registry: Registry) -> None:
    schedule = training(registry, Selection(models=("loop", "endless")))
    assert [group.case for group in schedule.groups] == ["first", "second"]
    assert [len(group.pairings) for group in schedule.groups] == [2, 2]  # type: ignore[union-attr]


def test_a_baseline_is_not_timed_training_unless_all_are(registry: Registry) -> None:
    found = pairings(training(registry, Selection(datasets=("first",), models=("endless",))))
    assert [model for _, model in found] == ["endless"]


def test_epochs_that_are_given_win_over_those_for_all(registry: Registry) -> None:
    selection = Selection(("first",), ("loop", "loop[epochs=7|9,rate=0.5]", "endless"))
    found = pairings(training(registry, selection, epochs=20))
    assert [model for _, model in found] == [
        "loop[epochs=20]",
        "loop[epochs=7,rate=0.5]",
        "loop[epochs=9,rate=0.5]",
        "endless",
    ]


def test_several_at_once_are_timed_where_the_model_offers_to(registry: Registry) -> None:
    selection = Selection(("first",), ("loop", "endless"), repeats=1)
    loop, endless = pairings(training(registry, selection)).values()
    assert (loop.together, [trial.repeat for trial in loop.trials]) == (True, [*range(TOGETHER)])
    assert (endless.together, len(endless.trials)) == (False, 1)


def test_one_together_is_none_together(registry: Registry) -> None:
    selection = Selection(("first",), ("loop",), repeats=5)
    (loop,) = pairings(training(registry, selection, together=1)).values()
    assert (loop.together, len(loop.trials)) == (False, 1)


def test_the_notebook_s_network_is_timed_beside_whatever_is_asked_for() -> None:
    pytest.importorskip("torch")
    selection = Selection(("threshold",), ("torch-mlp[epochs=5]",))
    found = pairings(training(load(), selection, epochs=20, together=2))
    assert [model for _, model in found] == ["torch-mlp[epochs=5]", "notebook-mlp[epochs=20]"]
    selection = Selection(("threshold",), ("notebook-mlp[zero_grad=false]",))
    found = pairings(training(load(), selection, epochs=20, together=2))
    assert [model for _, model in found] == ["notebook-mlp[zero_grad=false,epochs=20]"]


def test_a_pairing_that_cannot_run_is_left_out_with_the_reason(registry: Registry) -> None:
    selection = Selection(("first",), ("loop",), devices=("cpu", "cuda"))
    schedule = training(registry, selection)
    assert len(schedule.groups) == 1
    (left_out,) = schedule.late
    assert (left_out.kind, left_out.subject, left_out.case) == ("fit", "loop", "first")
    assert left_out.status == "unfinished"
    assert "computes on cpu only" in left_out.reason


@pytest.mark.parametrize("model", ["half", "refuses"])
def test_models_without_epochs_are_no_training_to_time(registry: Registry, model: str) -> None:
    with pytest.raises(UsageError, match="none of the selected models trains by epochs"):
        training(registry, Selection(models=(model,)))


def test_a_model_that_is_not_there_is_told(registry: Registry) -> None:
    with pytest.raises(UsageError, match="no model matches 'lop'"):
        training(registry, Selection(models=("lop",)))


# A run


def trial(model: str, repeat: int = 0, dataset: str = "first", device: str = "cpu") -> Trial:
    return Trial(Choice(dataset), Choice(model), device, repeat, 0)


def frames(
    trials: list[Trial],
    fits: dict[str, float],
    *,
    together: int = 1,
    failed: tuple[tuple[str, int], ...] = (),
    epochs: dict[str, int] | None = None,
) -> Frames:
    """What a run measured of which every fit of a model took the same time."""
    rows = []
    for i, one in enumerate(trials):
        model = str(one.model)
        ok = (model, one.repeat) not in failed
        rows.append(
            {
                "result_id": 10 + i,
                "dataset": str(one.dataset),
                "model": model,
                "device": one.device,
                "repeat": one.repeat,
                "status": "ok" if ok else "failed",
                "n_train": 100 if ok else math.nan,
                "fit_seconds": fits[model] if ok else math.nan,
                "first_predict_seconds": 0.001 if ok else math.nan,
                "fitted_together": together if ok else math.nan,
            }
        )
    points = [
        {"result_id": row["result_id"], "epoch": epoch}
        for row in rows
        if row["model"] in (epochs or {})
        for epoch in (1, (epochs or {})[str(row["model"])])
    ]
    traces = pd.DataFrame(points, columns=["result_id", "epoch"])
    run = Run(1, "", "2026-01-01T00:00:00+00:00", None, {}, {}, len(rows))
    return Frames(
        run, pd.DataFrame(rows), lambda: traces, lambda _: pd.DataFrame(), timings_frame([])
    )


def schedule_of(measured: Frames, trials: list[Trial], budget: float) -> Schedule:
    """Of a run whose models have a parameter ``epochs`` if their name says so."""
    module: Any = ModuleType("mine")
    names = {one.model.name for one in trials}
    module.harness_models = harness.hookimpl(
        lambda: [
            harness.Model(name, Loop, epochs="epochs")
            if "loop" in name
            else harness.Model(name, Half)
            for name in names
        ]
    )
    registry = Registry([(Origin("mine", "mine", path="mine.py"), module)], [])
    return of_run(registry, measured, trials, budget)


def models(schedule: Schedule) -> list[str]:
    return [str(p.trials[0].model) for g in schedule.groups for p in g.pairings]  # type: ignore[union-attr]


def test_the_lightest_pairings_of_a_run_are_timed_first() -> None:
    trials = [trial("slow"), trial("quick"), trial("middling")]
    schedule = schedule_of(
        frames(trials, {"slow": 0.5, "quick": 1e-4, "middling": 0.01}), trials, 60
    )
    assert models(schedule) == ["quick", "middling", "slow"]
    assert not schedule.late


def test_what_the_budget_has_no_time_for_is_told_with_a_budget_that_has() -> None:
    trials = [trial("endless"), trial("slow"), trial("quick")]
    measured = frames(trials, {"endless": 100.0, "slow": 20.0, "quick": 1e-4})
    schedule = schedule_of(measured, trials, 30)
    assert models(schedule) == ["quick"]
    assert [(late.kind, late.subject, late.case, late.device) for late in schedule.late] == [
        ("fit", "slow", "first", "cpu"),
        ("fit", "endless", "first", "cpu"),
    ]
    assert {late.status for late in schedule.late} == {"unfinished"}
    (reason,) = {late.reason for late in schedule.late}
    assert (
        reason == f"not timed within 30 s; {schedule.seconds:g} s would suffice (--timing-budget)"
    )
    assert schedule.seconds > 30
    enough = schedule_of(measured, trials, schedule.seconds)
    assert models(enough) == ["quick", "slow", "endless"]
    assert not enough.late


@given(st.lists(st.floats(0, 100), min_size=1, max_size=8), st.floats(1, 1000))
def test_a_pairing_is_timed_or_late_and_the_budget_that_is_named_would_do(
    fits: list[float], budget: float
) -> None:
    trials = [trial(f"m{i}") for i in range(len(fits))]
    measured = frames(trials, {f"m{i}": fit for i, fit in enumerate(fits)})
    schedule = schedule_of(measured, trials, budget)
    assert sorted([*models(schedule), *(late.subject for late in schedule.late)]) == sorted(
        str(one.model) for one in trials
    )
    if schedule.late:
        assert not schedule_of(measured, trials, schedule.seconds).late


def test_a_pairing_is_timed_as_it_was_run() -> None:
    trials = [trial("alone"), *(trial("several", repeat) for repeat in range(4))]
    first = frames(trials[:1], {"alone": 0.01}, epochs={"alone": 300})
    (pairing,) = schedule_of(first, trials, 60).groups[0].pairings  # type: ignore[union-attr]
    assert (pairing.together, pairing.trials, pairing.epochs) == (False, (trials[0],), 300)
    assert pairing.predict
    rest = frames(trials[1:], {"several": 0.01}, together=4)
    (pairing,) = schedule_of(rest, trials, 60).groups[0].pairings  # type: ignore[union-attr]
    assert (pairing.together, pairing.trials, pairing.epochs) == (True, tuple(trials[1:]), 0)


def test_where_time_is_short_a_fit_is_cut_short_if_the_model_can() -> None:
    trials = [trial("endless"), trial("loop"), trial("quick-loop")]
    fits = {"endless": 100.0, "loop": 20.0, "quick-loop": 0.001}
    measured = frames(trials, fits, epochs=dict.fromkeys(fits, 5000))
    schedule = schedule_of(measured, trials, 30)
    found = {str(p.trials[0].model): p for g in schedule.groups for p in g.pairings}  # type: ignore[union-attr]
    assert {name: (one.cut, one.epochs) for name, one in found.items()} == {
        "loop": (2, 5000),
        "quick-loop": (None, 5000),
    }
    assert [late.subject for late in schedule.late] == ["endless"]
    assert f"{schedule.seconds:g} s would suffice" in schedule.late[0].reason
    whole = schedule_of(measured, trials, schedule.seconds)
    assert not whole.late


def test_repeats_that_failed_are_not_timed() -> None:
    trials = [trial("flaky", repeat) for repeat in range(3)]
    measured = frames(trials, {"flaky": 0.01}, failed=(("flaky", 0),))
    (pairing,) = schedule_of(measured, trials, 60).groups[0].pairings  # type: ignore[union-attr]
    assert pairing.trials == (trials[1],)


def test_datasets_and_devices_are_groups_of_their_own() -> None:
    trials = [
        trial("m"),
        trial("m", dataset="second"),
        trial("m", device="cuda:0"),
        trial("n"),
    ]
    schedule = schedule_of(frames(trials, {"m": 0.01, "n": 0.01}), trials, 60)
    assert sorted((group.case, group.keys[0][-1]) for group in schedule.groups) == [
        ("first", "cpu"),
        ("first", "cuda:0"),
        ("second", "cpu"),
    ]


def test_a_run_in_which_nothing_is_ok_has_nothing_to_time() -> None:
    trials = [trial("flaky", repeat) for repeat in range(2)]
    measured = frames(trials, {"flaky": 0.01}, failed=(("flaky", 0), ("flaky", 1)))
    schedule = schedule_of(measured, trials, 60)
    assert (schedule.groups, schedule.late) == ((), ())


def test_repeats_of_another_shape_are_not_timed_together_with_the_first() -> None:
    """Of six repeats every second one had the first's shape, and three were fitted in one go."""
    trials = [trial("several", repeat) for repeat in range(6)]
    measured = frames(trials, {"several": 0.01}, together=3)
    measured.results["n_train"] = [8, 10] * 3
    (pairing,) = schedule_of(measured, trials, 60).groups[0].pairings  # type: ignore[union-attr]
    assert [one.repeat for one in pairing.trials] == [0, 2, 4]
