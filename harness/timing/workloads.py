"""Defines the workloads: softmax kernels on random logits; fits and predictions of pairings.

A pairing is a model on a dataset and device. A group is a plain description that can be sent to
another process, which turns it into workloads and times them in turns.
"""

from __future__ import annotations

import contextlib
import math
import time
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

import numpy as np

from harness.contract.columns import rows_of
from harness.contract.values import RUNNING, TO_PREDICT, TimedCall, WorkloadKey
from harness.errors import ProbabilityError, UsageError
from harness.processes.threads import give_threads
from harness.statistics.rows import CLIP
from harness.timing.cases import SoftmaxCase
from harness.timing.engine import Workload, WrongOutputError
from harness.timing.leftovers import at_rest, first_answer, goes_on
from harness.timing.reference import (
    SCALE,
    TOLERANCE,
    SoftmaxCheck,
    random_logits,
    softmax,
)
from harness.trials import scoring
from harness.trials.answers import computed, concrete, settle
from harness.trials.plan import importable
from harness.trials.preparation import prepare
from harness.trials.trial import draw, ordered, seed_globals, setting_of, takes_monitor

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from harness.contract.registry import Registry
    from harness.contract.values import Array, Choice, Classifier, Device, Kernel, Trial

FAR = -1e7
"""Mean of logits at which a softmax fails unless it subtracts the maximum."""

AGREEMENT = 1e-4
"""Tolerance between probabilities that were computed in two ways."""

LIKENESS = 0.02
"""Tolerance between the likelihoods of a model and its plain loop: rounding errors grow during
training."""

CACHED, CACHED_ELSEWHERE = 1 << 25, 1 << 27
"""Sizes in bytes from which an array is too large for caches to matter: a core's caches, and an
accelerator's (the latest have 64 MiB)."""


@dataclass(frozen=True, slots=True)
class SoftmaxGroup:
    """Kernels side by side on one array.

    Args:
        kernels: names of the kernels.
        shape: (n_samples, n_classes).
        dtype: ``float32`` or ``float64``.
        device: name of the device.
        cold: the caches are overwritten before each call.
    """

    kernels: tuple[str, ...]
    shape: tuple[int, int]
    dtype: str
    device: str
    cold: bool = False
    fewest_rounds: ClassVar[int] = 3

    @property
    def case(self) -> str:
        """Shape, type and state of the caches, such as ``100000x10 float32 warm``."""
        n_samples, n_classes = self.shape
        caches = "cold" if self.cold else "warm"
        return str(SoftmaxCase(f"{n_samples}x{n_classes}", self.dtype, caches))

    @property
    def bytes(self) -> int:
        """Size of the array."""
        return self.shape[0] * self.shape[1] * np.dtype(self.dtype).itemsize

    @property
    def is_cold_anyhow(self) -> bool:
        """Whether the array is so large that the device's caches do not matter."""
        return self.bytes >= (CACHED if self.device == "cpu" else CACHED_ELSEWHERE)

    @property
    def weight(self) -> float:
        """Estimated seconds of one round, which determine the group's share of the time."""
        return len(self.kernels) * (0.1 + self.bytes * 3e-8)

    @property
    def keys(self) -> tuple[WorkloadKey, ...]:
        """Keys of the kernels' workloads."""
        return tuple(
            WorkloadKey(TimedCall.SOFTMAX, kernel, self.case, self.device)
            for kernel in self.kernels
        )

    def without(self, key: WorkloadKey) -> SoftmaxGroup | None:
        """The group without the kernel of a key; None if no kernel is left."""
        left = tuple(kernel for kernel in self.kernels if kernel != key.subject)
        return replace(self, kernels=left) if left else None

    def workloads(self, registry: Registry, seed: int, _threads: int = 1) -> list[Workload]:
        """A workload for each kernel, and for a copy."""
        rng = np.random.default_rng(seed)
        logits = random_logits(rng, self.shape, self.dtype)
        logits.flags.writeable = False
        device = find_device(registry, self.device)
        reference = SoftmaxCheck(rng, logits)
        evict = device.evictor() if self.cold and device.evictor else None
        workload = partial(
            Workload,
            case=self.case,
            device=self.device,
            synchronize=device.synchronize,
            elapsed=device.elapsed,
            before=evict,
        )

        owned: dict[str, Array] = {}

        def check(kernel: Kernel, output: Any) -> Mapping[str, float]:
            given = owned[kernel.name]
            if given is not logits and not np.array_equal(given, logits):
                raise WrongOutputError("writes to the logits that it was given")
            probabilities = np.asarray(kernel.collect(output))
            if fault := reference.fault(probabilities):
                raise WrongOutputError(fault)
            return {
                "error": reference.error(probabilities),
                "survives": float(survives(kernel, self.device, self.dtype, self.shape[1])),
            }

        def setup(kernel: Kernel) -> Callable[[], Any]:
            # On the CPU each kernel gets a copy of the logits, so that a kernel that works in place
            # cannot spoil the others' input. On other devices `prepare` makes a copy anyway.
            owned[kernel.name] = logits.copy() if device.kind == "cpu" else logits
            owned[kernel.name].flags.writeable = False
            return running(kernel, kernel.prepare(owned[kernel.name], self.device), device)

        workloads = [
            workload(
                TimedCall.SOFTMAX,
                name,
                setup=partial(setup, registry.kernels[name]),
                check=partial(check, registry.kernels[name]),
                poison=poison,
            )
            for name in self.kernels
        ]
        if device.copier:
            workloads.append(workload(TimedCall.COPY, "copy", setup=partial(device.copier, logits)))
        return workloads


