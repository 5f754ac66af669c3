"""The process of one side of a comparison; its interpreter may have another harness version.

This file is run by its path. It uses only what every harness promises to plugins: the registry,
kernels and models. So the same code measures both sides, whatever versions they are. For the same
reason it loads a few more files of this harness by their paths: `_ours`.

It reads lines of JSON and answers in lines of JSON. The first line lists plugins and tasks; each
later line names a task and a number of calls.
"""

from __future__ import annotations

import gc
import importlib
import importlib.util
import json
import os
import time
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.timing.blocks import Block

    Spec = dict[str, Any]
    """The orders for one task, from JSON; `harness.versions.tasks` writes it."""

WARM_UP = 0.1
"""Seconds that each task runs before it is measured."""

CALIBRATED = 0.02
"""The least number of seconds for calls that calibrate the number of calls in a block."""

REGISTRY = ("harness.contract.registry", "harness.registry")
"""Modules that may hold a side's registry; the second is that of versions before 2026-11-27."""


def _loader() -> Callable[[list[str]], Any]:
    """The function of the side's harness that loads plugins into a registry."""
    first, second = REGISTRY
    try:
        return importlib.import_module(first).load  # type: ignore[no-any-return]  # any version's
    except ModuleNotFoundError as error:
        if error.name is None or not first.startswith(error.name):
            raise
    return importlib.import_module(second).load  # type: ignore[no-any-return]  # any version's


