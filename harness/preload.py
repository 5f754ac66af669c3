"""What every worker needs, imported once in the process that workers are forks of.

Importing torch takes a second; done here, a fresh worker has it for nothing. The names to import
come through the environment, because this module is imported by multiprocessing's fork server.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import signal
import time

VARIABLE = "HARNESS_PRELOAD"
INSIDE = "HARNESS_INSIDE"
"""Set in workers and their parent: a script that is called ``html.py`` is loaded there in place of
the library's module, and would start a run within a run within a run."""

SECONDS: dict[str, float] = {}
"""Seconds that each import took, in the order in which they were done."""

if os.environ.get(INSIDE):
    # Ctrl-C in a terminal reaches the workers' parent too, but it is the coordinator that answers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)

for _name in filter(None, os.environ.get(VARIABLE, "").split(",")):
    _started = time.perf_counter()
    # What fails here fails again in the trial that needs it, and is that trial's result.
    with contextlib.suppress(Exception):
        importlib.import_module(_name)
        SECONDS[_name] = time.perf_counter() - _started
