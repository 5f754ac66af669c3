"""Models and datasets that misbehave, each in one way, to test isolation and error messages.

A plugin like any other: ``harness run --plugin harness.testing.faulty -m 'faulty:*'``.
"""

from __future__ import annotations

import ctypes
import itertools
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from harness.contract.hookspecs import hookimpl
from harness.contract.values import Dataset, Model, Split

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from harness.contract.values import Array, Setting

    Fault = Callable[[], object]
    Distortion = Callable[[Array], Array]


class Uniform:
    """Gives every class the same probability, unless its fault prevents that."""

    def __init__(
        self,
        setting: Setting,
        fault: Fault | None = None,
        distort: Distortion | None = None,
    ) -> None:
        self.n_classes = setting.n_classes
        self.fault = fault
        self.distort = distort

    def fit(self, _X: Array, _y: Array, /) -> Uniform:
        """Learn nothing, but commit the fault."""
        if self.fault:
            self.fault()
        return self

    def predict_proba(self, X: Array, /) -> Array:
        """Equal probabilities (n_samples, n_classes), distorted if the fault is a distortion."""
        P = np.full((len(X), self.n_classes), 1 / self.n_classes)
        return self.distort(P) if self.distort else P


# Faults while fitting.


def none() -> None:
    """Learns nothing, in no time: what a trial costs besides its model."""


def raises() -> NoReturn:
    """Raises a ValueError."""
    raise ValueError("faulty-raises raises")


def unpicklable_exception() -> NoReturn:
    """Raises an exception that cannot be pickled."""

    class Unpicklable(Exception):  # noqa: N818  # the name says what matters
        def __init__(self) -> None:
            super().__init__("this exception cannot be pickled")
            self.lock = threading.Lock()

        def __reduce__(self) -> NoReturn:
            raise TypeError("not even by hand")

    raise Unpicklable


def abort() -> NoReturn:
    """Aborts the process."""
    os.abort()


def segmentation_fault() -> None:
    """Reads memory at address 0."""
    ctypes.string_at(0)


def exit_zero() -> NoReturn:
    """Ends the process at once, as if all were well."""
    os._exit(0)


def sys_exit() -> NoReturn:
    """Calls sys.exit."""
    sys.exit("faulty-sys-exit exits")


def keyboard_interrupt() -> NoReturn:
    """Raises KeyboardInterrupt, as if somebody had pressed Ctrl-C."""
    raise KeyboardInterrupt


def endless_loop() -> NoReturn:
    """Loops for ever in Python."""
    while True:
        pass


def endless_c_loop() -> None:
    """Loops for ever in C, with the interpreter's lock: no Python signal handler gets to run."""
    all(itertools.repeat(True))