@cache
def _ours(file: str) -> Any:
    """A module of the harness that this file belongs to, instead of the side's own version."""
    path = Path(__file__).parents[1] / file
    spec = importlib.util.spec_from_file_location(f"_harness_ab_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class WrongError(Exception):
    """A task computes a wrong output."""


class MissingError(Exception):
    """The side has no kernel, model or device of that name."""


def main() -> None:
    """Answer lines until the input ends."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # keeps what plugins print apart from the answers
    lines = os.fdopen(os.dup(0), encoding="utf-8")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)  # keeps plugins from reading the questions
    os.close(nothing)

    def answer(value: object) -> None:
        answers.write(json.dumps(value) + "\n")
        answers.flush()

    orders = json.loads(lines.readline())
    try:
        registry = _loader()(orders["plugins"])
    except BaseException as error:  # noqa: BLE001  # a side may be broken in any way
        answer({"broken": f"its harness cannot be used: {_described(error)}"})
        return
    broken_plugins = [
        (fault.origin.name, " ".join(str(fault).split())) for fault in registry.faults
    ]
    answer({"faults": broken_plugins})
    prepared: list[Block | None] = []
    for task in orders["tasks"]:
        answer({"turn": len(prepared)})  # names the task to blame if this process ends
        block: Block | None = None
        try:
            block = _prepare(registry, task)
            answer({"seconds": _made_ready(block)})
        except MissingError as error:
            # A broken plugin may be the one that offers the name, so the side counts as broken.
            faults = [" ".join(str(fault).split()) for fault in registry.faults]
            if faults:
                answer({"broken": f"{error}; {'; '.join(faults)}"})
                return
            answer({"missing": str(error)})
        except (Exception, SystemExit) as error:  # noqa: BLE001  # plugins raise anything
            answer({"fault": _described(error)})
        prepared.append(block)
    gc.collect()
    gc.freeze()  # exempts all objects so far, so that later collections are fast
    gc.disable()
    for line in lines:
        request = json.loads(line)
        timed_block = prepared[request["work"]]
        assert timed_block is not None
        try:
            answer({"seconds": timed_block(request["calls"])})
        except (Exception, SystemExit) as error:  # noqa: BLE001  # plugins raise anything
            answer({"fault": _described(error)})
        gc.collect()


def _described(error: BaseException) -> str:
    """An exception on one line."""
    if isinstance(error, WrongError):
        return f"wrong: {error}"
    text: str = _ours("errors.py").describe(error)
    return text


def _made_ready(block: Block) -> float:
    """Calibrate a task and warm it up; returns the seconds of a call afterwards."""
    blocks, clock = _ours("timing/blocks.py"), time.perf_counter
    usual = block(1)
    calls = blocks.calibrated(block, CALIBRATED) if usual < CALIBRATED else 1
    seconds: float = blocks.warm_up(block, calls, WARM_UP, usual, clock)
    return seconds


def _prepare(registry: Any, task: Spec) -> Block:
    """Set a task up; returns a function from a number of calls to their average seconds."""
    if task["kind"] == "softmax":
        return _softmax(registry, task)
    return _doing(registry, task)


def _synchronizer(registry: Any, device: str) -> Callable[[], object]:
    """The function that waits until a device has finished its work; for the CPU it does nothing."""
    if device == "cpu":
        return _ours("timing/blocks.py").nothing  # type: ignore[no-any-return]  # loaded by path
    if device not in registry.devices:
        raise MissingError(f"no device '{device}'")
    synchronize: Callable[[], object] = registry.devices[device].synchronize
    return synchronize


def _softmax(registry: Any, task: Spec) -> Block:
    import numpy as np

    if task["subject"] not in registry.kernels:
        raise MissingError(f"no kernel '{task['subject']}'")
    kernel = registry.kernels[task["subject"]]
    reference = _ours("timing/reference.py")
    rng = np.random.default_rng(task["seed"])
    logits = reference.random_logits(rng, tuple(task["shape"]), task["dtype"])
    logits.flags.writeable = False
    synchronize = _synchronizer(registry, task["device"])
    prepared = kernel.prepare(logits, task["device"])
    computed, waited_for = _ours("trials/answers.py").computed, task["device"] != "cpu"

    def run() -> Any:
        return computed(kernel.run(prepared), kernel.collect, waited_for=waited_for)

    check = reference.SoftmaxCheck(rng, logits)
    if fault := check.fault(np.asarray(kernel.collect(run()))):
        raise WrongError(fault)
    return _block(run, synchronize)


def _doing(registry: Any, task: Spec) -> Block:
    """A model's fit or prediction, on data that the coordinator wrote for both sides."""
    import numpy as np

    import harness

    if task["subject"] not in registry.models:
        raise MissingError(f"no model '{task['subject']}'")
    model = registry.models[task["subject"]]
    with np.load(task["data"], allow_pickle=True) as data:
        arrays = [data[name] for name in ("X_train", "y_train", "X_test")]
    for array in arrays:
        array.flags.writeable = False
    # A DataFrame is the only element of its array.
    X_train, y_train, X_test = (array if array.ndim else array.item() for array in arrays)
    setting = harness.Setting(**task["setting"] | {"categorical": tuple(task["categorical"])})
    parameters = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in task["parameters"].items()
    }
    synchronize = _synchronizer(registry, setting.device)

    answers, give_threads = _ours("trials/answers.py"), _ours("processes/threads.py").give_threads
    threads = int(os.environ.get("OMP_NUM_THREADS", "1"))

    def make_classifier() -> Any:
        classifier = model.make(setting, **parameters)
        give_threads(classifier, threads)
        return classifier

    def fit(classifier: Any) -> None:
        classifier.fit(X_train, y_train)
        answers.settle(classifier)

    def fits(n: int) -> float:
        spent = 0.0
        for _ in range(n):
            classifier = make_classifier()
            spent += _block(partial(fit, classifier), synchronize)(1)
        return spent / n

    classifier = make_classifier()
    classifier.fit(X_train, y_train)
    P = np.asarray(answers.concrete(classifier.predict_proba(X_test)))
    if P.shape[0] != len(X_test) or not np.abs(P.sum(axis=1) - 1).max(initial=0.0) <= 1e-5:
        raise WrongError("its probabilities do not sum to 1")
    if task["kind"] == "fit":
        return fits
    X = X_test[:1] if task["kind"] == "predict-row" else X_test
    return _block(lambda: answers.concrete(classifier.predict_proba(X)), synchronize)


def _block(run: Callable[[], object], synchronize: Callable[[], object]) -> Block:
    timed, clock = _ours("timing/blocks.py").timed, time.perf_counter
    return lambda calls: timed(run, calls, synchronize, clock)


if __name__ == "__main__":
    main()
