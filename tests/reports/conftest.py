"""Fixtures that the tests of reports share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import harness_tables
import pytest
from browsing import chromium

if TYPE_CHECKING:
    from collections.abc import Iterator

    from selenium import webdriver

    from harness.contract.values import Report


@pytest.fixture(scope="module")
def report() -> Report:
    """The report that prints a run's tables."""
    (tables,) = harness_tables.harness_reports()
    return tables


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    """A browser that the tests of a module share."""
    with chromium(tmp_path_factory.mktemp("profile")) as driver:
        yield driver
