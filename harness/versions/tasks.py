"""What both sides do: the same softmax, fit or prediction on the same data, fresh in every pair."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from harness.contract.parameters import parameters_of
from harness.contract.values import Choice, Trial, folds_in
from harness.errors import UsageError
from harness.trials.plan import choose
from harness.trials.trial import setting_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from harness.contract.registry import Registry
    from harness.trials.discovery import Described

    Spec: TypeAlias = dict[str, Any]

Kind: TypeAlias = Literal["softmax", "fit", "predict"]
KINDS: tuple[Kind, ...] = ("softmax", "fit", "predict")

KERNELS = ("numpy-fast",)
MODELS = ("numpy-softmax", "notebook-mlp")
DATASETS = ("threshold",)
SHAPES = ((100_000, 10),)
DTYPES = ("float32",)
EPOCHS = 200
"""Of a model that has a parameter of that name: what an epoch takes does not depend on them."""


@dataclass(frozen=True, slots=True)
class Softmax:
    """A kernel on random logits, or one on each side.

    Args:
        kernels: of the two sides.
        shape: (n_samples, n_classes).
        dtype: ``float32`` or ``float64``.
        device: its name.
    """

    kernels: tuple[str, str]
    shape: tuple[int, int]
    dtype: str
    device: str = "cpu"

    @property
    def key(self) -> tuple[str, str, str, str]:
        """Kind, subject, case and device."""
        n, k = self.shape
        return "softmax", _both(*self.kernels), f"{n}x{k} {self.dtype}", self.device

    def specs(self, _registry: Described, pair: int, seed: int, _folder: Path) -> tuple[Spec, Spec]:
        """What the sides are told to do in a pair."""
        first, second = (
            {
                "kind": "softmax",
                "subject": kernel,
                "shape": list(self.shape),
                "dtype": self.dtype,
                "device": self.device,
                "seed": [seed, pair],
            }
            for kernel in self.kernels
        )
        return first, second


@dataclass(frozen=True, slots=True)
class ModelCall:
    """A model's fit, or its prediction of the whole test part.

    Args:
        kind: ``fit`` or ``predict``.
        models: of the two sides.
        dataset: that both get, drawn here, so that neither side's code matters for it.
        device: its name.
    """

    kind: Literal["fit", "predict"]
    models: tuple[Choice, Choice]
    dataset: Choice
    device: str = "cpu"

    @property
    def key(self) -> tuple[str, str, str, str]:
        """Kind, subject, case and device."""
        return self.kind, _both(*map(str, self.models)), str(self.dataset), self.device

    def specs(self, registry: Described, pair: int, seed: int, folder: Path) -> tuple[Spec, Spec]:
        """What the sides are told to do in a pair; their data are written to the folder."""
        specs: list[Spec] = []
        for side, choice in enumerate(self.models):
            if side and choice == self.models[0]:
                specs.append(specs[0])
                continue
            trial = Trial(
                self.dataset,
                choice,
                self.device,
                pair,
                seed,
                folds_in(registry.datasets[self.dataset.name].kind),
            )
            material = registry.drawn(trial)
            prepared = material.prepared
            setting = setting_of(trial, material.n_classes, prepared)
            digest = hashlib.sha256(repr((self.key, pair, side)).encode()).hexdigest()[:16]
            file = folder / f"{digest}.npz"
            np.savez(
                file,
                X_train=prepared.X_train,
                y_train=prepared.y_train,
                X_test=prepared.X_test,
            )
            specs.append(
                {
                    "kind": self.kind,
                    "subject": choice.name,
                    "parameters": dict(choice.parameters),
                    "data": str(file),
                    "setting": {
                        "seed": setting.seed,
                        "device": setting.device,
                        "n_features": setting.n_features,
                        "n_classes": setting.n_classes,
                    },
                    "categorical": list(setting.categorical),
                }
            )
        return specs[0], specs[1]


Task: TypeAlias = Softmax | ModelCall


def tasks_of(
    registry: Registry,
    *,
    kernels: Sequence[str] = (),
    models: Sequence[str] = (),
    datasets: Sequence[str] = (),
    shapes: Sequence[tuple[int, int]] = (),
    dtypes: Sequence[str] = (),
    kinds: Sequence[Kind] = (),
    epochs: int = EPOCHS,
    device: str = "cpu",
) -> tuple[Task, ...]:
    """What to compare two versions by; where nothing is chosen, one softmax and two models.

    Args:
        registry: what there is here.
        kernels: names.
        models: selectors, as for ``datasets``.
        datasets: that models are fitted on.
        shapes: (n_samples, n_classes) of softmaxes.
        dtypes: of softmaxes.
        kinds: some of `KINDS`; all without.
        epochs: of models that have a parameter of that name and were given no other.
        device: where.

    Raises:
        UsageError: a name is not there, or nothing is left.
    """
    nothing = not (kernels or models or datasets or shapes or dtypes)
    if nothing or ((shapes or dtypes) and not kernels):
        kernels = KERNELS
    if nothing or (datasets and not models):
        models = MODELS
    found: list[Task] = [
        Softmax((kernel, kernel), shape, dtype, device)
        for kernel in _known_kernels(registry, kernels)
        for shape in shapes or SHAPES
        for dtype in dtypes or DTYPES
    ]
    if models:
        found += [
            ModelCall(kind, (choice, choice), dataset, device)
            for dataset in choose(datasets or DATASETS, registry.datasets, "dataset")
            for choice in _shortened(registry, choose(models, registry.models, "model"), epochs)
            for kind in ("fit", "predict")
        ]
    return _of_kinds(found, kinds)


def tasks_of_two_kernels(
    registry: Registry,
    kernels: tuple[str, str],
    shapes: Sequence[tuple[int, int]],
    dtypes: Sequence[str],
    *,
    kinds: Sequence[Kind] = (),
    device: str = "cpu",
) -> tuple[Task, ...]:
    """Two kernels against each other."""
    first, second = (_known_kernels(registry, [kernel])[0] for kernel in kernels)
    found = [
        Softmax((first, second), shape, dtype, device)
        for shape in shapes or SHAPES
        for dtype in dtypes or DTYPES
    ]
    return _of_kinds(found, kinds)


def tasks_of_two_models(
    registry: Registry,
    models: tuple[str, str],
    datasets: Sequence[str],
    *,
    kinds: Sequence[Kind] = (),
    epochs: int = EPOCHS,
    device: str = "cpu",
) -> tuple[Task, ...]:
    """Two models against each other, the same data for both."""
    pair = []
    for model in models:
        chosen = choose([model], registry.models, "model")
        if len(chosen) != 1:
            raise UsageError(f"'{model}' is {len(chosen)} models; a side is one")
        pair += _shortened(registry, chosen, epochs)
    found: list[Task] = [
        ModelCall(kind, (pair[0], pair[1]), dataset, device)
        for dataset in choose(datasets or DATASETS, registry.datasets, "dataset")
        for kind in ("fit", "predict")
    ]
    return _of_kinds(found, kinds)


def _of_kinds(found: Sequence[Task], kinds: Sequence[Kind]) -> tuple[Task, ...]:
    """Works of these kinds, or all, each once."""
    chosen = tuple(task for task in dict.fromkeys(found) if not kinds or task.key[0] in kinds)
    if not chosen:
        raise UsageError(f"nothing to measure is left by --only {','.join(kinds)}")
    return chosen


def _shortened(registry: Registry, choices: Sequence[Choice], epochs: int) -> list[Choice]:
    found = []
    for choice in choices:
        given = dict(choice.parameters)
        if "epochs" in parameters_of(registry.models[choice.name].make):
            given.setdefault("epochs", epochs)
        found.append(Choice(choice.name, tuple(given.items())))
    return found


def _known_kernels(registry: Registry, names: Sequence[str]) -> list[str]:
    from harness.timing.schedule import kernels_named

    return [kernel.name for kernel in kernels_named(registry, names)] if names else []


def _both(first: str, second: str) -> str:
    return first if first == second else f"{first} | {second}"
