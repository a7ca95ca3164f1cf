"""Checks of quantizers, each level on its own and on a backbone."""

from __future__ import annotations

from vqbench.testing.check import Check
from vqbench.testing.quantizer.built import BUILD_CHECKS
from vqbench.testing.quantizer.codes import CODE_CHECKS
from vqbench.testing.quantizer.decoding import DECODING_CHECKS
from vqbench.testing.quantizer.evaluation import EVALUATION_CHECKS
from vqbench.testing.quantizer.memory import MEMORY_CHECKS
from vqbench.testing.quantizer.positions import POSITION_CHECKS
from vqbench.testing.quantizer.resuming import RESUMING_CHECKS
from vqbench.testing.quantizer.tokenizers import TOKENIZER_CHECKS
from vqbench.testing.quantizer.training import TRAINING_CHECKS

__all__ = ["QUANTIZER_CHECKS"]

QUANTIZER_CHECKS: tuple[Check, ...] = (
    *BUILD_CHECKS,
    *POSITION_CHECKS,
    *CODE_CHECKS,
    *EVALUATION_CHECKS,
    *DECODING_CHECKS,
    *TRAINING_CHECKS,
    *RESUMING_CHECKS,
    *MEMORY_CHECKS,
    *TOKENIZER_CHECKS,
)
