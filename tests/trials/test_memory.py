"""The memory that a trial takes, and the size of its fitted model."""

from __future__ import annotations

import math
import pickle
import signal
import sys
import threading
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from doubles import Clock

from harness.contract.values import Choice, Memory, Trial
from harness.processes.memory import Level, device_peak, pickled_size
from harness.trials.discovery import discover
from harness.trials.executors.local import run_isolated

if TYPE_CHECKING:
    from pathlib import Path

MIB = 2**20
LONG = 60.0  # seconds; no trial here takes this long, even on a busy machine
TOLERANCE = 3 * MIB
"""A trial's figure is this close to what its model allocates."""

linux = pytest.mark.skipif(Level.now() is None, reason="the system does not tell peaks")

PLUGIN = """
import os, signal, subprocess, sys
import numpy as np
import harness

kept, freed = ([os.urandom(60) * 1000 for _ in range({ballast} // 60_000)] for _ in range(2))
above = os.urandom(60) * 1000  # so that the C library keeps what is freed below it
del freed

CHILD = '''
import sys
taken = b"x" * int(sys.argv[1])
print("ready", flush=True)
sys.stdin.read()
'''

class Taking:
    def __init__(self, n_bytes, how, K):
        self.n_bytes, self.how, self.K = n_bytes, how, K

    def fit(self, X, y):
        if self.how == "blocks":
            taken = [os.urandom(60) * 1000 for _ in range(self.n_bytes // 60_000)]
        elif self.how == "array":
            taken = np.ones(self.n_bytes // 8)
        elif self.how == "interpreter":
            command = [sys.executable, "-S", "-E", "-c", CHILD, str(self.n_bytes)]
            child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            child.stdout.readline()
            children.append(child)
        else:
            there, here = os.pipe()
            if os.fork() == 0:
                taken = np.ones(self.n_bytes // 8)
                os.write(here, b".")
                signal.pause()  # until it is killed
            os.read(there, 1)
        return self

    def predict_proba(self, X):
        return np.full((len(X), self.K), 1 / self.K)

children = []

@harness.hookimpl
def harness_models():
    for how in ("array", "blocks", "fork", "interpreter"):
        def make(setting, *, mib=0, how=how):
            return Taking(mib * 2**20, how, setting.n_classes)
        yield harness.Model(f"takes-{how}", make)
"""


def memory_of(folder: Path, choices: list[Choice], *, ballast: int = 0) -> dict[str, Memory]:
    """The memory of trials of models whose plugin keeps, and has freed, this many bytes."""
    plugin = folder / f"taking_{ballast}.py"
    plugin.write_text(PLUGIN.replace("{ballast}", str(ballast)))
    trials = [Trial(Choice("threshold"), choice, "cpu", 0, 0) for choice in choices]
    registry = discover([str(plugin)])
    try:
        results = list(run_isolated(trials, registry=registry, jobs=1, seconds=LONG))
    finally:
        registry.processes.close()
    assert [result.failure for result in results] == [None] * len(trials)
    return {str(result.trial.model): result.memory for result in results}


def taking(how: str, mib: int) -> Choice:
    return Choice(f"takes-{how}", (("mib", mib),) if mib else ())


@linux
def test_a_trial_s_peak_is_what_its_model_allocates_whatever_its_parent_imported(
    tmp_path: Path,
) -> None:
    """One parent keeps 48 MiB, and has freed 48 MiB, which its forks must not take for theirs."""
    choices = [taking(how, mib) for how in ("array", "blocks") for mib in (0, 64)]
    light = memory_of(tmp_path, choices)
    heavy = memory_of(tmp_path, choices, ballast=48 * MIB)
    for choice in choices:
        expected = dict(choice.parameters).get("mib", 0) * MIB
        assert light[str(choice)].peak == pytest.approx(expected, abs=TOLERANCE)
        assert heavy[str(choice)].peak == pytest.approx(expected, abs=TOLERANCE)


