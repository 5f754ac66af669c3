"""The hooks that a plugin may implement; each yields values.

A plugin implements the hooks that it needs::

    import harness

    @harness.hookimpl
    def harness_models():
        yield harness.Model("mine", make=lambda setting: MyClassifier(setting.seed))
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from collections.abc import Iterable

    from harness.contract.values import Dataset, Device, Kernel, Metric, Model, Picture, Report

PROJECT = "harness"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def harness_datasets() -> Iterable[Dataset]:  # type: ignore[empty-body]  # a hookspec has no body
    """Datasets that this plugin offers."""


@hookspec
def harness_models() -> Iterable[Model]:  # type: ignore[empty-body]  # a hookspec has no body
    """Models that this plugin offers."""


@hookspec
def harness_metrics() -> Iterable[Metric]:  # type: ignore[empty-body]  # a hookspec has no body
    """Scores of predictions that this plugin offers."""


@hookspec
def harness_kernels() -> Iterable[Kernel]:  # type: ignore[empty-body]  # a hookspec has no body
    """Softmax implementations that this plugin offers."""


@hookspec
def harness_devices() -> Iterable[Device]:  # type: ignore[empty-body]  # a hookspec has no body
    """Devices that this plugin finds on this machine; called only when a run needs devices."""


@hookspec
def harness_reports() -> Iterable[Report]:  # type: ignore[empty-body]  # a hookspec has no body
    """Reports that this plugin can write."""


@hookspec
def harness_pictures() -> Iterable[Picture]:  # type: ignore[empty-body]  # a hookspec has no body
    """Kinds of pictures that this plugin can draw."""