@dataclass(frozen=True, slots=True)
class TimedPairing:
    """A model on a dataset and device, and which of its calls to time.

    Args:
        trials: the pairing's repeats; the first is the one that is fitted alone.
        epochs: number of epochs of a fit, if known.
        cut: smaller number of epochs for the timed fits, set by `Model.epochs`.
        together: also time the fit of all trials at once.
        reference: also time the model's reference.
        predict: also time predictions and the softmax of the model's logits.
        weight: estimated seconds of one round.
    """

    trials: tuple[Trial, ...]
    epochs: int | None = None
    cut: int | None = None
    together: bool = False
    reference: bool = False
    predict: bool = False
    weight: float = 1.0

    @property
    def key(self) -> WorkloadKey:
        """The key of the pairing's fit."""
        trial = self.trials[0]
        return WorkloadKey(TimedCall.FIT, str(trial.model), str(trial.dataset), trial.device)


@dataclass(frozen=True, slots=True)
class TrainingGroup:
    """Pairings of one dataset and device, which are timed in turns."""

    pairings: tuple[TimedPairing, ...]
    fewest_rounds: ClassVar[int] = 1

    @property
    def case(self) -> str:
        """The dataset."""
        return str(self.pairings[0].trials[0].dataset)

    @property
    def keys(self) -> tuple[WorkloadKey, ...]:
        """Keys of the pairings' fits."""
        return tuple(pairing.key for pairing in self.pairings)

    def without(self, key: WorkloadKey) -> TrainingGroup | None:
        """The group without the workload of a key; None if no pairing is left.

        Without its fit a pairing is left out entirely, because it could not predict.
        """
        left = []
        for pairing in self.pairings:
            if pairing.key != key._replace(kind=TimedCall.FIT):
                left.append(pairing)
            elif key.kind.whole is TimedCall.TOGETHER:
                left.append(replace(pairing, together=False))
            elif key.kind.whole is TimedCall.REFERENCE:
                left.append(replace(pairing, reference=False))
            elif key.kind.whole is not TimedCall.FIT:
                left.append(replace(pairing, predict=False))
        return TrainingGroup(tuple(left)) if left else None

    @property
    def weight(self) -> float:
        """Estimated seconds of one round."""
        return sum(pairing.weight for pairing in self.pairings)

    def workloads(
        self,
        registry: Registry,
        seed: int,
        threads: int = 1,
        clock: Callable[[], float] = time.perf_counter,
    ) -> list[Workload]:
        """The workloads of all pairings; the seed selects the fit to check among fits at once."""
        rng = np.random.default_rng(seed)
        return [
            workload
            for pairing in self.pairings
            for workload in _PairingWorkloads(pairing, registry, rng, threads, clock).workloads()
        ]


Group: TypeAlias = SoftmaxGroup | TrainingGroup


