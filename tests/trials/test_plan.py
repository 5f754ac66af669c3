"""A selection becomes trials; pairings that cannot run are skipped with a reason."""

from __future__ import annotations

from types import ModuleType
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

import harness
from harness.contract.registry import Origin, Registry
from harness.contract.values import Choice
from harness.errors import PluginError, UsageError
from harness.trials.plan import Selection, choose, importable, plan

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


def make(setting: harness.Setting, l2: float = 0.0, hidden: tuple[int, ...] = (8,)) -> Any:
    raise AssertionError("planning makes no model")


def draw(rng: Any, n_train: int = 100) -> harness.Split:
    raise AssertionError("planning draws no split")


DATASETS = (
    harness.Dataset("iris", "resampled", draw, tags=("classic",)),
    harness.Dataset("threshold", "fresh", draw, tags=("toy",)),
    harness.Dataset("three-integers", "fresh", draw, tags=("toy",)),
)
MODELS = (
    harness.Model("numpy-softmax", make, tags=("linear",)),
    harness.Model("prior", lambda setting: make(setting), baseline=True),
    harness.Model("torch-mlp", make, devices=("cpu", "cuda")),
)
GPUS = (harness.Device("cuda:0", "a GPU"), harness.Device("cuda:1", "another"))


def registry(
    datasets: Iterable[harness.Dataset] = DATASETS,
    models: Iterable[harness.Model] = MODELS,
    devices: Iterable[harness.Device] = (),
) -> Registry:
    module = ModuleType("mine")
    offers = {"datasets": datasets, "models": models, "devices": devices}
    for kind, values in offers.items():
        answer = harness.hookimpl(lambda values=tuple(values): values)
        setattr(module, f"harness_{kind}", answer)
    return Registry([(Origin("mine", "mine", path="mine.py"), module)], [])


def planned(asked: Registry | None = None, **selection: Any) -> list[str]:
    planned_run = plan(asked or registry(), Selection(**{"repeats": 1} | selection))
    return [f"{trial.dataset} {trial.model} {trial.device}" for trial in planned_run.trials]


def skipped(asked: Registry, **selection: Any) -> dict[tuple[str, str], str]:
    planned_run = plan(asked, Selection(**{"repeats": 1} | selection))
    return {(str(skip.model), skip.device): skip.reason for skip in planned_run.skips}


def chosen(*selectors: str, offers: Any = None) -> list[str]:
    return [str(choice) for choice in choose(selectors, offers or registry().datasets, "dataset")]


def test_without_a_selection_every_pairing_runs() -> None:
    assert len(planned()) == len(DATASETS) * len(MODELS)


def test_each_pairing_runs_once_per_repeat_and_all_trials_differ() -> None:
    trials = plan(registry(), Selection(repeats=3, seed=7)).trials
    assert len(trials) == 27
    assert len({trial.key for trial in trials}) == 27
    assert {(trial.repeat, trial.seed) for trial in trials} == {(0, 7), (1, 7), (2, 7)}


@pytest.mark.parametrize(
    ("selectors", "names"),
    [
        (["iris"], ["iris"]),
        (["thre*"], ["three-integers", "threshold"]),
        (["[!i]ris"], None),
        (["toy:*"], ["three-integers", "threshold"]),
        (["toy:thresh*"], ["threshold"]),
        (["threshold", "iris"], ["threshold", "iris"]),
        (["iris", "*s", "classic:*"], ["iris", "three-integers"]),
        ([" iris "], ["iris"]),
        ([], ["iris", "three-integers", "threshold"]),
    ],
)
def test_selectors_choose_by_name_glob_and_tag(
    selectors: list[str], names: list[str] | None
) -> None:
    if names is None:
        with pytest.raises(UsageError, match="is no selector"):
            chosen(*selectors)
    else:
        assert chosen(*selectors) == names


@pytest.mark.parametrize(
    ("selector", "choices"),
    [
        ("numpy-softmax[l2=1]", ["numpy-softmax[l2=1.0]"]),
        (
            "numpy-softmax[l2=0|0.1|1]",
            ["numpy-softmax", "numpy-softmax[l2=0.1]", "numpy-softmax[l2=1.0]"],
        ),
        (
            "numpy-softmax[ hidden = 4 | 4x4 , l2 = 1 | 2 ]",
            [
                "numpy-softmax[hidden=4,l2=1.0]",
                "numpy-softmax[hidden=4,l2=2.0]",
                "numpy-softmax[hidden=4x4,l2=1.0]",
                "numpy-softmax[hidden=4x4,l2=2.0]",
            ],
        ),
        ("linear:*[hidden=()]", ["numpy-softmax[hidden=()]"]),
        ("*-*[l2=1]", ["numpy-softmax[l2=1.0]", "torch-mlp[l2=1.0]"]),
        ("numpy-softmax[l2=0|0.0,hidden=8]", ["numpy-softmax"]),
    ],
)
def test_brackets_give_parameters_and_several_values_expand(
    selector: str, choices: list[str]
) -> None:
    assert chosen(selector, offers=registry().models) == choices


