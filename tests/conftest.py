"""Settings and options that all tests share."""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

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


@pytest.fixture(autouse=True)
def _module_path() -> Iterator[None]:
    """A plugin file that a test imports here adds its folder; the next test does not see it."""
    path = list(sys.path)
    yield
    sys.path[:] = path


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-golden",
        action="store_true",
        help="Write what the commands do now into tests/golden/transcripts.",
    )
