"""Calls that run in processes of their own: their input, their answers, and their end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import doubles
import numpy as np
import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

from harness.processes import client, trees
from harness.processes.client import Call, Limits, Parent, Processes
from harness.processes.packing import Packing, PackingError, pack, unpack
from harness.processes.worker import Worker, wait

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from harness.contract.values import Failure

LONG = 120.0  # seconds; nothing here takes this long, even on a busy machine
MODULES = ("doubles",)
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="Linux alone adopts orphans")


# Packing

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda children: st.lists(children) | st.dictionaries(st.text(), children),
    max_leaves=10,
)
NUMBERS = arrays_of.arrays(
    st.sampled_from(["<f8", "<f4", "<i8", "<i4", "u1", "?", ">f8"]),
    arrays_of.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=5),
)


@given(JSON, st.dictionaries(st.text(max_size=9), NUMBERS, max_size=3))
def test_packed_values_are_unpacked_bit_for_bit_and_arrays_are_read_only(
    value: Any, arrays: dict[str, Any]
) -> None:
    with tempfile.TemporaryFile() as file:
        pack(file.fileno(), value, arrays)
        unpacked_value, unpacked = unpack(file.fileno())
    assert unpacked_value == value
    assert unpacked.keys() == arrays.keys()
    for name, array in arrays.items():
        same = unpacked[name]
        assert (same.dtype, same.shape) == (array.dtype, array.shape)
        assert same.tobytes() == np.ascontiguousarray(array).tobytes()
        if same.size:
            assert not same.flags.writeable
            with pytest.raises(ValueError, match="WRITEABLE"):
                same.flags.writeable = True


@given(st.lists(st.tuples(NUMBERS, st.booleans()), max_size=4))
def test_arrays_may_be_created_in_the_file_between_added_arrays(
    given: list[tuple[Any, bool]],
) -> None:
    with tempfile.TemporaryFile() as file:
        packing = Packing(file.fileno())
        for i, (array, is_made) in enumerate(given):
            if is_made:
                packing.room(f"{i}", array.shape, array.dtype)[...] = array
            else:
                packing.put(f"{i}", array)
        packing.finish(len(given))
        value, unpacked = unpack(file.fileno())
    assert value == len(given)
    assert list(unpacked) == [f"{i}" for i in range(len(given))]
    for same, (array, _) in zip(unpacked.values(), given, strict=True):
        assert (same.dtype, same.shape) == (array.dtype, array.shape)
        assert same.tobytes() == np.ascontiguousarray(array).tobytes()


def test_an_array_with_two_names_is_written_once() -> None:
    once, twice = np.ones(10_000), np.zeros(10_000)
    with tempfile.TemporaryFile() as file:
        packing = Packing(file.fileno())
        made = packing.room("made", (10_000,), "f8")
        made[...] = 2
        for name, array in {"a": once, "b": once, "c": made, "d": twice[:], "e": twice}.items():
            packing.put(name, array)
        packing.finish(None)
        _, unpacked = unpack(file.fileno())
        assert os.fstat(file.fileno()).st_size < 3.1 * once.nbytes
    assert {name: float(array.mean()) for name, array in unpacked.items()} == {
        "made": 2,
        "a": 1,
        "b": 1,
        "c": 2,
        "d": 0,
        "e": 0,
    }


@given(st.binary(max_size=200), st.integers(0, 400))
def test_bytes_of_another_program_are_refused_or_read_as_plain_values(
    junk: bytes, cut: int
) -> None:
    with tempfile.TemporaryFile() as file:
        pack(file.fileno(), {"a": 1}, {"x": np.arange(4.0)})
        whole = os.pread(file.fileno(), 10_000, 0)
        os.ftruncate(file.fileno(), 0)
        os.pwrite(file.fileno(), whole[:cut] + junk + whole[cut:], 0)
        try:
            value, arrays = unpack(file.fileno())
        except PackingError:
            return
        assert value is not None
        assert all(array.dtype.kind in "biuf" for array in arrays.values())


@pytest.mark.parametrize(
    "entry",
    [
        '["x", "O", [4], 0]',
        '["x", "<f8", [4000000], 0]',
        '["x", "<f8", [4], -8]',
        '["x", "<f8", [-4], 0]',
        '["x", "<f8", [true], 0]',
        '["x", "<f8", [99999999999999999999], 0]',
        '["x", "nothing", [4], 0]',
        '["x"]',
        "7",
    ],
)
def test_an_array_with_an_unknown_dtype_or_outside_its_file_is_refused(entry: str) -> None:
    words = b'{"value": 1, "arrays": [' + entry.encode() + b"]}"
    with tempfile.TemporaryFile() as file:
        os.pwrite(
            file.fileno(), bytes(64) + words + len(words).to_bytes(8, "little") + b"harness1", 0
        )
        with pytest.raises(PackingError):
            unpack(file.fileno())


def test_objects_are_not_packed() -> None:
    with tempfile.TemporaryFile() as file, pytest.raises(PackingError, match="not numbers"):
        pack(file.fileno(), None, {"x": np.array([object()])})


# Calls


@pytest.fixture(scope="module")
def processes() -> Iterator[Processes]:
    started = Processes(MODULES)
    yield started
    started.close()


def ended(call: Call) -> Call:
    deadline = time.monotonic() + LONG
    while not call.poll():
        assert time.monotonic() < deadline
        client.wait([call], 0.05)
    return call


def result(parent: Parent, function: Callable[..., Any], *words: Any, **how: Any) -> Any:
    with closing(ended(parent.call(function, *words, **how))) as call:
        value, failure = call.result()
    assert failure is None, failure
    return value


def failure_of(parent: Parent, function: Callable[..., Any], *words: Any, **how: Any) -> Failure:
    with closing(ended(parent.call(function, *words, **how))) as call:
        assert call.failure is not None
        return call.failure


def test_a_call_gives_a_value(processes: Processes) -> None:
    assert result(processes.root, doubles.doubles, 21) == 42


def test_arrays_go_there_and_back_in_files(processes: Processes) -> None:
    with tempfile.TemporaryFile() as file:
        pack(file.fileno(), None, {"numbers": np.arange(3.0)})
        call = ended(processes.root.call(doubles.doubles_an_array, files=[file.fileno()]))
    _, arrays = unpack(call.answer)
    call.close()
    assert arrays["doubled"].tolist() == [0, 2, 4]


def test_changes_of_a_call_to_its_process_end_with_the_call(processes: Processes) -> None:
    assert result(processes.root, doubles.patches_numpy) is None
    assert result(processes.root, doubles.tells_whether_numpy_is_whole)


def test_a_parent_loads_once_for_all_its_calls(processes: Processes) -> None:
    first = processes.parent("first", doubles.holds, 1)
    second = processes.grown("second", first, doubles.holds, 2)
    assert result(second, doubles.tells_what_is_held) == [[None, 1], 2]
    assert result(first, doubles.tells_what_is_held) == [None, 1]
    assert processes.parent("first", doubles.holds, 7) is first


@pytest.mark.parametrize(
    ("load", "kind", "reason"),
    [
        (doubles.fails_to_load, "exception", "ValueError: there is nothing to load"),
        (doubles.ends_while_it_loads, "signal", "died of SIGABRT"),
    ],
)
def test_if_a_parent_cannot_load_all_its_calls_fail(
    processes: Processes, load: Callable[..., Any], kind: str, reason: str
) -> None:
    for _ in range(2):
        parent = processes.parent(load, load)
        failure = failure_of(parent, doubles.doubles, 1)
        assert (failure.kind, failure.reason) == (kind, reason)
    assert result(processes.root, doubles.doubles, 1) == 2


@LINUX
def test_a_call_has_no_low_file_descriptors_except_the_standard_streams(
    processes: Processes,
) -> None:
    with tempfile.TemporaryFile() as file:
        numbers = result(processes.root, doubles.tells_its_descriptors, files=[file.fileno()])
    low = [number for number in numbers if number < 64]
    # Besides the standard streams, only the folder that is being listed is open.
    assert len([number for number in low if number > 2]) <= 1


@LINUX
def test_the_memory_of_processes_that_have_ended_before_the_call_is_known(
    processes: Processes,
) -> None:
    there, here = os.pipe()
    call = processes.root.call(doubles.starts_a_large_process, files=[there], measured=True)
    while call.most_memory < 2**25:
        assert not call.poll()
        assert call.seconds < LONG
        client.wait([call], 0.05)
    os.write(here, b".")
    with closing(ended(call)):
        assert call.result() == (0, None)
    os.close(there)
    os.close(here)
    with closing(ended(processes.root.call(doubles.doubles, 1, measured=True))) as alone:
        assert alone.most_memory == 0


@LINUX
def test_a_call_reads_files_that_its_parent_keeps_open(processes: Processes) -> None:
    with tempfile.TemporaryFile() as file:
        file.write(b"labels")
        file.flush()
        assert result(processes.root, doubles.borrows, lent=[file.fileno()]) == "labels"


def test_an_answer_of_junk_is_a_failure(processes: Processes) -> None:
    failure = failure_of(processes.root, doubles.answers_by_hand, "junk")
    assert (failure.kind, failure.reason) == ("exit", "exited with status 0")


def test_a_fork_that_returns_gives_no_answer(processes: Processes) -> None:
    assert result(processes.root, doubles.comes_back_twice) == "parent"


def test_messages_of_a_call_arrive_in_order_and_before_its_end(processes: Processes) -> None:
    said: list[Any] = []
    assert result(processes.root, doubles.says, 1, None, "two", listen=said.append) == "said"
    assert said == [1, None, "two"]


def test_threads_of_a_call_may_send_messages_at_once(processes: Processes) -> None:
    said: list[Any] = []
    result(processes.root, doubles.says_from_threads, listen=said.append)
    assert sorted(i for i, _ in said) == [i for i in range(4) for _ in range(200)]


def test_messages_of_a_fork_are_dropped(processes: Processes) -> None:
    said: list[Any] = []
    result(processes.root, doubles.says_in_a_fork, listen=said.append)
    assert said == ["from the call"]


def test_a_call_that_kills_its_parent_fails_and_other_calls_go_on(processes: Processes) -> None:
    parent = processes.parent("mortal", doubles.holds, 1)
    call = ended(parent.call(doubles.ends_its_parent))
    assert call.is_orphan
    assert call.failure is not None
    assert call.failure.reason == "lost the process that it was forked from"
    call.close()
    again = processes.parent("mortal", doubles.holds, 1)
    assert again is not parent
    assert result(again, doubles.tells_what_is_held) == [None, 1]


# Ends


def left(processes: Processes) -> list[str]:
    """Command lines of the `sleep` processes below the supervisor."""
    processes.sweep()
    command_lines = []
    for pid in trees.descendants(processes.pid):
        try:
            command_lines.append(" ".join(psutil.Process(pid).cmdline()))
        except psutil.NoSuchProcess:
            continue
    return [line for line in command_lines if "sleep" in line]


@LINUX
@pytest.mark.parametrize("function", [doubles.leaves_a_daemon, doubles.leaves_a_daemon_and_aborts])
def test_a_daemon_ends_with_the_call_that_started_it(
    processes: Processes, function: Callable[..., Any]
) -> None:
    ended(processes.root.call(function)).close()
    assert not left(processes)


@LINUX
def test_a_daemon_ends_with_a_call_that_exceeds_its_time_limit(
    processes: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "GRACE", 0.2)
    call = processes.root.call(doubles.leaves_a_daemon_and_hangs, limits=Limits(3.0))
    assert ended(call).failure is not None
    assert call.failure.kind == "timeout"
    call.close()
    assert not left(processes)


def test_the_output_of_a_loading_parent_is_cut_before_it_fills_the_disk(
    processes: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "OUTPUT_LIMIT", 1_000_000)
    parent = processes.parent("prints", doubles.prints_until_it_is_cut)
    assert result(parent, doubles.tells_what_is_held) == "cut"


@LINUX
def test_the_memory_limit_counts_memory_that_is_not_mapped(processes: Processes) -> None:
    limits = Limits(LONG, 200 * 2**20)
    much = 300 * 2**20
    failure = failure_of(
        processes.root, doubles.fills_memory_that_is_mapped_nowhere, much, limits=limits
    )
    assert failure.kind == "memory"


COORDINATOR = """\
import sys, time
sys.path.insert(0, sys.argv[1])
import doubles
from harness.processes.client import Processes
processes = Processes(["doubles"])
print(processes.pid, flush=True)
said = []
call = processes.root.call(doubles.leaves_a_daemon_and_hangs, listen=said.append)
while not said and sys.argv[2] == "later":
    call.poll()
    time.sleep(0.01)
