"""What the checks of the contract say about a plugin's value that breaks it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from harness.testing.checks import reason_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.testing import Check


def failed_checks(checks: Sequence[Check], subject: Any) -> dict[str, str]:
    """Names of the checks that fail, each with its reason."""
    reasons = {}
    for check in checks:
        try:
            check.run(subject)
        except Exception as error:  # noqa: BLE001  # whatever the wrong subject raises
            reasons[check.name] = reason_of(error)
    return reasons
