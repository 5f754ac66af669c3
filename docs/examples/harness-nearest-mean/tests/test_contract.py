"""The harness's own checks, run on what this package offers."""

import pytest

import harness
from harness import testing

REGISTRY = harness.discover()


@pytest.mark.parametrize("check", testing.MODEL_CHECKS, ids=str)
def test_the_model_keeps_the_contract(check):
    check.run(REGISTRY.models["nearest-mean"])


@pytest.mark.parametrize("check", testing.DATASET_CHECKS, ids=str)
def test_the_dataset_keeps_the_contract(check):
    check.run(REGISTRY.datasets["rings"])
