"""Checks of the contract with plugins, for their authors' tests and for ``harness check``.

Authors run all checks at once, or each check as a test of its own::

    import harness.testing

    def test_my_model_keeps_the_contract():
        harness.testing.check_model(MODEL)

    @pytest.mark.parametrize("check", harness.testing.MODEL_CHECKS, ids=str)
    def test_my_model(check):
        check.run(MODEL)

The plugin ``harness.testing.faulty`` has models and datasets that each break the contract.
"""

from __future__ import annotations

from harness.testing.checks import Check
from harness.testing.datasets import DATASET_CHECKS, check_dataset
from harness.testing.kernels import KERNEL_CHECKS, check_kernel
from harness.testing.metrics import METRIC_CHECKS, check_metric
from harness.testing.models import MODEL_CHECKS, check_model
from harness.testing.reports import REPORT_CHECKS, check_report
from harness.testing.samples import Sample, sample_for, sample_frames

__all__ = [
    "DATASET_CHECKS",
    "KERNEL_CHECKS",
    "METRIC_CHECKS",
    "MODEL_CHECKS",
    "REPORT_CHECKS",
    "Check",
    "Sample",
    "check_dataset",
    "check_kernel",
    "check_metric",
    "check_model",
    "check_report",
    "sample_for",
    "sample_frames",
]
