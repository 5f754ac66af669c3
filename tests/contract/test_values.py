"""The key and the seeds of a trial depend only on its dataset, model, device, repeat and seed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from harness.contract.values import Choice, Device, Kernel, Trial, written

TRIAL = Trial(Choice("iris"), Choice("numpy-softmax"), "cpu", repeat=0, seed=0)


def test_every_model_sees_the_same_split() -> None:
    others = [
        replace(TRIAL, model=Choice("torch-mlp")),
        replace(TRIAL, model=Choice("numpy-softmax", (("l2", 1.0),))),
        replace(TRIAL, device="cuda:0"),
    ]
    assert {trial.split_seed for trial in others} == {TRIAL.split_seed}


@pytest.mark.parametrize(
    "change",
    [
        {"repeat": 1},
        {"dataset": Choice("wine")},
        {"dataset": Choice("iris", (("test_size", 0.5),))},
        {"seed": 1},
    ],
)
def test_the_split_differs_by_repeat_dataset_and_seed(change: dict[str, object]) -> None:
    other = replace(TRIAL, **change)  # type: ignore[arg-type]
    assert other.split_seed != TRIAL.split_seed
    assert other.model_seed != TRIAL.model_seed


def test_two_parameter_choices_of_a_model_share_a_seed() -> None:
    assert replace(TRIAL, model=Choice("numpy-softmax", (("l2", 1.0),))).model_seed == (
        TRIAL.model_seed
    )


def test_two_models_have_different_seeds_which_also_differ_from_the_split_s() -> None:
    other = replace(TRIAL, model=Choice("torch-mlp"))
    assert len({TRIAL.model_seed, other.model_seed, TRIAL.split_seed}) == 3


def test_seeds_do_not_change_between_versions_of_the_harness() -> None:
    """Stored runs resume, and published tables are reproduced, with the same random draws."""
    assert (TRIAL.split_seed, TRIAL.model_seed) == (3098268449, 2303646086)


def test_every_library_accepts_the_seeds() -> None:
    seeds = [replace(TRIAL, repeat=repeat).split_seed for repeat in range(1000)]
    assert all(type(seed) is int and 0 <= seed < 2**32 for seed in seeds)
    assert len(set(seeds)) == 1000


def test_trials_that_differ_in_anything_have_different_keys() -> None:
    trials = [
        TRIAL,
        replace(TRIAL, repeat=1),
        replace(TRIAL, seed=1),
        replace(TRIAL, device="cuda:0"),
        replace(TRIAL, dataset=Choice("wine")),
        replace(TRIAL, dataset=Choice("iris", (("test_size", 0.5),))),
        replace(TRIAL, model=Choice("numpy-softmax", (("l2", 1.0),))),
        replace(TRIAL, dataset=TRIAL.model, model=TRIAL.dataset),
    ]
    assert len({trial.key for trial in trials}) == len(trials)


def test_a_key_is_the_same_for_equal_trials() -> None:
    assert replace(TRIAL).key == TRIAL.key


@pytest.mark.parametrize(
    ("choice", "text"),
    [
        (Choice("iris"), "iris"),
        (Choice("softmax", (("l2", 0.1),)), "softmax[l2=0.1]"),
        (
            Choice("mlp", (("bias", False), ("clip", None), ("hidden", (64, 32)))),
            "mlp[bias=false,clip=none,hidden=64x32]",
        ),
        (Choice("mlp", (("hidden", ()),)), "mlp[hidden=()]"),
    ],
)
def test_a_choice_is_written_as_people_write_it(choice: Choice, text: str) -> None:
    assert str(choice) == text


def test_numbers_are_written_with_all_their_digits() -> None:
    assert float(written(0.1 + 0.2)) == 0.1 + 0.2


def test_the_kind_of_a_device_is_its_name_without_the_index() -> None:
    assert [Device(name).kind for name in ("cpu", "cuda:0", "cuda:1")] == ["cpu", "cuda", "cuda"]


def test_a_kernel_takes_numpy_and_gives_numpy() -> None:
    kernel = Kernel(
        "half",
        prepare=lambda array, device: (array.tolist(), device),
        run=lambda prepared: [[1 / len(row)] * len(row) for row in prepared[0]],
        collect=np.array,
    )
    np.testing.assert_array_equal(kernel(np.zeros((3, 2))), np.full((3, 2), 0.5))
