"""Every installed plugin passes the harness's own checks of the contract."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from harness import testing
from harness.contract.registry import load
from harness.trials.plan import importable

if TYPE_CHECKING:
    from harness.testing import Check

REGISTRY = load()
HERE = {device.kind for device in REGISTRY.devices.values()}
SUITES = {
    "datasets": testing.DATASET_CHECKS,
    "models": testing.MODEL_CHECKS,
    "kernels": testing.KERNEL_CHECKS,
    "reports": testing.REPORT_CHECKS,
}
OFFERED = [
    pytest.param(subject, check, id=f"{name}-{check}")
    for kind, checks in SUITES.items()
    for name, subject in getattr(REGISTRY, kind).items()
    if not importable(getattr(subject, "requires", ()))
    and getattr(subject, "by_default", True)
    and (kind != "kernels" or HERE & set(subject.devices))
    for check in checks
]


@pytest.mark.parametrize(("subject", "check"), OFFERED)
def test_installed_plugins_keep_the_contract(subject: Any, check: Check) -> None:
    check.run(subject)
