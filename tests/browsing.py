"""Chromium for tests of pages, and the checks of axe-core and TypeScript."""

from __future__ import annotations

import os
import shutil
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from selenium import webdriver

if TYPE_CHECKING:
    from collections.abc import Iterator

NODE = Path(__file__).parent / "browser" / "node_modules"
AXE = NODE / "axe-core" / "axe.min.js"
TSC = NODE / ".bin" / "tsc"
STRICTLY = (
    *("--strict", "--allowJs", "--checkJs", "--noEmit", "--ignoreConfig"),
    *("--target", "es2023", "--lib", "es2023,dom,dom.iterable", "--types", ""),
)
"""Options of TypeScript: scripts are checked by their JSDoc, and nothing is written."""


@contextmanager
def chromium(profile: Path) -> Iterator[webdriver.Chrome]:
    """A browser without windows, which logs what its pages ask for."""
    program, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not program or not driver:
        _missing("chromium")
    options = webdriver.ChromeOptions()
    options.binary_location = str(program)
    for word in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"):
        options.add_argument(word)
    options.add_argument(f"--user-data-dir={profile}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    chrome = webdriver.Chrome(options, webdriver.ChromeService(driver))
    try:
        chrome.set_window_size(1200, 900)
        yield chrome
    finally:
        chrome.quit()


def violations_in(driver: webdriver.Chrome) -> list[Any]:
    """What axe-core finds wrong with the page that is open."""
    if not AXE.exists():
        _missing("axe-core")
    # The test driver can inject a script in spite of the page's security policy.
    driver.execute_cdp_cmd("Runtime.evaluate", {"expression": AXE.read_text(encoding="utf-8")})
    found: list[Any] = driver.execute_async_script(
        "const done = arguments[0]; axe.run(document, {resultTypes: ['violations']}).then("
        "(found) => done(found.violations.map((one) => "
        "[one.id, one.help, one.nodes.slice(0, 3).map((node) => node.html.slice(0, 200))])))"
    )
    return found


def mistyped_in(script: Path) -> str:
    """What TypeScript finds wrong with a script; empty if nothing is."""
    if not TSC.exists() or not shutil.which("node"):
        _missing("typescript")
    done = subprocess.run([TSC, *STRICTLY, script], capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def _missing(program: str) -> None:
    message = f"no {program} here; `make browser` installs it"
    if os.environ.get("HARNESS_NEEDS_BROWSER"):
        pytest.fail(message)
    pytest.skip(message)
