"""Settings and options that all tests share."""

from __future__ import annotations

import gc
import os
import signal
import sys
from typing import TYPE_CHECKING, Any

import click
import pytest
from hypothesis import HealthCheck, settings

from harness.trials import discovery

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

READING = {"compare", "list", "plot", "publish", "report", "show"}
"""Commands that run no models."""

# A test must not fail because the machine is busy.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")

# Parallel tests with as many threads as cores each would slow each other down.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

# Runs in tests skip timing; tests of timing remove this variable.
os.environ["HARNESS_RUN_NO_TIMING"] = "1"

# A script's background processes and their children ignore Ctrl-C, but some tests interrupt the
# processes that they start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True, scope="module")
def _path_of_module() -> Iterator[None]:
    """A plugin file that a module's tests import here adds its folder; others do not see it."""
    path = list(sys.path)
    yield
    sys.path[:] = path


@pytest.fixture(autouse=True)
def _path_of_test(_path_of_module: None) -> Iterator[None]:
    """The same for a single test."""
    path = list(sys.path)
    yield
    sys.path[:] = path


def pytest_collection_finish() -> None:
    """Exempt from garbage collection what the tests' modules imported.

    These half a million objects live as long as the process. Visiting them took 0.3 s each time the
    timing engine collected garbage, which it does before every sample.
    """
    gc.collect()
    gc.freeze()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-golden",
        action="store_true",
        help="Write what the commands do now into tests/golden/transcripts.",
    )


@pytest.fixture(scope="module")
def known_plugins() -> Iterator[None]:
    """Commands of `READING` in this process do not ask the installed plugins what they offer.

    Asking takes half a second, because each plugin answers in a new process. With these tests, the
    first such command of a module asks, and the others have its answer. Commands that are given
    plugins, or that run models, ask as always.
    """
    ask = discovery.discover
    known: list[discovery.Described] = []

    def discover(plugins: Iterable[str] = (), **options: Any) -> discovery.Described:
        given = tuple(plugins)
        context = click.get_current_context(silent=True)
        if given or context is None or context.find_root().invoked_subcommand not in READING:
            return ask(given, **options)
        if not known:
            known.append(ask(**options))
            # A command closes the processes of its plugins when it ends.
            patch.setattr(known[0].processes, "close", lambda: None)
        return known[0]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(discovery, "discover", discover)
        yield
    for described in known:
        described.processes.close()
