"""What installed plugins offer is found out in processes: one for all plugins of a distribution."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from harness.trials import discovery
from harness.trials.discovery import Described, discover

if TYPE_CHECKING:
    from pathlib import Path

OFFERS = """
import harness

@harness.hookimpl
def harness_models():
    yield harness.Model("model-of-NAME", lambda setting: None)
"""
FAULTS = {
    "raises": ("raise RuntimeError('no')", "does not import: RuntimeError: no"),
    "exits": ("raise SystemExit(3)", "does not import: it exits with 3"),
    "vanishes": ("import os; os._exit(0)", "its process ended with status 0"),
    "dies": ("import os; os.abort()", "its process died of SIGABRT"),
    "murders": ("import os; os.kill(os.getppid(), 9)", "its process lost "),
    "hangs": ("import time; time.sleep(3600)", "its process did not start within 4 s"),
    "misspells": (
        "import harness; harness_modles = harness.hookimpl(lambda: ())",
        "'harness_modles'",
    ),
}


@pytest.fixture
def found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Described:
    """The registry with an installed distribution of two good plugins and one with a fault."""
    code = {name: OFFERS.replace("NAME", name) for name in ("first", "last")}
    code |= {"middle": FAULTS[request.param][0]}
    for name, text in code.items():
        (tmp_path / f"family_{name}.py").write_text(text)
    info = tmp_path / "family-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: family\nVersion: 1\n")
    lines = "".join(f"family-{name} = family_{name}\n" for name in code)
    (info / "entry_points.txt").write_text(f"[classification_harness]\n{lines}")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(discovery, "FAMILY_SECONDS", 4.0)
    monkeypatch.setattr(discovery, "START_LIMIT", 4.0)
    return discover()


@pytest.mark.parametrize("found", FAULTS, indirect=True)
def test_a_plugin_that_breaks_takes_no_other_plugin_of_its_distribution_with_it(
    found: Described, request: pytest.FixtureRequest
) -> None:
    _, reason = FAULTS[request.node.callspec.params["found"]]
    with closing(found.processes):
        assert {"model-of-first", "model-of-last", "numpy-softmax"} <= set(found.models)
        (fault,) = map(str, found.faults)
        assert fault.startswith("plugin 'family-middle' (family 1): ")
        assert reason in fault
