"""Tasks for both sides: the same softmax, fit or prediction, on data drawn anew for every pair."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from harness.contract.values import Choice, Trial, folds_in
from harness.errors import UsageError
from harness.trials.plan import choose, choose_or_default, default_in
from harness.trials.trial import setting_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from harness.contract.registry import Registry
    from harness.trials.discovery import Described

    Spec: TypeAlias = dict[str, Any]
    """The orders for one task, as JSON for `harness.versions.side_process`."""

Kind: TypeAlias = Literal["softmax", "fit", "predict"]
KINDS: tuple[Kind, ...] = ("softmax", "fit", "predict")

SHAPES = ((100_000, 10),)
DTYPES = ("float32",)
EPOCHS = 200
"""Default number of epochs for models that count them."""


@dataclass(frozen=True, slots=True)
class Softmax:
    """A kernel on random logits; each side may have its own kernel.

    Args:
        kernels: names of the two sides' kernels.
        shape: (n_samples, n_classes).
        dtype: ``float32`` or ``float64``.
        device: name of the device.
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
        """Each side's orders for a pair, as JSON."""
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
    """A model's fit, or its predictions for all test rows; each side may have its own model.

    Args:
        kind: ``fit`` or ``predict``.
        models: the two sides' models.
        dataset: the dataset; drawn by the coordinator, so that neither side's code affects it.
        device: name of the device.
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
        """Each side's orders for a pair, as JSON; writes the data into the folder."""
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
                X_train=as_array(prepared.X_train),
                y_train=prepared.y_train,
                X_test=as_array(prepared.X_test),
            )
            specs.append(
                {
                    "kind": self.kind,
                    "subject": choice.name,
                    "parameters": choice.arguments,
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


def as_array(table: Any) -> Any:
    """A table that NumPy can save: a DataFrame as the only element of an array."""
    if isinstance(table, np.ndarray):
        return table
    array = np.empty((), dtype=object)
    array[()] = table
    return array


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
    """The tasks for comparing two versions; by default those that plugins declare for ``ab``.

    Args:
        registry: all plugins' offers in this environment.
        kernels: names or globs of kernels.
        models: selectors of models.
        datasets: selectors of the datasets to fit models on.
        shapes: (n_samples, n_classes) of softmaxes.
        dtypes: types of softmaxes.
        kinds: some of `KINDS`; all of them if empty.
        epochs: number of epochs for models that count their epochs, where the user has not set.
        device: name of the device.

    Raises:
        UsageError: a name does not exist, or no task is left.
    """
    nothing_chosen = not (kernels or models or datasets or shapes or dtypes)
    if nothing_chosen or ((shapes or dtypes) and not kernels):
        kernels = default_in("ab", registry.kernels)
    if nothing_chosen or (datasets and not models):
        models = default_in("ab", registry.models)
    tasks: list[Task] = [
        Softmax((kernel, kernel), shape, dtype, device)
        for kernel in _known_kernels(registry, kernels)
        for shape in shapes or SHAPES
        for dtype in dtypes or DTYPES
    ]
    if models:
        tasks += [
            ModelCall(kind, (choice, choice), dataset, device)
            for dataset in choose_or_default(datasets, "ab", registry.datasets, "dataset")
            for choice in _shortened(registry, choose(models, registry.models, "model"), epochs)
            for kind in ("fit", "predict")
        ]
    return _of_kinds(tasks, kinds)


def tasks_of_two_kernels(
    registry: Registry,
    kernels: tuple[str, str],
    shapes: Sequence[tuple[int, int]],
    dtypes: Sequence[str],
    *,
    kinds: Sequence[Kind] = (),
    device: str = "cpu",
) -> tuple[Task, ...]:
    """The tasks for comparing two kernels."""
    first, second = (_known_kernels(registry, [kernel])[0] for kernel in kernels)
    tasks = [
        Softmax((first, second), shape, dtype, device)
        for shape in shapes or SHAPES
        for dtype in dtypes or DTYPES
    ]
    return _of_kinds(tasks, kinds)


def tasks_of_two_models(
    registry: Registry,
    models: tuple[str, str],
    datasets: Sequence[str],
    *,
    kinds: Sequence[Kind] = (),
    epochs: int = EPOCHS,
    device: str = "cpu",
) -> tuple[Task, ...]:
    """The tasks for comparing two models on the same data."""
    choices = []
    for model in models:
        chosen = choose([model], registry.models, "model")
        if len(chosen) != 1:
            raise UsageError(f"'{model}' matches {len(chosen)} models; a side needs exactly one")
        choices += _shortened(registry, chosen, epochs)
    tasks: list[Task] = [
        ModelCall(kind, (choices[0], choices[1]), dataset, device)
        for dataset in choose_or_default(datasets, "ab", registry.datasets, "dataset")
        for kind in ("fit", "predict")
    ]
    return _of_kinds(tasks, kinds)


def _of_kinds(tasks: Sequence[Task], kinds: Sequence[Kind]) -> tuple[Task, ...]:
    """The tasks of the given kinds, or of all kinds, without duplicates."""
    chosen = tuple(task for task in dict.fromkeys(tasks) if not kinds or task.key[0] in kinds)
    if not tasks:
        raise UsageError(
            "nothing is selected, and no installed plugin has a default; add "
            "--kernel NAME or --model NAME"
        )
    if not chosen:
        raise UsageError(f"--only {','.join(kinds)} leaves nothing to measure")
    return chosen


def _shortened(registry: Registry, choices: Sequence[Choice], epochs: int) -> list[Choice]:
    shortened = []
    for choice in choices:
        given = dict(choice.parameters)
        if counted := registry.models[choice.name].epochs:
            given.setdefault(counted, epochs)
        shortened.append(Choice(choice.name, tuple(given.items())))
    return shortened


def _known_kernels(registry: Registry, names: Sequence[str]) -> list[str]:
    from harness.timing.schedule import kernels_named

    return [kernel.name for kernel in kernels_named(registry, names)] if names else []


def _both(first: str, second: str) -> str:
    return first if first == second else f"{first} | {second}"