class _PairingWorkloads:
    """A pairing's workloads, with the data and the fitted classifier that they share."""

    def __init__(
        self,
        pairing: TimedPairing,
        registry: Registry,
        rng: np.random.Generator,
        threads: int,
        clock: Callable[[], float],
    ) -> None:
        self.pairing, self.rng, self.threads, self.clock = pairing, rng, threads, clock
        self.trial = pairing.trials[0]
        self.model = registry.models[self.trial.model.name].chosen(self.trial.model)
        self.registry = registry
        self.device = find_device(registry, self.trial.device)
        dataset = registry.datasets[self.trial.dataset.name]
        wanted = pairing.trials if pairing.together else pairing.trials[:1]
        self.parts = []
        for trial in wanted:
            data = draw(dataset, trial.split_seed, dict(trial.dataset.parameters), trial.repeat)
            self.parts.append((trial, data, prepare(data, self.model.needs)))
        self.fitted: Classifier | None = None
        self.settles = True
        self.figures: dict[str, Mapping[str, float]] = {}  # by kind of fit, computed once
        self.workload = partial(
            Workload,
            subject=str(self.trial.model),
            case=str(self.trial.dataset),
            device=self.trial.device,
            synchronize=self.device.synchronize,
        )

    def workloads(self) -> list[Workload]:
        workloads = self._fits(TimedCall.FIT, self.model.make)
        if self.pairing.reference and self.model.reference:
            workloads += self._fits(TimedCall.REFERENCE, self.model.reference)
        if self.pairing.together and self.model.fit_together and len(self.parts) > 1:
            workloads.append(self._fit_together())
            if self._counted:
                workloads.append(self._fit_together(1))
        if self.pairing.predict:
            workloads += [
                self._predict(TimedCall.PREDICT),
                self._predict(TimedCall.PREDICT_ROW),
                *self._softmax(),
            ]
        return workloads

    def _fits(self, kind: TimedCall, make: Callable[..., Classifier]) -> list[Workload]:
        """A fit and, if epochs can be set, a fit of one epoch, which tells the fixed cost apart."""
        return [
            self._fit(kind, make),
            *([self._fit(kind.once, make)] if self._counted and kind.once else []),
        ]

    def _make(
        self, make: Callable[..., Classifier], index: int = 0, epochs: int | None = None
    ) -> Classifier:
        trial, data, prepared = self.parts[index]
        parameters = trial.model.arguments
        epochs = epochs or self.pairing.cut
        if epochs is not None:
            parameters[self.model.epochs] = epochs
        seed_globals(trial.model_seed)
        made = make(setting_of(trial, len(data.trained), prepared), **parameters)
        give_threads(made, self.threads)
        return made

    def _fit(self, kind: TimedCall, make: Callable[..., Classifier]) -> Workload:
        """A fit, or a fit of a single epoch."""
        only = 1 if kind.whole is not kind else None
        _, data, prepared = self.parts[0]
        made: list[Classifier] = []
        rests = False

        def setup() -> Callable[[], Any]:
            nonlocal rests
            rests = only is None and at_rest()
            return run

        def before() -> None:
            made[:] = [self._make(make, epochs=only)]

        def run() -> Classifier:
            made[0].fit(prepared.X_train, prepared.y_train)
            self._settle(made)
            return made[0]

        def check(classifier: Classifier) -> Mapping[str, float]:
            if only is not None:
                self._probabilities(classifier)
                return {}
            running = goes_on() if rests and kind not in self.figures else 0.0
            P, late = self._first(classifier)
            if kind is TimedCall.FIT:
                self.fitted = classifier
            elif self.fitted is not None:
                expected = self._probabilities(self.fitted)
                self._require_likelihood(expected, P, "the model itself", LIKENESS)
            if kind not in self.figures:
                self.figures[kind] = {**figures(), RUNNING: running}
            return {**self.figures[kind], TO_PREDICT: late}

        def figures() -> Mapping[str, float]:
            epochs = self.pairing.cut or self.pairing.epochs
            if epochs is None:
                epochs = self._count_epochs(make)
            counts: dict[str, float] = {"n_train": len(data.y_train), "n_test": len(data.y_test)}
            if self.pairing.cut:
                counts["cut_from"] = self.pairing.epochs or 0
            if epochs:
                counts["epochs"] = epochs
            return counts

        return self.workload(kind, setup=setup, check=check, before=before)

    def _settle(self, made: list[Classifier]) -> None:
        """Wait for work that fits leave pending, inside the clock.

        Once a fit has left nothing to wait for, later fits are not waited for.
        """
        self.settles = self.settles and settle(made)

    @property
    def _counted(self) -> bool:
        """Whether a parameter of the model sets the number of epochs."""
        return bool(self.model.epochs)

    def _count_epochs(self, make: Callable[..., Classifier]) -> int:
        """The number of epochs of one more fit, by its monitor; 0 if the fit takes no monitor."""
        classifier = self._make(make)
        if not takes_monitor(classifier):
            return 0
        _, _, prepared = self.parts[0]
        last = [0]

        def monitor(epoch: int, _predict: object) -> None:
            last[0] = int(epoch)

        classifier.fit(prepared.X_train, prepared.y_train, monitor=monitor)  # type: ignore[call-arg]  # it takes one
        return last[0]

    def _fit_together(self, epochs: int | None = None) -> Workload:
        made: list[Classifier] = []
        alone: list[Array] = []
        chosen = int(self.rng.integers(len(self.parts)))
        Xs = [prepared.X_train for _, _, prepared in self.parts]
        ys = [prepared.y_train for _, _, prepared in self.parts]
        fit_together = self.model.fit_together
        assert fit_together is not None
        rests = False

        def setup() -> Callable[[], Any]:
            nonlocal rests
            rests = at_rest()
            if len({X.shape for X in Xs}) > 1:
                raise UsageError("its repeats differ in shape, so they are fitted one by one")
            return run

        def before() -> None:
            indices = range(len(self.parts))
            made[:] = [self._make(self.model.make, i, epochs) for i in indices]

        def run() -> list[Classifier]:
            fit_together(made, Xs, ys, [None] * len(made))
            self._settle(made)
            return made

        def check(classifiers: list[Classifier]) -> Mapping[str, float]:
            running = goes_on() if rests and not alone else 0.0
            firsts = [self._first(each, i) for i, each in enumerate(classifiers)]
            probabilities = [P for P, _ in firsts]
            # A lone fit of a random repeat checks that the fit at once really trained all of them.
            if not alone:
                lone = self._make(self.model.make, chosen, epochs)
                lone.fit(Xs[chosen], ys[chosen])
                alone.append(self._probabilities(lone, chosen))
            self._require_likelihood(alone[0], probabilities[chosen], "alone", AGREEMENT, chosen)
            late = math.fsum(late for _, late in firsts)
            return {"together": len(classifiers), RUNNING: running, TO_PREDICT: late}

        kind = TimedCall.TOGETHER if epochs is None else TimedCall.TOGETHER_ONCE
        return self.workload(kind, setup=setup, check=check, before=before)

    def _require_likelihood(
        self, expected: Array, actual: Array, whose: str, tolerance: float, index: int = 0
    ) -> None:
        """Check that probabilities reach about the same likelihood as the expected ones.

        Raises:
            WrongOutputError: the likelihoods differ by more than the tolerance.
        """
        _, data, _ = self.parts[index]
        y = np.searchsorted(data.trained, data.y_test)
        expected_likelihood, likelihood = (
            float(np.exp(np.log(np.maximum(P[np.arange(len(y)), y], CLIP)).mean()))
            for P in (expected, actual)
        )
        if abs(expected_likelihood - likelihood) > tolerance:
            raise WrongOutputError(
                f"ends at likelihood {likelihood:.4f}, but {whose} at {expected_likelihood:.4f}"
            )

    def _first(self, classifier: Classifier, index: int = 0) -> tuple[Array, float]:
        """A fresh classifier's probabilities, and the seconds of work that its fit left to them."""
        X = self.parts[index][2].X_test
        answer, late = first_answer(lambda: classifier.predict_proba(X), self.clock)
        return self._checked(classifier, answer, index), late

    def _probabilities(self, classifier: Classifier, index: int = 0) -> Array:
        """The probabilities of the test rows.

        Raises:
            WrongOutputError: they are not valid probabilities.
        """
        _, _, prepared = self.parts[index]
        return self._checked(classifier, classifier.predict_proba(prepared.X_test), index)

    def _checked(self, classifier: Classifier, output: Any, index: int = 0, n: int = -1) -> Array:
        _, data, prepared = self.parts[index]
        K = len(data.trained)
        n = len(prepared.X_test) if n < 0 else n
        try:
            return scoring.check_probabilities(ordered(classifier, output, K), n, K)
        except ProbabilityError as error:
            raise WrongOutputError(str(error)) from None

    def _predict(self, kind: TimedCall) -> Workload:
        _, _, prepared = self.parts[0]
        X = rows_of(prepared.X_test, slice(1)) if kind is TimedCall.PREDICT_ROW else prepared.X_test

        def setup() -> Callable[[], Any]:
            if self.fitted is None:
                raise UsageError("its fit failed")
            predict_proba = self.fitted.predict_proba

            def run() -> Any:
                # The answer is returned unconverted, so that a repeated object is recognised.
                answer = predict_proba(X)
                concrete(answer)
                return answer

            return run

        def check(output: Any) -> Mapping[str, float]:
            assert self.fitted is not None
            P = self._checked(self.fitted, output, n=len(X))
            if kind is TimedCall.PREDICT_ROW:
                batch = self._probabilities(self.fitted)
                error = float(np.abs(P[0] - batch[0]).max())
                if not error <= AGREEMENT:
                    raise WrongOutputError(
                        f"predicted alone, a row has a probability that differs by {error:.2g} "
                        f"from the one it has among all rows"
                    )
            return {"n_test": len(X)}

        single = kind is TimedCall.PREDICT_ROW
        return self.workload(kind, setup=setup, check=check, single=single, poison=poison)

    def _softmax(self) -> list[Workload]:
        """The softmax of the model's own logits: up to a constant, its log probabilities."""
        kernel = kernel_for(self.registry, self.trial.model, self.trial.device)
        if kernel is None:
            return []
        _, data, prepared = self.parts[0]
        expected: list[Array] = []

        def setup() -> Callable[[], Any]:
            if self.fitted is None:
                raise UsageError("its fit failed")
            P = ordered(self.fitted, self.fitted.predict_proba(prepared.X_train), len(data.trained))
            expected[:] = [np.asarray(P, np.float64)]
            logits = np.log(np.maximum(expected[0], CLIP)).astype(self.model.needs.dtype)
            return running(kernel, kernel.prepare(logits, self.trial.device), self.device)

        def check(output: Any) -> Mapping[str, float]:
            error = float(np.abs(kernel.collect(output) - expected[0]).max(initial=0.0))
            if not error <= 1e-4:
                raise WrongOutputError(f"a probability differs by {error:.2g}")
            return {}

        return [
            self.workload(
                TimedCall.LOGITS,
                setup=setup,
                check=check,
                poison=poison,
                elapsed=self.device.elapsed,
            )
        ]