def test_a_printed_choice_selects_itself() -> None:
    choice = Choice("numpy-softmax", (("hidden", (4, 4)), ("l2", 0.1)))
    assert choose([str(choice)], registry().models, "model") == [choice]


def test_a_pairing_selected_twice_runs_once() -> None:
    assert planned(datasets=("iris", "iris", "classic:*"), models=("prior", "prior")) == [
        "iris prior cpu"
    ]


def test_the_baselines_run_with_every_selection() -> None:
    assert planned(datasets=("iris",), models=("torch-mlp",)) == [
        "iris torch-mlp cpu",
        "iris prior cpu",
    ]


@pytest.mark.parametrize(
    ("selector", "fault"),
    [
        ("irsi", "no dataset matches 'irsi': did you mean 'iris'?"),
        ("zzz*", "no dataset matches 'zzz*': there are iris, three-integers, threshold"),
        ("toys:*", "no dataset matches 'toys:*': did you mean 'toy'?"),
        ("toy:iris", "no dataset matches 'toy:iris': did you mean 'iris'?"),
        ("iris[", "'iris[': a bracket or a quote is not closed"),
        ("", "'' is no selector"),
        ("a:b:c", "'a:b:c' is no selector"),
        ("iris[]", "'iris[]': '' is no parameter=value"),
        ("iris[n_train]", "'iris[n_train]': 'n_train' is no parameter=value"),
        ("iris[n_train=]", "'n_train=' is no parameter=value"),
        ("iris[n_train=1,n_train=2]", "'n_train=2' is no parameter=value"),
        ("iris[n_trian=5]", "'iris' has no parameter 'n_trian': did you mean 'n_train'?"),
        ("iris[n_train=few]", "'iris': n_train=few is not int (default 100)"),
    ],
)
def test_the_error_of_a_wrong_selector_suggests_a_remedy(selector: str, fault: str) -> None:
    with pytest.raises(UsageError) as caught:
        chosen(selector)
    assert fault in str(caught.value)


@pytest.mark.parametrize(
    ("selection", "fault"),
    [
        ({"repeats": 0}, "repeats must be an integer from 1, or 'auto', not 0"),
        ({"repeats": "many"}, "repeats must be an integer from 1, or 'auto', not 'many'"),
        ({"seed": -1}, "seed must be an integer from 0, not -1"),
        ({"devices": ("cuda",), "models": ("nobody",)}, "no model matches 'nobody'"),
        ({"devices": ("cdua",)}, "no model computes on a device 'cdua': did you mean 'cuda'?"),
        ({"devices": ("xla:0",)}, "no model computes on a device 'xla:0': there are cpu, cuda"),
    ],
)
def test_an_impossible_plan_is_a_usage_error(selection: dict[str, Any], fault: str) -> None:
    with pytest.raises(UsageError) as caught:
        planned(**selection)
    assert fault in str(caught.value)


def test_a_missing_device_is_skipped_with_the_reason() -> None:
    here = registry()
    asked = {"datasets": ("iris",), "models": ("torch-mlp",), "devices": ("cpu", "cuda")}
    assert planned(here, **asked) == ["iris torch-mlp cpu", "iris prior cpu"]
    assert skipped(here, **asked) == {("torch-mlp", "cuda"): "no CUDA device here (there: cpu)"}


def test_a_device_that_a_model_cannot_use_is_skipped_with_the_reason() -> None:
    here = registry(devices=GPUS)
    asked = {"datasets": ("iris",), "models": ("numpy-softmax",), "devices": ("cuda",)}
    assert skipped(here, **asked) == {
        ("numpy-softmax", "cuda:0"): "'numpy-softmax' computes on cpu only"
    }


def test_a_baseline_that_cannot_use_the_device_runs_on_the_cpu() -> None:
    asked = {"datasets": ("iris",), "models": ("torch-mlp",), "devices": ("cuda",)}
    assert planned(registry(devices=GPUS), **asked) == [
        "iris torch-mlp cuda:0",
        "iris prior cpu",
    ]
    assert planned(registry(), **asked) == ["iris prior cpu"]


def test_a_kind_of_device_means_its_first_device_and_each_device_runs_once() -> None:
    devices = ("cuda", "cuda:0", "cuda:1", "cuda")
    assert planned(
        registry(devices=GPUS), datasets=("iris",), models=("torch-mlp",), devices=devices
    ) == ["iris torch-mlp cuda:0", "iris torch-mlp cuda:1", "iris prior cpu"]


def test_the_cpu_is_always_available() -> None:
    assert planned(registry(devices=()), datasets=("iris",), models=("prior",)) == [
        "iris prior cpu"
    ]