print("ready", flush=True)
time.sleep(600)
"""


@LINUX
@pytest.mark.parametrize("when", ["at once", "later"])
def test_no_process_outlives_a_killed_coordinator(when: str) -> None:
    folder = str(Path(doubles.__file__).parent)
    coordinator = subprocess.Popen(
        [sys.executable, "-c", COORDINATOR, folder, when], stdout=subprocess.PIPE, text=True
    )
    assert coordinator.stdout is not None
    guard = psutil.Process(int(coordinator.stdout.readline()))
    coordinator.stdout.readline()
    below = guard.children(recursive=True)
    os.kill(coordinator.pid, signal.SIGKILL)
    coordinator.communicate()
    gone, alive = psutil.wait_procs([guard, *below], timeout=LONG)
    assert not alive
    assert len(gone) == 1 + len(below)


@LINUX
@pytest.mark.parametrize(
    "killed",
    [
        ["supervisor"],
        ["guard"],
        ["coordinator", "supervisor"],
        ["supervisor", "coordinator"],
        ["coordinator", "guard"],
        ["guard", "coordinator"],
    ],
)
def test_a_daemon_ends_if_the_guard_or_the_supervisor_is_killed_with_the_coordinator(
    killed: list[str],
) -> None:
    folder = str(Path(doubles.__file__).parent)
    coordinator = subprocess.Popen(
        [sys.executable, "-c", COORDINATOR, folder, "later"], stdout=subprocess.PIPE, text=True
    )
    assert coordinator.stdout is not None
    guard = psutil.Process(int(coordinator.stdout.readline()))
    coordinator.stdout.readline()
    (supervisor,) = guard.children()
    below = guard.children(recursive=True)
    pids = {"coordinator": coordinator.pid, "guard": guard.pid, "supervisor": supervisor.pid}
    for name in killed:
        os.kill(pids[name], signal.SIGKILL)
    _, alive = psutil.wait_procs(below, timeout=LONG)
    coordinator.kill()
    coordinator.communicate()
    assert not alive


@LINUX
def test_a_supervisor_that_is_stopped_ends_with_its_coordinator() -> None:
    folder = str(Path(doubles.__file__).parent)
    coordinator = subprocess.Popen(
        [sys.executable, "-c", COORDINATOR, folder, "later"], stdout=subprocess.PIPE, text=True
    )
    assert coordinator.stdout is not None
    guard = psutil.Process(int(coordinator.stdout.readline()))
    coordinator.stdout.readline()
    below = guard.children(recursive=True)
    os.kill(guard.children()[0].pid, signal.SIGSTOP)
    os.kill(coordinator.pid, signal.SIGKILL)
    coordinator.communicate()
    _, alive = psutil.wait_procs([guard, *below], timeout=LONG)
    assert not alive


# Workers


@pytest.fixture
def worker() -> Iterator[Worker]:
    started = Worker(doubles.nothing, modules=MODULES)
    yield started
    started.end()


def answer(worker: Worker, function: Callable[..., Any], *words: Any, **how: Any) -> Any:
    worker.call(function, *words, limits=Limits(LONG), **how)
    while (outcome := worker.poll()) is None:
        wait([worker], 0.05)
    return outcome


def test_a_worker_makes_all_its_calls_in_one_process(worker: Worker) -> None:
    assert [answer(worker, doubles.counts_calls) for _ in range(3)] == [
        (1, None),
        (2, None),
        (3, None),
    ]
    assert worker.usable
    assert not worker.fresh


def test_arguments_of_any_size_reach_calls_and_workers(
    processes: Processes, worker: Worker
) -> None:
    large = "x" * (1 << 22)
    assert answer(worker, doubles.length, large) == (len(large), None)
    assert result(processes.root, doubles.doubles, large) == 2 * large


def test_a_worker_that_dies_is_not_used_again(worker: Worker) -> None:
    assert answer(worker, doubles.dies_on_the_second_call) == ("alive", None)
    value, failure = answer(worker, doubles.dies_on_the_second_call)
    assert value is None
    assert failure.kind == "signal"
    assert not worker.usable


def test_an_idle_worker_has_no_time_limit(worker: Worker) -> None:
    worker.call(doubles.counts_calls, limits=Limits(0.5))
    while worker.poll() is None:
        wait([worker], 0.05)
    until = time.monotonic() + 1.5
    while time.monotonic() < until:
        assert worker.usable
        time.sleep(0.05)
    assert answer(worker, doubles.counts_calls) == (2, None)


def test_the_last_note_of_a_worker_s_call_is_known(worker: Worker) -> None:
    assert answer(worker, doubles.notes, [1, "a"], [2, "b"], notes=True) == ("noted", None)
    assert worker.noted == [2, "b"]


def test_processes_that_are_let_go_end_soon_and_start_again_if_they_are_needed() -> None:
    with closing(Processes(MODULES)) as processes:
        assert result(processes.root, doubles.doubles, 21) == 42
        supervisor = psutil.Process(processes.pid)
        processes.let_go()
        supervisor.wait(LONG)
        processes.renew()
        assert result(processes.root, doubles.doubles, 4) == 8


def test_an_ended_worker_leaves_no_process_behind() -> None:
    worker = Worker(doubles.nothing, modules=MODULES)
    answer(worker, doubles.counts_calls)
    process = psutil.Process(worker.pid)
    worker.end()
    _, alive = psutil.wait_procs(
        [process], timeout=LONG
    )  # a zombie until its parent has waited for it
    assert not alive
