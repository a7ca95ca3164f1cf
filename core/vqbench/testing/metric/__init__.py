"""Checks of metrics, on small images with structure and on noisy reconstructions of them."""

from __future__ import annotations

from vqbench.testing.check import Check
from vqbench.testing.metric.accumulation import ACCUMULATION_CHECKS
from vqbench.testing.metric.direction import DIRECTION_CHECKS

__all__ = ["METRIC_CHECKS"]

METRIC_CHECKS: tuple[Check, ...] = (*DIRECTION_CHECKS, *ACCUMULATION_CHECKS)
