"""The hooks of the built-in methods; like any plugin's module it is light, and the lists load when asked for."""

from __future__ import annotations

from collections.abc import Iterable

from vqbench import BackboneSpec, DatasetSpec, MetricSpec, PublishedSpec, QuantizerSpec, SuiteSpec, hookimpl

__all__ = [
    "VQBENCH_API",
    "vqbench_backbones",
    "vqbench_datasets",
    "vqbench_metrics",
    "vqbench_published",
    "vqbench_quantizers",
    "vqbench_suites",
]

VQBENCH_API = 1


@hookimpl
def vqbench_quantizers() -> Iterable[QuantizerSpec]:
    """The built-in quantizers."""
    from vqbench_plugins.quantizers.specs import QUANTIZERS

    return QUANTIZERS


@hookimpl
def vqbench_backbones() -> Iterable[BackboneSpec]:
    """The built-in backbones."""
    from vqbench_plugins.backbones.specs import BACKBONES

    return BACKBONES


@hookimpl
def vqbench_datasets() -> Iterable[DatasetSpec]:
    """The built-in datasets."""
    from vqbench_plugins.datasets.specs import DATASETS

    return DATASETS


@hookimpl
def vqbench_metrics() -> Iterable[MetricSpec]:
    """The built-in metrics."""
    from vqbench_plugins.metrics.specs import METRICS

    return METRICS


@hookimpl
def vqbench_suites() -> Iterable[SuiteSpec]:
    """The suites that come with vqbench."""
    from vqbench_plugins.suites import SUITES

    return SUITES


@hookimpl
def vqbench_published() -> Iterable[PublishedSpec]:
    """The published numbers that come with vqbench."""
    from vqbench_plugins.published import PUBLISHED

    return PUBLISHED
