"""Checks of quantizers, each level on its own and on a backbone."""

from __future__ import annotations

from vqbench.testing.check import Check
from vqbench.testing.quantizer.codes import CODE_CHECKS

__all__ = ["QUANTIZER_CHECKS"]

QUANTIZER_CHECKS: tuple[Check, ...] = CODE_CHECKS
