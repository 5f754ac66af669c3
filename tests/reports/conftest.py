"""Fixtures that the tests of reports share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import harness_tables
import pytest

if TYPE_CHECKING:
    from harness.contract.values import Report


@pytest.fixture(scope="module")
def report() -> Report:
    """The report that prints a run's tables."""
    (tables,) = harness_tables.harness_reports()
    return tables
