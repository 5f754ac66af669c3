"""Perceptrons trained on a CUDA device."""

from __future__ import annotations

import math
from typing import Any

import harness_torch
import harness_toys
import numpy as np
import pytest
import torch
from harness_torch.recording import recorded

import harness
from harness.contract.values import Choice, Trial
from harness.trials.executors.local import run_isolated
from harness.trials.preparation import encode, prepare

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
]

PLACES = ("cuda:0", "cpu")
MODELS = {model.name: model for model in harness_torch.harness_models()}


def threshold(name: str, seed: int = 0) -> Any:
    data = encode(harness_toys.threshold(np.random.default_rng(seed)))
    return prepare(data, MODELS[name].needs)


def setting(device: str, seed: int = 11) -> harness.Setting:
    return harness.Setting(seed=seed, device=device, n_features=1, n_classes=3)


@pytest.mark.parametrize("name", MODELS)
def test_a_gpu_learns_the_same_as_the_cpu(name: str) -> None:
    data = threshold(name)
    here, there = (
        MODELS[name].make(setting(device), epochs=20).fit(data.X_train, data.y_train)
        for device in ("cpu", "cuda:0")
    )
    assert next(there.network.parameters()).device == torch.device("cuda:0")
    np.testing.assert_allclose(
        there.predict_proba(data.X_test), here.predict_proba(data.X_test), atol=1e-2
    )


@pytest.mark.parametrize("name", MODELS)
def test_a_gpu_trains_several_models_at_once_as_it_trains_each_alone(name: str) -> None:
    model, parts = MODELS[name], [threshold(name, seed) for seed in range(3)]
    together = [model.make(setting("cuda:0", seed), epochs=20) for seed in range(3)]
    assert model.fit_together is not None
    Xs, ys = [part.X_train for part in parts], [part.y_train for part in parts]
    model.fit_together(together, Xs, ys, [None] * 3)
    for seed, (part, batched) in enumerate(zip(parts, together, strict=True)):
        lone = model.make(setting("cuda:0", seed), epochs=20).fit(part.X_train, part.y_train)
        np.testing.assert_allclose(
            batched.predict_proba(part.X_test), lone.predict_proba(part.X_test), atol=1e-4
        )


def test_the_memory_of_a_recorded_step_is_given_to_no_other_tensor() -> None:
    def counting() -> tuple[torch.Tensor, Any]:
        total, ones = (torch.full((1 << 20,), float(i), device="cuda:0") for i in range(2))
        return total, recorded(lambda: total.add_(ones), [total], torch.device("cuda:0"))

    total, step = counting()  # now only the step refers to its ones
    others = [torch.full((1 << 20,), 7.0, device="cuda:0") for _ in range(50)]
    step()
    assert total.unique().tolist() == [1.0]
    assert {float(other.mean()) for other in others} == {7.0}


def test_a_trial_s_peak_on_the_device_is_known_on_the_device_only() -> None:
    trials = [Trial(Choice("threshold"), Choice("torch-mlp"), place, 0, 0) for place in PLACES]
    by_place = {result.trial.device: result for result in run_isolated(trials, seconds=120.0)}
    there, here = (by_place[place] for place in PLACES)
    assert (there.failure, here.failure) == (None, None)
    assert 0 < there.memory.device_peak < 2**30
    assert math.isnan(here.memory.device_peak)