@linux
def test_processes_that_a_model_starts_count(tmp_path: Path) -> None:
    choices = [taking(how, mib) for how in ("fork", "interpreter") for mib in (0, 64)]
    memory = memory_of(tmp_path, choices)
    for how in ("fork", "interpreter"):
        without, taken = (memory[str(taking(how, mib))].peak for mib in (0, 64))
        assert taken - without == pytest.approx(64 * MIB, abs=TOLERANCE)
        assert without < 12 * MIB  # a bare interpreter of Python, or what a fork copies


def test_the_size_of_a_model_is_the_length_of_its_pickle(tmp_path: Path) -> None:
    from harness_numpy.baselines import Prior

    trial = Trial(Choice("threshold"), Choice("prior"), "cpu", 0, 0)
    (result,) = run_isolated([trial], jobs=1, seconds=LONG)
    fitted = Prior(3).fit(np.zeros((3, 1)), np.arange(3))
    assert result.memory.model == len(pickle.dumps(fitted))
    assert math.isnan(result.memory.device_peak)


@pytest.mark.parametrize(
    "thing",
    [
        None,
        {"a": [1, 2.5, "text"] * 1000},
        np.arange(10),
        [np.ones(100_000), np.zeros((300, 300), order="F")],
        [bytes(200_000), "é" * 200_000],
    ],
)
def test_a_counted_pickle_is_as_long_as_a_kept_one(thing: Any) -> None:
    assert pickled_size(thing) == len(pickle.dumps(thing))


class Hanging:
    def __reduce__(self) -> Any:
        threading.Event().wait()


class Exiting:
    def __reduce__(self) -> Any:
        sys.exit(3)


@pytest.mark.parametrize("thing", [lambda: None, threading.Lock(), Exiting()])
def test_what_does_not_pickle_has_no_size(thing: Any) -> None:
    assert math.isnan(pickled_size(thing))


def test_pickling_ends_after_too_many_bytes_or_seconds() -> None:
    clock = Clock()

    class Slow:
        def __reduce__(self) -> Any:
            clock.sleep(3)
            return tuple, ()

    many = [bytes(100_000) for _ in range(10)]
    assert math.isnan(pickled_size(many, most=999_999))
    assert math.isnan(pickled_size([Slow(), *many], clock=clock))
    handler = signal.getsignal(signal.SIGALRM)
    assert math.isnan(pickled_size(Hanging(), seconds=0.01))
    assert signal.getsignal(signal.SIGALRM) is handler
    assert signal.getitimer(signal.ITIMER_REAL)[0] == 0


@linux
def test_pickling_takes_no_more_memory_than_it_has_room_for() -> None:
    class Large:
        def __reduce__(self) -> Any:
            return bytes, (bytes(2**30),)

    assert math.isnan(pickled_size(Large()))
    assert len(bytes(2**29)) == 2**29  # the limit is gone


@pytest.mark.parametrize(("initialized", "expected"), [(True, 3 + 4), (False, math.nan)])
def test_a_device_s_peak_is_torch_s_over_all_devices_that_the_trial_used(
    monkeypatch: pytest.MonkeyPatch, initialized: bool, expected: float
) -> None:
    cuda = SimpleNamespace(
        is_initialized=lambda: initialized,
        device_count=lambda: 2,
        max_memory_allocated=[3, 4].__getitem__,
    )
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=cuda))
    assert device_peak() == pytest.approx(expected, nan_ok=True)
    monkeypatch.delitem(sys.modules, "torch")
    assert math.isnan(device_peak())


def test_sizes_that_a_process_makes_up_are_refused() -> None:
    from harness.trials.remote import _bytes

    for size in (-1.0, 1e300, math.inf, True, "1", None):
        with pytest.raises(ValueError, match="expected a number"):
            _bytes(size)
    assert math.isnan(_bytes(math.nan))
