"""Settings and options that all tests share."""

from __future__ import annotations

import gc
import os
import signal
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from harness.trials.discovery import Described, discover

if TYPE_CHECKING:
    from collections.abc import Iterator

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
def registry() -> Iterator[Described]:
    """What the installed plugins offer, asked once for all tests of a module."""
    described = discover()
    yield described
    described.processes.close()