def running(kernel: Kernel, prepared: Any, device: Device) -> Callable[[], Any]:
    """The call of a kernel to time, which returns only after the output has been computed.

    On a device other than the CPU, the clock waits for the device, so that nothing else is needed:
    copying the output back is not the kernel's work.
    """
    waited_for = device.kind != "cpu"

    def run() -> Any:
        return computed(kernel.run(prepared), kernel.collect, waited_for=waited_for)

    return run


def kernel_for(registry: Registry, model: Choice, device: str) -> Kernel | None:
    """A stable kernel for a device: from the model's plugin if possible, else the default one."""
    kind = device.partition(":")[0]
    fit = [
        kernel
        for kernel in registry.kernels.values()
        if kernel.stable
        and kernel.by_default
        and kind in kernel.devices
        and not importable(kernel.requires)
    ]
    origin = registry.origin("models", model.name)
    own = [kernel for kernel in fit if registry.origin("kernels", kernel.name) == origin]
    default = [kernel for kernel in own or fit if "ab" in kernel.default_in]
    return next(iter(default or own or fit), None)


def find_device(registry: Registry, name: str) -> Device:
    """A device of this machine, by name.

    Raises:
        UsageError: this machine has no such device.
    """
    if name not in registry.devices:
        present = ", ".join(registry.devices) or "none"
        raise UsageError(f"no device '{name}' on this machine (there are: {present})")
    return registry.devices[name]