def test_accelerators_are_searched_only_when_one_is_selected() -> None:
    """The search imports libraries that take seconds to load."""

    def looked() -> Any:
        raise AssertionError("looked for devices")

    module = ModuleType("slow")
    module.harness_devices = harness.hookimpl(looked)  # type: ignore[attr-defined]
    module.harness_models = harness.hookimpl(lambda: MODELS)  # type: ignore[attr-defined]
    module.harness_datasets = harness.hookimpl(lambda: DATASETS)  # type: ignore[attr-defined]
    here = Registry([(Origin("slow", "slow", path="slow.py"), module)], [])
    assert planned(here, datasets=("iris",), models=("prior",)) == ["iris prior cpu"]
    assert not here.faults


def test_a_missing_package_is_skipped_with_its_name() -> None:
    here = registry(
        datasets=[
            *DATASETS[:1],
            harness.Dataset("remote", "fixed", draw, requires=("no_such_package_1",)),
        ],
        models=[
            *MODELS[1:2],
            harness.Model("boosted", make, requires=("json", "no_such_package_2.sub")),
        ],
    )
    assert planned(here) == ["iris prior cpu"]
    skips = plan(here, Selection(repeats=1)).skips
    assert {(skip.dataset.name, skip.model.name): skip.reason for skip in skips} == {
        (
            "iris",
            "boosted",
        ): "model 'boosted' needs 'no_such_package_2.sub', which is not installed here",
        (
            "remote",
            "boosted",
        ): "dataset 'remote' needs 'no_such_package_1', which is not installed here",
        (
            "remote",
            "prior",
        ): "dataset 'remote' needs 'no_such_package_1', which is not installed here",
    }


def test_parameters_of_a_model_whose_package_is_missing_are_a_usage_error() -> None:
    here = registry(models=[harness.Model("boosted", make, requires=("no_such_package_3",))])
    with pytest.raises(UsageError, match="'boosted' needs 'no_such_package_3', which is not"):
        planned(here, models=("boosted[l2=1]",))


def test_a_recipe_that_breaks_the_contract_is_named() -> None:
    here = registry(models=[harness.Model("mine", lambda setting, l2: None)])  # type: ignore[arg-type, return-value]
    with pytest.raises(PluginError, match="'mine': parameter 'l2' has no default; give it one"):
        planned(here, models=("mine[l2=1]",))


def test_the_first_missing_package_is_named() -> None:
    assert importable(["json", "os.path"]) is None
    assert importable(["json", "no_such_package_4", "no_such_package_5"]) == "no_such_package_4"


@pytest.mark.parametrize(
    ("name", "is_there"),
    [
        ("shared", True),
        ("shared.part", True),
        ("shared.part.any", True),  # modules inside a package with code are not checked
        ("shared.single", True),
        ("shared.other", False),
        ("shared.deep.part", True),
        ("shared.deep.other", False),
        ("whole.part", True),
    ],
)
def test_in_a_shared_namespace_the_named_part_must_be_installed(
    name: str, is_there: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    boom = "raise AssertionError('looking for a package runs none of its code')"
    folder = uuid4().hex
    shared, whole = f"shared_{folder}", f"whole_{folder}"
    for file in (
        *(f"{shared}/part/__init__.py", f"{shared}/single.py", f"{shared}/deep/part/__init__.py"),
        f"{whole}/__init__.py",
    ):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text(boom)
    monkeypatch.syspath_prepend(tmp_path)
    name = name.replace("shared", shared).replace("whole", whole)
    assert importable(["json", name]) == (None if is_there else name)


def test_each_train_size_is_a_separate_dataset_on_the_same_splits() -> None:
    planned_run = plan(
        registry(), Selection(("iris",), ("numpy-softmax",), train_sizes=(50, 20, 50))
    )
    names = list(dict.fromkeys(str(trial.dataset) for trial in planned_run.trials))
    assert names == ["iris[train_size=50]", "iris[train_size=20]"]
    seeds = {
        str(trial.dataset): trial.split_seed for trial in planned_run.trials if trial.repeat == 1
    }
    whole = plan(registry(), Selection(("iris",), ("numpy-softmax",))).trials
    assert set(seeds.values()) == {trial.split_seed for trial in whole if trial.repeat == 1}
    assert len({trial.key for trial in planned_run.trials}) == len(planned_run.trials)


def test_a_printed_dataset_with_a_train_size_selects_itself() -> None:
    choices = choose(["threshold[n_train=30,train_size=10]"], registry().datasets, "dataset")
    assert choices == [Choice("threshold", (("n_train", 30), ("train_size", 10)))]
    with pytest.raises(UsageError, match="train_size=few"):
        choose(["iris[train_size=few]"], registry().datasets, "dataset")


def test_train_sizes_below_1_are_refused() -> None:
    with pytest.raises(UsageError, match="from 1"):
        plan(registry(), Selection(train_sizes=(0,)))
