"""Checks of backbones."""

from __future__ import annotations

from vqbench.testing.backbone.evaluation import EVALUATION_CHECKS
from vqbench.testing.backbone.paths import PATH_CHECKS
from vqbench.testing.backbone.shapes import SHAPE_CHECKS
from vqbench.testing.backbone.training import TRAINING_CHECKS
from vqbench.testing.check import Check

__all__ = ["BACKBONE_CHECKS"]

BACKBONE_CHECKS: tuple[Check, ...] = (*SHAPE_CHECKS, *PATH_CHECKS, *EVALUATION_CHECKS, *TRAINING_CHECKS)