def survives(kernel: Kernel, device: str, dtype: str, n_classes: int) -> bool:
    """Whether a kernel gives the right probabilities for logits near -1e7."""
    rng = np.random.default_rng(0)
    logits = (rng.normal(scale=SCALE, size=(16, n_classes)) + FAR).astype(dtype)
    try:
        with np.errstate(all="ignore"):
            probabilities = kernel(logits, device)
        return bool(np.abs(probabilities - softmax(logits)).max() <= TOLERANCE[dtype])
    except Exception:  # noqa: BLE001  # plugins raise anything
        return False


def poison(output: Any) -> bool:
    """Overwrite an array with NaN, so that it cannot pass for a new result.

    Works for arrays of NumPy and other libraries, and for each item of a tuple or list. Returns
    False if an array cannot be overwritten.
    """
    if isinstance(output, tuple | list):
        return all([poison(item) for item in output])  # noqa: C419  # all, even if one refuses
    fill = getattr(output, "fill_", None) or getattr(output, "fill", None)
    with contextlib.suppress(ValueError, RuntimeError, TypeError):
        if callable(fill):
            fill(float("nan"))
    # Some arrays raise although they were overwritten, so only their contents tell.
    with contextlib.suppress(Exception):
        numbers = output.reshape(-1)
        return len(numbers) == 0 or bool(numbers[0] != numbers[0])
    return False
