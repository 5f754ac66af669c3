"""What all tests share."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

# A busy machine is no fault of what is tested.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")

# Runs in tests end with their trials, but for those that are about timing.
os.environ["HARNESS_RUN_NO_TIMING"] = "1"
