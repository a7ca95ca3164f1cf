"""Checks of datasets, on a few images of each split."""

from __future__ import annotations

from vqbench.testing.check import Check
from vqbench.testing.dataset.content import CONTENT_CHECKS
from vqbench.testing.dataset.form import FORM_CHECKS

__all__ = ["DATASET_CHECKS"]

DATASET_CHECKS: tuple[Check, ...] = (*FORM_CHECKS, *CONTENT_CHECKS)
