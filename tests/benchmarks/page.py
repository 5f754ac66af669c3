"""Prints what a page costs: seconds to write it, its size, and its times in a browser.

    python tests/benchmarks/page.py [STORE]

With a STORE it times ``harness report --html`` of the store's newest run. Then it makes the page of
200 models on 50 datasets, opens it in chromium, and switches its metric and its dataset.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import harness_page
from browsing import chromium
from made_frames import make_frames

SWITCHES = 5
FIRST_PAINT = (
    "return performance.getEntriesByType('paint').find((one) => "
    "one.name === 'first-contentful-paint')?.startTime"
)
SWITCH = """
const [selector, index, done] = arguments;
const began = performance.now();
document.querySelectorAll(selector).item(index).click();
document.body.offsetHeight;
requestAnimationFrame(() => done(performance.now() - began));
"""


def writing(store: str, file: Path) -> float:
    """Seconds that the command takes to write a page."""
    began = time.perf_counter()
    command = [sys.executable, "-m", "harness", "report", "--store", store, "--html", str(file)]
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - began


def large_page() -> str:
    """The page of 200 models on 50 datasets."""
    datasets = {f"dataset-{i:02}": ("resampled", 100, 30, 1.0 + i / 25) for i in range(50)}
    models = {"prior": -1.9} | {f"model-{i:03}[depth=4]": i / 400 for i in range(199)}
    (report,) = harness_page.harness_reports()
    return str(report.render(make_frames(datasets, models, repeats=2), "html"))


def main(arguments: list[str]) -> None:
    """Print all figures."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "page.html")
        if arguments:
            best = min(writing(arguments[0], file) for _ in range(3))
            print(f"the store's page: {best:.1f} s (best of 3), {file.stat().st_size / 1e6:.2f} MB")
        began = time.perf_counter()
        page = large_page()
        file.write_text(page, encoding="utf-8")
        took = time.perf_counter() - began
        print(f"200 models x 50 datasets: {len(page.encode()) / 1e6:.2f} MB, made in {took:.0f} s")
        with chromium(Path(folder, "profile")) as driver:
            driver.get(file.as_uri())
            time.sleep(1)
            print(f"first paint after {driver.execute_script(FIRST_PAINT):.0f} ms")
            for what, selector in (("metric", "input[name=metric]"), ("dataset", ".tabs button")):
                times = [
                    driver.execute_async_script(SWITCH, selector, 1 - i % 2)
                    for i in range(SWITCHES)
                ]
                print(f"{what} switched in {max(times):.0f} ms (slowest of {SWITCHES})")


if __name__ == "__main__":
    main(sys.argv[1:])