def ignores_sigterm() -> NoReturn:
    """Ignores SIGTERM and loops for ever: only SIGKILL ends it."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    while True:
        time.sleep(1)


def leaves_a_child() -> NoReturn:
    """Starts a child process that outlives it, and hangs."""
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3600)  # faulty"])
    while True:
        time.sleep(1)


def allocates_without_bound() -> NoReturn:
    """Takes and fills 50 MB of memory after 50 MB."""
    hoard = []
    while True:
        hoard.append(np.ones(50_000_000, dtype=np.uint8))


def prints_ten_megabytes() -> None:
    """Prints ten megabytes to stdout, half of them past Python's own buffer."""
    line = "faulty " * 128
    for _ in range(5_000_000 // len(line)):
        print(line)  # noqa: T201  # the fault
        os.write(1, f"{line}\n".encode())


def changes_directory() -> None:
    """Changes the current directory."""
    os.chdir("/")


def changes_environment() -> None:
    """Sets an environment variable that libraries read."""
    os.environ["OMP_NUM_THREADS"] = "7"


def changes_error_state() -> None:
    """Makes NumPy raise where it would warn."""
    np.seterr(all="raise")


def changes_torch_threads() -> None:
    """Sets torch to seven threads."""
    import torch

    torch.set_num_threads(7)


# Faults of the probabilities.


def wrong_shape(P: Array) -> Array:
    """Gives a column too many."""
    return np.column_stack([P, np.zeros(len(P))])


def nan(P: Array) -> Array:
    """Gives NaN."""
    return np.full_like(P, np.nan)


def negative(P: Array) -> Array:
    """Gives a negative probability, in rows that sum to 1."""
    P[:, 0] -= 1
    P[:, -1] += 1
    return P


def rows_not_one(P: Array) -> Array:
    """Gives rows that sum to 0.9."""
    return P * 0.9


def unpicklable_result(P: Array) -> Array:
    """Gives right probabilities, in an array that cannot be pickled."""

    class Unpicklable(np.ndarray[Any, np.dtype[Any]]):
        def __reduce__(self) -> NoReturn:
            raise TypeError("this array cannot be pickled")

    return P.view(Unpicklable)


# Faults that need a classifier of their own.


class WritesInput(Uniform):
    """Writes into X while it learns."""

    def fit(self, X: Array, _y: Array, /) -> Uniform:
        """Write a 0 into X."""
        X[0, 0] = 0
        return self


class KillsLater(Uniform):
    """Aborts the process 0.2 s after it last predicted, when somebody else's trial runs there."""

    timer: threading.Timer | None = None

    def predict_proba(self, X: Array, /) -> Array:
        """Equal probabilities; the process aborts in 0.2 s."""
        if self.timer:
            self.timer.cancel()
        self.timer = threading.Timer(0.2, os.abort)
        self.timer.daemon = True
        self.timer.start()
        return super().predict_proba(X)


class MakeFails(Uniform):
    """Cannot be made."""

    def __init__(self, setting: Setting) -> None:
        raise RuntimeError(f"faulty-make-fails makes nothing for {setting.n_classes} classes")


class NoPredictProba:
    """Learns, and then has no predict_proba."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting

    def fit(self, _X: Array, _y: Array, /) -> NoPredictProba:
        """Learn nothing."""
        return self


WHILE_FITTING: tuple[Fault, ...] = (
    none,
    raises,
    unpicklable_exception,
    abort,
    segmentation_fault,
    exit_zero,
    sys_exit,
    keyboard_interrupt,
    endless_loop,
    endless_c_loop,
    ignores_sigterm,
    leaves_a_child,
    allocates_without_bound,
    prints_ten_megabytes,
    changes_directory,
    changes_environment,
    changes_error_state,
    changes_torch_threads,
)
IN_THE_ANSWER = (wrong_shape, nan, negative, rows_not_one, unpicklable_result)
CLASSIFIERS: dict[str, type[Any]] = {
    "writes-input": WritesInput,
    "kills-later": KillsLater,
    "make-fails": MakeFails,
    "no-predict-proba": NoPredictProba,
}


@hookimpl
def harness_models() -> Iterator[Model]:
    """A model for every fault, tagged ``faulty``."""
    for fault in WHILE_FITTING:
        requires = ("torch",) if fault is changes_torch_threads else ()
        yield _model(_name(fault), fault.__doc__, partial(Uniform, fault=fault), requires)
    for distort in IN_THE_ANSWER:
        yield _model(_name(distort), distort.__doc__, partial(Uniform, distort=distort))
    for name, classifier in CLASSIFIERS.items():
        yield _model(f"faulty-{name}", classifier.__doc__, classifier)


def _model(
    name: str, about: str | None, build: Callable[[Setting], Any], requires: tuple[str, ...] = ()
) -> Model:
    return Model(
        name,
        make=lambda setting: build(setting),  # hides ``fault``, which users must not choose
        description=about or "",
        tags=("faulty",),
        requires=requires,
    )


def _name(function: Callable[..., object]) -> str:
    return "faulty-" + function.__name__.replace("_", "-")


# Faults of datasets.


def raises_too(_rng: np.random.Generator) -> NoReturn:
    """Raises a ValueError."""
    raise ValueError("faulty-raises raises")


def one_class(rng: np.random.Generator) -> Split:
    """Has one class only."""
    return _split(rng, train=(0,), test=(0,))


def nan_labels(rng: np.random.Generator) -> Split:
    """Has labels that are NaN."""
    split = _split(rng)
    return replace(split, y_train=np.where(np.arange(30) < 3, np.nan, split.y_train))


def no_rows(rng: np.random.Generator) -> Split:
    """Has no rows to learn from."""
    split = _split(rng)
    return replace(split, X_train=split.X_train[:0], y_train=split.y_train[:0])


def test_only_class(rng: np.random.Generator) -> Split:
    """Has a class in the test part that the training part lacks."""
    return _split(rng, train=(0, 1), test=(0, 1, 2))


def no_class_in_test(rng: np.random.Generator) -> Split:
    """Lacks a class in the test part, which is no fault: all columns are kept."""
    return _split(rng, train=(0, 1, 2), test=(0, 1))


def ragged(rng: np.random.Generator) -> Split:
    """Has a column more in the training part than in the test part."""
    split = _split(rng)
    return replace(split, X_test=split.X_test[:, :-1])


@hookimpl
def harness_datasets() -> Iterator[Dataset]:
    """A dataset for every fault, tagged ``faulty``."""
    faults = (one_class, nan_labels, no_rows, test_only_class, no_class_in_test, ragged)
    splits: dict[str, Callable[..., Split]] = {_name(fault): fault for fault in faults}
    for name, split in (splits | {"faulty-raises": raises_too}).items():
        yield Dataset(name, "fresh", split, description=split.__doc__ or "", tags=("faulty",))


def _split(
    rng: np.random.Generator,
    train: tuple[int, ...] = (0, 1, 2),
    test: tuple[int, ...] = (0, 1, 2),
) -> Split:
    """A split whose rows scatter about their label: 30 training and 30 test rows."""
    y_train, y_test = (np.resize(classes, 30) for classes in (train, test))
    X_train, X_test = (rng.normal(y[:, None], 0.5, size=(30, 2)) for y in (y_train, y_test))
    return Split(X_train, y_train, X_test, y_test)
